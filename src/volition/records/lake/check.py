"""Whether every file that the index names is there, whole: each is read to its end, and nothing is decrypted."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from volition.records.lake.index import LakeIndex


def damaged_files(index: LakeIndex) -> list[str]:
    """Return what is lost or damaged, as sentences. A file that is replaced meanwhile is no fault."""
    found = {}
    for path, rows in index.rows_of_files().items():
        why = _why_damaged(index, path, rows)
        if why:
            found[path] = why
    named = index.named()
    return [why for path, why in found.items() if path in named]


def lost_files(index: LakeIndex) -> list[Path]:
    """Return the files that the index names and that are gone; one that is replaced meanwhile is no fault."""
    gone = [path for path in index.rows_of_files() if not (index.folder / path).exists()]
    named = index.named() if gone else set()
    return [index.folder / path for path in gone if path in named]


def _why_damaged(index: LakeIndex, path: str, rows: int) -> str:
    """Return what is wrong with a file; empty where nothing is."""
    try:
        with pq.ParquetFile(index.folder / path) as file:
            read = sum(batch.num_rows for batch in file.iter_batches())
    except FileNotFoundError:
        return f"lake/{path} is gone."
    except (OSError, pa.ArrowException) as error:
        return f"lake/{path} cannot be read: {error}."
    return "" if read == rows else f"lake/{path} has {read:,} rows, and the index says {rows:,}."
