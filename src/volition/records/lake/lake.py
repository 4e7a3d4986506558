"""The one door of the lake: all that may be asked of it, on one page. How it is done is told where it is done."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from volition.consent.gate import Engine, Participant, PartySets, Record, Subject
from volition.consent.parties import Parties
from volition.consent.permits import Permits, Reason
from volition.consent.terms.model import CATEGORIES
from volition.progress import Progress
from volition.records.lake.append import append_records
from volition.records.lake.columns import Keys
from volition.records.lake.compact import Compacted, compact_files, count_spare_files
from volition.records.lake.embed import Embedder, TextEncoder
from volition.records.lake.encryption import Seals
from volition.records.lake.erase import remove_account, remove_person
from volition.records.lake.index import Index
from volition.records.lake.quarantine import set_aside
from volition.records.lake.reader import Reader
from volition.records.lake.records import Appended, Held, NewRecord, Row
from volition.records.lake.writer import Writer


class Lake:
    """Records in a folder. Writers take turns; readers never wait."""

    def __init__(self, folder: Path, parties: Parties, engine: Engine) -> None:
        """Open the lake in `folder`, creating it if it is not there.

        Args:
            folder: Where the records lie.
            parties: Seals and opens content with the accounts' keys.
            engine: Runs the gate's SQL.

        Raises:
            BackendError: The folder or its index cannot be opened.
        """
        self._folder = folder
        self._parties = parties
        self._index = Index(folder)
        self._keys = Keys(self._index)
        self._seals = Seals(parties)
        self._reader = Reader(self._index, self._keys, self._seals, engine)
        self._writer = Writer(self._index)
        self._embedder = Embedder(self._writer, self._seals)

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    # --- writing ---

    def append(self, records: Sequence[NewRecord]) -> Appended:
        """Store a batch of records: all of it or, on failure, none of it. Known records are passed over.

        Raises:
            BackendError: The disk is full or cannot be written; nothing of the batch is visible, send it again.
        """
        return append_records(records, self._writer, self._seals)

    def embed(  # noqa: PLR0913 - which rows, under whose permits, how, and who is told
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

        An embedding is derived data: computed only under a permit for the purpose at hand, once per record, sealed
        under the account's key and erased with its source. Interrupted, it goes on where it stopped.

        Returns:
            How many embeddings were computed.
        """
        computed = 0
        for category in sorted(categories):
            underived = self.rows(permits, categories=[category], accounts=accounts, source=source, underived=True)
            computed += self._embedder.embed(category, underived, encoder, progress)
        return computed

    def quarantine(self, account: str | None, lines: Sequence[dict[str, Any]]) -> Path | None:
        """Set bad input aside as JSON lines: source, where, why, raw.

        The raw text is sealed under the account's key (`sealed_raw`, hexadecimal); only where nobody knows whose it
        is does it stay as it came. The file is named by its content: the same input is set aside once.

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
        """Yield the records that `permits` lets through, opened, by category and bucket, else in no order.

        Args:
            permits: Decide, for their purpose at their instant.
            categories: Leaves of `terms.CATEGORIES`.
            accounts: Only these accounts' records; none for all.
            source: Only the records of one meeting or channel, from `source_id`.
            underived: Only records without an embedding; the others are not even opened.

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
        """Yield what a person said, wrote or did, opened, for that person alone: a yes is asked of nobody.

        What others said is left out, though the person was there; so is what was derived from several people's words.

        Args:
            subject: Who asks, and when.
            categories: Leaves of `terms.CATEGORIES`.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: An account was erased meanwhile.
        """
        return self._reader.own_rows(subject, categories=categories)

    def heard_rows(
        self, participant: Participant, *, categories: Iterable[str], source: str | None = None
    ) -> Iterator[Row]:
        """Yield what was said or written with a person there, opened, for that person alone to read again.

        Args:
            participant: Who reads, of which account, and when.
            categories: Leaves of `terms.CATEGORIES`.
            source: Only the records of one meeting or channel, from `source_id`.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: The account was erased meanwhile.
        """
        return self._reader.heard_rows(participant, categories=categories, source=source)

    def held(self, subject: Subject, *, categories: Iterable[str] = CATEGORIES) -> Iterator[Held]:
        """Yield every record that concerns a person, without what it says: by category, else in no order.

        Raises:
            BackendError: A file cannot be read.
        """
        return self._reader.held(subject, categories=categories)

    # --- what lies readable: keys, and counts ---

    def key_of(self, record: str) -> Record:
        """Return what the gate must know of a record, without opening it.

        Raises:
            InvalidInputError: The lake holds no such record.
        """
        return self._keys.key_of(record)

    def meeting(
        self, account: str, name: str, *, category: str = "content/transcript"
    ) -> tuple[tuple[str, ...], int] | None:
        """Return whom a meeting concerns (pseudonyms, in the order of speaking) and when its last part was collected.

        With `content/chat`, the same of a channel. None if no such meeting was collected.
        """
        return self._keys.meeting(account, name, category=category)

    def party_sets_of(self, account: str) -> PartySets:
        """Return an account's party_sets: whom its records concern. Their ids are their positions here."""
        return self._keys.party_sets_of(account)

    def state(self, account: str, categories: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Return what is another after any of an account's records was added, embedded, moved or erased.

        It says nothing else, and may change for the sake of another account.
        """
        return self._keys.state(account, categories)

    def size(self) -> dict[str, int]:
        """Return how many records lie in the lake, by category, whether or not anything may use them."""
        return self._index.size()

    def accounts(self) -> dict[str, int]:
        """Return how many records each account has in the lake, whether or not anything may use them."""
        return self._keys.accounts()

    # --- erasing, compacting ---

    def erase_account(self, account: str) -> int:
        """Rewrite the files without an account's records and what was derived from them; return how many records."""
        return remove_account(account, self._writer)

    def erase_person(self, pseudonym: str) -> int:
        """Rewrite the files without the records whose first person it is; return how many records.

        What was derived from what the person said goes, too: a meeting's summary may hold their words. Records of
        others that merely concern the person stay where they are: the gate refuses them (`erased`) wherever the person
        has a say.
        """
        return remove_person(pseudonym, self._writer, self._seals)

    def compact(self, progress: Progress) -> Compacted:
        """Make large files of the many small ones that collecting leaves; rows stay as they are, sealed as they are.

        Each new file is a transaction of its own: killed, it keeps what it has done, and the next one goes on. Readers
        go on meanwhile. Memory holds a few times `COMPACT_BYTES`, whatever the lake's size.

        Raises:
            BackendError: The disk is full or cannot be written; what was there is as it was.
        """
        return compact_files(self._index, self._writer, progress)

    def small_files(self) -> int:
        """Return how many files there are beyond one for each kind, category and bucket: what compaction may save."""
        return count_spare_files(self._index)
