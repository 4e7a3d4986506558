"""What the regression sees of a meeting's sentences, in whole numbers: sums of them are exact in any order."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from volition.learning.families.summary.sentences import COMMON, Sentence, sentences_of, tokens_of, words_of
from volition.records.lake import Row

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
if TYPE_CHECKING:
    import scipy.sparse

    Counts = scipy.sparse.csr_array[np.int64]

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
    terms: "Counts"
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
    import scipy.sparse  # noqa: PLC0415 - of the extra `learn`: loaded where it computes

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


def _terms(tokens: Sequence[Sequence[str]]) -> "tuple[Counts, Ints]":
    """Count the telling words of each sentence; return the counts and in how many sentences each word is."""
    import scipy.sparse  # noqa: PLC0415

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A meeting, measured: what the hand-made features are computed from. Arrays have one value for each sentence.

    Attributes:
        segments: How many segments the meeting has.
        sentences: Units, in order.
        tokens: Words of each.
        counts: Shape (sentences, vocabulary): how often each telling word comes.
        terms: The same by tf-idf, in integers.
        rarity: Shape (vocabulary,): the inverse document frequency of each word, in integers.
        segment: The segment of each sentence.
        position: Its place in the meeting, from 0 to 1.
        size: How many words it has.
        telling: How many of them are telling words.
        speech: How many words its segment has.
        around: How many words the two segments before its own and the two after it have together.
        speaker: How many words its speaker says in the whole meeting.
        most_said: How many words the speaker who says most says.
        is_question: Whether it ends with a question mark.
    """

    segments: int
    sentences: Sequence[Sentence]
    tokens: Sequence[Sequence[str]]
    counts: "Counts"
    terms: "Counts"
    rarity: Ints
    segment: Ints
    position: Floats
    size: Ints
    telling: Ints
    speech: Ints
    around: Ints
    speaker: Floats
    most_said: int
    is_question: Sequence[bool]

    @property
    def some(self) -> Ints:
        """The number of words, at least one: to divide by."""
        return np.maximum(self.size, 1)

    @property
    def central(self) -> Floats:
        """The cosine of each sentence with the whole meeting."""
        whole: Ints = np.asarray(self.terms.sum(axis=0))
        # The sum over a long meeting may need more than 31 bits: 10 bits are dropped before squaring.
        centre = whole >> 10 if whole.max(initial=0) > 2**26 else whole
        return cosine(np.asarray(self.terms @ centre), sparse_squares(self.terms), int(centre @ centre))

    @property
    def commonness(self) -> Ints:
        """The logarithm of how often each word of the vocabulary comes in the meeting, in integers."""
        heard: Ints = np.asarray(self.counts.sum(axis=0))
        return np.array([round(256 * math.log1p(n)) for n in heard.tolist()], dtype=np.int64)

    def share(self, words: frozenset[str]) -> Floats:
        """Return the share of each sentence's words that are among some words."""
        return self.number_of(words) / self.some

    def number_of(self, words: frozenset[str]) -> Ints:
        """Return how many of each sentence's words are among some words."""
        return np.array([sum(w in words for w in own) for own in self.tokens])

    def mean(self, weights: Ints) -> Floats:
        """Return the mean weight of each sentence's telling words."""
        return np.asarray(np.asarray(self.counts @ weights) / np.maximum(self.telling, 1))

    def overlap(self, first: int, last: int) -> Floats:
        """Return each sentence's cosine with the segments `first` to `last` (included) places after its own."""
        import scipy.sparse  # noqa: PLC0415

        number, total, segment = self.segments, len(self.sentences), self.segment
        turns = scipy.sparse.csr_array(
            (np.ones(total, dtype=np.int64), (segment, np.arange(total))), shape=(number, total)
        )
        by_turn = turns @ self.terms
        window = scipy.sparse.csr_array((total, self.terms.shape[1]), dtype=np.int64)
        for step in range(first, last + 1):
            inside = np.flatnonzero((segment + step >= 0) & (segment + step < number))
            shift = scipy.sparse.csr_array(
                (np.ones(len(inside), dtype=np.int64), (inside, segment[inside] + step)), shape=(total, number)
            )
            window = window + shift @ by_turn
        dots: Ints = np.asarray(self.terms.multiply(window).sum(axis=1))
        return cosine(dots, sparse_squares(self.terms), sparse_squares(window))


def _log(values: Ints | Floats) -> Floats:
    return np.array([math.log1p(value) for value in values.tolist()])


HAND_FEATURES: Final[Mapping[str, Callable[[_Measured], Floats]]] = {
    "position": lambda m: 2 * m.position - 1,
    "distance from the ends": lambda m: 4 * np.minimum(m.position, 1 - m.position) - 1,
    "length": lambda m: _log(m.size) / 2 - 1,
    "length of its turn": lambda m: _log(m.speech) / 2.5 - 1,
    "place in its turn": lambda m: np.array([s.place / s.of for s in m.sentences]),
    "sentences of its turn": lambda m: _log(np.array([s.of - 1 for s in m.sentences])) / 2 - 0.5,
    "likeness to the meeting": lambda m: 3 * m.central - 0.5,
    "rarity of its words": lambda m: m.mean(m.rarity) / (256 * 4) - 1,
    "commonness of its words": lambda m: m.mean(m.commonness) / (256 * 2) - 1,
    "share of its speaker": lambda m: 2 * m.speaker / max(1, int(m.size.sum())) - 0.5,
    "by who speaks most": lambda m: (m.speaker == m.most_said).astype(np.float64),
    "question": lambda m: np.array(m.is_question, dtype=np.float64),
    "numbers": lambda m: 4 * np.array([sum(w.isdigit() for w in own) for own in m.tokens]) / m.some,
    "telling words": lambda m: 2 * m.telling / m.some - 1,
    "cue words": lambda m: m.number_of(_CUES) / 2,
    "first and second person": lambda m: 4 * m.share(_FIRST_PERSON) - 0.5,
    "linking words": lambda m: 4 * m.share(_LINKS) - 0.5,
    "likeness to three turns before": lambda m: 3 * m.overlap(-3, -1) - 0.5,
    "likeness to three turns after": lambda m: 3 * m.overlap(1, 3) - 0.5,
    "length of the turns around": lambda m: _log(m.around) / 2.5 - 1,
    "variety of its words": lambda m: 2 * np.array([len(set(own)) for own in m.tokens]) / m.some - 1,
    "length of the meeting": lambda m: np.full(len(m.sentences), math.log1p(m.segments) / 3 - 2),
}
"""What can be measured of a sentence without understanding it, in the order of the model's columns.

The constants bring each to about -1..1; nothing here is fitted. Another order, or one more, is another format.
"""


def _hand(  # noqa: PLR0913, PLR0917 - what was made of a meeting so far
    segments: Sequence[Row],
    sentences: Sequence[Sentence],
    tokens: Sequence[Sequence[str]],
    counts: "Counts",
    rarity: Ints,
    terms: "Counts",
) -> Floats:
    """Return shape (sentences, hand features): each of `HAND_FEATURES`, in fixed point."""
    number = len(segments)
    segment = np.array([s.segment for s in sentences], dtype=np.int64)
    size = np.array([len(words) for words in tokens], dtype=np.int64)
    speech = np.bincount(segment, size, number).astype(np.int64)
    speakers = [row.payload["speaker"] for row in segments]
    said: Counter[str] = Counter()
    for speaker, amount in zip(speakers, speech.tolist(), strict=True):
        said[speaker] += amount
    reach = np.concatenate([[0], np.cumsum(speech)])
    near = np.arange(number)
    around = reach[np.minimum(near + 3, number)] - reach[np.maximum(near - 2, 0)] - speech
    measured = _Measured(
        segments=number,
        sentences=sentences,
        tokens=tokens,
        counts=counts,
        terms=terms,
        rarity=rarity,
        segment=segment,
        position=segment / max(1, number - 1),
        size=size,
        telling=np.asarray(counts.sum(axis=1)),
        speech=speech[segment],
        around=around[segment],
        speaker=np.array([said[speakers[k]] for k in segment], dtype=np.float64),
        most_said=max(said.values(), default=0),
        is_question=[segments[s.segment].payload["text"][s.start : s.end].rstrip().endswith("?") for s in sentences],
    )
    return _fixed(np.column_stack([feature(measured) for feature in HAND_FEATURES.values()]))


def sparse_squares(matrix: "Counts") -> Ints:
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
