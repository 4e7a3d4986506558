"""OTLP logs: what a real SDK sends comes out as drafts, whatever form it is written in."""

import gzip
import io
import json
import struct

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord as ApiLogRecord
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, PersonRef, Reject
from volition.records.ingest.otlp import AttributeNames, read_message, read_otlp, read_request
from volition.records.ingest.otlp_files import MESSAGE_BYTES

TIME_NS = 1_700_000_000_123_456_789
WHOSE = {"volition.account": "acme", "volition.person": "u1", "volition.category": "service/usage"}


def exported(*records, resource=None):
    """Send records through the SDK's logger and the OTLP exporter's encoder; return the request."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=Resource(resource or {}), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    for record in records:
        provider.get_logger("volition.test").emit(record)
    return encode_logs(exporter.get_finished_logs())


def record(attributes=None, **fields):
    """Return an SDK record; an attribute that is None is left out."""
    attributes = {key: value for key, value in (WHOSE | (attributes or {})).items() if value is not None}
    return ApiLogRecord(**({"timestamp": TIME_NS, "event_name": "search.opened", "attributes": attributes} | fields))


def as_json(request):
    """Write a request as OTLP JSON: protobuf JSON, but for ids in hex and enums as integers."""
    value = json_format.MessageToDict(request, use_integers_for_enums=True)
    for of_resource, of_resource_pb in zip(value["resourceLogs"], request.resource_logs, strict=True):
        for of_scope, of_scope_pb in zip(of_resource["scopeLogs"], of_resource_pb.scope_logs, strict=True):
            for log, log_pb in zip(of_scope["logRecords"], of_scope_pb.log_records, strict=True):
                log |= {"traceId": log_pb.trace_id.hex(), "spanId": log_pb.span_id.hex()}
    return value


def line(request):
    return json.dumps(as_json(request)).encode() + b"\n"


def read(data, **options):
    return list(read_otlp(data, **options))


def read_one(attributes=None, *, resource=None, names=None, account=None, **fields):
    request = exported(record(attributes, **fields), resource=resource)
    options = {"names": names} if names else {}
    (item,) = read(request.SerializeToString(), account=account, **options)
    return item


TRACED = {"trace_id": 0xABCDEF0123456789ABCDEF0123456789, "span_id": 0x0123456789ABCDEF}
LEVEL = {"severity_number": SeverityNumber.INFO}
REQUEST = exported(
    record({"search.query": "lease", "search.rank": 2}, body={"a": [1, "x"]}, **TRACED, **LEVEL),
    record({"volition.person": "u2"}, event_name="feature.used"),
)
DRAFTS = list(read_request(REQUEST, source="test"))


def test_a_record_of_a_real_sdk_becomes_a_draft():
    first = DRAFTS[0]
    assert first == Draft(
        key=first.key,
        account="acme",
        people=(PersonRef(id="u1"),),
        category="service/usage",
        at_us=TIME_NS // 1000,
        payload={
            "kind": "event",
            "name": "search.opened",
            "attributes": {"search.query": "lease", "search.rank": 2},
            "body": {"a": [1, "x"]},
        },
    )
    assert first.key.startswith("otlp:")
    assert len(first.key) == len("otlp:") + 64


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def framed(length, *requests):
    return b"".join(length(len(data)) + data for data in (request.SerializeToString() for request in requests))


def big_endian(number):
    return struct.pack(">I", number)


@pytest.mark.parametrize(
    ("data", "times"),
    [
        (REQUEST.SerializeToString(), 1),
        (framed(big_endian, REQUEST, REQUEST), 2),
        (framed(varint, REQUEST, REQUEST), 2),
        (line(REQUEST), 1),
        (line(REQUEST) * 2, 2),
        (b"\n\r\n" + line(REQUEST) + b"\n" + line(REQUEST).strip(), 2),
        (b"\xef\xbb\xbf" + line(REQUEST), 1),
        (json.dumps(as_json(REQUEST), indent=2).encode(), 1),
        (b"\n " + json.dumps(as_json(REQUEST), indent=2).encode(), 1),
    ],
    ids=[
        "protobuf",
        "big-endian",
        "varint",
        "line",
        "lines",
        "blank lines",
        "mark",
        "document",
        "document after blank",
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_every_form_of_a_file_gives_the_same_drafts(data, times, pack):
    assert read(pack(data)) == DRAFTS * times


def test_no_length_of_the_first_message_is_taken_for_another_form():
    names = AttributeNames(default_category="service/usage")
    lengths = set()
    for padding in range(120):
        bare = {**dict.fromkeys(WHOSE), "volition.account": "a", "p": "x" * padding}
        request = exported(record(bare))
        lengths.add(request.ByteSize())
        for file in (request.SerializeToString(), framed(varint, request), framed(big_endian, request), line(request)):
            (draft,) = read(file, names=names)
            assert draft.payload["attributes"] == {"p": "x" * padding}
    assert {ord("{"), 127, 128} <= lengths  # as a varint, 123 is the byte that JSON begins with


def test_a_file_is_read_by_name(tmp_path):
    path = tmp_path / "logs.jsonl"
    path.write_bytes(line(REQUEST))
    assert list(read_otlp(path)) == DRAFTS
    with pytest.raises(InvalidInputError, match=r"none\.jsonl cannot be opened"):
        list(read_otlp(tmp_path / "none.jsonl"))


def test_the_body_of_a_request_is_read_in_both_encodings():
    assert list(read_message(REQUEST.SerializeToString(), encoding="protobuf", source="http")) == DRAFTS
    assert list(read_message(line(REQUEST), encoding="json", source="http")) == DRAFTS
    assert list(read_message(b"", encoding="protobuf", source="http")) == []
    assert list(read_message(b"{}", encoding="json", source="http")) == []
    assert read(b"") == []


@pytest.mark.parametrize(
    ("data", "encoding"),
    [(b"\xff", "protobuf"), (b"{", "json"), (b"[]", "json"), (b'{"resourceSpans": []}', "json"), (b"[" * 9**5, "json")],
)  # fmt: skip
def test_a_body_that_is_no_logs_is_refused_at_once(data, encoding):
    with pytest.raises(InvalidInputError, match="http"):
        read_message(data, encoding=encoding, source="http")


def test_integers_and_enums_of_json_are_read_in_every_spelling():
    value = as_json(REQUEST)
    logs = value["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    logs[0]["timeUnixNano"] = TIME_NS
    logs[0]["traceId"] = logs[0]["traceId"].upper()
    logs[0]["fromTheFuture"] = {"x": [1]}
    value["alsoUnknown"] = 7
    assert read(json.dumps(value).encode()) == DRAFTS


@pytest.mark.parametrize("bad", ["xyz", "abc", "ABEiM0RVZneImaq7zN3u/w==", 7, ["a"]])
def test_an_id_that_is_not_hex_is_set_aside_and_its_neighbours_are_kept(bad):
    value = as_json(REQUEST)
    value["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["traceId"] = bad
    items = read(json.dumps(value).encode())
    assert items[1:] == DRAFTS[1:]
    assert items[0].where == "line 1 record 1"
    assert json.loads(items[0].raw)["traceId"] == bad


def test_a_record_without_a_time_has_the_time_it_was_observed():
    assert read_one(timestamp=0, observed_timestamp=TIME_NS).at_us == TIME_NS // 1000


def test_a_record_without_any_time_is_set_aside():
    request = exported(record())
    log = request.resource_logs[0].scope_logs[0].log_records[0]
    log.time_unix_nano = log.observed_time_unix_nano = 0
    (reject,) = read(request.SerializeToString())
    assert "no time" in reject.why


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"volition.account": None}, "names no account"),
        ({"volition.account": ""}, "names no account"),
        ({"volition.account": 7}, "names no account"),
        ({"volition.category": None}, "names no category"),
        ({"volition.category": "content/chat"}, "'content/chat' does not come by OTLP"),
        ({"volition.category": "service"}, "'service' does not come by OTLP"),
        ({"volition.person": 1.5}, "is no id"),
        ({"volition.person": True}, "is no id"),
    ],
)
def test_a_record_that_does_not_say_whose_it_is_is_set_aside(attributes, why):
    reject = read_one(attributes)
    assert isinstance(reject, Reject)
    assert why in reject.why
    assert reject.where == "record 1"


def test_what_is_set_aside_can_be_mended_and_sent_again():
    request = exported(record({"volition.account": None}, **TRACED), record())
    reject, kept = read(request.SerializeToString())
    log = json.loads(reject.raw)
    assert log["traceId"] == f"{TRACED['trace_id']:032x}"
    log["attributes"].append({"key": "volition.account", "value": {"stringValue": "acme"}})
    mended = {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}
    assert read(json.dumps(mended).encode()) == read(exported(record(**TRACED)).SerializeToString())
    assert isinstance(kept, Draft)


def test_the_sender_may_give_the_account_but_no_record_may_name_another():
    assert read_one({"volition.account": None}, account="acme").account == "acme"
    assert read_one(account="acme").account == "acme"
    assert "'acme', but 'other' sent it" in read_one(account="other").why


def test_the_resource_speaks_for_records_that_are_silent():
    resource = {"volition.account": "other", "volition.category": "service/telemetry", "user.id": "u9"}
    silent = read_one({"volition.account": None, "volition.category": None, "volition.person": None}, resource=resource)
    assert (silent.account, silent.category, silent.people) == ("other", "service/telemetry", (PersonRef(id="u9"),))
    assert read_one(resource=resource).account == "acme"


@pytest.mark.parametrize(
    ("attributes", "ids"),
    [
        ({"enduser.id": "e", "user.id": "u"}, ["u1"]),
        ({"volition.person": None, "enduser.id": "e", "user.id": "u"}, ["e"]),
        ({"volition.person": None, "enduser.id": "", "user.id": "u"}, ["u"]),
        ({"volition.person": None}, []),
        ({"volition.person": 42}, ["42"]),
        ({"volition.person": ["b", "a", "b"]}, ["b", "a"]),
    ],
)
def test_the_person_is_the_first_that_is_named(attributes, ids):
    draft = read_one(attributes)
    assert draft.people == tuple(PersonRef(id=person) for person in ids)
    assert draft.payload["attributes"] == {}  # who it was does not stay in the content


@pytest.mark.parametrize(
    ("attributes", "ids"),
    [
        ({"volition.item": "person/u2"}, ["u1", "u2"]),
        ({"volition.item": "person/u1"}, ["u1"]),
        ({"volition.item": "document/u2"}, ["u1"]),
        ({"volition.item": "person/u2", "volition.person": ["u1", "u3"]}, ["u1", "u3", "u2"]),
        ({"volition.item": "person/u2", "volition.person": None}, []),  # or they would be taken for who acted
    ],
)
def test_use_of_an_item_that_is_a_person_concerns_that_person_too(attributes, ids):
    assert [person.id for person in read_one(attributes).people] == ids


def test_an_item_that_names_nobody_is_set_aside():
    assert "names nobody" in read_one({"volition.item": "person/ "}).why


def test_the_caller_may_name_the_attributes():
    names = AttributeNames(account=("tenant",), person=("who",), default_category="service/diagnostics")
    bare = dict.fromkeys(WHOSE)
    draft = read_one({**bare, "tenant": "acme", "who": "u3", "user.id": "kept"}, names=names)
    assert (draft.account, draft.category, draft.people) == ("acme", "service/diagnostics", (PersonRef(id="u3"),))
    assert draft.payload["attributes"] == {"user.id": "kept"}


def test_sending_again_gives_the_same_key_and_any_difference_another():
    base = record({"x": 1}, body="b", **TRACED)
    keys = {
        read(exported(item).SerializeToString())[0].key
        for item in (
            base,
            base,
            record({"x": 2}, body="b", **TRACED),
            record({"x": 1}, body="c", **TRACED),
            record({"x": 1}, body="b", **(TRACED | {"span_id": 7})),
            record({"x": 1}, body="b", **(TRACED | {"trace_id": 7})),
            record({"x": 1}, body="b", event_name="other", **TRACED),
            record({"x": 1}, body="b", timestamp=TIME_NS + 1, **TRACED),
            record({"x": 1, "volition.account": "other"}, body="b", **TRACED),
            record({"x": 1, "volition.person": "u2"}, body="b", **TRACED),
            record({"x": 1, "volition.category": "service/telemetry"}, body="b", **TRACED),
        )
    }
    assert len(keys) == 10


def test_values_that_json_cannot_carry_are_kept_as_text():
    attributes = {
        "big": 2**60,
        "safe": 2**53 - 1,
        "nan": float("nan"),
        "inf": float("-inf"),
        "raw": b"\x00\xff",
        "no": False,
    }
    assert read_one(attributes).payload["attributes"] == {
        "big": str(2**60),
        "safe": 2**53 - 1,
        "nan": "nan",
        "inf": "-inf",
        "raw": "AP8=",
        "no": False,
    }


def test_the_name_of_older_sdks_is_read_from_the_attribute():
    assert read_one({"event.name": "old"}, event_name=None).payload["name"] == "old"


def test_an_attribute_that_is_there_twice_is_set_aside():
    request = exported(record())
    log = request.resource_logs[0].scope_logs[0].log_records[0]
    log.attributes.add(key="volition.account").value.string_value = "other"
    assert "'volition.account' is there twice" in read(request.SerializeToString())[0].why


BAD_LINES = [b'{"resourceLogs": [', b'{"resourceSpans": []}', b'{"resourceLogs": [{"\xff', b"nonsense", b"7"]


@pytest.mark.parametrize(
    ("bad", "place"),
    # A file is known for JSON by its first byte, so the first line must at least begin like it.
    [(bad, place) for bad in BAD_LINES for place in range(3) if place or bad.startswith(b"{")],
)
def test_a_bad_line_is_set_aside_and_the_other_lines_are_kept(bad, place):
    lines = [line(REQUEST), line(REQUEST)]
    lines.insert(place, bad + b"\n")
    items = read(b"".join(lines))
    assert [item for item in items if isinstance(item, Draft)] == DRAFTS * 2
    (reject,) = (item for item in items if isinstance(item, Reject))
    assert reject.where == f"line {place + 1}"


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceLogs": 3},
        {"resourceLogs": [3]},
        {"resourceLogs": [{"resource": 3, "scopeLogs": [{"logRecords": [{}]}]}]},
        {"resourceLogs": [{"scopeLogs": {}}]},
        {"resourceLogs": [{"scopeLogs": ["x"]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": 1}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [[]]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"attributes": 5}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "soon"}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "half \ud83d"}}]}]}]},
    ],
)
def test_a_malformed_part_of_json_is_set_aside_alone(broken):
    good = as_json(REQUEST)["resourceLogs"]
    if isinstance(broken["resourceLogs"], list):
        broken = {"resourceLogs": [*broken["resourceLogs"], *good]}
    items = read(json.dumps(broken).encode())
    assert [type(item) for item in items[:1]] == [Reject]
    assert items[1:] == (DRAFTS if len(items) > 1 else [])
    assert (len(items) > 1) == isinstance(broken["resourceLogs"], list)


@pytest.mark.parametrize("length", [big_endian, varint])
def test_a_truncated_last_message_costs_only_itself(length):
    items = read(framed(length, REQUEST, REQUEST)[:-5])
    assert items[:-1] == DRAFTS
    assert items[-1].where == "after message 1"
    assert "cut short" in items[-1].why


def test_a_length_beyond_the_limit_is_not_believed():
    items = read(framed(big_endian, REQUEST) + big_endian(MESSAGE_BYTES + 1) + b"x")
    assert items[:-1] == DRAFTS
    assert "claims 67,108,865 bytes" in items[-1].why


def test_a_damaged_message_between_good_ones_is_set_aside():
    data = REQUEST.SerializeToString()
    items = read(b"".join(big_endian(len(part)) + part for part in (data, b"\xff" * 9, data)))
    assert [type(item) for item in items] == [Draft, Draft, Reject, Draft, Draft]
    assert items[2].where == "message 2"


def test_a_truncated_gzip_keeps_what_came_before():
    noise = exported(*(record({"n": number}) for number in range(3000)))
    packed = gzip.compress(line(REQUEST) + line(noise))
    items = read(packed[: len(packed) // 2])
    assert items[:2] == DRAFTS
    assert "damaged" in items[-1].why


@pytest.mark.parametrize(
    "data", [b"\x1f\x8bnonsense", b"hello", b"\xff" * 50, b"\x00\x00\x00\x09short", b"\x0a\x0b", b"{\n"]
)
def test_what_is_no_otlp_is_refused(data):
    with pytest.raises(InvalidInputError, match="OTLP data"):
        read(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [b'{"resourceLogs": []}\n{"x": "', b'{\n"x": "', b"\x0a\x80"],
    ids=["line", "document", "protobuf"],
)
def test_a_bomb_is_stopped_at_the_limit(start):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(1 + (MESSAGE_BYTES >> 20)):
            file.write(b" " * (1 << 20))
    try:
        items = read(out.getvalue())
    except InvalidInputError as error:
        assert "67,108,864" in str(error)  # noqa: PT017 - refused outright, or after the first good line
    else:
        assert "67,108,864" in items[-1].why


# --- whatever comes -------------------------------------------------------------------------------------------------

SAMPLES = [
    REQUEST.SerializeToString(),
    framed(big_endian, REQUEST, REQUEST),
    framed(varint, REQUEST),
    line(REQUEST) * 2,
]


@st.composite
def mutations(draw):
    data = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 8))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    data = bytes(data[: draw(st.integers(len(data) // 2, len(data)))]) if draw(st.booleans()) else bytes(data)
    return gzip.compress(data) if draw(st.booleans()) else data


@given(st.binary(max_size=200) | mutations())
def test_whatever_bytes_come_are_read_or_refused(data):
    try:
        items = read(data)
    except InvalidInputError as error:
        assert "OTLP data" in str(error)  # noqa: PT017 - both ways out are right
        return
    assert all(isinstance(item, Draft | Reject) for item in items)
    assert read(data) == items


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
VALUES = st.dictionaries(
    st.sampled_from(["stringValue", "intValue", "doubleValue", "boolValue", "bytesValue", "arrayValue", "kvlistValue"]),
    JSON | st.just({"values": [{"stringValue": "x"}]}),
    max_size=2,
)
FIELDS = st.dictionaries(
    st.sampled_from(["timeUnixNano", "traceId", "spanId", "body", "attributes", "eventName", "severityNumber"]),
    JSON | VALUES | st.lists(st.fixed_dictionaries({"key": st.text(max_size=3), "value": VALUES}), max_size=3),
    max_size=4,
)


@given(st.lists(FIELDS | JSON, max_size=5))
def test_every_record_is_drafted_or_set_aside(records):
    good = as_json(REQUEST)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    logs = [good | item if isinstance(item, dict) else item for item in records]
    items = read(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": logs}]}]}).encode())
    assert all(isinstance(item, Draft | Reject) for item in items)
    assert len(items) == len(records)


def test_every_record_of_a_large_request_comes_out_once():
    request = exported(*(record({"n": number}) for number in range(500)))
    for data in (request.SerializeToString(), line(request)):
        items = read(data)
        assert sorted(item.payload["attributes"]["n"] for item in items) == list(range(500))
        assert len({item.key for item in items}) == 500


def test_an_empty_request_holds_nothing():
    assert list(read_request(ExportLogsServiceRequest(), source="http")) == []


# --- identities that may never change: what is sent again after an update is known ---

RICH = {
    "timeUnixNano": str(TIME_NS),
    "traceId": "0102030405060708090a0b0c0d0e0f10",
    "spanId": "0102030405060708",
    "eventName": "call.rated",
    "body": {"kvlistValue": {"values": [{"key": "é", "value": {"doubleValue": 4.0}}]}},
    "attributes": [
        {"key": "volition.account", "value": {"stringValue": "Ünï"}},
        {"key": "volition.category", "value": {"stringValue": "service/telemetry"}},
        {"key": "user.id", "value": {"arrayValue": {"values": [{"stringValue": "u1"}, {"intValue": "7"}]}}},
        {"key": "z", "value": {"doubleValue": 1e300}},
        {"key": "a", "value": {"doubleValue": 0.25}},
        {"key": "b", "value": {"doubleValue": -0.0}},
        {"key": "c", "value": {"intValue": str(2**60)}},
        {"key": "d", "value": {"arrayValue": {"values": [{"doubleValue": 3.0}, {"boolValue": True}]}}},
        {"key": "e", "value": {}},
    ],
}


def test_the_key_of_a_record_is_the_one_written_down():
    [draft] = read_message(
        json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [RICH]}]}]}).encode(), encoding="json", source="s"
    )
    assert draft.key == "otlp:73a5a55ac2463a404ec1018268e88eccaa806c07f468b3452dddefca7aa23a7b"


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.booleans()))
def test_what_is_stored_is_written_once_in_its_canonical_form(attributes):
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=TIME_NS)
    for key, value in {**attributes, **WHOSE}.items():
        kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
        setattr(record.attributes.add(key=key).value, kind, value)
    for found in read_request(request, source="s"):
        assert isinstance(found, Reject) or found.written == canonical_json(found.payload)
