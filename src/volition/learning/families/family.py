"""What a kind of model can do: learn, forget a part exactly, and be measured on what it never saw."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.families.model import Array, Model
from volition.progress import Progress
from volition.records.lake import Row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """How well a feature did on held-out units.

    Attributes:
        metric: Name of the measure, such as "NDCG@10"; higher is better.
        units: What was scored (a query, a meeting, a person), one name each.
        accounts: The account each unit belongs to, for resampling and figures by account.
        values: Shape (units,), float64.
        people: Who each unit is about, for figures by group; one pseudonym a person, as `Row.author` and
            `Row.everyone` give it, since a group is shown by how many people it has. Empty where a family does not say.
        firsts: Shape (units,), for each unit whether what was wanted came first, 1 or 0: the same in words that need no
            explaining. None where nothing is ranked.
    """

    metric: str
    units: tuple[str, ...]
    accounts: tuple[str, ...]
    values: NDArray[np.float64]
    people: tuple[tuple[str, ...], ...] = ()
    firsts: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse scores that cannot be averaged.

        Raises:
            InvalidInputError: The lengths differ, or a value is not finite.
        """
        if not len(self.units) == len(self.accounts) == len(self.values):
            msg = f"{len(self.units)} units, {len(self.accounts)} accounts, {len(self.values)} values: need one each."
            raise InvalidInputError(msg)
        if self.people and len(self.people) != len(self.units):
            msg = f"{len(self.units)} units, and people for {len(self.people)}: need them for each unit, or for none."
            raise InvalidInputError(msg)
        if self.firsts is not None and len(self.firsts) != len(self.units):
            msg = f"{len(self.units)} units, and {len(self.firsts)} that came first or not: need one each."
            raise InvalidInputError(msg)
        if not np.isfinite(self.values).all():
            msg = f"A value of {self.metric} is not finite. Leave units out that cannot be scored."
            raise InvalidInputError(msg)


class Parts(Protocol):
    """Parts of long work that are already done, so that a killed training resumes where it was."""

    def get(self, name: str) -> Mapping[str, Array] | None:
        """Return a finished part, or none."""

    def put(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Keep a finished part under a name that says what went into it (see `part_name`)."""


class RecentParts:
    """Keeps in memory what was used last, for work that does nearly the same again and again, as audits do.

    Keeping costs so little that a family may keep smaller steps here than it would on a disk.
    """

    def __init__(self, most_bytes: int) -> None:
        """Keep no more than so many bytes."""
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, Mapping[str, Array]] = OrderedDict()  # what was used last comes last
        self._size_bytes = 0

    def get(self, name: str) -> Mapping[str, Array] | None:
        """Return a part that is still here, or none."""
        found = self._kept.get(name)
        if found is not None:
            self._kept.move_to_end(name)
        return found

    def put(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Keep a part, in place of those that were used longest ago; nobody may change its arrays from now on."""
        self._size_bytes -= _size_of(self._kept.pop(name, {}))
        if _size_of(arrays) > self._most_bytes:
            return  # it would drive out all others, and then itself
        self._size_bytes += _size_of(arrays)
        self._kept[name] = dict(arrays)
        while self._size_bytes > self._most_bytes:
            self._size_bytes -= _size_of(self._kept.popitem(last=False)[1])


def _size_of(arrays: Mapping[str, Array]) -> int:
    return sum(array.nbytes for array in arrays.values())


class NoParts:
    """Keeps nothing: every run starts from the beginning."""

    def get(self, name: str) -> Mapping[str, Array] | None:  # noqa: ARG002 - the protocol's signature
        """Return none."""
        return None

    def put(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Keep nothing."""


class Family(Protocol):
    """One kind of model: how it learns, forgets and is measured.

    Rows come in any order; what is learnt depends on the set of rows alone (see `canonical_order`), never on the
    process, the time or the number of threads. Who has several identities is one person: where people are counted,
    grouped or held out, it is by `Row.author`, and a model that counted them as two before they were merged is no sum
    to subtract from.
    """

    name: str
    purpose: str

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Learn from permitted rows.

        Raises:
            InvalidInputError: The rows do not hold enough to learn from; the message says what to collect.
        """

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Return the model without the rows that `after` lacks; its bytes equal those of `fit(after)`."""

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[Sequence[Row], Sequence[Row]]:
        """Split rows into (known, held out) by whole units, the same way in every process."""

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Score the feature on held-out rows; without a model, score the untrained form of the same feature."""


@runtime_checkable
class Subtracting(Protocol):
    """A family that forgets by subtraction, so that it need not see the rows of people for whom nothing changed."""

    def subtract(
        self,
        model: Model,
        *,
        before: Sequence[Row],
        after: Sequence[Row],
        accounts: Collection[str],
        progress: Progress,
    ) -> Model:
        """Return what `forget` returns, from less.

        Args:
            model: Fitted on all rows there were.
            before: Of those rows, all whose first person, in their account, lost a row since; and all rows of each
                account in which the first person of any was merged into somebody (`Row.merged_into`), whom the model
                may have counted as two.
            after: Those of `before` that are left.
            accounts: Which accounts have any row left.
            progress: Called with how far it has come.
        """


@runtime_checkable
class Rivalled(Protocol):
    """A family with a simpler form of its feature that needs to know nobody; where it does as well, it is used."""

    rival: str
    """What it is called."""

    def evaluate_rival(self, model: Model, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Score it on held-out rows: the units of `Family.evaluate`, in the same order."""


def canonical_order(rows: Iterable[Row]) -> list[Row]:
    """Return rows in the one order that families learn in: account, instant of collection, record id."""
    return sorted(rows, key=lambda row: (row.account, row.collected_us, row.record_id))


def fold_of(unit: str, folds: int) -> int:
    """Return the fold, from 0 to `folds` - 1, that a unit falls in: the same in every process and on every machine."""
    return int.from_bytes(sha256(unit.encode()).digest()[:8]) % folds


def part_name(stage: str, *content: bytes) -> str:
    """Name a finished part by its stage and the digest of all that went into it, so that a stale part is never used."""
    whole = sha256()
    for piece in content:
        whole.update(len(piece).to_bytes(8))
        whole.update(piece)
    return f"{stage}-{whole.hexdigest()[:32]}"
