"""The gate: the one place that answers "may this be used?". It reads permits and nothing else.

Three questions, one answer (tests hold them equal):

- `decide` judges one record: permitted, or refused with a reason, the party it hangs on, and what would change it.
- `explain` judges one record aloud: every party, the rule that judges it, its permit or refusal.
- `permitted_sql` and `reasons_sql` judge a table, in plain SQL that every engine runs.

A record is permitted iff every party concerned (the account, and each of its people in their role) has a permit, and
it was collected no earlier than the latest of them, and no earlier than retention allows. Of several refusals the
first is told, the account's before the people's, in the order in which the record names them.

On a table the gate is one look-up and one comparison a row. The account and the people of a record are interned as a
*circle*, a small dense integer, when it is collected; a purpose's permits become a table of *standings*, one row a
circle, in which every party's permit is already folded into one date.

The gate fails closed: a circle without a standing, an unknown person, a missing rule are refusals.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from volition.canonical import us_to_text
from volition.errors import InvalidInputError
from volition.history import BEGINNING_US, History
from volition.ledger import Entry
from volition.permits import (
    NO_PERMIT_US,
    REASON_CODES,
    Panel,
    Permit,
    Permits,
    Reason,
    Refusal,
    Role,
    Say,
    Use,
    ground,
    permit,
)
from volition.terms import CATEGORIES, Rule

_HEXADECIMAL: Final = re.compile("[0-9a-f]+")

_BEFORE_YES: Final = REASON_CODES[Reason.BEFORE_YES]
_TOO_OLD: Final = REASON_CODES[Reason.TOO_OLD]
_AT_A_TIME: Final = 1 << 16

_REASONS: Final = {code: reason for reason, code in REASON_CODES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the gate must know of a record: whose it is, whom it concerns, what kind, and when it was collected.

    Attributes:
        account: Id of the account.
        people: Parties ("person:PSEUDONYM"), the speaker or actor first, nobody twice.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
    """

    account: str
    people: tuple[str, ...]
    category: str
    collected_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's answer for one record.

    Attributes:
        permitted: Whether the record may be used.
        reason: Why not; none when permitted.
        party: On whom it hangs: the refusing party, or the one whose permit is the latest.
        since_us: Since when every yes has stood unbroken; none when some party has no permit.
        evidence: Numbers of the ledger entries that it rests on, oldest first: of every party if permitted, of the
            refusing one if not. Whoever reads them in the ledger can follow the answer.
    """

    permitted: bool
    reason: Reason | None
    party: str
    since_us: int | None
    evidence: tuple[int, ...] = ()

    @property
    def remedy(self) -> str:
        """What would change the answer, in words; empty when permitted."""
        if self.reason is None:
            return ""
        return remedy(self.reason, self.party, since_us=NO_PERMIT_US if self.since_us is None else self.since_us)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON object with instants as text."""
        return {
            "permitted": self.permitted,
            "reason": self.reason and self.reason.value,
            "party": self.party,
            "since": None if self.since_us is None else instant_text(self.since_us),
            "remedy": self.remedy,
            "evidence": list(self.evidence),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The permits of a circle for one category, folded: a record passes if collected at or after both dates.

    Attributes:
        since_us: The latest permit among the parties; `NO_PERMIT_US` if one of them has none.
        oldest_us: Before this instant retention has run out.
        reason: The first refusal among the parties; none if all have permits.
        party: Who refuses, or whose permit is the latest.
    """

    since_us: int
    oldest_us: int
    reason: Reason | None
    party: str


def concerned(account: str, people: Sequence[str]) -> Iterator[tuple[Role, str]]:
    """Yield every party of a record with its role, in the order in which refusals are told."""
    yield Role.ACCOUNT, f"account:{account}"
    for number, person in enumerate(people):
        yield (Role.OTHER if number else Role.FIRST), person


def stand(permits: Permits, account: str, people: Sequence[str], category: str) -> Standing:
    """Fold the permits of an account and its people for one category into one standing."""
    since_us = oldest_us = BEGINNING_US
    latest = f"account:{account}"
    if not people:  # nobody could be asked, so nobody has said yes
        return Standing(since_us=NO_PERMIT_US, oldest_us=oldest_us, reason=Reason.UNKNOWN_PARTY, party=latest)
    for role, party in concerned(account, people):
        answer = permits.of(account, party, role, category)
        if isinstance(answer, Refusal):
            return Standing(since_us=NO_PERMIT_US, oldest_us=oldest_us, reason=answer.reason, party=party)
        if answer.since_us > since_us:
            since_us, latest = answer.since_us, party
        if answer.max_age_us is not None:
            oldest_us = max(oldest_us, permits.at_us - answer.max_age_us)
    return Standing(since_us=since_us, oldest_us=oldest_us, reason=None, party=latest)


@dataclass(slots=True)
class _Known:
    """What is known of a circle and a category: every answer that it can get, made once. Equal ones are kept once."""

    epoch: int
    since_us: int
    max_age_us: int | None
    permitted: Verdict
    early: Verdict  # collected before the latest permit; the only one if somebody refuses
    old: Verdict | None  # where retention has a limit


@dataclass(slots=True)
class _Account:
    """What is known of an account: how often its own answers have changed, and its circles' answers by category."""

    epoch: int
    circles: dict[tuple[str, ...], tuple[_Known | None, ...]]


_PLACES: Final = {category: place for place, category in enumerate(CATEGORIES)}
_NOTHING: Final[tuple[_Known | None, ...]] = (None,) * len(CATEGORIES)


class Gate:
    """The gate for one purpose, with the answers it gave before kept in memory: a look-up and a comparison each.

    A decision makes it forget the answers it concerns, and nothing else: for an account that is one number, whoever
    many people it has.

    Where many people are known, waiting for memory is most of an answer's time, so it lies close together: one list a
    circle, in which categories with the same answers share them.
    """

    def __init__(self, permits: Permits) -> None:
        """Open the gate. `permits` are moved on by nobody else."""
        self._permits = permits
        self._accounts: dict[str, _Account] = {}
        self._with: dict[str, list[tuple[_Account, tuple[str, ...]]]] = {}  # the circles that a person is in
        self._good_until_us = self._next_binding_us()

    def learn(self, entries: Iterable[Entry], *, at_us: int) -> None:
        """Move on to a later instant, past the entries by which the permits' history has grown since."""
        changed = self._permits.learn(entries, at_us=at_us)
        self._good_until_us = self._next_binding_us()
        if changed is None:
            self._accounts.clear()
            self._with.clear()
            return
        for party in changed:
            kind, _, name = party.partition(":")
            if kind == "account" and name in self._accounts:
                self._accounts[name].epoch += 1
            for own, people in self._with.get(party, ()):
                own.circles[people] = _NOTHING

    def decide(self, record: Record, *, at_us: int | None = None) -> Verdict:
        """Judge one record for the permits' purpose; see `may`."""
        return self.may(record.account, record.people, record.category, record.collected_us, at_us=at_us)

    def may(
        self, account: str, people: tuple[str, ...], category: str, collected_us: int, *, at_us: int | None = None
    ) -> Verdict:
        """Judge what is collected at an instant, and used at `at_us`: by default the permits' instant.

        Args:
            account: Id of the account.
            people: Parties ("person:PSEUDONYM"), the speaker or actor first, nobody twice.
            category: A leaf of `terms.CATEGORIES`.
            collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
            at_us: Instant of the use, not before the permits' own, of which the ledger says nothing yet.

        Raises:
            InvalidInputError: The record was collected after the instant that is asked about.
        """
        if at_us is None:
            at_us = self._permits.at_us
        elif at_us >= self._good_until_us:
            self.learn((), at_us=at_us)
        if collected_us > at_us:
            msg = (
                f"The record was collected at {us_to_text(collected_us)}, after {us_to_text(at_us)}, the instant asked "
                "about. Ask about a later instant."
            )
            raise InvalidInputError(msg)
        try:
            own = self._accounts[account]
            known = own.circles[people][_PLACES[category]]
        except KeyError:
            known = self._look_up(account, people, category)
        else:
            if known is None or known.epoch != own.epoch:
                known = self._look_up(account, people, category)
        if collected_us < known.since_us:
            return known.early
        if known.max_age_us is not None and collected_us < at_us - known.max_age_us:
            return known.old or known.early
        return known.permitted

    def _next_binding_us(self) -> int:
        binding_us = self._permits.history.next_binding_us(after_us=self._permits.at_us)
        return NO_PERMIT_US if binding_us is None else binding_us

    def _look_up(self, account: str, people: tuple[str, ...], category: str) -> _Known:
        """Find out what there is to know, and remember it."""
        own = self._accounts.get(account)
        if own is None:
            own = self._accounts[account] = _Account(0, {})
        known = self._ask(own.epoch, account, people, category)
        circle = own.circles.get(people)
        if circle is None:
            circle = own.circles[people] = _NOTHING
            for person in people:
                self._with.setdefault(person, []).append((own, people))
        if category in _PLACES:
            known = next((other for other in circle if other == known), None) or known
            place = _PLACES[category]
            own.circles[people] = (*circle[:place], known, *circle[place + 1 :])
        return known

    def _ask(self, epoch: int, account: str, people: tuple[str, ...], category: str) -> _Known:
        permits = self._permits
        standing = stand(permits, account, people, category)
        rests_on = {
            party: permits.evidence(account, party, role, category) for role, party in concerned(account, people)
        }
        since_us = standing.since_us if standing.reason is None else None

        def refusal(reason: Reason) -> Verdict:
            evidence = rests_on[standing.party]
            return Verdict(permitted=False, reason=reason, party=standing.party, since_us=since_us, evidence=evidence)

        early = refusal(standing.reason or Reason.BEFORE_YES)
        permitted, old, max_age_us = early, None, None
        if standing.reason is None:
            evidence = tuple(sorted({seq for seqs in rests_on.values() for seq in seqs}))
            permitted = Verdict(permitted=True, reason=None, party=standing.party, since_us=since_us, evidence=evidence)
            if standing.oldest_us != BEGINNING_US:
                old, max_age_us = refusal(Reason.TOO_OLD), permits.at_us - standing.oldest_us
        return _Known(epoch, standing.since_us, max_age_us, permitted, early, old)


def decide(permits: Permits, record: Record) -> Verdict:
    """Judge one record for the permits' purpose at the permits' instant. For more than one, open a `Gate`.

    Raises:
        InvalidInputError: The record was collected after the instant that is asked about.
    """
    return Gate(permits).decide(record)


def keepable(purposes: Iterable[Permits], record: Record) -> Reason | None:
    """Say whether a record may be kept at all: some purpose permits it, or waits for nothing but an answer.

    Collection is gated too: what the terms forbid for every purpose, or what somebody concerned has refused for all
    of them, is not kept.

    Args:
        purposes: The permits of every purpose at the same instant.
        record: The record on its way in.

    Returns:
        None if it may be kept; otherwise why not.
    """
    objections: list[Reason] = []
    for permits in purposes:
        answers = [
            permits.of(record.account, party, role, record.category)
            for role, party in concerned(record.account, record.people)
        ]
        closed = [
            answer.reason for answer in answers if isinstance(answer, Refusal) and answer.reason is not Reason.NOT_ASKED
        ]
        if not closed:
            return None
        objections.append(closed[0])
    telling = [reason for reason in objections if reason is not Reason.NEVER]
    return telling[0] if telling else Reason.NEVER


# --- explaining ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One party's part in a verdict.

    Attributes:
        party: "account:ID" or "person:PSEUDONYM".
        role: In what role the record concerns it.
        terms_id: The terms that bind; none if there are none.
        rule: The rule that wins for this party's region; none if no rule speaks of the use.
        say: What say that rule gives the party.
        answer: Its permit or refusal.
        reason: Why this party keeps the record out; none if it does not.
        remedy: What would change this party's answer, in words; empty if nothing need change.
    """

    party: str
    role: Role
    terms_id: str | None
    rule: Rule | None
    say: Say
    answer: Permit | Refusal
    reason: Reason | None
    remedy: str

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as a JSON object with instants as text."""
        rule = None
        if self.rule is not None:
            rule = {
                "data": list(self.rule.data),
                "purpose": list(self.rule.purpose),
                "region": list(self.rule.region),
                "basis": self.rule.basis.value,
            }
        return {
            "party": self.party,
            "role": self.role.value,
            "terms": self.terms_id,
            "rule": rule,
            "say": self.say.value,
            "since": instant_text(self.answer.since_us) if isinstance(self.answer, Permit) else None,
            "reason": self.reason and self.reason.value,
            "remedy": self.remedy,
        }


def explain(history: History, record: Record, *, purpose: str, at_us: int) -> list[Explanation]:
    """Judge one record aloud, party by party, by the reference in `permits`. Refused iff any line has a reason."""
    lines = []
    for role, party in concerned(record.account, record.people):
        use = Use(account=record.account, party=party, role=role, category=record.category, purpose=purpose)
        here = ground(history, use, at_us, asked_us=at_us)
        answer = permit(history, use, at_us)
        reason = _objection(answer, record, at_us)
        since_us = answer.since_us if isinstance(answer, Permit) else NO_PERMIT_US
        lines.append(
            Explanation(
                party=party,
                role=role,
                terms_id=None if here.terms is None else here.terms.id,
                rule=here.rule,
                say=here.say,
                answer=answer,
                reason=reason,
                remedy="" if reason is None else remedy(reason, party, since_us=since_us),
            )
        )
    return lines


def _objection(answer: Permit | Refusal, record: Record, at_us: int) -> Reason | None:
    if isinstance(answer, Refusal):
        return answer.reason
    if record.collected_us < answer.since_us:
        return Reason.BEFORE_YES
    if answer.max_age_us is not None and record.collected_us < at_us - answer.max_age_us:
        return Reason.TOO_OLD
    return None


def remedy(reason: Reason, party: str, *, since_us: int) -> str:  # noqa: C901 - one line a reason
    """Say in words what would change a refusal.

    Args:
        reason: Why it was refused.
        party: On whom it hangs.
        since_us: The party's permit, told with `before-yes`; ignored with every other reason.
    """
    is_account = party.startswith("account:")
    who = "The account's administrator" if is_account else "This person"
    where = "under AI settings"
    match reason:
        case Reason.NEVER:
            return "The terms never allow this use; only a new version of the terms could."
        case Reason.NO_TERMS:
            return "The account has accepted no terms. Its administrator can accept them."
        case Reason.NOT_ASKED:
            return f"{who} has not been asked yet and can allow this {where}."
        case Reason.SAID_NO:
            return f"{who} said no and can allow this {where}."
        case Reason.WITHDRAWN:
            told = f"{who} withdrew a yes and can allow this anew {where}"
            return f"{told}; earlier data stays out unless that yes covers it."
        case Reason.BEFORE_YES:
            return f"Only data from {instant_text(since_us)} on is covered. {who} can say a yes that covers the past."
        case Reason.TOO_OLD:
            return "The terms' retention for this use has run out; nothing brings the record back."
        case Reason.ERASED:
            return "This party was erased, for good."
        case Reason.UNKNOWN_PARTY:
            return "Nobody can say who this concerns, so nobody could be asked. Name the people and collect again."
        case Reason.LIMITED:
            told = "its administrator" if is_account else "the account's administrator"
            return f"The account limits this use; {told} can lift this limit {where}."
        case Reason.STALE:
            return "This process does not know the newest decisions; ask again once it does."


def instant_text(at_us: int) -> str:
    """Write an instant for people: RFC 3339, or "the beginning" where a stretch has none."""
    return "the beginning" if at_us <= BEGINNING_US else us_to_text(at_us)


# --- a table at a time ---------------------------------------------------------------------------------------------


class Engine(Protocol):
    """Judges record files: runs the gate's SQL, `records` bound to the files and `standings` to the table, or an equal.

    Tests hold all engines equal, row by row and reason by reason.
    """

    def permitted(
        self, files: Sequence[str], standings: "Standings", *, derived: Sequence[str] = (), source: str | None = None
    ) -> Iterator[Any]:
        """Yield the permitted records of one bucket as Arrow record batches; `derived` files add an embedding."""
        ...

    def reasons(
        self, files: Sequence[str], standings: "Standings", *, source: str | None = None
    ) -> dict[Reason | None, int]:
        """Count the records of one bucket by reason; none stands for permitted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Circles:
    """The circles of one account bucket; a circle's dense id is its position.

    Attributes:
        accounts: Ids of the accounts, by the account's dense number in the bucket.
        people: Parties ("person:PSEUDONYM"), by the person's dense number in the bucket.
        account: Account number of each circle, shape (circles,).
        offsets: Where each circle's members start in `members`, and where the last one's end, shape (circles + 1,).
        members: Person numbers, the first person first, shape (members,).
    """

    accounts: Sequence[str]
    people: Sequence[str]
    account: NDArray[np.int32]
    offsets: NDArray[np.int64]
    members: NDArray[np.int32]

    def __len__(self) -> int:
        """Return how many circles there are."""
        return len(self.account)

    def account_of(self, circle: int) -> str:
        """Return the id of a circle's account."""
        return self.accounts[int(self.account[circle])]

    def people_of(self, circle: int) -> tuple[str, ...]:
        """Return a circle's people as parties, the first person first."""
        return tuple(
            self.people[person] for person in self.members[self.offsets[circle] : self.offsets[circle + 1]].tolist()
        )

    def take(self, chosen: NDArray[np.int64]) -> "Circles":
        """Return some of the circles, by their ids; they get new ids, the position in `chosen`."""
        sizes = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        places = np.repeat(self.offsets[:-1][chosen] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return Circles(
            accounts=self.accounts,
            people=self.people,
            account=self.account[chosen],
            offsets=offsets,
            members=self.members[places],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The standings of one bucket's circles for one category, by dense id: the position is the id.

    Attributes:
        at_us: Instant asked about; records collected later are not part of the answer.
        since_us: Latest permit of each circle, `NO_PERMIT_US` for none.
        oldest_us: Retention limit of each circle.
        reason: Codes of `REASON_CODES`, 0 for permitted.
        account: Account number of each circle, by which an engine may see what it need not read; none if not known.
    """

    at_us: int
    since_us: NDArray[np.int64]
    oldest_us: NDArray[np.int64]
    reason: NDArray[np.int8]
    account: NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A person who asks what is held of them: to see one's own records takes nobody's yes (GDPR Article 15).

    Attributes:
        pseudonym: Whose records are asked for, by the person themself or by whoever answers for them.
        at_us: Instant of asking, microseconds since the Unix epoch, UTC; what was collected later is left out.
    """

    pseudonym: str
    at_us: int


def own(subject: Subject, circles: Circles) -> Standings:
    """Return standings that let through what the subject said, wrote or did, and nothing of anybody else's."""
    party = f"person:{subject.pseudonym}"
    there = np.diff(circles.offsets) > 0
    first = np.zeros(len(circles), np.int64)
    first[there] = circles.members[circles.offsets[:-1][there]]
    is_subject = np.array([person == party for person in circles.people], bool)
    mine = there & (is_subject[first] if len(is_subject) else False)
    return _alone(mine, circles, subject.at_us)


def fold(permits: Permits, circles: Circles, category: str) -> Standings:
    """Fold each circle's permits for a category into its standing: of its parties the latest permit, the first refusal.

    Members repeat over the circles of a meeting, one circle for each who speaks: each is asked once.
    """
    everybody = np.arange(len(circles.accounts), dtype=np.int32)
    named = [f"account:{account}" for account in circles.accounts]
    of_account = Panel(permits, circles.accounts, everybody, named).of(Role.ACCOUNT, category)
    since_us = of_account.since_us[circles.account]
    oldest_us = of_account.oldest_us[circles.account]
    reason = of_account.reason[circles.account]

    sizes = np.diff(circles.offsets)
    circle = np.repeat(np.arange(len(circles)), sizes)  # of each member
    first = np.zeros(len(circles.members), np.bool_)
    first[circles.offsets[:-1][sizes > 0]] = True
    refusals = np.zeros(len(circles.members), np.int8)
    for role, chosen in ((Role.FIRST, np.flatnonzero(first)), (Role.OTHER, np.flatnonzero(~first))):
        owner = circles.account[circle[chosen]].astype(np.int64)
        pairs, place = np.unique(owner * len(circles.people) + circles.members[chosen], return_inverse=True)
        account, person = np.divmod(pairs, max(len(circles.people), 1))
        asked = Panel(permits, circles.accounts, account, [circles.people[number] for number in person.tolist()])
        answers = asked.of(role, category)
        np.maximum.at(since_us, circle[chosen], answers.since_us[place])
        np.maximum.at(oldest_us, circle[chosen], answers.oldest_us[place])
        refusals[chosen] = answers.reason[place]

    told = np.flatnonzero(refusals)[::-1]  # backwards, so that the first one in each circle stays
    by_people = np.zeros(len(circles), np.int8)
    by_people[circle[told]] = refusals[told]
    reason = np.where(reason > 0, reason, by_people)
    reason[sizes == 0] = REASON_CODES[Reason.UNKNOWN_PARTY]  # nobody could be asked, so nobody has said yes
    since_us[reason > 0] = NO_PERMIT_US
    return Standings(
        at_us=permits.at_us, since_us=since_us, oldest_us=oldest_us, reason=reason, account=circles.account
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A person who reads again what was said while they were there, or written to them.

    To read one's own conversation is the service itself and no use by AI, so it takes nobody's yes; nothing that learns
    or answers may come by this door.

    Attributes:
        pseudonym: Who reads.
        account: Whose records; nothing of another is read.
        at_us: Instant of asking, microseconds since the Unix epoch, UTC; what was collected later is left out.
    """

    pseudonym: str
    account: str
    at_us: int


def heard(participant: Participant, circles: Circles) -> Standings:
    """Return standings that let through what concerns the participant in their account, and nothing else."""
    numbers = [number for number, name in enumerate(circles.people) if name == f"person:{participant.pseudonym}"]
    accounts = [number for number, name in enumerate(circles.accounts) if name == participant.account]
    places = np.flatnonzero(np.isin(circles.members, numbers))
    there = np.zeros(len(circles), bool)
    there[np.searchsorted(circles.offsets, places, side="right") - 1] = True
    there &= np.isin(circles.account, accounts)
    return _alone(there, circles, participant.at_us)


def _alone(chosen: NDArray[np.bool_], circles: Circles, at_us: int) -> Standings:
    """Return standings that let the chosen circles through, and no other."""
    return Standings(
        at_us=at_us,
        since_us=np.where(chosen, BEGINNING_US, NO_PERMIT_US),
        oldest_us=np.full(len(circles), BEGINNING_US, np.int64),
        reason=np.where(chosen, 0, REASON_CODES[Reason.UNKNOWN_PARTY]).astype(np.int8),
        account=circles.account,
    )


def judge(standings: Standings, circle: NDArray[np.integer], collected_us: NDArray[np.int64]) -> NDArray[np.int8]:
    """Judge many records of one bucket and category at once, as the SQL does; a look-up and a comparison each.

    Args:
        standings: The bucket's, for the category.
        circle: Dense id of each record's circle, (n,).
        collected_us: Instant of each record's collection, int64, (n,).

    Returns:
        Codes of `REASON_CODES`, int8, (n,); 0 where the record is permitted.

    Raises:
        InvalidInputError: A record was collected after the instant that is asked about.
    """
    if len(collected_us) and int(collected_us.max()) > standings.at_us:
        msg = f"A record was collected after {us_to_text(standings.at_us)}, the instant asked about. Ask about a later."
        raise InvalidInputError(msg)
    earliest_us = np.maximum(standings.since_us, standings.oldest_us)
    codes = np.zeros(len(circle), np.int8)
    stranger = len(earliest_us)
    for start in range(0, len(circle), _AT_A_TIME):  # what fits into a processor's cache is judged fastest
        asked, when = circle[start : start + _AT_A_TIME], collected_us[start : start + _AT_A_TIME]
        known = asked if _all_below(asked, stranger) else np.where((asked >= 0) & (asked < stranger), asked, -1)
        if known is not asked:
            codes[start : start + _AT_A_TIME][known < 0] = REASON_CODES[Reason.UNKNOWN_PARTY]
            places = np.flatnonzero(known >= 0)
            places = places[when[places] < earliest_us[known[places]]]
        else:
            places = np.flatnonzero(when < earliest_us[asked])
        if len(places):
            of, refused = asked[places], standings.reason[asked[places]]
            too_old = np.where(when[places] < standings.since_us[of], _BEFORE_YES, _TOO_OLD)
            codes[start + places] = np.where(refused > 0, refused, too_old)
    return codes


def _all_below(circle: NDArray[np.integer], end: int) -> bool:
    return len(circle) == 0 or bool(circle.min() >= 0 and circle.max() < end)


def permitted_sql(at_us: int, *, source: str | None = None) -> str:
    """Return the SQL that keeps the permitted rows of `records`, given `standings`. Plain SQL: any engine runs it.

    Args:
        at_us: Instant asked about; records collected later are left out.
        source: Only the records of this meeting or channel (hexadecimal); none for all.
    """
    return f"""
        SELECT records.*
        FROM records JOIN standings ON records.circle = standings.circle
        WHERE records.collected_us >= standings.since_us
          AND records.collected_us >= standings.oldest_us
          AND records.collected_us <= {int(at_us)}{_of_source(source)}
    """  # noqa: S608 - nothing but an integer and a checked hexadecimal text enters


def reasons_sql(at_us: int, *, source: str | None = None) -> str:
    """Return the SQL that counts the rows of `records` by reason code, 0 for permitted, in `reason` and `total`."""
    return f"""
        SELECT CASE WHEN standings.circle IS NULL THEN {REASON_CODES[Reason.UNKNOWN_PARTY]}
                    WHEN standings.reason <> 0 THEN standings.reason
                    WHEN records.collected_us < standings.since_us THEN {REASON_CODES[Reason.BEFORE_YES]}
                    WHEN records.collected_us < standings.oldest_us THEN {REASON_CODES[Reason.TOO_OLD]}
                    ELSE 0 END AS reason,
               COUNT(*) AS total
        FROM records LEFT JOIN standings ON records.circle = standings.circle
        WHERE records.collected_us <= {int(at_us)}{_of_source(source)}
        GROUP BY 1
    """  # noqa: S608 - nothing but integers and a checked hexadecimal text enters


def _of_source(source: str | None) -> str:
    return "" if source is None else f" AND records.source = '{check_source(source)}'"


def check_source(source: str) -> str:
    """Return the identity of a meeting or channel as it came, hexadecimal.

    Raises:
        InvalidInputError: It is none.
    """
    if not _HEXADECIMAL.fullmatch(source):
        msg = f"{source!r} is no identity of a meeting or channel; `lake.source_id` makes one."
        raise InvalidInputError(msg)
    return source


def reason_of(code: int) -> Reason | None:
    """Return the reason that a code stands for; none for 0."""
    return _REASONS[code] if code else None
