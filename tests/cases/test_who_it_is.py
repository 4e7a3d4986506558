"""Who a record is about: spellings, placeholders, people registered later, and files that share a name."""

import json
from datetime import UTC, datetime

import pytest

from simulator import world_in
from volition.consent.identity import Handle, Identities
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, PersonRef, Skipped
from volition.records.ingest.zoom_chat import read_zoom_chat
from volition.workspace import Workspace

STARTED = datetime(2024, 11, 3, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a world with Ann Lee and Bo Berg of acme, and Gus Guest, who has no account."""
    with world_in(tmp_path_factory.mktemp("world")) as made:
        made.parties.add_person("ann", account="acme", name="Ann Lee", aliases=["U0ANN"], emails=["ann@acme.example"])
        made.parties.add_person("joerg", account="acme", name="Jörg Müller")
        made.parties.add_person("gus", name="Gus Guest", emails=["gus@out.example"])
        yield made


def people(world, **handle):
    """Return whom a handle concerns: the ids of registered people, "new" for somebody heard, "?" for nobody known."""
    found = Identities(world.parties).resolve("acme", Handle(**handle)).people
    known = [world.parties.person_by_pseudonym(pseudonym) for pseudonym in found]
    return ["?" if one is None else "new" if one.id.startswith("acme:") else one.id for one in known]


@pytest.mark.parametrize(
    "name",
    [
        "Ann Lee",
        "ANN  LEE",
        "\u200eAnn Lee",
        "Ann\u200d Lee\ufeff",
        "Ａｎｎ　Ｌｅｅ",  # noqa: RUF001 - full-width
        "Ann Lee 🎉",
        "[Ann Lee]",
        ">> Ann Lee",
        "Ann Lee:",
        '"Ann Lee"',
        "Ann Lee (she/her)",
        "Ann Lee [they/them]",
        "Ann Lee she/her/hers",
        "Ann Lee (Host, me)",
        "U0ANN",
        "ann@acme.example",
    ],
)
def test_a_spelling_that_says_nothing_different_is_that_person(world, name):
    assert people(world, name=name) == ["ann"]


@pytest.mark.parametrize(
    "name",
    [
        "Ann Lee (Guest)",
        "Ann Lee (Unverified)",
        "Ann Lee [Acme]",
        "Ann Lee | Acme Robotics",
        "Ann Lee - Acme",
        "Acme: Ann Lee",
        "Ann Lee @ Acme",
        "Lee, Ann",
        "Dr. Ann Lee",
        "Prof. Dr. Ann Lee",
        "Ann Lee, PhD",
        "Ánn Lée",
        "Аnn Lee",  # noqa: RUF001 - a Cyrillic letter
        "ann.lee",
        "ann_lee",
        "Ann Lee 2",
        "Ann Lee's iPhone",
        "iPhone (Ann Lee)",
    ],
)
def test_a_decorated_name_concerns_the_person_and_whom_it_names_itself(world, name):
    assert people(world, name=name) == ["ann", "new"]


@pytest.mark.parametrize("name", ["Joerg Mueller", "Jorg Muller", "JÖRG MÜLLER (Gast)", "Mueller, Joerg"])
def test_accents_and_umlauts_written_out_may_be_the_same_person(world, name):
    assert people(world, name=name) == ["joerg", "new"]


@pytest.mark.parametrize("name", ["Jo\u0308rg Mu\u0308ller", "JÖRG MÜLLER"])
def test_accents_composed_or_not_are_the_same_person(world, name):
    assert people(world, name=name) == ["joerg"]


@pytest.mark.parametrize("name", ["Lee", "A. Lee", "Ann L.", "AnnLee", "Lee Ann", "Ann M. Lee", "Ann Lee-Day"])
def test_a_part_of_a_name_is_somebody_unknown_and_concerns_the_person(world, name):
    assert people(world, name=name)[:2] == ["?", "ann"]


@pytest.mark.parametrize("name", ["Anna Lee", "Bob Lee", "Ann Day", "Anne Leeds", "Joerg Meyer"])
def test_two_people_do_not_become_one(world, name):
    assert people(world, name=name) == ["new"]


def test_where_several_registered_people_may_be_meant_both_are_concerned_and_somebody_unknown_first(tmp_path):
    with world_in(tmp_path) as world:
        world.parties.add_person("ann", account="acme", name="Ann Lee")
        world.parties.add_person("ann2", account="acme", name="Ann Lee")
        world.parties.add_person("ann3", account="acme", name="Ann Day")
        assert people(world, name="Ann Lee") == ["?", "ann", "ann2"]
        assert people(world, name="Ann Lee (Guest)") == ["?", "ann", "ann2", "new"]
        assert people(world, name="Ann") == ["?", "ann", "ann2", "ann3"]


@pytest.mark.parametrize(
    "handle",
    [
        {"id": "U77", "name": "Ann Lee"},
        {"id": "U78", "name": "Ann Lee", "email": "lee@elsewhere.example"},
        {"email": "ann+zoom@acme.example"},
        {"id": "u79", "email": "Ann+Slack@Acme.example", "name": "somebody"},
    ],
)
def test_an_export_without_addresses_or_with_others_concerns_the_person_too(world, handle):
    assert people(world, **handle) == ["ann", "new"]
    assert people(world, **handle) == ["ann", "new"], "and so it stays"


def test_an_identifier_of_one_and_an_address_of_another_concern_both(world):
    assert people(world, id="joerg", email="ann@acme.example") == ["?", "joerg", "ann"]


def test_a_guest_who_was_registered_without_an_account_is_matched_everywhere(world):
    assert people(world, name="Gus Guest") == people(world, email="GUS@out.example") == ["gus"]


@pytest.mark.parametrize(
    "name",
    """Speaker 1|[SPEAKER_00]|SPEAKER_01|Speaker A|spk_0|Unknown|Unknown Speaker 3|Unidentified|Participant 12|Guest|
    Guest User|User 5|Anonymous Participant|Caller|Call-in User_3|iPhone|iPhone 12 Pro Max|SM-G991B|DESKTOP-AB12CD|
    Galaxy S21|Conference Room 4B|Zoom user|Teilnehmer 3|Sprecher 2|Unbekannt|Orateur 2|Participante 1|Спикер 1|
    话者1|参加者 2|说话人 1|참석자 1|null|None|undefined|anonymous|N/A|NaN|-|...|?|🎉|me|+1 415-555-0100|14155550100|
    +1 (415) ***-**00|*****0100|1415XXXX100|00000000-0000-0000-0000-000000000000|A""".replace("\n    ", "").split("|"),
)
def test_a_name_that_is_nobodys_is_unknown(world, name):
    known = len(world.parties.people())
    assert people(world, name=name) == ["?"]
    assert len(world.parties.people()) == known


@pytest.mark.parametrize(
    "name", ["Nan Goldin", "Max", "Guest Smith", "Rob Speaker Jones", "Li", "PhD A", "User Interface"]
)
def test_a_name_that_only_resembles_a_placeholder_is_somebodys(world, name):
    assert people(world, name=name) == ["new"]


def test_two_spellings_of_somebody_erased_bring_nobody_back(tmp_path):
    with world_in(tmp_path) as world:
        world.parties.add_person("ann", account="acme", name="Ann Lee")
        world.parties.destroy_person("ann")
        for name in ("Ann Lee", "ann lee (she/her)", "Dr. Ann Lee", "Lee, Ann", "\u200eAnn Lee"):
            assert people(world, name=name) == ["?"]


# --- a workspace ---


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "w", origin="log.example/cases") as made:
        made.people.add_account("acme", "Acme")
        made.people.add_person("bo", account="acme", name="Bo Berg")
        made.terms.accept("acme", "granular")
        say(made, "account:acme", yes=True)
        say(made, "person:bo", yes=True)
        yield made


def say(workspace, party, *, yes):
    about = {"data": ["content", "service"], "purpose": ["train", "feature"]}
    workspace.consent.decide(party, yes=yes, covers="past" if yes else None, **about)


def transcript(workspace, folder, text, *, name="transcript.vtt"):
    """Collect a transcript in which Bo, too, says something."""
    path = workspace.folder.parent / folder / name
    path.parent.mkdir(exist_ok=True)
    cue = "{}\n00:00:0{}.000 --> 00:00:0{}.900\n{}\n"
    path.write_text("WEBVTT\n\n" + "\n".join(cue.format(n, n, n, line) for n, line in enumerate(text, 1)), "utf-8")
    return workspace.records.collect_webvtt(path, account="acme", started=STARTED)


def permitted(workspace, purpose="feature/search"):
    """Return the texts that may be used."""
    rows = workspace.records.rows(purpose, categories=["content/transcript", "content/chat"])
    return sorted(json.loads(payload)["text"] for batch in rows for payload in batch["payload"].to_pylist())


@pytest.mark.slow
@pytest.mark.parametrize(
    "label", ["Ann Lee", "Ann Lee (she/her)", "Ann Lee (Unverified)", "Lee, Ann", "Dr. Ann Lee", "\u200eAnn Lee", "Ann"]
)
@pytest.mark.parametrize("purpose", ["feature/search", "train/search"])
def test_a_no_holds_under_every_spelling(workspace, label, purpose):
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    say(workspace, "person:ann", yes=False)
    transcript(workspace, "a", [f"{label}: The zebra launch moves.", "Bo Berg: Fine with me."])
    assert "The zebra launch moves." not in permitted(workspace, purpose)
    assert permitted(workspace, "train/search") == []


def test_a_yes_of_the_person_alone_does_not_stand_in_for_whom_a_decorated_name_may_mean(workspace):
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    say(workspace, "person:ann", yes=True)
    outcome = transcript(workspace, "a", ["Ann Lee (Unverified): zebra", "Bo Berg: Fine."])
    assert permitted(workspace, "train/search") == []
    assert any("may be Ann Lee" in note for note in outcome.notes)
    [guest] = workspace.people.namesakes("ann")
    say(workspace, f"person:{guest.id}", yes=True)
    assert permitted(workspace, "train/search") == ["Fine.", "zebra"]


def test_after_registering_somebody_who_spoke_as_a_guest_the_no_of_each_counts_for_both(workspace):
    transcript(workspace, "a", ["Ann Lee: zebra", "Bo Berg: Fine."], name="kickoff.vtt")
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    [guest] = workspace.people.namesakes("ann")
    assert [one.id for one in workspace.people.namesakes(guest.id)] == ["ann"]
    transcript(workspace, "a", ["Ann Lee: giraffe", "Bo Berg: Good."], name="retro.vtt")
    assert permitted(workspace) == ["Fine.", "Good.", "giraffe", "zebra"]
    say(workspace, "person:ann", yes=False)
    assert permitted(workspace) == ["Fine.", "Good."]


def test_a_yes_is_shared_with_nobody(workspace):
    transcript(workspace, "a", ["Ann Lee: zebra", "Bo Berg: Fine."], name="kickoff.vtt")
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    say(workspace, "person:ann", yes=True)
    assert permitted(workspace, "train/search") == []


def test_what_a_guest_has_refused_counts_for_the_person_registered_later(workspace):
    transcript(workspace, "a", ["Ann Lee: zebra", "Bo Berg: Fine."], name="kickoff.vtt")
    guest = workspace.parties.find_person("acme", "Ann Lee")
    say(workspace, f"person:{guest.id}", yes=True)
    workspace.consent.decide(f"person:{guest.id}", yes=False, data=["content/transcript"], purpose=["feature/search"])
    workspace.consent.signal(guest.id)
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    answers = [entry.body for entry in workspace.consent.answers("ann")]
    assert [body.get("signal") for body in answers] == ["gpc", None]
    assert (answers[1]["answer"], answers[1]["data"], answers[1]["purpose"]) == (
        "no",
        ["content/transcript"],
        ["feature/search"],
    )


def test_somebody_registered_under_an_address_that_was_heard_is_told(workspace):
    workspace.parties.add_person("acme:U1", account="acme", aliases=["U1"], emails=["ann@acme.example"])
    workspace.people.add_person("ann", account="acme", name="Ann Lee", emails=["ann@acme.example"])
    assert [one.id for one in workspace.people.namesakes("ann")] == ["acme:U1"]


def test_a_name_that_belonged_to_somebody_erased_is_told(workspace):
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    workspace.parties.destroy_person("ann")
    workspace.people.add_person("ann-2", account="acme", name="Ann Lee")
    assert workspace.people.erased_names("ann-2") == ["Ann Lee"]


# --- files that share a name ---


def test_two_meetings_that_share_a_file_name_are_kept_apart(workspace):
    assert transcript(workspace, "a", ["Bo Berg: zebra", "Bo Berg: Fine."]).notes == []
    outcome = transcript(workspace, "b", ["Bo Berg: The budget is cut.", "Bo Berg: Fine."])
    assert outcome.stored == 2
    assert any("'transcript (2)'" in note for note in outcome.notes)
    assert permitted(workspace) == ["Fine.", "Fine.", "The budget is cut.", "zebra"]
    again = transcript(workspace, "b", ["Bo Berg: The budget is cut.", "Bo Berg: Fine."])
    assert (again.stored, again.known) == (0, 2)


def test_a_transcript_that_has_grown_goes_on(workspace):
    transcript(workspace, "a", ["Bo Berg: one", "Bo Berg: two"])
    outcome = transcript(workspace, "a", ["Bo Berg: one", "Bo Berg: two", "Bo Berg: three"])
    assert (outcome.stored, outcome.known, outcome.notes) == (1, 2, [])


def test_a_corrected_transcript_is_kept_apart_and_that_is_told(workspace):
    transcript(workspace, "a", ["Bo Berg: we cell it", "Bo Berg: two"])
    outcome = transcript(workspace, "a", ["Bo Berg: we sell it", "Bo Berg: two"])
    assert (outcome.stored, len(outcome.notes)) == (2, 1)


# --- Zoom's saved chat ---

CHAT = """09:01:10 From Ann Lee to Everyone:
\tWelcome all
\tand hello
09:02:11 From Bo Berg to Ann Lee (Direct Message):
\tI am ill, please tell nobody
09:03:00 From Ann Lee to Everyone:
\tReacted to "Welcome all" with 👍
09:04:00 From Me to Everyone:
\tReplying to "Welcome all"

\tHi
"""


def chat(text, **options):
    settings = {"source": "chat.txt", "account": "acme", "meeting": "kickoff", "start_us": 10**15} | options
    return list(read_zoom_chat(text.encode(), **settings))


def test_a_saved_chat_is_read_and_its_direct_messages_are_private():
    *drafts, skipped = chat(CHAT)
    ann, bo = PersonRef(name="Ann Lee"), PersonRef(name="Bo Berg")
    assert [(draft.payload["author"], draft.payload["text"]) for draft in drafts] == [
        ("Ann Lee", "Welcome all\nand hello"),
        ("Bo Berg", "I am ill, please tell nobody"),
        ("Me", "Hi"),
    ]
    assert [draft.people for draft in drafts] == [(ann, PersonRef()), (bo, ann), (PersonRef(), ann)]
    assert [draft.payload.get("private", False) for draft in drafts] == [False, True, False]
    assert drafts[0].payload["channel"] == "kickoff" != drafts[1].payload["channel"]
    assert [draft.at_us - 10**15 for draft in drafts] == [0, 61_000_000, 170_000_000]
    assert skipped == Skipped(source="chat.txt", why="reaction or message without words", count=1)


def test_who_saved_a_chat_is_me():
    *drafts, _ = chat(CHAT, me=PersonRef(name="Cy Day"))
    assert drafts[2].people[0] == PersonRef(name="Cy Day")


@pytest.mark.parametrize(
    ("line", "author", "private"),
    [
        ("09:01:10 From Ann Lee : Hello", "Ann Lee", False),
        ("09:01:10\t From Ann Lee to Bo Berg (Privately) : Hello", "Ann Lee", True),
        ("09:01:10 From Ann Lee to Hosts and panelists: Hello", "Ann Lee", True),
        ("09:01:10 From Ann to Do Lists to Everyone: Hello", "Ann to Do Lists", False),
        ("09:01:10 AM From Ann Lee To Everyone: Hello", "Ann Lee", False),
        ("2024-11-03 09:01:10 From Ann Lee to Everyone: Hello", "Ann Lee", False),
        ("00:01:10 Ann Lee: Hello", "Ann Lee", False),
        ("09:01:10 Von Ann Lee an Alle: Hello", "Ann Lee", False),
        ("09:01:10 From Ann Lee (Direct Message): Hello", "Ann Lee", True),
    ],
)
def test_the_forms_that_zoom_has_written_are_read(line, author, private):
    [draft] = chat(line)
    assert (draft.payload["author"], draft.payload["text"]) == (author, "Hello")
    assert draft.payload.get("private", False) is private
    assert (len(draft.people) > 1) is private, "whom it was sent to is concerned"


def test_past_midnight_times_go_on_and_the_same_words_twice_are_two_messages():
    first, second, third = chat("23:59:59 From Ann: x\n00:00:01 From Ann: x\n00:00:01 From Ann: x")
    assert [draft.at_us - 10**15 for draft in (first, second, third)] == [0, 2_000_000, 2_000_000]
    assert len({first.key, second.key, third.key}) == 3
    assert [item.key for item in chat("23:59:59 From Ann: x\n00:00:01 From Ann: x")] == [first.key, second.key]


def test_what_stands_before_the_first_message_is_set_aside_and_what_is_no_chat_is_refused():
    reject, draft = chat("Chat of the kickoff\n09:01:10 From Ann Lee: Hello")
    assert (reject.where, isinstance(draft, Draft)) == ("line 1", True)
    for bad in ("", "nothing here", "a\0b"):
        with pytest.raises(InvalidInputError, match=r"chat\.txt"):
            chat(bad)


def test_a_direct_message_of_a_saved_chat_is_shown_to_its_two_alone(workspace):
    path = workspace.folder.parent / "kickoff.txt"
    path.write_text(CHAT, "utf-8")
    outcome = workspace.records.collect_zoom_chat(path, account="acme", started=STARTED)
    assert (outcome.stored, dict(outcome.not_kept)) == (2, {"unknown-party": 1})
    assert permitted(workspace) == ["I am ill, please tell nobody", "Welcome all\nand hello"]
