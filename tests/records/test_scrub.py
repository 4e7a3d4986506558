"""Scrubbing: what identifies somebody goes, what was said about anything else stays."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from volition.records.scrub import Scrubber

PEOPLE = {
    "person-12345678": ["Ada Byron", "ada.b"],
    "person-0000beef": ["Zoë Weiß"],
    "person-00c0ffee": ["İbrahim Öz", "kim"],
    "person-deadbeef": ["王伟"],
    "person-abad1dea": ["Anne-Marie O'Neil"],
}
SCRUBBER = Scrubber(PEOPLE)


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Write to ada@x.example.", "Write to [email]."),
        ("mailto:a.b+c@mail.x-y.example, now", "mailto:[email], now"),
        ("<ADA@X.EXAMPLE>", "<[email]>"),
        ("o'neil@x.example", "[email]"),
        ("jürgen@bücher.example", "[email]"),
        ("at 5 pm @home", "at 5 pm @home"),
        ("_ada@x.example_", "[email]"),
    ],
)
def test_addresses_go(text, scrubbed):
    assert Scrubber({}).scrub(text) == scrubbed


@pytest.mark.parametrize(
    "number",
    [
        "+44 20 7946 0018",
        "+442079460018",
        "0044-20-7946-0018",
        "(020) 7946 0018",
        "(020) - 7946 0018",
        "+44 (0) 20 7946 0018",
        "020.7946.0018",
        "020/7946/0018",
        "020\N{EN DASH}7946\N{NON-BREAKING HYPHEN}0018",
        "020\N{NO-BREAK SPACE}7946\N{NO-BREAK SPACE}0018",
        "0 2 0 7 9 4 6 0 0 1 8",
        "555-1234-5678",
        "٠٢٠٧٩٤٦٠٠١٨",
        "4111 1111 1111 1111",
        "DE12345678901234567890"[2:],
    ],
)
@pytest.mark.parametrize("around", ["{}", "call {} now", "tel.{}", "Tel:{},", "t{}x", "a_{}_", "{}ext12"])
def test_telephone_and_other_long_numbers_go_however_they_are_written(number, around):
    assert Scrubber({}).scrub(around.format(number)) == around.format("[number]")


@pytest.mark.parametrize("text", ["42", "in 2026", "10:30", "3.14", "123 456", "1,000,000", "v1.2.3", "50 %", "24/7"])
def test_short_numbers_stay(text):
    assert Scrubber({}).scrub(text) == text


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("see https://docs.example/pricing, ok", "see https://docs.example/pricing, ok"),
        ("https://x.example/reset?token=abc", "https://x.example/[link]"),
        ("https://x.example/#access_token=abc", "https://x.example/[link]"),
        ("https://x.example/s/9f86d081884c7d65", "https://x.example/[link]"),
        ("https://x.example/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "https://x.example/[link]"),
        ("https://ada:geheim@x.example/reset/9f86d081884c7d659a2f", "https://x.example/[link]"),
        ("https://x.example:8443/a", "https://x.example/a"),
        ("(https://x.example/a_(b)?t=1234).", "(https://x.example/[link])."),
        ("http://[2001:db8::1]:80/9f86d081884c7d659a2f", "[link]"),
        ("www.x.example/reset?token=abc", "www.x.example/[link]"),
        ("www.x.example?next=https://y.example/", "www.x.example/[link]"),
        ("zoommtg://zoom.example/join?pwd=secret", "zoommtg://zoom.example/[link]"),
        ("_https://x.example/?q=1_", "_https://x.example/[link]"),
        ("HTTPS://X.EXAMPLE/?Q=1", "HTTPS://X.EXAMPLE/[link]"),
        ("https://x.example/u/ada@y.example", "https://x.example/u/[email]"),
        ("https://x.example/call/5551234", "https://x.example/call/[number]"),
        ("https://[", "[link]"),
        ("https://x.example/[a]", "https://x.example/[a]"),
    ],
)
def test_of_a_link_stays_what_cannot_be_a_token(text, scrubbed):
    assert Scrubber({}).scrub(text) == scrubbed


ADA = "[person-12345678]"


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Ada Byron, ada byron, ADA BYRON", f"{ADA}, {ADA}, {ADA}"),
        ("Ada\nByron and Ada  Byron", f"{ADA} and {ADA}"),
        ("Ada said, Byron said, ADA!", f"{ADA} said, {ADA} said, {ADA}!"),
        ("ask ada.b", f"ask {ADA}"),
        ("Ada's plan; _Ada_, *Ada*, (Ada)", f"{ADA}'s plan; _{ADA}_, *{ADA}*, ({ADA})"),
        ("Canada and Adam and ada", "Canada and Adam and ada"),
        ("Zoë Weiß, ZOË WEISS, zoë weiss", "[person-0000beef], [person-0000beef], [person-0000beef]"),
        ("Zoe\u0308 came", "[person-0000beef] came"),
        ("İbrahim Öz", "[person-00c0ffee]"),
        ("kim, KİM, k\N{LATIN SMALL LETTER DOTLESS I}m, Kim", ", ".join(["[person-00c0ffee]"] * 4)),
        ("我和王伟说", "我和[person-deadbeef]说"),
        ("Anne-Marie and O'Neil", "[person-abad1dea] and [person-abad1dea]"),
        ("ada@byron.example", "[email]"),
    ],
)
def test_the_names_of_whom_it_concerns_become_labels(text, scrubbed):
    assert SCRUBBER.scrub(text) == scrubbed


def test_the_longest_name_wins_and_the_first_who_bears_one_keeps_it():
    scrubber = Scrubber({"a": ["Ann"], "b": ["Ann Lee", "Ann"]})
    assert scrubber.scrub("Ann Lee and Ann") == "[b] and [a]"


def test_nobodys_name_is_nobody():
    for names in ([], [""], [" "], ["A"], ["  ", "\n"]):
        assert Scrubber({"p": names}).scrub("A plain word ") == "A plain word "


@pytest.mark.parametrize("name", ["Person", "Email", "link", "12345678", "Number Seven"])
def test_a_label_is_never_taken_for_a_name(name):
    scrubber = Scrubber({"person-12345678": [name]})
    once = scrubber.scrub(f"{name}: ada@x.example +44 20 7946 0018 https://x.example/?q Number")
    assert scrubber.scrub(once) == once
    assert once.startswith("[person-12345678]: [email] [number] https://x.example/[link]") or name == "12345678"


WORDS = st.one_of(
    st.text(max_size=8),
    st.text("0123456789 -+().", max_size=14),
    st.sampled_from([name for names in PEOPLE.values() for name in names]),
    st.sampled_from(
        ["ada@x.example", "https://", "www.", "://", "@", "[", "]", "[email]", "[person-", "İ", "\u0131", "\u017f", "ß"]
    ),
    st.sampled_from(["https://u:p@x.example:1/a?b#c", "+44 20 7946 0018", ADA, "9f86d081884c7d65"]),
)


@example(["K\u0130M"])
@example(["1234567", "Ada"])
@example(["https://x.example/[link]", "?token"])
@given(st.lists(WORDS, max_size=8))
def test_scrubbing_never_fails_and_scrubbing_again_changes_nothing(words):
    once = SCRUBBER.scrub("".join(words))
    assert SCRUBBER.scrub(once) == once


@given(st.lists(st.text(max_size=12), max_size=5), st.text(max_size=60))
def test_any_text_can_be_a_name_and_is_found(names, text):
    scrubber = Scrubber({f"p{number}": [name] for number, name in enumerate(names)})
    assert scrubber.scrub(scrubber.scrub(text)) == scrubber.scrub(text)
    for name in names:
        if len("".join(name.split())) >= 2:
            assert scrubber.scrub(name) != name or "[" in name


@given(st.text(st.sampled_from("abcxyzÄß 世界.,!?-\n"), max_size=60))
def test_what_identifies_nobody_stays_as_it_is(text):
    assert Scrubber({}).scrub(text) == text


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10), st.just("call +44 20 7946 0018")),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    )
)
def test_every_text_of_a_payload_is_scrubbed_however_deep(value):
    scrubbed = Scrubber({}).scrub_payload({"body": value, "kept": value}, keep=["kept"])
    assert "7946 0018" not in json.dumps(scrubbed["body"])
    assert scrubbed["kept"] == value


def test_keys_that_somebody_chose_are_scrubbed_and_those_of_the_form_stay():
    payload = {"text": "Ada", "body": {"ada@x.example": {"Ada": 1}}, "ts": "1565616154.000100"}
    assert SCRUBBER.scrub_payload(payload, keep=["ts"]) == {
        "text": ADA,
        "body": {"[email]": {ADA: 1}},
        "ts": "1565616154.000100",
    }
