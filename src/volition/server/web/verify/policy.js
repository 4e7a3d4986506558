"use strict";
/* A trust policy: which witnesses have to have signed a checkpoint. Written from docs/formats/log.md and the C2SP specifications
   tlog-policy and tlog-cosignature. */
(function (volition) {
  const { need, know, encode, hex, unbase64 } = volition;
  const WITNESS = 4;
  const CLOCKS_DIFFER = 300_000_000n; // microseconds by which the log's clock may be ahead of its witnesses'

  async function readWitness(name, text) {
    const parts = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
    need(parts, `The policy's witness ${name} has no key.`);
    const bytes = unbase64(parts[3], `The key of the policy's witness ${name}`);
    need(hex(volition.keyId(parts[1], bytes)) === parts[2], `The key id of the policy's witness ${name} is not that of its name and bytes.`);
    know(bytes[0] === WITNESS && bytes.length === 33, `The key of the policy's witness ${name} is of another type than Ed25519.`);
    const key = await crypto.subtle.importKey("raw", bytes.subarray(1), { name: "Ed25519" }, false, ["verify"]);
    return { name, signer: parts[1], id: parts[2], bytes: hex(bytes), key };
  }

  /** How many of its members a group asks for. */
  function threshold(word, total, name) {
    const asked = word === "all" ? total : word === "any" ? 1 : Number(word);
    need(word === "all" || word === "any" || /^[1-9]\d{0,3}$/.test(word), `The policy's group ${name} asks for no number.`);
    need(total > 0 && asked <= total, `The policy's group ${name} asks for more members than it has.`);
    return asked;
  }

  /** Read a trust policy: {logs, parts (witnesses and groups by name), quorum}. */
  async function readPolicy(text) {
    need(text.endsWith("\n"), "The policy's last line does not end with a newline.");
    const lines = text.slice(0, -1).split("\n"), grouped = new Set();
    need(!/[\x00-\x08\x0b-\x1f\x7f]/.test(text) && lines.length <= 1000, "The policy has control characters, or more than 1,000 lines.");
    const policy = { logs: [], parts: new Map(), quorum: null };
    const name = (word) => need(word !== undefined && word !== "none" && !policy.parts.has(word), `The policy names ${word} twice, or not as one may.`);
    for (const line of lines) {
      const [what, ...words] = line.replace(/^[ \t]+|[ \t]+$/g, "").split(/[ \t]+/);
      if (what === "" || what.startsWith("#")) continue;
      if (what === "log" && words.length >= 1 && words.length <= 2) policy.logs.push(words[0]);
      else if (what === "witness" && words.length >= 2 && words.length <= 3) {
        name(words[0]);
        policy.parts.set(words[0], await readWitness(words[0], words[1]));
      } else if (what === "group" && words.length >= 3) {
        const [called, word, ...members] = words;
        name(called);
        need(new Set(members).size === members.length && members.every((one) => policy.parts.has(one)), `The policy's group ${called} has a member twice, or one that is not there.`);
        need(!members.some((one) => grouped.has(one)), `A member of the policy's group ${called} is in another one, too.`);
        for (const one of members) grouped.add(one);
        policy.parts.set(called, { name: called, members, asked: threshold(word, members.length, called) });
      } else {
        need(what === "quorum" && words.length === 1 && policy.quorum === null, `The policy has a line that is none: ${line}`);
        need(words[0] === "none" || policy.parts.has(words[0]), `The policy's quorum ${words[0]} is not there.`);
        [policy.quorum] = words;
      }
    }
    need(policy.quorum !== null, "The policy has no quorum.");
    const keys = [...policy.parts.values()].filter((one) => one.key).map((one) => one.bytes);
    need(new Set(keys).size === keys.length, "Two of the policy's witnesses have the same key: they would count twice.");
    return policy;
  }

  /** Which witnesses signed a checkpoint; one that is known and does not verify refuses it. */
  async function witnessesOf(policy, text) {
    const end = text.indexOf("\n\n") + 1, signed = text.slice(0, end), found = new Map();
    for (const line of text.slice(end + 1, -1).split("\n")) {
      const [, signer, written] = line.split(" ");
      const bytes = unbase64(written, "A signature");
      const one = [...policy.parts.values()].find((part) => part.key && part.signer === signer && part.id === hex(bytes.subarray(0, 4)));
      if (!one) continue;
      need(bytes.length === 76, `The signature of the witness ${one.name} has another length.`);
      const time = new DataView(bytes.buffer, bytes.byteOffset + 4, 8).getBigUint64(0);
      const good = await crypto.subtle.verify("Ed25519", one.key, bytes.subarray(12), encode(`cosignature/v1\ntime ${time}\n${signed}`));
      need(good, `The signature of the witness ${one.name} does not verify.`);
      if (time >= (found.get(one.name) ?? 0n)) found.set(one.name, time);
    }
    return found;
  }

  /** Refuse a checkpoint, whose log's signature was checked, that has not the policy's quorum; or that holds an entry of
      later than its witnesses saw it, where its date is given. */
  async function checkWitnesses(text, policyText, key, dated = null) {
    const policy = await readPolicy(policyText);
    need(policy.logs.includes(key.text), "The policy is not about the log of this key.");
    const signed = await witnessesOf(policy, text);
    const has = (name) => {
      const part = policy.parts.get(name);
      return part.key ? signed.has(name) : part.members.filter(has).length >= part.asked;
    };
    const names = [...signed.keys()].join(", ") || "nobody";
    need(policy.quorum === "none" || has(policy.quorum), `The checkpoint is signed by ${names}, which is not the quorum that the policy asks for.`);
    const last = [...signed.values()].reduce((one, other) => (other > one ? other : one), 0n) * 1_000_000n;
    need(dated === null || signed.size === 0 || dated <= last + CLOCKS_DIFFER, "An entry is dated later than its witnesses saw it: it is dated ahead of the clock.");
    return { sentence: `The checkpoint is signed by ${names}, as the policy asks.` };
  }

  Object.assign(volition, { checkWitnesses });
})((globalThis.volition ??= {}));
