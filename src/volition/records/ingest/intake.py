"""From drafts to records: who the people are, whether the record may be kept, and into the lake with it.

Collection is gated too: what no purpose could permit is counted and not kept, and nobody becomes a guest for its sake.
What cannot be read, belongs to nobody we know, or claims to come from the future, is set aside in the lake's quarantine
with the reason; of an erased account nothing is kept there either. Batches are stored
one after the other, each whole; a killed collection is simply run again, and stores the rest once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from volition.canonical import canonical_json, us_to_text
from volition.consent.gate import Record, keepable
from volition.consent.history import History
from volition.consent.parties import Parties
from volition.consent.permits import UNKNOWN_PERSON, Permits, Reason
from volition.consent.references import Pseudonym, person_ref
from volition.consent.terms.model import PURPOSES
from volition.errors import ConflictError, InvalidInputError
from volition.progress import Progress
from volition.records.ingest import Draft, PersonRef, Reject, Skipped
from volition.records.lake import Lake, NewRecord, record_id, source_id

Piece = Draft | Reject | Skipped

BATCH: Final = 20_000
CLOCK_SKEW_US: Final = 5 * 60 * 1_000_000
"""How far ahead of ours a source's clock may be. Later than that is set aside: a record from the future would be
later than every yes."""

_UNKNOWN: Final = UNKNOWN_PERSON.removeprefix("person:")


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
    """

    stored: int = 0
    known: int = 0
    not_kept: Counter[str] = field(default_factory=Counter)
    rejected: list[Reject] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    quarantine: list[str] = field(default_factory=list)

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

    Raises:
        BackendError: The disk is full or cannot be written. Batches before are stored; collect again for the rest.
    """
    outcome = Collected()
    gate = _Gate([Permits(history, purpose=purpose, at_us=now_us) for purpose in PURPOSES])
    directory = _Directory(parties)
    erased = parties.erased_accounts()
    stream = iter(pieces)
    done = 0
    while batch := list(islice(stream, BATCH)):
        records: list[NewRecord] = []
        rejects: list[tuple[str | None, Reject]] = []
        for piece in batch:
            owner = piece.account if isinstance(piece, Draft) else account
            if isinstance(piece, Skipped):
                outcome.skipped[piece.why] += piece.count
            elif owner in erased:
                outcome.not_kept[Reason.ERASED.value] += 1
            elif isinstance(piece, Reject):
                rejects.append((owner, piece))
            else:
                try:
                    record = _record(piece, gate, directory, now_us)
                except InvalidInputError as error:
                    rejects.append((owner, _reject(piece, str(error))))
                    continue
                if isinstance(record, NewRecord):
                    records.append(record)
                else:
                    outcome.not_kept[record.value] += 1
        _set_aside(rejects, parties, lake, outcome)
        appended = lake.append(records)
        outcome.stored += appended.stored
        outcome.known += appended.known
        done += len(batch)
        progress("collecting", done, 0)
    return outcome


def _reject(draft: Draft, why: str) -> Reject:
    return Reject(source=draft.account, where=draft.key, why=why, raw=repr(draft.payload))


def _record(draft: Draft, gate: "_Gate", directory: "_Directory", now_us: int) -> NewRecord | Reason:
    """Return a draft as a record, or why it is not kept.

    Raises:
        InvalidInputError: It belongs to an account that nobody knows, comes from the future, or cannot be stored.
    """
    if not directory.has_account(draft.account):
        msg = f"The account {draft.account!r} is not known. Add it with `volition account add`, then collect again."
        raise InvalidInputError(msg)
    if draft.at_us > now_us + CLOCK_SKEW_US:
        msg = f"Its time {us_to_text(draft.at_us)} lies in the future. Set the source's clock, then collect again."
        raise InvalidInputError(msg)
    canonical_json(draft.payload)  # what has no such form would take the whole batch with it
    objection = gate.objection(draft.account, (), draft.category)  # the account's own, before anybody becomes a guest
    if objection is not None:
        return objection
    people = directory.pseudonyms(draft.account, draft.people)
    group = draft.payload.get("meeting") or draft.payload.get("channel") or draft.payload.get("file")
    return gate.objection(draft.account, people, draft.category) or NewRecord(
        record_id=record_id(draft.account, draft.key),
        account=draft.account,
        people=people,
        category=draft.category,
        collected_us=min(draft.at_us, now_us),
        source=source_id(draft.account, group) if isinstance(group, str) else "",
        payload=draft.payload,
    )


class _Gate:
    """Says whether records may be kept at all: the same for all of one party set and category."""

    def __init__(self, permits: Sequence[Permits]) -> None:
        self._permits = permits
        self._known: dict[tuple[str, tuple[str, ...], str], Reason | None] = {}

    def objection(self, account: str, people: tuple[str, ...], category: str) -> Reason | None:
        key = (account, people, category)
        if key not in self._known:
            parties = tuple(person_ref(Pseudonym(one)) for one in people)
            record = Record(account=account, people=parties, category=category, collected_us=0)
            self._known[key] = keepable(self._permits, record)
        return self._known[key]


def _set_aside(rejects: Sequence[tuple[str | None, Reject]], parties: Parties, lake: Lake, outcome: Collected) -> None:
    for owner, mine in _by_owner(rejects):
        lines = [
            {"source": reject.source, "where": reject.where, "why": reject.why, "raw": reject.raw} for reject in mine
        ]
        path = lake.quarantine(owner if owner and parties.has_account(owner) else None, lines)
        if path is not None:
            outcome.quarantine.append(str(path))
        outcome.rejected.extend(mine)


def _by_owner(rejects: Sequence[tuple[str | None, Reject]]) -> Iterator[tuple[str | None, list[Reject]]]:
    owners = dict.fromkeys(owner for owner, _ in rejects)
    for owner in owners:
        yield owner, [reject for known, reject in rejects if known == owner]


class _Directory:
    """Finds the pseudonym of whom a source names, making a guest of whoever is new."""

    def __init__(self, parties: Parties) -> None:
        self._parties = parties
        self._accounts: dict[str, bool] = {}
        self._known: dict[tuple[str, PersonRef], str] = {}

    def has_account(self, account: str) -> bool:
        if account not in self._accounts:
            self._accounts[account] = self._parties.has_account(account)
        return self._accounts[account]

    def pseudonyms(self, account: str, people: Sequence[PersonRef]) -> tuple[str, ...]:
        """Return the pseudonyms of a record's people in their order, nobody twice."""
        return tuple(dict.fromkeys(self._pseudonym(account, person) for person in people)) or (_UNKNOWN,)

    def _pseudonym(self, account: str, person: PersonRef) -> str:
        if person.pseudonym is not None:
            return person.pseudonym
        key = (account, person)
        if key not in self._known:
            self._known[key] = self._find(account, person)
        return self._known[key]

    def _find(self, account: str, person: PersonRef) -> str:
        """Look by identifier and address; by name only where the source gives nothing surer, since names repeat.

        Whoever was erased, or shares every handle with somebody else, cannot be asked: the gate refuses.
        """
        sure = [handle.strip() for handle in (person.id, person.email) if handle and handle.strip()]
        name = (person.name or "").strip()
        handles = sure or [name] * bool(name)
        if not handles:
            return _UNKNOWN
        for handle in handles:
            found = self._parties.find_person(account, handle)
            if found is not None:
                return found.pseudonym
        if any(self._parties.is_shared(account, handle) or self._parties.is_erased(account, handle) for handle in sure):
            return _UNKNOWN
        identity = f"{account}:{handles[0]}"
        try:
            if not sure:
                return self._parties.guest(account, name).pseudonym
            return self._parties.add_person(
                identity,
                account=account,
                name=name or None,
                aliases=[handle for handle in sure if handle != person.email],
                emails=[handle for handle in sure if handle == person.email],
            ).pseudonym
        except ConflictError:  # erased; or another process was quicker
            found = self._parties.find_person(account, identity) if sure else None
            return found.pseudonym if found else _UNKNOWN
