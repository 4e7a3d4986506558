"""A witness cosigns what only grew: no fork, no rollback, whatever arrives, and in whatever order."""

import base64
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.errors import BackendError, InvalidInputError
from volition.ledger import merkle
from volition.ledger.signing import (
    Checkpoint,
    KeyKind,
    Signer,
    checkpoint_text,
    open_note,
    parse_checkpoint,
    sign_note,
)
from volition.ledger.witness import (
    MAX_PROOF_LINES,
    NOT_EXTENDED,
    OTHER_ROOT,
    AddCheckpoint,
    Witness,
    WitnessStore,
    origin_hash,
)

LOG = Signer.from_seed("log.example/volition", bytes(range(32)))
STRANGER = Signer.from_seed("log.example/volition", bytes(32))
WITNESS = Signer.from_seed("witness.example/w1", bytes(range(1, 33)), KeyKind.COSIGNATURE)
NOW_S = 1_700_000_000
ONE = merkle.Tree([b"%d" % n for n in range(40)])
FORK = merkle.Tree([b"%d" % n for n in range(8)] + [b"other %d" % n for n in range(32)])  # apart after eight


def note(size, tree=ONE, signer=LOG):
    text = checkpoint_text(Checkpoint(origin=signer.key.name, size=size, root=merkle.root(size, tree.read)))
    return sign_note(text, signer)


def asking(old, size, tree=ONE, signer=LOG, proof=None):
    proof = tuple(merkle.prove_consistency(old, size, tree.read) if proof is None else proof)
    return AddCheckpoint(old_size=old, proof=proof, note=note(size, tree, signer)).to_text().encode()


@pytest.fixture
def store(tmp_path):
    made = WitnessStore.create(tmp_path / "w.db", WITNESS.key)
    yield made
    made.close()


@pytest.fixture
def witness(store):
    return Witness(WITNESS, [LOG.key], store, lambda: NOW_S)


def test_what_only_grew_is_cosigned_each_time(witness):
    for old, size in [(0, 1), (1, 8), (8, 8), (8, 31), (31, 40)]:
        answer = witness.add_checkpoint(asking(old, size))
        assert answer.status == 200, answer
        seen = open_note(note(size) + answer.text, WITNESS.key)
        assert parse_checkpoint(seen.text).size == size
        assert [one.at_s for one in seen.signatures] == [NOW_S]
    newest = witness.newest(origin_hash(LOG.key.name))
    assert {one.key for one in open_note(newest, LOG.key, WITNESS.key).signatures} == {LOG.key, WITNESS.key}
    assert witness.newest(origin_hash("else")) is None


def test_a_fork_is_refused_and_kept(witness, store):
    assert witness.add_checkpoint(asking(0, 20)).status == 200
    assert witness.add_checkpoint(asking(20, 30, FORK)).status == 422
    same = witness.add_checkpoint(asking(20, 20, FORK))
    assert (same.status, same.text, same.media_type) == (409, "20\n", "text/x.tlog.size")

    evidence = store.evidence()
    assert [(origin, why) for origin, _, why, _ in evidence] == [
        (LOG.key.name, NOT_EXTENDED),
        (LOG.key.name, OTHER_ROOT),
    ]
    assert evidence[1][3].encode() == asking(20, 20, FORK)
    assert witness.add_checkpoint(asking(20, 30)).status == 200  # the true log goes on


def test_a_rollback_is_refused_with_the_size_that_is_known(witness):
    assert witness.add_checkpoint(asking(0, 20)).status == 200
    for old, size in [(0, 10), (10, 20), (0, 30), (19, 30)]:
        answer = witness.add_checkpoint(asking(old, size))
        assert (answer.status, answer.text, answer.media_type) == (409, "20\n", "text/x.tlog.size")
    assert witness.add_checkpoint(asking(0, 19)).text == "20\n"
    assert witness.add_checkpoint(asking(20, 21)).status == 200


def test_the_order_of_the_specification_decides_what_is_answered(witness):
    unknown = Signer.from_seed("log.example/unknown", bytes(32))
    assert witness.add_checkpoint(asking(0, 3, signer=unknown)).status == 404
    assert witness.add_checkpoint(asking(0, 3, signer=STRANGER)).status == 403
    forged = asking(0, 3).replace(b"\n3\n", b"\n4\n")
    assert witness.add_checkpoint(forged).status == 403
    assert witness.add_checkpoint(asking(0, 3).replace(b"old 0", b"old 4")).status == 400
    assert witness.add_checkpoint(asking(0, 3, proof=[bytes(32)])).status == 422
    assert witness.add_checkpoint(asking(0, 3)).status == 200
    assert witness.add_checkpoint(asking(3, 9, proof=[])).status == 422
    assert witness.add_checkpoint(asking(3, 9, proof=[bytes(32)] * 4)).status == 422


def test_a_size_that_no_store_can_hold_is_refused(witness):
    text = checkpoint_text(Checkpoint(origin=LOG.key.name, size=9_999_999_999_999_999_999, root=bytes(32)))
    body = AddCheckpoint(old_size=0, proof=(), note=sign_note(text, LOG)).to_text().encode()
    assert witness.add_checkpoint(body).status == 400


def test_signatures_of_others_are_passed_over_and_not_handed_on(witness):
    other = Signer.from_seed("log.example/mirror", bytes(31) + b"\x01")
    both = sign_note(note(3).partition("\n\n")[0] + "\n", LOG, other)
    body = AddCheckpoint(old_size=0, proof=(), note=both).to_text().encode()
    assert witness.add_checkpoint(body).status == 200
    assert "mirror" not in witness.newest(origin_hash(LOG.key.name))


def test_a_log_may_have_two_keys(store):
    witness = Witness(WITNESS, [LOG.key, STRANGER.key], store, lambda: NOW_S)
    assert witness.add_checkpoint(asking(0, 3)).status == 200
    assert witness.add_checkpoint(asking(3, 5, signer=STRANGER)).status == 200


def test_requests_that_arrive_together_never_roll_back(witness, store):
    sizes = [n % 40 + 1 for n in range(0, 400, 7)]

    def push(size):
        answer = witness.add_checkpoint(asking(0, size))
        while answer.status == 409 and int(answer.text) <= size:
            old = int(answer.text)
            answer = witness.add_checkpoint(asking(old, size))
        return size if answer.status == 200 else None

    with ThreadPoolExecutor(8) as pool:
        cosigned = [size for size in pool.map(push, sizes) if size is not None]
    newest = parse_checkpoint(open_note(witness.newest(origin_hash(LOG.key.name)), LOG.key).text)
    assert max(cosigned) == newest.size == 40
    assert newest.root == ONE.root
    assert store.evidence() == []


def test_a_clock_that_went_back_signs_nothing(store):
    now = [NOW_S]
    witness = Witness(WITNESS, [LOG.key], store, lambda: now[0])
    assert witness.add_checkpoint(asking(0, 3)).status == 200
    now[0] -= 1
    assert witness.add_checkpoint(asking(3, 5)).status == 503
    now[0] += 1
    assert witness.add_checkpoint(asking(3, 5)).status == 200


def test_another_process_knows_what_one_has_cosigned(witness, tmp_path):
    assert witness.add_checkpoint(asking(0, 20)).status == 200
    other = WitnessStore(tmp_path / "w.db")
    again = Witness(WITNESS, [LOG.key], other, lambda: NOW_S)
    assert again.add_checkpoint(asking(0, 10, FORK)).status == 409
    assert again.add_checkpoint(asking(20, 25)).status == 200
    other.close()
    assert witness.add_checkpoint(asking(20, 30)).text == "25\n"


def test_what_cannot_be_remembered_is_not_cosigned(witness, tmp_path):
    blocking = sqlite3.connect(tmp_path / "w.db")
    blocking.execute("CREATE TRIGGER full BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    blocking.close()
    with pytest.raises(BackendError, match="Nothing was cosigned"):
        witness.add_checkpoint(asking(0, 3))


def test_a_store_is_for_one_key_and_keys_are_for_what_they_sign(store, tmp_path):
    other = Signer.from_seed("witness.example/w2", bytes(32), KeyKind.COSIGNATURE)
    with pytest.raises(InvalidInputError, match=r"belongs to the witness witness.example/w1"):
        Witness(other, [LOG.key], store, lambda: NOW_S)
    with pytest.raises(InvalidInputError, match="no witness's"):
        Witness(LOG, [LOG.key], store, lambda: NOW_S)
    with pytest.raises(InvalidInputError, match="no log's"):
        Witness(WITNESS, [other.key], store, lambda: NOW_S)
    with pytest.raises(InvalidInputError, match="already"):
        WitnessStore.create(tmp_path / "w.db", WITNESS.key)
    with pytest.raises(BackendError, match="must not be lost"):
        WitnessStore(tmp_path / "gone.db")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 00\n\n" + note(3).encode(),
        b"old -1\n\n" + note(3).encode(),
        b"new 0\n\n" + note(3).encode(),
        b"old 0\nAAAA\n\n" + note(3).encode(),
        b"old 0\n" + note(3).encode(),
        b"old 0\n" + (base64.b64encode(bytes(32)) + b"\n") * (MAX_PROOF_LINES + 1) + b"\n" + note(3).encode(),
        b"old 0\n\n\xff" + note(3).encode(),
        b"old 0\n\n" + note(3).encode().replace(b"\n\n", b"\nextension\n\n", 1),
    ],
)
def test_what_is_malformed_is_told_so(witness, body):
    assert witness.add_checkpoint(body).status == 400


@pytest.mark.slow
@given(at=st.integers(0, len(asking(3, 9)) - 1), byte=st.integers(0, 255))
def test_no_byte_of_a_request_can_be_changed_to_another_tree(at, byte):
    body = asking(3, 9)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(WitnessStore.create(Path(folder) / "w.db", WITNESS.key)) as store,
    ):
        witness = Witness(WITNESS, [LOG.key], store, lambda: NOW_S)
        witness.add_checkpoint(asking(0, 3))
        answer = witness.add_checkpoint(body[:at] + bytes([byte]) + body[at + 1 :])
        assert answer.status in {200, 400, 403, 404, 409, 422}
        if answer.status == 200:  # the byte was what it had been, or in what nobody reads
            open_note(note(9) + answer.text, WITNESS.key)
        newest = parse_checkpoint(open_note(witness.newest(origin_hash(LOG.key.name)), LOG.key).text)
        assert newest.root == merkle.root(newest.size, ONE.read)
