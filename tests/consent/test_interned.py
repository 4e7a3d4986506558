"""Tables of others, judged by numbers: the answers of one batch at a time, whatever was learned before and in between."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_batch import NAMES, OfTheLedger, asked, questions
from test_gate import ASKED, CATEGORY, PURPOSE, SPOKEN, TERMS, answers, entries

from volition.canonical import us_to_text
from volition.consent.gate.asked import Asked
from volition.consent.gate.batch import judge_batch
from volition.consent.gate.interned import InternedGate
from volition.consent.history import extend_history, read_history
from volition.consent.permits import REASON_CODES, Permits
from volition.consent.terms.model import Basis, Rule
from volition.ledger.entry import Entry

NAMES.generation = 0  # nobody comes or goes
NAMES.expect = list  # nor is anybody read beforehand
REASONS = [None, *map(str, REASON_CODES)]
SOMEBODY = ("person:ada", "person:bob")
rare = st.lists(
    st.tuples(
        st.integers(2, ASKED),
        st.sampled_from(["region", "exclusion"]),
        st.sampled_from(SOMEBODY),
        st.booleans(),
    ),
    max_size=2,
)


def drafted(answers, rare):
    """Return the ledger of some answers, with a region or an exclusion here and there."""
    drafts = [(entry.at_us, entry.kind, entry.body) for entry in entries(answers)]
    for at, kind, party, flag in rare:
        body = {"party": party, "region": "DE" if flag else "US"}
        if kind == "exclusion":
            body = {
                "account": "acme",
                "conversation": "acme/kickoff",
                "party": party if flag else "account:acme",
                "purpose": ["train"],
                "excluded": True,
            }
        drafts.append((at, kind, body))
    drafts.sort(key=lambda draft: draft[0])
    return [Entry(seq=seq, at_us=at, kind=kind, body=body) for seq, (at, kind, body) in enumerate(drafts)]


def judged_at_once(entries, batch, at_us=ASKED):
    permits = Permits(read_history(entries), purpose=PURPOSE, at_us=at_us)
    return judge_batch(permits, NAMES, batch)["reason"].to_pylist()


@pytest.mark.slow
@given(
    st.lists(answers, max_size=8),
    rare,
    questions,
    questions,
    st.tuples(st.integers(2, ASKED), st.sampled_from([None, "", "kickoff"])),
)
def test_numbers_say_what_one_batch_at_a_time_says(answers, rare, rows, more, until_and_conversation):
    until, conversation = until_and_conversation
    ledger = drafted(answers, rare)
    early = [entry for entry in ledger if entry.at_us <= until]
    history = read_history(early)
    gate = InternedGate(Permits(history, purpose=PURPOSE, at_us=until), NAMES)
    first, second = (
        asked(some).append_column("conversation", pa.array([conversation] * len(some), pa.string()))
        for some in (rows, [*more, *rows])
    )
    told = [REASONS[code] for code in gate.judge(Asked.of(first))]
    assert told == judged_at_once(early, first, until)
    late = ledger[len(early) :]
    for entry in late:
        extend_history(history, entry)
    gate.learn(late, at_us=ASKED)
    for batch in (first, second, first):
        found = Asked.of(batch)
        told = [REASONS[code] for code in gate.judge(found)]
        assert told == judged_at_once(ledger, batch)
        if not len(found):
            continue
        folded = gate.fold(found)
        assert [REASONS[code] for code in folded.codes(found.collected_us, ASKED)] == told
        assert np.all(folded.reason[folded.is_unnamed] > 0)


# --- many people, of whom few do anything ---

CROWD = [f"person:{number}" for number in range(40)]
YES = {"answer": "yes", "covers": "past", "data": ["content"], "purpose": ["train"]}
NO = {**YES, "answer": "no", "covers": None}
ABROAD = Rule(data=(SPOKEN,), purpose=("train",), basis=Basis.CONSENT, asks=("everyone",), region=("EEA",))
EXCLUSION = {"account": "acme", "conversation": "acme/kickoff", "purpose": ["train"], "excluded": True}


class OfTheCrowd(OfTheLedger):
    generation = 0
    expect = list

    @staticmethod
    def person(name):
        return name


def said(*later):
    """Return a ledger in which the crowd and its account say yes at 2, and then what is given as (at, kind, body)."""
    regional = replace(TERMS, rules=(*TERMS.rules, ABROAD))
    drafts = [(1, "terms", {"terms": regional.to_json(), "binds": us_to_text(1)})]
    drafts += [(1, "acceptance", {"account": account, "terms": "v"}) for account in ("acme", "other")]
    drafts += [(2, "decision", {**YES, "party": party}) for party in ("account:acme", "account:other", *CROWD)]
    drafts += later
    return [Entry(seq=seq, at_us=at, kind=kind, body=body) for seq, (at, kind, body) in enumerate(drafts)]


def crowd_rows():
    """Return rows of each person alone, and of each with the next, in two accounts and three conversations."""
    people = [[one] for one in CROWD] + [[one, CROWD[(place + 1) % 40]] for place, one in enumerate(CROWD)]
    rows = [
        (account, some, category, at)
        for account in ("acme", "other")
        for category in (CATEGORY, SPOKEN)
        for at in (5, 12)
        for some in people
    ]
    names = pa.array(["", "kickoff", None, "weekly"] * (len(rows) // 4), pa.string())
    return asked(rows).append_column("conversation", names)


@pytest.mark.parametrize(
    "later",
    [
        [],
        [(13, "decision", {**NO, "party": CROWD[7]})],
        [(13, "decision", {**NO, "party": CROWD[7], "namesake": CROWD[9]})],
        [
            (13, "decision", {**NO, "party": CROWD[8]}),
            (13, "decision", {**NO, "party": CROWD[7], "namesake": CROWD[8]}),
            (14, "decision", {**YES, "party": CROWD[7]}),
        ],
        [(13, "decision", {**NO, "party": "account:other"})],
        [(13, "erasure", {"party": CROWD[3]})],
        [(13, "region", {"party": CROWD[3], "region": "DE"}), (14, "decision", {**NO, "party": CROWD[4]})],
        [(13, "exclusion", {**EXCLUSION, "party": "account:acme"})],
        [(13, "exclusion", {**EXCLUSION, "party": CROWD[5]})],
        [(13, "limit", {"account": "acme", "group": "g", "people": CROWD[:2], "limited": True,
                        "data": ["content"], "purpose": ["train"]})],
    ],
    ids=["nothing", "no", "copied no", "namesakes", "account's no", "erasure", "region", "exclusion", "own exclusion", "limit"],
)  # fmt: skip
def test_what_is_heard_later_changes_the_answers_of_those_whom_it_concerns(later):
    rows = crowd_rows()
    ledger = said(*later)
    size = len(ledger) - len(later)
    history = read_history(ledger[:size])
    names = OfTheCrowd()
    gate = InternedGate(Permits(history, purpose=PURPOSE, at_us=12), names)
    before = gate.judge(Asked.of(rows))
    assert not before.any(), "everyone said yes"
    for entry in ledger[size:]:
        extend_history(history, entry)
    gate.learn(ledger[size:], at_us=ASKED)
    permits = Permits(read_history(ledger), purpose=PURPOSE, at_us=ASKED)
    told = judge_batch(permits, names, rows)["reason"].to_pylist()
    assert [REASONS[code] for code in gate.judge(Asked.of(rows))] == told
    assert told.count("too-old") > 0, "what was collected at 5 may be 9 old"
    assert told.count(None) > 0
    assert bool({*told} - {None, "too-old"}) == bool(later)
