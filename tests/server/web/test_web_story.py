"""The whole story in a real browser: weigh, yes, training, a summary, no; every page agrees, and the proof verifies."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from volition.server.auth import Role

AGREED = ("the launch", "the budget", "the brochure", "the hiring plan")
CHATTER = "the weather was lovely on the way here and the train was on time for once"
ASKED = {"account": "acme", "people": ["ada"], "category": "content/transcript"}


def hold_meetings(served, folder):
    """Collect meetings with the summaries that people edited: what summaries learn from."""
    with served.workspaces.borrow() as workspace:
        for number, about in enumerate(AGREED):
            lines = [
                f"We decided to move {about} to Friday.",
                f"Well, {CHATTER}.",
                f"So {about} it is, number {number}.",
            ]
            cues = [
                f"00:{10 * place:02}.000 --> 00:{10 * place + 8:02}.000\n{('Ada Byron', 'Bo Berg')[place % 2]}: {line}\n"
                for place, line in enumerate(lines)
            ]
            path = folder / f"meeting-{number}.vtt"
            path.write_text("\n".join(["WEBVTT\n", *cues]))
            started = datetime(2025, 6, 3, 9, tzinfo=UTC) + timedelta(days=number)
            workspace.records.collect_webvtt(path, account="acme", started=started)
        edited = [
            {"meeting": f"meeting-{n}", "text": f"We decided to move {a} to Friday."} for n, a in enumerate(AGREED)
        ]
        (folder / "edited.jsonl").write_text("\n".join(json.dumps(one) for one in edited))
        workspace.records.collect_summaries(folder / "edited.jsonl", account="acme")


def ask(page, method, path, body=None):
    """Ask the API as whoever is signed in on a page."""
    answer = page.context.request.fetch(
        path, method=method, data=body, headers={"sec-fetch-site": "same-origin", "content-type": "application/json"}
    )
    assert answer.ok, (path, answer.status, answer.text())
    return answer


def run_over(page):
    """Wait on a run's page until it is over, as the page tells it; return what it says then."""
    page.locator("#now strong", has_text="Done.").wait_for()
    return page.locator("#now").inner_text()


def standings(places, purpose, switch):
    """Return how a permission for Ada's words stands, by every place that shows it."""
    administrator, operator, person, folder = places
    name = purpose.replace("/", "-")
    told = {}
    person.goto("/settings")
    told["settings"] = person.locator(f"#{switch} .row .pill").inner_text()
    told["at a glance"] = person.locator(f'.glances li:has(a[href="#{switch}"]) .pill').inner_text()
    for path in ("/meetings/meeting-0", "/search", "/chat"):
        person.goto(path)
        use = person.locator(f"#use-{name} .pill")
        if use.count():  # a page tells of the uses that it is about
            told[path] = use.inner_text()
    person.goto("/weigh")
    told["weigh"] = person.locator(f"#{name} > .row .pill").inner_text()
    may = ask(operator, "POST", "/v1/may", json.dumps({"purpose": purpose, **ASKED})).json()["permitted"]
    told["api"] = "Used" if may else "Not used"
    administrator.goto("/account")  # what is allowed there may still be refused by a person
    told["account"] = {"Allowed": "Used"}.get(administrator.locator(f"#{switch} .row .pill").inner_text(), "Not used")
    command = [sys.executable, "-m", "volition", "may", purpose, "--workspace", str(folder), "--account", "acme"]
    command += ["--person", "ada", "--category", "content/transcript"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 3}, done.stderr
    told["command"] = "Used" if done.returncode == 0 else "Not used"
    return told


def weigh_and_allow(administrator):
    """Let the administrator weigh first, and then allow summaries and their training."""
    administrator.goto("/weigh")
    assert administrator.locator("#train-summary").get_by_text("not measured").count()  # nothing was trained yet
    for switch in ("train-summary", "feature-summary"):
        administrator.goto(f"/account#{switch}")
        assert administrator.locator(f"#{switch} .row .pill").inner_text() == "Not allowed"
        administrator.locator(f"#{switch}-past").check()
        administrator.locator(f"#{switch}-yes").click()
        administrator.locator(f"#{switch} .row .pill", has_text=re.compile("^Allowed$")).wait_for()
        assert administrator.get_by_text("the account's yes counts from now on").is_visible()


def train_and_release(operator):
    """Train summaries on the console, following the run live; audit, and put to work. Return the model."""
    operator.goto("/console/runs")
    operator.locator("#learn").select_option("summary")
    operator.get_by_role("button", name="Start").click()
    assert "The model is summary-" in run_over(operator)
    operator.locator("#now a").click()
    model = operator.locator("h1").inner_text()
    operator.get_by_role("button", name="Audit").click()
    run_over(operator)
    operator.locator("#now a").click()
    operator.get_by_role("button", name="Release").click()
    operator.get_by_text("is released").first.wait_for()
    return model


def verifies(file, key):
    """Tell whether `volition verify` accepts a file, knowing the public key alone."""
    command = [sys.executable, "-m", "volition", "verify", str(file), "--key", key]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=file.parent).returncode == 0


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_story_from_weighing_to_the_proof(served, new_page, sign_in, tmp_path):
    hold_meetings(served, tmp_path)
    administrator, operator, person = (
        sign_in(new_page(), role) for role in (Role.ADMINISTRATOR, Role.OPERATOR, Role.PERSON)
    )
    places = (administrator, operator, person, served.folder)
    for page in places[:3]:
        page.set_default_timeout(60_000)  # the first summary loads the sentence encoder

    # Before anything is allowed the meeting can be read, and its page says who can turn the summary on.
    person.goto("/meetings/meeting-0")
    assert person.get_by_text("We decided to move the launch to Friday.").count() == 1
    assert person.get_by_text("An administrator of Acme Ltd can turn it on.").is_visible()

    # The administrator weighs, goes on to the switches, and says yes to two; so do the people.
    weigh_and_allow(administrator)
    with served.workspaces.borrow() as workspace:
        workspace.consent.decide("person:bo", yes=True, data=["content"], purpose=["train", "feature"], covers="past")
    person.goto("/weigh")
    person.locator("#train-summary .choose a").click()
    person.locator("#train-summary-past").check()
    person.locator("#train-summary-yes").click()
    person.get_by_text("your yes counts from now on").wait_for()
    for switch in ("feature-summary", "train-summary"):
        told = standings(places, switch.replace("-", "/"), switch)
        assert set(told.values()) == {"Used"}, told

    # The operator trains, and watches it to its end; audits the model, and puts it to work.
    model = train_and_release(operator)

    # The summary is on the meeting's page.
    person.goto("/meetings/meeting-0")
    assert person.locator("#off").count() == 0
    assert "Not trained" not in person.locator("#summary-card").inner_text()
    assert "We decided to move the launch to Friday." in person.locator("#decisions + ul").inner_text()
    moment = person.locator("#moments + ul a").first
    moment.click()
    assert person.evaluate("document.querySelector(':target').closest('.turns') !== null")

    # The person says no, with one click each; every place agrees, and the transcript stays.
    for switch in ("train-summary", "feature-summary"):
        person.goto("/settings")
        person.locator(f"#{switch}-no").click()
        person.get_by_text("your no counts from now on").wait_for()
    for switch in ("feature-summary", "train-summary"):
        told = standings(places, switch.replace("-", "/"), switch)
        assert {place for place, said in told.items() if said != "Not used"} == {"account"}, told  # whose yes stands
    person.goto("/meetings/meeting-0")
    assert "Ada Byron" not in person.locator("#summary-card").inner_text()  # no summary quotes her; Bo said yes
    assert person.locator("#t-0").get_by_text("We decided to move the launch to Friday.").is_visible()

    # The model that learned from them is named with its due date, to them and to the operator, and forgets.
    person.goto("/models")
    assert person.locator(f"#{model} .due").count() == 1
    operator.goto("/console/forgettings")
    assert operator.get_by_role("link", name=model).count() == 1
    operator.get_by_role("button", name="Forget now").click()
    assert "One model has forgotten." in run_over(operator)
    person.goto("/models")
    assert person.locator(f"#{model} .pill").inner_text() == "Forgotten"

    # The proofs are downloaded, and checked by somebody who has nothing but the public key.
    person.goto("/receipts")
    with person.expect_download() as loading:
        person.get_by_role("link", name="Download the proofs").click()
    loading.value.save_as(tmp_path / "proofs.json")
    assert model in {proof["model"] for proof in json.loads((tmp_path / "proofs.json").read_text())["proofs"]}
    with served.workspaces.borrow() as workspace:
        workspace.proofs.bundle(tmp_path / "bundle.zip")
        key = workspace.verifier.to_text()
    for file in ("proofs.json", "bundle.zip"):
        assert verifies(tmp_path / file, key)
