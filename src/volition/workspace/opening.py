"""The folder, opened: its files, its keys, its engine; and what is known now.

Whatever stays open or in memory from one use case to the next is opened here, and closed here. An engine that is not
installed is missed before anything is open. `history` reads the ledger's head each time it is asked, so whoever starts
from it, or from `now_us`, knows every answer that was acknowledged.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from volition import canonical
from volition.consent.history import History, extend_history, find_history, keep_history
from volition.consent.lease import Leases
from volition.consent.parties import Parties, read_secret
from volition.errors import InvalidInputError
from volition.features.composing import OpenedOnce
from volition.features.search_cache import Shelf
from volition.learning.release import ModelState, models_in
from volition.ledger.log import Entry, Ledger
from volition.ledger.signing import Signer, VerifierKey
from volition.ledger.stores.sqlite import SqliteStore
from volition.records.lake import Lake
from volition.transparency.usage import Uses
from volition.workspace.settings import ENGINES, read_settings

if TYPE_CHECKING:
    from volition.consent.choices import Choices
    from volition.consent.permits import Permits
    from volition.features.llm import EndpointSettings
    from volition.learning.audit.bounds import Bound
    from volition.learning.encoder import Encoder
    from volition.learning.families.adapter import AdapterFamily
    from volition.learning.families.adapter.recipe import Recipe

_LONG_TO_READ: Final = 20_000  # entries: about a second
LEASES: Final = "leases"

_log = logging.getLogger(__name__)


class Opening:
    """A workspace that is open, and knows what its ledger says."""

    def __init__(self, folder: Path, *, clock: Callable[[], int] = canonical.now_us) -> None:
        """Open the workspace in `folder`; `Workspace.create` makes one.

        Args:
            folder: Where it lies.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.

        Raises:
            InvalidInputError: There is no workspace in the folder, or its settings cannot be read.
            BackendError: A file of it cannot be opened, or its engine is not installed.
            ProofError: The ledger was changed by somebody else than this software.
        """
        self.folder = folder
        settings = read_settings(folder)
        self.origin: str = settings["origin"]
        self.due_days: int = settings["due_days"]
        self.bounds: Mapping[str, Bound] = settings["audit"]
        engine = ENGINES[settings["engine"]]()  # first: what may be missing is missed before anything is open
        self._clock = clock
        self._signer = Signer.from_seed(self.origin, read_secret(folder / "signing.key"))
        self.parties = Parties.open(folder)
        self._store = SqliteStore(folder / "ledger.db")
        self.lease_ms: int = settings["lease_ms"]
        self._leases = Leases(folder / LEASES)
        self.ledger = Ledger(self._store, self._signer, clock=clock, settle=self._leases.settle)
        self._lake = Lake(folder / "lake", self.parties, engine)
        kept = find_history(folder / "history", self.ledger, self._signer.key)
        self._history = History() if kept is None else kept
        self._kept_size = self._history.size
        self._uses = Uses(folder / "uses.db")
        self._judges: dict[str, tuple[Permits, int]] = {}  # by purpose, and up to which entry they know the ledger
        # What each party could choose: as long as nothing was written to the ledger and no terms begin to bind.
        self._chosen: dict[tuple[str, str], tuple[int, int, Choices | None]] = {}
        self._shelf = Shelf(self._lake)
        self._endpoint: EndpointSettings | None = settings["endpoint"]
        self._recipe: Recipe | None = settings["adapter"]
        self._adapter: AdapterFamily | None = None
        self._encoder: Encoder | None = None
        self._encoder_sought = False
        self._composing = OpenedOnce()

    @classmethod
    def open(cls, folder: Path, *, clock: Callable[[], int] = canonical.now_us) -> Self:
        """Open the workspace in `folder`. Raises as the constructor does."""
        return cls(folder, clock=clock)

    def close(self) -> None:
        """Close every file."""
        self._shelf.clear()
        self._lake.close()
        self._uses.close()
        self.parties.close()
        self._store.close()

    def __enter__(self) -> Self:
        """Open for a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close at its end."""
        self.close()

    @property
    def now_us(self) -> int:
        """The present instant, never before the ledger's last entry."""
        return max(self._clock(), self.history().last_us)

    @property
    def verifier(self) -> VerifierKey:
        """The public key with which anyone checks this workspace's evidence."""
        return self._signer.key

    def entries(self) -> Sequence[Entry]:
        """Return every ledger entry, oldest first."""
        return list(self.ledger.entries())

    def history(self) -> History:
        """Return what the gate must know, up to the ledger's head; once it was long to read, it is kept."""
        if self.ledger.size == self._history.size:  # the head is read and verified; what lies below it was before
            return self._history
        for entry in self.ledger.entries(self._history.size):
            extend_history(self._history, entry)
        if self._history.size - self._kept_size >= max(_LONG_TO_READ, self._kept_size // 4):
            root = self.ledger.root(self._history.size)
            try:
                keep_history(self.folder / "history", self._history, root=root, signer=self._signer)
            except OSError:  # it is only kept to save time: the ledger has everything
                _log.warning("The history could not be kept in %s; it will be read anew.", self.folder / "history")
            self._kept_size = self._history.size
        return self._history

    def models(self) -> dict[str, ModelState]:
        """Return every model that was ever trained, by id, oldest first."""
        return models_in(self.history().doings)

    def party(self, text: str) -> str:
        """Return a party as the ledger names it, from "account:ID" or "person:ID".

        Raises:
            InvalidInputError: The text names no party that is known.
        """
        kind, _, name = text.partition(":")
        if kind == "account" and name:
            return f"account:{self.parties.account(name).id}"
        if kind == "person" and name:
            return f"person:{self.parties.person(name).pseudonym}"
        msg = f"{text!r} is no party. Write account:ID or person:ID."
        raise InvalidInputError(msg)

    def party_name(self, party: str) -> str:
        """Return a party of the ledger in a form for people: "account:ID", "person:ID", or the bare pseudonym."""
        kind, _, name = party.partition(":")
        if kind == "person":
            person = self.parties.person_by_pseudonym(name)
            return party if person is None else f"person:{person.id}"
        return party


def read_bytes(path: Path) -> bytes:
    """Return what a file holds. Raises InvalidInputError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Check the path."
        raise InvalidInputError(msg) from error
