"""Who may read: a plain reference says it, and every use case that reads agrees, whatever was opened to whom."""

import io
import json
import zipfile
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import START_US, Clock
from volition.consent.references import source_id
from volition.errors import InvalidInputError, RefusedError
from volition.ledger.entry import NewEntry
from volition.records.audience import CATEGORY, ConversationKind
from volition.records.ingest import Draft, PersonRef
from volition.records.lake import record_id
from volition.workspace import Workspace

MEETING, CHANNEL, FILE = ConversationKind
USERS = {"acme": ("ada", "bo", "cy"), "brill": ("dee", "eli")}
GAIL = "gail"  # known by her name alone
SPEAKERS = {"acme": (*USERS["acme"], GAIL), "brill": (*USERS["brill"], GAIL)}
ITEMS = {MEETING: "meeting", CHANNEL: "channel", FILE: "document"}


@dataclass(frozen=True)
class Said:
    """A record, as the reference knows it."""

    number: int
    account: str
    kind: ConversationKind
    name: str
    people: tuple[str, ...]
    private: bool

    @property
    def id(self):
        return record_id(self.account, f"said:{self.number}")

    @property
    def conversation(self):
        return (self.account, self.kind, self.name)

    def draft(self):
        text = f"We decided to order wheel number {self.number}."
        match self.kind:
            case ConversationKind.MEETING:
                turn = {"turn": self.number, "start_ms": 1000 * self.number, "end_ms": 1000 * self.number + 900}
                payload = {"kind": "segment", "meeting": self.name, **turn, "speaker": self.people[0]}
            case ConversationKind.CHANNEL:
                payload = {"kind": "message", "channel": self.name, "ts": f"{self.number}.0", "author": self.people[0]}
            case _:
                payload = {"kind": "passage", "file": self.name, "number": self.number, "author": self.people[0]}
        return Draft(
            key=f"said:{self.number}",
            account=self.account,
            people=tuple(map(ref, self.people)),
            category=CATEGORY[self.kind],
            at_us=START_US,
            payload={**payload, "text": text, **({"private": True} if self.private else {})},
        )


def ref(name):
    return PersonRef(name="Gail Guest") if name == GAIL else PersonRef(id=name)


class House:
    """A workspace in which everybody allows every feature, and beside it what the reference remembers."""

    def __init__(self, folder):
        self.workspace = Workspace.create(folder / "ws", clock=Clock(START_US + 10**9))
        self.said = []
        self.grants = {}  # (conversation, to whom) -> by whom
        for account, people in USERS.items():
            self.workspace.people.add_account(account, account.title())
            for person in people:
                self.workspace.people.add_person(person, account=account)
            self.workspace.terms.accept(account)
            everything = {"data": ["service", "content"], "purpose": ["feature"], "covers": "past"}
            self.workspace.consent.decide(f"account:{account}", yes=True, **everything)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.workspace.close()

    def collect(self, account, kind, name, people, private):
        said = Said(len(self.said), account, kind, name, tuple(people), private)
        self.workspace.records.take_in([said.draft()], account, lambda *_: None)
        self.said.append(said)
        return said

    def id(self, account, person):
        """Return by which id a use case knows somebody."""
        return self.workspace.parties.guest(account, "Gail Guest").id if person == GAIL else person

    def share(self, conversation, to, by, *, undo=False):
        """Open or close a conversation as far as the reference says that it can be, and see that it is so."""
        account, kind, name = conversation
        audiences = self.workspace.audiences
        there = [said for said in self.said if said.conversation == conversation]
        if by == "source":
            audiences.note_source(account, kind, {name: not undo})
            to = account
        else:
            whom = {"with_account": True} if to == account else {"people": [to]}
            act = audiences.unshare if undo else audiences.share
            by_id = None if by == "operator" else self.id(account, by)
            may = to in (account, *USERS[account]) and (
                bool(there) if by == "operator" else by in USERS[account] and any(by in said.people for said in there)
            )
            if not may:
                with pytest.raises((InvalidInputError, RefusedError)):
                    act(name, kind=kind, account=account, by=by_id, **whom)
                return
            act(name, kind=kind, account=account, by=by_id, **whom)
        openers = self.grants.setdefault((conversation, to), set())
        if not undo:
            openers.add(by)
        elif by == "source":
            openers.discard(by)
        else:
            openers.clear()

    def may_read(self, account, person, said):
        """Say who reads, as the design does."""
        if said.account != account:
            return False
        if person in said.people:
            return True
        if person == GAIL:
            return False
        openers = self.grants.get((said.conversation, account), set()) | self.grants.get(
            (said.conversation, person), set()
        )
        by_source = "source" in openers and not said.private
        return "operator" in openers or by_source or not openers.isdisjoint(said.people)

    def readable(self, account, person, kind=None, name=None):
        return {
            said.id
            for said in self.said
            if self.may_read(account, person, said) and kind in (None, said.kind) and name in (None, said.name)
        }


conversations = st.tuples(
    st.sampled_from(["acme", "acme", "brill"]), st.sampled_from(list(ConversationKind)), st.sampled_from(["one", "two"])
)
collects = st.tuples(
    st.just("collect"), conversations, st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True), st.booleans()
)
sharings = st.tuples(
    st.just("share"),
    conversations,
    st.sampled_from(["account", "account", "ada", "bo", "cy", "dee"]),
    st.sampled_from(["operator", "source", "ada", "bo", "cy", "dee", GAIL]),
    st.sampled_from([False, False, True]),
)
steps = st.lists(st.one_of(collects, collects, sharings), min_size=5, max_size=16)


def act(house, step):
    match step:
        case ("collect", (account, kind, name), numbers, private):
            speakers = SPEAKERS[account]
            people = dict.fromkeys(speakers[number % len(speakers)] for number in numbers)
            house.collect(account, kind, name, people, private)
        case ("share", conversation, to, by, undo):
            house.share(conversation, conversation[0] if to == "account" else to, by, undo=undo)


def searched(workspace, person, **where):
    return {hit.record_id for hit in workspace.features.search("wheel number", person=person, limit=1000, **where).hits}


def refusal(ask, name):
    """Return the refusal of a use case with the conversation's name taken out, or none if it answers."""
    try:
        ask()
    except RefusedError as error:
        return str(error).replace(repr(name), "it")
    return None


def check_reader(house, account, person):
    workspace, features = house.workspace, house.workspace.features
    assert searched(workspace, person) == house.readable(account, person)
    for kind in ConversationKind:
        lines = [line.record_id for one in features.conversations(kind, person=person) for line in one.lines]
        assert sorted(lines) == sorted(house.readable(account, person, kind))
    nowhere = refusal(lambda: features.summarize("nowhere", person=person), "nowhere")
    for name in ("one", "two"):
        meeting = house.readable(account, person, MEETING, name)
        assert searched(workspace, person, meeting=name) == meeting
        asks = (features.summarize, features.minutes)
        told = [refusal(lambda ask=ask, name=name: ask(name, person=person), name) for ask in asks]
        assert told == ([None, None] if meeting else [nowhere, nowhere])
        if meeting:
            assert {moment.record_id for moment in features.summarize(name, person=person).moments} <= meeting
            assert {moment.record_id for moment in features.minutes(name, person=person).decisions} <= meeting
    for said in house.said:
        if said.kind is CHANNEL:
            answers = refusal(lambda said=said: features.replies(said.name, f"{said.number}.0", person=person), "")
            assert (answers is None) == house.may_read(account, person, said)
        if not house.may_read(account, person, said):
            with pytest.raises(InvalidInputError, match="finds no record"):
                features.opened("wheel", said.id, person=person)
    check_items(house, account, person)
    check_export(house, account, person)


def check_items(house, account, person):
    """A recommendation names what was collected to those alone who may read of it, or for whom its source opened it."""
    there = {(said.kind, said.name) for said in house.said if said.account == account}
    shown = {(said.kind, said.name) for said in house.said if house.may_read(account, person, said)}
    shown |= {
        conversation[1:]
        for (conversation, to), openers in house.grants.items()
        if conversation[0] == account and to in (account, person) and "source" in openers
    }
    names = {(kind, name) for kind in ITEMS for name in ("one", "two")} - (there - shown)
    expected = {f"{ITEMS[kind]}/{name}" for kind, name in names}
    assert {one.item for one in house.workspace.features.recommend(person, limit=100)} == expected


def check_export(house, account, person):
    """An export has what they said themselves, and no word of anybody else."""
    file = io.BytesIO()
    house.workspace.rights.export(person, file)
    with zipfile.ZipFile(file) as archive:
        records = json.loads(archive.read("records.json"))
    content = {record["record_id"] for record in records if record["category"].startswith("content/")}
    assert content == {said.id for said in house.said if said.account == account and said.people[0] == person}


def note_items(house):
    """Everybody has used every conversation by its name: so a recommendation has something to keep from them."""
    events = [
        Draft(
            key=f"used:{person}:{item}/{name}",
            account=account,
            people=(PersonRef(id=person),),
            category="service/usage",
            at_us=START_US - 3_600_000_000,  # what was used a moment ago is not recommended
            payload={
                "kind": "event",
                "name": "opened",
                "attributes": {"volition.item": f"{item}/{name}"},
                "body": None,
            },
        )
        for account, people in USERS.items()
        for person in people
        for item in ITEMS.values()
        for name in ("one", "two")
    ]
    house.workspace.records.take_in(events, None, lambda *_: None)


@pytest.mark.slow
@settings(max_examples=10)  # each makes a workspace on the disk
@given(steps=steps)
def test_every_reading_use_case_agrees_with_the_plain_reference(tmp_path_factory, steps):
    with House(tmp_path_factory.mktemp("house")) as house:
        note_items(house)
        half = len(steps) // 2
        for step in steps[:half]:
            act(house, step)
        for person in USERS["acme"]:  # what search keeps in memory must not outlive what is opened and closed later
            assert searched(house.workspace, person) == house.readable("acme", person)
        for step in steps[half:]:
            act(house, step)
        for account, people in USERS.items():
            for person in people:
                check_reader(house, account, person)
            guest = house.id(account, GAIL)
            meetings = house.workspace.features.conversations(MEETING, person=guest)
            heard = {line.record_id for one in meetings for line in one.lines}
            assert heard == house.readable(account, GAIL, MEETING)


@pytest.fixture
def house(tmp_path):
    with House(tmp_path) as made:
        yield made


@pytest.mark.slow
def test_of_two_meetings_of_one_name_only_that_is_opened_in_which_they_were(house):
    first = house.collect("acme", MEETING, "one", ["ada", "bo"], False)
    house.collect("acme", MEETING, "one", ["cy"], False)

    house.share(("acme", MEETING, "one"), "acme", "bo")

    assert searched(house.workspace, "ada") == {first.id}
    assert searched(house.workspace, "cy") == {said.id for said in house.said}


@pytest.mark.slow
def test_a_meeting_and_a_channel_of_one_name_are_two(house):
    meeting = house.collect("acme", MEETING, "one", ["ada"], False)
    house.collect("acme", CHANNEL, "one", ["ada"], False)

    house.workspace.audiences.share("one", kind=MEETING, account="acme", with_account=True)

    assert searched(house.workspace, "bo") == {meeting.id}
    assert house.workspace.audiences.kinds("one", account="acme") == (MEETING, CHANNEL)


def test_who_opened_it_is_an_entry_that_names_nobody_and_no_conversation(house):
    house.collect("acme", MEETING, "layoffs", ["ada"], False)
    pseudonyms = {one: house.workspace.parties.person(one).pseudonym for one in ("ada", "bo")}

    entry = house.workspace.audiences.share("layoffs", kind=MEETING, account="acme", people=["bo"], by="ada")

    assert entry.kind == "sharing"
    assert entry.body == {
        "account": "acme",
        "conversation": "meeting",
        "source": house.workspace.parties.keyed_digest("acme", source_id("acme", "layoffs")),
        "with": [f"person:{pseudonyms['bo']}"],
        "shared": True,
        "by": f"person:{pseudonyms['ada']}",
    }
    again = house.workspace.audiences.share("layoffs", kind=MEETING, account="acme", people=["bo"], by="ada")
    assert again is None


def test_nobody_guesses_a_name_from_the_ledger_and_the_key_goes_with_the_account(house):
    house.collect("acme", MEETING, "layoffs", ["ada"], False)
    house.collect("brill", MEETING, "layoffs", ["dee"], False)
    for account in ("acme", "brill"):
        house.workspace.audiences.share("layoffs", kind=MEETING, account=account, with_account=True)
    sharings = [entry for entry in house.workspace.entries() if entry.kind == "sharing"]
    assert len({entry.body["source"] for entry in sharings}) == 2
    plain = [source_id(account, "layoffs").encode() for account in ("acme", "brill")]
    assert not [one for one in plain for entry in sharings if one in entry.leaf_bytes]

    house.workspace.forgetting.erase("account:acme")

    with pytest.raises(RefusedError, match="erased"):
        house.workspace.parties.keyed_digest("acme", source_id("acme", "layoffs"))
    size = house.workspace.ledger.size
    house.workspace.audiences.note_source("acme", CHANNEL, {"general": True})
    assert house.workspace.ledger.size == size


def test_what_an_earlier_version_opened_under_a_plain_digest_stands_and_is_closed_like_any_other(house):
    said = house.collect("acme", MEETING, "one", ["ada"], False)
    about = {"account": "acme", "conversation": "meeting", "source": source_id("acme", "one"), "by": "operator"}
    house.workspace.ledger.append(NewEntry(kind="sharing", body={**about, "with": ["account:acme"], "shared": True}))
    assert searched(house.workspace, "bo") == {said.id}

    audiences = house.workspace.audiences
    assert audiences.share("one", kind=MEETING, account="acme", with_account=True) is None
    audiences.share("one", kind=MEETING, account="acme", people=["cy"], by="ada")
    audiences.unshare("one", kind=MEETING, account="acme", with_account=True)
    assert [searched(house.workspace, one) for one in ("bo", "cy")] == [set(), {said.id}]
    audiences.unshare("one", kind=MEETING, account="acme", people=["cy"])
    assert searched(house.workspace, "cy") == set()
    entry = audiences.share("one", kind=MEETING, account="acme", people=["cy"])
    assert entry.body["source"] != about["source"]
    assert searched(house.workspace, "cy") == {said.id}


def test_what_an_erased_person_opened_is_closed(house):
    house.collect("acme", MEETING, "one", ["ada", "bo"], False)
    house.workspace.audiences.share("one", kind=MEETING, account="acme", with_account=True, by="bo")
    assert searched(house.workspace, "cy")

    house.workspace.forgetting.erase("person:bo")

    assert searched(house.workspace, "cy") == set()


@pytest.mark.slow
def test_what_was_opened_is_known_after_reopening_and_from_a_saved_history(house, monkeypatch):
    said = house.collect("acme", MEETING, "one", ["ada"], False)
    house.workspace.audiences.share("one", kind=MEETING, account="acme", people=["bo"])
    monkeypatch.setattr("volition.workspace.opened._LONG_TO_READ", 1)
    house.workspace.audiences.share("one", kind=MEETING, account="acme", people=["cy"], by="ada")
    house.workspace.history()
    assert list((house.workspace.folder / "history").iterdir())

    with Workspace.open(house.workspace.folder, clock=Clock(START_US + 2 * 10**9)) as again:
        assert searched(again, "bo") == searched(again, "cy") == {said.id}
        again.audiences.unshare("one", kind=MEETING, account="acme", people=["cy"])
        assert searched(again, "cy") == set()


@pytest.mark.slow
def test_a_mention_in_a_members_only_channel_opens_nothing_to_whom_it_mentions(house):
    house.collect("acme", CHANNEL, "one", ["ada", "bo"], True)
    workspace = house.workspace

    workspace.features.send("do not tell @cy yet", channel="one", person="ada", form="0" * 32)
    workspace.features.send("agreed", channel="one", person="bo", form="1" * 32)

    texts = [line.text for line in workspace.features.conversations(CHANNEL, person="bo")[0].lines]
    assert texts[1:] == ["do not tell @cy yet", "agreed"]
    assert workspace.features.conversations(CHANNEL, person="cy") == ()
    assert workspace.features.search("tell agreed", person="cy").hits == ()
    with pytest.raises(InvalidInputError, match="no conversation"):
        workspace.features.send("hello", channel="one", person="cy", form="2" * 32)


def test_what_is_written_in_an_open_channel_is_open(house):
    house.collect("acme", CHANNEL, "one", ["ada"], False)
    house.share(("acme", CHANNEL, "one"), "acme", "source")
    house.workspace.features.send("lunch is ready", channel="one", person="bo", form="0" * 32)

    read = house.workspace.features.conversations(CHANNEL, person="cy")[0]
    assert read.lines[-1].text == "lunch is ready"
    assert read.lines[-1].concerns == (house.workspace.parties.person("bo").pseudonym,)


# A refusal by somebody else


def test_a_no_of_somebody_else_reads_like_something_that_is_not_there(house):
    house.collect("acme", CHANNEL, "one", ["bo", "ada"], False)
    house.collect("acme", MEETING, "one", ["bo", "ada"], False)
    features = house.workspace.features

    def told():
        asks = [lambda: features.summarize("one", person="ada"), lambda: features.minutes("one", person="ada")]
        replies = refusal(lambda: features.replies("one", "0.0", person="ada"), "")
        return [*(refusal(ask, "one") for ask in asks), replies]

    assert told() == [None, None, None]
    missing = [
        refusal(lambda: features.summarize("none", person="ada"), "none"),
        refusal(lambda: features.minutes("none", person="ada"), "none"),
        refusal(lambda: features.replies("none", "0.0", person="ada"), "").replace("'none'", "'one'"),
    ]

    house.workspace.consent.decide("person:bo", yes=False, data=["content"], purpose=["feature"])

    assert told() == missing
    assert not any(word in sentence for sentence in missing for word in ("said-no", "bo", "10", "refused"))


def test_ones_own_lines_do_not_say_that_somebody_else_refused(house):
    house.collect("acme", MEETING, "one", ["ada", "bo"], False)

    learning = {"data": ["content"], "purpose": ["train/search"]}

    def status():
        [place] = house.workspace.rights.places("ada", account="acme")
        [found] = [one for one in place.statuses if one.purpose == "train/search"]
        return found.lines, found.reason

    for party in ("account:acme", "person:ada", "person:bo"):
        house.workspace.consent.decide(party, yes=True, **learning, covers="past")
    assert status() == (1, None)
    house.workspace.consent.decide("person:bo", yes=False, **learning)
    assert status() == (0, None)
    house.workspace.consent.decide("person:ada", yes=False, **learning)
    assert status() == (0, "withdrawn")


# The guest

GUESTS_MAY = {"conversations", "holdings", "places", "export", "requests"}
ASKS = {
    "search": lambda features, person: features.search("wheel", person=person),
    "opened": lambda features, person: features.opened("wheel", record_id("acme", "said:0"), person=person),
    "summarize": lambda features, person: features.summarize("one", person=person),
    "minutes": lambda features, person: features.minutes("one", person=person),
    "prose": lambda features, person: features.prose(features.summarize("one", person=person), person=person),
    "draft": lambda features, person: features.draft("say hello", person=person),
    "rewrite": lambda features, person: features.rewrite("hello", person=person, tone="formal"),
    "recommend": lambda features, person: features.recommend(person),
    "diagnose": lambda features, person: features.diagnose(person),
    "recommends_by_use": lambda features, person: features.recommends_by_use(person),
    "complete": lambda features, person: features.complete("hel", person=person),
    "can_complete": lambda features, person: features.can_complete(person),
    "replies": lambda features, person: features.replies("one", "1.0", person=person),
    "go_on": lambda features, person: features.go_on("hel", person=person),
    "edit": lambda features, person: features.edit("hello", person=person, how="shorten"),
    "conversations": lambda features, person: features.conversations(MEETING, person=person),
    "send": lambda features, person: features.send("hello", channel="one", person=person, form="0" * 32),
}
RIGHTS = {
    "holdings": lambda rights, person: rights.holdings(person),
    "places": lambda rights, person: rights.places(person, account="acme"),
    "export": lambda rights, person: rights.export(person, io.BytesIO()),
    "requests": lambda rights, person: rights.requests(f"person:{person}"),
}


def public(group):
    return {name for name in dir(group) if not name.startswith("_") and callable(getattr(group, name))}


def test_the_walk_leaves_no_use_case_out(house):
    answer_nobody = {
        "endpoint",
        "index",
        "unindexed",
        "asking_for_summary",
        "note_search",
        "note_summary",
        "note_member",
        "note_message",
    }
    assert public(house.workspace.features) - answer_nobody == set(ASKS)
    assert public(house.workspace.rights) == set(RIGHTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(ASKS) - GUESTS_MAY))
def test_no_feature_answers_a_guest(house, name):
    house.collect("acme", MEETING, "one", ["ada", GAIL], False)
    house.collect("acme", CHANNEL, "one", [GAIL, "ada"], False)
    house.workspace.people.add_person("nomad")
    for guest in (house.id("acme", GAIL), "nomad"):
        with pytest.raises(RefusedError, match="is a guest"):
            ASKS[name](house.workspace.features, guest)


@pytest.mark.parametrize("kind", [CHANNEL, FILE])
def test_a_guest_reads_no_chat_and_no_files(house, kind):
    house.collect("acme", kind, "one", [GAIL, "ada"], False)
    with pytest.raises(RefusedError, match="is a guest"):
        house.workspace.features.conversations(kind, person=house.id("acme", GAIL))


def test_a_guest_reads_the_meetings_that_they_were_in_and_no_others(house):
    mine = house.collect("acme", MEETING, "one", ["ada", GAIL], False)
    house.collect("acme", MEETING, "two", ["ada", "bo"], False)
    house.collect("brill", MEETING, "one", ["dee"], False)
    house.share(("acme", MEETING, "two"), "acme", "operator")
    guest = house.id("acme", GAIL)

    [meeting] = house.workspace.features.conversations(MEETING, person=guest)

    assert [line.record_id for line in meeting.lines] == [mine.id]
    assert house.workspace.features.conversations(MEETING, person=guest, name="two") == ()
    with pytest.raises(InvalidInputError, match="no user"):
        house.workspace.audiences.share("two", kind=MEETING, account="acme", people=[guest])
    with pytest.raises(RefusedError, match="no user"):
        house.workspace.audiences.share("one", kind=MEETING, account="acme", with_account=True, by=guest)


@pytest.mark.parametrize("name", sorted(RIGHTS))
def test_a_guest_has_every_right(house, name):
    house.collect("acme", MEETING, "one", [GAIL, "ada"], False)
    RIGHTS[name](house.workspace.rights, house.id("acme", GAIL))


@pytest.mark.slow
def test_nobody_who_was_not_there_gets_a_word_by_any_use_case(house):
    """A colleague who was not there, a stranger of the account who is new, and somebody of another tenant."""
    house.collect("acme", MEETING, "one", ["ada", GAIL], False)
    house.collect("acme", CHANNEL, "one", ["ada", "bo"], False)
    house.workspace.people.add_person("stranger", account="acme")
    for person in ("cy", "stranger", "dee"):
        for name, ask in {**ASKS, **RIGHTS}.items():
            group = house.workspace.features if name in ASKS else house.workspace.rights
            with suppress(InvalidInputError, RefusedError):
                told = repr(ask(group, person))
                assert "wheel number" not in told, name
                assert "Gail" not in told, name
