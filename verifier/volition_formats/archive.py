"""The one zip of some files (docs/formats/bundle.md)."""

import io
import struct
import zlib

from volition_formats.report import demand


def read_archive(data: bytes) -> dict[str, bytes]:
    """The members of a zip that is written in the one way."""
    members, at = {}, 0
    names: list[str] = []
    while data[at : at + 4] == b"PK\3\4":
        flags, size, name_size = (*struct.unpack_from("<H", data, at + 6), *struct.unpack_from("<IH", data, at + 22))
        raw = data[at + 30 : at + 30 + name_size]
        name = raw.decode() if flags else raw.decode("ascii")
        at += 30 + name_size
        names.append(name)
        members[name] = data[at : at + size]
        at += size
    demand(names == sorted(set(names)), "The zip's files are not in order, or one is there twice.")
    demand(write_archive(members) == data, "The zip is not written in the one way that bundles are.")
    return members


def write_archive(members: dict[str, bytes]) -> bytes:
    """The one zip of some members."""
    files, directory = io.BytesIO(), io.BytesIO()
    for name in sorted(members):
        raw, data = name.encode(), members[name]
        about = struct.pack(
            "<HHHHHIIIHH",
            20,
            0 if name.isascii() else 0x800,
            0,
            0,
            0x21,
            zlib.crc32(data),
            len(data),
            len(data),
            len(raw),
            0,
        )
        directory.write(
            b"PK\1\2" + struct.pack("<H", 0x314) + about + struct.pack("<HHHII", 0, 0, 0, 0x1800000, files.tell()) + raw
        )
        files.write(b"PK\3\4" + about + raw + data)
    size, start = directory.tell(), files.tell()
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), size, start, 0)
    return files.getvalue() + directory.getvalue() + b"PK\5\6" + end
