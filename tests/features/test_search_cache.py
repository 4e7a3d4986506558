"""What a search may show: a plain reference decides it line by line, whatever was kept from the search before."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import HashEncoder, silent, world_in
from volition.consent.exclusions import excluding
from volition.consent.gate import Record, decide
from volition.consent.permits import UNKNOWN_PERSON
from volition.consent.references import source_id
from volition.errors import InvalidInputError, RefusedError
from volition.features.request import CONTENT, FeatureRequest
from volition.features.search import opened_hit, run_search
from volition.features.search_cache import SearchCache
from volition.learning.families.search.lines import CLICK
from volition.learning.families.search.narrowing import Narrowing
from volition.ledger.entry import NewEntry
from volition.records.audience import audience_of

FEATURE = "feature/search"
ACCOUNTS = ("acme", "brill")
PEOPLE = ("ada", "bo", "cy")
UNKNOWN = UNKNOWN_PERSON.removeprefix("person:")


@dataclass(frozen=True)
class Kept:
    """What a test remembers of a record, to say by itself who may see it."""

    record: object

    def shown_to(self, world, permits, person):
        known = world.parties.person(person)
        record = self.record
        question = Record(
            account=record.account,
            people=tuple(f"person:{one}" for one in record.people),
            category=record.category,
            collected_us=record.collected_us,
        )
        return (
            record.account == known.account
            and record.category in CONTENT
            and (known.pseudonym in record.people or record.source in opened_sources(world, record.account))
            and decide(permits, question).permitted
        )


def opened_sources(world, account):
    """Return which conversations the operator has opened to an account."""
    sharings = [entry.body for entry in world.ledger.entries() if entry.kind == "sharing"]
    return {body["source"] for body in sharings if body["account"] == account}


def share(world, account, kind, name):
    body = {"account": account, "conversation": kind, "source": source_id(account, name)}
    body |= {"with": [f"account:{account}"], "shared": True, "by": "operator"}
    world.ledger.append(NewEntry(kind="sharing", body=body))


def share_all(world, account="acme"):
    for number in range(2):
        share(world, account, "meeting", f"meeting-{number}")
        share(world, account, "channel", f"room-{number}")
        share(world, account, "file", f"file-{number}")


def line(world, number, kind, account, people, *, private):
    """Return a record of one of the kinds that search looks at; all share a word."""
    where = {"private": True} if private else {}
    text = f"wheel number{number}"
    match kind:
        case "message":
            source, category = f"room-{number % 2}", "content/chat"
            payload = {"channel": source, "ts": f"{1000 + number}.0", "author": "A", "text": text}
        case "segment":
            source, category = f"meeting-{number % 2}", "content/transcript"
            payload = {"meeting": source, "turn": number, "start_ms": 0, "end_ms": 1, "speaker": "A", "text": text}
        case _:
            source, category = f"file-{number % 2}", "content/files"
            payload = {"file": source, "number": number, "author": "A", "text": text}
    made = world.record(number, account=account, people=people, category=category)
    return replace(made, source=source_id(account, source), payload={"kind": kind, **payload, **where})


def asking(world, search_cache, person, permits=None):
    known = world.parties.person(person)
    return FeatureRequest(
        person=known,
        account=known.account,
        audience=audience_of(world.history(), account=known.account, person=known),
        lake=world.lake,
        state=world.lake.state(known.account, CONTENT),
        permits=permits or world.permits(FEATURE),
        model=None,
        search_cache=search_cache,
    )


def shown(world, search_cache, person, permits, *, encoder=None, meeting=None):
    """Return the ids of all that a search shows somebody; nothing where the feature is off for the account."""
    try:
        found = run_search(
            asking(world, search_cache, person, permits),
            "wheel",
            encoder=encoder,
            limit=1000,
            narrowing=Narrowing(meeting=meeting or ""),
            progress=silent,
        )
    except RefusedError:
        return set()
    return {hit.record_id for hit in found.hits}


def searched(world, search_cache, person, permits, *, encoder):
    """Return what a search finds that waits for no index; none where the feature is off for the account."""
    request = asking(world, search_cache, person, permits)
    try:
        return run_search(request, "wheel", encoder=encoder, limit=1000, waits=False, progress=silent)
    except RefusedError:
        return None


who = st.sampled_from(
    [*((account,) for account in ACCOUNTS), *((account, one) for account in ACCOUNTS for one in PEOPLE)]
)
decisions = st.tuples(
    st.just("say"), who, st.sampled_from(["yes", "no"]), st.sampled_from(["content", "content/chat", "content/files"])
)
records = st.tuples(
    st.just("collect"),
    st.sampled_from(["message", "segment", "passage"]),
    st.sampled_from(ACCOUNTS),
    st.lists(st.sampled_from([*PEOPLE, UNKNOWN]), min_size=1, max_size=3, unique=True),
    st.booleans(),
)
erasures = st.tuples(st.just("erase"), who)
searches = st.tuples(st.just("search"))
sharings = st.tuples(
    st.just("share"),
    st.sampled_from(ACCOUNTS),
    st.sampled_from([("meeting", "meeting"), ("channel", "room"), ("file", "file")]),
    st.integers(0, 1),
)
steps = st.lists(st.one_of(records, records, decisions, searches, erasures, sharings), min_size=4, max_size=16)


def act(world, step, kept, erased):
    match step:
        case ("say", party, answer, data):
            if "-".join(party) not in erased:
                world.say("-".join(party), answer, data=[data], purpose=["feature"], covers="past")
        case ("collect", kind, account, people, private):
            record = line(world, len(kept), kind, account, people, private=private)
            if account not in erased:
                world.lake.append([record])
                kept.append(Kept(record))
        case ("share", account, (kind, name), number):
            share(world, account, kind, f"{name}-{number}")
        case ("erase", party):
            name = "-".join(party)
            if name not in erased:
                erased.add(name)
                world.erase(name)
                if name in ACCOUNTS:
                    world.lake.erase_account(name)
                else:
                    world.lake.erase_person(world.people[name])


@pytest.mark.slow
@pytest.mark.parametrize("with_meaning", [False, True], ids=["words", "meaning"])
@settings(max_examples=60)  # each makes a world on the disk
@given(steps=steps)
def test_a_search_shows_what_the_person_may_see_and_no_less_whatever_happened_before(
    tmp_path_factory, steps, with_meaning
):
    encoder = HashEncoder() if with_meaning else None
    with world_in(tmp_path_factory.mktemp("world")) as world:
        search_cache = SearchCache(world.lake)
        kept, erased = [], set()
        for account in ACCOUNTS:
            world.say(account, "yes", purpose=["feature"])
        for number, kind in enumerate(("message", "segment", "passage")):
            act(world, ("collect", kind, ACCOUNTS[number % 2], ["ada", "bo"], number == 1), kept, erased)
        for step in [*steps, ("search",)]:
            act(world, step, kept, erased)
            permits = world.permits(FEATURE)
            for account in ACCOUNTS:
                for one in PEOPLE[1:]:
                    person = f"{account}-{one}"
                    ready = searched(world, search_cache, person, permits, encoder=encoder)
                    expected = {line.record.record_id for line in kept if line.shown_to(world, permits, person)}
                    assert ready is None or ready.ready + ready.waiting == len(expected)
                    assert ready is None or {hit.record_id for hit in ready.hits} <= expected
                    assert shown(world, search_cache, person, permits, encoder=encoder) == expected


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        for account in ACCOUNTS:
            made.say(account, "yes", purpose=["feature"])
        yield made


def collect(world, *kinds, private=False, people=("ada", "bo")):
    made = [line(world, number, kind, "acme", people, private=private) for number, kind in enumerate(kinds)]
    world.lake.append(made)
    return [record.record_id for record in made]


def opened_rows(world, monkeypatch):
    """Count the rows that the lake opens from now on."""
    seen = []
    rows = world.lake.rows

    def counted(*arguments, **named):
        for row in rows(*arguments, **named):
            seen.append(row.record_id)
            yield row

    monkeypatch.setattr(world.lake, "rows", counted)
    return seen


def test_a_second_search_opens_nothing_and_finds_the_same(world, monkeypatch):
    ids = collect(world, "segment", "message", "passage")
    search_cache, seen = SearchCache(world.lake), opened_rows(world, monkeypatch)
    permits = world.permits(FEATURE)
    first = shown(world, search_cache, "acme-ada", permits)
    assert first == set(ids)
    assert len(seen) == 3
    world.say("brill", "no", purpose=["feature"])  # of no concern here
    assert shown(world, search_cache, "acme-bo", world.permits(FEATURE)) == first
    assert len(seen) == 3


def test_a_no_takes_lines_from_the_cache_without_opening_any(world, monkeypatch):
    ids = collect(world, "segment", "message")
    late = line(world, 9, "message", "acme", ["cy"], private=False)
    world.lake.append([late])
    mine = late.record_id
    share_all(world)
    search_cache, seen = SearchCache(world.lake), opened_rows(world, monkeypatch)
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE)) == {*ids, mine}
    world.say("acme-cy", "no", purpose=["feature"])
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE)) == set(ids)
    assert len(seen) == 3
    assert not any(
        mine == line.row.record_id
        for held in search_cache._held.values()
        for document in held.documents
        for line in document.index.document.lines
    )
    world.say("acme-cy", "yes", purpose=["feature"], covers="past")
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE)) == {*ids, mine}


def test_a_search_that_does_not_wait_shows_what_is_indexed_and_counts_the_rest_that_one_may_see(world):
    ids = collect(world, "segment", "segment", "message", "passage", people=("ada", "bo"))
    encoder, search_cache = HashEncoder(), SearchCache(world.lake)

    def quick(person):
        found = searched(world, search_cache, person, world.permits(FEATURE), encoder=encoder)
        return len(found.hits), found.ready, found.waiting

    assert quick("acme-ada") == (0, 0, 4)
    assert quick("acme-cy") == (0, 0, 0), "who was not there is not told how much others said"
    assert world.lake.embed(world.permits(FEATURE), encoder, categories=CONTENT, most=3, progress=silent) == 3
    assert quick("acme-ada") == (3, 3, 1)
    world.say("acme-ada", "no", data=["content"], purpose=["feature"])
    assert quick("acme-bo") == (0, 0, 0), "the index permits nothing"
    world.say("acme-ada", "yes", data=["content"], purpose=["feature"], covers="past")
    assert quick("acme-bo") == (3, 3, 1)
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE), encoder=encoder) == set(ids)
    assert quick("acme-ada") == (4, 4, 0)
    assert world.lake.count_underived(world.permits(FEATURE), categories=CONTENT) == 0


def test_what_is_collected_or_compacted_meanwhile_is_found(world):
    [first] = collect(world, "segment")
    search_cache = SearchCache(world.lake)
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE)) == {first}
    late = line(world, 7, "message", "acme", ["cy"], private=False)
    world.lake.append([late])
    share_all(world)
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE)) == {first, late.record_id}
    world.lake.compact(silent)
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE)) == {first, late.record_id}


def test_what_was_erased_is_not_found_in_the_cache(world):
    ids = collect(world, "segment", people=("ada",))
    share_all(world)
    search_cache = SearchCache(world.lake)
    assert shown(world, search_cache, "acme-bo", world.permits(FEATURE)) == set(ids)
    world.erase("acme-ada")
    assert shown(world, search_cache, "acme-bo", world.permits(FEATURE)) == set()


def test_what_was_left_out_is_not_found_though_a_search_from_before_was_answered_after_it(world):
    """A search takes its permits, then somebody leaves a meeting out and the history reads on, then the lake is read."""
    ids = collect(world, "segment", "message")
    before_us = world.clock()
    conversation = world.parties.conversation_ref("acme", source_id("acme", "meeting-0"))
    world.ledger.append(excluding("acme", conversation, world.party("acme"), ["feature"], excluded=True))
    search_cache = SearchCache(world.lake)
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE, at_us=before_us)) == set(ids)
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE)) == {ids[1]}
    world.ledger.append(excluding("acme", conversation, world.party("acme"), ["feature"], excluded=False))
    assert shown(world, search_cache, "acme-ada", world.permits(FEATURE)) == set(ids)


def test_a_full_cache_evicts_what_was_used_longest_ago(world, monkeypatch):
    collect(world, "segment", "message")
    other = line(world, 5, "segment", "brill", ["ada"], private=False)
    world.lake.append([other])
    search_cache, seen = SearchCache(world.lake, lines_held=2), opened_rows(world, monkeypatch)
    for _ in range(2):
        assert len(shown(world, search_cache, "acme-ada", world.permits(FEATURE))) == 2
        assert shown(world, search_cache, "brill-ada", world.permits(FEATURE)) == {other.record_id}
    assert len(seen) == 6
    none = SearchCache(world.lake, lines_held=1)
    assert len(shown(world, none, "acme-ada", world.permits(FEATURE))) == 2


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("kind", ["segment", "message", "passage"])
def test_what_nobody_opened_is_shown_to_those_alone_whom_it_concerns(world, kind, private):
    collect(world, kind, private=private, people=("ada", "bo"))
    search_cache = SearchCache(world.lake)
    for person, sees in (("acme-ada", 1), ("acme-bo", 1), ("acme-cy", 0), ("brill-ada", 0)):
        assert len(shown(world, search_cache, person, world.permits(FEATURE))) == sees


@pytest.mark.parametrize("first", [None, "meeting-0"], ids=["held before", "alone"])
def test_a_search_within_a_meeting_shows_that_meeting_alone(world, first):
    ids = collect(world, "segment", "segment", "message", "segment")
    search_cache = SearchCache(world.lake)
    if first is None:
        shown(world, search_cache, "acme-ada", world.permits(FEATURE))
    permits = world.permits(FEATURE)
    assert shown(world, search_cache, "acme-ada", permits, meeting="meeting-0") == {ids[0]}
    assert shown(world, search_cache, "acme-ada", permits, meeting="meeting-1") == {ids[1], ids[3]}
    for nowhere in ("room-0", "elsewhere"):
        assert shown(world, search_cache, "acme-ada", permits, meeting=nowhere) == set()
    assert shown(world, search_cache, "brill-ada", permits, meeting="meeting-0") == set()


def test_that_a_meeting_is_private_is_not_shown_to_anyone_who_was_not_there(world):
    collect(world, "segment", private=True, people=("ada",))
    search_cache = SearchCache(world.lake)

    def note(person, meeting):
        found = run_search(
            asking(world, search_cache, person),
            "wheel",
            encoder=None,
            limit=9,
            narrowing=Narrowing(meeting=meeting),
            progress=silent,
        )
        return found.note.replace(meeting, "it")

    assert note("acme-bo", "meeting-0") == note("acme-bo", "no-such-meeting")


def test_an_opened_hit_is_an_event_that_names_what_was_opened(world):
    ids = collect(world, "segment", "message", "passage")
    share_all(world)
    search_cache = SearchCache(world.lake)
    where = [
        {"search.meeting": "meeting-0", "search.first_turn": 0, "search.last_turn": 0},
        {"search.channel": "room-1", "search.ts": "1001.0"},
        {"search.file": "file-0", "search.passage": 2},
    ]
    for record, attributes in zip(ids, where, strict=True):
        event = opened_hit(
            asking(world, search_cache, "acme-cy"),
            " wheel ",
            record,
            encoder=None,
            at_us=world.clock(),
            progress=silent,
        )
        assert event.category == "service/usage"
        assert [person.pseudonym for person in event.people] == [world.people["acme-cy"]]
        assert event.payload["name"] == CLICK
        assert event.payload["attributes"] == {"search.query": "wheel", **attributes}


@pytest.mark.parametrize("person", ["acme-cy", "brill-ada"])
def test_nobody_opens_what_they_may_not_see(world, person):
    [hidden] = collect(world, "message", private=True, people=("ada", "bo"))
    for record in (hidden, "0" * 32):
        with pytest.raises(InvalidInputError, match="finds no record"):
            opened_hit(
                asking(world, SearchCache(world.lake), person), "wheel", record, encoder=None, at_us=1, progress=silent
            )
