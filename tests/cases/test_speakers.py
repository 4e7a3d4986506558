"""Whose words a cue holds: one test a kind of fault. The words "I do not want this used." are never Ann's."""

import pytest

from volition.records.ingest import Draft, Note, PersonRef, Skipped
from volition.records.ingest.webvtt import read_webvtt

REFUSED = "I do not want this used."


def read(text, **options):
    settings = {"source": "meeting.vtt", "account": "acme", "meeting": "m", "start_us": 10**15} | options
    return list(read_webvtt(text.encode(), **settings))


def cues(*texts):
    """Return a transcript with a cue for each text."""
    blocks = [f"{n}\n00:00:{n:02}.000 --> 00:00:{n:02}.900\n{text}\n" for n, text in enumerate(texts, start=1)]
    return "\n".join(["WEBVTT\n", *blocks])


def said(*texts, **options):
    """Return (speaker, words) of each segment."""
    return [
        (item.payload["speaker"], item.payload["text"])
        for item in read(cues(*texts), **options)
        if isinstance(item, Draft)
    ]


def between(*middle):
    """Return who says what between two cues of Ann's."""
    first, *inner, last = said("Ann Lee: Welcome.", *middle, "Ann Lee: ok")
    assert (first, last) == (("Ann Lee", "Welcome."), ("Ann Lee", "ok"))
    return inner


@pytest.mark.parametrize(
    "label",
    [
        "Maria Aparecida da Silva dos Santos",
        "Bo Berg | Head of Research, Acme Robotics GmbH",
        "+1 415-555-0100",
        "14155550100",
        "+1 (415) ***-**00",
        "*****0100",
        "Speaker 2",
        "[SPEAKER_01]",
        "Unknown Speaker",
        "iPhone",
        "Bo Berg (00:12)",
        "Bo Berg [00:12:03]",
        "BO BERG",
        "bo.berg@acme.example",
        "Bob the Builder",
        "田中",
    ],
)
def test_a_label_of_any_length_and_kind_is_another_speaker(label):
    [(speaker, text)] = between(f"{label}: {REFUSED}")
    assert speaker in (label, label[1:-1])  # without its brackets
    assert text == REFUSED


@pytest.mark.parametrize("colon", [":", "：", "﹕", ":  ", "::"])  # noqa: RUF001 - full-width and small colons
def test_colons_of_other_widths_are_colons(colon):
    blank = " " if colon[0] == ":" else ""
    assert between(f"田中{colon}{blank}ありがとう") == [("田中", "ありがとう")]


@pytest.mark.parametrize(
    "cue",
    [
        f"bo berg: {REFUSED}",
        f"🎉🎉: {REFUSED}",
        f"#3: {REFUSED}",
        f">> {REFUSED}",
        f"> {REFUSED}",
        f"- {REFUSED}",
        f"— {REFUSED}",
        f"[Bo Berg] {REFUSED}",
        f"(Cy Day) {REFUSED}",
        f"【田中】{REFUSED}",
        f"Bo Berg - {REFUSED}",
        f"Anne-Marie Day – {REFUSED}",  # noqa: RUF001
        f"Bo Berg | {REFUSED}",
        f"<Bo Berg> {REFUSED}",
        f"Bo Berg\n{REFUSED}",
        f"[Bo Berg]\n{REFUSED}",
        f"Bo:{REFUSED}",
        f"田中「{REFUSED}」",
        f"Team A: Bo Berg: {REFUSED}",
        f"[crosstalk] {REFUSED}",
        f"Bo Berg asks this: {REFUSED}",
    ],
)
def test_what_may_be_a_name_and_is_not_for_certain_makes_the_speaker_unknown(cue):
    items = [*read(cues("Ann Lee: Welcome.", "and so", cue, "and on", "Ann Lee: ok"))]
    drafts = [item for item in items if isinstance(item, Draft)]
    assert [draft.payload["speaker"] for draft in drafts[:2]] == ["Ann Lee"] * 2
    assert "Ann Lee" not in {draft.payload["speaker"] for draft in drafts[2:-1]}, "nor what follows"
    assert all(PersonRef(name="Ann Lee") != draft.people[0] for draft in drafts[2:-1])
    assert any(REFUSED.rstrip(".") in draft.payload["text"] for draft in drafts[2:-1])


@pytest.mark.parametrize(
    "prose",
    [
        "the point is: no",
        "my question is this: why?",
        "so here is the thing: we go",
        "12:30 is fine",
        "see http://a.example",
        "next steps: do it",
        "My question goes to the Minister of Finance: where is this money coming from?",
        "(laughs) indeed",
        "[inaudible] and then",
        "[00:10] and on",
        "well - I think so",
        "Mm - hmm.",
        "Th - there is more",
        "Note: the room is booked.",
        "He said yes. Then he left for good: gone",
    ],
)
def test_what_is_prose_for_certain_stays_with_the_speaker(prose):
    assert {speaker for speaker, _ in between("and so", prose)} == {"Ann Lee"}


@pytest.mark.parametrize(
    "cue",
    [
        f"Ann Lee: Shall we?\nBo Berg: {REFUSED}",
        f"Ann Lee: Shall we?\n- {REFUSED}",
        f"Ann Lee: Shall we?\n>> {REFUSED}",
        f"Ann Lee: Shall we? >> {REFUSED}",
        f"- Shall we?\n- {REFUSED}",
    ],
)
def test_a_second_voice_in_a_cue_is_not_the_first(cue):
    found = between(cue)
    assert found[-1][0] in {"Bo Berg", ""}
    assert found[-1][1].endswith(REFUSED)


def test_a_label_of_a_known_speaker_in_the_middle_of_a_line_is_a_hint():
    found = said(f"Ann Lee: Shall we? Bo Berg: {REFUSED}", "Bo Berg: ok", "Ann Lee: ok")
    assert found[:2] == [("Ann Lee", "Shall we?"), ("", f"Bo Berg: {REFUSED}")]


def test_a_cue_without_a_tag_among_tagged_ones_is_nobodys_whom_we_know():
    found = said("<v Ann Lee>Hello</v>", REFUSED, "<v Ann Lee>ok</v> and this", "<v Ann Lee>Shall we?\n- No.</v>")
    assert found == [
        ("Ann Lee", "Hello"),
        ("", REFUSED),
        ("Ann Lee", "ok"),
        ("", "and this"),
        ("Ann Lee", "Shall we?"),
        ("", "- No."),
    ]


@pytest.mark.parametrize("noise", ["[Music]", "(applause)", "[MUSIC PLAYING]", "♪♪", "♪ la la ♪", "*laughs*", "[笑]"])
def test_a_noise_is_nobodys_words(noise):
    items = read(cues("Ann Lee: Welcome.", noise, "Ann Lee: ok", f"Ann Lee: {noise}"))
    assert [item.payload["text"] for item in items if isinstance(item, Draft)] == ["Welcome.", "ok"]
    assert [(item.why, item.count) for item in items if isinstance(item, Skipped)] == [("noise, nobody's words", 2)]


def test_after_a_noise_nobody_knows_who_goes_on():
    assert between("[Applause]", "Thank you.") == [("", "Thank you.")]


@pytest.mark.parametrize("texts", [("welcome everybody", "let us start"), ("Speaker 1: Hi.", "Unknown Speaker: no")])
def test_a_transcript_that_names_nobody_says_so(texts):
    [note] = [item for item in read(cues(*texts)) if isinstance(item, Note)]
    assert "nobody in particular" in note.what or "no cue of meeting.vtt names a speaker" in note.what
    assert not any(isinstance(item, Note) for item in read(cues("Ann Lee: Hi.")))


def test_names_in_cue_identifiers_are_not_taken_and_that_is_said():
    items = read("WEBVTT\n\nSpeaker 1\n00:02:00.000 --> 00:03:00.000\nHey there\n")
    assert [item.payload["speaker"] for item in items if isinstance(item, Draft)] == [""]
    assert any(isinstance(item, Note) for item in items)


def test_google_meets_own_form_with_two_speakers_in_a_cue():
    found = said("(Ann Lee)\nWe start with", f"(Ann Lee)\nbackground?\n-\n \n(Bo Berg)\n{REFUSED}", "(Ann Lee)\nOk.")
    assert found == [
        ("Ann Lee", "We start with"),
        ("Ann Lee", "background?"),
        ("Bo Berg", REFUSED),
        ("Ann Lee", "Ok."),
    ]


def test_names_on_a_line_of_their_own_stay_right():
    found = said("Ann Lee\nWelcome.", f"Bo Berg\n{REFUSED}", "and this goes on", "Ann Lee\nok")
    assert [speaker for speaker, _ in found] == ["Ann Lee", "Bo Berg", "Bo Berg", "Ann Lee"]


def test_one_speaker_throughout_stays_right():
    assert said("Ann Lee: alone", "still alone") == [("Ann Lee", "alone"), ("Ann Lee", "still alone")]


def test_times_with_commas_are_read():
    items = read("WEBVTT\n\n1\n00:00:01,000 --> 00:00:02,500\nAnn Lee: hello\n")
    assert [(item.payload["start_ms"], item.payload["end_ms"]) for item in items] == [(1000, 2500)]
