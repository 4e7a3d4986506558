"""The ledger for the operator and the auditor: entries in plain words, checkpoints, proofs to download.

A person's answer is private (`server.entry_readers`): of such an entry only its number, its time and its hash are
shown. Its proof holds the hash alone, with which the tree still verifies. Beside each download is the command that
checks it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import canonical_json, whole_number
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry
from volition.server import log_proofs
from volition.server.auth import Role
from volition.server.entry_readers import entry_reader, shown
from volition.server.log_proofs import command_for
from volition.server.reading import NOBODY
from volition.server.web.console.entry_words import said
from volition.server.web.page import Download, Nav, Pages, Redirect, Visit
from volition.workspace import Workspace

pages = Pages()

PATH: Final = "/console/ledger"

_PER_PAGE: Final = 50
_WHO: Final = (Role.AUDITOR, Role.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLine:
    """One entry in a list: its place, its instant, its kind and what it says."""

    seq: int
    at_us: int
    kind: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """Entries, newest first.

    Attributes:
        title: The page's heading.
        size: How many entries there are.
        root: The tree's root now, hexadecimal.
        origin: The log's name.
        key: Its public key.
        checkpoint: The signed checkpoint now; empty before the first entry.
        lines: The entries of this page.
        newer: Where newer ones are; empty where there are none.
        older: Where older ones are; likewise.
        newest: Where the newest are; likewise.
        oldest: Where the oldest are; likewise.
        checks_checkpoint: The command that checks the checkpoint.
        checks_consistency: The command that checks a consistency proof, of the sizes that the form begins with.
    """

    title: str
    size: int
    root: str
    origin: str
    key: str
    checkpoint: str
    lines: tuple[EntryLine, ...]
    newer: str
    older: str
    newest: str
    oldest: str
    checks_checkpoint: str
    checks_consistency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPage:
    """One entry.

    Attributes:
        title: The page's heading.
        line: What it says.
        size: How many entries the ledger has.
        hash: Its hash as a leaf, hexadecimal.
        body: Its content as JSON; empty where it belongs to a person.
        checks: The command that checks its proof.
    """

    title: str
    line: EntryLine
    size: int
    hash: str
    body: str
    checks: str


@pages.get(PATH, roles=_WHO, template="console-ledger.html", nav=Nav(label="Ledger", place=220), reads=NOBODY)
def show(visit: Visit) -> LedgerPage | Redirect:
    """Show entries, by default the newest; or go to the one that was asked for."""
    workspace = visit.workspace
    if "seq" in visit.query:
        return Redirect(to=f"{PATH}/{_number(visit.query['seq'], 'An entry')}")
    head = workspace.ledger.head
    end = min(_number(visit.query.get("before", str(head.size)), "An entry"), head.size)
    start = max(0, end - _PER_PAGE)
    entries = [*workspace.ledger.entries(start, end)]
    newest = min(end + _PER_PAGE, head.size)
    key = workspace.verifier.to_text()
    return LedgerPage(
        title="Ledger",
        size=head.size,
        root=head.root.hex(),
        origin=workspace.origin,
        key=key,
        checkpoint=workspace.log.cosigned(head.size) if head.size else "",
        lines=tuple(line_of(entry, workspace) for entry in reversed(entries)),
        newer=f"{PATH}?before={newest}" if end < head.size else "",
        older=f"{PATH}?before={start}" if start else "",
        newest=PATH if end < head.size else "",
        oldest=f"{PATH}?before={_PER_PAGE}" if start else "",
        checks_checkpoint=command_for(f"checkpoint-{head.size}", key),
        checks_consistency=command_for(f"consistency-{head.size // 2}-{head.size}.json", key),
    )


@pages.get(f"{PATH}/checkpoint", roles=_WHO, reads=NOBODY)
def checkpoint(visit: Visit) -> Download:
    """Give the signed checkpoint of a size, by default now."""
    ledger = visit.workspace.ledger
    size = _number(visit.query.get("size", str(ledger.size)), "A size")
    return Download(
        name=f"checkpoint-{size}", data=visit.workspace.log.cosigned(size).encode(), media_type="text/plain"
    )


@pages.get(f"{PATH}/consistency", roles=_WHO, reads=NOBODY)
def consistency(visit: Visit) -> Download:
    """Prove that the log at one size is an unchanged beginning of the log at another, by default now."""
    workspace = visit.workspace
    old = _number(visit.query.get("old", ""), "The older size")
    new = _number(visit.query.get("new") or str(workspace.ledger.size), "The newer size")
    proof = log_proofs.consistency(workspace, entry_reader(visit.who, workspace), old, new)
    return _proof(f"consistency-{old}-{new}.json", proof)


@pages.get(f"{PATH}/{{seq}}", roles=_WHO, template="console-entry.html", reads=NOBODY)
def entry(visit: Visit) -> EntryPage:
    """Show one entry."""
    found, workspace = _entry(visit), visit.workspace
    body = shown(entry_reader(visit.who, workspace), found).body
    return EntryPage(
        title=f"Entry {found.seq:,}",
        line=line_of(found, workspace),
        size=workspace.ledger.size,
        hash=found.leaf_hash.hex(),
        body="" if body is None else json.dumps(body, indent=2, ensure_ascii=False),
        checks=command_for(f"inclusion-{found.seq}.json", workspace.verifier.to_text()),
    )


@pages.get(f"{PATH}/{{seq}}/proof", roles=_WHO, reads=NOBODY)
def inclusion(visit: Visit) -> Download:
    """Prove that an entry is in the log as it is now; an entry that names people is given as its hash alone."""
    found, workspace = _entry(visit), visit.workspace
    proof = log_proofs.inclusion(workspace, entry_reader(visit.who, workspace), found)
    return _proof(f"inclusion-{found.seq}.json", proof)


def line_of(entry: Entry, workspace: Workspace) -> EntryLine:
    """Say an entry in plain words."""
    names = {account.id: account.name for account in workspace.parties.accounts()}
    if entry.kind == "limit":
        names |= workspace.parties.groups(entry.body["account"])
    return EntryLine(seq=entry.seq, at_us=entry.at_us, kind=entry.kind, says=said(entry, names))


def _entry(visit: Visit) -> Entry:
    seq = _number(visit.path["seq"], "An entry")
    found = [*visit.workspace.ledger.entries(seq, seq + 1)] if seq < visit.workspace.ledger.size else []
    if not found:
        raise InvalidInputError(f"The ledger has {visit.workspace.ledger.size:,} entries; there is no entry {seq:,}.")
    return found[0]


def _number(text: str, what: str) -> int:
    number = whole_number(text)
    if number is None:
        raise InvalidInputError(f"{what} must be a number, counted from 0. Go back and correct it.")
    return number


def _proof(name: str, proof: Mapping[str, Any]) -> Download:
    return Download(name=name, data=canonical_json(dict(proof)), media_type="application/json")
