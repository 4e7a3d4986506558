"""What others wrote is refused in little memory, however much it announces: bundles, their tables, and base models.

Each file is read in a process of its own, which may take no more memory than reading such a file needs.
"""

import io
import subprocess
import sys
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from volition.errors import ProofError
from volition.records.snapshot import KEYS_SCHEMA
from volition.transparency.verify.keys import Keys
from volition.transparency.verify.pages import MOST_BYTES, check_pages

READ = """
import resource, sys
import {module}
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20),) * 2)
try:
    {call}
except ({refusals}) as error:
    print("refused:", error)
"""


def refused(tmp_path, data, module, call, refusals):
    """Read a file in a process with 100 MiB to spare; return what it says, which must be a refusal."""
    (tmp_path / "bomb").write_bytes(data)
    code = READ.format(module=module, call=call, refusals=refusals)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb")], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("refused:"), done.stderr
    return done.stdout


def keys_of(rows):
    columns = {
        "record_id": pa.array(["r" * 50] * rows),
        "account": pa.array(["acme"] * rows),
        "people": pa.array([["unknown"]] * rows),
        "category": pa.array(["content/chat"] * rows),
        "collected_us": pa.array([0] * rows, pa.int64()),
        "conversation": pa.array([""] * rows),
    }
    table = pa.table({field.name: columns[field.name] for field in KEYS_SCHEMA}).cast(KEYS_SCHEMA)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none")
    return bytes(sink.getvalue())


def check(data):
    check_pages(data, "keys.parquet")


@pytest.mark.slow
def test_a_zip_that_unpacks_to_more_than_memory_holds_is_refused(tmp_path):
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("log.json", "w") as file,
    ):
        for _ in range(200):
            file.write(bytes(1 << 20))
    said = refused(
        tmp_path, packed.getvalue(), "pathlib, volition.transparency.verify.archive as archive, volition.errors as errors",
        "archive.read_archive(pathlib.Path(sys.argv[1]))", "errors.ProofError",
    )  # fmt: skip
    assert "not in the one form" in said


def test_a_page_that_announces_more_than_any_of_ours_is_refused():
    rows = 1 + MOST_BYTES // 6_000  # each of 6,000 bytes and its length: few enough for one page
    table = pa.table({"a": pa.array(["r" * 6_000]).take(pa.array([0] * rows, pa.int32())), "b": pa.array(range(rows))})
    sink = pa.BufferOutputStream()
    options = {"use_dictionary": False, "data_page_size": 1 << 30, "write_batch_size": rows, "row_group_size": rows}
    pq.write_table(table, sink, compression={"a": "zstd", "b": "none"}, **options)
    with pytest.raises(ProofError, match="a page of 67,"):
        check(bytes(sink.getvalue()))


@pytest.mark.parametrize("compression", ["none", "zstd", "snappy"])
@pytest.mark.parametrize(
    "options", [{}, {"data_page_version": "2.0"}, {"use_dictionary": False}, {"write_statistics": False}]
)
def test_honest_tables_of_any_kind_are_read(compression, options):
    table = pa.table(
        {
            "id": pa.array([f"record-{number}" for number in range(3000)]),
            "people": pa.array([["a", "b"], [], ["c"]] * 1000),
            "at": pa.array(range(3000)),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=compression, data_page_size=500, row_group_size=700, **options)
    check(bytes(sink.getvalue()))


def test_more_rows_than_bytes_are_refused():
    table = pa.table({"a": pa.array([1]).take(pa.array([0] * 100_000, pa.int32()))})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    with pytest.raises(ProofError, match="announces 100,000 rows"):
        check(bytes(sink.getvalue()))


def test_a_head_that_is_damaged_anywhere_is_refused_or_harmless():
    data = keys_of(20)
    metadata = pq.ParquetFile(pa.BufferReader(data)).metadata
    start = metadata.row_group(0).column(0).data_page_offset
    for at in range(start, start + 40):
        for byte in (0, 0x15, 0x1C, 0x7F, 0x80, 0xFF):
            damaged = data[:at] + bytes([byte]) + data[at + 1 :]
            try:
                check_pages(damaged, "keys.parquet")
            except ProofError:
                continue


def test_our_own_keys_are_read():
    assert Keys(keys_of(20)).groups
