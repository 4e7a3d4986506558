"""Tables in files: Parquet, Delta, Iceberg; read a batch at a time, in the order of the files."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from volition.errors import DamagedError, InvalidInputError, require_extra
from volition.records.foreign.columnar import permitted_batches
from volition.records.foreign.judged import RowJudge

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow.dataset import Dataset

_BATCH_ROWS: Final = 65_536
_READ_AHEAD: Final = 2  # batches, and files


def permitted_dataset(judge: RowJudge, dataset: "Dataset") -> pa.RecordBatchReader:
    """Return a reader of the rows of a dataset, judged when they are read."""
    judge.mapping.check(dataset.schema.names)
    batches = dataset.to_batches(
        batch_size=_BATCH_ROWS, batch_readahead=_READ_AHEAD, fragment_readahead=_READ_AHEAD, use_threads=True
    )
    return pa.RecordBatchReader.from_batches(dataset.schema, _read(permitted_batches(judge, batches)))


def permitted_path(judge: RowJudge, path: Path) -> pa.RecordBatchReader:
    """Return a reader of the rows of a Parquet file, or of a folder with Parquet files or a Delta or Iceberg table.

    Raises:
        InvalidInputError: There is nothing, or nothing of these.
        MissingExtraError: The package that reads it is not installed.
    """
    if (path / "_delta_log").is_dir():
        require_extra("deltalake", what="Reading a Delta table")
        from deltalake import DeltaTable  # noqa: PLC0415 - an extra

        return permitted_delta(judge, DeltaTable(str(path)))
    metadata = path if path.name.endswith(".metadata.json") else newest_metadata(path)
    if metadata is not None:
        require_extra("pyiceberg", what="Reading an Iceberg table")
        from pyiceberg.table import StaticTable  # noqa: PLC0415 - an extra

        return permitted_iceberg(judge, StaticTable.from_metadata(str(metadata)))
    return permitted_dataset(judge, open_dataset(path))


def open_dataset(path: Path) -> "Dataset":
    """Open a Parquet file, or a folder of them, as a dataset.

    Raises:
        InvalidInputError: There is nothing, or nothing of these.
    """
    import pyarrow.dataset as ds  # noqa: PLC0415 - not where no file is read

    if not path.exists():
        msg = f"There is no {path}. Name a Parquet file, or a folder with Parquet files, a Delta or an Iceberg table."
        raise InvalidInputError(msg)
    try:
        # Hidden files and folders, whose names begin with "." or "_", are left out; folders such as day=1 are columns.
        found = ds.dataset(path, format="parquet", partitioning="hive")
    except (pa.ArrowException, OSError) as error:
        msg = f"{path} is no Parquet file, and no folder of them: {error}."
        raise InvalidInputError(msg) from error
    if not found.files:
        msg = f"{path} holds no Parquet files, and no Delta or Iceberg table."
        raise InvalidInputError(msg)
    return found


def permitted_delta(judge: RowJudge, table: "DeltaTable") -> pa.RecordBatchReader:
    """Return a reader of the rows of a Delta table at the version that it was opened at.

    Raises:
        InvalidInputError: The table has what its own reader cannot read, such as deletion vectors.
    """
    from deltalake.exceptions import DeltaError  # noqa: PLC0415 - an extra: it is there, since the table is

    try:
        dataset = table.to_pyarrow_dataset()
    except (DeltaError, NotImplementedError) as error:
        msg = (
            f"The Delta table cannot be read by the package deltalake: {error} Read it with Spark, and gate the frame."
        )
        raise InvalidInputError(msg) from error
    return permitted_dataset(judge, dataset)


def permitted_iceberg(judge: RowJudge, table: Any) -> pa.RecordBatchReader:  # noqa: ANN401 - a table, or a scan of one
    """Return a reader of the rows of an Iceberg table's current version, or of a scan of any."""
    scan = table.scan() if hasattr(table, "scan") else table
    reader = scan.to_arrow_batch_reader()
    judge.mapping.check(reader.schema.names)
    return pa.RecordBatchReader.from_batches(reader.schema, _read(permitted_batches(judge, reader)))


def newest_metadata(folder: Path) -> Path | None:
    """Return the newest metadata of an Iceberg table in a folder: the one with the highest number in front."""
    found = list((folder / "metadata").glob("*.metadata.json")) if folder.is_dir() else []
    return max(
        found,
        key=lambda path: (int("".join(filter(str.isdecimal, path.name.partition("-")[0])) or 0), path.name),
        default=None,
    )


def _read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except (pa.ArrowException, OSError) as error:
        msg = f"A file of the table cannot be read: {error}."
        raise DamagedError(msg) from error
