"""The dishonest operator: every lie that leaves a trace in the evidence fails in a check that is named for it.

Each lie is told with the keys in hand: the log, the manifests, the cards and the attestations are all signed anew, so
that nothing but the lie itself is wrong.
"""

import io
import json
import random
import zipfile
from dataclasses import dataclass

import pytest
from lies import (
    BASE,
    LIES,
    PRIVACY,
    collected_proofs,
    no_of,
    overridden,
    receipts_by_region,
    settings,
    trained_as,
)
from lies_of_logs import later, terms
from test_prove import bundle, train_and_release

from forging import Forger, signed_note
from simulator import DAY_US, SIGNER, World
from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry
from volition.transparency.evidence import verify_evidence
from volition.transparency.prove import prove_person
from volition.transparency.receipt import write_receipt
from volition.transparency.verify.archive import pack
from volition.transparency.verify.bundle import Kept, verify_bundle
from volition.transparency.verify.forms import read_document


@dataclass(frozen=True)
class Honest:
    """A world with two released models, the evidence of it, and what a reader kept earlier."""

    world: World
    snapshots: list
    models: list
    members: dict
    receipt: dict
    note: str


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("honest")
    world = World(folder)
    world.everyone_says("yes")
    world.lake.append(
        [
            world.record(f"{account}-{name}-{number}", account=account, people=(name,), category="service/usage")
            for account in world.accounts
            for name in ("ada", "bo")
            for number in range(3)
        ]
    )
    snapshots = [world.freeze("train/recommend", categories=["service/usage"])]
    models = [train_and_release(world, snapshots[0])]
    note = world.ledger.checkpoint()
    answer = next(entry for entry in world.ledger.entries() if entry.kind == "decision")
    receipt = write_receipt(world.ledger, answer, terms_seq=0)
    world.lake.append([world.record("later", people=("ada",), category="service/usage")])
    snapshots.append(world.freeze("train/recommend", categories=["service/usage"]))
    models.append(train_and_release(world, snapshots[1]))
    yield Honest(world, snapshots, models, bundle(world, folder / "evidence.zip"), receipt, note)
    world.close()


@pytest.fixture
def forger(honest):
    return Forger(honest.members)


def verify(members, tmp_path, **kept):
    path = tmp_path / "forged.zip"
    path.write_bytes(members if isinstance(members, bytes) else pack(members))
    return verify_bundle(path, SIGNER.key, kept=Kept(**kept))


def failing(verified):
    return [check for check in verified.checks if not check.holds]


def test_the_honest_bundle_holds_and_so_does_what_is_bound_together_anew(honest, forger, tmp_path):
    for members in (honest.members, forger.bundle()):
        verified = verify(members, tmp_path)
        assert verified.holds, failing(verified)
        assert sum(claim.startswith("snapshot") for claim in verified.claimed) == 2
        assert sum(claim.startswith("card of") for claim in verified.claimed) == 6
        assert verified.warnings == ()


def succeeded(honest):
    """Return the evidence once the second model took the place of the first, in one step, and somebody had said no."""
    forger = Forger(honest.members)
    forger.insert(forger.place("model", 1), "decision", no_of(honest))
    first, second = honest.models
    forger.manifests[honest.snapshots[1].id] = lambda found, _: found.update(within=honest.snapshots[0].id)
    body = {"model": first, "successor": second, "parties": [honest.world.party("acme")]}
    forger.insert(forger.place("release", 1) + 1, "forgetting", body)
    members = forger.bundle()
    entries = [Entry.from_leaf(line) for line in members["entries.jsonl"].splitlines()]
    [gone] = [entry.body["model"] for entry in entries if entry.kind == "forgetting"]
    [frozen] = [entry.body["snapshot"] for entry in entries if entry.kind == "model" and entry.body["model"] == gone]
    return {name: data for name, data in members.items() if not {gone, frozen} & set(name.split("/"))}


def test_a_no_while_a_successor_was_made_is_owed_by_it_and_breaks_nothing(honest, tmp_path):
    verified = verify(succeeded(honest), tmp_path)
    assert verified.holds, failing(verified)
    [owed] = [check for check in verified.checks if check.name.startswith("forgetting of ")]
    assert "a forgetting is owed" in owed.detail


@pytest.mark.parametrize("name", LIES)
def test_a_lie_fails_in_the_check_that_is_named_for_it(honest, forger, tmp_path, name):
    tell, check, phrase = LIES[name]
    tell(forger, honest)
    verified = verify(forger.bundle(), tmp_path)
    assert failing(verified), name
    told = failing(verified)[0]
    assert told.name.startswith(check), verified.to_json()
    assert phrase in told.detail, told.detail


def test_a_no_that_is_not_yet_due_is_told_and_breaks_nothing(honest, forger, tmp_path):
    forger.append("decision", no_of(honest))
    forger.append("decision", no_of(honest, "brill"), after_us=29 * DAY_US)
    verified = verify(forger.bundle(), tmp_path)
    assert verified.holds, failing(verified)
    told = [check.detail for check in verified.checks if check.name.startswith("forgetting")]
    assert all("a forgetting is owed, due by" in detail for detail in told)


def test_a_version_without_notice_is_a_warning(forger, tmp_path):
    binds = later(forger)
    forger.append("terms", {"terms": terms(id="v2", title="other"), "binds": binds})
    forger.append("notice", {"account": "acme", "terms": "v2", "ends": binds})
    verified = verify(forger.bundle(), tmp_path)
    assert verified.holds, failing(verified)
    [warning] = verified.warnings
    assert warning.startswith("Without notice: of the terms 'v2'")
    assert warning.endswith("1 that had accepted terms, such as brill.")
    forger.append("notice", {"account": "brill", "terms": "v2", "ends": binds})
    assert verify(forger.bundle(), tmp_path).warnings == ()


def test_a_forgetting_that_came_late_is_a_warning_that_nobody_can_mend(honest, forger, tmp_path):
    forger.append("decision", no_of(honest))
    for number in (0, 1):
        body = {"model": honest.models[number], "successor": None, "parties": ["account:acme"]}
        forger.append("forgetting", body, after_us=40 * DAY_US)
    members = forger.bundle()
    members = {name: data for name, data in members.items() if not name.startswith(("snapshots/", "releases/"))}
    verified = verify(members, tmp_path)
    assert verified.holds, failing(verified)
    assert len(verified.warnings) == 2
    assert all(warning.startswith("Forgotten late: ") for warning in verified.warnings)
    assert "up to 10 days after the 30" in verified.warnings[0]


def test_a_model_with_a_base_and_privacy_that_its_settings_say_holds(honest, forger, tmp_path):
    trained_as(forger, honest, settings(base=BASE, privacy=PRIVACY), base=BASE, privacy=PRIVACY)
    verified = verify(forger.bundle(), tmp_path)
    assert verified.holds, failing(verified)
    assert any("trained as its own settings say" in claim for claim in verified.claimed)


def test_a_release_for_which_somebody_answers_by_name_holds(honest, forger, tmp_path):
    overridden(forger, honest)
    verified = verify(forger.bundle(), tmp_path)
    assert verified.holds, failing(verified)


def relined(forger, change):
    """Return the bundle with the lines of its log changed and signed anew."""
    members = forger.bundle()
    lines = change(members["entries.jsonl"].splitlines())
    return {
        **members,
        "checkpoint": signed_note(lines).encode(),
        "entries.jsonl": b"".join(line + b"\n" for line in lines),
    }


def spaced(lines):
    return [*lines[:-1], lines[-1].replace(b'"at":', b'"at": ')]


def twice_said(lines):
    return [*lines[:-1], b'{"at":"1970-01-01T00:00:00.000000Z",' + lines[-1][1:]]


def unsalted(lines):
    entry = json.loads(lines[-1])
    del entry["salt"]
    return [*lines[:-1], canonical_json(entry)]


@pytest.mark.parametrize(
    ("change", "phrase"),
    [(spaced, "canonical form"), (twice_said, "canonical form"), (unsalted, "has no salt")],
)
def test_an_entry_spelt_another_way_fails_the_ledger(forger, tmp_path, change, phrase):
    [check] = failing(verify(relined(forger, change), tmp_path))
    assert check.name == "ledger"
    assert phrase in check.detail


# --- the archive ---


def zipped(members, **how):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", **how) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, how.get("compression"))
    return sink.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_only_the_one_archive_of_these_files_holds(honest, tmp_path):
    members = sorted(honest.members.items())
    whole = pack(honest.members)
    assert zipped(members) == whole, "any zip program writes it, told to store"
    commented = io.BytesIO(whole)
    with zipfile.ZipFile(commented, "a") as archive:
        archive.comment = b"x"
    forged = {
        "another copy of a file": zipped([*members, members[1]]),
        "two of one name": zipped([members[0], (members[0][0], b"other"), *members[1:]]),
        "another order": zipped(members[::-1]),
        "bytes before": b"PK\3\4" + whole,
        "bytes behind": whole + b"x",
        "a comment": commented.getvalue(),
        "a folder": zipped([*members, ("x/", b"")]),
        "compressed": zipped(members, compression=zipfile.ZIP_DEFLATED),
        "between": whole[:40] + b"x" + whole[40:],
    }
    for name, data in forged.items():
        try:
            checks = failing(verify(data, tmp_path))
        except InvalidInputError:
            assert name == "bytes behind", name
            continue
        assert [check.name for check in checks] in (["archive"], ["nothing else"]), name


def test_no_changed_byte_of_the_archive_survives(honest, tmp_path):
    whole = pack(honest.members)
    randomly = random.Random(1)
    for start in range(0, len(whole), len(whole) // 40):
        position, flip = start + randomly.randrange(len(whole) // 40), 1 << randomly.randrange(8)
        changed = bytearray(whole)
        changed[min(position, len(whole) - 1)] ^= flip
        try:
            assert failing(verify(bytes(changed), tmp_path)), (position, flip)
        except InvalidInputError:
            assert position > len(whole) - 30, position


def test_no_file_left_out_or_added_survives(honest, tmp_path):
    for name in honest.members:
        without = {other: data for other, data in honest.members.items() if other != name}
        assert failing(verify(without, tmp_path)), name
    for name in ("extra", "snapshots/x/manifest.json", f"releases/{honest.models[0]}/model.npz"):
        [check] = failing(verify({**honest.members, name: b""}, tmp_path))
        assert check.name == "nothing else"


# --- what somebody kept ---


def test_a_log_that_goes_on_from_what_was_kept_holds(honest, tmp_path):
    kept = {"checkpoints": {"old": honest.note}, "receipts": {"mine": honest.receipt}}
    verified = verify(honest.members, tmp_path, **kept, not_before_us=honest.world.clock.now_us - DAY_US)
    assert verified.holds, failing(verified)
    assert [check.name for check in verified.checks][2:5] == ["extends old", "receipt mine", "not before"]


def resigned(forger):
    entry = forger.entries[forger.place("decision")]
    forger.change(forger.place("decision"), answer="no" if entry.body["answer"] == "yes" else "yes")


def cut_off(forger):
    del forger.entries[forger.place("model", 0) :]


@pytest.mark.parametrize(
    ("change", "kept", "check", "phrase"),
    [
        (resigned, "checkpoints", "extends kept", "not a prefix of this log"),
        (resigned, "receipts", "receipt kept", "not a prefix of this log"),
        (cut_off, "checkpoints", "extends kept", "its end was cut off"),
        (cut_off, "receipts", "receipt kept", "its end was cut off"),
    ],
)
def test_a_log_signed_anew_or_cut_off_is_found_by_what_somebody_kept(  # noqa: PLR0917 - a table's columns
    honest, forger, tmp_path, change, kept, check, phrase
):
    change(forger)
    members = relined(forger, lambda lines: lines)
    found = {"checkpoints": honest.note, "receipts": honest.receipt}[kept]
    told = next(one for one in failing(verify(members, tmp_path, **{kept: {"kept": found}})) if "kept" in one.name)
    assert told.name == check
    assert phrase in told.detail


def test_a_log_that_ends_before_a_date_is_told(honest, tmp_path):
    verified = verify(honest.members, tmp_path, not_before_us=honest.world.clock.now_us + DAY_US)
    [check] = failing(verified)
    assert check.name == "not before"
    assert verified.last_entry in check.detail


# --- documents: proofs, receipts ---


@pytest.fixture(scope="module")
def documents(honest):
    ledger, size = honest.world.ledger, honest.world.ledger.size
    present, absent = (
        prove_person(ledger, honest.snapshots[0], model=honest.models[0], pseudonym=honest.world.people[name])
        for name in ("acme-ada", "acme-cy")
    )
    [entry] = ledger.entries(4, 5)
    key, note = SIGNER.key.to_text(), ledger.checkpoint(size)
    path = [step.hex() for step in ledger.prove_inclusion(4, size)]
    leaf = entry.leaf_hash.hex()
    consistency = {"old": ledger.checkpoint(5), "new": note, "key": key, "format": "volition/consistency-proof/1"}
    inclusion = {"seq": 4, "entry": entry.leaf_bytes.decode(), "leaf": leaf, "checkpoint": note, "proof": path}
    return {
        "present": present,
        "absent": absent,
        "receipt": honest.receipt,
        "consistency": {**consistency, "proof": [step.hex() for step in ledger.prove_consistency(5, size)]},
        "inclusion": {**inclusion, "format": "volition/inclusion-proof/1", "key": key},
        "of the API": {"seq": 4, "leaf": leaf, "hashes": path, "checkpoint": note},
    }


KINDS = ["present", "absent", "receipt", "consistency", "inclusion", "of the API"]


def changes(value):
    """Yield a JSON value with one thing in it changed, in every place."""
    if isinstance(value, dict):
        yield {**value, "another": None}
        for name, inner in value.items():
            yield {other: one for other, one in value.items() if other != name}
            for changed in changes(inner):
                yield {**value, name: changed}
    elif isinstance(value, list):
        yield [*value, None]
        yield [*value, *value[:1]] if value else ["x"]
        for place, inner in enumerate(value):
            yield value[:place] + value[place + 1 :]
            for changed in changes(inner):
                yield [*value[:place], changed, *value[place + 1 :]]
    elif isinstance(value, str):
        yield from {value + " ", " " + value, value[:-1], value.upper(), value.replace("a", "b", 1), ""} - {value}
        yield None
    elif isinstance(value, bool):
        yield from (not value, int(value), None)
    elif isinstance(value, int):
        yield from (value + 1, float(value), str(value), None, True)
    else:
        yield from (False, "x")


@pytest.mark.parametrize("kind", KINDS)
def test_no_change_of_any_value_of_a_document_survives(documents, kind):
    document = documents[kind]
    assert verify_evidence(document, SIGNER.key).holds
    for changed in changes(document):
        try:
            held = verify_evidence(changed, SIGNER.key).holds
        except InvalidInputError:
            continue
        assert not held or json.dumps(changed) == json.dumps(document) or is_as_true(kind, changed, document), changed


def is_as_true(kind, changed, document):
    """Say whether a change only asks about another one who is not there, or hides the entry that is proved."""
    free = {"absent": "pseudonym", "inclusion": "entry"}.get(kind)
    hidden = kind == "inclusion" and changed.get(free) is None
    named = kind == "absent" and len(str(changed.get(free)).strip("0123456789abcdef")) == 0
    return (hidden or named) and {**changed, free: document[free]} == document


def test_a_receipt_shows_one_region_of_the_party_and_one_of_an_account():
    held = {name: verify_evidence(receipt, SIGNER.key) for name, receipt in receipts_by_region().items()}
    assert [name for name, verified in held.items() if verified.holds] == list(held)[:2]
    [check] = held["two of the party"].checks
    assert "two regions of one party" in check.detail


def test_a_batch_has_each_record_once_and_none_from_after_its_entry():
    held = {name: verify_evidence(proof, SIGNER.key).holds for name, proof in collected_proofs().items()}
    assert list(held.values()) == [True, *[False] * (len(held) - 1)], held


def test_a_proof_says_of_whom_it_is_and_somebody_elses_is_told(honest, documents):
    ada, cy = (honest.world.people[name] for name in ("acme-ada", "acme-cy"))
    both = {"proofs": [documents["present"], documents["absent"]], "receipts": []}
    assert ada in verify_evidence(documents["present"], SIGNER.key).checks[0].detail
    assert verify_evidence(both, SIGNER.key, people=[ada, cy]).holds
    [check] = failing(verify_evidence(both, SIGNER.key, people=[ada]))
    assert check.name == "person"
    assert cy in check.detail


@pytest.mark.parametrize("spelt", [str.upper, lambda name: name + " ", lambda name: name[:-1]])
def test_nobody_is_absent_under_a_misspelt_name(honest, spelt):
    name = spelt(honest.world.people["acme-ada"])
    proof = prove_person(honest.world.ledger, honest.snapshots[0], model=honest.models[0], pseudonym=name)
    assert proof["present"] is False
    [check] = failing(verify_evidence(proof, SIGNER.key))
    assert "is no pseudonym" in check.detail


@pytest.mark.parametrize("data", [b'{"a":1,"a":2}', b'{"a":NaN}', b"[1,"])
def test_a_document_with_a_key_twice_is_not_read(data):
    with pytest.raises(ValueError, match=r"twice|no number|Expecting"):
        read_document(data)
