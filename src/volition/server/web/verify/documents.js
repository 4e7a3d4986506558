"use strict";
/* Small documents: proofs of persons, entries, consistency, accesses and what was collected. Written from docs/formats/proofs.md,
   collected.md and log.md. */
(function (volition) {
  const { need, same, isText, isCount, isObject, isDigest, isPseudonym, exactly, parse, parseCanonical, digest } = volition;
  const { readCheckpoint, readEntry, included, leafHash, encode } = volition;

  /** Read an entry that a document shows with its proof. */
  function includedEntry(shown, checkpoint) {
    exactly(shown, ["entry", "path"], "A shown entry");
    const entry = readEntry(shown.entry, "A shown entry");
    included(entry.leaf, entry.seq, checkpoint.size, shown.path, checkpoint.root, `entry ${entry.seq}`);
    return entry;
  }

  async function checkPerson(proof, key) {
    exactly(proof, ["format", "model", "pseudonym", "present", "rows", "manifest", "leaves", "entries", "checkpoint"], "The proof");
    need(proof.format === "volition/person-proof/1", "The proof is of a form that this page does not know.");
    const { model, pseudonym, present, rows } = proof;
    need(isPseudonym(pseudonym), "The pseudonym is not 32 lower-case hexadecimal digits: another spelling names nobody.");
    need(isText(model) && typeof present === "boolean" && isCount(rows), "The proof says nothing of the right form.");
    const checkpoint = await readCheckpoint(proof.checkpoint, key, "The proof's checkpoint");
    need(Array.isArray(proof.entries) && proof.entries.length === 2, "The proof shows not the two entries.");
    const [snapshot, trained] = proof.entries.map((one) => includedEntry(one, checkpoint));
    need(snapshot.kind === "snapshot" && trained.kind === "model" && snapshot.seq < trained.seq, "The entries are not those of a snapshot and then a model.");
    need(isText(proof.manifest) && digest(proof.manifest) === snapshot.body.manifest, "The manifest is not that of the snapshot's entry.");
    const manifest = parseCanonical(proof.manifest, "The manifest");
    need(trained.body.model === model && trained.body.snapshot === snapshot.body.snapshot, "The model's entry is of another model, or of another snapshot.");
    need(isText(manifest.purpose) && isText(manifest.at) && isObject(manifest.people), "The manifest has no people.");
    const { size, root } = manifest.people;
    need(isCount(size) && isDigest(root), "The manifest has no tree of people.");
    if (size === 0) need(root === digest(""), "The tree of nobody has another root.");
    need(Array.isArray(proof.leaves), "The proof shows no leaves.");
    const leaves = proof.leaves.map((one) => readLeaf(one, size, root));
    need(new Set(leaves.map((one) => one.index)).size === leaves.length, "A leaf is shown twice.");
    const tag = volition.personTag(manifest, pseudonym);
    if (present) {
      need(rows > 0 && leaves.length === 1 && leaves[0].tag === tag, "The leaf is not the person's.");
      need(leaves[0].commitment === volition.commitment(tag, pseudonym, rows), "The person's leaf is of another number of rows.");
    } else absent(leaves, tag, size, rows);
    return { whose: [`person:${pseudonym}`], sentence: present ? `${pseudonym} is in what ${model} learned from, with ${rows} rows (${checkpoint.size} entries).`
      : `${pseudonym} is not in what ${model} learned from (${checkpoint.size} entries).` };
  }

  function readLeaf(shown, size, root) {
    exactly(shown, ["index", "leaf", "path"], "A leaf");
    need(isText(shown.leaf), "A leaf is no text.");
    const leaf = parseCanonical(shown.leaf, "A leaf");
    need(Array.isArray(leaf) && leaf.length === 2 && leaf.every(isDigest), "A leaf is not two hashes.");
    included(leafHash(encode(shown.leaf)), shown.index, size, shown.path, root, `leaf ${shown.index}`);
    return { index: shown.index, tag: leaf[0], commitment: leaf[1] };
  }

  function absent(leaves, tag, size, rows) {
    need(rows === 0, "The person is said to be absent, with rows.");
    need(leaves.every((one) => one.tag !== tag), "The person is said to be absent, and is there.");
    const smaller = leaves.filter((one) => one.tag < tag), larger = leaves.filter((one) => one.tag > tag);
    need(smaller.length <= 1 && larger.length <= 1, "The leaves are not the two neighbours.");
    if (smaller.length && larger.length) need(larger[0].index === smaller[0].index + 1, "The leaves are not neighbours: the person may be between them.");
    else if (smaller.length) need(smaller[0].index === size - 1, "The leaf is not the last one: the person may be behind it.");
    else if (larger.length) need(larger[0].index === 0, "The leaf is not the first one: the person may be before it.");
    else need(size === 0, "Nobody's leaf is shown, and the tree has some.");
  }

  async function checkInclusion(proof, key) {
    const named = "format" in proof;
    exactly(proof, named ? ["format", "key", "seq", "entry", "leaf", "checkpoint", "proof"] : ["seq", "leaf", "hashes", "checkpoint"], "The proof");
    const checkpoint = await readCheckpoint(proof.checkpoint, key);
    need(!named || proof.key === key.text, "The proof names another public key than yours.");
    need(isCount(proof.seq) && isDigest(proof.leaf), "The proof has no number and leaf.");
    included(volition.unhex(proof.leaf), proof.seq, checkpoint.size, named ? proof.proof : proof.hashes, checkpoint.root, `entry ${proof.seq}`);
    if (!named || proof.entry === null) return { sentence: `An entry of this hash is number ${proof.seq} of ${checkpoint.size}; what it says is not shown.` };
    const entry = readEntry(proof.entry, "The entry");
    need(entry.seq === proof.seq && volition.hex(entry.leaf) === proof.leaf, "The entry is not the one that is proved.");
    return { sentence: `Entry ${entry.seq} of ${checkpoint.size}, of kind ${entry.kind}, is of ${entry.at}.` };
  }

  async function checkConsistency(proof, key) {
    exactly(proof, ["format", "key", "old", "new", "proof"], "The proof");
    need(proof.key === key.text, "The proof names another public key than yours.");
    const old = await readCheckpoint(proof.old, key, "The older checkpoint"), now = await readCheckpoint(proof.new, key, "The newer checkpoint");
    volition.consistent(old, now, proof.proof);
    return { sentence: `The log of ${now.size} entries goes on from that of ${old.size}, unchanged.` };
  }

  const LINE = ["day", "at", "who", "role", "for", "whose", "records", "categories", "salt"];

  async function checkAccess(proof, key) {
    exactly(proof, ["format", "line", "index", "lines", "path", "entry", "hashes", "checkpoint"], "The proof");
    const checkpoint = await readCheckpoint(proof.checkpoint, key);
    const entry = includedEntry({ entry: proof.entry, path: proof.hashes }, checkpoint);
    need(entry.kind === "access", "The entry is not of kind access.");
    volition.checkAccessEntry(entry);
    need(proof.lines === entry.body.lines, "The proof says another number of lines than the entry.");
    need(isText(proof.line), "The line is no text.");
    const line = parseCanonical(proof.line, "The line");
    exactly(line, LINE, "The line");
    need(line.day === entry.body.day, "The line is of another day than its entry.");
    need(line.at === null || (volition.isInstant(line.at) && line.at.startsWith(line.day)), "The line is of an instant of another day.");
    need([line.who, line.role, line.for, line.whose].every(isText) && (line.whose === "everyone" || volition.isParty(line.whose)), "The line does not say who looked, and at whose data.");
    need(isCount(line.records) && Array.isArray(line.categories) && line.categories.every(isText) && isPseudonym(line.salt), "The line does not say at what.");
    included(leafHash(encode(proof.line)), proof.index, entry.body.lines, proof.path, entry.body.root, `line ${proof.index}`);
    return { whose: line.whose === "everyone" ? null : [line.whose],
      sentence: `On ${line.day} ${line.who} (${line.role}) looked at ${line.records} records of ${line.whose}, for: ${line.for}.` };
  }

  async function checkCollected(proof, key) {
    exactly(proof, ["format", "pseudonyms", "batches", "checkpoint"], "The proof");
    const { pseudonyms, batches } = proof;
    need(Array.isArray(pseudonyms) && pseudonyms.every(isPseudonym) && same(pseudonyms, [...new Set(pseudonyms)].sort()), "The pseudonyms are not in order, or not of their form.");
    const checkpoint = await readCheckpoint(proof.checkpoint, key);
    need(Array.isArray(batches), "The proof shows no batches.");
    const named = new Set();
    let before = -1, total = 0;
    for (const batch of batches) {
      exactly(batch, ["entry", "path", "tokens", "leaves"], "A batch");
      const entry = includedEntry({ entry: batch.entry, path: batch.path }, checkpoint);
      need(entry.kind === "collect" && entry.seq > before, "The entries are not those of batches, in order.");
      before = entry.seq;
      exactly(entry.body, ["records", "root"], `Entry ${entry.seq}`);
      need(isCount(entry.body.records) && isDigest(entry.body.root), `Entry ${entry.seq} has no root.`);
      total += checkBatch(batch, entry, pseudonyms, named);
    }
    need(named.size === pseudonyms.length, "A pseudonym is named of which nothing is shown.");
    return { whose: pseudonyms.map((one) => `person:${one}`), sentence: `${total} records of ${pseudonyms.join(", ")} were recorded as shown (${checkpoint.size} entries).` };
  }

  function checkBatch(batch, entry, pseudonyms, named) {
    need(isObject(batch.tokens), "A batch has no tokens.");
    const aliases = new Map();
    for (const [pseudonym, token] of Object.entries(batch.tokens)) {
      need(pseudonyms.includes(pseudonym) && isPseudonym(token), "A token is of somebody else, or of another form.");
      aliases.set(volition.aliasOf(volition.unhex(token), pseudonym), pseudonym);
      named.add(pseudonym);
    }
    need(Array.isArray(batch.leaves) && batch.leaves.length > 0, "A batch shows no leaves.");
    const found = new Set();
    let before = -1, last = null;
    for (const shown of batch.leaves) {
      exactly(shown, ["index", "leaf", "path"], "A leaf");
      need(isText(shown.leaf) && isCount(shown.index) && shown.index > before, "The leaves are not in order.");
      before = shown.index;
      const leaf = parseCanonical(shown.leaf, "A leaf"), people = readRecord(leaf), record = volition.hex(encode(leaf[1]));
      need(last === null || last < record, "A record is there twice, or the records are not in their order.");
      need(BigInt(leaf[5]) <= entry.us + volition.WRITING, "A record is from after the entry that enters it.");
      last = record;
      included(leafHash(encode(shown.leaf)), shown.index, entry.body.records, shown.path, entry.body.root, `record ${shown.index}`);
      const theirs = people.filter((alias) => aliases.has(alias));
      need(theirs.length > 0, "A leaf concerns somebody else.");
      for (const alias of theirs) found.add(alias);
    }
    need(found.size === aliases.size, "A token is of somebody whom no leaf concerns.");
    return batch.leaves.length;
  }

  function readRecord(leaf) {
    need(Array.isArray(leaf) && leaf.length === 7, "A leaf is not of seven values.");
    const [salt, id, account, people, category, collected, conversation] = leaf;
    need(isPseudonym(salt) && isText(id) && isText(account) && Array.isArray(people) && people.every(isDigest), "A leaf is not of its form.");
    need(volition.isName(category) && volition.isWhole(collected) && (conversation === null || isText(conversation)), "A leaf is not of its form.");
    return people;
  }

  // A .tlog-proof.

  function readTlogProof(text) {
    const parts = /^c2sp\.org\/tlog-proof@v1\n(?:extra ([^\n]+)\n)?index (0|[1-9]\d{0,15})\n((?:[A-Za-z0-9+/=]+\n)*)\n([\s\S]+)$/.exec(text);
    need(parts, "This is no tlog-proof.");
    need(parts[1] !== undefined, "The entry is not in this file, but in one of its own: this page takes only a proof with its entry.");
    const entry = volition.decode(volition.unbase64(parts[1], "The entry"), "The entry");
    const path = parts[3].split("\n").slice(0, -1).map((one) => volition.hex(volition.unbase64(one, "A hash")));
    return { index: Number(parts[2]), entry, path, checkpoint: parts[4] };
  }

  async function checkTlogProof(text, key) {
    const { index, entry: shown, path, checkpoint: note } = readTlogProof(text);
    const checkpoint = await readCheckpoint(note, key);
    const entry = includedEntry({ entry: shown, path }, checkpoint);
    need(entry.seq === index, "The entry is of another number than the proof.");
    return { sentence: `Entry ${entry.seq} of ${checkpoint.size}, of kind ${entry.kind}, is of ${entry.at}.` };
  }

  function checkTlogWitnesses(text, policy, key) {
    const { entry, checkpoint } = readTlogProof(text);
    return volition.checkWitnesses(checkpoint, policy, key, volition.us(parseCanonical(entry, "The entry").at));
  }

  function tlogChecks(text, key, policy) {
    const checks = [["entry", () => checkTlogProof(text, key)]];
    if (policy) checks.push(["witnesses of the entry's checkpoint", () => checkTlogWitnesses(text, policy, key)]);
    return checks;
  }

  // Which document it is.

  const TLOG = "c2sp.org/tlog-proof@v1\n";

  /** Which checks a document asks for: [name, check]. */
  function checksOf(document, key, report) {
    if (Array.isArray(document)) return document.flatMap((one) => checksOf(one, key, report));
    volition.know(isObject(document), "The document is of no form.");
    const { format } = document;
    if (format === "volition/person-proofs/1") {
      exactly(document, ["format", "proofs", "receipts"], "The document");
      need(Array.isArray(document.proofs) && Array.isArray(document.receipts), "The document has no lists.");
      return [...document.proofs, ...document.receipts].flatMap((one) => checksOf(one, key, report));
    }
    if (format === "volition/person-proof/1") return [[`person in ${document.model}`, () => checkPerson(document, key)]];
    if (isText(format) && format.startsWith("volition/receipt/")) {
      return [[`receipt ${document.record?.["dct:identifier"] ?? "of nobody"}`, () => volition.checkReceipt(document, key, report)]];
    }
    if (format === "volition/consistency-proof/1") return [["consistency", () => checkConsistency(document, key)]];
    if (format === "volition/access-proof/1") return [["who looked", () => checkAccess(document, key)]];
    if (format === "volition/collected-proof/1") return [["what was collected", () => checkCollected(document, key)]];
    volition.know(format === "volition/inclusion-proof/1" || (format === undefined && "leaf" in document && "hashes" in document),
      `The document is of the form ${JSON.stringify(format ?? null)}.`);
    return [[`entry ${document.seq}`, () => checkInclusion(document, key)]];
  }

  /** Check a document; `person` is whom it is for, by one pseudonym for each identity, or null. */
  async function verifyDocument(data, key, { person = null, policy = null } = {}, tell = () => {}) {
    const report = new volition.Report(tell);
    const read = await report.check("document", () => {
      const text = volition.decode(data, "The file");
      const checks = text.startsWith(TLOG) ? tlogChecks(text, key, policy) : checksOf(parse(text, "The document"), key, report);
      return { checks, sentence: "The document is of a known form." };
    });
    if (read === null) return report;
    report.checks.pop(); // of a document that can be read nothing is said: what it proves is
    for (const [name, make] of read.checks) {
      const found = await report.check(name, make);
      if (person !== null && found?.whose) {
        await report.check("person", () => {
          const theirs = volition.pseudonyms(person).map((one) => `person:${one}`);
          need(found.whose.every((one) => theirs.includes(one)), `This is about ${found.whose.join(", ")}, and not about ${person}.`);
          return { sentence: `This is about ${person}.` };
        });
      }
    }
    return report;
  }

  /** What a document shows of the log: [{checkpoint, entries}]. */
  function shownEntries(document) {
    if (Array.isArray(document)) return document.flatMap(shownEntries);
    need(isObject(document), "This is no document that shows entries.");
    if (document.format === "volition/person-proofs/1") return [...document.proofs, ...document.receipts].flatMap(shownEntries);
    const { checkpoint } = document;
    if (Array.isArray(document.entries)) return [{ checkpoint, entries: document.entries.map((one) => one?.entry) }];
    if (Array.isArray(document.batches)) return [{ checkpoint, entries: document.batches.map((one) => one?.entry) }];
    return isText(document.entry) ? [{ checkpoint, entries: [document.entry] }] : [];
  }

  Object.assign(volition, { includedEntry, verifyDocument, shownEntries });
})((globalThis.volition ??= {}));
