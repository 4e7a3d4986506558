"""Who looked at the visitor's data (audit trail): staff and features, the newest first, each with a proof.

What is downloaded here is checked by `volition verify`, offline, with the log's public key alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from volition.canonical import text_to_us
from volition.server.auth import PEOPLE, Role
from volition.server.web import labels as words
from volition.server.web.page import Download, Nav, Pages, Visit
from volition.server.web.person.settings import party_of
from volition.transparency.access_log import EVERYONE, FEATURE, AccessLine

pages = Pages()
PATH: Final = "/looked"
_SHOWN: Final = 50
READ: Final = {
    "people": "A list of people",
    "person": "Your names, addresses and latest answers",
    "namesakes": "Your name, beside names heard in meetings",
    "guest-links": "Your name, in a list of guests and their links",
    "holdings": "How much is held about you, and what it was used for",
    "export": "Everything that is held about you, as a file",
    "requests": "What you asked for, and how far it is",
    "proofs": "Your receipts and proofs",
    "accesses": "Who looked at your data: this list",
    "entries": "Entries of the log that name you by your pseudonym",
    "owed": "Whether a model must forget you, and why",
    "weigh": "What a choice of yours gives and costs",
    "permits": "What you permit, as a line of a table for other programs",
    "snapshot": "A training set with records of your account, handed on as files",
    "feature": "Records of yours, in an answer",
    "endpoint": "Words of yours, sent to a language model on this host for a summary",
}
"""What was read, as it is said to whom it concerns; for each of `access_log.READINGS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedLine:
    """One line.

    Attributes:
        when: When it was, in words.
        who: Who looked, or which feature.
        role: In which role, in words.
        what: What was read.
        detail: How much of which kind; empty where that says nothing more.
        proof: Where its proof is; empty as long as its day is not over.
        file: What the proof is called as a file.
    """

    when: str
    who: str
    role: str
    what: str
    detail: str
    proof: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedPage:
    """Who looked.

    Attributes:
        title: The page's heading.
        lead: What is shown, in a sentence.
        lines: The newest first.
        newest: Where the newest ones are; empty on the first page.
        older: Where the older ones are; empty on the last page.
        command: How a proof is checked.
    """

    title: str
    lead: str
    lines: tuple[LookedLine, ...]
    newest: str
    older: str
    command: str


@pages.get(PATH, roles=PEOPLE, template="looked.html", nav=Nav(label="Who looked", place=35))
def show(visit: Visit) -> LookedPage:
    """Show who looked at the visitor's data."""
    person = _person(visit)
    workspace = visit.workspace
    found = workspace.accesses.of(person, before=visit.query.get("before"), limit=_SHOWN + 1)
    numbered = [line for line in found if line.number is not None]
    shown = found if len(numbered) <= _SHOWN else found[:-1]
    names = {account.id: account.name for account in workspace.parties.accounts()}
    return LookedPage(
        title="Who looked",
        lead="Each time somebody who runs this service opens data about you, it is written down before they see it. "
        "What AI features use of your records is counted.",
        lines=tuple(_line(line, names) for line in shown),
        newest=PATH if "before" in visit.query else "",
        older=f"{PATH}?before={shown[-1].place}" if len(numbered) > _SHOWN else "",
        command=f"volition verify access.json --key '{workspace.verifier.to_text()}'",
    )


@pages.get(f"{PATH}/{{line}}", roles=PEOPLE)
def download(visit: Visit) -> Download:
    """Give the proof of one line."""
    person = _person(visit)
    line = visit.path["line"]
    data = json.dumps(visit.workspace.accesses.prove(person, line), indent=1).encode()
    return Download(name=f"access-{line}.json", data=data, media_type="application/json")


def _person(visit: Visit) -> str:
    party, _ = party_of(visit)
    return party.removeprefix("person:")


def _line(line: AccessLine, accounts: Mapping[str, str]) -> LookedLine:
    is_feature = line.role == FEATURE
    kinds = words.listed([words.category(one) for one in line.categories])
    count = words.count(line.records, "record")
    detail = f"{count}: {kinds}" if kinds else ""
    if line.whose == EVERYONE:
        detail = "Everybody who was known here at that time."
    elif line.whose.startswith("account:"):
        account = line.whose.removeprefix("account:")
        detail = f"Everybody of {accounts.get(account, account)} at that time."
    return LookedLine(
        when=words.day(text_to_us(line.day)) if line.at_us is None else words.moment(line.at_us),
        who=words.purpose(line.who).title if is_feature else line.who,
        role="AI feature, for somebody who may read it" if is_feature else _role(line.role),
        what=READ[line.reading],
        detail=detail,
        proof=f"{PATH}/{line.id}" if line.id else "",
        file=f"access-{line.id}.json",
    )


def _role(role: str) -> str:
    return words.listed([words.ROLE[Role(one)] if one in set(Role) else _capital(one) for one in role.split(", ")])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
