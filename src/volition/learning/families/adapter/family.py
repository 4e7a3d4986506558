"""The adapter family: an update for each shard of accounts, measured by log-likelihood per token."""

import hmac
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.learning.dp import PrvAccountant, claim
from volition.learning.families.adapter.base import Base, settings_of
from volition.learning.families.adapter.recipe import Recipe
from volition.learning.families.adapter.shards import Message, Tokens, deal, shard_sizes, writers
from volition.learning.families.adapter.training import Weights, train_shard
from volition.learning.families.chat import hold_out_people, is_message
from volition.learning.families.family import Parts, Scores
from volition.learning.families.model import Array, Model
from volition.progress import Progress
from volition.records.lake import Row

NAME: Final = "adapter"
METRIC: Final = "log-likelihood per token"
"""Natural logarithm, averaged over a person's held-out tokens; perplexity is e to the power of its negative."""

_FIXED: Final = "fixed"
_FORMAT: Final = 1


class AdapterFamily:
    """The adapter family (see `volition.learning.families.family.Family`)."""

    name = NAME
    purpose = "train/compose"

    def __init__(self, recipe: Recipe, *, folder: Path, secret: bytes) -> None:
        """Say how to train; the base is opened when it is first needed.

        Args:
            recipe: How to train.
            folder: From where on the recipe names its base.
            secret: It decides who each step draws and what its noise is; anyone who knows it can subtract the noise.
        """
        self._recipe = recipe
        self._folder = folder / recipe.base
        self._secret = secret

    @cached_property
    def _base(self) -> Base:
        recipe = self._recipe
        return Base.open(self._folder, rank=recipe.rank, threads=recipe.threads, device=recipe.device)

    @cached_property
    def _settings(self) -> Mapping[str, Any]:
        """What shapes a model besides rows: the same settings and rows give the same bytes."""
        private, claimed = self._recipe.privacy, None
        if private is not None:
            claimed = claim(
                PrvAccountant(),
                clipping=private.clipping,
                rate=self._recipe.rate,
                multiplier=private.noise_multiplier,
                steps=self._recipe.steps,
                delta=private.delta,
            ).to_json()
        return {
            "format": _FORMAT,
            "base": settings_of(self._base),
            "recipe": self._recipe.to_json(),
            "seed": sha256(b"volition/adapter/commitment/" + self._secret).hexdigest(),
            "privacy": claimed,
        }

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Train each shard's update.

        Args:
            rows: Permitted rows; those that are no public chat message are passed over. Their order does not matter.
            parts: What earlier, killed runs have left.
            progress: Called for each step, with the mean loss of the people in it, in nats per token.

        Raises:
            InvalidInputError: There is no public message, or no base.
            BackendError: The packages of the extra `train` are not installed, or the base does not load.
        """
        return self._learn(deal(rows, self._recipe.shards), {}, parts, progress)

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Train again the shards in which anything is missing now.

        Args:
            model: Fitted on `before`.
            before: The rows that the model was trained from; content of erased accounts may be missing.
            after: The rows that may still be used.
            parts: What earlier, killed runs have left.
            progress: Called for each step.

        Returns:
            The model that `fit(after)` gives, in the same bytes.

        Raises:
            InvalidInputError: Nothing is left to learn from.
        """
        now = deal(after, self._recipe.shards)
        kept: dict[int, Weights] = {}
        if {key: model.settings.get(key) for key in self._settings} == dict(self._settings):
            was = deal(before, self._recipe.shards)
            counted = {one["shard"]: one for one in model.settings["shards"]}
            kept = {
                shard: model.arrays[_shard(shard)]
                for shard, messages in now.items()
                # The count covers what `before` cannot show any more, such as an account whose key is destroyed.
                if was.get(shard) == messages and counted.get(shard) == shard_sizes({shard: messages})[0]
            }
        return self._learn(now, kept, parts, progress)

    def _learn(
        self, dealt: Mapping[int, tuple[Message, ...]], kept: Mapping[int, Weights], parts: Parts, progress: Progress
    ) -> Model:
        if not dealt:
            msg = (
                "nothing to learn from: there is no message in a public chat of one account alone; collect more "
                "`content/chat`, or ask more people"
            )
            raise InvalidInputError(msg)
        base, fixed = self._base, self._base.fixed()
        base.set_fixed(fixed)
        again = [shard for shard in dealt if shard not in kept]
        arrays: dict[str, Array] = {_FIXED: fixed} | {_shard(shard): weights for shard, weights in kept.items()}
        for number, shard in enumerate(again):
            stage = f"training shard {number + 1} of {len(again)}"

            def say(done: int, loss: float | None, stage: str = stage, number: int = number) -> None:
                progress(stage, number * self._recipe.steps + done, len(again) * self._recipe.steps, loss)

            arrays[_shard(shard)] = train_shard(
                base,
                writers(dealt[shard], base.encode, base.end),
                self._recipe,
                seed=hmac.digest(self._secret, b"volition/adapter/shard/%d" % shard, "sha256").hex(),
                key=canonical_json(self._settings["base"]),
                parts=parts,
                report=say,
            )
        return Model(family=NAME, settings={**self._settings, "shards": shard_sizes(dealt)}, arrays=arrays, texts={})

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """Hold out the people of one fold (see `chat.hold_out_people`)."""
        return hold_out_people(rows, fold, folds)

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Measure how well each person's messages are predicted.

        Args:
            model: Fitted on `rows_known`; none asks the base alone.
            rows_known: Unused: what was learned is in the model.
            rows_heldout: Messages to predict.

        Returns:
            One value per person, in nats per token, at most 0.
        """
        del rows_known
        messages = sorted((row for row in rows_heldout if is_message(row)), key=lambda row: row.record_id)
        texts = [self._tokens(row.payload["text"]) for row in messages]
        found: dict[tuple[str, str], tuple[float, int]] = defaultdict(lambda: (0.0, 0))
        for row, tokens, value in zip(messages, texts, self._scored(model, texts), strict=True):
            total, count = found[row.account, row.author]
            found[row.account, row.author] = (total + value, count + len(tokens) - 1)
        units = sorted(found)
        return Scores(
            metric=METRIC,
            units=tuple(person for _, person in units),
            accounts=tuple(account for account, _ in units),
            values=np.array([found[unit][0] / found[unit][1] for unit in units], dtype=np.float64),
            people=tuple((person,) for _, person in units),
        )

    def log_likelihood(self, model: Model, rows: Sequence[Row]) -> NDArray[np.float64]:
        """Return the natural logarithm of each message's likelihood, shape (rows,); NaN for rows that are no message.

        Raises:
            InvalidInputError: The model is of another family or another base.
        """
        found = np.full(len(rows), math.nan)
        places = [place for place, row in enumerate(rows) if isinstance(row.payload.get("text"), str)]
        found[places] = self._scored(model, [self._tokens(rows[place].payload["text"]) for place in places])
        return found

    def go_on(self, model: Model | None, text: str, *, tokens: int) -> str:
        """Return the likeliest continuation of a text; without a model, the base's alone.

        Args:
            model: A model of this family.
            text: What is there.
            tokens: The most tokens to add.
        """
        given = [self._base.end, *self._base.encode(text)][-self._recipe.tokens :]
        return self._base.decode(self._base.go_on(self._mixed(model), given, tokens))

    def _tokens(self, text: str) -> Tokens:
        """Return a text as tokens between two ends; a long one is cut."""
        base = self._base
        return np.array([base.end, *base.encode(text), base.end][: self._recipe.tokens + 1], dtype=np.int32)

    def _scored(self, model: Model | None, texts: Sequence[Tokens]) -> list[float]:
        return self._base.log_likelihoods(self._mixed(model), texts)

    def _mixed(self, model: Model | None) -> Weights | None:
        """Return the mean of the shards' weights, and set what they stand on."""
        if model is None:
            return None
        if model.family != NAME or model.settings["base"]["digest"] != self._base.digest:
            msg = f"The {model.family} model is no adapter of the base {self._base.name}. Train one on it."
            raise InvalidInputError(msg)
        self._base.set_fixed(model.arrays[_FIXED])
        shards = [model.arrays[_shard(one["shard"])] for one in model.settings["shards"]]
        mean: Weights = np.mean(np.array(shards, dtype=np.float64), axis=0).astype(np.float32)
        return mean


def _shard(shard: int) -> str:
    return f"shard-{shard:03d}"
