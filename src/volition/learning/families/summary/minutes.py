"""Minutes: what a meeting decided, who does what by when, and which questions it left open. All of it quoted.

Decisions and tasks are found by what people say outright and by a small classifier (see `spotting`), questions by rule.
They prefer silence to a guess: what is conditional, refused or asked makes none. No person is given a task that they
did not take or were not given by name, and no date is given that was not said. English and German are read; in a
meeting in another language nothing is found, and `language` says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from typing import Final

from volition.canonical import us_to_datetime
from volition.learning.families.summary.due import due_in
from volition.learning.families.summary.languages.phrases import Phrases
from volition.learning.families.summary.sentences import Moment, in_turn
from volition.learning.families.summary.shown import before_of, hangs
from volition.learning.families.summary.spotting import (
    LANGUAGES,
    Line,
    Seen,
    language_of,
    score,
    see,
)
from volition.learning.families.summary.taught import AS_SHIPPED, DECISIONS, TASKS, Taught
from volition.records.lake import Row

LOOKED_IN: Final = tuple(phrases.name for phrases in LANGUAGES)
"""The languages in which decisions, tasks and questions are looked for."""

_NEAR_TURNS: Final = 2  # within so many turns a question is answered, or it is not
_SHORTEST_QUESTION: Final = 5  # words: "Is it?" leaves nothing open
_UNSETTLED: Final = ("conditional", "hedged", "denied", "question", "past", "meeting talk")
_NOT_YET: Final = ("conditional", "hedged", "denied", "reported")
_ROUGH: Final = 1.0
_BARE: Final = 5  # words: "Then let's make it a trial." is told with the sentence that follows


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A task that a person took, that was given to a person by name, or that was left open.

    Attributes:
        moment: Where it was said, in its own words.
        who: Whose it is, as the transcript names its speakers; none where no person was named: it is unassigned.
        what: The task, verbatim from the quote.
        due: When, verbatim; none if that was not said.
        due_date: The day that `due` means, seen from the day on which it was said; none if it means no one day.
    """

    moment: Moment
    who: str | None
    what: str
    due: str | None
    due_date: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Minutes:
    """What was settled and what was not, each in the order of the meeting.

    Attributes:
        decisions: What was settled.
        actions: Who does what.
        questions: What was left open.
        language: The English name of the language that was read; none if it is none of `LOOKED_IN`.
        taught: Why corrected summaries did not help to find them; none where they did, or there is no model.
    """

    decisions: tuple[Moment, ...]
    actions: tuple[Action, ...]
    questions: tuple[Moment, ...]
    language: str | None = None
    taught: str | None = None


def take_minutes(rows: Sequence[Row], *, zone: tzinfo = UTC, taught: Taught = AS_SHIPPED) -> Minutes:
    """Find the decisions, the tasks and the open questions of one meeting.

    Args:
        rows: The meeting's rows that the gate let through; all but segments are passed over.
        zone: The time zone of whoever reads them: "this afternoon" is the day that it was there.
        taught: What corrected summaries taught (see `taught.taught_by`).

    Returns:
        Quotes, each from one line.
    """
    segments = in_turn(row for row in rows if row.payload.get("kind") == "segment")
    lines = [Line(speaker=row.payload["speaker"], text=row.payload["text"]) for row in segments]
    phrases = language_of(lines)
    if phrases is None:
        return Minutes(decisions=(), actions=(), questions=())
    decisions: dict[int, Moment] = {}
    actions: list[Action] = []
    questions: list[Moment] = []
    sentences = list(see(lines, phrases))
    for place, seen in enumerate(sentences):
        if _is_decision(seen, taught.weights):
            decisions.setdefault(seen.line, _told(segments, sentences, place))
        elif _is_open(lines, seen, phrases):
            questions.append(_moment(segments, seen.line, seen.start, seen.end))
        if _is_task(seen, taught.weights[TASKS]):
            actions.append(_action(segments, lines, seen, phrases, zone))
    return Minutes(
        decisions=tuple(decisions.values()),
        actions=tuple(actions),
        questions=tuple(questions),
        language=phrases.name,
        taught=taught.note,
    )


def _moment(segments: Sequence[Row], number: int, start: int, end: int) -> Moment:
    row = segments[number]
    quote = row.payload["text"][start:end]
    return Moment(
        quote=quote,
        before=before_of(segments, number, start) if hangs(quote) else None,
        speaker=row.payload["speaker"],
        turn=row.payload["turn"],
        start_ms=row.payload["start_ms"],
        record_id=row.record_id,
    )


def _told(segments: Sequence[Row], sentences: Sequence[Seen], place: int) -> Moment:
    """Return a decision; where it alone says little, with the sentence after it in the same line, or the one before."""
    seen = sentences[place]
    text = segments[seen.line].payload["text"]
    if len(text[seen.start : seen.end].split()) > _BARE:
        return _moment(segments, seen.line, seen.start, seen.end)
    beside = [one for one in sentences[max(0, place - 1) : place + 2] if one.line == seen.line]
    if beside[-1] is not seen:
        return _moment(segments, seen.line, seen.start, beside[-1].end)
    return _moment(segments, seen.line, beside[0].start, seen.end)


def _is_decision(seen: Seen, weights: Mapping[str, Mapping[str, int]]) -> bool:
    if "question" in seen.cues:
        return False
    if "settled outright" in seen.cues and not any(name in seen.cues for name in _NOT_YET):
        return True
    smooth = seen.cues.get("rough", 0.0) < _ROUGH and "stumbles" not in seen.cues
    outright = "chosen" in seen.cues and smooth and not any(name in seen.cues for name in (*_UNSETTLED, "short"))
    if outright or "put off" in seen.cues:
        return outright
    return score(weights[DECISIONS], seen.cues) > max(0.0, score(weights[TASKS], seen.cues))


def _is_open(lines: Sequence[Line], seen: Seen, phrases: Phrases) -> bool:
    """Return whether a sentence leaves a question open: it says so, or no one who was asked knew."""
    line = lines[seen.line]
    text = line.text[seen.start : seen.end].replace("\u2019", "'")
    if not text.endswith("?"):
        return phrases.open.search(text) is not None
    if len(text.split()) < _SHORTEST_QUESTION or not phrases.asks.search(text):
        return False
    replies = [
        other
        for other in lines[seen.line + 1 : seen.line + 1 + _NEAR_TURNS]
        if other.speaker != line.speaker
    ]  # fmt: skip
    return any(phrases.no_answer.search(reply.text.replace("\u2019", "'")) for reply in replies[:1])


def _action(segments: Sequence[Row], lines: Sequence[Line], seen: Seen, phrases: Phrases, zone: tzinfo) -> Action:
    cues, line, row = seen.cues, lines[seen.line], segments[seen.line]
    quote = line.text[seen.start : seen.end].replace("\u2019", "'")  # as long as before: places in it stay places
    due = due_in(quote, us_to_datetime(row.collected_us).astimezone(zone).date())
    promised = _is_promised(seen)
    who = line.speaker if promised else seen.given_to
    if who is None and "taken" in cues and ("you do" in cues or "told to" in cues):
        who = next((other.speaker for other in lines[seen.line + 1 :] if other.speaker != line.speaker), None)
    start = seen.name_end if seen.given_to is not None and not promised else 0
    if start:
        start += found.end() if (found := phrases.after_who.match(quote[start:])) is not None else 0
    elif (found := phrases.preamble.match(quote)) is not None:
        start = found.end()
    what = line.text[seen.start + start : seen.end].strip(" ,.!?")
    return Action(
        moment=_moment(segments, seen.line, seen.start, seen.end),
        who=who,
        what=what or line.text[seen.start : seen.end],
        due=due and due[0],
        due_date=due and due[1],
    )


def _is_promised(seen: Seen) -> bool:
    cues = seen.cues
    own = ("own promise", "own present", "own will", "own going")
    return any(name in cues for name in own) or ("own offer" in cues and "taken" not in cues)


def _is_task(seen: Seen, weights: Mapping[str, int]) -> bool:
    cues = seen.cues
    asked = "question" in cues and not seen.is_outright and "you do" not in cues
    if asked or "conditional" in cues or "declines" in cues or (not _is_promised(seen) and "refused" in cues):
        return False
    if "action item" in cues:
        return True
    firm = not any(name in cues for name in ("hedged", "denied", "past"))
    if firm and (seen.is_outright or ("due" in cues and ("we need somebody" in cues or "own promise" in cues))):
        return True
    return score(weights, cues) > 0
