"""Slack exports: a zip of users, conversations and one JSON file of messages for each conversation and day.

Promises:

- The zip is read in place, one day at a time; nothing is extracted, and no size in it is believed.
- A message concerns its author first, then who is mentioned, then who reacted, then the members of the direct
  conversation that it was written in. Bots are nobody.
- Only people's own words become drafts: what a bot or Slack itself wrote, and what was deleted, is counted.
- A message that was edited counts in its last form, as far as the same day's file tells.

Slack writes `users.json`, `channels.json`, `groups.json`, `dms.json`, `mpims.json` (`org_users.json` for an
organisation) and `CONVERSATION/YYYY-MM-DD.json`. An export that was zipped again inside a folder is read as well.
"""

import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from volition.errors import InvalidInputError
from volition.records.ingest import Draft, PersonRef, Reject, Skipped, load_json, raw_json, raw_text, read_capped

_DAY_FILE = re.compile(r"([^/]+)/[0-9]{4}-[0-9]{2}-[0-9]{2}\.json")
_TS = re.compile(r"([0-9]{1,12})\.([0-9]{1,6})")
_ENTITY = re.compile("&(amp|lt|gt);")
_ESCAPE = re.compile(r"&(amp|lt|gt);|<((?:[@#!]|[a-z][a-z0-9+.-]*:)[^<>|\n]*)(?:\|([^<>\n]*))?>")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>\n]*)?>")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}
_WORDS = (None, "me_message", "thread_broadcast", "reply_broadcast", "file_share")
_CONVERSATIONS = ("channels.json", "groups.json", "dms.json", "mpims.json")
_RATIO_FLOOR_BYTES = 1 << 20  # a small file may compress very well without doing harm
# What a damaged zip makes the standard library raise; a RuntimeError is a password, NotImplementedError a method.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error, IndexError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a zip may hold, counted while it is read.

    Attributes:
        file_bytes: Most bytes in one file, uncompressed.
        total_bytes: Most bytes in all files that are read, uncompressed.
        ratio: Most uncompressed bytes for each compressed one, in files above 1 MiB. Chat compresses about 10 times.
    """

    file_bytes: int = 64 << 20
    total_bytes: int = 8 << 30
    ratio: int = 200


_LIMITS = Limits()


def read_slack(
    path: Path | str | BinaryIO, *, account: str, limits: Limits = _LIMITS
) -> Iterator[Draft | Reject | Skipped]:
    """Read one export.

    A key is `slack:CHANNEL:TS` with the conversation's id (its folder's name if the export lists it nowhere). In the
    text, mentions, channels, links and the three character escapes are written out as Slack shows them.

    Args:
        path: The zip, by name or opened for reading bytes.
        account: Id of the account whose terms govern the workspace.
        limits: Bounds against zips that are built to exhaust the reader.

    Yields:
        A draft of category `content/chat` for each message of a person, a reject for each bad file or message, and at
        the end a count for each reason why sound ones were left out.

    Raises:
        InvalidInputError: Not a zip, or truncated, encrypted, a bomb, with unsafe names or links in it, or without
            users. Raised before anything is yielded, but for sizes, which show only while reading.
    """
    source = Path(path).name if isinstance(path, Path | str) else "Slack export"
    if not account:
        raise InvalidInputError(f"{source}: no account was given, so nobody could be asked. Name the account.")
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise InvalidInputError(f"{source} is not a whole zip file: {error}. Export or copy it again.") from error
    with archive:
        yield from _Export(archive, source, account, limits).read()


class _Export:
    """One opened export: its users, its conversations, and how much of it has been read."""

    def __init__(self, archive: zipfile.ZipFile, source: str, account: str, limits: Limits) -> None:
        self._archive = archive
        self._source = source
        self._account = account
        self._limits = limits
        self._read_bytes = 0
        self._skipped: Counter[str] = Counter()
        self._files = self._checked_files()

    def read(self) -> Iterator[Draft | Reject | Skipped]:
        users = self._files.get("users.json") or self._files.get("org_users.json")
        if users is None:
            raise InvalidInputError(
                f"{self._source} has no users.json, so the authors are unknown. Use the export as Slack wrote it."
            )
        self._users = {user["id"]: user for user in self._list(users) if isinstance(user.get("id"), str)}
        self._conversations: dict[str, dict[str, Any]] = {}
        for name in _CONVERSATIONS:
            for conversation in self._list(self._files[name]) if name in self._files else []:
                folder = conversation.get("id") if name == "dms.json" else conversation.get("name")
                direct, private = name in ("dms.json", "mpims.json"), name != "channels.json"
                self._conversations[str(folder)] = {**conversation, "direct": direct, "private": private}
        self._channel_names = {str(c.get("id")): name for name, c in self._conversations.items()}
        for name, info in sorted(self._files.items()):
            if match := _DAY_FILE.fullmatch(name):
                yield from self._day(info, name, match[1])
            elif "/" in name:
                self._skipped["file is not a day of messages"] += 1
        for why, count in sorted(self._skipped.items()):
            yield Skipped(source=self._source, why=why, count=count)

    # --- the zip ----------------------------------------------------------------------------------------------------

    def _checked_files(self) -> dict[str, zipfile.ZipInfo]:
        """Return the files by name within the export, after refusing what no export holds."""
        files: dict[str, zipfile.ZipInfo] = {}
        for info in self._archive.infolist():
            name = info.filename.replace("\\", "/")
            shown = f"{self._source}: the entry {name[:100]!r}"
            if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
                raise InvalidInputError(f"{shown} points outside the zip. This is no Slack export; do not open it.")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise InvalidInputError(f"{shown} is a link. This is no Slack export; do not open it.")
            if info.flag_bits & 1:
                raise InvalidInputError(f"{shown} is encrypted. Decrypt the export first.")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # The standard library unpacks other methods without a bound on memory.
                raise InvalidInputError(f"{shown} is packed by an unusual method. Zip the export again with deflate.")
            if name in files:
                raise InvalidInputError(f"{shown} is there twice. Use the export as Slack wrote it.")
            if not name.endswith("/") and not name.startswith("__MACOSX/"):
                files[name] = info
        roots = [n.rpartition("/")[0] for n in files if n.rpartition("/")[2] in ("users.json", "org_users.json")]
        prefix = min(roots, key=len) + "/" if roots and "" not in roots else ""
        return {name.removeprefix(prefix): info for name, info in files.items() if name.startswith(prefix)}

    def _bytes(self, info: zipfile.ZipInfo) -> bytes:
        """Read one file within the limits."""
        what = f"{self._source}: {info.filename}"
        left_bytes = self._limits.total_bytes - self._read_bytes
        most_bytes = max(_RATIO_FLOOR_BYTES, info.compress_size * self._limits.ratio)
        limit_bytes = min(self._limits.file_bytes, left_bytes, most_bytes)
        with self._archive.open(info) as stream:
            data = read_capped(cast("BinaryIO", stream), limit_bytes=limit_bytes, what=what)
        self._read_bytes += len(data)
        return data

    def _list(self, info: zipfile.ZipInfo) -> list[dict[str, Any]]:
        """Read one of the files that everything else depends on: a list of objects."""
        try:
            value = load_json(self._bytes(info))
        except _DAMAGED as error:
            raise InvalidInputError(
                f"{self._source}: {info.filename} cannot be read: {error}. Export again."
            ) from error
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise InvalidInputError(f"{self._source}: {info.filename} is not a list of objects. Export again.")
        return value

    # --- messages ---------------------------------------------------------------------------------------------------

    def _day(self, info: zipfile.ZipInfo, name: str, folder: str) -> Iterator[Draft | Reject]:
        data = b""
        try:
            data = self._bytes(info)
            messages = load_json(data)
            if not isinstance(messages, list):
                raise ValueError("it is not a list of messages")  # noqa: TRY004 - one way out for bad files
        except _DAMAGED as error:
            why = f"The file cannot be read: {error}. Export again."
            yield Reject(source=self._source, where=name, why=why, raw=raw_text(data))
            return
        last_changes = _last_changes(messages)
        for number, message in enumerate(messages):
            try:
                draft = self._message(message, folder, number, last_changes)
            except InvalidInputError as error:
                where = f"{name} message {number}"
                yield Reject(source=self._source, where=where, why=str(error), raw=raw_json(message))
                continue
            if isinstance(draft, Draft):
                yield draft
            else:
                self._skipped[draft] += 1

    def _message(self, message: Any, folder: str, number: int, last_changes: Mapping[str, int]) -> Draft | str:  # noqa: ANN401
        """Return the draft of a message, or why there is none."""
        if not isinstance(message, dict):
            raise InvalidInputError("The message is not an object.")
        if message.get("subtype") == "message_changed" and isinstance(message.get("message"), dict):
            message = message["message"]  # the event carries the message as it reads now
        if why := self._nobodys_words(message):
            return why
        ts, author, text = (_text(message, key) for key in ("ts", "user", "text"))
        if last_changes.get(ts, number) > number:
            return "edited or deleted later"
        match = _TS.fullmatch(ts)
        if not match:
            raise InvalidInputError(f"The time {ts[:40]!r} is not written as seconds.microseconds.")
        if not text.strip():
            return "message without words"
        conversation = self._conversations.get(folder, {})
        channel = conversation.get("id")
        return Draft(
            key=f"slack:{channel if _filled(channel) else folder}:{ts}",
            account=self._account,
            people=self._people(message, author, text, conversation),
            category="content/chat",
            at_us=int(match[1]) * 1_000_000 + int(match[2].ljust(6, "0")),
            payload={
                "kind": "message",
                "channel": folder,
                "ts": ts,
                "thread": _text(message, "thread_ts") if message.get("thread_ts") else None,
                "author": self._name(author) or author,
                "text": _ESCAPE.sub(self._written_out, text),
                **({"private": True} if self._conversations.get(folder, {}).get("private") else {}),
            },
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
        self, message: Mapping[str, Any], author: str, text: str, conversation: Mapping[str, Any]
    ) -> tuple[PersonRef, ...]:
        """Return everyone concerned, each once. A list that cannot be read would hide somebody, so it is an error."""
        ids = [author, *_MENTION.findall(text)]
        try:
            ids += [user for reaction in message.get("reactions") or () for user in reaction["users"]]
            if conversation.get("direct"):
                ids += conversation.get("members") or ()
        except (TypeError, KeyError) as error:
            raise InvalidInputError("The reactions or members are malformed, so the people are unknown.") from error
        if not all(isinstance(user, str) for user in ids):
            raise InvalidInputError("The reactions or members are malformed, so the people are unknown.")
        people = []
        for user in dict.fromkeys(ids):
            if not self._is_bot(user):
                profile = self._profile(user)
                email = profile.get("email")
                people.append(PersonRef(id=user, name=self._name(user), email=email if _filled(email) else None))
        return tuple(people)

    # --- users ------------------------------------------------------------------------------------------------------

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
