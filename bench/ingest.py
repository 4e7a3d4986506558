"""How fast telemetry comes in: from a file, and over HTTP beside people who read pages. `python -m bench ingest`.

Records are what clients of calls and documents send: some eight attributes each, a third of them fractions, of 1,000
people of 10 accounts. From a file, `volition collect otlp` runs on one core, and its CPU seconds count, start included;
its bytecode is compiled before, as where it is installed.
Over HTTP a real server on one core takes protobuf requests of 512 records over two connections, while a user opens the
settings again and again; senders have the other cores, where there are any. A second of the server's CPU is one of all
its processes together: one answers, one takes in telemetry. Afterwards the lake is opened, and each record that was
acknowledged has to be in it once.
"""

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx2
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from bench.http import cpu_seconds_of, cpu_seconds_of_all, serving
from bench.meetings import machine
from volition.server.auth import Access, Role, Scope
from volition.workspace import Workspace

PEOPLE: Final = 1_000
ACCOUNTS: Final = 10
IN_ONE: Final = 512
ROWS: Final = 40_960
SECONDS: Final = 10
SENDERS: Final = 2

_CATEGORIES: Final = ("service/usage", "service/telemetry", "service/telemetry", "service/diagnostics")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure both ways in."""
    rows = args.rows or ROWS
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="volition-bench-") as name:
        folder = Path(name)
        figures: dict[str, Any] = {"attributes": "about 8 each, 1,000 people of 10 accounts"}
        for form in ("protobuf", "json"):
            _make(folder / form)
            figures[f"from a file of {form}"] = _from_file(folder / form, form, rows, core=cores[0])
        token, session = _make(folder / "served")
        figures["over HTTP"] = over_http = _over_http(folder / "served", token, session, core=cores[0])
    goals = [
        {
            "name": f"from a file of {form}, records a CPU second",
            "value": figures[f"from a file of {form}"]["records a CPU second"],
            "at_least": 10_000,
        }
        for form in ("protobuf", "json")
    ]
    goals += [
        {"name": "over HTTP, records a second", "value": over_http["records a second"], "at_least": 5_000},
        {"name": "a page meanwhile, 99th percentile, ms", "value": over_http["page p99 ms"], "at_most": 200},
        {"name": "acknowledged and not there once", "value": over_http["lost or doubled"], "at_most": 0},
    ]
    for goal in goals:
        goal["met"] = goal["value"] >= goal["at_least"] if "at_least" in goal else goal["value"] <= goal["at_most"]
    return {"bench": "ingest", "figures": figures, "goals": goals, "machine": machine()}


def _make(folder: Path) -> tuple[str, str]:
    """Make a workspace; return a token that may collect, and the session of a user."""
    with Workspace.create(folder) as workspace:
        for account in range(ACCOUNTS):
            workspace.people.add_account(f"a{account}", f"Account {account}", region="US")
            workspace.terms.accept(f"a{account}")
        for person in range(PEOPLE):
            workspace.people.add_person(f"p{person}", account=f"a{person % ACCOUNTS}")
    access = Access.open(folder)
    try:
        access.users.add("bench", roles=[Role.ENGINEER])
        _, token = access.tokens.issue("bench", name="bench", roles=[Role.ENGINEER], scopes=[Scope.COLLECT])
        access.users.add("u0", roles=[Role.PERSON], account="a0", person="p0")
        return token, access.sessions.begin("u0")
    finally:
        access.close()


def _requests() -> Iterator[ExportLogsServiceRequest]:
    """Yield requests without end, no record twice."""
    drawn = random.Random(1)
    start_ns = time.time_ns() - 3_600 * 10**9
    for number in itertools.count():
        request = ExportLogsServiceRequest()
        scopes = {}
        for place in range(IN_ONE):
            person = drawn.randrange(PEOPLE)
            account = person % ACCOUNTS
            if account not in scopes:
                of_resource = request.resource_logs.add()
                of_resource.resource.attributes.append(_attribute("volition.account", f"a{account}"))
                scopes[account] = of_resource.scope_logs.add()
            category = drawn.choice(_CATEGORIES)
            scopes[account].log_records.add(
                time_unix_nano=start_ns + (number * IN_ONE + place) * 1_000,
                event_name="item.opened" if category == "service/usage" else "webrtc.stats",
                trace_id=drawn.randbytes(16),
                span_id=drawn.randbytes(8),
                attributes=[
                    _attribute("volition.person", f"p{person}"),
                    _attribute("volition.category", category),
                    _attribute("session.id", f"s{drawn.randrange(10**6)}"),
                    *_measured(category, drawn),
                ],
            )
        yield request


def _measured(category: str, drawn: random.Random) -> list[KeyValue]:
    if category == "service/usage":
        item = f"channel/c{drawn.randrange(50)}"
        return [
            _attribute("volition.item", item),
            _attribute("ui.view", "list"),
            _attribute("took_ms", drawn.random() * 99),
        ]
    return [
        _attribute("network.jitter_ms", drawn.random() * 30),
        _attribute("network.loss_percent", float(drawn.randrange(5))),
        _attribute("system.cpu.utilization", drawn.random()),
        _attribute("frames", drawn.randrange(10**5)),
        _attribute("codec", "opus"),
    ]


def _attribute(key: str, value: str | float) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, float):
        return KeyValue(key=key, value=AnyValue(double_value=value))
    return KeyValue(key=key, value=AnyValue(int_value=value))


def _from_file(workspace: Path, form: str, rows: int, *, core: int) -> dict[str, Any]:
    """Collect a file with the command, on one core."""
    path = workspace.parent / f"requests.{form}"
    with path.open("wb") as file:
        for request in itertools.islice(_requests(), rows // IN_ONE):
            data = request.SerializeToString()
            file.write(len(data).to_bytes(4, "big") + data if form == "protobuf" else _as_json(request))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONPYCACHEPREFIX"] = str(workspace.parent / "bytecode")

    def collect(into: Path) -> None:
        program = (
            f"import os; os.sched_setaffinity(0, {{{core}}}); from volition.cli import main; "
            f"raise SystemExit(main(['collect', 'otlp', {str(path)!r}, '--workspace', {str(into)!r}, '--json']))"
        )
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=environment)

    collect(shutil.copytree(workspace, workspace.with_name(f"{workspace.name}-before")))
    before, since_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    collect(workspace)
    after, took_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - since_s
    busy_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with Workspace.open(workspace) as opened:
        stored = sum(opened.status()["records"].values())
    return {
        "records": stored,
        "records a CPU second": round(stored / busy_s),
        "records a second": round(stored / took_s),
        "files": len(list((workspace / "lake").rglob("*.parquet"))),
    }


def _as_json(request: ExportLogsServiceRequest) -> bytes:
    """Write a request as OTLP has it in JSON: ids in hexadecimal."""
    value = json_format.MessageToDict(request, use_integers_for_enums=True)
    for of_resource, its in zip(value["resourceLogs"], request.resource_logs, strict=True):
        for record, own in zip(of_resource["scopeLogs"][0]["logRecords"], its.scope_logs[0].log_records, strict=True):
            record |= {"traceId": own.trace_id.hex(), "spanId": own.span_id.hex()}
    return json.dumps(value).encode() + b"\n"


def _over_http(workspace: Path, token: str, session: str, *, core: int) -> dict[str, Any]:
    """Send requests to a server for a while, and read a page meanwhile."""
    bodies = [one.SerializeToString() for one in itertools.islice(_requests(), 40 * SECONDS)]
    with serving(workspace, core=core) as (url, pid):
        before_s, answered_s = cpu_seconds_of_all(pid), cpu_seconds_of(pid)
        ends_s = time.monotonic() + SECONDS
        left = iter(bodies)
        with ThreadPoolExecutor(SENDERS + 1) as pool:
            sending = [pool.submit(_send, url, token, left, ends_s) for _ in range(SENDERS)]
            reading = pool.submit(_read, url, session, ends_s)
            answers = [status for one in sending for status in one.result()]
            pages_ms = reading.result()
        took_s = time.monotonic() - ends_s + SECONDS
        busy_s, answering_s = cpu_seconds_of_all(pid) - before_s, cpu_seconds_of(pid) - answered_s
        files = len(list((workspace / "lake").rglob("*.parquet")))
    acknowledged = IN_ONE * sum(status == 200 for status in answers)
    with Workspace.open(workspace) as opened:
        stored = sum(opened.status()["records"].values())
    return {
        "records": acknowledged,
        "records a second": round(acknowledged / took_s),
        "records a second of the server's CPU, all its processes": round(acknowledged / busy_s),
        "records a second of the answering process's CPU": round(acknowledged / answering_s),
        "requests refused as too many": sum(status == 503 for status in answers),
        "requests that failed": sum(status not in {200, 503} for status in answers),
        "lost or doubled": abs(stored - acknowledged),
        "pages": len(pages_ms),
        "page p50 ms": round(statistics.median(pages_ms), 1),
        "page p99 ms": round(statistics.quantiles(pages_ms, n=100)[98], 1),
        "files at the end": files,
        "load of the machine": os.getloadavg()[0],
    }


def _send(url: str, token: str, bodies: Iterator[bytes], ends_s: float) -> list[int]:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/x-protobuf"}
    answers = []
    with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
        while time.monotonic() < ends_s and (body := next(bodies, None)) is not None:
            answers.append(client.post("v1/logs", content=body).status_code)
    return answers


def _read(url: str, session: str, ends_s: float) -> list[float]:
    took_ms = []
    with httpx2.Client(base_url=url, cookies={"volition": session}, timeout=60) as client:
        while time.monotonic() < ends_s:
            since_s = time.perf_counter()
            client.get("settings").raise_for_status()
            took_ms.append((time.perf_counter() - since_s) * 1000)
            time.sleep(0.02)
    return took_ms
