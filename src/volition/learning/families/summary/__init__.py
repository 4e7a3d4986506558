"""Summary: the moments of a meeting that its people would have written down, as quotes.

A summary made of quotes cannot invent anything: each moment is a verbatim piece of one segment and points at its
speaker and its place. What is learnt is which sentences to quote, from meetings whose summaries people edited: a
ridge regression from a sentence's place, length, words and embedding to how much of it the edited summary uses.

The regression is kept as its sums of products, in integers. Each meeting adds its own sums, so the order of meetings
does not matter and forgetting a meeting is subtracting: what remains has the bytes of a model that never saw it.
The weights are solved when a model is opened. No word of any meeting is stored.

Sources: fixed-point sufficient statistics as in exact unlearning by summation, Cao and Yang 2015,
doi:10.1109/SP.2015.35; redundancy by maximal marginal relevance, Carbonell and Goldstein 1998,
doi:10.1145/290941.291025; ROUGE, Lin 2004, https://aclanthology.org/W04-1013.

Each module knows only those before it:

sentences    a meeting cut into sentences; what a quote is
features     what the regression sees, in whole numbers
regression   exact sums, added, subtracted, solved
minutes      decisions, tasks, open questions
topics       what it went on about
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from volition.errors import InvalidInputError
from volition.learning.families import Model, Parts, Scores, fold_of
from volition.learning.families.summary.features import (
    ONE,
    Floats,
    Reading,
    cosine,
    label_of,
    read_meeting,
    sparse_squares,
)
from volition.learning.families.summary.regression import LEARN_WORDS, NAME, Ranker, Sums
from volition.learning.families.summary.sentences import (
    Moment,
    in_turn,
    learnable_meetings,
    meetings_of,
    reads_well,
    tokens_of,
)
from volition.learning.families.summary.topics import Topic, find_topics
from volition.progress import Progress
from volition.records.lake import Row

_A_PART: Final = 20  # meetings that are kept together: a few seconds' work
_MIN_WORDS: Final = 6  # a shorter sentence is no moment, nor one that stumbles, unless the meeting has no other
_DECIMALS: Final = 6  # scores are compared after rounding, so that the last bits of a solver never decide

_REDUNDANCY: Final = 1.0

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


class SummaryFamily:
    """The summary family (see `volition.learning.families.Family`)."""

    name = NAME
    purpose = "train/summary"

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Learn from every meeting that has both segments and an edited summary.

        Args:
            rows: Permitted rows; segments with embeddings teach more than segments without.
            parts: Keeps the sums of every few meetings: a thousand of them take a minute or two.
            progress: Told how many meetings are read.

        Returns:
            The model: sums of products of features, in integers.

        Raises:
            InvalidInputError: No meeting has both.
        """
        meetings = list(learnable_meetings(rows).values())
        sums = Sums.zero()
        for done in range(0, len(meetings), _A_PART):
            progress("reading meetings", done, len(meetings))
            sums = sums.plus(Sums.of_several(meetings[done : done + _A_PART], parts))
        progress("reading meetings", len(meetings), len(meetings))
        return sums.model()

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Subtract what the meetings that changed had added, and add what is left of them.

        Args:
            model: Fitted on `before`.
            before: The rows of the snapshot that the model was trained from. If some cannot be read any more (the key
                of an erased account is gone), the model is fitted on `after` anew.
            after: The rows that may still be used.
            parts: Handed to `fit`.
            progress: Told of each meeting that changed.

        Returns:
            The model that `fit(after)` gives, in the same bytes.

        Raises:
            InvalidInputError: No meeting with an edited summary is left.
        """
        was, now = learnable_meetings(before), learnable_meetings(after)
        sums = Sums.from_model(model)
        if sums.fingerprint != sum(meeting.fingerprint() for meeting in was.values()) % Sums.MODULUS:
            return self.fit(after, parts=parts, progress=progress)
        prints = {key: meeting.fingerprint() for key, meeting in now.items()}
        changed = [
            key
            for key in sorted(was.keys() | now.keys())
            if key not in was or key not in now or was[key].fingerprint() != prints[key]
        ]
        for done, key in enumerate(changed, start=1):
            if key in was:
                sums = sums.plus(Sums.of(was[key]), sign=-1)
            if key in now:
                sums = sums.plus(Sums.of(now[key]))
            progress("subtracting meetings", done, len(changed))
        return sums.model()

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[Sequence[Row], Sequence[Row]]:
        """Hold out whole meetings, by a hash of account and name.

        Args:
            rows: Rows of the snapshot.
            fold: Which meetings, from 0.
            folds: How many groups they are dealt into.

        Returns:
            Rows to learn from, and held-out rows; both in the order given.
        """
        known: list[Row] = []
        held_out: list[Row] = []
        for row in rows:
            unit = f"{row.account}/{row.payload.get('meeting')}"
            (held_out if fold_of(unit, folds) == fold else known).append(row)
        return known, held_out

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Measure ROUGE-1 F1 (`rouge_1`) of a 110-word summary against the edited one, per meeting.

        Args:
            model: Fitted on `rows_known`; none means the untrained form (see `summarize`).
            rows_known: Unused: a meeting is summarised from its own rows.
            rows_heldout: Meetings with edited summaries.

        Returns:
            One value per meeting, from 0 to 1.
        """
        del rows_known
        ranker = None if model is None else Ranker(model)
        meetings = list(meetings_of(rows_heldout, learnable=True).values())
        values = np.zeros(len(meetings))
        for number, meeting in enumerate(meetings):
            moments = _summarize(ranker, meeting.segments, words=110).moments
            values[number] = rouge_1(" ".join(moment.quote for moment in moments), meeting.reference)
        return Scores(
            metric="ROUGE-1",
            units=tuple(meeting.name for meeting in meetings),
            accounts=tuple(meeting.account for meeting in meetings),
            values=values,
            people=tuple(
                tuple(sorted({person for row in meeting.segments for person in row.people})) for meeting in meetings
            ),
        )

    def familiarity(self, model: Model, rows: Sequence[Row]) -> dict[str, float]:
        """Return, for each person, how well the model foretells which of their sentences the edited summaries use.

        That is the mean square, negated, of the regression's errors on the sentences that the person said, each beside
        the mean of its meeting.
        """
        ranker = Ranker(model)
        errors: dict[str, list[float]] = {}
        for meeting in learnable_meetings(rows).values():
            read = read_meeting(meeting.segments)
            error = ranker.rank(read)[0] - label_of(read, meeting.reference) / ONE
            learnt = np.flatnonzero(read.words >= LEARN_WORDS)
            for number in learnt:
                people = meeting.segments[read.sentences[number].segment].people
                if people:
                    errors.setdefault(people[0], []).append(float(error[number] - error[learnt].mean()) ** 2)
        return {person: -sum(squares) / len(squares) for person, squares in errors.items()}


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
    return replace(_summarize(None if model is None else Ranker(model), said, words=words), topics=find_topics(said))


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


def _summarize(ranker: Ranker | None, segments: Sequence[Row], *, words: int) -> Summary:
    read = read_meeting(segments)
    if not any(read.tokens):
        return Summary(moments=(), note="Nothing was said that could be quoted.")
    scores, note = _untrained(read) if ranker is None else ranker.rank(read)
    chosen = _choose(read, scores, words=words)
    return Summary(moments=tuple(_quotes(read, chosen, segments)), note=note)


def _choose(read: Reading, scores: Floats, *, words: int) -> list[int]:
    """Choose sentences one by one: the best score less its likeness to the nearest one chosen, while there is room."""
    lengths = read.words
    fits = lengths <= words
    worth_quoting = fits & (lengths >= _MIN_WORDS) & np.array([reads_well(tokens) for tokens in read.tokens])
    left = worth_quoting if worth_quoting.any() else fits & (lengths > 0)
    if not left.any():
        return []
    scale = scores[left].std()
    scores = np.round((scores - scores[left].mean()) / (scale if scale > 0 else 1.0), _DECIMALS)
    norms = sparse_squares(read.terms)
    likeness = np.zeros(len(lengths))
    chosen: list[int] = []
    room = words
    while room > 0:
        left = left & (lengths <= room) & (likeness < _SAME)
        if not left.any():
            break
        best = int(np.where(left, scores - _REDUNDANCY * likeness, -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        room -= int(lengths[best])
        dots = np.asarray((read.terms @ read.terms[[best]].T).todense()).ravel()
        likeness = np.maximum(likeness, np.round(cosine(dots, norms, norms[best]), _DECIMALS))
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
        yield Moment(
            quote=row.payload["text"][first.start : last.end],
            speaker=row.payload["speaker"],
            turn=row.payload["turn"],
            start_ms=row.payload["start_ms"],
            record_id=row.record_id,
        )
