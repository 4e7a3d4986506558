"""A ledger in the memory of one process, for tests, demonstrations and throw-away workspaces."""

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from volition.ledger.store import Growth, Head


class MemoryStore:
    """A `ledger.store.Store` that is gone when its process is."""

    def __init__(self) -> None:
        """Start empty."""
        self._appending = Lock()
        self._head = Head(size=0, note="")
        self._leaves: list[bytes] = []
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._notes: dict[int, str] = {}

    def head(self) -> Head:
        """Return where the ledger ends."""
        return self._head

    def leaves(self, start: int, end: int) -> list[bytes]:
        """Return the entries from `start` (included) to `end` (not included), fewer if there are fewer."""
        return self._leaves[start : min(end, self._head.size)]

    def node(self, level: int, number: int) -> bytes:
        """Return a node's hash; no bytes if there is none."""
        return self._nodes.get((level, number), b"")

    def note(self, size: int) -> str:
        """Return the signed checkpoint stored for a size; empty if there is none."""
        return self._notes.get(size, "")

    def append(self, extend: Callable[[Head], Growth]) -> Growth:
        """Store what `extend` makes of the head, and return it; nobody else appends meanwhile."""
        with self._appending:
            growth = extend(replace(self._head, untouched=True))  # nobody else can reach it
            self._leaves += growth.leaves
            self._nodes |= {(node.level, node.number): node.hash for node in growth.nodes}
            self._notes[growth.checkpoint.size] = growth.note
            self._head = Head(size=len(self._leaves), note=growth.note)  # last: it makes the rest visible at once
            return growth

    def close(self) -> None:
        """Do nothing: there is no file."""
