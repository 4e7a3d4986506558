// <volition-settings> and <volition-notice>: the AI switches of one person in a product's page; see docs/how-to/embed.md.
// No inline style or script, no eval, no HTML from text: it works under a strict content security policy.

const WORDS = {
  en: {
    state: { all: "Allowed", part: "Allowed in part", none: "Not allowed" },
    answer: {
      yes: "You said yes.",
      no: "You said no.",
      nothing: "You have not answered.",
      ended: "You said yes, and that has ended. It counts as a no.",
      mixed: "You have answered differently for different data.",
    },
    heading: "AI and your data",
    loading: "Loading …",
    failed: "Your settings cannot be shown right now.",
    failedAnswer: "Your answer could not be recorded. Please try again.",
    again: "Try again",
    yes: "Yes",
    no: "No",
    all: "Say no to everything",
    ifNo: "If you say no:",
    part: (title, data) => `${title}: ${data} will not be used.`,
    besides: (titles) => `This no also turns off: ${titles}.`,
    besidesNothing: "Nothing else is turned off.",
    forget: (days) => `What models have learned from that data, they must forget within ${days} days.`,
    noSay: "The terms give you no say in this.",
    limited: (name) => `${name} limits this: it is not used, whatever you answer.`,
    organisation: (name) => `What AI may do with your data at ${name}. A no takes effect at once.`,
    erased: "You were erased here: your data is no longer used, and there is nothing to choose.",
    nothing: "There is nothing to choose here.",
    said: (title, yes, entry) => `${title}: your ${yes ? "yes" : "no"} counts. It is entry ${entry} of the log.`,
    saidAll: (entry) => `Your no to everything counts. It is entry ${entry} of the log.`,
    on: (title) => `AI is on here: ${title}`,
    off: (title) => `AI is off here for your data: ${title}`,
    refuse: "Say no",
    allow: "Say yes",
  },
  de: {
    state: { all: "Erlaubt", part: "Teilweise erlaubt", none: "Nicht erlaubt" },
    answer: {
      yes: "Sie haben ja gesagt.",
      no: "Sie haben nein gesagt.",
      nothing: "Sie haben nicht geantwortet.",
      ended: "Sie haben ja gesagt, und das ist abgelaufen. Es zählt als nein.",
      mixed: "Sie haben für verschiedene Daten verschieden geantwortet.",
    },
    heading: "KI und Ihre Daten",
    loading: "Wird geladen …",
    failed: "Ihre Einstellungen können gerade nicht gezeigt werden.",
    failedAnswer: "Ihre Antwort konnte nicht festgehalten werden. Bitte noch einmal.",
    again: "Noch einmal",
    yes: "Ja",
    no: "Nein",
    all: "Zu allem nein sagen",
    ifNo: "Wenn Sie nein sagen:",
    part: (title, data) => `${title}: Nicht mehr benutzt: ${data}.`,
    besides: (titles) => `Dieses Nein schaltet außerdem aus: ${titles}.`,
    besidesNothing: "Sonst wird nichts ausgeschaltet.",
    forget: (days) => `Was Modelle aus diesen Daten gelernt haben, müssen sie innerhalb von ${days} Tagen vergessen.`,
    noSay: "Die Bedingungen geben Ihnen hier keine Wahl.",
    limited: (name) => `${name} schränkt dies ein: Es wird nicht benutzt, wie auch immer Sie antworten.`,
    organisation: (name) => `Was KI bei ${name} mit Ihren Daten tun darf. Ein Nein gilt sofort.`,
    erased: "Sie wurden hier gelöscht: Ihre Daten werden nicht mehr benutzt, und es gibt nichts zu wählen.",
    nothing: "Hier gibt es nichts zu wählen.",
    said: (title, yes, entry) => `${title}: Ihr ${yes ? "Ja" : "Nein"} gilt. Es ist Eintrag ${entry} im Protokoll.`,
    saidAll: (entry) => `Ihr Nein zu allem gilt. Es ist Eintrag ${entry} im Protokoll.`,
    on: (title) => `KI ist hier an: ${title}`,
    off: (title) => `KI ist hier für Ihre Daten aus: ${title}`,
    refuse: "Nein sagen",
    allow: "Ja sagen",
  },
};

const STYLE = `
:host { display: block;
  --text: var(--volition-text, light-dark(#1b1c20, #ececf0)); --quiet: var(--volition-quiet, light-dark(#555962, #b4b8c2));
  --back: var(--volition-background, light-dark(#fff, #17181c)); --line: var(--volition-border, light-dark(#767b86, #8a8f9b));
  --accent: var(--volition-accent, light-dark(#1d4ed8, #9db9ff)); --on: var(--volition-on-accent, light-dark(#fff, #101114));
  font-family: var(--volition-font, system-ui, sans-serif); font-size: var(--volition-size, 1rem); line-height: 1.5;
  color: var(--text); background: var(--back); }
:host([hidden]) { display: none; }
h2, h3, p, ul { margin: 0; } h2 { font-size: 1.25em; } h3 { font-size: 1.05em; }
.all { display: grid; gap: 1em; padding: 1em; }
section, .notice { display: grid; gap: .5em; padding: 1em; border: 1px solid var(--line); border-radius: var(--volition-radius, .5em); }
[role="status"]:not(:empty) { position: sticky; inset-block-end: 0; padding: .5em 1em; background: var(--back); }
.quiet { color: var(--quiet); } ul { padding-inline-start: 1.25em; }
.answers { display: grid; grid-template-columns: 1fr 1fr; gap: .5em; max-inline-size: 20em; }
button { font: inherit; min-block-size: 2.75em; padding: .4em 1em; color: var(--text); background: var(--back);
  border: 1px solid var(--line); border-radius: var(--volition-radius, .5em); cursor: pointer; }
button[aria-pressed="true"] { color: var(--on); background: var(--accent); border-color: var(--accent); font-weight: 600; }
button[aria-disabled="true"] { cursor: progress; }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (forced-colors: active) { button[aria-pressed="true"] { border-width: 4px; } }
`;

let sheet = null;

function styled() {
  if (sheet === null) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
  }
  return sheet;
}

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

class Embedded extends HTMLElement {
  #token = null;
  #busy = false;
  found = null;
  getToken = null;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [styled()];
    this.status = make("p", { role: "status" });
    this.body = make("div");
    this.shadowRoot.append(this.body, this.status);
  }

  #heard = (event) => event.target !== this && this.load();

  connectedCallback() {
    document.addEventListener("volition-answered", this.#heard); // of another element: what this one says is as old
    this.load();
  }

  disconnectedCallback() {
    document.removeEventListener("volition-answered", this.#heard);
  }

  get lang2() {
    const lang = (this.closest("[lang]")?.lang || navigator.language || "").slice(0, 2).toLowerCase();
    return lang in WORDS ? lang : "en";
  }

  get words() {
    return WORDS[this.lang2];
  }

  get server() {
    return this.getAttribute("server")?.replace(/\/+$/, "") ?? new URL(import.meta.url).origin;
  }

  async load() {
    this.tell(this.words.loading);
    try {
      this.found = await this.ask("GET");
      this.tell("");
      this.show();
    } catch {
      this.fail(this.words.failed);
    }
  }

  // The token is asked for anew, once, where it has ended or was revoked.
  async ask(method, document) {
    for (let isLast = false; ; isLast = true) {
      try {
        this.#token ??= await this.#mint();
        const answer = await fetch(`${this.server}/v1/settings`, {
          method,
          mode: "cors",
          credentials: "omit",
          cache: "no-store",
          referrerPolicy: "no-referrer",
          headers: { authorization: `Bearer ${this.#token}`, "accept-language": this.lang2, ...(document ? { "content-type": "application/json" } : {}) },
          body: document ? JSON.stringify(document) : undefined,
        });
        if (!answer.ok) throw new Error(`${answer.status}`);
        return await answer.json();
      } catch (error) {
        this.#token = null;
        if (isLast || !(error.message === "401" || error instanceof TypeError)) throw error;
      }
    }
  }

  async #mint() {
    if (this.getToken) return this.getToken();
    const answer = await fetch(this.getAttribute("token-from"), { credentials: "same-origin", cache: "no-store" });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return (await answer.json()).token;
  }

  async answer(document, said) {
    if (this.#busy) return;
    this.#busy = true;
    for (const button of this.shadowRoot.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
    try {
      const { entry, after } = await this.ask("POST", document);
      this.found = after;
      this.show();
      this.tell(said(entry));
      this.dispatchEvent(new CustomEvent("volition-answered", { bubbles: true, composed: true, detail: { ...document, entry } }));
    } catch {
      for (const button of this.shadowRoot.querySelectorAll("button")) button.removeAttribute("aria-disabled");
      this.tell(this.words.failedAnswer);
    } finally {
      this.#busy = false;
    }
  }

  tell(text) {
    this.status.textContent = text;
  }

  fail(text) {
    this.body.replaceChildren(make("div", { class: "all" }, make("p", { role: "alert" }, text),
      make("button", { type: "button", click: () => this.load() }, this.words.again)));
    this.tell("");
  }

  // What is drawn anew keeps the focus where it was.
  draw(...children) {
    const key = this.shadowRoot.activeElement?.dataset.key;
    this.body.replaceChildren(make("div", { class: "all", lang: this.lang2 }, ...children));
    if (key) this.shadowRoot.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }

  purpose(name) {
    const found = this.found.words.purposes[name];
    return found ? [found.title, found.does, found.without] : [name, null, null];
  }

  title(setting) {
    const [only, ...more] = setting.purposes;
    return !more.length && (setting.title === only || this.lang2 !== "en") ? this.purpose(only)[0] : setting.title;
  }

  listed(names) {
    return new Intl.ListFormat(this.lang2).format(names);
  }

  // What a no would turn off, from the state as the server has it, to be read before the click.
  without(setting) {
    const { words } = this;
    const said = setting.turns_off.map(({ purpose, whole, categories }) => {
      const [title, , without] = this.purpose(purpose);
      return whole && without ? without : words.part(title, this.listed(categories.map((one) => this.found.words.categories[one] ?? one)));
    });
    const besides = setting.turns_off.filter((one) => one.besides).map(({ purpose }) => this.purpose(purpose)[0]);
    if (setting.forget_days !== null) said.push(words.forget(setting.forget_days));
    said.push(besides.length ? words.besides(this.listed(besides)) : words.besidesNothing);
    return [make("p", {}, words.ifNo), make("ul", {}, ...[...new Set(said)].map((one) => make("li", {}, one)))];
  }

  button(setting, yes, label, isPressed = null) {
    const title = this.title(setting);
    return make("button", {
      type: "button",
      "data-key": `${setting.switch} ${yes}`,
      "aria-pressed": isPressed === null ? null : String(isPressed),
      "aria-label": `${label}: ${title}`,
      click: () => this.answer({ switch: setting.switch, answer: yes ? "yes" : "no" }, (entry) => this.words.said(title, yes, entry)),
    }, label);
  }
}

class VolitionSettings extends Embedded {
  show() {
    const { words, found } = this;
    const heard = found.settings.filter((one) => one.has_say);
    const why = found.erased ? words.erased : heard.length ? null : words.nothing;
    const all = found.can_refuse_all && !found.erased && make("button", {
      type: "button", "data-key": "all", click: () => this.answer({ answer: "no" }, (entry) => words.saidAll(entry)),
    }, words.all);
    this.draw(
      make("h2", {}, words.heading),
      make("p", { class: "quiet" }, words.organisation(found.organisation)),
      why === null ? null : make("p", {}, why),
      all || null,
      ...(found.erased ? [] : found.settings.map((one) => this.card(one))),
    );
  }

  card(setting) {
    const { words } = this;
    const does = setting.purposes.map((one) => this.purpose(one)[1]).filter(Boolean);
    const limited = setting.lines.every((one) => one.limited);
    return make("section", { "aria-label": this.title(setting) },
      make("h3", {}, this.title(setting)),
      ...does.map((one) => make("p", {}, one)),
      make("p", { class: "quiet" }, `${words.state[setting.state]}. ${setting.has_say ? words.answer[setting.answer] : words.noSay}`),
      limited ? make("p", {}, words.limited(this.found.organisation)) : null,
      ...(setting.has_say ? [...this.without(setting), make("div", { class: "answers", role: "group", "aria-label": this.title(setting) },
        this.button(setting, true, words.yes, setting.answer === "yes"),
        this.button(setting, false, words.no, setting.answer === "no"))] : []));
  }
}

class VolitionNotice extends Embedded {
  show() {
    const purpose = this.getAttribute("purpose");
    const setting = this.found.settings.find((one) => one.purposes.includes(purpose));
    this.hidden = !setting || this.found.erased;
    if (this.hidden) return;
    const { words } = this;
    const [title, does] = this.purpose(purpose);
    const isOn = setting.lines.some((one) => one.purpose === purpose && one.allowed);
    this.draw(make("div", { class: "notice", role: "group", "aria-label": isOn ? words.on(title) : words.off(title) },
      make("p", {}, make("strong", {}, isOn ? words.on(title) : words.off(title))),
      does ? make("p", {}, does) : null,
      ...(setting.has_say && isOn ? this.without(setting) : []),
      setting.has_say ? this.button(setting, !isOn, isOn ? words.refuse : words.allow) : make("p", { class: "quiet" }, words.noSay)));
  }
}

customElements.define("volition-settings", VolitionSettings);
customElements.define("volition-notice", VolitionNotice);
