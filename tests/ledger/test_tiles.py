"""The log as static files, read by a client written here from the specification (c2sp.org/tlog-tiles), and by pymerkle."""

import base64
import hashlib
import shutil

import pytest
from pymerkle import InmemoryTree

from volition.errors import InvalidInputError, ProofError
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Checkpoint, Signer, checkpoint_text, sign_note
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.tiles import TileReader, export_tiles, tile_path

SIGNER = Signer.from_seed("log.example/tiles", bytes(range(32)))


def ledger_of(size, ledger=None):
    """Return a ledger of so many entries, or grow one to that size."""
    ledger = Ledger(MemoryStore(), SIGNER, clock=lambda: 0) if ledger is None else ledger
    start = ledger.size
    news = [NewEntry(kind="region", body={"party": f"account:{n}", "region": "GB"}) for n in range(start, size)]
    for at in range(0, len(news), 4096):
        ledger.append(*news[at : at + 4096])
    return ledger


def export(ledger, folder, *, size=None, with_entries=True):
    return export_tiles(ledger, SIGNER.key, folder, ledger.checkpoint(size), with_entries=with_entries)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Client:
    """A client of tiled logs: it knows the specification and nothing of Volition."""

    def __init__(self, folder):
        self.folder = folder
        self.origin, size, root = (folder / "checkpoint").read_text().split("\n\n")[0].split("\n")
        self.size, self.root = int(size), base64.b64decode(root)

    def path(self, level, number, width):
        digits = f"{number:d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
        return self.folder / "tile" / str(level) / (name if width == 256 else f"{name}.p/{width}")

    def tile(self, level, number):
        width = min(256, self.size // 256**level - number * 256)
        data = self.path(level, number, width).read_bytes()
        assert len(data) == 32 * width
        return [data[at : at + 32] for at in range(0, len(data), 32)]

    def entries(self):
        for number in range(-(-self.size // 256)):
            width = min(256, self.size - number * 256)
            data, at, count = self.path("entries", number, width).read_bytes(), 0, 0
            while at < len(data):
                length = int.from_bytes(data[at : at + 2], "big")
                yield data[at + 2 : at + 2 + length]
                at, count = at + 2 + length, count + 1
            assert count == width

    def leaves(self):
        for number in range(-(-self.size // 256)):
            yield from self.tile(0, number)


def tree_hash(leaves):
    """MTH of RFC 6962 section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:])).digest()


def check(folder, size):
    client = Client(folder)
    assert (client.origin, client.size) == ("log.example/tiles", size)
    leaves, entries = list(client.leaves()), list(client.entries())
    assert leaves == [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    assert tree_hash(leaves) == client.root
    for level in (1, 2):
        for number in range(-(-(size // 256**level) // 256)):
            for at, node in enumerate(client.tile(level, number), number * 256):
                assert node == tree_hash(leaves[at * 256**level : (at + 1) * 256**level])
    return entries


def test_a_tree_of_256_has_a_full_tile_and_one_hash_above(tmp_path):
    done = export(ledger_of(256), tmp_path / "log")

    assert (done.size, done.new) == (256, 256)
    assert set(files(tmp_path / "log")) == {"checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"}
    entries = check(tmp_path / "log", 256)
    foreign = InmemoryTree(algorithm="sha256")
    for entry in entries:
        foreign.append_entry(entry)
    assert foreign.get_root() == Client(tmp_path / "log").root


@pytest.mark.slow
def test_a_tree_of_70000_has_the_tiles_of_the_specification(tmp_path):
    export(ledger_of(70_000), tmp_path / "log")

    names = set(files(tmp_path / "log"))
    below = [name for name in names if name.startswith("tile/0/")]
    assert len([name for name in below if ".p/" not in name]) == 273
    assert [name for name in below if ".p/" in name] == ["tile/0/273.p/112"]
    assert {name for name in names if name.startswith("tile/1/")} == {"tile/1/000", "tile/1/001.p/17"}
    assert {name for name in names if name.startswith("tile/2/")} == {"tile/2/000.p/1"}
    check(tmp_path / "log", 70_000)


def test_a_path_is_in_groups_of_three_digits():
    assert tile_path(1, 1_234_067) == "tile/1/x001/x234/067"
    assert tile_path("entries", 5, 17) == "tile/entries/005.p/17"


@pytest.mark.parametrize("sizes", [(1, 2, 255, 256, 257, 700), (300, 300, 513), (0, 3), (512, 513, 1024)])
def test_exports_one_after_the_other_leave_what_one_export_does(tmp_path, sizes):
    ledger = ledger_of(0)
    for size in sizes:
        ledger_of(size, ledger)
        before = files(tmp_path / "many")
        done = export(ledger, tmp_path / "many")
        after = files(tmp_path / "many")
        assert all(after.get(name, data) == data for name, data in before.items() if name != "checkpoint")
        assert done.size == size
        check(tmp_path / "many", size)
    export(ledger, tmp_path / "once")

    once, many = files(tmp_path / "once"), files(tmp_path / "many")
    assert once.items() <= many.items()
    full = {name for name in many if ".p/" not in name}
    assert not {name for name in many if ".p/" in name and name.partition(".p/")[0] in full}  # a full one replaces it


def test_a_second_export_reads_and_writes_what_is_new_alone(tmp_path):
    ledger = ledger_of(1000)
    first = export(ledger, tmp_path / "log")
    ledger_of(1001, ledger)
    second = export(ledger, tmp_path / "log")

    assert (second.new, second.size) == (1, 1001)
    assert second.files == 4 < first.files  # a tile, its entries, the tile above, the checkpoint
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "log").rglob("*") if path.is_file()}
    assert export(ledger, tmp_path / "log").new == 0
    assert all(
        path.stat().st_mtime_ns == at
        for path, at in times.items()
        if ".p" not in str(path.parent) and path.name != "checkpoint"
    )


def test_an_export_that_was_killed_is_finished_by_the_next(tmp_path):
    ledger = ledger_of(300)
    export(ledger, tmp_path / "log")
    ledger_of(900, ledger)
    export(ledger, tmp_path / "whole")
    for name, data in files(tmp_path / "whole").items():  # all of it was written but the checkpoint; one file half
        if name != "checkpoint":
            path = tmp_path / "log" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data if name != "tile/0/002" else data[:100])
    (tmp_path / "log" / "export.part").write_bytes(b"half")
    check_size = Client(tmp_path / "log").size
    ledger_of(1000, ledger)
    export(ledger, tmp_path / "log")

    assert check_size == 300  # until the end the old state is what the checkpoint promises
    check(tmp_path / "log", 1000)
    assert not (tmp_path / "log" / "export.part").exists()


def test_without_entries_nothing_but_hashes_is_written(tmp_path):
    ledger = ledger_of(300)
    export(ledger, tmp_path / "log", with_entries=False)

    written = files(tmp_path / "log")
    assert not any(name.startswith("tile/entries") for name in written)
    assert not any(b"account:" in data for data in written.values())
    client = Client(tmp_path / "log")
    assert tree_hash(list(client.leaves())) == client.root


def test_hashes_alone_do_not_go_where_entries_are_and_entries_follow_whole(tmp_path):
    ledger = ledger_of(300)
    export(ledger, tmp_path / "log")
    with pytest.raises(InvalidInputError, match="holds entries already"):
        export(ledger, tmp_path / "log", with_entries=False)

    export(ledger, tmp_path / "hashes", with_entries=False)
    ledger_of(600, ledger)
    export(ledger, tmp_path / "hashes")
    check(tmp_path / "hashes", 600)  # the entries of the first 300 as well


def test_a_folder_of_another_log_is_left_as_it_is(tmp_path):
    other = Signer.from_seed("log.example/other", bytes(32))
    (tmp_path / "log").mkdir()
    note = sign_note(
        checkpoint_text(Checkpoint(origin=other.key.name, size=0, root=hashlib.sha256(b"").digest())), other
    )
    (tmp_path / "log" / "checkpoint").write_text(note)
    with pytest.raises(InvalidInputError, match=r"no checkpoint of log.example/tiles"):
        export(ledger_of(3), tmp_path / "log")
    assert files(tmp_path / "log") == {"checkpoint": note.encode()}


def test_a_log_that_was_cut_since_is_not_exported_over_the_longer_one(tmp_path):
    export(ledger_of(10), tmp_path / "log")
    before = files(tmp_path / "log")
    with pytest.raises(ProofError, match=r"a checkpoint of 10 entries .* cut off or rewritten"):
        export(ledger_of(9), tmp_path / "log")
    with pytest.raises(ProofError, match="cut off or rewritten"):
        export(ledger_of(12), tmp_path / "log")  # another history: its entries have other salts
    assert files(tmp_path / "log") == before


def test_a_changed_tile_on_the_way_to_the_root_is_seen_before_the_checkpoint_is_written(tmp_path):
    ledger = ledger_of(600)
    export(ledger, tmp_path / "log")
    tile = tmp_path / "log" / "tile" / "1" / "000.p" / "2"
    tile.write_bytes(bytes(64))
    ledger_of(700, ledger)
    with pytest.raises(ProofError, match="do not make up the checkpoint's root"):
        export(ledger, tmp_path / "log")
    assert Client(tmp_path / "log").size == 600

    shutil.rmtree(tmp_path / "log")
    export(ledger, tmp_path / "log")
    check(tmp_path / "log", 700)


def test_nodes_are_read_back_from_tiles(tmp_path):
    ledger = ledger_of(600)
    export(ledger, tmp_path / "log")
    reader = TileReader(tmp_path / "log", 600)
    leaves = list(Client(tmp_path / "log").leaves())

    assert reader.read(0, 599) == leaves[599]
    assert reader.read(9, 0) == tree_hash(leaves[:512])
    assert reader.read(3, 74) == tree_hash(leaves[592:600])
    assert reader.read(3, 75) == b""
