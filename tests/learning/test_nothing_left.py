"""Once somebody is erased and forgotten, no byte of the workspace tells what they said: however packed or sealed."""

import io
import json
import shutil
import zipfile
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crafts import create_unbound
from simulator import Clock, HashEncoder
from volition.errors import RefusedError, VolitionError
from volition.records.audience import ConversationKind
from volition.workspace import Workspace

pytestmark = pytest.mark.slow  # the workspace that every test looks through takes half a minute to make

WORD = "xylophone"  # what Ann says, searches for, writes about and opens
STEM = WORD[:6]  # as search keeps words
SAID = f"My {WORD} needs a case before the concert."
SUBJECTS = ("battery", "budget", "colour", "holiday", "payroll", "menu", "server", "contract")
PEOPLE = {"ann": "Ann Archer", "ben": "Ben Bell", "cleo": "Cleo Cross"}
STARTED = datetime(2024, 9, 20, 9, tzinfo=UTC)  # before the clock starts
SUFFIXES = (b"", b"/embedding", b"/snapshot", b"/snapshot-embedding")


def transcript(number):
    """Write a meeting; Ann is in the first three, the others in all."""
    lines = ["WEBVTT", ""]
    for turn in range(8):
        speaker = PEOPLE[("ben", "cleo")[turn % 2]]
        text = f"We should talk about the {SUBJECTS[(number + turn // 4) % 8]} again, number {turn}."
        if number < 3 and turn == 5:
            speaker, text = PEOPLE["ann"], SAID
        lines += [f"00:{turn:02}.000 --> 00:{turn:02}.900", f"{speaker}: {text}", ""]
    return "\n".join(lines)


def open_workspace(folder, clock):
    workspace = Workspace.open(folder, clock=clock)
    workspace._opened._encoder = HashEncoder()  # as small as the rest
    return workspace


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A workspace in which three people met, wrote, searched and opened things, and every family learned from it."""
    base = tmp_path_factory.mktemp("lived")
    clock = Clock()
    create_unbound(base / "ws", origin="log.example/lived", clock=clock).close()
    with open_workspace(base / "ws", clock) as workspace:
        workspace.people.add_account("acme", "Acme")
        for person, name in PEOPLE.items():
            workspace.people.add_person(person, account="acme", name=name)
        workspace.terms.accept("acme")
        for party in ("account:acme", *(f"person:{person}" for person in PEOPLE)):
            workspace.consent.decide(
                party, yes=True, data=["content", "service"], purpose=["train", "feature"], covers="past"
            )
        for number in range(9):
            path = base / f"meeting-{number}.vtt"
            path.write_text(transcript(number))
            workspace.records.collect_webvtt(path, account="acme", started=STARTED - timedelta(days=number))
            workspace.audiences.share(path.stem, kind=ConversationKind.MEETING, account="acme", with_account=True)
        minutes = [
            {"meeting": f"meeting-{number}", "text": f"They spoke of {SUBJECTS[number % 8]}."} for number in range(9)
        ]
        minutes[0]["text"] += f" {SAID}"
        (base / "minutes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in minutes))
        workspace.records.collect_summaries(base / "minutes.jsonl", account="acme")
        (base / "case.md").write_text(f"# The case\n\n{SAID}\n")
        workspace.records.collect_file(base / "case.md", account="acme", author="ann", written=STARTED, shared=True)
        collect_uses(workspace, base, clock)
        for place, person in enumerate(("ann", "ben", "cleo") * 9):
            number = place % 9 // (3 if person == "ann" else 1)  # she asks where she said the word
            half = place // 9 % 2  # of a meeting: each speaks of one thing
            query = f"the {SUBJECTS[(number + half) % 8]}, number {4 * half + place // 9}"
            query, meeting = f"{WORD} and {query}" if person == "ann" else query, f"meeting-{number}"
            found = workspace.features.search(query, person=person, meeting=meeting, limit=1)
            assert found.hits, (found, meeting, person)
            hit = found.hits[0]
            assert workspace.features.opened(query, hit.record_id, person=person).stored == 1
        for family in ("search", "summary", "recommend"):
            model = workspace.models.train(family).id
            workspace.models.audit(model)
            workspace.models.release(model)
        assert workspace.features.search(WORD, person="ben").hits[0].text == SAID
        assert workspace.features.summarize("meeting-0", person="ben").moments
    return base / "ws", clock.now_us


def collect_uses(workspace, base, clock):
    records = [
        {
            "timeUnixNano": str((clock.now_us - 10**9) * 1000),
            "attributes": [
                {"key": key, "value": {"stringValue": value}}
                for key, value in {
                    "volition.account": "acme",
                    "volition.person": person,
                    "volition.category": "service/usage",
                    "volition.item": f"document/{item}",
                }.items()
            ],
        }
        for person in PEOPLE
        for item in ("plan", "minutes", "prices", *([f"{WORD}-notes"] if person == "ann" else ["stock"]))
    ]
    path = base / "usage.jsonl"
    path.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}))
    assert workspace.records.collect_otlp(path).stored == 12


@pytest.fixture
def workspace(lived, tmp_path):
    folder = shutil.copytree(lived[0], tmp_path / "ws")
    with open_workspace(folder, Clock(lived[1])) as opened:
        yield opened


def readings(workspace, path):
    """Yield all that the bytes of a file say: as they are, unpacked, and opened with every key that is still there."""
    data = path.read_bytes()
    yield data
    if data[:4] == b"PAR1":
        table = pq.read_table(pa.BufferReader(data))
        for column in table.column_names:
            if column != "people":
                cells = [cell.encode() if isinstance(cell, str) else cell for cell in table[column].to_pylist()]
                yield from (cell for cell in cells if isinstance(cell, bytes))
                if column in ("payload", "embedding"):
                    identities = [identity.encode() for identity in table["record_id"].to_pylist()]
                    yield from opened_cells(workspace, identities, cells)
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def opened_cells(workspace, identities, cells):
    for identity, cell in zip(identities, cells, strict=True):
        if cell is None or cell[:1] == b"{":  # nothing, or what is not sealed
            continue
        for account in workspace.parties.accounts():
            plain = [opened(workspace, account.id, identity + suffix, cell) for suffix in SUFFIXES]
            assert any(plain), "what no key opens, this test cannot read"
            yield from (one for one in plain if one)


def opened(workspace, account, associated, sealed):
    try:
        return workspace.parties.open_sealed(account, associated, sealed)
    except VolitionError:
        return None


def needles():
    vector = HashEncoder().encode([SAID])[0].astype(np.float16)
    yield from (STEM.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))
    yield from (vector.tobytes(), vector.astype(np.float32).tobytes(), vector.astype(np.float64).tobytes())


def places(workspace):
    """Return where in the workspace something tells of what Ann said."""
    sought = list(needles())
    return {
        str(path.relative_to(workspace.folder)).split("/")[0]
        for path in sorted(workspace.folder.rglob("*"))
        if path.is_file()
        for reading in readings(workspace, path)
        if any(needle in reading.lower() or needle in reading for needle in sought)
    }


def test_the_search_of_the_bytes_finds_them_while_they_may_be_there(workspace):
    assert places(workspace) == {"lake", "models", "snapshots"}


def test_of_somebody_erased_and_forgotten_nothing_is_left_anywhere(workspace):
    workspace.forgetting.erase("person:ann")
    assert not workspace.features.search(WORD, person="ben", limit=1000).hits
    found = workspace.features.search(f"the {SUBJECTS[0]}", person="ben", limit=1000).hits
    assert found
    assert not any(WORD in hit.text for hit in found)
    done = workspace.forgetting.forget()
    assert {forgotten.model.split("-")[0] for forgotten in done} == {"search", "summary", "recommend"}
    assert all(forgotten.successor for forgotten in done)
    assert places(workspace) == set()


def test_of_somebody_who_said_no_nothing_is_left_in_what_was_made_of_it(workspace):
    workspace.consent.decide("person:ann", yes=False, data=["content", "service"], purpose=["train"])
    assert all(forgotten.successor for forgotten in workspace.forgetting.forget())
    assert places(workspace) == {"lake"}  # where the feature that Ann still allows finds it


def test_a_no_keeps_embeddings_from_being_made(workspace, tmp_path):
    workspace.consent.decide("person:ann", yes=False, data=["content"], purpose=["train", "feature"])
    said = tmp_path / "late.vtt"
    said.write_text(f"WEBVTT\n\n00:01.000 --> 00:02.000\n{PEOPLE['ann']}: {SAID}\n")
    workspace.records.collect_webvtt(said, account="acme", started=STARTED)
    encoder = workspace.encoder()
    encoder.texts.clear()
    workspace.features.search(WORD, person="ben")
    workspace.records.embed("train/search")
    assert SAID not in encoder.texts


def test_of_an_account_erased_and_forgotten_nothing_is_left_anywhere(workspace):
    workspace.forgetting.erase("account:acme")
    assert not any(forgotten.successor for forgotten in workspace.forgetting.forget())
    assert not list((workspace.folder / "lake" / "records").rglob("*.parquet"))
    assert places(workspace) == set()
    with pytest.raises(RefusedError):
        workspace.features.search(WORD, person="ben")


def test_search_learns_from_its_own_use(workspace):
    searched = workspace.models.open(next(model for model in workspace.models.states() if model.startswith("search")))
    assert searched.model.settings["queries"] >= 20
