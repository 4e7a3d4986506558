"""Files and folders appear whole or not at all."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from volition.files import sweep, turn, write_file, write_folder


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_is_written_and_written_over(tmp_path):
    for data in (b"one", b"", b"three"):
        write_file(tmp_path / "f", data)
        assert (tmp_path / "f").read_bytes() == data
    assert names(tmp_path) == ["f"]


def test_a_file_that_cannot_be_written_leaves_the_one_that_was_there(tmp_path):
    write_file(tmp_path / "f", b"one")
    (tmp_path / "f.part").mkdir()  # so that writing aside fails
    with pytest.raises(OSError):
        write_file(tmp_path / "f", b"two")
    assert (tmp_path / "f").read_bytes() == b"one"


def test_a_reader_never_sees_a_part_of_a_file(tmp_path):
    sizes = (10, 3_000_000)
    write_file(tmp_path / "f", b"x" * sizes[0])
    done = threading.Event()

    def read():
        seen = set()
        while not done.is_set():
            seen.add(len((tmp_path / "f").read_bytes()))
        return seen

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for turn_number in range(12):
            write_file(tmp_path / "f", b"x" * sizes[turn_number % 2])
        done.set()
        assert reading.result() <= set(sizes)


def test_a_folder_is_written_with_all_its_files_and_once(tmp_path):
    write_folder(tmp_path / "all" / "one", {"a": b"1", "deep/er/b": b"2"})
    write_folder(tmp_path / "all" / "one", {"a": b"other"})
    assert names(tmp_path / "all") == ["one", "one/a", "one/deep", "one/deep/er", "one/deep/er/b"]
    assert (tmp_path / "all" / "one" / "a").read_bytes() == b"1"


def test_a_folder_that_cannot_be_written_does_not_appear(tmp_path):
    with pytest.raises(OSError):
        write_folder(tmp_path / "all" / "one", {"a": b"1", "a/b": b"2"})
    assert names(tmp_path / "all") == []


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path):
    (tmp_path / "old.part").mkdir()
    (tmp_path / "old.part" / "a").write_text("x")
    (tmp_path / "file.part").write_text("x")
    write_folder(tmp_path / "new", {"a": b"1"})
    assert names(tmp_path) == ["new", "new/a"]
    (tmp_path / "old.part").mkdir()
    sweep(tmp_path)
    assert names(tmp_path) == ["new", "new/a"]


def test_writers_of_one_folder_take_turns(tmp_path):
    inside = []

    def work(number):
        with turn(tmp_path):
            inside.append(number)
            assert inside == [number]
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))


def test_many_writers_of_the_same_folder_make_it_once(tmp_path):
    files = {f"f{number}": b"x" * 1000 for number in range(8)}
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: write_folder(tmp_path / "one", files), range(6)))
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == files
    assert names(tmp_path)[0] == "one"
