"""Commands that prove and check: prove, verify, key."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from volition.cli import codes
from volition.cli.blocks import Block, Grid, Line, Value, paragraph
from volition.cli.call import Call, Result, command
from volition.errors import BackendError, InvalidInputError, ProofError

if TYPE_CHECKING:
    from volition.ledger.policy import Policy
    from volition.ledger.signing import VerifierKey
    from volition.transparency.verify.bundle import Kept
    from volition.transparency.verify.checks import Verified

PANEL = "Prove"

_ZIP_MAGIC: Final = b"PK"
_ENTRY_PROOF: Final = b"c2sp.org/tlog-proof@"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "prove", panel=PANEL, example="volition prove evidence.zip", reads="proofs")(prove)
    command(app, "verify", panel=PANEL, example="volition verify evidence.zip --key log.pub")(verify)
    command(app, "key", panel=PANEL, example="volition key > log.pub")(key)


def prove(
    call: Call,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where to write it; by default evidence.zip, of a person proof.json."),
    ] = None,
    person: Annotated[
        str | None, typer.Option(metavar="PERSON", help="Prove of a person which models learned from them.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Of a person: this model alone.")] = None,
) -> Result:
    """Write evidence that anyone can check offline with the public key.

    Of the workspace: a zip with the whole log and, for each model, what it learned from; no names and no content. Of a
    person: for each model, the proof that it did or did not learn from them, and a receipt for each of their answers;
    with --json and no FILE it goes to stdout.
    """
    with call.workspace() as workspace:
        if person is None:
            if model is not None:
                raise InvalidInputError("--model goes with --person. Without one, the evidence is about every model.")
            path = file or Path("evidence.zip")
            workspace.accesses.note_list(None, "entries", account=None, records=workspace.ledger.size)
            entries = workspace.proofs.bundle(path)
            return Result(value={"file": str(path), "entries": entries}, view=_proved_view)
        document = workspace.proofs.evidence(person, model=model)
        shown = len(document["proofs"]) + len(document["receipts"])
        workspace.accesses.note(None, "proofs", [person], records=shown)
    if file is None and call.json:
        return Result(value=document, view=_proved_person_view)
    path = file or Path("proof.json")
    _write(path, json.dumps(document, indent=1).encode())
    proofs = [{name: proof[name] for name in ("model", "present", "rows")} for proof in document["proofs"]]
    document_json = {"file": str(path), "person": person, "proofs": proofs, "receipts": len(document["receipts"])}
    return Result(value=document_json, view=_proved_person_view)


def _write(path: Path, data: bytes) -> None:
    aside = path.with_name(f"{path.name}.part")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        msg = f"The proof could not be written to {path}: {error.strerror}. Name another place."
        raise BackendError(msg) from error


def _proved_view(value: Value) -> Iterator[Block]:
    """Show an evidence bundle."""
    yield paragraph(f"{value['file']}: the log's {value['entries']:,} entries and the evidence for every model.")
    yield paragraph(f"Anyone checks it with: volition verify {value['file']} --key KEY")


def _proved_person_view(value: Value) -> Iterator[Block]:
    """Show the proofs of a person."""
    rows = [
        (proof["model"], "learned from them" if proof["present"] else "never saw them", proof["rows"])
        for proof in value["proofs"]
    ]
    yield Grid(columns=("model", value["person"], "rows"), rows=rows)
    yield paragraph(
        f"The proofs, and receipts for {value['receipts']} answers, are in {value['file']}. "
        f"Anyone checks them with: volition verify {value['file']} --key KEY"
    )


def verify(  # noqa: PLR0913, PLR0917 - what is checked, and what it is held against
    call: Call,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Evidence (zip), proofs and receipts (JSON), a checkpoint or .tlog-proof."),
    ],
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY_OR_FILE", help="The log's public key; by default that of the workspace here."),
    ] = None,
    person: Annotated[
        list[str] | None,
        typer.Option(metavar="PSEUDONYM", help="Of proofs and receipts: they must be about this person; repeatable."),
    ] = None,
    receipt: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Of a zip: a receipt or proof whose entries its log must hold; repeatable."),
    ] = None,
    extends: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Of a zip: an older checkpoint that its log must go on from; repeatable."),
    ] = None,
    not_before: Annotated[
        str | None, typer.Option(metavar="DATE", help="Of a zip: its log must go on until this date.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A trust policy (C2SP tlog-policy): its quorum must have cosigned."),
    ] = None,
    entry: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of a .tlog-proof without its entry: the entry.")
    ] = None,
) -> Result:
    """Check evidence offline: no workspace is needed, only the public key.

    The key must come from somewhere you trust, never only from the one who gave you the evidence. What you kept of the
    log, receipts and checkpoints, finds a log that was signed anew, cut off, or is one of two; so do witnesses, whom
    --policy names. Exits with 4 if anything does not hold.
    """
    verifier, source = _key(call, key)
    trusted, kept = _policy(policy), _kept(receipt or (), extends or (), not_before)
    if _begins_with(file, _ENTRY_PROOF):
        if person or kept is not None:
            raise InvalidInputError("Of the proof of an entry, only --key, --policy and --entry say more.")
        verified = _verify_entry(file, verifier, trusted, entry)
    elif entry is not None:
        raise InvalidInputError("--entry goes with the proof of an entry (.tlog-proof).")
    else:
        verified = _verify(file, verifier, people=person or (), kept=kept)
        if trusted is not None:
            verified = _with_witnesses(verified, file, trusted, verifier)
    value = {"file": str(file), "key": verifier.to_text(), "key_from": source, **verified.to_json()}
    code = codes.OK if verified.holds else codes.UNPROVEN
    return Result(value=value, view=_verified_view, code=code.code)


def _policy(path: Path | None) -> "Policy | None":
    from volition.ledger.policy import Policy

    if path is None:
        return None
    try:
        policy = Policy.from_text(_read_bytes(path))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    if not policy.logs:
        msg = f"{path}: The policy names no log, so it may be of another one. Add a line `log KEY` with the log's key."
        raise InvalidInputError(msg)
    return policy


def _verify_entry(file: Path, verifier: "VerifierKey", policy: "Policy | None", entry: Path | None) -> "Verified":
    from volition.transparency.verify.witnessed import verify_entry_proof

    given = None if entry is None else _read_bytes(entry)
    return verify_entry_proof(_read_bytes(file), verifier, policy=policy, entry=given)


def _with_witnesses(verified: "Verified", file: Path, policy: "Policy", verifier: "VerifierKey") -> "Verified":
    """Add whether the checkpoint that the evidence quotes, or each of them, has the quorum of its witnesses."""
    from volition.canonical import text_to_us
    from volition.transparency.verify.witnessed import check_witnesses

    last_us = None if verified.last_entry is None else text_to_us(verified.last_entry)
    found = check_witnesses(checkpoints_in(file), policy, verifier, last_us=last_us)
    return replace(verified, checks=(*verified.checks, *found))


def _kept(receipts: Iterable[Path], checkpoints: Iterable[Path], not_before: str | None) -> "Kept | None":
    """Read what somebody kept of a log; none where nothing is named."""
    from volition.canonical import text_to_us
    from volition.transparency.verify.bundle import Kept

    shown = {name: one for path in receipts for name, one in _with_entries(path).items()}
    notes = {name: note for path in checkpoints for name, note in checkpoints_in(path).items()}
    if not shown and not notes and not_before is None:
        return None
    return Kept(receipts=shown, checkpoints=notes, not_before_us=None if not_before is None else text_to_us(not_before))


def _with_entries(path: Path) -> dict[str, object]:
    """Return the proofs and receipts in a document, each by the file's name and, of several, its number."""
    from volition.transparency.evidence import parts

    document = _read_json(path)
    proofs, receipts = parts(document)
    found = [one for one in (*proofs, *receipts) if isinstance(one, dict) and "entries" in one]
    if not found:
        raise InvalidInputError(f"{path} holds no receipt and no proof with entries of the log.")
    return {path.name if len(found) == 1 else f"{path.name} {number}": one for number, one in enumerate(found, 1)}


def checkpoints_in(path: Path) -> dict[str, str]:
    """Return every checkpoint that a file holds or quotes, by the file's name and, of several, its number."""
    from volition.transparency.evidence import quoted_checkpoints
    from volition.transparency.verify.archive import read_archive

    data = _read_bytes(path)
    if data.startswith(_ZIP_MAGIC):
        notes = [read_archive(path)["checkpoint"].decode(errors="replace")]
    elif data.lstrip()[:1] in {b"{", b"["}:
        notes = list(dict.fromkeys(quoted_checkpoints(_read_json(path))))
    else:
        notes = [data.decode(errors="replace")]
    if not notes:
        raise InvalidInputError(f"{path} holds no checkpoint and quotes none.")
    return {path.name if len(notes) == 1 else f"{path.name} {number}": note for number, note in enumerate(notes, 1)}


def _begins_with(path: Path, magic: bytes) -> bool:
    """Say whether a file begins with some bytes; it may be far too long to be read whole."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(magic)) == magic
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Check the path."
        raise InvalidInputError(msg) from error


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Check the path."
        raise InvalidInputError(msg) from error


def _read_json(path: Path) -> object:
    from volition.transparency.verify.forms import read_document

    data = _read_bytes(path)
    try:
        return read_document(data)
    except (ValueError, RecursionError) as error:
        msg = f"{path} is neither an evidence bundle (zip) nor a document of evidence (JSON): {error}."
        raise InvalidInputError(msg) from error


def _key(call: Call, given: str | None) -> "tuple[VerifierKey, str]":
    """Return the public key to check with, and where it is from."""
    from volition.ledger.signing import VerifierKey

    if given is None:
        try:
            opened = call.workspace()
        except InvalidInputError as error:
            msg = (
                "No public key was given and no workspace is here to take it from. Pass --key, with a key that you got "
                "from somewhere you trust (`volition key` prints a workspace's): one who makes up evidence can "
                "make a key for it, too."
            )
            raise InvalidInputError(msg) from error
        with opened as workspace:
            return workspace.verifier, f"the workspace {workspace.folder}"
    try:
        return VerifierKey.from_text(given), "the command line"
    except InvalidInputError:
        path = Path(given)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            msg = f"{given!r} is neither a public key (NAME+1234abcd+BASE64) nor a file that holds one."
            raise InvalidInputError(msg) from None
        return VerifierKey.from_text(text), str(path)


def _verify(path: Path, verifier: "VerifierKey", *, people: Collection[str], kept: "Kept | None") -> "Verified":
    from volition.transparency.evidence import verify_evidence
    from volition.transparency.verify.bundle import verify_bundle
    from volition.transparency.verify.forms import pseudonym
    from volition.transparency.verify.proofs import is_note, verify_checkpoint

    for one in people:
        try:
            pseudonym(one)
        except ProofError as error:  # what was typed here is not evidence: it is corrected, and asked again
            raise InvalidInputError(f"--person: {error} Copy it from the page Receipts and proofs.") from error
    is_zip = _begins_with(path, _ZIP_MAGIC)
    if is_zip and people:
        raise InvalidInputError("--person goes with proofs and receipts; a bundle is about everybody.")
    if is_zip:
        return verify_bundle(path, verifier) if kept is None else verify_bundle(path, verifier, kept=kept)
    if kept is not None:
        raise InvalidInputError("--receipt, --extends and --not-before go with a bundle, which holds the whole log.")
    if is_note(data := _read_bytes(path)):
        if people:
            raise InvalidInputError("--person goes with proofs and receipts; a checkpoint is about nobody.")
        return verify_checkpoint(data, verifier)
    document = _read_json(path)
    try:
        return verify_evidence(document, verifier, people=people)
    except InvalidInputError as error:
        msg = f"{path}: {error} Make one with `volition prove --person PERSON`."
        raise InvalidInputError(msg) from error


def _verified_view(value: Value) -> Iterator[Block]:
    """Show what verifying gave."""
    rows = [("holds" if check["holds"] else "FAILS", check["name"], check["detail"]) for check in value["checks"]]
    yield Grid(columns=("", "what", "detail"), rows=rows)
    for claim in value["claimed"]:
        yield paragraph(f"Claimed, not checkable offline: {claim}.")
    for warning in value["warnings"]:
        yield Line(text=f"Warning: {warning}", style="yellow")
    if value["last_entry"] is not None:
        yield paragraph(f"The log's last entry is of {value['last_entry']}; of what came later it says nothing.")
    yield paragraph(f"Checked with the key of {value['key_from']}: {value['key']}")
    yield (
        Line(text="Everything holds.", style="green")
        if value["holds"]
        else Line(text="It does NOT hold.", style="bold red")
    )


def key(call: Call) -> Result:
    """Print the workspace's public key, for those who check its evidence."""
    with call.workspace(reads=True) as workspace:
        return Result(value={"origin": workspace.origin, "key": workspace.verifier.to_text()}, view=_key_view)


def _key_view(value: Value) -> Iterator[Block]:
    """Show the public key, alone, so that it can be sent into a file."""
    yield paragraph(value["key"])
