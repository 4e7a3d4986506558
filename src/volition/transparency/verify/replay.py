"""The replay: were all rows permitted, at the snapshot's instant, when it was entered, and whenever a model used them?

The log is read once, from its beginning on, and each question is asked when all that stood before its entry has been
read, and nothing more: an entry that came later changes no answer.

Time, too, ends permits: a yes has an end, a record grows too old, terms begin to bind. What was judged a moment before
its entry was written must not fail by that. So a question is asked of the instant of the last entry that bears on
permission, or of a minute before the entry, whichever is later: nobody's no is passed over, and nothing else by more
than that minute, which is what the history itself allows for writing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.canonical import us_to_text
from volition.consent.gate import effective_permit_of, exclusion_of, fold, uses
from volition.consent.history import History, extend_history
from volition.consent.history.bindings import WRITING_US
from volition.consent.permits import NO_PERMIT_US, Permit, Permits, Reason, Refusal, Use, permit
from volition.consent.references import PartyRef
from volition.errors import ProofError
from volition.ledger.entry import Entry
from volition.transparency.verify.keys import Group
from volition.transparency.verify.snapshots import Evidence

_BEARING: Final = frozenset(
    {"terms", "acceptance", "decision", "region", "signal", "limit", "exclusion", "erasure", "identity"}
)

_BY_REFERENCE: Final = 20_000
"""Groups judged by the reference: so many take seconds."""


class Replay:
    """Reads a log up to one entry after another, never back."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Start before the first entry."""
        self._entries = entries
        self.history = History()
        self._answered_us = 0

    def read_to(self, seq: int) -> History:
        """Read all entries before one; return what they amount to, which grows as more is read."""
        for entry in self._entries[self.history.size : seq]:
            extend_history(self.history, entry)
            if entry.kind in _BEARING:
                self._answered_us = entry.at_us
        return self.history

    def judged_us(self, entry: Entry, *, from_us: int) -> int:
        """Return of which instant to ask about an entry before which all was read; not before `from_us`."""
        return max(self._answered_us, entry.at_us - WRITING_US, from_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The rows that are refused at an instant: how many, and of the first group of them who refuses, and why."""

    rows: int
    group: Group
    party: PartyRef
    reason: Reason

    def __str__(self) -> str:
        """Say it within a sentence."""
        return f"{self.rows:,} rows, such as {self.group.example}: {self.party} ({self.reason.value})"


def replay_permits(evidence: Evidence, history: History, seq: int) -> str:
    """Judge every row at the snapshot's instant, from all that the log held before its entry.

    Not from the manifest's own checkpoint: an operator who chose an older one could leave out a no. All are judged by
    the compiled form of the permits, and as many questions as time allows, spread over all, by the reference as well.
    """
    groups = evidence.keys.groups
    for place in groups.of_nobody().tolist():
        raise ProofError(f"{groups[place]} concerns nobody, so nobody could have been asked.")
    purpose, at_us = evidence.purpose, evidence.at_us
    needed_us = _needed_us(evidence, Permits(history, purpose=purpose, at_us=at_us))
    refused_groups = np.flatnonzero(groups.first_us < needed_us)[:1].tolist()
    step = max(1, len(groups) // _BY_REFERENCE)
    known: dict[Use, Permit | Refusal] = {}
    for place in [*refused_groups, *range(0, len(groups), step)]:
        _judge_by_reference(groups[place], history, evidence, known)
    if refused_groups:
        raise ProofError(f"{groups[refused_groups[0]]} had no permit.")
    also = "" if step == 1 else f"; every {step}th group of them by the reference as well"
    return f"{len(evidence.keys)} rows replayed from {seq} entries: none without a permit{also}"


def _judge_by_reference(group: Group, history: History, evidence: Evidence, known: dict[Use, Permit | Refusal]) -> None:
    purpose, at_us, question = evidence.purpose, evidence.at_us, group.question()
    for use in uses(history, question.account, question.people, question.category, purpose, at_us=at_us):
        if use not in known:
            known[use] = permit(history, use, at_us)
        _check_group(group, use.party, known[use], at_us)
    excluded = exclusion_of(history, question, purpose=purpose, at_us=at_us)
    if excluded is not None:
        raise ProofError(f"{group} is of a conversation that {excluded.party} had left out.")


def _check_group(group: Group, party: str, answer: Permit | Refusal, at_us: int) -> None:
    if isinstance(answer, Refusal):
        raise ProofError(f"{group} had no permit: {party} ({answer.reason.value}).")
    too_old = answer.max_age_us is not None and group.first_us < at_us - answer.max_age_us
    if group.first_us < answer.since_us or too_old or group.last_us > at_us:
        raise ProofError(f"{group} was collected outside the permit of {party}.")


def _needed_us(evidence: Evidence, permits: Permits) -> NDArray[np.int64]:
    """Return since when the rows of each group must have been collected to be permitted; `NO_PERMIT_US` for never."""
    needed_us = np.full(len(evidence.keys.groups), NO_PERMIT_US, np.int64)
    for category, (places, party_set, party_sets) in evidence.keys.by_category.items():
        if category not in permits.history.vocabulary.categories:
            continue  # nobody could be asked about it
        found = fold(permits, party_sets, category)
        needed_us[places] = np.maximum(found.since_us, found.oldest_us)[party_set]
    exclusions = permits.history.exclusions
    if exclusions:
        groups = evidence.keys.groups
        for place in groups.of_accounts([exclusions.concern(one) for one in groups.accounts.to_pylist()]):
            question = groups[place].question()
            if exclusion_of(permits.history, question, purpose=permits.purpose, at_us=permits.at_us) is not None:
                needed_us[place] = NO_PERMIT_US
    return needed_us


def refused(evidence: Evidence, history: History, at_us: int) -> tuple[Refused | None, list[Group]]:
    """Return which rows are refused at an instant, not before the last entry read, and the groups that hold some."""
    permits = Permits(history, purpose=evidence.purpose, at_us=at_us)
    needed_us = _needed_us(evidence, permits)
    places = np.flatnonzero(evidence.keys.groups.first_us < needed_us)
    groups = [evidence.keys.groups[place] for place in places.tolist()]
    if not groups:
        return None, []
    group, question = groups[0], groups[0].question()
    found = effective_permit_of(permits, question.account, question.people, question.category, group.conversation)
    why = found.reason or (Reason.BEFORE_YES if group.first_us < found.since_us else Reason.TOO_OLD)
    return Refused(rows=evidence.keys.before(needed_us), group=group, party=found.party, reason=why), groups


def check_not_stale(evidence: Evidence, replay: Replay, entry: Entry, *, what: str) -> str:
    """Check that no row was refused any more when an entry was made that rests on them.

    Args:
        evidence: The snapshot.
        replay: Has read no further than the entry.
        entry: The entry.
        what: What it would be if one was, for the sentence.
    """
    history = replay.read_to(entry.seq)
    at_us = replay.judged_us(entry, from_us=evidence.at_us)
    found, _ = refused(evidence, history, at_us)
    if found is not None:
        raise ProofError(
            f"{what}: entry {entry.seq} of {us_to_text(entry.at_us)} rests on rows that were refused by then, {found}. "
            f"The snapshot says {us_to_text(evidence.at_us)}."
        )
    return f"none of {len(evidence.keys)} rows was refused before entry {entry.seq}, of {us_to_text(entry.at_us)}"
