"""Slack exports: what no list names, people hidden in a message, and what a later export changes or takes back."""

import io
import json
import unicodedata
import zipfile

import pytest

from simulator import silent, world_in
from volition.consent.identity import UNKNOWN
from volition.records.ingest import Draft, Note, PersonRef
from volition.records.ingest.intake import take_in
from volition.records.ingest.slack import read_slack

USERS = [
    {"id": "U1", "name": "ada", "real_name": "Ada Byron", "profile": {"email": "ada@acme.example"}},
    {"id": "U2", "name": "bo", "real_name": "Bo Berg", "profile": {"email": "bo@acme.example"}},
    {"id": "U3", "name": "cy", "real_name": "Cy Clark", "profile": {"email": "cy@acme.example"}},
    {"id": "B9", "name": "bot", "is_bot": True},
]
GENERAL = {"id": "C1", "name": "general", "members": ["U1", "U2", "U3"]}
DAY = "2024-11-03"
TS = 1_730_624_400  # that day at 9:00 UTC


def message(text, *, user="U1", at=0, **more):
    return {"type": "message", "user": user, "text": text, "ts": f"{TS + at}.000100", **more}


def export(days, **lists):
    """Return a zip of the usual lists, with others in their place, and of messages by folder or by folder and day."""
    content = {"users.json": USERS, "channels.json": [GENERAL]}
    content |= {f"{name}.json": value for name, value in lists.items()}
    content |= {f"{name}.json" if "/" in name else f"{name}/{DAY}.json": value for name, value in days.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, json.dumps(value))
    out.seek(0)
    return out


def read(days, **lists):
    return list(read_slack(export(days, **lists), account="acme"))


def drafts(items):
    return [item for item in items if isinstance(item, Draft)]


def ids(draft):
    return [person.id for person in draft.people]


# --- private ---


@pytest.mark.parametrize("folder", ["D0AB12", "hr-private", "mpdm-ada--bo-1"])
def test_a_conversation_that_no_list_names_is_private_to_all_who_write_in_it_and_to_others_unknown(folder):
    items = read({"general": [message("hello")], folder: [message("I am ill"), message("sorry", user="U2", at=1)]})
    general, *secret = sorted(drafts(items), key=lambda draft: draft.payload["channel"] != "general")
    assert "private" not in general.payload
    assert [draft.payload["private"] for draft in secret] == [True, True]
    assert [ids(draft) for draft in secret] == [["U1", "U2", None], ["U2", "U1", None]]
    [note] = [item for item in items if isinstance(item, Note)]
    assert folder in note.what


@pytest.mark.parametrize("mark", ["is_private", "is_group", "is_mpim"])
def test_a_channel_that_its_own_list_calls_private_is_private_to_all_its_members(mark):
    secret = {"id": "C7", "name": "hr", "members": ["U1", "U2"], mark: True}
    [draft] = drafts(read({"hr": [message("I am ill")]}, channels=[GENERAL, secret]))
    assert (draft.payload["private"], ids(draft)) == (True, ["U1", "U2"])


def test_a_group_is_private_to_all_its_members():
    [draft] = drafts(read({"hr": [message("I am ill")]}, groups=[{"id": "G1", "name": "hr", "members": ["U1", "U3"]}]))
    assert (draft.payload["private"], ids(draft)) == (True, ["U1", "U3"])


def test_a_group_without_its_members_has_some_whom_nobody_can_name():
    [draft] = drafts(read({"hr": [message("I am ill")]}, groups=[{"id": "G1", "name": "hr"}]))
    assert draft.people[-1] == PersonRef()


def test_what_two_lists_name_is_private_if_one_of_them_says_so():
    [draft] = drafts(read({"general": [message("x")]}, groups=[{"id": "G1", "name": "general", "members": ["U1"]}]))
    assert draft.payload["private"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_compare_whatever_the_form_of_their_accents(form):
    folder = unicodedata.normalize(form, "équipe-rh")
    listed = unicodedata.normalize("NFC" if form == "NFD" else "NFD", "équipe-rh")
    items = read({folder: [message("I am ill")]}, groups=[{"id": "G1", "name": listed, "members": ["U1", "U2"]}])
    assert [ids(draft) for draft in drafts(items)] == [["U1", "U2"]]
    assert not [item for item in items if isinstance(item, Note)]


def test_a_name_without_the_flag_for_utf_8_is_tried_as_utf_8():
    data = bytearray(export({"équipe-rh": [message("x")]}, channels=[{**GENERAL, "name": "équipe-rh"}]).getvalue())
    name = f"équipe-rh/{DAY}.json".encode()
    for marker, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(marker)
        while place >= 0:
            if name in data[place : place + 46 + len(name)]:
                data[place + offset + 1] &= ~0x08
            place = data.find(marker, place + 1)
    assert zipfile.ZipFile(io.BytesIO(data)).namelist()[-1] != f"équipe-rh/{DAY}.json"
    [draft] = drafts(read_slack(io.BytesIO(data), account="acme"))
    assert (draft.payload["channel"], "private" in draft.payload) == ("équipe-rh", False)


# --- hidden people ---


@pytest.mark.parametrize("reaction", [{"count": 3, "users": ["U2"]}, {"count": 1}, {"count": "2", "users": ["U2"]}])
def test_where_a_reaction_counts_more_people_than_it_lists_somebody_is_unknown(reaction):
    [draft] = drafts(read({"general": [message("party?", reactions=[{"name": "+1", **reaction}])]}))
    assert draft.people[-1] == PersonRef()


def test_where_a_reaction_lists_all_nobody_is_unknown():
    [draft] = drafts(read({"general": [message("x", reactions=[{"name": "+1", "count": 1, "users": ["U2"]}])]}))
    assert ids(draft) == ["U1", "U2"]


@pytest.mark.parametrize(
    "where",
    [
        {"blocks": [{"type": "rich_text", "elements": [{"elements": [{"type": "user", "user_id": "U2"}]}]}]},
        {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "for <@U2>"}}]},
        {"attachments": [{"text": "as <@U2|bo> said", "fields": []}]},
        {"attachments": [{"author_id": "U2", "text": "quoted"}]},
    ],
)
def test_whom_blocks_and_attachments_mention_is_concerned(where):
    [draft] = drafts(read({"general": [message("about Bo", **where)]}))
    assert ids(draft) == ["U1", "U2"]


# --- changes ---


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        made.everyone_says("yes")
        yield made


def collect(world, days, **lists):
    return take_in(
        read(days, **lists),
        account="acme",
        parties=world.parties,
        lake=world.lake,
        history=world.history(),
        now_us=world.clock(),
        progress=silent,
    )


def texts(world):
    """Return what of the messages lies in the lake, as anyone of the account may read it."""
    world.clock.now_us = max(world.clock.now_us, (TS + 10**6) * 1_000_000)
    everybody = [person.pseudonym for person in world.parties.people()]
    for pseudonym in everybody:
        if f"person:{pseudonym}" not in {world.party(name) for name in world.people}:
            world.people[pseudonym] = pseudonym
            world.say(pseudonym, "yes")
    return sorted(row.payload["text"] for row in world.rows("feature/search"))


def edit(text, *, at=0, when=86_400):
    edited = {"user": "U1", "ts": f"{TS + when}.000000"}
    changed = message(text, at=at, edited=edited)
    return {"type": "message", "subtype": "message_changed", "ts": f"{TS + when}.000000", "message": changed}


def test_an_edit_or_a_deletion_in_a_later_days_file_counts():
    deleted = {"type": "message", "subtype": "message_deleted", "ts": f"{TS + 9}.1", "deleted_ts": f"{TS + 1}.000100"}
    items = read({
        f"general/{DAY}": [message("old"), message("secret", at=1)],
        "general/2024-11-04": [edit("new"), deleted],
    })  # fmt: skip
    assert [draft.payload["text"] for draft in drafts(items)] == ["new"]


@pytest.fixture
def now(world):
    world.clock.now_us = (TS + 10**6) * 1_000_000
    return world


def test_of_a_later_export_the_new_state_counts(now):
    collect(now, {"general": [message("I am ill"), message("giraffe", user="U2", at=1)]})
    assert texts(now) == ["I am ill", "giraffe"]
    later = {"general": [message("never mind", edited={"user": "U1", "ts": f"{TS + 86_400}.0"})]}
    outcome = collect(now, later)
    assert texts(now) == ["never mind"]
    assert (outcome.replaced, outcome.gone) == (1, 1)
    assert len([note for note in outcome.notes if "source" in note]) == 2
    again = collect(now, later)
    assert (again.stored, again.replaced, again.gone, again.known) == (0, 0, 0, 1)


def test_an_older_export_collected_later_brings_nothing_back(now):
    earlier = {"general": [message("I am ill"), message("giraffe", user="U2", at=1)]}
    collect(now, earlier)
    collect(now, {"general": [message("never mind", edited={"user": "U1", "ts": f"{TS + 86_400}.0"})]})
    outcome = collect(now, earlier)
    assert texts(now) == ["never mind"]
    assert (outcome.stored, outcome.replaced, outcome.outdated) == (0, 0, 1)


def test_an_export_of_an_earlier_day_removes_nothing_of_a_later_one(now):
    collect(now, {f"general/{DAY}": [message("first")], "general/2024-11-04": [message("second", at=86_400)]})
    assert collect(now, {f"general/{DAY}": [message("first")]}).gone == 0
    assert texts(now) == ["first", "second"]


def test_what_is_gone_in_one_channel_takes_nothing_of_another_with_the_same_name(now):
    collect(now, {"general": [message("ours")]})
    outcome = collect(now, {"general": [message("theirs", at=5)]}, channels=[{**GENERAL, "id": "C77"}])
    assert outcome.gone == 0
    assert texts(now) == ["ours", "theirs"]


def test_a_channel_made_private_in_a_later_export_is_private_whichever_is_collected_last(now):
    secret = {"id": "C1", "name": "general", "members": ["U1", "U2"], "is_private": True}
    collect(now, {"general": [message("hello")]})
    assert collect(now, {"general": [message("hello")]}, channels=[secret]).replaced == 1
    collect(now, {"general": [message("hello")]})
    assert texts(now) == ["hello"]
    assert [row.payload.get("private") for row in now.rows("feature/search")] == [True]


def test_a_message_that_was_erased_is_not_brought_back_by_an_edit(now):
    collect(now, {"general": [message("I am ill")]})
    [pseudonym] = {row.people[0] for row in now.rows("feature/search")}
    assert now.lake.erase_person(pseudonym) == 1
    outcome = collect(now, {"general": [message("never mind", edited={"user": "U1", "ts": f"{TS + 86_400}.0"})]})
    assert (outcome.stored, outcome.replaced) == (0, 0)
    assert texts(now) == []


# --- who ---


def test_without_addresses_the_registered_person_of_that_name_is_concerned(now):
    users = [{**user, "profile": {}} for user in USERS]
    now.say("acme-ada", "no")
    collect(now, {"general": [message("zebra"), message("ok", user="U2", at=1)]}, users=users)
    assert texts(now) == ["ok"]


def test_a_guest_who_was_registered_without_an_account_is_matched(now):
    gus = now.parties.add_person("gus", name="Gus Guest", emails=["gus@out.example"])
    now.people["gus"] = gus.pseudonym
    now.say("gus", "no")
    users = [*USERS, {"id": "U7", "real_name": "Gus Guest", "profile": {"email": "gus@out.example"}}]
    collect(now, {"general": [message("zebra", user="U7"), message("ok", at=1)]}, users=users)
    assert texts(now) == ["ok"]


def test_somebody_hidden_is_unknown_to_the_gate(now):
    collect(now, {"general": [message("party?", reactions=[{"name": "+1", "count": 2, "users": ["U2"]}])]})
    assert texts(now) == ["party?"]
    [row] = now.rows("feature/search")
    assert row.people[-1] == UNKNOWN
    assert now.rows("train/search") == []
