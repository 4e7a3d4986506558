"""The entries by which a conversation is left out of some uses, or taken back in: what they say, and for whom."""

from collections.abc import Collection, Iterator, Sequence

from volition.consent.history import History
from volition.consent.references import ConversationRef, PartyRef
from volition.ledger.entry import NewEntry


def excluding(
    account: str, conversation: ConversationRef, party: PartyRef, purpose: Collection[str], *, excluded: bool
) -> NewEntry:
    """Return the entry by which a party leaves a conversation out of some uses, or takes it back in."""
    body = {"account": account, "conversation": conversation, "party": party, "purpose": sorted(set(purpose))}
    return NewEntry(kind="exclusion", body={**body, "excluded": excluded})


def exclusions_among(history: History, parties: Sequence[PartyRef], *, at_us: int) -> Iterator[NewEntry]:
    """Yield the entries by which what one identity of a person has left out is left out for each.

    Args:
        history: What was left out.
        parties: The person's identities.
        at_us: As of when, microseconds since the Unix epoch, UTC.
    """
    standing = {
        party: {(account, of): set(uses) for account, of, uses in history.exclusions.by(party, at_us=at_us)}
        for party in parties
    }
    together: dict[tuple[str, ConversationRef], set[str]] = {}
    for left_out in standing.values():
        for place, uses in left_out.items():
            together.setdefault(place, set()).update(uses)
    for (account, conversation), uses in together.items():
        for party in parties:
            missing = uses - standing[party].get((account, conversation), set())
            if missing:
                yield excluding(account, conversation, party, missing, excluded=True)
