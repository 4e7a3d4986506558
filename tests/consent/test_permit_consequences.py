"""What follows from the definition of a permit: each test is a sentence of the design, asked of every form of the permits."""

from dataclasses import replace

import numpy as np
import pytest
from test_permits import (
    ACCOUNT,
    ASKED,
    CATEGORY,
    CONSENT,
    CONSENTED,
    MOVES_TO_DE,
    MOVES_TO_US,
    OTHER,
    PERSON,
    PURPOSE,
    ROLES,
    SIGNAL,
    START,
    TIES,
    accept,
    answer,
    check_together,
    copied,
    entries_of,
    history_of,
    limit,
    publish,
    rename,
    row,
    rule,
    terms,
    use_of,
)

from volition.canonical import us_to_text
from volition.consent.gate import Record, decide, uses
from volition.consent.history import BEGINNING_US, History, extend_history, read_history
from volition.consent.permits import (
    UNKNOWN_PERSON,
    Panel,
    PartyRole,
    Permit,
    Permits,
    Reason,
    Refusal,
    Use,
    allowed,
    changes,
    evidence,
    permit,
    yes_end_us,
)
from volition.consent.terms.model import Basis, Rule, Terms
from volition.consent.terms.terms_file import load_profile
from volition.errors import InvalidInputError


def permit_of(events, role=PartyRole.FIRST, at=ASKED, *, party=None, category=CATEGORY, purpose=PURPOSE):
    use = Use(account="acme", party=party or ROLES[role], role=role, category=category, purpose=purpose)
    history = history_of(events)
    found = permit(history, use, at)
    assert Permits(history, purpose=purpose, at_us=at).of("acme", use.party, role, category) == found
    return found


def test_silence_is_never_a_yes():
    assert permit_of(CONSENTED) == Refusal(reason=Reason.NOT_ASKED)


def test_data_from_before_the_yes_is_not_covered():
    assert permit_of([*CONSENTED, (12, answer(PERSON, "yes"))]) == Permit(since_us=12)


def test_a_yes_covers_the_past_when_it_says_so():
    assert permit_of([*CONSENTED, (12, answer(PERSON, "yes", "past"))]) == Permit(since_us=BEGINNING_US)
    assert permit_of([*CONSENTED, (12, answer(PERSON, "yes", 7))]) == Permit(since_us=7)


def test_agreeing_again_does_not_bring_back_the_data_from_before_the_withdrawal():
    again = [(11, answer(PERSON, "yes")), (12, answer(PERSON, "no")), (13, answer(PERSON, "yes"))]
    assert permit_of(CONSENTED + again) == Permit(since_us=13)


def test_at_one_instant_a_no_beats_a_yes_in_either_order():
    yes, no = (12, answer(PERSON, "yes")), (12, answer(PERSON, "no"))
    assert permit_of([*CONSENTED, yes, no]) == permit_of([*CONSENTED, no, yes]) == Refusal(reason=Reason.SAID_NO)


def test_a_no_after_a_yes_is_a_withdrawal():
    told = [(11, answer(PERSON, "yes")), (12, answer(PERSON, "no"))]
    assert permit_of(CONSENTED + told) == Refusal(reason=Reason.WITHDRAWN)


def test_stretches_break_when_new_terms_ask_for_more():
    changed = [
        (START, publish("old", "contract", binds=START)),
        (START, publish("new", "consent", binds=START + 2)),
        (START, accept("old")),
    ]
    assert permit_of(changed, at=START + 1) == Permit(since_us=BEGINNING_US)
    assert permit_of(changed) == Refusal(reason=Reason.NOT_ASKED)
    assert permit_of([*changed, (14, answer(PERSON, "yes"))]) == Permit(since_us=14)


def test_a_yes_ends_on_its_date_which_is_not_included():
    told = [*CONSENTED, (11, answer(PERSON, "yes", until=13))]
    assert permit_of(told, at=12) == Permit(since_us=11)
    assert permit_of(told, at=13) == Refusal(reason=Reason.EXPIRED)


def test_a_yes_said_anew_in_time_goes_on_and_one_said_late_begins_anew():
    told = [*CONSENTED, (11, answer(PERSON, "yes", until=13))]
    assert permit_of([*told, (12, answer(PERSON, "yes"))]) == Permit(since_us=11)
    assert permit_of([*told, (13, answer(PERSON, "yes"))]) == Permit(since_us=11)
    assert permit_of([*told, (14, answer(PERSON, "yes"))]) == Permit(since_us=14)
    assert permit_of([*told, (14, answer(PERSON, "yes", 12))]) == Permit(since_us=12)


def test_the_newest_yes_says_when_it_ends():
    told = [*CONSENTED, (11, answer(PERSON, "yes")), (12, answer(PERSON, "yes", until=14))]
    assert permit_of(told) == Refusal(reason=Reason.EXPIRED)
    longer = [*CONSENTED, (11, answer(PERSON, "yes", until=13)), (12, answer(PERSON, "yes", until=20))]
    assert permit_of(longer) == Permit(since_us=11)


def test_a_no_is_no_yes_that_ended():
    told = [*CONSENTED, (11, answer(PERSON, "yes", until=14)), (12, answer(PERSON, "no"))]
    assert permit_of(told) == Refusal(reason=Reason.WITHDRAWN)
    after = [*CONSENTED, (11, answer(PERSON, "yes", until=12)), (13, answer(PERSON, "no"))]
    assert permit_of(after) == Refusal(reason=Reason.WITHDRAWN)


def test_a_yes_with_an_end_ends_where_silence_would_do_too():
    told = [(START, publish("v", "contract", binds=START)), (START, accept("v"))]
    assert permit_of([*told, (11, answer(PERSON, "yes", until=14))]) == Refusal(reason=Reason.EXPIRED)


def test_a_rule_that_asks_says_how_long_a_yes_lasts():
    told = [(START, publish("v", "lasting", binds=START)), (START, accept("v")), (11, answer(PERSON, "yes"))]
    assert permit_of(told, at=12) == Permit(since_us=11)
    assert permit_of(told, at=13) == Refusal(reason=Reason.EXPIRED)
    assert permit_of(told, PartyRole.OTHER) == Permit(since_us=BEGINNING_US)  # who is not asked need not say it anew


def test_two_yeses_of_one_instant_end_when_the_first_of_them_does():
    told = [*CONSENTED, (11, answer(PERSON, "yes", until=13)), (11, answer(PERSON, "yes"))]
    assert permit_of(told) == Refusal(reason=Reason.EXPIRED)


def test_when_a_yes_will_end_is_known_before_and_when_it_ended_afterwards():
    def end_of(events, at):
        history = history_of([*CONSENTED, *events])
        return yes_end_us(history, use_of(history, PartyRole.FIRST), at)

    told = [(11, answer(PERSON, "yes", until=14))]
    assert [end_of(told, at) for at in (10, 11, 13, 14)] == [None, 14, 14, 14]
    assert end_of([*told, (12, answer(PERSON, "yes"))], 13) is None
    lasting = [(11, publish("w", "lasting", binds=11)), *told]
    assert end_of([*lasting, (11, accept("w"))], 12) == 13


def test_no_terms_means_no():
    assert permit_of([(11, answer(ACCOUNT, "yes"))], PartyRole.ACCOUNT) == Refusal(reason=Reason.NO_TERMS)
    assert permit_of([(START, publish("v", "contract", binds=START))], PartyRole.ACCOUNT) == Refusal(
        reason=Reason.NO_TERMS
    )


def test_a_use_without_a_rule_is_never_allowed():
    assert permit_of(CONSENTED, category="service/usage") == Refusal(reason=Reason.NEVER)


def test_explicit_terms_change_nothing_until_accepted():
    changed = [
        (START, publish("old", "never", binds=START)),
        (START, accept("old")),
        (11, publish("new", "contract", binds=11, acceptance="explicit")),
    ]
    assert permit_of(changed) == Refusal(reason=Reason.NEVER)
    assert permit_of([*changed, (13, accept("new"))]) == Permit(since_us=13)


def test_a_rule_for_a_region_asks_whom_the_others_need_not_ask():
    regional = [(START, publish("v", "regional", binds=START)), (START, accept("v"))]
    assert permit_of(regional) == Permit(since_us=BEGINNING_US)
    assert permit_of([*regional, (11, MOVES_TO_DE[PERSON])]) == Refusal(reason=Reason.NOT_ASKED)
    assert permit_of([*regional, (11, MOVES_TO_DE[ACCOUNT])]) == Refusal(reason=Reason.NOT_ASKED)


REGIONAL = [(START, publish("v", "regional", binds=START)), (START, accept("v"))]


def permits_of(events, people, at=ASKED):
    """Return what each party of a record answers, in the reference and compiled: the account's, then the people's."""
    history = history_of(events)
    permits = Permits(history, purpose=PURPOSE, at_us=at)
    company = permits.company("acme", people)
    found = []
    for use in uses(history, "acme", people, CATEGORY, PURPOSE, at_us=ASKED):
        found.append(permit(history, use, at))
        assert permits.of("acme", use.party, use.role, CATEGORY, company=company) == found[-1]
    return found


def test_what_the_rule_of_anybodys_region_asks_for_is_asked():
    german = [*REGIONAL, (11, MOVES_TO_US[ACCOUNT]), (11, MOVES_TO_DE[PERSON]), (12, answer(PERSON, "yes"))]
    assert permits_of(german, (PERSON,)) == [Refusal(reason=Reason.NOT_ASKED), Permit(since_us=12)]
    both = [*german, (13, answer(ACCOUNT, "yes"))]
    assert permits_of(both, (PERSON,)) == [Permit(since_us=13), Permit(since_us=12)]
    # For the one who speaks, the rule of somebody who only listens counts as well.
    assert permits_of(both, (OTHER, PERSON))[:2] == [Permit(since_us=13), Refusal(reason=Reason.NOT_ASKED)]
    assert permits_of(both, (OTHER,)) == [Permit(since_us=START), Permit(since_us=BEGINNING_US)]
    # Somebody abroad is asked as the account's own rule has it.
    abroad = [*REGIONAL, (11, MOVES_TO_DE[ACCOUNT]), (11, MOVES_TO_US[PERSON]), (12, answer(ACCOUNT, "yes"))]
    assert permits_of(abroad, (PERSON,)) == [Permit(since_us=12), Refusal(reason=Reason.NOT_ASKED)]


def test_a_limit_counts_where_any_winning_rule_gives_the_account_a_say():
    """Where the rule of the listener's region gives the account a say, and that of the speaker's none."""
    rules = (
        Rule(data=("content",), purpose=("train",), basis=Basis.CONTRACT, refusable_by=("everyone",)),
        Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account",), region=("EEA",)),
    )
    told = Terms(id="v", title="v", effective_us=0, acceptance="continued-use", text="prose", rules=rules)
    start = [("terms", {"terms": told.to_json(), "binds": us_to_text(START)}), accept("v"), answer(ACCOUNT, "yes")]
    events = [(START, event) for event in start] + [(11, limit("g", [PERSON]))]
    for listener, expected in (("US", [None, None, None]), ("DE", [None, Reason.LIMITED, None])):
        moved = [*events, (11, ("region", {"party": OTHER, "region": listener}))]
        history = read_history(entries_of(moved))
        permits = Permits(history, purpose=PURPOSE, at_us=ASKED)
        company = permits.company("acme", (PERSON, OTHER))
        found = []
        for use in uses(history, "acme", (PERSON, OTHER), CATEGORY, PURPOSE, at_us=ASKED):
            answered = permit(history, use, ASKED)
            assert permits.of("acme", use.party, use.role, CATEGORY, company=company) == answered
            found.append(answered.reason if isinstance(answered, Refusal) else None)
        assert found == expected


def test_the_shipped_terms_ask_a_us_account_for_what_its_german_employees_rule_asks():
    told = replace(load_profile("bundled"), effective_us=0)
    german = ("region", {"party": PERSON, "region": "DE"})
    service = {"data": ["service"], "purpose": ["train"], "covers": None}
    start = [
        ("terms", {"terms": told.to_json(), "binds": us_to_text(START)}),
        accept("bundled"),
        MOVES_TO_US[ACCOUNT],
        german,
    ]
    events = [(START, event) for event in start]
    events.append((11, ("decision", {"party": PERSON, "answer": "yes", **service})))

    def judged(told):
        permits = Permits(read_history(entries_of(told)), purpose=PURPOSE, at_us=ASKED)
        record = Record(account="acme", people=(PERSON,), category="service/usage", collected_us=14)
        return decide(permits, record)

    assert (judged(events).reason, judged(events).party) == (Reason.NOT_ASKED, ACCOUNT)
    assert judged([*events, (12, ("decision", {"party": ACCOUNT, "answer": "yes", **service}))]).permitted


def test_a_signal_refuses_what_the_terms_name_and_a_later_yes_lifts_it():
    signalled = [(START, publish("v", "signalled", binds=START)), (START, accept("v"))]
    seen = [(12, ("signal", {"party": PERSON, "signal": "gpc"}))]
    assert permit_of(signalled + seen) == permit_of(signalled + seen, at=12) == Refusal(reason=Reason.SAID_NO)
    assert permit_of(signalled + seen + [(13, answer(PERSON, "yes"))]) == Permit(since_us=13)


def test_retention_travels_with_the_permit():
    aged = [(START, publish("v", "aged", binds=START)), (START, accept("v")), (11, answer(ACCOUNT, "yes"))]
    assert permit_of(aged, PartyRole.ACCOUNT) == Permit(since_us=11, max_age_us=2)


def test_nobody_in_particular_has_no_permit_where_people_have_a_say():
    assert permit_of(CONSENTED, party=UNKNOWN_PERSON) == Refusal(reason=Reason.UNKNOWN_PARTY)
    speaker = [(START, publish("v", "speaker", binds=START)), (START, accept("v"))]
    assert permit_of(speaker, PartyRole.OTHER, party=UNKNOWN_PERSON) == Permit(since_us=BEGINNING_US)


def test_erasure_is_for_good():
    erased = [(11, answer(PERSON, "yes")), (12, ("erasure", {"party": PERSON})), (13, answer(PERSON, "yes"))]
    assert permit_of(CONSENTED + erased) == Refusal(reason=Reason.ERASED)


def test_no_answer_no_acceptance_and_no_new_terms_get_past_a_limit():
    allowed_before = [(START, publish("v", "contract", binds=START)), (START, accept("v"))]
    past = [
        (12, answer(PERSON, "yes", "past")),
        (12, answer(ACCOUNT, "yes", "past")),
        (12, publish("new", "consent", binds=12, acceptance="explicit")),
        (12, accept("new")),
        (13, answer(PERSON, "yes", "past")),
        (13, answer(ACCOUNT, "yes", "past")),
        (13, MOVES_TO_DE[PERSON]),
    ]
    held = [*allowed_before, (11, limit("g", [PERSON])), (11, limit()), *past]
    for role in PartyRole:
        assert permit_of(held, role) == Refusal(reason=Reason.LIMITED)
    lifted = [*held, (14, limit("g", limited=False)), (14, limit(limited=False))]
    for role in PartyRole:
        assert permit_of(lifted, role) == Permit(since_us=14)


def test_leaving_a_limited_group_lifts_nothing_and_a_lift_that_names_the_person_does():
    start = [*CONSENTED, (START, answer(PERSON, "yes")), (11, limit("g", [PERSON, OTHER]))]
    assert permit_of([*start, (12, limit("g", [OTHER]))]) == Refusal(reason=Reason.LIMITED)
    assert permit_of([*start, (12, limit("h", [PERSON], limited=False))]) == Refusal(reason=Reason.LIMITED)
    assert permit_of([*start, (12, limit("g", [PERSON], limited=False))]) == Permit(since_us=12)


def test_a_no_counts_under_a_limit_and_after_it():
    limited = [*CONSENTED, (START, answer(PERSON, "yes")), (11, limit("g", [PERSON])), (12, answer(PERSON, "no"))]
    assert permit_of(limited) == Refusal(reason=Reason.LIMITED)
    assert permit_of([*limited, (13, limit("g", limited=False))]) == Refusal(reason=Reason.WITHDRAWN)


def test_a_limit_changes_nothing_where_the_account_has_no_say():
    signalled = [(START, publish("v", "signalled", binds=START)), (START, accept("v"))]
    for role in PartyRole:
        assert permit_of([*signalled, (11, limit("g", [PERSON])), (11, limit())], role) == permit_of(signalled, role)


def test_a_limit_of_one_account_does_not_judge_anothers_records():
    elsewhere = ("limit", {**limit("g", [PERSON])[1], "account": "other"})
    told = [*CONSENTED, (11, answer(PERSON, "yes"))]
    assert permit_of([*told, (12, elsewhere)]) == Permit(since_us=11)


def test_the_newest_word_of_each_limit_is_evidence():
    told = [*CONSENTED, (11, limit("g", [PERSON])), (11, limit("h", [PERSON])), (12, limit("g", limited=False))]
    use = Use(account="acme", party=PERSON, role=PartyRole.FIRST, category=CATEGORY, purpose=PURPOSE)
    assert evidence(read_history(entries_of(told)), use, ASKED) == (0, 3, 4)


@pytest.mark.parametrize(
    "body",
    [
        limit("", [PERSON])[1],
        limit("g")[1],
        {**limit()[1], "limited": "yes"},
        limit("g", [ACCOUNT])[1],
        limit(data="weather")[1],
    ],
)
def test_a_limit_that_makes_no_sense_is_not_passed_over(body):
    with pytest.raises(InvalidInputError):
        read_history(entries_of([*CONSENTED, (11, ("limit", body))]))


def test_a_decision_speaks_of_what_it_names_and_nothing_else():
    narrow = ("decision", {**answer(PERSON, "yes")[1], "data": ["content/chat"], "purpose": ["train/search"]})
    events = [*CONSENTED, (12, narrow)]
    assert permit_of(events) == Permit(since_us=12)
    assert permit_of(events, category="content/files") == Refusal(reason=Reason.NOT_ASKED)
    assert permit_of(events, purpose="train/summary") == Refusal(reason=Reason.NOT_ASKED)


def test_a_version_published_later_is_not_replaced_by_an_earlier_one_that_binds_after_it():
    events = [
        (START, publish("old", "consent", binds=START)),
        (START, accept("old")),
        (11, publish("slow", "contract", binds=14)),
        (12, publish("quick", "never", binds=12)),
    ]
    assert permit_of(events) == Refusal(reason=Reason.NEVER)


def test_what_several_said_over_years_is_judged_at_any_instant_as_one_at_a_time():
    """Instants as the world has them, and more questions at once than a processor's cache holds."""
    day_us, rng = 86_400_000_000, np.random.default_rng(3)
    start_us, asked_us = 20_000 * day_us, 21_500 * day_us
    parties = [f"person:p{number}" for number in range(12)]
    told = [(start_us, publish("old", "contract", binds=start_us)), (start_us, accept("old"))]
    told += [(start_us + 700 * day_us, publish("new", "consent", binds=start_us + 700 * day_us))]
    for party in parties[5:]:
        for at in sorted(rng.integers(start_us, asked_us, int(rng.integers(0, 9))).tolist()):
            covers = [None, "past", at - 30 * day_us][int(rng.integers(3))]
            told.append((at, answer(party, "yes", covers) if rng.integers(2) else answer(party, "no")))
    told += [
        (start_us + 1100 * day_us, ("erasure", {"party": parties[-1]})),
        (asked_us, answer(parties[1], "yes")),  # the first says nothing
        (start_us + 800 * day_us, answer(parties[2], "yes")),
        (asked_us, ("erasure", {"party": parties[2]})),
        (start_us + 800 * day_us, answer(parties[3], "yes")),
        (start_us + 100 * day_us, answer(parties[4], "yes", "past")),
        (start_us + 200 * day_us, answer(parties[4], "no")),
        (start_us + 300 * day_us, answer(parties[4], "yes")),
    ]
    history = read_history(entries_of(sorted(told, key=lambda event: event[0])))
    permits = Permits(history, purpose=PURPOSE, at_us=asked_us)
    asked = Panel(permits, ["acme"], np.zeros(len(parties), np.int32), parties)
    moments = sorted({at + near for at, _ in told for near in (-1, 0, 1)} | {0, asked_us})
    pair = np.repeat(np.arange(len(parties)), len(moments))
    when = np.tile(np.array(moments), len(parties))

    found = asked.stretches(PartyRole.FIRST, CATEGORY).at(np.tile(pair, 20), np.tile(when, 20))

    assert len(found) > 1 << 14
    expected = [
        allowed(
            history,
            Use(account="acme", party=party, role=PartyRole.FIRST, category=CATEGORY, purpose=PURPOSE),
            moment,
            asked_us=asked_us,
        )
        is None
        for party in parties
        for moment in moments
    ]
    assert {True, False} == set(expected)
    assert found.tolist() == expected * 20
    table = asked.of(PartyRole.FIRST, CATEGORY)
    for position, party in enumerate(parties):
        use = Use(account="acme", party=party, role=PartyRole.FIRST, category=CATEGORY, purpose=PURPOSE)
        assert row(table, position) == permit(history, use, asked_us)


def test_each_of_an_accounts_people_has_the_limits_and_the_region_that_are_theirs():
    told = [(START, publish("v", "regional", binds=START)), (START, accept("v"))]
    people = [f"person:{name}" for name in ("limited", "lifted", "both", "german", "german-limited", "plain", "moved")]
    limited, lifted, both, german, german_limited, _, moved = people
    told += [(11, limit("g", [limited, both, german_limited, lifted])), (12, limit("h", [both]))]
    told += [(13, limit("g", [lifted], limited=False))]
    told += [(12, ("region", {"party": party, "region": "DE"})) for party in (german, german_limited, moved)]
    told += [(14, ("region", {"party": moved, "region": "US"})), (14, answer(german, "yes", "past"))]
    history = read_history(entries_of(told))
    permits = Permits(history, purpose=PURPOSE, at_us=ASKED)
    asked = Panel(permits, ["acme"], np.zeros(len(people) + 1, np.int32), [*people, ACCOUNT])
    for role in PartyRole:
        table, stretches = asked.of(role, CATEGORY), asked.stretches(role, CATEGORY)
        for position, party in enumerate([*people, ACCOUNT]):
            if (party == ACCOUNT) is (role is PartyRole.ACCOUNT):
                use = Use(account="acme", party=party, role=role, category=CATEGORY, purpose=PURPOSE)
                assert row(table, position) == permit(history, use, ASKED), (party, role)
                assert permits.of("acme", party, role, CATEGORY) == permit(history, use, ASKED), (party, role)
                for when in range(START, ASKED + 1):
                    then = stretches.at(np.array([position]), np.array([when]))
                    assert then == [allowed(history, use, when, asked_us=ASKED) is None], (party, role, when)


def test_content_is_scrubbed_unless_the_rule_that_binds_the_account_says_not_to():
    permits = Permits(history_of([]), purpose=PURPOSE, at_us=ASKED)
    assert permits.scrubs("acme", CATEGORY)
    for scrub in (True, False):
        unscrubbed = replace(terms("v", kind="consent"), rules=(replace(CONSENT, scrub=scrub),))
        history = History()
        history.bindings.publish(unscrubbed, binds_us=START)
        history.bindings.accept("acme", "v", at_us=START)
        permits = Permits(history, purpose=PURPOSE, at_us=ASKED)
        assert permits.scrubs("acme", CATEGORY) is scrub
        assert permits.scrubs("other", CATEGORY), "which has accepted nothing"
        assert permits.scrubs("acme", "service/usage"), "of which no rule speaks"
        assert Permits(history, purpose="train/diagnose", at_us=ASKED).scrubs("acme", CATEGORY) is scrub
        assert Permits(history, purpose="feature/search", at_us=ASKED).scrubs("acme", CATEGORY)


def test_every_instant_at_which_something_changed_is_told_the_first_left_out():
    history = history_of(
        [
            *CONSENTED,
            (11, answer(PERSON, "yes")),
            (12, limit("g", [PERSON])),
            (12, ("limit", {**limit("g", [PERSON])[1], "account": "other"})),
            (13, MOVES_TO_DE[ACCOUNT]),
            (14, answer(OTHER, "yes")),
            (14, ("signal", {"party": PERSON, "signal": "gpc"})),
            (15, ("erasure", {"party": PERSON})),
        ]
    )
    use = use_of(history, PartyRole.FIRST)
    assert changes(history, use, after_us=BEGINNING_US, until_us=ASKED) == [START, 11, 12, 13, 14, 15]
    assert changes(history, use, after_us=11, until_us=13) == [12, 13]
    assert changes(history, use, after_us=ASKED, until_us=ASKED) == []


def test_an_answer_rests_on_the_newest_that_was_said_by_then_about_the_question():
    signalled = [(START, publish("v", "signalled", binds=START)), (START, accept("v"))]
    elsewhere = ("decision", {**answer(PERSON, "no")[1], "data": ["service"]})
    told = [
        *signalled,
        (11, answer(PERSON, "no")),
        (12, ("signal", {"party": PERSON, "signal": "gpc"})),
        (13, answer(PERSON, "yes")),
        (13, elsewhere),
        (14, ("signal", {"party": PERSON, "signal": "gpc"})),
        (15, ("erasure", {"party": PERSON})),
    ]
    history = read_history(entries_of(told))
    use = Use(account="acme", party=PERSON, role=PartyRole.FIRST, category=CATEGORY, purpose=PURPOSE)
    found = {at: evidence(history, use, at) for at in range(START, ASKED + 1)}
    assert found == {10: (0,), 11: (0, 2), 12: (0, 2, 3), 13: (0, 3, 4), 14: (0, 4, 6), 15: (0, 4, 6, 7)}
    permits = Permits(history, purpose=PURPOSE, at_us=14)
    assert permits.evidence("acme", PERSON, PartyRole.FIRST, CATEGORY) == found[14]
    assert permits.evidence("acme", PERSON, PartyRole.FIRST, "service/usage") == (0, 5, 6)


def test_a_limit_is_evidence_where_the_rule_of_somebody_beside_gives_the_account_a_say():
    own, abroad = rule(Basis.CONTRACT, refusable_by=("everyone",)), rule(asks=("account", "person"), region=("EEA",))
    history = History()
    history.bindings.publish(replace(terms("v", kind="consent"), rules=(own, abroad)), binds_us=START)
    history.bindings.accept("acme", "v", at_us=START)
    for entry in entries_of([(START, MOVES_TO_DE[OTHER]), (11, limit("g", [PERSON]))]):
        extend_history(history, entry)
    permits = Permits(history, purpose=PURPOSE, at_us=ASKED)
    assert permits.evidence("acme", PERSON, PartyRole.FIRST, CATEGORY, people=[PERSON]) == ()
    assert permits.evidence("acme", PERSON, PartyRole.FIRST, CATEGORY, people=[PERSON, OTHER]) == (1,)


def test_a_no_without_a_say_and_a_no_at_the_instant_of_a_yes_are_the_same_among_many():
    """A few of the exhaustive cases, for those who have no time for all."""
    start = [(START, publish("old", "contract", binds=START)), (START, publish("new", "signalled", binds=START + 3))]
    told = [
        *TIES,
        [(11, answer(ACCOUNT, "no"))],
        [(START + 3, answer(ACCOUNT, "no"))],
        [(START + 4, answer(ACCOUNT, "no"))],
    ]
    told += [[(START + 4, answer(PERSON, "yes")), (START + 4, answer(PERSON, "no"))]]
    named = [
        (f"n{number}x", rename([(START, accept("old")), *events], f"n{number}x")) for number, events in enumerate(told)
    ]
    check_together(start, named)


def test_people_without_a_region_of_their_own_are_judged_by_their_accounts():
    own, abroad = rule(Basis.CONTRACT, refusable_by=("person",)), rule(Basis.NEVER, region=("EEA",))
    history = History()
    history.bindings.publish(replace(terms("v", kind="consent"), rules=(own, abroad)), binds_us=START)
    history.bindings.accept("acme", "v", at_us=START)
    history.locate(ACCOUNT, "DE", at_us=12)
    history.locate(OTHER, "US", at_us=13)
    permits = Permits(history, purpose=PURPOSE, at_us=ASKED)
    for party, expected in ((PERSON, Refusal(reason=Reason.NEVER)), (OTHER, Permit(since_us=13))):
        use = Use(account="acme", party=party, role=PartyRole.FIRST, category=CATEGORY, purpose=PURPOSE)
        assert permit(history, use, ASKED) == permits.of("acme", party, PartyRole.FIRST, CATEGORY) == expected


def test_what_signals_namesakes_and_answers_to_other_questions_say_is_the_same_among_many():
    """A few of the exhaustive cases, for those who have no time for all."""
    yes, no = answer(PERSON, "yes", "past"), answer(PERSON, "no")
    of_other_data = [(kind, {**body, "data": ["service"]}) for kind, body in (yes, no)]
    of_other_uses = [(kind, {**body, "purpose": ["feature"]}) for kind, body in (yes, no)]
    said = [SIGNAL, copied(SIGNAL), copied(no), yes, no, *of_other_data, *of_other_uses]
    told = [[(12, one)] for one in said] + [[(12, one), (14, another)] for one in (yes, no) for another in said]
    for kind in ("signalled", "speaker"):
        start = [(START, publish("v", kind, binds=START))]
        named = [
            (f"n{number}x", rename([(START, accept("v")), *events], f"n{number}x"))
            for number, events in enumerate(told)
        ]
        check_together(start, named)


@pytest.mark.parametrize("said", [answer(PERSON, "no"), SIGNAL])
def test_what_a_namesake_said_counts_for_the_speaker_and_not_for_whoever_else_may_be_the_speaker(said):
    start = [(START, publish("v", "signalled", binds=START)), (START, accept("v"))]
    for events in ([(12, said)], [(12, copied(said))]):
        found = {role: permit_of([*start, *events], role) for role in (PartyRole.FIRST, PartyRole.ALTERNATE)}
        assert found[PartyRole.FIRST] == Refusal(reason=Reason.SAID_NO)
        assert isinstance(found[PartyRole.ALTERNATE], Permit) == ("namesake" in events[0][1][1])


def test_a_signal_refuses_nothing_under_terms_that_do_not_name_it():
    for kind, refused in (("signalled", True), ("contract", False)):
        events = [(START, publish("v", kind, binds=START)), (START, accept("v")), (12, SIGNAL)]
        found = permit_of(events)
        assert isinstance(found, Refusal) == refused, kind


@pytest.mark.parametrize(
    ("asks", "may_refuse", "counts"),
    [(("account",), (), False), (("account",), ("person",), True), (("account",), ("everyone",), True)],
)
def test_whoever_may_be_the_speaker_may_refuse_where_the_speaker_has_a_say_and_nowhere_else(asks, may_refuse, counts):
    history = History()
    rules = (rule(asks=asks, refusable_by=may_refuse),)
    history.bindings.publish(replace(terms("v", kind="consent"), rules=rules), binds_us=START)
    history.bindings.accept("acme", "v", at_us=START)
    [said] = entries_of([(12, answer(PERSON, "no"))])
    extend_history(history, said)
    use = Use(account="acme", party=PERSON, role=PartyRole.ALTERNATE, category=CATEGORY, purpose=PURPOSE)
    found = permit(history, use, ASKED)
    assert isinstance(found, Refusal) == counts
    assert Permits(history, purpose=PURPOSE, at_us=ASKED).of("acme", PERSON, PartyRole.ALTERNATE, CATEGORY) == found
