"""Forgetting a person from recommendations against training again: 100,000 people, 10,000 items, some 2 million uses.

Both are given what they need in memory, decrypted: training again the rows that are left, forgetting the model and the
rows of the person (which the snapshots' keys name). Freezing the smaller snapshot comes before either and is in neither
figure. The cost of finding the person's rows among all of them without the keys is reported separately.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import numpy as np

from volition.learning.families.family import NoParts
from volition.learning.families.recommend.counts import actor_of
from volition.learning.families.recommend.family import RecommendFamily
from volition.learning.families.recommend.recommender import Recommender
from volition.progress import silent
from volition.records.ingest import ITEM
from volition.records.lake import Row

PEOPLE: Final = 100_000
ITEMS: Final = 10_000
USES_EACH: Final = 20
_RESULT = TypeVar("_RESULT")


def measure(rows: int | None) -> dict[str, Any]:
    """Measure on so many uses; by default those of 100,000 people. Fewer uses are those of fewer people.

    Returns:
        `ratio`, the seconds of forgetting (the best of three) over those of training again, the sizes, and what else
        there is to know.
    """
    people = PEOPLE if rows is None else max(rows // USES_EACH, 2)
    before = list(_uses(people))
    person = actor_of(before[0])
    own = [row for row in before if actor_of(row) == person]
    after = [row for row in before if actor_of(row) != person]
    family = RecommendFamily()
    model = family.fit(before, parts=NoParts(), progress=silent)

    anew, anew_s = _timed(lambda: family.fit(after, parts=NoParts(), progress=silent), times=2)
    forgotten, forget_s = _timed(
        lambda: family.subtract(model, before=own, after=[], accounts={"acme"}, progress=silent), times=3
    )
    _, search_s = _timed(
        lambda: family.forget(model, before=before, after=after, parts=NoParts(), progress=silent), times=1
    )
    _, opening_s = _timed(lambda: Recommender(forgotten).suggest("acme", ["document/00000"], 10), times=1)
    return {
        "sizes": {
            "people": people,
            "items": ITEMS,
            "uses": len(before),
            "pairs of items counted": len(model.arrays["counts"]),
            "uses of the person": len(own),
        },
        "seconds to train anew": round(anew_s, 3),
        "seconds to forget the person": round(forget_s, 4),
        "seconds to forget, looking through all rows for what changed": round(search_s, 3),
        "seconds to open the model and solve (the 2,000 most used items)": round(opening_s, 2),
        "same bytes": forgotten.files() == anew.files(),
        "ratio": round(forget_s / anew_s, 5),
    }


def _uses(people: int) -> Iterator[Row]:
    """Yield the uses of one account: few items are used by many and many by few (Zipf, exponent 0.9)."""
    rng = np.random.default_rng(11)
    weights = 1 / np.arange(1, ITEMS + 1) ** 0.9
    ends = np.cumsum(weights / weights.sum())
    payloads = [
        {"kind": "event", "name": "opened", "attributes": {ITEM: f"document/{item:05d}"}, "body": None}
        for item in range(ITEMS)
    ]
    drawn = np.minimum(np.searchsorted(ends, rng.random((people, USES_EACH))), ITEMS - 1)
    for number, items in enumerate(drawn):
        own = (f"{number:032x}",)
        for place, item in enumerate(items):
            yield Row(
                record_id=f"{number:027x}{place:05x}",
                account="acme",
                people=own,
                category="service/usage",
                collected_us=number * USES_EACH + place,
                payload=payloads[item],
            )


def _timed(work: Callable[[], _RESULT], *, times: int) -> tuple[_RESULT, float]:
    """Do some work and return its result with the seconds of the quickest time."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return result, best
