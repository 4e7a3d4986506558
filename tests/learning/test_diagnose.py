"""Diagnosis: planted causes come out on top, risks are calibrated, forgetting is exact, and a no is a no."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.sessions import otlp_of, rows_of, simulate
from crafts import create_unbound
from volition.canonical import us_to_datetime
from volition.cli.demo.samples import write_samples
from volition.errors import InvalidInputError, RefusedError
from volition.learning.families.diagnose.diagnosis import diagnose, likely_causes, predict
from volition.learning.families.diagnose.family import DiagnoseFamily, fit_curve
from volition.learning.families.diagnose.sessions import FEWEST_PEOPLE, Layout, sessions_of
from volition.learning.families.family import NoParts
from volition.learning.families.model import Model
from volition.progress import silent
from volition.records.lake import Row

FAMILY = DiagnoseFamily()
DATA, TRAIN, FEATURE = ["service"], ["train/diagnose"], ["feature/diagnose"]
DAY_US = 24 * 60 * 60 * 1_000_000


def fit(rows):
    return FAMILY.fit(rows, parts=NoParts(), progress=silent)


def record(attributes, at_us=0, *, person="p", account="acme", category="service/telemetry", name="call.measured"):
    return Row(
        record_id=f"{account}/{person}/{at_us}/{name}/{sorted(map(str, attributes.items()))}",
        account=account,
        people=(person,),
        category=category,
        collected_us=at_us,
        payload={"kind": "event", "name": name, "attributes": attributes, "body": None},
    )


@pytest.fixture(scope="module")
def learnt():
    """A model of 150 people's sessions, and the sessions of 100 others."""
    return fit(rows_of(simulate(150, 12))), simulate(100, 12, seed=8)


# --- what a session is -----------------------------------------------------------------------------------------------


def test_a_session_is_what_one_person_did_under_one_id_in_one_account():
    rows = [
        record({"session.id": "s", "a": 1}, person="p"),
        record({"session.id": "s", "a": 2}, person="q"),
        record({"session.id": "s", "a": 3}, account="bolt"),
        record({"session.id": "t", "a": 4}),
        record({"a": 5}),
        replace(record({"session.id": "s", "a": 6}), category="service/usage"),
    ]

    found = {(one.account, one.person, one.name): one.numbers["a"] for one in sessions_of(rows)}

    assert found == {
        ("acme", "p", "s"): [1.0],
        ("acme", "p", "t"): [4.0],
        ("acme", "q", "s"): [2.0],
        ("bolt", "p", "s"): [3.0],
    }


def test_what_is_known_at_the_end_or_later_is_not_looked_at():
    rows = [
        record({"session.id": "s", "loss": 1.5}, 1),
        record({"session.id": "s", "session.outcome": "failed", "loss": 99.0, "code": "E7"}, 5),
        record({"session.id": "s", "loss": 98.0}, 5, name="with the end"),
        record({"session.id": "s", "session.outcome": "ok", "loss": 97.0}, 9),
    ]

    [session] = sessions_of(reversed(rows))

    assert session.failed is True
    assert dict(session.numbers) == {"loss": [1.5]}
    assert "code" not in session.texts


@pytest.mark.parametrize("attribute", ["session.cause", "error.type", "exception.type", "user.id", "enduser.id"])
def test_attributes_that_tell_the_outcome_or_the_person_are_not_read(attribute):
    [session] = sessions_of([record({"session.id": "s", attribute: "x", "client.version": "5"})])
    assert dict(session.texts) == {"event.name": {"call.measured"}, "client.version": {"5"}}


def test_an_end_without_a_failure_is_no_failure_and_no_end_is_no_outcome():
    ends = [("a", "ok"), ("b", "failed"), ("c", "left")]
    rows = [record({"session.id": name, "session.outcome": how}) for name, how in ends]
    assert [one.failed for one in sessions_of([*rows, record({"session.id": "d"})])] == [False, True, False, None]


def test_only_what_several_people_show_is_learnt_by_name():
    rows = [record({"session.id": "s", "device": "shared", "heat": 40}, person=f"p{n}") for n in range(FEWEST_PEOPLE)]
    rows += [record({"session.id": f"s{n}", "device": "mine-alone", "mine": 1}, person="p0") for n in range(50)]
    text = Layout.learn(sessions_of(rows)).to_text()

    assert "shared" in text
    assert "heat" in text
    assert "mine" not in text
    assert Layout.from_text(text).to_text() == text


def test_causes_are_told_in_words():
    rows = [
        record({"session.id": f"s{n}", "network.loss_percent": n / 10, "system.cpu.utilization": 0.25}, person=f"p{n}")
        for n in range(9)
    ]
    rows += [record({"session.id": "x", "network.loss_percent": loss, "client.version": "5.1"}, 1) for loss in (2, 6.5)]
    rows += [record({"session.id": f"y{n}", "client.version": "5.1"}, 2, person=f"p{n}") for n in range(9)]
    sessions = sessions_of(rows)
    layout = Layout.learn(sessions)
    told = {
        (column.attribute, column.kind): layout.describe(session, place)
        for session in sessions
        for place, column in enumerate(layout.columns)
        if session.name == "x" and (column.attribute in session.numbers or column.attribute in session.texts)
    }

    assert told["network.loss_percent", "most"] == "packet loss up to 6.5 % (usually 0.45 %)"
    assert told["network.loss_percent", "least"] == "packet loss down to 2 % (usually 0.45 %)"
    assert told["client.version", "is"] == "client version 5.1"


# --- what is learnt --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_planted_causes_come_out_on_top_and_decoys_do_not(learnt):
    model, others = learnt
    single = [one for one in others if one.failed and len(one.causes) == 1]
    sessions = {session.name: session for session in sessions_of(rows_of(single))}
    named = likely_causes(model, [sessions[one.name] for one in single])
    codec = {"media.codec", "network.connection.type"}  # the codec fails on one kind of connection: either is right

    right = [
        bool(causes) and (causes[0].attribute in (codec if one.causes == ("media.codec",) else set(one.causes)))
        for one, causes in zip(single, named, strict=True)
    ]

    assert len(right) > 60
    assert np.mean(right) > 0.85
    for cause in ("network.loss_percent", "system.cpu.utilization", "client.version"):
        hits = [hit for one, hit in zip(single, right, strict=True) if one.causes == (cause,)]
        assert len(hits) >= 10
        assert np.mean(hits) > 0.8, cause


@pytest.mark.slow
def test_a_session_without_a_cause_mostly_has_none_named(learnt):
    model, others = learnt
    calm = [one for one in others if not one.causes]
    causes = likely_causes(model, sessions_of(rows_of(calm)))
    assert np.mean([not named for named in causes]) > 0.7


@pytest.mark.slow
def test_risks_are_calibrated(learnt):
    model, others = learnt
    sessions = sessions_of(rows_of(others))
    truth = {one.name: one for one in others}
    risks = predict(model, sessions)
    failed = np.array([truth[session.name].failed for session in sessions])

    bands = np.digitize(risks, [0.1, 0.3])
    for band in range(3):
        inside = bands == band
        assert inside.sum() > 40
        spread = np.sqrt(max(risks[inside].mean() * (1 - risks[inside].mean()), 0.01) / inside.sum())
        assert abs(failed[inside].mean() - risks[inside].mean()) < 0.03 + 2.5 * spread
    planted = np.array([truth[session.name].risk for session in sessions])
    assert np.abs(risks - planted).mean() < 0.07


@pytest.mark.slow
def test_training_beats_fixed_thresholds(learnt):
    model, others = learnt
    known, held_out = rows_of(simulate(150, 12)), rows_of(others)
    trained, untrained = (FAMILY.evaluate(one, known, held_out) for one in (model, None))

    assert trained.metric == "Brier skill"
    assert trained.units == untrained.units
    assert len(trained.units) == len(others)
    assert trained.values.mean() > untrained.values.mean() + 0.05
    assert trained.values.mean() > 0.1


def test_the_curve_halves_scores_that_are_twice_too_sure_and_ignores_those_that_say_nothing():
    # Scores that say nothing give everybody the share of failures; scores twice too sure are halved.
    rng = np.random.default_rng(4)
    failed = (rng.random(4000) < 0.2).astype(float)
    slope, intercept = fit_curve(rng.normal(size=4000), failed)
    assert slope == pytest.approx(0, abs=0.15)
    assert 1 / (1 + np.exp(-intercept)) == pytest.approx(failed.mean(), abs=0.02)

    odds = rng.normal(-1, 1.5, size=4000)
    failed = (rng.random(4000) < 1 / (1 + np.exp(-odds))).astype(float)
    slope, intercept = fit_curve(2 * odds, failed)
    assert slope == pytest.approx(0.5, abs=0.06)
    assert intercept == pytest.approx(0, abs=0.15)


def test_scores_that_are_wrong_way_round_are_not_trusted():
    failed = np.repeat([1.0, 0.0], 50)
    slope, intercept = fit_curve(np.repeat([-1.0, 1.0], 50) + np.linspace(-2, 2, 100) % 0.7, failed)
    assert (slope, intercept) == (0.0, pytest.approx(0.0))


def test_too_little_is_refused_and_the_message_says_what_to_collect():
    with pytest.raises(InvalidInputError, match=r"session\.outcome"):
        fit(rows_of(simulate(4, 5)))
    with pytest.raises(InvalidInputError, match="of 1 people"):
        fit(rows_of(simulate(1, 900)))


def test_one_person_with_all_the_failures_breaks_nothing():
    planted = simulate(30, 10)
    rows = rows_of(replace(one, events=one.events) for one in planted if not one.failed)
    own = simulate(1, 600, seed=3)
    failing = rows_of(one for one in own if one.failed)
    model = fit([*rows, *failing])
    assert np.isfinite(predict(model, sessions_of(rows))).all()


@pytest.mark.slow
def test_a_saved_model_says_what_the_fitted_one_said(learnt, tmp_path):
    model, others = learnt
    model.save(tmp_path / "model")
    again = Model.load(tmp_path / "model")
    rows = [row for row in rows_of(others) if row.people == (others[0].person,)]

    assert again.digest == model.digest
    assert diagnose(again, rows, at_us=0) == diagnose(model, rows, at_us=0)


def test_a_model_of_another_family_is_refused():
    other = Model(family="search", settings={}, arrays={}, texts={})
    with pytest.raises(InvalidInputError, match="diagnosis needs one"):
        diagnose(other, [], at_us=0)


_ANOTHER_PROCESS = """
import sys
sys.path[:0] = [{root!r}, {source!r}, {tests!r}, {tests!r} + "/learning"]
from test_diagnose import *
print(fit(list(reversed(rows_of(simulate(60, 8))))).digest)
"""


@pytest.mark.slow
def test_bytes_do_not_depend_on_process_threads_or_row_order():
    root = Path(__file__).parents[2]
    script = _ANOTHER_PROCESS.format(root=str(root), source=str(root / "src"), tests=str(root / "tests"))
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fit(rows_of(simulate(60, 8))).digest


class Kept:
    """Keeps finished parts in memory, and counts how often one was found."""

    def __init__(self):
        self.parts, self.found = {}, 0

    def get(self, name):
        self.found += name in self.parts
        return self.parts.get(name)

    def put(self, name, arrays):
        self.parts[name] = arrays


@pytest.mark.slow
def test_a_training_goes_on_from_its_finished_parts_and_never_from_stale_ones():
    rows, parts = rows_of(simulate(60, 8)), Kept()
    first = FAMILY.fit(rows, parts=parts, progress=silent)
    told = []
    again = FAMILY.fit(rows, parts=parts, progress=lambda *step: told.append(step))
    assert parts.found == len(parts.parts) == 5
    assert {stage: done == total for stage, done, total, *_ in told} == {
        "diagnose: holding out": True,
        "diagnose: learning": True,
    }
    losses = [step[3] for step in told if step[3:] and step[3] is not None]
    assert 0 < losses[-1] < losses[0] < 1
    assert again.files() == first.files() == fit(rows).files()

    fewer = rows_of(simulate(60, 8)[:-8])
    assert FAMILY.fit(fewer, parts=parts, progress=silent).files() == fit(fewer).files()
    assert parts.found == 5


# --- forgetting ------------------------------------------------------------------------------------------------------

TWO_ACCOUNTS = simulate(35, 8) + simulate(30, 8, account="bolt")
PEOPLE = sorted({one.person for one in TWO_ACCOUNTS})


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(st.sets(st.sampled_from(PEOPLE), max_size=12), st.sampled_from([None, "acme", "bolt"]))
def test_forgetting_leaves_the_bytes_of_a_model_that_never_saw_them(people, account):
    before = rows_of(TWO_ACCOUNTS)
    after = [row for row in before if row.people[0] not in people and row.account != account]
    model = fit(before)

    def outcome(make):
        try:
            return make().files()
        except InvalidInputError:
            return None

    forgotten = outcome(lambda: FAMILY.forget(model, before=before, after=after, parts=NoParts(), progress=silent))
    assert forgotten == outcome(lambda: fit(after))
    if not people and account is None:
        assert forgotten == model.files()


def test_every_person_is_held_out_whole_in_exactly_one_fold():
    rows = rows_of(TWO_ACCOUNTS)
    held = [FAMILY.holdout(rows, fold, 4)[1] for fold in range(4)]
    people = [{row.people[0] for row in fold} for fold in held]
    assert sum(map(len, held)) == len(rows)
    assert sum(map(len, people)) == len(set.union(*people)) == len(PEOPLE)


# --- the feature -----------------------------------------------------------------------------------------------------


def test_open_sessions_come_first_by_risk_and_silent_ones_are_not_open(learnt):
    model, others = learnt
    mine = [one for one in others if one.person == others[0].person]
    by_end = sorted(mine, key=lambda one: one.events[-1].at_us)
    still, ended = by_end[-3:], by_end[:-3]
    rows = [*rows_of(ended), *rows_of(still, ended=False)]
    now_us = by_end[-1].events[-2].at_us + 60_000_000

    told = diagnose(model, rows, at_us=now_us, limit=100)
    states = [one.state for one in told.sessions]
    open_ones = [one for one in told.sessions if one.state == "open"]

    assert told.note == ""
    assert states[: len(open_ones)] == ["open"] * len(open_ones)
    assert by_end[-1].name in {one.session for one in open_ones}
    assert [one.risk for one in open_ones] == sorted((one.risk for one in open_ones), reverse=True)
    assert {one.session: one.state for one in told.sessions if one.state in {"ok", "failed"}} == {
        one.name: "failed" if one.failed else "ok" for one in ended
    }
    later = diagnose(model, rows, at_us=now_us + 2 * DAY_US, limit=100)
    assert "open" not in {one.state for one in later.sessions}


def test_without_a_model_fixed_thresholds_give_a_rough_risk_and_say_so():
    rows = [
        record({"session.id": "bad", "network.loss_percent": 8.0, "network.jitter_ms": 90.0}),
        record({"session.id": "good", "network.loss_percent": 0.1, "network.jitter_ms": 3.0}),
    ]
    told = diagnose(None, rows, at_us=0)

    assert [one.session for one in told.sessions] == ["bad", "good"]
    assert told.sessions[0].risk > 0.3 > told.sessions[1].risk
    assert [cause.words for cause in told.sessions[0].causes] == [
        "packet loss 8 %, over 2 %",
        "jitter 90 ms, over 30 ms",
    ]
    assert told.sessions[1].causes == ()
    assert "fixed thresholds" in told.note


class Clock:
    """A clock that stands where it is set."""

    def __init__(self, now_us):
        self.now_us = now_us

    def __call__(self):
        return self.now_us


@pytest.fixture
def workspace(tmp_path):
    """Two accounts whose sessions were collected while nobody had said anything."""
    planted = simulate(25, 8) + simulate(25, 8, account="bolt")
    clock = Clock(max(one.events[-1].at_us for one in planted) + 60_000_000)
    with create_unbound(tmp_path / "ws", clock=clock) as made:
        for account in ("acme", "bolt"):
            made.people.add_account(account, account.title())
            made.terms.accept(account)
            (tmp_path / account).write_bytes(otlp_of([one for one in planted if one.account == account]))
            collected = made.records.collect_otlp(tmp_path / account)
            assert (collected.rejected, collected.not_kept) == ([], {})
        yield made, planted


@pytest.mark.slow
def test_without_a_yes_nothing_is_learnt_and_the_feature_refuses(workspace):
    made, planted = workspace
    person = made.parties.find_person("acme", planted[0].person).id

    assert made.snapshots.create("train/diagnose").keys == ()
    with pytest.raises(InvalidInputError, match="There are 0 of 0 people"):
        made.models.train("diagnose")
    with pytest.raises(RefusedError, match=r"feature/diagnose is off for the account acme \(not-asked\)"):
        made.features.diagnose(person)


@pytest.mark.slow
def test_a_yes_to_training_is_none_to_the_feature_and_the_other_way_round(workspace):
    made, planted = workspace
    person = made.parties.find_person("acme", planted[0].person).id
    made.consent.decide("account:acme", yes=True, data=DATA, purpose=TRAIN, covers="past")
    made.consent.decide("account:bolt", yes=True, data=DATA, purpose=FEATURE, covers="past")

    assert {key.account for key in made.snapshots.create("train/diagnose").keys} == {"acme"}
    with pytest.raises(RefusedError, match="not-asked"):
        made.features.diagnose(person)
    assert made.features.diagnose(made.parties.find_person("bolt", planted[-1].person).id).sessions


@pytest.mark.slow
def test_the_whole_road_learn_diagnose_refuse_forget(workspace):
    made, planted = workspace
    for account in ("acme", "bolt"):
        made.consent.decide(f"account:{account}", yes=True, data=DATA, purpose=[*TRAIN, *FEATURE], covers="past")
    trained = made.models.train("diagnose")
    made.models.audit(trained.id)
    made.models.release(trained.id)
    mine = [one for one in planted if one.person == planted[0].person]
    person = made.parties.find_person("acme", planted[0].person).id

    told = made.features.diagnose(person, limit=100)
    assert {one.session for one in told.sessions} == {one.name for one in mine}  # nobody else's
    assert told.note == ""
    assert made.features.diagnose(person, session=mine[0].name).sessions[0].session == mine[0].name
    with pytest.raises(InvalidInputError, match="has no session"):
        made.features.diagnose(person, session=planted[-1].name)

    made.consent.decide(f"person:{person}", yes=False, data=DATA, purpose=[*TRAIN, *FEATURE])
    assert made.features.diagnose(person).sessions == ()
    [owed] = made.models.owed()
    assert owed.rows == sum(len(one.events) for one in mine)
    [done] = made.forgetting.forget()
    successor = made.models.open(done.successor)
    left = made.snapshots.open(successor.record["snapshot"]).rows(made.parties)
    assert successor.model.files() == fit(left).files()
    pseudonym = made.parties.person(person).pseudonym
    assert pseudonym not in {name for row in left for name in row.people}


@pytest.mark.slow
def test_samples_teach_diagnosis_through_scrubbing(tmp_path):
    samples = write_samples(tmp_path / "samples", start=datetime(2025, 6, 2, tzinfo=UTC))
    account = samples.accounts[-1]
    clock = Clock(int((samples.end + timedelta(days=1)).timestamp()) * 1_000_000)
    with create_unbound(tmp_path / "ws", clock=clock) as made:
        made.people.add_account(account.id, account.name)
        made.terms.accept(account.id)
        made.records.collect_otlp(account.usage)
        made.consent.decide(f"account:{account.id}", yes=True, data=DATA, purpose=TRAIN, covers="past")
        sessions = sessions_of(made.snapshots.create("train/diagnose").rows(made.parties))

        assert len(sessions) >= 4 * len(account.users)
        assert all(session.failed is not None for session in sessions)
        assert us_to_datetime(sessions[0].start_us) >= samples.start
        made.models.train("diagnose")
