"""Characters that are not seen: those that turn the direction of text around, and those that show nothing.

In a name or a message, bidirectional controls turn what follows them: a sentence of ours could be read otherwise than
it is written ("Trojan Source", CVE-2021-42574). A script has its direction without them, so pages and mails leave them
out. A terminal shows every character that is not seen as it is written in Python. What is stored keeps them all.
"""

import re
from collections.abc import Callable
from typing import Final

_TURNING: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LEFT_OUT: Final = dict.fromkeys(map(ord, _TURNING))
_ANY: Final = re.compile(f"[{_TURNING}]")
_EMPTY: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters and marks that show nothing, though Unicode has them as letters and marks."""


def has_turning(text: str) -> bool:
    """Say whether a text holds a character that turns its direction around."""
    return _ANY.search(text) is not None


def without_turning(text: str) -> str:
    """Return a text without the characters that turn its direction around."""
    return text.translate(_LEFT_OUT) if has_turning(text) else text


def written_out(text: str, write: Callable[[str], str] = ascii) -> str:
    """Return a text in which each character that is not seen, but the newline, stands as `write` quotes it."""
    if text.replace("\n", "").isprintable() and _EMPTY.isdisjoint(text):
        return text
    return "".join(one if _is_seen(one) else write(one)[1:-1] for one in text)


def _is_seen(character: str) -> bool:
    return character == "\n" or (character.isprintable() and character not in _EMPTY)
