"""Where the time of an append goes: the signature and the store in place, the rest of it step by step.

The signer and the store are handed to the ledger wrapped, so that what they take is what they take in an append, after
a sync, and not what they take in a loop. The other steps are timed alone, on the same entries.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import urandom
from typing import Any

from volition.ledger import merkle
from volition.ledger.entry import SALT_BYTES, NewEntry, prepare
from volition.ledger.signing import Signer
from volition.ledger.store import LOWEST, Growth, Head
from volition.ledger.stores.sqlite import SqliteStore


class TimedKey:
    """A private key that knows how long its signatures took, in seconds."""

    def __init__(self, signer: Signer) -> None:
        """Sign as a signer does."""
        self.took_s = 0.0
        self.key = signer.key
        self._sign = signer.sign

    def sign(self, message: bytes) -> bytes:
        """Return the signature."""
        start = time.perf_counter()
        signature = self._sign(message)
        self.took_s += time.perf_counter() - start
        return signature

    def signer(self) -> Signer:
        """Return the signer that a ledger takes."""
        return Signer(key=self.key, _private=self)  # type: ignore[arg-type] # all that a ledger asks of it is to sign


class TimedStore:
    """A store that knows how long its transactions took, in seconds, without what the ledger did in them."""

    def __init__(self, store: SqliteStore) -> None:
        """Store as a store does."""
        self.took_s = 0.0
        self._store = store
        self.head, self.leaves, self.node, self.note, self.close = (
            store.head, store.leaves, store.node, store.note, store.close,
        )  # fmt: skip

    def append(self, extend: Callable[[Head], Growth]) -> Growth:
        """Store what `extend` makes of the head."""
        inside = 0.0

        def timed(head: Head) -> Growth:
            nonlocal inside
            start = time.perf_counter()
            growth = extend(head)
            inside = time.perf_counter() - start
            return growth

        start = time.perf_counter()
        growth = self._store.append(timed)
        self.took_s += time.perf_counter() - start - inside
        return growth


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What so many appends took, in seconds: of all, of the signatures, of the store; and bare SQLite's commits."""

    commits: int
    total_s: float
    signing_s: float
    store_s: float
    bare_s: float


def where(spent: Spent, drafts: Sequence[NewEntry], leaves: Sequence[bytes], size: int) -> dict[str, Any]:
    """Return microseconds a commit, by step.

    Args:
        spent: What was measured in place.
        drafts: The entries of one commit.
        leaves: The same as bytes.
        size: Of the tree that they are added to.
    """
    frontier = merkle.Frontier(size, lambda _level, _number: bytes(merkle.HASH_BYTES))

    def hash_all() -> None:
        grown = frontier.copy()
        grown.extend(merkle.leaf_hashes(leaves), lowest=LOWEST)
        grown.root()

    alone = {
        "checked, and written as JSON (alone)": _alone(lambda: prepare(drafts)),
        "salts drawn (alone)": _alone(lambda: urandom(SALT_BYTES * len(drafts))),
        "hashed: leaves and tree (alone)": _alone(hash_all),
    }
    in_place = {
        "SQLite's transaction, with the sync": spent.store_s / spent.commits * 1e6,
        "the checkpoint's signature": spent.signing_s / spent.commits * 1e6,
    }
    total = spent.total_s / spent.commits * 1e6
    steps = {
        **in_place,
        **alone,
        "all else: places and times, group commit, the checkpoint's text": total - sum((in_place | alone).values()),
    }
    told = {name: round(value, 1) for name, value in steps.items()}
    return {**told, "an append": round(total, 1), "a bare commit": round(spent.bare_s / spent.commits * 1e6, 1)}


def _alone(step: Callable[[], object], repeats: int = 300) -> float:
    """Return the median of what a step takes, in microseconds."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        took.append(time.perf_counter() - start)
    return sorted(took)[repeats // 2] * 1e6
