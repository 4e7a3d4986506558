"use strict";
/* What a card claims of differential privacy, held against its own figures; and the signature of the model's files. Written from
   docs/formats/release.md, "Privacy". */
(function (volition) {
  const { need, isText, exactly } = volition;

  const CLAIM = ["clipping", "rate", "multiplier", "steps", "epsilon", "delta", "accountant", "mechanism", "composition", "neighbours", "unit", "sampling",
    "seen_by", "secure_generator", "not_covered"];
  const TEXTS = ["accountant", "mechanism", "composition", "neighbours", "unit", "sampling", "seen_by"];
  const THRESHOLDS = 200;
  const ROUNDING = 1e-6; // our erfc and lgamma are not to the last digit those of another program

  /** The complementary error function: a series near 0, a continued fraction further out. */
  function erfc(x) {
    if (x < 0) return 2 - erfc(-x);
    if (x < 2) {
      let term = x, sum = x;
      for (let n = 1; term > sum * 1e-17; n += 1) {
        term *= (2 * x * x) / (2 * n + 1);
        sum += term;
      }
      return 1 - ((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x)) * sum;
    }
    let found = 0;
    for (let n = 200; n > 0; n -= 1) found = n / 2 / (x + found);
    return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + found);
  }

  /** The logarithm of the gamma function of a number from 1 on: Stirling's series, after steps up to 20. */
  function lgamma(x) {
    let shift = 0;
    for (; x < 20; x += 1) shift -= Math.log(x);
    const square = 1 / (x * x);
    const series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / x;
    return shift + (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series;
  }

  function leastEpsilon(multiplier, rate, steps, delta) {
    const above = (deviations) => erfc(deviations / Math.SQRT2) / 2;
    const drawn = (count) => {
      if (rate === 1) return count === steps ? 1 : 0;
      const chosen = lgamma(steps + 1) - lgamma(count + 1) - lgamma(steps - count + 1);
      return Math.exp(chosen + count * Math.log(rate) + (steps - count) * Math.log1p(-rate));
    };
    const deviation = multiplier * Math.sqrt(steps), mean = rate * steps, reach = 8 * Math.sqrt(mean * (1 - rate)) + 1;
    const counts = [];
    for (let count = Math.max(0, Math.floor(mean - reach)); count <= Math.min(steps, Math.ceil(mean + reach)); count += 1) counts.push([count, drawn(count)]);
    const top = mean + reach + 6 * deviation;
    let least = 0;
    for (let place = 0; place <= THRESHOLDS; place += 1) {
      const threshold = (top * place) / THRESHOLDS, mistaken = above(threshold / deviation);
      const found = counts.reduce((sum, [count, chance]) => sum + chance * above((threshold - count) / deviation), 0);
      if (mistaken > 0 && found > delta) least = Math.max(least, Math.log((found - delta) / mistaken));
    }
    return least;
  }

  const isPositive = (value) => typeof value === "number" && Number.isFinite(value) && value > 0;

  function checkPrivacy({ base, privacy, family }) {
    need(family !== "adapter" || base !== null, "The card of an adapter names no base model.");
    if (base !== null) {
      exactly(base, ["name", "digest"], "The card's base model");
      need(isText(base.name) && isText(base.digest), "The card's base model has no name and digest.");
    }
    if (privacy === null) return;
    need(base !== null, "The card claims privacy of a model that has no base.");
    exactly(privacy, CLAIM, "The card's claim of privacy");
    const { multiplier, rate, steps, delta, epsilon, clipping, not_covered: uncovered } = privacy;
    need([multiplier, rate, delta, epsilon, clipping].every(isPositive) && rate <= 1 && delta < 1 && volition.isCount(steps) && steps > 0,
      "The card's claim of privacy has no figures.");
    need(typeof privacy.secure_generator === "boolean", "The card's claim of privacy does not say how noise was drawn.");
    need(TEXTS.every((key) => isText(privacy[key])) && Array.isArray(uncovered) && uncovered.every(isText), "The card's claim of privacy does not say of what.");
    const least = leastEpsilon(multiplier, rate, steps, delta);
    need(epsilon >= least - ROUNDING * Math.max(1, least),
      `The card claims an epsilon of ${epsilon}, and with its noise, sampling and steps it is at least ${least.toFixed(3)}.`);
  }

  /** Return a P-256 key from its one spelling as PEM. */
  async function signingKey(pem) {
    const what = "The card's signing key";
    const parts = isText(pem) ? /^-----BEGIN PUBLIC KEY-----\n((?:[A-Za-z0-9+/=]{1,64}\n)+)-----END PUBLIC KEY-----\n$/.exec(pem) : null;
    need(parts, `${what} is no key in PEM.`);
    const lines = parts[1].slice(0, -1).split("\n");
    need(lines.slice(0, -1).every((line) => line.length === 64), `${what} has not 64 characters a line.`);
    const der = volition.unbase64(lines.join(""), what);
    need(der.length === 91, `${what} is not one of P-256.`);
    try {
      return await crypto.subtle.importKey("spki", der, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
    } catch {
      throw new volition.Refused(`${what} is not one of P-256.`);
    }
  }

  /** The two numbers of an ECDSA signature in DER, each of 32 bytes: WebCrypto asks for them so. */
  function numbersOf(der) {
    const what = "The signature of the model", found = new Uint8Array(64);
    need(der.length >= 8 && der[0] === 0x30 && der[1] === der.length - 2 && der[1] < 128, `${what} is not in DER.`);
    let at = 2;
    for (const end of [32, 64]) {
      const size = der[at + 1], from = at + 2, number = der.subarray(from, from + size);
      need(der[at] === 2 && size > 0 && size <= 33 && from + size <= der.length, `${what} is not in DER.`);
      need(number[0] < 128 && !(size > 1 && number[0] === 0 && number[1] < 128) && !(size === 33 && number[0] !== 0), `${what} is not in DER.`);
      found.set(number.subarray(Math.max(0, size - 32)), end - Math.min(size, 32));
      at = from + size;
    }
    need(at === der.length, `${what} is not in DER.`);
    return found;
  }

  /** The card's key signed exactly the model's files: an OpenSSF model signature in its one form. */
  async function checkSignature(written, card) {
    const what = "The signature of the model", { files, signing_key: pem } = card, kind = "application/vnd.in-toto+json";
    const key = await signingKey(pem), names = Object.keys(files).sort(volition.byCodePoint);
    const statement = {
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: card.model, digest: { sha256: volition.digest(volition.join(...names.map((name) => volition.unhex(files[name])))) } }],
      predicateType: "https://model_signing/signature/v1.0",
      predicate: {
        serialization: { method: "files", hash_type: "sha256", allow_symlinks: false, ignore_paths: [] },
        resources: names.map((name) => ({ name, algorithm: "sha256", digest: files[name] })),
      },
    };
    const payload = volition.encode(volition.canonical(statement));
    const sig = volition.parseCanonical(written, what).dsseEnvelope?.signatures?.[0]?.sig;
    need(isText(sig), `${what} is no Sigstore bundle with one signature.`);
    const form = {
      mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
      verificationMaterial: { publicKey: { hint: volition.digest(pem) }, tlogEntries: [] },
      dsseEnvelope: { payload: volition.base64(payload), payloadType: kind, signatures: [{ sig, keyid: "" }] },
    };
    need(written === volition.canonical(form), `${what} is of other files than the card names, by another key, or in another form.`);
    const signed = volition.join(volition.encode(`DSSEv1 ${kind.length} ${kind} ${payload.length} `), payload);
    const holds = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, numbersOf(volition.unbase64(sig, what)), signed);
    need(holds, `${what} is not by the key that the card names.`);
  }

  Object.assign(volition, { checkPrivacy, checkSignature, leastEpsilon });
})((globalThis.volition ??= {}));
