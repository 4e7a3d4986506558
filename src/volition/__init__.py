"""Volition trains AI on customer data only where each customer said yes, and proves it.

    terms + decisions -> ledger -> permits -> gate -> snapshot -> train -> audit -> release -> features
    withdrawal (a decision) -> ledger -> permits close -> gate shuts -> forget -> prove

The story, module by module, in the order of the road. A module imports only from modules told before it.

- `errors`, `canonical`, `files`: how an operation fails; the one byte form of a JSON value, and its digest; files that
  appear whole or not at all.
- `problems`, `serving`: how a failure is told over HTTP; how the server is set up.
- `terms` (with `terms_file`, `terms_diff`, `regions`, `profiles/`): a published document and its rules: for which
  category and which purpose whose yes is asked for.
- `merkle`, `signing`: what makes a log checkable by strangers: tree proofs, signatures.
- `ledger`: everything that decides is one entry of an append-only log: terms, decisions, snapshots, models, releases,
  forgettings.
- `parties`: accounts and people, with their names and keys. The one part that can be destroyed; everything else
  knows a person by a pseudonym.
- `history/`: the entries of the log that bear on permission, by party; tens of millions of them, kept between starts.
- `permits/`: the ledger compiled to one date a party: since when its yes has stood unbroken. **This module decides;
  read it first.**
- `gate/`, `batch`: "may this be used?", answered from permits and nothing else: for one record, aloud, for a table, or
  for many questions at once, Arrow in and Arrow out.
- `choices`, `limits`, `counts`: what one party can say about each use that the terms speak of, and what stands; what an
  account has limited; how many of its people have said what, in groups from which nobody's own answer can be read.
- `lease`: a process may answer from memory for a moment, and a no is acknowledged once every such moment is over.
- `lake/`: where records lie, sealed. Nothing reads them but through the gate.
- `privacy`: differential privacy with a person as the unit: who is drawn, what is clipped, what it adds up to.
- `stream/`: what the gate let through as a stream, judged again in the moment in which each batch is handed out.
- `encoder`: turns text into vectors that tell how close two meanings are.
- `collect/`: the ways in: transcripts, chat exports, files, telemetry. What no purpose could permit is not kept.
- `scrub`, `snapshot`: what the gate let through, without personal identifiers, frozen and listed. Training accepts a
  snapshot, never a table.
- `families/`: the kinds of model: how each learns, forgets exactly, and is measured.
- `endpoint`, `drafts`, `prose`: a language model elsewhere, where one is configured; what it writes is checked.
- `train`: a snapshot and a family make a model.
- `audit/`: a model makes findings.
- `card`, `release`: findings within their bounds and a snapshot that is not stale make a signed card, or a refusal with
  reasons.
- `shelf`: what was opened for search, kept in memory and judged anew at every search.
- `edits`: a message made tidy, or shorter, by rule.
- `uses`: how often each feature used whose records, counted by day.
- `conversations`: meetings and channels as one person may read them, with no model in between.
- `features`, `composing`: released models at work, gated again for the data that they read; the same while somebody
  types.
- `forget`: a no touches models; each is replaced by the model that never saw the data.
- `holdings`, `requests`: what is held of one person, what it was used for, all of it to take away; what they asked for,
  and how far it is.
- `prove`, `traces`: evidence that anyone checks offline, with the public key alone; what the models hold of one party.
- `receipt`: what somebody said, to keep, with the proof that the log holds it.
- `weigh`: what a yes gives and costs a party, what a no turns off, and what withdrawing later does.
- `stores/`, `engines/`: what the ledger lies in, and what runs the gate's SQL.
- `workspace/`: all of it in one folder, one function for each use case.
- `workspaces`, `access`, `guard`, `jobs`: one folder for several threads; who may come in, and as what; the server's
  door; long work on the side.
- `samples/`: the exports of invented customers, for whoever wants to see the road with data that reads like work.
- `demo`: the story in the terminal.
- `api/`, `web/`, `server`: the HTTP API, the privacy centre, and both behind one door.
- `cli/`: the commands: each calls a use case and shows what it gave.

Start with a workspace:

    >>> from volition import Workspace
    >>> with Workspace.create(folder) as workspace:                                   # doctest: +SKIP
    ...     workspace.add_account("acme", "Acme")
    ...     workspace.accept("acme")
    ...     workspace.decide("account:acme", yes=True, data=["service"], purpose=["train/recommend"])

Importing the package loads nothing else: each public name is fetched from its module when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError, RefusedError, VolitionError
    from volition.workspace import Workspace

__version__ = "0.1.0"

__all__ = [
    "BackendError",
    "ConflictError",
    "InvalidInputError",
    "ProofError",
    "RefusedError",
    "VolitionError",
    "Workspace",
    "__version__",
]

_HOMES: Final = {name: "workspace" if name == "Workspace" else "errors" for name in __all__[:-1]}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the language's own signature
    """Fetch a public name from the module that is its home."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List what is there and what can be fetched."""
    return sorted({*globals(), *__all__})
