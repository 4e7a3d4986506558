"""How the server holds under load: 200 users at once, beside a training, for a minute. `python -m bench load`.

`volition serve`, with the processes that it has beside it, is asked over HTTP, on whatever cores there are; who asks
shares them. Of the users

- 120 read: a page of settings or a search, then the next after a pause, in which they read;
- 30 decide: a yes, a no after a pause, and at once after it whether it is heard; 3 s on average, they are quick;
- 20 are programs that ask whether something may be used, ten times a second each;
- 10 are collectors, which send 5,000 records a second together, in requests of 512;
- 20 follow the training, which begins anew as soon as it is done.

People pause between what they do: for a random time of the exponential distribution, with a mean of 7 s, as TPC-W
(clause 5.3.1.1) has its browsers think. Without a pause, 120 users would be some thousand people who read, and what is
measured would be the queue. What one core can do with nobody pausing is measured by itself, after the minute: pages,
and decisions that are a no, by as many at once as `FLAT_OUT`.

At the end it is looked whether the ledger and the lake hold everything that was acknowledged. Memory is that of all the
server's processes together; it is compared with what they had after ten seconds of the same load, when all that is made
once (the encoder, the templates, the workspaces of each lane) is there.

`--rows N` runs it for N seconds instead of a minute.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bench.http import cpu_seconds_of, processes_of, serving
from bench.meetings import machine
from volition.server.auth import Access, Role, Scope
from volition.workspace import Workspace

PEOPLE: Final = 200
SECONDS: Final = 60
BATCH: Final = 512
RECORDS_S: Final = 5_000
READERS, DECIDERS, ASKERS, SENDERS, FOLLOWERS = 120, 30, 20, 10, 20
READING_S: Final = 7.0
"""How long people read a page, on average (TPC-W 5.3.1.1)."""

DECIDING_S: Final = 3.0
LONGEST: Final = 10  # no pause is longer than so many times the mean, likewise
WARMING_S: Final = 10
FLAT_OUT: Final = 8
FLAT_OUT_S: Final = 5
_DATA: Final = ["service"]


@dataclass
class Seen:
    """What the users saw."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    decided: list[int] = field(default_factory=list)  # acknowledged entries
    stored: int = 0  # acknowledged records
    again: int = 0  # requests sent again, since the connection had been closed before anything of them was read
    wrong: int = 0  # answers of /v1/may that somebody had forbidden before


class _ClosedError(OSError):
    """A connection that had been used before was closed, and nothing came of an answer."""


class Client:
    """One connection, kept open; a dozen lines instead of a library, since the client shares the server's cores."""

    def __init__(self, url: str, seen: Seen, headers: str) -> None:
        """Connect to `url` when first asked; `headers` are sent with each request."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._seen = seen
        self._headers = headers
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, name: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request and return the status and the body; 0 where there was no answer."""
        began_s = time.perf_counter()
        try:
            async with asyncio.timeout(60):
                try:
                    status, answer = await self._ask(method, path, body)
                except _ClosedError:  # an idle connection that the server was closing: as any client does, once
                    self.close()
                    self._seen.again += 1
                    status, answer = await self._ask(method, path, body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            status, answer = 0, b""
            self.close()
        self._seen.seconds[name].append(time.perf_counter() - began_s)
        self._seen.statuses[name][status] += 1
        return status, answer

    async def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self._streams is not None and self._streams[0].at_eof():  # closed meanwhile, since nobody asked for long
            self.close()
        is_used = self._streams is not None
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        try:
            writer.write(head.encode() + body)
            await writer.drain()
            header = await reader.readuntil(b"\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if is_used and not getattr(error, "partial", b""):
                raise _ClosedError from error
            raise
        lines = header.decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        if "content-length" in fields:
            answer = await reader.readexactly(int(fields["content-length"]))
        else:  # in chunks
            answer = b""
            while size := int(await reader.readline(), 16):
                answer += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        if fields.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), answer

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the server under load."""
    seconds = args.rows or SECONDS
    with tempfile.TemporaryDirectory(prefix="volition-bench-") as name:
        folder = Path(name) / "workspace"
        token, cookies = _make(folder)
        entries, records = _counts(folder)
        with serving(folder) as (url, pid):
            at_first_mib = _memory_mib(pid)
            warming = asyncio.run(_all(url, token, cookies, min(WARMING_S, seconds)))
            before_mib = _memory_mib(pid)
            seen = asyncio.run(_all(url, token, cookies, seconds))
            after_mib = _memory_mib(pid)
            alone, flat_out = asyncio.run(_flat_out(url, token, cookies, pid))
        entries_after, records_after = _counts(folder)
    everything = (warming, seen, alone)
    decided, stored = sum(len(one.decided) for one in everything), sum(one.stored for one in everything)
    lost = max(0, decided - (entries_after - entries)) + max(0, stored - (records_after - records))
    failed = sum(
        count
        for one in everything
        for statuses in one.statuses.values()
        for status, count in statuses.items()
        if not _is_fine(status)
    )
    figures: dict[str, dict[str, Any]] = {
        name: {
            "asked": len(taken),
            "a second": round(len(taken) / seconds, 1),
            "p50 ms": _percentile_ms(taken, 0.5),
            "p99 ms": _percentile_ms(taken, 0.99),
            "statuses": json.dumps(dict(sorted(seen.statuses[name].items()))),
        }
        for name, taken in sorted(seen.seconds.items())
    }
    values = {"errors other than 503": failed, "acknowledgements lost": lost}
    values["wrong permits"] = sum(one.wrong for one in everything)
    return {
        "bench": "load",
        "figures": {
            **figures,
            **flat_out,
            "records a second": seen.stored / seconds,
            "sent again, since an idle connection was just closed": sum(one.again for one in everything),
            "memory of all processes at the start, MiB": at_first_mib,
            "memory of all processes after ten seconds, MiB": before_mib,
            "memory of all processes at the end, MiB": after_mib,
            "load of the machine": os.getloadavg()[0],
            "seconds": seconds,
        },
        "goals": [
            _goal("a no, 99th percentile, ms", figures["no"]["p99 ms"], 500),
            _goal("a page, 99th percentile, ms", figures["page"]["p99 ms"], 500),
            *(_goal(name, value, 0) for name, value in values.items()),
            _goal("memory at the end by memory after ten seconds", after_mib / before_mib, 1.5),
        ],
        "machine": machine(),
    }


def _goal(name: str, value: float, at_most: float) -> dict[str, Any]:
    return {"name": name, "value": value, "at_most": at_most, "met": value <= at_most}


async def _all(url: str, token: str, cookies: list[str], seconds: int) -> Seen:
    seen, until_s = Seen(), time.monotonic() + seconds
    bearer = f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    sessions = [f"Cookie: volition={cookie}\r\nSec-Fetch-Site: same-origin\r\n" for cookie in cookies]
    training = asyncio.create_task(_train(Client(url, seen, bearer), url, bearer, until_s))
    users = [_read(Client(url, seen, sessions[number]), until_s) for number in range(READERS)]
    users += [_decide(Client(url, seen, bearer), seen, number, until_s) for number in range(DECIDERS)]
    users += [_ask(Client(url, seen, bearer), until_s) for _ in range(ASKERS)]
    users += [_send(Client(url, seen, bearer), seen, until_s) for _ in range(SENDERS)]
    await asyncio.gather(*users)
    await training
    return seen


async def _flat_out(url: str, token: str, cookies: list[str], pid: int) -> tuple[Seen, dict[str, Any]]:
    """Measure what the server does by itself where nobody pauses: pages, then noes."""
    seen, figures = Seen(), {}
    bearer = f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    sessions = [f"Cookie: volition={cookie}\r\nSec-Fetch-Site: same-origin\r\n" for cookie in cookies]

    async def read(number: int, until_s: float) -> None:
        client = Client(url, seen, sessions[number])
        while time.monotonic() < until_s:
            await client.ask("pages flat out", "GET", "/settings")

    async def refuse(number: int, until_s: float) -> None:
        client = Client(url, seen, bearer)
        while time.monotonic() < until_s:
            await _say(client, seen, "noes flat out", number, "no")

    for name, work in (("pages flat out", read), ("noes flat out", refuse)):
        cpu_s = cpu_seconds_of(pid)
        until_s = time.monotonic() + FLAT_OUT_S
        await asyncio.gather(*(work(number, until_s) for number in range(FLAT_OUT)))
        taken = seen.seconds[name]
        figures[name] = {
            "at once": FLAT_OUT,
            "a second": round(len(taken) / FLAT_OUT_S, 1),
            "ms of the answering process's CPU each": round((cpu_seconds_of(pid) - cpu_s) * 1000 / len(taken), 2),
            "p99 ms": _percentile_ms(taken, 0.99),
        }
    return seen, figures


async def _pause(mean_s: float, until_s: float) -> None:
    """Read, think, do something else; no longer than until the end."""
    left_s = max(0.0, until_s - time.monotonic())
    await asyncio.sleep(min(random.expovariate(1 / mean_s), LONGEST * mean_s, left_s))


async def _read(client: Client, until_s: float) -> None:
    """Somebody who looks at their settings, and searches."""
    await asyncio.sleep(random.uniform(0, READING_S))  # they do not come all at once
    while time.monotonic() < until_s:
        await client.ask("page", "GET", "/settings")
        await _pause(READING_S, until_s)
        await client.ask("search", "GET", "/search?q=budget")
        await _pause(READING_S, until_s)


async def _decide(client: Client, seen: Seen, number: int, until_s: float) -> None:
    """Somebody who says yes, then no, and then asks whether it is heard."""
    question = {"purpose": "train/recommend", "account": "acme", "people": [f"p{number}"], "category": "service/usage"}
    await asyncio.sleep(random.uniform(0, DECIDING_S))
    while time.monotonic() < until_s:
        for answer in ("yes", "no"):
            if await _say(client, seen, answer, number, answer) and answer == "no":
                status, said = await client.ask("may", "POST", "/v1/may", json.dumps(question).encode())
                seen.wrong += status == HTTPStatus.OK and json.loads(said)["permitted"]
            await _pause(DECIDING_S, until_s)


async def _say(client: Client, seen: Seen, name: str, number: int, answer: str) -> bool:
    """Say yes or no for somebody; return whether it was acknowledged."""
    body = {"party": f"person:p{number}", "data": _DATA, "purpose": ["train"], "answer": answer}
    status, said = await client.ask(name, "POST", "/v1/decisions", json.dumps(body).encode())
    if status == HTTPStatus.CREATED:
        seen.decided.append(json.loads(said)["seq"])
    return status == HTTPStatus.CREATED


async def _ask(client: Client, until_s: float) -> None:
    while time.monotonic() < until_s:
        person = random.randrange(PEOPLE)
        question = {"purpose": "train/search", "account": "acme", "people": [f"p{person}"], "category": "service/usage"}
        await client.ask("may", "POST", "/v1/may", json.dumps(question).encode())
        await asyncio.sleep(0.1)


async def _send(client: Client, seen: Seen, until_s: float) -> None:
    """A collector that sends its share of `RECORDS_S`, and waits where it is told to."""
    every_s, next_s = BATCH * SENDERS / RECORDS_S, time.monotonic()
    while time.monotonic() < until_s:
        status, _ = await client.ask("otlp", "POST", "/v1/logs", _batch())
        seen.stored += BATCH if status == HTTPStatus.OK else 0
        next_s = max(next_s + every_s, time.monotonic() + (1 if status == HTTPStatus.SERVICE_UNAVAILABLE else 0))
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))


async def _train(client: Client, url: str, headers: str, until_s: float) -> None:
    """Train again and again, with followers of each training."""
    while time.monotonic() < until_s:
        status, said = await client.ask("train", "POST", "/v1/runs", b'{"family": "recommend"}')
        if status == HTTPStatus.ACCEPTED:
            run = json.loads(said)["run"]
            await asyncio.gather(*(_follow(url, headers, run, until_s) for _ in range(FOLLOWERS)))
        await asyncio.sleep(1)


async def _follow(url: str, headers: str, run: str, until_s: float) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET /v1/runs/{run}/events HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n".encode())
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, until_s - time.monotonic())):
            while await reader.read(1 << 16):
                pass
    writer.close()


def _batch() -> bytes:
    """Return OTLP of people who used something, each record another."""
    records = [
        {
            "timeUnixNano": str(time.time_ns() + number),
            "eventName": "channel.opened",
            "attributes": [
                {"key": "volition.person", "value": {"stringValue": f"p{random.randrange(PEOPLE)}"}},
                {"key": "volition.item", "value": {"stringValue": f"channel/c{random.randrange(50)}"}},
            ],
        }
        for number in range(BATCH)
    ]
    shared = {"volition.account": "acme", "volition.category": "service/usage"}
    resource = {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in shared.items()]}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}).encode()


def _make(folder: Path) -> tuple[str, list[str]]:
    """Make the workspace; return a token that may do everything here, and a session for each reader."""
    with Workspace.create(folder) as workspace:
        workspace.people.add_account("acme", "Acme", region="US")
        workspace.terms.accept("acme")
        workspace.consent.decide("account:acme", yes=True, data=_DATA, purpose=["train", "feature"], covers="past")
        for person in range(PEOPLE):
            workspace.people.add_person(f"p{person}", account="acme")
        workspace.records.collect_otlp_request(_batch(), encoding="json", signal="logs", source="before")
    access = Access.open(folder)
    try:
        access.users.add("bench", roles=[Role.OPERATOR])
        _, token = access.tokens.issue("bench", name="bench", roles=[Role.OPERATOR], scopes=list(Scope))
        for user in range(READERS):
            access.users.add(f"u{user}", roles=[Role.PERSON], account="acme", person=f"p{user}")
        return token, [access.sessions.begin(f"u{user}") for user in range(READERS)]
    finally:
        access.close()


def _counts(folder: Path) -> tuple[int, int]:
    """Return how many decisions the ledger holds, and how many records the lake."""
    with Workspace.open(folder) as workspace:
        decisions = sum(entry.kind == "decision" for entry in workspace.entries())
        return decisions, sum(workspace.records.stock().categories.values())


def _memory_mib(pid: int) -> float:
    """Return how much memory a process and those that it began hold, each with what it shares with others."""
    pages = 0
    for one in processes_of(pid):
        with suppress(OSError):  # it has just ended
            pages += int(Path(f"/proc/{one}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _is_fine(status: int) -> bool:
    return 200 <= status < 400 or status == HTTPStatus.SERVICE_UNAVAILABLE


def _percentile_ms(seconds: list[float], share: float) -> float:
    return round(sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))] * 1000, 1)
