"""Receipts and proofs of a person: each of their answers with a receipt (consent record), and their proof bundle.

What is downloaded here is checked by `volition verify`, offline, with the log's public key alone; the key is shown, so
that it can be compared with one from elsewhere.
"""

import json
from dataclasses import dataclass
from typing import Final

from volition.canonical import text_to_us, whole_number
from volition.errors import InvalidInputError, RefusedError
from volition.ledger.entry import Entry
from volition.server.auth import PEOPLE
from volition.server.log_proofs import command_for
from volition.server.web import labels as words
from volition.server.web.page import Badge, Download, Nav, Pages, Visit

pages = Pages()
PATH: Final = "/receipts"
ASKING: Final = "/receipts/consistency"
_SHOWN: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer, and where its receipt is.

    Attributes:
        seq: Number of its ledger entry.
        at_us: When it was given; of an imported one, as its source says.
        said: Yes or no.
        purposes: To what, in words.
        data: Of which data, in words.
        covers: How far it reaches, in words; and of an imported one, who says so and when it was recorded.
        href: Where the receipt is.
    """

    seq: int
    at_us: int
    said: Badge
    purposes: str
    data: str
    covers: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptsPage:
    """Receipts and proofs of a person.

    Attributes:
        title: The page's heading.
        lead: What is shown, in a sentence.
        answers: The person's answers, the newest first.
        newest: Where the newest ones are; empty on the first page.
        older: Where the older ones are; empty on the last page.
        bundle: Where the proof bundle is; empty where there is nothing to prove.
        bundle_holds: What it holds, in a sentence.
        bundle_names: Whom it names, in a sentence.
        size: How many entries the ledger has.
        root: The ledger's root, in hexadecimal.
        key: The log's public key.
        command: How a download is checked.
        named: How the ledger names the person, in a sentence.
        pseudonyms: By these, one for each identity.
        asking: Where an old checkpoint is compared.
    """

    title: str
    lead: str
    answers: tuple[Answered, ...]
    newest: str
    older: str
    bundle: str
    bundle_holds: str
    bundle_names: str
    size: int
    root: str
    key: str
    command: str
    named: str
    pseudonyms: tuple[str, ...]
    asking: str


_ELSEWHERE: Final = (
    " Of an answer that you gave elsewhere and that was imported, it shows that it was recorded, and when; when you "
    "gave it is what its source says."
)


@pages.get(PATH, roles=PEOPLE, template="receipts.html", nav=Nav(label="Receipts", place=50))
def show(visit: Visit) -> ReceiptsPage:
    """Show the answers of a person, each with its receipt."""
    workspace, person = visit.workspace, _person(visit)
    text = visit.query.get("before")
    before = None if text is None else whole_number(text)
    if before is None and text is not None:
        raise InvalidInputError(
            "This address does not lead to any of your receipts. Open Receipts again from the navigation."
        )
    found = workspace.consent.answers(person, before=before, limit=_SHOWN + 1)
    models = len(workspace.models.states())
    head = workspace.ledger.head
    key = workspace.verifier.to_text()
    has_any = bool(found or models or before)
    pseudonyms = workspace.parties.person(person).pseudonyms
    return ReceiptsPage(
        title="Receipts and proofs",
        lead="Each answer you gave is an entry in a log that nobody can rewrite unnoticed. Keep the "
        "receipts: with one, "
        "anyone can show that the answer was given, without asking us."
        + (_ELSEWHERE if any("claim" in entry.body for entry in found[:_SHOWN]) else ""),
        answers=tuple(_answered(entry) for entry in found[:_SHOWN]),
        newest=PATH if before is not None else "",
        older=f"{PATH}?before={found[_SHOWN - 1].seq}" if len(found) > _SHOWN else "",
        bundle=f"{PATH}/proofs.json" if has_any else "",
        bundle_holds="For each model that was ever trained here, it proves whether the model learned from you. It "
        "also holds every "
        "receipt."
        if models
        else "It holds every receipt. No model has been trained here yet.",
        bundle_names="It names you by your pseudonym, and beside you, by theirs, whoever may be you and said a no "
        "that counts for you; nobody else."
        if any("namesake" in entry.body for entry in workspace.consent.answers(person))
        else "It names you only by your pseudonym, and it names no other person.",
        size=head.size,
        root=head.root.hex(),
        key=key,
        command=command_for("proofs.json", key, more="".join(f" --person {one}" for one in pseudonyms)),
        named="In the ledger you are:" if len(pseudonyms) == 1 else "In the ledger you are, by what is one person:",
        pseudonyms=pseudonyms,
        asking=ASKING,
    )


@pages.get(f"{PATH}/proofs.json", roles=PEOPLE)
def download_bundle(visit: Visit) -> Download:
    """Give the person's proof bundle."""
    return _json("proofs.json", visit.workspace.proofs.evidence(_person(visit)))


@pages.get(f"{PATH}/{{seq}}", roles=PEOPLE)
def download(visit: Visit) -> Download:
    """Give one receipt."""
    seq = whole_number(visit.path["seq"])
    if seq is None:
        raise InvalidInputError("An entry's number consists of digits. Open Receipts again from the navigation.")
    return _json(f"receipt-{seq}.json", visit.workspace.proofs.receipt(_person(visit), seq))


def _json(name: str, value: object) -> Download:
    return Download(name=name, data=json.dumps(value, indent=1).encode(), media_type="application/json")


def _person(visit: Visit) -> str:
    if visit.who.person is None:
        raise RefusedError("You are not signed in as a person, so there are no receipts of yours.")
    return visit.who.person


def _answered(entry: Entry) -> Answered:
    href = f"{PATH}/{entry.seq}"
    if entry.kind == "signal":
        return Answered(
            seq=entry.seq,
            at_us=entry.at_us,
            said=Badge(word="No", is_on=False),
            purposes="the uses that the terms name for Global Privacy Control, a signal from your browser",
            data="all data",
            covers="data from then on",
            href=href,
        )
    said = entry.body
    covers = {None: "data from then on", "past": "also data collected before"}.get(said["covers"])
    until = f", until {words.day(text_to_us(said['until']))}" if said.get("until") else ""
    claim = said.get("claim")
    according = "" if claim is None else f"; according to {claim['source']}, recorded on {words.day(entry.at_us)}"
    return Answered(
        seq=entry.seq,
        at_us=entry.at_us if claim is None else text_to_us(claim["said"]),
        said=Badge(word="Yes" if said["answer"] == "yes" else "No", is_on=said["answer"] == "yes"),
        purposes=_first(words.spoken(said["purpose"])),
        data=words.spoken_data(said["data"]),
        covers=(covers or f"data collected since {words.day(text_to_us(said['covers']))}") + until + according,
        href=href,
    )


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
