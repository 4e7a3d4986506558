"""Topics of a meeting, one after another, each with its time and its most characteristic words (topic segmentation).

A meeting is cut where what is said turns to something else: into the runs of talk that lie nearest to their own
middles, where each further topic has to earn its place. The cut is the best there is, and it is the same on every
machine: embeddings are whole numbers, and so are their products. Nothing is learned from anybody's meetings.

The names are words that were said in the topic, more often than in the rest of the meeting. Without sentence embeddings
there are no topics: words alone say too little (`python -m bench quality` says how well embeddings do).

Sources: segmentation by dynamic programming, Utiyama and Isahara 2001, doi:10.3115/1073012.1073076; blocks of talk as
units, Hearst 1997, https://aclanthology.org/J97-1003.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from volition.learning.families.summary.features import Floats, Ints
from volition.learning.families.summary.sentences import COMMON, tokens_of, words_of
from volition.records.lake import Row

# Chosen on the meetings of a training set alone, by Pk (see `bench/quality/topics.py`).
_BLOCK_WORDS: Final = 150  # a topic is a run of blocks, of whole turns and about so many words each
_EARNS: Final = 1.0  # by how much a further topic has to bring blocks nearer to the middle of their topics, squared

_FEWEST_BLOCKS: Final = 4  # a shorter meeting is about one thing
_MOST_HEARD: Final = 40  # words: a long monologue weighs no more than this
_ONE: Final = 4096  # fixed point
_NAMED_BY: Final = 3  # words
_SHORTEST_WORD: Final = 3  # letters
_FREQUENT: Final = 0.1  # that a word is frequent counts a little, too
_DECIMALS: Final = 6

# A number alone names no topic.
_NUMBERS = words_of("one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A stretch of a meeting that is about one thing.

    Attributes:
        words: Its most characteristic words, the strongest first; there may be none.
        start_ms: When it begins (included), in milliseconds from the start of the meeting.
        end_ms: When it ends (not included): where the next one begins, or the meeting is over.
        speaker: Who begins it, as the transcript names them.
        turn: With which turn of the meeting it begins.
        record_id: The record that holds this turn.
    """

    words: tuple[str, ...]
    start_ms: int
    end_ms: int
    speaker: str
    turn: int
    record_id: str


def find_topics(segments: Sequence[Row]) -> tuple[Topic, ...]:
    """Find the topics of a meeting.

    Args:
        segments: In the order in which they were said.

    Returns:
        In the order of the meeting, without gaps; none if a segment has no embedding, or nothing was said.
    """
    starts = _starts(segments)
    if not starts:
        return ()
    ends = [*starts[1:], len(segments)]
    named = _names(segments, list(zip(starts, ends, strict=True)))
    return tuple(
        Topic(
            words=words,
            start_ms=segments[start].payload["start_ms"],
            end_ms=segments[end].payload["start_ms"] if end < len(segments) else segments[-1].payload["end_ms"],
            speaker=segments[start].payload["speaker"],
            turn=segments[start].payload["turn"],
            record_id=segments[start].record_id,
        )
        for start, end, words in zip(starts, ends, named, strict=True)
    )


def topic_of(segments: Sequence[Row]) -> Ints:
    """Return the number of each segment's topic, from 0: shape (segments,); all 0 where `find_topics` finds none.

    Args:
        segments: In the order in which they were said.
    """
    starts = _starts(segments) or [0]
    return np.asarray(np.searchsorted(starts, np.arange(len(segments)), side="right") - 1)


def _starts(segments: Sequence[Row]) -> list[int]:
    """Return the segments that begin topics; none if a segment has no embedding, or nothing was said."""
    vectors = [row.embedding for row in segments if row.embedding is not None]
    heard = [len(row.payload["text"].split()) for row in segments]
    if len(vectors) < len(segments) or not any(heard):
        return []
    block = _blocks(heard)
    if block[-1] + 1 < _FEWEST_BLOCKS:
        return [0]
    whole = np.rint(np.stack(vectors).astype(np.float64) * _ONE).astype(np.int64)
    return [0, *(int(np.searchsorted(block, cut)) for cut in _cuts(_middles(whole, heard, block)))]


def _blocks(heard: Sequence[int]) -> Ints:
    """Return the block of each segment, shape (segments,): as many whole segments as make the words of a block."""
    found, words, number = [], 0, 0
    for count in heard:
        found.append(number)
        words += count
        if words >= _BLOCK_WORDS:
            words, number = 0, number + 1
    return np.array(found, dtype=np.int64)


def _middles(vectors: Ints, heard: Sequence[int], block: Ints) -> Ints:
    """Return what each block is about, less what the meeting is about: shape (blocks, 384), fixed point."""
    weights = np.minimum(np.array(heard, dtype=np.int64), _MOST_HEARD)
    sums = np.zeros((int(block[-1]) + 1, vectors.shape[1]), dtype=np.int64)
    np.add.at(sums, block, vectors * weights[:, None])
    lengths = np.sqrt((sums * sums).sum(axis=1).astype(np.float64))
    unit = np.rint(sums * (_ONE / np.maximum(lengths, 1.0))[:, None]).astype(np.int64)
    return np.asarray(unit - unit.sum(axis=0) // len(unit))


def _cuts(blocks: Ints) -> list[int]:
    """Return the blocks, besides the first, that begin topics.

    For blocks i to j (not included), |their sum|^2 / (j - i) is how much nearer they are to their own middle than to
    none. The cuts make the sum of that, less a price for each topic, as large as it can be.
    """
    products = blocks @ blocks.T  # of integers: exact
    size = len(blocks)
    corner = np.zeros((size + 1, size + 1), dtype=np.int64)
    corner[1:, 1:] = products.cumsum(axis=0).cumsum(axis=1)
    diagonal = np.diag(corner)
    price = _EARNS * _ONE**2
    best: Floats = np.zeros(size + 1)
    came_from = np.zeros(size + 1, dtype=np.int64)
    for end in range(1, size + 1):
        squares = diagonal[end] + diagonal[:end] - 2 * corner[:end, end]
        worth = best[:end] + squares / (end - np.arange(end)) - price
        came_from[end] = worth.argmax()
        best[end] = worth[came_from[end]]
    cuts: list[int] = []
    end = int(came_from[size])
    while end > 0:
        cuts.append(end)
        end = int(came_from[end])
    return cuts[::-1]


def _names(segments: Sequence[Row], spans: Sequence[tuple[int, int]]) -> list[tuple[str, ...]]:
    """Return, for each span of segments, the words that distinguish it best from the whole meeting."""
    speakers = {word for row in segments for word in tokens_of(row.payload["speaker"])}
    said = [Counter(_telling(segments[start:end], speakers)) for start, end in spans]
    everywhere = sum(said, Counter[str]())
    names = []
    for own in said:
        usual = own.total() / max(1, everywhere.total())
        scores = {
            word: round(count * (math.log(count / (everywhere[word] * usual)) + _FREQUENT), _DECIMALS)
            for word, count in own.items()
        }
        best = sorted(scores, key=lambda word: (-scores[word], word))[:_NAMED_BY]
        names.append(tuple(word for word in best if scores[word] > 0))
    return names


def _telling(segments: Sequence[Row], speakers: set[str]) -> list[str]:
    passed_over = COMMON | _NUMBERS | speakers
    return [
        word
        for row in segments
        for word in tokens_of(row.payload["text"])
        if len(word) >= _SHORTEST_WORD and word.isalpha() and word not in passed_over
    ]
