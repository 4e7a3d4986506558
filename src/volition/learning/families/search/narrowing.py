"""Narrowing: which lines a search is about: of one meeting or channel, of one speaker, of some days (filters).

A narrowed search ranks whole documents, since what stands around a line helps to understand it, and finds only the
lines that it is narrowed to.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.learning.families.search.lines import Document, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Which lines a search is narrowed to; what is empty or none narrows nothing.

    Attributes:
        meeting: Only lines of this meeting.
        channel: Only messages of this channel.
        speaker: Only lines of speakers whose name has this in it, whatever the case.
        start_us: Only what was said from this instant on (included), microseconds since the Unix epoch, UTC.
        end_us: Only what was said before this instant (not included).
    """

    meeting: str = ""
    channel: str = ""
    speaker: str = ""
    start_us: int | None = None
    end_us: int | None = None

    def of(self, document: Document) -> NDArray[np.bool_]:
        """Return which lines of a document are meant, shape (lines,)."""
        first = document.lines[0]
        if not self._means(first):
            return np.zeros(len(document.lines), dtype=bool)
        speaker = " ".join(self.speaker.split()).casefold()
        if not speaker and self.start_us is None and self.end_us is None:
            return np.ones(len(document.lines), dtype=bool)
        return np.array([speaker in line.speaker.casefold() and self._is_then(line) for line in document.lines])

    def _means(self, line: Line) -> bool:
        """Return whether a line's meeting, channel or file is meant."""
        is_meeting, is_channel = line.kind == "segment", line.kind == "message"
        return (not self.meeting or (is_meeting and line.source == self.meeting)) and (
            not self.channel or (is_channel and line.source == self.channel)
        )

    def _is_then(self, line: Line) -> bool:
        at_us = line.row.collected_us
        return (self.start_us is None or self.start_us <= at_us) and (self.end_us is None or at_us < self.end_us)


EVERYTHING: Final = Narrowing()
"""Narrows nothing."""
