"""Which form a table has, and what may be used of it, in the same form."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from volition.errors import InvalidInputError
from volition.records.foreign.columnar import (
    permitted_batch,
    permitted_lazy,
    permitted_pandas,
    permitted_polars,
    permitted_reader,
    permitted_table,
)
from volition.records.foreign.files import (
    permitted_dataset,
    permitted_delta,
    permitted_iceberg,
    permitted_path,
)
from volition.records.foreign.frame import GOOD_FOR, permitted_frame
from volition.records.foreign.judged import PermittedRows, RowJudge, TableJudge
from volition.records.foreign.mapping import TableMapping
from volition.records.foreign.relation import permitted_relation


def permitted(
    table: Any,  # noqa: ANN401 - of many packages, none of which may be installed
    mapping: TableMapping,
    judge: TableJudge,
    *,
    connection: Any = None,  # noqa: ANN401
    good_for: timedelta = GOOD_FOR,
) -> PermittedRows[Any]:
    """Return the rows of a table that may be used, in the table's own form and order; see the package.

    Args:
        table: The table, of any form that the package lists.
        mapping: Which columns decide.
        judge: Judges for a purpose.
        connection: Whose a DuckDB relation is; by default DuckDB's default connection.
        good_for: How long a judged Spark frame may be run.

    Raises:
        InvalidInputError: The table is of no form that is known, or has not the columns.
        MissingExtraError: What reads it is not installed.
    """
    rows = RowJudge(mapping=mapping, judge=judge)
    if _is(table, "pyspark.sql", "DataFrame"):
        return permitted_frame(rows, table, good_for=good_for)
    return PermittedRows(rows=_rows(rows, table, connection), count=rows.counts)


def _rows(rows: RowJudge, table: Any, connection: Any) -> Any:  # noqa: ANN401
    if isinstance(table, str | Path):
        return permitted_path(rows, Path(table))
    if _is(table, "duckdb", "DuckDBPyRelation"):
        return permitted_relation(rows, table, connection)
    for package, name, of_form in _FORMS:
        if _is(table, package, name):
            return of_form(rows, table)
    msg = (
        f"A table of {type(table).__module__}.{type(table).__qualname__} cannot be judged. Give an Arrow table, reader "
        "or dataset, a pandas or polars frame, a DuckDB relation, a Delta or Iceberg table, a Spark frame, or the path "
        "of a Parquet file or folder."
    )
    raise InvalidInputError(msg)


_FORMS: Final[tuple[tuple[str, str, Callable[[RowJudge, Any], Any]], ...]] = (
    ("pyarrow", "Table", permitted_table),
    ("pyarrow", "RecordBatch", permitted_batch),
    ("pyarrow", "RecordBatchReader", permitted_reader),
    ("pyarrow", "Dataset", permitted_dataset),
    ("pandas", "DataFrame", permitted_pandas),
    ("polars", "DataFrame", permitted_polars),
    ("polars", "LazyFrame", permitted_lazy),
    ("deltalake", "DeltaTable", permitted_delta),
    ("pyiceberg", "Table", permitted_iceberg),
    ("pyiceberg", "TableScan", permitted_iceberg),
)


def _is(table: Any, package: str, name: str) -> bool:  # noqa: ANN401
    """Say whether something is of a class in a package, or of one made from it; the package is not loaded to say so."""
    return any(
        kind.__name__ == name and f"{kind.__module__.lstrip('_')}.".startswith(f"{package}.")
        for kind in type(table).__mro__
    )
