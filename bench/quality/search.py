"""The search half of `bench quality`: NDCG@10 within a meeting, for words and meaning, with training and without."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import bm25s
import numpy as np
from numpy.typing import NDArray

from bench.meetings import Meeting, interval, ratio_interval, read_meetings
from bench.quality.search_across import across
from bench.quality.search_silence import silence
from volition.canonical import digest
from volition.learning.encoder import Encoder
from volition.learning.families.family import NoParts
from volition.learning.families.search.family import SearchFamily
from volition.learning.families.search.features import terms_of
from volition.learning.families.search.ranking import ndcg
from volition.progress import Progress
from volition.records.lake import Row

AGAINST_BM25: Final = 1.4
NDCG: Final = 0.52
NDCG_ACROSS: Final = 0.34


def search_quality(
    train_dir: Path, report_dir: Path, encoder: Encoder, progress: Progress
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Train on the meetings of one folder and measure on those of another.

    Returns:
        The figures: a mean and its 95 % interval for each kind of search, over queries, resampled by meeting; and the
        goals.
    """
    known = _rows(read_meetings(train_dir), encoder, progress)
    reported = read_meetings(report_dir)
    held_out = _rows(reported, encoder, progress)

    family, words_only = SearchFamily(encoder), SearchFamily(None)
    start = time.perf_counter()
    model = family.fit(known, parts=NoParts(), progress=progress)
    seconds = time.perf_counter() - start
    model_of_words = words_only.fit(known, parts=NoParts(), progress=progress)
    trained = family.evaluate(model, known, held_out)
    units = trained.units
    values = {
        "bm25": _bm25(reported, units),
        "bm25, stemmed": _bm25(reported, units, stemmer=_stems),
        "words, untrained": words_only.evaluate(None, known, held_out).values,
        "words, trained": words_only.evaluate(model_of_words, known, held_out).values,
        "words and meaning, untrained": family.evaluate(None, known, held_out).values,
        "words and meaning, trained": trained.values,
    }
    full, base = values["words and meaning, trained"], _better_bm25(values)
    everywhere = across(model, held_out, encoder, progress)
    silent, goals_of_silence = silence(model, held_out, encoder, progress)
    figures = {
        **_compared(values, [_meeting(unit) for unit in units], reported),
        "across all meetings": everywhere,
        "silence": silent,
        "trained on queries": model.settings["queries"],
        "seconds to train": round(seconds, 2),
    }
    return figures, [
        _goal(
            "search NDCG@10 of the trained search against the better BM25",
            float(full.mean() / base.mean()),
            AGAINST_BM25,
        ),
        _goal("search NDCG@10 of the trained search", float(full.mean()), NDCG),
        _goal("search NDCG@10 across all meetings", everywhere["words and meaning, trained"]["mean"], NDCG_ACROSS),
        *goals_of_silence,
    ]


def _better_bm25(values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return max((values["bm25"], values["bm25, stemmed"]), key=np.mean)


def _compared(
    values: Mapping[str, NDArray[np.float64]], meetings: Sequence[str], reported: Sequence[Meeting]
) -> dict[str, Any]:
    """Return each search's mean, what training gains, and how both compare with the better BM25.

    Args:
        values: NDCG of each query by search, shape (queries,).
        meetings: The meeting of each query.
        reported: All meetings that are reported on.
    """
    full, base, untrained = (
        values["words and meaning, trained"],
        _better_bm25(values),
        values["words and meaning, untrained"],
    )
    groups = {meeting.name: meeting.group for meeting in reported}
    of_group = np.array([groups[meeting] for meeting in meetings])
    return {
        "measure": "NDCG@10 within a meeting; 95 % bootstrap intervals, resampled by meeting",
        "queries": len(meetings),
        "meetings": len(set(meetings)),
        **{
            name: {"mean": round(float(value.mean()), 4), "interval": interval(value, meetings)}
            for name, value in values.items()
        },
        "training gains": {
            "mean": round(float((full - untrained).mean()), 4),
            "interval": interval(full - untrained, meetings),
        },
        "trained against the better bm25, ratio": {
            "mean": round(float(full.mean() / base.mean()), 4),
            "interval": ratio_interval(full, base, meetings),
        },
        "by kind of meeting": {
            str(group): {
                "trained": round(float(full[of_group == group].mean()), 4),
                "the better bm25": round(float(base[of_group == group].mean()), 4),
            }
            for group in np.unique(of_group)
        },
    }


def _goal(name: str, value: float, at_least: float) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "at_least": at_least, "met": value >= at_least}


def _rows(meetings: Sequence[Meeting], encoder: Encoder, progress: Progress) -> list[Row]:
    rows: list[Row] = []
    for done, meeting in enumerate(meetings):
        progress("search: embedding", done, len(meetings))
        vectors = encoder.encode([row.payload["text"] for row in meeting.segments])
        rows += [replace(row, embedding=vector) for row, vector in zip(meeting.segments, vectors, strict=True)]
        rows += meeting.clicks()
    progress("search: embedding", len(meetings), len(meetings))
    return rows


def _meeting(unit: str) -> str:
    return unit.partition("/meeting/")[2].partition("#")[0]


def _stems(words: Sequence[str]) -> list[str]:
    return [" ".join(terms_of(word)) or word for word in words]


def _bm25(
    meetings: Sequence[Meeting], units: Sequence[str], stemmer: Callable[[Sequence[str]], list[str]] | None = None
) -> NDArray[np.float64]:
    """Score a baseline: bm25s as it comes with its English stop words, or with the product's stems in addition.

    Returns:
        Shape (units,), in the order of the product's own scores, so that differences can be taken query by query.
    """
    values: dict[str, float] = {}
    for meeting in meetings:
        engine = bm25s.BM25()
        texts = [row.payload["text"] for row in meeting.segments]
        engine.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
        turns = np.array([row.payload["turn"] for row in meeting.segments])
        cues: dict[str, list[list[int]]] = {}
        for query in meeting.gold["queries"]:
            cues.setdefault(query["query"].strip(), []).extend(query["cues"])
        for query, ranges in cues.items():
            relevant = np.zeros(len(turns), dtype=bool)
            for first, last in ranges:
                relevant |= (turns >= first) & (turns <= last)
            if relevant.any() and not relevant.all():
                (words,) = bm25s.tokenize(
                    [query], stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False
                )
                values[f"bench/meeting/{meeting.name}#{digest(query.encode())[:12]}"] = ndcg(
                    engine.get_scores(words), relevant
                )
    return np.array([values[unit] for unit in units])
