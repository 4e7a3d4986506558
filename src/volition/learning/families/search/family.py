"""The search family: learns to rank from opened hits, and is measured by NDCG@10 on documents held out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.learning.encoder import Encoder
from volition.learning.families.family import Parts, Scores, fold_of, part_name
from volition.learning.families.model import Model
from volition.learning.families.search.features import (
    Index,
    Vector,
    Words,
    features,
    terms_of,
)
from volition.learning.families.search.lines import CLICK, Unit, document_key, documents_of, units_of
from volition.learning.families.search.ranking import DEPTH, NAME, Ranker, boost, ndcg
from volition.progress import Progress
from volition.records.lake import Row

FEWEST_UNITS: Final = 10
_LOOKING: Final = "search: looking at documents"


class SearchFamily:
    """The search family (see `volition.learning.families.family.Family`)."""

    name = NAME
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
        booster = boost(tables, [unit.opened for unit in units], progress)
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
        ranker = Ranker(model, self._encoder)
        vectors = {} if ranker.encoder is None else self._encode([unit.query for unit in units])
        values, firsts = [], []
        for _, group in groupby(units, key=lambda unit: unit.document.key):
            same = list(group)
            index = Index(same[0].document, ranker.encoder)
            scored = [ranker.scores(index, unit.query, vectors.get(unit.query)) for unit in same]
            values += [ndcg(scores, unit.opened) for scores, unit in zip(scored, same, strict=True)]
            firsts += [bool(unit.opened[np.argmax(scores)]) for scores, unit in zip(scored, same, strict=True)]
        return Scores(
            metric=f"NDCG@{DEPTH}",
            units=tuple(unit.name for unit in units),
            accounts=tuple(unit.document.account for unit in units),
            values=np.array(values, dtype=np.float64),
            people=tuple(tuple(sorted(unit.people)) for unit in units),
            firsts=np.array(firsts, dtype=np.float64),
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
                clicks[row.author].append(row)
        units = {person: units_of(theirs, documents) for person, theirs in clicks.items()}
        ranker = Ranker(model, self._encoder)
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


def _log_softmax(scores: Vector) -> Vector:
    away = scores - scores.max()
    return np.asarray(away - np.log(np.exp(away).sum()))
