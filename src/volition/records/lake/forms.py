"""Which form of a record lies here: a source may change what it has given (upserts by version), or take it back.

A record is known by its key at the source. If it comes again with other content, then either its source numbers its
forms, and a newer one takes the place of the older; or it does not, and what came first stays. Which form lies in the
lake is remembered as a digest of its encrypted bytes, which says nothing to anyone without the account's key. What was
erased, or taken back at the source, stays away, whatever is collected again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from volition.canonical import canonical_json, digest
from volition.consent.references import source_id
from volition.records.lake.columns import RecordColumns
from volition.records.lake.encryption import RecordCipher
from volition.records.lake.erase import rewrite_without
from volition.records.lake.index import Form, LakeIndex
from volition.records.lake.records import NewRecord, bucket_of, is_sealed
from volition.records.lake.writer import Batch, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What is to become of records whose keys the lake knows already.

    Attributes:
        newer: Forms to be stored in the place of older ones.
        forms: What is to be remembered of them, by the identity under the key.
        outdated: How many are older than what lies here, and stay out.
        other: How many have other content under a key whose source numbers no forms, and stay out.
    """

    newer: list[NewRecord]
    forms: dict[str, Form]
    outdated: int
    other: int


def forms_of(records: Sequence[NewRecord], cipher: RecordCipher) -> dict[str, Form]:
    """Return the form of each record, by the identity under its key."""
    payloads = [record.written for record in records]
    content = [place for place, record in enumerate(records) if is_sealed(record.category)]
    sealed = cipher.encrypt([records[place] for place in content], [payloads[place] for place in content], suffix=b"")
    for place, data in zip(content, sealed, strict=True):
        payloads[place] = data
    return {
        record.record_id: Form(
            digest=sha256(data).digest()[:16], version=record.version, origin=record.origin, current=record.record_id
        )
        for record, data in zip(records, payloads, strict=True)
    }


def take_back(records: Sequence[NewRecord], batch: Batch, cipher: RecordCipher) -> Returned:
    """Compare records that the lake knows with what lies in it, and remove the forms that newer ones replace."""
    known = batch.index.forms([record.record_id for record in records])
    fresh = forms_of(records, cipher)
    candidates: list[tuple[NewRecord, Form]] = []
    kept: dict[str, Form] = {}
    outdated = other = 0
    for record in records:
        before, now = known.get(record.record_id), fresh[record.record_id]
        if before is None:  # it came before forms were remembered
            kept[record.record_id] = now
        elif before.current is None:
            continue  # it was erased, or taken back
        elif before.digest == now.digest:
            if (now.version or 0) > (before.version or 0):
                kept[record.record_id] = replace(before, version=now.version)
        elif now.version is None or before.version is None:
            other += 1
        elif now.version < before.version:
            outdated += 1
        else:
            candidates.append((record, before))
    newer = _replaced(candidates, batch)
    for identity, record in newer.items():
        kept[identity] = replace(fresh[identity], current=record.record_id)
    return Returned(newer=list(newer.values()), forms=kept, outdated=outdated, other=other)


def _replaced(candidates: Sequence[tuple[NewRecord, Form]], batch: Batch) -> dict[str, NewRecord]:
    """Remove the older forms that are there, and return the newer ones by the identity under their key."""
    places: dict[tuple[str, int], list[tuple[NewRecord, str]]] = defaultdict(list)
    for record, before in candidates:
        places[record.category, bucket_of(record.account)].append((record, before.current or ""))
    newer: dict[str, NewRecord] = {}
    for (category, bucket), found in places.items():
        table = RecordColumns(batch.index).find(
            category, bucket, ("record_id", "in", sorted({one for _, one in found}))
        )
        there = set(table["record_id"].to_pylist())
        rewrite_without(batch, bucket, "record_id", sorted(there))
        for record, current in found:
            if current in there:  # or else it was erased before forms were remembered
                form = digest(canonical_json([record.record_id, current, digest(record.written)]))
                newer[record.record_id] = replace(record, record_id=form[:32], as_written=record.written)
    return newer


def count_other(records: Sequence[NewRecord], index: LakeIndex, cipher: RecordCipher) -> int:
    """Return how many records the lake knows with other content."""
    known = index.forms([record.record_id for record in records])
    fresh = forms_of([record for record in records if record.record_id in known], cipher)
    return sum(form.digest != known[identity].digest for identity, form in fresh.items())


def remove_others(  # noqa: PLR0913 - a stretch of a conversation
    account: str,
    conversation: str,
    *,
    category: str,
    origin: str,
    stretch_us: tuple[int, int],
    sure_us: int,
    present: Iterable[str],
    writer: Writer,
) -> int:
    """Remove what a source has not given again, though it gave everything it still has; return how many records.

    Args:
        account: Whose conversation it is.
        conversation: The name of the channel.
        category: What its records are.
        origin: Where its records come from; others of the same channel stay.
        stretch_us: From when (included) until when (not included) the source gave everything.
        sure_us: Until when it surely did. Where something later than the stretch lies here the input may be an old one,
            and what it lacks after this instant may have come since.
        present: The identities, under their keys, of what the source gave.
        writer: Takes the turn.
    """
    with writer.writing("the files without what its source has taken back") as batch:
        bucket = bucket_of(account)
        theirs = batch.index.currents(origin)
        kept = {theirs[identity] for identity in present if identity in theirs}
        table = RecordColumns(batch.index).find(category, bucket, ("source", "=", source_id(account, conversation)))
        lying = dict(zip(table["record_id"].to_pylist(), table["collected_us"].to_pylist(), strict=True))
        mine = {identity: lying[identity] for identity in set(theirs.values()) & lying.keys()}
        start_us, end_us = stretch_us
        if any(at_us >= end_us for at_us in mine.values()):
            end_us = min(end_us, sure_us + 1)
        gone = [one for one, at_us in mine.items() if start_us <= at_us < end_us and one not in kept]
        return rewrite_without(batch, bucket, "record_id", sorted(gone))
