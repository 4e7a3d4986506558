"""Topics: where a meeting turns to something else, without gaps, the same from any order, and nothing without meaning."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_summary import segment

from bench.quality.topics import differences
from volition.learning.families.summary.sentences import in_turn
from volition.learning.families.summary.summary import summarize
from volition.learning.families.summary.topics import find_topics, topic_of

CHATTER = "well so it is what we said about the one that they have there and then you know how it goes on"


def said(*topics, turns=40):
    """Talk about one word after the other; each turn has 30 words, and its embedding is that of its word."""
    rows = []
    for topic in topics:
        near = segment(topic, 0).embedding
        for _ in range(turns):
            text = f"{topic} {CHATTER} {topic} or the other {topic}."
            row = segment(text, len(rows), speaker=("Ann", "Bob")[len(rows) % 2])
            rows.append(replace(row, embedding=near))
    return rows


def test_a_meeting_is_cut_where_it_turns_to_something_else_and_each_topic_has_its_place():
    rows = said("battery", "museum", "pension")
    topics = summarize(None, rows[::-1]).topics

    assert [topic.words[0] for topic in topics] == ["battery", "museum", "pension"]
    assert all(abs(topic.turn - wanted) <= 6 for topic, wanted in zip(topics, (0, 40, 80), strict=True))  # a block
    for topic in topics:
        row = rows[topic.turn]
        assert (topic.start_ms, topic.speaker) == (row.payload["start_ms"], row.payload["speaker"])
        assert topic.record_id == row.record_id
    assert [topic.end_ms for topic in topics] == [*(topic.start_ms for topic in topics[1:]), rows[-1].payload["end_ms"]]


@pytest.mark.parametrize("rows", [said("battery", turns=100), said("battery", "museum", turns=9)])
def test_a_meeting_about_one_thing_or_a_short_one_is_one_topic(rows):
    (topic,) = find_topics(rows)
    assert topic.words[0] == "battery"
    assert (topic.start_ms, topic.end_ms) == (0, rows[-1].payload["end_ms"])


def test_without_sentence_embeddings_or_words_there_are_no_topics():
    rows = said("battery", "museum")
    assert find_topics([replace(rows[0], embedding=None), *rows[1:]]) == ()
    assert find_topics([]) == find_topics([segment("", 0)]) == ()


def varied(*topics, seed, away=()):
    """Talk about one word after the other, 40 turns each, no two alike; those of `away` are far from all the others."""
    rng = np.random.default_rng(seed)
    near = [segment(topic, 0).embedding for topic in topics]
    rows = []
    for topic, own in zip(topics, near, strict=True):
        towards = own - sum(near) if topic in away else own
        for _ in range(40):
            words = " ".join(f"thing{number}" for number in rng.integers(1000, 10_000, size=9))
            aside = rng.normal(size=384)
            both = towards / np.linalg.norm(towards) + 0.5 * aside / np.linalg.norm(aside)
            row = segment(f"The {topic} will have {words}.", len(rows))
            rows.append(replace(row, embedding=(both / np.linalg.norm(both)).astype(np.float32)))
    return rows


def moments_by_topic(rows):
    """Return how many moments of a summary each topic has."""
    number = topic_of(rows)
    turns = [moment.turn for moment in summarize(None, rows).moments]
    return np.bincount(number[turns], minlength=number[-1] + 1).tolist()


@pytest.mark.parametrize("seed", range(4))
def test_topics_whose_moments_are_worth_about_the_same_have_one_each(seed):
    counts = moments_by_topic(varied("battery", "museum", "pension", "orchard", seed=seed))
    assert len(counts) == 4
    assert min(counts) >= 1


def test_a_topic_of_which_nothing_is_worth_quoting_has_no_moment():
    counts = moments_by_topic(varied("battery", "museum", "pension", seed=0, away={"pension"}))
    assert len(counts) == 3
    assert counts[2] == 0


def test_each_line_is_of_the_topic_that_began_last():
    rows = said("battery", "museum", "pension")
    begins = [topic.turn for topic in find_topics(rows)]
    number = topic_of(rows).tolist()
    assert [number.index(topic) for topic in range(len(begins))] == begins
    assert number == sorted(number)
    assert not topic_of([replace(row, embedding=None) for row in rows]).any()
    assert topic_of([]).tolist() == []


def test_names_of_speakers_are_no_names_of_topics():
    text = "Ann and Bob and Ann talk of wheels, and of wheels."
    rows = [segment(text, turn, speaker=("Ann", "Bob")[turn % 2]) for turn in range(4)]
    (topic,) = find_topics(rows)
    assert topic.words == ("wheels", "talk")


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 200)), max_size=30), st.randoms())
def test_topics_follow_one_another_without_gaps_and_the_order_of_rows_does_not_matter(turns, random):
    rows = [segment(f"{word} " * count, number) for number, (word, count) in enumerate(turns)]
    rows = [replace(row, embedding=segment(word, 0).embedding) for row, (word, _) in zip(rows, turns, strict=True)]
    topics = find_topics(rows)

    assert find_topics(in_turn(random.sample(rows, len(rows)))) == topics
    if any(count for _, count in turns):
        assert topics[0].turn == 0
        assert topics[-1].end_ms == rows[-1].payload["end_ms"]
        assert all(one.end_ms == other.start_ms for one, other in pairwise(topics))


def test_the_measures_agree_with_examples_counted_by_hand():
    reference = np.zeros(8, dtype=bool)
    reference[4] = True  # two topics of four turns, so windows of two
    nowhere = np.zeros(8, dtype=bool)
    assert differences(reference, reference) == (0.0, 0.0)
    assert differences(reference, nowhere) == (2 / 6, 2 / 6)
    everywhere = np.ones(8, dtype=bool)
    assert differences(reference, everywhere) == (4 / 6, 1.0)
