"""The schedule: what a server or worker does by itself, as `[schedule]` of `volition.toml` says.

- A forgetting is queued once it has been owed long enough, and at the latest half-way to its due day; one that failed
  is tried again an hour later.
- A model that still owes when its due day comes is retired at once, by the one who looks: no job that runs long, and no
  worker that is busy, keeps it at work.
- What was collected is indexed for search as soon as search may show it.
- The lake is compacted from time to time, where there is something to compact.

Any number of processes may look at it: what waits is not queued twice, and what is retired is retired once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from volition import canonical
from volition.learning.forget import Owed
from volition.server.jobs import Jobs
from volition.workspace import Workspace
from volition.workspace.forgetting import RETIRED_EARLY_US
from volition.workspace.pool import Workspaces
from volition.workspace.schedule_settings import HOUR_US

ASKED_BY: Final = "schedule"
_LOOK_US: Final = 60_000_000  # to say what is owed, every training set is judged anew
_LOOK_AGAIN_US: Final = 600_000_000  # while nothing was said, only time can make something owed
_LOOK_AT_INDEX_US: Final = 5_000_000
_MANY_FILES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A forgetting that is owed, and what becomes of it by itself.

    Attributes:
        owed: What is owed.
        begins_us: When it is begun, microseconds since the Unix epoch, UTC; past where it is waited for.
        is_soon_due: Whether the operator is warned of it.
        retires_us: When the model is retired without a successor, if it still owes then.
    """

    owed: Owed
    begins_us: int
    is_soon_due: bool
    retires_us: int


def planned(workspace: Workspace) -> Iterator[Planned]:
    """Yield every forgetting that is owed, with what becomes of it, the earliest due first."""
    schedule, now_us = workspace.schedule, workspace.now_us
    for owed in workspace.models.owed():
        yield Planned(
            owed=owed,
            begins_us=schedule.forget_us(owed.since_us, owed.due_us),
            is_soon_due=schedule.warn_us(owed.due_us) <= now_us,
            retires_us=owed.due_us - RETIRED_EARLY_US,
        )


class Schedule:
    """Looks at what is to be done by itself."""

    def __init__(self, jobs: Jobs, workspaces: Workspaces, *, clock: Callable[[], int] = canonical.now_us) -> None:
        """Look at nothing yet.

        Args:
            jobs: Where jobs are queued.
            workspaces: Lends a workspace to look into.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
        """
        self._jobs, self._workspaces, self._clock = jobs, workspaces, clock
        self._looked_us: int | None = None
        self._size = -1
        self._index_looked_us: int | None = None
        self._indexed: tuple[int, Mapping[str, int]] | None = None
        self._index_again_us = 0
        self._wake_us = 0

    def look(self) -> None:
        """Do and queue what is to be done now; where it was looked a moment ago, nothing."""
        now_us = self._clock()
        self._look_at_index(now_us)
        if self._looked_us is not None and 0 <= now_us - self._looked_us < _LOOK_US:
            return
        self._looked_us = now_us
        with self._workspaces.borrow() as workspace:
            self._look_at_forgettings(workspace, now_us)
            self._look_at_lake(workspace, now_us)

    def _look_at_forgettings(self, workspace: Workspace, now_us: int) -> None:
        size = workspace.ledger.size
        if size == self._size and now_us < self._wake_us:
            return
        found = list(planned(workspace))
        if any(one.retires_us <= workspace.now_us for one in found):
            workspace.forgetting.retire_due()
            found = list(planned(workspace))
        self._size = size
        instants_us = [one for plan in found for one in (plan.begins_us, plan.retires_us)]
        self._wake_us = min([now_us + _LOOK_AGAIN_US, *(one for one in instants_us if one > now_us)])
        is_time = any(one.begins_us <= workspace.now_us and not one.owed.blocked for one in found)
        is_time = is_time or not workspace.erasures_are_finished  # such as in a table elsewhere
        if is_time and self._has_rested("forget", now_us, HOUR_US):
            self._jobs.start("forget", by=ASKED_BY, once=True)

    def _look_at_index(self, now_us: int) -> None:
        """Have indexed what is not, where anything was collected or said since the last look, or long after it."""
        if self._index_looked_us is None:
            self._index_looked_us = now_us  # what begins has other things to do first
        if 0 <= now_us - self._index_looked_us < _LOOK_AT_INDEX_US:
            return
        self._index_looked_us = now_us
        with self._workspaces.borrow() as workspace:
            present = (workspace.ledger.size, workspace.records.sizes())
            if present == self._indexed and now_us < self._index_again_us:
                return
            if workspace.features.unindexed():
                self._jobs.start("index", by=ASKED_BY, once=True)
        self._indexed, self._index_again_us = present, now_us + HOUR_US

    def _look_at_lake(self, workspace: Workspace, now_us: int) -> None:
        hours = workspace.schedule.compact_hours
        is_time = hours > 0 and self._has_rested("compact", now_us, hours * HOUR_US)
        if is_time and workspace.records.stock().small_files >= _MANY_FILES:
            self._jobs.start("compact", by=ASKED_BY, once=True)

    def _has_rested(self, kind: str, now_us: int, rest_us: int) -> bool:
        """Say whether no job of a kind waits or runs, and none of the schedule's was over less than `rest_us` ago."""
        newest = self._jobs.newest(kind)
        if newest is None:
            return True
        return newest.is_over and (newest.asked_by != ASKED_BY or now_us - (newest.ended_us or 0) >= rest_us)
