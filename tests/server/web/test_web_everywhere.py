"""Every page of every role, in one walk: axe clean in light and dark, wide and on a phone, by keyboard, without script.

The table fills what varies in the paths; a page that it cannot fill fails here, so a new page is walked without being
told. One browser and one served workspace do for all of it.
"""

import json
import zipfile
from datetime import UTC, datetime

import pytest

from lying_model import claim, model, told
from volition import Workspace
from volition.features.written.corrections import struck
from volition.server.auth import Role
from volition.server.web.app import PAGES
from volition.transparency.access_log import Reader
from waiting import over

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TALK = """WEBVTT

00:01.000 --> 00:04.000
Ada Byron: We decided to move the launch to Friday.

00:05.000 --> 00:09.000
Zoe Guest: Then I will send the new order by Thursday.
"""
SHOWN = [page for page in PAGES if page.method == "GET" and page.template is not None]
TABBABLE = """() => [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
  )].filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled)"""


def usage(person, item, second):
    """Return one usage event as a line of OTLP JSON."""
    told = {"user.id": person, "volition.item": item, "volition.category": "service/usage"}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in told.items()]
    record = {
        "timeUnixNano": str((1_750_000_000 + second) * 10**9),
        "eventName": "item.opened",
        "attributes": attributes,
    }
    return json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [record]}]}]})


@pytest.fixture
def lived(served, tmp_path):
    """Let the served workspace have something of everything; return what stands in the paths' braces."""
    users = [{"id": "U1", "name": "ada", "real_name": "Ada Byron", "profile": {"email": "ada@acme.example"}}]
    said = [{"type": "message", "user": "U1", "text": "the printer is broken again", "ts": "1748854800.000100"}]
    with served.workspaces.borrow() as workspace:
        (tmp_path / "talk.vtt").write_text(TALK)
        workspace.records.collect_webvtt(
            tmp_path / "talk.vtt", account="acme", started=datetime(2025, 6, 4, 9, tzinfo=UTC)
        )
        with zipfile.ZipFile(tmp_path / "chat.zip", "w") as export:
            for name, told in (("users", users), ("channels", [{"id": "C1", "name": "general"}])):
                export.writestr(f"{name}.json", json.dumps(told))
            export.writestr("general/2025-06-02.json", json.dumps(said))
        workspace.records.collect_slack(tmp_path / "chat.zip", account="acme")
        (tmp_path / "broken.vtt").write_text("WEBVTT\n\nbad --> worse\nAda Byron: a slip\n")
        workspace.records.collect_webvtt(
            tmp_path / "broken.vtt", account="acme", started=datetime(2025, 6, 5, tzinfo=UTC)
        )
        lines = []
        for number in range(12):
            workspace.people.add_person(f"u{number}", account="acme", name=f"User {number}")
            lines += [usage(f"u{number}", f"channel/c{(number + item) % 5}", number * 10 + item) for item in range(4)]
        lines += [usage("ada", f"channel/c{item}", 500 + item) for item in range(3)]
        (tmp_path / "usage.jsonl").write_text("\n".join(lines))
        workspace.records.collect_otlp(tmp_path / "usage.jsonl", account="acme")
        guest = workspace.parties.guest("acme", "Zoe Guest").id
        for party in ("account:acme", "person:ada", "person:bo", f"person:{guest}"):
            workspace.consent.decide(
                party, yes=True, data=["service", "content"], purpose=["train", "feature"], covers="past"
            )
        snapshot = workspace.snapshots.create("train/recommend").id
        model = workspace.models.train("recommend", snapshot).id
        workspace.models.audit(model)
        workspace.models.release(model)
        workspace.consent.decide(
            "person:ada", yes=False, data=["service"], purpose=["train"]
        )  # a model is stale, and due
        workspace.forgetting.erase("person:u11")
        erased = next(entry.seq for entry in workspace.entries() if entry.kind == "erasure")
        terms = workspace.terms.published()[-1].id
        olga = Reader(who="olga", role="operator")
        workspace.accesses.note(olga, "holdings", ["ada", guest], records=7, categories=["content/chat"])
        workspace.accesses.note_list(olga, "people", account="acme", records=15)

    have_written(served.folder)

    def learn(_, run):
        for step in range(5):
            run.progress("learning", step, 4, 1 / (1 + step))
        return model

    served.kinds["train"] = learn
    run = served.jobs.start("train", "recommend", by="engineer")
    done = over(served.jobs, run.id)
    link = served.access.links.make_guest_link(person=guest, account="acme")
    followed = served.access.links.sign("erasure", {"seq": erased}, lasts_us=10**12)
    return {
        "/chat/{channel:path}": "/chat/general",
        "/console/ledger/{seq}": "/console/ledger/0",
        "/console/models/{model}": f"/console/models/{model}",
        "/console/runs/{run}": f"/console/runs/{done.id}",
        "/console/snapshots/{snapshot}": f"/console/snapshots/{snapshot}",
        "/guest/{link}": f"/guest/{link}",
        "/meetings/{meeting:path}": "/meetings/talk",
        "/models/{model}": f"/models/{model}",
        "/requests/followed/{link}": f"/requests/followed/{followed}",
        "/search": "/search?q=launch",
        "/speakers/{meeting:path}": "/speakers/talk",
        "/summaries/{meeting:path}": "/summaries/talk",
        "/terms/{version}": f"/terms/{terms}",
    }


def have_written(folder):
    """Have a model write a summary, and send it; there is none any more afterwards."""
    claims = (
        claim("overview", "We decided to move the launch to Friday.", 1),
        claim("task", "Send the new order", 2, who="Zoe Guest", due="by Thursday"),
        claim("decision", "The launch is on Monday.", 1),
    )
    settings = folder / "volition.toml"
    plain = settings.read_text()
    with model(lambda _: told(*claims)) as (url, _):
        settings.write_text(f'{plain}\n[endpoint]\nurl = "{url}"\nmodel = "small"\n')
        with Workspace.open(folder) as workspace:
            workspace.summaries.write("talk", person="ada")
            workspace.summaries.send("talk", person="ada", to=["bo"])
            workspace.summaries.correct("talk", lambda now: struck(now, now.claims[0].id), person="ada")
    settings.write_text(plain)


def walk():
    """Yield every page with each role that may see it, or with none.

    But for the one between a password and its second factor, which `test_web_signing_in_browser` looks at.
    """
    for page in SHOWN:
        if page.path == "/sign-in/code":
            continue
        for role in sorted(page.roles) if page.roles is not None else [None]:
            yield role, page.path


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_every_page_of_every_role_for_every_hand_and_eye(lived, new_page, sign_in, check_access):
    seen = set()
    for role in [None, *Role]:
        paths = [path for whose, path in walk() if whose is role]
        looking, still = new_page(), new_page(script=False)
        for page in (looking, still):
            page.set_default_timeout(60_000)  # the first search or summary loads the sentence encoder
            if role is not None:
                sign_in(page, role)
        for path in paths:
            at = lived.get(path, path)
            assert "{" not in at, f"say in `lived` what stands in the braces of {path}"
            if path in seen:  # what each role gets to see of it, `test_web_routes` and `tests/attack` ask
                continue
            seen.add(path)
            looking.emulate_media(color_scheme="light", reduced_motion="reduce")
            looking.set_viewport_size(WIDE)
            answer = looking.goto(at)
            assert answer.ok, (at, role, answer.status)
            for summary in looking.locator("main summary").all():
                summary.evaluate("(one) => { one.parentElement.open = true }")
            check_access(looking)
            looking.emulate_media(color_scheme="dark", reduced_motion="reduce")
            looking.set_viewport_size(PHONE)
            check_access(looking, looks_alone=True)
            by_keyboard(looking)
            answer = still.goto(at)
            assert answer.ok
            assert still.locator("h1").inner_text() == looking.locator("h1").inner_text()
            for what in ("form", "button", "main a"):  # nothing that can be done is there with JavaScript alone
                assert still.locator(what).count() == looking.locator(what).count(), (at, what)
    assert {*seen, "/sign-in/code"} == {page.path for page in SHOWN} >= set(lived)


def by_keyboard(page):
    """Assert that Tab alone reaches whatever can be used on a page, and that one sees where it is."""
    page.evaluate("""() => {
      window.reached = new Set(); window.unseen = [];
      document.addEventListener("focusin", (event) => {
        window.reached.add(event.target);
        const style = getComputedStyle(event.target);
        if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) window.unseen.push(event.target.outerHTML);
      });
      document.activeElement.blur();
      window.scrollTo(0, 0);
    }""")
    dates = page.evaluate(f"({TABBABLE})().filter((one) => one.type === 'date').length")
    for _ in range(page.evaluate(f"({TABBABLE})().length") + 3 * dates + 2):  # a date is three fields and a calendar
        page.keyboard.press("Tab")
    missed = page.evaluate(f"({TABBABLE})().filter((one) => !window.reached.has(one)).map((one) => one.outerHTML)")
    assert (missed, page.evaluate("window.unseen")) == ([], []), page.url
