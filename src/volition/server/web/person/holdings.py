"""What we hold about a person (a data subject access request): records by category and day, their uses, an export."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import IO, Final

from volition.canonical import datetime_to_us, us_to_datetime
from volition.server.auth import PEOPLE
from volition.server.web import labels as words
from volition.server.web.charts.days import DayChart
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Download, Nav, Pages, Visit
from volition.server.web.person.settings import party_of
from volition.transparency.holdings import DayCount, Holdings, pieces
from volition.transparency.usage import UsageCount

pages = Pages()
PATH: Final = "/holdings"
UNPROVED: Final = (
    "All that we hold about you was collected before our public log kept such entries, so there is nothing to prove it "
    "by."
)
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCategory:
    """What is held of one category.

    Attributes:
        name: What it is called.
        own: How many records the person said, wrote or did.
        concerning: How many of others concern them.
        between: From which day to which.
    """

    name: str
    own: int
    concerning: int
    between: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLine:
    """What is held of one day and category."""

    day: str
    name: str
    own: int
    concerning: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUse:
    """How often a feature used the person's records of a category: all in all, and when last."""

    feature: str
    name: str
    times: int
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonLine:
    """A training set that the person is in, or may be: for what, when, and with how many records, if it is known."""

    purpose: str
    day: str
    rows: int | None
    snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsPage:
    """What is held of a person.

    Attributes:
        title: The page's heading.
        lead: How much it is, in a sentence.
        empty: Why there is nothing; empty where there is something.
        kinds: By category.
        chart: By day.
        days: By day and category, the newest first.
        uses: What features used, by feature and category.
        lessons: Training sets, the newest first.
        export: Where all of it is to be had.
        collected: Where the proof of what was recorded is to be had; empty if there is none.
        unproved: Why there is no such proof, in a sentence; empty where there is one, or nothing to prove.
        may_be: That there may be more under names that may be theirs, in a sentence; empty where there is not.
    """

    title: str
    lead: str
    empty: str
    kinds: tuple[HeldCategory, ...]
    chart: DayChart
    days: Cut[DayLine]
    uses: tuple[FeatureUse, ...]
    lessons: Cut[LessonLine]
    export: str
    collected: str
    unproved: str
    may_be: str


@pages.get(PATH, roles=PEOPLE, template="holdings.html", nav=Nav(label="What we hold", place=30))
def show(visit: Visit) -> HoldingsPage:
    """Show what is held about the visitor."""
    party, _ = party_of(visit)
    person = party.removeprefix("person:")
    held = visit.workspace.rights.holdings(person)
    is_provable = visit.workspace.proofs.can_prove_collected(person)
    own, concerning = (sum(getattr(day, name) for day in held.days) for name in ("own", "concerning"))
    return HoldingsPage(
        title="What we hold",
        lead=f"{words.count(own, 'record')} of what you said, wrote or did, and {concerning:,} of other people that "
        "concern you. You can always see this page, whatever anyone has answered.",
        empty=""
        if held.days
        else "Nothing that you said, wrote or did has been collected, and no record concerns you.",
        kinds=tuple(_kinds(held.days)),
        chart=_chart(held),
        days=cut(visit, held.days, of="row", size=_SHOWN, name="days").each(_line),
        uses=tuple(_uses(held.uses)),
        lessons=cut(visit, held.training_sets, of="training set", name="lessons").each(
            lambda one: LessonLine(
                purpose=words.purpose(one.purpose).title,
                day=words.day(one.at_us),
                rows=one.rows,
                snapshot=one.snapshot,
            )
        ),
        export=f"{PATH}/export",
        collected=f"{PATH}/collected" if is_provable else "",
        unproved=UNPROVED if held.days and not is_provable else "",
        may_be=may_be(held.may_be),
    )


def may_be(number: int) -> str:
    """Say that some who were heard may be the visitor, and nothing else of them; empty where nobody is."""
    if not number:
        return ""
    whose = "1 name that was heard in meetings may be you" if number == 1 else f"{number:,} names that were heard in "
    whose += "" if number == 1 else "meetings may be you"
    return (
        f"{whose}, or somebody else of a similar name. Their records are not counted here; your no counts for them, "
        "too. If you spoke before you were registered here, ask whoever runs this service to recognise you."
    )


@pages.get(f"{PATH}/collected", roles=PEOPLE)
def collected(visit: Visit) -> Download:
    """Give the proof of what was recorded about the visitor, or of one conversation alone."""
    party, _ = party_of(visit)
    proof = visit.workspace.proofs.collected(
        party.removeprefix("person:"), conversation=visit.query.get("conversation") or None
    )
    data = json.dumps(proof, indent=1).encode()
    return Download(name="what-was-recorded.json", data=data, media_type="application/json")


@pages.get(f"{PATH}/export", roles=PEOPLE)
def export(visit: Visit) -> Download:
    """Give everything as a zip of JSON and Parquet."""
    party, _ = party_of(visit)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the last piece has left; it has no name
    try:
        visit.workspace.rights.export(party.removeprefix("person:"), file)
        today = us_to_datetime(visit.workspace.now_us).date().isoformat()
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return Download(name=f"my-records-{today}.zip", data=_closing(file), media_type="application/zip")


def _closing(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from pieces(file)


def _kinds(days: Sequence[DayCount]) -> Iterator[HeldCategory]:
    known = words.vocabulary().categories
    for category in (*known, *sorted({day.category for day in days}.difference(known))):
        of = [day for day in days if day.category == category]
        if of:
            first, last = (_said(end(day.day for day in of)) for end in (min, max))
            name = words.category(category)
            yield HeldCategory(
                name=name[0].upper() + name[1:],
                own=sum(day.own for day in of),
                concerning=sum(day.concerning for day in of),
                between=first if first == last else f"{first} to {last}",
            )


def _chart(held: Holdings) -> DayChart:
    own: Counter[date] = Counter()
    others: Counter[date] = Counter()
    for day in held.days:
        own[date.fromisoformat(day.day)] += day.own
        others[date.fromisoformat(day.day)] += day.concerning
    return DayChart(title="Records by day of collection", own=own, others=others)


def _line(day: DayCount) -> DayLine:
    return DayLine(day=_said(day.day), name=words.category(day.category), own=day.own, concerning=day.concerning)


def _uses(uses: Iterable[UsageCount]) -> Iterator[FeatureUse]:
    times: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], str] = {}
    for used in uses:  # the newest day first
        times[used.purpose, used.category] += used.times
        last.setdefault((used.purpose, used.category), used.day)
    for (purpose, category), total in sorted(times.items()):
        yield FeatureUse(
            feature=words.purpose(purpose).title,
            name=words.category(category),
            times=total,
            last=_said(last[purpose, category]),
        )


def _said(day: str) -> str:
    """Say a day that is written as ISO 8601 has it."""
    return words.day(datetime_to_us(datetime.fromisoformat(day).replace(tzinfo=UTC)))
