"""Parts: a transcript cut so that each part, with the task and its answer, fits the context of a model.

How many tokens a text is depends on the model, so it is estimated, and rather too high than too low.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from volition.features.written.claims import Line

_ASCII_A_TOKEN: Final = 3.0  # characters; English has about four
_TOKENS_A_CHARACTER: Final = 1.5  # of other scripts, whatever the tokenizer
_MESSAGE_TOKENS: Final = 16  # what surrounds a line or a message
_BREAK: Final = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s*|\s+")


def estimated_tokens(text: str) -> int:
    """Estimate how many tokens a text is, rather too many than too few."""
    ascii_characters = sum(character.isascii() for character in text)
    return math.ceil(ascii_characters / _ASCII_A_TOKEN + (len(text) - ascii_characters) * _TOKENS_A_CHARACTER)


def cut(lines: Iterable[Line], *, tokens: int) -> list[tuple[Line, ...]]:
    """Cut lines into parts of at most so many tokens; a line that is longer by itself is cut into pieces.

    Args:
        lines: In the order of the meeting.
        tokens: Most tokens of a part, as they are estimated.
    """
    parts: list[tuple[Line, ...]] = []
    part: list[Line] = []
    held = 0
    for line in (piece for one in lines for piece in _pieces(one, tokens)):
        size = _size(line)
        if part and held + size > tokens:
            parts.append(tuple(part))
            part, held = [], 0
        part.append(line)
        held += size
    return [*parts, tuple(part)] if part else parts


def halved(part: Sequence[Line]) -> tuple[tuple[Line, ...], ...]:
    """Return a part as two, or nothing where it cannot be cut."""
    if len(part) > 1:
        middle = len(part) // 2
        return tuple(part[:middle]), tuple(part[middle:])
    [line] = part
    if len(line.text) < 2:
        return ()
    middle = len(line.text) // 2
    return (replace(line, text=line.text[:middle]),), (replace(line, text=line.text[middle:]),)


def _size(line: Line) -> int:
    return estimated_tokens(line.shown()) + _MESSAGE_TOKENS


def _pieces(line: Line, tokens: int) -> Iterator[Line]:
    """Yield a line, or the pieces of one that is too long: cut where a sentence or a word ends, if one does."""
    if _size(line) <= tokens:
        yield line
        return
    room = max(1, math.floor((tokens - _size(replace(line, text=""))) / _TOKENS_A_CHARACTER))
    text = line.text
    while text:
        piece = text[:room]
        ends = [found.end() for found in _BREAK.finditer(piece)]
        if len(text) > room and ends and ends[-1] > room // 2:
            piece = text[: ends[-1]]
        yield replace(line, text=piece)
        text = text[len(piece) :]
