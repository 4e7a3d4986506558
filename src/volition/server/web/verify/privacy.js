"use strict";
/* What a card claims of differential privacy, held against its own figures; and the key that signs the model. Written from
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
    need([multiplier, rate, delta, epsilon].every(isPositive) && typeof clipping === "number" && rate <= 1 && delta < 1 && volition.isCount(steps) && steps > 0,
      "The card's claim of privacy has no figures.");
    need(TEXTS.every((key) => isText(privacy[key])) && Array.isArray(uncovered) && uncovered.every(isText), "The card's claim of privacy does not say of what.");
    const least = leastEpsilon(multiplier, rate, steps, delta);
    need(epsilon >= least - ROUNDING * Math.max(1, least),
      `The card claims an epsilon of ${epsilon}, and with its noise, sampling and steps it is at least ${least.toFixed(3)}.`);
  }

  /** Refuse what is not a P-256 key in the one spelling of PEM. */
  async function checkSigningKey(pem) {
    const what = "The card's signing key";
    const parts = isText(pem) ? /^-----BEGIN PUBLIC KEY-----\n((?:[A-Za-z0-9+/=]{1,64}\n)+)-----END PUBLIC KEY-----\n$/.exec(pem) : null;
    need(parts, `${what} is no key in PEM.`);
    const lines = parts[1].slice(0, -1).split("\n");
    need(lines.slice(0, -1).every((line) => line.length === 64), `${what} has not 64 characters a line.`);
    const der = volition.unbase64(lines.join(""), what);
    need(der.length === 91, `${what} is not one of P-256.`);
    try {
      await crypto.subtle.importKey("spki", der, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
    } catch {
      need(false, `${what} is not one of P-256.`);
    }
  }

  Object.assign(volition, { checkPrivacy, checkSigningKey, leastEpsilon });
})((globalThis.volition ??= {}));
