"""Where the names of somebody are left in files: in their bytes, and in what they hold unpacked.

A name counts where no letter, digit or underscore stands next to it: `ada` is in `ada@acme.example`, and not in
`Canada`. It is looked for as it is, and as JSON, JSON in ASCII and addresses spell it. A Parquet file is searched in
its footer, and in all values of its texts, those of dictionaries among them that no row refers to; in its packed bytes
only for names of six bytes or more, since shorter ones turn up there by chance.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from volition.records.foreign.erasing.whom import Whom

_CHUNK: Final = 8 << 20  # bytes read at once
_BY_CHANCE: Final = 6  # bytes
_FOOTER: Final = 8  # bytes at the end of a Parquet file, which say how long the footer before them is
_BESIDE: Final = "0-9A-Za-z_"
_ROWS: Final = 65_536

Unpack = Callable[[str], Iterable[bytes]]
"""Yields what a file holds unpacked, by its path below the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Somewhere a name was found.

    Attributes:
        file: The file's path below the table's folder.
        where: In what of it: its name, its bytes, its footer, what it holds unpacked, or a column.
        is_id: Whether what the table's columns call somebody was found; else only a name or address they go by.
    """

    file: str
    where: str
    is_id: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"file": self.file, "where": self.where, "what": "id" if self.is_id else "handle"}


class Searched:
    """What is searched for: what columns call somebody, and the handles they go by."""

    def __init__(self, names: Iterable[str], whom: Whom) -> None:
        """Take what the columns of a table call those who were erased, and who they are."""
        ids = frozenset(names)
        self._looked_for = [(_Looked(ids), True), (_Looked(whom.handles - ids), False)]

    def in_file(
        self, path: str, open_file: Callable[[str], pa.NativeFile], unpack: Mapping[str, Unpack]
    ) -> Iterator[Trace]:
        """Yield where in a file something is found.

        Args:
            path: The file's path below the table's folder.
            open_file: Opens a file by that path.
            unpack: What unpacks files of other kinds, by the ending of their names.

        Raises:
            OSError: It cannot be read.
            pyarrow.ArrowException: It is no sound Parquet.
        """
        for looked, is_id in self._looked_for:
            if looked.names:
                for where in _places(path, open_file, unpack, looked):
                    yield Trace(file=path, where=where, is_id=is_id)

    def in_text(self, text: str | bytes) -> bool:
        """Return whether a text holds what a column calls somebody."""
        return self._looked_for[0][0].is_in(text.encode() if isinstance(text, str) else text)


class _Looked:
    """Names that are looked for."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        spelt = sorted({spelling for name in names for spelling in _spellings(name)}, key=len, reverse=True)
        self._any = _pattern(spelt)
        self._long = _pattern([one for one in spelt if len(one) >= _BY_CHANCE])
        self.longest = max(map(len, spelt), default=0)
        texts = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        self.re2 = f"(?:^|[^{_BESIDE}])(?:{texts})(?:$|[^{_BESIDE}])"

    def is_in(self, data: bytes) -> bool:
        return self._any is not None and self._any.search(data) is not None

    def is_long_in(self, data: bytes) -> bool:
        return self._long is not None and self._long.search(data) is not None


def _spellings(name: str) -> set[bytes]:
    spelt = {name, quote(name, safe=""), json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1]}
    return {one.encode() for one in spelt}


def _pattern(spelt: list[bytes]) -> re.Pattern[bytes] | None:
    if not spelt:
        return None
    beside = f"[{_BESIDE}]".encode()
    return re.compile(b"(?<!" + beside + b")(?:" + b"|".join(map(re.escape, spelt)) + b")(?!" + beside + b")")


def _places(
    path: str, open_file: Callable[[str], pa.NativeFile], unpack: Mapping[str, Unpack], looked: _Looked
) -> Iterator[str]:
    if looked.is_in(path.encode()):
        yield "its name"
    is_parquet = path.endswith(".parquet")
    if _is_in_bytes(open_file(path), looked, looked.is_long_in if is_parquet else looked.is_in):
        yield "its bytes"
    if is_parquet:
        yield from _in_parquet(open_file(path), looked)
    unpacking = next((one for ending, one in unpack.items() if path.endswith(ending)), None)
    if unpacking is None and path.endswith((".gz", ".gz.metadata.json")):
        unpacking = _gunzip(open_file)
    if unpacking is not None and any(map(looked.is_in, unpacking(path))):
        yield "what it holds unpacked"


def _is_in_bytes(file: pa.NativeFile, looked: _Looked, is_in: Callable[[bytes], bool]) -> bool:
    before = b""
    with file:
        while chunk := file.read(_CHUNK):
            if is_in(before + chunk):
                return True
            before = chunk[-looked.longest - 2 :]  # a name over the edge, and what stands beside it
    return False


def _gunzip(open_file: Callable[[str], pa.NativeFile]) -> Unpack:
    def unpack(path: str) -> Iterator[bytes]:
        with open_file(path) as file:
            try:
                yield gzip.decompress(file.read())
            except (OSError, EOFError, zlib.error):
                return  # only its name says that it is packed: its bytes were searched

    return unpack


def _in_parquet(file: pa.NativeFile, looked: _Looked) -> Iterator[str]:
    with file:
        end = file.size()
        file.seek(max(0, end - _FOOTER))
        footer = int.from_bytes(file.read(4), "little") if end >= _FOOTER else 0
        file.seek(max(0, end - _FOOTER - footer))
        if looked.is_in(file.read()):
            yield "its footer"
        file.seek(0)
        leaves = [one.path for one in _leaves(pq.ParquetFile(file)) if one.physical_type == "BYTE_ARRAY"]
        # As dictionaries, so that each text is searched once, and those too that no row refers to any more.
        parquet = pq.ParquetFile(file, read_dictionary=leaves)
        for name in dict.fromkeys(leaf.partition(".")[0] for leaf in leaves):
            batches = parquet.iter_batches(batch_size=_ROWS, columns=[name])
            if any(_is_in_values(batch.column(0), looked.re2) for batch in batches if batch.num_columns):
                yield f"the column {name}"


def _leaves(parquet: pq.ParquetFile) -> Iterator[Any]:
    schema = parquet.schema
    for number in range(len(schema)):
        yield schema.column(number)


def _is_in_values(column: pa.Array, re2: str) -> bool:
    """Say whether a text in a column, however deep, has a name in it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _is_in_values(column.dictionary, re2)
    if pa.types.is_struct(kind):
        return any(_is_in_values(column.field(number), re2) for number in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _is_in_values(column.keys, re2) or _is_in_values(column.items, re2)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _is_in_values(column.values, re2)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return bool(pc.any(pc.match_substring_regex(column.cast(pa.large_string()), re2)).as_py())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return bool(pc.any(pc.match_substring_regex(column, re2)).as_py())
    return False
