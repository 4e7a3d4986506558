"""One shard's training: a person at a time, clipped, noised, summed; kept as it goes, so that a kill costs little.

The optimiser (Adam, Kingma and Ba 2015, arXiv:1412.6980) sees the noisy sum of a step and nothing else, and a sum of
no gradients is one, too: what the accountant counts is every step that is taken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json
from volition.learning.dp import clipped_sum, gaussian, is_drawn
from volition.learning.families.adapter.recipe import Recipe
from volition.learning.families.adapter.shards import Author, Tokens
from volition.learning.families.family import Parts, part_name
from volition.learning.families.model import Array

Weights = NDArray[np.float32]

_KEPT: Final = 10  # parts of a shard that are kept: a kill costs a tenth of its steps at most
_MEAN, _SQUARE, _TINY = 0.9, 0.999, 1e-8  # Adam's own


class Learner(Protocol):
    """What can compute how weights should move for a text."""

    size: int
    """How many weights there are."""

    def gradient(self, weights: Weights, tokens: Tokens) -> tuple[float, Weights]:
        """Return the mean loss of a text's tokens, in nats, and its gradient, shape (size,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    weights: Weights
    mean: Weights
    square: Weights


def train_shard(  # noqa: PLR0913 - what a training is made of
    learner: Learner,
    people: Mapping[str, Author],
    recipe: Recipe,
    *,
    seed: str,
    key: bytes,
    parts: Parts,
    report: Callable[[int, float | None], None],
) -> Weights:
    """Train one shard's weights.

    Args:
        learner: The frozen base, with room for the weights.
        people: Who wrote what.
        recipe: How to train.
        seed: The shard's own, secret: it decides who a step draws and what its noise is.
        key: Says what else the result follows from, for the names of parts.
        parts: What earlier, killed runs have left.
        report: Called at the start and after each step with how many are done, and the mean loss of the people in it,
            in nats; none if it was empty.

    Returns:
        Shape (learner.size,).
    """
    stem = part_name("adapter", key, canonical_json(recipe.to_json()), seed.encode(), *_bytes(people))
    every = max(1, recipe.steps // _KEPT)
    done, state = _resumed(parts, stem, recipe.steps, every, learner.size)
    report(done, None)
    for step in range(done, recipe.steps):
        drawn = [person for person in people if is_drawn(seed, step, person, recipe.rate)]
        losses, gradients = [], []
        for person in drawn:
            loss, gradient = learner.gradient(state.weights, people[person].part(seed, step, person, recipe.tokens))
            losses.append(loss)
            gradients.append(gradient)
        state = _moved(state, _step_sum(gradients, recipe, seed, step, learner.size), step + 1, recipe.learning_rate)
        if (step + 1) % every == 0 or step + 1 == recipe.steps:
            parts.put(f"{stem}-{step + 1}", _arrays(state))
        report(step + 1, float(np.mean(losses)) if losses else None)
    return state.weights


def _step_sum(gradients: list[Weights], recipe: Recipe, seed: str, step: int, size: int) -> Weights:
    """Return what the optimiser sees; in units of the bound, which makes no difference to Adam."""
    private = recipe.privacy
    if private is None:
        return clipped_sum(gradients, np.inf, size)
    noise = gaussian(seed, step, size, private.noise_multiplier * private.clipping)
    return (clipped_sum(gradients, private.clipping, size) + noise) / np.float32(private.clipping)


def _moved(state: _State, moving: Weights, steps: int, rate: float) -> _State:
    mean = np.float32(_MEAN) * state.mean + np.float32(1 - _MEAN) * moving
    square = np.float32(_SQUARE) * state.square + np.float32(1 - _SQUARE) * moving**2
    own = mean / np.float32(1 - _MEAN**steps)
    size = np.sqrt(square / np.float32(1 - _SQUARE**steps)) + np.float32(_TINY)
    weights = (state.weights - np.float32(rate) * own / size).astype(np.float32)
    return _State(weights=weights, mean=mean.astype(np.float32), square=square.astype(np.float32))


def _resumed(parts: Parts, stem: str, steps: int, every: int, size: int) -> tuple[int, _State]:
    for done in sorted({steps, *range(every, steps, every)}, reverse=True):
        found = parts.get(f"{stem}-{done}")
        if found is not None and all(found[name].shape == (size,) for name in ("weights", "mean", "square")):
            return done, _State(weights=found["weights"], mean=found["mean"], square=found["square"])
    nothing = np.zeros(size, dtype=np.float32)
    return 0, _State(weights=nothing, mean=nothing, square=nothing)


def _arrays(state: _State) -> Mapping[str, Array]:
    return {"weights": state.weights, "mean": state.mean, "square": state.square}


def _bytes(people: Mapping[str, Author]) -> list[bytes]:
    return [piece for person, writer in people.items() for piece in (person.encode(), writer.tokens.tobytes())]
