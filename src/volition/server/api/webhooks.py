"""Outgoing webhooks: each address in `server.toml` is notified of new ledger entries, signed.

Of which kinds, the settings say: decisions, terms, notices of new terms to an account, forgettings. A notice says that
an account was given notice; whom it reached is another thing (`notices.deliveries`).

Deliveries follow the Standard Webhooks form: `webhook-id`, `webhook-timestamp` and `webhook-signature` ("v1," and the
base64 HMAC-SHA256 of "ID.TIMESTAMP.BODY" under the secret). The id is the log's origin and the entry's number, so a
receiver recognises a repeat. Entries are sent in order; one that is not accepted is sent again with exponential
backoff, and nothing after it is sent before. How far each webhook has come is kept in `web.db`, so a restart goes on
there; a new webhook hears of what happens from then on.

Source: Standard Webhooks 1.0.0.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Final

import httpx2

from volition.canonical import us_to_text
from volition.errors import BackendError
from volition.ledger.entry import Entry
from volition.server.auth.database import WebDatabase
from volition.server.repeating import Repeating
from volition.server.settings import Webhook
from volition.workspace.pool import Workspaces

_PATIENCE_S: Final = 10.0
_AT_ONCE: Final = 500


class Webhooks:
    """Every webhook of one server, each sent by a thread of its own."""

    def __init__(
        self, webhooks: Sequence[Webhook], *, database: WebDatabase, workspaces: Workspaces, clock: Callable[[], int]
    ) -> None:
        """Begin to send; `clock` gives the present instant in microseconds since the Unix epoch, UTC."""
        self._senders = [_Sender(one, Cursor(database, one.url), workspaces, clock) for one in webhooks]

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


class _Sender:
    """Notifies one webhook."""

    def __init__(self, webhook: Webhook, cursor: Cursor, workspaces: Workspaces, clock: Callable[[], int]) -> None:
        self._webhook = webhook
        self._cursor = cursor
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
        with httpx2.Client(timeout=_PATIENCE_S, follow_redirects=False) as client:
            for entry in entries:
                if entry.kind in self._webhook.kinds:
                    self._deliver(client, origin, entry)
                self._cursor.move(entry.seq + 1)
                if self._repeating.is_closing:
                    return

    def _deliver(self, client: httpx2.Client, origin: str, entry: Entry) -> None:
        document = {"type": entry.kind, "timestamp": us_to_text(entry.at_us), "data": {"seq": entry.seq, **entry.body}}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        headers = sign(self._webhook.secret, f"{origin}/{entry.seq}", self._clock() // 1_000_000, body)
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
