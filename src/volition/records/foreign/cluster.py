"""Parts of a snapshot made by Spark, a task for some of the table's files: the bytes that this process would make.

Two jobs. The first reads the columns that decide and brings here the different party sets (whose, about whom, of what
kind, in which conversation); the gate says here, once, what each gets. The second makes the part of each file where the
file is read, from those answers, and only the lists come here. Neither brings a byte of what rows say.

Nothing but Arrow and names of files goes to Spark, so a server of Spark Connect does as well. The executors need this
package, and read the table under the path or address under which it was opened here.
"""

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from volition.consent.gate.asked import Asked
from volition.consent.gate.batch import party_sets
from volition.errors import BackendError, DamagedError, InvalidInputError, ProofError, VolitionError
from volition.progress import Progress
from volition.records.foreign.answers import GateAnswers, SetAnswers, column_of, lists_of
from volition.records.foreign.mapping import TableMapping
from volition.records.foreign.part import ListedPart, PartCounts, list_part
from volition.records.foreign.version import DataFile, TableVersion, reopen_version

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_SETS: Final = pa.schema(
    [
        ("account", pa.string()),
        ("category", pa.string()),
        ("conversation", pa.string()),
        ("people", pa.list_(pa.string())),
        ("failed", pa.string()),
    ]
)
"""Party sets as a table names them; in a row of its own, the error that an executor met."""

_PARTS: Final = pa.schema(
    [
        ("name", pa.string()),
        ("digests", pa.list_(pa.string())),
        ("part", pa.binary()),
        ("counts", pa.string()),
        ("failed", pa.string()),
    ]
)
"""Parts; in a row of its own, the error that an executor met."""

_SETS_SQL: Final = "account STRING, category STRING, conversation STRING, people ARRAY<STRING>, failed STRING"
_PARTS_SQL: Final = "name STRING, digests ARRAY<STRING>, part BINARY, counts STRING, failed STRING"
_MOST_TASKS: Final = 10_000


def list_files_on(  # noqa: PLR0913 - a table, and how it is judged
    session: "SparkSession",
    version: TableVersion,
    mapping: TableMapping,
    answers: GateAnswers,
    aside: Path,
    *,
    at_us: int,
    until_us: int,
    progress: Progress,
) -> Iterator[ListedPart]:
    """Yield the parts of a table's files, made by Spark, in the order of the names of the files.

    Args:
        session: Spark, or Spark Connect.
        version: The table.
        mapping: Which of its columns decide.
        answers: The gate's.
        aside: A folder for the parts until they are joined.
        at_us: The instant of the gate's permits.
        until_us: What was collected later is left out.
        progress: Called with how many rows were read.

    Raises:
        BackendError: Spark cannot: its executors have not what is needed, or do not find the table.
        InvalidInputError: A column is missing or of another type.
        DamagedError: A file is gone, or cannot be read.
    """
    mapping.check(version.columns)
    if not version.files:
        return
    from pyspark.errors import PySparkException  # noqa: PLC0415 - an extra: it is there, since the session is

    files = _Files(version.form, version.uri, version.version, mapping)
    names = _names(session, version)
    try:
        progress("reading who is concerned", 0, 0)
        judged = SetAnswers.of(answers, _asked(_sets(names, files)), at_us=at_us)
        made = _made(names, _ToParts(files, judged, until_us), aside, progress)
    except PySparkException as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        msg = (
            f"Spark could not list {version.uri}: {said[-1]} Its executors need this version of volition and what "
            "reads the table, and must find the table there."
        )
        raise BackendError(msg) from error
    for file in version.files:
        if file.name not in made:
            raise BackendError(f"Spark returned no list of the table's file {file.name}. Take the snapshot again.")
        yield made[file.name]
        made[file.name].path.unlink()


def _names(session: "SparkSession", version: TableVersion) -> "DataFrame":
    """Return a frame of the names of the files, in as many partitions, up to a limit."""
    table = pa.table({"name": [file.name for file in version.files]})
    return session.createDataFrame(table).repartition(min(len(version.files), _MOST_TASKS))


def _sets(names: "DataFrame", files: "_Files") -> pa.Table:
    """Return the different party sets of all files."""
    sets = names.mapInArrow(_ToSets(files), _SETS_SQL).distinct().toArrow()
    for failed in sets["failed"].drop_null().to_pylist():
        raise _told(failed)
    return sets


def _made(names: "DataFrame", parts: "_ToParts", aside: Path, progress: Progress) -> dict[str, ListedPart]:
    """Fetch the parts of all files, as they are made, into a folder; return them by the names of their files."""
    made: dict[str, ListedPart] = {}
    read = 0
    for row in names.mapInArrow(parts, _PARTS_SQL).toLocalIterator():
        if row["failed"] is not None:
            raise _told(row["failed"])
        path = aside / f"part-{len(made)}"
        path.write_bytes(row["part"])
        counts = PartCounts(rows=json.loads(row["counts"]))
        made[row["name"]] = ListedPart(name=row["name"], digests=tuple(row["digests"]), path=path, counts=counts)
        read += counts.read
        progress("reading rows", read, 0)
    return made


def _asked(sets: pa.Table) -> Iterator[Asked]:
    """Return party sets as questions, collected at no time."""
    timed = sets.append_column("time", pa.nulls(sets.num_rows, pa.timestamp("us", tz="UTC")))
    named = TableMapping(
        people="people",
        time="time",
        account_column="account",
        category_column="category",
        conversation_column="conversation",
    )
    return (named.asked(batch) for batch in timed.combine_chunks().to_batches())


@dataclass(frozen=True, slots=True)
class _Files:
    """What an executor must know to read files of a table; it travels pickled."""

    form: str
    uri: str
    version: str
    mapping: TableMapping

    def named(self, batches: Iterable[pa.RecordBatch]) -> Iterator[DataFile]:
        """Yield the files whose names are in a column; the table is opened once."""
        there: dict[str, DataFile] = {}
        for batch in batches:
            for name in batch["name"].to_pylist():
                there = there or {one.name: one for one in reopen_version(self.form, self.uri, self.version).files}
                if name not in there:
                    msg = f"An executor of Spark finds no file {name} in {self.uri}. Give it the table that is here."
                    raise InvalidInputError(msg)
                yield there[name]


@dataclass(frozen=True, slots=True)
class _ToSets:
    """Tells apart the party sets of files."""

    files: _Files

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield those of each batch of rows."""
        mapping = self.files.mapping
        try:
            for file in self.files.named(batches):
                for batch in file.batches(mapping.columns):
                    if batch.num_rows:
                        yield _sets_of(mapping.asked(batch))
        except VolitionError as error:
            yield _failed(_SETS, error)


@dataclass(frozen=True, slots=True)
class _ToParts:
    """Makes the parts of files."""

    files: _Files
    answers: SetAnswers
    until_us: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the part of each file."""
        mapping = self.files.mapping
        try:
            for file in self.files.named(batches):
                digests, sink = file.digests(), io.BytesIO()
                rows = file.batches(mapping.listed_columns)
                counts = list_part(rows, mapping, self.answers, file=file.name, until_us=self.until_us, sink=sink)
                part = {
                    "name": file.name,
                    "digests": digests,
                    "part": sink.getvalue(),
                    "counts": json.dumps(counts.rows),
                    "failed": None,
                }
                yield pa.RecordBatch.from_pylist([part], schema=_PARTS)
        except VolitionError as error:
            yield _failed(_PARTS, error)


def _sets_of(asked: Asked) -> pa.RecordBatch:
    """Return the different party sets of a batch of rows."""
    _, first = party_sets(asked)
    chosen = asked.take(first)
    columns = [
        column_of(chosen.account),
        column_of(chosen.category),
        column_of(chosen.conversation),
        lists_of(column_of(chosen.people), chosen.lengths),
        pa.nulls(len(first), pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SETS)


def _failed(schema: pa.Schema, error: VolitionError) -> pa.RecordBatch:
    """Return an error of ours as a row: Spark would tell it as a page of traces."""
    nothing = dict.fromkeys(schema.names)
    return pa.RecordBatch.from_pylist(
        [{**nothing, "failed": json.dumps([type(error).__name__, str(error)])}], schema=schema
    )


def _told(failed: str) -> VolitionError:
    """Return the error that an executor has met."""
    kind, said = json.loads(failed)
    known: dict[str, type[VolitionError]] = {one.__name__: one for one in (InvalidInputError, ProofError, DamagedError)}
    return known.get(kind, BackendError)(said)
