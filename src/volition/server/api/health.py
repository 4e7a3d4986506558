"""Whether the server still does its work: asked on the road that a decision takes, with a deadline.

A server that is only busy is well, as long as decisions get done; a restart would not help it. What it answers names no
file and nobody: it is for strangers, too.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from volition.errors import VolitionError
from volition.server.jobs import LEASE_US, Jobs
from volition.server.lanes import Lanes
from volition.workspace import Workspace
from volition.workspace.pool import Lane, OverloadedError

DEADLINE_S: Final = 5.0
"""How long decisions may go without one that gets done, seconds."""

GRACE_S: Final = LEASE_US / 1e6
"""How long a server may be without a worker after it began, seconds."""


class Health:
    """The health of one server, for its event loop."""

    def __init__(
        self, lanes: Lanes, *, jobs: Jobs | None = None, takes_telemetry: Callable[[], bool] = lambda: True
    ) -> None:
        """Nothing is known yet.

        Args:
            lanes: Where decisions are taken.
            jobs: Whose worker must live; none where the server has none of its own.
            takes_telemetry: Says whether the process is well that takes in telemetry, where there is one.
        """
        self._lanes, self._jobs, self._takes_telemetry = lanes, jobs, takes_telemetry
        self._worker_due_s = time.monotonic() + GRACE_S
        self._asked: asyncio.Task[None] | None = None

    async def trouble(self) -> str | None:
        """Return in a few words what does not work any more; none where all does."""
        if self._lanes.is_stuck(Lane.DECISIONS):
            return "stuck"
        if self._asked is None or self._asked.done():  # one question at a time: they must not fill the queue themselves
            self._asked = asyncio.create_task(self._ask())
        try:
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.shield(self._asked)
                return await self.trouble_beside()
        except (TimeoutError, OverloadedError):
            is_busy = self._lanes.idle_s(Lane.DECISIONS) < DEADLINE_S
            return None if is_busy else "not answering"
        except VolitionError:
            return "not answering"

    async def trouble_beside(self) -> str | None:
        """Return in a few words what does not work beside decisions and pages; none where all does."""
        if not self._takes_telemetry() or self._lanes.is_stuck(Lane.COLLECTING):
            return "no telemetry"
        return "no worker" if await self._lacks_worker() else None

    async def _ask(self) -> None:
        await self._lanes.run(Lane.DECISIONS, _stand)

    async def _lacks_worker(self) -> bool:
        if self._jobs is None or time.monotonic() < self._worker_due_s:
            return False
        return not await asyncio.to_thread(self._jobs.has_worker)


def _stand(workspace: Workspace) -> None:
    """Read where the ledger ends, and check that nothing was taken away from under the open workspace."""
    workspace.ledger.head  # noqa: B018 - reading it is the question
    workspace.check_in_place()
