"""Forgetting of the diagnose family: it is trained again, so forgetting costs what training costs."""

from typing import Any, Final

from bench.forget.cost import forgetting
from bench.sessions import rows_of, simulate
from volition.learning.families.diagnose.family import DiagnoseFamily

ROWS: Final = 20_000
SESSIONS_EACH: Final = 10
ROWS_A_SESSION: Final = 5


def measure(rows: int | None) -> dict[str, Any]:
    """Forget one of those who had sessions."""
    people = max((ROWS if rows is None else rows) // (SESSIONS_EACH * ROWS_A_SESSION), 40)
    made = rows_of(simulate(people, SESSIONS_EACH))
    return forgetting(DiagnoseFamily(), made, made[0].people[0], repeats=1)
