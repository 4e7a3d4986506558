"""Lines of one track grouped by voice (speaker clustering): which sound alike, and never whose they are.

- A voice embedding is biometric. It is computed from the sound of a line, compared with those of the same track, and
  forgotten with the call: nothing here writes one down, and voices of two recordings are never compared.
- A group is no name. It says which lines to read one after another; a person says who speaks in them.
- In doubt a line is in no group: too short, or like no other.

The encoder is the one that Resemblyzer publishes (GE2E: three LSTM layers over a mel spectrogram). Its weights lie in a
package that is installed without what it depends on; of that package nothing is imported but the file, which is taken
only if it has the very digest that is written here, and read as numbers at fixed places, never unpickled.

Sources: GE2E, Wan et al. 2018, arXiv:1710.10467; mel scale, Slaney 1998.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from volition.errors import BackendError
from volition.records.ingest.speech import RATE

Floats = NDArray[np.float32]

PACKAGE: Final = "resemblyzer==0.1.4"
"""What installs the weights: Apache-2.0, 17 MB."""
SHA256: Final = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
"""Digest of its file."""
ALIKE: Final = 0.85
"""The least likeness (cosine) of a line with its group; chosen on the real voices that `bench speech` measures."""
SHORTEST_S: Final = 1.6
"""The least speech in a line, in seconds: what the encoder hears at once."""

_BANDS: Final = 40
_FRAME: Final = RATE * 25 // 1000
_STEP: Final = RATE // 100
_WINDOW: Final = 160  # frames that the encoder hears at once
_APART: Final = 77  # frames from one window to the next
_LOUD: Final = 10 ** (-30 / 20)  # what quieter sound is raised to
_QUIET: Final = 10 ** (-50 / 20)  # quieter is no speech
_BLOCK: Final = RATE * 30 // 1000
_ROUNDS: Final = 3
_AT_ONCE: Final = 64  # windows that are encoded together

_PLACES: Final = {  # where a tensor lies in the file, and its shape; all are little-endian float32
    "in0": (269_883, (1024, _BANDS)),
    "own0": (433_723, (1024, 256)),
    "in1": (1_482_299, (1024, 256)),
    "own1": (2_530_875, (1024, 256)),
    "in2": (3_579_451, (1024, 256)),
    "own2": (4_628_027, (1024, 256)),
    "in_bias0": (5_676_603, (1024,)),
    "own_bias0": (5_680_699, (1024,)),
    "in_bias1": (5_684_795, (1024,)),
    "own_bias1": (5_688_891, (1024,)),
    "in_bias2": (5_692_987, (1024,)),
    "own_bias2": (5_697_083, (1024,)),
    "out": (7_731, (256, 256)),
    "out_bias": (6_699, (256,)),
}


class VoiceEncoder(Protocol):
    """Turns the sound of lines into vectors; those of one voice are alike."""

    def encode(self, lines: Sequence[Floats]) -> list[Floats | None]:
        """Return a vector of length 1 for each line; none where there is too little speech in it.

        Args:
            lines: The samples of each, shape (samples,), from -1 to 1, `RATE` a second.
        """
        ...


def find_voice_encoder() -> "GE2E":
    """Return the encoder whose weights are installed.

    Raises:
        BackendError: They are not, or are not those that are known here.
    """
    spec = find_spec("resemblyzer")
    if spec is None or spec.origin is None:
        raise BackendError(f"No weights for grouping voices are installed: pip install --no-deps {PACKAGE}")
    data = (Path(spec.origin).parent / "pretrained.pt").read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        msg = "The weights for grouping voices are not those that are known here. Install them again: "
        raise BackendError(f"{msg}pip install --no-deps {PACKAGE}")
    return GE2E(
        {
            name: np.frombuffer(data, np.dtype("<f4"), int(np.prod(shape)), place).reshape(shape)
            for name, (place, shape) in _PLACES.items()
        }
    )


class GE2E:
    """The encoder of Resemblyzer, in plain numpy."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        """Take the weights, by the names of `_PLACES`."""
        self._weights = weights

    def encode(self, lines: Sequence[Floats]) -> list[Floats | None]:
        """Return the vector of each line, shape (256,); see `VoiceEncoder`."""
        windows = [_windows(line) for line in lines]
        heard = [some for some in windows if some is not None]
        if not heard:
            return [None for _ in lines]
        together = np.concatenate(heard)  # many windows at once: the weights are read once for all
        vectors = np.concatenate(
            [self._heard(together[first : first + _AT_ONCE]) for first in range(0, len(together), _AT_ONCE)]
        )
        found, first = list[Floats | None](), 0
        for some in windows:
            count = 0 if some is None else len(some)
            found.append(_unit(vectors[first : first + count].mean(axis=0)) if count else None)
            first += count
        return found

    def _heard(self, windows: Floats) -> Floats:
        """Return the vector of each window, shape (windows, 256)."""
        given = windows
        for layer in range(3):
            given = self._layer(given, layer)
        raw = np.maximum(given[:, -1] @ self._weights["out"].T + self._weights["out_bias"], 0)
        return _unit(raw)

    def _layer(self, given: Floats, layer: int) -> Floats:
        """Run an LSTM layer: shape (windows, frames, inputs) to (windows, frames, 256)."""
        width = self._weights["out"].shape[0]
        bias = self._weights[f"in_bias{layer}"] + self._weights[f"own_bias{layer}"]
        gates = given @ self._weights[f"in{layer}"].T + bias
        own = self._weights[f"own{layer}"].T
        state = hidden = np.zeros((len(given), width), np.float32)
        found = np.empty((*given.shape[:2], width), np.float32)
        for frame in range(given.shape[1]):
            gate = gates[:, frame] + hidden @ own  # input, forget, new, output
            new = np.tanh(gate[:, 2 * width : 3 * width])
            is_open = _sigmoid(gate)
            state = is_open[:, width : 2 * width] * state + is_open[:, :width] * new
            hidden = is_open[:, 3 * width :] * np.tanh(state)
            found[:, frame] = hidden
        return found


def group_voices(vectors: Sequence[Floats | None]) -> list[int | None]:
    """Return the group of each line of a track, from 1 in the order of speaking; none for a line that is in no group.

    Args:
        vectors: Of each line in the order of speaking, length 1; none for lines that have none.
    """
    places = [place for place, vector in enumerate(vectors) if vector is not None]
    groups: list[int | None] = [None] * len(vectors)
    if not places:
        return groups
    known = np.stack([vector for vector in vectors if vector is not None])
    labels = _first_groups(known)
    for _ in range(_ROUNDS):  # each goes to the group that it is most like, now that they are all there
        centres = _unit(np.stack([known[labels == label].sum(axis=0) for label in np.unique(labels)]))
        likeness = known @ centres.T
        labels = likeness.argmax(axis=1)
    is_sure = likeness.max(axis=1) >= ALIKE
    numbers: dict[int, int] = {}
    for place, label, sure in zip(places, labels.tolist(), is_sure.tolist(), strict=True):
        if sure and np.count_nonzero(is_sure & (labels == label)) > 1:
            groups[place] = numbers.setdefault(label, len(numbers) + 1)
    return groups


def _first_groups(vectors: Floats) -> NDArray[np.intp]:
    """Put each vector into the likest group before it, or into a new one."""
    sums: list[Floats] = []
    labels = np.zeros(len(vectors), np.intp)
    for place, vector in enumerate(vectors):
        likeness = _unit(np.stack(sums)) @ vector if sums else np.zeros(0, np.float32)
        if sums and likeness.max() >= ALIKE:
            labels[place] = likeness.argmax()
            sums[labels[place]] = sums[labels[place]] + vector
        else:
            labels[place] = len(sums)
            sums.append(vector)
    return labels


def _windows(samples: Floats) -> Floats | None:
    """Return what the encoder hears of a line, shape (windows, frames, bands); none where there is too little."""
    heard = _speech(samples)
    if len(heard) < SHORTEST_S * RATE:
        return None
    mel = _mel(heard)
    return np.stack([mel[start : start + _WINDOW] for start in range(0, max(1, len(mel) - _WINDOW + 1), _APART)])


def _speech(samples: Floats) -> Floats:
    """Return sound without its pauses, raised where it is quiet."""
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    if not len(blocks):
        return np.zeros(0, np.float32)
    loudness = np.sqrt(np.mean(blocks**2, axis=1))
    is_loud = loudness > max(_QUIET, 0.08 * float(np.quantile(loudness, 0.95)))
    near = np.convolve(is_loud, np.ones(7), "same") > 0  # a tenth of a second around it belongs to it
    heard = blocks[near].ravel()
    if not len(heard):
        return heard
    level = float(np.sqrt(np.mean(heard**2)))
    return heard * np.float32(max(1.0, _LOUD / level))


def _mel(samples: Floats) -> Floats:
    """Return the power in each mel band of each hundredth of a second, shape (frames, 40)."""
    padded = np.pad(samples, _FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_STEP]
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    power: Floats = (np.abs(np.fft.rfft(frames * window, axis=1)) ** 2).astype(np.float32)
    mel: Floats = power @ _filters().T
    return mel


@cache
def _filters() -> Floats:
    """Return the mel filters, shape (bands, frequencies): triangles of equal area, linear below 1 kHz."""
    low, step = 1000.0, 200 / 3
    growth = np.log(6.4) / 27
    top = low / step + np.log(RATE / 2 / low) / growth
    marks = np.linspace(0, top, _BANDS + 2)
    hertz = np.where(marks < low / step, marks * step, low * np.exp(growth * (marks - low / step)))
    away = hertz[:, None] - np.linspace(0, RATE / 2, _FRAME // 2 + 1)[None]
    width = np.diff(hertz)
    rising, falling = -away[:-2] / width[:-1, None], away[2:] / width[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (hertz[2:] - hertz[:-2]))[:, None]
    return filters.astype(np.float32)


def _sigmoid(values: Floats) -> Floats:
    result: Floats = 0.5 + 0.5 * np.tanh(0.5 * values)
    return result


def _unit(vectors: Floats) -> Floats:
    """Return vectors with length 1, along the last axis."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    unit: Floats = (vectors / lengths).astype(np.float32)
    return unit
