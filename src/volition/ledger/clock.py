"""When an entry was made: each strictly later than the one before, whatever the machine's clock does.

At one instant a no beats a yes, so two entries that share one would let an older no beat a newer yes for good. A clock
that stands still or goes back therefore does not stop time: the next entry is a microsecond later than the last.

Where a clock is far off, a warning is logged that says what to do; nothing is refused for it, since a no must not wait
until somebody has set a clock.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from volition.canonical import now_us, us_to_text

BEHIND_US: Final = 10_000_000
"""How far behind the last entry a clock may be without a word: what an adjustment by NTP may take."""

JUMP_US: Final = 60_000_000
"""How much more than the time that has passed a clock may go ahead between two entries of one process."""

AHEAD_US: Final = 366 * 86_400_000_000
"""How far ahead of the last entry a clock may be when a process begins: a ledger may well lie still for a while."""

_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine is suspended

_log = logging.getLogger(__name__)


class EntryClock:
    """Gives each entry its instant. Used by one thread at a time."""

    def __init__(self, clock: Callable[[], int], steady_ns: Callable[[], int] | None = None) -> None:
        """Follow a clock.

        Args:
            clock: Gives the time, microseconds since the Unix epoch, UTC.
            steady_ns: Gives the time of a clock that nobody sets, nanoseconds, by which a jump of the other is seen; by
                default the machine's, if `clock` is the machine's.
        """
        self._clock = clock
        self._steady_ns = steady_ns or (_machine_ns if clock is now_us else None)
        self._asked = 0
        self._offset_us = 0  # between the two, when last asked
        self._is_behind = False

    def next_us(self, last_us: int | None) -> int:
        """Return the instant of the next entry, given the last one's; none if there is no entry yet."""
        at_us = self._clock()
        self._watch(at_us, last_us)
        return at_us if last_us is None else max(at_us, last_us + 1)

    def _watch(self, at_us: int, last_us: int | None) -> None:
        """Tell, once each time, that the clock is far behind the last entry, or has gone far ahead of it."""
        jumped_us = self._jumped_us(at_us)
        if last_us is None:
            return
        is_behind = at_us < last_us - BEHIND_US
        if is_behind and not self._is_behind:
            _log.warning(
                "This machine's clock says %s, before the ledger's last entry (%s). Set it, for example by NTP. If it "
                "is right, that entry was dated by a clock that was ahead: until then entries get instants just after "
                "it, and a yes covers what is collected until then only where it says so.",
                us_to_text(at_us),
                us_to_text(last_us),
            )
        self._is_behind = is_behind
        if jumped_us > JUMP_US or (self._asked == 1 and at_us > last_us + AHEAD_US):
            _log.warning(
                "This machine's clock says %s, far ahead of the ledger's last entry (%s). If it is wrong, set it, for "
                "example by NTP, before anything else is said: entries are dated by it, each after the last.",
                us_to_text(at_us),
                us_to_text(last_us),
            )

    def _jumped_us(self, at_us: int) -> int:
        """Return how much further the clock went since it was last asked than time did; 0 if that is not known."""
        self._asked += 1
        steady_us = 0 if self._steady_ns is None else self._steady_ns() // 1000
        before_us, self._offset_us = self._offset_us, at_us - steady_us
        return 0 if self._steady_ns is None or self._asked == 1 else self._offset_us - before_us


def _machine_ns() -> int:
    return time.clock_gettime_ns(_STEADY)
