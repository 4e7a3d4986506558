"""The Merkle tree of RFC 9162 section 2.1 over SHA-256: roots, proofs and their verification, without I/O.

- An entry hashes to `H(0x00 || entry)`, two subtrees to `H(0x01 || left || right)`, the empty tree to `H("")`.
- A *node* is a complete subtree: the one with this `number` among those of `2 ** level` leaves. A tree of n leaves
  has fewer than 2n nodes and none ever changes, so anyone who keeps them can prove any size that the tree ever had.
- Positions, sizes and proofs are those of the RFC: indexes start at 0, hashes go from the leaf's sibling up.
- Verifying raises `ProofError` or returns nothing; there is no answer to forget to look at.

    >>> tree = Tree([b"a", b"b", b"c"])
    >>> proof = tree.prove_inclusion(2)
    >>> verify_inclusion(leaf_hash(b"c"), 2, tree.size, proof, tree.root)
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import iter_unpack
from typing import NamedTuple, Self

from volition.errors import InvalidInputError, ProofError

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32

Read = Callable[[int, int], bytes]
"""Gives the hash of the node (level, number)."""


class Node(NamedTuple):
    """A complete subtree: its `number` among those of `2 ** level` leaves, counted from 0, and its hash."""

    level: int
    number: int
    hash: bytes


class _Span(NamedTuple):
    """Leaves from `start` (included) to `end` (not included)."""

    start: int
    end: int


def leaf_hash(entry: bytes) -> bytes:
    """Return the 32-byte hash of an entry as a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Return the hashes of many entries as leaves."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of two neighbouring subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def count_nodes(size: int, lowest: int = 0) -> int:
    """Return how many nodes of level `lowest` and above a tree of `size` leaves has.

    That is the sum of `size >> level`; of all levels together it is twice the leaves less the ones among their bits.
    """
    width = size >> lowest
    return 2 * width - width.bit_count()


def root_of(hashes: Iterable[bytes]) -> bytes:
    """Return the root over the hashes of leaves, keeping nothing."""
    return root_of_joined(b"".join(hashes))


def root_of_joined(hashes: bytes) -> bytes:
    """Return the root over the hashes of leaves, which stand one after the other."""
    level = hashes
    while len(level) > HASH_BYTES:
        last = level[len(level) - len(level) % (2 * HASH_BYTES) :]  # one without a neighbour goes up as it is
        level = _above(level) + last
    return level or EMPTY_ROOT


def _above(level: bytes) -> bytes:
    """Return the nodes above those of a level, all one after the other: as fast as Python hashes."""
    sha256, whole = hashlib.sha256, len(level) - len(level) % (2 * HASH_BYTES)
    pairs = iter_unpack(f"{2 * HASH_BYTES}s", memoryview(level)[:whole])
    return b"".join([sha256(b"\x01" + pair).digest() for (pair,) in pairs])


class Frontier:
    """The nodes that cover a tree from left to right, largest first: all that is needed to append and to know the root.

    Attributes:
        size: How many leaves the tree has.
    """

    def __init__(self, size: int = 0, read: Read | None = None, *, hashes: Sequence[bytes] = ()) -> None:
        """Start from the empty tree, or from a tree of `size` leaves whose nodes `read` gives, or `hashes` are."""
        if size.bit_count() != len(hashes) and read is None:
            raise InvalidInputError(f"A frontier of {size} leaves needs a way to read the tree's nodes.")
        self.size = size
        self._hashes = [read(level, number) for level, number in _cover(_Span(0, size))] if read else [*hashes]

    def copy(self) -> Self:
        """Return the same tree, to be grown apart."""
        return type(self)(self.size, hashes=self._hashes)

    def append(self, leaf: bytes) -> list[Node]:
        """Add a leaf's hash; return the nodes that it completes, the leaf itself first."""
        return self.extend([leaf])

    def extend(self, leaves: Iterable[bytes], *, lowest: int = 0) -> list[Node]:
        """Add the hashes of leaves in one pass; return the nodes of level `lowest` and above that they complete."""
        hashes, number, sha256 = self._hashes, self.size, hashlib.sha256
        completed = []
        for leaf in leaves:
            level, place, reached = 0, number, leaf
            if not lowest:
                completed.append(Node(0, place, leaf))
            while place & 1:  # a right child completes its parent
                reached = sha256(b"\x01" + hashes.pop() + reached).digest()
                level, place = level + 1, place >> 1
                if level >= lowest:
                    completed.append(Node(level, place, reached))
            hashes.append(reached)
            number += 1
        self.size = number
        return completed

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        return _join(self._hashes) if self._hashes else EMPTY_ROOT


class Tree:
    """The tree over a list of entries that fits in memory, such as the people of a snapshot.

    Attributes:
        size: How many entries the tree has.
        root: Its root, 32 bytes.
    """

    def __init__(self, entries: Iterable[bytes] = (), *, hashes: Iterable[bytes] | None = None) -> None:
        """Hash every entry, in the order given; or take the `hashes` of entries of which nothing else is known."""
        level = b"".join(leaf_hashes(entries) if hashes is None else hashes)
        self._levels = [level]  # the nodes of each, one after the other: 64 bytes for each entry in all
        while len(level) >= 2 * HASH_BYTES:
            level = _above(level)
            self._levels.append(level)
        self.size = len(self._levels[0]) // HASH_BYTES
        self.root = root(self.size, self.read)

    def read(self, level: int, number: int) -> bytes:
        """Return the hash of the node (level, number)."""
        return bytes(self._levels[level][HASH_BYTES * number : HASH_BYTES * (number + 1)])

    def prove_inclusion(self, index: int) -> list[bytes]:
        """Prove that entry `index` is in the tree; `verify_inclusion` checks it."""
        return prove_inclusion(index, self.size, self.read)


def root(size: int, read: Read) -> bytes:
    """Return the root of the tree's first `size` leaves, MTH(D[0:size])."""
    return Frontier(size, read).root()


def prove_inclusion(index: int, size: int, read: Read) -> list[bytes]:
    """Prove that leaf `index` is in the tree of the first `size` leaves, PATH(index, D[0:size]).

    Raises:
        InvalidInputError: There is no such leaf in a tree of that size.

    Source: RFC 9162 section 2.1.3.1.
    """
    if not 0 <= index < size:
        raise InvalidInputError(f"There is no leaf {index} in a tree of {size}. Indexes start at 0.")
    return [_span_hash(sibling, read) for sibling in _inclusion_siblings(index, size)]


def prove_consistency(old_size: int, new_size: int, read: Read) -> list[bytes]:
    """Prove that the tree of `new_size` leaves starts with the tree of `old_size`, PROOF(old_size, D[0:new_size]).

    Equal sizes and the empty tree need no proof: the list is empty.

    Raises:
        InvalidInputError: The old tree is larger than the new one, or a size is negative.

    Source: RFC 9162 section 2.1.4.1.
    """
    if not 0 <= old_size <= new_size:
        raise InvalidInputError(
            f"A tree of {new_size} cannot extend a tree of {old_size}. Name the smaller size first."
        )
    if old_size in (0, new_size):
        return []
    shared, siblings = _consistency_siblings(old_size, new_size)
    first = [_span_hash(shared, read)] if shared.start else []  # else it is the old root, which the verifier has
    return first + [_span_hash(sibling, read) for sibling in siblings]


def inclusion_spans(index: int, size: int) -> list[tuple[int, int]]:
    """Return over which leaves, from start to end, each hash of the proof of a leaf is, in the proof's order.

    Raises:
        InvalidInputError: There is no such leaf in a tree of that size.
    """
    if not 0 <= index < size:
        raise InvalidInputError(f"There is no leaf {index} in a tree of {size}. Indexes start at 0.")
    return [(span.start, span.end) for span in _inclusion_siblings(index, size)]


def consistency_spans(old_size: int, new_size: int) -> list[tuple[int, int]]:
    """Return over which leaves, from start to end, each hash of a consistency proof is, in the proof's order.

    Raises:
        InvalidInputError: The old tree is larger than the new one, or a size is negative.
    """
    if not 0 <= old_size <= new_size:
        raise InvalidInputError(
            f"A tree of {new_size} cannot extend a tree of {old_size}. Name the smaller size first."
        )
    if old_size in (0, new_size):
        return []
    shared, siblings = _consistency_siblings(old_size, new_size)
    return [(span.start, span.end) for span in ([shared, *siblings] if shared.start else siblings)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> None:
    """Check that a leaf's hash is number `index` of the tree of `size` leaves that has `expected_root`.

    Raises:
        ProofError: It is not, or the proof is not of the form that these numbers ask for.

    Source: RFC 9162 section 2.1.3.2; the order of left and right follows from `index` and `size` alone.
    """
    if not 0 <= index < size:
        raise ProofError(f"No tree of {size} leaves has a leaf {index}: the proof's numbers are wrong.")
    siblings = _inclusion_siblings(index, size)
    _check_count(proof, len(siblings))
    reached = leaf
    for sibling, sibling_hash in zip(siblings, proof, strict=True):
        is_left = sibling.start < index
        reached = node_hash(sibling_hash, reached) if is_left else node_hash(reached, sibling_hash)
    if reached != expected_root:
        raise ProofError(f"Entry {index} is not in the tree of {size} with root {expected_root.hex()}.")


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes], expected_old_root: bytes, expected_new_root: bytes
) -> None:
    """Check that the tree of `new_size` leaves starts with the tree of `old_size`: nothing was changed or removed.

    Raises:
        ProofError: It does not, or the proof is not of the form that these numbers ask for.

    Source: RFC 9162 section 2.1.4.2.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"A tree of {new_size} leaves cannot extend one of {old_size}: the history was shortened.")
    old_root, new_root = expected_old_root, expected_new_root
    if old_size in (0, new_size):
        _check_count(proof, 0)
        old_root = EMPTY_ROOT if old_size == 0 else expected_new_root
    else:
        shared, siblings = _consistency_siblings(old_size, new_size)
        start = 1 if shared.start else 0
        _check_count(proof, start + len(siblings))
        old_root = new_root = proof[0] if start else expected_old_root
        for sibling, sibling_hash in zip(siblings, proof[start:], strict=True):
            if sibling.start < old_size:  # on the left: both trees have it
                old_root, new_root = node_hash(sibling_hash, old_root), node_hash(sibling_hash, new_root)
            else:
                new_root = node_hash(new_root, sibling_hash)
    if (old_root, new_root) != (expected_old_root, expected_new_root):
        raise ProofError(f"The tree of {new_size} leaves does not extend that of {old_size}: the history was changed.")


def _inclusion_siblings(index: int, size: int) -> list[_Span]:
    """Return the subtrees beside the way from a leaf up to the root."""
    return _climb(index, size, until_end=0)[1]


def _consistency_siblings(old_size: int, new_size: int) -> tuple[_Span, list[_Span]]:
    """Return the last subtree that both trees have whole, and those beside its way up to the new root."""
    return _climb(old_size - 1, new_size, until_end=old_size)


def _climb(index: int, size: int, *, until_end: int) -> tuple[_Span, list[_Span]]:
    """Descend from the root towards a leaf, down to it or to a subtree that ends at `until_end`.

    Returns:
        The subtree reached, and the siblings met, the lowest first.
    """
    start, end = 0, size
    siblings = []
    while end - start > 1 and end != until_end:
        middle = start + (1 << (end - start - 1).bit_length() - 1)  # the largest power of two smaller than the width
        if index < middle:
            siblings.append(_Span(middle, end))
            end = middle
        else:
            siblings.append(_Span(start, middle))
            start = middle
    return _Span(start, end), siblings[::-1]


def _cover(span: _Span) -> Iterator[tuple[int, int]]:
    """Yield (level, number) of the nodes that make up a subtree of the RFC, largest and leftmost first."""
    start, end = span
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _span_hash(span: _Span, read: Read) -> bytes:
    """Return MTH(D[start:end])."""
    return _join([read(level, number) for level, number in _cover(span)])


def _join(hashes: Sequence[bytes]) -> bytes:
    """Hash neighbouring nodes, largest first, into the one subtree that they make up."""
    sha256 = hashlib.sha256
    *others, reached = hashes
    for left in reversed(others):
        reached = sha256(b"\x01" + left + reached).digest()
    return reached


def _check_count(proof: Sequence[bytes], expected: int) -> None:
    if len(proof) != expected:
        raise ProofError(f"The proof has {len(proof)} hashes; these sizes take {expected}.")
