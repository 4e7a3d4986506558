"""Forgetting: is it owed, since when, and is the day past by which the log says that it would be done?

What is owed and not yet due is told. What is overdue fails. A forgetting that was done too late cannot be mended any
more: it is told as a warning, with how late it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from volition.canonical import us_to_text
from volition.consent.history import History
from volition.errors import ProofError
from volition.learning.forget import DAY_US, RefusalTimes
from volition.learning.registry import ModelState
from volition.ledger.entry import Entry
from volition.transparency.verify import forms
from volition.transparency.verify.log import Log
from volition.transparency.verify.replay import refused
from volition.transparency.verify.snapshots import Evidence

MOST_DAYS: Final = 36_500
"""A due day that is further off is none."""


def check_owed(model: ModelState, evidence: Evidence, history: History, log: Log) -> str:
    """Check that a model is not overdue to forget as of the log's last entry.

    Args:
        model: A model that was not forgotten.
        evidence: What it learned from.
        history: The whole log.
        log: The log.
    """
    days = forms.count(model.due_days, f"The number of days within which {model.id} is to forget")
    if days > MOST_DAYS:
        raise ProofError(f"{model.id} is to be forgotten within {days} days of a no: that is no promise to forget.")
    found, groups = refused(evidence, history, log.last_us)
    if found is None:
        return f"nothing is owed as of {us_to_text(log.last_us)}; promised within {days} days of a no"
    times = RefusalTimes(history, evidence.purpose, frozen_us=evidence.at_us, at_us=log.last_us)
    since_us = min(times.refused_us(group.earliest()) for group in groups)
    due = us_to_text(since_us + days * DAY_US)
    if since_us + days * DAY_US < log.last_us:
        raise ProofError(
            f"The forgetting that {model.id} owes is overdue: {found.rows} rows are refused since "
            f"{us_to_text(since_us)}, it was due by {due}, and the log goes on until {us_to_text(log.last_us)}."
        )
    return f"{found.rows} refused since {us_to_text(since_us)}: a forgetting is owed, due by {due}"


def late_forgettings(models: Mapping[str, ModelState], entries: Sequence[Entry], history: History) -> Iterator[str]:
    """Yield a sentence for each forgetting that came after its due day.

    Judged by the newest no, before it, of each of those who were forgotten, so it may have been later than is said.
    """
    for entry in entries:
        if entry.kind != "forgetting":
            continue
        model = models[entry.body["model"]]
        if type(model.due_days) is not int:
            yield f"Nobody knows whether {model.id} was forgotten late: its entry promises {model.due_days!r} days."
            continue
        noes = {party: _newest_no_us(history, str(party), entry.at_us) for party in entry.body["parties"]}
        late = {party: no_us for party, no_us in noes.items() if no_us + model.due_days * DAY_US < entry.at_us}
        late = {party: no_us for party, no_us in late.items() if no_us > model.trained_us}
        if late:
            party, no_us = min(late.items(), key=lambda one: one[1])
            days = -((no_us + model.due_days * DAY_US - entry.at_us) // DAY_US)  # a day that has begun counts
            yield (
                f"Forgotten late: {model.id} forgot {party} on {us_to_text(entry.at_us)} (entry {entry.seq}), a no of "
                f"{us_to_text(no_us)}; up to {days} days after the {model.due_days} that were promised."
            )


def _newest_no_us(history: History, party: str, before_us: int) -> int:
    """Return when a party last said no or was erased before an instant; that instant itself if it did neither."""
    said = history.party(party)
    noes = [decision.at_us for decision in said.decisions if not decision.yes and decision.at_us <= before_us]
    if said.erased_us is not None and said.erased_us <= before_us:
        noes.append(said.erased_us)
    return max(noes, default=before_us)
