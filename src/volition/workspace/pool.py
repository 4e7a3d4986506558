"""One workspace folder for several threads: each thread that asks has a `Workspace` to itself while it works.

A `Workspace` reads the ledger's news into its own history and is made for one thread at a time. What keeps several
processes right (the ledger's head is read for every answer, leases are waited for, folders are written in turn) keeps
several workspaces of one process right as well, so a server opens a few of them and lends each to one thread. The one
that came back last is lent first: it knows the ledger best, and the others are opened only when they are needed.

Each kind of work (`Lane`) has a share of its own (bulkheads): collecting, however much of it there is, never takes the
workspace that a decision needs.

    with workspaces.borrow(Lane.DECISIONS) as workspace:
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from threading import Condition
from types import MappingProxyType
from typing import Final

from volition import canonical
from volition.errors import BackendError
from volition.workspace import Workspace
from volition.workspace.erasing import OpenSignIns, no_sign_ins


class Lane(StrEnum):
    """A kind of work, with workspaces that no other kind can use up."""

    DECISIONS = "decisions"  # whatever parties decide, by the API or on a page
    MAY = "may"  # whether many things may be used; one thing is answered from memory
    READING = "reading"  # all else that the API answers
    PAGES = "pages"
    COLLECTING = "collecting"
    BACKGROUND = "background"  # jobs, mails, webhooks, witnesses


AT_ONCE: Final[Mapping[Lane, int]] = MappingProxyType(
    {
        Lane.DECISIONS: 4,
        Lane.MAY: 2,
        Lane.READING: 2,
        Lane.PAGES: 4,
        Lane.COLLECTING: 2,
        Lane.BACKGROUND: 4,
    }
)
"""How many workspaces each kind of work has at the same time, by default."""

PATIENCE_S: Final = 30.0
"""How long a thread waits for a workspace before it is asked to come again."""


class OverloadedError(BackendError):
    """So much is being done that this could not be begun. Nothing was done: try again in a moment."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("Everything here is busy. Nothing was done; try again in a moment.")


class Workspaces:
    """Lends workspaces of one folder, each to one thread at a time. It may be used from several threads."""

    def __init__(
        self,
        folder: Path,
        *,
        at_once: Mapping[Lane, int] = AT_ONCE,
        clock: Callable[[], int] = canonical.now_us,
        open_sign_ins: OpenSignIns = no_sign_ins,
    ) -> None:
        """Open the first one, so that a folder that is none is known at once.

        Args:
            folder: Where the workspace lies.
            at_once: How many each kind of work has at the same time.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
            open_sign_ins: Opens where people sign in; see `Workspace`.

        Raises:
            InvalidInputError: There is no workspace in the folder. See `Workspace` for more.
        """
        self.folder = folder
        self._at_once = at_once
        self._open_one = partial(Workspace.open, folder, clock=clock, open_sign_ins=open_sign_ins)
        self._free = [self._open_one()]
        self._lent: Counter[Lane] = Counter()
        self._changed = Condition()
        self._closed = False

    def at_once(self, lane: Lane) -> int:
        """Return how many workspaces a kind of work has at the same time."""
        return self._at_once[lane]

    def open_ahead(self, *lanes: Lane, within_s: float) -> int:
        """Open as many workspaces as some kinds of work have at the same time, so that no request waits for that.

        Each reads the ledger, which takes its time and its memory where the ledger is long: what cannot be opened
        within so many seconds is left until it is needed.

        Returns:
            How many are open and free.

        Raises:
            VolitionError: One cannot be opened, or its ledger cannot be read.
        """
        until_s = time.monotonic() + within_s
        for _ in range(sum(self._at_once[lane] for lane in lanes) - len(self._free)):
            if time.monotonic() >= until_s:
                break
            workspace = self._open_one()
            workspace.now_us  # noqa: B018 - it reads the ledger
            with self._changed:
                self._free.insert(0, workspace)
        return len(self._free)

    @contextmanager
    def borrow(self, lane: Lane = Lane.BACKGROUND, *, patience_s: float = PATIENCE_S) -> Iterator[Workspace]:
        """Lend a workspace for a `with` block.

        Args:
            lane: What it is for.
            patience_s: How long to wait for one, seconds.

        Raises:
            OverloadedError: All of this kind were busy for so long, or the server is stopping.
        """
        workspace = self._take(lane, patience_s)
        try:
            yield workspace
        finally:
            with self._changed:
                self._lent[lane] -= 1
                if self._closed:
                    workspace.close()
                else:
                    self._free.append(workspace)
                self._changed.notify_all()  # those that wait are of several kinds

    def _take(self, lane: Lane, patience_s: float) -> Workspace:
        with self._changed:
            has_room = self._changed.wait_for(
                lambda: self._closed or self._lent[lane] < self._at_once[lane], timeout=patience_s
            )
            if not has_room or self._closed:
                raise OverloadedError
            self._lent[lane] += 1
            if self._free:
                return self._free.pop()
        try:
            return self._open_one()
        except BaseException:
            with self._changed:
                self._lent[lane] -= 1
                self._changed.notify_all()
            raise

    def close(self) -> None:
        """Close every workspace; those that are lent are closed when they come back."""
        with self._changed:
            self._closed = True
            for workspace in self._free:
                workspace.close()
            self._free.clear()
            self._changed.notify_all()
