"""Marks: which words of a line are words of the query (hit highlighting)."""

import re
from typing import Final

from volition.learning.families.search.features import terms_of

_WORD: Final = re.compile(r"[^\W_]+")


def marks_of(text: str, query: str) -> tuple[tuple[int, int], ...]:
    """Return where the words of a query stand in a text, as search compares words.

    Returns:
        Pairs of characters, the first included, the last not, in order.
    """
    wanted = frozenset(terms_of(query))
    return tuple(found.span() for found in _WORD.finditer(text) if not wanted.isdisjoint(terms_of(found.group())))
