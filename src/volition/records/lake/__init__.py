"""The lake: where records lie, laid out for the gate.

    NewRecord ─▶ append ─▶ files, sealed ─▶ gate ─▶ rows of Row
                              ▲   │
        index.db names them ──┘   └─▶ embed, compact, erase: files written anew

- `Lake`, in `door`, is the one door. **Nothing reads records but through the gate**: who wants rows brings permits, or
  is the person whose they are, or one who was there. Nobody outside this folder imports its inner modules.
- `records`: what a record is, on its way in, opened, and as it lies in a file: Parquet, by category, day and bucket.
- `index` (with `numbering`): which files there are, who is who in them by dense number, what was ever there.
- `sealing`: content is sealed from the first day under the account's key, and opened in one place.
- `keys`: what lies readable beside the content, and counts of it.
- `reading`: what the gate lets through, opened, and the gate's reasons for the rest.
- `writing`: files that appear whole or not at all, whatever is killed; sending the same thing twice stores it once.
- `appending`, `embedding`: what comes in, and what is derived from it under permits. Written once.
- `erasing`, `compaction`: what rewrites it: the one for good, the other without changing a record. Readers go on.
- `quarantine`: bad input set aside.

Each module knows only those before it:

records      what a record is: on its way in, opened, and as it lies in a file
quarantine   bad input set aside
encryption   content is sealed under the account's key, and opened in one place
interning    dense numbers for accounts, people and party sets
index        which files there are, who is who in them, what was ever there
columns      what lies readable beside the content, and counts of it
writer       files that appear whole or not at all, whatever is killed
append       what comes in
embed        what is derived from it under permits
erase        what has to go, for good
compact      large files of many small ones; readers go on
reader       what the gate lets through, opened, and the gate's reasons for the rest
lake         `Lake`, the one way in and out: nobody outside imports the modules before it
"""

from volition.records.lake.compact import COMPACT_BYTES, Compacted
from volition.records.lake.embed import TextEncoder
from volition.records.lake.lake import Lake
from volition.records.lake.records import (
    BUCKETS,
    EMBEDDING_SIZE,
    GROUP_ROWS,
    Appended,
    Held,
    NewRecord,
    Row,
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
    "Row",
    "TextEncoder",
    "bucket_of",
    "record_id",
    "source_id",
    "write_table",
]
