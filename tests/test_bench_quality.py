"""The benchmark of quality looks at its folders before its minutes of work, and measures chat from a folder of its own."""

from argparse import Namespace

import pytest

from bench.quality.families import FAMILIES, check_folders, find_reports, run
from volition.errors import InvalidInputError


def fill(folder, kind):
    """Lay out a folder of meetings with their gold file, or of chat."""
    folder.mkdir(parents=True)
    if kind == "meetings":
        (folder / "one.vtt").write_text("WEBVTT\n")
        folder.with_name(f"{folder.name}.gold.jsonl").write_text("")
    else:
        (folder / "team.zip").write_bytes(b"")
        (folder / "team.conversations.jsonl").write_text("")
    return folder


@pytest.fixture
def data(tmp_path):
    for part in ("train", "val"):
        fill(tmp_path / "data" / "meetings" / part, "meetings")
    fill(tmp_path / "data" / "chat", "chat")
    return tmp_path / "data"


def test_without_a_report_everything_is_measured_on_the_data(data):
    reports = find_reports(data, None)
    assert reports == {"meetings": data / "meetings" / "val", "chat": data / "chat"}
    assert check_folders(data / "meetings" / "train", reports, only=None) == list(FAMILIES)


@pytest.mark.parametrize(
    ("kind", "measured"), [("meetings", ["search", "summary", "topics"]), ("chat", ["compose", "recommend"])]
)
def test_a_report_of_meetings_or_of_chat_measures_what_it_holds(data, tmp_path, kind, measured):
    report = fill(tmp_path / "held-out", kind)
    reports = find_reports(data, report)
    assert reports == {kind: report}
    assert check_folders(data / "meetings" / "train", reports, only=None) == [*measured, "diagnose"]
    other = next(name for name, of in FAMILIES.items() if of and of != kind)
    with pytest.raises(InvalidInputError, match=f"{other} cannot be measured on it"):
        check_folders(data / "meetings" / "train", reports, only=other)


def test_a_report_with_both_kinds_is_measured_on_both(data, tmp_path):
    report = {kind: fill(tmp_path / "held-out" / kind, kind) for kind in ("meetings", "chat")}
    assert find_reports(data, tmp_path / "held-out") == report


@pytest.mark.parametrize(
    ("gone", "only", "told"),
    [
        ("meetings/val.gold.jsonl", None, "not both there"),
        ("meetings/train.gold.jsonl", "search", "not both there"),
        ("chat/team.zip", None, "no Slack export"),
        ("chat/team.conversations.jsonl", "recommend", "has no team.conversations.jsonl"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_measured(data, gone, only, told):
    (data / gone).unlink()
    with pytest.raises(InvalidInputError, match=told):
        run(Namespace(data=str(data), report=None, only=only, cache=None))


def test_an_empty_report_and_an_unknown_family_are_refused(data, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInputError, match="holds no transcript"):
        run(Namespace(data=str(data), report=str(tmp_path / "empty"), only=None, cache=None))
    with pytest.raises(InvalidInputError, match="no family 'prose'"):
        run(Namespace(data=str(data), report=None, only="prose", cache=None))
