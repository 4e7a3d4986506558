"""Answers lent to callers elsewhere: no acknowledged no is overtaken by one, whoever lent it and whatever became of them."""

from dataclasses import replace

import pytest
from test_lease import LENGTH_MS, MS, RECORD, House

from volition.canonical import us_to_text
from volition.consent.lease import CLIENT_MS, CLIENTS
from volition.errors import BackendError
from volition.ledger.entry import NewEntry

ASKED = (RECORD.account, RECORD.people, RECORD.category, RECORD.collected_us)


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    house.say("yes")
    return house


@pytest.mark.parametrize("passed_ms", [0, 40, LENGTH_MS - 1])
def test_an_answer_is_lent_for_what_is_left_of_the_lease(house, passed_ms):
    with house.hold() as held:
        held.decide(RECORD)
        began_ns = house.monotonic()
        house.monotonic.now_ns += passed_ms * MS
        verdict, until_ns = held.lend(*ASKED)
        assert verdict.permitted
        assert until_ns == began_ns + LENGTH_MS * MS


def test_a_long_lease_lends_for_no_longer_than_writers_wait_for_the_dead(house):
    with house.hold(5_000) as held:
        assert held.lend(*ASKED)[1] == house.monotonic() + CLIENT_MS * MS


@pytest.mark.parametrize("length_ms", [10, LENGTH_MS, 5_000])
def test_a_no_waits_for_what_was_lent_by_a_process_that_is_gone(house, length_ms):
    held = house.hold(length_ms)
    verdict, until_ns = held.lend(*ASKED)
    assert verdict.permitted
    held.close()  # the kernel does it for a killed one
    house.say("no")
    assert house.monotonic() >= until_ns


def test_where_nothing_was_lent_nothing_is_waited_for(house):
    held = house.hold()
    held.decide(RECORD)
    held.close()
    house.say("no")
    assert house.monotonic.slept_ns == 0


def test_a_cleared_folder_is_known_again_before_the_next_is_lent(house):
    with house.hold() as held:
        held.lend(*ASKED)
        (house.folder / CLIENTS).unlink()
        held.lend(*ASKED)
        assert (house.folder / CLIENTS).exists()


def test_nothing_is_lent_beyond_an_end_that_is_known(house):
    until_us = house.clock.now_us + 10**9
    body = {"party": "account:acme", "answer": "yes", "data": ["service"], "purpose": ["feature"], "covers": "past"}
    house.ledger.append(NewEntry(kind="decision", body={**body, "until": us_to_text(until_us)}))
    with house.hold() as held:
        assert held.lend(*ASKED)[1] > house.monotonic()
        house.clock.now_us = until_us - 1_000_001  # it ticks once before it is asked
        verdict, until_ns = held.lend(*ASKED)
        assert verdict.permitted
        assert until_ns <= house.monotonic()


def test_what_cannot_be_renewed_is_not_lent(house):
    with house.hold() as held:
        held.lend(*ASKED)
        house.store.error = BackendError("gone")
        house.monotonic.now_ns += LENGTH_MS * MS
        verdict, until_ns = held.lend(*ASKED)
        assert (str(verdict.reason), until_ns) == ("stale", house.monotonic())


def test_a_refusal_is_lent_as_well(house):
    with house.hold() as held:
        record = replace(RECORD, category="content/chat")
        verdict, until_ns = held.lend(record.account, record.people, record.category, record.collected_us)
        assert not verdict.permitted
        assert until_ns > house.monotonic()
