"""Poisoning: a planted poisoner comes out on top, honest people do not stand out, and the rule is the textbook's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.planted import couples, crafts, searcher, searching, use
from simulator import silent
from volition.errors import InvalidInputError
from volition.learning.audit.poisoning import FEWEST_PARTIES, measure_poisoning, robust_scale
from volition.learning.families.recommend.family import RecommendFamily
from volition.learning.families.search.family import SearchFamily

POISONER = 5


def measure(family, rows, **how):
    accounts, people = measure_poisoning(family, rows, bound=3.5, progress=silent, **how)
    return accounts, people


@pytest.mark.slow
def test_a_person_who_opens_what_does_not_answer_comes_out_on_top():
    _, people = measure(SearchFamily(None), searching(poisoner=POISONER))

    worst = people.detail["parties"][0]
    assert worst["party"] == people.detail["stands_out"] == f"person:{searcher('helio', POISONER)}"
    assert people.verdict == "fail"
    assert people.value == pytest.approx(worst["z"])
    assert 0 < people.low < people.value < people.high
    assert worst["harm"] > 0.02


@pytest.mark.slow
def test_where_everybody_opens_what_answers_nobody_stands_out():
    _, people = measure(SearchFamily(None), searching())
    assert people.verdict == "pass"
    assert people.detail["stands_out"] is None
    assert {party["party"] for party in people.detail["parties"]} == {None}  # nobody is named who does not stand out


@pytest.mark.slow
def test_an_account_that_opens_what_does_not_answer_comes_out_on_top():
    rows = []
    for number, account in enumerate(("amber", "beryl", "coral", "dune", "ember", "fjord")):
        rows += searching(account, meetings=4, seed=number)
    wrong = searching("gorse", poisoner=POISONER, seed=9)
    rows += [one for one in wrong if one.category != "service/usage" or one.people[0] == searcher("gorse", POISONER)]

    accounts, _ = measure(SearchFamily(None), rows, most=8)

    assert accounts.detail["parties"][0]["party"] == accounts.detail["stands_out"] == "account:gorse"
    assert accounts.verdict == "fail"


def test_a_person_who_stuffs_items_comes_out_on_top_of_recommend():
    _, people = measure(RecommendFamily(), couples("acme", stuffers=1))
    assert people.detail["parties"][0]["party"] == people.detail["stands_out"] == "person:acme-stuffer-0"
    assert people.verdict == "fail"


def test_nothing_crosses_from_one_account_of_recommend_to_another():
    rows = [row for account in "abcdef" for row in couples(account, people=8, stuffers=account == "c")]
    accounts, _ = measure(RecommendFamily(), rows)
    assert (accounts.value, accounts.verdict) == (0.0, "pass")
    assert {party["influence"] for party in accounts.detail["parties"]} == {0.0}


def test_too_few_to_compare_is_not_measured():
    accounts, people = measure(RecommendFamily(), crafts("acme", people=FEWEST_PARTIES - 1))
    assert accounts.verdict == people.verdict == "not measured"
    assert f"takes {FEWEST_PARTIES} accounts" in accounts.how


def test_too_little_to_learn_from_is_not_measured():
    for finding in measure(SearchFamily(None), crafts("acme")):
        assert finding.verdict == "not measured"
        assert "too little to learn from" in finding.how


def test_the_parties_with_most_rows_are_left_out_where_there_are_too_many():
    _, people = measure(RecommendFamily(), couples("acme", stuffers=1), most=5)
    assert people.detail["left_out"] == 5
    assert 18 in [party["rows"] for party in people.detail["parties"]]  # the stuffer's: others have six at most


def test_the_order_of_the_rows_changes_nothing():
    rows = couples("acme", stuffers=1)
    assert measure(RecommendFamily(), rows) == measure(RecommendFamily(), rows[::-1])


@given(st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=1, max_size=20))
def test_the_robust_scale_is_the_textbooks(values):
    middle, spread = robust_scale(values)
    away = sorted(abs(value - np.median(values)) for value in values)
    mad = np.median(away)
    assert middle == pytest.approx(np.median(values))
    if mad > 1e-9:
        assert 0.6745 * (max(values) - middle) / mad == pytest.approx((max(values) - middle) / spread)
    elif max(away) > 1e-9:
        assert spread == pytest.approx(1.2533 * np.mean(away))
    else:
        assert spread == np.inf


def test_the_example_of_the_rule():
    middle, spread = robust_scale([2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3])
    assert [(value - middle) / spread > 3.5 for value in (2.6, 8.2, 8.3)] == [False, True, True]


def test_the_only_account_cannot_be_left_out():
    rows = [use("acme", f"person-{number}", f"document/{at}", at) for number in range(6) for at in range(4)]
    with pytest.raises(InvalidInputError):
        RecommendFamily().fit([], parts=None, progress=silent)
    accounts, _ = measure(RecommendFamily(), rows)
    assert accounts.verdict == "not measured"
