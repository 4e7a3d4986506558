"""The page that checks evidence in a browser, written from docs/formats alone, against the operator who lies.

It is loaded once; every bundle is handed to the function that it calls itself.
"""

import base64
import hashlib
import json
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forging import Forger
from simulator import DAY_US, SIGNER, TERMS, world_in
from volition import TableMapping
from volition.canonical import us_to_text
from volition.consent.claims import ClaimMapping
from volition.errors import InvalidInputError
from volition.server.auth import Role
from volition.transparency.verify.archive import pack
from volition.workspace import Workspace

sys.path.append(str(Path(__file__).parents[2] / "transparency"))  # the lies are told there

from lies import LIES, collected_proofs, receipts_by_region
from lies_of_logs import later
from test_claims import Case, falsified
from test_dishonest_operator import cut_off, documents, honest, relined, resigned, succeeded, verify
from test_prove import bundle

__all__ = ["documents", "honest"]  # fixtures

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "docs" / "formats" / "samples"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
CALL = """async ([data, key, kept, more]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const { checks, holds, claimed, warnings, lastEntry } = await volition.verify(bytes, key, { kept, ...more });
  return { checks, holds, claimed, warnings, lastEntry };
}"""


@pytest.fixture
def checking(new_page):
    """Open the page as the server gives it; return it with a function that checks what it is handed."""
    page = new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.goto("/verify/").ok
    page.wait_for_load_state("networkidle")
    loaded = len(asked)

    def check(data, key=None, kept=(), **more):
        if isinstance(data, dict):
            data = pack(data) if "checkpoint" in data and "entries.jsonl" in data else json.dumps(data).encode()
        key = key or SIGNER.key.to_text()
        kept = [{"name": name, "text": text} for name, text in kept]
        return page.evaluate(CALL, [base64.b64encode(data).decode(), key, kept, more])

    yield check
    assert len(asked) == loaded, f"the page asked {asked[loaded:]}"


def failing(report):
    return [check["name"] for check in report["checks"] if check["holds"] is not True]


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_samples_of_the_formats_hold(checking):
    key = (SAMPLES / "log.pub").read_text()
    kept = [
        (name, (SAMPLES / name).read_text()) for name in ("checkpoint", "receipt.json", "proof.json", "collected.json")
    ]
    report = checking((SAMPLES / "bundle.zip").read_bytes(), key, kept, notBefore="2026-03-01")
    assert report["holds"], failing(report)
    names = [check["name"] for check in report["checks"]]
    assert names[2:7] == ["extends checkpoint", *(f"receipt {name}" for name, _ in kept[1:]), "not before"]
    for path in SAMPLES.glob("*.json*"):
        assert checking(path.read_bytes(), key)["holds"], path.name
    for path in SAMPLES.glob("*.tlog-proof"):
        assert checking(path.read_bytes(), key)["holds"], path.name


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_every_lie_fails_in_a_check_of_its_name(checking, honest):
    assert checking(honest.members)["holds"]
    assert checking(Forger(honest.members).bundle())["holds"]
    assert checking(succeeded(honest))["holds"]  # a no while a successor was made is owed by it
    survived = []
    for name, (tell, check, _) in LIES.items():
        forger = Forger(honest.members)
        tell(forger, honest)
        report = checking(forger.bundle())
        if not failing(report) or not failing(report)[0].startswith(check):
            survived.append((name, check, failing(report)))
    assert survived == []
    forger = Forger(honest.members)
    forger.append("terms", {"terms": {**TERMS.to_json(), "id": "v2"}, "binds": later(forger)})
    assert [warning.split(":")[0] for warning in checking(forger.bundle())["warnings"]] == ["Without notice"]


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_log_signed_anew_or_cut_off_is_found_by_what_somebody_kept(checking, honest):
    kept = [("note", honest.note), ("receipt", json.dumps(honest.receipt))]
    assert checking(honest.members, kept=kept)["holds"]
    for change in (resigned, cut_off):
        forger = Forger(honest.members)
        change(forger)
        report = checking(relined(forger, lambda lines: lines), kept=kept)
        assert {"extends note", "receipt receipt"} <= set(failing(report)), failing(report)
    assert failing(checking(honest.members, notBefore="2100-01-01")) == ["not before"]


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_no_changed_byte_and_no_other_file_survives(checking, honest):
    whole, randomly = pack(honest.members), random.Random(2)
    for start in range(0, len(whole), len(whole) // 60):
        changed = bytearray(whole)
        changed[min(start + randomly.randrange(len(whole) // 60), len(whole) - 1)] ^= 1 << randomly.randrange(8)
        assert failing(checking(bytes(changed))), start
    for data in (whole + b"x", whole[:-1], whole[:40] + b"x" + whole[40:], b"x" + whole):
        assert failing(checking(data))
    for name in honest.members:
        without = {other: data for other, data in honest.members.items() if other != name}
        assert failing(checking(pack(without))), name
    assert failing(checking({**honest.members, "extra": b""})) == ["nothing else"]


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_card_of_every_audit_holds_and_what_the_software_refuses_of_it_the_page_refuses(checking, tmp_path):
    (tmp_path / "world").mkdir()
    with world_in(tmp_path / "world") as world:
        model = Case(world).card["model"]
        members = bundle(world, tmp_path / "measured.zip")
    assert checking(members)["holds"]
    card = json.loads(members[f"releases/{model}/card.json"])
    for place, changed in list(falsified(card))[::25]:
        forger = Forger(members)

        def say(card, statement, changed=changed):
            card.clear()
            card.update(changed)
            statement["predicate"] |= {name: changed[name] for name in ("terms", "findings") if name in changed}

        forger.cards[model] = say
        try:
            forged = forger.bundle()
        except (KeyError, TypeError, AttributeError, ValueError, InvalidInputError):
            continue  # of this no card.md can be written
        if not verify(forged, tmp_path).holds:
            assert not checking(forged)["holds"], (place, changed)


def cosigned(note, name, *, time=1_800_000_000):
    """Sign a checkpoint as a witness, from the specification; return the note and the witness's key."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    public = b"\4" + private.public_key().public_bytes_raw()
    number = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
    text = note[: note.index("\n\n") + 1]
    signature = private.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
    line = base64.b64encode(number + time.to_bytes(8, "big") + signature).decode()
    return f"{note}— {name} {line}\n", f"{name}+{number.hex()}+{base64.b64encode(public).decode()}"


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_policy_asks_for_the_signatures_of_witnesses(checking, honest):
    note = honest.members["checkpoint"].decode()
    both, north = cosigned(note, "north.example/w")
    both, south = cosigned(both, "south.example/w")
    lines = [
        f"log {SIGNER.key.to_text()}",
        f"witness north {north}",
        f"witness south {south}",
        "group both all north south",
    ]
    policy = "\n".join([*lines, "quorum both", ""])

    def told(note, policy):
        return failing(checking({**honest.members, "checkpoint": note.encode()}, policy=policy, name="it.zip"))

    assert told(both, policy) == []
    assert told(cosigned(note, "north.example/w")[0], policy) == ["witnesses of it.zip"]
    assert told(cosigned(note, "north.example/w")[0], policy.replace("all", "any")) == []
    assert told(note, policy.replace("quorum both", "quorum none")) == []
    early, _ = cosigned(cosigned(note, "north.example/w", time=1_000_000_000)[0], "south.example/w", time=1_000_000_001)
    assert told(early, policy) == ["witnesses of it.zip"], "the last entry is dated later than they saw it"
    foul = both[:-9] + ("A" if both[-9] != "A" else "B") + both[-8:]
    assert told(foul, policy) == ["witnesses of it.zip"]
    twice = policy.replace(south, north)
    for refused in (
        policy[:-1],
        policy.replace("quorum both\n", ""),
        twice,
        policy.replace(SIGNER.key.to_text(), north),
        policy.replace(
            "group both all north south", "group one any north\ngroup two any north\ngroup both all one two"
        ),
        policy.replace("quorum both\n", "quorum both\r\n"),
    ):
        assert told(both, refused) == ["witnesses of it.zip"], refused


def spoilt(value, place=0):
    """Yield a JSON value with one of its texts, numbers, keys or parts changed."""
    if isinstance(value, str):
        yield value + " "
        yield from [value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]] if place < len(value) else []
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, list):
        yield from ([*value, *value[:1]], value[1:])
        for at, one in enumerate(value):
            yield from ([*value[:at], changed, *value[at + 1 :]] for changed in spoilt(one, at))
    elif isinstance(value, dict):
        yield {**value, "another": None}
        for at, name in enumerate(value):
            yield {other: one for other, one in value.items() if other != name}
            yield from ({**value, name: changed} for changed in spoilt(value[name], at))


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_small_proofs_hold_and_no_change_of_them_survives(checking, documents):
    for kind, document in documents.items():
        assert checking(document)["holds"], kind
        for changed in spoilt(document):
            is_of_another = kind == "absent" and {**changed, "pseudonym": document["pseudonym"]} == document
            if changed == document or is_of_another:
                continue
            assert not checking(changed)["holds"], (kind, changed)
    held = {name: checking(receipt)["holds"] for name, receipt in receipts_by_region().items()}
    assert list(held.values()) == [True, True, *[False] * (len(held) - 2)], held
    held = {name: checking(proof)["holds"] for name, proof in collected_proofs().items()}
    assert list(held.values()) == [True, *[False] * (len(held) - 1)], held
    present = documents["present"]
    assert checking(present, person=present["pseudonym"])["holds"]
    assert failing(checking(present, person="0" * 32)) == ["person"]
    assert checking(present, person=f"{'0' * 32}, {present['pseudonym']}")["holds"]  # a person of two identities


def random_entry(randomly, honest, at_us):
    """Return the kind and body of an entry that could come in at an instant, and may change what is permitted."""
    people = [f"person:{pseudonym}" for pseudonym in honest.world.people.values()]
    account, person = randomly.choice(["acme", "brill"]), randomly.choice(people)
    names = {
        "data": [randomly.choice(["service", "content", "service/usage"])],
        "purpose": [randomly.choice(["train", "feature", "train/recommend"])],
    }
    party, is_yes = randomly.choice([f"account:{account}", person]), randomly.random() < 0.5
    ends = (
        {"until": us_to_text(at_us + randomly.randrange(1, 60) * DAY_US)} if is_yes and randomly.random() < 0.5 else {}
    )
    reaches = randomly.choice([None, "past", us_to_text(at_us - DAY_US)]) if is_yes else None
    said_us = at_us - randomly.choice([2, 4_000_000, 20_000_000, DAY_US])
    claim = {"said": us_to_text(said_us), "by": "operator", "source": "crm"}
    claimed = {"claim": claim} if reaches is None and randomly.random() < 0.5 else {}
    bodies = {
        "decision": {
            "party": party,
            "answer": "yes" if is_yes else "no",
            **names,
            "covers": reaches,
            **ends,
            **claimed,
        },
        "region": {"party": party, "region": randomly.choice(["DE", "US", "US-CA"])},
        "signal": {"party": person, "signal": "gpc"},
        "limit": {"account": account, "group": "g", **names, "limited": is_yes, "people": [person]},
        "exclusion": {
            "account": account,
            "conversation": "0" * 32,
            "party": party,
            "purpose": names["purpose"],
            "excluded": is_yes,
        },
        "erasure": {"party": person},
    }
    kind = randomly.choice(["decision", *bodies])
    return kind, bodies[kind]


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_page_and_the_software_say_the_same_of_random_logs(checking, honest, tmp_path):
    randomly, seen = random.Random(3), set()
    for _ in range(24):
        forger = Forger(honest.members)
        for _ in range(randomly.randrange(1, 5)):
            place = randomly.choice([len(forger.entries), randomly.randrange(3, len(forger.entries))])
            kind, body = random_entry(randomly, honest, forger.entries[min(place, len(forger.entries) - 1)].at_us)
            if place < len(forger.entries):
                forger.insert(place, kind, body)
            else:
                forger.append(kind, body, after_us=randomly.choice([1, 10 * DAY_US, 40 * DAY_US]))
        members = forger.bundle()
        told = {check["name"]: check["holds"] for check in checking(members)["checks"]}
        assert told == {check.name: check.holds for check in verify(members, tmp_path).checks}
        seen |= {name.split()[0] for name, holds in told.items() if not holds}
    assert {"permits", "forgetting"} <= seen, "the logs were all too honest"


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_page_reads_an_imported_answer_as_the_software_does(checking, honest, tmp_path):
    party = honest.world.party("acme")
    claim = {"said": "2024-01-01T00:00:00.000000Z", "by": "operator", "source": "crm", "id": "0" * 32}
    wrong = [
        {"said": "2100-01-01"},
        {"said": "1969-12-31"},
        {"by": "me"},
        {"source": ""},
        {"id": "7"},
        {"wording": "May we?"},
    ]
    for says in ({}, {"wording": "a" * 64}, *wrong, {"more": 1}):
        forger = Forger(honest.members)
        body = {"party": party, "answer": "no", "data": ["service"], "purpose": ["train"], "covers": None}
        forger.append("decision", {**body, "claim": {**claim, **says}})
        members = forger.bundle()
        told = {check["name"]: check["holds"] for check in checking(members)["checks"]}
        assert told == {check.name: check.holds for check in verify(members, tmp_path).checks}, says
        assert told["terms"] == (says in ({}, {"wording": "a" * 64})), says
    with Workspace.create(tmp_path / "w") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_person("ada", account="acme")
        mapping = ClaimMapping(
            source="crm",
            columns={name: name for name in ("party", "answer", "said", "id", "wording")},
            data=("content",),
            purpose=("train",),
        )
        row = {"party": "ada", "answer": "yes", "said": "2024-01-01T00:00:00Z", "id": 1, "wording": "May we?"}
        workspace.consent.import_([row], mapping)
        receipt, key = workspace.proofs.receipt("ada", workspace.ledger.size - 1), workspace.verifier.to_text()
    report = checking(receipt, key)
    assert failing(report) == []
    assert any("when and where it was given" in one for one in report["claimed"])
    receipt["record"]["dpv:hasConsentStatus"]["volition:claim"]["dct:source"] = "another"
    assert failing(checking(receipt, key)) != []


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_snapshot_that_lists_rows_of_a_table_is_checked_and_what_it_says_of_the_table_is_told(checking, tmp_path):
    with Workspace.create(tmp_path / "w") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme")
        workspace.people.add_person("ada", account="acme", name="Ada")
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, data=["service"], purpose=["train/search"], covers="past")
        columns = {"user": ["ada", "ada"], "at": [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]}
        pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
        mapping = TableMapping(people="user", time="at", account="acme", category="service/usage")
        snapshot = workspace.snapshots.create_from(tmp_path / "rows.parquet", mapping, "train/search")
        with workspace.models.training("churn", snapshot=snapshot.id) as run:
            (run.folder / "count").write_text(str(len(run.rows())))
        workspace.proofs.bundle(tmp_path / "evidence.zip")
        proofs, key = workspace.proofs.person("ada"), workspace.verifier.to_text()
    report = checking((tmp_path / "evidence.zip").read_bytes(), key)
    assert failing(report) == [], [one for one in report["checks"] if not one["holds"]]
    assert not any(check["name"].startswith("collection") for check in report["checks"])
    assert any("that the rows are the table's" in one for one in report["claimed"])
    assert failing(checking(proofs[0], key)) == []


def fill(page, data):
    page.goto("/verify/")
    page.get_by_label("public key").fill((SAMPLES / "log.pub").read_text())
    page.get_by_label("The evidence").set_input_files({"name": "it.zip", "mimeType": "application/zip", "buffer": data})
    page.get_by_role("button", name="Check").click()
    page.locator("#result:not([hidden])").wait_for()


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_page_is_for_every_hand_and_eye(new_page, check_access):
    whole = (SAMPLES / "bundle.zip").read_bytes()
    for viewport, is_dark in ((WIDE, False), (WIDE, True), (PHONE, False)):
        page = new_page(viewport=viewport, dark=is_dark)
        page.goto("/verify/")
        page.get_by_role("button", name="Check").click()
        assert page.get_by_role("status").inner_text().startswith("Paste the log")
        assert page.evaluate("document.activeElement.id") == "key"
        fill(page, whole)
        assert page.evaluate("document.activeElement.id") == "result"
        assert page.get_by_role("heading", name="It holds.").is_visible()
        assert page.get_by_text("later than that, nothing is known").is_visible()
        page.get_by_text("What you kept").click()
        check_access(page, looks_alone=is_dark)
        fill(page, whole[:-1] + b"x")
        assert page.get_by_role("heading", name="It does not hold").is_visible()
        check_access(page, looks_alone=True)


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_page_works_from_a_folder(browser):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((ROOT / "verifier" / "page" / "index.html").as_uri())
    data = base64.b64encode((SAMPLES / "bundle.zip").read_bytes()).decode()
    assert page.evaluate(CALL, [data, (SAMPLES / "log.pub").read_text(), [], {}])["holds"]
    assert all(url.startswith("file:") for url in asked)
    page.close()


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_auditors_and_people_are_led_to_the_page(new_page, sign_in):
    for role, path in ((Role.AUDITOR, "/console/ledger"), (Role.PERSON, "/receipts")):
        page = sign_in(new_page(), role)
        page.goto(path)
        page.get_by_role("link", name="Check it here, in your browser").click()
        page.get_by_role("heading", name="Check evidence, in your browser").wait_for()
