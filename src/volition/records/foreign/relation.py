"""A DuckDB relation, judged by a function that DuckDB calls for each vector of rows, whenever the result is run."""

from itertools import count
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from volition.errors import InvalidInputError
from volition.records.foreign.judged import RowJudge, mask_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_NAMES: Final = count(1)


def permitted_relation(
    judge: RowJudge, relation: "DuckDBPyRelation", connection: "DuckDBPyConnection | None"
) -> "DuckDBPyRelation":
    """Return the relation's permitted rows as a relation; nothing runs yet.

    Args:
        judge: Judges, each time that the result is run.
        relation: The rows.
        connection: Whose the relation is; none for DuckDB's default connection (`duckdb.sql`).

    Raises:
        InvalidInputError: The relation is another connection's, or has not the columns.
    """
    import duckdb  # noqa: PLC0415 - an extra: it is there, since the relation is

    columns = judge.mapping.columns
    judge.mapping.check(relation.columns)
    name = f"volition_permitted_{next(_NAMES)}"
    types = dict(zip(relation.columns, relation.types, strict=True))

    def permitted(asked: pa.ChunkedArray) -> pa.Array:
        whole = asked.combine_chunks()
        passing = [judge.passing(pa.RecordBatch.from_struct_array(one)) for one in _pieces(whole)]
        return mask_of(np.concatenate(passing) if passing else np.zeros(0, np.bool_))

    (connection or duckdb.default_connection()).create_function(  # type: ignore[call-overload] # names of enumerations
        name,
        permitted,
        [duckdb.struct_type({column: types[column] for column in columns})],
        "BOOLEAN",
        type="arrow",
        null_handling="special",
        side_effects=True,  # or an answer of before a no would stand for later
    )
    try:
        packed = ", ".join(f"{_quoted(column)} := {_quoted(column)}" for column in columns)
        return relation.filter(f"{name}(struct_pack({packed}))")
    except duckdb.CatalogException as error:
        msg = "The relation is of another connection. Name it: permitted(..., connection=connection)."
        raise InvalidInputError(msg) from error


def _pieces(asked: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return asked.chunks if isinstance(asked, pa.ChunkedArray) else [asked]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
