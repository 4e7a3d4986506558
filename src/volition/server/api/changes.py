"""Routes of the change feed: what changed for whom, after a cursor, at once, by long poll or as server-sent events."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from volition.canonical import us_to_text
from volition.errors import VolitionError
from volition.server.api.schemas import ChangeOut, ChangesOut, Limit
from volition.server.api.security import ALL_ROLES, ChangeWaitersDep, LanesDep, requires
from volition.server.auth import Access, Principal, Scope, check_guest
from volition.server.changes import Change, Changes, ChangeWaiters, changes_after
from volition.server.http_errors import failure_of, problem
from volition.server.lanes import Lanes
from volition.server.reading import NOBODY
from volition.workspace import Workspace
from volition.workspace.pool import Lane

if TYPE_CHECKING:
    from volition.server.middleware import RequestContext

routes = APIRouter(prefix="/v1")

_EVENTS: Final = "text/event-stream"
_HEARTBEAT_S: Final = 15.0
_STREAM_S: Final = 3600.0
"""A stream is ended after so long, and begun again by its client."""


@routes.get(
    "/changes",
    tags=["changes"],
    response_model=ChangesOut,
    responses={200: {"content": {_EVENTS: {"schema": {"type": "string"}}}}},
)
async def list_changes(  # noqa: PLR0913, PLR0917 - what a long poll says, by name
    who: Annotated[Principal, requires(Scope.READ, *ALL_ROLES, reads=NOBODY)],
    request: Request,
    lanes: LanesDep,
    waiters: ChangeWaitersDep,
    after: Annotated[
        str, Query(max_length=40, description="`next` of the previous answer, or how many entries are known.")
    ] = "0",
    limit: Limit = 100,
    wait: Annotated[
        float, Query(ge=0, le=60, allow_inf_nan=False, description="Seconds to wait where there is nothing yet.")
    ] = 0,
    last_event_id: Annotated[str | None, Header(max_length=40, description="What a stream goes on after.")] = None,
) -> ChangesOut | StreamingResponse:
    """List what changed for the caller after a cursor; as server-sent events where Accept asks for them."""
    waiters.count(who.user)
    feed = _Feed(request=request, lanes=lanes, waiters=waiters, limit=limit)
    if _EVENTS in request.headers.get("accept", ""):
        start = after if last_event_id is None else last_event_id
        with waiters.waiting(who.user):  # to be refused before anything is sent
            first = await feed.read(who, start)
        events = feed.events(who, first)
        return StreamingResponse(events, media_type=_EVENTS, headers={"x-accel-buffering": "no"})
    found = await feed.read(who, after)
    if not found.items and wait:
        with waiters.waiting(who.user):
            found = await feed.awaited(who, found, for_s=wait)
    return ChangesOut(
        log=found.origin, items=[_out(one) for one in found.items], next=found.next, behind=found.size - found.end
    )


class _Feed:
    """The feed for one request."""

    def __init__(self, *, request: Request, lanes: Lanes, waiters: ChangeWaiters, limit: int) -> None:
        self._request = request
        self._lanes = lanes
        self._waiters = waiters
        self._limit = limit

    async def read(self, who: Principal, after: str) -> Changes:
        access: Access = self._request.app.state.access

        def read(workspace: Workspace) -> Changes:
            check_guest(who, workspace.parties)
            return changes_after(workspace, who, after, digest=access.links.digest, limit=self._limit)

        return await self._lanes.run(Lane.READING, read)

    async def awaited(self, who: Principal, found: Changes, *, for_s: float) -> Changes:
        """Return the first answer that shows something, or the last one when the time is over."""
        until_s = time.monotonic() + for_s
        while not found.items and (left_s := until_s - time.monotonic()) > 0:
            is_more = found.end < found.size or await self._waiters.beyond(found.size, for_s=left_s)
            if not is_more or self._waiters.is_stopping() or not self._is_still(who):
                break
            found = await self.read(who, found.next)
        return found

    async def events(self, who: Principal, first: Changes) -> AsyncIterator[str]:
        """Yield each change as an event, and now and then a comment, for as long as the caller may read."""
        with self._waiters.waiting(who.user):
            found, until_s = first, time.monotonic() + _STREAM_S
            yield f"retry: 1000\n: {found.origin}\n\n"
            while not self._waiters.is_stopping() and time.monotonic() < until_s and self._is_still(who):
                for one in found.items:
                    yield _event(one)
                if not found.items:
                    yield f"id: {found.next}\n\n"  # sent as it is: a client that comes back goes on here
                try:
                    after = replace(found, items=())
                    if found.end == found.size:
                        await self._waiters.beyond(found.size, for_s=_HEARTBEAT_S)
                    found = await self.read(who, after.next)
                except VolitionError as error:  # it ends, and says why; whoever comes again is told as a status
                    yield f"event: problem\ndata: {json.dumps(problem(failure_of(error), str(error)))}\n\n"
                    return

    def _is_still(self, who: Principal) -> bool:
        """Say whether the caller may still ask: their token or session was not ended, and they are who they were."""
        access: Access = self._request.app.state.access
        context: RequestContext = self._request.scope["volition"]
        if context.session is not None:
            return access.sessions.find(context.session) == who
        return access.tokens.find(self._request.headers.get("authorization", "").partition(" ")[2].strip()) == who


def _out(one: Change) -> ChangeOut:
    return ChangeOut(seq=one.seq, at=us_to_text(one.at_us), kind=one.kind, party=one.party, cursor=one.cursor)


_encoded = partial(json.dumps, separators=(",", ":"))


def _event(one: Change) -> str:
    return f"id: {one.cursor}\nevent: change\ndata: {_encoded(_out(one).model_dump())}\n\n"
