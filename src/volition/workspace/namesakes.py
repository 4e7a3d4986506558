"""Identities that are, or may be, one person: what is said under one counts for the others.

Somebody is heard in a meeting and becomes a guest; later they are registered under the same name, as a person of their
own. Which of the two a no was meant for nobody can tell, so it is recorded for both, as an entry of each that names the
other as `namesake`. A yes is never shared.

Once the two are merged they are one person, and every answer is recorded for each identity of theirs, the copies naming
as `same_as` the one under which it was said. What was said before the merge stays as it was, but for what either had
refused and refused still: that becomes a no of both.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

from volition.consent.exclusions import exclusions_of_namesakes
from volition.consent.history import PartyHistory
from volition.consent.identity import Identities, Likeness
from volition.consent.parties import Person
from volition.consent.permits import PartyRole, Use, yes_end_us
from volition.consent.references import Pseudonym, person_ref
from volition.consent.terms.vocabulary import Vocabulary
from volition.ledger.entry import NewEntry
from volition.workspace.opened import Opened

_Use = tuple[str, str]  # a category and a purpose


class Namesakes:
    """Finds who is or may be the same person, and what each has refused."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._identities: tuple[tuple[int, int], Identities] | None = None

    def of(self, person: Person) -> list[Person]:
        """Return who may be the same person: somebody heard for one registered, or the other way round."""
        return self._current().namesakes(person)

    def sharing(self, person: Person) -> list[Person]:
        """Return for whom a person's no counts, too: who may be the same, or was when records concerned both."""
        others = {one.id: one for one in (*self.of(person), *self._opened.parties.changes.linked_with(person))}
        return [one for one in others.values() if one.id != person.id]

    def alone(self, parties: Iterable[str]) -> frozenset[str]:
        """Return those of some parties whose word is theirs alone for sure: of one identity, and nobody else's.

        It is quick: many answers are looked at so. Where anybody at all was heard and not registered, it is nobody.
        """
        linked = self._opened.parties.changes.linked()
        return frozenset() if linked is None else frozenset(parties) - frozenset(map(person_ref, linked))

    def linked(self, first: Person, other: Person) -> None:
        """Record for each of two whom records concern together what the other has refused, and refuses still."""
        drafts = [
            draft
            for one, its_other in ((first, other), (other, first))
            for pseudonym in one.pseudonyms
            for draft in self._refused(pseudonym, its_other.pseudonyms, link="namesake")
        ]
        drafts += [*self._left_out_for(first, [other]), *self._left_out_for(other, [first])]
        self._opened.ledger.append(*drafts)

    def keep(self, person: Person) -> None:
        """Note who may be the same person now, so that the no of each counts for both however they are called later."""
        for other in self.of(person):
            self._opened.parties.changes.link(person.id, other.id)

    def candidates(self, heard: Person) -> list[tuple[Person, Likeness]]:
        """Return which registered people somebody heard may be, and why."""
        return self._current().candidates(heard)

    def _current(self) -> Identities:
        version = self._opened.parties.version()
        if self._identities is None or self._identities[0] != version:
            self._identities = version, Identities(self._opened.parties)
        return self._identities[1]

    def copies(self, party: str, body: dict[str, Any], *, kind: str) -> Iterator[NewEntry]:
        """Yield the entries that an answer takes for the other identities of its party, as the ledger has them.

        A no is taken for namesakes, too.
        """
        person = self._opened.parties.person_by_pseudonym(party.removeprefix("person:"))
        if person is None:
            return
        for pseudonym in person.pseudonyms:
            if person_ref(pseudonym) != party:
                yield NewEntry(kind=kind, body={**body, "party": person_ref(pseudonym), "same_as": party})
        if body.get("answer") == "yes":
            return
        for other in self.sharing(person):
            for pseudonym in other.pseudonyms:
                yield NewEntry(kind=kind, body={**body, "party": person_ref(pseudonym), "namesake": party})
        about = _about_content(body, self._opened.history().vocabulary)
        if about is None:
            return
        for other in self._opened.parties.changes.verified_as(person.id):
            for pseudonym in other.pseudonyms:
                yield NewEntry(kind=kind, body={**about, "party": person_ref(pseudonym), "namesake": party})

    def refusals_for(self, person: Person) -> Iterator[NewEntry]:
        """Yield the entries by which what namesakes have refused, and refuse still, counts for a person, too."""
        others = self.sharing(person)
        theirs = [pseudonym for other in others for pseudonym in other.pseudonyms]
        for pseudonym in person.pseudonyms:
            yield from self._refused(pseudonym, theirs, link="namesake")
        yield from self._left_out_for(person, others)

    def _left_out_for(self, person: Person, others: Sequence[Person]) -> Iterator[NewEntry]:
        """Yield the entries by which the conversations that others have left out are left out for a person, too."""
        theirs = [person_ref(pseudonym) for other in others for pseudonym in other.pseudonyms]
        for pseudonym in person.pseudonyms:
            yield from exclusions_of_namesakes(
                self._opened.history(), person_ref(pseudonym), theirs, at_us=self._opened.now_us
            )

    def untold(self, person: Person) -> Iterator[NewEntry]:
        """Yield what a person's namesakes refuse of which the ledger does not know that they are namesakes.

        It goes before a yes, which takes back the person's own no: that of the others stands where either may be meant.
        """
        history = self._opened.history()
        linked = [one for other in self._opened.parties.changes.linked_with(person) for one in other.pseudonyms]
        for pseudonym in person.pseudonyms:
            known = history.namesakes(person_ref(pseudonym), at_us=history.last_us)
            unknown = [one for one in linked if person_ref(one) not in known]
            yield from self._refused(pseudonym, unknown, link="namesake")

    def content_refusals_for(self, person: Person) -> Iterator[NewEntry]:
        """Yield the entries by which what a person has refused about content elsewhere counts here, too.

        Elsewhere is where somebody has shown the same address to be theirs, so they are surely the same person.
        """
        verified = self._opened.parties.changes.verified_as(person.id)
        theirs = [pseudonym for other in verified for pseudonym in other.pseudonyms]
        for pseudonym in person.pseudonyms:
            for draft in self._refused(pseudonym, theirs, link="namesake"):
                about = _about_content(draft.body, self._opened.history().vocabulary)
                if about is not None:
                    yield NewEntry(kind=draft.kind, body=about)

    def refusals_among(self, pseudonyms: Sequence[Pseudonym]) -> Iterator[NewEntry]:
        """Yield the entries by which what one identity of a person refuses counts for each, where it does not yet."""
        for pseudonym in pseudonyms:
            yield from self._refused(pseudonym, [one for one in pseudonyms if one != pseudonym], link="same_as")

    def _refused(self, whose: Pseudonym, others: Iterable[Pseudonym], *, link: str) -> Iterator[NewEntry]:
        """Yield a no and a signal for `whose` of each that others have given, and that does not stand for it yet."""
        party, history = person_ref(whose), self._opened.history()
        namesakes = history.namesakes(party, at_us=history.last_us)
        standing, itself = self._standing(history.party(party)), self._standing(history.own(party))
        for other in map(person_ref, others):
            theirs = self._standing(history.own(other))
            refused, signalled = self._standing(history.party(other))
            refused, signalled = refused - standing[0], signalled - standing[1]
            if link == "same_as":  # what is theirs, and not another's, is to be so for each
                refused, signalled = refused | (theirs[0] - itself[0]), signalled | (theirs[1] - itself[1])
                refused |= self._aged(other) - itself[0] - self._aged(party)
            elif other not in namesakes:  # the ledger has to know whose no counts beside this one's
                refused, signalled = refused | theirs[0], signalled | theirs[1]
            else:  # it was recorded when it was said; what this one has said since is about their own alone
                refused = refused - _answered_since(history.party(party), history.party(other))
                signalled = signalled - {name for _, name, _ in history.party(party).signals}
            for data, uses in _together(refused):
                about = {"data": data, "purpose": uses, "covers": None}
                yield NewEntry(kind="decision", body={"party": party, "answer": "no", **about, link: other})
            for name in sorted(signalled):
                yield NewEntry(kind="signal", body={"party": party, "signal": name, link: other})
            standing = standing[0] | refused, standing[1] | signalled
            itself = itself[0] | refused, itself[1] | signalled

    def _standing(self, known: PartyHistory) -> tuple[set[_Use], set[str]]:
        """Return which uses a party refuses, and by which signals."""
        refused = {use for use, yes in _last(known, self._opened.now_us).items() if not yes}
        return refused, {name for _, name, _ in known.signals if self._stands(known, name)}

    def _aged(self, party: str) -> set[_Use]:
        """Return the uses to which a party's yes has ended by its age, under the terms of its accounts."""
        history, now_us = self._opened.history(), self._opened.now_us
        asked = [use for use, yes in _last(history.party(party), now_us).items() if yes]
        asked = [(category, purpose) for category, purpose in asked if history.bindings.yes_ages_us(purpose)]
        person = self._opened.parties.person_by_pseudonym(party.removeprefix("person:")) if asked else None
        if person is None:
            return set()
        accounts = {one for one in (*(identity.account for identity in person.identities), *person.former) if one}
        accounts = accounts or set(history.bindings.accounts())
        beside = history.located((party,))

        def has_ended(account: str, category: str, purpose: str) -> bool:
            use = Use(
                account=account,
                party=party,
                role=PartyRole.FIRST,
                category=category,
                purpose=purpose,
                beside=beside,
            )
            end_us = yes_end_us(history, use, now_us)
            return end_us is not None and end_us <= now_us

        return {use for use in asked if any(has_ended(account, *use) for account in accounts)}

    def _stands(self, known: PartyHistory, name: str) -> bool:
        """Return whether a signal refuses anything still; one that no terms mention yet may do so under later ones."""
        seen_us = max(at_us for at_us, signal, _ in known.signals if signal == name)
        yeses = {
            use
            for said in known.decisions
            if said.yes and said.said_us > seen_us
            for use in product(said.categories, said.purposes)
        }
        counted = [set(terms.signals.get(name, ())) for terms in self._opened.history().bindings.published()]
        purposes = set().union(*counted)
        return not purposes or not set(product(self._opened.history().vocabulary.categories, purposes)) <= yeses


def _about_content(body: dict[str, Any], vocabulary: Vocabulary) -> dict[str, Any] | None:
    """Return an answer as far as it is about content; none if it is not. A signal is about all that the terms name."""
    if "signal" in body:
        return body
    data = [category for category in vocabulary.leaves_of_data(body["data"]) if vocabulary.is_content(category)]
    return {**body, "data": data} if data else None


def _last(known: PartyHistory, at_us: int) -> dict[_Use, bool]:
    """Return what a party said last about each use: whether it was a yes, and has not ended by its own date."""
    last: dict[_Use, bool] = {}
    for said in known.decisions:
        stands = said.yes and (said.until_us is None or at_us < said.until_us)
        last |= dict.fromkeys(product(said.categories, said.purposes), stands)
    return last


def _answered_since(known: PartyHistory, other: PartyHistory) -> set[_Use]:
    """Return the uses about which a party has said something after another's last word."""
    last_us, others_us = (
        {use: said.said_us for said in one.decisions for use in product(said.categories, said.purposes)}
        for one in (known, other)
    )
    return {use for use, at_us in last_us.items() if use in others_us and at_us > others_us[use]}


def _together(uses: Iterable[_Use]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield uses as few pairs of categories and purposes."""
    categories: dict[str, set[str]] = defaultdict(set)
    for data, purpose in uses:
        categories[purpose].add(data)
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for purpose, data_of in categories.items():
        alike[tuple(sorted(data_of))].append(purpose)
    for data_alike, purposes in sorted(alike.items()):
        yield list(data_alike), sorted(purposes)
