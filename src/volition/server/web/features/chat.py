"""Chat with the composer: conversations to read, and a place to write with completions, edits, drafts and tone.

- What is sent is collected like any other chat; only the button that says so sends anything.
- The composer looks at what is typed only where the gate lets it, and keeps nothing of it.
- Completions come while typing. Without JavaScript, or by choice, a button asks for them; every suggestion is a button,
  so no particular key is needed.
- With the composer off, the box is still there: what is written in it stays with the writer.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from volition.errors import BackendError, InvalidInputError, RefusedError
from volition.features.conversations import Conversation, ConversationKind, ConversationLine
from volition.features.drafts import TONES
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.features.sharing import Sharing, sharing_of
from volition.server.web.features.switches import FeatureOff, UseState, member, off, uses
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Nav, Notice, Pages, Redirect, Visit
from volition.server.web.person.excluding import Excluding, excluding_of

pages = Pages()
PATH: Final = "/chat"
_CATEGORY: Final = "content/chat"
_USES: Final = ("feature/compose", "feature/search", "train/compose")
_MESSAGES: Final = 60  # of a conversation on one page
_LISTED: Final = 40  # conversations on one page
_PLACE: Final = "message"  # the field of an address that says which message is to be on the page

_TYPING: Final = (
    "While you write, the text in the box goes to this server at each pause, for suggestions, and to nobody else; it "
    "is not kept. How many characters of a message came from suggestions is kept with your usage."
)
_COUNT: Final = re.compile("[0-9]{1,6}")
_EDITS: Final = {"shorten": "Shorten", "tidy": "Tidy up"}
_TONES: Final = {
    "shorter": "Shorter",
    "longer": "Longer",
    "friendlier": "Friendlier",
    "formal": "More formal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationLink:
    """One conversation in the list."""

    name: str
    href: str
    last_us: int
    lines: int
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message; `anchor` is its id on the page."""

    anchor: str
    speaker: str
    at_us: int
    text: str
    is_own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposerSuggestion:
    """A continuation, or a whole reply.

    Attributes:
        text: What it says, as shown.
        becomes: The text in the box once it is taken.
        detail: How many colleagues wrote it.
    """

    text: str
    becomes: str
    detail: str


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
    suggestions: tuple[ComposerSuggestion, ...]
    off: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPage:
    """Conversations, one of them open, and the composer.

    Attributes:
        title: The page's heading.
        lead: What can be done here.
        channels: The conversations, the latest first.
        channel: The one that is open; empty for none.
        messages: Its messages, the latest unless others are asked for; in the order in which they were written.
        reply_to: The time stamp of the message to which replies can be suggested; empty for none.
        off: Why there is no composer; none where there is one.
        uses: Whether the visitor's messages are used.
        action: Where the form is sent.
        completing: Where what is typed is sent for completions; empty where no composer is at work, so that nothing is
            sent while somebody types.
        leaves: What leaves the page, and when, while nothing is suggested as somebody types.
        typing: What leaves it while something is; empty where no composer is at work.
        sending: What becomes of a message, and when.
        text: The text in the box.
        form: An idempotency key of this form, so that sending it twice sends once; empty where nothing can be sent.
        suggestions: Continuations or replies, once asked for.
        detail: The outcome of what was asked; empty before.
        edits: Ways to rewrite by rule.
        tones: Ways to rewrite by a language model; none where none is configured.
        sharing: Who can open the conversation; none where none is open.
        excluding: What the visitor has left out of it; none where nothing in it is theirs.
    """

    title: str
    lead: str
    channels: Cut[ConversationLink]
    channel: str
    messages: Cut[ChatMessage]
    reply_to: str
    off: FeatureOff | None
    uses: tuple[UseState, ...]
    action: str
    completing: str
    leaves: str
    typing: str
    sending: str
    text: str
    form: str
    suggestions: tuple[ComposerSuggestion, ...]
    detail: str
    edits: tuple[Way, ...]
    tones: tuple[Way, ...]
    sharing: Sharing | None
    excluding: Excluding | None


@pages.get(PATH, roles=[Role.PERSON], template="chat.html", nav=Nav(label="Chat", place=320))
def list_chats(visit: Visit) -> ChatPage:
    """List the conversations, and offer the composer."""
    return _page(visit)


@pages.post(PATH, roles=[Role.PERSON], template="chat.html", takes_document=True)
def compose(visit: Visit) -> ChatPage:
    """Suggest, complete or rewrite the text in the box."""
    return _composed(visit)


@pages.post(f"{PATH}/completions", roles=[Role.PERSON], template="completions.html", is_part=True)
def complete(visit: Visit) -> Suggestions:
    """Suggest how a message goes on, while it is typed."""
    person, _ = member(visit)
    try:
        found = _completions(visit, person, visit.form.get("text", ""), visit.form.get("channel", ""))
    except RefusedError:
        return Suggestions(title="Suggestions", suggestions=(), off=True)
    return Suggestions(title="Suggestions", suggestions=found, off=False)


@pages.get(f"{PATH}/{{channel:path}}", roles=[Role.PERSON], template="chat.html")
def show_chat(visit: Visit) -> ChatPage:
    """Show a conversation with the composer."""
    return _page(visit)


@pages.post(f"{PATH}/{{channel:path}}", roles=[Role.PERSON], template="chat.html", takes_document=True)
def compose_in_chat(visit: Visit) -> ChatPage | Redirect:
    """Send the text in the box to a conversation, or suggest, complete or rewrite it."""
    return _sent(visit) if visit.form.get("do") == "send" else _composed(visit)


def address(channel: str, place: str | None = None) -> str:
    """Return where a conversation is, or one message of it."""
    named = "" if place is None else quote(place, safe="")
    return f"{PATH}/{quote(channel, safe='')}" + (f"?{_PLACE}={named}#m-{named}" if named else "")


def _sent(visit: Visit) -> ChatPage | Redirect:
    """Send the text in the box; what was not kept stays in it, and the page says why."""
    person, account = member(visit)
    text, channel = visit.form.get("text", ""), visit.path["channel"]
    try:
        sent = visit.workspace.features.send(text, channel=channel, person=person, form=visit.form.get("once", ""))
    except InvalidInputError as error:
        return _page(visit, text=text, detail=f"It was not sent. {error}")
    if sent.rejected:
        return _page(visit, text=text, detail=f"It was not sent. {sent.rejected[0].why}")
    if sent.not_kept:
        why = words.REASON_BY_NAME[next(iter(sent.not_kept))]
        detail = f"It was not sent: {why}, and what may not be used for anything is not kept. Your text is unchanged."
        return _page(visit, text=text, detail=detail)
    if sent.stored:
        _note_typing(visit, person, text)
    organisation = visit.workspace.parties.account(account).name
    detail = f"Sent. It is kept as chat of {organisation}, and used only where the switches allow it."
    return Redirect(
        to=f"{address(channel)}#compose",
        notice=Notice(text=detail if sent.stored else "This message was already sent, so it was not sent again."),
    )


def _note_typing(visit: Visit, person: str, text: str) -> None:
    """Record how much of a message came from suggestions, where the page counted it: so what they save is measured."""
    taken, pressed = visit.form.get("taken", ""), visit.form.get("pressed", "")
    if _COUNT.fullmatch(taken) and _COUNT.fullmatch(pressed):
        visit.workspace.features.note_message(text, taken=int(taken), pressed=int(pressed), person=person)


def _composed(visit: Visit) -> ChatPage:
    text, asked = visit.form.get("text", ""), visit.form.get("do", "suggest")
    if "take" in visit.form:
        return _page(visit, text=visit.form["take"])
    try:
        text, suggestions, detail = _done(visit, asked, text)
    except RefusedError as error:
        is_told = asked.startswith(("tone", "draft", "reply"))  # of the others the page says that they are off
        suggestions, detail = (), f"{error} Your text is unchanged." if is_told else ""
    except (BackendError, InvalidInputError) as error:
        suggestions, detail = (), f"{error} Your text is unchanged."
    return _page(visit, text=text, suggestions=suggestions, detail=detail)


def _done(visit: Visit, asked: str, text: str) -> tuple[str, tuple[ComposerSuggestion, ...], str]:
    """Do what a button asks for; return the text then in the box, suggestions, and the outcome."""
    person, _ = member(visit)
    channel = visit.path.get("channel", "")
    match asked.partition(":"):
        case "suggest", _, _:
            found = _completions(visit, person, text, channel)
            return text, found, "" if found else _nothing_to_suggest(visit)
        case "reply", _, ts:
            replies = visit.workspace.features.replies(channel, ts, person=person)
            found = tuple(
                ComposerSuggestion(text=one.text, becomes=one.text, detail=_written_by(one.people)) for one in replies
            )
            return (
                text,
                found,
                ""
                if found
                else "There is no reply to suggest: too few colleagues have answered such a message in the same way.",
            )
        case "edit", _, how:
            edited = visit.workspace.features.edit(text, person=person, how=how, channel=channel)
            return (
                edited,
                (),
                "There was nothing to change."
                if edited == text
                else "Edited by fixed rules on this server; no language model saw it.",
            )
        case "tone", _, tone:
            written = visit.workspace.features.rewrite(text, person=person, tone=tone, channel=channel)
            return written.text, (), written.note
        case "draft", _, _:
            written = visit.workspace.features.draft(text, person=person, channel=channel)
            return written.text, (), written.note
        case _:
            raise InvalidInputError("The composer cannot do that. Reload the page and try again.")


def _page(
    visit: Visit, *, text: str = "", suggestions: tuple[ComposerSuggestion, ...] = (), detail: str = ""
) -> ChatPage:
    person, _ = member(visit)
    workspace, channel = visit.workspace, visit.path.get("channel", "")
    found = workspace.features.conversations(ConversationKind.CHANNEL, person=person)
    here = next((one for one in found if one.name == channel), None)
    is_off = None
    try:
        workspace.features.complete("", person=person, channel=channel)
    except RefusedError:
        works = "You can still write here; no AI reads what you type."
        is_off = off(visit, "feature/compose", _CATEGORY, works=works, conversation=channel)
    completes = is_off is None and workspace.features.can_complete(person)
    has_model = is_off is None and workspace.features.endpoint() is not None
    lines = () if here is None else here.lines
    latest = cut(visit, lines[::-1], of="message", size=_MESSAGES, place=(_PLACE, lambda line: line.place))
    return ChatPage(
        title=f"Chat: {channel}" if channel else "Chat",
        lead="Read your conversations and write in them. The composer makes suggestions; only you send messages.",
        channels=cut(
            visit, found, of="conversation", size=_LISTED, name="conversations", find=lambda one: one.name
        ).each(lambda one: _listed(one, channel)),
        channel=channel,
        messages=latest.each(_message),
        reply_to=""
        if not completes
        else next((line.place for line in lines[: -_MESSAGES - 1 : -1] if not line.is_own), ""),
        off=is_off,
        uses=uses(visit, _USES, _CATEGORY, conversation=None if here is None else channel),
        action=address(channel) if channel else PATH,
        completing=f"{PATH}/completions" if completes else "",
        leaves=_leaves(channel if here is not None else "", is_off=is_off is not None),
        typing=_TYPING if completes else "",
        sending=_sending(channel if here is not None else ""),
        text=text,
        form="" if here is None else secrets.token_hex(16),
        suggestions=suggestions,
        detail=detail,
        edits=() if is_off else tuple(Way(name=f"edit:{name}", label=label) for name, label in _EDITS.items()),
        tones=tuple(Way(name=f"tone:{name}", label=_TONES.get(name, name)) for name in TONES) if has_model else (),
        sharing=None if here is None else sharing_of(visit, ConversationKind.CHANNEL, channel),
        excluding=None
        if here is None or not here.was_there
        else excluding_of(visit, ConversationKind.CHANNEL, channel, _USES),
    )


def _nothing_to_suggest(visit: Visit) -> str:
    person, _ = member(visit)
    if not visit.workspace.features.can_complete(person):
        return "No composer is at work here, so nothing can be suggested."
    return "There is nothing to suggest here. Write more, then ask again."


def _leaves(channel: str, *, is_off: bool) -> str:
    """Say what of the text in the box is sent before it is a message, and when."""
    if not channel and is_off:
        return "The text in the box does not leave this page."
    buttons = "Send" if is_off else "one of the buttons below"
    return f"While you write, the text does not leave this page: it is sent when you press {buttons}."


def _sending(channel: str) -> str:
    if not channel:
        return "Nothing is sent to anyone from here; to send a message, open a conversation."
    return (
        f"It is a message in {channel} only once you press Send: then it is kept like any other, and used only where "
        "the switches allow it."
    )


def _completions(visit: Visit, person: str, text: str, channel: str) -> tuple[ComposerSuggestion, ...]:
    found = visit.workspace.features.complete(text, person=person, channel=channel)
    return tuple(
        ComposerSuggestion(text=one.phrase, becomes=f"{text}{one.insert} ", detail=_written_by(one.people))
        for one in found
    )


def _written_by(people: int) -> str:
    return f"{people:,} colleagues wrote this"


def _listed(one: Conversation, channel: str) -> ConversationLink:
    return ConversationLink(
        name=one.name, href=address(one.name), last_us=one.last_us, lines=len(one.lines), is_here=one.name == channel
    )


def _message(line: ConversationLine) -> ChatMessage:
    return ChatMessage(
        anchor=f"m-{line.place}", speaker=line.speaker, at_us=line.at_us, text=line.text, is_own=line.is_own
    )
