"""The built-in names are closed: what comes later is declared by terms, and a yes from before does not reach it."""

from dataclasses import replace

from volition import Workspace
from volition.consent.terms.terms_file import load_profile
from volition.consent.terms.vocabulary import BUILT_IN, Purpose

USE = {"account": "acme", "people": ["ada"], "category": "content/chat"}


def test_no_purpose_is_added_to_those_that_a_yes_to_their_root_has_covered_always():
    assert BUILT_IN.purposes == (
        *(f"train/{name}" for name in ("search", "recommend", "summary", "compose", "diagnose", "speech")),
        *(f"feature/{name}" for name in ("search", "recommend", "summary", "compose", "diagnose", "transcribe")),
        "advertising",
        "tracking",
    ), "declare a new purpose in a profile's next version (docs/decisions/0048): nobody who said yes knew of it"


def test_a_yes_to_all_features_does_not_reach_one_that_a_later_version_declares(tmp_path):
    day_us, now = 86_400_000_000, [1_750_000_000_000_000]
    with Workspace.create(tmp_path / "w", origin="log.example/later", clock=lambda: now[0]) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_person("ada", account="acme")
        workspace.terms.accept("acme")
        content = {"data": ["content"], "covers": "past"}
        workspace.consent.decide("account:acme", yes=True, purpose=["feature"], **content)
        assert workspace.gate.may("feature/transcribe", **USE).verdict.permitted
        later = replace(
            load_profile("granular"),
            id="later",
            effective_us=now[0],
            purposes=(Purpose(name="feature/translate", title="Translation"),),
        )
        workspace.terms.publish(later)
        now[0] += 60 * day_us
        workspace.terms.accept("acme", "later")

        assert workspace.gate.may("feature/translate", **USE).verdict.reason == "not-asked"
        assert workspace.gate.may("feature/summary", **USE).verdict.permitted

        workspace.consent.decide("account:acme", yes=True, purpose=["feature/translate"], **content)
        assert workspace.gate.may("feature/translate", **USE).verdict.permitted
