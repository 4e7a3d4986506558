"""Features: the signals that a line answers a query. Words, meaning, and the lines around it.

Two signals find lines: BM25 on words, and the cosine of a frozen sentence encoder. Talk is spread over many short
turns, so both are also looked at smoothed over the neighbouring lines. Everything is computed without BLAS, whose last
bits depend on the number of threads, so that the same rows give the same features.

Source: BM25, Robertson and Zaragoza 2009, The Probabilistic Relevance Framework, in the form that Lucene uses.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.learning.encoder import Encoder
from volition.learning.families.search.lines import Document, Unit

Vector = NDArray[np.float64]

_K1: Final = 1.2
_B: Final = 0.75
SCALES: Final = (1.5, 4.0, 10.0, 25.0)  # standard deviations of the smoothing, in lines
_WINDOWS: Final = (2, 5, 15)  # lines to either side
_WORD_DOCUMENTS: Final = 5  # a word's weight is learnt once it was looked for in this many documents ...
_WORD_PEOPLE: Final = 3  # ... by this many people; what fewer looked for would reveal them
_LABEL: Final = re.compile(r"\[person-[0-9a-f]+\]")  # what scrubbing puts for a name: it names a person and is no word
_POSSESSIVE: Final = re.compile("['\u2019]s\\b")
_WORD: Final = re.compile(r"[^\W_]+")
_TITLES: Final = frozenset(("am", "dr", "hon", "madam", "mr", "mrs", "ms", "prof", "right", "rt", "sir", "the"))
_STOP_WORDS: Final = frozenset(
    re.split(
        r"\s+",
        """a about an and are as at be but by did do does for from had has have he her his how i if in into is it its
        of on or our she so such that the their them then there these they this those to was we were what when which
        who why will with you your""",
    )
)


@lru_cache(maxsize=65_536)
def terms_of(text: str) -> tuple[str, ...]:
    """Return the words of a text that carry meaning, crudely stemmed: no plural, at most six letters."""
    words = _WORD.findall(_POSSESSIVE.sub("", _LABEL.sub(" ", text)).casefold())
    return tuple(_stem(word) for word in words if word not in _STOP_WORDS)


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word[:6]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """In how many documents' queries each word was looked for.

    Attributes:
        documents: Documents that were searched at all.
        counts: For a word, the documents it was looked for in; words of few people are not in it.
    """

    documents: int
    counts: Mapping[str, int]

    @classmethod
    def learn(cls, units: Iterable[Unit]) -> "Words":
        """Count the words of the units' queries."""
        documents: dict[str, set[str]] = defaultdict(set)
        people: dict[str, set[str]] = defaultdict(set)
        searched = set()
        for unit in units:
            searched.add(unit.document.key)
            for word in terms_of(unit.query):
                documents[word].add(unit.document.key)
                people[word] |= unit.people
        kept = {
            word: len(documents[word])
            for word in sorted(documents)
            if len(documents[word]) >= _WORD_DOCUMENTS and len(people[word]) >= _WORD_PEOPLE
        }
        return cls(documents=len(searched), counts=kept)

    def without(self, queries: Iterable[str]) -> "Words":
        """Return the counts as they would be without one document, so that learning sees what a search will see."""
        own = {word for query in queries for word in terms_of(query)}
        counts = {word: count - (word in own) for word, count in self.counts.items()}
        return Words(documents=self.documents - 1, counts=counts)

    def weight(self, word: str) -> float:
        """Return how much a word of a query says: the less, the more documents it was looked for in."""
        return math.log(1.0 + self.documents / (self.counts.get(word, 0) + 1.0)) if self.documents else 1.0

    def to_text(self) -> str:
        """Write it as lines of a word and its count; the first line, without a word, counts the documents."""
        return "".join(f"{word} {count}\n" for word, count in sorted({"": self.documents, **self.counts}.items()))

    @classmethod
    def from_text(cls, text: str) -> "Words":
        """Read what `to_text` writes."""
        pairs = (line.rpartition(" ") for line in text.splitlines())
        counts = {word: int(count) for word, _, count in pairs}
        return cls(documents=counts.pop("", 0), counts=counts)


NO_WORDS: Final = Words(documents=0, counts={})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """Of the neighbourhoods in a document at one scale.

    Attributes:
        lengths: Shape (lines,), of each neighbourhood before it was made a unit vector.
        mean: Shape (384,), of the unit vectors.
        to_mean: Shape (lines,), the dot product of each with the mean.
        squares: Shape (lines,), the dot product of each with itself: 1, or 0 where nothing is said.
    """

    lengths: Vector
    mean: Vector
    to_mean: Vector
    squares: Vector


class Index:
    """One document made ready for queries."""

    def __init__(self, document: Document, encoder: Encoder | None) -> None:
        self.document = document
        terms = [terms_of(line.text) for line in document.lines]
        self.vocabulary: dict[str, int] = {}
        columns = [self.vocabulary.setdefault(word, len(self.vocabulary)) for words in terms for word in words]
        lines = np.repeat(np.arange(len(terms)), [len(words) for words in terms])
        # Which lines have which word, and how often, word by word: a query looks at a few words of each document.
        places, counts = np.unique(np.array(columns, np.int64) * len(terms) + lines, return_counts=True)
        self._lines, self._counts = places % len(terms), counts.astype(np.float64)
        self._starts = np.searchsorted(places, np.arange(len(self.vocabulary) + 1) * len(terms))
        self.length = np.array([float(len(words)) for words in terms])
        self.spoken = np.array([float(len(line.text.split())) for line in document.lines])
        self._encoder = encoder

    def part(self, kept: NDArray[np.bool_]) -> "Index":
        """Return the document with some of its lines only, shape (lines,), made ready as if there were no others."""
        return Index(self.document.part(kept.tolist()), self._encoder)

    @cached_property
    def vectors(self) -> Vector | None:
        """Shape (lines, 384): the lines' embeddings; those that are missing are computed. None without an encoder."""
        if self._encoder is None:
            return None
        missing = [line.text for line in self.document.lines if line.row.embedding is None]
        computed = iter(self._encoder.encode(missing) if missing else ())
        given = (line.row.embedding for line in self.document.lines)
        return np.stack([next(computed) if vector is None else vector for vector in given]).astype(np.float64)

    def meaning(self, vector: NDArray[np.float32] | None) -> Vector | None:
        """Return each line's cosine with a query, shape (lines,); none without an encoder or a query's vector."""
        return None if vector is None or self.vectors is None else _dot(self.vectors, vector)

    def around(self, meaning: Vector, scale: float) -> Vector:
        """Return the cosine of a query with what is said around each line, from its cosine with each line.

        What is said around a line is the unit vector of its neighbourhood, in which longer lines count more. A dot
        product goes through sums, so that nothing of 384 numbers a line has to be smoothed or kept for it.
        """
        smoothed: Vector = _smooth(meaning * self._weights, scale) / self._around[scale].lengths
        return smoothed

    def apart(self, vector: NDArray[np.float32], around: Vector, scale: float) -> Vector:
        """Return that cosine after the document's mean is taken from both: what sets a passage apart from the rest."""
        known = self._around[scale]
        of_mean = float(_dot(known.mean[None, :], vector)[0])
        own = float(_dot(known.mean[None, :], known.mean)[0])
        norms = np.sqrt(np.maximum(known.squares - 2.0 * known.to_mean + own, 1e-12))
        return np.asarray((around - known.to_mean - of_mean + own) / norms)

    @cached_property
    def _weights(self) -> Vector:
        weights: Vector = np.log1p(self.spoken)
        return weights

    @cached_property
    def _around(self) -> dict[float, "_Around"]:
        """What must be known of the neighbourhoods at each scale, whatever is asked; empty without an encoder."""
        vectors = self.vectors
        if vectors is None:
            return {}
        found = {}
        for scale in SCALES:
            pooled = _smooth(vectors * self._weights[:, None], scale)
            lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", pooled, pooled)), 1e-6)
            pooled /= lengths[:, None]
            mean = pooled.mean(axis=0)
            squares = np.einsum("ij,ij->i", pooled, pooled)
            found[scale] = _Around(lengths=lengths, mean=mean, to_mean=_dot(pooled, mean), squares=squares)
        return found

    def occurrences(self, words: Sequence[str]) -> Vector:
        """Return how often each line has each word, shape (lines, words)."""
        found = np.zeros((len(self.length), len(words)))
        for column, word in enumerate(words):
            number = self.vocabulary.get(word)
            if number is not None:
                its = slice(self._starts[number], self._starts[number + 1])
                found[self._lines[its], column] = self._counts[its]
        return found

    def near(self, query: str) -> NDArray[np.bool_]:
        """Return for which lines a word of the query stands in the line or a few lines around it."""
        from scipy.ndimage import maximum_filter1d  # noqa: PLC0415

        has = self.occurrences(tuple(dict.fromkeys(terms_of(query)))).sum(axis=1) > 0
        return np.asarray(maximum_filter1d(has.astype(np.int8), 2 * _WINDOWS[0] + 1) > 0)


def bm25(occurrences: Vector, length: Vector, weights: Vector | float = 1.0) -> Vector:
    """Score lines by the words they share with a query.

    Args:
        occurrences: Shape (lines, words), how often each line has each distinct word of the query.
        length: Shape (lines,), words in each line.
        weights: Shape (words,), how much each word counts, on top of its rarity.

    Returns:
        Shape (lines,), 0 where no word is shared.
    """
    return np.asarray((_rarity(occurrences) * weights * _saturated(occurrences, length)).sum(axis=1))


def _rarity(occurrences: Vector) -> Vector:
    having = (occurrences > 0).sum(axis=0)
    return np.asarray(np.log(1.0 + (len(occurrences) - having + 0.5) / (having + 0.5)))


def _saturated(occurrences: Vector, length: Vector) -> Vector:
    relative = length / max(float(length.mean()), 1e-9)
    return np.asarray(occurrences / (occurrences + _K1 * (1.0 - _B + _B * relative)[:, None]))


def features(index: Index, query: str, vector: NDArray[np.float32] | None, words: Words) -> NDArray[np.float32]:
    """Describe each line of a document as an answer to a query.

    Returns:
        Shape (lines, features), float32. Everything is computed without BLAS, whose last bits depend on the number of
        threads, and rounded, so that the same rows give the same trees.
    """
    from scipy.ndimage import maximum_filter1d, uniform_filter1d  # noqa: PLC0415

    lines = len(index.document.lines)
    terms = tuple(dict.fromkeys(terms_of(query)))
    occurrences = index.occurrences(terms)
    weights = np.array([words.weight(word) for word in terms])
    rarity = _rarity(occurrences)
    plain = bm25(occurrences, index.length)
    weighted = bm25(occurrences, index.length, weights)
    highest = max(float(plain.max()), 1e-9)
    asked = max(float((weights * rarity).sum()), 1e-9)
    there = occurrences.sum(axis=0) > 0

    columns = [plain, plain / highest, (occurrences > 0).sum(axis=1), weighted]
    columns += [_share(occurrences, window, weights * rarity) / asked for window in (0, *_WINDOWS)]
    columns += [_standard(_smooth(plain, scale)) for scale in SCALES]
    columns += [_standard(_smooth(weighted, scale)) for scale in SCALES]
    columns += [maximum_filter1d(plain, width) / highest for width in (7, 21)]
    columns += [maximum_filter1d(weighted, width) for width in (7, 21)]
    columns += [
        np.full(lines, float(value)) for value in (plain.max(), (weights * rarity * ~there).sum() / asked, len(terms))
    ]
    meaning = index.meaning(vector)
    if vector is not None and meaning is not None:
        columns += [meaning, _standard(meaning), np.full(lines, meaning.max())]
        columns += [maximum_filter1d(meaning, width) for width in (7, 21)]
        for scale in SCALES:
            around = index.around(meaning, scale)
            columns += [around, _standard(around), _standard(index.apart(vector, around, scale))]

    blended = _blend(index, plain, weighted, meaning)
    columns += [blended, _standard(_smooth(blended, 3.0))]
    columns += [np.arange(lines) - int(np.argmax(_smooth(blended, scale))) for scale in (3.0, 10.0)]

    named = _named(query, [line.speaker for line in index.document.lines])
    columns += [named, np.full(lines, named.max()), _smooth(named, 3.0), _smooth(named, 10.0)]
    columns += [index.spoken, uniform_filter1d(index.spoken, 3), uniform_filter1d(index.spoken, 11)]
    place = np.arange(lines)
    columns += [place / lines, np.full(lines, lines), np.minimum(place, 50), np.minimum(place[::-1], 50)]
    columns.append(np.array([float("?" in line.text) for line in index.document.lines]))
    return np.round(np.stack(columns, axis=1), 5).astype(np.float32)


def untrained(index: Index, query: str, vector: NDArray[np.float32] | None, words: Words) -> Vector:
    """Score each line, shape (lines,), by the blend of words and meaning alone."""
    terms = tuple(dict.fromkeys(terms_of(query)))
    occurrences = index.occurrences(terms)
    weights = np.array([words.weight(word) for word in terms])
    plain, weighted = bm25(occurrences, index.length), bm25(occurrences, index.length, weights)
    return _blend(index, plain, weighted, index.meaning(vector))


def _blend(index: Index, plain: Vector, weighted: Vector, meaning: Vector | None) -> Vector:
    """Return search without training: words and meaning, each around the line and a little less in it."""
    blended = _standard(_smooth(weighted, 4.0)) + 0.5 * _standard(plain)
    if meaning is not None:
        near, around = (index.around(meaning, scale) for scale in SCALES[:2])
        blended += _standard(around) + 0.5 * _standard(near)
    return blended


def _smooth(values: Vector, scale: float) -> Vector:
    """Smooth along the lines: a moving mean, twice, which is nearly a Gaussian of that standard deviation and quick."""
    from scipy.ndimage import uniform_filter1d  # noqa: PLC0415

    width = 2 * round((math.sqrt(6.0 * scale**2 + 1.0) - 1.0) / 2.0) + 1
    once = uniform_filter1d(values.astype(np.float64), width, axis=0, mode="constant")
    return np.asarray(uniform_filter1d(once, width, axis=0, mode="constant"))


def _standard(values: Vector) -> Vector:
    """Return values with mean 0 and deviation 1 within the document; all 0 where all are equal."""
    deviation = float(values.std())
    return (values - values.mean()) / deviation if deviation > 1e-9 else np.zeros(len(values))


def _share(occurrences: Vector, window: int, weights: Vector) -> Vector:
    """Return the weight of the query's words that stand in each line or up to `window` lines from it."""
    from scipy.ndimage import maximum_filter1d  # noqa: PLC0415

    near = maximum_filter1d((occurrences > 0).astype(np.float64), 2 * window + 1, axis=0)
    return np.asarray((near * weights).sum(axis=1))


def _named(query: str, speakers: Sequence[str]) -> Vector:
    """Return how surely the query names each line's speaker: 1 by the whole name, 0.5 by a part of no other name."""
    whole = f" {' '.join(_name_words(query))} "
    parts = {speaker: _name_words(speaker) for speaker in set(speakers)}
    bearers: dict[str, int] = defaultdict(int)
    for words in parts.values():
        for word in set(words):
            bearers[word] += 1
    sure = {}
    for speaker, words in parts.items():
        if words and (f" {' '.join(words)} " in whole or f" {''.join(words)} " in whole):
            sure[speaker] = 1.0
        else:
            own = (word for word in words if bearers[word] == 1)
            sure[speaker] = 0.5 * any(f" {word} " in whole for word in own)
    return np.array([sure[speaker] for speaker in speakers])


def _name_words(text: str) -> list[str]:
    """Return the words of a name, or of a query that may hold one; single letters only where they are capitals."""
    words = re.findall(r"[^\W_]+(?:-[^\W_]+)*", _POSSESSIVE.sub("", text))
    return [word.casefold() for word in words if word.casefold() not in _TITLES and (len(word) > 1 or word.isupper())]


def strengths(indexes: Sequence[Index], query: str, vector: NDArray[np.float32] | None, words: Words) -> Vector:
    """Compare documents as places to look for an answer, by their best line.

    Returns:
        Shape (documents,): the blend at the best line of each, in deviations from the mean of all lines of all
        documents. Unlike `untrained`, rarity and deviation are those of the whole collection.
    """
    terms = tuple(dict.fromkeys(terms_of(query)))
    occurrences = [index.occurrences(terms) for index in indexes]
    weights = np.array([words.weight(word) for word in terms])
    shared = bm25(np.concatenate(occurrences), np.concatenate([index.length for index in indexes]), weights)
    cuts = np.cumsum([len(index.length) for index in indexes])[:-1]
    looks = [np.split(shared, cuts)]
    meanings = [index.meaning(vector) for index in indexes]
    looks.append([meaning for meaning in meanings if meaning is not None])
    smooth = [np.concatenate([_smooth(part, 4.0) for part in look]) for look in looks if look]
    return np.array([part.max() for part in np.split(sum(map(_standard, smooth), np.zeros(len(shared))), cuts)])


def _dot(vectors: Vector, vector: NDArray[np.floating]) -> Vector:
    return np.asarray(np.einsum("ij,j->i", vectors, vector.astype(np.float64)))
