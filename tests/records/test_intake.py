"""Intake: who somebody is, what may be kept, and what becomes of the rest."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import ADA, START_US, bytes_in, piece, silent, world_in
from volition.canonical import us_to_text
from volition.consent.permits import UNKNOWN_PERSON, Reason
from volition.consent.terms.model import CATEGORIES, Basis, Rule, Terms
from volition.ledger.entry import NewEntry
from volition.records.ingest import LAST_US, PersonRef, Reject, Skipped
from volition.records.ingest.intake import BATCH, CLOCK_SKEW_US, take_in
from volition.records.ingest.summaries import read_summaries
from volition.records.lake import record_id

NOW_US = START_US + 3_600_000_000
UNKNOWN = UNKNOWN_PERSON.removeprefix("person:")
WORD = "Quetzalcoatlus"


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        yield made


def collect(world, *pieces, account="acme", now_us=NOW_US):
    outcome = take_in(
        pieces,
        account=account,
        parties=world.parties,
        lake=world.lake,
        history=world.history(),
        now_us=now_us,
        progress=silent,
    )
    world.clock.now_us = max(world.clock.now_us, now_us)
    return outcome


def kept(world, account="acme"):
    """Return what lies in the lake, read under everybody's yes."""
    everybody = [person.pseudonym for person in world.parties.people()]
    for party in (f"account:{account}", *(f"person:{pseudonym}" for pseudonym in everybody)):
        body = {"party": party, "answer": "yes", "data": ["content", "service"], "purpose": ["feature", "train"]}
        world.ledger.append(NewEntry(kind="decision", body={**body, "covers": "past"}))
    return sorted(world.rows("feature/search", accounts=[account]), key=lambda row: row.record_id)


def whose(world, *people):
    """Collect a record of Ada and people as a source names them; return their pseudonyms, less hers."""
    key = str(people)
    assert collect(world, piece(key, people=[ADA, *people])).rejected == []
    first, *others = world.lake.gate_record(record_id("acme", key)).people
    assert first == f"person:{world.people['acme-ada']}"
    return tuple(party.removeprefix("person:") for party in others)


# --- clocks ---


@pytest.mark.parametrize("ahead_us", [0, 1, CLOCK_SKEW_US])
def test_a_clock_that_is_a_little_ahead_is_set_to_ours(world, ahead_us):
    assert collect(world, piece(1, at_us=NOW_US + ahead_us)).stored == 1
    assert [row.collected_us for row in kept(world)] == [NOW_US]


@pytest.mark.parametrize("at_us", [NOW_US + CLOCK_SKEW_US + 1, LAST_US])
def test_what_claims_to_come_from_the_future_is_set_aside(world, at_us):
    outcome = collect(world, piece(1, at_us=at_us), piece(2))
    assert (outcome.stored, len(outcome.rejected)) == (1, 1)
    assert us_to_text(at_us) in outcome.rejected[0].why
    assert CLOCK_SKEW_US == 5 * 60 * 1_000_000


def test_what_was_set_aside_for_its_time_is_taken_once_its_time_has_come(world):
    early = piece(1, at_us=NOW_US + 2 * CLOCK_SKEW_US)
    assert collect(world, early).stored == 0
    assert collect(world, early, now_us=early.at_us).stored == 1
    assert [row.collected_us for row in kept(world)] == [early.at_us]


# --- accounts ---


def test_a_record_of_an_account_nobody_knows_is_set_aside_and_the_others_are_kept(world):
    outcome = collect(world, piece(1, account="nobody"), piece(2), account=None)
    assert (outcome.stored, [reject.where for reject in outcome.rejected]) == (1, ["1"])
    assert "volition account add" in outcome.rejected[0].why


def test_of_an_erased_account_nothing_is_kept_not_even_in_quarantine(world):
    world.erase("acme")
    world.parties.destroy_account_key("acme")
    bad = Reject(source="s", where="line 1", why="bad", raw=WORD)
    outcome = collect(world, piece(1, text=WORD), piece(2, at_us=LAST_US, text=WORD), bad, piece(3, account="brill"))
    assert (outcome.stored, dict(outcome.not_kept), outcome.rejected) == (1, {"erased": 3}, [])
    assert WORD.encode() not in bytes_in(world.folder)


def test_several_accounts_in_one_input_are_kept_apart(world):
    outcome = collect(
        world, *(piece(n, account=name) for n, name in enumerate(["acme", "brill", "acme"])), account=None
    )
    assert outcome.stored == 3
    assert [len(kept(world, account)) for account in ("acme", "brill")] == [2, 1]


# --- people ---


def test_a_person_is_found_by_identifier_address_or_else_by_name(world):
    ann = world.parties.add_person(
        "ann", account="acme", name="Ann Lee", aliases=["U0ANN"], emails=["ann@acme.example"]
    ).pseudonym
    assert whose(world, PersonRef(id="u0ann")) == (ann,)
    assert whose(world, PersonRef(email="Ann@ACME.example", name="somebody else")) == (ann,)
    assert whose(world, PersonRef(id="unheard of", email="ann@acme.example")) == (ann,)
    assert whose(world, PersonRef(name="ANN LEE")) == (ann,)
    assert whose(world, PersonRef(id="ann")) == (ann,)


def test_a_name_counts_only_where_the_source_gives_nothing_surer(world):
    [found] = whose(world, PersonRef(id="U9", name="Dee Dunn"))
    assert found not in world.people.values()
    assert world.parties.person_by_pseudonym(found).aliases == ("U9",)
    assert whose(world, PersonRef(id="U9")) == whose(world, PersonRef(id="U9", name="Another Name")) == (found,)


def test_an_identifier_that_nobody_knows_with_the_name_of_somebody_registered_may_be_them(world):
    bo, found = whose(world, PersonRef(id="U9", name="Bo Berg"))
    assert bo == world.people["acme-bo"]
    assert world.parties.person_by_pseudonym(found).aliases == ("U9",)


def test_a_new_name_is_a_guest_of_the_account_and_the_same_one_each_time(world):
    [guest] = whose(world, PersonRef(name="Gail Guest"))
    assert whose(world, PersonRef(name="GAIL  guest")) == (guest,)
    assert world.parties.person_by_pseudonym(guest).account == "acme"
    assert collect(world, piece("x", account="brill", people=[PersonRef(name="Gail Guest")])).stored == 1
    assert world.parties.find_person("brill", "gail guest").pseudonym != guest


@pytest.mark.parametrize("nobody", [PersonRef(), PersonRef(name=""), PersonRef(name=" "), PersonRef(id=" ", email="")])
def test_somebody_without_any_name_is_unknown(world, nobody):
    known = len(world.parties.people())
    assert whose(world, nobody) == (UNKNOWN,)
    assert whose(world, nobody, PersonRef(name="Bo Berg")) == (UNKNOWN, world.people["acme-bo"])
    assert len(world.parties.people()) == known


def test_a_record_of_nobody_is_of_somebody_unknown_and_not_kept_where_a_person_has_a_say(world):
    outcome = collect(world, piece(1, people=[]), piece(2, people=[PersonRef()]))
    assert dict(outcome.not_kept) == {"unknown-party": 2}


def test_nobody_stands_twice_in_a_record_and_the_first_stays_first(world):
    bo, cy = PersonRef(name="Bo Berg"), PersonRef(name="Cy Clark")
    assert whose(world, cy, bo, ADA, PersonRef(id="acme-bo"), cy) == (world.people["acme-cy"], world.people["acme-bo"])


@pytest.mark.parametrize("by", ["name", "id", "email"])
def test_a_handle_that_two_people_share_concerns_both_and_somebody_unknown_first(world, by):
    for person in ("sam", "tim"):
        world.parties.add_person(person, account="acme", name="Sam Lee", aliases=["U7"], emails=["team@acme.example"])
    reference = {"name": "Sam Lee", "id": "U7", "email": "team@acme.example"}
    known = len(world.parties.people())
    unknown, *both = whose(world, PersonRef(**{by: reference[by]}))
    assert unknown == UNKNOWN
    assert set(both) == {world.parties.person(person).pseudonym for person in ("sam", "tim")}
    assert len(world.parties.people()) == known
    assert whose(world, PersonRef(id="sam", email="team@acme.example")) == (world.parties.person("sam").pseudonym,)


@pytest.mark.parametrize("by", ["name", "id", "email"])
def test_whoever_was_erased_does_not_come_back_as_somebody_new(world, by):
    world.parties.add_person("sam", account="acme", name="Sam Lee", aliases=["U7"], emails=["sam@acme.example"])
    world.parties.destroy_person("sam")
    reference = {"name": "Sam Lee", "id": "U7", "email": "sam@acme.example"}
    assert whose(world, PersonRef(**{by: reference[by]})) == (UNKNOWN,)
    assert whose(world, PersonRef(**{by: "somebody-else"})) != (UNKNOWN,)


def test_an_id_that_cannot_be_kept_sets_its_own_record_aside_only(world):
    outcome = collect(world, piece(1, people=[PersonRef(id="a\nb")]), piece(2, people=[PersonRef(id=" U8 ")]))
    assert (outcome.stored, len(outcome.rejected)) == (1, 1)
    assert world.parties.find_person("acme", "U8").aliases == ("U8",)


# --- what may be kept ---


def test_what_no_purpose_permits_is_counted_and_makes_nobody_a_guest(tmp_path):
    never = Terms(
        id="v1",
        title="v1",
        effective_us=0,
        acceptance="continued-use",
        text="prose",
        rules=(Rule(data=("service",), purpose=("train",), basis=Basis.CONTRACT),),
    )
    with world_in(tmp_path, terms=never) as world:
        known = len(world.parties.people())
        outcome = collect(world, piece(1, people=[PersonRef(name="Gail Guest")], text=WORD))
        assert (outcome.stored, dict(outcome.not_kept)) == (0, {"never": 1})
        assert len(world.parties.people()) == known
        assert b"Gail" not in bytes_in(world.folder)
        assert world.lake.size() == {}


def test_an_account_that_accepted_no_terms_has_nothing_kept(world):
    world.parties.add_account("new", "New")
    outcome = collect(world, piece(1, account="new", people=[PersonRef(name="Gail Guest")]))
    assert dict(outcome.not_kept) == {"no-terms": 1}
    assert world.parties.people("new") == []


def test_what_everybody_concerned_refused_for_every_purpose_is_not_kept(world):
    world.say("acme-ada", "no")
    mine, shared = piece(1), piece(2, people=[PersonRef(name="Bo Berg"), PersonRef(name="Ada Byron")])
    outcome = collect(world, mine, shared)
    assert (outcome.stored, dict(outcome.not_kept)) == (1, {Reason.SAID_NO.value: 1})


def test_silence_waits_for_an_answer(world):
    assert collect(world, piece(1)).stored == 1
    assert world.lake.reasons(world.permits(), categories=CATEGORIES) == {"content/chat": {Reason.NOT_ASKED: 1}}


# --- the rest ---


def test_bad_pieces_are_set_aside_sealed_and_good_ones_are_kept(world):
    bad = [Reject(source="chat.zip", where=f"message {n}", why="no text", raw=f"{WORD} {n}") for n in range(2)]
    outcome = collect(world, bad[0], piece(1), bad[1], Skipped(source="chat.zip", why="bot", count=3))
    assert (outcome.stored, outcome.rejected, dict(outcome.skipped)) == (1, bad, {"bot": 3})
    [path] = (world.folder / "lake" / "quarantine").iterdir()
    assert outcome.quarantine == [str(path)]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["where"] for line in lines] == ["message 0", "message 1"]
    assert WORD.encode() not in bytes_in(world.folder)
    opened = [
        world.parties.open_sealed("acme", b"quarantine", bytes.fromhex(line["sealed_raw"])).decode() for line in lines
    ]
    assert opened == [reject.raw for reject in bad]
    assert json.dumps(outcome.to_json())


def test_collecting_again_sets_aside_once_and_stores_once(world):
    pieces = [Reject(source="s", where="w", why="y", raw="r"), piece(1), piece(2, at_us=LAST_US), piece(3, account="x")]
    first = collect(world, *pieces)
    again = collect(world, *pieces)
    assert (first.stored, again.stored, again.known) == (1, 0, 1)
    assert again.quarantine == first.quarantine
    assert len(list((world.folder / "lake" / "quarantine").iterdir())) == len(set(first.quarantine)) == 2


@pytest.mark.parametrize("value", [2**60, -(2**60), [[[[2**53 + 1]]]]])
def test_a_payload_that_has_no_canonical_form_takes_no_other_with_it(world, value):
    outcome = collect(world, piece(1, odd=value), piece(2))
    assert (outcome.stored, len(outcome.rejected)) == (1, 1)


def test_batches_are_told_one_after_the_other(world):
    told = []
    total = BATCH + 5
    take_in(
        (Skipped(source="s", why="bot", count=1) for _ in range(total)),
        account="acme",
        parties=world.parties,
        lake=world.lake,
        history=world.history(),
        now_us=NOW_US,
        progress=lambda *what: told.append(what),
    )
    assert told == [("collecting", BATCH, 0), ("collecting", total, 0)]


@pytest.mark.slow
@settings(max_examples=15)
@given(
    st.lists(
        st.one_of(
            st.builds(
                lambda key, account, name, ahead: piece(
                    key, account=account, people=[PersonRef(name=name)], at_us=NOW_US + ahead
                ),
                st.integers(0, 5),
                st.sampled_from(["acme", "brill", "nobody"]),
                st.sampled_from(["Ada Byron", "Gail Guest", ""]),
                st.sampled_from([-10, 10, 2 * CLOCK_SKEW_US]),
            ),
            st.builds(
                Reject, source=st.just("s"), where=st.text(max_size=3), why=st.just("bad"), raw=st.text(max_size=3)
            ),
            st.builds(Skipped, source=st.just("s"), why=st.just("bot"), count=st.integers(1, 4)),
        ),
        max_size=12,
    )
)
def test_every_piece_comes_out_exactly_once(tmp_path_factory, pieces):
    with world_in(tmp_path_factory.mktemp("world")) as world:
        outcome = collect(world, *pieces)
        drafts_and_rejects = sum(not isinstance(one, Skipped) for one in pieces)
        accounted = outcome.stored + outcome.known + sum(outcome.not_kept.values()) + len(outcome.rejected)
        assert accounted == drafts_and_rejects
        assert sum(outcome.skipped.values()) == sum(one.count for one in pieces if isinstance(one, Skipped))
        assert sum(world.lake.size().values()) == outcome.stored


# --- summaries, which are derived ---


def test_a_summary_concerns_everybody_whom_its_meeting_concerns_and_is_no_freer(world):
    speakers = [PersonRef(name="Ada Byron"), PersonRef(name="Bo Berg")]
    spoken = [
        piece(n, people=order, category="content/transcript", at_us=NOW_US - 100 + n, kind="segment", meeting="standup")
        for n, order in enumerate([speakers, speakers[::-1]])
    ]
    collect(world, *spoken)
    summaries = list(
        read_summaries(
            b'{"meeting": "standup", "text": "All is well."}',
            source="s.jsonl",
            account="acme",
            meeting_of=lambda name: world.lake.meeting("acme", name),
        )
    )
    assert collect(world, *summaries).stored == 1
    [row] = [row for row in kept(world) if row.payload["kind"] == "summary"]
    assert row.people == (world.people["acme-ada"], world.people["acme-bo"])
    assert row.collected_us == NOW_US - 99


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b'"text"',
        b'{"meeting": "m"}',
        b'{"meeting": 1, "text": "t"}',
        b'{"meeting": "m", "text": "\\ud800"}',
        b'{"meeting": "\\ud800", "text": "t"}',
        b'{"meeting": "other", "text": "t"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_summary_is_rejected_alone(line):
    found = list(
        read_summaries(
            line + b'\r\n\n{"meeting": "m", "text": "t"}\n',
            source="s.jsonl",
            account="acme",
            meeting_of=lambda name: (("p",), 5) if name == "m" else None,
        )
    )
    assert [type(one).__name__ for one in found] == ["Reject", "Draft"]
    assert found[0].where == "line 1"
