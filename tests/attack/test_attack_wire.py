"""Heads that two servers would read differently (request smuggling), sent to a real server byte by byte."""

import contextlib
import shutil
import socket

import pytest
from besieged import Besieged

HEAD = b"POST /sign-in HTTP/1.1\r\nhost: x\r\nsec-fetch-site: same-origin\r\n"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
PATIENCE_S = 3
FORM = b"content-type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def port(stronghold, tmp_path_factory):
    """Serve a copy on a free port; return it."""
    one = Besieged(shutil.copytree(stronghold, tmp_path_factory.mktemp("wire") / "workspace"))
    with one.listening() as number:
        yield number
    one.server.close()


def answers(port, data):
    """Send bytes, and return the status of each answer until the server closes, or waits for more."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(data)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while part := client.recv(1 << 16):
                found += part
    return [int(one[:3]) for one in found.split(b"HTTP/1.1 ")[1:]], found


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        HEAD + FORM + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"content-length: 0\r\ncontent-length: 35\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"content-length: 35\r\ncontent-length: 0\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"content-length: 0, 35\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"content-length: +5\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"content-length: 0x5\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n" + SMUGGLED,
        HEAD + FORM + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n" + SMUGGLED,
        HEAD + b"x: a\x00b\r\n\r\n" + SMUGGLED,
        HEAD + b"x y: a\r\n\r\n" + SMUGGLED,
        HEAD + b": a\r\n\r\n" + SMUGGLED,
        b"GET /healthz HTTP/1.1 x\r\nhost: x\r\n\r\n" + SMUGGLED,
        b"G\x00T /healthz HTTP/1.1\r\nhost: x\r\n\r\n" + SMUGGLED,
        b"\xff\xfe\x00\x16\x03\x01" * 20,
    ],
    ids=lambda data: repr(data[len(HEAD) :][-90:-30]),
)
def test_of_a_head_that_can_be_read_in_two_ways_nothing_is_done(port, data):
    """The first request is refused, and what may be a second one inside it is not answered."""
    statuses, found = answers(port, data)
    assert statuses in ([400], [413], [501], []), found
    assert answers(port, SMUGGLED)[0] == [200]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "PUT", "DELETE", "OPTIONS"])
def test_a_method_that_no_page_has_does_and_repeats_nothing(port, method):
    statuses, found = answers(
        port, f"{method} /sign-in HTTP/1.1\r\nhost: x\r\nx-mine: canary\r\nconnection: close\r\n\r\n".encode()
    )
    assert set(statuses) <= {400, 404, 405, 501}
    assert b"canary" not in found


@pytest.mark.slow
def test_the_host_in_the_first_line_decides_nothing(port):
    for line in ("GET http://elsewhere.example/settings", "GET //elsewhere.example/settings", "GET /settings/"):
        statuses, found = answers(
            port, f"{line} HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: close\r\n\r\n".encode()
        )
        assert statuses[0] in {303, 400, 404}, line
        assert b"elsewhere.example" not in found, line
