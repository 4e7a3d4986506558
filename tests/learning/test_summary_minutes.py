"""Minutes: what was settled, given out and left open, quoted; silence where nothing was said outright."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.learning.families.summary.minutes import due_in, take_minutes
from volition.records.lake import Row

TUESDAY = date(2025, 6, 3)


def say(*lines):
    """Make a meeting of "Speaker: text" lines, ten seconds each, on a Tuesday."""
    start = int(datetime(2025, 6, 3, 9, tzinfo=UTC).timestamp()) * 1_000_000
    rows = []
    for turn, line in enumerate(lines):
        speaker, text = line.split(": ", 1)
        payload = {"kind": "segment", "meeting": "m", "turn": turn, "start_ms": 10_000 * turn, "end_ms": 10_000 * turn + 9,
                   "speaker": speaker, "text": text}  # fmt: skip
        rows.append(
            Row(record_id=f"r{turn}", account="acme", people=(speaker,), category="content/transcript",
                collected_us=start + turn, payload=payload)
        )  # fmt: skip
    return rows


@pytest.mark.parametrize(
    "text",
    ["We decided to take the blue frame.", "Okay, let's go with the blue frame.", "So it's decided: the blue frame.",
     "We've agreed that the frame is blue."],
)  # fmt: skip
def test_a_decision_is_quoted_with_its_place(text):
    (decision,) = take_minutes(say("Ann: Well. " + text, "Bob: Fine.")).decisions
    assert (decision.quote, decision.speaker, decision.start_ms, decision.record_id) == (text, "Ann", 0, "r0")


@pytest.mark.parametrize(
    "text",
    ["We haven't decided to take the blue frame.", "Have we decided on the blue frame?", "If it's decided, tell me.",
     "Once we have agreed on a frame, we can start.", "We could decide that later.", "Maybe we go with blue."],
)  # fmt: skip
def test_what_is_not_settled_is_no_decision(text):
    assert take_minutes(say("Ann: " + text)).decisions == ()


@pytest.mark.parametrize("text", ["We need to book a room.", "Can you review the contract?"])
def test_what_nobody_took_and_no_day_was_set_for_is_no_task(text):
    assert not take_minutes(say("Ann Lee: " + text, "Bob: Yes.")).actions


@pytest.mark.parametrize(
    ("text", "who", "what"),
    [
        ("I'll send the drawings by Friday.", "Ann Lee", "send the drawings by Friday"),
        ("I\u2019ll send the drawings by Friday.", "Ann Lee", "send the drawings by Friday"),
        ("Bob, can you please check the invoice tomorrow?", "Bob", "check the invoice tomorrow"),
        ("Bob will order two wheels.", "Bob", "order two wheels"),
        ("We need to book a room by Friday.", None, "book a room by Friday"),
        ("Action item: review the contract.", None, "review the contract"),
    ],
)
def test_a_task_goes_to_whoever_took_it_or_was_named_and_else_to_nobody(text, who, what):
    (action,) = take_minutes(say("Ann Lee: " + text, "Bob: Yes.")).actions
    assert (action.who, action.what) == (who, what)


def test_a_name_that_fits_two_speakers_or_none_assigns_nothing():
    minutes = take_minutes(say("Ann Lee: Bob will order wheels.", "Bob One: Zoe will order wheels.", "Bob Two: Hm."))
    assert minutes.actions == ()


@pytest.mark.parametrize(
    "text", ["I'll be honest with you.", "If it rains I'll send the bus.", "I won't send it.", "I might send it."]
)
def test_what_is_no_promise_is_no_task(text):
    assert take_minutes(say("Ann: " + text)).actions == ()


def test_a_question_is_open_when_whoever_answers_does_not_know():
    asked = "Ann: How much does the larger battery cost?"
    assert [q.quote for q in take_minutes(say(asked, "Bob: No idea, sorry.")).questions] == [asked[5:]]
    assert take_minutes(say(asked, "Bob: Eleven euros.")).questions == ()
    assert take_minutes(say(asked, "Ann: No idea, myself.", "Bob: Eleven.")).questions == ()


def test_a_question_may_be_called_open():
    assert len(take_minutes(say("Ann: We still don't know whether the museum pays.")).questions) == 1


@pytest.mark.parametrize(
    ("text", "words", "day"),
    [
        ("by Friday", "by Friday", date(2025, 6, 6)),
        ("on Tuesday", "on Tuesday", date(2025, 6, 10)),
        ("tomorrow morning", "tomorrow", date(2025, 6, 4)),
        ("today", "today", TUESDAY),
        ("on June 20th", "June 20th", date(2025, 6, 20)),
        ("the 2nd of June", "2nd of June", date(2026, 6, 2)),
        ("on 29 February", "29 February", date(2028, 2, 29)),
        ("in two weeks", "in two weeks", date(2025, 6, 17)),
        ("in 3 days", "in 3 days", date(2025, 6, 6)),
        ("by the end of the month", "by the end of the month", date(2025, 6, 30)),
        ("on 2025-07-01", "2025-07-01", date(2025, 7, 1)),
        ("on 2025-13-01", "2025-13-01", None),
        ("next Friday", "next Friday", None),
        ("by the end of the week", "by the end of the week", None),
    ],
)
def test_a_day_is_told_only_where_one_was_said(text, words, day):
    assert due_in(f"I'll send it {text}.", TUESDAY) == (words, day)


def test_no_time_said_is_no_due():
    assert due_in("I'll send it on the train that Friday sees off in June.", TUESDAY) is None


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.sampled_from(["Monday", "Thursday", "Sunday"]))
def test_a_weekday_is_the_next_one_after_the_meeting(said, weekday):
    found = due_in(f"by {weekday}", said)
    expected = next(d for d in (said + timedelta(days=n) for n in range(1, 8)) if d.strftime("%A") == weekday)
    assert found == (f"by {weekday}", expected)


@given(st.lists(st.tuples(st.sampled_from(["Ann", "Bob Lee"]), st.text(max_size=60)), max_size=6), st.randoms())
def test_every_line_is_a_verbatim_quote_and_the_order_of_rows_does_not_matter(lines, random):
    rows = say(*(f"{speaker}: {text}" for speaker, text in lines), "Ann: I'll send it by Friday. We decided to stop.")
    minutes = take_minutes(rows)
    texts = {row.record_id: row.payload["text"] for row in rows}

    told = [*minutes.decisions, *minutes.questions, *(action.moment for action in minutes.actions)]
    assert len(told) >= 2
    assert all(moment.quote in texts[moment.record_id] for moment in told)
    assert all(action.what in action.moment.quote for action in minutes.actions)
    assert take_minutes(random.sample(rows, len(rows))) == minutes


def test_an_edited_summary_is_not_quoted():
    (row,) = say("Ann: We decided to stop.")
    edited = replace(row, payload={"kind": "summary", "meeting": "m", "text": "We decided to stop."})
    assert take_minutes([edited]).decisions == ()
