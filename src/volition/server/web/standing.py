"""How a use stands, in a word, and whether anything here makes that use at all.

Every badge of a permission is made here, from what `consent.choices` says:

- "Used" is said only for a purpose whose feature or model reads that kind of data.
- What the gate permits beyond that is "Allowed": a page never says that something is used which nothing here can use.
- Where it holds for some kinds of data and not for others, the word says that it is a part.
"""

from collections.abc import Iterable
from functools import cache
from typing import Final

from volition.consent.choices import ChoiceLine, Standing, standing_of
from volition.consent.terms.vocabulary import BUILT_IN
from volition.learning.families.installed import WITHOUT_FAMILY, installed_families, read_for
from volition.server.web.page import Badge

NOT_READ: Final = "nothing here uses this kind of data for it"

_USED: Final = {Standing.ALL: "Used", Standing.PART: "Used in part", Standing.NONE: "Not used"}
_ALLOWED: Final = {Standing.ALL: "Allowed", Standing.PART: "Allowed in part", Standing.NONE: "Not allowed"}
_ONLY_ALLOWED: Final = _ALLOWED | {Standing.NONE: "Not used"}


@cache
def _read(purpose: str) -> frozenset[str]:
    """Return the kinds of data that something installed reads for a purpose."""
    made = {name for spec in installed_families().values() for name in (spec.purpose, spec.feature)}
    made |= WITHOUT_FAMILY.keys()
    return frozenset(read_for(purpose, BUILT_IN)) if purpose in made else frozenset()


def is_used_here(line: ChoiceLine) -> bool:
    """Return whether anything here makes a use of a kind of data, where it is allowed."""
    return line.category in _read(line.purpose)


def line_state(line: ChoiceLine) -> Badge:
    """Say whether one kind of data is used for one purpose."""
    words = _USED if is_used_here(line) else _ONLY_ALLOWED
    return Badge(word=words[standing_of([line.stands])], is_on=line.stands)


def use_state(lines: Iterable[ChoiceLine]) -> Badge:
    """Say of some lines, of one switch or one purpose, whether the data is used: all of it, some or none."""
    every = list(lines)
    here = [line for line in every if is_used_here(line)]
    standing = standing_of(line.stands for line in here or every)
    return Badge(word=(_USED if here else _ONLY_ALLOWED)[standing], is_on=standing is not Standing.NONE)


def allowed_state(lines: Iterable[ChoiceLine]) -> Badge:
    """Say of some lines whether the account allows the use: for all kinds of data, some or none."""
    standing = standing_of(line.stands for line in lines)
    return Badge(word=_ALLOWED[standing], is_on=standing is not Standing.NONE)


def training_state(lines: Iterable[ChoiceLine], *, on: str, off: str) -> Badge:
    """Say in one of two sentences whether any data that is used for training here is allowed for it."""
    trains = any(line.stands and is_used_here(line) for line in lines if line.purpose.startswith("train/"))
    return Badge(word=on if trains else off, is_on=trains)


def beside(line: ChoiceLine) -> str:
    """Say why an allowed use is not made here, as a clause; empty where it is made, or where the kind is no matter."""
    return "" if is_used_here(line) or not line.stands else NOT_READ
