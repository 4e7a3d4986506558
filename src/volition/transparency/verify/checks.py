"""Checks: each has a name, holds or fails, and says what was found or what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from volition.errors import VolitionError

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its name, whether it holds, and what was found or what is wrong."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of verifying a bundle, a proof or a receipt.

    Attributes:
        checks: Every check that could be made.
        claimed: What the evidence says and nobody can check offline.
        warnings: What went wrong in the past and cannot be mended any more: it is told, and makes nothing fail.
        last_entry: The date of the log's last entry, where the whole log was read: later than that, nothing is known.
    """

    checks: tuple[Check, ...]
    claimed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    last_entry: str | None = None

    @property
    def holds(self) -> bool:
        """Whether every check holds; without any check nothing was verified, so the result does not hold."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "holds": self.holds,
            "checks": [{"name": check.name, "holds": check.holds, "detail": check.detail} for check in self.checks],
            "claimed": list(self.claimed),
            "warnings": list(self.warnings),
            "last_entry": self.last_entry,
        }


def check_claim(name: str, claim: Callable[[], _Found]) -> tuple[Check, _Found | None]:
    """Make one check; return it with what was found, or none if it fails.

    Anything that goes wrong while reading untrusted bytes is a failed check that says so, never a crash.
    """
    try:
        found = claim()
        check = Check(name=name, holds=True, detail=str(found))
    except VolitionError as error:
        return Check(name=name, holds=False, detail=str(error)), None
    except Exception as error:  # noqa: BLE001 - evidence is untrusted: a parser's own error is a failed check, too
        return Check(name=name, holds=False, detail=f"It cannot be read: {error!r}."), None
    return check, found
