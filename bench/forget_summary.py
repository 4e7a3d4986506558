"""Forgetting of the summary family: the meetings of the person are read and subtracted."""

from typing import Any

from bench.forget_cost import forgetting
from bench.talk import talk
from volition.families.summary import SummaryFamily


def measure(rows: int) -> dict[str, Any]:
    """Forget one of those who spoke."""
    made = [row for row in talk(rows) if row.category != "service/usage"]
    return forgetting(SummaryFamily(), made, made[0].people[0], repeats=1)
