"""Write the samples of `docs/formats/samples`: a small bundle and what somebody kept of its log, from invented data.

    python scripts/format_samples.py docs/formats/samples

Keys, salts and pseudonyms are new each time, so the files differ each time; what they tell is the same. They are made
anew when a format changes.
"""

import json
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from volition.canonical import datetime_to_us
from volition.consent.terms.terms_file import load_profile
from volition.learning.release import Override
from volition.records.audience import ConversationKind
from volition.transparency.access_log import Reader
from volition.workspace import Workspace

START: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
USAGE: Final = ["service/usage"]
LEARN: Final = ["train/recommend", "feature/recommend"]
PEOPLE: Final = {"acme": ["ada", "bo", "cy", "dee", "eli"], "brill": ["flo", "gus", "hal"]}
TRANSCRIPT: Final = """WEBVTT

00:00:01.000 --> 00:00:04.000
<v Ada Lund>The parcel service moves to the new depot on Friday.

00:00:05.000 --> 00:00:09.000
<v Bo Ek>Then I write to the drivers today.

00:00:10.000 --> 00:00:12.000
<v A. Lund>And I call the depot.
"""


class Clock:
    """A clock that stands until it is told to move."""

    def __init__(self) -> None:
        """Start on a Monday morning."""
        self.now = START

    def __call__(self) -> int:
        """Return the instant."""
        return datetime_to_us(self.now)

    def wait(self, **duration: float) -> None:
        """Let time pass."""
        self.now += timedelta(**duration)


def usage(folder: Path, account: str, at: datetime) -> Path:
    """Write what an account's people opened, as an OpenTelemetry exporter would."""

    def attribute(key: str, value: str) -> dict[str, object]:
        return {"key": key, "value": {"stringValue": value}}

    records = [
        {
            "timeUnixNano": str(datetime_to_us(at + timedelta(minutes=minute)) * 1000),
            "attributes": [
                attribute("volition.person", person),
                attribute("volition.category", USAGE[0]),
                attribute("volition.item", f"document/{(3 * minute + 2 * place) % 12:02d}"),
            ],
        }
        for place, person in enumerate(PEOPLE[account])
        for minute in range(6)
    ]
    resource = {"attributes": [attribute("volition.account", account)]}
    path = folder / f"{account}.jsonl"
    path.write_text(json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}))
    return path


def begin(workspace: Workspace, clock: Clock) -> None:
    """Accounts, people, terms, and the first answers."""
    names = {"ada": "Ada Lund", "bo": "Bo Ek"}
    for account, region in (("acme", "DE"), ("brill", "US")):
        workspace.people.add_account(account, account.title(), region=region)
        for person in PEOPLE[account]:
            workspace.people.add_person(person, account=account, name=names.get(person))
        workspace.terms.accept(account)
        clock.wait(minutes=5)
        workspace.consent.decide(f"account:{account}", yes=True, data=["content", "service"], purpose=LEARN)
        for person in PEOPLE[account]:
            until = "2026-12-31" if person == "bo" else None
            workspace.consent.decide(f"person:{person}", yes=True, data=USAGE, purpose=LEARN, until=until)
    workspace.consent.decide("person:cy", yes=False, data=USAGE, purpose=["train"])
    workspace.consent.signal("dee")
    workspace.consent.limit("acme", data=["content"], purpose=["train"], group="interns", people=["eli"])
    clock.wait(hours=1)


def work(workspace: Workspace, clock: Clock, folder: Path) -> None:
    """A day: usage, a meeting, what somebody opens and leaves out."""
    for account in PEOPLE:
        workspace.records.collect_otlp(usage(folder, account, clock.now - timedelta(minutes=30)))
    path = folder / "depot.vtt"
    path.write_text(TRANSCRIPT)
    workspace.records.collect_webvtt(path, account="acme", started=clock.now - timedelta(minutes=20))
    workspace.audiences.share("depot", kind=ConversationKind.MEETING, account="acme", with_account=True)
    workspace.exclusions.exclude("depot", account="acme", purpose=["train"])
    for pair in workspace.people.pairs("acme"):
        workspace.people.merge(pair.heard.id, into=pair.person.id)
    workspace.accesses.note(Reader(who="olga", role="operator"), "person", ["ada"], records=6, categories=USAGE)
    clock.wait(hours=1)


def learn(workspace: Workspace, clock: Clock) -> str:
    """Train, audit and release a model; return its name."""
    model = workspace.models.train("recommend").id
    workspace.models.audit(model)
    try:
        workspace.models.release(model)
    except Exception:  # noqa: BLE001 - so small a model may miss a bound: then somebody answers for it
        workspace.models.release(model, override=Override(by="Olga Perl", why="A sample, used by nobody."))
    clock.wait(hours=2)
    return model


def write(folder: Path) -> None:
    """Write the samples."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        workspace = Workspace.create(
            here / "w", origin="log.example/samples", clock=clock, public_items=("feature", "document")
        )
        with workspace:
            begin(workspace, clock)
            work(workspace, clock, here)
            learn(workspace, clock)
            (folder / "checkpoint").write_text(workspace.ledger.checkpoint(), encoding="utf-8")
            clock.wait(days=3)
            workspace.consent.decide("person:gus", yes=False, data=USAGE, purpose=["train"])
            workspace.forgetting.forget()
            clock.wait(days=1)
            newer = replace(load_profile("granular"), id="granular-2", notice_days=45)
            workspace.terms.publish(newer)
            workspace.people.leave("hal")
            workspace.forgetting.erase("person:hal")
            clock.wait(days=1)
            workspace.consent.decide("person:flo", yes=True, data=USAGE, purpose=LEARN, covers="2026-03-01")
            workspace.accesses.close_days()
            workspace.proofs.bundle(folder / "bundle.zip")
            proof = workspace.proofs.evidence("gus")
            (folder / "proof.json").write_text(json.dumps(proof, indent=1), encoding="utf-8")
            (folder / "receipt.json").write_text(json.dumps(proof["receipts"][0], indent=1), encoding="utf-8")
            kept = {entry.kind: entry.seq for entry in workspace.ledger.entries()}
            entry_proof = workspace.log.prove(kept["release"]).to_text()
            (folder / "release.tlog-proof").write_text(entry_proof, encoding="utf-8")
            [line, *_] = [one for one in workspace.accesses.of("ada") if one.role == "operator"]
            looked = workspace.accesses.prove("ada", line.place)
            (folder / "looked.json").write_text(json.dumps(looked, indent=1), encoding="utf-8")
            collected = workspace.proofs.collected("ada")
            (folder / "collected.json").write_text(json.dumps(collected, indent=1), encoding="utf-8")
            (folder / "log.pub").write_text(workspace.verifier.to_text() + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
