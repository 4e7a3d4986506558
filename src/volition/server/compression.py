"""Pages, JSON and our own files are sent compressed (gzip), except where that could give a secret away.

How long a compressed answer is says something about what is in it. Another site that makes a browser ask again and
again, with words of its own in the address, and watches the lengths, can find out that way what else is on the page
(BREACH). So nothing is compressed that is asked with a cookie, unless the browser says that our own page, or the person
themselves, asked for it (`Sec-Fetch-Site`). A request with a token comes from no browser. Streams of events, and what
is compressed already, stay as they are.

Source: BREACH, Gluck, Harris and Prado 2013; Fetch Metadata Request Headers.
"""

from typing import Final

from starlette.middleware.gzip import GZipMiddleware

from volition.server.asgi import App, Message, Receive, Send

_SMALLEST: Final = 1024
_LEVEL: Final = 4  # nearly as small as the highest, in a fraction of the time


class Compression:
    """ASGI middleware before an application."""

    def __init__(self, app: App) -> None:
        """Stand before `app`."""
        self._app = app
        self._compressed = GZipMiddleware(app, minimum_size=_SMALLEST, compresslevel=_LEVEL)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, compressed where that is safe."""
        is_safe = scope["type"] == "http" and _is_safe(dict(scope["headers"]))
        await (self._compressed if is_safe else self._app)(scope, receive, send)


def _is_safe(headers: dict[bytes, bytes]) -> bool:
    """Say whether no other site can have made a browser ask this in somebody's name."""
    return b"cookie" not in headers or headers.get(b"sec-fetch-site") in {b"same-origin", b"none"}
