"""The recommendation part of `bench quality`: which conversation does this person join next, in two real communities.

A conversation lasts minutes or hours, so no table of conversations knows those of tomorrow: what speaks for one is who
is in it so far. Recommendations therefore learn which people turn up together (each conversation counts as somebody who
uses people, the family's own counting), and rank, for a person about to join one, the conversations that are going on.

- The split is by time: models learn from the joins of the first 80 % of the messages, and are asked about each later
  join of a conversation that somebody else began. They know who has joined by then, and nothing of what comes after.
- Candidates are the conversations with a message in the 24 hours before that the person is not in. One that had been
  silent for longer cannot be suggested and counts as missed, for every method.
- Ties are broken by the number of people so far, then by the latest message, for every method.
- ALS (package `implicit`) has its settings chosen by the same question within the first 80 %; EASE has none to choose.
"""

import json
import time
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.sparse

from bench.meetings import interval
from volition.errors import InvalidInputError
from volition.learning.families.family import NoParts
from volition.learning.families.recommend.family import DEPTH, RecommendFamily
from volition.learning.families.recommend.recommender import Recommender
from volition.progress import Progress, silent
from volition.records.ingest import ITEM, PERSON_ITEM
from volition.records.lake import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TRAIN_SHARE: Final = 0.8
_WINDOW_S: Final = 24 * 60 * 60
_GRID: Final = {"factors": (8, 16, 32, 64), "regularization": (0.01, 0.1, 1.0, 10.0), "alpha": (1.0, 5.0, 20.0)}
_ROUNDS: Final = 20

Members = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """A chat channel whose messages were sorted into conversations by hand.

    Attributes:
        name: Its name.
        messages: Instant in seconds, conversation and author of each message, by time.
    """

    name: str
    messages: tuple[tuple[float, str, str], ...]

    def joins(self) -> list[tuple[float, str, str]]:
        """Return when each person first wrote in each conversation."""
        seen = set()
        first = []
        for at_s, conversation, person in self.messages:
            if (conversation, person) not in seen:
                seen.add((conversation, person))
                first.append((at_s, conversation, person))
        return first


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A person is about to join a conversation: which?

    Attributes:
        person: Who.
        right: The place of the one that they join among the candidates; none if it is not among them.
        members: For each candidate, who has joined it so far, by time.
        latest_s: For each candidate, the instant of its latest message.
    """

    person: str
    right: int | None
    members: tuple[Members, ...]
    latest_s: tuple[float, ...]


def recommend_quality(chat: Path, progress: Progress) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Measure NDCG@10 of EASE and its rivals on every community in a folder.

    Args:
        chat: Holds NAME.zip, a chat export, and NAME.conversations.jsonl.
        progress: Called with how many communities are done.

    Returns:
        The figures, with 95 % intervals by resampling whole people; and no goals, since none was set.

    Raises:
        InvalidInputError: There is no community in the folder.
    """
    names = sorted(path.name.partition(".")[0] for path in chat.glob("*.conversations.jsonl"))
    if not names:
        raise InvalidInputError(f"{chat} holds no NAME.conversations.jsonl beside NAME.zip. Name the data's folder.")
    values: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    people: list[str] = []
    sizes: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for done, name in enumerate(names):
        progress("recommend: communities", done, len(names))
        community = read_community(chat, name)
        end_s = _quantile(community, _TRAIN_SHARE)
        known = [join for join in community.joins() if join[0] < end_s]
        questions = list(questions_of(community, end_s))
        people += [f"{name}/{question.person}" for question in questions]
        for rival, scores in _rivals(community, end_s, known, questions, chosen).items():
            values[rival].append(np.array([ndcg(*pair) for pair in zip(questions, scores, strict=True)]))
        sizes[name] = _sizes(community, known, questions)
    progress("recommend: communities", len(names), len(names))
    pooled = {rival: np.concatenate(parts) for rival, parts in values.items()}
    figures = {
        "measure": f"NDCG@{DEPTH}, which conversation a person joins next; 95 % intervals, resampled by person",
        "sizes": sizes,
        **{
            rival: {"mean": round(float(value.mean()), 4), "interval": interval(value, people)}
            for rival, value in pooled.items()
        },
        "EASE against": {
            rival: {
                "mean": round(float((pooled["EASE"] - value).mean()), 4),
                "interval": interval(pooled["EASE"] - value, people),
            }
            for rival, value in pooled.items()
            if rival != "EASE"
        },
        "by community": {
            name: {rival: round(float(parts[place].mean()), 4) for rival, parts in values.items()}
            for place, name in enumerate(names)
        },
        "ALS, settings chosen": chosen or "not compared: the package implicit is not installed",
    }
    return figures, []


def _sizes(
    community: Community, known: Sequence[tuple[float, str, str]], questions: Sequence[Question]
) -> dict[str, Any]:
    """Return how large a community is, and how much of it is learnt from and asked about."""
    return {
        "people": len({person for _, _, person in community.messages}),
        "conversations": len({conversation for _, conversation, _ in community.messages}),
        "joins learnt from": len(known),
        "joins asked about": len(questions),
        "of people known by then": sum(q.person in {person for _, _, person in known} for q in questions),
        "candidates, mean": round(float(np.mean([len(q.members) for q in questions])), 1),
    }


def read_community(chat: Path, name: str) -> Community:
    """Read an export with its conversations; messages that were sorted into none are left out."""
    lines = (chat / f"{name}.conversations.jsonl").read_text(encoding="utf-8").splitlines()
    sorted_into = {told["ts"]: told["conversation"] for told in map(json.loads, lines)}
    messages = []
    with zipfile.ZipFile(chat / f"{name}.zip") as export:
        for path in export.namelist():
            if path.count("/") != 1 or not path.endswith(".json"):
                continue
            messages += [
                (float(message["ts"]), sorted_into[message["ts"]], message["user"])
                for message in json.loads(export.read(path))
                if message.get("ts") in sorted_into and "user" in message
            ]
    return Community(name=name, messages=tuple(sorted(messages)))


def questions_of(community: Community, start_s: float) -> Iterator[Question]:
    """Yield a question for each join from `start_s` (included) on, but for the joins of those who begin one."""
    members: dict[str, list[str]] = defaultdict(list)
    latest_s: dict[str, float] = {}
    for at_s, conversation, person in community.messages:
        if start_s <= at_s and members[conversation] and person not in members[conversation]:
            going_on = [
                name for name, last_s in latest_s.items() if at_s - last_s <= _WINDOW_S and person not in members[name]
            ]
            yield Question(
                person=person,
                right=going_on.index(conversation) if conversation in going_on else None,
                members=tuple(tuple(members[name]) for name in going_on),
                latest_s=tuple(latest_s[name] for name in going_on),
            )
        if person not in members[conversation]:
            members[conversation].append(person)
        latest_s[conversation] = at_s


def ndcg(question: Question, scores: Sequence[float]) -> float:
    """Return the gain of the right conversation at its rank, from 0 to 1; one answer is right, so 1 is the ideal."""
    if question.right is None:
        return 0.0
    keys = [
        (-round(score, 9), -len(members), -last_s)
        for score, members, last_s in zip(scores, question.members, question.latest_s, strict=True)
    ]
    rank = sum(key < keys[question.right] for key in keys)
    return float(1 / np.log2(rank + 2)) if rank < DEPTH else 0.0


def _quantile(community: Community, share: float) -> float:
    """Return the instant before which that share of the messages was written."""
    return community.messages[int(len(community.messages) * share)][0]


Scores = list[list[float]]


def _rivals(
    community: Community,
    end_s: float,
    known: Sequence[tuple[float, str, str]],
    questions: Sequence[Question],
    chosen: dict[str, Any],
) -> dict[str, Scores]:
    """Score every candidate of every question with every method."""
    scored: dict[str, Scores] = {
        "the latest message": [list(question.latest_s) for question in questions],
        "popularity": [[float(len(members)) for members in question.members] for question in questions],
        "EASE": _ease(known, questions),
    }
    settings = _choose_als(community, end_s, known)
    if settings is not None:
        chosen[community.name] = settings
        scored["ALS"] = _als(known, questions, settings)
    return scored


def _ease(known: Sequence[tuple[float, str, str]], questions: Sequence[Question]) -> Scores:
    """Score by the product: what the people of a conversation say for a person, added up, is EASE's own score."""
    model = RecommendFamily().fit(list(_rows(known)), parts=NoParts(), progress=silent)
    recommender = Recommender(model)
    people = {person for _, _, person in known}
    said: dict[str, Mapping[str, float]] = {}

    def says(member: str) -> Mapping[str, float]:
        if member not in said:
            told = recommender.suggest("chat", [PERSON_ITEM + member], len(people)) if member in people else ()
            said[member] = {suggestion.item: suggestion.score for suggestion in told}
        return said[member]

    return [
        [
            sum(says(member).get(PERSON_ITEM + question.person, 0.0) for member in members)
            for members in question.members
        ]
        for question in questions
    ]


def _rows(known: Sequence[tuple[float, str, str]]) -> Iterator[Row]:
    for place, (at_s, conversation, person) in enumerate(known):
        yield Row(
            record_id=f"{place:032x}",
            account="chat",
            people=(conversation,),
            category="service/usage",
            collected_us=int(at_s * 1_000_000),
            payload={"kind": "event", "name": "joined", "attributes": {ITEM: PERSON_ITEM + person}, "body": None},
        )


# --- ALS -------------------------------------------------------------------------------------------------------------


def _choose_als(community: Community, end_s: float, known: Sequence[tuple[float, str, str]]) -> dict[str, float] | None:
    """Choose the settings that answer best what came last within the part that is learnt from; none without ALS."""
    try:
        import implicit  # noqa: F401, PLC0415 - it may be missing
    except ImportError:
        return None
    inner = Community(name=community.name, messages=tuple(one for one in community.messages if one[0] < end_s))
    inner_end_s = _quantile(inner, _TRAIN_SHARE)
    earlier = [join for join in known if join[0] < inner_end_s]
    questions = list(questions_of(inner, inner_end_s))
    start = time.perf_counter()
    tried = []
    for values in product(*_GRID.values()):
        settings = dict(zip(_GRID, values, strict=True))
        scores = _als(earlier, questions, settings)
        tried.append((float(np.mean([ndcg(*pair) for pair in zip(questions, scores, strict=True)])), settings))
    best, settings = max(tried, key=lambda pair: pair[0])
    return settings | {
        "tried": len(tried),
        "NDCG while choosing": round(best, 4),
        "seconds to choose": round(time.perf_counter() - start, 1),
    }


def _als(
    known: Sequence[tuple[float, str, str]], questions: Sequence[Question], settings: Mapping[str, float]
) -> Scores:
    """Score by ALS: each conversation so far is folded in as a new row, as the package does it for a new user."""
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 - it may be missing

    conversations = {name: row for row, name in enumerate(sorted({conversation for _, conversation, _ in known}))}
    people = {name: column for column, name in enumerate(sorted({person for _, _, person in known}))}
    cells = [(conversations[conversation], people[person]) for _, conversation, person in known]
    matrix = _matrix(cells, (len(conversations), len(people)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for one BLAS thread, whatever there is
        model = AlternatingLeastSquares(
            factors=int(settings["factors"]),
            regularization=settings["regularization"],
            alpha=settings["alpha"],
            iterations=_ROUNDS,
            random_state=1,
            num_threads=1,
        )
        model.fit(matrix, show_progress=False)
    states = {members: row for row, members in enumerate(dict.fromkeys(m for q in questions for m in q.members))}
    there = [(row, people[name]) for members, row in states.items() for name in members if name in people]
    factors = model.recalculate_user(np.arange(len(states)), _matrix(there, (len(states), len(people))))
    told = np.asarray(factors @ model.item_factors.T, dtype=np.float64)
    return [
        [
            float(told[states[members], people[question.person]]) if question.person in people else 0.0
            for members in question.members
        ]
        for question in questions
    ]


def _matrix(cells: Sequence[tuple[int, int]], shape: tuple[int, int]) -> Any:  # noqa: ANN401 - a class without types
    rows, columns = np.array(cells, dtype=np.int32).reshape(-1, 2).T
    return scipy.sparse.csr_matrix((np.ones(len(cells), np.float32), (rows, columns)), shape=shape)
