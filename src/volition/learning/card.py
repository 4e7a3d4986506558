"""Model cards: what a release says of its model, for machines (JSON) and, from that alone, for people (Markdown).

To check a release, the Markdown is written again from the JSON and compared. So each form of the card keeps the text
that was written from it: `_FORMS` only grows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from volition.canonical import canonical_json, digest
from volition.errors import InvalidInputError
from volition.learning.audit.finding import Finding, not_measured
from volition.learning.grades import CALLER, GRADE_WORDS

FORMAT: Final = "volition/card/5"
_JUDGED: Final = ("volition/card/3", "volition/card/4", FORMAT)  # whose findings have verdicts, as `Finding` reads them

_Card = Mapping[str, Any]


def card_markdown(card: _Card) -> str:
    """Write a card for people.

    Raises:
        InvalidInputError: The card has a form that this version does not know.
    """
    form = _FORMS.get(str(card.get("format")))
    if form is None:
        msg = f"The card has the form {card.get('format')!r}, which this version does not know."
        raise InvalidInputError(msg)
    return "\n".join([*_opening(card), *form(card), *_evidence(card)])


def card_for_people(card: _Card, *, own: Mapping[str, int], withheld: Callable[[Finding], bool]) -> dict[str, Any]:
    """Return a card for a reader who is neither its auditor nor its operator.

    It says nothing of other customers: of what the model learned from, this reader's own records alone, since the
    others' counts say how many refused; and of each finding the figure of everybody without its details.

    Args:
        card: The card as it was released.
        own: How many of the reader's records the model learned from, by category.
        withheld: Says whether a finding's figure, too, would reveal too much to this reader.
    """
    learned = card["learned_from"]
    has_findings = card["format"] in _JUDGED
    findings = [Finding.from_json(found) for found in card["findings"]] if has_findings else []
    shown = [not_measured(found.audit, _FEW, metric=found.metric) if withheld(found) else found for found in findings]
    return {
        **card,
        "format": EXTRACT,
        "extract_of": digest(canonical_json(card)),
        "withheld": _WITHHELD if has_findings else _OLD,
        "learned_from": {**{name: learned[name] for name in ("snapshot", "manifest", "at")}, "own_rows": dict(own)},
        "findings": [{**found.to_json(), "detail": {}} for found in shown],
        "override": card.get("override"),
    }


EXTRACT: Final = "volition/card-extract/2"
"""The form of a card for one reader; `extract_of` is the digest of the whole card, which the ledger names."""

_FEW: Final = "The figure is withheld here: beside your own it would tell about a handful of people."
_WITHHELD: Final = "Other customers are left out here, with their records and figures; an auditor sees the whole card."
_OLD: Final = "The card is of an early form; an auditor sees what was measured."


def _opening(card: _Card) -> Iterator[str]:
    learned = card["learned_from"]
    yield f"# {card['model']}"
    yield ""
    yield f"A `{card['family']}` model, released {card['released']}, for `{card['purpose']}` and nothing else."
    yield ""
    yield "## What it learned from"
    yield ""
    yield f"Snapshot `{learned['snapshot']}`, frozen at {learned['at']}."
    people, accounts = learned["people"], len(learned["accounts"])
    yield f"{people} people in {accounts} accounts, each with the yes that the terms ask for."
    yield ""
    yield "| category | read | kept | dropped, by reason |"
    yield "|---|---:|---:|---|"
    for category, rows in learned["rows"].items():
        dropped = ", ".join(f"{reason}: {total}" for reason, total in rows["dropped"].items()) or "none"
        yield f"| {category} | {rows['read']} | {rows['kept']} | {dropped} |"
    yield ""


def _evidence(card: _Card) -> Iterator[str]:
    yield "- When somebody it learned from says no, it must forget them by the due date that `volition owed` shows."
    yield ""
    yield "## Evidence"
    yield ""
    yield f"- model digest `{card['digest']}`"
    yield f"- manifest digest `{card['learned_from']['manifest']}`"
    yield f"- terms: {', '.join(card['terms']) or 'none'}"
    yield "- `attestation.json` beside this card is signed (DSSE, in-toto Statement v1); `volition prove` bundles all."
    if "signing_key" in card:
        yield "- `model.sig` signs the model's files (OpenSSF model signing) with the key in `model.pub`, which is:"
        yield ""
        yield from (f"      {line}" for line in card["signing_key"].splitlines())
    yield ""


def _second(card: _Card) -> Iterator[str]:
    findings: Sequence[Mapping[str, Any]] = card["findings"]
    yield "## What was measured"
    yield ""
    yield "| audit | measure | value | 95 % interval | bound | verdict | units |"
    yield "|---|---|---:|---|---:|---|---:|"
    for found in findings:
        cells = (
            found["audit"],
            found["metric"],
            _figure(found["value"]),
            _interval(found["low"], found["high"]),
            _figure(found["bound"]),
            found["verdict"],
            found["units"],
        )
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""
    for found in findings:
        both = found["detail"]
        if found["audit"] == "benefit" and found["value"] is not None:
            yield f"- benefit: {both['trained']:.3f} with training, {both['untrained']:.3f} without. {found['how']}"
        else:
            yield f"- {found['audit']}, {found['metric']}: {found['how']}"
        yield from _groups(both.get("groups", {}))
    yield ""
    yield "## What to know before using it"
    yield ""
    if card["override"] is not None:
        override = card["override"]
        yield f"- **Released beyond its bounds by {override['by']}**, because: {override['why']}"
        yield from (f"  - {reason}" for reason in override["missed"])
    unmeasured = sorted({f"{found['audit']} ({found['metric']})" for found in findings if found["value"] is None})
    if unmeasured:
        yield f"- Not measured: {', '.join(unmeasured)}."
    yield "- What this card does not name was not measured."


def _groups(groups: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, figures in groups.items():
        people = "" if figures["people"] is None else f" of {figures['people']} people"
        interval = _interval(figures["low"], figures["high"])
        yield f"  - {name}: {_figure(figures['value'])} ({interval}), {figures['units']} units{people}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _first(card: _Card) -> Iterator[str]:
    yield "## What it gives"
    yield ""
    for found in card["findings"]:
        if found["measured"]:
            yield (
                f"- {found['metric']}: {found['trained']:.3f} with training, {found['untrained']:.3f} without; "
                f"difference {found['difference']:+.3f}, 95 % interval {found['low']:+.3f} to "
                f"{found['high']:+.3f}, {found['units']} units. {found['how']}"
            )
        else:
            yield f"- {found['audit']}: {found['how']}"
    yield ""
    yield "## What to know before using it"
    yield ""
    yield "- Not measured: membership inference, fairness between groups, poisoning."


def _third(card: _Card) -> Iterator[str]:
    yield from _privacy(card)
    yield from _second(card)


def _fifth(card: _Card) -> Iterator[str]:
    if card["trained_by"] == CALLER:
        yield "## How it was trained"
        yield ""
        yield "By code of the operator's own. That it learned from the rows of the snapshot and from nothing else is"
        yield "claimed, and so is every figure that says it was measured by the caller."
        yield ""
    yield from _third(card)
    if card["forgets"] is not None:
        yield f"- It forgets {GRADE_WORDS[card['forgets']]}"


def _privacy(card: _Card) -> Iterator[str]:
    """Describe the base and, after private training, what is claimed: only adapters have either."""
    if card["base"] is None:
        return
    yield "## How it was trained"
    yield ""
    base = card["base"]
    yield f"An update of the base model {base['name']}, which is frozen; its digest is `{base['digest']}`."
    yield ""
    claimed = card["privacy"]
    if claimed is None:
        yield "It was **not** trained with differential privacy: what it keeps of one person is measured, not bounded."
        yield ""
        return
    yield "Differential privacy, in the items that NIST SP 800-226 asks for; no conformance to it is claimed."
    yield ""
    yield "| item | |"
    yield "|---|---|"
    yield f"| epsilon, delta | {claimed['epsilon']:.3f} at {claimed['delta']:g} |"
    rows = {
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
    yield from (f"| {item} | {value} |" for item, value in rows.items())
    yield ""
    yield "Not covered:"
    yield ""
    yield from (f"- {what}" for what in claimed["not_covered"])
    yield ""


_FORMS: Final[Mapping[str, Callable[[_Card], Iterator[str]]]] = {
    "volition/card/1": _first,
    "volition/card/2": _second,
    "volition/card/3": _third,
    "volition/card/4": _third,
    FORMAT: _fifth,
}
