"""What the adapter family is: its declaration (see `families.spec`). It learns for the composer's purpose."""

from typing import TYPE_CHECKING, Final

from volition.errors import InvalidInputError
from volition.learning.families.adapter.recipe import Recipe
from volition.learning.families.spec import FamilyContext, FamilySpec, FamilyWords, Forgets

if TYPE_CHECKING:
    from volition.learning.families.family import Family


def make(context: FamilyContext) -> "Family":
    """Make the family; its base, which takes seconds to load, is opened when it is first needed.

    Raises:
        InvalidInputError: The settings name no base.
    """
    if not isinstance(context.settings, Recipe):
        msg = (
            f"No base model is named for adapters. Name one in {context.folder / 'volition.toml'}: [adapter] base = ..."
        )
        raise InvalidInputError(msg)
    from volition.learning.families.adapter.family import AdapterFamily  # noqa: PLC0415 - it loads what learning needs

    return AdapterFamily(context.settings, folder=context.folder, secret=context.secret)


SPEC: Final = FamilySpec(
    name="adapter",
    purpose="train/compose",
    learns_from=("content/chat",),
    uses_embeddings=False,
    feature="feature/compose",
    reads=("content/chat",),
    forgets=Forgets.RETRAINING,
    words=FamilyWords(
        title="Writing on",
        training="Train the adapter",
        does="Continues a chat message from where you stopped, when you ask for it. It may invent.",
        unit="person",
        units="people",
    ),
    command="go-on",
    make=make,
    needs_settings=True,
    read_settings=Recipe.from_toml,
)
