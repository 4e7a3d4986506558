"""From drafts to records: who the people are, whether the record may be kept, and into the lake with it.

Collection is gated too: what no purpose could permit is counted and not kept, and nobody becomes a guest for its sake.
What cannot be read, belongs to nobody we know, or claims to come from the future, is set aside in the lake's quarantine
with the reason; of an erased account nothing is kept there either. Batches are stored
one after the other, each whole; a killed collection is simply run again, and stores the rest once.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

from volition.canonical import canonical_json, us_to_text
from volition.consent.gate import Record, keepable
from volition.consent.history import History
from volition.consent.identity import UNKNOWN, Handle, Identities
from volition.consent.parties import Parties, Person
from volition.consent.permits import Permits, Reason
from volition.consent.references import ConversationRef, Pseudonym, person_ref, source_id
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry
from volition.progress import Progress
from volition.records.audience import MENTIONS
from volition.records.ingest import Complete, Draft, Note, PersonRef, Reject, Skipped
from volition.records.lake import Lake, NewRecord, record_id

Piece = Complete | Draft | Note | Reject | Skipped

BATCH: Final = 20_000
CLOCK_SKEW_US: Final = 5 * 60 * 1_000_000
"""How far ahead of ours a source's clock may be. Later than that is set aside: a record from the future would be
later than every yes."""

_REMEMBERED: Final = 100_000
"""Of so many different sets of people it is remembered whom they are, and what of theirs may be kept."""

_TOLD: Final = 100
"""How many different notes a result holds."""
_WHY: Final = 5
OTHER: Final = "other content under the same key"
"""Why a record was not kept, where no reason of the gate is: its key was known, with other content."""


@dataclass(slots=True, kw_only=True)
class Collected:
    """What became of an input, piece by piece.

    Attributes:
        stored: Records that are in the lake now and were not before.
        known: Records that the lake had already.
        not_kept: Records that no purpose could permit, by reason.
        rejected: Pieces that were set aside, in the order of the input.
        skipped: Pieces that hold nobody's words or acts, by why.
        quarantine: Where the rejected pieces lie.
        replaced: Records whose newer form took the place of the one that the lake had.
        outdated: Records that are older than the form that the lake has, and were not stored.
        gone: Records that were removed since their source has them no more.
        notes: What whoever collects should know: of whom it is not certain who they are, what was kept apart.
        waiting: Records that are durable, and will be in the lake before anybody reads it, each once.
    """

    stored: int = 0
    known: int = 0
    not_kept: Counter[str] = field(default_factory=Counter)
    rejected: list[Reject] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    quarantine: list[str] = field(default_factory=list)
    replaced: int = 0
    outdated: int = 0
    gone: int = 0
    notes: list[str] = field(default_factory=list)
    waiting: int = 0

    @property
    def not_stored(self) -> int:
        """How many records of the input are not in the lake: set aside, or such as no purpose could permit."""
        return len(self.rejected) + self.not_kept.total()

    @property
    def why_not_stored(self) -> str:
        """The first reasons why, in words; empty if everything was stored."""
        why = [f"{reject.where}: {reject.why}" for reject in self.rejected[:_WHY]]
        kept_out = [f"{count} not kept: {reason}" for reason, count in sorted(self.not_kept.items())]
        return "; ".join((*why, *kept_out))

    def add(self, other: "Collected") -> None:
        """Count another input, or another part of this one, as well."""
        for name in ("stored", "known", "replaced", "outdated", "gone", "waiting"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.not_kept += other.not_kept
        self.skipped += other.skipped
        self.rejected += other.rejected
        self.quarantine += other.quarantine
        self.notes = list(dict.fromkeys((*self.notes, *other.notes)))[:_TOLD]

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as a JSON object."""
        return {
            "stored": self.stored,
            "known": self.known,
            "not_kept": dict(self.not_kept),
            "rejected": [
                {"source": reject.source, "where": reject.where, "why": reject.why} for reject in self.rejected
            ],
            "skipped": dict(self.skipped),
            "quarantine": self.quarantine,
            "replaced": self.replaced,
            "outdated": self.outdated,
            "gone": self.gone,
            "notes": self.notes,
        }


def take_in(  # noqa: PLR0913 - each is a room that collection needs
    pieces: Iterable[Piece],
    *,
    account: str | None,
    parties: Parties,
    lake: Lake,
    history: History,
    now_us: int,
    progress: Progress,
    on_link: Callable[[Person, Person], None] | None = None,
    memory: "Memory | None" = None,
    waits: bool = False,
) -> Collected:
    """Store what may be kept of a read input.

    Args:
        pieces: What a way in yields.
        account: The account whose input it is; none where each piece names its own.
        parties: Knows the people; whoever is new becomes a guest of the account.
        lake: Where records go.
        history: What the gate must know, as of now.
        now_us: The present instant.
        progress: Told after each batch how many pieces are done (the total is not known: 0).
        on_link: Told of two people whom records concern together, before the first is stored; see `Identities`.
        memory: What is remembered from one request to the next; none for one that is collected by itself.
        waits: Whether records are durable at once and laid out in files later, with those of others: of pieces that no
            source numbers or takes back. Which of them the lake has already is known then.

    Raises:
        BusyError: Too much waits already.
        BackendError: The disk is full or cannot be written. Batches before are stored; collect again for the rest.
    """
    if memory is None:
        directory, gate = _Directory(parties, on_link), _Gate(history, now_us)
    else:
        directory, gate = memory.directory(), memory.gate(history, now_us)
    intake = _Intake(account, directory, lake, gate, now_us, waits=waits)
    stream = iter(pieces)
    done = 0
    while batch := list(islice(stream, BATCH)):
        intake.take(batch)
        done += len(batch)
        progress("collecting", done, 0)
    return intake.closed()


def holds_other(pieces: Iterable[Piece], lake: Lake) -> bool:
    """Say whether the lake has other content under the key of any of some pieces; nothing is stored."""
    drafts = [piece for piece in pieces if isinstance(piece, Draft)]
    return lake.count_other([_bare_record(draft) for draft in drafts]) > 0


def _bare_record(draft: Draft) -> NewRecord:
    """Return a draft as a record of nobody, to compare what it holds."""
    return NewRecord(
        record_id=record_id(draft.account, draft.key),
        account=draft.account,
        people=(),
        category=draft.category,
        collected_us=draft.at_us,
        source="",
        payload=draft.payload,
    )


class _Intake:
    """Takes batches of pieces, and counts what becomes of them."""

    def __init__(  # noqa: PLR0913 - as above
        self,
        account: str | None,
        directory: "_Directory",
        lake: Lake,
        gate: "_Gate",
        now_us: int,
        *,
        waits: bool,
    ) -> None:
        self._account = account
        self._waits = waits
        self._parties = directory.parties
        self._lake = lake
        self._gate = gate
        self._now_us = now_us
        self._directory = directory
        self._erased = self._parties.erased_accounts()
        self._outcome = Collected()
        directory.doubts = {}  # it may know more people than this input names
        # What sources that number their forms gave, by account and conversation.
        self._present: dict[tuple[str, str], set[str]] = defaultdict(set)

    def take(self, batch: Sequence[Piece]) -> None:
        """Store a batch, as a whole, and set its bad pieces aside."""
        records: list[NewRecord] = []
        rejects: list[tuple[str | None, Reject]] = []
        for piece in batch:
            if isinstance(piece, (Draft, Reject)):
                owner = piece.account if isinstance(piece, Draft) else self._account or piece.account
                if owner in self._erased:
                    self._outcome.not_kept[Reason.ERASED.value] += 1
                elif isinstance(piece, Reject):
                    rejects.append((owner, piece))
                else:
                    try:
                        self._take_draft(piece, records)
                    except InvalidInputError as error:
                        rejects.append((owner, _reject(piece, str(error))))
            elif isinstance(piece, Skipped):
                self._outcome.skipped[piece.why] += piece.count
            elif isinstance(piece, Note):
                self._outcome.notes.append(f"{piece.source}: {piece.what}")
        _set_aside(rejects, self._parties, self._lake, self._outcome)
        self._store(records)
        for piece in batch:
            if isinstance(piece, Complete):
                self._outcome.gone += self._remove_others(piece)

    def _take_draft(self, draft: Draft, records: list[NewRecord]) -> None:
        if draft.version is not None:
            self._present[draft.account, _origin(draft.key)].add(record_id(draft.account, draft.key))
        record = _record(draft, self._gate, self._directory, self._now_us)
        if isinstance(record, NewRecord):
            records.append(record)
        else:
            self._outcome.not_kept[record.value] += 1

    def _store(self, records: Sequence[NewRecord]) -> None:
        if self._waits:
            self._lake.receive(records)
            self._outcome.waiting += len(records)
            return
        appended = self._lake.append(records)
        self._outcome.stored += appended.stored
        self._outcome.known += appended.known - appended.outdated - appended.other
        self._outcome.replaced += appended.replaced
        self._outcome.outdated += appended.outdated
        if appended.other:
            self._outcome.not_kept[OTHER] += appended.other

    def _remove_others(self, complete: Complete) -> int:
        if not self._directory.has_account(complete.account) or complete.account in self._erased:
            return 0
        return self._lake.remove_others(
            complete.account,
            complete.conversation,
            category="content/chat",
            origin=f"{complete.account}:{complete.origin}",
            stretch_us=(complete.start_us, complete.end_us),
            sure_us=complete.sure_us,
            present=self._present.pop((complete.account, complete.origin), set()),
        )

    def closed(self) -> Collected:
        """Return what became of everything."""
        notes = (*self._outcome.notes, *_changes(self._outcome), *self._directory.doubts)
        self._outcome.notes = list(dict.fromkeys(notes))[:_TOLD]
        return self._outcome


def _origin(key: str) -> str:
    """Return the conversation at its source of a record that may change there: the key without its last part."""
    return key.rpartition(":")[0]


def _changes(outcome: Collected) -> Iterator[str]:
    """Yield what changed of records that the lake had before."""
    if outcome.replaced:
        yield f"{outcome.replaced} records were changed at their source: the newer form took the older one's place."
    if outcome.outdated:
        yield f"{outcome.outdated} records are older than the form that is here, which stays."
    if outcome.gone:
        yield f"{outcome.gone} records are gone at their source since, and were removed here."


def _reject(draft: Draft, why: str) -> Reject:
    return Reject(source=draft.account, where=draft.key, why=why, raw=repr(draft.payload), people=draft.people[:1])


def _record(draft: Draft, gate: "_Gate", directory: "_Directory", now_us: int) -> NewRecord | Reason:
    """Return a draft as a record, or why it is not kept.

    Raises:
        InvalidInputError: It belongs to an account that nobody knows, is of no category that the terms know, comes from
            the future, or cannot be stored.
    """
    if not directory.has_account(draft.account):
        msg = f"The account {draft.account!r} is not known. Add it with `volition account add`, then collect again."
        raise InvalidInputError(msg)
    if draft.at_us > now_us + CLOCK_SKEW_US:
        msg = f"Its time {us_to_text(draft.at_us)} lies in the future. Set the source's clock, then collect again."
        raise InvalidInputError(msg)
    gate.history.vocabulary.check_category(draft.category)
    written = draft.written or canonical_json(draft.payload)  # what has none would take the whole batch with it
    group = draft.payload.get("meeting") or draft.payload.get("channel") or draft.payload.get("file")
    source = source_id(draft.account, group) if isinstance(group, str) else ""
    conversation = directory.parties.conversation_ref(draft.account, source)
    objection = gate.objection(
        draft.account, (), draft.category, conversation
    )  # the account's own, before anybody becomes a guest
    if objection is not None:
        return objection
    people = directory.pseudonyms(draft.account, draft.people)
    mentions: list[str] = []
    if draft.mentioned:
        there = directory.pseudonyms(draft.account, [one for one in draft.people if one not in draft.mentioned])
        mentions = [one for one in directory.pseudonyms(draft.account, draft.mentioned) if one not in there]
    return gate.objection(draft.account, people, draft.category, conversation) or NewRecord(
        record_id=record_id(draft.account, draft.key),
        account=draft.account,
        people=people,
        category=draft.category,
        collected_us=min(draft.at_us, now_us),
        source=source,
        payload={**draft.payload, MENTIONS: mentions} if mentions else draft.payload,
        version=draft.version,
        origin="" if draft.version is None else f"{draft.account}:{_origin(draft.key)}",
        as_written=b"" if mentions else written,
    )


class _Gate:
    """Says whether records may be kept at all: the same for all of one party set and category."""

    def __init__(self, history: History, now_us: int) -> None:
        self._permits = [Permits(history, purpose=purpose, at_us=now_us) for purpose in history.vocabulary.purposes]
        self._known: dict[tuple[str, tuple[str, ...], str, ConversationRef | None], Reason | None] = {}
        self.history = history
        self.size = history.size
        self.at_us = now_us

    def __len__(self) -> int:
        return len(self._known)

    def good_until_us(self) -> int:
        """Return the instant from which time alone may change an answer."""
        return min(permits.good_until_us() for permits in self._permits)

    def objection(
        self, account: str, people: tuple[str, ...], category: str, conversation: ConversationRef | None
    ) -> Reason | None:
        key = (account, people, category, conversation)
        try:
            return self._known[key]
        except KeyError:
            parties = tuple(person_ref(Pseudonym(one)) for one in people)
        record = Record(account=account, people=parties, category=category, collected_us=0, conversation=conversation)
        found = self._known[key] = keepable(self._permits, record)
        return found


def _set_aside(rejects: Sequence[tuple[str | None, Reject]], parties: Parties, lake: Lake, outcome: Collected) -> None:
    for owner, mine in _by_owner(rejects):
        path = lake.quarantine(owner if owner and parties.has_account(owner) else None, [*map(_line, mine)])
        if path is not None:
            outcome.quarantine.append(str(path))
        outcome.rejected.extend(mine)


def _line(reject: Reject) -> dict[str, Any]:
    handles = [handle for person in reject.people for handle in person.order if handle]
    told = {"source": reject.source, "where": reject.where, "why": reject.why, "raw": reject.raw}
    return {**told, "people": handles} if handles else told


def _by_owner(rejects: Sequence[tuple[str | None, Reject]]) -> Iterator[tuple[str | None, list[Reject]]]:
    owners = dict.fromkeys(owner for owner, _ in rejects)
    for owner in owners:
        yield owner, [reject for known, reject in rejects if known == owner]


class _Directory:
    """Finds whom a record concerns, and remembers of whom that is not certain."""

    def __init__(self, parties: Parties, on_link: Callable[[Person, Person], None] | None) -> None:
        self.parties = parties
        self._identities = Identities(parties, on_link=on_link)
        self._accounts: dict[str, bool] = {}
        self._people: dict[tuple[str, tuple[PersonRef, ...]], _Concerned] = {}
        self.doubts: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._people)

    def has_account(self, account: str) -> bool:
        if account not in self._accounts:
            self._accounts[account] = self.parties.has_account(account)
        return self._accounts[account]

    def pseudonyms(self, account: str, people: Sequence[PersonRef]) -> tuple[str, ...]:
        """Return the pseudonyms of a record's people in their order, nobody twice."""
        key = (account, tuple(people))
        known = self._people.get(key)
        if known is None:
            each = [self._concerned(account, person) for person in people]
            pseudonyms = tuple(dict.fromkeys(pseudonym for one in each for pseudonym in one.people))
            doubts = tuple(doubt for one in each for doubt in one.doubts)
            known = self._people[key] = _Concerned(pseudonyms or (UNKNOWN,), doubts)
        if known.doubts:
            self.doubts |= dict.fromkeys(known.doubts)
        return known.people

    def _concerned(self, account: str, person: PersonRef) -> "_Concerned":
        if person.pseudonym is not None:
            return _Concerned((person.pseudonym,))
        resolved = self._identities.resolve(account, Handle(name=person.name, id=person.id, email=person.email))
        if not resolved.maybe:
            return _Concerned(resolved.people)
        heard = person.name or person.email or person.id
        named = ", ".join(one.name or one.id for one in resolved.maybe)
        doubt = f"{heard!r} may be {named}: the no of each counts, and nobody's yes stands in for theirs."
        return _Concerned(resolved.people, (doubt,))


class _Concerned(NamedTuple):
    """Whom somebody named concerns, and what is not certain about it."""

    people: tuple[str, ...]
    doubts: tuple[str, ...] = ()


class Memory:
    """What collecting remembers from one request to the next: whom handles mean, and what may be kept.

    Nothing of it outlives a change. Once anything was written in the directory of people, by whichever process, handles
    are resolved anew; once the ledger says anything but that records were collected, or time alone may change an
    answer, the gate is asked anew.
    """

    def __init__(
        self,
        parties: Parties,
        on_link: Callable[[Person, Person], None] | None,
        entries: Callable[[int, int], Iterable[Entry]],
    ) -> None:
        """Remember nothing yet.

        Args:
            parties: Knows the people.
            on_link: As for `take_in`.
            entries: Gives the ledger's entries from one number to another (not included).
        """
        self._parties = parties
        self._on_link = on_link
        self._entries = entries
        self._version: tuple[int, int] | None = None
        self._directory: _Directory | None = None
        self._gate: _Gate | None = None

    def directory(self) -> _Directory:
        """Return whom handles mean, as the directory of people stands."""
        found, version = self._directory, self._parties.version()
        if found is None or version != self._version or len(found) > _REMEMBERED:
            found, self._version = _Directory(self._parties, self._on_link), version
            self._directory = found
        return found

    def gate(self, history: History, now_us: int) -> _Gate:
        """Return what may be kept, by all that the history says at an instant."""
        found = self._gate
        if found is None or not self._holds(found, history, now_us) or len(found) > _REMEMBERED:
            found = self._gate = _Gate(history, now_us)
        return found

    def _holds(self, gate: _Gate, history: History, now_us: int) -> bool:
        if history is not gate.history or not gate.at_us <= now_us < gate.good_until_us():
            return False
        if any(entry.kind != "collect" for entry in self._entries(gate.size, history.size)):
            return False
        gate.size = history.size
        return True
