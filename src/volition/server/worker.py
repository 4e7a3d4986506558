"""A worker: does the background jobs of a queue, one at a time, in a thread with a workspace of its own (job queue).

`volition serve` has one inside, and `volition worker` is one by itself; several may run beside each other. Each may use
every core, so a machine has one.

- While it lives it says so, and renews the lease of its job, whether the work tells of progress or not. Once its thread
  has died, by whatever, it says no more: the job is taken up elsewhere, and health tells.
- Where its job was cancelled or lost to another worker, the work is stopped when it next tells how far it is.
- Asked to stop, it puts its job back, to be gone on with by the next worker, once the work next tells how far it is.
"""

import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Final

from volition import canonical
from volition.errors import BusyError, VolitionError
from volition.progress import Progress
from volition.server.correlation import during_run
from volition.server.job_spans import JobSpan, no_span
from volition.server.jobs import LEASE_US, Job, Jobs, JobState, LostJobError, Queue, Told
from volition.server.schedule import Schedule
from volition.server.work import KINDS, Work
from volition.workspace.pool import Workspaces

_POINTS: Final = 400  # of a job's losses that are remembered: as many as a drawing can show
_TELL_US: Final = 250_000  # how often progress is written down, at most
_LOOK_S: Final = 0.5  # how often jobs that other processes queued are looked for
_BEAT_S: Final = LEASE_US / 1e6 / 6
_PATIENCE_S: Final = 10.0
_NICE: Final = 10
_log = logging.getLogger(__name__)


class StoppedError(BaseException):  # no `except Exception` on its way is meant to hold it up
    """The work of a job is to stop; raised where it tells how far it is."""


class _Stretch:
    """Steps that are counted on from each other, perhaps through several stages: their losses and their pace."""

    def __init__(self, *, total: int, first: int, began_us: int) -> None:
        self._total, self._first, self._done, self._began_us = total, first, first, began_us
        self._losses: tuple[tuple[int, float], ...] = ()

    def goes_on(self, done: int, total: int) -> bool:
        return total == self._total and done >= self._done

    def step(self, done: int, loss: float | None) -> tuple[tuple[int, float], ...]:
        self._done = done
        if loss is not None and math.isfinite(loss):
            thinned = self._losses[::2] if len(self._losses) >= _POINTS else self._losses
            self._losses = (*thinned, (done, loss))
        return self._losses

    def left_s(self, now_us: int) -> int | None:
        steps = self._done - self._first
        if self._total == 0 or steps == 0:
            return None
        return math.ceil((now_us - self._began_us) / 1e6 / steps * (self._total - self._done))


class ClaimedRun:
    """A job that a worker has claimed, as its work sees it. Implements `work.Run`."""

    def __init__(self, jobs: Jobs, owner: str, job: Job, clock: Callable[[], int], span: JobSpan) -> None:
        """Take a job that `owner` has claimed."""
        self._jobs, self._owner, self._job, self._clock, self.span = jobs, owner, job, clock, span
        self._steps = dict(job.steps)
        self._stretch = _Stretch(total=0, first=0, began_us=clock())
        self._told: Told | None = None
        self._told_us: int | None = None
        self.is_to_stop = False
        """Whether the work is to stop when it next tells how far it is; another thread may say so."""

    @property
    def id(self) -> str:
        """The job's name."""
        return self._job.id

    @property
    def subject(self) -> str:
        """What it is about."""
        return self._job.subject

    @property
    def payload(self) -> Mapping[str, Any]:
        """What else was said of it."""
        return self._job.payload

    @property
    def progress(self) -> Progress:
        """Tells how far it is, and raises StoppedError where it is to stop."""
        return self._progress

    def step(self, name: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - a JSON value
        """Return what a step gave: made now and kept, or as an earlier worker has kept it."""
        if name not in self._steps:
            with self.span.step(name):
                self._steps[name] = make()
            self._jobs.keep_step(self._owner, self.id, self._steps)
        return self._steps[name]

    def flush(self) -> None:
        """Write down what was told last; where that cannot be done now, it is left to the next time."""
        if self._told is None:
            return
        try:
            if self._jobs.tell(self._owner, self.id, self._told):
                self.is_to_stop = True
        except BusyError as error:
            _log.warning("How far the run %s is could not be written down: %s", self.id, error)
        else:
            self._told = None

    def _progress(self, stage: str, done: int, total: int, loss: float | None = None, /) -> None:
        if self.is_to_stop:
            raise StoppedError
        self.span.stage(stage)
        now_us = self._clock()
        if not self._stretch.goes_on(done, total):
            self._stretch = _Stretch(total=total, first=done, began_us=now_us)
        losses = self._stretch.step(done, loss)
        left_s = self._stretch.left_s(now_us)
        self._told = Told(stage=stage, done=done, total=total, loss=loss, losses=losses, left_s=left_s)
        if self._told_us is None or now_us - self._told_us >= _TELL_US or done == total:
            self._told_us = now_us
            self.flush()


class Worker:
    """Does the jobs of one workspace until it is closed."""

    def __init__(  # noqa: PLR0913 - what a worker works with
        self,
        jobs: Jobs,
        workspaces: Workspaces,
        *,
        kinds: Mapping[str, Work] = KINDS,
        schedule: Schedule | None = None,
        queue: Queue = Queue.WORK,
        clock: Callable[[], int] = canonical.now_us,
        spans: Callable[[Job], JobSpan] = no_span,
    ) -> None:
        """Take what a worker needs; it does nothing before `start`, `do_next` or `run`.

        Args:
            jobs: The jobs.
            workspaces: Lends it a workspace for each job: one of its own, so that no request waits for it.
            kinds: What a job of each kind does.
            schedule: What it queues by itself; none to queue nothing.
            queue: Which jobs it does.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
            spans: Begins the span of a job.
        """
        self._jobs, self._workspaces, self._kinds, self._clock = jobs, workspaces, kinds, clock
        self._schedule, self._queue, self._spans = schedule, queue, spans
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._run: ClaimedRun | None = None
        self._stop = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Begin, in threads."""
        works: list[tuple[str, Callable[[], object]]] = [("jobs", self._work), ("job leases", self._beat)]
        if self._schedule is not None:
            works.append(("schedule", self._look))
        for name, work in works:
            thread = Thread(target=work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def is_working(self) -> bool:
        """Whether it has neither died nor been asked to stop."""
        return not self._stop.is_set() and all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Stop: the job that it does now is put back once its work tells how far it is; that is waited for a little."""
        self._stop.set()
        self._jobs.wake()
        if self._run is not None:
            self._run.is_to_stop = True
        deadline = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._run is None:
            _with_log("leaving", lambda: self._jobs.leave(self._owner))

    def do_next(self) -> bool:
        """Do the next job, if there is one that can be done; return whether there was."""
        job = self._jobs.claim(self._owner, queue=self._queue)
        if job is None:
            return False
        span = self._spans(job)
        run = self._run = ClaimedRun(self._jobs, self._owner, job, self._clock, span)
        state = None
        try:
            if self._stop.is_set():
                run.is_to_stop = True
            with during_run(job.id):
                state = self._do(job, run)
        except LostJobError as error:
            _log.warning("%s", error)
        finally:
            self._run = None
            span.end(state)
        return True

    def _do(self, job: Job, run: ClaimedRun) -> JobState | None:
        """Do a job, and return in which state it is then; none where it was put back."""
        try:
            work = self._kinds.get(job.kind)
            if work is None:
                return self._fail(run, f"This version of the software does not know {job.kind!r}.")
            with self._workspaces.borrow() as workspace:
                result = work(workspace, run)
        except StoppedError:
            if self._jobs.beat(self._owner, job.id, queue=self._queue):
                return self._end(run, JobState.CANCELLED)
            self._jobs.give_back(self._owner, job.id)
            return None
        except LostJobError:
            raise
        except VolitionError as error:
            return self._fail(run, str(error))
        except Exception:  # noqa: BLE001 - the last net: those who follow the job must hear that it is over
            _log.exception("The job %s failed", job.id)
            return self._fail(run, "The server failed. The operator finds the reason in the log.")
        return self._end(run, JobState.DONE, result=result)

    def _fail(self, run: ClaimedRun, error: str) -> JobState:
        return self._end(run, JobState.FAILED, error=error)

    def _end(
        self,
        run: ClaimedRun,
        state: JobState,
        *,
        result: Any = None,  # noqa: ANN401 - a JSON value
        error: str = "",
    ) -> JobState:
        run.flush()
        self._jobs.end(self._owner, run.id, state, result=result, error=error)
        return state

    def _work(self) -> None:
        if self._queue is Queue.INDEX:  # the work's own threads come after it: requests go before all of them
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            while not self._stop.is_set():
                if not _with_log("looking for jobs", self.do_next):
                    self._jobs.wait(_LOOK_S, unless=self._stop.is_set)
        finally:
            if not self._stop.is_set():  # this thread dies: whoever does no work is not to say that it lives
                self._stop.set()
                _with_log("leaving", lambda: self._jobs.leave(self._owner))

    def _beat(self) -> None:
        while True:
            _with_log("renewing leases", self.beat)
            if self._stop.wait(_BEAT_S):
                return

    def beat(self) -> None:
        """Say that this worker lives, and see whether its job is to stop."""
        run = self._run
        try:
            if self._jobs.beat(self._owner, None if run is None else run.id, queue=self._queue) and run is not None:
                run.is_to_stop = True
        except LostJobError:
            if run is not None and run is self._run:  # it is not over meanwhile
                run.is_to_stop = True

    def _look(self) -> None:
        while not self._stop.wait(1.0):
            if self._schedule is not None:
                _with_log("looking at the schedule", self._schedule.look)


def _with_log(what: str, work: Callable[[], object]) -> object:
    """Do something again and again, whatever comes: a fault is logged, and what comes later is still done."""
    try:
        return work()
    except VolitionError as error:
        _log.warning("%s: %s", what, error)
    except Exception:  # noqa: BLE001 - the last net: one fault must not end all later work
        _log.exception("%s failed", what)
    return None
