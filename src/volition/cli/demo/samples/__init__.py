"""Four invented customers of an invented collaboration product, written out as that product would export them.

Everything said here was written for Volition; no company, person, address or number is real. It is for anyone who wants
to see the whole road with data that reads like work: four accounts, twenty-four meetings, four chat exports.

- What people say is text in this folder, written by hand: transcripts, summaries, search queries, chats. Most people of
  the two larger accounts also write what is said in any office (`everyday.txt`), so that a composer has something that
  enough people write alike.
- What people do is simulated: which items they open, which search hits they choose, how their calls went. Interests are
  planted (`SampleAccount.interests`), so that a recommender has something to find.
- The same seed and start give the same bytes, whatever the machine.

    >>> samples = write_samples(folder, start=datetime(2026, 1, 5, tzinfo=UTC))
    >>> [account.id for account in samples.accounts]
    ['helio', 'brannock', 'lantern', 'copper']
"""

import json
import random
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from volition.canonical import datetime_to_us, us_to_datetime
from volition.errors import InvalidInputError

DAYS: Final = 60
"""How many days the samples span, from their start."""

ACCOUNTS: Final = ("helio", "brannock", "lantern", "copper")

_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_MINUTE_US: Final = 60_000_000
_WORKDAYS: Final = 5  # of seven, counted from the start, which is meant to be a Monday
_ZIP_TIME: Final = (2000, 1, 1, 0, 0, 0)  # what a zip says of its entries' age must not depend on the day of writing

# How people use the product. The numbers are chosen, not measured: interests strong enough to be found among noise.
_SECOND_INTEREST: Final = 0.3  # share of people with a second group of items
_MAIN_ITEMS: Final = 0.85  # chance that a person comes to use an item of the main interest
_SECOND_ITEMS: Final = 0.4
_COMMON_ITEMS: Final = 0.7  # of what everyone uses
_STRAY_ITEMS: Final = 0.04  # of anything else
_CLICKS: Final = (3, 6)  # least and most people who search for the same thing
_WRONG_CLICK: Final = 0.08
_PARTIAL_CLICK: Final = 0.17
_CLIENTS: Final = ("5.0.2", "5.0.2", "5.1.0")  # the newest one fails more often
_PLATFORMS: Final = ("desktop", "desktop", "web", "phone")
_EVERYDAY: Final = "front-desk"
"""The channel of everyday messages."""

_EVERYDAY_ACCOUNTS: Final = ("helio", "brannock")
_EVERYDAY_MESSAGES: Final = 8  # of each user
_VERBS: Final = {"channel": "channel.opened", "document": "document.opened", "feature": "feature.used"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePerson:
    """Somebody who speaks in the samples.

    Attributes:
        id: Id that the usage events carry.
        name: Name as transcripts and chats show it.
        email: Address, the one of the chat export.
        aliases: Other ways in which the name is written.
        region: Where the person is, a code of ISO 3166.
        slack_id: Id that the chat export carries.
    """

    id: str
    name: str
    email: str
    aliases: tuple[str, ...]
    region: str
    slack_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleMeeting:
    """A meeting whose transcript was written.

    Attributes:
        name: Id of the meeting within the account.
        title: What the invitation said.
        path: The transcript, WebVTT.
        start_us: When it began, microseconds since the Unix epoch, UTC.
    """

    name: str
    title: str
    path: Path
    start_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAccount:
    """A customer, and where its exports lie.

    Attributes:
        id: Id of the account.
        name: Name of the organisation.
        region: Where it is, a code of ISO 3166.
        people: Those who speak.
        users: Ids of further users, known only by what they do.
        meetings: By the time they began.
        summaries: JSON lines `{"meeting", "text"}`: minutes as somebody edited them.
        queries: JSON lines `{"meeting", "query", "first_turn", "last_turn"}`: what people search, and the turns that
            answer it, the last one included.
        slack: Chat export, a zip.
        usage: OTLP logs in JSON, one request a line.
        interests: The planted groups of items, by name; the items of the group "everyone" are for all.
    """

    id: str
    name: str
    region: str
    people: tuple[SamplePerson, ...]
    users: tuple[str, ...]
    meetings: tuple[SampleMeeting, ...]
    summaries: Path
    queries: Path
    slack: Path
    usage: Path
    interests: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What was written.

    Attributes:
        folder: Holds one folder for each account.
        start: First instant.
        end: Instant before which everything happened.
        accounts: The customers.
    """

    folder: Path
    start: datetime
    end: datetime
    accounts: tuple[SampleAccount, ...]


@dataclass(frozen=True, slots=True)
class _Event:
    """One log record before it is written as OTLP; its fields order events by time, and equal times for good."""

    at_us: int
    person: str
    category: str
    name: str
    attributes: tuple[tuple[str, str | int | float], ...]

    @property
    def order(self) -> tuple[int, str, str, str]:
        return (self.at_us, self.person, self.category, self.name)


def write_samples(folder: Path | str, *, seed: int = 7, start: datetime) -> Samples:
    """Write the exports of all accounts, each into a folder of its id; files of an earlier run are replaced.

    Args:
        folder: Created if need be.
        seed: Decides what people do. What they say is the same for every seed.
        start: First instant of the sixty days, with a time zone. Take midnight before a Monday: weekends then fall
            where the stories expect them.

    Returns:
        The accounts, their people and the paths of their files.

    Raises:
        InvalidInputError: The start has no time zone.
    """
    if start.tzinfo is None:
        raise InvalidInputError("The start has no time zone, so nobody knows when it is. Add one, such as UTC.")
    folder = Path(folder)
    start_us = datetime_to_us(start)
    accounts = tuple(_write_account(folder / name, name, seed, start_us) for name in ACCOUNTS)
    return Samples(folder=folder, start=start, end=start + timedelta(days=DAYS), accounts=accounts)


def _write_account(folder: Path, name: str, seed: int, start_us: int) -> SampleAccount:
    home = resources.files(__name__) / name
    about = json.loads((home / "account.json").read_text(encoding="utf-8"))
    (folder / "meetings").mkdir(parents=True, exist_ok=True)
    meetings = []
    for meeting in sorted(about["meetings"], key=lambda meeting: (meeting["day"], meeting["minute"])):
        path = folder / "meetings" / f"{meeting['name']}.vtt"
        path.write_bytes((home / "meetings" / path.name).read_bytes())
        began_us = start_us + meeting["day"] * _DAY_US + meeting["minute"] * _MINUTE_US
        meetings.append(SampleMeeting(name=meeting["name"], title=meeting["title"], path=path, start_us=began_us))
    for file in ("summaries.jsonl", "queries.jsonl"):
        (folder / file).write_bytes((home / file).read_bytes())
    users = tuple(f"{name}-u{number}" for number in range(1, about["users"] + 1))
    _write_slack(folder / "slack.zip", home / "slack", about, users if name in _EVERYDAY_ACCOUNTS else (), start_us)
    account = SampleAccount(
        id=name,
        name=about["name"],
        region=about["region"],
        people=tuple(
            SamplePerson(
                id=person["id"],
                name=person["name"],
                email=person["email"],
                aliases=tuple(person["aliases"]),
                region=person["region"],
                slack_id=person["slack"],
            )
            for person in about["people"]
        ),
        users=users,
        meetings=tuple(meetings),
        summaries=folder / "summaries.jsonl",
        queries=folder / "queries.jsonl",
        slack=folder / "slack.zip",
        usage=folder / "usage.jsonl",
        interests={group: tuple(items) for group, items in about["interests"].items()},
    )
    stated = {person["id"]: tuple(person["interests"]) for person in about["people"]}
    _write_usage(account, stated, seed, start_us)
    return account


# --- chat -----------------------------------------------------------------------------------------------------------


def slack_id(user: str) -> str:
    """Return the id that the chat export carries for a user who is known only by what they do and write every day."""
    return f"U0{user.replace('-', '').upper()}"


def _write_slack(
    path: Path, home: Traversable, about: Mapping[str, Any], writers: Sequence[str], start_us: int
) -> None:
    """Write the zip as Slack lays it out: users, channels, and a file of messages for each channel and day."""
    users = [
        {
            "id": person["slack"],
            "name": person["email"].partition("@")[0],
            "real_name": person["name"],
            "is_bot": False,
            "profile": {"real_name": person["name"], "email": person["email"]},
        }
        for person in about["people"]
    ] + [
        {"id": slack_id(user), "name": user, "real_name": user, "is_bot": False, "profile": {"real_name": user}}
        for user in writers
    ]
    members = [user["id"] for user in users]
    channels = json.loads((home / "channels.json").read_text(encoding="utf-8"))
    files: dict[str, Any] = {
        "users.json": users,
        "channels.json": [{**channel, "is_archived": False, "members": members} for channel in channels],
    }
    for channel in channels:
        written = json.loads((home / f"{channel['name']}.json").read_text(encoding="utf-8"))
        for day, messages in _days(written, start_us):
            files[f"{channel['name']}/{day}.json"] = messages
    if writers:
        files["channels.json"].append(
            {"id": "C0FRONTDESK", "name": _EVERYDAY, "is_archived": False, "members": members}
        )
        for day, messages in _days(_everyday(writers), start_us):
            files[f"{_EVERYDAY}/{day}.json"] = messages
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # not deflated: its bytes differ between zlibs
        for name, value in files.items():
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.create_system = 3  # or the bytes would depend on the operating system
            archive.writestr(entry, json.dumps(value, ensure_ascii=False, indent=1))


def _everyday(writers: Sequence[str]) -> list[dict[str, Any]]:
    """Let everybody write some everyday messages; who writes what is the same for every seed."""
    texts = (resources.files(__name__) / "everyday.txt").read_text(encoding="utf-8").splitlines()
    rng = random.Random(_EVERYDAY)  # noqa: S311 - a simulation, not a secret
    written = [
        {
            "day": _workday(rng.randrange(DAYS)),
            "second": rng.randrange(8 * 3600, 18 * 3600),
            "user": slack_id(user),
            "text": text,
        }
        for user in writers
        for text in rng.sample(texts, _EVERYDAY_MESSAGES)
    ]
    written.sort(key=lambda message: (message["day"], message["second"], message["user"]))
    return [message | {"micro": place + 1} for place, message in enumerate(written)]  # a place in time for each


def _days(written: Sequence[Mapping[str, Any]], start_us: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Date a channel's messages and group them by day."""
    times_us = [start_us + item["day"] * _DAY_US + item["second"] * 1_000_000 + item["micro"] for item in written]
    stamps = [f"{time_us // 1_000_000}.{time_us % 1_000_000:06d}" for time_us in times_us]
    replies: dict[int, int] = defaultdict(int)
    for item in written:
        if "reply_to" in item:
            replies[item["reply_to"]] += 1
    days: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, item in enumerate(written):
        message = {"type": "message", "user": item["user"], "text": item["text"], "ts": stamps[number]}
        if "reply_to" in item:
            message["thread_ts"] = stamps[item["reply_to"]]
        elif number in replies:
            message |= {"thread_ts": stamps[number], "reply_count": replies[number]}
        if "reactions" in item:
            message["reactions"] = [{**reaction, "count": len(reaction["users"])} for reaction in item["reactions"]]
        days[us_to_datetime(times_us[number]).date().isoformat()].append(message)
    yield from sorted(days.items())


# --- usage ----------------------------------------------------------------------------------------------------------


def _write_usage(account: SampleAccount, stated: Mapping[str, tuple[str, ...]], seed: int, start_us: int) -> None:
    rng = random.Random(f"{seed}/{account.id}")  # noqa: S311 - a simulation, not a secret
    people = [*(person.id for person in account.people), *account.users]
    groups = [group for group in account.interests if group != "everyone"]
    events: list[_Event] = []
    for person in people:
        interests = stated.get(person) or _draw_interests(rng, groups)
        events += _openings(rng, person, interests, account.interests, start_us)
        events += _sessions(rng, person, start_us)
    events += _searches(rng, account, people, start_us)
    days: dict[int, list[_Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.order):
        days[(event.at_us - start_us) // _DAY_US].append(event)
    lines = [json.dumps(_request(account.id, days[day]), ensure_ascii=False) + "\n" for day in sorted(days)]
    account.usage.write_bytes("".join(lines).encode())


def _draw_interests(rng: random.Random, groups: Sequence[str]) -> tuple[str, ...]:
    count = 2 if rng.random() < _SECOND_INTEREST else 1
    return tuple(rng.sample(groups, count))


def _openings(
    rng: random.Random, person: str, interests: Sequence[str], groups: Mapping[str, Sequence[str]], start_us: int
) -> Iterator[_Event]:
    """Yield what one person opens: what everyone uses early on, the rest found over the weeks and then used again."""
    for group, items in groups.items():
        chance = _STRAY_ITEMS
        if group == "everyone":
            chance = _COMMON_ITEMS
        elif group in interests:
            chance = _MAIN_ITEMS if group == interests[0] else _SECOND_ITEMS
        latest = 9 if group == "everyone" else DAYS - 8
        for item in items:
            if rng.random() >= chance:
                continue
            found = rng.randint(0, latest)
            again = [rng.randint(found, DAYS - 1) for _ in range(rng.randint(1, 6))]
            for day in (found, *again):
                yield _Event(
                    _moment(rng, start_us, day),
                    person,
                    "service/usage",
                    _VERBS[item.partition("/")[0]],
                    (("volition.item", item), ("client.platform", rng.choice(_PLATFORMS))),
                )


def _sessions(rng: random.Random, person: str, start_us: int) -> Iterator[_Event]:
    """Yield how one person's calls went; jitter, loss and the newest client make failures likelier."""
    for number in range(rng.randint(4, 9)):
        session = ("session.id", f"{person}-{number}")
        at_us = _moment(rng, start_us, rng.randrange(DAYS))
        client, jitter_ms, loss_percent = rng.choice(_CLIENTS), rng.expovariate(1 / 14), rng.expovariate(1 / 0.8)
        risk = 0.03 + 0.2 * (client == "5.1.0") + 0.4 * (jitter_ms > 30) + 0.4 * (loss_percent > 2)
        failed = rng.random() < risk
        measured = (
            session,
            ("client.version", client),
            ("network.jitter_ms", round(jitter_ms, 1)),
            ("network.loss_percent", round(loss_percent, 2)),
        )
        yield _Event(at_us, person, "service/telemetry", "call.measured", measured)
        cause = "network" if max(jitter_ms / 30, loss_percent / 2) > 1 else "client"
        outcome = (("session.outcome", "failed"), ("session.cause", cause)) if failed else (("session.outcome", "ok"),)
        ended_us = at_us + rng.randint(2, 55) * _MINUTE_US
        yield _Event(
            ended_us, person, "service/diagnostics", "session.ended", (session, ("client.version", client), *outcome)
        )


def _searches(rng: random.Random, account: SampleAccount, people: Sequence[str], start_us: int) -> Iterator[_Event]:
    """Yield which hits people open: mostly what answers the query, sometimes a part of it, sometimes another."""
    queries = [json.loads(line) for line in account.queries.read_text(encoding="utf-8").splitlines()]
    ended_us = {meeting.name: meeting.start_us + _HOUR_US for meeting in account.meetings}
    speakers = [person.id for person in account.people]
    for query in queries:
        ranges = [(q["first_turn"], q["last_turn"]) for q in queries if q["meeting"] == query["meeting"]]
        right = (query["first_turn"], query["last_turn"])
        others = [turns for turns in ranges if turns[1] < right[0] or turns[0] > right[1]]
        searchers = dict.fromkeys([*rng.sample(speakers, 2), *rng.sample(people, rng.randint(*_CLICKS) - 2)])
        for person in searchers:
            first, last = right
            chance = rng.random()
            if chance < _WRONG_CLICK and others:
                first, last = rng.choice(others)
            elif chance < _WRONG_CLICK + _PARTIAL_CLICK:
                first = last = rng.randint(first, last)
            last_us = start_us + DAYS * _DAY_US - 1
            at_us = rng.randrange(ended_us[query["meeting"]], min(ended_us[query["meeting"]] + 14 * _DAY_US, last_us))
            yield _Event(
                at_us,
                person,
                "service/usage",
                "search.opened",
                (
                    ("search.query", query["query"]),
                    ("search.meeting", query["meeting"]),
                    ("search.first_turn", first),
                    ("search.last_turn", last),
                ),
            )


def _workday(day: int) -> int:
    """Return a day, or the Friday before it where it is of a weekend."""
    return day - max(0, day % 7 - (_WORKDAYS - 1))


def _moment(rng: random.Random, start_us: int, day: int) -> int:
    """Return an instant of the working hours of a day; a day of the weekend gives way to the Friday before it."""
    return start_us + _workday(day) * _DAY_US + rng.randrange(8 * _HOUR_US, 18 * _HOUR_US)


def _request(account: str, events: Sequence[_Event]) -> dict[str, Any]:
    """Write events as the JSON of one OTLP request (opentelemetry-proto, `ExportLogsServiceRequest`)."""
    records = [
        {
            "timeUnixNano": str(event.at_us * 1000),
            "eventName": event.name,
            "attributes": _attributes(
                {"volition.person": event.person, "volition.category": event.category, **dict(event.attributes)}
            ),
        }
        for event in events
    ]
    resource = {"attributes": _attributes({"service.name": "collaboration", "volition.account": account})}
    return {
        "resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "client"}, "logRecords": records}]}]
    }


def _attributes(values: Mapping[str, str | float]) -> list[dict[str, Any]]:
    """Write attributes as OTLP has them: integers as text, so that no reader rounds them."""
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: str | float) -> dict[str, str | float]:
    if isinstance(value, str):
        return {"stringValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"doubleValue": value}
