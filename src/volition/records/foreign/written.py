"""What may be used of a table, written to a file that appears whole or not at all: Parquet, CSV, JSON lines."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from volition.errors import InvalidInputError
from volition.files import PART, flush, turn

_Write = Callable[[pa.RecordBatch], None]


def write_rows(rows: pa.RecordBatchReader, path: Path) -> None:
    """Write the rows of a reader to a file, a batch at a time; the ending of its name says in which format.

    Args:
        rows: They are judged while they are read.
        path: Ends in .parquet, .csv or .jsonl; what lies there is replaced.

    Raises:
        InvalidInputError: The name ends otherwise, or a column cannot be written in that format.
        OSError: The disk is full or cannot be written; what was there before is as it was.
    """
    check_ending(path)
    with turn(path.parent):
        aside = path.with_name(path.name + PART)
        try:
            with aside.open("wb") as file, _FORMATS[path.suffix](file, rows.schema) as write:
                for batch in rows:
                    write(batch)
            flush(aside)
            aside.replace(path)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, TypeError) as error:
            msg = f"The rows cannot be written as {path.suffix}: {error}. A .parquet file takes every column."
            raise InvalidInputError(msg) from error
        finally:
            aside.unlink(missing_ok=True)
        flush(path.parent)


def check_ending(path: Path) -> None:
    """Check that the name of a file says a format that is known. Raises InvalidInputError."""
    if path.suffix not in _FORMATS:
        msg = f"{path.name} ends in {path.suffix or 'nothing'}. It is written as: {', '.join(_FORMATS)}."
        raise InvalidInputError(msg)
    if not path.parent.is_dir():
        msg = f"There is no folder {path.parent}. Make it first."
        raise InvalidInputError(msg)


@contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[_Write]:
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer.write_batch


@contextmanager
def _csv(file: BinaryIO, schema: pa.Schema) -> Iterator[_Write]:
    """Write CSV; what it has no form for, such as lists, as JSON; bytes as hexadecimal."""
    nested = [place for place, field in enumerate(schema) if not _is_plain(field.type)]
    for place in nested:
        schema = schema.set(place, pa.field(schema.field(place).name, pa.string()))

    def flat(batch: pa.RecordBatch) -> None:
        for place in nested:
            texts = [_cell(one) for one in batch.column(place).to_pylist()]
            batch = batch.set_column(place, schema.field(place), pa.array(texts, pa.string()))
        writer.write_batch(batch)

    with pyarrow.csv.CSVWriter(file, schema) as writer:
        yield flat


@contextmanager
def _jsonl(file: BinaryIO, schema: pa.Schema) -> Iterator[_Write]:
    del schema

    def write(batch: pa.RecordBatch) -> None:
        file.writelines(f"{_json(row)}\n".encode() for row in batch.to_pylist())

    yield write


def _json(value: Any) -> str:  # noqa: ANN401 - what a row holds
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _cell(value: Any) -> str | None:  # noqa: ANN401
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else _json(value)


def _is_plain(kind: pa.DataType) -> bool:
    """Say whether CSV has a form for a type that is read as it is written."""
    return bool(pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return what JSON has no form for as text: instants by RFC 3339, bytes as hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


_FORMATS: Final = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
