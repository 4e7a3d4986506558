"""Background jobs of this server: start a training and watch it live; without JavaScript, reload the page.

Only trainings, snapshots, audits and forgettings are shown; what a person started on their own pages is not.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from volition.errors import InvalidInputError
from volition.server.auth import Role
from volition.server.jobs import Job, Jobs, JobState
from volition.server.reading import NOBODY
from volition.server.web import labels as words
from volition.server.web.charts.curve import loss_curve
from volition.server.web.page import Event, Live, Nav, Notice, Pages, Redirect, Visit

pages = Pages()

PATH: Final = "/console/runs"

_WHO: Final = (Role.ENGINEER, Role.OPERATOR)
_SHOWN: Final = ("train", "snapshot", "audit", "forget")
_MINUTE_S: Final = 60
_STATE: Final = {
    JobState.WAITING: "queued",
    JobState.RUNNING: "running",
    JobState.DONE: "done",
    JobState.FAILED: "failed",
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
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPage:
    """Every run, and the form that starts one.

    Attributes:
        title: The page's heading.
        families: What can be trained.
        lines: The runs of this server since it started, newest first.
    """

    title: str
    families: tuple[TrainableFamily, ...]
    lines: tuple[RunLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """One run as it is now.

    Attributes:
        title: The page's heading.
        at_us: When it was requested.
        is_over: Whether nothing will change any more.
        now: Its progress as HTML, the same as is sent live.
        live: Where it is sent live.
    """

    title: str
    at_us: int
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
            title=words.family_words(name).training,
            snapshots=tuple(one for one in known if one.startswith(f"{purpose.replace('/', '-')}-"))[:20],
        )
        for name, purpose in visit.workspace.models.families().items()
    )
    return RunsPage(
        title="Runs", families=families, lines=tuple(_line(job) for job in reversed(shown_jobs(visit.jobs)))
    )


@pages.post(PATH, roles=_WHO)
def start(visit: Visit) -> Redirect:
    """Train a family, from a new snapshot or from one that is there."""
    family, _, snapshot = visit.form.get("learn", "").partition(" ")
    visit.workspace.models.family(family)
    if snapshot:
        visit.workspace.snapshots.open(snapshot)
    job = visit.jobs.start(
        f"train {family}",
        lambda workspace, progress: workspace.models.train(family, snapshot or None, progress=progress).id,
    )
    return Redirect(to=f"{PATH}/{job.id}", notice=Notice(text="The training is queued. This page follows it."))


@pages.get(f"{PATH}/{{run}}", roles=_WHO, template="console-run.html", reads=NOBODY)
def one(visit: Visit) -> RunPage:
    """Show one run as it is now."""
    job = _job(visit)
    return RunPage(
        title=_what(job),
        at_us=job.started_us,
        is_over=job.is_over,
        now=progress_html(job),
        live=f"{PATH}/{job.id}/live",
    )


@pages.get(f"{PATH}/{{run}}/live", roles=_WHO, reads=NOBODY)
def live(visit: Visit) -> Live:
    """Send the progress of a run whenever it changes, until it is over."""
    job = _job(visit)
    return Live(events=_details(visit.jobs, job.id))


def shown_jobs(jobs: Jobs) -> list[Job]:
    """Return the jobs that the console shows, oldest first."""
    return [job for job in jobs.all() if job.what.split(" ")[0] in _SHOWN]


def progress_html(job: Job) -> Markup:
    """Say how far a job is, as HTML, with its loss so far as a curve."""
    return _state_html(job) + loss_curve(job.losses, job.total)


def _state_html(job: Job) -> Markup:
    if job.state is JobState.FAILED:
        return Markup('<p class="error" role="alert">It failed. {}</p>').format(job.error)
    if job.state is JobState.DONE:
        return Markup(
            '<p class="state"><strong>Done.</strong> {}</p><progress max="1" value="1" aria-label="done"></progress>'
        ).format(_result(job))
    if job.state is JobState.WAITING:
        return Markup('<p class="state">Queued: runs go one at a time, since each may use the whole machine.</p>')
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


def _details(jobs: Jobs, run: str) -> Iterator[Event]:
    for job in jobs.follow(run):
        yield Event(name="", html=str(progress_html(job)))
    yield Event(name="over", html="over")  # an event by name: the page asks no more


def _result(job: Job) -> Markup:
    kind = job.what.split(" ")[0]
    if kind == "train":
        return Markup('The model is <a href="/console/models/{0}">{0}</a>.').format(job.result)
    if kind == "snapshot":
        return Markup('The snapshot is <a href="/console/snapshots/{0}">{0}</a>.').format(job.result)
    if kind == "audit":
        return Markup('See <a href="/console/models/{0}">the results for {0}</a>.').format(job.what.partition(" ")[2])
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
        at_us=job.started_us,
    )


def _what(job: Job) -> str:
    kind, _, of = job.what.partition(" ")
    match kind:
        case "train":
            return words.family_words(of).training
        case "snapshot":
            return f"Snapshot for {words.purpose_in_words(of)}"
        case "audit":
            return f"Audit of {of}"
    return "Forgetting what is due"


def _job(visit: Visit) -> Job:
    found = [job for job in shown_jobs(visit.jobs) if job.id == visit.path["run"]]
    if not found:
        raise InvalidInputError("There is no such run. The server lists its runs until it stops.")
    return found[0]
