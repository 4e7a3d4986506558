"""The permits of everyone whom a record concerns, folded into one effective permit: the latest, or the first refusal.

`effective_permit_of` folds for one purpose: every party must have a permit, and where no one could be asked, no one has
said yes. `keepable` folds over all purposes, at collection (data minimisation).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from volition.consent.gate.exclusion import exclusion_of
from volition.consent.gate.verdict import Record
from volition.consent.history import BEGINNING_US, History
from volition.consent.permits import NO_PERMIT_US, PartyRole, Permits, Reason, Refusal, Use
from volition.consent.references import ConversationRef, PartyRef, account_ref


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePermit:
    """The permits of a party set for one category, folded: a record passes if collected at or after both dates.

    Attributes:
        since_us: The latest permit among the parties; `NO_PERMIT_US` if one of them has none.
        oldest_us: Before this instant retention has run out.
        reason: The first refusal among the parties; none if all have permits.
        party: The one who refuses, or whose permit is the latest.
    """

    since_us: int
    oldest_us: int
    reason: Reason | None
    party: PartyRef


def concerned(
    history: History, account: str, people: Sequence[PartyRef], *, at_us: int
) -> Iterator[tuple[PartyRole, PartyRef]]:
    """Yield every party of a record with its role, in the order in which refusals are reported.

    Whoever is known at `at_us` as somebody who may be the first person comes twice: as anyone else, and as that.
    """
    return with_roles(account, people, alternates=history.namesakes(people[0], at_us=at_us) if people else ())


def with_roles(
    account: str, people: Sequence[PartyRef], *, alternates: Collection[str]
) -> Iterator[tuple[PartyRole, PartyRef]]:
    """Yield what `concerned` yields, where it is known who may be the first person."""
    yield PartyRole.ACCOUNT, account_ref(account)
    for number, person in enumerate(people):
        yield (PartyRole.OTHER if number else PartyRole.FIRST), person
        if alternates and number and person in alternates:
            yield PartyRole.ALTERNATE, person


def uses(  # noqa: PLR0913 - a record, and what for
    history: History, account: str, people: Sequence[PartyRef], category: str, purpose: str, *, at_us: int
) -> Iterator[Use]:
    """Yield each party's part in the use of a record, in the order of `concerned`: what the reference is asked."""
    beside = history.located(people)
    for role, party in concerned(history, account, people, at_us=at_us):
        yield Use(account=account, party=party, role=role, category=category, purpose=purpose, beside=beside)


def effective_permit_of(
    permits: Permits,
    account: str,
    people: Sequence[PartyRef],
    category: str,
    conversation: ConversationRef | None = None,
) -> EffectivePermit:
    """Fold the permits of an account and its people for one category, and one conversation, into one effective permit.

    None as the conversation says that it is not known (`exclusion`).
    """
    since_us = oldest_us = BEGINNING_US
    latest = account_ref(account)
    if not people:  # no one could be asked, so no one has said yes
        return EffectivePermit(since_us=NO_PERMIT_US, oldest_us=oldest_us, reason=Reason.UNKNOWN_PARTY, party=latest)
    company = permits.company(account, people)
    for role, party in concerned(permits.history, account, people, at_us=permits.at_us):
        answer = permits.of(account, party, role, category, company=company)
        if isinstance(answer, Refusal):
            return EffectivePermit(since_us=NO_PERMIT_US, oldest_us=oldest_us, reason=answer.reason, party=party)
        if answer.since_us > since_us:
            since_us, latest = answer.since_us, party
        if answer.max_age_us is not None:
            oldest_us = max(oldest_us, permits.at_us - answer.max_age_us)
    record = Record(account=account, people=tuple(people), category=category, collected_us=0, conversation=conversation)
    excluded = exclusion_of(permits.history, record, purpose=permits.purpose, at_us=permits.at_us)
    if excluded is not None:
        return EffectivePermit(since_us=NO_PERMIT_US, oldest_us=oldest_us, reason=Reason.EXCLUDED, party=excluded.party)
    return EffectivePermit(since_us=since_us, oldest_us=oldest_us, reason=None, party=latest)


def keepable(purposes: Iterable[Permits], record: Record) -> Reason | None:
    """Return why a record may not be stored at all, or none: some purpose must permit it, or lack only an answer.

    Collection is gated too: what the terms forbid for every purpose, or what someone concerned has refused for all
    of them, is not stored.

    Args:
        purposes: The permits of every purpose at the same instant.
        record: The record to be collected.

    Returns:
        None if it may be stored; otherwise why not.
    """
    objections: list[Reason] = []
    for permits in purposes:
        company = permits.company(record.account, record.people)
        answers = [
            permits.of(record.account, party, role, record.category, company=company)
            for role, party in concerned(permits.history, record.account, record.people, at_us=permits.at_us)
        ]
        closed = [
            answer.reason for answer in answers if isinstance(answer, Refusal) and answer.reason is not Reason.NOT_ASKED
        ]
        if exclusion_of(permits.history, record, purpose=permits.purpose, at_us=permits.at_us) is not None:
            closed.append(Reason.EXCLUDED)
        if not closed:
            return None
        objections.append(closed[0])
    telling = [reason for reason in objections if reason is not Reason.NEVER]
    return telling[0] if telling else Reason.NEVER
