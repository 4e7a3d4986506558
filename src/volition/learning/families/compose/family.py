"""The compose family: counts what enough people wrote, forgets by subtracting, measured by keystrokes saved."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.families.chat import hold_out_people, is_message
from volition.learning.families.compose.composer import Composer
from volition.learning.families.compose.counts import count, subtract
from volition.learning.families.compose.keystrokes import type_messages
from volition.learning.families.compose.model import NAME, AccountCounts, lay_out, read_model, settings
from volition.learning.families.compose.replies import count_answers, subtract_answers
from volition.learning.families.family import Parts, Scores
from volition.learning.families.model import Model
from volition.progress import Progress
from volition.records.lake import Row

MIN_PEOPLE: Final = 5
"""k: how many different people of an account must have written what is suggested."""

METRIC: Final = "keystrokes saved"


class ComposeFamily:
    """The compose family (see `volition.learning.families.family.Family`)."""

    name = NAME
    purpose = "train/compose"

    def __init__(self, *, k: int = MIN_PEOPLE) -> None:
        """Choose how many different people must have written what is suggested.

        Raises:
            InvalidInputError: It is less than one.
        """
        if k < 1:
            raise InvalidInputError(f"k is {k}: a suggestion needs an author. Choose 1 or more, 5 by default.")
        self._k = k

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Count, in each account, how many people wrote each n-gram and each short reply.

        Args:
            rows: Permitted rows; those that are no public chat message are passed over. Their order does not matter.
            parts: Unused: counting takes less time than saving it would.
            progress: Called for each account that is counted.

        Raises:
            InvalidInputError: In no account did enough people write the same word.
        """
        del parts
        messages = _messages(rows)
        learned: dict[str, AccountCounts] = {}
        for done, account in enumerate(sorted(messages), start=1):
            if (counted := self._count(messages[account])) is not None:
                learned[account] = counted
            progress("counting who writes what", done, len(messages))
        return self._model(learned)

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Subtract what the rows that went away had added.

        Args:
            model: Fitted on `before`.
            before: The rows of the snapshot that the model was trained from. The content of an account may be missing
                (the key of an erased account is gone) if `after` has none of its rows.
            after: The rows that may still be used.
            parts: Unused.
            progress: Called for each account whose rows changed.

        Returns:
            The model that `fit(after)` gives, in the same bytes.

        Raises:
            InvalidInputError: Nothing is left that enough people wrote.
        """
        if model.settings != settings(self._k):
            return self.fit(after, parts=parts, progress=progress)
        was, now = _by_account(before), _by_account(after)
        learned = {account: known for account, known in read_model(model).items() if account in now}
        for done, account in enumerate(sorted(now), start=1):
            gone = _gone(was.get(account, []), now[account])
            counted: AccountCounts | None
            if gone is None or any(row.merged_into for row in (*was.get(account, ()), *now[account])):
                # Something came or changed, or people may have become one since; no subtraction undoes that.
                counted = self._count(_public(now[account]))
            elif not gone or account not in learned:  # what too few wrote before, fewer write now
                continue
            else:
                counted = self._subtract(learned[account], was[account], gone)
            learned.pop(account, None)
            if counted is not None:
                learned[account] = counted
            progress("subtracting who wrote what", done, len(now))
        return self._model(learned)

    def log_likelihood(self, model: Model, rows: Sequence[Row]) -> NDArray[np.float64]:
        """Return the natural logarithm of each message's likelihood, shape (rows,); NaN for rows that are no message.

        Raises:
            InvalidInputError: The model is of another family.
        """
        composer = Composer(model)
        texts = [(row.account, row.payload.get("text")) for row in rows]
        bits = [composer.bits(account, text) if isinstance(text, str) else math.nan for account, text in texts]
        return -math.log(2.0) * np.array(bits, dtype=np.float64)

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """Hold out the people of one fold: the model knows nothing that they wrote.

        Of each, the last few messages are typed again; of large folds, only some people are asked.

        Args:
            rows: Rows of the snapshot.
            fold: Which people are asked, from 0.
            folds: How many groups the people are dealt into, by a hash of their pseudonym.

        Returns:
            Rows to learn from, and held-out rows; both in the order given.
        """
        return hold_out_people(rows, fold, folds)

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Measure for each person which share of the keystrokes completion saves (see `compose_typing`).

        Args:
            model: Fitted on `rows_known`; none means the untrained form, which suggests nothing and saves nothing.
            rows_known: Unused: what was learned is in the model.
            rows_heldout: Messages that are typed again.

        Returns:
            One value per person, from 0 to 1.
        """
        del rows_known
        messages = sorted((row for row in rows_heldout if is_message(row)), key=lambda row: row.record_id)
        texts: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in messages:
            texts[row.account, row.author].append(row.payload["text"])
        units = sorted(texts)
        composer = None if model is None else Composer(model)
        typed = [type_messages(composer, account, texts[account, person]) for account, person in units]
        return Scores(
            metric=METRIC,
            units=tuple(person for _, person in units),
            accounts=tuple(account for account, _ in units),
            values=np.array([one.saved for one in typed], dtype=np.float64),
            people=tuple((person,) for _, person in units),
        )

    def _count(self, rows: Sequence[Row]) -> AccountCounts | None:
        table = count(_numbered(rows), k=self._k)
        return (
            None if table is None else AccountCounts(table=table, answers=count_answers(rows, table.tokens, k=self._k))
        )

    def _subtract(self, learned: AccountCounts, rows: Sequence[Row], gone: set[str]) -> AccountCounts | None:
        public = _public(rows)
        authors = {row.author for row in public if row.record_id in gone}
        theirs = [row for row in public if row.author in authors]
        staying = [row for row in theirs if row.record_id not in gone]
        number = {person: place for place, person in enumerate(authors)}
        table = subtract(
            learned.table,
            ((number[row.author], row.payload["text"]) for row in theirs),
            ((number[row.author], row.payload["text"]) for row in staying),
            k=self._k,
        )
        if table is None:
            return None
        return AccountCounts(
            table=table, answers=subtract_answers(learned.answers, public, gone, table.tokens, k=self._k)
        )

    def _model(self, learned: Mapping[str, AccountCounts]) -> Model:
        if not learned:
            msg = (
                f"nothing to learn from: in no account did {self._k} different people write the same word in a public "
                "chat; collect more `content/chat`, or ask more people"
            )
            raise InvalidInputError(msg)
        return lay_out(learned, k=self._k)


def _public(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if is_message(row)]


def _by_account(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.account].append(row)
    return found


def _messages(rows: Iterable[Row]) -> dict[str, list[Row]]:
    return _by_account(_public(rows))


def _numbered(rows: Iterable[Row]) -> Iterable[tuple[int, str]]:
    """Yield each message's author as a number, and its text."""
    number: dict[str, int] = {}
    for row in rows:
        yield number.setdefault(row.author, len(number)), row.payload["text"]


def _gone(before: Sequence[Row], after: Sequence[Row]) -> set[str] | None:
    """Return the record ids that `after` lacks; none if it is not `before` with rows left out, in the same order."""
    gone: set[str] = set()
    rest = iter(after)
    wanted = next(rest, None)
    for row in before:
        if wanted is not None and row.record_id == wanted.record_id:
            if row.people != wanted.people or row.payload != wanted.payload or row.collected_us != wanted.collected_us:
                return None
            wanted = next(rest, None)
        else:
            gone.add(row.record_id)
    return gone if wanted is None else None
