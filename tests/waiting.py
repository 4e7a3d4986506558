"""Waiting for what another thread or process does, and no longer than it may take."""

import time


def until(holds, patience_s=120):
    """Wait until something holds."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.05)
