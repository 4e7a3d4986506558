"""The lake's API: every question that may be put to it, on one page. Each is answered by the module that it names."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from volition.consent.gate import Engine, Participant, PartySets, Record, Subject
from volition.consent.parties import Parties, Person
from volition.consent.permits import Permits, Reason
from volition.consent.terms.model import CATEGORIES
from volition.ledger.log import Ledger
from volition.progress import Progress
from volition.records.commitment import CollectedBatch, Fact, Recorded
from volition.records.lake.append import append_records
from volition.records.lake.batches import batches_of
from volition.records.lake.columns import RecordColumns
from volition.records.lake.compact import Compacted, compact_files, count_spare_files
from volition.records.lake.embed import Embedder, TextEncoder
from volition.records.lake.encryption import RecordCipher
from volition.records.lake.erase import remove_account, remove_person
from volition.records.lake.forms import count_other, remove_others
from volition.records.lake.index import LakeIndex
from volition.records.lake.quarantine import remove_naming, remove_of_account, set_aside
from volition.records.lake.reader import Reader
from volition.records.lake.records import Appended, HeldRecord, NewRecord, Row
from volition.records.lake.writer import Writer


class Lake:
    """Records in a folder. Writers take turns; readers never wait."""

    def __init__(self, folder: Path, parties: Parties, engine: Engine, ledger: Ledger | None = None) -> None:
        """Open the lake in `folder`, creating it if it is not there.

        Args:
            folder: Where the records lie.
            parties: Encrypts and decrypts content with the accounts' keys.
            engine: Runs the gate over files.
            ledger: Told of each batch before it is stored; none for a lake that will just be read.

        Raises:
            BackendError: The folder or its index cannot be opened.
        """
        self._folder = folder
        self._parties = parties
        self._ledger = ledger
        self._index = LakeIndex(folder)
        self._columns = RecordColumns(self._index)
        self._cipher = RecordCipher(parties)
        self._reader = Reader(self._index, self._columns, self._cipher, engine)
        self._writer = Writer(self._index)
        self._embedder = Embedder(self._writer, self._cipher)

    def close(self) -> None:
        """Close the index."""
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

    def embed(  # noqa: PLR0913 - which rows, under whose permits, and how
        self,
        permits: Permits,
        encoder: TextEncoder,
        *,
        categories: Iterable[str],
        accounts: Sequence[str] | None = None,
        source: str | None = None,
        progress: Progress,
    ) -> int:
        """Derive the missing sentence embeddings of permitted content, and keep them beside their source.

        An embedding is derived data: computed only under a permit for the purpose at hand, once per record, encrypted
        under the account's key and erased with its source. If interrupted, the next call continues where it stopped.

        Returns:
            How many embeddings were computed.
        """
        computed = 0
        for category in sorted(categories):
            underived = self.rows(permits, categories=[category], accounts=accounts, source=source, underived=True)
            computed += self._embedder.embed(category, underived, encoder, progress)
        return computed

    def count_other(self, records: Sequence[NewRecord]) -> int:
        """Return how many of some records the lake knows under the same key with other content; nothing is stored."""
        return count_other(records, self._index, self._cipher)

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

    def rows(
        self,
        permits: Permits,
        *,
        categories: Iterable[str],
        accounts: Sequence[str] | None = None,
        source: str | None = None,
        underived: bool = False,
    ) -> Iterator[Row]:
        """Yield the records that `permits` lets through, decrypted, by category and bucket, otherwise in no order.

        Args:
            permits: Decide, for their purpose at their instant.
            categories: Leaves of `terms.CATEGORIES`.
            accounts: Only these accounts' records; none for all.
            source: Only the records of one meeting or channel, from `source_id`.
            underived: Only records without an embedding; the others are not even decrypted.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: An account was erased meanwhile.
        """
        return self._reader.rows(permits, categories=categories, accounts=accounts, source=source, underived=underived)

    def reasons(
        self, permits: Permits, *, categories: Iterable[str], source: str | None = None
    ) -> dict[str, dict[Reason | None, int]]:
        """Count the records of each category, or of one meeting or channel, by the gate's reason; none: permitted."""
        return self._reader.reasons(permits, categories=categories, source=source)

    def own_rows(self, subject: Subject, *, categories: Iterable[str] = CATEGORIES) -> Iterator[Row]:
        """Yield what a person said, wrote or did, decrypted, for that person alone: nobody's yes is asked for.

        What others said is left out, even if the person was there; so is what was derived from several people's words.

        Args:
            subject: The person who asks, and the instant.
            categories: Leaves of `terms.CATEGORIES`.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: An account was erased meanwhile.
        """
        return self._reader.own_rows(subject, categories=categories)

    def heard_rows(
        self, participant: Participant, *, categories: Iterable[str], source: str | None = None
    ) -> Iterator[Row]:
        """Yield what was said or written while a person was there, decrypted, for that person alone to read again.

        Args:
            participant: The person who reads, their account, and the instant.
            categories: Leaves of `terms.CATEGORIES`.
            source: Only the records of one meeting or channel, from `source_id`.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: The account was erased meanwhile.
        """
        return self._reader.heard_rows(participant, categories=categories, source=source)

    def held(self, subject: Subject, *, categories: Iterable[str] = CATEGORIES) -> Iterator[HeldRecord]:
        """Yield every record that concerns a person, without its content: by category, otherwise in no order.

        Raises:
            BackendError: A file cannot be read.
        """
        return self._reader.held(subject, categories=categories)

    # --- what the ledger says of records ---

    def facts(self, subject: Subject, *, categories: Iterable[str] = CATEGORIES) -> Iterator[Fact]:
        """Yield of every record that concerns a person what the ledger commits to, with the other people of each.

        Raises:
            BackendError: A file cannot be read.
        """
        return self._reader.facts(subject, categories=categories)

    def collected(self, records: Sequence[Recorded]) -> list[CollectedBatch]:
        """Return what shows of some records, by their positions, that they are as they were collected; by entry.

        Raises:
            ProofError: A record is not as it was collected, or the ledger does not say what the lake says.
        """
        return batches_of(records, self._index, self._ledger)

    # --- unencrypted columns, and counts ---

    def gate_record(self, record: str) -> Record:
        """Return what the gate must know of a record, without decrypting it.

        Raises:
            InvalidInputError: The lake holds no such record.
        """
        found, source = self._columns.gate_record(record)
        return replace(found, conversation=self._parties.conversation_ref(found.account, source))

    def meeting(
        self, account: str, name: str, *, category: str = "content/transcript"
    ) -> tuple[tuple[str, ...], int] | None:
        """Return whom a meeting concerns (pseudonyms, in the order of speaking) and when its last part was collected.

        With `content/chat`, the same for a channel. None if no such meeting was collected.
        """
        return self._columns.meeting(account, name, category=category)

    def people_by_source(self, account: str, *, category: str) -> dict[str, set[tuple[str, ...]]]:
        """Return whom the records of each of an account's meetings, channels or files concern, by `source_id`.

        People are named as the gate names them, the speaker first; each different list of them once.
        """
        return self._columns.people_by_source(account, category=category)

    def party_sets_of(self, account: str) -> PartySets:
        """Return an account's party sets: whom its records concern. Their ids are their positions here."""
        return self._columns.party_sets_of(account)

    def state(self, account: str, categories: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Return a value that changes when any of an account's records is added, embedded, moved or erased (an ETag).

        It says nothing else, and may also change because of another account.
        """
        return self._columns.state(account, categories)

    def size(self) -> dict[str, int]:
        """Return how many records lie in the lake, by category, whether or not anything may use them."""
        return self._index.size()

    def accounts(self) -> dict[str, int]:
        """Return how many records each account has in the lake, whether or not anything may use them."""
        return self._columns.accounts()

    # --- erasing, compacting ---

    def erase_account(self, account: str) -> int:
        """Rewrite the files without an account's records and what was derived; return how many records were removed."""
        return remove_account(account, self._writer)

    def erase_person(self, pseudonym: str) -> int:
        """Rewrite the files without the records whose first person this is; return how many records were removed.

        What was derived from what the person said is removed, too: a meeting's summary may hold their words. Records of
        others that merely concern the person stay where they are: the gate refuses them (`erased`) wherever the person
        has a say.
        """
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

    def small_files(self) -> int:
        """Return the number of files beyond one for each kind, category and bucket: those that compaction may save."""
        return count_spare_files(self._index)
