"""One workspace folder for several threads: each thread that asks has a `Workspace` to itself while it works.

A `Workspace` reads the ledger's news into its own history and is made for one thread at a time. What keeps several
processes right (the ledger's head is read for every answer, leases are waited for, folders are written in turn) keeps
several workspaces of one process right as well, so a server opens a few of them and lends each to one thread. The one
that came back last is lent first: it knows the ledger best, and the others are opened only when they are needed.

    with workspaces.borrow() as workspace:
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Condition
from typing import Final

from volition import canonical
from volition.errors import ConflictError
from volition.workspace import Workspace
from volition.workspace.erasing import OpenSignIns, no_sign_ins

MOST: Final = 4
"""Workspaces that are open at the same time, by default."""

PATIENCE_S: Final = 30.0
"""How long a request waits for a workspace before it is asked to come again."""


class Workspaces:
    """Lends workspaces of one folder, each to one thread at a time. It may be used from several threads."""

    def __init__(
        self,
        folder: Path,
        *,
        most: int = MOST,
        clock: Callable[[], int] = canonical.now_us,
        open_sign_ins: OpenSignIns = no_sign_ins,
    ) -> None:
        """Open the first one, so that a folder that is none is known at once.

        Args:
            folder: Where the workspace lies.
            most: How many are open at the same time.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
            open_sign_ins: Opens where people sign in; see `Workspace`.

        Raises:
            InvalidInputError: There is no workspace in the folder. See `Workspace` for more.
        """
        self.folder = folder
        self._most = most
        self._open_one = partial(Workspace.open, folder, clock=clock, open_sign_ins=open_sign_ins)
        self._free = [self._open_one()]
        self._open = 1
        self._changed = Condition()
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[Workspace]:
        """Lend a workspace for a `with` block.

        Raises:
            ConflictError: All were busy for `PATIENCE_S` seconds, or the server is stopping.
        """
        workspace = self._take()
        try:
            yield workspace
        finally:
            with self._changed:
                if self._closed:
                    workspace.close()
                else:
                    self._free.append(workspace)
                self._changed.notify()

    def _take(self) -> Workspace:
        with self._changed:
            free = self._changed.wait_for(
                lambda: self._closed or self._free or self._open < self._most, timeout=PATIENCE_S
            )
            if not free or self._closed:
                raise ConflictError("Everything here is busy. Try again in a moment.")
            if self._free:
                return self._free.pop()
            self._open += 1
        try:
            return self._open_one()
        except BaseException:
            with self._changed:
                self._open -= 1
                self._changed.notify()
            raise

    def close(self) -> None:
        """Close every workspace; those that are lent are closed when they come back."""
        with self._changed:
            self._closed = True
            for workspace in self._free:
                workspace.close()
            self._free.clear()
            self._changed.notify_all()
