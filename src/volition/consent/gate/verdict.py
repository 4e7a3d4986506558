"""The question about one record, and the gate's answer, with what would change a refusal, in words.

A verdict says why, on which party it depends and which entries of the ledger it rests on: anyone who reads those can
follow it. Every reason of `permits` has its words here.
"""

from dataclasses import dataclass
from typing import Any

from volition.canonical import us_to_text
from volition.consent.history import BEGINNING_US
from volition.consent.permits import NO_PERMIT_US, Reason
from volition.consent.references import ConversationRef, PartyRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the gate must know about a record: whose it is, whom it concerns, its category, and when it was collected.

    Attributes:
        account: Id of the account.
        people: Parties ("person:PSEUDONYM"), the speaker or actor first, none twice.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
        conversation: The meeting, channel or file that it belongs to; empty if none, None where that is not known.
    """

    account: str
    people: tuple[PartyRef, ...]
    category: str
    collected_us: int
    conversation: ConversationRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's answer for one record.

    Attributes:
        permitted: Whether the record may be used.
        reason: Why not; none when permitted.
        party: On which it depends: the refusing party, or the one whose permit is the latest.
        since_us: Since when every yes has stood unbroken; none when some party has no permit.
        evidence: Numbers of the ledger entries that it rests on, oldest first: of every party if permitted, of the
            refusing one if not. Anyone who reads them in the ledger can follow the answer.
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


def remedy(reason: Reason, party: str, *, since_us: int) -> str:  # noqa: C901, PLR0912 - one line a reason
    """Say in words what would change a refusal.

    Args:
        reason: Why it was refused.
        party: On which it depends.
        since_us: The party's permit, stated with `before-yes`; ignored with every other reason.
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
            withdrew = f"{who} withdrew a yes and can allow this anew {where}"
            return f"{withdrew}; earlier data stays out unless that yes covers it."
        case Reason.EXPIRED:
            ended = f"{who} said a yes that has ended, and can say it anew {where}"
            return f"{ended}; what was collected before stays out unless that yes covers it."
        case Reason.BEFORE_YES:
            return f"Only data from {instant_text(since_us)} on is covered. {who} can say a yes that covers the past."
        case Reason.TOO_OLD:
            return "The terms' retention for this use has run out; nothing brings the record back."
        case Reason.ERASED:
            return "This party was erased, for good."
        case Reason.UNKNOWN_PARTY:
            return "It is unknown whom this concerns, so no one could be asked. Name the people and collect again."
        case Reason.LIMITED:
            administrator = "its administrator" if is_account else "the account's administrator"
            return f"The account limits this use; {administrator} can lift this limit {where}."
        case Reason.EXCLUDED:
            left_out = f"{who} left this conversation out and can take it back in on its page"
            return f"{left_out}. If the question names no conversation, it could be that one: name it."
        case Reason.STALE:
            return "This process does not know the newest decisions; ask again once it does."


def instant_text(at_us: int) -> str:
    """Write an instant for people: RFC 3339, or "the beginning" where a stretch has none."""
    return "the beginning" if at_us <= BEGINNING_US else us_to_text(at_us)
