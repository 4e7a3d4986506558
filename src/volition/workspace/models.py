"""Models: a family learns from a snapshot, audits measure the model, and a release puts it to work with a signed card.

A snapshot from which somebody has said no since is learnt from no more: that is asked before learning and after it,
before an audit, and by anyone who measures with a model later. What is stale, was not audited, or misses a bound for
which nobody answers is not released. What a model owes has a due day; past that day the model works no more.
"""

# ruff: noqa: PLC0415 - families and audits load packages that take seconds: where they are used

import json
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from volition import canonical
from volition.canonical import us_to_text
from volition.consent.parties import lost
from volition.errors import DamagedError, InvalidInputError, ProofError, RefusedError, naming_extras
from volition.files import turn
from volition.learning.audit.finding import Finding
from volition.learning.card import card_for_people, card_markdown
from volition.learning.families.adapter.spec import SPEC as ADAPTER
from volition.learning.families.family import Family
from volition.learning.families.installed import (
    BUILT_IN,
    FamilyMissingError,
    find_family,
    installed_families,
    settings_table,
)
from volition.learning.families.model import Model
from volition.learning.families.spec import FamilyContext, FamilySpec
from volition.learning.forget import Owed, owed_by, owed_by_damaged
from volition.learning.freshness import check_fresh
from volition.learning.grades import CALLER, FAMILY, Grade
from volition.learning.own import check_own
from volition.learning.registry import ModelState, at_work
from volition.learning.release import (
    Override,
    check_bounds,
    check_releasable,
    merged_in,
    read_card,
    settle_releases,
    sweep_staged,
    terms_in_force,
    write_release,
)
from volition.learning.train import FolderParts, Trained, model_entry, train
from volition.ledger.entry import Entry, NewEntry
from volition.progress import Progress, silent
from volition.records.snapshot import Snapshot
from volition.workspace.gate import GateQuestions
from volition.workspace.opened import Opened, read_bytes
from volition.workspace.settings import SETTINGS_FILE
from volition.workspace.snapshots import Snapshots
from volition.workspace.training import OwnTrainings, keep_findings
from volition.workspace.training_settings import RETIRED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from volition.learning.audit.measured import Measured
    from volition.learning.families.adapter.family import AdapterFamily

_LOOK_AGAIN_US: Final = 60_000_000
"""How long an answer about what is at work is remembered while the ledger does not grow: a record that grows too
old and terms that begin to bind are no entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Working:
    """A family's model at work, as it was found: right while the ledger has `size` entries, and before `until_us`."""

    size: int
    until_us: int
    model: str | None
    opened: Model | None = None


class Models:
    """Trains, audits and releases models, and says which are at work."""

    def __init__(self, opened: Opened, gate: GateQuestions, snapshots: Snapshots, trainings: OwnTrainings) -> None:
        """Take the opened folder, the gate, the snapshots that models learn from, and trainings of one's own."""
        self.training = trainings.training
        self._trainings = trainings
        self._opened = opened
        self._gate = gate
        self._snapshots = snapshots
        self._made: dict[str, Family] = {}  # a base takes seconds to load
        self._working: dict[str, _Working] = {}  # by family

    def states(self) -> dict[str, ModelState]:
        """Return every model that was ever trained, by id, oldest first."""
        return self._opened.models()

    def families(self) -> dict[str, str]:
        """Return what can be trained here, and for which purpose each learns; some need a table in the settings."""
        return {name: spec.purpose for name, spec in installed_families().items() if not self._unset(spec)}

    def family(self, name: str) -> Family:
        """Return a family by its name, made once.

        Raises:
            FamilyMissingError: No installed package provides it, or what it provides is not what it declares.
            InvalidInputError: Something that it needs is not set.
        """
        if name not in self._made:
            spec = find_family(name)
            with naming_extras(f"The family {name}"):
                made = spec.make(self._context(name))
            if (made.name, made.purpose) != (spec.name, spec.purpose):
                msg = (
                    f"The family {name!r} is declared to learn for {spec.purpose}, but its package makes {made.name!r} "
                    f"for {made.purpose}. Repair that package."
                )
                raise FamilyMissingError(msg)
            self._made[name] = made
        return self._made[name]

    def adapter_family(self) -> "AdapterFamily":
        """Return the family of adapters, which writes on. Raises as `family` does."""
        from volition.learning.families.adapter.family import AdapterFamily

        made = self.family(ADAPTER.name)
        if not isinstance(made, AdapterFamily):
            raise FamilyMissingError(f"The family {ADAPTER.name!r} is not the built-in one, so it cannot write on.")
        return made

    def _context(self, name: str) -> FamilyContext:
        use = name if name in BUILT_IN else f"family/{name}"  # so that no other use of the key has the same name
        return FamilyContext(
            folder=self._opened.folder,
            encoder=self._opened.encoder,
            secret=self._opened.parties.derived_secret(use),
            settings=self._opened.settings.of_family(find_family(name)),
        )

    def _unset(self, spec: FamilySpec) -> bool:
        return spec.needs_settings and spec.name not in self._opened.settings.families

    def blocked(self, family: str) -> str:
        """Return what keeps a family from training and forgetting here, and what to do; empty where nothing does.

        The family is not made for that: it costs nothing to ask. A training of one's own is none: nothing keeps it.
        """
        if any(one.family == family and one.trained_by == CALLER for one in self._opened.models().values()):
            return ""
        if family in self._opened.settings.trainings:
            return ""
        try:
            spec = find_family(family)
            self._opened.settings.of_family(spec)
        except InvalidInputError as error:
            return str(error)
        table = ".".join(settings_table(family))
        return f"{SETTINGS_FILE} has no [{table}] any more. Put it back." if self._unset(spec) else ""

    def train(self, family: str, snapshot: str | None = None, *, progress: Progress = silent) -> Trained:
        """Train a model from a snapshot; by default from a new one.

        Killed, it is called again with the same snapshot and goes on where it stopped. A no that comes while it learns
        is asked about again when it has learnt: then there is no model, and the next forgetting erases what was made.

        Raises:
            InvalidInputError: There is no such family or snapshot, or it holds too little to learn from.
            RefusedError: Somebody in the snapshot has said no since it was frozen.
        """
        learner = self.family(family)
        frozen = (
            self._snapshots.create(learner.purpose, progress=progress)
            if snapshot is None
            else self._snapshots.open(snapshot)
        )
        if frozen.is_listed:
            msg = (
                f"Snapshot {frozen.id} lists rows of a table, of which no family knows the columns. Train from it by "
                "code of your own: `workspace.models.training(...)`."
            )
            raise InvalidInputError(msg)
        self.check_fresh(frozen)
        trained = train(
            learner,
            frozen,
            parties=self._opened.parties,
            models=self._opened.folder / "models",
            runs=self._opened.folder / "runs",
            progress=progress,
        )

        def judged() -> list[NewEntry]:
            self.check_fresh(frozen)
            return [] if trained.id in self._opened.models() else [self.model_draft(trained)]

        self._opened.append_judged(judged)
        return trained

    def model_draft(self, trained: Trained) -> NewEntry:
        """Return the entry that records what a family trained: how it forgets, and within how many days after a no."""
        grade = find_family(trained.model.family).grade
        return model_entry(trained, due_days=self._opened.due_days, forgets=grade)

    def open(self, model: str) -> Trained:
        """Open a trained model by its id.

        Raises:
            RefusedError: It was forgotten.
            BackendError: It was lost.
        """
        state = self._opened.models().get(model)
        if state is not None and state.forgotten_us is not None:
            successor = f" {state.successor} took its place." if state.successor else ""
            msg = f"Model {model} was forgotten at {us_to_text(state.forgotten_us)} and is erased.{successor}"
            raise RefusedError(msg)
        folder = self._opened.folder / "models" / model
        if state is not None and not (folder / "record.json").exists():
            raise lost(folder)
        return Trained.open(folder)

    def audit(self, model: str, *, measured: "Measured | None" = None, progress: Progress = silent) -> list[Finding]:
        """Audit a model and keep the findings for its release.

        Args:
            model: Its id.
            measured: Of a model of one's own, what its trainer measured; a family's model is measured here.
            progress: Called with how far it has come.

        Raises:
            InvalidInputError: Code of one's own trained it and gave no figures, or a family did and figures are given.
            RefusedError: It was forgotten, or somebody that it learned from has said no since.
        """
        trained = self.open(model)
        is_own = self._is_own(model)
        if is_own and measured is None:
            msg = f"Code of your own trained {model}, so audits cannot repeat it. Give them what it measured."
            raise InvalidInputError(msg)
        if measured is not None:
            if not is_own:
                raise InvalidInputError(
                    f"{model} is a family's model: audits measure it themselves, and take no figures."
                )
            return self._trainings.audit(trained, measured)
        snapshot = self._snapshots.open(trained.record["snapshot"])
        self.check_fresh(snapshot)
        return self.audit_trained(trained, snapshot, progress)

    def audit_trained(self, trained: Trained, snapshot: Snapshot, progress: Progress) -> list[Finding]:
        """Audit a model that is open, and keep the findings. The caller has checked that the snapshot is fresh."""
        from volition.learning.audit.groups import regions_on_record
        from volition.learning.audit.run import run_audits

        rows = snapshot.rows(self._opened.parties)
        run = self._opened.folder / "runs" / f"audit-{trained.model.family}-{snapshot.id}"
        findings = run_audits(
            self.family(trained.model.family),
            rows,
            regions=regions_on_record(self._opened.history(), rows, at_us=self._opened.now_us),
            bounds=self._opened.settings.bounds,
            progress=progress,
            parts=FolderParts(run),
        )
        keep_findings(self._opened, trained.folder, findings)
        shutil.rmtree(run, ignore_errors=True)
        return findings

    def _is_own(self, model: str) -> bool:
        state = self._opened.models().get(model)
        return state is not None and state.trained_by == CALLER

    def files(self, model: str) -> "Mapping[str, Path]":
        """Return the files of a model of one's own, by the names that its training gave them; each is whole.

        Raises:
            InvalidInputError: There is no such model, or a family made it.
            RefusedError: It was forgotten.
            ProofError: A file was changed after it was trained, or is gone.
        """
        if not self._is_own(model):
            raise InvalidInputError(f"There is no model {model!r} of a training of your own.")
        return check_own(self.open(model))

    def check_fresh(self, snapshot: Snapshot) -> None:
        """Raise RefusedError where somebody in a snapshot has said no since it was frozen."""
        instead = f"Take a new one with `volition snapshot {snapshot.purpose}`."
        check_fresh(snapshot, self._gate.permits(snapshot.purpose), what=f"Snapshot {snapshot.id}", instead=instead)

    def findings(self, trained: Trained) -> list[Finding]:
        """Return what the audits found of a model; nothing if it was not audited.

        Raises:
            InvalidInputError: What was kept is no list of findings, or an earlier version kept it.
            DamagedError: It was lost, or the disk cannot read it.
        """
        return self.findings_of(trained.id)

    def findings_of(self, model: str) -> list[Finding]:
        """Return the findings of a model, by its id, without opening it. Raises as `findings` does."""
        path = self._opened.folder / "models" / model / "findings.json"
        if path.parent.exists():  # it goes with a model that was forgotten
            self._opened.parties.stores.check(path)
        try:
            return [Finding.from_json(value) for value in json.loads(path.read_bytes())] if path.exists() else []
        except OSError as error:
            msg = f"{path} cannot be read: {error.strerror}. Audit again: `volition audit {model}`."
            raise DamagedError(msg) from error
        except (ValueError, TypeError, InvalidInputError) as error:
            msg = f"{path} cannot be read: {error} Audit again: `volition audit {model}`."
            raise InvalidInputError(msg) from error

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
        trained = self.open(model)
        snapshot = self._snapshots.open(trained.record["snapshot"])

        if self._is_own(model):
            check_own(trained)

        def judged() -> list[NewEntry]:
            check_releasable(trained, snapshot, self._gate.permits(snapshot.purpose), self.findings(trained))
            check_bounds(trained, self.findings(trained), self._opened.settings.bounds, override)
            return [self.release_draft(trained, snapshot, override)]

        releases = self._opened.folder / "releases"
        with turn(trained.folder):  # one release of a model at a time
            sweep_staged(releases, model, card=self._opened.models()[model].card)
            [entry] = self._opened.append_judged(judged)
            settle_releases(releases, self._opened.models())
            sweep_staged(releases, model, card="")
        return entry

    def release_draft(self, trained: Trained, snapshot: Snapshot, override: Override | None = None) -> NewEntry:
        """Write a release's files and return the entry that names them; it counts once that entry is appended."""
        now_us, history = self._opened.now_us, self._opened.history()
        # A successor is entered in the ledger together with its release, so its entry may not be there yet.
        state = self._opened.models().get(trained.id)
        forgets = self.model_draft(trained).body["forgets"] if state is None else state.forgets
        named = write_release(
            self._opened.folder / "releases",
            trained=trained,
            snapshot=snapshot,
            findings=self.findings(trained),
            forgets=forgets,
            trained_by=FAMILY if state is None else state.trained_by,
            required=[audit for audit, asked in self._opened.settings.bounds.items() if asked.required],
            override=override,
            terms=terms_in_force(history, snapshot.manifest["accounts"], at_us=now_us),
            checkpoint=self._opened.ledger.checkpoint(history.size),
            signer=self._opened.signer,
            at_us=now_us,
            merged=merged_in(history.events),
        )
        return NewEntry(kind="release", body={"model": trained.id, **named})

    def release_file(self, model: str, name: Literal["card.json", "card.md", "attestation.json"]) -> bytes:
        """Return a file of a model's newest release, as the ledger names it.

        Raises:
            InvalidInputError: The model was never released, or was forgotten.
            ProofError: The file is not the one that was released.
        """
        state = self._opened.models().get(model)
        if state is None or state.released_us is None or state.forgotten_us is not None:
            msg = f"Model {model!r} has no card: it was never released, or was forgotten. See the list of models."
            raise InvalidInputError(msg)
        settle_releases(self._opened.folder / "releases", {model: state})
        files = {each: read_bytes(self._opened.folder / "releases" / model / each) for each in ("card.json", name)}
        whole = canonical.digest(files["card.json"]) == state.card
        if name == "attestation.json":
            whole = whole and canonical.digest(files[name]) == state.attestation
        if not whole or (name == "card.md" and files[name] != card_markdown(json.loads(files["card.json"])).encode()):
            msg = f"{name} of model {model} is not the one that was released. Restore it from a copy."
            raise ProofError(msg)
        return files[name]

    def card(self, model: str) -> dict[str, Any]:
        """Return the card of a model's release; it stays readable once the model was forgotten.

        Raises:
            InvalidInputError: There is no such model, or it was never released.
            ProofError: It is not the card that the ledger names.
        """
        models = self._opened.models()
        settle_releases(self._opened.folder / "releases", models)
        return read_card(self._opened.folder / "releases", models.get(model), model)

    def card_for(self, person: str, model: str) -> dict[str, Any]:
        """Return a card as a person may read it: without other customers' names and figures. Raises as `card` does."""
        from volition.transparency.figures import tells_of_few
        from volition.transparency.traces import shares

        known, card = self._opened.parties.person(person), self.card(model)
        own: Counter[str] = Counter()
        snapshot = self._snapshots.open(card["learned_from"]["snapshot"])
        history, now_us = self._opened.history(), self._opened.now_us
        if len(known.pseudonyms) > 1:  # a record may concern two identities of one person
            own.update(key.category for key in snapshot.keys if not set(known.pseudonyms).isdisjoint(key.people))
        else:
            for share in shares(snapshot, f"person:{known.pseudonym}", history, at_us=now_us):
                own[share.category] += len(share.collected_us)
        return card_for_people(card, own=own, withheld=lambda found: tells_of_few(found, known.account))

    def owed(self) -> list[Owed]:
        """Return every forgetting that a model owes now, the earliest due first."""
        found = [self.owed_by(model) for model in self._opened.models().values() if model.forgotten_us is None]
        return sorted((owed for owed in found if owed is not None), key=lambda owed: (owed.due_us, owed.model))

    def owed_by(self, model: ModelState) -> Owed | None:
        """Return what a model must forget now; none if nothing."""
        history, now_us = self._opened.history(), self._opened.now_us
        due_days = min(self._opened.due_days, model.due_days)  # what was promised then holds
        try:
            snapshot = self._snapshots.open(model.snapshot)
            owed = owed_by(model, snapshot, history, at_us=now_us, due_days=due_days)
        except (ProofError, DamagedError) as error:  # of this snapshot: the ledger was read above
            frozen = [
                one.seq for one in history.events if one.kind == "snapshot" and one.body["snapshot"] == model.snapshot
            ]
            return owed_by_damaged(
                model,
                self._opened.ledger.entries(frozen[0]),
                str(error),
                is_lost=not (self._opened.folder / "snapshots" / model.snapshot).exists(),
                at_us=now_us,
                due_days=due_days,
            )
        if owed is None or owed.due_us < now_us or not self.is_at_work(model):
            return owed  # it is forgotten without a successor, which takes no family
        return replace(owed, blocked=self._blocked_of(model))

    def _blocked_of(self, model: ModelState) -> str:
        """Return what keeps a model from being forgotten."""
        if model.trained_by != CALLER:
            return self.blocked(model.family)
        told = self._opened.settings.trainings.get(model.family, RETIRED)
        if model.forgets in {Grade.RETRAINED, Grade.APPROXIMATE} and not told.command:
            table = f"[training.{model.family}]"
            return f"{SETTINGS_FILE} has no command that trains it again. Put `forget` back into {table}."
        return ""

    def is_at_work(self, model: ModelState) -> bool:
        """Whether a model was released last of its family, and not forgotten since."""
        working = at_work(self._opened.models(), model.family)
        return working is not None and working.id == model.id

    def at_work(self, family: str) -> str | None:
        """Return the id of the family's model at work; one that should have forgotten by now works no more.

        To judge that, its whole training set is judged anew; so the answer is remembered until the ledger grows, the
        due day comes, or a minute has passed.
        """
        return self._find_working(family).model

    def working(self, family: str) -> Model | None:
        """Return the family's model at work, opened once; none if no model is."""
        found = self._find_working(family)
        if found.model is not None and found.opened is None:
            self._working[family] = found = replace(found, opened=self.open(found.model).model)
        return found.opened

    def working_findings(self, family: str) -> list[Finding]:
        """Return what the audits found of the family's model at work; nothing where none is, or none can be read."""
        model = self._find_working(family).model
        try:
            return [] if model is None else self.findings_of(model)
        except (InvalidInputError, DamagedError):
            return []  # an earlier version kept them, or they are damaged: the model works on, as it did

    def _find_working(self, family: str) -> _Working:
        size, now_us = self._opened.history().size, self._opened.now_us
        known = self._working.pop(family, None)  # should what follows fail, nothing old answers
        if known is None or known.size != size or now_us >= known.until_us:
            state = at_work(self._opened.models(), family)
            owed = None if state is None else self.owed_by(state)
            until_us = now_us + _LOOK_AGAIN_US
            if owed is not None:
                until_us = min(until_us, owed.due_us + 1)
                state = None if owed.due_us < now_us else state
            model = None if state is None else state.id
            still = known is not None and known.model == model
            opened = known.opened if known is not None and still else None
            known = _Working(size=size, until_us=until_us, model=model, opened=opened)
        self._working[family] = known
        return known
