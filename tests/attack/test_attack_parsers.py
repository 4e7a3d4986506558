"""Every parser of what comes from outside, fed what was good and was then damaged: the project's own errors, or nothing.

Each begins with an input that it takes, so that the damage lies deep. Others fuzz one parser further: Arrow in
`test_arrow_fuzz.py`, whole bundles in `test_prove.py`, archives that unpack to much in `test_verify_bombs.py`.
"""

import io
import json
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from volition.consent.terms.terms_file import read_terms
from volition.errors import InvalidInputError, ProofError
from volition.ledger.policy import Policy
from volition.ledger.signing import VerifierKey, open_checkpoint, open_envelope
from volition.ledger.tlog_proof import TlogProof
from volition.records.ingest import load_json
from volition.records.ingest.otlp import read_message
from volition.records.ingest.otlp_traces import read_traces
from volition.records.ingest.slack import read_slack
from volition.records.ingest.summaries import read_summaries
from volition.records.ingest.webvtt import read_webvtt
from volition.records.ingest.zoom import read_zoom_event
from volition.records.ingest.zoom_chat import read_zoom_chat
from volition.server.settings import read_settings
from volition.transparency.evidence import verify_evidence
from volition.transparency.receipt import verify_receipt
from volition.workspace import Workspace

MOST_BYTES = 40 << 20
"""What reading an input of a few kilobytes may take; a message of an error may quote a piece of it."""

TOKENS = [
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"9" * 5000, b"-", b"1e999", b"NaN", b"-Infinity",
    b"[" * 3000, b'{"a":' * 3000, b'"', b"\n", b"\r\n", b"\xe2\x80\xae", b"--> 00:00:00.000", b"null", b"{}", b"=",
    b"../../x", b"\xff" * 9, b"\x80" * 12, b" " * 4000, b"99:99:99.999", b"0x", b"'''",
]  # fmt: skip

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "put", "twice", "replace"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 40),
        st.sampled_from(TOKENS),
    ),
    min_size=1,
    max_size=4,
)
SAID = {"type": "message", "user": "U1", "text": "the printer is broken", "ts": "1748854800.000100"}
USER = {"id": "U1", "name": "ada", "real_name": "Ada Byron", "profile": {"email": "ada@acme.example"}}
ATTRIBUTES = [
    {"key": "user.id", "value": {"stringValue": "ada"}},
    {"key": "volition.item", "value": {"stringValue": "channel/general"}},
    {"key": "volition.category", "value": {"stringValue": "service/usage"}},
]
RECORD = {"timeUnixNano": "1750000000000000000", "eventName": "item.opened", "attributes": ATTRIBUTES}
SPAN = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": "item.opened", "attributes": ATTRIBUTES}
SPAN |= {"startTimeUnixNano": "1750000000000000000", "endTimeUnixNano": "1750000001000000000"}
LOGS = json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [RECORD]}]}]}).encode()
SPANS = json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [SPAN]}]}]}).encode()
VTT = b"WEBVTT\n\n1\n00:01.000 --> 00:04.000\n<v Ada Byron>The launch moves.</v>\n\n00:05.000 --> 00:09.000\nBo: Yes.\n"
CHAT = b"00:01:02\t From  Ada Byron : Hello all\n00:01:09\t From  Bo Berg  to  Everyone:\n\tTo all of you\n"
ZOOM = {"event": "meeting.participant_joined", "event_ts": 1750000000000, "payload": {"account_id": "a", "object": {
    "id": "1", "uuid": "u==", "topic": "t", "participant": {"user_name": "Ada", "email": "ada@acme.example"}}}}  # fmt: skip
SETTINGS = b"""[site]
name = "Centre"
url = "https://centre.example"

[server]
trusted_proxies = ["10.0.0.0/8"]


[sign_in]
again_minutes = 10

[[webhook]]
url = "https://hook.example/"
secret_file = "hook.secret"
"""
TERMS = Path(__file__).parents[2] / "src/volition/consent/terms/profiles/granular.toml"


def slack():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as export:
        export.writestr("users.json", json.dumps([USER]))
        export.writestr("channels.json", json.dumps([{"id": "C1", "name": "general"}]))
        export.writestr("general/2025-06-02.json", json.dumps([SAID]))
    return file.getvalue()


def protobuf(kind, text):
    from google.protobuf import json_format  # noqa: PLC0415 - for one input alone

    return json_format.Parse(text, kind()).SerializeToString()


def of_meeting(read):
    return lambda data: list(read(data, source="x", account="acme", meeting="m", start_us=1_750_000_000_000_000))


def of_json(read):
    """Return what reads a document; one that is no JSON at all never reaches it."""

    def reading(data):
        try:
            told = load_json(data)
        except ValueError:
            return
        read(told)

    return reading


def in_file(name, read, folder):
    """Return what writes a file and reads it."""

    def reading(data):
        (folder / name).write_bytes(data)
        return read(folder)

    return reading


@pytest.fixture(scope="module")
def parsers(stronghold, tmp_path_factory):
    """Return for each parser an input that it takes, and what reads it."""
    folder = tmp_path_factory.mktemp("parsers")
    with Workspace(stronghold) as workspace:
        key = workspace.verifier
        evidence = workspace.proofs.evidence("acme-ann")
        collected = workspace.proofs.collected("acme-ann")
        note = workspace.log.cosigned()
    [receipt, *_] = evidence["receipts"]
    policy = f"log {key.to_text()}\nquorum none\n"
    tlog = f"c2sp.org/tlog-proof@v1\nindex 0\n\n{note}"
    profile = TERMS.read_bytes()
    (folder / "hook.secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (folder / "hook.secret").chmod(0o600)
    shutil.copy(TERMS.with_suffix(".md"), folder)
    otlp = {
        "otlp json": (LOGS, lambda data: list(read_message(data, encoding="json", source="x"))),
        "otlp protobuf": (
            protobuf(ExportLogsServiceRequest, LOGS),
            lambda data: list(read_message(data, encoding="protobuf", source="x")),
        ),
        "traces json": (SPANS, lambda data: list(read_traces(data, encoding="json", source="x"))),
        "traces protobuf": (
            protobuf(ExportTraceServiceRequest, SPANS),
            lambda data: list(read_traces(data, encoding="protobuf", source="x")),
        ),
    }
    return otlp | {
        "webvtt": (VTT, of_meeting(read_webvtt)),
        "zoom chat": (CHAT, of_meeting(read_zoom_chat)),
        "zoom event": (
            json.dumps(ZOOM).encode(),
            of_json(lambda told: list(read_zoom_event(told, account="acme")) if isinstance(told, dict) else None),
        ),
        "slack": (slack(), lambda data: list(read_slack(io.BytesIO(data), account="acme"))),
        "summaries": (
            b'{"meeting": "m", "at": "2025-06-02T09:00:00Z", "text": "We met."}\n',
            lambda data: list(read_summaries(data, source="x", account="acme", meeting_of=lambda *_: None)),
        ),
        "terms": (profile, in_file("granular.toml", lambda at: read_terms(at / "granular.toml"), folder)),
        "settings": (SETTINGS, in_file("server.toml", read_settings, folder)),
        "policy": (policy.encode(), Policy.from_text),
        "tlog proof": (tlog.encode(), TlogProof.from_text),
        "checkpoint": (note.encode(), lambda data: open_checkpoint(data, key)),
        "key": (key.to_text().encode(), lambda data: VerifierKey.from_text(data.decode("utf-8", "surrogateescape"))),
        "receipt": (json.dumps(receipt).encode(), of_json(lambda told: verify_receipt(told, key))),
        "proofs": (json.dumps(evidence).encode(), of_json(lambda told: verify_evidence(told, key))),
        "collected": (json.dumps(collected).encode(), of_json(lambda told: verify_evidence(told, key))),
        "envelope": (b'{"payload": "e30=", "payloadType": "t", "signatures": [{"keyid": "", "sig": "AA=="}]}',
                     of_json(lambda told: open_envelope(told, key))),
    }  # fmt: skip


NAMES = [
    "otlp json", "otlp protobuf", "traces json", "traces protobuf", "webvtt", "zoom chat", "zoom event", "slack",
    "summaries", "terms", "settings", "policy", "tlog proof", "checkpoint", "key", "receipt", "proofs", "collected",
    "envelope",
]  # fmt: skip


def damaged(good, edits):
    """Return an input after some edits, at places that are shares of its length."""
    data = bytearray(good)
    for act, share, size, token in edits:
        place = int(share * (len(data) + 1))
        if act == "flip" and place < len(data):
            data[place] ^= 1 << size % 8
        elif act == "cut":
            del data[place : place + size]
        elif act == "put":
            data[place:place] = token
        elif act == "twice":
            data[place:place] = data[place : place + 10 * size]
        elif act == "replace":
            data[place : place + size] = token
    return bytes(data)


def test_no_parser_is_left_out(parsers):
    assert set(NAMES) == set(parsers)
    for good, read in parsers.values():
        try:
            read(good)
        except ProofError:
            continue  # well-formed, and not signed


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_is_damaged_is_read_or_refused_in_so_many_words(parsers, name):
    good, read = parsers[name]

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(EDITS)
    def damage(edits):
        try:
            read(damaged(good, edits))
        except (InvalidInputError, ProofError) as error:
            assert str(error)  # noqa: PT017 - most damage is read as something else

    damage()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_small_input_never_takes_much_memory(parsers, name):
    good, read = parsers[name]
    middle = len(good) // 2
    for bomb in (b"[" * 60_000, b"9" * 60_000, b"\xff" * 60_000, good[:middle] + b'"' * 60_000 + good[middle:]):
        tracemalloc.start()
        try:
            read(bomb)
        except (InvalidInputError, ProofError):
            pass
        finally:
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert most < MOST_BYTES, bomb[:9]
