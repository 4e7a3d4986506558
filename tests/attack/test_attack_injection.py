"""One hostile text in every name, text and field: on no page of any role does it become markup, script or a header."""

import json
import re
import shutil
import zipfile
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from besieged import Besieged
from test_attack_tenants import operations, taken

from volition.records.audience import ConversationKind
from volition.server.auth import Access, Role
from volition.server.web.app import PAGES
from volition.server.web.markdown import to_html
from volition.workspace import Workspace
from volition.workspace.mail_settings import is_address

FACTOR = 31337
TURNED = "\u202ecanary\u2066"
HOSTILE = (
    "\"'><img src=x onerror=alert(1) class=canary><svg onload=alert(1)></textarea></title></script>"
    f"<script>alert('canary')</script>{{{{ {FACTOR}*{FACTOR} }}}}${{{FACTOR}*{FACTOR}}}<%= {FACTOR}*{FACTOR} %>"
    f"'; DROP TABLE people; --{TURNED}"
)
"""What would run as HTML, as a template, as SQL, and turn around what follows it."""

ENDS_THE_WALK = {
    "/sign-out",
    "/guest/ending",
    "/requests/erase",
    "/sign-in/own/password",
    "/sign-in/own/second-factor/off",
}
SHOWN_NAME = HOSTILE[:190]
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


class Marks(HTMLParser):
    """Notes what of a page would run, or leads elsewhere."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.says = ""

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        if "canary" in (told.get("class") or "") or (tag == "script" and "src" not in told) or tag == "svg-canary":
            self.found.append((tag, attributes))
        for name, value in attributes:
            leads = (value or "").strip().lower()
            is_link = name in {"href", "src", "action", "formaction"}
            if name.startswith("on") or (is_link and re.match(r"(javascript|data|vbscript):|//|\\\\", leads)):
                self.found.append((tag, name, value))

    def handle_data(self, data):
        self.says += data


def check(answer, what):
    """Check one answer; return whether the hostile text is in it, shown as text."""
    assert answer.status_code < 500, (what, answer.text[:500])
    for name, value in answer.headers.items():
        assert not re.search(r"[\x00-\x08\x0a-\x1f]", value), (what, name)
    if not answer.headers.get("content-type", "").startswith("text/html"):
        assert answer.headers["x-content-type-options"] == "nosniff", what
        return False
    marks = Marks()
    marks.feed(answer.text)
    assert marks.found == [], what
    assert str(FACTOR * FACTOR) not in answer.text, what
    assert not TURNING.search(marks.says), what
    return "canary" in marks.says


def usage(item):
    told = {"user.id": "acme-ann", "volition.item": item, "volition.category": "service/usage"}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in told.items()]
    record = {"timeUnixNano": str(1_750_000_000 * 10**9), "eventName": "item.opened", "attributes": attributes}
    return json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [record]}]}]})


def poison(workspace, folder):
    """Put the hostile text wherever a name or a text comes in from outside."""
    workspace.people.add_account("canary", SHOWN_NAME, region="US")
    workspace.people.add_person("canary-dee", account="acme", name=SHOWN_NAME, aliases=[SHOWN_NAME])
    user = {"id": "U1", "name": HOSTILE, "real_name": "Ann of acme", "profile": {"email": "ann@acme.example"}}
    other = {"id": "U2", "name": "x", "real_name": HOSTILE}
    said = [
        {"type": "message", "user": one, "text": HOSTILE, "ts": f"17488548{n}0.000100"}
        for n, one in enumerate(["U1", "U2"])
    ]
    with zipfile.ZipFile(folder / "hostile.zip", "w") as export:
        for name, told in (
            ("users", [user, other]),
            ("channels", [{"id": "C2", "name": "canary", "topic": {"value": HOSTILE}}]),
        ):
            export.writestr(f"{name}.json", json.dumps(told))
        export.writestr("canary/2025-06-02.json", json.dumps(said))
    workspace.records.collect_slack(folder / "hostile.zip", account="acme")
    talk = folder / "talk.vtt"
    text, guest = (one.replace("<", "&lt;").replace(">", "&gt;") for one in (HOSTILE, HOSTILE[:76]))
    turns = f"00:01.000 --> 00:04.000\n<v Ann of acme>We decided {text}</v>\n\n00:05.000 --> 00:09.000\n<v {guest}>Who?</v>\n"
    talk.write_text(f"WEBVTT\n\n{turns}")
    started = datetime(2025, 6, 4, 9, tzinfo=UTC)
    workspace.records.collect_webvtt(talk, account="acme", started=started, meeting=HOSTILE)
    (folder / "usage.jsonl").write_text(usage(HOSTILE))
    workspace.records.collect_otlp(folder / "usage.jsonl", account="acme")
    workspace.consent.limit("acme", switch="train-search", group=HOSTILE[:80], people=["acme-bob"])
    workspace.exclusions.exclude(HOSTILE, account="acme", by="acme-ann", purpose=["train"])
    workspace.audiences.share(
        HOSTILE, kind=ConversationKind.MEETING, account="acme", people=["acme-bob"], by="acme-ann"
    )


@pytest.fixture(scope="module")
def poisoned(stronghold, tmp_path_factory):
    """Serve a workspace in which every name and text is hostile."""
    folder = shutil.copytree(stronghold, tmp_path_factory.mktemp("poisoned") / "workspace")
    with Workspace(folder) as workspace:
        poison(workspace, folder.parent)
    access = Access.open(folder)
    for known in access.users.all():
        more = {"roles": sorted(known.roles), "account": known.account, "person": known.person}
        access.users.add(f"the-hostile-{known.user.removeprefix('the-')}", name=SHOWN_NAME, **more)
    access.close()
    one = Besieged(folder)
    one.run = one.server.jobs.start("train", "recommend", by=HOSTILE).id
    with one.server.workspaces.borrow() as workspace:
        one.terms = workspace.terms.published()[-1].id
    yield one
    one.server.close()


def addresses(page, one, *, value):
    """Return where a page is: with what is there in its path, and with a hostile text."""
    there = {
        "snapshot": one.snapshot,
        "seq": "1",
        "meeting": quote(HOSTILE, safe=""),
        "channel": "canary",
        "switch": "train-search",
        "version": one.terms,
        "run": one.run,
    }
    for known in (there, {}):
        yield re.sub(r"\{(\w+)[^}]*\}", lambda name, known=known: known.get(name[1], quote(value, safe="")), page.path)


@pytest.mark.slow
@pytest.mark.parametrize("role", [None, *Role])
def test_no_page_shows_what_was_typed_or_collected_as_anything_but_text(poisoned, role):
    """Every form of a role is sent the hostile text in every field, then every page of it is looked at."""
    client = poisoned.pages(None if role is None else f"hostile-{role}")
    mine = [page for page in PAGES if page.path not in ENDS_THE_WALK and (page.roles is None or role in page.roles)]
    shown = 0
    for page in sorted(mine, key=lambda page: page.method, reverse=True):
        way = "data" if page.method == "POST" else "params"
        for address in dict.fromkeys(addresses(page, poisoned, value=HOSTILE)):
            for kept in (set(), {"do", "kind", "name", "answer", "limit"}):
                sent = dict.fromkeys(taken(page), HOSTILE) | {name: KEPT[name] for name in kept & set(taken(page))}
                answer = client.request(page.method, address, **{way: sent})
                shown += check(answer, (page.method, page.path, sent.keys()))
                leads_to = answer.headers.get("location", "")
                assert not leads_to or re.match(r"/(?![/\\])", leads_to), (page.path, leads_to)
                if answer.status_code == 303:
                    shown += check(client.get(leads_to), (page.path, leads_to))
    assert shown >= (0 if role is None else 3)


KEPT = {"do": "open", "kind": "meeting", "name": HOSTILE, "answer": "no", "limit": "on"}


@pytest.mark.slow
@pytest.mark.parametrize("role", list(Role))
def test_no_route_of_the_api_fails_or_answers_with_a_page(poisoned, role):
    client = poisoned.api(role)
    for method, path, query, body in operations(poisoned):
        address = re.sub(r"\{\w+\}", quote(HOSTILE[:190], safe=""), path)
        sent = {"json": dict.fromkeys(body, HOSTILE)} if body else {}
        answer = client.request(method, address, params=dict.fromkeys(query, HOSTILE), **sent)
        check(answer, (method, path))
        assert not answer.headers.get("content-type", "").startswith("text/html"), path


def test_terms_hold_no_link_that_runs():
    text = (
        "[x](javascript:alert(1)) [x](JaVaScRiPt:alert(1)) [x](data:text/html,x) <javascript:alert(1)> [x](//a.example)"
    )
    marks = Marks()
    marks.feed(str(to_html(f"{text}\n\n{HOSTILE}\n\n![x](https://a.example/x)")))
    assert [one for one in marks.found if one[1:] != ("href", "//a.example")] == []


def test_a_header_takes_no_line_of_anybody(poisoned):
    """What comes back in a header is percent-encoded, whatever line breaks it holds."""
    client = poisoned.pages(Role.PERSON)
    for address in (
        "/sign-in?next=/a%0d%0aset-cookie:x",
        "/receipts/%0d%0ax:y",
        "/looked/%0d%0ax:y",
        "/meetings/%0d%0ax:y",
    ):
        answer = client.get(address)
        assert "x" not in answer.cookies, address
        check(answer, address)


@pytest.mark.parametrize(
    "text", ["a@x.example\r\nBcc: b@y.example", "a@x.example,b@y.example", "a@b@c", "a@x\x00", HOSTILE]
)
def test_no_mail_goes_to_an_address_that_holds_more_than_one(text):
    """Whatever was registered as somebody's address: nothing is sent to what is not one address alone."""
    assert not is_address(text)
    assert is_address("a@x.example")
