"""The change feed: which entries the ledger has after a cursor, for whoever asks, and waiting for the next one.

What it guarantees:

- A reader hears of an entry what `entry_readers` shows them, and of an entry that shows them nothing they do not hear.
  A party is named by id, to those who may know which; of a person's answer staff hear that there was one.
- A cursor says how many entries are known, under a keyed digest of the last of them: one of another log, or of entries
  that this log does not have any more, is an error, and never an empty page. A plain number is taken as well.
- Waiting costs no thread: one look at the log, a few times a second, serves all who wait. How many wait and how often
  one of them asks is bounded; beyond that the answer is 503 with `Retry-After`.
"""

import asyncio
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from volition.errors import VolitionError
from volition.ledger.entry import Entry
from volition.server.auth import Principal
from volition.server.entry_readers import EntryReader, entry_reader, is_own, may_read, people_in, shown
from volition.server.http_errors import GONE, INVALID_INPUT, HttpError
from volition.workspace import Workspace
from volition.workspace.pool import OverloadedError

MOST_WAITING: Final = 1_000
"""How many wait for a change at once."""

MOST_OF_ONE: Final = 10
"""How many of those may be one user's."""

PER_S: Final = 20
"""How often one user may ask in a second, over a while; twice as often at once."""

LOOK_EVERY_S: Final = 0.2
_LOOKED_THROUGH: Final = 5_000  # entries for one answer, however few of them it shows
_CURSOR: Final = re.compile(r"(\d{1,15})(?:-([0-9a-f]{16}))?")
_USERS: Final = 10_000

Digest = Callable[[str, str], bytes]
"""Gives a keyed digest of a text; the first argument says what it is for (`auth.links.Links.digest`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the ledger, as somebody hears of it.

    Attributes:
        seq: Its number.
        at_us: When it was appended, microseconds since the Unix epoch, UTC.
        kind: What it is.
        party: Whom it is about, "account:ID" or "person:ID"; none where it names nobody, or nobody they may know.
        cursor: After which it is known.
    """

    seq: int
    at_us: int
    kind: str
    party: str | None
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What follows a cursor.

    Attributes:
        origin: The log's name.
        items: The entries that the reader hears of, oldest first.
        next: The cursor after all that was looked through, whether or not it was shown.
        start: How many entries were known before.
        end: How many are known now.
        size: How many the log has.
    """

    origin: str
    items: tuple[Change, ...]
    next: str
    start: int
    end: int
    size: int


def changes_after(workspace: Workspace, who: Principal, after: str, *, digest: Digest, limit: int) -> Changes:
    """Return what somebody hears of the entries after a cursor.

    Args:
        workspace: Whose log it is.
        who: Who asks.
        after: The cursor: `next` of an earlier answer, or how many entries are known already ("0" for none).
        digest: Gives the keyed digest by which a cursor of another log is told.
        limit: How many entries to show at most.

    Raises:
        HttpError: The cursor is none, is beyond the log's end, or is of another log.
    """
    size, origin = workspace.ledger.size, workspace.origin
    start = _start(workspace, after, size, digest)
    reader = entry_reader(who, workspace)
    items: list[Change] = []
    end, last = start, None
    for entry in workspace.ledger.entries(start, min(size, start + _LOOKED_THROUGH)):
        if is_heard(reader, entry):
            if len(items) == limit:
                break
            party = _party(reader, who, entry)
            cursor = _cursor(digest, origin, entry)
            items.append(Change(seq=entry.seq, at_us=entry.at_us, kind=entry.kind, party=party, cursor=cursor))
        end, last = entry.seq + 1, entry
    following = after if last is None else _cursor(digest, origin, last)
    return Changes(origin=origin, items=tuple(items), next=following, start=start, end=end, size=size)


def is_heard(reader: EntryReader, entry: Entry) -> bool:
    """Say whether somebody hears of an entry: auditors and the operator of each, others of what they are shown."""
    return reader.reads_all or may_read(reader, entry) or is_own(reader, entry)


def _party(reader: EntryReader, who: Principal, entry: Entry) -> str | None:
    body = shown(reader, entry).body
    if body is None:
        return None
    if is_own(reader, entry) or (may_read(reader, entry) and any(people_in(entry.body))):
        return f"person:{who.person}"  # by whichever of their identities
    named = body.get("party") or (f"account:{body['account']}" if isinstance(body.get("account"), str) else "")
    return named if str(named).startswith("account:") else None


def _start(workspace: Workspace, after: str, size: int, digest: Digest) -> int:
    """Return how many entries a cursor says are known."""
    found = _CURSOR.fullmatch(after)
    if found is None:
        raise HttpError(INVALID_INPUT, "This is no cursor. Send `next` of an earlier answer, or after=0 for all.")
    start, mark = int(found[1]), found[2]
    if start > size:
        detail = (
            f"This cursor comes after {start:,} entries, and the log {workspace.origin} has {size:,}: it is of another "
            "log, or the log was put back. Read all anew, with after=0."
        )
        raise HttpError(GONE, detail)
    if mark is not None and start:
        [entry] = workspace.ledger.entries(start - 1, start)
        if _cursor(digest, workspace.origin, entry) != after:
            detail = (
                f"This cursor is of another log than {workspace.origin}, or that was put back. Read all anew: after=0."
            )
            raise HttpError(GONE, detail)
    return start


def _cursor(digest: Digest, origin: str, entry: Entry) -> str:
    seen = entry.seq + 1
    return f"{seen}-{digest('changes', f'{origin} {seen} {entry.leaf_hash.hex()}')[:8].hex()}"


class ChangeWaiters:
    """All who wait for the log of one server to grow, in its event loop."""

    def __init__(self, size: Callable[[], Awaitable[int]], *, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Nobody waits yet.

        Args:
            size: Looks how many entries the log has.
            is_stopping: Whether the server was asked to stop: then every waiting ends.
        """
        self._look = size
        self.is_stopping = is_stopping
        self._size = 0
        self._grown = asyncio.Event()
        self._waiting: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._asked: OrderedDict[str, tuple[float, float]] = OrderedDict()  # how much each may ask, as of when

    def count(self, user: str) -> None:
        """Count a request of a user.

        Raises:
            OverloadedError: They ask too often.
        """
        now_s = time.monotonic()
        left, at_s = self._asked.pop(user, (2.0 * PER_S, now_s))
        left = min(2.0 * PER_S, left + (now_s - at_s) * PER_S)
        self._asked[user] = (max(0.0, left - 1), now_s)
        if len(self._asked) > _USERS:
            self._asked.popitem(last=False)
        if left < 1:
            raise OverloadedError

    @contextmanager
    def waiting(self, user: str) -> Iterator[None]:
        """Have a place among those who wait, for a block.

        Raises:
            OverloadedError: There is none left, or this user has enough.
        """
        if self._waiting.total() >= MOST_WAITING or self._waiting[user] >= MOST_OF_ONE:
            raise OverloadedError
        self._waiting[user] += 1
        try:
            yield
        finally:
            self._waiting[user] -= 1
            if not self._waiting[user]:
                del self._waiting[user]

    async def beyond(self, size: int, *, for_s: float) -> bool:
        """Wait until the log has more entries than `size`, for so many seconds; say whether it has."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking())
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                while self._size <= size and not self.is_stopping():
                    grown = self._grown
                    await grown.wait()
        return self._size > size

    async def _keep_looking(self) -> None:
        """Look how far the log is, for as long as anybody waits."""
        while self._waiting:
            with suppress(VolitionError):  # what cannot be read now is looked at again
                self._size = await self._look()
            self._grown.set()  # each looks by itself whether that is news
            self._grown = asyncio.Event()
            await asyncio.sleep(LOOK_EVERY_S)
