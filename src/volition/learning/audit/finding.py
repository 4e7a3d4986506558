"""A finding: what one audit measured, with its interval, held against its bound."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.errors import InvalidInputError

PASS: Final = "pass"  # noqa: S105 - a verdict
FAIL: Final = "fail"
NO_BOUND: Final = "no bound"
NOT_MEASURED: Final = "not measured"
VERDICTS: Final = (PASS, FAIL, NO_BOUND, NOT_MEASURED)

SURELY: Final = "surely"
"""In a finding's detail, and true: its bound is missed only where the whole interval is beyond it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an audit found.

    Attributes:
        audit: Name of the audit, such as "benefit".
        metric: What was measured, such as "NDCG@10".
        value: The figure; none if, and only if, it was not measured: then `how` says why.
        low: Lower end of the 95 % interval of the value; none where there is no interval.
        high: Upper end of it.
        bound: What the value was held against; none if nothing was set.
        verdict: "pass", "fail", "no bound" or "not measured".
        units: How many units the figure rests on.
        how: How it was measured, in a sentence.
        detail: What else was found, as JSON values: figures by account, by group, curves.
    """

    audit: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    bound: float | None
    verdict: str
    units: int
    how: str
    detail: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse a finding that says one thing and shows another.

        Raises:
            InvalidInputError: The verdict is unknown, or says "not measured" beside a figure, or the reverse.
        """
        if self.verdict not in VERDICTS:
            msg = f"{self.verdict!r} is no verdict of an audit. The verdicts are: {', '.join(VERDICTS)}."
            raise InvalidInputError(msg)
        if (self.value is None) != (self.verdict == NOT_MEASURED):
            msg = f"The audit {self.audit} found {self.value!r} and says {self.verdict!r}: one of them is wrong."
            raise InvalidInputError(msg)

    @property
    def measured(self) -> bool:
        """Whether it could be measured at all."""
        return self.value is not None

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object; `from_json` reads it back unchanged."""
        return {name: getattr(self, name) for name in self.__slots__} | {"detail": dict(self.detail)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Finding":
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: It has other members, such as an earlier version's; they are not guessed at.
        """
        if not isinstance(value, Mapping) or set(value) != set(cls.__slots__):
            msg = f"It is no finding of this version: a finding has {', '.join(cls.__slots__)}."
            raise InvalidInputError(msg)
        return cls(**value)


def not_measured(audit: str, why: str, *, metric: str = "none", bound: float | None = None) -> Finding:
    """Return the finding of an audit that could not measure.

    Args:
        audit: Its name.
        why: What was missing, in a sentence or two.
        metric: What would have been measured, where that is known.
        bound: What it would have been held against.
    """
    return Finding(
        audit=audit,
        metric=metric,
        value=None,
        low=None,
        high=None,
        bound=bound,
        verdict=NOT_MEASURED,
        units=0,
        how=f"Not measured. {why}",
        detail={},
    )


def at_least(value: float, bound: float | None) -> str:
    """Return the verdict on a figure that must not be smaller than its bound."""
    return NO_BOUND if bound is None else PASS if value >= bound else FAIL


def at_most(value: float, bound: float | None) -> str:
    """Return the verdict on a figure that must not be larger than its bound."""
    return NO_BOUND if bound is None else PASS if value <= bound else FAIL
