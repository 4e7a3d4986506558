"""What the figures say in words: over random figures, every sentence says what its figure and its interval say."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.learning.families.installed import family_words, installed_families
from volition.transparency.figures import CANARY_BITS_BY_CHANCE, WHEN_ASKED, FirstPlaces, MeasuredFigure
from volition.transparency.verdicts import Sureness, of_own_risk, risks, shares, sureness, verdict

SHARE = st.floats(0, 1)
FAMILIES = ["search", "recommend", "summary", "compose", "diagnose", "gone"]  # the last one's package is not installed


def figure(what, about, value, *, low=None, high=None, metric="NDCG@10", model="search-0123456789ab", **more):
    known = value is not None
    return MeasuredFigure(
        what=what,
        about=about,
        metric=metric if known else "none",
        value=value,
        low=low,
        high=high,
        units=7 if known else 0,
        bound=None,
        verdict="no bound" if known else "not measured",
        how=more.pop("how", "By the book." if known else "Not measured. There was nothing."),
        model=model,
        **more,
    )


@st.composite
def differences(draw, trained=SHARE, untrained=SHARE):
    """A share with training, one without, and an interval around the difference, or none."""
    one, other = draw(trained), draw(untrained)
    value = one - other
    if draw(st.booleans()):
        return one, other, value, None, None
    below, above = draw(st.floats(0, 0.5)), draw(st.floats(0, 0.5))
    return one, other, value, value - below, value + above


@st.composite
def benefits(draw, about="your account"):
    """A benefit of some family, with first places where it has them."""
    family = draw(st.sampled_from(FAMILIES))
    trained, untrained, value, low, high = draw(differences())
    first = None
    if family_words(family).first and draw(st.booleans()):
        first = FirstPlaces(
            **dict(zip(("trained", "untrained", "value", "low", "high"), draw(differences()), strict=True))
        )
    return figure(
        "benefit",
        about,
        value,
        low=low,
        high=high,
        trained=trained,
        untrained=untrained,
        first=first,
        model=f"{family}-0123456789ab",
    )


def said(figures, *, is_account=False):
    return verdict(figures, is_account=is_account, words_of=family_words)


@given(SHARE, SHARE)
def test_shares_are_those_of_the_figures_and_alike_only_where_the_figures_are(trained, untrained):
    one, other, out_of = shares(trained, untrained)
    assert abs(one / out_of - trained) <= 0.5 / out_of + 1e-9
    if one == other:
        assert abs(trained - untrained) < 0.002
    else:
        assert abs(other / out_of - untrained) <= 0.5 / out_of + 1e-9
        assert (one > other) == (trained > untrained)
        assert abs((one - other) / out_of - (trained - untrained)) <= max(0.001, abs(trained - untrained) / 4) + 1e-9


@given(benefits())
def test_the_first_sentence_says_the_figures_and_how_sure_they_are(found):
    first = said([found])[0]
    assert first.startswith("With a yes to training, ")
    words = family_words(found.model.partition("-")[0])
    told = found.first if found.first is not None else found
    if (words.first and found.first) or words.score:
        match = re.search(r"(-?[\d,]+) of ([\d,]+)\b.*?(?:instead of (-?[\d,]+)|, as without);", first)
        one, out_of = int(match[1].replace(",", "")), int(match[2].replace(",", ""))
        assert abs(one / out_of - told.trained) <= 0.5 / out_of + 1e-9
        if match[3] is not None:
            assert abs(int(match[3].replace(",", "")) / out_of - told.untrained) <= 0.5 / out_of + 1e-9
    else:
        assert f"{found.trained:.3f} instead of {found.untrained:.3f}" in first
    tail = first.rpartition("; ")[2]
    assert ("more than chance" in tail) == (sureness(told.low, told.high) in {Sureness.BETTER, Sureness.WORSE})
    assert ("this helps your account, and" in tail) == (told.low is not None and told.low > 0)
    assert ("not sure that this helps" in tail) == (
        told.low is not None and told.low <= 0 <= told.high and told.value >= 0
    )
    assert ("too little was measured" in tail) == (told.low is None)


@given(benefits())
def test_a_benefit_below_zero_is_called_worse_and_no_other_is(found):
    told = found.first if found.first is not None else found
    assert ("worse" in said([found])[0]) == (told.value < 0)


@given(benefits())
def test_where_another_measure_says_otherwise_that_is_said(found):
    lines = said([found])
    apart = found.first is not None and sureness(found.low, found.high) is not sureness(
        found.first.low, found.first.high
    )
    assert (len(lines) == 2) == apart
    assert all(found.metric in line for line in lines[1:])


@pytest.mark.parametrize("is_account", [True, False])
@given(benefits("everybody"))
def test_where_the_accounts_own_was_not_measured_everybodys_is_told_as_that(is_account, found):
    missing = figure("benefit", "you" if is_account else "your account", None, model=found.model)
    lines = said([missing, found], is_account=is_account)
    assert "everybody taken together" in lines[0]
    assert "helps your account" not in lines[0]
    assert lines[-1] == "For your account alone it was not measured."


def test_nothing_measured_is_no_verdict():
    [line] = said([figure("benefit", "you", None, model=None)])
    assert line == "What a yes to training gives was not measured. There was nothing."


@given(differences(), st.booleans())
def test_what_ones_own_data_adds_is_said_as_surely_as_it_was_measured(difference, is_account):
    _, _, value, low, high = difference
    own = figure("own data", "you", value, low=low, high=high)
    benefit = figure("benefit", "you", 0.1, low=0.0, high=0.2, trained=0.5, untrained=0.4)
    line = said([benefit, own], is_account=is_account)[-1]
    assert line.lower().count("your account's own data" if is_account else "your own data") == 1
    assert ("makes it better" in line) == (low is not None and low > 0)
    assert ("makes it worse" in line) == (high is not None and high < 0)
    assert ("worse" in line) == (value < 0)
    assert "not measured" not in line


def test_what_ones_own_data_adds_is_not_measured_until_somebody_asks():
    benefit = figure("benefit", "your account", 0.1, low=0.0, high=0.2, trained=0.5, untrained=0.4)
    own = figure("own data", "you", None, how=f"Not measured. {WHEN_ASKED}")
    assert said([benefit, own])[-1] == "What your own data adds to this was not measured."


def test_two_families_of_one_purpose_are_told_apart():
    gains = [
        figure(
            "benefit", "your account", 0.1, low=0.05, high=0.2, trained=0.1, untrained=0.0, model="compose-0123456789ab"
        ),
        figure(
            "benefit", "your account", 0.1, low=0.05, high=0.2, trained=0.1, untrained=0.0, model="adapter-0123456789ab"
        ),
    ]
    assert [line.partition(":")[0] for line in said(gains)] == ["Composer", "Writing on"]


@given(SHARE, st.sampled_from([0.001, 0.01]), st.booleans())
def test_an_attack_is_told_beside_a_guess(value, chance, has_interval):
    low, high = (value / 2, min(1.0, value * 2)) if has_interval else (None, None)
    [line, other] = risks([figure("attack", "everybody", value, low=low, high=high, chance=chance)], is_account=False)
    by_guess, out_of = re.search(r"guesses is right about ([\d,]+) in ([\d,]+) people", line).groups()
    size = int(out_of.replace(",", ""))
    assert int(by_guess.replace(",", "")) == round(chance * size) >= 1
    found = re.search(r"this model, about ([\d,]+) in", line).group(1)
    assert abs(int(found.replace(",", "")) / size - value) <= 0.5 / size + 1e-9
    assert ("no more than by chance" in line) == (value <= chance)
    assert (": more than chance" in line) == (low is not None and low > chance and value > chance)
    assert "not measured" in other  # the canary


@given(st.floats(0, 10))
def test_what_a_model_repeats_is_told_as_a_place_beside_that_of_chance(bits):
    [_, line] = risks(
        [figure("canary", "everybody", bits, low=bits - 0.5, high=bits + 0.5, chance=CANARY_BITS_BY_CHANCE)],
        is_account=True,
    )
    place, by_chance = (int(one.replace(",", "")) for one in re.findall(r"at place ([\d,]+)", line))
    assert by_chance == 377
    assert abs(place - 1024 / 2**bits) <= 0.5
    assert ("no more than by chance" in line) == (bits <= CANARY_BITS_BY_CHANCE)
    assert (": more than chance" in line) == (bits - 0.5 > CANARY_BITS_BY_CHANCE)


def test_only_the_readers_own_risks_are_told_and_the_rate_that_fewer_people_show():
    costs = [
        figure("attack", "everybody", 0.2, low=0.0, high=0.4, chance=0.001),
        figure("attack", "everybody", 0.3, low=0.1, high=0.5, chance=0.01),
        figure("fairness", "everybody", 0.9),
        figure("poisoning", "everybody", 9.0),
    ]
    assert [one.value for one in of_own_risk(costs, "attack")] == [0.3]
    lines = risks(costs, is_account=False)
    assert "about 30 in 100" in lines[0]
    assert lines[1:] == ("Being repeated by it was not measured.",)


def test_the_words_of_every_family_have_a_place_for_the_share():
    for spec in installed_families().values():
        for words in (spec.words.first, spec.words.score):
            assert not words or words.count("{}") == 1
