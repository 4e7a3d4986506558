"""A second tenant in which the same people speak: no reading door of the one gives a word of the other.

Both accounts lie in the same bucket and name the same pseudonyms, channels and meetings; everybody has said yes to
everything, so that nothing but the account stands between them.
"""

from contextlib import closing

import pytest

from volition.consent.gate import Participant, Subject
from volition.consent.references import source_id
from volition.consent.terms.model import CATEGORIES
from volition.features.conversations import ConversationKind
from volition.records.engines.arrow import ArrowEngine
from volition.records.ingest import Draft, PersonRef
from volition.records.lake import Lake, bucket_of
from volition.workspace import Workspace

MINE = "acme"
OTHER = next(name for number in range(10_000) if bucket_of(name := f"twin-{number}") == bucket_of(MINE))
WORD = {MINE: "launch", OTHER: "quetzalcoatlus"}
START_US = 1_767_225_600_000_000


def pieces(account, people):
    """Yield the same chat, meeting and usage for both accounts, told apart by one word."""
    refs = [PersonRef(pseudonym=pseudonym) for pseudonym in people]
    for number, speakers in enumerate([refs, refs[::-1], refs[:1], refs[1:]] * 3):
        text = f"We decided that the {WORD[account]} moves to day {number}. Ada will write to them."
        common = {"account": account, "people": tuple(speakers), "at_us": START_US + number * 60_000_000}
        chat = {"kind": "message", "channel": "general", "author": "Ada Byron", "text": text, "ts": f"{number}.0"}
        yield Draft(key=f"chat-{number}", category="content/chat", payload=chat, **common)
        turn = {"turn": number, "start_ms": number * 60_000, "end_ms": number * 60_000 + 9_000}
        said = {"kind": "segment", "meeting": "standup", "speaker": "Ada Byron", "text": text, **turn}
        yield Draft(key=f"said-{number}", category="content/transcript", payload=said, **common)
        attributes = {"volition.item": f"document/{WORD[account]}-{number}"}
        event = {"kind": "event", "name": "opened", "attributes": attributes}
        yield Draft(key=f"used-{number}", category="service/usage", payload=event, **common)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    with Workspace.create(tmp_path_factory.mktemp("tenants") / "w") as workspace:
        for account in (MINE, OTHER):
            workspace.people.add_account(account, account.title())
            workspace.terms.accept(account)
        for person, name in (("ada", "Ada Byron"), ("bo", "Bo Berg")):
            workspace.people.add_person(person, account=MINE, name=name)
        for party in (f"account:{MINE}", f"account:{OTHER}", "person:ada", "person:bo"):
            data, purpose = ["content", "service"], ["train", "feature"]
            workspace.consent.decide(party, yes=True, data=data, purpose=purpose, covers="past")
        people = [workspace.parties.person(person).pseudonym for person in ("ada", "bo")]
        for account in (MINE, OTHER):
            done = workspace.records.take_in(pieces(account, people), account, lambda *_: None)
            assert done.stored == 36, done
        yield workspace


@pytest.fixture(params=["ada", "bo"])
def reader(request, workspace):
    return workspace.parties.person(request.param)


def told(found):
    """Return all words of what a door gives, whatever it is made of."""
    return str(found).lower()


def check(found):
    """Assert that something was found, and nothing of the other tenant's."""
    assert WORD[MINE] in told(found)
    assert WORD[OTHER] not in told(found)
    assert OTHER not in told(found)


@pytest.fixture(scope="module")
def lake(workspace):
    """Return the lake's own doors, beneath the use cases."""
    with closing(Lake(workspace.folder / "lake", workspace.parties, ArrowEngine())) as lake:
        yield lake


@pytest.mark.parametrize("category", ["content/chat", "content/transcript", "service/usage"])
@pytest.mark.parametrize("account", [MINE, OTHER])
def test_what_was_heard_is_of_the_own_account(lake, reader, category, account):
    participant = Participant(pseudonym=reader.pseudonym, account=account, at_us=START_US * 2)
    for source in (None, *(source_id(account, name) for name in ("general", "standup") if category != "service/usage")):
        rows = list(lake.heard_rows(participant, categories=[category], source=source))
        assert {row.account for row in rows} <= {account}
        assert len(rows) in ({9} if source is None else {0, 9})  # all but those of the other one alone
        if rows:
            assert WORD[account] in told(rows)


def test_rows_of_an_account_are_its_own(workspace, lake):
    for purpose in ("feature/search", "train/search"):
        permits = workspace.gate.permits(purpose)
        both = list(lake.rows(permits, categories=CATEGORIES))
        for account in (MINE, OTHER):
            mine = list(lake.rows(permits, categories=CATEGORIES, accounts=[account]))
            assert mine
            assert {row.account for row in mine} == {account}
            assert len(mine) == sum(row.account == account for row in both)
            for name in ("general", "standup"):
                some = lake.rows(permits, categories=CATEGORIES, source=source_id(account, name))
                assert {row.account for row in some} == {account}


def test_a_meeting_is_found_in_its_own_account(lake):
    (people, _), (others, _) = (lake.meeting(account, "standup") for account in (MINE, OTHER))
    assert set(people) == set(others)
    assert lake.meeting("brill", "standup") is None


def test_what_is_held_of_a_person_says_whose_it_is(lake, reader):
    subject = Subject(pseudonym=reader.pseudonym, at_us=START_US * 2)
    held = list(lake.held(subject, categories=CATEGORIES))
    assert {one.account for one in held} == {MINE, OTHER}  # a person may see what both hold of them
    own = list(lake.own_rows(subject, categories=CATEGORIES))
    assert {row.people[0] for row in own} == {reader.pseudonym}


@pytest.mark.parametrize("kind", ConversationKind)
@pytest.mark.parametrize("name", [None, "general", "standup"])
def test_conversations_are_of_the_own_account(workspace, reader, kind, name):
    found = workspace.features.conversations(kind, person=reader.id, name=name)
    assert found or name is not None or kind is ConversationKind.FILE
    if found:
        check(found)


@pytest.mark.slow
def test_search_finds_what_is_of_the_own_account(workspace, reader):
    check(workspace.features.search("launch", person=reader.id, limit=50).hits)
    assert WORD[OTHER] not in told(workspace.features.search(WORD[OTHER], person=reader.id, limit=50).hits)
    check(workspace.features.search("launch", person=reader.id, meeting="standup", limit=50).hits)


def test_summaries_and_minutes_are_of_the_own_account(workspace, reader):
    check(workspace.features.summarize("standup", person=reader.id))
    check(workspace.features.minutes("standup", person=reader.id))


def test_rows_and_snapshots_name_the_account_of_each_row(workspace):
    for batch in workspace.records.rows("train/search"):
        for row in batch.to_pylist():
            assert WORD[row["account"]] in row["payload"]
