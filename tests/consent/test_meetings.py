"""Meetings of 2 to 60 people: whoever of them says no, wherever they stand and live, every form of the gate hears it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.canonical import us_to_text
from volition.consent.gate import (
    Gate,
    PartySets,
    Record,
    decide,
    effective_permit_of,
    explain,
    fold,
    judge,
    keepable,
    reason_of,
)
from volition.consent.history import read_history
from volition.consent.permits import Permits, Reason
from volition.consent.terms.model import Basis, Rule, Terms
from volition.ledger.entry import Entry
from volition.records.engines.arrow import ArrowEngine
from volition.records.engines.duckdb import DuckDBEngine

PURPOSE, CATEGORY = "train/search", "content/chat"
ASKED, COLLECTED = 20, 15
MOST = 60
CROWD = [f"person:{number:02d}" for number in range(MOST)]
SIZES = range(2, MOST + 1)

TERMS = Terms(
    id="v",
    title="v",
    effective_us=0,
    acceptance="continued-use",
    text="prose",
    rules=(
        Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("everyone",)),
        Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "person"), region=("DE",)),
        Rule(data=("service",), purpose=("train",), basis=Basis.CONTRACT, refusable_by=("person",)),
        Rule(data=("service",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "everyone"), region=("DE",)),
    ),
)


def permits_of(said, regions=()):
    """Return permits after the terms, their acceptance, where parties are, and what each answers (yes or no)."""
    drafts = [
        ("terms", {"terms": TERMS.to_json(), "binds": us_to_text(1)}),
        ("acceptance", {"account": "acme", "terms": "v"}),
        *(("region", {"party": party, "region": region}) for party, region in regions),
        *(
            (
                "decision",
                {"party": party, "answer": "yes" if yes else "no", "covers": None, "data": data, "purpose": ["train"]},
            )
            for data in [["content", "service"]]
            for party, yes in said
        ),
    ]
    entries = [Entry(seq=seq, at_us=2 + seq // 100, kind=kind, body=body) for seq, (kind, body) in enumerate(drafts)]
    return Permits(read_history(entries), purpose=PURPOSE, at_us=ASKED)


def forms(permits, people, category, folder):
    """Ask every form of the gate about one record; return what each says."""
    record = Record(account="acme", people=people, category=category, collected_us=COLLECTED)
    verdict = decide(permits, record)
    effective = effective_permit_of(permits, "acme", people, category)
    party_sets = PartySets(
        accounts=["acme"],
        people=sorted(people),
        account=np.zeros(1, np.int32),
        offsets=np.array([0, len(people)], np.int64),
        members=np.array([sorted(people).index(person) for person in people], np.int32),
    )
    folded = fold(permits, party_sets, category)
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"circle": pa.array([0], pa.int32()), "collected_us": pa.array([COLLECTED])}), path)
    lines = explain(permits.history, record, purpose=PURPOSE, at_us=ASKED)
    found = {
        "decide": verdict.reason,
        "a gate held": Gate(permits).decide(record).reason,
        "folded": effective.reason or (Reason.BEFORE_YES if effective.since_us > COLLECTED else None),
        "explained": next((line.reason for line in lines if line.reason is not None), None),
        "a table": reason_of(int(judge(folded, np.zeros(1, np.int32), np.array([COLLECTED]))[0])),
        "kept": None if keepable([permits], record) is None else verdict.reason,
    }
    for engine in (ArrowEngine(), DuckDBEngine()):
        [found[type(engine).__name__]] = engine.reasons([str(path)], folded)
    assert [line.party for line in lines if line.reason][:1] == ([] if verdict.permitted else [verdict.party])
    return verdict, found


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_one_no_wherever_it_stands_keeps_the_record_out(size, tmp_path):
    """Everybody has said yes but one: each place of small meetings, and of large ones the first, the middle, the last."""
    people = CROWD[:size]
    places = range(size) if size < 12 else {0, 7, 8, 9, size // 2, size - 2, size - 1}
    for place in places:
        permits = permits_of([(person, person != people[place]) for person in people])
        verdict, found = forms(permits, tuple(people), CATEGORY, tmp_path)
        assert (verdict.reason, verdict.party) == (Reason.SAID_NO, people[place])
        assert set(found.values()) == {Reason.SAID_NO}, found
    verdict, found = forms(permits_of([(person, True) for person in people]), tuple(people), CATEGORY, tmp_path)
    assert verdict.permitted
    assert set(found.values()) == {None}, found


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 8, 9, 10, 33, MOST])
def test_the_region_of_the_last_counts_for_everybody(size, tmp_path):
    people = tuple(CROWD[:size])
    regions = [("account:acme", "US"), (people[-1], "DE")]
    silent = permits_of([], regions[:1])
    assert set(forms(silent, people, "service/usage", tmp_path)[1].values()) == {None}
    everybody = [(person, True) for person in people]
    verdict, found = forms(permits_of(everybody, regions), people, "service/usage", tmp_path)
    assert (verdict.reason, verdict.party) == (Reason.NOT_ASKED, "account:acme")
    assert set(found.values()) - {verdict.reason} <= {None}
    assert {form for form, reason in found.items() if reason is None} == {"kept"}  # it waits for an answer
    verdict, found = forms(permits_of([*everybody, ("account:acme", True)], regions), people, "service/usage", tmp_path)
    assert set(found.values()) == {None}, found


@pytest.mark.slow
@given(st.data())
def test_meetings_drawn_at_random_are_judged_alike_by_every_form(tmp_path_factory, data):
    people = tuple(data.draw(st.permutations(CROWD))[: data.draw(st.sampled_from(SIZES))])
    few = st.lists(st.sampled_from(people), max_size=2)
    no, silent, german = data.draw(few), data.draw(few), data.draw(few)
    regions = [(person, "DE") for person in german] + data.draw(
        st.lists(st.tuples(st.just("account:acme"), st.sampled_from(["US", "DE"])), max_size=1)
    )
    account = data.draw(st.lists(st.tuples(st.just("account:acme"), st.booleans()), max_size=1))
    permits = permits_of([*((one, one not in no) for one in people if one not in silent), *account], regions)
    for category in (CATEGORY, "service/usage"):
        verdict, found = forms(permits, people, category, tmp_path_factory.mktemp("rows"))
        assert set(found.values()) - {None} <= {verdict.reason}
        assert {form for form, reason in found.items() if reason != verdict.reason} <= {"kept"}, found
        # Said again in plain words, without the gate:
        is_german = {person: person in german or ("account:acme", "DE") in regions for person in people}
        wins = {"DE" if german else "elsewhere" for german in is_german.values()}
        wins.add("DE" if ("account:acme", "DE") in regions else "elsewhere")
        asked = set(people) if "elsewhere" in wins else set(people[:1])
        asked |= {"account:acme"} if "DE" in wins else set()
        may_refuse = set()
        if category != CATEGORY:
            asked = {"account:acme", *people} if "DE" in wins else set()
            may_refuse = set(people[:1])
        said_yes = {person for person in people if person not in silent and person not in no}
        said_no = {person for person in no if person not in silent}
        if account:
            (said_yes if account[-1][1] else said_no).add("account:acme")
        assert verdict.permitted == (asked <= said_yes and not (may_refuse & said_no))
