"""The search cache: an account's decrypted content, made ready for search in memory and judged again at every search.

Decrypting and indexing an account's content takes seconds, judging it takes milliseconds. So a process keeps the lines
of the accounts that searched last (least recently used ones are evicted), but no verdicts: at each search the gate
judges every cached line by the permits of that moment. A line that it refuses is evicted at once and for good. If it
would let more through than when the account was loaded, or if records were added, erased or moved meanwhile, the
account is loaded again.

Nothing of it is ever written to disk. It holds decrypted content, so it lives only as long as the process, and its size
is bounded.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from threading import RLock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.consent.gate import EffectivePermits, PartySets, fold, judge
from volition.consent.permits import Permits
from volition.consent.references import Pseudonym, person_ref, source_id
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
class _CachedDocument:
    """An indexed document, with what the gate must know of its lines.

    Attributes:
        index: The document, indexed.
        category: The category of its lines.
        party_set: Each line's party set by number, shape (lines,).
        collected_us: Each line's instant of collection, microseconds since the Unix epoch, UTC, shape (lines,).
        reading: Each line's class by number, shape (lines,): lines of one class have the same readers.
        samples: A line of each class.
    """

    index: Index
    category: str
    party_set: NDArray[np.int64]
    collected_us: NDArray[np.int64]
    reading: NDArray[np.int64]
    samples: tuple[Row, ...]

    def readable(self, audience: Audience) -> _BOOLS:
        """Return which lines a person may read."""
        return np.array([audience.admits(row) for row in self.samples], bool)[self.reading]

    def part(self, kept: _BOOLS) -> "_CachedDocument":
        """Return the document with only some of its lines."""
        return _CachedDocument(
            index=self.index.part(kept),
            category=self.category,
            party_set=self.party_set[kept],
            collected_us=self.collected_us[kept],
            reading=self.reading[kept],
            samples=self.samples,
        )


@dataclass(slots=True, kw_only=True)
class _CachedAccount:
    """An account's documents.

    Attributes:
        state: The lake's state when they were loaded.
        exclusions: How much had been said of conversations of theirs that were left out (`Exclusions.version`).
        party_sets: The account's party sets.
        effective_permits: How the gate judged them last, by category.
        documents: In the order of their keys.
    """

    state: State
    exclusions: int
    party_sets: PartySets
    effective_permits: dict[str, EffectivePermits]
    documents: list[_CachedDocument]

    @property
    def lines(self) -> int:
        return sum(len(document.party_set) for document in self.documents)


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
        progress: Progress,
    ) -> list[Index]:
        """Return what a person may search now, document by document, in the order of their keys.

        Args:
            permits: Decide, for their purpose at their instant.
            account: The person's account; nothing of another is looked at.
            audience: What the person may read of it.
            categories: Leaves of `terms.CATEGORIES`.
            state: The lake's state for this account and these categories, read before the permits' instant: what is
                added after it may have been collected after the instant, and would never be loaded.
            encoder: Computes the embeddings that are missing; none to do without.
            meeting: Only this meeting.
            progress: Called as the embedding advances.

        Raises:
            BackendError: A file cannot be read, or the embeddings cannot be written.
            RefusedError: The account was erased meanwhile.
        """
        with self._turn:
            key = (permits.purpose, account)
            held = self._held.pop(key, None)
            if held is not None:
                held = self._judged(held, permits, account, state)
            if held is None:
                source = None if meeting is None else source_id(account, meeting)
                held = self._load(permits, account, categories, state, encoder, source, progress)
                if source is None and held.lines <= self._lines_held:
                    self._held[key] = held
            else:
                self._held[key] = held
            while sum(one.lines for one in self._held.values()) > self._lines_held:
                self._held.popitem(last=False)
            found = []
            for document in held.documents:
                if meeting is not None and not _is_of(document.index.document, meeting):
                    continue
                seen = document.readable(audience)
                if seen.all():
                    found.append(document.index)
                elif seen.any():
                    found.append(self._part(document.index, seen))
            return found

    def clear(self) -> None:
        """Evict everything."""
        with self._turn:
            self._held.clear()
            self._parts.clear()

    def _judged(self, held: _CachedAccount, permits: Permits, account: str, state: State) -> _CachedAccount | None:
        """Return an account without what the gate refuses now; none if something may be missing from it."""
        if state != held.state or _exclusions(permits, account) != held.exclusions:
            return None
        effective_permits = {category: fold(permits, held.party_sets, category) for category in held.effective_permits}
        if any(_widens(before, effective_permits[category]) for category, before in held.effective_permits.items()):
            return None
        documents = []
        for document in held.documents:
            kept = _permitted(effective_permits[document.category], document.party_set, document.collected_us)
            if kept.all():
                documents.append(document)
                continue
            self._parts.clear()  # they may hold what was refused
            if kept.any():
                documents.append(document.part(kept))
        return replace(held, effective_permits=effective_permits, documents=documents)

    def _load(  # noqa: PLR0913, PLR0917 - as `documents`
        self,
        permits: Permits,
        account: str,
        categories: Sequence[str],
        state: State,
        encoder: Encoder | None,
        source: str | None,
        progress: Progress,
    ) -> _CachedAccount:
        self._parts.clear()
        exclusions = _exclusions(permits, account)
        if encoder is not None:
            self._lake.embed(
                permits, encoder, categories=categories, accounts=[account], source=source, progress=progress
            )
        rows = list(self._lake.rows(permits, categories=categories, accounts=[account], source=source))
        party_sets = self._lake.party_sets_of(account)
        effective_permits = {category: fold(permits, party_sets, category) for category in categories}
        numbers = {party_sets.people_of(number): number for number in range(len(party_sets))}
        documents = []
        for category, lines in _by_category(rows).items():
            for document in documents_of(lines).values():
                party_set = [
                    numbers[tuple(person_ref(Pseudonym(one)) for one in line.row.people)] for line in document.lines
                ]
                samples: dict[Hashable, Row] = {}
                for line in document.lines:
                    samples.setdefault(reading_class(line.row), line.row)
                numbered = {reading: number for number, reading in enumerate(samples)}
                documents.append(
                    _CachedDocument(
                        index=Index(document, encoder),
                        category=category,
                        party_set=np.array(party_set, np.int64),
                        collected_us=np.array([line.row.collected_us for line in document.lines], np.int64),
                        reading=np.array([numbered[reading_class(line.row)] for line in document.lines], np.int64),
                        samples=tuple(samples.values()),
                    )
                )
        documents.sort(key=lambda document: document.index.document.key)
        return _CachedAccount(
            state=state,
            exclusions=exclusions,
            party_sets=party_sets,
            effective_permits=effective_permits,
            documents=documents,
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


def _is_of(document: Document, meeting: str) -> bool:
    return document.lines[0].kind == "segment" and document.lines[0].source == meeting


def _by_category(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.category].append(row)
    return found


def _permitted(
    effective_permits: EffectivePermits, party_set: NDArray[np.int64], collected_us: NDArray[np.int64]
) -> _BOOLS:
    """Ask the gate; what was collected after the instant asked about is not permitted."""
    known = collected_us <= effective_permits.at_us
    known[known] = judge(effective_permits, party_set[known], collected_us[known]) == 0
    return known


def _widens(before: EffectivePermits, now: EffectivePermits) -> bool:
    """Return whether the gate may let through what it did not let through before."""
    return bool(
        now.at_us < before.at_us or (now.since_us < before.since_us).any() or (now.oldest_us < before.oldest_us).any()
    )
