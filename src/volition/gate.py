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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from volition.canonical import us_to_text
from volition.errors import InvalidInputError
from volition.permits import BEGINNING_US, History, Permit, Permits, Reason, Refusal, Role, Say, Use, ground, permit
from volition.terms import Rule

NO_PERMIT_US: Final = 2**62
"""As `since_us` of a standing: later than every record, so nothing passes."""

REASON_CODES: Final[Mapping[Reason, int]] = {reason: code for code, reason in enumerate(Reason, start=1)}
"""The reasons as small integers for tables; 0 means permitted."""

_HEXADECIMAL: Final = re.compile("[0-9a-f]+")

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
        remedy: What would change the answer, in words; empty when permitted.
    """

    permitted: bool
    reason: Reason | None
    party: str
    since_us: int | None
    remedy: str

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON object with instants as text."""
        return {
            "permitted": self.permitted,
            "reason": self.reason and self.reason.value,
            "party": self.party,
            "since": None if self.since_us is None else instant_text(self.since_us),
            "remedy": self.remedy,
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


def decide(permits: Permits, record: Record) -> Verdict:
    """Judge one record for the permits' purpose at the permits' instant.

    Raises:
        InvalidInputError: The record was collected after the instant that is asked about.
    """
    if record.collected_us > permits.at_us:
        msg = (
            f"The record was collected at {us_to_text(record.collected_us)}, after {us_to_text(permits.at_us)}, the "
            "instant asked about. Ask about a later instant."
        )
        raise InvalidInputError(msg)
    standing = stand(permits, record.account, record.people, record.category)
    reason = standing.reason
    if reason is None and record.collected_us < standing.since_us:
        reason = Reason.BEFORE_YES
    if reason is None and record.collected_us < standing.oldest_us:
        reason = Reason.TOO_OLD
    return Verdict(
        permitted=reason is None,
        reason=reason,
        party=standing.party,
        since_us=standing.since_us if standing.reason is None else None,
        remedy="" if reason is None else remedy(reason, standing.party, since_us=standing.since_us),
    )


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
        case Reason.STALE:
            return "This process does not know the newest decisions; ask again once it does."


def instant_text(at_us: int) -> str:
    """Write an instant for people: RFC 3339, or "the beginning" where a stretch has none."""
    return "the beginning" if at_us <= BEGINNING_US else us_to_text(at_us)


# --- a table at a time ---------------------------------------------------------------------------------------------


class Engine(Protocol):
    """Runs the gate's SQL over record files. Each engine binds `records` to the files and `standings` to the table."""

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
class Standings:
    """The standings of one bucket's circles for one category, as columns of equal length, and the instant asked.

    Attributes:
        at_us: Instant asked about; records collected later are not part of the answer.
        circle: The circles' dense ids.
        since_us: Latest permit of each circle, `NO_PERMIT_US` for none.
        oldest_us: Retention limit of each circle.
        reason: Codes of `REASON_CODES`, 0 for permitted.
    """

    at_us: int
    circle: list[int]
    since_us: list[int]
    oldest_us: list[int]
    reason: list[int]


def fold(permits: Permits, circles: Iterable[tuple[int, str, Sequence[str]]], category: str) -> Standings:
    """Fold circles (dense id, account, people as parties) into the standings that an engine joins."""
    columns = Standings(at_us=permits.at_us, circle=[], since_us=[], oldest_us=[], reason=[])
    for circle, account, people in circles:
        standing = stand(permits, account, people, category)
        columns.circle.append(circle)
        columns.since_us.append(standing.since_us)
        columns.oldest_us.append(standing.oldest_us)
        columns.reason.append(0 if standing.reason is None else REASON_CODES[standing.reason])
    return columns


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
    if source is None:
        return ""
    if not _HEXADECIMAL.fullmatch(source):
        msg = f"{source!r} is no identity of a meeting or channel; `lake.source_id` makes one."
        raise InvalidInputError(msg)
    return f" AND records.source = '{source}'"


def reason_of(code: int) -> Reason | None:
    """Return the reason that a code stands for; none for 0."""
    return _REASONS[code] if code else None
