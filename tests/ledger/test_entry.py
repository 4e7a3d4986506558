"""Entries: canonical JSON that never changes, with a salt or without, and nothing else is taken for one."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.canonical import canonical_json
from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.entry import KINDS, SALT_BYTES, Entry, NewEntry, boundary, check_form, prepare

bodies = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


salts = st.none() | st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES).map(bytes.hex)


@given(st.integers(0, 2**53 - 1), st.integers(0, 2**48), st.sampled_from(KINDS), bodies, salts)
def test_an_entry_round_trips_as_canonical_json(seq, at_us, kind, body, salt):
    entry = Entry(seq=seq, at_us=at_us, kind=kind, body=body, salt=salt)

    read = Entry.from_leaf(entry.leaf_bytes)

    assert (read.seq, read.at_us, read.kind, read.salt) == (seq, at_us, kind, salt)
    assert canonical_json(read.body) == canonical_json(body)
    assert read.leaf_bytes == entry.leaf_bytes == canonical_json(json.loads(entry.leaf_bytes))


@given(st.lists(bodies, min_size=1, max_size=4))
def test_what_is_to_be_appended_is_written_as_canonical_json_alone_or_with_others(drafts):
    prepared = prepare([NewEntry(kind="region", body=body) for body in drafts])

    assert [one.body_bytes for one in prepared] == [canonical_json(body) for body in drafts]
    assert [canonical_json(one.body) for one in prepared] == [one.body_bytes for one in prepared]


@pytest.mark.parametrize(
    "value",
    [
        b"x",
        {1},
        {1: "a"},
        2**53,
        -(2**53),
        float("nan"),
        datetime(2026, 1, 1, tzinfo=UTC),
        "\ud800",
        UUID(int=1),
        Decimal(1),
    ],
)
def test_what_is_no_json_is_refused_wherever_it_is_in_a_body(value):
    for body in ({"a": value}, {"a": [{"b": value}]}, {"a": {"b": {"c": {"d": {"e": value}}}}}):
        with pytest.raises(InvalidInputError, match="canonical JSON form"):
            prepare([NewEntry(kind="region", body={"a": 1}), NewEntry(kind="region", body=body)])


def test_the_bytes_of_an_entry_never_change():
    entry = Entry(seq=7, at_us=1_700_000_000_000_000, kind="region", body={"region": "GB", "party": "account:acme"})

    assert entry.leaf_bytes == (
        b'{"at":"2023-11-14T22:13:20.000000Z","body":{"party":"account:acme","region":"GB"},"kind":"region","seq":7}'
    )
    assert entry.leaf_hash == merkle.leaf_hash(entry.leaf_bytes)

    salted = Entry(seq=7, at_us=entry.at_us, kind="region", body=entry.body, salt="0f" * SALT_BYTES)
    assert salted.leaf_bytes == (
        b'{"at":"2023-11-14T22:13:20.000000Z","body":{"party":"account:acme","region":"GB"},"kind":"region",'
        b'"salt":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","seq":7}'
    )


@given(st.binary() | st.text().map(str.encode))
def test_bytes_that_are_no_entry_are_refused(data):
    with pytest.raises(ProofError):
        Entry.from_leaf(data)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "rumour"},
        {"at": "yesterday"},
        {"at": 5},
        {"body": []},
        {"seq": "1"},
        {"kind": None},
        {"more": 1},
        {"salt": 1},
        {"salt": ""},
        {"salt": "0F" * SALT_BYTES},
        {"salt": "0f" * (SALT_BYTES - 1)},
        {"salt": "0f" * SALT_BYTES + "\n"},
    ],
)
def test_an_entry_of_another_form_is_refused(change):
    good = json.loads(Entry(seq=0, at_us=0, kind="region", body={}).leaf_bytes)

    with pytest.raises(ProofError):
        Entry.from_leaf(canonical_json(good | change))


def test_deeply_nested_bytes_are_refused_without_a_crash():
    with pytest.raises(ProofError):
        Entry.from_leaf(b'{"body":' + b"[" * 60_000)


SALT = "0f" * SALT_BYTES
FORMS = [  # of each entry whether it has a salt and whether it records that salts begin: what a log may look like
    ("-", "--", "S", "SS", "-BS", "--B"),
    ("S-", "-S", "BS", "-B-", "SB", "-BB", "--BSB"),
]


@pytest.mark.parametrize(
    ("form", "good"), [(form, good) for good, forms in zip((True, False), FORMS, strict=True) for form in forms]
)
def test_a_log_holds_to_its_form(form, good):
    entries = []
    for seq, sign in enumerate(form):
        kind, body = ("form", boundary(seq).body) if sign == "B" else ("region", {})
        entries.append(Entry(seq=seq, at_us=seq, kind=kind, body=body, salt=None if sign == "-" else SALT))

    def check():
        for entry, before in zip(entries, [None, *entries], strict=False):
            check_form(entry, before)

    if good:
        check()
    else:
        with pytest.raises(ProofError, match="salt"):
            check()


def test_the_record_of_where_salts_begin_says_the_right_place():
    old = Entry(seq=0, at_us=0, kind="region", body={})
    with pytest.raises(ProofError, match="salt"):
        check_form(Entry(seq=1, at_us=1, kind="form", body=boundary(2).body, salt=SALT), old)
