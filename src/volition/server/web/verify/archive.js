"use strict";
/* The zip of a bundle (docs/formats/bundle.md) and Parquet in its plain profile (docs/formats/keys.md). */
(function (volition) {
  const { need, decode, isPseudonym } = volition;

  const CRC = new Uint32Array(256).map((_, one) => {
    for (let bit = 0; bit < 8; bit += 1) one = one & 1 ? (one >>> 1) ^ 0xedb88320 : one >>> 1;
    return one;
  });

  function crc32(data) {
    let found = 0xffffffff;
    for (const byte of data) found = CRC[(found ^ byte) & 255] ^ (found >>> 8);
    return (found ^ 0xffffffff) >>> 0;
  }

  const isZip = (data) => data.length >= 22 && data[0] === 0x50 && data[1] === 0x4b && (data[2] === 3 || data[2] === 5);

  /** Compare numbers of a header with what there is one spelling of. */
  function header(view, at, fields, what) {
    for (const [size, value] of fields) {
      need(at + size <= view.byteLength, `The zip ends within ${what}.`);
      const there = size === 2 ? view.getUint16(at, true) : view.getUint32(at, true);
      need(there === value, `The zip is not in its one form: ${what} differs at byte ${at}.`);
      at += size;
    }
    return at;
  }

  /** The members of a bundle's zip, as {name: bytes}; refused unless it is the one zip for them. */
  async function unpack(data) {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const members = new Map();
    const central = [];
    let at = 0, before = null;
    while (at + 30 <= data.length && view.getUint32(at, true) === 0x04034b50) {
      const size = view.getUint32(at + 18, true), length = view.getUint16(at + 26, true);
      need(at + 30 + length + size <= data.length, "The zip ends within a member.");
      const raw = data.subarray(at + 30, at + 30 + length);
      const name = decode(raw, "The name of a member");
      const body = data.subarray(at + 30 + length, at + 30 + length + size);
      need(length > 0 && !name.endsWith("/"), "The zip holds a folder.");
      need(before === null || volition.byCodePoint(before, name) < 0, `The zip holds ${name} twice, or not in the order of names.`);
      const flags = /^[\x00-\x7f]*$/.test(name) ? 0 : 0x0800;
      const common = [[2, 20], [2, flags], [2, 0], [2, 0], [2, 0x21], [4, crc32(body)], [4, size], [4, size], [2, length]];
      header(view, at, [[4, 0x04034b50], ...common, [2, 0]], `the header of ${name}`);
      central.push({ name, raw, common, at });
      members.set(name, body);
      before = name;
      at += 30 + length + size;
      await volition.breathe();
    }
    need(members.size <= 65_535, "The zip has more than 65,535 members.");
    const directory = at;
    for (const one of central) {
      at = header(view, at, [[4, 0x02014b50], [2, 0x0314], ...one.common, [2, 0], [2, 0], [2, 0], [2, 0], [4, 0x01800000], [4, one.at]],
        `the directory's header of ${one.name}`);
      need(volition.equalBytes(data.subarray(at, at + one.raw.length), one.raw), `The zip's directory has another name for ${one.name}.`);
      at += one.raw.length;
    }
    const end = [[4, 0x06054b50], [2, 0], [2, 0], [2, members.size], [2, members.size], [4, at - directory], [4, directory], [2, 0]];
    at = header(view, at, end, "its end");
    need(at === data.length, "There is something behind the zip's end.");
    return members;
  }

  // Parquet. Positions move along in a reader, {data, view, at}.

  function varint(reader) {
    let value = 0n, shift = 0n;
    for (;;) {
      need(reader.at < reader.data.length && shift < 70n, "A number of the Parquet file does not end.");
      const byte = reader.data[reader.at];
      reader.at += 1;
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
      if (byte < 128) return value;
    }
  }

  function small(value) {
    need(value >= -(2n ** 53n) && value < 2n ** 53n, "A number of the Parquet file is too large.");
    return Number(value);
  }

  function thriftValue(reader, kind, depth) {
    need(depth < 32, "The Parquet file is nested too deeply.");
    if (kind === 1 || kind === 2) return reader.data[reader.at++] === 1;
    if (kind === 3) return reader.data[reader.at++];
    if (kind >= 4 && kind <= 6) {
      const value = varint(reader);
      return small((value >> 1n) ^ -(value & 1n));
    }
    if (kind === 7) {
      reader.at += 8;
      return null; // no double is of interest here
    }
    if (kind === 8) {
      const size = small(varint(reader));
      need(reader.at + size <= reader.data.length, "A text of the Parquet file does not end.");
      reader.at += size;
      return reader.data.subarray(reader.at - size, reader.at);
    }
    if (kind === 9 || kind === 10) {
      const head = reader.data[reader.at++];
      const size = head >> 4 === 15 ? small(varint(reader)) : head >> 4;
      need(size <= reader.data.length, "A list of the Parquet file does not end.");
      return Array.from({ length: size }, () => thriftValue(reader, head & 15, depth + 1));
    }
    need(kind === 12, `The Parquet file has a value of the unknown type ${kind}.`);
    return thriftStruct(reader, depth + 1);
  }

  function thriftStruct(reader, depth = 0) {
    const found = {};
    let number = 0;
    for (;;) {
      need(reader.at < reader.data.length, "A header of the Parquet file does not end.");
      const head = reader.data[reader.at++];
      if (head === 0) return found;
      const kind = head & 15;
      number = head >> 4 ? number + (head >> 4) : thriftValue(reader, 4, depth);
      found[number] = kind === 1 || kind === 2 ? kind === 1 : thriftValue(reader, kind, depth);
    }
  }

  /** `count` numbers of the RLE and bit-packing hybrid. */
  function hybrid(data, at, end, bits, count) {
    need(bits <= 32 && end <= data.length, "A page of the Parquet file is malformed.");
    const reader = { data, at }, found = new Uint32Array(count), width = Math.ceil(bits / 8);
    let filled = 0;
    while (filled < count && reader.at < end) {
      const head = small(varint(reader));
      if (head & 1) {
        const groups = Math.floor(head / 2);
        for (let group = 0; group < groups && filled < count; group += 1) {
          const start = reader.at * 8;
          need(reader.at + bits <= data.length, "A page of the Parquet file is too short.");
          for (let place = 0; place < 8 && filled < count; place += 1) {
            let value = 0;
            for (let bit = 0; bit < bits; bit += 1) {
              const where = start + place * bits + bit;
              value += ((data[where >> 3] >> (where & 7)) & 1) * 2 ** bit;
            }
            found[filled++] = value;
          }
          reader.at += bits;
        }
      } else {
        let value = 0;
        for (let byte = 0; byte < width; byte += 1) value += data[reader.at + byte] * 2 ** (8 * byte);
        const until = Math.min(count, filled + Math.floor(head / 2));
        found.fill(value, filled, until);
        filled = until;
        reader.at += width;
      }
    }
    need(filled === count, "A page of the Parquet file is too short.");
    return found;
  }

  function plain(data, at, count, kind) {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const found = new Array(count);
    for (let place = 0; place < count; place += 1) {
      if (kind === "text" || kind === "bytes") {
        need(at + 4 <= data.length, "A page of the Parquet file is too short.");
        const size = view.getUint32(at, true);
        need(at + 4 + size <= data.length, "A page of the Parquet file is too short.");
        const value = data.subarray(at + 4, at + 4 + size);
        found[place] = kind === "text" ? decode(value, "A text of the Parquet file") : value;
        at += 4 + size;
      } else {
        const size = kind === "int64" ? 8 : 4;
        need(at + size <= data.length, "A page of the Parquet file is too short.");
        found[place] = size === 8 ? view.getBigInt64(at, true) : view.getInt32(at, true);
        at += size;
      }
    }
    return found;
  }

  /** The values of one data page, with their levels. */
  function page(data, at, end, header, kind, isList, words) {
    const count = header[1], encoding = header[2], largest = isList ? 3 : 1;
    need(count >= 0 && count <= data.length * 64, "A page of the Parquet file is malformed.");
    let repeated = new Uint32Array(count), defined = null;
    for (const bits of isList ? [1, 2] : [1]) {
      need(at + 4 <= data.length, "A page of the Parquet file is too short.");
      const size = new DataView(data.buffer, data.byteOffset + at, 4).getUint32(0, true);
      const levels = hybrid(data, at + 4, at + 4 + size, bits, count);
      if (isList && bits === 1) repeated = levels;
      else defined = levels;
      at += 4 + size;
    }
    let there = 0;
    for (const one of defined) there += one === largest ? 1 : 0;
    let values = null;
    if (encoding === 0) values = plain(data, at, there, kind);
    else {
      volition.know(encoding === 2 || encoding === 8, `The Parquet encoding ${encoding} is not of the plain profile.`);
      values = Array.from(hybrid(data, at + 1, end, data[at], there), (place) => {
        need(place < words.length, "A value of the Parquet file is not in its dictionary.");
        return words[place];
      });
    }
    return { repeated, defined, values };
  }

  /** One column of a row group, added to `rows`. */
  async function readColumn(data, about, kind, isList, rows) {
    volition.know(about && about[4] === 0, "The Parquet file is compressed, which is not of the plain profile.");
    const reader = { data, at: about[11] ?? about[9] };
    let words = [], done = 0;
    while (done < about[5]) {
      const head = thriftStruct(reader);
      const at = reader.at, end = at + head[2];
      need(head[2] >= 0 && end <= data.length, "A page of the Parquet file is malformed.");
      if (head[1] === 2) words = plain(data, at, head[7][1], kind);
      else if (head[1] === 0) {
        const { repeated, defined, values } = page(data, at, end, head[5], kind, isList, words);
        let next = 0;
        for (let place = 0; place < defined.length; place += 1) {
          if (!isList) rows.push(defined[place] === 1 ? values[next++] : null);
          else {
            need(defined[place] === 1 || defined[place] === 3, "A list of the Parquet file lacks a value.");
            if (repeated[place] === 0) rows.push(defined[place] === 1 ? [] : [values[next++]]);
            else {
              need(defined[place] === 3 && rows.length > 0, "A list of the Parquet file is malformed.");
              rows[rows.length - 1].push(values[next++]);
            }
          }
        }
        done += defined.length;
      }
      reader.at = end;
      await volition.breathe();
    }
  }

  class OtherColumns extends volition.Refused {}

  /** A table as {column: values}; `expected` gives for each column its name, its kind, and whether it is a list. */
  async function readTable(data, expected, what) {
    const ends = (at) => data.length >= 12 && decode(data.subarray(at, at + 4), what) === "PAR1";
    need(ends(0) && ends(data.length - 4), `${what} is no Parquet file.`);
    const size = new DataView(data.buffer, data.byteOffset + data.length - 8, 4).getUint32(0, true);
    need(size + 12 <= data.length, `${what} has no footer.`);
    const footer = thriftStruct({ data, at: data.length - 8 - size });
    const wanted = expected.flatMap(([name, , isList]) => (isList ? [name, "list", "element"] : [name]));
    const names = footer[2].slice(1).map((one) => decode(one[4], what));
    if (!volition.same(names, wanted)) throw new OtherColumns(`${what} has other columns.`);
    const table = Object.fromEntries(expected.map(([name]) => [name, []]));
    let rows = 0;
    for (const group of footer[4]) {
      need(group[1].length === expected.length, `${what} lacks a column.`);
      rows += group[3];
      for (const [place, [name, kind, isList]] of expected.entries()) {
        await readColumn(data, group[1][place][3], kind, isList, table[name]);
        need(table[name].length === rows, `The columns of ${what} are not of one length.`);
      }
    }
    need(rows === footer[3], `Rows of ${what} are missing.`);
    return { ...table, length: rows };
  }

  const KEYS = [["record_id", "text", false], ["account", "text", false], ["people", "text", true], ["category", "text", false],
    ["collected_us", "int64", false], ["conversation", "text", false]];
  const COLLECTED = [["entry", "int64", false], ["people_key", "bytes", false], ["rows", "int32", true], ["indexes", "int32", true],
    ["salts", "bytes", false], ["leaves", "bytes", false]];

  /** The rows of `keys.parquet`; snapshots of the first versions have no conversations. */
  async function readKeys(data) {
    let table = null, spoken = true;
    try {
      table = await readTable(data, KEYS, "keys.parquet");
    } catch (error) {
      if (!(error instanceof OtherColumns)) throw error;
      spoken = false;
      table = await readTable(data, KEYS.slice(0, -1), "keys.parquet");
      table.conversation = new Array(table.length).fill(null);
    }
    for (const [name] of KEYS.slice(0, -1)) need(!table[name].includes(null), `A row of keys.parquet has no ${name}.`);
    for (const people of table.people) {
      need(people.every((one) => one === "unknown" || isPseudonym(one)), "keys.parquet names somebody in another form than a pseudonym.");
    }
    return { ...table, spoken };
  }

  const readCollected = (data) => readTable(data, COLLECTED, "collected.parquet");

  Object.assign(volition, { isZip, unpack, readKeys, readCollected });
})((globalThis.volition ??= {}));
