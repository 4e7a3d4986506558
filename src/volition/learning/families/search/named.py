"""Named: meetings, channels and files whose name is what was asked for (known-item search).

Whoever types the name of a meeting wants that meeting, whether or not anybody said its name in it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from volition.learning.families.search.features import terms_of
from volition.learning.families.search.lines import Document, Line

MOST: Final = 5
"""How many are named at most: the word "team" may be in every name."""

_WORDS: Final = 2  # so many words of a name are a name, however long it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A meeting, a channel or a file.

    Attributes:
        kind: "segment" of a meeting, "message" of a channel or "passage" of a file, as of a hit.
        source: Its name.
        lines: How many of its lines may be searched.
    """

    kind: str
    source: str
    lines: int


def named_in(query: str, documents: Iterable[Document]) -> tuple[Named, ...]:
    """Return the conversations and files whose name a query is: every word of it, and half of the name or two words.

    Args:
        query: What was looked for.
        documents: All that may be searched.

    Returns:
        The fewest other words in the name first, `MOST` at most.
    """
    asked = frozenset(terms_of(query))
    lines: dict[tuple[str, str], int] = defaultdict(int)
    found: dict[tuple[str, str], int] = {}
    for document in documents:
        first: Line = document.lines[0]
        key = (first.kind, first.source)
        name = frozenset(terms_of(first.source))
        is_whole = query.strip().casefold() == first.source.casefold()
        is_name = asked and asked <= name and (2 * len(asked) >= len(name) or len(asked) >= _WORDS)
        if is_whole or is_name:
            found[key] = 0 if is_whole else len(name - asked)
            lines[key] += len(document.lines)
    best = sorted(found, key=lambda key: (found[key], key))[:MOST]
    return tuple(Named(kind=kind, source=source, lines=lines[kind, source]) for kind, source in best)
