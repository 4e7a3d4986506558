"""Chat with the composer: conversations to read, and a place to write with completions, edits, drafts and tone.

- What is sent is collected as chat from anywhere else is; nothing is sent but by the button that says so.
- The composer looks at what is typed only where the gate lets it, and keeps nothing of it.
- Completions come while typing. Without JavaScript, or by choice, a button asks for them; every suggestion is a button,
  so nobody needs a particular key.
- With the composer off the box is there all the same: what is written in it stays with whoever writes.
"""

import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from volition.errors import BackendError, InvalidInputError, RefusedError
from volition.features.conversations import Conversation, ConversationKind, ConversationLine
from volition.features.drafts import TONES
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.features.switches import Off, Use, member, off, uses
from volition.server.web.page import Nav, Notice, Pages, Redirect, Visit

pages = Pages()
PATH: Final = "/chat"
_CATEGORY: Final = "content/chat"
_USES: Final = ("feature/compose", "feature/search", "train/compose")
_LATEST: Final = 60  # messages shown

_EDITS: Final = {"shorten": "Shorten", "tidy": "Tidy up"}
_TONES: Final = {
    "shorter": "Shorter",
    "longer": "Longer",
    "friendlier": "Friendlier",
    "formal": "More formal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One conversation in the list."""

    name: str
    href: str
    last_us: int
    lines: int
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; `anchor` is its id on the page."""

    anchor: str
    speaker: str
    at_us: int
    text: str
    is_own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A way to go on, or a whole reply.

    Attributes:
        text: What it says, as shown.
        becomes: What stands in the box once it is taken.
        told: How many colleagues wrote it.
    """

    text: str
    becomes: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One button of the rewrite menu: what is sent, and what it says."""

    name: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """Suggestions alone, as they are put under the box while somebody types.

    Attributes:
        title: What they are.
        suggestions: The best first.
        off: Whether the composer is off.
    """

    title: str
    suggestions: tuple[Suggestion, ...]
    off: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPage:
    """Conversations, one of them open, and the composer.

    Attributes:
        title: The page's heading.
        lead: What can be done here.
        channels: The conversations, the latest first.
        channel: The one that is open; empty for none.
        messages: Its latest messages.
        earlier: How many earlier ones are not shown.
        reply_to: The time stamp of the message to which replies can be suggested; empty for none.
        off: Why there is no composer; none where there is one.
        uses: How the visitor's messages stand.
        action: Where the form is sent.
        completing: Where what is typed is sent for completions.
        text: What stands in the box.
        form: Names this form, so that sending it twice sends once; empty where nothing can be sent.
        suggestions: Ways to go on, once asked for.
        told: What became of what was asked; empty before.
        edits: Ways to rewrite by rule.
        tones: Ways to rewrite by a language model; none where none is configured.
    """

    title: str
    lead: str
    channels: tuple[Listed, ...]
    channel: str
    messages: tuple[Message, ...]
    earlier: int
    reply_to: str
    off: Off | None
    uses: tuple[Use, ...]
    action: str
    completing: str
    text: str
    form: str
    suggestions: tuple[Suggestion, ...]
    told: str
    edits: tuple[Way, ...]
    tones: tuple[Way, ...]


@pages.get(PATH, roles=[Role.PERSON], template="chat.html", nav=Nav(label="Chat", place=320, for_guests=False))
def list_chats(visit: Visit) -> ChatPage:
    """List the conversations, and offer the composer."""
    return _page(visit)


@pages.post(PATH, roles=[Role.PERSON], template="chat.html")
def compose(visit: Visit) -> ChatPage:
    """Suggest, complete or rewrite what stands in the box."""
    return _composed(visit)


@pages.post(f"{PATH}/completions", roles=[Role.PERSON], template="completions.html")
def complete(visit: Visit) -> Suggestions:
    """Suggest how a message goes on, while it is typed."""
    person, _ = member(visit)
    try:
        found, is_off = _completions(visit, person, visit.form.get("text", "")), False
    except RefusedError:
        found, is_off = (), True
    return Suggestions(title="Suggestions", suggestions=found, off=is_off)


@pages.get(f"{PATH}/{{channel:path}}", roles=[Role.PERSON], template="chat.html")
def show_chat(visit: Visit) -> ChatPage:
    """Show a conversation with the composer."""
    return _page(visit)


@pages.post(f"{PATH}/{{channel:path}}", roles=[Role.PERSON], template="chat.html")
def compose_in_chat(visit: Visit) -> ChatPage | Redirect:
    """Send what stands in the box to a conversation, or suggest, complete or rewrite it."""
    return _sent(visit) if visit.form.get("do") == "send" else _composed(visit)


def address(channel: str, place: str | None = None) -> str:
    """Return where a conversation is, or one message of it."""
    return f"{PATH}/{quote(channel, safe='')}" + ("" if place is None else f"#m-{quote(place, safe='')}")


def _sent(visit: Visit) -> ChatPage | Redirect:
    """Send what stands in the box; what was not kept stays in it, and the page says why."""
    person, account = member(visit)
    text, channel = visit.form.get("text", ""), visit.path["channel"]
    try:
        sent = visit.workspace.features.send(text, channel=channel, person=person, form=visit.form.get("once", ""))
    except InvalidInputError as error:
        return _page(visit, text=text, told=f"It was not sent. {error}")
    if sent.rejected:
        return _page(visit, text=text, told=f"It was not sent. {sent.rejected[0].why}")
    if sent.not_kept:
        why = words.REASON_BY_NAME[next(iter(sent.not_kept))]
        told = f"It was not sent: {why}, and what may be used for nothing is not kept. Your text is as you wrote it."
        return _page(visit, text=text, told=told)
    organisation = visit.workspace.parties.account(account).name
    told = f"Sent. It is kept as chat of {organisation}, and used only where the switches allow it."
    return Redirect(
        to=f"{address(channel)}#compose",
        notice=Notice(text=told if sent.stored else "This was sent already, so it was not sent again."),
    )


def _composed(visit: Visit) -> ChatPage:
    text, asked = visit.form.get("text", ""), visit.form.get("do", "suggest")
    if "take" in visit.form:
        return _page(visit, text=visit.form["take"])
    try:
        text, suggestions, told = _done(visit, asked, text)
    except RefusedError as error:
        is_told = asked.startswith(("tone", "draft", "reply"))  # of the others the page says that they are off
        suggestions, told = (), f"{error} Your text is as you wrote it." if is_told else ""
    except (BackendError, InvalidInputError) as error:
        suggestions, told = (), f"{error} Your text is as you wrote it."
    return _page(visit, text=text, suggestions=suggestions, told=told)


def _done(visit: Visit, asked: str, text: str) -> tuple[str, tuple[Suggestion, ...], str]:
    """Do what a button asks for; return what stands in the box then, suggestions, and what became of it."""
    person, _ = member(visit)
    match asked.partition(":"):
        case "suggest", _, _:
            found = _completions(visit, person, text)
            return text, found, "" if found else "Nothing to suggest here. Write on, and ask again."
        case "reply", _, ts:
            replies = visit.workspace.features.replies(visit.path.get("channel", ""), ts, person=person)
            found = tuple(Suggestion(text=one.text, becomes=one.text, told=_written_by(one.people)) for one in replies)
            return text, found, "" if found else "No reply to suggest: nobody answered such a message alike."
        case "edit", _, how:
            edited = visit.workspace.features.edit(text, person=person, how=how)
            return (
                edited,
                (),
                "There was nothing to change." if edited == text else "Edited by rule; no word was added.",
            )
        case "tone", _, tone:
            written = visit.workspace.features.rewrite(text, person=person, tone=tone)
            return written.text, (), written.note
        case "draft", _, _:
            written = visit.workspace.features.draft(text, person=person)
            return written.text, (), written.note
        case _:
            raise InvalidInputError("The composer cannot do that. Open the page anew.")


def _page(visit: Visit, *, text: str = "", suggestions: tuple[Suggestion, ...] = (), told: str = "") -> ChatPage:
    person, _ = member(visit)
    workspace, channel = visit.workspace, visit.path.get("channel", "")
    found = workspace.features.conversations(ConversationKind.CHANNEL, person=person)
    here = next((one for one in found if one.name == channel), None)
    is_off = None
    try:
        workspace.features.complete("", person=person)
    except RefusedError:
        works = "You can write here all the same; nothing looks at it."
        is_off = off(visit, "feature/compose", _CATEGORY, works=works)
    has_model = is_off is None and workspace.features.endpoint() is not None
    latest = () if here is None else here.lines[-_LATEST:]
    return ChatPage(
        title=f"Chat: {channel}" if channel else "Chat",
        lead="Read your conversations, and write in them. The composer suggests; nothing is sent before you send it.",
        channels=tuple(_listed(one, channel) for one in found),
        channel=channel,
        messages=tuple(_message(line) for line in latest),
        earlier=0 if here is None else len(here.lines) - len(latest),
        reply_to="" if is_off else next((line.place for line in reversed(latest) if not line.is_own), ""),
        off=is_off,
        uses=uses(visit, _USES, _CATEGORY),
        action=address(channel) if channel else PATH,
        completing=f"{PATH}/completions",
        text=text,
        form="" if here is None else secrets.token_hex(16),
        suggestions=suggestions,
        told=told,
        edits=() if is_off else tuple(Way(name=f"edit:{name}", label=label) for name, label in _EDITS.items()),
        tones=tuple(Way(name=f"tone:{name}", label=_TONES.get(name, name)) for name in TONES) if has_model else (),
    )


def _completions(visit: Visit, person: str, text: str) -> tuple[Suggestion, ...]:
    found = visit.workspace.features.complete(text, person=person)
    return tuple(
        Suggestion(text=one.phrase, becomes=f"{text}{one.insert} ", told=_written_by(one.people)) for one in found
    )


def _written_by(people: int) -> str:
    return f"{people:,} colleagues wrote this"


def _listed(one: Conversation, channel: str) -> Listed:
    return Listed(
        name=one.name, href=address(one.name), last_us=one.last_us, lines=len(one.lines), is_here=one.name == channel
    )


def _message(line: ConversationLine) -> Message:
    return Message(anchor=f"m-{line.place}", speaker=line.speaker, at_us=line.at_us, text=line.text, is_own=line.is_own)
