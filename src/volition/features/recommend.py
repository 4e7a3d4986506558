"""Recommend: what a person may like to open next, from their own usage (collaborative filtering).

A colleague is suggested, or named as a reason, only if their own usage may be used for recommendations and for training
them. A colleague who said no to either, or who cannot be identified for certain, is shown to nobody. The name of a
conversation is shown to its audience alone. Of anything else a name is shown only where it cannot be private: where the
person used it themself, or where all of its kind may be named to every user of the account, as the product's own
features are (`public_items` of the settings).
"""

from collections.abc import Callable, Collection
from functools import cache
from typing import Final

from volition.consent.parties import Person
from volition.consent.permits import PartyRole, Permits, Refusal
from volition.consent.references import source_id
from volition.features.request import USAGE, FeatureRequest, check_feature, own_rows
from volition.learning.families.recommend.counts import item_of
from volition.learning.families.recommend.recommender import Suggestion, recommend
from volition.records.audience import CATEGORY, ConversationKind, participant
from volition.records.ingest import PERSON_ITEM

_CONVERSATIONS: Final = {
    "channel": ConversationKind.CHANNEL,
    "meeting": ConversationKind.MEETING,
    "document": ConversationKind.FILE,
    "file": ConversationKind.FILE,
}
"""What an item is that is a conversation, by what its name begins with."""

_RESTED_US: Final = 30 * 60 * 1_000_000
"""How long ago somebody must have used something themself to be reminded of it."""


def run_recommend(  # noqa: PLR0913 - who asks, and what is known of others
    request: FeatureRequest,
    *,
    train: Permits,
    find: Callable[[str, str], Person | None],
    public: Collection[str],
    personal: bool,
    limit: int,
) -> tuple[Suggestion, ...]:
    """Recommend what the requesting person may like to open next.

    Args:
        request: Who asks.
        train: The permits of `train/recommend`, now.
        find: Returns the person whom an account knows by an id that its sources use; none if nobody, or several.
        public: Kinds of items whose names every user of the account may know; a kind is what a name begins with.
        personal: Whether suggestions by what the person uses are known to be no worse than what most people use.
        limit: Most suggestions.

    Raises:
        RefusedError: The account's switch for this feature is off.
    """
    check_feature(request.permits, request.account, USAGE)
    own = own_rows(request, USAGE)
    used = {item_of(row) for row in own}

    @cache
    def collected(kind: ConversationKind) -> dict[str, set[tuple[str, ...]]]:
        return request.lake.people_by_source(request.account, category=CATEGORY[kind])

    def reads(kind: ConversationKind, name: str, peoples: Collection[Collection[str]]) -> bool:
        if request.audience.is_opened(kind, name, peoples):
            return True
        own = {f"person:{pseudonym}" for pseudonym in request.person.pseudonyms}
        if all(own.isdisjoint(people) for people in peoples):
            return False
        reader = participant(request.person, request.account, request.permits.at_us)
        source = source_id(request.account, name)
        rows = request.lake.heard_rows(reader, categories=[CATEGORY[kind]], source=source)
        return any(map(request.audience.admits, rows))  # it may be that a message merely mentions them

    def hidden(item: str) -> bool:
        what, slash, name = item.partition("/")
        if what in _CONVERSATIONS:
            kind = _CONVERSATIONS[what]
            peoples = collected(kind).get(source_id(request.account, name))
            if peoples is not None:
                return not reads(kind, name, peoples)
        if not item.startswith(PERSON_ITEM):
            return item not in used and not (slash and what in public)
        named = find(request.account, item.removeprefix(PERSON_ITEM).strip())
        if named is None or named.pseudonym == request.person.pseudonym:
            return True
        party = f"person:{named.pseudonym}"
        answers = [
            permits.of(request.account, party, PartyRole.FIRST, USAGE[0]) for permits in (request.permits, train)
        ]
        return any(isinstance(answer, Refusal) for answer in answers)

    request.note(own)
    return recommend(
        request.model,
        own,
        account=request.account,
        limit=limit,
        hidden=hidden,
        personal=personal,
        before_us=request.permits.at_us - _RESTED_US,
    )
