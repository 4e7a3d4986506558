"""Terms: which rule wins, and the form in which they stand in the ledger."""

import contextlib
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_terms import (
    ALL_USES,
    CATEGORY_NAMES,
    OWN_CATEGORIES,
    OWN_PURPOSES,
    SOME_REGIONS,
    build,
    rules,
    versions,
)
from volition.canonical import canonical_json
from volition.consent.terms.model import CATEGORIES, PURPOSES, Basis, Rule, Switch, Terms
from volition.consent.terms.regions import COUNTRIES, EEA, check_region, region_matches
from volition.consent.terms.terms_file import load_profile
from volition.consent.terms.vocabulary import covers, leaves
from volition.errors import InvalidInputError

OWN = {"categories": OWN_CATEGORIES, "purposes": OWN_PURPOSES}

# --- which rule wins -----------------------------------------------------------------------------------------------


def naive_winners(ruleset, category, purpose, region):
    """Return all rules of the highest rank for a use: the definition, without any table."""

    def rank(rule):
        longest = [
            max((len(name) for name in names if leaf == name or leaf.startswith(f"{name}/")), default=0)
            for names, leaf in ((rule.data, category), (rule.purpose, purpose))
        ]
        country = "" if region is None else region[:2]
        here = not rule.region or region in rule.region or country in rule.region
        here = here or ("EEA" in rule.region and country in EEA)
        return (rule.region != (), *longest) if here and all(longest) else None

    ranks = [rank(rule) for rule in ruleset]
    best = max((known for known in ranks if known), default=None)
    return [rule for rule, known in zip(ruleset, ranks, strict=True) if known == best and best]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(rules(OWN_CATEGORIES, OWN_PURPOSES), min_size=1, max_size=5))
def test_the_most_specific_rule_wins_and_ties_and_dead_rules_are_refused(ruleset):
    winners = {
        (category, purpose, region): naive_winners(ruleset, category, purpose, region)
        for category, purpose in ALL_USES
        for region in SOME_REGIONS
    }
    tie = any(len(found) > 1 for found in winners.values())
    used = {id(rule) for found in winners.values() for rule in found}
    if tie or any(id(rule) not in used for rule in ruleset):
        with pytest.raises(InvalidInputError, match="equally specific" if tie else "never applies"):
            build(ruleset, **OWN)
        return

    terms = build(ruleset, **OWN)

    for (category, purpose, region), found in winners.items():
        assert terms.rule_for(category, purpose, region) == (found[0] if found else None)


def test_region_beats_category_and_category_beats_purpose():
    anywhere = {"basis": Basis.CONTRACT}
    by_region = Rule(data=("content",), purpose=("train",), region=("EEA",), **anywhere)
    by_category = Rule(data=("content/chat",), purpose=("train",), **anywhere)
    by_purpose = Rule(data=("content",), purpose=("train/search",), **anywhere)
    terms = build([by_purpose, by_category, by_region])

    assert terms.rule_for("content/chat", "train/search", "SE") is by_region
    assert terms.rule_for("content/chat", "train/search", "JP") is by_category
    assert terms.rule_for("content/audio", "train/search", None) is by_purpose
    assert terms.rule_for("content/audio", "train/compose", None) is None


def test_what_is_no_use_or_no_region_is_refused_rather_than_answered():
    terms = load_profile("granular")
    for category, purpose, region in [
        ("content", "train/search", None),
        ("content/chat", "train", None),
        ("content/chat", "train/search", "EEA"),
        ("content/chat", "train/search", ""),
        ("content/chat", "train/search", "UK"),
    ]:
        with pytest.raises(InvalidInputError):
            terms.rule_for(category, purpose, region)


def test_a_name_covers_itself_and_all_below_it_and_nothing_else():
    assert covers("service", "service/usage")
    assert covers("tracking", "tracking")
    assert not covers("serv", "service/usage")
    assert not covers("service/usage", "service")
    assert leaves(["train/compose", "train"], PURPOSES) == tuple(name for name in PURPOSES if name[:6] == "train/")
    with pytest.raises(InvalidInputError, match='Did you mean "content"'):
        leaves(["contents"], CATEGORIES)


def test_regions_take_in_their_parts():
    assert len(EEA) == 30
    assert len(COUNTRIES) == 249
    assert region_matches((), None)
    assert region_matches(("US",), "US-CA")
    assert region_matches(("EEA",), "FR-IDF")
    assert not region_matches(("US-CA",), "US")
    assert not region_matches(("EEA",), "GB")
    assert not region_matches(("EEA", "US"), None)
    assert check_region("US-CA") == "US-CA"
    with pytest.raises(InvalidInputError, match='Write "GB"'):
        check_region("UK")


# --- the form in the ledger ----------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(versions())
def test_terms_come_back_equal_from_json(terms):
    again = Terms.from_json(terms.to_json())

    assert again == terms
    assert again.digest == terms.digest
    assert again.text == ""
    assert again.text_digest == terms.text_digest


def test_another_prose_is_another_version():
    rule = Rule(data=("service",), purpose=("train",), basis=Basis.CONTRACT)
    assert build([rule], text="One.") != build([rule], text="Two.")
    assert build([rule], text="One.").digest != build([rule], text="Two.").digest


def test_terms_too_large_for_a_ledger_entry_are_refused():
    switches = tuple(Switch(name=f"s{number}", title="T" * 200, refuses=("train",)) for number in range(250))
    rule = Rule(data=("service",), purpose=("train",), basis=Basis.CONTRACT)

    with pytest.raises(InvalidInputError, match=r"a ledger entry holds 60,000"):
        build([rule], switches=switches)

    assert len(canonical_json(build([rule], switches=switches[:200]).to_json())) < 60_000


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*CATEGORY_NAMES, "1d", "𝄞"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """Yield the path of every value inside a value."""
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*path, step))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["bundled", "granular"]), st.randoms(use_true_random=False), ANY_JSON)
def test_a_ledger_entry_that_is_no_terms_is_invalid_input_and_nothing_worse(name, random, junk):
    value = copy.deepcopy(load_profile(name).to_json())
    path = random.choice(list(places(value)))
    target = value
    for step in path[:-1]:
        target = target[step]
    if path:
        target[path[-1]] = junk
    else:
        value = junk
    with contextlib.suppress(InvalidInputError):
        assert Terms.from_json(value).rules
