"""Background jobs that are stuck, for whoever looks after a workspace (`workspace.doctor`)."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from volition.canonical import us_to_text
from volition.server.jobs import FILE, Jobs, JobState
from volition.workspace.doctor import DAY_US, Finding, State

_TOLD: Final = "`volition runs` has them."


def examine_jobs(folder: Path, *, clock: Callable[[], int]) -> Iterator[Finding]:
    """Say which jobs wait for longer than a day, or were begun again and again; nothing where there never was one."""
    if not (folder / FILE).exists():
        return
    with closing(Jobs(folder, clock=clock)) as jobs:
        now_us = clock()
        for job in jobs.all():
            if job.state is JobState.WAITING and job.started_us + DAY_US < now_us:
                found = f"{job.what} waits since {us_to_text(job.started_us)}"
                mend = f"Start a worker: `volition worker`. {_TOLD}"
                yield Finding(check="jobs", state=State.WARNING, found=found, mend=mend)
            elif job.state is JobState.RUNNING and job.attempts > 1:
                found = f"{job.what} was begun {job.attempts} times: its worker died"
                yield Finding(check="jobs", state=State.WARNING, found=found, mend=_TOLD)
