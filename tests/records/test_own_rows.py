"""Rows and events of a source of one's own: by its mapping they are messages and acts, or are set aside with a reason."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.canonical import datetime_to_us
from volition.cli import main
from volition.errors import InvalidInputError, VolitionError
from volition.features.conversations import ConversationKind
from volition.records.ingest import Draft, Reject
from volition.records.ingest.cloudevents import read_events
from volition.records.ingest.row_mapping import RowMapping
from volition.records.ingest.rows import read_rows, rows_of
from volition.workspace import Workspace

MONDAY = datetime(2030, 1, 7, 9, tzinfo=UTC)
AT_US = datetime_to_us(MONDAY - timedelta(hours=1))
MAPPING = """\
category = "content/chat"
keep = ["priority"]
columns.id = "message_id"
columns.account = "tenant"
columns.people = ["author", "to"]
columns.time = "sent"
columns.conversation = "room"
columns.text = "body"
"""
ROW = {
    "message_id": "m1",
    "tenant": "acme",
    "author": "ann",
    "to": ["bo"],
    "sent": "2030-01-07T08:00:00Z",
    "room": "plans",
    "body": "We ship on Friday.",
    "priority": 2,
}


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "ws", clock=lambda: datetime_to_us(MONDAY)) as made:
        for account, people in (("acme", ("ann", "bo", "cy")), ("helio", ("dee",))):
            made.people.add_account(account, account.title())
            for person in people:
                made.people.add_person(person, account=account)
            made.terms.accept(account)
            uses = {"data": ["content"], "purpose": ["feature", "train"]}
            made.consent.decide(f"account:{account}", yes=True, covers="past", **uses)
            for person in people:
                made.consent.decide(f"person:{person}", yes=True, data=["content"], purpose=["train"])
        yield made


@pytest.fixture
def mapping(tmp_path):
    (tmp_path / "support.toml").write_text(MAPPING)
    return RowMapping.from_file(tmp_path / "support.toml")


def written(tmp_path, form, rows):
    """Write rows as a file of some form."""
    path = tmp_path / f"messages.{form}"
    match form:
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "csv":
            names = list(rows[0])
            cells = [
                [row[name][0] if isinstance(row[name], list) else str(row[name]) for name in names] for row in rows
            ]
            path.write_text("".join(",".join(line) + "\n" for line in (names, *cells)))
    return path


def lines(workspace, person):
    """Return what a person reads in the channels."""
    found = workspace.features.conversations(ConversationKind.CHANNEL, person=person)
    return [line.text for one in found for line in one.lines]


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_rows_of_a_table_are_messages_that_their_people_find_and_nobody_else(workspace, mapping, tmp_path, form):
    path = written(tmp_path, form, [ROW, {**ROW, "message_id": "m2", "body": "So Friday it is."}])
    first = workspace.sources.collect_table(path, mapping=mapping)
    again = workspace.sources.collect_table(path, mapping=mapping)
    assert (first.stored, first.not_stored) == (2, 0)
    assert (again.stored, again.known) == (0, 2), "what comes twice is stored once"
    for reader in ("ann", "bo"):
        assert "We ship on Friday." in lines(workspace, reader)
    assert lines(workspace, "cy") == []
    assert lines(workspace, "dee") == []


def test_a_no_keeps_rows_out_of_training_as_it_does_all_others(workspace, mapping, tmp_path):
    path = written(tmp_path, "jsonl", [ROW, {**ROW, "message_id": "m2", "author": "cy", "to": []}])
    workspace.consent.decide("person:bo", yes=False, data=["content"], purpose=["train"])
    workspace.sources.collect_table(path, mapping=mapping)
    rows = [row for batch in workspace.records.rows("train/compose") for row in batch.to_pylist()]
    assert {row["text"] for row in rows} == set()  # bo's no, and nobody's yes reaches back to before it was said
    assert workspace.records.sizes() == {"content/chat": 2}


def test_a_bad_row_is_set_aside_with_its_line_and_costs_no_other(workspace, mapping, tmp_path):
    bad = {
        "tenant": (None, "names no account"),
        "sent": ("yesterday", "no instant"),
        "message_id": (1.5, "names no row"),
        "author": ([{"id": 1}], "names nobody"),
        "body": (" ", "'body' is empty"),
    }
    rows = [{**ROW, "message_id": f"bad-{key}", key: value} for key, (value, _) in bad.items()]
    path = written(tmp_path, "jsonl", [*rows, ROW])
    with path.open("a") as file:
        file.write('{"half": \n[1]\n')
    found = workspace.sources.collect_table(path, mapping=mapping)
    assert found.stored == 1
    whys = {reject.where: reject.why for reject in found.rejected}
    for number, (_, why) in enumerate(bad.values(), start=1):
        assert why in whys[f"line {number}"]
    assert "no JSON" in whys["line 7"]
    assert "no JSON object" in whys["line 8"]


@pytest.mark.parametrize(
    ("said", "settings", "at_us"),
    [
        ("2030-01-07 09:00:00", 'zone = "Europe/Berlin"', AT_US),
        (AT_US // 1_000_000, 'unit = "s"', AT_US),
        (str(AT_US // 1000), 'unit = "ms"', AT_US),
        ("2030-01-07T10:00:00+02:00", "", AT_US),
        (datetime(2030, 1, 7, 10, tzinfo=timezone(timedelta(hours=2))), "", AT_US),
        ("2030-01-07 09:00:00", "", "without a time zone"),
        (AT_US // 1_000_000, "", "Say its unit"),
        (1_894_003, 'unit = "ms"', "before 2000"),
        (True, 'unit = "s"', "no instant"),
        (None, "", "no instant"),
    ],
)
def test_a_time_is_an_instant_or_the_row_is_set_aside(tmp_path, said, settings, at_us):
    (tmp_path / "s.toml").write_text(f"{settings}\n{MAPPING}")
    mapping = RowMapping.from_file(tmp_path / "s.toml")
    [found] = read_rows(rows_of([{**ROW, "sent": said}], "s"), mapping, source="s")
    if isinstance(at_us, int):
        assert found.at_us == at_us
    else:
        assert at_us in found.why


def test_parquets_own_times_are_instants_if_they_have_a_zone(workspace, mapping, tmp_path):
    times = pa.array([datetime_to_us(MONDAY) * 1000], pa.int64())
    table = pa.Table.from_pylist([ROW])
    for zone, stored in (("UTC", 1), (None, 0)):
        column = times.cast(pa.timestamp("ns", tz=zone))
        path = tmp_path / "times.parquet"
        pq.write_table(table.set_column(table.column_names.index("sent"), "sent", column), path)
        found = workspace.sources.collect_table(path, mapping=mapping)
        assert found.stored == stored
    assert "without a time zone" in found.rejected[0].why


def test_usage_of_ones_own_is_usage_and_prose_among_it_is_not(workspace, tmp_path):
    (tmp_path / "clicks.toml").write_text(
        'category = "service/usage"\nkeep = ["item", "note"]\ncolumns.id = "n"\ncolumns.time = "at"\n'
        'columns.people = "who"\ncolumns.event = "what"\n'
    )
    mapping = RowMapping.from_file(tmp_path / "clicks.toml")
    click = {"n": 1, "at": "2030-01-07T08:00:00Z", "who": "ann", "what": "opened", "item": "channel/plans"}
    rows = [click, {**click, "n": 2, "note": "I think that we should tell them what the plan is before Friday"}]
    found = workspace.sources.collect_rows(rows, mapping=mapping, source="clicks", account="acme")
    assert found.stored == 1
    assert "looks like what somebody wrote" in found.rejected[0].why
    assert workspace.records.sizes() == {"service/usage": 1}


def test_a_newer_version_takes_an_older_ones_place(workspace, tmp_path):
    (tmp_path / "s.toml").write_text(MAPPING + 'columns.version = "edited"\n')
    mapping = RowMapping.from_file(tmp_path / "s.toml")
    for version, body in ((2, "We ship on Friday, at noon."), (1, "We ship on Friday, maybe.")):
        found = workspace.sources.collect_rows(
            [{**ROW, "edited": version, "body": body}], mapping=mapping, source="s", waits=True
        )
    assert found.outdated == 1
    assert lines(workspace, "ann") == ["We ship on Friday, at noon."]


def test_what_a_source_opens_to_the_account_is_open_to_its_users(workspace, tmp_path):
    (tmp_path / "s.toml").write_text("shared = true\n" + MAPPING)
    mapping = RowMapping.from_file(tmp_path / "s.toml")
    workspace.sources.collect_rows([ROW], mapping=mapping, source="s")
    assert lines(workspace, "cy") == ["We ship on Friday."]
    assert lines(workspace, "dee") == []


def test_a_mapping_is_an_entry_of_the_ledger_once_it_is_used_and_again_when_it_changes(workspace, mapping, tmp_path):
    def entries():
        return [entry.body for entry in workspace.ledger.entries() if entry.kind == "mapping"]

    for number in range(2):
        workspace.sources.collect_rows([{**ROW, "message_id": number}], mapping=mapping, source="s")
    (tmp_path / "support.toml").write_text(MAPPING.replace('"priority"', ""))
    changed = RowMapping.from_file(tmp_path / "support.toml")
    workspace.sources.collect_rows([ROW], mapping=changed, source="s")
    assert [body["source"] for body in entries()] == ["source/support", "source/support"]
    assert entries()[0]["mapping"]["columns"]["text"] == "body"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('category = "content/chat"\n', "s.toml:1: the key"),
        ("columns.time = 'at'\n", "say either category"),
        ("category = 'content/chatt'\ncolumns.time = 'at'\n", "s.toml:1: "),
        ("category = 'content/chat'\ncolumns.time = 'at'\nzone = 'Nowhere/Such'\n", "s.toml:3: there is no time zone"),
        ("category = 'content/chat'\ncolumns.time = 'at'\ncolumns.room = 'r'\n", 's.toml:3: unknown key "room"'),
        ("category = 'content/chat'\ncolumns.time = 'at'\ncolumns.conversation = 'r'\n", "say what, too: text"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_told_by_file_and_line(tmp_path, text, why):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(InvalidInputError, match=re.escape(why)):
        RowMapping.from_file(tmp_path / "s.toml")


def test_a_table_that_lacks_a_column_is_refused_and_says_what_it_has(workspace, mapping, tmp_path):
    for form in ("csv", "parquet"):
        path = written(tmp_path, form, [{key: value for key, value in ROW.items() if key != "room"}])
        with pytest.raises(InvalidInputError, match=r"has no column 'room'. It has: message_id, tenant"):
            workspace.sources.collect_table(path, mapping=mapping)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InvalidInputError, match="cannot be read as Parquet"):
        workspace.sources.collect_table(tmp_path / "torn.parquet", mapping=mapping)


def test_a_line_of_csv_that_is_too_short_is_set_aside(workspace, mapping, tmp_path):
    path = written(tmp_path, "csv", [ROW])
    path.write_text(path.read_text() + "m2,acme\n")
    found = workspace.sources.collect_table(path, mapping=mapping)
    assert (found.stored, found.rejected[0].where) == (1, "line 3")


def test_the_command_collects_by_a_file_or_by_the_settings(workspace, tmp_path):
    folder = workspace.folder
    (tmp_path / "support.toml").write_text(MAPPING)
    settings = folder / "volition.toml"
    settings.write_text(settings.read_text() + "\n[sources.tickets]\n" + MAPPING)
    path = written(tmp_path, "jsonl", [ROW])
    common = ["collect", "table", str(path), "--workspace", str(folder), "--json"]
    assert main([*common, "--mapping", str(tmp_path / "support.toml")]) == 0
    assert main([*common, "--source", "tickets"]) == 0
    assert workspace.records.sizes() == {"content/chat": 2}, "two sources number their rows by themselves"
    assert main(common) == 2
    assert main([*common, "--source", "nothing"]) == 2


# --- events ---

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/chat",
    "type": "com.acme.sent",
    "time": "2030-01-07T08:00:00Z",
    "data": {"tenant": "acme", "author": "ann", "to": ["bo"], "room": "plans", "body": "We ship on Friday."},
}
EVENTS = """
[sources.chat]
category = "content/chat"
types = ["com.acme.sent"]
columns.account = "data.tenant"
columns.people = ["data.author", "data.to"]
columns.time = "time"
columns.conversation = "data.room"
columns.text = "data.body"
"""


@pytest.fixture
def mapped(workspace):
    settings = workspace.folder / "volition.toml"
    settings.write_text(settings.read_text() + EVENTS)
    return workspace


def test_events_are_messages_once_each_by_source_and_id(mapped):
    other = {**EVENT, "source": "/other"}
    found = mapped.sources.collect_events([EVENT, EVENT, other], source="test")
    assert found.waiting >= 2
    assert mapped.records.sizes() == {"content/chat": 2}
    assert lines(mapped, "bo") == ["We ship on Friday."] * 2
    assert lines(mapped, "cy") == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type": "com.acme.unknown"}, "No source takes events of the type"),
        ({"specversion": "0.3"}, "of version '0.3'"),
        ({"id": ""}, "no 'id'"),
        ({"data": None}, "names no account"),
        ({"data_base64": "bm90IGpzb24="}, "no JSON"),
        ({"data_base64": "%"}, "no JSON"),
    ],
)
def test_an_event_that_cannot_be_read_is_set_aside_and_costs_no_other(mapped, change, why):
    found = mapped.sources.collect_events([{**EVENT, **change}, "text", EVENT], source="test")
    assert why in found.rejected[0].why
    assert len(found.rejected) == 2
    assert mapped.records.sizes() == {"content/chat": 1}


def test_two_sources_that_take_one_type_are_refused(mapped):
    settings = mapped.folder / "volition.toml"
    settings.write_text(settings.read_text() + EVENTS.replace("sources.chat", "sources.again"))
    with pytest.raises(InvalidInputError, match="one of the source chat already"):
        mapped.sources.collect_events([EVENT], source="test")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ROW, "data", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(value=st.dictionaries(st.sampled_from([*ROW, *EVENT]), JSON) | JSON)
def test_whatever_comes_is_a_record_or_set_aside(value):
    mapping = RowMapping(
        name="s",
        id="message_id",
        account="tenant",
        people=("author", "to"),
        time="sent",
        conversation="room",
        text="body",
        category="content/chat",
        keep=("priority", "data"),
        types=("com.acme.sent",),
    )
    for found in (
        *read_rows(rows_of([value, {**ROW, **value} if isinstance(value, dict) else value], "s"), mapping, source="s"),
        *read_events([value, {**EVENT, **value} if isinstance(value, dict) else value], {"s": mapping}, source="s"),
    ):
        assert isinstance(found, Draft | Reject)
        if isinstance(found, Reject):
            assert found.why
            found.raw.encode("utf-8", "surrogatepass")
    assert issubclass(InvalidInputError, VolitionError)
