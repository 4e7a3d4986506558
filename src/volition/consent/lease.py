"""Leases: a process may answer from memory for a moment, and a no is acknowledged once every such moment is over.

A process that holds permits in memory holds a *lease*. It notes the clock, then reads the ledger's head and all that is
new, and may answer until the time noted plus the lease's length. Whoever appends what narrows anything waits, after the
commit and before acknowledging, for the length of the longest lease that anybody holds. So an answer whose question
began after the acknowledgement was given under a lease that began after the commit, and knows the no.

Who holds leases is known from files in one folder, named after their length in milliseconds: a holder has a shared
`flock` on the file of its length for as long as it holds permits. A writer tries each for an exclusive lock: where it
gets it, nobody holds any, and whoever comes later reads the head after the commit. So where nothing is held, nothing
waits. The kernel drops the lock of a killed process, and keeps that of a stopped one, whose lease runs out meanwhile.

A table of permits that others read (`expiring`) is waited for, too: until it was written anew, or has run out.

What it guarantees:

- The lock comes before the first reading of the head, the clock before every reading; the lease is looked at last,
  after the answer is made. What cannot be renewed answers `stale`, never "permitted".
- The clock is `CLOCK_MONOTONIC`: one for all processes of a machine, never set. It stands still while the machine is
  suspended, for those who answer and those who wait alike.
- A lock is let go by closing its file, never by unlocking: a forked child that has the same open file keeps it. The
  child itself answers `stale`, since what it was born with cannot read the ledger.

A caller elsewhere may be lent an answer (`Held.lend`), for as long as the lease under which it was given goes on, and
for `CLIENT_MS` at most. Nobody can see whether such a caller still answers when the process that lent to it was killed.
So whoever lends leaves a file, `CLIENTS`, which stays; where it is there, a writer waits for `CLIENT_MS` at least.

It holds on one machine, and for callers on any: `docs/decisions/0010-leases.md` and `0045-clients-hold-answers.md` say
why it is so, and what a cluster needs instead.

    with workspace.gate.hold("feature/search") as held:
        verdict = held.may("acme", ["ada"], "content/chat", collected_us)
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

from volition import canonical
from volition.consent.expiring import Unaware
from volition.consent.gate import Gate, Record, Verdict, refused
from volition.consent.history import History, extend_history_by
from volition.consent.permits import Permits, Reason
from volition.consent.references import ConversationRef, PartyRef, account_ref
from volition.consent.terms.vocabulary import Vocabulary
from volition.errors import BackendError, ConflictError, InvalidInputError, VolitionError
from volition.ledger.entry import Entry
from volition.ledger.log import Ledger

LENGTH_MS: Final = 100
"""How long a lease is by default, milliseconds."""

CLIENT_MS: Final = 100
"""How long a caller elsewhere may hold an answer at most, milliseconds, whatever the lease."""

CLIENTS: Final = "clients"
"""The file that is there once an answer was lent."""

LONGEST_MS: Final = 10_000
"""Nobody shall wait longer than this for an acknowledgement."""

_NS: Final = 1_000_000  # in a millisecond
_MARGIN_NS: Final = 1 * _NS  # if two cores' clocks should ever differ by a little
_PATIENCE_S: Final = 10.0
_TRIES: Final = 10
_GLANCES: Final = 3
_GLANCE_S: Final = 0.0003  # many times as long as a writer holds the lock that it tries

_WIDENING: Final = frozenset(
    {
        *("notice", "identity", "sharing", "collect", "access", "mapping", "form"),
        *("snapshot", "model", "release", "forgetting", "removal"),
    }
)


def narrows(entry: Entry) -> bool:
    """Tell whether an entry may turn an answer to a refusal: all may, but what widens, and mere reports.

    What widens is a yes, a limit that is lifted, a conversation that is taken back in.

    A yes with an end may, too: it may stand in for one that ends later, or never. So may whatever is imported.
    """
    match entry.kind:
        case "decision":
            return entry.body.get("answer") != "yes" or not {"until", "claim"}.isdisjoint(entry.body)
        case "limit":
            return entry.body.get("limited") is not False
        case "exclusion":
            return entry.body.get("excluded") is not False
        case kind:
            return kind not in _WIDENING


@dataclass(slots=True)
class Settling:
    """Until when nobody is told that something was appended: somebody may still answer from before it.

    Attributes:
        until_ns: That instant, of `CLOCK_MONOTONIC`, nanoseconds; past where there is nothing to wait for.
        tables: Tables of permits that may be read and do not know it yet.
    """

    until_ns: int = 0
    tables: list[Unaware] = field(default_factory=list)

    def left_s(self) -> float:
        """Return for how long to wait before asking again, seconds; 0 where it is over."""
        left_s = max(0.0, (self.until_ns - time.monotonic_ns()) / 1e9)
        return left_s or max((table.left_s() for table in self.tables), default=0.0)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Have `Leases.settle` note here, for a block and in this thread, until when to wait, in place of waiting.

        Whoever asks for this waits until nothing is `left_s`, whatever became of the block, before they tell anybody.
        """
        token = _LATER.set(self)
        try:
            yield
        finally:
            _LATER.reset(token)


_LATER: Final[ContextVar[Settling | None]] = ContextVar("volition_settling", default=None)


class Leases:
    """The leases on one ledger, as its writers see them."""

    def __init__(
        self,
        folder: Path,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], int] = canonical.now_us,
    ) -> None:
        """Watch the leases in `folder`; it is made by whoever holds the first.

        Args:
            folder: Where their files lie.
            clock_ns: Gives the time of a clock that all processes share and nobody sets, nanoseconds.
            sleep: Waits for so many seconds.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
        """
        self._folder = folder
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._clock = clock
        self._looking = Lock()

    def settle(self, entries: Iterable[Entry]) -> None:
        """Return once nobody answers from before these entries; at once if they narrow nothing.

        Where a `Settling` collects, that is noted in it, and waited for by those who asked for it.

        Raises:
            BackendError: It cannot be seen who holds leases. The entries are stored; that they are known is not sure.
        """
        seq = max((entry.seq for entry in entries if narrows(entry)), default=None)
        if seq is None:
            return
        later = _LATER.get()
        if later is None:
            self.wait(seq)
        else:
            later.until_ns = max(later.until_ns, self._clock_ns() + self._longest_held_ns())
            later.tables.append(self._unaware(seq))

    def wait(self, seq: int | None = None) -> None:
        """Wait until every lease and every table of permits that was granted before this call has run out.

        Raises as `settle` does.

        Args:
            seq: Do not wait for a table that knows this entry; none for one of which that is not known.
        """
        began_ns, tables = self._clock_ns(), self._unaware(seq)
        until_ns = began_ns + self._longest_held_ns()
        while (left_ns := until_ns - self._clock_ns()) > 0:
            self._sleep(left_ns / 1e9)
        while (left_s := tables.left_s()) > 0:
            self._sleep(left_s)

    def _unaware(self, seq: int | None) -> Unaware:
        return Unaware(self._folder, seq=seq, clock=self._clock, clock_ns=self._clock_ns)

    def _longest_held_ns(self) -> int:
        """Return the length of the longest lease that anybody holds, with a margin; 0 if nobody does."""
        try:
            names = [path.name for path in self._folder.iterdir() if path.name.isdecimal()]
            with self._looking:
                held = [int(name) for name in names if not self._is_free(name)]
            if (self._folder / CLIENTS).exists():  # callers elsewhere, who need not have a living process behind them
                held.append(CLIENT_MS)
        except FileNotFoundError:  # nobody ever held one
            return 0
        except OSError as error:
            raise BackendError(
                f"It was stored, but {self._folder} does not tell who still answers from before ({error}). "
                "Make the folder readable and say it again."
            ) from error
        return max(held) * _NS + _MARGIN_NS if held else 0

    def _is_free(self, name: str) -> bool:
        descriptor = os.open(self._folder / name, os.O_RDONLY)
        try:
            for _ in range(_GLANCES):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._sleep(_GLANCE_S)  # it may be another writer, who only looks as we do
                else:
                    return True
            return False
        finally:
            os.close(descriptor)  # which also lets go of the lock


class Held:
    """The gate for one purpose, answered from memory under a lease. It may be used from several threads.

    Open it with `with`, or close it: as long as it is open, whoever says no waits for it.
    """

    def __init__(  # noqa: PLR0913 - what it holds, and two clocks
        self,
        folder: Path,
        ledger: Ledger,
        *,
        purpose: str,
        history: History | None = None,
        length_ms: int = LENGTH_MS,
        clock: Callable[[], int] = canonical.now_us,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Take a lease, and read the ledger.

        Args:
            folder: Where the leases' files lie.
            ledger: What decides.
            purpose: A leaf of `terms.PURPOSES`.
            history: What was read of the ledger already, for this object alone; by default nothing.
            length_ms: For how long it may answer without looking, milliseconds.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
            clock_ns: Gives the time of a clock that all processes share and nobody sets, nanoseconds.

        Raises:
            InvalidInputError: The length is no number of milliseconds between 1 and `LONGEST_MS`.
            ConflictError: Somebody blocks the leases.
            BackendError: The folder cannot be written.
        """
        if not 1 <= length_ms <= LONGEST_MS:
            raise InvalidInputError(f"A lease takes 1 to {LONGEST_MS} milliseconds, not {length_ms}.")
        self.purpose = purpose
        self._ledger = ledger
        self._history = History() if history is None else history
        self._length_ns = length_ms * _NS
        self._clock = clock
        self._clock_ns = clock_ns
        self._turn = Lock()
        self._pid = os.getpid()
        self._gate: Gate | None = None
        self._at_us = 0
        self._until_ns = -(2**63)  # on no clock
        self._path = folder / str(length_ms)
        self._descriptor = _hold(self._path)

    def decide(self, record: Record) -> Verdict:
        """Judge one record, now; see `may`."""
        return self.may(
            record.account, record.people, record.category, record.collected_us, conversation=record.conversation
        )

    def may(
        self,
        account: str,
        people: tuple[PartyRef, ...],
        category: str,
        collected_us: int,
        *,
        conversation: ConversationRef | None = None,
    ) -> Verdict:
        """Judge what was collected at an instant, and would be used now, by all that was acknowledged before this call.

        Args:
            account: Id of the account.
            people: Parties ("person:PSEUDONYM"), the speaker or actor first, nobody twice.
            category: A leaf of `terms.CATEGORIES`.
            collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
            conversation: The meeting, channel or file; empty if it belongs to none, None where that is not known.

        Returns:
            The gate's verdict; `stale` if the newest decisions cannot be known.

        Raises:
            InvalidInputError: The record was collected after now.
        """
        if os.getpid() == self._pid:
            with self._turn:
                for _ in range(_TRIES):
                    gate = self._fresh()
                    if gate is None:
                        break
                    self._at_us = max(self._at_us, self._clock())
                    verdict = gate.may(
                        account, people, category, collected_us, conversation=conversation, at_us=self._at_us
                    )
                    if self._clock_ns() < self._until_ns:  # last: whatever happened since, the answer was given in time
                        return verdict
        return refused(Reason.STALE, account_ref(account))

    def vocabulary_for(self, category: str | None) -> Vocabulary:
        """Return what can be named; where a category is not among it, of the newest terms that can be known."""
        if category not in self._history.vocabulary.categories and os.getpid() == self._pid:
            with self._turn:
                self._fresh()
        return self._history.vocabulary

    def lend(
        self,
        account: str,
        people: tuple[PartyRef, ...],
        category: str,
        collected_us: int,
        *,
        conversation: ConversationRef | None = None,
    ) -> tuple[Verdict, int]:
        """Judge as `may` does, for a caller elsewhere who may repeat the answer until an instant of this clock.

        The caller measures from before the question was sent, so on their clock that is over no later than here.

        Returns:
            The verdict, and the instant, nanoseconds; one that is past where it may not be repeated: nothing could be
            renewed, or time alone changes something before `CLIENT_MS` are over.
        """
        verdict = self.may(account, people, category, collected_us, conversation=conversation)
        with self._turn:
            now_ns, gate = self._clock_ns(), self._gate
            if gate is None or now_ns >= self._until_ns or verdict.reason is Reason.STALE:
                return verdict, now_ns
            later_us = self._at_us + CLIENT_MS * 1_000
            if later_us >= gate.good_until_us or verdict != gate.may(
                account, people, category, collected_us, conversation=conversation, at_us=later_us
            ):
                return verdict, now_ns
            try:
                (self._path.parent / CLIENTS).touch()  # each time: somebody may have cleared the folder
            except OSError:
                return verdict, now_ns
            return verdict, min(self._until_ns, now_ns + CLIENT_MS * _NS)

    def close(self) -> None:
        """Let go of the lease; whatever is asked afterwards is answered `stale`."""
        with self._turn:
            self._until_ns, self._gate = -(2**63), None
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """Open for a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close at its end."""
        self.close()

    def _fresh(self) -> Gate | None:
        """Return the gate, under a lease that has not run out; none if that cannot be had."""
        began_ns = self._clock_ns()  # before the ledger is read
        if began_ns < self._until_ns:
            return self._gate
        if not self._is_held():
            return None
        try:
            gate = self._learn()
        except VolitionError:  # unreadable, locked, changed: the gate fails closed
            self._gate = None  # it may not know all that the history knows by now
            return None
        self._gate, self._until_ns = gate, began_ns + self._length_ns
        return gate

    def _learn(self) -> Gate:
        """Read what is new in the ledger."""
        entries = [*self._ledger.entries(self._history.size)]
        extend_history_by(self._history, entries)
        self._at_us = max(self._at_us, self._history.last_us, self._clock())
        if self._gate is None:
            return Gate(Permits(self._history, purpose=self.purpose, at_us=self._at_us))
        self._gate.learn(entries, at_us=self._at_us)
        return self._gate

    def _is_held(self) -> bool:
        """Tell whether the lock is still on the file that writers look at: somebody may have cleared the folder."""
        if self._descriptor < 0:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False


def _hold(path: Path) -> int:
    """Take the shared lock on a lease's file, which is made if it is not there; return its descriptor."""
    descriptor = -1
    deadline = time.monotonic() + _PATIENCE_S
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:  # a writer looks who is there; unless it was stopped just then, for microseconds
                if time.monotonic() > deadline:
                    raise ConflictError(f"Another process blocks the leases ({path}). End it and retry.") from None
                time.sleep(_GLANCE_S)
            else:
                return descriptor
    except OSError as error:
        _close(descriptor)
        raise BackendError(f"No lease could be taken: {error}. Make {path.parent} writable.") from error
    except BaseException:
        _close(descriptor)
        raise


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
