"""Proofs: a bundle verifies with the key alone, and nothing in it can be changed, left out or added unnoticed."""

import copy
import io
import json
import random
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from simulator import DAY_US, SIGNER, TERMS, World, silent, world_in
from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.history import read_history
from volition.consent.permits import Permits
from volition.consent.references import source_id
from volition.errors import BackendError, InvalidInputError, ProofError
from volition.files import write_folder
from volition.learning.audit.finding import not_measured
from volition.learning.families.recommend.family import RecommendFamily
from volition.learning.registry import models_in
from volition.learning.release import Override, settle_releases, write_release
from volition.learning.train import train
from volition.ledger import merkle
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Checkpoint, Signer, checkpoint_text, sign_note
from volition.ledger.stores.memory import MemoryStore
from volition.records.snapshot import Snapshot, person_leaf, person_tag, rows_commitment
from volition.transparency.prove import prove_person, write_bundle
from volition.transparency.verify.archive import pack
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.people import verify_person

STRANGER = Signer.from_seed("log.example/world", bytes(32))
NOT_MEASURED = not_measured("benefit", "This is no test of it.")


def train_and_release(world, snapshot, *, release=True, **more):
    """Do what a workspace does with a snapshot, except that nobody holds back a release; return the model's name."""
    trained = train(
        RecommendFamily(),
        snapshot,
        parties=world.parties,
        models=world.folder / "models",
        runs=world.folder / "runs",
        progress=silent,
    )
    body = {"model": trained.id, "family": "recommend", "snapshot": snapshot.id, "digest": trained.model.digest}
    world.ledger.append(NewEntry(kind="model", body=body))
    if release:
        named = write_release(
            world.folder / "releases",
            trained=trained,
            snapshot=snapshot,
            findings=[NOT_MEASURED],
            terms=["v1"],
            checkpoint=world.ledger.checkpoint(),
            signer=SIGNER,
            at_us=world.clock(),
            **more,
        )
        world.ledger.append(NewEntry(kind="release", body={"model": trained.id, **named}))
        settle_releases(world.folder / "releases", models_in(world.ledger.entries()))
    return trained.id


@dataclass(frozen=True)
class Proven:
    """A world with a released model, and the bundle that proves it."""

    world: World
    snapshot: object
    model: str
    members: dict


def bundle(world, path):
    places = {name: world.folder / name for name in ("snapshots", "models", "releases")}
    write_bundle(path, ledger=world.ledger, **places)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def proven(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proven")
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
    snapshot = world.freeze("train/recommend", categories=["service/usage"])
    model = train_and_release(world, snapshot)
    yield Proven(world, snapshot, model, bundle(world, folder / "evidence.zip"))
    world.close()


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        made.everyone_says("yes")
        yield made


def zipped(members, path):
    path.write_bytes(pack(members))
    return path


@pytest.fixture
def verify(tmp_path):
    return lambda members, key=SIGNER.key: verify_bundle(zipped(members, tmp_path / "changed.zip"), key)


def failed(verified):
    return [check.name.split()[0] for check in verified.checks if not check.holds]


def signed(entries, signer=SIGNER):
    """Return the two members of a bundle that hold a log, signed whatever it says: what its operator could do."""
    lines = [entry.leaf_bytes for entry in entries]
    checkpoint = Checkpoint(origin=signer.key.name, size=len(lines), root=merkle.Tree(lines).root)
    return {
        "checkpoint": sign_note(checkpoint_text(checkpoint), signer).encode(),
        "entries.jsonl": b"".join(line + b"\n" for line in lines),
    }


# --- the bundle as it is ---


def test_a_bundle_verifies_with_nothing_but_the_key(proven, verify):
    verified = verify(proven.members)
    assert verified.holds, verified.to_json()
    snapshot, model = proven.snapshot.id, proven.model
    assert [check.name for check in verified.checks] == [
        "archive",
        "ledger",
        "terms",
        "models",
        f"snapshot {snapshot}",
        f"permits of {snapshot}",
        f"permits of {snapshot}, entered",
        f"permits of {model}, trained",
        f"permits of {model}, released",
        f"forgetting of {model}",
        f"collection of {snapshot}",
        f"release {model}",
        "nothing else",
    ]
    assert "12 rows replayed" in detail_of(verified, f"permits of {snapshot}")
    last = us_to_text([*proven.world.ledger.entries()][-1].at_us)
    assert last in detail_of(verified, "ledger")
    told = [{"name": check.name, "holds": True, "detail": check.detail} for check in verified.checks]
    claimed = list(verified.claimed)
    assert [claim.partition(":")[0] for claim in claimed] == [f"snapshot {snapshot}", *[f"card of {model}"] * 3]
    assert json.loads(json.dumps(verified.to_json())) == {
        "holds": True,
        "checks": told,
        "claimed": claimed,
        "warnings": [],
        "last_entry": last,
    }


def detail_of(verified, name):
    """Return what a check says; of several whose names begin so, the first."""
    return next(check.detail for check in verified.checks if check.name.startswith(name))


def test_the_same_ledger_gives_the_same_bytes(proven, tmp_path):
    assert bundle(proven.world, tmp_path / "one.zip") == proven.members
    bundle(proven.world, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_bundle_names_nobody_and_holds_no_content(proven):
    everything = b"".join(proven.members.values())
    for told in (b"Ada", b"Byron", b"acme-ada", b"document/"):
        assert told not in everything


def test_the_wrong_key_verifies_nothing(proven, verify):
    for key in (STRANGER.key, Signer.from_seed("log.example/other", bytes(range(32))).key):
        verified = verify(proven.members, key)
        assert failed(verified) == ["ledger"]
        assert len(verified.checks) == 2
        assert not verified.holds


def test_a_missing_file_is_told_when_the_bundle_is_written(proven, tmp_path):
    with pytest.raises(BackendError, match="Restore what is missing"):
        write_bundle(
            tmp_path / "b.zip",
            ledger=proven.world.ledger,
            snapshots=tmp_path,
            models=proven.world.folder / "models",
            releases=proven.world.folder / "releases",
        )
    assert not (tmp_path / "b.zip").exists()


# --- changed by somebody without the key ---


@pytest.mark.slow
def test_a_change_of_any_byte_of_any_member_fails_a_check(proven, verify):
    randomly = random.Random(1)
    for name, data in proven.members.items():
        step = max(1, len(data) // 40)
        for position in range(randomly.randrange(step), len(data), step):
            changed = bytearray(data)
            changed[position] ^= randomly.choice([0x01, 0x07, 0x20, 0x80])
            verified = verify({**proven.members, name: bytes(changed)})
            assert not verified.holds, (name, position)


@pytest.mark.parametrize("change", ["cut", "lengthened", "emptied", "dropped", "of another"])
def test_a_member_cut_lengthened_dropped_or_swapped_fails_a_check(proven, verify, change):
    names = list(proven.members)
    for name, data in proven.members.items():
        changed = dict(proven.members)
        if change == "dropped":
            del changed[name]
        else:
            other = proven.members[names[names.index(name) - 1]]
            changed[name] = {"cut": data[:-1], "lengthened": data + b"\n", "emptied": b"", "of another": other}[change]
        assert not verify(changed).holds, name


def test_whatever_nothing_speaks_of_fails_a_check(proven, verify):
    assert failed(verify({**proven.members, "snapshots/other/keys.parquet": b"x"})) == ["nothing"]


def test_an_entry_dropped_moved_or_written_differently_fails_the_ledger(proven, verify):
    lines = proven.members["entries.jsonl"].splitlines(keepends=True)
    for changed in (
        lines[:-1],
        lines[1:],
        [*lines[:3], *lines[4:]],
        [lines[1], lines[0], *lines[2:]],
        [*lines, lines[-1]],
        [*lines, b"\n"],
        [line.replace(b"\n", b"\r") for line in lines],
        [lines[0].replace(b'"at":', b'"at": '), *lines[1:]],
    ):
        assert failed(verify({**proven.members, "entries.jsonl": b"".join(changed)})) == ["ledger"]


def add_row(members, snapshot, **what):
    """Add a row to a snapshot and set every digest right up to the manifest; return the members and its digest."""
    place = f"snapshots/{snapshot.id}"
    table = pq.read_table(io.BytesIO(members[f"{place}/keys.parquet"]))
    rows = [*table.to_pylist(), {**table.to_pylist()[0], "record_id": "0" * 32, **what}]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), sink)
    return set_right(members, snapshot, rows, sink.getvalue())


def set_right(members, snapshot, rows, keys, says=None):
    place = f"snapshots/{snapshot.id}"
    manifest = json.loads(members[f"{place}/manifest.json"])
    counts = {}
    for row in rows:
        for pseudonym in row["people"]:
            counts[pseudonym] = counts.get(pseudonym, 0) + 1
    leaves = sorted(
        [tag := person_tag(manifest["purpose"], manifest["at"], name), rows_commitment(tag, name, total)]
        for name, total in counts.items()
    )
    manifest["people"] = {"size": len(leaves), "root": merkle.Tree(person_leaf(*leaf) for leaf in leaves).root.hex()}
    manifest["rows"] = {}
    manifest["accounts"] = {}
    for row in rows:
        counts = manifest["rows"].setdefault(row["category"], {"read": 0, "kept": 0, "dropped": {}})
        counts["read"] += 1
        counts["kept"] += 1
        manifest["accounts"][row["account"]] = manifest["accounts"].get(row["account"], 0) + 1
    people = canonical_json(leaves)
    manifest["files"] |= {"keys.parquet": digest(keys), "people.json": digest(people)}
    manifest |= says or {}
    data = canonical_json(manifest)
    others = {name: held for name, held in members.items() if not name.startswith(place)}
    place = f"snapshots/{named_by(manifest['purpose'], digest(data))}"
    changed = {f"{place}/keys.parquet": keys, f"{place}/people.json": people, f"{place}/manifest.json": data}
    changed[f"{place}/collected.parquet"] = members[f"snapshots/{snapshot.id}/collected.parquet"]
    return {**others, **changed}, digest(data)


def named_by(purpose, manifest):
    return f"{purpose.replace('/', '-')}-{manifest[:12]}"


def test_a_row_added_with_every_digest_set_right_but_the_signature_fails_the_ledger(proven, verify):
    members, manifest = add_row(proven.members, proven.snapshot, people=[proven.world.people["acme-cy"]])
    assert failed(verify(members))[0] == "snapshot"
    named = proven.snapshot.digest.encode()
    members["entries.jsonl"] = members["entries.jsonl"].replace(named, manifest.encode())
    assert failed(verify(members)) == ["ledger"]
    lines = members["entries.jsonl"].splitlines()
    members |= signed([Entry.from_leaf(line) for line in lines], STRANGER)
    assert failed(verify(members)) == ["ledger"]


# --- made by the operator, who has the key ---


def operated(proven, change, *, members=None):
    """Return the bundle with the log's entries changed and signed anew, as only its operator could."""
    entries = [Entry.from_leaf(line) for line in proven.members["entries.jsonl"].splitlines()]
    return {**(members or proven.members), **signed(change(entries))}


def say_manifest(entries, snapshot, manifest, purpose="train/recommend"):
    changed = {"snapshot": named_by(purpose, manifest)}
    says = {"snapshot": {**changed, "manifest": manifest}, "model": changed}
    return [structs.replace(e, body={**e.body, **says.get(e.kind, {})}) for e in entries]


def unreleased(proven):
    """Return the proven bundle as it would be had nothing been released: the release binds the manifest, too."""
    members = {name: data for name, data in proven.members.items() if not name.startswith("releases/")}
    return members, lambda entries: [entry for entry in entries if entry.kind != "release"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"people": ["ab" * 16]}, f"person:{'ab' * 16} (not-asked)"),
        ({"people": ["unknown"]}, "unknown-party"),
        ({"people": []}, "concerns nobody"),
        ({"account": "nobody"}, "no-terms"),
        ({"category": "nonsense"}, ""),
    ],
)
def test_a_row_without_a_permit_fails_the_replay_whoever_signed(proven, verify, row, why):
    members, drop_release = unreleased(proven)
    if "people" in row and row["people"] == ["ab" * 16]:
        row = {**row, "category": "content/chat"}
    members, manifest = add_row(members, proven.snapshot, **row)
    # The manifest's own checkpoint must stay a beginning of the log, so only what comes after it is changed.
    members = operated(
        proven, lambda entries: drop_release(say_manifest(entries, proven.snapshot, manifest)), members=members
    )
    verified = verify(members)
    assert failed(verified) == ["permits", "collection"], verified.to_json()
    assert why in next(check.detail for check in verified.checks if not check.holds)


def test_a_row_from_after_the_snapshot_fails_it_whoever_signed(proven, verify):
    members, drop_release = unreleased(proven)
    members, manifest = add_row(members, proven.snapshot, collected_us=2**60)
    change = lambda entries: drop_release(say_manifest(entries, proven.snapshot, manifest))  # noqa: E731
    verified = verify(operated(proven, change, members=members))
    assert failed(verified) == ["snapshot"]
    assert "collected after the instant" in detail_of(verified, "snapshot")


def test_a_row_may_be_as_old_as_the_terms_let_it_be(tmp_path, verify):
    rules = tuple(replace(rule, max_age_us=DAY_US) for rule in TERMS.rules)
    with world_in(tmp_path, terms=replace(TERMS, rules=rules)) as world:
        world.everyone_says("yes")
        record = world.record(1, category="service/usage")
        world.lake.append([record])
        world.clock.now_us = at_us = record.collected_us + DAY_US
        permits = Permits(world.history(), purpose="train/recommend", at_us=at_us)
        snapshot = world.freeze("train/recommend", permits=permits, categories=["service/usage"])
        assert [key.record_id for key in snapshot.keys] == [record.record_id]
        train_and_release(world, snapshot, release=False)
        verified = verify(bundle(world, tmp_path / "evidence.zip"))
        assert verified.holds
        assert "1 rows replayed" in detail_of(verified, "permits")


def test_the_same_row_with_a_permit_passes_the_replay_and_was_never_collected(proven, verify):
    members, drop_release = unreleased(proven)
    members, manifest = add_row(members, proven.snapshot)
    change = lambda entries: drop_release(say_manifest(entries, proven.snapshot, manifest))  # noqa: E731
    assert failed(verify(operated(proven, change, members=members))) == ["collection"]


@pytest.mark.parametrize(
    "says",
    [
        {"people": {"size": 3, "root": merkle.EMPTY_ROOT.hex()}},
        {"people": {"size": 5, "root": None}},
        {"rows": {"service/usage": {"read": 1, "kept": 1, "dropped": {}}}},
        {"accounts": {"acme": 12}},
        {"at": "2024-10-04T00:00:00.000000Z"},
        {"purpose": "train/search"},
        {"checkpoint": "nonsense"},
    ],
)
def test_a_manifest_that_says_something_else_than_its_files_fails_whoever_signed(proven, verify, says):
    if "people" in says and says["people"]["root"] is None:
        says = {"people": {"size": 5, "root": proven.snapshot.manifest["people"]["root"]}}
    members, drop_release = unreleased(proven)
    rows = [{**vars_of(key), "people": list(key.people)} for key in proven.snapshot.keys]
    members, manifest = set_right(
        members, proven.snapshot, rows, members[f"snapshots/{proven.snapshot.id}/keys.parquet"], says
    )
    purpose = says.get("purpose", "train/recommend")
    change = lambda entries: drop_release(say_manifest(entries, proven.snapshot, manifest, purpose))  # noqa: E731
    assert failed(verify(operated(proven, change, members=members))) == ["snapshot"]


def vars_of(key):
    return {name: getattr(key, name) for name in key.__slots__}


def test_a_ledger_whose_times_run_backwards_or_whose_numbers_skip_fails_whoever_signed(proven, verify):
    def backdate(entries):
        last = entries[-1]
        early = entries[0].at_us - 1
        return [*entries, structs.replace(entries[3], seq=last.seq + 1, at_us=early)]

    def skip(entries):
        last = entries[-1]
        return [*entries, structs.replace(entries[3], seq=last.seq + 2, at_us=last.at_us)]

    for change in (backdate, skip):
        assert failed(verify(operated(proven, change))) == ["ledger"]


def test_a_ledger_that_speaks_of_a_model_nobody_trained_fails_and_does_not_crash(proven, verify):
    def speak(entries):
        last = entries[-1]
        body = {"model": "nobody", "card": "", "attestation": ""}
        return [*entries, structs.replace(last, seq=last.seq + 1, kind="release", body=body)]

    assert failed(verify(operated(proven, speak))) == ["models"]


def test_a_snapshot_that_leaves_out_a_no_by_an_older_checkpoint_fails(world, tmp_path, verify):
    """An operator freezes from the ledger as it was before a no, and says that it was frozen after it."""
    world.lake.append([world.record(1, category="service/usage")])
    size = world.ledger.size
    before = read_history(world.ledger.entries(0, size))
    world.say("acme-ada", "no")
    forged = Permits(before, purpose="train/recommend", at_us=world.clock())
    snapshot = world.freeze("train/recommend", permits=forged, categories=["service/usage"], ledger_size=size)
    assert len(snapshot.keys) == 1
    train_and_release(world, snapshot, release=False)
    members = bundle(world, tmp_path / "b.zip")
    verified = verify(members)
    assert failed(verified) == ["permits"]
    assert "withdrawn" in detail_of(verified, "permits")


def leave_out(world, name):
    conversation = world.parties.conversation_ref("acme", source_id("acme", name))
    body = {"account": "acme", "conversation": conversation, "party": "account:acme", "purpose": ["train"]}
    world.ledger.append(NewEntry(kind="exclusion", body={**body, "excluded": True}))


def test_a_snapshot_with_a_conversation_that_had_been_left_out_fails(world, tmp_path, verify):
    world.lake.append(
        [world.record("a"), world.record("b", channel="random"), world.record(1, category="service/usage")]
    )
    before = world.history()
    leave_out(world, "general")
    forged = Permits(before, purpose="train/recommend", at_us=world.clock())
    snapshot = world.freeze("train/recommend", permits=forged, categories=["service/usage", "content/chat"])
    train_and_release(world, snapshot, release=False)
    verified = verify(bundle(world, tmp_path / "b.zip"))
    assert failed(verified) == ["permits"]
    assert "had left out" in detail_of(verified, "permits")


def test_a_conversation_left_out_later_is_owed_and_breaks_nothing(world, tmp_path, verify):
    world.lake.append(
        [world.record("a"), world.record("b", channel="random"), world.record(1, category="service/usage")]
    )
    snapshot = world.freeze("train/recommend", categories=["service/usage", "content/chat"])
    train_and_release(world, snapshot, release=False)
    leave_out(world, "general")
    verified = verify(bundle(world, tmp_path / "b.zip"))
    assert verified.holds
    assert "1 refused since" in detail_of(verified, "forgetting")


def test_a_checkpoint_of_another_log_in_a_manifest_fails(world, tmp_path, verify):
    other = Ledger(MemoryStore(), SIGNER, clock=world.clock)
    other.append(NewEntry(kind="region", body={"party": "account:acme", "region": "GB"}))
    world.lake.append([world.record(1, category="service/usage")])
    honest, world.ledger = world.ledger, other
    permits = Permits(read_history(honest.entries()), purpose="train/recommend", at_us=world.clock())
    snapshot = world.freeze("train/recommend", permits=permits, categories=["service/usage"])
    world.ledger = honest
    body = {"snapshot": snapshot.id, "purpose": snapshot.purpose, "at": snapshot.manifest["at"]}
    world.ledger.append(NewEntry(kind="snapshot", body={**body, "manifest": snapshot.digest}))
    train_and_release(world, snapshot, release=False)
    verified = verify(bundle(world, tmp_path / "b.zip"))
    assert failed(verified) == ["snapshot"]
    assert "not a prefix of this log" in detail_of(verified, "snapshot")


@pytest.mark.parametrize("name", ["card.json", "card.md", "attestation.json"])
def test_a_release_that_the_ledger_does_not_name_fails_whoever_signed(proven, verify, name):
    place = f"releases/{proven.model}/{name}"
    value = proven.members[place]
    other = canonical_json({**json.loads(value), "keyid": "x"}) if name.endswith(".json") else value + b"more"
    assert failed(verify({**proven.members, place: other})) == ["release"]


@pytest.mark.parametrize("by", [None, "Dana Reyes"])
def test_a_release_without_a_measurement_that_was_required_fails_unless_somebody_answers_for_it(
    world, tmp_path, verify, by
):
    world.lake.append([world.record(1, category="service/usage")])
    snapshot = world.freeze("train/recommend", categories=["service/usage"])
    override = by and Override(by=by, why="The pilot.")
    model = train_and_release(world, snapshot, required=["benefit"], override=override)
    verified = verify(bundle(world, tmp_path / "evidence.zip"))
    assert [check.name for check in verified.checks if not check.holds] == ([] if by else [f"release {model}"])


@pytest.mark.parametrize("names", [["manifest.json"], ["manifest.json", "keys.parquet", "people.json"]])
def test_manifests_of_two_snapshots_cannot_be_swapped(world, tmp_path, verify, names):
    world.lake.append([world.record(1, category="service/usage"), world.record(2, "brill", category="service/usage")])
    one = world.freeze("train/recommend", categories=["service/usage"])
    train_and_release(world, one)
    world.say("brill", "no")
    two = world.freeze("train/recommend", categories=["service/usage"])
    train_and_release(world, two)
    members = bundle(world, tmp_path / "two.zip")
    assert verify(members).holds
    swapped = dict(members)
    for name in names:
        first, second = f"snapshots/{one.id}/{name}", f"snapshots/{two.id}/{name}"
        swapped[first], swapped[second] = members[second], members[first]
    assert failed(verify(swapped)) == ["snapshot", "snapshot"]


def test_a_no_that_came_later_is_told_and_breaks_nothing(world, tmp_path, verify):
    world.lake.append([world.record(1, category="service/usage")])
    train_and_release(world, world.freeze("train/recommend", categories=["service/usage"]), release=False)
    world.say("acme-ada", "no")
    verified = verify(bundle(world, tmp_path / "b.zip"))
    assert verified.holds
    assert "1 refused since" in detail_of(verified, "forgetting")


# --- garbage ---


@settings(max_examples=40)
@given(st.one_of(st.binary(max_size=200), st.integers(0, 400)), st.randoms(use_true_random=False))
def test_no_file_whatever_crashes_the_verification(tmp_path_factory, what, randomly):
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / "b.zip"
    if isinstance(what, bytes):
        path.write_bytes(what)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("checkpoint", "a" * 300)
            archive.writestr("entries.jsonl", b"{}\n" * 50)
        data = bytearray(path.read_bytes())
        for _ in range(3):
            data[randomly.randrange(len(data))] = randomly.randrange(256)
        path.write_bytes(bytes(data))
    with suppress(InvalidInputError):
        assert not verify_bundle(path, SIGNER.key).holds


def test_damage_anywhere_in_the_file_fails_a_check(proven, tmp_path):
    path = tmp_path / "b.zip"
    bundle(proven.world, path)
    data = path.read_bytes()
    for position in range(0, len(data), max(1, len(data) // 150)):
        changed = bytearray(data)
        changed[position] ^= 0xFF
        path.write_bytes(bytes(changed))
        with suppress(InvalidInputError):
            assert not verify_bundle(path, SIGNER.key).holds, position


def test_what_is_no_file_is_no_bundle(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InvalidInputError, match="not an evidence bundle"):
            verify_bundle(path, SIGNER.key)


def test_a_bundle_that_would_fill_the_memory_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("checkpoint", b"x")
        archive.writestr("entries.jsonl", bytes(20_000_000))
    [check] = verify_bundle(path, SIGNER.key).checks
    assert (check.name, check.holds) == ("archive", False)


# --- a person ---


def frozen(folder, rows_of, *, size=None):
    """Write a snapshot of so many people with so many rows each; all that a proof needs, and no content."""
    at = us_to_text(4)
    leaves = sorted(
        [tag := person_tag("train/search", at, name), rows_commitment(tag, name, total)]
        for name, total in rows_of.items()
    )
    sink = io.BytesIO()
    people = [[name] for name, total in rows_of.items() for _ in range(total)]
    texts = pa.array([""] * len(people), pa.string())
    columns = {"record_id": texts, "account": texts, "people": pa.array(people, pa.list_(pa.string()))}
    columns |= {"category": texts, "collected_us": pa.array([1] * len(people), pa.int64())}
    pq.write_table(pa.table(columns), sink)
    files = {"keys.parquet": sink.getvalue(), "people.json": canonical_json(leaves)}
    manifest = {
        "purpose": "train/search",
        "at": at,
        "people": {
            "size": len(leaves) if size is None else size,
            "root": merkle.Tree(person_leaf(*leaf) for leaf in leaves).root.hex(),
        },
        "files": {name: digest(data) for name, data in files.items()},
    }
    data = canonical_json(manifest)
    place = folder / f"train-search-{digest(data)[:12]}"
    write_folder(place, files | {"manifest.json": data})
    return Snapshot.open(place)


def proofs_of(folder, rows_of, *, asked, size=None):
    """Return the proofs for those asked about, from a ledger that names a snapshot of these people."""
    ledger = Ledger(MemoryStore(), SIGNER, clock=lambda: 5)
    snapshot = frozen(folder, rows_of, size=size)
    ledger.append(NewEntry(kind="region", body={"party": "account:acme", "region": "GB"}))
    ledger.append(NewEntry(kind="snapshot", body={"snapshot": snapshot.id, "manifest": snapshot.digest}))
    ledger.append(NewEntry(kind="model", body={"model": "m", "snapshot": snapshot.id}))
    ledger.append(NewEntry(kind="region", body={"party": "account:brill", "region": "GB"}))
    return [prove_person(ledger, snapshot, model="m", pseudonym=name) for name in asked]


NAMES = st.text("0123456789abcdef", min_size=4, max_size=4).map("{:0>32}".format)


@pytest.mark.slow
@settings(max_examples=40)
@given(people=st.dictionaries(NAMES, st.integers(1, 9), max_size=9), others=st.sets(NAMES, max_size=4))
def test_presence_and_absence_are_proved_wherever_in_the_tree(tmp_path_factory, people, others):
    asked = sorted({*people, *others})
    for name, proof in zip(asked, proofs_of(tmp_path_factory.mktemp("p"), people, asked=asked), strict=True):
        assert proof["present"] == (name in people)
        assert proof["rows"] == people.get(name, 0)
        [check] = verify_person(json.loads(json.dumps(proof)), SIGNER.key).checks
        assert check.holds, check.detail
        assert not verify_person(proof, STRANGER.key).holds


@pytest.mark.slow
@settings(max_examples=40)
@given(people=st.dictionaries(NAMES, st.integers(1, 9), min_size=1, max_size=7), other=NAMES, data=st.data())
def test_a_proof_that_says_anything_else_fails(tmp_path_factory, people, other, data):
    subject, another = data.draw(st.sampled_from(sorted(people))), data.draw(st.sampled_from(sorted({*people, other})))
    present, about = proofs_of(tmp_path_factory.mktemp("p"), people, asked=[subject, another])

    def fails(proof, **says):
        changed = copy.deepcopy(proof) | says
        assert changed == proof or not verify_person(changed, SIGNER.key).holds, says

    for proof in (present, about):
        fails(proof, present=not proof["present"])
        fails(proof, rows=proof["rows"] + data.draw(st.integers(1, 5)))
        fails(proof, model="another")
        fails(proof, format="other")
        fails(proof, manifest=proof["manifest"].replace('"size":', '"size": '))
        fails(proof, entries=proof["entries"][::-1][:1])
        fails(proof, present=None)
    for name in people:
        if name != subject:
            fails(present, pseudonym=name)
        fails(about | {"present": False, "rows": 0}, pseudonym=name)  # nobody who is there can be shown to be absent
    fails(present, leaves=[])
    fails(present, leaves=about["leaves"], present=False, rows=0) if another in people else None
    for leaf in range(len(present["leaves"])):
        changed = copy.deepcopy(present)
        changed["leaves"][leaf]["index"] += 1
        fails(changed)
        assert not verify_person(changed, SIGNER.key).holds


def test_absence_cannot_be_shown_by_leaving_out_a_neighbour(tmp_path):
    people = {f"{number:032x}": 1 for number in range(40)}
    [proof] = proofs_of(tmp_path, people, asked=["f" * 32])
    assert len(proof["leaves"]) == 2
    for kept in ([0], [1], []):
        assert not verify_person({**proof, "leaves": [proof["leaves"][k] for k in kept]}, SIGNER.key).holds
    [first] = proofs_of(tmp_path, people, asked=[f"{3:032x}"])
    neighbours = [first["leaves"][0], proof["leaves"][1]]
    assert not verify_person({**proof, "leaves": neighbours}, SIGNER.key).holds


def test_absence_cannot_be_shown_by_the_persons_own_leaf(tmp_path):
    people = {f"{number:032x}": 1 for number in range(6)}
    proofs = proofs_of(tmp_path, people, asked=people)
    leaves = {leaf["index"]: leaf for proof in proofs for leaf in proof["leaves"]}
    assert sorted(leaves) == list(range(6))
    for proof in proofs:
        [own] = proof["leaves"]
        place = own["index"]
        for shown in ([place], [place - 1, place], [place, place + 1], [place - 1, place, place + 1]):
            claims = {"present": False, "rows": 0, "leaves": [leaves[one] for one in shown if one in leaves]}
            assert not verify_person({**proof, **claims}, SIGNER.key).holds


@pytest.mark.parametrize("where", ["before everybody", "between two", "after everybody"])
def test_absence_is_proved_at_either_end_and_between(tmp_path, where):
    people = {f"{number:032x}": 1 for number in range(5)}

    def tag(name):
        return person_tag("train/search", us_to_text(4), name)

    first, last = min(map(tag, people)), max(map(tag, people))
    absent = {
        "before everybody" if tag(name) < first else "after everybody" if tag(name) > last else "between two": name
        for name in (f"{number:032x}" for number in range(5, 2000))
    }[where]
    [proof] = proofs_of(tmp_path, people, asked=[absent])
    assert len(proof["leaves"]) == (2 if where == "between two" else 1)
    [check] = verify_person(proof, SIGNER.key).checks
    assert (check.name, check.holds) == ("person in m", True), check.detail


@pytest.mark.parametrize("value", [None, [], "proof", 7])
def test_what_is_no_proof_is_a_check_that_fails(value):
    [check] = verify_person(value, SIGNER.key).checks
    assert (check.name, check.holds) == ("person in no proof", False)


def test_an_empty_tree_of_somebody_is_refused(tmp_path):
    [proof] = proofs_of(tmp_path, {"a" * 32: 1}, asked=["b" * 32], size=0)
    assert not verify_person({**proof, "leaves": []}, SIGNER.key).holds


def test_nothing_is_proved_of_what_the_ledger_does_not_name(proven):
    with pytest.raises(InvalidInputError, match="does not name"):
        prove_person(proven.world.ledger, proven.snapshot, model="nobody", pseudonym="x")


def test_a_proof_from_a_changed_tree_is_not_made(proven, tmp_path):
    folder = shutil.copytree(proven.snapshot.folder, tmp_path / proven.snapshot.id)
    (folder / "people.json").write_bytes(b"[]")
    changed = type(proven.snapshot).open(folder)
    with pytest.raises(ProofError):
        prove_person(proven.world.ledger, changed, model=proven.model, pseudonym="x")


def test_people_of_a_real_snapshot_are_proved_and_whoever_is_not_in_it_is_not(proven):
    for name, rows in (("acme-ada", 3), ("brill-bo", 3), ("acme-cy", 0)):
        proof = prove_person(
            proven.world.ledger, proven.snapshot, model=proven.model, pseudonym=proven.world.people[name]
        )
        assert (proof["present"], proof["rows"]) == (rows > 0, rows)
        assert verify_person(proof, SIGNER.key).holds
        told = json.dumps(proof)
        others = [pseudonym for other, pseudonym in proven.world.people.items() if other != name]
        assert not any(pseudonym in told for pseudonym in others)


@pytest.mark.slow
@settings(max_examples=80)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    ["checkpoint", "entries", "entry", "path", "manifest", "leaves", "leaf", "index", "format"]
                ),
                inner,
                max_size=4,
            ),
        ),
    ),
    st.sampled_from(["checkpoint", "entries", "manifest", "leaves", "present", "rows", "pseudonym", "model", "format"]),
)
def test_no_value_whatever_crashes_the_verification_of_a_proof(proven, value, field):
    good = prove_person(
        proven.world.ledger, proven.snapshot, model=proven.model, pseudonym=proven.world.people["acme-ada"]
    )
    assert not verify_person(value, SIGNER.key).holds
    changed = {**good, field: value}
    assert verify_person(changed, SIGNER.key).holds == (changed == good)
