"""Killed, out of disk, and two at once: what was acknowledged is there, and nothing is half-visible.

The kills are real ones, of processes that do nothing but write; so is the limit on the size of files.
"""

import json
import multiprocessing
import random
import resource
import shutil
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress

import pytest

from crafts import create_unbound
from simulator import START_US, HashEncoder, World, silent, world_in
from volition.consent.parties import Parties
from volition.consent.terms.model import CATEGORIES
from volition.errors import InvalidInputError, VolitionError
from volition.learning.train import Trained
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.sqlite import SqliteStore
from volition.records.engines.arrow import ArrowEngine
from volition.records.lake import Lake
from volition.records.snapshot import Snapshot
from volition.transparency.verify.bundle import verify_bundle
from volition.workspace import Workspace

pytestmark = pytest.mark.slow

PROCESSES = multiprocessing.get_context("forkserver")  # forks from a process that has imported everything and no more
PROCESSES.set_forkserver_preload(["test_faults"])

HABITS = {"ann": ("a", "b", "c"), "ben": ("a", "b", "d"), "cleo": ("a", "c", "d", "e"), "dov": ("b", "c", "e")}


def start(work, *arguments):
    """Let a process work; return it, and the end of a pipe at which it says what it acknowledges."""
    receiver, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=work, args=(sender, *arguments))
    process.start()
    sender.close()  # so that the pipe ends with the process
    return process, receiver


def all_said(receiver):
    """Return all that was said until the process ended or was killed, in the middle of a word perhaps."""
    said = []
    with closing(receiver), suppress(EOFError, OSError):
        while True:
            said.append(receiver.recv())
    return said


def run_and_kill(work, *arguments, after_s):
    """Let a process work until some time after its first acknowledgement, kill it; return what it acknowledged."""
    process, receiver = start(work, *arguments)
    receiver.poll(60)
    time.sleep(after_s)
    process.kill()
    acknowledged = all_said(receiver)
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"it ended by itself: {acknowledged[-1:]}"
    return acknowledged


def run(work, *arguments, at_once=1):
    """Let so many processes work to their end, each told its number last; return what each said last."""
    numbers = range(at_once) if at_once > 1 else [()]
    started = [start(work, *arguments, *([number] if at_once > 1 else [])) for number in numbers]
    said = [all_said(receiver) for _, receiver in started]
    for process, _ in started:
        process.join()
        assert process.exitcode == 0, said
    last = [words[-1] for words in said]
    return last if at_once > 1 else last[0]


# --- killed: the lake ---


def batch_of(world, number, size=6):
    """Return a batch that lies in several files: two accounts, two categories, two days."""
    return [
        world.record(
            f"{number}-{part}",
            account=world.accounts[part % 2],
            people=(("ada", "bo", "cy")[part % 3], "bo") if part % 3 != 1 else ("bo",),
            category=("content/chat", "service/usage")[part // 3 % 2],
            at_us=START_US + part * 20_000_000_000 + number,
        )
        for part in range(size)
    ]


def append_for_ever(sender, folder, first):
    world = World(folder, parties=Parties.open(folder))
    world.everyone_says("yes")
    number = first
    while True:
        world.lake.append(batch_of(world, number))
        if number % 4 == 3:
            world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
        if number % 7 == 6:
            world.lake.quarantine("acme", [{"source": "s", "where": str(number), "why": "bad", "raw": "x" * 999}])
        sender.send(number)
        number += 1


def test_a_lake_killed_while_it_is_written_has_every_acknowledged_batch_and_no_half_of_any(tmp_path):
    randomly = random.Random(7)
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        first = 0
        for _ in range(4):
            after_s = randomly.choice([0.0, 0.01, 0.05, 0.1]) + randomly.random() / 20
            acknowledged = run_and_kill(append_for_ever, tmp_path, first, after_s=after_s)
            last = acknowledged[-1]
            with closing(Lake(tmp_path / "lake", world.parties, ArrowEngine(), world.ledger)) as lake:
                rows = list(lake.rows(world.permits(at_us=START_US + 10**13), categories=CATEGORIES))
                held = Counter(row.record_id for row in rows)
                assert set(held.values()) == {1}
                for number in range(last + 1):
                    assert all(record.record_id in held for record in batch_of(world, number))
                unacknowledged = [record.record_id in held for record in batch_of(world, last + 1)]
                assert len(set(unacknowledged)) == 1
                assert len(held) == 6 * (last + 1 + all(unacknowledged))
                first = last + 1
                appended = lake.append(batch_of(world, first))  # sending again sends the rest
                assert appended.stored == (0 if all(unacknowledged) else 6)
            on_disk = {
                str(path.relative_to(tmp_path / "lake")) for path in (tmp_path / "lake/records").rglob("*.parquet*")
            }
            assert on_disk == named_files(tmp_path / "lake")
            first += 1


def named_files(lake):
    with closing(sqlite3.connect(lake / "index.db")) as index:
        return {path for (path,) in index.execute("SELECT path FROM files")}


def compact_for_ever(sender, folder, first):
    """Append batches, each of many small files, and compact them: say how many batches there were before."""
    world = World(folder, parties=Parties.open(folder))
    world.everyone_says("yes")
    number = first
    while True:
        for _ in range(3):
            world.lake.append(batch_of(world, number))
            number += 1
        world.lake.embed(
            world.permits(at_us=START_US + 10**13), HashEncoder(), categories=["content/chat"], progress=silent
        )
        sender.send(number)
        world.lake.compact(silent)


def test_a_lake_killed_in_the_middle_of_compaction_loses_nothing_and_doubles_nothing(tmp_path):
    randomly = random.Random(11)
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        number = 0
        for _ in range(4):
            acknowledged = run_and_kill(compact_for_ever, tmp_path, number, after_s=randomly.random() / 5)
            with closing(Lake(tmp_path / "lake", world.parties, ArrowEngine(), world.ledger)) as lake:
                permits = world.permits(at_us=START_US + 10**13)
                expected = {
                    record.record_id: record.payload for n in range(acknowledged[-1]) for record in batch_of(world, n)
                }
                for _ in range(2):  # as it was left, and once what was left undone is done
                    rows = list(lake.rows(permits, categories=CATEGORIES))
                    assert len(rows) == len({row.record_id for row in rows}) == sum(lake.size().values())
                    assert expected.items() <= {row.record_id: row.payload for row in rows}.items()
                    lake.compact(silent)
                with closing(sqlite3.connect(tmp_path / "lake" / "index.db")) as index:
                    embedded = index.execute("SELECT COUNT(*) FROM embedded").fetchone()[0]
                    kept = index.execute("SELECT SUM(rows) FROM files WHERE kind = 'embeddings'").fetchone()[0]
                assert embedded == kept == sum(row.embedding is not None for row in rows)
                number = acknowledged[-1]  # sending again sends the rest
                lake.append([])  # sweeps
            on_disk = {
                str(path.relative_to(tmp_path / "lake")) for path in (tmp_path / "lake/records").rglob("*.parquet*")
            }
            assert on_disk == named_files(tmp_path / "lake")


def compact_and_erase(sender, folder, number):
    """One process compacts over and over, the others append and erase."""
    world = World(folder, parties=Parties.open(folder))
    if number == 0:
        for _ in range(12):
            world.lake.compact(silent)
    else:
        for part in range(4):
            world.lake.append(batch_of(world, 100 * number + part))
        world.lake.erase_person(world.people[f"brill-{('ada', 'cy')[number - 1]}"])
    sender.send(number)


def test_processes_that_compact_and_erase_at_once_bring_nothing_back(tmp_path):
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        for number in range(6):
            world.lake.append(batch_of(world, number))
        assert run(compact_and_erase, tmp_path, at_once=3) == [0, 1, 2]
        gone = {world.people["brill-ada"], world.people["brill-cy"]}
        for person in gone:  # what was appended after one had erased
            world.lake.erase_person(person)
        numbers = [*range(6), *(100 * name + part for name in (1, 2) for part in range(4))]
        expected = {
            record.record_id for number in numbers for record in batch_of(world, number) if record.people[0] not in gone
        }
        world.lake.compact(silent)
        rows = list(world.lake.rows(world.permits(at_us=START_US + 10**13), categories=CATEGORIES))
        assert len(rows) == len(expected)
        assert {row.record_id for row in rows} == expected
        on_disk = {str(path.relative_to(tmp_path / "lake")) for path in (tmp_path / "lake/records").rglob("*.parquet*")}
        assert on_disk == named_files(tmp_path / "lake")


# --- killed: a whole workspace ---


def usage(folder, number):
    """Write one day of what everybody opens, as an OpenTelemetry exporter would."""

    def attributes(values):
        return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]

    now_ns = time.time_ns() - 10**9
    requests = []
    for account in ("orchard", "bakery"):
        records = [
            {
                "timeUnixNano": str(now_ns + place),
                "attributes": attributes(
                    {
                        "volition.person": f"{account}-{name}",
                        "volition.category": "service/usage",
                        "volition.item": f"document/{item}",
                    }
                ),
            }
            for name, items in HABITS.items()
            for place, item in enumerate(items)
        ]
        resource_of = {"attributes": attributes({"volition.account": account})}
        requests.append({"resourceLogs": [{"resource": resource_of, "scopeLogs": [{"logRecords": records}]}]})
    path = folder / f"usage-{number}.jsonl"
    path.write_text("\n".join(json.dumps(request) for request in requests))
    return path


def settle(folder):
    """Make a workspace with two customers who have said yes, and a first model at work."""
    with create_unbound(folder, origin="log.example/faults") as workspace:
        for account in ("orchard", "bakery"):
            workspace.people.add_account(account, account.title())
            for name in HABITS:
                workspace.people.add_person(f"{account}-{name}", account=account)
            workspace.terms.accept(account)
            workspace.consent.decide(
                f"account:{account}",
                yes=True,
                data=["service"],
                purpose=["train/recommend", "feature/recommend"],
                covers="past",
            )
        workspace.records.collect_otlp(usage(folder.parent, "first"))
        model = workspace.models.train("recommend").id
        workspace.models.audit(model)
        workspace.models.release(model)
    return folder


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    return settle(tmp_path_factory.mktemp("settled") / "workspace")


@pytest.fixture
def folder(settled, tmp_path):
    return shutil.copytree(settled, tmp_path / "workspace")


def records_in(workspace):
    """Count the lake's records; `status` would count them, too, and load the sentence encoder first."""
    return sum(workspace._opened.lake.size().values())


def live(sender, folder, seed):
    """Do everything that writes, over and over, and acknowledge each step with the ledger's size and the records."""
    randomly = random.Random(seed)
    with Workspace.open(folder) as workspace:

        def told(step, what=None):
            records = records_in(workspace)
            sender.send((step, what, len(workspace.entries()), records))

        told("open")
        for number in range(10**6):
            person = f"person:{randomly.choice(['orchard', 'bakery'])}-{randomly.choice(sorted(HABITS))}"
            yes = randomly.random() < 0.5
            workspace.consent.decide(
                person, yes=yes, data=["service"], purpose=["train"], covers="past" if yes else None
            )
            told("decide", (workspace.party(person), yes))
            match randomly.randrange(4):
                case 0:
                    path = usage(folder.parent, f"{seed}-{number}")
                    stored = workspace.records.collect_otlp(path).stored
                    told("collect", stored)
                case 1:
                    told("snapshot", workspace.snapshots.create("train/recommend").id)
                case 2:
                    model = workspace.models.train("recommend").id
                    told("train", model)
                    workspace.models.audit(model)
                    workspace.models.release(model)
                    told("release", model)
                case 3:
                    told("forget", [done.model for done in workspace.forgetting.forget()])


def check_whole(folder, acknowledged, bundle):
    """Check that all that was acknowledged is there, and that whatever is there is whole; then that work goes on."""
    with Workspace.open(folder) as workspace:
        workspace.ledger.verify()
        _, _, size, records = acknowledged[-1]
        assert len(workspace.entries()) >= size
        assert records_in(workspace) >= records
        for step, what, _, _ in acknowledged:
            check_acknowledged(workspace, step, what)
        check_folders(workspace)
        check_proof(workspace, bundle)

        workspace.forgetting.forget()
        assert workspace.models.owed() == []
        assert not [*folder.rglob("*.part")]
        for path in (folder / "models").iterdir():
            if path.name not in workspace.models.states():  # killed before the ledger knew: it stays while nobody minds
                frozen = Snapshot.open(folder / "snapshots" / Trained.open(path).record["snapshot"])
                assert frozen.stale(workspace.gate.permits(frozen.purpose)) == []
        workspace.records.collect_otlp(usage(folder.parent, f"{time.time_ns()}"))
        model = workspace.models.train("recommend").id
        workspace.models.audit(model)
        workspace.models.release(model)
        check_proof(workspace, bundle)


def check_acknowledged(workspace, step, what):
    models = workspace.models.states()
    match step:
        case "decide":
            assert what in {
                (entry.body["party"], entry.body["answer"] == "yes")
                for entry in workspace.entries()
                if entry.kind == "decision"
            }
        case "snapshot":
            assert what in workspace.snapshots.ids()
        case "train":
            assert what in models
        case "release":
            assert models[what].released_us is not None
        case "forget":
            assert all(models[model].forgotten_us is not None for model in what)
            assert not any((workspace.folder / "models" / model).exists() for model in what)


def check_folders(workspace):
    """Check that every snapshot and model that can be seen is whole, and that the living ones can be used."""
    models = workspace.models.states()
    for path in (workspace.folder / "snapshots").iterdir():
        if path.suffix != ".part":
            Snapshot.open(path).check()
    for path in (workspace.folder / "models").iterdir():
        if path.suffix != ".part" and not (path.name in models and models[path.name].forgotten_us):
            Trained.open(path)
    for model in models.values():
        if model.forgotten_us is None:
            workspace.models.open(model.id)
            closed = workspace.parties.erased_accounts()
            workspace.snapshots.open(model.snapshot).rows(workspace.parties, without=closed)


def check_proof(workspace, bundle):
    workspace.proofs.bundle(bundle)
    verified = verify_bundle(bundle, workspace.verifier)
    assert verified.holds, verified.to_json()


def test_a_workspace_killed_at_any_moment_has_what_it_acknowledged_and_goes_on(folder, tmp_path):
    randomly = random.Random(7)
    for seed in range(5):
        acknowledged = run_and_kill(live, folder, seed, after_s=randomly.random() * 0.8)
        check_whole(folder, acknowledged, tmp_path / "evidence.zip")


def create_for_ever(sender, folder):
    for number in range(10**6):
        place = folder / str(number)
        Workspace.create(place, origin="log.example/made").close()
        sender.send(number)


def test_a_workspace_killed_while_it_is_made_is_none_or_a_whole_one(tmp_path):
    for round_ in range(3):
        home = tmp_path / str(round_)
        home.mkdir()
        acknowledged = run_and_kill(create_for_ever, home, after_s=0.03 * (1 + round_))
        places = {int(place.name): place for place in home.iterdir()}
        assert len(places) in (acknowledged[-1] + 1, acknowledged[-1] + 2)
        for number, place in places.items():
            if (place / "volition.toml").exists():
                with Workspace.open(place) as workspace:
                    assert workspace.terms.published() or number > acknowledged[-1]
            else:
                assert number > acknowledged[-1]
                with pytest.raises(InvalidInputError, match="no workspace"):
                    Workspace.open(place)


# --- out of disk ---


def limited(limit_bytes, act):
    """Act while no file may grow beyond a limit, as on a full disk; return the error, or none."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, most))
    try:
        act()
    except VolitionError as error:
        return error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    return None


ACTS = {  # use cases that write
    "collect": lambda workspace: workspace.records.collect_otlp(workspace.folder / "usage-full.jsonl"),
    "decide": lambda workspace: workspace.consent.decide(
        "person:orchard-ann", yes=False, data=["content"], purpose=["train"]
    ),
    "snapshot": lambda workspace: workspace.snapshots.create("train/recommend"),
    "train": lambda workspace: workspace.models.train("recommend"),
    "audit": lambda workspace: workspace.models.audit(next(iter(workspace.models.states()))),
    "release": lambda workspace: workspace.models.release(next(iter(workspace.models.states()))),
    "forget": lambda workspace: workspace.forgetting.forget(),
    "prove": lambda workspace: workspace.proofs.bundle(workspace.folder / "evidence.zip"),
    "add_person": lambda workspace: workspace.people.add_person("orchard-new", account="orchard", name="N" * 9000),
    "erase": lambda workspace: workspace.forgetting.erase("account:orchard"),
}


def fill_the_disk(sender, folder, act, limits):
    """Try a use case under each limit; then without one. Say which errors came, and whether all is well."""
    with Workspace.open(folder) as workspace:
        if act == "forget":
            workspace.consent.decide("person:orchard-ben", yes=False, data=["service"], purpose=["train"])
        usage(workspace.folder, "full")
        errors = []
        for limit_bytes in limits:
            before = len(workspace.entries())
            records = records_in(workspace)
            error = limited(limit_bytes, lambda: ACTS[act](workspace))
            errors.append(error and (type(error).__name__, str(error)))
            workspace.ledger.verify()
            if error is not None:
                assert records_in(workspace) == records or act == "erase"
                added = {entry.kind for entry in workspace.entries()[before:]}
                assert added <= ({"collect"} if act == "collect" else set()) or act in ("forget", "train", "erase")
            else:
                break
        else:
            ACTS[act](workspace)
    sender.send(errors)


@pytest.mark.parametrize("act", ACTS)
def test_on_a_full_disk_a_use_case_says_so_and_works_once_there_is_room(folder, tmp_path, act):
    errors = run(fill_the_disk, folder, act, [0, 100, 700, 3000, 9000, 33_000])
    assert errors[0] is not None, "nothing was written"
    told = {name for error in errors if error for name in [error[0]]}
    assert told == {"BackendError"} if act != "erase" else told <= {"BackendError", "ConflictError"}, errors
    check_whole(folder, [("open", None, 0, 0)], tmp_path / "evidence.zip")


def fill_the_disk_of_a_lake(sender, folder):
    world = World(folder, parties=Parties.open(folder))
    world.everyone_says("yes")
    permits = world.permits()
    errors = []
    for limit_bytes in (0, 1000, 20_000, 90_000, resource.RLIM_INFINITY):
        for act in (
            lambda: world.lake.append(batch_of(world, abs(limit_bytes), size=40)),  # noqa: B023 - called at once
            lambda: world.lake.embed(permits, HashEncoder(), categories=["content/chat"], progress=silent),
            lambda: world.lake.quarantine("acme", [{"source": "s", "where": "w", "why": "y", "raw": "x" * 200_000}]),
            lambda: world.lake.erase_person(world.people["acme-ada"]),
        ):
            error = limited(limit_bytes, act)
            errors.append(error and type(error).__name__)
    sender.send(errors)


def test_a_lake_on_a_full_disk_keeps_what_it_had_and_takes_the_rest_later(tmp_path):
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        world.lake.append(batch_of(world, 10**6, size=30))
        before = everything(world)
        errors = run(fill_the_disk_of_a_lake, tmp_path)
        assert set(errors) <= {"BackendError", None}
        assert errors[0] == errors[2] == errors[3] == "BackendError"
        assert errors[-4:] == [None] * 4
        kept = everything(world)
        assert before - kept == erased(world, before)
        world.lake.append(batch_of(world, 5, size=30))
        assert len(everything(world)) == len(kept) + 30
        on_disk = {str(path.relative_to(tmp_path / "lake")) for path in (tmp_path / "lake/records").rglob("*.parquet*")}
        assert on_disk == named_files(tmp_path / "lake")


def everything(world):
    return {row.record_id for row in world.lake.rows(world.permits(at_us=START_US + 10**13), categories=CATEGORIES)}


def erased(world, identities):
    """Return those of the identities that belong to whom the worker has erased."""
    return {
        record.record_id
        for record in batch_of(world, 10**6, size=30)
        if record.people[0] == world.people["acme-ada"] and record.record_id in identities
    }


def fill_the_disk_of_a_ledger(sender, path):
    ledger = Ledger(SqliteStore(path), Signer.from_seed("log.example/full", bytes(32)))
    errors = []
    for limit_bytes in (0, 1000, 5000, 20_000, 70_000):
        body = {"party": "account:acme", "region": "GB", "much": "x" * 30_000}
        error = limited(limit_bytes, lambda: ledger.append(NewEntry(kind="region", body=body)))  # noqa: B023
        errors.append(error and type(error).__name__)
        assert ledger.verify().size == sum(error is None for error in errors)
    ledger.append(NewEntry(kind="region", body={}))
    sender.send(errors)


def test_a_ledger_on_a_full_disk_keeps_what_it_had_and_goes_on(tmp_path):
    SqliteStore.create(tmp_path / "ledger.db").close()
    errors = run(fill_the_disk_of_a_ledger, tmp_path / "ledger.db")
    assert errors[0] == "BackendError"
    assert set(errors) <= {"BackendError", None}
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        assert Ledger(store, Signer.from_seed("log.example/full", bytes(32))).verify().size == errors.count(None) + 1


# --- several at once ---


def append_overlapping(sender, folder, name):
    world = World(folder, parties=Parties.open(folder))
    ledger = Ledger(SqliteStore(folder / "ledger.db"), Signer.from_seed("log.example/two", bytes(32)))
    stored = 0
    for number in range(6):
        stored += world.lake.append(batch_of(world, number)).stored
        stored += world.lake.append(batch_of(world, 1000 * (1 + name) + number)).stored
        ledger.append(NewEntry(kind="region", body={"party": f"account:{name}", "region": str(number)}))
        guest = world.parties.guest("acme", f"Guest {number}").pseudonym
        world.lake.quarantine("acme", [{"source": "s", "where": str(number), "why": "bad", "raw": guest}])
    sender.send((stored, [world.parties.guest("acme", f"Guest {number}").pseudonym for number in range(6)]))


def test_processes_that_write_at_once_lose_nothing_and_store_nothing_twice(tmp_path):
    SqliteStore.create(tmp_path / "ledger.db").close()
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        said = run(append_overlapping, tmp_path, at_once=3)

        assert sum(stored for stored, _ in said) == 6 * 6 + 3 * 6 * 6
        assert said[0][1] == said[1][1] == said[2][1]
        identities = [
            row.record_id for row in world.lake.rows(world.permits(at_us=START_US + 10**13), categories=CATEGORIES)
        ]
        assert len(identities) == len(set(identities)) == 6 * 6 + 3 * 6 * 6
        assert len([*(tmp_path / "lake" / "quarantine").iterdir()]) == 6
        with closing(SqliteStore(tmp_path / "ledger.db")) as store:
            ledger = Ledger(store, Signer.from_seed("log.example/two", bytes(32)))
            assert ledger.verify().size == 18
            for name in range(3):
                said_by = [e.body["region"] for e in ledger.entries() if e.body["party"] == f"account:{name}"]
                assert said_by == [str(number) for number in range(6)]


def train_and_freeze(sender, folder, number):
    with Workspace.open(folder) as workspace:
        for _ in range(2):
            model = workspace.models.train("recommend").id
            workspace.models.audit(model)
            workspace.models.release(model)
    sender.send(number)


def test_processes_that_freeze_and_train_in_one_workspace_leave_it_whole(folder, tmp_path):
    assert run(train_and_freeze, folder, at_once=2) == [0, 1]
    check_whole(folder, [("open", None, 0, 0)], tmp_path / "evidence.zip")
    with Workspace.open(folder) as workspace:
        assert Counter(entry.kind for entry in workspace.entries())["release"] == 6
