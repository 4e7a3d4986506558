"""Mistyped words: mended where it is sure what was meant, in English and German, and nothing else is touched."""

import pytest

from volition.features.edits import shorten, tidy
from volition.features.spelling import spelling


@pytest.fixture(scope="module")
def mend():
    return spelling().mend


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("teh meeting is done!!!!", "the meeting is done!"),
        (
            "i recieved the docuemnt yesterday and dont know why",
            "I received the document yesterday and don't know why",
        ),
        (
            "ich habe das nciht gesehen udn wir sollten vieleicht warten",
            "ich habe das nicht gesehen und wir sollten vielleicht warten",
        ),
        ("das meeting ist shcon vorbei", "das meeting ist schon vorbei"),  # English words in German stay
    ],
)
def test_what_is_surely_mistyped_is_mended(mend, typed, meant):
    assert tidy(typed, mend) == meant
    assert tidy(meant, mend) == meant  # once is enough


@pytest.mark.parametrize(
    "text",
    [
        "Tej and Teh said that Jonsa will come",  # names
        "run `teh recieve` at https://x.example/teh-recieve, then mail teh@x.example",
        "```\nteh docuemnt\n```",
        "@teh and #teh and :teh: and teh1 and 1teh",
        "the async config of our kubectl repo is in json",  # words of a trade
        "the colour and the behaviour are organised well",  # British ones
        "I think you can form trial groups from there",  # words that are one slip away from others
        "teh-teh and re.teh",
        "",
    ],
)
def test_names_code_links_numbers_and_right_words_stay(mend, text):
    assert tidy(text, mend) == text


def test_a_word_of_the_house_is_no_mistake(mend):
    assert mend("the moudle is ready") == "the module is ready"
    assert mend("the moudle is ready", is_word={"moudle"}.__contains__) == "the moudle is ready"


def test_shortening_mends_too(mend):
    assert shorten("Hi all, teh plan is really good!!", mend) == "The plan is good!"
    assert shorten("Hallo zusammen, das ist eigentlich shcon fertig", mend) == "Das ist schon fertig"
