"""A client of the HTTP API, for a product of one's own; it knows no other part of the package.

    with Client("https://privacy.example", token="vol_...") as volition:
        if volition.may("feature/search", account="acme", people=["ada"], category="content/chat"):
            ...

What it guarantees:

- `may` answers "permitted" only by an answer of the server that the server's own leases still cover: an acknowledged no
  is never overtaken by what is held here. Whatever cannot be asked, and is not held, is refused (`stale`).
- A write is carried out once: it is sent again, after a failure that lets it, under the same idempotency key.
- A failure has the identifier that the server gave it.

`AsyncClient` has the same methods, awaited. Each module knows only those before it:

errors        how a request fails
answers       what the server answers, typed
calls         requests to send and what is made of their answers, without sending them
holding       answers of the gate, repeated for as long as they may be
sync          `Client`
asynchronous  `AsyncClient`
"""

from volition.client.answers import (
    Change,
    Decision,
    Imported,
    Permit,
    SetAside,
    Setting,
    SettingLine,
    Settings,
    Verdict,
)
from volition.client.asynchronous import AsyncClient
from volition.client.calls import Question
from volition.client.errors import ApiError, ClientError, UnreachableError
from volition.client.sync import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "Change",
    "Client",
    "ClientError",
    "Decision",
    "Imported",
    "Permit",
    "Question",
    "SetAside",
    "Setting",
    "SettingLine",
    "Settings",
    "UnreachableError",
    "Verdict",
]
