// After an answer the page is drawn again where the reader is. When the button that was pressed is gone with its notice,
// as after an undo, the focus goes to the switch that it was about, and nothing scrolls.
(() => {
  let about = null;
  document.addEventListener("submit", (event) => {
    const form = event.target.closest?.("#notice form");
    about = form ? new URL(form.action).pathname.split("/").pop() : null;
  }, true);
  document.addEventListener("htmx:after:settle", () => {
    const place = about && (document.getElementById(`${about}-title`) ?? document.getElementById("main"));
    about = null;
    if (place && (document.activeElement === document.body || !document.activeElement)) place.focus({ preventScroll: true });
  });
})();
