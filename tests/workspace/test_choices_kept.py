"""What a party can choose is remembered while others go on deciding, and is always what it would be if made anew."""

import random

import pytest

from volition.workspace import Workspace

PURPOSES = ["train", "train/search", "feature/search", "feature"]
DATA = ["content", "content/chat", "service", "service/usage"]


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "w") as made:
        for account in ("acme", "brill"):
            made.people.add_account(account, account.title(), region="US")
        made.terms.accept("acme")
        for number in range(4):
            made.people.add_person(f"p{number}", account="acme" if number < 3 else "brill", name=f"P {number}")
        yield made


def decide(workspace, draw, party):
    yes = draw.random() < 0.5
    workspace.consent.decide(party, yes=yes, data=[draw.choice(DATA)], purpose=[draw.choice(PURPOSES)])


@pytest.mark.slow
def test_whatever_is_said_in_between_they_are_those_made_anew(workspace):
    draw = random.Random(18)
    parties = [("person:p0", "acme"), ("account:acme", "acme"), ("person:p3", "brill")]
    rare = [
        lambda: workspace.consent.signal("p1"),
        lambda: workspace.terms.accept("brill"),
        lambda: workspace.people.move("p2", to="brill"),
        lambda: workspace.forgetting.erase("person:p1"),
    ]
    for number in range(12):
        if number % 3 == 2:
            rare.pop(0)()
        elif number == 6:
            decide(workspace, draw, "account:acme")
        else:
            decide(workspace, draw, f"person:p{draw.choice([0, 2, 3])}")
        for party, account in parties:
            kept = workspace.consent.choices(party, account=account)
            anew = workspace.consent.choices(party, account=account, at_us=workspace.now_us)  # by the reference
            assert [one.lines for one in kept.choices] == [one.lines for one in anew.choices], (number, party)
            assert (kept.terms, kept.accepted, kept.erased, kept.never) == (
                anew.terms,
                anew.accepted,
                anew.erased,
                anew.never,
            )


def test_a_word_of_another_person_leaves_them_and_an_own_one_does_not(workspace):
    consent = workspace.consent
    before = consent.choices("person:p0", account="acme")
    consent.decide("person:p1", yes=True, data=["content"], purpose=["train"])
    assert consent.choices("person:p0", account="acme") is before
    consent.decide("person:p0", yes=False, data=["content"], purpose=["train"])
    assert consent.choices("person:p0", account="acme") is not before
