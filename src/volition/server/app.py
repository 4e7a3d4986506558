"""The server: the API and the pages behind one port, for one workspace, in one process with two beside it.

    volition serve --port 8080

The pages and the API know nothing of one another; here they are put side by side. `/v1`, `/healthz` and the like belong
to the API, all else to the pages.
"""

import contextlib
import gc
import ipaddress
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
import uvloop

from volition import canonical
from volition.canonical import us_to_text
from volition.errors import BackendError, ConflictError, InvalidInputError
from volition.server.api.app import PATHS, Api
from volition.server.asgi import Message, Receive, Send
from volition.server.auth import Access, Role
from volition.server.beside import Beside, Collector
from volition.server.bodies import Bodies
from volition.server.changes import ChangeWaiters
from volition.server.checkpoints import ServerCheckpoints
from volition.server.compression import Compression
from volition.server.connections import BoundedHttpProtocol
from volition.server.cosigning import Cosigning
from volition.server.draining import Draining
from volition.server.figures import Figure, of_lanes, of_processes, of_queues, of_workspace
from volition.server.followers import Followers
from volition.server.job_spans import no_span
from volition.server.jobs import Jobs
from volition.server.lanes import Lanes
from volition.server.logs import set_up_logging
from volition.server.mail.courier import Courier
from volition.server.metrics import Metrics
from volition.server.middleware import SecurityMiddleware
from volition.server.notices.outbox import Outbox
from volition.server.notices.shown import ShownNotices
from volition.server.observing import Observing
from volition.server.otel import from_environment
from volition.server.repeating import Repeating
from volition.server.settings import ServerSettings, read_settings
from volition.server.sign_ins import end_sign_ins_of_erased
from volition.server.web.app import application as web_application
from volition.server.web.app import largest_form, problem_page
from volition.server.work import KINDS, Work
from volition.server.workers import WorkerHere, work_beside
from volition.workspace.pool import Lane, Workspaces

_WARM_S: Final = 10.0
_log = logging.getLogger(__name__)

GRACE_S: Final = 10
"""How long a request may go on after the process was asked to stop; streams of events end at once."""


class Server:
    """A workspace's server as an ASGI application; closing it closes the workspace."""

    def __init__(
        self,
        folder: Path,
        *,
        is_demo: bool = False,
        has_worker: bool = True,
        is_alone: bool = True,
        kinds: Mapping[str, Work] = KINDS,
    ) -> None:
        """Open the workspace.

        Args:
            folder: Where it lies.
            is_demo: Whether anyone at this machine may sign in with a click.
            has_worker: Whether background jobs are done here; without, `volition worker` does them.
            is_alone: Whether all is done in this process; otherwise telemetry is taken in by one beside it, and
                background jobs are done by another (`beside`).
            kinds: What a job of each kind does, in this process.

        Raises:
            InvalidInputError: There is none in the folder, or `server.toml` makes no sense.
            BackendError: A file of it cannot be opened.
        """
        self.settings: ServerSettings = read_settings(folder, is_demo=is_demo)
        self.workspaces = Workspaces(folder, open_sign_ins=lambda: contextlib.nullcontext(self.access))
        self.access = Access.open(folder)
        self._checkpoints = ServerCheckpoints(self.access.database, self.workspaces)
        self.jobs = Jobs(folder)
        self.shown = ShownNotices(self.access.database)
        self.outbox = Outbox(self.access.database)
        limits = self.settings.limits
        self.stop_asked: Callable[[], bool] = lambda: False
        self._metrics = Metrics(
            [
                self._workspace_figures,
                lambda: of_queues(self.jobs, self.outbox),
                lambda: of_lanes(self.lanes),
                lambda: of_processes(self.processes()),
            ]
        )
        self._worker: WorkerHere | Beside | None = None
        self._collector = None if is_alone else Collector(folder)
        self.lanes = Lanes(
            self.workspaces,
            waiting=limits.waiting,
            patience_s=limits.turn_s,
            waited=self._metrics.note_wait,
            elsewhere={} if self._collector is None else {Lane.COLLECTING: self._collector},
        )
        self.followers = Followers(self.jobs, is_stopping=self._is_stopping)
        self.change_waiters = ChangeWaiters(
            lambda: self.lanes.run(Lane.READING, lambda workspace: workspace.ledger.size), is_stopping=self._is_stopping
        )
        self.api = Api(
            access=self.access,
            lanes=self.lanes,
            jobs=self.jobs,
            followers=self.followers,
            change_waiters=self.change_waiters,
            settings=self.settings,
            metrics=self._metrics,
            has_worker=has_worker,
            takes_telemetry=lambda: self._collector is None or self._collector.process.is_well,
        )
        web = web_application(
            access=self.access,
            shown=self.shown,
            outbox=self.outbox,
            lanes=self.lanes,
            jobs=self.jobs,
            followers=self.followers,
            settings=self.settings,
        )
        self._finish_erasures()
        self._courier = self._send_mails(folder)
        self._cosigning = self._ask_witnesses()
        self._days_closed_on = ""
        self._closing_days = Repeating("closing days of accesses", self._close_days)
        self._draining = Draining(self.workspaces) if self._collector is None else None
        self.access.require_factors([Role(role) for role in self.settings.second_factor])
        bodies = Bodies(most_bytes=limits.memory_mib << 20, first_s=limits.body_s)
        self._api = SecurityMiddleware(
            Compression(self.api), self.access, bodies=bodies, largest=self.api.largest, settings=self.settings
        )
        self._web = SecurityMiddleware(
            Compression(web),
            self.access,
            bodies=bodies,
            largest=largest_form(limits),
            refuse=problem_page(self.settings),
            settings=self.settings,
        )
        self._otel = from_environment(os.environ)
        if self._otel is not None:
            self._otel.watch(self._metrics.figures)
        self._observing = Observing(
            self._answer, self._metrics, otel=self._otel, has_requests=self.settings.log.has_requests
        )
        if has_worker:
            spans = no_span if self._otel is None else self._otel.job_span
            here = partial(WorkerHere, folder, self.jobs, kinds=kinds, access=self.access, spans=spans)
            self._worker = here() if is_alone else work_beside(folder)

    def _is_stopping(self) -> bool:
        """Say whether the process was asked to stop: then what never ends by itself is ended."""
        return self.stop_asked()

    def processes(self) -> dict[str, Beside]:
        """Return the processes beside this one by what they do."""
        collecting = {} if self._collector is None else {"telemetry": self._collector.process}
        return collecting | ({"jobs": self._worker} if isinstance(self._worker, Beside) else {})

    def _workspace_figures(self) -> list[Figure]:
        with self.workspaces.borrow() as workspace:
            return list(of_workspace(workspace))

    def _finish_erasures(self) -> None:
        """Go on with erasures that were killed half-way, before anybody can sign in; tables elsewhere a worker does."""
        with self.workspaces.borrow() as workspace:
            with contextlib.suppress(ConflictError):  # done, but for old bytes that another process still reads
                workspace.finish_erasures(tables=False)
            end_sign_ins_of_erased(self.access, workspace.parties)

    def _close_days(self) -> None:
        """Enter in the ledger who looked at people's data on the days that are over, once a day."""
        today = us_to_text(canonical.now_us())[:10]
        if today != self._days_closed_on:
            with self.workspaces.borrow() as workspace:
                workspace.accesses.close_days()
            self._days_closed_on = today

    def _send_mails(self, folder: Path) -> Courier | None:
        with self.workspaces.borrow() as workspace:
            mail = workspace.mail
        if mail is None:
            return None
        if self.settings.url is None:
            msg = "volition.toml has [mail], and each mail links to a page here: write url under [site] of server.toml."
            raise InvalidInputError(msg)
        return Courier(
            mail,
            folder=folder,
            access=self.access,
            outbox=self.outbox,
            workspaces=self.workspaces,
            server=self.settings,
        )

    def _ask_witnesses(self) -> Cosigning | None:
        with self.workspaces.borrow() as workspace:
            has_witnesses = bool(workspace.log.witnesses())
        return Cosigning(self.workspaces) if has_witnesses else None

    def warm_up(self) -> None:
        """Do before the first request what it, and those that come with it, would wait for; seconds at most.

        That is: the workspaces that people wait for are opened, the sentence encoder is loaded where there is something
        to search, and the process that takes in telemetry has begun.

        Raises:
            VolitionError: The workspace cannot be read.
        """
        self.workspaces.open_ahead(Lane.DECISIONS, Lane.PAGES, within_s=_WARM_S)
        with self.workspaces.borrow() as workspace:
            categories = workspace.records.stock().categories  # what reads the lake takes a moment to load
            if any(name.startswith("content/") for name in categories):
                workspace.encoder()  # the first search would hold up those behind it meanwhile
        if self._collector is not None and not self._collector.process.wait_begun(_WARM_S):
            _log.warning("Telemetry cannot be taken in yet; all else is served")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI has no types
        """Answer one request."""
        await self._observing(scope, receive, send)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        app = self._api if scope["type"] == "http" and scope["path"].startswith(PATHS) else self._web
        await app(scope, receive, send)

    def close(self) -> None:
        """Close the workspace and the file of users."""
        for beside in (self._collector, self._worker):
            if isinstance(beside, Collector | Beside):
                beside.stop()  # both while the rest is closed
        self._closing_days.close()
        if self._draining is not None:
            self._draining.close()
        self.lanes.close()
        if self._collector is not None:
            self._collector.close()
        self.api.close()
        if self._courier is not None:
            self._courier.close()
        if self._cosigning is not None:
            self._cosigning.close()
        if self._worker is not None:
            self._worker.close()
        if self._otel is not None:  # what was done until now is sent, too
            self._otel.close()
        self.jobs.close()
        self._checkpoints.close()
        self.access.close()
        self.workspaces.close()


async def _live(receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI has no types
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def web_server(server: Server, *, grace_s: int = GRACE_S, **more: Any) -> uvicorn.Server:  # noqa: ANN401 - uvicorn's own
    """Return what speaks HTTP for a server, with its limits; asked to stop, it ends what would never end by itself.

    Args:
        server: What answers.
        grace_s: How long a request may go on then, seconds.
        more: What else uvicorn is told.
    """
    limits, tls = server.settings.limits, server.settings.tls
    running = uvicorn.Server(
        uvicorn.Config(
            server,
            log_config=None,  # as `logs` has set it up
            http=partial(BoundedHttpProtocol, header_s=limits.header_s),  # type: ignore[arg-type]  # it makes one
            ws="none",
            limit_concurrency=limits.connections,
            timeout_keep_alive=limits.idle_s,
            access_log=False,
            timeout_graceful_shutdown=grace_s,
            server_header=False,
            proxy_headers=False,  # `clients` reads them, of proxies that the settings name
            ssl_certfile=None if tls is None else tls.certificate,
            ssl_keyfile=None if tls is None else tls.key,
            **more,
        )
    )
    server.stop_asked = lambda: running.should_exit
    return running


def serve(  # noqa: PLR0913 - how it is reached
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    is_demo: bool = False,
    is_behind_proxy: bool = False,
    has_worker: bool = True,
    is_alone: bool = False,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a workspace until the process is asked to stop (SIGINT, SIGTERM).

    Args:
        folder: Where the workspace lies.
        host: The address to listen on.
        port: The port; 0 for a free one.
        is_demo: Whether anyone at this machine may sign in with a click; only on an address of this machine.
        is_behind_proxy: Whether other machines reach it through a proxy alone, which ends TLS.
        has_worker: Whether background jobs are done.
        is_alone: Whether they are done in this process, and telemetry taken in, and not in processes beside it.
        ready: Called with the server's address once it listens.

    Raises:
        InvalidInputError: There is no workspace, `server.toml` is wrong, a demo would be reachable from elsewhere, or
            passwords would cross the network in the clear.
        BackendError: The address cannot be listened on.
    """
    if is_demo and not _is_loopback(host):
        msg = f"In a demo anyone can sign in with a click, so it is served on this machine alone, not on {host}."
        raise InvalidInputError(msg)
    settings = read_settings(folder)
    set_up_logging(settings.log)
    tls = settings.tls
    if tls is None and not is_behind_proxy and not _is_loopback(host):
        msg = (
            f"On {host} other machines reach this server, and without TLS everybody on the way reads passwords. "
            "Write certificate_file and key_file under [server] of server.toml, or, if a proxy that ends TLS stands "
            "before it and nothing else can reach it, say --behind-proxy."
        )
        raise InvalidInputError(msg)
    server = Server(folder, is_demo=is_demo, has_worker=has_worker, is_alone=is_alone)
    signal.signal(signal.SIGTERM, _exit)  # before uvicorn's handler is there; and uvicorn sends it again when it ends
    try:
        with _listen(host, port) as listening:
            server.warm_up()
            address, number = listening.getsockname()[:2]
            ready(f"{'http' if tls is None else 'https'}://{f'[{address}]' if ':' in address else address}:{number}/")
            gc.freeze()  # what is there now stays: no collection need look at it again
            _raise_file_limit()
            # Closed also where it never began, since the process was asked to stop just then.
            with contextlib.closing(web_server(server).serve(sockets=[listening])) as serving:
                uvloop.run(serving)
    finally:
        server.close()


def _exit(*_: object) -> None:
    """End the process in order: what is open is closed, and what a worker does is put back."""
    raise SystemExit(0)


def _raise_file_limit() -> None:
    """Let the process have as many files open as it may: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        msg = f"The server cannot listen on {host}:{port}: {error.strerror}. Choose another --port or --host."
        raise BackendError(msg) from error


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
