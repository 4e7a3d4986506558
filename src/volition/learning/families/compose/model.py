"""The bytes of a compose model: what is known of each account, laid out one after the other.

names.txt     [[account, its tokens, its replies], ...], sorted, as canonical JSON
arrays.npz    sizes: (accounts, ORDER + 1), how many n-grams of each order, and pairs of replies and tokens
              people-N, prefix-N, last-N: the levels of each account's `NgramCounts`; answers: (pairs, 3)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.learning.families.compose.counts import ORDER, NgramCounts
from volition.learning.families.compose.replies import ReplyCounts
from volition.learning.families.model import Array, Model

NAME: Final = "compose"

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCounts:
    """What is known of one account."""

    table: NgramCounts
    answers: ReplyCounts


def settings(k: int) -> dict[str, Any]:
    """Return the settings of a model."""
    return {"format": _FORMAT, "k": k}


def lay_out(learned: Mapping[str, AccountCounts], *, k: int) -> Model:
    """Return the model of what is known of each account (at least one), in the order of their names."""
    accounts = sorted(learned)
    tables = [learned[account].table for account in accounts]
    arrays: dict[str, Array] = {}
    for level in range(ORDER):
        arrays[f"people-{level + 1}"] = _joined([table.people[level] for table in tables])
    for level in range(ORDER - 1):
        arrays[f"prefix-{level + 2}"] = _joined([table.prefix[level] for table in tables])
        arrays[f"last-{level + 2}"] = _joined([table.last[level] for table in tables])
    answers = [_answers_array(learned[account]) for account in accounts]
    arrays["answers"] = _joined(answers)
    arrays["sizes"] = np.array(
        [[*map(len, table.people), len(pairs)] for table, pairs in zip(tables, answers, strict=True)], dtype=np.int64
    )
    names = [
        [account, list(learned[account].table.tokens), sorted(learned[account].answers.people)] for account in accounts
    ]
    return Model(family=NAME, settings=settings(k), arrays=arrays, texts={"names": canonical_json(names).decode()})


def read_model(model: Model) -> dict[str, AccountCounts]:
    """Return what a compose model knows of each account.

    Raises:
        InvalidInputError: It is a model of another family.
    """
    if model.family != NAME:
        raise InvalidInputError(f"expected a model of the compose family, got one of {model.family!r}")
    names: list[Any] = json.loads(model.texts["names"])
    ends = np.cumsum(model.arrays["sizes"], axis=0)
    starts = ends - model.arrays["sizes"]
    learned = {}
    for number, (account, tokens, replies) in enumerate(names):
        own = [slice(*span) for span in zip(starts[number].tolist(), ends[number].tolist(), strict=True)]
        levels = range(ORDER - 1)
        table = NgramCounts(
            tokens=tuple(tokens),
            people=tuple(model.arrays[f"people-{level + 1}"][own[level]].astype(np.int64) for level in range(ORDER)),
            prefix=tuple(model.arrays[f"prefix-{level + 2}"][own[level + 1]].astype(np.int64) for level in levels),
            last=tuple(model.arrays[f"last-{level + 2}"][own[level + 1]].astype(np.int64) for level in levels),
        )
        people: dict[str, dict[str, int]] = {}
        for reply, token, total in model.arrays["answers"][own[ORDER]].tolist():
            people.setdefault(replies[reply], {})[tokens[token]] = total
        learned[account] = AccountCounts(table=table, answers=ReplyCounts(people=people))
    return learned


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts).astype(np.int32)


def _answers_array(learned: AccountCounts) -> Array:
    """Return shape (pairs, 3): reply, token and people, by the numbers of the sorted replies and tokens."""
    place = {token: number for number, token in enumerate(learned.table.tokens)}
    cells = [
        (number, place[token], total)
        for number, reply in enumerate(sorted(learned.answers.people))
        for token, total in sorted(learned.answers.people[reply].items())
    ]
    return np.array(cells, dtype=np.int64).reshape(-1, 3)
