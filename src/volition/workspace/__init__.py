"""The workspace: one folder, and one function per use case. No printing, no HTTP; back ends are chosen here alone.

volition.toml     settings, for people to edit
master.key        wraps every other key (mode 0600): back it up apart from the rest
signing.key       signs the log's checkpoints and the releases (mode 0600)
ledger.db         the append-only log
parties.db        accounts and people: names, pseudonyms, keys; the part that can be destroyed
terms/            the texts that were published, by their digests
lake/             records
uses.db           how often features used whose records, counted by day
history/          what the gate knows of a long ledger, read once; it may be deleted
leases/           which processes answer from memory
snapshots/ models/ releases/ runs/

>>> workspace = Workspace.open(Path("acme"))                                     # doctest: +SKIP
>>> workspace.decide("account:helio", yes=True, data=["content"], purpose=["train"])  # doctest: +SKIP
>>> snapshot = workspace.snapshot("train/search")                                # doctest: +SKIP
>>> trained = workspace.train("search", snapshot.id)                             # doctest: +SKIP

The use cases stand in the modules here, a class in each, and each class stands on the one before it; none knows a later
one, so they can be read in this order:

settings     what volition.toml may say
opening      the folder, opened, and what is known now
publishing   terms
judging      may this be used?
deciding     accounts, people, and what they say
collecting   ways in
selecting    what may be used for a purpose: a stream, or a snapshot
learning     models and their audits
releasing    models put to work, and until when
using        features
weighing     what a yes gives and costs
forgetting   what a no undoes
holding      what is held
proving      evidence
"""

from volition.workspace.forgetting import Forgotten
from volition.workspace.learning import FAMILIES
from volition.workspace.proving import Proving
from volition.workspace.settings import ENGINES, find_workspace

__all__ = ["ENGINES", "FAMILIES", "Forgotten", "Workspace", "find_workspace"]


class Workspace(Proving):
    """A folder with everything in it. Open it with `with`, or close it."""
