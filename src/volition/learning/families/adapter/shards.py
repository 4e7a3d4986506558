"""Which shard an account is in, and what each person there has written, as tokens.

- An account is in one shard, by a hash of its name.
- A person is in one shard at most: a person who writes in two accounts teaches nothing, so that what is claimed of one
  person's part in one shard is all that is to be said of them. Several identities of one person are one, under the
  first of their pseudonyms here, whichever of them is kept: a shard in which nobody else was counted stays as it is.
- What a person adds to a step follows from the seed, the step and what they wrote, and not from anybody else.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volition.learning.dp import draw
from volition.learning.families.chat import is_message
from volition.learning.families.family import canonical_order, fold_of
from volition.records.lake import Row

Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person wrote at once."""

    record: str
    person: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Author:
    """A person's messages, one after the other.

    Attributes:
        tokens: Shape (tokens,), each message between two ends: end, words, end, words, end.
        starts: Where the end before each message is.
    """

    tokens: Tokens
    starts: tuple[int, ...]

    def part(self, seed: str, step: int, person: str, longest: int) -> Tokens:
        """Return what the person adds to a step: some of their messages in a row, from a drawn one on.

        Args:
            seed: The shard's.
            step: The step, from 0.
            person: Their pseudonym.
            longest: The most tokens to predict.
        """
        start = self.starts[draw("part", seed, step, person) % len(self.starts)]
        return self.tokens[start : start + longest + 1]


def shard_of(account: str, shards: int) -> int:
    """Return the shard that an account is in, from 0: the same in every process and on every machine."""
    return fold_of(f"shard/{account}", shards)


def deal(rows: Iterable[Row], shards: int) -> dict[int, tuple[Message, ...]]:
    """Deal the messages of those who write in one account into shards, in one order whatever the rows' order.

    Returns:
        Shard -> its messages, for each shard that has any.
    """
    messages = canonical_order(row for row in rows if is_message(row))
    accounts: dict[str, set[str]] = defaultdict(set)
    names: dict[str, str] = {}
    for row in messages:
        accounts[row.author].add(row.account)
        names[row.author] = min(names.get(row.author, row.people[0]), row.people[0])
    dealt: dict[int, list[Message]] = defaultdict(list)
    for row in messages:
        if len(accounts[row.author]) == 1:
            message = Message(record=row.record_id, person=names[row.author], text=row.payload["text"])
            dealt[shard_of(row.account, shards)].append(message)
    return {shard: tuple(found) for shard, found in sorted(dealt.items())}


def writers(messages: Sequence[Message], encode: Callable[[str], Sequence[int]], end: int) -> dict[str, Author]:
    """Return each person's messages as tokens, in the order of their pseudonyms.

    Args:
        messages: A shard's.
        encode: Turns a text into tokens.
        end: The token that ends a text.
    """
    tokens: dict[str, list[int]] = defaultdict(lambda: [end])
    starts: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        own = tokens[message.person]
        starts[message.person].append(len(own) - 1)
        own += [*encode(message.text), end]
    return {
        person: Author(tokens=np.array(tokens[person], dtype=np.int32), starts=tuple(starts[person]))
        for person in sorted(tokens)
    }


def shard_sizes(messages: Mapping[int, Sequence[Message]]) -> list[dict[str, Any]]:
    """Return what a model says of its shards: how many messages and people each had."""
    return [
        {"shard": shard, "messages": len(found), "people": len({message.person for message in found})}
        for shard, found in messages.items()
    ]
