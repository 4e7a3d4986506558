"""A witness of other logs, served over HTTP (C2SP tlog-witness): `volition witness`. It needs no workspace.

    POST /add-checkpoint            cosign a checkpoint that extends the last one
    GET  /ORIGIN-HASH/checkpoint    the newest cosigned checkpoint of a log; the hash is SHA-256 of its origin, in hex
    GET  /healthz

A request's body is at most `witness.MAX_BODY_BYTES` long and must arrive within some seconds. What is cosigned is on
the disk before the answer leaves.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from volition.errors import BackendError
from volition.ledger.witness import MAX_BODY_BYTES, Witness, WitnessAnswer

BODY_S: Final = 10.0
"""How long a request's body may take to arrive."""

_MOST_CONNECTIONS: Final = 256
_GRACE_S: Final = 2
_TEXT: Final = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)


def application(witness: Witness) -> Starlette:
    """Return a witness as an ASGI application."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await asyncio.wait_for(_body(request), BODY_S)
        except (TimeoutError, ClientDisconnect):
            return Response("The request's body did not arrive in time.\n", 408, media_type=_TEXT)
        if body is None:
            return Response(f"A request has at most {MAX_BODY_BYTES} bytes.\n", 413, media_type=_TEXT)
        answer = await run_in_threadpool(_answer, witness, body)
        return Response(answer.text, answer.status, headers={"content-type": answer.media_type})

    async def newest(request: Request) -> Response:
        note = await run_in_threadpool(witness.newest, request.path_params["origin"])
        if note is None:
            return Response("Nothing was cosigned for a log of this name.\n", 404, media_type=_TEXT)
        return Response(note, media_type=_TEXT, headers={"cache-control": "no-store"})

    async def healthz(request: Request) -> Response:
        del request
        return Response("ok\n", media_type=_TEXT)

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin}/checkpoint", newest),
            Route("/healthz", healthz),
        ]
    )


def serve_witness(witness: Witness, *, host: str, port: int, ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve a witness until the process is asked to stop (SIGINT, SIGTERM).

    Args:
        witness: What answers.
        host: The address to listen on.
        port: The port; 0 for a free one.
        ready: Called with the witness's address once it listens.

    Raises:
        BackendError: The address cannot be listened on.
    """
    config = uvicorn.Config(
        application(witness),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        msg = f"The witness cannot listen on {host}:{port}: {error.strerror}. Choose another address."
        raise BackendError(msg) from error
    with listening:
        address, number = listening.getsockname()[:2]
        ready(f"http://{f'[{address}]' if ':' in address else address}:{number}")
        uvicorn.Server(config).run(sockets=[listening])


async def _body(request: Request) -> bytes | None:
    """Return a request's body; none if it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _answer(witness: Witness, body: bytes) -> WitnessAnswer:
    try:
        return witness.add_checkpoint(body)
    except BackendError as error:
        _log.error("A checkpoint was not cosigned: %s", error)
        return WitnessAnswer(status=503, text="The witness's store failed; nothing was cosigned.\n")
