"""Zoom's saved chat: the text file that a meeting's chat is saved as, message by message.

Promises:

- A message to everyone concerns its author first, then everyone who wrote to everyone, and all participants. One to
  somebody else (a direct message, or to the hosts) concerns its author and whom it was sent to, lies in a conversation
  of its own, and is private.
- Who "Me" is the file does not say; unless the caller does, it is somebody unknown.
- Reactions repeat another's words and are counted; of a reply the quoted line is left out.
- Times of day count from the first message, which is taken to be sent when the meeting started: no message is ever
  dated later than it was, so none comes under a yes too early.

Forms: `09:01:10 From Ann Lee to Everyone:` with the text on the lines below or behind the colon; older
`09:01:10 From Ann Lee : text` and `(Privately)`; and of recordings in the cloud `00:01:10 Ann Lee: text`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from volition.canonical import digest
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, PersonRef, Reject, Skipped
from volition.records.ingest.speakers import name_key, one_line

LARGEST_BYTES: Final = 64 << 20

_CLOCK: Final = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}\s++)?([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\s*+([AaPp])\.?[Mm]\.?)?"
_FROM: Final = re.compile(rf"{_CLOCK}\s++(From|Von|De|Da|Van)\s++(\S.*?)(?<!\s)\s*+:(?:\s++(.*)|)$")
_BARE: Final = re.compile(rf"{_CLOCK}\s++([^:]{{1,120}}+):(?:\s++(.*)|)$")
_TO: Final = {  # by the word for "from"; the last one counts, since names may hold it
    "From": re.compile(r"(.*\S)\s++[Tt]o\s++(.+)"),
    "Von": re.compile(r"(.*\S)\s++[Aa]n\s++(.+)"),
    "De": re.compile(r"(.*\S)\s++(?:[ÀàAa]|[Pp]ara)\s++(.+)"),
    "Da": re.compile(r"(.*\S)\s++[Aa]\s++(.+)"),
    "Van": re.compile(r"(.*\S)\s++(?:[Aa]an|[Nn]aar)\s++(.+)"),
}
_MARK: Final = re.compile(
    r"(?:(?<!\s)\s++)?+\((?:Direct Message|Privately|Private|Direktnachricht|privat|en privé)\)\s*+$", re.IGNORECASE
)
_EVERYONE: Final = frozenset(
    (
        "everyone",
        "everyone in meeting",
        "all",
        "meeting group chat",
        "alle",
        "alle im meeting",
        "tous",
        "todos",
        "tutti",
    )
)
_ME: Final = frozenset(("me", "myself", "you", "ich", "mir", "moi", "yo", "io", "ik", "eu"))
_REACTION: Final = re.compile(r"(?:Reacted to|Removed an? .{1,20} reaction from)\s+[\"“].*", re.DOTALL)
_REPLY: Final = re.compile(r"Replying to\s+[\"“][^\n]*(?:\n|$)")
_DAY_S: Final = 86_400
_HALF_DAY_S: Final = 43_200


@dataclass(slots=True, kw_only=True)
class _Message:
    """A message as it stands in the file.

    Attributes:
        line: Number of its first line, from 1.
        at_s: Its time of day, or since the start.
        author: Who wrote it.
        to: To whom: none for everyone.
        lines: Its text.
    """

    line: int
    at_s: int
    author: str
    to: str | None
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What it says, without the line that a reply quotes."""
        return _REPLY.sub("", "\n".join(self.lines).strip(), count=1).strip()


def read_zoom_chat(  # noqa: PLR0913 - what a chat does not say about itself
    data: bytes,
    *,
    source: str,
    account: str,
    meeting: str,
    start_us: int,
    participants: Sequence[PersonRef] = (),
    me: PersonRef | None = None,
    private: bool = False,
) -> Iterator[Draft | Reject | Skipped]:
    """Read one saved chat.

    A key is `zoomchat:MEETING:TIME:DIGEST of author, recipient and text`, with `#2` for a second one alike.

    Args:
        data: The file, UTF-8 with or without a byte order mark.
        source: Name of the file, for messages.
        account: Id of the account whose terms govern the meeting.
        meeting: Name of the meeting within the account; its chat's conversation has the same.
        start_us: When the meeting started, microseconds since the Unix epoch, UTC.
        participants: Who is known to have been there.
        me: Who saved the file, whom it calls "Me".
        private: Whether what was written to everyone is shown to those alone who were there.

    Yields:
        A draft of category `content/chat` for each message, a reject for what is none, and a count of reactions.

    Raises:
        InvalidInputError: It is not text, holds too much, or holds no message.
    """
    messages = list(_messages(_decoded(data, source), source))
    if not any(isinstance(message, _Message) for message in messages):
        raise InvalidInputError(f"{source} holds no message of a Zoom chat. Save the chat as text, then collect that.")
    chat = _Chat([message for message in messages if isinstance(message, _Message)], participants, me)
    reactions, taken = 0, Counter[str]()
    for message, after_s in _timed(messages, chat.first_s):
        if isinstance(message, Reject):
            yield message
            continue
        if not message.text or _REACTION.fullmatch(message.text):
            reactions += 1
            continue
        said = digest("\n".join((message.author, message.to or "", message.text)).encode())[:16]
        key = f"zoomchat:{meeting}:{message.at_s}:{said}"
        taken[key] += 1
        try:
            yield Draft(
                key=key if taken[key] == 1 else f"{key}#{taken[key]}",
                account=account,
                people=chat.people(message),
                category="content/chat",
                at_us=start_us + after_s * 1_000_000,
                payload=_payload(message, chat.channel(meeting, message), start_us, after_s, private=private),
            )
        except InvalidInputError as error:
            where, author = f"line {message.line}", (PersonRef(name=message.author),)
            yield Reject(source=source, where=where, why=str(error), raw="\n".join(message.lines), people=author)
    if reactions:
        yield Skipped(source=source, why="reaction or message without words", count=reactions)


def _timed(messages: Sequence[_Message | Reject], first_s: int) -> Iterator[tuple[_Message | Reject, int]]:
    """Yield each message with its seconds after the first; a clock that falls back by half a day passed midnight."""
    days, before_s = 0, None
    for message in messages:
        if isinstance(message, Reject):
            yield message, 0
            continue
        if before_s is not None and message.at_s < before_s - _HALF_DAY_S:
            days += 1
        before_s = message.at_s
        yield message, max(0, message.at_s + days * _DAY_S - first_s)


def _payload(message: _Message, channel: str, start_us: int, after_s: int, *, private: bool) -> dict[str, Any]:
    at_us = start_us + after_s * 1_000_000
    return {
        "kind": "message",
        "channel": channel,
        "ts": f"{at_us // 1_000_000}.{at_us % 1_000_000:06}",  # as other chats' exports write it
        "thread": None,
        "author": message.author,
        "text": message.text,
        **({"private": True} if private or message.to is not None else {}),
    }


class _Chat:
    """The people of a chat."""

    def __init__(self, messages: Sequence[_Message], participants: Sequence[PersonRef], me: PersonRef | None) -> None:
        self._me = me
        self._participants = list(participants)
        self._known = {name_key(person.name): person for person in participants if person.name}
        for message in messages:
            self._known.setdefault(name_key(message.author), PersonRef(name=message.author))
        self._public = [self._person(message.author) for message in messages if message.to is None]
        self.first_s = messages[0].at_s

    def people(self, message: _Message) -> tuple[PersonRef, ...]:
        """Return whom a message concerns, its author first."""
        author = self._person(message.author)
        others = [*self._public, *self._participants] if message.to is None else self._recipients(message.to)
        return tuple(dict.fromkeys((author, *others)))

    def channel(self, meeting: str, message: _Message) -> str:
        """Return the conversation that a message lies in."""
        if message.to is None:
            return meeting
        return f"{meeting} ({' and '.join(sorted((message.author, message.to)))})"

    def _person(self, name: str) -> PersonRef:
        if name_key(name) in _ME:
            return self._me or PersonRef()
        return self._known.get(name_key(name), PersonRef(name=name))

    def _recipients(self, named: str) -> list[PersonRef]:
        """Return to whom a message went: one person, several if all are known, or else somebody unknown besides."""
        parts = [part.strip() for part in named.split(",") if part.strip()]
        if name_key(named) in self._known or name_key(named) in _ME or len(parts) < 2:
            return [self._person(named)]
        if all(name_key(part) in self._known or name_key(part) in _ME for part in parts):
            return [self._person(part) for part in parts]
        return [self._person(named), *(self._person(part) for part in parts), PersonRef()]


def _decoded(data: bytes, source: str) -> str:
    if len(data) > LARGEST_BYTES:
        raise InvalidInputError(f"{source} holds more than {LARGEST_BYTES:,} bytes. Split it into smaller files.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{source} is not UTF-8 text ({error.reason} at byte {error.start:,}). Save the chat as text again."
        raise InvalidInputError(msg) from error
    if "\0" in text:
        raise InvalidInputError(f"{source} is not text: it holds zero bytes. Save the chat as text again.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _messages(text: str, source: str) -> Iterator[_Message | Reject]:
    """Yield the messages, and what stands before the first one."""
    open_message: _Message | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        begun = _begun(line, number)
        if begun is not None:
            if open_message is not None:
                yield open_message
            open_message = begun
        elif open_message is not None:
            open_message.lines.append(line.removeprefix("\t"))
        elif line.strip():
            why = "No message has begun here yet, so nobody knows who wrote it."
            yield Reject(source=source, where=f"line {number}", why=why, raw=line)
    if open_message is not None:
        yield open_message


def _begun(line: str, number: int) -> _Message | None:
    """Return the message that a line begins; none if it goes on with one."""
    if not line[:1].isdigit():
        return None
    match = _FROM.fullmatch(line)
    if match is not None:
        hours, minutes, seconds, half, word, who, text = match.groups()
    elif (match := _BARE.fullmatch(line)) is not None:
        word = ""
        hours, minutes, seconds, half, who, text = match.groups()
    else:
        return None
    at_s = (int(hours) % 12 + 12 * (half in "Pp") if half else int(hours)) * 3600 + int(minutes) * 60 + int(seconds)
    direct = _MARK.search(who)
    who = _MARK.sub("", who)
    sent = _TO[word].fullmatch(who) if word else None
    author, to = (one_line(sent[1]), one_line(sent[2])) if sent else (one_line(who), None)
    if to is not None and name_key(to) in _EVERYONE and not direct:
        to = None
    if direct and to is None:
        to = "somebody"  # whom the file does not name
    return _Message(line=number, at_s=at_s, author=author, to=to, lines=[text] if text else [])
