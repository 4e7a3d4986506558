"""What the diagnose family is: its declaration (see `families.spec`)."""

from typing import TYPE_CHECKING, Final

from volition.errors import require_extra
from volition.learning.families.spec import FamilyContext, FamilySpec, FamilyWords, Forgets

if TYPE_CHECKING:
    from volition.learning.families.family import Family


def make(context: FamilyContext) -> "Family":
    """Make the family."""
    require_extra("lightgbm", "scipy", what="The family diagnose")
    del context  # it needs nothing of the workspace
    from volition.learning.families.diagnose.family import DiagnoseFamily  # noqa: PLC0415 - it loads what learning needs

    return DiagnoseFamily()


SPEC: Final = FamilySpec(
    name="diagnose",
    purpose="train/diagnose",
    learns_from=("service/diagnostics", "service/telemetry"),
    uses_embeddings=False,
    feature="feature/diagnose",
    reads=("service/diagnostics", "service/telemetry"),
    forgets=Forgets.RETRAINING,
    words=FamilyWords(
        title="Diagnosis",
        training="Train diagnosis",
        does="Warns when a session is about to fail, and names the likely cause.",
        unit="session",
        units="sessions",
        score="foretelling failures scored {} points, none being for naming their usual share",
    ),
    command="diagnose",
    make=make,
)
