"""Promises, checked: where one does not hold, the demo stops instead of going on."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from volition.canonical import datetime_to_us
from volition.cli.demo.cast import (
    ANSWERS,
    ASKED_EACH,
    GUEST_WHO_WAS_NOT_ASKED,
    LATE,
    NO_TO_SUMMARY_TRAINING,
    NO_TO_USAGE_TRAINING,
    SILENT,
)
from volition.cli.demo.samples import SampleAccount
from volition.errors import ProofError, RefusedError
from volition.ledger.signing import VerifierKey
from volition.transparency.verify.archive import pack, read_archive
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.checks import Verified
from volition.workspace import Workspace
from volition.workspace.settings import SETTINGS_FILE

if TYPE_CHECKING:
    from volition.records.snapshot import Snapshot

_LINE: Final = 80  # characters; a terminal has room for them


def hold(claim: bool, promise: str) -> None:  # noqa: FBT001 - a claim is true or it is not
    """Stop the story where a promise does not hold."""
    if not claim:
        msg = f"The demo found a promise broken: {promise}. This is a fault of Volition's own; please report it."
        raise ProofError(msg)


def must_refuse(call: Callable[[], object], reason: str) -> str:
    """Return what a refusal says; it must be one, and for this reason."""
    try:
        call()
    except RefusedError as error:
        message = str(error)
        hold(reason in message, f"the refusal says {reason!r}")
        return message
    hold(claim=False, promise=f"what is {reason} is refused")
    return ""


def require_attack(workspace: Path) -> None:
    """Ask that nothing be released of which no attack was measured: among so few who speak, one release must fail."""
    path = workspace / SETTINGS_FILE
    before, audit, after = path.read_text(encoding="utf-8").partition("[audit.attack]")
    path.write_text(before + audit + after.replace("required = false", "required = true", 1), encoding="utf-8")


def release_by_name(workspace: Workspace, model: str) -> str:
    """Release a model, and one that misses a bound by the name of who answers for it; return what the refusal said."""
    try:
        workspace.models.release(model)
    except RefusedError as refusal:
        workspace.models.release(model, override=ANSWERS)
        overridden = workspace.models.card(model)["override"]
        hold(overridden["by"] == ANSWERS.by, "the card names who answers for a release beyond its bounds")
        hold(bool(overridden["missed"]), "the card lists the bounds that are missed")
        return str(refusal)
    return ""


def told_refusals(figures: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Tell which releases were refused, why, and who answers for them."""
    for told in figures.values():
        if told["refused"]:
            yield f"The release of {told['model']} was refused, since it misses what this workspace asks of a release:"
            yield from (f"  {line[2:]}" for line in told["refused"].splitlines() if line.startswith("- "))
            yield (
                f'{ANSWERS.by} answers for it, by name: "{ANSWERS.why}" So it is released, and that stands in the log, '
                "on its card, and on the page where customers weigh."
            )


def _words(text: str) -> set[str]:
    """Return the words of a text, or of a name, that may be a name: three letters or more, the first a capital."""
    return {word for word in re.findall(r"[^\W\d_]{3,}", text) if word[0].isupper()}


def check_left_out(
    workspace: Workspace, snapshots: Mapping[str, "Snapshot"], accounts: Mapping[str, SampleAccount], start: datetime
) -> None:
    """Check on the frozen rows that those who were silent or said no are nowhere in them."""
    parties = workspace.parties
    guest = parties.guest(*GUEST_WHO_WAS_NOT_ASKED[:2]).pseudonym
    silent_users = [user for name in ASKED_EACH for user in accounts[name].users[SILENT - 1 :: SILENT]]
    absent = {
        "train/search": {guest},
        "train/summary": {guest, parties.person(NO_TO_SUMMARY_TRAINING[0]).pseudonym},
        "train/recommend": {parties.person(user).pseudonym for user in (*NO_TO_USAGE_TRAINING, *silent_users)},
    }
    for purpose, nobody in absent.items():
        rows = snapshots[purpose].keys
        content = rows if purpose == "train/recommend" else [key for key in rows if key.category != "service/usage"]
        hold(not any(nobody.intersection(key.people) for key in content), f"nobody who gave no yes is in {purpose}")
    earliest = min(key.collected_us for key in snapshots["train/search"].keys if key.account == LATE[0])
    hold(
        earliest >= datetime_to_us(start + timedelta(days=LATE[1])),
        "a yes covers what it says it covers",
    )


def check_scrubbed(workspace: Workspace, snapshot: "Snapshot") -> str:
    """Check that no frozen line holds the name of anybody it concerns; return a line in which one was."""
    examples = []
    everyone = workspace.parties.people()
    names: dict[str, set[str]] = {person.pseudonym: _words(person.name or "") for person in everyone}
    for row in snapshot.rows(workspace.parties):
        text = str(row.payload.get("text", ""))
        words = _words(text)
        hold(words.isdisjoint(chain.from_iterable(names[pseudonym] for pseudonym in row.people)), "names are scrubbed")
        if row.payload.get("kind") == "segment" and "[person-" in text:
            examples.append(text)
    hold(bool(examples), "there was a name to scrub")
    return min(examples, key=lambda text: abs(len(text) - _LINE))


def check_tampered(bundle: Path, key: VerifierKey) -> Verified:
    """Change one byte in a copy of the bundle: the withdrawal's "no". The copy must not verify."""
    copy = bundle.with_name("tampered.zip")
    members = dict(read_archive(bundle))
    data = members["entries.jsonl"]
    place = data.rindex(b'"answer":"no"') + len(b'"answer":"n')
    members["entries.jsonl"] = data[:place] + b"0" + data[place + 1 :]
    copy.write_bytes(pack(members))
    verified = verify_bundle(copy, key)
    copy.unlink()
    hold(not verified.holds, "changed evidence does not verify")
    return verified
