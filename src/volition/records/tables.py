"""Files of rows, as other systems hand them over, line by line: CSV and TSV, JSON lines, Parquet (a file or a folder).

A line that cannot be read costs no other: it comes with a reason in place of its cells. Nothing is held in memory but
what is being read.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from volition.errors import InvalidInputError

_FORMS: Final[Mapping[str, Literal["csv", "jsonl", "parquet"]]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_LONGEST: Final = 4 << 20  # characters of one line
_AT_A_TIME: Final = 4_096
_SEPARATORS: Final = ",;\t|"
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One row.

    Attributes:
        number: Its line in the file, counted from 1; in Parquet its row, counted from 1.
        cells: What is in it, by column; none where it cannot be read.
        fault: Why it cannot be read.
        raw: The line itself, where it is text that could be read as such and is no row.
    """

    number: int
    cells: Mapping[str, Any] | None
    fault: str = ""
    raw: str = ""


def read_lines(
    path: Path,
    *,
    columns: Sequence[str] = (),
    needed: Sequence[str] = (),
    separator: str | None = None,
    mend: str = "Correct the mapping.",
) -> Iterator[Line]:
    """Yield the rows of a file, by its ending: .csv, .tsv, .jsonl, .ndjson or .parquet; of a folder, each Parquet file.

    Args:
        path: The file, or the folder.
        columns: Columns that it must have, perhaps nested in another ("data.author"); of Parquet only these are read.
            Lines of JSON have columns of their own each, and are not asked.
        needed: Columns that it must have likewise, beside which all others are read, too.
        separator: What stands between two values of CSV; by default what the first line has most of.
        mend: What to do where a column is missing.

    Raises:
        InvalidInputError: It cannot be read, has another ending, or lacks a column.
    """
    asked = _Asked((*columns, *needed), mend)
    if path.is_dir():
        files = sorted(path.rglob("*.parquet"))
        if not files:
            raise InvalidInputError(f"{path} holds no Parquet file. Name a file, or the folder that they lie in.")
        for file in files:
            yield from _parquet(file, columns, asked)
        return
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise InvalidInputError(f"{path} is none of: {', '.join(_FORMS)}. Name the file as what it is.")
    if form == "parquet":
        yield from _parquet(path, columns, asked)
        return
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield from _csv(text, path, asked, separator) if form == "csv" else _json_lines(text)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}. Check the path.") from error


@dataclass(frozen=True, slots=True)
class _Asked:
    """Columns that a file must have, and what to do where it lacks one."""

    columns: Sequence[str]
    mend: str

    def check(self, path: Path, there: Iterable[str]) -> None:
        known = [*there]
        missing = [column for column in self.columns if column not in known and column.partition(".")[0] not in known]
        if missing:
            shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
            msg = f"{path.name} has no column {', '.join(map(repr, missing))}. It has: {shown}. {self.mend}"
            raise InvalidInputError(msg)


def _csv(file: TextIO, path: Path, asked: _Asked, separator: str | None) -> Iterator[Line]:
    csv.field_size_limit(_LONGEST)
    first = file.readline(_LONGEST)
    file.seek(0)
    lines = csv.reader(file, delimiter=separator or max(_SEPARATORS, key=first.count), strict=True)
    try:
        names = [name.strip() for name in next(lines, [])]
    except csv.Error as error:
        raise InvalidInputError(f"{path} has no line of names that can be read: {error}.") from error
    if not any(names) or len(set(names)) < len(names):
        raise InvalidInputError(f"{path} does not begin with a line that names each of its columns once.")
    asked.check(path, names)
    number = lines.line_num + 1
    while True:
        try:
            values = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(number, None, f"It cannot be read as CSV: {error}.")
        else:
            if values:
                yield _cells(number, names, values)
        number = lines.line_num + 1


def _cells(number: int, names: Sequence[str], values: Sequence[str]) -> Line:
    """Return a line of CSV; one with bytes that are no UTF-8, or with another number of cells, cannot be read."""
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return Line(number, None, "It is not written in UTF-8.")
    if len(values) != len(names):
        fault = f"It has {len(values)} cells, and there are {len(names)} columns. Quote what holds a separator."
        return Line(number, None, fault, json.dumps(values))
    return Line(number, dict(zip(names, values, strict=True)))


def _json_lines(file: TextIO) -> Iterator[Line]:
    number = 0
    while text := file.readline(_LONGEST):
        number += 1
        if len(text) == _LONGEST and not text.endswith("\n"):
            yield Line(number, None, f"It is longer than {_LONGEST:,} characters.")
            while text and not text.endswith("\n"):
                text = file.readline(_LONGEST)
            continue
        if not text.strip():
            continue
        try:
            text.encode()
            cells = json.loads(text, parse_constant=_no_constant)
        except UnicodeEncodeError:
            yield Line(number, None, "It is not written in UTF-8.")
        except (ValueError, RecursionError):
            yield Line(number, None, "It is no JSON.", text)
        else:
            is_row = isinstance(cells, dict)
            yield Line(number, cells) if is_row else Line(number, None, "It is no JSON object.", text)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parquet(path: Path, columns: Sequence[str], asked: _Asked) -> Iterator[Line]:
    import pyarrow as pa  # noqa: PLC0415 - it takes long to load, and most files are text
    import pyarrow.parquet as pq  # noqa: PLC0415

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            asked.check(path, names)
            tops = {column.partition(".")[0] for column in columns}
            read = [name for name in names if name in columns or name in tops] if columns else None
            for batch in file.iter_batches(batch_size=_AT_A_TIME, columns=read):
                for cells in _in_microseconds(batch).to_pylist():
                    number += 1
                    yield Line(number, cells)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}. Check the path.") from error
    except (pa.ArrowException, ValueError, OverflowError) as error:
        msg = f"{path} cannot be read as Parquet after row {number:,}: {error}. Export it again."
        raise InvalidInputError(msg) from error


def _in_microseconds(batch: Any) -> Any:  # noqa: ANN401 - a record batch
    """Return a batch whose instants are in microseconds: Python has none that are finer."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    fields = []
    for one in batch.schema:
        finer = pa.types.is_timestamp(one.type) and one.type.unit == "ns"
        fields.append(one.with_type(pa.timestamp("us", tz=one.type.tz)) if finer else one)
    schema = pa.schema(fields)
    if schema == batch.schema:
        return batch
    return pa.table(batch.columns, schema=batch.schema).cast(schema, safe=False)
