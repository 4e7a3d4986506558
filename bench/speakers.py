"""Speakers: of real transcripts, how many cues have another speaker than the label that they are written with.

Every cue of the transcripts is `Name: text`, so what is right is known. They are read twice: as they are, and with the
label on the first sentence of each cue alone, every further sentence a cue of its own that must be inherited. Counted
are the cues that are somebody else's, which must never be, and those whose speaker is unknown, which costs only use.
"""

import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.meetings import machine
from volition.consent.spellings import is_nobody
from volition.errors import InvalidInputError
from volition.records.ingest.speakers import name_key, voices_of

_SENTENCE: Final = re.compile(r"(?<=[.?!])\s+")
_MOST_UNKNOWN: Final = 0.005


def run(args: Namespace) -> dict[str, Any]:
    """Count, over the meetings in `--data`."""
    if not args.data:
        raise InvalidInputError("Name the folder of real data with --data.")
    files = sorted(Path(args.data).glob("meetings/*/*.vtt"))
    if not files:
        raise InvalidInputError(f"{args.data} has no meetings/*/*.vtt.")
    whole, sentences = _Count(), _Count()
    for path in files[: args.meetings]:
        cues = list(_cues(path))
        whole.add([f"{name}: {text}" for name, text in cues], [name for name, _ in cues])
        split = [(name, place, part) for name, text in cues for place, part in enumerate(_SENTENCE.split(text))]
        sentences.add([part if place else f"{name}: {part}" for name, place, part in split], [one[0] for one in split])
    unknown = sentences.unknown / sentences.cues
    goals = [
        {"name": "cues as written with another speaker", "value": whole.other, "at_most": 0, "met": whole.other == 0},
        {"name": "sentences without", "value": unknown, "at_most": _MOST_UNKNOWN, "met": unknown <= _MOST_UNKNOWN},
    ]
    figures: dict[str, Any] = {"as written": whole.figures(), "a cue for each sentence": sentences.figures()}
    figures |= {f"example {n}": text for n, text in enumerate((*whole.examples, *sentences.examples), 1)}
    return {"bench": "speakers", "figures": figures, "goals": goals, "machine": machine()}


class _Count:
    """How many cues there were, and how many have not the speaker that they should have."""

    def __init__(self) -> None:
        self.cues = self.other = self.unknown = self.placeholders = 0
        self.examples: list[str] = []

    def add(self, texts: list[str], names: list[str]) -> None:
        speaker = ""
        for text, name, voices in zip(texts, names, voices_of(texts, []), strict=True):
            speaker = speaker if voices[0].name is None else voices[0].name
            self.cues += 1
            self.placeholders += is_nobody(name)
            if not speaker:
                self.unknown += 1
            elif name_key(speaker) != name_key(name):
                self.other += 1
                if len(self.examples) < 4:
                    self.examples.append(f"{speaker} for {name}: {text[:100]}")
            speaker = next((voice.name for voice in reversed(voices) if voice.name is not None), speaker)

    def figures(self) -> dict[str, int]:
        return {
            "cues": self.cues,
            "somebody else's": self.other,
            "of an unknown speaker": self.unknown,
            "of a placeholder": self.placeholders,
        }


def _cues(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the words of each cue."""
    for block in path.read_text("utf-8").split("\n\n")[1:]:
        if block.strip():
            name, _, text = block.split("\n")[2].partition(": ")
            yield name, text
