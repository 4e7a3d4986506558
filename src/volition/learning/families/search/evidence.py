"""Evidence: whether lines say anything of what was asked, so that a search for what is nowhere finds nothing.

A ranking always has a first line, however little it has to do with the query. So what is about to be shown is looked at
by itself: how much of the query stands in a line or close to it, its rare words counting more, and how close its
meaning is. Where nothing reaches the bar, search is silent.

The bar is one for all models, and without one. It was set on 20 of the meetings that search trains on, where next to no
real query falls below it and few made-up ones reach it; `python -m bench quality --only search` says how many of each
on others. The more lines there are, the closer the closest one is by chance (the maximum of n normal values grows as
the square root of 2 ln n), so the bar is lower where there are few.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.learning.families.search.features import Index, Words, terms_of

_NEAR: Final = 2  # lines to either side
_AROUND: Final = 1.5  # the scale of what is said around a line
_ENOUGH: Final = 5  # words of a long query that say enough where they stand together
_MEANING: Final = 2.0  # the weight of closeness in meaning, against a weight of 1 of what is said
_BAR_OF_WORDS: Final = 0.1  # without an encoder: lines without any of the words were left out before
# With these, the bar is 1.04 at 500 lines and 1.15 at 10,500: on the 20 meetings, 1 to 4 % of the nonsense reaches it,
# and real queries lose at most 0.2 % of their right lines.
_CHANCE: Final = (0.125, 0.0714)
_AWAY: Final = 2.0


def bar(lines: int, *, by_meaning: bool) -> float:
    """Return what the evidence must reach.

    Args:
        lines: How many lines were searched, 1 or more.
        by_meaning: Whether an encoder was at work.
    """
    if not by_meaning:
        return _BAR_OF_WORDS
    mean, deviation = _CHANCE
    return _MEANING * (mean + deviation * (math.sqrt(2.0 * math.log(lines)) + _AWAY))


def evidence(
    found: Mapping[int, Sequence[int]],
    indexes: Sequence[Index],
    query: str,
    vector: NDArray[np.float32] | None,
    words: Words,
) -> float:
    """Return how much speaks for lines that were found as answers to a query, from 0; search is silent below `bar`.

    Args:
        found: The places of lines by the place of their document.
        indexes: The documents.
        query: What was looked for.
        vector: Its embedding; none without an encoder.
        words: The weights of words.
    """
    if not found:
        return 0.0
    terms = tuple(dict.fromkeys(terms_of(query)))
    there = {place: _words_at(indexes[place], terms) for place in found}
    weights = np.array([words.weight(word) for word in terms]) * _rarity(list(there.values()))
    said = max(_said(there[place], weights, lines) for place, lines in found.items())
    meant = max(_meant(indexes[place], vector, lines) for place, lines in found.items())
    return said + _MEANING * meant


def _words_at(index: Index, terms: Sequence[str]) -> NDArray[np.bool_]:
    """Return which words stand in each line or in its speaker's name, shape (lines, words)."""
    names = {line.speaker: terms_of(line.speaker) for line in index.document.lines}
    by_name = {speaker: np.array([word in name for word in terms], bool) for speaker, name in names.items()}
    named = np.stack([by_name[line.speaker] for line in index.document.lines])
    return np.asarray((index.occurrences(terms) > 0) | named, dtype=np.bool_)


def _rarity(there: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    lines = sum(map(len, there))
    having = np.sum([at.sum(axis=0) for at in there], axis=0)
    return np.asarray(np.log(1.0 + (lines - having + 0.5) / (having + 0.5)))


def _said(there: NDArray[np.bool_], weights: NDArray[np.float64], lines: Sequence[int]) -> float:
    """Return the largest share of the query's weight that stands in one of the lines or close to it, from 0 to 1."""
    near = (there[max(0, line - _NEAR) : line + _NEAR + 1].any(axis=0) for line in lines)
    asked = float(weights.sum()) * min(1.0, _ENOUGH / max(len(weights), 1))
    return min(1.0, max(float((here * weights).sum()) for here in near) / max(asked, 1e-9))


def _meant(index: Index, vector: NDArray[np.float32] | None, lines: Sequence[int]) -> float:
    """Return the largest cosine of the query with one of the lines, or with what is said around it."""
    meaning = index.meaning(vector)
    if meaning is None:
        return 0.0
    around = index.around(meaning, _AROUND)
    chosen = np.array(lines)
    return float(np.maximum(meaning, around)[chosen].max())
