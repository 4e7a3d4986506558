"""The console's first page: the key figures, what needs attention, and the first steps in a new workspace."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from volition.server.auth import Role
from volition.server.jobs import JobState
from volition.server.reading import NOBODY
from volition.server.schedule import planned
from volition.server.web.console import forgettings as console_forgettings
from volition.server.web.console import ledger as console_ledger
from volition.server.web.console import runs as console_runs
from volition.server.web.console.first_steps import FirstStep, first_steps
from volition.server.web.console.forgettings import Clock
from volition.server.web.console.ledger import EntryLine
from volition.server.web.page import Nav, Pages, Visit

pages = Pages()

PATH: Final = "/console"

_OVERDUE_SHOWN: Final = 5
_ENTRIES_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure: what it counts, how much, a note, and where to read more; empty where there is nothing more."""

    name: str
    value: str
    detail: str
    href: str
    is_wrong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolePage:
    """The key figures.

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
    steps: tuple[FirstStep, ...]
    tiles: tuple[Tile, ...]
    due: tuple[Clock, ...]
    entries: tuple[EntryLine, ...]


@pages.get(
    PATH,
    roles=[Role.ENGINEER, Role.AUDITOR, Role.OPERATOR],
    template="console.html",
    nav=Nav(label="Overview", place=210),
    reads=NOBODY,
)
def show(visit: Visit) -> ConsolePage:
    """Show the key figures and what needs attention."""
    workspace, who = visit.workspace, visit.who
    is_operator = Role.OPERATOR in who.roles
    reads_ledger = is_operator or Role.AUDITOR in who.roles
    head, status = workspace.ledger.head, workspace.status()
    newest = [*workspace.ledger.entries(max(0, head.size - _ENTRIES_SHOWN), head.size)] if reads_ledger else []
    return ConsolePage(
        title="Overview",
        lead=f"The log is {workspace.origin}, with {head.size:,} entries; whoever has its public key can check them.",
        steps=first_steps(
            is_published=bool(status["terms"]),
            is_collected=bool(status["records"]),
            is_decided=bool(workspace.history().answers.scopes),
        )
        if is_operator
        else (),
        tiles=tuple(_tiles(visit, status)),
        due=tuple(console_forgettings.clock(one, workspace.now_us) for one in [*planned(workspace)][:_OVERDUE_SHOWN])
        if is_operator
        else (),
        entries=tuple(console_ledger.line_of(entry, workspace) for entry in reversed(newest)),
    )


def _tiles(visit: Visit, status: Mapping[str, Any]) -> list[Tile]:
    workspace = visit.workspace
    states = [detail["state"] for detail in status["models"]]
    owed = workspace.models.owed()
    overdue = sum(one.due_us < workspace.now_us for one in owed)
    running = [job for job in console_runs.shown_jobs(visit.jobs) if not job.is_over]
    runs = sum(job.state is JobState.RUNNING for job in running)
    learns = visit.who.is_any(frozenset({Role.ENGINEER, Role.OPERATOR}))
    is_operator = Role.OPERATOR in visit.who.roles
    return [
        Tile(
            name="Models in use",
            value=f"{states.count('at work')} of {len(workspace.models.families())}",
            detail=f"{len(states):,} ever trained",
            href="/console/models",
        ),
        Tile(
            name="Models with something to forget",
            value=f"{len(owed):,}",
            detail=f"{overdue:,} overdue and no longer used" if overdue else "none is overdue",
            href="/console/forgettings" if is_operator else "/console/models",
            is_wrong=bool(overdue),
        ),
        Tile(
            name="Records",
            value=f"{sum(status['records'].values()):,}",
            detail=f"of {len(status['accounts']):,} accounts",
            href="/console/lake" if is_operator else "",
        ),
        Tile(
            name="Snapshots",
            value=f"{len(set(status['snapshots'])):,}",
            detail="training sets that passed the gate",
            href="/console/snapshots" if learns else "",
        ),
        Tile(
            name="Runs",
            value=f"{len(running):,}",
            detail="one is running" if runs else "nothing is running",
            href="/console/runs" if learns else "",
        ),
        Tile(
            name="Terms",
            value=f"{len(status['terms']):,}",
            detail=f"newest: {status['terms'][-1]}" if status["terms"] else "none published",
            href="",
        ),
        *_witness_tile(status["witnesses"], workspace.ledger.size),
    ]


def _witness_tile(witnesses: Sequence[Mapping[str, Any]], size: int) -> Iterator[Tile]:
    """Yield how it stands with the witnesses of the log, where there are any."""
    if witnesses:
        failing = [one["witness"] for one in witnesses if one["trouble"]]
        newest = max(one["size"] for one in witnesses)
        yield Tile(
            name="Witnesses",
            value=f"{len(witnesses) - len(failing)} of {len(witnesses)}",
            detail=f"not reached: {', '.join(failing)}" if failing else f"cosigned up to entry {newest:,} of {size:,}",
            href="",
            is_wrong=bool(failing),
        )
