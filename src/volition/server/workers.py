"""The workers of a workspace, one for each queue: in this process, in one beside the server, or in one by itself."""

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import Final

from volition.errors import BackendError
from volition.server.auth import Access
from volition.server.beside import Beside, end_with_server, ignore_interrupts
from volition.server.job_spans import JobSpan, no_span
from volition.server.jobs import Job, Jobs, Queue
from volition.server.logs import set_up_logging
from volition.server.otel import from_environment
from volition.server.schedule import Schedule
from volition.server.settings import read_settings
from volition.server.work import KINDS, Work
from volition.server.worker import Worker
from volition.workspace.pool import Workspaces

_NICE: Final = 10
_LOOK_S: Final = 1.0


class WorkerHere:
    """A worker of each queue in this process, with workspaces of its own: no request waits for what a job holds."""

    def __init__(
        self,
        folder: Path,
        jobs: Jobs,
        *,
        access: Access,
        kinds: Mapping[str, Work] = KINDS,
        spans: Callable[[Job], JobSpan] = no_span,
    ) -> None:
        """Open the workspaces, one for each queue's job and one for the schedule, and begin."""
        self._workspaces = Workspaces(folder, open_sign_ins=lambda: contextlib.nullcontext(access))
        self._workers = [
            Worker(jobs, self._workspaces, kinds=kinds, schedule=Schedule(jobs, self._workspaces), spans=spans),
            Worker(jobs, self._workspaces, kinds=kinds, queue=Queue.INDEX, spans=spans),
        ]
        for worker in self._workers:
            worker.start()

    @property
    def is_working(self) -> bool:
        """Whether no worker has died."""
        return all(worker.is_working for worker in self._workers)

    def close(self) -> None:
        """Stop: what it does now is put back, to be gone on with."""
        for worker in self._workers:
            worker.close()
        self._workspaces.close()


def work(folder: Path, *, ready: Callable[[], None] = lambda: None, stop: Event | None = None) -> None:
    """Do a workspace's background jobs until the process is asked to stop (SIGINT, SIGTERM).

    Args:
        folder: Where the workspace lies.
        ready: Called once it has begun.
        stop: Ends it, too, when it is set.

    Raises:
        InvalidInputError: There is no workspace.
        BackendError: A file of it cannot be opened, or what does the jobs died.
    """
    stop = Event() if stop is None else stop
    set_up_logging(read_settings(folder).log)
    otel = from_environment(os.environ, only=["traces"])
    jobs = Jobs(folder)
    access = Access.open(folder)
    try:
        worker = WorkerHere(folder, jobs, access=access, spans=no_span if otel is None else otel.job_span)
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            ready()
            while not stop.wait(_LOOK_S):
                if not worker.is_working:  # whoever watches over the process begins it anew
                    raise BackendError("A thread that does background jobs died. The log says of what.")
        finally:
            worker.close()
    finally:
        if otel is not None:
            otel.close()
        access.close()
        jobs.close()


def work_beside(folder: Path) -> Beside:
    """Do a workspace's background jobs in a process beside the server's, until it is closed."""
    return Beside("background jobs", _work_until_told, folder, nice=_NICE)


def _work_until_told(folder: Path, told: Connection, _: list[Connection]) -> None:
    stop, begun = Event(), Event()
    end_with_server(stop, told, begun)

    def ready() -> None:
        ignore_interrupts()
        begun.set()

    work(folder, stop=stop, ready=ready)
