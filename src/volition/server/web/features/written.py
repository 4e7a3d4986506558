"""Summaries written by a language model: the list, and a page for each meeting: have it written, correct it, send it.

- While it is written the page shows what is done so far, each sentence checked; without JavaScript it says to reload.
- Each sentence has the seconds that it rests on. The page says how many were left out, and which host was sent what.
- Nobody receives a summary until its owner sends it, unless their account chose that everyone who was there does.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from volition.errors import InvalidInputError, RefusedError
from volition.features.conversations import Conversation, ConversationKind
from volition.features.written.claims import Claim, ClaimKind, Place, WritingState, WrittenSummary
from volition.features.written.corrections import correction
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.features.meetings import address as meeting_address
from volition.server.web.features.meetings import clock, listen_address
from volition.server.web.features.switches import FeatureOff, member, off
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Nav, Notice, Pages, Redirect, Visit
from volition.server.work import is_being_written, start_summary
from volition.workspace.summaries import ReadSummary

pages = Pages()
PATH: Final = "/summaries"
PARTS: Final = "/summary-parts"
CHOICE: Final = "/account/summaries"
_CATEGORY: Final = "content/transcript"
_WORKS: Final = "Meetings and their transcripts are still there for those who were in them."
_SECTIONS: Final[Mapping[ClaimKind, str]] = {
    ClaimKind.TOPIC: "Topics",
    ClaimKind.DECISION: "Decisions",
    ClaimKind.TASK: "Tasks",
    ClaimKind.QUESTION: "Open questions",
}
_ADDED: Final[Mapping[ClaimKind, str]] = {
    ClaimKind.OVERVIEW: "the overview",
    ClaimKind.TOPIC: "the topics",
    ClaimKind.DECISION: "the decisions",
    ClaimKind.TASK: "the tasks",
    ClaimKind.QUESTION: "the open questions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLink:
    """One summary in the list: of which meeting, whose, and how far it is."""

    name: str
    href: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SummariesPage:
    """The summaries that the visitor may read; `off` says why there is none, where the feature is off."""

    title: str
    lead: str
    summaries: Cut[SummaryLink]
    off: FeatureOff | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cite:
    """Where a line is that a sentence rests on.

    Attributes:
        clock: At which second.
        href: The line in the transcript, with the player where its sound was kept; empty where the visitor may not
            read the transcript.
        listens: Whether the player opens there.
    """

    clock: str
    href: str
    listens: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLine:
    """One sentence, with what may be done to it.

    Attributes:
        id: Its name, as forms send it.
        text: What it says.
        about: Of a task: who and by when; may be empty.
        cites: The lines that it rests on.
        mark: Whose it is, where a person wrote or changed it; else empty.
        is_struck: Whether it is struck out.
    """

    id: str
    text: str
    about: str
    cites: tuple[Cite, ...]
    mark: str
    is_struck: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSection:
    """The claims of a kind."""

    name: str
    title: str
    claims: tuple[ClaimLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryBody:
    """A summary as it is now.

    Attributes:
        title: Whose it is.
        name: An id for it on the page.
        status: How far it is; empty once it is done.
        is_writing: Whether it is being written now.
        done: How many parts are done.
        total: Of how many; 0 if that is not known.
        again: What a button to have it written (again) says; empty for none.
        overview: Its sentences.
        sections: The claims of the other kinds that it has.
        notes: What was left out, what is withheld, what was sent to whom: a sentence each.
        can_correct: Whether the visitor may change and send it.
        kinds: To what a sentence can be added, by what a form sends.
        receivers: To whom it was sent, by id and name.
        action: Where its forms are sent.
        refresh: Where it is fetched again while it is being written; empty otherwise.
    """

    title: str
    name: str
    status: str
    is_writing: bool
    done: int
    total: int
    again: str
    overview: tuple[ClaimLine, ...]
    sections: tuple[ClaimSection, ...]
    notes: tuple[str, ...]
    can_correct: bool
    kinds: tuple[tuple[str, str], ...]
    receivers: tuple[tuple[str, str], ...]
    action: str
    refresh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryPart:
    """The visitor's own summary as it is now, without the page around it."""

    title: str
    body: SummaryBody


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPage:
    """The summaries of one meeting that the visitor may read.

    Attributes:
        title: The meeting.
        lead: What this is.
        off: Why there is none, where the feature is off.
        bodies: Their own first.
        ask: What would leave for which host, where they may have one written and have none; else empty.
        action: Where that is asked for.
        meeting: The meeting's page; empty where they may not read it.
        default: Who receives a summary that nobody sent, in a sentence.
    """

    title: str
    lead: str
    off: FeatureOff | None
    bodies: tuple[SummaryBody, ...]
    ask: str
    action: str
    meeting: str
    default: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoicePage:
    """Who receives summaries of an account's meetings that nobody sent."""

    title: str
    lead: str
    action: str
    to_all: bool


@pages.get(PATH, roles=[Role.PERSON], template="summaries.html", nav=Nav(label="Summaries", place=315))
def list_summaries(visit: Visit) -> SummariesPage:
    """List the written summaries that the visitor may read."""
    person, _ = member(visit)
    is_off = None
    found: Sequence[ReadSummary] = ()
    try:
        found = visit.workspace.summaries.of(person)
    except RefusedError:
        is_off = off(visit, "feature/summary", _CATEGORY, works=_WORKS)
    return SummariesPage(
        title="Written summaries",
        lead="Those you had written, and those that you received. A language model wrote them; each sentence was "
        "checked against the transcript.",
        summaries=cut(visit, found, of="summary", find=lambda one: one.meeting).each(_link),
        off=is_off,
    )


@pages.get(f"{PATH}/{{meeting:path}}", roles=[Role.PERSON], template="written.html")
def show(visit: Visit) -> WrittenPage:
    """Show the written summaries of a meeting."""
    _, account = member(visit)
    name = visit.path["meeting"]
    readable = _readable(visit, name)
    can_read = readable is not None
    is_off = None
    bodies: tuple[SummaryBody, ...] = ()
    try:
        bodies = _bodies(visit, name, readable)
    except RefusedError:
        is_off = off(visit, "feature/summary", _CATEGORY, works=_WORKS, conversation=name if can_read else "")
    if not bodies and not can_read:
        raise InvalidInputError(f"There is no summary of {name!r} that you may read. Yours are listed on {PATH}.")
    has_own = any(one.name == "own" for one in bodies)
    return WrittenPage(
        title=name,
        lead="Summaries that a language model wrote of this meeting. Each sentence was checked against the lines "
        "behind its times: names, numbers, dates and words, not meaning.",
        off=is_off,
        bodies=bodies,
        ask="" if is_off or has_own or not can_read else _ask(visit),
        action=address(name),
        meeting=meeting_address(name) if can_read else "",
        default=_default(visit, account),
    )


@pages.post(f"{PARTS}/{{meeting:path}}", roles=[Role.PERSON], template="written-part.html", is_part=True)
def show_part(visit: Visit) -> SummaryPart:
    """Show the visitor's own summary of a meeting as it is now, to be put into the page that is open."""
    name = visit.path["meeting"]
    readable = _readable(visit, name)
    bodies: Sequence[SummaryBody] = ()
    with suppress(RefusedError):  # whether the feature is off is said on the whole page
        bodies = [one for one in _bodies(visit, name, readable) if one.name == "own"]
    if not bodies:
        raise InvalidInputError(f"You have no written summary of {name!r}.")
    return SummaryPart(title=name, body=bodies[0])


@pages.post(f"{PATH}/{{meeting:path}}", roles=[Role.PERSON])
def change(visit: Visit) -> Redirect:
    """Have a summary written, change it, or send it; what is to be done is in the form."""
    person, _ = member(visit)
    name, act = visit.path["meeting"], visit.form.get("do", "")
    if act == "write":
        asked = visit.workspace.summaries.ask(name, person=person)
        start_summary(visit.jobs, asked, by=visit.who.acts_as)
        text = "The summary is being written. What is done so far is on this page."
    elif act in {"send", "take back"}:
        text = _sent(visit, name, person, act)
    else:
        visit.workspace.summaries.correct(name, _correction(visit, act), person=person)
        text = "The summary is changed. Those to whom you sent it read it as it is now."
    return Redirect(to=address(name), notice=Notice(text=text))


@pages.get(CHOICE, roles=[Role.ADMINISTRATOR], template="summaries-choice.html", nav=Nav(label="Summaries", place=16))
def show_choice(visit: Visit) -> ChoicePage:
    """Show who receives a summary that nobody sent."""
    account = _account(visit)
    return ChoicePage(
        title="Who receives summaries",
        lead=f"Of meetings of {visit.workspace.parties.account(account).name}, when a language model wrote a summary.",
        action=CHOICE,
        to_all=visit.workspace.audiences.gives_summaries_to_all_there(account),
    )


@pages.post(CHOICE, roles=[Role.ADMINISTRATOR])
def choose(visit: Visit) -> Redirect:
    """Choose who receives a summary that nobody sent."""
    choice = visit.form.get("receives")
    if choice not in {"nobody", "all there"}:
        raise InvalidInputError("Choose nobody, or everyone who was there. Reload the page and try again.")
    entry = visit.workspace.audiences.give_summaries_to_all_there(_account(visit), given=choice == "all there")
    text = "Nothing was changed: it was so already."
    if entry is not None:
        text = f"This holds for every summary from now on. It is recorded as entry {entry.seq:,} of the ledger."
    return Redirect(to=CHOICE, notice=Notice(text=text))


def address(meeting: str) -> str:
    """Return where the summaries of a meeting are."""
    return f"{PATH}/{quote(meeting, safe='')}"


def _account(visit: Visit) -> str:
    if visit.who.account is None:
        raise InvalidInputError("You administer no account here.")
    return visit.who.account


def _link(one: ReadSummary) -> SummaryLink:
    whose = "Yours" if one.is_own else f"Written for {one.owner.name}"
    return SummaryLink(
        name=one.meeting,
        href=address(one.meeting),
        detail=f"{whose}, asked for on {words.moment(one.summary.asked_us)}{_STATE[one.summary.state]}",
    )


_STATE: Final[Mapping[WritingState, str]] = {
    WritingState.DONE: "",
    WritingState.WRITING: "; not finished yet",
    WritingState.FAILED: "; it could not be finished",
}


def _ask(visit: Visit) -> str:
    endpoint = visit.workspace.features.endpoint()
    if endpoint is None:
        return ""
    return (
        f"For this, the lines of the transcript that may be used are sent to {endpoint.model} at {endpoint.host}, with "
        "their speakers' names. Everyone whose words are sent sees that under “Who looked”."
    )


def _default(visit: Visit, account: str) -> str:
    name = visit.workspace.parties.account(account).name
    if visit.workspace.audiences.gives_summaries_to_all_there(account):
        return f"{name} chose that everyone who was in a meeting receives its summaries."
    return "Nobody receives a summary until whoever had it written sends it."


def _readable(visit: Visit, name: str) -> Conversation | None:
    """Return a meeting as far as the visitor may read it; none where they may not."""
    person, _ = member(visit)
    found = visit.workspace.features.conversations(ConversationKind.MEETING, person=person, name=name)
    return found[0] if found else None


def _bodies(visit: Visit, name: str, readable: Conversation | None) -> tuple[SummaryBody, ...]:
    person, _ = member(visit)
    found = visit.workspace.summaries.of(person, meeting=name)
    has_endpoint = visit.workspace.features.endpoint() is not None
    cite = _citing(readable)
    is_running = any(one.is_own for one in found) and _is_running(visit, name, person)
    return tuple(
        _body(one, place, cite, is_running=is_running, has_endpoint=has_endpoint) for place, one in enumerate(found)
    )


def _is_running(visit: Visit, name: str, person: str) -> bool:
    return is_being_written(visit.jobs, visit.workspace.summaries.asked(name, person=person))


def _body(
    one: ReadSummary,
    place: int,
    cite: Callable[[Place], Cite],
    *,
    is_running: bool,
    has_endpoint: bool,
) -> SummaryBody:
    now = one.summary
    is_done = now.state is WritingState.DONE
    is_writing = one.is_own and not is_done and is_running
    lines = {kind: tuple(_line(claim, one, cite) for claim in now.claims if claim.kind is kind) for kind in ClaimKind}
    again = ""
    if one.is_own and has_endpoint and not is_writing:
        again = "Go on writing"
        if is_done:
            again = "Write it again, without the corrections" if now.is_corrected else "Write it again"
    return SummaryBody(
        title="Yours" if one.is_own else f"Written for {one.owner.name}",
        name="own" if one.is_own else f"sent-{place}",
        status="" if is_done else _status(now, is_writing=is_writing),
        is_writing=is_writing,
        done=now.parts_done,
        total=now.parts,
        again=again,
        overview=lines[ClaimKind.OVERVIEW],
        sections=tuple(
            ClaimSection(name=kind.value, title=title, claims=lines[kind])
            for kind, title in _SECTIONS.items()
            if lines[kind]
        ),
        notes=tuple(_notes(one)),
        can_correct=one.is_own and is_done,
        kinds=tuple((kind.value, title) for kind, title in _ADDED.items()),
        receivers=tuple((reader.party.removeprefix("person:"), reader.name) for reader in one.receivers),
        action=address(one.meeting),
        refresh=f"{PARTS}/{quote(one.meeting, safe='')}" if is_writing else "",
    )


def _status(now: WrittenSummary, *, is_writing: bool) -> str:
    if now.state is WritingState.FAILED:
        return f"It could not be finished. {now.error} What is done is below."
    if not is_writing:
        return "It was interrupted. What is done is below."
    if not now.parts:
        return "It is queued."
    return f"It is being written: {now.parts_done} of {words.count(now.parts, 'part')} of the transcript done."


def _notes(one: ReadSummary) -> list[str]:
    now = one.summary
    notes = []
    if out := sum(now.left_out.values()):
        why = "; ".join(f"{count} {why}" for why, count in sorted(now.left_out.items(), key=lambda item: -item[1]))
        is_one = out == 1
        notes.append(
            f"{words.count(out, 'sentence')} of the model {'was' if is_one else 'were'} left out, since the lines of "
            f"the transcript do not carry {'it' if is_one else 'them'}: {why}."
        )
    if now.unread:
        notes.append(f"Of {words.count(now.unread, 'part')} of the transcript the model's answer could not be read.")
    if one.withheld:
        notes.append(
            f"{words.count(one.withheld, 'sentence')} not shown: a line behind it may not be used for summaries now."
        )
    if now.lines:
        notes.append(
            f"Written by {now.model} at {now.host}, where {words.count(len(now.lines), 'line')} of the transcript "
            f"{'was' if len(now.lines) == 1 else 'were'} sent with the speakers' names."
        )
    return notes


def _citing(readable: Conversation | None) -> Callable[[Place], Cite]:
    """Return what says where a line is: played there if its sound was kept, and nowhere if it may not be read."""
    lines = () if readable is None else readable.lines
    heard = {line.record_id for line in lines if line.sound is not None}

    def cite(place: Place) -> Cite:
        listens, href = place.record_id in heard, ""
        if readable is not None:
            href = (listen_address if listens else meeting_address)(readable.name, str(place.turn))
        return Cite(clock=clock(place.start_ms), href=href, listens=listens)

    return cite


def _line(claim: Claim, one: ReadSummary, cite: Callable[[Place], Cite]) -> ClaimLine:
    return ClaimLine(
        id=claim.id,
        text=claim.text,
        about=", ".join(filter(None, (claim.who, claim.due))),
        cites=tuple(map(cite, claim.places)),
        mark=f"in the words of {one.owner.name}" if claim.by_person else "",
        is_struck=claim.is_struck,
    )


def _correction(visit: Visit, act: str) -> Callable[[WrittenSummary], WrittenSummary]:
    told = {name: visit.form.get(name, "") for name in ("claim", "text", "kind")}
    return correction(act, claim=told["claim"], text=told["text"], kind=told["kind"])


def _sent(visit: Visit, name: str, person: str, act: str) -> str:
    people = [line.strip() for line in visit.form.get("people", "").splitlines() if line.strip()]
    summaries = visit.workspace.summaries
    move = summaries.send if act == "send" else summaries.take_back
    entry = move(name, person=person, to=people)
    if entry is None:
        return "Nothing was changed: it was so already."
    did = "sent to" if act == "send" else "taken back from"
    return f"The summary is {did} {words.listed(people)}. It is recorded as entry {entry.seq:,} of the ledger."
