"""The whole story in a real browser: weigh, yes, training, a summary, no; every page agrees, and the proof verifies."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from volition.access import Role

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
            workspace.collect_webvtt(path, account="acme", started=started)
        edited = [
            {"meeting": f"meeting-{n}", "text": f"We decided to move {a} to Friday."} for n, a in enumerate(AGREED)
        ]
        (folder / "edited.jsonl").write_text("\n".join(json.dumps(one) for one in edited))
        workspace.collect_summaries(folder / "edited.jsonl", account="acme")


def ask(page, method, path, body=None):
    """Ask the API as whoever is signed in on a page."""
    answer = page.context.request.fetch(
        path, method=method, data=body, headers={"sec-fetch-site": "same-origin", "content-type": "application/json"}
    )
    assert answer.ok, (path, answer.status, answer.text())
    return answer


def follow(page, begun):
    """Follow a run to its end, event by event; return its result."""
    events = ask(page, "GET", f"/v1/runs/{begun.json()['run']}/events").text()
    told = [json.loads(line.removeprefix("data: ")) for line in events.splitlines() if line.startswith("data: ")]
    assert told[-1]["state"] == "done", told[-1]
    return told[-1]["result"]


def standings(page, operator, purpose):
    """Return how a permission stands on every place that shows it: settings, a meeting's page, and the API."""
    name = purpose.replace("/", "-")
    page.goto("/settings")
    settings = page.locator(f"#{name} .row .pill").inner_text()
    glance = page.locator(f'.glances li:has(a[href="#{name}"]) .pill').inner_text()
    page.goto("/meetings/meeting-0")
    meeting = page.locator(f"#use-{name} .pill").inner_text()
    may = ask(operator, "POST", "/v1/may", json.dumps({"purpose": purpose, **ASKED})).json()["permitted"]
    return {settings, glance, meeting, "Used" if may else "Not used"}


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_story_from_weighing_to_the_proof(served, new_page, sign_in, tmp_path):
    hold_meetings(served, tmp_path)
    administrator, operator, person = (
        sign_in(new_page(), role) for role in (Role.ADMINISTRATOR, Role.OPERATOR, Role.PERSON)
    )

    for page in (administrator, operator, person):
        page.set_default_timeout(60_000)  # the first summary loads the sentence encoder

    # Before anything is allowed the meeting can be read, and its page says who can turn the summary on.
    person.goto("/meetings/meeting-0")
    assert person.get_by_text("We decided to move the launch to Friday.").count() == 1
    assert person.get_by_text("An administrator of Acme Ltd can turn it on.").is_visible()

    # The administrator weighs, and says yes; so do the people.
    with served.workspaces.borrow() as workspace:
        weighed = workspace.weigh("account:acme", purpose=["train/summary"])
    assert weighed
    yes = {"answer": "yes", "data": ["content"], "purpose": ["train", "feature"], "covers": "past"}
    ask(administrator, "POST", "/v1/decisions", json.dumps({"party": "account:acme", **yes}))
    with served.workspaces.borrow() as workspace:
        workspace.decide("person:bo", yes=True, data=["content"], purpose=["train", "feature"], covers="past")
    person.goto("/settings")
    person.locator("#train-summary-past").check()
    person.locator("#train-summary-yes").click()
    person.get_by_text("your yes counts from now on").wait_for()
    for purpose in ("feature/summary", "train/summary"):
        assert standings(person, operator, purpose) == {"Used"}

    # Training runs, and is followed to its end; the model is audited, and released.
    model = follow(operator, ask(operator, "POST", "/v1/runs", json.dumps({"family": "summary"})))
    follow(operator, ask(operator, "POST", f"/v1/models/{model}/audit"))
    ask(operator, "POST", f"/v1/models/{model}/release")

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
    for purpose in ("feature/summary", "train/summary"):
        assert standings(person, operator, purpose) == {"Not used"}
    person.goto("/meetings/meeting-0")
    assert "Ada Byron" not in person.locator("#summary-card").inner_text()  # no summary quotes her; Bo said yes
    assert person.locator("#t-0").get_by_text("We decided to move the launch to Friday.").is_visible()

    # The model that learned from them is named, and forgets.
    [owed] = ask(operator, "GET", "/v1/owed").json()
    assert owed["model"] == model
    [forgotten] = follow(operator, ask(operator, "POST", "/v1/forgettings"))
    assert forgotten["model"] == model

    # The proofs are handed over, and checked by somebody who has nothing but the public key.
    proofs = ask(person, "GET", "/v1/people/ada/proofs")
    assert model in {proof["model"] for proof in proofs.json()["proofs"]}
    (tmp_path / "proofs.json").write_bytes(proofs.body())
    with served.workspaces.borrow() as workspace:
        workspace.prove(tmp_path / "bundle.zip")
        key = workspace.verifier.to_text()
    for file in ("proofs.json", "bundle.zip"):
        command = [sys.executable, "-m", "volition", "verify", file, "--key", key]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
