"""Snapshots for the operator and the engineer: what each kept and dropped, by reason; one snapshot's manifest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import text_to_us
from volition.consent.permits import Reason
from volition.errors import DamagedError, ProofError
from volition.records.snapshot import Snapshot
from volition.server.auth import Role
from volition.server.reading import NOBODY
from volition.server.web import labels as words
from volition.server.web.charts.plots import StackBar, StackChart, StackPart, dropped
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Download, Nav, Pages, Visit

pages = Pages()

PATH: Final = "/console/snapshots"

_WHO: Final = (Role.ENGINEER, Role.OPERATOR)
_SHOWN: Final = 30
_REASONS: Final = {reason.value: detail for reason, detail in words.REASON.items()} | {
    Reason.NO_TERMS.value: "the organisation has not accepted any terms",
    "left-out": "collected too late, or not in the earlier snapshot",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotLine:
    """One snapshot in the list; where it is damaged, what it holds is not known, and `damage` says why."""

    id: str
    purpose: str
    at_us: int
    kept: int | None
    dropped: int | None
    people: int | None
    damage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsPage:
    """The snapshots, a part at a time.

    Attributes:
        title: The page's heading.
        chart: What each kept and dropped; none where there is no snapshot.
        lines: The snapshots, newest first.
    """

    title: str
    chart: StackChart | None
    lines: Cut[SnapshotLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFact:
    """One line of a manifest: what, and what it is."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPage:
    """One snapshot's manifest.

    Attributes:
        title: The page's heading.
        id: Its name.
        purpose: What for, in words.
        at_us: When it was frozen.
        chart: What it kept and dropped, by category.
        facts: The manifest's other figures.
        accounts: Rows by account.
        files: The digest of each file.
        checkpoint: The ledger's signed checkpoint as it stood then.
    """

    title: str
    id: str
    purpose: str
    at_us: int
    chart: StackChart
    facts: tuple[ManifestFact, ...]
    accounts: Cut[ManifestFact]
    files: Cut[ManifestFact]
    checkpoint: str


@pages.get(PATH, roles=_WHO, template="console-snapshots.html", nav=Nav(label="Snapshots", place=240), reads=NOBODY)
def show(visit: Visit) -> SnapshotsPage:
    """Show the newest snapshots."""
    ids = [*dict.fromkeys(reversed(visit.workspace.snapshots.ids()))]
    found = cut(visit, ids, of="snapshot", size=_SHOWN, find=str).each(lambda name: _opened(visit, name))
    whole = [one for one in found.items[:12] if isinstance(one, Snapshot)]
    bars = tuple(_bar(_purpose(one), _whole(one.manifest["rows"])) for one in whole)
    return SnapshotsPage(
        title="Snapshots",
        chart=StackChart(title="Records kept and dropped, newest first", bars=bars) if bars else None,
        lines=found.each(lambda one: _line(one) if isinstance(one, Snapshot) else one),
    )


@pages.get(f"{PATH}/{{snapshot}}", roles=_WHO, template="console-snapshot.html", reads=NOBODY)
def one(visit: Visit) -> SnapshotPage:
    """Show one snapshot's manifest."""
    found = visit.workspace.snapshots.open(visit.path["snapshot"])
    manifest = found.manifest
    names = {account.id: account.name for account in visit.workspace.parties.accounts()}
    bars = tuple(_bar(words.category(category), counts) for category, counts in manifest["rows"].items())
    facts = [
        ManifestFact(name="People in it", value=f"{manifest['people']['size']:,}"),
        ManifestFact(name="Collected until", value=words.moment(text_to_us(manifest["collected_until"]))),
        ManifestFact(name="Made from", value=_made_from(manifest)),
        ManifestFact(name="Sentence encoder", value=manifest["encoder"] or "none"),
        ManifestFact(name="Manifest digest", value=found.digest),
        ManifestFact(name="Merkle root of the people in it", value=manifest["people"]["root"]),
    ]
    return SnapshotPage(
        title="Snapshot",
        id=found.id,
        purpose=_purpose(found),
        at_us=text_to_us(manifest["at"]),
        chart=StackChart(title="Records kept and dropped, by kind of data", bars=bars),
        facts=tuple(facts),
        accounts=cut(
            visit,
            [
                ManifestFact(name=names.get(account, account), value=f"{count:,}")
                for account, count in sorted(manifest["accounts"].items(), key=lambda item: -item[1])
            ],
            of="account",
            name="accounts",
            find=lambda fact: fact.name,
        ),
        files=cut(visit, list(manifest["files"].items()), of="file", name="files").each(
            lambda file: ManifestFact(name=file[0], value=file[1])
        ),
        checkpoint=manifest["checkpoint"],
    )


@pages.get(f"{PATH}/{{snapshot}}/manifest", roles=_WHO, reads=NOBODY)
def manifest(visit: Visit) -> Download:
    """Give a snapshot's manifest."""
    found = visit.workspace.snapshots.open(visit.path["snapshot"])
    data = json.dumps(found.manifest, indent=2).encode()
    return Download(name=f"{found.id}.json", data=data, media_type="application/json")


@pages.get(f"{PATH}/{{snapshot}}/croissant.json", roles=_WHO, reads=NOBODY)
def croissant(visit: Visit) -> Download:
    """Give a snapshot's metadata for tools that load data sets."""
    name = visit.path["snapshot"]
    data = visit.workspace.documents.croissant(name)
    return Download(name=f"{name}-croissant.json", data=data, media_type="application/ld+json")


def _opened(visit: Visit, name: str) -> Snapshot | SnapshotLine:
    """Open a snapshot; of one that is damaged, return its line: the rest of the page stands."""
    try:
        return visit.workspace.snapshots.open(name)
    except (ProofError, DamagedError) as error:
        named = visit.workspace.snapshots.named(name)
        return SnapshotLine(
            id=name,
            purpose=words.purpose(named["purpose"]).title,
            at_us=text_to_us(named["at"]),
            kept=None,
            dropped=None,
            people=None,
            damage=str(error),
        )


def _made_from(manifest: Mapping[str, Any]) -> str:
    if manifest["within"]:
        return str(manifest["within"])
    if "table" not in manifest:
        return "the lake"
    table = manifest["table"]
    return (
        f"{table['uri']} ({table['form']}{', version ' if table['version'] else ''}{table['version']}), without a copy"
    )


def _purpose(snapshot: Snapshot) -> str:
    return words.purpose(snapshot.purpose).title


def _line(snapshot: Snapshot) -> SnapshotLine:
    counts = _whole(snapshot.manifest["rows"])
    return SnapshotLine(
        id=snapshot.id,
        purpose=_purpose(snapshot),
        at_us=text_to_us(snapshot.manifest["at"]),
        kept=counts["kept"],
        dropped=sum(counts["dropped"].values()),
        people=snapshot.manifest["people"]["size"],
    )


def _whole(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the counts of every category together."""
    reasons: dict[str, int] = {}
    for counts in rows.values():
        for reason, count in counts["dropped"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    kept = sum(counts["kept"] for counts in rows.values())
    return {"kept": kept, "dropped": reasons, "left_out": sum(counts.get("left_out", 0) for counts in rows.values())}


def _bar(name: str, counts: Mapping[str, Any]) -> StackBar:
    lost = dict(counts["dropped"])
    if counts.get("left_out"):
        lost["left-out"] = counts["left_out"]
    return StackBar(
        name=name, parts=(StackPart(name="kept", kind="kept", count=counts["kept"]), *dropped(lost, _REASONS))
    )
