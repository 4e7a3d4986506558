"""Routes of summaries that a language model writes: asked for, read, corrected, and sent to colleagues."""

from typing import Annotated

from fastapi import APIRouter, Query

from volition.errors import InvalidInputError
from volition.features.written.corrections import correction
from volition.server.api.schemas import Cursor, Limit, Listing, SharedOut, newest_first, paged
from volition.server.api.security import DecisionWorkspaceDep, JobsDep, WorkspaceDep, requires
from volition.server.api.summary_schemas import SummaryAskIn, SummaryChangeIn, SummaryOut, SummarySendIn
from volition.server.auth import Principal, Role, Scope
from volition.server.http_errors import FORBIDDEN, HttpError
from volition.server.work import start_summary
from volition.workspace import Workspace
from volition.workspace.summaries import ReadSummary

routes = APIRouter(prefix="/v1", tags=["summaries"])
_Meeting = Annotated[str | None, Query(min_length=1, max_length=1000, description="Only those of this meeting, whole.")]


@routes.get("/summaries")
def list_summaries(
    who: Annotated[Principal, requires(Scope.READ, Role.PERSON)],
    workspace: WorkspaceDep,
    meeting: _Meeting = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[SummaryOut]:
    """List the written summaries that you may read, your own first; of one meeting with what they say."""
    found = workspace.summaries.of(_person(who), meeting=meeting)
    page, following = paged(found, _place, cursor, limit)
    return Listing(items=[_out(one, whole=meeting is not None) for one in page], next=following)


@routes.post("/summaries", status_code=202)
def ask(
    who: Annotated[Principal, requires(Scope.DECIDE, Role.PERSON)],
    workspace: WorkspaceDep,
    jobs: JobsDep,
    body: SummaryAskIn,
) -> SummaryOut:
    """Have a summary of a meeting written: its lines are sent to the language model. What was begun is gone on with."""
    person = _person(who)
    asked = workspace.summaries.ask(body.meeting, person=person)
    start_summary(jobs, asked, by=who.acts_as)
    return _own(workspace, body.meeting, person)


@routes.post("/summaries/corrections")
def correct(
    who: Annotated[Principal, requires(Scope.DECIDE, Role.PERSON)], workspace: WorkspaceDep, body: SummaryChangeIn
) -> SummaryOut:
    """Reword, strike out, put back or add a sentence of your own summary; those whom you sent it read it so."""
    person = _person(who)
    change = correction(body.do, claim=body.claim, text=body.text, kind=body.kind)
    workspace.summaries.correct(body.meeting, change, person=person)
    return _own(workspace, body.meeting, person)


@routes.post("/summaries/sendings", status_code=201)
def send(
    who: Annotated[Principal, requires(Scope.DECIDE, Role.PERSON)],
    workspace: DecisionWorkspaceDep,
    body: SummarySendIn,
) -> SharedOut:
    """Send your own finished summary to colleagues, or take it back; nobody else receives it."""
    move = workspace.summaries.send if body.shared else workspace.summaries.take_back
    entry = move(body.meeting, person=_person(who), to=body.people)
    return SharedOut(entry=None if entry is None else entry.seq)


def _own(workspace: Workspace, meeting: str, person: str) -> SummaryOut:
    """Return a person's own summary of a meeting as it is now."""
    own = [one for one in workspace.summaries.of(person, meeting=meeting) if one.is_own]
    if not own:
        raise InvalidInputError(f"You have no written summary of the meeting {meeting!r}.")
    return _out(own[0], whole=True)


def _out(one: ReadSummary, *, whole: bool) -> SummaryOut:
    return SummaryOut.model_validate(one.to_json() | ({} if whole else {"claims": None}))


def _place(one: ReadSummary) -> str:
    return f"{0 if one.is_own else 1}/{newest_first(one.summary.asked_us)}/{one.meeting}/{one.owner.party}"


def _person(who: Principal) -> str:
    """Return the person of an account who asks; a guest has no summaries."""
    if who.account is None or who.person is None or who.is_guest:
        raise HttpError(FORBIDDEN, "This is for a person of an account, and you are not signed in as one.")
    return who.person
