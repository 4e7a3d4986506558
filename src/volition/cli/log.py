"""Commands for the log as others see it: log export, log prove, log witness; and a witness of other logs."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

import re
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volition.cli import codes
from volition.cli.blocks import Block, Grid, Line, Value, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.help import group
from volition.cli.proofs import PANEL
from volition.errors import BackendError, InvalidInputError

if TYPE_CHECKING:
    from volition.ledger.signing import Signer, VerifierKey

_ENTRIES_SAY = (
    "Entries have pseudonyms and answers in them: give them to those alone who may read the whole log, such as an "
    "auditor. --without-entries writes what anybody may have."
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    log = group("Publish the log, prove single entries, ask witnesses.")
    app.add_typer(log, name="log", rich_help_panel=PANEL)
    command(log, "export", example="volition log export public --without-entries", reads="entries")(export)
    command(log, "prove", example="volition log prove 17 entry-17.tlog-proof", reads="entries")(prove_entry)
    command(log, "witness", example="volition log witness")(ask_witnesses)
    command(app, "witness", panel=PANEL, example="volition witness --key w.key --store w.db --logs logs.txt")(witness)


def export(
    call: Call,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write to; made if it is not there.")],
    without_entries: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--without-entries", help="Write the checkpoint and hashes alone, which anybody may have.")
    ] = False,
    cosigned: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--cosigned", help="Stop at the newest checkpoint that has the quorum of its witnesses.")
    ] = False,
    unsalted: Annotated[  # noqa: FBT002 - an option of the command line
        bool,
        typer.Option("--unsalted-too", help="Write hashes alone even of entries without a salt, which can be guessed."),
    ] = False,
) -> Result:
    """Write the log as static files (C2SP tlog-tiles), which any client of transparency logs reads.

    A second export into the same folder adds what is new; one that was killed is finished by the next. With entries,
    the files are for those alone who may read the whole log; hashes alone are for anybody, since each entry has a
    random salt.
    """
    from volition.files import public

    with call.workspace() as workspace, public() if without_entries else nullcontext():
        if not without_entries:
            workspace.accesses.note_list(None, "entries", account=None, records=workspace.ledger.size)
        done = workspace.log.export(folder, with_entries=not without_entries, cosigned=cosigned, unsalted=unsalted)
    value = {
        "folder": str(folder),
        "size": done.size,
        "new": done.new,
        "files": done.files,
        "entries": not without_entries,
    }
    return Result(value=value, view=_exported_view, warnings=() if without_entries else (_ENTRIES_SAY,))


def _exported_view(value: Value) -> Iterator[Block]:
    what = "with its entries" if value["entries"] else "as hashes alone"
    yield paragraph(
        f"{value['folder']}: the log of {value['size']:,} entries, {what}; {value['new']:,} are new, in "
        f"{value['files']:,} files."
    )


def prove_entry(
    call: Call,
    seq: Annotated[int, typer.Argument(metavar="SEQ", help="The entry's number in the log.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to write it; by default entry-SEQ.tlog-proof.")
    ] = None,
    without_entry: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--without-entry", help="Leave the entry out; write it into FILE.entry beside it.")
    ] = False,
) -> Result:
    """Write the proof that an entry is in the log (C2SP tlog-proof), for one who may read that entry.

    It has the entry in it, as `extra` data, and the newest checkpoint that has the quorum of its witnesses, if there is
    one.
    """
    from volition.files import write_file

    path = file or Path(f"entry-{seq}.tlog-proof")
    with call.workspace() as workspace:
        proof = workspace.log.prove(seq, with_entry=not without_entry)
        entry = workspace.log.entry(seq)
        workspace.accesses.note(None, "entries", re.findall(r"person:[0-9a-f]{32}", entry.decode()))
    beside = path.with_name(f"{path.name}.entry") if without_entry else None
    try:
        if beside is not None:
            write_file(beside, entry)
        write_file(path, proof.to_text().encode())
    except OSError as error:
        raise BackendError(f"{path} could not be written: {error.strerror}. Name another place.") from error
    value = {"file": str(path), "entry": seq, "entry_file": None if beside is None else str(beside)}
    return Result(value=value, view=_proved_entry_view)


def _proved_entry_view(value: Value) -> Iterator[Block]:
    beside = f", which is in {value['entry_file']}" if value["entry_file"] else ""
    yield paragraph(f"{value['file']}: that entry {value['entry']} is in the log{beside}.")


def ask_witnesses(call: Call) -> Result:
    """Ask every witness in volition.toml to cosign the newest checkpoint, now.

    A server does so by itself. Exits with 4 if a witness knows more of this log than there is here: it was cut off or
    forked, and nothing is decided until it is mended and this was run again. Exits with 6 if too few cosigned.
    """
    from volition.workspace.public_log import AskedState

    with call.workspace() as workspace:
        asked = workspace.log.ask()
        is_doubted = any(one.state is AskedState.DOUBT for one in asked)
        has_quorum = not is_doubted and workspace.log.has_quorum()
    code = codes.UNPROVEN if is_doubted else codes.OK if has_quorum or not asked else codes.BACKEND
    value = {"witnesses": [one.to_json() for one in asked], "quorum": has_quorum}
    return Result(value=value, view=_asked_view, code=code.code)


def _asked_view(value: Value) -> Iterator[Block]:
    rows = [(one["witness"], one["state"], one["size"], one["why"] or "") for one in value["witnesses"]]
    yield Grid(columns=("witness", "state", "entries", "why"), rows=rows)
    if any(one["state"] == "doubt" for one in value["witnesses"]):
        yield Line(text="The log was CUT OFF or FORKED: restore the newest copy of it.", style="bold red")
    elif value["quorum"]:
        yield Line(text="The newest checkpoint has the quorum of its witnesses.", style="green")
    elif rows:
        yield paragraph("Too few cosigned. They are asked again: by the server, or by this command.")
    else:
        yield paragraph("The log is empty, so there is nothing to cosign.")


def witness(  # noqa: PLR0913, PLR0917 - a parameter for each option
    call: Call,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The witness's secret key; made with a new --store.")],
    store: Annotated[Path, typer.Option(metavar="FILE", help="What the witness remembers; never lose it.")],
    logs: Annotated[Path, typer.Option(metavar="FILE", help="The public keys of the logs to witness, one a line.")],
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="The address to listen on; port 0 for a free one.")
    ] = "127.0.0.1:8090",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The witness's name, when it is made; your domain and a path.")
    ] = None,
) -> Result:
    """Witness other people's logs (C2SP tlog-witness): cosign what only grew, until it is stopped.

    The first start makes the key and the store, and prints the public key for the policies of others. A witness whose
    store was lost must never be started again with the same key, since it could cosign a fork.
    """
    del call
    from volition.ledger.witness import Witness, WitnessStore
    from volition.server.witness_app import serve_witness

    host, port = _address(listen)
    trusted = _logs(logs)
    signer = _signer(key, store, name)
    opened = WitnessStore(store)
    try:
        served = Witness(signer, trusted, opened, lambda: int(time.time()))

        def ready(address: str) -> None:
            sys.stderr.write(f"The witness {signer.key.to_text()} is at {address} - stop it with Ctrl-C.\n")
            sys.stderr.flush()

        serve_witness(served, host=host, port=port, ready=ready)
    finally:
        opened.close()
    return Result(value={"served": signer.key.to_text()}, view=lambda _: ())


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise InvalidInputError(f"{text!r} is no address to listen on. Write HOST:PORT, such as 127.0.0.1:8090.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _logs(path: Path) -> "list[VerifierKey]":
    """Return the keys in a file, one a line; lines that are empty or begin with # are passed over."""
    from volition.ledger.signing import VerifierKey

    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{path} cannot be read: {error}. It has a public key of a log on each line."
        ) from error
    keys = [VerifierKey.from_text(line) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise InvalidInputError(f"{path} names no log. Write the line that `volition key` prints for each.")
    return keys


def _signer(key: Path, store: Path, name: str | None) -> "Signer":
    """Return the witness's signer; a witness that is new is made, with its store."""
    from volition.consent.parties import read_secret, write_secret
    from volition.ledger.signing import KeyKind, Signer
    from volition.ledger.witness import WitnessStore

    if key.exists() != store.exists():
        there, missing = (key, store) if key.exists() else (store, key)
        raise InvalidInputError(
            f"{there} is there and {missing} is not. They belong together: restore {missing}. If it is lost, this "
            "witness must not go on, since it could cosign a fork: make a new one, with another name, key and store."
        )
    if not key.exists():
        if name is None:
            raise InvalidInputError("A new witness needs a name: --name witness.example/w1. It stays for ever.")
        Signer.from_seed(name, bytes(32), KeyKind.COSIGNATURE)  # a name that no key can have is refused before
        try:
            write_secret(key)
        except OSError as error:
            raise BackendError(f"{key} cannot be written: {error.strerror}. Name another place.") from error
        signer = Signer.from_seed(name, read_secret(key), KeyKind.COSIGNATURE)
        WitnessStore.create(store, signer.key).close()
        return signer
    opened = WitnessStore(store)
    try:
        known = opened.key.name
    finally:
        opened.close()
    if name not in {None, known}:
        raise InvalidInputError(f"This witness is called {known}; its name stays for ever. Leave --name out.")
    return Signer.from_seed(known, read_secret(key), KeyKind.COSIGNATURE)
