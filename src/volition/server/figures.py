"""What an operator watches, as numbers: what is owed and until when, what waits, what failed. None names a party.

They are read when somebody asks for them, from the ledger and the databases, so that they are right whichever process
did the work.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import nan
from typing import Final

from volition import canonical
from volition.learning.forget import DAY_US
from volition.server.beside import Beside
from volition.server.jobs import Jobs, JobState
from volition.server.lanes import Lanes
from volition.server.notices.outbox import Outbox
from volition.workspace import Workspace

_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number.

    Attributes:
        name: How Prometheus calls it.
        help: What it says.
        value: The number; NaN where there is nothing to measure.
        label: What it is divided by, as name and value; none where it is one.
    """

    name: str
    help: str
    value: float
    label: tuple[str, str] | None = None


def of_workspace(workspace: Workspace) -> Iterator[Figure]:
    """Yield what the ledger and the lake give.

    Raises:
        VolitionError: They cannot be read now.
    """
    owed = workspace.models.owed()
    due_us = owed[0].due_us if owed else None
    left = nan if due_us is None else (due_us - workspace.now_us) // DAY_US
    due_s = nan if due_us is None else due_us / _SECOND_US
    late = sum(one.due_us <= workspace.now_us for one in owed)
    yield Figure(name="volition_ledger_entries", help="Entries of the ledger", value=workspace.ledger.size)
    yield Figure(name="volition_forgettings_owed", help="Forgettings that are owed", value=len(owed))
    yield Figure(name="volition_forgettings_overdue", help="Forgettings whose due instant has passed", value=late)
    days = "Whole days until the earliest due day of a forgetting, below 0 after it; NaN where none is owed"
    yield Figure(name="volition_forgetting_days_left", help=days, value=left)
    due = "The earliest due instant of a forgetting, seconds since the Unix epoch; NaN where none is owed"
    yield Figure(name="volition_forgetting_due_timestamp_seconds", help=due, value=due_s)
    small = "Small files of the lake, which a compaction joins"
    yield Figure(name="volition_lake_small_files", help=small, value=workspace.records.stock().small_files)
    buffered = "Records that telemetry brought and that are not in files of the lake yet"
    yield Figure(name="volition_telemetry_buffered_records", help=buffered, value=workspace.records.waiting)


def of_queues(jobs: Jobs, outbox: Outbox) -> Iterator[Figure]:
    """Yield how much waits, and what became of the rest."""
    kept = jobs.all()
    for state in JobState:
        value = sum(job.state is state for job in kept)
        yield Figure(name="volition_jobs", help="Background jobs that are kept", value=value, label=("state", state))
    waiting_us = [job.started_us for job in kept if job.state is JobState.WAITING]
    age_s = (canonical.now_us() - min(waiting_us)) / _SECOND_US if waiting_us else 0
    waited = "For how long the oldest queued job has waited"
    yield Figure(name="volition_job_longest_wait_seconds", help=waited, value=age_s)
    has = "1 where a worker has shown itself lately, otherwise 0"
    yield Figure(name="volition_worker_alive", help=has, value=jobs.has_worker())
    for mail_state, value in outbox.counts().items():
        label = ("state", mail_state.value)
        yield Figure(name="volition_mails", help="Mails that are kept", value=value, label=label)


def of_processes(processes: Mapping[str, Beside]) -> Iterator[Figure]:
    """Yield of each process beside the server, by what it does, whether it is well, and how often it was begun anew."""
    said = "1 where a process beside the server is well, 0 where it is dead or has said nothing for long"
    for name, process in processes.items():
        yield Figure(name="volition_process_well", help=said, value=process.is_well, label=("process", name))
    again = "How often a process beside the server was begun anew"
    for name, process in processes.items():
        yield Figure(name="volition_process_restarts", help=again, value=process.restarts, label=("process", name))


def of_lanes(lanes: Lanes) -> Iterator[Figure]:
    """Yield how many requests of each kind of work wait for their turn, and how many have it."""
    load = lanes.load()
    for kind, (waiting, _) in load.items():
        said = "Requests that wait for their turn"
        yield Figure(name="volition_requests_waiting", help=said, value=waiting, label=("kind", kind))
    for kind, (_, working) in load.items():
        said = "Requests whose work is being done"
        yield Figure(name="volition_requests_working", help=said, value=working, label=("kind", kind))
