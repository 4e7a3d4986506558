// The composer's keys. Everything here can be done with the buttons alone, and without this file.
(() => {
  const box = () => document.getElementById("text");
  const list = () => [...document.querySelectorAll("#suggestions button[name=take]")];
  const close = () => { const place = document.getElementById("suggestions"); if (place) place.textContent = ""; };

  const take = (button) => {
    const text = box();
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
      else if (event.key === "ArrowDown" && atEnd) { event.preventDefault(); buttons[0].focus(); }
      else if (event.key === "Escape") close();
    } else if (at >= 0) {
      if (event.key === "ArrowDown" || event.key === "ArrowRight") { event.preventDefault(); buttons[(at + 1) % buttons.length].focus(); }
      else if (event.key === "ArrowUp" || event.key === "ArrowLeft") { event.preventDefault(); (buttons[at - 1] ?? text).focus(); }
      else if (event.key === "Escape") { close(); text.focus(); }
    }
  });
})();
