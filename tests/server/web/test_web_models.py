"""Weigh, models that learned from you, receipts: what a person and an administrator see, and what can be verified."""

import html
import json
import re
import shutil
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from crafts import Clock, build, set_bounds
from volition.cli import main
from volition.consent.gate import concerned
from volition.consent.gate.effective import uses
from volition.consent.permits import Permit, permit
from volition.consent.terms.model import CATEGORIES
from volition.learning.card import EXTRACT
from volition.ledger.entry import NewEntry
from volition.server.app import Server
from volition.server.auth import Access, Role, Scope
from volition.transparency.figures import WHEN_ASKED
from volition.transparency.traces import at_stake, shares, trace
from volition.transparency.weigh import refusable
from volition.workspace import Workspace

PERSON = "orchard-3"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Train, audit and release once; `world` copies it. The bakery is small, and the museum said no in time."""
    folder = tmp_path_factory.mktemp("learned") / "workspace"
    clock = Clock()
    with build(folder, clock, accounts={"orchard": 12, "dairy": 6, "bakery": 4, "museum": 1}) as workspace:
        workspace.consent.decide("person:museum-0", yes=False, data=["service"], purpose=["train"])
    set_bounds(folder, benefit=(-1.0, False))
    with Workspace.open(folder, clock=clock) as workspace:
        model = workspace.models.train("recommend").id
        workspace.models.audit(model)
        workspace.models.release(model)
    access = Access.open(folder)
    for role in Role:
        if role is Role.GUEST:
            continue  # these pages are for none
        account = {"person": "orchard", "administrator": "orchard"}.get(role)
        person = PERSON if role is Role.PERSON else None
        access.users.add(f"demo-{role}", roles=[role], name=f"Some {role}", account=account, person=person)
    for person in ("museum-0", "bakery-0"):
        access.users.add(person, roles=[Role.PERSON], account=person.partition("-")[0], person=person)
    both = [Role.PERSON, Role.ADMINISTRATOR]
    access.users.add("both", roles=both, account="dairy", person="dairy-0")
    access.close()
    return folder


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    yield server
    server.close()


def visit(server, path, user="demo-person"):
    """Return a page's answer for a user."""
    client = TestClient(server, base_url="http://centre.example", follow_redirects=False)
    client.cookies.set("volition", server.access.sessions.begin(user))
    return client.get(path)


def the_model(server):
    with server.workspaces.borrow() as workspace:
        [model] = workspace.models.states()
    return model


def section(text, name):
    """Return one article of a page."""
    return re.search(rf'<article[^>]*id="{name}".*?</article>', text, re.DOTALL).group()


# --- weigh ---


@pytest.mark.slow
def test_weighing_leads_to_every_switch_and_every_switch_to_its_weighing(server):
    weighed, settings = visit(server, "/weigh").text, visit(server, "/settings").text
    for href, text in (("/weigh#", settings), ("/settings#", weighed)):
        named = set(re.findall(rf'href="{href}([a-z-]+)"', text))
        other = weighed if text is settings else settings
        assert named
        assert named <= set(re.findall(r'id="([a-z-]+)"', other)), href
    cards = re.findall(r'<article class="card[^"]*" id="([a-z-]+)"', weighed)
    assert set(re.findall(r'href="/weigh#([a-z-]+)"', settings)) == set(cards)
    assert settings.index('href="/weigh#train-recommend"') < settings.index('id="train-recommend-yes"')


@pytest.mark.slow
@pytest.mark.parametrize("user", ["demo-person", "demo-administrator", "museum-0", "bakery-0"])
def test_the_page_shows_the_figures_of_weighing_and_no_others(server, user):
    party, account = {
        "demo-person": (f"person:{PERSON}", "orchard"),
        "demo-administrator": ("account:orchard", "orchard"),
    }.get(user, (f"person:{user}", user.partition("-")[0]))
    shown = section(visit(server, "/weigh", user).text, "train-recommend")
    with server.workspaces.borrow() as workspace:
        [weighing] = workspace.weigh.party(party, purpose=["train/recommend"]).purposes
        names = [name for other in ("orchard", "dairy", "bakery", "museum") if other != account for name in (other,)]
    for line in (*weighing.verdict, *weighing.own_risks):
        assert html.escape(line, quote=False) in shown.replace("&#39;", "'")
    assert shown.index(html.escape(weighing.verdict[0], quote=False).split("'")[0]) < shown.index("<table")
    figures = [*weighing.gains, *weighing.costs]
    table = re.search("<tbody>.*?</tbody>", shown, re.DOTALL).group()
    cells = [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr>(.*?)</tr>", table, re.DOTALL)]
    assert [row[2] for row in cells] == [
        "not measured" if figure.value is None else f"{figure.value:,.3f}" for figure in figures
    ]
    for row, figure in zip(cells, figures, strict=True):
        assert row[3] == ("\N{EN DASH}" if figure.low is None else f"{figure.low:,.3f} to {figure.high:,.3f}")
        assert figure.value is None or row[4].startswith(f"{figure.units:,} ")
    drawn = re.findall(r'class="value"[^>]*>([^<]*)<', shown)
    gains = [figure.first for figure in figures if figure.what == "benefit" and figure.first is not None]
    told = [f"{100 * first.value:,.1f}" for first in gains]  # of so few people no attack can be measured
    assert drawn == [told[0], *told]  # the reader's own at a glance, then all
    for how in {figure.how for figure in figures if figure.value is None} - {f"Not measured. {WHEN_ASKED}"}:
        assert html.escape(how, quote=False) in shown.replace("&#39;", "'")
    assert "not measured" in shown
    assert not [name for name in names if name in shown.lower()]


@pytest.mark.slow
def test_an_administrator_weighs_for_the_account_and_learns_of_nobody(server):
    before = visit(server, "/weigh", "demo-administrator").text
    with server.workspaces.borrow() as workspace:
        for person in ("orchard-4", PERSON):
            workspace.consent.decide(f"person:{person}", yes=False, data=["service"], purpose=["train"])
        people = [name for person in workspace.parties.people("orchard") for name in (person.id, person.pseudonym)]
    after = visit(server, "/weigh", "demo-administrator").text
    assert after == before
    assert not [name for name in people if name in after]
    assert 'href="/account#train-recommend"' in after


@pytest.mark.slow
def test_who_is_both_sees_either_side(server):
    mine, ours = visit(server, "/weigh", "both").text, visit(server, "/weigh?for=account", "both").text
    assert 'href="/settings#train-recommend"' in mine
    assert 'href="/account#train-recommend"' in ours
    assert 'href="/settings#train-recommend"' not in ours
    assert visit(server, "/weigh?for=account").text.count("/account#") == 0


@pytest.mark.slow
def test_a_state_on_the_page_is_the_gates(server):
    for answer in (True, False):
        with server.workspaces.borrow() as workspace:
            workspace.consent.decide(f"person:{PERSON}", yes=answer, data=["service"], purpose=["train"])
            asked = {"account": "orchard", "people": [PERSON], "category": "service/usage"}
            assert workspace.gate.may("train/recommend", **asked).verdict.permitted == answer
        for path in ("/weigh", "/settings"):
            pill = re.search(r'class="pill( on)?"', section(visit(server, path).text, "train-recommend"))
            assert bool(pill.group(1)) == answer, path


@pytest.mark.slow
def test_weighing_over_the_api_is_what_the_workspace_weighs(server):
    def ask(role, query="", scopes=(Scope.READ,)):
        _, secret = server.access.tokens.issue(f"demo-{role}", name="test", roles=[role], scopes=scopes)
        client = TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})
        return client.get(f"/v1/weigh{query}"), client

    told, client = ask(Role.PERSON, "?purpose=train")
    with server.workspaces.borrow() as workspace:
        for answer, party in (
            (told, f"person:{PERSON}"),
            (ask(Role.ADMINISTRATOR, "?purpose=train")[0], "account:orchard"),
        ):
            expected = json.loads(json.dumps(workspace.weigh.party(party, purpose=["train"]).to_json()))
            assert {**answer.json(), "at": ""} == {**expected, "at": ""}
    for role, party, status in (
        (Role.PERSON, "person:orchard-4", 403),
        (Role.PERSON, "account:orchard", 403),
        (Role.ADMINISTRATOR, f"person:{PERSON}", 403),
        (Role.ADMINISTRATOR, "account:dairy", 403),
        (Role.OPERATOR, "account:dairy", 200),
        (Role.ENGINEER, "account:orchard", 403),
    ):
        assert ask(role, f"?party={party}&purpose=advertising")[0].status_code == status, (role, party)
    assert ask(Role.OPERATOR)[0].status_code == 400
    assert ask(Role.PERSON, "?purpose=train/everything")[0].status_code == 400
    document = client.get("/v1/openapi.json").json()
    answer = document["paths"]["/v1/weigh"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    shape = document["components"]["schemas"][answer["$ref"].rpartition("/")[2]]
    assert set(shape["properties"]) == set(told.json())
    figure = document["components"]["schemas"]["MeasuredFigure"]["properties"]
    assert set(figure) == set(told.json()["purposes"][0]["gains"][0])


# --- models that learned ---


@pytest.mark.slow
@pytest.mark.parametrize("moved", [[], ["orchard-0", "dairy-0"]], ids=["nobody moved", "some moved"])
def test_what_a_party_has_at_stake_is_what_asking_row_by_row_gives(server, moved):
    with server.workspaces.borrow() as workspace:
        for person in moved:
            body = {"party": workspace.party(f"person:{person}"), "region": "DE"}
            workspace.ledger.append(NewEntry(kind="region", body=body))
        history, at_us = workspace.history(), workspace.now_us
        [state] = workspace.models.states().values()
        snapshot = workspace.snapshots.open(state.snapshot)
        parties = {
            party
            for key in snapshot.keys
            for _, party in concerned(history, key.account, key.question().people, at_us=at_us)
        }
        for party in [*parties, "account:museum", "person:nobody"]:
            would = refusable(history, party, at_us, purpose=snapshot.purpose)
            gone = [key.collected_us for key in snapshot.keys if would(key.account, key.people, key.category)]
            found = at_stake(snapshot, party, history, at_us=at_us)
            assert sorted(instant for share in found for instant in share.collected_us) == sorted(gone)
            assert {share.category for share in shares(snapshot, party, history, at_us=at_us)} <= set(CATEGORIES)
            about = {"at_us": at_us, "due_days": 30, "at_work": True, "forgot": ()}
            assert trace(state, snapshot, [party], history, **about).refused == refused_rows(
                history, snapshot, party, at_us
            )


def refused_rows(history, snapshot, party, at_us):
    """Count the rows that a party's permit does not hold, asking for each with everybody whom it concerns."""
    refused = 0
    for key in snapshot.keys:
        question, purpose = key.question(), snapshot.purpose
        asked = uses(history, question.account, question.people, question.category, purpose, at_us=at_us)
        answers = [permit(history, use, at_us) for use in asked if use.party == party]
        refused += not all(isinstance(one, Permit) and key.collected_us >= one.since_us for one in answers)
    return refused


def test_a_no_is_owed_by_the_day_that_the_page_names_and_then_forgotten(server):
    model = the_model(server)
    page = visit(server, "/models").text
    assert "1 in use learned from you" in page
    assert "it must forget them" not in page
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide(f"person:{PERSON}", yes=False, data=["service"], purpose=["train"])
        [owed] = workspace.models.owed()
        [trace] = workspace.proofs.traces(PERSON)
        assert (trace.refused, trace.refused_us, trace.due_us) == (owed.rows, owed.since_us, owed.due_us)
        assert [one.refused for one in workspace.proofs.traces("orchard-4")] == [0]
        due = datetime.fromtimestamp(owed.due_us / 1e6, UTC)
    shown = section(visit(server, "/models").text, model)
    assert f"By {due.day} {due:%B %Y}" in shown
    assert "it must forget them" not in visit(server, "/models", "bakery-0").text
    with server.workspaces.borrow() as workspace:
        workspace.forgetting.forget()
    page = visit(server, "/models").text
    assert "No model in use learned from you" in page
    assert "since records that concern you might no longer be used" in section(page, model)
    assert "It was forgotten on" in section(visit(server, "/models", "bakery-0").text, model)
    assert "since records" not in section(visit(server, "/models", "bakery-0").text, model)
    assert visit(server, f"/models/{model}").status_code == 200, "its card stays readable"


def test_a_yes_after_the_no_stops_no_clock_unless_it_covers_the_past(server):
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide(f"person:{PERSON}", yes=False, data=["service"], purpose=["train"])
        for covers, rows in ((None, True), ("past", False)):
            workspace.consent.decide(f"person:{PERSON}", yes=True, data=["service"], purpose=["train"], covers=covers)
            [trace] = workspace.proofs.traces(PERSON)
            owed = {one.model: (one.rows, one.since_us, one.due_us) for one in workspace.models.owed()}
            told = (trace.refused, trace.refused_us, trace.due_us)
            assert told == owed.get(trace.model.id, (0, None, None))
            assert bool(trace.refused) == rows


def test_whoever_is_in_no_model_is_told_so(server):
    page = visit(server, "/models", "museum-0").text
    assert "No model in use learned from you" in page
    assert "It never saw any record that concerns you." in section(page, the_model(server))


def test_a_card_says_what_was_released_and_names_no_other_customer(server):
    model = the_model(server)
    page, download = visit(server, f"/models/{model}").text, visit(server, f"/models/{model}/card.json")
    assert download.headers["content-disposition"].startswith("attachment")
    card = download.json()
    with server.workspaces.borrow() as workspace:
        whole = workspace.models.card(model)
    assert card["format"] == EXTRACT
    assert card["digest"] == whole["digest"]
    assert card["learned_from"].keys() == {"snapshot", "manifest", "at", "own_rows"}
    with server.workspaces.borrow() as workspace:
        [trace] = workspace.proofs.traces(PERSON)
    assert sum(card["learned_from"]["own_rows"].values()) == trace.rows > 0
    assert f'<td class="number">{trace.rows}</td>' in page
    read = [rows["read"] for rows in whole["learned_from"]["rows"].values() if rows["read"]]
    assert [count for count in read if f">{count:,}<" in page] == [], "how much others gave and refused"
    for text in (page, download.text):
        assert not [name for name in ("dairy", "bakery", "museum") if name in text.lower()]
        assert whole["learned_from"]["manifest"] in text
    measured = {(found["audit"], found["metric"]): found["value"] for found in whole["findings"]}
    assert {(found["audit"], found["metric"]): found["value"] for found in card["findings"]} == measured
    for value in measured.values():
        assert "not measured" in page if value is None else f"{value:.3f}" in page
    assert visit(server, "/models/recommend-nothing").status_code == 400
    assert visit(server, "/models/recommend-nothing/card.json").status_code == 400


def test_a_card_that_was_changed_is_not_shown(server, world):
    path = world / "releases" / the_model(server) / "card.json"
    path.write_bytes(path.read_bytes().replace(b'"people":22', b'"people":23'))
    answer = visit(server, f"/models/{the_model(server)}")
    assert answer.status_code >= 400
    assert "not the one that the ledger names" in answer.text


# --- receipts and proofs ---


def verified(server, tmp_path, data, capsys, key=None):
    """Check bytes as anybody would: from a file, with the public key, without the workspace."""
    path = tmp_path / "downloaded.json"
    path.write_bytes(data)
    with server.workspaces.borrow() as workspace:
        key = key or workspace.verifier.to_text()
    code = main(["verify", str(path), "--key", key, "--json"])
    told = capsys.readouterr()
    return code, json.loads(told.out) if code in {0, 4} else told.err


@pytest.mark.slow
def test_what_is_downloaded_verifies_for_anybody(server, tmp_path, capsys):
    with server.workspaces.borrow() as workspace:
        workspace.consent.signal(PERSON)
        for yes in (True, False):
            workspace.consent.decide(f"person:{PERSON}", yes=yes, data=["service"], purpose=["train"])
        workspace.consent.decide("person:orchard-4", yes=False, data=["service"], purpose=["train"])
        pseudonym = workspace.parties.person(PERSON).pseudonym
        other = workspace.parties.person("orchard-4").pseudonym
    page = visit(server, "/receipts").text
    numbers = re.findall(r'href="/receipts/(\d+)"', page)
    assert len(numbers) == 3
    for number in numbers:
        answer = visit(server, f"/receipts/{number}")
        assert answer.headers["content-disposition"].startswith("attachment")
        code, told = verified(server, tmp_path, answer.content, capsys)
        assert (code, told["holds"], len(told["checks"])) == (0, True, 1)
    bundle = visit(server, "/receipts/proofs.json").content
    code, told = verified(server, tmp_path, bundle, capsys)
    assert (code, len(told["checks"])) == (0, 4)
    assert pseudonym.encode() in bundle
    assert other.encode() not in bundle
    proof = visit(server, f"/models/{the_model(server)}/proof.json").content
    code, told = verified(server, tmp_path, proof, capsys)
    assert code == 0
    assert "present: 7" in told["checks"][0]["detail"]
    absent = visit(server, f"/models/{the_model(server)}/proof.json", "museum-0").content
    assert "absent" in verified(server, tmp_path, absent, capsys)[1]["checks"][0]["detail"]


@pytest.mark.slow
def test_a_receipt_that_was_changed_anywhere_does_not_verify(server, tmp_path, capsys):
    with server.workspaces.borrow() as workspace:
        entry = workspace.consent.decide(f"person:{PERSON}", yes=False, data=["service"], purpose=["train"])
        again = workspace.consent.decide(f"person:{PERSON}", yes=True, data=["service"], purpose=["train"])
    receipt = visit(server, f"/receipts/{entry.seq}").json()
    other = visit(server, f"/receipts/{again.seq}").json()
    assert receipt["record"]["dpv:hasNotice"]["dct:identifier"]

    def changed(change):
        copy = json.loads(json.dumps(receipt))
        change(copy)
        return json.dumps(copy).encode()

    changes = [
        lambda one: one["record"]["dpv:hasConsentStatus"]["@type"].insert(0, "dpv:ConsentGiven"),
        lambda one: one["record"]["dpv:hasProcess"].update({"dpv:hasPurpose": []}),
        lambda one: one["record"].pop("dpv:hasDataSubject"),
        lambda one: one.update(record=None),
        lambda one: one["entries"].pop(),
        lambda one: one["entries"].reverse(),
        lambda one: one["entries"][0].update(other["entries"][0]),
        lambda one: one["entries"][0]["path"].reverse(),
        lambda one: one["entries"][0].update(entry=one["entries"][0]["entry"].replace('"no"', '"yes"')),
        lambda one: one.update(checkpoint=one["checkpoint"].replace("log.example", "log.elsewhere")),
        lambda one: one.pop("entries"),
    ]
    for number, change in enumerate(changes):
        code, told = verified(server, tmp_path, changed(change), capsys)
        assert (code, told["holds"]) == (4, False), number
    with Workspace.create(tmp_path / "strange", origin="log.example/crafts") as strange:
        key = strange.verifier.to_text()
    assert verified(server, tmp_path, json.dumps(receipt).encode(), capsys, key)[0] == 4
    for nothing in ({}, [], {"proofs": [], "receipts": []}, {"receipts": 3}, 3):
        assert verified(server, tmp_path, json.dumps(nothing).encode(), capsys)[0] != 0, nothing


def test_a_receipt_is_for_who_gave_the_answer(server):
    with server.workspaces.borrow() as workspace:
        entry = workspace.consent.decide("person:orchard-4", yes=False, data=["service"], purpose=["train"])
        size = workspace.ledger.size
    for seq in (entry.seq, 0, size, 10**15):
        assert visit(server, f"/receipts/{seq}").status_code == 400, seq
    for seq in ("-1", "x", "9" * 40):
        assert visit(server, f"/receipts/{seq}").status_code == 400, seq
    assert "You have not answered yet" in visit(server, "/receipts").text


def test_many_answers_are_told_a_page_at_a_time(server):
    with server.workspaces.borrow() as workspace:
        said = [
            workspace.consent.decide(f"person:{PERSON}", yes=bool(number % 2), data=["service"], purpose=["train"]).seq
            for number in range(52)
        ]
    shown, path = [], "/receipts"
    while path:
        page = visit(server, path).text
        shown += [int(seq) for seq in re.findall(r'href="/receipts/(\d+)"', page)]
        older = re.search(r'href="(/receipts\?before=\d+)"', page)
        path = older.group(1) if older else None
    assert shown == said[::-1]
    assert visit(server, "/receipts?before=x").status_code == 400


def test_a_receipt_s_purposes_read_as_one_sentence(server):
    with server.workspaces.borrow() as workspace:
        every = ["advertising", "feature", "tracking", "train"]
        workspace.consent.decide(f"person:{PERSON}", yes=False, data=["service"], purpose=every)
        workspace.consent.decide(
            f"person:{PERSON}", yes=True, data=["service"], purpose=["feature/compose", "train/search"]
        )
    shown = visit(server, "/receipts").text
    assert "Advertising, AI features, tracking and training AI" in shown
    assert "The composer and training search" in shown


def test_the_command_line_gives_the_same_bundle(server, tmp_path, capsys):
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide(f"person:{PERSON}", yes=False, data=["service"], purpose=["train"])
        folder = str(workspace.folder)
    path = tmp_path / "proof.json"
    assert main(["prove", str(path), "--person", PERSON, "--workspace", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["receipts"] == 1
    assert json.loads(path.read_text()) == visit(server, "/receipts/proofs.json").json()


# --- before there is anything ---


def test_an_empty_workspace_says_so_and_nothing_more(tmp_path):
    folder = tmp_path / "empty"
    with Workspace.create(folder, profile=None) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_person("ada", account="acme")
    access = Access.open(folder)
    access.users.add("ada", roles=[Role.PERSON], account="acme", person="ada")
    access.close()
    empty = Server(folder)
    try:
        assert "nothing to weigh" in visit(empty, "/weigh", "ada").text
        assert "No model has been trained here yet" in visit(empty, "/models", "ada").text
        assert "You have not answered yet" in visit(empty, "/receipts", "ada").text
        assert "/receipts/proofs.json" not in visit(empty, "/receipts", "ada").text
    finally:
        empty.close()
        shutil.rmtree(folder)


# --- in a browser ---


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_pages_are_for_everybody(served, new_page, sign_in, tmp_path, capsys):
    """By keyboard, and without JavaScript; and the download verifies."""
    with served.workspaces.borrow() as workspace:
        workspace.consent.decide(f"person:{PERSON}", yes=False, data=["service"], purpose=["train"])
        [model] = workspace.models.states()
    page = sign_in(new_page(script=False))
    page.goto("/settings")
    page.locator("#train-recommend").get_by_role("link", name="Train recommendations").click()
    assert page.url.endswith("/weigh#train-recommend")
    page.locator("#train-recommend .choose a").click()
    assert page.url.endswith("/settings#train-recommend")
    page.goto("/receipts")
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download the proofs").click()
    assert verified(served, tmp_path, loading.value.path().read_bytes(), capsys)[0] == 0
    page = sign_in(new_page())
    page.goto("/models")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == f"/models/{model}":
            break
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="model card").wait_for()
