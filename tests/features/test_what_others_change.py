"""What somebody may not read does not change what they see (non-interference): not a byte of any page or answer.

Two workspaces are the same but for something that one person may not open: what others said without them, what they
opened to one another, what happens in another account. That person's pages and answers must be equal in both, but for
instants and for what is made anew for each form.
"""

import io
import json
import re
import shutil
import zipfile
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from test_who_reads import CHANNEL, FILE, GAIL, MEETING, SPEAKERS, House, Said, act, conversations, note_items, steps

from volition.features.conversations import ConversationKind
from volition.records.ingest.used import READ, SEARCHED
from volition.server.app import Server
from volition.server.auth import Role
from volition.server.web.app import PAGES
from volition.workspace import Workspace

NAMES = ("one", "two", "three", "four")
QUERIES = ("", "?q=wheel+number", "?q=wheel&meeting=one", "?q=wheel&meeting=three")
FILLED = {
    "meeting:path": NAMES,
    "channel:path": NAMES,
    "seq": ("0", "3"),
    "version": ("granular",),
    "model": ("none",),
    "line": ("2026-01-01.0",),
    "record": ("none",),
}
ELSEWHERE = {"/", "/sign-in", "/sign-in/oidc", "/sign-in/oidc/back", "/guest/{link}", "/requests/followed/{link}"}
MADE_ANEW = re.compile(
    r"\d{4}-\d\d-\d\dT[0-9:.]+Z?|\d\d:\d\d UTC|(?<=name=\"once\" value=\")[0-9a-f]+"  # instants, a form's number
    r"|\b[0-9a-f]{64}\b|[A-Za-z0-9+/]{43,}=*"  # hashes and signatures of the ledger
    r"|(?<=volition\.local/workspace)\\+n\d+|(?<=The log now has )[\d,]+"  # how long the log is, which anyone may know
)


def readings(who):
    """Yield every address that somebody may read, whichever pages there are."""
    for page in PAGES:
        if page.method == "GET" and page.path not in ELSEWHERE and page.roles is not None and who in page.roles:
            [name] = re.findall(r"\{([^}]*)\}", page.path) or [None]
            for filled in FILLED[name] if name else [""]:
                path = page.path if name is None else page.path.replace(f"{{{name}}}", filled)
                yield from (f"{path}{query}" for query in (QUERIES if path == "/search" else ("",)))


def answers(server, who, user, person):
    """Return all that somebody reads, by address, without what is made anew each time."""
    client = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
    client.cookies.set("volition", server.access.sessions.begin(user))
    asked = [client.get(path) for path in readings(who)]
    asked += [client.get(f"/v1/people/{person}/{what}") for what in ("holdings", "proofs", "requests", "export")]
    asked += [client.get(path) for path in ("/v1/decisions", "/v1/terms", "/v1/weigh?purpose=feature", "/v1/people")]
    for name in NAMES:
        asked += [client.get("/v1/readers", params={"kind": kind, "name": name}) for kind in ConversationKind]
        asked += [
            client.post(f"/chat/{name}", data={"do": do, "text": "wheel"})
            for do in ("suggest", "reply:0.0", "reply:3.0")
        ]
        asked.append(
            client.post("/sharings", data={"kind": "meeting", "name": name, "do": "close", "people": "nobody"})
        )
    return {f"{one.request.method} {one.request.url} {at}": seen(one) for at, one in enumerate(asked)}


def seen(answer):
    if answer.headers["content-type"] == "application/zip":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            texts = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".json")}
        texts["records.json"] = json.dumps(without_what_was_just_done(json.loads(texts["records.json"])))
        return answer.status_code, without_what_is_made_anew(json.dumps(texts).replace('\\"', '"'))
    return answer.status_code, without_what_is_made_anew(answer.text)


def without_what_was_just_done(records):
    """Return exported records in an order that does not hang on when somebody searched or read a moment ago."""
    anew = {"record_id": "", "collected_at": ""}
    timeless = [one | anew if one["payload"].get("name") in {SEARCHED, READ} else one for one in records]
    return sorted(timeless, key=lambda one: json.dumps(one, sort_keys=True))


def without_what_is_made_anew(text):
    """Return a text without that; a proof of a longer log has more hashes, which are taken for one."""
    return re.sub(r'(?:"-",?(?:\\n|\s)*)+', '"-"', MADE_ANEW.sub("-", text))


@contextmanager
def copied(house, folder):
    """Yield a copy of a workspace, as the reference knows it, too."""
    shutil.copytree(house.workspace.folder, folder)
    other = object.__new__(House)
    other.workspace = Workspace.open(folder, clock=house.workspace._opened.clock)
    other.said, other.grants = list(house.said), {place: set(by) for place, by in house.grants.items()}
    try:
        yield other
    finally:
        other.workspace.close()


def read_by(folder, readers):
    """Return what each reader sees in a workspace."""
    server = Server(folder)
    try:
        for who, user, account, person in readers:
            if server.access.users.find(user) is None:
                server.access.users.add(user, roles=[who], account=account, person=person)
        return {user: answers(server, who, user, person) for who, user, account, person in readers}
    finally:
        server.close()


def check(house, folder, secrets, *, openings=False):
    """See that neither ada nor Gail the guest sees anything of what was said without them; say if anything was."""
    readers = [(Role.PERSON, "ada", "acme", "ada"), (Role.GUEST, "gail", "acme", house.id("acme", GAIL))]
    with copied(house, folder / "other") as other:
        for step in secrets:
            match step:
                case ("collect", (account, kind, name), numbers, private):
                    speakers = [one for one in SPEAKERS[account] if one not in {"ada", GAIL}]
                    people = tuple(dict.fromkeys(speakers[number % len(speakers)] for number in numbers))
                    said = Said(len(other.said), account, kind, name, people, private)
                    if not any(other.may_read("acme", one, said) for one in ("ada", GAIL)):
                        other.collect(account, kind, name, people, private)
        if openings:
            for kind in (MEETING, CHANNEL):
                house.share(("acme", kind, "four"), "cy", "bo")
                other.share(("acme", kind, "four"), "bo", "cy")
        if len(other.said) == len(house.said):
            return False  # all of it they could have read
    house.workspace.close()
    before, after = (read_by(one, readers) for one in (house.workspace.folder, folder / "other"))
    for user in before:
        assert before[user].keys() == after[user].keys()
        changed = [where for where in before[user] if before[user][where] != after[user][where]]
        assert changed == [], (user, changed)
    return True


SECRETS = [
    ("collect", ("acme", kind, name), numbers, private)
    for kind in (MEETING, CHANNEL, FILE)
    for name, numbers, private in (("one", [0, 1], True), ("three", [1], False))
]


@pytest.mark.slow
def test_what_others_said_without_them_changes_nothing_that_they_see(tmp_path):
    with House(tmp_path) as house:
        note_items(house)
        for kind in (MEETING, CHANNEL, FILE):
            house.collect("acme", kind, "one", ["ada", "bo"], False)
            house.collect("acme", kind, "two", [GAIL, "cy"], False)
            house.collect("acme", kind, "four", ["bo", "cy"], True)
        house.share(("acme", MEETING, "two"), "acme", "cy")
        assert check(house, tmp_path, SECRETS, openings=True)


secrets = st.lists(
    st.tuples(
        st.just("collect"),
        conversations.map(lambda one: (*one[:2], "three") if len(one[2]) % 2 else one),
        st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow])  # each makes two workspaces on the disk
@given(steps=steps, secrets=secrets)
def test_for_any_audience_what_cannot_be_opened_changes_nothing(tmp_path_factory, steps, secrets):
    folder = tmp_path_factory.mktemp("twice")
    with House(folder) as house:
        note_items(house)
        for step in steps:
            act(house, step)
        check(house, folder, secrets)
