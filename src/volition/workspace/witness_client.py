"""Asking witnesses over HTTP: several at a time, none for longer than some seconds, whatever they answer.

An answer is no more than a status and a short text; who called judges it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from threading import Thread
from typing import IO, Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

TIMEOUT_S: Final = 8.0
_MOST_BYTES: Final = 64 * 1024
_CHUNK: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a witness answered.

    Attributes:
        status: The HTTP status; 0 if there was no answer.
        text: What it wrote, or why there was no answer.
    """

    status: int
    text: str


def ask_all(requests: Mapping[str, tuple[str, str]], *, timeout_s: float = TIMEOUT_S) -> dict[str, Answered]:
    """Send a request to each witness, all at once.

    Args:
        requests: For each name, the witness's address and the body.
        timeout_s: How long to wait for all of them.

    Returns:
        The answer of each.
    """
    answers: dict[str, Answered] = {}
    deadline = time.monotonic() + timeout_s

    def ask(name: str, url: str, body: str) -> None:
        answers[name] = _ask(url, body, deadline)

    threads = [
        Thread(target=ask, args=(name, url, body), name=f"witness {name}", daemon=True)
        for name, (url, body) in requests.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()) + 0.5)
    late = Answered(status=0, text=f"no answer within {timeout_s:.0f} seconds")
    return {name: answers.get(name, late) for name in requests}


class _NoRedirect(HTTPRedirectHandler):
    """A witness answers at its own address or not at all."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - the library's own signature
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        del req, fp, code, msg, headers, newurl


def _ask(url: str, body: str, deadline: float) -> Answered:
    request = Request(  # noqa: S310 - the settings let https through, and http on this machine
        f"{url.rstrip('/')}/add-checkpoint",
        data=body.encode(),
        headers={"Content-Type": "text/plain; charset=utf-8", "User-Agent": "volition"},
        method="POST",
    )
    opener = build_opener(_NoRedirect)
    try:
        try:
            response = opener.open(request, timeout=max(0.1, deadline - time.monotonic()))
        except HTTPError as error:
            response = error
        with response:
            read = b""
            while len(read) <= _MOST_BYTES and (chunk := response.read(_CHUNK)):
                read += chunk
                if time.monotonic() > deadline:
                    return Answered(status=0, text="it answered too slowly")
            status = response.status or 0
    except (OSError, HTTPException, ValueError) as error:
        return Answered(status=0, text=str(getattr(error, "reason", error)) or type(error).__name__)
    if len(read) > _MOST_BYTES:
        return Answered(status=0, text="its answer is too long")
    return Answered(status=status, text=read.decode("utf-8", "replace"))
