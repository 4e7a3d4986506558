"""The console's first page: how everything stands, what needs somebody, and, in an empty workspace, how to begin."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.server.auth import Role
from volition.server.jobs import State
from volition.server.web.console import forgettings as console_forgettings
from volition.server.web.console import ledger as console_ledger
from volition.server.web.console import runs as console_runs
from volition.server.web.console.first_steps import Step, first_steps
from volition.server.web.console.forgettings import Clock
from volition.server.web.console.ledger import Line
from volition.server.web.page import Nav, Pages, Visit

pages = Pages()

PATH: Final = "/console"

_OVERDUE_SHOWN: Final = 5
_ENTRIES_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure: what it counts, how much, what else is to say, and where there is more; empty where there is none."""

    name: str
    value: str
    told: str
    href: str
    is_wrong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolePage:
    """How everything stands.

    Attributes:
        title: The page's heading.
        lead: What this service is, in a sentence.
        steps: The first steps; empty once all are done.
        tiles: The figures.
        due: Forgettings that are due, overdue ones first; only for the operator.
        entries: The ledger's newest entries; only for those who may read it.
    """

    title: str
    lead: str
    steps: tuple[Step, ...]
    tiles: tuple[Tile, ...]
    due: tuple[Clock, ...]
    entries: tuple[Line, ...]


@pages.get(
    PATH,
    roles=[Role.ENGINEER, Role.AUDITOR, Role.OPERATOR],
    template="console.html",
    nav=Nav(label="Overview", place=210),
)
def show(visit: Visit) -> ConsolePage:
    """Show how everything stands."""
    workspace, who = visit.workspace, visit.who
    is_operator = Role.OPERATOR in who.roles
    reads_ledger = is_operator or Role.AUDITOR in who.roles
    head, status = workspace.ledger.head, workspace.status()
    newest = [*workspace.ledger.entries(max(0, head.size - _ENTRIES_SHOWN), head.size)] if reads_ledger else []
    return ConsolePage(
        title="Overview",
        lead=f"The log is {workspace.origin}, with {head.size:,} entries that anyone can check.",
        steps=first_steps(
            is_published=bool(status["terms"]),
            is_collected=bool(status["records"]),
            is_decided=bool(workspace.history().answers.scopes),
        )
        if is_operator
        else (),
        tiles=tuple(_tiles(visit, status)),
        due=tuple(console_forgettings.clock(one, workspace.now_us) for one in workspace.models.owed()[:_OVERDUE_SHOWN])
        if is_operator
        else (),
        entries=tuple(console_ledger.line_of(entry, workspace) for entry in reversed(newest)),
    )


def _tiles(visit: Visit, status: Mapping[str, Any]) -> list[Tile]:
    workspace = visit.workspace
    states = [told["state"] for told in status["models"]]
    owed = workspace.models.owed()
    overdue = sum(one.due_us < workspace.now_us for one in owed)
    running = [job for job in console_runs.shown_jobs(visit.jobs) if not job.is_over]
    runs = sum(job.state is State.RUNNING for job in running)
    learns = visit.who.is_any(frozenset({Role.ENGINEER, Role.OPERATOR}))
    is_operator = Role.OPERATOR in visit.who.roles
    return [
        Tile(
            name="Models at work",
            value=f"{states.count('at work')} of {len(workspace.models.families())}",
            told=f"{len(states):,} ever trained",
            href="/console/models",
        ),
        Tile(
            name="Stale models",
            value=f"{len(owed):,}",
            told=f"{overdue:,} overdue: not used any more" if overdue else "none is overdue",
            href="/console/forgettings" if is_operator else "/console/models",
            is_wrong=bool(overdue),
        ),
        Tile(
            name="Records",
            value=f"{sum(status['records'].values()):,}",
            told=f"of {len(status['accounts']):,} accounts",
            href="/console/lake" if is_operator else "",
        ),
        Tile(
            name="Snapshots",
            value=f"{len(set(status['snapshots'])):,}",
            told="gated training sets",
            href="/console/snapshots" if learns else "",
        ),
        Tile(
            name="Runs",
            value=f"{len(running):,}",
            told="one is running" if runs else "nothing is running",
            href="/console/runs" if learns else "",
        ),
        Tile(
            name="Terms",
            value=f"{len(status['terms']):,}",
            told=f"newest: {status['terms'][-1]}" if status["terms"] else "none were published",
            href="",
        ),
    ]
