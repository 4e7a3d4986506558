"""Mutated Arrow at the server's door: an answer or a problem of the caller, never the end of the process.

It runs in a process of its own, which a crash would end; that process asks the server itself, without a network.
"""

import subprocess
import sys
import zlib

import pyarrow as pa
import pytest

from volition.errors import InvalidInputError
from volition.server.api.arrow import MOST_ROWS, open_questions

FUZZ = """
import io, logging, random, sys
from datetime import UTC, datetime
from pathlib import Path
import pyarrow as pa
from starlette.testclient import TestClient
from volition.server.app import Server
from volition.server.auth import Role, Scope

ROWS = 40
PEOPLE = [["ada", "bo"] if row % 2 else ["ada"] for row in range(ROWS)]
KINDS = [
    pa.list_(pa.string()), pa.large_list(pa.large_string()), pa.list_view(pa.string_view()), pa.list_(pa.string(), 2),
    pa.list_(pa.dictionary(pa.int32(), pa.string())), pa.large_list_view(pa.string()),
]

def stream(kind):
    people = [["ada", "bo"]] * ROWS if pa.types.is_fixed_size_list(kind) else PEOPLE
    account = pa.array(["acme"] * ROWS)
    batch = pa.record_batch({
        "account": account.dictionary_encode() if pa.types.is_list(kind) else account,
        "people": pa.array(people, kind),
        "category": ["content/chat"] * ROWS,
        "collected_at": pa.array([datetime(2025, 1, 1, tzinfo=UTC)] * ROWS, pa.timestamp("us", "UTC")),
    })
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as written:
        written.write_batch(batch)
        written.write_batch(batch)
    return sink.getvalue()

def mutated(good, drawn):
    data = bytearray(good)
    for _ in range(drawn.choice([1, 1, 1, 2, 5])):
        place = drawn.randrange(len(data))
        match drawn.randrange(4):
            case 0:
                data[place] = drawn.randrange(256)
            case 1:
                data[place] ^= 1 << drawn.randrange(8)
            case 2:
                place &= ~3
                data[place : place + 4] = drawn.choice([b"\\xff" * 4, bytes(4), b"\\xff\\xff\\xff\\x7f", b"\\1\\0\\0\\0"])
            case 3:
                data = data[: max(place, 1)]
    return bytes(data)

server = Server(Path(sys.argv[1]))
_, secret = server.access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=[Scope.MAY])
headers = {"authorization": f"Bearer {secret}", "content-type": "application/vnd.apache.arrow.stream"}
client = TestClient(server, base_url="http://api.example", headers=headers, raise_server_exceptions=False)
drawn = random.Random(7)
good = [stream(kind) for kind in KINDS]
found = {}
for number in range(int(sys.argv[2])):
    body = mutated(good[number % len(good)], drawn)
    Path(sys.argv[3]).write_bytes(body)  # what ended the process, if one does
    status = client.post("/v1/may?purpose=train/search", content=body).status_code
    found[status] = found.get(status, 0) + 1
print(found)
assert set(found) <= {200, 400}, found
"""


def fuzz(world, count):
    last = world.parent / "last.arrow"
    command = [sys.executable, "-c", FUZZ, str(world), str(count), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    crc = zlib.crc32(last.read_bytes()) if last.exists() else None
    assert done.returncode == 0, (done.returncode, f"kept in {last}, crc {crc}", done.stderr[-2000:])


@pytest.mark.slow
def test_2000_mutated_streams_end_no_process(world):
    fuzz(world, 2000)


def stream_of(table, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


TABLE = pa.table({"account": ["acme"] * 1000, "people": [["ada"]] * 1000})


def test_a_stream_is_read_as_it_was_written():
    assert pa.Table.from_batches(open_questions(stream_of(TABLE))) == TABLE
    encoded = TABLE.set_column(0, "account", TABLE["account"].dictionary_encode())
    assert pa.Table.from_batches(open_questions(stream_of(encoded))) == encoded


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_streams_are_refused_before_they_are_opened(codec):
    with pytest.raises(InvalidInputError, match="Compressed"):
        list(open_questions(stream_of(TABLE, compression=codec)))


def test_more_rows_than_a_stream_may_have_are_refused_though_they_take_no_room():
    nothing = pa.table({"account": pa.nulls(MOST_ROWS + 1)})
    body = stream_of(nothing)
    assert len(body) < 1000
    with pytest.raises(InvalidInputError, match="at most"):
        list(open_questions(body))


@pytest.mark.parametrize("body", [b"", b"no arrow", b"\xff" * 8, bytes(16), stream_of(TABLE)[:100]])
def test_what_is_no_stream_is_told(body):
    with pytest.raises(InvalidInputError, match="no Arrow stream"):
        list(open_questions(body))
