"""The story: one command after the other, each with what it is given."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INPUTS: Final = {
    "kickoff.vtt": "WEBVTT\n\n00:01.000 --> 00:04.000\nAda Byron: The launch moves to Friday.\n\n"
    "00:05.000 --> 00:09.000\nWho Else: Then the budget has to be agreed by Monday.\n",
    "bad.jsonl": '{"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [{}]}]}]}\n',
}
"""Files that commands read; usage.jsonl is made beside them."""

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
        is_public: Whether the folder in which faults are made is that of what is published, not the workspace.
    """

    name: str
    line: Callable[[Path, Path], list[str]]
    done: int = 0
    again: tuple[int, ...] = (0,)
    grows: bool = False
    is_public: bool = False


def write_inputs(folder: Path) -> None:
    """Write the files that commands read."""
    for name, text in INPUTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "usage.jsonl").write_text(json.dumps(_usage()), encoding="utf-8")


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
        Command(name="snapshot", line=_on("snapshot", "train/recommend"), grows=True),
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
