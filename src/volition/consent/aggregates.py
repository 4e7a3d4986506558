"""Counts: how many people of an account have said what, so that nobody's own answer can be read from them.

An administrator is told of groups, never of a person:

- Each number is a multiple of five that at least so many people have reached; any count below five is shown alike.
- Whatever is shown, and whatever is worked out from it and the number of people, at least five people might have
  answered otherwise. Of fewer than ten people nothing is counted.

What somebody who watches from day to day could work out is coarse for the same reason, and not nothing: who knows the
answers of all the others can see a number pass a multiple of five.

    >>> banded(23, of=40)
    20
    >>> banded(40, of=40)
    35
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from volition.consent.choices import Choice, PartyAnswer
from volition.consent.history import History

FEWEST: Final = 5
"""Fewer people than this are shown as none are, and of so many it is never said what they answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many people have answered a switch; each at least so many, 0 for fewer than `FEWEST`.

    Attributes:
        yes: Said yes, and no to nothing of it.
        no: Said no to at least a part.
        nothing: Have not answered.
    """

    yes: int
    no: int
    nothing: int


def banded(count: int, *, of: int) -> int:
    """Return how many may be shown of a count: rounded down, and leaving `FEWEST` of all of whom it is not said."""
    return max(0, min(count, of - FEWEST)) // FEWEST * FEWEST


def count(history: History, parties: Iterable[str], choice: Choice) -> Counted | None:
    """Count what people have said last about a switch.

    Args:
        history: What was said.
        parties: The account's people, "person:PSEUDONYM" each, nobody twice.
        choice: The switch as it stands for the account; its lines say of which data and purposes it speaks.

    Returns:
        The counts; none if there are too few people to count any.
    """
    leaves = [(line.category, line.purpose) for line in choice.lines]
    answers = Counter(_answer(history, party, leaves) for party in parties)
    people = answers.total()
    if people < 2 * FEWEST:
        return None
    return Counted(
        yes=banded(answers[PartyAnswer.YES], of=people),
        no=banded(answers[PartyAnswer.NO], of=people),
        nothing=banded(answers[PartyAnswer.NOTHING], of=people),
    )


def _answer(history: History, party: str, leaves: Iterable[tuple[str, str]]) -> PartyAnswer:
    last = {
        (category, purpose): decision.yes
        for decision in sorted(history.party(party).decisions, key=lambda said: (said.at_us, not said.yes))
        for category, purpose in leaves
        if category in decision.categories and purpose in decision.purposes
    }
    if not last:
        return PartyAnswer.NOTHING
    return PartyAnswer.YES if all(last.values()) else PartyAnswer.NO
