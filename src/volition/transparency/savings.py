"""Savings: what features saved an account, in units of life, from the usage that the account and its people permit.

Nothing is estimated from promises. A search is followed to the hit that was opened, and a summary is held against the
transcript that it stood for: the reading time of the one, less that of the other, at the speed at which adults read.
Of a message, the characters that came from suggestions count, less the keys that taking them took.
A figure has a 95 % interval that resamples whole people, rests on five people at least, and says "not measured"
otherwise.

Source: 238 words a minute, silent reading of English prose, Brysbaert 2019, doi:10.1016/j.jml.2019.104047.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from volition.learning.audit.groups import FEWEST
from volition.learning.audit.intervals import ratio_interval
from volition.learning.families.search.lines import CLICK
from volition.records.ingest.used import LETTERS, PRESSED, READ, SEARCHED, SENT, SHOWN_WORDS, SPOKEN_WORDS, TAKEN, TASKS
from volition.records.lake import Row

WORDS_A_MINUTE: Final = 238
USAGE: Final = ("service/usage",)
"""What is read to measure it, for the feature's own purpose."""

_QUEST_US: Final = 10 * 60 * 1_000_000
"""Searches of one person that follow each other within ten minutes look for the same thing, until a hit is opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What a feature saved an account, or why that was not measured.

    Attributes:
        what: "reading", "tasks", "searches", "keystrokes" or "sessions".
        value: Minutes saved a summary, tasks a summary, the share of searches that ended in an opened hit, keystrokes
            saved a message; none if it was not measured.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        times: How often the feature was used, as far as it was measured.
        people: How many people used it; none if it was not measured.
        says: The same in a sentence.
    """

    what: str
    value: float | None
    low: float | None
    high: float | None
    times: int
    people: int | None
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A mean over uses, with its interval."""

    value: float
    low: float
    high: float
    times: int
    people: int


def savings(purpose: str, rows: Sequence[Row]) -> tuple[Saving, ...]:
    """Return what a feature saved an account.

    Args:
        purpose: The feature's purpose.
        rows: The account's usage that may be used for it.
    """
    return _OF[purpose](rows) if purpose in _OF else ()


def _reading(rows: Sequence[Row]) -> tuple[Saving, ...]:
    """Return the minutes of reading that summaries saved, and the tasks that they named."""
    read = [row for row in rows if row.payload.get("name") == READ]
    minutes = _mean(read, lambda row: (_count(row, SPOKEN_WORDS) - _count(row, SHOWN_WORDS)) / WORDS_A_MINUTE)
    tasks = _mean(read, lambda row: _count(row, TASKS))
    if minutes is None or tasks is None:
        return (_missing("reading", "summaries were read"), _missing("tasks", "summaries were read"))
    more = "saved" if minutes.value >= 0 else "cost"
    sure = "" if minutes.low > 0 or minutes.high < 0 else " We are not sure that it saves any."
    return (
        _saving(
            "reading",
            minutes,
            f"Reading a summary instead of the whole transcript {more} {abs(minutes.value):.1f} minutes each time "
            f"(95 %: {minutes.low:.1f} to {minutes.high:.1f}), over {_times(minutes)}, at {WORDS_A_MINUTE} words a "
            f"minute.{sure}",
        ),
        _saving(
            "tasks",
            tasks,
            f"A summary that was read named {tasks.value:.1f} tasks (95 %: {tasks.low:.1f} to {tasks.high:.1f}).",
        ),
    )


def _searches(rows: Sequence[Row]) -> tuple[Saving, ...]:
    """Return which share of searches ended in an opened hit, and after how many."""
    quests = list(_quests(rows))
    found = _mean_of([(person, float(opened)) for person, _, opened in quests])
    if found is None:
        return (_missing("searches", "people searched"),)
    asked = [number for _, number, opened in quests if opened]
    after = f", after {sum(asked) / len(asked):.1f} searches on average" if asked else ""
    return (
        _saving(
            "searches",
            found,
            f"Of 100 things that people looked for, {100 * found.value:.0f} ended in an opened result (95 %: "
            f"{100 * found.low:.0f} to {100 * found.high:.0f}){after}, over {_times(found)}.",
        ),
    )


def _quests(rows: Iterable[Row]) -> Iterable[tuple[str, int, bool]]:
    """Yield each thing that somebody looked for: who, in how many searches, and whether a hit was opened."""
    events: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for row in rows:
        if row.people and row.payload.get("name") in {SEARCHED, CLICK}:
            events[row.author].append((row.collected_us, row.payload["name"] == CLICK))
    for person, theirs in sorted(events.items()):
        asked, last_us = 0, 0
        for at_us, is_opened in sorted(theirs):
            if asked and (is_opened or at_us - last_us > _QUEST_US):
                yield person, asked, is_opened and at_us - last_us <= _QUEST_US
                asked = 0
            if not is_opened:
                asked, last_us = asked + 1, at_us
        if asked:
            yield person, asked, False


def _mean(rows: Iterable[Row], of: Callable[[Row], float]) -> _Measured | None:
    return _mean_of([(row.author, of(row)) for row in rows if row.people])


def _mean_of(uses: Sequence[tuple[str, float]]) -> _Measured | None:
    """Return the mean of some uses, each by somebody; none where fewer than `FEWEST` people were at it."""
    sums: dict[str, float] = defaultdict(float)
    times: dict[str, int] = defaultdict(int)
    for person, value in uses:
        sums[person] += value
        times[person] += 1
    if len(sums) < FEWEST:
        return None
    low, high = ratio_interval([(sums[person], times[person]) for person in sorted(sums)])
    return _Measured(value=sum(sums.values()) / len(uses), low=low, high=high, times=len(uses), people=len(sums))


def _count(row: Row, attribute: str) -> int:
    value = row.payload.get("attributes", {}).get(attribute, 0)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _times(measured: _Measured) -> str:
    return f"{measured.times:,} times by {measured.people:,} people"


def _saving(what: str, measured: _Measured, says: str) -> Saving:
    return Saving(
        what=what,
        value=measured.value,
        low=measured.low,
        high=measured.high,
        times=measured.times,
        people=measured.people,
        says=says,
    )


_NOUN: Final[Mapping[str, str]] = {
    "reading": "How much reading summaries saved",
    "tasks": "How many tasks summaries named",
    "searches": "How many searches ended in an opened result",
    "keystrokes": "How many keystrokes the composer saved",
    "sessions": "How many sessions diagnosis saved",
}


def _missing(what: str, when: str) -> Saving:
    why = f"It is measured once {when} by {FEWEST} people or more whose usage may be used for it."
    return _unmeasured(what, why)


def _unmeasured(what: str, why: str) -> Saving:
    says = f"{_NOUN[what]} was not measured. {why}"
    return Saving(what=what, value=None, low=None, high=None, times=0, people=None, says=says)


def _keystrokes(rows: Sequence[Row]) -> tuple[Saving, ...]:
    """Return the keystrokes that suggestions saved for each message, of those written while they were shown."""
    sent = [row for row in rows if row.payload.get("name") == SENT]
    keys = _mean(sent, lambda row: _count(row, TAKEN) - _count(row, PRESSED))
    letters = _mean(sent, lambda row: _count(row, LETTERS))
    if keys is None or letters is None:
        return (_missing("keystrokes", "messages were sent while suggestions were shown"),)
    more = "saved" if keys.value >= 0 else "cost"
    sure = "" if keys.low > 0 or keys.high < 0 else " We are not sure that it saves any."
    return (
        _saving(
            "keystrokes",
            keys,
            f"Suggestions {more} {abs(keys.value):.1f} keystrokes a message (95 %: {keys.low:.1f} to {keys.high:.1f}) "
            f"of {letters.value:.0f} characters, over {_times(keys)}.{sure}",
        ),
    )


def _sessions(_rows: Sequence[Row]) -> tuple[Saving, ...]:
    return (_unmeasured("sessions", "Nobody knows how a session would have ended without the warning."),)


_OF: Final[Mapping[str, Callable[[Sequence[Row]], tuple[Saving, ...]]]] = {
    "feature/search": _searches,
    "feature/summary": _reading,
    "feature/compose": _keystrokes,
    "feature/diagnose": _sessions,
}
"""What is measured of each feature, by its purpose."""

MEASURED: Final = ("feature/search", "feature/summary", "feature/compose")
"""The features of which usage is read; of the others nothing is recorded that would say what they save."""
