"""Quality of the summary family on real meetings, against rivals that anybody could build in an afternoon.

The model learns from the meetings of one folder and is measured on those of another, once. Everybody gets the same
room: 110 words.
"""

import json
import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer

from volition.canonical import digest
from volition.learning.families.family import NoParts
from volition.learning.families.model import Model
from volition.learning.families.summary.family import SummaryFamily
from volition.learning.families.summary.summary import summarize
from volition.progress import Progress
from volition.records.ingest import Draft
from volition.records.ingest.webvtt import read_webvtt
from volition.records.lake import Row

Figures = dict[str, Any]

WORDS: Final = 110
MEASURES: Final = ("rouge1", "rouge2", "rougeLsum")
RESAMPLES: Final = 2000
DRAWS: Final = 5  # the random rival is the mean of so many draws

LEAST: Final = 30.0  # ROUGE-1 F1, in percent
LEAST_PAIRS: Final = 6.0  # ROUGE-2 F1
LEAST_ABOVE_LONGEST: Final = 3.0

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")


class Encodes(Protocol):
    """What gives sentence embeddings: `volition.learning.encoder.Encoder`, or a cache in front of it."""

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Return shape (texts, 384), float32, unit norm."""


def summary_quality(
    train_dir: Path, report_dir: Path, encoder: Encodes | None, progress: Progress
) -> tuple[Figures, list[dict[str, Any]]]:
    """Train on the meetings of one folder and report on those of another.

    Args:
        train_dir: Folder of WebVTT files; beside it, NAME.gold.jsonl holds the reference summaries.
        report_dir: The same, for the meetings to report on.
        encoder: For the embeddings; none measures the family without them.
        progress: Told how far reading, training and summarising are.

    Returns:
        Figures by system, in percent, with 95 % intervals over meetings; of how many of a meeting's topics there are
        quotes; and the goals with whether they are met.
    """
    model = SummaryFamily().fit(read_meetings(train_dir, encoder, progress), parts=NoParts(), progress=progress)
    rows = read_meetings(report_dir, encoder, progress)
    names = sorted({row.payload["meeting"] for row in rows})
    by_name: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        by_name[row.payload["meeting"]].append(row)

    scores: dict[str, list[list[float]]] = {}
    lengths: dict[str, list[int]] = {}
    topics: dict[str, list[int]] = {}
    for done, name in enumerate(names, start=1):
        segments = [row for row in by_name[name] if row.payload["kind"] == "segment"]
        reference = next(row.payload["text"] for row in by_name[name] if row.payload["kind"] == "summary")
        for system, summaries in _summaries(model, segments).items():
            values = [_rouge(quotes, reference) for quotes in summaries]
            scores.setdefault(system, []).append(np.mean(values, axis=0).tolist())
            lengths.setdefault(system, []).append(sum(len(quote.split()) for quote in summaries[0]))
        for system, count in _topics(model, segments).items():
            topics.setdefault(system, []).append(count)
        progress("summarising", done, len(names))
    table = {system: 100 * np.array(values) for system, values in scores.items()}
    gain = table["trained"] - table["longest sentences"]
    figures = {
        "meetings": len(names),
        "embeddings": encoder is not None,
        "systems": {
            system: {
                **{measure: interval(values[:, column]) for column, measure in enumerate(MEASURES)},
                "words": round(float(np.mean(lengths[system])), 1),
            }
            for system, values in table.items()
        },
        "topics a meeting": {system: interval(np.array(counts, dtype=float)) for system, counts in topics.items()},
        "trained less longest sentences": {
            measure: interval(gain[:, column]) for column, measure in enumerate(MEASURES)
        },
        "trained less untrained": {
            measure: interval((table["trained"] - table["untrained"])[:, column])
            for column, measure in enumerate(MEASURES)
        },
    }
    goals = [
        _goal("summary ROUGE-1 F1", float(table["trained"][:, 0].mean()), LEAST),
        _goal("summary ROUGE-2 F1", float(table["trained"][:, 1].mean()), LEAST_PAIRS),
        _goal("summary ROUGE-1 F1 above the longest sentences", float(gain[:, 0].mean()), LEAST_ABOVE_LONGEST),
    ]
    return figures, goals


def read_meetings(folder: Path, encoder: Encodes | None, progress: Progress) -> list[Row]:
    """Read a folder of transcripts and their reference summaries as rows, in the order of meetings and cues.

    The reference summaries stand for summaries that the meetings' people edited.
    """
    gold = folder.with_name(f"{folder.name}.gold.jsonl").read_text(encoding="utf-8").splitlines()
    references = {line["meeting"]: line["summary"][0] for line in map(json.loads, gold)}
    rows: list[Row] = []
    paths = sorted(folder.glob("*.vtt"))
    for done, path in enumerate(paths, start=1):
        drafts = read_webvtt(path.read_bytes(), source=path.name, account="bench", meeting=path.stem, start_us=0)
        segments = [draft for draft in drafts if isinstance(draft, Draft)]
        texts = [draft.payload["text"] for draft in segments]
        vectors: Iterable[NDArray[np.float32] | None]
        vectors = encoder.encode(texts) if encoder is not None else [None] * len(texts)
        rows += [
            _row(draft.key, draft.at_us, draft.payload, vector) for draft, vector in zip(segments, vectors, strict=True)
        ]
        summary = {"kind": "summary", "meeting": path.stem, "text": references[path.stem]}
        rows.append(_row(f"summary:{path.stem}", segments[-1].at_us + 1, summary, None))
        progress(f"reading {folder.name}", done, len(paths))
    return rows


def _row(key: str, at_us: int, payload: dict[str, Any], vector: NDArray[np.float32] | None) -> Row:
    return Row(
        record_id=digest(key.encode())[:32],
        account="bench",
        people=(),
        category="content/transcript",
        collected_us=at_us,
        payload=payload,
        embedding=vector,
    )


def _summaries(model: Model, segments: Sequence[Row]) -> dict[str, list[list[str]]]:
    """Summarise one meeting by every system; each gives one list of quotes, the random one several."""
    bare = [_row(row.record_id, row.collected_us, row.payload, None) for row in segments]
    sentences = [part for row in segments for part in _SENTENCE.split(row.payload["text"]) if part]
    by_length = sorted(range(len(sentences)), key=lambda n: -len(sentences[n].split()))
    found = {
        "trained": [_quotes(model, segments)],
        "trained, without embeddings": [_quotes(model, bare)],
        "untrained": [_quotes(None, segments)],  # centroid and MMR
        "untrained, without embeddings": [_quotes(None, bare)],  # longest sentences and MMR
        "longest sentences": [_fill(sentences, by_length)],
        "lead": [_fill(sentences, range(len(sentences)))],
        "random": [
            _fill(sentences, random.Random(seed).sample(range(len(sentences)), len(sentences))) for seed in range(DRAWS)
        ],
    }
    if segments[0].embedding is None:
        del found["trained, without embeddings"], found["untrained, without embeddings"]
    return found


def _quotes(model: Model | None, segments: Sequence[Row]) -> list[str]:
    return [moment.quote for moment in summarize(model, segments, words=WORDS).moments]


def _topics(model: Model | None, segments: Sequence[Row]) -> dict[str, int]:
    """Return how many topics one meeting has, and of how many of them there are quotes; 0 without embeddings."""
    counts = {}
    for system, by in (("trained", model), ("untrained", None)):
        summary = summarize(by, segments, words=WORDS)
        begins = [topic.turn for topic in summary.topics]
        counts["found"] = len(begins)
        counts[f"quoted, {system}"] = len({bisect_right(begins, moment.turn) for moment in summary.moments} - {0})
    return counts


def _fill(sentences: Sequence[str], order: Iterable[int]) -> list[str]:
    """Take sentences in an order while they fit, until there are enough words; return them as they were said."""
    chosen: list[int] = []
    words = 0
    for number in order:
        length = len(sentences[number].split())
        if words + length <= WORDS:
            chosen.append(number)
            words += length
        if words >= WORDS:
            break
    return [sentences[number] for number in sorted(chosen)]


# The package of Google Research, with Porter stemming, as the literature reports ROUGE. For Lsum each quote, and each
# sentence of the reference, is a line.
_SCORER: Final = RougeScorer(list(MEASURES), use_stemmer=True)


def _rouge(quotes: Sequence[str], reference: str) -> list[float]:
    scores = _SCORER.score("\n".join(_SENTENCE.split(reference)), "\n".join(quotes))
    return [float(scores[measure].fmeasure) for measure in MEASURES]


def interval(values: NDArray[np.float64]) -> dict[str, float]:
    """Return a mean over meetings with its 95 % percentile bootstrap interval (Efron and Tibshirani 1993, ch. 13)."""
    draws = np.random.default_rng(20260101).integers(0, len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return {"mean": round(float(values.mean()), 2), "low": round(float(low), 2), "high": round(float(high), 2)}


def _goal(name: str, value: float, at_least: float) -> dict[str, Any]:
    return {"name": name, "value": round(value, 2), "at_least": at_least, "met": value >= at_least}
