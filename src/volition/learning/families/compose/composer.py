"""A compose model opened: what may follow what was typed, and what may be replied.

The probability of a word after what stands before it is interpolated from the longest context downwards, each order
drawn towards the one below it (Dirichlet smoothing: MacKay and Peto 1995, "A hierarchical Dirichlet language model"):

    P(w | h) = (n(h w) + m P(w | shorter h)) / (sum over v of n(h v) + m),    n = people ^ 1.5 / (all people) ^ 0.5

What is counted are people, not occurrences, so one person who repeats something a hundred times weighs as much as
another who said it once. But what most people write they also write most often, and a count of people cannot show it:
hence the power, which leaves the order of counts as it is and their distances not.

Every suggestion, words and all, is itself an n-gram of the model: at least k people wrote just that.
"""

import math
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.learning.families.compose.counts import ORDER
from volition.learning.families.compose.model import AccountCounts, read_model
from volition.learning.families.compose.words import MARKS, START, before_cursor, tokens
from volition.learning.families.model import Model

SHOWN: Final = 3
"""Suggestions shown at a time, as above the keyboards of telephones."""

# Chosen by typing again what came later within the first 80 % of the chat of `python -m bench quality`. The power and
# how sure a next word must be each save half a percent of the keystrokes; from 3 to 50, m makes no difference.
SMOOTHING: Final = 12.0
_POWER: Final = 1.5
# The next word comes along where at least this share of those who wrote the words before it wrote it.
SURE: Final = 0.9
# Scores are compared after rounding, so that the last bits of a sum never decide an order.
DECIMALS: Final = 9

_HELD: Final = 128  # distributions kept in memory for each account
_LAST: Final = "\U0010ffff"  # sorts after whatever may follow a prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A way to go on.

    Attributes:
        insert: What to insert at the cursor; a space is to follow it.
        phrase: The words that it makes, with what was typed of the first.
        people: How many different people of the account wrote this phrase.
    """

    insert: str
    phrase: str
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A short reply.

    Attributes:
        text: The whole message.
        people: How many different people of the account wrote it as a reply.
    """

    text: str
    people: int


class Composer:
    """A compose model opened. It answers from memory and reads nothing else."""

    def __init__(self, model: Model) -> None:
        """Open a model.

        Raises:
            InvalidInputError: It is a model of another family.
        """
        self._accounts = {account: _Account(learned) for account, learned in read_model(model).items()}

    def knows(self, account: str) -> bool:
        """Return whether the model learned anything of an account; where it did not, it suggests nothing."""
        return account in self._accounts

    def holds(self, account: str, word: str) -> bool:
        """Return whether enough people of an account wrote a word for the model to hold it."""
        known = self._accounts.get(account)
        return known is not None and known.holds(word)

    def complete(self, account: str, text: str, *, limit: int = SHOWN) -> tuple[Completion, ...]:
        """Suggest how to go on.

        Args:
            account: Whose words; only those of its own people are suggested.
            text: What was typed so far; the cursor is at its end.
            limit: Most suggestions to return.

        Returns:
            The best first. Empty for an account that the model does not know, and where `compose_words` says that
            nothing is suggested.
        """
        known = self._accounts.get(account)
        place = None if known is None else before_cursor(text)
        return () if known is None or place is None else known.complete(*place, limit=limit)

    def replies(self, account: str, message: str, *, limit: int = SHOWN) -> tuple[Reply, ...]:
        """Suggest short replies to a message, the best first; empty for an account that the model does not know."""
        known = self._accounts.get(account)
        return () if known is None else known.replies(message, limit=limit)

    def bits(self, account: str, text: str) -> float:
        """Return how much a message surprises the model, in bits; a word that it does not hold costs as a rare one.

        Args:
            account: Whose words.
            text: The whole message.
        """
        known = self._accounts.get(account)
        return 0.0 if known is None else known.bits(text)


class _Account:
    """What is known of one account."""

    def __init__(self, learned: AccountCounts) -> None:
        table = learned.table
        self._table = table
        self._answers = learned.answers
        self._number = {token: number for number, token in enumerate(table.tokens)}
        self._starts = [
            np.searchsorted(prefix, np.arange(len(people) + 1))
            for prefix, people in zip(table.prefix, table.people, strict=False)
        ]
        self._is_word = np.array([token not in MARKS for token in table.tokens], dtype=bool)
        everybody = float(table.people[0].max())
        self._weight = [people**_POWER / everybody ** (_POWER - 1) for people in table.people]
        self._single = self._weight[0] / self._weight[0].sum()
        self._length = np.array([len(token) for token in table.tokens], dtype=np.int64)
        self._known: OrderedDict[tuple[int, ...], NDArray[np.float64]] = OrderedDict()

    def holds(self, word: str) -> bool:
        return word in self._number

    def complete(self, before: Sequence[str], begun: str, *, limit: int) -> tuple[Completion, ...]:
        words = self._table.tokens
        first, past = bisect_left(words, begun), bisect_left(words, begun + _LAST) if begun else len(words)
        if first == past:
            return ()
        context = self._context(before)
        probable = self._distribution(context)
        # What a suggestion is worth is what it saves: the letters that need not be typed, as often as it is right.
        worth = np.round(probable[first:past] * (self._length[first:past] - len(begun) + 1), DECIMALS)
        worth[~self._is_word[first:past]] = 0.0
        best = _largest(worth, limit + 1)
        found: list[Completion] = []
        for place in best:
            phrase = self._longer(context, int(first + place))
            text = " ".join(words[number] for number in phrase)
            if worth[place] > 0 and len(text) > len(begun):
                people = self._people(phrase)
                found.append(Completion(insert=text[len(begun) :], phrase=text, people=people))
        return tuple(found[:limit])

    def _context(self, before: Sequence[str]) -> tuple[int, ...]:
        """Return the numbers of the last tokens, as many as a context has; those before an unknown one are cut off."""
        numbers: list[int] = []
        for token in reversed(before[-(ORDER - 1) :]):
            number = self._number.get(token)
            if number is None:
                break
            numbers.append(number)
        return tuple(reversed(numbers))

    def _distribution(self, context: tuple[int, ...]) -> NDArray[np.float64]:
        """Return the probability of each token after a context, shape (tokens,)."""
        known = self._known.get(context)
        if known is not None:
            self._known.move_to_end(context)
            return known
        probable: NDArray[np.float64] = self._single
        if context:
            probable = self._distribution(context[1:])
            place = self._find(context)
            if place is not None:
                start, end = self._starts[len(context) - 1][place : place + 2]
                followers = self._table.last[len(context) - 1][start:end]
                weight = self._weight[len(context)][start:end]
                total = weight.sum() + SMOOTHING
                probable = probable * (SMOOTHING / total)
                probable[followers] += weight / total
        self._known[context] = probable
        if len(self._known) > _HELD:
            self._known.popitem(last=False)
        return probable

    def _find(self, numbers: Sequence[int]) -> int | None:
        """Return the place of an n-gram on its level; none if too few people wrote it."""
        place = numbers[0]
        for level, number in enumerate(numbers[1:]):
            start, end = self._starts[level][place : place + 2]
            at = start + int(np.searchsorted(self._table.last[level][start:end], number))
            if at == end or self._table.last[level][at] != number:
                return None
            place = int(at)
        return place

    def _longer(self, context: tuple[int, ...], word: int) -> list[int]:
        """Let the words that surely follow follow, as long as enough people wrote all of it."""
        phrase = [word]
        while len(phrase) < ORDER:
            following = self._surest((*context, *phrase))
            if following is None or not self._is_word[following] or self._find([*phrase, following]) is None:
                break
            phrase.append(following)
        return phrase

    def _surest(self, before: tuple[int, ...]) -> int | None:
        """Return what mostly follows the longest known context, for most who wrote that; none if it is not so sure."""
        for length in range(min(len(before), ORDER - 1), 0, -1):
            place = self._find(before[-length:])
            if place is None:
                continue
            start, end = self._starts[length - 1][place : place + 2]
            if start < end:
                people = self._table.people[length][start:end]
                best = int(people.argmax())
                of = max(int(people.sum()), int(self._table.people[length - 1][place]))
                sure = people[best] > SURE * of
                return int(self._table.last[length - 1][start + best]) if sure else None
        return None

    def _people(self, phrase: Sequence[int]) -> int:
        place = self._find(phrase)
        return 0 if place is None else int(self._table.people[len(phrase) - 1][place])

    def replies(self, message: str, *, limit: int) -> tuple[Reply, ...]:
        people = self._answers.people
        asked = sorted({token for token in tokens(message) if token in self._number} - MARKS)
        asking = {token: sum(counts.get(token, 0) for counts in people.values()) for token in (START, *asked)}
        scored = sorted(people, key=lambda reply: (-round(self._fits(people[reply], asked, asking), DECIMALS), reply))
        found: list[Reply] = []
        seen: set[str] = set()
        for reply in scored:
            plain = "".join(character for character in reply.casefold() if character.isalnum())
            if plain not in seen:  # one of "Thanks", "thanks!" and "thanks" is enough
                seen.add(plain)
                found.append(Reply(text=reply, people=people[reply][START]))
            if len(found) == limit:
                break
        return tuple(found)

    @staticmethod
    def _fits(counts: Mapping[str, int], asked: Sequence[str], asking: Mapping[str, int]) -> float:
        """Weigh a reply: how many people write it, and how much more often than other replies to these words.

        The sum of a log frequency and of positive pointwise mutual informations (Church and Hanks 1990), over all that
        was written in reply, which `asking` counts by token.
        """
        own = counts[START]
        lifts = [counts[token] * asking[START] / (own * asking[token]) for token in asked if token in counts]
        return math.log(own) + sum(max(0.0, math.log(lift)) for lift in lifts)

    def bits(self, text: str) -> float:
        line = [self._number.get(token, -1) for token in tokens(text)]
        rare = float(self._single.min()) / 2
        total = 0.0
        for place in range(1, len(line)):
            context: list[int] = []
            for number in reversed(line[max(0, place - ORDER + 1) : place]):
                if number < 0:
                    break
                context.insert(0, number)
            probability = rare if line[place] < 0 else max(float(self._distribution(tuple(context))[line[place]]), rare)
            total -= math.log2(probability)
        return total


def _largest(values: NDArray[np.float64], number: int) -> list[int]:
    """Return the places of the largest values, the largest first; the earlier place settles equal ones."""
    if len(values) > 4 * number:
        bound = np.partition(values, -number)[-number]
        places = np.flatnonzero(values >= bound)
    else:
        places = np.arange(len(values))
    order = places[np.lexsort((places, -values[places]))]
    return [int(place) for place in order[:number]]
