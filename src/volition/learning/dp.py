"""Differential privacy with a person as the unit: who is drawn, what is clipped, what the noise is, what it adds up to.

- Every draw is a function of (seed, step, person) alone, so leaving a person out changes no other person's draw.
- Whatever a person wrote, a step moves by no more than the bound because of them.
- What is claimed names its unit, its neighbours, its accountant, and what it does not cover.

    drawn = [person for person in people if is_drawn(seed, step, person, rate)]
    noisy = clipped_sum(gradients, bound, size) + gaussian(seed, step, size, multiplier * bound)

The noise comes from a generator under a seed, which makes a training repeatable: anyone who knows the seed can subtract
the noise, so it is kept as secret as a key. It is not hardened against attacks on the rounding of numbers (Mironov
2012, doi:10.1145/2382196.2382264), and a claim says so.

Source: DP-SGD, Abadi et al. 2016, arXiv:1607.00133, with a person in the place of an example (McMahan et al. 2018,
arXiv:1710.06963).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from volition.errors import BackendError, InvalidInputError

NOT_COVERED = (
    "people whom an author's messages mention or answer: the unit is the author",
    "the choice of settings, and the audits' figures, on the same data",
    "scrubbing, which is not private in this sense",
    "one person under two identities",
    "how many people and messages each shard has, which the model tells",
    "models after a forgetting: each is a further release, and comparing two of them may tell who left",
    "whoever knows the seed, or attacks the rounding of the noise: the generator is repeatable, not hardened",
)


_THRESHOLDS = 200  # at which somebody could guess


class Accountant(Protocol):
    """Adds up what the steps of a training give away."""

    name: str
    version: str

    def epsilon(self, *, multiplier: float, rate: float, steps: int, delta: float) -> float:
        """Return epsilon at `delta` of `steps` Poisson-subsampled Gaussian mechanisms."""


class PrvAccountant:
    """Opacus's numerical composition of privacy random variables (Gopi, Lee and Wutschitz, arXiv:2106.02848)."""

    name = "PRV (opacus)"

    def __init__(self) -> None:
        """Find Opacus.

        Raises:
            BackendError: Opacus is not installed.
        """
        try:
            from opacus.accountants import PRVAccountant  # noqa: PLC0415 - seconds to import
        except ImportError as error:
            msg = "Accounting for privacy needs Opacus and torch: pip install 'volition[train]'."
            raise BackendError(msg) from error
        self._accountant = PRVAccountant
        self.version = version("opacus")

    def epsilon(self, *, multiplier: float, rate: float, steps: int, delta: float) -> float:
        """Return the upper bound of epsilon."""
        accountant = self._accountant()
        accountant.history = [(multiplier, rate, steps)]
        return float(accountant.get_epsilon(delta=delta))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is claimed, in the items that NIST SP 800-226 (https://doi.org/10.6028/NIST.SP.800-226) asks for.

    No conformance to it is claimed.

    Attributes:
        clipping: Bound of the L2 norm of a person's gradient.
        rate: Probability with which each person is in a step.
        multiplier: Standard deviation of the noise, in units of `clipping`.
        steps: Steps of one shard. Shards share no person, so they compose in parallel.
        epsilon: At `delta`, by the accountant.
        delta: Probability outside the bound.
        accountant: Its name and version.
    """

    clipping: float
    rate: float
    multiplier: float
    steps: int
    epsilon: float
    delta: float
    accountant: str
    mechanism: str = "Gaussian, Poisson-subsampled (DP-SGD); the optimiser sees the noisy sums alone"
    composition: str = "steps of a shard by the accountant; shards in parallel, since nobody is in two of them"
    neighbours: str = "all messages of one author added or removed"
    unit: str = "person (author)"
    sampling: str = "Poisson, each person independently at each step"
    seen_by: str = "central model: the trainer sees the rows, others the finished adapter"
    secure_generator: bool = False
    not_covered: tuple[str, ...] = NOT_COVERED

    def to_json(self) -> Mapping[str, Any]:
        """Return the claim as a JSON object."""
        return asdict(self) | {"not_covered": list(self.not_covered)}


def claim(  # noqa: PLR0913 - what a training is made of
    accountant: Accountant, *, clipping: float, rate: float, multiplier: float, steps: int, delta: float
) -> Claim:
    """Account for a training.

    Raises:
        InvalidInputError: A setting is out of range.
    """
    if not (clipping > 0 and 0 < rate <= 1 and multiplier > 0 and steps > 0 and 0 < delta < 1):
        msg = "Private training needs clipping, multiplier and steps above 0, a rate in (0, 1] and a delta in (0, 1)."
        raise InvalidInputError(msg)
    epsilon = accountant.epsilon(multiplier=multiplier, rate=rate, steps=steps, delta=delta)
    return Claim(
        clipping=clipping,
        rate=rate,
        multiplier=multiplier,
        steps=steps,
        epsilon=epsilon,
        delta=delta,
        accountant=f"{accountant.name} {accountant.version}",
    )


def least_epsilon(*, multiplier: float, rate: float, steps: int, delta: float) -> float:
    """Return an epsilon below which no training with these settings can be, whatever its accountant says.

    Somebody whose gradient is as long as the bound, always in one direction, moves the sum of all steps there by how
    often they were drawn. Whoever guesses from that sum, by any threshold, whether they were there is right with a
    chance `found` and wrong with `mistaken`; privacy promises found <= exp(epsilon) * mistaken + delta.

    Source: the hypothesis-testing view of differential privacy, Kairouz, Oh and Viswanath 2015, arXiv:1311.0776.
    """
    deviation, mean = multiplier * math.sqrt(steps), rate * steps
    reach = 8 * math.sqrt(mean * (1 - rate)) + 1
    counts = range(max(0, math.floor(mean - reach)), min(steps, math.ceil(mean + reach)) + 1)
    drawn = [(count, _binomial(count, steps, rate)) for count in counts]
    least, top = 0.0, mean + reach + 6 * deviation
    for place in range(_THRESHOLDS + 1):
        threshold = top * place / _THRESHOLDS
        mistaken = _above(threshold / deviation)
        found = sum(chance * _above((threshold - count) / deviation) for count, chance in drawn)
        if mistaken > 0 and found > delta:
            least = max(least, math.log((found - delta) / mistaken))
    return least


def _binomial(count: int, trials: int, rate: float) -> float:
    if rate == 1:
        return float(count == trials)
    chosen = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
    return math.exp(chosen + count * math.log(rate) + (trials - count) * math.log1p(-rate))


def _above(deviations: float) -> float:
    """Return the chance that a standard normal variable is above some deviations."""
    return math.erfc(deviations / math.sqrt(2)) / 2


def draw(*parts: object) -> int:
    """Return a number below 2^128 that follows from the parts alone, and from nothing else known."""
    return int.from_bytes(sha256("\x1f".join(map(str, parts)).encode()).digest()[:16])


def is_drawn(seed: str, step: int, person: str, rate: float) -> bool:
    """Return whether a step draws a person: with probability `rate`, independently of all others (Poisson sampling)."""
    return draw("person", seed, step, person) < rate * 2**128


def gaussian(seed: str, step: int, size: int, deviation: float) -> NDArray[np.float32]:
    """Return a step's noise, shape (size,): the same whichever people are drawn."""
    generator = np.random.Generator(np.random.Philox(key=draw("noise", seed, step)))
    return (generator.standard_normal(size) * deviation).astype(np.float32)


def clipped_sum(gradients: Iterable[NDArray[np.float32]], bound: float, size: int) -> NDArray[np.float32]:
    """Add people's gradients, each of shape (size,) and scaled to an L2 norm of at most `bound`.

    A gradient that is not finite adds nothing.
    """
    total = np.zeros(size, dtype=np.float64)
    for gradient in gradients:
        exact = gradient.astype(np.float64)
        norm = float(np.linalg.norm(exact))
        if np.isfinite(norm):
            total += exact * (min(1.0, bound / norm) if norm else 1.0)
    return total.astype(np.float32)
