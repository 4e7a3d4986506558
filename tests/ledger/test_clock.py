"""The clock of entries: instants that only rise, and a word where the machine's clock is far off."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.ledger.clock import AHEAD_US, BEHIND_US, JUMP_US, EntryClock

HOUR_US = 3_600_000_000


@given(st.lists(st.integers(0, 2**50)), st.integers(0, 2**50))
def test_instants_rise_strictly_whatever_the_clock_says(times_us, last_us):
    told = iter(times_us)
    clock = EntryClock(lambda: next(told))
    for at_us in times_us:
        next_us = clock.next_us(last_us)
        assert next_us == max(at_us, last_us + 1)
        last_us = next_us
    assert EntryClock(lambda: 5).next_us(None) == 5


@pytest.fixture
def machine(caplog):
    """Return a clock that can be set, and what was told of it."""
    caplog.set_level(logging.WARNING, "volition.ledger.clock")

    class Machine:
        wall_us = 1_000 * HOUR_US
        steady_us = 5 * HOUR_US

        def __init__(self):
            self.clock = EntryClock(lambda: self.wall_us, lambda: self.steady_us * 1000)
            self.last_us = self.wall_us

        def append(self, *, after_us, set_by_us=0):
            """Append after a while, in which somebody may have set the clock; return what is told."""
            self.wall_us += after_us + set_by_us
            self.steady_us += after_us
            caplog.clear()
            self.last_us = self.clock.next_us(self.last_us)
            return [record.getMessage() for record in caplog.records]

    return Machine()


def test_a_clock_that_goes_as_it_should_is_not_spoken_of(machine):
    for after_us in (1, HOUR_US, 300 * 24 * HOUR_US, BEHIND_US):
        assert machine.append(after_us=after_us) == []
    assert machine.append(after_us=0, set_by_us=-BEHIND_US // 2) == []
    assert machine.append(after_us=1, set_by_us=JUMP_US // 2) == []


def test_a_clock_set_ahead_between_two_entries_is_told_and_then_the_one_that_is_set_right(machine):
    machine.append(after_us=1)
    [told] = machine.append(after_us=5, set_by_us=HOUR_US)
    assert "far ahead" in told
    assert "NTP" in told
    assert machine.append(after_us=5) == []  # once
    [told] = machine.append(after_us=5, set_by_us=-HOUR_US)
    assert "before the ledger's last entry" in told
    assert "Set it" in told
    assert machine.append(after_us=5) == []  # once
    assert machine.append(after_us=HOUR_US) == []
    [told] = machine.append(after_us=5, set_by_us=-HOUR_US)  # anew
    assert "before the ledger's last entry" in told


def test_a_process_that_begins_long_after_the_last_entry_says_so(machine):
    machine.last_us -= AHEAD_US + 1
    [told] = machine.append(after_us=0)
    assert "far ahead" in told
    assert machine.append(after_us=1) == []
