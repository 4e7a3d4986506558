"""The permits against their definition: an oracle that asks every instant, over every short history and long random ones.

Time is discrete here: instants are whole microseconds, everything that happens happens at one of them, so "unbroken
from t to T" is a check of each instant in between. Three answers must agree: the oracle's, the reference's (`permit`)
and the compiled form's (`Permits`).
"""

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.canonical import us_to_text
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
    permit,
)
from volition.consent.terms.model import Basis, Rule, Terms
from volition.ledger.entry import Entry

START = 10  # the first instant at which anything happens
INSTANTS = range(START, START + 5)
ASKED = START + 5
COLLECTED = range(START - 3, ASKED + 1)

ACCOUNT, PERSON, OTHER = "account:acme", "person:ada", "person:zoe"
CATEGORY, PURPOSE = "content/chat", "train/search"
ROLES = {PartyRole.ACCOUNT: ACCOUNT, PartyRole.FIRST: PERSON, PartyRole.OTHER: PERSON, PartyRole.ALTERNATE: PERSON}
OF_PEOPLE = [PartyRole.FIRST, PartyRole.OTHER, PartyRole.ALTERNATE]


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


def imported(event, said):
    """The same, said elsewhere at an instant, and recorded later."""
    kind, body = event
    return (kind, {**body, "claim": {"said": us_to_text(said), "by": "operator", "source": "crm"}})


def said_at(at, body):
    """Return when something was said that was recorded at an instant."""
    return us_of(body["claim"]["said"]) if "claim" in body else at


def copied(event):
    """The same, said by zoe, who may be ada, and recorded for ada."""
    kind, body = event
    return (kind, {**body, "namesake": OTHER})


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


CONSENTED = [(START, publish("v", "consent", binds=START)), (START, accept("v"))]


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


def allowed_at(events, role, instant, bound):  # noqa: C901 - the definition, whole
    """Judge one instant by replaying everything up to it, with the rules written down again in plain words."""
    party = ROLES[role]
    happened = [
        (said_at(at, body), kind, body)
        for at, (kind, body) in events
        if said_at(at, body) <= instant  # all known now
    ]
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
    if "first" in asked_of | may_refuse:
        may_refuse |= {"alternate"}  # whoever may be the first is never asked for a yes as that
    if kind_of_terms == "never":
        return False
    if "account" in asked_of | may_refuse and is_limited(happened, party):
        return False
    if role.value not in asked_of | may_refuse:
        return True
    if role is PartyRole.ALTERNATE:  # what zoe said is asked of zoe
        happened = [one for one in happened if "namesake" not in one[2]]
    answers = [
        (at, body["answer"] == "no") for at, kind, body in happened if kind == "decision" and body["party"] == party
    ]
    if kind_of_terms == "signalled":
        answers += [(at, True) for at, kind, body in happened if kind == "signal" and body["party"] == party]
    if not answers:
        return role.value not in asked_of
    if max(answers)[1]:  # the last answer; at one instant a no (True) beats a yes
        return False
    ages = {"lasting": True, "lasting-abroad": True in wins}.get(kind_of_terms, False) and role in {
        PartyRole.ACCOUNT,
        PartyRole.FIRST,
    }
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


def imports_of(party):
    return [
        imported(answer(party, "yes"), START - 1),
        imported(answer(party, "no"), START + 1),
        imported(answer(party, "yes"), START + 1),
    ]


SIGNAL = ("signal", {"party": PERSON, "signal": "gpc"})
MOVES_TO_DE = {party: ("region", {"party": party, "region": "DE"}) for party in (ACCOUNT, PERSON, OTHER)}
MOVES_TO_US = {party: ("region", {"party": party, "region": "US"}) for party in (ACCOUNT, PERSON, OTHER)}
OF_ACCOUNT = [
    *answers_of(ACCOUNT),
    *imports_of(ACCOUNT)[:2],
    limit(),
    limit(limited=False),
    *MOVES_TO_DE.values(),
    MOVES_TO_US[ACCOUNT],
    ("erasure", {"party": ACCOUNT}),
    accept("new"),
]
OF_PERSON = [
    *answers_of(PERSON),
    *imports_of(PERSON),
    copied(imports_of(PERSON)[1]),
    *MOVES_TO_DE.values(),
    MOVES_TO_US[PERSON],
    MOVES_TO_US[OTHER],
    limit("g", [PERSON]),
    limit("g", limited=False),
    SIGNAL,
    copied(answer(PERSON, "no")),
    copied(SIGNAL),
    ("erasure", {"party": PERSON}),
]


ENDS_OF_ACCOUNT = [*ends_of(ACCOUNT), answer(ACCOUNT, "yes"), answer(ACCOUNT, "no"), MOVES_TO_DE[PERSON]]
ENDS_OF_PERSON = [*ends_of(PERSON), answer(PERSON, "yes"), answer(PERSON, "no"), MOVES_TO_DE[OTHER]]


def histories(alphabet, length):
    """Yield every sequence of up to `length` events, each at one of the instants, times never running backwards."""
    moments = list(product(INSTANTS, alphabet))
    for size in range(length + 1):
        for sequence in product(moments, repeat=size):
            in_order = all(sequence[i][0] <= sequence[i + 1][0] for i in range(size - 1))
            if in_order and not any(said_at(at, body) > at for at, (_, body) in sequence):
                yield list(sequence)


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", KINDS)
def test_every_short_history_agrees_with_the_definition(old, new):
    start = [
        (START, publish("old", old, binds=START)),
        (START, publish("new", new, binds=START + 3)),
        (START + 1, accept("old")),
    ]
    for alphabet, roles in ((OF_ACCOUNT, [PartyRole.ACCOUNT]), (OF_PERSON, OF_PEOPLE)):
        for events in histories(alphabet, 1):
            check(sorted(start + events, key=lambda event: event[0]), roles)


UNDER_WHICH_A_YES_ENDS = ["contract", "speaker", "lasting", "lasting-abroad"]


@pytest.mark.slow
@pytest.mark.parametrize("new", UNDER_WHICH_A_YES_ENDS)
@pytest.mark.parametrize("old", UNDER_WHICH_A_YES_ENDS)
def test_every_yes_that_ends_agrees_with_the_definition(old, new):
    for party, alphabet, roles in (
        (ACCOUNT, ENDS_OF_ACCOUNT, [PartyRole.ACCOUNT]),
        (PERSON, ENDS_OF_PERSON, OF_PEOPLE),
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
        (ENDS_OF_PERSON, OF_PEOPLE),
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
    for alphabet, roles in ((OF_ACCOUNT, [PartyRole.ACCOUNT]), (OF_PERSON, OF_PEOPLE)):
        for events in histories(alphabet, 2):
            check(start + events, roles)


TWO_CLOCKS = [
    *imports_of(PERSON),
    imported(answer(PERSON, "no"), START - 1),
    imported(answer(PERSON, "yes", until=START + 3), START + 1),
    copied(imported(answer(PERSON, "no"), START + 1)),
    answer(PERSON, "yes"),
    answer(PERSON, "yes", "past"),
    answer(PERSON, "no"),
    SIGNAL,
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["signalled", "lasting"])  # the others are drawn
def test_every_two_answers_on_two_clocks_agree_with_the_definition(kind):
    start = [(START, publish("new", kind, binds=START)), (START, accept("new"))]
    start += [(START, imported(answer(ACCOUNT, "yes"), START - 1))]
    for events in histories(TWO_CLOCKS, 2):
        check(start + events, OF_PEOPLE)


COPIES = [answer(PERSON, "yes"), answer(PERSON, "no"), copied(answer(PERSON, "no")), SIGNAL, copied(SIGNAL)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", RULES)
def test_every_two_answers_of_a_namesake_agree_with_the_definition(kind):
    start = [
        (START, publish("old", "signalled", binds=START)),
        (START, publish("new", kind, binds=START + 2)),
        (START, accept("old")),
    ]
    for events in histories(COPIES, 2):
        check(sorted(start + events, key=lambda event: event[0]), OF_PEOPLE)


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
            check(sorted(start + events, key=lambda event: event[0]), OF_PEOPLE)


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
        check(sorted(start + events, key=lambda event: event[0]), OF_PEOPLE)


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
        st.sampled_from(ENDS_OF_ACCOUNT + ENDS_OF_PERSON + TWO_CLOCKS),
    ),
)


@st.composite
def long_histories(draw):
    drawn = [(max(at, said_at(at, event[1])), event) for at, event in draw(st.lists(events_at, max_size=14))]
    events = sorted(drawn, key=lambda event: event[0])
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
        told = {name: names[body[name]] for name in ("party", "namesake") if name in body}
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
        everybody = np.arange(len(accounts))
        held = {
            when: stretches[role].at(everybody, np.full(len(accounts), when)) for when in range(START - 1, ASKED + 1)
        }
        for position, (account, party) in enumerate(zip(accounts, parties, strict=True)):
            located = permits.history.located(beside[position])
            use = Use(account=account, party=party, role=role, category=CATEGORY, purpose=PURPOSE, beside=located)
            assert row(table, position) == permit(permits.history, use, ASKED), (
                told_of(account, events),
                role,
            )
            for when, then in held.items():
                is_allowed = allowed(permits.history, use, when, asked_us=ASKED) is None
                assert then[position] == is_allowed, (told_of(account, events), role, when)
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["consent", "lasting"])
def test_every_two_answers_on_two_clocks_are_the_same_among_many(kind):
    named = [
        (name, rename([(START, accept("new")), *events], name))
        for number, events in enumerate(histories(TWO_CLOCKS, 2))
        for name in [f"n{number}x"]
    ]
    check_together([(START, publish("new", kind, binds=START))], named)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
