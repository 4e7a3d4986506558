"""Sound files, read piece by piece and written small (decoding, by PyAV; no program of the system is needed).

What a file is, is told by what it holds and not by its name. A piece is at most a minute, so that ten hours need no
more memory than one; it ends where it is quietest, so that no word is cut. The pieces of a file depend on its sound
alone: read again, they are the same.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError, require_extra
from volition.records.ingest.speech import RATE

if TYPE_CHECKING:
    from av.container import InputContainer

Samples = NDArray[np.float32]

PIECE_S: Final = 60
"""The longest piece, in seconds."""
LONGEST_S: Final = 24 * 3600
"""The longest recording that is read, in seconds."""
MEDIA_TYPE: Final = "audio/mpeg"
"""What `write_small` writes."""

_CUT_S: Final = 10  # before the end of a piece, where a quiet place is looked for
_WINDOW: Final = RATE // 10
_GAP_S: Final = 0.1  # missing sound shorter than this is a matter of rounding
_SILENT: Final = 10 ** (-55 / 20)  # of full scale: quieter is nobody's voice
_BITS: Final = 32_000  # a second, of what is written


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFile:
    """What a sound file says of itself.

    Attributes:
        duration_s: How long it is, in seconds; 0 where it does not say.
        channels: How many it has.
        has_video: Whether it has moving pictures.
    """

    duration_s: float
    channels: int
    has_video: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of sound: when it begins in the file, milliseconds, and its samples, `RATE` a second."""

    start_ms: int
    samples: Samples

    @property
    def end_ms(self) -> int:
        """When it ends, milliseconds."""
        return self.start_ms + len(self.samples) * 1000 // RATE

    @property
    def is_silent(self) -> bool:
        """Whether nobody can be heard in it."""
        return loudest(self.samples) < _SILENT

    def between(self, start_ms: int, end_ms: int) -> Samples:
        """Return what of it lies between two instants of the file, milliseconds (the last not included)."""
        first, last = ((one - self.start_ms) * RATE // 1000 for one in (start_ms, end_ms))
        return self.samples[max(0, first) : max(0, last)]


class CutShortError(InvalidInputError):
    """A file ends early, or is damaged from some place on; what lies before was read."""


def probe(path: Path) -> SoundFile:
    """Look at what a file holds.

    Raises:
        MissingExtraError: PyAV is not installed.
        InvalidInputError: The file is empty, holds no sound, or is longer than `LONGEST_S`.
    """
    with _opened(path) as container:
        stream = container.streams.audio[0]
        length = 0.0 if container.duration is None else container.duration / 1_000_000
        _check_length(path, length)
        pictures = [one for one in container.streams.video if not one.disposition.value & _ATTACHED]
        return SoundFile(duration_s=length, channels=stream.codec_context.channels, has_video=bool(pictures))


_ATTACHED: Final = 0x400  # AV_DISPOSITION_ATTACHED_PIC: a picture of the cover is no video


def pieces(path: Path, *, channel: int | None = None) -> Iterator[Piece]:
    """Yield the sound of a file in pieces, of one channel (from 0) or of all mixed.

    Raises:
        InvalidInputError: As `probe`; or there is no such channel.
        CutShortError: Something in it cannot be read; every piece before was yielded.
    """
    held: list[Samples] = []
    length = start = 0
    fault: CutShortError | None = None
    heard = _heard(path, channel)
    while True:
        try:
            some = next(heard, None)
        except CutShortError as error:
            some, fault = None, error
        if some is None:
            break
        held.append(some)
        length += len(some)
        if length >= PIECE_S * RATE:
            whole = np.concatenate(held)
            cut = _quietest(whole[: PIECE_S * RATE])
            yield Piece(start_ms=start * 1000 // RATE, samples=whole[:cut])
            held, length, start = [whole[cut:]], length - cut, start + cut
            _check_length(path, start / RATE)
    if length:
        yield Piece(start_ms=start * 1000 // RATE, samples=np.concatenate(held))
    if fault is not None:
        raise fault


def loudest(samples: Samples) -> float:
    """Return the loudness of the loudest tenth of a second, as a root mean square from 0 to 1; 0 for no sound."""
    whole = len(samples) // _WINDOW * _WINDOW
    if not whole:
        return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
    return float(_loudness(samples[:whole]).max())


def only(piece: Piece, spans_ms: tuple[tuple[int, int], ...]) -> Piece:
    """Return a piece in which everything outside of some stretches of the file is silence."""
    kept = np.zeros_like(piece.samples)
    for start_ms, end_ms in spans_ms:
        first, last = (max(0, (at - piece.start_ms) * RATE // 1000) for at in (start_ms, end_ms))
        kept[first:last] = piece.samples[first:last]
    return Piece(start_ms=piece.start_ms, samples=kept)


def write_small(samples: Samples) -> bytes:
    """Return sound as MP3, a file of its own: small, and played by every browser."""
    require_extra("av", what="Keeping recordings")
    import av  # noqa: PLC0415 - it loads the codecs
    from av.audio.frame import AudioFrame  # noqa: PLC0415

    out = io.BytesIO()
    with av.open(out, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=RATE, layout="mono", bit_rate=_BITS)
        whole = np.clip(samples * 32767, -32768, 32767).astype(np.int16)
        frame = AudioFrame.from_ndarray(whole[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return out.getvalue()


def _loudness(samples: Samples) -> Samples:
    """Return the loudness of each tenth of a second."""
    windows: Samples = np.sqrt(np.mean(samples.reshape(-1, _WINDOW) ** 2, axis=1))
    return windows


def _quietest(samples: Samples) -> int:
    """Return the middle of the quietest tenth of a second near the end, as a number of samples."""
    first = len(samples) - _CUT_S * RATE
    return first + int(_loudness(samples[first:]).argmin()) * _WINDOW + _WINDOW // 2


def _opened(path: Path) -> "InputContainer":
    require_extra("av", what="Reading recordings")
    import av  # noqa: PLC0415 - it loads the codecs

    try:
        if path.stat().st_size == 0:
            raise InvalidInputError(f"{path.name} is empty. Record or download it again.")
        container: InputContainer = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, av.error.FFmpegError):
            raise InvalidInputError(f"{path} cannot be read: {error.strerror}. Check the path.") from error
        msg = f"{path.name} is no recording that can be read, whatever its name says: {_said(error)}."
        raise InvalidInputError(msg) from error
    if not container.streams.audio:
        container.close()
        raise InvalidInputError(f"{path.name} holds no sound. Name the file that holds what was said.")
    return container


def _heard(path: Path, channel: int | None) -> Iterator[Samples]:
    """Yield the sound of a file as it is decoded, `RATE` samples a second; where some is missing, silence."""
    import av  # noqa: PLC0415 - it loads the codecs

    with _opened(path) as container:
        stream = container.streams.audio[0]
        channels = stream.codec_context.channels
        if channel is not None and not 0 <= channel < channels:
            raise InvalidInputError(f"{path.name} has no channel {channel + 1}: it has {channels}.")
        layout = "mono" if channel is None else stream.codec_context.layout.name
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=RATE)
        done = 0
        try:
            for frame in container.decode(stream):
                for small in resampler.resample(frame):
                    heard = small.to_ndarray()[channel or 0]
                    at = done if small.time is None else round(small.time * RATE)
                    for length in _silences(at - done):
                        done += length
                        _check_length(path, done / RATE)
                        yield np.zeros(length, dtype=np.float32)
                    done += len(heard)
                    yield heard
            for small in resampler.resample(None):
                yield small.to_ndarray()[channel or 0]
        except av.error.FFmpegError as error:
            if not done:
                msg = f"{path.name} is damaged: no sound in it can be read ({_said(error)})."
                raise InvalidInputError(msg) from error
            minutes, seconds = divmod(done // RATE, 60)
            msg = f"{path.name} is damaged after {minutes}:{seconds:02}: {_said(error)}. What lies before was read."
            raise CutShortError(msg) from error
        if not done:
            raise InvalidInputError(f"{path.name} holds no sound at all. Record or download it again.")


def _silences(missing: int) -> Iterator[int]:
    """Yield the lengths of the silences that stand for missing samples, a second each: a gap takes no memory."""
    if missing > _GAP_S * RATE:
        while missing > 0:
            yield min(missing, RATE)
            missing -= RATE


def _check_length(path: Path, length_s: float) -> None:
    if length_s > LONGEST_S:
        hours = LONGEST_S // 3600
        raise InvalidInputError(f"{path.name} is longer than {hours} hours. Cut it, and collect each part by itself.")


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
