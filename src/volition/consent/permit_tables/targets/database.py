"""Targets that are databases: both tables in SQLite or PostgreSQL, changed in one transaction.

Only lines that are new or gone are written, so readers and indexes have little to do. Tables are made where there are
none; nothing else in the database is touched.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from volition.consent.permit_tables.expression import STATE, TABLE
from volition.consent.permit_tables.lines import KEYS, SCHEMA
from volition.consent.permit_tables.state import SCHEMA as STATE_SCHEMA
from volition.consent.permit_tables.state import State
from volition.errors import BackendError, require_extra

_KINDS: Final = {pa.string(): "TEXT", pa.int64(): "BIGINT", pa.bool_(): "BOOLEAN"}
_PATIENCE_S: Final = 10.0
_AT_A_TIME: Final = 10_000


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {_KINDS[field.type]} NOT NULL" for field in schema)


def _same(names: Sequence[str]) -> str:
    return " AND ".join(f"a.{name} = b.{name}" for name in names)


_MAKE: Final = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} ({_columns(SCHEMA)}, PRIMARY KEY ({', '.join(KEYS)}))",
    f"CREATE TABLE IF NOT EXISTS {STATE} ({_columns(STATE_SCHEMA)})",
)
_INCOMING: Final = f"CREATE TEMPORARY TABLE volition_incoming ({_columns(SCHEMA)}, PRIMARY KEY ({', '.join(KEYS)}))"
_KNOWN: Final = f"SELECT 1 FROM volition_incoming AS b WHERE {_same(SCHEMA.names)}"  # noqa: S608 - constants alone
_THERE: Final = f"SELECT 1 FROM {TABLE} AS b WHERE {_same(KEYS)}"  # noqa: S608 - constants alone
_CHANGE: Final = (
    f"DELETE FROM {TABLE} AS a WHERE NOT EXISTS ({_KNOWN})",  # noqa: S608 - constants alone
    f"INSERT INTO {TABLE} SELECT * FROM volition_incoming AS a WHERE NOT EXISTS ({_THERE})",  # noqa: S608 - likewise
    "DROP TABLE volition_incoming",
)


class SqliteTables:
    """Both tables in an SQLite file. Implements `Target`."""

    in_place = True

    def __init__(self, path: Path) -> None:
        """Open the file, which is made if it is not there. Raises BackendError where it cannot be."""
        try:
            self._connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
        except sqlite3.Error as error:
            raise BackendError(f"{path} could not be opened: {error}.") from error

    def replace(self, lines: pa.Table, state: State) -> None:
        """See `Target.replace`."""
        with self._writing() as run:
            run(_INCOMING)
            insert = f"INSERT INTO temp.volition_incoming VALUES ({', '.join('?' * len(SCHEMA))})"  # noqa: S608 - a constant
            for batch in lines.to_batches(_AT_A_TIME):
                columns = [column.to_pylist() for column in batch.columns]
                self._connection.executemany(insert, zip(*columns, strict=True))
            for statement in _CHANGE:
                run(statement)
            self._put(run, state)

    def renew(self, state: State) -> None:
        """See `Target.renew`."""
        with self._writing() as run:
            self._put(run, state)

    def close(self) -> None:
        """See `Target.close`."""
        self._connection.close()

    def _put(self, run: Callable[..., Any], state: State) -> None:
        [row] = state.to_arrow().to_pylist()
        run(f"DELETE FROM {STATE}")  # noqa: S608 - a constant
        run(f"INSERT INTO {STATE} VALUES ({', '.join('?' * len(row))})", [*row.values()])  # noqa: S608 - a constant

    @contextmanager
    def _writing(self) -> Iterator[Callable[..., Any]]:
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            try:
                for statement in _MAKE:
                    run(statement)
                yield run
                run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    run("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise BackendError(f"The table of permits could not be written: {error}. It runs out by itself.") from error


class PostgresTables:
    """Both tables in a PostgreSQL database, in the first schema of its search path. Implements `Target`."""

    in_place = True

    def __init__(self, url: str) -> None:
        """Connect, as libpq's connection URIs say; a password is better left to a password file.

        Raises:
            MissingExtraError: psycopg is not installed.
            BackendError: Nobody answers there.
        """
        require_extra("psycopg", what="A table of permits in PostgreSQL")
        import psycopg  # noqa: PLC0415 - the extra

        self._error = psycopg.Error
        self._connect: Callable[[], psycopg.Connection] = lambda: psycopg.connect(url)
        with self._reported():
            self._connection = self._connect()

    def replace(self, lines: pa.Table, state: State) -> None:
        """See `Target.replace`."""
        with self._writing() as cursor:
            cursor.execute(_INCOMING)
            with cursor.copy("COPY volition_incoming FROM STDIN") as copy:
                for batch in lines.to_batches(_AT_A_TIME):
                    columns = [column.to_pylist() for column in batch.columns]
                    for row in zip(*columns, strict=True):
                        copy.write_row(row)
            for statement in _CHANGE:
                cursor.execute(statement)
            self._put(cursor, state)

    def renew(self, state: State) -> None:
        """See `Target.renew`."""
        with self._writing() as cursor:
            self._put(cursor, state)

    def close(self) -> None:
        """See `Target.close`."""
        self._connection.close()

    def _put(self, cursor: Any, state: State) -> None:  # noqa: ANN401 - psycopg is not always there
        [row] = state.to_arrow().to_pylist()
        cursor.execute(f"DELETE FROM {STATE}")  # noqa: S608 - a constant
        cursor.execute(f"INSERT INTO {STATE} VALUES ({', '.join(['%s'] * len(row))})", [*row.values()])  # noqa: S608 - a constant

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        with self._reported():
            if self._connection.closed:
                self._connection = self._connect()
            with self._connection.transaction(), closing(self._connection.cursor()) as cursor:
                for statement in _MAKE:
                    cursor.execute(statement)
                yield cursor

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            said = str(error).strip().partition("\n")[0]
            raise BackendError(
                f"PostgreSQL did not take the table of permits: {said}. It runs out by itself."
            ) from error
