"""What a record of the lake is: on its way in, opened, and as it lies in a file.

- Parquet, one folder per category and day (partitioning), one file per batch and account bucket. Each is sorted by
  account, party set and time, in row groups small enough that their statistics show which accounts need not be read
  (predicate pushdown). The column of the party set is named `circle` on disk.
- Accounts are spread over 64 buckets. Inside a bucket, a record names its account and its *party set* (an account with
  the people of a record, the first one first) by small dense integers, which the index assigns (interning).
- A record's identity is a digest of its account and its key at the source, so that the same thing is recognised when it
  is sent again (deduplication).
"""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.canonical import canonical_json, digest
from volition.consent.references import ConversationRef
from volition.errors import InvalidInputError

BUCKETS: Final = 64
EMBEDDING_SIZE: Final = 384

GROUP_ROWS: Final = 16_384
"""Rows of a row group: what the gate holds in memory at a time, and the smallest unit that it can skip."""

_PLAIN: Final = "service/"
PERSON: Final = "person:"
"""How the gate's name of a person begins; the pseudonym follows."""

DERIVED_IN: Final = ("content/transcript",)
"""The categories that hold records derived from others."""

HEARD_IN: Final = "heard_in"
"""In the payload of a line of a transcript: the category of the recording that it was heard in.

What is derived from several lines has each of their categories, in a list."""

_DERIVED: Final = ("summary", "written")  # and their kinds

RECORDS: Final = pa.schema(
    [
        ("record_id", pa.string()),
        ("account", pa.int32()),
        ("circle", pa.int32()),
        ("collected_us", pa.int64()),
        ("source", pa.string()),
        ("payload", pa.binary()),
    ]
)
EMBEDDINGS: Final = pa.schema(
    [("record_id", pa.string()), ("account", pa.int32()), ("circle", pa.int32()), ("embedding", pa.binary())]
)

ORDER: Final = {
    "records": [(name, "ascending") for name in ("account", "circle", "collected_us", "record_id")],
    "embeddings": [(name, "ascending") for name in ("account", "circle", "record_id")],
}
_STATISTICS: Final = ["account", "circle", "collected_us", "source"]
_REPEATED: Final = ["account", "circle", "source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record on its way into the lake.

    Attributes:
        record_id: Identity of the record, 32 hexadecimal characters, from `record_id`.
        account: Id of the account whose terms govern the record.
        people: Pseudonyms of the people concerned, the speaker or actor first, nobody twice.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
        source: Identity of the meeting or channel that it belongs to, from `references.source_id`; empty if none.
        payload: What was collected, as a JSON object; none for a record that was written before, and is not looked at.
        version: Larger for a newer form of what its source may change; none where what came first stays.
        origin: The conversation at the source, where the source may take records back; else empty.
        written: The payload's canonical JSON: `as_written`, where somebody has written it already.

    Raises:
        InvalidInputError: The payload has no canonical JSON form, or there is neither a payload nor what is written.
    """

    record_id: str
    account: str
    people: tuple[str, ...]
    category: str
    collected_us: int
    source: str
    payload: dict[str, Any] | None = None
    version: int | None = None
    origin: str = ""
    written: bytes = field(init=False, repr=False, compare=False)
    as_written: InitVar[bytes] = b""

    def __post_init__(self, as_written: bytes) -> None:
        """Write the payload once, for all who store it, seal it or compare it."""
        if not as_written and self.payload is None:
            raise InvalidInputError("A record without its content cannot be stored.")
        object.__setattr__(self, "written", as_written or canonical_json(self.payload))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A record that the gate has let through, decrypted.

    Attributes:
        record_id: Identity of the record, 32 hexadecimal characters.
        account: Id of the account whose terms govern the record.
        people: Pseudonyms of the people concerned, the speaker or actor first.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
        payload: What was collected, as a JSON object.
        embedding: Sentence embedding of the payload's text, shape (384,), float32, unit norm; none if not derived.
        conversation: The meeting, channel or file that it belongs to; empty if none; None where that is not known.
        merged: Pseudonym -> that of the person who is kept, for those of the people who were merged into somebody; none
            where that is nobody.
    """

    record_id: str
    account: str
    people: tuple[str, ...]
    category: str
    collected_us: int
    payload: dict[str, Any]
    embedding: NDArray[np.float32] | None = None
    conversation: ConversationRef | None = None
    merged: Mapping[str, str] | None = None

    @property
    def author(self) -> str:
        """One pseudonym for the speaker or actor, under whichever identity: what counts people has to count."""
        return self.merged_into or self.people[0]

    @property
    def everyone(self) -> tuple[str, ...]:
        """One pseudonym for each person concerned, under whichever identities, the author first and nobody twice."""
        merged = self.merged
        return tuple(dict.fromkeys(merged.get(one, one) for one in self.people)) if merged else self.people

    @property
    def merged_into(self) -> str | None:
        """The pseudonym of the person into whom the first of the people was merged; none if that is nobody."""
        return self.merged.get(self.people[0]) if self.merged and self.people else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRecord:
    """A record that concerns a person, without its content.

    Attributes:
        record_id: Identity of the record, 32 hexadecimal characters.
        account: Id of the account whose terms govern the record.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
        source: Identity of the meeting or channel, from `references.source_id`; empty if none.
        is_own: Whether the person said, wrote or did it; if not, it is somebody else's and concerns the person.
        others: The number of other people that it concerns.
    """

    record_id: str
    account: str
    category: str
    collected_us: int
    source: str
    is_own: bool
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of a batch.

    Attributes:
        stored: How many records are there now and were not before.
        known: How many the lake had already, or had until they were erased.
        replaced: How many took the place of an older form.
        outdated: How many of those known are older than the form that is there.
        other: How many of those known have other content than what is there under the same key.
    """

    stored: int
    known: int
    replaced: int = 0
    outdated: int = 0
    other: int = 0


def record_id(account: str, key: str) -> str:
    """Return the identity of a record from its account and its key at the source: 32 hexadecimal characters."""
    return digest(canonical_json([account, key]))[:32]


@lru_cache(maxsize=100_000)
def is_sealed(category: str) -> bool:
    """Return whether payloads of a category are encrypted at rest: all but what the service itself generates.

    What terms declare under a root of its own is, too, content or not: later terms may say that it is content, and what
    lies in the lake by then must not be readable.
    """
    return not category.startswith(_PLAIN)


def bucket_of(account: str) -> int:
    """Return the bucket of an account, from 0 to 63, the same on every machine."""
    return int(digest(account.encode())[:8], 16) % BUCKETS


def write_table(table: pa.Table, sink: pa.NativeFile) -> None:
    """Write rows, sorted already, as a Parquet file of the lake's layout."""
    names = table.column_names
    pq.write_table(
        table,
        sink,
        compression="zstd",
        row_group_size=GROUP_ROWS,
        use_dictionary=[name for name in _REPEATED if name in names],
        write_statistics=[name for name in _STATISTICS if name in names],
        column_encoding={"collected_us": "DELTA_BINARY_PACKED"} if "collected_us" in names else None,
    )


def is_derived(row: Row) -> bool:
    """Return whether a record was derived from what others, or several people, said: a meeting's summary."""
    return row.payload.get("kind") in _DERIVED
