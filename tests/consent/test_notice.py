"""New terms never take effect silently: every use that turns from no to yes was accepted, or announced long enough."""

from dataclasses import replace
from itertools import pairwise, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.canonical import us_to_text
from volition.consent.history import check_publications, read_history
from volition.consent.history.bindings import WRITING_US
from volition.consent.history.history import History
from volition.consent.terms import diff
from volition.consent.terms.model import CATEGORIES, PURPOSES, Basis
from volition.consent.terms.terms_file import PROFILES, load_profile
from volition.errors import ProofError
from volition.ledger.entry import Entry
from volition.workspace import Workspace

DAY_US = 86_400_000_000
START_US = 20_000 * DAY_US
VERSIONS = {name: load_profile(name) for name in PROFILES}
REGIONS = (None, "DE", "US")
ANSWERS = [dict(zip(("account", "first", "other"), said, strict=True)) for said in product("yn-", repeat=3)]
PARTIES = {"account": ["account"], "person": ["first"], "everyone": ["first", "other"]}


@pytest.fixture(autouse=True, scope="module")
def _compared_once():
    """Compare each pair of profiles once for all sequences: that is what takes long."""
    known = {}

    def newly_allows(old, new):
        pair = (old and old.id, new.id)
        if pair not in known:
            known[pair] = compare(old, new)
        return known[pair]

    compare = diff.newly_allows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diff, "newly_allows", newly_allows)
        yield


def allowed(terms):
    """Return every use that some answers allow, with how old a record may be: the definition, without the diff."""
    uses = {}
    for category, purpose, region in product(CATEGORIES, PURPOSES, REGIONS):
        rule = terms.rule_for(category, purpose, region)
        if rule is None or rule.basis is Basis.NEVER:
            continue
        for number, said in enumerate(ANSWERS):
            asked = {party for role in rule.asks for party in PARTIES[role]}
            heard = {party for role in rule.refusable_by for party in PARTIES[role]}
            if all(said[party] == "y" for party in asked) and all(said[party] != "n" for party in heard):
                uses[category, purpose, region, number] = rule.max_age_us
    return uses


ALLOWED = {name: allowed(terms) for name, terms in VERSIONS.items()}


def turns_to_yes(old, new):
    before, after = ALLOWED.get(old, {}), ALLOWED[new]
    return any(use not in before or before[use] != after[use] for use in after)


def check(events):
    """Hold the bindings of the account to the definition, after (instant, "publish" or "accept", version)."""
    history, published, accepted = History(), {}, []
    for at_us, what, name in events:
        if what == "publish":
            terms = VERSIONS[name]
            binds_us = history.bindings.earliest_us(terms, binds_us=at_us, at_us=at_us)
            history.bindings.publish(terms, binds_us=binds_us, at_us=at_us)
            published[name] = at_us
        else:
            history.bindings.accept("acme", name, at_us=at_us)
            accepted.append((max(at_us, VERSIONS[name].effective_us), name))
    bound = [(at_us, terms.id) for at_us, terms in history.bindings.terms_of("acme")]
    for (_, old), (at_us, new) in pairwise([(0, None), *bound]):
        if (at_us, new) in accepted or not turns_to_yes(old, new):
            continue
        first_us = min(at_us for at_us, what, _ in events if what == "accept")
        days = max(VERSIONS[name].notice_days for name in (old, new) if name)
        known_us = max(published[new], first_us)
        assert at_us >= known_us + days * DAY_US - WRITING_US, (events, old, new)
    said_us = {at_us for at_us, _, _ in events}  # whoever waits reads the entry, too
    starts = [at_us for at_us, _ in bound if at_us not in said_us]
    for before_us in [0, *starts]:
        later = [at_us for at_us in starts if at_us > before_us]
        coming_us = history.bindings.next_binding_us(after_us=before_us)
        assert not later or (coming_us is not None and coming_us <= later[0]), (
            "whoever waits for the next change would miss this one"
        )


@pytest.mark.parametrize("gap_days", [0, 1, 29, 31])
@pytest.mark.slow
def test_no_sequence_of_the_profiles_goes_round_the_notice(gap_days):
    for order in permutations(sorted(VERSIONS)):
        steps = [(START_US + place * gap_days * DAY_US + place, "publish", name) for place, name in enumerate(order)]
        steps.insert(1, (steps[0][0], "accept", order[0]))
        check(steps)


@st.composite
def sequences(draw):
    """Versions in any order, at any distance, accepted at any time; the account comes at any time, too."""
    names = draw(st.permutations(sorted(VERSIONS)))[: draw(st.integers(1, len(VERSIONS)))]
    steps, now_us, there = [], START_US, []
    for name in names:
        now_us += draw(st.sampled_from([1, DAY_US, 10 * DAY_US, 29 * DAY_US, 30 * DAY_US, 45 * DAY_US]))
        steps.append((now_us, "publish", name))
        there.append(name)
        for _ in range(draw(st.integers(0, 2))):
            now_us += draw(st.sampled_from([1, DAY_US, 20 * DAY_US, 30 * DAY_US]))
            steps.append((now_us, "accept", draw(st.sampled_from(there))))
    if not any(what == "accept" for _, what, _ in steps):
        steps.append((now_us + 1, "accept", there[0]))
    return steps


@pytest.mark.slow
@given(sequences())
def test_no_sequence_of_publications_and_acceptances_goes_round_the_notice(steps):
    check(steps)


@given(sequences(), st.data())
def test_what_a_log_says_later_changes_nothing_that_was(steps, data):
    """What binds an account until now follows from what was written until now."""
    size = data.draw(st.integers(1, len(steps)))
    history, seen = History(), None
    for place, (at_us, what, name) in enumerate(steps):
        if place == size:
            seen = [(start, one.id) for start, one in history.bindings.terms_of("acme") if start < at_us]
            until_us = at_us
        if what == "publish":
            history.bindings.publish(VERSIONS[name], binds_us=at_us, at_us=at_us)
        else:
            history.bindings.accept("acme", name, at_us=at_us)
    if seen is not None:
        assert [(start, one.id) for start, one in history.bindings.terms_of("acme") if start < until_us] == seen


def test_a_customer_who_comes_in_the_middle_of_a_notice_has_all_of_it():
    history = History()
    history.bindings.publish(VERSIONS["granular"], binds_us=START_US, at_us=START_US)
    history.bindings.accept("early", "granular", at_us=START_US + 1)
    history.bindings.publish(VERSIONS["2023-07-27"], binds_us=START_US + 31 * DAY_US, at_us=START_US + DAY_US)
    history.bindings.accept("late", "granular", at_us=START_US + 30 * DAY_US)
    assert history.bindings.terms_of("early")[-1][0] == START_US + 31 * DAY_US
    assert history.bindings.terms_of("late")[-1][0] == START_US + 60 * DAY_US


# --- the log of somebody else --------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [(30, 1), (1, 30), (10, 10), (0, 0)])
def test_the_longer_notice_of_the_two_versions_counts(days):
    older, newer = next((old, new) for old, new in permutations(VERSIONS, 2) if turns_to_yes(old, new))
    common = {"acceptance": "continued-use", "effective_us": 0}
    old, new = (
        replace(VERSIONS[name], notice_days=notice_days, **common)
        for name, notice_days in zip((older, newer), days, strict=True)
    )
    bindings, at_us = History().bindings, START_US + 100 * DAY_US
    bindings.publish(old, binds_us=START_US, at_us=START_US)
    bindings.accept("acme", older, at_us=START_US)
    earliest_us = bindings.earliest_us(new, binds_us=at_us, at_us=at_us)
    assert earliest_us == at_us + max(days) * DAY_US
    bindings.publish(new, binds_us=at_us, at_us=at_us)
    [_, (binds_us, terms)] = bindings.terms_of("acme")
    assert terms.id == newer
    assert max(at_us, earliest_us - WRITING_US) <= binds_us <= earliest_us


def published(name, at_us, binds_us):
    return "terms", {"terms": VERSIONS[name].to_json(), "binds": us_to_text(binds_us)}, at_us


def entries(*said):
    return [Entry(seq=number, at_us=at_us, kind=kind, body=body) for number, (kind, body, at_us) in enumerate(said)]


ACCEPTED = ("acceptance", {"account": "acme", "terms": "granular"}, START_US + 1)
HONEST = (published("granular", START_US, START_US), ACCEPTED)


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (published("granular", START_US + 2, START_US + 2), "was published before"),
        (published("2023-08-11", START_US + DAY_US, START_US + 2), "before the entry itself"),
        (published("2023-07-27", START_US + DAY_US, START_US + DAY_US), "could not know of it for long enough"),
        (published("2023-07-27", START_US + DAY_US, START_US + 30 * DAY_US), "could not know of it for long enough"),
    ],
)
def test_a_publication_that_goes_round_the_notice_is_named_and_binds_nobody_sooner(lie, why):
    log = entries(*HONEST, lie)
    with pytest.raises(ProofError, match=why):
        check_publications(log)
    history = read_history(log)
    for at_us, terms in history.bindings.terms_of("acme")[1:]:
        assert at_us >= lie[2]
        assert terms.id == "2023-08-11" or at_us >= lie[2] + 30 * DAY_US - WRITING_US


def test_two_publications_in_a_row_are_named_though_each_seems_harmless():
    first = published("2023-07-27", START_US + DAY_US, START_US + 31 * DAY_US)
    second = published("2023-08-07", START_US + DAY_US + 1, START_US + DAY_US + 1)
    assert check_publications(entries(*HONEST, first)) == 2
    with pytest.raises(ProofError, match="Entry 3 publishes '2023-08-07'"):
        check_publications(entries(*HONEST, first, second))


def test_two_publications_in_a_row_allow_nothing_before_the_notice_period_ends(tmp_path):
    now = [START_US]
    with Workspace.create(tmp_path / "w", clock=lambda: now[0]) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme")
        workspace.people.add_person("ann", account="acme")
        for name in ("2023-07-27", "2023-08-07"):
            now[0] += DAY_US
            workspace.terms.publish(load_profile(name))

        def may(purpose):
            return workspace.gate.may(
                purpose, account="acme", people=["ann"], category="service/usage"
            ).verdict.permitted

        now[0] += 28 * DAY_US
        assert not may("advertising")
        assert not may("train/search")
        now[0] += 2 * DAY_US
        assert may("advertising"), "it was announced for long enough"
        assert workspace.proofs.bundle(tmp_path / "evidence.zip")
