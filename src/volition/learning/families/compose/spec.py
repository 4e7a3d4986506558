"""What the compose family is: its declaration (see `families.spec`)."""

from typing import TYPE_CHECKING, Final

from volition.learning.families.spec import FamilyContext, FamilySpec, FamilyWords, Forgets

if TYPE_CHECKING:
    from volition.learning.families.family import Family


def make(context: FamilyContext) -> "Family":
    """Make the family."""
    del context  # it needs nothing of the workspace
    from volition.learning.families.compose.family import ComposeFamily  # noqa: PLC0415 - it loads what learning needs

    return ComposeFamily()


SPEC: Final = FamilySpec(
    name="compose",
    purpose="train/compose",
    learns_from=("content/chat",),
    uses_embeddings=False,
    feature="feature/compose",
    reads=("content/chat",),
    forgets=Forgets.SUBTRACTION,
    words=FamilyWords(
        title="Composer",
        training="Train the composer",
        does="Completes and rewrites your chat messages when you ask for it. It never sends anything.",
        unit="message",
        units="messages",
        score="the composer saved {} keystrokes",
    ),
    command="complete",
    make=make,
)
