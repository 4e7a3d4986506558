"""Forgetting: a no is owed with a date, the model afterwards never saw the party, and the old one is gone."""

import json
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crafts import create_unbound
from volition.canonical import datetime_to_us, us_to_text
from volition.consent.terms.terms_file import load_profile
from volition.errors import InvalidInputError, RefusedError
from volition.learning.families.family import NoParts
from volition.learning.families.model import Model
from volition.learning.families.recommend.counts import tables_of
from volition.learning.families.recommend.family import RecommendFamily
from volition.learning.forget import erase_retired
from volition.progress import silent
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.people import verify_person
from volition.workspace import Workspace

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
USAGE, TRAINING, FEATURE = ["service/usage"], ["train/recommend"], ["feature/recommend"]
HABITS = {
    "ann": ("recipes", "prices", "stock"),
    "ben": ("recipes", "prices", "weather"),
    "cleo": ("recipes", "stock", "weather", "posters"),
    "dov": ("prices", "stock", "weather", "posters"),
}
ACCOUNTS = ("orchard", "bakery", "clinic")
EVERYBODY = {account: tuple(HABITS) for account in ACCOUNTS}


class Clock:
    """A clock that stands until it is told to move; it can be told to do something when it is looked at."""

    def __init__(self, now=MONDAY):
        self.now = now
        self.looked_at = lambda: None

    def __call__(self):
        self.looked_at()
        return datetime_to_us(self.now)

    def wait(self, **duration):
        self.now += timedelta(**duration)


def attributes(values):
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def opened(folder, account, people, at=MONDAY):
    """Write what an account's people open, as an OpenTelemetry exporter would."""
    records = [
        {
            "timeUnixNano": str(datetime_to_us(at + timedelta(minutes=minute)) * 1000),
            "attributes": attributes(
                {
                    "volition.person": f"{account}-{name}",
                    "volition.category": "service/usage",
                    "volition.item": f"document/{item}",
                }
            ),
        }
        for name in people
        for minute, item in enumerate(HABITS[name])
    ]
    path = folder / f"{account}.jsonl"
    resource = {"attributes": attributes({"volition.account": account})}
    path.write_text(json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}))
    return path


def build(folder, clock, *, who=None, terms=None):
    """Make a workspace in which everybody said yes and worked for a day."""
    who = EVERYBODY if who is None else who
    workspace = create_unbound(
        folder,
        origin="log.example/forget",
        clock=clock,
        profile=None if terms else "granular",
        public_items=("feature", "document"),
    )
    if terms:
        workspace.terms.publish(terms)
    for account, people in who.items():
        workspace.people.add_account(account, account.title())
        for name in people:
            workspace.people.add_person(f"{account}-{name}", account=account)
        workspace.terms.accept(account)
        workspace.consent.decide(f"account:{account}", yes=True, data=USAGE, purpose=[*TRAINING, *FEATURE])
    clock.wait(hours=8)
    for account, people in who.items():
        collected = workspace.records.collect_otlp(opened(folder, account, people, clock.now - timedelta(hours=1)))
        assert (collected.rejected, collected.not_kept) == ([], {})
    return workspace


def release(workspace):
    model = workspace.models.train("recommend").id
    workspace.models.audit(model)
    workspace.models.release(model)
    return model


def say_no(workspace, party, purpose=("train",)):
    return workspace.consent.decide(party, yes=False, data=["service"], purpose=list(purpose))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Build and release once; every test works on a copy."""
    folder = tmp_path_factory.mktemp("made") / "workspace"
    clock = Clock()
    with build(folder, clock) as workspace:
        model = release(workspace)
    return folder, clock.now, model


@pytest.fixture
def released(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "workspace")
    clock = Clock(made[1])
    with Workspace.open(folder, clock=clock) as workspace:
        yield workspace, clock, made[2]


def test_what_a_models_entry_promises_holds_whatever_the_settings_say_later(made, tmp_path):
    folder, now, model = shutil.copytree(made[0], tmp_path / "workspace"), *made[1:]
    settings = folder / "volition.toml"
    settings.write_text(re.sub(r"(?m)^due_days = 30$", "due_days = 90", settings.read_text()))
    with Workspace.open(folder, clock=Clock(now)) as workspace:
        [entry] = [entry for entry in workspace.ledger.entries() if entry.kind == "model"]
        assert (workspace.due_days, entry.body["due_days"]) == (90, 30)
        say_no(workspace, "account:clinic")
        [owed] = workspace.models.owed()
        assert (owed.model, owed.due_us - owed.since_us) == (model, 30 * 24 * 3600 * 1_000_000)


def without(*parties):
    """Return everybody less an account or a person, named as parties."""
    return {
        account: tuple(name for name in people if f"person:{account}-{name}" not in parties)
        for account, people in EVERYBODY.items()
        if f"account:{account}" not in parties
    }


# --- exactly ---


@pytest.mark.slow
@pytest.mark.parametrize(
    "parties",
    [
        ["person:orchard-ann"],
        ["account:orchard"],
        ["account:orchard", "person:bakery-ben", "person:clinic-dov"],
        [f"person:clinic-{name}" for name in HABITS],
        ["account:orchard", "account:bakery", *(f"person:clinic-{name}" for name in ("ann", "ben", "cleo"))],
    ],
    ids=["a person", "an account", "several", "everyone of an account", "all but one"],
)
def test_the_model_afterwards_is_the_one_that_never_saw_the_party(released, tmp_path, parties):
    workspace, _, old = released
    for party in parties:
        say_no(workspace, party)
    [owed] = workspace.models.owed()
    assert (owed.model, owed.released, owed.family) == (old, True, "recommend")
    assert {workspace.party_name(party) for party in owed.parties} == set(parties)
    [forgotten] = workspace.forgetting.forget()
    assert forgotten.model == old
    assert {workspace.party_name(party) for party in forgotten.parties} == set(parties)
    with build(tmp_path / "never", Clock(), who=without(*parties)) as never:
        other = never.models.train("recommend")
        successor = workspace.models.open(forgotten.successor)
        assert successor.model.files() == other.model.files()
        assert forgotten.rows == len(workspace.snapshots.open(workspace.models.states()[old].snapshot).keys) - len(
            never.snapshots.open(other.record["snapshot"]).keys
        )
    assert workspace.models.owed() == []
    assert workspace.forgetting.forget() == []
    assert workspace.status()["models"][-1]["state"] == "at work"


@pytest.mark.slow
def test_what_a_merge_newly_refuses_is_forgotten_like_a_no(released, tmp_path):
    workspace, _, old = released
    workspace.people.add_person("orchard-robin", account="orchard", name="Robin")
    say_no(workspace, "person:orchard-robin")
    assert workspace.models.owed() == []
    workspace.people.merge("orchard-ann", into="orchard-robin")
    [owed] = workspace.models.owed()
    assert (owed.model, set(owed.parties.values())) == (old, {"said-no"})
    assert {workspace.party_name(party) for party in owed.parties} == {"person:orchard-robin"}
    [forgotten] = workspace.forgetting.forget()
    with build(tmp_path / "never", Clock(), who=without("person:orchard-ann")) as never:
        assert workspace.models.open(forgotten.successor).model.files() == never.models.train("recommend").model.files()
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    assert verify_bundle(tmp_path / "evidence.zip", workspace.verifier).holds


def learnt_anew(workspace, forgotten):
    """Return the model that a family learns from what is left, and the one that forgetting made."""
    made = workspace.models.open(forgotten.successor)
    rows = workspace.snapshots.open(made.record["snapshot"]).rows(workspace.parties)
    return RecommendFamily().fit(rows, parts=NoParts(), progress=silent).files(), made.model.files()


def test_whoever_became_one_since_counts_once_in_what_a_forgetting_leaves(released):
    workspace, _, old = released
    before = workspace.models.open(old).model.files()
    workspace.people.merge("orchard-ann", into="orchard-ben")
    assert workspace.models.open(old).model.files() == before  # it was trained before, and has counted two
    assert workspace.models.owed() == []
    say_no(workspace, "person:bakery-dov")
    [forgotten] = workspace.forgetting.forget()
    anew, made = learnt_anew(workspace, forgotten)
    assert made == anew
    tables = {when: tables_of(Model.from_files(files)) for when, files in (("was", before), ("is", made))}
    assert tables["was"]["orchard"].people.tolist() == [2, 3, 3, 3, 3]  # posters, prices, recipes, stock, weather
    assert tables["is"]["orchard"].people.tolist() == [2, 2, 2, 3, 3]


@pytest.mark.parametrize("gone", ["person:orchard-ann", "person:orchard-ben"])
def test_whoever_was_merged_before_a_training_and_erased_after_it_is_forgotten_as_one_person(released, gone):
    workspace, clock, _ = released
    workspace.people.merge("orchard-ann", into="orchard-ben")
    clock.wait(minutes=1)
    model = release(workspace)
    workspace.forgetting.erase(gone)
    forgotten = {one.model: one for one in workspace.forgetting.forget()}[model]
    anew, made = learnt_anew(workspace, forgotten)
    assert made == anew
    assert tables_of(Model.from_files(made))["orchard"].people.tolist() == [2, 1, 1, 2, 2]


@pytest.mark.slow
def test_a_limit_of_the_account_is_forgotten_like_a_no(released, tmp_path):
    workspace, _, _ = released
    workspace.consent.limit("orchard", switch="train-recommend", group="works council", people=["orchard-ann"])
    workspace.consent.limit("bakery", switch="train-recommend")
    [owed] = workspace.models.owed()
    assert {workspace.party_name(party): reason for party, reason in owed.parties.items()} == {
        "person:orchard-ann": "limited",
        "account:bakery": "limited",
    }
    [forgotten] = workspace.forgetting.forget()
    gone = ("person:orchard-ann", "account:bakery")
    with build(tmp_path / "never", Clock(), who=without(*gone)) as never:
        assert workspace.models.open(forgotten.successor).model.files() == never.models.train("recommend").model.files()
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    assert verify_bundle(tmp_path / "evidence.zip", workspace.verifier).holds
    workspace.consent.limit("bakery", switch="train-recommend", limited=False)
    assert workspace.models.owed() == []


def test_nothing_is_left_of_a_model_that_must_forget_everyone(released):
    workspace, _, old = released
    for account in ACCOUNTS:
        say_no(workspace, f"account:{account}")
    [forgotten] = workspace.forgetting.forget()
    assert (forgotten.model, forgotten.successor) == (old, None)
    assert list((workspace.folder / "models").iterdir()) == []
    assert [suggestion.because for suggestion in workspace.features.recommend("orchard-ann")] == [
        "you used it recently"
    ] * 3


def test_where_nobody_said_no_nothing_is_owed_and_nothing_happens(released):
    workspace, _, old = released
    size = len(workspace.entries())
    assert workspace.models.owed() == []
    assert workspace.forgetting.forget() == []
    assert len(workspace.entries()) == size
    say_no(workspace, "person:orchard-ann", purpose=["train/search"])  # another purpose
    say_no(workspace, "account:orchard", purpose=["feature"])
    assert workspace.models.owed() == []
    assert workspace.models.states()[old].forgotten_us is None


def test_rows_collected_since_do_not_slip_in(released, tmp_path):
    workspace, clock, _ = released
    clock.wait(days=1)
    workspace.records.collect_otlp(opened(tmp_path, "clinic", HABITS, clock.now - timedelta(hours=1)))
    say_no(workspace, "account:orchard")
    [forgotten] = workspace.forgetting.forget()
    with build(tmp_path / "never", Clock(), who=without("account:orchard")) as never:
        assert (
            workspace.models.open(forgotten.successor).record["rows"] == never.models.train("recommend").record["rows"]
        )


# --- the old one ---


def test_the_old_models_files_are_gone_and_its_evidence_stays(released, tmp_path):
    workspace, _, old = released
    snapshot = workspace.models.states()[old].snapshot
    say_no(workspace, "person:orchard-ann")
    [forgotten] = workspace.forgetting.forget()
    assert [path.name for path in (workspace.folder / "models").iterdir()] == [forgotten.successor]
    assert {path.name for path in (workspace.folder / "snapshots" / snapshot).iterdir()} == {
        "manifest.json",
        "keys.parquet",
        "people.json",
        "collected.parquet",
    }
    with pytest.raises(RefusedError, match=f"is erased. {forgotten.successor} took its place"):
        workspace.models.open(old)
    with pytest.raises(InvalidInputError, match="was erased"):
        workspace.snapshots.open(snapshot).rows(workspace.parties)
    proofs = {proof["model"]: proof for proof in workspace.proofs.person("orchard-ann")}
    assert {model: proof["present"] for model, proof in proofs.items()} == {old: True, forgotten.successor: False}
    assert all(verify_person(proof, workspace.verifier).holds for proof in proofs.values())
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    assert verify_bundle(tmp_path / "evidence.zip", workspace.verifier).holds


def test_models_that_are_not_at_work_are_erased_without_a_successor(released):
    workspace, clock, superseded = released
    clock.wait(hours=1)
    working = release(workspace)
    clock.wait(hours=1)
    unreleased = workspace.models.train("recommend").id
    assert len({superseded, working, unreleased}) == 3
    say_no(workspace, "person:orchard-ann")
    assert {owed.model: owed.released for owed in workspace.models.owed()} == {
        superseded: True,
        working: True,
        unreleased: False,
    }
    done = {forgotten.model: forgotten.successor for forgotten in workspace.forgetting.forget()}
    assert done.keys() == {superseded, working, unreleased}
    assert (done[superseded], done[unreleased]) == (None, None)
    assert [path.name for path in (workspace.folder / "models").iterdir()] == [done[working]]


def test_of_two_releases_at_one_instant_the_later_one_is_at_work(released):
    workspace, clock, first = released
    workspace.records.collect_otlp(opened(workspace.folder, "clinic", ["ann"], clock.now - timedelta(minutes=30)))
    second = release(workspace)  # the clock stands
    states = {model["id"]: model["state"] for model in workspace.status()["models"]}
    assert states == {first: "superseded", second: "at work"}
    say_no(workspace, "person:orchard-ann")
    done = {forgotten.model: forgotten.successor for forgotten in workspace.forgetting.forget()}
    assert done[first] is None
    assert workspace.status()["models"][-1] == {
        "id": done[second],
        "family": "recommend",
        "snapshot": workspace.models.states()[done[second]].snapshot,
        "state": "at work",
    }


def test_a_stale_snapshot_without_a_model_loses_its_content_too(released):
    workspace, clock, _ = released
    clock.wait(hours=1)
    spare = workspace.snapshots.create("train/recommend")
    orphan = shutil.copytree(spare.folder, workspace.folder / "snapshots" / "train-recommend-unnamed.part")
    say_no(workspace, "person:orchard-ann")
    workspace.forgetting.forget()
    assert not (spare.folder / "rows.parquet").exists()
    assert not orphan.exists()


# --- when it is due ---


def test_a_model_that_no_record_explains_is_erased_and_one_that_is_being_written_stays(released):
    workspace, clock, _ = released
    clock.wait(hours=1)
    models = workspace.folder / "models"
    half_erased, being_written = models / "recommend-0123456789ab", models / "recommend-ba9876543210.part"
    half_erased.mkdir()
    being_written.mkdir()
    (half_erased / "arrays.npz").write_bytes(b"what it learned")
    of_a_snapshot_in_use = models / "recommend-aaaaaaaaaaaa"
    of_a_snapshot_in_use.mkdir()
    (of_a_snapshot_in_use / "record.json").write_text(json.dumps({"snapshot": "train-recommend-aaaaaaaaaaaa"}))
    erased = erase_retired(workspace.models.states(), [], folder=models, runs=workspace.folder / "runs")
    assert erased == [half_erased.name]
    assert being_written.exists()
    assert of_a_snapshot_in_use.exists()


def test_a_run_that_cannot_be_removed_does_not_keep_the_others_from_being_forgotten(released):
    workspace, clock, old = released
    clock.wait(hours=1)
    snapshot = workspace.models.states()[old].snapshot
    elsewhere = workspace.folder / "elsewhere"
    elsewhere.mkdir()
    runs = workspace.folder / "runs"
    (runs / f"compose-{snapshot}").symlink_to(elsewhere)  # what is behind a link is left alone
    parts = runs / f"recommend-{snapshot}"
    parts.mkdir()
    say_no(workspace, "person:orchard-ann")
    workspace.forgetting.forget()
    assert elsewhere.exists()
    assert not parts.exists()


def test_it_is_due_so_many_days_after_the_no(released):
    workspace, clock, old = released
    clock.wait(days=3)
    said_us = say_no(workspace, "person:orchard-ann").at_us
    clock.wait(days=5)
    say_no(workspace, "account:bakery")
    clock.wait(days=1)
    [owed] = workspace.models.owed()
    assert (owed.since_us, owed.due_us) == (said_us, said_us + 30 * 24 * 3600 * 1_000_000)
    assert owed.rows == len(HABITS["ann"]) + sum(map(len, HABITS.values()))
    assert owed.to_json() == {
        "model": old,
        "family": "recommend",
        "parties": {workspace.party("person:orchard-ann"): "said-no", "account:bakery": "withdrawn"},
        "rows": owed.rows,
        "since": us_to_text(said_us),
        "due": us_to_text(owed.due_us),
        "released": True,
        "forgets": "exact",
        "blocked": "",
        "damage": "",
    }
    assert workspace.models.states()[old].forgotten_us is None


def test_a_yes_after_the_no_does_not_put_it_off(released):
    workspace, clock, _ = released
    clock.wait(days=1)
    said_us = say_no(workspace, "account:orchard").at_us
    clock.wait(days=20)
    workspace.consent.decide("account:orchard", yes=True, data=USAGE, purpose=TRAINING)
    [owed] = workspace.models.owed()
    assert owed.parties == {"account:orchard": "before-yes"}
    assert owed.since_us == said_us


def test_a_yes_that_covers_the_past_only_from_a_date_leaves_what_is_older_owed_since_the_no(released):
    workspace, clock, _ = released
    clock.wait(days=1)
    said_us = say_no(workspace, "account:orchard").at_us
    clock.wait(days=2)
    covers = (clock.now - timedelta(hours=30)).isoformat()
    workspace.consent.decide("account:orchard", yes=True, data=USAGE, purpose=TRAINING, covers=covers)
    [owed] = workspace.models.owed()
    assert (owed.parties, owed.since_us) == ({"account:orchard": "before-yes"}, said_us)
    workspace.consent.decide("account:orchard", yes=True, data=USAGE, purpose=TRAINING, covers="past")
    assert workspace.models.owed() == []


def test_whoever_said_no_first_sets_the_day_also_if_the_other_is_told(released):
    workspace, clock, _ = released
    clock.wait(days=1)
    first_us = say_no(workspace, "person:orchard-ann").at_us
    clock.wait(days=4)
    say_no(workspace, "account:orchard")
    clock.wait(days=1)
    [owed] = workspace.models.owed()
    assert owed.parties == {"account:orchard": "withdrawn"}
    assert owed.since_us == first_us


def test_retention_that_runs_out_is_owed_since_it_ran_out(tmp_path):
    clock = Clock()
    granular = load_profile("granular")
    ten_days_us = 10 * 24 * 3600 * 1_000_000
    rules = tuple(replace(rule, max_age_us=ten_days_us) if "train" in rule.purpose else rule for rule in granular.rules)
    with build(tmp_path / "workspace", clock, terms=replace(granular, rules=rules)) as workspace:
        release(workspace)
        oldest_us = min(key.collected_us for key in workspace.snapshots.open(workspace.snapshots.ids()[0]).keys)
        clock.wait(days=9)
        assert workspace.models.owed() == []
        for days in (2, 5):
            clock.wait(days=days)
            [owed] = workspace.models.owed()
            assert set(owed.parties.values()) == {"too-old"}
            assert owed.since_us == oldest_us + ten_days_us + 1


def test_a_no_in_the_last_instant_of_its_retention_is_owed_since_the_no(tmp_path):
    clock = Clock()
    granular = load_profile("granular")
    ten_days = timedelta(days=10)
    age_us = int(ten_days.total_seconds()) * 1_000_000
    rules = tuple(replace(rule, max_age_us=age_us) if "train" in rule.purpose else rule for rule in granular.rules)
    who = {"orchard": EVERYBODY["orchard"]}
    with build(tmp_path / "workspace", clock, who=who, terms=replace(granular, rules=rules)) as workspace:
        release(workspace)
        [snapshot] = workspace.snapshots.ids()
        oldest_us = min(key.collected_us for key in workspace.snapshots.open(snapshot).keys)
        clock.now = datetime.fromtimestamp(oldest_us / 1_000_000, UTC) + ten_days
        assert workspace.models.owed() == []
        said_us = say_no(workspace, "account:orchard").at_us
        assert said_us == oldest_us + age_us
        clock.wait(days=1)
        assert [owed.since_us for owed in workspace.models.owed()] == [said_us]


def test_a_yes_that_ends_is_owed_since_it_ended(released):
    workspace, clock, _ = released
    until = clock.now + timedelta(days=9)
    workspace.consent.decide(
        "account:orchard", yes=True, data=USAGE, purpose=TRAINING, until=until.isoformat().replace("+00:00", "Z")
    )
    clock.wait(days=8)
    assert workspace.models.owed() == []
    clock.wait(days=4)
    [owed] = workspace.models.owed()
    assert owed.parties == {"account:orchard": "expired"}
    assert owed.since_us == datetime_to_us(until)


def test_an_overdue_model_works_no_more(released):
    workspace, clock, _ = released
    trained = [suggestion.item for suggestion in workspace.features.recommend("orchard-ann")]
    assert "document/weather" in trained
    say_no(workspace, "person:bakery-ann")
    clock.wait(days=30)
    assert [suggestion.item for suggestion in workspace.features.recommend("orchard-ann")] == trained
    clock.wait(seconds=1)
    assert {suggestion.because for suggestion in workspace.features.recommend("orchard-ann")} == {
        "you used it recently"
    }
    workspace.forgetting.forget()
    assert "document/weather" in [suggestion.item for suggestion in workspace.features.recommend("orchard-ann")]


# --- stale: refused everywhere ---


def test_a_stale_model_is_neither_released_nor_audited_nor_its_snapshot_learnt_from(released):
    workspace, clock, _ = released
    clock.wait(hours=1)
    model = workspace.models.train("recommend")
    workspace.models.audit(model.id)
    say_no(workspace, "person:orchard-ann")
    for use in (
        lambda: workspace.models.release(model.id),
        lambda: workspace.models.audit(model.id),
        lambda: workspace.models.train("recommend", model.record["snapshot"]),
    ):
        with pytest.raises(RefusedError, match="stale: 3 of the"):
            use()
    assert workspace.models.states()[model.id].released_us is None


@pytest.mark.slow
@pytest.mark.parametrize("kept", ['[{"audit": "benefit", "measured": true, "difference": 0.1}]', "[", "{}{}", "7"])
def test_findings_of_an_earlier_version_are_measured_again_not_guessed_at(released, kept):
    workspace, clock, _ = released
    clock.wait(hours=1)
    model = workspace.models.train("recommend")
    workspace.models.audit(model.id)
    (model.folder / "findings.json").write_text(kept, encoding="utf-8")
    with pytest.raises(InvalidInputError, match="Audit again"):
        workspace.models.release(model.id)
    workspace.models.audit(model.id)
    workspace.models.release(model.id)


@pytest.mark.parametrize("party", ["person:orchard-ann", "account:clinic"])
def test_a_no_while_a_training_runs_leaves_no_model_and_the_next_forgetting_erases_what_was_made(released, party):
    workspace, clock, working = released
    clock.wait(hours=1)
    frozen = workspace.snapshots.create("train/recommend")
    said = []

    def somebody_says_no(_stage, _done, _total):
        if not said:
            said.append(party)
            with Workspace.open(workspace.folder, clock=lambda: datetime_to_us(clock.now)) as other:
                say_no(other, party)

    with pytest.raises(RefusedError, match="stale"):
        workspace.models.train("recommend", frozen.id, progress=somebody_says_no)
    assert said == [party]
    assert [entry.body["model"] for entry in workspace.entries() if entry.kind == "model"] == [working]
    clock.wait(hours=1)
    [forgotten] = workspace.forgetting.forget()
    assert [path.name for path in (workspace.folder / "models").iterdir()] == [forgotten.successor]
    assert not (frozen.folder / "rows.parquet").exists()
    assert list((workspace.folder / "runs").iterdir()) == []


def test_a_yes_that_ends_while_a_training_runs_leaves_no_model(released):
    workspace, clock, working = released
    until = (clock.now + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    workspace.consent.decide("account:orchard", yes=True, data=USAGE, purpose=TRAINING, until=until)
    frozen = workspace.snapshots.create("train/recommend")
    waited = []

    def a_day_goes_by(_stage, _done, _total):
        if not waited:
            waited.append(clock.wait(days=2))

    with pytest.raises(RefusedError, match="stale"):
        workspace.models.train("recommend", frozen.id, progress=a_day_goes_by)
    assert [entry.body["model"] for entry in workspace.entries() if entry.kind == "model"] == [working]


def test_a_snapshot_that_the_ledger_does_not_name_is_not_learnt_from(released):
    workspace, _, old = released
    snapshot = workspace.models.states()[old].snapshot
    for name in ("nowhere", f"../snapshots/{snapshot}", ""):
        with pytest.raises(InvalidInputError, match="no snapshot"):
            workspace.models.train("recommend", name)


def test_a_model_changed_on_disk_is_not_used(released):
    workspace, _, old = released
    for path in sorted((workspace.folder / "models" / old).rglob("*")):
        if path.is_file() and path.name != "findings.json":
            data = path.read_bytes()
            for changed in (data[:-1], bytes([data[0] ^ 1]) + data[1:], b""):
                path.write_bytes(changed)
                with pytest.raises(Exception, match="was changed after it was trained"):
                    workspace.features.recommend("orchard-ann")
            path.write_bytes(data)
    assert workspace.features.recommend("orchard-ann")


# --- erasing ---


@pytest.mark.slow
@pytest.mark.parametrize("party", ["account:orchard", "person:orchard-ann"])
def test_an_erased_party_is_forgotten_like_one_that_said_no(released, tmp_path, party):
    workspace, _, _ = released
    rows = sum(workspace.status()["records"].values())
    removed = workspace.forgetting.erase(party).records
    assert sum(workspace.status()["records"].values()) == rows - removed
    [owed] = workspace.models.owed()
    assert (set(owed.parties.values()), owed.rows) == ({"erased"}, removed)
    [forgotten] = workspace.forgetting.forget()
    with build(tmp_path / "never", Clock(), who=without(party)) as never:
        assert workspace.models.open(forgotten.successor).model.files() == never.models.train("recommend").model.files()
    assert workspace.records.collect_otlp(opened(tmp_path, "orchard", ["ann"], MONDAY + timedelta(hours=7))).stored == 0


def test_erasing_again_changes_nothing(released):
    workspace, _, _ = released
    assert workspace.forgetting.erase("account:orchard").records > 0
    size = len(workspace.entries())
    assert workspace.forgetting.erase("account:orchard").records == 0
    assert len(workspace.entries()) == size


# --- killed at the worst moment ---

KILLED = """
import operator, os, signal, sys
from datetime import datetime
from pathlib import Path
from volition.canonical import datetime_to_us, us_to_text
from volition.records.lake import Lake
from volition.ledger.log import Ledger
from volition.consent.parties import Parties
from volition.workspace import Workspace, forgetting
folder, now, where = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), sys.argv[3]

def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

append = Ledger.append
def append_or_die(self, *drafts, **how):
    if where in [draft.kind for draft in drafts]:
        die()
    return append(self, *drafts, **how)

match where:
    case "before erasing the files":
        forgetting.erase_retired = die
    case "before the lake":
        Lake.erase_account = Lake.erase_person = die
    case "before the key":
        Parties.destroy_account_key = Parties.destroy_person = die
    case _:
        Ledger.append = append_or_die
with Workspace.open(folder, clock=lambda: datetime_to_us(now)) as workspace:
    for line in sys.argv[4:]:
        verb, _, rest = line.partition(" ")
        operator.attrgetter(verb)(workspace)(*rest.split())
"""


def killed(workspace, clock, where, *lines):
    """Run use cases in another process that is killed at a certain place; tell that it was."""
    code = [sys.executable, "-c", KILLED, str(workspace.folder), clock.now.isoformat(), where, *lines]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", ["before erasing the files", "forgetting", pytest.param("snapshot", marks=pytest.mark.slow)]
)
def test_a_forgetting_that_was_killed_is_finished_by_the_next_one(released, tmp_path, where):
    workspace, clock, old = released
    say_no(workspace, "account:orchard")
    killed(workspace, clock, where, "forgetting.forget")

    if where == "before erasing the files":  # the ledger has it: it has happened
        assert (workspace.folder / "models" / old).exists()
        assert workspace.models.owed() == []
        with pytest.raises(RefusedError, match="erased"):
            workspace.models.open(old)
        assert workspace.forgetting.forget() == []
        successor = workspace.models.states()[old].successor
    else:  # the ledger has it not: it has not happened
        assert workspace.models.states()[old].forgotten_us is None
        assert workspace.features.recommend("clinic-ann") != ()
        clock.wait(hours=1)
        [forgotten] = workspace.forgetting.forget()
        successor = forgotten.successor
    assert not (workspace.folder / "models" / old).exists()
    assert not (workspace.folder / "snapshots" / workspace.models.states()[old].snapshot / "rows.parquet").exists()
    assert workspace.features.recommend("clinic-ann")[0].because != "you used it recently"
    with build(tmp_path / "never", Clock(), who=without("account:orchard")) as never:
        assert workspace.models.open(successor).model.files() == never.models.train("recommend").model.files()
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    assert verify_bundle(tmp_path / "evidence.zip", workspace.verifier).holds


@pytest.mark.slow
def test_what_a_killed_training_or_forgetting_left_is_erased_once_it_is_stale(released):
    workspace, clock, _ = released
    clock.wait(hours=1)
    killed(workspace, clock, "snapshot", "snapshots.create train/recommend")
    clock.wait(hours=1)
    killed(workspace, clock, "model", "models.train recommend")
    named = {*workspace.snapshots.ids()}
    left = {path.name for path in (workspace.folder / "snapshots").iterdir()} - named
    orphans = {path.name for path in (workspace.folder / "models").iterdir()} - workspace.models.states().keys()
    assert left
    assert orphans
    say_no(workspace, "person:orchard-ann")
    workspace.forgetting.forget()
    for name in left:
        assert not (workspace.folder / "snapshots" / name / "rows.parquet").exists()
    assert {path.name for path in (workspace.folder / "models").iterdir()} <= workspace.models.states().keys()


@pytest.mark.slow
def test_a_release_killed_before_the_ledger_leaves_the_earlier_one_whole(released, tmp_path):
    workspace, clock, old = released
    card = (workspace.folder / "releases" / old / "card.json").read_bytes()
    clock.wait(hours=1)
    killed(workspace, clock, "release", f"models.release {old}")
    assert (workspace.folder / "releases" / old / "card.json").read_bytes() == card
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    assert verify_bundle(tmp_path / "evidence.zip", workspace.verifier).holds
    clock.wait(hours=1)
    workspace.models.release(old)
    assert (workspace.folder / "releases" / old / "card.json").read_bytes() != card
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    assert verify_bundle(tmp_path / "evidence.zip", workspace.verifier).holds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "party"),
    [
        ("before the lake", "account:orchard"),
        ("before the key", "person:orchard-ann"),
        pytest.param("before the lake", "person:orchard-ann", marks=pytest.mark.slow),
        pytest.param("before the key", "account:orchard", marks=pytest.mark.slow),
    ],
)
def test_an_erasure_that_was_killed_is_finished_by_the_next_erasure_or_forgetting(released, where, party):
    workspace, clock, _ = released
    killed(workspace, clock, where, f"forgetting.erase {party}")
    [owed] = workspace.models.owed()  # the gate refuses from the ledger's entry on
    assert set(owed.parties.values()) == {"erased"}
    workspace.forgetting.forget()
    rows = workspace.status()["records"]["service/usage"]
    assert rows == sum(map(len, HABITS.values())) * 3 - owed.rows
    if party.startswith("account"):
        assert workspace.parties.erased_accounts() == {"orchard"}
    else:
        with pytest.raises(RefusedError, match="erased"):
            workspace.parties.person("orchard-ann")


# --- a no in the middle of it ---


@pytest.mark.slow
@pytest.mark.parametrize("look", range(1, 40, 3))
def test_a_no_that_arrives_while_forgetting_is_forgotten_by_the_next_one_whenever_it_comes(released, tmp_path, look):
    workspace, clock, _ = released
    clock.wait(hours=1)
    say_no(workspace, "person:orchard-ann")
    looks = iter(range(look))

    def somebody_says_no():
        # Not while this process appends: nobody else can then, and this very thread would wait for itself.
        if next(looks, None) is None and not workspace.ledger._group_commit._is_led:
            clock.looked_at = lambda: None
            with Workspace.open(workspace.folder, clock=lambda: datetime_to_us(clock.now)) as other:
                say_no(other, "person:bakery-ben")

    clock.looked_at = somebody_says_no
    with suppress(RefusedError):  # stale: a model must not be released with what was just refused
        workspace.forgetting.forget()
    clock.looked_at = lambda: None
    say_no(workspace, "person:bakery-ben")  # in case it was over before
    clock.wait(hours=1)
    workspace.forgetting.forget()
    assert workspace.models.owed() == []
    [successor] = [path.name for path in (workspace.folder / "models").iterdir()]
    with build(tmp_path / "never", Clock(), who=without("person:orchard-ann", "person:bakery-ben")) as never:
        assert workspace.models.open(successor).model.files() == never.models.train("recommend").model.files()
    assert workspace.status()["models"][-1]["state"] == "at work"
    assert (workspace.folder / "releases" / successor).is_dir()
