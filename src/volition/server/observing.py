"""The outermost layer of a server: each request has its ids, and is counted, timed, traced and logged by its route.

ASGI middleware, without a framework. The route is the template of the path, such as `/v1/people/{person}`; what led to
no route is one, `(none)`, so that nobody can make metrics grow by asking for what is not there.
"""

import logging
import time
from typing import Final

from volition.server.asgi import App, Message, Receive, Send
from volition.server.correlation import REQUEST, Correlation, correlated
from volition.server.metrics import Answered, Metrics
from volition.server.otel import Otel

NO_ROUTE: Final = "(none)"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNANSWERED: Final = 499
"""What stands in figures for a client that left before an answer began."""

_log = logging.getLogger(__name__)


def route_of(scope: Message) -> str:
    """Return the template of the path that a request was led to, once it was."""
    template = scope.get("volition.route") or getattr(scope.get("route"), "path", None)
    if isinstance(template, str):
        return template
    return scope.get("root_path") or NO_ROUTE  # where files lie, as older versions of Starlette say it


class Observing:
    """Stands before everything else."""

    def __init__(self, app: App, metrics: Metrics, *, otel: Otel | None = None, has_requests: bool = False) -> None:
        """Stand before `app`.

        Args:
            app: What answers.
            metrics: Where requests are counted.
            otel: Where traces and metrics are sent, too; none to send nothing.
            has_requests: Whether each request has a line in the log.
        """
        self._app = app
        self._metrics = metrics
        self._otel = otel
        self._has_requests = has_requests

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, and note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = correlated(scope["headers"])
        status = _UNANSWERED

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *ids.headers()]
            await send(message)

        token, began_ns, began_s = REQUEST.set(ids), time.time_ns(), time.perf_counter()
        try:
            await self._app(scope, receive, noting)
        except BaseException:
            status = 500 if status == _UNANSWERED else status
            raise
        finally:
            answered = Answered(
                method=scope["method"] if scope["method"] in _METHODS else "(other)",
                route=route_of(scope),
                status=status,
                began_ns=began_ns,
                took_s=time.perf_counter() - began_s,
            )
            self._note(answered, ids)
            REQUEST.reset(token)

    def _note(self, answered: Answered, ids: Correlation) -> None:
        self._metrics.note(answered)
        if self._otel is not None:
            self._otel.note(answered, ids)
        if self._has_requests:
            method, route, status = answered.method, answered.route, answered.status
            fields = {"method": method, "route": route, "status": status, "seconds": round(answered.took_s, 6)}
            _log.info("%s %s %d in %.0f ms", method, route, status, answered.took_s * 1000, extra={"fields": fields})
