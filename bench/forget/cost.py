"""The cost of one forgetting: a family, its rows, and who is forgotten."""

import time
from collections.abc import Sequence
from typing import Any

from volition.errors import ProofError
from volition.learning.families.family import Family, NoParts
from volition.progress import silent
from volition.records.lake import Row


def forgetting(family: Family, rows: Sequence[Row], person: str, *, repeats: int = 3) -> dict[str, Any]:
    """Forget one person and train again without them, both timed, in turns.

    Args:
        family: The family.
        rows: What it learns from.
        person: The pseudonym of the person whom it forgets.
        repeats: The number of repetitions; the median counts.

    Returns:
        Sizes, seconds of each, their ratio.

    Raises:
        ProofError: The model that forgot is not the model that never saw the person.
    """
    model = family.fit(rows, parts=NoParts(), progress=silent)
    after = [row for row in rows if person not in row.people]
    forgets, learns = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        forgotten = family.forget(model, before=rows, after=after, parts=NoParts(), progress=silent)
        forgets.append(time.perf_counter() - start)
        start = time.perf_counter()
        anew = family.fit(after, parts=NoParts(), progress=silent)
        learns.append(time.perf_counter() - start)
        if forgotten.files() != anew.files():
            msg = f"The {family.name} model that forgot is not the one that never saw the person: do not trust it."
            raise ProofError(msg)
    forget_s, learn_s = sorted(forgets)[repeats // 2], sorted(learns)[repeats // 2]
    return {
        "rows": len(rows),
        "rows forgotten": len(rows) - len(after),
        "people": len({one for row in rows for one in row.people}),
        "accounts": len({row.account for row in rows}),
        "seconds to forget one person": round(forget_s, 4),
        "seconds to train anew": round(learn_s, 4),
        "ratio": round(forget_s / learn_s, 4),
        "equal": "bytes",
    }
