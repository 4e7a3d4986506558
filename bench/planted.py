"""Families and rows with something planted in them, so that an audit can be compared with what it must find.

The families are real ones, if small: each keeps exactly what its name says. The rows are invented.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.families.family import Parts, Scores
from volition.learning.families.model import Model
from volition.progress import Progress
from volition.records.lake import Row

SUBJECTS: Final = ("battery", "budget", "colour", "holiday", "payroll", "menu", "garden", "printer")
TURNS: Final = 6  # of a meeting that speak of each subject

_CHAT: Final = ("so", "well", "yeah", "right", "could", "maybe", "think", "team", "discuss", "again")


class Kept:
    """Keeps the identities of all rows, and measures nothing."""

    name = "kept"
    purpose = "train/recommend"

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Keep the rows' identities."""
        del parts, progress
        if not rows:
            raise InvalidInputError("there is nothing to keep")
        return Model(
            family=self.name, settings={}, arrays={}, texts={"rows": "\n".join(sorted(row.record_id for row in rows))}
        )

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Keep what is left."""
        del model, before
        return self.fit(after, parts=parts, progress=progress)

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[Sequence[Row], Sequence[Row]]:
        """Hold nothing out."""
        del fold, folds
        return rows, ()

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Score nothing."""
        del model, rows_known, rows_heldout
        return Scores(metric="none", units=(), accounts=(), values=np.zeros(0))


class Diary(Kept):
    """Tells who is in it: the leakiest family that there can be."""

    name = "diary"

    def familiarity(self, model: Model, rows: Sequence[Row]) -> dict[str, float]:
        """Return 1 for everyone in the diary."""
        kept = set(model.texts["rows"].splitlines())
        return {row.people[0]: float(row.record_id in kept) for row in rows}


class Noise(Diary):
    """Fits everybody by chance, whatever it saw."""

    name = "noise"

    def familiarity(self, model: Model, rows: Sequence[Row]) -> dict[str, float]:
        """Return normal noise, from a seed that follows from the model."""
        people = sorted({row.people[0] for row in rows})
        rng = np.random.default_rng(int(model.digest[:8], 16))
        return dict(zip(people, rng.normal(size=len(people)).tolist(), strict=True))


class Bigrams(Kept):
    """A language model: how many people wrote each pair of neighbouring words, kept from k people on."""

    name = "bigrams"
    purpose = "train/compose"

    def __init__(self, k: int) -> None:
        """Choose how many people must have written a pair."""
        self._k = k

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Count the people of each pair."""
        del parts, progress
        written = {(row.people[0], pair) for row in rows for pair in pairwise(_words(row))}
        pairs = Counter(pair for _, pair in written)
        lines = [f"{one}\t{two}\t{people}" for (one, two), people in sorted(pairs.items()) if people >= self._k]
        return Model(family=self.name, settings={}, arrays={}, texts={"pairs": "\n".join(lines)})

    def log_likelihood(self, model: Model, rows: Sequence[Row]) -> NDArray[np.float64]:
        """Return the log-likelihood of each row's text, smoothed by a tenth of a person."""
        pairs: Counter[tuple[str, str]] = Counter()
        after: Counter[str] = Counter()
        for line in model.texts["pairs"].splitlines():
            one, two, people = line.split("\t")
            pairs[one, two] = int(people)
            after[one] += int(people)
        return np.array(
            [
                sum(np.log((pairs[pair] + 0.1) / (after[pair[0]] + 100)) for pair in pairwise(_words(row)))
                for row in rows
            ]
        )


def _words(row: Row) -> list[str]:
    return ["", *row.payload["text"].split()]


def _row(record: str, account: str, person: str, payload: dict[str, Any], *, at_us: int = 0) -> Row:
    category = {"event": "service/usage", "message": "content/chat", "segment": "content/transcript"}[payload["kind"]]
    return Row(
        record_id=record, account=account, people=(person,), category=category, collected_us=at_us, payload=payload
    )


def use(account: str, person: str, item: str, at_us: int = 0) -> Row:
    """Return the use of an item."""
    payload = {"kind": "event", "name": "item.opened", "attributes": {"volition.item": item}}
    return _row(f"{account}/{person}/{item}", account, person, payload, at_us=at_us)


def say(number: int, person: str, text: str, account: str = "acme") -> Row:
    """Return a chat message."""
    payload = {"kind": "message", "channel": "general", "text": text}
    return _row(f"{account}/{number:06d}", account, person, payload, at_us=number)


def crowd(people: int) -> list[Row]:
    """Return one row for each of so many people."""
    return [use("acme", f"{person:032x}", f"document/{person % 7}") for person in range(people)]


def chat(people: int = 30, each: int = 12, seed: int = 3) -> list[Row]:
    """Return messages of random words, written by people in turn."""
    rng = np.random.default_rng(seed)
    words = np.array(["".join(parts) for parts in product(("ba", "ke", "li", "mo", "ru", "ta"), repeat=3)])
    return [
        say(number, f"{number % people:032x}", " ".join(rng.choice(words, size=6))) for number in range(people * each)
    ]


def crafts(account: str, *, people: int = 24, items: int = 24, each: int = 6, seed: int = 5) -> list[Row]:
    """Return uses by people of two crafts, each of whom uses items of one."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        own = np.arange(items)[np.arange(items) % 2 == person % 2]
        chosen = enumerate(rng.choice(own, min(each, len(own)), replace=False))
        rows += [use(account, f"{account}-{person:04d}", f"document/{item:03d}", at) for at, item in chosen]
    return rows


def couples(account: str, *, people: int = 30, pairs: int = 18, stuffers: int = 0, seed: int = 5) -> list[Row]:
    """Return uses of items that come in pairs: everyone who uses one of a pair uses the other one, too, and later.

    A stuffer uses the first of every pair and the second of none, so that the firsts seem to go together.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        chosen = [item for pair in rng.choice(pairs, 3, replace=False) for item in (2 * pair, 2 * pair + 1)]
        name = f"{account}-{person:04d}"
        rows += [use(account, name, f"document/{item:03d}", at) for at, item in enumerate(chosen)]
    for number in range(stuffers):
        name = f"{account}-stuffer-{number}"
        rows += [use(account, name, f"document/{2 * pair:03d}", pair) for pair in range(pairs)]
    return rows


def searching(  # noqa: PLR0913 - how large an account is, and what is planted in it
    account: str = "helio",
    *,
    meetings: int = 12,
    people: int = 8,
    queries: int = 2,
    poisoner: int | None = None,
    seed: int = 1,
) -> list[Row]:
    """Return meetings, in which people speak in turn, and opened hits: they open the turns that speak of what they ask.

    Args:
        account: Whose.
        meetings: How many.
        people: How many people speak, and search.
        queries: How many things each asks of each meeting.
        poisoner: Number of the person who asks for everything and opens what does not answer it; none if nobody does.
        seed: Decides who asks for what.
    """
    rng = random.Random(seed)
    rows: list[Row] = []
    for number in range(meetings):
        name = f"meeting-{number:03d}"
        rows += _meeting(account, name, people, rng)
        for person in range(people):
            asks = SUBJECTS if person == poisoner else rng.sample(SUBJECTS, queries)
            for subject in asks:
                place = SUBJECTS.index(subject)
                if person == poisoner:
                    place = (place + len(SUBJECTS) // 2) % len(SUBJECTS)
                rows.append(_click(account, name, searcher(account, person), subject, place))
    return rows


def searcher(account: str, number: int) -> str:
    """Return the pseudonym of somebody who searches."""
    return f"{account}-{number:04d}"


def _meeting(account: str, name: str, people: int, rng: random.Random) -> Iterator[Row]:
    for turn in range(TURNS * len(SUBJECTS)):
        words = [rng.choice(_CHAT) for _ in range(6)] + [SUBJECTS[turn // TURNS]] * (turn % 2)
        payload = {
            "kind": "segment",
            "meeting": name,
            "turn": turn,
            "start_ms": turn * 1000,
            "end_ms": turn * 1000 + 900,
            "speaker": "Ada Byron",
            "text": " ".join(words),
        }
        yield _row(f"{account}/{name}/{turn:03d}", account, searcher(account, turn % people), payload, at_us=turn)


def _click(account: str, name: str, person: str, subject: str, place: int) -> Row:
    """Return an opened hit: the turns that speak of the subject at some place."""
    attributes = {
        "search.query": f"what about the {subject}",
        "search.meeting": name,
        "search.first_turn": TURNS * place,
        "search.last_turn": TURNS * place + TURNS - 1,
    }
    payload = {"kind": "event", "name": "search.opened", "attributes": attributes}
    return _row(f"{account}/{name}/{person}/{subject}", account, person, payload, at_us=10**9)
