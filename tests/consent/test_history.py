"""The history: what it remembers of the ledger, one entry or a million at a time, and what of it may be believed later."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_permits import (
    ACCOUNT,
    ASKED,
    CATEGORY,
    OTHER,
    PERSON,
    PURPOSE,
    ROLES,
    START,
    accept,
    answer,
    copied,
    entries_of,
    history_of,
    limit,
    long_histories,
    publish,
    terms,
)

from simulator import SIGNER, TERMS, world_in
from volition.canonical import us_to_text
from volition.consent.history import (
    BEGINNING_US,
    NOT_BACK_US,
    AnswerScope,
    Decision,
    History,
    check_publications,
    extend_history,
    extend_history_by,
    find_saved_history,
    read_history,
    replay,
    save_history,
)
from volition.consent.history.bindings import WRITING_US, TermsBindings
from volition.consent.permits import PartyRole, Permits, Use, permit
from volition.consent.terms.model import CATEGORIES
from volition.errors import InvalidInputError, ProofError
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer, sign_note
from volition.ledger.stores.memory import MemoryStore
from volition.workspace import Workspace

SAID = st.tuples(
    st.integers(0, 7),  # party
    st.booleans(),  # yes
    st.sampled_from([None, BEGINNING_US, 5]),  # covers
    st.sampled_from([("content/chat",), ("content/chat", "content/files"), ("service/usage",)]),
)


def decision(at, said):
    _, yes, covers, categories = said
    return Decision(
        yes=yes,
        categories=frozenset(categories),
        purposes=frozenset([PURPOSE]),
        at_us=at,
        covers_us=covers if yes else None,
        seq=at,
    )


@given(st.lists(SAID, max_size=40), st.integers(0, 40))
def test_many_decisions_added_at_once_are_those_added_one_by_one(said, split):
    one_by_one, at_once = History(), History()
    for at, one in enumerate(said):
        one_by_one.answers.decide(f"person:{one[0]}", decision(at, one))
    for start, part in ((0, said[:split]), (split, said[split:])):
        made = [decision(start + at, one) for at, one in enumerate(part)]
        scopes = [AnswerScope(yes=one.yes, categories=one.categories, purposes=one.purposes) for one in made]
        different = list(dict.fromkeys(scopes))
        at_once.answers.decide_all(
            at_once.answers.numbers(f"person:{one[0]}" for one in part),
            different,
            np.array([different.index(scope) for scope in scopes], np.int16),
            np.array([one.at_us for one in made], np.int64),
            np.array([NOT_BACK_US if one.covers_us is None else one.covers_us for one in made], np.int64),
            np.array([one.seq for one in made], np.int64),
        )
    for number in range(8):
        assert at_once.party(f"person:{number}") == one_by_one.party(f"person:{number}")
        assert at_once.is_silent(f"person:{number}") == one_by_one.is_silent(f"person:{number}")


@given(st.lists(SAID, max_size=40), st.lists(st.integers(0, 9), max_size=12))
def test_the_answers_of_several_parties_are_theirs_oldest_first(said, asked):
    history = History()
    for at, one in enumerate(said):
        history.answers.decide(f"person:{one[0]}", decision(at, one))
    found = history.answers.of(history.answers.numbers(f"person:{number}" for number in asked))
    for position, number in enumerate(asked):
        mine = found.key == position
        assert found.at_us[mine].tolist() == [at for at, one in enumerate(said) if one[0] == number]
        yeses = [history.answers.scopes[scope].yes for scope in found.scope[mine]]
        assert yeses == [one[1] for one in said if one[0] == number]


def test_an_entry_that_cannot_be_read_is_named():
    events = [(START, publish("v", "consent", binds=START)), (START, ("decision", {"party": PERSON}))]
    with pytest.raises(InvalidInputError, match=r"entry 1 \(decision\)"):
        read_history(entries_of(events))


def known_of(history):
    return {name: bytes(data) for name, data in history.to_files().items()}


@given(long_histories(), st.lists(st.sampled_from(["", "7" * 32, "a" * 32]), min_size=14, max_size=14), st.booleans())
def test_entries_added_together_are_those_added_one_by_one(events, names, breaks_off):
    entries = entries_of(events)
    for entry, name in zip(entries, names, strict=False):
        if name and "claim" in entry.body:
            entry.body["claim"] = entry.body["claim"] | {"id": name}
    one_by_one, together = History(), History()
    for entry in entries:
        extend_history(one_by_one, entry)
    if breaks_off:  # one that cannot be read ends it; those before it count
        entries.append(Entry(seq=len(entries), at_us=ASKED, kind="decision", body={"party": PERSON}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(replay, "_MANY", 1)
        patched.setattr(replay, "_AT_ONCE", 3)
        with pytest.raises(InvalidInputError, match=f"entry {len(events)} ") if breaks_off else nullcontext():
            extend_history_by(together, entries)
    assert known_of(together) == known_of(one_by_one)
    assert (together.size, together.last_us) == (one_by_one.size, one_by_one.last_us)
    for after in range(START, ASKED):
        assert together.next_end_us(PURPOSE, after_us=after) == one_by_one.next_end_us(PURPOSE, after_us=after)
    for party in ROLES.values():
        assert together.party(party) == one_by_one.party(party)


@given(long_histories())
def test_a_history_saved_and_found_again_is_the_same(tmp_path_factory, events):
    folder = tmp_path_factory.mktemp("kept")
    made = history_of(events)
    found = History()
    found.load({name: bytes(data) for name, data in made.to_files().items()})
    for party in ROLES.values():
        assert found.party(party) == made.party(party)
        assert found.limits(party).said == made.limits(party).said
        assert found.is_silent(party) == made.is_silent(party)
    assert found.exceptional_parties() == made.exceptional_parties()
    assert found.groups("acme") == made.groups("acme")
    for history in (made, found):  # and it goes on
        history.answers.decide(PERSON, decision(ASKED, (0, True, 5, [CATEGORY])))
    for role, party in ROLES.items():
        use = Use(account="acme", party=party, role=role, category=CATEGORY, purpose=PURPOSE)
        assert permit(found, use, ASKED) == permit(made, use, ASKED)
    assert folder.is_dir()


# --- saved on disk ---


@pytest.fixture
def ledger():
    ledger = Ledger(MemoryStore(), SIGNER, clock=lambda: START)
    ledger.append(NewEntry(kind="terms", body={"terms": TERMS.to_json(), "binds": us_to_text(0)}))
    ledger.append(NewEntry(kind="acceptance", body={"account": "acme", "terms": "v1"}))
    for party, word in ((ACCOUNT, "yes"), (PERSON, "yes"), (PERSON, "no")):
        ledger.append(NewEntry(kind="decision", body=answer(party, word)[1]))
    ledger.append(NewEntry(kind="snapshot", body={"snapshot": "s"}))
    return ledger


def save(folder, ledger, size=None):
    history = read_history(ledger.entries(0, size))
    return save_history(folder, history, root=ledger.root(history.size), signer=SIGNER)


def test_what_was_saved_is_found_and_older_ones_go(tmp_path, ledger):
    older = save(tmp_path, ledger, 4)
    assert find_saved_history(tmp_path, ledger, SIGNER.key).size == 4
    newer = save(tmp_path, ledger)
    assert not older.exists()
    assert newer.exists()

    found = find_saved_history(tmp_path, ledger, SIGNER.key)

    assert (found.size, found.last_us) == (6, START + 5)  # each entry is later than the one before
    assert [entry.kind for entry in found.events] == ["snapshot"]
    assert found.party(PERSON) == read_history(ledger.entries()).party(PERSON)


def test_nothing_saved_is_nothing_found(tmp_path, ledger):
    assert find_saved_history(tmp_path / "none", ledger, SIGNER.key) is None


def test_every_changed_byte_is_noticed(tmp_path, ledger):
    kept = save(tmp_path, ledger)
    for path in sorted(kept.iterdir()):
        data = path.read_bytes()
        for place in range(0, len(data), 7):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            assert find_saved_history(tmp_path, ledger, SIGNER.key) is None, (path.name, place)
        path.write_bytes(data)
        path.unlink()
        assert find_saved_history(tmp_path, ledger, SIGNER.key) is None
        path.write_bytes(data)
    (kept / "stranger").write_bytes(b"")
    assert find_saved_history(tmp_path, ledger, SIGNER.key) is None
    (kept / "stranger").unlink()
    assert find_saved_history(tmp_path, ledger, SIGNER.key) is not None


def test_a_history_of_another_ledger_is_not_believed(tmp_path, ledger):
    save(tmp_path, ledger)
    stranger = Signer.from_seed(SIGNER.key.name, bytes(32))
    assert find_saved_history(tmp_path, ledger, stranger.key) is None
    other = Ledger(MemoryStore(), SIGNER, clock=lambda: START)
    assert find_saved_history(tmp_path, other, SIGNER.key) is None  # shorter than what was kept
    for _ in range(8):
        other.append(NewEntry(kind="region", body={"party": ACCOUNT, "region": "DE"}))
    assert find_saved_history(tmp_path, other, SIGNER.key) is None


def test_one_that_was_half_removed_is_passed_over_for_an_older_one(tmp_path, ledger):
    older = save(tmp_path, ledger, 4)
    aside = shutil.copytree(older, tmp_path / "aside")
    newer = save(tmp_path, ledger)
    aside.rename(older)
    (newer / "seal").unlink()
    assert find_saved_history(tmp_path, ledger, SIGNER.key).size == 4


def test_a_workspace_opens_with_what_it_saved_and_reads_only_what_is_new(tmp_path, monkeypatch):
    monkeypatch.setattr("volition.workspace.opened._LONG_TO_READ", 3)
    with Workspace.create(tmp_path / "w") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
        workspace.terms.accept("acme")
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["train"])
        workspace.history()
    with Workspace.open(tmp_path / "w") as workspace:
        read = []
        entries = workspace.ledger.entries
        monkeypatch.setattr(workspace.ledger, "entries", lambda start: read.append(start) or entries(start))
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
        answered = workspace.gate.may("train/search", account="acme", people=["ada"], category=CATEGORY).verdict
        assert answered.reason == "withdrawn"
        assert min(read) >= 3
        anew = Permits(read_history(entries()), purpose=PURPOSE, at_us=workspace.now_us)
        for category in CATEGORIES:
            party = workspace.party("person:ada")
            assert workspace.gate.permits(PURPOSE).of("acme", party, PartyRole.FIRST, category) == anew.of(
                "acme", party, PartyRole.FIRST, category
            )


def test_a_saved_history_of_an_older_format_is_read_anew(tmp_path, ledger):
    kept = save(tmp_path, ledger)
    rare = json.loads((kept / "rare.json").read_bytes())
    assert rare["size"] == 6
    seal = (kept / "seal").read_text()
    assert seal.startswith("volition.history/5\n")  # a name on disk: another would make every workspace read anew
    (kept / "seal").write_text(sign_note(seal.partition("\n\n")[0].replace("/5\n", "/4\n", 1) + "\n", SIGNER))
    assert find_saved_history(tmp_path, ledger, SIGNER.key) is None


def test_a_limit_that_was_saved_applies_and_its_lift_speaks_to_the_whole_group(tmp_path, ledger):
    for limited, people in ((True, [PERSON, "person:zoe"]), (True, ["person:cy"]), (False, [])):
        body = {"account": "acme", "group": "g", "people": people, "limited": limited}
        ledger.append(NewEntry(kind="limit", body={**body, "data": ["content"], "purpose": ["train"]}))
    save(tmp_path, ledger, ledger.size - 1)

    found = find_saved_history(tmp_path, ledger, SIGNER.key)

    assert found.size == ledger.size - 1
    assert found.groups("acme") == {"g": [PERSON, "person:zoe", "person:cy"]}
    assert found.limits(PERSON) is found.limits("person:zoe")
    for entry in ledger.entries(found.size):
        extend_history(found, entry)
    for person in found.groups("acme")["g"]:
        assert [one.limited for one in found.limits(person).said] == [True, False]


def test_events_of_the_world_are_remembered(tmp_path):
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        world.erase("acme-ada")
        history = world.history()
        assert history.exceptional_parties() == (set(), {world.party("acme-ada")})
        assert not history.is_silent(world.party("acme-ada"))
        assert history.is_silent("person:stranger")
        assert list(history.bindings.accounts()) == list(world.accounts)
        assert accept("v1")[1]["terms"] == history.bindings.published()[0].id


def test_the_first_answer_of_all_is_found_whoever_asks_and_nobody_asks_for_nobody():
    history = History()
    for at in range(400):
        history.answers.decide(f"person:{at % 200}", decision(at, (0, True, None, [CATEGORY])))
    for asked in ([0], [0, 0], [3, 0], list(range(200))):
        found = history.answers.of(history.answers.numbers(f"person:{number}" for number in asked))
        told = [found.at_us[found.key == position].tolist() for position in range(len(asked))]
        assert told == [[number, number + 200] for number in asked]
    assert len(history.answers.of(history.answers.numbers([])).key) == 0
    assert len(History().answers.of(np.array([], np.int32)).key) == 0


def test_hundreds_of_decisions_added_at_once_keep_their_order():
    rng = np.random.default_rng(1)
    said = [(int(rng.integers(3)), bool(rng.integers(2)), None, ("content/chat",)) for _ in range(2000)]
    history = History()
    scopes = [AnswerScope(yes=yes, categories=frozenset([CATEGORY]), purposes=frozenset([PURPOSE])) for yes in (0, 1)]
    history.answers.decide_all(
        history.answers.numbers(f"person:{one[0]}" for one in said),
        scopes,
        np.array([int(one[1]) for one in said], np.int16),
        np.arange(2000),
        np.full(2000, NOT_BACK_US),
        np.arange(2000),
    )
    for party in range(3):
        found = [one.at_us for one in history.party(f"person:{party}").decisions]
        assert found == [at for at, one in enumerate(said) if one[0] == party]


def test_what_somebody_said_since_they_were_last_asked_about_is_added_to_what_they_had_said():
    history = History()
    for at in range(3):
        history.answers.decide(PERSON, decision(at, (0, True, None, [CATEGORY])))
        history.answers.signal(PERSON, "gpc", at_us=at)
        assert [one.at_us for one in history.party(PERSON).decisions] == list(range(at + 1))
        assert [one[0] for one in history.party(PERSON).signals] == list(range(at + 1))
        assert history.own(PERSON) == history.party(PERSON), "unless it is said to be a copy, it is not"


def test_what_nobody_did_is_nothing():
    history = History()
    assert history.erased_us(PERSON) is None
    assert history.members("acme", "g") == []
    assert history.bindings.accepted("acme") is None
    assert history.bindings.terms_of("acme") == []
    history.erase(PERSON, at_us=7)
    assert history.erased_us(PERSON) == 7


def test_the_groups_of_an_account_are_its_own_and_its_lock_is_none():
    told = [(START, limit()), (START, limit("g", [PERSON])), (START, limit("h", [OTHER, PERSON]))]
    told += [(START, ("limit", {**limit("g", [OTHER])[1], "account": "other"}))]
    told += [(START, limit("h", [OTHER], limited=False))]
    history = history_of(told)
    assert history.groups("acme") == {"g": [PERSON], "h": [OTHER, PERSON]}
    assert history.groups("other") == {"g": [OTHER]}
    assert history.members("acme", "h") == [OTHER, PERSON]
    assert history.members("acme", "") == [ACCOUNT]


def test_what_was_shared_is_saved_and_what_was_saved_before_there_were_sharings_has_none():
    history = History()
    history.sharings.share("acme", ("meeting", "5c"), to=[PERSON], by="operator", at_us=7)
    history.answers.number("person:asked-about-and-silent")
    files = {name: bytes(data) for name, data in history.to_files().items()}
    found = History()
    found.load(files)
    assert found.sharings.of("acme", PERSON) == {("meeting", "5c"): {"operator": 7}}
    assert found.is_silent("person:asked-about-and-silent")
    rare = json.loads(files["rare.json"])
    del rare["sharings"]
    older = History()
    older.load(files | {"rare.json": json.dumps(rare).encode()})
    assert older.sharings.to_json() == []


def test_a_conversation_is_opened_by_an_entry_that_says_so_and_by_no_other():
    def sharing(shared):
        body = {"account": "acme", "conversation": "meeting", "source": "5c", "with": [PERSON, OTHER], "by": "operator"}
        return ("sharing", body | {"shared": shared})

    opened = {("meeting", "5c"): {"operator": START}}
    for said, expected in (
        ([True], opened),
        ([True, False], {}),
        (["yes"], {}),
        ([True, 1], {}),
        ([False, True], opened),
    ):
        history = read_history(entries_of([(START, sharing(shared)) for shared in said]))
        assert history.sharings.of("acme", PERSON) == history.sharings.of("acme", OTHER) == expected, said


def test_an_entry_says_by_whom_a_conversation_is_opened_and_closed():
    def sharing(by, *, shared=True, account="acme"):
        body = {"account": account, "conversation": "channel", "source": "ab", "with": [PERSON], "shared": shared}
        return (START, ("sharing", body | {"by": by}))

    told = [sharing("operator"), sharing("source"), sharing("operator", account="other")]
    told.append(sharing("source", shared=False))
    history = read_history(entries_of(told))
    assert history.sharings.openers("acme", ("channel", "ab")) == {PERSON: {"operator": START}}
    assert history.sharings.openers("other", ("channel", "ab")) == {PERSON: {"operator": START}}


def test_what_was_done_with_data_is_remembered_and_reports_are_not():
    kinds = ["snapshot", "notice", "model", "release", "forgetting"]
    history = read_history(entries_of([(START, (kind, {})) for kind in kinds]))
    assert [entry.kind for entry in history.events] == ["snapshot", "model", "release", "forgetting"]
    assert (history.size, history.last_us) == (5, START)


def test_of_several_that_were_saved_the_newest_is_found(tmp_path, ledger):
    older = save(tmp_path, ledger, 4)
    shutil.copytree(older, tmp_path / "aside")
    save(tmp_path, ledger)
    (tmp_path / "aside").rename(older)
    assert find_saved_history(tmp_path, ledger, SIGNER.key).size == 6


# --- which terms bind ---


def bound(*happened):
    """Return which terms bind acme from when on, after versions were published and accepted."""
    bindings = TermsBindings()
    for word, name, at, *effective in happened:
        if word == "publish":
            bindings.publish(replace(TERMS, id=name, effective_us=effective[0] if effective else 0), binds_us=at)
        elif word == "publish explicitly":
            bindings.publish(replace(TERMS, id=name, acceptance="explicit"), binds_us=at)
        else:
            bindings.accept("acme", name, at_us=at)
    return [(at, terms.id) for at, terms in bindings.terms_of("acme")]


@pytest.mark.parametrize(
    ("happened", "binds"),
    [
        ([("publish", "v0", 10), ("accept", "v0", 12)], [(12, "v0")]),
        ([("publish", "v0", 10), ("accept", "v0", 12), ("accept", "v0", 12)], [(12, "v0")]),
        ([("publish", "v0", 30), ("accept", "v0", 12)], [(12, "v0")]),  # once, though by use it would bind later, too
        ([("publish", "v0", 10), ("accept", "v0", 12), ("publish", "v1", 20)], [(12, "v0"), (20, "v1")]),
        ([("publish", "v0", 10), ("accept", "v0", 12), ("publish explicitly", "v1", 20)], [(12, "v0")]),
        ([("publish", "v0", 10), ("publish", "v1", 12), ("accept", "v0", 12)], [(12, "v0")]),
        ([("publish", "v0", 10), ("publish", "v1", 20), ("accept", "v0", 12), ("accept", "v0", 20)],
         [(12, "v0"), (20, "v1")]),
        ([("publish", "v0", 5), ("publish", "v1", 6), ("accept", "v1", 10), ("accept", "v0", 15)],
         [(10, "v1"), (15, "v0")]),
        ([("publish", "v0", 5), ("accept", "v0", 10), ("publish", "v1", 20), ("publish", "v2", 20)],
         [(10, "v0"), (20, "v2")]),
        ([("publish", "v0", 5), ("accept", "v0", 10), ("publish", "v1", 30), ("publish", "v2", 20)],
         [(10, "v0"), (20, "v2")]),
    ],
)  # fmt: skip
def test_which_terms_bind_follows_from_what_was_published_and_accepted(happened, binds):
    assert bound(*happened) == binds


def test_the_version_accepted_last_is_told_with_its_instant():
    bindings = TermsBindings()
    for name in ("v0", "v1"):
        bindings.publish(replace(TERMS, id=name), binds_us=5)
    for name, at in (("v1", 10), ("v0", 12), ("v1", 14)):
        bindings.accept("acme", name, at_us=at)
    at_us, terms = bindings.accepted("acme")
    assert (at_us, terms.id) == (14, "v1")


def test_what_a_namesake_said_counts_for_both_and_is_the_own_word_of_neither_but_who_said_it():
    gpc = ("signal", {"party": PERSON, "signal": "gpc"})
    told = [(3, answer(PERSON, "yes")), (5, copied(answer(PERSON, "no"))), (6, copied(gpc)), (7, gpc)]
    told += [(8, copied(answer(PERSON, "no"))), (9, answer(PERSON, "no"))]
    made = history_of([*told, (10, ("erasure", {"party": PERSON}))])
    saved = History()
    saved.load({name: bytes(data) for name, data in made.to_files().items()})
    for history in (made, saved):
        every, own = history.party(PERSON), history.own(PERSON)
        assert [(one.at_us, one.yes) for one in every.decisions] == [(3, True), (5, False), (8, False), (9, False)]
        assert [(one.at_us, one.yes) for one in own.decisions] == [(3, True), (9, False)]
        assert every.signals == [(6, "gpc", 2), (7, "gpc", 3)]
        assert own.signals == [(7, "gpc", 3)]
        assert (own.erased_us, own.erased_seq) == (every.erased_us, every.erased_seq) == (10, 6)
        silent = history.own(OTHER)
        assert (silent.decisions, silent.signals, silent.erased_us, silent.erased_seq) == ([], [], None, -1)


def test_who_may_be_the_same_person_is_known_of_both_since_it_was_first_said():
    third = "person:third"
    told = [(3, answer(third, "no")), (5, copied(answer(PERSON, "no")))]
    told += [(7, copied(answer(PERSON, "no"))), (8, copied(("signal", {"party": third, "signal": "gpc"})))]
    region = {"party": third, "region": "EEA", "namesake": PERSON}  # as no region is copied, it says nothing
    made = history_of([*told, (9, ("region", region))])
    saved = History()
    saved.load({name: bytes(data) for name, data in made.to_files().items()})
    for history in (made, saved):
        assert [[*history.namesakes(PERSON, at_us=at)] for at in (4, 5, 9)] == [[], [OTHER], [OTHER]]
        assert [[*history.namesakes(OTHER, at_us=at)] for at in (4, 5, 7, 8)] == [
            [],
            [PERSON],
            [PERSON],
            [PERSON, third],
        ]
        assert [[*history.namesakes(third, at_us=at)] for at in (7, 8)] == [[], [OTHER]]
        assert [*history.namesakes("person:nobody", at_us=9)] == []
        assert history.resembling([PERSON, "person:nobody", OTHER]) == {PERSON, OTHER}
        assert history.resembling(["person:nobody"]) == set()
    assert History().resembling([PERSON]) == set()


@pytest.mark.parametrize("covers_us", [None, BEGINNING_US, 5])
@pytest.mark.parametrize("until_us", [None, 9])
def test_a_decision_is_remembered_as_it_was_said(covers_us, until_us):
    said = replace(decision(7, (0, True, covers_us, [CATEGORY])), until_us=until_us)
    history = History()
    history.answers.decide(PERSON, said)
    assert history.party(PERSON).decisions == [said]
    assert history.own(PERSON).decisions == [said]


def test_when_terms_were_published_is_saved():
    made = TermsBindings()
    made.publish(terms("v", kind="consent"), binds_us=START + 9, at_us=START, seq=4)
    found = TermsBindings()
    found.load(json.loads(json.dumps(made.to_json())))
    assert found.to_json() == made.to_json()


def test_terms_may_bind_from_the_minute_on_in_which_their_entry_was_written_and_no_earlier():
    at_us = 2 * WRITING_US
    in_time, too_early = (
        entries_of([(at_us, publish("v", "consent", binds=at_us - WRITING_US - more))]) for more in (0, 1)
    )
    assert check_publications(in_time) == 1
    with pytest.raises(ProofError, match="before the entry itself"):
        check_publications(too_early)


def test_terms_may_bind_whoever_accepts_for_the_first_time_once_their_own_notice_is_over():
    notice_us = 30 * 24 * 3600 * 1_000_000
    bindings = TermsBindings()
    bindings.publish(replace(terms("v", kind="consent"), notice_days=30), binds_us=9 * notice_us, at_us=START)
    bindings.accept("acme", "v", at_us=START + 5)
    assert bindings.next_binding_us(after_us=START + notice_us) == START + 5 + notice_us
