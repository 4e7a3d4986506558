"use strict";
/* card.md, as it follows from card.json. Written from docs/formats/release.md, "card.md". */
(function (volition) {
  const { keysOf, isObject } = volition;

  /** The digits of a number's exact decimal expansion, rounded half to even: [sign, digits, exponent of the first digit]. */
  function rounded(value, digits) {
    if (value === 0) return ["", "0".repeat(digits), 0];
    const [mantissa, exponent] = Math.abs(value).toExponential(100).split("e");
    const all = mantissa.replace(".", ""), sign = value < 0 ? "-" : "";
    let kept = digits > 0 ? BigInt(all.slice(0, digits)) : 0n;
    const rest = all.slice(Math.max(digits, 0)), half = `5${"0".repeat(rest.length - 1)}`;
    if (digits >= 0 && (rest > half || (rest === half && kept % 2n === 1n))) kept += 1n;
    const text = String(kept).padStart(digits, "0");
    return [sign, text, Number(exponent) + (text.length > digits ? 1 : 0)];
  }

  /** As C's `%.3f`: three decimals, of a tie the even one. */
  function fixed(value) {
    if (value === 0) return "0.000";
    const exponent = Number(Math.abs(value).toExponential(100).split("e")[1]);
    const [sign, digits] = rounded(value, exponent + 4);
    const text = digits.padStart(4, "0");
    return `${sign}${text.slice(0, -3)}.${text.slice(-3)}`;
  }

  /** As C's `%g`: six significant digits, without zeros at the end. */
  function general(value) {
    const [sign, digits, exponent] = rounded(value, 6), strip = (text) => (text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text);
    if (value === 0) return "0";
    const six = digits.slice(0, 6);
    if (exponent < -4 || exponent >= 6) {
      return `${sign}${strip(`${six[0]}.${six.slice(1)}`)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
    }
    if (exponent < 0) return `${sign}${strip(`0.${"0".repeat(-exponent - 1)}${six}`)}`;
    return `${sign}${strip(`${six.slice(0, exponent + 1)}.${six.slice(exponent + 1)}`)}`;
  }

  const figure = (value) => (value === null ? "-" : fixed(value));
  const interval = (low, high) => (low === null || high === null ? "-" : `${fixed(low)} to ${fixed(high)}`);

  function measured(findings) {
    const lines = ["## What was measured\n", "| audit | measure | value | 95 % interval | bound | verdict | units |", "|---|---|---:|---|---:|---|---:|"];
    for (const one of findings) {
      const cells = [one.audit, one.metric, figure(one.value), interval(one.low, one.high), figure(one.bound), one.verdict, one.units];
      lines.push(`| ${cells.join(" | ")} |`);
    }
    lines.push("");
    for (const one of findings) {
      const { detail } = one;
      if (one.audit === "benefit" && one.value !== null) {
        lines.push(`- benefit: ${fixed(detail.trained)} with training, ${fixed(detail.untrained)} without. ${one.how}`);
      } else lines.push(`- ${one.audit}, ${one.metric}: ${one.how}`);
      for (const name of isObject(detail.groups) ? keysOf(detail.groups) : []) {
        const of = detail.groups[name];
        lines.push(`  - ${name}: ${figure(of.value)} (${interval(of.low, of.high)}), ${of.units} units${of.people === null ? "" : ` of ${of.people} people`}`);
      }
    }
    return [...lines, ""];
  }

  function privacy(base, claimed) {
    if (base === null) return [];
    const lines = ["## How it was trained\n", `An update of the base model ${base.name}, which is frozen; its digest is \`${base.digest}\`.\n`];
    if (claimed === null) return [...lines, "It was **not** trained with differential privacy: what it keeps of one person is measured, not bounded.\n"];
    const items = [["epsilon, delta", `${fixed(claimed.epsilon)} at ${general(claimed.delta)}`], ["unit of privacy", claimed.unit],
      ["neighbouring data", claimed.neighbours], ["mechanism", claimed.mechanism], ["sampling", `${claimed.sampling}, with probability ${general(claimed.rate)}`],
      ["noise multiplier", general(claimed.multiplier)], ["clipping norm", general(claimed.clipping)], ["steps", claimed.steps],
      ["accountant", claimed.accountant], ["composition", claimed.composition], ["who sees what", claimed.seen_by]];
    return [...lines, "Differential privacy, in the items that NIST SP 800-226 asks for; no conformance to it is claimed.\n", "| item | |\n|---|---|",
      ...items.map(([item, value]) => `| ${item} | ${value} |`), "\nNot covered:\n", ...claimed.not_covered.map((what) => `- ${what}`), ""];
  }

  const GRADES = {
    "exact": "exactly: the model that takes its place has the same bytes as one that never saw them.",
    "exact-predictions": "exactly by predictions: the model that takes its place predicts as one that never saw them.",
    "retrained": "by a command of the operator's, which trains another model without them; that it learns from nothing else is claimed.",
    "approximate": "approximately: traces of them may stay. A membership attack looks for them, and where it sees more than the bound, nothing counts as forgotten.",
    "retired": "by being retired: no model takes its place by itself.",
  };

  function byCaller(card) {
    if (card.trained_by !== "caller") return [];
    return ["## How it was trained\n", "By code of the operator's own. That it learned from the rows of the snapshot and from nothing else is",
      "claimed, and so is every figure that says it was measured by the caller.\n"];
  }

  function cardMarkdown(card) {
    const learned = card.learned_from, accounts = Object.keys(learned.accounts).length;
    const lines = [`# ${card.model}\n`, `A \`${card.family}\` model, released ${card.released}, for \`${card.purpose}\` and nothing else.\n`,
      `## What it learned from\n\nSnapshot \`${learned.snapshot}\`, frozen at ${learned.at}.`,
      `${learned.people} people in ${accounts} accounts, each with the yes that the terms ask for.\n`,
      "| category | read | kept | dropped, by reason |\n|---|---:|---:|---|"];
    for (const category of keysOf(learned.rows)) {
      const { read, kept, dropped } = learned.rows[category];
      lines.push(`| ${category} | ${read} | ${kept} | ${keysOf(dropped).map((reason) => `${reason}: ${dropped[reason]}`).join(", ") || "none"} |`);
    }
    lines.push("", ...byCaller(card), ...privacy(card.base, card.privacy), ...measured(card.findings), "## What to know before using it\n");
    if (card.override !== null) {
      lines.push(`- **Released beyond its bounds by ${card.override.by}**, because: ${card.override.why}`, ...card.override.missed.map((reason) => `  - ${reason}`));
    }
    const without = [...new Set(card.findings.filter((one) => one.value === null).map((one) => `${one.audit} (${one.metric})`))].sort(volition.byCodePoint);
    if (without.length) lines.push(`- Not measured: ${without.join(", ")}.`);
    lines.push("- What this card does not name was not measured.");
    if ((card.forgets ?? null) !== null) lines.push(`- It forgets ${GRADES[card.forgets]}`);
    lines.push("- When somebody it learned from says no, it must forget them by the due date that `volition owed` shows.\n",
      `## Evidence\n\n- model digest \`${card.digest}\`\n- manifest digest \`${learned.manifest}\``, `- terms: ${card.terms.join(", ") || "none"}`,
      "- `attestation.json` beside this card is signed (DSSE, in-toto Statement v1); `volition prove` bundles all.");
    lines.push("- `model.sig` signs the model's files (OpenSSF model signing) with the key in `model.pub`, which is:\n",
      ...card.signing_key.trimEnd().split("\n").map((line) => `      ${line}`));
    return [...lines, ""].join("\n");
  }

  Object.assign(volition, { fixed, general, cardMarkdown, GRADES });
})((globalThis.volition ??= {}));
