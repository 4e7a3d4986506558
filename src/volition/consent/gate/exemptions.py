"""The two exemptions from consent: a person reads their own records, and what was said while they were there.

No one's yes is asked for: the first is the right of access (GDPR Article 15, a data subject access request), the second
the service itself. Each gives effective permits that let through just that. Both are for that person's own eyes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volition.consent.gate.party_sets import EffectivePermits, PartySets
from volition.consent.history import BEGINNING_US
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A person who asks what is held about them: to see one's own records takes no one's yes (GDPR Article 15).

    Attributes:
        pseudonym: Whose records are asked for, by the person or by someone who acts for them.
        at_us: Instant of asking, microseconds since the Unix epoch, UTC; what was collected later is left out.
        merged: Pseudonyms of other identities of theirs.
    """

    pseudonym: str
    at_us: int
    merged: tuple[str, ...] = ()

    @property
    def parties(self) -> frozenset[str]:
        """The person as records have them: one name for each identity."""
        return frozenset(f"person:{one}" for one in (self.pseudonym, *self.merged))


def own(subject: Subject, party_sets: PartySets) -> EffectivePermits:
    """Return effective permits that let through what the subject said, wrote or did, and nothing of anyone else's."""
    there = np.diff(party_sets.offsets) > 0
    first = np.zeros(len(party_sets), np.int64)
    first[there] = party_sets.members[party_sets.offsets[:-1][there]]
    is_subject = np.array([person in subject.parties for person in party_sets.people], bool)
    mine = there & (is_subject[first] if len(is_subject) else False)
    return _alone(mine, party_sets, subject.at_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A person who reads again what was said while they were there, or written to them.

    To read one's own conversation is the service itself and no use by AI, so it takes no one's yes; nothing that learns
    or answers may use this exemption.

    Attributes:
        pseudonym: Who reads.
        account: Whose records; nothing of another is read.
        at_us: Instant of asking, microseconds since the Unix epoch, UTC; what was collected later is left out.
        merged: Pseudonyms of other identities of theirs.
    """

    pseudonym: str
    account: str
    at_us: int
    merged: tuple[str, ...] = ()

    @property
    def pseudonyms(self) -> tuple[str, ...]:
        """Every pseudonym of theirs."""
        return (self.pseudonym, *self.merged)


def heard(participant: Participant, party_sets: PartySets) -> EffectivePermits:
    """Return effective permits that let through what concerns the participant in their account, and nothing else."""
    parties = {f"person:{pseudonym}" for pseudonym in participant.pseudonyms}
    numbers = [number for number, name in enumerate(party_sets.people) if name in parties]
    accounts = [number for number, name in enumerate(party_sets.accounts) if name == participant.account]
    places = np.flatnonzero(np.isin(party_sets.members, numbers))
    there = np.zeros(len(party_sets), bool)
    there[np.searchsorted(party_sets.offsets, places, side="right") - 1] = True
    there &= np.isin(party_sets.account, accounts)
    return _alone(there, party_sets, participant.at_us)


def _alone(chosen: NDArray[np.bool_], party_sets: PartySets, at_us: int) -> EffectivePermits:
    """Return effective permits that let the chosen party sets through, and no other."""
    return EffectivePermits(
        at_us=at_us,
        since_us=np.where(chosen, BEGINNING_US, NO_PERMIT_US),
        oldest_us=np.full(len(party_sets), BEGINNING_US, np.int64),
        reason=np.where(chosen, 0, REASON_CODES[Reason.UNKNOWN_PARTY]).astype(np.int8),
        account=party_sets.account,
    )
