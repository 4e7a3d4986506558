"""Forgetting and erasing: what a no obliges to undo is undone, in models, snapshots, the lake and the keys.

- A forgetting is judged once, when the successor's snapshot is entered. Whoever says no while the successor is made is
  forgotten by the next forgetting, due from the day of that no: people who go on deciding never hold one up.
- What was killed half-way is finished by the next forgetting: it takes up the snapshot and the parts that are there.
- A model leaves its work in the same step of the ledger in which the one that never saw the parties takes its place.
- A model that still owes when its due day comes is retired without a successor, and its files are erased.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Final

from volition.canonical import text_to_us
from volition.consent.lease import narrows
from volition.errors import BackendError, DamagedError, InvalidInputError, ProofError, RefusedError, VolitionError
from volition.files import PART, sweep, write_file
from volition.learning.forget import Owed, erase_retired, forget_rows, merged_people
from volition.learning.grades import CALLER
from volition.learning.registry import ModelState
from volition.learning.release import missed_bounds, settle_releases
from volition.learning.train import FolderParts, keep
from volition.ledger.entry import Entry, NewEntry
from volition.progress import Progress, silent
from volition.records.snapshot import Snapshot
from volition.workspace.erasing import Erased, Erasing
from volition.workspace.erasing_tables import TableErased, TableErasureError
from volition.workspace.forget_command import ForgetCommandError, drop_lists, run_forget_command
from volition.workspace.gate import GateQuestions
from volition.workspace.models import Models
from volition.workspace.opened import Opened
from volition.workspace.snapshots import Snapshots
from volition.workspace.training_settings import RETIRED, TrainingSettings

_MADE_MOST: Final = 10
"""How often a successor is made anew, where each time an account in it is erased meanwhile."""

_FROZEN_MOST: Final = 100
"""How often a snapshot is frozen anew, where each time somebody in it says no before it is entered."""

_KEPT_US: Final = 24 * 60 * 60 * 1_000_000
"""For how long a forgetting that was killed goes on with a snapshot of which somebody has said no since."""

_NOTE: Final = ".forgetting"

RETIRED_EARLY_US: Final = 10 * 60 * 1_000_000
"""How long before the due instant a model is retired, so that it is not still there when that comes."""


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
        damage: What is lost or damaged, so that no successor could be made; empty where nothing is.
    """

    model: str
    successor: str | None
    parties: tuple[str, ...]
    rows: int
    waits: str | None = None
    damage: str = ""


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

    def erase(self, party: str, *, tables: bool = True) -> Erased:
        """Erase an account or a person for good: the ledger's entry, sign-in, records, what was set aside, the keys.

        So are their rows in the tables elsewhere that the settings list; nobody can read an older version of these
        any more.

        A person is erased with every identity of theirs.

        Models that learned from it owe a forgetting from then on. Killed half-way, it is finished by the next `erase`
        or `forget`, and by a server that is started; the gate refuses from the ledger's entry on.

        Args:
            party: As "account:ID" or "person:ID".
            tables: Whether tables elsewhere are walked now, which may take long; otherwise whoever is in any keeps
                their key until the next `forget`.

        Returns:
            What was removed; what an erasure that was killed had left is counted in.

        Raises:
            InvalidInputError: The party is not known.
            TableErasureError: All here is erased, but a table elsewhere is not.
            ConflictError: All is erased, but another process reads: old bytes are wiped when it is closed.
        """
        return self._erasing.erase(party, tables=tables)

    def would_go(self, party: str) -> list[TableErased]:
        """Return what erasing a party would do to each table elsewhere that the settings list; nothing changes.

        Raises:
            InvalidInputError: The party is not known.
            TableErasureError: A table cannot be reached, or is of a kind from which nothing can be erased.
        """
        return self._erasing.tables.would_go(self._opened.party(party))

    def forget(self, *, progress: Progress = silent) -> list[Forgotten]:
        """Do every forgetting that is owed: make the models that never saw the parties, release them, erase the old.

        A model that is not at work has no successor; it is erased. So is one of which something is damaged: its
        snapshot, its files, or the records that are left of it. What is damaged is said, and hinders no other. What a
        killed forgetting or erasing has left is finished, too. A model whose family is not installed waits until its
        due day (see `Owed.blocked`) and hinders no other; after that day it is erased without a successor.

        A model of one's own is made to forget by the command of its settings, or is retired where there is none. One
        whose command fails owes on, is told, and hinders no other; on its due day it is retired.

        Raises:
            TableErasureError: All is forgotten, but a table elsewhere still has rows of whom is erased.
            DamagedError: All is forgotten, but an erasure that was killed cannot be finished: a file is damaged.
            ForgetCommandError: All others have forgotten, but a command that was to train again failed.
        """
        unfinished: VolitionError | None = self._finish_erasing()
        done = []
        for owed in self._models.owed():
            if owed.blocked:
                continue
            try:
                forgotten = self._forget_one(owed, progress)
            except ForgetCommandError as error:  # of this model alone: it owes on until its due day
                unfinished = unfinished or error
                continue
            if forgotten is not None:
                done.append(forgotten)
        settle_releases(self._opened.folder / "releases", self._opened.models())
        try:
            self._erase_retired()
        except OSError as error:
            told = f"{len(done)} models forgot" if len(done) != 1 else "One model forgot"
            msg = f"{told}, but files of what was retired are still there: {error}. Mend that, then run forget again."
            raise BackendError(msg) from error
        if unfinished is not None:
            raise unfinished
        return done

    def retire_due(self) -> list[Forgotten]:
        """Retire every model whose due day has come, without a successor, and erase its files. It takes no family."""
        now_us = self._opened.now_us
        due = [owed for owed in self._models.owed() if owed.due_us - RETIRED_EARLY_US <= now_us]
        done = [forgotten for owed in due if (forgotten := self._replace(owed, [], None, owed.damage)) is not None]
        if done:
            settle_releases(self._opened.folder / "releases", self._opened.models())
            self._erase_retired()
        return done

    def _finish_erasing(self) -> VolitionError | None:
        """Finish erasures; return why one could not be: models forget all the same."""
        self._erasing.lake()  # where all of it is lost, nothing is retired for want of a successor
        try:
            self._erasing.finish()
        except (DamagedError, TableErasureError) as error:
            return error
        return None

    def _forget_one(self, owed: Owed, progress: Progress) -> Forgotten | None:
        """Make one model forget; none where another process did meanwhile."""
        tries = 0
        while True:
            tries += 1
            state = self._opened.models()[owed.model]
            try:
                if state.trained_by == CALLER:
                    return self._forget_own(owed, state, progress)
                drafts, made, damage = self._made(owed, state, progress)
                return self._replace(owed, drafts, made, damage)
            except RefusedError:  # an account in the snapshot was erased: nobody can learn from it any more
                self._note_of(owed.model).unlink(missing_ok=True)
                if tries == _MADE_MOST:
                    raise

    def _forget_own(self, owed: Owed, state: ModelState, progress: Progress) -> Forgotten | None:
        """Have a model of one's own forget by its command; retire it where it has none, or where its day has come."""
        settings = self._opened.settings.trainings.get(state.family, RETIRED)
        if owed.damage or not settings.command or not self._models.is_at_work(state):
            return self._replace(owed, [], None, owed.damage)
        try:
            before = self._snapshots.open(state.snapshot)
            after = self._frozen(state.id, before, progress)
            made = self._made_by_command(state, settings, before, after)
        except (ProofError, DamagedError) as error:  # a no waits for no backup
            return self._replace(owed, [], None, str(error))
        except ForgetCommandError:
            if self._opened.now_us < owed.due_us - RETIRED_EARLY_US:
                raise
            return self._replace(owed, [], None, "")
        trained = self._models.open(made)
        learnt = self._snapshots.open(trained.record["snapshot"])
        findings = self._models.findings(trained)
        is_good = bool(findings) and not missed_bounds(findings, self._opened.settings.bounds)

        def still_fresh() -> None:  # unlike a family's, its entry stands already: it is released only while it may be
            self._models.check_fresh(learnt)

        drafts = [self._models.release_draft(trained, learnt)] if is_good else []
        return self._replace(owed, drafts, made, "", check=still_fresh)

    def _made_by_command(self, state: ModelState, settings: TrainingSettings, before: Snapshot, after: Snapshot) -> str:
        """Run the command that trains again, and return the model that it has entered in the ledger."""
        began = self._opened.history().size
        run_forget_command(
            settings,
            workspace=self._opened.folder,
            model=state.id,
            snapshot=after.id,
            without=[key.record_id for key in before.gone_in(after)],
            parties=self._opened.parties,
        )
        entered = [
            entry.body["model"]
            for entry in self._opened.history().events
            if entry.kind == "model" and entry.body["family"] == state.family and entry.seq >= began
        ]
        wanted = (state.family, after.id)
        known = [one.id for one in self._opened.models().values() if (one.family, one.snapshot) == wanted]
        if not entered and known:  # a forgetting that was killed had come as far
            return known[-1]
        if not entered:
            raise ForgetCommandError(
                f"The command that makes {state.id} forget ended well, and entered no model of {state.family}. It "
                f'has to train in `workspace.models.training("{state.family}", snapshot=...)`.'
            )
        return str(entered[-1])

    def _made(self, owed: Owed, state: ModelState, progress: Progress) -> tuple[list[NewEntry], str | None, str]:
        """Make a successor where one is needed; where what it would be made of is damaged none is, and that is said."""
        needs_successor = self._models.is_at_work(state) and not self._models.blocked(state.family)
        if owed.damage or not needs_successor:
            return [], None, owed.damage
        try:
            return *self._successor(state, progress), ""
        except (ProofError, DamagedError) as error:  # a no waits for no backup
            return [], None, str(error)

    def _replace(
        self,
        owed: Owed,
        drafts: list[NewEntry],
        made: str | None,
        damage: str,
        *,
        check: Callable[[], None] | None = None,
    ) -> Forgotten | None:
        """Retire a model and put what was made in its place, in one step; none where another process did meanwhile."""
        parties = tuple(sorted(owed.parties))
        successor = made if any(draft.kind == "release" for draft in drafts) else None
        body = {"model": owed.model, "successor": successor, "parties": list(parties)}
        new = [*drafts, NewEntry(kind="forgetting", body=body)]

        def judged() -> list[NewEntry]:
            if check is not None:
                check()
            return self._unless_forgotten(owed.model, new)

        appended = self._opened.append_judged(judged, unless=_is_forgetting if check is None else _may_matter)
        if not appended:
            return None
        self._drop_parts(owed.model)
        waits = None if successor else made
        return Forgotten(
            model=owed.model, successor=successor, parties=parties, rows=owed.rows, waits=waits, damage=damage
        )

    def _unless_forgotten(self, model: str, new: list[NewEntry]) -> list[NewEntry]:
        """Return what to append; nothing where the model was forgotten meanwhile."""
        return new if self._opened.models()[model].forgotten_us is None else []

    def _successor(self, state: ModelState, progress: Progress) -> tuple[list[NewEntry], str | None]:
        """Make and audit the model without the refused rows; return the drafts that record and release it.

        A model that misses a bound is recorded and not released: forgetting waits for nobody, and works without. Where
        somebody has said no to it meanwhile it could not be released later either, and is not recorded.
        """
        old = self._models.open(state.id)
        before = self._snapshots.open(state.snapshot)
        after = self._frozen(state.id, before, progress)
        family = self._models.family(state.family)
        try:
            merged = merged_people(self._opened.parties, self._opened.history())
            model = forget_rows(
                family,
                old.model,
                before,
                after,
                parties=self._opened.parties,
                merged=merged,
                parts=FolderParts(self._parts_of(family.name, after.id)),
                progress=progress,
            )
        except InvalidInputError:  # too little is left to learn from: the model retires without a successor
            return [], None
        trained = keep(model, after, models=self._opened.folder / "models")
        self._models.audit_trained(trained, after, progress)
        drafts = [self._models.model_draft(trained)]
        if not missed_bounds(self._models.findings(trained), self._opened.settings.bounds):
            return [*drafts, self._models.release_draft(trained, after)], trained.id
        if after.stale(self._gate.permits(after.purpose)):
            return [], None
        return drafts, trained.id

    def _frozen(self, model: str, before: Snapshot, progress: Progress) -> Snapshot:
        """Return what may still be used of a model's snapshot: as a killed forgetting has frozen it, or frozen now."""
        kept = self._kept(model)
        if kept is not None:
            is_fresh = not kept.stale(self._gate.permits(kept.purpose))
            if is_fresh or self._opened.now_us - text_to_us(kept.manifest["at"]) < _KEPT_US:
                return kept
        tries = 0
        while True:
            tries += 1
            permits = self._gate.permits(before.purpose)
            until_us = text_to_us(before.manifest["collected_until"])
            try:
                after = self._snapshots.freeze(permits, until_us, before, progress)
            except RefusedError:  # somebody in it said no before it was entered
                if tries == _FROZEN_MOST:
                    raise
                continue
            write_file(self._note_of(model), after.id.encode())
            return after

    def _kept(self, model: str) -> Snapshot | None:
        """Return the snapshot with which a killed forgetting of a model can go on; none where there is none."""
        try:
            kept = self._snapshots.open(self._note_of(model).read_text(encoding="utf-8"))
        except (OSError, VolitionError):
            return None
        return kept if kept.has_content else None

    def _note_of(self, model: str) -> Path:
        """Return where it is noted with which snapshot a forgetting of a model has begun."""
        return self._opened.folder / "runs" / f"{model}{_NOTE}"

    def _parts_of(self, family: str, snapshot: str) -> Path:
        return self._opened.folder / "runs" / f"{family}-{snapshot}"

    def _drop_parts(self, model: str) -> None:
        """Remove what a forgetting that is done had noted and finished."""
        note = self._note_of(model)
        with suppress(OSError, KeyError):
            family = self._opened.models()[model].family
            for parts in (family, f"audit-{family}"):
                rmtree(self._parts_of(parts, note.read_text(encoding="utf-8")), ignore_errors=True)
        note.unlink(missing_ok=True)
        drop_lists(self._opened.folder, model)

    def _erase_retired(self) -> list[str]:
        """Erase retired models, and the content of every snapshot that nothing may learn from any more.

        The folders say what there is, so that what a killed process never recorded in the ledger is found as well.
        A snapshot that a model still has to forget from is kept until it has.
        """
        for name in ("snapshots", "models"):
            sweep(self._opened.folder / name)
        models = self._opened.models()
        for note in (self._opened.folder / "runs").glob(f"*{_NOTE}"):
            known = models.get(note.name.removesuffix(_NOTE))
            if known is None or known.forgotten_us is not None:
                self._drop_parts(note.name.removesuffix(_NOTE))
        left = [model for model in models.values() if model.forgotten_us is None]
        begun = [kept.id for model in left if (kept := self._kept(model.id)) is not None]
        needed = {*(model.snapshot for model in left), *begun}
        frozen = (self._opened.folder / "snapshots").iterdir()
        found = [path for path in sorted(frozen) if path.suffix != PART and path.name not in needed]
        return erase_retired(
            models,
            [snapshot for path in found if (snapshot := self._stale(path)) is not None],
            folder=self._opened.folder / "models",
            runs=self._opened.folder / "runs",
        )

    def _stale(self, folder: Path) -> Snapshot | None:
        """Return a snapshot that nothing may learn from any more; none where something may.

        One that is damaged is one of them: nobody can tell, and nothing learns from it.
        """
        try:
            snapshot = Snapshot.open(folder)
            return snapshot if snapshot.stale(self._gate.permits(snapshot.purpose)) else None
        except (ProofError, InvalidInputError):
            return Snapshot(folder=folder, manifest={})


def _is_forgetting(entry: Entry) -> bool:
    return entry.kind == "forgetting"


def _may_matter(entry: Entry) -> bool:
    return _is_forgetting(entry) or narrows(entry)
