"""A table at one version: its data files in the order of their names, each with its rows and its digest.

| form | version | a file's rows are |
|---|---|---|
| `delta` | the number of the version | those of the file, with the columns that the table is partitioned by |
| `iceberg` | the id of the snapshot | those of the file at that version, less those that are deleted in it |
| `parquet` | none: it is what the files hold | those of the file, with what folders such as `day=1` say |

A version that is not kept any more cannot be opened, and a file that is gone or was changed is told: what is missing is
never taken for empty.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa

from volition.errors import DamagedError, InvalidInputError, ProofError, require_extra
from volition.records.foreign.files import newest_metadata, open_dataset

DELTA: Final = "delta"
ICEBERG: Final = "iceberg"
PARQUET: Final = "parquet"

_BATCH_ROWS: Final = 1 << 17
_PIECE_BYTES: Final = 1 << 20
_UNREADABLE: Final = (pa.ArrowException, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A data file of a table at a version.

    Attributes:
        name: Its path below the table, or as the table names it where it lies elsewhere.
        read: Yields its rows in their order, given the columns that are wanted, or None for all.
        parts: Opens the bytes of everything that its rows hang on: itself first, then files that delete rows of it.
    """

    name: str
    read: Callable[[Sequence[str] | None], Iterable[pa.RecordBatch]]
    parts: Sequence[Callable[[], BinaryIO]]

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield its rows in their order.

        Raises:
            DamagedError: It is gone, or cannot be read.
        """
        try:
            yield from self.read(columns)
        except _UNREADABLE as error:
            raise DamagedError(_gone(self.name, error)) from error

    def digests(self) -> list[str]:
        """Return the SHA-256, hexadecimal, of everything that its rows hang on, in the order of `parts`.

        Raises:
            DamagedError: One is gone, or cannot be read.
        """
        return [self._digest(part) for part in self.parts]

    def check(self, digests: Sequence[str]) -> None:
        """Check that it is the file that it was.

        Raises:
            DamagedError: It is gone, or cannot be read.
            ProofError: It was changed.
        """
        if self.digests() != [*digests]:
            msg = f"The table's file {self.name} was changed after its rows were listed. Restore it, or list them anew."
            raise ProofError(msg)

    def _digest(self, part: Callable[[], BinaryIO]) -> str:
        found = sha256()
        try:
            with part() as stream:
                while piece := stream.read(_PIECE_BYTES):
                    found.update(piece)
        except _UNREADABLE as error:
            raise DamagedError(_gone(self.name, error)) from error
        return found.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableVersion:
    """A table at a version.

    Attributes:
        form: `DELTA`, `ICEBERG` or `PARQUET`.
        uri: Where it is opened again: its folder or file; of an Iceberg table, the file of its metadata.
        version: Of a Delta table its number, of an Iceberg table the id of its snapshot, as text; empty of Parquet.
        columns: The names of its columns.
        files: Its data files, by name.
    """

    form: str
    uri: str
    version: str
    columns: tuple[str, ...]
    files: tuple[DataFile, ...]


def open_version(table: Any, version: str | int | None = None) -> TableVersion:  # noqa: ANN401 - of packages that may be missing
    """Open a table at a version.

    Args:
        table: A Delta table, an Iceberg table, or the path of a Parquet file, or of a folder with Parquet files, a
            Delta or an Iceberg table.
        version: The number of a Delta version, or the id of an Iceberg snapshot; by default the one that a table was
            opened at, or the newest.

    Raises:
        InvalidInputError: It is of none of these forms, has no such version any more, or cannot be read by versions.
        MissingExtraError: The package that reads it is not installed.
    """
    if isinstance(table, str | Path):
        path = Path(table)
        metadata = path if path.name.endswith(".metadata.json") else newest_metadata(path)
        if (path / "_delta_log").is_dir() or "://" in str(table):
            return reopen_version(DELTA, str(table if "://" in str(table) else path.absolute()), version)
        if metadata is not None:
            return reopen_version(ICEBERG, str(metadata.absolute()), version)
        return reopen_version(PARQUET, str(path.absolute()), version)
    if hasattr(table, "to_pyarrow_dataset") and hasattr(table, "table_uri"):
        return _delta(table, version)
    if hasattr(table, "metadata_location") and hasattr(table, "snapshot_by_id"):
        return _iceberg(table, version)
    msg = (
        f"Rows of a {type(table).__module__}.{type(table).__qualname__} cannot be listed, since it has no files that "
        "stay. Give a Delta or Iceberg table, or the path of a Parquet file or folder."
    )
    raise InvalidInputError(msg)


def reopen_version(form: str, uri: str, version: str | int | None) -> TableVersion:
    """Open a table at a version, as a manifest names both. Raises as `open_version`."""
    if form == DELTA:
        require_extra("deltalake", what="Reading a Delta table")
        from deltalake import DeltaTable  # noqa: PLC0415 - an extra
        from deltalake.exceptions import DeltaError  # noqa: PLC0415

        try:
            return _delta(DeltaTable(uri), version)
        except DeltaError as error:
            raise InvalidInputError(_no_version(uri, version, error)) from error
    if form == ICEBERG:
        require_extra("pyiceberg", what="Reading an Iceberg table")
        from pyiceberg.table import StaticTable  # noqa: PLC0415 - an extra

        try:
            return _iceberg(StaticTable.from_metadata(uri), version)
        except OSError as error:
            raise InvalidInputError(_no_version(uri, version, error)) from error
    if form != PARQUET:
        raise InvalidInputError(f"There is no form of table {form!r}: it is {DELTA}, {ICEBERG} or {PARQUET}.")
    if version not in {None, ""}:
        raise InvalidInputError(f"{uri} holds Parquet files, which have no versions. Leave the version out.")
    dataset = open_dataset(Path(uri))
    root = Path(uri)
    return _of_dataset(dataset, PARQUET, uri, "", root if root.is_dir() else root.parent)


def _delta(table: Any, version: str | int | None) -> TableVersion:  # noqa: ANN401 - a DeltaTable
    from deltalake import DeltaTable  # noqa: PLC0415 - an extra: it is there, since the table is
    from deltalake.exceptions import DeltaError  # noqa: PLC0415

    wanted = table.version() if version is None else _number(version)
    try:
        # Opened anew, so that a table of the caller's stays at the version at which it is.
        at = DeltaTable(table.table_uri, version=wanted)
        dataset = at.to_pyarrow_dataset()
    except (DeltaError, NotImplementedError, OSError) as error:
        raise InvalidInputError(_no_version(table.table_uri, wanted, error)) from error
    return _of_dataset(dataset, DELTA, _local(at.table_uri), str(wanted), None)


def _of_dataset(dataset: Any, form: str, uri: str, version: str, root: Path | None) -> TableVersion:  # noqa: ANN401 - Arrow has no types
    def file_of(fragment: Any) -> DataFile:  # noqa: ANN401
        path = Path(fragment.path)
        return DataFile(
            name=path.relative_to(root).as_posix() if root is not None else fragment.path,
            read=partial(_fragment_batches, dataset.schema, fragment),
            parts=(partial(dataset.filesystem.open_input_stream, fragment.path),),
        )

    files = sorted(map(file_of, dataset.get_fragments()), key=lambda one: one.name)
    return TableVersion(form=form, uri=uri, version=version, columns=tuple(dataset.schema.names), files=tuple(files))


def _fragment_batches(schema: pa.Schema, fragment: Any, columns: Sequence[str] | None) -> Iterable[pa.RecordBatch]:  # noqa: ANN401
    found: Iterable[pa.RecordBatch] = fragment.to_batches(
        schema=schema,
        columns=None if columns is None else [*columns],
        batch_size=_BATCH_ROWS,
        batch_readahead=1,
        fragment_readahead=1,
    )
    return found


def _iceberg(table: Any, version: str | int | None) -> TableVersion:  # noqa: ANN401 - an Iceberg table
    """Return a version of an Iceberg table; files that delete rows are heeded as its own reader does."""
    current = table.current_snapshot()
    wanted = _number(version) if version is not None else None if current is None else current.snapshot_id
    if wanted is None:  # nothing was ever written
        names = tuple(field.name for field in table.schema().fields)
        return TableVersion(form=ICEBERG, uri=table.metadata_location, version="", columns=names, files=())
    if table.snapshot_by_id(wanted) is None:
        raise InvalidInputError(_no_version(table.metadata_location, wanted, "it was expired, or never was"))
    scan = table.scan(snapshot_id=wanted)
    location = table.location().rstrip("/") + "/"
    try:
        tasks = list(scan.plan_files())
    except _UNREADABLE as error:
        raise InvalidInputError(_no_version(table.metadata_location, wanted, error)) from error
    files = [
        DataFile(
            name=task.file.file_path.removeprefix(location),
            read=partial(_task_batches, table, wanted, task),
            parts=tuple(
                partial(_open_input, table.io, path)
                for path in (task.file.file_path, *sorted(one.file_path for one in task.delete_files))
            ),
        )
        for task in tasks
    ]
    return TableVersion(
        form=ICEBERG,
        uri=_local(table.metadata_location),
        version=str(wanted),
        columns=tuple(field.name for field in scan.projection().fields),
        files=tuple(sorted(files, key=lambda one: one.name)),
    )


def _task_batches(table: Any, version: int, task: Any, columns: Sequence[str] | None) -> Iterable[pa.RecordBatch]:  # noqa: ANN401 - Iceberg's
    from pyiceberg.expressions import AlwaysTrue  # noqa: PLC0415 - an extra: it is there, since the table is
    from pyiceberg.io.pyarrow import ArrowScan  # noqa: PLC0415

    scan = table.scan(snapshot_id=version, selected_fields=("*",) if columns is None else tuple(columns))
    reader = ArrowScan(table.metadata, table.io, scan.projection(), AlwaysTrue())
    found: Iterable[pa.RecordBatch] = reader.to_record_batches([task])
    return found


def _open_input(io: Any, path: str) -> BinaryIO:  # noqa: ANN401 - Iceberg's file system
    found: BinaryIO = io.new_input(path).open()
    return found


def _number(version: str | int) -> int:
    try:
        return int(version)
    except ValueError as error:
        raise InvalidInputError(f"{version!r} is no version: name the number of one.") from error


def _local(uri: str) -> str:
    """Return the path of a table on this machine, without what says that it is one."""
    return uri.removeprefix("file://").rstrip("/") if uri.startswith("file:///") else uri


def _no_version(uri: str, version: Any, error: object) -> str:  # noqa: ANN401 - a number or a text
    which = "" if version in {None, ""} else f" version {version} of"
    return f"There is no{which} {uri} to be read any more, or not by this package: {error}."


def _gone(name: str, error: Exception) -> str:
    return f"The table's file {name} is gone, or cannot be read: {error}. Restore it: its rows are listed, not copied."
