"""Tables and frames in memory, and streams of them: Arrow, pandas, polars.

Of a frame only the columns that decide become Arrow; the rows are chosen in the frame itself, whose types, index and
order stay as they are.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.records.foreign.judged import RowJudge, chosen

if TYPE_CHECKING:
    from pandas import DataFrame as PandasFrame
    from polars import DataFrame as PolarsFrame
    from polars import LazyFrame

_AT_ONCE: Final = 1 << 20  # rows of a table judged together: their numbers take some 100 MB


def permitted_table(judge: RowJudge, table: pa.Table) -> pa.Table:
    """Return the rows of a table that may be used now."""
    return chosen(table, _passing(judge, table))


def permitted_batch(judge: RowJudge, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows of a batch that may be used now."""
    return judge.permitted(batch)


def permitted_batches(judge: RowJudge, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of each batch that may be used when it is read; nothing that is empty."""
    for batch in batches:
        found = judge.permitted(batch)
        if found.num_rows:
            yield found


def permitted_reader(judge: RowJudge, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return a reader of the rows of another one, judged when they are read."""
    judge.mapping.check(reader.schema.names)
    return pa.RecordBatchReader.from_batches(reader.schema, permitted_batches(judge, reader))


def permitted_pandas(judge: RowJudge, frame: "PandasFrame") -> "PandasFrame":
    """Return the rows of a pandas frame that may be used now, with their index."""
    judge.mapping.check(list(frame.columns))
    try:
        asked = pa.Table.from_pandas(frame[list(judge.mapping.columns)], preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        msg = f"A column of the frame holds values of several kinds: {error}."
        raise InvalidInputError(msg) from error
    return frame.loc[_passing(judge, asked)]


def permitted_polars(judge: RowJudge, frame: "PolarsFrame") -> "PolarsFrame":
    """Return the rows of a polars frame that may be used now."""
    import polars as pl  # noqa: PLC0415 - an extra: it is there, since the frame is

    judge.mapping.check(frame.columns)
    return frame.filter(pl.Series(_passing(judge, frame.select(judge.mapping.columns).to_arrow())))


def permitted_lazy(judge: RowJudge, frame: "LazyFrame") -> "LazyFrame":
    """Return a lazy frame of the rows of another one, judged when it is collected or written.

    What is asked of the result is not moved in front of the judging, or rows would be counted that nobody read, and
    columns be missing that decide.
    """
    judge.mapping.check(frame.collect_schema().names())
    return frame.map_batches(
        lambda batch: permitted_polars(judge, batch),
        predicate_pushdown=False,
        projection_pushdown=False,
        slice_pushdown=False,
        streamable=True,
    )


def _passing(judge: RowJudge, table: pa.Table) -> NDArray[np.bool_]:
    judge.mapping.check(table.column_names)
    asked = table.select(list(judge.mapping.columns))
    found = [
        judge.passing(batch)
        for start in range(0, table.num_rows, _AT_ONCE)
        for batch in asked.slice(start, _AT_ONCE).combine_chunks().to_batches()
    ]
    return np.concatenate(found) if found else np.zeros(0, np.bool_)
