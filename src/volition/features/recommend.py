"""Recommend: what a person may like to open next, from their own usage (collaborative filtering).

A colleague is suggested, or named as a reason, only if their own usage may be used for recommendations and for training
them. A colleague who said no to either, or who cannot be identified for certain, is shown to nobody. The name of a
conversation that was collected is shown to its audience alone.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

from volition.consent.parties import Person
from volition.consent.permits import PartyRole, Permits, Refusal
from volition.features.request import USAGE, FeatureRequest, check_feature, own_rows
from volition.learning.families.recommend.recommender import Suggestion, recommend
from volition.records.audience import CATEGORY, ConversationKind
from volition.records.ingest import PERSON_ITEM
from volition.records.lake import source_id

_CONVERSATIONS: Final = {
    "channel": ConversationKind.CHANNEL,
    "meeting": ConversationKind.MEETING,
    "document": ConversationKind.FILE,
    "file": ConversationKind.FILE,
}
"""What an item is that is a conversation, by what its name begins with."""


def run_recommend(
    request: FeatureRequest, *, train: Permits, find: Callable[[str, str], Person | None], limit: int
) -> tuple[Suggestion, ...]:
    """Recommend what the requesting person may like to open next.

    Args:
        request: Who asks.
        train: The permits of `train/recommend`, now.
        find: Returns the person whom an account knows by an id that its sources use; none if nobody, or several.
        limit: Most suggestions.

    Raises:
        RefusedError: The account's switch for this feature is off.
    """
    check_feature(request.permits, request.account, USAGE)

    @cache
    def collected(kind: ConversationKind) -> dict[str, set[tuple[str, ...]]]:
        return request.lake.people_by_source(request.account, category=CATEGORY[kind])

    def hidden(item: str) -> bool:
        what, _, name = item.partition("/")
        if what in _CONVERSATIONS:
            kind = _CONVERSATIONS[what]
            peoples = collected(kind).get(source_id(request.account, name))
            return peoples is not None and not request.audience.names(kind, name, peoples)
        if not item.startswith(PERSON_ITEM):
            return False
        named = find(request.account, item.removeprefix(PERSON_ITEM).strip())
        if named is None or named.pseudonym == request.person.pseudonym:
            return True
        party = f"person:{named.pseudonym}"
        answers = [
            permits.of(request.account, party, PartyRole.FIRST, USAGE[0]) for permits in (request.permits, train)
        ]
        return any(isinstance(answer, Refusal) for answer in answers)

    own = own_rows(request, USAGE)
    request.note(own)
    return recommend(request.model, own, account=request.account, limit=limit, hidden=hidden)
