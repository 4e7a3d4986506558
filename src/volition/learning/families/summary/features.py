"""What the regression sees of a meeting's sentences, in whole numbers: sums of them are exact in any order."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from volition.learning.families.summary.sentences import COMMON, Sentence, sentences_of, tokens_of, words_of
from volition.records.lake import Row

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Fixed point: a feature x is the integer round(x * 4096). Features and labels stay below 2^15, products of two below
# 2^30, and their sums over a meeting below 2^53: made in float64, they are exact in whatever order a BLAS adds.
ONE: Final = 4096
_BOUND: Final = 2.0  # features are scaled to about -1..1 by constants and cut at these bounds

HAND, FULL = "hand", "full"

_CUES = words_of(
    "decide decided decision agree agreed should will need must plan next action meeting today propose suggest "
    "conclusion important summary project problem issue idea result discuss"
)
_FIRST_PERSON = words_of("i you me my your we our us")
_LINKS = words_of("the of to in for")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A meeting as the regression sees it.

    Attributes:
        sentences: Units, in order.
        tokens: Words of each, lower case.
        terms: Shape (sentences, vocabulary of this meeting), tf-idf in integers.
        hand: Shape (sentences, hand features), fixed point.
        embeddings: Shape (segments, 384), fixed point; none if a segment has no embedding.
        central: Shape (sentences,): cosine of each sentence's segment with the whole meeting; none without embeddings.
    """

    sentences: list[Sentence]
    tokens: list[list[str]]
    terms: scipy.sparse.csr_array[np.int64]
    hand: Floats
    embeddings: Ints | None
    central: Floats | None

    @property
    def words(self) -> Ints:
        """The words of each sentence, shape (sentences,)."""
        return np.array([sentence.words for sentence in self.sentences], dtype=np.int64)

    @property
    def segment(self) -> Ints:
        """The segment of each sentence, shape (sentences,)."""
        return np.array([sentence.segment for sentence in self.sentences], dtype=np.int64)

    def features(self, form: str) -> Floats:
        """Return shape (sentences, features): hand features, their products in pairs and, in full, the embedding."""
        hand = self.hand
        if form == FULL:
            assert self.embeddings is not None and self.central is not None  # noqa: S101, PT018 - the caller asked `forms`
            hand = np.column_stack([hand, _fixed(2 * self.central - 1)])
        first, second = np.triu_indices(hand.shape[1])
        columns = [hand, np.rint(hand[:, first] * hand[:, second] / ONE)]
        if form == FULL and self.embeddings is not None:
            columns.append(self.embeddings[self.segment].astype(np.float64))
        return np.hstack(columns)

    @property
    def form(self) -> str:
        """What it can be judged by: `FULL` with embeddings, `HAND` without."""
        return HAND if self.embeddings is None else FULL


def _fixed(values: Floats) -> Floats:
    """Bring values to fixed point: whole numbers, held in float64."""
    return np.rint(np.clip(values, -_BOUND, _BOUND) * ONE)


def read_meeting(segments: Sequence[Row]) -> Reading:
    """Read a meeting whose segments are in the order in which they were said."""
    sentences = sentences_of(segments)
    tokens = [tokens_of(segments[s.segment].payload["text"][s.start : s.end]) for s in sentences]
    counts, frequency = _terms(tokens)
    total = len(sentences)
    # Logarithms are brought to integers before they are summed: sums and products below are then exact, and the
    # cosines are one correctly rounded square root and division away.
    rarity = np.array([round(256 * math.log((total + 2) / (n + 1))) for n in frequency], dtype=np.int64)
    terms = scipy.sparse.csr_array(counts @ scipy.sparse.diags_array(rarity, dtype=np.int64))
    segment = np.array([s.segment for s in sentences], dtype=np.int64)
    embeddings = _embeddings(segments)
    central = None
    if embeddings is not None:
        lengths = np.bincount(segment, [s.words for s in sentences], len(segments)).astype(np.int64)
        centre = (embeddings * lengths[:, None]).sum(axis=0)
        # The centre is brought back to 12 bits a number, or its square would not fit.
        centre = np.rint(centre * (ONE / max(1, int(np.abs(centre).max())))).astype(np.int64)
        central = cosine(embeddings @ centre, squares(embeddings), int(centre @ centre))[segment]
    return Reading(
        sentences=sentences,
        tokens=tokens,
        terms=terms,
        hand=_hand(segments, sentences, tokens, counts, rarity, terms),
        embeddings=embeddings,
        central=central,
    )


def _embeddings(segments: Sequence[Row]) -> Ints | None:
    vectors = [row.embedding for row in segments if row.embedding is not None]
    if not segments or len(vectors) < len(segments):
        return None
    return np.rint(np.stack(vectors).astype(np.float64) * ONE).astype(np.int64)


def _terms(tokens: Sequence[Sequence[str]]) -> tuple[scipy.sparse.csr_array[np.int64], Ints]:
    """Count the telling words of each sentence; return the counts and in how many sentences each word is."""
    vocabulary: dict[str, int] = {}
    cells: Counter[tuple[int, int]] = Counter()
    for number, words in enumerate(tokens):
        cells.update((number, vocabulary.setdefault(w, len(vocabulary))) for w in words if w not in COMMON)
    where = np.array(list(cells), dtype=np.int64).reshape(-1, 2).T
    values = np.array(list(cells.values()), dtype=np.int64)
    counts = scipy.sparse.csr_array((values, (where[0], where[1])), shape=(len(tokens), max(1, len(vocabulary))))
    return counts, np.bincount(where[1], minlength=counts.shape[1]).astype(np.int64)


def squares(vectors: Ints) -> Ints:
    """Return the squared length of each row, shape (rows,)."""
    return np.asarray((vectors * vectors).sum(axis=1))


def cosine(dots: Ints, squares: Ints, other_squares: Ints | int) -> Floats:
    """Return the cosines that dot products and squared lengths make."""
    norms = np.sqrt(squares.astype(np.float64)) * np.sqrt(np.asarray(other_squares, dtype=np.float64))
    return np.asarray(dots / np.maximum(norms, 1.0))


def _hand(  # noqa: PLR0913, PLR0917 - what was made of a meeting so far
    segments: Sequence[Row],
    sentences: Sequence[Sentence],
    tokens: Sequence[Sequence[str]],
    counts: scipy.sparse.csr_array[np.int64],
    rarity: Ints,
    terms: scipy.sparse.csr_array[np.int64],
) -> Floats:
    """Return shape (sentences, 22): what can be told of a sentence without understanding it, in fixed point.

    The constants bring each to about -1..1; nothing here is fitted.
    """
    number, total = len(segments), len(sentences)
    segment = np.array([s.segment for s in sentences], dtype=np.int64)
    size = np.array([len(words) for words in tokens], dtype=np.int64)
    some = np.maximum(size, 1)
    telling: Ints = np.asarray(counts.sum(axis=1))
    speech = np.bincount(segment, size, number).astype(np.int64)
    position = segment / max(1, number - 1)

    speakers = [row.payload["speaker"] for row in segments]
    said: Counter[str] = Counter()
    for speaker, amount in zip(speakers, speech.tolist(), strict=True):
        said[speaker] += amount
    loudest = max(said.values(), default=0)
    of_speaker = np.array([said[speakers[k]] for k in segment], dtype=np.float64)

    reach = np.concatenate([[0], np.cumsum(speech)])
    near = np.arange(number)
    around = reach[np.minimum(near + 3, number)] - reach[np.maximum(near - 2, 0)] - speech

    def overlap(first: int, last: int) -> Floats:
        """Return how like each sentence is to the segments from `first` to `last` (included) places after its own."""
        turns = scipy.sparse.csr_array(
            (np.ones(total, dtype=np.int64), (segment, np.arange(total))), shape=(number, total)
        )
        by_turn = turns @ terms
        window = scipy.sparse.csr_array((total, terms.shape[1]), dtype=np.int64)
        for step in range(first, last + 1):
            inside = np.flatnonzero((segment + step >= 0) & (segment + step < number))
            shift = scipy.sparse.csr_array(
                (np.ones(len(inside), dtype=np.int64), (inside, segment[inside] + step)), shape=(total, number)
            )
            window = window + shift @ by_turn
        dots: Ints = np.asarray(terms.multiply(window).sum(axis=1))
        return cosine(dots, sparse_squares(terms), sparse_squares(window))

    whole: Ints = np.asarray(terms.sum(axis=0))
    # The sum over a long meeting may need more than 31 bits: 10 bits are dropped before squaring.
    centre = whole >> 10 if whole.max(initial=0) > 2**26 else whole
    central = cosine(np.asarray(terms @ centre), sparse_squares(terms), int(centre @ centre))

    heard: Ints = np.asarray(counts.sum(axis=0))
    commonness = np.array([round(256 * math.log1p(n)) for n in heard.tolist()], dtype=np.int64)

    def share(words: frozenset[str]) -> Floats:
        return np.array([sum(w in words for w in own) for own in tokens]) / some

    def log(values: Ints | Floats) -> Floats:
        return np.array([math.log1p(value) for value in values.tolist()])

    question = [segments[s.segment].payload["text"][s.start : s.end].rstrip().endswith("?") for s in sentences]
    columns = [
        2 * position - 1,
        4 * np.minimum(position, 1 - position) - 1,
        log(size) / 2 - 1,
        log(speech[segment]) / 2.5 - 1,
        np.array([s.place / s.of for s in sentences]),
        log(np.array([s.of - 1 for s in sentences])) / 2 - 0.5,
        3 * central - 0.5,
        np.asarray(counts @ rarity) / np.maximum(telling, 1) / (256 * 4) - 1,
        np.asarray(counts @ commonness) / np.maximum(telling, 1) / (256 * 2) - 1,
        2 * of_speaker / max(1, said.total()) - 0.5,
        (of_speaker == loudest).astype(np.float64),
        np.array(question, dtype=np.float64),
        4 * np.array([sum(w.isdigit() for w in own) for own in tokens]) / some,
        2 * telling / some - 1,
        np.array([sum(w in _CUES for w in own) for own in tokens]) / 2,
        4 * share(_FIRST_PERSON) - 0.5,
        4 * share(_LINKS) - 0.5,
        3 * overlap(-3, -1) - 0.5,
        3 * overlap(1, 3) - 0.5,
        log(around[segment]) / 2.5 - 1,
        2 * np.array([len(set(own)) for own in tokens]) / some - 1,
        np.full(total, math.log1p(number) / 3 - 2),
    ]
    return _fixed(np.column_stack(columns))


def sparse_squares(matrix: scipy.sparse.csr_array[np.int64]) -> Ints:
    """Return the squared length of each row, shape (rows,)."""
    return np.asarray(matrix.multiply(matrix).sum(axis=1))


def label_of(read: Reading, reference: str) -> Floats:
    """Return how much of each sentence the edited summary uses, in fixed point.

    Of its words, its telling words (twice: or scraps of common words, "of the the", would win) and its pairs of
    neighbouring words (four times: they are rarer and say more). The weights were chosen by cross-validation.
    """
    tokens = tokens_of(reference)
    wanted, telling_wanted, pairs_wanted = Counter(tokens), set(tokens) - COMMON, Counter(pairwise(tokens))
    values = np.zeros(len(read.tokens))
    for number, words in enumerate(read.tokens):
        telling = set(words) - COMMON
        used = (Counter(words) & wanted).total() / max(1, len(words))
        telling_used = len(telling & telling_wanted) / max(1, len(telling))
        pairs_used = (Counter(pairwise(words)) & pairs_wanted).total() / max(1, len(words) - 1)
        values[number] = used + 2 * telling_used + 4 * pairs_used
    return np.rint(values * ONE)
