"use strict";
/* The replay: from entries to "may this row be used?". Written from docs/formats/permits.md; the names are those of that page.
   Instants are BigInts of microseconds. */
(function (volition) {
  const { need, us, looseUs, isText, isObject } = volition;

  const CATEGORIES = ("service/usage service/telemetry service/diagnostics content/audio content/video content/chat"
    + " content/transcript content/files").split(" ");
  const PURPOSES = ("train/search train/recommend train/summary train/compose train/diagnose train/speech feature/search"
    + " feature/recommend feature/summary feature/compose feature/diagnose feature/transcribe advertising tracking").split(" ");
  const EEA = new Set("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split(" "));
  const COUNTRIES = new Set([...EEA, ...("AD AE AF AG AI AL AM AO AQ AR AS AU AW AX AZ BA BB BD BF BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY"
    + " BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX DJ DM DO DZ EC EG EH ER ET FJ FK FM FO GA GB"
    + " GD GE GF GG GH GI GL GM GN GP GQ GS GT GU GW GY HK HM HN HT ID IL IM IN IO IQ IR JE JM JO JP KE KG"
    + " KH KI KM KN KP KR KW KY KZ LA LB LC LK LR LS LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MU"
    + " MV MW MX MY MZ NA NC NE NF NG NI NP NR NU NZ OM PA PE PF PG PH PK PM PN PR PS PW PY QA RE RS RU RW"
    + " SA SB SC SD SG SH SJ SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW"
    + " TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW").split(" ")]);
  const DAY = 86_400_000_000n, WRITING = 60_000_000n;
  const BEGINNING = -(2n ** 62n);

  const later = (...all) => all.reduce((one, other) => (other > one ? other : one));
  const earlier = (...all) => all.reduce((one, other) => (other < one ? other : one));
  const ascending = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
  const covers = (name, leaf) => leaf === name || leaf.startsWith(`${name}/`);
  const asList = (words) => (isText(words) ? [words] : words ?? []);

  const isName = (name) => isText(name) && /^[a-z][a-z0-9_-]{0,31}(\/[a-z0-9][a-z0-9_-]{0,31})?$/.test(name);
  const rootOf = (name) => name.split("/", 1)[0];

  const naming = new WeakMap();

  /** The leaves that the rules of a version can name: of the kind "category", or "purpose". */
  function nameable(version, kind) {
    if (!naming.has(version)) naming.set(version, {});
    const known = naming.get(version);
    if (!known[kind]) {
      const own = (version[kind] ?? []).map((one) => one.name);
      const single = own.filter((name) => !own.some((other) => other.startsWith(`${name}/`)));
      known[kind] = [...(kind === "category" ? CATEGORIES : PURPOSES), ...single];
    }
    return known[kind];
  }

  /** What a no reaches, of all leaves after a version was read, where it reached `said` of those before. */
  function widened(said, before, after) {
    const roots = new Set(before.map(rootOf));
    for (const leaf of before) if (!said.has(leaf)) roots.delete(rootOf(leaf));
    const every = before.every((leaf) => said.has(leaf));
    return new Set([...said, ...after.filter((leaf) => !before.includes(leaf) && (every || roots.has(rootOf(leaf))))]);
  }

  const isRegion = (text) => /^[A-Z]{2}(-[A-Z0-9]{1,3})?$/.test(text) && COUNTRIES.has(text.slice(0, 2));

  function leaves(names, universe, what) {
    need((Array.isArray(names) && names.length > 0 && names.every(isText)), `${what} names nothing.`);
    for (const name of names) need(universe.some((leaf) => covers(name, leaf)), `${what} names "${name}", which covers nothing.`);
    return new Set(universe.filter((leaf) => names.some((name) => covers(name, leaf))));
  }

  const push = (map, key, value) => {
    if (!map.has(key)) map.set(key, []);
    map.get(key).push(value);
  };

  class History {
    constructor() {
      this.published = new Map();
      this.accepted = new Map();
      this.decisions = new Map();
      this.signals = new Map();
      this.regions = new Map();
      this.limits = new Map();
      this.members = new Map();
      this.exclusions = [];
      this.erased = new Map();
      this.namesakes = new Map();
      this.categories = CATEGORIES; // known so far
      this.purposes = PURPOSES;
      this.content = new Set(CATEGORIES.filter((leaf) => covers("content", leaf)));
      this.forget();
    }

    /** What a version declares is known from now on, and each no reaches what is new. */
    declare(version) {
      const categories = [...new Set([...this.categories, ...nameable(version, "category")])];
      const purposes = [...new Set([...this.purposes, ...nameable(version, "purpose")])];
      const noes = [...this.decisions.values()].flat().filter((one) => !one.yes);
      for (const one of [...noes, ...new Set([...this.limits.values()].flat()), ...this.exclusions]) {
        one.purpose = widened(one.purpose, this.purposes, purposes);
        if (one.data) one.data = widened(one.data, this.categories, categories);
      }
      [this.categories, this.purposes] = [categories, purposes];
      for (const one of version.category ?? []) if (one.content && categories.includes(one.name)) this.content.add(one.name);
    }

    /** Forget what was computed from fewer entries. */
    forget() {
      this.bindings = new Map();
      this.permits = new Map();
    }

    /** Add one entry. */
    read(entry) {
      const { kind, body, us: at } = entry;
      const what = `Entry ${entry.seq} (${kind})`;
      const add = READ[kind];
      if (add === undefined) return;
      this.forget();
      for (const [key, is] of Object.entries(FIELDS[kind])) {
        const right = Object.hasOwn(body, key) ? is(body[key]) : OPTIONAL.has(key);
        need(right, `${what} has no "${key}" of the right form: nothing can be said of this log.`);
      }
      add(this, body, at, what);
      if ((kind === "decision" || kind === "signal") && "namesake" in body) {
        for (const [one, other] of [[body.party, body.namesake], [body.namesake, body.party]]) {
          if (!this.namesakes.has(one)) this.namesakes.set(one, new Map());
          if (!this.namesakes.get(one).has(other)) this.namesakes.get(one).set(other, at);
        }
      }
    }
  }

  const isAccount = (value) => isText(value) && /^[^\x00-\x20](?:[^\x00-\x1f]*[^\x00-\x20])?$/s.test(value);
  const isParty = (value) => isText(value) && (value.startsWith("account:") ? isAccount(value.slice(8)) : /^person:([0-9a-f]{32}|unknown)$/.test(value));
  const isPersons = (value) => Array.isArray(value) && value.every((one) => isParty(one) && one.startsWith("person:"));
  const isBoolean = (value) => typeof value === "boolean";
  const isNames = (value) => Array.isArray(value) && value.length > 0 && value.every(isText);
  const isTexts = (value) => Array.isArray(value) && value.every(isText);
  const CONVERSATIONS = ["meeting", "channel", "file", "written", "written-to-all"];
  const ACTS = ["alias", "rename", "merge", "apart", "move", "leave"];
  const isHex = (value, length) => isText(value) && value.length === length && /^[0-9a-f]*$/.test(value);
  const CLAIM = { said: isText, by: (value) => value === "operator" || isParty(value), source: (value) => isText(value) && /^[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,99}$/.test(value),
    id: (value) => isHex(value, 32), wording: (value) => isHex(value, 64) };
  const isClaim = (value) => isObject(value) && ["said", "by", "source"].every((key) => Object.hasOwn(value, key))
    && Object.entries(value).every(([key, one]) => Object.hasOwn(CLAIM, key) && CLAIM[key](one));
  const OPTIONAL = new Set(["until", "claim", "namesake", "same_as"]);
  const FIELDS = {
    terms: { terms: isObject, binds: isText },
    acceptance: { account: isAccount, terms: isText },
    decision: { party: isParty, answer: (value) => value === "yes" || value === "no", data: isNames, purpose: isNames,
      covers: (value) => value === null || isText(value), until: isText, claim: isClaim, namesake: isParty, same_as: isParty },
    signal: { party: isParty, signal: (value) => value === "gpc", namesake: isParty, same_as: isParty },
    region: { party: isParty, region: (value) => isText(value) && isRegion(value) },
    limit: { account: isAccount, group: isText, data: isNames, purpose: isNames, limited: isBoolean, people: isPersons },
    sharing: { account: isAccount, conversation: (value) => CONVERSATIONS.includes(value), source: isText, shared: isBoolean,
      by: (value) => value === "operator" || value === "source" || isParty(value), with: (value) => Array.isArray(value) && value.every(isParty) },
    identity: { act: (value) => ACTS.includes(value), people: isPersons, by: (value) => value === "operator" || isParty(value) },
    notice: { account: isAccount, terms: isText, ends: isText },
    collect: { records: (value) => volition.isCount(value) && value > 0, root: volition.isDigest },
    exclusion: { account: isAccount, conversation: (value) => isText(value) && /^([0-9a-f]{16}){1,2}$/.test(value), party: isParty, purpose: isNames, excluded: isBoolean, namesake: isParty, same_as: isParty },
    erasure: { party: isParty, same_as: isParty },
  };
  const READ = {
    terms(h, body, at) {
      const version = body.terms;
      if (!h.published.has(version.id)) {
        h.published.set(version.id, { version, binds: later(looseUs(body.binds), at), at, order: h.published.size });
        h.declare(version);
      }
    },
    acceptance(h, body, at, what) {
      need(h.published.has(body.terms), `${what} accepts terms that were never published.`);
      push(h.accepted, body.account, { at, name: body.terms });
    },
    decision(h, body, at, what) {
      const yes = body.answer === "yes";
      const until = "until" in body ? looseUs(body.until) : null;
      const back = body.covers === null ? null : body.covers === "past" ? BEGINNING : looseUs(body.covers);
      const said = "claim" in body ? looseUs(body.claim.said) : at;
      need(!("claim" in body) || (said >= 0n && said <= at && back === null), `${what} was said in the future, long ago, or reaches back.`);
      push(h.decisions, body.party, {
        yes, at: said, recorded: at, covers: back, data: leaves(body.data, h.categories, what), purpose: leaves(body.purpose, h.purposes, what),
        until: yes ? until : null, copy: "namesake" in body,
      });
    },
    signal(h, body, at) {
      push(h.signals, body.party, { at, name: body.signal, copy: "namesake" in body });
    },
    region(h, body, at) {
      push(h.regions, body.party, { at, place: body.region });
    },
    limit(h, body, at, what) {
      const { account, group, limited, people } = body;
      need(!(people.length && !group) && !(group && limited && !people.length), `${what}: a lock names nobody, a limit of a group names its people.`);
      const name = JSON.stringify([account, group]);
      if (!h.members.has(name)) h.members.set(name, new Set());
      const members = h.members.get(name);
      for (const one of group ? (limited ? people : []) : [`account:${account}`]) members.add(one);
      const said = { account, group, limited, at, data: leaves(body.data, h.categories, what), purpose: leaves(body.purpose, h.purposes, what) };
      for (const party of people.length ? new Set(people) : members) push(h.limits, party, said);
    },
    exclusion(h, body, at, what) {
      h.exclusions.push({ account: body.account, conversation: body.conversation, party: body.party, at,
        purpose: leaves(body.purpose, h.purposes, what), excluded: body.excluded, by: body.namesake ?? body.party });
    },
    sharing() {}, // it bears on who may read, never on permission
    identity(h, { act, people }, at, what) {
      need(act !== "merge" || (people.length === 2 && people[0] !== people[1] && !people.includes("person:unknown")), `${what} merges not two people.`);
    },
    notice(h, body) {
      looseUs(body.ends);
    },
    collect(h, body, at, what) {
      volition.exactly(body, ["records", "root"], what);
    },
    erasure(h, body, at) {
      if (!h.erased.has(body.party)) h.erased.set(body.party, at);
    },
  };

  // The rule of a use.

  function matches(rule, region) {
    const places = asList(rule.region);
    return !places.length || (region !== null
      && (places.includes(region) || places.includes(region.slice(0, 2)) || (places.includes("EEA") && EEA.has(region.slice(0, 2)))));
  }

  /** How specific a rule is for a use, or null where it does not apply: the larger text wins. */
  function rank(rule, category, purpose, region) {
    if (!matches(rule, region)) return null;
    const data = asList(rule.data).filter((name) => covers(name, category)).map((name) => name.length);
    const uses = asList(rule.purpose).filter((name) => covers(name, purpose)).map((name) => name.length);
    if (!data.length || !uses.length) return null;
    return (asList(rule.region).length ? 10_000 : 0) + Math.max(...data) * 100 + Math.max(...uses);
  }

  const governing = new WeakMap();

  function ruleOf(version, category, purpose, region) {
    if (!governing.has(version)) governing.set(version, new Map());
    const known = governing.get(version), name = `${category} ${purpose} ${region}`;
    if (!known.has(name)) {
      let best = null, most = -1;
      const isKnown = nameable(version, "category").includes(category) && nameable(version, "purpose").includes(purpose);
      for (const rule of isKnown ? version.rule : []) {
        const here = rank(rule, category, purpose, region);
        if (here !== null && here > most) [best, most] = [rule, here];
      }
      known.set(name, best);
    }
    return known.get(name);
  }

  const WORDS = { account: ["account"], first: ["person", "everyone"], other: ["everyone"] };

  /** 2: asked. 1: may refuse. 0: no say. */
  function say(rule, role) {
    if (rule === null) return 0;
    const asks = asList(rule.asks), refuses = asList(rule.refusable_by);
    if (role === "alternate") return WORDS.first.some((word) => asks.includes(word) || refuses.includes(word)) ? 1 : 0;
    return WORDS[role].some((word) => asks.includes(word)) ? 2 : WORDS[role].some((word) => refuses.includes(word)) ? 1 : 0;
  }

  function age(rule, key) {
    const text = rule[key];
    return text === undefined ? null : text.endsWith("d") ? BigInt(text.slice(0, -1)) * DAY : BigInt(text.slice(0, -2));
  }

  // Which terms bind an account.

  const loosened = new WeakMap();

  function newlyAllows(old, now) {
    if (!loosened.has(now)) loosened.set(now, new Map());
    const known = loosened.get(now);
    if (!known.has(old)) {
      const named = new Set([old, now].flatMap((one) => (one ? one.rule.flatMap((rule) => asList(rule.region)) : [])));
      const places = [null, ...new Set([...named, ...(named.has("EEA") ? EEA : [])])].filter((one) => one !== "EEA");
      const all = (kind) => [...new Set([...(old ? nameable(old, kind) : []), ...nameable(now, kind)])];
      const isSooner = old !== null && (now.notice_days ?? 30) < (old.notice_days ?? 30);
      known.set(old, isSooner || all("category").some((category) => all("purpose").some((purpose) => places.some((place) => loosens(old, now, category, purpose, place)))));
    }
    return known.get(old);
  }

  const longer = (old, now) => old !== now && (now === null || (old !== null && old < now));

  function signalsFor(version, purpose) {
    return Object.entries(version.signal ?? {}).filter(([, heard]) => asList(heard.refuses).some((one) => covers(one, purpose))).map(([name]) => name);
  }

  function loosens(old, now, category, purpose, place) {
    const before = old ? ruleOf(old, category, purpose, place) : null, after = ruleOf(now, category, purpose, place);
    if (after === null || after.basis === "never") return false;
    if (before === null || before.basis === "never") return true;
    const roles = ["account", "first", "other"];
    const was = roles.map((role) => say(before, role)), is = roles.map((role) => say(after, role));
    const lasting = was.some((one, place) => one === 2 && is[place] === 2) && longer(age(before, "max_yes_age"), age(after, "max_yes_age"));
    const heard = signalsFor(now, purpose);
    const ignored = was.some(Boolean) && is.some(Boolean) && signalsFor(old, purpose).some((name) => !heard.includes(name));
    return was.some((one, place) => one > is[place]) || longer(age(before, "max_age"), age(after, "max_age")) || lasting
      || ((before.scrub ?? true) && !(after.scrub ?? true)) || ignored;
  }

  function inForce(steps) {
    const found = [];
    let newest = -1;
    const order = (one, other) => ascending(one.start, other.start) || one.order - other.order || Number(one.accepted) - Number(other.accepted);
    for (const step of [...steps].sort(order)) {
      if (!step.accepted && step.order <= newest) continue;
      if (found.length && found[found.length - 1].start === step.start) found.pop();
      found.push({ start: step.start, version: step.version });
      newest = step.order;
    }
    return found;
  }

  function noticed(version, binds, steps, known) {
    const forces = inForce(steps);
    for (let start = binds; ; ) {
      const end = start;
      const before = forces.filter((one) => one.start <= known).slice(-1).map((one) => one.version);
      const between = forces.filter((one) => known < one.start && one.start < end).map((one) => one.version);
      for (const old of [...(before.length ? before : [null]), ...between]) {
        if (!newlyAllows(old, version)) continue;
        const days = Math.max(version.notice_days ?? 30, old ? old.notice_days ?? 30 : 0);
        start = later(start, known + BigInt(days) * DAY);
      }
      if (start === end) return start;
    }
  }

  function stepsOf(h, account) {
    const accepted = h.accepted.get(account) ?? [], steps = [];
    for (const { at, name } of accepted) {
      const { version, order } = h.published.get(name);
      steps.push({ start: later(at, looseUs(version.effective)), order, accepted: true, version });
    }
    for (const { version, binds, at, order } of accepted.length ? h.published.values() : []) {
      if (version.acceptance !== "continued-use" || binds <= accepted[0].at) continue;
      steps.push({ start: noticed(version, binds, steps, later(at - WRITING, accepted[0].at)), order, accepted: false, version });
    }
    return steps;
  }

  function binding(h, account) {
    if (!h.bindings.has(account)) h.bindings.set(account, inForce(stepsOf(h, account)));
    return h.bindings.get(account);
  }

  // Allowed at one instant.

  function region(h, party, account, at) {
    for (const whose of [party, `account:${account}`]) {
      const known = (h.regions.get(whose) ?? []).filter((one) => one.at <= at);
      if (known.length) return known[known.length - 1].place;
    }
    return null;
  }

  function rulesAt(h, use, at, asked) {
    const bound = binding(h, use.account).filter((one) => one.start <= asked);
    let now = bound.filter((one) => one.start <= at);
    if (!now.length && use.role !== "account") now = bound.slice(0, 1);
    if (!now.length) return { version: null, rules: [] };
    const { version } = now[now.length - 1];
    const whose = [use.party, `account:${use.account}`, ...use.people];
    return { version, rules: whose.map((one) => ruleOf(version, use.category, use.purpose, region(h, one, use.account, at))) };
  }

  /** The decisions and signals of a party that bear on a use, as far as they were recorded when it is asked. */
  function answers(h, use, asked) {
    const own = use.role === "alternate";
    return {
      said: (h.decisions.get(use.party) ?? []).filter((one) => one.recorded <= asked && !(own && one.copy)
        && one.data.has(use.category) && one.purpose.has(use.purpose)),
      signals: (h.signals.get(use.party) ?? []).filter((one) => !(own && one.copy)),
    };
  }

  function limited(h, use, at) {
    const newest = new Map();
    const order = (one, other) => ascending(one.at, other.at) || Number(one.limited) - Number(other.limited);
    for (const one of [...(h.limits.get(use.party) ?? [])].sort(order)) {
      if (one.account === use.account && one.at <= at && one.data.has(use.category) && one.purpose.has(use.purpose)) newest.set(one.group, one.limited);
    }
    return [...newest.values()].some(Boolean);
  }

  /** null if allowed, else the reason. */
  function allowed(h, use, at, asked) {
    const erased = h.erased.get(use.party);
    if (erased !== undefined && erased <= at) return "erased";
    const { version, rules } = rulesAt(h, use, at, asked);
    if (version === null) return "no-terms";
    if (rules[0] === null || rules[0].basis === "never") return "never";
    if (limited(h, use, at) && rules.some((rule) => say(rule, "account"))) return "limited";
    const askedOf = Math.max(...rules.map((rule) => say(rule, use.role)));
    if (!askedOf) return null;
    if (use.party === "person:unknown") return "unknown-party";
    const { said, signals } = answers(h, use, asked);
    const heard = signalsFor(version, use.purpose);
    const yes = said.filter((one) => one.yes && one.at <= at);
    const noes = [...said.filter((one) => !one.yes && one.at <= at), ...signals.filter((one) => one.at <= at && heard.includes(one.name))];
    const last = yes.length ? later(...yes.map((one) => one.at)) : null;
    if (noes.length) {
      const no = later(...noes.map((one) => one.at));
      if (last === null || no >= last) return yes.length && earlier(...yes.map((one) => one.at)) < no ? "withdrawn" : "said-no";
    }
    if (askedOf === 2 && last === null) return "not-asked";
    const ends = yes.filter((one) => one.at === last && one.until !== null).map((one) => one.until);
    for (const rule of rules.filter((one) => say(one, use.role) === 2)) {
      const lasts = age(rule, "max_yes_age");
      if (lasts !== null && last !== null) ends.push(last + lasts);
    }
    return ends.length && earlier(...ends) <= at ? "expired" : null;
  }

  // The permit.

  function changes(h, use, at) {
    const { said, signals } = answers(h, use, at);
    const found = new Set([BEGINNING, ...binding(h, use.account).map((one) => one.start)]);
    const ages = new Set([...h.published.values()].flatMap(({ version }) => version.rule.map((rule) => age(rule, "max_yes_age"))));
    for (const one of said) {
      found.add(one.at);
      if (one.until !== null) found.add(one.until);
      if (one.yes) for (const lasts of ages) if (lasts !== null) found.add(one.at + lasts);
    }
    for (const one of [...signals, ...(h.limits.get(use.party) ?? [])]) found.add(one.at);
    for (const whose of [use.party, `account:${use.account}`, ...use.people]) for (const one of h.regions.get(whose) ?? []) found.add(one.at);
    if (h.erased.has(use.party)) found.add(h.erased.get(use.party));
    return [...found].filter((one) => one <= at).sort(ascending);
  }

  function permit(h, use, at) {
    const name = JSON.stringify([use.account, use.party, use.role, use.category, use.purpose, use.people, String(at)]);
    if (!h.permits.has(name)) h.permits.set(name, findPermit(h, use, at));
    return h.permits.get(name);
  }

  function findPermit(h, use, at) {
    const reason = allowed(h, use, at, at);
    if (reason !== null) return { reason };
    let since = at;
    for (const instant of changes(h, use, at).reverse()) {
      if (allowed(h, use, instant, at) !== null) break;
      since = instant;
    }
    const back = answers(h, use, at).said.filter((one) => one.yes && one.covers !== null && since <= one.at && one.at <= at).map((one) => one.covers);
    return { reason: null, since: earlier(since, ...back), oldest: age(rulesAt(h, use, at, at).rules[0], "max_age") };
  }

  /** The party for whom a conversation that a record could be of is left out of the purpose, or null. */
  function leftOut(h, record, purpose, at) {
    const where = record.conversation;
    if (where === "") return null;
    const ofAccount = h.exclusions.filter((one) => one.account === record.account);
    const could = (one) => one.conversation === where || (where === null && h.content.has(record.category));
    for (const party of [`account:${record.account}`, ...record.people]) {
      const standing = new Map();
      for (const one of ofAccount) {
        if (could(one) && one.party === party && one.at <= at && one.purpose.has(purpose)) {
          standing.set(JSON.stringify([one.conversation, one.by]), one.excluded);
        }
      }
      if ([...standing.values()].some(Boolean)) return party;
    }
    return null;
  }

  function uses(h, record, purpose, at) {
    const { account, people, category } = record;
    const namesakes = h.namesakes.get(people[0]) ?? new Map();
    const roles = [["account", `account:${account}`]];
    people.forEach((person, place) => {
      roles.push([place ? "other" : "first", person]);
      if (place && namesakes.has(person) && namesakes.get(person) <= at) roles.push(["alternate", person]);
    });
    return roles.map(([role, party]) => ({ account, party, role, category, purpose, people }));
  }

  /** null if every row of a group may be used at `at`, else the reason. A record has its earliest and latest instant. */
  function may(h, record, purpose, at) {
    if (!record.people.length) return { reason: "unknown-party", party: `account:${record.account}` };
    if (!h.categories.includes(record.category) || !h.purposes.includes(purpose)) return { reason: "never", party: `account:${record.account}` };
    const asked = uses(h, record, purpose, at).map((use) => ({ use, ...permit(h, use, at) }));
    for (const { reason, use } of asked) if (reason !== null) return { reason, party: use.party };
    const out = leftOut(h, record, purpose, at);
    if (out !== null) return { reason: "excluded", party: out };
    for (const { since, use } of asked) if (record.earliest < since) return { reason: "before-yes", party: use.party };
    for (const { oldest, use } of asked) {
      if (oldest !== null && record.earliest < at - oldest) return { reason: "too-old", party: use.party };
    }
    return record.latest <= at ? null : { reason: "later", party: `account:${record.account}` };
  }

  // Publications.

  /** What is wrong with a publication, given what was read before it; null if nothing is. */
  function publicationFault(h, body, at) {
    const version = body.terms, binds = looseUs(body.binds);
    if (h.published.has(version.id)) return `the terms ${version.id} were published before`;
    if (binds < at - WRITING) return "the terms bind from an instant in the past";
    const from = later(binds, at);
    let earliest = from;
    for (const [account, accepted] of h.accepted) {
      earliest = later(earliest, noticed(version, from, stepsOf(h, account), later(at, accepted[0].at)));
    }
    return from < earliest - WRITING ? "the terms bind before their notice period ends" : null;
  }

  Object.assign(volition, {
    CATEGORIES, PURPOSES, isName, nameable, rootOf, EEA, DAY, WRITING, History, covers, asList, ruleOf, rank, say, age, later, earlier, ascending, signalsFor,
    changes, permit, leftOut, uses, may, binding, publicationFault, isParty, isRegion, leaves,
  });
})((globalThis.volition ??= {}));
