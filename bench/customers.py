"""Five customers made of real exports: what `bench road` and the tests of the whole road collect.

Three are people who meet (product designers, researchers, parliamentary committees), two are communities that chat.
What was said is real; what people decided, and how they use the product, is made up by fixed rules, so that every run
has the same yeses and noes:

- reference summaries stand for summaries that somebody edited;
- queries, with the turns that answer them, stand for searches: each is clicked by several users of the product;
- taking part in a conversation of a chat stands for opening it (`volition.item` "conversation/ID").

The data is not part of the project; its own README says where it comes from and under which licences.
"""

import hashlib
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from volition.errors import InvalidInputError

FIRST_DAY: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""Accounts accept and people decide on this day; the first meeting is a week later."""

COLLECTED: Final = datetime(2026, 7, 1, tzinfo=UTC)
"""By now everything has happened."""

_USERS: Final = 12  # users of the product in an account that meets, who do not speak
_CLICKS: Final = (2, 4)  # least and most users who search for the same thing
_CUE: Final = re.compile(r"-->[^\n]*\n([^:\n]+): ")
_ACCOUNTS: Final[dict[str, tuple[str, Callable[[str], bool]]]] = {
    "ami": ("Product designers", lambda meeting: meeting[:2] in ("ES", "IS", "TS")),
    "icsi": ("Researchers", lambda meeting: meeting.startswith("B")),
    "parliament": ("Parliamentary committees", lambda meeting: meeting.startswith(("covid", "education"))),
}
_REGIONS: Final = {"parliament": "GB"}  # where the terms ask the person, too, before usage trains anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person of a customer.

    Attributes:
        id: Id of the person.
        name: Name as the exports show it; none for users who only click.
        aliases: Other handles: the other spellings of the name, the chat's own id.
        emails: Addresses.
        answer: "yes"; "from-now" for a yes that does not cover the past; "no"; "silent".
    """

    id: str
    name: str | None = None
    aliases: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    answer: str = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A transcript and when it began."""

    name: str
    path: Path
    started: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer and its exports.

    Attributes:
        id: Id of the account.
        name: What it is.
        region: Where it is; none if it does not matter.
        people: Everyone known beforehand, speakers first.
        meetings: Transcripts.
        summaries: JSON lines of edited summaries; none if there are none.
        chat: A Slack export; none if there is none.
        usage: OTLP logs in JSON, a request a line.
        busiest: Id of the person who said yes and takes part the most.
        covers: How far back the account's yes reaches: "past", or an instant.
    """

    id: str
    name: str
    region: str | None
    people: tuple[Member, ...]
    meetings: tuple[Meeting, ...]
    summaries: Path | None
    chat: Path | None
    usage: Path
    busiest: str
    covers: str = "past"


def find_customers(
    data: Path, folder: Path, *, meetings: Sequence[str] | int | None = None, chats: Sequence[str] | None = None
) -> tuple[Customer, ...]:
    """Arrange real data as customers' exports.

    Args:
        data: Holds `meetings/*/*.vtt`, `meetings/*.gold.jsonl`, `chat/*.zip` and `chat/*.conversations.jsonl`.
        folder: Where what is made of it goes: edited summaries and usage events. Transcripts and exports stay.
        meetings: Names of meetings, or how many to spread over the accounts (the first by name); none for all.
        chats: Names of chat exports; none for all.

    Raises:
        InvalidInputError: There are no transcripts.
    """
    paths = {path.stem: path for path in sorted(data.glob("meetings/*/*.vtt"))}
    exports = [path for path in sorted(data.glob("chat/*.zip")) if chats is None or path.stem in chats]
    if not paths:
        msg = f"There are no transcripts in {data / 'meetings'}. Name the folder that holds meetings and chat."
        raise InvalidInputError(msg)
    gold = {}
    for path in sorted(data.glob("meetings/*.gold.jsonl")):
        gold.update({line["meeting"]: line for line in _lines(path)})
    folder.mkdir(parents=True, exist_ok=True)
    customers = []
    for account, (name, owns) in _ACCOUNTS.items():
        own = _chosen([meeting for meeting in sorted(paths) if owns(meeting)], meetings)
        if own:
            customers.append(_who_meets(account, name, {meeting: paths[meeting] for meeting in own}, gold, folder))
    return (*customers, *(_who_chats(path, folder) for path in exports))


def _chosen(names: list[str], meetings: Sequence[str] | int | None) -> list[str]:
    if meetings is None:
        return names
    if isinstance(meetings, int):
        return names[: -(-meetings // len(_ACCOUNTS))]
    return [name for name in names if name in meetings]


def _who_meets(account: str, name: str, paths: dict[str, Path], gold: dict[str, Any], folder: Path) -> Customer:
    spoke: dict[str, set[str]] = {}
    for meeting, path in paths.items():
        for speaker in _CUE.findall(path.read_text("utf-8")):
            spoke.setdefault(" ".join(speaker.split()), set()).add(meeting)
    spellings: dict[str, list[str]] = {}
    for speaker in sorted(spoke):
        spellings.setdefault(speaker.casefold(), []).append(speaker)
    speakers = [
        Member(
            id=f"{account}-p{number}",
            name=known[0],
            aliases=tuple(known[1:]),
            answer=_of_a_speaker(account, known[0], len(set().union(*(spoke[one] for one in known)))),
        )
        for number, known in enumerate(spellings.values(), start=1)
    ]
    users = [
        Member(id=f"{account}-u{number}", answer={5: "no", 9: "silent"}.get(number, "yes"))
        for number in range(1, _USERS + 1)
    ]
    meetings = tuple(
        # Four meetings a day, from a week after the first day on.
        Meeting(
            name=meeting, path=path, started=FIRST_DAY + timedelta(days=7 + number // 4, hours=8 + 2 * (number % 4))
        )
        for number, (meeting, path) in enumerate(paths.items())
    )
    summaries = folder / f"{account}-summaries.jsonl"
    _write_lines(
        summaries,
        [{"meeting": meeting, "text": text} for meeting in paths for text in gold.get(meeting, {}).get("summary", [])],
    )
    usage = folder / f"{account}-usage.jsonl"
    searches = [list(_searches(meeting, gold.get(meeting.name, {}), users)) for meeting in meetings]
    _write_lines(usage, [_request(account, events) for events in searches])
    return Customer(
        id=account,
        name=name,
        region=_REGIONS.get(account),
        people=(*speakers, *users),
        meetings=meetings,
        summaries=summaries,
        chat=None,
        usage=usage,
        busiest=users[0].id,
    )


def _start(number: int) -> datetime:
    """Hold four meetings a day, from a week after the first day on."""
    return FIRST_DAY + timedelta(days=7 + number // 4, hours=8 + 2 * (number % 4))


def _of_a_speaker(account: str, name: str, meetings: int) -> str:
    """Let a few of those who spoke in one meeting only say no or nothing: each keeps a whole meeting out."""
    draw = _draw("answer", account, name) % 40
    return {0: "no", 1: "silent"}.get(draw, "yes") if meetings == 1 else "yes"


def _searches(meeting: Meeting, gold: dict[str, Any], users: Sequence[Member]) -> Iterator[dict[str, Any]]:
    """Yield who searched what and opened which turns, in the days after the meeting."""
    for number, query in enumerate(gold.get("queries", [])):
        seed = _draw("clicks", meeting.name, number)
        for click in range(_CLICKS[0] + seed % (_CLICKS[1] - _CLICKS[0] + 1)):
            who = users[(seed // 8 + 5 * click) % len(users)]
            for part, (first, last) in enumerate(query["cues"]):
                at = meeting.started + timedelta(days=1 + click, minutes=10 * number + part)
                attributes = {
                    "search.query": query["query"],
                    "search.meeting": meeting.name,
                    "search.first_turn": first,
                    "search.last_turn": last,
                }
                yield _event(at, who.id, "search.opened", attributes)


def _who_chats(path: Path, folder: Path) -> Customer:
    account = path.stem
    with zipfile.ZipFile(path) as archive:
        users = json.loads(archive.read("users.json"))
        days = sorted(name for name in archive.namelist() if "/" in name)
        messages = [message for day in days for message in json.loads(archive.read(day))]
    people = tuple(
        Member(
            id=f"{account}-{user['id']}",
            name=user["real_name"],
            aliases=(user["id"],),
            emails=(user["profile"]["email"],),
            answer={0: "no", 1: "silent", 2: "from-now"}.get(_draw("answer", account, user["id"]) % 25, "yes"),
        )
        for user in users
    )
    said = Counter(message["user"] for message in messages)
    willing = [member for member in people if member.answer == "yes"]
    conversations = {line["ts"]: line["conversation"] for line in _lines(path.with_suffix(".conversations.jsonl"))}
    first: dict[tuple[str, str], str] = {}
    for message in messages:
        if message["ts"] in conversations:
            first.setdefault((message["user"], conversations[message["ts"]]), message["ts"])
    events = [
        _event(
            datetime.fromtimestamp(float(ts), UTC),
            who,
            "conversation.opened",
            {"volition.item": f"conversation/{which}"},
        )
        for (who, which), ts in first.items()
    ]
    usage = folder / f"{account}-usage.jsonl"
    _write_lines(usage, [_request(account, events[start : start + 500]) for start in range(0, len(events), 500)])
    return Customer(
        id=account,
        name=f"The {account} community",
        region=None,
        people=people,
        meetings=(),
        summaries=None,
        chat=path,
        usage=usage,
        busiest=max(willing, key=lambda member: said[member.aliases[0]]).id,
    )


def _sent(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC)


def _event(at: datetime, person: str, name: str, attributes: dict[str, str | int]) -> dict[str, Any]:
    told = {"volition.person": person, "volition.category": "service/usage", **attributes}
    return {
        "timeUnixNano": str(round(at.timestamp() * 1_000_000) * 1000),
        "eventName": name,
        "attributes": [
            {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
            for key, value in told.items()
        ],
    }


def _request(account: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    resource = {"attributes": [{"key": "volition.account", "value": {"stringValue": account}}]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}


def _draw(*what: object) -> int:
    """Return a number that looks random and is the same on every machine."""
    return int(hashlib.sha256(repr(what).encode()).hexdigest()[:12], 16)


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _write_lines(path: Path, values: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), "utf-8")
