"""What keeps a ledger's bytes: the protocol of a storage back end, and what passes through it.

A store judges nothing and is never believed: `log.Ledger` verifies all that it gives.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from volition.ledger import merkle
from volition.ledger.signing import Checkpoint

LOWEST = 3
"""The lowest level whose nodes are stored. Lower ones are hashed from their eight leaves when they are asked for."""

MOST_AT_ONCE = 4096
"""How many entries the appends of several threads may have together in one transaction; the others go next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a store's ledger ends, unverified.

    Attributes:
        size: How many entries there are.
        note: The newest signed checkpoint; empty before the first append.
        untouched: Whether the store vouches that nobody but its own last append has written since: then this head is
            what that append left.
    """

    size: int
    note: str
    untouched: bool = field(default=False, compare=False)


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What one append adds; a `Struct`, as an entry is, since each append makes one.

    Attributes:
        leaves: The new entries' bytes, the first at place `Head.size`.
        nodes: The complete subtrees that they complete, from those of eight leaves on, in the order in which
            `merkle.Frontier.extend` completes them.
        checkpoint: The tree with the new entries.
        note: The same, signed.
    """

    leaves: tuple[bytes, ...]
    nodes: tuple[merkle.Node, ...]
    checkpoint: Checkpoint
    note: str


class Store(Protocol):
    """Keeps a ledger's bytes, judging nothing. It may be used from several threads, and its file by several processes.

    What was stored never changes, so reading needs no lock: whatever belongs to a size that `head` gave is there.
    Every method raises `BackendError` if the store fails.
    """

    def head(self) -> Head:
        """Return where the ledger ends."""
        ...

    def leaves(self, start: int, end: int) -> list[bytes]:
        """Return the entries from `start` (included) to `end` (not included), fewer if there are fewer."""
        ...

    def node(self, level: int, number: int) -> bytes:
        """Return a node's hash; no bytes if there is none."""
        ...

    def note(self, size: int) -> str:
        """Return the signed checkpoint stored for a size; empty if there is none."""
        ...

    def append(self, extend: Callable[[Head], Growth]) -> Growth:
        """Store what `extend` makes of the head, and return it, once it will survive a loss of power.

        Nobody else appends meanwhile, in any process. If `extend` or the store raises, nothing is stored.

        Raises:
            ConflictError: Others kept appending for so long that this one gave up.
            InvalidInputError: The entries take more room than this store has for one append.
        """
        ...

    def close(self) -> None:
        """Close its files; the store is not used again."""
        ...
