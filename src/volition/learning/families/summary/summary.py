"""The summary of one meeting: the sentences worth quoting, chosen by a model or without one."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.families.model import Model
from volition.learning.families.summary.features import (
    Floats,
    Reading,
    cosine,
    read_meeting,
    sparse_squares,
)
from volition.learning.families.summary.regression import Ranker
from volition.learning.families.summary.sentences import (
    Moment,
    in_turn,
    reads_well,
    tokens_of,
)
from volition.learning.families.summary.shown import before_of, hangs
from volition.learning.families.summary.spotting import LANGUAGES
from volition.learning.families.summary.topics import Topic, find_topics, topic_of
from volition.records.lake import Row

_MIN_WORDS: Final = 6  # a shorter sentence is no moment, nor one that stumbles, unless the meeting has no other
_DECIMALS: Final = 6  # scores are compared after rounding, so that the last bits of a solver never decide

_REDUNDANCY: Final = 1.0

# What a moment costs whose topic has one already, in standard deviations of the scores; it costs twice this where the
# topic has three, three times where it has seven. The form and the weight were chosen by cross-validation over the
# meetings of a training set alone. A moment that is much better than any of another topic is still taken.
_NEXT_OF_TOPIC: Final = 0.5

_BREAKS_OFF: Final = re.compile(
    r"\b(?:the|a|an|of|and|but|or|because|I|we|uh|um|my|our|its|der|die|ein|eine|und|oder|aber|weil|wir|ich|dass|wenn)$"
)
_MEETING_TALK: Final = tuple(phrases.cues["meeting talk"] for phrases in LANGUAGES)

_SAME: Final = 0.8  # two sentences so alike (cosine) are never both quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A meeting in quotes.

    Attributes:
        moments: In the order of the meeting.
        note: What the reader should know of how they were chosen; none when a trained model had all it needs.
        topics: What the meeting went on about, one after another; none without sentence embeddings.
    """

    moments: tuple[Moment, ...]
    note: str | None
    topics: tuple[Topic, ...] = ()


def summarize(model: Model | None, rows: Sequence[Row], *, words: int = 110) -> Summary:
    """Summarise one meeting in quotes.

    Args:
        model: A released model. Without one, the moments nearest to the middle of what was said (the centroid of the
            embeddings), or the longest sentences where there are no embeddings.
        rows: The meeting's rows that the gate let through; all but segments are passed over.
        words: How many words the quotes may have together. They have nearly as many, where enough was said.

    Returns:
        The summary. Without embeddings the note says that it used words and places alone.

    Raises:
        InvalidInputError: The rows are from several meetings, or `words` is not positive.
    """
    if words < 1:
        raise InvalidInputError(f"cannot summarise in {words} words; ask for at least 1")
    segments = [row for row in rows if row.payload.get("kind") == "segment"]
    meetings = sorted({(row.account, row.payload["meeting"]) for row in segments})
    if len(meetings) > 1:
        raise InvalidInputError(f"one summary is of one meeting, but the rows are from {len(meetings)}: {meetings[:3]}")
    said = in_turn(segments)
    return replace(quote_moments(None if model is None else Ranker(model), said, words=words), topics=find_topics(said))


def rouge_1(candidate: str, reference: str) -> float:
    """Measure ROUGE-1 F1: how far two texts share their words, with repetitions, from 0 to 1.

    Without stemming. On ASCII text it equals the `rouge-score` package's (a test compares them), which would bring
    2,000 modules and three seconds of imports with it.

    Source: Lin 2004, https://aclanthology.org/W04-1013, section 2.
    """
    ours, theirs = Counter(tokens_of(candidate)), Counter(tokens_of(reference))
    shared = sum((ours & theirs).values())
    return 2 * shared / max(1, ours.total() + theirs.total())


def _untrained(read: Reading) -> tuple[Floats, str]:
    if read.central is None:
        return read.words.astype(
            np.float64
        ), "Not trained, and no sentence embeddings: these are the longest sentences."
    return read.central, "Not trained: these are the moments nearest to the middle of what was said."


def quote_moments(ranker: Ranker | None, segments: Sequence[Row], *, words: int) -> Summary:
    """Summarise the segments of one meeting, in turn, by an opened model or without one; topics are left out."""
    read = read_meeting(segments)
    if not any(read.tokens):
        return Summary(moments=(), note="Nothing was said that could be quoted.")
    scores, note = _untrained(read) if ranker is None else ranker.rank(read)
    chosen = _choose(read, scores, segments, words=words)
    return Summary(moments=tuple(_quotes(read, chosen, segments)), note=note)


def _stands_alone(read: Reading, segments: Sequence[Row]) -> NDArray[np.bool_]:
    """Return whether each sentence says something, is no fragment and is not about the meeting itself."""
    said = [segments[one.segment].payload["text"][one.start : one.end] for one in read.sentences]
    return np.array(
        [
            reads_well(tokens) and not _BREAKS_OFF.search(text) and not any(talk.search(text) for talk in _MEETING_TALK)
            for tokens, text in zip(read.tokens, said, strict=True)
        ],
        dtype=bool,
    )


def _choose(read: Reading, scores: Floats, segments: Sequence[Row], *, words: int) -> list[int]:
    """Choose sentences one by one, while there is room.

    Each is the one with the best score less its likeness to the nearest one chosen, and less what it costs that its
    topic has some already. Where there is one topic, or none for want of sentence embeddings, that decides nothing.
    """
    lengths = read.words
    fits = lengths <= words
    worth_quoting = fits & (lengths >= _MIN_WORDS) & _stands_alone(read, segments)
    left = worth_quoting if worth_quoting.any() else fits & (lengths > 0)
    if not left.any():
        return []
    scale = scores[left].std()
    scores = np.round((scores - scores[left].mean()) / (scale if scale > 0 else 1.0), _DECIMALS)
    norms = sparse_squares(read.terms)
    likeness, cost = np.zeros(len(lengths)), np.zeros(len(lengths))
    topic = topic_of(segments)[read.segment]
    chosen: list[int] = []
    room = words
    while room > 0:
        left = left & (lengths <= room) & (likeness < _SAME)
        if not left.any():
            break
        best = int(np.where(left, scores - _REDUNDANCY * likeness - cost, -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        room -= int(lengths[best])
        dots = np.asarray((read.terms @ read.terms[[best]].T).todense()).ravel()
        likeness = np.maximum(likeness, np.round(cosine(dots, norms, norms[best]), _DECIMALS))
        has = int((topic[chosen] == topic[best]).sum())
        cost[topic == topic[best]] = round(_NEXT_OF_TOPIC * math.log2(1 + has), _DECIMALS)
    return sorted(chosen)


def _quotes(read: Reading, chosen: Sequence[int], segments: Sequence[Row]) -> Iterable[Moment]:
    """Turn chosen sentences into quotes; neighbours within one segment become one quote."""
    runs: list[list[int]] = []
    for number in chosen:
        follows = runs and number == runs[-1][-1] + 1
        if follows and read.sentences[number].segment == read.sentences[runs[-1][-1]].segment:
            runs[-1].append(number)
        else:
            runs.append([number])
    for run in runs:
        first, last = read.sentences[run[0]], read.sentences[run[-1]]
        row = segments[first.segment]
        quote = row.payload["text"][first.start : last.end]
        yield Moment(
            quote=quote,
            before=before_of(segments, first.segment, first.start) if hangs(quote) else None,
            speaker=row.payload["speaker"],
            turn=row.payload["turn"],
            start_ms=row.payload["start_ms"],
            record_id=row.record_id,
        )
