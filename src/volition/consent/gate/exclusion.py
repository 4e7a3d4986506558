"""Whether a conversation was left out of a use: the one thing that the gate asks about a record's conversation.

It is no part of a permit. A permit says since when a yes has held; a conversation is left out or it is not, whenever it
took place, and what is taken back in is there as before. So it is asked last, of what everyone concerned permits.

- What the account left out is refused, whoever is concerned.
- What a person left out is refused as far as it concerns them, as a no of theirs would be.
- Where it is not known to which conversation something belongs, and the account or anybody concerned has left one out,
  it could be that one: refused. Only content belongs to conversations.
"""

from volition.consent.gate.verdict import Record
from volition.consent.history import Exclusion, History
from volition.consent.references import account_ref


def exclusion_of(history: History, record: Record, *, purpose: str, at_us: int) -> Exclusion | None:
    """Return what keeps a record out of a use as one of a conversation that was left out; none if nothing does.

    Of several the account's is returned, else that of the person whom the record names first.

    Args:
        history: What was said.
        record: The record; when it was collected does not matter.
        purpose: The use, a leaf of `terms.PURPOSES`.
        at_us: Instant of the use.
    """
    exclusions = history.exclusions
    could_be = exclusions.could_be(record.account, record.category, record.conversation)
    if not could_be:
        return None
    for party in (account_ref(record.account), *record.people):
        for one in could_be:
            found = exclusions.standing(record.account, one, party, at_us=at_us).get(purpose)
            if found is not None:
                return found
    return None
