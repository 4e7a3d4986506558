"""How fast the server answers, over HTTP: `POST /v1/may`, one question and many, and a page. `python -m bench http`.

The server runs on one core, bound to it; wrk, on another core, asks over 32 open connections and reads each answer. A
workspace with 1,000 people of 10 accounts, which all said yes, lies behind it. Many questions go as one Arrow stream
of 200,000 rows over 1,000 party sets; what is counted is decisions a second, sending and reading included. Pages are
asked by 50 users at once, each with an own session, who come again and again. On a machine of one core, wrk shares it,
and the figures say so; where others use the machine, a second of the server's CPU, of all its processes together, shows
what its core would do alone.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bench.meetings import machine
from volition.errors import BackendError
from volition.server.auth import Access, Role, Scope
from volition.workspace import Workspace

PEOPLE: Final = 1_000
ACCOUNTS: Final = 10
ROWS: Final = 200_000
CONNECTIONS: Final = 32
USERS: Final = 50
SECONDS: Final = 8
PURPOSE: Final = "train/search"

_POST: Final = """
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {token}"
wrk.headers["Content-Type"] = "{kind}"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
"""
_VARIED: Final = """
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {token}"
wrk.headers["Content-Type"] = "application/json"
local number = 0
request = function()
  number = (number + 1) % {people}
  local body = string.format('{{"purpose":"{purpose}","account":"a%d","people":["p%d"],"category":"service/usage"}}',
    number % {accounts}, number)
  return wrk.format(nil, nil, nil, body)
end
"""
_PAGES: Final = """
local cookies = {{{cookies}}}
local number = 0
request = function()
  number = number % #cookies + 1
  return wrk.format("GET", "/settings", {{["Cookie"] = "volition=" .. cookies[number]}})
end
"""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the server on one core.

    Raises:
        BackendError: wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise BackendError("This needs wrk: apt-get install wrk")
    rows = args.rows or ROWS
    cores = sorted(os.sched_getaffinity(0))
    mine, other = cores[0], cores[-1]
    with tempfile.TemporaryDirectory(prefix="volition-bench-") as name:
        folder = Path(name)
        token, cookies = _make(folder / "workspace")
        (folder / "rows.arrow").write_bytes(_questions(rows))
        with serving(folder / "workspace", core=mine) as (url, pid):
            single = _wrk(
                f"{url}v1/may",
                _VARIED.format(token=token, purpose=PURPOSE, people=PEOPLE, accounts=ACCOUNTS),
                core=other,
                pid=pid,
                folder=folder,
            )
            many = _wrk(
                f"{url}v1/may?purpose={PURPOSE}",
                _POST.format(token=token, kind="application/vnd.apache.arrow.stream", body=folder / "rows.arrow"),
                core=other,
                pid=pid,
                folder=folder,
                connections=2,
            )
            listed = ", ".join(f'"{cookie}"' for cookie in cookies)
            pages = _wrk(url, _PAGES.format(cookies=listed), core=other, pid=pid, folder=folder, connections=USERS)
    decisions = many["requests a second"] * rows
    figures = {
        "one question": single,
        "many questions": {
            **many,
            "rows in one": rows,
            "decisions a second": decisions,
            "decisions a second of the server's CPU": many["requests a second of the server's CPU"] * rows,
        },
        "page /settings, 50 users": pages,
        "the server's core": mine,
        "wrk's core": other,
    }
    goals = [
        {"name": "one question, requests a second", "value": single["requests a second"], "at_least": 8_000},
        {"name": "many questions, decisions a second", "value": decisions, "at_least": 3_000_000},
        {"name": "page at 50 users, 99th percentile, ms", "value": pages["p99 ms"], "at_most": 100},
        {"name": "answers that failed", "value": single["failed"] + many["failed"] + pages["failed"], "at_most": 0},
    ]
    for goal in goals:
        goal["met"] = goal["value"] >= goal["at_least"] if "at_least" in goal else goal["value"] <= goal["at_most"]
    return {"bench": "http", "figures": figures, "goals": goals, "machine": machine()}


def _make(folder: Path) -> tuple[str, list[str]]:
    """Make the workspace; return a token that may ask, and a session for each user."""
    with Workspace.create(folder) as workspace:
        for account in range(ACCOUNTS):
            workspace.people.add_account(f"a{account}", f"Account {account}", region="US")
            workspace.terms.accept(f"a{account}")
            workspace.consent.decide(
                f"account:a{account}", yes=True, data=["service"], purpose=["train"], covers="past"
            )
        for person in range(PEOPLE):
            workspace.people.add_person(f"p{person}", account=f"a{person % ACCOUNTS}")
    access = Access.open(folder)
    try:
        access.users.add("bench", roles=[Role.OPERATOR])
        _, token = access.tokens.issue("bench", name="bench", roles=[Role.OPERATOR], scopes=[Scope.MAY])
        for user in range(USERS):
            access.users.add(f"u{user}", roles=[Role.PERSON], account=f"a{user % ACCOUNTS}", person=f"p{user}")
        return token, [access.sessions.begin(f"u{user}") for user in range(USERS)]
    finally:
        access.close()


def _questions(rows: int) -> bytes:
    """Return an Arrow stream of questions."""
    when = datetime.now(UTC)
    batch = pa.record_batch(
        {
            "account": pa.array([f"a{row % ACCOUNTS}" for row in range(rows)]).dictionary_encode().cast(pa.string()),
            "people": pa.array([[f"p{row % PEOPLE}"] for row in range(rows)], pa.list_(pa.string())),
            "category": pa.array(["service/usage"] * rows),
            "collected_at": pa.array([when] * rows, pa.timestamp("us", "UTC")),
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue()


@contextmanager
def serving(folder: Path, *, core: int | None = None) -> Iterator[tuple[str, int]]:
    """Serve a workspace, on one core if one is named; yield its address and the number of its process."""
    binding = "" if core is None else f"import os; os.sched_setaffinity(0, {{{core}}}); "
    program = (
        f"{binding}from volition.cli import main; "
        f"raise SystemExit(main(['serve', '--port', '0', '--workspace', {str(folder)!r}]))"
    )
    serving = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, env=_as_installed(folder.parent)
    )
    try:
        told = serving.stderr.readline() if serving.stderr is not None else ""
        address = re.search(r"http://\S+/", told)
        if address is None:
            raise BackendError(f"The server did not start: {told}")
        yield address[0], serving.pid
    finally:
        serving.terminate()
        serving.wait(90)
        if serving.stderr is not None:
            serving.stderr.close()


def _as_installed(folder: Path) -> dict[str, str]:
    """Return an environment in which what the server imports is compiled, as it is where it is installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    imports = "import volition.cli, volition.server.app, volition.server.workers, volition.records.lake"
    subprocess.run([sys.executable, "-c", imports], check=True, env=environment)
    return environment


def _wrk(  # noqa: PLR0913 - whom it asks what, and from where
    url: str, script: str, *, core: int, pid: int, folder: Path, connections: int = CONNECTIONS
) -> dict[str, Any]:
    """Let wrk ask for a while; return what it counted."""
    path = folder / "script.lua"
    path.write_text(script, encoding="utf-8")
    command = ["taskset", "-c", str(core), "wrk", "--threads", "1", "--connections", str(connections), "--latency"]
    for seconds in (1, SECONDS):  # the first one warms up
        asked = [*command, "--duration", f"{seconds}s", "--script", str(path), url]
        before_s = cpu_seconds_of_all(pid)
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        busy_s = cpu_seconds_of_all(pid) - before_s
        time.sleep(0.2)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", told)
    if rate is None:
        raise BackendError(f"The output of wrk cannot be read: {told}")
    return {
        "requests a second": float(rate[1]),
        "requests a second of the server's CPU": round(float(rate[1]) * SECONDS / busy_s, 1),
        "load of the machine": os.getloadavg()[0],
        "p50 ms": _milliseconds(told, "50%"),
        "p99 ms": _milliseconds(told, "99%"),
        "failed": int(failed[1] if failed else 0) + sum(map(int, errors.groups() if errors else ())),
        "connections": connections,
    }


def cpu_seconds_of(pid: int) -> float:
    """Return how long a process has been computing, seconds; what it began counts for itself."""
    return sum(_stat(pid)[11:13]) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_of_all(pid: int) -> float:
    """Return how long a server's processes have been computing together, seconds: those that ended are among them."""
    ticks = 0
    for one in processes_of(pid):
        with suppress(OSError):  # it has just ended, and counts with the process that began it
            ticks += sum(_stat(one)[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def processes_of(pid: int) -> list[int]:
    """Return a process and those that it began and that are there now."""
    found = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            if _stat(int(stat.parent.name))[1] == pid:
                found.append(int(stat.parent.name))
    return found


def _stat(pid: int) -> list[int]:
    """Return the fields of a process's `stat` after its name (proc_pid_stat(5)); its state as 0."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return [0, *map(int, fields[1:])]


def _milliseconds(told: str, percentile: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", told)
    if found is None:
        raise BackendError(f"wrk reported no {percentile} percentile: {told}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
