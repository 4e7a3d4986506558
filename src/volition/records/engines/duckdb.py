"""The gate's SQL on DuckDB: embedded, streaming, no server."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from volition.consent.gate import EffectivePermits, permitted_sql, reason_of, reasons_sql
from volition.consent.permits import Reason
from volition.errors import DamagedError, require_extra

if TYPE_CHECKING:
    import duckdb

_BATCH_ROWS = 65_536


class DuckDBEngine:
    """Runs `gate.permitted_sql` and `gate.reasons_sql` over Parquet files. Implements `gate.Engine`."""

    def __init__(self) -> None:
        """Check that DuckDB is there. Raises `MissingExtraError` where it is not."""
        require_extra("duckdb", what="The engine duckdb")

    def permitted(
        self,
        files: Sequence[str],
        effective_permits: EffectivePermits,
        *,
        derived: Sequence[str] = (),
        source: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the permitted records of one bucket as Arrow record batches, in no particular order.

        Args:
            files: Parquet files of records, with at least `record_id`, `circle` (the party set) and `collected_us`.
            effective_permits: The party sets' effective permits for the files' category.
            derived: Parquet files with `record_id` and `embedding`; given any, each record gets an `embedding` or null.
            source: Only the records of this meeting or channel.

        Raises:
            BackendError: DuckDB cannot read a file.
        """
        if not files:
            return
        sql = permitted_sql(effective_permits.at_us, source=source, excluded=bool(effective_permits.excluded))
        if derived:
            sql = f"""
                SELECT permitted.*, derived.embedding
                FROM ({sql}) AS permitted LEFT JOIN derived ON permitted.record_id = derived.record_id
            """  # noqa: S608 - our own text around our own text
        with _bound(files, effective_permits, derived) as connection:
            yield from connection.sql(sql).to_arrow_reader(_BATCH_ROWS)

    def reasons(
        self, files: Sequence[str], effective_permits: EffectivePermits, *, source: str | None = None
    ) -> dict[Reason | None, int]:
        """Count the records of one bucket by reason; none stands for permitted.

        Raises:
            BackendError: DuckDB cannot read a file.
        """
        if not files:
            return {}
        with _bound(files, effective_permits, ()) as connection:
            sql = reasons_sql(effective_permits.at_us, source=source, excluded=bool(effective_permits.excluded))
            found = connection.sql(sql).fetchall()
        return {reason_of(code): total for code, total in found}


@contextmanager
def _bound(
    files: Sequence[str], effective_permits: EffectivePermits, derived: Sequence[str]
) -> "Iterator[duckdb.DuckDBPyConnection]":
    """Open a connection in which the gate's names are bound to the files and the table; report what cannot be read."""
    table = pa.table(
        {
            "circle": pa.array(np.arange(len(effective_permits.since_us), dtype=np.int32)),
            "since_us": pa.array(effective_permits.since_us, pa.int64()),
            "oldest_us": pa.array(effective_permits.oldest_us, pa.int64()),
            "reason": pa.array(effective_permits.reason, pa.int8()),
        }
    )
    excluded = pa.table(
        {
            "circle": pa.array([party_set for _, party_set in effective_permits.excluded], pa.int32()),
            "source": pa.array([source for source, _ in effective_permits.excluded], pa.string()),
        }
    )
    import duckdb  # noqa: PLC0415 - an extra: only where it is chosen

    with duckdb.connect() as connection:
        try:
            # DuckDB takes a process without a main file for an interactive one, and draws a bar into our output.
            connection.execute("SET enable_progress_bar = false")
            connection.register("effective_permits", table)
            connection.register("excluded", excluded)
            connection.read_parquet(list(files)).create_view("records")
            if derived:
                connection.read_parquet(list(derived)).create_view("derived")
            yield connection
        except duckdb.Error as error:
            msg = f"DuckDB could not read the lake's files ({files[0]} and {len(files) - 1} more): {error}"
            raise DamagedError(msg) from error
