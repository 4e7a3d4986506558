"""Signing in, as a browser sees it: cookies, second factors, what asks again, where one is signed in, and who guesses."""

import base64
import re
import time
from html import escape
from urllib.parse import quote

import pytest
import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from starlette.testclient import TestClient

from volition.errors import InvalidInputError
from volition.server.app import Server, serve
from volition.server.auth import Role, Scope

PASSWORD = "correct horse battery"
SAME_SITE = {"sec-fetch-site": "same-origin"}
PROXY = "10.0.0.5"


def opened(world, settings="", *, is_demo=False):
    (world / "server.toml").write_text(settings)
    return Server(world, is_demo=is_demo)


@pytest.fixture
def serving(world):
    """Return a function that serves the world with some settings."""
    servers = []

    def serve_it(settings="", *, is_demo=False):
        servers.append(opened(world, settings, is_demo=is_demo))
        return servers[-1]

    yield serve_it
    for server in servers:
        server.close()


def browser(server, *, address="198.51.100.7", base="http://centre.example", headers=()):
    async def app(scope, receive, send):
        await server({**scope, "client": (address, 1)} if scope["type"] == "http" else scope, receive, send)

    return TestClient(app, base_url=base, follow_redirects=False, headers={**SAME_SITE, **dict(headers)})


def sign_in(client, user="olga", password=PASSWORD, **more):
    return client.post("/sign-in", data={"user": user, "password": password}, **more)


def code_of(key, later_s=0):
    secret = base64.b32decode(key.replace(" ", ""))
    totp = TOTP(secret, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - what all apps make
    return totp.generate(int(time.time()) + later_s).decode()


def add(server, user="olga", role=Role.OPERATOR, **more):
    """Add a user whose password is hashed once for all tests: hashing takes long."""
    server.access.users.add(user, roles=[role], **more)
    with server.access.database.writing() as db:
        db.execute("UPDATE users SET password = ? WHERE id = ?", (HASHED[0], user))


HASHED = []


@pytest.fixture(autouse=True, scope="module")
def hashed(tmp_path_factory):
    from argon2 import PasswordHasher  # noqa: PLC0415 - quick here, since nobody guesses

    HASHED[:] = [PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)]


# --- cookies and addresses ---


def test_over_https_every_cookie_is_of_this_host_alone(serving):
    server = serving()
    add(server)
    client = browser(server, base="https://centre.example")
    cookies = sign_in(client).headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert cookie.startswith("__Host-volition")
        assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "domain" not in cookie.lower()
    assert client.get("/console").status_code == 200
    planted = browser(server, base="https://centre.example")
    planted.cookies.set("volition", server.access.sessions.begin("olga"))
    assert planted.get("/console").status_code == 303, "a cookie that another host of the domain could plant"


def test_over_http_on_this_machine_signing_in_works(serving):
    server = serving()
    add(server)
    client = browser(server, address="127.0.0.1", base="http://127.0.0.1:8080")
    assert "__Host-" not in str(sign_in(client).headers)
    assert client.get("/console").status_code == 200


def test_no_header_moves_a_guess_to_another_address(serving):
    server = serving(f'[server]\ntrusted_proxies = ["{PROXY}"]\n')
    add(server)
    guessing = browser(server)
    said = [
        sign_in(guessing, password="no", headers={"x-forwarded-for": f"192.0.2.{number}"}).status_code
        for number in range(7)
    ]
    assert said == [403] * 5 + [429] * 2
    assert sign_in(guessing).status_code == 429, "a right password is no way to find out"
    proxied = browser(server, address=PROXY)
    assert sign_in(proxied, headers={"x-forwarded-for": "192.0.2.1, 198.51.100.7"}).status_code == 429
    assert sign_in(proxied, headers={"x-forwarded-for": "198.51.100.7, 192.0.2.1"}).status_code == 303


def test_a_browser_that_is_known_comes_in_whatever_others_do(serving):
    server = serving()
    add(server)
    known, unknown = browser(server), browser(server)
    assert sign_in(known).status_code == 303
    known.post("/sign-out")
    for _ in range(8):
        sign_in(unknown, password="no")
    assert sign_in(unknown).status_code == 429
    assert sign_in(known).status_code == 303


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-host"])
def test_a_click_signs_nobody_in_through_a_proxy(serving, name):
    client = browser(serving(is_demo=True), address="127.0.0.1", base="http://localhost")
    data = {"user": "demo-operator"}
    assert client.post("/sign-in/demo", data=data, headers={name: "127.0.0.1"}).status_code == 403
    assert "demo-operator" not in client.get("/sign-in", headers={name: "127.0.0.1"}).text
    assert client.post("/sign-in/demo", data=data).status_code == 303


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - that it is refused
def test_other_machines_are_served_over_tls_or_behind_a_proxy_alone(world, host):
    with pytest.raises(InvalidInputError, match="--behind-proxy"):
        serve(world, host=host, port=0)


# --- second factors ---


@pytest.fixture
def with_factor(serving):
    """Return a server, and the key of olga's second factor."""
    server = serving()
    add(server)
    key = server.access.factors.prepare("olga")
    server.access.factors.turn_on("olga", code_of(key, -30))
    return server, key


def test_a_password_alone_does_not_let_in_where_there_is_a_second_factor(with_factor):
    server, key = with_factor
    client = browser(server)
    answer = sign_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/code")
    assert client.get("/console").status_code == 303
    assert "six digits" in client.get("/sign-in/code").text
    assert client.post("/sign-in/code", data={"code": "000000"}).status_code == 403
    right = client.post("/sign-in/code", data={"code": code_of(key)})
    assert right.status_code == 303
    assert client.get("/console").status_code == 200
    client.post("/sign-out")
    sign_in(client)
    assert client.post("/sign-in/code", data={"code": code_of(key)}).status_code == 403, "it was used"


def test_without_the_password_a_code_is_of_no_use(with_factor):
    server, key = with_factor
    client = browser(server)
    assert client.get("/sign-in/code").status_code == 403
    assert client.post("/sign-in/code", data={"code": code_of(key)}).status_code == 403
    client.cookies.set("volition-trip", server.access.links.sign("oidc", {"user": "olga", "next": "/"}, lasts_us=10**9))
    assert client.post("/sign-in/code", data={"code": code_of(key)}).status_code == 403


def test_whoever_must_have_a_second_factor_does_nothing_before(serving):
    server = serving('[sign_in]\nsecond_factor = ["operator"]\n')
    add(server)
    client = browser(server)
    assert sign_in(client).status_code == 303
    for path in ("/console", "/console/ledger"):
        assert client.get(path).headers["location"] == "/sign-in/own/second-factor"
    assert client.get("/v1/people").status_code == 403, "nor through the API with the same cookie"
    page = client.get("/sign-in/own/second-factor").text
    key = re.search(r'class="key">([A-Z2-7 ]+)<', page)[1]
    wrong = client.post("/sign-in/own/second-factor", data={"code": "12"})
    assert wrong.headers["location"] == "/sign-in/own/second-factor"
    assert "not right" in client.get("/sign-in/own/second-factor").text
    codes = re.findall(
        r"<li><code>([a-z2-7-]{19})</code>", client.post("/sign-in/own/second-factor", data={"code": code_of(key)}).text
    )
    assert len(codes) == 10
    assert client.get("/console").status_code == 200
    assert "On</span>" in client.get("/sign-in/own").text
    assert client.post("/sign-in/own/second-factor/off").status_code == 403
    other = browser(server)
    sign_in(other)
    assert other.post("/sign-in/code", data={"code": codes[3]}).status_code == 303
    assert other.get("/console").status_code == 200


def test_the_key_of_a_second_factor_is_shown_in_letters_and_as_a_qr_code(serving):
    server = serving()
    add(server)
    client = browser(server)
    sign_in(client)
    page = client.get("/sign-in/own/second-factor").text
    key = re.search(r'class="key">([A-Z2-7 ]+)<', page)[1].replace(" ", "")
    site = server.settings.site
    address = f"otpauth://totp/{quote(site)}:olga?secret={key}&issuer={quote(site)}"
    assert f'href="{escape(address)}"' in page
    [svg] = re.findall(r"<svg.*?</svg>", page[page.index('class="qr" role="img" aria-label="') :], re.DOTALL)[:1]
    drawn = segno.make_qr(address, error="m").svg_inline(dark="#000", light="#fff", omitsize=True, lineclass=None)
    assert re.findall(r' d="([^"]+)"', svg) == re.findall(r' d="([^"]+)"', drawn)
    assert "style" not in svg
    assert browser(server).get("/sign-in/own/second-factor").headers["location"] == "/sign-in"


# --- what cannot be undone asks again ---


def aged(server, client, minutes=11):
    """Let a browser's user have shown who they are so long ago."""
    with server.access.database.writing() as db:
        db.execute("UPDATE sessions SET proved_us = proved_us - ?", (minutes * 60_000_000,))
    return client


def people(server, workspace_person):
    with server.workspaces.borrow() as workspace:
        return workspace.parties.person(workspace_person)


def test_an_erasure_asks_again_who_it_is_and_goes_on_afterwards(serving):
    server = serving()
    add(server, "ada", Role.PERSON, account="acme", person="ada")
    client = browser(server)
    sign_in(client, "ada")
    assert client.get("/requests/erase").status_code == 200, "whoever has just signed in is not asked again"
    aged(server, client)
    for answer in (client.get("/requests/erase"), client.post("/requests/erase", data={"confirm": "yes"})):
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/again?next=/requests/erase")
    assert people(server, "ada").name == "Ada Byron", "nothing was done"
    assert client.post("/sign-in/again", data={"password": "no", "next": "/requests/erase"}).status_code == 403
    assert client.get("/requests/erase").status_code == 303
    answer = client.post("/sign-in/again", data={"password": PASSWORD, "next": "/requests/erase"})
    assert answer.headers["location"] == "/requests/erase"
    assert client.get("/requests/erase").status_code == 200


def test_it_asks_for_the_second_factor_too(with_factor):
    server, key = with_factor
    client = browser(server)
    client.cookies.set("volition", server.access.sessions.begin("olga"))
    aged(server, client)
    assert (
        client.post("/sign-in/own/second-factor/off").headers["location"].startswith("/sign-in/again?next=/sign-in/own")
    )
    assert client.post("/sign-in/again", data={"password": PASSWORD}).status_code == 403
    assert client.post("/sign-in/again", data={"password": PASSWORD, "code": code_of(key)}).status_code == 303
    assert client.post("/sign-in/own/second-factor/off").status_code == 303
    assert not server.access.factors.has("olga")


def test_what_cannot_be_undone_in_the_console_asks_again_on_pages_and_over_the_api(serving):
    server = serving()
    add(server)
    client = browser(server)
    sign_in(client)
    acts = (
        ("/console/forgettings", "/v1/forgettings", {}, "/console/forgettings"),
        ("/console/models/nothing/release", "/v1/models/nothing/release", {}, "/console/models/nothing"),
    )
    for page, route, body, _ in acts:
        assert "/sign-in" not in client.post(page).headers.get("location", ""), "whoever has just signed in may"
        assert client.post(route, json=body).status_code in {202, 400}
    kept = len(server.jobs.all())
    aged(server, client)
    for page, route, body, back in acts:
        assert client.post(page).headers["location"] == f"/sign-in/again?next={back}"
        refused = client.post(route, json=body)
        assert (refused.status_code, "/sign-in/again" in refused.json()["detail"]) == (403, True)
    assert client.post("/v1/terms", json={"profile": "granular"}).status_code == 403
    assert len(server.jobs.all()) == kept, "nothing was done"
    _, secret = server.access.tokens.issue("olga", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    program = browser(server, headers=[("authorization", f"Bearer {secret}")])
    assert program.post("/v1/forgettings").status_code == 202, "a token stands for a program"
    client.post("/sign-in/again", data={"password": PASSWORD})
    assert client.post("/v1/forgettings").status_code == 202


def test_a_guest_opens_their_link_again_and_a_demo_user_clicks(serving):
    server = serving(is_demo=True)
    with server.workspaces.borrow() as workspace:
        guest = workspace.parties.guest("acme", "Zoe Guest").id
    link = server.access.links.make_guest_link(person=guest, account="acme")
    client = browser(server, address="127.0.0.1", base="http://localhost")
    client.post(f"/guest/{link}")
    aged(server, client)
    assert client.get("/requests/erase").status_code == 303
    assert "Open your link again" in client.get("/sign-in/again?next=/requests/erase").text
    assert client.post("/sign-in/again", data={"password": ""}).status_code == 403
    client.post(f"/guest/{link}")
    assert client.get("/requests/erase").status_code == 200
    client.post("/sign-in/demo", data={"user": "demo-person"})
    aged(server, client)
    assert client.get("/requests/erase").status_code == 303
    assert client.post("/sign-in/again", data={"next": "//elsewhere.example"}).headers["location"] == "/"
    assert client.get("/requests/erase").status_code == 200


# --- where one is signed in ---


def test_a_person_sees_where_they_are_signed_in_and_ends_it(serving):
    server = serving()
    add(server)
    add(server, "eva", Role.ENGINEER)
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    here, phone, hers = (browser(server, headers={"user-agent": agent}), browser(server), browser(server))
    for client, user in ((here, "olga"), (phone, "olga"), (hers, "eva")):
        sign_in(client, user)
    page = here.get("/sign-in/own").text
    assert page.count("Firefox on Linux") == 1
    assert "Firefox on Linux</strong> (here)" in page
    [other] = re.findall(r'name="session" value="([0-9a-f]+)"', page)
    hers.post("/sign-in/own/sessions/ending", data={"session": other})
    assert phone.get("/console").status_code == 200, "nobody ends another's"
    here.post("/sign-in/own/sessions/ending", data={"session": other})
    assert phone.get("/console").status_code == 303
    sign_in(phone)
    here.post("/sign-in/own/sessions/ending")
    assert [client.get("/console").status_code for client in (here, phone, hers)] == [200, 303, 200]


@pytest.mark.slow
def test_a_changed_password_ends_tokens_and_other_sessions(serving):
    server = serving()
    add(server)
    here, phone = browser(server), browser(server)
    sign_in(here)
    sign_in(phone)
    _, token = server.access.tokens.issue("olga", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
    new = "another long password"
    for form, told in (
        ({"password": "no", "new": new, "again": new}, "do not go together"),
        ({"password": PASSWORD, "new": new, "again": "other"}, "differ"),
        ({"password": PASSWORD, "new": "password2026", "again": "password2026"}, "easily guessed"),
    ):
        answer = here.post("/sign-in/own/password", data=form)
        assert answer.status_code in {400, 403}
        assert told in answer.text
    assert server.access.tokens.find(token) is not None
    here.post("/sign-in/own/password", data={"password": PASSWORD, "new": new, "again": new})
    assert server.access.tokens.find(token) is None
    assert [client.get("/console").status_code for client in (here, phone)] == [200, 303]
    assert sign_in(phone, password=new).status_code == 303


@pytest.mark.parametrize("path", ["/sign-in/own", "/sign-in/own/second-factor", "/sign-in/again"])
def test_nobody_is_shown_how_others_sign_in(serving, path):
    server = serving()
    client = browser(server)
    assert client.get(path).headers["location"] == "/sign-in"
    for form in ("sessions/ending", "password", "second-factor", "second-factor/off", "codes"):
        assert client.post(f"/sign-in/own/{form}", data={"code": "1"}).status_code == 403
    add(server)
    _, token = server.access.tokens.issue("olga", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    bearer = {"authorization": f"Bearer {token}"}
    assert client.get("/sign-in/own/second-factor", headers=bearer).status_code == 403
    for form, status in (("second-factor/off", 403), ("second-factor", 403), ("codes", 403), ("password", 403)):
        asked = client.post(f"/sign-in/own/{form}", headers=bearer)
        assert asked.status_code == status, "a token does not change how its owner signs in"


def test_no_token_erases_anybody(serving):
    server = serving()
    add(server, "ada", Role.PERSON, account="acme", person="ada")
    _, token = server.access.tokens.issue("ada", name="t", roles=[Role.PERSON], scopes=list(Scope))
    client = browser(server, headers={"authorization": f"Bearer {token}"})
    assert client.get("/requests").status_code == 200
    assert client.post("/requests/erase", data={"confirm": "yes"}).status_code == 403
    assert people(server, "ada").name == "Ada Byron"
