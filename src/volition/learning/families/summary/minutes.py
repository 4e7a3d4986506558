"""Minutes: what a meeting decided, who does what by when, and which questions it left open. All of it quoted.

Found by rule, and the rules prefer silence to a guess: they look for the few ways in which people say such a thing
outright, and pass over what is negated, conditional or asked. No person is given a task that they did not take or were
not given by name, and no date is given that was not said. The rules read English; in another language they find
nothing.
"""

import calendar
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from volition.canonical import us_to_datetime
from volition.learning.families.summary.sentences import Moment, cut_sentences, in_turn
from volition.records.lake import Row

_NEAR_TURNS: Final = 2  # within so many turns a question is answered, or it is not
_SHORTEST_QUESTION: Final = 5  # words: "Is it?" leaves nothing open
_TASKS: Final = (
    "arrange|book|build|buy|call|check|circulate|clean|collect|compare|contact|count|deliver|"
    "deploy|design|document|draft|email|file|finalise|finalize|find|finish|fix|follow up|forward|get back|hand over|"
    "install|investigate|invite|look into|mail|measure|merge|order|organise|organize|phone|plan|post|prepare|"
    "print|publish|put together|raise|replace|report|reserve|revise|rewrite|review|run|schedule|send|set up|"
    "share|ship|sign|sort out|submit|summarise|summarize|talk to|test|update|upload|verify|write"
)
_SOON: Final = r"(?:also |then |just |quickly |definitely |gladly )?"
_OWN: Final = re.compile(
    rf"\b(?:I'll|I will|I'm going to|I am going to) {_SOON}(?P<what>(?:{_TASKS})\b.*)", re.IGNORECASE
)
_OTHER: Final = re.compile(
    rf"\b(?P<who>[A-Z][\w'-]*)(?:,? (?:can|could|would|will) you(?: please)?|,? please| will| is going to|'ll) {_SOON}"
    rf"(?P<what>(?:{_TASKS})\b.*)"
)
_NOBODY: Final = re.compile(
    rf"\b(?:(?:we|somebody|someone) (?:need to|needs to|have to|has to|must|should)|"
    rf"(?:can|could) (?:you|somebody|someone)(?: please)?|action item:?(?: to)?) {_SOON}(?P<what>(?:{_TASKS})\b.*)",
    re.IGNORECASE,
)
_DECIDED: Final = re.compile(
    r"\b(?:we(?:'ve| have)? (?:all )?(?:decided|agreed) (?:to|on|that|not)|(?:it is|it's|that's|that is) decided|"
    r"the decision is|let's go with|we(?:'ll| will|'re going to| are going to) go with|we(?:'re| are) going with|"
    r"we(?:'ve| have) settled on|we(?:'ve| have) chosen)\b",
    re.IGNORECASE,
)
_UNSETTLED: Final = re.compile(
    r"\b(?:if|unless|whether|until|once|suppose|maybe|perhaps|might|haven't|hasn't|didn't|don't|doesn't|"
    r"(?:have|has|had|did|do|are|is|can|could) not|not yet|never|nobody|before we|when we|wish|would have)\b",
    re.IGNORECASE,
)
_OPEN: Final = re.compile(
    r"\b(?:open question|still open|(?:still|remains?) (?:unclear|to be (?:decided|seen))|"
    r"(?:we (?:still )?(?:don't|do not) (?:yet )?know|(?:need|have) to find out) "
    r"(?:if|whether|what|who|when|where|why|how|which))\b",
    re.IGNORECASE,
)
_ASKS: Final = re.compile(
    r"^(?:\W*(?:and|but|so|ok|okay|well|um|uh|yes)\b,?\s*)*(?:who|what|when|where|why|how|which|whose|do|does|did|is|are|"
    r"can|could|should|shall|will|would|have|has)\b",
    re.IGNORECASE,
)
_NO_ANSWER: Final = re.compile(
    r"\b(?:(?:I|we) (?:really |still )?(?:don't|do not) know|(?:not|never) (?:really |quite |too )?sure|no idea|"
    r"good question|have to (?:check|find out|ask)|need to (?:check|find out|ask)|nobody knows)\b",
    re.IGNORECASE,
)

_DAYS: Final = tuple(day.lower() for day in calendar.day_name)
_MONTHS: Final = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_DATE: Final = re.compile(
    r"\b(?:(?P<iso>\d{4}-\d{2}-\d{2})|(?P<near>today|tonight|tomorrow)|"
    rf"(?:by|before|on|until|this|due) (?:this )?(?P<weekday>{'|'.join(_DAYS)})|"
    rf"(?P<month>{'|'.join(_MONTHS)}) (?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)|"
    rf"(?P<day2>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<month2>{'|'.join(_MONTHS)})|"
    r"in (?P<count>\d{1,2}|a|one|two|three|four) (?P<unit>day|week)s?|"
    r"(?:by |at )?(?:the )?end of (?:the|this) (?P<end>week|month)|"
    rf"(?:by |until )?(?P<vague>next (?:week|month|time|meeting|{'|'.join(_DAYS)})))\b",
    re.IGNORECASE,
)
_COUNTS: Final = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A task that a person took, that was given to a person by name, or that was left open.

    Attributes:
        moment: Where it was said, in its own words.
        who: Whose it is, as the transcript names its speakers; none where no person was named: it is unassigned.
        what: The task, verbatim from the quote.
        due: When, verbatim; none if that was not said.
        due_date: The day that `due` means, seen from the day on which it was said (UTC); none if it means no one day.
    """

    moment: Moment
    who: str | None
    what: str
    due: str | None
    due_date: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Minutes:
    """What was settled and what was not, each in the order of the meeting."""

    decisions: tuple[Moment, ...]
    actions: tuple[Action, ...]
    questions: tuple[Moment, ...]


def take_minutes(rows: Sequence[Row]) -> Minutes:
    """Find the decisions, the tasks and the open questions of one meeting.

    Args:
        rows: The meeting's rows that the gate let through; all but segments are passed over.

    Returns:
        Quotes, one sentence each.
    """
    segments = in_turn(row for row in rows if row.payload.get("kind") == "segment")
    speakers = {row.payload["speaker"] for row in segments}
    decisions: list[Moment] = []
    actions: list[Action] = []
    questions: list[Moment] = []
    for number, row in enumerate(segments):
        for moment in _sentences(row):
            asked = moment.quote.endswith("?")
            settled = not asked and _UNSETTLED.search(moment.quote) is None
            if settled and _DECIDED.search(moment.quote):
                decisions.append(moment)
            elif _is_open(moment, asked=asked, after=segments[number + 1 : number + 1 + _NEAR_TURNS]):
                questions.append(moment)
            elif (action := _action(moment, speakers, said=us_to_datetime(row.collected_us).date())) is not None:
                actions.append(action)
    return Minutes(decisions=tuple(decisions), actions=tuple(actions), questions=tuple(questions))


def due_in(text: str, said: date) -> tuple[str, date | None] | None:
    """Find when something is due.

    Args:
        text: A sentence.
        said: The day on which it was said. A weekday is the next one after it, a day of a month the next one from it.

    Returns:
        The words, verbatim, and the day if they mean one; none if no time was said.
    """
    found = _DATE.search(text)
    return None if found is None else (found.group(), _day(found, said))


def _sentences(row: Row) -> Iterator[Moment]:
    for start, end in cut_sentences(row.payload["text"]):
        yield Moment(
            quote=row.payload["text"][start:end],
            speaker=row.payload["speaker"],
            turn=row.payload["turn"],
            start_ms=row.payload["start_ms"],
            record_id=row.record_id,
        )


def _is_open(moment: Moment, *, asked: bool, after: Sequence[Row]) -> bool:
    """Return whether a sentence leaves a question open: it says so, or no one who was asked knew."""
    if not asked:
        return _OPEN.search(moment.quote) is not None
    if len(moment.quote.split()) < _SHORTEST_QUESTION or not _ASKS.search(moment.quote):
        return False
    replies = [row for row in after if row.payload["speaker"] != moment.speaker]
    return any(_NO_ANSWER.search(row.payload["text"]) for row in replies[:1])


def _action(moment: Moment, speakers: set[str], *, said: date) -> Action | None:
    quote = moment.quote.replace("\u2019", "'")  # as long as before, so that places in it stay places in the quote
    if _UNSETTLED.search(quote):
        return None
    who: str | None = None
    found = _OWN.search(quote)
    if found is not None:
        who = moment.speaker
    elif (found := _OTHER.search(quote)) is not None and (who := _named(found["who"], speakers)) is None:
        found = None
    if found is None and (found := _NOBODY.search(quote)) is None:
        return None
    due = due_in(quote, said)
    if who is None and due is None and "action item" not in found[0].lower():
        return None  # mostly procedure, or what ought to be done some day
    start, end = found.span("what")
    what = moment.quote[start:end].rstrip(" .!?")
    return Action(moment=moment, who=who, what=what, due=due and due[0], due_date=due and due[1])


def _named(name: str, speakers: set[str]) -> str | None:
    """Return the one speaker whose name, or a part of it, this is."""
    found = [speaker for speaker in speakers if name == speaker or name in speaker.split()]
    return found[0] if len(found) == 1 else None


def _day(found: re.Match[str], said: date) -> date | None:  # noqa: C901 - one line for each way to name a day
    part = {name: value.lower() for name, value in found.groupdict().items() if value is not None}
    if "iso" in part:
        try:
            return date.fromisoformat(part["iso"])
        except ValueError:
            return None
    if "near" in part:
        return said + timedelta(days=part["near"] == "tomorrow")
    if "weekday" in part:
        return said + timedelta(days=(_DAYS.index(part["weekday"]) - said.weekday() - 1) % 7 + 1)
    if "count" in part:
        count = _COUNTS.get(part["count"]) or int(part["count"])
        return said + timedelta(days=count * (7 if part["unit"] == "week" else 1))
    if part.get("end") == "month":
        return said.replace(day=calendar.monthrange(said.year, said.month)[1])
    if "month" in part or "month2" in part:
        month = _MONTHS[part.get("month") or part["month2"]]
        for year in range(said.year, said.year + 5):  # 29 February is some years away
            try:
                day = date(year, month, int(part.get("day") or part["day2"]))
            except ValueError:
                continue
            if day >= said:
                return day
    return None  # "next Friday" and "the end of the week" mean different days to different people
