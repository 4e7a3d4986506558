"use strict";
/* Bytes and texts: SHA-256, hexadecimal, base64, canonical JSON, instants. Written from docs/formats/index.md.

   These are classic scripts, not modules, since Chromium loads no module from a folder (file://). Each adds to `volition`.
   SHA-256 is our own: that of WebCrypto answers asynchronously, which for millions of small leaves is the slower one. */
(function (volition) {
  class Refused extends Error {}

  /** Of something in a form that this page does not know it says so, and neither that it holds nor that it fails. */
  class NotKnown extends Refused {}

  /** Refuse with a sentence unless something holds. */
  function need(holds, sentence) {
    if (!holds) throw new Refused(typeof sentence === "function" ? sentence() : sentence);
  }

  /** Give up on something of another form than this page knows. */
  function know(isKnown, sentence) {
    if (!isKnown) throw new NotKnown(`${sentence} This page says neither that it holds nor that it fails.`);
  }

  const K = new Int32Array(64);
  const START = new Uint32Array(8);
  (function constants() {
    const fraction = (value) => (value - Math.floor(value)) * 2 ** 32;
    let found = 0;
    for (let number = 2; found < 64; number += 1) {
      let prime = true;
      for (let by = 2; by * by <= number; by += 1) if (number % by === 0) prime = false;
      if (!prime) continue;
      if (found < 8) START[found] = fraction(Math.sqrt(number));
      K[found] = fraction(Math.cbrt(number)) | 0;
      found += 1;
    }
  })();
  const W = new Int32Array(64);
  const LAST = new Uint8Array(128);

  function block(state, data, at) {
    for (let i = 0; i < 16; i += 1, at += 4) {
      W[i] = (data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3];
    }
    for (let i = 16; i < 64; i += 1) {
      const x = W[i - 15], y = W[i - 2];
      W[i] = (W[i - 16] + W[i - 7]
        + (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3))
        + (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10))) | 0;
    }
    let a = state[0] | 0, b = state[1] | 0, c = state[2] | 0, d = state[3] | 0;
    let e = state[4] | 0, f = state[5] | 0, g = state[6] | 0, h = state[7] | 0;
    for (let i = 0; i < 64; i += 1) {
      const one = (h + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7)))
        + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
      const two = ((((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10)))
        + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d;
    state[4] += e; state[5] += f; state[6] += g; state[7] += h;
  }

  /** The SHA-256 of bytes, as 32 bytes. */
  function sha256(data) {
    const state = new Uint32Array(START);
    const whole = data.length - (data.length % 64);
    for (let at = 0; at < whole; at += 64) block(state, data, at);
    const rest = data.length - whole, size = rest < 56 ? 64 : 128;
    LAST.fill(0);
    for (let at = 0; at < rest; at += 1) LAST[at] = data[whole + at];
    LAST[rest] = 128;
    const high = Math.floor(data.length / 2 ** 29), low = (data.length * 8) >>> 0;
    for (let at = 0; at < 4; at += 1) {
      LAST[size - 8 + at] = high >>> (24 - 8 * at);
      LAST[size - 4 + at] = low >>> (24 - 8 * at);
    }
    for (let at = 0; at < size; at += 64) block(state, LAST, at);
    const found = new Uint8Array(32);
    for (let at = 0; at < 32; at += 1) found[at] = state[at >> 2] >>> (24 - 8 * (at & 3));
    return found;
  }

  /** Several pieces of bytes as one. */
  function join(...pieces) {
    const found = new Uint8Array(pieces.reduce((size, one) => size + one.length, 0));
    let at = 0;
    for (const one of pieces) {
      found.set(one, at);
      at += one.length;
    }
    return found;
  }

  function hmac(key, data) {
    const padded = new Uint8Array(64);
    padded.set(key.length > 64 ? sha256(key) : key);
    return sha256(join(padded.map((one) => one ^ 0x5c), sha256(join(padded.map((one) => one ^ 0x36), data))));
  }

  const HEX = Array.from({ length: 256 }, (_, one) => one.toString(16).padStart(2, "0"));

  function hex(data) {
    let text = "";
    for (const one of data) text += HEX[one];
    return text;
  }

  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const encode = (text) => encoder.encode(text);

  /** The text of UTF-8 bytes; refused if they are not UTF-8. */
  function decode(data, what) {
    try {
      return decoder.decode(data);
    } catch {
      throw new Refused(`${what} is not UTF-8.`);
    }
  }

  const digest = (data) => hex(sha256(typeof data === "string" ? encode(data) : data));
  const isDigest = (text) => typeof text === "string" && /^[0-9a-f]{64}$/.test(text);
  /** The pseudonyms in what somebody typed: one, or several with blanks or commas between them. */
  const pseudonyms = (text) => text.trim().split(/[\s,]+/);
  const isPseudonym = (text) => typeof text === "string" && /^[0-9a-f]{32}$/.test(text);

  function unhex(text) {
    return Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16));
  }

  function base64(data) {
    let text = "";
    for (const one of data) text += String.fromCharCode(one);
    return btoa(text);
  }

  /** The bytes of base64 in its one spelling. */
  function unbase64(text, what) {
    let found = null;
    try {
      found = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    } catch {
      throw new Refused(`${what} is not base64.`);
    }
    need(base64(found) === text, `${what} is not base64 in its one spelling.`);
    return found;
  }

  function equalBytes(one, other) {
    return one.length === other.length && one.every((byte, place) => byte === other[place]);
  }

  /** Keys in the order of canonical JSON: an object of JavaScript lists those that look like numbers first. */
  const keysOf = (value) => Object.keys(value).sort();
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const isText = (value) => typeof value === "string";
  const isWhole = (value) => Number.isSafeInteger(value);
  const isCount = (value) => isWhole(value) && value >= 0;

  function canonical(value) {
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
    if (isObject(value)) return `{${keysOf(value).map((key) => `${text(key)}:${canonical(value[key])}`).join(",")}}`;
    if (typeof value === "string") return text(value);
    if (typeof value === "number") {
      need(Number.isFinite(value), "A number is not finite.");
      const written = JSON.stringify(value);
      need(/[.e]/.test(written) || isWhole(value), "An integer is larger than 2^53 - 1.");
      return written;
    }
    need(value === null || typeof value === "boolean", "This is no JSON value.");
    return String(value);
  }

  function text(value) {
    need(value.isWellFormed ? value.isWellFormed() : true, "A text holds half a character.");
    return JSON.stringify(value);
  }

  /** Read JSON that has to be canonical. */
  function parseCanonical(written, what) {
    let value;
    try {
      value = JSON.parse(written); // a key that is there twice is not there twice in the canonical form
    } catch {
      throw new Refused(`${what} is not JSON.`);
    }
    need(canonical(value) === written, `${what} is not in canonical form.`);
    return value;
  }

  /** Read JSON in any form, but with no key twice. */
  function parse(written, what) {
    try {
      noKeyTwice(written);
      return JSON.parse(written);
    } catch (error) {
      throw new Refused(error instanceof Refused ? `${what}: ${error.message}` : `${what} is not JSON.`);
    }
  }

  function noKeyTwice(written) {
    const open = [];
    let key = null;
    for (const [token] of written.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/gs)) {
      if (token === "{" || token === "[") open.push(token === "{" ? new Set() : null);
      else if (token === "}" || token === "]") open.pop();
      else if (token === ":") {
        const keys = open[open.length - 1];
        need(keys && !keys.has(key), "A key is there twice.");
        keys.add(key);
      } else if (token !== ",") key = JSON.parse(token);
    }
  }

  const same = (one, other) => canonical(one) === canonical(other);

  /** Refuse an object that has other keys. */
  function exactly(value, keys, what, optional = []) {
    need(isObject(value), `${what} is no object.`);
    for (const key of Object.keys(value)) need(keys.includes(key) || optional.includes(key), `${what} has the unknown key "${key}".`);
    for (const key of keys) need(Object.hasOwn(value, key), `${what} lacks "${key}".`);
  }

  const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
  const LOOSE = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?([Zz]|[+-]\d\d:\d\d))?$/;

  /** Microseconds since 1970 as a BigInt: a Number would not hold the year 9999 exactly. */
  function seconds(day, time, what) {
    const ms = Date.parse(`${day}T${time}Z`);
    need(!Number.isNaN(ms) && day > "0001" && new Date(ms).toISOString().startsWith(`${day}T${time}`), `${what} is no instant.`);
    return BigInt(ms) * 1000n;
  }

  function isInstant(written) {
    try {
      us(written);
      return true;
    } catch {
      return false;
    }
  }

  function us(written, what = "A date") {
    need(typeof written === "string" && INSTANT.test(written), `${what} is not written as YYYY-MM-DDTHH:MM:SS.ffffffZ.`);
    return seconds(written.slice(0, 10), written.slice(11, 19), what) + BigInt(written.slice(20, 26));
  }

  /** Also the spellings that entries of early versions have. */
  function looseUs(written) {
    const parts = typeof written === "string" ? LOOSE.exec(written) : null;
    need(parts, "A date is not written as RFC 3339 says.");
    const [, day, time = "00:00:00", fraction = "", zone = "Z"] = parts;
    let shift = 0;
    if (!/z/i.test(zone)) {
      const [hours, minutes] = zone.slice(1).split(":").map(Number);
      need(hours < 24 && minutes < 60, "A date's offset is none.");
      shift = (zone[0] === "-" ? -1 : 1) * (hours * 60 + minutes);
    }
    return seconds(day, time, "A date") + BigInt(fraction.padEnd(6, "0")) - BigInt(shift) * 60_000_000n;
  }

  function usToText(instant) {
    const micro = ((instant % 1_000_000n) + 1_000_000n) % 1_000_000n;
    const whole = new Date(Number((instant - micro) / 1000n)).toISOString().slice(0, 19);
    return `${whole}.${String(micro).padStart(6, "0")}Z`;
  }

  /** Compare texts by code point, as Python does; JavaScript compares by UTF-16 code unit. */
  function byCodePoint(one, other) {
    const a = Array.from(one), b = Array.from(other);
    for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
      if (a[i] !== b[i]) return a[i].codePointAt(0) - b[i].codePointAt(0);
    }
    return a.length - b.length;
  }

  /** A breath for the page: lets it draw and answer when a piece of work has lasted. */
  let breathed = 0;
  async function breathe() {
    if (Date.now() - breathed < 40) return;
    await new Promise((go) => setTimeout(go, 0));
    breathed = Date.now();
  }

  Object.assign(volition, {
    Refused, NotKnown, need, know, sha256, hmac, join, hex, unhex, encode, decode, digest, isDigest, isPseudonym, pseudonyms, base64, unbase64, equalBytes, keysOf,
    isObject, isText, isWhole, isCount, canonical, parseCanonical, parse, same, exactly, isInstant, us, looseUs, usToText,
    byCodePoint, breathe,
  });
})((globalThis.volition ??= {}));
