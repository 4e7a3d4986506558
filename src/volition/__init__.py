"""Volition trains AI on customer data only where each customer said yes, and proves it.

    terms + decisions -> ledger -> permits -> gate -> snapshot -> train -> audit -> release -> features
    withdrawal (a decision) -> ledger -> permits close -> gate shuts -> forget -> prove

The house has nine packages in the order of that road, and four leaf files. Each imports only from lines above it.

    errors canonical files progress   how an operation fails; one byte form of JSON; files whole or not at all; progress
    ledger/                           the log: entries, Merkle tree, signatures, stores
    consent/                          terms, parties, history, permits, the gate, limits, leases: may this be used?
    records/                          ways in, the lake, engines, snapshots: what may be used, and where it lies
    learning/                         model families, training, audits, cards, releases, forgetting
    features/ transparency/           models at work; what anyone can see and check
    workspace/                        one use case a method, in groups; the only chooser of back ends
    server/                           sign-in, background jobs, the HTTP API, the pages
    cli/                              commands, the demo

Each package's docstring is a tour of it. `consent.permits` decides; read it first.

Start with a workspace:

    >>> from volition import Workspace
    >>> with Workspace.create(folder) as workspace:                                   # doctest: +SKIP
    ...     workspace.people.add_account("acme", "Acme")
    ...     workspace.terms.accept("acme")
    ...     workspace.consent.decide("account:acme", yes=True, data=["service"], purpose=["train/recommend"])

Importing the package loads nothing else: each public name is fetched from its module when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError, RefusedError, VolitionError
    from volition.workspace import Workspace

__version__ = "0.2.0"

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
