"""Sounds that are made, and a recogniser of them: each word is a tone, so that a test knows what is said on a track.

The recogniser is a real one, of a language of four words. Whisper is tested where its weights are installed.
"""

import wave
from dataclasses import dataclass, field

import numpy as np

from volition.records.ingest.speech import RATE, Said

WORDS = {"yes": 400, "no": 600, "later": 800, "agreed": 1000}
_WORD_S = 0.5


def said(*words, pause_s=0.5):
    """Return samples in which words are said, each half a second, with pauses around each; a number is a pause."""
    pieces = [silence(pause_s)]
    for word in words:
        if isinstance(word, str):
            at = np.arange(int(_WORD_S * RATE)) / RATE
            pieces += [(0.3 * np.sin(2 * np.pi * WORDS[word] * at)).astype(np.float32), silence(pause_s)]
        else:
            pieces.append(silence(word))
    return np.concatenate(pieces)


def silence(seconds):
    return np.zeros(int(seconds * RATE), dtype=np.float32)


def write_wav(path, *channels):
    """Write one sound a channel, of equal length or filled with silence."""
    longest = max(map(len, channels))
    frames = np.stack([np.pad(one, (0, longest - len(one))) for one in channels], axis=1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((frames * 32767).astype("<i2").tobytes())
    return path


@dataclass
class Tones:
    """Hears tones as words, half a second at a time."""

    name: str = "tones"
    heard_s: list = field(default_factory=list)

    def listen(self, samples, *, language):  # noqa: ARG002 - tones are of no language
        self.heard_s.append(len(samples) / RATE)
        window = RATE // 10
        words, found = [], []
        for start in range(0, len(samples) - window + 1, window):
            part = samples[start : start + window]
            loud = np.sqrt(np.mean(part**2)) > 0.01
            hertz = np.abs(np.fft.rfft(part)).argmax() * RATE / window
            words.append(min(WORDS, key=lambda word: abs(WORDS[word] - hertz)) if loud else "")
        for place, word in enumerate(words):
            if word and (not found or found[-1][0] != word or found[-1][2] != place):
                found.append([word, place, place + 1])
            elif word:
                found[-1][2] = place + 1
        return [Said(start_s=start / 10, end_s=end / 10, text=word) for word, start, end in found if end - start > 2]


@dataclass
class Pitches:
    """Tells the voices of tones apart: two words of one pitch are one voice's."""

    heard: int = 0

    def encode(self, lines):
        self.heard += len(lines)
        return [self._vector(line) for line in lines]

    def _vector(self, samples):
        if len(samples) < RATE // 5:
            return None
        hertz = np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples)
        nearest = min(range(len(WORDS)), key=lambda place: abs([*WORDS.values()][place] - hertz))
        return np.eye(len(WORDS), dtype=np.float32)[nearest]
