"""A person's meetings: the list, and a page for each with its transcript, its summary, and what AI does with it.

- Everything in a summary is a quote with a link to the second at which it was said.
- Each page says whether AI uses what the visitor said, and where to refuse it.
- With summaries off, the transcript is still there for those who were in the meeting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from volition.errors import InvalidInputError, RefusedError
from volition.features.conversations import Conversation, ConversationKind
from volition.features.prose import Prose
from volition.learning.families.summary.minutes import Action, Minutes
from volition.learning.families.summary.sentences import Moment
from volition.learning.families.summary.summary import Summary
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.features.sharing import Sharing, sharing_of
from volition.server.web.features.switches import FeatureOff, UseState, member, off, uses
from volition.server.web.page import Nav, Pages, Visit
from volition.server.web.person.excluding import Excluding, excluding_of

pages = Pages()
PATH: Final = "/meetings"
_CATEGORY: Final = "content/transcript"
LOOKED: Final = "We looked for English phrases such as"
_USES: Final = ("feature/summary", "feature/search", "train/summary", "train/search")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingLink:
    """One meeting in the list."""

    name: str
    href: str
    began_us: int
    lasted: str
    speakers: tuple[str, ...]
    lines: int
    was_there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingsPage:
    """The meetings that a person may read.

    Attributes:
        title: The page's heading.
        lead: What is listed, in a sentence.
        meetings: The latest first.
    """

    title: str
    lead: str
    meetings: tuple[MeetingLink, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One line of the transcript; `anchor` is its id on the page."""

    anchor: str
    clock: str
    seconds: str
    speaker: str
    text: str
    is_own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Something that was said, and its place in the transcript.

    Attributes:
        text: Verbatim.
        speaker: Who said it.
        clock: At which second, as hours, minutes and seconds.
        href: The line of the transcript.
        about: What it means, such as who does it by when; may be empty.
    """

    text: str
    speaker: str
    clock: str
    href: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteSection:
    """Quotes of one sort; `none` is shown where there are none."""

    name: str
    title: str
    quotes: tuple[Quote, ...]
    none: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProseSentence:
    """A sentence that a model wrote, with the quotes it cites; `unsupported` says why not to rely on it, if so."""

    text: str
    cites: tuple[Quote, ...]
    unsupported: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLink:
    """What a stretch of a meeting was about: in its own words, when it began, and where that is on the page."""

    name: str
    clock: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingPage:
    """One meeting.

    Attributes:
        title: Its name.
        lead: When it was and who spoke.
        ai_is_on: Whether any AI uses what the visitor says in meetings.
        is_left_out: Whether this meeting was left out of all that is on for others.
        uses: Each use of what the visitor said, and whether it is on.
        off: Why there is no summary; none where there is one.
        sections: The summary.
        topics: What it was about, in the order in which it was spoken of.
        note: A note on the summary; may be empty.
        can_tell: Whether a language model can write it as prose.
        prose: The prose, once it was asked for.
        prose_note: Who wrote it, or why there is none.
        turns: The transcript.
        detail: What of the meeting is shown.
        search: Where a search within it is sent.
        name: Its name, as that search sends it.
        action: Where this page's form is sent.
        sharing: Who can open it.
        excluding: What the visitor has left out of it; none where nothing in it is theirs.
        collected: Where the proof of what was recorded about the visitor is to be had; empty if they were not there.
    """

    title: str
    lead: str
    ai_is_on: bool
    is_left_out: bool
    uses: tuple[UseState, ...]
    off: FeatureOff | None
    sections: tuple[QuoteSection, ...]
    topics: tuple[TopicLink, ...]
    note: str
    can_tell: bool
    prose: tuple[ProseSentence, ...]
    prose_note: str
    turns: tuple[Turn, ...]
    detail: str
    search: str
    name: str
    action: str
    sharing: Sharing
    excluding: Excluding | None
    collected: str


@pages.get(PATH, roles=[Role.PERSON], template="meetings.html", nav=Nav(label="Meetings", place=310))
def list_meetings(visit: Visit) -> MeetingsPage:
    """List the meetings that the visitor may read."""
    person, _ = member(visit)
    found = visit.workspace.features.conversations(ConversationKind.MEETING, person=person)
    return MeetingsPage(
        title="Meetings",
        lead="The meetings you were in, and those that were opened to you.",
        meetings=tuple(
            MeetingLink(
                name=meeting.name,
                href=address(meeting.name),
                began_us=meeting.began_us,
                lasted=clock((meeting.last_us - meeting.began_us) // 1000),
                speakers=meeting.speakers,
                lines=len(meeting.lines),
                was_there=meeting.was_there,
            )
            for meeting in found
        ),
    )


@pages.get(f"{PATH}/{{meeting:path}}", roles=[Role.PERSON], template="meeting.html")
def show_meeting(visit: Visit) -> MeetingPage:
    """Show a meeting."""
    return _page(visit, tell=False)


@pages.post(f"{PATH}/{{meeting:path}}", roles=[Role.PERSON], template="meeting.html")
def tell_meeting(visit: Visit) -> MeetingPage:
    """Show a meeting with its summary as prose: only on request, since the quotes are sent to a language model."""
    return _page(visit, tell=True)


def address(meeting: str, place: str | None = None) -> str:
    """Return where a meeting's page is, or one turn on it."""
    return f"{PATH}/{quote(meeting, safe='')}" + ("" if place is None else f"#t-{quote(place, safe='')}")


def clock(milliseconds: int) -> str:
    """Say a length as hours, minutes and seconds, such as "1:02:05"; without hours where there are none."""
    minutes, seconds = divmod(max(0, milliseconds) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _page(visit: Visit, *, tell: bool) -> MeetingPage:
    person, _ = member(visit)
    name = visit.path["meeting"]
    found = visit.workspace.features.conversations(ConversationKind.MEETING, person=person, name=name)
    if not found:
        raise InvalidInputError(f"There is no meeting {name!r} that you may read. Your meetings are listed on {PATH}.")
    [meeting] = found
    summary, minutes, prose, is_off = _summed_up(visit, person, meeting, tell=tell)
    general = uses(visit, _USES, _CATEGORY)
    shown = uses(visit, _USES, _CATEGORY, conversation=name)
    return MeetingPage(
        title=name,
        lead=f"{words.moment(meeting.began_us)}. {words.listed(meeting.speakers)} spoke.",
        ai_is_on=any(use.state.is_on for use in general),
        is_left_out=any(use.state.is_on for use in general) and not any(use.state.is_on for use in shown),
        uses=shown,
        off=is_off,
        sections=() if summary is None or minutes is None else _sections(summary, minutes),
        topics=_topics(summary),
        note="" if summary is None else summary.note or "",
        can_tell=summary is not None and visit.workspace.features.endpoint() is not None,
        prose=() if prose is None or summary is None else _sentences(prose, summary.moments),
        prose_note="" if prose is None else prose.note,
        turns=tuple(
            Turn(
                anchor=f"t-{line.place}",
                clock=clock(line.start_ms or 0),
                seconds=f"PT{(line.start_ms or 0) // 1000}S",
                speaker=line.speaker,
                text=line.text,
                is_own=line.is_own,
            )
            for line in meeting.lines
        ),
        detail=_details(meeting),
        search="/search",
        name=name,
        action=address(name),
        sharing=sharing_of(visit, ConversationKind.MEETING, name),
        excluding=excluding_of(visit, ConversationKind.MEETING, name, _USES) if meeting.was_there else None,
        collected=f"/holdings/collected?{urlencode({'conversation': name})}" if meeting.was_there else "",
    )


def _summed_up(
    visit: Visit, person: str, meeting: Conversation, *, tell: bool
) -> tuple[Summary | None, Minutes | None, Prose | None, FeatureOff | None]:
    workspace, name = visit.workspace, meeting.name
    try:
        summary = workspace.features.summarize(name, person=person)
        prose = workspace.features.prose(summary, person=person) if tell else None
        return summary, workspace.features.minutes(name, person=person), prose, None
    except RefusedError:
        works = "The transcript below is still there."
        return (
            None,
            None,
            None,
            off(
                visit,
                "feature/summary",
                _CATEGORY,
                works=works,
                records=[line.record_id for line in meeting.lines],
                conversation=name,
            ),
        )


def _details(meeting: Conversation) -> str:
    if meeting.was_there:
        return "You were in this meeting, so you can read all of it, whichever switches are on."
    return "You were not in this meeting; it was opened to you. You see what search and summaries may show you of it."


def _topics(summary: Summary | None) -> tuple[TopicLink, ...]:
    """Return what a meeting was about; a stretch without a distinctive word is left out."""
    topics = () if summary is None else summary.topics
    return tuple(
        TopicLink(name=words.listed(topic.words), clock=clock(topic.start_ms), href=f"#t-{topic.turn}")
        for topic in topics
        if topic.words
    )


def _sections(summary: Summary, minutes: Minutes) -> tuple[QuoteSection, ...]:
    def section(name: str, title: str, moments: Sequence[Moment], none: str) -> QuoteSection:
        return QuoteSection(name=name, title=title, quotes=tuple(_quote(moment) for moment in moments), none=none)

    actions = tuple(_quote(action.moment, _task(action)) for action in minutes.actions)
    return (
        section("moments", "Key moments", summary.moments, "No moment stands out."),
        section(
            "decisions",
            "Decisions",
            minutes.decisions,
            f"{LOOKED} “we decided to” or “we settled on”, and none was found.",
        ),
        QuoteSection(
            name="actions",
            title="Action items",
            quotes=actions,
            none=f"{LOOKED} “I will send”, “Bo, please check” or “we need to book”, and none was found.",
        ),
        section(
            "questions",
            "Open questions",
            minutes.questions,
            f"{LOOKED} “still open” or “we do not know whether”, and for unanswered questions; none was found.",
        ),
    )


def _quote(moment: Moment, about: str = "") -> Quote:
    return Quote(
        text=moment.quote,
        speaker=moment.speaker,
        clock=clock(moment.start_ms),
        href=f"#t-{moment.turn}",
        about=about,
    )


def _task(action: Action) -> str:
    due = ""
    if action.due is not None:
        due = f", {action.due}" if action.due_date is None else f", {action.due} ({action.due_date})"
    return f"{action.who or 'Nobody yet'}{due}"


def _sentences(prose: Prose, moments: Sequence[Moment]) -> tuple[ProseSentence, ...]:
    return tuple(
        ProseSentence(
            text=one.text, cites=tuple(_quote(moments[number - 1]) for number in one.cites), unsupported=one.unsupported
        )
        for one in prose.sentences
    )
