"""One person under several identities (docs/formats/bundle.md, identities)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import permutations, product
from typing import TypeAlias

from volition_formats.permits import CATEGORIES, PURPOSES, age, leaves, nameable
from volition_formats.report import demand
from volition_formats.spellings import Object, any_instant

Use: TypeAlias = tuple[str, str]  # a category and a purpose
RESTING = ("snapshot", "model", "release")


def names_several(entries: Iterable[Object]) -> bool:
    """Whether the log says of anybody that they are, or may be, somebody else, too."""
    return any(is_merge(one) or "same_as" in one["body"] or "namesake" in one["body"] for one in entries)


def is_merge(entry: Object) -> bool:
    """Whether an entry merges two people."""
    return bool(entry["kind"] == "identity" and entry["body"]["act"] == "merge")


@dataclass
class Party:
    """What was read of one party."""

    answers: dict[Use, tuple[bool, int, int | None]] = field(default_factory=dict)  # yes, when, until
    own: dict[Use, bool] = field(default_factory=dict)  # what no namesake said
    for_good: set[str] = field(default_factory=set)  # signals, and the erasure
    owed: set[Use] = field(default_factory=set)  # noes of whom it was merged with


class Identities:
    """What the identities of people have answered, as far as the log was read."""

    def __init__(self) -> None:
        self.parties: dict[str, Party] = {}
        self.persons: dict[str, list[str]] = {}
        self.known = {"category": CATEGORIES, "purpose": PURPOSES}
        self.shortest: int | None = None

    def of(self, party: str) -> Party:
        """What was read of a party."""
        self.persons.setdefault(party, [party])
        return self.parties.setdefault(party, Party())

    def join(self, one: str, other: str) -> None:
        """Two identities are one person from here on."""
        self.of(one), self.of(other)
        mine, theirs = self.persons[one], self.persons[other]
        if mine is not theirs:
            mine += theirs
            self.persons.update(dict.fromkeys(theirs, mine))

    def merge(self, people: list[str], at: int) -> None:
        """What one refuses, and the other does not, has to become a no of the other; a yes may have ended."""
        for one, other in permutations(people):
            self.of(one), self.of(other)
            for mine, theirs in product(self.persons[one], self.persons[other]):
                answers = self.of(theirs).answers
                noes = {use for use, (yes, _, _) in self.of(mine).answers.items() if not yes}
                self.of(theirs).owed |= {use for use in noes if use not in answers or self.lasts(*answers[use], at)}

    def lasts(self, yes: bool, said: int, until: int | None, at: int) -> bool:  # noqa: FBT001 - as it was read
        """Whether it is a yes that has surely not ended."""
        return yes and (until is None or until > at) and (self.shortest is None or said + self.shortest > at)

    def decide(self, body: Object, at: int, seq: int) -> None:
        """Read an answer."""
        party, yes = self.of(body["party"]), body["answer"] == "yes"
        uses = list(
            product(leaves(body["data"], self.known["category"]), leaves(body["purpose"], self.known["purpose"]))
        )
        if "namesake" not in body:
            party.own.update(dict.fromkeys(uses, yes))
        else:
            said = not yes or all(party.own.get(use) for use in uses)
            demand(said, f"Entry {seq} is a yes of {body['party']} that somebody else said.")
        if "same_as" in body:
            party.owed -= set(uses)
        until = any_instant(body["until"]) if "until" in body else None
        party.answers.update(dict.fromkeys(uses, (yes, at, until)))

    def compare(self, when: str) -> None:
        """What was refused under one identity is refused under the others."""
        for name, party in self.parties.items():
            demand(not party.owed, f"{name} was merged with somebody who had said no: it is not recorded {when}.")
            lacks = set[str]().union(*(self.parties[one].for_good for one in self.persons[name])) - party.for_good
            demand(not lacks, f"{name} is one person with {self.persons[name]}: {sorted(lacks)} not recorded {when}.")


def check_identities(entries: list[Object], at: list[int]) -> str:
    """The check `identities`."""
    concerned: set[str] = set()
    for entry in entries:
        body = entry["body"]
        concerned |= set(body["people"]) if is_merge(entry) else set()
        concerned |= {body["party"], body["same_as"]} if "same_as" in body else set()
        concerned |= {body["party"]} if "namesake" in body and body.get("answer") == "yes" else set()
    found = Identities()
    for entry, when in zip(entries, at, strict=True):
        kind, body = entry["kind"], entry["body"]
        if kind in RESTING:
            found.compare(f"by entry {entry['seq']}")
        if kind == "terms":
            ages = [age(rule, "max_yes_age") for rule in body["terms"]["rule"]]
            found.shortest = min((one for one in [found.shortest, *ages] if one is not None), default=None)
            for what, known in found.known.items():
                found.known[what] = list(dict.fromkeys(known + nameable(body["terms"], what)))
        if is_merge(entry):
            found.merge(body["people"], when)
            found.join(*body["people"])
        if "same_as" in body:
            found.join(body["same_as"], body["party"])
        if kind == "decision" and body["party"] in concerned:
            found.decide(body, when, entry["seq"])
        if kind in ("signal", "erasure") and body["party"] in concerned:
            found.of(body["party"]).for_good.add(body.get("signal", "erasure"))
    found.compare("by the end of the log")
    return (
        f"{sum(len(one) > 1 for one in {id(one): one for one in found.persons.values()}.values())} people of several."
    )
