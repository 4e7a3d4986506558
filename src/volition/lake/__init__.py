"""The lake: where records lie, laid out for the gate."""

from volition.lake.reading import (
    BUCKETS,
    COMPACT_BYTES,
    EMBEDDING_SIZE,
    GROUP_ROWS,
    Appended,
    Compacted,
    Held,
    Lake,
    NewRecord,
    Progress,
    Row,
    TextEncoder,
    bucket_of,
    record_id,
    source_id,
    write_table,
)

__all__ = [
    "BUCKETS",
    "COMPACT_BYTES",
    "EMBEDDING_SIZE",
    "GROUP_ROWS",
    "Appended",
    "Compacted",
    "Held",
    "Lake",
    "NewRecord",
    "Progress",
    "Row",
    "TextEncoder",
    "bucket_of",
    "record_id",
    "source_id",
    "write_table",
]
