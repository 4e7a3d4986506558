"""Slack exports: a zip of users, conversations and one JSON file of messages for each conversation and day.

Promises:

- The zip is read in place, one day at a time (`slack_zip`).
- A message concerns its author first, then who is mentioned (in its text, its blocks or its attachments), then who
  reacted, then all members of the private conversation that it was written in. Where the export counts more people
  than it lists, somebody unknown is concerned, too. Bots are nobody.
- A conversation is public only if `channels.json` lists it and does not call it private. Of one that no list names the
  members are unknown: it is private, and concerns everyone who writes in it and somebody unknown. A `Note` says so.
- Only people's own words become drafts: what a bot or Slack itself wrote, and what was deleted, is counted.
- A message that was edited counts in its last form, and one deleted not at all, whichever day's file says so. A draft's
  `version` tells a later export's form from an earlier one's, a `Complete` after each conversation what is gone.

Slack writes `users.json`, `channels.json`, `groups.json`, `dms.json`, `mpims.json` (`org_users.json` for an
organisation) and `CONVERSATION/YYYY-MM-DD.json`. An export that was zipped again inside a folder is read as well.
"""

import re
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from volition.errors import InvalidInputError
from volition.records.ingest import (
    LAST_US,
    Complete,
    Draft,
    Note,
    PersonRef,
    Reject,
    Skipped,
    load_json,
    raw_json,
    raw_text,
)
from volition.records.ingest.slack_zip import DAMAGED, ExportZip, Limits
from volition.records.ingest.used import member

_DAY_FILE = re.compile(r"([^/]+)/([0-9]{4}-[0-9]{2}-[0-9]{2})\.json")
_TS = re.compile(r"([0-9]{1,12})\.([0-9]{1,6})")
_ENTITY = re.compile("&(amp|lt|gt);")
_ESCAPE = re.compile(r"&(amp|lt|gt);|<((?:[@#!]|[a-z][a-z0-9+.-]*:)[^<>|\n]*)(?:\|([^<>\n]*))?>")
_WORD = re.compile(r"\w+")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>\n]*)?>")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}
_WORDS = (None, "me_message", "thread_broadcast", "reply_broadcast", "file_share")
_CONVERSATIONS = ("channels.json", "groups.json", "dms.json", "mpims.json")
_CHANGES = (b"message_changed", b"message_deleted")
_PRIVATE = ("is_private", "is_group", "is_im", "is_mpim")
_DAY_S = 86_400
_EDITED_BITS = (1 << 40) - 1


@dataclass(slots=True, kw_only=True)
class _Conversation:
    """A channel, group or direct conversation.

    Attributes:
        folder: The folder that its messages lie in.
        id: Its identifier; the folder's name where no list names it.
        private: Whether it is anything but a public channel.
        members: Ids of its members, as far as they are listed.
        complete: Whether all members are known.
    """

    folder: str
    id: str
    private: bool
    members: list[str] = field(default_factory=list)
    complete: bool = True


_LIMITS = Limits()
_ROLES = {
    "owner": ("is_primary_owner", "is_owner"),
    "admin": ("is_admin",),
    "guest": ("is_restricted", "is_ultra_restricted"),
}
"""Roles in a workspace, and the flags of a user that say so; who has none of them is a member."""


def read_slack(
    path: Path | str | BinaryIO, *, account: str, limits: Limits = _LIMITS
) -> Iterator[Complete | Draft | Note | Reject | Skipped]:
    """Read one export.

    A key is `slack:CHANNEL:TS` with the conversation's id (its folder's name if the export lists it nowhere). In the
    text, mentions, channels, links and the three character escapes are written out as Slack shows them.

    Args:
        path: The zip, by name or opened for reading bytes.
        account: Id of the account whose terms govern the workspace.
        limits: Bounds against zips that are built to exhaust the reader.

    Yields:
        A draft of category `content/chat` for each message of a person, a reject for each bad file or message, after
        each conversation what it is complete for, and at the end a draft of category `service/usage` for each person
        who wrote and for whom the export has a language or a role, and a count for each reason why sound messages were
        left out.

    Raises:
        InvalidInputError: Not a zip, or truncated, encrypted, a bomb, with unsafe names or links in it, or without
            users. Raised before anything is yielded, but for sizes, which show only while reading.
    """
    source = Path(path).name if isinstance(path, Path | str) else "Slack export"
    if not account:
        raise InvalidInputError(f"{source}: no account was given, so nobody could be asked. Name the account.")
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as error:
        raise InvalidInputError(f"{source} is not a whole zip file: {error}. Export or copy it again.") from error
    with archive:
        yield from _Export(ExportZip(archive, source, limits), source, account).read()


@dataclass(slots=True)
class _Coverage:
    """What the messages of a conversation say of the export: whether all were read, and its days' time zone.

    Attributes:
        whole: Whether nothing of it was set aside.
        sure_us: The latest instant of which any of them tells.
    """

    whole: bool = True
    sure_us: int = 0
    low_s: int = -12 * 3600  # the time zones there are
    high_s: int = 14 * 3600

    @property
    def offset_s(self) -> int:
        """The offset of the export's days from UTC: none if that fits its messages, else the least that does."""
        return min(max(0, self.low_s), max(self.low_s, self.high_s))

    def hear(self, piece: Draft | Reject, day_start_s: int | None) -> None:
        """Take a message, and the day of whose file it is."""
        if isinstance(piece, Reject) or day_start_s is None:
            self.whole = False
            return
        at_s = piece.at_us // 1_000_000
        self.low_s = max(self.low_s, day_start_s - at_s)
        self.high_s = min(self.high_s, day_start_s + _DAY_S - 1 - at_s)
        edited_us = ((piece.version or 0) >> 12 & _EDITED_BITS) * 1_000_000
        self.sure_us = max(self.sure_us, piece.at_us, edited_us)


def _day_start_s(day: str) -> int | None:
    """Return when a day begins as UTC has it; none if no calendar has it."""
    try:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


class _Export:
    """One opened export: its users and its conversations."""

    def __init__(self, archive: ExportZip, source: str, account: str) -> None:
        self._archive = archive
        self._source = source
        self._account = account
        self._skipped: Counter[str] = Counter()
        self._authors: dict[str, PersonRef] = {}

    def read(self) -> Iterator[Complete | Draft | Note | Reject | Skipped]:
        files = self._archive.files
        users = next((name for name in ("users.json", "org_users.json") if name in files), None)
        if users is None:
            raise InvalidInputError(
                f"{self._source} has no users.json, so the authors are unknown. Use the export as Slack wrote it."
            )
        self._users = {user["id"]: user for user in self._archive.objects(users) if isinstance(user.get("id"), str)}
        self._conversations: dict[str, _Conversation] = {}
        self._channel_names: dict[str, str] = {}
        for name in _CONVERSATIONS:
            for listed in self._archive.objects(name) if name in files else []:
                self._list(listed, is_public=name == "channels.json")
        folders: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name in sorted(files):
            if match := _DAY_FILE.fullmatch(name):
                folders[match[1]].append((match[2], name))
            elif "/" in name:
                self._skipped["file is not a day of messages"] += 1
        span = self._span(folders)
        for folder, days in folders.items():
            yield from self._conversation(folder, days, span)
        yield from self._members()
        for why, count in sorted(self._skipped.items()):
            yield Skipped(source=self._source, why=why, count=count)

    def _list(self, listed: Mapping[str, Any], *, is_public: bool) -> None:
        """Add what a list says of a conversation; one that any list calls private is private."""
        names = [listed[key] for key in ("name", "id") if _filled(listed.get(key))]
        if not names:
            return
        members = listed.get("members")
        known = isinstance(members, list) and all(isinstance(user, str) for user in members)
        conversation = _Conversation(
            folder=names[0],
            id=names[-1],
            private=not is_public or any(listed.get(key) for key in _PRIVATE),
            members=list(members) if isinstance(members, list) and known else [],
            complete=known,
        )
        if _filled(listed.get("id")) and _filled(listed.get("name")):
            self._channel_names[listed["id"]] = listed["name"]
        for name in names:
            before = self._conversations.setdefault(unicodedata.normalize("NFC", name), conversation)
            if before is not conversation and conversation.private:
                before.private = True
                before.members = list(dict.fromkeys([*before.members, *conversation.members]))
                before.complete = before.complete and conversation.complete

    def _span(self, folders: Mapping[str, Sequence[tuple[str, str]]]) -> tuple[int, int]:
        """Return from when (included) until when (not included) the whole export tells, in days as UTC has them."""
        days = [start for found in folders.values() for day, _ in found if (start := _day_start_s(day)) is not None]
        return (min(days), max(days) + _DAY_S) if days else (0, 0)

    def _members(self) -> Iterator[Draft]:
        """Yield which language and role the export has for those who wrote, as of when it says that it learned it."""
        for user, person in sorted(self._authors.items()):
            known = self._users.get(user, {})
            updated_s = known.get("updated")
            if type(updated_s) is not int or not 0 <= updated_s * 1_000_000 <= LAST_US:
                continue
            roles = [role for role, flags in _ROLES.items() if any(known.get(flag) is True for flag in flags)]
            is_told = any(flag in known for flags in _ROLES.values() for flag in flags)
            found = member(
                person,
                account=self._account,
                language=known.get("locale"),
                roles=roles or (["member"] if is_told else []),
                key=f"slack:{user}:{updated_s}",
                at_us=updated_s * 1_000_000,
            )
            if found is not None:
                yield found

    # --- one conversation ---

    def _conversation(
        self, folder: str, days: Sequence[tuple[str, str]], span: tuple[int, int]
    ) -> Iterator[Complete | Draft | Note | Reject]:
        known = self._conversations.get(folder)
        changes, writers = self._scan(days, everyone=known is None or (known.private and not known.complete))
        if known is None:
            known = _Conversation(folder=folder, id=folder, private=True, complete=False)
            yield Note(source=self._source, what=_unlisted(folder))
        if not known.complete:
            known.members = list(dict.fromkeys([*known.members, *writers]))
        coverage = _Coverage()
        for place, (day, name) in enumerate(days):
            for piece in self._day(name, known, folder, place, changes):
                yield piece
                if isinstance(piece, Draft) and piece.people and piece.people[0].id is not None:
                    self._authors.setdefault(piece.people[0].id, piece.people[0])
                coverage.hear(piece, _day_start_s(day))
        if coverage.whole and span[1]:
            offset_s = coverage.offset_s
            yield Complete(
                account=self._account,
                conversation=folder,
                origin=f"slack:{known.id}",
                start_us=(span[0] - offset_s) * 1_000_000,
                end_us=(span[1] - offset_s) * 1_000_000,
                sure_us=coverage.sure_us,
            )

    def _scan(self, days: Sequence[tuple[str, str]], *, everyone: bool) -> tuple[dict[str, tuple[int, int]], list[str]]:
        """Look once over a conversation: which message was changed last where, and who writes in it.

        A file that cannot be read says nothing here, and is set aside when it is read for its messages.
        """
        changes: dict[str, tuple[int, int]] = {}
        writers: dict[str, None] = {}
        for place, (_, name) in enumerate(days):
            try:
                data = self._archive.read(name, again=True)
                messages = load_json(data) if everyone or any(kind in data for kind in _CHANGES) else []
            except DAMAGED:
                continue
            if not isinstance(messages, list):
                continue
            changes |= {ts: (place, number) for ts, number in _last_changes(messages).items()}
            users = (message.get("user") for message in messages if isinstance(message, dict))
            writers |= dict.fromkeys(user for user in users if isinstance(user, str))
        return changes, [user for user in writers if not self._is_bot(user)]

    def _day(
        self, name: str, conversation: _Conversation, folder: str, place: int, changes: Mapping[str, tuple[int, int]]
    ) -> Iterator[Draft | Reject]:
        data = b""
        try:
            data = self._archive.read(name)
            messages = load_json(data)
            if not isinstance(messages, list):
                raise ValueError("it is not a list of messages")  # noqa: TRY004 - one way out for bad files
        except DAMAGED as error:
            why = f"The file cannot be read: {error}. Export again."
            raw = raw_text(data)
            yield Reject(source=self._source, where=name, why=why, raw=raw, people=self._named_in(raw))
            return
        for number, message in enumerate(messages):
            try:
                draft = self._message(message, conversation, folder, (place, number), changes)
            except InvalidInputError as error:
                where = f"{name} message {number}"
                raw = raw_json(message)
                yield Reject(source=self._source, where=where, why=str(error), raw=raw, people=self._named_in(raw))
                continue
            if isinstance(draft, Draft):
                yield draft
            else:
                self._skipped[draft] += 1

    def _message(
        self,
        message: Any,  # noqa: ANN401 - any JSON value
        conversation: _Conversation,
        folder: str,
        place: tuple[int, int],
        changes: Mapping[str, tuple[int, int]],
    ) -> Draft | str:
        """Return the draft of a message, or why there is none."""
        if not isinstance(message, dict):
            raise InvalidInputError("The message is not an object.")
        if message.get("subtype") == "message_changed" and isinstance(message.get("message"), dict):
            message = message["message"]  # the event carries the message as it reads now
        if why := self._nobodys_words(message):
            return why
        ts, author, text = (_text(message, key) for key in ("ts", "user", "text"))
        if changes.get(ts, place) > place:
            return "edited or deleted later"
        match = _TS.fullmatch(ts)
        if not match:
            raise InvalidInputError(f"The time {ts[:40]!r} is not written as seconds.microseconds.")
        if not text.strip():
            return "message without words"
        people = self._people(message, author, text, conversation)
        mentioned = _merely_mentioned(message, author, people, conversation)
        return Draft(
            key=f"slack:{conversation.id}:{ts}",
            account=self._account,
            people=people,
            category="content/chat",
            at_us=int(match[1]) * 1_000_000 + int(match[2].ljust(6, "0")),
            payload={
                "kind": "message",
                "channel": folder,
                "ts": ts,
                "thread": _text(message, "thread_ts") if message.get("thread_ts") else None,
                "author": self._name(author) or author,
                "text": _ESCAPE.sub(self._written_out, text),
                **({"private": True} if conversation.private else {}),
            },
            version=_version(message, people, private=conversation.private, mentions=bool(mentioned)),
            mentioned=mentioned,
        )

    def _nobodys_words(self, message: Mapping[str, Any]) -> str | None:
        subtype, user = message.get("subtype"), message.get("user")
        if message.get("type", "message") != "message":
            return "not a message"
        if subtype in ("message_deleted", "tombstone"):
            return "deleted"
        if subtype == "bot_message" or message.get("bot_id") or (isinstance(user, str) and self._is_bot(user)):
            return "written by a bot"
        return "written by Slack itself" if subtype not in _WORDS else None

    def _people(
        self, message: Mapping[str, Any], author: str, text: str, conversation: _Conversation
    ) -> tuple[PersonRef, ...]:
        """Return everyone concerned, each once. A list that cannot be read would hide somebody, so it is an error."""
        ids = [
            author,
            *_MENTION.findall(text),
            *_mentioned(message.get("blocks")),
            *_mentioned(message.get("attachments")),
        ]
        hidden = conversation.private and not conversation.complete
        try:
            for reaction in message.get("reactions") or ():
                users = reaction["users"] if "users" in reaction or "count" not in reaction else []
                ids += users
                count = reaction.get("count", 0)
                hidden = hidden or not isinstance(count, int) or count > len(set(users))
        except (TypeError, KeyError, AttributeError) as error:
            raise InvalidInputError("The reactions are malformed, so the people are unknown.") from error
        if conversation.private:
            ids += conversation.members
        if not all(isinstance(user, str) for user in ids):
            raise InvalidInputError("The reactions or members are malformed, so the people are unknown.")
        people = [self._person(user) for user in dict.fromkeys(ids) if not self._is_bot(user)]
        return (*people, *([PersonRef()] if hidden else []))

    # --- users ------------------------------------------------------------------------------------------------------

    def _person(self, user: str) -> PersonRef:
        email = self._profile(user).get("email")
        return PersonRef(id=user, name=self._name(user), email=email if _filled(email) else None)

    def _named_in(self, raw: str) -> tuple[PersonRef, ...]:
        """Return whom a text that could not be read names by their identifiers, which say nothing without the list."""
        return tuple(self._person(user) for user in dict.fromkeys(_WORD.findall(raw)) if user in self._users)

    def _profile(self, user: str) -> Mapping[str, Any]:
        profile = self._users.get(user, {}).get("profile")
        return profile if isinstance(profile, dict) else {}

    def _is_bot(self, user: str) -> bool:
        return user == "USLACKBOT" or bool(self._users.get(user, {}).get("is_bot"))

    def _name(self, user: str) -> str | None:
        known = self._users.get(user, {})
        names = (known.get("real_name"), self._profile(user).get("real_name"), known.get("name"))
        return next((name for name in names if _filled(name)), None)

    def _written_out(self, match: re.Match[str]) -> str:
        """Return what Slack shows for one escape (docs.slack.dev, "Formatting text for app surfaces")."""
        if match[1]:
            return _ENTITIES[match[1]]
        target, label = (_ENTITY.sub(lambda entity: _ENTITIES[entity[1]], part) for part in (match[2], match[3] or ""))
        sigil, rest = target[0], target[1:]
        if sigil == "@":
            return "@" + (self._name(rest) or label or rest)
        if sigil == "#":
            return "#" + (label or self._channel_names.get(rest) or rest)
        if sigil == "!":
            return label or "@" + rest.split("^")[0]
        return label or target


def _mentioned(value: object) -> list[str]:
    """Return the ids of whom blocks or attachments mention, however deep."""
    found: list[str] = []
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str):
            found += _MENTION.findall(part)
        elif isinstance(part, list):
            left += part
        elif isinstance(part, dict):
            found += [part[key] for key in ("user_id", "author_id") if isinstance(part.get(key), str)]
            left += [inner for key, inner in part.items() if key not in ("user_id", "author_id")]
    return list(dict.fromkeys(reversed(found)))


def _merely_mentioned(
    message: Mapping[str, Any], author: str, people: Sequence[PersonRef], conversation: _Conversation
) -> tuple[PersonRef, ...]:
    """Return those whom a private message concerns only since it mentions them: they cannot open it."""
    if not conversation.private:
        return ()
    reacted = (user for reaction in message.get("reactions") or () for user in reaction.get("users", ()))
    there = {author, *conversation.members, *reacted}
    return tuple(person for person in people if person.id is not None and person.id not in there)


def _version(message: Mapping[str, Any], people: Sequence[PersonRef], *, private: bool, mentions: bool) -> int:
    """Return a number that is larger for a newer form of a message: private, then edited later, then of more people.

    A private form stays private, however the exports are collected; a mention or a reaction more is not forgotten. A
    form that says who is merely mentioned takes the place of one of an earlier version, which did not say so.
    """
    edited = message.get("edited")
    match = _TS.fullmatch(str(edited.get("ts"))) if isinstance(edited, dict) else None
    edited_s = int(match[1]) & _EDITED_BITS if match else 0
    return int(private) << 60 | edited_s << 12 | int(mentions) << 11 | min(len(people), 0x7FF)


def _unlisted(folder: str) -> str:
    return (
        f"no list of the export names the conversation {folder!r} as a public channel, so it is private: to everyone "
        "who writes in it, and to others whom nobody can name. Where everyone is asked it cannot be used. If it is "
        "public, export again with its channels.json."
    )


def _last_changes(messages: list[Any]) -> dict[str, int]:
    """Return, for each `ts` that this file says was edited or deleted, the number of the last such event."""
    last: dict[str, int] = {}
    for number, event in enumerate(messages):
        subtype = event.get("subtype") if isinstance(event, dict) else None
        if subtype == "message_deleted":
            last[str(event.get("deleted_ts"))] = number
        elif subtype == "message_changed" and isinstance(event.get("message"), dict):
            last[str(event["message"].get("ts"))] = number
    return last


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str) or (key != "text" and not value):
        raise InvalidInputError(f"The message has no {key!r} that is text.")
    return value


def _filled(value: object) -> bool:
    return isinstance(value, str) and bool(value)
