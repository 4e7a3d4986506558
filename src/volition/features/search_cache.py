"""The search cache: an account's decrypted content, made ready for search in memory and judged again at every search.

Decrypting and indexing an account's content takes seconds, judging it takes milliseconds. So a process keeps the lines
of the accounts that searched last (least recently used ones are evicted), but no verdicts: at each search the gate
judges every cached line by the permits of that moment; where the ledger has no new entry, and time alone can have
changed nothing, they are what they were. A line that it refuses is evicted at once and for good. If it
would let more through than when the account was loaded, or if records were added, erased or moved meanwhile, the
account is loaded again.

Of the lines whose embeddings are not computed yet, a search that does not wait for them knows how many there are: they
are judged as the others are, and counted.

Nothing of it is ever written to disk. It holds decrypted content, so it lives only as long as the process, and its size
is bounded.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import RLock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.consent.gate import EffectivePermits, PartySets, fold, judge
from volition.consent.history import BEGINNING_US
from volition.consent.permits import Permits
from volition.consent.references import PartyRef, Pseudonym, person_ref, source_id
from volition.learning.encoder import Encoder
from volition.learning.families.search.features import Index
from volition.learning.families.search.lines import Document, documents_of
from volition.progress import Progress
from volition.records.audience import Audience, reading_class
from volition.records.lake import Lake, Row

LINES_HELD: Final = 250_000
"""The most lines in the cache, over all accounts; an account with more of its own is loaded for each search."""

_PARTS_HELD: Final = 256  # documents of which somebody may see only a part
_BOOLS = NDArray[np.bool_]

State = tuple[tuple[str, ...], ...]
"""See `Lake.state`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """What the gate must know of the lines of a document.

    Attributes:
        category: Their category.
        party_set: Each line's party set by number, shape (lines,).
        collected_us: Each line's instant of collection, microseconds since the Unix epoch, UTC, shape (lines,).
        reading: Each line's class by number, shape (lines,): lines of one class have the same readers.
        samples: A line of each class.
    """

    category: str
    party_set: NDArray[np.int64]
    collected_us: NDArray[np.int64]
    reading: NDArray[np.int64]
    samples: tuple[Row, ...]

    @classmethod
    def of(cls, category: str, rows: Sequence[Row], party_set_of: Mapping[tuple[PartyRef, ...], int]) -> "_Lines":
        """Describe lines; `party_set_of` numbers the party sets."""
        samples: dict[Hashable, Row] = {}
        for row in rows:
            samples.setdefault(reading_class(row), row)
        numbered = {reading: number for number, reading in enumerate(samples)}
        party_set = [party_set_of[tuple(person_ref(Pseudonym(one)) for one in row.people)] for row in rows]
        return cls(
            category=category,
            party_set=np.array(party_set, np.int64),
            collected_us=np.array([row.collected_us for row in rows], np.int64),
            reading=np.array([numbered[reading_class(row)] for row in rows], np.int64),
            samples=tuple(samples.values()),
        )

    def readable(self, audience: Audience) -> _BOOLS:
        """Return which lines a person may read."""
        return np.array([audience.admits(row) for row in self.samples], bool)[self.reading]

    def part(self, kept: _BOOLS) -> "_Lines":
        """Return some of the lines."""
        return replace(
            self, party_set=self.party_set[kept], collected_us=self.collected_us[kept], reading=self.reading[kept]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _CachedDocument:
    """An indexed document, and what the gate must know of its lines."""

    index: Index
    lines: _Lines

    def part(self, kept: _BOOLS) -> "_CachedDocument":
        """Return the document with only some of its lines."""
        return _CachedDocument(index=self.index.part(kept), lines=self.lines.part(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """Lines of a document that have no embedding yet: they are counted, and not searched.

    Attributes:
        meeting: The meeting whose lines they are; empty for a channel or a file.
        lines: What the gate must know of them.
    """

    meeting: str
    lines: _Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Searchable:
    """What a person may search now.

    Attributes:
        indexes: Document by document, in the order of their keys.
        ready: How many lines they have.
        waiting: How many more lines the person may search once they are indexed.
    """

    indexes: list[Index]
    ready: int
    waiting: int


@dataclass(frozen=True, slots=True)
class _Judged:
    """How much the gate knew when it judged.

    Attributes:
        size: How many entries of the ledger; -1 where it judged as of an instant before the last of them.
        since_us: Its instant.
        until_us: When time alone may change an answer.
    """

    size: int
    since_us: int
    until_us: int

    @classmethod
    def by(cls, permits: Permits, effective_permits: Mapping[str, EffectivePermits]) -> "_Judged":
        """Say how much permits know; where records grow too old by the day, their judgement stands for no other one."""
        ages = any((one.oldest_us != BEGINNING_US).any() for one in effective_permits.values())
        is_whole = not ages and permits.history.last_us <= permits.at_us
        return cls(permits.history.size if is_whole else -1, permits.at_us, permits.good_until_us())

    def stands(self, permits: Permits) -> bool:
        """Return whether permits say what they said then."""
        return self.size == permits.history.size and self.since_us <= permits.at_us < self.until_us


@dataclass(slots=True, kw_only=True)
class _CachedAccount:
    """An account's documents.

    Attributes:
        state: The lake's state when they were loaded.
        exclusions: How much had been said of conversations of theirs that were left out (`Exclusions.version`).
        party_sets: The account's party sets.
        effective_permits: How the gate judged them last, by category.
        judged: How much the gate knew then, and until when time alone changes nothing.
        documents: In the order of their keys.
        waiting: Lines that are not indexed yet.
    """

    state: State
    exclusions: int
    judged: "_Judged"
    party_sets: PartySets
    effective_permits: dict[str, EffectivePermits]
    documents: list[_CachedDocument]
    waiting: list[_Waiting]

    @property
    def size(self) -> int:
        """Count the lines."""
        lines = [*(document.lines for document in self.documents), *(waiting.lines for waiting in self.waiting)]
        return sum(len(one.party_set) for one in lines)


class SearchCache:
    """The accounts' documents, indexed for search. It may be used from several threads."""

    def __init__(self, lake: Lake, *, lines_held: int = LINES_HELD) -> None:
        """Start empty.

        Args:
            lake: Read through the gate only.
            lines_held: The most lines to keep.
        """
        self._lake = lake
        self._lines_held = lines_held
        self._held: OrderedDict[tuple[str, str], _CachedAccount] = OrderedDict()  # by purpose, account; last used last
        self._parts: OrderedDict[tuple[str, bytes], Index] = OrderedDict()
        self._turn = RLock()

    def documents(  # noqa: PLR0913 - who asks, for what, and how it is made ready
        self,
        permits: Permits,
        *,
        account: str,
        audience: Audience,
        categories: Sequence[str],
        state: State,
        encoder: Encoder | None,
        meeting: str | None = None,
        waits: bool = True,
        progress: Progress,
    ) -> Searchable:
        """Return what a person may search now.

        Args:
            permits: Decide, for their purpose at their instant.
            account: The person's account; nothing of another is looked at.
            audience: What the person may read of it.
            categories: Leaves of `terms.CATEGORIES`.
            state: The lake's state for this account and these categories, read before the permits' instant: what is
                added after it may have been collected after the instant, and would never be loaded.
            encoder: Computes the embeddings that are missing; none to do without.
            meeting: Only this meeting.
            waits: Whether the embeddings that are missing are computed first. Otherwise lines without one are counted
                and left out, until somebody has computed them.
            progress: Called as the embedding advances.

        Raises:
            BackendError: A file cannot be read, or the embeddings cannot be written.
            RefusedError: The account was erased meanwhile.
        """
        with self._turn:
            key = (permits.purpose, account)
            held = self._held.pop(key, None)
            if held is not None and not (waits and held.waiting):
                held = self._judged(held, permits, account, state)
            else:
                held = None
            if held is None:
                source = None if meeting is None else source_id(account, meeting)
                held = self._load(permits, account, categories, state, encoder, source, waits=waits, progress=progress)
                if source is None and held.size <= self._lines_held:
                    self._held[key] = held
            else:
                self._held[key] = held
            while sum(one.size for one in self._held.values()) > self._lines_held:
                self._held.popitem(last=False)
            return self._searchable(held, audience, meeting)

    def _searchable(self, held: _CachedAccount, audience: Audience, meeting: str | None) -> Searchable:
        found = []
        ready = 0
        for document in held.documents:
            if meeting not in {None, _meeting_of(document.index.document)}:
                continue
            seen = document.lines.readable(audience)
            ready += int(seen.sum())
            if seen.all():
                found.append(document.index)
            elif seen.any():
                found.append(self._part(document.index, seen))
        waiting = sum(int(one.lines.readable(audience).sum()) for one in held.waiting if meeting in {None, one.meeting})
        return Searchable(indexes=found, ready=ready, waiting=waiting)

    def clear(self) -> None:
        """Evict everything."""
        with self._turn:
            self._held.clear()
            self._parts.clear()

    def _judged(self, held: _CachedAccount, permits: Permits, account: str, state: State) -> _CachedAccount | None:
        """Return an account without what the gate refuses now; none if something may be missing from it."""
        if state != held.state or _exclusions(permits, account) != held.exclusions:
            return None
        if held.judged.stands(permits):
            return held
        effective_permits = {category: fold(permits, held.party_sets, category) for category in held.effective_permits}
        if any(_widens(before, effective_permits[category]) for category, before in held.effective_permits.items()):
            return None
        documents = []
        for document in held.documents:
            kept = _permitted(effective_permits, document.lines)
            if kept.all():
                documents.append(document)
                continue
            self._parts.clear()  # they may hold what was refused
            if kept.any():
                documents.append(document.part(kept))
        waiting = [
            replace(one, lines=one.lines.part(kept))
            for one in held.waiting
            if (kept := _permitted(effective_permits, one.lines)).any()
        ]
        judged = _Judged.by(permits, effective_permits)
        return replace(held, effective_permits=effective_permits, judged=judged, documents=documents, waiting=waiting)

    def _load(  # noqa: PLR0913, PLR0917 - as `documents`
        self,
        permits: Permits,
        account: str,
        categories: Sequence[str],
        state: State,
        encoder: Encoder | None,
        source: str | None,
        *,
        waits: bool,
        progress: Progress,
    ) -> _CachedAccount:
        self._parts.clear()
        exclusions = _exclusions(permits, account)
        if encoder is not None and waits:
            self._lake.embed(
                permits, encoder, categories=categories, accounts=[account], source=source, progress=progress
            )
        rows = list(self._lake.rows(permits, categories=categories, accounts=[account], source=source))
        party_sets = self._lake.party_sets_of(account)
        numbers = {party_sets.people_of(number): number for number in range(len(party_sets))}
        documents = []
        waiting = []
        for category, found in _by_category(rows).items():
            for document in documents_of(found).values():
                is_ready = [waits or encoder is None or line.row.embedding is not None for line in document.lines]
                ready = document.part(is_ready)
                if ready.lines:
                    lines = _Lines.of(category, [line.row for line in ready.lines], numbers)
                    documents.append(_CachedDocument(index=Index(ready, encoder), lines=lines))
                rest = document.part([not one for one in is_ready])
                if rest.lines:
                    lines = _Lines.of(category, [line.row for line in rest.lines], numbers)
                    waiting.append(_Waiting(meeting=_meeting_of(rest), lines=lines))
        documents.sort(key=lambda document: document.index.document.key)
        effective_permits = {category: fold(permits, party_sets, category) for category in categories}
        return _CachedAccount(
            state=state,
            exclusions=exclusions,
            judged=_Judged.by(permits, effective_permits),
            party_sets=party_sets,
            effective_permits=effective_permits,
            documents=documents,
            waiting=waiting,
        )

    def _part(self, index: Index, seen: _BOOLS) -> Index:
        """Return the part of a document that somebody may see; the parts used last are kept."""
        key = (index.document.key, np.packbits(seen).tobytes())
        part = self._parts.pop(key, None) or index.part(seen)
        self._parts[key] = part
        while len(self._parts) > _PARTS_HELD:
            self._parts.popitem(last=False)
        return part


def _exclusions(permits: Permits, account: str) -> int:
    """Return how much had been said of an account's conversations as of the permits, which is all that they know.

    Their history may have read on since.
    """
    return permits.history.exclusions.version(account, at_us=permits.at_us)


def _meeting_of(document: Document) -> str:
    """Return the meeting whose lines a document has; empty where it is a channel or a file."""
    first = document.lines[0]
    return first.source if first.kind == "segment" else ""


def _by_category(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.category].append(row)
    return found


def _permitted(effective_permits: Mapping[str, EffectivePermits], lines: _Lines) -> _BOOLS:
    """Ask the gate; what was collected after the instant asked about is not permitted."""
    permits = effective_permits[lines.category]
    known = lines.collected_us <= permits.at_us
    known[known] = judge(permits, lines.party_set[known], lines.collected_us[known]) == 0
    return known


def _widens(before: EffectivePermits, now: EffectivePermits) -> bool:
    """Return whether the gate may let through what it did not let through before."""
    return bool(
        now.at_us < before.at_us or (now.since_us < before.since_us).any() or (now.oldest_us < before.oldest_us).any()
    )
