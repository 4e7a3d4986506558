"""`keys.parquet` as `docs/formats/keys.md` defines it: its reader reads what a snapshot writes."""

import re
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volition.records.commitment import CollectedBatch, read_collected, write_collected
from volition.records.freeze import plain_parquet
from volition.records.snapshot import KEYS_SCHEMA, Snapshot

PAGE = Path(__file__).parent.parent / "docs" / "formats" / "keys.md"
TEXTS = st.text(max_size=5)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "record_id": TEXTS,
            "account": st.sampled_from(["acme", "é"]),
            "people": st.lists(st.sampled_from(["unknown", "0" * 32, "f" * 32]), max_size=4),
            "category": st.sampled_from(["content/chat", "service/usage"]),
            "collected_us": st.integers(-(2**63), 2**63 - 1),
            "conversation": st.none() | TEXTS,
        }
    ),
    max_size=40,
)


def page():
    """Return what the page's code defines."""
    found = {}
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), found)  # noqa: S102 - it is ours
    return found


def read_keys(data):
    return page()["read_keys"](data)


def written(rows):
    return plain_parquet(pa.Table.from_pylist(rows, schema=KEYS_SCHEMA))


@settings(max_examples=25)
@given(ROWS)
def test_the_reader_of_the_page_reads_what_a_snapshot_writes(rows):
    assert read_keys(written(rows)) == rows


def test_what_was_collected_is_read_by_the_same_reader():
    batches = [
        CollectedBatch(entry=None, people_key=b"", rows=[1], indexes=[], salts=b"", leaves=b""),
        CollectedBatch(
            entry=7, people_key=b"k" * 32, rows=[0, 2], indexes=[3, 0], salts=b"s" * 32, leaves=b"l" * 32 * 4
        ),
    ]
    data = write_collected(batches)

    says = page()
    assert list(read_collected(data)) == batches
    nothing = {"entry": None, "people_key": None, "rows": [1], "indexes": [], "salts": None, "leaves": None}
    assert says["read_table"](data, says["COLLECTED"]) == [nothing, asdict(batches[1])]


def test_many_people_whose_dictionary_grows_too_large_are_read():
    rows = [
        {
            "record_id": str(number),
            "account": "acme",
            "people": [f"{number:032x}", "unknown"],
            "category": "content/chat",
            "collected_us": number,
            "conversation": "",
        }
        for number in range(34_000)
    ]
    data = written(rows)
    encodings = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0).column(2).encodings
    assert {"PLAIN", "RLE_DICTIONARY"} <= set(encodings)
    assert read_keys(data) == rows


def test_compressed_keys_of_earlier_versions_are_read_by_the_software_and_told_apart_by_the_page():
    rows = [dict.fromkeys(KEYS_SCHEMA.names, "x") | {"people": ["0" * 32], "collected_us": 1}]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=KEYS_SCHEMA), sink, compression="zstd")
    data = bytes(sink.getvalue())

    assert [key.record_id for key in Snapshot.read_keys(data)] == ["x"]
    with pytest.raises(ValueError, match="compressed"):
        read_keys(data)
