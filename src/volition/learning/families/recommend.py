"""Recommend: channels, documents, people and features that a person may want next (EASE, popularity for newcomers).

An item is whatever a usage event names in `volition.item`: "channel/general", "document/budget", "person/ada",
"feature/polls"; the word before the slash is its kind, and every kind is learned and suggested alike. An item that is a
person is a party, too: who may be suggested is asked of the gate by whoever calls (`hidden`).

What is learned is one table of integers per account: how many people use both item i and item j. Nothing crosses
from one account to another, and because integers subtract exactly, forgetting is subtraction: the bytes that remain are
the bytes that a model trained without the party would have. The weights are floating-point and are therefore solved
when an account's table is opened, never stored: a saved model is the same whatever machine and BLAS made it.

Source: H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, arXiv:1905.03375.
"""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Final

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.learning.families import Model, Parts, Scores, fold_of
from volition.progress import Progress
from volition.records.ingest import ITEM
from volition.records.lake import Row

# An item that one person alone uses is never suggested: the suggestion would tell a colleague what that person does.
MIN_PEOPLE: Final = 2
# The solve is cubic in the items of an account (2,000: about a second); beyond this many, the most used take part.
MAX_ITEMS: Final = 2000
# Lambda of EASE, in mean numbers of people per item.
RIDGE: Final = 3.0
# Scores are compared after rounding, so that the last bits of a BLAS never decide an order.
DECIMALS: Final = 9
# Held out of a person's items: the last fifth by time, at least one, and only from people who keep at least two.
HELD_SHARE: Final = 0.2
MIN_KEPT: Final = 2
DEPTH: Final = 10  # of NDCG@10

Uses = dict[str, dict[str, set[str]]]  # account -> person -> items
Hidden = Callable[[str], bool]
"""Tells of an item whether it must not be shown."""

_FORMAT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One item to try next.

    Attributes:
        item: Name of the item as the events spell it, such as "channel/general".
        score: How strongly it is suggested: an EASE score for those who use something, the number of people who use the
            item for newcomers. Comparable only within one answer.
        because: The reason in words.
    """

    item: str
    score: float
    because: str


def nothing_hidden(item: str) -> bool:  # noqa: ARG001 - the form of `Hidden`
    """Show every item."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What an account's people use together: for each pair of items the people who use both, the upper triangle.

    The cells of row i are those from `starts[i]` (included) to `starts[i + 1]` (not included), by column. The first one
    is the diagonal, which is always there: the people who use item i.

    Attributes:
        items: Names, sorted.
        starts: Shape (items + 1,), int64.
        columns: Shape (cells,), int32, from i upwards.
        counts: Shape (cells,), int32, above 0.
    """

    items: tuple[str, ...]
    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    counts: NDArray[np.int32]

    @property
    def people(self) -> NDArray[np.int64]:
        """How many people use each item, shape (items,)."""
        return self.counts[self.starts[:-1]].astype(np.int64)


class Recommend:
    """The recommend family (see `volition.learning.families.Family`)."""

    name = "recommend"
    purpose = "train/recommend"

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Count, in each account, how many people use each pair of items.

        Args:
            rows: Permitted rows; those that are not usage of an item are passed over. Their order does not matter.
            parts: Unused: counting takes less time than saving it would.
            progress: Told of each account counted.

        Returns:
            The model; it holds integers and names only, so its bytes depend on nothing but the set of uses.

        Raises:
            InvalidInputError: No row is a use of an item.
        """
        del parts
        uses = _uses(rows)
        tables: dict[str, Table] = {}
        for done, account in enumerate(sorted(uses), start=1):
            tables[account] = _count(uses[account])
            progress("counting uses", done, len(uses))
        return _model(tables)

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Subtract what the rows that went away had added.

        Args:
            model: Fitted on `before`.
            before: The rows of the snapshot that the model was trained from. The rows of an account may be missing
                (the key of an erased account is gone) if `after` has none of them either.
            after: The rows that may still be used.
            parts: Unused.
            progress: Told of each account whose people changed.

        Returns:
            The model that `fit(after)` gives, in the same bytes. An item that nobody else used is gone from it.

        Raises:
            InvalidInputError: No use of an item is left.
        """
        del parts
        left = {row.record_id for row in after}
        changed = {actor_of(row) for row in before if row.record_id not in left}
        return self.subtract(
            model,
            before=[row for row in before if actor_of(row) in changed],
            after=[row for row in after if actor_of(row) in changed],
            accounts={row.account for row in after},
            progress=progress,
        )

    def subtract(
        self,
        model: Model,
        *,
        before: Sequence[Row],
        after: Sequence[Row],
        accounts: Collection[str],
        progress: Progress,
    ) -> Model:
        """Forget what changed, told only of those whose rows changed (see `volition.learning.families.Subtracting`).

        The work is that of the cells that those people were counted in, besides copying the table.

        Raises:
            InvalidInputError: No use of an item is left, or somebody uses in `after` what they did not in `before`.
        """
        old, new = _uses(before), _uses(after)
        tables = {account: table for account, table in _tables(model).items() if account in accounts}
        changed = sorted(old.keys() & tables.keys())
        for done, account in enumerate(changed, start=1):
            now = new.get(account, {})
            pairs = [(was, now.get(person, set())) for person, was in sorted(old[account].items())]
            if any(left - was for was, left in pairs):
                raise InvalidInputError("A forgetting never adds a use. Train a new model to learn more.")
            table = _subtract(tables.pop(account), pairs)
            if table.items:
                tables[account] = table
            progress("subtracting uses", done, len(changed))
        return _model(tables)

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """Hold out the last items of the people of one fold.

        An item counts from its first use; all rows of a held-out item go, or its later uses would give it away.

        Args:
            rows: Rows of the snapshot.
            fold: Which people are asked, from 0.
            folds: How many groups the people are dealt into, by a hash of their pseudonym.

        Returns:
            Rows to learn from, and held-out rows; both in the order given.
        """
        first: dict[tuple[str, str], dict[str, tuple[int, str]]] = defaultdict(dict)
        for row in rows:
            if (item := _item(row)) is not None and fold_of(row.people[0], folds) == fold:
                seen = first[row.account, row.people[0]]
                seen[item] = min(seen.get(item, (row.collected_us, item)), (row.collected_us, item))
        held: set[tuple[str, str, str]] = set()
        for (account, person), seen in first.items():
            number = max(1, int(len(seen) * HELD_SHARE))
            if len(seen) - number >= MIN_KEPT:
                held.update((account, person, item) for item in sorted(seen, key=seen.__getitem__)[-number:])
        known: list[Row] = []
        heldout: list[Row] = []
        for row in rows:
            item = _item(row)
            hold = item is not None and (row.account, row.people[0], item) in held
            (heldout if hold else known).append(row)
        return tuple(known), tuple(heldout)

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Measure NDCG@10 per person: how high the held-out items stand among the account's items not yet used.

        Args:
            model: Fitted on `rows_known`; none means the untrained form, the same candidates in an arbitrary stable
                order. (Popularity is already learning: `evaluate_popularity` gives it as a rival.)
            rows_known: What people are known to use.
            rows_heldout: What they used next.

        Returns:
            One value per person with held-out items, from 0 to 1; held-out items that cannot be suggested count as
            missed.
        """
        if model is None:
            return _evaluate(rows_known, rows_heldout, _Arbitrary(rows_known))
        return _evaluate(rows_known, rows_heldout, Recommender(model))

    def familiarity(self, model: Model, rows: Sequence[Row]) -> dict[str, float]:
        """Return, for each person, the logarithm of how many people use the rarest pair of items that the person uses.

        A person who was counted is in the count of each of their pairs, so a pair that nobody uses says that the person
        was not. This looks into the model's file: what it suggests, or rather never does (`MIN_PEOPLE`), shows less.
        """
        tables = _tables(model)
        found = {}
        for account, people in _uses(rows).items():
            table = tables.get(account, _count({}))
            place = {item: j for j, item in enumerate(table.items)}
            size = len(table.items)
            pairs = scipy.sparse.csr_array((table.counts, table.columns, table.starts), shape=(size, size))
            for person, items in people.items():
                own = np.array(sorted(place[item] for item in items if item in place), dtype=np.int64)
                known = len(own) == len(items)
                rarest = pairs[own][:, own].toarray()[np.triu_indices(len(own))].min() if known else 0
                found[person] = math.log(float(rarest) + 0.5)
        return found


class Recommender:
    """A model opened: an account's table is solved when it is first asked for, and kept."""

    def __init__(self, model: Model, *, personal: bool = True) -> None:
        """Open a model.

        Args:
            model: Of the recommend family.
            personal: Whether to use what the person uses; false gives popularity to everybody.
        """
        self._tables = _tables(model)
        self._personal = personal
        self._solved: dict[str, _Solved] = {}

    def suggest(
        self, account: str, used: Iterable[str], limit: int, *, hidden: Hidden = nothing_hidden
    ) -> tuple[Suggestion, ...]:
        """Suggest items of an account to somebody who uses some of them.

        Args:
            account: Whose items.
            used: Items the person uses; they are not suggested again.
            limit: Most suggestions to return.
            hidden: Items of which it is true are passed over; it is asked of no more than are needed.

        Returns:
            The best first. Empty for an account that the model does not know.
        """
        if account not in self._tables:
            return ()
        if account not in self._solved:
            self._solved[account] = _solve(self._tables[account])
        return self._solved[account].suggest(set(used), limit, personal=self._personal, hidden=hidden)


def recommend(
    model: Model | None,
    rows_of_person: Sequence[Row],
    *,
    account: str,
    limit: int = 10,
    hidden: Hidden = nothing_hidden,
) -> tuple[Suggestion, ...]:
    """Suggest what a person may want to use next.

    Args:
        model: A released model. Without one nothing is known of what others use: the answer is then the person's own
            items, the most recently used first.
        rows_of_person: The person's usage rows that the gate let through; rows of other accounts are passed over.
        account: The person's account; only its items are suggested.
        limit: Most suggestions to return.
        hidden: Items of which it is true are neither suggested nor named as a reason.

    Returns:
        Suggestions with reasons, the best first. Each call solves the account's table anew: to serve many, open a
        `Recommender`.
    """
    own = [
        (row.collected_us, item)
        for row in rows_of_person
        if row.account == account and (item := _item(row)) and not hidden(item)
    ]
    if model is not None:
        return Recommender(model).suggest(account, (item for _, item in own), limit, hidden=hidden)
    latest = {item: at_us for at_us, item in sorted(own)}
    order = sorted(latest, key=lambda item: (-latest[item], item))[:limit]
    return tuple(Suggestion(item=item, score=0.0, because="you used it recently") for item in order)


def evaluate_popularity(model: Model, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
    """Measure the rival: every person is suggested the most used items of the account (see `Recommend.evaluate`)."""
    return _evaluate(rows_known, rows_heldout, Recommender(model, personal=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solved:
    """Weights of one account: `weights[i, j]` is what using item i says for item j."""

    items: tuple[str, ...]
    people: NDArray[np.int64]
    weights: NDArray[np.float64]

    def suggest(self, used: set[str], limit: int, *, personal: bool, hidden: Hidden) -> tuple[Suggestion, ...]:
        mine = np.array([item in used for item in self.items], dtype=bool)
        newcomer = not (personal and mine.any())
        scores = self.people.astype(np.float64) if newcomer else np.round(self.weights[mine].sum(axis=0), DECIMALS)
        # Popularity, then the name, settle equal scores, so that the order never depends on anything else.
        ranked = np.lexsort((np.arange(len(scores)), -self.people, -scores))
        open_to_all = (j for j in ranked if not mine[j] and self.people[j] >= MIN_PEOPLE and not hidden(self.items[j]))
        return tuple(
            Suggestion(
                item=self.items[j],
                score=float(scores[j]),
                because=self._popular(j) if newcomer else self._because(mine, j),
            )
            for j in islice(open_to_all, limit)
        )

    def _popular(self, j: int) -> str:
        return f"{self.people[j]} people in your account use it"

    def _because(self, mine: NDArray[np.bool_], j: int) -> str:
        """Name the used item that spoke loudest for the suggestion, if any spoke for it."""
        reasons = np.where(mine, np.round(self.weights[:, j], DECIMALS), -np.inf)
        best = int(reasons.argmax())
        return f"because you use {self.items[best]}" if reasons[best] > 0 else self._popular(j)


class _Arbitrary:
    """The untrained form: the items that a model could suggest, in the order of a hash of their names."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._items: dict[str, list[str]] = {}
        for account, people in _uses(rows).items():
            table = _count(people)
            known = [item for item, n in zip(table.items, table.people, strict=True) if n >= MIN_PEOPLE]
            self._items[account] = sorted(known, key=lambda item: hashlib.sha256(item.encode()).digest())

    def suggest(self, account: str, used: Iterable[str], limit: int) -> tuple[Suggestion, ...]:
        skip = set(used)
        items = [item for item in self._items.get(account, []) if item not in skip]
        return tuple(Suggestion(item=item, score=0.0, because="in no particular order") for item in items[:limit])


def actor_of(row: Row) -> tuple[str, str]:
    """Return the account and the pseudonym under which a row counts; an empty one where it concerns nobody."""
    return row.account, row.people[0] if row.people else ""


def _item(row: Row) -> str | None:
    """Tell which item a row is a use of; none if it is no use of an item by somebody."""
    if row.category != "service/usage" or not row.people or row.payload.get("kind") != "event":
        return None
    item = row.payload.get("attributes", {}).get(ITEM)
    return item if isinstance(item, str) and item else None


def _uses(rows: Iterable[Row]) -> Uses:
    uses: Uses = {}
    for row in rows:
        if (item := _item(row)) is not None:
            uses.setdefault(row.account, {}).setdefault(row.people[0], set()).add(item)
    return uses


def _count(people: Mapping[str, set[str]]) -> Table:
    """Count pairs of items by people: the integer Gram matrix of the binary person-by-item matrix."""
    items = tuple(sorted(set().union(*people.values())))
    place = {item: j for j, item in enumerate(items)}
    cells = [(i, place[item]) for i, used in enumerate(people.values()) for item in used]
    rows, columns = np.array(cells, dtype=np.int64).reshape(-1, 2).T
    ones = np.ones(len(cells), dtype=np.int32)
    matrix = scipy.sparse.csr_array((ones, (rows, columns)), shape=(len(people), len(items)))
    upper = scipy.sparse.csr_array(scipy.sparse.triu(matrix.T @ matrix, format="csr"))
    upper.sort_indices()
    return Table(
        items=items,
        starts=upper.indptr.astype(np.int64),
        columns=upper.indices.astype(np.int32),
        counts=upper.data.astype(np.int32),
    )


def _subtract(table: Table, people: Iterable[tuple[set[str], set[str]]]) -> Table:
    """Take uses out of a table; cells and items that nobody is left in vanish.

    Args:
        table: Of an account.
        people: What each person used before, and what they use still, which is a part of it.
    """
    place = {item: i for i, item in enumerate(table.items)}
    counts = table.counts.copy()
    touched = []
    for before, still in people:
        for cells in _cells(table, place, before, still):
            counts[cells] -= 1  # no cell comes twice in a row
            touched.append(cells)
    cells = np.unique(np.concatenate(touched)) if touched else np.zeros(0, np.int64)
    gone = cells[counts[cells] == 0]
    if not len(gone):
        return Table(items=table.items, starts=table.starts, columns=table.columns, counts=counts)
    starts = table.starts - np.searchsorted(gone, table.starts)
    columns, counts = np.delete(table.columns, gone), np.delete(counts, gone)
    empty = np.flatnonzero(starts[1:] == starts[:-1])  # a row without its diagonal: nobody uses the item
    if len(empty):
        columns -= np.searchsorted(empty, columns).astype(np.int32)
        starts = np.delete(starts, empty)
    vanished = set(empty.tolist())
    items = tuple(item for i, item in enumerate(table.items) if i not in vanished)
    return Table(items=items, starts=starts, columns=columns, counts=counts)


def _cells(table: Table, place: Mapping[str, int], before: set[str], still: set[str]) -> Iterator[NDArray[np.int64]]:
    """Yield, row by row, where a table counts a person in pairs of items of which they use one no more."""
    used = np.array(sorted(place[item] for item in before), dtype=np.int64)
    kept = np.array([table.items[i] in still for i in used], dtype=bool)
    for number, i in enumerate(used):
        others = used[number:]
        if kept[number]:
            others = others[~kept[number:]]
        start, end = table.starts[i], table.starts[i + 1]
        yield start + np.searchsorted(table.columns[start:end], others)


def _model(tables: Mapping[str, Table]) -> Model:
    """Lay tables out as arrays, one account after the other, by name."""
    accounts = sorted(tables)
    if not accounts:
        raise InvalidInputError(f"nothing to learn from: no usage event with the attribute {ITEM!r}; collect some")
    vocabulary = [[account, list(tables[account].items)] for account in accounts]
    return Model(
        family=Recommend.name,
        settings={"format": _FORMAT},
        arrays={
            "cells": np.array([len(tables[account].counts) for account in accounts], dtype=np.int64),
            "starts": np.concatenate([tables[account].starts for account in accounts]),
            "columns": np.concatenate([tables[account].columns for account in accounts]),
            "counts": np.concatenate([tables[account].counts for account in accounts]),
        },
        texts={"vocabulary": canonical_json(vocabulary).decode()},
    )


def _tables(model: Model) -> dict[str, Table]:
    if model.family != Recommend.name:
        raise InvalidInputError(f"expected a model of the recommend family, got one of {model.family!r}")
    if model.settings.get("format") != _FORMAT:
        raise InvalidInputError("This model was trained by an older version. Train again: `volition train recommend`.")
    vocabulary: list[Any] = json.loads(model.texts["vocabulary"])
    cells = pairwise([0, *np.cumsum(model.arrays["cells"]).tolist()])
    rows = pairwise([0, *np.cumsum([len(items) + 1 for _, items in vocabulary]).tolist()])
    return {
        account: Table(
            items=tuple(items),
            starts=model.arrays["starts"][slice(*of_rows)],
            columns=model.arrays["columns"][slice(*of_cells)],
            counts=model.arrays["counts"][slice(*of_cells)],
        )
        for (account, items), of_cells, of_rows in zip(vocabulary, cells, rows, strict=True)
    }


def _solve(table: Table) -> _Solved:
    """Solve EASE: with P = (G + lambda I)^-1, weights are -P_ij / P_jj (equation 8).

    The diagonal, zero in the paper, is never read here: what a person uses already is not suggested.

    Lambda is three times the mean number of people per item: a rule of the counts alone, so that nothing needs tuning
    on anybody's data. On planted preferences of 30 to 1,000 people, two to four times did best at every size.
    """
    people, items = table.people, table.items
    shape = (len(items), len(items))
    upper = scipy.sparse.csr_array((table.counts.astype(np.float64), table.columns, table.starts), shape=shape)
    if len(items) > MAX_ITEMS:
        keep = np.sort(np.lexsort((np.arange(len(people)), -people))[:MAX_ITEMS])
        upper, people = scipy.sparse.csr_array(upper[keep][:, keep]), people[keep]
        items = tuple(items[j] for j in keep)
    gram = upper.toarray()
    gram += np.triu(gram, 1).T
    inverse = np.linalg.inv(gram + np.diag(np.full(len(people), RIDGE * people.mean())))
    weights = -inverse / np.diag(inverse)
    return _Solved(items=items, people=people, weights=weights)


def _evaluate(known: Sequence[Row], heldout: Sequence[Row], suggester: Recommender | _Arbitrary) -> Scores:
    used, wanted = _uses(known), _uses(heldout)
    people = [(account, person) for account in sorted(wanted) for person in sorted(wanted[account])]
    values = np.zeros(len(people))
    for number, (account, person) in enumerate(people):
        mine = used.get(account, {}).get(person, set())
        answers = suggester.suggest(account, mine, DEPTH)
        values[number] = _ndcg([answer.item for answer in answers], wanted[account][person])
    return Scores(
        metric=f"NDCG@{DEPTH}",
        units=tuple(person for _, person in people),
        accounts=tuple(account for account, _ in people),
        values=values,
        people=tuple((person,) for _, person in people),
    )


def _ndcg(answers: Sequence[str], wanted: set[str]) -> float:
    """Normalised discounted cumulative gain with binary gains (Järvelin and Kekäläinen 2002)."""
    gain = sum(1 / math.log2(rank + 2) for rank, item in enumerate(answers) if item in wanted)
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(len(wanted), DEPTH)))
