"""What happens to every request before any route: who is asking, from where, how much, and under which headers."""

import asyncio
import json

import pytest

from volition.server.auth import Access, Role, Scope
from volition.server.bodies import Bodies
from volition.server.http_errors import UNAUTHORIZED, HttpError
from volition.server.middleware import HEADERS, SecurityMiddleware

LIMIT = 100
PRIVATE = (b"cache-control", b"no-store")
SECURE = (b"strict-transport-security", b"max-age=31536000")


class Route:
    """An application that notes what reaches it, reads the body, and answers with headers of its own."""

    def __init__(self, headers=()):
        self.headers = [(b"content-type", b"text/plain"), *headers]
        self.scopes = []
        self.received = []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        while True:
            message = await receive()
            self.received.append(message)
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"done"})

    @property
    def context(self):
        return self.scopes[-1]["volition"]


@pytest.fixture
def access(tmp_path):
    opened = Access.open(tmp_path)
    opened.users.add("olga", roles=[Role.OPERATOR])
    opened.users.add("eva", roles=[Role.ENGINEER])
    yield opened
    opened.close()


def ask(access, route, *, method="GET", headers=(), chunks=(b"",), scheme="http", client=("10.0.0.7", 4711)):
    """Send one request through the middleware; return the status, the headers and the body of the answer."""
    sent = []
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": number + 1 < len(chunks)}
        for number, chunk in enumerate(chunks)
    ]

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/", "scheme": scheme, "client": client}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in dict(headers).items()]
    asyncio.run(standing_before(route, access)(scope, receive, send))
    start, body = sent
    return start["status"], start["headers"], body["body"]


def standing_before(route, access, *, limit=LIMIT, first_s=5, most=1000, **more):
    """Return the middleware before a route; each body may hold `limit` bytes, and all together `most`."""
    bodies = Bodies(most_bytes=most, first_s=first_s)
    return SecurityMiddleware(route, access, bodies=bodies, largest=lambda _path, _who: limit, **more)


def kind_of(body):
    return json.loads(body)["type"].removeprefix("urn:volition:problem:")


def cookie(access, user="olga"):
    return {"cookie": f"other=1; volition={access.sessions.begin(user)}; volition-trip=away"}


def token(access, user="eva", role=Role.ENGINEER):
    return access.tokens.issue(user, name="t", roles=[role], scopes=[Scope.READ])[1]


# --- who is asking ---


def test_nobody_signed_in_is_nobody(access):
    route = Route()
    assert ask(access, route)[0] == 200
    context = route.context
    assert (context.who, context.session, context.trip) == (None, None, None)
    assert (context.address, context.is_secure) == ("10.0.0.7", False)
    ask(access, route, client=None, scheme="https")
    assert (route.context.address, route.context.is_secure) == ("", True)


def test_a_session_says_who_asks_and_one_that_is_over_says_nobody(access):
    route, headers = Route(), cookie(access)
    ask(access, route, headers=headers)
    secret = headers["cookie"].partition("volition=")[2].partition(";")[0]
    assert (route.context.who.user, route.context.session, route.context.trip) == ("olga", secret, "away")
    access.sessions.end(secret)
    ask(access, route, headers=headers)
    assert (route.context.who, route.context.session, route.context.trip) == (None, None, "away")
    for broken in ("volition=", "volition", 'volition="', "other=1", "vol@tion=1; volition=x"):
        ask(access, route, headers={"cookie": broken})
        assert (route.context.who, route.context.session) == (None, None)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_a_token_says_who_asks_and_the_cookie_beside_it_nothing(access, kind):
    route = Route()
    headers = {**cookie(access), "authorization": f"{kind}  {token(access)} "}
    assert ask(access, route, headers=headers, method="POST", scheme="https")[0] == 200
    context = route.context
    assert (context.who.user, context.session, context.trip) == ("eva", None, None)
    assert (context.address, context.is_secure) == ("10.0.0.7", True)


def test_a_token_that_is_not_valid_never_falls_back_to_the_cookie(access):
    route, good = Route(), token(access)
    for wrong in ("Bearer vol_x", f"Basic {good}", good, "", "Bearer", f"Bearer {good} {good}"):
        status, headers, body = ask(access, route, headers={**cookie(access), "authorization": wrong})
        assert (status, kind_of(body)) == (401, "unauthorized"), wrong
        assert "not valid" in json.loads(body)["detail"]
        assert (b"www-authenticate", b"Bearer") in headers
        assert set(HEADERS) <= set(headers)
    assert route.scopes == []


# --- from where ---

SAME = {"sec-fetch-site": "same-origin"}


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        (SAME, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://v.example", "host": "v.example"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example", "host": "v.example"}, True),
        ({"origin": "https://v.example", "host": "v.example"}, True),
        ({"origin": "https://v.example:8443", "host": "v.example"}, False),
        ({"origin": "https://evil.example", "host": "v.example"}, False),
        ({"origin": "null", "host": "v.example"}, False),
        ({"host": "v.example"}, None),  # neither header: as there is a cookie or none
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_changes_something_comes_from_our_own_pages(access, method, headers, passes):
    for more, there in ((cookie(access), True), ({}, False)):
        route = Route()
        status, _, body = ask(access, route, method=method, headers={**headers, **more})
        expected = (not there) if passes is None else passes
        assert status == (200 if expected else 403), (headers, there)
        assert len(route.scopes) == expected
        if not expected:
            assert kind_of(body) == "cross-site"
            assert "another site" in json.loads(body)["detail"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_may_come_from_anywhere(access, method):
    route = Route()
    headers = {**cookie(access), "sec-fetch-site": "cross-site"}
    assert ask(access, route, method=method, headers=headers)[0] == 200
    assert route.context.who.user == "olga"


def test_a_token_may_be_sent_from_anywhere(access):
    headers = {"authorization": f"Bearer {token(access)}", "sec-fetch-site": "cross-site"}
    assert ask(access, Route(), method="POST", headers=headers)[0] == 200


# --- how much ---


@pytest.mark.parametrize(
    ("length", "passes"),
    [("0", True), (str(LIMIT), True), (str(LIMIT + 1), False), ("-1", False), ("ten", False), ("", False)],
)
def test_a_body_that_is_announced_too_large_is_refused_unread(access, length, passes):
    route = Route()
    status, headers, body = ask(access, route, method="POST", headers={"content-length": length})
    assert status == (200 if passes else 413 if length.isdecimal() else 400)
    assert len(route.scopes) == passes
    if not passes:
        assert kind_of(body) == ("too-large" if length.isdecimal() else "invalid-input")
        assert ("100 bytes" if length.isdecimal() else "no number") in json.loads(body)["detail"]
        assert set(HEADERS) <= set(headers)


@pytest.mark.parametrize(
    ("chunks", "passes"),
    [
        ([b"x" * LIMIT], True),
        ([b"x" * 60, b"x" * 40], True),
        ([b"x" * 60, b"x" * 40, b""], True),
        ([b"x" * (LIMIT + 1)], False),
        ([b"x" * 60, b"x" * 41], False),
        ([b"x" * 60, b"x" * 41, b"x"], False),
    ],
)
def test_a_body_that_was_not_announced_is_refused_where_it_is_too_large(access, chunks, passes):
    route = Route()
    status, _, body = ask(access, route, method="POST", chunks=chunks)
    assert status == (200 if passes else 413)
    assert [message["body"] for message in route.received] == ([b"".join(chunks)] if passes else [])
    if not passes:
        assert kind_of(body) == "too-large"


def test_nothing_is_read_from_those_who_may_send_nothing(access):
    def largest(_path, who):
        if who is None:
            raise HttpError(UNAUTHORIZED, "Send a token.")
        return LIMIT

    async def receive():
        raise AssertionError("the body was read")

    answers = []

    async def send(message):
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/decisions", "headers": []}
    middleware = SecurityMiddleware(Route(), access, bodies=Bodies(most_bytes=9, first_s=5), largest=largest)
    asyncio.run(middleware(scope, receive, send))
    assert answers[0]["status"] == 401


def test_a_body_that_comes_too_slowly_is_given_up(access):
    route, answers = Route(), []

    async def dripping():
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message):
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(standing_before(route, access, first_s=0.05)(scope, dripping, send))
    assert (answers[0]["status"], kind_of(answers[1]["body"]), route.scopes) == (408, "timeout", [])


def test_what_all_requests_hold_together_is_bounded_and_room_comes_back(access):
    async def run():
        waiting, answers, over = asyncio.Event(), [], asyncio.Event()

        async def slow(_scope, _receive, send):
            waiting.set()
            await over.wait()
            await Route()(_scope, _receive, send)

        async def send(message):
            answers.append(message.get("status"))

        middleware = standing_before(slow, access, most=100)

        def post(size):
            async def receive():
                return {"type": "http.request", "body": b"x" * size, "more_body": False}

            return middleware({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)

        first = asyncio.create_task(post(60))
        await waiting.wait()
        await post(60)
        refused = answers[0]
        over.set()
        await first
        await post(100)
        return refused, [status for status in answers if status]

    assert asyncio.run(run()) == (503, [503, 200, 200])


def test_each_request_may_send_as_much(access):
    route = Route()
    for _ in range(3):
        ask(access, route, method="POST", chunks=[b"x" * LIMIT])
    assert [message["type"] for message in route.received] == ["http.request"] * 3


# --- under which headers ---


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_answer_has_the_headers_and_a_route_may_say_otherwise(access, scheme):
    added = [*HEADERS, *([SECURE] if scheme == "https" else []), PRIVATE]
    assert ask(access, Route(), scheme=scheme)[1] == [(b"content-type", b"text/plain"), *added]
    own = [(b"Cache-Control", b"max-age=9"), (b"x-frame-options", b"SAMEORIGIN")]
    names = {b"cache-control", b"x-frame-options"}
    left = [header for header in added if header[0] not in names]
    assert ask(access, Route(own), scheme=scheme)[1] == [(b"content-type", b"text/plain"), *own, *left]


def test_names_of_headers_are_read_in_any_case(access):
    route = Route()
    ask(access, route, headers={"Authorization": f"Bearer {token(access)}"})
    assert route.context.who.user == "eva"


def test_what_is_no_http_request_is_handed_on_as_it_is(access):
    handed = []

    async def app(scope, receive, send):
        handed.append((scope, receive, send))

    scope, receive, send = {"type": "lifespan"}, object(), object()
    asyncio.run(standing_before(app, access)(scope, receive, send))
    assert handed == [(scope, receive, send)]
    assert scope == {"type": "lifespan"}


def test_a_request_that_fails_is_answered_as_the_server_says(access):
    refused = []

    async def refuse(send, failure, detail):
        refused.append((failure.status, detail))
        await send({"type": "http.response.start", "status": failure.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run(headers):
        scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        await standing_before(Route(), access, refuse=refuse, limit=5)(scope, None, sink)

    sent = []

    async def sink(message):
        sent.append(message)

    asyncio.run(run([(b"authorization", b"Bearer vol_x")]))
    asyncio.run(run([(b"content-length", b"6")]))
    assert [status for status, _ in refused] == [401, 413]
    assert "expired" in refused[0][1]
    assert "5 bytes" in refused[1][1]
    assert all(set(HEADERS) <= set(message["headers"]) for message in sent[::2])
