"""The profiles that ship: what they say, and whose yes they ask for."""

import itertools
import re
from importlib import resources

import pytest

from drawn_terms import USES
from volition.canonical import canonical_json
from volition.consent.terms.model import PURPOSES, Basis, Terms
from volition.consent.terms.terms_file import PROFILES, load_profile
from volition.errors import InvalidInputError


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_loads_and_says_in_its_prose_that_audits_are_part_of_the_purpose(name):
    terms = load_profile(name)

    assert terms.id == name
    assert 150 <= len(terms.text.split()) <= 300
    prose = " ".join(terms.text.lower().split())
    assert "evaluating and auditing" in prose
    assert re.search(r"is part of the purpose (that the model|it) was trained for", prose)
    assert len(canonical_json(terms.to_json())) < 60_000
    assert Terms.from_json(terms.to_json()) == terms


def test_the_profiles_that_ship_are_those_that_can_be_named():
    shipped = {file.name for file in (resources.files("volition.consent.terms") / "profiles").iterdir()}
    assert shipped == {f"{name}.{kind}" for name in PROFILES for kind in ("toml", "md")}
    with pytest.raises(InvalidInputError, match='Did you mean "granular"'):
        load_profile("granula")


def test_no_profile_but_the_2023_ones_allows_advertising_or_tracking():
    for name, (category, purpose) in itertools.product(["bundled", "granular"], USES):
        if purpose in {"advertising", "tracking"}:
            assert load_profile(name).rule_for(category, purpose, None).basis is Basis.NEVER


def test_in_granular_each_use_has_one_switch_of_its_own_that_turns_off_nothing_else():
    switches = load_profile("granular").switches
    assert sorted(switch.refuses for switch in switches) == sorted(
        (name,) for name in PURPOSES if name.startswith(("train/", "feature/"))
    )
    assert not any(switch.disables for switch in switches)


@pytest.mark.parametrize(
    ("name", "use", "region", "asks", "refusable_by"),
    [
        ("granular", ("content/chat", "train/compose"), None, ("account", "everyone"), ()),
        ("granular", ("service/usage", "train/search"), "US", ("account",), ("everyone",)),
        ("granular", ("service/usage", "train/search"), "GB", ("account", "person"), ("everyone",)),
        ("granular", ("service/usage", "feature/recommend"), None, ("account",), ("everyone",)),
        ("granular", ("content/transcript", "feature/summary"), "DE", ("account",), ("person",)),
        ("bundled", ("service/usage", "train/search"), None, (), ("account", "person")),
        ("bundled", ("service/usage", "train/search"), "CH", ("account", "person"), ()),
        ("2023-07-27", ("content/audio", "train/summary"), "DE", (), ()),
        ("2023-08-07", ("content/audio", "train/summary"), "DE", ("account",), ()),
        ("2023-08-11", ("service/telemetry", "tracking"), None, (), ()),
    ],
)
def test_whose_yes_the_profiles_ask_for(name, use, region, asks, refusable_by):
    rule = load_profile(name).rule_for(*use, region)
    assert (rule.asks, rule.refusable_by) == (asks, refusable_by)


def test_no_content_trains_ai_under_the_last_2023_terms():
    terms = load_profile("2023-08-11")
    for category, purpose in USES:
        if category.startswith("content/") and purpose.startswith("train/"):
            assert terms.rule_for(category, purpose, None).basis is Basis.NEVER
