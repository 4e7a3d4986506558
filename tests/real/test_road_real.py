"""The whole road on real meetings and a real chat: the promises, held against counts made from the raw files alone.

The data is not part of the project; see `test_collect_real.py`. `python -m bench road` walks the same steps over all of
it and measures them.
"""

import json
import os
import re
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from bench import road
from bench.customers import find_customers
from bench.road import FAMILIES
from crafts import create_unbound
from volition.canonical import now_us
from volition.consent.permits import Reason
from volition.errors import RefusedError
from volition.learning.encoder import Encoder, EncoderMissingError
from volition.progress import silent
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.people import verify_person
from volition.workspace import Workspace

DATA = Path(os.environ.get("VOLITION_DATA") or Path(__file__).parents[3] / "shared" / "data")
MEETINGS = (
    *("ES2003a", "ES2005a", "IS1004a"),
    *("Bro008", "Bed017"),
    *("education_0", "education_1", "education_8", "education_11", "education_19"),
)
CHAT = "elmlang"
COVERS = "2019-05-20T00:00:00Z"  # how far back this community's yes reaches: most of its messages are older

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA / "meetings").is_dir() or not (DATA / "chat" / f"{CHAT}.zip").exists(),
        reason=f"no real transcripts and exports in {DATA}; set VOLITION_DATA to their folder",
    ),
]


def encoder_is_there():
    try:
        Encoder.load()
    except EncoderMissingError:
        return False
    return True


class Raw:
    """What the raw files and the decisions say may be learned from, worked out without the library."""

    def __init__(self, customers):
        self.meets = [customer for customer in customers if customer.meetings]
        self.chat = next(customer for customer in customers if customer.chat)
        self.answer = {
            (customer.id, handle): member.answer
            for customer in customers
            for member in customer.people
            for handle in (member.id, member.name, *member.aliases)
            if handle
        }
        self.answer |= {(self.chat.id, member.aliases[0]): member.answer for member in self.chat.people}

    def cues(self):
        """Cues of meetings in which every speaker said yes, by account."""
        kept = Counter()
        for customer in self.meets:
            for meeting in customer.meetings:
                speakers = re.findall(r"-->.*\n([^:\n]+): ", meeting.path.read_text("utf-8"))
                if all(self.answer[customer.id, speaker] == "yes" for speaker in speakers):
                    kept[customer.id] += len(speakers)
        return kept

    def messages(self):
        """Messages that the account's yes reaches, whose author and everyone mentioned said yes to the past."""
        with zipfile.ZipFile(self.chat.chat) as archive:
            days = [json.loads(archive.read(name)) for name in archive.namelist() if "/" in name]
        kept = Counter()
        for message in (message for day in days for message in day):
            people = {message["user"], *re.findall(r"<@(U\w+)", message["text"])}
            old = float(message["ts"]) < datetime.fromisoformat(COVERS).timestamp()
            if not old and all(self.answer.get((self.chat.id, person)) == "yes" for person in people):
                kept[self.chat.id] += 1
        return kept

    def events(self):
        """Usage events by who may be learned from: nobody who said no; in Great Britain only who said yes."""
        kept = Counter()
        for customer in (*self.meets, self.chat):
            unwanted = {"no"} if customer.region is None else {"no", "silent"}
            for line in customer.usage.read_text("utf-8").splitlines():
                for record in json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
                    who = record["attributes"][0]["value"]["stringValue"]
                    reached = (
                        customer.covers == "past"
                        or int(record["timeUnixNano"]) >= 1e9 * datetime.fromisoformat(customer.covers).timestamp()
                    )
                    kept[customer.id] += reached and self.answer[customer.id, who] not in unwanted
        return kept


def by_account(snapshot, category):
    return Counter(key.account for key in snapshot.keys if key.category == category)


def test_the_road_over_real_meetings_and_chat_keeps_its_promises(tmp_path):
    customers = [
        replace(customer, covers=COVERS) if customer.chat else customer
        for customer in find_customers(DATA, tmp_path / "exports", meetings=MEETINGS, chats=[CHAT])
    ]
    assert [customer.id for customer in customers] == ["ami", "icsi", "parliament", CHAT]
    assert sum(len(customer.meetings) for customer in customers) == len(MEETINGS)
    started_us, notes = now_us(), {}
    create_unbound(  # so few meetings may miss any bound
        tmp_path / "ws", clock=road.clock(road.EARLY[0], started_us), public_items=road.PUBLIC_ITEMS
    ).close()

    def walk(first, last):
        """Take the steps of the road from one to another, each with the workspace opened anew."""
        names = list(road.STEPS)
        figures = {}
        for name in names[names.index(first) : names.index(last) + 1]:
            with Workspace.open(tmp_path / "ws", clock=road.clock(name, started_us)) as workspace:
                figures[name] = road.STEPS[name](workspace, customers, notes, silent)
        return figures

    figures = walk("add accounts and people", "snapshot for summary")
    with Workspace.open(tmp_path / "ws", clock=road.clock("", started_us)) as workspace:
        snapshots = {family: workspace.snapshots.open(notes[f"snapshot {family}"]) for family in FAMILIES}
        check_collected_once(workspace, customers, figures)
        check_no_yes_no_use(workspace, snapshots, figures, Raw(customers))

    figures = walk("train search", "recommend")
    assert all(figures[f"audit {family}"]["value"] is not None for family in FAMILIES)
    assert figures["search"]["hits"]
    assert figures["summarize"]["rows"] > figures["summarize"]["refused"]
    assert figures["recommend"]["suggestions"]

    figures = walk("withdraw", "owed")
    with Workspace.open(tmp_path / "ws", clock=road.clock("", started_us)) as workspace:
        first_models = {family: notes[f"model {family}"] for family in FAMILIES}
        check_a_no_works_at_once(workspace, customers, snapshots, first_models)

    figures = walk("forget", "prove a person's absence")
    with Workspace.open(tmp_path / "ws", clock=road.clock("", started_us)) as workspace:
        assert figures["forget"]["still_owed"] == 0
        check_forgotten_exactly(workspace, tmp_path / "ws", first_models, notes["forgotten"])
        check_proofs(workspace, tmp_path, customers, first_models, notes["forgotten"])


def check_collected_once(workspace, customers, figures):
    again = workspace.records.collect_webvtt(
        customers[0].meetings[0].path,
        account=customers[0].id,
        started=customers[0].meetings[0].started,
        meeting=customers[0].meetings[0].name,
    )
    assert (again.stored, bool(again.known)) == (0, True)
    assert workspace.records.collect_otlp(customers[0].usage).stored == 0
    assert not any(figures[step]["rejected"] for step in figures if step.startswith("collect"))
    if encoder_is_there():
        assert figures["embed"]["rows"] > 0
        assert workspace.records.embed("train/search") == 0  # once for each record
        assert workspace.records.embed("train/summary") == 0


def check_no_yes_no_use(workspace, snapshots, figures, raw):
    cues, messages, events = raw.cues(), raw.messages(), raw.events()
    assert all(cues[customer.id] for customer in raw.meets), "some meetings of every account may be used"
    assert sum(cues.values()) < figures["collect transcripts"]["rows"], "and some may not"
    assert messages[CHAT]
    assert events["parliament"]

    search, summary, recommend = (snapshots[family] for family in ("search", "summary", "recommend"))
    assert by_account(search, "content/chat") == messages
    assert by_account(search, "service/usage") == events == by_account(recommend, "service/usage")
    written = by_account(search, "content/transcript") - cues  # beside the cues, the edited summaries of those meetings
    assert set(written) == {account for account in cues if cues[account]}
    assert sum(written.values()) <= len(MEETINGS)
    assert by_account(summary, "content/transcript") == by_account(search, "content/transcript")

    for snapshot in snapshots.values():
        for tally in snapshot.manifest["rows"].values():
            assert tally["read"] == tally["kept"] + sum(tally["dropped"].values())
        for pseudonym in {pseudonym for key in snapshot.keys for pseudonym in key.people}:
            person = workspace.parties.person_by_pseudonym(pseudonym)
            assert raw.answer[person.account, person.id] != "no"


def check_a_no_works_at_once(workspace, customers, snapshots, models):
    person = next(customer.busiest for customer in customers if customer.chat)
    refusing = {"account:parliament", workspace.party(f"person:{person}")}
    owed = {one.model: one for one in workspace.models.owed()}
    for family, snapshot in snapshots.items():
        touched = {
            key.record_id
            for key in snapshot.keys
            if key.account == "parliament" or workspace.party(f"person:{person}") in key.question().people
        }
        assert owed[models[family]].rows == len(touched)
        assert set(owed[models[family]].parties) <= refusing
        assert set(owed[models[family]].parties.values()) == {Reason.WITHDRAWN}
        with pytest.raises(RefusedError, match="withdrawn"):
            workspace.models.train(family, snapshot.id)

    # The no was to training: the features stay on until the account turns them off, and then stop at once.
    user = next(customer.busiest for customer in customers if customer.id == "parliament")
    found = workspace.features.search("what was said about schools", person=user)
    mine = {meeting.name for customer in customers if customer.id == "parliament" for meeting in customer.meetings}
    assert found.hits
    assert {hit.source for hit in found.hits} <= mine
    workspace.consent.decide("account:parliament", yes=False, data=["content"], purpose=["feature/search"])
    with pytest.raises(RefusedError, match="withdrawn"):
        workspace.features.search("what was said about schools", person=user)
    assert workspace.features.summarize(_usable(workspace, mine, user), person=user).moments


def _usable(workspace, meetings, user):
    for meeting in sorted(meetings):
        try:
            workspace.features.summarize(meeting, person=user)
        except RefusedError:
            continue
        return meeting
    pytest.fail("no meeting of the account may be summarised")


def check_forgotten_exactly(workspace, folder, models, forgotten):
    assert set(forgotten) == set(models.values())
    for family, old in models.items():
        successor = workspace.models.open(forgotten[old])
        fresh = workspace.models.train(family)  # from a snapshot that never held who withdrew
        assert fresh.model.files() == successor.model.files()
        assert not (folder / "models" / old).exists()
        with pytest.raises(RefusedError, match="forgotten"):
            workspace.models.open(old)
    assert workspace.models.owed() == []


def check_proofs(workspace, folder, customers, models, forgotten):
    bundle = folder / "evidence.zip"
    workspace.proofs.bundle(bundle)
    told = verify_bundle(bundle, workspace.verifier)
    assert told.holds, told.to_json()
    assert sum(check.name.startswith("permits of") for check in told.checks) >= len(FAMILIES)

    person = next(customer.busiest for customer in customers if customer.chat)
    proofs = {proof["model"]: proof for proof in workspace.proofs.person(person)}
    assert all(verify_person(proof, workspace.verifier).holds for proof in proofs.values())
    for family in ("search", "recommend"):
        assert proofs[models[family]]["present"]
        assert not proofs[forgotten[models[family]]]["present"]
