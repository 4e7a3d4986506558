"""Background jobs of this server: start a training and watch it live; without JavaScript, reload the page.

What has a page of its own, such as an evidence bundle or a summary that somebody asked for, is not shown. A run of a
kind that this version does not know, or to do with something that it does not know, is shown as it is called.
"""

import math
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from volition.errors import InvalidInputError
from volition.learning.families.installed import family_words
from volition.server.auth import Role
from volition.server.http_errors import FORBIDDEN, HttpError
from volition.server.jobs import Job, Jobs, JobState
from volition.server.reading import NOBODY
from volition.server.schedule import ASKED_BY
from volition.server.web import labels as words
from volition.server.web.charts.curve import loss_curve
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Event, Live, Nav, Notice, Pages, Redirect, Visit
from volition.server.work import EVIDENCE_JOB, SUMMARY_JOB, may_cancel

pages = Pages()

PATH: Final = "/console/runs"

_WHO: Final = (Role.ENGINEER, Role.OPERATOR)
_ELSEWHERE: Final = (EVIDENCE_JOB, SUMMARY_JOB)  # a page of their own shows how far they are
_MINUTE_S: Final = 60
_STATE: Final = {
    JobState.WAITING: "queued",
    JobState.RUNNING: "running",
    JobState.DONE: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainableFamily:
    """A family that can be trained, and the snapshots that it may learn from, newest first."""

    name: str
    title: str
    snapshots: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run in the list."""

    id: str
    what: str
    state: str
    is_over: bool
    stage: str
    by: str
    at_us: int
    ended_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPage:
    """Every run, and the form that starts one.

    Attributes:
        title: The page's heading.
        families: What can be trained.
        has_worker: Whether anything does them now.
        lines: The runs, newest first.
    """

    title: str
    has_worker: bool
    families: tuple[TrainableFamily, ...]
    lines: Cut[RunLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """One run as it is now.

    Attributes:
        title: The page's heading.
        at_us: When it was requested.
        is_over: Whether nothing will change any more.
        now: Its progress as HTML, the same as is sent live.
        live: Where it is sent live.
        by: Who asked for it, in words.
        waits_for_worker: Whether it waits, and nothing is there that would do it.
        cancel: Where the visitor may have it stopped; empty where they may not, or it is over.
        is_cancelling: Whether it is to stop at its next step.
    """

    title: str
    at_us: int
    by: str
    waits_for_worker: bool
    cancel: str
    is_cancelling: bool
    is_over: bool
    now: Markup
    live: str


@pages.get(PATH, roles=_WHO, template="console-runs.html", nav=Nav(label="Runs", place=250), reads=NOBODY)
def show(visit: Visit) -> RunsPage:
    """Show the runs, and what can be trained."""
    known = [*dict.fromkeys(reversed(visit.workspace.snapshots.ids()))]
    families = tuple(
        TrainableFamily(
            name=name,
            title=family_words(name).training,
            snapshots=tuple(one for one in known if one.startswith(f"{purpose.replace('/', '-')}-"))[:20],
        )
        for name, purpose in visit.workspace.models.families().items()
    )
    return RunsPage(
        title="Runs",
        has_worker=visit.jobs.has_worker(),
        families=families,
        lines=cut(visit, shown_jobs(visit.jobs)[::-1], of="run", find=_what).each(_line),
    )


@pages.post(PATH, roles=_WHO)
def start(visit: Visit) -> Redirect:
    """Train a family, from a new snapshot or from one that is there."""
    family, _, snapshot = visit.form.get("learn", "").partition(" ")
    visit.workspace.models.family(family)
    if snapshot:
        visit.workspace.snapshots.open(snapshot)
    payload = {"snapshot": snapshot} if snapshot else {}
    job = visit.jobs.start("train", family, payload=payload, by=visit.who.acts_as)
    return Redirect(to=f"{PATH}/{job.id}", notice=Notice(text="The training is queued. This page follows it."))


@pages.get(f"{PATH}/{{run}}", roles=_WHO, template="console-run.html", reads=NOBODY)
def one(visit: Visit) -> RunPage:
    """Show one run as it is now."""
    job = _job(visit)
    return RunPage(
        title=_what(job),
        at_us=job.started_us,
        by=_by(job),
        waits_for_worker=job.state is JobState.WAITING and not visit.jobs.has_worker(),
        cancel=f"{PATH}/{job.id}/cancel"
        if not job.is_over and not job.is_cancelling and may_cancel(visit.who, job)
        else "",
        is_cancelling=job.is_cancelling and not job.is_over,
        is_over=job.is_over,
        now=progress_html(job),
        live=f"{PATH}/{job.id}/live",
    )


@pages.post(f"{PATH}/{{run}}/cancel", roles=_WHO)
def cancel(visit: Visit) -> Redirect:
    """Have a run stop."""
    job = _job(visit)
    if not may_cancel(visit.who, job):
        raise HttpError(FORBIDDEN, "Only an operator may cancel this.")
    over = visit.jobs.cancel(job.id).is_over
    text = "The run is cancelled." if over else "The run stops at its next step."
    return Redirect(to=f"{PATH}/{job.id}", notice=Notice(text=text))


@pages.get(f"{PATH}/{{run}}/live", roles=_WHO, reads=NOBODY)
def live(visit: Visit) -> Live:
    """Send the progress of a run whenever it changes, until it is over."""
    job = _job(visit)
    return Live(events=visit.followers.follow(job.id, _event))


def shown_jobs(jobs: Jobs) -> list[Job]:
    """Return the jobs that the console shows, oldest first."""
    return [job for job in jobs.all() if job.kind not in _ELSEWHERE]


def progress_html(job: Job) -> Markup:
    """Say how far a job is, as HTML, with its loss so far as a curve."""
    return _state_html(job) + loss_curve(job.losses, job.total)


def _state_html(job: Job) -> Markup:
    if job.state is JobState.FAILED:
        return Markup('<p class="error" role="alert">It failed. {}</p>').format(job.error)
    if job.state is JobState.CANCELLED:
        return Markup('<p class="state"><strong>Cancelled.</strong> What was finished before stays.</p>')
    if job.state is JobState.DONE:
        return Markup(
            '<p class="state"><strong>Done.</strong> {}</p><progress max="1" value="1" aria-label="done"></progress>'
        ).format(_result(job))
    if job.state is JobState.WAITING:
        return Markup(
            '<p class="state">Queued: a worker does one run at a time, since each may use the whole machine.</p>'
        )
    if not job.total:
        so_far = f", {job.done:,} so far" if job.done else ""
        return Markup('<p class="state"><strong>{}</strong>{}</p><progress aria-label="{}"></progress>').format(
            job.stage or "beginning", so_far, job.stage or "beginning"
        )
    loss = f", loss {job.losses[-1][1]:.3f}" if job.losses else ""
    left = "" if job.left_s is None else f", about {_duration(job.left_s)} left"
    return Markup(
        '<p class="state"><strong>{}</strong>, {} of {}{}</p><progress max="{}" value="{}" aria-label="{}"></progress>'
    ).format(
        job.stage,
        f"{job.done:,}",
        f"{job.total:,}",
        loss + left,
        job.total,
        job.done,
        job.stage,
    )


def _duration(seconds: int) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    hours, minutes = divmod(math.ceil(seconds / _MINUTE_S), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _event(job: Job) -> str:
    now = Event(name="", html=str(progress_html(job))).to_text()
    # An event by name: the page asks no more.
    return now + Event(name="over", html="over").to_text() if job.is_over else now


def _result(job: Job) -> Markup:
    kind = job.kind
    if kind == "train":
        return Markup('The model is <a href="/console/models/{0}">{0}</a>.').format(job.result)
    if kind == "snapshot":
        return Markup('The snapshot is <a href="/console/snapshots/{0}">{0}</a>.').format(job.result)
    if kind == "audit":
        return Markup('See <a href="/console/models/{0}">the results for {0}</a>.').format(job.subject)
    if kind == "compact":
        return Markup('See <a href="/console/lake">the data</a>.')
    if kind == "index":
        return Markup("{} can be searched now that could not before.").format(words.count(job.result or 0, "line"))
    if kind != "forget":
        return Markup("")
    count = len(job.result or ())
    detail = "One model has forgotten." if count == 1 else f"{count:,} models have forgotten."
    return Markup('{} See <a href="/console/models">the models</a>.').format(detail)


def _line(job: Job) -> RunLine:
    return RunLine(
        id=job.id,
        what=_what(job),
        state=_STATE[job.state],
        is_over=job.is_over,
        stage="" if job.is_over else job.stage,
        by=_by(job),
        at_us=job.started_us,
        ended_us=job.ended_us,
    )


def _what(job: Job) -> str:
    of = job.subject
    match job.kind:
        case "train":
            return family_words(of).training
        case "snapshot":
            return f"Snapshot for {words.purpose_in_words(of)}"
        case "audit":
            return f"Audit of {of}"
        case "compact":
            return "Making large files of small ones"
        case "index":
            return "Indexing for search"
        case "forget":
            return "Forgetting what is due"
    return job.what


def _job(visit: Visit) -> Job:
    job = visit.jobs.job(visit.path["run"])
    if job.kind in _ELSEWHERE:
        raise InvalidInputError("There is no such run. The list of runs has those that are kept.")
    return job


def _by(job: Job) -> str:
    """Say who asked for a run: by itself, or somebody in a role."""
    return "by itself, as scheduled" if job.asked_by == ASKED_BY else f"by {job.asked_by}"
