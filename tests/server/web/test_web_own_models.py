"""Pages of models of one's own: how surely each forgets is said, and nothing is offered that it cannot do."""

import pytest
from starlette.testclient import TestClient
from test_web_console import SAME, say_yes

from volition.learning.audit.measured import Measured
from volition.learning.grades import GRADE_WORDS, Grade
from volition.server.app import Server
from volition.server.auth import Role


@pytest.fixture
def server(world):
    made = Server(world, is_demo=True)
    yield made
    made.close()


@pytest.fixture
def model(server):
    """A model of one's own, released, without a command to train again."""
    with server.workspaces.borrow() as workspace:
        say_yes(workspace)
        snapshot = workspace.snapshots.create("train/summary").id
        with workspace.models.training("churn", snapshot=snapshot) as run:
            (run.folder / "weights").write_text(f"{len(run.rows())}")
            assert run.rows()
            run.measured(Measured(how="Nothing was held out."))
        workspace.models.release(run.model)
        return run.model


def visitor(server, who):
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.cookies.set("volition", server.access.sessions.begin(f"demo-{who}"))
    return client


def test_the_console_says_who_trained_it_and_how_surely_it_forgets(server, model):
    page = visitor(server, Role.OPERATOR).get(f"/console/models/{model}").text
    assert "by code of your own" in page
    assert f"It forgets {GRADE_WORDS[Grade.RETIRED]}" in page
    assert f"/console/models/{model}/audit" not in page
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
    due = visitor(server, Role.OPERATOR).get("/console/forgettings").text
    assert f"It forgets {GRADE_WORDS[Grade.RETIRED]}" in due
    assert "exactly" not in due


def test_a_person_is_promised_no_more_than_the_model_can(server, model):
    client = visitor(server, Role.PERSON)
    card = client.get(f"/models/{model}").text
    assert "The operator&#39;s own code trained this model" in card
    assert "by being retired" in card
    assert "Not each forgets exactly" in client.get("/requests/erase").text
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
    assert "it is then erased" in client.get("/models").text


@pytest.mark.parametrize("who", [None, Role.GUEST, "stranger", Role.ADMINISTRATOR])
def test_who_is_no_staff_sees_no_model_on_the_console(server, model, who):
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client = client if who is None else visitor(server, who)
    answer = client.get(f"/console/models/{model}", follow_redirects=False)
    assert answer.status_code != 200
    assert "code of your own" not in answer.text
