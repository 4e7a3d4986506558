"""What corrected summaries teach about decisions and tasks: a step away from the weights that are shipped.

Whoever corrects a written summary says which lines settled something or handed something out: those that the decisions
and tasks left in it rest on. All other lines of the meeting did not. From that, one step of Newton's method for a
logistic regression with a ridge is taken, from the shipped weights (iteratively reweighted least squares). One step
needs sums over sentences and nothing else, so they are kept as the summary regression's are: in whole numbers, added
and subtracted, and what remains after a meeting is forgotten has the bytes of a model that never saw it. A sum is of
cues, such as "names somebody": no word of any meeting is stored.

With few labels a step leads astray, so below a floor none is taken, and `Taught.note` says so.

Sources: Newton's method for logistic regression, Bishop 2006, section 4.3.3; exact unlearning by summation, Cao and
Yang 2015, doi:10.1109/SP.2015.35.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from volition.canonical import canonical_json, digest
from volition.learning.families.summary.features import ONE, Floats, Ints
from volition.learning.families.summary.sentences import TOLD_KINDS, Meeting
from volition.learning.families.summary.spotting import Line, Seen, language_of, score, see
from volition.learning.families.summary.weights import BIAS, DECISION, TASK

DECISIONS, TASKS = TOLD_KINDS
SHIPPED: Final[Mapping[str, Mapping[str, int]]] = {DECISIONS: DECISION, TASKS: TASK}
"""The weights that the step is taken from, by kind: the names of the sums."""

CUES: Final = tuple(sorted((DECISION.keys() | TASK.keys()) - {BIAS}))
IDENTITY: Final = digest(canonical_json([CUES, {kind: dict(weights) for kind, weights in SHIPPED.items()}]))[:16]
"""Which cues and weights sums are of: with others they mean nothing, and a model that has them is fitted anew."""

FEWEST_MEETINGS: Final = 20
FEWEST_TOLD: Final = 50  # sentences of a kind

_HUNDREDTHS: Final = 100
_RIDGE: Final = 8.0  # chosen by cross-validation over labelled meetings for learning
_SUREST: Final = 0.98  # or what is very unlikely and true would outweigh all else
_EXTRA: Final = 3  # columns after the label: one for each meeting, one for what is told, one for each sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """Weights of decisions and tasks, and how they came about.

    Attributes:
        weights: In hundredths, by kind and cue.
        note: What the reader should know of them; none where corrected summaries taught both kinds, or no model is
            there to be taught.
    """

    weights: Mapping[str, Mapping[str, int]]
    note: str | None = None


AS_SHIPPED: Final = Taught(weights=SHIPPED)
"""What is used where no model is."""


def products_of(meeting: Meeting, shipped: Mapping[str, Mapping[str, int]] = SHIPPED) -> Iterator[tuple[str, Ints]]:
    """Yield the sums of products that one meeting adds, by kind: shape (columns, columns), whole numbers.

    The columns are the cues and a constant, times the root of the step's weight; the residual over that root; whether
    a sentence is the meeting's first, whether it is told, and 1.
    """
    lines = [Line(speaker=row.payload["speaker"], text=row.payload["text"]) for row in meeting.segments]
    phrases = language_of(lines)
    if meeting.told is None or phrases is None:
        return
    seen = list(see(lines, phrases))
    turns = [int(meeting.segments[one.line].payload["turn"]) for one in seen]
    for kind, weights in shipped.items():
        chances = _chances(seen, weights)
        told = np.isin(turns, meeting.told[kind])
        counts = ~told  # of a line that is told, the likeliest sentence alone (multiple instance learning)
        best: dict[int, int] = {}
        for place in np.flatnonzero(told):
            best[turns[place]] = max(best.get(turns[place], int(place)), int(place), key=lambda one: chances[one])
        counts[list(best.values())] = True
        roots = np.sqrt(chances * (1 - chances))
        table = np.array([[one.cues.get(name, 0.0) for name in CUES] + [1.0] for one in seen])
        first = np.arange(len(seen)) == int(np.flatnonzero(counts)[0])
        columns = [table * roots[:, None], (told - chances) / roots, first, told, np.ones(len(seen))]
        whole = np.rint(np.column_stack(columns)[counts] * ONE)
        yield kind, (whole.T @ whole).astype(np.int64)  # exact: whole numbers below 2^53


def taught_by(products: Mapping[str, Ints]) -> Taught:
    """Return what sums of products, by kind, have taught."""
    weights = {kind: taught_weights(products.get(kind), shipped) for kind, shipped in SHIPPED.items()}
    few = [kind for kind, learnt in weights.items() if learnt is SHIPPED[kind]]
    meetings = max((_counts(products[kind])[0] for kind in few if kind in products), default=0)
    note = (
        f"{' and '.join(few).capitalize()} are found by the patterns that Volition comes with. To learn better, it "
        f"needs {FEWEST_MEETINGS} summaries that people corrected, with {FEWEST_TOLD} {' and as many '.join(few)} in "
        f"them; it has {meetings}."
    )
    return Taught(weights=weights, note=note if few else None)


def taught_weights(table: Ints | None, shipped: Mapping[str, int]) -> Mapping[str, int]:
    """Return weights a step away from those shipped; those shipped where sums are of too little."""
    if table is None:
        return shipped
    meetings, told = _counts(table)
    if meetings < FEWEST_MEETINGS or told < FEWEST_TOLD:
        return shipped
    exact = table.astype(np.float64) / ONE**2
    size = len(CUES) + 1
    step = np.linalg.solve(exact[:size, :size] + _RIDGE * np.eye(size), exact[size, :size])
    moved = np.rint(_HUNDREDTHS * step).astype(int)
    return {name: shipped.get(name, 0) + int(by) for name, by in zip((*CUES, BIAS), moved, strict=True)}


def _counts(table: Ints) -> tuple[int, int]:
    """Return of how many meetings sums are, and how many sentences are told in them."""
    return int(table[-_EXTRA, -_EXTRA]) // ONE**2, int(table[-2, -2]) // ONE**2


def _chances(seen: Sequence[Seen], weights: Mapping[str, int]) -> Floats:
    """Return how likely each sentence tells something, by weights; never quite sure."""
    scores: Floats = np.array([score(weights, one.cues) for one in seen]) / _HUNDREDTHS
    return np.clip(1 / (1 + np.exp(-scores)), 1 - _SUREST, _SUREST)
