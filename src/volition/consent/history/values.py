"""What is known of a party: values, each as the ledger told it, and none that draws a conclusion."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

BEGINNING_US: Final = -(2**62)
"""An instant before every record: a stretch that starts here has no beginning."""

NOT_BACK_US: Final = 2**62
"""As `covers_us` in a column: the answer does not reach back before itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A party's yes or no.

    Attributes:
        yes: Whether it is a yes.
        categories: Of which kinds of data it speaks, as leaves.
        purposes: Of which purposes, as leaves.
        at_us: When it was said, microseconds since the Unix epoch, UTC.
        covers_us: How far back a yes reaches by its own words; none: not before itself.
        seq: Number of its ledger entry; -1 if it came from none.
    """

    yes: bool
    categories: frozenset[str]
    purposes: frozenset[str]
    at_us: int
    covers_us: int | None = None
    seq: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Of what an answer speaks. A signal says no; for which purposes, the terms say.

    Attributes:
        signal: The signal's name; empty for a decision.
        yes: Whether a decision is a yes.
        categories: Leaves that a decision speaks of.
        purposes: Likewise.
    """

    signal: str = ""
    yes: bool = False
    categories: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """That an account limits the use of its data, or lifts a limit: for itself as a whole or for a group of its people.

    Attributes:
        account: Id of the account; the limit judges records of this one alone.
        group: The group's name; empty for the lock of the whole account.
        limited: Whether it is limited from then on, or the limit is lifted.
        categories: Of which kinds of data it speaks, as leaves.
        purposes: Of which purposes, as leaves.
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


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """All limits that ever held one party, in the ledger's order; parties named together share one and the same."""

    said: tuple[Limit, ...] = ()


NO_LIMITS: Final = Limits()
"""Of a party that no limit ever held."""


@dataclass(slots=True, kw_only=True)
class PartyHistory:
    """Everything that one party did, each list in the ledger's order (so by time)."""

    decisions: list[Decision] = field(default_factory=list)
    regions: list[tuple[int, str]] = field(default_factory=list)
    signals: list[tuple[int, str, int]] = field(default_factory=list)  # instant, name, ledger entry
    erased_us: int | None = None
    erased_seq: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers of several parties as columns: per party from the oldest to the newest, else in no order.

    Attributes:
        key: Position of the party among those asked for, int32, (m,); -1 for an answer of somebody else.
        at_us: Instant of each answer, int64, (m,).
        covers_us: How far back it reaches, int64, (m,); `NOT_BACK_US` for not before itself.
        scope: Position in `History.scopes`, int16, (m,).
    """

    key: NDArray[np.int32]
    at_us: NDArray[np.int64]
    covers_us: NDArray[np.int64]
    scope: NDArray[np.int16]
