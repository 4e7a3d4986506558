"""Recommend: what it learns, what it says, and that it forgets exactly."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.errors import InvalidInputError
from volition.learning.audit.benefit import measure_benefit
from volition.learning.audit.cross_validation import cross_validate
from volition.learning.audit.finding import Finding
from volition.learning.audit.rivals import rival_wins
from volition.learning.families.diagnose.family import DiagnoseFamily
from volition.learning.families.family import NoParts, Subtracting
from volition.learning.families.model import Model
from volition.learning.families.recommend.family import RecommendFamily
from volition.learning.families.recommend.recommender import recommend
from volition.progress import silent
from volition.records.lake import Row

FAMILY = RecommendFamily()


def use(account: str, person: str, item: str, at_us: int = 0, *, others: tuple[str, ...] = ()) -> Row:
    return Row(
        record_id=f"{account}/{person}/{item}/{at_us}",
        account=account,
        people=(person, *others),
        category="service/usage",
        collected_us=at_us,
        payload={"kind": "event", "name": "item.opened", "attributes": {"volition.item": item}, "body": None},
    )


def fit(rows: Sequence[Row]) -> Model:
    return FAMILY.fit(rows, parts=NoParts(), progress=silent)


def forget(model: Model, before: Sequence[Row], after: Sequence[Row]) -> Model:
    return FAMILY.forget(model, before=before, after=after, parts=NoParts(), progress=silent)


def two_crafts(people: int = 60, items: int = 40, *, account: str = "acme", seed: int = 5) -> list[Row]:
    """Plant two crafts: each person mostly uses the items of one, and everybody uses the most popular ones more."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        ours = np.arange(items) % 2 == person % 2
        weights = np.where(ours, 1.0, 0.05) / (np.arange(items) // 2 + 3)
        chosen = rng.choice(items, size=10, replace=False, p=weights / weights.sum())
        rows += [use(account, f"{person:032x}", f"document/{item:02d}", at) for at, item in enumerate(chosen)]
    return rows


def test_people_are_suggested_what_people_like_them_use():
    model = fit(two_crafts())
    own = [use("acme", "new", f"document/{item:02d}") for item in (0, 2, 4)]

    answer = recommend(model, own, account="acme", limit=5)

    assert [int(suggestion.item[-2:]) % 2 for suggestion in answer] == [0] * 5
    assert {suggestion.because for suggestion in answer} <= {
        f"because you use document/{item:02d}" for item in (0, 2, 4)
    }


@pytest.mark.parametrize("mine", [[1], [1, 2, 7]])
def test_scores_are_those_of_the_regression_that_ease_is(mine):
    # Each item is explained by the others: ridge regression with that item's own column left out (Steck 2019, section 2).
    # Everybody uses one item of each of six pairs, so that some weights are negative.
    names = [f"document/{item:02d}" for item in range(12)]
    x = np.zeros((80, 12))
    picks = np.random.default_rng(3).integers(0, 2, size=(80, 6))
    x[np.arange(80)[:, None], 2 * np.arange(6) + picks] = 1
    rows = [use("acme", f"{person:032x}", names[item]) for person, item in np.argwhere(x)]
    ridge = 3 * x.sum() / 12

    answer = recommend(fit(rows), [use("acme", "new", names[item]) for item in mine], account="acme", limit=12)

    assert len(answer) == 12 - len(mine)
    assert len(mine) > 1 or answer[-1].score < 0
    for suggestion in answer:
        others = [item for item in range(12) if names[item] != suggestion.item]
        left, right = x[:, others], x[:, names.index(suggestion.item)]
        weights = np.linalg.solve(left.T @ left + ridge * np.eye(11), left.T @ right)
        assert suggestion.score == pytest.approx(sum(weights[others.index(item)] for item in mine), abs=1e-8)


def test_ease_beats_popularity_and_popularity_beats_no_order_on_planted_preferences():
    trained, popular, untrained = [], [], []
    for seed in range(3):
        known, held_out = FAMILY.holdout(two_crafts(seed=seed), 0, 1)
        model = fit(known)
        trained.append(FAMILY.evaluate(model, known, held_out).values.mean())
        popular.append(FAMILY.evaluate_rival(model, known, held_out).values.mean())
        untrained.append(FAMILY.evaluate(None, known, held_out).values.mean())

    assert np.mean(trained) > np.mean(popular) + 0.03
    assert np.mean(popular) > np.mean(untrained) + 0.03


def without_taste(account, people=60, items=30, seed=0):
    """Everybody draws from one list, whatever they took before: what they use says nothing beyond what is popular."""
    rng = np.random.default_rng(seed)
    weights = 1.0 / (np.arange(items) + 1.0)
    return [
        use(account, f"{person:032x}", f"document/{item:02d}", at)
        for person in range(people)
        for at, item in enumerate(rng.choice(items, size=6, replace=False, p=weights / weights.sum()))
    ]


def test_the_audit_chooses_what_wins_account_by_account():
    rows = [*two_crafts(account="acme"), *without_taste("bolt"), *without_taste("tiny", people=5)]
    crossed = cross_validate(FAMILY, rows, progress=silent, folds=2)
    [finding] = measure_benefit(crossed, bound=None, progress=silent)
    told = finding.detail["rival"]
    assert told["name"] == "popularity"
    assert {account: rival_wins([finding], account) for account in ("acme", "bolt", "tiny", "nobody")} == {
        "acme": False,
        "bolt": True,
        "tiny": False,  # too few to say
        "nobody": False,
    }
    assert rival_wins([Finding.from_json(json.loads(json.dumps(finding.to_json())))], "bolt")
    assert not rival_wins([], "bolt")

    model = fit(rows)
    own = [use("bolt", "new", "document/20")]
    popular = recommend(model, own, account="bolt", personal=False)
    assert popular == recommend(model, [], account="bolt", limit=10)[: len(popular)]
    assert {suggestion.because_item for suggestion in popular} == {""}


def test_what_was_used_a_minute_ago_is_not_offered_again():
    own = [use("acme", "a", "x", 1), use("acme", "a", "y", 5), use("acme", "a", "x", 9)]
    assert [s.item for s in recommend(None, own, account="acme", before_us=9)] == ["y"]
    assert recommend(None, own, account="acme", before_us=5) == ()


KINDS = ("channel/general", "document/budget", "person/ada", "feature/polls")


def test_channels_documents_people_and_features_are_suggested_alike_each_with_a_reason():
    rows = [use("acme", person, item) for person in "abc" for item in KINDS]
    model = fit(rows)

    for mine in KINDS:
        answer = recommend(model, [use("acme", "new", mine)], account="acme")
        assert {s.item for s in answer} == {*KINDS} - {mine}
        assert {s.because for s in answer} == {f"because you use {mine}"}
    assert {s.item for s in recommend(model, [], account="acme")} == {*KINDS}


def test_what_is_hidden_is_neither_suggested_nor_named_as_a_reason_and_takes_nobodys_place():
    rows = [use("acme", person, item) for person in "abc" for item in KINDS]
    model = fit(rows)
    own = [use("acme", "new", "person/ada"), use("acme", "new", "channel/general")]

    def hidden(item):
        return item.startswith("person/")

    answer = recommend(model, own, account="acme", limit=2, hidden=hidden)
    assert {s.item for s in answer} == {"document/budget", "feature/polls"}
    assert {s.because for s in answer} == {"because you use channel/general"}
    assert [s.item for s in recommend(None, own, account="acme", hidden=hidden)] == ["channel/general"]


def test_a_newcomer_is_suggested_what_most_people_use():
    rows = [use("acme", person, "channel/general") for person in "abc"]
    rows += [use("acme", person, "channel/lunch") for person in "ab"]

    answer = recommend(fit(rows), [], account="acme")

    assert [(s.item, s.score, s.because) for s in answer] == [
        ("channel/general", 3.0, "3 people in your account use it"),
        ("channel/lunch", 2.0, "2 people in your account use it"),
    ]


def test_an_item_that_one_person_alone_uses_is_never_suggested():
    rows = [use("acme", person, "channel/general") for person in "abc"]
    rows += [
        use("acme", "a", "document/my-secret"),
        use("acme", "a", "channel/lunch"),
        use("acme", "b", "channel/lunch"),
    ]
    model = fit(rows)

    for own in ([], [use("acme", "z", "channel/general")]):
        assert "document/my-secret" not in {s.item for s in recommend(model, own, account="acme")}


def test_nothing_crosses_from_one_account_to_another():
    rows = two_crafts(account="acme") + [use("bolt", person, "channel/bolt-only") for person in "ab"]
    model = fit(rows)
    both = [use("acme", "x", "document/00"), use("bolt", "x", "document/02")]

    assert {s.item for s in recommend(model, both, account="bolt")} == {"channel/bolt-only"}
    assert "channel/bolt-only" not in {s.item for s in recommend(model, both, account="acme", limit=100)}
    assert recommend(model, both, account="nobody-knows-it") == ()
    alone = fit([row for row in rows if row.account == "acme"])
    assert recommend(model, both, account="acme") == recommend(alone, both, account="acme")


def test_what_a_person_uses_already_is_not_suggested():
    model = fit(two_crafts())
    own = [use("acme", "new", f"document/{item:02d}") for item in range(0, 40, 3)]

    answer = recommend(model, own, account="acme", limit=100)

    assert not {row.payload["attributes"]["volition.item"] for row in own} & {s.item for s in answer}
    assert len(answer) > 10


def test_without_a_model_a_person_finds_their_own_items_the_latest_first():
    own = [use("acme", "a", "x", 1), use("acme", "a", "y", 2), use("acme", "a", "x", 3), use("bolt", "a", "z", 9)]

    assert [s.item for s in recommend(None, own, account="acme")] == ["x", "y"]


def test_rows_that_are_no_use_of_an_item_teach_nothing():
    good = [use("acme", "a", "x"), use("acme", "b", "x")]
    other = use("acme", "c", "y")
    odd = [
        Row(**{**_fields(other), "category": "service/telemetry"}),
        Row(**{**_fields(other), "people": ()}),
        Row(**{**_fields(other), "payload": {"kind": "message", "text": "y"}}),
        Row(**{**_fields(other), "payload": {"kind": "event", "name": "n", "attributes": {"volition.item": 7}}}),
        Row(**{**_fields(other), "payload": {"kind": "event", "name": "n", "attributes": {"volition.item": ""}}}),
    ]

    assert fit(good + odd).files() == fit(good).files()
    with pytest.raises(InvalidInputError, match=r"volition\.item"):
        fit(odd)


def _fields(row: Row) -> dict:
    return {name: getattr(row, name) for name in Row.__slots__}


def test_a_saved_model_says_what_the_fitted_one_said(tmp_path):
    model = fit(two_crafts())
    model.save(tmp_path / "model")
    own = [use("acme", "new", "document/04"), use("acme", "new", "document/07")]

    again = Model.load(tmp_path / "model")

    assert again.files() == model.files()
    assert recommend(again, own, account="acme") == recommend(model, own, account="acme")


def test_a_model_of_another_family_is_refused():
    other = Model(family="search", settings={}, arrays={}, texts={})
    with pytest.raises(InvalidInputError, match="recommend family"):
        recommend(other, [], account="acme")


_ANOTHER_PROCESS = """
import sys
sys.path[:0] = [{source!r}, {tests!r}, {tests!r} + "/learning"]
from test_recommend import *
model = fit(list(reversed(two_crafts(people=300, items=150))))
own = [use("acme", "new", f"document/{{item:02d}}") for item in range(0, 30, 2)]
print(model.digest, repr(recommend(model, own, account="acme", limit=50)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_bytes_and_answers_do_not_depend_on_process_threads_or_row_order(threads):
    rows = two_crafts(people=300, items=150)
    model = fit(rows)
    own = [use("acme", "new", f"document/{item:02d}") for item in range(0, 30, 2)]
    script = _ANOTHER_PROCESS.format(
        source=str(Path(__file__).parents[2] / "src"), tests=str(Path(__file__).parents[1])
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads}

    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == f"{model.digest} {recommend(model, own, account='acme', limit=50)!r}"


# --- forgetting ---

USES = st.lists(
    st.builds(
        use,
        st.sampled_from(["acme", "bolt", "cove"]),
        st.sampled_from("abcde"),
        st.sampled_from(["i", "j", "k", "l", "m"]),
        st.integers(0, 2),
        others=st.sampled_from([(), ("a",), ("b", "c")]),
    ),
    max_size=60,
)


def outcome(make) -> dict[str, bytes] | None:
    """Return a model's files, or none when there is nothing to learn from."""
    try:
        return make().files()
    except InvalidInputError:
        return None


def assert_forgets(before: Sequence[Row], after: Sequence[Row]) -> None:
    if not before:
        return
    model = fit(before)
    assert outcome(lambda: forget(model, before, after)) == outcome(lambda: fit(after))


@given(USES, st.sets(st.sampled_from("abcde")))
def test_forgetting_people_leaves_the_bytes_of_a_model_that_never_saw_them(rows, people):
    assert_forgets(rows, [row for row in rows if not people & set(row.people)])


@given(USES, st.sets(st.sampled_from(["acme", "bolt", "cove"])))
def test_forgetting_accounts_leaves_the_bytes_of_a_model_that_never_saw_them(rows, accounts):
    after = [row for row in rows if row.account not in accounts]
    assert_forgets(rows, after)


@given(USES, st.sets(st.sampled_from(["acme", "bolt", "cove"])))
def test_an_account_whose_rows_cannot_be_read_any_more_is_forgotten_too(rows, erased):
    if not rows:
        return
    readable = [row for row in rows if row.account not in erased]
    model = fit(rows)
    assert outcome(lambda: forget(model, readable, readable)) == outcome(lambda: fit(readable))


@given(USES, st.data())
def test_forgetting_any_rows_leaves_the_bytes_of_a_model_that_never_saw_them(rows, data):
    keep = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    assert_forgets(rows, [row for row, kept in zip(rows, keep, strict=True) if kept])


@given(USES, st.data())
def test_forgetting_one_after_another_is_forgetting_all_at_once(rows, data):
    if not rows:
        return
    model, left = fit(rows), rows
    for person in data.draw(st.permutations("abcde")):
        after = [row for row in left if person not in row.people]
        if not after:
            return
        model, left = forget(model, left, after), after
        assert model.files() == fit(left).files()


@given(USES.filter(bool))
def test_forgetting_nobody_changes_no_byte(rows):
    model = fit(rows)
    assert forget(model, rows, list(reversed(rows))).files() == model.files()


@given(USES.filter(bool))
def test_forgetting_everybody_leaves_nothing_to_make_a_model_of(rows):
    with pytest.raises(InvalidInputError):
        forget(fit(rows), rows, [])


@pytest.mark.slow
@given(USES.filter(bool), st.sets(st.sampled_from("abcde")), st.sampled_from([None, "acme", "bolt"]))
def test_subtracting_needs_no_rows_of_those_for_whom_nothing_changed(rows, people, account):
    after = [row for row in rows if row.people[0] not in people and row.account != account]
    gone = {(row.account, row.people[0]) for row in rows} - {(row.account, row.people[0]) for row in after}
    before = [row for row in rows if (row.account, row.people[0]) in gone]

    told = outcome(
        lambda: FAMILY.subtract(
            fit(rows), before=before, after=[], accounts={row.account for row in after}, progress=silent
        )
    )

    assert told == outcome(lambda: fit(after))


@given(USES, st.sets(st.sampled_from("abcde")), st.booleans(), st.data())
def test_forgetting_after_people_became_one_counts_them_once_whenever_that_was(rows, merged, before_training, data):
    if not rows:
        return
    before = [replace(row, merged=dict.fromkeys(merged, "a")) for row in rows]
    keep = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    after = [row for row, kept in zip(before, keep, strict=True) if kept]
    model = fit(before if before_training else rows)
    assert outcome(lambda: forget(model, before, after)) == outcome(lambda: fit(after))


def test_what_one_person_uses_under_two_identities_is_suggested_to_nobody():
    rows = [use("acme", person, item) for person in ("a", "b", "c", "heard") for item in ("document/x", "document/y")]
    rows += [use("acme", person, "document/own") for person in ("a", "heard")]
    own = [use("acme", "new", "document/x")]
    assert "document/own" in {found.item for found in recommend(fit(rows), own, account="acme")}
    one = [replace(row, merged={"heard": "a"}) for row in rows]
    assert {found.item for found in recommend(fit(one), own, account="acme")} == {"document/y"}


def test_recommendations_forget_by_subtraction():
    assert isinstance(FAMILY, Subtracting)
    assert not isinstance(DiagnoseFamily(), Subtracting)


def test_a_forgetting_that_adds_a_use_is_refused():
    rows = [use("acme", person, item) for person in "ab" for item in ("x", "y")]
    with pytest.raises(InvalidInputError, match="never adds"):
        FAMILY.subtract(fit(rows), before=rows[:1], after=[use("acme", "a", "z")], accounts={"acme"}, progress=silent)


def test_a_model_of_an_older_form_is_refused_with_what_to_do():
    old = Model(family="recommend", settings={"format": 1}, arrays={}, texts={})
    with pytest.raises(InvalidInputError, match="Train again"):
        recommend(old, [], account="acme")


def test_only_the_most_used_items_of_a_large_account_are_solved(monkeypatch):
    monkeypatch.setattr("volition.learning.families.recommend.recommender.MAX_ITEMS", 5)
    rows = [use("acme", f"p{n}", f"item-{item}") for item in range(9) for n in range(2 + item)]

    answer = recommend(fit(rows), [use("acme", "new", "item-8")], account="acme", limit=9)

    assert {s.item for s in answer} == {f"item-{item}" for item in (4, 5, 6, 7)}


def test_an_item_that_only_a_forgotten_person_used_is_in_no_file():
    rows = [use("acme", "a", "document/project-chimera"), *(use("acme", person, "channel/general") for person in "abc")]
    model = forget(fit(rows), rows, rows[2:])

    assert not any(b"chimera" in data for data in model.files().values())


# --- holding out ---


def test_the_last_items_of_each_person_are_held_out_with_all_their_uses():
    rows = [use("acme", "a", f"item-{n}", n) for n in range(10)]
    late_again = use("acme", "a", "item-1", 99)  # item-1 is old: a later use does not make it new
    early_twin = use("acme", "a", "item-9", 50)

    known, held_out = FAMILY.holdout([*rows, late_again, early_twin], 0, 1)

    assert {row.payload["attributes"]["volition.item"] for row in held_out} == {"item-8", "item-9"}
    assert len(held_out) == 3
    assert len(known) == 9


def test_every_person_is_asked_in_exactly_one_fold():
    rows = two_crafts()
    asked = [{row.people[0] for row in FAMILY.holdout(rows, fold, 4)[1]} for fold in range(4)]

    assert set.union(*asked) == {row.people[0] for row in rows}
    assert sum(len(people) for people in asked) == len(set.union(*asked))


def test_people_with_too_few_items_are_not_asked():
    assert FAMILY.holdout([use("acme", "a", "x", 1), use("acme", "a", "y", 2)], 0, 1)[1] == ()


def test_ndcg_counts_the_place_of_the_held_out_item():
    # Three items by popularity: x (4 people), y (3), z (2). The asked person is a newcomer who turns to y, the second.
    known = [use("acme", person, "x") for person in "abcd"]
    known += [use("acme", person, "y") for person in "abc"] + [use("acme", person, "z") for person in "ab"]

    scores = FAMILY.evaluate(fit(known), known, [use("acme", "new", "y")])

    assert scores.units == ("new",)
    assert scores.accounts == ("acme",)
    assert scores.values[0] == pytest.approx(1 / np.log2(3))
