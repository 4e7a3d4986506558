"""Forgetting of the summary family: the meetings of the person are read and subtracted."""

from typing import Any, Final

from bench.forget.cost import forgetting
from bench.talk import talk
from volition.learning.families.summary.family import SummaryFamily

ROWS: Final = 20_000


def measure(rows: int | None) -> dict[str, Any]:
    """Forget one of those who spoke."""
    made = [row for row in talk(ROWS if rows is None else rows) if row.category != "service/usage"]
    return forgetting(SummaryFamily(), made, made[0].people[0], repeats=1)
