"""The recommender: a model opened and solved (EASE), which says what a person may want next and why."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.learning.families.model import Model
from volition.learning.families.recommend.counts import PairCounts, item_of, tables_of
from volition.records.lake import Row

# An item that one person alone uses is never suggested: the suggestion would show a colleague what that person does.
MIN_PEOPLE: Final = 2
# The solve is cubic in the items of an account (2,000: about a second); beyond this many, the most used take part.
MAX_ITEMS: Final = 2000
# Lambda of EASE, in mean numbers of people per item.
RIDGE: Final = 3.0
# Scores are compared after rounding, so that the last bits of a BLAS never decide an order.
DECIMALS: Final = 9
Hidden = Callable[[str], bool]
"""Says whether an item must not be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One item to try next.

    Attributes:
        item: Name of the item as the events spell it, such as "channel/general".
        score: How strongly it is suggested: an EASE score for those who use something, the number of people who use the
            item for newcomers. Comparable only within one answer.
        because: The reason in words.
        because_item: The item of the person's own that speaks for it; empty where the reason is another.
    """

    item: str
    score: float
    because: str
    because_item: str = ""


def nothing_hidden(item: str) -> bool:  # noqa: ARG001 - the form of `Hidden`
    """Show every item."""
    return False


class Recommender:
    """A model opened: an account's table is solved when it is first asked for, and kept."""

    def __init__(self, model: Model, *, personal: bool = True) -> None:
        """Open a model.

        Args:
            model: Of the recommend family.
            personal: Whether to use what the person uses; false gives popularity to everybody.
        """
        self._tables = tables_of(model)
        self._personal = personal
        self._solved: dict[str, _Solved] = {}

    def suggest(
        self, account: str, used: Iterable[str], limit: int, *, hidden: Hidden = nothing_hidden
    ) -> tuple[Suggestion, ...]:
        """Suggest items of an account to a person who uses some of them.

        Args:
            account: Whose items.
            used: Items the person uses; they are not suggested again.
            limit: Most suggestions to return.
            hidden: Items of which it is true are passed over; it is asked of no more than are needed.

        Returns:
            The best first. Empty for an account that the model does not know.
        """
        if account not in self._tables:
            return ()
        if account not in self._solved:
            self._solved[account] = _solve(self._tables[account])
        return self._solved[account].suggest(set(used), limit, personal=self._personal, hidden=hidden)


def recommend(  # noqa: PLR0913 - who asks, and what may be shown
    model: Model | None,
    rows_of_person: Sequence[Row],
    *,
    account: str,
    limit: int = 10,
    hidden: Hidden = nothing_hidden,
    personal: bool = True,
    before_us: int | None = None,
) -> tuple[Suggestion, ...]:
    """Suggest what a person may want to use next.

    Args:
        model: A released model. Without one nothing is known of what others use: the answer is then the person's own
            items, the most recently used first, but none that was used a moment ago (`before_us`).
        rows_of_person: The person's usage rows that the gate let through; rows of other accounts are passed over.
        account: The person's account; only its items are suggested.
        limit: Most suggestions to return.
        hidden: Items of which it is true are neither suggested nor named as a reason.
        personal: Whether to use what the person uses; false gives popularity to everybody.
        before_us: Without a model, only what was last used before this instant (not included) is offered; whoever used
            it a minute ago needs no reminder. None for no such bound.

    Returns:
        Suggestions with reasons, the best first. Each call solves the account's table again: to serve many, open a
        `Recommender`.
    """
    own = [
        (row.collected_us, item)
        for row in rows_of_person
        if row.account == account and (item := item_of(row)) and not hidden(item)
    ]
    if model is not None:
        return Recommender(model, personal=personal).suggest(account, (item for _, item in own), limit, hidden=hidden)
    latest = {item: at_us for at_us, item in sorted(own)}
    rested = [item for item, at_us in latest.items() if before_us is None or at_us < before_us]
    order = sorted(rested, key=lambda item: (-latest[item], item))[:limit]
    return tuple(Suggestion(item=item, score=0.0, because="you used it recently") for item in order)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solved:
    """Weights of one account: `weights[i, j]` is what using item i says for item j."""

    items: tuple[str, ...]
    people: NDArray[np.int64]
    weights: NDArray[np.float64]

    def suggest(self, used: set[str], limit: int, *, personal: bool, hidden: Hidden) -> tuple[Suggestion, ...]:
        mine = np.array([item in used for item in self.items], dtype=bool)
        newcomer = not (personal and mine.any())
        scores = self.people.astype(np.float64) if newcomer else np.round(self.weights[mine].sum(axis=0), DECIMALS)
        # Popularity, then the name, settle equal scores, so that the order never depends on anything else.
        ranked = np.lexsort((np.arange(len(scores)), -self.people, -scores))
        open_to_all = (j for j in ranked if not mine[j] and self.people[j] >= MIN_PEOPLE and not hidden(self.items[j]))
        return tuple(
            self._suggestion(j, float(scores[j]), "" if newcomer else self._because(mine, j))
            for j in islice(open_to_all, limit)
        )

    def _suggestion(self, j: int, score: float, of: str) -> Suggestion:
        because = f"because you use {of}" if of else f"{self.people[j]} people in your account use it"
        return Suggestion(item=self.items[j], score=score, because=because, because_item=of)

    def _because(self, mine: NDArray[np.bool_], j: int) -> str:
        """Return the used item that spoke loudest for the suggestion; empty if none spoke for it."""
        reasons = np.where(mine, np.round(self.weights[:, j], DECIMALS), -np.inf)
        best = int(reasons.argmax())
        return self.items[best] if reasons[best] > 0 else ""


def _solve(table: PairCounts) -> _Solved:
    """Solve EASE: with P = (G + lambda I)^-1, weights are -P_ij / P_jj (equation 8).

    The diagonal, zero in the paper, is never read here: what a person uses already is not suggested.

    Lambda is three times the mean number of people per item: a rule of the counts alone, so that nothing needs tuning
    on anybody's data. On planted preferences of 30 to 1,000 people, two to four times did best at every size.
    """
    import scipy.sparse  # noqa: PLC0415 - of the extra `learn`: loaded where it computes

    people, items = table.people, table.items
    shape = (len(items), len(items))
    upper = scipy.sparse.csr_array((table.counts.astype(np.float64), table.columns, table.starts), shape=shape)
    if len(items) > MAX_ITEMS:
        keep = np.sort(np.lexsort((np.arange(len(people)), -people))[:MAX_ITEMS])
        upper, people = scipy.sparse.csr_array(upper[keep][:, keep]), people[keep]
        items = tuple(items[j] for j in keep)
    gram = upper.toarray()
    gram += np.triu(gram, 1).T
    inverse = np.linalg.inv(gram + np.diag(np.full(len(people), RIDGE * people.mean())))
    weights = -inverse / np.diag(inverse)
    return _Solved(items=items, people=people, weights=weights)
