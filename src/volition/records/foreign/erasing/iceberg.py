"""An Iceberg table without somebody's rows, by pyiceberg and a catalogue.

Expiring a snapshot there changes what the metadata says, and leaves every file. So the files are found in the metadata
from before, and are removed: data first, then manifests, then their lists, and last the metadata that names them all.
"""

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from volition.errors import BackendError, ConflictError, InvalidInputError, require_extra
from volition.records.foreign.erasing.outcome import Gone, WouldGo
from volition.records.foreign.erasing.place import Place, local_folder, settled
from volition.records.foreign.erasing.traces import Searched
from volition.records.foreign.erasing.whom import Whom, WhoseColumns

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.io.pyarrow import ArrowScan
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.metadata import TableMetadata

_TRIES: Final = 5
_MAIN: Final = "main"
_METADATA: Final = ".metadata.json"
_OURS: Final = (".parquet", ".avro", ".orc", _METADATA, ".puffin", ".stats")


@dataclass(slots=True)
class _Named:
    """Files that metadata names, by what they are."""

    data: set[str] = field(default_factory=set)
    manifests: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)
    metadata: set[str] = field(default_factory=set)

    def all(self) -> set[str]:
        return self.data | self.manifests | self.lists | self.metadata

    def without(self, live: set[str]) -> list[list[str]]:
        """Return those that are not live, in the order in which they may be removed."""
        return [sorted(names - live) for names in (self.data, self.manifests, self.lists, self.metadata)]


class ErasableIceberg:
    """An Iceberg table. Implements `ErasableTable`."""

    def __init__(self, name: str, whose: WhoseColumns, *, reached: Callable[[str], None] = lambda _: None) -> None:
        """Take its name, and which columns say whose a row is.

        Args:
            name: The catalogue, as pyiceberg's own configuration calls it, then namespace and name: "prod.web.hits".
            whose: Its columns.
            reached: Told the name of each step once it is done; for tests that kill it there.

        Raises:
            MissingExtraError: pyiceberg is not installed.
        """
        require_extra("pyiceberg", what="Erasing in an Iceberg table")
        self._name = name
        self._whose = whose
        self._reached = reached

    def would_go(self, whom: Whom) -> WouldGo:
        """See `ErasableTable.would_go`."""
        with self._reported():
            table, place = self._open()
            rows = sum(found for _, found in self._found(table, whom))
            searched = Searched(self._whose.names(whom), whom)
            if not rows and not any(self._past(table, place, searched)):
                return WouldGo(rows=0, versions=0)
            return WouldGo(rows=rows, versions=len(table.metadata.snapshots) - (0 if rows else 1))

    def erase(self, whom: Whom) -> Gone:
        """See `ErasableTable.erase`."""
        with self._reported():
            searched = Searched(self._whose.names(whom), whom)
            table, place = self._open()
            unpack = {".avro": _reader(table, place)}
            if not any(self._found(table, whom)) and not any(self._past(table, place, searched)):
                return Gone(left=tuple(place.search(searched, unpack)))
            before, versions, rows = place.files(), {one.snapshot_id for one in table.metadata.snapshots}, 0
            for _ in range(_TRIES):
                rows += self._delete(whom)
                self._reached("deleted")
                self._end_older_versions()
                table, place = self._open()
                if not any(self._found(table, whom)):
                    break
            else:
                msg = f"Others went on writing such rows into {self._name}. Let them stop, then forget again."
                raise ConflictError(msg)
            live = {place.below(_path(table, one)) for one in _live(table).all()}
            unnamed = {path for path in settled(place.files()) - live if _is_ours(path)}
            place.remove(sorted(unnamed))
            place.remove_empty_folders(searched)
            after = place.files()
            place.open_up(after.keys() - before.keys())
            left = tuple(place.search(searched, unpack))
            waits = {one.file for one in left if one.is_id and _is_ours(one.file) and one.file not in live}
            return Gone(
                rows=rows,
                versions=len(versions - {one.snapshot_id for one in table.metadata.snapshots}),
                files=len(before.keys() - after.keys()),
                left=left,
                waits=tuple(sorted(waits)),
            )

    def _open(self) -> "tuple[Table, Place]":
        from pyiceberg.catalog import load_catalog  # noqa: PLC0415 - an extra
        from pyiceberg.io.pyarrow import PyArrowFileIO  # noqa: PLC0415
        from pyiceberg.utils.config import Config  # noqa: PLC0415

        catalog, _, name = self._name.partition(".")
        properties = Config().get_catalog_config(catalog) or {}
        table = load_catalog(catalog, **{key: str(one) for key, one in properties.items()}).load_table(name)
        self._whose.check([one.name for one in table.schema().fields])
        _refuse_kept(table, self._name)
        if not isinstance(table.io, PyArrowFileIO):
            msg = f'The files of {self._name} are reached by other means. Set "py-io-impl" of its catalogue to pyarrow.'
            raise InvalidInputError(msg)
        scheme, host, root = table.io.parse_location(table.location())
        system = table.io.fs_by_scheme(scheme, host)
        return table, Place(system=system, root=root.rstrip("/"), folder=local_folder(table.location()))

    def _found(self, table: "Table", whom: Whom) -> "Iterator[tuple[FileScanTask, int]]":
        """Yield the data files with rows that name them, and how many such rows each has."""
        for task in table.scan().plan_files():
            if self._whose.is_all(whom):
                yield task, task.file.record_count
                continue
            batches = _scan(table, self._whose.columns).to_record_batches([task]) if self._whose.columns else ()
            rows = sum(int(self._whose.matching(batch, whom).sum()) for batch in batches)
            if rows:
                yield task, rows

    def _delete(self, whom: Whom) -> int:
        """Write the files anew that name them, without their rows, in a commit; return how many rows went.

        None where others were first. A file is held in memory while it is written.
        """
        from pyiceberg.exceptions import CommitFailedException, ValidationException  # noqa: PLC0415 - an extra
        from pyiceberg.io.pyarrow import _dataframe_to_data_files  # noqa: PLC0415 - what its own `delete` uses

        table, _ = self._open()
        found = list(self._found(table, whom))
        if not found:
            return 0
        write, counter, written = uuid.uuid4(), itertools.count(0), []
        try:
            with table.transaction() as transaction, transaction.update_snapshot().overwrite() as changed:
                changed.commit_uuid = write
                for task, _ in found:
                    rows = _scan(table).to_table([task])
                    kept = rows.filter(pa.array(~self._whose.matching(rows, whom)))
                    made = _dataframe_to_data_files(table.metadata, kept, table.io, write, counter)
                    for file in made if kept.num_rows else ():
                        written.append(file.file_path)
                        changed.append_data_file(file)
                    changed.delete_data_file(task.file)
                self._reached("written")
        except (CommitFailedException, ValidationException):
            for path in written:
                with suppress(FileNotFoundError):
                    table.io.delete(path)
            return 0
        return sum(rows for _, rows in found)

    def _past(self, table: "Table", place: Place, searched: Searched) -> Iterator[str]:
        """Yield the files that name them and that only older versions need."""
        live = {place.below(_path(table, one)) for one in _live(table).all()}
        past = [one for one in place.files() if one not in live and _is_ours(one)]
        yield from (
            one.file for one in place.search(searched, {".avro": _reader(table, place)}, files=past) if one.is_id
        )

    def _end_older_versions(self) -> None:
        """Remove what only older versions need: their files first, and what names these last."""
        table, place = self._open()
        if any(one.deleted_files_count for one in table.current_snapshot().manifests(table.io)):
            with table.transaction() as transaction, transaction.update_snapshot().fast_append():
                pass  # the manifests of what was deleted say what was in it; the next snapshot has them no more
        older = {one.snapshot_id for one in table.metadata.snapshots} - {table.metadata.current_snapshot_id}
        if older:
            table.maintenance.expire_snapshots().by_ids(sorted(older)).commit()
        self._reached("expired")
        table, place = self._open()
        live, named = _live(table).all(), _named(table)
        for names in named.without(live):
            for name in names:
                self._remove(table, place, name)
                self._reached("removed")

    def _remove(self, table: "Table", place: Place, name: str) -> None:
        path = _path(table, name)
        below = place.below(path)
        if below != path:
            place.remove([below])
            return
        with suppress(FileNotFoundError):  # it was written elsewhere
            table.io.delete(name)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        from pyiceberg.exceptions import (  # noqa: PLC0415 - an extra
            CommitFailedException,
            CommitStateUnknownException,
            NoSuchTableError,
            RESTError,
            ValidationException,
        )

        try:
            yield
        except (CommitFailedException, CommitStateUnknownException, ValidationException) as error:
            msg = f"Others wrote into {self._name} at the same time: {error} Forget again."
            raise ConflictError(msg) from error
        except (NoSuchTableError, RESTError, NotImplementedError, pa.ArrowException, OSError, ValueError) as error:
            msg = f"The Iceberg table {self._name} could not be erased from: {error}"
            raise BackendError(msg) from error


def _refuse_kept(table: "Table", name: str) -> None:
    """Refuse a table in which an older version is kept on purpose. Raises InvalidInputError."""
    kept = sorted(set(table.metadata.refs) - {_MAIN})
    if kept:
        msg = (
            f"{name} keeps older versions under the names {', '.join(kept)}, which would still hold the rows. Remove "
            "these tags and branches, then forget again."
        )
        raise InvalidInputError(msg)
    if table.metadata.properties.get("gc.enabled", "true").lower() == "false":
        msg = f'{name} says that its files belong to other tables, too (gc.enabled is "false"): erase in these.'
        raise InvalidInputError(msg)


def _scan(table: "Table", names: tuple[str, ...] | None = None) -> "ArrowScan":
    """Return what reads data files, without the rows that were deleted, in some or all of the table's columns."""
    from pyiceberg.expressions import AlwaysTrue  # noqa: PLC0415 - an extra
    from pyiceberg.io.pyarrow import ArrowScan  # noqa: PLC0415

    schema = table.schema() if names is None else table.schema().select(*names)
    return ArrowScan(table.metadata, table.io, schema, AlwaysTrue())


def _path(table: "Table", name: str) -> str:
    """Return a file's location as its file system has it."""
    path: str = table.io.parse_location(name)[2]
    return path


def _live(table: "Table") -> _Named:
    """Return the files that the current version needs."""
    live = _Named(metadata={table.metadata_location})
    snapshot = table.current_snapshot()
    if snapshot is not None:
        _add_snapshot(table.io, snapshot, live, only_live=True)
    live.data |= _statistics(table.metadata)
    return live


def _named(table: "Table") -> _Named:
    """Return the files that the metadata of any version names, as far as it is there.

    Only of what was committed: a file that nobody names may be of somebody who is about to commit it.
    """
    named, seen = _Named(), {table.metadata_location}
    waiting = [table.metadata]
    while waiting:
        metadata = waiting.pop()
        named.data |= _statistics(metadata)
        for snapshot in metadata.snapshots:
            if snapshot.manifest_list not in named.lists:
                _add_snapshot(table.io, snapshot, named, only_live=False)
        for entry in metadata.metadata_log:
            if entry.metadata_file not in seen:
                seen.add(entry.metadata_file)
                older = _metadata(table.io, entry.metadata_file)
                if older is not None:
                    named.metadata.add(entry.metadata_file)
                    waiting.append(older)
    return named


def _metadata(io: "FileIO", location: str) -> "TableMetadata | None":
    from pyiceberg.serializers import FromInputFile  # noqa: PLC0415 - an extra

    try:
        return FromInputFile.table_metadata(io.new_input(location))
    except FileNotFoundError:
        return None


def _statistics(metadata: "TableMetadata") -> set[str]:
    return {one.statistics_path for one in (*metadata.statistics, *metadata.partition_statistics)}


def _add_snapshot(io: Any, snapshot: Any, named: _Named, *, only_live: bool) -> None:  # noqa: ANN401 - an extra's
    named.lists.add(snapshot.manifest_list)
    try:
        manifests: list[ManifestFile] = snapshot.manifests(io)
    except FileNotFoundError:
        if only_live:
            raise
        return  # it was removed before
    for manifest in manifests:
        if manifest.manifest_path in named.manifests:
            continue
        named.manifests.add(manifest.manifest_path)
        try:
            entries = manifest.fetch_manifest_entry(io, discard_deleted=only_live)
        except FileNotFoundError:
            if only_live:
                raise
            continue  # likewise, and its data before it
        named.data |= {entry.data_file.file_path for entry in entries}


def _reader(table: "Table", place: Place) -> Callable[[str], Iterator[bytes]]:
    """Return what unpacks an Avro file, by its path below the folder."""
    from pyiceberg.avro.file import AvroFile  # noqa: PLC0415 - an extra

    scheme = table.location().partition("://")
    prefix = f"{scheme[0]}://" if scheme[1] else ""

    def unpack(path: str) -> Iterator[bytes]:
        with AvroFile(table.io.new_input(prefix + place.at(path))) as records:
            for record in records:
                yield from _bytes(record)

    return unpack


def _bytes(value: Any) -> Iterator[bytes]:  # noqa: ANN401 - whatever Avro holds
    """Yield every text and every bytes in a value, however deep."""
    if isinstance(value, str):
        yield value.encode()
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, Mapping):
        for one in (*value.keys(), *value.values()):
            yield from _bytes(one)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _bytes(one)
    elif hasattr(value, "__len__") and hasattr(value, "__getitem__"):  # pyiceberg's own records
        for number in range(len(value)):
            yield from _bytes(value[number])


def _is_ours(path: str) -> bool:
    """Say whether a file is one that an Iceberg table makes, in a folder where it does."""
    return path.startswith(("data/", "metadata/")) and path.endswith(_OURS)
