"""The byte form and the instants: examples of RFC 8785 and RFC 3339, and round trips."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from volition.canonical import (
    canonical_json,
    datetime_to_us,
    digest,
    now_us,
    text_to_us,
    us_to_datetime,
    us_to_text,
    whole_number,
)
from volition.errors import InvalidInputError

INSTANTS_US = st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999)  # years 1 to 9999
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_the_example_of_rfc_8785_section_3_2_2_has_its_bytes():
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    expected = '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    expected += '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical_json(value) == expected.encode()


@given(
    JSON | st.floats(allow_nan=False, allow_infinity=False) | st.lists(st.floats(allow_nan=False, allow_infinity=False))
)
def test_the_quick_way_gives_the_bytes_of_the_reference_implementation(value):
    assert canonical_json(value) == rfc8785.dumps(value)


@given(JSON)
def test_canonical_bytes_are_json_that_reads_back(value):
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), st.integers(0, 9), max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value, random):
    items = list(value.items())
    random.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, {1: "a"}, {"\ud800": 1}, "\udfff", object(), nested(5000)]
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(InvalidInputError, match="no canonical JSON form"):
        canonical_json(value)


def test_a_digest_is_sha_256_in_hexadecimal():
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(INSTANTS_US)
def test_an_instant_reads_back_as_text_and_as_datetime(at_us):
    assert text_to_us(us_to_text(at_us)) == at_us
    assert datetime_to_us(us_to_datetime(at_us)) == at_us


@given(INSTANTS_US, INSTANTS_US)
def test_instants_sort_as_text(first_us, second_us):
    assert (us_to_text(first_us) < us_to_text(second_us)) == (first_us < second_us)


def test_offsets_are_the_same_instant_in_utc():
    east = datetime(2026, 1, 5, 11, tzinfo=timezone(timedelta(hours=2)))
    assert datetime_to_us(east) == datetime_to_us(datetime(2026, 1, 5, 9, tzinfo=UTC))
    assert text_to_us("2026-01-05T11:00:00+02:00") == text_to_us("2026-01-05T09:00:00Z")
    assert text_to_us("2026-01-05") == text_to_us("2026-01-05T00:00:00Z")


@pytest.mark.parametrize("text", ["2026-01-05T11:00:00", "yesterday", "2026-13-01", "", "2026-01-05 11:00"])
def test_an_instant_without_a_time_zone_or_sense_is_refused(text):
    with pytest.raises(InvalidInputError):
        text_to_us(text)


def test_a_datetime_without_a_time_zone_is_refused():
    with pytest.raises(InvalidInputError, match="no time zone"):
        datetime_to_us(datetime(2026, 1, 5))  # noqa: DTZ001 - the fault under test


def test_now_is_now():
    before = datetime.now(UTC)
    assert before - timedelta(seconds=1) <= us_to_datetime(now_us()) <= datetime.now(UTC) + timedelta(seconds=1)


@given(st.integers(0, 10**18 - 1))
def test_a_whole_number_is_read_as_it_is_written(number):
    assert whole_number(str(number)) == number


@pytest.mark.parametrize(
    "text", ["", " 1", "-1", "+1", "1.0", "1e3", "0x1", "1_000", "²", "٣", "९", "1" * 19, "9" * 5000]
)
def test_what_is_no_whole_number_is_none(text):
    assert whole_number(text) is None
