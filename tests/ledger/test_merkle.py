"""The tree agrees with the RFC's own recursive definitions, with published vectors and with an independent library."""

import json
from pathlib import Path

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "merkle.json").read_text())
SIZE = 70
ENTRIES = [b"entry %d" % number for number in range(SIZE)]
TREE = merkle.Tree(ENTRIES)
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def _split(count):
    """Return the largest power of two smaller than `count`."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def _mth(entries):
    """RFC 9162 section 2.1.1, word for word."""
    if not entries:
        return merkle.EMPTY_ROOT
    if len(entries) == 1:
        return merkle.leaf_hash(entries[0])
    k = _split(len(entries))
    return merkle.node_hash(_mth(entries[:k]), _mth(entries[k:]))


def _path(m, entries):
    """RFC 9162 section 2.1.3.1, word for word."""
    if len(entries) == 1:
        return []
    k = _split(len(entries))
    if m < k:
        return [*_path(m, entries[:k]), _mth(entries[k:])]
    return [*_path(m - k, entries[k:]), _mth(entries[:k])]


def _subproof(m, entries, *, is_whole):
    """RFC 9162 section 2.1.4.1, word for word."""
    if m == len(entries):
        return [] if is_whole else [_mth(entries)]
    k = _split(len(entries))
    if m <= k:
        return [*_subproof(m, entries[:k], is_whole=is_whole), _mth(entries[k:])]
    return [*_subproof(m - k, entries[k:], is_whole=False), _mth(entries[:k])]


ROOTS = [_mth(ENTRIES[:size]) for size in range(SIZE + 1)]


def _altered(proof):
    """Yield every proof that differs from a good one in one hash, in length or in order."""
    for place, value in enumerate(proof):
        yield [*proof[:place], bytes([value[0] ^ 1]) + value[1:], *proof[place + 1 :]]
        yield [*proof[:place], value[:-1], *proof[place + 1 :]]
        yield [*proof[:place], *proof[place + 1 :]]
    yield [*proof, bytes(32)]
    if len(set(proof)) > 1:
        yield proof[::-1]


@pytest.mark.parametrize("size", range(9))
def test_roots_equal_the_vectors_of_certificate_transparency(size):
    entries = [bytes.fromhex(entry) for entry in VECTORS["entries"][:size]]

    assert merkle.Tree(entries).root.hex() == VECTORS["roots"][size]


@pytest.mark.parametrize("size", range(SIZE + 1))
def test_every_root_equals_the_recursive_definition(size):
    assert merkle.root(size, TREE.read) == merkle.Tree(ENTRIES[:size]).root == ROOTS[size]


@pytest.mark.parametrize("size", range(1, SIZE + 1))
def test_every_inclusion_proof_equals_the_recursive_definition_and_verifies(size):
    for index in range(size):
        proof = merkle.prove_inclusion(index, size, TREE.read)

        assert proof == _path(index, ENTRIES[:size])
        merkle.verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


@pytest.mark.parametrize("new_size", range(SIZE + 1))
def test_every_consistency_proof_equals_the_recursive_definition_and_verifies(new_size):
    for old_size in range(new_size + 1):
        proof = merkle.prove_consistency(old_size, new_size, TREE.read)

        assert proof == (_subproof(old_size, ENTRIES[:new_size], is_whole=True) if old_size else [])
        merkle.verify_consistency(old_size, new_size, proof, ROOTS[old_size], ROOTS[new_size])


@pytest.mark.parametrize("size", range(1, 18))
def test_an_inclusion_proof_altered_anywhere_fails(size):
    for index in range(size):
        leaf, proof, root = LEAVES[index], merkle.prove_inclusion(index, size, TREE.read), ROOTS[size]
        attempts = [(leaf, index, size, altered, root) for altered in _altered(proof)]
        attempts += [(LEAVES[index - 1], index, size, proof, root)] if size > 1 else []
        attempts += [(leaf, other, size, proof, root) for other in range(-1, size + 1) if other != index]
        attempts += [(leaf, index, size, proof, ROOTS[size + 1])]
        for attempt in attempts:
            with pytest.raises(ProofError):
                merkle.verify_inclusion(*attempt)


@pytest.mark.parametrize("new_size", range(18))
def test_a_consistency_proof_altered_anywhere_fails(new_size):
    for old_size in range(new_size + 1):
        proof = merkle.prove_consistency(old_size, new_size, TREE.read)
        old_root, new_root = ROOTS[old_size], ROOTS[new_size]
        attempts = [(old_size, new_size, altered, old_root, new_root) for altered in _altered(proof)]
        attempts += [(old_size, new_size, proof, ROOTS[old_size + 1], new_root)]
        attempts += [(old_size, new_size, proof, old_root, ROOTS[new_size + 1])] if old_size else []
        attempts += [(new_size + 1, new_size, proof, old_root, new_root), (-1, new_size, proof, old_root, new_root)]
        for attempt in attempts:
            with pytest.raises(ProofError):
                merkle.verify_consistency(*attempt)


@pytest.mark.slow
def test_a_proof_reads_a_logarithmic_number_of_nodes():
    size = 100_000
    tree = merkle.Tree(number.to_bytes(4, "big") for number in range(size))
    reads = []

    def counted(level, number):
        reads.append((level, number))
        return tree.read(level, number)

    for number in (0, 1, 4_095, 65_536, 99_998, 99_999):
        merkle.prove_inclusion(number, size, counted)
        merkle.prove_consistency(number, size, counted)
        merkle.root(number, counted)
        assert len(reads) < 5 * 17
        reads.clear()


def test_a_frontier_taken_up_at_any_size_goes_on_as_if_never_left():
    for size in range(SIZE):
        frontier = merkle.Frontier(size, TREE.read)
        for leaf in LEAVES[size:]:
            for level, number, value in frontier.append(leaf):
                assert value == TREE.read(level, number)
            assert frontier.root() == ROOTS[frontier.size]


@given(st.lists(st.binary(max_size=8), max_size=40), st.data())
def test_the_tree_agrees_with_pymerkle(entries, data):
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries:
        theirs.append_entry(entry)
    ours = merkle.Tree(entries)

    assert ours.root == theirs.get_root()

    if entries:
        index = data.draw(st.integers(0, len(entries) - 1))
        # pymerkle counts from 1, and its path holds the leaf too: second for a right child, first otherwise
        path = list(theirs.prove_inclusion(index + 1, len(entries)).path)
        path.remove(merkle.leaf_hash(entries[index]))
        assert ours.prove_inclusion(index) == path


def test_a_leaf_cannot_pass_for_a_node():
    forged = b"".join(LEAVES[:2])

    assert merkle.leaf_hash(forged) != merkle.node_hash(*LEAVES[:2])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_outside_the_tree_cannot_be_proved(index, size):
    with pytest.raises(InvalidInputError, match="no leaf"):
        merkle.prove_inclusion(index, size, TREE.read)


@pytest.mark.parametrize(("old_size", "new_size"), [(-1, 3), (4, 3)])
def test_a_tree_cannot_be_proved_to_extend_a_larger_one(old_size, new_size):
    with pytest.raises(InvalidInputError, match="smaller size first"):
        merkle.prove_consistency(old_size, new_size, TREE.read)


def test_a_frontier_cannot_start_midway_without_nodes():
    with pytest.raises(InvalidInputError, match="nodes"):
        merkle.Frontier(3)


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_the_root_over_hashes_alone_is_that_of_the_tree(entries):
    assert merkle.root_of(map(merkle.leaf_hash, entries)) == merkle.Tree(entries).root
