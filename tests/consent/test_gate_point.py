"""Point decisions: the gate with its answers kept in memory, and many records judged at once, against one at a time."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gate import ASKED, CATEGORY, ENDS, PEOPLE, PURPOSE, SPOKEN, answers, entries

from volition.consent.gate import (
    REASON_CODES,
    Gate,
    PartySets,
    Record,
    concerned,
    decide,
    effective_permit_of,
    explain,
    fold,
    judge,
    with_roles,
)
from volition.consent.history import History, extend_history, read_history
from volition.consent.permits import UNKNOWN_PERSON, PartyRole, Permits, Reason
from volition.consent.terms.model import CATEGORIES
from volition.errors import InvalidInputError

NEVER = {"data": ["content"], "purpose": ["train"], "basis": "never"}
ACCOUNTS = ["acme", "other", "nobody"]
NAMES = sorted({person for people in PEOPLE for person in people})
RECORDS = [(account, people) for account in ACCOUNTS for people in [*PEOPLE, ()]]


def party_sets_of(pairs):
    members = [[NAMES.index(person) for person in people] for _, people in pairs]
    return PartySets(
        accounts=ACCOUNTS,
        people=NAMES,
        account=np.array([ACCOUNTS.index(account) for account, _ in pairs], np.int32),
        offsets=np.cumsum([0, *map(len, members)], dtype=np.int64),
        members=np.array([number for numbers in members for number in numbers], np.int32),
    )


@pytest.mark.slow
@given(st.lists(answers, max_size=12), st.integers(0, ASKED), st.sampled_from([CATEGORY, SPOKEN]))
def test_a_gate_that_learns_gives_the_answers_of_one_that_asks_anew(answers, collected, category):
    history = History()
    told = entries(answers)
    gate = Gate(Permits(history, purpose=PURPOSE, at_us=0))
    for at in range(1, ASKED + 1):
        heard = [entry for entry in told if entry.at_us == at]
        for entry in heard:
            extend_history(history, entry)
        gate.learn(heard, at_us=at)
        for account, people in RECORDS if collected <= at else []:
            record = Record(account=account, people=people, category=category, collected_us=collected)
            verdict = gate.decide(record)
            assert verdict == decide(Permits(history, purpose=PURPOSE, at_us=at), record)
            assert gate.decide(record) is verdict  # asked again, it need not be made again
            lines = explain(history, record, purpose=PURPOSE, at_us=at)
            assert verdict.permitted == (bool(people) and not any(line.reason for line in lines))


def test_an_answer_holds_later_until_its_retention_runs_out():
    told = [(2, party, "yes") for party in ("account:acme", "person:ada")]
    gate = Gate(Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED))
    asked = [gate.may("acme", ("person:ada",), CATEGORY, 15, at_us=at) for at in (ASKED, 24, 25, 40)]
    assert [verdict.reason for verdict in asked] == [None, None, Reason.TOO_OLD, Reason.TOO_OLD]


def test_terms_that_were_announced_count_from_their_instant_on():
    first, *rest = entries([])
    body = first.body | {
        "terms": first.body["terms"] | {"id": "w", "rule": [NEVER]},
        "binds": "1970-01-01T00:00:00.000030Z",
    }
    later = type(first)(seq=9, at_us=5, kind="terms", body=body)
    yes = entries([(6, "account:acme", "yes"), (6, "person:ada", "yes")])[len(rest) + 1 :]
    gate = Gate(Permits(read_history([first, *rest, later, *yes]), purpose=PURPOSE, at_us=ASKED))
    asked = [gate.may("acme", ("person:ada",), CATEGORY, 21, at_us=at).reason for at in (29, 30)]
    assert asked == [None, Reason.NEVER]


def test_terms_that_are_announced_to_an_open_gate_count_from_their_instant_on():
    told = entries([(2, party, "yes") for party in ("account:acme", "person:ada")])
    history = read_history(told)
    gate = Gate(Permits(history, purpose=PURPOSE, at_us=ASKED))
    terms = told[0].body["terms"] | {"id": "w", "rule": [NEVER]}
    announced = type(told[0])(
        seq=9, at_us=21, kind="terms", body={"terms": terms, "binds": "1970-01-01T00:00:00.000023Z"}
    )
    extend_history(history, announced)
    gate.learn([announced], at_us=21)
    asked = [gate.may("acme", ("person:ada",), CATEGORY, 20, at_us=at).reason for at in (21, 22, 23)]
    assert asked == [None, None, Reason.NEVER]


def test_a_yes_ends_though_nothing_is_appended():
    told = [(2, "account:acme", "yes"), (3, "person:ada", "yes for now"), (3, "person:bob", "yes")]
    gate = Gate(Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ENDS - 2))
    for person, then in (("person:ada", Reason.EXPIRED), ("person:bob", None)):
        for at, reason in ((ENDS - 1, None), (ENDS, then)):
            verdict = gate.may("acme", (person,), CATEGORY, ENDS - 2, at_us=at)
            assert verdict.reason == reason
        gate = Gate(Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ENDS - 2))


def test_the_evidence_names_the_entries_that_decide():
    told = [(2, "account:acme", "yes"), (3, "person:ada", "yes"), (4, "person:bob", "yes"), (9, "person:bob", "no")]
    kinds = [(entry.kind, entry.body.get("party"), entry.body.get("answer")) for entry in entries(told)]

    def evidence(*people):
        record = Record(account="acme", people=people, category=CATEGORY, collected_us=15)
        verdict = decide(Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED), record)
        return [kinds[seq] for seq in verdict.evidence]

    terms = ("terms", None, None)
    assert evidence("person:ada") == [terms, ("decision", "account:acme", "yes"), ("decision", "person:ada", "yes")]
    assert evidence("person:ada", "person:bob") == [terms, ("decision", "person:bob", "no")]
    assert evidence("person:cy") == [terms]


@given(
    st.lists(answers, max_size=12),
    st.lists(st.sampled_from(RECORDS), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(-1, 14), st.integers(0, ASKED)), max_size=40),
    st.sampled_from([CATEGORY, SPOKEN]),
)
def test_many_records_are_judged_as_one_at_a_time(answers, pairs, rows, category):
    permits = Permits(read_history(entries(answers)), purpose=PURPOSE, at_us=ASKED)
    effective_permits = fold(permits, party_sets_of(pairs), category)
    for number, (account, people) in enumerate(pairs):
        effective_permit = effective_permit_of(permits, account, people, category)
        assert effective_permits.since_us[number] == effective_permit.since_us
        assert effective_permits.reason[number] == (
            REASON_CODES[effective_permit.reason] if effective_permit.reason else 0
        )

    codes = judge(effective_permits, np.array([c for c, _ in rows], np.int32), np.array([t for _, t in rows], np.int64))

    for code, (party_set, collected) in zip(codes.tolist(), rows, strict=True):
        if not 0 <= party_set < len(pairs):
            assert code == REASON_CODES[Reason.UNKNOWN_PARTY]
            continue
        account, people = pairs[party_set]
        record = Record(account=account, people=people, category=category, collected_us=collected)
        reason = decide(permits, record).reason
        assert code == (REASON_CODES[reason] if reason else 0)


def test_many_records_are_judged_by_the_hundred_thousand():
    told = [(2, party, "yes") for party in ("account:acme", "person:ada")]
    permits = Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED)
    effective_permits = fold(permits, party_sets_of([("acme", ("person:ada",)), ("acme", ("person:bob",))]), CATEGORY)
    rng = np.random.default_rng(5)
    party_set, when = rng.integers(0, 2, 200_000, np.int32), rng.integers(0, ASKED + 1, 200_000)
    expected = np.select(
        [party_set == 1, when < 2, when < ASKED - 9],
        [REASON_CODES[Reason.NOT_ASKED], REASON_CODES[Reason.BEFORE_YES], REASON_CODES[Reason.TOO_OLD]],
        0,
    )
    assert np.array_equal(judge(effective_permits, party_set, when), expected)


def test_records_from_after_the_instant_asked_about_are_a_mistake():
    effective_permits = fold(
        Permits(read_history(entries([])), purpose=PURPOSE, at_us=ASKED), party_sets_of(RECORDS[:1]), CATEGORY
    )
    with pytest.raises(InvalidInputError, match="later"):
        judge(effective_permits, np.zeros(1, np.int32), np.array([ASKED + 1]))


def test_a_row_of_an_unknown_party_set_changes_no_other_and_a_yes_counts_from_its_own_instant():
    told = [(15, party, "yes") for party in ("account:acme", "person:ada")]
    permits = Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED)
    effective_permits = fold(permits, party_sets_of([("acme", ("person:ada",))]), CATEGORY)
    unknown, early = REASON_CODES[Reason.UNKNOWN_PARTY], REASON_CODES[Reason.BEFORE_YES]
    rows = [(0, 15), (-1, 15), (0, 16), (1, 15), (0, 14), (0, 15)]
    codes = judge(effective_permits, np.array([one for one, _ in rows]), np.array([when for _, when in rows]))
    assert codes.tolist() == [0, unknown, 0, unknown, early, 0]
    assert judge(effective_permits, np.array([], np.int32), np.array([], np.int64)).tolist() == []
    gate = Gate(permits)
    assert [gate.may("acme", ("person:ada",), CATEGORY, at).reason for at in (14, 15)] == [Reason.BEFORE_YES, None]


def test_a_gate_answers_about_each_category_by_itself():
    history = read_history(entries([(2, party, "yes") for party in ("account:acme", "person:ada")]))
    permits = Permits(history, purpose=PURPOSE, at_us=ASKED)
    gate = Gate(permits)
    for _ in range(2):  # from memory, too
        for people in (("person:ada",), ("person:bob",)):
            for category in CATEGORIES:
                record = Record(account="acme", people=people, category=category, collected_us=15)
                assert gate.decide(record) == decide(permits, record), category


REGIONAL = [
    {"data": ["content"], "purpose": ["train"], "basis": "contract", "refusable_by": ["everyone"]},
    {"data": ["content"], "purpose": ["train"], "basis": "consent", "asks": ["account", "person"], "region": ["EEA"]},
]


@pytest.mark.parametrize("asked", [4, ASKED])  # before some of it happened, and after it
def test_what_the_region_of_one_asks_for_is_asked_in_their_records_and_in_no_others(asked):
    first, of_acme, of_other = entries([])
    rules = {"v": REGIONAL, "plain": REGIONAL[:1]}  # in the terms of one account no rule speaks of a region
    bodies = [first.body | {"terms": first.body["terms"] | {"id": name, "rule": rule}} for name, rule in rules.items()]
    told = [type(first)(seq=0, at_us=1, kind="terms", body=body) for body in bodies]
    told += [of_acme, type(first)(seq=0, at_us=1, kind="acceptance", body=of_other.body | {"terms": "plain"})]
    moves = [("account:other", "FR"), ("person:zoe", "DE"), ("person:yan", "US"), ("person:vic", "FR")]
    for at, (party, region) in enumerate(moves, start=2):
        told.append(type(first)(seq=at, at_us=at, kind="region", body={"party": party, "region": region}))
    told += entries([(9, "person:zoe", "yes"), (9, "account:other", "yes"), (9, "person:ada", "no")])[3:]
    permits = Permits(read_history(told), purpose=PURPOSE, at_us=asked)
    names = [UNKNOWN_PERSON, *(f"person:{name}" for name in ("ada", "bob", "vic", "zoe", "yan"))]
    pairs = [(account, people) for account in ACCOUNTS for size in range(4) for people in permutations(names, size)]
    sets = PartySets(
        accounts=ACCOUNTS,
        people=names,
        account=np.array([ACCOUNTS.index(account) for account, _ in pairs], np.int32),
        offsets=np.cumsum([0, *(len(people) for _, people in pairs)], dtype=np.int64),
        members=np.array([names.index(person) for _, people in pairs for person in people], np.int32),
    )
    found = fold(permits, sets, CATEGORY)
    expected = [effective_permit_of(permits, account, people, CATEGORY) for account, people in pairs]
    assert found.since_us.tolist() == [one.since_us for one in expected]
    assert found.reason.tolist() == [REASON_CODES[one.reason] if one.reason else 0 for one in expected]
    assert {None, Reason.NOT_ASKED, Reason.UNKNOWN_PARTY} <= {one.reason for one in expected}
    for number in range(0, len(pairs), 7):  # and by the definition
        account, people = pairs[number]
        record = Record(account=account, people=people, category=CATEGORY, collected_us=asked)
        lines = explain(permits.history, record, purpose=PURPOSE, at_us=asked)
        assert (found.reason[number] == 0) == (bool(people) and not any(line.reason for line in lines))


def test_whoever_may_be_the_speaker_is_asked_for_their_own_no_and_nothing_else():
    """Ada is registered, and Bob was heard under a name that may be hers; the rule asks whoever speaks."""

    def refused(*told, people=("person:ada", "person:bob")):
        history = read_history(entries([(2, "account:acme", "yes"), (2, "person:ada", "past"), *told]))
        record = Record(account="acme", people=people, category=SPOKEN, collected_us=15)
        verdict = decide(Permits(history, purpose=PURPOSE, at_us=ASKED), record)
        return None if verdict.permitted else (verdict.party, verdict.reason)

    paired = (3, "person:bob", "copied no")  # Ada refused once, so the ledger knows that the two may be one
    said_no = ("person:bob", Reason.SAID_NO)
    assert refused(paired) is None, "Ada's no was Ada's, and she has taken it back"
    assert refused((4, "person:bob", "no")) is None, "nobody knows that Bob may be Ada"
    assert refused(paired, (4, "person:bob", "no")) == said_no
    assert refused(paired, (4, "person:bob", "no"), (9, "person:ada", "yes")) == said_no
    assert refused(paired, (4, "person:bob", "no"), (9, "person:bob", "yes")) is None
    assert refused(paired, (4, "person:bob", "no"), people=("person:ada",)) is None, "what is surely hers"
    assert refused((3, "person:ada", "copied no"), (4, "person:bob", "no"), (9, "person:ada", "yes")) == said_no
    late = [(ASKED + 1, "person:bob", "copied no"), (4, "person:bob", "no")]
    assert refused(*late) is None, "what the ledger says later changes no earlier answer"


def test_evidence_and_explanation_of_whoever_may_be_the_speaker_name_their_own_no():
    told = [(2, "account:acme", "yes"), (2, "person:ada", "yes"), (3, "person:bob", "copied no")]
    ledger = entries([*told, (4, "person:bob", "no")])
    history = read_history(ledger)
    record = Record(account="acme", people=("person:ada", "person:bob"), category=SPOKEN, collected_us=15)
    verdict = decide(Permits(history, purpose=PURPOSE, at_us=ASKED), record)
    assert [ledger[seq].at_us for seq in verdict.evidence] == [1, 4]
    lines = explain(history, record, purpose=PURPOSE, at_us=ASKED)
    assert [(line.role, line.reason) for line in lines if line.party == "person:bob"] == [
        (PartyRole.OTHER, None),
        (PartyRole.ALTERNATE, Reason.SAID_NO),
    ]


def test_a_table_and_a_gate_that_is_held_ask_whoever_may_be_the_speaker_too():
    told = [(2, "account:acme", "yes"), (2, "person:ada", "past"), (3, "person:bob", "copied no")]
    names = ["person:cy", "person:ada", "person:bob"]
    pairs = [people for size in (1, 2, 3) for people in permutations(names, size)]
    sets = PartySets(
        accounts=["acme"],
        people=names,
        account=np.zeros(len(pairs), np.int32),
        offsets=np.cumsum([0, *map(len, pairs)], dtype=np.int64),
        members=np.array([names.index(person) for people in pairs for person in people], np.int32),
    )
    noes = [[(4, f"person:{name}", "no")] for name in ("ada", "bob", "cy")]
    for more in ([], *noes, [*noes[1], (9, "person:bob", "yes")]):
        permits = Permits(read_history(entries([*told, *more])), purpose=PURPOSE, at_us=ASKED)
        expected = [effective_permit_of(permits, "acme", people, SPOKEN).reason for people in pairs]
        assert fold(permits, sets, SPOKEN).reason.tolist() == [REASON_CODES[one] if one else 0 for one in expected]
        gate = Gate(permits)
        for people in pairs:
            record = Record(account="acme", people=people, category=SPOKEN, collected_us=15)
            held, anew = gate.decide(record), decide(permits, record)
            assert (held.permitted, held.reason, held.evidence) == (anew.permitted, anew.reason, anew.evidence)


def test_the_evidence_of_whoever_is_asked_twice_is_all_that_either_part_rests_on():
    """As the one who may speak Bob is asked for his own word, and as anyone else for what counts for him since then."""
    told = [
        (2, "account:acme", "yes"),
        (2, "person:ada", "past"),
        (4, "person:bob", "yes"),
        (5, "person:bob", "copied no"),
    ]
    ledger = entries(told)
    record = Record(account="acme", people=("person:ada", "person:bob"), category=SPOKEN, collected_us=15)
    verdict = decide(Permits(read_history(ledger), purpose=PURPOSE, at_us=ASKED), record)
    assert verdict.permitted
    assert [ledger[seq].at_us for seq in verdict.evidence] == [1, 2, 2, 4, 5]
    ledger = entries([*told, (6, "person:bob", "no"), (7, "person:bob", "copied no")])
    refusal = decide(Permits(read_history(ledger), purpose=PURPOSE, at_us=ASKED), record)
    assert (refusal.party, refusal.reason) == ("person:bob", Reason.WITHDRAWN)
    assert [ledger[seq].at_us for seq in refusal.evidence] == [1, 6, 7]


def test_party_sets_are_found_by_their_accounts_and_have_one_each():
    pairs = [("acme", NAMES[:1]), ("other", NAMES[:1]), ("acme", NAMES[:2]), ("nobody", [])]
    sets = party_sets_of(pairs)
    assert sets.of_accounts({"acme"}) == [0, 2]
    assert sets.of_accounts(["other", "nobody", "unheard of"]) == [1, 3]
    assert sets.of_accounts(()) == []


def test_whoever_may_be_the_speaker_is_asked_in_two_roles_right_after_one_another_and_nobody_else_is():
    first, other, alternate = PartyRole.FIRST, PartyRole.OTHER, PartyRole.ALTERNATE
    assert [*with_roles("acme", ["a", "b", "c"], alternates={"c", "a"})] == [
        (PartyRole.ACCOUNT, "account:acme"),
        (first, "a"),
        (other, "b"),
        (other, "c"),
        (alternate, "c"),
    ]
    history = read_history(entries([(3, "person:bob", "copied no")]))
    for at_us, roles in ((2, [first, other]), (3, [first, other, alternate])):
        found = [*concerned(history, "acme", ["person:ada", "person:bob"], at_us=at_us)]
        assert [role for role, _ in found[1:]] == roles
    assert [*concerned(history, "acme", [], at_us=3)] == [(PartyRole.ACCOUNT, "account:acme")]


def test_a_limit_is_evidence_where_the_region_of_somebody_beside_gives_the_account_a_say():
    first, accepted, *_ = entries([])
    told = [
        type(first)(seq=0, at_us=1, kind="terms", body=first.body | {"terms": first.body["terms"] | {"rule": REGIONAL}})
    ]
    told += [accepted, type(first)(seq=2, at_us=2, kind="region", body={"party": "person:zoe", "region": "DE"})]
    told += [type(first)(seq=3, at_us=9, kind="limit", body=entries([(9, "person:ada", "limit")])[-1].body)]
    gate = Gate(Permits(read_history(told), purpose=PURPOSE, at_us=ASKED))
    alone = gate.may("acme", ("person:ada",), CATEGORY, 15)
    beside = gate.may("acme", ("person:ada", "person:zoe"), CATEGORY, 15)
    assert (alone.permitted, alone.evidence) == (True, (0,))
    assert (beside.reason, beside.party, beside.evidence) == (Reason.NOT_ASKED, "account:acme", (0,))
    told += [type(first)(seq=4, at_us=10, kind="decision", body=entries([(10, "account:acme", "past")])[-1].body)]
    limited = Gate(Permits(read_history(told), purpose=PURPOSE, at_us=ASKED)).may(
        "acme", ("person:ada", "person:zoe"), CATEGORY, 15
    )
    assert (limited.reason, limited.party) == (Reason.LIMITED, "person:ada")
    assert 3 in limited.evidence


def test_an_open_gate_hears_of_an_accounts_no_and_of_its_next_yes():
    told = entries(
        [(2, "account:acme", "yes"), (2, "person:ada", "yes"), (5, "account:acme", "no"), (9, "account:acme", "past")]
    )
    history = read_history(told[:-2])
    gate = Gate(Permits(history, purpose=PURPOSE, at_us=4))
    record = Record(account="acme", people=("person:ada",), category=CATEGORY, collected_us=3)
    assert gate.decide(record).permitted
    for entry, reason in zip(told[-2:], (Reason.WITHDRAWN, None), strict=True):
        extend_history(history, entry)
        gate.learn([entry], at_us=entry.at_us)
        verdict = gate.decide(record)
        assert verdict.reason is reason
        assert gate.decide(record) is verdict


def test_a_refusal_of_what_came_too_early_or_is_too_old_says_since_when_and_any_other_does_not():
    told = [(5, "account:acme", "yes"), (6, "person:ada", "yes"), (7, "person:bob", "no")]
    gate = Gate(Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED))
    found = [
        gate.may("acme", (person,), CATEGORY, at)
        for person, at in (("person:ada", 4), ("person:ada", 10), ("person:bob", 15))
    ]
    assert [one.reason for one in found] == [Reason.BEFORE_YES, Reason.TOO_OLD, Reason.SAID_NO]
    assert [one.since_us for one in found] == [6, 6, None]


def test_nobody_in_particular_is_asked_for_what_the_region_of_somebody_beside_asks():
    first, accepted, *_ = entries([])
    silent = {"data": ["content"], "purpose": ["train"], "basis": "contract", "refusable_by": ["account"]}
    body = first.body | {"terms": first.body["terms"] | {"rule": [silent, REGIONAL[1]]}}
    told = [type(first)(seq=0, at_us=1, kind="terms", body=body), accepted]
    told += [type(first)(seq=2, at_us=2, kind="region", body={"party": "person:zoe", "region": "DE"})]
    for at, party in ((3, "account:acme"), (3, "person:zoe")):
        told.append(type(first)(seq=at, at_us=at, kind="decision", body=entries([(at, party, "past")])[-1].body))
    permits = Permits(read_history(told), purpose=PURPOSE, at_us=ASKED)
    names = [UNKNOWN_PERSON, "person:zoe"]
    sets = PartySets(
        accounts=["acme"],
        people=names,
        account=np.zeros(2, np.int32),
        offsets=np.array([0, 1, 3], np.int64),
        members=np.array([0, 0, 1], np.int32),
    )
    wanted = [None, Reason.UNKNOWN_PARTY]
    assert [effective_permit_of(permits, "acme", people, CATEGORY).reason for people in (names[:1], names)] == wanted
    assert fold(permits, sets, CATEGORY).reason.tolist() == [0, REASON_CODES[Reason.UNKNOWN_PARTY]]
