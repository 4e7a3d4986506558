"""What the recommend family is: its declaration (see `families.spec`)."""

from typing import TYPE_CHECKING, Final

from volition.errors import require_extra
from volition.learning.families.spec import FamilyContext, FamilySpec, FamilyWords, Forgets

if TYPE_CHECKING:
    from volition.learning.families.family import Family


def make(context: FamilyContext) -> "Family":
    """Make the family."""
    require_extra("scipy", what="The family recommend")
    del context  # it needs nothing of the workspace
    from volition.learning.families.recommend.family import RecommendFamily  # noqa: PLC0415 - it loads what learning needs

    return RecommendFamily()


SPEC: Final = FamilySpec(
    name="recommend",
    purpose="train/recommend",
    learns_from=("service/usage",),
    uses_embeddings=False,
    feature="feature/recommend",
    reads=("service/usage",),
    forgets=Forgets.SUBTRACTION,
    words=FamilyWords(
        title="Recommendations",
        training="Train recommendations",
        does="Suggests channels, people and documents to try next, from what you have used.",
        unit="person",
        units="people",
        first="what somebody used next was suggested first for {} people",
        score="suggestions scored {} points for putting first what people used next",
    ),
    command="recommend",
    make=make,
)
