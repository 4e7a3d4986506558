"""Reading the body of a request, once it is known who asks: how much, how fast, and how much of all of them at once.

- More than the route takes is refused (413): unread where its length was announced, and else where it is too much.
- A body that comes too slowly is given up (408): it has some seconds, and more the more of it has come.
- What all requests hold together is bounded; one that would go beyond is refused (503) and may be sent again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from volition.errors import InvalidInputError
from volition.server.asgi import Message, Receive
from volition.server.http_errors import OVERLOADED, TIMEOUT, TOO_LARGE, HttpError

SLOWEST_BYTES_S: Final = 16 << 10
"""A body that comes more slowly than this, beyond its first seconds, is given up; bytes a second."""


class Bodies:
    """Reads bodies, and knows how much of them the server holds. For one event loop."""

    def __init__(self, *, most_bytes: int, first_s: float) -> None:
        """Hold none yet.

        Args:
            most_bytes: What all of them may hold at once.
            first_s: How many seconds a body has at least.
        """
        self._left = most_bytes
        self._first_s = first_s

    @asynccontextmanager
    async def read(self, receive: Receive, *, announced: int, largest: int) -> AsyncIterator[bytes]:
        """Read a body, and hold it for an `async with` block.

        Args:
            receive: Gives its pieces.
            announced: How long it says to be; 0 where it does not.
            largest: How long it may be.

        Raises:
            HttpError: It is too long or too slow, or there is no room for it now.
            InvalidInputError: It broke off.
        """
        if announced > largest:
            raise HttpError(TOO_LARGE, _too_large(largest))
        if announced > self._left:
            raise HttpError(OVERLOADED, _NO_ROOM)
        parts: list[bytes] = []
        began_s, held = asyncio.get_running_loop().time(), 0
        try:
            while True:
                part, is_last = await _next(receive, until_s=began_s + self._first_s + held / SLOWEST_BYTES_S)
                held += len(part)
                self._left -= len(part)
                if held > largest:
                    raise HttpError(TOO_LARGE, _too_large(largest))
                if self._left < 0:
                    raise HttpError(OVERLOADED, _NO_ROOM)
                parts.append(part)
                if is_last:
                    break
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            yield body
        finally:
            self._left += held


_NO_ROOM: Final = "The server holds as much of other requests as it can. Nothing was done; try again in a moment."


def _too_large(largest: int) -> str:
    return f"A request holds at most {largest:,} bytes here."


async def _next(receive: Receive, *, until_s: float) -> tuple[bytes, bool]:
    try:
        async with asyncio.timeout_at(until_s):
            message = await receive()
    except TimeoutError:
        raise HttpError(TIMEOUT, "The request came too slowly, so nothing was done. Send it again.") from None
    if message["type"] == "http.disconnect":
        raise InvalidInputError("The request broke off.")
    return message.get("body", b""), not message.get("more_body", False)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already, and then whatever `receive` still has."""
    left: list[bytes] = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again
