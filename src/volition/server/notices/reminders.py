"""Reminders: yeses that end soon, on the days on which whoever said them is told (consent renewal).

- A yes is reminded of some days before the day on which it ends, in UTC, and again fewer days before.
- One that was said with less time to its end has no reminder for which it came too late: who said it knows.
- One that was said anew, or taken back, has none; after a pause only the last that fell due is given.
"""

from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import us_to_text
from volition.consent.endings import Ending
from volition.workspace import Workspace
from volition.workspace.mail_settings import REMIND_DAYS

DAY_US: Final = 24 * 60 * 60 * 1_000_000
EVERY_US: Final = 60 * 60 * 1_000_000
"""How often it is looked for reminders that have fallen due, microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """A yes that ends soon, and which reminder of it is due.

    Attributes:
        ending: The yes.
        days: How many days before its end this reminder falls due.
    """

    ending: Ending
    days: int

    @property
    def day(self) -> str:
        """The day on which the yes ends, in UTC, such as "2026-12-01"."""
        return us_to_text(self.ending.end_us)[:10]

    @property
    def due_us(self) -> int:
        """When this reminder falls due, microseconds since the Unix epoch, UTC."""
        return (self.ending.end_us // DAY_US - self.days) * DAY_US

    @property
    def key(self) -> str:
        """By which one reminder of one yes is told from any other."""
        uses = " ".join((*self.ending.data, *self.ending.purposes))
        return f"{self.ending.party} {self.ending.account} {self.ending.end_us} {self.days} {uses}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {**self.ending.to_json(), "days": self.days}


def reminders(workspace: Workspace) -> list[Reminder]:
    """Return the reminders that are due now, those of the yeses that end first first."""
    days = REMIND_DAYS if workspace.mail is None else workspace.mail.remind_days
    if not days:
        return []
    today = workspace.now_us // DAY_US
    found = []
    for ending in workspace.consent.ending(within_days=max(days) + 1):
        last = ending.end_us // DAY_US
        due = [one for one in days if _said_us(workspace, ending) // DAY_US < last - one <= today]
        if due:
            found.append(Reminder(ending=ending, days=min(due)))
    return found


def longest_days(workspace: Workspace) -> int:
    """Return how many days before its end a yes is first spoken of, on pages as well; by default where no mail is."""
    days = () if workspace.mail is None else workspace.mail.remind_days
    return max(days or REMIND_DAYS)


def _said_us(workspace: Workspace, ending: Ending) -> int:
    """Return when the newest yes was said that an ending is the end of."""
    data, purposes = set(ending.data), set(ending.purposes)
    decisions = workspace.history().party(ending.party).decisions
    return max(
        (one.said_us for one in decisions if one.yes and data & {*one.categories} and purposes & {*one.purposes}),
        default=0,
    )
