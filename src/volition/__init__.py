"""Volition trains AI on customer data only where each customer said yes, and proves it.

    terms + decisions -> ledger -> permits -> gate -> snapshot -> train -> audit -> release -> features
    withdrawal (a decision) -> ledger -> permits close -> gate shuts -> forget -> prove

The house has nine packages in the order of that road, four leaf files, steps for others' pipelines, and a client of the
server. Each imports only from lines above it.

    errors canonical files progress   how an operation fails; one byte form of JSON; files whole or not at all; progress
    ledger/                           the log: entries, Merkle tree, signatures, stores
    consent/                          terms, parties, history, permits, the gate, limits, leases: may this be used?
    records/                          ways in, the lake, engines, snapshots: what may be used, and where it lies
    learning/                         model families, training, audits, cards, releases, forgetting
    features/ transparency/           models at work; what anyone can see and check
    workspace/                        one use case a method, in groups; the only chooser of back ends
    integrations/                     a model as an asset of Dagster, as a task of Airflow
    server/                           sign-in, background jobs, the HTTP API, the pages
    cli/                              commands, the demo
    client/                           asks a server from a product of one's own; knows none of the others

Each package's docstring is a tour of it. `consent.permits` decides; read it first.

Start with a workspace:

    >>> from volition import Workspace
    >>> with Workspace.create(folder) as workspace:                                   # doctest: +SKIP
    ...     workspace.people.add_account("acme", "Acme")
    ...     workspace.terms.accept("acme")
    ...     workspace.consent.decide("account:acme", yes=True, data=["service"], purpose=["train/recommend"])

Importing the package loads nothing else: each public name is fetched from its module when it is first asked for.

Public is what `__all__` names, and what those names' own public methods and attributes are: the workspace and its
groups, the errors, the values that they take and return, and the protocols of what can be put in their place (`Engine`,
`Family`, `Store`, `Progress`); and likewise what `volition.client` names,
and the steps of `volition.integrations`. It changes only with a line in the changelog
that says so. Everything else, each module included, is private to the package: read it, but do not import it, since it
may move in any release.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from volition.consent.choices import Choices
    from volition.consent.gate import Engine, Verdict
    from volition.consent.parties import Account, Person
    from volition.consent.permits import Permits, Reason
    from volition.consent.terms.model import Terms
    from volition.consent.terms.terms_file import load_profile, read_terms
    from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError, RefusedError, VolitionError
    from volition.learning.audit.finding import Finding
    from volition.learning.families.family import Family
    from volition.learning.families.model import Model
    from volition.learning.families.spec import FamilyContext, FamilySpec
    from volition.learning.forget import Owed
    from volition.learning.release import Override
    from volition.learning.train import Trained
    from volition.ledger.entry import Entry
    from volition.ledger.signing import VerifierKey
    from volition.ledger.store import Store
    from volition.progress import Progress
    from volition.records.foreign.judged import PermittedRows, TableCounts
    from volition.records.foreign.mapping import TableMapping
    from volition.records.ingest.intake import Collected
    from volition.records.lake import Row
    from volition.records.snapshot import Snapshot
    from volition.records.stream.rows import Rows
    from volition.transparency.holdings import Holdings
    from volition.transparency.verify.bundle import verify_bundle
    from volition.transparency.verify.checks import Verified
    from volition.transparency.verify.people import verify_person
    from volition.transparency.weigh import Weighed
    from volition.workspace.consent import Consent
    from volition.workspace.erasing import Erased
    from volition.workspace.features import Features
    from volition.workspace.forgetting import Forgetting, Forgotten
    from volition.workspace.gate import Answer, GateQuestions
    from volition.workspace.models import Models
    from volition.workspace.people import People
    from volition.workspace.pool import Workspaces
    from volition.workspace.proofs import Proofs
    from volition.workspace.public_log import PublicLog
    from volition.workspace.records import Records
    from volition.workspace.rights import Rights
    from volition.workspace.snapshots import Snapshots
    from volition.workspace.terms import PublishedTerms
    from volition.workspace.weigh import Weighing
    from volition.workspace.workspace import Workspace

__version__ = "0.2.0"

__all__ = [
    "Account",
    "Answer",
    "BackendError",
    "Choices",
    "Collected",
    "ConflictError",
    "Consent",
    "Engine",
    "Entry",
    "Erased",
    "Family",
    "FamilyContext",
    "FamilySpec",
    "Features",
    "Finding",
    "Forgetting",
    "Forgotten",
    "GateQuestions",
    "Holdings",
    "InvalidInputError",
    "Model",
    "Models",
    "Override",
    "Owed",
    "People",
    "Permits",
    "PermittedRows",
    "Person",
    "Progress",
    "ProofError",
    "Proofs",
    "PublicLog",
    "PublishedTerms",
    "Reason",
    "Records",
    "RefusedError",
    "Rights",
    "Row",
    "Rows",
    "Snapshot",
    "Snapshots",
    "Store",
    "TableCounts",
    "TableMapping",
    "Terms",
    "Trained",
    "Verdict",
    "Verified",
    "VerifierKey",
    "VolitionError",
    "Weighed",
    "Weighing",
    "Workspace",
    "Workspaces",
    "__version__",
    "load_profile",
    "read_terms",
    "verify_bundle",
    "verify_person",
]

_HOMES: Final = {
    # the workspace, and its groups of use cases
    "Workspace": "workspace.workspace",
    "PublishedTerms": "workspace.terms",
    "People": "workspace.people",
    "GateQuestions": "workspace.gate",
    "Answer": "workspace.gate",
    "Consent": "workspace.consent",
    "Records": "workspace.records",
    "Snapshots": "workspace.snapshots",
    "Models": "workspace.models",
    "Features": "workspace.features",
    "Weighing": "workspace.weigh",
    "Forgetting": "workspace.forgetting",
    "Erased": "workspace.erasing",
    "Forgotten": "workspace.forgetting",
    "Rights": "workspace.rights",
    "Proofs": "workspace.proofs",
    "PublicLog": "workspace.public_log",
    "Workspaces": "workspace.pool",
    # how an operation fails
    "VolitionError": "errors",
    "InvalidInputError": "errors",
    "RefusedError": "errors",
    "ProofError": "errors",
    "ConflictError": "errors",
    "BackendError": "errors",
    # what they take and return
    "Entry": "ledger.entry",
    "VerifierKey": "ledger.signing",
    "Account": "consent.parties",
    "Person": "consent.parties",
    "Terms": "consent.terms.model",
    "load_profile": "consent.terms.terms_file",
    "read_terms": "consent.terms.terms_file",
    "Verdict": "consent.gate",
    "Permits": "consent.permits",
    "Reason": "consent.permits",
    "Choices": "consent.choices",
    "Collected": "records.ingest.intake",
    "Rows": "records.stream.rows",
    "Row": "records.lake",
    "TableMapping": "records.foreign.mapping",
    "PermittedRows": "records.foreign.judged",
    "TableCounts": "records.foreign.judged",
    "Snapshot": "records.snapshot",
    "Trained": "learning.train",
    "Finding": "learning.audit.finding",
    "Override": "learning.release",
    "Owed": "learning.forget",
    "Weighed": "transparency.weigh",
    "Holdings": "transparency.holdings",
    "Verified": "transparency.verify.checks",
    "verify_bundle": "transparency.verify.bundle",
    "verify_person": "transparency.verify.people",
    # what can be put in their place
    "Store": "ledger.store",
    "Engine": "consent.gate",
    "Family": "learning.families.family",
    "FamilyContext": "learning.families.spec",
    "FamilySpec": "learning.families.spec",
    "Model": "learning.families.model",
    "Progress": "progress",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the language's own signature
    """Fetch a public name from the module that is its home."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List what is there and what can be fetched."""
    return sorted({*globals(), *__all__})
