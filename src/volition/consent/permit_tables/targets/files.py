"""Targets that are files: a folder of Parquet files, and one DuckDB file.

A file is written aside and renamed, so it appears whole. It may be read by whoever may read its folder.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from volition.consent.permit_tables.expression import STATE, TABLE
from volition.consent.permit_tables.state import State
from volition.errors import BackendError, InvalidInputError, require_extra
from volition.files import PART, flush

if TYPE_CHECKING:
    import duckdb

_READABLE = 0o444
_KEPT_S = 30.0


class ParquetFolder:
    """A folder with `volition_permits/GENERATION.parquet` and `volition_permits_state/state.parquet`.

    Who reads a Parquet file opens it more than once, so none is ever replaced by another of the same name: each
    generation has a file of its own, which goes once nobody can need it. All states are laid out alike to the byte, so
    the newer may take the older's place while that is read. Implements `Target`.
    """

    in_place = False

    def __init__(self, folder: Path) -> None:
        """Keep the tables in a folder, which is made if it is not there."""
        self._folder = folder

    def replace(self, lines: pa.Table, state: State) -> None:
        """See `Target.replace`."""
        with _replaced(self._folder / TABLE / f"{state.generation}.parquet") as aside:
            pq.write_table(lines, aside, compression="zstd")
        self.renew(state)

    def renew(self, state: State) -> None:
        """See `Target.renew`; what is older than anybody reads is removed."""
        with _replaced(self._folder / STATE / "state.parquet") as aside:
            pq.write_table(state.to_arrow(), aside, compression="none", use_dictionary=False, write_statistics=False)
        oldest_s = time.time() - _KEPT_S
        for path in (self._folder / TABLE).glob("*.parquet*"):  # what a killed writer left aside goes as well
            with suppress(OSError):
                if path.name != f"{state.generation}.parquet" and path.stat().st_mtime < oldest_s:
                    path.unlink()

    def close(self) -> None:
        """See `Target.close`."""


class DuckDBFile:
    """One DuckDB file with both tables, which is replaced whole: DuckDB lets nobody read one that is written to.

    Implements `Target`.
    """

    in_place = False

    def __init__(self, path: Path) -> None:
        """Keep the tables in a file.

        Raises:
            InvalidInputError: There is a file already that holds something else: it would be lost.
            MissingExtraError: DuckDB is not installed.
        """
        require_extra("duckdb", what="A table of permits in DuckDB")
        self._path = path
        if path.exists() and not _is_ours(path):
            raise InvalidInputError(f"{path} holds something else, which would be lost. Name another file.")

    def replace(self, lines: pa.Table, state: State) -> None:
        """See `Target.replace`."""

        def fill(connection: "duckdb.DuckDBPyConnection") -> None:
            connection.register("lines", lines)
            connection.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM lines")  # noqa: S608 - a constant
            connection.register("state", state.to_arrow())
            connection.execute(f"CREATE TABLE {STATE} AS SELECT * FROM state")  # noqa: S608 - a constant

        self._rewrite(fill)

    def renew(self, state: State) -> None:
        """See `Target.renew`."""

        def fill(connection: "duckdb.DuckDBPyConnection") -> None:
            connection.register("state", state.to_arrow())
            connection.execute(f"CREATE OR REPLACE TABLE {STATE} AS SELECT * FROM state")  # noqa: S608 - a constant

        self._rewrite(fill, copied=True)

    def close(self) -> None:
        """See `Target.close`."""

    def _rewrite(self, fill: "Callable[[duckdb.DuckDBPyConnection], None]", *, copied: bool = False) -> None:
        import duckdb  # noqa: PLC0415 - the extra

        with _replaced(self._path) as aside:
            if copied:
                shutil.copyfile(self._path, aside)
            try:
                with duckdb.connect(aside) as connection:
                    fill(connection)
            except duckdb.Error as error:
                raise BackendError(f"{self._path} could not be written: {error}") from error


def _is_ours(path: Path) -> bool:
    import duckdb  # noqa: PLC0415 - the extra

    try:
        with duckdb.connect(path, read_only=True) as connection:
            found = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    except duckdb.Error:
        return False
    return {name for (name,) in found} <= {TABLE, STATE}


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Give the block a place aside, and put what it wrote there in a file's place, whole."""
    aside = path.with_name(f".{path.name}{PART}")  # hidden: who reads a folder of Parquet files passes such names over
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.unlink(missing_ok=True)  # one that was killed left it
        yield aside
        aside.chmod(aside.stat().st_mode | path.parent.stat().st_mode & _READABLE)
        flush(aside)
        aside.replace(path)
    except OSError as error:
        raise BackendError(f"{path} could not be written: {error}. Mend that: its state runs out by itself.") from error
    finally:
        aside.unlink(missing_ok=True)
