"""The summary family: exact sums over meetings, which forget by subtraction, measured by ROUGE-1."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from volition.learning.families.family import NoParts, Parts, RecentParts, Scores, fold_of
from volition.learning.families.model import Model
from volition.learning.families.summary.features import (
    ONE,
    label_of,
    read_meeting,
)
from volition.learning.families.summary.regression import FORMAT, LEARN_WORDS, NAME, Ranker, Sums
from volition.learning.families.summary.sentences import (
    learnable_meetings,
    meetings_of,
)
from volition.learning.families.summary.summary import quote_moments, rouge_1
from volition.learning.families.summary.taught import IDENTITY
from volition.progress import Progress
from volition.records.lake import Row

_A_PART: Final = 20  # meetings that are kept together: a few seconds' work


class SummaryFamily:
    """The summary family (see `volition.learning.families.family.Family`)."""

    name = NAME
    purpose = "train/summary"

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Learn from every meeting that has both segments and an edited summary.

        Args:
            rows: Permitted rows; segments with embeddings teach more than segments without.
            parts: Keeps the sums of every few meetings: a thousand of them take a minute or two.
            progress: Called with how many meetings are read.

        Returns:
            The model: sums of products of features, in integers.

        Raises:
            InvalidInputError: No meeting has both.
        """
        meetings = list(learnable_meetings(rows).values())
        sums = Sums.zero()
        step = 1 if isinstance(parts, RecentParts) else _A_PART
        for done in range(0, len(meetings), step):
            progress("reading meetings", done, len(meetings))
            sums = sums.plus(Sums.of_several(meetings[done : done + step], parts))
        progress("reading meetings", len(meetings), len(meetings))
        return sums.model()

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Subtract what the meetings that changed had added, and add what is left of them.

        Args:
            model: Fitted on `before`.
            before: The rows of the snapshot that the model was trained from. If some cannot be read any more (the key
                of an erased account is gone), the model is fitted on `after` from the beginning.
            after: The rows that may still be used.
            parts: Handed to `fit`; where they are in memory, they keep the sums of each meeting that changed, too.
            progress: Called for each meeting that changed.

        Returns:
            The model that `fit(after)` gives, in the same bytes.

        Raises:
            InvalidInputError: No meeting with an edited summary is left.
        """
        was, now = learnable_meetings(before), learnable_meetings(after)
        sums = Sums.from_model(model)
        if (model.settings["format"], model.settings.get("cues")) != (FORMAT, IDENTITY) or sums.fingerprint != sum(
            meeting.fingerprint() for meeting in was.values()
        ) % Sums.MODULUS:
            return self.fit(after, parts=parts, progress=progress)
        prints = {key: meeting.fingerprint() for key, meeting in now.items()}
        changed = [
            key
            for key in sorted(was.keys() | now.keys())
            if key not in was or key not in now or was[key].fingerprint() != prints[key]
        ]
        each = parts if isinstance(parts, RecentParts) else NoParts()
        for done, key in enumerate(changed, start=1):
            if key in was:
                sums = sums.plus(Sums.of_several([was[key]], each), sign=-1)
            if key in now:
                sums = sums.plus(Sums.of_several([now[key]], each))
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
            moments = quote_moments(ranker, meeting.segments, words=110).moments
            values[number] = rouge_1(" ".join(moment.quote for moment in moments), meeting.reference)
        return Scores(
            metric="ROUGE-1",
            units=tuple(meeting.name for meeting in meetings),
            accounts=tuple(meeting.account for meeting in meetings),
            values=values,
            people=tuple(
                tuple(sorted({person for row in meeting.segments for person in row.everyone})) for meeting in meetings
            ),
        )

    def familiarity(self, model: Model, rows: Sequence[Row]) -> dict[str, float]:
        """Return, for each person, how well the model predicts which of their sentences the edited summaries use.

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
                segment = meeting.segments[read.sentences[number].segment]
                if segment.people:
                    errors.setdefault(segment.author, []).append(float(error[number] - error[learnt].mean()) ** 2)
        return {person: -sum(squares) / len(squares) for person, squares in errors.items()}
