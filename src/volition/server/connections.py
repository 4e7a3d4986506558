"""Connections that are slow or say too much: closed before they cost anything.

uvicorn waits for a request's header for ever and holds any length of it. Here a connection has some seconds for the
whole header, from the moment it is opened or, later, from the header's first byte; and a header has a largest size. How
fast a body must come is said in `bodies`, and how many connections there may be, to uvicorn itself.

Between two requests a connection stays open for longer than a proxy keeps one to a server that it uses again (60 s by
nginx's default): a request that is sent while its connection is being closed is lost, and a proxy does not send a
`POST` again. Where many connections are open, idle ones make room sooner.

Sources: RFC 6585 §5 (431); slow header attack: CWE-400.
"""

import asyncio
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEADER: Final = 64 << 10
"""Bytes; of the address and all header fields together."""

_IDLE_S: Final = 5  # where at least half of the connections that there may be are open

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a time and a size for headers. uvicorn makes one for each connection."""

    def __init__(self, *args: Any, header_s: float, **more: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Take what uvicorn hands over, and how many seconds a header has."""
        super().__init__(*args, **more)
        self._header_s = header_s
        self._idle_s = self.timeout_keep_alive
        self._header_bytes = 0
        self._is_in_header = True
        self._is_next = False  # whether a request before this one ended in the bytes that came last
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first header."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn's own narrowing
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some bytes; a header that is not whole after too many is refused."""
        self._is_next = False
        super().data_received(data)
        if self._is_in_header and not self._is_next:
            self._header_bytes += len(data)
            if self._header_bytes > LARGEST_HEADER:
                self._refuse(_TOO_LARGE)
            elif self._timer is None and self._is_between:
                self._wait()

    def on_headers_complete(self) -> None:
        """Hand the request on, unless its header came whole and is too large all the same."""
        self._stop_waiting()
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > LARGEST_HEADER:
            self._refuse(_TOO_LARGE)
            return
        self._is_in_header = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, unless its header was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the body is whole, unless its header was refused."""
        self._is_in_header, self._is_next, self._header_bytes = True, True, 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, idle; what is left of this one's body is not waited for any longer."""
        is_crowded = self.limit_concurrency is not None and 2 * len(self.connections) >= self.limit_concurrency
        self.timeout_keep_alive = min(self._idle_s, _IDLE_S) if is_crowded else self._idle_s
        super().on_response_complete()
        if not self._is_in_header or self._header_bytes:
            self._wait()

    @property
    def _is_between(self) -> bool:
        """Whether every request that came was answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self._header_s, partial(self._refuse, _TOO_SLOW))

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            if self._is_between and self._is_in_header and (self._header_bytes or self.cycle is None):
                self.transport.write(answer)
            self.transport.close()
