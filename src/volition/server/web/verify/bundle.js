"use strict";
/* The checks of a bundle, by name. Written from docs/formats/bundle.md; the cards are checked in release.js. */
(function (volition) {
  const { need, Refused, same, isText, isObject, isCount, isDigest, exactly, decode } = volition;

  /** What was checked and what is told: checks in their order, claims, warnings. */
  class Report {
    constructor(tell) {
      this.checks = [];
      this.claimed = [];
      this.warnings = [];
      this.facts = [];
      this.tell = tell;
    }

    get holds() {
      return this.checks.length > 0 && this.checks.every((one) => one.holds === true);
    }

    /** Make one check; returns what it found, or null if it fails. A check that breaks has not held. */
    async check(name, make) {
      this.tell(name);
      await volition.breathe();
      try {
        const { sentence, ...found } = await make();
        this.checks.push({ name, holds: true, sentence });
        return found;
      } catch (error) {
        const sentence = error instanceof Refused ? error.message : `This could not be read: ${error.message}`;
        this.checks.push({ name, holds: error instanceof volition.NotKnown ? null : false, sentence });
        return null;
      }
    }
  }

  /** Check a bundle. `kept`: {name, checkpoints: [{name, text}], documents: [{name, text}], notBefore, policy}. */
  async function verifyBundle(data, key, kept = {}, tell = () => {}) {
    const report = new Report(tell);
    const unpacked = await report.check("archive", async () => {
      need(volition.isZip(data), "This is no zip, and so no bundle.");
      const members = await volition.unpack(data);
      return { members, sentence: `The file is the one zip of its ${members.size} members, with nothing before, between or behind them.` };
    });
    if (unpacked === null) return report;
    const bundle = { members: unpacked.members, key, report };
    if (!(await checkLog(bundle, kept))) return report;
    const imported = bundle.log.entries.filter((entry) => entry.kind === "decision" && "claim" in entry.body).length;
    if (imported) report.claimed.push(`answers: when and where ${imported} were given, as whoever imported them says`);
    await checkKept(bundle, kept);
    await report.check("terms", () => checkPublications(bundle));
    if (bundle.isReadable && volition.namesSeveral(bundle.log.entries)) {
      await report.check("identities", () => volition.checkIdentities(bundle.log.entries));
    }
    await checkAccess(bundle);
    const found = await report.check("models", () => readModels(bundle));
    if (found === null) return report;
    Object.assign(bundle, found);
    for (const name of bundle.working.snapshots) {
      const snapshot = await report.check(`snapshot ${name}`, () => volition.checkSnapshot(bundle, name));
      if (snapshot !== null) bundle.snapshots.set(name, snapshot.snapshot);
    }
    if (bundle.isReadable) await volition.checkPermits(bundle);
    for (const [name, snapshot] of bundle.snapshots) {
      if ("table" in snapshot.manifest) continue; // the log says nothing of how its rows were collected: that is told as claimed
      await report.check(`collection of ${name}`, () => volition.checkCollection(bundle, snapshot));
    }
    for (const model of bundle.working.models) {
      if (model.releases.length && bundle.snapshots.has(model.snapshot)) {
        await report.check(`release ${model.name}`, () => volition.checkRelease(bundle, model));
      }
    }
    await report.check("nothing else", () => checkMembers(bundle));
    if (kept.policy) {
      const note = decode(unpacked.members.get("checkpoint"), "The checkpoint");
      const last = bundle.log.entries.at(-1)?.us ?? null;
      await report.check(`witnesses of ${kept.name ?? "the bundle"}`, () => volition.checkWitnesses(note, kept.policy, key, last));
    }
    return report;
  }

  async function checkLog(bundle, kept) {
    const { members, report, key } = bundle;
    const found = await report.check("ledger", async () => {
      for (const name of ["checkpoint", "entries.jsonl"]) need(members.has(name), `The bundle has no ${name}.`);
      const checkpoint = await volition.readCheckpoint(decode(members.get("checkpoint"), "The checkpoint"), key);
      const log = await volition.readLog(members.get("entries.jsonl"), checkpoint);
      const last = log.entries[log.entries.length - 1];
      return { log, last, sentence: `The ${log.entries.length} entries are those that ${key.name} signed for, in order${last ? `; the last one is of ${last.at}` : ""}.` };
    });
    if (found === null) return false;
    Object.assign(bundle, found);
    report.lastEntry = found.last?.at ?? null;
    report.facts.push(found.last ? `The last entry is of ${found.last.at}: later than that, nothing is known.` : "The log is empty.");
    return true;
  }

  async function checkKept(bundle, kept) {
    const { report, log, key, last } = bundle;
    for (const { name, text } of kept.checkpoints ?? []) {
      await report.check(`extends ${name}`, async () => {
        const checkpoint = await volition.readCheckpoint(text, key, "The older checkpoint");
        volition.beginning(log, checkpoint, "The older checkpoint");
        return { sentence: `The log goes on from its ${checkpoint.size} entries unchanged.` };
      });
    }
    for (const { name, text } of kept.documents ?? []) {
      await report.check(`receipt ${name}`, async () => {
        const shown = volition.shownEntries(volition.parse(text, "The document"));
        let total = 0;
        for (const { checkpoint, entries } of shown) {
          volition.beginning(log, await volition.readCheckpoint(checkpoint, key), "The document's checkpoint");
          for (const one of entries) {
            const entry = volition.readEntry(one, "An entry of the document");
            need(log.entries[entry.seq]?.text === one, `Entry ${entry.seq} of the document is not in this log: the log was written anew.`);
            total += 1;
          }
        }
        need(total > 0, "The document shows no entry.");
        return { sentence: `The log still holds what the document shows of it, ${total} ${total === 1 ? "entry" : "entries"}.` };
      });
    }
    if (kept.notBefore) {
      await report.check("not before", async () => {
        need(last && last.us >= volition.looseUs(kept.notBefore), `The last entry is ${last ? `of ${last.at}` : "none"}: the bundle is older than you ask for.`);
        return { sentence: `The last entry is of ${last.at}.` };
      });
    }
  }

  /** Read every entry: a publication at fault fails, and what it would change is not passed over; the replay goes on. */
  async function checkPublications(bundle) {
    const history = new volition.History(), binds = new Map();
    let total = 0, fault = null;
    for (const entry of bundle.log.entries) {
      if (entry.kind === "terms") {
        need(isObject(entry.body.terms) && isText(entry.body.binds), `Entry ${entry.seq} publishes no terms.`);
        volition.checkTerms(entry.body.terms);
        const found = volition.publicationFault(history, entry.body, entry.us);
        if (found !== null) fault ??= `Entry ${entry.seq}: ${found}.`;
        total += 1;
      }
      history.read(entry);
      const { kind, body, seq } = entry;
      if (kind === "terms" && !binds.has(body.terms.id)) binds.set(body.terms.id, volition.looseUs(body.binds));
      if (kind === "notice" && binds.get(body.terms) !== volition.looseUs(body.ends)) {
        fault ??= `Entry ${seq} is notice of terms that do not bind then, or were not published before it.`;
      }
      await volition.breathe();
    }
    warnOfNotices(bundle);
    bundle.isReadable = true;
    need(fault === null, fault);
    return { sentence: `${total} published, each once, none binding from the past or before its notice period ended.` };
  }

  /** Of which version accounts that had accepted terms before were given no notice. */
  function warnOfNotices(bundle) {
    const accepted = new Set(), owed = new Map();
    for (const { kind, body, seq } of bundle.log.entries) {
      if (kind === "acceptance") accepted.add(body.account);
      else if (kind === "terms" && !owed.has(body.terms.id)) owed.set(body.terms.id, { seq, accounts: new Set(accepted) });
      else if (kind === "notice") owed.get(body.terms)?.accounts.delete(body.account);
    }
    for (const [name, { seq, accounts }] of owed) {
      if (accounts.size) bundle.report.warnings.push(`Without notice: of the terms ${name} (entry ${seq}) no notice is recorded for ${accounts.size} that had accepted terms.`);
    }
  }

  async function checkAccess(bundle) {
    const accesses = bundle.log.entries.filter((entry) => entry.kind === "access");
    if (!accesses.length) return;
    await bundle.report.check("who looked", async () => {
      let before = "";
      for (const entry of accesses) {
        checkAccessEntry(entry);
        need(entry.body.day > before, `The day ${entry.body.day} is there twice, or not in order.`);
        before = entry.body.day;
      }
      return { sentence: `The accesses of ${accesses.length} ${accesses.length === 1 ? "day are" : "days are"} committed to, each day once, after its end.` };
    });
  }

  /** Refuse an entry of kind `access` that is not of its form, or from before the end of its day. */
  function checkAccessEntry(entry) {
    const what = `Entry ${entry.seq}`;
    exactly(entry.body, ["day", "lines", "root"], what);
    const { day, lines, root } = entry.body;
    need(isText(day) && volition.isInstant(`${day}T00:00:00.000000Z`), `${what} names no day.`);
    need(isCount(lines) && lines > 0 && isDigest(root), `${what} has no lines and root.`);
    need(entry.us >= volition.us(`${day}T00:00:00.000000Z`) + volition.DAY, `${what} was written before the end of its day.`);
  }

  /** Read which snapshots and models there are, and refuse what names none, or one twice. */
  async function readModels(bundle) {
    const snapshots = new Map(), models = new Map();
    for (const entry of bundle.log.entries) {
      const { kind, body, seq } = entry;
      if (!["snapshot", "model", "release", "forgetting"].includes(kind)) continue;
      need(isText(body[kind === "snapshot" ? "snapshot" : "model"]), `Entry ${seq} (${kind}) names nothing.`);
      if (kind === "snapshot") keepFirst(snapshots, body.snapshot, entry, {});
      else if (kind === "model") readModel(snapshots, models, entry);
      else {
        const model = standing(models, body.model, `Entry ${seq} (${kind})`);
        if (kind === "release") model.releases.push(entry);
        else readForgetting(bundle, models, model, entry);
      }
    }
    const all = [...models.values()], standingModels = all.filter((model) => model.forgotten === null);
    const names = [...new Set(standingModels.map((model) => model.snapshot))];
    warnOfLate(bundle, all);
    const sentence = `${snapshots.size} snapshots and ${all.length} models, each of one name; ${standingModels.length} of the models work.`;
    return { sentence, entered: snapshots, models, working: { models: standingModels, snapshots: names }, snapshots: new Map() };
  }

  function keepFirst(map, name, entry, more) {
    const first = map.get(name);
    if (first) need(same(first.entry.body, entry.body), `Entry ${entry.seq} gives the ${entry.kind} ${name} a second meaning.`);
    else map.set(name, { name, entry, ...more });
  }

  function readModel(snapshots, models, entry) {
    const { body, seq } = entry;
    need(isText(body.snapshot) && snapshots.has(body.snapshot), `Entry ${seq}: the model ${body.model} names a snapshot that no earlier entry froze.`);
    need(isText(body.family) && body.family && isDigest(body.digest), `Entry ${seq}: the model ${body.model} has no family and digest.`);
    need(!models.get(body.model)?.forgotten, `Entry ${seq}: the model ${body.model} was forgotten before.`);
    keepFirst(models, body.model, entry, { snapshot: body.snapshot, releases: [], succeeding: new Map(), replacing: [], forgotten: null });
  }

  function standing(models, name, what) {
    const model = models.get(name);
    need(model, `${what}: no earlier entry is of the model ${name}.`);
    need(model.forgotten === null, `${what}: the model ${name} was forgotten before.`);
    return model;
  }

  function readForgetting(bundle, models, model, entry) {
    const { successor, parties } = entry.body, what = `Entry ${entry.seq} (forgetting)`;
    need(successor === null || isText(successor), `${what} says nothing of a successor.`);
    need(Array.isArray(parties) && parties.every(volition.isParty), `${what} names somebody who is no party.`);
    if (successor !== null) {
      need(successor !== model.name, `${what}: a model succeeds itself.`);
      const next = standing(models, successor, what), step = bundle.log.entries.slice(Math.max(0, entry.seq - 2), entry.seq);
      const made = step.filter((one) => one.body.model === successor).map((one) => one.kind).join(" ");
      if (made === "model release" && model.releases.length > 0) step.forEach((one) => next.succeeding.set(one, model.snapshot));
      else next.replacing.push(entry);
    }
    model.forgotten = entry;
  }

  /** A forgetting that came late cannot be mended, and fails nothing: it is told. */
  function warnOfLate(bundle, models) {
    const noes = new Map();
    for (const entry of bundle.log.entries) {
      if (entry.kind !== "erasure" && !(entry.kind === "decision" && entry.body.answer !== "yes")) continue;
      if (!noes.has(entry.body.party)) noes.set(entry.body.party, []);
      noes.get(entry.body.party).push(entry);
    }
    for (const { name, entry, forgotten } of models) {
      if (forgotten === null) continue;
      const days = entry.body.due_days ?? 30;
      const due = BigInt(isCount(days) ? days : 30) * volition.DAY;
      for (const party of forgotten.body.parties) {
        const no = (noes.get(party) ?? []).findLast((one) => one.seq < forgotten.seq);
        if (no && no.us > entry.us && no.us + due < forgotten.us) {
          bundle.report.warnings.push(`Forgotten late: ${name} forgot ${party} on ${forgotten.at}, whose no is of ${no.at}.`);
        }
      }
    }
  }

  function checkMembers(bundle) {
    const expected = new Set(["checkpoint", "entries.jsonl"]);
    for (const name of bundle.working.snapshots) {
      const folder = `snapshots/${name}`, raw = bundle.members.get(`${folder}/manifest.json`);
      for (const file of ["manifest.json", "keys.parquet", "people.json"]) expected.add(`${folder}/${file}`);
      let manifest = null;
      try {
        manifest = JSON.parse(decode(raw, "The manifest"));
      } catch {
        // What is no manifest fails under the snapshot's name.
      }
      if (manifest?.files?.["collected.parquet"] !== undefined) expected.add(`${folder}/collected.parquet`);
    }
    for (const model of bundle.working.models.filter((one) => one.releases.length)) {
      for (const file of volition.releaseFiles(bundle.members, model.name)) expected.add(`releases/${model.name}/${file}`);
    }
    for (const name of bundle.members.keys()) need(expected.has(name), `The bundle also has ${name}, of which the log says nothing.`);
    for (const name of expected) need(bundle.members.has(name), `The bundle lacks ${name}.`);
    return { sentence: "The bundle has exactly the files that the log says." };
  }

  Object.assign(volition, { Report, verifyBundle, checkAccessEntry });
})((globalThis.volition ??= {}));
