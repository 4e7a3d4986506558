"""The circles of one account bucket, and their standings for a category: what a table is judged by.

`fold` does for all circles at once what `stand` does for one: of the parties' permits the latest, of their refusals the
first. A circle of nobody is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Panel, Permits, Reason, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Circles:
    """The circles of one account bucket; a circle's dense id is its position.

    Attributes:
        accounts: Ids of the accounts, by the account's dense number in the bucket.
        people: Parties ("person:PSEUDONYM"), by the person's dense number in the bucket.
        account: Account number of each circle, shape (circles,).
        offsets: Where each circle's members start in `members`, and where the last one's end, shape (circles + 1,).
        members: Person numbers, the first person first, shape (members,).
    """

    accounts: Sequence[str]
    people: Sequence[str]
    account: NDArray[np.int32]
    offsets: NDArray[np.int64]
    members: NDArray[np.int32]

    def __len__(self) -> int:
        """Return how many circles there are."""
        return len(self.account)

    def account_of(self, circle: int) -> str:
        """Return the id of a circle's account."""
        return self.accounts[int(self.account[circle])]

    def people_of(self, circle: int) -> tuple[str, ...]:
        """Return a circle's people as parties, the first person first."""
        return tuple(
            self.people[person] for person in self.members[self.offsets[circle] : self.offsets[circle + 1]].tolist()
        )

    def take(self, chosen: NDArray[np.int64]) -> "Circles":
        """Return some of the circles, by their ids; they get new ids, the position in `chosen`."""
        sizes = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        places = np.repeat(self.offsets[:-1][chosen] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return Circles(
            accounts=self.accounts,
            people=self.people,
            account=self.account[chosen],
            offsets=offsets,
            members=self.members[places],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The standings of one bucket's circles for one category, by dense id: the position is the id.

    Attributes:
        at_us: Instant asked about; records collected later are not part of the answer.
        since_us: Latest permit of each circle, `NO_PERMIT_US` for none.
        oldest_us: Retention limit of each circle.
        reason: Codes of `REASON_CODES`, 0 for permitted.
        account: Account number of each circle, by which an engine may see what it need not read; none if not known.
    """

    at_us: int
    since_us: NDArray[np.int64]
    oldest_us: NDArray[np.int64]
    reason: NDArray[np.int8]
    account: NDArray[np.int32] | None = None


def fold(permits: Permits, circles: Circles, category: str) -> Standings:
    """Fold each circle's permits for a category into its standing: of its parties the latest permit, the first refusal.

    Members repeat over the circles of a meeting, one circle for each who speaks: each is asked once.
    """
    everybody = np.arange(len(circles.accounts), dtype=np.int32)
    named = [f"account:{account}" for account in circles.accounts]
    of_account = Panel(permits, circles.accounts, everybody, named).of(Role.ACCOUNT, category)
    since_us = of_account.since_us[circles.account]
    oldest_us = of_account.oldest_us[circles.account]
    reason = of_account.reason[circles.account]

    sizes = np.diff(circles.offsets)
    circle = np.repeat(np.arange(len(circles)), sizes)  # of each member
    first = np.zeros(len(circles.members), np.bool_)
    first[circles.offsets[:-1][sizes > 0]] = True
    refusals = np.zeros(len(circles.members), np.int8)
    for role, chosen in ((Role.FIRST, np.flatnonzero(first)), (Role.OTHER, np.flatnonzero(~first))):
        owner = circles.account[circle[chosen]].astype(np.int64)
        pairs, place = np.unique(owner * len(circles.people) + circles.members[chosen], return_inverse=True)
        account, person = np.divmod(pairs, max(len(circles.people), 1))
        asked = Panel(permits, circles.accounts, account, [circles.people[number] for number in person.tolist()])
        answers = asked.of(role, category)
        np.maximum.at(since_us, circle[chosen], answers.since_us[place])
        np.maximum.at(oldest_us, circle[chosen], answers.oldest_us[place])
        refusals[chosen] = answers.reason[place]

    told = np.flatnonzero(refusals)[::-1]  # backwards, so that the first one in each circle stays
    by_people = np.zeros(len(circles), np.int8)
    by_people[circle[told]] = refusals[told]
    reason = np.where(reason > 0, reason, by_people)
    reason[sizes == 0] = REASON_CODES[Reason.UNKNOWN_PARTY]  # nobody could be asked, so nobody has said yes
    since_us[reason > 0] = NO_PERMIT_US
    return Standings(
        at_us=permits.at_us, since_us=since_us, oldest_us=oldest_us, reason=reason, account=circles.account
    )
