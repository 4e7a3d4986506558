"""Simulated sessions with planted causes: for the tests of diagnosis and `bench quality`. Nothing here is real.

Each session fails with a known probability: a base rate, raised by any of four causes that it has. Everything else that
is measured (jitter, round trip, device, system) changes nothing, so a diagnosis that names it is wrong.

    packet loss        mean above 3 %                          odds of failing x 12
    CPU load           mean above 85 %                         odds x 8
    client version     5.1.0                                   odds x 5
    codec              av1 on a cellular connection            odds x 8
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from volition.records.lake import Row

START_US: Final = 1_767_225_600_000_000  # 2026-01-01
_BASE: Final = -3.2  # log-odds of a session without any cause: 4 in 100 fail
_PUSHES: Final = {
    "network.loss_percent": math.log(12),
    "system.cpu.utilization": math.log(8),
    "client.version": math.log(5),
    "media.codec": math.log(8),
}
_MINUTE_US: Final = 60_000_000
_CLIENTS: Final = {"5.0.8": 0.5, "5.0.9": 0.3, "5.1.0": 0.2}
_SYSTEMS: Final = ("linux", "darwin", "windows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record of a session, as a client would send it."""

    name: str
    category: str
    at_us: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A session, and what is true of it.

    Attributes:
        name: Its `session.id`.
        account: Whose it is.
        person: Who had it.
        events: Its records by time; the last one has the outcome.
        risk: The probability with which it failed.
        causes: The attributes of the causes that it has.
        failed: Whether it did.
    """

    name: str
    account: str
    person: str
    events: tuple[Event, ...]
    risk: float
    causes: tuple[str, ...]
    failed: bool


def simulate(people: int, sessions_each: int, *, account: str = "acme", seed: int = 7) -> list[Planted]:
    """Simulate the sessions of an account's people; the same arguments give the same sessions everywhere."""
    rng = np.random.default_rng([seed, *account.encode()])
    planted = []
    for number in range(people):
        person = hashlib.sha256(f"{account}/{seed}/{number}".encode()).hexdigest()[:32]
        client = str(rng.choice(list(_CLIENTS), p=list(_CLIENTS.values())))
        system = str(rng.choice(_SYSTEMS))
        device = f"model-{rng.integers(6)}"
        for turn in range(sessions_each):
            at_us = START_US + int(rng.integers(30 * 24 * 60)) * _MINUTE_US
            said = {
                "client.version": client,
                "os.type": system,
                "device.model.identifier": device,
                "network.connection.type": str(rng.choice(["wifi", "wired", "cell"], p=[0.6, 0.25, 0.15])),
                "media.codec": str(rng.choice(["opus", "av1", "vp9"], p=[0.5, 0.3, 0.2])),
            }
            means = {
                "network.loss_percent": float(rng.exponential(1.2)),
                "system.cpu.utilization": float(np.clip(rng.beta(2.5, 2.5), 0.03, 0.97)),
                "network.jitter_ms": float(rng.exponential(14)),
                "network.rtt_ms": float(rng.lognormal(4.2, 0.5)),
            }
            causes = tuple(_causes(said, means))
            risk = 1 / (1 + math.exp(-(_BASE + sum(_PUSHES[cause] for cause in causes))))
            failed = bool(rng.random() < risk)
            events = tuple(_events(f"{person[:8]}-{turn:04d}", said, means, at_us, rng, failed=failed))
            planted.append(
                Planted(
                    name=f"{person[:8]}-{turn:04d}",
                    account=account,
                    person=person,
                    events=events,
                    risk=risk,
                    causes=causes,
                    failed=failed,
                )
            )
    return planted


def _causes(said: dict[str, str], means: dict[str, float]) -> Iterator[str]:
    if means["network.loss_percent"] > 3:
        yield "network.loss_percent"
    if means["system.cpu.utilization"] > 0.85:
        yield "system.cpu.utilization"
    if said["client.version"] == "5.1.0":
        yield "client.version"
    if said["media.codec"] == "av1" and said["network.connection.type"] == "cell":
        yield "media.codec"


def _events(  # noqa: PLR0913 - what a session is made of
    name: str,
    said: dict[str, str],
    means: dict[str, float],
    at_us: int,
    rng: np.random.Generator,
    *,
    failed: bool,
) -> Iterator[Event]:
    """Yield a start, three measurements around the session's means, and an end with the outcome."""
    own = {"session.id": name}
    yield Event(name="session.start", category="service/diagnostics", at_us=at_us, attributes=own | said)
    for minute in range(1, 4):
        noise = 1 + rng.uniform(-0.08, 0.08)
        measured = {attribute: round(mean * noise, 4) for attribute, mean in means.items()}
        yield Event(
            name="call.measured",
            category="service/telemetry",
            at_us=at_us + minute * _MINUTE_US,
            attributes=own | measured,
        )
    outcome = {"session.outcome": "failed", "error.type": "timeout"} if failed else {"session.outcome": "ok"}
    yield Event(
        name="session.end", category="service/diagnostics", at_us=at_us + 5 * _MINUTE_US, attributes=own | outcome
    )


def rows_of(sessions: Iterable[Planted], *, ended: bool = True) -> list[Row]:
    """Return sessions as rows; not `ended`, without the record of the outcome."""
    return [
        Row(
            record_id=hashlib.sha256(f"{one.account}/{one.name}/{place}".encode()).hexdigest()[:32],
            account=one.account,
            people=(one.person,),
            category=event.category,
            collected_us=event.at_us,
            payload={"kind": "event", "name": event.name, "attributes": event.attributes, "body": None},
        )
        for one in sessions
        for place, event in enumerate(one.events if ended else one.events[:-1])
    ]


def otlp_of(sessions: Sequence[Planted], *, ended: bool = True) -> bytes:
    """Return sessions as OTLP logs in JSON, one request a line, as an OpenTelemetry exporter writes them."""
    lines = []
    for one in sessions:
        records = [
            {
                "timeUnixNano": str(event.at_us * 1000),
                "eventName": event.name,
                "attributes": _attributes({"volition.person": one.person, "volition.category": event.category})
                + _attributes(event.attributes),
            }
            for event in (one.events if ended else one.events[:-1])
        ]
        resource = {"attributes": _attributes({"volition.account": one.account})}
        logs = {"resource": resource, "scopeLogs": [{"logRecords": records}]}
        lines.append(json.dumps({"resourceLogs": [logs]}) + "\n")
    return "".join(lines).encode()


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}}
        for key, value in values.items()
    ]
