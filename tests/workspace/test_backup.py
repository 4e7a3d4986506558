"""The restore drill: a workspace in use is backed up, lost, and restored with what was said since; killed anywhere."""

import json
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from crafts import PURPOSES, USAGE, Clock, build
from volition.cli import codes, main
from volition.consent.identity import Handle, Identities
from volition.errors import ConflictError, InvalidInputError, ProofError, RefusedError
from volition.server.auth import Access, Role
from volition.workspace import Workspace
from volition.workspace.backup import back_up
from volition.workspace.restore import Keys, aside_of, restore
from waiting import until

TESTS = Path(__file__).parent.parent
PASSPHRASE = b"six words are much better here"

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from crafts import write_usage
from volition.canonical import us_to_datetime
from volition.server.auth import Access, Role
from volition.workspace import Workspace
folder = Path(sys.argv[1])
number = 0
with Workspace.open(folder) as workspace:
    while not (folder.parent / "stop").exists():
        number += 1
        workspace.people.add_person(f"new-{number}", account="acme")
        workspace.consent.decide(f"person:new-{number}", yes=False, data=["service/usage"], purpose=["train/recommend"])
        workspace.records.collect_otlp(
            write_usage(folder.parent, "acme", [f"new-{number}"], us_to_datetime(workspace.now_us), seed=number)
        )
        if number % 5 == 0:
            workspace.records.compact()
        (folder.parent / "written").write_text(str(number))
"""

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
at, what, arguments = int(sys.argv[2]), sys.argv[3], [Path(one) for one in sys.argv[4:]]
steps = 0

def progress(*_):
    global steps
    steps += 1
    if steps == at:
        os.kill(os.getpid(), signal.SIGKILL)

if what == "backup":
    from volition.canonical import now_us
    from volition.workspace.backup import back_up
    back_up(*arguments, origin="log.example/crafts", clock=now_us, progress=progress)
else:
    from volition.workspace.restore import Keys, restore
    restore(*arguments[:2], keys=Keys(folder=arguments[2]), progress=progress)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace in which everybody said yes, and keep its keys apart."""
    folder = tmp_path_factory.mktemp("made")
    clock = Clock()
    with build(folder / "w", clock, accounts={"acme": 3, "helio": 3}) as workspace:
        path = folder / "bad.jsonl"
        path.write_text('{"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [{"body": "acme-1"}]}]}]}\n')
        workspace.records.collect_otlp(path, account="acme")
    keep_keys(folder / "w", folder / "keys")
    return folder, clock


@pytest.fixture
def there(made, tmp_path):
    """Copy it, with a clock of its own; return the workspace's folder, the clock, its keys."""
    folder, clock = made
    shutil.copytree(folder / "w", tmp_path / "w")
    return tmp_path / "w", Clock(clock.now), Keys(folder=folder / "keys")


def keep_keys(folder, apart):
    apart.mkdir()
    for name in ("master.key", "signing.key"):
        shutil.copy2(folder / name, apart / name)


def backed_up(folder, into, clock, **options):
    clock.wait(minutes=1)
    return back_up(folder, into, origin="log.example/crafts", clock=clock, **options)


def say_no(folder, clock, party):
    clock.wait(minutes=1)
    with Workspace.open(folder, clock=clock) as workspace:
        workspace.consent.decide(party, yes=False, data=USAGE, purpose=PURPOSES)


def permitted(folder, clock):
    """Return who is in the training set, and how many records of each account there are."""
    with Workspace.open(folder, clock=clock) as workspace:
        batches = workspace.records.rows("train/recommend")
        first = [people[0] for batch in batches for people in batch["people"].to_pylist()]
        return {workspace.parties.person_by_pseudonym(one).id for one in first}, len(first)


def bytes_in(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


# --- the drill ---


@pytest.mark.slow
def test_the_drill_noes_and_erasures_after_the_backup_hold_in_what_is_restored(there, tmp_path, capsys):
    folder, clock, keys = there
    before = permitted(folder, clock)
    backed_up(folder, tmp_path / "b", clock)
    with Workspace.open(folder, clock=clock) as workspace:
        pseudonym = workspace.parties.person("acme-1").pseudonym
    say_no(folder, clock, "person:helio-0")
    with Workspace.open(folder, clock=clock) as workspace:
        workspace.forgetting.erase("person:acme-1")
        size = workspace.ledger.size
        assert main(["log", "export", str(tmp_path / "public"), "--workspace", str(folder)]) == 0
    after = permitted(folder, clock)
    assert {"acme-1", "helio-0"} <= before[0] - after[0]
    shutil.copy2(folder / "ledger.db", tmp_path / "survived.db")
    shutil.rmtree(folder)

    for number, ledger in enumerate((tmp_path / "survived.db", tmp_path / "public")):
        place = tmp_path / f"restored-{number}"
        done = restore(tmp_path / "b", place, keys=keys, ledger=ledger)
        assert (done.entries, done.since, done.erased, done.erased_records) == (size, 2, 1, 7)
        assert permitted(place, clock) == after
        held = bytes_in(place)
        assert b"acme-1" not in held, "their name"
        with closing(sqlite3.connect(place / "parties.db")) as parties:
            assert parties.execute("SELECT count(*) FROM people WHERE pseudonym = ?", (pseudonym,)).fetchone() == (0,)
        with Workspace.open(place, clock=clock) as workspace:
            assert workspace.ledger.verify().size == size
            clock.wait(minutes=1)
            workspace.consent.decide("person:helio-1", yes=False, data=USAGE, purpose=PURPOSES)  # it goes on
        evidence = tmp_path / f"evidence-{number}.zip"
        assert main(["prove", str(evidence), "--workspace", str(place)]) == 0
        assert main(["verify", str(evidence), "--workspace", str(place)]) == 0
        capsys.readouterr()
        assert main(["doctor", "--workspace", str(place), "--json"]) == 0, capsys.readouterr().out


@pytest.mark.slow
def test_without_the_newer_ledger_it_is_told_and_whoever_kept_something_finds_out(there, tmp_path, capsys):
    folder, clock, keys = there
    backed_up(folder, tmp_path / "b", clock)
    say_no(folder, clock, "person:acme-1")
    with Workspace.open(folder, clock=clock) as workspace:
        receipt = workspace.proofs.receipt("acme-1", workspace.ledger.size - 1)
        checkpoint = workspace.ledger.checkpoint()
    (tmp_path / "receipt.json").write_text(json.dumps(receipt))
    (tmp_path / "note").write_text(checkpoint)
    shutil.rmtree(folder)
    command = ["restore", str(tmp_path / "b"), str(folder), "--keys", str(keys.folder)]
    for option, name in (("--receipt", "receipt.json"), ("--extends", "note")):
        assert main([*command, option, str(tmp_path / name)]) == codes.UNPROVEN.code
        assert f"{name} quotes a signed checkpoint" in capsys.readouterr().err
        assert not folder.exists()
        assert not aside_of(folder).exists()
    assert main(command) == 0
    assert "Every no and every erasure since is missing" in capsys.readouterr().err
    assert "acme-1" in permitted(folder, clock)[0], "that no is gone, which is why it is told"


@pytest.mark.slow
def test_a_backup_while_others_write_is_of_one_moment(there, tmp_path):
    folder, _, keys = there
    seen = tmp_path / "written"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(TESTS)]) as writer:
        try:
            for number in range(3):
                until(lambda: seen.exists() and int(seen.read_text() or 0) > 4 * number)  # noqa: B023
                assert main(["backup", str(tmp_path / "b"), "--workspace", str(folder)]) == 0
        finally:
            (tmp_path / "stop").touch()
        assert writer.wait() == 0
    names = sorted(path.stem for path in (tmp_path / "b" / "backups").iterdir())
    for name in names:
        place = tmp_path / name
        restore(tmp_path / "b", place, keys=keys, backup=name)
        assert main(["doctor", "--workspace", str(place)]) == 0
        with Workspace.open(place) as workspace:
            said = sum(entry.kind == "decision" and entry.body["answer"] == "no" for entry in workspace.entries())
            new = [person.id for person in workspace.parties.people("acme") if person.id.startswith("new-")]
            assert said <= len(new) <= said + 1, "each was added, and then said no"
            assert workspace.records.damaged_files() == []
    assert len(names) == 3


# --- what a backup is ---


def test_what_is_there_is_not_copied_again_and_old_backups_expire(there, tmp_path):
    folder, clock, keys = there
    first = backed_up(folder, tmp_path / "b", clock)
    assert first.copied == len(first.manifest.files)
    assert backed_up(folder, tmp_path / "b", clock).copied == 0
    say_no(folder, clock, "person:acme-1")
    third = backed_up(folder, tmp_path / "b", clock, keep=1)
    assert {path for path, file in third.manifest.files.items() if file != first.manifest.files.get(path)} <= {
        "checkpoint",
        "generations",
        "ledger.db",
        "parties.db",
        "uses.db",
    }
    assert len(third.removed) == 2
    objects = {path.name for path in (tmp_path / "b" / "objects").glob("*/*")}
    assert objects == {file.digest for file in third.manifest.files.values()}
    restore(tmp_path / "b", tmp_path / "r", keys=keys)
    assert "acme-1" not in permitted(tmp_path / "r", clock)[0]


def test_a_backup_has_no_key_nobody_else_can_read_it_and_nothing_in_it_is_clearer_than_in_the_workspace(
    there, tmp_path
):
    folder, clock, _ = there
    secrets = [(folder / name).read_bytes().strip() for name in ("master.key", "signing.key")]
    for options in ({}, {"passphrase": PASSPHRASE}):
        backed_up(folder, tmp_path / "b", clock, **options)
        held = bytes_in(tmp_path / "b")
        assert not [secret for secret in (*secrets, PASSPHRASE) if secret in held]
    assert b"document/0" not in held, "content"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "b", *(tmp_path / "b").rglob("*"))}
    assert modes == {0o700, 0o600}


@pytest.mark.slow
def test_keys_that_are_sealed_in_the_backup_open_with_the_passphrase_alone(there, tmp_path):
    folder, clock, _ = there
    backed_up(folder, tmp_path / "b", clock, passphrase=PASSPHRASE)
    with pytest.raises(ProofError, match="does not open these keys"):
        restore(tmp_path / "b", tmp_path / "r", keys=Keys(passphrase=b"another one of some length"))
    with pytest.raises(InvalidInputError, match="name the file with their passphrase"):
        restore(tmp_path / "b", tmp_path / "r", keys=Keys())
    assert not (tmp_path / "r").exists()
    restore(tmp_path / "b", tmp_path / "r", keys=Keys(passphrase=PASSPHRASE))
    assert permitted(tmp_path / "r", clock) == permitted(folder, clock)
    with pytest.raises(InvalidInputError, match="can be guessed"):
        backed_up(folder, tmp_path / "b", clock, passphrase=b"short")


def test_a_changed_byte_of_a_backup_is_found_and_mended_from_the_workspace(there, tmp_path):
    folder, clock, keys = there
    done = backed_up(folder, tmp_path / "b", clock)
    path = tmp_path / "b" / "objects" / (digest := done.manifest.files["volition.toml"].digest)[:2] / digest
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(ProofError, match="was changed after it was backed up"):
        restore(tmp_path / "b", tmp_path / "r", keys=keys)
    assert not (tmp_path / "r").exists()
    assert backed_up(folder, tmp_path / "b", clock, check=True).mended == 1
    restore(tmp_path / "b", tmp_path / "r", keys=keys)


def test_a_changed_manifest_is_refused_and_so_is_another_workspaces_folder(there, tmp_path):
    folder, clock, keys = there
    done = backed_up(folder, tmp_path / "b", clock)
    path = tmp_path / "b" / "backups" / f"{done.manifest.name}.json"
    envelope = json.loads(path.read_text())
    path.write_text(json.dumps({**envelope, "payload": envelope["payload"][:-8] + "AAAAAAA="}))
    with pytest.raises(ProofError):
        restore(tmp_path / "b", tmp_path / "r", keys=keys)
    path.write_text(json.dumps(envelope))
    Workspace.create(tmp_path / "other", origin="log.example/crafts", clock=clock).close()
    with pytest.raises(InvalidInputError, match="another signing key"):
        backed_up(tmp_path / "other", tmp_path / "b", clock)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").touch()
    for into in (tmp_path / "full", folder / "below"):
        with pytest.raises(InvalidInputError):
            backed_up(folder, into, clock)
    with pytest.raises(InvalidInputError, match="is not empty"):
        restore(tmp_path / "b", tmp_path / "full", keys=keys)


# --- ledgers that do not go on from the backup, and people who are lost ---


def test_a_ledger_that_went_on_otherwise_is_refused(there, tmp_path):
    folder, clock, keys = there
    shutil.copytree(folder, tmp_path / "fork")
    say_no(folder, clock, "person:acme-1")
    backed_up(folder, tmp_path / "b", clock)
    older = shutil.copy2(tmp_path / "fork" / "ledger.db", tmp_path / "older.db")
    for party in ("person:helio-1", "person:helio-2"):
        say_no(tmp_path / "fork", clock, party)
    for ledger, why in ((older, "it is older"), (tmp_path / "fork" / "ledger.db", "does not go on from")):
        with pytest.raises(ProofError, match=why):
            restore(tmp_path / "b", tmp_path / "r", keys=keys, ledger=ledger)
        assert not (tmp_path / "r").exists()


def test_people_who_were_made_one_after_the_backup_are_one_again_and_the_no_of_one_counts_for_both(there, tmp_path):
    folder, clock, keys = there
    backed_up(folder, tmp_path / "b", clock)
    with Workspace.open(folder, clock=clock) as workspace:
        workspace.people.merge("acme-1", into="acme-0")
    done = restore(tmp_path / "b", tmp_path / "r", keys=keys, ledger=folder / "ledger.db")
    assert done.lost == {}
    say_no(tmp_path / "r", clock, "person:acme-0")
    assert not {"acme-0", "acme-1"} & permitted(tmp_path / "r", clock)[0]
    say_no(folder, clock, "person:acme-0")
    assert permitted(tmp_path / "r", clock) == permitted(folder, clock)


def whom(folder, clock, name, account="acme"):
    """Return the ids of those whom a name concerns now in an account's data; "unknown" for somebody unknown."""
    with Workspace.open(folder, clock=clock) as workspace:
        found = Identities(workspace.parties).resolve(account, Handle(name=name)).people
        people = [workspace.parties.person_by_pseudonym(one) for one in found]
        return [one.id if one is not None else "unknown" for one in people]


@pytest.mark.slow
def test_whoever_may_be_somebody_whose_names_were_lost_is_refused_until_the_operator_says_who_they_are(
    there, tmp_path, capsys
):
    folder, clock, keys = there
    restored = tmp_path / "r"
    backed_up(folder, tmp_path / "b", clock)
    with Workspace.open(folder, clock=clock) as workspace:
        workspace.people.alias("acme-1", aliases=["The Captain"])
        [pseudonym] = workspace.parties.person("acme-1").pseudonyms
    say_no(folder, clock, "person:acme-1")
    assert whom(folder, clock, "The Captain") == ["acme-1"]
    done = restore(tmp_path / "b", restored, keys=keys, ledger=folder / "ledger.db")
    assert (done.lost, done.lost_names) == ({"identity": 1}, (pseudonym,))

    captain = whom(restored, clock, "The Captain")
    assert captain[0] == "unknown", "no guest's answer stands in for theirs"
    assert "acme-1" in captain, "and their no counts"
    assert whom(restored, clock, "acme-1") == ["unknown", "acme-1"], "it may be what was taken from them"
    assert whom(restored, clock, "acme-0") == ["acme-0"], "who is surely somebody else is not in doubt"
    assert "acme-1" not in whom(restored, clock, "Grace Hopper", "helio"), "nor is another account"

    command = ["--workspace", str(restored)]
    assert main(["doctor", *command]) == codes.OK.code
    assert "volition person alias acme-1 NAME... --complete" in capsys.readouterr().out
    assert main(["person", "alias", "acme-0", "--complete", *command]) == codes.INVALID.code
    assert main(["person", "alias", "acme-1", "The Captain", *command]) == codes.OK.code
    assert whom(restored, clock, "Grace Hopper")[0] == "unknown", "there may be more that were lost"
    assert main(["person", "alias", "acme-1", "--complete", *command]) == codes.OK.code
    assert whom(restored, clock, "The Captain")[0] == "acme-1"
    assert "unknown" not in whom(restored, clock, "Grace Hopper")


@pytest.mark.slow
def test_who_left_and_who_moved_after_the_backup_does_so_again_with_their_sign_in(there, tmp_path):
    folder, clock, keys = there
    with closing(Access.open(folder)) as access:
        for person in ("acme-1", "acme-2"):
            access.users.add(f"user-{person}", roles=[Role.PERSON], account="acme", person=person)
    backed_up(folder, tmp_path / "b", clock)
    assert main(["person", "leave", "acme-1", "--workspace", str(folder)]) == codes.OK.code
    assert main(["person", "move", "acme-2", "--to", "helio", "--workspace", str(folder)]) == codes.OK.code
    command = ["restore", str(tmp_path / "b"), str(tmp_path / "r"), "--keys", str(keys.folder)]
    assert main([*command, "--ledger", str(folder / "ledger.db")]) == codes.OK.code
    with Workspace.open(tmp_path / "r", clock=clock) as workspace:
        assert workspace.parties.person("acme-1").has_left("acme")
        assert workspace.parties.person("acme-2").account == "helio"
        assert workspace.parties.changes.names_lost() == {}
    with closing(Access.open(tmp_path / "r")) as access:
        assert [(user.user, user.account) for user in access.users.all()] == [("user-acme-2", "helio")]


@pytest.mark.slow
def test_a_backup_of_what_has_lost_a_file_pushes_out_no_older_one_that_may_have_it(there, tmp_path, capsys):
    folder, clock, _ = there
    backed_up(folder, tmp_path / "b", clock)
    next(folder.glob("lake/records/**/*.parquet")).unlink()
    assert main(["backup", str(tmp_path / "b"), "--keep", "1", "--workspace", str(folder)]) == 0
    assert "What the workspace has lost is not in this backup" in capsys.readouterr().err
    assert len(list((tmp_path / "b" / "backups").iterdir())) == 2


@pytest.mark.slow
def test_the_sign_in_of_somebody_erased_after_the_backup_is_erased_again(there, tmp_path):
    folder, clock, keys = there
    with closing(Access.open(folder)) as access:
        access.users.add("somebody-known", roles=[Role.PERSON], account="acme", person="acme-1")
        access.users.add("somebody-else", roles=[Role.PERSON], account="acme", person="acme-2")
    backed_up(folder, tmp_path / "b", clock)
    assert main(["erase", "--party", "person:acme-1", "--workspace", str(folder)]) == 0
    command = ["restore", str(tmp_path / "b"), str(tmp_path / "r"), "--keys", str(keys.folder)]
    assert main([*command, "--ledger", str(folder / "ledger.db")]) == 0
    with closing(Access.open(tmp_path / "r")) as access:
        assert [user.user for user in access.users.all()] == ["somebody-else"]
    assert b"somebody-known" not in bytes_in(tmp_path / "r")


@pytest.mark.slow
def test_people_who_were_added_after_the_backup_are_never_silently_lost(there, tmp_path):
    folder, clock, keys = there
    backed_up(folder, tmp_path / "b", clock)
    with Workspace.open(folder, clock=clock) as workspace:
        workspace.people.add_person("late", account="acme")
    say_no(folder, clock, "person:late")
    with pytest.raises(RefusedError, match="added after the backup"):
        restore(tmp_path / "b", tmp_path / "r", keys=keys, ledger=folder / "ledger.db")
    done = restore(tmp_path / "b", tmp_path / "r", keys=keys, ledger=folder / "ledger.db", without_lost_parties=True)
    assert len(done.lost_parties) == 1
    with Workspace.open(tmp_path / "r", clock=clock) as workspace:
        assert workspace.ledger.verify().size == done.entries


# --- held, killed ---


def test_a_database_that_somebody_holds_is_waited_for_and_then_named(there, tmp_path, monkeypatch):
    monkeypatch.setattr("volition.workspace.backup._PATIENCE_S", 0.2)
    folder, clock, _ = there
    with closing(sqlite3.connect(folder / "lake" / "index.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConflictError, match=r"index\.db is held by"):
            backed_up(folder, tmp_path / "b", clock)
    assert not list((tmp_path / "b" / "backups").iterdir())
    backed_up(folder, tmp_path / "b", clock)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["backup", "restore"])
def test_killed_in_the_middle_nothing_half_done_is_taken_for_whole_and_it_is_done_again(what, there, tmp_path):
    folder, clock, keys = there
    if what == "restore":
        backed_up(folder, tmp_path / "b", clock)
    arguments = {"backup": [folder, tmp_path / "b"], "restore": [tmp_path / "b", tmp_path / "r", keys.folder]}[what]
    for at in (1, 4):
        called = [sys.executable, "-c", KILLED, str(TESTS), str(at), what, *map(str, arguments)]
        dead = subprocess.run(called, check=False, capture_output=True, text=True)
        assert dead.returncode == -signal.SIGKILL, dead.stderr
        if what == "backup":
            with pytest.raises(InvalidInputError, match="There is no backup"):
                restore(tmp_path / "b", tmp_path / "r", keys=keys)
        assert not (tmp_path / "r").exists()
    backed_up(folder, tmp_path / "b", clock)
    restore(tmp_path / "b", tmp_path / "r", keys=keys)
    assert permitted(tmp_path / "r", clock) == permitted(folder, clock)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "r", "w"]
