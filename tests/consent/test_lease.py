"""An acknowledged no is never answered "permitted", by no process, whether it runs, was stopped, or was forked."""

import fcntl
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.lease import change_and_ask, count_stale
from simulator import SIGNER, START_US, TERMS, Clock
from volition.canonical import us_to_text
from volition.consent.exclusions import excluding
from volition.consent.gate import Record
from volition.consent.history import read_history
from volition.consent.lease import LENGTH_MS, LONGEST_MS, Held, Leases, Settling, narrows
from volition.consent.references import ConversationRef, account_ref
from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError
from volition.ledger.entry import KINDS, Entry, NewEntry
from volition.ledger.log import Ledger
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.stores.sqlite import SqliteStore
from volition.workspace import Workspace

MS = 1_000_000  # nanoseconds
PERSON = "person:" + "0" * 32
RECORD = Record(account="acme", people=(PERSON,), category="service/usage", collected_us=START_US)
PURPOSE = "feature/search"


class Monotonic:
    """A clock in nanoseconds that stands still until somebody sleeps or sets it forward."""

    def __init__(self):
        self.now_ns = 0
        self.slept_ns = 0

    def __call__(self):
        return self.now_ns

    def sleep(self, seconds):
        self.now_ns += round(seconds * 1e9)
        self.slept_ns += round(seconds * 1e9)


class FailingStore(MemoryStore):
    """A store that can be made unreadable."""

    error = None
    breaks_off = False

    def leaves(self, start, end):
        if self.breaks_off and start > 1000 and end - start > 8:
            raise BackendError("gone")
        return super().leaves(start, end)

    def head(self):
        if self.error is not None:
            raise self.error
        return super().head()


class House:
    """A ledger with one account that has accepted terms, its leases, and clocks that we set."""

    def __init__(self, folder, *, store=None, waits=True):
        self.folder = folder / "leases"
        self.monotonic = Monotonic()
        self.clock = Clock()
        self.store = FailingStore() if store is None else store
        self.leases = Leases(self.folder, clock_ns=self.monotonic, sleep=self.monotonic.sleep)
        self.ledger = Ledger(self.store, SIGNER, self.clock, settle=self.leases.settle if waits else None)
        self.ledger.append(NewEntry(kind="terms", body={"terms": TERMS.to_json(), "binds": us_to_text(0)}))
        self.ledger.append(NewEntry(kind="acceptance", body={"account": "acme", "terms": TERMS.id}))

    def say(self, answer, party="account:acme", data=("service",)):
        body = {"party": party, "answer": answer, "data": [*data], "purpose": ["feature"]}
        [entry] = self.ledger.append(
            NewEntry(kind="decision", body={**body, "covers": "past" if answer == "yes" else None})
        )
        return entry

    def limit(self, *, limited, people=()):
        body = {"account": "acme", "group": "g" if people else "", "people": [*people], "limited": limited}
        self.ledger.append(NewEntry(kind="limit", body={**body, "data": ["service"], "purpose": ["feature"]}))

    def exclude(self, conversation, *, excluded):
        party, purpose = account_ref("acme"), [PURPOSE]
        self.ledger.append(excluding("acme", ConversationRef(conversation), party, purpose, excluded=excluded))

    def hold(self, length_ms=LENGTH_MS):
        return Held(
            self.folder, self.ledger, purpose=PURPOSE, length_ms=length_ms, clock=self.clock, clock_ns=self.monotonic
        )


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def reason(verdict):
    return "permitted" if verdict.permitted else str(verdict.reason)


# What is held


def test_it_answers_from_memory_until_its_lease_has_run_out(house):
    house.say("yes")
    with house.hold() as held:
        assert reason(held.decide(RECORD)) == "permitted"
        house.ledger = Ledger(house.store, SIGNER, house.clock)  # which does not wait
        house.say("no")
        house.monotonic.now_ns += LENGTH_MS * MS - 1
        assert reason(held.decide(RECORD)) == "permitted"
        house.monotonic.now_ns += 1
        assert reason(held.decide(RECORD)) == "withdrawn"


def test_whoever_waits_by_themselves_learns_until_when_the_answers_from_before_hold(house):
    house.say("yes")
    with house.hold(250) as held:
        assert held.decide(RECORD).permitted
        settling = Settling()
        with settling.collecting():
            house.say("no")
            house.say("yes", party=PERSON)  # it widens, and makes nothing shorter
        assert house.monotonic.slept_ns < MS, "but for looking who holds"
        assert settling.until_ns >= house.monotonic() + 250 * MS
        assert held.decide(RECORD).permitted, "which is why they wait"
        house.monotonic.now_ns = settling.until_ns
        assert reason(held.decide(RECORD)) == "withdrawn"
        house.say("no")
        assert house.monotonic.slept_ns >= 250 * MS, "where nobody asked for it, it is waited for at once"
    nobody = Settling()
    with nobody.collecting():
        house.say("no")
    assert nobody.until_ns <= house.monotonic()


def test_a_conversation_that_was_left_out_is_refused_by_whoever_holds_and_no_other_is(house):
    house.say("yes")
    with house.hold() as held:

        def answers(conversation):
            record = replace(RECORD, conversation=conversation)
            asked = (record.account, record.people, record.category, record.collected_us)
            decided, may = held.decide(record), held.may(*asked, conversation=conversation)
            assert decided == may
            return reason(decided)

        assert [answers(one) for one in ("kickoff", "retro", "", None)] == ["permitted"] * 4
        house.exclude("kickoff", excluded=True)
        assert house.monotonic.slept_ns > 0
        assert [answers(one) for one in ("kickoff", "retro", "")] == ["excluded", "permitted", "permitted"]
        house.exclude("kickoff", excluded=False)
        house.monotonic.now_ns += LENGTH_MS * MS
        assert answers("kickoff") == "permitted"


@pytest.mark.parametrize(
    "error", [BackendError("gone"), ConflictError("locked"), ProofError("changed"), InvalidInputError("unreadable")]
)
def test_what_cannot_be_renewed_is_stale_until_it_can(house, error):
    house.say("yes")
    with house.hold() as held:
        assert held.decide(RECORD).permitted
        house.store.error = error
        assert held.decide(RECORD).permitted
        house.monotonic.now_ns += LENGTH_MS * MS
        verdict = held.decide(RECORD)
        assert (reason(verdict), verdict.party) == ("stale", "account:acme")
        assert verdict.remedy
        house.store.error = None
        assert held.decide(RECORD).permitted


def test_a_reading_that_broke_off_half_way_loses_nothing_of_what_it_had_read(tmp_path):
    house = House(tmp_path, waits=False)
    house.say("yes")
    with house.hold() as held:
        assert held.decide(RECORD).permitted
        house.say("no")
        house.ledger.append(*[NewEntry(kind="notice", body={})] * 2000)
        house.monotonic.now_ns += LENGTH_MS * MS
        house.store.breaks_off = True
        assert reason(held.decide(RECORD)) == "stale"
        house.store.breaks_off = False
        assert reason(held.decide(RECORD)) == "withdrawn"


def test_a_changed_file_is_stale(tmp_path):
    with closing(SqliteStore.create(tmp_path / "ledger.db")) as store:
        house = House(tmp_path, store=store)
        house.say("yes")
        with house.hold() as held:
            assert held.decide(RECORD).permitted
            house.monotonic.now_ns += LENGTH_MS * MS
            assert held.decide(RECORD).permitted
            with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
                other.execute("DROP TRIGGER growth_update")
                assert other.execute("UPDATE growth SET note = '' WHERE size > 2").rowcount
                other.commit()
            house.monotonic.now_ns += LENGTH_MS * MS
            assert reason(held.decide(RECORD)) == "stale"


def test_an_answer_that_took_longer_than_the_lease_is_made_anew(house):
    """A process stopped in the middle of an answer does not give it when it is continued."""
    house.say("yes")
    with house.hold() as held:
        assert held.decide(RECORD).permitted
        stops = iter([LENGTH_MS * MS])

        def stopped_once():
            house.monotonic.now_ns += next(stops, 0)
            return house.clock.now_us

        held._clock = stopped_once
        house.ledger = Ledger(house.store, SIGNER, house.clock)
        house.say("no")
        assert reason(held.decide(RECORD)) == "withdrawn"


def test_a_process_too_slow_for_its_lease_answers_stale(house):
    house.say("yes")

    def slow():
        house.monotonic.now_ns += LENGTH_MS * MS
        return house.clock.now_us

    with house.hold() as held:
        held._clock = slow
        assert reason(held.decide(RECORD)) == "stale"


def test_closed_it_answers_stale_and_nobody_waits_for_it(house):
    house.say("yes")
    held = house.hold()
    assert held.decide(RECORD).permitted
    held.close()
    held.close()
    assert reason(held.decide(RECORD)) == "stale"
    house.say("no")
    assert house.monotonic.slept_ns == 0
    os.fstat(1)  # closing twice closes nothing else


@pytest.fixture
def free_input():
    """Make 0, the standard input's descriptor, the next to be given out."""
    kept = os.dup(0)
    os.close(0)
    yield
    os.dup2(kept, 0)
    os.close(kept)


def test_a_daemon_without_standard_input_holds_and_lets_go_as_others_do(house, free_input):
    house.say("yes")
    with house.hold() as held:
        assert held.decide(RECORD).permitted
    house.say("no")
    assert house.monotonic.slept_ns == 0


def test_a_clock_that_was_set_back_takes_back_no_answer(house):
    house.say("yes")
    began_us = house.clock.now_us
    house.clock.now_us += 10**9
    with house.hold() as held:
        assert held.decide(RECORD).permitted
        house.clock.now_us = began_us
        house.monotonic.now_ns += LENGTH_MS * MS
        assert held.may("acme", (PERSON,), "service/usage", began_us + 5 * 10**8).permitted


def test_what_was_said_before_the_clock_was_set_back_counts(house):
    house.say("yes")
    began_us = house.clock.now_us
    house.clock.now_us += 10**9
    house.say("no")
    house.clock.now_us = began_us
    with house.hold() as held:
        assert reason(held.decide(RECORD)) == "withdrawn"


def test_what_was_read_of_the_ledger_already_is_not_read_again(house, monkeypatch):
    house.say("yes")
    known = read_history(house.ledger.entries())
    size = known.size
    house.say("no")
    read_from, entries = [], house.ledger.entries
    monkeypatch.setattr(house.ledger, "entries", lambda start: read_from.append(start) or entries(start))
    with Held(
        house.folder, house.ledger, purpose=PURPOSE, history=known, clock=house.clock, clock_ns=house.monotonic
    ) as held:
        assert reason(held.decide(RECORD)) == "withdrawn"
    assert read_from == [size]


def test_a_question_about_the_future_is_an_error_and_not_an_answer(house):
    house.say("yes")
    with house.hold() as held, pytest.raises(InvalidInputError, match="after"):
        held.may("acme", (PERSON,), "service/usage", house.clock.now_us + 10**12)


def test_terms_that_come_to_bind_while_nothing_is_appended_are_known(house):
    house.say("yes")
    later_us = house.clock.now_us + 10**9
    forbidding = {**TERMS.to_json(), "id": "v2", "rule": TERMS.to_json()["rule"][:1]}
    house.ledger.append(NewEntry(kind="terms", body={"terms": forbidding, "binds": us_to_text(later_us)}))
    with house.hold() as held:
        assert held.decide(RECORD).permitted
        house.clock.now_us = later_us
        assert reason(held.decide(RECORD)) == "never"


def test_a_yes_that_ends_while_nothing_is_appended_is_known(house):
    until_us = house.clock.now_us + 10**9
    body = {"party": "account:acme", "answer": "yes", "data": ["service"], "purpose": ["feature"], "covers": "past"}
    house.ledger.append(NewEntry(kind="decision", body={**body, "until": us_to_text(until_us)}))
    with house.hold() as held:
        assert held.decide(RECORD).permitted
        house.clock.now_us = until_us
        assert reason(held.decide(RECORD)) == "expired"


@pytest.mark.parametrize("length_ms", [0, -1, LONGEST_MS + 1])
def test_a_lease_has_a_sensible_length(house, length_ms):
    with pytest.raises(InvalidInputError, match="milliseconds"):
        house.hold(length_ms)


@pytest.mark.parametrize("length_ms", [1, LONGEST_MS])
def test_the_shortest_and_the_longest_lease_can_be_had(house, length_ms):
    house.say("yes")
    with house.hold(length_ms) as held:
        assert held.decide(RECORD).permitted


def test_any_user_of_the_folder_may_look_whether_a_lease_is_held(house):
    umask = os.umask(0)
    try:
        house.hold().close()
    finally:
        os.umask(umask)
    assert stat.S_IMODE((house.folder / str(LENGTH_MS)).stat().st_mode) == 0o666


def test_once_its_file_is_removed_nothing_is_answered_after_the_lease(house):
    house.say("yes")
    with house.hold() as held:
        assert held.decide(RECORD).permitted
        (house.folder / str(LENGTH_MS)).unlink()
        house.monotonic.now_ns += LENGTH_MS * MS
        assert reason(held.decide(RECORD)) == "stale"


# Who waits


def test_what_may_narrow_waits_and_nothing_else():
    def entry(kind, **body):
        return Entry(seq=0, at_us=0, kind=kind, body=body)

    waiting = {kind for kind in KINDS if narrows(entry(kind, answer="no"))}

    assert waiting == {"terms", "acceptance", "decision", "region", "signal", "limit", "exclusion", "erasure"}
    assert not narrows(entry("decision", answer="yes"))
    assert narrows(entry("decision", answer="perhaps"))
    assert narrows(entry("decision", answer="yes", until=us_to_text(0)))  # in place of one without an end
    assert narrows(entry("limit", limited=True))
    assert narrows(entry("exclusion", excluded=True))
    assert not narrows(entry("exclusion", excluded=False))
    assert not narrows(entry("limit", limited=False))


def test_where_nobody_holds_nothing_waits(house):
    house.say("no")
    with house.hold() as held:
        held.decide(RECORD)
    house.say("no")
    assert house.monotonic.slept_ns == 0


def test_a_no_waits_for_the_longest_lease_and_a_yes_for_none(house):
    with ExitStack() as stack:
        for length_ms in (20, 250, 100):
            stack.enter_context(house.hold(length_ms))
        house.say("yes")
        assert house.monotonic.slept_ns == 0
        house.say("no")
        assert 250 * MS <= house.monotonic.slept_ns <= 255 * MS


def test_a_yes_and_a_no_together_wait(house):
    with house.hold():
        drafts = [
            NewEntry(kind="decision", body={"party": "account:acme", "answer": answer, "covers": None} | about)
            for answer, about in (("yes", {"data": ["service"]}), ("no", {"data": ["content"]}))
            for about in [about | {"purpose": ["feature"]}]
        ]
        house.ledger.append(*drafts)
    assert house.monotonic.slept_ns >= LENGTH_MS * MS


def test_if_it_cannot_be_seen_who_holds_a_no_is_not_acknowledged(house):
    house.folder.write_text("not a folder")
    with pytest.raises(BackendError, match="stored"):
        house.say("no")
    with pytest.raises(BackendError, match="lease"):
        house.hold()
    os.fstat(1)  # and nothing is closed that was not opened


def test_whoever_blocks_the_leases_is_told_of(house, monkeypatch):
    monkeypatch.setattr("volition.consent.lease._PATIENCE_S", 0.01)
    house.hold().close()
    with (house.folder / str(LENGTH_MS)).open("rb") as blocked:
        fcntl.flock(blocked, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="blocks"):
            house.hold()


def test_whoever_is_refused_a_lease_keeps_no_file_open(house, monkeypatch, free_input):
    monkeypatch.setattr("volition.consent.lease._PATIENCE_S", 0.01)
    blocked = os.open(house.folder.parent, os.O_RDONLY)  # takes 0, and is not what is looked at
    house.hold().close()
    with (house.folder / str(LENGTH_MS)).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.close(blocked)
        with pytest.raises(ConflictError, match="blocks"):
            house.hold()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(0)


def test_a_writer_who_only_looks_keeps_nobody_from_a_lease(house):
    house.hold().close()
    with (house.folder / str(LENGTH_MS)).open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        timer = threading.Timer(0.02, fcntl.flock, (looking, fcntl.LOCK_UN))
        timer.start()
        house.hold().close()
        timer.join()


def test_a_wait_that_is_cut_short_goes_on(house):
    def half(seconds):
        house.monotonic.sleep(max(1, round(seconds * 1e9) // 2) / 1e9)

    house.leases._sleep = half
    with house.hold():
        house.say("no")
    assert house.monotonic.now_ns > LENGTH_MS * MS
    assert house.monotonic.now_ns % MS == 0, "to the last nanosecond"


# Any order of things


@pytest.mark.slow
@settings(max_examples=60)
@given(st.data())
def test_in_any_order_of_things_no_answer_is_older_than_what_was_acknowledged(tmp_path_factory, data):
    house = House(tmp_path_factory.mktemp("house"))
    said_yes, limits = False, set()
    with ExitStack() as stack:
        held = [
            stack.enter_context(house.hold(length_ms))
            for length_ms in data.draw(st.lists(st.sampled_from([1, 20, 100]), min_size=1, max_size=3))
        ]
        for _ in range(data.draw(st.integers(1, 25))):
            match data.draw(st.sampled_from(["yes", "no", "limit", "lift", "ask", "ask", "pass", "fail"])):
                case "yes" | "no" as word:
                    house.say(word)
                    said_yes = word == "yes"
                case "limit" | "lift" as word:
                    people = data.draw(st.sampled_from([(), (PERSON,)]))
                    house.limit(limited=word == "limit", people=people)
                    (limits.add if word == "limit" else limits.discard)(people)
                case "pass":
                    house.monotonic.now_ns += data.draw(st.sampled_from([1, MS, 19 * MS, 20 * MS, 50 * MS, 100 * MS]))
                case "fail":
                    house.store.error = None if house.store.error else BackendError("gone")
                case "ask":
                    verdict = data.draw(st.sampled_from(held)).decide(RECORD)
                    permitted_now = said_yes and not limits
                    assert permitted_now or not verdict.permitted
                    if house.store.error is None and not permitted_now:
                        assert reason(verdict) in ("withdrawn", "said-no", "not-asked", "limited")
            house.store.error = house.store.error if data.draw(st.booleans()) else None


# Threads and processes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leases") / "workspace"
    with Workspace.create(folder) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_person("ada", account="acme")
        workspace.terms.accept("acme")
    return folder


def say(workspace, answer):
    start = time.monotonic()
    yes = answer == "yes"
    workspace.consent.decide(
        "account:acme", yes=yes, data=["service"], purpose=["feature/search"], covers="past" if yes else None
    )
    return time.monotonic() - start


def record_of(workspace):
    return Record(
        account="acme", people=(workspace.party("person:ada"),), category="service/usage", collected_us=START_US
    )


def test_a_workspace_holds_what_its_own_decisions_change(folder):
    with Workspace.open(folder) as workspace:
        record = record_of(workspace)
        say(workspace, "yes")
        with workspace.gate.hold("feature/search") as held:
            assert held.decide(record).permitted
            took_s = say(workspace, "no")
            assert reason(held.decide(record)) == "withdrawn"
        assert took_s >= LENGTH_MS / 1000


def test_a_purpose_that_is_none_cannot_be_held(folder):
    with Workspace.open(folder) as workspace, pytest.raises(InvalidInputError, match="no purpose"):
        workspace.gate.hold("feature/mind-reading")


def test_a_signal_and_an_erasure_that_are_there_already_wait_like_the_first(folder):
    with Workspace.open(folder) as workspace:
        workspace.people.add_person("guest")
        workspace.consent.signal("guest")
        with workspace.gate.hold("feature/search"):
            start = time.monotonic()
            assert workspace.consent.signal("guest") is None
            assert time.monotonic() - start >= LENGTH_MS / 1000
        workspace.forgetting.erase("person:guest")


def test_several_threads_ask_one_that_holds(folder):
    with Workspace.open(folder) as workspace:
        record = record_of(workspace)
        say(workspace, "yes")
        wrong = []
        acknowledged = threading.Event()
        over = threading.Event()

        def ask(held):
            while not over.is_set():
                refused = acknowledged.is_set()
                verdict = held.decide(record)
                if verdict.permitted and refused:
                    wrong.append(verdict)

        with workspace.gate.hold("feature/search") as held:
            askers = [threading.Thread(target=ask, args=(held,)) for _ in range(4)]
            for asker in askers:
                asker.start()
            say(workspace, "no")
            acknowledged.set()
            time.sleep(0.05)
            over.set()
            for asker in askers:
                asker.join()
        assert wrong == []


FORKED = """
import os, sys
from pathlib import Path
from volition.consent.lease import Leases
from volition.workspace import Workspace
from volition.consent.gate import Record
from volition.consent.history import read_history
with Workspace.open(Path(sys.argv[1])) as workspace:
    people = (workspace.party("person:ada"),)
    record = Record(account="acme", people=people, category="service/usage", collected_us=0)
    workspace.consent.decide("account:acme", yes=True, data=["service"], purpose=["feature/search"], covers="past")
    held = workspace.gate.hold("feature/search")
    assert held.decide(record).permitted
    child = os.fork()
    if not child:
        os._exit(0 if str(held.decide(record).reason) == "stale" else 1)
    status = os.waitpid(child, 0)[1]
    assert held.decide(record).permitted
    held.close()
    assert status == 0, status
    born = os.fork()
    if not born:
        os._exit(0)
    os.waitpid(born, 0)
    slept = []
    Leases(Path(sys.argv[1]) / "leases", sleep=slept.append).wait()
    assert slept == []
"""


@pytest.mark.slow
def test_a_forked_child_answers_stale(folder):
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


HOLD = """
import sys, time
from pathlib import Path
from volition.workspace import Workspace
with Workspace.open(Path(sys.argv[1])) as workspace, workspace.gate.hold("feature/search") as held:
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_nobody_waits_for_a_killed_process_but_for_a_stopped_one(folder):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with closing(holder.stdout), Workspace.open(folder) as workspace:
        assert holder.stdout.readline() == "holding\n"
        holder.send_signal(signal.SIGSTOP)
        assert say(workspace, "no") >= LENGTH_MS / 1000
        holder.kill()
        holder.wait()
        slept = []
        Leases(folder / "leases", sleep=slept.append).wait()
        assert slept == []


# The whole, with real processes


def test_stale_answers_are_counted_as_they_should_be():
    noes, yeses = [10, 30], [20]

    assert count_stale([(5, 9), (5, 15), (9, 25), (12, 20), (20, 29), (29, 40)], noes, yeses) == 0
    assert count_stale([(10, 11), (19, 19), (30, 31), (99, 100)], noes, yeses) == 4


@pytest.mark.slow
def test_no_process_answers_from_before_an_acknowledged_no(tmp_path):
    outcome = change_and_ask(tmp_path / "workspace", 100, lease_ms=30)

    assert (outcome.changes, outcome.stale, outcome.killed) == (100, 0, 1)
    assert outcome.permitted > 100
    assert outcome.refused > 100
    assert outcome.stopped > 0


@pytest.mark.slow
def test_through_a_thousand_changes_no_process_answers_from_before_an_acknowledged_no(tmp_path):
    """And through 2,000, with longer leases, under `python -m bench lease`."""
    outcome = change_and_ask(tmp_path / "workspace", 1_000, lease_ms=10)

    assert (outcome.changes, outcome.stale, outcome.killed) == (1_000, 0, 1)
    assert outcome.permitted > 1_000
    assert outcome.refused > 1_000


@pytest.mark.slow
def test_a_writer_that_does_not_wait_is_found_out(tmp_path):
    outcome = change_and_ask(tmp_path / "workspace", 40, waits=False)

    assert outcome.stale > 0
