"""A training of one's own: any code, from a snapshot to a model in the ledger.

    with workspace.models.training("churn", snapshot=frozen.id) as run:
        learn_from(run.rows())
        (run.folder / "weights.bin").write_bytes(weights)
        run.record(epochs=3)
    run.model    # its id: audit, release, forget, prove it like any other

What it guarantees:

- Rows come from the snapshot alone, and each is judged anew in the moment in which it is handed out. That the code
  reads nothing else cannot be enforced, and cards say so.
- Killed, or ended by an exception, there is no model, and nothing of it is left once the next training begins.
- A no that comes while it learns is asked about again when it has learnt: then there is no model.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from volition.canonical import canonical_json
from volition.errors import BackendError, InvalidInputError, RefusedError
from volition.files import write_file
from volition.learning.audit.finding import FAIL, Finding
from volition.learning.audit.groups import regions_on_record
from volition.learning.audit.measured import Floats, Measured, attack_on_losses, measured_findings
from volition.learning.families.installed import installed_families
from volition.learning.families.spec import FAMILY_NAME
from volition.learning.freshness import check_fresh
from volition.learning.grades import CALLER, Grade
from volition.learning.own import (
    Reference,
    check_own,
    is_held_out,
    is_kept_apart,
    keep_own,
    own_model,
    split,
    written_in,
)
from volition.learning.train import Trained, model_entry
from volition.ledger.entry import NewEntry
from volition.records.lake import Row
from volition.records.snapshot import Snapshot
from volition.records.stream.judge import Judge, RowKey
from volition.records.stream.rows import BATCH_ROWS, Rows, judged
from volition.workspace.audiences import Audiences
from volition.workspace.gate import GateQuestions
from volition.workspace.opened import Opened
from volition.workspace.records import Records
from volition.workspace.run_folders import run_folder
from volition.workspace.snapshots import Snapshots
from volition.workspace.training_settings import RETIRED

_RUN: Final = "own-"


class Unlearning:
    """What a run needs that takes rows out of an earlier model, approximately.

    Attributes:
        before: The files of the earlier model, by their names.
        attacked: What an attack saw of the rows that were to be unlearnt; none before it ran.
    """

    def __init__(
        self, opened: Opened, run: "Run", *, before: Mapping[str, Path], earlier: Snapshot, left: Snapshot
    ) -> None:
        """Begin from an earlier model's files, what it learned from, and what is left of that."""
        self.before = before
        self.attacked: Finding | None = None
        self._opened = opened
        self._run = run
        self._earlier = earlier
        self._left = left

    def gone(self) -> list[Row]:
        """Return the rows that the earlier model learned from and that are to be forgotten: for that alone.

        Raises:
            RefusedError: An account was erased: nobody can read its rows any more, and the model is retired.
        """
        left = {key.record_id for key in self._left.keys}
        rows = [row for row in self._earlier.rows(self._opened.parties) if row.record_id not in left]
        return split(rows, self._run.held_out_of)[0]

    def attack(self, losses: Callable[[Sequence[Row]], Floats]) -> Finding:
        """Attack the new model: does it still tell the rows that are gone from those that it never saw?

        Args:
            losses: Returns the new model's loss on each of some rows, shape (rows,). It is called once, with all of
                them in an order that says nothing of which is which.

        Returns:
            What the attack saw.

        Raises:
            RefusedError: It sees more than the bound of [audit.attack] allows, or too few rows are there to tell.
        """
        gone, others = self.gone(), self._run.held_out()
        mixed = sorted([*gone, *others], key=lambda row: row.record_id)
        found = dict(zip((row.record_id for row in mixed), map(float, losses(mixed)), strict=True))
        bound = self._opened.settings.bounds["attack"].value
        finding = attack_on_losses(
            [found[row.record_id] for row in gone], [found[row.record_id] for row in others], bound=bound
        )
        if not finding.measured:
            raise RefusedError(f"Whether the rows are forgotten cannot be told, so they are not. {finding.how}")
        if finding.verdict == FAIL:
            raise RefusedError(
                f"The attack still finds {finding.value:.3f} of the rows that are to be forgotten, and the bound is "
                f"{bound}: that is no forgetting. Train again without them, or the model is retired on its due day."
            )
        self.attacked = finding
        return finding


class Run:
    """A training of one's own that is going on.

    Attributes:
        folder: Whatever the training writes here is kept with the model. It is empty at the beginning.
        snapshot: What it learns from.
        unlearning: Where it takes rows out of an earlier model, what it needs for that; otherwise none.
        model: The model's id, once the training has ended well; none before, and in other processes than the first.
    """

    def __init__(self, opened: Opened, records: Records, snapshot: Snapshot, folder: Path, *, held_out: int) -> None:
        """Begin in an empty folder; `OwnTrainings.training` does."""
        self.folder = folder
        self.snapshot = snapshot
        self.unlearning: Unlearning | None = None
        self.model: str | None = None
        self.held_out_of = held_out
        self.references: dict[str, Reference] = {}
        self.parameters: dict[str, Any] = {}
        self.figures: Measured | None = None
        self._opened = opened
        self._judge = records.judge(snapshot.purpose)

    def rows(self) -> list[Row]:
        """Return the rows to learn from that may be used now: those of the snapshot that are not held out.

        Raises:
            RefusedError: An account in it was erased.
        """
        return split(self._permitted(), self.held_out_of)[0]

    def held_out(self) -> list[Row]:
        """Return the rows that are kept from training, as far as they may be used now. Raises as `rows`."""
        return split(self._permitted(), self.held_out_of)[1]

    def stream(self, *, batch_rows: int = BATCH_ROWS) -> Rows:
        """Return the rows to learn from as a stream, each judged when it is handed out: Arrow, torch, Hugging Face ...

        Args:
            batch_rows: How many rows a batch has at most.
        """
        folder, purpose = self._opened.folder.absolute(), self.snapshot.purpose
        which = (self.snapshot.id, self.held_out_of)
        merged = self._opened.parties.changes.merged_pseudonyms()
        first = ((key.people[0] if key.people else key.record_id) for key in self.snapshot.iter_keys())
        size = sum(not is_held_out(merged.get(one, one), self.held_out_of) for one in first)
        return Rows(
            partial(frozen_batches, self._opened, self._judge, self.snapshot, self.held_out_of, batch_rows),
            partial(_reopened_batches, folder, *which, batch_rows),
            reopen_rows=partial(_reopened_batches, folder, *which, 1),
            judge=lambda: self._judge,
            rejudge=partial(_reopened_judge, folder, purpose),
            size=size,
            batch_rows=batch_rows,
        )

    def record(self, **parameters: Any) -> None:  # noqa: ANN401 - any JSON value
        """Keep parameters of the training, JSON values. They go into every bundle: nothing personal belongs there."""
        self.parameters.update(parameters)

    def refer(self, name: str, *, uri: str, sha256: str) -> None:
        """Name what the training wrote elsewhere, such as an object in a bucket or a model version in a registry.

        Args:
            name: What it is called here.
            uri: Where it lies.
            sha256: Its digest, 64 lower-case hexadecimal digits.

        Raises:
            InvalidInputError: The address or the digest is none.
        """
        self.references[name] = Reference(uri=uri, sha256=sha256)

    def measured(self, measured: Measured) -> None:
        """Keep what was measured as the model's audit: cards and pages say that the caller measured it."""
        self.figures = measured

    def _permitted(self) -> list[Row]:
        return _permitted(self._judge, self.snapshot.rows(self._opened.parties))


class OwnTrainings:
    """Trainings of one's own."""

    def __init__(self, opened: Opened, gate: GateQuestions, records: Records, snapshots: Snapshots) -> None:
        """Take the opened folder, the gate, the records, and the snapshots that are learnt from."""
        self._opened = opened
        self._gate = gate
        self._records = records
        self._snapshots = snapshots

    @contextmanager
    def training(
        self, name: str, *, snapshot: str, held_out: int | None = None, instead_of: str | None = None
    ) -> Iterator[Run]:
        """Train a model by code of one's own, in the block; at its end the model is in the ledger.

        Where a training runs in several processes (`torch.distributed`), each goes through the block, and the first
        alone makes the model: what the others write is thrown away.

        Args:
            name: What is trained, such as "churn": a-z, 0-9 and _, a letter first, and no family's name.
            snapshot: Id of the snapshot to learn from; it was frozen for a purpose of training.
            held_out: One in how many people is kept from training, to measure by; 0 for nobody. By default as the
                model had it whose place this one takes, or nobody.
            instead_of: A model of this name that owes a forgetting; this one is to take its place.

        Raises:
            InvalidInputError: The name is a family's, the snapshot is for another kind of use, or nothing was written.
            RefusedError: Somebody in the snapshot has said no since it was frozen; or rows were unlearnt and no attack
                has measured that.
            BackendError: The disk is full or cannot be written; no model appears.
        """
        frozen = self._opened_for(name, snapshot)
        earlier = None if instead_of is None else self._earlier(name, instead_of)
        if held_out is None:
            held_out = 0 if earlier is None else int(earlier.model.settings["held_out"])
        # Its end is the snapshot's name: what erases a stale snapshot erases what was made of it, too.
        with run_folder(self._opened.folder / "runs", _RUN, f"{name}-", f"-{frozen.id}") as folder:
            run = Run(self._opened, self._records, frozen, folder, held_out=held_out)
            if earlier is not None and self._grade(name) == Grade.APPROXIMATE:
                run.unlearning = self._unlearning(run, earlier, frozen)
            yield run
            if _is_first():
                run.model = self._end(name, run, frozen, instead_of).id
            else:  # another process makes the model; this one has heard as much of a no as that
                self._check_fresh(frozen)

    def audit(self, trained: Trained, measured: Measured) -> list[Finding]:
        """Keep what the caller measured of a model as its audit.

        Raises:
            InvalidInputError: A unit is of an account of which the snapshot has no row.
            RefusedError: Somebody that it learned from has said no since.
        """
        snapshot = self._snapshots.open(trained.record["snapshot"])
        self._check_fresh(snapshot)
        findings = self._findings(measured, snapshot)
        keep_findings(self._opened, trained.folder, findings)
        return findings

    def _opened_for(self, name: str, snapshot: str) -> Snapshot:
        if not FAMILY_NAME.fullmatch(name) or name in installed_families():
            msg = f"{name!r} cannot name a training of your own: use a-z, 0-9 and _, and no family's name."
            raise InvalidInputError(msg)
        frozen = self._snapshots.open(snapshot)
        if not frozen.purpose.startswith("train/"):
            msg = f"Snapshot {snapshot} was frozen for {frozen.purpose}, and a yes to that is no yes to training."
            raise InvalidInputError(msg)
        self._check_fresh(frozen)
        return frozen

    def _check_fresh(self, snapshot: Snapshot) -> None:
        instead = f"Take a new one with `volition snapshot {snapshot.purpose}`."
        permits = self._gate.permits(snapshot.purpose)
        check_fresh(snapshot, permits, what=f"Snapshot {snapshot.id}", instead=instead)

    def _earlier(self, name: str, model: str) -> Trained:
        state = self._opened.models().get(model)
        if state is None or state.family != name or state.trained_by != CALLER or state.forgotten_us is not None:
            raise InvalidInputError(f"{model!r} is no model of the training {name} that could be taken the place of.")
        return Trained.open(self._opened.folder / "models" / model)

    def _unlearning(self, run: Run, earlier: Trained, left: Snapshot) -> Unlearning:
        before = self._snapshots.open(earlier.record["snapshot"])
        return Unlearning(self._opened, run, before=check_own(earlier), earlier=before, left=left)

    def _grade(self, name: str) -> Grade:
        return self._opened.settings.trainings.get(name, RETIRED).grade

    def _end(self, name: str, run: Run, frozen: Snapshot, instead_of: str | None) -> Trained:
        """Make a model of what a run has written, and enter it in the ledger; or refuse, and keep nothing."""
        findings = self._findings_of(run, frozen)
        files = written_in(run.folder)
        model = own_model(
            name,
            files=files,
            references=run.references,
            parameters=run.parameters,
            held_out=run.held_out_of,
            instead_of=instead_of,
        )
        trained = keep_own(model, frozen, models=self._opened.folder / "models", files=files)
        try:
            if findings:
                keep_findings(self._opened, trained.folder, findings)

            def judged_now() -> list[NewEntry]:
                self._check_fresh(frozen)
                if trained.id in self._opened.models():
                    return []
                due_days, grade = self._opened.due_days, self._grade(name)
                return [model_entry(trained, due_days=due_days, forgets=grade, trained_by=CALLER)]

            self._opened.append_judged(judged_now)
        except BaseException:
            if trained.id not in self._opened.models():
                shutil.rmtree(trained.folder, ignore_errors=True)
            raise
        return trained

    def _findings_of(self, run: Run, frozen: Snapshot) -> list[Finding]:
        """Return the audit that a run brings with it; nothing where it measured nothing."""
        attacked = None if run.unlearning is None else run.unlearning.attacked
        if run.unlearning is not None and attacked is None:
            raise RefusedError(
                "Rows were taken out of a model and no attack has looked for what is left of them: call "
                "`run.unlearning.attack(losses)` in the block."
            )
        if run.figures is None:
            return []
        findings = self._findings(run.figures, frozen)
        # What an attack run here saw stands in the place of one that the caller ran.
        return findings if attacked is None else [attacked if one.audit == attacked.audit else one for one in findings]

    def _findings(self, measured: Measured, snapshot: Snapshot) -> list[Finding]:
        rows = snapshot.rows(self._opened.parties)
        regions = regions_on_record(self._opened.history(), rows, at_us=self._opened.now_us)
        return measured_findings(measured, rows, regions=regions, bounds=self._opened.settings.bounds)


def _is_first() -> bool:
    """Say whether this is the first process of a training, or the only one; torch is asked only where it is in use."""
    if "torch" not in sys.modules:
        return True
    from volition.records.stream.torch import part_of  # noqa: PLC0415 - torch is not for everybody

    return part_of().rank == 0


def keep_findings(opened: Opened, folder: Path, findings: Sequence[Finding]) -> None:
    """Keep what audits found of a model in its folder.

    Raises:
        BackendError: The disk is full or cannot be written.
    """
    try:
        write_file(folder / "findings.json", canonical_json([finding.to_json() for finding in findings]))
        opened.parties.stores.note(folder / "findings.json")
    except OSError as error:
        msg = f"The findings could not be kept in {folder}: {error}. Free space, then audit again."
        raise BackendError(msg) from error


def _permitted(judge: Judge, rows: Sequence[Row]) -> list[Row]:
    keys = (RowKey(row.account, row.people, row.category, row.collected_us, row.conversation) for row in rows)
    return [row for row, is_permitted in zip(rows, judge.permitted(keys), strict=True) if is_permitted]


def frozen_batches(  # noqa: PLR0913, PLR0917 - bound one after the other
    opened: Opened, judge: Judge, snapshot: Snapshot, held_out: int, batch_rows: int, share: int, shares: int
) -> Iterator[Any]:
    """Yield one share of a snapshot's rows to learn from, each judged when it is handed out."""
    rows = (row for row in snapshot.stream(opened.parties) if not is_kept_apart(row, held_out))
    own = islice(rows, share, None, shares)  # some of each account: shares are as large as one another
    return judged(own, judge, batch_rows=batch_rows)


def _reopened_batches(  # noqa: PLR0913, PLR0917 - bound one after the other
    folder: Path, snapshot: str, held_out: int, batch_rows: int, share: int, shares: int
) -> Iterator[Any]:
    """Yield one share of a snapshot's rows, in a process of its own."""
    with closing(Opened(folder)) as opened:
        records = _records(opened)
        frozen = Snapshots(opened, GateQuestions(opened), records).open(snapshot)
        judge = records.judge(frozen.purpose)
        yield from frozen_batches(opened, judge, frozen, held_out, batch_rows, share, shares)


def _reopened_judge(folder: Path, purpose: str) -> Judge:
    """Return what judges rows in a process of its own, for as long as that goes on."""
    return _records(Opened(folder)).judge(purpose)


def _records(opened: Opened) -> Records:
    return Records(opened, GateQuestions(opened), Audiences(opened))
