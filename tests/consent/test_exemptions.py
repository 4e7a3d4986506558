"""What a person may read without anybody's yes: what they said themselves, and what was said while they were there."""

import numpy as np
import pytest

from volition.consent.gate import REASON_CODES, Participant, PartySets, Subject, heard, judge, own
from volition.consent.history import BEGINNING_US
from volition.consent.permits import NO_PERMIT_US, Reason

ASKED = 20
ACCOUNTS = ["acme", "brill", "cargo"]
NAMES = ["ada", "bo", "cy", "dee"]
SETS = [  # of one bucket: (account, people), the first of them speaks
    ("acme", ()),
    ("acme", ("ada", "bo")),
    ("acme", ("bo", "ada")),
    ("acme", ("cy",)),
    ("brill", ("ada",)),
    ("brill", ("bo", "cy", "ada")),
    ("acme", ("ada",)),
    ("acme", ("bo", "cy")),
    ("brill", ()),
]


def bucket(sets, names=NAMES):
    return PartySets(
        accounts=ACCOUNTS,
        people=[f"person:{name}" for name in names],
        account=np.array([ACCOUNTS.index(account) for account, _ in sets], np.int32),
        offsets=np.array([0, *np.cumsum([len(people) for _, people in sets])], np.int64),
        members=np.array([names.index(name) for _, people in sets for name in people], np.int32),
    )


def let_through(permits, size):
    """Return the party sets whose records pass, of any age up to the instant asked about; others are nobody's."""
    numbers = np.arange(size)
    codes = judge(permits, numbers, np.full(size, -(2**61)))
    assert set(codes.tolist()) <= {0, REASON_CODES[Reason.UNKNOWN_PARTY]}
    assert codes.tolist() == judge(permits, numbers, np.full(size, ASKED)).tolist() == permits.reason.tolist()
    assert permits.at_us == ASKED
    assert permits.reason.dtype == np.int8
    assert permits.oldest_us.tolist() == [BEGINNING_US] * size
    assert permits.since_us.tolist() == [BEGINNING_US if code == 0 else NO_PERMIT_US for code in codes]
    return np.flatnonzero(codes == 0).tolist()


@pytest.mark.parametrize("name", [*NAMES, "eve"])
def test_ones_own_records_are_those_in_which_one_comes_first(name):
    sets = bucket(SETS)
    found = own(Subject(pseudonym=name, at_us=ASKED), sets)
    assert let_through(found, len(SETS)) == [n for n, (_, people) in enumerate(SETS) if people[:1] == (name,)]
    assert found.account.tolist() == sets.account.tolist()


@pytest.mark.parametrize("account", [*ACCOUNTS, "elsewhere"])
@pytest.mark.parametrize("name", [*NAMES, "eve"])
def test_what_one_heard_is_what_concerns_one_in_ones_account(name, account):
    found = heard(Participant(pseudonym=name, account=account, at_us=ASKED), bucket(SETS))
    expected = [n for n, (where, people) in enumerate(SETS) if name in people and where == account]
    assert let_through(found, len(SETS)) == expected


@pytest.mark.parametrize("sets", [[], [("acme", ())]])
def test_where_nobody_is_there_is_nothing_to_read(sets):
    party_sets = bucket(sets, names=[])
    assert let_through(own(Subject(pseudonym="ada", at_us=ASKED), party_sets), len(sets)) == []
    assert let_through(heard(Participant(pseudonym="ada", account="acme", at_us=ASKED), party_sets), len(sets)) == []


@pytest.mark.parametrize("chosen", [[], [5], [0, 8], [7, 1, 0, 5], list(range(len(SETS)))])
def test_some_party_sets_are_taken_whole(chosen):
    taken = bucket(SETS).take(np.array(chosen, np.int64))
    assert len(taken) == len(chosen)
    assert taken.offsets[-1] == len(taken.members)
    found = [(taken.account_of(number), taken.people_of(number)) for number in range(len(taken))]
    expected = [SETS[number] for number in chosen]
    assert found == [(account, tuple(f"person:{name}" for name in people)) for account, people in expected]
