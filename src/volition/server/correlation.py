"""Which request, trace and job the code that runs now works for (correlation ids), so that log lines can say so.

- A request keeps the trace that its client began: the header `traceparent` (W3C Trace Context) is taken. So is
  `X-Request-Id`, if it is hexadecimal: a client that puts a name into it does not write that name into our log.
- Every answer says its own ids, in `X-Request-Id` and `traceresponse`.
- What is not valid is ignored, as the standard wants it: such a request begins a trace of its own.
"""

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

_PARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?")
_REQUEST: Final = re.compile(rb"[0-9A-Fa-f-]{8,64}")
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """The ids of one request.

    Attributes:
        request: Its own, as its client or this server named it.
        trace: 32 hexadecimal digits; the whole of which the request is a part.
        span: 16 hexadecimal digits; this part.
        parent: The client's part; empty where this request began the trace.
        is_sampled: Whether the client records its part; where it began none, this server decides.
    """

    request: str
    trace: str
    span: str
    parent: str = ""
    is_sampled: bool = True

    @property
    def traceparent(self) -> str:
        """This part, as what comes of it names its parent (W3C Trace Context)."""
        return f"00-{self.trace}-{self.span}-{'01' if self.is_sampled else '00'}"

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return what an answer says of them."""
        return [(b"x-request-id", self.request.encode()), (b"traceresponse", self.traceparent.encode())]


REQUEST: Final[ContextVar[Correlation | None]] = ContextVar("volition_request", default=None)
"""The request that is being answered; none outside one."""

RUN: Final[ContextVar[str]] = ContextVar("volition_run", default="")
"""The background job that is being done; empty outside one."""


def correlated(headers: Iterable[tuple[bytes, bytes]]) -> Correlation:
    """Return the ids of a request that came with some headers, by their names in lower case."""
    request, trace, parent, is_sampled = b"", secrets.token_hex(16), "", True
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST.fullmatch(value):
            request = value
        elif name == b"traceparent" and (found := _parent(value)) is not None:
            trace, parent, is_sampled = found
    return Correlation(
        request=request.decode() or secrets.token_hex(16),
        trace=trace,
        span=secrets.token_hex(8),
        parent=parent,
        is_sampled=is_sampled,
    )


def asking(traceparent: str) -> Correlation | None:
    """Return ids below a part that `Correlation.traceparent` names; none where it names none."""
    found = _parent(traceparent.encode())
    if found is None:
        return None
    trace, parent, is_sampled = found
    return Correlation(request="", trace=trace, span=secrets.token_hex(8), parent=parent, is_sampled=is_sampled)


def _parent(value: bytes) -> tuple[str, str, bool] | None:
    """Return the trace, the span and whether it is sampled, of a valid `traceparent` (W3C Trace Context, 3.2)."""
    match = _PARENT.fullmatch(value.strip())
    if match is None:
        return None
    trace, span, flags, more = match.groups()
    is_empty = not int(trace, 16) or not int(span, 16)
    if is_empty or (more is not None and value.strip().startswith(b"00")):  # version 00 ends after the flags
        return None
    return trace.decode(), span.decode(), bool(int(flags, 16) & _SAMPLED)


@contextmanager
def during_run(run: str) -> Iterator[None]:
    """Say for a block that it does a background job."""
    token = RUN.set(run)
    try:
        yield
    finally:
        RUN.reset(token)
