"""Every route names the roles it needs and is held to it; every page renders one dataclass, and nothing but it."""

import dataclasses
import inspect
import re
import tomllib
import typing
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import jinja2
import pytest
from jinja2 import nodes
from starlette.routing import Mount
from starlette.testclient import TestClient

from volition.consent.permits import Reason
from volition.consent.terms.model import CATEGORIES, PURPOSES
from volition.learning.families.installed import family_words, installed_families
from volition.server import web
from volition.server.app import Server
from volition.server.auth import Access, Role
from volition.server.web import labels as words
from volition.server.web.app import MODULES, PAGES, application
from volition.server.web.page import Download, Live, Plain, Playback, Redirect

FOLDER = Path(web.__file__).parent
TEMPLATES = FOLDER / "templates"
NOBODY = None
STRANGER = "stranger"  # a person of another account
PRIVATE = ("Ada Byron", "Bo Berg", "The launch moves", "brochure")  # what is acme's alone
THERE = {"meeting:path": "standup", "channel:path": "general", "seq": "1", "version": "2025-01"}
ENVIRONMENT = jinja2.Environment(autoescape=True)


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    yield server
    server.close()


def coming_from(server, address):
    """Return the server as it sees whoever comes from an address."""

    async def app(scope, receive, send):
        await server({**scope, "client": address} if scope["type"] == "http" else scope, receive, send)

    return app


def visitor(server, role, *, address=("testclient", 50000)):
    """Return a client that has come in as a role, or as nobody."""
    app = coming_from(server, address)
    client = TestClient(app, base_url="http://centre.example", follow_redirects=False)
    if role is not None:
        client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
    return client


def filled(path):
    """Return a path with its braces filled by something, where possible by something that is there."""
    return re.sub(r"\{([^}]*)\}", lambda braces: THERE.get(braces[1], "something"), path)


def test_the_walk_leaves_no_route_out(server):
    parts = {name: getattr(server, name) for name in ("access", "shown", "outbox", "lanes", "followers", "jobs")}
    routes = application(**parts, settings=server.settings).routes
    walked = {(page.method, page.path) for page in PAGES}
    assert {route.path for route in routes if isinstance(route, Mount)} == {"/static", "/verify"}
    there = [route for route in routes if not isinstance(route, Mount)]
    assert {(method, route.path) for route in there for method in route.methods - {"HEAD"}} == walked


def test_a_guest_opens_what_is_about_themselves_and_nothing_else():
    areas = {page.path.split("/")[1] for page in PAGES if page.roles is not None and Role.GUEST in page.roles}
    assert areas == {
        "guest",
        "settings",
        "holdings",
        "looked",
        "receipts",
        "requests",
        "terms",
        "notices",
        "exclusions",
    }


@pytest.mark.parametrize("role", [NOBODY, *Role, STRANGER])
def test_all_routes_by_all_roles(server, role):
    """Whoever has none of the roles is sent to sign in, or told that it is not for them; the others never are."""
    client = visitor(server, role)
    for page in PAGES:
        if page.path in {"/sign-out", "/guest/ending"}:
            continue  # it would end the walk
        headers = {"sec-fetch-site": "same-origin"}
        answer = client.request(page.method, filled(page.path), headers=headers)
        may = page.roles is None or (Role.PERSON if role == STRANGER else role) in page.roles
        if role in {NOBODY, Role.GUEST, STRANGER}:
            assert [words for words in PRIVATE if words in answer.text] == [], page.path
        told = f"{page.method} {page.path} as {role}: {answer.status_code}"
        if may:
            assert answer.status_code not in {401, 500}, told
            assert "It is for:" not in answer.text, told
            assert page.roles is None or not answer.headers.get("location", "").startswith("/sign-in"), told
        elif role is NOBODY:
            assert (answer.status_code, answer.headers["location"][:13]) == (303, "/sign-in?next"), told
        else:
            assert answer.status_code == 403, told
            assert "It is for:" in answer.text, told


def test_every_answer_carries_the_headers_that_keep_strangers_out(server):
    for path in ("/sign-in", "/settings", "/nowhere", "/static/app.css", "/verify/", "/verify/page.js", "/healthz"):
        headers = visitor(server, Role.PERSON).get(path).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == ("no-cache" if path.startswith(("/static", "/verify")) else "no-store")


def test_a_header_never_falls_back_to_the_cookie(server):
    client = visitor(server, Role.PERSON)
    assert client.get("/settings").status_code == 200
    for header in ("Bearer wrong", "Basic YTpi", "", "Bearer"):
        assert client.get("/settings", headers={"authorization": header}).status_code == 401


@pytest.mark.slow
def test_too_many_tries_to_sign_in_are_stopped(server):
    headers = {"sec-fetch-site": "same-origin"}
    client = visitor(server, NOBODY, address=("203.0.113.9", 1))
    asked = [client.post("/sign-in", headers=headers, data={"user": "guessed", "password": "no"}) for _ in range(12)]
    assert {answer.status_code for answer in asked} == {403, 429}
    assert asked[-1].status_code == 429


@pytest.mark.slow
@pytest.mark.parametrize("path", ["//elsewhere.example", "https://elsewhere.example/", "/\\elsewhere.example", "\nx"])
def test_signing_in_leads_to_a_page_of_ours_alone(server, path):
    server.access.users.add("olga", roles=[Role.OPERATOR], password="correct horse battery")
    form = {"user": "olga", "password": "correct horse battery", "next": path}
    client = visitor(server, NOBODY, address=("203.0.113.10", 1))
    answer = client.post("/sign-in", headers={"sec-fetch-site": "same-origin"}, data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize(
    ("client", "host"), [("203.0.113.5", "localhost"), ("127.0.0.1", "rebound.example"), ("203.0.113.5", "x.example")]
)
def test_a_click_signs_nobody_in_from_elsewhere(server, client, host):
    visiting = TestClient(coming_from(server, (client, 1)), base_url=f"http://{host}", follow_redirects=False)
    headers = {"sec-fetch-site": "same-origin"}
    answer = visiting.post("/sign-in/demo", headers=headers, data={"user": "demo-operator"})
    assert answer.status_code == 403
    assert "demo-operator" not in visiting.get("/sign-in").text


def test_a_click_signs_nobody_in_where_it_is_no_demo(world):
    server = Server(world)
    try:
        visiting = TestClient(
            coming_from(server, ("127.0.0.1", 1)), base_url="http://localhost", follow_redirects=False
        )
        headers = {"sec-fetch-site": "same-origin"}
        assert visiting.post("/sign-in/demo", headers=headers, data={"user": "demo-operator"}).status_code == 403
    finally:
        server.close()


# --- how pages are made ---


def views_of(page):
    """Return the dataclasses that a page may answer with."""
    returned = typing.get_type_hints(page.handler)["return"]
    return set(typing.get_args(returned) or [returned]) - {Redirect, Download, Playback, Live, Plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.method} {page.path}")
def test_a_page_returns_one_frozen_dataclass(page):
    views = views_of(page)
    assert len(views) == (page.template is not None), "a template renders one dataclass"
    for view in views:
        assert dataclasses.is_dataclass(view)
        assert view.__dataclass_params__.frozen
    assert len(inspect.signature(page.handler).parameters) == 1


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.template], ids=lambda page: f"{page.method} {page.path}"
)
def test_a_template_shows_every_field_of_its_dataclass_and_no_other(page):
    [view] = views_of(page)
    asked = set()
    for name in (page.template, "base.html"):
        tree = ENVIRONMENT.parse((TEMPLATES / name).read_text(encoding="utf-8"))
        asked |= {
            node.attr
            for node in tree.find_all(nodes.Getattr)
            if isinstance(node.node, nodes.Name) and node.node.name == "page"
        }
    assert asked == {field.name for field in dataclasses.fields(view)} - {"status"}


def test_the_table_of_pages_is_the_pages_there_are():
    text = (FOLDER.parents[3] / "docs" / "web.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(/[^`]*)` \| ([^|]+) \| [^|]+ \| `([\w.]+)` \|$", text, re.MULTILINE)
    told = {path: (who, module) for path, who, module in rows}
    order = ["person", "guest", "administrator", "engineer", "auditor", "operator"]
    assert told == {
        page.path.replace(":path", ""): (
            "everybody" if page.roles is None else ", ".join(sorted(page.roles, key=order.index)),
            page.handler.__module__.removeprefix("volition.server.web."),
        )
        for page in PAGES
        if page.method == "GET"
    }


def test_every_module_of_pages_is_served_and_no_two_pages_have_one_address():
    there = {path for path in FOLDER.rglob("*.py") if "\npages = Pages()" in path.read_text(encoding="utf-8")}
    assert there == {Path(module.__file__) for module in MODULES}
    addresses = [(page.method, page.path) for page in PAGES]
    assert len(addresses) == len(set(addresses))


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_hold_no_script_or_style_of_their_own_and_name_no_host(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on", text)
    assert not re.search(r"(src|href|action)=\"(https?:)?//", text)


def test_what_is_not_ours_is_what_it_was_with_its_licence():
    vendor = FOLDER / "static" / "vendor"
    told = tomllib.loads((vendor / "vendored.toml").read_text(encoding="utf-8"))["part"]
    named = (
        {"vendored.toml"} | {part["licence_file"] for part in told} | {name for part in told for name in part["sha256"]}
    )
    assert {path.name for path in vendor.iterdir()} == named
    for part in told:
        for name, digest in part["sha256"].items():
            assert sha256((vendor / name).read_bytes()).hexdigest() == digest, name


def test_everything_has_a_name_on_pages():
    assert all(words.purpose(name).title != name for name in PURPOSES)
    assert all(words.category(name) != name for name in CATEGORIES)
    assert set(Reason) == set(words.REASON)
    assert set(Role) == set(words.ROLE)
    for name, spec in installed_families().items():
        assert family_words(name) == spec.words
    families = list(installed_families().values())
    for spec in families:  # several may share a purpose, which is then called as one of them is
        sharing = [one.words for one in families if one.purpose == spec.purpose]
        assert words.purpose(spec.purpose).title in {one.training for one in sharing}
        sharing = [one.words for one in families if one.feature == spec.feature]
        assert words.purpose(spec.feature).title in {one.title for one in sharing}
    assert family_words("weather").title == "weather"  # of a package that was uninstalled


def test_the_file_of_users_is_for_its_owner_alone(world):
    Access.open(world).close()
    assert (world / "web.db").stat().st_mode & 0o077 == 0


NO_NUMBERS = [
    "9" * 5000,
    "²",
    "٣",
    "-1",
    "1.0",
    "",
    " 1",
    "\x00",
]  # Python reads some of them as digits, and raises for others
NUMBERED = [  # who, and what takes a number from them: a field of a form, a name of a query, or a part of the path
    (Role.PERSON, "POST", "/settings/train-search", "undo"),
    (Role.PERSON, "POST", "/settings/refuse/everything", "undo"),
    (Role.GUEST, "POST", "/guest/refuse/everything", "undo"),
    (Role.ADMINISTRATOR, "POST", "/account/switches/train-search", "undo"),
    (Role.ADMINISTRATOR, "POST", "/account/switches/train-search/lock", "undo"),
    (Role.ADMINISTRATOR, "POST", "/account/limits", "undo"),
    (Role.ADMINISTRATOR, "POST", "/account/refuse/everything", "undo"),
    (Role.PERSON, "GET", "/receipts", "before"),
    (Role.OPERATOR, "GET", "/console/ledger", "before"),
    (Role.OPERATOR, "GET", "/console/ledger/checkpoint", "size"),
    (Role.OPERATOR, "GET", "/console/ledger/consistency", "old"),
    (Role.PERSON, "GET", "/receipts/{}", None),
    (Role.OPERATOR, "GET", "/console/ledger/{}", None),
]


@pytest.mark.slow
@pytest.mark.parametrize(("role", "method", "path", "name"), NUMBERED)
def test_what_is_no_number_is_the_callers_mistake_wherever_one_is_taken(server, role, method, path, name):
    client = visitor(server, role)
    client.headers["sec-fetch-site"] = "same-origin"
    for text in NO_NUMBERS:
        sent = {"data" if method == "POST" else "params": {name: text}} if name else {}
        address = path if name else path.format(quote(text, safe=""))
        if name or text:
            answer = client.request(method, address, **sent)
            assert answer.status_code in {400, 404}, (address, text[:9], answer.status_code)


def test_a_length_that_is_no_number_is_refused_before_any_route(server):
    for text in ("9" * 5000, "-1", "one"):
        headers = {"content-length": text, "sec-fetch-site": "same-origin"}
        assert visitor(server, None).post("/sign-in", headers=headers).status_code == 400
