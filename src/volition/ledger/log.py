"""The ledger: an append-only log of everything that decides, its Merkle tree, and signed checkpoints of it.

It is a transparency log as Certificate Transparency (RFC 9162) made them known; auditors and witnesses can check it
without trusting the operator.

- An entry is canonical JSON; its hash is a leaf of the tree of RFC 9162. Entries are never changed or removed.
- An append is acknowledged once it is durable, together with the signed checkpoint of the tree that it makes. Each
  entry is later than the one before it: its time is the clock's, or a microsecond after the last entry's (`clock`).
  Ledgers of earlier versions, in which entries share a time, are read as they are.
- Each entry has a random salt, so that its hash tells nobody what it says; where the entries of a ledger of an earlier
  version have none, one of kind `form` comes before the first that does.
- Appends that arrive together are stored together (group commit), in one transaction with one checkpoint.
- Nothing read from the store is believed: every entry, root and proof that leaves this module was checked against a
  checkpoint that carries this log's signature, and that checkpoint against all that this process saw before. What
  does not fit raises `ProofError`, before anything is appended to it.

    >>> from volition.ledger.stores.memory import MemoryStore
    >>> ledger = Ledger(MemoryStore(), Signer.from_seed("log.example", bytes(32)), clock=lambda: 0)
    >>> [entry] = ledger.append(NewEntry(kind="region", body={"party": "account:acme", "region": "GB"}))
    >>> entry.seq, ledger.size
    (0, 1)
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from os import urandom

import msgspec

from volition.canonical import now_us
from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.clock import EntryClock
from volition.ledger.entry import TAMPERED, Entry, NewEntry, boundary, check_form, prepare
from volition.ledger.group_commit import Condition, GroupCommit, Transaction
from volition.ledger.signing import (
    Checkpoint,
    Signer,
    VerifierKey,
    checkpoint_text,
    open_checkpoint,
    sign_note,
)
from volition.ledger.store import LOWEST, Growth, Head, Store

_CHUNK = 1024


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The newest head that this process verified: its note, what that says, and of its last entry time and form."""

    note: str
    checkpoint: Checkpoint
    at_us: int
    is_salted: bool


class Ledger:
    """A store's entries, verified. It may be used from several threads."""

    def __init__(  # noqa: PLR0913 - what a ledger is put together from
        self,
        store: Store,
        signer: Signer | VerifierKey,
        clock: Callable[[], int] = now_us,
        *,
        settle: Callable[[Sequence[Entry]], None] | None = None,
        draw: Callable[[int], bytes] = urandom,
        keep: Callable[[str], None] | None = None,
    ) -> None:
        """Open the ledger and verify its head: the signature, and that the tree in the store is the tree signed.

        Args:
            store: Where the bytes are.
            signer: The key of this log, or only its public half for a ledger that will just be read.
            clock: Gives the time, microseconds since the Unix epoch, UTC.
            settle: Called with what was stored before `append` returns it; others append meanwhile.
            keep: Called with the signed checkpoint of what was stored, before `append` returns; those of one process in
                their order.
            draw: Gives so many random bytes, for salts: from nothing that anyone could guess, outside tests.

        Raises:
            ProofError: The store's head does not verify with this key.
        """
        self._store = store
        self._signer = signer if isinstance(signer, Signer) else None
        self._key = signer.key if isinstance(signer, Signer) else signer
        self._clock = EntryClock(clock)
        self._settle = settle
        self._keep = keep
        self._seen = _Seen(
            note="",
            checkpoint=Checkpoint(origin=self._key.name, size=0, root=merkle.EMPTY_ROOT),
            at_us=0,
            is_salted=True,
        )
        self._grown = ("", merkle.Frontier())  # the note and the frontier of this process's last append
        self._growing = merkle.Frontier()  # that of the transaction under way
        self._group_commit = GroupCommit(self._commit, draw)
        self._seen = self._verify_head(store.head(), self._seen)

    @property
    def head(self) -> Checkpoint:
        """The ledger as it is now, verified: origin, size and root.

        Raises:
            ProofError: The store does not hold what was signed, or not what it held before.
        """
        seen = self._seen  # before the store's head: another thread may append in between, but never the other way
        self._seen = self._verify_head(self._store.head(), seen)
        return self._seen.checkpoint

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self.head.size

    def append(self, *new: NewEntry, condition: Condition | None = None) -> tuple[Entry, ...]:
        """Append entries: all of them, durably, or none. They share one checkpoint, a microsecond apart.

        Args:
            new: The entries.
            condition: Under which they are stored; none to store them whatever came meanwhile.

        Raises:
            InvalidInputError: An entry's kind is unknown, its body has no canonical JSON form, or it is too long, or
                all together are too long for the store; or the ledger was opened without its private key.
            ProofError: The store does not hold what was signed; nothing is appended to that.
            OutdatedError: The condition is not met; nothing is stored.
            ConflictError: Others kept appending for so long that this one gave up.
            BackendError: The store failed, for example because the disk is full.
        """
        if self._signer is None:
            raise InvalidInputError(
                f"The ledger {self._key.name} was opened for reading. Appending needs its private key."
            )
        if not new:
            return ()
        entries = self._group_commit.append(prepare(new), condition).stored()
        if self._settle is not None:
            self._settle(entries)
        return entries

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Yield the entries from `start` (included) to `end` (not included; by default all), each verified before.

        Raises:
            InvalidInputError: The ledger has no such range.
            ProofError: The store does not hold what was signed.
        """
        head = self.head
        return self._verified_entries(start, _end(start, end, head), head)

    def leaves(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of the entries from `start` to `end` as `entries` does, verified but not read.

        Raises:
            InvalidInputError: The ledger has no such range.
            ProofError: The store does not hold what was signed.
        """
        head = self.head
        return chain.from_iterable(self._verified_leaves(start, _end(start, end, head), head))

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the tree at a size, by default now, 32 bytes.

        Raises:
            InvalidInputError: The ledger never had that size.
            ProofError: The store does not hold what was signed.
        """
        head = self.head
        return self._root(head.size if size is None else size, head)

    def checkpoint(self, size: int | None = None) -> str:
        """Return the signed checkpoint of a size, by default now, as a signed note.

        It is the one stored when the ledger had that size; within an append of several entries, it is signed now.

        Raises:
            InvalidInputError: The ledger never had that size, or nothing is stored for it and the key is not here.
            ProofError: The store does not hold what was signed.
        """
        head = self.head
        at = head.size if size is None else size
        checkpoint = Checkpoint(origin=head.origin, size=at, root=self._root(at, head))
        note = self._store.note(at)
        if note:
            self._verify_note(note, checkpoint)
            return note
        if self._signer is None:
            raise InvalidInputError(f"No checkpoint of size {at} is stored, and signing one needs the private key.")
        return sign_note(checkpoint_text(checkpoint), self._signer)

    def prove_inclusion(self, seq: int, size: int | None = None) -> list[bytes]:
        """Prove that an entry is in the tree at a size, by default now; `merkle.verify_inclusion` checks it.

        Raises:
            InvalidInputError: The ledger never had that size, or that size no such entry.
            ProofError: The store does not hold what was signed.
        """
        head = self.head
        at = head.size if size is None else size
        root = self._root(at, head)
        proof = merkle.prove_inclusion(seq, at, self._read)
        [leaf] = self._store.leaves(seq, seq + 1) or [b""]
        merkle.verify_inclusion(merkle.leaf_hash(leaf), seq, at, proof, root)
        return proof

    def prove_consistency(self, old_size: int, new_size: int | None = None) -> list[bytes]:
        """Prove that the tree at one size extends that at another; `merkle.verify_consistency` checks it.

        Raises:
            InvalidInputError: The ledger never had one of the sizes, or the first is larger.
            ProofError: The store does not hold what was signed.
        """
        head = self.head
        at = head.size if new_size is None else new_size
        root = self._root(at, head)
        proof = merkle.prove_consistency(old_size, at, self._read)
        merkle.verify_consistency(old_size, at, proof, self._root(old_size, head), root)
        return proof

    def open_checkpoint(self, note: str) -> Checkpoint:
        """Return what a checkpoint that this log's key signed says.

        Raises:
            ProofError: It is none of this log.
        """
        return open_checkpoint(note, self._key)

    def check_extends(self, note: str, *, where: str) -> None:
        """Check that this ledger is the one of which a checkpoint was signed, or has grown from it.

        Args:
            note: The signed checkpoint.
            where: What quotes it, for the message.

        Raises:
            ProofError: It is not: entries were cut off, or an older copy was put back, or went on otherwise.
        """
        seen = self._seen
        if note == seen.note:
            return
        checkpoint, head = self.open_checkpoint(note), self.head
        instead = (
            "A no may be among what is missing, so nothing is done with it. Put the newest copy of the ledger back, or "
            "the whole workspace as it was at one moment; and find out who wrote to it."
        )
        if checkpoint.size > head.size:
            raise ProofError(
                f"The ledger has {head.size:,} entries, but {where} quotes a signed checkpoint of {checkpoint.size:,}: "
                f"the last ones were cut off, or an older copy was put back. {instead}"
            )
        if self._root(checkpoint.size, head) != checkpoint.root:
            raise ProofError(
                f"The first {checkpoint.size:,} entries are not those of the signed checkpoint that {where} quotes: "
                f"an older copy was put back and went on otherwise. {instead}"
            )

    def verify(self) -> Checkpoint:
        """Verify everything in the store: every entry, node and checkpoint; return the head that they make up.

        Raises:
            ProofError: Something was changed, is missing, or runs backwards.
        """
        head = self.head
        frontier = merkle.Frontier()
        before = None
        for entry in self._verified_entries(0, head.size, head):
            if before is not None and entry.at_us < before.at_us:
                raise ProofError(f"Entry {entry.seq} is older than the one before: {TAMPERED}")
            check_form(entry, before)
            before = entry
            for node in frontier.extend([entry.leaf_hash], lowest=LOWEST):
                if self._store.node(node.level, node.number) != node.hash:
                    raise ProofError(f"Node {node.number} of level {node.level} is not its entries': {TAMPERED}")
            note = self._store.note(frontier.size)
            if note:
                self._verify_note(note, Checkpoint(origin=head.origin, size=frontier.size, root=frontier.root()))
        return head

    def _commit(self, transaction: Transaction) -> None:
        """Store what waits together, durably, and acknowledge it."""
        assert self._signer is not None  # noqa: S101 - `append` has looked
        try:
            growth = self._store.append(partial(self._grow, transaction, self._signer, self._seen))
        except _NothingToStoreError:
            return
        self._seen = _Seen(note=growth.note, checkpoint=growth.checkpoint, at_us=transaction.last_us, is_salted=True)
        self._grown = growth.note, self._growing
        if self._keep is not None:
            self._keep(growth.note)
        transaction.acknowledge()

    def _grow(self, transaction: Transaction, signer: Signer, seen: _Seen, head: Head) -> Growth:
        """Make entries of what waits, on top of a head that only this process can move while it is called."""
        last = self._verify_head(head, seen)
        start_us = self._clock.next_us(last.at_us if head.size else None)
        note, frontier = self._grown
        if head.untouched and note == head.note == last.note:
            frontier = frontier.copy()  # it is that of the very tree that this process signed last
        else:
            # The head's signature was verified, perhaps long ago; its nodes may have been changed since.
            frontier = merkle.Frontier(head.size, self._read)
            if frontier.root() != last.checkpoint.root:
                raise ProofError(f"The tree of {head.size} entries is not the one that was signed: {TAMPERED}")
        first = () if last.is_salted else prepare([boundary(head.size)])
        stored = partial(self._verified_entries, head=last.checkpoint)
        leaves = transaction.leaves(head.size, start_us, first=first, stored=stored)
        if not leaves:
            raise _NothingToStoreError
        nodes = frontier.extend(merkle.leaf_hashes(leaves), lowest=LOWEST)
        self._growing = frontier
        checkpoint = Checkpoint(origin=last.checkpoint.origin, size=frontier.size, root=frontier.root())
        return Growth(
            leaves=leaves,
            nodes=tuple(nodes),
            checkpoint=checkpoint,
            note=sign_note(checkpoint_text(checkpoint), signer),
        )

    def _verify_head(self, head: Head, seen: _Seen) -> _Seen:
        """Verify a head's signature, its tree, its last entry, and that it extends what was seen before."""
        size = seen.checkpoint.size
        if (head.note, head.size) == (seen.note, size):
            return seen
        if head.size < size or not head.note:
            raise ProofError(f"There were {size} entries, now there are {head.size}: {TAMPERED}")
        checkpoint = open_checkpoint(head.note, self._key)
        if checkpoint.size != head.size:
            raise ProofError(f"{head.size} entries, but a checkpoint of {checkpoint.size}: {TAMPERED}")
        if merkle.root(head.size, self._read) != checkpoint.root:
            raise ProofError(f"The tree of {head.size} entries is not the one that was signed: {TAMPERED}")
        proof = merkle.prove_consistency(size, head.size, self._read)
        merkle.verify_consistency(size, head.size, proof, seen.checkpoint.root, checkpoint.root)
        last = [*self._verified_entries(max(head.size - 1, 0), head.size, checkpoint)]
        return _Seen(
            note=head.note,
            checkpoint=checkpoint,
            at_us=last[0].at_us if last else 0,
            is_salted=not last or last[0].salt is not None,
        )

    def _verify_note(self, note: str, expected: Checkpoint) -> None:
        if open_checkpoint(note, self._key) != expected:
            raise ProofError(f"The checkpoint of size {expected.size} is not that of its entries: {TAMPERED}")

    def _verified_entries(self, start: int, end: int, head: Checkpoint) -> Iterator[Entry]:
        """Yield entries, each of which says the place that it has."""
        for seq, leaf in enumerate(chain.from_iterable(self._verified_leaves(start, end, head)), start):
            entry = Entry.from_leaf(leaf)
            if entry.seq != seq:
                raise ProofError(f"Entry {seq} says that it is number {entry.seq}: {TAMPERED}")
            yield entry

    def _verified_leaves(self, start: int, end: int, head: Checkpoint) -> Iterator[list[bytes]]:
        """Yield entries chunk by chunk, each chunk once the tree that it makes proved to be a part of the head's."""
        if start == end:  # nothing came meanwhile, as before most appends
            return
        frontier = merkle.Frontier(start, self._read)
        for chunk_start in range(start, end, _CHUNK):
            chunk_end = min(chunk_start + _CHUNK, end)
            leaves = self._store.leaves(chunk_start, chunk_end)
            frontier.extend(merkle.leaf_hashes(leaves), lowest=LOWEST)
            if frontier.size != chunk_end or frontier.root() != self._root(chunk_end, head):
                raise ProofError(f"Entries {chunk_start} to {chunk_end} are not those that were signed: {TAMPERED}")
            yield leaves

    def _root(self, size: int, head: Checkpoint) -> bytes:
        """Return the root at a size, once it is proved that the head extends it."""
        if not 0 <= size <= head.size:
            raise InvalidInputError(f"The ledger has {head.size} entries; it has no size {size}.")
        root = merkle.root(size, self._read)
        proof = merkle.prove_consistency(size, head.size, self._read)
        merkle.verify_consistency(size, head.size, proof, root, head.root)
        return root

    def _read(self, level: int, number: int) -> bytes:
        """Read a node; a missing one reads as no bytes and so fails whatever is verified with it."""
        if level >= LOWEST:
            return self._store.node(level, number)
        leaves = self._store.leaves(number << level, (number + 1) << level)
        if len(leaves) != 1 << level:
            return b""
        frontier = merkle.Frontier()
        frontier.extend(merkle.leaf_hashes(leaves), lowest=level)
        return frontier.root()


def _end(start: int, end: int | None, head: Checkpoint) -> int:
    """Return where a range ends, by default with the ledger.

    Raises:
        InvalidInputError: The ledger has no such range.
    """
    stop = head.size if end is None else end
    if not 0 <= start <= stop <= head.size:
        raise InvalidInputError(f"The ledger has entries 0 to {head.size}; there is no range {start} to {stop}.")
    return stop


class _NothingToStoreError(Exception):
    """Every entry of a transaction was refused."""
