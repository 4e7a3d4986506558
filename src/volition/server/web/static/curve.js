// A run's loss, drawn while it is received. The drawing that the page came with stays for those who hear it.
(() => {
  const place = document.getElementById("curve"), now = document.getElementById("now");
  if (!place || !now) return;
  const HEIGHT = 240;
  const colour = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: colour("--muted"), font: "12px Inter, sans-serif", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  let plot = null, total = 0;

  const draw = () => {
    const fresh = now.querySelector("[data-curve]");
    if (!fresh) return;
    const curve = JSON.parse(fresh.dataset.curve);
    const data = [curve.losses.map((point) => point[0]), curve.losses.map((point) => point[1])];
    total = curve.total;
    fresh.classList.add("hidden");
    place.hidden = false;
    if (plot) { plot.setData(data); return; }
    plot = new uPlot({
      width: place.clientWidth,
      height: HEIGHT,
      cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false, range: () => [0, total] }, y: { range: (_, least, most) => [Math.min(0, least), most * 1.05] } },
      series: [
        { label: "Step" },
        { label: "Loss", stroke: colour("--accent"), width: 2, value: (_, loss) => (loss == null ? "–" : loss.toFixed(3)) },
      ],
      axes: [axis, { ...axis, size: 58 }],
    }, data, place);
  };

  new MutationObserver(draw).observe(now, { childList: true, subtree: true });
  addEventListener("resize", () => plot?.setSize({ width: place.clientWidth, height: HEIGHT }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot?.redraw());
  draw();
})();
