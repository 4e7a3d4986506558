"""Names, pseudonyms, keys: whom a record concerns, what encrypts it, and that what is destroyed is gone."""

import base64
import hmac
import itertools
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from hypothesis import given, settings
from hypothesis import strategies as st

from volition.consent.parties import ErasedError, Parties
from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError

KNOWN_SEALED = (  # computed from the description by another library (Node's crypto)
    "01e8e53128908194a1183ea2f5ea5d838bf7995e9764bf91335f89132e"
    "d5aebf1d48ae9642a36ca56f12ee83f6b2c682a38bf057b067956032bb"
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PAIRS = st.tuples(st.binary(max_size=40), st.binary(max_size=200))


@pytest.fixture
def parties(tmp_path):
    with closing(Parties.create(tmp_path)) as made:
        made.add_account("acme", "Acme Ltd")
        made.add_account("brill", "Brill GmbH")
        yield made


@pytest.fixture(scope="module")
def sealing(tmp_path_factory):
    """Return parties that many generated examples share: sealing leaves nothing behind."""
    with closing(Parties.create(tmp_path_factory.mktemp("sealing"))) as made:
        made.add_account("acme", "Acme Ltd")
        made.add_account("brill", "Brill GmbH")
        yield made


def _bytes_in(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def _wrapped(folder, table, identity):
    with closing(sqlite3.connect(folder / "parties.db")) as db:
        return db.execute(f"SELECT wrapped FROM {table} WHERE id = ?", (identity,)).fetchone()[0]  # noqa: S608


def _put(folder, sql, *values):
    with closing(sqlite3.connect(folder / "parties.db")) as db, db:
        assert db.execute(sql, values).rowcount == 1


# --- sealing ---


@given(pair=PAIRS)
def test_what_is_sealed_opens_to_itself(sealing, pair):
    associated, plaintext = pair
    sealed = sealing.seal("acme", associated, plaintext)
    assert sealing.open_sealed("acme", associated, sealed) == plaintext
    assert len(sealed) == 1 + 12 + len(plaintext) + 16


@given(first=PAIRS, second=PAIRS)
def test_the_same_content_seals_to_the_same_bytes_and_no_other_does(sealing, first, second):
    assert sealing.seal("acme", *first) == sealing.seal("acme", *first)
    assert (sealing.seal("acme", *first) == sealing.seal("acme", *second)) == (first == second)
    assert sealing.seal("acme", *first) != sealing.seal("brill", *first)


def test_where_the_associated_bytes_end_changes_the_nonce(sealing):
    nonces = {sealing.seal("acme", b"record"[:cut], b"record"[cut:])[1:13] for cut in range(7)}
    assert len(nonces) == 7


def test_a_nonce_does_not_tell_which_accounts_hold_the_same_content(sealing):
    assert sealing.seal("acme", b"id", b"text")[:13] != sealing.seal("brill", b"id", b"text")[:13]


@given(pairs=st.lists(PAIRS, max_size=5))
def test_many_at_once_are_the_same_as_one_by_one(sealing, pairs):
    sealed = sealing.seal_many("acme", pairs)
    assert sealed == [sealing.seal("acme", *pair) for pair in pairs]
    opened = sealing.open_many("acme", [(pair[0], data) for pair, data in zip(pairs, sealed, strict=True)])
    assert opened == [plaintext for _, plaintext in pairs]


def test_a_change_of_any_bit_is_found(sealing):
    sealed = sealing.seal("acme", b"id", b"text")
    for position, bit in itertools.product(range(len(sealed)), range(8)):
        changed = bytearray(sealed)
        changed[position] ^= 1 << bit
        with pytest.raises(ProofError, match="changed"):
            sealing.open_sealed("acme", b"id", bytes(changed))


def test_a_cut_or_a_lengthening_is_found(sealing):
    sealed = sealing.seal("acme", b"id", b"text")
    for wrong in (*(sealed[:length] for length in range(len(sealed))), sealed + b"\0"):
        with pytest.raises(ProofError):
            sealing.open_sealed("acme", b"id", wrong)


def test_content_moved_to_another_record_or_account_is_found(sealing):
    sealed = sealing.seal("acme", b"id", b"text")
    with pytest.raises(ProofError, match="moved"):
        sealing.open_sealed("acme", b"other", sealed)
    with pytest.raises(ProofError, match="another key"):
        sealing.open_sealed("brill", b"id", sealed)


def test_the_sealed_bytes_are_the_ones_written_down(tmp_path):
    """RFC 3394 section 4.6: this key, wrapped by 00..1f, is these 40 bytes. What follows from it is fixed for ever."""
    master = bytes(range(32))
    wrapped = bytes.fromhex("28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21")
    with closing(Parties.create(tmp_path)) as made:
        made.add_account("acme", "Acme Ltd")
    (tmp_path / "master.key").write_bytes(base64.b64encode(master))
    _put(tmp_path, "UPDATE state SET value = ? WHERE name = 'fit'", aes_key_wrap(master, bytes(32)))
    _put(tmp_path, "UPDATE accounts SET wrapped = ? WHERE id = 'acme'", wrapped)

    with closing(Parties.open(tmp_path)) as opened:
        assert opened.seal("acme", b"record-1", b"We never train without a yes.").hex() == KNOWN_SEALED


def test_nothing_is_sealed_for_an_account_that_is_not_there(parties):
    for call in (parties.seal, parties.open_sealed):
        with pytest.raises(InvalidInputError, match="nobody"):
            call("nobody", b"id", b"text")


# --- pseudonyms ---


def test_a_pseudonym_is_made_with_the_persons_own_key(parties, tmp_path):
    ada = parties.add_person("ada", account="acme", name="Ada Lovelace")
    master = base64.b64decode((tmp_path / "master.key").read_bytes())
    key = aes_key_unwrap(master, _wrapped(tmp_path, "people", "ada"))
    assert ada.pseudonym == hmac.new(key, b"volition/person/ada", sha256).hexdigest()[:32]


def test_the_same_person_has_another_pseudonym_in_another_workspace(parties, tmp_path):
    (tmp_path / "other").mkdir()
    with closing(Parties.create(tmp_path / "other")) as other:
        assert other.add_person("ada").pseudonym != parties.add_person("ada").pseudonym


@pytest.mark.slow
@settings(max_examples=25)
@given(names=st.lists(st.tuples(TEXT, st.lists(TEXT, max_size=2), st.lists(TEXT, max_size=2)), max_size=4))
def test_what_is_added_is_there_after_opening_anew(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("people")
    with closing(Parties.create(folder)) as made:
        made.add_account("acme", "Acme Ltd")
        added = [
            made.add_person(f"p{number}", account="acme" if number % 2 else None, name=name, aliases=one, emails=two)
            for number, (name, one, two) in enumerate(names)
        ]
    with closing(Parties.open(folder)) as opened:
        assert opened.people() == added
        assert opened.people("acme") == added[1::2]
        assert [opened.person(person.id) for person in added] == added
        assert [opened.person_by_pseudonym(person.pseudonym) for person in added] == added
        assert opened.accounts() == [opened.account("acme")]
        assert opened.has_account("acme")
        assert not opened.has_account("brill")


@pytest.mark.parametrize("identity", ["", " ", "ada ", "\tada", "a\nda", "\ud800"])
def test_an_id_that_cannot_be_written_down_is_refused(parties, identity):
    with pytest.raises(InvalidInputError):
        parties.add_person(identity)
    with pytest.raises(InvalidInputError):
        parties.add_account(identity, "Name")
    assert parties.people() == []


def test_a_name_that_is_broken_text_is_refused_and_nobody_is_added(parties):
    for call in (
        lambda: parties.add_person("ada", account="acme", name="Ada \ud800"),
        lambda: parties.add_person("ada", account="acme", aliases=["\udfff"]),
        lambda: parties.guest("acme", "\ud800"),
        lambda: parties.find_person("acme", "\ud800"),
    ):
        with pytest.raises(InvalidInputError, match="half of a character"):
            call()
    assert parties.people() == []


def test_whoever_is_there_already_is_not_replaced(parties):
    ada = parties.add_person("ada", account="acme", name="Ada")
    with pytest.raises(ConflictError, match="there already"):
        parties.add_person("ada", account="brill", name="Another Ada")
    with pytest.raises(ConflictError, match="there already"):
        parties.add_account("acme", "Another Acme")
    assert parties.people() == [ada]
    assert parties.account("acme").name == "Acme Ltd"


def test_a_person_needs_an_account_that_is_there(parties):
    with pytest.raises(InvalidInputError, match="nobody"):
        parties.add_person("ada", account="nobody")
    assert parties.people() == []


# --- who is meant ---


@pytest.mark.parametrize(
    "handle",
    [
        "p1",
        "P1",
        "Zoë Weiß",
        "ZOË WEISS",
        "  zoë   weiß ",
        "Zoe\u0308 Weiß",
        "U0123",
        "ΣΊΣΥΦΟΣ",
        "σίσυφος",
        "zoe@ACME.example",
    ],
)
def test_a_person_is_found_by_any_handle_however_it_is_written(parties, handle):
    zoe = parties.add_person(
        "p1", account="acme", name="Zoë Weiß", aliases=["u0123", "Σίσυφος"], emails=["Zoe@acme.example"]
    )
    assert parties.find_person("acme", handle) == zoe


@pytest.mark.parametrize("handle", ["Zo", "Zoë", "Zoe Weiß", "", "%", "p1\0"])
def test_nobody_is_found_by_part_of_a_handle(parties, handle):
    parties.add_person("p1", account="acme", name="Zoë Weiß", emails=["zoe@acme.example"])
    assert parties.find_person("acme", handle) is None


def test_a_handle_means_nobody_in_another_account(parties):
    parties.add_person("p1", account="acme", name="Zoë")
    parties.add_person("p2", name="Zoë")
    parties.add_person("p3", account="brill", name="Yan")
    assert parties.find_person("brill", "Zoë") is None
    assert parties.find_person("acme", "Yan") is None


def test_a_name_of_two_people_means_neither_and_no_guest_stands_in(parties):
    one = parties.add_person("p1", account="acme", name="Sam Lee", emails=["sam@acme.example"])
    two = parties.add_person("p2", account="acme", name="Ada", aliases=["sam lee"])
    assert parties.find_person("acme", "Sam Lee") is None
    with pytest.raises(ConflictError, match="Several people"):
        parties.guest("acme", "Sam Lee")
    assert parties.find_person("acme", "sam@acme.example") == one
    assert parties.people() == [one, two]


def test_a_guest_is_the_same_person_every_time(parties, tmp_path):
    guest = parties.guest("acme", "Bo Berg")
    assert parties.guest("acme", "BO  BERG") == guest
    assert parties.find_person("acme", "bo berg") == guest
    assert parties.person_by_pseudonym(guest.pseudonym) == guest
    assert parties.guest("brill", "Bo Berg") != guest
    with closing(Parties.open(tmp_path)) as opened:
        assert opened.guest("acme", "bo berg") == guest


def test_a_guest_does_not_become_whoever_is_added_under_the_same_name(parties):
    guest = parties.guest("acme", "Bo Berg")
    bo = parties.add_person("bo", account="acme", name="Bo Berg")
    assert bo.pseudonym != guest.pseudonym
    assert parties.find_person("acme", "Bo Berg") is None
    assert parties.guest("acme", "Bo Berg") == guest


# --- destroying ---


def test_what_an_erased_accounts_key_sealed_opens_never_again(parties, tmp_path):
    sealed = parties.seal("acme", b"id", b"text")
    kept = parties.seal("brill", b"id", b"text")
    parties.destroy_account_key("acme")
    with closing(Parties.open(tmp_path)) as opened:
        for reader in (parties, opened):
            with pytest.raises(ErasedError, match="acme was erased"):
                reader.open_sealed("acme", b"id", sealed)
            with pytest.raises(ErasedError):
                reader.seal("acme", b"id", b"new")
            assert reader.erased_accounts() == {"acme"}
            assert reader.open_sealed("brill", b"id", kept) == b"text"
    with pytest.raises(ConflictError):
        parties.add_account("acme", "Acme again")


def test_an_erased_person_is_nobody_and_comes_back_under_no_old_name(parties):
    ada = parties.add_person("ada", account="acme", name="Ada Lovelace")
    guest = parties.guest("acme", "Bo Berg")
    for person in (ada, guest):
        parties.destroy_person(person.id)
        with pytest.raises(ErasedError, match="erased"):
            parties.person(person.id)
        with pytest.raises(ErasedError):
            parties.destroy_person(person.id)
        with pytest.raises(ConflictError, match="erased"):
            parties.add_person(person.id)
        assert parties.person_by_pseudonym(person.pseudonym) is None
        assert parties.find_person("acme", person.name) is None
    with pytest.raises(ConflictError, match="erased"):
        parties.guest("acme", "Bo Berg")
    assert parties.people() == []


def test_no_guest_takes_the_name_of_somebody_erased_unless_they_are_added_on_purpose(parties):
    parties.add_person("ada", account="acme", name="Ada Lovelace", aliases=["U1"], emails=["ada@acme.example"])
    parties.destroy_person("ada")
    for handle in ("ADA  lovelace", "u1", "Ada@acme.example", "ada"):
        assert parties.is_erased("acme", handle)
        with pytest.raises(ConflictError, match="erased"):
            parties.guest("acme", handle)
    assert not parties.is_erased("brill", "Ada Lovelace")
    assert parties.guest("brill", "Ada Lovelace").account == "brill"
    again = parties.add_person("ada-2", account="acme", name="Ada Lovelace")
    assert parties.find_person("acme", "Ada Lovelace") == again


def test_a_handle_is_shared_when_two_go_by_it(parties):
    parties.add_person("p1", account="acme", name="Sam Lee")
    assert not parties.is_shared("acme", "sam lee")
    parties.add_person("p2", account="acme", aliases=["SAM LEE"])
    parties.add_person("p3", account="brill", name="Ada")
    assert parties.is_shared("acme", "sam lee")
    assert not parties.is_shared("acme", "ada")


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_a_blank_handle_is_nobodys(parties, blank):
    parties.add_person("p1", account="acme", name=blank, aliases=[blank], emails=[blank])
    assert parties.find_person("acme", blank) is None


def test_an_account_may_have_the_id_of_an_erased_person(parties):
    parties.add_person("ada")
    parties.destroy_person("ada")
    assert parties.add_account("ada", "Ada Ltd").id == "ada"


def test_destroying_whom_nobody_knows_is_an_error(parties):
    with pytest.raises(InvalidInputError):
        parties.destroy_person("nobody")
    with pytest.raises(InvalidInputError):
        parties.destroy_account_key("nobody")


def test_the_bytes_of_a_destroyed_account_key_are_gone_from_every_file(parties, tmp_path):
    wrapped = _wrapped(tmp_path, "accounts", "acme")
    kept = _wrapped(tmp_path, "accounts", "brill")
    parties.seal("acme", b"id", b"text")
    assert wrapped in _bytes_in(tmp_path)

    parties.destroy_account_key("acme")

    assert wrapped not in _bytes_in(tmp_path)
    assert kept in _bytes_in(tmp_path)


def test_the_bytes_of_a_destroyed_person_are_gone_from_every_file(parties, tmp_path):
    """Names of a third of a page make SQLite split pages all the time, which leaves old copies behind."""
    people = [
        parties.add_person(
            f"id{number * 7 % 40:02}",
            account="acme",
            name=f"name{number * 11 % 40:02}" * 200,
            aliases=[f"alias{number * 13 % 40:02}" * 20],
            emails=[f"mail{number * 17 % 40:02}@acme.example"],
        )
        for number in range(40)
    ]
    wrapped = {person.id: _wrapped(tmp_path, "people", person.id) for person in people}
    for person in people[::2]:
        traces = [wrapped[person.id], person.pseudonym, sha256(person.id.encode()).hexdigest()]
        traces += [person.id, person.name[:6], person.aliases[0][:7], person.emails[0]]
        traces = [trace.encode() if isinstance(trace, str) else trace for trace in traces]
        parties.destroy_person(person.id)
        left = _bytes_in(tmp_path)
        assert [trace for trace in traces if trace in left] == []
    assert parties.people() == sorted(people[1::2], key=lambda person: person.id)


def _stale(folder):
    with closing(sqlite3.connect(folder / "parties.db")) as db:
        return db.execute("SELECT count(*) FROM state WHERE name = 'stale'").fetchone()[0] == 1


def test_a_destruction_killed_before_the_wiping_is_finished_at_the_next_opening(parties, tmp_path):
    wrapped = _wrapped(tmp_path, "accounts", "acme")
    reader = sqlite3.connect(tmp_path / "parties.db", isolation_level=None)
    with closing(reader), ThreadPoolExecutor(1) as pool:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM accounts").fetchall()  # holds the old pages, so the wiping must wait
        destroying = pool.submit(parties.destroy_account_key, "acme")
        while not _stale(tmp_path):
            time.sleep(0.01)
        killed = shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-killed")
        reader.execute("COMMIT")
        destroying.result()
    assert not _stale(tmp_path)
    assert wrapped not in _bytes_in(tmp_path)

    assert wrapped in _bytes_in(killed)
    with closing(Parties.open(killed)) as opened:
        assert wrapped not in _bytes_in(killed)
        assert not _stale(killed)
        with pytest.raises(ErasedError):
            opened.seal("acme", b"id", b"text")


@pytest.mark.slow
def test_a_destruction_says_when_the_old_bytes_could_not_be_wiped_yet(parties, tmp_path):
    wrapped = _wrapped(tmp_path, "accounts", "acme")
    with closing(sqlite3.connect(tmp_path / "parties.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM accounts").fetchall()
        with pytest.raises(ConflictError, match="next opened"):
            parties.destroy_account_key("acme")
    with pytest.raises(ErasedError):
        parties.seal("acme", b"id", b"text")
    Parties.open(tmp_path).close()
    assert wrapped not in _bytes_in(tmp_path)


HOLDER = """
import sys
from pathlib import Path
from volition.consent.parties import ErasedError, Parties
parties = Parties.open(Path(sys.argv[1]))
sealed = parties.seal("acme", b"id", b"text")
parties.person_by_pseudonym(sys.argv[2])
print("holds the key", flush=True)
sys.stdin.readline()
try:
    print("opened", parties.open_many("acme", [(b"id", sealed)]))
except ErasedError:
    print("erased", parties.person_by_pseudonym(sys.argv[2]))
"""


def test_a_key_destroyed_here_is_not_used_by_another_process_that_holds_it(parties, tmp_path):
    ada = parties.add_person("ada", account="acme")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), ada.pseudonym],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "holds the key\n"
        parties.destroy_account_key("acme")
        parties.destroy_person("ada")
        answer, _ = other.communicate("now\n", timeout=60)
    assert answer == "erased None\n"


# --- the files ---


def test_nobody_but_the_owner_can_read_the_master_key(tmp_path):
    before = os.umask(0)
    try:
        Parties.create(tmp_path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "master.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_master_key_that_others_can_read_is_refused(parties, tmp_path, mode):
    (tmp_path / "master.key").chmod(mode)
    with pytest.raises(BackendError, match="chmod 600"):
        Parties.open(tmp_path)


@pytest.mark.parametrize("text", [b"", b"!!!", b"c2hvcnQ=", base64.b64encode(bytes(33)), bytes(32), b"A" * 5000])
def test_a_mangled_master_key_is_refused(parties, tmp_path, text):
    (tmp_path / "master.key").write_bytes(text)
    with pytest.raises(BackendError, match=r"master\.key"):
        Parties.open(tmp_path)


def test_the_master_key_of_another_workspace_is_refused_before_anything_is_wrapped_under_it(parties, tmp_path):
    (tmp_path / "master.key").write_bytes(base64.b64encode(os.urandom(32)))
    with pytest.raises(BackendError, match=r"Restore master\.key"):
        Parties.open(tmp_path)


def test_a_changed_account_key_is_refused(parties, tmp_path):
    wrapped = bytearray(_wrapped(tmp_path, "accounts", "acme"))
    wrapped[20] ^= 1
    _put(tmp_path, "UPDATE accounts SET wrapped = ? WHERE id = 'acme'", bytes(wrapped))
    with pytest.raises(BackendError, match="key of acme"):
        parties.seal("acme", b"id", b"text")


@pytest.mark.parametrize("name", ["master.key", "parties.db"])
def test_a_missing_file_is_refused_and_not_made_anew(parties, tmp_path, name):
    parties.close()
    (tmp_path / name).unlink()
    with pytest.raises(BackendError, match=name):
        Parties.open(tmp_path)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("content", [b"", b"this is no database" * 400])
def test_a_file_that_is_no_database_of_ours_is_refused(parties, tmp_path, content):
    parties.close()
    (tmp_path / "parties.db").write_bytes(content)
    with pytest.raises(BackendError, match=r"parties\.db cannot be opened"):
        Parties.open(tmp_path)


def test_making_a_second_one_in_the_same_folder_leaves_the_first(parties, tmp_path):
    before = (tmp_path / "master.key").read_bytes()
    with pytest.raises(ConflictError, match="already"):
        Parties.create(tmp_path)
    assert (tmp_path / "master.key").read_bytes() == before
    assert parties.has_account("acme")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BackendError):
        Parties.create(tmp_path / "nowhere")


@pytest.mark.parametrize("folder", ["a%20b?mode=ro", "what#ever", "ünïcode"])
def test_a_folder_may_have_any_name(tmp_path, folder):
    (tmp_path / folder).mkdir()
    with closing(Parties.create(tmp_path / folder)) as made:
        assert made.add_account("acme", "Acme Ltd").id == "acme"
    assert (tmp_path / folder / "parties.db").exists()


# --- several at once ---


def test_threads_and_connections_agree_on_one_guest(parties, tmp_path):
    with closing(Parties.open(tmp_path)) as other, ThreadPoolExecutor(8) as pool:
        start = threading.Barrier(8)

        def meet(number):
            start.wait()
            return [(parties, other)[number % 2].guest("acme", f"Guest {turn}").pseudonym for turn in range(10)]

        met = list(pool.map(meet, range(8)))
    assert all(one == met[0] for one in met)
    assert len(parties.people()) == 10


def test_threads_may_seal_and_look_up_while_others_are_erased(parties):
    people = [parties.add_person(f"p{number}", account="acme").pseudonym for number in range(6)]
    sealed = parties.seal("acme", b"id", b"text")
    done = threading.Event()

    def work():
        turns = 0
        while not done.is_set() or turns == 0:
            assert parties.open_sealed("acme", b"id", sealed) == b"text"
            for pseudonym in people:
                found = parties.person_by_pseudonym(pseudonym)
                assert found is None or found.pseudonym == pseudonym
            turns += 1

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(work) for _ in range(3)]
        for number in range(6):
            parties.destroy_person(f"p{number}")
        done.set()
        for worker in workers:
            worker.result()
    assert parties.people() == []
    assert not any(map(parties.person_by_pseudonym, people)), "somebody erased is still held in memory"
