"""Which identities are one person: merge, alias, rename, move, leave, and what follows from each for permission."""

import json
import zipfile
from datetime import UTC, datetime

import pytest

from volition.canonical import datetime_to_us, us_to_text
from volition.consent.identity import Handle, Identities
from volition.consent.parties import ErasedError
from volition.consent.terms.model import Basis, Rule, Terms
from volition.errors import ConflictError, InvalidInputError, RefusedError
from volition.features.conversations import ConversationKind
from volition.ledger.entry import NewEntry
from volition.progress import silent
from volition.records.ingest import Draft, PersonRef
from volition.workspace import Workspace

STARTED = datetime(2024, 11, 3, 9, tzinfo=UTC)
EVERYTHING = {"data": ["content", "service"], "purpose": ["train", "feature"]}


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "w", origin="log.example/identities") as made:
        made.people.add_account("acme", "Acme")
        made.people.add_account("brill", "Brill")
        made.people.add_person("bo", account="acme", name="Bo Berg")
        for account in ("acme", "brill"):
            made.terms.accept(account, "granular")
            say(made, f"account:{account}", yes=True)
        say(made, "person:bo", yes=True)
        collect(made, "Bo Berg: fine", name="daily")
        yield made


def say(workspace, party, *, yes, **about):
    return workspace.consent.decide(party, yes=yes, covers="past" if yes else None, **(EVERYTHING | about))


def collect(workspace, *lines, name, account="acme"):
    """Collect a transcript of lines such as "Ann Lee: zebra"."""
    path = workspace.folder.parent / f"{name}.vtt"
    cue = "{0}\n00:00:{0:02}.000 --> 00:00:{0:02}.900\n{1}\n"
    path.write_text("WEBVTT\n\n" + "\n".join(cue.format(n, line) for n, line in enumerate(lines, 1)), "utf-8")
    return workspace.records.collect_webvtt(path, account=account, started=STARTED)


def permitted(workspace, purpose="train/search"):
    """Return the texts that may be used."""
    rows = workspace.records.rows(purpose, categories=["content/transcript"])
    return sorted(json.loads(payload)["text"] for batch in rows for payload in batch["payload"].to_pylist())


def heard(workspace, name, account="acme"):
    """Return the id of somebody who was heard."""
    [found] = [one for one in workspace.parties.named(account, name) if one.is_heard]
    return found.id


def whom(workspace, account="acme", **handle):
    """Return the ids of those whom a handle concerns; "?" for somebody unknown."""
    found = Identities(workspace.parties).resolve(account, Handle(**handle)).people
    known = [workspace.parties.person_by_pseudonym(one) for one in found]
    return ["?" if one is None else one.id for one in known]


def identity_entries(workspace):
    return [entry.body for entry in workspace.entries() if entry.kind == "identity"]


@pytest.fixture
def ann(workspace):
    """Have Ann speak as a guest, and register her afterwards."""
    collect(workspace, "Ann Lee: zebra", name="kickoff")
    workspace.people.add_person("ann", account="acme", name="Ann Lee", emails=["ann@acme.example"])
    return heard(workspace, "Ann Lee")


# --- merging ---


def test_merged_they_are_one_person_and_every_handle_of_either_is_theirs_for_certain(workspace, ann):
    assert whom(workspace, name="Ann Lee") == ["ann", ann]
    old = workspace.parties.person(ann).pseudonym
    workspace.people.merge(ann, into="ann")
    assert whom(workspace, name="Ann Lee") == whom(workspace, name="ann lee (she/her)") == ["ann"]
    merged = workspace.parties.person(ann)
    assert (merged.id, merged.ids, merged.pseudonyms[1]) == ("ann", ("ann", ann), old)
    assert workspace.parties.person_by_pseudonym(old) == merged
    assert [one.id for one in workspace.parties.people("acme")] == ["ann", "bo"]
    assert workspace.people.namesakes("ann") == []


def test_what_was_recorded_of_each_needs_its_own_yes_and_one_answer_is_for_both(workspace, ann):
    say(workspace, "person:ann", yes=True)
    workspace.people.merge(ann, into="ann")
    assert permitted(workspace) == ["fine"], "nobody has said yes for what the guest said"
    say(workspace, "person:ann", yes=True)
    assert permitted(workspace) == ["fine", "zebra"]
    say(workspace, f"person:{ann}", yes=False)
    assert permitted(workspace) == ["fine"]


@pytest.mark.parametrize("who", ["guest", "ann"])
def test_the_stricter_answer_stands(workspace, who):
    collect(workspace, "Annie: zebra", name="kickoff")
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    annie = heard(workspace, "Annie")
    assert workspace.people.namesakes("ann") == [], "nothing but the operator says that they are one"
    collect(workspace, "Ann Lee: giraffe", name="retro")
    for party in ("person:ann", f"person:{annie}"):
        say(workspace, party, yes=True)
    assert permitted(workspace) == ["fine", "giraffe", "zebra"]
    refuser = f"person:{annie}" if who == "guest" else "person:ann"
    say(workspace, refuser, yes=False, purpose=["train/search"])
    say(workspace, refuser, yes=False, purpose=["train/summary"])
    say(workspace, refuser, yes=True, purpose=["train/summary"])
    workspace.people.merge(annie, into="ann")
    assert permitted(workspace) == ["fine"]
    assert len(permitted(workspace, "train/summary")) == 3, "what is refused no more is no no"


def test_a_yes_that_has_ended_by_its_own_date_refuses_for_both(tmp_path):
    now_us = [datetime_to_us(STARTED) + 86_400_000_000]

    def clock():
        now_us[0] += 1_000_000
        return now_us[0]

    with Workspace.create(tmp_path / "w", origin="log.example/ended", clock=clock) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme", "granular")
        say(workspace, "account:acme", yes=True)
        collect(workspace, "Annie: zebra", name="kickoff")
        workspace.people.add_person("ann", account="acme", name="Ann Lee")
        about = {"data": ["content"], "purpose": ["feature/search"]}
        workspace.consent.decide("person:ann", yes=True, until=us_to_text(now_us[0] + 3_600_000_000), **about)
        now_us[0] += 7_200_000_000
        assert permitted(workspace, "feature/search") == ["zebra"]
        workspace.people.merge(heard(workspace, "Annie"), into="ann")
        assert permitted(workspace, "feature/search") == []


@pytest.mark.parametrize("into", ["ann", "annie"])
@pytest.mark.parametrize("how", ["age", "date"])
def test_a_yes_that_has_ended_refuses_for_both_though_the_other_ones_is_in_force(tmp_path, how, into):
    now_us = [datetime_to_us(STARTED) + 86_400_000_000]

    def clock():
        now_us[0] += 1_000_000
        return now_us[0]

    asked = Rule(
        data=("content",),
        purpose=("train", "feature"),
        basis=Basis.CONSENT,
        asks=("account", "person"),
        max_yes_age_us=7 * 86_400_000_000 if how == "age" else None,
    )
    account = Rule(data=("content",), purpose=("train/summary",), basis=Basis.CONSENT, asks=("account",))
    told = {"title": "w", "effective_us": 0, "acceptance": "explicit", "text": "prose", "notice_days": 0}
    with Workspace.create(tmp_path / "w", origin="log.example/aged", clock=clock) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.publish(Terms(id="weekly", rules=(asked, account), **told))
        workspace.terms.accept("acme", "weekly")
        collect(workspace, "Annie: zebra", name="kickoff")
        annie = heard(workspace, "Annie")
        workspace.people.add_person("ann", account="acme", name="Ann Lee")
        collect(workspace, "Ann Lee: giraffe", name="retro")
        ended, in_force = ("person:ann", f"person:{annie}") if into == "annie" else (f"person:{annie}", "person:ann")
        about = {"until": us_to_text(now_us[0] + 3_600_000_000)} if how == "date" else {}
        say(workspace, ended, yes=True, **about)
        now_us[0] += 6 * 86_400_000_000
        for party in (in_force, "account:acme"):
            say(workspace, party, yes=True)
        now_us[0] += 3 * 86_400_000_000
        [stands] = permitted(workspace)
        workspace.people.merge(annie, into="ann")
        assert (stands, permitted(workspace)) == ("giraffe" if into == "ann" else "zebra", [])
        say(workspace, "person:ann", yes=True)
        assert permitted(workspace) == ["giraffe", "zebra"]


@pytest.mark.parametrize("who", ["guest", "ann"])
def test_a_signal_of_either_stands_for_both_until_they_say_yes(workspace, who):
    collect(workspace, "Annie: zebra", name="kickoff")
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    annie = heard(workspace, "Annie")
    workspace.consent.signal(annie if who == "guest" else "ann")
    workspace.people.merge(annie, into="ann")
    for pseudonym in workspace.parties.person("ann").pseudonyms:
        assert [name for _, name, _ in workspace.history().party(f"person:{pseudonym}").signals] == ["gpc"]


def test_an_entry_says_who_was_merged_by_whom_and_no_name(workspace, ann):
    kept, gone = workspace.parties.person("ann").pseudonym, workspace.parties.person(ann).pseudonym
    workspace.people.merge(ann, into="ann", by="bo")
    by = f"person:{workspace.parties.person('bo').pseudonym}"
    assert identity_entries(workspace) == [
        {"act": "merge", "people": [f"person:{kept}", f"person:{gone}"], "by": by},
    ]
    workspace.people.rename("ann", "Ann Lee-Day")
    workspace.people.alias("ann", aliases=["Annie"], emails=["annie@home.example"])
    written = b"".join(entry.leaf_bytes for entry in workspace.entries())
    assert not any(name in written for name in (b"Lee", b"Annie", b"annie", b"acme:guest"))


def test_whoever_is_merged_into_somebody_who_was_merged_is_the_same_person(workspace, ann):
    collect(workspace, "Annie: giraffe", name="retro")
    annie = heard(workspace, "Annie")
    workspace.people.merge(ann, into=annie)
    workspace.people.merge(annie, into="ann")
    assert set(workspace.parties.person(ann).ids) == {"ann", ann, annie}
    say(workspace, f"person:{ann}", yes=False)
    for pseudonym in workspace.parties.person("ann").pseudonyms:
        assert [one.yes for one in workspace.history().party(f"person:{pseudonym}").decisions] == [False]


def test_people_of_two_accounts_stay_two_and_nobody_registered_goes_into_somebody_heard(workspace, ann):
    workspace.people.add_person("ann-2", account="brill", name="Ann Lee")
    size = workspace.ledger.size
    for gone, kept, error in [
        ("ann-2", "ann", RefusedError),
        (ann, "ann-2", RefusedError),
        ("ann", ann, RefusedError),
        ("ann", "ann", InvalidInputError),
        ("nobody", "ann", InvalidInputError),
    ]:
        with pytest.raises(error):
            workspace.people.merge(gone, into=kept)
    assert workspace.ledger.size == size
    assert len(workspace.parties.people("acme")) == 3


def test_two_registered_people_are_merged_where_somebody_says_so(workspace):
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    workspace.people.add_person("ann2", account="acme", name="Ann Lee", emails=["lee@acme.example"])
    assert whom(workspace, name="Ann Lee")[0] == "?"
    workspace.people.merge("ann2", into="ann")
    assert whom(workspace, name="Ann Lee") == whom(workspace, email="lee@acme.example") == ["ann"]


def test_a_guest_without_an_account_takes_in_whoever_was_heard_and_is_known_by_it_in_that_account_alone(workspace):
    collect(workspace, "Gussie: zebra", name="kickoff")
    workspace.people.add_person("gus", name="Gus Guest")
    workspace.people.merge(heard(workspace, "Gussie"), into="gus")
    assert whom(workspace, name="Gussie") == ["gus"]
    [other] = whom(workspace, account="brill", name="Gussie")
    assert other.startswith("brill:guest:")
    assert whom(workspace, account="brill", name="Gus Guest") == ["gus"]


# --- regions and limits ---


def test_where_one_has_a_region_the_other_gets_it(workspace, ann):
    workspace.people.add_person("cy", account="acme", name="Cy", region="DE")
    collect(workspace, "Cyril: lion", name="retro")
    cyril = workspace.parties.person(heard(workspace, "Cyril")).pseudonym
    workspace.people.merge(heard(workspace, "Cyril"), into="cy")
    assert workspace.history().regions(f"person:{cyril}")[-1][1] == "DE"


def test_two_regions_are_refused_until_somebody_says_which_holds(workspace):
    workspace.people.add_person("ann", account="acme", name="Ann Lee", region="DE")
    workspace.people.add_person("ann2", account="acme", name="Ann Lee", region="US")
    with pytest.raises(RefusedError, match="--region"):
        workspace.people.merge("ann2", into="ann")
    assert identity_entries(workspace) == []
    merged = workspace.people.merge("ann2", into="ann", region="DE")
    assert {workspace.history().regions(f"person:{one}")[-1][1] for one in merged.pseudonyms} == {"DE"}


def test_a_limit_of_a_group_applies_to_every_identity(workspace, ann):
    say(workspace, "person:ann", yes=True)
    say(workspace, f"person:{ann}", yes=True)
    workspace.consent.limit("acme", group="minors", people=["ann"], data=["content"], purpose=["train"])
    assert permitted(workspace) == ["fine", "zebra"]
    workspace.people.merge(ann, into="ann")
    assert permitted(workspace) == ["fine"]
    workspace.consent.limit("acme", group="minors", people=["ann"], data=["content"], purpose=["train"], limited=False)
    say(workspace, "person:ann", yes=True)
    assert permitted(workspace) == ["fine", "zebra"]


# --- what was said, and undoing it ---


def test_an_answer_of_several_identities_is_listed_once_with_its_receipt(workspace, ann):
    say(workspace, f"person:{ann}", yes=True)
    workspace.people.merge(ann, into="ann")
    entry = say(workspace, "person:ann", yes=False)
    answers = workspace.consent.answers("ann")
    assert [one.body["answer"] for one in answers] == ["no", "yes"]
    assert answers[0] == entry
    assert workspace.proofs.receipt("ann", entry.seq)
    assert workspace.proofs.receipt("ann", answers[1].seq)
    assert workspace.consent.answers("ann", before=entry.seq, limit=1) == answers[1:]


def test_undoing_makes_each_identity_stand_as_it_did_and_gives_none_a_yes_that_it_never_had(workspace, ann):
    say(workspace, "person:ann", yes=True)
    workspace.people.merge(ann, into="ann")
    collect(workspace, "Ann Lee: giraffe", name="retro")
    assert permitted(workspace) == ["fine", "giraffe"]
    switch = workspace.consent.choices("person:ann", account="acme").choices[0].switch.name
    entry, can_undo = workspace.consent.choose("person:ann", switch, account="acme", yes=False)
    assert can_undo
    assert workspace.consent.undo_choice("person:ann", switch, account="acme", seq=entry.seq)
    assert "giraffe" in permitted(workspace)
    assert "zebra" not in permitted(workspace)


def test_what_was_said_before_a_merge_is_not_undone_after_it(workspace, ann):
    say(workspace, "person:ann", yes=True)
    switch = workspace.consent.choices("person:ann", account="acme").choices[0].switch.name
    entry, _ = workspace.consent.choose("person:ann", switch, account="acme", yes=False)
    workspace.people.merge(ann, into="ann")
    with pytest.raises(RefusedError, match="Answer anew"):
        workspace.consent.undo_choice("person:ann", switch, account="acme", seq=entry.seq)


# --- names ---


def test_another_name_and_another_address_are_theirs_from_then_on_and_can_be_taken_away(workspace, ann):
    workspace.people.merge(ann, into="ann")
    workspace.people.alias("ann", aliases=["Annie Oakley", "U7"], emails=["annie@acme.example"])
    for handle in ({"name": "Annie Oakley"}, {"id": "u7"}, {"email": "ANNIE@acme.example"}):
        assert whom(workspace, **handle) == ["ann"]
    workspace.people.remove_alias("ann", "annie oakley")
    [other] = whom(workspace, name="Annie Oakley")
    assert other.startswith("acme:guest:")
    with pytest.raises(InvalidInputError, match="person show"):
        workspace.people.remove_alias("ann", "annie oakley")
    with pytest.raises(InvalidInputError, match="stays"):
        workspace.people.remove_alias("ann", "Ann Lee")


def test_a_name_that_somebody_heard_had_is_taken_away_and_then_it_is_somebody_elses(workspace):
    collect(workspace, "Annie: zebra", name="kickoff")
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    annie = heard(workspace, "Annie")
    workspace.people.merge(annie, into="ann")
    assert whom(workspace, name="Annie") == ["ann"]
    workspace.people.remove_alias("ann", "Annie")
    [other] = whom(workspace, name="Annie")
    assert other not in {"ann", annie}
    assert whom(workspace, name="Annie") == [other]


def test_a_new_name_leaves_the_old_one_a_handle_unless_it_is_forgotten(workspace):
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    workspace.people.rename("ann", "Ann Day")
    assert workspace.parties.person("ann").name == "Ann Day"
    assert whom(workspace, name="Ann Lee") == whom(workspace, name="Ann Day") == ["ann"]
    workspace.people.rename("ann", "Ann Oakley", forget_old=True)
    assert whom(workspace, name="Ann Oakley") == ["ann"]
    assert "ann" not in whom(workspace, name="Ann Day")
    assert workspace.parties.person("ann").names == ("Ann Oakley", "Ann Lee")


def test_somebody_else_is_offered_no_more_and_the_no_of_each_still_counts_for_both(workspace, ann):
    assert [(one.heard.id, one.person.id) for one in workspace.people.pairs("acme")] == [(ann, "ann")]
    workspace.people.keep_apart(ann, "ann")
    assert workspace.people.pairs("acme") == []
    say(workspace, f"person:{ann}", yes=False)
    assert [one.yes for one in workspace.history().party(workspace.party("person:ann")).decisions] == [False]
    assert identity_entries(workspace)[-1]["act"] == "apart"


def features(workspace):
    return permitted(workspace, "feature/search")


def test_the_no_of_somebody_heard_holds_in_records_of_both_though_a_second_of_the_name_is_registered(workspace, ann):
    collect(workspace, "Ann Lee: giraffe", name="retro")
    assert features(workspace) == ["fine", "giraffe", "zebra"]
    workspace.people.add_person("ann2", account="acme", name="Ann Lee")
    assert workspace.people.namesakes(ann) == [], "nobody can say whose namesake"
    say(workspace, f"person:{ann}", yes=False)
    assert features(workspace) == ["fine"]


@pytest.mark.parametrize("how", ["rename", "remove", "move"])
def test_the_no_of_somebody_heard_holds_in_records_of_both_however_the_other_is_called_since(workspace, how):
    collect(workspace, "Annie: zebra", name="kickoff")
    workspace.people.add_person("ann", account="acme", name="Ann Lee", aliases=["Annie"])
    collect(workspace, "Annie: giraffe", name="retro")
    annie = heard(workspace, "Annie")
    if how == "move":
        workspace.people.move("ann", to="brill")
    elif how == "remove":
        workspace.people.remove_alias("ann", "Annie")
    else:
        workspace.people.rename("ann", "Annie")
        workspace.people.rename("ann", "Ann Day", forget_old=True)
    say(workspace, f"person:{annie}", yes=False)
    assert features(workspace) == ["fine"]


def test_what_somebody_heard_refused_holds_in_records_in_which_another_of_the_name_stands_first(workspace):
    collect(workspace, "Zoe Zander (Guest): zebra", name="kickoff")
    guest = heard(workspace, "Zoe Zander (Guest)")
    say(workspace, f"person:{guest}", yes=False)
    collect(workspace, "Zoe Zander: giraffe", name="retro")
    collect(workspace, "Zoe Zander (Guest): lion", name="third")
    assert "lion" not in features(workspace)


@pytest.fixture
def doubtful(workspace, ann):
    """Ann may have said "giraffe", and nobody can tell it from the guest; "lion" is hers for certain."""
    collect(workspace, "Ann Lee: giraffe", name="retro")
    draft = Draft(
        key="lion",
        account="acme",
        people=(PersonRef(name="Ann Lee", email="ann@acme.example"),),
        category="content/transcript",
        at_us=datetime_to_us(STARTED),
        payload={"kind": "segment", "text": "lion", "meeting": "certain", "speaker": "Ann Lee"},
    )
    workspace.records.take_in(iter([draft]), "acme", silent)
    assert features(workspace) == ["fine", "giraffe", "lion", "zebra"]
    return ann


def test_a_yes_allows_what_is_surely_theirs_and_the_no_of_who_may_have_spoken_stands(workspace, doubtful):
    say(workspace, f"person:{doubtful}", yes=False)
    assert features(workspace) == ["fine"], "until then it is a no of either"
    say(workspace, "person:ann", yes=True)
    assert features(workspace) == ["fine", "lion"]
    workspace.people.rename("ann", "Ann Day")
    assert features(workspace) == ["fine", "lion"], "what she answered since is not undone by another name"
    say(workspace, f"person:{doubtful}", yes=True)
    assert features(workspace) == ["fine", "giraffe", "lion", "zebra"]


def test_a_no_that_followed_the_other_ones_own_stands_when_that_is_taken_back(workspace, doubtful):
    say(workspace, "person:ann", yes=False)
    say(workspace, f"person:{doubtful}", yes=False)
    say(workspace, "person:ann", yes=True)
    assert features(workspace) == ["fine", "lion"]


def test_a_no_from_before_anybody_knew_that_the_two_may_be_one_stands_when_the_others_is_taken_back(workspace):
    collect(workspace, "Ann Lee: zebra", name="kickoff")
    guest = heard(workspace, "Ann Lee")
    workspace.people.add_person("ann", account="acme", name="Ann Oakley")
    for party in ("person:ann", f"person:{guest}"):
        say(workspace, party, yes=False)
    workspace.people.rename("ann", "Ann Lee")
    say(workspace, "person:ann", yes=True)
    collect(workspace, "Ann Lee: giraffe", name="retro")
    assert features(workspace) == ["fine"]


def test_a_no_that_an_earlier_version_did_not_record_for_both_is_recorded_before_the_others_yes(workspace, doubtful):
    for party in ("person:ann", f"person:{doubtful}"):  # as it was written where the other had refused already
        body = {"party": workspace.party(party), "answer": "no", "covers": None}
        workspace.ledger.append(NewEntry(kind="decision", body=body | EVERYTHING))
    entry = say(workspace, "person:ann", yes=True)
    assert (entry.body["answer"], "namesake" in entry.body) == ("yes", False)
    assert features(workspace) == ["fine", "lion"]


@pytest.mark.parametrize("first", ["ann", "guest"])
def test_a_signal_of_each_is_known_as_theirs_in_whatever_order_and_before_they_may_be_one(workspace, first):
    collect(workspace, "Ann Lee: zebra", name="kickoff")
    guest = heard(workspace, "Ann Lee")
    workspace.people.add_person("ann", account="acme", name="Ann Oakley")
    for one in ("ann", guest) if first == "ann" else (guest, "ann"):
        workspace.consent.signal(one)
    workspace.people.rename("ann", "Ann Lee")
    parties, history = [workspace.party(f"person:{one}") for one in ("ann", guest)], workspace.history()
    for party, other in (parties, parties[::-1]):
        assert list(history.namesakes(party, at_us=history.last_us)) == [other]
        assert [name for _, name, _ in history.own(party).signals] == ["gpc"]


@pytest.mark.slow
def test_undoing_ones_own_no_leaves_the_others(workspace, doubtful):
    say(workspace, "person:ann", yes=True)
    no, _ = workspace.consent.refuse_all("person:ann", account="acme")
    say(workspace, f"person:{doubtful}", yes=False, purpose=["feature/search"])
    undone = workspace.consent.undo_refusal("person:ann", account="acme", seq=no.seq)
    assert {(entry.body["answer"], "namesake" in entry.body) for entry in undone} == {("yes", False)}
    assert features(workspace) == ["fine", "lion"]


def test_a_no_of_ones_own_that_was_taken_back_leaves_nothing_against_who_may_have_spoken(workspace, doubtful):
    for yes in (False, True):
        say(workspace, "person:ann", yes=yes)
    assert features(workspace) == ["fine", "giraffe", "lion"], "the guest alone has the copy of her no"


@pytest.mark.slow
@pytest.mark.parametrize("said", ["yes", "nothing", "no", "yes, and no since", "yes, and a signal since"])
def test_what_is_undone_is_undone_for_the_other_one_too_but_no_more_than_their_own_yes(workspace, doubtful, said):
    say(workspace, f"person:{doubtful}", yes=True)
    if said != "nothing":
        say(workspace, "person:ann", yes=said != "no")
    before = features(workspace)
    no, _ = workspace.consent.refuse_all(f"person:{doubtful}", account="acme")
    assert features(workspace) == ["fine"]
    if said == "yes, and no since":
        say(workspace, "person:ann", yes=False)
    if said == "yes, and a signal since":
        workspace.consent.signal("ann")
    workspace.consent.undo_refusal(f"person:{doubtful}", account="acme", seq=no.seq)
    if said == "yes":
        assert features(workspace) == before == ["fine", "giraffe", "lion", "zebra"]
    else:
        assert "lion" not in features(workspace)
    own = workspace.history().own(workspace.party("person:ann")).decisions
    assert len(own) == {"nothing": 0, "yes, and no since": 2}.get(said, 1), "nobody else's yes is theirs"


def test_merged_nothing_is_left_of_the_doubt(workspace, doubtful):
    say(workspace, f"person:{doubtful}", yes=False)
    say(workspace, "person:ann", yes=True)
    workspace.people.merge(doubtful, into="ann")
    assert features(workspace) == ["fine"]
    say(workspace, "person:ann", yes=True)
    assert features(workspace) == ["fine", "giraffe", "lion", "zebra"]


# --- accounts ---


def test_moved_they_are_certain_there_and_never_alone_where_they_were(workspace):
    workspace.people.add_person("ann", account="acme", name="Ann Lee", aliases=["U7"], emails=["ann@acme.example"])
    say(workspace, "person:ann", yes=False)
    workspace.people.move("ann", to="brill")
    for handle in ({"name": "Ann Lee"}, {"id": "U7"}, {"email": "ann@acme.example"}):
        assert whom(workspace, account="brill", **handle) == ["ann"]
        first, other = whom(workspace, account="acme", **handle)
        assert (first, other[:5]) == ("ann", "acme:")
    collect(workspace, "Ann Lee: zebra", name="kickoff")
    assert permitted(workspace, "feature/search") == ["fine"], "their no went with them and holds where they were, too"
    assert identity_entries(workspace)[-1]["accounts"] == ["acme", "brill"]
    workspace.people.move("ann", to="acme")
    assert whom(workspace, account="acme", id="U7")[0] == "ann"


def test_a_guest_who_becomes_a_user_is_still_concerned_in_other_accounts(workspace):
    workspace.people.add_person("gus", name="Gus Guest")
    say(workspace, "person:gus", yes=False)
    workspace.people.move("gus", to="brill")
    assert whom(workspace, account="brill", name="Gus Guest") == ["gus"]
    assert whom(workspace, account="acme", name="Gus Guest")[0] == "gus"


def test_left_they_may_still_be_meant_and_so_may_somebody_else(workspace):
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    say(workspace, "person:ann", yes=True)
    workspace.people.leave("ann")
    assert workspace.parties.person("ann").is_guest
    first, other = whom(workspace, name="Ann Lee")
    assert (first, other[:11]) == ("ann", "acme:guest:")
    workspace.people.add_person("ann-3", account="acme", name="Ann Lee")
    assert set(whom(workspace, name="Ann Lee")) == {"ann", "ann-3", other}
    with pytest.raises(InvalidInputError):
        workspace.people.leave("ann")
    workspace.people.move("ann", to="acme")
    assert not workspace.parties.person("ann").is_guest


def test_whoever_was_heard_moves_nowhere(workspace, ann):
    with pytest.raises(ConflictError):
        workspace.people.move(ann, to="brill")
    with pytest.raises(InvalidInputError):
        workspace.people.leave(ann)


# --- the gate's doors ---


def test_every_id_and_pseudonym_of_a_person_names_that_identity_to_the_gate(workspace, ann):
    old = workspace.parties.person(ann).pseudonym
    say(workspace, "person:ann", yes=True)
    workspace.people.merge(ann, into="ann")

    def may(name):
        about = {"account": "acme", "people": [name], "category": "content/transcript", "collected": STARTED}
        return workspace.gate.may("train/search", **about).verdict

    assert may("ann").permitted
    for name in (ann, f"person:{ann}", f"pseudonym:{old}", f"person:{old}"):
        assert (may(name).reason, may(name).party) == ("not-asked", f"person:{old}")


def test_an_older_directory_opens_and_merges(workspace, ann):
    folder = workspace.folder
    workspace.parties.directory._database._connection.executescript(
        "DROP TABLE merged; DROP TABLE former; DROP TABLE apart; DROP TABLE verified; DROP TABLE linked;"
    )
    workspace.close()
    with Workspace.open(folder) as again:
        assert [one.id for one in again.parties.people("acme")] == [ann, "ann", "bo"]
        again.people.merge(ann, into="ann")
        assert whom(again, name="Ann Lee") == ["ann"]


def test_whoever_is_erased_is_erased_with_every_identity(workspace, ann):
    pseudonyms = [workspace.parties.person(one).pseudonym for one in ("ann", ann)]
    collect(workspace, "Ann Lee: giraffe", name="retro")
    workspace.people.merge(ann, into="ann")
    collect(workspace, "Ann Lee: lion", name="third")
    workspace.forgetting.erase("person:ann")
    assert [workspace.history().erased_us(f"person:{one}") is not None for one in pseudonyms] == [True, True]
    for one in ("ann", ann):
        with pytest.raises(ErasedError):
            workspace.parties.person(one)
    assert permitted(workspace, "feature/search") == ["fine"]
    assert whom(workspace, name="Ann Lee") == ["?"]
    assert workspace.parties.people("acme") == [workspace.parties.person("bo")]


# --- rights ---


def test_what_is_held_and_exported_is_of_every_identity_and_counts_a_record_once(workspace, ann, tmp_path):
    collect(workspace, "Ann Lee: giraffe", name="retro")
    assert [(day.own, day.concerning) for day in workspace.rights.holdings("ann").days] == [(1, 0)]
    assert workspace.rights.holdings("ann").may_be == 1
    workspace.people.merge(ann, into="ann")
    collect(workspace, "Ann Lee: lion", "Bo Berg: oh", name="third")
    held = workspace.rights.holdings("ann")
    assert sum(day.own for day in held.days) == 3
    assert sum(day.concerning for day in held.days) == 1
    assert held.may_be == 0
    with (tmp_path / "export.zip").open("wb+") as sink:
        done = workspace.rights.export(ann, sink)
    assert (done.own, done.concerning) == (3, 1)
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        about = json.loads(archive.read("about.json"))
        records = json.loads(archive.read("records.json"))
    assert [one["person"] for one in about["identities"]] == ["ann", ann]
    assert sorted((one["payload"]["text"], one["others"]) for one in records) == [
        ("giraffe", 0),
        ("lion", 1),
        ("zebra", 0),
    ]


def test_an_export_says_how_many_may_be_the_person_and_not_who(workspace, ann, tmp_path):
    with (tmp_path / "export.zip").open("wb+") as sink:
        workspace.rights.export("ann", sink)
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        assert "1 who were heard in meetings may be you" in archive.read("README.txt").decode()
        assert ann not in archive.read("about.json").decode()


def test_a_person_reads_again_what_they_heard_under_any_identity(workspace, ann):
    assert workspace.features.conversations(ConversationKind.MEETING, person="ann") == ()
    workspace.people.merge(ann, into="ann")
    [kickoff] = workspace.features.conversations(ConversationKind.MEETING, person="ann")
    assert kickoff.name == "kickoff"


def test_a_person_opens_what_any_identity_of_theirs_was_in_and_sees_who_reads_it(workspace, ann):
    collect(workspace, "Ann Lee: giraffe", "Bo Berg: lion", name="retro")
    workspace.people.add_person("cy", account="acme", name="Cy Clark")
    workspace.people.merge(ann, into="ann")
    about = {"kind": ConversationKind.MEETING, "account": "acme"}
    for meeting in ("kickoff", "retro"):
        readers = workspace.audiences.readers(meeting, person="ann", **about)
        assert (readers.was_there, readers.members.count("Ann Lee")) == (True, 1)
        workspace.audiences.share(meeting, people=["cy"], by="ann", **about)
        assert workspace.audiences.share(meeting, people=["cy"], by="ann", **about) is None, "it is open to them"
        [opening] = workspace.audiences.readers(meeting, person="ann", **about).openings
        assert (opening.to.name, opening.by.name) == ("Cy Clark", "Ann Lee")
        [opening] = workspace.audiences.readers(meeting, person="cy", **about).openings
        assert opening.by.name == "Ann Lee"
    for word in ("zebra", "giraffe"):
        assert word in {hit.text for hit in workspace.features.search(word, person="cy").hits}
    workspace.audiences.unshare("kickoff", people=["cy"], by="ann", **about)
    assert workspace.audiences.readers("kickoff", person="ann", **about).openings == ()
    assert "zebra" not in {hit.text for hit in workspace.features.search("zebra", person="cy").hits}


def test_a_guests_answers_are_those_of_all_their_identities(workspace, ann):
    collect(workspace, "Annie: giraffe", name="retro")
    annie = heard(workspace, "Annie")
    say(workspace, f"person:{annie}", yes=False)
    say(workspace, f"person:{ann}", yes=True)
    workspace.people.merge(annie, into=ann)
    said = [entry.body["answer"] for entry in workspace.consent.answers(annie)]
    assert said == [entry.body["answer"] for entry in workspace.consent.answers(ann)]
    assert sorted(said) == ["no", "yes"], "each once, without what was copied"


def test_a_no_is_one_request_and_an_erasure_is_one_for_all_identities(workspace, ann):
    workspace.people.merge(ann, into="ann")
    collect(workspace, "Ann Lee: giraffe", name="retro")
    party = workspace.party("person:ann")
    no = say(workspace, "person:ann", yes=False)
    [request] = workspace.rights.requests(party)
    assert (request.kind, request.seq) == ("refusal", no.seq)
    workspace.forgetting.erase(f"person:{ann}")
    kinds = [one.kind for one in workspace.rights.requests(party)]
    assert kinds == ["erasure", "refusal"]


def test_a_proof_speaks_of_each_identity(workspace, ann):
    for party in ("person:ann", f"person:{ann}"):
        say(workspace, party, yes=True)
    old = workspace.parties.person(ann).pseudonym
    drafts = [
        Draft(
            key=f"{who}-{number}",
            account="acme",
            people=(PersonRef(name=who),),
            category="content/chat",
            at_us=datetime_to_us(STARTED) + number,
            payload={"kind": "message", "text": f"the launch is on friday and we ship {number}", "channel": "news"},
        )
        for who in ("Bo Berg", "Annie", "Cy Clark", "Di Dahl", "Ed Eng", "Flo Frank")
        for number in range(20)
    ]
    workspace.records.take_in(iter(drafts), "acme", silent)
    annie = heard(workspace, "Annie")
    for person in workspace.parties.people():
        say(workspace, f"person:{person.id}", yes=True)
    model = workspace.models.train("compose")
    workspace.people.merge(annie, into="ann")
    workspace.people.merge(ann, into="ann")
    proofs = {proof["pseudonym"]: proof["rows"] for proof in workspace.proofs.person("ann")}
    assert len(proofs) == 3
    assert sorted(proofs.values()) == [0, 0, 20]
    assert old in proofs
    [trace] = workspace.proofs.traces("ann")
    assert (trace.model.id, trace.rows, trace.refused) == (model.id, 20, 0)
    workspace.consent.decide("person:ann", yes=False, data=["content"], purpose=["train"])
    [trace] = workspace.proofs.traces("ann")
    assert trace.refused == 20
    [request] = workspace.rights.requests(workspace.party("person:ann"))
    assert [(one.model, one.rows) for one in request.models] == [(model.id, 20)]
