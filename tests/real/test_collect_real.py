"""The ways in, on real transcripts and real chat.

The data is not part of the project. It is looked for in `../shared/data` beside the repository, or in the folder that
the environment variable `VOLITION_DATA` names, and the tests are skipped without it.
"""

import json
import os
import zipfile
from pathlib import Path

import pytest

from volition.records.ingest import Complete, Draft, Skipped
from volition.records.ingest.slack import read_slack
from volition.records.ingest.webvtt import read_webvtt

DATA = Path(os.environ.get("VOLITION_DATA") or Path(__file__).parents[3] / "shared" / "data")
MEETINGS = sorted(DATA.glob("meetings/*/*.vtt"))
EXPORTS = sorted(DATA.glob("chat/*.zip"))

pytestmark = pytest.mark.skipif(
    not (MEETINGS and EXPORTS), reason=f"no real transcripts and exports in {DATA}; set VOLITION_DATA to their folder"
)


@pytest.mark.slow
@pytest.mark.parametrize("path", MEETINGS, ids=lambda path: path.stem)
def test_every_cue_of_a_real_transcript_is_read_as_its_speaker_and_words(path):
    blocks = [block.split("\n") for block in path.read_text("utf-8").split("\n\n")[1:] if block.strip()]
    expected = [(int(number), *words.split(": ", 1)) for number, _, words, *_ in blocks]

    read_ = list(read_webvtt(path.read_bytes(), source=path.name, account="a", meeting=path.stem, start_us=0))
    items = [item for item in read_ if isinstance(item, Draft)]
    inaudible = [words for _, _, words in expected if words.strip() == "[Inaudible.]"]
    expected = [line for line in expected if line[2].strip() != "[Inaudible.]"]  # a noise is nobody's words
    interrupted = [
        line for line in expected if " The Chair: " in line[2] and line[2].startswith("Answer the question.")
    ]
    assert sum(item.count for item in read_ if isinstance(item, Skipped)) == len(inaudible)
    assert len(read_) == len(items) + bool(inaudible)
    if interrupted:  # the one cue of 103,043 in which two people speak
        [(_, _, words)] = interrupted
        assert words == "Answer the question. The Chair: I'm sorry?"
        items = [item for item in items if item.payload["speaker"] or "I'm sorry?" not in item.payload["text"]]
        expected = [
            (turn, speaker, text.partition(" The Chair: ")[0]) if text == words else (turn, speaker, text)
            for turn, speaker, text in expected
        ]

    read = [(item.payload["turn"], item.payload["speaker"], item.payload["text"]) for item in items]
    if interrupted:  # a cue with two voices is numbered by its place
        read, expected = [line[1:] for line in read], [line[1:] for line in expected]
        assert read == [(speaker, " ".join(words.split())) for speaker, words in expected]
        expected = [(0, *line) for line in expected]
    else:
        assert read == [(turn, speaker, " ".join(words.split())) for turn, speaker, words in expected]
    speakers = {speaker for _, speaker, _ in expected}
    assert all({person.name for person in item.people} == speakers for item in items)
    assert all(item.people[0].name == item.payload["speaker"] for item in items)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_every_message_of_a_real_export_is_read_with_its_author_and_time(path):
    with zipfile.ZipFile(path) as archive:
        users = {user["id"]: user["real_name"] for user in json.loads(archive.read("users.json"))}
        days = sorted(name for name in archive.namelist() if "/" in name)
        messages = [message for day in days for message in json.loads(archive.read(day))]

    read = list(read_slack(path, account="a"))
    items = [item for item in read if isinstance(item, Draft)]

    assert [type(item) for item in read if not isinstance(item, Draft)] == [Complete]
    assert [(item.payload["ts"], item.people[0].id, item.payload["author"]) for item in items] == [
        (message["ts"], message["user"], users[message["user"]]) for message in messages
    ]
    assert len({item.key for item in items}) == len(messages)
    mentioning = [item for item, message in zip(items, messages, strict=True) if "<@U" in message["text"]]
    assert mentioning
    assert not any("<@U" in item.payload["text"] for item in items)
    assert all(f"@{person.name}" in item.payload["text"] for item in mentioning for person in item.people[1:])
