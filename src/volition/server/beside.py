"""Processes beside the one that answers: what computes for long holds up no page, and no decision.

Python runs one thread of a process at a time, so a training in a thread makes every request of its process wait for its
turn again and again. `volition serve` has two processes beside it, which come after it where processors are short
(nice) from their first moment: one takes in telemetry, the other does the background jobs. Each opens the workspace for
itself, as any process may.

What it guarantees:

- A process that dies is begun anew, after trouble later and later. Nothing that was acknowledged is lost with it: it
  was on disk before. One that lives and says nothing for long (stopped, or wedged) is killed, and so begun anew.
- Whether each is well is known (`is_well`): it says so every second, from when it has opened the workspace.
- None outlives the server: asked to stop, or when the server is gone, however it died, it ends what it does and goes.

    collecting = Collector(folder)
    found = collecting.do(work)  # a function of a workspace, and what it gives: both go through a pipe
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, Final, TypeVar

from volition.errors import VolitionError
from volition.server.correlation import REQUEST
from volition.server.draining import Draining
from volition.server.logs import set_up_logging
from volition.server.settings import read_settings
from volition.workspace import Workspace
from volition.workspace.pool import AT_ONCE, Lane, OverloadedError, Workspaces

_SPAWN: Final = get_context("spawn")  # a forked child would share the connections of a process with threads
_LOOK_S: Final = 0.5
_LONGEST_S: Final = 60.0
_PATIENCE_S: Final = 15.0
_FREE_S: Final = 5.0  # as long as a process takes to begin
_COLLECTING_NICE: Final = 5
_BEAT_S: Final = 1.0
SILENT_S: Final = 30.0
"""A process that has said nothing for so long is not well; one that died was mostly begun anew by then."""

WEDGED_S: Final = 120.0
"""A process that has said nothing for so long never will, and is killed."""

_log = logging.getLogger(__name__)

T = TypeVar("T")
Main = Callable[[Path, Connection, list[Connection]], None]
"""What a process does, in a folder, until nothing can be read from the first connection any more."""


class Beside:
    """A process beside this one, begun anew when it dies, until it is closed."""

    def __init__(self, name: str, main: Main, folder: Path, *, nice: int, lines: int = 0) -> None:
        """Begin.

        Args:
            name: What it is called in the log.
            main: What it does, a function of a module: the process imports it.
            folder: Where the workspace lies.
            nice: By how much it comes after this process where processors are short.
            lines: How many connections it has to this process, beside the one by which it is stopped.
        """
        self._name, self._main, self._folder, self._nice, self._lines = name, main, folder, nice, lines
        self.restarts = 0
        """How often it was begun anew."""
        self._has_begun = Event()
        self._silent_looks = self._looks = 0  # since it was last heard of; and since then, or since it was begun
        self._free: SimpleQueue[Connection] = SimpleQueue()
        self._ours: tuple[Connection, ...] = ()
        self._stop = Event()
        self._lock = Lock()
        self._process, self._stopping = self._begin()
        self._watching = Thread(target=self._watch, name=f"watching {name}", daemon=True)
        self._watching.start()

    @property
    def pid(self) -> int | None:
        """The number of the process."""
        return self._process.pid

    @property
    def is_well(self) -> bool:
        """Whether it lives, or was begun anew a moment ago, and has not been silent for long."""
        return self._silent_looks * _LOOK_S < SILENT_S

    def wait_begun(self, patience_s: float) -> bool:
        """Wait until it has opened the workspace, for so many seconds at most; return whether it has."""
        return self._has_begun.wait(patience_s)

    def take_line(self) -> Connection:
        """Return a connection to the process that nobody uses; that it has died may be known only when it is used.

        Raises:
            OverloadedError: There is none, since the process could not be begun.
        """
        try:
            return self._free.get(timeout=_FREE_S)
        except Empty:
            raise OverloadedError from None

    def give_back(self, line: Connection) -> None:
        """Let others use a connection."""
        with self._lock:
            if line in self._ours and not self._stop.is_set():
                self._free.put(line)
            else:
                line.close()  # the process at its end is gone

    def stop(self) -> None:
        """Have it end what it does, without waiting for that."""
        self._stop.set()
        with self._lock:
            self._let_go()

    def close(self) -> None:
        """Have it end what it does; that is waited for a little."""
        self.stop()
        self._watching.join()
        with self._lock:
            self._let_go()  # of one that was begun just then
            self._process.join(_PATIENCE_S)
            if self._process.is_alive():  # what it does is lost to it, and taken up by another
                _log.warning("The process for %s does not stop, and is killed", self._name)
                self._process.kill()
                self._process.join()

    def _begin(self) -> tuple[BaseProcess, Connection]:
        theirs, ours = _SPAWN.Pipe()
        pairs = [_SPAWN.Pipe() for _ in range(self._lines)]
        lines = [line for _, line in pairs]
        process = _SPAWN.Process(
            target=self._main, args=(self._folder, theirs, lines), name=f"volition {self._name}", daemon=True
        )
        process.start()
        with suppress(OSError):  # it is gone again
            os.setpriority(os.PRIO_PROCESS, process.pid or 0, os.getpriority(os.PRIO_PROCESS, 0) + self._nice)
        for one in (theirs, *lines):
            one.close()  # so that whichever process ends, the other hears it
        self._ours = tuple(line for line, _ in pairs)
        for line in self._ours:
            self._free.put(line)
        return process, ours

    def _let_go(self) -> None:
        """Close what nobody uses; the process hears of it."""
        self._stopping.close()
        with suppress(Empty):
            while True:
                self._free.get_nowait().close()

    def _watch(self) -> None:
        wait_s, began_s = _LOOK_S, time.monotonic()
        while not self._stop.wait(_LOOK_S):
            self._listen()
            if self._process.is_alive():
                wait_s = _LOOK_S if time.monotonic() - began_s > _LONGEST_S else wait_s
                if self._looks * _LOOK_S >= WEDGED_S:
                    _log.warning("The process for %s has said nothing for %.0f s, and is killed", self._name, WEDGED_S)
                    self._process.kill()
                    self._process.join(_LOOK_S)
                continue
            _log.warning("The process for %s died (%s); it is begun anew", self._name, self._process.exitcode)
            if self._stop.wait(wait_s):
                return
            wait_s, began_s = min(wait_s * 2, _LONGEST_S), time.monotonic()
            self._looks, self.restarts = 0, self.restarts + 1
            with self._lock:
                self._let_go()
                try:
                    self._process, self._stopping = self._begin()
                except OSError as error:  # no memory, no processes left: it is tried again
                    _log.warning("The process for %s cannot be begun: %s", self._name, error)

    def _listen(self) -> None:
        """Hear whether the process has said that it is well since the last look.

        Looks are counted, and not seconds: where the machine, or this process with the other, was held up for long,
        neither is taken for wedged.
        """
        self._silent_looks, self._looks = self._silent_looks + 1, self._looks + 1
        with self._lock, suppress(EOFError, OSError):  # the process is gone, or is being stopped
            while self._stopping.poll():
                self._stopping.recv_bytes()
                self._silent_looks = self._looks = 0
                self._has_begun.set()


class Collector:
    """Takes in telemetry in a process of its own, and lays it out there. It may be used from several threads."""

    def __init__(self, folder: Path) -> None:
        """Begin."""
        self.process = Beside("collecting", _collect, folder, nice=_COLLECTING_NICE, lines=AT_ONCE[Lane.COLLECTING])

    @property
    def pid(self) -> int | None:
        """The number of the process."""
        return self.process.pid

    def do(self, work: Callable[[Workspace], T]) -> T:
        """Return what work with a workspace gives in that process; the function and what it gives can be pickled.

        Raises:
            OverloadedError: The process died, or is just being begun: what was sent is to be sent again.
            VolitionError: Whatever the work raises.
        """
        line = self.process.take_line()
        try:
            while not _has_sent(line, (work, REQUEST.get())):  # nothing was begun, so the next process may do it
                line.close()
                line = self.process.take_line()
            found, error = line.recv()
        except (EOFError, OSError):  # what was begun may be done or not
            line.close()
            raise OverloadedError from None
        except BaseException:
            line.close()  # an answer may still come, which is nobody's any more
            raise
        self.process.give_back(line)
        if error is not None:
            raise error
        result: T = found
        return result

    def stop(self) -> None:
        """Take in nothing more, without waiting for what is being taken in."""
        self.process.stop()

    def close(self) -> None:
        """Stop, after what is being taken in."""
        self.process.close()


def _has_sent(line: Connection, what: object) -> bool:
    try:
        line.send(what)
    except OSError:
        return False
    return True


def _collect(folder: Path, stopping: Connection, lines: list[Connection]) -> None:
    """Take in what comes on each line, and lay it out, until the server is gone or says so."""
    stop, begun = Event(), Event()
    end_with_server(stop, stopping, begun)
    ignore_interrupts()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    set_up_logging(read_settings(folder).log)
    workspaces = Workspaces(folder)
    draining = Draining(workspaces)
    threads = [Thread(target=_answer, args=(line, workspaces, stop), daemon=True) for line in lines]
    for thread in threads:
        thread.start()
    begun.set()
    stop.wait()
    deadline = time.monotonic() + _PATIENCE_S / 2
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    draining.close()
    workspaces.close()


def _answer(line: Connection, workspaces: Workspaces, stop: Event) -> None:
    try:
        with suppress(EOFError, OSError):
            while not stop.is_set():
                work, request = line.recv()
                token = REQUEST.set(request)
                try:
                    answer = _done(work, workspaces)
                finally:
                    REQUEST.reset(token)
                line.send(answer)
    finally:
        line.close()
        stop.set()  # a process with fewer lines than it was given is none that works: it is begun anew, with all


def _done(work: Callable[[Workspace], Any], workspaces: Workspaces) -> tuple[Any, Exception | None]:
    try:
        with workspaces.borrow(Lane.COLLECTING) as workspace:
            return work(workspace), None
    except VolitionError as error:
        return None, error
    except Exception as error:  # noqa: BLE001 - whatever it is, the one who asked is to hear of it
        _log.exception("Taking in telemetry failed")
        return None, RuntimeError(type(error).__name__)


def end_with_server(stop: Event, stopping: Connection, begun: Event) -> None:
    """Stop when the server is gone, or says so; until then tell it every second that all is well, once it has begun."""

    def wait() -> None:
        with suppress(EOFError, OSError):
            while not stopping.poll(_BEAT_S):  # nothing ever comes but the end
                if begun.is_set():
                    stopping.send_bytes(b"well")
        stop.set()

    Thread(target=wait, name="waiting for the end", daemon=True).start()


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the server, which says then what to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
