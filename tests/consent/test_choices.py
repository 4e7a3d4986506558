"""Choices say what the gate says, and undoing restores exactly what stood."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volition.consent.choices import PartyAnswer
from volition.consent.permits import Permit
from volition.errors import InvalidInputError
from volition.workspace import Workspace

SWITCHES = ("train-search", "train-summary", "feature-summary")
ANSWERS = st.tuples(
    st.booleans(),
    st.sampled_from(SWITCHES),
    st.sampled_from([None, "past"]),
    st.sampled_from([None, "2027-02-01T00:00:00.000000Z", "2027-03-01T00:00:00.000000Z"]),
)


class Clock:
    def __init__(self):
        self.now_us = 1_800_000_000_000_000

    def __call__(self):
        self.now_us += 1_000_000
        return self.now_us


def make(folder, profile="granular", clock=None):
    workspace = Workspace.create(folder, profile=profile, clock=clock or Clock())
    workspace.people.add_account("acme", "Acme", region="US")
    workspace.people.add_person("ada", account="acme", name="Ada")
    workspace.terms.accept("acme")
    return workspace


def permits(workspace, switch):
    choice = workspace.consent.choices("person:ada", account="acme").of(switch)
    return {
        (line.category, line.purpose): (line.own.since_us, line.end_us) if isinstance(line.own, Permit) else None
        for line in choice.lines
    }


@pytest.mark.slow
@settings(max_examples=8)
@given(
    said=st.lists(ANSWERS, max_size=5),
    last=ANSWERS,
)
def test_undoing_restores_every_permit_to_the_instant_it_had(tmp_path_factory, said, last):
    with make(tmp_path_factory.mktemp("w") / "w") as workspace:
        for yes, switch, covers, until in said:
            reach = {"covers": covers, "until": until} if yes else {}
            workspace.consent.choose("person:ada", switch, account="acme", yes=yes, **reach)
        yes, switch, covers, until = last
        before = {name: permits(workspace, name) for name in SWITCHES}
        reach = {"covers": covers, "until": until} if yes else {}
        entry, can_undo = workspace.consent.choose("person:ada", switch, account="acme", yes=yes, **reach)
        undone = workspace.consent.undo_choice("person:ada", switch, account="acme", seq=entry.seq)
        after = {name: permits(workspace, name) for name in SWITCHES}
        assert bool(undone) == can_undo
        assert after == before


@pytest.mark.parametrize("profile", ["granular", "bundled", "2023-07-27", "2023-08-11"])
def test_what_stands_is_what_the_gate_permits(tmp_path, profile):
    with make(tmp_path / "w", profile) as workspace:
        for answers in ((), ("account",), ("account", "person")):
            for kind in answers:
                party = "account:acme" if kind == "account" else "person:ada"
                workspace.consent.decide(
                    party, yes=True, data=["service", "content"], purpose=["train", "feature"], covers="past"
                )
            found = workspace.consent.choices("person:ada", account="acme")
            assert found.accepted
            for choice in found.choices:
                for line in choice.lines:
                    verdict = workspace.gate.may(
                        line.purpose, account="acme", people=["ada"], category=line.category
                    ).verdict
                    assert verdict.permitted == line.stands, (choice.switch.name, line)
            for never in found.never:
                for category in never.categories:
                    asked = {"account": "acme", "people": ["ada"], "category": category}
                    assert workspace.gate.may(never.purpose, **asked).verdict.reason == "never"
            uses = {(line.category, line.purpose) for choice in found.choices for line in choice.lines}
            assert uses.isdisjoint((category, never.purpose) for never in found.never for category in never.categories)


def test_a_yes_is_to_what_was_shown_and_a_no_to_everything(tmp_path):
    with make(tmp_path / "w") as workspace:
        yes, _ = workspace.consent.choose("person:ada", "train-summary", account="acme", yes=True)
        no, _ = workspace.consent.choose("person:ada", "train-summary", account="acme", yes=False)
        assert "service" not in yes.body["data"]
        assert no.body["data"] == ["content", "service"]
        assert yes.body["purpose"] == no.body["purpose"] == ["train/summary"]


def test_the_bundled_switch_says_all_that_it_turns_off(tmp_path):
    with make(tmp_path / "w", "bundled") as workspace:
        choice = workspace.consent.choices("account:acme", account="acme").of("generative-ai")
        assert set(choice.switch.disables) <= set(choice.purposes)
        workspace.consent.choose("account:acme", choice.switch.name, account="acme", yes=False)
        choice = workspace.consent.choices("account:acme", account="acme").of("generative-ai")
        assert choice.answer is PartyAnswer.NO
        assert not choice.stands


def test_another_partys_answer_cannot_be_undone(tmp_path):
    with make(tmp_path / "w") as workspace:
        entry, _ = workspace.consent.choose("account:acme", "train-search", account="acme", yes=True)
        for seq in (entry.seq, 0, -1, 10_000):
            with pytest.raises(InvalidInputError):
                workspace.consent.undo_choice("person:ada", "train-search", account="acme", seq=seq)


def test_before_any_terms_there_is_nothing_to_choose(tmp_path):
    with Workspace.create(tmp_path / "w", profile=None) as workspace:
        workspace.people.add_account("acme", "Acme")
        assert workspace.consent.choices("account:acme", account="acme").terms is None
        with pytest.raises(InvalidInputError):
            workspace.consent.choose("account:acme", "train-search", account="acme", yes=True)


def test_a_yes_after_a_no_counts_though_a_clock_was_an_hour_ahead_at_the_no(tmp_path):
    """Entries of one instant would let the no beat every later yes of that hour, for good."""
    clock = Clock()
    with Workspace.create(tmp_path / "w", clock=clock) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_person("ada", account="acme")
        workspace.terms.accept("acme")
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["train"], covers="past")
        clock.now_us += 3_600_000_000
        entries = [workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])]
        clock.now_us -= 3_600_000_000
        for yes in (True, False, True):
            covers = "past" if yes else None
            entries.append(
                workspace.consent.decide("person:ada", yes=yes, data=["content"], purpose=["train"], covers=covers)
            )
            answer = workspace.gate.may("train/search", account="acme", people=["ada"], category="content/chat")
            assert answer.verdict.permitted == yes
        assert [later.at_us - entry.at_us for entry, later in pairwise(entries)] == [1, 1, 1]
        clock.now_us += 3_600_000_000
        assert workspace.gate.may(
            "train/search", account="acme", people=["ada"], category="content/chat"
        ).verdict.permitted
        assert workspace.ledger.verify().size == len(workspace.entries())


def test_a_yes_that_ended_says_so_and_is_not_brought_back_by_undoing_the_next_answer(tmp_path):
    clock = Clock()
    with make(tmp_path / "w", clock=clock) as workspace:
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["train"])
        workspace.consent.choose("person:ada", "train-search", account="acme", yes=True, until="2027-02-01")

        def choice():
            return workspace.consent.choices("person:ada", account="acme").of("train-search")

        assert (choice().answer, choice().stands) == (PartyAnswer.YES, True)
        clock.now_us = choice().end_us
        assert (choice().answer, choice().stands) == (PartyAnswer.ENDED, False)
        entry, can_undo = workspace.consent.choose("person:ada", "train-search", account="acme", yes=False)
        assert not can_undo
        assert workspace.consent.undo_choice("person:ada", "train-search", account="acme", seq=entry.seq) == []


def test_undoing_a_no_brings_back_a_yes_with_the_end_that_it_had(tmp_path):
    with make(tmp_path / "w") as workspace:
        workspace.consent.choose("person:ada", "train-search", account="acme", yes=True, until="2027-02-01")
        entry, _ = workspace.consent.choose("person:ada", "train-search", account="acme", yes=False)
        undone = workspace.consent.undo_choice("person:ada", "train-search", account="acme", seq=entry.seq)
        assert {one.body["until"] for one in undone} == {"2027-02-01T00:00:00.000000Z"}


@pytest.mark.parametrize(
    ("yes", "until", "words"),
    [(True, "2027-01-01", "past"), (False, "2027-02-01", "no end"), (True, "soon", "not an instant")],
)
def test_an_end_that_makes_no_sense_is_refused(tmp_path, yes, until, words):
    with make(tmp_path / "w") as workspace:
        with pytest.raises(InvalidInputError, match=words):
            workspace.consent.decide("person:ada", yes=yes, data=["content"], purpose=["train"], until=until)
        entry = workspace.consent.decide("person:ada", yes=True, data=["content"], purpose=["train"])
        assert "until" not in entry.body


def test_whose_yes_ends_soon_is_named_and_nobody_elses(tmp_path):
    with make(tmp_path / "w") as workspace:
        workspace.people.add_person("bob", account="acme")
        content = {"data": ["content/chat"], "purpose": ["train"]}
        workspace.consent.decide("account:acme", yes=True, **content, until="2027-02-10")
        workspace.consent.decide("person:ada", yes=True, **content, until="2027-02-01")
        workspace.consent.decide("person:bob", yes=True, **content, until="2027-02-01")
        workspace.consent.decide("person:bob", yes=True, **content, until="2027-12-01")  # said anew
        ada, acme = workspace.consent.ending(within_days=30)
        assert (ada.party, ada.account, ada.data) == (workspace.party("person:ada"), "acme", ("content/chat",))
        assert all(purpose.startswith("train/") for purpose in ada.purposes)
        assert (acme.party, acme.to_json()["until"]) == ("account:acme", "2027-02-10T00:00:00.000000Z")
        assert [one.party for one in workspace.consent.ending(within_days=20)] == [ada.party]
        workspace.consent.decide("person:ada", yes=False, **content)
        assert [one.party for one in workspace.consent.ending(within_days=20)] == []
