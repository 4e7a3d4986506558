"""A person's meetings: the list, and a page for each with its transcript, its summary, and what AI does with it.

- Everything in a summary is a quote with a link to the second at which it was said.
- Each page says whether AI uses what the visitor said, and where to refuse it.
- With summaries off, the transcript is still there for those who were in the meeting.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote, urlencode

from volition.errors import InvalidInputError, RefusedError
from volition.features.conversations import Conversation, ConversationKind, ConversationLine
from volition.features.prose import Prose
from volition.learning.families.summary.minutes import LOOKED_IN, Action, Minutes
from volition.learning.families.summary.sentences import Moment
from volition.learning.families.summary.shown import shown
from volition.learning.families.summary.summary import Summary
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.features.recordings import Naming, is_unnamed, naming_of, sound_address, what_is_kept
from volition.server.web.features.sharing import Sharing, sharing_of
from volition.server.web.features.switches import FeatureOff, UseState, member, off, uses
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Nav, Pages, Visit
from volition.server.web.person.excluding import Excluding, excluding_of
from volition.server.web.person.settings import party_of
from volition.server.web.zones import zone_of

pages = Pages()
PATH: Final = "/meetings"
_CATEGORY: Final = "content/transcript"
NOBODY_KNOWS: Final = "Nobody knows who"
_LANGUAGES: Final = " and ".join(LOOKED_IN)
_PLACE: Final = "turn"  # the field of an address that says which turn of a transcript is to be on the page
_LISTEN: Final = "listen"  # the field that says that the turn's sound is to be played
_TURNS: Final = 200  # of a transcript on one page
_QUOTES: Final = 30  # of a section of the summary on one page
_NAMED: Final = 8  # speakers in the list
_NAMED_IN_LEAD: Final = 30  # speakers on a meeting's own page
LeadsTo = Callable[[object], str]
"""Says where a turn of a transcript is."""

_USES: Final = ("feature/summary", "feature/search", "train/summary", "train/search")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingLink:
    """One meeting in the list."""

    name: str
    href: str
    began_us: int
    lasted: str
    speakers: str
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
    meetings: Cut[MeetingLink]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One line of the transcript.

    Attributes:
        anchor: Its id on the page.
        clock: When it was said.
        seconds: Likewise, for machines.
        speaker: Who said it.
        text: What was said.
        is_own: Whether the visitor said it.
        listen: Where its sound can be heard; empty where that is not kept.
        sound: Its sound, where the visitor listens to this line.
        naming: The form that says who speaks, where no track tells.
    """

    anchor: str
    clock: str
    seconds: str
    speaker: str
    text: str
    is_own: bool
    listen: str
    sound: str
    naming: Naming | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Something that was said, and its place in the transcript.

    Attributes:
        text: Without its stumbles.
        speaker: Who said it.
        clock: At which second, as hours, minutes and seconds.
        href: The line of the transcript.
        about: What it means, such as who does it by when; may be empty.
        verbatim: Word for word; empty where `text` is that.
        before: What was said before, where the quote goes on from it; may be empty.
        before_by: Who said that.
    """

    text: str
    speaker: str
    clock: str
    href: str
    about: str = ""
    verbatim: str = ""
    before: str = ""
    before_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteSection:
    """Quotes of one sort; `none` is shown where there are none."""

    name: str
    title: str
    quotes: Cut[Quote]
    none: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProseSentence:
    """A sentence that a model wrote, with the quotes it cites; `unsupported` says why not to rely on it, if so."""

    text: str
    cites: tuple[Quote, ...]
    unsupported: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLink:
    """A time mark: words that stand out in what was said from then on, when that is, and where it is on the page."""

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
        zone: The time zone in which days of tasks are told; empty where no task has a day.
        topics: Time marks, in the order of the meeting.
        note: A note on the summary; may be empty.
        can_tell: Whether a language model can write it as prose.
        prose: The prose, once it was asked for.
        prose_note: Who wrote it, or why there is none.
        turns: The transcript.
        detail: What of the meeting is shown.
        recording: What there is to know of its recording; empty where there was none.
        speakers: Where many of its lines are named at once; empty where none is left, or the visitor was not there.
        search: Where a search within it is sent.
        name: Its name, as that search sends it.
        action: Where this page's form is sent.
        sharing: Who can open it.
        excluding: What the visitor has left out of it; none where nothing in it is theirs.
        collected: Where the proof of what was recorded about the visitor is to be had; empty if they were
            not there, or it was recorded before the ledger kept what proves it.
    """

    title: str
    lead: str
    ai_is_on: bool
    is_left_out: bool
    uses: tuple[UseState, ...]
    off: FeatureOff | None
    sections: tuple[QuoteSection, ...]
    zone: str
    topics: tuple[TopicLink, ...]
    note: str
    can_tell: bool
    prose: tuple[ProseSentence, ...]
    prose_note: str
    turns: Cut[Turn]
    detail: str
    recording: str
    speakers: str
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
        meetings=cut(visit, found, of="meeting", find=_findable).each(_link),
    )


def _findable(meeting: Conversation) -> str:
    return "\n".join([meeting.name, *meeting.speakers])


def _link(meeting: Conversation) -> MeetingLink:
    return MeetingLink(
        name=meeting.name,
        href=address(meeting.name),
        began_us=meeting.began_us,
        lasted=clock((meeting.last_us - meeting.began_us) // 1000),
        speakers=_who(meeting.speakers, _NAMED),
        lines=len(meeting.lines),
        was_there=meeting.was_there,
    )


def _who(speakers: Sequence[str], most: int) -> str:
    """Say who spoke; of whom nobody knows who they are nothing is said where others are named."""
    return words.first_of([name for name in speakers if name], most) or NOBODY_KNOWS


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
    named = "" if place is None else quote(place, safe="")
    return f"{PATH}/{quote(meeting, safe='')}" + (f"?{_PLACE}={named}#t-{named}" if named else "")


def listen_address(meeting: str, place: str) -> str:
    """Return where a turn is on its meeting's page, with the player at its second."""
    return address(meeting, place).replace("#", f"&{_LISTEN}=yes#", 1)


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
    lines = cut(visit, meeting.lines, of="line", size=_TURNS, place=(_PLACE, lambda line: line.place))
    leads_to = _ways(meeting, [line.place for line in lines])
    summary, minutes, prose, is_off = _summed_up(visit, person, meeting, tell=tell)
    if summary is not None and minutes is not None:
        _note_reading(visit, person, meeting, summary, minutes)
    general = uses(visit, _USES, _CATEGORY)
    shown = uses(visit, _USES, _CATEGORY, conversation=name)
    return MeetingPage(
        title=name,
        lead=f"{words.moment(meeting.began_us)}. {_who(meeting.speakers, _NAMED_IN_LEAD)} spoke.",
        ai_is_on=any(use.state.is_on for use in general),
        is_left_out=any(use.state.is_on for use in general) and not any(use.state.is_on for use in shown),
        uses=shown,
        off=is_off,
        sections=() if summary is None or minutes is None else _sections(visit, summary, minutes, leads_to),
        zone=zone_of(visit)[0] if minutes is not None and any(task.due_date for task in minutes.actions) else "",
        topics=_topics(summary, leads_to),
        note=" ".join(one for one in (summary and summary.note, minutes and minutes.taught) if one),
        can_tell=summary is not None and visit.workspace.features.endpoint() is not None,
        prose=() if prose is None or summary is None else _sentences(prose, summary.moments, leads_to),
        prose_note="" if prose is None else prose.note,
        turns=lines.each(partial(_turn, visit, meeting)),
        detail=_details(meeting),
        recording=what_is_kept(meeting),
        speakers=f"/speakers/{quote(name, safe='')}"
        if meeting.was_there and any(map(is_unnamed, meeting.lines))
        else "",
        search="/search",
        name=name,
        action=address(name),
        sharing=sharing_of(visit, ConversationKind.MEETING, name),
        excluding=excluding_of(visit, ConversationKind.MEETING, name, _USES) if meeting.was_there else None,
        collected=_proof_of(visit, name) if meeting.was_there else "",
    )


def _proof_of(visit: Visit, name: str) -> str:
    """Return where the proof of what was recorded of a meeting is to be had; empty where there is none."""
    party, _ = party_of(visit)
    is_there = visit.workspace.proofs.can_prove_collected(party.removeprefix("person:"), conversation=name)
    return f"/holdings/collected?{urlencode({'conversation': name})}" if is_there else ""


def _turn(visit: Visit, meeting: Conversation, line: ConversationLine) -> Turn:
    sound = sound_address(line)
    listens = _LISTEN in visit.query and visit.query.get(_PLACE) == line.place
    return Turn(
        anchor=f"t-{line.place}",
        clock=clock(line.start_ms or 0),
        seconds=f"PT{(line.start_ms or 0) // 1000}S",
        speaker=line.speaker or NOBODY_KNOWS,
        text=line.text,
        is_own=line.is_own,
        listen="" if listens or not sound else listen_address(meeting.name, line.place),
        sound=sound if listens else "",
        naming=naming_of(visit, meeting, line),
    )


def _ways(meeting: Conversation, shown: Iterable[str]) -> LeadsTo:
    """Return what says where a turn is: on this page where it is shown, and else on the page that shows it."""
    here = set(shown)

    def leads_to(turn: object) -> str:
        return f"#t-{turn}" if str(turn) in here else address(meeting.name, str(turn))

    return leads_to


def _summed_up(
    visit: Visit, person: str, meeting: Conversation, *, tell: bool
) -> tuple[Summary | None, Minutes | None, Prose | None, FeatureOff | None]:
    workspace, name = visit.workspace, meeting.name
    try:
        summary = workspace.features.summarize(name, person=person)
        prose = workspace.features.prose(summary, person=person) if tell else None
        return summary, workspace.features.minutes(name, person=person, zone=zone_of(visit)[1]), prose, None
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


def _note_reading(visit: Visit, person: str, meeting: Conversation, summary: Summary, minutes: Minutes) -> None:
    """Record that somebody read the summary, so that what it saves can be measured."""
    shown = [*summary.moments, *minutes.decisions, *(task.moment for task in minutes.actions), *minutes.questions]
    visit.workspace.features.note_summary(
        [line.text for line in meeting.lines],
        dict.fromkeys(moment.quote for moment in shown),
        tasks=len(minutes.actions),
        person=person,
    )


def _details(meeting: Conversation) -> str:
    if meeting.was_there:
        return "You were in this meeting, so you can read all of it, whichever switches are on."
    return "You were not in this meeting; it was opened to you. You see what search and summaries may show you of it."


def _topics(summary: Summary | None, leads_to: LeadsTo) -> tuple[TopicLink, ...]:
    """Return what a meeting was about; a stretch without a distinctive word is left out."""
    topics = () if summary is None else summary.topics
    return tuple(
        TopicLink(name=words.listed(topic.words), clock=clock(topic.start_ms), href=leads_to(topic.turn))
        for topic in topics
        if topic.words
    )


def _sections(visit: Visit, summary: Summary, minutes: Minutes, leads_to: LeadsTo) -> tuple[QuoteSection, ...]:
    def section(name: str, title: str, moments: Sequence[tuple[Moment, str]], none: str) -> QuoteSection:
        part = cut(visit, moments, of="quote", size=_QUOTES, name=name)
        return QuoteSection(
            name=name, title=title, quotes=part.each(lambda one: _quote(one[0], leads_to, one[1])), none=none
        )

    def plain(moments: Sequence[Moment]) -> list[tuple[Moment, str]]:
        return [(moment, "") for moment in moments]

    return (
        section("moments", "Key moments", plain(summary.moments), "No moment stands out."),
        section(
            "decisions",
            "Decisions",
            plain(minutes.decisions),
            _none_found("decisions", minutes),
        ),
        section(
            "actions",
            "Action items",
            [(action.moment, _task(action)) for action in minutes.actions],
            _none_found("tasks", minutes),
        ),
        section(
            "questions",
            "Open questions",
            plain(minutes.questions),
            _none_found("open questions", minutes),
        ),
    )


def _none_found(what: str, minutes: Minutes) -> str:
    """Say why a section of the minutes is empty."""
    if minutes.language is None:
        return f"{what.capitalize()} are looked for in {_LANGUAGES} only, and this meeting is in another language."
    return f"We looked for {what} in {minutes.language}, and found none that was said outright."


def _quote(moment: Moment, leads_to: LeadsTo, about: str = "") -> Quote:
    text = shown(moment.quote)
    return Quote(
        text=text,
        speaker=moment.speaker or NOBODY_KNOWS,
        clock=clock(moment.start_ms),
        href=leads_to(moment.turn),
        about=about,
        verbatim="" if text == moment.quote else moment.quote,
        before="" if moment.before is None else shown(moment.before.quote),
        before_by="" if moment.before is None else moment.before.speaker or NOBODY_KNOWS,
    )


def _task(action: Action) -> str:
    due = ""
    if action.due is not None:
        due = f", {action.due}" if action.due_date is None else f", {action.due} ({action.due_date})"
    return f"{action.who or 'Nobody yet'}{due}"


def _sentences(prose: Prose, moments: Sequence[Moment], leads_to: LeadsTo) -> tuple[ProseSentence, ...]:
    return tuple(
        ProseSentence(
            text=one.text,
            cites=tuple(_quote(moments[number - 1], leads_to) for number in one.cites),
            unsupported=one.unsupported,
        )
        for one in prose.sentences
    )
