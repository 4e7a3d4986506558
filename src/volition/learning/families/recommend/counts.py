"""Counts: how many people of an account use each pair of items; the bytes of a model, and how people are subtracted."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.learning.families.model import Model
from volition.records.ingest import ITEM
from volition.records.lake import Row

NAME: Final = "recommend"

Uses = dict[str, dict[str, set[str]]]  # account -> person -> items

_FORMAT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
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


def actor_of(row: Row) -> tuple[str, str]:
    """Return the account and the pseudonym under which a row counts; an empty one where it is about no person."""
    return row.account, row.author if row.people else ""


def item_of(row: Row) -> str | None:
    """Return the item that a row is a use of; none where it is no use of an item by a person."""
    if row.category != "service/usage" or not row.people or row.payload.get("kind") != "event":
        return None
    item = row.payload.get("attributes", {}).get(ITEM)
    return item if isinstance(item, str) and item else None


def uses_of(rows: Iterable[Row]) -> Uses:
    """Return which items each person of each account uses."""
    uses: Uses = {}
    for row in rows:
        if (item := item_of(row)) is not None:
            uses.setdefault(row.account, {}).setdefault(row.author, set()).add(item)
    return uses


def count(people: Mapping[str, set[str]]) -> PairCounts:
    """Count pairs of items by people: the integer Gram matrix of the binary person-by-item matrix."""
    import scipy.sparse  # noqa: PLC0415 - of the extra `learn`: loaded where it computes

    items = tuple(sorted(set().union(*people.values())))
    place = {item: j for j, item in enumerate(items)}
    cells = [(i, place[item]) for i, used in enumerate(people.values()) for item in used]
    rows, columns = np.array(cells, dtype=np.int64).reshape(-1, 2).T
    ones = np.ones(len(cells), dtype=np.int32)
    matrix = scipy.sparse.csr_array((ones, (rows, columns)), shape=(len(people), len(items)))
    upper = scipy.sparse.csr_array(scipy.sparse.triu(matrix.T @ matrix, format="csr"))
    upper.sort_indices()
    return PairCounts(
        items=items,
        starts=upper.indptr.astype(np.int64),
        columns=upper.indices.astype(np.int32),
        counts=upper.data.astype(np.int32),
    )


def subtract(table: PairCounts, people: Iterable[tuple[set[str], set[str]]]) -> PairCounts:
    """Take uses out of a table; cells and items without anyone left vanish.

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
        return PairCounts(items=table.items, starts=table.starts, columns=table.columns, counts=counts)
    starts = table.starts - np.searchsorted(gone, table.starts)
    columns, counts = np.delete(table.columns, gone), np.delete(counts, gone)
    empty = np.flatnonzero(starts[1:] == starts[:-1])  # a row without its diagonal: no one uses the item
    if len(empty):
        columns -= np.searchsorted(empty, columns).astype(np.int32)
        starts = np.delete(starts, empty)
    vanished = set(empty.tolist())
    items = tuple(item for i, item in enumerate(table.items) if i not in vanished)
    return PairCounts(items=items, starts=starts, columns=columns, counts=counts)


def _cells(
    table: PairCounts, place: Mapping[str, int], before: set[str], still: set[str]
) -> Iterator[NDArray[np.int64]]:
    """Yield, row by row, where a table counts a person in pairs of items of which they use one no more."""
    used = np.array(sorted(place[item] for item in before), dtype=np.int64)
    kept = np.array([table.items[i] in still for i in used], dtype=bool)
    for number, i in enumerate(used):
        others = used[number:]
        if kept[number]:
            others = others[~kept[number:]]
        start, end = table.starts[i], table.starts[i + 1]
        yield start + np.searchsorted(table.columns[start:end], others)


def lay_out(tables: Mapping[str, PairCounts]) -> Model:
    """Lay tables out as arrays, one account after the other, by name."""
    accounts = sorted(tables)
    if not accounts:
        raise InvalidInputError(f"nothing to learn from: no usage event with the attribute {ITEM!r}; collect some")
    vocabulary = [[account, list(tables[account].items)] for account in accounts]
    return Model(
        family=NAME,
        settings={"format": _FORMAT},
        arrays={
            "cells": np.array([len(tables[account].counts) for account in accounts], dtype=np.int64),
            "starts": np.concatenate([tables[account].starts for account in accounts]),
            "columns": np.concatenate([tables[account].columns for account in accounts]),
            "counts": np.concatenate([tables[account].counts for account in accounts]),
        },
        texts={"vocabulary": canonical_json(vocabulary).decode()},
    )


def tables_of(model: Model) -> dict[str, PairCounts]:
    """Read the counts of each account back from a model.

    Raises:
        InvalidInputError: The model is of another family, or of an older version.
    """
    if model.family != NAME:
        raise InvalidInputError(f"expected a model of the recommend family, got one of {model.family!r}")
    if model.settings.get("format") != _FORMAT:
        raise InvalidInputError("This model was trained by an older version. Train again: `volition train recommend`.")
    vocabulary: list[Any] = json.loads(model.texts["vocabulary"])
    cells = pairwise([0, *np.cumsum(model.arrays["cells"]).tolist()])
    rows = pairwise([0, *np.cumsum([len(items) + 1 for _, items in vocabulary]).tolist()])
    return {
        account: PairCounts(
            items=tuple(items),
            starts=model.arrays["starts"][slice(*of_rows)],
            columns=model.arrays["columns"][slice(*of_cells)],
            counts=model.arrays["counts"][slice(*of_cells)],
        )
        for (account, items), of_cells, of_rows in zip(vocabulary, cells, rows, strict=True)
    }
