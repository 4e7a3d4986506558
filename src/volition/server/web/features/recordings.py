"""The sound of a meeting that was kept, played from where something was said; and who speaks where no track tells.

Whoever was in a meeting may say who speaks in a line of a mixed track. From then on that person's answers count for it.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from volition.features.conversations import Conversation, ConversationLine
from volition.server.auth import Role
from volition.server.web.features.switches import member
from volition.server.web.page import Notice, Pages, Playback, Redirect, Visit

pages = Pages()
PATH: Final = "/recordings"
MEDIA_TYPE: Final = "audio/mpeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerOption:
    """Somebody who may be the speaker: how the form sends them, and what they are called."""

    value: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The form that says who speaks in a line.

    Attributes:
        action: Where it is sent.
        options: Who was there.
        is_named: Whether somebody has said so before, and this corrects it.
    """

    action: str
    options: tuple[SpeakerOption, ...]
    is_named: bool


@pages.get(f"{PATH}/{{record}}", roles=[Role.PERSON])
def listen(visit: Visit) -> Playback:
    """Play a piece of a recording, or the range of it that the browser asks for."""
    person, _ = member(visit)
    return Playback(data=visit.workspace.recordings.sound(visit.path["record"], person=person), media_type=MEDIA_TYPE)


@pages.post(f"{PATH}/{{record}}/speaker", roles=[Role.PERSON])
def say_who_speaks(visit: Visit) -> Redirect:
    """Say who speaks in a line of a recording."""
    person, _ = member(visit)
    record, speaker = visit.path["record"], visit.form.get("speaker", "")
    visit.workspace.recordings.name([record], speaker=speaker, by=person)
    named = visit.workspace.parties.person_by_pseudonym(speaker)
    name = "They" if named is None else named.name or named.id
    text = f"{name} speaks there, you said. From now on their answers count for what is said in that line."
    place = f"#{visit.form['anchor']}" if visit.form.get("anchor", "").startswith("t-") else ""
    return Redirect(to=f"/meetings/{quote(visit.form.get('meeting', ''), safe='')}{place}", notice=Notice(text=text))


def sound_address(line: ConversationLine) -> str:
    """Return where the sound of a line is played from, from its first second on; empty where it was not kept."""
    return "" if line.sound is None else f"{PATH}/{line.sound.record}#t={line.sound.start_s:.1f}"


def naming_of(visit: Visit, meeting: Conversation, line: ConversationLine) -> Naming | None:
    """Return the form for a line of which no track tells who speaks; none for others, and for whoever was not there."""
    if not (meeting.was_there and (is_unnamed(line) or (line.is_recorded and line.is_named))):
        return None
    options = speaker_options(visit, line)
    return Naming(action=f"{PATH}/{line.record_id}/speaker", options=options, is_named=line.is_named)


def is_unnamed(line: ConversationLine) -> bool:
    """Return whether a line was recorded, and neither a track nor a person says who speaks."""
    return line.is_recorded and not line.speaker


def speaker_options(visit: Visit, line: ConversationLine) -> tuple[SpeakerOption, ...]:
    """Return who may be the speaker of a line: everyone who was there."""
    people = {one: visit.workspace.parties.person_by_pseudonym(one) for one in line.members}
    return tuple(
        SpeakerOption(value=pseudonym, name=person.name or person.id)
        for pseudonym, person in people.items()
        if person is not None
    )


def what_is_kept(meeting: Conversation) -> str:
    """Say that a meeting was written down from a recording, and whether its sound is kept; empty where it was not."""
    recorded = [line for line in meeting.lines if line.is_recorded]
    if not recorded:
        return ""
    kept = sum(line.sound is not None for line in recorded)
    if not kept:
        return "A machine wrote this down from a recording, and may have misheard. The recording is not kept here."
    what = "The recording is kept" if kept == len(recorded) else "A part of the recording is kept"
    return f"A machine wrote this down from a recording, and may have misheard. {what}: listen to a line to check it."
