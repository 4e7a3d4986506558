// The composer's keys, and the switch for suggestions while somebody types. Everything else can be done with the buttons
// alone, and without this file; without it nothing is sent while somebody types.
(() => {
  const KEPT = "suggest-while-typing"; // in this browser only
  const box = () => document.getElementById("text");
  const list = () => [...document.querySelectorAll("#suggestions button[name=take]")];
  const close = () => { const place = document.getElementById("suggestions"); if (place) place.textContent = ""; };

  let suggests = true;
  try { suggests = localStorage.getItem(KEPT) !== "no"; } catch { /* a browser that keeps nothing */ }
  const show = () => { // what the page says of it is what holds
    document.documentElement.dataset.typing = suggests ? "on" : "off";
    const typing = document.getElementById("typing");
    if (typing) typing.checked = suggests;
  };
  show();
  document.addEventListener("htmx:after:settle", show);

  let taken = [], pressed = 0; // of the message in the box: what suggestions put there, and the keys that it took
  const tell = (form) => { // only while suggestions are shown is it known what they save
    if (!form?.elements.taken) return;
    const text = box().value;
    form.elements.taken.value = suggests ? taken.reduce((sum, one) => sum + (text.includes(one) ? one.length : 0), 0) : "";
    form.elements.pressed.value = suggests ? pressed : "";
  };
  let submitted = null; // the text that was sent with a form, and that form's key
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "composer") return;
    tell(event.target);
    submitted = { text: box().value, once: event.target.elements.once?.value };
  }, true);
  document.addEventListener("htmx:after:settle", () => {
    const once = document.getElementById("composer")?.elements.once?.value;
    if (submitted && once !== submitted.once) { // answered: the box holds what the answer says, unless somebody typed on
      if (box().value === submitted.text) box().value = box().defaultValue;
      submitted = null;
    }
    if (!box()?.value) { taken = []; pressed = 0; }
  });
  document.addEventListener("change", (event) => {
    if (event.target.id !== "typing") return;
    suggests = event.target.checked;
    try { localStorage.setItem(KEPT, suggests ? "yes" : "no"); } catch { /* it holds until the page is left */ }
    show();
    if (!suggests) close();
  });

  document.addEventListener("input", (event) => {
    if (event.target !== box()) return;
    for (const one of list()) if (!one.value.startsWith(event.target.value)) one.closest("li").remove(); // of an earlier text
    if (!suggests) event.stopPropagation(); // so that nothing is asked
  }, true);

  const take = (button) => {
    const text = box();
    if (button.value.startsWith(text.value)) taken.push(button.value.slice(text.value.length).trim());
    pressed += 1;
    text.value = button.value;
    close();
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
    text.dispatchEvent(new Event("input", { bubbles: true })); // what comes next is asked for
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#suggestions button[name=take]");
    if (button) { event.preventDefault(); event.stopPropagation(); take(button); }
  }, true);

  document.addEventListener("keydown", (event) => {
    const buttons = list();
    if (!buttons.length || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const text = box(), at = buttons.indexOf(document.activeElement);
    if (event.target === text) {
      const atEnd = text.selectionStart === text.value.length && text.selectionEnd === text.value.length;
      if (event.key === "Tab" || (event.key === "ArrowRight" && atEnd)) { event.preventDefault(); take(buttons[0]); }
      else if (event.key === "ArrowDown" && atEnd) { event.preventDefault(); pressed += 1; buttons[0].focus(); }
      else if (event.key === "Escape") close();
    } else if (at >= 0) {
      if (event.key.startsWith("Arrow")) pressed += 1;
      if (event.key === "ArrowDown" || event.key === "ArrowRight") { event.preventDefault(); buttons[(at + 1) % buttons.length].focus(); }
      else if (event.key === "ArrowUp" || event.key === "ArrowLeft") { event.preventDefault(); (buttons[at - 1] ?? text).focus(); }
      else if (event.key === "Escape") { close(); text.focus(); }
    }
  });
})();
