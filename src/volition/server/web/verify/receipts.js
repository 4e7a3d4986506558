"use strict";
/* Receipts: the record that follows from the entries. Written from docs/formats/receipt.md. */
(function (volition) {
  const { need, same, isText, isObject, exactly, digest, canonical } = volition;

  const CONTEXT = { ai: "https://w3id.org/dpv/ai#", dct: "http://purl.org/dc/terms/", dpv: "https://w3id.org/dpv#", pd: "https://w3id.org/dpv/pd#",
    rdf: "http://www.w3.org/1999/02/22-rdf-syntax-ns#", skos: "http://www.w3.org/2004/02/skos/core#", volition: "urn:volition:",
    xsd: "http://www.w3.org/2001/XMLSchema#" };
  const BROADER = { train: "dpv:ImproveExistingProductsAndServices", feature: "dpv:ServicePersonalisation",
    "feature/recommend": "dpv:ProvidePersonalisedRecommendations", advertising: "dpv:Advertising" };
  const VIA = { page: "AI settings page of the privacy centre", api: "HTTP API, by a program of the operator's or the account's",
    "command-line": "command line, by the operator" };
  const CONTROLLER = ["name", "contact", "address", "jurisdiction", "language", "url", "license"];

  const timeOf = (entry) => ({ "@type": "xsd:dateTime", "@value": entry.at });

  function purposeOf(name) {
    const found = { "@id": `urn:volition:purpose:${name}`, "@type": "dpv:Purpose", "dct:title": name };
    const broader = BROADER[name] ?? BROADER[name.split("/")[0]];
    if (broader) found["skos:broader"] = { "@id": broader };
    if (volition.rootOf(name) === "train") found["dpv:hasProcessing"] = { "@id": "ai:ModelTraining" };
    return found;
  }

  function dataOf(name) {
    const found = { "@id": `urn:volition:category:${name}`, "@type": "dpv:PersonalData", "dct:title": name };
    if (volition.rootOf(name) === "content") found["skos:broader"] = { "@id": "pd:Communication" };
    return found;
  }

  const process = (purposes, data) => ({ "@type": "dpv:Process", "dpv:hasPurpose": purposes.map(purposeOf), "dpv:hasPersonalData": data.map(dataOf) });

  function statusOf(answer) {
    const said = answer.body, signal = answer.kind === "signal";
    const until = said.until ?? null;
    return {
      "@type": [signal || said.answer === "no" ? "dpv:ConsentRefused" : "dpv:ConsentGiven", "dpv:ExpressedConsent"],
      "dpv:isIndicatedBy": { "@id": `urn:volition:${said.party}` },
      "dpv:hasIndicationMethod": signal ? said.signal : "AI settings",
      "dpv:isIndicatedAtTime": timeOf(answer),
      "dpv:hasDuration": until === null ? { "@type": "dpv:UntilEventDuration", "rdf:value": "another answer" }
        : { "@type": "dpv:UntilTimeDuration", "rdf:value": { "@type": "xsd:dateTime", "@value": until } },
    };
  }

  function earlyRecord(answer, terms, origin) {
    const said = answer.body, controller = { "@id": `urn:volition:operator:${origin}` };
    const record = {
      "@context": { ...CONTEXT },
      "@id": `urn:volition:${digest(answer.text)}`,
      "@type": "dpv:ConsentRecord",
      "dct:conformsTo": { "@id": "https://w3id.org/dpv/schema/dpv-27560#record" },
      "dct:identifier": `${origin}/${answer.seq}`,
      "dpv:hasDataSubject": { "@id": `urn:volition:${said.party}`, "@type": "dpv:DataSubject", "dpv:hasIdentifier": said.party },
      "dpv:hasDataController": { ...controller, "@type": "dpv:DataController", "dpv:hasName": origin, "dpv:hasIdentifier": origin },
      "dpv:hasRecipient": controller,
      "dpv:hasConsentStatus": statusOf(answer),
      "dpv:hasConsentControl": { "@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": { "@id": "/settings" } },
    };
    if (answer.kind === "decision") {
      record["dct:temporal"] = said.covers === null ? "from then on" : `since ${said.covers}`;
      record["dpv:hasProcess"] = process(said.purpose, said.data);
    }
    if (terms !== null) {
      const document = terms.body.terms;
      record["dpv:hasNotice"] = { "@id": `urn:volition:terms:${document.id}`, "@type": "dpv:ConsentNotice", "dct:identifier": document.id,
        "dct:title": document.title, "dct:issued": timeOf(terms), "volition:digest": digest(canonical(document)) };
    }
    return record;
  }

  const location = (place) => ({ "@id": `urn:volition:region:${place}`, "@type": "dpv:Location", "dct:identifier": place });

  /** The rules that govern what an answer is about. */
  function governing(version, categories, purposes, region) {
    const found = new Set();
    for (const category of categories) for (const purpose of purposes) {
      const rule = volition.ruleOf(version, category, purpose, region);
      if (rule !== null) found.add(rule);
    }
    return [...found];
  }

  function storage(rules) {
    const ages = rules.map((rule) => volition.age(rule, "max_age")).filter((one) => one !== null);
    if (!ages.length) return { "@type": "dpv:UntilEventDuration", "rdf:value": "erasure, or an answer that ends the use" };
    const shortest = volition.earlier(...ages);
    const text = shortest % volition.DAY === 0n ? `P${shortest / volition.DAY}D` : `PT${shortest / 1_000_000n}S`;
    return { "@type": "dpv:TemporalDuration", "rdf:value": { "@type": "xsd:duration", "@value": text } };
  }

  /** The record of form 2. */
  function laterRecord(answer, terms, region, controller, origin) {
    const record = earlyRecord(answer, terms, origin), said = answer.body, version = terms?.body.terms ?? null;
    record["@context"]["eu-gdpr"] = "https://w3id.org/dpv/legal/eu/gdpr#";
    for (const [key, name] of [["name", "dpv:hasName"], ["contact", "dpv:hasContact"], ["address", "dpv:hasAddress"]]) {
      if (key in controller) record["dpv:hasDataController"][name] = controller[key];
    }
    const exercised = { "@id": controller.url ?? "/settings" };
    record["dpv:hasConsentControl"]["dpv:isExercisedAt"] = exercised;
    const rights = ["dpv:DataSubjectRight", ...["A7-3", "A15", "A17", "A20", "A21"].map((one) => `eu-gdpr:${one}`)];
    record["dpv:hasRight"] = { "@type": rights, "dpv:isExercisedAt": exercised };
    if ("jurisdiction" in controller) record["dpv:hasJurisdiction"] = location(controller.jurisdiction);
    if (region !== null) record["dpv:hasDataSubject"]["dpv:hasLocation"] = location(region);
    if ("language" in controller && terms !== null) record["dpv:hasNotice"]["dct:language"] = controller.language;
    const known = (kind) => (version ? volition.nameable(version, kind) : []);
    const covered = (names, kind) => known(kind).filter((leaf) => names.some((name) => volition.covers(name, leaf)));
    let categories = known("category"), purposes = [];
    if (answer.kind === "decision") {
      record["dpv:hasConsentStatus"]["dpv:hasIndicationMethod"] = VIA[said.via] ?? "not recorded";
      if ("claim" in said) Object.assign(record["dpv:hasConsentStatus"], claimed(answer));
      categories = covered(said.data, "category"); // what only another version declares, this one has no rule for
      purposes = covered(said.purpose, "purpose");
    } else if (version) {
      purposes = known("purpose").filter((one) => volition.signalsFor(version, one).includes(said.signal));
      if (purposes.length) record["dpv:hasProcess"] = process(purposes, [...new Set(categories.map(volition.rootOf))].sort());
    }
    const processed = record["dpv:hasProcess"];
    if (processed) {
      processed["dpv:hasRecipient"] = record["dpv:hasRecipient"];
      if (version) {
        const rules = governing(version, categories, purposes, region);
        const bases = new Set(rules.map((rule) => ({ consent: "dpv:ExpressedConsent", contract: "dpv:Contract" })[rule.basis]).filter(Boolean));
        if (bases.size) processed["dpv:hasLegalBasis"] = [...bases].sort().map((one) => ({ "@id": one }));
        processed["dpv:hasStorageCondition"] = { "@type": "dpv:StorageDuration", "dpv:hasDuration": storage(rules) };
      }
    }
    return record;
  }

  /** What the status of an imported answer says of when and where it was given. */
  function claimed(answer) {
    const { claim } = answer.body;
    const told = { "dct:source": claim.source, "dct:publisher": claim.by, "volition:recorded": timeOf(answer) };
    for (const key of ["id", "wording"]) if (key in claim) told[`volition:${key}`] = claim[key];
    return { "dpv:isIndicatedAtTime": { "@type": "xsd:dateTime", "@value": claim.said },
      "dpv:hasIndicationMethod": `imported: given elsewhere, according to ${claim.source}`, "volition:claim": told };
  }

  function receiptOf(record, answer) {
    const { dct, dpv, xsd } = CONTEXT;
    return { "@context": { dct, dpv, xsd }, "@id": `urn:volition:receipt:${digest(canonical(record))}`, "@type": "dpv:ConsentReceipt",
      "dct:conformsTo": { "@id": "https://w3id.org/dpv/schema/dpv-27560#receipt" }, "dpv:hasIdentifier": record["dct:identifier"],
      "dct:created": timeOf(answer), "dpv:hasRecordOfActivity": { "@id": record["@id"] } };
  }

  /** The entries of a receipt by what they are: the answer, the terms, the regions. */
  function sort(entries, isLater) {
    const [answer, ...rest] = entries;
    need(answer && ["decision", "signal"].includes(answer.kind), "The first entry is no answer.");
    need(volition.isParty(answer.body.party), "The answer names no party.");
    const terms = rest[0]?.kind === "terms" ? rest.shift() : null;
    need(rest.length <= (isLater ? 2 : 0) && rest.every((one) => one.kind === "region"), "The receipt shows entries that do not belong to it.");
    need([terms, ...rest].every((one) => one === null || one.seq <= answer.seq), "The receipt shows an entry from after the answer.");
    const own = rest.filter((one) => one.body.party === answer.body.party), others = rest.filter((one) => !own.includes(one));
    need(own.length <= 1 && others.length <= 1 && others.every((one) => isText(one.body.party) && one.body.party.startsWith("account:")),
      "The receipt shows two regions of one party, or regions of others.");
    const region = (own[0] ?? others[0])?.body.region ?? null;
    if (terms !== null) volition.checkTerms(terms.body.terms);
    const history = new volition.History();
    for (const entry of [...entries].sort((one, other) => one.seq - other.seq)) history.read(entry);
    return { answer, terms, region };
  }

  function checkController(controller) {
    exactly(controller, [], "What the operator says of themselves", CONTROLLER);
    for (const [key, text] of Object.entries(controller)) {
      need(isText(text) && /^[^\r\n]{1,300}$/u.test(text), `What the operator says of themselves, ${key}, is not one line of 1 to 300 characters.`);
    }
  }

  /** Check one receipt; whom it is about comes back. */
  async function checkReceipt(document, key, report) {
    const isLater = document.format === "volition/receipt/2";
    volition.know(isLater || document.format === "volition/receipt/1", `The receipt is of the form ${document.format}.`);
    exactly(document, ["format", "record", "entries", "checkpoint", ...(isLater ? ["receipt", "controller"] : [])], "The receipt");
    const checkpoint = await volition.readCheckpoint(document.checkpoint, key, "The receipt's checkpoint");
    need(Array.isArray(document.entries), "The receipt shows no entries.");
    const entries = document.entries.map((one) => volition.includedEntry(one, checkpoint));
    const { answer, terms, region } = sort(entries, isLater);
    if (isLater) checkController(document.controller);
    const record = isLater ? laterRecord(answer, terms, region, document.controller, key.name) : earlyRecord(answer, terms, key.name);
    need(isObject(document.record) && same(document.record, record), "The record says otherwise than the entries.");
    if (isLater) {
      need(same(document.receipt, receiptOf(record, answer)), "The receipt says otherwise than its record.");
      if (Object.keys(document.controller).length) report.claimed.push("who the operator is.");
    }
    const { party, answer: said, signal, claim } = answer.body;
    if (claim) report.claimed.push("when and where it was given.");
    const given = claim ? ` on ${claim.said} according to ${claim.source}` : "";
    return { whose: [party], sentence: `${party} ${signal ? `sent the signal ${signal}` : `said ${said}`}${given}, recorded ${answer.at} as entry ${answer.seq}`
      + `${terms === null ? "" : `, under the terms ${terms.body.terms.id}`}.` };
  }

  Object.assign(volition, { checkReceipt });
})((globalThis.volition ??= {}));
