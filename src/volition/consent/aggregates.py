"""Aggregate counts under k-anonymity (k = 5): how many people of an account have said what, without revealing who.

An administrator sees groups, never a person (small-cell suppression, rounding):

- Each number is rounded down to a multiple of five; any count below five is shown as zero.
- Whatever is shown, and whatever can be worked out from it and the number of people, at least five people might have
  answered otherwise. Of fewer than ten people nothing is counted.

What an observer who watches from day to day could work out is coarse for the same reason, but not nothing: one who
knows the answers of all the others can see a number pass a multiple of five.

    >>> banded(23, of=40)
    20
    >>> banded(40, of=40)
    35
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from volition.consent.choices import Choice, PartyAnswer
from volition.consent.history import History
from volition.consent.permits import PartyRole, Use, yes_end_us

FEWEST: Final = 5
"""The k of k-anonymity: fewer people than this are shown as none, and at least so many remain undisclosed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many people have answered a switch: each a lower bound, 0 for fewer than `FEWEST`.

    Attributes:
        yes: Said yes, and no to nothing of it.
        no: Said no to at least a part.
        nothing: Have not answered, or said a yes that has ended.
    """

    yes: int
    no: int
    nothing: int


def banded(count: int, *, of: int) -> int:
    """Return what may be shown of a count: rounded down, so that at least `FEWEST` people of all are left out of it."""
    return max(0, min(count, of - FEWEST)) // FEWEST * FEWEST


def count(history: History, parties: Iterable[str], choice: Choice, *, account: str, at_us: int) -> Counted | None:
    """Count what people have said last about a switch.

    Args:
        history: What was said.
        parties: The account's people, "person:PSEUDONYM" each, none twice.
        choice: The account's choice for the switch; its lines say which data and purposes it is about.
        account: Id of the account.
        at_us: The instant, microseconds since the Unix epoch, UTC.

    Returns:
        The counts; none if there are too few people to count any.
    """
    leaves = [(line.category, line.purpose) for line in choice.lines]
    answers = Counter(_answer(history, party, leaves, account=account, at_us=at_us) for party in parties)
    people = answers.total()
    if people < 2 * FEWEST:
        return None
    return Counted(
        yes=banded(answers[PartyAnswer.YES], of=people),
        no=banded(answers[PartyAnswer.NO], of=people),
        nothing=banded(answers[PartyAnswer.NOTHING], of=people),
    )


def _answer(
    history: History, party: str, leaves: Iterable[tuple[str, str]], *, account: str, at_us: int
) -> PartyAnswer:
    last = {
        (category, purpose): decision
        for decision in history.party(party).decisions
        for category, purpose in leaves
        if category in decision.categories and purpose in decision.purposes
    }
    if not all(decision.yes for decision in last.values()):
        return PartyAnswer.NO
    use = partial(Use, account=account, party=party, role=PartyRole.FIRST, beside=history.located((party,)))
    may_end = {
        (category, purpose)
        for (category, purpose), decision in last.items()
        if decision.until_us is not None or history.bindings.yes_ages_us(purpose)
    }
    ends_us = [yes_end_us(history, use(category=category, purpose=purpose), at_us) for category, purpose in may_end]
    ended = [end_us for end_us in ends_us if end_us is not None and end_us <= at_us]
    return PartyAnswer.YES if len(ended) < len(last) else PartyAnswer.NOTHING
