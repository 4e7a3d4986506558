"""What is held: of one person, to read and to take away, with what became of what they asked for; and of all, counted.

A person's own records need nobody's yes to be shown to that person, and nobody else's are among them. Whoever calls
answers for who asks.
"""

from typing import IO, Any, Final

from volition.canonical import us_to_text
from volition.consent.gate import Gate, Subject
from volition.consent.terms.model import CATEGORIES, PURPOSES
from volition.features.released import READS
from volition.learning.release import ModelState, at_work
from volition.transparency.data_requests import Request, requests_of
from volition.transparency.holdings import (
    Exported,
    Holdings,
    Place,
    count_days,
    lessons_of,
    places_of,
    uses_json,
    write_export,
)
from volition.workspace.forgetting import Forgetting
from volition.workspace.learning import FAMILIES
from volition.workspace.selecting import LEARNS_FROM

_USES: Final = {
    **LEARNS_FROM,
    **READS,
    "feature/compose": ("content/chat",),
    "feature/diagnose": LEARNS_FROM["train/diagnose"],
}
"""What a purpose has a use for, of what is held of a person; the others could use anything that the terms let them."""


class Holding(Forgetting):
    """A workspace that tells what it holds."""

    def holdings(self, person: str) -> Holdings:
        """Return what is held of a person and what it was used for. Whoever calls answers for who asks.

        Raises:
            InvalidInputError: The person is not known.
            RefusedError: The person was erased.
        """
        subject = Subject(pseudonym=self.parties.person(person).pseudonym, at_us=self.now_us)
        frozen = [entry for entry in self.history().doings if entry.kind == "snapshot"]
        snapshots = ((entry.at_us, self.open_snapshot(entry.body["snapshot"])) for entry in frozen)
        return Holdings(
            at_us=subject.at_us,
            days=count_days(self._lake, subject),
            uses=self._uses.of(subject.pseudonym),
            lessons=lessons_of(subject.pseudonym, snapshots),
        )

    def places(self, person: str, *, account: str) -> tuple[Place, ...]:
        """Return the meetings and conversations of an account that a person was in, and how their lines stand now.

        Raises as `holdings` does.
        """
        subject = Subject(pseudonym=self.parties.person(person).pseudonym, at_us=self.now_us)
        gates = {one: (Gate(self.permits(one)), _USES.get(one, CATEGORIES)) for one in PURPOSES}
        return places_of(self._lake, subject, account=account, gates=gates)

    def export(self, person: str, sink: IO[bytes]) -> Exported:
        """Write all that is held of a person as a zip of JSON and Parquet; see `holdings`. Raises as `holdings` does.

        Args:
            person: Whose records.
            sink: Where to; it can be sought in.
        """
        known, found = self.parties.person(person), self.holdings(person)
        about = {
            "origin": self.origin,
            "person": known.id,
            "account": known.account,
            "name": known.name,
            "aliases": list(known.aliases),
            "emails": list(known.emails),
            "pseudonym": known.pseudonym,
            "at": us_to_text(found.at_us),
            "checkpoint": self.ledger.checkpoint(),
        }
        return write_export(
            sink,
            lake=self._lake,
            subject=Subject(pseudonym=known.pseudonym, at_us=found.at_us),
            about=about,
            decisions=[
                {"seq": entry.seq, "at": us_to_text(entry.at_us), "kind": entry.kind, **entry.body}
                for entry in reversed(self.answers(person))
            ],
            uses=uses_json(found.uses, found.lessons),
        )

    def requests(self, party: str) -> tuple[Request, ...]:
        """Return what a person asked for and how far it is, the newest first.

        Args:
            party: As the ledger names them, "person:PSEUDONYM": an erased person has no other name.
        """
        return requests_of(
            party,
            history=self.history(),
            models=self.models().values(),
            owed=self.owed(),
            open_snapshot=self.open_snapshot,
        )

    def status(self) -> dict[str, Any]:
        """Return what there is, as a JSON object: ledger, parties, terms, records, snapshots, models, what is owed."""
        models = self.models()
        at_work_ids = {state.id for family in FAMILIES if (state := at_work(models, family)) is not None}
        history = self.history()
        return {
            "origin": self.origin,
            "key": self.verifier.to_text(),
            "ledger": {"size": history.size, "last": us_to_text(history.last_us) if history.size else None},
            "terms": [terms.id for terms in self.terms()],
            "accounts": [account.id for account in self.parties.accounts()],
            "people": len(self.parties.people()),
            "records": self._lake.size(),
            "small_files": self._lake.small_files(),
            "snapshots": self.snapshots(),
            "models": [
                {
                    "id": state.id,
                    "family": state.family,
                    "snapshot": state.snapshot,
                    "state": _state_name(state, state.id in at_work_ids),
                }
                for state in models.values()
            ],
            "owed": [owed.to_json() for owed in self.owed()],
            "encoder": "there" if self.encoder() is not None else "missing: search and summary work without it",
        }


def _state_name(state: ModelState, working: bool) -> str:  # noqa: FBT001 - told by the caller, not chosen
    if state.forgotten_us is not None:
        return "forgotten"
    if working:
        return "at work"
    return "trained" if state.released_us is None else "superseded"
