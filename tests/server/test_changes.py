"""The change feed: what each hears, from where, how long they wait, and when they are turned away."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest
from starlette.testclient import TestClient

from volition.server import changes
from volition.server.app import Server
from volition.server.auth import Role, Scope
from waiting import until


@contextmanager
def serving(world):
    server = Server(world)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def server(world):
    with serving(world) as server:
        yield server


def client(server, who, scopes=tuple(Scope)):
    if who == Role.GUEST:
        found = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
        found.cookies.set("volition", server.access.sessions.begin("demo-guest"))
        return found
    role = Role.PERSON if who == "stranger" else Role(who)
    secret = server.access.tokens.issue(f"demo-{who}", name="t", roles=[role], scopes=list(scopes))[1]
    return TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})


def say(server, party, answer="no"):
    with server.workspaces.borrow() as workspace:
        return workspace.consent.decide(party, yes=answer == "yes", data=["content"], purpose=["train"]).seq


def told(server, who, **query):
    answer = client(server, who).get("/v1/changes", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def parties(server, who, start):
    """Return, by entry, whom somebody hears it is about."""
    return {one["seq"]: one["party"] for one in told(server, who, after=start)["items"]}


def test_each_hears_of_what_they_may_read_and_of_nobody_else(server):
    with server.workspaces.borrow() as workspace:
        start = workspace.ledger.size
        guest = next(one.person for one in server.access.users.all() if one.user == "demo-guest")
    account, ada, bo, cy, zoe = (
        say(server, party) for party in ("account:acme", "person:ada", "person:bo", "person:cy", f"person:{guest}")
    )
    assert parties(server, Role.PERSON, start) == {ada: "person:ada"}
    assert parties(server, Role.GUEST, start) == {zoe: f"person:{guest}"}
    assert parties(server, "stranger", start) == {cy: "person:cy"}
    assert parties(server, Role.ADMINISTRATOR, start) == {account: "account:acme"}
    assert parties(server, Role.ENGINEER, start) == {}
    everyone = {account: "account:acme", ada: None, bo: None, cy: None, zoe: None}
    assert parties(server, Role.OPERATOR, start) == everyone == parties(server, Role.AUDITOR, start)


def test_nobody_signed_in_and_a_token_of_another_scope_hear_nothing(server):
    assert TestClient(server, base_url="http://api.example").get("/v1/changes").status_code == 401
    assert client(server, Role.OPERATOR, [Scope.MAY]).get("/v1/changes").status_code == 403


def test_a_cursor_goes_on_where_it_was_page_by_page_and_after_a_restart(world):
    with serving(world) as server:
        seqs = [say(server, party) for party in ("account:acme", "person:ada", "person:bo")]
        page = told(server, Role.OPERATOR, after=seqs[0], limit=2)
        assert [one["seq"] for one in page["items"]] == seqs[:2]
        assert page["behind"] == 1
    with serving(world) as server:
        rest = told(server, Role.OPERATOR, after=page["next"])
        assert [one["seq"] for one in rest["items"]] == seqs[2:]
        assert rest["behind"] == 0
        empty = told(server, Role.OPERATOR, after=rest["next"])
        assert (empty["items"], empty["next"]) == ([], rest["next"])
        mine = told(server, Role.PERSON, after=seqs[1] + 1)
        assert mine["items"] == []
        assert mine["next"] == rest["next"], "what was looked through need not be looked through again"


@pytest.mark.parametrize(
    ("cursor", "status", "kind"),
    [
        ("99999", 410, "gone"),
        ("2-0123456789abcdef", 410, "gone"),
        ("-1", 400, "invalid-input"),
        ("x", 400, "invalid-input"),
        ("2-", 400, "invalid-input"),
    ],
)
def test_a_cursor_of_another_log_or_beyond_the_end_is_an_error(server, cursor, status, kind):
    for accept in ("application/json", "text/event-stream"):
        answer = client(server, Role.OPERATOR).get("/v1/changes", params={"after": cursor}, headers={"accept": accept})
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:volition:problem:{kind}")


@pytest.mark.slow
def test_a_long_poll_is_answered_when_something_of_the_callers_happens_and_not_by_what_is_others(served):
    token = served.access.tokens.issue("demo-person", name="t", roles=[Role.PERSON], scopes=[Scope.READ])[1]
    with httpx2.Client(base_url=served.url, headers={"authorization": f"Bearer {token}"}) as http:
        start = http.get("/v1/changes", params={"limit": 500}).json()["next"]
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(http.get, "/v1/changes", params={"after": start, "wait": 30}, timeout=40)
            time.sleep(0.3)
            with served.workspaces.borrow() as workspace:
                workspace.consent.decide("person:bo", yes=False, data=["content"], purpose=["train"])
                time.sleep(0.5)
                assert not asked.done()
                seq = workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"]).seq
            assert [one["seq"] for one in asked.result(timeout=20).json()["items"]] == [seq]
        assert http.get("/v1/changes", params={"after": seq + 1, "wait": 0.1}).json()["items"] == []


@pytest.mark.slow
def test_a_stream_sends_each_change_goes_on_after_its_last_id_and_ends_with_its_token(served):
    token, secret = served.access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
    headers = {"authorization": f"Bearer {secret}", "accept": "text/event-stream"}

    def say(party):
        with served.workspaces.borrow() as workspace:
            return workspace.consent.decide(party, yes=False, data=["content"], purpose=["train"]).seq

    def events(lines):
        """Yield the id and the data of each change."""
        identity = None
        for line in lines:
            name, _, value = line.partition(": ")
            identity = value if name == "id" else identity
            if name == "data":
                yield identity, json.loads(value)

    first = say("account:acme")
    with httpx2.Client(base_url=served.url, headers=headers, timeout=20) as http:
        with http.stream("GET", "/v1/changes", params={"after": first}) as answer:
            heard = events(answer.iter_lines())
            assert next(heard)[1]["seq"] == first
            second = say("person:ada")
            cursor, change = next(heard)
            assert change == change | {"seq": second, "kind": "decision", "party": None}
        third = say("person:bo")
        with http.stream("GET", "/v1/changes", headers={"last-event-id": cursor}) as answer:
            heard = events(answer.iter_lines())
            assert next(heard)[1]["seq"] == third
            served.access.tokens.end(token.id)
            say("account:brill")
            assert [*heard] == [], "it ended, and told nothing more"


@pytest.mark.slow
def test_who_waits_too_often_or_asks_too_often_is_turned_away_and_may_come_again(served, monkeypatch):
    monkeypatch.setattr(changes, "MOST_OF_ONE", 1)
    secret = served.access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])[1]
    with httpx2.Client(base_url=served.url, headers={"authorization": f"Bearer {secret}"}, timeout=20) as http:
        end = http.get("/v1/changes", params={"limit": 500}).json()["next"]
        with http.stream("GET", "/v1/changes", params={"after": end}, headers={"accept": "text/event-stream"}) as one:
            lines = one.iter_lines()  # kept: the stream ends with it
            next(lines)
            refused = http.get("/v1/changes", params={"after": end, "wait": 5})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        until(lambda: http.get("/v1/changes", params={"after": end, "wait": 0.01}).status_code == 200)
        monkeypatch.setattr(changes, "PER_S", 1)
        answers = [http.get("/v1/changes", params={"after": end}).status_code for _ in range(4)]
        assert answers[-1] == 503
