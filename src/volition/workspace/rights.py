"""What is held: of one person, to read and to take away, with what became of what they asked for; and of all, counted.

A person's own records need nobody's yes to be shown to that person, and nobody else's are among them. The caller
answers for who asks.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import IO, Final

from volition.canonical import us_to_text
from volition.consent.gate import Gate, Subject
from volition.consent.parties import Person
from volition.consent.references import PartyRef, person_ref
from volition.learning.families.installed import read_for
from volition.ledger.entry import Entry
from volition.transparency.data_requests import DataRequest, RequestKind, data_requests_of
from volition.transparency.holdings import (
    Exported,
    Holdings,
    Place,
    TrainingSet,
    count_days,
    places_of,
    training_sets_of,
    uses_json,
    write_export,
)
from volition.transparency.usage import UsageCount
from volition.workspace.accesses import Accesses
from volition.workspace.consent import Consent
from volition.workspace.erasing_tables import ErasingTables
from volition.workspace.gate import GateQuestions
from volition.workspace.models import Models
from volition.workspace.namesakes import Namesakes
from volition.workspace.opened import Opened
from volition.workspace.snapshots import Snapshots

_EVERY_LINE: Final = 1 << 31


class Rights:
    """Answers what a person may ask for."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a group that rights need
        self,
        opened: Opened,
        gate: GateQuestions,
        consent: Consent,
        snapshots: Snapshots,
        models: Models,
        accesses: Accesses,
    ) -> None:
        """Take the folder, the gate, what people said, the snapshots and models that may hold them, and who looked."""
        self._opened = opened
        self._gate = gate
        self._consent = consent
        self._snapshots = snapshots
        self._models = models
        self._accesses = accesses
        self._namesakes = Namesakes(opened)

    def holdings(self, person: str) -> Holdings:
        """Return what is held of a person and what it was used for. The caller answers for who asks.

        Raises:
            InvalidInputError: The person is not known.
            RefusedError: The person was erased.
        """
        known = self._opened.parties.person(person)
        subject = _subject(known, self._opened.now_us)
        frozen = (
            TrainingSet(snapshot=entry.body["snapshot"], purpose=entry.body["purpose"], at_us=entry.at_us, rows=None)
            for entry in self._opened.history().events
            if entry.kind == "snapshot"
        )
        return Holdings(
            at_us=subject.at_us,
            days=count_days(self._opened.lake, subject),
            uses=_added(use for pseudonym in known.pseudonyms for use in self._opened.uses.of(pseudonym)),
            training_sets=training_sets_of(known.pseudonyms, frozen, self._snapshots.open),
            may_be=len(self._namesakes.of(known)),
        )

    def places(self, person: str, *, account: str) -> tuple[Place, ...]:
        """Return the meetings and conversations of an account that a person was in, and how their lines stand now.

        Raises as `holdings` does.
        """
        subject = _subject(self._opened.parties.person(person), self._opened.now_us)
        vocabulary = self._opened.history().vocabulary
        gates = {one: (Gate(self._gate.permits(one)), read_for(one, vocabulary)) for one in vocabulary.purposes}
        return places_of(self._opened.lake, subject, account=account, gates=gates)

    def export(self, person: str, sink: IO[bytes]) -> Exported:
        """Write all that is held of a person as a zip of JSON and Parquet; see `holdings`. Raises as `holdings` does.

        Args:
            person: Whose records.
            sink: Where to; it can be sought in.
        """
        known, found = self._opened.parties.person(person), self.holdings(person)
        about = {
            "origin": self._opened.origin,
            "person": known.id,
            "account": known.account,
            "name": known.name,
            "aliases": [name for name in known.names if name != known.name],
            "emails": list(known.addresses),
            "pseudonym": known.pseudonym,
            "identities": [{"person": one.id, "pseudonym": one.pseudonym} for one in known.identities],
            "may_be": found.may_be,
            "at": us_to_text(found.at_us),
            "checkpoint": self._opened.ledger.checkpoint(),
        }
        return write_export(
            sink,
            lake=self._opened.lake,
            subject=_subject(known, found.at_us),
            about=about,
            decisions=[
                {"seq": entry.seq, "at": us_to_text(entry.at_us), "kind": entry.kind, **entry.body}
                for entry in self._said(person)
            ],
            uses=uses_json(found.uses, found.training_sets),
            accesses=[line.to_json() for line in self._accesses.of(person, limit=_EVERY_LINE)],
        )

    def _said(self, person: str) -> list[Entry]:
        """Return what a person has answered, left out and taken back in, oldest first; once, not for each identity."""
        exclusions = self._opened.history().exclusions
        names = [PartyRef(name) for name in self._opened.identities(self._opened.party(f"person:{person}"))]
        said = sorted((one for name in names for one in exclusions.said_by(name)), key=lambda one: one.seq)
        copied = {  # the entries of one answer stand side by side
            one.seq
            for before, one in pairwise(said)
            if one.seq == before.seq + 1
            and one.party != before.party
            and replace(one, party=before.party, at_us=before.at_us, seq=before.seq) == before
        }
        entries = [
            entry
            for one in said
            if one.seq not in copied
            for entry in self._opened.ledger.entries(one.seq, one.seq + 1)
        ]
        return sorted((*self._consent.answers(person), *entries), key=lambda entry: entry.seq)

    def requests(self, party: str) -> tuple[DataRequest, ...]:
        """Return what a person asked for and how far it is, the newest first.

        Args:
            party: As the ledger names them, "person:PSEUDONYM": an erased person has no other name. What was asked for
                under other identities of theirs is among it.
        """
        history = self._opened.history()
        parties = self._opened.identities(party)
        if history.erased_us(party) is not None:  # then the ledger alone says who was one
            erased = [entry.body for entry in history.events if entry.kind == "erasure"]
            parties = (party, *(body["party"] for body in erased if body.get("same_as") == party))
        found = data_requests_of(
            parties,
            history=history,
            models=self._opened.models().values(),
            owed=self._models.owed(),
            open_snapshot=self._snapshots.open,
            purpose_of=lambda name: str(self._snapshots.named(name)["purpose"]),
        )
        _, _, pseudonym = party.partition(":")
        person = self._opened.parties.person_by_pseudonym(pseudonym)
        if history.erased_us(party) is None or person is None:
            return found
        tables = len(ErasingTables(self._opened).waiting(person_ref(person.pseudonym)))
        return tuple(replace(one, tables=tables) if one.kind is RequestKind.ERASURE else one for one in found)


def _subject(person: Person, at_us: int) -> Subject:
    pseudonym, *merged = person.pseudonyms
    return Subject(pseudonym=pseudonym, at_us=at_us, merged=tuple(merged))


def _added(uses: Iterable[UsageCount]) -> tuple[UsageCount, ...]:
    """Return the counts of several identities as one person's, the newest day first."""
    times: Counter[tuple[str, str, str]] = Counter()
    for use in uses:
        times[use.day, use.purpose, use.category] += use.times
    counts = [
        UsageCount(day=day, purpose=purpose, category=category, times=number)
        for (day, purpose, category), number in sorted(times.items())
    ]
    return tuple(sorted(counts, key=lambda one: one.day, reverse=True))
