"""Background jobs: trainings, audits, forgettings, kept as rows in `jobs.db` beside the ledger (a durable job queue).

What it guarantees:

- A job that `start` has returned is on disk: killing the server or a worker loses none. What has begun and whose worker
  says nothing for `LEASE_US` is taken up by another, from its last finished step on.
- A job is claimed in one transaction, so two workers never run one job, nor two jobs that do the same thing at once.
- What a worker says of a job that it has lost to another changes nothing.
- Every change has a number of its own, the job's `version`, higher than all before: anyone who follows asks now and
  then for `changed_since`, at the price of one look into an index, however many follow.

    job = jobs.start("train", "recommend", by="engineer")
    jobs.job(job.id).state

Jobs name nobody: neither a party nor a person is in a row. A summary's has the pseudonym of whoever asked for it.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Condition
from typing import Any, Final

from volition import canonical
from volition.canonical import us_to_text
from volition.errors import ConflictError, InvalidInputError
from volition.server.auth.database import WebDatabase
from volition.server.correlation import REQUEST

FILE: Final = "jobs.db"
LEASE_US: Final = 30_000_000
"""How long a worker may say nothing of a job before another takes it up, microseconds."""

ATTEMPTS_MOST: Final = 10
"""How often a job is begun, where each time its worker died: then it fails, lest it take down every worker."""

KEPT: Final = 1000
"""How many of the jobs of a kind that are over are kept, by default."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, payload TEXT NOT NULL, asked_by TEXT NOT NULL,
    state TEXT NOT NULL, started_us INTEGER NOT NULL, began_us INTEGER, ended_us INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0, owner TEXT, lease_us INTEGER NOT NULL DEFAULT 0,
    is_cancelling INTEGER NOT NULL DEFAULT 0, steps TEXT NOT NULL DEFAULT '{}',
    stage TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    loss REAL, losses TEXT NOT NULL DEFAULT '[]', left_s INTEGER, result TEXT NOT NULL DEFAULT 'null',
    error TEXT NOT NULL DEFAULT '', version INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS jobs_version ON jobs (version);
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state, started_us);
CREATE TABLE IF NOT EXISTS workers (id TEXT PRIMARY KEY, seen_us INTEGER NOT NULL) STRICT;
"""
_COLUMNS: Final = (
    "id, kind, subject, payload, asked_by, state, started_us, began_us, ended_us, attempts, is_cancelling, steps, "
    "stage, done, total, loss, losses, left_s, result, error, trace, version"
)
_NEXT: Final = "(SELECT coalesce(max(version), 0) + 1 FROM jobs)"
_CLAIMABLE: Final = """
SELECT id, attempts, is_cancelling FROM jobs AS one
WHERE (state = 'waiting' OR (state = 'running' AND lease_us < :now))
  AND (kind IN ('index', 'write-summary')) = :indexes
  AND NOT EXISTS (SELECT 1 FROM jobs AS other WHERE other.state = 'running' AND other.lease_us >= :now
                  AND other.kind = one.kind AND other.subject = one.subject)
ORDER BY started_us, rowid LIMIT 1
"""


class JobState(StrEnum):
    """The state of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Queue(StrEnum):
    """Which jobs a worker does: what is short and waited for on pages does not queue behind what takes hours."""

    WORK = "work"
    INDEX = "index"


class LostJobError(ConflictError):
    """A worker goes on with a job that is not its own any more: it is to stop, and change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is now.

    Attributes:
        id: Its name.
        kind: What is to be done, a key of `work.KINDS`.
        subject: To what, such as a family's name; empty where the kind says all.
        payload: What else the work must know, a JSON object.
        asked_by: Who asked for it: a user, or "schedule".
        state: Its state.
        is_cancelling: Whether it is to stop at its next step.
        attempts: How often a worker has begun it.
        steps: What its finished steps gave, by their names: a worker that takes it up goes on after them.
        stage: What it is busy with; empty before it begins.
        done: How much of the stage is done.
        total: Of how much; 0 if it is not known.
        loss: How wrong the model was at this step, in the family's own unit; none where it was not measured.
        losses: The stage's losses so far, as pairs of `done` and loss, thinned out where there are many.
        left_s: Seconds until the stage is done, by its speed so far; none before its second step.
        result: What it gave, a JSON value; none unless it is done.
        error: Why it failed; empty unless it did.
        trace: The part of a trace that asked for it (`correlation.Correlation.traceparent`); empty where none did.
        started_us: When it was requested, microseconds since the Unix epoch, UTC.
        began_us: When a worker last began it; none before.
        ended_us: When it was over; none before.
        version: The number of its last change; of two changes, of whatever jobs, the later has the higher.
    """

    id: str
    kind: str
    subject: str
    payload: Mapping[str, Any]
    asked_by: str
    state: JobState
    is_cancelling: bool
    attempts: int
    steps: Mapping[str, Any]
    stage: str
    done: int
    total: int
    loss: float | None
    losses: tuple[tuple[int, float], ...]
    left_s: int | None
    result: Any
    error: str
    trace: str
    started_us: int
    began_us: int | None
    ended_us: int | None
    version: int

    @property
    def what(self) -> str:
        """What it does, in words of the API, such as "train search"."""
        return f"{self.kind} {self.subject}".strip()

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state not in {JobState.WAITING, JobState.RUNNING}

    def to_json(self) -> dict[str, Any]:
        """Return the job as a JSON object, with instants as text."""
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
            "by": self.asked_by,
            "cancelling": self.is_cancelling and not self.is_over,
            "attempts": self.attempts,
            "requested": us_to_text(self.started_us),
            "began": None if self.began_us is None else us_to_text(self.began_us),
            "ended": None if self.ended_us is None else us_to_text(self.ended_us),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How far a job is, as its worker tells: `stage` to `left_s` as in `Job`."""

    stage: str
    done: int
    total: int
    loss: float | None
    losses: tuple[tuple[int, float], ...]
    left_s: int | None


class Jobs:
    """The jobs of one workspace. It may be used from several threads, and by several processes at once."""

    def __init__(self, folder: Path, *, clock: Callable[[], int] = canonical.now_us, kept: int = KEPT) -> None:
        """Open the jobs of the workspace in `folder`.

        Args:
            folder: Where it lies.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
            kept: How many of those of a kind that are over are kept, the newest.

        Raises:
            BackendError: Their file cannot be opened or made.
        """
        self._clock, self._kept = clock, kept
        self._database = WebDatabase(folder / FILE, clock=clock)
        self._database.create(_SCHEMA)
        self._database.add_column("jobs", "trace TEXT NOT NULL DEFAULT ''")
        self._database.add_column("workers", "queue TEXT NOT NULL DEFAULT 'work'")
        self._changed = Condition()
        self._closed = False

    def start(
        self, kind: str, subject: str = "", *, payload: Mapping[str, Any] | None = None, by: str, once: bool = False
    ) -> Job:
        """Queue a job, durably; return it as it is now.

        Args:
            kind: What is to be done, a key of `work.KINDS`.
            subject: To what.
            payload: What else the work must know, a JSON object; it names nobody.
            by: Who asks for it.
            once: Whether one that waits already will do: it has not begun, so it covers all that came until now.
        """
        job, request = secrets.token_hex(6), REQUEST.get()
        trace = "" if request is None else request.traceparent
        with self._database.writing() as db:
            waiting = "SELECT id FROM jobs WHERE kind = ? AND subject = ? AND state = 'waiting' LIMIT 1"
            found = db.execute(waiting, (kind, subject)).fetchone() if once else None
            if found is not None:
                return self.job(found[0])
            db.execute(
                f"INSERT INTO jobs (id, kind, subject, payload, asked_by, state, started_us, trace, version) "  # noqa: S608
                f"VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, {_NEXT})",
                (job, kind, subject, json.dumps(payload or {}), by, self._clock(), trace),
            )
            db.execute(
                "DELETE FROM jobs WHERE ended_us IS NOT NULL AND kind = ? AND version <= (SELECT version FROM jobs "
                "WHERE ended_us IS NOT NULL AND kind = ? ORDER BY version DESC LIMIT 1 OFFSET ?)",
                (kind, kind, self._kept),
            )
        self.wake()
        return self.job(job)

    def all(self) -> list[Job]:
        """Return every job that is kept, oldest first; of those that are over the newest are."""
        return self._jobs("ORDER BY started_us, rowid")

    def job(self, job: str) -> Job:
        """Return a job by its id.

        Raises:
            InvalidInputError: There is none.
        """
        found = self._jobs("WHERE id = ?", job)
        if not found:
            raise InvalidInputError(f"There is no run {job!r}. The list of runs has those that are kept.")
        return found[0]

    def changed_since(self, version: int) -> list[Job]:
        """Return the jobs that have changed since a version, in the order of their changes; all of them since 0."""
        return self._jobs("WHERE version > ? ORDER BY version", version)

    def newest(self, kind: str) -> Job | None:
        """Return the job of a kind that was requested last; none if there is none."""
        return next(iter(self._jobs("WHERE kind = ? ORDER BY started_us DESC, rowid DESC LIMIT 1", kind)), None)

    def cancel(self, job: str) -> Job:
        """Have a job stop: at once where it waits, at its next step where it runs; return it as it is now.

        Raises:
            InvalidInputError: There is none.
            ConflictError: It is over.
        """
        with self._database.writing() as db:
            known = self.job(job)
            if known.is_over:
                raise ConflictError(f"The run {job} is over, so there is nothing to cancel.")
            if known.state is JobState.WAITING:
                self._end(db, job, JobState.CANCELLED)
            else:
                db.execute(f"UPDATE jobs SET is_cancelling = 1, version = {_NEXT} WHERE id = ?", (job,))  # noqa: S608
        self.wake()
        return self.job(job)

    def wait(self, timeout_s: float, *, unless: Callable[[], bool] = lambda: False) -> None:
        """Wait until something changes in this process, though no longer than `timeout_s` seconds.

        Args:
            timeout_s: How long at most.
            unless: Whether not to wait at all: what becomes true before somebody calls `wake` is not missed.
        """
        with self._changed:
            if not self._closed and not unless():
                self._changed.wait(timeout_s)

    def wake(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Let those who wait go, and close the file."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._database.close()

    # --- for workers ---

    def claim(self, owner: str, *, queue: Queue = Queue.WORK) -> Job | None:
        """Claim the job that waits longest, or whose worker died; none where there is none that could be begun now.

        Args:
            owner: A name of the worker that no other has.
            queue: Only a job of this queue.
        """
        while True:
            now_us = self._clock()
            with self._database.writing() as db:
                found = db.execute(_CLAIMABLE, {"now": now_us, "indexes": queue is Queue.INDEX}).fetchone()
                if found is None:
                    return None
                job, attempts, is_cancelling = found
                if is_cancelling:
                    self._end(db, job, JobState.CANCELLED)
                elif attempts >= ATTEMPTS_MOST:
                    error = f"It was begun {attempts} times, and each time the worker died. Its log may say why."
                    self._end(db, job, JobState.FAILED, error=error)
                else:
                    db.execute(
                        f"UPDATE jobs SET state = 'running', owner = ?, lease_us = ?, began_us = ?, version = {_NEXT}, "  # noqa: S608
                        "attempts = attempts + 1 WHERE id = ?",
                        (owner, now_us + LEASE_US, now_us, job),
                    )
                claimed = self.job(job)  # where it cannot be read, it is not claimed either
            self.wake()
            if claimed.state is JobState.RUNNING:
                return claimed

    def beat(self, owner: str, job: str | None, *, queue: Queue = Queue.WORK) -> bool:
        """Say that a worker of a queue lives, and renew its lease of a job; return whether that job is to stop.

        Raises:
            LostJobError: The job is another worker's by now.
        """
        now_us = self._clock()
        with self._database.writing() as db:
            row = (owner, now_us, queue.value)
            db.execute("INSERT OR REPLACE INTO workers (id, seen_us, queue) VALUES (?, ?, ?)", row)
            db.execute("DELETE FROM workers WHERE seen_us < ?", (now_us - 10 * LEASE_US,))
            if job is None:
                return False
            own = "WHERE id = ? AND owner = ? AND state = 'running'"
            found = db.execute(f"SELECT is_cancelling FROM jobs {own}", (job, owner)).fetchone()  # noqa: S608 - ours
            if found is None:
                raise LostJobError(f"The run {job} was taken up by another worker.")
            db.execute(f"UPDATE jobs SET lease_us = ? {own}", (now_us + LEASE_US, job, owner))  # noqa: S608 - ours
            return bool(found[0])

    def tell(self, owner: str, job: str, told: Told) -> bool:
        """Note how far a job is; return whether it is to stop. Raises LostJobError as `beat` does."""
        values = (told.stage, told.done, told.total, told.loss, json.dumps(told.losses), told.left_s)
        self._update(owner, job, "stage = ?, done = ?, total = ?, loss = ?, losses = ?, left_s = ?", *values)
        return self.job(job).is_cancelling

    def keep_step(self, owner: str, job: str, steps: Mapping[str, Any]) -> None:
        """Note what the finished steps of a job gave, JSON values. Raises LostJobError as `beat` does."""
        self._update(owner, job, "steps = ?", json.dumps(steps))

    def give_back(self, owner: str, job: str) -> None:
        """Put a job back that a worker which is stopping has begun: the next one goes on with it."""
        self._update(owner, job, "state = 'waiting', owner = NULL, attempts = attempts - 1")

    def end(self, owner: str, job: str, state: JobState, *, result: Any = None, error: str = "") -> None:  # noqa: ANN401
        """Note that a job is over, with what it gave, a JSON value. Raises LostJobError as `beat` does."""
        with self._database.writing() as db:
            self._check_own(db, owner, job)
            self._end(db, job, state, result=result, error=error)
        self.wake()

    def leave(self, owner: str) -> None:
        """Say that a worker has stopped."""
        with self._database.writing() as db:
            db.execute("DELETE FROM workers WHERE id = ?", (owner,))

    def has_worker(self) -> bool:
        """Say whether any worker of trainings, audits and forgettings has said lately that it lives."""
        lately = "SELECT 1 FROM workers WHERE seen_us >= ? AND queue = ? LIMIT 1"
        return bool(self._database.rows(lately, self._clock() - LEASE_US, Queue.WORK.value))

    def _update(self, owner: str, job: str, changes: str, *values: Any) -> None:  # noqa: ANN401 - what SQLite takes
        with self._database.writing() as db:
            self._check_own(db, owner, job)
            db.execute(f"UPDATE jobs SET {changes}, version = {_NEXT} WHERE id = ?", (*values, job))  # noqa: S608 - ours
        self.wake()

    @staticmethod
    def _check_own(db: Any, owner: str, job: str) -> None:  # noqa: ANN401 - a connection
        own = "SELECT 1 FROM jobs WHERE id = ? AND owner = ? AND state = 'running'"
        if db.execute(own, (job, owner)).fetchone() is None:
            raise LostJobError(f"The run {job} was taken up by another worker.")

    def _end(self, db: Any, job: str, state: JobState, *, result: Any = None, error: str = "") -> None:  # noqa: ANN401
        db.execute(
            f"UPDATE jobs SET state = ?, result = ?, error = ?, ended_us = ?, left_s = NULL, version = {_NEXT} "  # noqa: S608
            "WHERE id = ?",
            (state.value, json.dumps(result), error, self._clock(), job),
        )

    def _jobs(self, where: str, *values: Any) -> list[Job]:  # noqa: ANN401 - what SQLite takes
        names = _COLUMNS.split(", ")
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM jobs {where}", *values)  # noqa: S608 - ours
        return [_job(dict(zip(names, row, strict=True))) for row in rows]


def _job(row: dict[str, Any]) -> Job:
    read = {name: json.loads(row[name]) for name in ("payload", "steps", "result", "losses")}
    losses = tuple((done, loss) for done, loss in read.pop("losses"))
    state, is_cancelling = JobState(row["state"]), bool(row["is_cancelling"])
    return Job(**row | read | {"losses": losses, "state": state, "is_cancelling": is_cancelling})
