"""`/v1/settings`: each reads and answers their own switches, and what it says is what pages and the gate say."""

import pytest
from starlette.testclient import TestClient

from volition.server.app import Server
from volition.server.auth import Role, Scope


@pytest.fixture
def server(world):
    server = Server(world, has_worker=False)
    yield server
    server.close()


def client(server, who, *scopes):
    if who == Role.GUEST:
        found = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
        found.cookies.set("volition", server.access.sessions.begin("demo-guest"))
        return found
    role = Role.PERSON if who == "stranger" else Role(who)
    secret = server.access.tokens.issue(f"demo-{who}", name="t", roles=[role], scopes=scopes or list(Scope))[1]
    return TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})


def own(server, who):
    return client(server, who).get("/v1/settings").json()


def test_each_sees_their_own_and_nobody_elses(server):
    assert own(server, Role.PERSON)["party"] == "person:ada"
    assert own(server, "stranger")["account"] == "brill"
    assert own(server, Role.ADMINISTRATOR)["party"] == "account:acme"
    assert own(server, Role.GUEST)["account"] == "acme"
    assert TestClient(server).get("/v1/settings").status_code == 401
    for who in (Role.ENGINEER, Role.AUDITOR):
        assert client(server, who).get("/v1/settings", params={"party": "person:ada"}).status_code == 403
    for who in (Role.PERSON, Role.GUEST, Role.ADMINISTRATOR, "stranger"):
        for party in ("person:bo", "account:brill", "person:nobody"):
            for answer in (
                client(server, who).get("/v1/settings", params={"party": party}),
                client(server, who).post("/v1/settings", json={"party": party, "answer": "no"}),
            ):
                assert answer.status_code == 403, (who, party)
    assert client(server, Role.PERSON, Scope.READ).post("/v1/settings", json={"answer": "no"}).status_code == 403


def test_what_an_operator_reads_of_a_person_is_written_down(server):
    operator = client(server, Role.OPERATOR)
    assert operator.get("/v1/settings").status_code == 400
    assert operator.get("/v1/settings", params={"party": "person:ada"}).json()["organisation"] == "Acme Ltd"
    with server.workspaces.borrow() as workspace:
        assert ("demo-operator", "person") in {(one.who, one.reading) for one in workspace.accesses.of("ada")}


def test_what_it_says_is_what_the_gate_says_after_each_answer(server):
    person = client(server, Role.PERSON)
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("account:acme", yes=True, data=["content", "service"], purpose=["train", "feature"])
    for setting in person.get("/v1/settings").json()["settings"]:
        if not setting["has_say"]:
            continue
        for answer in ("yes", "no"):
            said = person.post("/v1/settings", json={"switch": setting["switch"], "answer": answer})
            assert said.status_code == 201
            after = next(one for one in said.json()["after"]["settings"] if one["switch"] == setting["switch"])
            assert after["answer"] == answer
            reached = {(one["purpose"], kind) for one in after["turns_off"] for kind in one["categories"]}
            for line in after["lines"]:
                assert line["allowed"] == (line["reason"] is None)
                if answer == "no" and (line["purpose"], line["category"]) in reached:
                    assert not line["allowed"], line
            with server.workspaces.borrow() as workspace:
                choice = workspace.consent.choices("person:ada", account="acme").of(setting["switch"])
                stands = {(line.purpose, line.category): line.stands for line in choice.lines}
            assert {(one["purpose"], one["category"]): one["allowed"] for one in after["lines"]} == stands


def test_a_no_to_everything_needs_no_switch_and_a_yes_to_everything_is_not_taken(server):
    person = client(server, Role.PERSON)
    assert person.post("/v1/settings", json={"answer": "yes"}).status_code == 400
    assert person.post("/v1/settings", json={"answer": "no", "covers": "past"}).status_code == 400
    assert person.post("/v1/settings", json={"switch": "none-such", "answer": "no"}).status_code == 400
    after = person.post("/v1/settings", json={"answer": "no"}).json()["after"]
    assert {one["answer"] for one in after["settings"] if one["has_say"]} == {"no"}
