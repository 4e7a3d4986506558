"""What the summary family is: its declaration (see `families.spec`)."""

from typing import TYPE_CHECKING, Final

from volition.errors import require_extra
from volition.learning.families.spec import FamilyContext, FamilySpec, FamilyWords, Forgets

if TYPE_CHECKING:
    from volition.learning.families.family import Family


def make(context: FamilyContext) -> "Family":
    """Make the family."""
    require_extra("scipy", what="The family summary")
    del context  # it needs nothing of the workspace
    from volition.learning.families.summary.family import SummaryFamily  # noqa: PLC0415 - it loads what learning needs

    return SummaryFamily()


SPEC: Final = FamilySpec(
    name="summary",
    purpose="train/summary",
    learns_from=("content/transcript",),
    uses_embeddings=True,
    feature="feature/summary",
    reads=("content/transcript",),
    forgets=Forgets.SUBTRACTION,
    words=FamilyWords(
        title="Summaries",
        training="Train summaries",
        does="Shows key moments, decisions and tasks of a meeting, each a quote that points at its second.",
        unit="meeting",
        units="meetings",
        score="summaries scored {} points for sharing words with those that people edited",
    ),
    command="summarize",
    make=make,
)
