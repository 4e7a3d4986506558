"""The audits of a release, in one list: what is not on it is not claimed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from volition.learning.audit.benefit import measure_benefit
from volition.learning.audit.bounds import Bound
from volition.learning.audit.canary import measure_canaries
from volition.learning.audit.cross_validation import Crossed, cross_validate
from volition.learning.audit.defaults import held
from volition.learning.audit.fairness import measure_fairness
from volition.learning.audit.finding import Finding
from volition.learning.audit.membership_inference import measure_attack
from volition.learning.audit.poisoning import measure_poisoning
from volition.learning.audit.trainings import AuditParts
from volition.learning.families.family import Family, NoParts, Parts
from volition.progress import Progress
from volition.records.lake import Row

_NOWHERE: Final = NoParts()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """What is audited: one family's models of one snapshot's rows.

    Attributes:
        family: The family whose model is to be released.
        rows: The snapshot's rows.
        regions: Party ("account:ID", "person:PSEUDONYM") -> region, where one is on record.
        crossed: Every unit's held-out scores, measured once for all audits that use them.
        progress: Called with how far an audit is.
        parts: Where the audits' models are kept until all are done (see `trainings`).
    """

    family: Family
    rows: Sequence[Row]
    regions: Mapping[str, str]
    crossed: Crossed
    progress: Progress
    parts: Parts


Measure = Callable[[Case, float | None], Sequence[Finding]]
"""An audit: from the case and the bound to what was found; what could not be measured is a finding that says so."""

AUDITS: Final[Mapping[str, Measure]] = {
    "benefit": lambda case, bound: measure_benefit(case.crossed, bound=bound, progress=case.progress),
    "fairness": lambda case, bound: measure_fairness(case.crossed, case.rows, regions=case.regions, bound=bound),
    "attack": lambda case, bound: measure_attack(
        case.family, case.rows, bound=bound, progress=case.progress, parts=case.parts
    ),
    "canary": lambda case, bound: measure_canaries(
        case.family, case.rows, bound=bound, progress=case.progress, parts=case.parts
    ),
    "poisoning": lambda case, bound: measure_poisoning(
        case.family, case.rows, bound=bound, progress=case.progress, parts=case.parts
    ),
}
"""Every audit by its name, in the order in which they run and are shown; `defaults` has the bound of each."""


def run_audits(  # noqa: PLR0913 - what is audited, and how
    family: Family,
    rows: Sequence[Row],
    *,
    regions: Mapping[str, str],
    bounds: Mapping[str, Bound],
    progress: Progress,
    parts: Parts = _NOWHERE,
) -> list[Finding]:
    """Run every audit on one snapshot's rows.

    Args:
        family: The family whose model is to be released.
        rows: The snapshot's rows.
        regions: Party -> region, where one is on record.
        bounds: What each audit's figure is held against, by the audit's name.
        progress: Called with how far each audit is.
        parts: Where the audits' models are kept: run again with the same, a killed audit trains none of them twice.

    Returns:
        The findings, one or more for each audit.
    """
    parts = AuditParts(parts)
    crossed = cross_validate(family, rows, progress=progress, parts=parts)
    case = Case(family=family, rows=rows, regions=regions, crossed=crossed, progress=progress, parts=parts)
    return [
        held(finding, bounds[name]) for name, measure in AUDITS.items() for finding in measure(case, bounds[name].value)
    ]
