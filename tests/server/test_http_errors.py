"""One failure has one identifier, wherever it is raised: in the middleware, the API, `/v1/may`, or behind a page."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError, RefusedError, VolitionError
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.server.http_errors import FAILURES, HttpError, failure_of, failure_of_status, problem

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
SOURCES = Path(__file__).parents[2] / "src" / "volition" / "server"
DOCS = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture
def server(world):
    opened = Server(world)
    yield opened
    opened.close()


def client(server, *roles):
    """Return a client with a token of some roles; without any it has none."""
    headers = {}
    if roles:
        _, secret = server.access.tokens.issue(f"demo-{roles[0]}", name="t", roles=roles, scopes=list(Scope))
        headers["authorization"] = f"Bearer {secret}"
    return TestClient(server, base_url="http://api.example", headers=headers, raise_server_exceptions=False)


def test_every_failure_has_an_identifier_of_its_own_and_the_standard_title():
    assert len({failure.type for failure in FAILURES}) == len(FAILURES)
    assert {failure.status: failure.title for failure in FAILURES} == TITLES


def test_every_failure_is_documented():
    rows = re.findall(r"^\| (\d+) (.+?) \| `urn:volition:problem:([\w-]+)` \|", DOCS.read_text(), re.MULTILINE)
    assert {(int(status), title, name) for status, title, name in rows} == {
        (failure.status, failure.title, failure.name) for failure in FAILURES
    }


def test_nothing_else_in_the_server_makes_up_an_identifier():
    naming = {path.name for path in SOURCES.rglob("*.py") if re.search(r"urn:volition|Failure\(", path.read_text())}
    assert naming == {"http_errors.py"}


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (InvalidInputError("x"), "invalid-input"),
        (RefusedError("x"), "refused"),
        (ProofError("x"), "proof"),
        (ConflictError("x"), "conflict"),
        (BackendError("x"), "backend"),
        (VolitionError("x"), "unexpected"),
        (HttpError(failure_of_status(404), "x"), "not-found"),
    ],
)
def test_an_error_fails_in_its_own_way(error, name):
    failure = failure_of(error)
    assert failure.name == name
    assert problem(failure, "x") == {
        "type": f"urn:volition:problem:{name}",
        "title": TITLES[failure.status],
        "status": failure.status,
        "detail": "x",
    }


def ask_with_a_bad_token(server, path):
    return client(server).get(path, headers={"authorization": "Bearer vol_x"})


def test_who_is_not_known_is_unauthorized_wherever_that_is_noticed(server):
    told = [
        ask_with_a_bad_token(server, "/v1/terms"),  # the middleware
        client(server).get("/v1/terms"),  # a route of the API
        client(server).post("/v1/may", json={}),  # without the framework
        client(server).post("/v1/webhooks/zoom", json={}),
    ]
    assert {(one.status_code, one.json()["type"], one.json()["title"]) for one in told} == {
        (401, "urn:volition:problem:unauthorized", "Unauthorized")
    }
    assert all(one.headers["www-authenticate"] == "Bearer" for one in told)
    assert all(one.headers["content-type"] == "application/problem+json" for one in told)
    page = ask_with_a_bad_token(server, "/settings")
    assert (page.status_code, page.headers["www-authenticate"]) == (401, "Bearer")
    assert "<h1>Unauthorized</h1>" in page.text


@pytest.mark.slow
def test_what_is_not_for_a_role_is_forbidden_wherever_that_is_noticed(server):
    person = client(server, Role.PERSON)
    told = [
        person.get("/v1/entries"),
        person.post("/v1/may", json={}),
        person.post(
            "/v1/decisions",
            json={"party": "person:bo", "answer": "yes", "data": ["service"], "purpose": ["train"]},
        ),
        person.get("/v1/people/bo/holdings"),
    ]
    assert {(one.status_code, one.json()["type"]) for one in told} == {(403, "urn:volition:problem:forbidden")}
    page = person.get("/console")
    assert page.status_code == 403
    assert "<h1>Forbidden</h1>" in page.text


def test_a_wrong_input_is_a_bad_request_wherever_that_is_noticed(server):
    operator = client(server, Role.OPERATOR)
    told = [
        operator.post("/v1/may", json={"nonsense": 1}),
        operator.post("/v1/may", json={}, headers={"idempotency-key": "k"}),
        operator.post("/v1/snapshots", json={"purpose": "train/nothing"}),
        operator.post("/v1/snapshots", json={"purpose": "train/search"}, headers={"idempotency-key": "k" * 300}),
    ]
    assert {(one.status_code, one.json()["type"]) for one in told} == {(400, "urn:volition:problem:invalid-input")}


def test_what_is_not_there_is_not_found_for_machines_and_people(server):
    api, page = client(server).get("/v1/nothing"), client(server).get("/nothing")
    assert (api.status_code, api.json()["type"]) == (404, "urn:volition:problem:not-found")
    assert page.status_code == 404
    assert "<h1>Not Found</h1>" in page.text
    wrong = client(server, Role.OPERATOR).put("/v1/accounts")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "urn:volition:problem:method-not-allowed")


def test_a_form_of_another_site_is_refused_under_one_identifier(server):
    told = [
        client(server).post(path, json={}, headers={"sec-fetch-site": "cross-site"})
        for path in ("/v1/decisions", "/v1/may")
    ]
    assert {(one.status_code, one.json()["type"]) for one in told} == {(403, "urn:volition:problem:cross-site")}
    page = client(server).post("/sign-out", headers={"sec-fetch-site": "cross-site"})
    assert page.status_code == 403
    assert "<h1>Forbidden</h1>" in page.text
    assert "another site" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_what_is_too_large_is_so_wherever_that_is_noticed(server):
    operator = client(server, Role.OPERATOR)
    huge = operator.post("/v1/logs", content=b"", headers={"content-length": str(1 << 40)})
    assert (huge.status_code, huge.json()["type"]) == (413, "urn:volition:problem:too-large")
    assert huge.json()["title"] == "Content Too Large"


def test_a_server_that_is_stopping_says_so_to_machines_and_people(server):
    operator = client(server, Role.OPERATOR)
    server.workspaces.close()
    told, page = operator.get("/v1/terms"), operator.get("/console/lake")
    assert (told.status_code, told.json()["type"]) == (503, "urn:volition:problem:overloaded")
    assert page.status_code == 503
    assert told.headers["retry-after"] == page.headers["retry-after"] == "1"
    assert "<h1>Service Unavailable</h1>" in page.text
