"""How an adapter is trained: what stands under `[adapter]` in a workspace's `volition.toml`.

[adapter]
base = "models/SmolLM2-135M"       # a folder, from the workspace's folder on
shards = 4                         # accounts are dealt into this many; forgetting trains only those concerned again
steps = 60                         # of each shard
rate = 0.1                         # the probability with which each person is in a step

[adapter.privacy]                  # leave the table out to train without differential privacy
clipping = 1.0
noise_multiplier = 1.0
delta = 1e-5
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from volition.errors import InvalidInputError

_WHOLE: Final[Mapping[str, tuple[int, int]]] = {
    "shards": (1, 999),
    "rank": (1, 256),
    "steps": (1, 1_000_000),
    "tokens": (8, 8192),
    "threads": (1, 256),
}
_NUMBERS: Final[Mapping[str, tuple[float, float]]] = {"rate": (0.0, 1.0), "learning_rate": (0.0, 1.0)}
_TEXTS: Final = ("base", "device")
_PRIVATE: Final[Mapping[str, tuple[float, float]]] = {
    "clipping": (0.0, math.inf),
    "noise_multiplier": (0.0, math.inf),
    "delta": (0.0, 0.5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """What makes a training differentially private (see `volition.learning.dp`).

    Attributes:
        clipping: Bound of the L2 norm of a person's gradient.
        noise_multiplier: Standard deviation of the noise, in units of `clipping`.
        delta: Probability outside the bound; well below one in the number of people.
    """

    clipping: float = 1.0
    noise_multiplier: float = 1.0
    delta: float = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an adapter is trained.

    Attributes:
        base: The folder of the base model, from the workspace's folder on.
        shards: How many groups accounts are dealt into.
        rank: Rank of the update of each matrix.
        steps: Steps of each shard.
        rate: Probability with which each person is in a step.
        tokens: The most tokens that a person adds to a step.
        learning_rate: Adam's.
        device: What torch computes on, such as "cpu" or "cuda".
        threads: Threads of the processor; another number may change a model's last bits, so it is part of what it is.
        privacy: What makes it private; none trains without noise and clipping.
    """

    base: str
    shards: int = 4
    rank: int = 8
    steps: int = 60
    rate: float = 0.1
    tokens: int = 256
    learning_rate: float = 0.002
    device: str = "cpu"
    threads: int = 2
    privacy: Private | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what shapes the model, as a JSON object; the base is named elsewhere, by its digest."""
        return {name: value for name, value in asdict(self).items() if name != "base"}

    @classmethod
    def from_toml(cls, table: object, *, where: str) -> Self:
        """Read the table, strictly.

        Args:
            table: What stands under `adapter`.
            where: The file, for messages.

        Raises:
            InvalidInputError: A key is missing, unknown, or holds what it cannot.
        """
        known = (*_TEXTS, *_WHOLE, *_NUMBERS, "privacy")
        values = _table(table, known, where=f"{where}: [adapter]")
        for key in _TEXTS:
            if (key in values or key == "base") and not (isinstance(values.get(key), str) and values[key].strip()):
                raise InvalidInputError(f"{where}: [adapter] needs {key} as a text that is not empty.")
        for key, (least, most) in _WHOLE.items():
            value = values.get(key, least)
            if type(value) is not int or not least <= value <= most:
                raise InvalidInputError(f"{where}: [adapter] sets {key} to {value!r}. Take {least} to {most}.")
        _check_numbers(values, _NUMBERS, where=f"{where}: [adapter]")
        if "privacy" in values:
            told = f"{where}: [adapter.privacy]"
            private = _table(values["privacy"], tuple(_PRIVATE), where=told)
            _check_numbers(private, _PRIVATE, where=told)
            values["privacy"] = Private(**{name: float(value) for name, value in private.items()})
        return cls(**values)


def _table(table: object, known: tuple[str, ...], *, where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise InvalidInputError(f"{where} must be a table, with its keys below it.")
    unknown = sorted(table.keys() - set(known))
    if unknown:
        raise InvalidInputError(f"{where} has the unknown key {unknown[0]!r}. The keys are {', '.join(known)}.")
    return dict(table)


def _check_numbers(values: Mapping[str, Any], bounds: Mapping[str, tuple[float, float]], *, where: str) -> None:
    for key, (above, most) in bounds.items():
        value = values.get(key, most)
        if key in values and (type(value) not in {int, float} or not above < value <= most or math.isinf(value)):
            told = "" if math.isinf(most) else f", and at most {most:g}"
            raise InvalidInputError(f"{where} sets {key} to {value!r}. Take a number above {above:g}{told}.")
