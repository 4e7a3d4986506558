"""Limits of an account: what no yes gets past, what only a lift ends, and what is told of them."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_choices import Clock, make

from volition.canonical import us_to_datetime
from volition.consent.limits import LONGEST_NAME
from volition.errors import InvalidInputError
from volition.ledger.entry import NewEntry
from volition.transparency.verify.bundle import verify_bundle
from volition.workspace import Workspace

EVERYTHING = {"data": ["content", "service"], "purpose": ["train", "feature"]}
SWITCH, PURPOSE, CATEGORY = "train-compose", "train/compose", "content/chat"


@pytest.fixture
def workspace(tmp_path):
    with make(tmp_path / "w") as workspace:
        workspace.people.add_person("bob", account="acme", name="Bob", emails=["bob@acme.example"])
        workspace.people.add_account("other", "Other")
        workspace.people.add_person("eve", account="other", name="Eve")
        workspace.people.add_person("guest")
        for party in ("account:acme", "person:ada", "person:bob"):
            workspace.consent.decide(party, yes=True, covers="past", **EVERYTHING)
        yield workspace


def why_not(workspace, *people, collected=None):
    return workspace.gate.may(
        PURPOSE, account="acme", people=people or ["ada"], category=CATEGORY, collected=collected
    ).verdict.reason


def test_while_the_lock_stands_no_yes_counts_and_only_a_lift_ends_it(workspace):
    assert why_not(workspace) is None
    workspace.consent.limit("acme", switch=SWITCH)
    assert why_not(workspace) == "limited"
    for party in ("account:acme", "person:ada"):
        workspace.consent.decide(party, yes=True, covers="past", **EVERYTHING)
    workspace.terms.accept("acme")
    assert why_not(workspace) == "limited"
    verdict = workspace.gate.may(PURPOSE, account="acme", people=["ada"], category=CATEGORY).verdict
    assert verdict.party == "account:acme"
    assert "can lift this limit" in verdict.remedy
    workspace.consent.limit("acme", switch=SWITCH, limited=False)
    assert why_not(workspace) is None


def test_a_group_is_limited_and_nobody_else(workspace):
    workspace.consent.limit("acme", switch=SWITCH, group="works council", people=["Ada"])
    assert [why_not(workspace, "ada"), why_not(workspace, "bob")] == ["limited", None]
    assert why_not(workspace, "bob", "ada") == "limited"  # a record that concerns her as well
    workspace.consent.limit("acme", switch=SWITCH, group="works council", people=["bob@acme.example", "guest"])
    assert why_not(workspace, "bob") == "limited"
    workspace.consent.limit("acme", switch=SWITCH, group="works council", people=["bob"], limited=False)
    assert [why_not(workspace, "ada"), why_not(workspace, "bob")] == ["limited", None]
    workspace.consent.limit("acme", switch=SWITCH, group="works council", limited=False)
    assert why_not(workspace, "ada") is None
    assert workspace.consent.limits("acme") == ()


def test_what_was_collected_before_the_lift_stays_out(workspace):
    before = workspace.now_us
    workspace.consent.limit("acme", switch=SWITCH)
    [entry] = workspace.consent.limit("acme", switch=SWITCH, limited=False)
    verdict = workspace.gate.may(PURPOSE, account="acme", people=["ada"], category=CATEGORY).verdict
    assert before < verdict.since_us == entry.at_us
    assert entry.seq in verdict.evidence


def test_the_limits_that_stand_are_told_with_how_many_people_and_since_when(workspace):
    [lock] = workspace.consent.limit("acme", data=["content"], purpose=["train"])
    [first] = workspace.consent.limit("acme", switch=SWITCH, group="g", people=["ada"])
    workspace.consent.limit("acme", data=["content/chat"], purpose=["train"], group="g", people=["bob", "ada"])
    locked, group = workspace.consent.limits("acme")
    assert (locked.name, locked.people) == ("", 0)
    assert locked.to_json()["limited"][0]["data"] == [
        f"content/{kind}" for kind in ("audio", "video", "chat", "transcript", "files")
    ]
    assert {held.seq for held in locked.uses.values()} == {lock.seq}
    assert (group.name, group.people) == ("g", 2)
    chat, files = (group.uses[f"content/{kind}", PURPOSE] for kind in ("chat", "files"))
    assert (chat.people, chat.since_us, chat.seq) == (2, first.at_us, first.seq)
    assert files.people == 1
    assert group.uses["content/chat", "train/search"].people == 2
    assert ("content/files", "train/search") not in group.uses
    told = group.to_json()
    assert (told["group"], told["people"]) == ("g", 2)
    workspace.consent.limit("acme", data=["content"], purpose=["train"], group="g", people=["bob"], limited=False)
    assert workspace.consent.limits("acme")[1].people == 1


LIMITS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["", "g", "h"]), st.sampled_from([("ada",), ("bob",), ("ada", "bob")])),
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=8)
@given(before=LIMITS, last=st.tuples(st.booleans(), st.sampled_from(["", "g"])))
def test_undoing_makes_the_limits_stand_as_they_did(tmp_path_factory, before, last):
    def change(limited, group, people):
        named = people if group and limited else ()
        try:
            return workspace.consent.limit("acme", switch=SWITCH, group=group, people=named, limited=limited)
        except InvalidInputError:  # nothing to lift
            return []

    with make(tmp_path_factory.mktemp("w") / "w") as workspace:
        workspace.people.add_person("bob", account="acme", name="Bob")
        for party in ("account:acme", "person:ada", "person:bob"):
            workspace.consent.decide(party, yes=True, covers="past", **EVERYTHING)
        for said in before:
            change(*said)
        stood = [(group.name, group.people, set(group.uses)) for group in workspace.consent.limits("acme")]
        reasons = [why_not(workspace, person) for person in ("ada", "bob")]
        done = change(*last, ("ada", "bob"))
        if done:
            workspace.consent.undo_limit("acme", SWITCH, seq=done[0].seq)
        assert [(group.name, group.people, set(group.uses)) for group in workspace.consent.limits("acme")] == stood
        assert [why_not(workspace, person) for person in ("ada", "bob")] == reasons


def test_undoing_a_lock_gives_back_what_the_account_itself_had_allowed(workspace):
    before = workspace.gate.may(PURPOSE, account="acme", people=["ada"], category=CATEGORY).verdict.since_us
    [entry] = workspace.consent.limit("acme", switch=SWITCH)
    workspace.consent.undo_limit("acme", SWITCH, seq=entry.seq)
    assert workspace.gate.may(PURPOSE, account="acme", people=["ada"], category=CATEGORY).verdict.since_us == before
    for seq in (0, -1, 10_000):
        with pytest.raises(InvalidInputError):
            workspace.consent.undo_limit("acme", SWITCH, seq=seq)
    with pytest.raises(InvalidInputError):
        workspace.consent.undo_limit("other", SWITCH, seq=entry.seq)


def test_more_than_an_entry_takes_are_limited_at_once_and_lifted_with_one(tmp_path, monkeypatch):
    monkeypatch.setattr("volition.consent.limits._AT_A_TIME", 20)
    names = [f"p{number:04}" for number in range(46)]
    with Workspace.create(tmp_path / "w", clock=Clock()) as workspace:
        workspace.people.add_account("acme", "Acme")
        for name in names:
            workspace.people.add_person(name, account="acme")
        workspace.terms.accept("acme")
        entries = workspace.consent.limit("acme", switch=SWITCH, group="everybody", people=names)
        assert len(entries) == 3
        assert [entry.at_us - entries[0].at_us for entry in entries] == [0, 1, 2]
        assert sum(len(entry.body["people"]) for entry in entries) == len(names)
        assert workspace.consent.limits("acme")[0].people == len(names)
        assert why_not(workspace, names[-1]) == "not-asked"  # the account is told first
        workspace.consent.decide("account:acme", yes=True, **EVERYTHING)
        assert {why_not(workspace, name) for name in names[::9]} == {"limited"}
        workspace.consent.undo_limit("acme", SWITCH, seq=entries[0].seq)
        assert workspace.consent.limits("acme") == ()
        workspace.consent.limit("acme", switch=SWITCH, group="everybody", people=names)
        assert len(workspace.consent.limit("acme", switch=SWITCH, group="everybody", limited=False)) == 1
        assert {why_not(workspace, name) for name in names[::9]} == {"not-asked"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"switch": "nothing"}, "no switch"),
        ({"switch": SWITCH, "people": ["ada"]}, "names no people"),
        ({"switch": SWITCH, "group": "g"}, "Name the people"),
        ({"switch": SWITCH, "group": "g", "people": ["eve"]}, "No one in acme"),
        ({"switch": SWITCH, "group": "g", "people": ["nobody"]}, "No one in acme"),
        ({"switch": SWITCH, "group": " g", "people": ["ada"]}, "one line"),
        ({"switch": SWITCH, "group": "a\nb", "people": ["ada"]}, "one line"),
        ({"switch": SWITCH, "group": "g" * (LONGEST_NAME + 1), "people": ["ada"]}, "one line"),
        ({"switch": SWITCH, "limited": False}, "nothing to lift"),
        ({"switch": SWITCH, "group": "g", "limited": False}, "nothing to lift"),
        ({"data": ["weather"], "purpose": ["train"]}, "weather"),
        ({"data": [], "purpose": ["train"]}, "."),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_no_entry(workspace, asked, told):
    size = workspace.ledger.size
    with pytest.raises(InvalidInputError, match=told):
        workspace.consent.limit("acme", **asked)
    assert workspace.ledger.size == size


def test_an_account_that_is_told_nothing_of_limits_nothing(workspace):
    assert workspace.consent.limits("acme") == ()
    with pytest.raises(InvalidInputError):
        workspace.consent.limits("nobody")


def test_what_a_party_said_is_still_told_under_a_limit(workspace):
    workspace.consent.limit("acme", switch=SWITCH)
    workspace.consent.limit("acme", switch=SWITCH, group="g", people=["ada"])
    for yes, answer in ((False, "no"), (True, "yes")):
        for party in ("account:acme", "person:ada"):
            workspace.consent.choose(party, SWITCH, account="acme", yes=yes)
            choice = workspace.consent.choices(party, account="acme").of(SWITCH)
            assert (choice.answer, choice.allowed) == (answer, False)


def test_what_is_limited_for_every_purpose_is_not_collected(workspace):
    file = workspace.folder / "kickoff.vtt"
    file.write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nAda: hello\n\n00:03.000 --> 00:04.000\nBob: hello\n")
    workspace.consent.limit("acme", **EVERYTHING, group="g", people=["ada"])
    collected = workspace.records.collect_webvtt(file, account="acme", started=workspace_time(workspace))
    assert dict(collected.not_kept) == {"limited": 2}  # both were in the meeting


def workspace_time(workspace):
    return us_to_datetime(workspace.now_us - 60_000_000)


def test_evidence_with_limits_in_it_verifies(workspace, tmp_path):
    workspace.consent.limit("acme", switch=SWITCH, group="g", people=["ada"])
    workspace.consent.limit("acme", switch=SWITCH, group="g", limited=False)
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    assert verify_bundle(tmp_path / "evidence.zip", workspace.verifier).holds


# --- what the ledger says of a group ---


def test_a_groups_name_is_in_the_directory_and_not_in_the_ledger(workspace):
    entries = [
        *workspace.consent.limit("acme", switch=SWITCH, group="Ada's team", people=["ada"]),
        *workspace.consent.limit("acme", data=["content"], purpose=["train"], group="Ada's team", people=["bob"]),
        *workspace.consent.limit("acme", switch=SWITCH, group="Ada's team", people=["ada"], limited=False),
    ]
    assert len({entry.body["group"] for entry in entries}) == 1
    assert not [entry for entry in workspace.entries() if b"team" in entry.leaf_bytes]
    assert [group.name for group in workspace.consent.limits("acme")] == ["Ada's team"]
    [other] = workspace.consent.limit("acme", switch=SWITCH, group="Another", people=["ada"])
    assert other.body["group"] != entries[0].body["group"]
    assert [group.name for group in workspace.consent.limits("acme")] == ["Ada's team", "Another"]


def test_a_groups_name_goes_with_the_account_and_its_limits_stay(workspace):
    workspace.consent.limit("acme", switch=SWITCH, group="Ada's team", people=["ada"])
    workspace.forgetting.erase("account:acme")
    [group] = workspace.consent.limits("acme")
    assert (group.name, group.people) == (group.key, 1)
    found = {path.name for path in workspace.folder.rglob("*") if path.is_file() and b"Ada's team" in path.read_bytes()}
    assert found == set()


def test_a_group_that_an_earlier_version_wrote_by_its_name_goes_on_under_it(workspace):
    body = {"account": "acme", "group": "Night shift", "data": ["content"], "purpose": ["train"], "limited": True}
    people = [workspace.party("person:ada")]
    workspace.ledger.append(NewEntry(kind="limit", body={**body, "people": people}))
    assert [(group.name, group.people) for group in workspace.consent.limits("acme")] == [("Night shift", 1)]
    [more] = workspace.consent.limit("acme", data=["content"], purpose=["train"], group="Night shift", people=["bob"])
    assert more.body["group"] == "Night shift"
    assert workspace.consent.limits("acme")[0].people == 2
    workspace.consent.limit("acme", data=["content"], purpose=["train"], group="Night shift", limited=False)
    assert workspace.consent.limits("acme") == ()


def test_a_directory_of_an_earlier_version_opens_and_takes_groups(workspace):
    folder = workspace.folder
    with closing(sqlite3.connect(folder / "parties.db")) as connection, connection:
        connection.execute("DROP TABLE groups")
    with Workspace.open(folder) as again:
        again.consent.limit("acme", switch=SWITCH, group="works council", people=["ada"])
        assert [group.name for group in again.consent.limits("acme")] == ["works council"]
