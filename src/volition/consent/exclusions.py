"""The entries by which a conversation is left out of some uses, or taken back in: what they say, and for whom."""

from collections.abc import Collection, Iterator, Sequence

from volition.consent.history import History
from volition.consent.references import ConversationRef, PartyRef
from volition.ledger.entry import NewEntry


def excluding(  # noqa: PLR0913 - what is left out, of what, by whom
    account: str,
    conversation: ConversationRef,
    party: PartyRef,
    purpose: Collection[str],
    *,
    excluded: bool,
    said_by: PartyRef | None = None,
) -> NewEntry:
    """Return the entry by which a party leaves a conversation out of some uses, or takes it back in.

    Where somebody else said it, who may be the same person, the entry names them as `namesake`.
    """
    body: dict[str, object] = {"account": account, "conversation": conversation, "party": party}
    body |= {"purpose": sorted(set(purpose)), "excluded": excluded}
    return NewEntry(kind="exclusion", body=body if said_by in {None, party} else {**body, "namesake": said_by})


def exclusions_of_namesakes(
    history: History, party: PartyRef, others: Sequence[PartyRef], *, at_us: int
) -> Iterator[NewEntry]:
    """Yield the entries by which what others have left out is left out for one who may be the same person.

    Args:
        history: What was left out.
        party: For whom.
        others: Who may be the same person.
        at_us: As of when, microseconds since the Unix epoch, UTC.
    """
    for other in others:
        for account, conversation, theirs in history.exclusions.by(other, at_us=at_us):
            standing = history.exclusions.standing(account, conversation, party, at_us=at_us, said_by=other)
            missing = theirs.keys() - standing.keys()
            if missing:
                yield excluding(account, conversation, party, missing, excluded=True, said_by=other)


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
