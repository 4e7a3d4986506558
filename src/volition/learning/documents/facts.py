"""Facts: what every document about a release is written from, and the sentences that they share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import text_to_us, us_to_datetime
from volition.consent.controller import Controller
from volition.learning.families.spec import FamilySpec

UNKNOWN: Final = "Not recorded."
NOT_APPLICABLE: Final = "Not applicable."


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The release that this one follows: of the same family, the last before it.

    Attributes:
        model: The model's id.
        card: Its card; none where it is not kept any more.
    """

    model: str
    card: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A release, and what is known about it beside its card.

    Attributes:
        card: The card, as it was released.
        card_digest: SHA-256 of its bytes.
        spec: The family's declaration; none where the family is not installed any more.
        manifest: The manifest of the snapshot.
        first_us: When the oldest of its records was collected; none if it has none.
        last_us: When the newest was.
        origin: The log's name.
        controller: What the operator says of themselves.
        version: The number of this release among those of its family, from 1.
        earlier: The release before it; none for the first.
        due_days: Within how many days after a no the operator promises to forget.
    """

    card: Mapping[str, Any]
    card_digest: str
    spec: FamilySpec | None
    manifest: Mapping[str, Any]
    first_us: int | None
    last_us: int | None
    origin: str
    controller: Controller
    version: int
    earlier: Earlier | None
    due_days: int

    @property
    def title(self) -> str:
        """What the model is for, in a word or two."""
        return str(self.card["family"]) if self.spec is None else self.spec.words.title

    @property
    def does(self) -> str:
        """What the feature does that it serves, in a sentence."""
        return UNKNOWN if self.spec is None else self.spec.words.does

    @property
    def provider(self) -> str:
        """Who answers for it."""
        return self.controller.name or self.origin

    @property
    def kept(self) -> Mapping[str, int]:
        """How many records of each category it learned from, without those of which there are none."""
        rows = self.card["learned_from"]["rows"]
        return {category: counts["kept"] for category, counts in rows.items() if counts["kept"]}

    @property
    def measured(self) -> list[Mapping[str, Any]]:
        """The findings that have a figure."""
        return [found for found in self.card["findings"] if found.get("value") is not None]

    @property
    def unmeasured(self) -> list[str]:
        """What was not measured, as "audit (metric)"; each once."""
        missing = (found for found in self.card["findings"] if found.get("value") is None)
        return sorted({f"{found['audit']} ({found.get('metric', 'none')})" for found in missing})

    def limits(self) -> Iterator[str]:
        """Yield what to know before relying on the model, a sentence each."""
        learned = self.card["learned_from"]
        yield f"It was released for `{self.card['purpose']}` and nothing else: its data was permitted for no other use."
        yield (
            f"It learned from {learned['people']} people in {len(learned['accounts'])} organisations. How well it "
            "works for others was not measured."
        )
        if self.card.get("base") is not None:
            yield "It continues text and may invent: read what it writes before you use it."
        yield from (f"Not measured: {what}." for what in self.unmeasured)
        override = self.card.get("override")
        if override is not None:
            yield f"It was released beyond its bounds. {override['by']} answers for it, because: {override['why']}"
            yield from override["missed"]

    def forgetting(self) -> str:
        """Return what becomes of it after a no."""
        return (
            "When somebody it learned from withdraws, it is replaced by a model that never saw their data, or retired, "
            f"within {self.due_days} days."
        )

    @property
    def released_on(self) -> str:
        """The day of the release as dd/mm/yyyy."""
        return day(text_to_us(self.card["released"]))


def day(at_us: int) -> str:
    """Return a day as dd/mm/yyyy."""
    return us_to_datetime(at_us).strftime("%d/%m/%Y")
