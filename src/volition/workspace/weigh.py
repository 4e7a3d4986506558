"""Weighing, before the choice: what a yes gives a party, what it costs, what a no turns off, what withdrawing does.

Figures are those of the audits, or measured now on the party's own data. Nothing is measured with a model that learned
from what may not be used any more.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from volition.errors import DamagedError, InvalidInputError, ProofError, RefusedError
from volition.learning.audit.marginal import Effect
from volition.learning.families.installed import read_for
from volition.learning.grades import CALLER
from volition.learning.registry import ModelState, at_work
from volition.progress import Progress, silent
from volition.transparency.figures import KnownModel, WeighingParty
from volition.transparency.savings import MEASURED, USAGE, Saving, savings
from volition.transparency.weigh import Weighed, measure_own_data, to_show, weigh
from volition.workspace.gate import GateQuestions
from volition.workspace.models import Models
from volition.workspace.opened import Opened
from volition.workspace.snapshots import Snapshots

_UNREAD: Final = "What it learned from cannot be read here at present, so your own data cannot be left out of it."


class Weighing:
    """Weighs a choice of one party."""

    def __init__(self, opened: Opened, gate: GateQuestions, snapshots: Snapshots, models: Models) -> None:
        """Take the opened folder, the gate, and the snapshots and models whose figures are weighed."""
        self._opened = opened
        self._gate = gate
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
        vocabulary = history.vocabulary
        chosen = vocabulary.purposes if purpose is None else vocabulary.leaves_of_use(purpose)
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
            purposes={one: read_for(one, vocabulary) for one in chosen},
            models=models,
            due_days=self._opened.due_days,
            saved={} if account is None else {one: self._saved(one, account) for one in chosen},
        )

    def _saved(self, purpose: str, account: str) -> tuple[Saving, ...]:
        """Say what a feature saved an account, from the usage that may be used for that feature now."""
        if purpose not in MEASURED:
            return savings(purpose, ())
        rows = self._opened.lake.rows(self._gate.permits(purpose), categories=USAGE, accounts=[account])
        return savings(purpose, list(rows))

    def _known(self, state: ModelState) -> KnownModel:
        """Return what is known of a model; damage of its files is said of it alone."""
        working = at_work(self._opened.models(), state.family)
        findings, snapshot, has_lost_findings = [], None, False
        try:
            findings = self._models.findings_of(state.id)  # without opening the model, which is read nowhere here
        except (InvalidInputError, DamagedError):  # an earlier version's, or damaged
            has_lost_findings = True
        with suppress(ProofError, DamagedError, InvalidInputError):
            snapshot = self._snapshots.open(state.snapshot)
        return KnownModel(
            state=state,
            at_work=working is not None and working.id == state.id,
            purpose=self._snapshots.named(state.snapshot)["purpose"],
            snapshot=snapshot,
            findings=findings,
            has_lost_findings=has_lost_findings,
        )

    def _own_data(self, party: WeighingParty, model: KnownModel, progress: Progress) -> tuple[Effect, Effect] | str:
        if model.snapshot is None:
            return _UNREAD
        try:
            self._models.check_fresh(model.snapshot)
            if model.state.trained_by == CALLER:
                return "Code of the operator's own trained this model, so what your data gave it is not measured here."
            rows = model.snapshot.rows(self._opened.parties)
        except (ProofError, DamagedError):
            return _UNREAD
        except RefusedError:  # whose no it was, and of how many rows, is not for this party to know
            return "Not all that it learned from may be used any more. Ask again once it has forgotten."
        if self._models.blocked(model.state.family):
            return "What trained this model is not installed here, so its worth cannot be measured. Ask the operator."
        return measure_own_data(
            party,
            model,
            family=self._models.family(model.state.family),
            rows=rows,
            history=self._opened.history(),
            at_us=self._opened.now_us,
            progress=progress,
        )
