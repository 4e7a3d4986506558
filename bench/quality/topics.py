"""Topics of real meetings: how far the times at which they begin agree with those that people wrote down.

Pk (Beeferman, Berger and Lafferty 1999, doi:10.1023/A:1007506220214) slides a window of half a mean topic over the
turns and counts how often only one of the two has its ends in one topic; WindowDiff (Pevzner and Hearst 2002,
doi:10.1162/089120102317341756) how often they count different boundaries in it. Both are shares of errors: less is
better. A boundary of the reference is where a range of turns that somebody gave to a topic begins.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.meetings import Meeting, interval
from volition.learning.encoder import Encoder
from volition.learning.families.summary.topics import find_topics
from volition.progress import Progress
from volition.records.lake import Row

Marks = NDArray[np.bool_]

EVENLY: Final = 5  # pieces of a rival that cuts without reading; meetings to learn from have 5.3 topics


def topics_quality(
    meetings: Sequence[Meeting], rows_of: Callable[[Meeting], Sequence[Row]], progress: Progress
) -> Mapping[str, Any]:
    """Measure Pk and WindowDiff of the topics of meetings, in percent.

    Args:
        meetings: With the topics that people wrote down.
        rows_of: Gives a meeting's segments with embeddings.
        progress: Told how far it has come.
    """
    errors: dict[str, list[tuple[float, float]]] = {}
    topics: dict[str, list[int]] = {}
    for done, meeting in enumerate(meetings, start=1):
        rows = rows_of(meeting)
        size = len(rows)
        turns = np.array([row.payload["turn"] for row in rows])
        starts = {first for topic in meeting.gold["topics"] for first, _ in topic["cues"]}
        reference = _marks(size, [int(np.searchsorted(turns, start)) for start in starts])
        own = _marks(size, [int(np.searchsorted(turns, topic.turn)) for topic in find_topics(rows)])
        told = {
            "topics": own,
            f"{EVENLY} pieces of one length": _marks(size, [size * piece // EVENLY for piece in range(EVENLY)]),
            "as many pieces of one length": _marks(size, [size * n // (own.sum() + 1) for n in range(own.sum() + 1)]),
            "one topic": _marks(size, []),
        }
        for name, marks in told.items():
            errors.setdefault(name, []).append(differences(reference, marks))
            topics.setdefault(name, []).append(int(marks.sum()) + 1)
        topics.setdefault("the reference", []).append(int(reference.sum()) + 1)
        progress("topics", done, len(meetings))
    names = [meeting.name for meeting in meetings]
    return {
        "meetings": len(meetings),
        "topics a meeting": {name: round(float(np.mean(counts)), 1) for name, counts in topics.items()},
        **{
            measure: {
                name: {
                    "mean": round(100 * float(np.mean([pair[column] for pair in pairs])), 2),
                    "interval": interval(100 * np.array([pair[column] for pair in pairs]), names),
                }
                for name, pairs in errors.items()
            }
            for column, measure in enumerate(("Pk, %", "WindowDiff, %"))
        },
    }


def differences(reference: Marks, found: Marks) -> tuple[float, float]:
    """Return Pk and WindowDiff of one segmentation against another, from 0 to 1.

    Args:
        reference: Shape (turns,): whether a topic begins with each turn; the first turn is none.
        found: The same.
    """
    window = max(2, round(len(reference) / (int(reference.sum()) + 1) / 2))
    if len(reference) <= window:
        return 0.0, 0.0
    wanted: NDArray[np.int64] = np.cumsum(reference)[window:] - np.cumsum(reference)[:-window]
    given: NDArray[np.int64] = np.cumsum(found)[window:] - np.cumsum(found)[:-window]
    return float(((wanted == 0) != (given == 0)).mean()), float((wanted != given).mean())


def embedded(encoder: Encoder) -> Callable[[Meeting], Sequence[Row]]:
    """Return what gives a meeting's segments with embeddings."""

    def rows_of(meeting: Meeting) -> Sequence[Row]:
        vectors = encoder.encode([row.payload["text"] for row in meeting.segments])
        return [replace(row, embedding=vector) for row, vector in zip(meeting.segments, vectors, strict=True)]

    return rows_of


def _marks(size: int, starts: Sequence[int]) -> Marks:
    marks = np.zeros(size, dtype=bool)
    marks[[start for start in starts if 0 < start < size]] = True
    return marks
