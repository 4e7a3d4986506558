"""Canary exposure: does a language model memorise what one person wrote? Planted secrets, and how it ranks them.

A canary is a random sequence of words that no person wrote. It is planted, as if people had written it, in a copy of
the rows; a model is trained on the copy, for the audit alone, and dropped. Among many sequences drawn in the same way,
the model's likelihood ranks the canary somewhere at random, unless the model has memorised it. Exposure says by how
much: log2 of the number of sequences, less log2 of the canary's rank. Without any memory it is 1.44 bits on average
(the mean of -log2 of a uniform number), for a canary that is ranked first it is all of them.

No canary ever comes near a model that is released.

Source: N. Carlini et al. 2019, The Secret Sharer, arXiv:1802.08232, definitions 1 and 4; here the space of secrets is a
sample that holds the canary, so that ranks are counted, not estimated.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.canonical import digest
from volition.errors import InvalidInputError
from volition.learning.audit.finding import Finding, at_most, not_measured
from volition.learning.audit.intervals import bootstrap_interval
from volition.learning.audit.membership_inference import Likely
from volition.learning.audit.owners import owner_of, seed_of
from volition.learning.audit.trainings import learn
from volition.learning.families.family import Family, NoParts, Parts
from volition.progress import Progress
from volition.records.lake import Row

AUDIT: Final = "canary"
METRIC: Final = "exposure in bits of what one person wrote"
CANARIES: Final = 16
SECRETS: Final = 1024
"""Sequences in the space of secrets, the canary among them: exposure is 10 bits at most."""

WRITERS: Final = (1, 5)
"""How many people write each canary: one, which is held against the bound, and as a contrast the k of `compose`."""

_NOWHERE: Final = NoParts()
_LENGTH: Final = 4  # words of a canary
_WORDS: Final = 64  # most common words of the account, from which canaries are drawn: 2^24 sequences
_FEWEST_WORDS: Final = 16
_WORD: Final = re.compile(r"(?<!\S)[^\W\d_]{2,20}(?!\S)")  # between white space, without signs or digits


def measure_canaries(  # noqa: PLR0913 - what is audited, and how
    family: Family,
    rows: Sequence[Row],
    *,
    bound: float | None,
    progress: Progress,
    canaries: int = CANARIES,
    parts: Parts = _NOWHERE,
) -> list[Finding]:
    """Plant canaries in a copy of the rows, train on it, and measure how exposed they are.

    Args:
        family: What to train; one that gives texts a likelihood (`membership_inference.Likely`).
        rows: The snapshot's rows.
        bound: The largest mean exposure, in bits, that is good enough for what one person wrote; none if not set.
        progress: Called with how many canaries were ranked.
        canaries: How many to plant for each number of writers.
        parts: Where the model is kept until the audit is done (see `trainings`).

    Returns:
        One finding: the mean exposure of the canaries that a single person wrote, with a bootstrap interval over them.
        `detail["by_writers"]` holds the same figures, and the ranks, for each number of `WRITERS`.
    """

    def none(why: str) -> list[Finding]:
        return [not_measured(AUDIT, why, metric=METRIC, bound=bound)]

    if not isinstance(family, Likely):
        return none(f"A {family.name} model does not assign a likelihood to texts, so it cannot rank a planted one.")
    place = _place(rows)
    words = [] if place is None else _common_words(rows, place)
    if place is None or len(words) < _FEWEST_WORDS:
        return none(f"No account has messages with {_FEWEST_WORDS} common words to make canaries of.")
    rng = np.random.default_rng(np.frombuffer(seed_of(rows), dtype="<u4"))
    spaces = {writers: [_draw(words, rng) for _ in range(canaries)] for writers in WRITERS}
    planted = [
        _written(place, secrets[0], f"{writers}-{number}-{writer}")
        for writers, drawn in spaces.items()
        for number, secrets in enumerate(drawn)
        for writer in range(writers)
    ]
    try:
        model = learn(family, [*rows, *planted], parts=parts)
    except InvalidInputError as error:
        return none(f"There is too little to learn from: {error}")
    ranks: dict[int, list[float]] = {}
    for done, writers in enumerate(WRITERS):
        for number, secrets in enumerate(spaces[writers]):
            progress("ranking canaries", done * canaries + number, len(WRITERS) * canaries)
            asked = [_written(place, secret, f"asked-{at}") for at, secret in enumerate(secrets)]
            ranks.setdefault(writers, []).append(rank_of_first(family.log_likelihood(model, asked)))
    progress("ranking canaries", len(WRITERS) * canaries, len(WRITERS) * canaries)
    return [_finding(ranks, bound)]


def rank_of_first(likelihoods: NDArray[np.float64]) -> float:
    """Return the rank of the first of several log-likelihoods, from 1; ties share the middle of their ranks."""
    first = likelihoods[0]
    return 1.0 + float((likelihoods > first).sum()) + float((likelihoods == first).sum() - 1) / 2


def exposure(rank: float, secrets: int) -> float:
    """Return the exposure, in bits, of a secret, from its rank among all of them."""
    return float(np.log2(secrets) - np.log2(rank))


def _finding(ranks: Mapping[int, Sequence[float]], bound: float | None) -> Finding:
    figures = {writers: _exposure_of(found) for writers, found in ranks.items()}
    alone = figures[WRITERS[0]]
    return Finding(
        audit=AUDIT,
        metric=METRIC,
        value=alone["value"],
        low=alone["low"],
        high=alone["high"],
        bound=bound,
        verdict=at_most(alone["value"], bound),
        units=len(ranks[WRITERS[0]]),
        how=(
            f"Random sequences of {_LENGTH} common words, each planted as one person's message in a copy that was "
            f"trained for this audit alone, ranked by likelihood among {SECRETS} such sequences: at most "
            f"{np.log2(SECRETS):g} bits, and 1.44 by chance; 95 % by bootstrap over canaries. Written by "
            f"{WRITERS[1]} people instead: {figures[WRITERS[1]]['value']:.2f} bits."
        ),
        detail={"secrets": SECRETS, "by_writers": {str(writers): found for writers, found in figures.items()}},
    )


def _exposure_of(ranks: Sequence[float]) -> dict[str, Any]:
    bits = np.array([exposure(rank, SECRETS) for rank in ranks])
    low, high = bootstrap_interval(bits)
    return {"value": float(bits.mean()), "low": low, "high": high, "ranks": list(ranks)}


def _place(rows: Sequence[Row]) -> Row | None:
    """Return a row after whose example canaries are written: a message in the account where most people write."""
    people: dict[str, set[str]] = defaultdict(set)
    examples: dict[str, Row] = {}
    for row in rows:
        owner = owner_of(row)
        if owner is not None and _text(row) is not None:
            people[row.account].add(owner)
            known = examples.get(row.account)
            if known is None or row.record_id < known.record_id:
                examples[row.account] = row
    if not people:
        return None
    return examples[max(sorted(people), key=lambda account: len(people[account]))]


def _text(row: Row) -> str | None:
    """Return the text of a public message; none for other rows."""
    payload = row.payload
    text = payload.get("text")
    return text if payload.get("kind") == "message" and not payload.get("private") and isinstance(text, str) else None


def _common_words(rows: Sequence[Row], place: Row) -> list[str]:
    """Return the words that most people of the account wrote, the most common first."""
    people: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        owner, text = owner_of(row), _text(row)
        if row.account == place.account and owner is not None and text is not None:
            for word in _WORD.findall(text):
                people[word].add(owner)
    return sorted(people, key=lambda word: (-len(people[word]), word))[:_WORDS]


def _draw(words: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return different random sequences of words; the first one is the canary."""
    secrets: dict[str, None] = {}
    while len(secrets) < SECRETS:
        secrets[" ".join(words[at] for at in rng.integers(0, len(words), _LENGTH))] = None
    return list(secrets)


def _written(place: Row, text: str, who: str) -> Row:
    """Return a row in which an invented person writes a text."""
    name = digest(f"canary:{who}".encode())[:32]
    return replace(place, record_id=name, people=(name,), payload=place.payload | {"text": text}, embedding=None)
