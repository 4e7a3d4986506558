"""Search across all meetings: the meeting is not given, so the right one has to be found first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import bm25s
import numpy as np

from bench.meetings import interval
from volition.learning.encoder import Encoder
from volition.learning.families.model import Model
from volition.learning.families.search.features import Index, terms_of
from volition.learning.families.search.lines import documents_of, units_of
from volition.learning.families.search.ranking import DEPTH, Found, ndcg, search_in
from volition.progress import Progress
from volition.records.lake import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NOWHERE = -1.0


def across(model: Model, rows: Sequence[Row], encoder: Encoder, progress: Progress) -> dict[str, Any]:
    """Measure NDCG@10 of each query over the turns of all meetings together.

    A query asked of several meetings is asked once, and all its answers count. A query that names nothing is counted.

    Args:
        model: The trained search.
        rows: The meetings' turns with embeddings, and the clicks.
        encoder: The sentence encoder.
        progress: Called as it advances.

    Returns:
        A mean and its 95 % interval for each kind of search.
    """
    documents = documents_of(rows)
    answers: dict[str, dict[str, NDArray[np.bool_]]] = defaultdict(dict)
    for unit in units_of(rows, documents):
        if unit.teaches:
            answers[unit.query][unit.document.key] = unit.opened
    indexes = [Index(document, encoder) for document in documents.values()]

    places = {
        line.row.record_id: place
        for place, line in enumerate(line for index in indexes for line in index.document.lines)
    }
    texts = [line.text for index in indexes for line in index.document.lines]
    rivals = {"bm25": bm25s.BM25(), "bm25, stemmed": bm25s.BM25()}
    for name, engine in rivals.items():
        engine.index(_tokens(texts, stemmed="stemmed" in name), show_progress=False)
    vectors = np.concatenate([index.vectors for index in indexes if index.vectors is not None])

    values: dict[str, list[float]] = defaultdict(list)
    meetings = []
    for done, (query, opened) in enumerate(sorted(answers.items())):
        progress("search: across all meetings", done, len(answers))
        relevant = _relevant(opened, indexes)
        meetings.append(min(opened))
        for name, engine in rivals.items():
            (words,) = _tokens([query], stemmed="stemmed" in name)
            words_found = engine.get_scores(words)
            values[name].append(ndcg(words_found, relevant))
        meaning = np.einsum("ij,j->i", vectors, encoder.encode([query])[0].astype(np.float64))
        values["the encoder alone"].append(ndcg(meaning, relevant))
        values["bm25, stemmed, and the encoder, by reciprocal ranks"].append(
            ndcg(_fused([words_found, meaning]), relevant)
        )
        for name, ranker in (("words and meaning, untrained", None), ("words and meaning, trained", model)):
            found = search_in(ranker, query, indexes, encoder=encoder, limit=DEPTH)
            values[name].append(ndcg(_ranked(found, places), relevant))
    progress("search: across all meetings", len(answers), len(answers))
    return {
        "measure": "NDCG@10 over all turns of all meetings; 95 % bootstrap intervals, resampled by meeting",
        "queries": len(answers),
        "meetings": len(indexes),
        "turns": len(texts),
        **{
            name: {"mean": round(float(np.mean(value)), 4), "interval": interval(np.array(value), meetings)}
            for name, value in values.items()
        },
    }


def _relevant(opened: Mapping[str, "NDArray[np.bool_]"], indexes: Sequence[Index]) -> "NDArray[np.bool_]":
    """Return which turns of all meetings answer a query."""
    return np.concatenate(
        [opened.get(index.document.key, np.zeros(len(index.document.lines), dtype=bool)) for index in indexes]
    )


def _ranked(found: Found, places: Mapping[str, int]) -> "NDArray[np.float64]":
    """Return the turns' scores by their rank among the hits."""
    scores = np.full(len(places), _NOWHERE)
    for rank, hit in enumerate(found.hits):
        scores[places[hit.record_id]] = DEPTH - rank
    return scores


def _fused(scores: Sequence["NDArray[np.float64]"]) -> "NDArray[np.float64]":
    """Join rankings by their reciprocal ranks, with 60 added (Cormack et al. 2009, doi:10.1145/1571941.1572114)."""
    total = np.zeros(len(scores[0]))
    for one in scores:
        ranks = np.empty(len(one))
        ranks[np.argsort(-one, kind="stable")] = np.arange(1, len(one) + 1)
        total += 1 / (60 + ranks)
    return total


def _tokens(texts: Sequence[str], *, stemmed: bool) -> list[list[str]]:
    stemmer = (lambda words: [" ".join(terms_of(word)) or word for word in words]) if stemmed else None
    found: list[list[str]] = bm25s.tokenize(
        texts, stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False
    )
    return found
