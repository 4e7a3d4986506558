"""Audits: each turns a model into a finding, measured, with an interval, before anything is released."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an audit found.

    Attributes:
        audit: Name of the audit, such as "benefit".
        metric: What was measured, such as "NDCG@10".
        measured: Whether it could be measured at all; if not, `how` says why and the figures are none.
        trained: The feature's mean with training.
        untrained: The mean of the same feature without.
        difference: `trained - untrained`, paired by unit.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end of it.
        units: How many units were scored.
        by_account: Account -> {"trained", "untrained", "units"}.
        how: How it was measured, in a sentence.
    """

    audit: str
    metric: str
    measured: bool
    trained: float | None
    untrained: float | None
    difference: float | None
    low: float | None
    high: float | None
    units: int
    by_account: Mapping[str, Mapping[str, float]]
    how: str

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object; `from_json` reads it back unchanged."""
        return {name: getattr(self, name) for name in self.__slots__} | {"by_account": dict(self.by_account)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Finding":
        """Read what `to_json` wrote."""
        return cls(**value)
