"""People as recommendations: whoever said no, or cannot be told for sure, is suggested to nobody."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from crafts import create_unbound
from volition.canonical import datetime_to_us
from volition.consent.terms.model import Basis, Rule, Terms
from volition.errors import InvalidInputError
from volition.learning.families.family import NoParts
from volition.learning.families.recommend.family import RecommendFamily
from volition.progress import silent
from volition.records.audience import ConversationKind
from volition.records.ingest import Draft, PersonRef

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
SERVICE = ["service"]
TRAIN, FEATURE = ["train/recommend"], ["feature/recommend"]
USED = {
    "ann": ("person/bo", "person/cy", "channel/general", "document/plan", "feature/polls"),
    "dee": ("person/bo", "person/cy", "channel/general", "document/plan"),
    "eli": ("person/bo", "channel/general", "feature/polls"),
    "flo": ("channel/general",),
}
# Terms that ask a colleague for nothing: only whoever acted may refuse.
ACTOR_ONLY = Terms(
    id="actor-only",
    title="Whoever acts may refuse",
    effective_us=0,
    acceptance="continued-use",
    text="prose",
    rules=(
        Rule(
            data=("service",),
            purpose=("train", "feature"),
            basis=Basis.CONSENT,
            asks=("account",),
            refusable_by=("person",),
        ),
    ),
)


def opened(account="acme"):
    """Write what people opened as one OTLP request."""
    records = [
        {
            "timeUnixNano": str((datetime_to_us(MONDAY) - 3_600_000_000 + minute * 60_000_000) * 1000),
            "attributes": [
                {"key": key, "value": {"stringValue": value}}
                for key, value in (
                    ("volition.account", account),
                    ("volition.person", person),
                    ("volition.category", "service/usage"),
                    ("volition.item", item),
                )
            ],
        }
        for person, items in USED.items()
        for minute, item in enumerate(items)
    ]
    return json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": records}]}]})


def build(folder, *, terms=None, public=("feature", "document", "channel")):
    """Make a workspace with a model at work; everybody is known by the id that their events carry."""
    now = [datetime_to_us(MONDAY)]

    def clock():
        now[0] += 1_000_000
        return now[0]

    profile = None if terms else "granular"
    workspace = create_unbound(folder / "ws", clock=clock, profile=profile, public_items=public)
    if terms:
        workspace.terms.publish(terms)
    workspace.people.add_account("acme", "Acme")
    for person in ("ann", "bo", "cy", "dee", "eli", "flo"):
        workspace.people.add_person(person, account="acme")
    workspace.terms.accept("acme")
    workspace.consent.decide("account:acme", yes=True, data=SERVICE, purpose=[*TRAIN, *FEATURE], covers="past")
    (folder / "usage.json").write_text(opened())
    collected = workspace.records.collect_otlp(folder / "usage.json")
    assert (collected.rejected, collected.not_kept) == ([], {})
    trained = workspace.models.train("recommend")
    workspace.models.audit(trained.id)
    workspace.models.release(trained.id)
    return workspace


@pytest.fixture(params=[None, ACTOR_ONLY], ids=["granular", "actor-only"])
def workspace(request, tmp_path):
    """The same under the terms that ship and under terms that give colleagues no say."""
    with build(tmp_path, terms=request.param) as made:
        yield made


def suggested(workspace, person):
    return {found.item: found.because for found in workspace.features.recommend(person, limit=100)}


def test_all_four_kinds_are_suggested_with_reasons_and_nobody_to_themselves(workspace):
    told = suggested(workspace, "flo")

    assert set(told) == {"person/bo", "person/cy", "document/plan", "feature/polls"}
    assert set(told.values()) == {"because you use channel/general"}
    assert "person/bo" not in suggested(workspace, "bo")
    assert "person/cy" in suggested(workspace, "bo")


@pytest.mark.parametrize("purpose", [TRAIN, FEATURE], ids=["training", "the feature"])
def test_who_says_no_to_either_is_suggested_to_nobody_from_that_moment(workspace, purpose):
    workspace.consent.decide("person:bo", yes=False, data=SERVICE, purpose=purpose)

    for person in ("cy", "eli", "flo"):
        told = suggested(workspace, person)
        assert "person/bo" not in told
        assert told
    for person in ("ann", "dee", "eli"):  # who use it: nor is it ever the reason
        assert "because you use person/bo" not in suggested(workspace, person).values()


def test_who_is_erased_is_suggested_to_nobody(workspace):
    workspace.forgetting.erase("person:bo")
    assert "person/bo" not in suggested(workspace, "flo")


def test_a_handle_that_two_people_share_is_suggested_to_nobody(workspace):
    workspace.people.add_person("another", account="acme", aliases=["cy"])
    assert "person/cy" not in suggested(workspace, "flo")
    assert "person/bo" in suggested(workspace, "flo")


def test_without_a_model_the_same_holds_for_what_the_person_used_before(tmp_path):
    with build(tmp_path) as made:
        made.consent.decide("account:acme", yes=False, data=SERVICE, purpose=TRAIN)
        made.forgetting.forget()
        made.consent.decide("account:acme", yes=True, data=SERVICE, purpose=TRAIN, covers="past")
        assert "person/bo" in suggested(made, "ann")
        made.consent.decide("person:bo", yes=False, data=SERVICE, purpose=FEATURE)
        assert set(suggested(made, "ann")) == set(USED["ann"]) - {"person/bo"}


def test_under_the_terms_that_ship_the_no_of_a_colleague_is_owed_and_forgotten(tmp_path):
    with build(tmp_path) as made:
        made.consent.decide("person:bo", yes=False, data=SERVICE, purpose=TRAIN)
        [owed] = made.models.owed()
        assert owed.rows == sum("person/bo" in items for items in USED.values())
        [done] = made.forgetting.forget()
        assert not any(b"person/bo" in data for data in made.models.open(done.successor).model.files().values())
        assert "person/cy" in suggested(made, "flo")


def test_forgetting_opens_only_the_rows_of_those_for_whom_something_changed(tmp_path, monkeypatch):
    seen = {}
    subtract = RecommendFamily.subtract

    def watched(self, model, *, before, after, accounts, progress):
        if not seen:  # the audits of the successor leave people out, too, but later
            seen.update(before=before, after=after)
        return subtract(self, model, before=before, after=after, accounts=accounts, progress=progress)

    with build(tmp_path) as made:
        monkeypatch.setattr(RecommendFamily, "subtract", watched)
        made.consent.decide("person:eli", yes=False, data=SERVICE, purpose=TRAIN)
        [done] = made.forgetting.forget()
        successor = made.models.open(done.successor)
        rows = made.snapshots.open(successor.record["snapshot"]).rows(made.parties)
        eli = made.parties.person("eli").pseudonym

        assert {row.people[0] for row in seen["before"]} == {eli}
        assert len(seen["before"]) == len(USED["eli"])
        assert list(seen["after"]) == []
        assert successor.model.files() == RecommendFamily().fit(rows, parts=NoParts(), progress=silent).files()


def test_nothing_left_to_subtract_from_leaves_no_model(tmp_path):
    with build(tmp_path) as made:
        made.consent.decide("account:acme", yes=False, data=SERVICE, purpose=TRAIN)
        [done] = made.forgetting.forget()
        assert done.successor is None
        with pytest.raises(InvalidInputError):
            made.models.train("recommend")


def test_a_name_that_may_be_private_is_suggested_to_nobody_who_did_not_use_it(tmp_path):
    with build(tmp_path, public=("feature",)) as made:
        assert set(suggested(made, "flo")) == {"person/bo", "person/cy", "feature/polls"}
        assert "document/plan" not in suggested(made, "eli")
        assert set(suggested(made, "bo")) == {"person/cy", "feature/polls"}, "nor to somebody who has used nothing"
        made.consent.decide("account:acme", yes=False, data=SERVICE, purpose=TRAIN)
        made.forgetting.forget()
        made.consent.decide("account:acme", yes=True, data=SERVICE, purpose=TRAIN, covers="past")
        assert set(suggested(made, "ann")) == set(USED["ann"]), "what they used themselves they know"
        assert set(suggested(made, "flo")) == {"channel/general"}


def test_a_channel_that_was_collected_is_suggested_to_those_who_may_read_it_and_mentions_open_nothing(tmp_path):
    with build(tmp_path) as made:
        said = Draft(
            key="m:1",
            account="acme",
            people=(PersonRef(id="bo"), PersonRef(id="ann"), PersonRef(id="cy")),
            category="content/chat",
            at_us=datetime_to_us(MONDAY) - 3_600_000_000,
            payload={"kind": "message", "channel": "general", "ts": "1.0", "author": "bo", "text": "not @cy"},
        )
        mentioning = replace(said, payload={**said.payload, "mentions": [made.parties.person("cy").pseudonym]})
        made.records.take_in([mentioning], "acme", silent)
        assert "channel/general" in suggested(made, "bo")
        assert "channel/general" not in suggested(made, "cy")
        made.audiences.share("general", kind=ConversationKind.CHANNEL, account="acme", people=["cy"], by="bo")
        assert "channel/general" in suggested(made, "cy")


def test_another_account_is_suggested_nothing_of_this_one(tmp_path):
    with build(tmp_path) as made:
        made.people.add_account("brill", "Brill")
        made.people.add_person("zed", account="brill")
        made.terms.accept("brill")
        made.consent.decide("account:brill", yes=True, data=SERVICE, purpose=[*TRAIN, *FEATURE], covers="past")
        assert suggested(made, "zed") == {}
