"""What was checked, under the names of the pages, and what fails a check."""

from collections.abc import Callable
from dataclasses import dataclass, field

from volition_formats.spellings import MALFORMED, Json


class RefusedError(ValueError):
    """Evidence does not hold; the message says why."""


class NotEvidenceError(ValueError):
    """The input is nothing that this program knows."""


def demand(holds: object, otherwise: str) -> None:
    """Refuse, unless it holds."""
    if not holds:
        raise RefusedError(otherwise)


@dataclass
class Report:
    """What was checked, under its names, and what is told besides."""

    checks: list[tuple[str, bool, str]] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    last_entry: str | None = None

    @property
    def holds(self) -> bool:
        """Whether there is a check and all of them hold."""
        return bool(self.checks) and all(holds for _, holds, _ in self.checks)

    def check(self, name: str, made: Callable[[], str]) -> bool:
        """Make one check: it returns what holds, or raises."""
        try:
            says, holds = made(), True
        except RefusedError as error:
            says, holds = str(error), False
        except MALFORMED as error:
            says, holds = f"It cannot be read: {type(error).__name__}, {error}.", False
        self.checks.append((name, holds, says))
        return holds


def demand_keys(document: Json, keys: str, what: str) -> None:
    """The keys of a document are exactly these."""
    demand(isinstance(document, dict) and set(document) == set(keys.split()), f"The {what} has other keys.")
