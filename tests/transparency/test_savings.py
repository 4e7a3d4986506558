"""What features saved an account: from its people's usage, with intervals, and nothing that tells about a handful."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.learning.audit.intervals import ratio_interval
from volition.learning.families.search.lines import CLICK
from volition.records.ingest.used import read_summary, searched, sent_message
from volition.records.lake import Row
from volition.transparency.savings import WORDS_A_MINUTE, savings

MINUTE_US = 60_000_000


def row(person, at_us, *, draft=None, name="", merged=None):
    """A record as the gate lets it through: of one of our events, or of an opened hit."""
    payload = {"kind": "event", "name": name, "attributes": {}} if draft is None else draft.payload
    return Row(
        record_id=f"{person}/{at_us}",
        account="acme",
        people=(person,),
        category="service/usage",
        collected_us=at_us,
        payload=payload,
        merged=merged,
    )


def read(person, at_us, spoken=2380, shown=238, tasks=2, **more):
    said = {"spoken": ["word"] * spoken, "shown": ["word"] * shown}
    return row(person, at_us, draft=read_summary(person, account="acme", **said, tasks=tasks, at_us=at_us), **more)


def asked(person, at_us):
    return row(person, at_us, draft=searched(person, account="acme", hits=3, at_us=at_us))


def opened(person, at_us):
    return row(person, at_us, name=CLICK)


def wrote(person, at_us, letters=100, taken=30, pressed=5):
    counts = {"letters": letters, "taken": taken, "pressed": pressed}
    return row(person, at_us, draft=sent_message(person, account="acme", **counts, at_us=at_us))


def test_keystrokes_saved_are_the_characters_taken_less_the_keys_that_took_them():
    [keys] = savings("feature/compose", [wrote(f"p{number}", number) for number in range(5)])
    assert (keys.value, keys.low, keys.high, keys.times, keys.people) == (25.0, 25.0, 25.0, 5, 5)
    assert "saved 25.0 keystrokes a message (95 %: 25.0 to 25.0) of 100 characters, over 5 times by 5" in keys.says
    [cost] = savings("feature/compose", [wrote(f"p{number}", number, taken=2, pressed=4) for number in range(5)])
    assert "cost 2.0 keystrokes a message (95 %: -2.0 to -2.0)" in cost.says
    [unsure] = savings("feature/compose", [wrote(f"p{number}", number, taken=0, pressed=0) for number in range(5)])
    assert unsure.says.endswith("We are not sure that it saves any.")
    [few] = savings("feature/compose", [wrote(f"p{number % 4}", number) for number in range(9)])
    assert (few.value, "was not measured" in few.says) == (None, True)


@pytest.mark.parametrize(
    ("letters", "taken", "pressed"), [(10, 11, 1), (10, -1, 1), (10, 5, 0), (10, 5, -1), (10, 5, 10**6)]
)
def test_counts_of_keys_that_cannot_be_are_not_recorded(letters, taken, pressed):
    counts = {"letters": letters, "taken": taken, "pressed": pressed}
    assert sent_message("p", account="acme", **counts, at_us=0) is None


def test_minutes_of_reading_are_those_of_the_transcript_less_those_of_the_summary():
    reading, tasks = savings("feature/summary", [read(f"p{number}", number) for number in range(5)])
    assert reading.value == pytest.approx((2380 - 238) / WORDS_A_MINUTE) == pytest.approx(9.0)
    assert (reading.low, reading.high) == (reading.value, reading.value)  # everybody saved the same
    assert (reading.times, reading.people) == (5, 5)
    assert "saved 9.0 minutes each time (95 %: 9.0 to 9.0), over 5 times by 5 people" in reading.says
    assert (tasks.value, tasks.times) == (2.0, 5)
    assert "named 2.0 tasks" in tasks.says


def test_a_summary_longer_than_what_was_said_costs_time_and_that_is_said():
    reading, _ = savings("feature/summary", [read(f"p{number}", number, spoken=100, shown=576) for number in range(6)])
    assert reading.value == pytest.approx(-2.0)
    assert " cost 2.0 minutes each time (95 %: -2.0 to -2.0)" in reading.says


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4000)), min_size=1, max_size=30))
def test_what_is_said_of_reading_is_what_was_measured(reads):
    rows = [read(f"p{person}", at, spoken=spoken, shown=500) for at, (person, spoken) in enumerate(reads)]
    reading, _ = savings("feature/summary", rows)
    if len({person for person, _ in reads}) < 5:
        assert (reading.value, reading.people) == (None, None)
        assert "was not measured" in reading.says
        return
    assert reading.value == pytest.approx(sum(spoken - 500 for _, spoken in reads) / len(reads) / WORDS_A_MINUTE)
    assert reading.low <= reading.high
    assert ("not sure" in reading.says) == (reading.low <= 0 <= reading.high)
    assert (" cost " in reading.says) == (reading.value < 0)


def test_searches_are_followed_to_the_hit_that_was_opened():
    rows = []
    for number in range(5):  # each looks twice, then opens; and once in vain
        person = f"p{number}"
        rows += [asked(person, 0), asked(person, MINUTE_US), opened(person, 2 * MINUTE_US)]
        rows += [asked(person, 60 * MINUTE_US)]
    [found] = savings("feature/search", rows)
    assert (found.value, found.times, found.people) == (0.5, 10, 5)
    assert "50 ended in an opened result" in found.says
    assert "after 2.0 searches on average" in found.says


def test_a_hit_that_is_opened_much_later_or_without_a_search_is_of_no_search():
    rows = []
    for number in range(5):
        person = f"p{number}"
        rows += [opened(person, 0), asked(person, MINUTE_US), opened(person, 30 * MINUTE_US)]
    [found] = savings("feature/search", rows)
    assert (found.value, found.times) == (0.0, 5)
    assert "after" not in found.says


def test_whoever_has_two_identities_is_one_person():
    merged = {"p4b": "p4"}
    rows = [read(f"p{number}", number) for number in range(4)] + [read("p4b", 9, merged=merged)]
    assert savings("feature/summary", rows)[0].people == 5
    rows = [read(f"p{number}", number) for number in range(3)] + [read("p4", 8), read("p4b", 9, merged=merged)]
    assert savings("feature/summary", rows)[0].value is None


def test_what_nothing_records_is_not_measured_and_training_saves_nothing():
    for purpose in ("feature/compose", "feature/diagnose", "feature/search", "feature/summary"):
        assert all(one.value is None and "was not measured. " in one.says for one in savings(purpose, ()))
        assert savings(purpose, ())
    assert savings("train/search", [read("p", 0)]) == ()


def test_words_that_cannot_be_counted_are_not():
    japanese = "来週の金曜日までに田中さんが見積もりを送ることになりました。" * 40
    assert read_summary("p", account="acme", spoken=[japanese], shown=[], tasks=0, at_us=0) is None
    assert read_summary("p", account="acme", spoken=[], shown=[], tasks=0, at_us=0) is None
    event = read_summary("p", account="acme", spoken=["we ship on", "friday"], shown=["ship"], tasks=1, at_us=0)
    assert event.payload["attributes"] == {
        "summary.spoken_words": 4,
        "summary.shown_words": 1,
        "summary.tasks": 1,
    }
    assert not any(word in str(event.payload) for word in ("friday", "ship"))  # how much, never what


def test_the_interval_resamples_people_and_not_their_uses():
    one_talker = [(100.0, 100), (0.0, 1), (0.0, 1), (0.0, 1), (0.0, 1)]
    low, high = ratio_interval(one_talker)
    assert low == 0.0  # a resample without that one person
    assert high > 0.95
