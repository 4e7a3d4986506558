"""A sample of the harness of faults: what it finds held stays held, and it finds what is not."""

import shutil
from collections import Counter

import pytest

from bench.faults.checks import is_after, is_between, is_left
from bench.faults.commands import story
from bench.faults.run import trials

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc): no faults can be made")


@pytest.mark.slow
@needs_compiler
def test_a_sample_of_faults_is_held():
    found = list(trials(only=["init", "account add"], most=2))
    assert {(one["command"], one["kind"]) for one in found} >= {
        (command, kind) for command in ("init", "account add") for kind in ("kill", "tear", "full", "fail")
    }
    assert [one for one in found if one["wrong"]] == []


def test_the_checks_tell_what_is_neither_before_nor_after():
    before, after = {"ledger": 3, "people": 1}, {"ledger": 4, "people": 2}
    assert is_between({"ledger": 3, "people": 2}, before, after) == ""
    assert is_between({"ledger": 2, "people": 2}, before, after) == "ledger: 2, before 3, after 4"
    assert is_after({"ledger": 5, "people": 2}, after, grows=True) == ""
    assert "people: 1, not 2" in is_after({"ledger": 4, "people": 1}, after, grows=True)


def test_the_checks_tell_what_is_left_and_what_is_missing():
    after = Counter({"models/*/record.json": 1, "lake/index.db": 1})
    assert is_left(after, after, grows=False) == ""
    assert is_left(after + Counter({"lake/writing": 1}), after, grows=True) == "left: lake/writing (1)"
    assert is_left(after + Counter({"models/x.part": 1}), after, grows=True) == "left: models/x.part (1)"
    laid_out = after + Counter({"lake/records/content/chat/7-*.parquet": 1})
    assert (is_left(laid_out, after, grows=False, in_parts=True), is_left(laid_out, after, grows=True)[:4]) == (
        "",
        "left",
    )
    assert is_left(after - Counter({"lake/index.db": 1}), after, grows=True) == "missing: lake/index.db (1)"


def test_the_story_names_every_command_once():
    names = [command.name for command in story()]
    assert len(names) == len(set(names))
