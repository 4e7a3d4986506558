"""Erasure (hard delete): files are rewritten without the records that must go, their embeddings and what was derived.

- All files that change do so in one transaction; the old ones are removed from the disk after it.
- What was erased stays erased: the index remembers its identity (a tombstone), and that no embedding of it may be kept.
- Records are decrypted to find those derived from a person's words; nothing of them is returned.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from volition.records.lake.encryption import RecordCipher
from volition.records.lake.index import LakeIndex
from volition.records.lake.records import DERIVED_IN, RECORDS, bucket_of, is_derived
from volition.records.lake.writer import Batch, Writer


def remove_account(account: str, writer: Writer) -> int:
    """Remove an account's records and what was derived from them; return how many records."""
    with writer.writing("the files without the erased records") as batch:
        return rewrite_without(batch, bucket_of(account), "account", batch.index.numbers_of_account(account))


def remove_person(pseudonym: str, writer: Writer, cipher: RecordCipher) -> int:
    """Remove the records whose first person it is, and what was derived from their words; return how many records."""
    removed = 0
    with writer.writing("the files without the erased records") as batch:
        for bucket, number in batch.index.numbers_of_person(pseudonym):
            people = batch.index.members(bucket)
            own = [party_set for party_set, members in people.items() if members[:1] == [number]]
            with_them = [party_set for party_set, members in people.items() if number in members[1:]]
            derived = _derived(batch.index, cipher, bucket, with_them)
            removed += rewrite_without(batch, bucket, "circle", own)
            removed += rewrite_without(batch, bucket, "record_id", derived)
    return removed


def _derived(index: LakeIndex, cipher: RecordCipher, bucket: int, party_sets: Sequence[int]) -> list[str]:
    """Return the identities of those records of some party sets in a bucket that were derived from what people said."""
    found: list[str] = []
    for category in DERIVED_IN if party_sets else ():
        for path in index.files(category, bucket)["records"]:
            table = pq.read_table(path, partitioning=None, filters=[("circle", "in", party_sets)])
            for rows in table.to_batches():
                decrypted = cipher.decrypt_rows(rows, index.party_sets(bucket), category)
                found += [row.record_id for row in decrypted if is_derived(row)]
    return found


def rewrite_without(batch: Batch, bucket: int, column: str, values: Sequence[int] | Sequence[str]) -> int:
    """Rewrite a bucket's files, in the open transaction; return how many records were removed."""
    import pyarrow.compute as pc  # noqa: PLC0415 - only where something is erased

    if not values:
        return 0
    removed = 0
    unwanted = pa.array(values, RECORDS.field(column).type)
    for path, kind, category in batch.index.files_of(bucket):
        place = batch.index.folder / path
        mask = pc.is_in(pq.read_table(place, columns=[column], partitioning=None)[column], unwanted)
        if not pc.any(mask).as_py():
            continue
        table = pq.read_table(place, partitioning=None)
        gone, kept = table.filter(mask), table.filter(pc.invert(mask))
        if kind == "records":
            removed += gone.num_rows
            # A process that has read a record before may still be computing its embedding: that one comes too late.
            batch.index.embed_no_more(gone["record_id"].to_pylist())
            batch.index.forget_forms(gone["record_id"].to_pylist())
        batch.drop(path)
        if kept.num_rows:
            batch.write(kept, kind=kind, category=category, bucket=bucket, under=str(Path(path).parent))
    return removed
