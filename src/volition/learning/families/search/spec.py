"""What the search family is: its declaration (see `families.spec`)."""

from typing import TYPE_CHECKING, Final

from volition.errors import require_extra
from volition.learning.families.spec import FamilyContext, FamilySpec, FamilyWords, Forgets

if TYPE_CHECKING:
    from volition.learning.families.family import Family


def make(context: FamilyContext) -> "Family":
    """Make the family; without the encoder it works on words alone."""
    require_extra("lightgbm", "scipy", what="The family search")
    from volition.learning.families.search.family import SearchFamily  # noqa: PLC0415 - it loads what learning needs

    return SearchFamily(context.encoder())


SPEC: Final = FamilySpec(
    name="search",
    purpose="train/search",
    learns_from=("content/chat", "content/files", "content/transcript", "service/usage"),
    uses_embeddings=True,
    feature="feature/search",
    reads=("content/chat", "content/files", "content/transcript"),
    forgets=Forgets.RETRAINING,
    words=FamilyWords(
        title="Search",
        training="Train search",
        does="Finds what was said and written in meetings, chats and files that you may see.",
        unit="search",
        units="searches",
        first="the right line was first in {} searches",
        score="search scored {} points for putting the right lines first",
    ),
    command="search",
    make=make,
)
