"use strict";
/* A release: card, findings, attestation. Written from docs/formats/release.md. */
(function (volition) {
  const { need, same, isText, isObject, isCount, isDigest, exactly, parseCanonical, decode, digest, canonical, us, keysOf } = volition;

  const CARD = ["format", "model", "family", "purpose", "digest", "files", "learned_from", "base", "privacy", "terms", "checkpoint", "findings",
    "required", "override", "released", "signing_key"];
  const AUDITS = ["benefit", "fairness", "attack", "canary", "poisoning"];
  const FINDING = ["audit", "metric", "value", "low", "high", "bound", "verdict", "units", "how", "detail"];

  /** Check the last release of a working model. */
  async function checkRelease(bundle, model) {
    const { members, log, key } = bundle, snapshot = bundle.snapshots.get(model.snapshot);
    const entry = model.releases[model.releases.length - 1], folder = `releases/${model.name}`;
    for (const file of releaseFiles(members, model.name)) {
      need(members.has(`${folder}/${file}`), `The bundle lacks ${folder}/${file}. An earlier version wrote it, or somebody took that out: a new one has it.`);
    }
    const raw = members.get(`${folder}/card.json`), attestation = members.get(`${folder}/attestation.json`);
    const card = parseCanonical(decode(raw, "The card"), "The card");
    need(isText(card.format) && /^volition\/card\/[1-9]\d*$/.test(card.format), "The card has no form.");
    volition.know(["volition/card/4", "volition/card/5"].includes(card.format), `The card is of the form ${card.format}.`);
    exactly(card, card.format === "volition/card/4" ? CARD : [...CARD, "trained_by", "forgets"], "The card");
    checkBody(entry, card, digest(raw), digest(attestation), model.name);
    const checkpoint = await volition.readCheckpoint(card.checkpoint, key, "The card's checkpoint");
    volition.beginning(log, checkpoint, "The card's checkpoint");
    need(checkpoint.size <= entry.seq, "The card's checkpoint has entries that came after the release.");
    if (checkpoint.size < entry.seq) {
      need(log.entries[checkpoint.size].us >= entry.us - volition.WRITING, "The card's checkpoint is old: it hides entries that were there a minute before the release.");
    }
    checkOrigin(card, model, snapshot);
    const before = log.entries.slice(0, checkpoint.size);
    const people = countPeople(before, snapshot.keys);
    need(card.learned_from.people === people, `The card says ${card.learned_from.people} people, and the rows concern ${people}.`);
    const released = us(card.released, "The card's date");
    need(!before.length || released >= before[before.length - 1].us, "The card's date is before the last entry of its checkpoint.");
    need(released <= entry.us && released >= entry.us - volition.WRITING, "The card's date is not within the minute before the release's entry.");
    checkTermsOf(card, before, released, snapshot);
    checkFindings(card, snapshot.manifest);
    checkMissed(card);
    volition.checkPrivacy(card);
    checkSettings(members.get(`${folder}/settings.json`), card);
    await volition.checkSignature(decode(members.get(`${folder}/model.sig`), "The model's signature"), card);
    need(decode(members.get(`${folder}/card.md`), "card.md") === volition.cardMarkdown(card), "card.md says otherwise than card.json.");
    await checkAttestation(decode(attestation, "The attestation"), card, digest(raw), key);
    tellCard(bundle.report, card);
    return { sentence: `Every statement of the card that can be checked follows from the log, the rows and the findings; the log's key signed it. Released ${card.released}.` };
  }

  /** Which files a bundle has of a release: a signature where the card names a key for it. */
  function releaseFiles(members, model) {
    const files = ["card.json", "card.md", "attestation.json", "settings.json"], raw = members.get(`releases/${model}/card.json`);
    try {
      const card = JSON.parse(decode(raw, "The card"));
      return isObject(card) && Object.hasOwn(card, "signing_key") ? [...files, "model.sig"] : files;
    } catch {
      return files; // what is no card fails under the release's name
    }
  }

  /** The settings are a file of the model, and say what the card says of its training. */
  function checkSettings(raw, card) {
    need(card.files["settings.json"] === digest(raw), "settings.json is not the file of the model that the card names.");
    const { family, settings } = parseCanonical(decode(raw, "settings.json"), "settings.json");
    need(same(family ?? null, card.family), "settings.json is of another family than the card.");
    need(isObject(settings), "settings.json says nothing of the model's settings.");
    for (const key of ["base", "privacy"]) {
      need(same(Object.hasOwn(settings, key) ? settings[key] : null, card[key]), `The card says another ${key} than the model's own settings.`);
    }
  }

  /** One line of text, without blanks at its ends. */
  function isLine(text, most) {
    return isText(text) && Array.from(text).length <= most && /^[^\x00-\x20](?:[^\x00-\x1f]*[^\x00-\x20])?$/.test(text);
  }

  function checkBody(entry, card, cardDigest, attestation, name) {
    const body = { model: name, card: cardDigest, attestation };
    if (card.override !== null) {
      exactly(card.override, ["by", "why", "missed"], "The card's override");
      need(isLine(card.override.by, 100) && isLine(card.override.why, 500), "The card's override says not by whom and why.");
      body.override = { by: card.override.by, why: card.override.why };
    }
    need(same(entry.body, body), `The release's entry ${entry.seq} tells of another card, attestation or override.`);
  }

  function checkOrigin(card, model, snapshot) {
    const { manifest, manifestDigest, name } = snapshot, { body } = model.entry;
    const rows = Object.values(manifest.accounts).reduce((one, other) => one + other, 0);
    need(card.model === model.name, "The card is of another model.");
    const named = { accounts: manifest.accounts, digest: card.digest, family: card.family, manifest: manifestDigest, people: manifest.people.size,
      purpose: manifest.purpose, rows, snapshot: name };
    need(model.name === `${card.family}-${digest(canonical(named)).slice(0, 12)}`, `The name ${model.name} does not follow from what it learned from.`);
    need(card.family === body.family && card.digest === body.digest, "The card says another family or digest than the log.");
    checkGrade(card, body);
    need(card.purpose === manifest.purpose, "The card says another purpose than the manifest.");
    need(isObject(card.files) && Object.values(card.files).every(isDigest) && digest(canonical(card.files)) === card.digest, "The card's files are not those of its digest.");
    const learned = card.learned_from;
    exactly(learned, ["snapshot", "manifest", "at", "rows", "people", "accounts"], `"learned_from" of the card`);
    const due = { snapshot: name, manifest: manifestDigest, at: manifest.at, rows: manifest.rows, people: learned.people, accounts: manifest.accounts };
    for (const key of keysOf(due)) need(same(learned[key], due[key]), `The card says other ${key} of what it learned from than the manifest.`);
  }

  /** Who trained the model and how it forgets is what its entry says; a card that cannot say it is not enough. */
  function checkGrade(card, body) {
    const by = Object.hasOwn(body, "trained_by") ? body.trained_by : "family", forgets = Object.hasOwn(body, "forgets") ? body.forgets : null;
    need(by === "family" || by === "caller", "The model's entry does not say who trained it.");
    need(forgets === null || (isText(forgets) && Object.hasOwn(volition.GRADES, forgets)), "The model's entry does not say how it forgets.");
    if (card.format === "volition/card/4") {
      need(!Object.hasOwn(body, "trained_by") && !Object.hasOwn(body, "forgets"), "The card is of a form that says less than the log.");
    } else need(same([card.trained_by, card.forgets], [by, forgets]), "The card says another training or another forgetting than the log.");
  }

  /** People who were merged count once. */
  function countPeople(entries, keys) {
    const merged = new Map();
    for (const { kind, body, seq } of entries) {
      if (kind !== "identity" || body.act !== "merge") continue;
      need(Array.isArray(body.people) && body.people.length === 2 && body.people.every(isText), `Entry ${seq} merges not two people.`);
      const [kept, gone] = body.people;
      for (const [one, into] of merged) if (into === gone) merged.set(one, kept);
      merged.set(gone, kept);
    }
    const found = new Set();
    for (const people of keys.people) for (const one of people) found.add(merged.get(`person:${one}`) ?? `person:${one}`);
    return found.size;
  }

  function checkTermsOf(card, entries, released, snapshot) {
    const history = new volition.History(), found = new Set();
    for (const entry of entries) history.read(entry);
    for (const account of Object.keys(snapshot.manifest.accounts)) {
      const bound = volition.binding(history, account).filter((one) => one.start <= released);
      if (bound.length) found.add(bound[bound.length - 1].version.id);
    }
    need(same(card.terms, [...found].sort(volition.byCodePoint)), `The card says that the terms ${JSON.stringify(card.terms)} bind, and it is ${JSON.stringify([...found])}.`);
  }

  // Findings.

  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
  const isFigure = (value) => value === null || isNumber(value);
  const near = (one, other) => isNumber(one) && isNumber(other)
    && Math.abs(one - other) <= Math.max(1e-9, 1e-9 * Math.max(Math.abs(one), Math.abs(other)));
  const total = (values) => values.reduce((one, other) => one + other, 0);

  function checkFindings(card, manifest) {
    need(Array.isArray(card.findings) && card.findings.length > 0, "The card has no findings.");
    const seen = new Set(), bounds = new Map();
    for (const one of card.findings) {
      exactly(one, FINDING, "A finding");
      const what = `The finding ${one.audit}, ${one.metric}`;
      need(AUDITS.includes(one.audit) && isText(one.metric) && isText(one.how), `${what} is of no audit.`);
      need([one.value, one.low, one.high, one.bound].every(isFigure) && isCount(one.units) && isObject(one.detail), `${what} has no figures.`);
      const name = canonical([one.audit, one.metric]);
      need(!seen.has(name), `${what} is there twice.`);
      seen.add(name);
      need(!bounds.has(one.audit) || bounds.get(one.audit) === one.bound, `Findings of ${one.audit} have different bounds.`);
      bounds.set(one.audit, one.bound);
      checkFinding(one, what, manifest);
    }
    need(Array.isArray(card.required) && card.required.every((one) => AUDITS.includes(one)) && new Set(card.required).size === card.required.length,
      "The card requires audits that there are not, or one twice.");
  }

  function verdictOf({ audit, value, low, high, bound, detail }) {
    if (value === null) return "not measured";
    if (bound === null) return "no bound";
    const sure = detail.surely === true;
    return (audit === "benefit" ? (sure ? high ?? value : value) >= bound : (sure ? low ?? value : value) <= bound) ? "pass" : "fail";
  }

  function checkFinding(one, what, manifest) {
    const { audit, value, low, high } = one;
    need(one.detail.surely === undefined || (one.detail.surely === true && one.bound !== null), `${what} does not say how it is held against its bound.`);
    need(one.verdict === verdictOf(one), `${what} has the verdict "${one.verdict}", and "${verdictOf(one)}" follows.`);
    if (value === null) {
      need(low === null && high === null && one.units === 0 && same(one.detail, {}), `${what} was not measured, and has figures.`);
      return;
    }
    need((low === null) === (high === null) && (low === null || low <= high), `${what} has no interval.`);
    if (low !== null && audit !== "fairness") need(low - 1e-9 <= value && value <= high + 1e-9, `${what} lies outside its interval.`);
    const follows = DETAIL[audit](one, manifest);
    need(follows === null, `${what}: ${follows}.`);
  }

  // A detail has further figures, which are claimed: only what the value follows from is checked.
  const DETAIL = {
    benefit({ detail, value, units }, manifest) {
      if (!isObject(detail.by_account) || !Object.values(detail.by_account).every(isObject)) return "it has no accounts";
      const accounts = Object.entries(detail.by_account);
      if (!accounts.every(([name]) => name in manifest.accounts)) return "its accounts are not those of the manifest";
      if (![{ ...detail, value }, ...Object.values(detail.by_account)].every((of) => near(of.value, of.trained - of.untrained))) return "a value is not trained less untrained";
      if (!accounts.every(([, of]) => isCount(of.units)) || total(accounts.map(([, of]) => of.units)) !== units) return "the accounts' units do not add up";
      return near(value, total(accounts.map(([, of]) => of.value * of.units)) / units) ? null : "its value is not the mean of the accounts";
    },
    fairness({ detail, value, units, metric }) {
      if (!isObject(detail.groups) || !Object.values(detail.groups).every(isObject)) return "it has no groups";
      const known = Object.entries(detail.groups).filter(([name]) => name !== "not recorded").map(([, of]) => of);
      if (!known.length || !known.every((of) => isNumber(of.value) && isCount(of.units))) return "its groups have no values";
      const best = Math.max(...known.map((of) => of.value)), worst = Math.min(...known.map((of) => of.value));
      if (!near(value, best - worst)) return "its value is not the best group less the worst";
      if (worst >= 0 && best > 0 ? !near(detail.ratio, worst / best) : detail.ratio !== null) return "its ratio is not that of the worst group by the best";
      if (total(known.map((of) => of.units)) !== units) return "the groups' units do not add up";
      const smallest = Math.min(...Object.values(detail.groups).map((of) => of.people ?? of.units));
      if (smallest !== detail.smallest || !isCount(detail.fewest) || smallest < detail.fewest) return "a group is smaller than it says";
      return metric.endsWith(` by ${detail.by}`) ? null : "it is of another attribute";
    },
    attack({ detail, value, metric }) {
      const rate = detail.false_positive_rate;
      if (!isObject(detail.curve)) return "it has no curve";
      if (!isNumber(rate) || metric !== `TPR at ${volition.general(100 * rate)} % FPR`) return "it is of another false-positive rate";
      const points = keysOf(detail.curve), heights = points.map((point) => detail.curve[point]);
      if (!heights.every((one, place) => isNumber(one) && (place === 0 || heights[place - 1] <= one))) return "its curve falls";
      const there = points.filter((point) => point === volition.general(rate));
      return there.every((point) => near(detail.curve[point], value)) ? null : "its value is not that of its curve";
    },
    canary({ detail, value, low, high, units }) {
      const one = detail.by_writers?.["1"];
      if (!isObject(one) || one.value !== value || one.low !== low || one.high !== high) return "its figures are not those of one writer";
      if (!Array.isArray(one.ranks) || one.ranks.length !== units || !one.ranks.every((rank) => isNumber(rank) && rank > 0)) return "it has not one rank for each unit";
      return near(value, Math.log2(detail.secrets) - total(one.ranks.map(Math.log2)) / units) ? null : "its value does not follow from the ranks";
    },
    poisoning({ detail, value }) {
      if (!Array.isArray(detail.parties) || !isCount(detail.left_out) || detail.parties.length > detail.left_out) return "it names more parties than it left out";
      return value === 0 || near(value, detail.parties[0]?.z) ? null : "its value is not that of the first party";
    },
  };

  const figure = (value) => (value === null ? "unknown" : volition.fixed(value));

  function missedOf(card) {
    const missed = card.findings.filter((one) => one.verdict === "fail").map((one) => `${one.audit}, ${one.metric}: ${figure(one.value)} misses the bound `
      + `${figure(one.bound)} (95 % interval ${figure(one.low)} to ${figure(one.high)}, ${one.units} units).`);
    for (const audit of card.required) {
      const of = card.findings.filter((one) => one.audit === audit);
      if (of.some((one) => one.value !== null)) continue;
      missed.push(`${audit} is required and could not be measured. ${[...new Set(of.map((one) => one.how))].join("; ") || "It was not run."}`);
    }
    return missed;
  }

  function checkMissed(card) {
    const missed = missedOf(card);
    if (!missed.length) need(card.override === null, "The card overrides bounds that are not missed.");
    else need(card.override !== null && same(card.override.missed, missed), `The model misses bounds that its card does not tell: ${missed[0]}`);
  }

  async function checkAttestation(written, card, cardDigest, key) {
    const envelope = parseCanonical(written, "The attestation");
    const what = "The attestation";
    exactly(envelope, ["payload", "payloadType", "signatures"], what);
    need(envelope.payloadType === "application/vnd.in-toto+json", `${what} is of another type.`);
    need(Array.isArray(envelope.signatures) && envelope.signatures.length === 1, `${what} has not the one signature.`);
    exactly(envelope.signatures[0], ["keyid", "sig"], "The attestation's signature");
    const { keyid, sig } = envelope.signatures[0];
    need(keyid === volition.hex(key.id) && isText(sig) && isText(envelope.payload), `${what} is signed by another key.`);
    const payload = volition.unbase64(envelope.payload, what);
    const signed = volition.join(volition.encode(`DSSEv1 28 application/vnd.in-toto+json ${payload.length} `), payload);
    need(await key.verify(volition.unbase64(sig, "Its signature"), signed), `${what} is not signed by the log's key.`);
    const due = {
      _type: "https://in-toto.io/Statement/v1",
      subject: Object.keys(card.files).sort(volition.byCodePoint).map((name) => ({ name, digest: { sha256: card.files[name] } })),
      predicateType: "urn:volition:release:2",
      predicate: { model: card.model, digest: card.digest, checkpoint: card.checkpoint, terms: card.terms, findings: card.findings,
        snapshot: card.learned_from.snapshot, manifest: card.learned_from.manifest, card: cardDigest },
    };
    need(decode(payload, what) === canonical(due), `${what} says otherwise than the card.`);
  }

  function tellCard(report, card) {
    report.claimed.push(`${card.model}: what the audits measured, by what method and against what bounds, and which of them the settings required`
      + `${card.base ? "; that it was trained as its own settings say, from that base model and with that much privacy" : ""}`
      + `${card.trained_by === "caller" ? "; that the operator's own code learned from these rows alone" : ""}.`);
  }

  function tellClaims(report, name, manifest) {
    const counts = keysOf(manifest.rows).map((category) => {
      const { read, dropped } = manifest.rows[category];
      const why = keysOf(dropped).map((reason) => `${dropped[reason]} ${reason}`).join(", ");
      return `${category}: ${read} read${why ? `, dropped ${why}` : ""}`;
    });
    report.claimed.push(`${name}: how many records were read and dropped for which reason (${counts.join("; ") || "none"}); that none was left out that had a`
      + ` permit; ${"table" in manifest ? "that the rows are the table's, of which the log says nothing" : "what the records say"}${manifest.encoder === null ? "" : "; the sentence encoder"}.`);
  }

  Object.assign(volition, { checkRelease, releaseFiles, tellClaims });
})((globalThis.volition ??= {}));
