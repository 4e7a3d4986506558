"""Names looked up many at once mean whom they mean one by one."""

import pytest

from volition.consent.names import Names
from volition.consent.parties import Parties

NAMES = ["ada", "ADA", "Ada Byron", "a@acme.example", "bo", "Bo", "Sam", "gone", "zoe", "cy", "kim", "Kim Old", ""]


@pytest.fixture
def parties(tmp_path):
    made = Parties.create(tmp_path)
    for account in ("acme", "brill"):
        made.add_account(account, account)
    made.add_person("ada", account="acme", name="Ada Byron", emails=["a@acme.example"])
    made.add_person("bo", account="acme", name="Sam")
    made.add_person("sam2", account="acme", name="Sam")  # whom nobody can tell from the other by that name
    made.add_person("cy", account="brill", name="Bo")
    made.add_person("zoe")
    made.add_person("gone", account="acme", name="Gone")
    made.destroy_person("gone")
    made.add_person("other", account="acme", name="gone")  # who goes by the id of somebody erased
    heard = made.guest("acme", "Kim Old")
    made.add_person("kim", account="acme", name="Kim")
    made.changes.merge(heard.id, into="kim")
    yield made
    made.close()


@pytest.mark.parametrize("account", ["acme", "brill", None])
def test_names_that_are_expected_mean_whom_they_mean_one_by_one(parties, account):
    listed = [*NAMES, *parties.person("kim").ids, *(f"person:{one}" for one in NAMES), "account:acme"]
    one_by_one, expected = Names(parties), Names(parties)
    expected.expect_known_as((account, name) for name in listed)
    for name in listed:
        assert expected.known_as(account, name) == one_by_one.known_as(account, name), name


def test_whoever_comes_after_names_were_expected_is_known_once_they_are_asked_anew(parties):
    names = Names(parties)
    names.expect_known_as([("acme", "Sam"), ("acme", "Di")])
    parties.add_person("di", account="acme", name="Di")
    names.refresh()
    assert names.known_as("acme", "Di") == names.person("di")
