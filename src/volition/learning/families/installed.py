"""Which families there are: those of this package, and those that other packages register as entry points.

A package registers a family with one line of its metadata, and the family is then trained, audited, released and made
to forget like the built-in ones:

    [project.entry-points."volition.families"]
    weather = "acme_weather.spec:SPEC"

What it guarantees:

- A package that is broken, or declares what terms cannot speak of, hinders no other family: it is listed as a fault.
- No package takes a built-in family's name.
- A family that a ledger names and nothing installed provides is an error that says what to do (`FamilyMissingError`),
  for that family alone.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

from volition.consent.terms.vocabulary import Vocabulary
from volition.errors import InvalidInputError
from volition.learning.families.spec import FamilySpec, FamilyWords

GROUP: Final = "volition.families"
"""The group of entry points."""

BUILT_IN: Final = ("search", "recommend", "summary", "compose", "diagnose", "adapter")
"""The families of this package, in the order in which they are shown: those a source tree has without any metadata."""


_RECORDED: Final = ("content/audio", "content/video")

WITHOUT_FAMILY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"feature/transcribe": _RECORDED})
"""The features that no model of ours stands behind, and which categories each reads."""


class FamilyMissingError(InvalidInputError):
    """No installed package provides the family, or the one that does cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Installed:
    """What was found.

    Attributes:
        specs: Every family that can be used, by name; the built-in ones first.
        faults: Why a registered family cannot be used, by the name under which it is registered.
    """

    specs: Mapping[str, FamilySpec]
    faults: Mapping[str, str]


@lru_cache(maxsize=1)
def _find(path: tuple[str, ...]) -> _Installed:
    """Look for families on the interpreter's search path; `path` is that path, so that a new one is looked through."""
    del path
    own = {name: f"volition.learning.families.{name}.spec:SPEC" for name in BUILT_IN}
    registered = list(entry_points(group=GROUP))
    specs: dict[str, FamilySpec] = {}
    faults: dict[str, str] = {}
    for point in [EntryPoint(name=name, value=value, group=GROUP) for name, value in own.items()]:
        specs[point.name] = point.load()
    for point in sorted(registered, key=lambda one: (one.name, one.value)):
        if own.get(point.name) == point.value:
            continue
        package = "a package" if point.dist is None else f"the package {point.dist.name}"
        if point.name in specs:
            faults[f"{point.name} of {package}"] = f"{package} registers {point.name!r}, which is there already."
            continue
        try:
            specs[point.name] = _load(point)
        except Exception as error:  # noqa: BLE001 - whatever a foreign package raises, it is that family's fault alone
            faults[point.name] = f"{package} registers it, and it cannot be loaded: {error}"
    return _Installed(specs=MappingProxyType(specs), faults=MappingProxyType(faults))


def _load(point: EntryPoint) -> FamilySpec:
    spec = point.load()
    if not isinstance(spec, FamilySpec) or spec.name != point.name:
        msg = f"{point.value} is no FamilySpec of the name {point.name!r}."
        raise TypeError(msg)
    return spec


def installed_families() -> Mapping[str, FamilySpec]:
    """Return every family that can be used, by name; the built-in ones first."""
    return _find(tuple(sys.path)).specs


def family_faults() -> Mapping[str, str]:
    """Return why a registered family cannot be used, by its name; empty where every family can."""
    return _find(tuple(sys.path)).faults


def find_family(name: str) -> FamilySpec:
    """Return a family's declaration.

    Raises:
        FamilyMissingError: No installed package provides it; the message says what to do.
    """
    found = _find(tuple(sys.path))
    if name in found.specs:
        return found.specs[name]
    if name in found.faults:
        msg = f"The family {name!r} cannot be used: {found.faults[name]} Repair or reinstall that package."
        raise FamilyMissingError(msg)
    msg = (
        f"There is no family {name!r}. The families are: {', '.join(found.specs)}. "
        "One from another package has to be installed (again) first."
    )
    raise FamilyMissingError(msg)


def family_words(name: str) -> FamilyWords:
    """Return what a family is called; one whose package is not installed any more is called by its name."""
    spec = installed_families().get(name)
    if spec is not None:
        return spec.words
    missing = "It was trained by code of the operator's own, or by a package that is not installed."
    return FamilyWords(title=name, training=f"Train {name}", does=missing, unit="unit", units="units")


def settings_table(name: str) -> tuple[str, ...]:
    """Return the path of a family's table in `volition.toml`: that of another package has one below `families`."""
    return (name,) if name in BUILT_IN else ("families", name)


def learns_from(purpose: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the categories that a purpose has a use for: all of a vocabulary, where no family learns for it."""
    named = {one for spec in installed_families().values() if spec.purpose == purpose for one in spec.learns_from}
    if not named and purpose == "train/speech":  # there is no family for it
        return _RECORDED
    return tuple(sorted(named)) or vocabulary.categories


def read_for(purpose: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the categories that a purpose uses, whether a family learns for it or a feature reads for it.

    All of them, where nothing installed says so.
    """
    named = {one for spec in installed_families().values() if spec.feature == purpose for one in spec.reads}
    named.update(WITHOUT_FAMILY.get(purpose, ()))
    return tuple(sorted(named)) or learns_from(purpose, vocabulary)


def uses_embeddings(purpose: str) -> bool:
    """Return whether a purpose needs sentence embeddings of content; yes, where no family learns for it."""
    own = [spec for spec in installed_families().values() if spec.purpose == purpose]
    return not own or any(spec.uses_embeddings for spec in own)
