"""Asking witnesses while a server runs, in a thread: nobody waits for them.

Each witness is asked when the log has grown since it last cosigned, and once a day while it stands still; one that
fails is asked less and less often. What a witness knows that contradicts the log stops every answer (see
`workspace.doubt`).
"""

import logging
from typing import Final

from volition.server.repeating import Repeating
from volition.workspace.pool import Workspaces
from volition.workspace.public_log import AskedState

_DOUBT: Final = "The log was cut off or forked, as the witness %s knows: %s Nothing is decided until it is mended."
_log = logging.getLogger(__name__)


class Cosigning:
    """Asks the witnesses of one server's workspace."""

    def __init__(self, workspaces: Workspaces) -> None:
        """Begin; every witness is asked at once, so that a rollback is seen before much is built on it."""
        self._workspaces = workspaces
        self._is_first = True
        self._repeating = Repeating("witnesses", self._run)

    def close(self) -> None:
        """Stop; what was not asked is asked after the next start."""
        self._repeating.close()

    def _run(self) -> None:
        with self._workspaces.borrow() as workspace:
            asked = workspace.log.ask(only_due=not self._is_first)
        self._is_first = False
        for one in asked:
            if one.state is AskedState.DOUBT:
                _log.error(_DOUBT, one.witness, one.why)
            elif one.state is AskedState.TROUBLE:
                _log.warning("The witness %s did not cosign: %s", one.witness, one.why)
