"""Laying telemetry out in files, in the background: what requests brought, many of them together.

A request is answered when what it brought is durable in the lake's buffer. Files are made of it every few seconds, or
sooner where much waits; where many have piled up they are merged. Whoever reads records before that lays out first what
they read, so nobody has to know of this; killed, it goes on with the next start.
"""

import time
from typing import Final

from volition.server.repeating import Repeating
from volition.workspace.pool import Workspaces

EVERY_S: Final = 5.0
"""How long what was received waits at most, where nobody reads."""

MANY: Final = 20_000
"""So many records are laid out at once."""


class Draining:
    """Lays out what the requests of one server bring, until it is closed."""

    def __init__(self, workspaces: Workspaces) -> None:
        """Begin, with what an earlier process may have left."""
        self._workspaces = workspaces
        self._drained_s = -EVERY_S
        self._repeating = Repeating("laying out telemetry", self._drain)

    def close(self) -> None:
        """Stop; what waits is durable, and goes on waiting."""
        self._repeating.close()

    def _drain(self) -> None:
        with self._workspaces.borrow() as workspace:
            waiting = workspace.records.waiting
            if not waiting or (waiting < MANY and time.monotonic() - self._drained_s < EVERY_S):
                return
            workspace.records.drain()
            workspace.records.compact_alike()
            self._drained_s = time.monotonic()
