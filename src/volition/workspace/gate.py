"""May this be used? The gate's answers: for one record with every reason, for many questions, or held in memory.

They are of the ledger's head, or of the instant that is asked about. Permits that are kept from an earlier answer are
moved on to the head before they judge again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from volition.canonical import datetime_to_us
from volition.consent.gate import Explanation, Record, Verdict, decide, explain
from volition.consent.history import History, find_saved_history
from volition.consent.lease import Held
from volition.consent.permits import Permits
from volition.consent.terms.model import CATEGORIES, PURPOSES
from volition.errors import InvalidInputError
from volition.workspace.opened import LEASES, Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """May this be used? The verdict, and every party's part in it."""

    verdict: Verdict
    parties: tuple[Explanation, ...]


class GateQuestions:
    """Asks the gate, at the ledger's head or as of an instant."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._judges: dict[str, tuple[Permits, int]] = {}  # by purpose, and up to which entry they know the ledger

    def permits(self, purpose: str, *, at_us: int | None = None) -> Permits:
        """Return the permits of a purpose now, or as they stood at an instant.

        Raises:
            InvalidInputError: There is no such purpose.
        """
        check_purpose(purpose)
        history = self._opened.history()
        return Permits(history, purpose=purpose, at_us=self._opened.now_us if at_us is None else at_us)

    def hold(self, purpose: str) -> Held:
        """Hold the gate of a purpose in memory, to answer many questions; a no waits until it is known here.

        Raises:
            InvalidInputError: There is no such purpose.
            ConflictError: Somebody blocks the leases.
            BackendError: The workspace cannot be written.
        """
        check_purpose(purpose)
        return Held(
            self._opened.folder / LEASES,
            self._opened.ledger,
            purpose=purpose,
            history=find_saved_history(self._opened.folder / "history", self._opened.ledger, self._opened.signer.key),
            length_ms=self._opened.lease_ms,
            clock=self._opened.clock,
        )

    def may(  # noqa: PLR0913 - a record, or what would make one
        self,
        purpose: str,
        *,
        record: str | None = None,
        account: str | None = None,
        people: Sequence[str] = (),
        category: str | None = None,
        collected: datetime | None = None,
        at: datetime | None = None,
    ) -> Answer:
        """Answer whether something may be used for a purpose, now or at an instant, and why.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            record: Id of a record in the lake; or else:
            account: The account, with
            people: the ids of its people, the first one first,
            category: the category, and
            collected: when it would have been collected (by default at the instant asked about).
            at: The instant asked about; by default now.

        Raises:
            InvalidInputError: Something named is not known, or too little is named.
        """
        at_us = self._opened.now_us if at is None else datetime_to_us(at)
        permits = self.permits(purpose, at_us=at_us)
        if record is not None:
            question = self._opened.lake.gate_record(record)
        else:
            if account is None or category is None or not people:
                raise InvalidInputError("Name a record, or an account, its people and a category.")
            if category not in CATEGORIES:
                msg = f"{category!r} is not a single category. They are: {', '.join(CATEGORIES)}."
                raise InvalidInputError(msg)
            question = Record(
                account=self._opened.parties.account(account).id,
                people=tuple(self._opened.party(f"person:{person}") for person in people),
                category=category,
                collected_us=at_us if collected is None else datetime_to_us(collected),
            )
        return Answer(
            verdict=decide(permits, question),
            parties=tuple(explain(self._opened.history(), question, purpose=purpose, at_us=at_us)),
        )

    def judge(self, purpose: str, questions: Any) -> Any:  # noqa: ANN401 - Arrow has no types
        """Answer many questions at once, now: an Arrow record batch in, another out; see `batch.judge_batch`.

        Raises:
            InvalidInputError: There is no such purpose, or a question makes no sense.
        """
        from volition.consent.gate.batch import judge_batch  # noqa: PLC0415 - it loads Arrow

        check_purpose(purpose)
        return judge_batch(self.permits_now(self._opened.history(), self._opened.now_us)(purpose), questions)

    def permits_now(self, history: History, at_us: int) -> Callable[[str], Permits]:
        """Return what gives a purpose's permits at the ledger's head: those that judged before, moved on to it."""

        def permits_of(purpose: str) -> Permits:
            permits, size = self._judges.pop(purpose, (None, 0))  # if it fails half-way, they are made anew
            if permits is None or permits.at_us > at_us:
                permits = Permits(history, purpose=purpose, at_us=at_us)
            elif size < history.size or permits.at_us < at_us:
                permits.learn(
                    self._opened.ledger.entries(size, history.size) if size < history.size else (), at_us=at_us
                )
            self._judges[purpose] = permits, history.size
            return permits

        return permits_of


def check_purpose(purpose: str) -> None:
    """Raise InvalidInputError where there is no such purpose."""
    if purpose not in PURPOSES:
        msg = f"There is no purpose {purpose!r}. The purposes are: {', '.join(PURPOSES)}."
        raise InvalidInputError(msg)
