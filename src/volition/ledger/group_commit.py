"""Group commit: appends of several threads that arrive together are stored together, in one transaction.

The thread that finds nobody storing leads: it stores for all who wait. Each append gets its own entries; one that is
refused does not hold up the others. If a leader is interrupted, the one that has waited longest leads in its place.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from threading import Lock
from typing import Final

from volition.canonical import us_to_text
from volition.errors import ConflictError, InvalidInputError
from volition.ledger.entry import MAX_ENTRY_BYTES, SALT_BYTES, Entry, PreparedEntry
from volition.ledger.store import MOST_AT_ONCE

_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Under which an append is stored: what it says was judged when the ledger had `since` entries.

    Attributes:
        since: How many entries were known.
        unless: Says of an entry that came later whether it could change the judgement; then nothing is stored.
    """

    since: int
    unless: Callable[[Entry], bool]


class OutdatedError(ConflictError):
    """What was to be appended rests on a ledger that has grown by something that could change it: judge again."""


class PendingAppend:
    """An append that waits for its turn, or to be stored by another thread along with its own."""

    __slots__ = ("at_us", "condition", "entries", "error", "has_left", "leads", "salts", "start", "woken")

    def __init__(self, entries: Sequence[PreparedEntry], condition: "Condition | None" = None) -> None:
        """Take entries that nothing was done for yet, and under which condition they are stored."""
        self.entries = entries
        self.condition = condition
        self.start: int | None = None  # once it is stored: the place of its first entry, and the time of that
        self.at_us = 0
        self.salts: Sequence[str] = ()
        self.error: Exception | None = None
        self.leads = self.has_left = False
        self.woken = Lock()
        self.woken.acquire()

    @property
    def is_done(self) -> bool:
        """Whether it was stored, or failed."""
        return self.start is not None or self.error is not None

    def stored(self) -> tuple[Entry, ...]:
        """Return the entries as they were stored, once it is done; raise if it failed."""
        if self.error is not None:
            raise self.error
        start, at_us = self.start or 0, self.at_us
        return tuple(
            [
                Entry(seq=start + place, at_us=at_us + place, kind=one.kind, body=one.body, salt=salt)
                for place, (one, salt) in enumerate(zip(self.entries, self.salts, strict=True))
            ]
        )


class Transaction:
    """What one transaction stores: several appends, one after the other, each entry a microsecond after the last."""

    def __init__(self, batch: Sequence[PendingAppend], draw: Callable[[int], bytes]) -> None:
        """Take the appends that are stored together; their time is not known yet. `draw` gives random bytes."""
        self._batch = batch
        self._draw = draw
        self._start = self._start_us = self._size = 0
        self._places: list[tuple[PendingAppend, int]] = []

    @property
    def last_us(self) -> int:
        """The time of the last entry, once there are leaves."""
        return self._time_of(self._start + self._size - 1)

    def _time_of(self, seq: int) -> int:
        return self._start_us + seq - self._start

    def leaves(
        self,
        start: int,
        start_us: int,
        *,
        first: Sequence[PreparedEntry] = (),
        stored: Callable[[int, int], Iterable[Entry]],
    ) -> tuple[bytes, ...]:
        """Return the entries' bytes, from a place and a time on; an append with too long a one is refused alone.

        Args:
            start: Place of the first entry.
            start_us: Its time, microseconds since the Unix epoch, UTC.
            first: Entries of the ledger's own that go before all others, if there are any others.
            stored: Returns stored entries, from a place up to another, for appends under a condition.
        """
        self._start, self._start_us = start, start_us
        leaves = self._written(first, start, self._salts(len(first))) if first else []
        own = len(leaves)
        self._places = []
        for pending in self._batch:
            place = start + len(leaves)
            if pending.condition is not None and self._is_outdated(pending.condition, start, leaves, stored):
                pending.error = OutdatedError("Something was said meanwhile. Nothing was stored; try again.")
                continue
            pending.salts = self._salts(len(pending.entries))
            mine = self._written(pending.entries, place, pending.salts)
            longest = max(map(len, mine))
            if longest > MAX_ENTRY_BYTES:
                kind = next(one.kind for one, leaf in zip(pending.entries, mine, strict=True) if len(leaf) == longest)
                pending.error = InvalidInputError(
                    f"This {kind} takes {longest} bytes, more than the {MAX_ENTRY_BYTES} of an entry. "
                    "Keep the long part in a file and append its digest."
                )
                continue
            self._places.append((pending, place))
            leaves += mine
        if len(leaves) == own:
            leaves = []
        self._size = len(leaves)
        return tuple(leaves)

    @staticmethod
    def _is_outdated(
        condition: Condition, start: int, leaves: Sequence[bytes], stored: Callable[[int, int], Iterable[Entry]]
    ) -> bool:
        """Say whether an entry that the one who appends did not know of is one that they named."""
        meanwhile = chain(stored(min(condition.since, start), start), map(Entry.from_leaf, leaves))
        return any(condition.unless(entry) for entry in meanwhile)

    def _written(self, entries: Sequence[PreparedEntry], start: int, salts: Sequence[str]) -> list[bytes]:
        """Return entries from a place on as `Entry.leaf_bytes` writes them."""
        at_us = self._time_of(start)
        us = at_us % _SECOND_US
        left = _SECOND_US - us  # of the second in which the first of them is
        if len(entries) > left:
            return [
                *self._written(entries[:left], start, salts[:left]),
                *self._written(entries[left:], start + left, salts[left:]),
            ]
        second = _second(at_us - us)
        return [
            b'{"at":"%b%06dZ","body":%b,"kind":"%b","salt":"%b","seq":%d}'
            % (second, us + place, one.body_bytes, one.kind.encode(), salt.encode(), start + place)
            for place, (one, salt) in enumerate(zip(entries, salts, strict=True))
        ]

    def _salts(self, count: int) -> list[str]:
        """Return a salt for each of so many entries."""
        drawn = self._draw(SALT_BYTES * count).hex()
        return [drawn[place : place + 2 * SALT_BYTES] for place in range(0, len(drawn), 2 * SALT_BYTES)]

    def acknowledge(self) -> None:
        """Give each append that was stored its place and time."""
        for pending, start in self._places:
            pending.at_us, pending.start = self._time_of(start), start


@lru_cache(maxsize=1)
def _second(at_us: int) -> bytes:
    """Return how the instants within a second begin, up to and with the point."""
    return us_to_text(at_us)[:-7].encode()


class GroupCommit:
    """The queue of the appends of all threads, and who of them leads."""

    def __init__(self, store: Callable[[Transaction], None], draw: Callable[[int], bytes]) -> None:
        """Start with nobody waiting.

        Args:
            store: Stores one transaction, and acknowledges it; it is called by one thread at a time.
            draw: Gives so many random bytes.
        """
        self._store = store
        self._draw = draw
        self._mutex = Lock()
        self._waiting: list[PendingAppend] = []
        self._is_led = False

    @property
    def waiting(self) -> int:
        """How many appends wait to be stored."""
        return len(self._waiting)

    def append(self, entries: Sequence[PreparedEntry], condition: Condition | None = None) -> PendingAppend:
        """Wait until the entries, at least one, are stored or refused: by this thread or by another; return which."""
        mine = PendingAppend(entries, condition)
        try:
            with self._mutex:
                self._waiting.append(mine)
                mine.leads, self._is_led = not self._is_led, True
            if not mine.leads:
                mine.woken.acquire()  # done, or to lead
            if not mine.is_done:
                self._store_waiting()
        finally:
            self._leave(mine)
        return mine

    def _leave(self, mine: PendingAppend) -> None:
        """Wait no more; a leader, even one that an interrupt ends, hands over to the one that has waited longest."""
        with self._mutex:
            mine.has_left = True
            if mine in self._waiting:
                self._waiting.remove(mine)
            if mine.leads:
                self._is_led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].woken.release()

    def _store_waiting(self) -> None:
        """Store what waits, in one transaction, and wake each thread that waited for it."""
        batch: list[PendingAppend] = []
        count = 0
        with self._mutex:
            while self._waiting and (not batch or count + len(self._waiting[0].entries) <= MOST_AT_ONCE):
                batch.append(self._waiting.pop(0))
                count += len(batch[-1].entries)
        leader = batch[0]
        try:
            self._store(Transaction(batch, self._draw))
        except Exception as error:  # noqa: BLE001 - whatever it is, every thread that waited raises it
            for one in batch:
                if not one.is_done:
                    one.error = error if one is leader else _copy_of(error)
        except BaseException:  # an interrupt of this thread only: the others are stored by another
            with self._mutex:
                self._waiting[:0] = [one for one in batch[1:] if not (one.is_done or one.has_left)]
            raise
        finally:
            for one in batch[1:]:
                if one.is_done:
                    one.woken.release()


def _copy_of(error: Exception) -> Exception:
    """Return an error to be raised in another thread: errors carry their traceback, so each thread has its own."""
    other = copy(error)
    other.__cause__ = error
    return other
