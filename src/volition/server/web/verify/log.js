"use strict";
/* The log: keys, checkpoints, the tree, proofs, entries. Written from docs/formats/log.md. */
(function (volition) {
  const { need, sha256, join, hex, unhex, encode, decode, isDigest, unbase64, equalBytes, isObject, isText } = volition;
  const NAME = "[^\\s+]+";

  /** The log's public key, of `NAME+KEYID+BASE64`. */
  async function readKey(text) {
    const parts = new RegExp(`^(${NAME})\\+([0-9a-f]{8})\\+([A-Za-z0-9+/=]+)$`).exec(text.trim());
    need(parts, "This is no public key of a log: NAME+KEYID+BASE64.");
    const bytes = unbase64(parts[3], "The public key");
    need(bytes.length === 33 && bytes[0] === 1, "The public key is not one of Ed25519 for a log.");
    const id = keyId(parts[1], bytes);
    need(hex(id) === parts[2], "The public key's id is not that of its name and bytes.");
    need(globalThis.crypto?.subtle, "This browser checks signatures only on https:// pages, or in a file of your own.");
    let key = null;
    try {
      key = await crypto.subtle.importKey("raw", bytes.subarray(1), { name: "Ed25519" }, false, ["verify"]);
    } catch {
      need(false, "This browser cannot check Ed25519 signatures. A newer one can.");
    }
    return { name: parts[1], id, text: text.trim(), verify: (signature, data) => crypto.subtle.verify("Ed25519", key, signature, data) };
  }

  const keyId = (name, bytes) => sha256(join(encode(`${name}\n`), bytes)).subarray(0, 4);

  /** Check a signed checkpoint; returns {origin, size, root, text}. */
  async function readCheckpoint(text, key, what = "The checkpoint") {
    need(isText(text), `${what} is no text.`);
    const parts = new RegExp(`^((${NAME})\\n(0|[1-9]\\d{0,15})\\n([A-Za-z0-9+/=]+)\\n)\\n((?:— [^\\n]+\\n)+)$`).exec(text);
    need(parts, `${what} is no signed note of three lines.`);
    const [, signed, origin, size, root, signatures] = parts;
    need(Number.isSafeInteger(Number(size)), `${what} has too many entries.`);
    const found = { origin, size: Number(size), root: hex(unbase64(root, `The root of ${what}`)), text };
    need(isDigest(found.root), `The root of ${what} is no SHA-256.`);
    need(origin === key.name, `${what} is of the log ${origin}, and the key is of ${key.name}.`);
    const lines = signatures.slice(0, -1).split("\n");
    need(lines.length <= 100, `${what} has more than 100 signatures.`);
    let known = 0;
    for (const line of lines) {
      const one = new RegExp(`^— (${NAME}) ([A-Za-z0-9+/=]+)$`).exec(line);
      need(one, `A signature line of ${what} is malformed.`);
      const bytes = unbase64(one[2], `A signature of ${what}`);
      need(bytes.length > 4, `A signature of ${what} is too short.`);
      if (one[1] !== key.name || !equalBytes(bytes.subarray(0, 4), key.id)) continue;
      const good = bytes.length === 68 && (await key.verify(bytes.subarray(4), encode(signed)));
      need(good, `The log's signature of ${what} does not verify.`);
      known += 1;
    }
    need(known > 0, `${what} is not signed by the log's key.`);
    return found;
  }

  const ZERO = Uint8Array.of(0);
  const leafHash = (data) => sha256(join(ZERO, data));
  const PAIR = new Uint8Array(65);

  function nodeHash(left, right) {
    PAIR[0] = 1;
    PAIR.set(left, 1);
    PAIR.set(right, 33);
    return sha256(PAIR);
  }

  /** A tree over leaf hashes that gives the root of every beginning of it. */
  class Tree {
    static async of(hashes) {
      const tree = new Tree();
      tree.levels = [hashes];
      for (let level = hashes; level.length > 1; ) {
        const above = [];
        for (let at = 0; at + 1 < level.length; at += 2) {
          above.push(nodeHash(level[at], level[at + 1]));
          if (at % 4096 === 0) await volition.breathe();
        }
        tree.levels.push(above);
        level = above;
      }
      return tree;
    }

    /** The root over the first `size` leaves, in hexadecimal. */
    root(size = this.levels[0].length) {
      if (size === 0) return hex(sha256(new Uint8Array(0)));
      let found = null;
      for (let level = 0, left = size; left > 0; level += 1, left = Math.floor(left / 2)) {
        if (left % 2 === 0) continue;
        const full = this.levels[level][left - 1];
        found = found === null ? full : nodeHash(full, found);
      }
      return hex(found);
    }
  }

  function readPath(path, what) {
    need(Array.isArray(path) && path.every(isDigest), `${what} is no list of hashes.`);
    return path.map(unhex);
  }

  /** RFC 9162 section 2.1.3.2: whether a leaf is in a tree. */
  function included(leaf, index, size, path, root, what) {
    need(Number.isSafeInteger(index) && index >= 0 && index < size, `${what} is not in a tree of ${size}.`);
    let fn = index, sn = size - 1, found = leaf;
    for (const one of readPath(path, `The proof of ${what}`)) {
      need(sn !== 0, `The proof of ${what} is too long.`);
      if (fn % 2 === 1 || fn === sn) {
        found = nodeHash(one, found);
        while (fn % 2 === 0 && fn !== 0) {
          fn = Math.floor(fn / 2);
          sn = Math.floor(sn / 2);
        }
      } else found = nodeHash(found, one);
      fn = Math.floor(fn / 2);
      sn = Math.floor(sn / 2);
    }
    need(sn === 0, `The proof of ${what} is too short.`);
    need(hex(found) === root, `The proof of ${what} does not lead to the root.`);
  }

  /** RFC 9162 section 2.1.4.2: whether one tree is the beginning of another. */
  function consistent(old, now, proof) {
    const path = readPath(proof, "The consistency proof");
    need(old.size <= now.size, "The newer checkpoint has fewer entries than the older one: the log was cut off.");
    if (old.size === 0 || old.size === now.size) {
      need(path.length === 0, "The consistency proof has another length than follows from the numbers.");
      const empty = hex(sha256(new Uint8Array(0)));
      need(old.size === now.size ? old.root === now.root : old.root === empty, "The two checkpoints are of different logs.");
      return;
    }
    need(path.length > 0, "The consistency proof is empty.");
    if (Number.isInteger(Math.log2(old.size))) path.unshift(unhex(old.root));
    let fn = old.size - 1, sn = now.size - 1;
    const up = () => {
      fn = Math.floor(fn / 2);
      sn = Math.floor(sn / 2);
    };
    while (fn % 2 === 1) up();
    let fr = path[0], sr = path[0];
    for (const one of path.slice(1)) {
      need(sn !== 0, "The consistency proof is too long.");
      if (fn % 2 === 1 || fn === sn) {
        fr = nodeHash(one, fr);
        sr = nodeHash(one, sr);
        while (fn % 2 === 0 && fn !== 0) up();
      } else sr = nodeHash(sr, one);
      up();
    }
    need(sn === 0, "The consistency proof is too short.");
    need(hex(fr) === old.root && hex(sr) === now.root, "The log of the older checkpoint is not an unchanged beginning of that of the newer one.");
  }

  const KINDS = new Set(("terms acceptance decision region identity signal limit sharing exclusion collect access mapping notice form"
    + " snapshot model release forgetting erasure removal").split(" "));

  /** Read an entry from its text; refused unless it is in its one form. */
  function readEntry(text, what) {
    need(isText(text), `${what} is no text.`);
    const bytes = encode(text);
    need(bytes.length <= 65_535, `${what} is longer than 65,535 bytes.`);
    const entry = volition.parseCanonical(text, what);
    volition.exactly(entry, ["at", "body", "kind", "seq"], what, ["salt"]);
    need(volition.isCount(entry.seq), `${what} has no number.`);
    need(KINDS.has(entry.kind), `${what} is of the kind "${entry.kind}", which this page does not know.`);
    need(isObject(entry.body), `The body of ${what} is no object.`);
    need(!("salt" in entry) || volition.isPseudonym(entry.salt), `The salt of ${what} is not 32 hexadecimal digits.`);
    entry.us = volition.us(entry.at, `The date of ${what}`);
    Object.defineProperty(entry, "leaf", { value: leafHash(bytes) });
    Object.defineProperty(entry, "text", { value: text });
    return entry;
  }

  /** Read `entries.jsonl` and check it against its checkpoint. */
  async function readLog(data, checkpoint) {
    need(data.length === 0 || data[data.length - 1] === 10, "entries.jsonl does not end with a newline.");
    const entries = [];
    for (let at = 0; at < data.length; ) {
      const end = data.indexOf(10, at);
      const what = `entry ${entries.length}`;
      const entry = readEntry(decode(data.subarray(at, end), what), what);
      need(entry.seq === entries.length, `The entry at place ${entries.length} says that it is number ${entry.seq}.`);
      const before = entries[entries.length - 1];
      need(!before || before.us <= entry.us, `Entry ${entry.seq} is dated before the one before it.`);
      entries.push(entry);
      at = end + 1;
      await volition.breathe();
    }
    salts(entries);
    need(entries.length === checkpoint.size, `The log has ${entries.length} entries, and its checkpoint says ${checkpoint.size}.`);
    const tree = await Tree.of(entries.map((entry) => entry.leaf));
    need(tree.root() === checkpoint.root, "The entries are not those that the checkpoint was signed for.");
    return { entries, tree };
  }

  function salts(entries) {
    const first = entries.findIndex((entry) => "salt" in entry);
    for (const entry of entries) {
      const due = first >= 0 && entry.seq >= first;
      need(due === "salt" in entry, `Entry ${entry.seq} has no salt, though entries before it have one.`);
      const form = entry.kind === "form";
      need(form === (first > 0 && entry.seq === first), form ? `Entry ${entry.seq} tells of salts where none began.`
        : `Salts begin at entry ${entry.seq}, and no entry of kind form says so.`);
      if (form) need(volition.same(entry.body, { form: 2, unsalted: entry.seq }), `Entry ${entry.seq} tells of another number of entries without salt.`);
    }
  }

  /** Whether a checkpoint is of a beginning of this log. */
  function beginning(log, checkpoint, what) {
    need(checkpoint.size <= log.entries.length,
      `${what} has ${checkpoint.size} entries, the log only ${log.entries.length}: its end was cut off.`);
    need(log.tree.root(checkpoint.size) === checkpoint.root, `${what} is of another log than this one: the log was written anew.`);
  }

  Object.assign(volition, { readKey, keyId, readCheckpoint, leafHash, Tree, included, consistent, readEntry, readLog, beginning });
})((globalThis.volition ??= {}));
