"""How the server is set up: server.toml is read strictly, and a server stands between threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from volition.errors import InvalidInputError
from volition.server.settings import ServerSettings, read_settings
from volition.workspace import Workspace
from volition.workspace.pool import Lane, OverloadedError, Workspaces


def write(folder, text, **secrets):
    (folder / "server.toml").write_text(text)
    for name, mode in secrets.items():
        path = folder / f"{name}.secret"
        path.write_text("s3cret\n")
        path.chmod(mode)
    return folder


def test_nothing_is_needed(tmp_path):
    assert read_settings(tmp_path) == ServerSettings()


def test_everything_can_be_said(tmp_path):
    told = read_settings(
        write(
            tmp_path,
            """
            [site]
            name = "Acme privacy centre"
            url = "https://privacy.acme.example/"
            [oidc]
            issuer = "https://login.acme.example"
            client_id = "volition"
            client_secret_file = "a.secret"
            [zoom]
            secret_file = "a.secret"
            account = "acme"
            [[webhook]]
            url = "https://acme.example/hook"
            secret_file = "a.secret"
            kinds = ["decision"]
            """,
            a=0o600,
        )
    )
    assert (told.site, told.url) == ("Acme privacy centre", "https://privacy.acme.example")
    assert told.oidc.client_secret == told.zoom.secret == told.webhooks[0].secret == "s3cret"
    assert told.webhooks[0].kinds == ("decision",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[sight]", '1: unknown key "sight". Did you mean "site"?'),
        ("[site]\nnam = 'x'", '2: unknown key "nam". Did you mean "name"?'),
        ("[site]\nname = 3", '2: "name" must be a text in quotes.'),
        ("[site]\nname = ''", '2: "name" is empty.'),
        ("\n[site]\nurl = 'http://elsewhere.example'", '3: "url" must begin with https://'),
        ("[site]\nurl = 'https://[::'", '2: "url" is no address'),
        ("[oidc]\nissuer = 'https://x.example'\nclient_id = 'v'", '1: the key "client_secret_file" is missing.'),
        ("[zoom]\nsecret_file = 'open.secret'\naccount = 'a'", "2: other users can read "),
        ("[zoom]\naccount = 'a'\nsecret_file = 'none.secret'", '3: "secret_file" names '),
        ("[webhook]\nurl = 'https://x.example'", "1: write [[webhook]], in double brackets"),
        (
            "[[webhook]]\nurl = 'https://x.example'\nsecret_file = 'a.secret'\nkinds = [\n'regio']",
            '5: there is no kind of event that a webhook is sent "regio".',
        ),
        ("[[webhook]]\nurl = 'https://x.example'\nsecret_file = 'a.secret'\nkinds = []", "4: no kind of event"),
        ("site = 1", "1: expected a table"),
        ("[", "1: This is not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, text, told):
    with pytest.raises(InvalidInputError) as caught:
        read_settings(write(tmp_path, text, open=0o644, a=0o600))
    assert str(caught.value).startswith(f"{tmp_path / 'server.toml'}:{told}")


@pytest.fixture
def folder(tmp_path):
    with Workspace.create(tmp_path / "w") as workspace:
        workspace.people.add_account("acme", "Acme", region="US")
        workspace.terms.accept("acme")
        for number in range(8):
            workspace.people.add_person(f"p{number}", account="acme")
    return tmp_path / "w"


def test_many_threads_decide_and_each_sees_its_own_answer_at_once(folder):
    """Threads share a folder as processes do: nothing is lost, and whoever said no is refused by the next answer."""
    workspaces = Workspaces(folder, at_once={Lane.BACKGROUND: 3})

    def go_back_and_forth(number):
        asked = {"account": "acme", "people": [f"p{number}"], "category": "service/usage"}
        for _ in range(5):
            for yes in (True, False):
                with workspaces.borrow() as workspace:
                    workspace.consent.decide(
                        f"person:p{number}", yes=yes, data=["service"], purpose=["train"], covers=None
                    )
                with workspaces.borrow() as workspace:
                    verdict = workspace.gate.may("train/search", **asked).verdict
                    assert verdict.permitted == yes, (number, yes, verdict)
        return number

    with workspaces.borrow() as workspace:
        workspace.consent.decide("account:acme", yes=True, data=["service"], purpose=["train"], covers="past")
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(go_back_and_forth, range(8))) == list(range(8))
    with workspaces.borrow() as workspace:
        decisions = [entry for entry in workspace.entries() if entry.kind == "decision"]
        assert len(decisions) == 1 + 8 * 10
        workspace.ledger.verify()
    workspaces.close()


def test_a_server_that_stops_lends_no_more(folder):
    workspaces = Workspaces(folder)
    with workspaces.borrow():
        workspaces.close()
    with pytest.raises(OverloadedError), workspaces.borrow():
        pass
