"""What is known of a party: values, each as the ledger says it, and none that draws a conclusion."""

from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from volition.consent.terms.vocabulary import Vocabulary, widened

BEGINNING_US: Final = -(2**62)
"""An instant before every record: a permit since then has no beginning."""

NOT_BACK_US: Final = 2**62
"""As `covers_us` in a column: the answer does not reach back before itself."""

NO_END_US: Final = 2**62
"""As `until_us` in a column: the answer ends by no date of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A party's yes or no.

    Attributes:
        yes: Whether it is a yes.
        categories: Which categories of data it is about, as leaves.
        purposes: Which purposes, as leaves.
        at_us: When it was recorded, microseconds since the Unix epoch, UTC. Who asks about an earlier instant does not
            know of it.
        covers_us: How far back a yes reaches by its own words; none: not before itself.
        until_us: When a yes ends by its own words (not included); none: by no date. A no has no end.
        seq: Number of its ledger entry; -1 if it came from none.
        claimed_us: When it was said, as whoever imported it claims; none: when it was recorded.
    """

    yes: bool
    categories: frozenset[str]
    purposes: frozenset[str]
    at_us: int
    covers_us: int | None = None
    until_us: int | None = None
    seq: int = -1
    claimed_us: int | None = None

    @property
    def said_us(self) -> int:
        """When it was said: by this a party's answers are ordered and judged."""
        return self.at_us if self.claimed_us is None else self.claimed_us


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerScope:
    """What an answer is about. A signal says no; for which purposes, the terms say.

    Attributes:
        signal: The signal's name; empty for a decision.
        yes: Whether a decision is a yes.
        categories: Leaves that a decision is about.
        purposes: Likewise.
        copied: Whether a namesake said it, and it counts for the party since the two may be one person.
    """

    signal: str = ""
    yes: bool = False
    categories: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    copied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An account limits the use of its data, or lifts a limit: for itself as a whole or for a group of its people.

    Attributes:
        account: Id of the account; the limit applies to records of this one alone.
        group: The group's name; empty for the lock of the whole account.
        limited: Whether the use is limited from then on, or the limit lifted.
        categories: Which categories of data it is about, as leaves.
        purposes: Which purposes, as leaves.
        at_us: When it was said, microseconds since the Unix epoch, UTC.
        seq: Number of its ledger entry; -1 if it came from none.
    """

    account: str
    group: str
    limited: bool
    categories: frozenset[str]
    purposes: frozenset[str]
    at_us: int
    seq: int = -1


class _Use(Protocol):
    @property
    def categories(self) -> frozenset[str]: ...

    @property
    def purposes(self) -> frozenset[str]: ...


def widened_use(said: _Use, before: Vocabulary, after: Vocabulary) -> tuple[frozenset[str], frozenset[str]]:
    """Return the data and the uses that a no, or a limit, is about once more is declared (`vocabulary.widened`)."""
    return (
        widened(said.categories, before.categories, after.categories),
        widened(said.purposes, before.purposes, after.purposes),
    )


@dataclass(frozen=True, slots=True, eq=False)
class PartyLimits:
    """All limits that ever applied to one party, in the ledger's order; parties named together share one object."""

    said: tuple[Limit, ...] = ()


NO_LIMITS: Final = PartyLimits()
"""Those of a party to which no limit ever applied."""


@dataclass(slots=True, kw_only=True)
class PartyHistory:
    """Everything that one party did.

    Attributes:
        decisions: By when each was said; of those said at one instant the noes last, so that the last one counts.
        signals: In the ledger's order, so by time.
        erased_us: When the party was erased; none if it was not.
        erased_seq: Number of that ledger entry.
    """

    decisions: list[Decision] = field(default_factory=list)
    signals: list[tuple[int, str, int]] = field(default_factory=list)  # instant, name, ledger entry
    erased_us: int | None = None
    erased_seq: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerColumns:
    """Answers of several parties as columns: per party by when each was said, else in no order.

    Attributes:
        key: Position of the party among those asked for, int32, (m,); -1 for an answer of another party.
        at_us: When each answer was recorded, int64, (m,).
        said_us: When each was said, int64, (m,).
        covers_us: How far back it reaches, int64, (m,); `NOT_BACK_US` for not before itself.
        until_us: When it ends by its own words (not included), int64, (m,); `NO_END_US` for never.
        scope: Position in `AnswerLog.scopes`, int16, (m,).
    """

    key: NDArray[np.int32]
    at_us: NDArray[np.int64]
    said_us: NDArray[np.int64]
    covers_us: NDArray[np.int64]
    until_us: NDArray[np.int64]
    scope: NDArray[np.int16]
