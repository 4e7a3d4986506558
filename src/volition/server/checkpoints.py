"""The ledger's newest checkpoint, kept with the users, and compared with the ledger when the server starts.

It is one more place that is not cut along when the last entries are cut off the ledger, or an older copy is put back;
see `workspace.checkpoints`.
"""

import logging
import time
from typing import Final

from volition.errors import VolitionError
from volition.server.auth.database import WebDatabase
from volition.server.repeating import Repeating
from volition.workspace.pool import Workspaces

_STATE: Final = "checkpoint"
_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


class ServerCheckpoints:
    """Keeps the newest checkpoint in web.db, each minute and when the server stops."""

    def __init__(self, database: WebDatabase, workspaces: Workspaces) -> None:
        """Compare what is kept with the ledger, and begin.

        Raises:
            ProofError: The ledger does not hold what was signed.
        """
        self._database = database
        self._workspaces = workspaces
        self._next_s = time.monotonic() + _EVERY_S
        self._kept = (database.state(_STATE) or b"").decode(errors="replace")
        if self._kept:
            with workspaces.borrow() as workspace:
                workspace.ledger.check_extends(self._kept, where="web.db")
        self._keep()
        self._repeating = Repeating("newest checkpoint", self._keep_in_time)

    def close(self) -> None:
        """Keep the newest one, and stop."""
        self._repeating.close()
        try:
            self._keep()
        except VolitionError as error:  # every answer said so before; the server must still be able to stop
            _log.error("The newest checkpoint was not kept: %s", error)

    def _keep_in_time(self) -> None:
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _EVERY_S
            self._keep()

    def _keep(self) -> None:
        with self._workspaces.borrow() as workspace:
            size = workspace.ledger.size
            note = workspace.ledger.checkpoint(size) if size else ""
        if note != self._kept:
            self._database.set_state(_STATE, note.encode())
            self._kept = note
