"""How many different people wrote each n-gram: counted, kept from k people on, and subtracted exactly.

This is k-anonymity for n-grams. `NgramCounts` holds the n-grams of one account that at least k people wrote, and one
integer for each: how many people. Nothing is kept of rarer n-grams, nor of who wrote what. Two facts make that enough:

- Anyone who wrote an n-gram wrote every part of it. So the n-grams of order n that k people wrote are found among
  those whose first and last n - 1 tokens are kept already (the a-priori property: Agrawal and Srikant, VLDB 1994).
- Taking rows away never raises a count. So what was below k stays below, and the counts after a forgetting are those
  before, less one for each person who wrote the n-gram in the rows that go and in none that stay.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.learning.families.compose.words import START, classify, raw_tokens

ORDER: Final = 4
"""Tokens of the longest n-gram."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NgramCounts:
    """The n-grams of one account that enough people wrote: a trie, one level for each order.

    Attributes:
        tokens: The tokens that at least k people wrote, sorted; level 0 numbers them.
        people: Of each level, shape (n-grams,), int64: how many people wrote the n-gram.
        prefix: Of each level but the first, shape (n-grams,): the place on the level before of all but its last token.
        last: Of each level but the first, shape (n-grams,): the number of its last token. A level is sorted by prefix,
            then last.
    """

    tokens: tuple[str, ...]
    people: tuple[Ints, ...]
    prefix: tuple[Ints, ...]
    last: tuple[Ints, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedMessages:
    """Messages as numbers.

    Attributes:
        tokens: Shape (tokens,): the number of each token, or -1 if it has none.
        message: Shape (tokens,): the message that it stands in.
        person: Shape (tokens,): its author.
    """

    tokens: Ints
    message: Ints
    person: Ints


def read(messages: Iterable[tuple[int, str]]) -> tuple[EncodedMessages, tuple[str, ...]]:
    """Read messages, numbering every token that is in them.

    Args:
        messages: The author's number and the text of each.

    Returns:
        The messages, and the tokens in the order of their numbers, which is sorted.
    """
    number: dict[str, int] = {START: 0}
    raw_number: dict[str, int] = {}
    numbers: list[list[int]] = []
    people: list[int] = []
    for person, text in messages:
        line = [0]
        for raw in raw_tokens(text):
            known = raw_number.get(raw)
            if known is None:
                known = raw_number[raw] = number.setdefault(classify(raw), len(number))
            line.append(known)
        numbers.append(line)
        people.append(person)
    order = sorted(number)
    place = np.empty(len(order), np.int64)
    place[[number[token] for token in order]] = np.arange(len(order))
    return _written(numbers, people, place), tuple(order)


def read_known(messages: Iterable[tuple[int, str]], known: Sequence[str]) -> EncodedMessages:
    """Read messages by the numbers of known tokens; all others are -1."""
    number = {token: place for place, token in enumerate(known)}
    numbers: list[list[int]] = []
    people: list[int] = []
    for person, text in messages:
        found = [number.get(classify(raw), -1) for raw in raw_tokens(text)]
        numbers.append([number.get(START, -1), *found])
        people.append(person)
    return _written(numbers, people, None)


def _written(numbers: Sequence[Sequence[int]], people: Sequence[int], place: Ints | None) -> EncodedMessages:
    lengths = np.array([len(line) for line in numbers], dtype=np.int64)
    flat = np.fromiter(chain.from_iterable(numbers), np.int64, count=int(lengths.sum()))
    return EncodedMessages(
        tokens=flat if place is None else place[flat],
        message=np.repeat(np.arange(len(lengths)), lengths),
        person=np.repeat(np.array(people, dtype=np.int64), lengths),
    )


def count(messages: Iterable[tuple[int, str]], *, k: int) -> NgramCounts | None:
    """Count, for every n-gram that at least k people wrote, how many did.

    Args:
        messages: The author's number (from 0) and the text of each message of one account.
        k: Fewest people.

    Returns:
        The counts; none if no token was written by k people.
    """
    written, tokens = read(messages)
    kept, at, people = _distinct(written.tokens, written.person, k)
    if not len(kept):
        return None
    number = len(kept)
    level_people, prefixes, lasts = [people], list[Ints](), list[Ints]()
    first = at  # of each token: its number among the kept ones
    for _ in range(1, ORDER):
        follows = _follows(written, at)
        keys = np.where(follows, np.concatenate([[-1], at[:-1]]) * number + first, -1)
        level, at, people = _distinct(keys, written.person, k)
        level_people.append(people)
        prefixes.append(level // number)
        lasts.append(level % number)
    names = tuple(tokens[token] for token in kept)
    return NgramCounts(tokens=names, people=tuple(level_people), prefix=tuple(prefixes), last=tuple(lasts))


def _follows(written: EncodedMessages, at: Ints) -> NDArray[np.bool_]:
    """Return for each token whether, with what stands before it, it may end a kept n-gram that is one longer.

    Args:
        written: The messages.
        at: Shape (tokens,): the kept n-gram that ends at each token, or -1.
    """
    follows = np.zeros(len(at), dtype=bool)
    follows[1:] = (at[1:] >= 0) & (at[:-1] >= 0) & (written.message[1:] == written.message[:-1])
    return follows


def _distinct(keys: Ints, person: Ints, k: int) -> tuple[Ints, Ints, Ints]:
    """Count the different people of each key, and keep the keys that k people have; keys below 0 are none.

    Returns:
        The kept keys, sorted; for each place its key's number among them, or -1; and how many people have each.
    """
    there = np.flatnonzero(keys >= 0)
    found, inverse = np.unique(keys[there], return_inverse=True)
    people = _people_of(inverse, person[there], len(found))
    keep = people >= k
    renumbered = np.where(keep, np.cumsum(keep) - 1, -1)
    at = np.full(len(keys), -1, dtype=np.int64)
    at[there] = renumbered[inverse]
    return found[keep], at, people[keep]


def _people_of(group: Ints, person: Ints, groups: int) -> Ints:
    """Return how many different people each group has."""
    if not len(group):
        return np.zeros(groups, dtype=np.int64)
    number = int(person.max()) + 1
    pairs = np.unique(group * number + person)
    return np.bincount(pairs // number, minlength=groups).astype(np.int64)


def find(table: NgramCounts, written: EncodedMessages) -> list[Ints]:
    """Find the n-grams of a table in messages: for each level and token, the n-gram that ends there, or -1."""
    number = len(table.tokens)
    at = written.tokens
    levels = [at]
    for prefix, last in zip(table.prefix, table.last, strict=True):
        follows = _follows(written, at)
        keys = np.where(follows, np.concatenate([[-1], at[:-1]]) * number + written.tokens, -1)
        known = prefix * number + last
        place = np.searchsorted(known, keys)
        place[place == len(known)] = 0
        at = np.where((keys >= 0) & (known[place] == keys), place, -1) if len(known) else np.full_like(keys, -1)
        levels.append(at)
    return levels


def subtract(
    table: NgramCounts, before: Iterable[tuple[int, str]], after: Iterable[tuple[int, str]], *, k: int
) -> NgramCounts | None:
    """Take away what some people's rows that go had added.

    Args:
        table: Counted with the same k on rows of which theirs were a part.
        before: The author's number and the text of every message of these people.
        after: The same, of their messages that stay.
        k: Fewest people.

    Returns:
        The table that `count` gives on the rows that are left; none if nothing in it is left.
    """
    was, now = read_known(before, table.tokens), read_known(after, table.tokens)
    lost: list[Ints] = []
    for people, old, new in zip(table.people, find(table, was), find(table, now), strict=True):
        gone = np.setdiff1d(_pairs(old, was.person, len(people)), _pairs(new, now.person, len(people)))
        lost.append(np.bincount(gone % len(people), minlength=len(people)) if len(people) else people)
    return _reduced(table, lost, k)


def _pairs(at: Ints, person: Ints, groups: int) -> Ints:
    """Return each n-gram and person that occur together, once, as one number."""
    there = at >= 0
    return np.unique(person[there] * groups + at[there])


def _reduced(table: NgramCounts, lost: Sequence[Ints], k: int) -> NgramCounts | None:
    """Lower the counts, drop what falls below k, and renumber the rest."""
    left = [people - gone for people, gone in zip(table.people, lost, strict=True)]
    keep = [people >= k for people in left]
    if not keep[0].any():
        return None
    place = [np.cumsum(kept) - 1 for kept in keep]
    chosen = zip(table.prefix, table.last, place, keep[1:], strict=False)
    prefixes, lasts = [], []
    for prefix, last, before, kept in chosen:  # what goes takes everything that it begins or ends with it
        prefixes.append(before[prefix[kept]])
        lasts.append(place[0][last[kept]])
    return NgramCounts(
        tokens=tuple(token for token, kept in zip(table.tokens, keep[0], strict=True) if kept),
        people=tuple(people[kept] for people, kept in zip(left, keep, strict=True)),
        prefix=tuple(prefixes),
        last=tuple(lasts),
    )
