"""A store taken further by the entries of a newer copy of the same log, as they are."""

from collections.abc import Sequence

from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.signing import VerifierKey, open_checkpoint
from volition.ledger.store import LOWEST, Growth, Head, Store

_AT_ONCE = 4096


def catch_up(store: Store, leaves: Sequence[bytes], note: str, key: VerifierKey) -> None:
    """Append entries that were signed before, with the checkpoint under which they stand; all of them, or none.

    Args:
        store: What ends before them.
        leaves: The entries that it lacks.
        note: The signed checkpoint of the tree that they make.
        key: The log's.

    Raises:
        ProofError: They do not make up that tree: an entry was changed, or the store has gone on otherwise.
        BackendError: The store failed; nothing is appended.
    """
    checkpoint = open_checkpoint(note, key)

    def extend(head: Head) -> Growth:
        frontier = merkle.Frontier()
        for start in range(0, head.size, _AT_ONCE):
            frontier.extend(merkle.leaf_hashes(store.leaves(start, min(start + _AT_ONCE, head.size))))
        nodes = frontier.extend(merkle.leaf_hashes(leaves), lowest=LOWEST)
        if (frontier.size, frontier.root()) != (checkpoint.size, checkpoint.root):
            raise ProofError(
                f"The newer ledger of {checkpoint.size:,} entries does not go on from the {head.size:,} that are here: "
                "it was changed, or is another one."
            )
        return Growth(leaves=tuple(leaves), nodes=tuple(nodes), checkpoint=checkpoint, note=note)

    if leaves:
        store.append(extend)
