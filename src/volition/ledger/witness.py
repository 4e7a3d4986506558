r"""A witness of other logs (C2SP tlog-witness): it cosigns a checkpoint once it has seen that the log only grew.

- For each log that it trusts it remembers the newest checkpoint that it cosigned, and cosigns nothing that does not
  extend it: no fork, no rollback.
- What it remembers is on the disk before an answer leaves, so killing it at any moment never makes it sign a fork.
- To look and to remember is one transaction, so requests that arrive together cannot roll back one another.
- What a log signed that was not shown to extend what it signed before is kept. Two roots of one size prove a fork.

Nothing here knows HTTP; `Witness.add_checkpoint` takes a request's body and returns what to answer.

    >>> asked = AddCheckpoint(old_size=0, proof=(), note="log.example\n0\n...")
    >>> asked.to_text().splitlines()[0]
    'old 0'

Source: c2sp.org/tlog-witness.
"""

import hashlib
import logging
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, Self

from volition.errors import BackendError, InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.signing import (
    Checkpoint,
    KeyKind,
    Signer,
    VerifierKey,
    cosign,
    from_base64,
    open_note,
    parse_checkpoint,
    signature_lines,
    to_base64,
)

MAX_BODY_BYTES: Final = 64 * 1024
"""Longer requests are refused: 63 hashes and a checkpoint with a hundred signatures take less."""

MAX_PROOF_LINES: Final = 63
SIZE_TYPE: Final = "text/x.tlog.size"

OTHER_ROOT: Final = "another root at a size that was cosigned"
NOT_EXTENDED: Final = "no proof that it extends what was cosigned"
"""Why something was kept as evidence. The second may be an innocent checkpoint that was sent with a wrong proof."""

_TEXT = "text/plain; charset=utf-8"
_MOST_SIZE = (1 << 63) - 1  # what a column of SQLite holds
_MOST_EVIDENCE = 100  # of one log and one reason: what is shown a hundred times is shown
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_VERSION = 1
_SCHEMA = f"""
CREATE TABLE witness (key TEXT NOT NULL) STRICT;
CREATE TABLE log (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, at_s INTEGER NOT NULL,
                  note TEXT NOT NULL) STRICT;
CREATE TABLE evidence (id INTEGER PRIMARY KEY, origin TEXT NOT NULL, at_s INTEGER NOT NULL, why TEXT NOT NULL,
                       request TEXT NOT NULL) STRICT;
PRAGMA user_version = {_VERSION};
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """What a log asks a witness.

    Attributes:
        old_size: The size of the checkpoint that the witness cosigned last.
        proof: That the new tree extends that of the old size; 32 bytes each.
        note: The new checkpoint, signed.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    def to_text(self) -> str:
        """Write the request's body; `from_text` reads it back unchanged."""
        return f"old {self.old_size}\n" + "".join(f"{to_base64(one)}\n" for one in self.proof) + f"\n{self.note}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a request's body.

        Raises:
            ProofError: It is malformed.
        """
        head, separator, note = text.partition("\n\n")
        first, *lines = head.split("\n")
        old, proof = _OLD.fullmatch(first), tuple(map(from_base64, lines))
        if not separator or old is None or len(proof) > MAX_PROOF_LINES:
            raise ProofError("The request is malformed: `old SIZE`, up to 63 hashes, an empty line, a checkpoint.")
        if any(len(one) != merkle.HASH_BYTES for one in proof):
            raise ProofError("The request is malformed: each hash of the proof is 32 bytes in base64, one a line.")
        return cls(old_size=int(old[1]), proof=proof, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    """What a witness answers: an HTTP status, a text and its media type."""

    status: int
    text: str
    media_type: str = _TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The newest checkpoint of a log that was cosigned, and when."""

    size: int = 0
    root: bytes = merkle.EMPTY_ROOT
    at_s: int = 0


def origin_hash(origin: str) -> str:
    """Return a log's name in a witness's addresses."""
    return hashlib.sha256(origin.encode()).hexdigest()


class WitnessStore:
    """What a witness remembers, in one file. It may be used from several threads, and by several processes."""

    def __init__(self, path: Path) -> None:
        """Open a file that `create` made.

        Raises:
            BackendError: There is none, or it cannot be read.
        """
        self._path = path
        self._lock = Lock()
        if not path.is_file():
            raise BackendError(f"There is no witness store at {path}. What a witness remembers must not be lost.")
        with self._explained():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            self._db.execute("PRAGMA synchronous = FULL")
            if self._db.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                raise BackendError(f"{path} is no witness store that this version of Volition can read.")

    @classmethod
    def create(cls, path: Path, key: VerifierKey) -> Self:
        """Make a new store, for one witness's key and no other.

        Raises:
            InvalidInputError: There is something at `path` already.
            BackendError: The file cannot be written.
        """
        if path.exists():
            raise InvalidInputError(f"There is a file at {path} already. Name another for a new witness.")
        try:
            connection = sqlite3.connect(path, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")  # stays with the file
                connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
                connection.execute("INSERT INTO witness VALUES (?)", (key.to_text(),))
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise BackendError(f"{path} cannot be written: {error}.") from error
        return cls(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def key(self) -> VerifierKey:
        """The key of the witness whose memory this is."""
        with self._explained(), self._lock:
            found = self._db.execute("SELECT key FROM witness").fetchone()
        if found is None:
            raise BackendError(f"{self._path} belongs to no witness: it was not made whole. Remove it and its key.")
        return VerifierKey.from_text(found[0])

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Keep every other writer out for a block; what it wrote is on the disk at its end, or nothing of it is."""
        with self._explained(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def known(self, origin: str) -> _Known:
        """Return the newest checkpoint of a log that was cosigned; within `deciding`."""
        found = self._db.execute("SELECT size, root, at_s FROM log WHERE origin = ?", (origin,)).fetchone()
        return _Known() if found is None else _Known(size=found[0], root=found[1], at_s=found[2])

    def remember(self, checkpoint: Checkpoint, at_s: int, note: str) -> None:
        """Note what is cosigned; within `deciding`."""
        self._db.execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET "
            "size = excluded.size, root = excluded.root, at_s = excluded.at_s, note = excluded.note",
            (checkpoint.origin, checkpoint.size, checkpoint.root, at_s, note),
        )

    def keep_evidence(self, origin: str, at_s: int, why: str, request: str) -> None:
        """Keep a request that may show a fork; within `deciding`."""
        [count] = self._db.execute(
            "SELECT count(*) FROM evidence WHERE origin = ? AND why = ?", (origin, why)
        ).fetchone()
        if count < _MOST_EVIDENCE:
            self._db.execute(
                "INSERT INTO evidence (origin, at_s, why, request) VALUES (?, ?, ?, ?)", (origin, at_s, why, request)
            )

    def newest(self) -> dict[str, str]:
        """Return of each log the newest checkpoint that was cosigned, by its origin."""
        with self._explained(), self._lock:
            return dict(self._db.execute("SELECT origin, note FROM log").fetchall())

    def evidence(self) -> list[tuple[str, int, str, str]]:
        """Return what may show forks: each log's origin, when it came, why, and the request as it came."""
        with self._explained(), self._lock:
            return self._db.execute("SELECT origin, at_s, why, request FROM evidence ORDER BY id").fetchall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BackendError(f"{self._path} cannot be read or written: {error}. Nothing was cosigned.") from error


class Witness:
    """Cosigns the checkpoints of the logs that it is told to trust. It may be used from several threads."""

    def __init__(
        self, signer: Signer, logs: Sequence[VerifierKey], store: WitnessStore, clock_s: Callable[[], int]
    ) -> None:
        """Take the witness's key, the keys of the logs, what it remembers, and a clock of seconds since the epoch.

        Raises:
            InvalidInputError: A key is of the wrong kind, or the store is another witness's.
        """
        if signer.key.kind != KeyKind.COSIGNATURE:
            raise InvalidInputError(f"The key of {signer.key.name} is no witness's: it signs notes.")
        if store.key != signer.key:
            raise InvalidInputError(
                f"The store belongs to the witness {store.key.to_text()}, and the key is {signer.key.to_text()}. "
                "A witness has one key and one store for its whole life."
            )
        wrong = [key.name for key in logs if key.kind != KeyKind.NOTE]
        if wrong:
            raise InvalidInputError(f"The key of {wrong[0]} is no log's. `volition key` prints a log's key.")
        self.signer = signer
        self._store = store
        self._clock_s = clock_s
        self._logs: dict[str, list[VerifierKey]] = {}
        for key in logs:
            self._logs.setdefault(key.name, []).append(key)

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Answer a request for a cosignature, given its body.

        Raises:
            BackendError: The store failed; nothing was cosigned.
        """
        try:
            text = body.decode()
            asked = AddCheckpoint.from_text(text)
            claimed = parse_checkpoint(asked.note.rpartition("\n\n")[0] + "\n")  # who it says it is; not believed
        except (UnicodeDecodeError, ProofError) as error:
            return WitnessAnswer(status=400, text=f"{error}\n")
        keys = self._logs.get(claimed.origin)
        if keys is None:
            return WitnessAnswer(status=404, text="This witness does not know a log of this origin.\n")
        try:
            checkpoint = parse_checkpoint(open_note(asked.note, *keys).text)
        except ProofError as error:
            return WitnessAnswer(status=403, text=f"{error}\n")
        if asked.old_size > checkpoint.size or checkpoint.size > _MOST_SIZE:
            return WitnessAnswer(
                status=400, text="The old size is larger than the checkpoint's, or that is too large.\n"
            )
        clean = f"{asked.note.rpartition(chr(10) * 2)[0]}\n\n" + "".join(signature_lines(asked.note, *keys))
        with self._store.deciding():
            return self._decide(asked, checkpoint, clean, text)

    def newest(self, hashed_origin: str) -> str | None:
        """Return the newest cosigned checkpoint of a log, by `origin_hash`; none if there is none."""
        return next(
            (note for origin, note in self._store.newest().items() if origin_hash(origin) == hashed_origin), None
        )

    def _decide(self, asked: AddCheckpoint, checkpoint: Checkpoint, clean: str, request: str) -> WitnessAnswer:
        """Look whether a checkpoint extends what is remembered; cosign and remember it if so."""
        known, at_s = self._store.known(checkpoint.origin), self._clock_s()
        is_other = checkpoint.size == known.size and checkpoint.root != known.root
        if is_other or asked.old_size != known.size:
            if is_other:
                self._note_fork(checkpoint, at_s, OTHER_ROOT, request)
            return WitnessAnswer(status=409, text=f"{known.size}\n", media_type=SIZE_TYPE)
        try:
            merkle.verify_consistency(known.size, checkpoint.size, asked.proof, known.root, checkpoint.root)
        except ProofError as error:
            self._note_fork(checkpoint, at_s, NOT_EXTENDED, request)
            return WitnessAnswer(status=422, text=f"{error}\n")
        if at_s < known.at_s:
            _log.error("This machine's clock is behind the last cosignature of %s. Set it.", checkpoint.origin)
            return WitnessAnswer(status=503, text="This witness's clock is behind its last cosignature.\n")
        cosigned = cosign(clean, self.signer, at_s)
        self._store.remember(checkpoint, at_s, cosigned)
        return WitnessAnswer(status=200, text=cosigned.removeprefix(clean))

    def _note_fork(self, checkpoint: Checkpoint, at_s: int, why: str, request: str) -> None:
        _log.error(
            "%s signed a checkpoint of %d entries that was not cosigned: %s", checkpoint.origin, checkpoint.size, why
        )
        self._store.keep_evidence(checkpoint.origin, at_s, why, request)
