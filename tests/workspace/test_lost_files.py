"""A lost file is never an empty one: each file of a workspace is lost in turn, and nothing answers as if it were empty.

Whatever is asked gets the answer that it had before, or an error that says what is lost.
"""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from crafts import PURPOSES, USAGE, Clock, build, set_bounds
from volition.cli import codes, main
from volition.consent.terms.terms_file import load_profile
from volition.errors import BackendError, InvalidInputError, ProofError
from volition.server.auth import Access, Role
from volition.workspace import Workspace
from volition.workspace.doubt import Doubt

ASKED = {
    "status": lambda workspace, _: workspace.status(),
    "owed": lambda workspace, _: [one.to_json() for one in workspace.models.owed()],
    "holdings": lambda workspace, _: workspace.rights.holdings("acme-1"),
    "looked": lambda workspace, _: workspace.accesses.of("acme-1"),
    "set aside": lambda workspace, _: workspace.records.set_aside(),
    "texts": lambda workspace, _: [workspace.terms.text(one) for one in workspace.terms.published()],
    "cards": lambda workspace, _: [workspace.models.card(one) for one in workspace.models.states()],
    "findings": lambda workspace, _: [workspace.models.findings_of(one) for one in workspace.models.states()],
    "recommend": lambda workspace, _: workspace.features.recommend("acme-1"),
    "collect": lambda workspace, input_path: workspace.records.collect_otlp(input_path).stored,
    "snapshot": lambda workspace, _: workspace.snapshots.create("train/recommend").manifest["rows"],
    "forget": lambda workspace, _: [one.model for one in workspace.forgetting.forget()],
    "erase": lambda workspace, _: workspace.forgetting.erase("person:acme-2"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace with at least one file of each kind, and a model that must forget somebody."""
    folder = tmp_path_factory.mktemp("made")
    clock = Clock()
    with build(folder / "w", clock, accounts={"acme": 6, "helio": 6}) as workspace:
        set_bounds(folder / "w")
        (folder / "m.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:04.000\nWho Else: Hello.\n")
        (folder / "bad.jsonl").write_text('{"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [{}]}]}]}\n')
        workspace.records.collect_webvtt(folder / "m.vtt", account="acme", started=clock.now)
        workspace.records.collect_otlp(folder / "bad.jsonl", account="acme")
        workspace.terms.publish(replace(load_profile("granular"), id="own", text="# Our own terms\n", text_digest=""))
    with Workspace.open(folder / "w", clock=clock) as workspace:
        trained = workspace.models.train("recommend")
        workspace.models.audit(trained.id)
        workspace.models.release(trained.id)
        workspace.features.recommend("acme-1")
        workspace.accesses.note(None, "owed", ["person:x"])
        clock.wait(days=1)
        workspace.consent.decide("person:acme-0", yes=False, data=USAGE, purpose=PURPOSES)
    with closing(Access.open(folder / "w")) as access:
        access.users.add("op", roles=[Role.OPERATOR])
    return folder, clock


@pytest.fixture
def copied(made, tmp_path):
    """Copy it, with a clock of its own."""
    folder, clock = made
    shutil.copytree(folder / "w", tmp_path / "w")
    return tmp_path / "w", Clock(clock.now), folder / "acme.jsonl"


def answers(folder, clock, input_path):
    """Return what a workspace answers; an error that says what is lost in the place of an answer."""
    found = {}
    try:
        with Workspace.open(folder, clock=clock) as workspace:
            for name, ask in ASKED.items():
                try:
                    found[name] = ask(workspace, input_path)
                except (BackendError, ProofError) as error:
                    found[name] = error
    except (BackendError, ProofError) as error:
        found = dict.fromkeys(ASKED, error)
    except InvalidInputError as error:
        assert not (folder / "volition.toml").exists() or not (folder / "volition.toml").stat().st_size
        found = dict.fromkeys(ASKED, error)
    try:
        with closing(Access.open(folder)) as access:
            found["users"] = access.users.all()
    except BackendError as error:
        found["users"] = error
    return found


@pytest.fixture(scope="module")
def expected(made, tmp_path_factory):
    """Return what is answered where nothing is lost."""
    folder, clock = made
    whole = tmp_path_factory.mktemp("whole") / "w"
    shutil.copytree(folder / "w", whole)
    found = answers(whole, Clock(clock.now), folder / "acme.jsonl")
    assert not any(isinstance(one, Exception) for one in found.values())
    assert (found["collect"], found["erase"].records, len(found["forget"]), len(found["users"])) == (0, 7, 1, 1)
    return found


LOST = [
    ("generations", set()),
    ("checkpoint", set()),
    ("lake/index.db", {"status", "holdings", "collect", "snapshot", "forget", "erase"}),
    ("lake/quarantine/*.jsonl", {"set aside", "erase"}),
    ("lake/records/content/transcript/*/*.parquet", {"holdings", "erase"}),
    ("lake/records/service/usage/*/45-*.parquet", {"holdings", "recommend", "snapshot", "erase"}),
    ("ledger.db", set(ASKED)),
    ("master.key", set(ASKED)),
    ("models/*/findings.json", {"findings"}),
    ("models/*/model/arrays.npz", {"recommend"}),
    ("models/*/record.json", {"recommend"}),
    ("parties.db", set(ASKED)),
    ("releases/*/card.json", {"cards"}),
    ("signing.key", set(ASKED)),
    ("snapshots/*/keys.parquet", {"holdings"}),
    ("snapshots/*/manifest.json", {"holdings"}),
    ("snapshots/*/rows.parquet", set()),
    ("terms/dc384e6ccc78eab6ebb23e380365679b3a84574d121f2ecfe13f51cd87d6b237.md", {"texts"}),
    ("uses.db", set(ASKED)),
    ("volition.toml", set(ASKED)),
    ("web.db", {"users"}),
]
"""Each kind of file, and what cannot be answered without it; what else is told is left to the test."""
NOT_ASKED = {
    "models/*/model/settings.json",
    "models/*/model/vocabulary.txt",
    "releases/*/attestation.json",
    "releases/*/card.md",
    "releases/*/model.pub",
    "releases/*/model.sig",
    "snapshots/*/collected.parquet",
    "snapshots/*/people.json",
    "lake/records/service/usage/*/12-*.parquet",
    "terms/1260fce4b1228983c733274ae68d222d653ce9445a6e372f189dc56d7183d427.md",
}
"""What is verified by digest when it is read, as files of the same folder above are."""


def test_every_file_of_a_workspace_is_lost_in_some_test(made):
    folder, _ = made
    kinds = {*NOT_ASKED, *(pattern for pattern, _ in LOST)}
    known = {path for pattern in kinds for path in (folder / "w").glob(pattern)}
    assert {path for path in (folder / "w").rglob("*") if path.is_file()} == known


def check(found, expected, refused):
    """Check that nothing is answered otherwise than before, and that what needs the lost file is refused."""
    for name in ("status", "owed"):  # what is damaged of a model's snapshot is named, and the rest answered
        if not isinstance(found[name], Exception):
            owed = found[name] if name == "owed" else found[name]["owed"]
            if any(one["damage"] for one in owed):
                del found[name]
    held = found["holdings"]  # and a snapshot whose rows cannot be counted is told as one that may hold some
    if not isinstance(held, Exception) and any(one.rows is None for one in held.training_sets):
        assert [one.snapshot for one in held.training_sets] == [
            one.snapshot for one in expected["holdings"].training_sets
        ]
        found["holdings"] = BackendError("What these snapshots hold is not known.")
    wrong = {name: one for name, one in found.items() if not isinstance(one, Exception) and one != expected[name]}
    assert not wrong
    assert {name for name in refused if not isinstance(found[name], Exception)} == set()


@pytest.mark.parametrize(("pattern", "refused"), LOST, ids=[pattern for pattern, _ in LOST])
def test_a_file_that_is_gone_is_not_taken_for_empty(copied, expected, pattern, refused):
    folder, *rest = copied
    [path] = folder.glob(pattern)
    path.unlink()
    check(answers(folder, *rest), expected, refused)


@pytest.mark.parametrize("pattern", ["lake/index.db", "lake/quarantine/*.jsonl", "snapshots/*/keys.parquet", "web.db"])
def test_a_file_of_no_bytes_is_not_taken_for_empty(copied, expected, pattern):
    folder, *rest = copied
    [path] = folder.glob(pattern)
    path.write_bytes(b"")
    check(answers(folder, *rest), expected, dict(LOST)[pattern])


@pytest.mark.parametrize("name", ["snapshots", "models", "lake/records", "lake", "terms", "releases"])
def test_a_folder_that_is_gone_is_not_taken_for_empty(copied, expected, name):
    folder, *rest = copied
    shutil.rmtree(folder / name)
    found = answers(folder, *rest)
    check(found, expected, set())
    assert any(isinstance(one, Exception) for one in found.values())


@pytest.mark.parametrize("name", ["parties.db", "lake/index.db", "web.db"])
def test_an_older_copy_of_a_database_is_told(copied, name):
    folder, clock, _ = copied
    older = (folder / name).read_bytes()
    with Workspace.open(folder, clock=clock) as workspace:
        workspace.people.add_person("new", account="acme", name="New Person")
        (folder / "n.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:04.000\nNew Person: Hello.\n")
        workspace.records.collect_webvtt(folder / "n.vtt", account="acme", started=clock.now)
    with closing(Access.open(folder)) as access:
        access.users.add("later", roles=[Role.OPERATOR])
    (folder / name).write_bytes(older)
    with pytest.raises(BackendError, match=rf"{name} is older than it was.*restore the newest copy"):  # noqa: PT012
        with closing(Access.open(folder)):
            pass
        with Workspace.open(folder, clock=clock) as workspace:
            workspace.status()


def test_a_person_whom_only_the_ledger_knows_is_told_without_the_count(copied):
    folder, clock, _ = copied
    older = (folder / "parties.db").read_bytes()
    with Workspace.open(folder, clock=clock) as workspace:
        workspace.people.add_person("new", account="acme", name="New Person")
        workspace.consent.decide("person:new", yes=False, data=USAGE, purpose=PURPOSES)
    (folder / "parties.db").write_bytes(older)
    (folder / "generations").unlink()
    with (
        pytest.raises(BackendError, match=r"parties.db does not know a person .* Restore"),
        Workspace.open(folder, clock=clock),
    ):
        pass


def test_files_of_an_index_that_was_lost_are_never_swept(copied):
    folder, clock, input_path = copied
    kept = sorted((folder / "lake").rglob("*.parquet"))
    (folder / "lake" / "writing").touch()  # a writer was killed
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b""), _make_empty):
        damage(folder / "lake" / "index.db")
        with pytest.raises(BackendError), Workspace.open(folder, clock=clock) as workspace:
            workspace.records.collect_otlp(input_path)
        assert sorted((folder / "lake").rglob("*.parquet")) == kept


def _make_empty(path):
    """Put a database without tables in the place of one."""
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.commit()


def test_doubt_about_the_log_that_was_lost_is_still_doubt(copied):
    folder, clock, _ = copied
    with Workspace.open(folder, clock=clock) as workspace:
        workspace._opened.keep_doubts([Doubt(key="k", witness="w", why="it was cut off", at="2026-01-05")])
    (folder / "doubt.json").unlink()
    with pytest.raises(ProofError, match="volition log witness"), Workspace.open(folder, clock=clock) as workspace:
        workspace.consent.decide("person:acme-1", yes=True, data=USAGE, purpose=PURPOSES)


def test_an_erasure_is_not_done_where_sign_ins_were_lost(copied, capsys):
    folder, _, _ = copied
    (folder / "web.db").unlink()
    assert main(["erase", "--party", "person:acme-2", "--workspace", str(folder)]) == codes.BACKEND.code
    assert "web.db is gone" in capsys.readouterr().err
