"""A Delta table without somebody's rows, by delta-rs.

A commit that deletes rows names them itself, in its predicate and in what it says of the files that go. So the log is
cut, too: a checkpoint is written at a commit that names nobody, and what comes before it is removed, last of all.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq

from volition.errors import BackendError, ConflictError, InvalidInputError, require_extra
from volition.files import PART, flush
from volition.records.foreign.erasing.outcome import Gone, WouldGo
from volition.records.foreign.erasing.place import Place, local_folder, settled
from volition.records.foreign.erasing.traces import Searched
from volition.records.foreign.erasing.whom import Whom, WhoseColumns

if TYPE_CHECKING:
    from deltalake import DeltaTable

LOG: Final = "_delta_log"

_TRIES: Final = 5
_HARMLESS: Final = frozenset({"timestampNtz"})  # what a reader must know, and where files lie as they always did
_OLD_MAPPING: Final = 2  # the version of readers that knew columns by other names already
_NUMBERS: Final = ("byte", "short", "integer", "long")
_OF_VERSION: Final = re.compile(r"_delta_log/(\d{20})\.[^/]+")
_CHANGES: Final = "_change_data/"


class ErasableDelta:
    """A Delta table. Implements `ErasableTable`."""

    def __init__(self, uri: str, whose: WhoseColumns, *, reached: Callable[[str], None] = lambda _: None) -> None:
        """Take where it lies, and which columns say whose a row is.

        Args:
            uri: A folder or a URL.
            whose: Its columns.
            reached: Told the name of each step once it is done; for tests that kill it there.

        Raises:
            MissingExtraError: delta-rs is not installed.
        """
        require_extra("deltalake", what="Erasing in a Delta table")
        self._uri = uri
        self._whose = whose
        self._reached = reached

    def would_go(self, whom: Whom) -> WouldGo:
        """See `ErasableTable.would_go`."""
        with self._reported():
            table, place = self._open()
            rows = self._count(table, whom)
            searched = Searched(self._whose.names(whom), whom)
            is_past = not rows and any(self._past(table, place, searched))
            versions = {one[:20] for one in _versions(place.files())} if rows or is_past else set()
            return WouldGo(rows=rows, versions=max(len(versions) - 1, 0))

    def erase(self, whom: Whom) -> Gone:
        """See `ErasableTable.erase`."""
        with self._reported():
            searched = Searched(self._whose.names(whom), whom)
            table, place = self._open()
            if not self._count(table, whom) and not any(self._past(table, place, searched)):
                return Gone(left=tuple(place.search(searched, {})))
            before = place.files()
            rows = 0
            for _ in range(_TRIES):
                rows += self._delete(whom)
                self._reached("deleted")
                self._end_older_versions(searched)
                table, place = self._open()
                if not self._count(table, whom):
                    break
            else:
                msg = f"Others went on writing such rows into {self._uri}. Let them stop, then forget again."
                raise ConflictError(msg)
            live = _live(table)
            unnamed = {path for path in settled(place.files()) - live if _is_data(path, place.files())}
            place.remove(sorted(unnamed))
            place.remove_empty_folders(searched)
            after = place.files()
            place.open_up(after.keys() - before.keys())
            left = tuple(place.search(searched, {}))
            waits = {one.file for one in left if one.is_id and _is_data(one.file, after) and one.file not in live}
            return Gone(
                rows=rows,
                versions=len(_versions(before).keys() - _versions(after).keys()),
                files=len(before.keys() - after.keys()),
                left=left,
                waits=tuple(sorted(waits)),
            )

    def _open(self) -> "tuple[DeltaTable, Place]":
        from deltalake import DeltaTable  # noqa: PLC0415 - an extra
        from deltalake.fs import DeltaStorageHandler  # noqa: PLC0415

        table = DeltaTable(self._uri)
        protocol = table.protocol()
        unknown = set(protocol.reader_features or ()) - _HARMLESS
        if unknown or protocol.min_reader_version == _OLD_MAPPING:
            what = ", ".join(sorted(unknown)) or "columnMapping"
            msg = f"Nothing can be erased here from a Delta table with {what}. Delete the rows with Spark, then VACUUM."
            raise InvalidInputError(msg)
        self._whose.check([field["name"] for field in _fields(table)])
        system = pyarrow.fs.PyFileSystem(DeltaStorageHandler(table.table_uri))
        return table, Place(system=system, root="", folder=local_folder(table.table_uri))

    def _count(self, table: "DeltaTable", whom: Whom) -> int:
        """Return how many rows name them, in the version that the table was opened at."""
        names = list(self._whose.columns)
        if not names:
            return table.count() if self._whose.is_all(whom) else 0
        batches = table.to_pyarrow_dataset().to_batches(columns=names)
        return sum(int(self._whose.matching(batch, whom).sum()) for batch in batches)

    def _delete(self, whom: Whom) -> int:
        """Delete their rows in a commit; return how many, none where others were first."""
        from deltalake.exceptions import CommitFailedError  # noqa: PLC0415 - an extra

        table, _ = self._open()
        try:
            found = table.delete(None if self._whose.is_all(whom) else self._predicate(table, whom))
        except CommitFailedError:
            return 0
        return int(found["num_deleted_rows"])

    def _predicate(self, table: "DeltaTable", whom: Whom) -> str:
        kinds = {field["name"]: field["type"] for field in _fields(table)}
        parts = [
            part for column, names in self._whose.wanted(whom) for part in _parts(column, kinds[column], sorted(names))
        ]
        return " OR ".join(parts) or "false"

    def _past(self, table: "DeltaTable", place: Place, searched: Searched) -> Iterator[str]:
        """Yield the files that name them and that only older versions need."""
        live = _live(table)
        newest = f"{LOG}/{table.version():020}."
        past = [one for one in place.files() if one not in live and not one.startswith(newest)]
        yield from (one.file for one in place.search(searched, {}, files=past) if one.is_id)

    def _end_older_versions(self, searched: Searched) -> None:
        """Remove what only older versions need: their files first, and what names these last."""
        table, place = self._open()
        table.vacuum(0, dry_run=False, enforce_retention_duration=False)
        self._reached("vacuumed")
        self._end_on_a_harmless_commit(place, searched)
        table, place = self._open()
        table.create_checkpoint()
        newest = table.version()
        self._leave_out_removed(place, newest, searched)
        self._reached("checkpointed")
        files = place.files()
        log = sorted(path for path in files if int(_version(path) or newest) < newest)
        changes = [path for one in log if one.endswith(".json") for path in _changes(place.read(one))]
        place.remove(changes)
        for path in log:  # in order: what is left is the newest of it
            place.remove([path])
            self._reached("cut")

    def _end_on_a_harmless_commit(self, place: Place, searched: Searched) -> None:
        """Have the newest commit, which stays for readers that ask for it, name nobody."""
        from deltalake import write_deltalake  # noqa: PLC0415 - an extra

        for _ in range(_TRIES):
            table, _ = self._open()
            if not searched.in_text(place.read(f"{LOG}/{table.version():020}.json")):
                return
            write_deltalake(table, table.to_pyarrow_dataset().schema.empty_table(), mode="append")

    def _leave_out_removed(self, place: Place, version: int, searched: Searched) -> None:
        """Leave the files that are gone out of a checkpoint where their paths name somebody: nobody needs them.

        On this machine's own disk alone: elsewhere what is left there is told, and goes with the next checkpoint that a
        writer makes a week later.
        """
        if place.folder is None:
            return
        path = f"{LOG}/{version:020}.checkpoint.parquet"
        checkpoint = pq.read_table(pa.BufferReader(place.read(path)))
        gone = checkpoint.filter(pc.is_valid(checkpoint["remove"]))["remove"]
        if not searched.in_text(json.dumps(gone.to_pylist(), default=str)):
            return
        kept = checkpoint.filter(pc.is_null(checkpoint["remove"]))
        sink = pa.BufferOutputStream()
        pq.write_table(kept, sink)
        data = sink.getvalue().to_pybytes()
        last = json.loads(place.read(f"{LOG}/_last_checkpoint"))
        _replace(place.folder / path, data)
        known = {key: last[key] for key in ("version", "numOfAddFiles") if key in last}
        _replace(place.folder / LOG / "_last_checkpoint", json.dumps({**known, "size": kept.num_rows}).encode())

    @contextmanager
    def _reported(self) -> Iterator[None]:
        from deltalake.exceptions import DeltaError  # noqa: PLC0415 - an extra

        try:
            yield
        except (DeltaError, NotImplementedError, pa.ArrowException, OSError) as error:
            msg = f"The Delta table {self._uri} could not be erased from: {error}"
            raise BackendError(msg) from error


def _replace(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}{PART}")
    aside.write_bytes(data)
    flush(aside)
    aside.replace(path)


def _fields(table: "DeltaTable") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(table.schema().to_json())["fields"]
    return found


def _live(table: "DeltaTable") -> set[str]:
    """Return the paths of the data files that the table's version has, as they may be spelt."""
    paths = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
    return {spelt for path in paths for spelt in (path, unquote(path))}


def _versions(files: dict[str, float]) -> dict[str, str]:
    """Return the log's files that commit something, by the number of their version."""
    return {path[-25:-5]: path for path in files if _version(path) and path.endswith(".json") and path.count(".") == 1}


def _version(path: str) -> str | None:
    """Return the version that a file of the log is of, or the first of them; none of others."""
    found = _OF_VERSION.fullmatch(path)
    return None if found is None else found[1]


def _is_data(path: str, files: dict[str, float]) -> bool:
    """Say whether a file is data, and not of a table that lies in a folder of this one's."""
    nested = {one.partition(f"/{LOG}/")[0] + "/" for one in files if f"/{LOG}/" in one}
    hidden = any(part.startswith(("_", ".")) for part in path.split("/"))
    return path.endswith(".parquet") and not hidden and not path.startswith(tuple(nested))


def _changes(commit: bytes) -> list[str]:
    """Return the files of a commit that say which rows it changed."""
    actions = [json.loads(line) for line in commit.splitlines() if line.strip()]
    return [unquote(action["cdc"]["path"]) for action in actions if "cdc" in action]


def _parts(column: str, kind: Any, names: list[str]) -> list[str]:  # noqa: ANN401 - JSON
    """Return conditions of SQL, one of which is true where a column of a type names somebody."""
    quoted = '"' + column.replace('"', '""') + '"'
    texts = ["'" + name.replace("'", "''") + "'" for name in names]
    numbers = [name for name in names if name.isascii() and name.isdecimal() and name == str(int(name))]
    if kind == "string":
        return [f"{quoted} IN ({', '.join(texts)})"]
    if kind in _NUMBERS:
        return [f"CAST({quoted} AS VARCHAR) IN ({', '.join(texts)})"]
    if isinstance(kind, dict) and kind.get("type") == "array":
        if kind["elementType"] == "string":
            return [f"array_has({quoted}, {text})" for text in texts]
        if kind["elementType"] in _NUMBERS:
            return [f"array_has({quoted}, {number})" for number in numbers]
    msg = f"The column {column!r} must be text, whole numbers, or lists of these."
    raise InvalidInputError(msg)
