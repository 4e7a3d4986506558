"""Commands that look and prove: prove, verify, key, status, demo."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

import json
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from volition.cli import codes, output, views
from volition.cli.call import Call, Result, command
from volition.errors import BackendError, InvalidInputError

if TYPE_CHECKING:
    from volition.ledger.signing import VerifierKey
    from volition.transparency.prove import Verified

PROVE = "Prove"
LOOK = "Look around"

_ZIP_MAGIC: Final = b"PK"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "prove", panel=PROVE, example="volition prove evidence.zip")(prove)
    command(app, "verify", panel=PROVE, example="volition verify evidence.zip --key log.pub")(verify)
    command(app, "key", panel=PROVE, example="volition key > log.pub")(key)
    command(app, "status", panel=LOOK, example="volition status")(status)
    command(app, "demo", panel=LOOK, example="volition demo --keep /tmp/acme")(demo)


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
            entries = workspace.proofs.bundle(path)
            return Result(value={"file": str(path), "entries": entries}, view=views.proved)
        document = workspace.proofs.evidence(person, model=model)
    if file is None and call.json:
        return Result(value=document, view=views.proved_person)
    path = file or Path("proof.json")
    _write(path, json.dumps(document, indent=1).encode())
    told = [{name: proof[name] for name in ("model", "present", "rows")} for proof in document["proofs"]]
    told_all = {"file": str(path), "person": person, "proofs": told, "receipts": len(document["receipts"])}
    return Result(value=told_all, view=views.proved_person)


def _write(path: Path, data: bytes) -> None:
    aside = path.with_name(f"{path.name}.part")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        msg = f"The proof could not be written to {path}: {error.strerror}. Name another place."
        raise BackendError(msg) from error


def verify(
    call: Call,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Evidence (zip), or proofs and receipts of a person (JSON).")
    ],
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY_OR_FILE", help="The log's public key; by default that of the workspace here."),
    ] = None,
) -> Result:
    """Check evidence offline: no workspace is needed, only the public key.

    The key must come from somewhere you trust, never from whoever gave you the evidence alone. Exits with 4 if
    anything does not hold.
    """
    verifier, source = _key(call, key)
    verified = _verify(file, verifier)
    value = {"file": str(file), "key": verifier.to_text(), "key_from": source, **verified.to_json()}
    code = codes.OK if verified.holds else codes.UNPROVEN
    return Result(value=value, view=views.verified, code=code.code)


def _key(call: Call, given: str | None) -> "tuple[VerifierKey, str]":
    """Return the public key to check with, and where it is from."""
    from volition.ledger.signing import VerifierKey

    if given is None:
        try:
            opened = call.workspace()
        except InvalidInputError as error:
            msg = (
                "No public key was given and no workspace is here to take it from. Pass --key, with a key that you got "
                "from somewhere you trust (`volition key` prints a workspace's): whoever made the evidence could have "
                "made a key for it, too."
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


def _verify(path: Path, verifier: "VerifierKey") -> "Verified":
    from volition.transparency.prove import verify_bundle
    from volition.transparency.receipt import verify_evidence

    try:
        with path.open("rb") as stream:
            is_zip = stream.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
        if is_zip:
            return verify_bundle(path, verifier)
        document = json.loads(path.read_bytes())
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Check the path."
        raise InvalidInputError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path} is neither an evidence bundle (zip) nor a proof of a person (JSON)."
        raise InvalidInputError(msg) from error
    try:
        return verify_evidence(document, verifier)
    except InvalidInputError as error:
        msg = f"{path}: {error} Make one with `volition prove --person PERSON`."
        raise InvalidInputError(msg) from error


def key(call: Call) -> Result:
    """Print the workspace's public key, for those who check its evidence."""
    with call.workspace() as workspace:
        return Result(value={"origin": workspace.origin, "key": workspace.verifier.to_text()}, view=views.key)


def status(call: Call) -> Result:
    """Show what there is: terms, parties, records, models, and what is owed."""
    with call.workspace() as workspace:
        value: dict[str, Any] = {"workspace": str(workspace.folder), **workspace.status()}
        for owed in value["owed"]:
            owed["parties"] = {workspace.party_name(party): reason for party, reason in owed["parties"].items()}
    return Result(value=value, view=views.status)


def demo(
    call: Call,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to keep its workspace; by default among the temporary files."),
    ] = None,
    serve: Annotated[
        bool | None,
        typer.Option("--serve/--no-serve", help="Serve it at the end, or do not; by default where a person watches."),
    ] = None,
    port: Annotated[int, typer.Option(metavar="PORT", help="The port to serve it on; 0 for a free one.")] = 8080,
) -> Result:
    """Walk the whole story, from no to yes and back, with four invented customers.

    It takes some two minutes. Its workspace stays, to look around in; the last step says how. On a terminal the privacy
    centre is served at the end, where a click signs you in as anybody, on this machine alone.
    """
    from volition.cli.demo.story import Step, run_demo

    def show(step: Step) -> None:
        if not call.json:
            output.show_blocks(views.step(step))
            sys.stdout.flush()

    folder = Path(mkdtemp(prefix="volition-demo-")) if keep is None else keep.resolve()
    with output.progress() as progress:
        figures = run_demo(folder, show, progress=progress)
    is_watched = sys.stdin.isatty() and sys.stdout.isatty() and not call.json
    if is_watched if serve is None else serve:
        _serve_demo(folder / "workspace", port)
    return Result(value=figures, view=lambda _: ())


def _serve_demo(folder: Path, port: int) -> None:
    from volition.cli.demo.story import let_in
    from volition.server.app import serve
    from volition.server.auth import Access

    access = Access.open(folder)
    try:
        let_in(access)
    finally:
        access.close()

    def ready(address: str) -> None:
        sys.stderr.write(
            f"The privacy centre of the demo is at {address} - on this machine alone, where a click signs you in as "
            "anybody. Stop it with Ctrl-C.\n"
        )
        sys.stderr.flush()

    serve(folder, port=port, is_demo=True, ready=ready)
