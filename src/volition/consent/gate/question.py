"""What somebody asks, in their words, and the record that is meant by it; or why nobody could be asked.

Every door of the gate takes a question by this: one at a time (`question_of`), or column by column (`batch`, which says
the same, by test). The first thing that is not there is told: the account, then the people, then the category, then
when it was collected.
"""

from collections.abc import Sequence

from volition.consent.gate.verdict import Record, Verdict
from volition.consent.names import Names, Unnamed
from volition.consent.permits import Reason
from volition.consent.references import PartyRef, account_ref
from volition.consent.terms.vocabulary import Vocabulary


def question_of(  # noqa: PLR0913, PLR0917 - what makes a record
    names: Names,
    vocabulary: Vocabulary,
    account: str | None,
    people: Sequence[str | None],
    category: str | None,
    collected_us: int | None,
    conversation: str | None = None,
) -> Record | Verdict:
    """Resolve whom a question names.

    Args:
        names: Who there is.
        vocabulary: Which categories there are.
        account: The account, as `consent.names` takes it.
        people: The people likewise, the speaker or actor first.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
        conversation: What the meeting, channel or file is called that it belongs to, as when it was collected; empty
            if it belongs to none, and None where that is not said.

    Returns:
        The record that is meant; or the refusal, where something named is not there, or nothing is named.
    """
    found = names.account(account)
    if isinstance(found, Unnamed):
        return refused(found.reason, found.party)
    owner = account_ref(found)
    if not people:
        return refused(Reason.UNKNOWN_PARTY, owner)
    parties: list[PartyRef] = []
    for name in people:
        party = names.person(name)
        if isinstance(party, Unnamed):
            return refused(party.reason, party.party)
        parties.append(party)
    if category is not None and category not in vocabulary.categories:
        return refused(Reason.NEVER, owner)
    if category is None or collected_us is None:
        return refused(Reason.UNKNOWN_PARTY, owner)
    return Record(
        account=found,
        people=tuple(parties),
        category=category,
        collected_us=collected_us,
        conversation=names.conversation(found, conversation),
    )


def refused(reason: Reason, party: PartyRef) -> Verdict:
    """Return a refusal that rests on no entry of the ledger."""
    return Verdict(permitted=False, reason=reason, party=party, since_us=None)
