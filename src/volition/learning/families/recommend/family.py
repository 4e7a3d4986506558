"""The recommend family: counts pairs of items, forgets by subtracting, and is measured by NDCG@10 on the next items."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import numpy as np

from volition.errors import InvalidInputError
from volition.learning.families.family import Parts, Scores, fold_of
from volition.learning.families.model import Model
from volition.learning.families.recommend.counts import (
    NAME,
    PairCounts,
    actor_of,
    count,
    item_of,
    lay_out,
    subtract,
    tables_of,
    uses_of,
)
from volition.learning.families.recommend.recommender import MIN_PEOPLE, Recommender, Suggestion
from volition.progress import Progress
from volition.records.lake import Row

# Held out of a person's items: the last fifth by time, at least one, and only from people who keep at least two.
HELD_SHARE: Final = 0.2
MIN_KEPT: Final = 2
DEPTH: Final = 10  # of NDCG@10


class RecommendFamily:
    """The recommend family (see `volition.learning.families.family.Family`)."""

    name = NAME
    purpose = "train/recommend"
    rival = "popularity"

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Count, in each account, how many people use each pair of items.

        Args:
            rows: Permitted rows; those that are not usage of an item are passed over. Their order does not matter.
            parts: Unused: counting takes less time than saving it would.
            progress: Called for each account that is counted.

        Returns:
            The model; it holds integers and names only, so its bytes depend on nothing but the set of uses.

        Raises:
            InvalidInputError: No row is a use of an item.
        """
        del parts
        uses = uses_of(rows)
        tables: dict[str, PairCounts] = {}
        for done, account in enumerate(sorted(uses), start=1):
            tables[account] = count(uses[account])
            progress("counting uses", done, len(uses))
        return lay_out(tables)

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Subtract what the rows that went away had added.

        Args:
            model: Fitted on `before`.
            before: The rows of the snapshot that the model was trained from. The rows of an account may be missing
                (the key of an erased account is gone) if `after` has none of them either.
            after: The rows that may still be used.
            parts: Unused.
            progress: Called for each account whose people changed.

        Returns:
            The model that `fit(after)` gives, in the same bytes. An item that no one else used is gone from it.

        Raises:
            InvalidInputError: No use of an item is left.
        """
        del parts
        left = {row.record_id for row in after}
        changed = {actor_of(row) for row in before if row.record_id not in left}
        anew = _with_merged(before)
        return self.subtract(
            model,
            before=[row for row in before if actor_of(row) in changed or row.account in anew],
            after=[row for row in after if actor_of(row) in changed or row.account in anew],
            accounts={row.account for row in after},
            progress=progress,
        )

    def subtract(
        self,
        model: Model,
        *,
        before: Sequence[Row],
        after: Sequence[Row],
        accounts: Collection[str],
        progress: Progress,
    ) -> Model:
        """Forget from the rows of only those people whose rows changed (see `families.family.Subtracting`).

        The work is that of the cells that those people were counted in, besides copying the table. An account in which
        people were merged is counted anew: they may have become one since, which no subtraction undoes.

        Raises:
            InvalidInputError: No use of an item is left, or a person uses in `after` what they did not in `before`.
        """
        old, new, anew = uses_of(before), uses_of(after), _with_merged(before)
        tables = {account: table for account, table in tables_of(model).items() if account in accounts}
        changed = sorted(old.keys() & tables.keys())
        for done, account in enumerate(changed, start=1):
            now, table = new.get(account, {}), tables.pop(account)
            if account in anew:
                table = count(now)
            else:
                pairs = [(was, now.get(person, set())) for person, was in sorted(old[account].items())]
                if any(left - was for was, left in pairs):
                    raise InvalidInputError("A forgetting never adds a use. Train a new model to learn more.")
                table = subtract(table, pairs)
            if table.items:
                tables[account] = table
            progress("subtracting uses", done, len(changed))
        return lay_out(tables)

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """Hold out the last items of the people of one fold.

        An item counts from its first use; all rows of a held-out item go, or its later uses would give it away.

        Args:
            rows: Rows of the snapshot.
            fold: Which people are asked, from 0.
            folds: How many groups the people are dealt into, by a hash of their pseudonym.

        Returns:
            Rows to learn from, and held-out rows; both in the order given.
        """
        first: dict[tuple[str, str], dict[str, tuple[int, str]]] = defaultdict(dict)
        for row in rows:
            if (item := item_of(row)) is not None and fold_of(row.author, folds) == fold:
                seen = first[row.account, row.author]
                seen[item] = min(seen.get(item, (row.collected_us, item)), (row.collected_us, item))
        held: set[tuple[str, str, str]] = set()
        for (account, person), seen in first.items():
            number = max(1, int(len(seen) * HELD_SHARE))
            if len(seen) - number >= MIN_KEPT:
                held.update((account, person, item) for item in sorted(seen, key=seen.__getitem__)[-number:])
        known: list[Row] = []
        heldout: list[Row] = []
        for row in rows:
            item = item_of(row)
            hold = item is not None and (row.account, row.author, item) in held
            (heldout if hold else known).append(row)
        return tuple(known), tuple(heldout)

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Measure NDCG@10 per person: how high the held-out items stand among the account's items not yet used.

        Args:
            model: Fitted on `rows_known`; none means the untrained form, the same candidates in an arbitrary stable
                order. (Popularity is already learning, and the rival: `evaluate_rival`.)
            rows_known: What people are known to use.
            rows_heldout: What they used next.

        Returns:
            One value per person with held-out items, from 0 to 1; held-out items that cannot be suggested count as
            missed.
        """
        if model is None:
            return _evaluate(rows_known, rows_heldout, _Arbitrary(rows_known))
        return _evaluate(rows_known, rows_heldout, Recommender(model))

    def evaluate_rival(self, model: Model, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Measure the rival: every person is suggested the most used items of the account (see `evaluate`)."""
        return _evaluate(rows_known, rows_heldout, Recommender(model, personal=False))

    def familiarity(self, model: Model, rows: Sequence[Row]) -> dict[str, float]:
        """Return, for each person, the logarithm of how many people use the rarest pair of items that the person uses.

        A person who was counted is in the count of each of their pairs, so a pair that no one uses says that the person
        was not. This looks into the model's file: what it suggests, or rather never does (`MIN_PEOPLE`), shows less.
        """
        import scipy.sparse  # noqa: PLC0415 - of the extra `learn`: loaded where it computes

        tables = tables_of(model)
        found = {}
        for account, people in uses_of(rows).items():
            table = tables.get(account, count({}))
            place = {item: j for j, item in enumerate(table.items)}
            size = len(table.items)
            pairs = scipy.sparse.csr_array((table.counts, table.columns, table.starts), shape=(size, size))
            for person, items in people.items():
                own = np.array(sorted(place[item] for item in items if item in place), dtype=np.int64)
                known = len(own) == len(items)
                rarest = pairs[own][:, own].toarray()[np.triu_indices(len(own))].min() if known else 0
                found[person] = math.log(float(rarest) + 0.5)
        return found


def _with_merged(rows: Iterable[Row]) -> set[str]:
    """Return the accounts in which somebody who did something was merged into somebody."""
    return {row.account for row in rows if row.merged_into}


class _Arbitrary:
    """The untrained form: the items that a model could suggest, in the order of a hash of their names."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._items: dict[str, list[str]] = {}
        for account, people in uses_of(rows).items():
            table = count(people)
            known = [item for item, n in zip(table.items, table.people, strict=True) if n >= MIN_PEOPLE]
            self._items[account] = sorted(known, key=lambda item: hashlib.sha256(item.encode()).digest())

    def suggest(self, account: str, used: Iterable[str], limit: int) -> tuple[Suggestion, ...]:
        skip = set(used)
        items = [item for item in self._items.get(account, []) if item not in skip]
        return tuple(Suggestion(item=item, score=0.0, because="in no particular order") for item in items[:limit])


def _evaluate(known: Sequence[Row], heldout: Sequence[Row], suggester: Recommender | _Arbitrary) -> Scores:
    used, wanted = uses_of(known), uses_of(heldout)
    people = [(account, person) for account in sorted(wanted) for person in sorted(wanted[account])]
    values, firsts = np.zeros(len(people)), np.zeros(len(people))
    for number, (account, person) in enumerate(people):
        mine = used.get(account, {}).get(person, set())
        answers = suggester.suggest(account, mine, DEPTH)
        values[number] = _ndcg([answer.item for answer in answers], wanted[account][person])
        firsts[number] = bool(answers) and answers[0].item in wanted[account][person]
    return Scores(
        metric=f"NDCG@{DEPTH}",
        units=tuple(person for _, person in people),
        accounts=tuple(account for account, _ in people),
        values=values,
        people=tuple((person,) for _, person in people),
        firsts=firsts,
    )


def _ndcg(answers: Sequence[str], wanted: set[str]) -> float:
    """Normalised discounted cumulative gain with binary gains (Järvelin and Kekäläinen 2002)."""
    gain = sum(1 / math.log2(rank + 2) for rank, item in enumerate(answers) if item in wanted)
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(len(wanted), DEPTH)))
