"""Forgetting: from a no to the models it touches, to models that never saw the party.

A model *owes* a forgetting when a row it learned from is not permitted any more. Forgetting freezes a snapshot within
the old one (the same rows less those that the gate now keeps out; never a row more), asks the family for the model
without them, releases it if the old one was released, and retires the old one in the same ledger commit. Then the
old model's files and its snapshot's content are erased. Killed half-way, it is run again: what the ledger does not
name has not happened, and what it retired is erased by the next run.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volition.canonical import us_to_text
from volition.permits import History, Permits, Reason, Role, Use, refused_since
from volition.release import ModelState
from volition.snapshot import Snapshot, Stale

_DAY_US = 24 * 60 * 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A forgetting that a model owes.

    Attributes:
        model: The model.
        parties: On whom it hangs: party -> reason.
        rows: How many rows it must forget.
        since_us: Since when it is owed.
        due_us: When it must be done.
        released: Whether the model is at work or was.
    """

    model: str
    family: str
    parties: Mapping[str, Reason]
    rows: int
    since_us: int
    due_us: int
    released: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object with instants as text."""
        return {
            "model": self.model,
            "family": self.family,
            "parties": {party: reason.value for party, reason in self.parties.items()},
            "rows": self.rows,
            "since": us_to_text(self.since_us),
            "due": us_to_text(self.due_us),
            "released": self.released,
        }


def owed_by(model: ModelState, snapshot: Snapshot, history: History, *, at_us: int, due_days: int) -> Owed | None:
    """Return what a model owes at an instant, or none.

    Args:
        model: A model that was not forgotten.
        snapshot: What it learned from.
        history: What the gate must know.
        at_us: The instant asked about.
        due_days: Days from the refusal to the due date.
    """
    stale = snapshot.stale(Permits(history, purpose=snapshot.purpose, at_us=at_us))
    if not stale:
        return None
    parties = {row.verdict.party: row.verdict.reason for row in stale if row.verdict.reason is not None}
    since_us = min(_refused_us(row, history, purpose=snapshot.purpose, at_us=at_us) for row in _one_each(stale))
    return Owed(
        model=model.id,
        family=model.family,
        parties=parties,
        rows=len(stale),
        since_us=since_us,
        due_us=since_us + due_days * _DAY_US,
        released=model.released_us is not None,
    )


def _one_each(stale: Iterable[Stale]) -> Iterable[Stale]:
    """Return one row for each party and category; when they were refused is the same for the others."""
    return {(row.verdict.party, row.key.category): row for row in stale}.values()


def _refused_us(row: Stale, history: History, *, purpose: str, at_us: int) -> int:
    """Return since when a row has been refused, as far as it can be told from the party on whom it hangs."""
    account, people = row.key.account, [f"person:{pseudonym}" for pseudonym in row.key.people]
    party = row.verdict.party
    role = Role.ACCOUNT if party.startswith("account:") else Role.FIRST if people[0] == party else Role.OTHER
    use = Use(account=account, party=party, role=role, category=row.key.category, purpose=purpose)
    if row.verdict.reason is Reason.BEFORE_YES and row.verdict.since_us is not None:
        return row.verdict.since_us  # a no and a new yes lie between; the new stretch is the latest it can be
    if row.verdict.reason is Reason.TOO_OLD:
        return at_us
    return refused_since(history, use, at_us)


def erase_retired(
    models: Mapping[str, ModelState], stale: Sequence[Snapshot], *, folder: Path, runs: Path
) -> list[str]:
    """Erase the files of every model that the ledger has retired, and the content of stale snapshots.

    Args:
        models: Every model that the ledger names.
        stale: Snapshots with a row that is not permitted any more: nothing may learn from them again.
        folder: Folder of models.
        runs: Folder of the parts of unfinished training runs.

    Returns:
        The ids of the models whose files were still there.
    """
    erased = [model.id for model in models.values() if model.forgotten_us is not None and (folder / model.id).exists()]
    for model in erased:
        shutil.rmtree(folder / model)
    for snapshot in stale:
        snapshot.erase_content()
        for run in runs.glob(f"*-{snapshot.id}"):
            shutil.rmtree(run, ignore_errors=True)
    return erased
