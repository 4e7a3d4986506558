"""Weighing, before the choice: what a yes gives a party, what it costs, what a no turns off, what withdrawing does.

Figures are those of the audits, or measured now on the party's own data. Nothing is measured with a model that learned
from what may not be used any more.
"""

from collections.abc import Sequence
from dataclasses import replace

from volition.consent.terms.model import PURPOSES, leaves
from volition.errors import InvalidInputError, RefusedError
from volition.learning.audit.marginal import Effect
from volition.learning.families.installed import read_for
from volition.learning.registry import ModelState, at_work
from volition.progress import Progress, silent
from volition.transparency.figures import KnownModel, WeighingParty
from volition.transparency.weigh import Weighed, measure_own_data, to_show, weigh
from volition.workspace.models import Models
from volition.workspace.opened import Opened
from volition.workspace.snapshots import Snapshots


class Weighing:
    """Weighs a choice of one party."""

    def __init__(self, opened: Opened, snapshots: Snapshots, models: Models) -> None:
        """Take the opened folder, and the snapshots and models whose figures are weighed."""
        self._opened = opened
        self._snapshots = snapshots
        self._models = models

    def party(
        self, party: str, *, purpose: Sequence[str] | None = None, measure: bool = False, progress: Progress = silent
    ) -> Weighed:
        """Say what a yes gives a party, what it costs, what a no turns off, and what withdrawing later does.

        Args:
            party: "account:ID" or "person:ID". The caller answers for who asks: a person is shown their own figures.
            purpose: For which purposes, by default for all; a name covers all below it.
            measure: Whether to measure now what the party's own data is worth: it takes as long as an audit.
            progress: Called with how far that has come.

        Raises:
            InvalidInputError: The party or a purpose is not known.
        """
        history, at_us = self._opened.history(), self._opened.now_us
        ledger_name = self._opened.party(party)
        kind, _, name = party.partition(":")
        account = name if kind == "account" else self._opened.parties.person(name).account
        merged = self._opened.parties.changes.merged_pseudonyms()
        who = WeighingParty(name=party, ledger_name=ledger_name, account=account, merged=merged)
        chosen = PURPOSES if purpose is None else leaves(purpose, PURPOSES)
        models = [self._known(state) for state in self._opened.models().values() if state.forgotten_us is None]
        if measure:
            shown = [model for one in chosen for model in to_show(models, one)]
            models = [
                replace(model, effect=self._own_data(who, model, progress)) if model in shown else model
                for model in models
            ]
        return weigh(
            who,
            history=history,
            at_us=at_us,
            purposes={one: read_for(one) for one in chosen},
            models=models,
            due_days=self._opened.due_days,
        )

    def _known(self, state: ModelState) -> KnownModel:
        working = at_work(self._opened.models(), state.family)
        try:
            findings = self._models.findings_of(state.id)  # without opening the model, which is read nowhere here
        except InvalidInputError:  # an earlier version's: as if it had not been audited
            findings = []
        return KnownModel(
            state=state,
            at_work=working is not None and working.id == state.id,
            snapshot=self._snapshots.open(state.snapshot),
            findings=findings,
        )

    def _own_data(self, party: WeighingParty, model: KnownModel, progress: Progress) -> tuple[Effect, Effect] | str:
        try:
            self._models.check_fresh(model.snapshot)
        except RefusedError:  # whose no it was, and of how many rows, is not for this party to know
            return "Not all that it learned from may be used any more. Ask again once it has forgotten."
        if self._models.blocked(model.state.family):
            return "What trained this model is not installed here, so its worth cannot be measured. Ask the operator."
        return measure_own_data(
            party,
            model,
            family=self._models.family(model.state.family),
            rows=model.snapshot.rows(self._opened.parties),
            history=self._opened.history(),
            at_us=self._opened.now_us,
            progress=progress,
        )
