"""The whole road in one story: five customers, real parts, a clock that we set."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from crafts import create_unbound
from volition import RefusedError
from volition.canonical import datetime_to_us
from volition.ledger.signing import VerifierKey
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.people import verify_person

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

CUSTOMERS = {"orchard": "US", "bakery": "DE", "clinic": "US", "museum": "US", "theatre": "US"}

HABITS = {  # what the people of every customer open; Ann has not found the weather yet
    "ann": ("recipes", "prices", "stock"),
    "ben": ("recipes", "prices", "stock", "weather"),
    "cleo": ("tours", "tickets", "posters"),
    "dov": ("tours", "tickets", "posters", "guides"),
    "evan": ("recipes", "prices", "stock", "weather"),
}
OPENINGS = sum(len(items) for items in HABITS.values())

ANNS_WORDS = "The delivery van is booked for Thursday."
GAILS_WORDS = "Please keep my telephone number out of the minutes."
MEETING = f"""WEBVTT

00:00:01.000 --> 00:00:05.000
Ann Orchard: {ANNS_WORDS}

00:00:06.000 --> 00:00:10.000
Gail Guest: {GAILS_WORDS}
"""


class Clock:
    """A clock that stands until it is told to move."""

    def __init__(self, start):
        self.now = start

    def __call__(self):
        return datetime_to_us(self.now)

    def wait(self, **duration):
        self.now += timedelta(**duration)


def write_openings(folder, customer, at):
    """Write what a customer's people open, as an OpenTelemetry exporter would."""
    records = [
        {
            "timeUnixNano": str(datetime_to_us(at) * 1000),
            "eventName": "document.opened",
            "attributes": attributes({
                "volition.person": f"{customer}-{name}",
                "volition.category": "service/usage",
                "volition.item": f"document/{item}",
            }),
        }
        for name, items in HABITS.items()
        for item in items
    ]  # fmt: skip
    resource = {"attributes": attributes({"volition.account": customer})}
    path = folder / f"{customer}-{at:%A}.jsonl"
    path.write_text(json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}))
    return path


def attributes(values):
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def learned_from(snapshot, workspace):
    """Tell which people's rows are in a snapshot: account -> names."""
    people = {}
    for key in snapshot.keys:
        person = workspace.parties.person_by_pseudonym(key.people[0])
        people.setdefault(key.account, set()).add(person.id.removeprefix(f"{key.account}-"))
    return people


def found(workspace, query):
    """Search the orchard's meetings, as Ann."""
    return {hit.text for hit in workspace.features.search(query, person="orchard-ann").hits}


def suggested(workspace, person):
    return [suggestion.item for suggestion in workspace.features.recommend(person)]


def why_not(workspace, person, collected):
    """Ask the gate whether it may learn from what a person opened; none if so, otherwise the reason."""
    customer = person.partition("-")[0]
    usage = {"account": customer, "people": [person], "category": "service/usage"}
    return workspace.gate.may("train/recommend", **usage, collected=collected).verdict.reason


@pytest.mark.slow
def test_the_road_from_a_decision_to_a_model_and_back(tmp_path):  # noqa: PLR0915 - a story is told in one piece
    clock = Clock(MONDAY)
    exports = tmp_path / "exports"
    exports.mkdir()
    with create_unbound(
        tmp_path / "workspace", origin="log.example/story", clock=clock, public_items=("feature", "document")
    ) as workspace:
        # Five customers. Four accept the terms; the theatre has not read them yet.
        for customer, region in CUSTOMERS.items():
            workspace.people.add_account(customer, customer.title(), region=region)
            for name in HABITS:
                full_name = f"{name.title()} {customer.title()}"
                workspace.people.add_person(f"{customer}-{name}", account=customer, name=full_name)
            if customer != "theatre":
                workspace.terms.accept(customer)

        # Monday is collected. Where no terms were accepted, nothing is kept.
        clock.wait(hours=1)
        for customer in CUSTOMERS:
            collected = workspace.records.collect_otlp(write_openings(exports, customer, MONDAY))
            assert collected.rejected == []
            assert (collected.stored, dict(collected.not_kept)) == (
                (0, {"no-terms": OPENINGS}) if customer == "theatre" else (OPENINGS, {})
            )

        # So is the orchard's meeting, in which Ann speaks, and Gail, who is nobody's user.
        (exports / "monday.vtt").write_text(MEETING)
        workspace.records.collect_webvtt(exports / "monday.vtt", account="orchard", started=MONDAY)
        gail = f"person:{workspace.parties.find_person('orchard', 'Gail Guest').id}"

        # Nobody has been asked, and silence is no yes: there is nothing to learn from, and features are off.
        silent = workspace.snapshots.create("train/recommend")
        assert silent.manifest["rows"] == {
            "service/usage": {"read": 4 * OPENINGS, "kept": 0, "dropped": {"not-asked": 4 * OPENINGS}}
        }
        with pytest.raises(RefusedError, match="not-asked"):
            workspace.features.recommend("orchard-ann")

        # Tuesday, decisions. The orchard says yes, to the past as well, and turns the feature on.
        clock.wait(days=1)
        usage, training, feature = ["service/usage"], ["train/recommend"], ["feature/recommend"]
        workspace.consent.decide("account:orchard", yes=True, data=usage, purpose=training, covers="past")
        workspace.consent.decide("account:orchard", yes=True, data=usage, purpose=feature, covers="past")
        # The bakery says the same. It is in a region where the terms ask each person, too: three of five say yes.
        workspace.consent.decide("account:bakery", yes=True, data=usage, purpose=[*training, *feature], covers="past")
        for name in ("ann", "ben", "cleo"):
            workspace.consent.decide(f"person:bakery-{name}", yes=True, data=usage, purpose=training, covers="past")
        # The clinic says yes from now on, and Evan of the clinic says no. The museum says no.
        workspace.consent.decide("account:clinic", yes=True, data=usage, purpose=[*training, *feature])
        workspace.consent.decide("person:clinic-evan", yes=False, data=usage, purpose=training)
        workspace.consent.decide("account:museum", yes=False, data=usage, purpose=training)

        # What was said in the meeting needs the orchard's yes, and everybody's: Gail's silence keeps all of it out.
        for party in ("account:orchard", "person:orchard-ann"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["train/search"], covers="past")
        assert len(workspace.snapshots.create("train/search").keys) == 0
        workspace.consent.decide(gail, yes=True, data=["content"], purpose=["train/search"], covers="past")
        assert len(workspace.snapshots.create("train/search").keys) == 2

        # Searching it is another purpose, with a switch of its own; and a guest can take her words out of that.
        with pytest.raises(RefusedError, match="not-asked"):
            found(workspace, "telephone number")
        workspace.consent.decide(
            "account:orchard", yes=True, data=["content"], purpose=["feature/search"], covers="past"
        )
        assert GAILS_WORDS in found(workspace, "telephone number")
        workspace.consent.decide(gail, yes=False, data=["content"], purpose=["feature/search"])
        assert GAILS_WORDS not in found(workspace, "telephone number")
        assert ANNS_WORDS in found(workspace, "delivery van")

        # On Tuesday everybody works as on Monday.
        clock.wait(hours=1)
        for customer in CUSTOMERS:
            workspace.records.collect_otlp(write_openings(exports, customer, clock.now))

        # The gate answers each of them, with the reason.
        assert why_not(workspace, "orchard-ann", MONDAY) is None
        assert why_not(workspace, "bakery-ann", MONDAY) is None
        assert why_not(workspace, "bakery-dov", clock.now) == "not-asked"
        assert why_not(workspace, "clinic-ann", clock.now) is None
        assert why_not(workspace, "clinic-ann", MONDAY) == "before-yes"
        assert why_not(workspace, "clinic-evan", clock.now) == "said-no"
        assert why_not(workspace, "museum-ann", clock.now) == "said-no"
        assert why_not(workspace, "theatre-ann", clock.now) == "no-terms"

        # The snapshot holds exactly those, and says how many it left out and why.
        snapshot = workspace.snapshots.create("train/recommend")
        assert learned_from(snapshot, workspace) == {
            "orchard": {"ann", "ben", "cleo", "dov", "evan"},
            "bakery": {"ann", "ben", "cleo"},
            "clinic": {"ann", "ben", "cleo", "dov"},
        }
        kept = snapshot.manifest["rows"]["service/usage"]
        assert kept["read"] == kept["kept"] + sum(kept["dropped"].values())
        assert set(kept["dropped"]) == {"not-asked", "said-no", "before-yes"}

        # A model learns from it, is measured, and goes to work with a signed card.
        first = workspace.models.train("recommend", snapshot.id)
        with pytest.raises(RefusedError, match="not audited"):
            workspace.models.release(first.id)
        benefit = next(finding for finding in workspace.models.audit(first.id) if finding.audit == "benefit")
        assert benefit.measured
        assert benefit.units == snapshot.manifest["people"]["size"]
        workspace.models.release(first.id)

        assert suggested(workspace, "orchard-ann")[0] == "document/weather"
        # In the clinic nobody but Ben is known to use the weather, since Evan said no: it is not given away.
        assert set(suggested(workspace, "clinic-ann")) == {"document/tours", "document/tickets", "document/posters"}
        with pytest.raises(RefusedError, match="not-asked"):  # the museum never turned the feature on
            workspace.features.recommend("museum-ann")

        # Three weeks later the orchard withdraws, in one step. Its feature stops at once.
        clock.wait(weeks=3)
        workspace.consent.decide("account:orchard", yes=False, data=["service"], purpose=["train", "feature"])
        with pytest.raises(RefusedError, match="withdrawn"):
            workspace.features.recommend("orchard-ann")
        # What must be forgotten is named, with a day; until then nobody can release that model again.
        [owed] = workspace.models.owed()
        assert owed.model == first.id
        assert owed.parties == {"account:orchard": "withdrawn"}
        assert owed.rows == 2 * OPENINGS
        assert owed.due_us == datetime_to_us(clock.now + timedelta(days=30))
        with pytest.raises(RefusedError, match="stale"):
            workspace.models.release(first.id)

        # Forgetting makes the model that never saw the orchard, puts it to work, and erases the old one.
        clock.wait(days=1)
        [forgotten] = workspace.forgetting.forget()
        assert (forgotten.model, forgotten.parties) == (first.id, ("account:orchard",))
        assert workspace.models.owed() == []
        with pytest.raises(RefusedError, match="erased"):
            workspace.models.open(first.id)
        assert not (workspace.folder / "models" / first.id).exists()
        second = workspace.models.open(forgotten.successor)
        assert "orchard" not in second.record["accounts"]
        assert set(suggested(workspace, "clinic-ann")) == {"document/tours", "document/tickets", "document/posters"}
        # Exactly: what is left is, to the byte, what training anew gives today.
        anew = workspace.models.train("recommend")
        assert anew.model.files() == second.model.files() != first.model.files()

        # All of it is proved to somebody who has nothing but the public key.
        key = VerifierKey.from_text(workspace.verifier.to_text())
        workspace.proofs.bundle(tmp_path / "evidence.zip")
        verified = verify_bundle(tmp_path / "evidence.zip", key)
        assert verified.holds, verified.to_json()

        # And Ann of the orchard holds a proof that she was in the first model and is not in the second.
        [before] = workspace.proofs.person("orchard-ann", model=first.id)
        [after] = workspace.proofs.person("orchard-ann", model=second.id)
        assert (before["present"], before["rows"], after["present"]) == (True, 2 * len(HABITS["ann"]), False)
        assert verify_person(before, key).holds
        assert verify_person(after, key).holds
        assert not verify_person({**before, "present": False}, key).holds
