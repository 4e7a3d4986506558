"""The lake: where records lie, laid out for the gate.

    NewRecord ─▶ append ─▶ encrypted files ─▶ gate ─▶ rows of Row
                              ▲   │
        index.db names them ──┘   └─▶ embed, compact, erase: files rewritten

    NewRecord ─▶ receive ─▶ buffer ─▶ append, many requests at a time, or before anybody reads

What it guarantees:

- **Nothing reads records but through the gate.** A caller who wants rows brings permits, or is the person whose rows
  they are, or was there. `Lake` is the only API; nobody outside this folder imports the other modules.
- Content is encrypted from the first day under the account's key (envelope encryption), and decrypted in one place.
- What was acknowledged is there: a reader finds it in the files, or has it laid out first.
- Files appear whole or not at all, whatever process is killed; sending the same thing twice stores it once.
- Compaction changes no record, erasure is for good, and readers are disturbed by neither.

Each module knows only those before it:

records      what a record is: on its way in, decrypted, and as it lies in a file
mentions     whom a text names, however it is encoded
quarantine   bad input set aside, and searched when somebody is erased
permitted    what the gate lets through, in columns and in one order
encryption   content encrypted under the account's key, and decrypted in one place
interning    dense integers for accounts, people and party sets
index        the catalogue: which files there are, who is who in them, what was ever there
columns      the columns that lie unencrypted beside the content, and counts of them
writer       transactions: files that appear whole or not at all
erase        records removed for good
forms        which form of a record lies here, where its source may change it or take it back
batches      what the ledger says of the records that came together
append       records added
buffer       records that were acknowledged and wait to be appended, encrypted
embed        embeddings, derived from records under permits
compact      many small files merged into large ones
reader       what the gate lets through, decrypted, and the gate's reasons for the rest
check        whether every file is there, whole
lake         `Lake`, the only API of this folder
"""

from volition.records.lake.batches import CollectionCheck
from volition.records.lake.buffer import has_buffer
from volition.records.lake.compact import COMPACT_BYTES, Compacted
from volition.records.lake.embed import TextEncoder
from volition.records.lake.lake import Lake
from volition.records.lake.permitted import OPENED, Group, Groups, PermittedRows
from volition.records.lake.records import (
    BUCKETS,
    EMBEDDING_SIZE,
    GROUP_ROWS,
    HEARD_IN,
    Appended,
    HeldRecord,
    NewRecord,
    Row,
    bucket_of,
    is_sealed,
    record_id,
    write_table,
)

__all__ = [
    "BUCKETS",
    "COMPACT_BYTES",
    "EMBEDDING_SIZE",
    "GROUP_ROWS",
    "HEARD_IN",
    "OPENED",
    "Appended",
    "CollectionCheck",
    "Compacted",
    "Group",
    "Groups",
    "HeldRecord",
    "Lake",
    "NewRecord",
    "PermittedRows",
    "Row",
    "TextEncoder",
    "bucket_of",
    "has_buffer",
    "is_sealed",
    "record_id",
    "write_table",
]
