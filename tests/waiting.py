"""Waiting for what another thread or process does, and no longer than it may take; and a clock that waits for nobody."""

import time


def until(holds, patience_s=120):
    """Wait until something holds."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.05)


class StandingClock:
    """A clock that stands until it is told to move."""

    def __init__(self, now_us=1_700_000_000_000_000):
        self.now_us = now_us

    def __call__(self):
        return self.now_us


def over(jobs, run):
    """Wait until a background job is over, and return it."""
    until(lambda: jobs.job(run).is_over)
    return jobs.job(run)
