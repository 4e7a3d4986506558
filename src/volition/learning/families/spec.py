"""A family's declaration: one frozen value in its folder that says what it is, so that no other package lists it.

A workspace, the features, the command line and the pages read declarations (`installed`) and never name a family
themselves. Reading one loads no numerics: only `make` imports the code that learns.

    SPEC = FamilySpec(
        name="search",
        purpose="train/search",
        learns_from=("content/chat", "service/usage"),
        uses_embeddings=True,
        feature="feature/search",
        reads=("content/chat",),
        forgets=Forgets.RETRAINING,
        words=FamilyWords(...),
        command="search",
        make=make,
    )

What it guarantees: a declaration names only purposes and kinds of data that terms can speak of, so nothing that a
family reads lies outside what an account can refuse.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from volition.consent.terms.vocabulary import BUILT_IN, is_name
from volition.errors import InvalidInputError
from volition.learning.grades import Grade

if TYPE_CHECKING:
    from volition.learning.encoder import Encoder
    from volition.learning.families.family import Family

FAMILY_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""No hyphen: a model's id is its family, a hyphen and a digest."""


class Forgets(StrEnum):
    """How a model comes to be the one that never saw the removed rows (machine unlearning, exact in both ways)."""

    RETRAINING = "retraining"
    SUBTRACTION = "subtraction"


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyWords:
    """What pages and commands call a family, in plain words.

    Attributes:
        title: What a model of it is for, such as "Search".
        training: What its training is called, such as "Train search".
        does: What its feature does, as one sentence.
        unit: One of what it is measured on, such as "meeting".
        units: Several of those.
        first: What it means that what was wanted came first, with "{}" for the share, such as "the right line was first
            in {} searches"; empty where nothing is ranked.
        score: What its measure means, as a share, likewise: "the composer saved {} keystrokes"; empty where it is none.
    """

    title: str
    training: str
    does: str
    unit: str
    units: str
    first: str = ""
    score: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyContext:
    """What a workspace hands to a family that is made.

    Attributes:
        folder: The workspace's folder.
        encoder: Loads the sentence encoder; returns none where its package is not installed.
        secret: 32 bytes that only this workspace and this family know, the same each time.
        settings: What the family's table of `volition.toml` says, as its `read_settings` gave it; none without one.
    """

    folder: Path
    encoder: "Callable[[], Encoder | None]"
    secret: bytes
    settings: object | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySpec:
    """What a family is.

    Attributes:
        name: Its name: of models, in the ledger and in commands.
        purpose: For which purpose it learns, one below "train", built in or declared by terms. Families of one purpose
            share its snapshots, which hold what any of them learns from.
        learns_from: The categories that it has a use for, built in or declared. Nothing else is read for it.
        uses_embeddings: Whether it learns from sentence embeddings of content, which are then derived and frozen too.
        feature: The purpose of the feature that its models serve, likewise below "feature".
        reads: The categories that this feature reads.
        forgets: How its models forget.
        words: What it is called.
        command: The command that runs its feature; empty if there is none.
        grade: How surely they forget: `Grade.EXACT`, or `Grade.EXACT_PREDICTIONS` where sums of floating-point numbers
            make bytes differ and predictions not.
        make: Makes the family. Raises InvalidInputError where something that it needs is not set.
        needs_settings: Whether it can be made only where the workspace's settings have a table for it.
        read_settings: Reads that table, as TOML has it; none where it has no settings. It raises InvalidInputError, or
            `FaultError` with a path that begins within the table, which is then reported with its line.
    """

    name: str
    purpose: str
    learns_from: tuple[str, ...]
    uses_embeddings: bool
    feature: str
    reads: tuple[str, ...]
    forgets: Forgets
    words: FamilyWords
    command: str
    make: "Callable[[FamilyContext], Family]"
    needs_settings: bool = False
    read_settings: Callable[[object], object] | None = None
    grade: Grade = Grade.EXACT

    def __post_init__(self) -> None:
        """Refuse a declaration that terms could not speak of.

        Raises:
            InvalidInputError: The name, a purpose or a category is not one, nothing is learnt from, or settings are
                needed that nothing reads.
        """
        if not FAMILY_NAME.fullmatch(self.name):
            msg = f"{self.name!r} cannot name a family: use a-z, 0-9 and _, a letter first, at most 32 characters."
            raise InvalidInputError(msg)
        for group, purpose in (("train", self.purpose), ("feature", self.feature)):
            if not is_name(purpose) or not purpose.startswith(f"{group}/"):
                known = ", ".join(BUILT_IN.leaves_of_use([group]))
                msg = (
                    f"The family {self.name} names the purpose {purpose!r}. It must be one of: {known}; or one "
                    f"that terms declare below {group}."
                )
                raise InvalidInputError(msg)
        if self.grade not in {Grade.EXACT, Grade.EXACT_PREDICTIONS}:
            raise InvalidInputError(f"The family {self.name} forgets {self.grade}; a family forgets exactly.")
        if self.needs_settings and self.read_settings is None:
            raise InvalidInputError(f"The family {self.name} needs settings and does not say what reads them.")
        self._check_categories("learns from", self.learns_from)
        self._check_categories("reads", self.reads)

    def _check_categories(self, what: str, categories: Sequence[str]) -> None:
        unknown = [name for name in categories if not is_name(name) or "/" not in name]
        if unknown or not categories:
            named = repr(unknown[0]) if unknown else "nothing"
            msg = f"The family {self.name} {what} {named}. Name at least one of: {', '.join(BUILT_IN.categories)}."
            raise InvalidInputError(msg)
