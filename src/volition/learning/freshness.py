"""Freshness: a snapshot is stale once the gate would not let through one of its rows any more.

Nothing learns from a stale snapshot, and no model of one is audited or released.
"""

from collections import Counter

from volition.consent.permits import Permits
from volition.errors import RefusedError
from volition.records.snapshot import Snapshot


def check_fresh(snapshot: Snapshot, permits: Permits, *, what: str, instead: str) -> None:
    """Refuse to go on with a snapshot of which a row is not permitted any more.

    Args:
        snapshot: What was frozen.
        permits: The permits of its purpose, now.
        what: What is stale, for the message.
        instead: What to do, for the message.

    Raises:
        RefusedError: With how many rows, and the reasons.
    """
    stale = snapshot.stale(permits)
    if stale:
        reasons = Counter(row.verdict.reason.value for row in stale if row.verdict.reason is not None)
        listed = ", ".join(f"{total} {reason}" for reason, total in sorted(reasons.items()))
        msg = (
            f"{what} is stale: {len(stale)} of the {len(snapshot.keys)} rows are not permitted any more ({listed}). "
            f"{instead}"
        )
        raise RefusedError(msg)
