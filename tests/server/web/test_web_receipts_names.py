"""Whom a person's proof bundle names is said on the page, and is so."""

import pytest
from starlette.testclient import TestClient

from volition.server.app import Server


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    yield server
    server.close()


@pytest.mark.parametrize("may_be", [False, True])
def test_the_page_says_whether_the_proofs_name_anybody_else(server, may_be):
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("person:ada", yes=True, data=["content"], purpose=["train/compose"])
        heard = workspace.parties.guest("acme", "Ada")
        if may_be:
            workspace.consent.decide(f"person:{heard.id}", yes=False, data=["content"], purpose=["train/search"])
        own = set(workspace.parties.person("ada").pseudonyms)
        others = {one.pseudonym for one in workspace.parties.people()} - own
    client = TestClient(server, base_url="http://centre.example")
    client.cookies.set("volition", server.access.sessions.begin("demo-person"))
    page, proofs = client.get("/receipts").text, client.get("/receipts/proofs.json").text

    named = {one for one in others if one in proofs}
    assert named == ({heard.pseudonym} if may_be else set())
    assert ("it names no other person" in page) == (not may_be)
    assert ("whoever may be you and said a no" in page) == may_be
