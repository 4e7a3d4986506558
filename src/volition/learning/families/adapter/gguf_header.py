"""The head of a GGUF file, looked over before anything is made of it: what it announces must fit what the file holds.

A count in the head costs eight bytes to write, and the package that reads such files makes an object for each thing
that is counted. So counts, lengths and depths are bounded here first, by walking over the bytes without keeping any.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from pathlib import Path
from typing import BinaryIO, Final

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_MOST_KEYS: Final = 4_096
_MOST_TENSORS: Final = 65_536
_MOST_DIMENSIONS: Final = 4
_LONGEST_NAME: Final = 65_535  # bytes, as the format says
_LONGEST_TEXT: Final = 1 << 20
_MOST_ITEMS: Final = 2_000_000
"""Of all arrays together: a vocabulary of half a million, with its kinds, scores and merges."""

_MOST_BESIDE: Final = 65_536  # items of arrays that are no part of a tokenizer
_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT: Final = 8
_ARRAY: Final = 9


def check_header(file: Path) -> None:
    """Check that a file's head announces no more than it can hold, and than a Llama needs.

    Raises:
        ValueError: It does, or it is no such head.
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        _Head(stream, file.stat().st_size).check()


class _Head:
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._items = 0
        self._beside = 0

    def check(self) -> None:
        if self._take(4) != _MAGIC or self._number("<I") not in _VERSIONS:
            raise ValueError("it does not begin as a GGUF file of version 2 or 3 does")
        tensors, keys = self._number("<Q"), self._number("<Q")
        if tensors > _MOST_TENSORS or keys > _MOST_KEYS:
            raise ValueError(f"it announces {tensors:,} tensors and {keys:,} keys, more than any model has")
        for _ in range(keys):
            name = self._take(self._length(_LONGEST_NAME))
            self._skip_value(self._number("<I"), is_tokenizer=name.startswith(b"tokenizer."))
        for _ in range(tensors):
            self._skip(self._length(_LONGEST_NAME))
            dimensions = self._number("<I")
            if dimensions > _MOST_DIMENSIONS:
                raise ValueError(f"a tensor has {dimensions:,} dimensions")
            self._skip(8 * dimensions + 12)  # each dimension, the type, and where it lies

    def _skip_value(self, kind: int, *, is_tokenizer: bool) -> None:
        if kind == _TEXT:
            self._skip(self._length(_LONGEST_TEXT))
        elif kind in _SIZES:
            self._skip(_SIZES[kind])
        elif kind == _ARRAY:
            self._skip_array(is_tokenizer=is_tokenizer)
        else:
            raise ValueError(f"a value is of a type {kind} that is not known")

    def _skip_array(self, *, is_tokenizer: bool) -> None:
        kind, items = self._number("<I"), self._number("<Q")
        self._items += items
        self._beside += 0 if is_tokenizer else items
        if self._items > _MOST_ITEMS or self._beside > _MOST_BESIDE:
            raise ValueError(f"its lists have {self._items:,} items, more than any model needs")
        if kind == _TEXT:
            for _ in range(items):
                self._skip(self._length(_LONGEST_TEXT))
        elif kind in _SIZES:
            self._skip(items * _SIZES[kind])
        else:
            raise ValueError("a list holds lists, or what is not known")

    def _length(self, longest: int) -> int:
        length = self._number("<Q")
        if length > longest:
            raise ValueError(f"a text of {length:,} bytes is announced")
        return length

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._take(struct.calcsize(form)))[0])

    def _take(self, count: int) -> bytes:
        taken = self._stream.read(count)
        if len(taken) != count:
            raise ValueError("it ends before its head does")
        return taken

    def _skip(self, count: int) -> None:
        if self._stream.tell() + count > self._size:
            raise ValueError("it ends before its head does")
        self._stream.seek(count, 1)
