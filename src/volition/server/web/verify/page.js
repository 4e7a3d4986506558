"use strict";
/* The page: from the files that somebody chose to what is shown of them. */
(function (volition) {
  const at = (id) => document.getElementById(id);
  const STATES = new Map([[true, ["holds", "holds"]], [false, ["fails", "fails"]], [null, ["unread", "not known"]]]);

  function element(name, text, className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function say(text, isWrong = false) {
    at("progress").textContent = text;
    at("progress").classList.toggle("wrong", isWrong);
  }

  const bytesOf = async (file) => new Uint8Array(await file.arrayBuffer());

  /** Check a bundle or a document, whichever the bytes are. */
  async function verify(bytes, keyText, { name = null, kept = [], notBefore = null, person = null, policy = null } = {}, tell = () => {}) {
    const key = await volition.readKey(keyText);
    if (!volition.isZip(bytes)) return volition.verifyDocument(bytes, key, { person, policy }, tell);
    const isNote = ({ text }) => !/^\s*[{[]/.test(text);
    const given = { name, checkpoints: kept.filter(isNote), documents: kept.filter((one) => !isNote(one)), notBefore, policy };
    return volition.verifyBundle(bytes, key, given, tell);
  }

  function list(id, items) {
    at(id).replaceChildren(...items.map((item) => element("li", item)));
    at(`${id}-part`).hidden = items.length === 0;
  }

  function show(report) {
    const result = at("result"), unread = report.checks.some((one) => one.holds === null), wrong = report.checks.filter((one) => one.holds === false);
    at("verdict").textContent = report.holds ? "It holds." : wrong.length ? `It does not hold: ${wrong.length === 1 ? "a check fails" : `${wrong.length} checks fail`}.`
      : unread ? "It cannot be said whether it holds." : "Nothing was checked.";
    at("last").textContent = report.facts.join(" ");
    at("checks").replaceChildren(...report.checks.map(({ name, holds, sentence }) => {
      const [className, word] = STATES.get(holds), item = element("li", "", className), told = element("div", "");
      told.append(element("b", name), sentence);
      item.append(element("span", word, "state"), told);
      return item;
    }));
    list("warnings", report.warnings);
    list("claimed", report.claimed);
    result.className = `card ${report.holds ? "holds" : "fails"}`;
    result.hidden = false;
    result.focus();
  }

  /** What is missing in the form, as [where, sentence], or null. */
  function missing(person) {
    if (!at("key").value.trim()) return ["key", "Paste the log’s public key."];
    if (!at("file").files.length) return ["file", "Choose a file to check."];
    if (person !== null && !volition.pseudonyms(person).every(volition.isPseudonym)) return ["person", "A pseudonym is 32 lower-case hexadecimal digits."];
    return null;
  }

  let isBusy = false;

  async function submit(event) {
    event.preventDefault();
    if (isBusy) return;
    const person = at("person").value.trim() || null, wrong = missing(person);
    for (const id of ["key", "file", "person"]) at(id).removeAttribute("aria-invalid");
    at("result").hidden = true;
    if (wrong !== null) {
      at(wrong[0]).setAttribute("aria-invalid", "true");
      say(wrong[1], true);
      at(wrong[0]).focus();
      return;
    }
    isBusy = true;
    at("check").setAttribute("aria-disabled", "true");
    say("Reading …");
    try {
      const kept = await Promise.all([...at("kept").files].map(async (file) => ({ name: file.name, text: await file.text() })));
      const [file] = at("file").files, [policy] = at("policy").files;
      const given = { name: file.name, kept, notBefore: at("since").value || null, person, policy: policy ? await policy.text() : null };
      const report = await verify(await bytesOf(file), at("key").value, given, (name) => say(`Checking: ${name} …`));
      say("");
      show(report);
    } catch (error) {
      say(error instanceof volition.Refused ? error.message : `This could not be read: ${error.message}`, true);
    } finally {
      isBusy = false;
      at("check").removeAttribute("aria-disabled");
    }
  }

  at("form").addEventListener("submit", submit);
  Object.assign(volition, { verify });
})((globalThis.volition ??= {}));
