"""Embed tokens: one person, one origin, the switches and nothing else, for minutes."""

import base64
import hashlib
import itertools
import re
from importlib import resources
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from crafts import declare_churn
from volition.consent.terms.vocabulary import BUILT_IN
from volition.server.api.german import CATEGORIES_DE, PURPOSES_DE
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.server.auth.embeds import check_origin

ORIGIN, OTHER = "https://app.example", "https://other.example"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(world):
    server = Server(world, has_worker=False)
    yield server
    server.close()


def api(server, who, *scopes):
    role = Role.PERSON if who == "stranger" else Role(who)
    secret = server.access.tokens.issue(f"demo-{who}", name="t", roles=[role], scopes=scopes or list(Scope))[1]
    return TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})


def mint(server, who=Role.ENGINEER, **asked):
    return api(server, who).post("/v1/embed-tokens", json={"person": "ada", "origin": ORIGIN, **asked})


def page(server, token, origin=ORIGIN):
    """Return a browser's page of an origin that asks with an embed token."""
    headers = {"authorization": f"Bearer {token}", "sec-fetch-site": "cross-site"}
    return TestClient(
        server, base_url="http://centre.example", headers=headers | ({"origin": origin} if origin else {})
    )


def test_it_reads_and_answers_the_switches_of_its_person_and_says_so_in_the_ledger(server):
    minted = mint(server).json()
    ada = page(server, minted["token"])
    shown = ada.get("/v1/settings")
    assert shown.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in shown.headers
    assert (shown.json()["party"], shown.json()["organisation"]) == ("person:ada", "Acme Ltd")
    switch = next(one["switch"] for one in shown.json()["settings"] if one["has_say"])
    said = ada.post("/v1/settings", json={"switch": switch, "answer": "no"}).json()
    assert next(one["answer"] for one in said["after"]["settings"] if one["switch"] == switch) == "no"
    with server.workspaces.borrow() as workspace:
        [entry] = workspace.ledger.entries(said["entry"], said["entry"] + 1)
        assert entry.body["party"] == workspace.party("person:ada")


@pytest.mark.parametrize("origin", [OTHER, "http://app.example", "https://app.example:444", "null", None])
def test_from_pages_of_another_origin_it_is_good_for_nothing(server, origin):
    token = mint(server).json()["token"]
    answer = page(server, token, origin).get("/v1/settings")
    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers
    asked = {"origin": origin or "", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in TestClient(server).options("/v1/settings", headers=asked).headers


def test_it_reaches_nothing_else(server):
    token = mint(server).json()["token"]
    document = api(server, Role.OPERATOR).get("/v1/openapi.json").json()
    asked = 0
    for path, told in document["paths"].items():
        for method in told:
            if path not in {"/v1/settings", "/v1/webhooks/zoom"}:  # the latter is signed itself
                address = re.sub(r"\{\w+\}", "ada", path)
                answer = page(server, token).request(method.upper(), address)
                assert answer.status_code == 401, (method, path)
                assert "access-control-allow-origin" not in answer.headers
                asked += 1
    assert asked > 40
    for path in ("/settings", "/console", "/"):
        assert page(server, token).get(path, follow_redirects=False).status_code == 401, path


def test_it_decides_for_nobody_else(server):
    ada = page(server, mint(server).json()["token"])
    for party in ("person:bo", "person:cy", "person:nobody", "account:acme"):
        for answer in (
            ada.get("/v1/settings", params={"party": party}),
            ada.post("/v1/settings", json={"party": party, "answer": "no"}),
        ):
            assert answer.status_code == 403, party
    assert ada.get("/v1/settings", params={"account": "brill"}).status_code == 403


def test_it_ends_by_time_by_revoking_with_who_had_it_minted_and_with_its_person(server, monkeypatch):
    def works(token):
        return page(server, token).get("/v1/settings").status_code == 200

    revoked, timed, orphaned, erased = (mint(server).json() for _ in range(4))
    assert all(works(one["token"]) for one in (revoked, timed, orphaned, erased))
    assert api(server, Role.ENGINEER).delete(f"/v1/embed-tokens/{revoked['id']}").status_code == 204
    assert not works(revoked["token"])
    assert api(server, Role.ENGINEER).delete(f"/v1/embed-tokens/{revoked['id']}").status_code == 400
    operators = mint(server, Role.OPERATOR).json()
    with monkeypatch.context() as later:
        clock = server.access.database.clock
        later.setattr(server.access.database, "clock", lambda: clock() + 10 * 60 * 1_000_000)
        assert not works(timed["token"])
    assert works(timed["token"])
    server.access.users.remove("demo-engineer")
    assert not works(orphaned["token"])
    assert works(operators["token"])
    server.access.erase_person("ada", ["Ada Byron"])
    assert not works(operators["token"])


def test_who_may_have_one_minted_and_for_whom(server):
    assert TestClient(server).post("/v1/embed-tokens", json={"person": "ada", "origin": ORIGIN}).status_code == 401
    for who in (Role.PERSON, Role.ADMINISTRATOR, Role.AUDITOR, "stranger"):
        assert mint(server, who).status_code == 403, who
    only = api(server, Role.OPERATOR, *(set(Scope) - {Scope.EMBED}))
    assert only.post("/v1/embed-tokens", json={"person": "ada", "origin": ORIGIN}).status_code == 403
    assert mint(server, person="nobody").status_code == 400
    assert mint(server, account="brill").status_code == 400
    for minutes in (0, 61):
        assert mint(server, minutes=minutes).status_code == 422
    with server.workspaces.borrow() as workspace:
        guest = next(one.id for one in workspace.parties.people() if one.is_guest)
    minted = mint(server, person=guest).json()
    assert page(server, minted["token"]).get("/v1/settings").json()["account"] == "acme"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://App.example", "https://app.example"),
        ("https://app.example:443/", "https://app.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        *((bad, None) for bad in ("*", "null", "https://", "https://a.example/x", "https://u@a.example", "http://a.example")),
        *((bad, None) for bad in ("https://a.example?x", "ftp://a.example", "https://a.example:x", "https://a.example#x", "")),
    ],
)  # fmt: skip
def test_an_origin_is_one_as_browsers_write_it(text, origin):
    from volition.errors import InvalidInputError  # noqa: PLC0415

    if origin is None:
        with pytest.raises(InvalidInputError):
            check_origin(text)
    else:
        assert check_origin(text) == origin


def test_a_preflight_is_answered_to_its_origin_alone(server):
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    client = TestClient(server)
    before = client.options("/v1/settings", headers={**asked, "origin": ORIGIN})
    assert "access-control-allow-origin" not in before.headers
    mint(server)
    allowed = client.options("/v1/settings", headers={**asked, "origin": ORIGIN})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, ORIGIN)
    assert allowed.headers["vary"] == "Origin"
    for path, origin in itertools.product(("/v1/decisions", "/v1/may", "/settings"), (ORIGIN, OTHER)):
        answer = client.options(path, headers={**asked, "origin": origin})
        assert "access-control-allow-origin" not in answer.headers


def test_the_component_is_small_and_the_docs_name_its_digest(server):
    told = (ROOT / "docs" / "how-to" / "embed.md").read_text(encoding="utf-8")
    address, integrity = (
        re.search(r'src="https://privacy.example(\S+)"', told)[1],
        re.search(r'"(sha384-\S+)"', told)[1],
    )
    answer = TestClient(server).get(address)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert (answer.headers["access-control-allow-origin"], answer.headers["cross-origin-resource-policy"]) == (
        "*",
        "cross-origin",
    )
    assert integrity == "sha384-" + base64.b64encode(hashlib.sha384(answer.content).digest()).decode()
    assert len(answer.content) < 20_000
    assert answer.content == (resources.files("volition.server.api") / "static" / "volition-1.js").read_bytes()


def test_the_words_of_the_switches_come_with_them_in_the_language_that_is_asked_for(server):
    ada = page(server, mint(server).json()["token"])
    plain, german, other = (
        ada.get("/v1/settings", headers={"accept-language": asked}).json()["words"]
        for asked in ("", "fr-CH, de-DE;q=0.9, en;q=0.8", "fr")
    )
    assert (plain["language"], german["language"], other) == ("en", "de", plain)
    for name, one in plain["purposes"].items():
        known = BUILT_IN.purpose(name)
        assert (one["title"], one["does"], one["without"]) == (known.title, known.does, known.without)
    assert plain["categories"] == {name: BUILT_IN.category(name).words for name in plain["categories"]}
    assert german["purposes"].keys() == plain["purposes"].keys()
    assert all(german["purposes"][name] != one for name, one in plain["purposes"].items())
    assert german["categories"].keys() == plain["categories"].keys()
    assert german["categories"]["content/chat"] == "Chatnachrichten"
    assert (set(PURPOSES_DE), set(CATEGORIES_DE)) == (set(BUILT_IN.purposes), set(BUILT_IN.categories))
    assert all(len(set(one)) == 3 and all(one) for one in PURPOSES_DE.values())


def test_what_terms_declare_is_called_by_the_words_of_the_terms_in_every_language(server):
    with server.workspaces.borrow() as workspace:
        declare_churn(workspace)
    ada = page(server, mint(server).json()["token"])
    for language in ("en", "de"):
        settings = ada.get("/v1/settings", headers={"accept-language": language}).json()
        told = settings["words"]
        assert told["purposes"]["train/churn"]["title"] == "Train churn prediction"
        assert told["purposes"]["train/churn"]["does"] == "Tells which accounts may leave."
        assert told["categories"]["crm/tickets"] == "support tickets"
    switch = next(one["switch"] for one in settings["settings"] if "train/churn" in one["purposes"])
    said = ada.post("/v1/settings", json={"switch": switch, "answer": "no"}, headers={"accept-language": "de"}).json()
    assert (said["after"]["words"], said["after"]["words"]["language"]) == (told, "de")
