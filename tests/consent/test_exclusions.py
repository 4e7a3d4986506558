"""A conversation left out: every form of the gate against a plain reading of what was said last, by whom, of which use."""

from dataclasses import replace
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.canonical import us_to_text
from volition.consent.exclusions import excluding, exclusions_among, exclusions_of_namesakes
from volition.consent.gate import (
    Gate,
    PartySets,
    Record,
    decide,
    effective_permit_of,
    exclusion_of,
    explain,
    fold,
    judge,
    keepable,
    permitted_sql,
    reasons_sql,
)
from volition.consent.gate.batch import judge_batch
from volition.consent.history import Exclusion, extend_history, find_saved_history, read_history, save_history
from volition.consent.permits import Permits, Reason
from volition.consent.terms.model import Basis, Rule, Terms
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry
from volition.ledger.signing import Signer
from volition.records.engines.arrow import ArrowEngine
from volition.records.engines.duckdb import DuckDBEngine

PURPOSE, OTHER = "train/search", "feature/search"
CHAT, USAGE = "content/chat", "service/usage"
START, COLLECTED = 10, 5
ADA, BO, CY, ACME = "person:ada", "person:bo", "person:cy", "account:acme"
PARTIES = (ACME, ADA, BO)
CONVERSATIONS = ("kickoff", "retro", "", None)
PEOPLE = ((ADA,), (BO,), (ADA, BO), (BO, ADA))

TERMS = Terms(
    id="v",
    title="v",
    effective_us=0,
    acceptance="continued-use",
    text="prose",
    rules=(
        Rule(
            data=("content", "service"), purpose=("train", "feature"), basis=Basis.CONTRACT, refusable_by=("everyone",)
        ),
    ),
)


def history_of(said, *, noes=()):
    """Return a history in which everything is allowed from the beginning on, but for these noes and exclusions."""
    drafts = [
        (1, "terms", {"terms": TERMS.to_json(), "binds": us_to_text(1)}),
        (1, "acceptance", {"account": "acme", "terms": "v"}),
        *(
            (2, "decision", {"party": party, "answer": "no", "covers": None, "data": ["content"], "purpose": ["train"]})
            for party in noes
        ),
        *(
            (
                START + number,
                "exclusion",
                {
                    "account": account,
                    "conversation": conversation,
                    "party": party,
                    "purpose": [purpose],
                    "excluded": excluded,
                },
            )
            for number, (account, conversation, party, purpose, excluded) in enumerate(said)
        ),
    ]
    return read_history(
        Entry(seq=seq, at_us=at_us, kind=kind, body=body) for seq, (at_us, kind, body) in enumerate(drafts)
    )


def is_excluded(said, record, purpose, at_us):
    """Read the definition plainly: whether anything that could be meant was left out last, by whoever has a say."""
    standing = {}
    for number, (account, conversation, party, use, excluded) in enumerate(said):
        if START + number <= at_us and (purpose == use or purpose.startswith(f"{use}/")):
            standing[account, conversation, party] = excluded
    for (account, conversation, party), excluded in standing.items():
        could_be = conversation == record.conversation or (
            record.conversation is None and record.category.startswith("content/")
        )
        if excluded and account == record.account and could_be and party in {ACME, *record.people}:
            return True
    return False


class Names:
    """Whoever is named as the ledger has it is there."""

    @staticmethod
    def account(name):
        return name

    @staticmethod
    def person(name):
        return name

    @staticmethod
    def conversation(account, name):
        del account
        return name


def forms(permits, record, folder):
    """Ask every form about one record: whether it is left out, or else its reason."""
    question = {"account": ["acme"], "people": [list(record.people)], "category": [record.category]}
    at = pa.array([record.collected_us], pa.timestamp("us", tz="UTC"))
    said = {} if record.conversation is None else {"conversation": [record.conversation]}
    [batch] = judge_batch(permits, Names(), pa.record_batch({**question, "collected_at": at, **said})).to_pylist()
    lines = explain(permits.history, record, purpose=permits.purpose, at_us=permits.at_us)
    found = {
        "decide": decide(permits, record).reason,
        "a gate held": Gate(permits).decide(record, at_us=permits.at_us).reason,
        "folded": effective_permit_of(
            permits, record.account, record.people, record.category, record.conversation
        ).reason,
        "explained": next((line.reason for line in lines if line.reason is not None), None),
        "kept": keepable([permits], record),
        "a batch": batch["reason"] and Reason(batch["reason"]),
    }
    if record.conversation is not None:  # where records lie it is known
        found |= engines(permits, record, folder)
    return found


def engines(permits, record, folder):
    people = sorted(record.people)
    party_sets = PartySets(
        accounts=["acme"],
        people=people,
        account=np.zeros(1, np.int32),
        offsets=np.array([0, len(people)], np.int64),
        members=np.array([people.index(person) for person in record.people], np.int32),
    )
    folded = fold(permits, party_sets, record.category)
    if exclusion_of(permits.history, record, purpose=permits.purpose, at_us=permits.at_us) is not None:
        folded = replace(folded, excluded=frozenset({(record.conversation, 0)}))  # as the lake says
        with pytest.raises(InvalidInputError, match="ask the lake"):
            judge(folded, np.zeros(1, np.int32), np.array([record.collected_us]))
    path = folder / "rows.parquet"
    columns = {"circle": pa.array([0], pa.int32()), "collected_us": pa.array([record.collected_us])}
    pq.write_table(pa.table({**columns, "source": pa.array([record.conversation])}), path)
    found = {}
    for engine in (ArrowEngine(), DuckDBEngine()):
        [reason] = engine.reasons([str(path)], folded)
        [*batches] = engine.permitted([str(path)], folded)
        assert sum(batch.num_rows for batch in batches) == (reason is None)
        found[type(engine).__name__] = reason
    return found


events = st.tuples(
    st.sampled_from(["acme", "acme", "other"]),
    st.sampled_from(CONVERSATIONS[:2]),
    st.sampled_from(PARTIES),
    st.sampled_from([PURPOSE, OTHER, "train", "feature"]),
    st.booleans(),
)


@pytest.mark.slow
@given(
    said=st.lists(events, max_size=8),
    noes=st.sets(st.sampled_from([ADA, BO]), max_size=1),
    people=st.sampled_from(PEOPLE),
    category=st.sampled_from([CHAT, USAGE]),
    conversation=st.sampled_from(CONVERSATIONS),
    purpose=st.sampled_from([PURPOSE, OTHER]),
    later=st.integers(-1, 9),
)
def test_every_form_leaves_out_what_was_left_out_last(  # noqa: PLR0917 - everything that matters
    said, noes, people, category, conversation, purpose, later, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("rows", numbered=True)
    at_us = START + later
    permits = Permits(history_of(said, noes=noes), purpose=purpose, at_us=at_us)
    record = Record(account="acme", people=people, category=category, collected_us=COLLECTED, conversation=conversation)
    is_no = bool(noes & {*people}) and category == CHAT and purpose == PURPOSE
    wanted = Reason.SAID_NO if is_no else Reason.EXCLUDED if is_excluded(said, record, purpose, at_us) else None
    found = forms(permits, record, folder)
    assert set(found.values()) == {wanted}, found


def test_every_short_sequence_is_read_as_it_was_said():
    single = list(product(["acme"], ["kickoff"], PARTIES, [PURPOSE, OTHER], [True, False]))
    for said in [[], *([one] for one in single), *map(list, product(single[::2], single))]:
        permits = Permits(history_of(said), purpose=PURPOSE, at_us=START + 5)
        gate = Gate(permits)
        for people, conversation in product(PEOPLE, CONVERSATIONS):
            record = Record(
                account="acme", people=people, category=CHAT, collected_us=COLLECTED, conversation=conversation
            )
            verdict = gate.decide(record)
            assert (verdict.reason is Reason.EXCLUDED) == is_excluded(said, record, PURPOSE, START + 5), (said, record)


def test_a_record_without_a_conversation_is_never_left_out():
    said = [("acme", "kickoff", ACME, "train", True)]
    permits = Permits(history_of(said), purpose=PURPOSE, at_us=START + 1)
    record = Record(account="acme", people=(ADA,), category=CHAT, collected_us=COLLECTED, conversation="")
    assert decide(permits, record).permitted


def test_a_verdict_names_who_left_it_out_and_the_entry():
    said = [("acme", "kickoff", ADA, "train", True), ("acme", "kickoff", ACME, "train", True)]
    permits = Permits(history_of(said), purpose=PURPOSE, at_us=START + 5)
    record = Record(account="acme", people=(ADA,), category=CHAT, collected_us=COLLECTED, conversation="kickoff")
    verdict = decide(permits, record)
    assert (verdict.reason, verdict.party, verdict.evidence) == (Reason.EXCLUDED, ACME, (3,))
    assert "left this conversation out" in verdict.remedy
    before = Permits(history_of(said), purpose=PURPOSE, at_us=START)
    assert decide(before, record).party == ADA  # as of then, the account had not left it out


@pytest.mark.parametrize(("seq", "evidence"), [(-1, ()), (0, (0,)), (1, (1,)), (7, (7,))])
def test_a_verdict_rests_on_the_entry_if_there_is_one(seq, evidence):
    history = history_of([])
    purposes = frozenset([PURPOSE])
    history.exclusions.add(
        Exclusion(
            account="acme", conversation="kickoff", party=ADA, purposes=purposes, excluded=True, at_us=START, seq=seq
        )
    )
    record = Record(account="acme", people=(ADA,), category=CHAT, collected_us=COLLECTED, conversation="kickoff")
    verdict = decide(Permits(history, purpose=PURPOSE, at_us=START), record)
    assert (verdict.reason, verdict.evidence, verdict.since_us) == (Reason.EXCLUDED, evidence, None)


def test_a_gate_that_is_held_asks_as_of_when_it_is_asked():
    said = [("acme", "kickoff", ADA, "train", True)]
    gate = Gate(Permits(history_of(said), purpose=PURPOSE, at_us=START - 1))
    record = Record(account="acme", people=(ADA,), category=CHAT, collected_us=COLLECTED, conversation="kickoff")
    assert gate.decide(record).permitted
    assert gate.decide(record, at_us=START - 1).permitted
    assert gate.decide(record, at_us=START).reason is Reason.EXCLUDED


def test_what_is_taken_back_in_is_there_as_before():
    """It is no withdrawal: nothing begins anew, so what was collected before is used again."""
    said = [("acme", "kickoff", ADA, "train", True), ("acme", "kickoff", ADA, "train", False)]
    permits = Permits(history_of(said), purpose=PURPOSE, at_us=START + 5)
    record = Record(account="acme", people=(ADA,), category=CHAT, collected_us=COLLECTED, conversation="kickoff")
    assert decide(permits, record).permitted


@pytest.mark.parametrize(
    "body",
    [
        {"excluded": "yes"},
        {"party": "ada"},
        {"purpose": ["gossip"]},
        {"conversation": None, "excluded": None},
    ],
)
def test_an_entry_that_cannot_be_read_is_refused(body):
    whole = {"account": "acme", "conversation": "c", "party": ADA, "purpose": ["train"], "excluded": True}
    with pytest.raises(InvalidInputError):
        read_history([Entry(seq=0, at_us=1, kind="exclusion", body={**whole, **body})])


def test_a_saved_history_knows_what_was_left_out(tmp_path):
    said = [("acme", "kickoff", ADA, "train", True), ("acme", "retro", ACME, OTHER, True)]
    history = history_of(said)
    signer = Signer.from_seed("log.example/left", bytes(32))

    class Roots:
        size = history.size

        @staticmethod
        def root(size):
            return bytes([size] * 32)

    save_history(tmp_path, history, root=Roots.root(history.size), signer=signer)
    found = find_saved_history(tmp_path, Roots, signer.key)
    assert found is not None
    assert found.exclusions.to_json() == history.exclusions.to_json()


def test_either_sql_asks_for_the_table_only_where_there_is_one():
    for sql in (permitted_sql, reasons_sql):
        assert "excluded" not in sql(1)
        assert "excluded" in sql(1, excluded=True)


@pytest.mark.parametrize("who", [ACME, ADA, BO])
def test_every_form_says_the_same_of_a_conversation_that_one_left_out(who, tmp_path):
    said = [("acme", "kickoff", who, "train", True)]
    permits = Permits(history_of(said), purpose=PURPOSE, at_us=START)
    earlier = Permits(history_of(said), purpose=PURPOSE, at_us=START - 1)
    for conversation, wanted in (("kickoff", Reason.EXCLUDED), (None, Reason.EXCLUDED), ("retro", None), ("", None)):
        record = Record(
            account="acme", people=(ADA, BO), category=CHAT, collected_us=COLLECTED, conversation=conversation
        )
        assert set(forms(permits, record, tmp_path).values()) == {wanted}, conversation
        assert set(forms(earlier, record, tmp_path).values()) == {None}, conversation
        for verdict in (decide(permits, record), Gate(permits).decide(record)):
            assert verdict.permitted == (wanted is None)


def test_what_was_collected_at_the_very_beginning_of_the_permit_is_in_it(tmp_path):
    permits = Permits(history_of([], noes=()), purpose=PURPOSE, at_us=START)
    since_us = effective_permit_of(permits, "acme", (ADA,), CHAT, "").since_us
    for collected_us, wanted in ((since_us, None), (since_us - 1, Reason.BEFORE_YES)):
        record = Record(account="acme", people=(ADA,), category=CHAT, collected_us=collected_us, conversation="")
        found = forms(permits, record, tmp_path)
        found.pop("kept"), found.pop("folded")  # of which neither looks at when it was collected
        assert set(found.values()) == {wanted}


def test_a_batch_has_one_column_of_conversations_at_most():
    permits = Permits(history_of([]), purpose=PURPOSE, at_us=START)
    columns = {
        "account": pa.array(["acme"]),
        "people": pa.array([[ADA]]),
        "category": pa.array([CHAT]),
        "collected_at": pa.array([COLLECTED], pa.timestamp("us", tz="UTC")),
    }
    twice = pa.RecordBatch.from_arrays(
        [*columns.values(), pa.array(["kickoff"]), pa.array(["retro"])],
        names=[*columns, "conversation", "conversation"],
    )
    with pytest.raises(InvalidInputError, match="may have one"):
        judge_batch(permits, Names(), twice)


def test_what_one_identity_left_out_is_left_out_for_each_and_nothing_twice():
    said = [
        ("acme", "kickoff", ADA, PURPOSE, True),
        ("acme", "kickoff", BO, OTHER, True),
        ("acme", "retro", BO, PURPOSE, True),
        ("acme", "retro", ADA, OTHER, True),
        ("acme", "retro", ADA, OTHER, False),  # was taken back in
        ("other", "kickoff", ADA, OTHER, True),
        ("acme", "kickoff", CY, "train", True),  # by somebody else
    ]
    history = history_of(said)
    [*found] = exclusions_among(history, [ADA, BO], at_us=START + 9)
    assert found == [
        excluding("acme", "kickoff", ADA, [OTHER], excluded=True),
        excluding("acme", "kickoff", BO, [PURPOSE], excluded=True),
        excluding("other", "kickoff", BO, [OTHER], excluded=True),
        excluding("acme", "retro", ADA, [PURPOSE], excluded=True),
    ]
    for number, draft in enumerate(found):
        extend_history(history, Entry(seq=history.size, at_us=START + 10 + number, kind=draft.kind, body=draft.body))
    assert not [*exclusions_among(history, [ADA, BO], at_us=START + 20)]
    assert [*exclusions_among(history, [ADA, BO], at_us=START)] == [
        excluding("acme", "kickoff", BO, [PURPOSE], excluded=True)
    ]
    assert is_left_out(history, ADA, "retro", PURPOSE)
    assert not is_left_out(history, ADA, "retro", OTHER)


def is_left_out(history, party, conversation, purpose):
    return purpose in history.exclusions.standing("acme", conversation, party, at_us=START + 20)


def test_an_entry_names_each_use_once_in_order_and_whether_it_is_left_out():
    for excluded in (True, False):
        made = excluding("acme", "kickoff", ADA, [PURPOSE, OTHER, PURPOSE], excluded=excluded)
        assert made.kind == "exclusion"
        assert made.body == {
            "account": "acme",
            "conversation": "kickoff",
            "party": ADA,
            "purpose": [OTHER, PURPOSE],
            "excluded": excluded,
        }


def test_whoever_asks_again_sees_by_a_number_whether_anything_was_said_and_when():
    said = [
        ("acme", "kickoff", ADA, PURPOSE, True),
        ("acme", "kickoff", ADA, PURPOSE, False),
        ("acme", "kickoff", BO, PURPOSE, True),
        ("acme", "retro", ACME, OTHER, True),
        ("other", "retro", ACME, OTHER, True),
    ]
    exclusions = history_of(said).exclusions
    versions = [history_of(said[:count]).exclusions.version("acme", at_us=START + 9) for count in range(len(said) + 1)]
    assert versions == [0, 1, 2, 3, 4, 4]
    assert [exclusions.version("acme", at_us=START + at) for at in range(-1, 5)] == [0, 1, 2, 3, 4, 4]
    assert exclusions.instants("acme") == [START, START + 1, START + 2, START + 3]
    assert exclusions.instants("other") == [START + 4]
    assert exclusions.could_be("acme", CHAT, None) == ["kickoff", "retro"]
    assert not exclusions.could_be("acme", USAGE, None)
    assert not exclusions.could_be("acme", CHAT, "")
    assert not exclusions.could_be("acme", CHAT, "another")
    assert [*exclusions.could_be("acme", CHAT, "retro")] == ["retro"]
    assert exclusions.concern("other")
    assert [*exclusions.of("acme", "kickoff")] == [ADA, BO]
    assert [one.excluded for one in exclusions.of("acme", "kickoff")[ADA]] == [True, False]
    assert exclusions.instants("nobody") == []
    assert not exclusions.could_be("nobody", CHAT, None)
    assert (exclusions.version("nobody", at_us=START + 9), exclusions.concern("nobody"), bool(exclusions)) == (
        0,
        False,
        True,
    )
    assert not exclusions.of("nobody", "kickoff")
    assert not exclusions.of("acme", "standup")
    assert not history_of([]).exclusions


def test_what_is_left_out_says_whose_it_is_and_by_which_entry():
    [(account, conversation, standing)] = history_of([("acme", "kickoff", ADA, PURPOSE, True)]).exclusions.by(
        ADA, at_us=START
    )
    assert (account, conversation, [*standing]) == ("acme", "kickoff", [PURPOSE])
    one = standing[PURPOSE]
    assert (one.account, one.conversation, one.party, one.purposes) == ("acme", "kickoff", ADA, {PURPOSE})
    assert (one.excluded, one.at_us, one.seq) == (True, START, 2)


def test_what_was_left_out_is_more_than_content_and_where_no_conversation_is_named_it_is_content_alone(tmp_path):
    said = [("acme", "kickoff", ACME, "train", True), ("acme", "", ACME, "train", True)]  # which names none
    permits = Permits(history_of(said), purpose=PURPOSE, at_us=START + 1)
    wanted = {(CHAT, "kickoff"), (USAGE, "kickoff"), (CHAT, None)}
    for category, conversation in product((CHAT, USAGE), CONVERSATIONS):
        record = Record(
            account="acme", people=(ADA,), category=category, collected_us=COLLECTED, conversation=conversation
        )
        reason = Reason.EXCLUDED if (category, conversation) in wanted else None
        assert set(forms(permits, record, tmp_path).values()) == {reason}, record


def test_a_no_is_reported_before_a_conversation_that_was_left_out(tmp_path):
    said = [("acme", "kickoff", ACME, "train", True)]
    permits = Permits(history_of(said, noes=[ADA]), purpose=PURPOSE, at_us=START)
    record = Record(account="acme", people=(ADA,), category=CHAT, collected_us=COLLECTED, conversation="kickoff")
    assert set(forms(permits, record, tmp_path).values()) == {Reason.SAID_NO}


def history_with(*entries):
    """Return a history in which these drafts of exclusions follow one another, one a microsecond."""
    history = history_of([])
    for number, draft in enumerate(entries):
        extend_history(history, Entry(seq=history.size, at_us=START + number, kind=draft.kind, body=draft.body))
    return history


def test_each_takes_back_in_what_they_left_out_themselves():
    def out(party, *purposes, excluded=True, said_by=None):
        return excluding("acme", "kickoff", party, purposes, excluded=excluded, said_by=said_by)

    history = history_with(
        out(ADA, PURPOSE),
        out(ADA, PURPOSE, OTHER, said_by=BO),
        out(ADA, PURPOSE, excluded=False),
        out(BO, PURPOSE, said_by=BO),
        out(ADA, PURPOSE, OTHER, excluded=False, said_by=BO),
    )
    exclusions = history.exclusions

    def standing(at, party=ADA, said_by=None):
        found = exclusions.standing("acme", "kickoff", party, at_us=START + at, said_by=said_by)
        return {use: one.at_us - START for use, one in found.items()}

    assert [standing(at, said_by=ADA) for at in range(-1, 5)] == [{}, {PURPOSE: 0}, {PURPOSE: 0}, {}, {}, {}]
    assert [standing(at, said_by=BO) for at in (0, 1, 3, 4)] == [{}, *[{PURPOSE: 1, OTHER: 1}] * 2, {}]
    assert [standing(at) for at in (2, 4)] == [{PURPOSE: 1, OTHER: 1}, {}]
    assert [standing(4, BO, said_by) for said_by in (None, BO, ADA)] == [{PURPOSE: 3}, {PURPOSE: 3}, {}]
    assert [one.at_us - START for one in exclusions.said_by(ADA)] == [0, 2]
    assert [one.at_us - START for one in exclusions.said_by(BO)] == [3]
    assert [[*exclusions.by(ADA, at_us=START + at)] != [] for at in (0, 1, 2)] == [True, True, False]
    assert [one.said_by for one in exclusions.of("acme", "kickoff")[ADA]] == [ADA, BO, ADA, BO]


def test_since_when_somebody_has_left_a_conversation_out_is_told_as_long_as_it_is_unbroken():
    def out(*purposes, excluded=True, said_by=None):
        return excluding("acme", "kickoff", ADA, purposes, excluded=excluded, said_by=said_by)

    said = [out(PURPOSE), out(OTHER), out(PURPOSE, excluded=False), out(PURPOSE, OTHER, said_by=BO), out(PURPOSE)]
    exclusions = history_with(*said, out(PURPOSE, OTHER)).exclusions

    def since(at, purpose, conversation="kickoff"):
        found = exclusions.since_us("acme", conversation, ADA, purpose=purpose, at_us=START + at)
        return None if found is None else found - START

    assert [since(at, PURPOSE) for at in range(-1, 7)] == [None, 0, 0, None, None, 4, 4, 4]
    assert [since(at, OTHER) for at in range(-1, 7)] == [None, None, 1, 1, 1, 1, 1, 1]
    assert since(6, PURPOSE, "retro") is None


def test_what_a_namesake_left_out_is_left_out_once_and_says_whose_word_it_is():
    history = history_with(
        excluding("acme", "kickoff", ADA, [PURPOSE, OTHER], excluded=True),
        excluding("acme", "kickoff", BO, [PURPOSE], excluded=True, said_by=ADA),
        excluding("other", "retro", CY, [PURPOSE], excluded=True),
        excluding("acme", "kickoff", BO, [OTHER], excluded=True),  # which is Bo's own word
    )
    [*found] = exclusions_of_namesakes(history, BO, [ADA, CY], at_us=START + 3)
    assert [(one.body["conversation"], one.body["purpose"], one.body["namesake"]) for one in found] == [
        ("kickoff", [OTHER], ADA),
        ("retro", [PURPOSE], CY),
    ]
    assert {(one.kind, one.body["party"], one.body["excluded"]) for one in found} == {("exclusion", BO, True)}
    assert [one.body["account"] for one in found] == ["acme", "other"]
    assert [one.body["namesake"] for one in exclusions_of_namesakes(history, BO, [CY, ADA], at_us=START)] == [ADA]
    assert "namesake" not in excluding("acme", "kickoff", ADA, [PURPOSE], excluded=True, said_by=ADA).body
    for number, draft in enumerate(found, start=4):
        extend_history(history, Entry(seq=history.size, at_us=START + number, kind=draft.kind, body=draft.body))
    assert not [*exclusions_of_namesakes(history, BO, [ADA, CY], at_us=START + 9)]


def test_what_was_saved_before_it_said_whose_word_it_is_is_the_partys_own():
    exclusions = history_with(
        excluding("acme", "kickoff", ADA, [PURPOSE], excluded=True),
        excluding("acme", "kickoff", ADA, [OTHER], excluded=False, said_by=BO),
    ).exclusions
    saved = exclusions.to_json()
    again = type(exclusions).from_json(saved)
    assert again.to_json() == saved
    assert again.of("acme", "kickoff") == exclusions.of("acme", "kickoff")
    older = type(exclusions).from_json([one[:7] for one in saved])
    assert [one.said_by for one in older.of("acme", "kickoff")[ADA]] == [ADA, ADA]
