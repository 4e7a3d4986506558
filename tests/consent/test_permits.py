"""The permits against their definition: an oracle that asks every instant, over every short history and long random ones.

Time is discrete here: instants are whole microseconds, everything that happens happens at one of them, so "unbroken
from t to T" is a check of each instant in between. Three answers must agree: the oracle's, the reference's (`permit`)
and the compiled form's (`Permits`).
"""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.canonical import us_to_text
from volition.consent.gate import Record, decide, uses
from volition.consent.history import BEGINNING_US, History, extend_history, read_history
from volition.consent.permits import (
    NO_COMPANY,
    NO_PERMIT_US,
    REASON_CODES,
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
from volition.ledger.entry import Entry

START = 10  # the first instant at which anything happens
INSTANTS = range(START, START + 5)
ASKED = START + 5
COLLECTED = range(START - 3, ASKED + 1)

ACCOUNT, PERSON, OTHER = "account:acme", "person:ada", "person:zoe"
CATEGORY, PURPOSE = "content/chat", "train/search"
ROLES = {PartyRole.ACCOUNT: ACCOUNT, PartyRole.FIRST: PERSON, PartyRole.OTHER: PERSON}


def rule(basis=Basis.CONSENT, asks=(), refusable_by=(), **more):
    return Rule(data=("content",), purpose=("train",), basis=basis, asks=asks, refusable_by=refusable_by, **more)


CONSENT = rule(asks=("account", "everyone"))
SPEAKER = rule(asks=("account", "person"))
CONTRACT = rule(Basis.CONTRACT, refusable_by=("account", "person"))
NEVER = rule(Basis.NEVER)
RULES = {
    "consent": ((CONSENT,), {}),
    "speaker": ((SPEAKER,), {}),
    "contract": ((CONTRACT,), {}),
    "never": ((NEVER,), {}),
    "regional": ((CONTRACT, rule(asks=("account", "person"), region=("EEA",))), {}),
    "signalled": ((rule(Basis.CONTRACT, refusable_by=("everyone",)),), {"gpc": ("train",)}),  # the account has no say
    "aged": ((rule(asks=("account",), refusable_by=("everyone",), max_age_us=2),), {}),
    "lasting": ((rule(asks=("account", "person"), refusable_by=("everyone",), max_yes_age_us=2),), {}),
    "lasting-abroad": ((CONSENT, rule(asks=("account", "person"), max_yes_age_us=2, region=("EEA",))), {}),
}
KINDS = [kind for kind in RULES if not kind.startswith("lasting")]  # in which no yes ends by its age


@cache
def terms(name, *, kind, acceptance="continued-use"):
    """Return a version without a notice period: `test_notice` is about that one."""
    rules, signals = RULES[kind]
    return Terms(
        id=name,
        title=name,
        effective_us=0,
        acceptance=acceptance,
        text="prose",
        rules=rules,
        signals=signals,
        notice_days=0,
    )


RULE_JSON = {kind: (made["rule"], made["signal"]) for kind in RULES for made in [terms("x", kind=kind).to_json()]}


def publish(name, kind, *, binds, acceptance="continued-use"):
    return ("terms", {"terms": terms(name, kind=kind, acceptance=acceptance).to_json(), "binds": us_to_text(binds)})


def accept(name):
    return ("acceptance", {"account": "acme", "terms": name})


def answer(party, word, covers=None, *, until=None):
    covers = us_to_text(covers) if isinstance(covers, int) else covers
    body = {"party": party, "answer": word, "data": ["content"], "purpose": ["train"], "covers": covers}
    return ("decision", body if until is None else {**body, "until": us_to_text(until)})


def limit(group="", people=(), *, limited=True, data="content"):
    """The account limits a use, or lifts a limit: on a group, or by its lock."""
    body = {"account": "acme", "group": group, "people": list(people), "limited": limited}
    return ("limit", {**body, "data": [data], "purpose": ["train"]})


def entries_of(events):
    return [Entry(seq=number, at_us=at, kind=kind, body=body) for number, (at, (kind, body)) in enumerate(events)]


def history_of(events):
    """Make a history from (instant, (kind, body)), in order; terms, slow to read, are read once for all."""
    history = History()
    for entry in entries_of(events):
        if entry.kind == "terms":
            told = entry.body["terms"]
            known = terms(told["id"], kind=kind_of(entry.body), acceptance=told["acceptance"])
            history.bindings.publish(known, binds_us=us_of(entry.body["binds"]), at_us=entry.at_us)
        else:
            extend_history(history, entry)
    return history


def us_of(text):
    return int(text.rsplit(".", 1)[1].rstrip("Z"))


def kind_of(body):
    return next(kind for kind in RULES if RULE_JSON[kind] == (body["terms"]["rule"], body["terms"]["signal"]))


# --- the oracle ----------------------------------------------------------------------------------------------------


def bound_terms(events):  # noqa: C901 - a replay, step by step
    """Replay which terms bind the account, instant by instant: instant -> name, from the first binding on."""
    published, accepted, bound = {}, [], {}
    for now in range(START, ASKED + 1):
        for at, (kind, body) in events:
            if at == now and kind == "terms":
                published[body["terms"]["id"]] = (len(published), body)
            if at == now and kind == "acceptance":
                accepted.append((now, body["terms"]))
        due = []
        for name, (order, body) in published.items():
            if (now, name) in accepted:
                due.append((order, True, name))
            by_use = body["terms"]["acceptance"] == "continued-use" and body["binds"] == us_to_text(now)
            if by_use and accepted and accepted[0][0] < now:
                due.append((order, False, name))
        name = bound.get(now - 1)
        for order, by_acceptance, newer in sorted(due):
            if by_acceptance or name is None or order > published[name][0]:
                name = newer
        if name is not None:
            bound[now] = name
    return bound


def allowed_at(events, role, instant, bound):
    """Judge one instant by replaying everything up to it, with the rules written down again in plain words."""
    party = ROLES[role]
    happened = [(at, kind, body) for at, (kind, body) in events if at <= instant]
    if any(kind == "erasure" and body["party"] == party for _, kind, body in happened):
        return False
    name = bound.get(instant)
    if name is None and role is not PartyRole.ACCOUNT and bound:
        name = bound[min(bound)]  # people are judged, before the first terms, as those would have
    if name is None:
        return False
    kind_of_terms = next(kind_of(body) for _, (kind, body) in events if kind == "terms" and body["terms"]["id"] == name)
    regions = {
        who: [body["region"] for _, kind, body in happened if kind == "region" and body["party"] == who]
        for who in (ACCOUNT, PERSON, OTHER)
    }
    wins = {(regions[who] or regions[ACCOUNT] or [None])[-1] == "DE" for who in regions}  # somewhere, the rule for DE
    asked_of = {
        "consent": {"account", "first", "other"},
        "speaker": {"account", "first"},
        "regional": {"account", "first"} if True in wins else set(),
        "aged": {"account"},
        "lasting": {"account", "first"},
        "lasting-abroad": {"account", "first"} | ({"other"} if False in wins else set()),
    }.get(kind_of_terms, set())
    may_refuse = {
        "contract": {"account", "first"},
        "regional": {"account", "first"} if False in wins else set(),
        "signalled": {"first", "other"},
        "aged": {"first", "other"},
        "lasting": {"first", "other"},
    }.get(kind_of_terms, set())
    if kind_of_terms == "never":
        return False
    if "account" in asked_of | may_refuse and is_limited(happened, party):
        return False
    if role.value not in asked_of | may_refuse:
        return True
    answers = [
        (at, body["answer"] == "no") for at, kind, body in happened if kind == "decision" and body["party"] == party
    ]
    if kind_of_terms == "signalled":
        answers += [(at, True) for at, kind, body in happened if kind == "signal" and body["party"] == party]
    if not answers:
        return role.value not in asked_of
    if max(answers)[1]:  # the last answer; at one instant a no (True) beats a yes
        return False
    ages = {"lasting": True, "lasting-abroad": True in wins}.get(kind_of_terms, False) and role is not PartyRole.OTHER
    return not any(
        (body.get("until") is not None and us_of(body["until"]) <= instant) or (ages and at + 2 <= instant)
        for at, kind, body in happened
        if kind == "decision" and body["party"] == party and body["answer"] == "yes" and at == max(answers)[0]
    )


def is_limited(happened, party):
    """Say whether the account's lock, or a group's limit that names the person, stands after all that happened."""
    words = {}
    for at, kind, body in happened:
        if kind == "limit" and CATEGORY.startswith(body["data"][0]):
            concerns = (
                party == ACCOUNT if not body["group"] else party == PERSON and PERSON in (body["people"] or [PERSON])
            )
            if concerns:
                words.setdefault(body["group"], []).append((at, body["limited"]))
    return any(max(said)[1] for said in words.values())  # the last word; at one instant a limit (True) beats a lift


def covered(events, role):
    """Return the instants of collection whose records may be used at ASKED, retention apart."""
    bound = bound_terms(events)
    allowed = {now: allowed_at(events, role, now, bound) for now in range(COLLECTED.start, ASKED + 1)}

    def unbroken(start):
        return all(allowed[now] for now in range(start, ASKED + 1))

    reaches = [
        COLLECTED.start if body["covers"] == "past" else us_of(body["covers"])
        for at, (kind, body) in events
        if kind == "decision" and body["party"] == ROLES[role] and body["covers"] and unbroken(at)
    ]
    return {at for at in COLLECTED if unbroken(at) or (unbroken(ASKED) and any(reach <= at for reach in reaches))}


BESIDE = (
    PERSON,
    OTHER,
)  # whom every record here concerns, besides the account; a role of zoe's own is never asked about


def use_of(history, role, party=None):
    """Return a party's part in the use of a record that concerns ada and zoe."""
    party = party or ROLES[role]
    beside = history.located(BESIDE)
    return Use(account="acme", party=party, role=role, category=CATEGORY, purpose=PURPOSE, beside=beside)


def covered_by(found):
    return set() if isinstance(found, Refusal) else {at for at in COLLECTED if at >= found.since_us}


def check(events, roles):
    history = history_of(events)
    compiled = Permits(history, purpose=PURPOSE, at_us=ASKED)
    for role in roles:
        party = ROLES[role]
        use = use_of(history, role)
        reference = permit(history, use, ASKED)
        company = compiled.company("acme", BESIDE)
        assert compiled.of("acme", party, role, CATEGORY, company=company) == reference, (events, role)
        assert covered_by(reference) == covered(events, role), (events, role)


# --- every short history ---------------------------------------------------------------------------------------------


def answers_of(party):
    return [answer(party, "yes"), answer(party, "yes", "past"), answer(party, "yes", START + 1), answer(party, "no")]


def ends_of(party):
    return [
        answer(party, "yes", until=START + 2),
        answer(party, "yes", until=START + 4),
        answer(party, "yes", "past", until=START + 4),
    ]


MOVES_TO_DE = {party: ("region", {"party": party, "region": "DE"}) for party in (ACCOUNT, PERSON, OTHER)}
MOVES_TO_US = {party: ("region", {"party": party, "region": "US"}) for party in (ACCOUNT, PERSON, OTHER)}
OF_ACCOUNT = [
    *answers_of(ACCOUNT),
    limit(),
    limit(limited=False),
    *MOVES_TO_DE.values(),
    MOVES_TO_US[ACCOUNT],
    ("erasure", {"party": ACCOUNT}),
    accept("new"),
]
OF_PERSON = [
    *answers_of(PERSON),
    *MOVES_TO_DE.values(),
    MOVES_TO_US[PERSON],
    MOVES_TO_US[OTHER],
    limit("g", [PERSON]),
    limit("g", limited=False),
    ("signal", {"party": PERSON, "signal": "gpc"}),
    ("erasure", {"party": PERSON}),
]


ENDS_OF_ACCOUNT = [*ends_of(ACCOUNT), answer(ACCOUNT, "yes"), answer(ACCOUNT, "no"), MOVES_TO_DE[PERSON]]
ENDS_OF_PERSON = [*ends_of(PERSON), answer(PERSON, "yes"), answer(PERSON, "no"), MOVES_TO_DE[OTHER]]


def histories(alphabet, length):
    """Yield every sequence of up to `length` events, each at one of the instants, times never running backwards."""
    moments = list(product(INSTANTS, alphabet))
    for size in range(length + 1):
        for sequence in product(moments, repeat=size):
            if all(sequence[i][0] <= sequence[i + 1][0] for i in range(size - 1)):
                yield list(sequence)


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", KINDS)
def test_every_short_history_agrees_with_the_definition(old, new):
    start = [
        (START, publish("old", old, binds=START)),
        (START, publish("new", new, binds=START + 3)),
        (START + 1, accept("old")),
    ]
    for alphabet, roles in ((OF_ACCOUNT, [PartyRole.ACCOUNT]), (OF_PERSON, [PartyRole.FIRST, PartyRole.OTHER])):
        for events in histories(alphabet, 1):
            check(sorted(start + events, key=lambda event: event[0]), roles)


UNDER_WHICH_A_YES_ENDS = ["contract", "speaker", "lasting", "lasting-abroad"]


@pytest.mark.parametrize("new", UNDER_WHICH_A_YES_ENDS)
@pytest.mark.parametrize("old", UNDER_WHICH_A_YES_ENDS)
def test_every_yes_that_ends_agrees_with_the_definition(old, new):
    for party, alphabet, roles in (
        (ACCOUNT, ENDS_OF_ACCOUNT, [PartyRole.ACCOUNT]),
        (PERSON, ENDS_OF_PERSON, [PartyRole.FIRST, PartyRole.OTHER]),
    ):
        before = [(START, answer(party, "yes", "past"))]
        for events in histories(alphabet, 1):
            check(sorted(lasting_start(old, new) + before + events, key=lambda event: event[0]), roles)


@pytest.mark.slow
@pytest.mark.parametrize("new", UNDER_WHICH_A_YES_ENDS)
@pytest.mark.parametrize("old", UNDER_WHICH_A_YES_ENDS)
def test_every_two_yeses_that_end_agree_with_the_definition(old, new):
    for alphabet, roles in (
        (ENDS_OF_ACCOUNT, [PartyRole.ACCOUNT]),
        (ENDS_OF_PERSON, [PartyRole.FIRST, PartyRole.OTHER]),
    ):
        for events in histories(alphabet, 2):
            check(sorted(lasting_start(old, new) + events, key=lambda event: event[0]), roles)


def lasting_start(old, new):
    return [
        (START, publish("old", old, binds=START)),
        (START, publish("new", new, binds=START + 3)),
        (START, accept("old")),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
def test_every_history_of_two_events_agrees_under_one_version(kind):
    start = [(START, publish("new", kind, binds=START)), (START, accept("new"))]
    for alphabet, roles in ((OF_ACCOUNT, [PartyRole.ACCOUNT]), (OF_PERSON, [PartyRole.FIRST, PartyRole.OTHER])):
        for events in histories(alphabet, 2):
            check(start + events, roles)


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
def test_every_history_of_three_answers_agrees_under_changing_terms(kind):
    for old in ("contract", "consent"):
        start = [
            (START, publish("old", old, binds=START)),
            (START, publish("new", kind, binds=START + 2)),
            (START, accept("old")),
        ]
        for events in histories([answer(PERSON, "yes"), answer(PERSON, "yes", "past"), answer(PERSON, "no")], 3):
            check(sorted(start + events, key=lambda event: event[0]), [PartyRole.FIRST, PartyRole.OTHER])


LIMITS = [
    limit("g", [PERSON]),
    limit("g", [PERSON], limited=False),
    limit("g", limited=False),
    limit("h", [PERSON]),
    limit("g", [OTHER]),
    answer(PERSON, "yes", "past"),
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["consent", "speaker", "signalled"])
def test_every_history_of_two_limits_agrees_under_changing_terms(kind):
    start = [
        (START, publish("old", "contract", binds=START)),
        (START, publish("new", kind, binds=START + 2)),
        (START, accept("old")),
        (START, answer(PERSON, "yes")),
    ]
    for events in histories(LIMITS, 2):
        check(sorted(start + events, key=lambda event: event[0]), [PartyRole.FIRST, PartyRole.OTHER])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["consent", "contract", "never"])
def test_every_history_of_three_limits_agrees_under_one_version(kind):
    start = [(START, publish("new", kind, binds=START)), (START, accept("new"))]
    for events in histories([limit("g", [PERSON]), limit("g", limited=False), limit("h", [PERSON])], 3):
        check([*start, (START, answer(PERSON, "yes")), *events], [PartyRole.FIRST])
    for events in histories([limit(), limit(limited=False), answer(ACCOUNT, "yes", "past")], 3):
        check([*start, *events], [PartyRole.ACCOUNT])


# --- long random ones ------------------------------------------------------------------------------------------------

MORE_LIMITS = [
    *LIMITS[:-1],
    limit(data="content/chat"),
    limit(data="content/files"),
    limit("h", [OTHER, PERSON], data="content/chat"),
    limit("h", [PERSON], data="content/files", limited=False),
]

versions = st.builds(
    publish,
    st.sampled_from([f"v{number}" for number in range(4)]),
    st.sampled_from(list(RULES)),
    binds=st.sampled_from(list(INSTANTS)),
    acceptance=st.sampled_from(["continued-use", "explicit"]),
)
events_at = st.tuples(
    st.sampled_from(list(INSTANTS)),
    st.one_of(
        versions,
        st.sampled_from(OF_ACCOUNT[:-1] + OF_PERSON + MORE_LIMITS),
        st.sampled_from(ENDS_OF_ACCOUNT + ENDS_OF_PERSON),
    ),
)


@st.composite
def long_histories(draw):
    events = sorted(draw(st.lists(events_at, max_size=14)), key=lambda event: event[0])
    kept, names = [], []
    for at, (kind, body) in events:
        if kind == "terms":
            if body["terms"]["id"] in names:
                continue
            names.append(body["terms"]["id"])
        late = {"binds": us_to_text(max(at, us_of(body["binds"])))} if kind == "terms" else {}
        kept.append((at, (kind, body | late)))
        if kind == "terms" and draw(st.booleans()):
            kept.append((at, accept(body["terms"]["id"])))
    return kept


@given(long_histories())
def test_long_histories_agree_with_the_definition(events):
    check(events, list(PartyRole))


@given(long_histories())
def test_a_history_read_from_the_ledger_is_the_same(events):
    read, made = read_history(entries_of(events)), history_of(events)
    for role, party in ROLES.items():
        use = Use(account="acme", party=party, role=role, category=CATEGORY, purpose=PURPOSE)
        assert permit(read, use, ASKED) == permit(made, use, ASKED)


@given(long_histories(), st.sampled_from(list(INSTANTS)))
def test_an_answer_about_the_past_does_not_change_when_the_ledger_grows(events, asked):
    grown, then = history_of(events), history_of([event for event in events if event[0] <= asked])
    for role in ROLES:
        use = use_of(then, role)
        assert permit(grown, use_of(grown, role), asked) == permit(then, use, asked)
        assert asked_together(Permits(grown, purpose=PURPOSE, at_us=asked))[role] == permit(then, use, asked)


# --- many at once, and one more thing heard ---------------------------------------------------------------------------


def rename(events, name):
    """Return events of the same account and person under other names."""
    names = {ACCOUNT: f"account:{name}", PERSON: f"person:{name}", OTHER: f"person:other-{name}"}

    def renamed(body):
        told = {"party": names[body["party"]]} if "party" in body else {}
        if "people" in body:
            told |= {"people": [names[person] for person in body["people"]]}
        return body | told | ({"account": name} if "account" in body else {})

    return [(at, (kind, renamed(body))) for at, (kind, body) in events]


def check_together(start, histories):
    """Give every history a party of its own in one history, ask all at once, and compare with one at a time."""
    told = [event for events in histories for event in events[1]]
    events = sorted([*start, *told], key=lambda event: event[0])
    permits = Permits(history_of(events), purpose=PURPOSE, at_us=ASKED)
    accounts = [name for name, _ in histories]
    stretches = {}
    for role in PartyRole:
        kind = "account" if role is PartyRole.ACCOUNT else "person"
        parties = [f"{kind}:{name}" for name in accounts]
        beside = [(f"person:{name}", f"person:other-{name}") for name in accounts]
        found = [permits.company(name, people) for name, people in zip(accounts, beside, strict=True)]
        companies = list(dict.fromkeys([NO_COMPANY, *found]))
        company = np.array([companies.index(one) for one in found], np.int32)
        asked = Panel(permits, accounts, np.arange(len(accounts)), parties, companies=companies, company=company)
        # Some of them again, in another order, and strangers and nobody among them: not all of a history is asked.
        few = np.arange(0, len(accounts), max(1, len(accounts) // 5))[::-1]
        some = [parties[position] for position in few]
        again = Panel(permits, accounts, few, some, companies=companies, company=company[few])
        stretches[role] = asked.stretches(role, CATEGORY)
        table, table_again = asked.of(role, CATEGORY), again.of(role, CATEGORY)
        others = Panel(permits, accounts, np.zeros(2, np.int32), ["person:stranger", UNKNOWN_PERSON])
        for position, (account, party) in enumerate(zip(accounts, parties, strict=True)):
            located = permits.history.located(beside[position])
            use = Use(account=account, party=party, role=role, category=CATEGORY, purpose=PURPOSE, beside=located)
            assert row(table, position) == permit(permits.history, use, ASKED), (
                told_of(account, events),
                role,
            )
            for when in range(START - 1, ASKED + 1):
                then = stretches[role].at(np.array([position]), np.array([when]))
                assert then == [allowed(permits.history, use, when, asked_us=ASKED) is None], (
                    told_of(account, events),
                    role,
                    when,
                )
        for position, whole in enumerate(few):
            assert row(table_again, position) == row(table, whole)
        for position, party in enumerate(["person:stranger", UNKNOWN_PERSON]):
            alone = permits.of(accounts[0], party, role, CATEGORY)
            assert row(others.of(role, CATEGORY), position) == alone


def told_of(account, events):
    """Return what bears on an account, to be shown where forms disagree."""
    return [event for event in events if account in str(event[1][1]) or event[1][0] == "terms"]


def row(table, position):
    """Return one row of a table as the permit or the refusal that it stands for."""
    if table.reason[position]:
        assert table.since_us[position] == NO_PERMIT_US
        return Refusal(reason=next(reason for reason, code in REASON_CODES.items() if code == table.reason[position]))
    oldest_us = int(table.oldest_us[position])
    age_us = None if oldest_us == BEGINNING_US else ASKED - oldest_us
    return Permit(since_us=int(table.since_us[position]), max_age_us=age_us)


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", KINDS)
def test_every_short_history_is_the_same_among_many(old, new):
    start = [(START, publish("old", old, binds=START)), (START, publish("new", new, binds=START + 3))]
    short = [events for alphabet in (OF_ACCOUNT, OF_PERSON) for events in histories(alphabet, 1)]
    named = [
        (name, sorted(rename([(START + 1, accept("old")), *events], name), key=lambda event: event[0]))
        for number, events in enumerate(short)
        for name in [f"n{number}x"]
    ]
    check_together(start, named)


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
def test_every_history_of_two_events_is_the_same_among_many(kind):
    start = [(START, publish("new", kind, binds=START))]
    short = [events for alphabet in (OF_ACCOUNT, OF_PERSON) for events in histories(alphabet, 2)]
    named = [
        (name, rename([(START, accept("new")), *events], name))
        for number, events in enumerate(short)
        for name in [f"n{number}x"]
    ]
    check_together(start, named)


@pytest.mark.parametrize("new", UNDER_WHICH_A_YES_ENDS)
@pytest.mark.parametrize("old", UNDER_WHICH_A_YES_ENDS)
def test_every_two_yeses_that_end_are_the_same_among_many(old, new):
    [publication, announcement, acceptance] = lasting_start(old, new)
    short = [*histories(ENDS_OF_ACCOUNT, 1), *histories(ENDS_OF_PERSON, 2)]
    named = [
        (name, sorted(rename([acceptance, *events], name), key=lambda event: event[0]))
        for number, events in enumerate(short)
        for name in [f"n{number}x"]
    ]
    check_together([publication, announcement], named)


@given(st.lists(long_histories(), min_size=1, max_size=4))
def test_long_histories_are_the_same_among_many(several):
    """One account each; what versions there are is told by the first, and the others accept what they find."""
    start = [event for event in several[0] if event[1][0] == "terms"]
    there = {body["terms"]["id"]: at for at, (_, body) in start}
    named = []
    for number, events in enumerate(several):
        kept = [
            (at, (kind, body))
            for at, (kind, body) in events
            if kind != "terms" and (kind != "acceptance" or there.get(body["terms"], ASKED) <= at)
        ]
        named.append((f"n{number}x", rename(kept, f"n{number}x")))
    check_together(start, named)


@given(long_histories())
def test_permits_that_learn_are_those_compiled_anew(events):
    history = History()
    held = Permits(history, purpose=PURPOSE, at_us=START - 1)
    entries = entries_of(events)
    for at in range(START, ASKED + 1):
        heard = [entry for entry in entries if entry.at_us == at]
        for entry in heard:
            extend_history(history, entry)
        before = asked_together(held)
        changed = held.learn(heard, at_us=at)
        now = asked_together(held)
        for role in ROLES:
            assert now[role] == permit(history, use_of(history, role), at)
            # Whoever changed, the gate asks anew about every record that concerns them.
            assert changed is None or changed & {ACCOUNT, PERSON, OTHER} or now[role] == before[role]


def asked_together(permits):
    company = permits.company("acme", BESIDE)
    return {role: permits.of("acme", party, role, CATEGORY, company=company) for role, party in ROLES.items()}


TIES = [  # what one and the same instant, a change of terms after it, and an earlier yes make of each other
    [(12, answer(PERSON, "yes")), (12, answer(PERSON, "no"))],
    [(11, answer(PERSON, "yes")), (12, answer(PERSON, "no")), (12, answer(PERSON, "yes"))],
    [(START + 3, answer(PERSON, "no")), (START + 3, answer(PERSON, "yes", "past"))],
    [(11, answer(PERSON, "yes")), (START + 3, answer(PERSON, "yes", "past"))],
    [(11, answer(PERSON, "yes")), (12, limit("g", [PERSON])), (12, limit("g", limited=False))],
    [(11, limit("g", [PERSON])), (START + 3, limit("g", limited=False)), (START + 3, answer(PERSON, "yes", "past"))],
]


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", KINDS)
def test_ties_are_the_same_among_many(old, new):
    start = [(START, publish("old", old, binds=START)), (START, publish("new", new, binds=START + 3))]
    named = [
        (name, rename([(START, accept("old")), *events], name))
        for number, events in enumerate(TIES)
        for name in [f"n{number}x"]
    ]
    check_together(start, named)


@pytest.mark.parametrize(
    ("start", "heard"),
    [
        ([(START, publish("old", "contract", binds=START)), (START, publish("new", "never", binds=12))], []),
        ([(START, publish("old", "regional", binds=START))], [(12, MOVES_TO_DE[ACCOUNT])]),
        ([(START, publish("old", "contract", binds=START))], [(12, publish("new", "never", binds=12))]),
        (
            [
                (START, publish("old", "contract", binds=START)),
                (START, publish("new", "never", binds=START, acceptance="explicit")),
            ],
            [(12, accept("new"))],
        ),
    ],
    ids=["terms that were announced come to bind", "an account moves", "new terms", "an acceptance"],
)
def test_what_concerns_everybody_is_learned_by_everybody(start, heard):
    events = [*start, (START, accept("old"))]
    held = Permits(history_of(events), purpose=PURPOSE, at_us=START)
    assert held.of("acme", PERSON, PartyRole.FIRST, CATEGORY) == Permit(since_us=BEGINNING_US)
    entries = entries_of(events + heard)[len(events) :]
    for entry in entries:
        extend_history(held.history, entry)
    assert held.learn(entries, at_us=12) is None
    assert isinstance(held.of("acme", PERSON, PartyRole.FIRST, CATEGORY), Refusal)


def test_a_lift_that_names_nobody_is_learned_by_all_of_the_group():
    start = [*CONSENTED, (START, answer(PERSON, "yes")), (START, limit("g", [PERSON, OTHER]))]
    history = history_of(start)
    held = Permits(history, purpose=PURPOSE, at_us=START)
    assert held.of("acme", PERSON, PartyRole.FIRST, CATEGORY) == Refusal(reason=Reason.LIMITED)
    [entry] = entries_of([*start, (12, limit("g", limited=False))])[len(start) :]
    extend_history(history, entry)
    assert held.learn([entry], at_us=12) == {PERSON, OTHER}
    assert held.of("acme", PERSON, PartyRole.FIRST, CATEGORY) == Permit(since_us=12)


def test_a_yes_that_ends_is_learned_at_its_instant_by_no_entry():
    told = [(START, publish("v", "lasting", binds=START)), (START, accept("v")), (11, answer(PERSON, "yes"))]
    for events, end_us in ((told, 13), ([*told, (12, answer(PERSON, "yes", until=14))], 14)):
        held = Permits(history_of(events), purpose=PURPOSE, at_us=12)
        assert held.of("acme", PERSON, PartyRole.FIRST, CATEGORY) == Permit(since_us=11)
        assert held.good_until_us() == 13  # whether the first yes still counts is not looked at
        while held.at_us < end_us - 1:
            held.learn([], at_us=held.at_us + 1)
            assert held.of("acme", PERSON, PartyRole.FIRST, CATEGORY) == Permit(since_us=11)
        assert held.learn([], at_us=end_us) == {PERSON}
        assert held.of("acme", PERSON, PartyRole.FIRST, CATEGORY) == Refusal(reason=Reason.EXPIRED)
        assert held.learn([], at_us=20) <= {PERSON}
        assert held.good_until_us() == NO_PERMIT_US


@pytest.mark.parametrize(
    "heard", [answer(PERSON, "yes"), OF_PERSON[-2], OF_PERSON[-1], MOVES_TO_DE[PERSON]], ids=lambda event: event[0]
)
def test_one_person_changes_nobody_elses_answer(heard):
    history = history_of(CONSENTED)
    held = Permits(history, purpose=PURPOSE, at_us=START)
    [entry] = entries_of([(START + 1, heard)])
    extend_history(history, entry)
    assert held.learn([entry], at_us=START + 1) == {PERSON}


def test_what_people_add_to_their_record_is_where_they_are_and_their_account_is_not():
    told = [(START, publish("v", "regional", binds=START)), (START, accept("v"))]
    told += [(START, ("acceptance", {"account": "other", "terms": "v"}))]
    told += [(11, MOVES_TO_DE[ACCOUNT]), (11, MOVES_TO_DE[PERSON]), (12, MOVES_TO_US[OTHER])]
    permits = Permits(history_of(told), purpose=PURPOSE, at_us=ASKED)
    for _ in range(2):  # from memory, too
        assert permits.company("acme", [PERSON]) == NO_COMPANY
        assert permits.company("acme", [PERSON, OTHER]) == {((11, "DE"), (12, "US"))}
        assert permits.company("other", [PERSON]) == {((11, "DE"),)}
    assert Permits(history_of(told), purpose=PURPOSE, at_us=11).company("acme", [OTHER]) == NO_COMPANY
    elsewhere = [(START, publish("v", "speaker", binds=START)), *told[1:]]  # in which no rule speaks of a region
    assert Permits(history_of(elsewhere), purpose=PURPOSE, at_us=ASKED).company("acme", [OTHER]) == NO_COMPANY


# --- consequences of the definition, each a sentence of the design ----------------------------------------------------

CONSENTED = [(START, publish("v", "consent", binds=START)), (START, accept("v"))]


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
    for use in uses(history, "acme", people, CATEGORY, PURPOSE):
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
        for use in uses(history, "acme", (PERSON, OTHER), CATEGORY, PURPOSE):
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
