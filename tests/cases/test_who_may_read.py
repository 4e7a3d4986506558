"""What is private in an export stays with those who were in it: a colleague of the same account finds none of it."""

import unicodedata
from datetime import UTC, datetime

import pytest
from test_slack_exports import GENERAL, USERS, export, message
from test_who_it_is import CHAT

from volition.errors import InvalidInputError
from volition.features.conversations import ConversationKind
from volition.records.audience import CATEGORY
from volition.workspace import Workspace

CHANNEL = ConversationKind.CHANNEL
NAMES = {"ada": "Ada Byron", "bo": "Bo Berg", "cy": "Cy Clark"}


@pytest.fixture
def workspace(tmp_path):
    """Return a workspace whose people have allowed every feature; Cy is their colleague."""
    with Workspace.create(tmp_path / "ws") as made:
        made.people.add_account("acme", "Acme")
        for person, name in NAMES.items():
            made.people.add_person(person, account="acme", name=name, emails=[f"{person}@acme.example"])
        made.terms.accept("acme")
        allowed = {"data": ["content"], "purpose": ["feature"], "covers": "past"}
        for party in ("account:acme", *(f"person:{one}" for one in NAMES)):
            made.consent.decide(party, yes=True, **allowed)
        yield made


def collect(workspace, days, **lists):
    path = workspace.folder.parent / "export.zip"
    path.write_bytes(export(days, **lists).getvalue())
    return workspace.records.collect_slack(path, account="acme")


def read(workspace, person):
    """Return the texts of every conversation that somebody may read."""
    found = workspace.features.conversations(CHANNEL, person=person)
    return {line.text for one in found for line in one.lines}


SECRET = [message("I am ill"), message("sorry", user="U2", at=1)]
MEMBERS = ["U1", "U2"]
CASES = {
    "100: a direct message that no list names": ("D0AB12", {}),
    "102: a group that no list names": ("hr-private", {}),
    "103: a private channel among the public ones": (
        "hr",
        {"channels": [GENERAL, {"id": "C7", "name": "hr", "members": MEMBERS, "is_private": True}]},
    ),
    "104: a name with its accents apart": (
        unicodedata.normalize("NFD", "équipe-rh"),
        {"groups": [{"id": "G1", "name": "équipe-rh", "members": MEMBERS}]},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_private_conversation_of_an_export_is_found_by_those_who_were_in_it_alone(workspace, case):
    folder, lists = CASES[case]
    collect(workspace, {"general": [message("hello all")], folder: SECRET}, **lists)
    assert read(workspace, "ada") == read(workspace, "bo") == {"hello all", "I am ill", "sorry"}
    assert read(workspace, "cy") == {"hello all"}
    assert {hit.text for hit in workspace.features.search("ill sorry hello", person="cy").hits} <= {"hello all"}
    names = {one.name for one in workspace.features.conversations(CHANNEL, person="ada")} - {"general"}
    for name in (*names, "nowhere"):
        with pytest.raises(InvalidInputError, match=f"There is no channel '{name}' that cy may read"):
            workspace.audiences.readers(name, kind=CHANNEL, account="acme", person="cy")
        with pytest.raises(InvalidInputError, match=f"There is no channel '{name}' that cy was in"):
            workspace.audiences.share(name, kind=CHANNEL, account="acme", with_account=True, by="cy")


def test_a_direct_message_in_a_saved_chat_of_a_meeting_is_read_by_its_two_alone(workspace):
    """Case 600; the other participants of the meeting are no exception."""
    path = workspace.folder.parent / "kickoff.txt"
    path.write_text(CHAT.replace("Ann Lee", "Ada Byron"), "utf-8")
    workspace.records.collect_zoom_chat(path, account="acme", started=datetime(2024, 11, 3, 9, tzinfo=UTC))
    assert "I am ill, please tell nobody" in read(workspace, "ada") & read(workspace, "bo")
    assert not any("ill" in text for text in read(workspace, "cy"))


def test_a_channel_that_a_later_export_calls_private_is_closed_to_colleagues(workspace):
    """Case 129: until then it was open, as its source said."""
    opened = [{"id": "C1", "name": "general"}]
    collect(workspace, {"general": SECRET}, channels=opened)
    assert read(workspace, "cy") == {"I am ill", "sorry"}
    closed = [{**opened[0], "members": MEMBERS, "is_private": True}]
    collect(workspace, {"general": SECRET}, channels=closed)
    assert read(workspace, "cy") == set()
    assert read(workspace, "bo") == {"I am ill", "sorry"}


def test_whom_a_message_merely_mentions_is_opened_nothing(workspace):
    """Case 133: a mention, hidden in a block, concerns somebody; it does not let them in."""
    mention = {"type": "rich_text", "elements": [{"type": "user", "user_id": "U3"}]}
    said = [message("about you", blocks=[{"type": "rich_text", "elements": [mention]}])]
    collect(workspace, {"hr": said}, groups=[{"id": "G1", "name": "hr", "members": MEMBERS}], users=USERS)
    lake = workspace.features._opened.lake
    [peoples] = lake.people_by_source("acme", category=CATEGORY[CHANNEL]).values()
    assert all(len(people) == 3 for people in peoples)
    assert read(workspace, "cy") == set()
    assert read(workspace, "bo") == {"about you"}
