"""A frame of Spark, or of Spark Connect, judged by Spark itself: the rows stay where they are.

Of the frame only the different party sets come here (whose, about whom, of what kind, in which conversation: no times
and no content). Each is judged, and Spark joins their permits to the rows by a key, and compares the times. Nothing but
SQL and Arrow is used, so no object of Java's: a server of Spark Connect does as well.

What Spark runs later is judged by the permits of when this was called. So the result is good for a while only: past
that, or past the instant at which time alone may change a permit, every row of it is refused (`stale`).
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from volition.consent.gate import reason_of
from volition.consent.permits import REASON_CODES, Reason
from volition.errors import InvalidInputError
from volition.records.foreign.judged import PermittedRows, RowJudge, TableCounts
from volition.records.foreign.mapping import TableMapping

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from volition.consent.gate.interned import Folded

GOOD_FOR: Final = timedelta(hours=1)
"""How long a judged frame may be run."""

MOST_BROADCAST: Final = 2_000_000
"""The most party sets whose permits are copied to every executor; more are shuffled, with the rows."""

_KEY, _AT, _MARK = "__volition_key", "__volition_at", "__volition_"
_TEXTS: Final = frozenset({"string", "char", "varchar"})
_WHOLE: Final = frozenset({"byte", "short", "integer", "long"})
_UNKNOWN, _STALE = REASON_CODES[Reason.UNKNOWN_PARTY], REASON_CODES[Reason.STALE]


def permitted_frame(
    judge: RowJudge, frame: "DataFrame", *, good_for: timedelta = GOOD_FOR
) -> "PermittedRows[DataFrame]":
    """Return the frame's permitted rows as a frame; Spark has run once then, to tell the party sets apart.

    Raises:
        InvalidInputError: The frame has not the columns, or they are of another type.
    """
    mapping = judge.mapping
    mapping.check(frame.columns)
    if any(name.startswith(_MARK) for name in frame.columns):
        msg = f"The frame has a column that begins with {_MARK!r}, as ours do for a while. Rename it."
        raise InvalidInputError(msg)
    named = _named(mapping, frame)
    key = ", ".join(f"'{name}', {expression}" for name, expression in named.items())
    keyed = frame.selectExpr("*", f"to_json(named_struct({key})) AS {_KEY}", f"{_micros(mapping, frame)} AS {_AT}")
    sets = frame.selectExpr(
        f"to_json(named_struct({key})) AS {_KEY}", *(f"{value} AS `{name}`" for name, value in named.items())
    ).distinct()
    permits, at_us, good_until_us = _judged(judge, sets.toArrow())
    until_us = min(at_us + good_for // timedelta(microseconds=1), good_until_us)
    joined = frame.sparkSession.createDataFrame(permits)
    if permits.num_rows <= MOST_BROADCAST:
        joined = joined.hint("broadcast")
    coded = keyed.join(joined, _KEY, "left").selectExpr("*", f"{_code(at_us, until_us)} AS {_MARK}code")
    rows = coded.filter(f"{_MARK}code = 0").select(*(f"`{name.replace('`', '``')}`" for name in frame.columns))

    def count() -> TableCounts:
        found = coded.groupBy(f"{_MARK}code").count().collect()
        return TableCounts.of({reason_of(row[0]): row[1] for row in found})

    return PermittedRows(rows=rows, count=count)


def _named(mapping: TableMapping, frame: "DataFrame") -> dict[str, str]:
    """Return SQL for whatever names somebody or something in a row, by what it is."""
    columns = {
        "account": mapping.account_column,
        "category": mapping.category_column,
        "conversation": mapping.conversation_column,
    }
    named = {what: _text(frame, column) for what, column in columns.items() if column is not None}
    kind = frame.schema[mapping.people].dataType
    if kind.typeName() != "array":
        return {"people": f"array({_text(frame, mapping.people)})", **named}
    element = kind.elementType.typeName()
    if element not in _TEXTS | _WHOLE:
        msg = f"The column {mapping.people!r} must be text, or an array of text, not {kind.simpleString()}."
        raise InvalidInputError(msg)
    return {"people": f"CAST({_quoted(mapping.people)} AS ARRAY<STRING>)", **named}


def _text(frame: "DataFrame", column: str) -> str:
    kind = frame.schema[column].dataType
    if kind.typeName() not in _TEXTS | _WHOLE:
        msg = f"The column {column!r} must be text, not {kind.simpleString()}."
        raise InvalidInputError(msg)
    return f"CAST({_quoted(column)} AS STRING)"


def _micros(mapping: TableMapping, frame: "DataFrame") -> str:
    """Return SQL for when a row was collected, in microseconds since the Unix epoch."""
    kind, time = frame.schema[mapping.time].dataType.typeName(), _quoted(mapping.time)
    if kind == "timestamp":  # an instant: Spark has no time zone in its type
        return f"unix_micros({time})"
    if kind != "timestamp_ntz":
        msg = f"The column {mapping.time!r} must be a timestamp, not {kind}. Convert it where the frame is made."
        raise InvalidInputError(msg)
    if mapping.zone is None:
        msg = (
            f"The times in {mapping.time!r} have no time zone, so when they were is unknown. Name in the mapping the "
            'zone of the clock they were read off, such as zone="UTC" or zone="Europe/Berlin".'
        )
        raise InvalidInputError(msg)
    return f"unix_micros(CAST(concat(CAST({time} AS STRING), ' {mapping.zone}') AS TIMESTAMP))"


def _judged(judge: RowJudge, sets: pa.Table) -> tuple[pa.Table, int, int]:
    """Return each party set's permits, by its key; the instant at which that was judged; and until when it is good."""
    mapping = judge.mapping
    of_sets = TableMapping(
        people="people",
        time="time",
        account=mapping.account,
        account_column=None if mapping.account_column is None else "account",
        category=mapping.category,
        category_column=None if mapping.category_column is None else "category",
        conversation_column=None if mapping.conversation_column is None else "conversation",
        people_are=mapping.people_are,
    )
    whole = sets.append_column("time", pa.nulls(sets.num_rows, pa.timestamp("us", tz="UTC"))).combine_chunks()
    found: list[Folded] = []
    at_us = good_until_us = 0
    for batch in whole.to_batches():
        folded, at_us, good_until_us = judge.judge.fold(of_sets.asked(batch))
        found.append(folded)
    names = {"since_us": np.int64, "oldest_us": np.int64, "reason": np.int8, "is_unnamed": np.bool_}
    columns = {
        f"{_MARK}{name}": np.concatenate([np.empty(0, kind), *(getattr(one, name) for one in found)])
        for name, kind in names.items()
    }
    return pa.table({_KEY: sets[_KEY], **columns}), at_us, good_until_us


def _code(at_us: int, until_us: int) -> str:
    """Return SQL for a row's reason code: `Folded.codes`, and that all is stale past an instant."""
    return f"""CASE
        WHEN unix_micros(current_timestamp()) >= {until_us} THEN {_STALE}
        WHEN {_MARK}reason IS NULL THEN {_UNKNOWN}
        WHEN {_MARK}is_unnamed THEN {_MARK}reason
        WHEN {_AT} IS NULL THEN {_UNKNOWN}
        WHEN {_AT} > {at_us} THEN {_STALE}
        WHEN {_MARK}reason <> 0 THEN {_MARK}reason
        WHEN {_AT} < {_MARK}since_us THEN {REASON_CODES[Reason.BEFORE_YES]}
        WHEN {_AT} < {_MARK}oldest_us THEN {REASON_CODES[Reason.TOO_OLD]}
        ELSE 0 END"""


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
