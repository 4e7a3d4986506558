"""Forgettings (machine unlearning) that are due, for the operator: how much and by when; never whose no it was."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from volition.consent.permits import Reason
from volition.learning.families.installed import family_words
from volition.learning.forget import Owed
from volition.learning.grades import GRADE_WORDS
from volition.server.auth import Role
from volition.server.jobs import Jobs, JobState
from volition.server.reading import NOBODY
from volition.server.schedule import Planned, planned
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Nav, Notice, Pages, Redirect, Visit

pages = Pages()

PATH: Final = "/console/forgettings"

_DUE: Final = 20  # on one page
_WHY: Final = {
    Reason.SAID_NO: "a no",
    Reason.WITHDRAWN: "a withdrawn yes",
    Reason.ERASED: "an erasure",
    Reason.LIMITED: "a limit set by the account",
    Reason.EXPIRED: "a yes that ended",
    Reason.EXCLUDED: "a conversation left out",
    Reason.NEVER: "terms that forbid it",
    Reason.NO_TERMS: "terms that were not accepted",
    Reason.NOT_ASKED: "a yes that is missing",
    Reason.TOO_OLD: "records past their retention period",
    Reason.BEFORE_YES: "a yes that came after it was collected",
    Reason.UNKNOWN_PARTY: "data of which it is not known whom it concerns",
    Reason.STALE: "answers that could not be read",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One forgetting that is due.

    Attributes:
        model: Which model owes it.
        does: What the model was trained for, in words.
        because: Why, in counts.
        rows: How many rows are to be forgotten.
        since_us: Since when it is owed.
        due_us: By when it must be done.
        left: How much time that leaves, in words.
        is_overdue: Whether that time has passed.
        passed: The share of the time that has passed, from 0 to 100.
        next: How surely it forgets, and what becomes of it by itself, in sentences.
        is_soon_due: Whether the due day is so near that somebody should look.
    """

    model: str
    does: str
    because: str
    rows: int
    since_us: int
    due_us: int
    left: str
    is_overdue: bool
    passed: int
    next: str
    is_soon_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One forgetting that was done."""

    model: str
    successor: str
    parties: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgettingsPage:
    """What is due, the earliest first, and what was done.

    Attributes:
        title: The page's heading.
        days: Days from a no to its due date.
        trouble: Why nothing is done by itself now, or what the last forgetting failed by; empty where neither is so.
        due: What is due.
        done: What was done, newest first.
    """

    title: str
    days: int
    trouble: str
    due: Cut[Clock]
    done: Cut[Done]


@pages.get(
    PATH,
    roles=[Role.OPERATOR],
    template="console-forgettings.html",
    nav=Nav(label="Forgettings", place=270),
    reads=NOBODY,
)
def show(visit: Visit) -> ForgettingsPage:
    """Show what is due, and what was done."""
    workspace = visit.workspace
    done = [entry for entry in workspace.history().events if entry.kind == "forgetting"]
    return ForgettingsPage(
        title="Forgettings",
        days=workspace.due_days,
        trouble=_trouble(visit.jobs),
        due=cut(visit, list(planned(workspace)), of="forgetting", size=_DUE, name="due").each(
            lambda one: clock(one, workspace.now_us)
        ),
        done=cut(visit, done[::-1], of="forgetting", name="done", find=lambda entry: f"{entry.body['model']}").each(
            lambda entry: Done(
                model=entry.body["model"],
                successor=entry.body["successor"] or "",
                parties=len(entry.body["parties"]),
                at_us=entry.at_us,
            )
        ),
    )


@pages.post(PATH, roles=[Role.OPERATOR], is_final=True)
def forget(visit: Visit) -> Redirect:
    """Carry out every forgetting that is due, as a run."""
    job = visit.jobs.start("forget", by=visit.who.acts_as, once=True)
    return Redirect(to=f"/console/runs/{job.id}", notice=Notice(text="The forgetting is queued."))


def _trouble(jobs: Jobs) -> str:
    """Say why forgettings are not done by themselves now."""
    if not jobs.has_worker():
        return "No worker is running, so nothing is forgotten by itself. Start one with: volition worker"
    newest = jobs.newest("forget")
    if newest is not None and newest.state is JobState.FAILED:
        return f"The last forgetting failed: {newest.error} It is tried again within an hour or two."
    return ""


def clock(plan: Planned, now_us: int) -> Clock:
    """Return a forgetting with its clock."""
    owed = plan.owed
    hours = abs(owed.due_us - now_us) // 3_600_000_000
    span = f"{hours // 24:,} days" if hours >= 48 else words.count(hours, "hour")
    is_overdue = owed.due_us < now_us
    return Clock(
        model=owed.model,
        does=family_words(owed.family).training,
        because=" ".join(filter(None, [_because(owed), owed.blocked or owed.damage])),
        rows=owed.rows,
        since_us=owed.since_us,
        due_us=owed.due_us,
        left=f"overdue by {span}" if is_overdue else f"{span} left",
        is_overdue=is_overdue,
        next=" ".join(filter(None, [_how(owed), _next(plan, now_us)])),
        is_soon_due=plan.is_soon_due,
        passed=min(100, 100 * (now_us - owed.since_us) // max(1, owed.due_us - owed.since_us)),
    )


def _how(owed: Owed) -> str:
    return f"It forgets {GRADE_WORDS[owed.forgets]}" if owed.forgets is not None else ""


def _next(plan: Planned, now_us: int) -> str:
    """Say what becomes of a forgetting by itself."""
    retired = f"If it still owes on {words.moment(plan.retires_us)}, the model is stopped and its files are erased."
    if plan.owed.blocked:
        return retired
    begins = (
        "It is due to begin now" if plan.begins_us <= now_us else f"It begins by itself {words.moment(plan.begins_us)}"
    )
    return f"{begins}. {retired}"


def _because(owed: Owed) -> str:
    """Say why, in counts alone: whose no it was is private."""
    detail = Counter(_WHY[reason] for reason in owed.parties.values())
    parties = len(owed.parties)
    who = "1 party" if parties == 1 else f"{parties:,} parties"
    return f"{words.listed(sorted(detail))} ({who})"
