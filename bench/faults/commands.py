"""The story: one command after the other, each with what it is given."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bench.faults.programs import consume_chat, run_training

INPUTS: Final = {
    "kickoff.vtt": "WEBVTT\n\n00:01.000 --> 00:04.000\nAda Byron: The launch moves to Friday.\n\n"
    "00:05.000 --> 00:09.000\nWho Else: Then the budget has to be agreed by Monday.\n",
    "bad.jsonl": '{"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [{}]}]}]}\n',
    "crm.toml": 'source = "crm"\naccount = "acme"\ndata = ["content"]\n\n[columns]\nparty = "who"\n'
    'purpose = "what"\nanswer = "said"\nsaid = "at"\nid = "id"\n',
    "desk.toml": 'category = "content/chat"\ncolumns.id = "n"\ncolumns.account = "tenant"\ncolumns.people = "author"\n'
    'columns.time = "at"\ncolumns.conversation = "room"\ncolumns.text = "body"\n',
}
"""Files that commands read; usage.jsonl and tables are made beside them."""

PEOPLE: Final = 6
STARTED: Final = "2026-01-05T09:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of the story.

    Attributes:
        name: What it is called in the results.
        line: Its command line, from the workspace's folder and that of the inputs.
        done: The exit code with which it ends when nothing goes wrong.
        again: Exit codes with which it may end when it is run again after it was killed: what is there already is
            named as such by some commands.
        grows: Whether another run adds to what the first one made (an entry, a snapshot), so that there may be more.
        in_parts: Whether what was stored before it was killed may lie in a file of its own: whoever reads lays it out.
        is_public: Whether the folder in which faults are made is that of what is published, not the workspace.
        program: Python in its place, where it is no command; given the workspace's folder and that of the inputs.
    """

    name: str
    line: Callable[[Path, Path], list[str]] = lambda *_: []
    done: int = 0
    again: tuple[int, ...] = (0,)
    grows: bool = False
    in_parts: bool = False
    is_public: bool = False
    program: Callable[[Path, Path], None] | None = None


def write_inputs(folder: Path) -> None:
    """Write the files that commands read."""
    for name, text in INPUTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "usage.jsonl").write_text(json.dumps(_usage()), encoding="utf-8")
    said = "2026-01-02T09:00:00Z"
    claims = [(f"acme-{number}", "train/search", "yes" if number else "no", said, number) for number in range(PEOPLE)]
    _write_table(folder / "crm.csv", ["who", "what", "said", "at", "id"], claims)
    notes = [(number, "acme", f"acme-{number % PEOPLE}", STARTED, "desk", f"Note {number}.") for number in range(9)]
    columns = ["n", "tenant", "author", "at", "room", "body"]
    _write_table(folder / "desk.csv", columns, notes)
    rows = [{**dict(zip(columns, note, strict=True)), "at": datetime.fromisoformat(STARTED)} for note in notes]
    pq.write_table(pa.Table.from_pylist(rows), folder / "desk.parquet")


def _write_table(path: Path, columns: list[str], rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def _usage() -> dict[str, object]:
    """Return telemetry of two accounts whose people use the same documents, so that there is something to learn."""
    logs = []
    for account in ("acme", "helio"):
        records = [
            {
                "timeUnixNano": str(1767603600000000000 + 60_000_000_000 * item),
                "attributes": [
                    {"key": key, "value": {"stringValue": value}}
                    for key, value in (
                        ("volition.person", f"{account}-{person}"),
                        ("volition.category", "service/usage"),
                        ("volition.item", f"document/{2 * item + person % 2:02d}"),
                    )
                ],
            }
            for person in range(PEOPLE)
            for item in range(6)
            if (person + item) % 5
        ]
        resource = {"attributes": [{"key": "volition.account", "value": {"stringValue": account}}]}
        logs.append({"resource": resource, "scopeLogs": [{"logRecords": records}]})
    return {"resourceLogs": logs}


def newest_model(workspace: Path) -> str:
    """Return the id of the model that was trained last, by its folder."""
    found = sorted((workspace / "models").glob("*-*/record.json"), key=lambda path: path.stat().st_mtime_ns)
    return found[-1].parent.name


def _on(*words: str) -> Callable[[Path, Path], list[str]]:
    return lambda workspace, inputs: [
        *(word.replace("INPUTS", str(inputs)) for word in words),
        "--workspace",
        str(workspace),
    ]


def _model(*words: str) -> Callable[[Path, Path], list[str]]:
    return lambda workspace, inputs: _on(*(word.replace("MODEL", newest_model(workspace)) for word in words))(
        workspace, inputs
    )


def _restore(workspace: Path, inputs: Path) -> list[str]:
    """Restore what `backup kept` backed up; the keys are the workspace's."""
    return ["restore", str(inputs / "backups"), str(inputs.parent / "out" / "restored"), "--keys", str(workspace)]


def _out(*words: str) -> Callable[[Path, Path], list[str]]:
    return _on(*(word.replace("OUT", "INPUTS/../out") for word in words))


def _yes(account: str) -> Callable[[Path, Path], list[str]]:
    switches = ("--data", "service/usage", "--purpose", "train/recommend", "--purpose", "feature/recommend")
    return _on("decide", "yes", "--party", f"account:{account}", *switches, "--covers", "past")


def story() -> list[Command]:
    """Return the commands in order."""
    added, once = (0, 2, 5), (0, 2, 3)
    people = [
        Command(
            name=f"person add {account}-{number}",
            line=_on("person", "add", f"{account}-{number}", "--account", account),
            again=added,
        )
        for account in ("acme", "helio")
        for number in range(PEOPLE)
    ]
    return [
        Command(name="init", line=lambda workspace, _: ["init", str(workspace), "--origin", "log.example/faults"]),
        Command(
            name="account add", line=_on("account", "add", "acme", "--name", "Acme", "--region", "US"), again=added
        ),
        Command(
            name="account add helio",
            line=_on("account", "add", "helio", "--name", "Helio", "--region", "US"),
            again=added,
        ),
        *people,
        Command(
            name="person add", line=_on("person", "add", "ada", "--account", "acme", "--name", "Ada Byron"), again=added
        ),
        Command(name="account accept", line=_on("account", "accept", "acme"), grows=True),
        Command(name="account accept helio", line=_on("account", "accept", "helio"), grows=True),
        Command(name="decide", line=_yes("acme"), grows=True),
        Command(name="decide helio", line=_yes("helio"), grows=True),
        Command(name="user add", line=_on("user", "add", "op", "--role", "operator", "--subject", "op-1"), again=added),
        Command(name="collect otlp", line=_on("collect", "otlp", "INPUTS/usage.jsonl")),
        Command(name="collect otlp bad", line=_on("collect", "otlp", "INPUTS/bad.jsonl"), done=2, again=(2,)),
        Command(
            name="collect webvtt",
            line=_on("collect", "webvtt", "INPUTS/kickoff.vtt", "--account", "acme", "--started", STARTED),
        ),
        Command(
            name="collect webvtt more",
            line=_on(
                "collect",
                "webvtt",
                "INPUTS/kickoff.vtt",
                "--account",
                "acme",
                "--started",
                "2026-01-05T10:00:00Z",
                "--meeting",
                "later",
            ),
        ),
        Command(
            name="import consents", line=_on("import", "consents", "INPUTS/crm.csv", "--mapping", "INPUTS/crm.toml")
        ),
        Command(name="collect table", line=_on("collect", "table", "INPUTS/desk.csv", "--mapping", "INPUTS/desk.toml")),
        Command(name="consume", program=consume_chat, in_parts=True),
        Command(name="person rename", line=_on("person", "rename", "ada", "Ada King")),
        Command(name="person alias", line=_on("person", "alias", "ada", "A. King", "--email", "ada@home.example")),
        Command(
            name="limit",
            line=_on(
                *("limit", "--account", "acme", "--data", "content", "--purpose", "train/search"),
                *("--group", "council", "--person", "ada"),
            ),
            grows=True,
        ),
        Command(name="share", line=_on("share", "kickoff", "--account", "acme", "--with", "ada"), grows=True),
        Command(name="exclude", line=_on("exclude", "kickoff", "--account", "acme", "--purpose", "train"), grows=True),
        Command(name="compact", line=_on("compact")),
        Command(
            name="gate",
            line=_out(
                *("gate", "INPUTS/desk.parquet", "--purpose", "train/search", "--account-column", "tenant"),
                *("--people-column", "author", "--category", "content/chat", "--time-column", "at"),
                *("--out", "OUT/permitted.parquet"),
            ),
            is_public=True,
        ),
        Command(
            name="permits export",
            line=_out("permits", "export", "--to", "parquet:OUT/permits", "--purpose", "train"),
            is_public=True,
        ),
        Command(
            name="permits export duckdb",
            line=_out("permits", "export", "--to", "duckdb:OUT/permits.duckdb", "--purpose", "train"),
            is_public=True,
        ),
        Command(
            name="permits export sqlite",
            line=_out("permits", "export", "--to", "sqlite:OUT/permits.db", "--purpose", "train"),
            is_public=True,
        ),
        Command(name="snapshot", line=_on("snapshot", "train/recommend"), grows=True),
        Command(name="training run", program=run_training, grows=True),
        Command(name="train", line=_on("train", "recommend"), grows=True),
        Command(name="audit", line=_model("audit", "MODEL")),
        Command(name="release", line=_model("release", "MODEL"), grows=True),
        Command(name="prove", line=_on("prove", "INPUTS/../out/evidence.zip"), is_public=True),
        Command(name="log export", line=_on("log", "export", "INPUTS/../out/log"), is_public=True),
        Command(name="publish model", line=_model("publish", "model", "MODEL", "INPUTS/../out/model"), is_public=True),
        Command(
            name="decide no",
            line=_on(
                "decide", "no", "--party", "person:acme-0", "--data", "service/usage", "--purpose", "train/recommend"
            ),
            grows=True,
        ),
        Command(name="forget", line=_on("forget"), grows=True),
        Command(name="person merge", line=_on("person", "merge", "acme-2", "--into", "ada"), again=added),
        Command(name="person leave", line=_on("person", "leave", "acme-3"), again=added),
        Command(name="person move", line=_on("person", "move", "acme-4", "--to", "helio"), again=added),
        Command(name="erase", line=_on("erase", "--party", "person:acme-1"), again=once),
        Command(name="backup kept", line=_on("backup", "INPUTS/backups")),
        Command(name="backup", line=_on("backup", "INPUTS/../out/backups"), is_public=True),
        Command(name="restore", line=_restore, again=(0, 2), is_public=True),
    ]
