"use strict";
/* The form of a terms version. Written from docs/formats/entries.md, "terms". */
(function (volition) {
  const { need, isText, isObject, CATEGORIES, PURPOSES, EEA, asList, covers, nameable, rootOf } = volition;

  /** Refuse a list of words that holds an unknown one, or one twice, or nothing. */
  function words(value, known, what) {
    const list = asList(value);
    need(Array.isArray(list) && list.length > 0 && list.every(isText), `${what} is no list of words.`);
    for (const one of list) need(known(one), `${what} has "${one}", which does not exist.`);
    need(new Set(list).size === list.length, `${what} has a word twice.`);
  }

  const among = (leaves) => (name) => leaves.some((leaf) => covers(name, leaf));

  const KEYS = { category: ["name", "words", "content", "briefly"], purpose: ["name", "title", "does", "without", "briefly"] };
  const TAKEN = ["account", "person", "signal", "advertising", "tracking"];
  const isLine = (value) => isText(value) && value.trim() !== "" && Array.from(value).length <= 200 && !/[\r\n]/.test(value);

  /** Refuse a declared name of another form, or one that is taken. */
  function checkDeclared(version, what) {
    const kinds = new Map([...CATEGORIES.map((leaf) => [rootOf(leaf), "category"]), ...PURPOSES.map((leaf) => [rootOf(leaf), "purpose"])]);
    const names = new Set([...CATEGORIES, ...PURPOSES, ...kinds.keys()]), built = names.size;
    let count = 0;
    for (const [kind, keys] of Object.entries(KEYS)) {
      need(Array.isArray(version[kind] ?? []), `"${kind}" of ${what} is no list.`);
      for (const one of version[kind] ?? []) {
        volition.exactly(one, keys, `a ${kind} of ${what}`);
        need(volition.isName(one.name), `${what} declare what is no name.`);
        need(keys.every((key) => key === "content" ? typeof one[key] === "boolean" : isLine(one[key])), `"${one.name}" of ${what} is not of its form.`);
        const root = rootOf(one.name);
        need(!TAKEN.includes(root) && (kinds.get(root) ?? kind) === kind && !names.has(one.name), `"${one.name}" of ${what} is taken.`);
        kinds.set(root, kind);
        names.add(one.name);
        need(!["service", "content"].includes(root) || one.content === (root === "content"), `"${one.name}" of ${what} contradicts its root.`);
        count += 1;
      }
    }
    for (const one of version.category ?? []) need(one.name.includes("/") || !nameable(version, "category").includes(one.name), `"${one.name}" of ${what} has nothing below it.`);
    need(count <= 100 && names.size === built + count, `${what} declare too much.`);
  }
  const place = (name) => name === "EEA" || volition.isRegion(name);
  const role = (name) => ["account", "person", "everyone"].includes(name);

  function checkAge(rule, key, what) {
    if (!(key in rule)) return;
    need(isText(rule[key]) && /^[1-9]\d*(d|us)$/.test(rule[key]), `${key} of ${what} is no age.`);
  }

  function checkRule(rule, what, category, purpose) {
    volition.exactly(rule, ["data", "purpose", "basis"], what, ["region", "asks", "refusable_by", "max_age", "max_yes_age", "scrub"]);
    words(rule.data, category, `"data" of ${what}`);
    words(rule.purpose, purpose, `"purpose" of ${what}`);
    need(["contract", "consent", "never"].includes(rule.basis), `${what} has the unknown basis "${rule.basis}".`);
    if ("region" in rule) words(rule.region, place, `"region" of ${what}`);
    need((rule.basis === "consent") === "asks" in rule, `${what} asks without consent, or the other way round.`);
    if ("asks" in rule) words(rule.asks, role, `"asks" of ${what}`);
    need(!("refusable_by" in rule) || rule.basis !== "never", `${what} forbids, and may be refused.`);
    if ("refusable_by" in rule) words(rule.refusable_by, role, `"refusable_by" of ${what}`);
    checkAge(rule, "max_age", what);
    checkAge(rule, "max_yes_age", what);
    need(!("max_yes_age" in rule) || "asks" in rule, `${what} says how long a yes lasts that nobody is asked for.`);
    if ("max_yes_age" in rule) need(volition.age(rule, "max_yes_age") <= 36_500n * volition.DAY, `max_yes_age of ${what} is too long.`);
    need(!("scrub" in rule) || typeof rule.scrub === "boolean", `"scrub" of ${what} is neither true nor false.`);
  }

  /** Refuse rules that tie for a use in a region, and a rule that wins nowhere. */
  function checkRanks(version, what) {
    const named = new Set(version.rule.flatMap((rule) => asList(rule.region)));
    const places = [null, ...named, ...(named.has("EEA") ? EEA : [])].filter((one) => one !== "EEA");
    const winning = new Set();
    for (const data of nameable(version, "category")) for (const use of nameable(version, "purpose")) for (const where of new Set(places)) {
      const ranked = version.rule.map((rule) => [volition.rank(rule, data, use, where), rule]).filter(([rank]) => rank !== null);
      if (!ranked.length) continue;
      const most = Math.max(...ranked.map(([rank]) => rank));
      const best = ranked.filter(([rank]) => rank === most);
      need(best.length === 1, `Two rules of ${what} tie for ${use} of ${data}.`);
      winning.add(best[0][1]);
    }
    need(winning.size === version.rule.length, `A rule of ${what} wins nowhere.`);
  }

  function checkSwitch(one, what, purpose) {
    volition.exactly(one, ["name", "title", "off"], what);
    need(isText(one.name) && isText(one.title), `${what} has no name and title.`);
    volition.exactly(one.off, ["refuses"], what, ["disables"]);
    words(one.off.refuses, purpose, `"refuses" of ${what}`);
    const disables = asList(one.off.disables ?? []);
    need(Array.isArray(disables) && disables.every(isText) && new Set(disables).size === disables.length, `"disables" of ${what} is no list of words.`);
  }

  /** Refuse a terms version that is not of the form of the page. */
  function checkTerms(version) {
    need(isObject(version) && isText(version.id) && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(version.id), "The terms have no id of the right form.");
    const what = `the terms ${version.id}`;
    volition.exactly(version, ["id", "title", "effective", "acceptance", "text_digest", "rule"], what, ["notice_days", "switch", "signal", "category", "purpose"]);
    need(isText(version.title) && Array.from(version.title).length <= 200 && !/[\r\n]/.test(version.title), `The title of ${what} is not one line.`);
    volition.looseUs(version.effective);
    need(["continued-use", "explicit"].includes(version.acceptance), `${what} come to bind in an unknown way.`);
    need(volition.isDigest(version.text_digest), `The digest of the text of ${what} is none.`);
    const days = version.notice_days ?? 30;
    need(volition.isCount(days) && days <= 3650, `The notice period of ${what} is not 0 to 3650 days.`);
    checkDeclared(version, what);
    const category = among(nameable(version, "category")), purpose = among(nameable(version, "purpose"));
    need(Array.isArray(version.rule) && version.rule.length > 0, `${what} have no rules.`);
    version.rule.forEach((rule, number) => checkRule(rule, `rule ${number + 1} of ${what}`, category, purpose));
    need("switch" in version ? Array.isArray(version.switch) : true, `The switches of ${what} are no list.`);
    for (const one of version.switch ?? []) checkSwitch(one, `a switch of ${what}`, purpose);
    if ("signal" in version) {
      volition.exactly(version.signal, [], `"signal" of ${what}`, ["gpc"]);
      for (const heard of Object.values(version.signal)) {
        volition.exactly(heard, ["refuses"], `a signal of ${what}`);
        words(heard.refuses, purpose, `"refuses" of a signal of ${what}`);
      }
    }
    need(volition.encode(volition.canonical(version)).length <= 60_000, `${what} are longer than 60,000 bytes.`);
    checkRanks(version, what);
  }

  Object.assign(volition, { checkTerms });
})((globalThis.volition ??= {}));
