"""A card's page as it follows from the card, and what its privacy cannot be less than (docs/formats/release.md)."""

import math

from volition_formats.spellings import Object


def card_markdown(card: Object) -> str:
    """`card.md` as it follows from the card."""
    learned, accounts = card["learned_from"], len(card["learned_from"]["accounts"])
    lines = [
        f"# {card['model']}\n",
        f"A `{card['family']}` model, released {card['released']}, for `{card['purpose']}` and nothing else.\n",
        f"## What it learned from\n\nSnapshot `{learned['snapshot']}`, frozen at {learned['at']}.",
        f"{learned['people']} people in {accounts} accounts, each with the yes that the terms ask for.\n",
        "| category | read | kept | dropped, by reason |\n|---|---:|---:|---|",
    ]
    for category, rows in learned["rows"].items():
        dropped = ", ".join(f"{reason}: {total}" for reason, total in rows["dropped"].items()) or "none"
        lines.append(f"| {category} | {rows['read']} | {rows['kept']} | {dropped} |")
    lines += ["", *_by_caller(card), *_privacy(card["base"], card["privacy"]), *_measured(card["findings"])]
    lines.append("## What to know before using it\n")
    if card["override"] is not None:
        lines.append(
            f"- **Released beyond its bounds by {card['override']['by']}**, because: {card['override']['why']}"
        )
        lines += [f"  - {reason}" for reason in card["override"]["missed"]]
    without = sorted({f"{one['audit']} ({one['metric']})" for one in card["findings"] if one["value"] is None})
    if without:
        lines.append(f"- Not measured: {', '.join(without)}.")
    lines.append("- What this card does not name was not measured.")
    if card.get("forgets") is not None:
        lines.append(f"- It forgets {GRADES[card['forgets']]}")
    lines += [
        "- When somebody it learned from says no, it must forget them by the due date that `volition owed` shows.\n",
        f"## Evidence\n\n- model digest `{card['digest']}`\n- manifest digest `{learned['manifest']}`",
        f"- terms: {', '.join(card['terms']) or 'none'}",
        "- `attestation.json` beside this card is signed (DSSE, in-toto Statement v1); `volition prove` bundles all.",
    ]
    lines.append(
        "- `model.sig` signs the model's files (OpenSSF model signing) with the key in `model.pub`, which is:\n"
    )
    lines += [f"      {line}" for line in card["signing_key"].splitlines()]
    return "\n".join([*lines, ""])


GRADES = {
    "exact": "exactly: the model that takes its place has the same bytes as one that never saw them.",
    "exact-predictions": "exactly by predictions: the model that takes its place predicts as one that never saw them.",
    "retrained": "by a command of the operator's, which trains another model without them; that it learns from nothing"
    " else is claimed.",
    "approximate": "approximately: traces of them may stay. A membership attack looks for them, and where it sees more"
    " than the bound, nothing counts as forgotten.",
    "retired": "by being retired: no model takes its place by itself.",
}


def _by_caller(card: Object) -> list[str]:
    if card.get("trained_by") != "caller":
        return []
    return [
        "## How it was trained\n",
        "By code of the operator's own. That it learned from the rows of the snapshot and from nothing else is",
        "claimed, and so is every figure that says it was measured by the caller.\n",
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _measured(findings: list[Object]) -> list[str]:
    lines = [
        "## What was measured\n",
        "| audit | measure | value | 95 % interval | bound | verdict | units |",
        "|---|---|---:|---|---:|---|---:|",
    ]
    for one in findings:
        about = (_figure(one["value"]), _interval(one["low"], one["high"]), _figure(one["bound"]))
        cells = (one["audit"], one["metric"], *about, one["verdict"], one["units"])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines.append("")
    for one in findings:
        if one["audit"] == "benefit" and one["value"] is not None:
            both = one["detail"]
            lines.append(
                f"- benefit: {both['trained']:.3f} with training, {both['untrained']:.3f} without. {one['how']}"
            )
        else:
            lines.append(f"- {one['audit']}, {one['metric']}: {one['how']}")
        for name, of in one["detail"].get("groups", {}).items():
            people = "" if of["people"] is None else f" of {of['people']} people"
            lines.append(
                f"  - {name}: {_figure(of['value'])} ({_interval(of['low'], of['high'])}), {of['units']} units{people}"
            )
    return [*lines, ""]


def _privacy(base: Object | None, claimed: Object | None) -> list[str]:
    if base is None:
        return []
    lines = [
        "## How it was trained\n",
        f"An update of the base model {base['name']}, which is frozen; its digest is `{base['digest']}`.\n",
    ]
    if claimed is None:
        return [
            *lines,
            "It was **not** trained with differential privacy: what it keeps of one person is measured, not bounded.\n",
        ]
    items = {
        "epsilon, delta": f"{claimed['epsilon']:.3f} at {claimed['delta']:g}",
        "unit of privacy": claimed["unit"],
        "neighbouring data": claimed["neighbours"],
        "mechanism": claimed["mechanism"],
        "sampling": f"{claimed['sampling']}, with probability {claimed['rate']:g}",
        "noise multiplier": f"{claimed['multiplier']:g}",
        "clipping norm": f"{claimed['clipping']:g}",
        "steps": claimed["steps"],
        "accountant": claimed["accountant"],
        "composition": claimed["composition"],
        "who sees what": claimed["seen_by"],
    }
    return [
        *lines,
        "Differential privacy, in the items that NIST SP 800-226 asks for; no conformance to it is claimed.\n",
        "| item | |\n|---|---|",
        *(f"| {item} | {value} |" for item, value in items.items()),
        "\nNot covered:\n",
        *(f"- {what}" for what in claimed["not_covered"]),
        "",
    ]


THRESHOLDS = 200


def least_epsilon(multiplier: float, rate: float, steps: int, delta: float) -> float:
    """What no accountant can claim less than, for these figures."""

    def above(deviations: float) -> float:
        return math.erfc(deviations / math.sqrt(2)) / 2

    def drawn(count: int) -> float:
        if rate == 1:
            return float(count == steps)
        chosen = math.lgamma(steps + 1) - math.lgamma(count + 1) - math.lgamma(steps - count + 1)
        return math.exp(chosen + count * math.log(rate) + (steps - count) * math.log1p(-rate))

    deviation, mean = multiplier * math.sqrt(steps), rate * steps
    reach = 8 * math.sqrt(mean * (1 - rate)) + 1
    counts = range(max(0, math.floor(mean - reach)), min(steps, math.ceil(mean + reach)) + 1)
    least, top = 0.0, mean + reach + 6 * deviation
    for place in range(THRESHOLDS + 1):
        threshold = top * place / THRESHOLDS
        mistaken = above(threshold / deviation)
        found = sum(drawn(count) * above((threshold - count) / deviation) for count in counts)
        if mistaken > 0 and found > delta:
            least = max(least, math.log((found - delta) / mistaken))
    return least
