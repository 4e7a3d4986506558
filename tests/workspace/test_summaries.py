"""Written summaries in a workspace: gated, erased with their people, corrected, sent; and what left is written down."""

import json
import shutil
from datetime import UTC, datetime

import pytest

from llm_server import serving
from lying_model import GOOD, claim, model, told
from volition import Workspace
from volition.canonical import datetime_to_us
from volition.errors import BackendError, InvalidInputError, RefusedError
from volition.features.conversations import ConversationKind
from volition.features.written import corrections
from volition.features.written.claims import ClaimKind, WritingState
from volition.progress import silent
from volition.records.ingest import Draft, PersonRef

TRANSCRIPT = """WEBVTT

00:01.000 --> 00:05.000
Ann Lee: We decided that the new battery has to last for nine hours.

01:06.000 --> 01:09.000
Bob Ray: The museum does not pay for the lamps, so our budget must cover them.

02:10.000 --> 02:14.000
Ann Lee: I will send the drawings of the oak frame to the museum by Friday.

03:10.000 --> 03:14.000
Bob Ray: Who orders the glass? That is still open.
"""
DOWN = (404, {}, b"nothing here")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("summaries")
    (folder / "frames.vtt").write_text(TRANSCRIPT)
    with Workspace.create(folder / "workspace") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_account("brill", "Brill")
        workspace.terms.accept("acme")
        workspace.terms.accept("brill")
        people = (("ann", "Ann Lee"), ("bob", "Bob Ray"), ("dee", "Dee Poe"), ("eve", "Eve Orr"))
        for person, name in people:
            workspace.people.add_person(person, account="acme", name=name)
        workspace.people.add_person("cy", account="brill", name="Cy Clark")
        for account in ("acme", "brill"):
            uses = {"data": ["content"], "purpose": ["feature/summary", "train/summary"]}
            workspace.consent.decide(f"account:{account}", yes=True, covers="past", **uses)
        started = datetime(2025, 6, 2, 9, tzinfo=UTC)
        workspace.records.collect_webvtt(folder / "frames.vtt", account="acme", started=started)
        workspace.records.collect_webvtt(folder / "frames.vtt", account="brill", started=started)
    return folder / "workspace"


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "workspace")


def opened(folder, url):
    settings = folder / "volition.toml"
    plain = settings.read_text().partition("\n[endpoint]")[0]
    settings.write_text(f'{plain}\n[endpoint]\nurl = "{url}"\nmodel = "liar"\ntimeout_s = 5\n')
    return Workspace.open(folder)


def texts(workspace, person, meeting="frames"):
    return [[claim.text for claim in one.summary.claims] for one in workspace.summaries.of(person, meeting=meeting)]


@pytest.fixture
def written(folder):
    with model(lambda _: told(*GOOD)) as (url, asked), opened(folder, url) as workspace:
        workspace.summaries.write("frames", person="ann")
        yield workspace, asked


def test_it_is_its_owners_alone_until_they_send_it(written):
    workspace, _ = written
    own = [[one["text"] for one in GOOD]]
    assert texts(workspace, "ann") == own
    assert [texts(workspace, person) for person in ("bob", "dee", "cy")] == [[], [], []]

    assert workspace.summaries.send("frames", person="ann", to=["dee"]) is not None
    assert workspace.summaries.send("frames", person="ann", to=["Dee Poe"]) is None
    assert texts(workspace, "dee") == own
    assert [texts(workspace, person) for person in ("bob", "eve", "cy")] == [[], [], []]
    [received] = workspace.summaries.of("dee")
    assert (received.is_own, received.owner.name, received.receivers) == (False, "Ann Lee", ())
    with pytest.raises(InvalidInputError, match="no meeting"):
        workspace.audiences.readers("frames", kind=ConversationKind.MEETING, account="acme", person="dee")

    workspace.summaries.take_back("frames", person="ann", to=["dee"])
    assert texts(workspace, "dee") == []


@pytest.mark.parametrize(
    ("person", "to", "why"),
    [
        ("ann", ["cy"], "no user of the account"),
        ("ann", ["nobody"], "no user of the account"),
        ("ann", [], "to whom"),
        ("bob", ["dee"], "no written summary"),
        ("dee", ["eve"], "no written summary"),
        ("cy", ["dee"], "no written summary"),
    ],
)
def test_nobody_sends_what_is_not_theirs_or_to_others_than_colleagues(written, person, to, why):
    workspace, _ = written
    with pytest.raises(InvalidInputError, match=why):
        workspace.summaries.send("frames", person=person, to=to)


def test_an_account_may_choose_that_everyone_who_was_there_receives_it(written):
    workspace, _ = written
    assert not workspace.audiences.gives_summaries_to_all_there("acme")
    workspace.audiences.give_summaries_to_all_there("acme", given=True)
    assert len(texts(workspace, "bob")) == 1
    assert [texts(workspace, person) for person in ("dee", "cy")] == [[], []]
    workspace.audiences.give_summaries_to_all_there("acme", given=False)
    assert texts(workspace, "bob") == []


def test_whoever_was_not_in_the_meeting_can_have_none_written(written):
    workspace, asked = written
    before = len(asked)
    for person in ("dee", "cy"):
        with pytest.raises(RefusedError, match="There is no meeting"):
            workspace.summaries.ask("frames" if person == "dee" else "elsewhere", person=person)
    guest = workspace.parties.guest("acme", "Zoe Guest").id
    with pytest.raises(RefusedError, match="guest"):
        workspace.summaries.ask("frames", person=guest)
    assert len(asked) == before


def test_another_accounts_meeting_of_the_same_name_is_another(written):
    workspace, asked = written
    workspace.summaries.write("frames", person="ann")
    assert texts(workspace, "cy") == []
    assert all("brill" not in str(request["body"]).casefold() for request in asked)


def test_each_speaker_sees_how_many_of_their_lines_left_for_which_host(written):
    workspace, asked = written
    host = asked[0]["headers"]["Host"]
    for person, lines in (("ann", 2), ("bob", 2)):
        [line] = [one for one in workspace.accesses.of(person) if one.reading == "endpoint"]
        assert (line.who, line.role, line.records, line.categories) == (
            host,
            "language model",
            lines,
            ("content/transcript",),
        )
    assert not [one for one in workspace.accesses.of("dee") if one.reading == "endpoint"]


def test_after_a_no_the_speakers_claims_are_gone_and_their_lines_leave_no_more(written):
    workspace, asked = written
    workspace.consent.decide("person:bob", yes=False, data=["content"], purpose=["feature/summary"])
    assert not any("museum does not" in text for one in texts(workspace, "ann") for text in one)
    workspace.summaries.write("frames", person="ann")
    assert "lamps" not in str(asked[-1]["body"])
    found = workspace.summaries.of("ann", meeting="frames")
    assert [one.text for one in found[0].summary.of(ClaimKind.DECISION)] == [GOOD[3]["text"]]

    workspace.consent.decide("account:acme", yes=False, data=["content"], purpose=["feature/summary"])
    before = len(asked)
    with pytest.raises(RefusedError):
        workspace.summaries.of("ann")
    with pytest.raises(RefusedError):
        workspace.summaries.write("frames", person="ann")
    assert len(asked) == before


def alone(turn, *people):
    """Return a line of a meeting in which each line was heard by others: what is left when one of them is erased."""
    text = {"ann": GOOD[3]["text"], "bob": GOOD[1]["text"]}[people[0]]
    place = {"turn": turn, "start_ms": 1000 * turn, "end_ms": 1000 * turn + 9}
    return Draft(
        key=f"walk:{turn}",
        account="acme",
        people=tuple(PersonRef(id=one) for one in people),
        category="content/transcript",
        at_us=datetime_to_us(datetime(2025, 6, 2, 9, tzinfo=UTC)),
        payload={"kind": "segment", "meeting": "walk", **place, "speaker": people[0], "text": text},
    )


def test_it_is_erased_with_anyone_whose_words_it_tells_and_can_be_written_anew(written):
    workspace, _ = written
    workspace.records.take_in([alone(0, "ann"), alone(1, "bob", "ann")], "acme", silent)
    workspace.summaries.write("walk", person="ann")
    workspace.summaries.correct("walk", lambda now: corrections.struck(now, now.claims[0].id), person="ann")
    workspace.forgetting.erase("person:bob")
    assert texts(workspace, "ann") == []
    workspace.summaries.write("walk", person="ann")
    [own] = texts(workspace, "ann", "walk")
    assert GOOD[3]["text"] in own
    assert GOOD[1]["text"] not in own


def test_corrections_are_an_edited_summary_that_training_uses_only_with_everyones_yes(written):
    workspace, _ = written
    workspace.summaries.send("frames", person="ann", to=["dee"])
    first, second = (one.id for one in workspace.summaries.of("ann")[0].summary.claims[:2])
    workspace.summaries.correct("frames", lambda now: corrections.struck(now, second), person="ann")
    workspace.summaries.correct("frames", lambda now: corrections.reworded(now, first, "It lasts."), person="ann")
    [received] = texts(workspace, "dee")
    assert "It lasts." in received
    assert GOOD[1]["text"] not in received, "what is struck out is seen by its owner alone"

    decided = workspace.summaries.of("ann")[0].summary.of(ClaimKind.DECISION)[0].id
    workspace.summaries.correct("frames", lambda now: corrections.struck(now, decided), person="ann")
    more = "Bob orders the glass himself"
    workspace.summaries.correct("frames", lambda now: corrections.added(now, ClaimKind.TASK, more), person="ann")

    for person in ("ann", "bob"):
        workspace.consent.decide(
            f"person:{person}", yes=True, covers="past", data=["content"], purpose=["train/summary"]
        )

    def payloads():
        rows = [row for batch in workspace.records.rows("train/summary") for row in batch.to_pylist()]
        return [one for one in map(json.loads, (row["payload"] for row in rows)) if one["kind"] == "summary"]

    def edited():
        return [one["text"] for one in payloads()]

    assert [one["told"] for one in payloads()] == [{"decisions": [], "tasks": [2, 3]}], "a line, and one by its words"

    [text] = edited()
    assert text.startswith("It lasts.")
    workspace.consent.decide("person:bob", yes=False, data=["content"], purpose=["train/summary"])
    assert edited() == []
    for person in ("bob", "dee"):
        with pytest.raises((InvalidInputError, RefusedError)):
            workspace.summaries.correct("frames", lambda now: now, person=person)


def test_what_fails_says_so_and_goes_on_where_it_stopped(folder):
    with serving(DOWN) as (url, _), opened(folder, url) as workspace:
        with pytest.raises(BackendError):
            workspace.summaries.write("frames", person="ann")
        [own] = workspace.summaries.of("ann", meeting="frames")
        assert own.summary.state is WritingState.FAILED
        assert "404" in own.summary.error
        assert workspace.summaries.of("bob") == ()
    with model(lambda _: told(*GOOD)) as (url, _), opened(folder, url) as workspace:
        workspace.summaries.write_asked(workspace.summaries.ask("frames", person="ann"))
        [own] = workspace.summaries.of("ann", meeting="frames")
        assert (own.summary.state, own.summary.error) == (WritingState.DONE, "")


def test_without_an_end_point_none_is_written(folder):
    with Workspace.open(folder) as workspace, pytest.raises(InvalidInputError, match=r"\[endpoint\]"):
        workspace.summaries.ask("frames", person="ann")


def test_a_model_that_lies_about_other_meetings_is_not_believed(folder):
    lies = (
        claim("overview", "In the other meeting the lamps cost 400 euros.", 2),
        claim("decision", "Cy Clark may read this meeting.", 1),
    )
    with model(lambda _: told(*lies)) as (url, _), opened(folder, url) as workspace:
        now = workspace.summaries.write("frames", person="ann")
        assert now.claims == ()
        assert sum(now.left_out.values()) == 2
        assert texts(workspace, "cy") == []
