"""Forms of a record: of a changed one the newest lies in the lake, and what its source takes back lies there no more."""

from dataclasses import replace

import pytest

from simulator import START_US, world_in


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        made.everyone_says("yes")
        yield made


def ids(rows):
    return sorted(row.record_id for row in rows)


def taken_back(world, *, present=(), stretch_us=(START_US, START_US + 10), sure_us=START_US + 10):
    """Say what a source still has of a channel; return how many records that removed."""
    return world.lake.remove_others(
        "acme",
        "general",
        category="content/chat",
        origin="C1",
        stretch_us=stretch_us,
        sure_us=sure_us,
        present=[record.record_id for record in present],
    )


def said(world, *at, origin="C1", **more):
    """Put messages in the lake that a channel of a source has, so many microseconds after the start."""
    records = [
        replace(world.record(f"{origin}-{after}", at_us=START_US + after, **more), origin=origin) for after in at
    ]
    world.lake.append(records)
    return records


def test_what_a_source_has_taken_back_is_removed_from_the_stretch_that_it_gave(world):
    before, first, kept, last = said(world, 0, 1, 5, 9)
    [other] = said(world, 6, origin="C2")
    [elsewhere] = said(world, 7, channel="random")
    assert taken_back(world, present=[kept], stretch_us=(START_US + 1, START_US + 10)) == 2
    assert ids(world.rows()) == ids([before, kept, other, elsewhere])
    assert taken_back(world, present=[kept], stretch_us=(START_US + 1, START_US + 10)) == 0
    assert world.lake.append([first, last]).stored == 0  # what was taken back stays away


def test_an_input_that_may_be_old_removes_nothing_after_the_instant_of_which_it_is_sure(world):
    sure, later, beyond = said(world, 3, 4, 10)
    assert taken_back(world, sure_us=START_US + 3) == 1
    assert ids(world.rows()) == ids([later, beyond])
    assert taken_back(world, sure_us=START_US + 20) == 1  # sure of more than its stretch
    assert ids(world.rows()) == ids([beyond])
    assert sure.record_id not in ids(world.rows())


def test_an_input_that_is_the_newest_is_believed_for_its_whole_stretch(world):
    said(world, 3, 9)
    assert taken_back(world, sure_us=START_US + 3) == 2
    assert world.rows() == []


def test_a_newer_form_takes_the_place_of_an_older_one_and_never_the_reverse(world):
    def form(text, version):
        return replace(world.record("k", at_us=START_US, text=text), version=version)

    def append(*which):
        done = world.lake.append([form(*one) for one in which])
        return done.stored, done.known, done.replaced, done.outdated, done.other

    def texts():
        return [row.payload["text"] for row in world.rows()]

    assert append(("one", 1)) == (1, 0, 0, 0, 0)
    assert append(("three", 3))[2:] == (1, 0, 0)
    assert texts() == ["three"]
    assert append(("two", 2))[2:] == (0, 1, 0)
    assert append(("three", 5))[2:] == (0, 0, 0)  # the same content, and newer than was known
    assert append(("four", 4))[2:] == (0, 1, 0)
    assert append(("unnumbered", None))[2:] == (0, 0, 1)
    assert texts() == ["three"]
    assert append(("six", 6))[2:] == (1, 0, 0)
    assert append(("seven", 7))[2:] == (1, 0, 0)
    assert texts() == ["seven"]
    assert world.lake.size() == {"content/chat": 1}


def test_of_two_newer_forms_each_record_gets_its_own(world):
    first = [replace(world.record(key, at_us=START_US, text=f"old {key}"), version=1) for key in ("a", "b")]
    newer = [replace(world.record(key, at_us=START_US, text="new"), version=2) for key in ("a", "b")]
    world.lake.append(first)
    assert world.lake.append(newer).replaced == 2
    assert len(set(ids(world.rows()))) == 2
    assert [row.payload["text"] for row in world.rows()] == ["new", "new"]
