"""Which event is of which category, as the settings say, and what is asked about: prose under a service category."""

import json
from datetime import UTC, datetime

import pytest

from volition.canonical import datetime_to_us
from volition.errors import InvalidInputError
from volition.records.ingest.mapping import EventMapping
from volition.records.ingest.otlp import SERVICE_CATEGORIES
from volition.records.ingest.prose import LONGEST, looks_written
from volition.server.web.console.ledger import line_of
from volition.transparency.verify.bundle import verify_bundle
from volition.workspace import Workspace

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
SAID = "I think that we should move the launch to Friday"


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "ws", origin="log.example/events") as made:
        made.people.add_account("acme", "Acme")
        made.people.add_person("ann", account="acme", name="Ann Lee")
        made.terms.accept("acme")
        for party in ("account:acme", "person:ann"):
            made.consent.decide(
                party, yes=True, data=["content", "service"], purpose=["train", "feature"], covers="past"
            )
        yield made


def settle(workspace, text):
    path = workspace.folder / "volition.toml"
    path.write_text(path.read_text().partition("\n[otlp")[0] + f"\n{text}")


def value_of(value):
    return {"stringValue": value} if isinstance(value, str) else value


def request(*events, signal="logs"):
    """Return a request of events: (name, attributes, body)."""
    records = []
    for number, (name, attributes, *body) in enumerate(events):
        found = {"volition.account": "acme", "volition.person": "ann", **attributes}
        record = {"attributes": [{"key": key, "value": value_of(value)} for key, value in found.items() if value]}
        at = str((datetime_to_us(MONDAY) + number) * 1000)
        if signal == "logs":
            record |= {"eventName": name, "timeUnixNano": at, "body": value_of(body[0]) if body else {}}
            records.append({"scopeLogs": [{"logRecords": [record]}]})
        else:
            record |= {"name": name, "startTimeUnixNano": at, "endTimeUnixNano": at}
            records.append({"scopeSpans": [{"spans": [record]}]})
    return json.dumps({"resourceLogs" if signal == "logs" else "resourceSpans": records}).encode()


def collect(workspace, *events, signal="logs"):
    return workspace.records.collect_otlp_request(
        request(*events, signal=signal), encoding="json", signal=signal, source=f"/v1/{signal}"
    )


USAGE, TELEMETRY, DIAGNOSTICS = ({"volition.category": category} for category in SERVICE_CATEGORIES)


def mappings(workspace):
    return [entry.body["mapping"] for entry in workspace.entries() if entry.kind == "mapping"]


# --- the mapping ---


@pytest.mark.parametrize("signal", ["logs", "traces"])
def test_the_table_says_what_an_event_is_whatever_its_record_says(workspace, signal):
    collected = collect(workspace, ("ui.click", {}), signal=signal)
    assert "[otlp.events]" in collected.why_not_stored
    settle(
        workspace,
        '[otlp.events]\n"ui.*" = "service/usage"\n"ui.lag" = "service/telemetry"\n"ui.la*" = "service/diagnostics"',
    )
    events = [("ui.click", {}), ("ui.lag", USAGE), ("ui.late", USAGE), ("elsewhere", TELEMETRY)]
    assert collect(workspace, *events, signal=signal).waiting == 4
    assert workspace.records.stock().categories == {
        "service/usage": 1,
        "service/telemetry": 2,
        "service/diagnostics": 1,
    }


def test_an_event_that_is_what_people_wrote_is_content_encrypted_and_no_message(workspace):
    settle(workspace, '[otlp.events]\n"chat.sent" = "content/chat"')
    assert collect(workspace, ("chat.sent", {**USAGE, "chat.body": SAID})).waiting == 1
    assert workspace.records.stock().categories == {"content/chat": 1}
    kept = b"".join(path.read_bytes() for path in workspace.folder.rglob("*") if path.is_file())
    assert SAID.encode() not in kept
    [batch] = workspace.records.rows("train/compose", categories=["content/chat"])
    [row] = batch.to_pylist()
    assert (row["category"], json.loads(row["payload"])["attributes"]) == ("content/chat", {"chat.body": SAID})
    assert list(workspace.records.rows("train/recommend")) == []


def test_each_mapping_is_an_entry_when_collecting_first_uses_it_and_not_before(workspace):
    collect(workspace, ("a", USAGE))
    assert mappings(workspace) == []
    settle(workspace, '[otlp.events]\n"a" = "service/usage"')
    assert mappings(workspace) == []
    for _ in range(2):
        collect(workspace, ("a", {}))
    first = {"events": {"a": "service/usage"}, "allowed": []}
    assert mappings(workspace) == [first]
    with Workspace.open(workspace.folder) as other:
        collect(other, ("a", {}))
    settle(workspace, '[otlp]\nallowed = ["note"]\n[otlp.events]\n"a" = "service/usage"')
    collect(workspace, ("a", {}))
    settle(workspace, "")
    collect(workspace, ("b", USAGE))
    assert mappings(workspace) == [first, {**first, "allowed": ["note"]}, {"events": {}, "allowed": []}]


def test_a_ledger_with_mappings_is_told_saved_and_verified(workspace, tmp_path):
    settle(workspace, '[otlp.events]\n"a" = "service/usage"')
    collect(workspace, ("a", {}))
    [entry] = [entry for entry in workspace.entries() if entry.kind == "mapping"]
    assert "another mapping of events to kinds of data, with 1 name." in line_of(entry, workspace).says
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    assert verify_bundle(tmp_path / "evidence.zip", workspace.verifier).holds


@pytest.mark.parametrize(
    ("table", "line", "told"),
    [
        ("[otlp]\nevent = 1", 2, 'Did you mean "events"?'),
        ('[otlp.events]\n"a" = "service/usge"', 2, 'Did you mean "service/usage"?'),
        ('[otlp.events]\n"a" = "content/audio"', 2, "no category of events"),
        ('[otlp.events]\n"a" = 1', 2, "text in quotes"),
        ('[otlp.events]\n"*" = "service/usage"', 2, "names no event"),
        ('[otlp.events]\n"a*b" = "service/usage"', 2, "names no event"),
        ('[otlp]\nallowed = ["a", "a"]', 2, "named twice"),
        ('[otlp]\nallowed = [" "]', 2, "name an attribute"),
        ("[otlp]\nevents = 1", 2, "expected a table"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_file_and_line(workspace, table, line, told):
    settle(workspace, table)
    with pytest.raises(InvalidInputError, match=r"volition\.toml:\d+: ") as refused:
        collect(workspace, ("a", USAGE))
    assert told in str(refused.value)
    written = (workspace.folder / "volition.toml").read_text().splitlines()
    assert int(str(refused.value).split(":")[1]) == written.index(table.splitlines()[line - 1]) + 1


def test_a_new_workspace_has_the_table_as_a_comment_that_is_sound_once_it_is_none(workspace):
    text = (workspace.folder / "volition.toml").read_text()
    start = text.index("# [otlp]")
    commented = text[start:].partition("\n\n")[0]
    settle(workspace, commented.replace("# ", ""))
    assert collect(workspace, ("search.asked", {})).waiting == 1


def test_an_exact_name_beats_a_beginning_and_a_longer_one_a_shorter():
    events = {"a*": "service/usage", "a.b*": "service/telemetry", "a.b": "service/diagnostics"}
    mapping = EventMapping(events=events)
    assert [mapping.category_of(name) for name in ("a", "a.c", "a.bc", "a.b", "b")] == [
        "service/usage",
        "service/usage",
        "service/telemetry",
        "service/diagnostics",
        None,
    ]


# --- what looks like content ---


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["logs", "traces"])
@pytest.mark.parametrize("category", [USAGE, TELEMETRY, DIAGNOSTICS])
@pytest.mark.parametrize("attribute", ["chat.body", "transcript", "message", "anything"])
def test_what_somebody_wrote_is_set_aside_with_a_question_and_the_rest_is_kept(workspace, signal, category, attribute):
    collected = collect(workspace, ("sent", {**category, attribute: SAID}), ("opened", category), signal=signal)
    assert (collected.waiting, len(collected.rejected)) == (1, 1)
    [reject] = collected.rejected
    assert repr(attribute) in reject.why
    assert "'content/chat'" in reject.why
    assert f"'sent:{attribute}'" in reject.why
    assert "launch" not in reject.why
    [path] = (workspace.folder / "lake" / "quarantine").iterdir()
    assert SAID.encode() not in path.read_bytes()  # it is somebody's words, and their account is known


@pytest.mark.parametrize("allowed", ["message", "sent:message"])
def test_an_attribute_that_is_allowed_is_stored_and_no_other(workspace, allowed):
    settle(workspace, f'[otlp]\nallowed = ["{allowed}"]')
    collected = collect(
        workspace, ("sent", {**USAGE, "message": SAID}), ("sent", {**USAGE, "chat.body": SAID}, "nothing")
    )
    assert (collected.waiting, len(collected.rejected)) == (1, 1)
    assert len(collect(workspace, ("other", {**USAGE, "message": SAID})).rejected) == (":" in allowed)


def test_words_are_found_however_deep_and_in_the_body(workspace):
    inside = {
        "kvlistValue": {"values": [{"key": "text", "value": {"arrayValue": {"values": [{"stringValue": SAID}]}}}]}
    }
    collected = collect(workspace, ("a", {**USAGE, "data": inside}), ("b", USAGE, SAID))
    assert ["'data'" in reject.why or "'body'" in reject.why for reject in collected.rejected] == [True, True]


TRACE = (
    "Traceback (most recent call last):\n"
    + '  File "/app/join.py", line 31, in join\n    return self.open(room)\n' * 200
)
AGENT = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Safari/537.36"
)
SQL = "SELECT id, name FROM accounts WHERE region IN ('EU', 'US') AND name IS NOT NULL ORDER BY name LIMIT 10"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("exception.stacktrace", TRACE),
        ("exception.message", "The connection to the media server was lost, and it could not be opened again in time."),
        ("url.full", "https://a.example/search?q=where+is+the+launch+plan&from=" + "x" * 5000),
        ("user_agent.original", AGENT),
        ("browser", AGENT),
        ("db.query.text", SQL),
        ("statement", SQL),
        ("query", "launch plan friday"),
        ("ui.label", "Save all of the changes"),
        ("volition.item", "document/The plan for the launch"),
        ("message", "connection reset"),
        ("span.name", "GET /api/v1/meetings/{id}/participants/{participant}/tracks"),
        ("text", "ok"),
        ("comment", "positive"),
        ("codec", "opus"),
        ("message", ""),
    ],
)
def test_what_programs_report_passes(name, text):
    assert not looks_written(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chat.text", "see you"),
        ("gen_ai.input.messages", "summarise this"),
        ("prompt", "http://x.example a b"),
        ("message", "Der Start ist am Freitag"),
        ("message", "On déplace le lancement à vendredi"),
        ("anything", "我们把发布时间改到星期五下午三点"),
        ("note", "I\u2019m late, and it\u2019s my fault"),
        ("exception.message", "I told you that our launch moves"),
        ("anything", "x" * (LONGEST + 1)),
        ("error.message", "x " * LONGEST),
    ],
)
def test_what_people_write_does_not(name, text):
    assert looks_written(name, text)


def test_a_log_line_is_a_report_and_an_event_s_body_is_not():
    line = "The connection to the media server was lost"
    assert not looks_written("body", line, is_report=True)
    assert looks_written("body", line)
