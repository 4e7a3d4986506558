"""Who speaks in a meeting of which no track tells: many lines named at once, in the order of their voices.

- Lines that were grouped by voice stand together. A group is no name, and may hold several people: nothing is ticked
  before, and only the lines are named that a person ticks.
- What is in doubt is left as it is: nobody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from volition.errors import InvalidInputError
from volition.features.conversations import Conversation, ConversationKind, ConversationLine
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.features.meetings import address, clock, listen_address
from volition.server.web.features.recordings import SpeakerOption, is_unnamed, sound_address, speaker_options
from volition.server.web.features.switches import member
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Notice, Pages, Redirect, Visit

pages = Pages()
PATH: Final = "/speakers"
_LINES: Final = 50  # of a group on one page
_TICKED: Final = "line-"  # a field of the form that is sent for a line which was ticked


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenLine:
    """A line of which nobody knows who speaks.

    Attributes:
        field: Its box in the form.
        clock: When it was said.
        text: What was said.
        href: Where it is in the transcript, with the player at its second where its sound was kept.
    """

    field: str
    clock: str
    text: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceGroup:
    """Lines that sound alike, or those that are like no other.

    Attributes:
        name: Its id on the page.
        title: What it is called.
        lead: How many lines there are, and how long they last together.
        lines: A part of them.
        sound: Its first line that can be heard; empty where none can.
    """

    name: str
    title: str
    lead: str
    lines: Cut[SpokenLine]
    sound: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakersPage:
    """The lines of a meeting of which nobody knows who speaks.

    Attributes:
        title: The page's heading.
        lead: How many lines there are.
        detail: By what they are grouped, and what becomes of that.
        meeting: Where the meeting is.
        action: Where the forms are sent.
        options: Who was there.
        groups: The voices in the order of speaking, then the rest.
    """

    title: str
    lead: str
    detail: str
    meeting: str
    action: str
    options: tuple[SpeakerOption, ...]
    groups: tuple[VoiceGroup, ...]


@pages.get(f"{PATH}/{{meeting:path}}", roles=[Role.PERSON], template="speakers.html")
def show_speakers(visit: Visit) -> SpeakersPage:
    """Show the lines of which nobody knows who speaks, by voice where they were grouped."""
    person, _ = member(visit)
    meeting = _meeting(visit, person)
    lines = [line for line in meeting.lines if is_unnamed(line)]
    voices = visit.workspace.recordings.voices(meeting.name, person=person)
    groups = _by_voice(lines, voices)
    return SpeakersPage(
        title="Who speaks",
        lead=f"{meeting.name}: {words.count(len(lines), 'line')} of which nobody knows who speaks.",
        detail=_DETAIL if any(number for number in groups) else _WITHOUT,
        meeting=address(meeting.name),
        action=f"{PATH}/{quote(meeting.name, safe='')}",
        options=speaker_options(visit, lines[0]) if lines else (),
        groups=tuple(_group(visit, meeting, number, found) for number, found in groups.items()),
    )


@pages.post(f"{PATH}/{{meeting:path}}", roles=[Role.PERSON])
def name_lines(visit: Visit) -> Redirect:
    """Say who speaks in the lines that were ticked."""
    person, _ = member(visit)
    back = f"{PATH}/{quote(visit.path['meeting'], safe='')}"
    ticked = [name.removeprefix(_TICKED) for name in visit.form if name.startswith(_TICKED)]
    if not ticked:
        return Redirect(to=back, notice=Notice(text="No line was ticked, so nothing was changed."))
    speaker = visit.form.get("speaker", "")
    visit.workspace.recordings.name(ticked, speaker=speaker, by=person)
    named = visit.workspace.parties.person_by_pseudonym(speaker)
    name = "They" if named is None else named.name or named.id
    many = words.count(len(ticked), "line")
    text = f"{name} speaks in {many}, you said. From now on their answers count for what is said there."
    return Redirect(to=back, notice=Notice(text=text))


_DETAIL: Final = (
    "A computer compared how the lines sound. It does not know who anybody is, and a group may hold several people, "
    "or one line two of them: tick only lines in which you know who speaks, by reading or hearing them. "
    "The others stay nobody's. What it measured of the voices was not kept; which lines are alike is kept "
    "until they are named."
)
_WITHOUT: Final = (
    "The lines are not grouped by voice. Tick those in which you know who speaks, by reading or hearing them. "
    "The others stay nobody's."
)


def _meeting(visit: Visit, person: str) -> Conversation:
    name = visit.path["meeting"]
    found = visit.workspace.features.conversations(ConversationKind.MEETING, person=person, name=name)
    if not found or not found[0].was_there:
        raise InvalidInputError(
            f"There is no meeting {name!r} that you were in. Your meetings are listed on /meetings."
        )
    return found[0]


def _by_voice(lines: Sequence[ConversationLine], voices: Mapping[str, int]) -> dict[int, list[ConversationLine]]:
    """Return the lines of each voice that has several left, the voices in their order; then, as 0, the rest."""
    groups: dict[int, list[ConversationLine]] = {}
    for line in lines:
        groups.setdefault(voices.get(line.record_id, 0), []).append(line)
    alone = [number for number, found in groups.items() if len(found) == 1 and number]
    rest = [*groups.pop(0, []), *(line for number in alone for line in groups.pop(number))]
    rest.sort(key=lambda line: line.start_ms or 0)
    return dict(sorted(groups.items())) | ({0: rest} if rest else {})


def _group(visit: Visit, meeting: Conversation, number: int, found: Sequence[ConversationLine]) -> VoiceGroup:
    name = f"voice-{number}" if number else "rest"
    heard = next((line for line in found if line.sound is not None), None)
    return VoiceGroup(
        name=name,
        title=f"Voice {number}" if number else "Like no other, or too short to compare",
        lead=f"{words.count(len(found), 'line')}.",
        lines=cut(visit, found, of="line", size=_LINES, name=name).each(lambda line: _line(meeting, line)),
        sound="" if heard is None else sound_address(heard),
    )


def _line(meeting: Conversation, line: ConversationLine) -> SpokenLine:
    where = address if line.sound is None else listen_address
    return SpokenLine(
        field=f"{_TICKED}{line.record_id}",
        clock=clock(line.start_ms or 0),
        text=line.text,
        href=where(meeting.name, line.place),
    )
