"""The lake's API: every question that may be put to it, on one page. Each is answered by the module that it names."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from volition.consent.gate import Engine, Participant, PartySets, Record, Subject
from volition.consent.parties import Parties, Person
from volition.consent.permits import Permits, Reason
from volition.consent.references import Pseudonym, account_ref, person_ref
from volition.ledger.log import Ledger
from volition.progress import Progress
from volition.records.commitment import CollectedBatch, Fact, Recorded
from volition.records.lake.append import append_records
from volition.records.lake.batches import CollectionCheck, batches_of
from volition.records.lake.buffer import Buffer, in_goes
from volition.records.lake.check import damaged_files, lost_files
from volition.records.lake.columns import RecordColumns
from volition.records.lake.compact import Compacted, compact_alike, compact_files, count_spare_files
from volition.records.lake.embed import Embedder, TextEncoder
from volition.records.lake.encryption import RecordCipher
from volition.records.lake.erase import remove_account, remove_person
from volition.records.lake.forms import count_other, remove_others
from volition.records.lake.index import LakeIndex
from volition.records.lake.permitted import PermittedRows
from volition.records.lake.quarantine import remove_naming, remove_of_account, set_aside
from volition.records.lake.reader import Reader
from volition.records.lake.records import Appended, HeldRecord, NewRecord, Row
from volition.records.lake.writer import Writer


def _nobody_gone() -> Callable[[str], bool]:
    return lambda _party: False


class Lake:
    """Records in a folder. Writers take turns; readers wait for nothing but what was received and not laid out yet."""

    def __init__(
        self,
        folder: Path,
        parties: Parties,
        engine: Engine,
        ledger: Ledger | None = None,
        *,
        gone: Callable[[], Callable[[str], bool]] = _nobody_gone,
    ) -> None:
        """Open the lake in `folder`, creating it if it is not there.

        Args:
            folder: Where the records lie.
            parties: Encrypts and decrypts content with the accounts' keys.
            engine: Runs the gate over files.
            ledger: Told of each batch before it is stored; none for a lake that will just be read, as it is.
            gone: Says what says of a party, as the ledger names it, whether it was erased by now.

        Raises:
            BackendError: The folder or its index cannot be opened.
        """
        self._folder = folder
        self._parties = parties
        self._ledger = ledger
        index = folder / "index.db"
        self._index = parties.stores.open(index, lambda _: LakeIndex(folder, parties.stores.generation(index)))
        self._columns = RecordColumns(self._index)
        self._cipher = RecordCipher(parties)
        self._reader = Reader(self._index, self._columns, self._cipher, engine)
        self._writer = Writer(self._index)
        self._embedder = Embedder(self._writer, self._cipher)
        self._buffer = Buffer(folder, parties)
        self._gone = gone

    def close(self) -> None:
        """Close the index, and the buffer."""
        self._buffer.close()
        self._index.close()

    # --- writing ---

    def append(self, records: Sequence[NewRecord]) -> Appended:
        """Store a batch of records: all of it or, on failure, none of it. Known records are skipped.

        The ledger has an entry of what is stored before any of it is visible.

        Raises:
            BackendError: The disk is full or cannot be written; nothing of the batch is visible, send it again.
            InvalidInputError: The lake was opened without a ledger.
        """
        return append_records(records, self._writer, self._cipher, self._ledger)

    def receive(self, records: Sequence[NewRecord]) -> None:
        """Take a batch in one synced append, durably; it is laid out in files later, or before anybody reads it.

        Known records are skipped then, and of whom was erased meanwhile nothing is laid out.

        Raises:
            BusyError: Too much waits already; nothing was taken.
            BackendError: The disk is full or cannot be written; nothing was taken.
            RefusedError: An account was erased meanwhile.
        """
        if records:
            self._buffer.add(records)

    def refuse_if_full(self) -> None:
        """Check that `receive` has room. Raises BusyError."""
        self._buffer.refuse_if_full()

    @property
    def waiting(self) -> int:
        """How many records were received and are not laid out in files yet."""
        return self._buffer.waiting()[0]

    def drain(self, *, accounts: Collection[str] | None = None, categories: Collection[str] | None = None) -> int:
        """Lay out in files what was received until now; every reader does so first, with what it is about to read.

        Args:
            accounts: Only of these; none for all.
            categories: Only of these; none for all.

        Returns:
            How many records it took, known ones included.

        Raises:
            BackendError: The disk is full or cannot be written, or the buffer was changed; what waits is kept.
        """
        if self._ledger is None:
            return 0
        taken = 0
        for parts in in_goes(self._buffer.parts(accounts, categories)):
            with self._buffer.turn():
                records = self._buffer.records(parts)
                if records:
                    is_gone = self._gone()
                    kept = [one for one in records if not _is_of_anyone(one, is_gone)]
                    append_records(kept, self._writer, self._cipher, self._ledger)
                self._buffer.remove(parts)
            taken += len(records)
        return taken

    def embed(  # noqa: PLR0913 - which rows, under whose permits, and how
        self,
        permits: Permits,
        encoder: TextEncoder,
        *,
        categories: Iterable[str],
        accounts: Sequence[str] | None = None,
        source: str | None = None,
        most: int | None = None,
        progress: Progress,
    ) -> int:
        """Derive the missing sentence embeddings of permitted content, and keep them beside their source.

        An embedding is derived data: computed only under a permit for the purpose at hand, once per record, encrypted
        under the account's key and erased with its source. If interrupted, the next call continues where it stopped.
        With `most`, so many are computed at most, and the next call continues after them.

        Returns:
            How many embeddings were computed.
        """
        computed = 0
        for category in sorted(categories):
            underived = self.rows(permits, categories=[category], accounts=accounts, source=source, underived=True)
            left = None if most is None else most - computed
            computed += self._embedder.embed(category, underived, encoder, progress, most=left)
            if computed == most:
                break
        return computed

    def count_underived(self, permits: Permits, *, categories: Iterable[str]) -> int:
        """Count the permitted records without an embedding; nothing is decrypted.

        Raises:
            BackendError: A file cannot be read.
        """
        return self._reader.count_underived(permits, categories=categories)

    def count_other(self, records: Sequence[NewRecord]) -> int:
        """Return how many of some records the lake knows under the same key with other content; nothing is stored."""
        self.drain(accounts={one.account for one in records})
        return count_other(records, self._index, self._cipher)

    def known(self, records: Sequence[str]) -> set[str]:
        """Return which of some records, by the identity under their keys, lie here, or did until they were erased."""
        return set(self._index.forms(records))

    def remove_others(  # noqa: PLR0913 - a stretch of a conversation
        self,
        account: str,
        conversation: str,
        *,
        category: str,
        origin: str,
        stretch_us: tuple[int, int],
        sure_us: int,
        present: Iterable[str],
    ) -> int:
        """Remove what a source has taken back: it gave all that it still has of a stretch, and this was not among it.

        Args:
            account: Whose conversation it is.
            conversation: The name of the channel.
            category: What its records are.
            origin: Where its records come from; others of the same channel stay.
            stretch_us: From when (included) until when (not included) the source gave everything.
            sure_us: Until when it surely did, where the input may be an old one.
            present: The identities, under their keys, of what the source gave.

        Returns:
            How many records were removed.

        Raises:
            BackendError: The disk is full or cannot be written; what was there is as it was.
        """
        self.drain(accounts={account})
        return remove_others(
            account,
            conversation,
            category=category,
            origin=origin,
            stretch_us=stretch_us,
            sure_us=sure_us,
            present=present,
            writer=self._writer,
        )

    def quarantine(self, account: str | None, lines: Sequence[dict[str, Any]]) -> Path | None:
        """Set bad input aside as JSON lines: source, where, why, raw, and the handles of its people where it has any.

        The raw text is encrypted under the account's key (`sealed_raw`, hexadecimal), and so are the handles; it stays
        as it came only if its account is unknown. The file is named by its content: the same input is set aside once.

        Returns:
            The quarantine file, or none when there is nothing to set aside.

        Raises:
            BackendError: The disk is full or cannot be written.
        """
        return set_aside(self._folder / "quarantine", self._parties, account, lines)

    # --- reading, through the gate ---

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
        """Yield the records that `permits` lets through, decrypted, by category and bucket, otherwise in no order.

        Args:
            permits: Decide, for their purpose at their instant.
            categories: Leaves of `terms.CATEGORIES`.
            accounts: Only these accounts' records; none for all.
            source: Only the records of one meeting or channel, from `source_id`.
            underived: Only records without an embedding; the others are not even decrypted.
            record: Only the record of this identity; likewise.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: An account was erased meanwhile.
        """
        categories = tuple(categories)
        self.drain(accounts=accounts, categories=categories)
        return self._reader.rows(
            permits, categories=categories, accounts=accounts, source=source, underived=underived, record=record
        )

    @contextmanager
    def in_order(
        self, permits: Permits, *, categories: Iterable[str], until_us: int, embedded: bool
    ) -> Iterator[PermittedRows]:
        """Give the records that `permits` lets through, decrypted, in columns and in one order (`ORDER_OF_ROWS`).

        However many there are: what does not fit into memory is sorted on the lake's disk, encrypted as it lies here.

        Args:
            permits: Decide, for their purpose at their instant.
            categories: Leaves of `terms.CATEGORIES`.
            until_us: Only what was collected by then.
            embedded: Whether embeddings are wanted, too.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: An account was erased meanwhile.
        """
        categories = tuple(categories)
        self.drain(categories=categories)
        with self._reader.in_order(
            permits, categories=categories, until_us=until_us, embedded=embedded, scratch=self._folder
        ) as rows:
            yield rows

    def reasons(
        self, permits: Permits, *, categories: Iterable[str], source: str | None = None
    ) -> dict[str, dict[Reason | None, int]]:
        """Count the records of each category, or of one meeting or channel, by the gate's reason; none: permitted."""
        categories = tuple(categories)
        self.drain(categories=categories)
        return self._reader.reasons(permits, categories=categories, source=source)

    def _drained(self, categories: Iterable[str] | None) -> tuple[str, ...]:
        """Drain what is about to be read, and return it: all categories that there are, where none are named."""
        named = None if categories is None else tuple(categories)
        self.drain(categories=named)
        return self._index.categories() if named is None else named

    def own_rows(self, subject: Subject, *, categories: Iterable[str] | None = None) -> Iterator[Row]:
        """Yield what a person said, wrote or did, decrypted, for that person alone: nobody's yes is asked for.

        What others said is left out, even if the person was there; so is what was derived from several people's words.

        Args:
            subject: The person who asks, and the instant.
            categories: Leaves of `terms.CATEGORIES`.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: An account was erased meanwhile.
        """
        categories = self._drained(categories)
        return self._reader.own_rows(subject, categories=categories)

    def heard_rows(
        self,
        participant: Participant,
        *,
        categories: Iterable[str],
        source: str | None = None,
        record: str | None = None,
    ) -> Iterator[Row]:
        """Yield what was said or written while a person was there, decrypted, for that person alone to read again.

        Args:
            participant: The person who reads, their account, and the instant.
            categories: Leaves of `terms.CATEGORIES`.
            source: Only the records of one meeting or channel, from `source_id`.
            record: Only the record of this identity.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: The account was erased meanwhile.
        """
        categories = tuple(categories)
        self.drain(categories=categories)
        return self._reader.heard_rows(participant, categories=categories, source=source, record=record)

    def held(self, subject: Subject, *, categories: Iterable[str] | None = None) -> Iterator[HeldRecord]:
        """Yield every record that concerns a person, without its content: by category, otherwise in no order.

        Raises:
            BackendError: A file cannot be read.
        """
        categories = self._drained(categories)
        return self._reader.held(subject, categories=categories)

    # --- what the ledger says of records ---

    def facts(self, subject: Subject, *, categories: Iterable[str] | None = None) -> Iterator[Fact]:
        """Yield of every record that concerns a person what the ledger commits to, with the other people of each.

        Raises:
            BackendError: A file cannot be read.
        """
        categories = self._drained(categories)
        return self._reader.facts(subject, categories=categories)

    def collected(self, records: Sequence[Recorded]) -> list[CollectedBatch]:
        """Return what shows of some records, by their positions, that they are as they were collected; by entry.

        Raises:
            ProofError: A record is not as it was collected, or the ledger does not say what the lake says.
        """
        return batches_of(records, self._index, self._ledger)

    def collection_check(self, rows: PermittedRows) -> CollectionCheck:
        """Return what shows the same of more rows than fit into memory, which it is given block by block."""
        return CollectionCheck(self._index, self._ledger, rows.groups, self._folder)

    def has_entry(self, records: Sequence[str]) -> bool:
        """Return whether the ledger has an entry about how any of some records, named by id, was collected."""
        return bool(self._index.batches_of(records))

    # --- unencrypted columns, and counts ---

    def gate_record(self, record: str) -> Record:
        """Return what the gate must know of a record, without decrypting it.

        Raises:
            InvalidInputError: The lake holds no such record.
        """
        self.drain()
        found, source = self._columns.gate_record(record)
        return replace(found, conversation=self._parties.conversation_ref(found.account, source))

    def meeting(
        self, account: str, name: str, *, category: str = "content/transcript"
    ) -> tuple[tuple[str, ...], int] | None:
        """Return whom a meeting concerns (pseudonyms, in the order of speaking) and when its last part was collected.

        With `content/chat`, the same for a channel. None if no such meeting was collected.
        """
        self.drain(accounts={account}, categories={category})
        return self._columns.meeting(account, name, category=category)

    def people_by_source(self, account: str, *, category: str) -> dict[str, set[tuple[str, ...]]]:
        """Return whom the records of each of an account's meetings, channels or files concern, by `source_id`.

        People are named as the gate names them, the speaker first; each different list of them once.
        """
        self.drain(accounts={account}, categories={category})
        return self._columns.people_by_source(account, category=category)

    def party_sets_of(self, account: str) -> PartySets:
        """Return an account's party sets: whom its records concern. Their ids are their positions here."""
        self.drain(accounts={account})
        return self._columns.party_sets_of(account)

    def state(self, account: str, categories: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Return a value that changes when any of an account's records is added, embedded, moved or erased (an ETag).

        It says nothing else, and may also change because of another account.
        """
        categories = tuple(categories)
        self.drain(accounts={account}, categories=categories)
        return self._columns.state(account, categories)

    def size(self) -> dict[str, int]:
        """Return how many records lie in the lake, by category, whether or not anything may use them."""
        self.drain()
        return self._index.size()

    def accounts(self) -> dict[str, int]:
        """Return how many records each account has in the lake, whether or not anything may use them."""
        self.drain()
        return self._columns.accounts()

    # --- erasing, compacting ---

    def erase_account(self, account: str) -> int:
        """Rewrite the files without an account's records and what was derived; return how many records were removed."""
        self.drain(accounts={account})
        return remove_account(account, self._writer)

    def erase_person(self, pseudonym: str) -> int:
        """Rewrite the files without the records whose first person this is; return how many records were removed.

        What was derived from what the person said is removed, too: a meeting's summary may hold their words. Records of
        others that merely concern the person stay where they are: the gate refuses them (`erased`) wherever the person
        has a say.
        """
        self.drain()
        return remove_person(pseudonym, self._writer, self._cipher)

    def erase_set_aside_account(self, account: str) -> int:
        """Remove an account's lines from the quarantine, as long as its key is there; return how many.

        Raises:
            BackendError: A file cannot be read or written; it is called again.
        """
        return remove_of_account(self._folder / "quarantine", self._parties, account)

    def erase_set_aside_person(self, person: Person) -> int:
        """Remove from the quarantine every line that names a person, as long as their handles are known; say how many.

        A line that nobody can read goes, too. What stays is what does not name them: words whose speaker was not known
        when they were set aside.

        Raises:
            BackendError: A file cannot be read or written; it is called again.
        """
        return remove_naming(self._folder / "quarantine", self._parties, person)

    def compact(self, progress: Progress) -> Compacted:
        """Merge the many small files that collecting leaves into large ones; rows stay as they are, encrypted.

        Each new file is a transaction of its own: if killed, a compaction keeps what it has done, and the next one
        continues. Readers are not disturbed. Memory holds a few times `COMPACT_BYTES`, whatever the lake's size.

        Raises:
            BackendError: The disk is full or cannot be written; what was there is unchanged.
        """
        return compact_files(self._index, self._writer, progress)

    def compact_alike(self) -> int:
        """Merge files of about one size where many have piled up, so that each row is merged a few times in all.

        It is little work, done after `drain`; `compact` makes as few files as there can be.

        Returns:
            How many rows it moved.

        Raises:
            BackendError: As `compact`.
        """
        return compact_alike(self._index, self._writer)

    def damaged_files(self) -> list[str]:
        """Return what is lost or damaged of the files that the index names, as sentences; nothing is decrypted."""
        return damaged_files(self._index)

    def lost_files(self) -> list[Path]:
        """Return the files that the index names and that are gone."""
        return lost_files(self._index)

    def sweep_killed(self) -> None:
        """Remove what a killed writer left. Raises BackendError where the lake cannot be written."""
        self._writer.sweep_killed()

    def small_files(self) -> int:
        """Return the number of files beyond one for each kind, category and bucket: those that compaction may save."""
        self.drain()
        return count_spare_files(self._index)


def _is_of_anyone(record: NewRecord, is_gone: Callable[[str], bool]) -> bool:
    """Say whether a record is an account's, or was said or done by a person, of whom nothing may be kept."""
    parties = (account_ref(record.account), *map(person_ref, map(Pseudonym, record.people[:1])))
    return any(map(is_gone, parties))
