"""The append-only log of everything that decides: entries, their Merkle tree, and signed checkpoints of it.

- An entry is canonical JSON; its hash is a leaf of the tree of RFC 9162. Entries are never changed or removed.
- An append is acknowledged once it is durable, together with the signed checkpoint of the tree that it makes. Times
  never run backwards: an entry's time is the clock's, or the last entry's if that is later.
- Appends that arrive together are stored together: whichever thread finds nobody at it stores for all who wait, in one
  transaction with one checkpoint. Each gets its own entries; one that is refused does not hold up the others.
- Nothing read from the store is believed: every entry, root and proof that leaves this module was checked against a
  checkpoint that carries this log's signature, and that checkpoint against all that this process saw before. What
  does not fit raises `ProofError`, before anything is appended to it.

    >>> from volition.ledger.stores.memory import MemoryStore
    >>> ledger = Ledger(MemoryStore(), Signer.from_seed("log.example", bytes(32)), clock=lambda: 0)
    >>> [entry] = ledger.append(Draft(kind="region", body={"party": "account:acme", "region": "GB"}))
    >>> entry.leaf_bytes.decode()[:53]
    '{"at":"1970-01-01T00:00:00.000000Z","body":{"party":"'
"""

import json
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, Protocol, Self

import msgspec

from volition.canonical import canonical_json, now_us, plain_json, text_to_us, us_to_text
from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.signing import (
    Checkpoint,
    Signer,
    VerifierKey,
    checkpoint_text,
    open_note,
    parse_checkpoint,
    sign_note,
)

KINDS = (
    "terms",
    "acceptance",
    "decision",
    "region",
    "signal",
    "limit",
    "notice",
    "snapshot",
    "model",
    "release",
    "forgetting",
    "erasure",
)
"""Every kind of entry. A reader refuses others: what it does not understand, it must not pass over."""

MAX_ENTRY_BYTES = 65_535
"""Longer entries are refused: the tiles in which a log is published give their length in 16 bits."""

MAX_DEPTH = 64
"""Bodies nested deeper are refused: what every reader must be able to read must not depend on a reader's stack."""

LOWEST = 3
"""The lowest level whose nodes are stored. Lower ones are hashed from their eight leaves when somebody asks."""

MOST_AT_ONCE = 4096
"""How many entries the appends of several threads may have together in one transaction; the others go next."""

_CHUNK = 1024
_CHANGED = "the ledger was changed behind its back. Restore it from a copy that verifies, and find out who wrote to it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry to be: what is said, before the ledger gives it a place and a time."""

    kind: str
    body: dict[str, Any]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was decided or done.

    It is a `Struct` since a data class takes ten times as long to make, and every append makes its entries.

    Attributes:
        seq: Its place in the ledger, counted from 0.
        at_us: When it was appended, microseconds since the Unix epoch, UTC.
        kind: One of `KINDS`.
        body: A JSON object; what it holds depends on the kind.
    """

    seq: int
    at_us: int
    kind: str
    body: dict[str, Any]

    @property
    def leaf_bytes(self) -> bytes:
        """The entry as it is stored and hashed; `from_leaf` reads it back unchanged.

        Raises:
            InvalidInputError: The body has no canonical JSON form.
        """
        value = {"at": us_to_text(self.at_us), "body": self.body, "kind": self.kind, "seq": self.seq}
        return canonical_json(value)

    @property
    def leaf_hash(self) -> bytes:
        """The entry's hash as a leaf of the tree, 32 bytes."""
        return merkle.leaf_hash(self.leaf_bytes)

    @classmethod
    def from_leaf(cls, leaf_bytes: bytes) -> Self:
        """Read an entry.

        Raises:
            ProofError: The bytes are no entry that this ledger could have written.
        """
        try:
            match json.loads(leaf_bytes):
                case {"at": str(at), "body": dict(body), "kind": str(kind), "seq": int(seq)} if kind in KINDS:
                    return cls(seq=seq, at_us=text_to_us(at), kind=kind, body=body)
        except (ValueError, RecursionError, InvalidInputError) as error:
            raise ProofError(f"An entry cannot be read ({error}): {_CHANGED}") from error
        raise ProofError("An entry is of an unknown kind or form. A newer version of Volition may have written it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a store's ledger ends, unverified.

    Attributes:
        size: How many entries there are.
        note: The newest signed checkpoint; empty before the first append.
        untouched: Whether the store vouches that nobody but its own last append has written since: then this head is
            what that append left.
    """

    size: int
    note: str
    untouched: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What one append adds.

    Attributes:
        leaves: The new entries' bytes, the first at place `Head.size`.
        nodes: The complete subtrees that they complete, from those of eight leaves on, in the order in which
            `merkle.Frontier.extend` completes them.
        checkpoint: The tree with the new entries.
        note: The same, signed.
    """

    leaves: tuple[bytes, ...]
    nodes: tuple[merkle.Node, ...]
    checkpoint: Checkpoint
    note: str


class Store(Protocol):
    """Keeps a ledger's bytes, judging nothing. It may be used from several threads, and its file by several processes.

    What was stored never changes, so reading needs no lock: whatever belongs to a size that `head` gave is there.
    Every method raises `BackendError` if the store fails.
    """

    def head(self) -> Head:
        """Return where the ledger ends."""
        ...

    def leaves(self, start: int, end: int) -> list[bytes]:
        """Return the entries from `start` (included) to `end` (not included), fewer if there are fewer."""
        ...

    def node(self, level: int, number: int) -> bytes:
        """Return a node's hash; no bytes if there is none."""
        ...

    def note(self, size: int) -> str:
        """Return the signed checkpoint stored for a size; empty if there is none."""
        ...

    def append(self, extend: Callable[[Head], Growth]) -> Growth:
        """Store what `extend` makes of the head, and return it, once it will survive a loss of power.

        Nobody else appends meanwhile, in any process. If `extend` or the store raises, nothing is stored.

        Raises:
            ConflictError: Others kept appending for so long that this one gave up.
            InvalidInputError: The entries take more room than this store has for one append.
        """
        ...

    def close(self) -> None:
        """Let go of files; the store is not used again."""
        ...


class _Prepared(msgspec.Struct, frozen=True):
    """A draft that can be an entry: its body as canonical JSON, and as whoever appends it gets it back."""

    kind: str
    body_bytes: bytes
    body: dict[str, Any]


def _prepare(draft: Draft) -> _Prepared:
    """Check a draft, and write its body down.

    Raises:
        InvalidInputError: Its kind is unknown, or its body is no JSON object or nested too deep.
    """
    kind, body = draft.kind, draft.body
    if kind not in KINDS:
        raise InvalidInputError(f"{kind!r} is no kind of entry. Use one of: {', '.join(KINDS)}.")
    if not isinstance(body, dict):
        raise InvalidInputError(f"The body of a {kind} is a JSON object, not {body!r}.")
    try:
        plain = plain_json(body, MAX_DEPTH)
    except UnicodeEncodeError:  # told in words by `canonical_json`
        plain = None
    if plain is not None:
        return _Prepared(kind, plain, msgspec.json.decode(plain))
    if _is_deeper(body, MAX_DEPTH):
        raise InvalidInputError(f"This {kind} is nested deeper than {MAX_DEPTH} levels. Make it flatter.")
    written = canonical_json(body)
    return _Prepared(kind, written, json.loads(written))


class _Waiting:
    """An append that waits for its turn, or for somebody to store it along with theirs."""

    __slots__ = ("at_us", "drafts", "error", "has_left", "leads", "start", "woken")

    def __init__(self, drafts: Sequence[_Prepared]) -> None:
        self.drafts = drafts
        self.start: int | None = None  # once it is stored: the place of its first entry, and the time of all
        self.at_us = 0
        self.error: Exception | None = None
        self.leads = self.has_left = False
        self.woken = Lock()
        self.woken.acquire()

    @property
    def is_done(self) -> bool:
        return self.start is not None or self.error is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The newest head that this process verified: its note, what that says, and the last entry's time."""

    note: str
    checkpoint: Checkpoint
    at_us: int


class Ledger:
    """A store's entries, verified. It may be used from several threads."""

    def __init__(
        self,
        store: Store,
        signer: Signer | VerifierKey,
        clock: Callable[[], int] = now_us,
        settle: Callable[[Sequence[Entry]], None] | None = None,
    ) -> None:
        """Open the ledger and verify its head: the signature, and that the tree in the store is the tree signed.

        Args:
            store: Where the bytes are.
            signer: The key of this log, or only its public half for a ledger that will just be read.
            clock: Gives the time, microseconds since the Unix epoch, UTC.
            settle: Called with what was stored before `append` returns it; others append meanwhile.

        Raises:
            ProofError: The store's head does not verify with this key.
        """
        self._store = store
        self._signer = signer if isinstance(signer, Signer) else None
        self._key = signer.key if isinstance(signer, Signer) else signer
        self._clock = clock
        self._settle = settle
        self._seen = _Seen(
            note="", checkpoint=Checkpoint(origin=self._key.name, size=0, root=merkle.EMPTY_ROOT), at_us=0
        )
        self._grown = ("", merkle.Frontier())  # the note and the frontier of this process's last append
        self._mutex = Lock()
        self._waiting: list[_Waiting] = []
        self._led = False
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

    def append(self, *drafts: Draft) -> tuple[Entry, ...]:
        """Append entries: all of them, durably, or none. They share one time and one checkpoint.

        Raises:
            InvalidInputError: A draft's kind is unknown, its body has no canonical JSON form, or it is too long, or all
                together are too long for the store; or the ledger was opened without its private key.
            ProofError: The store does not hold what was signed; nothing is appended to that.
            ConflictError: Others kept appending for so long that this one gave up.
            BackendError: The store failed, for example because the disk is full.
        """
        if self._signer is None:
            raise InvalidInputError(
                f"The ledger {self._key.name} was opened for reading. Appending needs its private key."
            )
        prepared = [_prepare(draft) for draft in drafts]
        if not prepared:
            return ()
        mine = _Waiting(prepared)
        try:
            with self._mutex:
                self._waiting.append(mine)
                mine.leads, self._led = not self._led, True
            if not mine.leads:
                mine.woken.acquire()  # done, or to lead
            if not mine.is_done:
                self._store_waiting(self._signer)
        finally:
            self._leave(mine)
        if mine.error is not None:
            raise mine.error
        start, at_us = mine.start or 0, mine.at_us
        entries = tuple(
            [Entry(seq=seq, at_us=at_us, kind=one.kind, body=one.body) for seq, one in enumerate(prepared, start)]
        )
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
        stop = head.size if end is None else end
        if not 0 <= start <= stop <= head.size:
            raise InvalidInputError(f"The ledger has entries 0 to {head.size}; there is no range {start} to {stop}.")
        return self._verified_entries(start, stop, head)

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

    def verify(self) -> Checkpoint:
        """Verify everything in the store: every entry, node and checkpoint; return the head that they make up.

        Raises:
            ProofError: Something was changed, is missing, or runs backwards.
        """
        head = self.head
        frontier = merkle.Frontier()
        at_us = 0
        for entry in self._verified_entries(0, head.size, head):
            if entry.at_us < at_us:
                raise ProofError(f"Entry {entry.seq} is older than the one before: {_CHANGED}")
            at_us = entry.at_us
            for node in frontier.extend([entry.leaf_hash], lowest=LOWEST):
                if self._store.node(node.level, node.number) != node.hash:
                    raise ProofError(f"Node {node.number} of level {node.level} is not its entries': {_CHANGED}")
            note = self._store.note(frontier.size)
            if note:
                self._verify_note(note, Checkpoint(origin=head.origin, size=frontier.size, root=frontier.root()))
        return head

    def _leave(self, mine: _Waiting) -> None:
        """Wait no more; whoever led, even if an interrupt ends it, leaves that to whoever has waited longest."""
        with self._mutex:
            mine.has_left = True
            if mine in self._waiting:
                self._waiting.remove(mine)
            if mine.leads:
                self._led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].woken.release()

    def _store_waiting(self, signer: Signer) -> None:
        """Store what waits, in one transaction, and tell each who waited."""
        batch: list[_Waiting] = []
        count = 0
        with self._mutex:
            while self._waiting and (not batch or count + len(self._waiting[0].drafts) <= MOST_AT_ONCE):
                batch.append(self._waiting.pop(0))
                count += len(batch[-1].drafts)
        leader = batch[0]
        try:
            self._store_batch(batch, signer)
        except Exception as error:  # noqa: BLE001 - whatever it is, everybody who waited hears of it
            for one in batch:
                if not one.is_done:
                    one.error = error if one is leader else _again(error)
        except BaseException:  # an interrupt of this thread only: the others are stored by another
            with self._mutex:
                self._waiting[:0] = [one for one in batch[1:] if not (one.is_done or one.has_left)]
            raise
        finally:
            for one in batch[1:]:
                if one.is_done:
                    one.woken.release()

    def _store_batch(self, batch: Sequence[_Waiting], signer: Signer) -> None:
        growing = _Growing(batch)
        try:
            growth = self._store.append(partial(self._grow, growing, signer, self._seen))
        except _NothingToStoreError:
            return
        assert growing.frontier is not None  # noqa: S101 - it grew
        self._seen = _Seen(note=growth.note, checkpoint=growth.checkpoint, at_us=growing.at_us)
        self._grown = growth.note, growing.frontier
        for one, start in growing.places:
            one.at_us, one.start = growing.at_us, start

    def _grow(self, growing: "_Growing", signer: Signer, seen: _Seen, head: Head) -> Growth:
        """Make entries of drafts, on top of a head that only this process can move while it is called."""
        last = self._verify_head(head, seen)
        growing.at_us = max(self._clock(), last.at_us)
        note, frontier = self._grown
        if head.untouched and note == head.note == last.note:
            frontier = frontier.copy()  # it is that of the very tree that this process signed last
        else:
            # The head's signature was verified, perhaps long ago; its nodes may have been changed since.
            frontier = merkle.Frontier(head.size, self._read)
            if frontier.root() != last.checkpoint.root:
                raise ProofError(f"The tree of {head.size} entries is not the one that was signed: {_CHANGED}")
        leaves = growing.leaves(head.size)
        if not leaves:
            raise _NothingToStoreError
        nodes = frontier.extend(merkle.leaf_hashes(leaves), lowest=LOWEST)
        growing.frontier = frontier
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
            raise ProofError(f"There were {size} entries, now there are {head.size}: {_CHANGED}")
        checkpoint = parse_checkpoint(open_note(head.note, self._key).text)
        if (checkpoint.origin, checkpoint.size) != (self._key.name, head.size):
            raise ProofError(f"{head.size} entries, but a checkpoint of {checkpoint.size}: {_CHANGED}")
        if merkle.root(head.size, self._read) != checkpoint.root:
            raise ProofError(f"The tree of {head.size} entries is not the one that was signed: {_CHANGED}")
        proof = merkle.prove_consistency(size, head.size, self._read)
        merkle.verify_consistency(size, head.size, proof, seen.checkpoint.root, checkpoint.root)
        last = [*self._verified_entries(max(head.size - 1, 0), head.size, checkpoint)]
        return _Seen(note=head.note, checkpoint=checkpoint, at_us=last[0].at_us if last else 0)

    def _verify_note(self, note: str, expected: Checkpoint) -> None:
        if parse_checkpoint(open_note(note, self._key).text) != expected:
            raise ProofError(f"The checkpoint of size {expected.size} is not that of its entries: {_CHANGED}")

    def _verified_entries(self, start: int, end: int, head: Checkpoint) -> Iterator[Entry]:
        """Yield entries chunk by chunk, each chunk once the tree that it makes proved to be a part of the head's."""
        frontier = merkle.Frontier(start, self._read)
        for chunk_start in range(start, end, _CHUNK):
            chunk_end = min(chunk_start + _CHUNK, end)
            leaves = self._store.leaves(chunk_start, chunk_end)
            frontier.extend(merkle.leaf_hashes(leaves), lowest=LOWEST)
            if frontier.size != chunk_end or frontier.root() != self._root(chunk_end, head):
                raise ProofError(f"Entries {chunk_start} to {chunk_end} are not those that were signed: {_CHANGED}")
            for seq, leaf in enumerate(leaves, chunk_start):
                entry = Entry.from_leaf(leaf)
                if entry.seq != seq:
                    raise ProofError(f"Entry {seq} says that it is number {entry.seq}: {_CHANGED}")
                yield entry

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


class _NothingToStoreError(Exception):
    """Every draft of a transaction was refused."""


class _Growing:
    """What one transaction stores: several appends, one after the other."""

    def __init__(self, batch: Sequence[_Waiting]) -> None:
        self._batch = batch
        self.at_us = 0
        self.places: list[tuple[_Waiting, int]] = []
        self.frontier: merkle.Frontier | None = None

    def leaves(self, start: int) -> tuple[bytes, ...]:
        """Return the entries' bytes, the first at place `start`; an append with too long a one is refused alone."""
        at = us_to_text(self.at_us).encode()
        leaves: list[bytes] = []
        self.places = []
        for waiting in self._batch:
            first = start + len(leaves)
            mine = [
                b'{"at":"%b","body":%b,"kind":"%b","seq":%d}' % (at, one.body_bytes, one.kind.encode(), seq)
                for seq, one in enumerate(waiting.drafts, first)
            ]
            longest = max(map(len, mine))
            if longest > MAX_ENTRY_BYTES:
                kind = next(one.kind for one, leaf in zip(waiting.drafts, mine, strict=True) if len(leaf) == longest)
                waiting.error = InvalidInputError(
                    f"This {kind} takes {longest} bytes, more than the {MAX_ENTRY_BYTES} of an entry. "
                    "Keep the long part in a file and append its digest."
                )
                continue
            self.places.append((waiting, first))
            leaves += mine
        return tuple(leaves)


def _again(error: Exception) -> Exception:
    """Return an error to be raised in another thread: errors carry their way, so each thread has its own."""
    other = copy(error)
    other.__cause__ = error
    return other


def _is_deeper(value: object, levels: int) -> bool:
    """Return whether a JSON value has more than so many levels of objects and lists; a cycle has."""
    if not isinstance(value, dict | list | tuple):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in inner)
