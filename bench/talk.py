"""Invented meetings as rows: what is said, what was written of it afterwards, and which turns people opened."""

import random
from collections.abc import Iterator
from typing import Any, Final

from volition.canonical import digest
from volition.records.lake import Row

TURNS: Final = 200
"""Turns of a meeting."""

_MEETINGS: Final = 10  # of an account
_PEOPLE: Final = 20  # of an account; five take part in a meeting
_CHATTER: Final = ("so", "well", "yeah", "right", "we", "could", "then", "maybe", "think", "team", "again", "later")
_SUBJECTS: Final = [
    "battery",
    "budget",
    "colour",
    "holiday",
    "payroll",
    "menu",
    "server",
    "contract",
    "museum",
    "orchard",
    "pension",
    "radio",
]


def talk(rows: int) -> list[Row]:
    """Return about so many rows, the same at every call."""
    meetings = max(12, rows // (TURNS + 13))
    return [row for number in range(meetings) for row in _meeting(number)]


def _meeting(number: int) -> Iterator[Row]:
    rng = random.Random(number)
    account = f"account-{number // _MEETINGS}"
    people = [digest(f"{account}/{one}".encode())[:32] for one in rng.sample(range(_PEOPLE), 5)]
    name = f"meeting-{number}"
    said: list[str] = []
    for turn in range(TURNS):
        subject = _SUBJECTS[(turn // 16 + number) % len(_SUBJECTS)]
        text = " ".join([*rng.choices(_CHATTER, k=rng.randint(3, 14)), subject]).capitalize() + "."
        if turn % 20 == 7:
            said.append(text)
        speaker = people[turn % 5]
        payload: dict[str, Any] = {"kind": "segment", "meeting": name, "turn": turn, "start_ms": turn * 4000}
        payload |= {"end_ms": turn * 4000 + 3900, "speaker": speaker[:6], "text": text}
        everyone = (speaker, *(one for one in people if one != speaker))
        yield _row(account, everyone, "content/transcript", payload, number * 1000 + turn)
    edited = {"kind": "summary", "meeting": name, "text": " ".join(said)}
    yield _row(account, tuple(people), "content/transcript", edited, number * 1000 + TURNS)
    for place in range(12):
        first = place * 16
        query = f"what about the {_SUBJECTS[(place + number) % len(_SUBJECTS)]}"
        attributes: dict[str, Any] = {"search.query": query, "search.meeting": name}
        attributes |= {"search.first_turn": first, "search.last_turn": first + rng.randint(1, 8)}
        event = {"kind": "event", "name": "search.opened", "attributes": attributes, "body": None}
        yield _row(account, (people[place % 5],), "service/usage", event, number * 1000 + TURNS + 1 + place)


def _row(account: str, people: tuple[str, ...], category: str, payload: dict[str, Any], number: int) -> Row:
    return Row(
        record_id=digest(f"{account}/{number}".encode())[:32],
        account=account,
        people=people,
        category=category,
        collected_us=number,
        payload=payload,
    )
