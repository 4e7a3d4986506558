"""Forgetting and erasing: what a no obliges to undo is undone, in models, snapshots, the lake and the keys.

What was killed half-way is finished by the next forgetting. A model leaves its work in the same step of the ledger in
which the one that never saw the parties takes its place.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from volition.canonical import text_to_us
from volition.consent.lease import narrows
from volition.errors import InvalidInputError, RefusedError
from volition.files import PART, sweep
from volition.learning.forget import Owed, erase_retired, forget_rows, merged_people
from volition.learning.registry import ModelState
from volition.learning.release import check_releasable, missed_bounds, settle_releases
from volition.learning.train import keep
from volition.ledger.entry import NewEntry
from volition.progress import Progress, silent
from volition.records.snapshot import Snapshot
from volition.workspace.erasing import Erased, Erasing
from volition.workspace.gate import GateQuestions
from volition.workspace.models import Models
from volition.workspace.opened import Opened
from volition.workspace.snapshots import Snapshots

_MADE_MOST: Final = 10
"""How often a successor is made anew, where each time somebody in it says no before it is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """A forgetting that was done.

    Attributes:
        model: The model that was retired.
        successor: The model that never saw the parties; none if nothing was left to learn from, none was needed, or
            it misses a bound.
        parties: Who was forgotten.
        rows: How many rows.
        waits: The model that never saw the parties where it misses a bound: it is made and audited, and works only
            once somebody answers for its release.
    """

    model: str
    successor: str | None
    parties: tuple[str, ...]
    rows: int
    waits: str | None = None


class Forgetting:
    """Erases parties, and makes models forget."""

    def __init__(
        self, opened: Opened, gate: GateQuestions, snapshots: Snapshots, models: Models, erasing: Erasing
    ) -> None:
        """Take the opened folder, the gate, snapshots and models, and what erases."""
        self._opened = opened
        self._gate = gate
        self._snapshots = snapshots
        self._models = models
        self._erasing = erasing

    def erase(self, party: str) -> Erased:
        """Erase an account or a person for good: the ledger's entry, sign-in, records, what was set aside, the keys.

        A person is erased with every identity of theirs.

        Models that learned from it owe a forgetting from then on. Killed half-way, it is finished by the next `erase`
        or `forget`, and by a server that is started; the gate refuses from the ledger's entry on.

        Returns:
            What was removed; what an erasure that was killed had left is counted in.

        Raises:
            InvalidInputError: The party is not known.
            ConflictError: All is erased, but another process reads: old bytes are wiped when it is closed.
        """
        return self._erasing.erase(party)

    def forget(self, *, progress: Progress = silent) -> list[Forgotten]:
        """Do every forgetting that is owed: make the models that never saw the parties, release them, erase the old.

        A model that is not at work has no successor; it is erased. What a killed forgetting or erasing has left is
        finished, too. A model whose family is not installed waits until its due day (see `Owed.blocked`) and hinders no
        other; after that day it is erased without a successor.
        """
        self._erasing.finish()
        done = []
        for owed in self._models.owed():
            if owed.blocked:
                continue
            forgotten = self._forget_one(owed, progress)
            if forgotten is not None:
                done.append(forgotten)
        settle_releases(self._opened.folder / "releases", self._opened.models())
        self._erase_retired()
        return done

    def _forget_one(self, owed: Owed, progress: Progress) -> Forgotten | None:
        """Make one model forget; none where another process did meanwhile.

        Where somebody in its successor says no before that is recorded, the successor is made anew: nothing stale is
        entered.
        """
        parties = tuple(sorted(owed.parties))
        tries = 0
        while True:
            tries += 1
            state = self._opened.models()[owed.model]
            needs_successor = self._models.is_at_work(state) and not self._models.blocked(state.family)
            try:
                drafts, made = self._successor(state, progress) if needs_successor else ([], None)
                successor = made if any(draft.kind == "release" for draft in drafts) else None
                body = {"model": state.id, "successor": successor, "parties": list(parties)}
                new = [*drafts, NewEntry(kind="forgetting", body=body)]
                appended = self._opened.append_judged(
                    partial(self._still_right, new, state.id, made),
                    unless=lambda entry: narrows(entry) or entry.kind == "forgetting",
                )
            except RefusedError:
                if tries == _MADE_MOST:
                    raise
                continue
            if not appended:
                return None
            waits = None if successor else made
            return Forgotten(model=state.id, successor=successor, parties=parties, rows=owed.rows, waits=waits)

    def _still_right(self, new: list[NewEntry], model: str, made: str | None) -> list[NewEntry]:
        """Return what to append, judged by the ledger as it is now; nothing where the model was forgotten meanwhile."""
        if self._opened.models()[model].forgotten_us is not None:
            return []
        if made is not None:
            self._models.check_fresh(self._snapshots.open(self._models.open(made).record["snapshot"]))
        return new

    def _successor(self, state: ModelState, progress: Progress) -> tuple[list[NewEntry], str | None]:
        """Make and audit the model without the refused rows; return the drafts that record and release it.

        A model that misses a bound is recorded and not released: forgetting waits for nobody, and works without.
        """
        old = self._models.open(state.id)
        before = self._snapshots.open(state.snapshot)
        permits = self._gate.permits(before.purpose)
        after = self._snapshots.freeze(permits, text_to_us(before.manifest["collected_until"]), before, progress)
        family = self._models.family(state.family)
        try:
            merged = merged_people(self._opened.parties, self._opened.history())
            model = forget_rows(
                family, old.model, before, after, parties=self._opened.parties, merged=merged, progress=progress
            )
        except InvalidInputError:  # too little is left to learn from: the model retires without a successor
            return [], None
        trained = keep(model, after, models=self._opened.folder / "models")
        self._models.audit_trained(trained, after, progress)
        check_releasable(trained, after, self._gate.permits(after.purpose), self._models.findings(trained))
        drafts = [self._models.model_draft(trained, after)]
        if not missed_bounds(self._models.findings(trained), self._opened.settings.bounds):
            drafts.append(self._models.release_draft(trained, after))
        return drafts, trained.id

    def _erase_retired(self) -> list[str]:
        """Erase retired models, and the content of every snapshot that nothing may learn from any more.

        The folders say what there is, so that what a killed process never recorded in the ledger is found as well.
        A snapshot that a model still has to forget from is kept until it has.
        """
        for name in ("snapshots", "models"):
            sweep(self._opened.folder / name)
        models = self._opened.models()
        needed = {model.snapshot for model in models.values() if model.forgotten_us is None}
        frozen = (self._opened.folder / "snapshots").iterdir()
        found = [Snapshot.open(path) for path in sorted(frozen) if path.suffix != PART and path.name not in needed]
        return erase_retired(
            models,
            [snapshot for snapshot in found if snapshot.stale(self._gate.permits(snapshot.purpose))],
            folder=self._opened.folder / "models",
            runs=self._opened.folder / "runs",
        )
