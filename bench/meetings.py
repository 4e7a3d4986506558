"""Real meetings as rows: transcripts in WebVTT and, beside their folder, FOLDER.gold.jsonl with queries and summaries.

The transcripts come in through the product's own reader. A query with the turns that answer it stands for a search
whose hit somebody opened.
"""

import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json, digest
from volition.errors import InvalidInputError
from volition.learning.encoder import Encoder
from volition.progress import Progress
from volition.records.ingest import Draft, Reject
from volition.records.ingest.webvtt import read_webvtt
from volition.records.lake import Row

TO_MB: Final = 1e-6 if sys.platform == "darwin" else 1024e-6  # from `ru_maxrss`: bytes there, kibibytes elsewhere
_START_US = 1_767_225_600_000_000  # 2026-01-01; the transcripts do not say when they were made
_RESAMPLES = 2000
_GROUPS = (("ES", "design"), ("IS", "design"), ("TS", "design"), ("B", "research"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A transcript with what people said about it.

    Attributes:
        name: Its id.
        gold: Its line of the gold file: `summary`, `queries` with `cues`, `topics`.
        segments: Its turns, as rows.
    """

    name: str
    gold: dict[str, Any]
    segments: tuple[Row, ...]

    @property
    def group(self) -> str:
        """Where it comes from: "design", "research" or "parliament"."""
        return next((group for start, group in _GROUPS if self.name.startswith(start)), "parliament")

    def clicks(self) -> Iterator[Row]:
        """Yield its queries as opened hits, one event for each range of turns that answers."""
        for query in self.gold["queries"]:
            for first, last in query["cues"]:
                attributes = {
                    "search.query": query["query"],
                    "search.meeting": self.name,
                    "search.first_turn": first,
                    "search.last_turn": last,
                }
                yield _row(
                    f"click:{self.name}:{query['query']}:{first}",
                    (_pseudonym(f"{self.name}/reader"),),
                    "service/usage",
                    {"kind": "event", "name": "search.opened", "attributes": attributes, "body": None},
                )


def read_meetings(folder: Path) -> list[Meeting]:
    """Read every meeting of a folder, sorted by name.

    Raises:
        InvalidInputError: The folder or its gold file is not there, or a transcript has cues that cannot be read.
    """
    lines = [json.loads(line) for line in check_meetings(folder).read_text(encoding="utf-8").splitlines()]
    golds = sorted(lines, key=lambda gold: str(gold["meeting"]))
    return [
        Meeting(name=gold["meeting"], gold=gold, segments=tuple(_segments(folder / f"{gold['meeting']}.vtt")))
        for gold in golds
    ]


def check_meetings(folder: Path) -> Path:
    """Return the gold file of a folder of meetings.

    Raises:
        InvalidInputError: The folder or its gold file is not there.
    """
    gold_file = folder.with_name(f"{folder.name}.gold.jsonl")
    if not gold_file.is_file() or not folder.is_dir():
        msg = f"{folder} and {gold_file} are not both there. Give the folder of transcripts; its gold file lies beside."
        raise InvalidInputError(msg)
    return gold_file


def _segments(path: Path) -> Iterator[Row]:
    source, meeting = path.name, path.stem
    for draft in read_webvtt(path.read_bytes(), source=source, account="bench", meeting=meeting, start_us=_START_US):
        if isinstance(draft, Reject):
            msg = f"{path}, {draft.where}: {draft.why}"
            raise InvalidInputError(msg)
        if isinstance(draft, Draft):  # and no count of noises
            people = tuple(_pseudonym(f"{meeting}/{person.name}") for person in draft.people)
            yield _row(draft.key, people, draft.category, draft.payload)


def _row(key: str, people: tuple[str, ...], category: str, payload: dict[str, Any]) -> Row:
    return Row(
        record_id=_pseudonym(key),
        account="bench",
        people=people,
        category=category,
        collected_us=_START_US,
        payload=payload,
    )


def _pseudonym(text: str) -> str:
    return digest(text.encode())[:32]


class CachedEncoder(Encoder):
    """An encoder that keeps its vectors in a folder, so that a second run is quick; the vectors are the same."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self._encoder = encoder
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def id(self) -> str:
        """The inner encoder's."""
        return self._encoder.id

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Encode texts, or read their vectors if the same texts were encoded before."""
        if len(texts) == 0:
            return self._encoder.encode(texts)
        path = self._folder / f"{digest(canonical_json([self.id, list(texts)]))[:32]}.npy"
        if not path.exists():
            vectors = self._encoder.encode(texts, progress)
            aside = path.with_suffix(f".{os.getpid()}")
            with aside.open("wb") as file:
                np.save(file, vectors.astype(np.float16))  # loses nothing: see Encoder
            aside.replace(path)
        return np.asarray(np.load(path), dtype=np.float32)


def default_cache() -> Path:
    """Return where vectors are kept if nobody says otherwise."""
    return Path(tempfile.gettempdir()) / "volition-bench"


def interval(values: NDArray[np.float64], meetings: Sequence[str]) -> list[float]:
    """Return the 95 % percentile bootstrap interval of a mean, resampling whole meetings.

    Args:
        values: Shape (units,).
        meetings: The meeting of each unit: those of one meeting are not independent.

    Source: cluster bootstrap, Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8.
    """
    return _percentiles(_resampled(values, meetings))


def ratio_interval(values: NDArray[np.float64], base: NDArray[np.float64], meetings: Sequence[str]) -> list[float]:
    """Return the interval of the ratio of two means over the same units, resampling whole meetings."""
    return _percentiles(_resampled(values, meetings) / _resampled(base, meetings))


def _resampled(values: NDArray[np.float64], meetings: Sequence[str]) -> NDArray[np.float64]:
    """Return the mean in each resample; the resamples come from a fixed seed, so they are the same at every call."""
    _, places = np.unique(np.array(meetings), return_inverse=True)
    sums = np.bincount(places, weights=values)
    counts = np.bincount(places)
    draws = np.random.default_rng(20230811).integers(0, len(sums), size=(_RESAMPLES, len(sums)))
    return np.asarray(sums[draws].sum(axis=1) / counts[draws].sum(axis=1))


def _percentiles(means: NDArray[np.float64]) -> list[float]:
    return [round(float(end), 4) for end in np.percentile(means, [2.5, 97.5])]


def tell() -> Progress:
    """Return a progress function that writes to stderr, at most once a second for each stage."""
    last: dict[str, float] = {}

    def told(stage: str, done: int, total: int, loss: float | None = None, /) -> None:
        if done < total and time.monotonic() - last.get(stage, 0.0) < 1.0:
            return
        last[stage] = time.monotonic()
        print(
            f"{stage}: {done} of {total}" + ("" if loss is None else f", loss {loss:.3f}"), file=sys.stderr, flush=True
        )

    return told


def machine() -> dict[str, Any]:
    """Describe the machine."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }


def peak_mb() -> float:
    """Return the most memory that this process had; on Linux not what the one that started it had before."""
    status = Path("/proc/self/status")
    if status.exists():
        [peak] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return round(int(peak) * TO_MB, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * TO_MB, 1)
