"""One person under several identities: what they refused under one is refused under all, and nobody says yes for them.

The log says who is one person: a merge does, and an answer that names as `same_as` the identity under which it was
said. Whoever kept two identities apart when it suited them would record a no of the one, and use what the other allows.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations, product
from typing import Final

from volition.canonical import text_to_us
from volition.consent.terms.model import Terms
from volition.consent.terms.vocabulary import BUILT_IN
from volition.errors import ProofError
from volition.ledger.entry import Entry

_Use = tuple[str, str]  # a category and a purpose
_Answer = tuple[bool, int, int | None]  # whether it is a yes, when it was said, until when it lasts

_RESTING: Final = frozenset({"snapshot", "model", "release"})
"""What rests on answers; until then an answer may be on its way to the other identities."""


def names_several(entries: Iterable[Entry]) -> bool:
    """Return whether a log says of anybody that they are, or may be, somebody else, too."""
    return any(_is_merge(entry) or not {"same_as", "namesake"}.isdisjoint(entry.body) for entry in entries)


def check_identities(entries: Sequence[Entry]) -> str:
    """Check that what somebody refused counts for each of their identities, and that no namesake said a yes of theirs.

    What is said later of one identity alone is no lie by itself: an answer that is taken back makes each of them stand
    as it did.

    Args:
        entries: All entries of a log that can be read, in their order.

    Raises:
        ProofError: A no of one of two who were merged, a signal or an erasure of one identity, is not recorded for
            another when a snapshot, a model or a release is entered, or at the log's end; or a yes stands again that a
            party had not said itself.
    """
    read = _Identities(set(_concerned(entries)))
    for entry in entries:
        if entry.kind in _RESTING:
            read.compare(f"by entry {entry.seq}")
        read.add(entry)
    read.compare("by the end of the log")
    return (
        f"{read.people} people with several identities: what they refused when they were merged is refused under each"
    )


def _is_merge(entry: Entry) -> bool:
    return entry.kind == "identity" and entry.body["act"] == "merge"


def _concerned(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the parties of whom answers have to be known."""
    for entry in entries:
        if _is_merge(entry):
            yield from entry.body["people"]
        elif "same_as" in entry.body:
            yield from (entry.body["party"], entry.body["same_as"])
        elif entry.kind == "decision" and "namesake" in entry.body and entry.body["answer"] == "yes":
            yield entry.body["party"]


class _Identities:
    """What the identities of people have answered, as far as the log was read."""

    def __init__(self, concerned: set[str]) -> None:
        self._answers: dict[str, dict[_Use, _Answer]] = {party: {} for party in concerned}
        self._own: dict[str, dict[_Use, bool]] = {party: {} for party in concerned}
        self._for_good: dict[str, set[str]] = {party: set() for party in concerned}
        self._persons: dict[str, list[str]] = {party: [party] for party in concerned}
        self._owed: dict[str, set[_Use]] = {}
        self._changed: set[str] = set()
        self._vocabulary = BUILT_IN
        self._shortest_us: int | None = None  # the least time for which any version lets a yes last

    @property
    def people(self) -> int:
        """How many people have several identities."""
        return len({id(one) for one in self._persons.values() if len(one) > 1})

    def add(self, entry: Entry) -> None:
        """Read one more entry."""
        body = entry.body
        if entry.kind == "terms":
            version = Terms.from_json(body["terms"])
            self._vocabulary = self._vocabulary.joined([*version.categories, *version.purposes])
            lasting = [rule.max_yes_age_us for rule in version.rules]
            known = [self._shortest_us, *lasting]
            self._shortest_us = min((one for one in known if one is not None), default=None)
        if _is_merge(entry):
            self._owe(entry, *body["people"])
            self._join(*body["people"])
        if "same_as" in body:
            self._join(body["same_as"], body["party"])
        party = body.get("party")
        if party not in self._answers:
            return
        if entry.kind == "decision":
            self._decide(entry, party)
        elif entry.kind in {"signal", "erasure"}:
            self._changed.add(party)
            self._for_good[party].add(body.get("signal", "erasure"))

    def _decide(self, entry: Entry, party: str) -> None:
        body, own = entry.body, self._own[party]
        names = self._vocabulary
        uses = list(product(names.leaves_of_data(body["data"]), names.leaves_of_use(body["purpose"])))
        is_yes = body["answer"] == "yes"
        until_us = text_to_us(body["until"]) if "until" in body else None
        if "namesake" not in body:
            own.update(dict.fromkeys(uses, is_yes))
        elif is_yes and not all(own.get(use) for use in uses):
            raise ProofError(
                f"Entry {entry.seq} is a yes of {party} that {body['namesake']} said: {party} had not said yes to "
                "all of it, and nobody says yes for somebody else."
            )
        if "same_as" in body:
            self._owed.get(party, set()).difference_update(uses)
        self._answers[party].update(dict.fromkeys(uses, (is_yes, entry.at_us, until_us)))

    def _owe(self, merge: Entry, *people: str) -> None:
        """Note what one of two who become one person refuses, and the other does not: that has to become a no, too."""
        for one, other in permutations(people):
            for mine, theirs in product(self._persons[one], self._persons[other]):
                allowed = self._answers[theirs]
                refused = {use for use, (is_yes, _, _) in self._answers[mine].items() if not is_yes}
                owed = {use for use in refused if use not in allowed or self._lasts(allowed[use], merge.at_us)}
                self._owed.setdefault(theirs, set()).update(owed)

    def _lasts(self, answer: _Answer, at_us: int) -> bool:
        """Return whether it is a yes that has surely not ended."""
        is_yes, said_us, until_us = answer
        is_young = self._shortest_us is None or said_us + self._shortest_us > at_us
        return is_yes and is_young and (until_us is None or until_us > at_us)

    def _join(self, kept: str, other: str) -> None:
        """Note that two identities are one person."""
        one, two = self._persons[kept], self._persons[other]
        if one is not two:
            one += two
            self._persons.update(dict.fromkeys(two, one))
        self._changed.add(kept)

    def compare(self, when: str) -> None:
        """Check that what was refused under one identity of a person is refused under the others."""
        for party, uses in self._owed.items():
            if uses:
                data, purpose = min(uses)
                raise ProofError(
                    f"{party} was merged with somebody who had said no to {data} for {purpose}: they are one person, "
                    f"and {when} that no was not recorded for {party}."
                )
        for party in sorted(self._changed):
            person = self._persons[party]
            for_good = set().union(*(self._for_good[one] for one in person))
            for one in person:
                if lacks := for_good - self._for_good[one]:
                    raise ProofError(
                        f"{', '.join(person)} are one person: {when} the {min(lacks)} of one was not recorded for "
                        f"{one}."
                    )
        self._changed.clear()
