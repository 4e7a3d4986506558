"""Which columns of a table say whose each row is, whom it concerns, of what kind it is, and when it was collected."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volition.consent.gate.asked import Asked, Texts, instants, is_list, is_text, lists
from volition.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMapping:
    """What the gate must know of a table's columns.

    Attributes:
        people: Column of the people: a text each, or a list of texts, the speaker or actor first.
        time: Column of when each row was collected: a timestamp, of any unit.
        account: The account of all rows, where no column names it.
        account_column: Column of the account.
        category: The category of all rows, one that terms declare or that is built in, where no column names it.
        category_column: Column of the category.
        conversation_column: Column of what each row's meeting, channel or file is called, empty where it is of none.
            Without it, what could be of a conversation that was left out is refused.
        record_column: Column of what identifies a row, each another one; none where its place in its file does. Only
            snapshots use it.
        zone: Where the times of a column without a time zone were read off a clock, such as "UTC", "Europe/Berlin".
            Of an hour that came twice the first is meant.
        people_are: Whether people are named by registered ids, or by pseudonyms. A name with "person:" or
            "pseudonym:" in front says so itself.
    """

    people: str
    time: str
    account: str | None = None
    account_column: str | None = None
    category: str | None = None
    category_column: str | None = None
    conversation_column: str | None = None
    record_column: str | None = None
    zone: str | None = None
    people_are: Literal["ids", "pseudonyms"] = "ids"

    def __post_init__(self) -> None:
        """Check it. Raises InvalidInputError."""
        for what in ("account", "category"):
            named, column = getattr(self, what), getattr(self, f"{what}_column")
            if (named is None) == (column is None):
                msg = f"Name the {what} of all rows, or the column that says it: one of the two."
                raise InvalidInputError(msg)
        if self.people_are not in {"ids", "pseudonyms"}:
            msg = f"People are named by ids or by pseudonyms, not by {self.people_are!r}."
            raise InvalidInputError(msg)
        if self.zone is not None:
            _zoned(pa.array([0], pa.timestamp("us")), self.zone)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that decide, each once."""
        named = (self.account_column, self.people, self.category_column, self.time, self.conversation_column)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def listed_columns(self) -> tuple[str, ...]:
        """The columns that decide, and the one that identifies a row, each once."""
        return tuple(dict.fromkeys((*self.columns, *([] if self.record_column is None else [self.record_column]))))

    def record_keys(self, batch: pa.RecordBatch) -> pa.Array | None:
        """Return what identifies each row as text, null where nothing does; none where no column says it.

        Raises:
            InvalidInputError: The column is missing, or holds neither texts nor whole numbers.
        """
        if self.record_column is None:
            return None
        _check_once((self.record_column,), batch.schema.names)
        column = _as_text(_sound(batch[self.record_column], self.record_column), self.record_column)
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        return column.cast(pa.large_string())

    def to_json(self) -> dict[str, str]:
        """Return it as a JSON object; `TableMapping(**mapping.to_json()) == mapping`."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in found.items() if value is not None}

    def check(self, columns: Sequence[str]) -> None:
        """Check that a table has the columns, each once. Raises InvalidInputError."""
        _check_once(self.columns, columns)

    def asked(self, batch: pa.RecordBatch) -> Asked:
        """Return what a batch with at least the columns asks, row by row.

        Raises:
            InvalidInputError: A column is missing, of another type, or not sound; or a time has no zone.
        """
        self.check(batch.schema.names)
        found = {name: _sound(batch[name], name) for name in self.columns}
        rows = batch.num_rows
        lengths, people = _people(found[self.people], self.people)
        texts = Texts.of(_as_text(people, self.people), self.people)
        if self.people_are == "pseudonyms":
            texts = Texts(texts.number, [_as_pseudonym(one) for one in texts.values])
        return Asked(
            account=_said(found, self.account_column, self.account, rows),
            category=_said(found, self.category_column, self.category, rows),
            people=texts,
            lengths=lengths,
            collected_us=instants(self._timed(found[self.time])),
            conversation=_said(found, self.conversation_column, None, rows),
        )

    def _timed(self, column: pa.Array) -> pa.Array:
        kind = column.type
        if pa.types.is_null(kind):
            return column
        if not pa.types.is_timestamp(kind):
            msg = f"The column {self.time!r} must be a timestamp, not {kind}. Convert it where the table is made."
            raise InvalidInputError(msg)
        if kind.tz is not None:
            return column
        if self.zone is None:
            msg = (
                f"The times in {self.time!r} have no time zone, so when they were is unknown. Name in the mapping the "
                'zone of the clock they were read off, such as zone="UTC" or zone="Europe/Berlin".'
            )
            raise InvalidInputError(msg)
        return _zoned(column, self.zone)


def _check_once(wanted: Sequence[str], columns: Sequence[str]) -> None:
    for name in wanted:
        if list(columns).count(name) != 1:
            how_many = "no" if name not in columns else "more than one"
            msg = f"The table has {how_many} column {name!r}. Its columns are: {', '.join(map(str, columns))}."
            raise InvalidInputError(msg)


def _said(found: dict[str, pa.Array], column: str | None, value: str | None, rows: int) -> Texts:
    if column is None:
        return Texts.always(value, rows)
    return Texts.of(_as_text(found[column], column), column)


def _people(column: pa.Array, name: str) -> "tuple[np.ndarray[tuple[int], np.dtype[np.int64]], pa.Array]":
    """Return how many each row names, and all of them; a text that is null names somebody whom nobody knows."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if is_list(kind) or pa.types.is_null(kind):
        return lists(column)
    if is_text(kind) or pa.types.is_integer(kind):
        return np.ones(len(column), np.int64), column
    msg = f"The column {name!r} must be text, or lists of text, not {column.type}."
    raise InvalidInputError(msg)


def _as_text(column: pa.Array, name: str) -> pa.Array:
    """Return a column of text; whole numbers are written out."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_integer(kind):
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        return column.cast(pa.string())
    if not (is_text(kind) or pa.types.is_null(kind)):
        msg = f"The column {name!r} must be text, or lists of text, not {column.type}."
        raise InvalidInputError(msg)
    return column


def _as_pseudonym(name: str | None) -> str | None:
    if name is None or name.startswith(("person:", "pseudonym:")):
        return name
    return f"pseudonym:{name}"


def _sound(column: pa.Array, name: str) -> pa.Array:
    try:
        column.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        msg = f"The column {name!r} is no sound Arrow: {error}. Check what wrote it."
        raise InvalidInputError(msg) from error
    return column


def _zoned(column: pa.Array, zone: str) -> pa.Array:
    try:
        return pc.assume_timezone(column, zone, ambiguous="earliest", nonexistent="earliest")
    except (pa.ArrowException, ValueError) as error:
        msg = f"The times cannot be read in the zone {zone!r}: {error}."
        raise InvalidInputError(msg) from error
