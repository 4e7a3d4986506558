"""Forgetting (exact machine unlearning): from a no to the models it affects, to models that never saw the party.

A model *owes* a forgetting when a row it learned from is not permitted any more. Forgetting freezes a snapshot within
the old one (the same rows less those that the gate now keeps out; never a row more), asks the family for the model
without them, releases it if the old one was released, and retires the old one in the same ledger commit. Then the
old model's files and its snapshot's content are erased. Killed half-way, it is run again: what the ledger does not
name has not happened, and what it retired is erased by the next run.
"""

import json
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from volition.canonical import text_to_us, us_to_text
from volition.consent.gate import Record, exclusion_of, uses
from volition.consent.history import History
from volition.consent.lease import narrows
from volition.consent.parties import Parties
from volition.consent.permits import Permit, Permits, Reason, Refusal, Use, changes, permit
from volition.consent.references import ConversationRef, PartyRef
from volition.files import PART
from volition.learning.families.family import Family, Parts, Subtracting
from volition.learning.families.model import Model
from volition.learning.registry import ModelState
from volition.ledger.entry import Entry
from volition.progress import Progress
from volition.records.snapshot import Key, LazyRows, Snapshot, StaleRow

DAY_US: Final = 24 * 60 * 60 * 1_000_000
_PERSON: Final = "person:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A forgetting that a model owes.

    Attributes:
        model: The model.
        family: Its family.
        parties: Who must be forgotten: party -> reason.
        rows: How many rows it must forget.
        since_us: Since when it is owed.
        due_us: When it must be done.
        released: Whether the model is at work or was.
        forgets: How surely it forgets, one of `grades.Grade`; none where its entry does not say.
        blocked: What keeps it from being forgotten now, and what to do; empty where nothing does.
        damage: What is lost or damaged of its snapshot, so that nobody can tell which rows it must forget: then it is
            owed to whoever said no since, and is done without a successor. Empty where nothing is.
    """

    model: str
    family: str
    parties: Mapping[str, Reason]
    rows: int
    since_us: int
    due_us: int
    released: bool
    forgets: str | None = None
    blocked: str = ""
    damage: str = ""

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
            "forgets": self.forgets,
            "blocked": self.blocked,
            "damage": self.damage,
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
    answers = RefusalTimes(history, snapshot.purpose, frozen_us=text_to_us(snapshot.manifest["at"]), at_us=at_us)
    since_us = min(answers.refused_us(key) for key in _earliest(stale, history))
    return Owed(
        model=model.id,
        family=model.family,
        parties=parties,
        rows=len(stale),
        since_us=since_us,
        due_us=since_us + due_days * DAY_US,
        released=model.released_us is not None,
        forgets=model.forgets,
    )


def owed_by_damaged(  # noqa: PLR0913 - a model, what was said since, and when
    model: ModelState, since: Iterable[Entry], damage: str, *, is_lost: bool, at_us: int, due_days: int
) -> Owed:
    """Return what a model owes whose snapshot cannot be read any more, so that nobody can tell whom it learned from.

    It is owed to everybody who has said no since: it may have learned from them. Where nobody has, nothing is done but
    to say so. A snapshot that is lost as a whole may be on a disk that is not there now: that waits until the due day.

    Args:
        model: A model that was not forgotten.
        since: The ledger's entries since the snapshot was frozen.
        damage: What cannot be read.
        is_lost: Whether nothing of the snapshot is there.
        at_us: The instant asked about.
        due_days: Days from the refusal to the due date.
    """
    narrowing = [entry for entry in since if narrows(entry)]
    since_us = narrowing[0].at_us if narrowing else at_us
    due_us = since_us + due_days * DAY_US
    waits = "" if narrowing and not (is_lost and at_us <= due_us) else damage
    return Owed(
        model=model.id,
        family=model.family,
        parties={str(entry.body["party"]): Reason.SAID_NO for entry in narrowing if "party" in entry.body},
        rows=0,
        since_us=since_us,
        due_us=due_us,
        released=model.released_us is not None,
        forgets=model.forgets,
        blocked=waits,
        damage=damage,
    )


def _earliest(stale: Iterable[StaleRow], history: History) -> Iterable[Key]:
    """Return the row of each party set and category that was collected first: no other was refused earlier.

    Where conversations were left out, of each conversation: another one may have been left out earlier.
    """
    newest_first = sorted((row.key for row in stale), key=lambda key: -key.collected_us)
    return {
        (
            key.account,
            key.people,
            key.category,
            key.conversation if history.exclusions.concern(key.account) else None,
        ): key
        for key in newest_first
    }.values()


class RefusalTimes:
    """What the parties of a snapshot have answered since it was frozen."""

    def __init__(self, history: History, purpose: str, *, frozen_us: int, at_us: int) -> None:
        self._history = history
        self._purpose = purpose
        self._frozen_us = frozen_us
        self._at_us = at_us
        self._known: dict[Use, list[tuple[int, Permit | Refusal]]] = {}

    def refused_us(self, key: Key) -> int:
        """Return when a row was first not permitted any more.

        A yes that followed the no does not count: it covers what comes, and the row is still to be forgotten.
        """
        question = key.question()
        asked = uses(
            self._history, question.account, question.people, question.category, self._purpose, at_us=self._at_us
        )
        ended_us = [self.ended_us(use, key.collected_us) for use in asked]
        ended_us.append(self._excluded_us(question))
        return min([self._at_us, *(instant_us for instant_us in ended_us if instant_us is not None)])

    def _excluded_us(self, question: Record) -> int | None:
        """Return since when a row's conversation has been left out; none where it is not.

        What was taken back in meanwhile is as if it had never been left out: it counts from the last time on.
        """
        exclusions, since_us = self._history.exclusions, None
        if not exclusions.concern(question.account):
            return None
        said_us = exclusions.instants(question.account)
        between_us = (at_us for at_us in said_us if self._frozen_us < at_us < self._at_us)
        for at_us in (self._at_us, *sorted(between_us, reverse=True), self._frozen_us):
            if exclusion_of(self._history, question, purpose=self._purpose, at_us=at_us) is None:
                break
            since_us = at_us
        return since_us

    def left_out_us(
        self, party: PartyRef, account: str, category: str, conversation: ConversationRef | None
    ) -> int | None:
        """Return since when a party itself has left out what a row could be of (`could_be`); none where it has not."""
        exclusions = self._history.exclusions
        named = exclusions.could_be(account, category, conversation)
        found = (exclusions.since_us(account, one, party, purpose=self._purpose, at_us=self._at_us) for one in named)
        return min((at_us for at_us in found if at_us is not None), default=None)

    def ended_us(self, use: Use, collected_us: int) -> int | None:
        """Return when a party's permit first ceased to hold a row; none where it never did."""
        answers = self._of(use)
        ends = [*(start_us for start_us, _ in answers[1:]), self._at_us]
        for (start_us, answer), end_us in zip(answers, ends, strict=True):
            if isinstance(answer, Refusal) or collected_us < answer.since_us:
                return start_us
            if answer.max_age_us is not None and collected_us + answer.max_age_us < end_us:
                return max(start_us, collected_us + answer.max_age_us + 1)
        return None

    def _of(self, use: Use) -> list[tuple[int, Permit | Refusal]]:
        """Return a party's permit or refusal when the snapshot was frozen, and at each change since."""
        if use not in self._known:
            changed_us = changes(self._history, use, after_us=self._frozen_us, until_us=self._at_us)
            instants_us = [self._frozen_us, *changed_us]
            self._known[use] = [(instant_us, permit(self._history, use, instant_us)) for instant_us in instants_us]
        return self._known[use]


def merged_people(parties: Parties, history: History) -> dict[str, str]:
    """Return into whom people were merged, pseudonym -> pseudonym, with those whom the directory knows no more.

    A model that counted somebody under two identities as one has to be told so also after they were erased.
    """
    erased = {
        str(entry.body["party"]).removeprefix(_PERSON): str(entry.body["same_as"]).removeprefix(_PERSON)
        for entry in history.events
        if entry.kind == "erasure" and "same_as" in entry.body
    }
    return erased | parties.changes.merged_pseudonyms()


def forget_rows(  # noqa: PLR0913 - a model, what it was learnt from, and what is left of that
    family: Family,
    model: Model,
    before: Snapshot,
    after: Snapshot,
    *,
    parties: Parties,
    merged: Mapping[str, str],
    parts: Parts,
    progress: Progress,
) -> Model:
    """Return the model that would have been learned from `after`.

    Where a family can subtract, only the rows of people whose rows changed are opened, and those of accounts in which
    people were merged.

    Args:
        family: The model's.
        model: Learned from `before`.
        before: The snapshot it was trained from.
        after: What may still be used of it.
        parties: Opens the content.
        merged: Into whom people were merged (`merged_people`).
        parts: What a forgetting that was killed has finished.
        progress: Called with how far it has come.

    Raises:
        InvalidInputError: Too little is left to learn from.
    """
    erased = parties.erased_accounts()
    if not isinstance(family, Subtracting):
        later = LazyRows(lambda: before.rows(parties, without=erased, merged=merged))  # most never look at them
        rows = after.rows(parties, merged=merged)
        return family.forget(model, before=later, after=rows, parts=parts, progress=progress)
    changed = {(key.account, key.people[:1]) for key in before.gone_in(after)}
    changed |= before.rewritten_in(after)  # what was scrubbed by names that somebody did not have then, or has no more
    # Whoever was merged may have been counted as two, and by another model as one: their accounts are counted anew.
    anew = {key.account for key in before.examples() if key.people and key.people[0] in merged}
    changed |= {(key.account, key.people[:1]) for key in before.examples() if key.account in anew}
    rows_before = before.rows(parties, without=erased, of=changed, merged=merged)
    rows_after = after.rows(parties, of=changed, merged=merged)
    accounts = after.manifest["accounts"]
    return family.subtract(model, before=rows_before, after=rows_after, accounts=accounts, progress=progress)


def erase_retired(
    models: Mapping[str, ModelState], stale: Sequence[Snapshot], *, folder: Path, runs: Path
) -> list[str]:
    """Erase the files of every model that the ledger has retired, and the content of stale snapshots.

    A model that the ledger does not name, since its training was killed, goes with its snapshot.

    Args:
        models: Every model that the ledger names.
        stale: Snapshots with a row that is not permitted any more: nothing may learn from them again.
        folder: Folder of models.
        runs: Folder of the parts of unfinished training runs.

    Returns:
        The ids of the models whose files were still there.
    """
    gone = {snapshot.id for snapshot in stale}
    erased = [path for path in sorted(folder.iterdir()) if _is_retired(path, models, gone)]
    for path in erased:
        shutil.rmtree(path)
    for snapshot in stale:
        snapshot.erase_content()
        for run in runs.glob(f"*-{snapshot.id}"):
            shutil.rmtree(run, ignore_errors=True)
    return [path.name for path in erased]


def _is_retired(path: Path, models: Mapping[str, ModelState], gone: Collection[str]) -> bool:
    if path.suffix == PART:  # may be being written
        return False
    if path.name in models:
        return models[path.name].forgotten_us is not None
    try:
        return json.loads((path / "record.json").read_bytes())["snapshot"] in gone
    except (OSError, ValueError, KeyError):  # erasing it was killed
        return True
