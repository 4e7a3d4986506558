"""The server: the API and the pages behind one port, for one workspace, in one process.

    volition serve --port 8080

The pages and the API know nothing of one another; here they are put side by side. `/v1`, `/healthz` and the like belong
to the API, all else to the pages.
"""

import contextlib
import gc
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from volition import canonical
from volition.canonical import us_to_text
from volition.errors import BackendError, ConflictError, InvalidInputError
from volition.server.api.app import PATHS, Api
from volition.server.auth import Access
from volition.server.checkpoints import ServerCheckpoints
from volition.server.cosigning import Cosigning
from volition.server.jobs import Jobs
from volition.server.mail.courier import Courier
from volition.server.middleware import SecurityMiddleware
from volition.server.notices.outbox import Outbox
from volition.server.notices.shown import ShownNotices
from volition.server.repeating import Repeating
from volition.server.settings import ServerSettings, read_settings
from volition.server.sign_ins import end_sign_ins_of_erased
from volition.server.web.app import application as web_application
from volition.server.web.app import problem_page
from volition.workspace.pool import Workspaces

GRACE_S: Final = 2
"""How long an open connection may go on after a request to stop: streams of events never end by themselves."""


class Server:
    """A workspace's server as an ASGI application; closing it closes the workspace."""

    def __init__(self, folder: Path, *, is_demo: bool = False) -> None:
        """Open the workspace.

        Raises:
            InvalidInputError: There is none in the folder, or `server.toml` makes no sense.
            BackendError: A file of it cannot be opened.
        """
        self.settings: ServerSettings = read_settings(folder, is_demo=is_demo)
        self.workspaces = Workspaces(folder, open_sign_ins=lambda: contextlib.nullcontext(self.access))
        self.access = Access.open(folder)
        self._checkpoints = ServerCheckpoints(self.access.database, self.workspaces)
        self.jobs = Jobs(self.workspaces, clock=canonical.now_us)
        self.api = Api(access=self.access, workspaces=self.workspaces, jobs=self.jobs, settings=self.settings)
        self.shown = ShownNotices(self.access.database)
        self.outbox = Outbox(self.access.database)
        web = web_application(
            access=self.access,
            shown=self.shown,
            outbox=self.outbox,
            workspaces=self.workspaces,
            jobs=self.jobs,
            settings=self.settings,
        )
        self._finish_erasures()
        self._courier = self._send_mails(folder)
        self._cosigning = self._ask_witnesses()
        self._days_closed_on = ""
        self._closing_days = Repeating("closing days of accesses", self._close_days)
        self._api = SecurityMiddleware(self.api, self.access)
        self._web = SecurityMiddleware(web, self.access, refuse=problem_page(self.settings))

    def _finish_erasures(self) -> None:
        """Go on with erasures that were killed half-way, before anybody can sign in."""
        with self.workspaces.borrow() as workspace:
            with contextlib.suppress(ConflictError):  # done, but for old bytes that another process still reads
                workspace.finish_erasures()
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

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI has no types
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        app = self._api if scope["type"] == "http" and scope["path"].startswith(PATHS) else self._web
        await app(scope, receive, send)

    def close(self) -> None:
        """Close the workspace and the file of users."""
        self._closing_days.close()
        self.api.close()
        if self._courier is not None:
            self._courier.close()
        if self._cosigning is not None:
            self._cosigning.close()
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


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    is_demo: bool = False,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a workspace until the process is asked to stop (SIGINT, SIGTERM).

    Args:
        folder: Where the workspace lies.
        host: The address to listen on.
        port: The port; 0 for a free one.
        is_demo: Whether anyone at this machine may sign in with a click; only on an address of this machine.
        ready: Called with the server's address once it listens.

    Raises:
        InvalidInputError: There is no workspace, `server.toml` is wrong, or a demo would be reachable from elsewhere.
        BackendError: The address cannot be listened on.
    """
    if is_demo and not _is_loopback(host):
        msg = f"In a demo anyone can sign in with a click, so it is served on this machine alone, not on {host}."
        raise InvalidInputError(msg)
    server = Server(folder, is_demo=is_demo)
    try:
        config = uvicorn.Config(
            server,
            log_level="warning",
            http=HttpToolsProtocol,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
            server_header=False,
            proxy_headers=True,  # of a proxy on this machine alone, as uvicorn does by default
        )
        with _listen(host, port) as listening:
            address, number = listening.getsockname()[:2]
            ready(f"http://{f'[{address}]' if ':' in address else address}:{number}/")
            gc.freeze()  # what is there now stays: no collection need look at it again
            uvloop.run(uvicorn.Server(config).serve(sockets=[listening]))
    finally:
        server.close()


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
