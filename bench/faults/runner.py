"""Run the story and its faults in forks of this process, which has the library of faults loaded.

It is started by `run`, with LD_PRELOAD, and prints one JSON object a line.
"""

import ctypes
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.faults import checks
from bench.faults.commands import Command, story, write_inputs
from bench.faults.programs import CHAT

KINDS: Final = ("kill", "tear", "full", "fail")
_LOADED: Final = (
    *(
        "volition.records.engines.arrow",
        "volition.records.lake",
        "volition.records.freeze",
        "volition.records.ingest.otlp",
    ),
    *("volition.learning.families.recommend.family", "volition.learning.audit.run", "volition.transparency.prove"),
    *(
        "volition.workspace.models",
        "volition.workspace.forgetting",
        "volition.workspace.proofs",
        "volition.workspace.consumers",
        "volition.workspace.permit_tables",
        "volition.workspace.training",
        "volition.server.auth",
    ),
)
"""What commands import when they run: once, here, before the forks."""

_CODES: Final = {"count": 0, "kill": 1, "tear": 2, "full": 3, "fail": 4}
_BACKEND: Final = 6
_HUNG_S: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a fork ended: its exit code, or minus the signal that ended it; and what it printed."""

    code: int
    text: str


class Story:
    """The story as it was told once, without a fault: what lay there before and after each command."""

    def __init__(self, spare: Path) -> None:
        """Tell nothing yet; everything is written below the folder `spare`."""
        self.spare = spare
        self.inputs = spare / "inputs"
        self.inputs.mkdir()
        write_inputs(self.inputs)
        self.workspace = spare / "work" / "w"
        self.out = spare / "out"
        self.log = spare / "points"
        self.before: dict[str, Path] = {}
        self.said: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.lies: dict[str, Any] = {}
        self.points: dict[str, list[str]] = {}

    def tell(self, only: Collection[str]) -> list[Command]:
        """Run every command once, or as many as lead to some; return those that were run."""
        left = set(only)
        told = []
        self.workspace.parent.mkdir()
        before: dict[str, Any] = {}
        for number, command in enumerate(story()):
            kept = self.spare / f"before-{number}"
            shutil.copytree(self.workspace.parent, kept)
            self.before[command.name] = kept
            _empty(self.out)
            ended = self.run(command, "count", 0)
            if ended.code != command.done:
                raise RuntimeError(f"{command.name} ended with {ended.code}:\n{ended.text}")
            if command.name == "init":
                _settle(self.workspace / "volition.toml")
            self.points[command.name] = self.log.read_text().splitlines()
            after = self.ask(lambda: checks.said(self.workspace))
            self.said[command.name] = (before or dict.fromkeys(after, 0), after)
            self.lies[command.name] = checks.lies(self.out if command.is_public else self.workspace)
            before = after
            told.append(command)
            left.discard(command.name)
            if only and not left:
                break
        return told

    def run(self, command: Command, kind: str, at: int) -> Ended:
        """Run a command in a fork, with one fault."""
        line = command.line(self.workspace, self.inputs)
        program = command.program
        below = self.out if command.is_public else self.workspace

        def work() -> int:
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if kind == "count" else -1
            ctypes.CDLL(None).faults_arm(str(below).encode(), _CODES[kind], ctypes.c_long(at), log)
            if program is not None:
                return checks.run_program(lambda: program(self.workspace, self.inputs))
            return checks.run_line(line)

        return self.fork(work)

    def fork(self, work: Callable[[], int]) -> Ended:
        """Let a fork work; its exit code is what `work` returns."""
        text = self.spare / "printed"
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                signal.alarm(_HUNG_S)
                printed = os.open(text, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
                os.dup2(printed, 1)
                os.dup2(printed, 2)
                code = work()
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException:  # noqa: BLE001 - the fork ends here, whatever it was
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        return Ended(code=os.waitstatus_to_exitcode(status), text=text.read_text(errors="replace"))

    def ask(self, question: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the question gives
        """Return what a question is answered in a fork, as JSON; an error in its place where it failed."""

        def work() -> int:
            answer = question()
            (self.spare / "answer").write_text(json.dumps(answer))
            return 0

        ended = self.fork(work)
        if ended.code:
            raise CheckError(ended.text.strip().splitlines()[-1] if ended.text.strip() else f"ended with {ended.code}")
        return json.loads((self.spare / "answer").read_text())

    def restore(self, command: Command) -> None:
        """Put back what lay there before a command."""
        shutil.rmtree(self.workspace.parent)
        shutil.copytree(self.before[command.name], self.workspace.parent)
        _empty(self.out)

    def trial(self, command: Command, kind: str, at: int) -> str:
        """Run a command with a fault; return what did not hold, empty where all did."""
        self.restore(command)
        ended = self.run(command, kind, at)
        before, after = self.said[command.name]
        try:
            if kind in {"full", "fail"} and (wrong := _told(ended, command)):
                return wrong
            if command.name != "init" or (self.workspace / "volition.toml").exists():
                now = self.ask(lambda: checks.said(self.workspace))
                if wrong := checks.is_between(now, before, after):
                    return f"afterwards {wrong}"
                if ended.code == command.done and (wrong := checks.is_after(now, after, grows=command.grows)):
                    return f"it said that it was done, but {wrong}"
            _age(self.out)
            again = self.run(command, "kill", -1)
            if again.code not in command.again and not (command.name == "init" and _is_made(again)):
                return f"run again, it ended with {again.code}: {again.text.strip()[-300:]}"
            now = self.ask(lambda: checks.said(self.workspace))
            if wrong := checks.is_after(now, after, grows=command.grows):
                return f"run again, {wrong}"
            where = self.out if command.is_public else self.workspace
            lies, after_it = checks.lies(where), self.lies[command.name]
            if wrong := checks.is_left(lies, after_it, grows=command.grows, in_parts=command.in_parts):
                return wrong
            return str(self.ask(lambda: checks.verifies(self.workspace, self.spare)))
        except CheckError as error:
            return str(error)


class CheckError(Exception):
    """A check could not be made: the workspace does not open."""


def _is_made(ended: Ended) -> bool:
    """Return whether `init` was refused since the workspace was whole already."""
    return ended.code == 2 and "not empty" in ended.text


def _told(ended: Ended, command: Command) -> str:
    """Return how a fault of the disk was told wrongly; empty where it was told as one, or outlived."""
    if "Traceback" in ended.text:
        return f"a traceback: {ended.text.strip().splitlines()[-1][:300]}"
    if ended.code not in {command.done, _BACKEND}:
        return f"it ended with {ended.code}: {ended.text.strip()[-300:]}"
    return ""


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _age(folder: Path) -> None:
    """Let an hour go by for what was published: what somebody may still be reading is kept for a while."""
    before_s = time.time() - 3600
    for path in folder.rglob("*"):
        os.utime(path, (before_s, before_s))


def _settle(path: Path) -> None:
    """Take the bounds of audits out of the settings, which no model of few people holds; say what is consumed."""
    path.write_text(path.read_text(encoding="utf-8").partition("[audit.")[0] + CHAT, encoding="utf-8")


def chosen(points: list[str], kind: str, most: int | None) -> list[int]:
    """Return at which changes a fault is made: at all of them, or at so many, spread evenly."""
    apt = [
        number for number, point in enumerate(points, 1) if kind != "tear" or point.split()[1] in {"write", "pwrite"}
    ]
    if most is None or len(apt) <= most:
        return apt
    return sorted({apt[round(place * (len(apt) - 1) / max(1, most - 1))] for place in range(most)})


def main() -> None:
    """Run what the JSON object of the command line asks for.

    `only` are names of commands, none for all; `most` a number or null; `kinds` the kinds of faults.
    """
    asked = json.loads(sys.argv[1])
    for name in _LOADED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as spare:
        told = Story(Path(spare).resolve())
        commands = told.tell(asked["only"])
        for command in commands:
            if (asked["only"] and command.name not in asked["only"]) or command.name.startswith(
                ("person add ", "account add ")
            ):
                continue
            points = told.points[command.name]
            for kind in asked["kinds"]:
                for at in chosen(points, kind, asked["most"]):
                    found = {
                        "command": command.name,
                        "kind": kind,
                        "at": at,
                        "point": points[at - 1].partition(" ")[2],
                        "wrong": told.trial(command, kind, at),
                    }
                    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
