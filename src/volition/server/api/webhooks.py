"""Outgoing webhooks: each address in `server.toml` is notified of new ledger entries, signed.

Of which kinds, the settings say: decisions, terms, notices of new terms to an account, forgettings. A notice says that
an account was given notice; whom it reached is another thing (`notices.deliveries`). One kind is no entry of the
ledger: `ending`, that somebody's yes ends soon, sent on the days on which they are reminded (`notices.reminders`).

Deliveries follow the Standard Webhooks form: `webhook-id`, `webhook-timestamp` and `webhook-signature` ("v1," and the
base64 HMAC-SHA256 of "ID.TIMESTAMP.BODY" under the secret). The id is the log's origin and the entry's number, or what
stands for the reminder, so a receiver recognises a repeat. Entries are sent in order; one that is not accepted is sent
again with exponential backoff, and nothing after it is sent before. How far each webhook has come is kept in `web.db`,
so a restart goes on there; a new webhook hears of what happens from then on.

Source: Standard Webhooks 1.0.0.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import httpx2

from volition.canonical import us_to_text
from volition.errors import BackendError
from volition.server.auth.database import WebDatabase
from volition.server.notices.reminders import EVERY_US, Reminder, reminders
from volition.server.repeating import Repeating
from volition.server.settings import Webhook
from volition.workspace.pool import Workspaces

_PATIENCE_S: Final = 10.0
_AT_ONCE: Final = 500
_ENDING: Final = "ending"


class Webhooks:
    """Every webhook of one server, each sent by a thread of its own."""

    def __init__(
        self,
        webhooks: Sequence[Webhook],
        *,
        database: WebDatabase,
        workspaces: Workspaces,
        clock: Callable[[], int],
        trust_env: bool = False,
    ) -> None:
        """Begin to send.

        Args:
            webhooks: To whom.
            database: Where it is kept how far each has come.
            workspaces: Where the entries come from.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
            trust_env: Whether deliveries go through the proxies that the environment names.
        """
        self._senders = [
            _Sender(one, Cursor(database, one.url), Reminded(database, one.url), workspaces, clock, trust_env=trust_env)
            for one in webhooks
        ]

    def close(self) -> None:
        """Stop; what was not sent is sent after the next start."""
        for sender in self._senders:
            sender.close()


class Cursor:
    """How far a webhook has come in the ledger, kept in `web.db`."""

    def __init__(self, database: WebDatabase, url: str) -> None:
        """Keep the cursor of the webhook at `url`."""
        self._database = database
        self._name = f"told {url}"

    def read(self) -> int | None:
        """Return up to which ledger entry (not included) the webhook was notified; none if it is new."""
        found = self._database.state(self._name)
        return None if found is None else int(found)

    def move(self, seq: int) -> None:
        """Note that the webhook was notified up to a ledger entry (not included)."""
        self._database.set_state(self._name, str(seq).encode())


class Reminded:
    """Of which reminders that are due a webhook was told, kept in `web.db`."""

    def __init__(self, database: WebDatabase, url: str) -> None:
        """Keep what the webhook at `url` was told."""
        self._database = database
        self._name = f"reminded {url}"

    def new(self, due: Sequence[Reminder]) -> list[Reminder]:
        """Return those of which it was not told; what is not due any more need not be known any longer."""
        told = self._read().intersection(one.key for one in due)
        self._database.set_state(self._name, json.dumps(sorted(told)).encode())
        return [one for one in due if one.key not in told]

    def add(self, one: Reminder) -> None:
        """Note that it was told of one."""
        self._database.set_state(self._name, json.dumps(sorted({*self._read(), one.key})).encode())

    def _read(self) -> set[str]:
        return set(json.loads(self._database.state(self._name) or b"[]"))


class _Sender:
    """Notifies one webhook."""

    def __init__(  # noqa: PLR0913 - what it is made from
        self,
        webhook: Webhook,
        cursor: Cursor,
        reminded: Reminded,
        workspaces: Workspaces,
        clock: Callable[[], int],
        *,
        trust_env: bool,
    ) -> None:
        self._trust_env = trust_env
        self._webhook = webhook
        self._cursor = cursor
        self._reminded = reminded
        self._looked_us = 0  # when it was last looked for reminders
        self._workspaces = workspaces
        self._clock = clock
        self._repeating = Repeating("webhook", self._send_new)

    def close(self) -> None:
        self._repeating.close()

    def _send_new(self) -> None:
        with self._workspaces.borrow() as workspace:
            size, origin = workspace.ledger.size, workspace.origin
            start = self._cursor.read()
            if start is None:
                self._cursor.move(size)
                return
            entries = list(workspace.ledger.entries(start, min(size, start + _AT_ONCE)))
            now_us = workspace.now_us
            is_looking = _ENDING in self._webhook.kinds and not 0 <= now_us - self._looked_us < EVERY_US
            due = reminders(workspace) if is_looking else []
        with httpx2.Client(timeout=_PATIENCE_S, follow_redirects=False, trust_env=self._trust_env) as client:
            for entry in entries:
                if entry.kind in self._webhook.kinds:
                    data = {"seq": entry.seq, **entry.body}
                    self._deliver(client, f"{origin}/{entry.seq}", entry.kind, entry.at_us, data)
                self._cursor.move(entry.seq + 1)
                if self._repeating.is_closing:
                    return
            if is_looking:
                self._remind(client, origin, due)
                self._looked_us = now_us

    def _remind(self, client: httpx2.Client, origin: str, due: Sequence[Reminder]) -> None:
        for one in self._reminded.new(due):
            identity = f"{origin}/{_ENDING}/{hashlib.sha256(one.key.encode()).hexdigest()[:32]}"
            self._deliver(client, identity, _ENDING, one.due_us, one.to_json())
            self._reminded.add(one)
            if self._repeating.is_closing:
                return

    def _deliver(self, client: httpx2.Client, identity: str, kind: str, at_us: int, data: Mapping[str, Any]) -> None:
        document = {"type": kind, "timestamp": us_to_text(at_us), "data": data}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        headers = sign(self._webhook.secret, identity, self._clock() // 1_000_000, body)
        try:
            client.post(
                self._webhook.url, content=body, headers={"content-type": "application/json", **headers}
            ).raise_for_status()
        except httpx2.HTTPError as error:
            raise BackendError(f"{self._webhook.url} was not reached ({error}).") from error


def sign(secret: str, identity: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery.

    Args:
        secret: What both sides know; "whsec_" and base64, or any text.
        identity: The delivery's id, the same when it is repeated.
        at_s: The present instant, seconds since the Unix epoch.
        body: The bytes that are sent.
    """
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = f"{identity}.{at_s}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": identity, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,{signature}"}
