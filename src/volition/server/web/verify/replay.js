"use strict";
/* The questions that the replay asks, and the forgetting that is owed. Written from docs/formats/bundle.md, "permits of ...". */
(function (volition) {
  const { need, later, earlier, ascending, WRITING, DAY } = volition;
  const ANSWERS = new Set("terms acceptance decision region signal limit exclusion erasure identity".split(" "));
  const WHY = {
    erased: "was erased", "no-terms": "is bound by no terms", never: "is protected by terms that forbid it", limited: "is limited by the account",
    "unknown-party": "is not known, and so cannot be asked", "said-no": "said no", withdrawn: "withdrew the yes", "not-asked": "gave no yes",
    expired: "gave a yes that has ended", excluded: "left the conversation out", "before-yes": "gave a yes that reaches not so far back",
    "too-old": "allows no record that old", later: "has a record from after the instant",
  };

  /** The latest of what could change an answer, the entry less a minute, and the snapshot: so nobody's no is passed over. */
  function judgedInstant(entries, entry, snapshot) {
    let seq = entry.seq - 1;
    while (seq >= 0 && !ANSWERS.has(entries[seq].kind)) seq -= 1;
    return later(entry.us - WRITING, snapshot.at, ...(seq >= 0 ? [entries[seq].us] : []));
  }

  /** Ask of every row whether it may be used; refused with the first one that may not. */
  async function ask(history, snapshot, at, what) {
    let refused = 0, first = null;
    for (const group of snapshot.groups) {
      const answer = volition.may(history, group, snapshot.purpose, at);
      if (answer !== null) {
        refused += group.rows;
        first ??= { group, ...answer };
      }
      await volition.breathe();
    }
    need(refused === 0, () => `${what}: up to ${refused} of ${snapshot.keys.length} rows may not be used at ${volition.usToText(at)}; first ${first.group.record}, `
      + `since ${first.party} ${WHY[first.reason]} (${first.reason}).`);
    return { sentence: `Each of the ${snapshot.keys.length} rows was permitted at ${volition.usToText(at)}.` };
  }

  /** Put the questions by the entry before which they are asked, and ask them in one reading of the log. */
  async function checkPermits(bundle) {
    const { log, report, working, snapshots } = bundle, { entries } = log;
    const questions = [], barred = new Set();
    const put = (entry, name, snapshot, at, what) => questions.push({ seq: entry.seq, name, snapshot, at, what });
    for (const snapshot of snapshots.values()) {
      const { entry, name } = snapshot;
      put(entry, `permits of ${name}`, snapshot, snapshot.at, "Rows were taken without a permit");
      put(entry, `permits of ${name}, entered`, snapshot, judgedInstant(entries, entry, snapshot), "The snapshot is dated back: when it was entered");
    }
    for (const model of working.models.filter((one) => snapshots.has(one.snapshot))) {
      const snapshot = snapshots.get(model.snapshot), { within } = snapshot.manifest;
      if (within === null || model.succeeding.get(model.entry) !== within) {
        put(model.entry, `permits of ${model.name}, trained`, snapshot, judgedInstant(entries, model.entry, snapshot), "A stale model was recorded as trained");
      }
      for (const release of model.releases.filter((one) => within === null || model.succeeding.get(one) !== within)) {
        put(release, `permits of ${model.name}, released`, snapshot, judgedInstant(entries, release, snapshot), "This is the release of a stale model");
      }
      for (const forgetting of model.replacing) {
        put(forgetting, `permits of ${model.name}, succeeding`, snapshot, judgedInstant(entries, forgetting, snapshot), "The successor saw what is refused");
      }
    }
    questions.sort((one, other) => one.seq - other.seq);
    const history = new volition.History();
    let seq = 0;
    for (const { seq: until, name, snapshot, at, what } of questions) {
      for (; seq < until; seq += 1) history.read(entries[seq]);
      if (barred.has(snapshot)) continue;
      const found = await report.check(name, () => ask(history, snapshot, at, what));
      if (found === null && name.startsWith(`permits of ${snapshot.name}`)) barred.add(snapshot);
    }
    for (; seq < entries.length; seq += 1) history.read(entries[seq]);
    for (const model of working.models) {
      const snapshot = snapshots.get(model.snapshot);
      if (snapshot && !barred.has(snapshot)) await report.check(`forgetting of ${model.name}`, () => checkForgetting(bundle, history, model, snapshot));
    }
  }

  async function checkForgetting(bundle, history, model, snapshot) {
    const days = model.entry.body.due_days ?? 30, last = bundle.last.us;
    need(volition.isCount(days) && days <= 36_500, `What ${model.name} promises, due_days, is no whole number of days up to 36,500.`);
    let since = null;
    const whose = new Set();
    for (const group of snapshot.groups) {
      const answer = volition.may(history, group, snapshot.purpose, last);
      if (answer === null) continue;
      whose.add(answer.party);
      const ceased = ceasedAt(history, group, snapshot, last);
      since = since === null ? ceased : earlier(since, ceased);
      await volition.breathe();
    }
    if (since === null) return { sentence: "Everybody it learned from still permits it: nothing is owed." };
    const due = volition.usToText(since + BigInt(days) * DAY), began = volition.usToText(since);
    need(since + BigInt(days) * DAY >= last, `The forgetting is overdue: it is owed since ${began} to ${[...whose].slice(0, 3).join(", ")}${whose.size > 3 ? " and others" : ""}, and was due ${due}.`);
    return { sentence: `It has to forget ${whose.size} ${whose.size === 1 ? "party" : "parties"}, since ${began}; it is due by ${due}.` };
  }

  /** The earliest instant at which rows that may not be used now ceased to be permitted. */
  function ceasedAt(history, group, snapshot, last) {
    const found = [];
    for (const use of volition.uses(history, group, snapshot.purpose, last)) {
      const one = useCeased(history, use, group.earliest, snapshot.at, last);
      if (one !== null) found.push(one);
    }
    const out = leftOutSince(history, group, snapshot, last);
    if (out !== null) found.push(out);
    return found.length ? earlier(...found) : last;
  }

  function useCeased(history, use, collected, at, last) {
    const instants = [at, ...volition.changes(history, use, last).filter((one) => one > at)];
    for (const [place, instant] of instants.entries()) {
      const { reason, since, oldest } = volition.permit(history, use, instant);
      if (reason !== null || collected < since) return instant;
      if (oldest === null) continue;
      const end = place + 1 < instants.length ? instants[place + 1] : last;
      const old = later(instant, collected + oldest + 1n);
      if (old < end) return old;
    }
    return null;
  }

  function leftOutSince(history, group, snapshot, last) {
    const said = history.exclusions.filter((one) => one.account === group.account && one.at > snapshot.at).map((one) => one.at);
    const instants = [...new Set([snapshot.at, ...said, last])].sort(ascending).reverse();
    let since = null;
    for (const instant of instants) {
      if (volition.leftOut(history, group, snapshot.purpose, instant) === null) break;
      since = instant;
    }
    return since;
  }

  Object.assign(volition, { checkPermits });
})((globalThis.volition ??= {}));
