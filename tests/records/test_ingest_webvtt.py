"""WebVTT: who said what when, and what is set aside."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from volition.errors import InvalidInputError
from volition.records.ingest import Draft, Note, PersonRef, Reject, Skipped
from volition.records.ingest.webvtt import read_webvtt

START_US = 1_700_000_000_000_000
UNKNOWN = (PersonRef(),)

ZOOM = """WEBVTT

1
00:00:01.000 --> 00:00:03.500
Ada Lovelace: Shall we start: at once?

2
00:00:03.500 --> 00:00:05.000
We have an hour.

3
00:00:05.000 --> 00:00:07.000
Grad C: Note: the room is booked.

4
00:00:07.000 --> 00:00:08.000
Ada Lovelace: Fine.

5
00:00:08.000 --> 00:00:09.000
Note: nobody else came.
"""

TEAMS = """WEBVTT

0b1f8a9e-1c1d-4c7a-9d2e-6f0f4e1c2b3a/7-0
00:00:01.000 --> 00:00:03.000
<v Ada Lovelace>Hello &amp; welcome, all: sit.</v>

0b1f8a9e-1c1d-4c7a-9d2e-6f0f4e1c2b3a/7-1
00:00:03.000 --> 00:00:05.000
<v Ada Lovelace>Ready?</v>
<v.loud Charles Babbage>Always

0b1f8a9e-1c1d-4c7a-9d2e-6f0f4e1c2b3a/9-0
00:00:05.000 --> 00:00:06.000
<i>Then</i> go.
"""

MEET = """WEBVTT

00:01.000 --> 00:03.000
Ada Lovelace
Good morning
everyone

00:03.000 --> 00:04.000
Charles Babbage
Good morning.

00:04.000 --> 00:05.000
Shall we?

00:05.000 --> 00:06.000
Ada Lovelace
Yes.
"""


def read(text, **options):
    data = text if isinstance(text, bytes) else text.encode()
    settings = {"source": "m.vtt", "account": "acme", "meeting": "m", "start_us": START_US} | options
    return list(read_webvtt(data, **settings))


def cues(*texts):
    """Return a file with one cue a second for each text."""
    blocks = (f"00:00:{n:02}.000 --> 00:00:{n + 1:02}.000\n{text}\n" for n, text in enumerate(texts))
    return "\n".join(["WEBVTT\n", *blocks])


def untold(items):
    """Return the items without the note that no cue names a speaker."""
    return [item for item in items if not isinstance(item, Note)]


def said(items):
    return [(item.payload["speaker"], item.payload["text"]) for item in items if isinstance(item, Draft)]


def test_zoom_names_carry_on_and_later_colons_belong_to_the_text():
    assert said(read(ZOOM)) == [
        ("Ada Lovelace", "Shall we start: at once?"),
        ("Ada Lovelace", "We have an hour."),
        ("Grad C", "Note: the room is booked."),
        ("Ada Lovelace", "Fine."),
        ("Ada Lovelace", "Note: nobody else came."),
    ]


def test_a_draft_tells_when_where_and_who():
    second = read(ZOOM)[2]
    assert second == Draft(
        key="webvtt:m:3",
        account="acme",
        people=(PersonRef(name="Grad C"), PersonRef(name="Ada Lovelace")),
        category="content/transcript",
        at_us=START_US + 5_000_000,
        payload={
            "kind": "segment",
            "meeting": "m",
            "turn": 3,
            "start_ms": 5000,
            "end_ms": 7000,
            "speaker": "Grad C",
            "text": "Note: the room is booked.",
        },
    )


def test_everyone_in_the_meeting_follows_the_speaker_sorted_and_once():
    ada = PersonRef(name="ada lovelace", email="ada@acme.example")
    silent = PersonRef(name="Charles Babbage", id="u7")
    nameless = PersonRef(email="guest@example.org")
    people = read(ZOOM, participants=[silent, ada, nameless])[2].people
    assert people == (PersonRef(name="Grad C"), nameless, silent, ada)


def test_teams_voices_are_cut_apart_and_their_colons_mean_nothing():
    items = read(TEAMS)
    assert said(items) == [
        ("Ada Lovelace", "Hello & welcome, all: sit."),
        ("Ada Lovelace", "Ready?"),
        ("Charles Babbage", "Always"),
        ("", "Then go."),  # outside of every tag
    ]
    guid = "webvtt:m:0b1f8a9e-1c1d-4c7a-9d2e-6f0f4e1c2b3a"
    assert [item.key for item in items] == [f"{guid}/7-0", f"{guid}/7-1", f"{guid}/7-1#2", f"{guid}/9-0"]
    assert [item.payload["turn"] for item in items] == [0, 1, 2, 3]


def test_meet_names_on_their_own_lines_are_speakers():
    assert said(read(MEET)) == [
        ("Ada Lovelace", "Good morning everyone"),
        ("Charles Babbage", "Good morning."),
        ("Charles Babbage", "Shall we?"),
        ("Ada Lovelace", "Yes."),
    ]


def test_wrapped_captions_are_not_taken_for_names():
    text = cues("Hello and welcome to\nthis meeting", "Thank you\nvery much", "Thank you\nall")
    assert {speaker for speaker, _ in said(read(text))} == {""}
    once = cues("Hello\neverybody", "Thanks\nall")
    assert {speaker for speaker, _ in said(read(once))} == {""}
    assert said(read(once, participants=[PersonRef(name="Thanks")]))[1] == ("Thanks", "all")


def test_before_the_first_name_nobody_knows_who_speaks():
    items = read(cues("Is it on?", "Ada: Yes.", "Ada: Good."))
    assert items[0].people == UNKNOWN
    assert items[0].payload["speaker"] == ""
    assert items[1].people == (PersonRef(name="Ada"),)


@pytest.mark.parametrize(
    ("texts", "speakers"),
    [
        (["Ada: One.", "two", "Ada: three", "Bob: once"], ["Ada", "Ada", "Ada", "Bob"]),  # written like a name
        (["Ada: One.", "two", "Ada: three", "the point is: no"], ["Ada"] * 4),  # not like a name, and only once
        (["Ada: One.", "two", "bob: hi", "Ada: three", "bob: ho"], ["Ada", "Ada", "bob", "Ada", "bob"]),  # seen again
        (["Ada: One.", "bob: two"], ["Ada", "bob"]),  # every cue has one
        (["Ada: One.", "Note: two", "Note: three"], ["Ada"] * 3),  # a label is nobody, even again
        (["Ada: One.", "He said yes. Then he left for good: gone"], ["Ada"] * 2),  # too many words
        (["Ada: One.", "12:30 is fine", "see http://a.example"], ["Ada"] * 3),  # no space after the colon
        (["Hon. B. Ng (Trade, and Small Business): Yes."], ["Hon. B. Ng (Trade, and Small Business)"]),
        (["Ada: One.\nBob: Two.\nand more", "Bob: Three."], ["Ada", "Bob", "Bob"]),  # names within one cue
    ],
)  # fmt: skip
def test_who_is_a_speaker(texts, speakers):
    assert [speaker for speaker, _ in said(read(cues(*texts)))] == speakers


def test_a_participant_is_a_speaker_whatever_the_name_looks_like():
    text = cues("Ada: One.", "two", "note: three")
    assert said(read(text, participants=[PersonRef(name="Note")]))[2] == ("note", "three")


def test_a_malformed_cue_is_set_aside_with_its_line_and_the_others_are_kept():
    text = ZOOM.replace("00:00:03.500 --> 00:00:05.000", "00:00:03;500 --> 00:00:05.000")
    items = read(text)
    assert [type(item) for item in items] == [Draft, Reject, Draft, Draft, Draft]
    assert items[1].source == "m.vtt"
    assert items[1].where == "line 8"
    assert "00:00:03;500" in items[1].why
    assert items[1].raw == "2\n00:00:03;500 --> 00:00:05.000\nWe have an hour."
    kept = [item.key for item in items if isinstance(item, Draft)]
    assert kept == [item.key for item in read(ZOOM) if item.payload["turn"] != 2]


@pytest.mark.parametrize(
    "timings",
    [
        "00:00:01.000 -> 00:00:02.000",
        "00:00:01.000 --> 00:00:0",
        "00:00:01.000 --> 00:00:02.0000",
        "00:00:01 --> 00:00:02",
        "00:61:01.000 --> 00:62:02.000",
        "00:00:60.001 --> 00:01:02.000",
        "00:00:02.000 --> 00:00:01.000",
        "\u0660\u0660:00:01.000 --> 00:00:02.000",
        "",
    ],
)
def test_bad_times_are_set_aside(timings):
    items = read(f"WEBVTT\n\n1\n{timings}\nAda: Hello.\n\n2\n00:00:09.000 --> 00:00:10.000\nAda: Good.\n")
    assert "Good." in said(items)[-1]
    assert isinstance(items[0], Reject)
    assert all(isinstance(item, Reject) or item.payload["text"] == "Good." for item in items)


@pytest.mark.parametrize(
    ("timings", "start_ms", "end_ms"),
    [
        ("01:02.003 --> 01:02.003", 62_003, 62_003),
        ("100:00:00.000 --> 100:00:00.001 align:start position:0%", 360_000_000, 360_000_001),
        ("\t0:00:01.000-->0:00:02.000", 1000, 2000),
        ("00:12:60.000 --> 00:13:00.600", 780_000, 780_600),
        ("00:12:60,000 --> 00:13:00,600", 780_000, 780_600),
    ],
)
def test_good_times_are_read(timings, start_ms, end_ms):
    (draft,) = read(f"WEBVTT\n\n{timings}\nAda: Hello.")
    assert (draft.payload["start_ms"], draft.payload["end_ms"]) == (start_ms, end_ms)
    assert draft.at_us == START_US + start_ms * 1000


def test_after_an_unreadable_cue_nobody_knows_who_goes_on():
    unclosed = cues("<v Ada>One</v>", "<v Bob", "two")
    assert [item.people for item in read(unclosed)] == [(PersonRef(name="Ada"),), (), UNKNOWN]
    untimed = "WEBVTT\n\n00:01.000 --> 00:02.000\nAda: One\n\nAda: Two\nBob: Three\n\n00:03.000 --> 00:04.000\nfour"
    assert [item.people for item in read(untimed)] == [(PersonRef(name="Ada"),), (), UNKNOWN]


def test_a_rejected_cue_still_tells_who_goes_on():
    text = cues("Ada: One", "Bob: Two", "three", "Bob: four").replace("00:00:01.000 -->", "00:00:01 -->")
    assert said(read(text)) == [("Ada", "One"), ("Bob", "three"), ("Bob", "four")]


def test_comments_styles_and_regions_are_no_cues():
    text = "WEBVTT - title\nKind: captions\n\nNOTE\nAda: hidden\n\nSTYLE\n::cue {}\n\nREGION\nid:x\n\n" + ZOOM[8:]
    assert read(text) == read(ZOOM)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + ZOOM.encode(),
        ZOOM.replace("\n", "\r\n").encode(),
        ZOOM.replace("\n", "\r").encode(),
        ZOOM.encode("utf-16"),
        b"\xfe\xff" + ZOOM.encode("utf-16-be"),
    ],
    ids=["mark", "crlf", "cr", "utf-16-le", "utf-16-be"],
)
def test_marks_line_ends_and_utf16_change_nothing(data):
    assert [item.payload for item in read(data)] == [item.payload for item in read(ZOOM)]


def test_a_nul_is_replaced_as_the_standard_says():
    assert said(read(cues("Ada: a\0b"))) == [("Ada", "a\ufffdb")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "m.vtt is empty"),
        (b"\n\n", "m.vtt is empty"),
        (b"1\n00:00:01.000 --> 00:00:02.000\nhi", "first line is '1', not WEBVTT"),
        (b"WEBVTTX\n", "not WEBVTT"),
        (b"WEBVTT\n\nab\xffcd", r"byte 10 \(line 3\) is not UTF-8"),
        (b"\xff\xfeW\x00E\x00\x00\xd8", "byte 6 .* is not UTF-16"),
    ],
)
def test_what_is_no_transcript_is_refused_with_a_reason(data, message):
    with pytest.raises(InvalidInputError, match=message):
        read(data)


@pytest.mark.parametrize("ending", ["", "00:00:0", "00:00:08.000 -->", "00:00:08.000 --> 00:00:09.000"])
def test_a_truncated_last_cue_costs_only_itself(ending):
    items = read(ZOOM[: ZOOM.rindex("00:00:08.000")] + ending)
    assert items[:-1] == read(ZOOM)[:-1]
    assert isinstance(items[-1], Reject)


def test_repeated_identifiers_keep_both_cues_under_stable_keys():
    text = "WEBVTT\n\n1\n00:01.000 --> 00:02.000\nAda: One\n\n1\n00:03.000 --> 00:04.000\nAda: Two\n"
    assert [(item.key, item.payload["turn"]) for item in read(text)] == [("webvtt:m:1", 0), ("webvtt:m:1#2", 1)]
    assert read(text) == read(text)
    bare = text.replace("1\n00", "00")
    assert [item.key for item in read(bare)] == ["webvtt:m:@1000", "webvtt:m:@3000"]


def test_mending_a_cue_changes_no_other_key():
    good = "WEBVTT\n\n1\n00:01.000 --> 00:02.000\nAda: One\n\n1\n00:03.000 --> 00:04.000\nAda: Two\n"
    bad = good.replace("00:01.000 -->", "00:01 -->")
    assert read(bad)[1].key == read(good)[1].key


def test_turns_follow_rising_integer_identifiers_only():
    text = "WEBVTT\n\n{}\n00:01.000 --> 00:02.000\nAda: One\n\n{}\n00:03.000 --> 00:04.000\nAda: Two\n"
    for first, second, turns in [("3", "9", [3, 9]), ("9", "3", [0, 1]), ("a", "3", [0, 1]), ("2", "2", [0, 1])]:
        assert [item.payload["turn"] for item in read(text.format(first, second))] == turns


def test_an_account_is_asked_for():
    with pytest.raises(InvalidInputError, match="no account"):
        read(ZOOM, account="")


# --- whatever comes -------------------------------------------------------------------------------------------------

SAMPLES = [text.encode() for text in (ZOOM, TEAMS, MEET)]
PIECES = b"\n|\n\n|-->|: |<v |>|1|\x00|\xff|WEBVTT|00:00:01.000|NOTE |&#xD800;".split(b"|")
ANYTHING = st.binary(max_size=300)
ANY_TEXT = st.text(max_size=300).map(lambda text: b"WEBVTT\n\n" + text.encode("utf-8", "replace"))
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="<>&:\0"), min_size=1)


@st.composite
def mutations(draw):
    """Return a valid sample with up to six pieces cut out, doubled or put in."""
    data = draw(st.sampled_from(SAMPLES))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        data = data[:start] + draw(st.sampled_from([*PIECES, b"", data[start:end] * 2])) + data[end:]
    return data


@given(ANYTHING | ANY_TEXT | mutations())
@example(b"WEBVTT\n\n1\n2\n3 --> 4")
def test_whatever_comes_is_read_rejected_or_refused(data):
    try:
        items = read(data)
    except InvalidInputError as error:
        assert "m.vtt" in str(error)  # noqa: PT017 - both ways out are right
        return
    assert all(isinstance(item, Draft | Note | Reject | Skipped) for item in items)
    pieces = sum(item.count if isinstance(item, Skipped) else not isinstance(item, Note) for item in items)
    keys = [item.key for item in items if isinstance(item, Draft)]
    assert len(set(keys)) == len(keys)
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    timed = [line for line in text.replace("\r", "\n").split("\n")[1:] if "-->" in line]
    assert pieces >= len(timed)  # each line with an arrow is a cue, and each cue comes out
    assert read(data) == items


@given(st.lists(st.tuples(st.sampled_from(["Ada", "Bob Stone", ""]), WORDS), max_size=8))
def test_no_word_is_lost(lines):
    voices = [(name, " ".join(text.split())) for name, text in lines]
    voices = [(name, text) for name, text in voices if text]
    file = cues(*(f"<v {name}>{text}</v>" if name else text for name, text in voices))
    items = read(file)
    assert [text for _, text in said(items)] == [text for _, text in voices]
