// After an answer the page is drawn again where the reader is. When the button that was pressed is gone, with its notice
// as after an undo or with its form, the focus goes to what it was about, and nothing scrolls.
(() => {
  let about = null;
  document.addEventListener("submit", (event) => {
    const form = event.target.closest?.("form");
    const undone = form?.closest("#notice") && `${new URL(form.action).pathname.split("/").pop()}-title`;
    about = form?.dataset.about ?? undone ?? null;
  }, true);
  document.addEventListener("htmx:after:settle", () => {
    const found = about && (document.getElementById(about) ?? document.getElementById("main"));
    const place = found?.matches("details") ? found.querySelector("summary") : found;
    about = null;
    if (place && (document.activeElement === document.body || !document.activeElement)) place.focus({ preventScroll: true });
  });
})();
