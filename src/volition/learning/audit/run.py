"""The audits of a release, in one list: what is not on it is not claimed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from volition.learning.audit.benefit import measure_benefit
from volition.learning.audit.bounds import Bound
from volition.learning.audit.canary import measure_canaries
from volition.learning.audit.cross_validation import Crossed, cross_validate
from volition.learning.audit.fairness import measure_fairness
from volition.learning.audit.finding import Finding
from volition.learning.audit.membership_inference import measure_attack
from volition.learning.audit.poisoning import measure_poisoning
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One audit.

    Attributes:
        measure: From the case and the bound to what was found; what could not be measured is a finding that says so.
        bound: The bound that a new workspace has.
        example: A bound for the settings' comment, where a new workspace has none.
        says: What the bound means, for the settings.
    """

    measure: Callable[[Case, float | None], Sequence[Finding]]
    bound: Bound
    example: float
    says: str


AUDITS: Final[Mapping[str, Audit]] = {
    "benefit": Audit(
        measure=lambda case, bound: measure_benefit(case.crossed, bound=bound, progress=case.progress),
        bound=Bound(value=None),
        example=0.0,
        says="The feature's quality with training less without: at least the bound. Few units vary by chance.",
    ),
    "fairness": Audit(
        measure=lambda case, bound: measure_fairness(case.crossed, case.rows, regions=case.regions, bound=bound),
        bound=Bound(value=None),
        example=0.2,
        says="The largest gap in quality between two groups: at most the bound. Small groups differ by chance alone.",
    ),
    "attack": Audit(
        measure=lambda case, bound: measure_attack(
            case.family, case.rows, bound=bound, progress=case.progress, parts=case.parts
        ),
        bound=Bound(value=None),
        example=0.1,
        says="The share of members that an attacker who has the model's file finds: at most the bound.",
    ),
    "canary": Audit(
        measure=lambda case, bound: measure_canaries(
            case.family, case.rows, bound=bound, progress=case.progress, parts=case.parts
        ),
        bound=Bound(value=3.0),
        example=3.0,
        says="How exposed, in bits, is what a single person wrote: at most the bound. Chance gives 1.4.",
    ),
    "poisoning": Audit(
        measure=lambda case, bound: measure_poisoning(
            case.family, case.rows, bound=bound, progress=case.progress, parts=case.parts
        ),
        bound=Bound(value=None),
        example=3.5,
        says="How far, in robust deviations, the most harmful party is from the others: at most the bound.",
    ),
}
"""Every audit by its name, in the order in which they run and are shown."""

DEFAULT_BOUNDS: Final[Mapping[str, Bound]] = {name: audit.bound for name, audit in AUDITS.items()}


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
    crossed = cross_validate(family, rows, progress=progress, parts=parts)
    case = Case(family=family, rows=rows, regions=regions, crossed=crossed, progress=progress, parts=parts)
    return [finding for name, audit in AUDITS.items() for finding in audit.measure(case, bounds[name].value)]


def bounds_text() -> str:
    """Return the bounds of a new workspace, as its `volition.toml` has them."""
    lines = []
    for name, audit in AUDITS.items():
        bound = f"bound = {audit.bound.value}" if audit.bound.value is not None else f"# bound = {audit.example}"
        lines += [f"[audit.{name}]", f"# {audit.says}", bound, f"required = {str(audit.bound.required).lower()}", ""]
    return "\n".join(lines)
