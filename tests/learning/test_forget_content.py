"""Forgetting on the samples, by families that learn from content: a person, and a conversation that was left out."""

import json
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from test_forget import MONDAY, Clock

from crafts import create_unbound
from volition.cli.demo.samples import write_samples
from volition.workspace import Workspace


@pytest.fixture(scope="module")
def lantern(tmp_path_factory):
    """Collect the samples of two accounts, in which everybody says yes."""
    folder = tmp_path_factory.mktemp("samples")
    samples = write_samples(folder / "exports", start=MONDAY - timedelta(hours=9))
    clock = Clock(MONDAY + timedelta(days=70))
    with create_unbound(folder / "workspace", origin="log.example/samples", clock=clock) as workspace:
        for account in samples.accounts[:2]:
            workspace.people.add_account(account.id, account.name)
            for person in account.people:
                workspace.people.add_person(
                    person.id, account=account.id, name=person.name, aliases=[*person.aliases, person.slack_id]
                )
            workspace.terms.accept(account.id)
            for meeting in account.meetings:
                started = datetime.fromtimestamp(meeting.start_us / 1_000_000, UTC)
                workspace.records.collect_webvtt(
                    meeting.path, account=account.id, started=started, meeting=meeting.name
                )
            workspace.records.collect_summaries(account.summaries, account=account.id)
            workspace.records.collect_otlp(account.usage, account=account.id)
            for party in (
                f"account:{account.id}",
                *(f"person:{one.id}" for one in workspace.parties.people(account.id)),
            ):
                workspace.consent.decide(party, yes=True, data=["content", "service"], purpose=["train"], covers="past")
    return folder / "workspace", clock.now, samples.accounts[0].people[0].id


@pytest.mark.slow
@pytest.mark.parametrize("family", ["search", "summary"])
def test_a_family_of_content_forgets_a_person_like_one_that_never_saw_them(lantern, tmp_path, family):
    folder, now, person = lantern
    clock = Clock(now)
    with Workspace.open(shutil.copytree(folder, tmp_path / "workspace"), clock=clock) as workspace:
        old = workspace.models.train(family)
        workspace.models.audit(old.id)
        workspace.models.release(old.id)
        clock.wait(days=1)
        workspace.consent.decide(f"person:{person}", yes=False, data=["content", "service"], purpose=["train"])
        [owed] = workspace.models.owed()
        assert workspace.party_name(*owed.parties) == f"person:{person}"
        [forgotten] = workspace.forgetting.forget()
        assert not (workspace.folder / "models" / old.id).exists()
        clock.wait(days=1)
        anew = workspace.models.train(family)
        successor = workspace.models.open(forgotten.successor)
        assert successor.model.files() == anew.model.files() != old.model.files()
        pseudonym = workspace.parties.person(person).pseudonym
        assert not any(pseudonym in key.people for key in workspace.snapshots.open(successor.record["snapshot"]).keys)


@pytest.fixture(scope="module")
def trained(lantern, tmp_path_factory):
    """Train once from meetings; every test works on a copy."""
    folder, now, person = lantern
    copied = shutil.copytree(folder, tmp_path_factory.mktemp("trained") / "workspace")
    with Workspace.open(copied, clock=Clock(now)) as workspace:
        model = workspace.models.train("summary").id
        workspace.models.audit(model)
        workspace.models.release(model)
        return copied, now, workspace.parties.person(person).account, model


@pytest.fixture
def learned(trained, tmp_path):
    """Open a copy in which a model that learned from meetings is at work."""
    folder, now, account, model = trained
    clock = Clock(now)
    with Workspace.open(shutil.copytree(folder, tmp_path / "workspace"), clock=clock) as workspace:
        yield workspace, clock, account, model


def meetings_of(workspace, model, account):
    """Return which meetings of an account a model learned from, as entries name them, and by how many rows each."""
    snapshot = workspace.snapshots.open(workspace.models.open(model).record["snapshot"])
    return Counter(key.conversation for key in snapshot.keys if key.account == account)


def there(workspace, account, category="content/transcript"):
    """Return the names of an account's meetings, and who was in each."""
    rows = workspace.records.rows("train/summary", categories=[category], batch_rows=100)
    found = {}
    for batch in rows:
        for row in batch.to_pylist():
            if row["account"] == account:
                found.setdefault(json.loads(row["payload"])["meeting"], set()).update(row["people"])
    return found


@pytest.mark.slow
def test_what_was_left_out_is_owed_since_the_first_was_and_forgotten_exactly(learned):
    """Two meetings of the same people: the day is that of the one that was left out first, whichever is older."""
    workspace, clock, account, model = learned
    names = sorted(there(workspace, account))
    for first, then in (names[:2], names[1::-1]):
        clock.wait(days=1)
        first_out = workspace.exclusions.exclude(first, account=account, purpose=["train/summary"])
        clock.wait(days=5)
        workspace.exclusions.exclude(then, account=account, purpose=["train/summary"])
        [owed] = workspace.models.owed()
        assert (owed.since_us, set(owed.parties.values())) == (first_out.at_us, {"excluded"})
        for name in (first, then):
            workspace.exclusions.exclude(name, account=account, purpose=["train/summary"], excluded=False)
        assert workspace.models.owed() == []
    clock.wait(days=90)
    again = workspace.exclusions.exclude(names[0], account=account, purpose=["train/summary"])
    clock.wait(days=1)
    [owed] = workspace.models.owed()
    assert owed.since_us == again.at_us  # what was taken back in is as if it had never been left out
    left_out = {one.conversation for one in workspace.exclusions.of(account)}
    assert left_out <= set(meetings_of(workspace, model, account))
    [forgotten] = workspace.forgetting.forget()
    successor = forgotten.successor or forgotten.waits
    assert left_out.isdisjoint(meetings_of(workspace, successor, account))
    clock.wait(days=1)
    assert workspace.models.open(successor).model.files() == workspace.models.train("summary").model.files()
    assert workspace.models.owed() == []


@pytest.mark.slow
def test_a_trace_counts_what_the_person_left_out_and_not_what_the_account_did(learned):
    workspace, clock, account, model = learned
    name, people = max(there(workspace, account).items(), key=lambda one: len(one[1]))
    person = workspace.parties.person_by_pseudonym(min(people)).id

    def traced():
        [one] = [one for one in workspace.proofs.traces(person) if one.model.id == model]
        return one.rows, one.refused, one.refused_us

    rows = traced()[0]
    assert traced() == (rows, 0, None)
    workspace.exclusions.exclude(name, account=account, purpose=["train/summary"])
    assert traced() == (rows, 0, None)  # that others decided is not shown
    clock.wait(days=1)
    entry = workspace.exclusions.exclude(name, account=account, by=person, purpose=["train/summary"])
    [conversation] = {one.conversation for one in workspace.exclusions.of(account, by=person)}
    concerning = [
        key
        for key in workspace.snapshots.open(workspace.models.open(model).record["snapshot"]).keys
        if key.conversation == conversation and workspace.parties.person(person).pseudonym in key.people
    ]
    assert traced() == (rows, len(concerning), entry.at_us)
    assert 0 < len(concerning) < rows
    clock.wait(days=1)
    workspace.consent.decide(f"person:{person}", yes=False, data=["content", "service"], purpose=["train"])
    assert traced() == (rows, rows, entry.at_us)
    workspace.exclusions.exclude(name, account=account, by=person, excluded=False)
    assert traced()[1] == rows
