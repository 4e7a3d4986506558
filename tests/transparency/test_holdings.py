"""What is held of a person: all of theirs, whatever anybody's yes, nothing of anybody else's; and what it was used for."""

import io
import json
import zipfile
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.consent.gate import PartySets, Subject, own
from volition.consent.permits import NO_PERMIT_US
from volition.errors import RefusedError
from volition.workspace import Workspace

STARTED = datetime(2025, 6, 2, 9, tzinfo=UTC)
MEETING = """WEBVTT

00:01.000 --> 00:04.000
Ada Byron: The launch moves to Friday.

00:05.000 --> 00:09.000
Bo Berg: Then the brochure must be ready on Thursday.

00:10.000 --> 00:12.000
Ada Byron: I will tell the printer.
"""
EVERYTHING = {"data": ["service", "content"], "purpose": ["train", "feature"]}


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "ws", origin="log.example/held") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_account("brill", "Brill")
        for person, name, account in (("ada", "Ada Byron", "acme"), ("bo", "Bo Berg", "acme"), ("cy", "Cy", "brill")):
            workspace.people.add_person(person, account=account, name=name)
        workspace.terms.accept("acme")
        (tmp_path / "standup.vtt").write_text(MEETING)
        workspace.records.collect_webvtt(tmp_path / "standup.vtt", account="acme", started=STARTED)
        minutes = {"meeting": "standup", "text": "Bo's brochure is due on Thursday."}
        (tmp_path / "minutes.jsonl").write_text(json.dumps(minutes) + "\n")
        workspace.records.collect_summaries(tmp_path / "minutes.jsonl", account="acme")
        yield workspace


def exported(workspace, person):
    """Return an export's files by name, and what was told of it."""
    sink = io.BytesIO()
    told = workspace.rights.export(person, sink)
    with zipfile.ZipFile(sink) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}, told


def say(workspace, *parties, yes=True):
    for party in parties:
        workspace.consent.decide(party, yes=yes, **EVERYTHING, covers="past" if yes else None)


def test_the_export_holds_all_that_a_person_said_and_no_word_of_anybody_else(workspace):
    for person, own_words, others in (
        ("ada", {"The launch moves to Friday.", "I will tell the printer."}, "brochure"),
        ("bo", {"Then the brochure must be ready on Thursday."}, "printer"),
    ):
        files, told = exported(workspace, person)
        records = json.loads(files["records.json"])
        assert {record["payload"]["text"] for record in records} == own_words
        assert told.own == len(records)
        assert not [name for name, data in files.items() if others.encode() in data]
        concerning = json.loads(files["concerning.json"])
        assert len(concerning) == told.concerning == 4 - len(records)  # the edited summary holds both their words
        assert all("payload" not in record for record in concerning)
        assert {record["others"] for record in records} == {1}
        other = workspace.parties.person("bo" if person == "ada" else "ada")
        assert not [name for name, data in files.items() if other.pseudonym.encode() in data]


def test_the_parquet_says_what_the_json_says(workspace):
    files, _ = exported(workspace, "ada")
    for name in ("records", "concerning"):
        rows = pq.read_table(io.BytesIO(files[f"{name}.parquet"])).to_pylist()
        told = json.loads(files[f"{name}.json"])
        assert [row["record_id"] for row in rows] == [one["record_id"] for one in told]
        assert [f"{row['collected_at']:%Y-%m-%dT%H:%M:%S}" for row in rows] == [
            one["collected_at"][:19] for one in told
        ]
        assert [json.loads(row["payload"]) for row in rows if "payload" in row] == [
            one["payload"] for one in told if "payload" in one
        ]


@pytest.mark.slow
@pytest.mark.parametrize("refusing", [[], ["person:ada"], ["account:acme"], ["account:acme", "person:bo"]], ids=str)
def test_nobodys_no_keeps_a_person_from_seeing_their_own(workspace, refusing):
    before = exported(workspace, "ada")[0]["records.json"]
    say(workspace, *refusing, yes=False)
    assert exported(workspace, "ada")[0]["records.json"] == before


def test_the_counts_are_those_of_the_export(workspace):
    for person in ("ada", "bo", "cy"):
        _, told = exported(workspace, person)
        days = workspace.rights.holdings(person).days
        assert (sum(day.own for day in days), sum(day.concerning for day in days)) == (told.own, told.concerning)
        assert {day.day for day in days} <= {"2025-06-02"}
    assert workspace.rights.holdings("cy").days == ()


def test_every_answer_of_the_person_is_in_the_export_and_nobody_elses(workspace):
    say(workspace, "account:acme", "person:ada", "person:bo")
    workspace.consent.signal("ada")
    workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
    told = json.loads(exported(workspace, "ada")[0]["decisions.json"])
    assert [entry["kind"] for entry in told] == ["decision", "signal", "decision"]
    assert {entry["party"] for entry in told} == {workspace.party("person:ada")}


@pytest.mark.slow
def test_what_features_show_is_counted_for_whoever_said_it(workspace):
    say(workspace, "account:acme", "person:ada", "person:bo")
    assert workspace.rights.holdings("ada").uses == ()
    hits = workspace.features.search("brochure printer launch", person="bo").hits
    workspace.features.search("brochure printer launch", person="bo")
    shown = Counter(hit.speaker for hit in hits)
    assert shown["Ada Byron"] == 2
    for person, name in (("ada", "Ada Byron"), ("bo", "Bo Berg")):
        [used] = workspace.rights.holdings(person).uses
        assert (used.purpose, used.category, used.times) == ("feature/search", "content/transcript", 2 * shown[name])
    moments = workspace.features.summarize("standup", person="bo").moments
    quoted = {one.speaker for moment in moments for one in (moment, moment.before) if one is not None}
    counted = {
        name
        for person, name in (("ada", "Ada Byron"), ("bo", "Bo Berg"))
        if any(used.purpose == "feature/summary" for used in workspace.rights.holdings(person).uses)
    }
    assert counted == quoted


@pytest.mark.slow
def test_a_refused_feature_counts_nothing(workspace):
    with pytest.raises(RefusedError):
        workspace.features.search("brochure", person="bo")
    assert workspace.rights.holdings("bo").uses == workspace.rights.holdings("ada").uses == ()


@pytest.mark.slow
def test_the_counts_go_with_the_person_and_stay_for_the_others(workspace):
    say(workspace, "account:acme", "person:ada", "person:bo")
    pseudonym = workspace.parties.person("ada").pseudonym
    workspace.features.search("brochure printer launch", person="bo")
    assert workspace.rights.holdings("ada").uses
    workspace.forgetting.erase("person:ada")
    assert workspace._opened.uses.of(pseudonym) == ()
    assert workspace.rights.holdings("bo").uses
    assert workspace.rights.holdings("bo").days[0].concerning == 0  # what she said is gone, and so is the summary
    with pytest.raises(RefusedError):
        workspace.rights.holdings("ada")


def test_a_place_tells_how_the_persons_lines_stand_for_each_purpose(workspace):
    say(workspace, "account:acme", "person:ada", "person:bo")
    workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["feature/summary"])
    [place] = workspace.rights.places("ada", account="acme")
    assert (place.name, place.lines, place.others) == ("standup", 2, 2)
    lines = {one.purpose: (one.lines, one.reason and one.reason.value) for one in place.statuses}
    assert lines == {
        "train/search": (2, None),
        "train/summary": (2, None),
        "feature/search": (2, None),
        "feature/summary": (0, "withdrawn"),
    }
    assert workspace.rights.places("ada", account="brill") == ()


CIRCLES = st.lists(st.lists(st.integers(0, 3), max_size=4, unique=True), max_size=12)


@given(party_sets=CIRCLES, asking=st.integers(0, 4))
def test_the_gate_hands_over_just_the_circles_that_the_person_is_first_in(party_sets, asking):
    people = [f"person:{number}" for number in range(4)]
    compact = PartySets(
        accounts=["acme"],
        people=people,
        account=np.zeros(len(party_sets), np.int32),
        offsets=np.cumsum([0, *map(len, party_sets)]),
        members=np.array([member for party_set in party_sets for member in party_set], np.int32),
    )
    standings = own(Subject(pseudonym=str(asking), at_us=0), compact)
    handed = [party_set[:1] == [asking] for party_set in party_sets]
    assert (standings.since_us < NO_PERMIT_US).tolist() == handed
    assert (standings.reason == 0).tolist() == handed
