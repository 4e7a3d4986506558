"""Short replies that enough different people wrote, and to which words they wrote them.

A message replies to each message that another person wrote in the same channel and thread within the two minutes
before. That looks at two messages alone and never at what else was written, so taking rows away only ever takes replies
away, and the counts of `ReplyCounts` can be subtracted as those of the n-grams can (see `counts`).
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from volition.learning.families.compose.words import BREAK, START, UNLEARNED, short_reply, tokens
from volition.records.lake import Row

WINDOW_US: Final = 120_000_000
"""For how long after a message another one replies to it."""

_NOT_ASKED_ABOUT: Final = frozenset({BREAK, UNLEARNED})

Place = tuple[str, str]
"""A channel and a thread in it."""

Said = tuple[str, str, str]
"""Who wrote which reply, to a message with which token in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyCounts:
    """The replies of one account that enough people wrote.

    Attributes:
        people: Reply -> token of the messages replied to -> how many people wrote it to such a message. Only counts
            from k on are kept, and only tokens that enough people wrote themselves: a reply must not reveal what one
            person asked. Every message holds `START`, so that one counts all who wrote the reply.
    """

    people: Mapping[str, Mapping[str, int]]


def place_of(row: Row) -> Place:
    """Return where a message was written."""
    channel, thread = row.payload.get("channel"), row.payload.get("thread")
    return str(channel), str(thread or "")


def count_answers(rows: Sequence[Row], known: Collection[str], *, k: int) -> ReplyCounts:
    """Count the replies in the messages of one account.

    Args:
        rows: Messages, in any order.
        known: The tokens that enough people wrote.
        k: Fewest people.
    """
    writers: dict[str, set[str]] = defaultdict(set)  # a reply that too few wrote at all need not be looked at
    short: list[tuple[Row, str]] = []
    for row in rows:
        if (reply := short_reply(row.payload["text"])) is not None:
            writers[reply].add(row.author)
            short.append((row, reply))
    replies = [(row, reply) for row, reply in short if len(writers[reply]) >= k]
    said = set(_said(replies, _Timeline(rows, {place_of(row) for row, _ in replies})))
    return _kept(Counter((reply, token) for _, reply, token in said), set(known), k)


def subtract_answers(
    answers: ReplyCounts, rows: Sequence[Row], gone: Collection[str], known: Collection[str], *, k: int
) -> ReplyCounts:
    """Take away what rows that go had added.

    Args:
        answers: Counted with the same k on `rows`.
        rows: All messages of the account, before.
        gone: Record ids of those that go.
        known: The tokens that enough people wrote in what is left.
        k: Fewest people.

    Returns:
        What `count_answers` gives on the rows that are left.
    """
    if not answers.people:
        return answers
    by_time = sorted(rows, key=_instant)
    going = [row for row in rows if row.record_id in gone]
    asked_in_vain = _Timeline(going, {place_of(row) for row in going})
    after = _between(by_time, ((row.collected_us + 1, row.collected_us + WINDOW_US + 1) for row in going))
    answering = [row for row in after if row.record_id not in gone and asked_in_vain.before(row)]
    touched = {row.author for row in (*going, *answering) if _known_reply(row, answers) is not None}
    own = [row for row in rows if row.author in touched]
    theirs = [(row, reply) for row in own if (reply := _known_reply(row, answers)) is not None]
    asked = _between(by_time, ((row.collected_us - WINDOW_US, row.collected_us) for row, _ in theirs))
    timeline = _Timeline(asked, {place_of(row) for row, _ in theirs})
    old = set(_said(theirs, timeline))
    staying = [(row, reply) for row, reply in theirs if row.record_id not in gone]
    new = set(_said(staying, timeline, without=gone))
    lost = Counter((reply, token) for _, reply, token in old - new)
    counts = Counter({(reply, token): n for reply, asked in answers.people.items() for token, n in asked.items()})
    counts.subtract({pair: n for pair, n in lost.items() if pair in counts})
    return _kept(counts, set(known), k)


def _known_reply(row: Row, answers: ReplyCounts) -> str | None:
    text = row.payload["text"]
    if text in answers.people:
        return str(text)
    reply = short_reply(text)
    return reply if reply in answers.people else None


def _between(by_time: Sequence[Row], spans: Iterable[tuple[int, int]]) -> Iterator[Row]:
    """Yield the messages of some spans of time, first instant (included) to last (not included), each message once."""
    past = 0
    for first_us, last_us in sorted(spans):
        first = bisect_left(by_time, first_us, lo=past, key=_instant)
        past = bisect_left(by_time, last_us, lo=first, key=_instant)
        yield from by_time[first:past]


def _instant(row: Row) -> int:
    return row.collected_us


class _Timeline:
    """The messages of some places, by the instant at which they were written."""

    def __init__(self, rows: Iterable[Row], places: Collection[Place]) -> None:
        found: dict[Place, list[Row]] = defaultdict(list)
        for row in rows:
            if (place := place_of(row)) in places:
                found[place].append(row)
        self._rows = {place: sorted(there, key=lambda row: row.collected_us) for place, there in found.items()}
        self._instants = {place: [row.collected_us for row in there] for place, there in self._rows.items()}

    def before(self, row: Row) -> list[Row]:
        """Return the messages that a message replies to."""
        place = place_of(row)
        if place not in self._rows:
            return []
        instants = self._instants[place]
        first = bisect_left(instants, row.collected_us - WINDOW_US)
        past = bisect_left(instants, row.collected_us)
        return [other for other in self._rows[place][first:past] if other.author != row.author]


def _said(replies: Iterable[tuple[Row, str]], timeline: _Timeline, *, without: Collection[str] = ()) -> Iterator[Said]:
    read: dict[str, set[str]] = {}  # many may reply to the same message
    for row, reply in replies:
        for asked in timeline.before(row):
            if asked.record_id not in without:
                if asked.record_id not in read:
                    read[asked.record_id] = set(tokens(asked.payload["text"])) - _NOT_ASKED_ABOUT
                for token in read[asked.record_id]:
                    yield row.author, reply, token


def _kept(counts: Mapping[tuple[str, str], int], known: Collection[str], k: int) -> ReplyCounts:
    people: dict[str, dict[str, int]] = {}
    for (reply, token), n in sorted(counts.items()):
        if n >= k and token in known:
            people.setdefault(reply, {})[token] = n
    return ReplyCounts(people={reply: asked for reply, asked in people.items() if START in asked})
