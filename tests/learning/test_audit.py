"""What audits find: planted effects, with intervals that cover, and never a figure about a handful of people."""

import json
import tomllib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volition.consent.terms.toml_file import FaultError
from volition.errors import InvalidInputError
from volition.learning.audit.benefit import measure_benefit
from volition.learning.audit.bounds import Bound, read_bounds
from volition.learning.audit.cross_validation import Crossed, Fold, cross_validate
from volition.learning.audit.defaults import (
    BOUNDS,
    DEFAULT_BOUNDS,
    DEFAULTS,
    EARLIER_BOUNDS,
    bounds_text,
    held,
    is_held,
    verdict_on,
)
from volition.learning.audit.fairness import measure_fairness
from volition.learning.audit.finding import Finding, at_least, at_most, not_measured
from volition.learning.audit.groups import FEWEST, UNRECORDED, groupings, shown_groups
from volition.learning.audit.intervals import bootstrap_interval
from volition.learning.audit.marginal import marginal_effect
from volition.learning.audit.run import AUDITS, run_audits
from volition.learning.audit.trainings import learn, unlearn
from volition.learning.families.family import NoParts, Scores
from volition.learning.families.recommend.family import RecommendFamily
from volition.progress import silent
from volition.records.lake import Row

FAMILY = RecommendFamily()
MEASURED = Finding(
    audit="benefit",
    metric="NDCG@10",
    value=0.1,
    low=0.05,
    high=0.2,
    bound=None,
    verdict="no bound",
    units=12,
    how="By a test.",
    detail={"trained": 0.6, "untrained": 0.5, "by_account": {}},
)


def use(account, person, item, at_us=0, *, others=(), **attributes):
    return Row(
        record_id=f"{account}/{person}/{item}/{at_us}",
        account=account,
        people=(person, *others),
        category="service/usage",
        collected_us=at_us,
        payload={"kind": "event", "name": "opened", "attributes": {"volition.item": item, **attributes}},
    )


def crafts(account, people=24, items=24, seed=5):
    """Two crafts: each person uses the items of one, so that what like people use is worth knowing."""
    random = np.random.default_rng(seed)
    return [
        use(account, f"{account}-{person}", f"document/{item:02d}", at)
        for person in range(people)
        for at, item in enumerate(random.choice(np.arange(person % 2, items, 2), size=8, replace=False))
    ]


def alone(account, people=8):
    """Everybody uses their own items, so that there is nothing to learn."""
    return [
        use(account, f"{account}-{person}", f"document/{person}-{number}", number)
        for person in range(people)
        for number in range(6)
    ]


def crossed_of(values, *, accounts=None, people=None, family=FAMILY):
    """Put scores where cross-validation would have put them."""
    units = tuple(f"unit-{number}" for number in range(len(values)))
    scores = Scores(
        metric="NDCG@10",
        units=units,
        accounts=tuple(accounts or ["acme"] * len(units)),
        values=np.array(values, dtype=np.float64),
        people=tuple(people or [(unit,) for unit in units]),
    )
    nothing = Scores(metric="NDCG@10", units=units, accounts=scores.accounts, values=np.zeros(len(units)))
    fold = Fold(known=(), held=(), model=None, trained=scores, untrained=nothing)
    return Crossed(family=family, folds=(fold,), fault="")


def fairness_of(crossed, regions, *, rows=(), bound=None):
    found = measure_fairness(crossed, rows, regions=regions, bound=bound)
    return {finding.metric.rpartition(" by ")[2]: finding for finding in found}


# --- a finding ---


@pytest.mark.parametrize("finding", [MEASURED, not_measured("benefit", "Nothing was held out.", bound=0.0)])
def test_a_finding_comes_back_from_json_unchanged(finding):
    assert Finding.from_json(json.loads(json.dumps(finding.to_json()))) == finding


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": None},
        {"verdict": "not measured"},
        {"verdict": "fine"},
        {"measured": True},
    ],
)
def test_a_finding_that_contradicts_itself_or_has_another_shape_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        Finding.from_json(MEASURED.to_json() | wrong)


@given(value=st.floats(allow_nan=False), bound=st.floats(allow_nan=False))
def test_a_verdict_compares_with_its_bound(value, bound):
    assert at_least(value, bound) == ("pass" if value >= bound else "fail")
    assert at_most(value, bound) == ("pass" if value <= bound else "fail")
    assert at_least(value, None) == at_most(value, None) == "no bound"


# --- intervals ---


def test_intervals_cover_the_truth_as_often_as_they_say():
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_interval(random.beta(2, 3, size=60))
        covered += low <= 0.4 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_one_unit_alone_has_no_interval():
    assert bootstrap_interval(np.array([0.5])) == (None, None)
    assert bootstrap_interval(np.array([0.5, 0.5])) == (0.5, 0.5)


# --- benefit, and an account's own data ---


def test_a_planted_benefit_is_found_and_where_there_is_none_none_is():
    rows = crafts("acme") + alone("lonely")
    [found] = measure_benefit(cross_validate(FAMILY, rows, progress=silent), bound=0.01, progress=silent)

    acme = found.detail["by_account"]["acme"]
    assert acme["low"] > 0.05
    assert acme["low"] <= acme["value"] <= acme["high"]
    assert acme["value"] == pytest.approx(acme["trained"] - acme["untrained"])
    assert acme["units"] == acme["people"] == 24
    assert found.verdict == "pass"
    assert found.value == pytest.approx(found.detail["trained"] - found.detail["untrained"])
    assert found.units == sum(told["units"] for told in found.detail["by_account"].values())
    assert found.detail["by_account"]["lonely"]["value"] <= 0


def test_what_an_accounts_own_data_gives_is_what_it_loses_by_a_no():
    # Nothing crosses from one account to another, so without its own data an account is suggested nothing at all.
    rows = crafts("acme") + crafts("bolt", seed=6)
    [found] = measure_benefit(cross_validate(FAMILY, rows, progress=silent), bound=None, progress=silent)
    for told in found.detail["by_account"].values():
        assert told["marginal"]["value"] == pytest.approx(told["trained"])
        assert 0 < told["marginal"]["low"] < told["marginal"]["value"] < told["marginal"]["high"]
        assert told["marginal"]["units"] == told["units"]


ROWS = st.lists(
    st.builds(
        use,
        st.sampled_from(["acme", "bolt"]),
        st.sampled_from([f"person-{number}" for number in range(6)]),
        st.sampled_from([f"document/{number}" for number in range(8)]),
        st.integers(0, 9),
    ),
    min_size=20,
    max_size=70,
    unique_by=lambda row: row.record_id,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(rows=ROWS, person=st.integers(0, 5))
def test_leaving_out_by_forgetting_is_training_again_without(rows, person):
    crossed = cross_validate(FAMILY, rows, progress=silent, folds=2)
    if crossed.fault:
        return
    gone = f"person-{person}"
    effect, own = marginal_effect(crossed, gone=lambda row: gone in row.people, account="acme", person=gone)

    differences, mine = [], []
    for fold in crossed.folds:
        left = [row for row in fold.known if gone not in row.people]
        try:
            model = FAMILY.fit(left, parts=NoParts(), progress=silent)
        except InvalidInputError:
            model = None
        without = FAMILY.evaluate(model, fold.known, fold.held)
        for place, (account, unit) in enumerate(zip(without.accounts, without.units, strict=True)):
            if account == "acme":
                differences.append(fold.trained.values[place] - without.values[place])
                mine.append(unit == gone)
    assert effect.units == len(differences)
    assert own.units == sum(mine)
    if differences:
        assert effect.value == pytest.approx(np.mean(differences), abs=1e-12)
    if any(mine):
        assert own.value == pytest.approx(np.array(differences)[mine].mean(), abs=1e-12)


def test_what_cannot_be_measured_says_so_and_why():
    found = run_audits(FAMILY, [use("acme", "ann", "document/1")], regions={}, bounds=DEFAULT_BOUNDS, progress=silent)
    assert {finding.audit for finding in found} >= set(AUDITS) - {"attack", "poisoning"}
    for finding in found:
        assert not finding.measured
        assert finding.how.startswith("Not measured. ")


# --- fairness ---


def planted(gap, *, each=30, seed=3):
    """Scores of two regions whose means differ, and of a third that is as good as the first."""
    random = np.random.default_rng(seed)
    means = {"DE": 0.8, "FR": 0.8 - gap, "NL": 0.8}
    values = np.concatenate([np.clip(random.normal(mean, 0.1, each), 0, 1) for mean in means.values()])
    regions = {f"person:unit-{place}": name for place, name in enumerate(np.repeat(list(means), each))}
    return crossed_of(values), {party: str(name) for party, name in regions.items()}


def test_a_planted_gap_is_found_with_the_group_that_fares_worst():
    crossed, regions = planted(0.4)
    found = fairness_of(crossed, regions, bound=0.2)["region"]
    assert found.low < 0.4 < found.high
    assert found.low <= found.value <= found.high
    assert found.verdict == "fail"
    groups = found.detail["groups"]
    assert min(groups, key=lambda name: groups[name]["value"]) == "FR"
    assert found.detail["ratio"] == pytest.approx(groups["FR"]["value"] / max(g["value"] for g in groups.values()))
    assert found.detail["ratio_low"] < 0.5 < found.detail["ratio_high"]
    assert found.detail["smallest"] == 30
    assert found.units == 90


def test_no_gap_is_no_failure():
    crossed, regions = planted(0.0)
    found = fairness_of(crossed, regions, bound=0.2)["region"]
    assert found.verdict == "pass"
    assert found.low < 0.06


def test_groups_are_those_that_are_on_record_and_nothing_is_guessed():
    crossed, _ = planted(0.4)
    found = fairness_of(crossed, {})
    assert set(found) == {"region", "language", "account size", "role"}
    assert not found["region"].measured
    assert "No region is on record" in found["region"].how
    assert "browser.language" in found["language"].how
    assert "user.roles" in found["role"].how


def test_a_persons_own_region_counts_before_the_accounts_and_a_subdivision_as_its_country():
    people = [("ann",), ("ben",), ("ann", "ben"), ("cleo",)]
    scores = crossed_of([1, 1, 1, 1], accounts=["acme", "acme", "acme", "bolt"], people=people).trained
    regions = {"account:acme": "US-CA", "person:ben": "DE"}
    by_name = {grouping.name: grouping for grouping in groupings(scores, [], regions=regions)}
    assert by_name["region"].labels == ("US", "DE", "several", UNRECORDED)


def test_language_and_role_come_from_the_newest_usage_that_names_them():
    rows = [
        use("acme", "ann", "a", 1, **{"browser.language": "en-US", "user.roles": ["editor", "admin"]}),
        use("acme", "ann", "b", 2, **{"browser.language": "de_AT"}),
        use("acme", "ben", "a", 1, others=("ann",), **{"browser.language": "FR", "user.roles": "guest"}),
        use("acme", "cleo", "a", 1, **{"browser.language": "", "user.roles": [7, " "]}),
    ]
    scores = crossed_of([1, 1, 1], people=[("ann",), ("ben",), ("cleo",)]).trained
    by_name = {grouping.name: grouping for grouping in groupings(scores, rows, regions={})}
    assert by_name["language"].labels == ("de", "fr", UNRECORDED)
    assert by_name["role"].labels == ("admin, editor", "guest", UNRECORDED)
    assert by_name["account size"].labels == ("1 to 9 people",) * 3


def test_account_sizes_count_the_people_in_the_snapshot():
    rows = [use("big", f"person-{number}", "a") for number in range(60)] + [use("small", "ann", "a")]
    scores = crossed_of([1, 1], accounts=["big", "small"]).trained
    [sizes] = [grouping for grouping in groupings(scores, rows, regions={}) if grouping.name == "account size"]
    assert sizes.labels == ("50 to 249 people", "1 to 9 people")


def test_without_fairlearn_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fairlearn.metrics", None)
    crossed, regions = planted(0.4)
    found = fairness_of(crossed, regions)["region"]
    assert not found.measured
    assert "pip install 'volition[audit]'" in found.how


# --- small groups ---


UNITS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.lists(st.integers(0, 25), min_size=1, max_size=3, unique=True)),
    min_size=1,
    max_size=80,
)


@given(units=UNITS)
def test_neither_a_small_group_nor_what_is_left_of_the_whole_tells_about_a_handful(units):
    labels = [label for label, _ in units]
    people = [tuple(map(str, concerned)) for _, concerned in units]
    shown = shown_groups(labels, people)

    def size(chosen):
        places = [place for place, label in enumerate(labels) if label in chosen]
        return len(places), len({person for place in places for person in people[place]})

    for label in shown:
        assert min(size({label})) >= FEWEST
    hidden = set(labels) - set(shown)
    assert not shown or not hidden or (len(hidden) > 1 and min(size(hidden)) >= FEWEST)
    # Nothing is hidden without need.
    if all(min(size({label})) >= FEWEST for label in set(labels)):
        assert set(shown) == set(labels)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 14), min_size=4, max_size=4), seed=st.integers(0, 99))
def test_a_finding_never_names_a_small_group_and_what_it_leaves_over_is_no_handful(sizes, seed):
    names = ["AT", "BE", "CH", "DE"]
    labels = [name for name, size in zip(names, sizes, strict=True) for _ in range(size)]
    if not labels:
        return
    crossed = crossed_of(np.random.default_rng(seed).random(len(labels)))
    found = fairness_of(crossed, {f"person:unit-{place}": name for place, name in enumerate(labels)})["region"]
    told = json.dumps(found.to_json())
    small = [name for name, size in Counter(labels).items() if size < FEWEST]
    assert not [name for name in small if f'"{name}"' in told]
    if found.measured:
        left = len(labels) - sum(group["units"] for group in found.detail["groups"].values())
        assert left == 0 or left >= FEWEST
        assert found.detail["hidden"] != 1


# --- bounds ---


def test_a_new_workspaces_file_says_the_bounds_that_hold_without_any_one_of_its_lines():
    assert read_bounds(tomllib.loads(bounds_text())["audit"], BOUNDS) == DEFAULT_BOUNDS
    lines = bounds_text().splitlines()
    for place, line in enumerate(lines):
        if " = " not in line or line.startswith("#"):
            continue
        left = read_bounds(tomllib.loads("\n".join(lines[:place] + lines[place + 1 :]))["audit"], BOUNDS)
        for name, bound in DEFAULT_BOUNDS.items():  # a line less never loosens anything
            assert (left[name].value, left[name].required) == (bound.value, bound.required), line
            assert left[name].surely <= bound.surely, line


def test_a_new_workspace_binds_and_one_from_before_keeps_its_own():
    for audit in ("benefit", "fairness", "attack", "canary"):
        assert DEFAULT_BOUNDS[audit].value is not None
    earlier = {"benefit": {"required": False}, "attack": {}, "canary": {"bound": 3.0}}
    found = read_bounds(earlier, BOUNDS)
    assert found == read_bounds({}, BOUNDS) == EARLIER_BOUNDS
    assert [name for name, bound in found.items() if bound.value is not None] == ["canary"]
    assert read_bounds(earlier | {"defaults": 2}, BOUNDS) == DEFAULT_BOUNDS


def test_bounds_are_read_and_what_is_left_out_keeps_its_own():
    table = {
        "defaults": 2,
        "benefit": {"bound": 1},
        "fairness": {"required": True},
        "attack": {"bound": 0.5, "surely": True},
    }
    bounds = read_bounds(table, BOUNDS)
    assert bounds["benefit"] == Bound(value=1.0)  # a bound that somebody writes is held against the figure itself
    assert bounds["fairness"] == replace(DEFAULT_BOUNDS["fairness"], required=True)
    assert bounds["attack"] == Bound(value=0.5, surely=True)


@given(
    audit=st.sampled_from([*DEFAULTS]),
    bound=st.floats(-1, 1),
    value=st.floats(-1, 1),
    apart=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    surely=st.booleans(),
)
def test_a_bound_that_only_a_sure_miss_misses_is_missed_by_a_whole_interval(audit, bound, value, apart, surely):
    low, high = value - apart[0], value + apart[1]
    found = Finding(
        audit=audit,
        metric="m",
        value=value,
        low=low,
        high=high,
        bound=bound,
        verdict="pass",
        units=3,
        how="So.",
        detail={},
    )
    before = replace(found, verdict=verdict_on(audit, (value, None, None), bound))
    judged = held(before, Bound(value=bound, surely=surely))
    is_beyond = value < bound if audit == "benefit" else value > bound
    is_surely_beyond = high < bound if audit == "benefit" else low > bound
    assert (judged.verdict == "fail") == (is_surely_beyond if surely else is_beyond)
    assert is_held(judged, Bound(value=bound, surely=surely))
    assert not is_held(judged, Bound(value=bound, surely=not surely))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (7, "expected a table"),
        ({"benefits": {}}, 'unknown key "benefits". Did you mean "benefit"?'),
        ({"benefit": 0.1}, "expected a table"),
        ({"benefit": {"bond": 0.1}}, 'unknown key "bond". Did you mean "bound"?'),
        ({"benefit": {"bound": "0.1"}}, '"bound" must be a number'),
        ({"benefit": {"bound": True}}, '"bound" must be a number'),
        ({"benefit": {"bound": float("nan")}}, '"bound" must be a number'),
        ({"benefit": {"required": 1}}, "true or false"),
        ({"benefit": {"bound": 1, "surely": "yes"}}, "true or false"),
        ({"defaults": 3}, '"defaults" must be 1 or 2'),
    ],
)
def test_what_is_no_bound_is_refused(table, told):
    with pytest.raises(FaultError) as raised:
        read_bounds(table, BOUNDS)
    assert told in raised.value.fault


# --- killed half-way ---


class Memory:
    """Keeps parts until it is killed."""

    def __init__(self, puts=None):
        self.kept, self.asked, self.left = {}, [], puts

    def get(self, name):
        self.asked.append(name)
        return self.kept.get(name)

    def put(self, name, arrays):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left = None if self.left is None else self.left - 1
        self.kept[name] = dict(arrays)


def test_a_killed_audit_trains_no_model_twice_and_finds_the_same():
    rows = crafts("acme", people=12)

    def audited(parts):
        return run_audits(FAMILY, rows, regions={}, bounds=DEFAULT_BOUNDS, progress=silent, parts=parts)

    whole = Memory()
    found = audited(whole)
    killed = Memory(puts=7)
    with pytest.raises(KeyboardInterrupt):
        audited(killed)
    before = dict(killed.kept)
    killed.left = len(whole.kept) - 7  # one more training than it takes, and it dies again
    assert audited(killed) == found == audited(NoParts())
    assert len(before) == 7
    assert killed.kept.keys() == whole.kept.keys()
    assert killed.left == 0


def test_a_kept_model_is_told_apart_by_all_that_it_learned_from():
    rows, parts = crafts("acme", people=6), Memory()
    model = learn(FAMILY, rows, parts=parts)
    assert learn(FAMILY, rows, parts=parts).files() == model.files()
    changed = replace(rows[0], payload=rows[0].payload | {"attributes": {"volition.item": "document/other"}})
    one = [replace(row, merged={rows[0].people[0]: rows[-1].people[0]}) for row in rows]  # became one person since
    for other in (rows[1:], [changed, *rows[1:]], one):
        assert learn(FAMILY, other, parts=parts).files() == FAMILY.fit(other, parts=NoParts(), progress=silent).files()
    assert (
        unlearn(FAMILY, model, before=rows, after=rows[1:], parts=parts).files()
        == learn(FAMILY, rows[1:], parts=parts).files()
    )
    assert len(parts.kept) == 4
