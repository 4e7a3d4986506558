"""The audits of a release, in one list: what is not on it is not claimed."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from volition.audit import Finding
from volition.audit.benefit import measure_benefit
from volition.families import Family, Progress
from volition.lake import Row


class Audit(Protocol):
    """Measures one thing of the models that a family makes of some rows."""

    def __call__(
        self, family: Family, rows: Sequence[Row], *, bound: float | None, progress: Progress
    ) -> Sequence[Finding]:
        """Return what was found; what could not be measured is a finding that says so."""


AUDITS: Final[Mapping[str, Audit]] = {
    "benefit": measure_benefit,
}
"""Every audit by its name, in the order in which they run and are shown."""


def run_audits(
    family: Family, rows: Sequence[Row], *, bounds: Mapping[str, float], progress: Progress
) -> list[Finding]:
    """Run every audit on one snapshot's rows.

    Args:
        family: The family whose model is to be released.
        rows: The snapshot's rows.
        bounds: What each audit's figure is held against, by the audit's name; an audit without one has no bound.
        progress: Told how far each audit is.

    Returns:
        The findings, one or more for each audit.
    """
    return [
        finding
        for name, audit in AUDITS.items()
        for finding in audit(family, rows, bound=bounds.get(name), progress=progress)
    ]
