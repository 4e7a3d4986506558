"""A server with two tenants, and clients of every role."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from starlette.testclient import TestClient

from volition.server.app import Server, web_server
from volition.server.auth import Role, Scope
from waiting import until

OURS = {"sec-fetch-site": "same-origin"}
TENANTS = ("acme", "brill")
"""The attackers' own account, and the one of which they must not learn anything."""


class Besieged:
    """A server with two tenants, and clients of every role."""

    def __init__(self, folder: Path) -> None:
        """Serve a folder."""
        self.folder = folder
        self.server = Server(folder)
        self._sessions = {}
        self._tokens = {}
        with self.server.workspaces.borrow() as workspace:
            self.guests = {one: workspace.parties.guest(one, f"Zoe of {one}").id for one in TENANTS}
            self.snapshot = next(iter(workspace.snapshots.ids()))

    def pages(self, who: str | None) -> TestClient:
        """Return a browser in which a user is signed in (`the-` and the role), or nobody."""
        client = TestClient(
            self.server,
            base_url="http://centre.example",
            follow_redirects=False,
            headers=OURS,
            raise_server_exceptions=False,
        )
        if who is not None:
            if who not in self._sessions:
                self._sessions[who] = self.server.access.sessions.begin(f"the-{who}")
            client.cookies.set("volition", self._sessions[who])
        return client

    def api(self, who: str | None) -> TestClient:
        """Return a program with a token of a user; a guest, who can have none, with a session."""
        if who is None or who == Role.GUEST:
            return self.pages(who)
        if who not in self._tokens:
            role = Role.PERSON if who == "stranger" else Role(who)
            issue = self.server.access.tokens.issue
            self._tokens[who] = issue(f"the-{who}", name="t", roles=[role], scopes=list(Scope))[1]
        headers = {"authorization": f"Bearer {self._tokens[who]}"}
        return TestClient(self.server, base_url="http://api.example", headers=headers, raise_server_exceptions=False)

    def head(self) -> bytes:
        """Return the ledger's root, which changes with every entry."""
        with self.server.workspaces.borrow() as workspace:
            return workspace.ledger.head.root

    def token(self, who: str) -> str:
        """Return the token with which `api` asks for a user."""
        return self.api(who).headers["authorization"]

    @contextlib.contextmanager
    def listening(self) -> Iterator[int]:
        """Serve on a free port for as long as a `with` block; give the port."""
        running = web_server(self.server, port=0)
        thread = threading.Thread(target=running.run, daemon=True)
        thread.start()
        until(lambda: running.started)
        try:
            yield running.servers[0].sockets[0].getsockname()[1]
        finally:
            running.should_exit = True
            thread.join()
