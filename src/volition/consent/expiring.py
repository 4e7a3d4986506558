"""Tables of permits that others read: until when each holds, and up to which entry of the ledger it knows.

A table that was written out (`permit_tables`) is read by engines that ask nobody here. So it holds for a few seconds
only, and whoever keeps it current says so in a file of the folder of leases, before reading the ledger and after the
table has been written. Whoever appends what narrows anything waits, before acknowledging, until every table that is
open knows it, or has run out.

What it guarantees:

- The file is there before the ledger is read for what the table will say. A writer who saw no file committed before
  that reading.
- Whoever kept it and was killed, or stopped, is waited for until the table has run out by both clocks, the one that
  people set (which readers compare) and the one that nobody sets: at most `LONGEST_US` and what clocks may differ by.
- A file that cannot be read is taken for a table that knows nothing and is open.
"""

import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from volition import canonical
from volition.errors import BackendError

LONGEST_US: Final = 10_000_000
"""For how long a table of permits may hold at most, microseconds: nobody waits longer for an acknowledgement."""

APART_US: Final = 1_000_000
"""By how much the clocks of those who read a table may be behind this machine's, microseconds."""

LOOK_EVERY_S: Final = 0.02

_PREFIX: Final = "table-"
_PART: Final = ".part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a table.

    Attributes:
        known: How many entries of the ledger the table knows: those before this number.
        began_ns: The instant, of `CLOCK_MONOTONIC`, before which everything that was appended is known to it.
        until_us: Until when it may be read (not included), by the clock of whoever reads it, plus `APART_US`.
        until_ns: The same, of `CLOCK_MONOTONIC`.
    """

    known: int
    began_ns: int
    until_us: int
    until_ns: int


class OpenTable:
    """One table that others read, as the process that keeps it current makes it known."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], int] = canonical.now_us,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Nothing is open yet. What other processes left behind, and has run out, is cleared away.

        Args:
            folder: Where leases lie.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
            clock_ns: Gives the time of a clock that all processes share and nobody sets, nanoseconds.
        """
        self._path = folder / f"{_PREFIX}{secrets.token_hex(8)}"
        self._clock = clock
        self._clock_ns = clock_ns
        self._standing = Standing(known=0, began_ns=-(2**63), until_us=0, until_ns=0)
        with suppress(OSError):
            for path in folder.glob(f"{_PREFIX}*"):
                if _left_us(path, clock, clock_ns) == 0:
                    path.unlink(missing_ok=True)

    def extend(self, until_us: int) -> int:
        """Say, before the ledger is read, that the table may be read until an instant; return when that was said.

        Args:
            until_us: The instant (not included), microseconds since the Unix epoch, UTC.

        Returns:
            The instant, of `CLOCK_MONOTONIC`, for `confirm`.

        Raises:
            BackendError: It cannot be written; the table may not be opened then.
        """
        began_ns, now_us = self._clock_ns(), self._clock()
        until_us += APART_US
        self._standing = Standing(
            known=self._standing.known,
            began_ns=self._standing.began_ns,
            until_us=max(until_us, min(self._standing.until_us, now_us + LONGEST_US + APART_US)),  # it was set back
            until_ns=max(began_ns + (until_us - now_us) * 1000, self._standing.until_ns),
        )
        self._write()
        return began_ns

    def confirm(self, known: int, began_ns: int) -> None:
        """Say, once the table has been written, which entries it knows. Raises as `extend`."""
        self._standing = Standing(
            known=known, began_ns=began_ns, until_us=self._standing.until_us, until_ns=self._standing.until_ns
        )
        self._write()

    def shut(self) -> None:
        """Say that nobody reads anything in the table any more, once that is so. Nothing is left behind."""
        self._standing = Standing(known=self._standing.known, began_ns=self._standing.began_ns, until_us=0, until_ns=0)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        one = self._standing
        text = json.dumps([one.known, one.began_ns, one.until_us, one.until_ns])
        aside = self._path.with_name(self._path.name + _PART)
        try:
            self._path.parent.mkdir(exist_ok=True)
            aside.write_text(text)
            aside.replace(self._path)
        except OSError as error:
            raise BackendError(
                f"{self._path} cannot be written ({error}), so no table of permits may be open. Mend that."
            ) from error


class Unaware:
    """The tables that may be read and do not know something that was appended."""

    def __init__(self, folder: Path, *, seq: int | None, clock: Callable[[], int], clock_ns: Callable[[], int]) -> None:
        """Look which there are.

        Args:
            folder: Where leases lie.
            seq: The number of the entry that they have to know; none for everything that was appended before now.
            clock: As of `OpenTable`.
            clock_ns: As of `OpenTable`.

        Raises:
            BackendError: The folder cannot be read.
        """
        self._seq = seq
        self._clock, self._clock_ns = clock, clock_ns
        self._asked_ns = clock_ns()
        try:
            names = [name for name in os.listdir(folder) if name.startswith(_PREFIX) and not name.endswith(_PART)]  # noqa: PTH208 - each no asks this
        except FileNotFoundError:  # nobody ever held anything
            names = []
        except OSError as error:
            raise BackendError(
                f"It was stored, but {folder} does not tell which tables of permits are open ({error}). "
                "Make the folder readable and say it again."
            ) from error
        self._paths = [folder / name for name in names]

    def left_s(self) -> float:
        """Return for how long to sleep before asking again, seconds; 0 once there are none left."""
        self._paths = [path for path in self._paths if self._waits_for(path)]
        return LOOK_EVERY_S if self._paths else 0.0

    def _waits_for(self, path: Path) -> bool:
        if _left_us(path, self._clock, self._clock_ns) == 0:
            return False
        standing = _read(path)
        if standing is None:
            return True
        if self._seq is not None and standing.known > self._seq:
            return False
        return not self._asked_ns <= standing.began_ns <= self._clock_ns()  # it may have been before the machine began


def _left_us(path: Path, clock: Callable[[], int], clock_ns: Callable[[], int]) -> int:
    """Return for how long a table may still be read, microseconds; 0 if it has run out, or is gone.

    Where one clock was set back, or began anew with the machine, it says something further away than may be written:
    then the other one alone counts.
    """
    standing = _read(path)
    if standing is None:
        try:
            written_us = path.stat().st_mtime_ns // 1000
        except FileNotFoundError:
            return 0
        standing = Standing(
            known=0, began_ns=-(2**63), until_us=min(written_us, clock()) + LONGEST_US + APART_US, until_ns=0
        )
    left_us = (standing.until_us - clock(), (standing.until_ns - clock_ns()) // 1000)
    return max(left for left in (0, *left_us) if left <= LONGEST_US + APART_US)


def _read(path: Path) -> Standing | None:
    """Return what a file says; none where it says nothing."""
    try:
        known, began_ns, until_us, until_ns = map(int, json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return Standing(known=known, began_ns=began_ns, until_us=until_us, until_ns=until_ns)
