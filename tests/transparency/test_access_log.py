"""Who looked: each line is provable once its day is over, and a changed, missing or added one is noticed."""

import json
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import DAY_US, SIGNER, START_US, Clock
from volition.canonical import canonical_json, us_to_datetime
from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.log import Ledger
from volition.ledger.stores.memory import MemoryStore
from volition.server.web.person.looked import READ
from volition.transparency.access_log import EVERYONE, READINGS, AccessLog, Reader
from volition.transparency.usage import UsageCounts
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.looked import check_access_entries, check_access_proof
from volition.workspace import Workspace

ADA, BO = "a" * 32, "b" * 32
OLGA = Reader(who="olga", role="operator")


class Desk:
    """An access log, the counts beside it, and a ledger with a clock that we set."""

    def __init__(self, folder):
        self.path = folder / "uses.db"
        self.uses = UsageCounts(self.path)
        self.log = AccessLog(self.path)
        self.clock = Clock()
        self.ledger = Ledger(MemoryStore(), SIGNER, clock=self.clock)

    def reopen(self):
        self.log.close()
        self.log = AccessLog(self.path)

    def enter(self, days):
        known = {entry.body["day"]: entry.seq for entry in self.ledger.entries(days[0].size)}
        for one in days:
            if one.day not in known:
                body = {"day": one.day, "root": one.root.hex(), "lines": one.lines}
                [entry] = self.ledger.append(NewEntry(kind="access", body=body))
                known[one.day] = entry.seq
        return [known[one.day] for one in days]

    def note(self, *whose, reading="holdings", records=1):
        self.log.note(OLGA, reading, [f"person:{one}" for one in whose], at_us=self.clock(), records=records)

    def use(self, *used):
        self.uses.note("feature/search", used, at_us=self.clock())

    def next_day(self, days=1):
        self.clock.now_us += days * DAY_US
        self.log.close_days(self.clock(), size=lambda: self.ledger.size, enter=self.enter)

    def of(self, who, **more):
        return self.log.of([f"person:{who}", EVERYONE], **more)

    def proof(self, who, line):
        found = self.log.prove([f"person:{who}", EVERYONE], line.day, line.number)
        [entry] = self.ledger.entries(found.seq, found.seq + 1)
        return {
            "format": "volition/access-proof/1",
            "line": found.leaf.decode(),
            "index": found.index,
            "lines": found.lines,
            "path": [step.hex() for step in found.path],
            "entry": entry.leaf_bytes.decode(),
            "hashes": [step.hex() for step in self.ledger.prove_inclusion(entry.seq)],
            "checkpoint": self.ledger.checkpoint(),
        }

    def close(self):
        self.log.close()
        self.uses.close()


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def check(proof):
    return check_access_proof(proof, SIGNER.key)


def test_a_reading_is_there_at_once_and_provable_when_its_day_is_over(desk):
    desk.note(ADA, records=3)
    [line] = desk.of(ADA)
    assert (line.who, line.role, line.reading, line.records, line.id) == ("olga", "operator", "holdings", 3, "")
    with pytest.raises(InvalidInputError, match="not over yet"):
        desk.proof(ADA, line)
    desk.next_day()
    [line] = desk.of(ADA)
    assert line.id == f"{line.day}.0"
    assert "olga (operator) read 3 (holdings) of person:aaaa" in check(desk.proof(ADA, line))


def test_the_uses_of_a_day_become_one_line_for_each_person_and_feature(desk):
    desk.use((ADA, "content/chat"), (ADA, "content/chat"), (BO, "content/chat"))
    desk.use((ADA, "content/transcript"))
    [counted] = desk.of(ADA)
    assert (counted.who, counted.records, counted.number) == ("feature/search", 3, None)
    desk.next_day()
    [line] = desk.of(ADA)
    assert replace(line, number=None, seq=None) == counted
    assert line.categories == ("content/chat", "content/transcript")
    check(desk.proof(ADA, line))
    [entry] = desk.ledger.entries()
    assert entry.body["lines"] == 2


def test_a_day_without_accesses_has_no_entry_and_none_is_entered_twice(desk):
    for days in (1, 1, 3, 1):
        desk.note(ADA)
        desk.next_day(days)
        desk.next_day(0)
    entered = [entry.body["day"] for entry in desk.ledger.entries()]
    assert len(entered) == len(set(entered)) == 4
    assert check_access_entries(desk.ledger.entries()) == "4 days of accesses, each entered once, with 4 lines"


def test_what_comes_late_is_of_the_day_after_the_closed_one(desk):
    desk.note(ADA)
    desk.next_day()
    late_us = START_US + DAY_US // 2  # a process that looked at its clock before the day was closed
    desk.log.note(OLGA, "holdings", [f"person:{ADA}"], at_us=late_us, records=1)
    desk.uses.note("feature/search", [(ADA, "content/chat")], at_us=late_us)
    assert {line.day for line in desk.of(ADA)} == {"2024-10-04", "2024-10-05"}
    desk.next_day()
    for line in desk.of(ADA):
        check(desk.proof(ADA, line))
    assert len(desk.of(ADA)) == 3


def test_uses_of_days_before_there_was_a_log_are_never_entered(tmp_path):
    old = sqlite3.connect(tmp_path / "uses.db")
    old.execute(
        "CREATE TABLE uses (pseudonym TEXT NOT NULL, day TEXT NOT NULL, purpose TEXT NOT NULL, category TEXT NOT NULL,"
        " times INTEGER NOT NULL, PRIMARY KEY (pseudonym, day, purpose, category)) STRICT, WITHOUT ROWID"
    )
    for day, times in (("2024-10-01", 5), ("2024-10-02", 7), ("2024-10-04", 2)):
        old.execute("INSERT INTO uses VALUES (?, ?, 'feature/search', 'content/chat', ?)", (ADA, day, times))
    old.commit()
    old.close()
    desk = Desk(tmp_path)
    desk.use((ADA, "content/chat"))
    desk.next_day()
    assert [(line.day, line.records) for line in desk.of(ADA)] == [("2024-10-04", 3)]
    assert [use.times for use in desk.uses.of(ADA)] == [3, 7, 5]
    assert desk.ledger.size == 1
    desk.close()


def test_a_process_that_was_killed_while_a_day_was_entered_is_made_good_by_the_next(desk):
    desk.note(ADA)

    def killed_before(days):
        raise KeyboardInterrupt

    def killed_after(days):
        desk.enter(days)
        raise KeyboardInterrupt

    desk.clock.now_us += DAY_US
    for killed in (killed_before, killed_after):
        with pytest.raises(KeyboardInterrupt):
            desk.log.close_days(desk.clock(), size=lambda: desk.ledger.size, enter=killed)
        desk.reopen()
    desk.next_day(0)
    assert desk.ledger.size == 1
    [line] = desk.of(ADA)
    check(desk.proof(ADA, line))


def test_an_erased_person_is_in_no_line_and_the_others_are_still_proved(desk):
    desk.note(ADA, BO)
    desk.note(BO)
    desk.use((ADA, "content/chat"))
    desk.next_day()
    desk.note(ADA, BO)
    desk.uses.erase(ADA)
    desk.log.erase(ADA)
    desk.next_day()
    assert desk.of(ADA) == ()
    assert ADA.encode() not in b"".join(one.read_bytes() for one in desk.path.parent.iterdir())
    for line in desk.of(BO):
        check(desk.proof(BO, line))
    assert [entry.body["lines"] for entry in desk.ledger.entries()] == [4, 2]


def test_a_line_of_somebody_else_is_neither_shown_nor_proved(desk):
    desk.note(BO)
    desk.note(ADA)
    desk.log.note(OLGA, "people", [EVERYONE], at_us=desk.clock(), records=2)
    desk.next_day()
    assert [line.whose for line in desk.of(ADA)] == [EVERYONE, f"person:{ADA}"]
    [_, of_bo] = desk.of(BO)
    with pytest.raises(InvalidInputError, match="no line"):
        desk.proof(ADA, of_bo)
    assert BO not in json.dumps(desk.proof(ADA, desk.of(ADA)[1]))


def test_pages_hold_each_line_once(desk):
    for _ in range(3):
        for _ in range(4):
            desk.note(ADA)
        desk.next_day()
    whole = desk.of(ADA)
    pages, before = [], None
    while page := desk.of(ADA, before=before, limit=5):
        pages += page
        before = page[-1].day, page[-1].number
    assert pages == list(whole)
    assert len(whole) == 12


def test_a_reading_that_nobody_named_is_refused(desk):
    with pytest.raises(InvalidInputError, match="no kind of reading"):
        desk.note(ADA, reading="curiosity")
    assert desk.of(ADA) == ()


def test_every_reading_has_its_sentence_on_the_page():
    assert set(READ) == set(READINGS)


# --- lies ---

LIES = {
    "another who": lambda proof: changed(proof, who="nobody"),
    "another day": lambda proof: changed(proof, day="2024-10-05", at="2024-10-05T12:00:00.000000Z"),
    "another place": lambda proof: {**proof, "index": 1 - proof["index"]},
    "a place that is no place": lambda proof: {**proof, "index": True},
    "fewer lines": lambda proof: {**proof, "lines": 1},
    "a field more": lambda proof: {**proof, "note": ""},
    "a field less": lambda proof: {name: value for name, value in proof.items() if name != "path"},
    "another spelling": lambda proof: {**proof, "line": proof["line"].replace('":', '": ', 1)},
    "capitals": lambda proof: {**proof, "path": [step.upper() for step in proof["path"]]},
    "no salt": lambda proof: changed(proof, salt="guess"),
    "another entry": lambda proof: {**proof, "entry": proof["entry"].replace('"lines":2', '"lines":3')},
    "another log": lambda proof: {**proof, "checkpoint": proof["checkpoint"].replace("/world", "/other")},
    "no object": lambda proof: {**proof, "line": "[]"},
}


def changed(proof, **what):
    return {**proof, "line": canonical_json({**json.loads(proof["line"]), **what}).decode()}


@pytest.mark.parametrize("lie", LIES)
def test_a_proof_that_was_changed_does_not_hold(desk, lie):
    desk.note(ADA)
    desk.note(BO)
    desk.next_day()
    proof = desk.proof(ADA, desk.of(ADA)[0])
    check(proof)
    told = LIES[lie](proof)
    assert told != proof
    with pytest.raises(ProofError):
        check(told)


def entry(seq, day, *, at_us=START_US + 9 * DAY_US, **more):
    return Entry(seq=seq, at_us=at_us, kind="access", body={"day": day, "root": "00" * 32, "lines": 1, **more})


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([entry(0, "2024-10-04"), entry(1, "2024-10-04")], "a second time"),
        ([entry(0, "2024-10-05"), entry(1, "2024-10-04")], "after those of"),
        ([entry(0, "2024-10-04", at_us=START_US)], "before that day was over"),
        ([entry(0, "2024-10-04", lines=0)], "without accesses"),
        ([entry(0, "2024-10-04", root="AB" * 32)], "lower-case"),
        ([entry(0, "20241004")], "no day"),
        ([entry(0, "2024-02-30")], "no day"),
        ([entry(0, "2024-10-04", who="olga")], "no reader knows"),
    ],
)
def test_each_lie_of_the_days_is_named(entries, told):
    with pytest.raises(ProofError, match=told):
        check_access_entries(entries)


def test_a_bundle_whose_log_enters_a_day_twice_fails_in_the_check_of_that_name(tmp_path):
    body = {"day": "2024-10-04", "root": "00" * 32, "lines": 1}
    told = []
    with Workspace.create(tmp_path / "ws", origin="log.example/twice") as workspace:
        for name in ("once.zip", "twice.zip"):
            workspace.ledger.append(NewEntry(kind="access", body=body))
            workspace.proofs.bundle(tmp_path / name)
            told.append(verify_bundle(tmp_path / name, workspace.verifier))
    assert [one.holds for one in told] == [True, False]
    assert {check.name for check in told[1].checks if not check.holds} == {"who looked"}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("note"), st.lists(st.sampled_from([ADA, BO]), min_size=1, max_size=2)),
        st.tuples(st.just("use"), st.lists(st.sampled_from([ADA, BO]), min_size=1, max_size=3)),
        st.tuples(st.just("day"), st.integers(0, 2)),
    ),
    max_size=12,
)


@pytest.mark.slow
@given(steps=STEPS, data=st.data())
@settings(max_examples=25, deadline=None)
def test_in_any_course_of_things_each_line_is_provable_and_a_changed_or_removed_one_is_noticed(
    tmp_path_factory, steps, data
):
    desk = Desk(tmp_path_factory.mktemp("desk"))
    noted = {ADA: 0, BO: 0}
    days = {ADA: set(), BO: set()}
    for what, value in steps:
        if what == "day":
            desk.next_day(value)
            continue
        for one in set(value):
            noted[one] += what == "note"
            days[one] |= {us_to_datetime(desk.clock.now_us).date()} if what == "use" else set()
        desk.note(*value) if what == "note" else desk.use(*((one, "content/chat") for one in value))
    desk.next_day()
    assert check_access_entries(desk.ledger.entries())
    lines = []
    for who in (ADA, BO):
        found = desk.of(who, limit=1000)
        assert len(found) == noted[who] + len(days[who])
        for line in found:
            check(desk.proof(who, line))
            lines.append((who, line))
    if lines:
        who, line = data.draw(st.sampled_from(lines))
        proof = desk.proof(who, line)
        lie = data.draw(st.sampled_from(["changed", "removed"]))
        statement = (
            "UPDATE lines SET hash = ?, line = CAST(line || ' ' AS BLOB)" if lie == "changed" else "DELETE FROM lines"
        )
        parameters = (merkle.leaf_hash(b"another"),) if lie == "changed" else ()
        with sqlite3.connect(desk.path) as db:
            db.execute(f"{statement} WHERE day = ? AND number = ?", (*parameters, line.day, line.number))
        for other, one in lines:
            if one.day == line.day:
                with pytest.raises((ProofError, InvalidInputError)):
                    check(desk.proof(other, one))
        assert check(proof)  # who has taken the proof before can show what was there
    desk.close()
