"""Drafts, tone and prose: what a model writes is refused or marked where it loses or invents what can be checked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_server import said, serving
from volition.errors import BackendError, InvalidInputError, RefusedError
from volition.features.drafts import TONES, changes, draft, rewrite
from volition.features.llm import Endpoint
from volition.features.prose import check_prose, write_prose
from volition.learning.families.summary.sentences import Moment

TEXT = "Zoe, please send 3 frames to Bolt by Friday."


def at(url):
    return Endpoint(url, "tiny", None, 5.0)


def test_a_rewrite_that_keeps_names_numbers_and_dates_comes_back_with_where_the_text_went():
    written = "Hi Zoe, could you kindly send 3 frames to Bolt by Friday? Thank you!"
    with serving((200, {}, said(written))) as (url, asked):
        found = rewrite(at(url), TEXT, "friendlier")
    assert found.text == written
    assert found.host in found.note
    assert asked[0]["body"]["messages"][1] == {"role": "user", "content": TEXT}
    assert TONES["friendlier"] in asked[0]["body"]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("Please send 3 frames to Bolt by Friday.", r"loses 'zoe'\."),
        ("Zoe, please send 4 frames to Bolt by Friday.", "loses '3' and adds '4'"),
        ("Zoe, please send 3 frames to Bolt.", "loses 'friday'"),
        ("Zoe, please send 3 frames to Bolt by Friday. Ann knows.", "adds 'ann'"),
        ("Zoe, please send 3 frames to Bolt by Friday, June 6.", "adds '6', 'june'"),
        ("Zoe, please send 3 frames to Bolt by Friday, in twenty boxes.", "adds 'twenty'"),
    ],
)
def test_a_rewrite_that_loses_or_invents_is_refused_and_says_what(written, told):
    with serving((200, {}, said(written))) as (url, _), pytest.raises(RefusedError, match=told):
        rewrite(at(url), TEXT, "formal")


def test_a_draft_may_leave_out_but_not_bring_in():
    with serving((200, {}, said("Hello Zoe, the frames are late."))) as (url, _):
        assert draft(at(url), "tell Zoe that the 3 frames are late").text == "Hello Zoe, the frames are late."
    with (
        serving((200, {}, said("Hello Zoe, the 5 frames are late."))) as (url, _),
        pytest.raises(RefusedError, match="'5'"),
    ):
        draft(at(url), "tell Zoe that the frames are late")


def test_without_an_end_point_drafting_says_what_it_needs():
    with pytest.raises(InvalidInputError, match="need a language model"):
        rewrite(None, TEXT, "shorter")


@pytest.mark.parametrize(("text", "tone"), [(" ", "shorter"), ("x" * 20_001, "shorter"), (TEXT, "ruder")])
def test_what_cannot_be_rewritten_is_not_sent(text, tone):
    with serving((200, {}, said("x"))) as (url, asked), pytest.raises(InvalidInputError):
        rewrite(at(url), text, tone)
    assert asked == []


def test_a_failing_end_point_is_reported():
    with serving((404, {}, b"no such model")) as (url, _), pytest.raises(BackendError, match="404"):
        draft(at(url), "tell Zoe")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Send the file.", "Could you forward the file?"),
        ("Zoe's frame", "The frame of Zoe"),
        ("It\u2019s Zoe", "it's Zoe"),
    ],
)
def test_ordinary_words_are_no_names(before, after):
    assert changes(before, after) == ([], [])


@pytest.mark.parametrize(
    "change", ["$5 to 5", "5% to 5", "10:30 to 10:45", "12.5 to 125", "twenty-five to thirty-five"]
)
def test_a_number_is_the_whole_of_it(change):
    before, after = change.split(" to ")
    assert changes(f"it is {before} now", f"it is {after} now") == ([before], [after])


@given(st.text())
def test_a_text_neither_loses_nor_invents_against_itself(text):
    assert changes(text, text) == ([], [])


# --- prose ---


def moment(quote, speaker="Ann"):
    return Moment(quote=quote, speaker=speaker, turn=0, start_ms=0, record_id="r")


MOMENTS = [moment("We decided that the battery lasts 9 hours."), moment("The museum does not pay.", "Bob")]


def test_sentences_are_cited_and_checked():
    answer = "Ann said the battery lasts 9 hours [1]. The museum does not pay. [2] The museum is happy."
    first, second, third = check_prose(answer, MOMENTS)
    assert (first.text, first.cites, first.unsupported) == ("Ann said the battery lasts 9 hours.", (1,), None)
    assert (second.cites, second.unsupported) == ((2,), None)
    assert third.unsupported == "cites no moment"


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("The battery lasts 10 hours [1].", "a name, a number or a date"),
        ("Zoe decided the battery lasts 9 hours [1].", "a name, a number or a date"),
        ("The museum does not pay [1].", "uses other words"),
        ("The museum does not pay [7].", "does not exist"),
        ("The museum does not pay [2, 0].", "does not exist"),
        ("The museum does pay [2].", "denies what its lines say"),
        ("It was good [1].", "uses other words"),
    ],
)
def test_a_sentence_that_its_moments_do_not_carry_is_marked(sentence, why):
    (checked,) = check_prose(sentence, MOMENTS)
    assert checked.unsupported is not None
    assert why in checked.unsupported


@given(st.lists(st.sampled_from(["Ann", "battery", "9", "[1]", "[2, 3]", "[", "]", ".", "\n", "no", "Zoë", "!"])))
def test_no_words_of_an_answer_are_dropped(pieces):
    answer = " ".join(pieces)
    for word in ("Ann", "battery", "Zoë"):
        told = sum(sentence.text.split().count(word) + sentence.text.count(f"{word}.") + sentence.text.count(f"{word}!")
                   for sentence in check_prose(answer, MOMENTS))  # fmt: skip
        assert told == pieces.count(word)


def test_only_the_moments_are_sent_and_the_note_says_where():
    with serving((200, {}, said("The battery lasts 9 hours [1]."))) as (url, asked):
        prose = write_prose(at(url), MOMENTS)
    assert [sentence.unsupported for sentence in prose.sentences] == [None]
    assert url.split("/")[2] in prose.note
    assert asked[0]["body"]["messages"][1]["content"] == (
        "[1] Ann: We decided that the battery lasts 9 hours.\n[2] Bob: The museum does not pay."
    )


def test_where_the_end_point_fails_the_quotes_stand_alone_and_say_so():
    with serving((400, {}, b"no")) as (url, _):
        prose = write_prose(at(url), MOMENTS)
    assert prose.sentences == ()
    assert "In quotes alone" in prose.note
    assert "400" in prose.note


def test_without_an_end_point_or_moments_nothing_is_sent():
    assert "no language model" in write_prose(None, MOMENTS).note
    with serving((200, {}, said("x"))) as (url, asked):
        assert write_prose(at(url), []).sentences == ()
    assert asked == []
