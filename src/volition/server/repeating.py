"""Work that a server repeats in a thread: every second, and after trouble later and later (exponential backoff).

A fault in it is logged and does not end it: what comes later is still done.
"""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Final

from volition.errors import VolitionError

_EVERY_S: Final = 1.0
_LONGEST_S: Final = 300.0
_PATIENCE_S: Final = 10.0
_log = logging.getLogger(__name__)


class Repeating:
    """Repeats something until it is closed."""

    def __init__(
        self, name: str, work: Callable[[], None], *, on_trouble: Callable[[VolitionError], None] = lambda _: None
    ) -> None:
        """Begin.

        Args:
            name: What it is called in the log.
            work: What to do; it ends soon once `is_closing`.
            on_trouble: Called when it could not be done, before it waits.
        """
        self._name = name
        self._work = work
        self._on_trouble = on_trouble
        self._stop = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_closing(self) -> bool:
        """Whether it is to end."""
        return self._stop.is_set()

    def close(self) -> None:
        """Stop, and wait some seconds for what it does now."""
        self._stop.set()
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        wait_s = _EVERY_S
        while not self._stop.wait(wait_s):
            try:
                self._work()
                wait_s = _EVERY_S
            except VolitionError as error:
                wait_s = min(wait_s * 2, _LONGEST_S)
                self._on_trouble(error)
                _log.warning("%s: %s Trying again in %.0f s", self._name, error, wait_s)
            except Exception:  # noqa: BLE001 - the last net: one fault must not end all later work
                wait_s = min(wait_s * 2, _LONGEST_S)
                _log.exception("%s failed; trying again in %.0f s", self._name, wait_s)
