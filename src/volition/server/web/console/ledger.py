"""The ledger for the operator and the auditor: entries in plain words, checkpoints, proofs to download.

A person's answer is private (`server.entry_readers`): of such an entry only its number, its time and its hash are
shown. Its proof holds the hash alone, with which the tree still verifies. Beside each download is the command that
checks it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import canonical_json, text_to_us, whole_number
from volition.consent.history import OPERATOR, SOURCE
from volition.consent.terms.vocabulary import Category, covers
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry
from volition.records.audience import TO_ALL_THERE, WRITTEN
from volition.server import log_proofs
from volition.server.auth import Role
from volition.server.entry_readers import entry_reader, shown
from volition.server.log_proofs import command_for
from volition.server.reading import NOBODY
from volition.server.web import labels as words
from volition.server.web.page import Download, Nav, Pages, Redirect, Visit
from volition.workspace import Workspace

pages = Pages()

PATH: Final = "/console/ledger"

_PER_PAGE: Final = 50
_WHO: Final = (Role.AUDITOR, Role.OPERATOR)
_PERSON: Final = "person:"


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
    return EntryLine(seq=entry.seq, at_us=entry.at_us, kind=entry.kind, says=_said(entry, names))


def _elsewhere(body: Mapping[str, Any]) -> str:
    """Say of an imported answer when it was given, and who says so; empty for one that was said here."""
    if "claim" not in body:
        return ""
    on = words.day(text_to_us(body["claim"]["said"]))
    return f"; given elsewhere, on {on} according to {body['claim']['source']}, and imported"


def _said(entry: Entry, names: Mapping[str, str]) -> str:  # noqa: C901, PLR0912 - one sentence for each kind
    body = entry.body
    kind, _, party = str(body.get("party", "")).partition(":")
    who = "A person" if kind == "person" else names.get(party, party)
    account = names.get(str(body.get("account")), str(body.get("account")))
    match entry.kind:
        case "terms":
            return f"The terms {body['terms']['id']} were published. They take effect on {body['binds'][:10]}."
        case "acceptance":
            return f"{account} accepted the terms {body['terms']}."
        case "notice":
            return f"{account} was notified of the terms {body['terms']}, which take effect on {body['ends'][:10]}."
        case "decision" if kind == "person":
            return "A person gave an answer. It is shown to that person alone."
        case "decision":
            until = f", until {words.day(text_to_us(body['until']))}" if body.get("until") else ""
            ends = f"{until}{_elsewhere(body)}"
            return f"{who} said {body['answer']} to {_named(body['purpose'])}, with {_named(body['data'])}{ends}."
        case "region":
            where = "" if kind == "person" else f": {body['region']}"
            return f"{who} has a region on record{where}."
        case "identity":
            return _IDENTITY[body["act"]]
        case "signal":
            return f"{who}'s browser sent an opt-out signal."
        case "limit":
            whom = "the whole account" if not body["group"] else f"its group {names.get(body['group'], body['group'])}"
            if body["group"]:
                whom += f", {words.count(len(body['people']), 'name')}" if body["people"] else ", all of it"
            did = "limited" if body["limited"] else "lifted its limit of"
            return f"{account} {did} {_named(body['purpose'])}, with {_named(body['data'])}, for {whom}."
        case "mapping" if body["source"] != "otlp":
            return f"Rows of the source {body['source'].removeprefix('source/')} began to be read by another mapping."
        case "mapping":
            names_mapped = words.count(len(body["mapping"]["events"]), "name")
            return f"Collecting began to use another mapping of events to kinds of data, with {names_mapped}."
        case "collect":
            return f"{words.count(body['records'], 'record')} came in."
        case "access":
            return (
                f"Who read personal data on {body['day']} was put on record, in {words.count(body['lines'], 'line')}."
            )
        case "form":
            return f"From here on each entry has a salt; the {body['unsalted']:,} before it have none."
        case "sharing":
            return _shared(body, account)
        case "exclusion":
            what = "what concerns them in a conversation" if kind == "person" else "a conversation"
            did = f"left {what} out of" if body["excluded"] else f"took {what} back into"
            return f"{who} {did} {words.uses(_covered(body['purpose']))}."
        case "snapshot":
            return f"Snapshot {body['snapshot']} was frozen for {_named([body['purpose']])}."
        case "model":
            return f"Model {body['model']} was trained from {body['snapshot']}."
        case "release":
            beyond = f", beyond its bounds, by decision of {body['override']['by']}" if "override" in body else ""
            return f"Model {body['model']} was released{beyond}."
        case "forgetting":
            after = f"{body['successor']} replaced it" if body["successor"] else "nothing replaced it"
            count = len(body["parties"])
            detail = "1 party" if count == 1 else f"{count:,} parties"
            return f"Model {body['model']} was forgotten for {detail}; {after}."
        case "erasure":
            return f"{who} was erased."
        case "removal":
            count = len(body["parties"])
            whose = "an erased party" if count == 1 else f"{count:,} erased parties"
            return f"Of {whose}, {words.count(body['rows'], 'row')} went from the table {body['table']}."
    return entry.kind


def _shared(body: Mapping[str, Any], account: str) -> str:
    if body["conversation"] == TO_ALL_THERE:
        to = "everyone who was in the meeting" if body["shared"] else "nobody"
        return f"{account} chose that a written summary which was not sent is read by {to}."
    if body["conversation"] == WRITTEN:
        did = "sent a written summary to" if body["shared"] else "took a written summary back from"
        people = len(body["with"])
        return f"A person of {account} {did} {'a person' if people == 1 else f'{people:,} people'}."
    did = "opened" if body["shared"] else "closed"
    by = f"The {body['by']}" if body["by"] in {OPERATOR, SOURCE} else "A person who was in it"
    people = sum(party.startswith(_PERSON) for party in body["with"])
    whom = [f"everyone at {account}"] if len(body["with"]) > people else []
    if people:
        whom.append("a person" if people == 1 else f"{people:,} people")
    return f"{by} {did} a {body['conversation']} of {account} to {words.listed(whom)}."


_IDENTITY: Final[Mapping[str, str]] = {
    "merge": "Two identities turned out to be one person; what either had refused is refused for both.",
    "apart": "Somebody heard and somebody registered were said to be two people.",
    "alias": "A person is known by other names or addresses.",
    "rename": "A person is shown by another name.",
    "move": "A person moved to another account.",
    "leave": "A person left their account.",
}
"""What each entry about identities says, by what was done."""


def _named(names: list[str]) -> str:
    known = words.vocabulary().named
    is_data = {name: isinstance(known.get(name), Category) for name in names}
    return words.listed([words.category(name) if is_data[name] else words.purpose_in_words(name) for name in names])


def _covered(names: Iterable[str]) -> list[str]:
    return [leaf for leaf in words.vocabulary().purposes if any(covers(name, leaf) for name in names)]


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
