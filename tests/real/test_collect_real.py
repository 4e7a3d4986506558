"""The ways in, on real transcripts and real chat.

The data is not part of the project. It is looked for in `../shared/data` beside the repository, or in the folder that
the environment variable `VOLITION_DATA` names, and the tests are skipped without it.
"""

import json
import os
import zipfile
from pathlib import Path

import pytest

from volition.records.ingest import Draft
from volition.records.ingest.slack import read_slack
from volition.records.ingest.webvtt import read_webvtt

DATA = Path(os.environ.get("VOLITION_DATA") or Path(__file__).parents[3] / "shared" / "data")
MEETINGS = sorted(DATA.glob("meetings/*/*.vtt"))
EXPORTS = sorted(DATA.glob("chat/*.zip"))

pytestmark = pytest.mark.skipif(
    not (MEETINGS and EXPORTS), reason=f"no real transcripts and exports in {DATA}; set VOLITION_DATA to their folder"
)


@pytest.mark.parametrize("path", MEETINGS, ids=lambda path: path.stem)
def test_every_cue_of_a_real_transcript_is_read_as_its_speaker_and_words(path):
    blocks = [block.split("\n") for block in path.read_text("utf-8").split("\n\n")[1:] if block.strip()]
    expected = [(int(number), *words.split(": ", 1)) for number, _, words, *_ in blocks]

    items = list(read_webvtt(path.read_bytes(), source=path.name, account="a", meeting=path.stem, start_us=0))

    assert all(isinstance(item, Draft) for item in items)
    read = [(item.payload["turn"], item.payload["speaker"], item.payload["text"]) for item in items]
    assert read == [(turn, speaker, " ".join(words.split())) for turn, speaker, words in expected]
    speakers = {speaker for _, speaker, _ in expected}
    assert all({person.name for person in item.people} == speakers for item in items)
    assert all(item.people[0].name == item.payload["speaker"] for item in items)


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_every_message_of_a_real_export_is_read_with_its_author_and_time(path):
    with zipfile.ZipFile(path) as archive:
        users = {user["id"]: user["real_name"] for user in json.loads(archive.read("users.json"))}
        days = sorted(name for name in archive.namelist() if "/" in name)
        messages = [message for day in days for message in json.loads(archive.read(day))]

    items = list(read_slack(path, account="a"))

    assert all(isinstance(item, Draft) for item in items)
    assert [(item.payload["ts"], item.people[0].id, item.payload["author"]) for item in items] == [
        (message["ts"], message["user"], users[message["user"]]) for message in messages
    ]
    assert len({item.key for item in items}) == len(messages)
    mentioning = [item for item, message in zip(items, messages, strict=True) if "<@U" in message["text"]]
    assert mentioning
    assert not any("<@U" in item.payload["text"] for item in items)
    assert all(f"@{person.name}" in item.payload["text"] for item in mentioning for person in item.people[1:])
