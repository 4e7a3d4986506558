"""The head of a GGUF file is believed only as far as the file, and a Llama, go."""

import struct

import pytest

from volition.learning.families.adapter.gguf_header import check_header

TEXT, ARRAY, BYTE, FLOAT = 8, 9, 0, 6


def text(of):
    return struct.pack("<Q", len(of)) + of


def array(kind, items, count=None):
    return struct.pack("<IQ", kind, len(items) if count is None else count) + b"".join(items)


def head(*values, tensors=(), version=3, keys=None, tensor_count=None):
    counts = (len(tensors) if tensor_count is None else tensor_count, len(values) if keys is None else keys)
    body = b"".join(text(name) + struct.pack("<I", kind) + value for name, kind, value in values)
    return b"GGUF" + struct.pack("<IQQ", version, *counts) + body + b"".join(tensors)


def tensor(dimensions=2):
    return text(b"output.weight") + struct.pack("<I", dimensions) + bytes(8 * dimensions + 12)


TOKENS = (b"tokenizer.ggml.tokens", ARRAY, array(TEXT, [text(b"a")] * 50_000))
NAME = (b"general.name", TEXT, text(b"a llama"))


@pytest.fixture
def write(tmp_path):
    def written(data):
        (tmp_path / "model.gguf").write_bytes(data)
        return tmp_path / "model.gguf"

    return written


def test_the_head_of_a_llama_passes(write):
    scores = (b"tokenizer.ggml.scores", ARRAY, array(FLOAT, [bytes(4)] * 50_000))
    check_header(write(head(NAME, TOKENS, scores, tensors=[tensor(), tensor(1)]) + bytes(1000)))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "ends before"),
        (b"GGML" + bytes(40), "does not begin"),
        (head(NAME, version=1), "does not begin"),
        (head(NAME, keys=1 << 62), "more than any model has"),
        (head(NAME, tensor_count=1 << 40), "more than any model has"),
        (head(NAME, keys=2), "ends before"),
        (head((b"general.name", TEXT, struct.pack("<Q", 1 << 62))), "is announced"),
        (head((b"general.name", 77, b"")), "not known"),
        (head((b"a", ARRAY, array(BYTE, [bytes(3_000_000)], count=3_000_000))), "more than any model needs"),
        (head((b"tokenizer.x", ARRAY, array(BYTE, [bytes(3_000_000)], count=3_000_000))), "more than any model needs"),
        (
            head(*[(b"%d" % number, ARRAY, array(BYTE, [bytes(60_000)], count=60_000)) for number in range(9)]),
            "more than",
        ),
        (head((b"a", ARRAY, array(ARRAY, [array(BYTE, [b"x"])]))), "holds lists"),
        (head((b"a", ARRAY, array(BYTE, [], count=60_000))), "ends before"),
        (head(tensors=[tensor(5)]), "dimensions"),
        (head(tensors=[tensor()[:-1]]), "ends before"),
    ],
)
def test_one_that_announces_more_is_refused_before_anything_is_made_of_it(write, data, told):
    with pytest.raises(ValueError, match=told):
        check_header(write(data))
