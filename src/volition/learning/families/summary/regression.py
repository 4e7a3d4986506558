"""The regression of a summary model: sums of products in whole numbers, added, subtracted, and solved when opened."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from volition.errors import InvalidInputError
from volition.learning.families.family import Parts, part_name
from volition.learning.families.model import Array, Model
from volition.learning.families.summary.features import FULL, HAND, ONE, Floats, Ints, Reading, label_of, read_meeting
from volition.learning.families.summary.sentences import Meeting
from volition.learning.families.summary.taught import AS_SHIPPED, IDENTITY, Taught, products_of, taught_by

NAME: Final = "summary"
"""The family's."""

FORMAT: Final = 3
"""Of the sums. In format 1, writing without blanks was one sentence; up to format 2, nothing was learnt of decisions
and tasks. A model of an older format works, and is fitted anew where it forgets."""

LEARN_WORDS: Final = 4
"""Words of the shortest sentence that teaches something."""

# Chosen by cross-validation over meetings.
_RIDGE: Final = 0.1
_RIDGE_UNITS: Final = 10_000.0  # with fewer sentences to learn from, more ridge


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums of products over sentences, of columns (features, label, 1): shape (columns, columns), int64, by form.

    What meetings teach about decisions and tasks is kept beside the forms, under its kind (see `taught`).

    Attributes:
        fingerprint: Sum of the meetings' fingerprints, modulo 2^64: which meetings these sums are of.
        meetings: How many.
    """

    MODULUS = 2**64

    products: Mapping[str, Ints]
    fingerprint: int
    meetings: int

    @classmethod
    def zero(cls) -> "Sums":
        """Return the sums of no meeting."""
        return cls(products={}, fingerprint=0, meetings=0)

    @classmethod
    def of(cls, meeting: Meeting) -> "Sums":
        """Return the sums of one meeting."""
        read = read_meeting(meeting.segments)
        label = label_of(read, meeting.reference)
        learn = read.words >= LEARN_WORDS
        products = {}
        for form in dict.fromkeys((HAND, read.form)):
            ones = np.full(len(label), float(ONE))
            table = np.column_stack([read.features(form), label, ones])[learn]
            products[form] = (table.T @ table).astype(np.int64)  # exact: whole numbers below 2^53
        return cls(products={**products, **dict(products_of(meeting))}, fingerprint=meeting.fingerprint(), meetings=1)

    @classmethod
    def of_several(cls, meetings: Sequence[Meeting], parts: Parts) -> "Sums":
        """Return the sums of some meetings, kept or read now."""
        prints = [meeting.fingerprint() for meeting in meetings]
        name = part_name(NAME, bytes([FORMAT]), IDENTITY.encode(), *(one.to_bytes(8) for one in prints))
        kept = parts.get(name)
        if kept is not None:
            return cls(products=dict(kept), fingerprint=sum(prints) % cls.MODULUS, meetings=len(meetings))
        sums = cls.zero()
        for meeting in meetings:
            sums = sums.plus(cls.of(meeting))
        parts.put(name, sums.products)
        return sums

    def plus(self, other: "Sums", *, sign: int = 1) -> "Sums":
        """Return these with others added, or taken away where the sign is -1."""
        products = dict(self.products)
        for form, table in other.products.items():
            products[form] = products[form] + sign * table if form in products else sign * table
        return Sums(
            products=products,
            fingerprint=(self.fingerprint + sign * other.fingerprint) % self.MODULUS,
            meetings=self.meetings + sign * other.meetings,
        )

    def model(self) -> Model:
        """Return the model that holds these.

        Raises:
            InvalidInputError: They are of no meeting.
        """
        arrays: dict[str, Array] = {}
        for form, table in self.products.items():
            if table[-1, -1]:  # a form that no meeting has any more leaves nothing behind
                arrays[form] = table[np.triu_indices(len(table))]
        if not arrays:
            raise InvalidInputError(
                "nothing to learn from: no meeting has both segments and an edited summary; collect edited summaries"
            )
        settings = {
            "format": FORMAT,
            "cues": IDENTITY,
            "meetings": self.meetings,
            "fingerprint": f"{self.fingerprint:016x}",
        }
        return Model(family=NAME, settings=settings, arrays=arrays, texts={})

    @classmethod
    def from_model(cls, model: Model) -> "Sums":
        """Return what a model holds.

        Raises:
            InvalidInputError: It is of another family.
        """
        if model.family != NAME:
            raise InvalidInputError(f"expected a model of the summary family, got one of {model.family!r}")
        products = {}
        for form, packed in model.arrays.items():
            side = (math.isqrt(8 * len(packed) + 1) - 1) // 2
            table = np.zeros((side, side), dtype=np.int64)
            table[np.triu_indices(side)] = packed
            products[form] = np.triu(table) + np.triu(table, 1).T
        fingerprint = int(model.settings["fingerprint"], 16)
        return cls(products=products, fingerprint=fingerprint, meetings=model.settings["meetings"])


def taught_to(model: Model | None) -> Taught:
    """Return what a model was taught about decisions and tasks; one of another version was taught nothing."""
    if model is None:
        return AS_SHIPPED
    return taught_by(Sums.from_model(model).products if model.settings.get("cues") == IDENTITY else {})


def _solve(table: Ints) -> Floats:
    """Solve the ridge regression on standardised features; return a weight per feature.

    The constant is left out: only the order of sentences within a meeting matters.
    """
    exact = table.astype(np.float64) / ONE**2
    count = exact[-1, -1]
    mean = exact[-1, :-2] / count
    covariance = exact[:-2, :-2] / count - np.outer(mean, mean)
    with_label = exact[-2, :-2] / count - mean * exact[-1, -2] / count
    spread = np.sqrt(np.maximum(np.diag(covariance), 1e-6))
    ridge = _RIDGE * (1 + _RIDGE_UNITS / count)
    correlation = covariance / np.outer(spread, spread) + ridge * np.eye(len(spread))
    return np.asarray(np.linalg.solve(correlation, with_label / spread) / spread)


class Ranker:
    """A model opened: gives each sentence of a meeting a score."""

    def __init__(self, model: Model) -> None:
        self._sums = Sums.from_model(model)
        self._weights: dict[str, Floats] = {}

    def rank(self, read: Reading) -> tuple[Floats, str | None]:
        """Return a score for each sentence, and what the reader should know of how it was made."""
        form = read.form if read.form in self._sums.products else HAND
        if form not in self._weights:
            self._weights[form] = _solve(self._sums.products[form])
        note = None if form == FULL else "Chosen by words and places alone: there are no sentence embeddings."
        return read.features(form) @ self._weights[form] / ONE, note
