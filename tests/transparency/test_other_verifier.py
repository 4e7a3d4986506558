"""The other verifier, which was written from docs/formats alone: it sees what this one sees, and every lie by its name."""

import base64
import hashlib
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lies import LIES, collected_proofs, no_of, receipts_by_region
from lies_of_logs import later
from test_claims import Case, world_in
from test_dishonest_operator import (  # noqa: F401 - fixtures
    KINDS,
    changes,
    cut_off,
    documents,
    forger,
    honest,
    is_as_true,
    relined,
    resigned,
    spaced,
    succeeded,
    twice_said,
    unsalted,
    verify,
)
from test_prove import bundle

import volition_verify as other
from forging import Forger
from simulator import DAY_US, SIGNER, TERMS
from test_formats_permits import FOR, a_log, a_record, asked_of_page
from volition.cli import main
from volition.errors import InvalidInputError
from volition.transparency.verify.archive import pack
from volition_formats.permits import History, may, publication_fault
from volition_formats.spellings import any_instant, instant_text

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "docs" / "formats" / "samples"
KEY = other.Key.of(SIGNER.key.to_text())
SAMPLE_KEY = other.Key.of((SAMPLES / "log.pub").read_text(encoding="utf-8").strip())


def names(checks):
    return [(check[0], check[1]) for check in checks]


def failing(report):
    return [check for check in report.checks if not check[1]]


def test_the_honest_bundle_holds_in_the_same_checks(honest, tmp_path):  # noqa: F811
    report = other.verify_bundle(pack(honest.members), KEY)
    assert report.holds, failing(report)
    assert names(report.checks) == [(check.name, check.holds) for check in verify(honest.members, tmp_path).checks]
    assert sum(claim.startswith("snapshot") for claim in report.claimed) == 2
    assert sum(claim.startswith("card of") for claim in report.claimed) == 2


def test_a_no_while_a_successor_was_made_is_owed_by_it_and_asked_of_it_by_neither(honest, tmp_path):  # noqa: F811
    members = succeeded(honest)
    report = other.verify_bundle(pack(members), KEY)
    assert report.holds, failing(report)
    assert names(report.checks) == [(check.name, check.holds) for check in verify(members, tmp_path).checks]


@pytest.mark.parametrize("name", LIES)
def test_a_lie_fails_in_the_same_check(honest, forger, tmp_path, name):  # noqa: F811
    tell, check, _ = LIES[name]
    tell(forger, honest)
    members = forger.bundle()
    report = other.verify_bundle(pack(members), KEY)
    assert failing(report), name
    assert failing(report)[0][0].startswith(check), failing(report)
    assert names(report.checks) == [(one.name, one.holds) for one in verify(members, tmp_path).checks]


@pytest.mark.parametrize("change", [spaced, twice_said, unsalted])
def test_an_entry_spelt_another_way_fails_the_ledger(forger, change):  # noqa: F811
    [check] = failing(other.verify_bundle(pack(relined(forger, change)), KEY))
    assert check[0] == "ledger"


def test_no_changed_byte_of_a_bundle_survives(honest):  # noqa: F811
    whole, randomly = pack(honest.members), random.Random(2)
    for start in range(0, len(whole), len(whole) // 60):
        changed = bytearray(whole)
        changed[min(start + randomly.randrange(len(whole) // 60), len(whole) - 1)] ^= 1 << randomly.randrange(8)
        try:
            assert failing(other.verify_bundle(bytes(changed), KEY)), start
        except other.NotEvidenceError:
            assert start > len(whole) - 60, start


def test_no_file_left_out_or_added_survives(honest):  # noqa: F811
    for name in honest.members:
        without = {one: data for one, data in honest.members.items() if one != name}
        assert failing(other.verify_bundle(pack(without), KEY)), name
    [check] = failing(other.verify_bundle(pack({**honest.members, "extra": b""}), KEY))
    assert check[0] == "nothing else"


@pytest.mark.parametrize("behind", [b"x", b"PK\5\6" + bytes(18)])
def test_bytes_before_and_behind_are_no_bundle(honest, behind):  # noqa: F811
    whole = pack(honest.members)
    for forged in (whole + behind, b"PK\3\4" + whole, whole[:40] + behind + whole[40:]):
        [check] = failing(other.verify_bundle(forged, KEY))
        assert check[0] == "archive"


def kept(honest, data):  # noqa: F811
    found = {"extends": {"old": honest.note}, "receipts": {"mine": honest.receipt}}
    return other.verify_bundle(data, KEY, **found, not_before=honest.world.clock.now_us - DAY_US)


def test_a_log_that_goes_on_from_what_was_kept_holds(honest):  # noqa: F811
    report = kept(honest, pack(honest.members))
    assert report.holds, failing(report)
    assert [name for name, _, _ in report.checks][2:5] == ["extends old", "receipt mine", "not before"]
    late = other.verify_bundle(pack(honest.members), KEY, not_before=honest.world.clock.now_us + DAY_US)
    assert [name for name, _, _ in failing(late)] == ["not before"]


@pytest.mark.parametrize("change", [resigned, cut_off])
def test_a_log_signed_anew_or_cut_off_is_found_by_what_somebody_kept(honest, forger, change):  # noqa: F811
    change(forger)
    told = [name for name, _, _ in failing(kept(honest, pack(relined(forger, lambda lines: lines))))]
    assert told[:2] == ["extends old", "receipt mine"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_change_of_any_value_of_a_document_survives(documents, kind):  # noqa: F811
    document = documents[kind]
    assert other.verify_document(document, KEY).holds
    every = list(changes(document))
    for changed in random.Random(3).sample(every, min(len(every), 300)):
        try:
            held = other.verify_document(changed, KEY).holds
        except other.NotEvidenceError:
            continue
        assert not held or json.dumps(changed) == json.dumps(document) or is_as_true(kind, changed, document), changed


def shows_less(changed, document):
    """Say whether a proof of what was collected only shows fewer records, which is as true."""
    if not set(changed) == set(document) >= {"batches"}:
        return False
    shown = {leaf["leaf"] for batch in changed["batches"] for leaf in batch["leaves"]}
    return shown < {leaf["leaf"] for batch in document["batches"] for leaf in batch["leaves"]}


@pytest.mark.parametrize("name", ["looked.json", "collected.json", "receipt.json"])
def test_no_change_of_any_value_of_a_sample_survives(name):
    document = json.loads((SAMPLES / name).read_text(encoding="utf-8"))
    every = list(changes(document))
    for changed in random.Random(6).sample(every, min(len(every), 200)):
        try:
            held = other.verify_document(changed, SAMPLE_KEY).holds
            assert not held or shows_less(changed, document), changed
        except other.NotEvidenceError:
            assert changed.get("format") != document["format"]


def test_no_changed_byte_of_an_entrys_proof_survives():
    proof = (SAMPLES / "release.tlog-proof").read_bytes()
    for place in range(0, len(proof), 7):
        changed = bytearray(proof)
        changed[place] ^= 1 << place % 7
        assert not other.verify_tlog_proof(changed.decode(errors="replace"), SAMPLE_KEY).holds, place


def test_a_receipt_shows_one_region_of_the_party_and_one_of_an_account():
    held = {name: other.verify_document(receipt, KEY).holds for name, receipt in receipts_by_region().items()}
    assert list(held.values()) == [True, True, *[False] * (len(held) - 2)], held


def test_a_batch_has_each_record_once_and_none_from_after_its_entry():
    held = {name: other.verify_document(proof, KEY).holds for name, proof in collected_proofs().items()}
    assert list(held.values()) == [True, *[False] * (len(held) - 1)], held


# --- forgetting ---


def test_a_no_that_is_not_yet_due_is_told_and_breaks_nothing(honest, forger, tmp_path):  # noqa: F811
    forger.append("decision", no_of(honest))
    forger.append("decision", no_of(honest, "brill"), after_us=29 * DAY_US)
    report = other.verify_bundle(pack(forger.bundle()), KEY)
    assert report.holds, failing(report)
    told = {name: says for name, _, says in report.checks if name.startswith("forgetting")}
    theirs = {check.name: check.detail for check in verify(forger.bundle(), tmp_path).checks}
    for name, says in told.items():
        due = says.split("due by ")[1].rstrip(".")
        assert due[:10] in theirs[name]


def test_a_version_without_notice_is_a_warning(forger):  # noqa: F811
    binds = later(forger)
    forger.append("terms", {"terms": {**TERMS.to_json(), "id": "v2"}, "binds": binds})
    forger.append("notice", {"account": "acme", "terms": "v2", "ends": binds})
    report = other.verify_bundle(pack(forger.bundle()), KEY)
    assert report.holds, failing(report)
    assert [warning.split(":")[0] for warning in report.warnings] == ["Without notice"]


def claimed(body, at_us, **says):
    """The same answer, imported: said at an instant, as its source says."""
    claim = {"said": instant_text(at_us), "by": "operator", "source": "crm", "id": "0" * 32, "wording": "0" * 64}
    return {**body, "claim": {**claim, **says}}


def test_an_import_afterwards_breaks_nothing_that_was_lawful_by_what_was_recorded_then(honest, forger, tmp_path):  # noqa: F811
    before_us = forger.entries[forger.place("snapshot", 0)].at_us - DAY_US
    forger.append("decision", claimed(no_of(honest), before_us))
    assert failed(both_see(forger.bundle(), tmp_path)) == []


def test_a_no_that_was_imported_before_a_snapshot_counts_from_when_it_was_said(honest, forger, tmp_path):  # noqa: F811
    place = forger.place("snapshot", 1)
    forger.insert(place, "decision", claimed(no_of(honest), forger.entries[place].at_us - 2))
    [check] = failed(both_see(forger.bundle(), tmp_path))
    assert check.startswith("permits of train-recommend")


@pytest.mark.parametrize(
    "says",
    [
        {"said": "2100-01-01T00:00:00.000000Z"},
        {"said": "1969-12-31T23:59:59.000000Z"},
        {"by": "nobody"},
        {"source": " crm"},
        {"id": "x-7"},
        {"wording": "May we?"},
        {"note": "more"},
    ],
)
def test_a_claim_of_another_form_fails_the_terms(honest, forger, tmp_path, says):  # noqa: F811
    forger.append("decision", claimed(no_of(honest), DAY_US, **says))
    assert failed(both_see(forger.bundle(), tmp_path)) == ["terms"]


def test_a_claim_that_reaches_back_fails_the_terms(honest, forger, tmp_path):  # noqa: F811
    forger.append("decision", {**claimed(no_of(honest), DAY_US), "answer": "yes", "covers": "past"})
    assert failed(both_see(forger.bundle(), tmp_path)) == ["terms"]


def test_a_forgetting_that_came_late_is_a_warning(honest, forger):  # noqa: F811
    forger.append("decision", no_of(honest))
    for number in (0, 1):
        body = {"model": honest.models[number], "successor": None, "parties": ["account:acme"]}
        forger.append("forgetting", body, after_us=40 * DAY_US)
    members = {name: data for name, data in forger.bundle().items() if "/" not in name}
    report = other.verify_bundle(pack(members), KEY)
    assert report.holds, failing(report)
    assert [warning.split(":")[0] for warning in report.warnings] == ["Forgotten late"] * 2


# --- witnesses ---


def witness(name, seed, note):
    """Return a witness's public key, and a checkpoint with its line."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    public = b"\4" + key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
    body, at = note.split("\n\n")[0] + "\n", 1_700_000_000
    signed = at.to_bytes(8, "big") + key.sign(f"cosignature/v1\ntime {at}\n{body}".encode())
    line = f"\N{EM DASH} {name} {base64.b64encode(key_id + signed).decode()}\n"
    return f"{name}+{key_id.hex()}+{base64.b64encode(public).decode()}", note + line


def other_log(name):
    """Return the key of another log."""
    public = b"\1" + Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32).public_key().public_bytes_raw()
    key_id = hashlib.sha256(name + b"\n" + public).digest()[:4]
    return f"{name.decode()}+{key_id.hex()}+{base64.b64encode(public).decode()}"


def test_a_checkpoint_has_its_quorum_or_fails():
    log = (SAMPLES / "log.pub").read_text(encoding="utf-8").strip()
    alone = (SAMPLES / "checkpoint").read_text(encoding="utf-8")
    north, by_north = witness("w.example/north", 1, alone)
    south, by_both = witness("w.example/south", 2, by_north)
    named = f"log {log}\nwitness north {north}\nwitness south {south}\n"
    both = other.Policy.of(named + "group all all north south\nquorum all\n")
    one = other.Policy.of(named + "group one any north south\nquorum one\n")
    second = f"log {other_log(b'example.org/second')}\n"
    nobody = other.Policy.of(second + named + "quorum none\n")
    assert "north, south" in both.check(by_both)
    assert "north" in one.check(by_north)
    assert nobody.check(alone)
    for policy, note in (
        (both, by_north),
        (one, alone),
        (both, by_both.replace("T", "U", 1)),
        (nobody, by_both[:-9] + "AAAAAAA=\n"),
    ):
        with pytest.raises(ValueError):
            policy.check(note)
    for wrong in (
        f"{named}quorum",
        f"{named}quorum west\n",
        f"{named}witness other {north}\nquorum none\n",
        f"{named}log {log}\nquorum none\n",
        f"{named}group one any north\ngroup two any north\ngroup both all one two\nquorum both\n",
        f"{named}quorum none\r\n",
        "quorum none\n",
    ):
        with pytest.raises(ValueError):
            other.Policy.of(wrong)
    sample = (SAMPLES / "release.tlog-proof").read_text(encoding="utf-8")
    report = other.verify_tlog_proof(sample, SAMPLE_KEY, policy=one)
    assert names(report.checks) == [("entry", True), ("witnesses of the entry's checkpoint", False)]


def test_a_bundle_whose_last_entry_its_witnesses_saw_before_its_date_fails(honest, tmp_path, capsys):  # noqa: F811
    north, seen = witness("w.example/north", 1, honest.members["checkpoint"].decode())
    (tmp_path / "policy").write_text(f"log {SIGNER.key.to_text()}\nwitness north {north}\nquorum north\n")
    policy = other.Policy.of((tmp_path / "policy").read_text())
    members = {**honest.members, "checkpoint": seen.encode()}
    report = other.verify_bundle(pack(members), KEY, policy=policy)
    assert [(name, "dated later" in why) for name, _, why in failing(report)] == [("witnesses of checkpoint", True)]
    (tmp_path / "it.zip").write_bytes(pack(members))
    asked = ["verify", str(tmp_path / "it.zip"), "--key", SIGNER.key.to_text(), "--json"]
    assert main([*asked, "--policy", str(tmp_path / "policy")]) == 4
    checks = json.loads(capsys.readouterr().out)["checks"]
    [failed] = [check for check in checks if not check["holds"]]
    assert (failed["name"], "dated ahead" in failed["detail"]) == ("witnesses of it.zip", True)


# --- what is changed and signed anew: the two agree on every check ---


def changed_cards(honest):  # noqa: F811
    """Yield forgers whose first card says one thing differently."""
    card = json.loads(honest.members[f"releases/{honest.models[0]}/card.json"])
    for changed in random.Random(4).sample(list(changes(card)), 60):
        forging = Forger(honest.members)

        def put(card, _, changed=changed):
            bound = {key: card[key] for key in ("checkpoint", "model")}
            card.clear()
            card.update({**changed, **bound})

        forging.cards[honest.models[0]] = put
        yield changed, forging


def changed_manifests(honest):  # noqa: F811
    """Yield forgers whose first manifest says one thing differently."""
    manifest = json.loads(honest.members[f"snapshots/{honest.snapshots[0].id}/manifest.json"])
    for changed in random.Random(5).sample(list(changes(manifest)), 60):
        forging = Forger(honest.members)

        def put(manifest, _, changed=changed):
            note = manifest["checkpoint"]
            manifest.clear()
            manifest.update({**changed, "checkpoint": note})

        forging.manifests[honest.snapshots[0].id] = put
        yield changed, forging


@pytest.mark.slow
@pytest.mark.parametrize("forged", [changed_cards, changed_manifests])
def test_both_verifiers_see_the_same_in_what_was_changed_and_signed_anew(honest, tmp_path, forged):  # noqa: F811
    told = 0
    for changed, forging in forged(honest):
        try:
            members = forging.bundle()
        except (KeyError, TypeError, ValueError, InvalidInputError):
            continue  # nobody can write the files of that
        told += not all(holds for _, holds in both_see(members, tmp_path, changed))
    assert told > 20


def both_see(members, tmp_path, said=None):
    """Return the checks that both verifiers make, in their order, with whether each holds."""
    checks = names(other.verify_bundle(pack(members), KEY).checks)
    assert checks == [(one.name, one.holds) for one in verify(members, tmp_path).checks], said
    return checks


def failed(checks):
    return [name for name, holds in checks if not holds]


def bodies(honest):  # noqa: F811
    """Return a body of every kind of entry that has to be read, each of which says something of every field."""
    ada, bo = (honest.world.party(f"acme-{name}") for name in ("ada", "bo"))
    uses, place = {"data": ["content"], "purpose": ["feature"]}, "0" * 32
    version = {**TERMS.to_json(), "id": "v9", "effective": "2026-01-01T00:00:00.000000Z"}
    future = "2100-01-01T00:00:00.000000Z"
    said = {"party": ada, **uses, "answer": "yes", "covers": "2026-01-01T00:00:00.000000Z", "until": future}
    where = {"account": "acme", "conversation": place}
    return {
        "terms": {"terms": version, "binds": future},
        "acceptance": {"account": "acme", "terms": "v1"},
        "decision": {**said, "namesake": bo, "via": "page"},
        "region": {"party": ada, "region": "US-CA"},
        "signal": {"party": ada, "signal": "gpc", "namesake": bo},
        "limit": {"account": "acme", "group": "g", **uses, "limited": True, "people": [ada, bo]},
        "sharing": {**where, "conversation": "file", "source": place, "with": [bo], "shared": True, "by": ada},
        "exclusion": {**where, "party": ada, "purpose": ["feature"], "excluded": True, "namesake": bo},
        "erasure": {"party": "person:" + "0" * 32},
    }


def test_entries_of_every_kind_are_read(honest, forger, tmp_path):  # noqa: F811
    for kind, body in bodies(honest).items():
        forger.append(kind, body)
    assert failed(both_see(forger.bundle(), tmp_path)) == []


def with_terms(**says):
    return lambda body: {**body, "terms": {**body["terms"], **says}}


WRONG = [
    *[("terms", with_terms(effective=when)) for when in ("20240101", "2024-W01", "2024-01-01T00Z")],
    *[("terms", {"binds": when}) for when in ("21000101", None)],
    ("acceptance", {"account": None}),
    *[("decision", {name: None}) for name in ("party", "answer", "namesake")],
    *[("decision", {"covers": "2026-W01"}), ("decision", {"answer": True}), ("decision", {"data": {"content": 1}})],
    *[("region", {"party": None}), ("region", {"region": None}), ("region", {"region": "EEA"})],
    ("signal", {"signal": None}),
    ("limit", {"account": None}),
    *[
        ("sharing", {"source": None}),
        ("sharing", {"with": None}),
        ("sharing", {"with": [1]}),
        ("sharing", {"shared": 1}),
    ],
    *[("exclusion", {"conversation": None}), ("exclusion", {"namesake": None}), ("exclusion", {"purpose": "feature"})],
    ("erasure", {"party": None}),
]
MORE = [
    *[("terms", with_terms(effective=when)) for when in ("2024-001", "2024-01-01T000000Z", "2024-01-01T00:00", None)],
    ("acceptance", {"terms": None}),
    *[("decision", {"data": wrong}) for wrong in ("content", None, ["content", None])],
    *[("decision", {"purpose": None}), ("decision", {"until": "2026-W01"}), ("decision", {"answer": ["yes"]})],
    *[("region", {"region": wrong}) for wrong in ("us", "US-", "US-CALI", "")],
    *[("signal", {name: None}) for name in ("party", "namesake")],
    *[("limit", {name: None}) for name in ("group", "limited", "people")],
    *[("sharing", {name: None}) for name in ("account", "conversation", "shared", "by")],
    *[("sharing", {"with": wrong}) for wrong in ("person:x", {"person:x": 1})],
    *[("exclusion", {name: None}) for name in ("account", "party", "excluded")],
]


@pytest.mark.parametrize("wrong", [*WRONG, *(pytest.param(one, marks=pytest.mark.slow) for one in MORE)])
def test_an_entry_in_which_a_value_is_of_another_form_fails_the_terms(honest, forger, tmp_path, wrong):  # noqa: F811
    kind, change = wrong
    body = bodies(honest)[kind]
    forger.append(kind, change(body) if callable(change) else {**body, **change})
    checks = both_see(forger.bundle(), tmp_path)
    assert failed(checks) == ["terms"]
    assert not any(name.startswith(("permits", "forgetting")) for name, _ in checks), "nothing can be asked of that log"


@pytest.mark.parametrize("when", ["2024-01-01", "2024-01-01 00:00Z", "2024-01-01T00:00:00.5+02:00"])
def test_instants_of_early_versions_are_read(honest, forger, tmp_path, when):  # noqa: F811
    forger.append("terms", with_terms(effective=when)(bodies(honest)["terms"]))
    forger.append("decision", {**bodies(honest)["decision"], "covers": when})
    assert failed(both_see(forger.bundle(), tmp_path)) == []


def test_a_card_that_rests_on_what_cannot_be_read_fails_and_an_earlier_one_holds(honest, forger, tmp_path):  # noqa: F811
    forger.insert(forger.place("release", 0), "signal", {"party": None, "signal": "gpc"})
    first, second = failed(both_see(forger.bundle(), tmp_path))
    assert (first, second.startswith("release ")) == ("terms", True)


@pytest.mark.parametrize(
    "change",
    [{"parties": None}, {"parties": ["x", None]}, {"parties": "x"}, {"successor": 0}, {"model": None}],
)
def test_a_forgetting_of_another_form_fails_the_models(honest, forger, tmp_path, change):  # noqa: F811
    body = {"model": honest.models[0], "successor": None, "parties": [honest.world.party("acme-ada")]}
    forger.append("forgetting", {**body, **change})
    assert failed(both_see(forger.bundle(), tmp_path)) == ["models"]


def test_of_a_forgotten_model_that_promised_no_number_it_is_told_that_nobody_knows(honest, forger, tmp_path):  # noqa: F811
    forger.change(forger.place("model", 0), due_days="x")
    forger.append("forgetting", {"model": honest.models[0], "successor": None, "parties": ["account:acme"]})
    members = forger.bundle()
    report = other.verify_bundle(pack(members), KEY)
    for warnings in (report.warnings, verify(members, tmp_path).warnings):
        assert [warning.startswith("Nobody knows whether ") for warning in warnings] == [True]


@pytest.mark.parametrize("encoder", [False, 0, "x", "AB" * 32])
def test_an_encoder_is_a_digest_or_null(honest, tmp_path, encoder):  # noqa: F811
    for says, holds in ((encoder, False), ("ab" * 32, True)):
        forging = Forger(honest.members)
        forging.manifests[honest.snapshots[0].id] = lambda manifest, _, says=says: manifest.update(encoder=says)
        checks = both_see(forging.bundle(), tmp_path)
        assert any(name.startswith("snapshot") for name in failed(checks)) != holds


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The evidence of a world with a card that has a finding of every audit, and the model that it is of."""
    folder = tmp_path_factory.mktemp("measured")
    with world_in(folder) as world:
        model = Case(world).card["model"]
        yield bundle(world, folder / "measured.zip"), model


def ranked(detail, ranks):
    return {"1": {**detail["by_writers"]["1"], "ranks": ranks}}


def halved(by_account):
    for name, units in (("acme", 1.5), ("brill", 6.5)):
        by_account[name]["units"] = units


def level(detail):
    """Make two groups equal: their ratio is 1."""
    for group in detail["groups"].values():
        group["value"] = 0.5
    detail["ratio"] = True


CURVES = {
    "no number": {"0.01": 0.02, "0.05": True},
    "falls": {"0.01": 0.02, "0.05": 0.01},
    "falls in the order of numbers": {"0.01": 0.02, "1e-05": 0.1},
    "rises in the order of numbers alone": {"0.01": 0.02, "1e-05": 0.01},
    "another height at the rate, spelt otherwise": {"0.010": 0.03, "0.05": 0.1},
}

FALSE = {
    **{
        f"a curve: {what}": ("attack", lambda one, curve=curve: one.update(curve=curve))
        for what, curve in CURVES.items()
    },
    "a text for how many were left out": ("poisoning", lambda one: one.update(left_out="3")),
    "a fraction for how many were left out": ("poisoning", lambda one: one.update(left_out=2.5)),
    "true for how many were left out": ("poisoning", lambda one: one.update(left_out=True)),
    "parties that are no list": ("poisoning", lambda one: one.update(parties={"0": one["parties"][0]})),
    "true for 1 by writers": ("canary", lambda one: one["by_writers"]["1"].update(low=True)),
    "true for a rank": ("canary", lambda one: one.update(secrets=4, by_writers=ranked(one, [True, True]))),
    "half a unit of a benefit": ("benefit", lambda one: halved(one["by_account"])),
    "true for a ratio": ("fairness", level),
}


def stated(measured, audit, change):
    """Return the bundle with the first finding of an audit changed in its details, everything signed anew."""
    members, model = measured
    forging = Forger(members)

    def say(card, statement):
        finding = next(one for one in card["findings"] if one["audit"] == audit)
        change(finding["detail"])
        if audit == "fairness":
            finding["value"] = 0.0
        statement["predicate"]["findings"] = card["findings"]

    forging.cards[model] = say
    return forging.bundle()


@pytest.mark.parametrize("name", FALSE)
def test_a_finding_that_is_not_in_its_own_form_fails_its_release(measured, tmp_path, name):
    [check] = failed(both_see(stated(measured, *FALSE[name]), tmp_path))
    assert check.startswith("release "), check


def test_a_card_of_every_audit_holds_with_other_figures_of_the_right_form(measured, tmp_path):
    assert failed(both_see(measured[0], tmp_path)) == []
    assert (
        failed(
            both_see(stated(measured, "canary", lambda one: one.update(by_writers=ranked(one, [512.0, 128]))), tmp_path)
        )
        == []
    )
    assert (
        failed(
            both_see(stated(measured, "attack", lambda one: one.update(curve={"0.05": 0.1, "0.0001": 0.0})), tmp_path)
        )
        == []
    )


@pytest.mark.slow
def test_both_verifiers_see_the_same_in_entries_that_were_changed_and_signed_anew(honest, tmp_path):  # noqa: F811
    told = 0
    for kind, body in bodies(honest).items():
        every = list(changes(body))
        for changed in random.Random(7).sample(every, min(len(every), 15)):
            forging = Forger(honest.members)
            forging.append(kind, changed)
            told += bool(failed(both_see(forging.bundle(), tmp_path, (kind, changed))))
    assert told > 40


# --- the replay ---


def page():
    """Return what the code of permits.md defines."""
    found = {}
    text = (ROOT / "docs" / "formats" / "permits.md").read_text(encoding="utf-8")
    exec("\n\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), found)  # noqa: S102 - it is ours
    found["newly_allows"] = remembered(found["newly_allows"])
    return found


def remembered(function):
    """Remember what a function says of two versions, of which each is there for as long as the test."""
    answers = {}

    def asked(old, new):
        if (id(old), id(new)) not in answers:
            answers[id(old), id(new)] = function(old, new)
        return answers[id(old), id(new)]

    return asked


PEOPLE, ACCOUNTS, SPOTS = [f"person:{n}" for n in "abc"] + ["person:unknown"], ["x", "y"], ["", "m", "n", None]


def some_version(randomly, number):
    words = ["account", "person", "everyone"]
    rules = []
    for data in ("service", "content"):
        for purpose in ("train", "feature/search"):
            rule = {"data": [data], "purpose": [purpose], "basis": randomly.choice(["contract", "consent", "consent"])}
            rule |= {"asks": randomly.sample(words, 1)} if rule["basis"] == "consent" else {}
            rule |= {"refusable_by": randomly.sample(words, 2)} if randomly.random() < 0.5 else {}
            rule |= {"max_age": f"{randomly.randrange(1, 40)}d"} if randomly.random() < 0.3 else {}
            rule |= (
                {"max_yes_age": f"{randomly.randrange(1, 20)}d"} if randomly.random() < 0.3 and "asks" in rule else {}
            )
            rule |= {"region": randomly.choice([["EEA"], ["US-CA", "GB"]])} if randomly.random() < 0.2 else {}
            rules.append(rule)
    acceptance = randomly.choice(["continued-use", "explicit"])
    heard = {"signal": {"gpc": {"refuses": ["train"]}}} if randomly.random() < 0.5 else {}
    days = randomly.choice([0, 5, 30])
    about = {
        "id": f"v{number}",
        "effective": "1970-01-01T00:00:00.000000Z",
        "acceptance": acceptance,
        "notice_days": days,
    }
    return {**about, "rule": rules, **heard}


def some_entry(randomly, at, number):
    """Draw an entry of any kind that permission rests on."""
    party = randomly.choice([*PEOPLE[:3], *(f"account:{one}" for one in ACCOUNTS)])
    names_of = {"data": randomly.choice([["service"], ["content"]]), "purpose": ["train"]}
    kind = randomly.choice(
        ["decision", "decision", "decision", "signal", "region", "limit", "exclusion", "erasure", "terms"]
    )
    if kind == "terms":
        return kind, {"terms": some_version(randomly, number), "binds": instant_text(at)}
    if kind == "decision":
        copy = {"namesake": randomly.choice(PEOPLE[:3])} if randomly.random() < 0.2 else {}
        until = {"until": instant_text(at + randomly.randrange(20) * DAY_US)} if randomly.random() < 0.2 else {}
        back = randomly.choice([None, "past", instant_text(max(0, at - 3 * DAY_US))])
        answer = randomly.choice(["yes", "yes", "no"])
        given = {"said": instant_text(max(0, at - randomly.randrange(9) * DAY_US)), "by": "operator", "source": "crm"}
        claim = {"claim": given} if back is None and randomly.random() < 0.5 else {}
        return kind, {"party": party, "answer": answer, **names_of, "covers": back, **copy, **until, **claim}
    if kind == "region":
        return kind, {"party": party, "region": randomly.choice(["DE", "US-CA", "US"])}
    if kind == "limit":
        people = randomly.sample(PEOPLE[:3], randomly.randrange(3))
        limited = randomly.random() < 0.6
        group = "g" if people or not limited else ""
        return kind, {"account": "x", "group": group, **names_of, "limited": limited, "people": people}
    if kind == "exclusion":
        where = {"account": "x", "conversation": randomly.choice(["m", "n"]), "excluded": randomly.random() < 0.6}
        return kind, {**where, "party": randomly.choice(["account:x", *PEOPLE[:3]]), "purpose": ["train"]}
    if kind == "erasure" and randomly.random() < 0.8:
        kind = "signal"
    return kind, {"party": party} if kind == "erasure" else {"party": PEOPLE[0], "signal": "gpc"}


@pytest.mark.parametrize("seed", range(20))
def test_the_replay_answers_as_the_code_of_its_page(seed):
    randomly, code = random.Random(seed), page()
    own, theirs, at, told = History(), code["History"](), DAY_US, set()
    first = [("terms", {"terms": some_version(randomly, 0), "binds": instant_text(at)})]
    for number in range(1, 30):
        if first:
            kind, body = first.pop()
        elif number < 4:
            kind, body = "acceptance", {"account": ACCOUNTS[number - 2], "terms": "v0"}
        else:
            kind, body = some_entry(randomly, at, number)
        if kind == "terms":
            fault = code["publication_fault"](theirs, body, at, any_instant)
            assert (publication_fault(own, body, at) is None) == (fault is None)
        own.read(kind, body, at)
        code["read"](theirs, kind, body, at, any_instant)
        at += randomly.choice([0, 1, DAY_US, 3 * DAY_US])
        for _ in range(6):
            people = randomly.sample(PEOPLE, randomly.randrange(4))
            collected = randomly.randrange(0, at + 2)
            about = {"account": randomly.choice(ACCOUNTS), "people": people, "collected": collected}
            category = randomly.choice(["service/usage", "content/chat"])
            record = {**about, "category": category, "conversation": randomly.choice(SPOTS)}
            purpose = randomly.choice(["train/search", "feature/search", "advertising"])
            when = randomly.choice([at, at, randomly.randrange(0, at)])
            told.add(may(own, record, purpose, when))
            assert may(own, record, purpose, when) == code["may"](theirs, record, purpose, when, any_instant)
    assert len(told) > 3, "the histories are of many kinds"


@pytest.mark.parametrize("seed", range(8))
def test_the_replay_knows_what_terms_declare_as_the_code_of_its_page_does(seed):
    draw, code = random.Random(seed), page()
    own, theirs, told = History(), code["History"](), set()
    entries = a_log(draw)
    for entry in entries:
        own.read(entry.kind, entry.body, entry.at_us)
        code["read"](theirs, entry.kind, entry.body, entry.at_us, any_instant)
    assert (own.categories, own.purposes, own.content) == (theirs.categories, theirs.purposes, theirs.content)
    for _ in range(60):
        record = asked_of_page(a_record(draw, entries[-1].at_us))
        purpose = draw.choice(FOR)
        found = may(own, record, purpose, entries[-1].at_us)
        told.add(found)
        assert found == code["may"](theirs, record, purpose, entries[-1].at_us, any_instant)
    assert len(told) > 1


# --- the samples, by the command alone ---

ALONE = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("volition", "pyarrow", "msgspec", "numpy", "rfc8785"):
            raise ImportError(name + " is not for the other verifier")

sys.meta_path.insert(0, Refused())
sys.path.insert(0, "verifier")
import volition_verify
for arguments in {runs!r}:
    print(volition_verify.main(arguments))
"""


def alone(*runs):
    """Run the command several times, in a process that has nothing of Volition and of its other dependencies."""
    program = ALONE.format(runs=[[str(argument) for argument in run] for run in runs])
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_samples_of_the_formats_hold_without_anything_of_volition():
    bundle, key = SAMPLES / "bundle.zip", ("--key", SAMPLES / "log.pub")
    told = ("--extends", SAMPLES / "checkpoint", "--receipt", SAMPLES / "receipt.json", "--not-before", "2026-03-07")
    small = [(path, *key) for path in sorted(SAMPLES.glob("*.json")) + sorted(SAMPLES.glob("*.tlog-proof"))]
    lines = alone((bundle, *key, *told), *small)
    assert lines.count("Everything holds.") == lines.count("0") == 1 + len(small) > 5
    assert [line for line in lines if line.startswith("FAILS")] == []
    assert any(line.startswith("claimed, not checkable offline: snapshot ") for line in lines)
    assert "last entry: 2026-03-07T13:10:00.000001Z" in lines


def test_the_exit_code_says_whether_it_holds_or_is_no_evidence(tmp_path, capsys):
    key = (SAMPLES / "log.pub").read_text(encoding="utf-8").strip()
    sample = SAMPLES / "bundle.zip"
    assert other.main([str(sample), "--key", key, "--json", "--not-before", "2100-01-01"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] is False
    assert [check["name"] for check in found["checks"] if not check["holds"]] == ["not before"]
    assert other.main([str(SAMPLES / "proof.json"), "--key", key, "--person", "0" * 32]) == 4
    assert "FAILS  person: This is about somebody else" in capsys.readouterr().out
    own = json.loads((SAMPLES / "proof.json").read_bytes())
    name = own["pseudonym"] if "pseudonym" in own else own["proofs"][0]["pseudonym"]
    of_two = ["--person", "0" * 32, "--person", name]
    assert other.main([str(SAMPLES / "proof.json"), "--key", key, *of_two]) == 0
    for data in (b"", b"{}", b'{"format":"volition/receipt/9"}', b"[1,", b'{"a":1,"a":2}'):
        (tmp_path / "no-evidence").write_bytes(data)
        assert other.main([str(tmp_path / "no-evidence"), "--key", key]) == 2, data
    assert other.main([str(tmp_path / "nowhere"), "--key", key]) == 2
    assert other.main([str(sample), "--key", key[:-8]]) == 2
    assert other.main([str(SAMPLES / "proof.json"), "--key", key, "--person", "A" * 32]) == 2
