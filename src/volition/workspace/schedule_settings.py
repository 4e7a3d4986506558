"""What the table [schedule] of `volition.toml` may say: what a server or worker does by itself, and when."""

from dataclasses import dataclass
from typing import Final, Self

from volition.consent.terms.toml_file import FaultError, Section

HOUR_US: Final = 60 * 60 * 1_000_000
DAY_US: Final = 24 * HOUR_US
_LONGEST_HOURS: Final = 24 * 366


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSettings:
    """When a server or worker begins what nobody has asked it for.

    Attributes:
        forget_hours: For how long a forgetting is owed before it is done; never longer than half the time to its due
            day. Noes that come together are so forgotten together.
        warn_days: How many days before a due day the operator is warned.
        compact_hours: How many hours lie between two compactions of the lake, at least; 0 for none.
    """

    forget_hours: int = 24
    warn_days: int = 7
    compact_hours: int = 24

    @classmethod
    def from_toml(cls, table: object) -> Self:
        """Read the table, strictly.

        Raises:
            FaultError: A key is unknown, or holds what it cannot.
        """
        section = Section(table, (), required=set(), optional={"forget_hours", "warn_days", "compact_hours"})
        given = {}
        for key, default in (("forget_hours", 24), ("warn_days", 7), ("compact_hours", 24)):
            given[key] = section.integer(key, default)
            if not 0 <= given[key] <= _LONGEST_HOURS:
                raise FaultError((key,), f'"{key}" must be from 0 to {_LONGEST_HOURS}.')
        return cls(**given)

    def forget_us(self, since_us: int, due_us: int) -> int:
        """Return when what is owed since an instant, and due at another, is forgotten, microseconds, UTC."""
        return since_us + min(self.forget_hours * HOUR_US, max(0, due_us - since_us) // 2)

    def warn_us(self, due_us: int) -> int:
        """Return when the operator is warned of what is due at an instant, microseconds, UTC."""
        return due_us - self.warn_days * DAY_US
