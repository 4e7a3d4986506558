"""Routes by all roles, on what is one's own, another tenant's, or nowhere: the last two answer alike, byte for byte.

The routes, and the names of what they take, come from the API's own OpenAPI document and from the pages' own table and
source. A name that is in none of the tables below fails here, so a new route is walked or judged.
"""

import inspect
import io
import json
import re
import sys
import zipfile
from urllib.parse import quote

import pytest

from volition.server.auth import Role
from volition.server.web.app import PAGES

BOUND = [Role.PERSON, Role.GUEST, Role.ADMINISTRATOR]
"""Roles that belong to a tenant."""

OF_A_TENANT = {
    "account": "account",
    "person": "person",
    "party": "party",
    "people": "people",
    "name": "conversation",
    "conversation": "conversation",
    "meeting": "conversation",
    "channel": "channel",
    "record": "record",
    "line": "line",
    "undo": "entry",
    "entry": "entry",
    "session": "session",
    "speaker": "pseudonym",
}
"""Names of what a route takes that may be another tenant's, and which kind of object each is."""

PUBLIC = {"seq"}
"""That an entry of that number exists is no secret, the checkpoint says so; what it says is (`test_entry_readers.py`)."""

SECRETS = {"link"}
"""Whoever has it may use it, whoever they are: a signed address (`test_auth.py`)."""

OF_STAFF = {"snapshot", "run", "model", "heard", "token"}
"""What belongs to the service."""

WORDS = frozenset(
    "accounts after again aliases anchor answer back before category checkpoint claim code collected confirm covers cursor data decisions do dry_run emails "  # noqa: SIM905
    "error excluded family for group hold keep kind learn limit limited lock logout_token minutes new next old once origin password profile "
    "pressed purpose q query questions receives region shared size source state switch take taken terms text to until use user version wait with_account"
    .split()
)  # fmt: skip
"""Names that take no object: words of the program, figures, texts, secrets."""

GOOD = {
    "answer": "no",
    "category": "content/chat",
    "checkpoint": "x",
    "data": ["content"],
    "family": "search",
    "group": "some",
    "kind": "meeting",
    "name": "acme-talk",
    "party": "person:acme-ann",
    "profile": "granular",
    "purpose": ["train"],
}
"""A value for what a document of the API must have."""

FORM = {"answer": "no", "kind": "meeting", "use": "every", "limit": "on", "group": "some", "switch": "train-search"}
DOES = ("open", "close", "exclude", "include")


@pytest.fixture(scope="module")
def objects(besieged):
    """Return, for each kind of object, the foreign one and one that is nowhere, of the same form."""
    foreign = {
        "account": "brill",
        "person": "brill-ann",
        "party": "person:brill-ann",
        "people": "brill-bob",
        "conversation": "brill-talk",
        "channel": "brill-general",
    }
    absent = {kind: name.replace("brill", "brall") for kind, name in foreign.items()}
    with besieged.server.workspaces.borrow() as workspace:
        export = io.BytesIO()
        workspace.rights.export("brill-ann", export)
        record = json.loads(zipfile.ZipFile(export).read("records.json"))[0]["record_id"]
        line = workspace.accesses.of("brill-ann")[-1].id
        pseudonym = workspace.parties.person("brill-ann").pseudonym
        seq = workspace.consent.answers("brill-ann")[0].seq
        size = workspace.ledger.size
    assert line
    foreign |= {"record": record, "line": line, "entry": str(seq), "pseudonym": pseudonym}
    absent |= {"record": "0" * len(record), "line": f"{line[:-1]}9", "entry": str(size + 999)}
    absent["pseudonym"] = "0" * len(pseudonym)
    access = besieged.server.access
    access.sessions.begin("the-stranger")
    [session, *_] = access.sessions.all("the-stranger")
    foreign["session"], absent["session"] = session.id, "0" * len(session.id)
    return {kind: (foreign[kind], absent[kind]) for kind in foreign}


def operations(besieged):
    """Yield each operation of the API with the names in its path, its query and its document."""
    document = besieged.api(Role.OPERATOR).get("/v1/openapi.json").json()

    def names(schema):
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        inner = [name for one in schema.get("oneOf", ()) for name in names(one)]
        return sorted({*inner, *schema.get("properties", {})})

    for path, told in document["paths"].items():
        for method, operation in told.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            there = operation.get("parameters", [])
            query = [one["name"] for one in there if one["in"] == "query"]
            yield method.upper(), path, query, names(content.get("schema", {}))


def taken(page):
    """Return the names that the module of a page reads of a form or an address, and those in its path."""
    source = inspect.getsource(sys.modules[page.handler.__module__])
    read = re.findall(r"""(?:query|form)(?:\.get\(|\[)"(\w+)\"""", source)
    in_path = re.findall(r"\{(\w+)", page.path)
    return sorted({*read, *in_path, *(["undo"] if "visit.undone" in source else [])})


@pytest.mark.slow
def test_every_name_that_a_route_takes_is_judged(besieged):
    known = {*OF_A_TENANT, *PUBLIC, *SECRETS, *OF_STAFF, *WORDS}
    asked = set()
    for _, path, query, body in operations(besieged):
        asked |= {*re.findall(r"\{(\w+)", path), *query, *body}
    for page in PAGES:
        asked |= set(taken(page))
    assert asked - known == set()


def masked(text, value):
    """Return what an answer says, whatever the object in it is called and whenever it is given."""
    forms = sorted({value, quote(value, safe=""), value.removeprefix("person:")}, key=len, reverse=True)
    text = re.sub("|".join(map(re.escape, forms)), "OBJECT", text)
    return re.sub(r"\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d(\.\d+)?)?", "TIME", text)


def told(client, method, path, value, **sent):
    """Send a request, and return what is answered, the page included to which it leads."""
    answer = client.request(method, path, **sent)
    assert answer.status_code < 500, (method, path, sent, answer.text)
    leads_to = answer.headers.get("location", "")
    then = client.get(leads_to).text if answer.status_code == 303 and leads_to.startswith("/") else ""
    kind = answer.headers.get("content-type", ""), answer.headers.get("content-disposition", "")
    text = "" if kind[0] == "application/zip" else answer.text  # it says when it was packed
    return answer.status_code, *(masked(one, value) for one in (leads_to, *kind, text, then))


def api_requests(besieged, role, objects):
    """Yield, for each operation and each object that it takes, the two requests to compare."""
    own = {"person": besieged.guests["acme"] if role is Role.GUEST else "acme-ann", "account": "acme"}
    for method, path, query, body in operations(besieged):
        in_path = re.findall(r"\{(\w+)", path)
        for name in [one for one in (*in_path, *query, *body) if one in OF_A_TENANT]:
            pair = []
            for value in objects[OF_A_TENANT[name]]:
                values = {**own, "line": "2025-01-01.0", "seq": "0", **({name: value} if name in in_path else {})}
                address = re.sub(r"\{(\w+)\}", lambda one, values=values: quote(values.get(one[1], "x"), safe=""), path)
                sent = {one: GOOD[one] for one in body if one in GOOD and one != name}
                sent |= {} if name not in body else {name: [value] if name == "people" else value}
                params = {one: GOOD[one] for one in query if one in GOOD} | ({name: value} if name in query else {})
                pair.append((method, address, value, {"params": params} | ({"json": sent} if body else {})))
            yield pair


@pytest.mark.slow
@pytest.mark.parametrize("role", BOUND)
def test_the_api_says_of_another_tenants_object_what_it_says_of_none(besieged, objects, role):
    client, compared = besieged.api(role), 0
    for foreign, absent in api_requests(besieged, role, objects):
        first = told(client, *foreign[:3], **foreign[3])
        assert first == told(client, *absent[:3], **absent[3]), foreign[:2]
        assert "brill" not in "".join(first[1:]), foreign[:2]
        compared += 1
    assert compared > 20


def test_ones_own_is_answered(besieged):
    """So that what is compared above and below is a refusal of another's, and not of everything."""
    for path in ("/meetings/acme-talk", "/chat/acme-general", "/receipts"):
        assert besieged.pages(Role.PERSON).get(path).status_code == 200, path
    for path in (
        "/v1/people/acme-ann/holdings",
        "/v1/readers?kind=meeting&name=acme-talk",
        "/v1/weigh?party=person:acme-ann",
    ):
        assert besieged.api(Role.PERSON).get(path).status_code == 200, path


def page_requests(besieged, role, objects):
    """Yield, for each page of a role and each object that it may take, the two requests to compare."""
    for page in PAGES:
        if page.path in {"/sign-out", "/guest/ending", "/sign-in"} or not (page.roles is None or role in page.roles):
            continue
        for name in [one for one in taken(page) if one in OF_A_TENANT]:
            for does in DOES if "do" in taken(page) and page.method == "POST" else ("",):
                pair = []
                for value in objects[OF_A_TENANT[name]]:
                    in_path = {"line": "2025-01-01.0", "seq": "0", "switch": "train-search", name: value}
                    address = re.sub(
                        r"\{(\w+)[^}]*\}", lambda one, known=in_path: quote(known.get(one[1], "x"), safe=""), page.path
                    )
                    sent = {**FORM, "do": does, name: value}
                    way = "data" if page.method == "POST" else "params"
                    pair.append((page.method, address, value, {way: sent}))
                yield pair


@pytest.mark.slow
@pytest.mark.parametrize("role", BOUND)
def test_a_page_says_of_another_tenants_object_what_it_says_of_none(besieged, objects, role):
    client, compared = besieged.pages(role), 0
    for foreign, absent in page_requests(besieged, role, objects):
        first = told(client, *foreign[:3], **foreign[3])
        assert first == told(client, *absent[:3], **absent[3]), (foreign, first)
        assert "brill" not in "".join(first[1:]), foreign[:2]
        compared += 1
    assert compared > 10


@pytest.mark.slow
def test_nothing_of_all_this_reached_the_other_tenant(besieged, objects):
    """What the three roles of one tenant tried above, and once more here, is in no entry of the other's."""
    with besieged.server.workspaces.borrow() as workspace:
        before = workspace.ledger.size
        people = ("brill-ann", "brill-bob", besieged.guests["brill"])
        names = ["brill", *(one for person in people for one in workspace.parties.person(person).pseudonyms)]
    for role in BOUND:
        for foreign, _ in api_requests(besieged, role, objects):
            told(besieged.api(role), *foreign[:3], **foreign[3])
    with besieged.server.workspaces.borrow() as workspace:
        entries = workspace.ledger.entries(before, workspace.ledger.size)
        assert [entry.body for entry in entries if any(name in json.dumps(entry.body) for name in names)] == []


@pytest.mark.slow
@pytest.mark.parametrize("role", [None, *Role])
def test_what_is_nowhere_is_no_fault_of_the_server_for_anybody(besieged, objects, role):
    """Every operation and every page by seven roles, nobody included, with objects that are nowhere."""
    client = besieged.api(role)
    for _, absent in api_requests(besieged, role, objects):
        status, *_ = told(client, *absent[:3], **absent[3])
        assert (status == 401) == (role is None), absent[:2]
