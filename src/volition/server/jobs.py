"""Background jobs of a server: trainings, audits, forgettings; each with a progress that can be followed.

Jobs run in a thread with a workspace of its own, one at a time: each may use every core. Results are kept by the use
cases themselves (a killed training goes on where it stopped); kept here, until the server stops, is only the progress.

    job = jobs.start("train recommend", lambda workspace, step: workspace.models.train("recommend", progress=step).id)
    for now in jobs.follow(job.id): ...
"""

import logging
import math
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from threading import Condition, Thread
from typing import Any, Final

from volition.errors import InvalidInputError, VolitionError
from volition.progress import Progress
from volition.workspace import Workspace
from volition.workspace.pool import Workspaces

Work = Callable[[Workspace, Progress], Any]

_KEPT: Final = 200
_POINTS: Final = 400  # of a job's losses that are remembered: as many as a drawing can show
_HEARTBEAT_S: Final = 15.0
_log = logging.getLogger(__name__)


class JobState(StrEnum):
    """The state of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is now.

    Attributes:
        id: Its name.
        what: What it does, such as "train search".
        state: Its state.
        stage: What it is busy with; empty before it begins.
        done: How much of the stage is done.
        total: Of how much; 0 if it is not known.
        loss: How wrong the model was at this step, in the family's own unit; none where it was not measured.
        losses: The stage's losses so far, as pairs of `done` and loss, thinned out where there are many.
        left_s: Seconds until the stage is done, by its speed so far; none before its second step.
        result: What it gave, a JSON value; none unless it is done.
        error: Why it failed; empty unless it did.
        started_us: When it was requested, microseconds since the Unix epoch, UTC.
        version: Counts its changes.
    """

    id: str
    what: str
    state: JobState
    stage: str = ""
    done: int = 0
    total: int = 0
    loss: float | None = None
    losses: tuple[tuple[int, float], ...] = ()
    left_s: int | None = None
    result: Any = None
    error: str = ""
    started_us: int
    version: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in {JobState.DONE, JobState.FAILED}

    def to_json(self) -> dict[str, Any]:
        """Return the job as a JSON object."""
        return {
            "run": self.id,
            "what": self.what,
            "state": self.state.value,
            "stage": self.stage,
            "done": self.done,
            "total": self.total,
            "loss": self.loss,
            "left_s": self.left_s,
            "result": self.result,
            "error": self.error or None,
        }


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


class Jobs:
    """The jobs of one server. It may be used from several threads."""

    def __init__(self, workspaces: Workspaces, *, clock: Callable[[], int]) -> None:
        """Begin without any; `clock` gives the present instant in microseconds since the Unix epoch, UTC."""
        self._workspaces = workspaces
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._changed = Condition()
        self._queue: list[tuple[str, Work]] = []
        self._worker: Thread | None = None
        self._closed = False

    def start(self, what: str, work: Work) -> Job:
        """Queue a job; return it as it is now."""
        job = Job(id=secrets.token_hex(6), what=what, state=JobState.WAITING, started_us=self._clock())
        with self._changed:
            over = [identity for identity, known in self._jobs.items() if known.is_over]
            for identity in over[: max(0, len(self._jobs) - _KEPT)]:
                del self._jobs[identity]
            self._jobs[job.id] = job
            self._queue.append((job.id, work))
            if self._worker is None:
                self._worker = Thread(target=self._run, name="jobs", daemon=True)
                self._worker.start()
            self._changed.notify_all()
        return job

    def all(self) -> list[Job]:
        """Return every job that is remembered, oldest first."""
        with self._changed:
            return list(self._jobs.values())

    def job(self, job: str) -> Job:
        """Return a job by its id.

        Raises:
            InvalidInputError: There is none.
        """
        with self._changed:
            if job not in self._jobs:
                raise InvalidInputError(f"There is no run {job!r}. The server lists its runs until it stops.")
            return self._jobs[job]

    def follow(self, job: str) -> Iterator[Job]:
        """Yield a job as it is, and again whenever it changes, until it is over; now and then also without a change.

        Raises:
            InvalidInputError: There is none.
        """
        seen = -1
        while True:
            now = self._newer(job, seen)
            seen = now.version
            yield now
            if now.is_over or self._closed:
                return

    def _newer(self, job: str, seen: int) -> Job:
        """Wait until a job has another version than the one that was seen, though not for ever."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or job not in self._jobs or self._jobs[job].version != seen, timeout=_HEARTBEAT_S
            )
        return self.job(job)

    def close(self) -> None:
        """Begin nothing more; what runs goes on until its process ends."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._queue:
                    self._worker = None
                    return
                job, work = self._queue.pop(0)
            self._do(job, work)

    def _do(self, job: str, work: Work) -> None:
        stretch = _Stretch(total=0, first=0, began_us=self._clock())

        def progress(stage: str, done: int, total: int, loss: float | None = None, /) -> None:
            nonlocal stretch
            if not stretch.goes_on(done, total):
                stretch = _Stretch(total=total, first=done, began_us=self._clock())
            losses = stretch.step(done, loss)
            left_s = stretch.left_s(self._clock())
            self._update(job, stage=stage, done=done, total=total, loss=loss, losses=losses, left_s=left_s)

        self._update(job, state=JobState.RUNNING)
        try:
            with self._workspaces.borrow() as workspace:
                result = work(workspace, progress)
        except VolitionError as error:
            self._update(job, state=JobState.FAILED, error=str(error))
        except Exception:  # noqa: BLE001 - the last net: those who follow the job must hear that it is over
            _log.exception("The job %s failed", job)
            self._update(
                job, state=JobState.FAILED, error="The server failed. The operator finds the reason in the log."
            )
        else:
            self._update(job, state=JobState.DONE, result=result, left_s=None)

    def _update(self, job: str, **changes: Any) -> None:  # noqa: ANN401 - the fields of a job
        with self._changed:
            known = self._jobs.get(job)
            if known is not None:
                self._jobs[job] = replace(known, **changes, version=known.version + 1)
                self._changed.notify_all()
