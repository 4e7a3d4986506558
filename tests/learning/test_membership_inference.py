"""Attack and canaries: what is planted is found, noise is not, and the figures are those of plain references."""
# ruff: noqa: ARG002 - a small family takes what the protocol gives it

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from bench.planted import Bigrams, Diary, Noise, chat, crowd, say, use
from simulator import silent
from volition.errors import InvalidInputError
from volition.learning.audit.canary import SECRETS, exposure, measure_canaries, rank_of_first
from volition.learning.audit.membership_inference import (
    RATES,
    Curve,
    Trials,
    attack,
    familiarity,
    likelihood_ratios,
    measure_attack,
    tpr_with_interval,
)
from volition.learning.families.family import NoParts, Scores
from volition.learning.families.recommend.family import RecommendFamily

# --- figures against plain references ---

EVIDENCE = st.integers(-3, 3)


@st.composite
def trials(draw):
    people = draw(st.integers(1, 6))
    first = draw(st.lists(st.booleans(), min_size=people, max_size=people))
    member = np.array([first, [not is_in for is_in in first]])
    evidence = np.array(draw(st.lists(EVIDENCE, min_size=2 * people, max_size=2 * people)), dtype=float)
    return Trials(people=tuple(map(str, range(people))), member=member, evidence=evidence.reshape(2, people))


def found_by_trying_every_threshold(members, others, rate):
    best = 0.0
    for threshold in [*members, *others, np.inf]:
        if np.mean(others >= threshold) <= rate + 1e-12:
            best = max(best, float(np.mean(members >= threshold)))
    return best


@given(trials(), st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.25, 1 / 3, 0.5, 1.0]), st.data())
def test_the_true_positive_rate_is_the_best_over_all_thresholds(given_trials, rate, data):
    people = len(given_trials.people)
    times = np.array(data.draw(st.lists(st.integers(0, 3), min_size=people, max_size=people)))
    times[0] = max(times[0], 1)
    repeated = given_trials.evidence.repeat(times, axis=1), given_trials.member.repeat(times, axis=1)
    members, others = repeated[0][repeated[1]], repeated[0][~repeated[1]]

    found = Curve(given_trials).tpr_at(rate, times)

    assert found == pytest.approx(found_by_trying_every_threshold(members, others, rate))


@given(trials())
def test_the_area_is_the_chance_that_a_member_stands_above_another(given_trials):
    members = given_trials.evidence[given_trials.member]
    others = given_trials.evidence[~given_trials.member]
    pairs = [(member > other) + (member == other) / 2 for member in members for other in others]
    assert Curve(given_trials).area() == pytest.approx(np.mean(pairs))


def test_the_likelihood_ratio_is_that_of_two_normal_densities_without_the_target_and_its_twin():
    rng = np.random.default_rng(4)
    half = rng.random((4, 9)) < 0.5
    member = np.stack([half, ~half], axis=1).reshape(8, 9)
    scores = rng.normal(size=(8, 9)) + member

    found = likelihood_ratios(scores, member)

    for target in range(8):
        shadows = [model for model in range(8) if model // 2 != target // 2]
        inside = [[scores[model, person] for model in shadows if member[model, person]] for person in range(9)]
        outside = [[scores[model, person] for model in shadows if not member[model, person]] for person in range(9)]
        wide = [np.sqrt(np.mean([np.var(known, ddof=1) for known in group])) for group in (inside, outside)]
        for person in range(9):
            ratio = norm.logpdf(scores[target, person], np.mean(inside[person]), wide[0])
            ratio -= norm.logpdf(scores[target, person], np.mean(outside[person]), wide[1])
            assert found[target, person] == pytest.approx(ratio)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_exposure_is_that_of_the_place_in_the_sorted_list(likelihoods):
    values = np.array(likelihoods, dtype=float)
    places = [place for place, value in enumerate(sorted(values, reverse=True), start=1) if value == values[0]]
    rank = rank_of_first(values)
    assert rank == pytest.approx(np.mean(places))
    assert exposure(rank, len(values)) == pytest.approx(np.log2(len(values) / np.mean(places)))


# --- what is planted is found, and noise is not ---


def test_a_family_that_keeps_everything_gives_everybody_away():
    findings = measure_attack(Diary(), crowd(1000), bound=0.1, progress=silent)

    assert [finding.metric for finding in findings] == ["TPR at 0.1 % FPR", "TPR at 1 % FPR"]
    for finding in findings:
        assert (finding.value, finding.verdict, finding.units) == (1.0, "fail", 1000)
        assert 0.99 < finding.low < finding.high == 1.0
        assert finding.detail["area_under_curve"] == 1.0


def test_against_noise_the_attack_finds_as_many_as_it_mistakes():
    strict, loose = measure_attack(Noise(), crowd(1000), bound=0.1, progress=silent)

    for finding, rate in ((strict, 0.001), (loose, 0.01)):
        assert finding.low <= rate <= finding.high
        assert finding.value < 4 * rate
        assert finding.verdict == "pass"
    assert strict.detail["area_under_curve"] == pytest.approx(0.5, abs=0.02)


def test_models_that_say_the_same_of_everybody_are_no_evidence():
    class Mute(Diary):
        def familiarity(self, model, rows):
            return {row.people[0]: 1.0 for row in rows}

    for finding in measure_attack(Mute(), crowd(1000), bound=None, progress=silent):
        assert (finding.value, finding.verdict) == (0.0, "no bound")
        assert finding.low == 0.0 < finding.high < 0.01  # nobody was found among a thousand, which is not nobody at all


def test_a_rate_that_so_few_people_cannot_show_is_not_measured():
    strict, loose = measure_attack(Diary(), crowd(250), bound=None, progress=silent)
    assert strict.verdict == "not measured"
    assert "with 250 others the smallest false-positive rate that can be measured is 1/250" in strict.how.lower()
    assert loose.value == 1.0

    class Untouched(Diary):
        def fit(self, rows, *, parts, progress):
            raise AssertionError("no model is trained where nothing can be told")

    for finding in measure_attack(Untouched(), crowd(99), bound=0.1, progress=silent):
        assert finding.verdict == "not measured"
        assert "1/99" in finding.how


def test_where_half_the_people_are_too_few_to_learn_from_nothing_is_measured():
    class Hungry(Diary):
        def fit(self, rows, *, parts, progress):
            raise InvalidInputError("it takes more rows")

    for finding in measure_attack(Hungry(), crowd(200), bound=0.1, progress=silent):
        assert finding.verdict == "not measured"
        assert "it takes more rows" in finding.how


@pytest.mark.parametrize("models", [0, 4, 7])
def test_models_attack_one_another_in_pairs(models):
    with pytest.raises(InvalidInputError, match="even number"):
        attack(Diary(), crowd(10), models=models, progress=silent)


def test_each_person_is_in_one_model_of_each_pair_and_halves_follow_from_the_rows_alone():
    rows = crowd(300)
    first = attack(Noise(), rows, progress=silent)
    again = attack(Noise(), rows[::-1], progress=silent)
    other = attack(Noise(), rows[1:], progress=silent)

    assert (first.member[0::2] ^ first.member[1::2]).all()
    assert 100 < first.member[0].sum() < 200
    assert (first.member == again.member).all()
    assert (first.evidence == again.evidence).all()
    assert (first.member[:, 1:] != other.member).any()


@pytest.mark.slow
def test_a_person_whose_pair_of_items_is_unique_is_visible_in_the_counts_of_recommend():
    """By design: the table holds how many people use both items, and where it says none the person is not in it."""
    rng = np.random.default_rng(9)
    rows = []
    for person in range(400):
        rows += [use("acme", f"{person:032x}", f"document/{item}") for item in rng.choice(6, size=3, replace=False)]
    unique = [f"{person:032x}" for person in range(0, 400, 4)]
    rows += [use("acme", person, f"private/{person}") for person in unique]

    trials = attack(RecommendFamily(), rows, progress=silent)

    def only(wanted):
        of = [place for place, person in enumerate(trials.people) if (person in set(unique)) == wanted]
        return replace(
            trials,
            people=tuple(trials.people[place] for place in of),
            member=trials.member[:, of],
            evidence=trials.evidence[:, of],
        )

    assert tpr_with_interval(only(wanted=True), 0.01)[0] == 1.0
    assert tpr_with_interval(only(wanted=False), 0.01)[0] < 0.1
    strict, loose = measure_attack(RecommendFamily(), rows, bound=0.1, progress=silent)
    assert strict.verdict == "not measured"
    assert loose.verdict == "fail"
    assert 0.2 < loose.value < 0.4


# --- how well a model knows somebody ---


def test_a_language_model_only_says_how_likely_texts_are():
    rows = chat()
    family = Bigrams(k=1)
    model = family.fit(rows[: len(rows) // 2], parts=NoParts(), progress=silent)

    known = familiarity(family, model, rows)

    person = rows[0].people[0]
    theirs = [
        value for value, row in zip(family.log_likelihood(model, rows), rows, strict=True) if row.people[0] == person
    ]
    assert len(known) == 30
    assert known[person] == pytest.approx(np.mean(theirs))


def test_any_other_family_is_asked_how_well_it_does_on_what_somebody_has_a_part_in():
    class Plain:
        """Only what every family has: how well a person's last item is known."""

        name, purpose = "plain", "train/recommend"

        def holdout(self, rows, fold, folds):
            return rows[:-1], rows[-1:]

        def evaluate(self, model, known, held_out):
            values = [float(row.record_id in model.texts["rows"]) for row in held_out if "b" not in row.people]
            return Scores(
                metric="m", units=("u",) * len(values), accounts=("a",) * len(values), values=np.array(values)
            )

    rows = [use("acme", "a", "one"), use("acme", "b", "two"), replace(use("acme", "c", "three"), people=("c", "a"))]
    model = Diary().fit(rows[2:], parts=NoParts(), progress=silent)
    assert familiarity(Plain(), model, rows) == {"a": 1.0, "c": 1.0}


# --- canaries ---


@pytest.mark.slow
def test_a_model_that_keeps_what_one_person_wrote_exposes_it_and_a_threshold_does_not():
    rows = chat()
    before = list(rows)

    [kept] = measure_canaries(Bigrams(k=1), rows, bound=3.0, progress=silent)
    assert kept.value > 6
    assert kept.verdict == "fail"
    assert kept.detail["by_writers"]["5"]["value"] > 9

    [guarded] = measure_canaries(Bigrams(k=5), rows, bound=3.0, progress=silent)
    assert guarded.low < np.log2(np.e) < guarded.high + 0.5
    assert guarded.verdict == "pass"
    assert guarded.detail["by_writers"]["5"]["value"] > guarded.high
    assert all(1 <= rank <= SECRETS for rank in guarded.detail["by_writers"]["1"]["ranks"])
    assert rows == before


def test_canaries_need_a_language_model_and_words():
    for finding in measure_canaries(RecommendFamily(), crowd(9), bound=3.0, progress=silent):
        assert finding.verdict == "not measured"
        assert "does not assign a likelihood" in finding.how
    for finding in measure_canaries(Bigrams(k=1), [say(1, "a", "good morning")], bound=3.0, progress=silent):
        assert finding.verdict == "not measured"
        assert "common words" in finding.how


def test_the_same_rows_give_the_same_canaries():
    rows = chat()
    first = measure_canaries(Bigrams(k=1), rows, bound=None, progress=silent, canaries=4)
    again = measure_canaries(Bigrams(k=1), rows[::-1], bound=None, progress=silent, canaries=4)
    assert first == again


def test_rates_are_the_two_that_are_asked_for():
    assert RATES == (0.001, 0.01)
