"""Releases: a model is put to work with a signed card, and works until it should have forgotten.

What is stale, was not audited, or misses a bound for which nobody answers is not released. What a model owes is told
with its due day; past that day the model works no more.
"""

import json
from typing import Any, Literal

from volition import canonical
from volition.errors import InvalidInputError, ProofError
from volition.learning.card import card_for_people, card_markdown
from volition.learning.families import Model
from volition.learning.forget import Owed, owed_by
from volition.learning.release import (
    ModelState,
    Override,
    at_work,
    check_bounds,
    check_releasable,
    read_card,
    settle_releases,
    write_release,
)
from volition.learning.train import Trained
from volition.ledger.log import Draft, Entry
from volition.records.snapshot import Snapshot
from volition.transparency.weigh import tells_of_few
from volition.workspace.learning import Learning
from volition.workspace.opening import read_bytes


class Releasing(Learning):
    """A workspace that puts models to work."""

    def release(self, model: str, *, override: Override | None = None) -> Entry:
        """Put a model to work, with a signed card.

        Args:
            model: Its id.
            override: Who answers for a release beyond the bounds of [audit] in the settings, and why; that stays in
                the ledger. It reaches no further: what is stale or was not audited is not released.

        Raises:
            RefusedError: It is stale, was not audited, or misses a bound for which nobody answers.
            InvalidInputError: Somebody answers, and no bound is missed.
        """
        trained = self.open_model(model)
        snapshot = self.open_snapshot(trained.record["snapshot"])
        check_releasable(trained, snapshot, self.permits(snapshot.purpose), self.findings(trained))
        check_bounds(trained, self.findings(trained), self.bounds, override)
        entry = self.ledger.append(self._release_draft(trained, snapshot, override))[0]
        settle_releases(self.folder / "releases", self.models())
        return entry

    def _release_draft(self, trained: Trained, snapshot: Snapshot, override: Override | None = None) -> Draft:
        bound = {
            terms.id
            for account in snapshot.manifest["accounts"]
            for start_us, terms in self.history().terms_of(account)[-1:]
            if start_us <= self.now_us
        }
        named = write_release(
            self.folder / "releases",
            trained=trained,
            snapshot=snapshot,
            findings=self.findings(trained),
            required=[audit for audit, asked in self.bounds.items() if asked.required],
            override=override,
            terms=sorted(bound),
            checkpoint=self.ledger.checkpoint(),
            signer=self._signer,
            at_us=self.now_us,
        )
        return Draft(kind="release", body={"model": trained.id, **named})

    def release_file(self, model: str, name: Literal["card.json", "card.md", "attestation.json"]) -> bytes:
        """Return a file of a model's newest release, as the ledger names it.

        Raises:
            InvalidInputError: The model was never released, or was forgotten.
            ProofError: The file is not the one that was released.
        """
        state = self.models().get(model)
        if state is None or state.released_us is None or state.forgotten_us is not None:
            msg = f"Model {model!r} has no card: it was never released, or was forgotten. See the list of models."
            raise InvalidInputError(msg)
        settle_releases(self.folder / "releases", {model: state})
        files = {each: read_bytes(self.folder / "releases" / model / each) for each in ("card.json", name)}
        told = json.loads(files["card.json"])
        whole = canonical.digest(files["card.json"]) == state.card
        if name == "attestation.json":
            whole = whole and canonical.digest(files[name]) == state.attestation
        if not whole or (name == "card.md" and files[name] != card_markdown(told).encode()):
            msg = f"{name} of model {model} is not the one that was released. Restore it from a copy."
            raise ProofError(msg)
        return files[name]

    def card(self, model: str) -> dict[str, Any]:
        """Return the card of a model's release; it stays readable once the model was forgotten.

        Raises:
            InvalidInputError: There is no such model, or it was never released.
            ProofError: It is not the card that the ledger names.
        """
        models = self.models()
        settle_releases(self.folder / "releases", models)
        return read_card(self.folder / "releases", models.get(model), model)

    def card_for(self, person: str, model: str) -> dict[str, Any]:
        """Return a card as a person may read it: without other customers' names and figures. Raises as `card` does."""
        account = self.parties.person(person).account
        return card_for_people(self.card(model), withheld=lambda found: tells_of_few(found, account))

    def owed(self) -> list[Owed]:
        """Return every forgetting that a model owes now, the earliest due first."""
        found = [self._owed_by(model) for model in self.models().values() if model.forgotten_us is None]
        return sorted((owed for owed in found if owed is not None), key=lambda owed: (owed.due_us, owed.model))

    def _owed_by(self, model: ModelState) -> Owed | None:
        snapshot = self.open_snapshot(model.snapshot)
        return owed_by(model, snapshot, self.history(), at_us=self.now_us, due_days=self.due_days)

    def _at_work(self, family: str) -> str | None:
        """Return the id of the family's model at work; one that should have forgotten by now works no more."""
        state = at_work(self.models(), family)
        if state is None:
            return None
        owed = self._owed_by(state)
        if owed is not None and owed.due_us < self.now_us:
            return None
        return state.id

    def _model_at_work(self, family: str) -> Model | None:
        model = self._at_work(family)
        return None if model is None else self.open_model(model).model
