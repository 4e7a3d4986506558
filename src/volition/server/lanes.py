"""Work that requests ask for, in a thread with a workspace: so much of each kind at once, and the rest in a queue.

A request waits for its turn in the event loop, where waiting costs no thread, and then does its work in one go. What
holds under any load (admission control):

- Each kind of work (`workspace.pool.Lane`) has workspaces and a queue of its own: one that is full slows no other.
- A queue is bounded. Anyone who finds it full, or waits too long in it, is answered 503 with `Retry-After`: nothing was
  done, and the same request can be sent again.

    size = await lanes.run(Lane.READING, lambda workspace: workspace.ledger.size)
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

from volition.consent.lease import Settling
from volition.workspace import Workspace
from volition.workspace.pool import Lane, OverloadedError, Workspaces

STUCK_S: Final = 60.0
"""Work of a server that is well is done long before."""

T = TypeVar("T")


class Elsewhere(Protocol):
    """Where work of a kind is done that is not done in this process."""

    def do(self, work: Callable[[Workspace], T]) -> T:
        """Do something with a workspace, and return what it gives."""


class Lanes:
    """The queues before the workspaces of one server, for its event loop."""

    def __init__(
        self,
        workspaces: Workspaces,
        *,
        waiting: int,
        patience_s: float,
        waited: Callable[[str, float], None] = lambda _, __: None,
        elsewhere: Mapping[Lane, Elsewhere] = MappingProxyType({}),
    ) -> None:
        """Stand before `workspaces`.

        Args:
            workspaces: What is lent.
            waiting: How many requests of one kind wait for their turn.
            patience_s: For how long, at most, seconds.
            waited: Told, for each turn, of which kind it is and how long it was waited for, seconds.
            elsewhere: Where work of some kinds is done, if not here: what `run` is given for them goes there.
        """
        self.workspaces = workspaces
        self._elsewhere = elsewhere
        self._patience_s = patience_s
        self._lanes = {lane: _Queue(lane.value, workspaces.at_once(lane), waiting, patience_s, waited) for lane in Lane}

    async def run(self, lane: Lane, work: Callable[[Workspace], T]) -> T:
        """Do something with a workspace, in a thread, when its turn has come.

        Raises:
            OverloadedError: There is too much to do of this kind.
        """
        elsewhere = self._elsewhere.get(lane)

        def in_thread() -> T:
            if elsewhere is not None:
                return elsewhere.do(work)
            with self.workspaces.borrow(lane, patience_s=self._patience_s) as workspace:
                return work(workspace)

        return await self.run_without(lane, in_thread)

    async def run_without(self, lane: Lane, work: Callable[[], T]) -> T:
        """Do something in a thread, when its turn has come; it borrows a workspace of its kind itself if it needs one.

        Raises:
            OverloadedError: There is too much to do of this kind.
        """
        queue = self._lanes[lane]
        async with queue.turn():
            return await queue.in_thread(work)

    async def decide(self, work: Callable[[Workspace], T]) -> T:
        """Do what a party decides; the leases of those who answer from before it run out before this returns.

        That is waited for in the event loop, when the workspace was given back and the turn is another's.

        Raises:
            OverloadedError: Too much is being decided.
        """
        settling = Settling()

        def collecting(workspace: Workspace) -> T:
            with settling.collecting():
                return work(workspace)

        try:
            return await self.run(Lane.DECISIONS, collecting)
        finally:
            await settled(settling)

    @asynccontextmanager
    async def lent(self, lane: Lane) -> AsyncIterator[Workspace]:
        """Lend a workspace for an `async with` block, when its turn has come; use it in one thread at a time.

        Raises:
            OverloadedError: There is too much to do of this kind.
        """
        queue = self._lanes[lane]
        async with queue.turn():
            lending = self.workspaces.borrow(lane, patience_s=self._patience_s)
            workspace = await queue.in_thread(lending.__enter__)  # it may have to be opened
            try:
                yield workspace
            finally:
                lending.__exit__(None, None, None)  # it only puts the workspace back

    def close(self) -> None:
        """Begin nothing more; what was begun is done."""
        for queue in self._lanes.values():
            queue.close()

    def is_stuck(self, lane: Lane) -> bool:
        """Say whether some work of a kind began more than `STUCK_S` ago, and is not done."""
        return self._lanes[lane].longest_s() > STUCK_S

    def load(self) -> dict[str, tuple[int, int]]:
        """Return by the kind of work how many requests wait for their turn, and how many have it; from any thread."""
        return {lane.value: queue.load() for lane, queue in self._lanes.items()}

    def idle_s(self, lane: Lane) -> float:
        """Return for how many seconds no work of a kind got done."""
        return time.monotonic() - self._lanes[lane].done_s


async def settled(settling: Settling) -> None:
    """Wait until what was appended may be told of."""
    while (left_s := settling.left_s()) > 0:  # noqa: ASYNC110 - a timer may be early by a little
        await asyncio.sleep(left_s)


class _Queue:
    """What waits for its turn, and what has it."""

    def __init__(
        self, name: str, at_once: int, waiting: int, patience_s: float, waited: Callable[[str, float], None]
    ) -> None:
        self._waited = partial(waited, name)
        self._most_waiting = waiting
        self._patience_s = patience_s
        self._turns = asyncio.Semaphore(at_once)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._waiting = 0
        self._began_s: dict[object, float] = {}
        self.done_s = time.monotonic()  # when the last was done

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if self._waiting >= self._most_waiting:
            raise OverloadedError
        self._waiting += 1
        asked_s = time.monotonic()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._turns.acquire()
        except TimeoutError:
            raise OverloadedError from None
        finally:
            self._waiting -= 1
            self._waited(time.monotonic() - asked_s)
        mine = object()
        self._began_s[mine] = time.monotonic()
        try:
            yield
        finally:
            del self._began_s[mine]
            self.done_s = time.monotonic()
            self._turns.release()

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something in a thread; for whoever has a turn, one is free. What it logs says for which request."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    def load(self) -> tuple[int, int]:
        """Return how many wait, and how many have a turn."""
        return self._waiting, len(self._began_s)

    def longest_s(self) -> float:
        return max((time.monotonic() - began_s for began_s in self._began_s.values()), default=0.0)
