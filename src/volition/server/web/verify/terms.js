"use strict";
/* The form of a terms version. Written from docs/formats/entries.md, "terms". */
(function (volition) {
  const { need, isText, isObject, CATEGORIES, PURPOSES, EEA, asList, covers } = volition;

  /** Refuse a list of words that holds an unknown one, or one twice, or nothing. */
  function words(value, known, what) {
    const list = asList(value);
    need(Array.isArray(list) && list.length > 0 && list.every(isText), `${what} is no list of words.`);
    for (const one of list) need(known(one), `${what} has "${one}", which does not exist.`);
    need(new Set(list).size === list.length, `${what} has a word twice.`);
  }

  const category = (name) => CATEGORIES.some((leaf) => covers(name, leaf));
  const purpose = (name) => PURPOSES.some((leaf) => covers(name, leaf));
  const place = (name) => name === "EEA" || /^[A-Z]{2}(-[A-Z0-9]{1,3})?$/.test(name);
  const role = (name) => ["account", "person", "everyone"].includes(name);

  function checkAge(rule, key, what) {
    if (!(key in rule)) return;
    need(isText(rule[key]) && /^[1-9]\d*(d|us)$/.test(rule[key]), `${key} of ${what} is no age.`);
  }

  function checkRule(rule, what) {
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
    for (const data of CATEGORIES) for (const use of PURPOSES) for (const where of new Set(places)) {
      const ranked = version.rule.map((rule) => [volition.rank(rule, data, use, where), rule]).filter(([rank]) => rank !== null);
      if (!ranked.length) continue;
      const most = Math.max(...ranked.map(([rank]) => rank));
      const best = ranked.filter(([rank]) => rank === most);
      need(best.length === 1, `Two rules of ${what} tie for ${use} of ${data}.`);
      winning.add(best[0][1]);
    }
    need(winning.size === version.rule.length, `A rule of ${what} wins nowhere.`);
  }

  function checkSwitch(one, what) {
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
    volition.exactly(version, ["id", "title", "effective", "acceptance", "text_digest", "rule"], what, ["notice_days", "switch", "signal"]);
    need(isText(version.title) && Array.from(version.title).length <= 200 && !/[\r\n]/.test(version.title), `The title of ${what} is not one line.`);
    volition.looseUs(version.effective);
    need(["continued-use", "explicit"].includes(version.acceptance), `${what} come to bind in an unknown way.`);
    need(volition.isDigest(version.text_digest), `The digest of the text of ${what} is none.`);
    const days = version.notice_days ?? 30;
    need(volition.isCount(days) && days <= 3650, `The notice period of ${what} is not 0 to 3650 days.`);
    need(Array.isArray(version.rule) && version.rule.length > 0, `${what} have no rules.`);
    version.rule.forEach((rule, number) => checkRule(rule, `rule ${number + 1} of ${what}`));
    need("switch" in version ? Array.isArray(version.switch) : true, `The switches of ${what} are no list.`);
    for (const one of version.switch ?? []) checkSwitch(one, `a switch of ${what}`);
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
