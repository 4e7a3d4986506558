"""Several at once, twice the same, what was used before, and what is left in logs of all of it."""

import logging
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx2
import pytest
from besieged import OURS, Besieged

from volition.ledger.entry import NewEntry
from volition.server.auth import Role
from volition.server.web.app import PAGES

NO = {"party": "person:acme-ann", "answer": "no", "data": ["content"], "purpose": ["train"]}
AT_ONCE = 6


@pytest.fixture
def alone(stronghold, tmp_path):
    """Serve a copy for one test, which changes it."""
    one = Besieged(shutil.copytree(stronghold, tmp_path / "workspace"))
    yield one
    one.server.close()


@pytest.fixture
def url(alone):
    """Listen on a port, as one server that is asked by many; return its address."""
    with alone.listening() as port:
        yield f"http://127.0.0.1:{port}"


def at_once(act):
    """Return the answers of several threads that begin together."""
    ready = Barrier(AT_ONCE)

    def begin(number):
        ready.wait()
        return act(number)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(begin, range(AT_ONCE)))


def entries(besieged, *kinds):
    with besieged.server.workspaces.borrow() as workspace:
        return [entry for entry in workspace.entries() if entry.kind in kinds]


@pytest.mark.slow
def test_an_answer_is_undone_once_however_often_at_once(alone, url):
    cookies = {"volition": alone.pages(Role.PERSON).cookies["volition"]}
    with httpx2.Client(base_url=url, cookies=cookies, headers=OURS, timeout=60) as client:
        assert client.post("/settings/train-search", data={"answer": "no"}).status_code == 303
        said = entries(alone, "decision")[-1].seq
        before = len(entries(alone, "decision"))
        sent = {"undo": str(said)}
        answers = at_once(lambda _: client.post("/settings/train-search", data=sent).status_code)
        assert set(answers) <= {303, 400, 403, 409, 503}
        assert client.post("/settings/train-search", data=sent).status_code != 500
    undone = [entry for entry in entries(alone, "decision")[before:] if "namesake" not in entry.body]
    assert len(undone) <= 1


@pytest.mark.slow
def test_whoever_is_erased_while_they_decide_is_erased_and_says_nothing_afterwards(alone, url):
    headers = {"authorization": alone.token(Role.OPERATOR)}
    with alone.server.workspaces.borrow() as workspace:
        erased = f"person:{workspace.parties.person('acme-ann').pseudonym}"
    with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:

        def act(number):
            if number:
                return client.post("/v1/decisions", json=NO | {"answer": "yes"}).status_code
            with alone.server.workspaces.borrow() as workspace:
                workspace.forgetting.erase("person:acme-ann")
            return 201

        assert set(at_once(act)) <= {201, 400, 403, 409, 503}
        assert client.post("/v1/decisions", json=NO | {"answer": "yes"}).status_code in {400, 403}
        asked = {"purpose": "train/search", "account": "acme", "people": ["acme-ann"], "category": "content/chat"}
        assert client.post("/v1/may", json=asked).json()["permitted"] is False
    kinds = [entry.kind for entry in entries(alone, "decision", "erasure") if entry.body["party"] == erased]
    assert kinds.index("erasure") == len(kinds) - 1


def test_between_an_erasures_entry_and_its_end_nobody_speaks_for_the_erased(alone):
    """An erasure that was killed, or is going on in another process: the ledger has it, the names are there still."""
    with alone.server.workspaces.borrow() as workspace:
        party = workspace.party("person:acme-bob")
        workspace.ledger.append(NewEntry(kind="erasure", body={"party": party}))
    before = alone.head()
    said = NO | {"party": "person:acme-bob", "answer": "yes"}
    assert alone.api(Role.OPERATOR).post("/v1/decisions", json=said).status_code == 403
    assert alone.head() == before


@pytest.mark.slow
def test_a_write_under_one_key_is_done_once_and_nobody_else_is_given_its_answer(alone, url):
    before = len(entries(alone, "decision"))
    with httpx2.Client(base_url=url, timeout=60) as client:

        def decide(who, party, name):
            headers = {"authorization": alone.token(who), "idempotency-key": name}
            return client.post("/v1/decisions", json=NO | {"party": party}, headers=headers)

        answers = at_once(lambda _: decide(Role.PERSON, "person:acme-ann", "one").status_code)
        assert set(answers) <= {201, 409}
        said = [entry for entry in entries(alone, "decision")[before:] if "namesake" not in entry.body]
        assert len(said) == 1
        other = decide("stranger", "person:brill-ann", "one")
        assert (other.status_code, "idempotency-replayed" in other.headers) == (201, False)
        assert decide("stranger", "person:acme-ann", "two").status_code == 403


@pytest.mark.slow
def test_a_session_is_the_servers_choice_and_ends_with_the_next_sign_in(alone):
    """A cookie that somebody else planted never becomes a session, and an old one does not go on beside a new one."""
    access = alone.server.access
    link = access.links.make_guest_link(person=alone.guests["acme"], account="acme")
    client = alone.pages(None)
    client.cookies.set("volition", "planted")
    answer = client.post(f"/guest/{link}")
    assert answer.status_code == 303
    assert access.sessions.find("planted") is None
    [first] = re.findall(r"volition=([^;]+);", answer.headers["set-cookie"])
    again = alone.pages(None)
    again.cookies.set("volition", first)
    [second] = re.findall(r"volition=([^;]+);", again.post(f"/guest/{link}").headers["set-cookie"])
    assert first != second
    assert access.sessions.find(first) is None


@pytest.mark.slow
def test_a_link_is_for_its_guest_its_use_and_its_time(alone):
    links = alone.server.access.links
    link = links.make_guest_link(person=alone.guests["acme"], account="acme")
    followed = links.sign("erasure", {"seq": 1}, lasts_us=10**12)
    client = alone.pages(None)
    for wrong in (followed, link[:-1] + ("A" if link[-1] != "A" else "B"), link.partition(".")[0], f"{link}.{link}"):
        assert client.post(f"/guest/{wrong}").status_code in {400, 403, 404}, wrong
        assert "set-cookie" not in client.post(f"/guest/{wrong}").headers
    assert client.get(f"/requests/followed/{link}").status_code in {400, 403}
    with alone.server.workspaces.borrow() as workspace:
        workspace.forgetting.erase(f"person:{alone.guests['acme']}")
    assert client.post(f"/guest/{link}").status_code in {400, 403}


# --- what logs are left with ---


def ours(caplog):
    """Return what was logged, but for what the tests' own client says."""
    return [one for one in caplog.records if not one.name.startswith(("httpx", "httpcore"))]


@pytest.mark.slow
def test_no_log_holds_a_secret_or_a_name(alone, caplog):
    """A sign-in, a link, a token, every page of every role, and a page that fails, with every logger at its loudest."""
    caplog.set_level(logging.DEBUG)
    access = alone.server.access
    access.users.add("olga", roles=[Role.OPERATOR], password="a long word for the test")
    link = access.links.make_guest_link(person=alone.guests["acme"], account="acme")
    secrets = ["a long word for the test", "another word that is wrong", link, "Ann of acme", "Zoe of", "ann@acme"]
    nobody = alone.pages(None)
    for password in secrets[:2]:
        answer = nobody.post("/sign-in", data={"user": "olga", "password": password})
        secrets += re.findall(r"volition=([^;]+);", answer.headers.get("set-cookie", ""))
    nobody.get(f"/guest/{link}")
    for role in Role:
        client = alone.pages(role)
        secrets.append(client.cookies["volition"])
        for page in PAGES:
            if page.method == "GET" and page.roles is not None and role in page.roles:
                client.get(re.sub(r"\{[^}]+\}", "acme-talk", page.path), params={"q": "Ann of acme"})
        api = alone.api(role)
        secrets += [api.headers["authorization"].partition(" ")[2]] if role != Role.GUEST else []
        api.get("/v1/people/acme-ann/holdings")
    assert len(secrets) > 15
    written = "\n".join(logging.Formatter("%(name)s %(levelname)s %(message)s").format(one) for one in ours(caplog))
    assert [one for one in secrets if one in written] == []
    assert not re.search(r"\x1b|\r", written)


@pytest.mark.slow
def test_a_page_that_fails_leaves_neither_the_link_nor_a_line_of_the_callers_in_the_log(alone, caplog, monkeypatch):
    """What stands in an address is somebody's: the log names the route."""
    from volition.server.auth.links import Links  # noqa: PLC0415 - the part that is made to fail

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(Links, "open_guest_link", fail)
    assert alone.pages(None).get("/guest/secret%0d%0aERROR%1b[31mforged").status_code == 500
    assert "ZeroDivisionError" in caplog.text
    assert "/guest/{link}" in caplog.text
    for word in ("secret", "forged", "\x1b"):
        assert word not in "\n".join(one.getMessage() for one in ours(caplog))
