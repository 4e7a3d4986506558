"""The unencrypted columns beside the content: identity, account, people, instant and source of each record; and counts.

Nothing here reads a payload, let alone decrypts one (column pruning). Readers continue while files are replaced by
erasure or compaction: a bucket with a missing file is read again, as a whole.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volition.consent.gate import PartySets, Record
from volition.consent.references import source_id
from volition.errors import BackendError, DamagedError, InvalidInputError
from volition.records.lake.index import LakeIndex
from volition.records.lake.records import PERSON, RECORDS, bucket_of

_COLUMNS: Final = ["record_id", "circle", "collected_us", "source"]

_Found = TypeVar("_Found")


class RecordColumns:
    """The unencrypted columns of a lake's records."""

    def __init__(self, index: LakeIndex) -> None:
        self._index = index

    def read(self, category: str, bucket: int, read: Callable[[Sequence[str]], _Found]) -> _Found:
        """Read something of a bucket's records as a whole; again, if a file was replaced meanwhile.

        Raises:
            BackendError: A file is gone or damaged; nothing of the bucket is taken for empty.
        """
        while True:
            files = self._index.files(category, bucket)
            try:
                return read(files["records"])
            except (BackendError, OSError, pa.ArrowException) as error:
                if self._index.files(category, bucket) != files:
                    continue
                if isinstance(error, BackendError):
                    raise
                raise DamagedError(f"A file of the lake cannot be read: {error}. Restore it from a backup.") from error

    def find(
        self, category: str, bucket: int, condition: tuple[str, str, str | Sequence[int] | Sequence[str]]
    ) -> pa.Table:
        """Return the columns of those records of a bucket that meet a condition."""

        def read(files: Sequence[str]) -> pa.Table:
            if not files:
                return RECORDS.empty_table().select(_COLUMNS)
            return pq.read_table(files, columns=_COLUMNS, partitioning=None, filters=[condition])

        return self.read(category, bucket, read)

    def gate_record(self, record: str) -> tuple[Record, str]:
        """Return what the gate must know of a record, without decrypting it, but for its conversation: its source.

        Raises:
            InvalidInputError: The lake holds no such record.
        """
        for category in self._index.categories():
            for bucket in self._index.buckets(category):
                table = self.find(category, bucket, ("record_id", "=", record))
                if table.num_rows:
                    row = table.to_pylist()[0]
                    party_sets = self._index.party_sets(bucket)
                    return Record(
                        account=party_sets.account_of(row["circle"]),
                        people=party_sets.people_of(row["circle"]),
                        category=category,
                        collected_us=row["collected_us"],
                    ), row["source"]
        msg = f"The lake holds no record {record!r}. Search results and `volition may` name records by their id."
        raise InvalidInputError(msg)

    def meeting(
        self, account: str, name: str, *, category: str = "content/transcript"
    ) -> tuple[tuple[str, ...], int] | None:
        """Return whom a meeting concerns (pseudonyms, in the order of speaking) and when its last part was collected.

        With `content/chat`, the same for a channel. None if no such meeting was collected.
        """
        bucket = bucket_of(account)
        table = self.find(category, bucket, ("source", "=", source_id(account, name)))
        if not table.num_rows:
            return None
        party_sets = self._index.party_sets(bucket)
        parts = sorted(zip(table["collected_us"].to_pylist(), table["circle"].to_pylist(), strict=True))
        people = dict.fromkeys(person for _, party_set in parts for person in party_sets.people_of(party_set)[:1])
        everyone = dict.fromkeys(person for _, party_set in parts for person in party_sets.people_of(party_set))
        return tuple(person.removeprefix(PERSON) for person in people | everyone), parts[-1][0]

    def people_by_source(self, account: str, *, category: str) -> dict[str, set[tuple[str, ...]]]:
        """Return whom the records of each of an account's meetings, channels or files concern, by `source_id`.

        People are named as the gate names them, the speaker first; each different list of them once.
        """
        bucket = bucket_of(account)
        party_sets = self._index.party_sets(bucket)
        chosen = party_sets.of_accounts({account})
        people = {party_set: party_sets.people_of(party_set) for party_set in chosen}
        found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for source, party_set in self.sources(category, bucket, chosen):
            found[source].add(people[party_set])
        found.pop("", None)
        return dict(found)

    def sources(self, category: str, bucket: int, party_sets: Sequence[int]) -> set[tuple[str, int]]:
        """Return which meetings, channels and files the records of some of a bucket's party sets belong to.

        Each as its identity (`references.source_id`), with the number of the party set.
        """

        def read(files: Sequence[str]) -> set[tuple[str, int]]:
            if not files or not party_sets:
                return set()
            columns = pq.read_table(
                files, columns=["source", "circle"], partitioning=None, filters=[("circle", "in", party_sets)]
            )
            pairs = columns.group_by(["source", "circle"]).aggregate([])
            return set(zip(pairs["source"].to_pylist(), pairs["circle"].to_pylist(), strict=True))

        return self.read(category, bucket, read)

    def party_sets_of(self, account: str) -> PartySets:
        """Return an account's party sets: whom its records concern. Their ids are their positions here."""
        party_sets = self._index.party_sets(bucket_of(account))
        return party_sets.take(np.array(party_sets.of_accounts({account}), np.int64))

    def state(self, account: str, categories: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Return a value that changes when any of an account's records is added, embedded, moved or erased (an ETag).

        It says nothing else, and may also change because of another account.
        """
        found = [self._index.files(category, bucket_of(account)) for category in categories]
        return tuple((*files["records"], *files["embeddings"]) for files in found)

    def accounts(self) -> dict[str, int]:
        """Return how many records each account has in the lake, whether or not anything may use them."""

        def count(files: Sequence[str]) -> list[dict[str, int]]:
            if not files:  # erased meanwhile
                return []
            counted = pq.read_table(files, columns=["account"], partitioning=None)["account"].value_counts()
            return [*counted.to_pylist()]

        totals: dict[str, int] = defaultdict(int)
        for category in self._index.categories():
            for bucket in self._index.buckets(category):
                counted = self.read(category, bucket, count)
                names = self._index.accounts(bucket)  # after the files, so that accounts added meanwhile are named
                for one in counted:
                    totals[names[one["values"]]] += one["counts"]
        return dict(totals)
