"""Whom rows are to go of, and which columns of a table say so."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from volition.consent.gate.asked import is_list, is_text, lists
from volition.errors import InvalidInputError

PEOPLE_ARE: Final = ("ids", "pseudonyms")
"""How a table may name people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """Whom rows are to go of, as tables may name them.

    Attributes:
        by_id: Every text by which a table may mean one of the people, where it names people by ids.
        by_pseudonym: The same where it names them by pseudonyms.
        accounts: Ids of accounts.
        account_names: Every text by which a table may mean one of the accounts.
        handles: Names and addresses that people go by: no row goes for one, but files are searched for them.
    """

    by_id: frozenset[str] = frozenset()
    by_pseudonym: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    account_names: frozenset[str] = frozenset()
    handles: frozenset[str] = frozenset()

    def people(self, people_are: str) -> frozenset[str]:
        """Return what a column may call the people, where it names them by one of `PEOPLE_ARE`."""
        return self.by_id if people_are == PEOPLE_ARE[0] else self.by_pseudonym


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoseColumns:
    """Which columns of a table say whom a row concerns.

    Attributes:
        people: Columns of people: a text or a whole number each, or a list of them.
        people_are: How they name people, of `PEOPLE_ARE`.
        account: The account of all rows, where no column names it.
        account_column: Column of the account.
    """

    people: tuple[str, ...]
    people_are: str = PEOPLE_ARE[0]
    account: str | None = None
    account_column: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that say so, each once."""
        more = () if self.account_column is None else (self.account_column,)
        return tuple(dict.fromkeys((*self.people, *more)))

    def names(self, whom: Whom) -> frozenset[str]:
        """Return what the columns may call those whose rows are to go."""
        return frozenset().union(*(names for _, names in self.wanted(whom)))

    def wanted(self, whom: Whom) -> "list[tuple[str, frozenset[str]]]":
        """Return each column with what it is looked through for, where that is anything."""
        asked = [(column, whom.people(self.people_are)) for column in self.people]
        if self.account_column is not None:
            asked.append((self.account_column, whom.account_names))
        return [(column, names) for column, names in asked if names]

    def is_all(self, whom: Whom) -> bool:
        """Return whether every row is to go: all are of an account that is."""
        return self.account is not None and self.account in whom.accounts

    def check(self, columns: "list[str]") -> None:
        """Check that a table has the columns. Raises InvalidInputError."""
        for name in self.columns:
            if name not in columns:
                msg = f"The table has no column {name!r}. Its columns are: {', '.join(columns)}."
                raise InvalidInputError(msg)

    def matching(self, rows: pa.RecordBatch | pa.Table, whom: Whom) -> NDArray[np.bool_]:
        """Return for each row whether it names somebody whose rows are to go.

        Args:
            rows: With the columns.
            whom: Whose rows are to go.

        Raises:
            InvalidInputError: A column is neither text nor whole numbers, nor lists of these.
        """
        if self.is_all(whom):
            return np.ones(rows.num_rows, np.bool_)
        found = np.zeros(rows.num_rows, np.bool_)
        for name, names in self.wanted(whom):
            column = rows[name]
            for start, piece in _pieces(column):
                found[start : start + len(piece)] |= _names(piece, names, name)
        return found


def _pieces(column: pa.Array | pa.ChunkedArray) -> "list[tuple[int, pa.Array]]":
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    starts = np.cumsum([0, *map(len, chunks)])
    return [(int(start), chunk) for start, chunk in zip(starts, chunks, strict=False)]


def _names(column: pa.Array, names: frozenset[str], name: str) -> NDArray[np.bool_]:
    """Return for each row of a column whether it is one of some names, or a list in which one is."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_list(kind):
        lengths, values = lists(column)
        rows = np.repeat(np.arange(len(column)), lengths)
        return np.bincount(rows, weights=_names(values, names, name), minlength=len(column)) > 0
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        msg = f"The column {name!r} must be text, whole numbers, or lists of these, not {column.type}."
        raise InvalidInputError(msg)
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    said = pc.is_in(plain.cast(pa.large_string()), pa.array(sorted(names), pa.large_string()))
    found: NDArray[np.bool_] = said.to_numpy(zero_copy_only=False).astype(np.bool_)
    return found
