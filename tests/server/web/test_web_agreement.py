"""After every answer, by whomever, each place that shows a permission says what the gate says."""

import re
import time

import pytest
from starlette.testclient import TestClient

from volition.cli import main
from volition.consent.lease import LENGTH_MS
from volition.server.app import Server
from volition.server.auth import Role

OURS = {"sec-fetch-site": "same-origin"}
PLACES = {  # the switch, and the pages of features that tell of it
    "train-search": ("/meetings/standup", "/search"),
    "train-compose": ("/chat",),
    "feature-search": ("/meetings/standup", "/search", "/chat"),
}


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    with server.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(
                party, yes=True, data=["service", "content"], purpose=["train", "feature"], covers="past"
            )
    yield server
    server.close()


def visitor(server, role):
    client = TestClient(server, base_url="http://centre.example", follow_redirects=False, headers=OURS)
    client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
    return client


def pill(text, start, end="</li>"):
    """Return what the first pill after a place says."""
    part = text.split(start)[1].split(end)[0]
    return re.search(r'<span class="pill[^>]*>(?:<svg.*?</svg>)?([^<]+)</span>', part)[1]


def places(clients, switch, world):
    """Return whether Ada's data may be used under a switch, by each place that tells."""
    person, administrator, operator = clients
    purpose, category = switch.replace("-", "/"), "content/chat" if "compose" in switch else "content/transcript"
    settings = person.get("/settings").text
    told = {
        "settings": pill(settings, f'id="{switch}"', "</article>"),
        "at a glance": pill(settings, f'<a href="#{switch}">'),
        "weigh": pill(person.get("/weigh").text, f'id="{switch}"', "</article>"),
    }
    told |= {path: pill(person.get(path).text, f'id="use-{switch}"') for path in PLACES[switch]}
    told = {place: said == "Used" for place, said in told.items()}
    asked = {"purpose": purpose, "account": "acme", "people": ["ada"], "category": category}
    told["api"] = operator.post("/v1/may", json=asked).json()["permitted"]
    call = ["may", purpose, "--workspace", str(world), "--account", "acme", "--person", "ada", "--category", category]
    told["command"] = main(call) == 0
    of_account = pill(administrator.get("/account").text, f'id="{switch}"', "</article>")
    return told, of_account == "Allowed"


@pytest.mark.slow
@pytest.mark.parametrize("switch", PLACES)
def test_every_place_that_shows_a_permission_agrees_after_a_change(server, world, switch, capsys):
    clients = person, administrator, _ = [
        visitor(server, role) for role in (Role.PERSON, Role.ADMINISTRATOR, Role.OPERATOR)
    ]
    says = {"person": True, "account": True}
    for who, answer in (("person", "no"), ("account", "no"), ("person", "yes"), ("account", "yes")):
        client, path = (person, "/settings") if who == "person" else (administrator, "/account/switches")
        assert client.post(f"{path}/{switch}", data={"answer": answer, "covers": "past"}).status_code == 303
        says[who] = answer == "yes"
        if answer == "yes":  # a no is known at once, a yes within a lease
            time.sleep(LENGTH_MS / 1000)
        told, account = places(clients, switch, world)
        assert set(told.values()) == {all(says.values())}, (
            who,
            answer,
            [p for p, v in told.items() if v != all(says.values())],
        )
        assert account == says["account"]
    capsys.readouterr()
