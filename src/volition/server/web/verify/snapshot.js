"use strict";
/* A snapshot: its manifest and rows, the replay over them, what was collected. Written from docs/formats/bundle.md, people.md and
   collected.md. */
(function (volition) {
  const { need, same, isText, isObject, isCount, isDigest, exactly, parseCanonical, decode, digest, canonical, us } = volition;

  const SCHEMA = { account: "string", category: "string", collected_us: "int64", conversation: "string", people: "list<item: string>", record_id: "string" };
  const PLACES = { position: "int64" };
  const ROWS = { embedding: "binary", payload: "binary", record_id: "string" };
  const MANIFEST = ["format", "purpose", "at", "collected_until", "within", "checkpoint", "encoder", "rows", "accounts", "people", "schema", "files"];

  /** Refuse a manifest that is not of the form of the page. */
  function checkManifest(manifest, S) {
    const what = `The manifest of ${S}`;
    const listed = isObject(manifest) && "table" in manifest;
    exactly(manifest, listed ? [...MANIFEST, "table"] : MANIFEST, what, listed ? [] : ["collected"]);
    need(manifest.format === (listed ? "volition/table-snapshot/1" : "volition/snapshot/1"), `${what} is of the form ${manifest.format}, which there is not.`);
    need(volition.isName(manifest.purpose), `${what} has no purpose.`);
    need(us(manifest.collected_until) <= us(manifest.at), `${what} takes what was collected after it was frozen.`);
    need(manifest.within === null || isText(manifest.within), `${what} is within nothing that has a name.`);
    need(manifest.encoder === null || isDigest(manifest.encoder), `${what} names an encoder by no digest.`);
    const { files, people, rows, accounts } = manifest;
    if (listed) checkTable(manifest, what);
    else exactly(files, ["keys.parquet", "people.json", "rows.parquet"], `"files" of the manifest`, ["collected.parquet"]);
    need(Object.values(files).every(isDigest), `${what} has a file without a digest.`);
    exactly(people, ["size", "root"], `"people" of the manifest`);
    need(isCount(people.size) && isDigest(people.root), `${what} has no tree of people.`);
    need("collected" in manifest === "collected.parquet" in files, `${what} speaks of what was collected in one place, and not in the other.`);
    if ("collected" in manifest) {
      exactly(manifest.collected, ["batches", "before"], `"collected" of the manifest`);
      need(Object.values(manifest.collected).every(isCount), `${what} counts no batches.`);
    }
    need(isObject(accounts) && Object.values(accounts).every(isCount), `${what} has no numbers of rows by account.`);
    need(isObject(rows), `${what} has no numbers of rows by category.`);
    for (const [category, counts] of Object.entries(rows)) checkCounts(category, counts);
  }

  /** Rows of a table that others keep: which one, and by which of its columns. */
  function checkTable({ files, table, encoder }, what) {
    exactly(files, ["keys.parquet", "people.json", "places.parquet", "sources.json"], `"files" of the manifest`);
    exactly(table, ["form", "uri", "version", "mapping"], `"table" of the manifest`);
    need(isObject(table.mapping) && [table.form, table.uri, table.version, ...Object.values(table.mapping)].every(isText), `${what} names a table in another form.`);
    need(encoder === null, `${what} names an encoder, and rows of a table have no vectors.`);
  }

  function checkCounts(category, counts) {
    const what = `What the manifest says of ${category}`;
    exactly(counts, ["read", "kept", "dropped"], what, ["left_out"]);
    need(isObject(counts.dropped) && [...Object.values(counts.dropped), counts.read, counts.kept, counts.left_out ?? 0].every(isCount), `${what} is not in numbers.`);
    const total = counts.kept + (counts.left_out ?? 0) + Object.values(counts.dropped).reduce((one, other) => one + other, 0);
    need(total === counts.read, `${what} does not add up.`);
  }

  /** Check a snapshot of a working model; its rows come back. */
  async function checkSnapshot(bundle, S) {
    const { members, key, log, entered } = bundle;
    const { entry } = entered.get(S), folder = `snapshots/${S}`;
    for (const file of ["manifest.json", "keys.parquet", "people.json"]) need(members.has(`${folder}/${file}`), `The bundle lacks ${folder}/${file}.`);
    const raw = members.get(`${folder}/manifest.json`), manifestDigest = digest(raw);
    const manifest = parseCanonical(decode(raw, "The manifest"), "The manifest");
    checkManifest(manifest, S);
    const terms = log.entries.slice(0, entry.seq).filter((one) => one.kind === "terms").map((one) => one.body.terms);
    const known = [...volition.PURPOSES, ...terms.flatMap((version) => volition.nameable(version, "purpose"))];
    need(known.includes(manifest.purpose), `Nobody could be asked about the purpose ${manifest.purpose}.`);
    const body = { snapshot: S, purpose: manifest.purpose, at: manifest.at, manifest: manifestDigest };
    need(same(entry.body, body), `The log's entry ${entry.seq} tells of another manifest than ${S} has.`);
    need(S === `${manifest.purpose.replaceAll("/", "-")}-${manifestDigest.slice(0, 12)}`, `The name ${S} does not follow from purpose and digest.`);
    const at = us(manifest.at);
    need(at <= entry.us, `${S} was judged as of an instant after its own entry.`);
    const checkpoint = await volition.readCheckpoint(manifest.checkpoint, key, "The manifest's checkpoint");
    volition.beginning(log, checkpoint, "The manifest's checkpoint");
    need(checkpoint.size <= entry.seq, "The manifest's checkpoint has entries that came after the snapshot.");
    if (checkpoint.size) need(log.entries[checkpoint.size - 1].us <= at, "The manifest's checkpoint has entries from after the instant of the snapshot.");
    if (manifest.within !== null) {
      const around = entered.get(manifest.within);
      need(around && around.entry.seq < entry.seq, `${S} is within ${manifest.within}, which no earlier entry froze.`);
    }
    for (const name of ["keys.parquet", "people.json"]) {
      need(digest(members.get(`${folder}/${name}`)) === manifest.files[name], `${name} is not the file that the manifest tells of.`);
    }
    const keys = await volition.readKeys(members.get(`${folder}/keys.parquet`));
    checkNumbers(manifest, keys);
    await checkPeople(manifest, keys, members.get(`${folder}/people.json`));
    volition.tellClaims(bundle.report, S, manifest);
    const snapshot = { name: S, entry, manifest, manifestDigest, at, purpose: manifest.purpose, keys, groups: await group(keys) };
    return { snapshot, sentence: `${keys.length} rows of ${manifest.people.size} people, frozen ${manifest.at} for ${manifest.purpose}; files, numbers and people agree.` };
  }

  function count(values) {
    const found = new Map();
    for (const one of values) found.set(one, (found.get(one) ?? 0) + 1);
    return Object.fromEntries(found);
  }

  function checkNumbers(manifest, keys) {
    const kept = Object.entries(manifest.rows).filter(([, counts]) => counts.kept).map(([category, counts]) => [category, counts.kept]);
    need(same(count(keys.category), Object.fromEntries(kept)), "The rows are not as many by category as the manifest says.");
    need(same(count(keys.account), manifest.accounts), "The rows are not as many by account as the manifest says.");
    const schema = { ...SCHEMA };
    if (!keys.spoken) delete schema.conversation;
    need(same(manifest.schema, { "keys.parquet": schema, ...("table" in manifest ? { "places.parquet": PLACES } : { "rows.parquet": ROWS }) }), "The manifest says another schema than the files have.");
    const until = us(manifest.collected_until);
    need(keys.collected_us.every((one) => one <= until), "A row was collected after the manifest's collected_until.");
  }

  async function checkPeople(manifest, keys, file) {
    const rows = new Map();
    for (const people of keys.people) for (const one of people) rows.set(one, (rows.get(one) ?? 0) + 1);
    const found = [];
    for (const [pseudonym, total] of rows) {
      const tag = personTag(manifest, pseudonym);
      found.push([tag, commitment(tag, pseudonym, total)]);
      await volition.breathe();
    }
    found.sort(([one], [other]) => (one < other ? -1 : 1));
    need(decode(file, "people.json") === canonical(found), "people.json is not what follows from the rows.");
    const tree = await volition.Tree.of(found.map((one) => volition.leafHash(volition.encode(canonical(one)))));
    need(same(manifest.people, { size: found.length, root: tree.root() }), "The manifest's tree of people is not that of its rows.");
  }

  const personTag = (manifest, pseudonym) => digest(canonical(["volition/person", manifest.purpose, manifest.at, pseudonym]));
  const commitment = (tag, pseudonym, rows) => digest(canonical(["volition/rows", tag, pseudonym, rows]));

  /** Rows of the same account, people, category and conversation get one answer. */
  async function group(keys) {
    const groups = new Map();
    for (let row = 0; row < keys.length; row += 1) {
      if (row % 1024 === 0) await volition.breathe();
      const account = keys.account[row], category = keys.category[row], conversation = keys.conversation[row], collected = keys.collected_us[row];
      const name = `${account}\n${category}\n${conversation === null ? "?" : `=${conversation}`}\n${keys.people[row].join()}`;
      const found = groups.get(name);
      if (found) {
        if (collected < found.earliest) [found.earliest, found.record] = [collected, keys.record_id[row]];
        if (collected > found.latest) found.latest = collected;
        found.rows += 1;
      } else {
        const people = keys.people[row].map((one) => `person:${one}`);
        groups.set(name, { account, people, category, conversation, earliest: collected, latest: collected, rows: 1, record: keys.record_id[row] });
      }
    }
    return [...groups.values()];
  }

  // What was collected.

  async function checkCollection(bundle, snapshot) {
    const { members, log } = bundle, { name, entry, manifest, keys } = snapshot;
    const speaks = log.entries.find((one) => "salt" in one || one.kind === "collect");
    if (!("collected" in manifest)) {
      need(!speaks || speaks.seq >= entry.seq, `${name} does not say of which batches its rows are, though the log speaks of them before.`);
      bundle.report.claimed.push(`${name}: of no row is it known whether it is as it was collected.`);
      return { sentence: "The snapshot is from before the log spoke of what is collected: of no row is it known." };
    }
    const path = `snapshots/${name}/collected.parquet`;
    need(members.has(path), `The bundle lacks ${path}.`);
    need(digest(members.get(path)) === manifest.files["collected.parquet"], "collected.parquet is not the file that the manifest tells of.");
    const table = await volition.readCollected(members.get(path));
    const seen = new Uint8Array(keys.length), firsts = new Map();
    for (const { kind, body, seq } of log.entries) if (kind === "collect" && !firsts.has(body.root)) firsts.set(body.root, seq);
    let before = 0;
    for (let place = 0; place < table.length; place += 1) {
      const batch = Object.fromEntries(["entry", "people_key", "rows", "indexes", "salts", "leaves"].map((key) => [key, table[key][place]]));
      const last = place ? table.entry[place - 1] : undefined;
      need(last === undefined || (batch.entry !== null && (last === null || last < batch.entry)), "The batches are not in order.");
      for (const [at, row] of batch.rows.entries()) {
        need(row >= 0 && row < keys.length && !seen[row], "A row is of two batches, or of none that exists.");
        need(at === 0 || batch.rows[at - 1] < row, "The rows of a batch do not ascend.");
        seen[row] = 1;
      }
      if (batch.entry === null) before = checkEarly(batch, speaks, keys);
      else await checkBatch(log, entry.seq, batch, keys, firsts);
    }
    need(seen.every(Boolean), "A row is of no batch.");
    const batches = table.entry.filter((one) => one !== null).length;
    need(same(manifest.collected, { batches, before }), "The manifest says other numbers of batches than collected.parquet has.");
    if (before) bundle.report.claimed.push(`${name}: of ${before} rows from before the log spoke of it, whether they are as they were collected.`);
    return { sentence: `${keys.length - before} rows are as they were collected, in ${batches} batches${before ? `; of ${before} it is not known` : ""}.` };
  }

  function checkEarly(batch, speaks, keys) {
    need(batch.people_key === null && batch.salts === null && batch.leaves === null && batch.indexes.length === 0, "Rows without an entry have what only an entry gives.");
    need(!speaks || speaks.seq > 0, "Rows have no entry, though the log speaks of what is collected from its beginning.");
    need(!speaks || batch.rows.every((row) => keys.collected_us[row] <= speaks.us), "A row has no entry, though it was collected when the log already spoke of it.");
    return batch.rows.length;
  }

  async function checkBatch(log, limit, batch, keys, firsts) {
    const seq = Number(batch.entry), entry = log.entries[seq], what = `Batch ${seq}`;
    need(seq >= 0 && seq < limit && entry.kind === "collect", `${what} names no earlier entry of what was collected.`);
    need(batch.people_key?.length === 32 && batch.salts !== null && batch.leaves !== null, `${what} lacks its key, salts or leaves.`);
    need(batch.rows.length > 0 && batch.indexes.length === batch.rows.length && batch.salts.length === 16 * batch.rows.length, `${what} has not one salt and place for each row.`);
    need(batch.leaves.length % 32 === 0, `${what} has half a leaf.`);
    const leaves = Array.from({ length: batch.leaves.length / 32 }, (_, at) => batch.leaves.subarray(32 * at, 32 * at + 32));
    const tree = await volition.Tree.of(leaves);
    need(same(entry.body, { records: leaves.length, root: tree.root() }), `${what} has other leaves than the log's entry says.`);
    need(firsts.get(entry.body.root) === seq, `${what} enters once more what entry ${firsts.get(entry.body.root)} entered.`);
    need(new Set(batch.indexes).size === batch.indexes.length, `${what} has one place for two rows.`);
    const aliases = new Map();
    const alias = (pseudonym) => {
      if (!aliases.has(pseudonym)) aliases.set(pseudonym, aliasOf(volition.hmac(batch.people_key, volition.encode(pseudonym)).subarray(0, 16), pseudonym));
      return aliases.get(pseudonym);
    };
    for (const [at, row] of batch.rows.entries()) {
      const salt = volition.hex(batch.salts.subarray(16 * at, 16 * at + 16));
      const leaf = canonical([salt, keys.record_id[row], keys.account[row], keys.people[row].map(alias), keys.category[row],
        Number(keys.collected_us[row]), keys.conversation[row]]);
      const there = leaves[batch.indexes[at]];
      need(there && volition.equalBytes(volition.leafHash(volition.encode(leaf)), there), `The row ${keys.record_id[row]} is not as it was collected.`);
      need(keys.collected_us[row] <= entry.us + volition.WRITING, `The row ${keys.record_id[row]} is from after entry ${seq}, which enters it.`);
      await volition.breathe();
    }
  }

  const aliasOf = (token, pseudonym) => digest(canonical(["volition/collected-person", volition.hex(token), pseudonym]));

  Object.assign(volition, { checkSnapshot, checkCollection, personTag, commitment, aliasOf });
})((globalThis.volition ??= {}));
