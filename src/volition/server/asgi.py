"""ASGI, the protocol between a web server and a Python application: its types, and how a body is read."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from volition.errors import InvalidInputError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LARGEST_BODY: Final = 64 << 20
"""Bytes; what OTLP clients may send at once."""


async def read_body(receive: Receive) -> bytes:
    """Read the whole body of a request.

    Raises:
        InvalidInputError: The client disconnected, or sent more than it may.
    """
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInputError(f"The request broke off, or was larger than {LARGEST_BODY:,} bytes.")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts) if len(parts) > 1 else parts[0]
