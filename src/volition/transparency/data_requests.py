"""Data subject requests (DSAR): what a person asked for, and its progress. Read from the ledger; it decides nothing.

A no takes effect at once; what takes time is that models which learned from the data before must forget, each by a due
date. An erasure is the same for everything, and a conversation left out the same for what concerns them in it. So a
request is a no, an exclusion or an erasure, with the models that it affects: those
that were trained before it on records that it covers, and had not forgotten by then.

A request is found by the party's name in the ledger, so the progress of an erasure can be followed even though nothing
shows any more who that person was.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from volition.canonical import us_to_text
from volition.consent.history import Decision, History
from volition.consent.references import ConversationRef, PartyRef
from volition.errors import DamagedError, ProofError
from volition.learning.forget import Owed
from volition.learning.registry import ModelState
from volition.records.snapshot import Key, Snapshot

_PERSON: Final = "person:"

_Counted = tuple[str, tuple[str, ...], tuple[str, ConversationRef] | None]
"""A snapshot, a party's names, and a conversation: what rows are counted of."""


class RequestKind(StrEnum):
    """The kind of a request."""

    REFUSAL = "refusal"
    EXCLUSION = "exclusion"
    ERASURE = "erasure"


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedModel:
    """A model that a request affects.

    Attributes:
        model: The model.
        family: Its family.
        rows: How many of the person's rows that the request covers it learned from; none where its training set is
            damaged, or gone, so that it is not known.
        due_us: By when it must have forgotten; none once it has.
        forgotten_us: When it forgot; none until it has.
        successor: The model that never saw the person; none if it was not replaced.
    """

    model: str
    family: str
    rows: int | None
    due_us: int | None
    forgotten_us: int | None
    successor: str | None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object with instants as text."""
        return {
            "model": self.model,
            "family": self.family,
            "rows": self.rows,
            "due": None if self.due_us is None else us_to_text(self.due_us),
            "forgotten": None if self.forgotten_us is None else us_to_text(self.forgotten_us),
            "successor": self.successor,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """Something that a person asked for.

    Attributes:
        kind: A refusal, an exclusion or an erasure.
        seq: Number of the ledger entry.
        at_us: When; it has been in force since.
        categories: The data that it covers, leaves in the vocabulary's order.
        purposes: The purposes that it covers, likewise.
        until_us: When a later yes covered some or all of it, or some or all of a conversation was taken back in, so
            that it is no longer in force as a whole; none if there was none. The models that a no affects must forget
            all the same.
        models: The models that it affects, the oldest first.
        spared: How many more had learned from what it covers and need not forget: a later yes reached back to all of
            it. What a later no asks of them is asked by that no alone.
        conversation: What was left out, as entries of the ledger name it; none for anything but an exclusion.
        tables: How many tables elsewhere may still have rows of whom is erased; 0 for anything but an erasure.
        claimed_us: When a no was said, as whoever imported it claims; none where it was said when it was recorded.
    """

    kind: RequestKind
    seq: int
    at_us: int
    categories: tuple[str, ...]
    purposes: tuple[str, ...]
    until_us: int | None
    models: tuple[AffectedModel, ...]
    spared: int = 0
    conversation: ConversationRef | None = None
    tables: int = 0
    claimed_us: int | None = None

    @property
    def due_us(self) -> int | None:
        """By when every model must have forgotten; none if none must any more."""
        return max((model.due_us for model in self.models if model.due_us is not None), default=None)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.due_us is None and not self.tables

    def to_json(self) -> dict[str, Any]:
        """Return the request as a JSON object with instants as text; `claimed` is when an imported no was said."""
        return {
            "kind": self.kind.value,
            "seq": self.seq,
            "at": us_to_text(self.at_us),
            "claimed": None if self.claimed_us is None else us_to_text(self.claimed_us),
            "data": list(self.categories),
            "purpose": list(self.purposes),
            "until": None if self.until_us is None else us_to_text(self.until_us),
            "done": self.is_done,
            "due": None if self.due_us is None else us_to_text(self.due_us),
            "models": [model.to_json() for model in self.models],
            "spared": self.spared,
        }


@dataclass(slots=True, kw_only=True)
class _Asked:
    """A no, an exclusion or an erasure, under each identity of the person: entries that were appended together."""

    kind: RequestKind
    seq: int
    at_us: int
    said_us: int
    categories: frozenset[str]
    purposes: frozenset[str]
    parties: list[str]
    place: tuple[str, ConversationRef] | None = None  # of an exclusion: whose conversation, and which

    def takes(self, other: "_Asked") -> bool:
        """Add the same of another identity, if it is that."""
        fits = other.seq == self.seq + len(self.parties) and other.parties[0] not in self.parties
        alike = (other.kind, other.categories, other.purposes, other.place) == (
            self.kind,
            self.categories,
            self.purposes,
            self.place,
        )
        if fits and alike:
            self.parties += other.parties
        return fits and alike


def data_requests_of(  # noqa: PLR0913 - what a request is read from
    parties: Sequence[str],
    *,
    history: History,
    models: Iterable[ModelState],
    owed: Iterable[Owed],
    open_snapshot: Callable[[str], Snapshot],
    purpose_of: Callable[[str], str],
) -> tuple[DataRequest, ...]:
    """Return what a person asked for, the newest first.

    Args:
        parties: The person, "person:PSEUDONYM", under each of their identities.
        history: What everybody decided.
        models: Every model that was ever trained.
        owed: Every forgetting that is owed now.
        open_snapshot: Opens the snapshot that a model learned from, by its id. What a model learned from one that is
            damaged, or gone, is not known; it is told where the model owes a forgetting, or has forgotten.
        purpose_of: Returns for which purpose a snapshot was frozen, by its id, as the ledger says.
    """
    due = {one.model: one.due_us for one in owed}
    learned = _Learned(models, open_snapshot, purpose_of)
    return tuple(_request(one, history, learned, due) for one in reversed(_asked(parties, history)))


def _request(one: _Asked, history: History, learned: "_Learned", due: Mapping[str, int]) -> DataRequest:
    """Return one request with what became of each model that had learned from what it covers."""
    decisions = history.party(one.parties[0]).decisions
    had = [
        (model, total, rows)
        for model, total, rows in learned.affected(one)
        if total is not None or model.forgotten_us is not None or model.id in due
    ]
    spared = {
        model.id
        for model, total, rows in had
        if total is not None
        and (
            _is_spared(one, model, rows, learned.purpose(model), decisions)
            if one.place is None
            else _is_back_in(one, model, learned.purpose(model), history)
        )
    }
    left = [(model, total) for model, total, _ in had if model.forgotten_us is not None or model.id in due]
    return DataRequest(
        kind=one.kind,
        seq=one.seq,
        at_us=one.at_us,
        categories=tuple(name for name in history.vocabulary.categories if name in one.categories),
        purposes=tuple(name for name in history.vocabulary.purposes if name in one.purposes),
        until_us=_until_us(one, decisions) if one.place is None else _back_in_us(one, history, one.purposes),
        models=tuple(
            AffectedModel(
                model=model.id,
                family=model.family,
                rows=total,
                due_us=None if model.forgotten_us is not None else due[model.id],
                forgotten_us=model.forgotten_us,
                successor=model.successor,
            )
            for model, total in left
            if model.id not in spared
        ),
        spared=len(spared | ({model.id for model, _, _ in had} - {model.id for model, _ in left})),
        conversation=None if one.place is None else one.place[1],
        claimed_us=None if one.said_us == one.at_us else one.said_us,
    )


def _is_spared(
    one: _Asked, model: ModelState, rows: Mapping[str, "_Rows"], purpose: str, decisions: Iterable[Decision]
) -> bool:
    """Return whether a later yes, said before the model forgot, reached back to every row that the no covered."""
    return any(
        said.yes
        and said.said_us > one.said_us
        and said.covers_us is not None
        and purpose in said.purposes
        and (model.forgotten_us is None or said.at_us < model.forgotten_us)
        and all(category in said.categories and said.covers_us <= held.first_us for category, held in rows.items())
        for said in decisions
    )


def _asked(parties: Sequence[str], history: History) -> list[_Asked]:
    """Return each no, exclusion and erasure of a person once, the oldest first; an erasure is last."""
    noes, erasures = [], []
    for party in parties:
        known = history.party(party)
        noes += [
            _Asked(
                kind=RequestKind.REFUSAL,
                seq=said.seq,
                at_us=said.at_us,
                said_us=said.said_us,
                categories=said.categories,
                purposes=said.purposes,
                parties=[party],
            )
            for said in known.decisions
            if not said.yes
        ]
        noes += [
            _Asked(
                kind=RequestKind.EXCLUSION,
                seq=said.seq,
                at_us=said.at_us,
                said_us=said.at_us,
                categories=history.vocabulary.content,
                purposes=said.purposes,
                parties=[party],
                place=(said.account, said.conversation),
            )
            for said in history.exclusions.said_by(PartyRef(party))
            if said.excluded
        ]
        if known.erased_us is not None:
            erasures.append(
                _Asked(
                    kind=RequestKind.ERASURE,
                    seq=known.erased_seq,
                    at_us=known.erased_us,
                    said_us=known.erased_us,
                    categories=frozenset(history.vocabulary.categories),
                    purposes=frozenset(history.vocabulary.purposes),
                    parties=[party],
                )
            )
    found: list[_Asked] = []
    for one in (*sorted(noes, key=lambda one: one.seq), *sorted(erasures, key=lambda one: one.seq)):
        if not found or not found[-1].takes(one):
            found.append(one)
    return found


def _until_us(one: _Asked, decisions: Iterable[Decision]) -> int | None:
    """Return when the first later yes covered some of what a no covers and both were recorded; none if none did."""
    for said in decisions:
        concerns = one.categories & said.categories and one.purposes & said.purposes
        if said.yes and said.said_us > one.said_us and concerns:
            return max(said.at_us, one.at_us)
    return None


def _is_back_in(one: _Asked, model: ModelState, purpose: str, history: History) -> bool:
    """Return whether what was left out of a model's purpose was taken back in before the model forgot it."""
    back_us = _back_in_us(one, history, frozenset({purpose}))
    return back_us is not None and (model.forgotten_us is None or back_us < model.forgotten_us)


def _back_in_us(one: _Asked, history: History, purposes: frozenset[str]) -> int | None:
    """Return when any of some purposes was first given back what was left out; none if none was."""
    back = [
        said.at_us
        for said in history.exclusions.said_by(PartyRef(one.parties[0]))
        if not said.excluded
        and said.seq > one.seq
        and (said.account, said.conversation) == one.place
        and said.purposes & purposes
    ]
    return min(back, default=None)


@dataclass(slots=True)
class _Rows:
    """How many rows of a category there are, and when the first of them was collected."""

    number: int
    first_us: int


class _Learned:
    """What each model learned of a person, by category; each snapshot is counted once for a party."""

    def __init__(
        self,
        models: Iterable[ModelState],
        open_snapshot: Callable[[str], Snapshot],
        purpose_of: Callable[[str], str],
    ) -> None:
        self._models = list(models)
        self._open = open_snapshot
        self._purpose_of = purpose_of
        self._rows: dict[_Counted, dict[str, _Rows] | None] = {}

    def affected(self, asked: _Asked) -> Iterable[tuple[ModelState, int | None, Mapping[str, _Rows]]]:
        """Yield the models that a no at an instant affects, with how many rows that it covers, and which.

        How many is not known of those whose snapshot is damaged.
        """
        for model in self._models:
            if model.trained_us > asked.at_us or (model.forgotten_us is not None and model.forgotten_us < asked.at_us):
                continue
            if self.purpose(model) not in asked.purposes:
                continue
            found = self._of(model.snapshot, tuple(asked.parties), asked.place)
            if found is None:
                yield model, None, {}
                continue
            rows = {category: held for category, held in found.items() if category in asked.categories}
            if rows:
                yield model, sum(held.number for held in rows.values()), rows

    def purpose(self, model: ModelState) -> str:
        """Return the purpose for which a model learned."""
        return self._purpose_of(model.snapshot)

    def _of(
        self, name: str, parties: tuple[str, ...], place: tuple[str, ConversationRef] | None
    ) -> Mapping[str, _Rows] | None:
        """Count a party's rows, of one conversation where one is named; rows of which none is known could be of it."""
        if (name, parties, place) not in self._rows:
            try:
                keys = self._open(name).keys
            except (ProofError, DamagedError):
                self._rows[name, parties, place] = None
                return None
            pseudonyms = {party.removeprefix(_PERSON) for party in parties}
            rows: dict[str, _Rows] = {}
            for key in keys:
                if not pseudonyms.isdisjoint(key.people) and _is_of(key, place):
                    held = rows.setdefault(key.category, _Rows(0, key.collected_us))
                    held.number += 1
                    held.first_us = min(held.first_us, key.collected_us)
            self._rows[name, parties, place] = rows
        return self._rows[name, parties, place]


def _is_of(key: Key, place: tuple[str, ConversationRef] | None) -> bool:
    return place is None or (key.account == place[0] and key.conversation in {None, place[1]})
