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

from volition.consent.terms.toml_file import FaultError, Section

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
    def from_toml(cls, table: object) -> Self:
        """Read the table, strictly.

        Args:
            table: What stands under `adapter`.

        Raises:
            FaultError: A key is missing, unknown, or holds what it cannot; its path begins within the table.
        """
        section = Section(table, (), required={"base"}, optional={"device", *_WHOLE, *_NUMBERS, "privacy"})
        values: dict[str, Any] = {key: _filled(section, key) for key in _TEXTS if key in section.value}
        for key, (least, most) in _WHOLE.items():
            if key in section.value:
                values[key] = section.integer(key, least)
                if not least <= values[key] <= most:
                    raise FaultError((key,), f'"{key}" must be a whole number from {least} to {most:,}.')
        values |= _numbers(section, _NUMBERS)
        if "privacy" in section.value:
            private = section.section("privacy", required=(), optional=_PRIVATE)
            values["privacy"] = Private(**{key: float(value) for key, value in _numbers(private, _PRIVATE).items()})
        return cls(**values)


def _filled(section: Section, key: str) -> str:
    text = section.text(key)
    if not text.strip():
        raise FaultError((*section.path, key), f'"{key}" is empty. Fill it in, or take the line out.')
    return text


def _numbers(section: Section, bounds: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return the numbers that a table sets, each above the first of its bounds and at most the second."""
    found = {}
    for key, (above, most) in bounds.items():
        if key in section.value:
            found[key] = section.number(key, min(most, 1.0))
            if not above < found[key] <= most:
                limit = "" if math.isinf(most) else f" and at most {most:g}"
                raise FaultError((*section.path, key), f'"{key}" must be a number above {above:g}{limit}.')
    return found
