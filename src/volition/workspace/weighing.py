"""Weighing, before the choice: what a yes gives a party, what it costs, what a no turns off, what withdrawing does.

Figures are those of the audits, or measured now on the party's own data. Nothing is measured with a model that learned
from what may not be used any more.
"""

from collections.abc import Sequence
from dataclasses import replace

from volition.consent.terms.model import PURPOSES, leaves
from volition.errors import InvalidInputError, RefusedError
from volition.features.released import READS
from volition.learning.audit.marginal import Effect
from volition.learning.families import Progress, silent
from volition.learning.release import ModelState, at_work
from volition.transparency.weigh import Known, Party, Weighed, measure_own_data, to_show, weigh
from volition.workspace.selecting import learns_from
from volition.workspace.using import Using


class Weighing(Using):
    """A workspace that weighs a choice."""

    def weigh(
        self, party: str, *, purpose: Sequence[str] | None = None, measure: bool = False, progress: Progress = silent
    ) -> Weighed:
        """Say what a yes gives a party, what it costs, what a no turns off, and what withdrawing later does.

        Args:
            party: "account:ID" or "person:ID". Whoever calls answers for who asks: a person is shown their own figures.
            purpose: For which purposes, by default for all; a name covers all below it.
            measure: Whether to measure now what the party's own data is worth: it takes as long as an audit.
            progress: Told how far that has come.

        Raises:
            InvalidInputError: The party or a purpose is not known.
        """
        history, at_us = self.history(), self.now_us
        ledger_name = self.party(party)
        kind, _, name = party.partition(":")
        account = name if kind == "account" else self.parties.person(name).account
        who = Party(name=party, ledger_name=ledger_name, account=account)
        chosen = PURPOSES if purpose is None else leaves(purpose, PURPOSES)
        models = [self._known(state) for state in self.models().values() if state.forgotten_us is None]
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
            purposes={one: READS.get(one, learns_from(one)) for one in chosen},
            models=models,
            due_days=self.due_days,
        )

    def _known(self, state: ModelState) -> Known:
        working = at_work(self.models(), state.family)
        try:
            findings = self._findings(state.id)  # without opening the model, which is read nowhere here
        except InvalidInputError:  # an earlier version's: as if it had not been audited
            findings = []
        return Known(
            state=state,
            at_work=working is not None and working.id == state.id,
            snapshot=self.open_snapshot(state.snapshot),
            findings=findings,
        )

    def _own_data(self, party: Party, model: Known, progress: Progress) -> tuple[Effect, Effect] | str:
        try:
            self._check_fresh(model.snapshot)
        except RefusedError:  # whose no it was, and of how many rows, is not for this party to know
            return "Not all that it learned from may be used any more. Ask again once it has forgotten."
        return measure_own_data(
            party,
            model,
            family=self.family(model.state.family),
            rows=model.snapshot.rows(self.parties),
            history=self.history(),
            at_us=self.now_us,
            progress=progress,
        )
