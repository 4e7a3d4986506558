"""The console: what the operator, the engineer and the auditor see, and what is no business of theirs."""

import json
import threading
import time

import pytest
from starlette.testclient import TestClient

from volition.ledger import merkle
from volition.ledger.signing import VerifierKey, open_note, parse_checkpoint
from volition.server.app import Server
from volition.server.auth import Role
from volition.workspace import Workspace

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    yield server
    server.close()


def visitor(server, role=Role.OPERATOR):
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
    return client


def say_yes(workspace):
    for party in ("account:acme", "person:ada", "person:bo"):
        workspace.consent.decide(party, yes=True, data=["service", "content"], purpose=["train"], covers="past")


def with_snapshot(server):
    with server.workspaces.borrow() as workspace:
        say_yes(workspace)
        return workspace.snapshots.create("train/compose").id, workspace.snapshots.create("train/summary").id


def finished(client, answer):
    """Wait until the run that an answer leads to is over; return its page."""
    for _ in range(600):
        page = client.get(answer.url)
        if "hx-sse:connect" not in page.text:
            return page
        time.sleep(0.05)
    raise AssertionError("the run did not end")


def test_a_person_s_answer_is_told_to_nobody(server):
    with server.workspaces.borrow() as workspace:
        no = workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train/search"])
        workspace.consent.decide("account:acme", yes=False, data=["content"], purpose=["train/recommend"])
        pseudonym = workspace.parties.person("ada").pseudonym
    for role in (Role.OPERATOR, Role.AUDITOR):
        client = visitor(server, role)
        pages = [client.get(path).text for path in ("/console", "/console/ledger", f"/console/ledger/{no.seq}")]
        proof = client.get(f"/console/ledger/{no.seq}/proof")
        assert not [text for text in (*pages, proof.text) if pseudonym in text or "Ada" in text]
        assert "Acme Ltd said no to training recommendations" in pages[1]
        assert "training search" not in "".join(pages).lower()
        assert "A person gave an answer" in pages[2]
        assert proof.json()["entry"] is None


def test_downloaded_proofs_verify_with_the_key_alone(server):
    with server.workspaces.borrow() as workspace:
        say_yes(workspace)
        key, entries = workspace.verifier, workspace.entries()
    client = visitor(server, Role.AUDITOR)
    for entry in entries:
        proof = client.get(f"/console/ledger/{entry.seq}/proof").json()
        head = parse_checkpoint(open_note(proof["checkpoint"], key).text)
        leaf = bytes.fromhex(proof["leaf"])
        if proof["entry"] is not None:
            assert merkle.leaf_hash(proof["entry"].encode()) == leaf
        nodes = [bytes.fromhex(node) for node in proof["proof"]]
        merkle.verify_inclusion(leaf, entry.seq, head.size, nodes, head.root)
        assert VerifierKey.from_text(proof["key"]) == key
    proof = client.get("/console/ledger/consistency?old=2&new=").json()
    old, new = (parse_checkpoint(open_note(proof[which], key).text) for which in ("old", "new"))
    assert (old.size, new.size) == (2, len(entries))
    nodes = [bytes.fromhex(node) for node in proof["proof"]]
    merkle.verify_consistency(old.size, new.size, nodes, old.root, new.root)
    note = client.get("/console/ledger/checkpoint?size=2").text
    assert parse_checkpoint(open_note(note, key).text) == old


def test_the_ledger_is_shown_page_by_page(server):
    with server.workspaces.borrow() as workspace:
        for number in range(60):
            workspace.consent.decide("account:acme", yes=bool(number % 2), data=["content"], purpose=["train"])
        size = workspace.ledger.size
    client = visitor(server)
    newest = client.get("/console/ledger").text
    assert f'href="/console/ledger/{size - 1}"' in newest
    assert f'href="/console/ledger/{size - 51}"' not in newest
    oldest = client.get(f"/console/ledger?before={size - 50}").text
    assert 'href="/console/ledger/0"' in oldest
    assert f'href="/console/ledger/{size - 50}"' not in oldest
    assert "Acme Ltd accepted the terms" in oldest
    for wrong in ("/console/ledger/x", f"/console/ledger/{size}", "/console/ledger/consistency?old=9999"):
        assert client.get(wrong).status_code in {400, 404, 422}, wrong


def test_the_lake_shows_counts_and_reasons_and_no_content(server, tmp_path):
    broken = tmp_path / "broken.vtt"
    broken.write_text("WEBVTT\n\nbad --> worse\nAda Byron: a secret slip\n\n00:01.000 --> 00:02.000\nBo Berg: fine\n")
    with server.workspaces.borrow() as workspace:
        started = workspace.entries()[0].at_us
        from volition.canonical import us_to_datetime  # noqa: PLC0415 - for this one instant

        collected = workspace.records.collect_webvtt(broken, account="acme", started=us_to_datetime(started))
        assert collected.rejected
        stock = workspace.records.stock()
        assert stock.accounts == {"acme": sum(stock.categories.values())}
    page = visitor(server).get("/console/lake").text
    assert "Acme Ltd" in page
    assert f">{sum(stock.categories.values())}<" in page
    assert "broken.vtt" in page
    assert "secret slip" not in page


@pytest.mark.slow
def test_a_snapshot_shows_what_it_kept_and_dropped(server):
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["train"], covers="past")
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
        frozen = workspace.snapshots.create("train/summary")
    [reasons] = [counts for counts in frozen.manifest["rows"].values() if counts["read"]]
    client = visitor(server, Role.ENGINEER)
    page = client.get(f"/console/snapshots/{frozen.id}").text
    for reason, count in reasons["dropped"].items():
        assert f"p-{reason}" in page
        assert f'<td class="number">{count}</td>' in page
    assert client.get(f"/console/snapshots/{frozen.id}/manifest").json() == frozen.manifest
    assert frozen.id in client.get("/console/snapshots").text
    assert client.get("/console/snapshots/train-search-nothing").status_code in {400, 404, 422}


@pytest.mark.slow
def test_a_run_is_started_and_followed(server):
    _, summary = with_snapshot(server)
    client = visitor(server, Role.ENGINEER)
    begun = client.post("/console/runs", data={"learn": f"summary {summary}"})
    assert "/console/runs/" in str(begun.url)
    over = finished(client, begun)
    told = client.get(f"{over.url}/live").text
    assert "event: over" in told
    assert ("Done." in told) == ("Done." in over.text)
    assert ("It failed." in told) == ("It failed." in over.text)
    assert "Train summaries" in client.get("/console/runs").text
    assert client.post("/console/runs", data={"learn": "nonsense"}).status_code in {400, 422}
    assert client.post("/console/runs", data={"learn": "summary nowhere"}).status_code in {400, 404, 422}


def test_what_has_a_page_of_its_own_is_no_run_of_the_console(server):
    own = server.jobs.start("evidence", by="auditor")
    client = visitor(server)
    assert own.id not in client.get("/console/runs").text
    assert client.get(f"/console/runs/{own.id}").status_code in {400, 404, 422}
    assert client.get(f"/console/runs/{own.id}/live").status_code in {400, 404, 422}


def test_an_empty_workspace_shows_how_to_begin(tmp_path):
    folder = tmp_path / "empty"
    Workspace.create(folder, origin="log.example/empty", profile=None).close()
    server = Server(folder, is_demo=True)
    try:
        server.access.users.add("demo-operator", roles=[Role.OPERATOR], name="Olga")
        client = visitor(server)
        first = client.get("/console").text
        assert [step in first for step in ("Publish terms", "Collect data", "Ask for a decision")] == [True] * 3
        assert 'class="done"' not in first
        for path in ("ledger", "lake", "snapshots", "runs", "models", "forgettings"):
            assert client.get(f"/console/{path}").status_code == 200
    finally:
        server.close()


@pytest.mark.slow
def test_from_training_to_forgetting(released):
    """A model is trained, audited, released with its card, becomes stale by a no, and forgets: all from the pages."""
    server, model = released
    client = visitor(server)
    page = client.get(f"/console/models/{model}").text
    assert "Card (text)" in page
    assert 'class="chart held' in page
    card = client.get(f"/console/models/{model}/files/card.json")
    assert json.loads(card.text)["model"] == model
    assert client.get(f"/console/models/{model}/files/card.md").text.startswith(f"# {model}")
    assert client.get(f"/console/models/{model}/files/record.json").status_code in {400, 422}
    for name in ("model.sig", "model.pub", "README.md", "bom.cdx.json", "training-content.md"):
        assert f"/files/{name}" in page
        assert client.get(f"/console/models/{model}/files/{name}").status_code == 200
    snapshot = json.loads(card.text)["learned_from"]["snapshot"]
    metadata = client.get(f"/console/snapshots/{snapshot}/croissant.json")
    assert json.loads(metadata.text)["name"] == snapshot
    with server.workspaces.borrow() as workspace:
        person = next(one for one in workspace.parties.people("acme") if one.id.startswith("u"))
        workspace.consent.decide(f"person:{person.id}", yes=False, data=["service"], purpose=["train"])
    due = client.get("/console/forgettings").text
    assert model in due
    assert "days left" in due
    assert person.id not in due
    assert person.pseudonym not in due
    assert "stale" in client.get(f"/console/models/{model}").text
    over = finished(client, client.post("/console/forgettings"))
    assert "One model has forgotten." in over.text
    after = client.get("/console/forgettings").text
    assert "Nothing is due" in after
    assert model in after
    assert client.get(f"/console/models/{model}").status_code == 200
    assert client.get(f"/console/models/{model}/files/card.json").status_code in {400, 422}


@pytest.fixture
def released(server):
    """Train, audit and release a small model of recommendations; return the server and the model's id."""
    with server.workspaces.borrow() as workspace:
        folder = server.workspaces.folder.parent
        lines = []
        for number in range(12):
            workspace.people.add_person(f"u{number}", account="acme", name=f"User {number}")
            lines += [usage(f"u{number}", f"channel/c{(number + item) % 5}", number * 10 + item) for item in range(4)]
        (folder / "usage.jsonl").write_text("\n".join(lines))
        workspace.consent.decide("account:acme", yes=True, data=["service"], purpose=["train"], covers="past")
        collected = workspace.records.collect_otlp(folder / "usage.jsonl", account="acme")
        assert collected.stored == len(lines), collected.to_json()
        model = workspace.models.train("recommend").id
    client = visitor(server)
    finished(client, client.post(f"/console/models/{model}/audit"))
    put = client.post(f"/console/models/{model}/release")
    assert "is released, with a signed model card" in put.text, put.text
    return server, model


def usage(person, item, number):
    """Return one usage event as a line of OTLP JSON."""
    attributes = [
        {"key": "user.id", "value": {"stringValue": person}},
        {"key": "volition.item", "value": {"stringValue": item}},
        {"key": "volition.category", "value": {"stringValue": "service/usage"}},
    ]
    at = 1_750_000_000 + number
    record = {"timeUnixNano": str(at * 10**9), "eventName": "item.opened", "attributes": attributes}
    return json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [record]}]}]})


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_run_is_watched_live_and_without_javascript_on_reload(served, new_page, sign_in, check_access):
    may_go_on, may_end = threading.Event(), threading.Event()

    def work(_, run):
        run.progress("learning", 1, 4, 0.9)
        time.sleep(0.3)  # more often is not written down
        run.progress("learning", 2, 4, 0.6)
        may_go_on.wait(30)
        run.progress("learning", 3, 4, 0.5)
        may_end.wait(30)
        return "recommend-0123456789ab"

    served.kinds["train"] = work
    run = served.jobs.start("train", "recommend", by="engineer")
    page = sign_in(new_page(), Role.ENGINEER)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/console/runs/{run.id}")
    page.get_by_text("2 of 4, loss 0.600").wait_for()
    page.locator("#curve canvas").wait_for()
    drawn = [page.locator("#curve canvas").screenshot()]
    check_access(page)
    still = sign_in(new_page(script=False), Role.ENGINEER)
    still.goto(f"/console/runs/{run.id}")
    assert "2 of 4" in still.locator("#now").inner_text()
    assert still.get_by_role("img", name="0.600 at step 2").is_visible()
    may_go_on.set()
    page.get_by_text("3 of 4").wait_for()
    page.wait_for_function("document.querySelectorAll('#now [data-curve].hidden').length === 1")
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    drawn.append(page.locator("#curve canvas").screenshot())
    assert drawn[0] != drawn[1], "the curve goes on"
    may_end.set()
    page.get_by_text("Done.").wait_for()
    page.wait_for_timeout(1500)
    assert len([url for url in asked if url.endswith("/live")]) == 1, "it asks on after the run is over"
    assert page.get_by_role("link", name="recommend-0123456789ab").is_visible()
    check_access(page)
    assert "2 of 4" in still.locator("#now").inner_text()
    still.reload()
    assert "Done." in still.locator("#now").inner_text()


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_training_is_started_by_keyboard(served, page, sign_in):
    sign_in(page, Role.ENGINEER).goto("/console/runs")
    page.locator("#learn").select_option("recommend")
    page.locator("#learn").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/runs/*")
    page.locator("#now").get_by_text("It failed.").wait_for()  # the world has nothing that recommendations learn from
