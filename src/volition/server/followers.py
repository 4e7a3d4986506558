"""Following background jobs, for however many followers: they wait in the event loop, and cost no thread.

One task looks at the jobs that somebody follows, a few times a second, and wakes their followers when they changed.
What is sent is written once for all who follow a job in the same form. It works for any jobs that have a version,
whichever process does them.

    async for text in followers.follow(run, write): ...
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from volition.errors import InvalidInputError, VolitionError
from volition.server.jobs import Job, Jobs

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.25
HEARTBEAT_S: Final = 15.0
"""How often something is sent without a change, so that nobody in between closes the connection."""


@dataclass(slots=True)
class _Followed:
    """A job that somebody follows: as it was last seen, none once nobody knows it any more; and what was sent of it."""

    job: Job | None
    followers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    written: dict[Callable[[Job], str], str] = field(default_factory=dict)

    def see(self, job: Job | None) -> None:
        if job is None or self.job is None or job.version != self.job.version:
            self.job = job
            self.written = {}
            self.changed.set()
            self.changed = asyncio.Event()

    def text(self, write: Callable[[Job], str]) -> str:
        if self.job is None:
            return ""
        if write not in self.written:
            self.written[write] = write(self.job)
        return self.written[write]


class Followers:
    """All who follow a job of one server, in its event loop."""

    def __init__(self, jobs: Jobs, *, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Nobody follows yet; once `is_stopping`, every following ends."""
        self._jobs = jobs
        self._is_stopping = is_stopping
        self._followed: dict[str, _Followed] = {}
        self._looking: asyncio.Task[None] | None = None

    async def follow(self, run: str, write: Callable[[Job], str]) -> AsyncIterator[str]:
        """Yield a job as `write` writes it, and again when it changes, until it is over; now and then also unchanged.

        `write` is a function that stays the same from one follower to the next, and is quick.

        Raises:
            InvalidInputError: There is no such job.
        """
        followed = self._followed.get(run)
        if followed is None:
            followed = self._followed[run] = _Followed(self._jobs.job(run))
        followed.followers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            while not self._is_stopping():
                changed, job = followed.changed, followed.job
                if job is None:
                    return
                yield followed.text(write)
                if job.is_over:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S):
                        await changed.wait()
        finally:
            followed.followers -= 1
            if not followed.followers and self._followed.get(run) is followed:
                del self._followed[run]

    async def _look(self) -> None:
        """Look at what is followed, for as long as anybody follows anything."""
        while self._followed:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                found = await asyncio.to_thread(self._newest, [*self._followed])
            except Exception:  # noqa: BLE001 - the last net: who follows must not wait for ever on one fault
                _log.exception("The runs that are followed could not be looked at")
                continue
            for run, job in found.items():
                if run in self._followed:
                    self._followed[run].see(job)
            if self._is_stopping():
                for followed in self._followed.values():
                    followed.see(None)

    def _newest(self, runs: list[str]) -> dict[str, Job | None]:
        found: dict[str, Job | None] = {}
        for run in runs:
            try:
                found[run] = self._jobs.job(run)
            except InvalidInputError:
                found[run] = None
            except VolitionError as error:  # what cannot be read now is looked at again, and is not gone
                _log.warning("The run %s cannot be read: %s", run, error)
        return found
