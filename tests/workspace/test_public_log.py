"""The log for others, through the workspace and the commands: who gets entries, who gets hashes, what a proof says."""

import json
import shutil
from functools import partial

import pytest

from volition.canonical import canonical_json
from volition.cli import main
from volition.consent.parties import read_secret
from volition.errors import InvalidInputError, RefusedError
from volition.ledger import merkle
from volition.ledger.cosignatures import Cosignatures
from volition.ledger.signing import Checkpoint, KeyKind, Signer, VerifierKey, checkpoint_text, cosign, sign_note
from volition.ledger.store import LOWEST, Growth
from volition.ledger.stores.sqlite import SqliteStore
from volition.ledger.tlog_proof import verify_tlog_proof
from volition.workspace import Workspace

ORIGIN = "log.example/public"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("public") / "ws"
    with Workspace.create(folder, origin=ORIGIN) as workspace:
        workspace.people.add_account("acme", "Acme", region="GB")
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
    return folder


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "ws")


@pytest.fixture
def call(folder, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        code = main([*map(str, arguments), "--workspace", str(folder), "--json"])
        told = capsys.readouterr()
        return code, json.loads(told.out), told.err

    return run


def test_an_export_says_for_whom_it_is(call, folder, tmp_path):
    code, told, err = call("log", "export", "all")
    assert (code, told["entries"], told["new"]) == (0, True, told["size"])
    assert "give them to those alone who may read the whole log" in err
    code, told, err = call("log", "export", "hashes", "--without-entries")
    assert (code, told["entries"], err) == (0, False, "")
    assert (tmp_path / "all" / "tile" / "entries").exists()
    assert not (tmp_path / "hashes" / "tile" / "entries").exists()

    with Workspace.open(folder) as workspace:
        workspace.people.add_account("brill", "Brill", region="DE")
    assert call("log", "export", "hashes", "--without-entries")[1]["new"] == 1


def test_an_entry_is_proved_with_it_or_beside_it(call, tmp_path):
    key = VerifierKey.from_text(call("key")[1]["key"])
    code, told, _ = call("log", "prove", "1")
    assert (code, told) == (0, {"file": "entry-1.tlog-proof", "entry": 1, "entry_file": None})
    entry = verify_tlog_proof((tmp_path / "entry-1.tlog-proof").read_bytes(), key).entry

    _, told, _ = call("log", "prove", "1", "one.tlog-proof", "--without-entry")
    proof, beside = (tmp_path / "one.tlog-proof").read_bytes(), (tmp_path / told["entry_file"]).read_bytes()
    assert b"extra" not in proof
    assert verify_tlog_proof(proof, key, entry=beside).entry == entry
    with pytest.raises(InvalidInputError):
        verify_tlog_proof(proof, key)


def test_verify_takes_the_proof_of_an_entry(call, tmp_path):
    (tmp_path / "trust").write_text(f"log {call('key')[1]['key']}\nquorum none\n")
    call("log", "prove", "1", "one.tlog-proof", "--without-entry")
    call("log", "prove", "0", "two.tlog-proof")

    code, told, _ = call("verify", "two.tlog-proof")
    assert (code, [check["name"] for check in told["checks"]]) == (0, ["entry"])
    code, told, _ = call("verify", "one.tlog-proof", "--entry", "one.tlog-proof.entry", "--policy", "trust")
    assert (code, told["holds"], len(told["checks"])) == (0, True, 2)
    code, told, _ = call("verify", "one.tlog-proof")
    assert (code, "Give the entry besides" in told["checks"][0]["detail"]) == (4, True)
    (tmp_path / "two.tlog-proof").write_text((tmp_path / "two.tlog-proof").read_text().replace("index 0", "index 1"))
    assert call("verify", "two.tlog-proof")[0] == 4
    assert call("verify", "two.tlog-proof", "--person", "0" * 32)[0] == 2


def test_a_bundle_is_held_against_a_policy(call, tmp_path, folder):
    call("prove", "all.zip")
    signer = Signer.from_seed("witness.example/w1", bytes(32), KeyKind.COSIGNATURE)
    policy = f"witness w {signer.key.to_text()} https://w.example/\nquorum w\n"
    (tmp_path / "trust").write_text(policy)
    code, told, _ = call("verify", "all.zip", "--policy", "trust")
    assert (code, told["error"]["message"].startswith("trust: The policy names no log")) == (2, True)
    (tmp_path / "trust").write_text(f"log {call('key')[1]['key']}\n{policy}")
    code, told, _ = call("verify", "all.zip", "--policy", "trust")
    assert code == 4
    assert [check["name"] for check in told["checks"] if not check["holds"]] == ["witnesses of all.zip"]

    with (folder / "volition.toml").open("a") as settings:
        settings.write(f"\n[witness]\npolicy = '''\n{policy}'''\n")
    with Workspace.open(folder) as workspace:
        note, size = workspace.ledger.checkpoint(), workspace.ledger.size
    stored = Cosignatures(folder / "cosignatures.db")
    stored.add(size, signer.key, cosign(note, signer, 4_102_444_800).removeprefix(note), at_s=1, asked_s=1)
    stored.close()
    call("prove", "seen.zip")
    code, told, _ = call("verify", "seen.zip", "--policy", "trust")
    assert (code, told["checks"][-1]["detail"]) == (
        0, f"{size} entries, cosigned by w at 2100-01-01T00:00:00.000000Z")  # fmt: skip
    (tmp_path / "broken").write_text("quorum")
    code, told, _ = call("verify", "seen.zip", "--policy", "broken")
    assert (code, "cut off" in told["error"]["message"]) == (2, True)


def test_there_is_no_proof_of_what_is_not_there(call, tmp_path):
    code, told, _ = call("log", "prove", "99")
    assert (code, told["error"]["kind"]) == (2, "invalid-input")
    assert not list(tmp_path.glob("*.tlog-proof"))


def test_without_a_witness_nothing_is_cosigned(call):
    code, told, _ = call("log", "export", "out", "--cosigned")
    assert (code, "quorum of its witnesses" in told["error"]["message"]) == (2, True)
    code, told, _ = call("log", "witness")
    assert (code, "names no witness" in told["error"]["message"]) == (2, True)


def _written_before_salts(head, *, signer, count):
    """Write entries as versions before salts wrote them."""
    leaves = [
        canonical_json({"at": "2026-01-01T00:00:00.000000Z", "body": {"n": n}, "kind": "region", "seq": n})
        for n in range(head.size, head.size + count)
    ]
    frontier = merkle.Frontier()
    nodes = frontier.extend(merkle.leaf_hashes(leaves), lowest=LOWEST)
    checkpoint = Checkpoint(origin=signer.key.name, size=frontier.size, root=frontier.root())
    note = sign_note(checkpoint_text(checkpoint), signer)
    return Growth(leaves=tuple(leaves), nodes=tuple(nodes), checkpoint=checkpoint, note=note)


@pytest.mark.parametrize("count", [1, 9])
def test_hashes_of_entries_that_can_be_guessed_are_for_nobody(folder, tmp_path, count):
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm", "checkpoint", "parties.db", "generations"):
        (folder / name).unlink(missing_ok=True)
    fresh = tmp_path / "fresh"
    Workspace.create(fresh, origin=ORIGIN, profile=None).close()
    shutil.copy(fresh / "parties.db", folder / "parties.db")
    shutil.copy(fresh / "master.key", folder / "master.key")
    signer = Signer.from_seed(ORIGIN, read_secret(folder / "signing.key"))
    store = SqliteStore.create(folder / "ledger.db")
    store.append(partial(_written_before_salts, signer=signer, count=count))
    store.close()
    with Workspace.open(folder) as workspace:
        workspace.people.add_account("later", "Later", region="GB")
        with pytest.raises(RefusedError, match=f"first {count} entries .* have no salt"):
            workspace.log.export(tmp_path / "hashes", with_entries=False)
        assert not (tmp_path / "hashes").exists()
        assert workspace.log.export(tmp_path / "all").size == count + 2
        assert workspace.log.export(tmp_path / "hashes", with_entries=False, unsalted=True).size == count + 2
