"""Whether the log has only grown since a checkpoint that somebody kept: the answer in words, and its proof to keep.

A receipt or a proof quotes the checkpoint of its day, so each of them is enough to ask.
"""

import json
from dataclasses import dataclass
from typing import Final

from volition.errors import InvalidInputError
from volition.server.auth import PEOPLE
from volition.server.entry_readers import entry_reader
from volition.server.log_proofs import Grown, command_for, grown_since
from volition.server.web.page import Badge, Download, Pages, Visit
from volition.server.web.person.receipts import ASKING, PATH

pages = Pages()

_FILE: Final = f"{ASKING}/file"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownAnswer:
    """The answer.

    Attributes:
        state: Whether the log has only grown, in a word.
        says: The same in a sentence.
        why_none: Why there is no proof to download; empty where there is one, or nothing to prove.
        file: Where the proof comes from; empty where there is none.
        name: The proof's file name; likewise.
        command: How it is checked; likewise.
    """

    state: Badge
    says: str
    why_none: str
    file: str
    name: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyPage:
    """The form, and the answer once it was sent.

    Attributes:
        title: The page's heading.
        action: Where the form is sent.
        text: What was pasted.
        answer: The answer; none before.
        back: Where the receipts are.
    """

    title: str
    action: str
    text: str
    answer: GrownAnswer | None
    back: str


@pages.get(ASKING, roles=PEOPLE, template="consistency.html")
def show(_: Visit) -> ConsistencyPage:
    """Show the form."""
    return _page("", None)


@pages.post(ASKING, roles=PEOPLE, template="consistency.html", takes_document=True)
def ask(visit: Visit) -> ConsistencyPage:
    """Say whether the log has only grown since what was pasted."""
    text, grown = _asked(visit)
    name = f"consistency-{grown.old_size}-{grown.new_size}.json"
    answer = GrownAnswer(
        state=Badge(word=_word(grown), is_on=grown.holds),
        says=grown.says,
        why_none=grown.why_none,
        file=_FILE if grown.proof else "",
        name=name if grown.proof else "",
        command=command_for(name, visit.workspace.verifier.to_text()) if grown.proof else "",
    )
    return _page(text, answer)


@pages.post(_FILE, roles=PEOPLE, takes_document=True)
def download(visit: Visit) -> Download:
    """Give the proof that the log has only grown since what was pasted."""
    _, grown = _asked(visit)
    if grown.proof is None:
        raise InvalidInputError(" ".join(filter(None, [grown.says, grown.why_none])))
    name = f"consistency-{grown.old_size}-{grown.new_size}.json"
    return Download(name=name, data=json.dumps(grown.proof, indent=1).encode(), media_type="application/json")


def _asked(visit: Visit) -> tuple[str, Grown]:
    text = visit.form.get("checkpoint", "")
    workspace = visit.workspace
    return text, grown_since(text, workspace, entry_reader(visit.who, workspace))


def _word(grown: Grown) -> str:
    if grown.old_size is None:
        return "Of another log"
    return "Only grown" if grown.holds else "Not only grown"


def _page(text: str, answer: GrownAnswer | None) -> ConsistencyPage:
    return ConsistencyPage(title="Has the log only grown?", action=ASKING, text=text, answer=answer, back=PATH)
