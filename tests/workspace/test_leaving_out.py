"""One meeting taken out of one use, or of all: in what is read, searched, learned, frozen, forgotten and proved."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from volition.canonical import now_us
from volition.consent.gate import Record
from volition.errors import InvalidInputError, RefusedError
from volition.features.conversations import ConversationKind
from volition.progress import silent
from volition.records.engines.arrow import ArrowEngine
from volition.records.engines.duckdb import DuckDBEngine
from volition.records.ingest import Draft, PersonRef
from volition.records.lake import Lake
from volition.workspace import Workspace

STARTED = datetime(2024, 11, 3, 9, tzinfo=UTC)
START_US = int(STARTED.timestamp()) * 1_000_000
EVERYTHING = {"data": ["content", "service"], "purpose": ["train", "feature"]}
TRAIN, SEARCH, SUMMARY = "train/search", "feature/search", "feature/summary"
LINES = {
    ("kickoff", "ada"): "The launch moves to Tuesday.",
    ("kickoff", "bo"): "I will write to the printers.",
    ("retro", "ada"): "The launch went well in spite of that.",
    ("retro", "bo"): "We decided to keep the printers.",
}


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "w", origin="log.example/exclusions") as made:
        for account in ("acme", "brill"):
            made.people.add_account(account, account.title())
            made.terms.accept(account, "granular")
            say(made, f"account:{account}")
        for person, name, account in (
            ("ada", "Ada Byron", "acme"),
            ("bo", "Bo Berg", "acme"),
            ("zoe", "Zoe Zander", "brill"),
        ):
            made.people.add_person(person, account=account, name=name)
            say(made, f"person:{person}")
        meet(made)
        meet(made, account="brill", people={"ada": "zoe", "bo": "zoe"})
        yield made


def say(workspace, party, *, yes=True):
    workspace.consent.decide(party, yes=yes, covers="past" if yes else None, **EVERYTHING)


def segments(account, people, *, turn=0):
    for number, ((meeting, person), text) in enumerate(LINES.items(), turn):
        speaker = people.get(person, person)
        other = next(one for one in ("ada", "bo") if one != person)
        yield Draft(
            key=f"{meeting}:{number}",
            account=account,
            people=tuple(dict.fromkeys((PersonRef(id=speaker), PersonRef(id=people.get(other, other))))),
            category="content/transcript",
            at_us=START_US + number * 1_000_000,
            payload={
                "kind": "segment",
                "meeting": meeting,
                "turn": number,
                "start_ms": number * 1000,
                "end_ms": number * 1000 + 900,
                "speaker": speaker,
                "text": text,
            },
        )


def meet(workspace, *, account="acme", people=None, turn=0):
    return workspace.records.take_in(segments(account, people or {}, turn=turn), account, silent)


def meetings(workspace, purpose=TRAIN, account="acme"):
    """Return of which meetings something may be used, with how many lines of each."""
    found = {}
    for batch in workspace.records.rows(purpose, categories=["content/transcript"]):
        for owner, payload in zip(batch["account"].to_pylist(), batch["payload"].to_pylist(), strict=True):
            if owner == account:
                name = json.loads(payload)["meeting"]
                found[name] = found.get(name, 0) + 1
    return found


def test_an_account_leaves_out_all_of_a_meeting_from_one_use_and_no_other(workspace):
    entry = workspace.exclusions.exclude("kickoff", account="acme", purpose=[TRAIN])
    assert entry.kind == "exclusion"
    assert "kickoff" not in json.dumps(entry.body)  # nor anything that a guess confirms: the name is under a key
    assert meetings(workspace) == {"retro": 2}
    assert meetings(workspace, SEARCH) == {"kickoff": 2, "retro": 2}
    assert meetings(workspace, account="brill") == {"kickoff": 2, "retro": 2}  # theirs has the same name
    assert workspace.exclusions.of_conversation("kickoff", account="acme") == (TRAIN,)
    assert workspace.exclusions.exclude("kickoff", account="acme", purpose=[TRAIN]) is None  # it is so already


def test_a_person_leaves_out_what_concerns_them(workspace):
    workspace.exclusions.exclude("kickoff", account="acme", by="ada")
    assert meetings(workspace) == {"retro": 2}  # everything in it concerns her: she was there
    say(workspace, "person:bo", yes=False)
    assert meetings(workspace) == {}


def test_what_concerns_others_alone_is_theirs(workspace):
    alone = Draft(
        key="kickoff:bo-alone",
        account="acme",
        people=(PersonRef(id="bo"),),
        category="content/transcript",
        at_us=START_US,
        payload={
            "kind": "segment",
            "meeting": "kickoff",
            "turn": 9,
            "start_ms": 0,
            "end_ms": 9,
            "speaker": "bo",
            "text": "Ada is not here yet.",
        },
    )
    workspace.records.take_in([alone], "acme", silent)
    workspace.exclusions.exclude("kickoff", account="acme", by="ada")
    assert meetings(workspace) == {"kickoff": 1, "retro": 2}


def test_taken_back_in_it_is_there_as_before(workspace):
    before = meetings(workspace)
    workspace.exclusions.exclude("kickoff", account="acme", by="ada", purpose=["train"])
    entry = workspace.exclusions.exclude("kickoff", account="acme", by="ada", purpose=[SEARCH])
    assert meetings(workspace) != before
    workspace.exclusions.lift("acme", entry.seq, by="ada")
    assert meetings(workspace) == before
    assert workspace.exclusions.of("acme", by="ada") == ()


def test_nobody_lifts_what_another_left_out(workspace):
    entry = workspace.exclusions.exclude("kickoff", account="acme", by="ada")
    for by in (None, "bo"):
        with pytest.raises(InvalidInputError, match="no conversation that you left out"):
            workspace.exclusions.lift("acme", entry.seq, by=by)
        assert workspace.exclusions.exclude("kickoff", account="acme", by=by, excluded=False) is None
    with pytest.raises(RefusedError):
        workspace.exclusions.lift("acme", entry.seq, by="zoe")
    assert meetings(workspace) == {"retro": 2}


def test_a_conversation_is_there_for_those_alone_whom_it_concerns(workspace):
    workspace.people.add_person("cy", account="acme", name="Cy Clark")
    with pytest.raises(InvalidInputError) as unknown:
        workspace.exclusions.exclude("nowhere", account="acme", by="cy")
    with pytest.raises(InvalidInputError) as others:
        workspace.exclusions.exclude("kickoff", account="acme", by="cy")
    assert str(unknown.value).replace("nowhere", "kickoff") == str(others.value)
    with pytest.raises(RefusedError):
        workspace.exclusions.exclude("kickoff", account="acme", by="zoe")
    with pytest.raises(InvalidInputError, match="take the name from its page"):
        workspace.exclusions.exclude("nowhere", account="acme")
    with pytest.raises(InvalidInputError):
        workspace.exclusions.exclude("kickoff", account="acme", purpose=["gossip"])


def test_features_leave_it_out_and_reading_does_not(workspace):
    assert sources(workspace) == {"kickoff", "retro"}
    workspace.features.summarize("kickoff", person="ada")
    workspace.exclusions.exclude("kickoff", account="acme", purpose=["feature"])
    assert sources(workspace) == {"retro"}  # also from the memory of the search before
    with pytest.raises(RefusedError):
        workspace.features.summarize("kickoff", person="ada")
    workspace.features.summarize("retro", person="ada")
    [read] = workspace.features.conversations(ConversationKind.MEETING, person="ada", name="kickoff")
    assert len(read.lines) == 2  # whoever was there reads on
    workspace.exclusions.exclude("kickoff", account="acme", purpose=["feature"], excluded=False)
    assert sources(workspace) == {"kickoff", "retro"}


def sources(workspace):
    """Return in which meetings a search finds something."""
    return {hit.source for hit in workspace.features.search("launch printers", person="ada").hits}


def test_a_snapshot_that_has_it_is_stale_and_its_proof_says_so(workspace):
    snapshot = workspace.snapshots.create(TRAIN)
    assert len(snapshot.keys) == 8
    conversations = {key.conversation for key in snapshot.keys}
    assert len(conversations) == 4  # two of each account
    assert not any("kickoff" in str(one) for one in conversations)
    workspace.exclusions.exclude("kickoff", account="acme", by="ada")
    stale = snapshot.stale(workspace.gate.permits(TRAIN))
    assert {(one.key.account, one.verdict.reason.value) for one in stale} == {("acme", "excluded")}
    assert len(stale) == 2
    after = workspace.snapshots.create(TRAIN)
    assert len(after.keys) == 6
    assert after.manifest["rows"]["content/transcript"]["dropped"] == {"excluded": 2}


def test_both_engines_count_and_give_the_same(workspace):
    workspace.exclusions.exclude("kickoff", account="acme", by="bo", purpose=["train"])
    workspace.exclusions.exclude("retro", account="brill", purpose=["train"])
    permits = workspace.gate.permits(TRAIN)
    told = []
    for engine in (ArrowEngine(), DuckDBEngine()):
        lake = Lake(workspace.folder / "lake", workspace.parties, engine)
        rows = sorted(row.record_id for row in lake.rows(permits, categories=["content/transcript"]))
        reasons = lake.reasons(permits, categories=["content/transcript"])
        told.append((rows, {str(reason): total for reason, total in reasons["content/transcript"].items()}))
        lake.close()
    assert told[0] == told[1]
    assert told[0][1] == {"None": 4, "excluded": 4}


def test_a_question_says_which_conversation_or_is_refused(workspace):
    about = {"account": "acme", "people": ["ada"], "category": "content/transcript"}
    with workspace.gate.hold(TRAIN) as held:
        now_us = START_US + 60_000_000
        assert held.may("acme", ["ada"], "content/transcript", now_us).permitted
        workspace.exclusions.exclude("kickoff", account="acme", by="ada", purpose=[TRAIN])
        reasons = {
            name: held.may("acme", ["ada"], "content/transcript", now_us, conversation=name).reason
            for name in ("kickoff", "retro", "", None)
        }
    assert reasons == {"kickoff": "excluded", "retro": None, "": None, None: "excluded"}
    for name, reason in reasons.items():
        answer = workspace.gate.may(TRAIN, **about, conversation=name)
        assert answer.verdict.reason == reason
        assert any(line.reason == "excluded" for line in answer.parties) == (reason == "excluded")
    collected = [datetime(2024, 11, 3, 10, tzinfo=UTC)] * 4
    columns = {
        "account": ["acme"] * 4,
        "people": [["ada"]] * 4,
        "category": ["content/transcript"] * 4,
        "collected_at": pa.array(collected, pa.timestamp("us", tz="UTC")),
    }
    told = workspace.gate.judge(TRAIN, pa.table({**columns, "conversation": ["kickoff", "retro", "", None]}))
    assert told["reason"].to_pylist() == ["excluded", None, None, "excluded"]
    told = workspace.gate.judge(TRAIN, pa.table(columns))
    assert told["reason"].to_pylist() == ["excluded"] * 4
    assert workspace.gate.may(TRAIN, account="acme", people=["bo"], category="content/transcript").verdict.permitted


def test_left_out_of_everything_what_comes_later_is_not_stored(workspace):
    workspace.exclusions.exclude("kickoff", account="acme")
    done = meet(workspace, turn=10)
    assert (done.stored, done.not_kept) == (2, {"excluded": 2})


def test_a_batch_that_was_read_before_is_judged_again(workspace):
    """A long reading goes on while somebody leaves a meeting out: what is handed out after it has nothing of it."""
    batches = iter(workspace.records.rows(TRAIN, categories=["content/transcript"], batch_rows=1))
    first = next(batches)
    left_out = json.loads(first["payload"][0].as_py())["meeting"]
    account = first["account"][0].as_py()
    workspace.exclusions.exclude(left_out, account=account)
    for batch in batches:
        owner, payload = batch["account"][0].as_py(), json.loads(batch["payload"][0].as_py())
        assert (owner, payload["meeting"]) != (account, left_out)


def test_merged_what_either_left_out_is_left_out_for_both(workspace):
    """Somebody was heard under another name and left a meeting out; recognised as Ada, it stays out."""
    heard = workspace.parties.guest("acme", "A. Byron-King")
    alone = Draft(
        key="kickoff:heard",
        account="acme",
        people=(PersonRef(pseudonym=heard.pseudonym),),
        category="content/transcript",
        at_us=START_US,
        payload={
            "kind": "segment",
            "meeting": "kickoff",
            "turn": 8,
            "start_ms": 0,
            "end_ms": 9,
            "speaker": "A",
            "text": "A",
        },
    )
    say(workspace, f"person:{heard.id}")
    workspace.records.take_in([alone], "acme", silent)
    workspace.exclusions.exclude("kickoff", account="acme", by=heard.id, purpose=[TRAIN])
    assert meetings(workspace) == {"kickoff": 2, "retro": 2}
    workspace.people.merge(heard.id, into="ada")
    assert meetings(workspace) == {"retro": 2}
    assert workspace.exclusions.of_conversation("kickoff", account="acme", by="ada") == (TRAIN,)
    workspace.exclusions.exclude("kickoff", account="acme", by="ada", excluded=False)
    assert meetings(workspace) == {"kickoff": 3, "retro": 2}


@pytest.fixture
def composer(workspace):
    """Have a composer learn from two open channels in which seven people write the same."""
    people = [f"p{number}" for number in range(7)]
    for person in people:
        workspace.people.add_person(person, account="acme", name=f"{person.title()} Person")
        say(workspace, f"person:{person}")
    drafts = [
        Draft(
            key=f"{channel}:{number}:{person}",
            account="acme",
            people=(PersonRef(id=person),),
            category="content/chat",
            at_us=START_US + number * 1_000_000,
            payload={
                "kind": "message",
                "channel": channel,
                "author": person,
                "ts": f"{number}.{person}",
                "text": f"Good morning to everybody in {channel}.",
            },
        )
        for channel in ("general", "random")
        for number in range(3)
        for person in people
    ]
    assert workspace.records.take_in(drafts, "acme", silent).stored == len(drafts)
    for channel in ("general", "random"):
        workspace.audiences.share(channel, kind=ConversationKind.CHANNEL, account="acme", with_account=True)
    return workspace.models.train("compose").id


@pytest.mark.slow
def test_a_model_that_learned_from_it_forgets_it_and_the_request_says_so(workspace, composer):
    party = workspace.party("person:p0")
    assert workspace.rights.requests(party) == ()
    workspace.exclusions.exclude("general", account="acme", by="p0", purpose=["train"])
    [asked] = workspace.rights.requests(party)
    [model] = asked.models
    assert (asked.kind.value, model.model, model.rows, asked.is_done) == ("exclusion", composer, 3, False)
    [owed] = workspace.models.owed()
    assert (owed.model, owed.rows, owed.parties) == (composer, 3, {party: "excluded"})
    [traced] = workspace.proofs.traces("p0")
    assert (traced.rows, traced.refused, traced.due_us) == (6, 3, owed.due_us)
    [other] = workspace.proofs.traces("p1")
    assert (other.refused, other.due_us) == (0, None)
    workspace.forgetting.forget()
    [asked] = workspace.rights.requests(party)
    assert asked.is_done
    assert asked.models[0].forgotten_us is not None
    left = [key for key in workspace.snapshots.create("train/compose").keys if party.endswith(key.people[0])]
    assert len(left) == 3  # those of the other channel


@pytest.mark.slow
@pytest.mark.usefixtures("composer")
def test_what_was_taken_back_in_in_time_need_not_be_forgotten(workspace):
    party = workspace.party("person:p0")
    workspace.exclusions.exclude("general", account="acme", by="p0", purpose=["train"])
    workspace.exclusions.exclude("general", account="acme", by="p0", purpose=["train"], excluded=False)
    assert workspace.models.owed() == []
    [traced] = workspace.proofs.traces("p0")
    assert (traced.refused, traced.refused_us, traced.due_us) == (0, None, None)
    [asked] = workspace.rights.requests(party)
    assert (asked.models, asked.spared) == ((), 1)
    assert asked.until_us is not None


def segment(key, person, *, meeting="kickoff", turn=20):
    """Return one line of a meeting, said by somebody and concerning nobody else."""
    return Draft(
        key=f"{meeting}:{key}",
        account="acme",
        people=(person,),
        category="content/transcript",
        at_us=START_US,
        payload={
            "kind": "segment",
            "meeting": meeting,
            "turn": turn,
            "start_ms": 0,
            "end_ms": 9,
            "speaker": key,
            "text": key,
        },
    )


@pytest.fixture
def doubtful(workspace):
    """Ann was heard, and then registered; nobody knows whether she is the one who was heard."""
    workspace.records.take_in([segment("heard", PersonRef(name="Ann Lee"))], "acme", silent)
    workspace.people.add_person("ann", account="acme", name="Ann Lee")
    [heard] = [one for one in workspace.parties.named("acme", "Ann Lee") if one.is_heard]
    for one in ("ann", heard.id):
        say(workspace, f"person:{one}")
    return heard.id


def said(workspace):
    """Return what was said and may be learned from, but for Ada's and Bo's lines."""
    found = set()
    for batch in workspace.records.rows(TRAIN, categories=["content/transcript"]):
        found |= {json.loads(payload)["text"] for payload in batch["payload"].to_pylist()}
    return found - set(LINES.values())


def test_what_somebody_leaves_out_is_left_out_for_who_may_be_the_same_person(workspace, doubtful):
    """As a no of theirs would count. Each takes back in what they left out, and not what the other did."""
    certain = segment("certain", PersonRef(pseudonym=workspace.parties.person("ann").pseudonym))
    workspace.records.take_in([certain], "acme", silent)
    both = {"heard", "certain"}
    assert said(workspace) == both
    for one, other in (("ann", doubtful), (doubtful, "ann")):
        entry = workspace.exclusions.exclude("kickoff", account="acme", by=one, purpose=["train"])
        assert said(workspace) == set()
        assert workspace.exclusions.of("acme", by=other) == ()  # it is not theirs
        assert workspace.exclusions.exclude("kickoff", account="acme", by=other, excluded=False) is None
        assert said(workspace) == set()
        workspace.exclusions.exclude("kickoff", account="acme", by=other, purpose=[TRAIN])
        workspace.exclusions.lift("acme", entry.seq, by=one)
        assert said(workspace) == set()
        workspace.exclusions.exclude("kickoff", account="acme", by=other, purpose=[TRAIN], excluded=False)
        assert said(workspace) == both


def test_what_was_left_out_before_anybody_knew_that_the_two_may_be_one_is_left_out_for_both(workspace):
    workspace.records.take_in([segment("heard", PersonRef(name="Ann Lee"))], "acme", silent)
    [heard] = workspace.parties.named("acme", "Ann Lee")
    workspace.exclusions.exclude("kickoff", account="acme", by=heard.id, purpose=["train"])
    ann = workspace.people.add_person("ann", account="acme", name="Ann Lee")
    for one in ("ann", heard.id):
        say(workspace, f"person:{one}")
    workspace.records.take_in([segment("certain", PersonRef(pseudonym=ann.pseudonym))], "acme", silent)
    assert said(workspace) == set()
    workspace.exclusions.exclude("kickoff", account="acme", by=heard.id, purpose=["train"], excluded=False)
    assert said(workspace) == {"heard", "certain"}


def test_merged_whatever_either_left_out_is_taken_back_in_by_the_one_they_are(workspace, doubtful):
    workspace.exclusions.exclude("kickoff", account="acme", by="ann", purpose=["train"])
    workspace.people.merge(doubtful, into="ann")
    assert said(workspace) == set()
    workspace.exclusions.exclude("kickoff", account="acme", by="ann", excluded=False)
    assert said(workspace) == {"heard"}
    assert workspace.exclusions.of("acme", by="ann") == ()


def test_a_conversation_that_is_left_out_while_two_are_merged_is_left_out_for_both(workspace):
    """Another process merges them between the question who somebody is and the entry."""
    heard = workspace.parties.guest("acme", "A. Byron-King")
    say(workspace, f"person:{heard.id}")
    lines = [segment("heard", PersonRef(pseudonym=heard.pseudonym)), segment("ada", PersonRef(id="ada"), turn=21)]
    workspace.records.take_in(lines, "acme", silent)
    merged = []
    with Workspace.open(workspace.folder) as other:

        def clock():
            if started and not merged:
                merged.append(other.people.merge(heard.id, into="ada"))
            return now_us()

        started = False
        with Workspace.open(workspace.folder, clock=clock) as slow:
            started = True
            slow.exclusions.exclude("kickoff", account="acme", by="ada", purpose=["train"])
    assert merged
    assert said(workspace) == set()


def test_a_record_asks_for_its_conversation_by_either_name(workspace):
    """Whoever makes a record themself names its conversation as its source does, or as entries do."""
    workspace.exclusions.exclude("kickoff", account="acme", by="ada", purpose=[TRAIN])
    [left_out] = workspace.exclusions.of("acme", by="ada")
    with workspace.gate.hold(TRAIN) as held:
        record = Record(account="acme", people=("ada",), category="content/transcript", collected_us=START_US)
        reasons = {
            name: held.decide(replace(record, conversation=name)).reason
            for name in (left_out.conversation, "kickoff", "retro", "", None)
        }
    assert reasons == {
        left_out.conversation: "excluded",
        "kickoff": "excluded",
        "retro": None,
        "": None,
        None: "excluded",
    }


def test_what_a_person_left_out_is_in_their_export_and_nobody_elses(workspace, doubtful):
    left_out = workspace.exclusions.exclude("kickoff", account="acme", by="ann", purpose=[TRAIN])
    back = workspace.exclusions.lift("acme", left_out.seq, by="ann")
    workspace.exclusions.exclude("kickoff", account="acme", by="ada", purpose=[TRAIN])

    def told():
        file = io.BytesIO()
        workspace.rights.export("ann", file)
        said = json.loads(zipfile.ZipFile(file).read("decisions.json"))
        return [(one["seq"], one["excluded"]) for one in said if one["kind"] == "exclusion"]

    assert told() == [(left_out.seq, True), (back.seq, False)]
    workspace.people.merge(doubtful, into="ann")
    workspace.exclusions.exclude("kickoff", account="acme", by="ann", purpose=[TRAIN])
    assert len(told()) == 3  # once, and not for each identity
