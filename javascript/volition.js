// A client of Volition's HTTP API, for a product of one's own: a plain ES module without dependencies, for Node and others
// that have `fetch`. A token of the API is a secret of the server side: a page in a browser uses the component instead.
//
//   const volition = new Volition("https://privacy.example", { token: process.env.VOLITION_TOKEN });
//   if ((await volition.may("feature/search", { account: "acme", people: ["ada"], category: "content/chat" })).permitted) ...
//
// What it guarantees:
// - `may` answers "permitted" only by an answer of the server that the server's own leases still cover. What cannot be
//   asked, and is not held, is refused ("stale").
// - A write is carried out once: it is sent again, after a failure that lets it, under the same idempotency key.
// - A failure has the identifier that the server gave it.

const AGAIN = new Set([408, 429, 502, 503, 504]);
const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);
const MOST_HELD = 50_000;
const MOST_ASKED = 100_000;
const MOST_IMPORTED = 1_000; // in one document, so that few are longer than a server takes

export const STALE = Object.freeze({ permitted: false, reason: "stale" });

/** A failure that the server described (problem details, RFC 9457): `type` is the identifier for programs. */
export class ApiError extends Error {
  constructor({ type = "about:blank", status, title = `HTTP ${status}`, detail = "", errors = [] }, retryAfterMs = null) {
    super(`${status} ${title}: ${detail}`);
    this.name = "ApiError";
    Object.assign(this, { type, status, title, detail, errors, retryAfterMs });
  }
}

/** The server did not answer, or what answered is not it. A write may have been done, or not. */
export class UnreachableError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "UnreachableError";
  }
}

/** Answers of the gate, repeated for as long as the server lets them be. */
export class Holding {
  #held = new Map();
  #steady;
  #wall;

  // The first clock is never set, but may stand still while a machine is suspended; the second goes on, but may be set. An
  // answer is over as soon as either says so, or the second was set back.
  constructor(steady = () => performance.now(), wall = () => Date.now()) {
    this.#steady = steady;
    this.#wall = wall;
  }

  sending() {
    return { steady: this.#steady(), wall: this.#wall() };
  }

  keep(key, verdict, sent) {
    const forMs = Number.isFinite(verdict.good_for_ms) ? verdict.good_for_ms : 0;
    if (!this.#isGood({ sent, forMs })) return;
    if (this.#held.size >= MOST_HELD) this.#held.clear();
    this.#held.set(key, { verdict, sent, forMs });
  }

  find(key) {
    const found = this.#held.get(key);
    if (found === undefined) return null;
    if (this.#isGood(found)) return found.verdict;
    this.#held.delete(key);
    return null;
  }

  #isGood({ sent, forMs }) {
    const wall = this.#wall() - sent.wall;
    return this.#steady() - sent.steady < forMs && wall >= 0 && wall < forMs;
  }
}

export class Volition {
  #url;
  #token;
  #patienceMs;
  #mayPatienceMs;
  #fetch;
  #holding;

  constructor(url, { token, patienceMs = 10_000, mayPatienceMs = 2_000, holds = true, fetch = globalThis.fetch } = {}) {
    const { protocol, hostname } = new URL(url);
    if (protocol !== "https:" && !(protocol === "http:" && LOOPBACK.has(hostname))) {
      throw new TypeError(`By ${url} the token would cross the network in the clear. Use https.`);
    }
    this.#url = url.replace(/\/+$/, "");
    this.#token = token;
    this.#patienceMs = patienceMs;
    this.#mayPatienceMs = mayPatienceMs;
    this.#fetch = fetch;
    this.#holding = holds ? new Holding() : null;
  }

  /** May this be used? Where the server does not answer, and nothing is held, it is a refusal: "stale". */
  async may(purpose, question) {
    const key = JSON.stringify([purpose, ...["account", "people", "category", "collected", "conversation"].map((name) => question[name] ?? null)]);
    const held = this.#holding?.find(key);
    if (held) return held;
    let sent;
    try {
      const verdict = await this.#send("POST", "/v1/may", {
        document: { purpose, ...question, ...(this.#holding ? { hold: true } : {}) },
        patienceMs: this.#mayPatienceMs,
        before: () => { sent = this.#holding?.sending(); },
      });
      if (!isVerdict(verdict)) return STALE;
      this.#holding?.keep(key, verdict, sent);
      return verdict;
    } catch (error) {
      if (isAtFault(error)) throw error;
      return STALE;
    }
  }

  /** Ask many questions at once; none is answered from what is held. */
  async mayMany(purpose, questions) {
    const found = [];
    for (let start = 0; start < questions.length; start += MOST_ASKED) {
      const part = questions.slice(start, start + MOST_ASKED);
      let answers = [];
      try {
        ({ answers } = await this.#send("POST", "/v1/may", { document: { purpose, questions: part }, patienceMs: this.#mayPatienceMs }));
      } catch (error) {
        if (isAtFault(error)) throw error;
      }
      const isWhole = Array.isArray(answers) && answers.length === part.length && answers.every(isVerdict);
      found.push(...(isWhole ? answers : part.map(() => STALE)));
    }
    return found;
  }

  /** Say yes or no for a party, once. When it returns, a no is in force everywhere. */
  async decide(decision) {
    return this.#send("POST", "/v1/decisions", { document: decision, isWrite: true });
  }

  /** Add accounts, however many; the same ones again change nothing. It takes a token of the operator. */
  async importAccounts(accounts, { dryRun = false } = {}) {
    return this.#import("accounts", accounts, { dry_run: dryRun });
  }

  /** Add people, however many; the same ones again change nothing. It takes a token of the operator. */
  async importPeople(people, { dryRun = false } = {}) {
    return this.#import("people", people, { dry_run: dryRun });
  }

  /** Import answers that were given elsewhere, each with when it was said; the same ones again change nothing. */
  async importDecisions(source, decisions, { dryRun = false } = {}) {
    return this.#import("decisions", decisions, { source, dry_run: dryRun });
  }

  async #import(what, given, said) {
    const done = { dry_run: said.dry_run, new: 0, known: 0, set_aside: 0, rows: [] };
    for (let start = 0; start < given.length; start += MOST_IMPORTED) {
      const part = { ...said, [what]: given.slice(start, start + MOST_IMPORTED) };
      const told = await this.#send("POST", `/v1/${what}:batch`, { document: part, isWrite: true });
      for (const name of ["new", "known", "set_aside"]) done[name] += told[name];
      done.rows.push(...told.rows.map(({ line, why }) => ({ line: line + start, why })));
    }
    return done;
  }

  /** Return every switch of a party; by default the token owner's. */
  async settings({ party, account } = {}) {
    return this.#send("GET", "/v1/settings", { query: { party, account } });
  }

  /** Answer a switch once, or everything with no; return the switches as they stand then. */
  async answer(setting) {
    return (await this.#send("POST", "/v1/settings", { document: setting, isWrite: true })).after;
  }

  /** Yield the token owner's decisions, oldest first. */
  async *decisions() {
    let cursor;
    do {
      const page = await this.#send("GET", "/v1/decisions", { query: { cursor } });
      yield* page.items;
      cursor = page.next;
    } while (cursor);
  }

  /** Yield what changed after a cursor, and what changes from now on; with `waitS` 0, what there is. */
  async *changes(after = "0", { waitS = 30 } = {}) {
    for (;;) {
      const page = await this.#send("GET", "/v1/changes", {
        query: { after, wait: waitS || undefined },
        patienceMs: this.#patienceMs + waitS * 1000,
      });
      yield* page.items;
      after = page.next;
      if (!waitS && !page.behind) return;
    }
  }

  async #send(method, path, { query = {}, document, patienceMs = this.#patienceMs, isWrite = false, before = () => {} } = {}) {
    const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
    const address = `${this.#url}${path}${asked.length ? `?${new URLSearchParams(asked)}` : ""}`;
    const headers = { authorization: `Bearer ${this.#token}`, accept: "application/json" };
    if (document !== undefined) headers["content-type"] = "application/json";
    if (isWrite) headers["idempotency-key"] = crypto.randomUUID();
    const until = performance.now() + patienceMs;
    let pauseMs = 100;
    let isUnheard = false;
    for (;;) {
      try {
        before();
        const left = Math.max(50, until - performance.now());
        return await this.#once(address, { method, headers, body: document && JSON.stringify(document) }, left);
      } catch (error) {
        const isApi = error instanceof ApiError;
        if (isApi && !AGAIN.has(error.status) && !(isUnheard && error.status === 409)) throw error;
        isUnheard ||= !isApi;
        const wait = Math.max(pauseMs * (0.5 + Math.random()), (isApi && error.retryAfterMs) || 0);
        if (performance.now() + wait >= until) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
        pauseMs = Math.min(pauseMs * 2, 5_000);
      }
    }
  }

  async #once(address, request, withinMs) {
    const path = new URL(address).pathname;
    let answer, text;
    try {
      answer = await this.#fetch(address, { ...request, redirect: "error", signal: AbortSignal.timeout(Math.ceil(withinMs)) });
      text = await answer.text();
    } catch (error) {
      throw new UnreachableError(`${path} was not answered: ${error.message}`, { cause: error });
    }
    let found = null;
    try {
      found = JSON.parse(text);
    } catch (error) {
      if (answer.ok) throw new UnreachableError(`${path} answered what is not of this API`, { cause: error });
    }
    if (answer.ok) return found;
    const after = Number(answer.headers.get("retry-after") ?? NaN);
    throw new ApiError({ ...(found ?? {}), status: answer.status }, Number.isFinite(after) ? after * 1000 : null);
  }
}

function isVerdict(found) {
  return typeof found === "object" && found !== null && typeof found.permitted === "boolean";
}

// Whether the caller has to be told, since asking again would change nothing: a fault of theirs.
function isAtFault(error) {
  if (!(error instanceof ApiError)) return !(error instanceof UnreachableError);
  return error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 429;
}
