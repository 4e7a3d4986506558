"""Answers of the gate, repeated for as long as the server lets them be, and not for an instant longer.

The server says for how long (`good_for_ms`): what is left of the lease under which it answered, which whoever says no
waits for. It is counted from before the question was sent, on a clock that nobody sets and, where the system has one,
that goes on while it is suspended. The clock is looked at last, when the answer is ready to be given.
"""

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Final

from volition.client.answers import Verdict
from volition.client.calls import Question

MOST: Final = 50_000
"""How many answers are held at most."""

_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_ns() -> int:
    """Return the time of a clock that nobody sets and that suspending does not stop, nanoseconds."""
    return time.clock_gettime_ns(_CLOCK)


class Holding:
    """What is held, for one client. It may be used from several threads."""

    def __init__(self, *, clock_ns: Callable[[], int] = boot_ns) -> None:
        """Nothing is held yet."""
        self._clock_ns = clock_ns
        self._lock = Lock()
        self._held: dict[Hashable, tuple[Verdict, int]] = {}

    def sending_ns(self) -> int:
        """Return the present instant; asked for before a question is sent."""
        return self._clock_ns()

    def find(self, purpose: str, question: Question) -> Verdict | None:
        """Return the answer to a question, if one is held and may still be given."""
        found = self._held.get(_key(purpose, question))
        return found[0] if found is not None and self._clock_ns() < found[1] else None

    def keep(self, purpose: str, question: Question, verdict: Verdict, *, sent_ns: int) -> None:
        """Hold an answer to a question that was sent no earlier than at an instant of this clock."""
        until_ns = sent_ns + verdict.good_for_ms * 1_000_000
        now_ns = self._clock_ns()
        with self._lock:
            if now_ns >= until_ns:
                return
            if len(self._held) >= MOST:
                self._held = {key: one for key, one in self._held.items() if now_ns < one[1]}
            if len(self._held) < MOST:
                self._held[_key(purpose, question)] = verdict, until_ns

    def forget(self) -> None:
        """Hold nothing any more."""
        with self._lock:
            self._held = {}


def _key(purpose: str, question: Question) -> Hashable:
    asked = question.account, tuple(question.people), question.category, question.collected, question.conversation
    return purpose, *asked
