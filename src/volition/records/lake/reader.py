"""Reading through the gate: the only way in which records leave the lake (row-level access control).

- Records are read with `rows` and counted with `reasons`, and both need permits.
- Two exemptions ask for nobody's yes. With `own_rows` a person gets what is their own, and nothing else: the gate's
  `own` judges. What somebody else said is not in it, though `held` shows that it exists. With `heard_rows` a person
  reads again what was said while they were there: the gate's `heard` judges.
- An engine judges what lies in the files; only what it lets through is decrypted.
- Readers never wait, and continue while files are replaced: all files of a bucket are opened before its first record is
  returned, and listed again if one was replaced before that.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volition.consent.gate import (
    EffectivePermits,
    Engine,
    Gate,
    Participant,
    PartySets,
    Record,
    Subject,
    exclusion_of,
    fold,
    heard,
    own,
)
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Permits, Reason
from volition.consent.references import ConversationRef, Pseudonym, person_ref
from volition.errors import BackendError
from volition.records.commitment import Fact
from volition.records.lake.columns import RecordColumns
from volition.records.lake.encryption import RecordCipher
from volition.records.lake.index import LakeIndex
from volition.records.lake.permitted import ORDER_OF_ROWS, SEALED, Groups, Meetings, PermittedRows
from volition.records.lake.records import DERIVED_IN, HEARD_IN, PERSON, HeldRecord, Row, bucket_of, is_derived
from volition.records.spilled import SpilledSort


class Reader:
    """Returns what the gate lets through."""

    def __init__(self, index: LakeIndex, columns: RecordColumns, cipher: RecordCipher, engine: Engine) -> None:
        self._index = index
        self._columns = columns
        self._cipher = cipher
        self._engine = engine

    def rows(  # noqa: PLR0913 - which rows, under whose permits
        self,
        permits: Permits,
        *,
        categories: Iterable[str],
        accounts: Sequence[str] | None = None,
        source: str | None = None,
        underived: bool = False,
        record: str | None = None,
    ) -> Iterator[Row]:
        """Yield the records that `permits` lets through, decrypted, by category and bucket, otherwise in no order."""
        as_heard = _AsHeard(permits)
        for category in categories:
            for bucket in self._index.buckets(category):
                for batch, party_sets in self._permitted(
                    partial(_effective_permits, permits, category, accounts),
                    category,
                    bucket,
                    source,
                    permits=permits,
                ):
                    wanted = _only(_underived(batch) if underived else batch, record)
                    yield from filter(as_heard.permits_row, self._cipher.decrypt_rows(wanted, party_sets, category))

    @contextmanager
    def in_order(
        self, permits: Permits, *, categories: Iterable[str], until_us: int, embedded: bool, scratch: Path
    ) -> Iterator[PermittedRows]:
        """Give the records that `permits` lets through, in columns and in one order, however many there are."""
        groups = Groups()
        meetings = Meetings(groups)
        accounts: dict[int, pa.Array] = {}  # names of those of the bucket at hand, by its first group
        with SpilledSort(SEALED, ORDER_OF_ROWS, scratch) as rows:
            for category in categories:
                for bucket in self._index.buckets(category):
                    for batch, party_sets in self._permitted(
                        partial(_effective_permits, permits, category, None), category, bucket, None, permits=permits
                    ):
                        first = groups.add(category, party_sets)
                        if first not in accounts:
                            accounts = {first: pa.array(party_sets.accounts, pa.string())}
                        owners = accounts[first].take(pa.array(party_sets.account[batch.column("circle").to_numpy()]))
                        sealed = _sealed(batch, owners, first, until_us=until_us, embedded=embedded)
                        meetings.add(sealed)
                        rows.add(sealed)
            yield PermittedRows(self._opened(permits, rows.sorted(), groups), groups, rows.rows, meetings)

    def _opened(self, permits: Permits, sealed: Iterable[pa.RecordBatch], groups: Groups) -> Iterator[pa.RecordBatch]:
        """Yield sealed rows decrypted, but for those that were heard in what may not be used."""
        as_heard = _AsHeard(permits)
        for batch in sealed:
            opened = self._cipher.open_columns(batch, groups)
            names_it = pc.match_substring(opened.column("payload"), f'"{HEARD_IN}"')
            told = np.flatnonzero(names_it.to_numpy(zero_copy_only=False))
            refused = []
            for place in told.tolist():
                group = groups.of(opened.column("group")[place].as_py())
                payload = json.loads(opened.column("payload")[place].as_py())
                at_us = opened.column("collected_us")[place].as_py()
                conversation = opened.column("conversation")[place].as_py()
                if not as_heard.permits(group.account, group.people, at_us, conversation, payload):
                    refused.append(place)
            if refused:
                kept = np.delete(np.arange(len(opened)), refused)
                opened = opened.take(pa.array(kept))
            yield opened

    def count_underived(self, permits: Permits, *, categories: Iterable[str]) -> int:
        """Count the permitted records without an embedding; nothing is decrypted."""
        return sum(
            len(_underived(batch))
            for category in categories
            for bucket in self._index.buckets(category)
            for batch, _ in self._permitted(
                partial(_effective_permits, permits, category, None), category, bucket, None, permits=permits
            )
        )

    def _permitted(
        self,
        effective_permit_of: Callable[[PartySets], EffectivePermits | None],
        category: str,
        bucket: int,
        source: str | None,
        *,
        permits: Permits | None = None,
    ) -> Iterator[tuple[pa.RecordBatch, PartySets]]:
        """Yield the permitted batches of a bucket, and the party sets that they refer to.

        With permits, nothing of a conversation that was left out of their purpose.

        An engine opens every file before it returns the first batch, so a file that was replaced before that is no
        error: the bucket is listed again, and nothing is returned twice.
        """
        while True:
            files = self._index.files(category, bucket)
            party_sets = self._index.party_sets(bucket)
            effective_permits = effective_permit_of(party_sets)
            if effective_permits is None or not files["records"]:
                return
            if permits is not None:
                excluded = self._excluded(permits, category, bucket, party_sets)
                effective_permits = replace(effective_permits, excluded=excluded)
            batches = self._engine.permitted(
                files["records"], effective_permits, derived=files["embeddings"], source=source
            )
            try:
                first = next(batches, None)
            except BackendError:
                if self._index.files(category, bucket) == files:
                    raise
                continue
            if first is not None:
                yield first, party_sets
                yield from ((batch, party_sets) for batch in batches)
            return

    def _excluded(
        self, permits: Permits, category: str, bucket: int, party_sets: PartySets
    ) -> frozenset[tuple[str, int]]:
        """Return what of a bucket is of a conversation that was left out: its source, with the party set concerned."""
        history = permits.history
        chosen = party_sets.of_accounts({one for one in party_sets.accounts if history.exclusions.concern(one)})
        excluded: set[tuple[str, int]] = set()
        for source, party_set in self._columns.sources(category, bucket, chosen) if chosen else ():
            account = party_sets.account_of(party_set)
            record = Record(
                account=account,
                people=party_sets.people_of(party_set),
                category=category,
                collected_us=0,
                conversation=self._cipher.conversation(account, source),
            )
            if exclusion_of(history, record, purpose=permits.purpose, at_us=permits.at_us) is not None:
                excluded.add((source, party_set))
        return frozenset(excluded)

    def reasons(
        self, permits: Permits, *, categories: Iterable[str], source: str | None = None
    ) -> dict[str, dict[Reason | None, int]]:
        """Count the records of each category, or of one meeting or channel, by the gate's reason; none: permitted."""
        found: dict[str, dict[Reason | None, int]] = {}
        for category in categories:
            counts: dict[Reason | None, int] = defaultdict(int)
            for bucket in self._index.buckets(category):

                def count(
                    files: Sequence[str], bucket: int = bucket, category: str = category
                ) -> dict[Reason | None, int]:
                    party_sets = self._index.party_sets(bucket)
                    excluded = self._excluded(permits, category, bucket, party_sets)
                    effective_permits = replace(fold(permits, party_sets, category), excluded=excluded)
                    return self._engine.reasons(files, effective_permits, source=source)

                for reason, total in self._columns.read(category, bucket, count).items():
                    counts[reason] += total
            if counts:
                found[category] = dict(counts)
        return found

    def own_rows(self, subject: Subject, *, categories: Iterable[str]) -> Iterator[Row]:
        """Yield what a person said, wrote or did, decrypted, for that person alone: nobody's yes is asked for."""
        for category in categories:
            for row in self._first_rows(subject, category):
                if not is_derived(row):
                    yield row

    def _first_rows(self, subject: Subject, category: str) -> Iterator[Row]:
        for bucket in self._buckets_of(subject, category):
            for batch, party_sets in self._permitted(partial(own, subject), category, bucket, None):
                yield from self._cipher.decrypt_rows(batch, party_sets, category)

    def _buckets_of(self, subject: Subject, category: str) -> list[int]:
        """Return the buckets that have records of a category and may have some that concern a person."""
        pseudonyms = (subject.pseudonym, *subject.merged)
        there = {bucket for one in pseudonyms for bucket, _ in self._index.numbers_of_person(one)}
        return [bucket for bucket in self._index.buckets(category) if bucket in there]

    def held(self, subject: Subject, *, categories: Iterable[str]) -> Iterator[HeldRecord]:
        """Yield every record that concerns a person, without its content: by category, otherwise in no order."""
        for category in categories:
            derived: set[str] = set()
            if category in DERIVED_IN:
                derived = {row.record_id for row in self._first_rows(subject, category) if is_derived(row)}
            for key, account, people in self._concerning(subject, category):
                yield HeldRecord(
                    record_id=key["record_id"],
                    account=account,
                    category=category,
                    collected_us=key["collected_us"],
                    source=key["source"],
                    is_own=people[0] in subject.parties and key["record_id"] not in derived,
                    others=len(set(people) - subject.parties),
                )

    def facts(self, subject: Subject, *, categories: Iterable[str]) -> Iterator[Fact]:
        """Yield of every record that concerns a person what the ledger commits to: by category, otherwise in no order.

        A fact names the other people, too: nothing of them may leave but as a leaf, which has aliases.
        """
        for category in categories:
            for key, account, people in self._concerning(subject, category):
                yield Fact(
                    key["record_id"],
                    account,
                    tuple(person.removeprefix(PERSON) for person in people),
                    category,
                    key["collected_us"],
                    self._cipher.conversation(account, key["source"]),
                )

    def _concerning(self, subject: Subject, category: str) -> Iterator[tuple[dict[str, Any], str, tuple[str, ...]]]:
        """Yield the columns of each record that concerns a person, with its account and all of its people."""
        for bucket in self._buckets_of(subject, category):
            party_sets = self._index.party_sets(bucket)
            numbers = [number for number, person in enumerate(party_sets.people) if person in subject.parties]
            places = np.flatnonzero(np.isin(party_sets.members, numbers))
            chosen = np.unique(np.searchsorted(party_sets.offsets, places, side="right") - 1)
            people = {party_set: party_sets.people_of(party_set) for party_set in chosen.tolist()}
            if not people:
                continue
            for key in self._columns.find(category, bucket, ("circle", "in", list(people))).to_pylist():
                if key["collected_us"] <= subject.at_us:
                    yield key, party_sets.account_of(key["circle"]), people[key["circle"]]

    def heard_rows(
        self,
        participant: Participant,
        *,
        categories: Iterable[str],
        source: str | None = None,
        record: str | None = None,
    ) -> Iterator[Row]:
        """Yield what was said or written while a person was there, decrypted, for that person alone to read again."""
        bucket = bucket_of(participant.account)
        for category in categories:
            for batch, party_sets in self._permitted(partial(heard, participant), category, bucket, source):
                yield from self._cipher.decrypt_rows(_only(batch, record), party_sets, category)


def _only(batch: pa.RecordBatch, record: str | None) -> pa.RecordBatch:
    """Return one record of a batch, if it is there; all of them where none is named."""
    if record is None:
        return batch
    return batch.filter(pa.array([one == record for one in batch["record_id"].to_pylist()], pa.bool_()))


class _AsHeard:
    """Says whether a record that was heard in audio or video may be used as that may: it is never freer."""

    def __init__(self, permits: Permits) -> None:
        self._gate = Gate(permits)
        self._at_us = permits.at_us

    def permits_row(self, row: Row) -> bool:
        return self.permits(row.account, row.people, row.collected_us, row.conversation, row.payload)

    def permits(
        self,
        account: str,
        people: Sequence[str],
        collected_us: int,
        conversation: ConversationRef | None,
        payload: Mapping[str, Any],
    ) -> bool:
        heard_in = payload.get(HEARD_IN)
        if heard_in is None:
            return True
        parties = tuple(person_ref(Pseudonym(one)) for one in people)
        at_us = min(collected_us, self._at_us)
        return all(
            self._gate.may(account, parties, source, at_us, conversation=conversation).permitted
            for source in ([heard_in] if isinstance(heard_in, str) else heard_in)
        )


def _sealed(batch: pa.RecordBatch, accounts: pa.Array, first: int, *, until_us: int, embedded: bool) -> pa.RecordBatch:
    """Return an engine's batch in the columns in which rows are sorted, without those collected later."""
    nothing = pa.nulls(len(batch), pa.binary())
    columns = {
        "account": accounts,
        "collected_us": batch.column("collected_us"),
        "record_id": batch.column("record_id"),
        "group": pa.array(batch.column("circle").to_numpy().astype(np.int64) + first),
        "source": batch.column("source"),
        "payload": batch.column("payload"),
        "embedding": batch.column("embedding") if embedded and "embedding" in batch.schema.names else nothing,
    }
    sealed = pa.record_batch([columns[field.name].cast(field.type) for field in SEALED], schema=SEALED)
    if pc.max(sealed.column("collected_us")).as_py() > until_us:
        return sealed.filter(pc.less_equal(sealed.column("collected_us"), until_us))
    return sealed


def _underived(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the records of a batch that have no embedding."""
    return batch.filter(batch["embedding"].is_null()) if "embedding" in batch.schema.names else batch


def _effective_permits(
    permits: Permits, category: str, accounts: Sequence[str] | None, party_sets: PartySets
) -> EffectivePermits | None:
    """Return the party sets' effective permits, with a refusal for accounts that are not asked about.

    None if no party set is asked about.
    """
    if accounts is None:
        return fold(permits, party_sets, category)
    chosen = np.array(party_sets.of_accounts(accounts), np.int64)
    if not len(chosen):
        return None
    folded = fold(permits, party_sets.take(chosen), category)
    columns = [
        np.full(len(party_sets), nothing, column.dtype)
        for column, nothing in (
            (folded.since_us, NO_PERMIT_US),
            (folded.oldest_us, NO_PERMIT_US),
            (folded.reason, REASON_CODES[Reason.UNKNOWN_PARTY]),
        )
    ]
    for column, values in zip(columns, (folded.since_us, folded.oldest_us, folded.reason), strict=True):
        column[chosen] = values
    since_us, oldest_us, reason = columns
    return EffectivePermits(
        at_us=folded.at_us, since_us=since_us, oldest_us=oldest_us, reason=reason, account=party_sets.account
    )
