"""Telemetry lost or refused too widely: one bad record never refuses its batch, and what is not stored is told."""

import gzip
import json

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from simulator import silent, world_in
from volition.consent.identity import UNKNOWN
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, Reject
from volition.records.ingest.intake import take_in
from volition.records.ingest.otlp import read_message
from volition.records.ingest.otlp_traces import read_traces
from volition.records.ingest.otlp_wire import gunzipped
from volition.records.lake import record_id

TIME_NS = 1_730_624_400_123_456_789
WHOSE = {"volition.account": "acme", "volition.person": "acme-ada", "volition.category": "service/usage"}


def attributes(**more):
    values = WHOSE | {key.replace("_", "."): value for key, value in more.items()}
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items() if value is not None]


def record(**fields):
    return {"timeUnixNano": str(TIME_NS), "eventName": "opened", "attributes": attributes()} | fields


def span(**fields):
    times = {"startTimeUnixNano": str(TIME_NS), "endTimeUnixNano": str(TIME_NS + 5_000_000)}
    return {"name": "load", "attributes": attributes(), **times} | fields


def read(request):
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    return list(read_message(data, encoding="json", source="/v1/logs"))


def logs(*records):
    return read({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": list(records)}]}]})


def spans(*found):
    request = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(found)}]}]}
    return list(read_traces(json.dumps(request).encode(), encoding="json", source="/v1/traces"))


@pytest.mark.parametrize("scopes", ["scopeLogs", "scope_logs", "instrumentationLibraryLogs"])
@pytest.mark.parametrize("records", ["logRecords", "log_records"])
@pytest.mark.parametrize("resources", ["resourceLogs", "resource_logs"])
def test_names_are_read_in_camel_case_and_in_snake_case_at_every_level(resources, scopes, records):
    snake = {"time_unix_nano": str(TIME_NS), "event_name": "opened", "trace_id": "ab" * 16, "attributes": attributes()}
    items = read({resources: [{"resource": {}, scopes: [{records: [record(), snake]}]}]})
    assert [item.payload["name"] for item in items] == ["opened"] * 2


def test_spans_in_snake_case_are_read():
    value = {"name": "load", "start_time_unix_nano": str(TIME_NS), "attributes": attributes(), "status": {"code": 2}}
    request = {"resource_spans": [{"scope_spans": [{"spans": [value]}]}]}
    [item] = read_traces(json.dumps(request).encode(), encoding="json", source="/v1/traces")
    assert item.payload["body"]["status"] == "error"


def test_what_a_level_holds_under_a_name_that_nobody_reads_is_told():
    items = read({"resourceLogs": [{"resource": {}, "scopes": [{"logRecords": [record()]}]}]})
    assert [type(item) for item in items] == [Reject]
    assert "scopes" in items[0].why


@pytest.mark.parametrize("unit", [10**6, 10**9, 10**3])
def test_a_time_in_another_unit_is_set_aside_with_a_question(unit):
    bad, good = logs(record(timeUnixNano=str(TIME_NS // unit)), record())
    assert bad.why.endswith("Send nanoseconds since 1970.")
    assert "milliseconds or seconds?" in bad.why
    assert isinstance(good, Draft)


@pytest.mark.parametrize("time", [TIME_NS, float(TIME_NS), "1.730624400123e18", "1730624400123456789"])
def test_times_as_numbers_of_any_kind_are_read_in_logs_and_spans(time):
    [log], [found] = logs(record(timeUnixNano=time)), spans(span(startTimeUnixNano=time))
    assert log.at_us // 1_000_000 == found.at_us // 1_000_000 == TIME_NS // 10**9


@pytest.mark.parametrize(
    ("kind", "status"), [("SPAN_KIND_SERVER", "STATUS_CODE_ERROR"), (2, 2), ("2", "2"), (2.0, 2.0)]
)
def test_enums_are_read_by_name_and_by_number(kind, status):
    [item] = spans(span(kind=kind, status={"code": status}))
    assert item.payload["body"] == {"took_us": 5000, "kind": "server", "status": "error"}


def test_a_bad_span_takes_no_other_with_it():
    items = spans(span(), span(traceId="zz"), span(kind={"no": 1}), span(startTimeUnixNano="soon"), span(name="last"))
    assert [type(item) for item in items] == [Draft, Reject, Reject, Reject, Draft]


def test_an_attribute_that_is_there_twice_keeps_both_values():
    twice = [*attributes(), *({"key": "foo", "value": {"stringValue": text}} for text in ("a", "b", "a"))]
    [item] = logs(record(attributes=twice))
    assert item.payload["attributes"] == {"foo": ["a", "b"]}


@pytest.mark.parametrize("key", [*WHOSE, "volition.item"])
def test_an_attribute_that_says_whose_a_record_is_may_not_be_there_twice(key):
    twice = [*attributes(volition_item="person/bo"), {"key": key, "value": {"stringValue": "other"}}]
    bad, good = logs(record(attributes=twice), record())
    assert f"{key!r} is there twice" in bad.why
    assert isinstance(good, Draft)


def protobuf_logs(*names):
    request = ExportLogsServiceRequest()
    for name in names:
        log = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=TIME_NS, event_name=name)
        for key, value in WHOSE.items():
            log.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def test_bytes_that_are_no_utf_8_in_one_protobuf_record_cost_that_record_alone():
    data = protobuf_logs("first", "BADBADBAD", "last").replace(b"BADBADBAD", b"\xff" * 9)
    items = list(read_message(data, encoding="protobuf", source="/v1/logs"))
    assert [type(item) for item in items] == [Draft, Reject, Draft]
    assert [item.payload["name"] for item in items if isinstance(item, Draft)] == ["first", "last"]


def test_a_bad_resource_costs_its_own_records_alone():
    request = ExportLogsServiceRequest.FromString(protobuf_logs("first", "last"))
    request.resource_logs[0].resource.attributes.add(key="BADBAD").value.string_value = "x"
    data = request.SerializeToString().replace(b"BADBAD", b"\xff" * 6)
    items = list(read_message(data, encoding="protobuf", source="/v1/logs"))
    assert [type(item) for item in items] == [Reject, Draft]


def test_a_bad_protobuf_span_costs_itself_alone():
    request = ExportTraceServiceRequest()
    for name in ("first", "BADBAD"):
        found = request.resource_spans.add().scope_spans.add().spans.add(start_time_unix_nano=TIME_NS, name=name)
        for key, value in WHOSE.items():
            found.attributes.add(key=key).value.string_value = value
    data = request.SerializeToString().replace(b"BADBAD", b"\xff" * 6)
    assert [type(item) for item in read_traces(data, encoding="protobuf", source="s")] == [Draft, Reject]


def test_a_request_that_is_cut_short_is_refused():
    with pytest.raises(InvalidInputError, match="no OTLP logs in protobuf"):
        read_message(protobuf_logs("first", "last")[:-3], encoding="protobuf", source="/v1/logs")


def test_bytes_that_are_no_utf_8_in_one_json_record_cost_that_record_alone():
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record(), record(eventName="BAD"), record()]}]}]}
    items = read(json.dumps(request).encode().replace(b"BAD", b"\xff\xfe"))
    assert [type(item) for item in items] == [Draft, Reject, Draft]


def test_numbers_that_json_has_no_form_for_are_kept_as_text():
    value = {"key": "load", "value": {"doubleValue": float("nan")}}
    [item] = logs(record(attributes=[*attributes(), value]))
    assert item.payload["attributes"] == {"load": "nan"}


def test_a_gzip_of_several_members_is_read_and_a_broken_or_huge_one_refused():
    data = gzip.compress(b"one ") + gzip.compress(b"two")
    assert gunzipped(data, limit_bytes=7, what="The body") == b"one two"
    assert gunzipped(data + b"\0\0", limit_bytes=7, what="The body") == b"one two"
    for bad, why in (
        (data, "more than 6"),
        (data[:-1], "cut short"),
        (b"nothing", "no gzip"),
        (data + b"x", "cut short"),
    ):
        with pytest.raises(InvalidInputError, match=why):
            gunzipped(bad, limit_bytes=6 if bad is data else 100, what="The body")


@pytest.mark.parametrize(
    "placeholder",
    ["anonymous", "null", "undefined", "unknown", "0", "-1", "", "-", "N/A", "00000000-0000-0000-0000-000000000000"],
)
def test_a_placeholder_is_nobody_and_never_one_person(tmp_path, placeholder):
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        known = len(world.parties.people())
        [draft] = logs(record(attributes=attributes(volition_person=None, user_id=placeholder)))
        outcome = take_in(
            [draft],
            account=None,
            parties=world.parties,
            lake=world.lake,
            history=world.history(),
            now_us=TIME_NS // 1000,
            progress=silent,
        )
        assert dict(outcome.not_kept) == {"unknown-party": 1}
        assert (outcome.not_stored, "unknown-party" in outcome.why_not_stored) == (1, True)
        assert len(world.parties.people()) == known


def test_a_placeholder_gives_way_to_an_attribute_that_names_somebody(tmp_path):
    [draft] = logs(record(attributes=attributes(volition_person="anonymous", enduser_id="acme-bo")))
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        take_in(
            [draft],
            account=None,
            parties=world.parties,
            lake=world.lake,
            history=world.history(),
            now_us=TIME_NS // 1000,
            progress=silent,
        )
        [party] = world.lake.gate_record(record_id("acme", draft.key)).people
        assert party == world.party("acme-bo")
        assert UNKNOWN not in party


VALUES = {
    "text": {"stringValue": "list"},
    "no text": {"stringValue": ""},
    "number": {"intValue": "7"},
    "bare number": {"intValue": -7},
    "long number": {"intValue": "9007199254740993"},
    "too long a number": {"intValue": str(2**63)},
    "no number": {"intValue": "1 "},
    "fraction": {"doubleValue": 0.25},
    "whole": {"doubleValue": 3},
    "tiny": {"doubleValue": 1e-9},
    "not a number": {"doubleValue": "NaN"},
    "truth": {"boolValue": True},
    "bytes": {"bytesValue": "AAEC"},
    "list": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}, {"arrayValue": {"values": []}}]}},
    "pairs": {"kvlistValue": {"values": [{"key": "a", "value": {"doubleValue": 2.0}}]}},
    "pairs twice": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": at}} for at in (1, 2)]}},
    "of two kinds": {"stringValue": "a", "boolValue": True},
    "of none": {},
    "null": None,
    "snake case": {"string_value": "list"},
}
FIELDS = {
    "severity": {"severityNumber": 9, "severityText": "INFO", "flags": 1, "droppedAttributesCount": 2},
    "no severity": {"severityNumber": 99},
    "ids": {"traceId": "AB" * 16, "spanId": "cd" * 8},
    "no ids": {"traceId": "", "spanId": ""},
    "short id": {"traceId": "abcd"},
    "id with a blank": {"spanId": "ab ab ab ab ab a"},
    "no hexadecimal": {"traceId": "xy" * 16},
    "bare time": {"timeUnixNano": TIME_NS},
    "time as a fraction": {"timeUnixNano": 1.5e18},
    "time below zero": {"timeUnixNano": "-1"},
    "time too large": {"timeUnixNano": str(2**64)},
    "no time": {"timeUnixNano": "0"},
    "observed": {"timeUnixNano": "0", "observedTimeUnixNano": str(TIME_NS)},
    "body": {"body": {"stringValue": "opened"}},
    "nothing": {"body": {}},
    "attributes twice": {"attributes": [*attributes(), *attributes()]},
    "two accounts": {"attributes": [*attributes(), {"key": "volition.account", "value": {"stringValue": "brill"}}]},
}
RECORDS = {
    **{f"value: {name}": record(attributes=[*attributes(), {"key": "x", "value": VALUES[name]}]) for name in VALUES},
    **{f"field: {name}": record(**FIELDS[name]) for name in FIELDS},
}


@pytest.mark.parametrize("one", RECORDS.values(), ids=RECORDS)
def test_a_record_is_read_alike_whether_or_not_its_batch_is_written_as_the_specification_has_it(one):
    def read_beside(other):
        found, _ = logs(one, other)
        return found if isinstance(found, Reject) else (found, found.written)

    assert read_beside(record()) == read_beside(record(nobody="knows this field"))
