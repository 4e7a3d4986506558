"""The evidence bundle for the auditor and the operator: made in the background, then downloaded and checked elsewhere.

It holds the whole log and, for each model, what it learned from, so that anyone can replay it. People are in it under
their pseudonyms, with what they answered: it is for an audit, and the one place of the console that has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from volition.canonical import whole_number
from volition.server.auth import Role
from volition.server.http_errors import NOT_FOUND, HttpError
from volition.server.jobs import JobState
from volition.server.log_proofs import command_for
from volition.server.reading import NOBODY, note_list
from volition.server.web.page import Download, Nav, Notice, Pages, Redirect, Visit
from volition.server.work import EVIDENCE_FOLDER, EVIDENCE_JOB
from volition.workspace import Workspace

pages = Pages()

PATH: Final = "/console/evidence"

_WHO: Final = (Role.AUDITOR, Role.OPERATOR)
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBundle:
    """A bundle that was made.

    Attributes:
        entries: How many entries of the log it holds.
        since: What came after it was made, in a sentence.
        size: How large it is, in words.
        at_us: When it was made.
        href: Where it is.
        name: The file's name.
        command: How it is checked.
    """

    entries: int
    since: str
    size: str
    at_us: int
    href: str
    name: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePage:
    """The newest bundle, and the form that has another one made.

    Attributes:
        title: The page's heading.
        bundle: The newest; none before the first.
        is_being_made: Whether one is being made now.
        failed: Why the last one was not made; empty where it was.
        action: Where a new one is asked for.
        key: The log's public key.
    """

    title: str
    bundle: MadeBundle | None
    is_being_made: bool
    failed: str
    action: str
    key: str


@pages.get(PATH, roles=_WHO, template="console-evidence.html", nav=Nav(label="Evidence", place=225), reads=NOBODY)
def show(visit: Visit) -> EvidencePage:
    """Show the newest bundle."""
    job = visit.jobs.newest(EVIDENCE_JOB)
    return EvidencePage(
        title="Evidence",
        bundle=_made(visit.workspace),
        is_being_made=job is not None and not job.is_over,
        failed=job.error if job is not None and job.state is JobState.FAILED else "",
        action=PATH,
        key=visit.workspace.verifier.to_text(),
    )


@pages.post(PATH, roles=_WHO)
def make(visit: Visit) -> Redirect:
    """Have a bundle made of the log as it is now."""
    job = visit.jobs.newest(EVIDENCE_JOB)
    if job is None or job.is_over:
        visit.jobs.start(EVIDENCE_JOB, by=visit.who.acts_as, once=True)
    return Redirect(
        to=PATH, notice=Notice(text="The bundle is being made. Reload this page to see whether it is there.")
    )


@pages.get(f"{PATH}/{{name}}", roles=_WHO, reads="entries")
def download(visit: Visit) -> Download:
    """Give the newest bundle."""
    path = _newest(visit.workspace)
    if path is None or path.name != visit.path["name"]:
        raise HttpError(NOT_FOUND, "There is no such bundle any more. The page Evidence has the newest.")
    note_list(visit.workspace, visit.who, "entries", account=None, records=_entries_of(path))
    return Download(name=path.name, data=_pieces(path), media_type="application/zip")


def _newest(workspace: Workspace) -> Path | None:
    found = (workspace.folder / EVIDENCE_FOLDER).glob("evidence-*.zip")
    return max(found, key=_entries_of, default=None)


def _entries_of(path: Path) -> int:
    return whole_number(path.stem.removeprefix("evidence-")) or 0


def _made(workspace: Workspace) -> MadeBundle | None:
    path = _newest(workspace)
    if path is None:
        return None
    entries, state = _entries_of(path), path.stat()
    newer = workspace.ledger.size - entries
    came = "1 entry came since." if newer == 1 else f"{newer:,} entries came since."
    return MadeBundle(
        entries=entries,
        since=came if newer else "Nothing came since.",
        size=f"{max(1, round(state.st_size / 1000)):,} kB",
        at_us=int(state.st_mtime * 1_000_000),
        href=f"{PATH}/{path.name}",
        name=path.name,
        command=command_for(path.name, workspace.verifier.to_text()),
    )


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
