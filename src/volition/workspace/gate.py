"""May this be used? The gate's answers: for one record with every reason, for many questions, or held in memory.

Every question names accounts and people as `consent.names` says; whom it names that is not there is refused.

They are of the ledger's head, or of the instant that is asked about. Permits that are kept from an earlier answer are
moved on to the head before they judge again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from volition.canonical import datetime_to_us
from volition.consent.gate import Explanation, Record, Verdict, decide, explain, question_of
from volition.consent.history import History, find_saved_history
from volition.consent.lease import Held
from volition.consent.names import Names
from volition.consent.permits import Permits
from volition.errors import InvalidInputError
from volition.workspace.opened import LEASES, Opened

if TYPE_CHECKING:
    from volition.consent.references import PartyRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """May this be used? The verdict, and every party's part in it; nobody's where somebody named is not there."""

    verdict: Verdict
    parties: tuple[Explanation, ...]


_MOST_KEPT: Final = 100_000  # questions of which it is remembered whom they name


class HeldGate:
    """The gate for one purpose, answered from memory under a lease (`lease.Held`). It may be used from several threads.

    Open it with `with`, or close it: as long as it is open, whoever says no waits for it.
    """

    def __init__(self, held: Held, names: Names, *, lease_ms: int) -> None:
        """Answer from what is held; whom a name means is known for as long as a lease."""
        self._held = held
        self._names = names
        self._names_for_ns = lease_ms * 1_000_000
        self._names_until_ns = 0
        self._generation = -1
        self._meant: dict[tuple[str, tuple[str, ...]], tuple[str, tuple[PartyRef, ...]]] = {}

    @property
    def purpose(self) -> str:
        """The purpose that it answers for."""
        return self._held.purpose

    def decide(self, record: Record) -> Verdict:
        """Judge one record, now; see `may`.

        Its conversation may be named as entries name it or as its source does: it is left out if either is.
        """
        meant = self._resolved(record.account, record.people, record.category, record.collected_us)
        if isinstance(meant, Verdict):
            return meant
        verdict = self._held.may(*meant, record.category, record.collected_us, conversation=record.conversation)
        if not verdict.permitted or not record.conversation:
            return verdict
        named = self._names.conversation(
            meant[0], record.conversation
        )  # people and account may be as somebody calls them
        return self._held.may(*meant, record.category, record.collected_us, conversation=named)

    def may(
        self,
        account: str | None,
        people: Sequence[str | None],
        category: str | None,
        collected_us: int | None,
        *,
        conversation: str | None = None,
    ) -> Verdict:
        """Judge what was collected at an instant, and would be used now, by all that was acknowledged before this call.

        Args:
            account: The account, as `consent.names` takes it.
            people: The people likewise, the speaker or actor first.
            category: A leaf of `terms.CATEGORIES`.
            collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
            conversation: What the meeting, channel or file is called that it belongs to; empty if it belongs to none.
                Where that is not said, what could be of a conversation that was left out is refused (`excluded`).

        Returns:
            The gate's verdict; `unknown-party` where somebody named is not there or nothing is named, `stale` if the
            newest decisions cannot be known.

        Raises:
            InvalidInputError: The record was collected after now.
        """
        meant = self._resolved(account, people, category, collected_us)
        if isinstance(meant, Verdict):
            return meant
        assert category is not None  # noqa: S101 - or it was answered above
        assert collected_us is not None  # noqa: S101
        named = None if conversation is None else self._names.conversation(meant[0], conversation)
        return self._held.may(*meant, category, collected_us, conversation=named)

    def lend(
        self,
        account: str | None,
        people: Sequence[str | None],
        category: str | None,
        collected_us: int | None,
        *,
        conversation: str | None = None,
    ) -> tuple[Verdict, int]:
        """Judge as `may` does, and say for how long a caller elsewhere may repeat the answer.

        They measure from before they sent the question; whoever says no meanwhile is acknowledged after it is over.

        Returns:
            The verdict, and for how many milliseconds; 0 where it may not be repeated.
        """
        meant = self._resolved(account, people, category, collected_us)
        if isinstance(meant, Verdict):
            return meant, 0
        assert category is not None  # noqa: S101 - or it was answered above
        assert collected_us is not None  # noqa: S101
        named = None if conversation is None else self._names.conversation(meant[0], conversation)
        verdict, until_ns = self._held.lend(*meant, category, collected_us, conversation=named)
        left_ns = min(until_ns, self._names_until_ns) - time.monotonic_ns()  # whom a name means is known as long
        return verdict, max(0, left_ns // 1_000_000 - 1)  # one less: clocks do not run alike

    def _resolved(
        self, account: str | None, people: Sequence[str | None], category: str | None, collected_us: int | None
    ) -> "tuple[str, tuple[PartyRef, ...]] | Verdict":
        """Return who is meant, remembered for as long as a lease; or the refusal where that cannot be said."""
        now_ns = time.monotonic_ns()
        if now_ns >= self._names_until_ns:
            self._names.refresh()
            self._names_until_ns = now_ns + self._names_for_ns
            if self._generation != self._names.generation:
                self._generation, self._meant = self._names.generation, {}
        meant = self._meant
        key = (account, tuple(people))
        known = meant.get(key)  # type: ignore[arg-type] # what was resolved names no null
        vocabulary = self._held.vocabulary_for(category)
        if known is None or category not in vocabulary.categories or collected_us is None:
            question = question_of(self._names, vocabulary, account, people, category, collected_us)
            if isinstance(question, Verdict):
                return question
            known = question.account, question.people
            if len(meant) >= _MOST_KEPT:
                meant.clear()
            meant[key] = known  # type: ignore[index]
        return known

    def check_category(self, category: str) -> None:
        """Raise InvalidInputError where there is no such category; the message lists all that there are."""
        self._held.vocabulary_for(category).check_category(category)

    def close(self) -> None:
        """Let go of the lease; whatever is asked afterwards is answered `stale`."""
        self._held.close()

    def __enter__(self) -> Self:
        """Open for a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close at its end."""
        self.close()


class GateQuestions:
    """Asks the gate, at the ledger's head or as of an instant."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._names = Names(opened.parties)
        self._judges: dict[str, tuple[Permits, int]] = {}  # by purpose, and up to which entry they know the ledger

    def permits(self, purpose: str, *, at_us: int | None = None) -> Permits:
        """Return the permits of a purpose now, or as they stood at an instant.

        Raises:
            InvalidInputError: There is no such purpose.
        """
        history = self._opened.history()
        history.vocabulary.check_purpose(purpose)
        return Permits(history, purpose=purpose, at_us=self._opened.now_us if at_us is None else at_us)

    def check_purpose(self, purpose: str) -> None:
        """Raise InvalidInputError where there is no such purpose; the message lists all that there are."""
        self._opened.history().vocabulary.check_purpose(purpose)

    def hold(self, purpose: str) -> HeldGate:
        """Hold the gate of a purpose in memory, to answer many questions; a no waits until it is known here.

        Raises:
            InvalidInputError: There is no such purpose.
            ConflictError: Somebody blocks the leases.
            BackendError: The workspace cannot be written.
        """
        self.check_purpose(purpose)
        held = Held(
            self._opened.folder / LEASES,
            self._opened.ledger,
            purpose=purpose,
            history=find_saved_history(self._opened.folder / "history", self._opened.ledger, self._opened.signer.key),
            length_ms=self._opened.lease_ms,
            clock=self._opened.clock,
        )
        return HeldGate(held, self._names, lease_ms=self._opened.lease_ms)

    def may(  # noqa: PLR0913 - a record, or what would make one
        self,
        purpose: str,
        *,
        record: str | None = None,
        account: str | None = None,
        people: Sequence[str] = (),
        category: str | None = None,
        collected: datetime | None = None,
        conversation: str | None = None,
        at: datetime | None = None,
    ) -> Answer:
        """Answer whether something may be used for a purpose, now or at an instant, and why.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            record: Id of a record in the lake; or else:
            account: The account, as `consent.names` takes it, with
            people: its people likewise, the first one first,
            category: the category, and
            collected: when it would have been collected (by default at the instant asked about), and
            conversation: the meeting, channel or file that it belongs to, by its name; empty if it belongs to none.
            at: The instant asked about; by default now.

        Returns:
            The verdict and every party's part in it; where somebody named is not there, `unknown-party` alone.

        Raises:
            InvalidInputError: There is no such purpose, category or record, too little is named, or it was collected
                after the instant asked about.
        """
        at_us = self._opened.now_us if at is None else datetime_to_us(at)
        permits = self.permits(purpose, at_us=at_us)
        if record is not None:
            question = self._opened.lake.gate_record(record)
        else:
            if account is None or category is None or not people:
                raise InvalidInputError("Name a record, or an account, its people and a category.")
            vocabulary = self._opened.history().vocabulary
            vocabulary.check_category(category)
            self._names.refresh()
            collected_us = at_us if collected is None else datetime_to_us(collected)
            found = question_of(self._names, vocabulary, account, people, category, collected_us, conversation)
            if isinstance(found, Verdict):
                return Answer(verdict=found, parties=())
            question = found
        return Answer(
            verdict=decide(permits, question),
            parties=tuple(explain(self._opened.history(), question, purpose=purpose, at_us=at_us)),
        )

    def judge(self, purpose: str, questions: Any) -> Any:  # noqa: ANN401 - Arrow has no types
        """Answer many questions at once, now; see `batch`.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            questions: Columns of `batch.QUESTIONS`: an Arrow record batch or table, a pandas or polars frame, a reader,
                or whatever else gives an Arrow stream.

        Returns:
            Columns of `batch.ANSWERS`, a row for each question: for a record batch a record batch, for a reader a
            reader, which judges each batch when it is read, and for all else a table.

        Raises:
            InvalidInputError: There is no such purpose, or the questions have not the columns that they need.
        """
        from volition.consent.gate.batch import judge_batch, judged_as  # noqa: PLC0415 - it loads Arrow

        self.check_purpose(purpose)

        def judged(batch: Any) -> Any:  # noqa: ANN401
            self._names.refresh()
            permits = self.permits_now(self._opened.history(), self._opened.now_us)(purpose)
            return judge_batch(permits, self._names, batch)

        return judged_as(questions, judged)

    def permits_now(self, history: History, at_us: int) -> Callable[[str], Permits]:
        """Return what gives a purpose's permits at the ledger's head: those that judged before, moved on to it."""

        def permits_of(purpose: str) -> Permits:
            permits, size = self._judges.pop(purpose, (None, 0))  # if it fails half-way, they are made anew
            if permits is None or permits.at_us > at_us:
                permits = Permits(history, purpose=purpose, at_us=at_us)
            elif size < history.size or permits.at_us < at_us:
                permits.learn(self._opened.entries_since(size), at_us=at_us)
            self._judges[purpose] = permits, history.size
            return permits

        return permits_of
