"""Search that knows when to be silent: nonsense finds nothing, and what is there is found, marked, named and narrowed."""

import numpy as np
import pytest

from volition.learning.encoder import Encoder, EncoderMissingError
from volition.learning.families.search.features import Index
from volition.learning.families.search.lines import documents_of
from volition.learning.families.search.marks import marks_of
from volition.learning.families.search.named import MOST, named_in
from volition.learning.families.search.narrowing import EVERYTHING, Narrowing
from volition.learning.families.search.ranking import search, search_in
from volition.records.lake import Row

DAY_US = 86_400_000_000
SAID = {
    "wheel-supplier": [
        "We compared three suppliers of wheels.",
        "The rims from Ghent are cheaper.",
        "Agreed, Ghent it is.",
    ],
    "launch-retro": ["The brochure came back from the printer too late.", "Next time we order two weeks earlier."],
    "team-weekly": ["Holidays are in the calendar.", "Who takes the notes next week?"],
}


def line(source, place, text, *, kind="segment", speaker="Ada Byron", day=0):
    where = {
        "segment": {"meeting": source, "turn": place, "start_ms": place * 1000, "end_ms": place * 1000 + 900},
        "message": {"channel": source, "ts": f"{1_700_000_000 + place}.000100", "thread": None},
        "passage": {"file": source, "number": place},
    }[kind]
    who = {"speaker": speaker} if kind == "segment" else {"author": speaker}
    return Row(
        record_id=f"{source}-{place}",
        account="helio",
        people=("11" * 16,),
        category="content/transcript",
        collected_us=day * DAY_US + place,
        payload={"kind": kind, "text": text, **where, **who},
    )


ROWS = [
    line(meeting, place, text, speaker=("Ada Byron", "Grace Hopper")[place % 2], day=day)
    for day, (meeting, texts) in enumerate(SAID.items())
    for place, text in enumerate(texts)
] + [
    line("printing", 7, "the brochure is at the printer", kind="message", speaker="Bo Berg", day=5),
    line("brochure.pdf", 1, "How our wheels are made", kind="passage", speaker="Bo Berg", day=6),
]


@pytest.fixture(scope="module")
def encoder():
    try:
        return Encoder.load()
    except EncoderMissingError as error:
        pytest.skip(str(error))


def indexes(encoder=None):
    return [Index(document, encoder) for document in documents_of(ROWS).values()]


def found(query, *, encoder=None, **narrowed):
    return search_in(None, query, indexes(encoder), encoder=encoder, narrowing=Narrowing(**narrowed))


@pytest.mark.slow
def test_nonsense_finds_nothing_and_what_was_said_is_found_by_its_words_and_by_its_meaning(encoder):
    for nonsense in ("xyzzyx", "asdf qwer", "flurb gnashed", "???", "zeppelin mooring mast", "sourdough hydration"):
        assert search(None, nonsense, ROWS, encoder=encoder).hits == (), nonsense
        assert search(None, nonsense, ROWS, encoder=None).hits == (), nonsense
    for query, source in (
        ("rims from Ghent", "wheel-supplier"),
        ("why was the brochure late", "launch-retro"),
        ("vacation", "team-weekly"),
    ):
        assert search(None, query, ROWS, encoder=encoder).hits[0].source == source, query


@pytest.mark.slow
def test_who_spoke_is_something_that_was_asked(encoder):
    assert {hit.speaker for hit in search(None, "Bo Berg", ROWS, encoder=encoder).hits} >= {"Bo Berg"}


def test_chats_files_and_meetings_are_found_together():
    assert {hit.kind for hit in found("the brochure and the wheels").hits} == {"segment", "message", "passage"}


def test_the_words_that_matched_are_marked():
    [hit] = [hit for hit in found("wheel suppliers").hits if hit.record_id == "wheel-supplier-0"]
    assert [hit.text[start:end] for start, end in hit.marks] == ["suppliers", "wheels"]
    assert marks_of("Anna's wheels, wheeled, WHEEL!", "the wheel of Anna") == ((0, 4), (7, 13), (24, 29))
    assert marks_of("of the in", "of the in") == ()  # they carry no meaning
    assert marks_of("", "wheel") == ()


def test_the_name_of_a_meeting_alone_is_a_hit_of_the_meeting():
    documents = list(documents_of(ROWS).values())

    def names(query):
        return [one.source for one in named_in(query, documents)]

    assert names("wheel supplier") == ["wheel-supplier"]
    assert names("Launch-Retro") == ["launch-retro"]
    assert names("the launch") == ["launch-retro"]  # half of it
    assert names("printing") == ["printing"]
    assert names("brochure.pdf") == ["brochure.pdf"]
    assert names("what was said at the launch") == []
    assert names("xyzzyx") == names("the") == []
    assert found("launch retro").named[0].lines == 2
    many = [line(f"team-{number}", 0, "hello") for number in range(2 * MOST)]
    assert len(named_in("team", documents_of(many).values())) == MOST


def test_a_search_is_narrowed_to_a_meeting_a_channel_a_speaker_and_days():
    assert {hit.source for hit in found("brochure printer").hits} >= {"launch-retro", "printing"}
    assert {hit.source for hit in found("brochure printer", meeting="launch-retro").hits} == {"launch-retro"}
    assert {hit.source for hit in found("brochure printer", channel="printing").hits} == {"printing"}
    assert {hit.speaker for hit in found("wheels rims Ghent", speaker="grace").hits} == {"Grace Hopper"}
    assert {hit.source for hit in found("brochure printer", start_us=5 * DAY_US).hits} >= {"printing"}
    assert "launch-retro" not in {hit.source for hit in found("brochure printer", start_us=5 * DAY_US).hits}
    assert {hit.source for hit in found("brochure printer", end_us=5 * DAY_US).hits} == {"launch-retro"}
    assert found("brochure printer", meeting="nowhere").hits == ()
    assert found("brochure printer", meeting="printing").hits == ()  # a channel is no meeting


@pytest.mark.parametrize(
    "narrowing",
    [
        EVERYTHING,
        Narrowing(speaker="  ADA  "),
        Narrowing(start_us=DAY_US, end_us=2 * DAY_US),
        Narrowing(channel="printing"),
    ],
)
def test_narrowing_says_of_each_line_whether_it_is_meant(narrowing):
    for document in documents_of(ROWS).values():
        kept = narrowing.of(document)
        assert kept.dtype == np.bool_
        for line_, is_meant in zip(document.lines, kept.tolist(), strict=True):
            fits = narrowing.speaker.strip().casefold() in line_.speaker.casefold()
            fits &= not narrowing.channel or line_.source == narrowing.channel
            fits &= narrowing.start_us is None or narrowing.start_us <= line_.row.collected_us < narrowing.end_us
            assert is_meant == fits
