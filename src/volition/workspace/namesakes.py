"""Two identities that may be one person: until they are joined, the no of each counts for both.

Somebody is heard in a meeting and becomes a guest; later they are registered under the same name, as a person of their
own. Which of the two a no was meant for nobody can tell, so it is recorded for both, as an entry of each that names the
other as `namesake`. A yes is never shared.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from volition.consent.identity import Identities
from volition.consent.parties import Person
from volition.ledger.entry import NewEntry
from volition.workspace.opened import Opened


class Namesakes:
    """Finds who may be the same person, and what each has refused."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._identities: tuple[tuple[int, int], Identities] | None = None

    def of(self, person: Person) -> list[Person]:
        """Return who may be the same person: somebody heard for one registered, or the other way round."""
        version = self._opened.parties.version()
        if self._identities is None or self._identities[0] != version:
            self._identities = version, Identities(self._opened.parties)
        return self._identities[1].namesakes(person)

    def refused_too(self, party: str, body: dict[str, Any]) -> Iterator[NewEntry]:
        """Yield the entries that a no (a decision or signal, as the ledger has it) takes for namesakes of its party."""
        person = self._opened.parties.person_by_pseudonym(party.removeprefix("person:"))
        kind = "signal" if "signal" in body else "decision"
        for other in [] if person is None else self.of(person):
            yield NewEntry(kind=kind, body={**body, "party": f"person:{other.pseudonym}", "namesake": party})

    def refusals_for(self, person: Person) -> Iterator[NewEntry]:
        """Yield the entries by which what namesakes have refused, and refuse still, counts for a person, too."""
        party = f"person:{person.pseudonym}"
        history = self._opened.history()
        for other in self.of(person):
            theirs = f"person:{other.pseudonym}"
            last: dict[tuple[str, str], bool] = {}
            known = history.party(theirs)
            for said in known.decisions:
                last |= dict.fromkeys(((data, use) for data in said.categories for use in said.purposes), said.yes)
            refused: dict[str, set[str]] = defaultdict(set)
            for (data, use), yes in last.items():
                if not yes:
                    refused[use].add(data)
            alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
            for use, categories in refused.items():
                alike[tuple(sorted(categories))].append(use)
            for alike_data, uses in sorted(alike.items()):
                about = {"data": list(alike_data), "purpose": sorted(uses), "covers": None}
                yield NewEntry(kind="decision", body={"party": party, "answer": "no", **about, "namesake": theirs})
            for _, name, _ in known.signals:
                yield NewEntry(kind="signal", body={"party": party, "signal": name, "namesake": theirs})
