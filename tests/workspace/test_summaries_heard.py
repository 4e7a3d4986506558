"""A summary of a meeting that was recorded: never freer than the recording, and its places lead to the sound."""

import re
import shutil
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from lying_model import claim, model, told
from volition import Workspace
from volition.canonical import datetime_to_us
from volition.features.written import corrections
from volition.progress import silent
from volition.records.ingest import Draft, PersonRef
from volition.records.lake import HEARD_IN
from volition.server.app import Server
from volition.server.auth import Role

SAID = (
    ("ada", "Ada Byron", "content/audio", "The launch moves to Friday."),
    ("bo", "Bo Berg", "content/video", "Then the brochure must be ready on Thursday."),
)
SAYS = (
    claim("overview", "The launch moves to Friday.", 1),
    claim("task", "The brochure must be ready", 2, who="Bo Berg", due="on Thursday"),
)


def heard(workspace, number, *, sound):
    """Return a line that was heard in a recording, as transcribing gives it."""
    person, name, category, text = SAID[number]
    people = [workspace.parties.person(one).pseudonym for one in (person, *({"ada", "bo"} - {person}))]
    payload = {"kind": "segment", "meeting": "review", "turn": number, "start_ms": 1000 + 5000 * number}
    if sound:
        payload["sound"] = {"piece": "0" * 32, "start_ms": 0}
    return Draft(
        key=f"line:{number}",
        account="acme",
        people=tuple(PersonRef(pseudonym=one) for one in people),
        category="content/transcript",
        at_us=datetime_to_us(datetime(2025, 6, 2, 9, tzinfo=UTC)),
        payload={**payload, "end_ms": 5000 * (number + 1), "speaker": name, "text": text, HEARD_IN: category},
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heard") / "workspace"
    with Workspace.create(folder, origin="log.example/heard") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme")
        for person, name in (("ada", "Ada Byron"), ("bo", "Bo Berg")):
            workspace.people.add_person(person, account="acme", name=name)
        uses = {"data": ["content"], "purpose": ["feature", "train"], "covers": "past"}
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(party, yes=True, **uses)
        lines = [heard(workspace, number, sound=number == 1) for number in (0, 1)]
        assert workspace.records.take_in(lines, "acme", silent).stored == 2
    return folder


@pytest.fixture
def folder(template, tmp_path):
    folder = shutil.copytree(template, tmp_path / "workspace")
    with model(lambda _: told(*SAYS)) as (url, _):
        settings = folder / "volition.toml"
        settings.write_text(f'{settings.read_text()}\n[endpoint]\nurl = "{url}"\nmodel = "liar"\n')
        yield folder


def used(workspace, purpose, kind):
    permits = workspace.gate.permits(purpose)
    rows = workspace._opened.lake.rows(permits, categories=["content/transcript"])
    return [row.payload for row in rows if row.payload["kind"] == kind]


@pytest.mark.parametrize("category", ["content/audio", "content/video"])
def test_a_corrected_summary_trains_only_where_what_it_tells_may(folder, category):
    with Workspace.open(folder) as workspace:
        workspace.summaries.write("review", person="ada")
        workspace.summaries.correct("review", lambda now: corrections.struck(now, now.claims[0].id), person="ada")
        [edited] = used(workspace, "train/summary", "summary")
        assert edited[HEARD_IN] == ["content/audio", "content/video"]
        assert len(used(workspace, "feature/summary", "written")) == 1

        workspace.consent.decide("person:bo", yes=False, data=[category], purpose=["train/summary"])

        assert used(workspace, "train/summary", "summary") == []
        assert len(used(workspace, "feature/summary", "written")) == 1


def test_what_rests_on_nothing_heard_says_nothing_of_a_recording(folder):
    with Workspace.open(folder) as workspace:
        line = heard(workspace, 0, sound=False)
        said = {name: value for name, value in line.payload.items() if name != HEARD_IN}
        workspace.records.take_in(
            [Draft(**{**{one: getattr(line, one) for one in ("account", "people", "category", "at_us")},
                      "key": "typed", "payload": {**said, "meeting": "walk"}})],
            "acme",
            silent,
        )  # fmt: skip
        workspace.summaries.write("walk", person="ada")
        [written] = used(workspace, "feature/summary", "written")
    assert HEARD_IN not in written


@pytest.mark.slow
def test_a_place_opens_the_player_at_its_second_where_the_sound_was_kept(folder):
    with Workspace.open(folder) as workspace:
        workspace.summaries.write("review", person="ada")
    server = Server(folder, is_demo=True, has_worker=False)
    try:
        server.access.users.add("ada", roles=[Role.PERSON], account="acme", person="ada")
        ada = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
        ada.cookies.set("volition", server.access.sessions.begin("ada"))
        page = ada.get("/summaries/review").text
        cites = re.findall(r'<a href="([^"]*)">([^<]*)<span class="hidden">( in the [^<]*)', page)
        silent_line, kept = dict.fromkeys(cites)
        assert silent_line == ("/meetings/review?turn=0#t-0", "0:01", " in the transcript")
        assert kept[1:] == ("0:06", " in the recording")
        opened = ada.get(kept[0].replace("&amp;", "&")).text
        assert f'src="/recordings/{"0" * 32}#t=6.0"' in opened
    finally:
        server.close()
