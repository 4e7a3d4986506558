"""Whoever is erased cannot sign in any more, and nothing of theirs is left in what the server keeps."""

import signal
import subprocess
import sys

import pytest

from volition.cli import main
from volition.errors import RefusedError
from volition.server.api.idempotency import StoredAnswer, StoredAnswers
from volition.server.app import Server
from volition.server.auth import Access, Role, Scope
from volition.workspace import Workspace

PASSWORD = "correct horse battery"


@pytest.fixture
def folder(tmp_path):
    with Workspace.create(tmp_path / "ws", origin="log.example/erased") as workspace:
        workspace.people.add_account("acme", "Acme Ltd")
        workspace.terms.accept("acme")
        for person, name in (("ada", "Ada Byron"), ("bo", "Bo Berg")):
            workspace.people.add_person(person, account="acme", name=name, emails=[f"{person}@acme.example"])
    return tmp_path / "ws"


def served(folder):
    """Let both sign in, hold tokens and links, and write with idempotency keys."""
    access = Access.open(folder)
    answers = StoredAnswers(access.database)
    links = {}
    for person, name in (("ada", "Ada Byron"), ("bo", "Bo Berg")):
        user = f"{person}-signs-in"
        access.users.add(user, name=name, roles=[Role.PERSON], password=PASSWORD, account="acme", person=person)
        access.tokens.issue(user, name=f"{name}'s laptop", roles=[Role.PERSON], scopes=[Scope.READ])
        links[person] = access.links.make_guest_link(person=person, account="acme")
        answers.begin("robot", f"key-{person}", "asked")
        body = f'{{"name": "{name}"}}'.encode()
        answers.end(
            "robot",
            f"key-{person}",
            StoredAnswer(request="asked", status=201, media_type="application/json", body=body),
        )
    sessions = {person: access.sessions.begin(f"{person}-signs-in") for person in links}
    access.close()
    return links, sessions


@pytest.mark.slow
def test_erasing_takes_the_sign_in_and_every_word_of_the_person_and_nobody_elses(folder, capsys):
    links, sessions = served(folder)

    assert main(["erase", "--party", "person:ada", "--json", "--workspace", str(folder)]) == 0

    capsys.readouterr()
    access = Access.open(folder)
    with pytest.raises(RefusedError, match="do not go together"):
        access.users.check_password("ada-signs-in", PASSWORD)
    assert access.users.check_password("bo-signs-in", PASSWORD).person == "bo"
    assert access.sessions.find(sessions["ada"]) is None
    assert access.sessions.find(sessions["bo"]) is not None
    with pytest.raises(RefusedError, match="revoked"):
        access.links.find_guest(links["ada"])
    assert access.links.find_guest(links["bo"]).person == "bo"
    answers = StoredAnswers(access.database)
    assert answers.begin("robot", "key-ada", "asked") is None
    assert answers.begin("robot", "key-bo", "asked").body == b'{"name": "Bo Berg"}'
    access.close()
    kept = b"".join(path.read_bytes() for path in folder.glob("web.db*"))
    assert [word for word in (b"Ada Byron", b"ada@acme.example", b"ada-signs-in") if word in kept] == []
    assert b"Bo Berg" in kept


def test_an_account_without_a_server_is_erased_as_before(folder, capsys):
    assert main(["erase", "--party", "person:ada", "--json", "--workspace", str(folder)]) == 0
    capsys.readouterr()
    assert not (folder / "web.db").exists()


# --- killed in between, wherever it was asked for ---

KILLED = """
import os, signal, sys
from pathlib import Path
from starlette.testclient import TestClient
from volition.cli import main
from volition.consent.parties import Parties
from volition.records.lake import Lake
from volition.server.app import Server
from volition.server.auth import Access
folder, face, where, session = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

match where:
    case "before the sign-in":
        Access.erase_person = die
    case "before the records":
        Lake.erase_person = die
    case "before the key":
        Parties.destroy_person = die
if face == "command":
    main(["erase", "--party", "person:ada", "--json", "--workspace", str(folder)])
else:
    client = TestClient(Server(folder), base_url="http://centre.example", follow_redirects=False)
    client.cookies.set("volition", session)
    client.post("/requests/erase", data={"confirm": "yes"}, headers={"origin": "http://centre.example"})
"""


def serve_once(folder):
    Server(folder).close()


def erase_again(folder):
    assert main(["erase", "--party", "person:ada", "--json", "--workspace", str(folder)]) == 0


def forget(folder):
    assert main(["forget", "--json", "--workspace", str(folder)]) == 0


WHERE = ("before the sign-in", "before the records", "before the key")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("face", "where", "again"),
    [
        *(("command", where, erase_again) for where in WHERE),
        *(("page", where, serve_once) for where in WHERE),
        ("page", "before the sign-in", forget),
        ("command", "before the key", serve_once),
    ],
)
def test_an_erasure_that_is_killed_leaves_nobody_who_signs_in_and_goes_on(folder, face, where, again):
    _, sessions = served(folder)
    code = [sys.executable, "-c", KILLED, str(folder), face, where, sessions["ada"]]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Workspace.open(folder) as workspace:
        party = workspace.party("person:ada")  # the key is still there, so it is known what is left to do
        assert workspace.history().party(party).erased_us is not None

    again(folder)

    with Workspace.open(folder) as workspace, pytest.raises(RefusedError, match="erased"):
        workspace.party("person:ada")
    access = Access.open(folder)
    assert [user.person for user in access.users.all()] == ["bo"]
    assert access.sessions.find(sessions["ada"]) is None
    access.close()
    kept = b"".join(path.read_bytes() for path in folder.glob("web.db*"))
    assert [word for word in (b"Ada Byron", b"ada@acme.example", b"ada-signs-in") if word in kept] == []
    assert b"Bo Berg" in kept


@pytest.mark.slow
def test_a_server_ends_the_sign_in_of_somebody_whom_a_program_erased(folder):
    _, sessions = served(folder)
    with Workspace.open(folder) as workspace:
        workspace.forgetting.erase("person:ada")
    serve_once(folder)
    access = Access.open(folder)
    assert [user.person for user in access.users.all()] == ["bo"]
    assert access.sessions.find(sessions["ada"]) is None
    access.close()
