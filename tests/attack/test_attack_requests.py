"""What no form and no client of ours sends: from other sites, with broken heads, twice at once, or as no JSON at all."""

import re

import pytest
from test_attack_tenants import operations, taken

from volition.server.auth import Role
from volition.server.web.app import PAGES

NO = {"party": "person:acme-ann", "answer": "no", "data": ["content"], "purpose": ["train"]}
FROM_ELSEWHERE = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://elsewhere.example"},
    {"origin": "null"},
    {},
]


def changing(besieged):
    """Yield each route that changes something, page or API, with a role that may use it."""
    for page in PAGES:
        if page.method != "GET":
            yield page.method, page.path, min(page.roles or [Role.PERSON])
    for method, path, _, _ in operations(besieged):
        if method != "GET":
            yield method, path, Role.PERSON


@pytest.mark.slow
@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
def test_nothing_is_changed_from_another_site(besieged, headers):
    """Every route that changes something, of the pages and of the API, with a session's cookie, and from elsewhere."""
    before, walked = besieged.head(), 0
    for method, path, role in changing(besieged):
        client = besieged.pages(role)
        del client.headers["sec-fetch-site"]
        answer = client.request(method, re.sub(r"\{[^}]+\}", "x", path), headers=headers, data={"answer": "no"})
        assert answer.status_code == 403, (method, path)
        assert "another site" in answer.text, (method, path)
        walked += 1
    assert walked > 50
    assert besieged.head() == before


@pytest.mark.slow
def test_a_header_that_names_somebody_never_falls_back_to_the_cookie(besieged):
    client = besieged.pages(Role.PERSON)
    for method, path, _ in changing(besieged):
        address = re.sub(r"\{[^}]+\}", "x", path)
        for said in ("Bearer wrong", "Basic YTpi", ""):
            assert client.request(method, address, headers={"authorization": said}).status_code == 401, path


def test_a_method_cannot_be_changed_by_a_header_or_a_field(besieged):
    client, before = besieged.pages(Role.PERSON), besieged.head()
    for name in ("x-http-method-override", "x-method-override", "_method"):
        client.get("/settings/train-search", headers={name: "POST"}, params={name: "POST", "answer": "no"})
    assert besieged.head() == before


# --- documents that are none ---


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"party": NaN}',
        b'{"party": 1e999}',
        b'{"party": ' + b"9" * 5000 + b"}",
        b'{"party": "\\ud800", "answer": "no", "data": ["content"], "purpose": ["train"]}',
        b'{"party": "person:acme-ann\\u0000", "answer": "no", "data": ["content"], "purpose": ["train"]}',
        b"\xff\xfe{\x00}\x00",
        b"\xed\xa0\x80",
    ],
    ids=lambda body: body[:14].decode("latin-1"),
)
def test_what_is_no_document_is_the_callers_mistake(besieged, body):
    client, before = besieged.api(Role.OPERATOR), besieged.head()
    for path in ("/v1/decisions", "/v1/may", "/v1/people", "/v1/sharings", "/v1/consistency", "/v1/logs", "/v1/traces"):
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500 or (path in {"/v1/logs", "/v1/traces"} and answer.status_code == 200), (
            path
        )
        assert answer.headers["content-type"] in {"application/problem+json", "application/json"}, path
    assert besieged.head() == before


def test_of_a_key_that_stands_twice_the_party_that_is_judged_is_the_one_that_is_used(besieged):
    """Who may answer for whom is asked of the same reading of the document by which the answer is entered."""
    client = besieged.api(Role.PERSON)
    rest = '"answer": "no", "data": ["content"], "purpose": ["train"]'
    for first, last in (("person:acme-ann", "person:brill-ann"), ("person:brill-ann", "person:acme-ann")):
        body = f'{{"party": "{first}", "party": "{last}", {rest}}}'
        answer = client.post("/v1/decisions", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == (201 if last == "person:acme-ann" else 403)
        assert "brill" not in answer.text or answer.status_code == 403


def test_thousands_of_fields_and_names_are_one_request(besieged):
    client = besieged.pages(Role.PERSON)
    many = "&".join(f"a{number}=1" for number in range(5000))
    assert client.get(f"/settings?{many[:9000]}").status_code == 200
    assert client.post("/settings/train-search", content=many, headers=dict(FORM)).status_code in {303, 400, 413}
    assert client.get("/settings", headers={"cookie": "; ".join(f"a{n}=1" for n in range(2000))}).status_code == 303


FORM = {"content-type": "application/x-www-form-urlencoded"}


# --- addresses, hosts and heads ---


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.toml",
        "/static/%2e%2e/%2e%2e/web.db",
        "/static/..%2f..%2fapp.py",
        "/static/%2fetc/passwd",
        "/verify/..%2f..%2fapp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/console/evidence/..%2f..%2fmaster.key",
        "/console/evidence/%2e%2e",
        "/console/models/..%2f..%2f..",
        "/console/models/x/files/..%2f..%2f..%2fmaster.key",
        "/console/snapshots/..%2f..",
        "/console/snapshots/../manifest",
        "/v1/snapshots/..%2f..",
        "/v1/models/..%2f..%2f..%2f/findings",
        "/v1/runs/..%2f..",
    ],
)
def test_no_address_leads_out_of_a_folder(besieged, path):
    for client in (besieged.pages(Role.OPERATOR), besieged.api(Role.OPERATOR)):
        answer = client.get(path)
        assert answer.status_code in {303, 400, 404, 405}, path
        assert "root:" not in answer.text
        assert str(besieged.folder) not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "//settings",
        "/settings/",
        "/Settings",
        "/./settings",
        "/x/../settings",
        "/settings;x",
        "/%73ettings",
        "/v1//people",
    ],
)
def test_another_spelling_of_an_address_opens_nothing_without_a_sign_in(besieged, path):
    answer = besieged.pages(None).get(f"http://centre.example{path}")
    assert answer.status_code in {303, 307, 401, 404}, path
    assert "acme" not in answer.text


def test_the_host_that_is_asked_for_decides_nothing(besieged):
    """Nothing that is answered is built from `Host` or a proxy's headers: neither a link nor where somebody is sent."""
    client = besieged.pages(Role.PERSON)
    for name in ("host", "x-forwarded-host", "x-original-url", "x-rewrite-url", "forwarded"):
        for path in ("/", "/settings", "/settings/", "/sign-in", "/requests", "/nowhere"):
            answer = client.get(path, headers={name: "elsewhere.example"})
            assert "elsewhere.example" not in answer.text, (name, path)
            assert "elsewhere.example" not in answer.headers.get("location", ""), (name, path)


@pytest.mark.parametrize("role", list(Role))
def test_no_private_page_is_kept_by_a_cache(besieged, role):
    client = besieged.pages(role)
    for page in PAGES:
        if page.method == "GET" and page.roles is not None and role in page.roles and "{" not in page.path:
            assert client.get(page.path).headers["cache-control"] == "no-store", page.path


@pytest.mark.parametrize(
    "path",
    ["//elsewhere.example", "///elsewhere.example", "/\\elsewhere.example", "https:elsewhere.example", "\\\\elsewhere.example",
     "/%09/elsewhere.example", "/\t/elsewhere.example", " //elsewhere.example", "javascript:alert(1)", "/x\r\nset-cookie: a=b", "/.//elsewhere.example"],
)  # fmt: skip
def test_nobody_is_led_elsewhere_after_signing_in(besieged, path):
    answer = besieged.pages(None).get("/sign-in", params={"next": path})
    [kept] = re.findall(r'name="next" value="([^"]*)"', answer.text) or ["/"]
    assert re.match(r"/(?![/\\\t])", kept), kept
    assert not re.search(r"[\x00-\x1f\\]", kept), kept


def test_no_route_takes_an_address_to_connect_to(besieged):
    """Whom the server connects to is in `server.toml` and `volition.toml` alone (server-side request forgery, SSRF)."""
    taken_by_routes = {name for _, path, query, body in operations(besieged) for name in (path, *query, *body)}
    taken_by_pages = {name for page in PAGES for name in taken(page)}
    for name in taken_by_routes | taken_by_pages:
        assert not re.search("url|uri|host|address|endpoint|callback|webhook(?!s/zoom)|proxy|image|href", name), name
