"""Forgetting of the search family: it is trained again, so forgetting costs what training costs."""

from typing import Any, Final

from bench.forget.cost import forgetting
from bench.talk import talk
from volition.learning.families.search.family import SearchFamily

ROWS: Final = 20_000


def measure(rows: int | None) -> dict[str, Any]:
    """Forget one of those who searched, on words alone."""
    made = talk(ROWS if rows is None else rows)
    person = next(row.people[0] for row in made if row.category == "service/usage")
    return forgetting(SearchFamily(None), made, person, repeats=1)
