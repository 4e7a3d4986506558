"""A folder of backups: files by their digests, each once, and a signed manifest for each backup.

    backups/20260105T090000.000000Z.json   what the workspace was at one moment: every file, by path, size and digest
    objects/ab/ab34...                     the files, by their SHA-256

A backup is there once its manifest is, which comes last: one that was killed has left objects at most, which the next
one takes for its own. What is there under its digest is not copied again, so a second backup costs what has changed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from volition.errors import BackendError, InvalidInputError, ProofError
from volition.files import PART, flush, keep_private, turn, write_file
from volition.ledger.signing import Signer, VerifierKey, from_base64, open_envelope, sign_envelope

TYPE: Final = "application/vnd.volition.backup+json"
FORMAT: Final = "volition/backup/1"
_OBJECTS: Final = "objects"
_MANIFESTS: Final = "backups"
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedFile:
    """A file of a backup.

    Attributes:
        digest: Its SHA-256, hexadecimal.
        size: Its length in bytes.
        mtime_ns: When it was last changed, as its file system has it; 0 for a database, which is always read anew.
    """

    digest: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        name: Its name: the instant in UTC, so that names are in order.
        origin: The name of the workspace's log.
        version: The version of this software that made it.
        at: The instant, as text, UTC.
        checkpoint: The signed checkpoint of its ledger.
        keys: The sealed keys of the workspace; empty where they were left out.
        files: Path below the workspace, with slashes -> the file.
    """

    name: str
    origin: str
    version: str
    at: str
    checkpoint: str
    keys: str
    files: Mapping[str, BackedFile]


class KeptBackups:
    """The backups in one folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; it need not be there."""
        self._folder = folder

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make the folder, let nobody else in, and take turns with other backups into it.

        Raises:
            InvalidInputError: It holds something else.
            BusyError: Another backup is being made.
            BackendError: The disk is full or cannot be written; no backup appears.
        """
        try:
            if self._folder.is_dir() and any(self._folder.iterdir()) and not (self._folder / _MANIFESTS).is_dir():
                msg = f"{self._folder} holds something that is no backup. Name an empty folder, or one of backups."
                raise InvalidInputError(msg)
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            keep_private(self._folder)
            for name in (_MANIFESTS, _OBJECTS):
                (self._folder / name).mkdir(mode=0o700, exist_ok=True)
            with turn(self._folder):
                for left in (*self._folder.glob(f"*{PART}"), *(self._folder / _OBJECTS).glob(f"*{PART}")):
                    left.unlink()
                yield
        except OSError as error:
            for left in (self._folder / _OBJECTS).glob(f"*{PART}"):
                left.unlink(missing_ok=True)  # a full disk is not kept full
            msg = f"The backup in {self._folder} could not be written: {error}. Those that were there stand; try again."
            raise BackendError(msg) from error

    def names(self) -> list[str]:
        """Return the names of the backups, oldest first."""
        return sorted(path.stem for path in (self._folder / _MANIFESTS).glob("*.json"))

    def manifest(self, name: str, key: VerifierKey) -> Manifest:
        """Return what a backup says of itself, verified with the log's key.

        Raises:
            InvalidInputError: There is no such backup.
            ProofError: It was changed, or is of another workspace.
        """
        path = self._path(name)
        try:
            opened = open_envelope(self._envelope(name), key)
            document = json.loads(opened.payload)
            return _read(document, opened.payload_type, name)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProofError(f"{path} is no manifest of a backup.") from error
        except ProofError as error:
            msg = f"The backup {name} was changed, or is of a workspace with another signing key: {error}"
            raise ProofError(msg) from error

    def unverified(self, name: str) -> tuple[str, str]:
        """Return the log's name and the sealed keys as a manifest has them, before anything shows that they are so.

        Raises:
            InvalidInputError: There is no such backup.
            ProofError: It is none.
        """
        try:
            document = json.loads(from_base64(self._envelope(name)["payload"]))
            return str(document["origin"]), str(document["keys"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProofError(f"{self._path(name)} is no manifest of a backup.") from error

    def _path(self, name: str) -> Path:
        return self._folder / _MANIFESTS / f"{name}.json"

    def _envelope(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        if "/" in name:
            raise InvalidInputError(f"{name!r} names no backup.")
        try:
            return json.loads(self._path(name).read_bytes())
        except OSError as error:
            msg = f"There is no backup {name!r} in {self._folder}, or it cannot be read: {error.strerror}."
            raise InvalidInputError(msg) from error
        except ValueError as error:
            raise ProofError(f"{self._path(name)} is no manifest of a backup.") from error

    def keep(self, manifest: Manifest, signer: Signer) -> None:
        """Write a manifest: from then on the backup is there. Raises OSError."""
        for folder in (self._folder / _OBJECTS).iterdir():
            flush(folder)
        flush(self._folder / _OBJECTS)
        flush(self._folder)
        payload = json.dumps(_written(manifest), sort_keys=True).encode()
        envelope = json.dumps(sign_envelope(TYPE, payload, signer)).encode()
        write_file(self._folder / _MANIFESTS / f"{manifest.name}.json", envelope)

    def aside(self, name: str) -> Path:
        """Return where something is written before it is put among the objects."""
        return self._folder / _OBJECTS / f"{name}{PART}"

    def put(self, stream: BinaryIO) -> tuple[str, int, bool]:
        """Keep what a stream holds; return its digest, its size, and whether it is new here. Raises OSError."""
        aside = self.aside("copied")
        hashed, size = hashlib.sha256(), 0
        with aside.open("wb") as file:
            while piece := stream.read(_PIECE):
                hashed.update(piece)
                size += len(piece)
                file.write(piece)
        return (*self._name(aside, hashed.hexdigest(), size),)

    def put_aside(self, aside: Path) -> tuple[str, int, bool]:
        """Keep a file that lies aside already, in its place; return what `put` does. Raises OSError."""
        digest, size = _digest_of(aside)
        return (*self._name(aside, digest, size),)

    def has(self, digest: str, size: int) -> bool:
        """Return whether an object is there."""
        try:
            return self._object(digest).stat().st_size == size
        except OSError:
            return False

    def copy(self, file: BackedFile, to: Path) -> None:
        """Copy an object out, and check it meanwhile.

        Raises:
            ProofError: It is missing, or was changed.
            OSError: The copy cannot be written.
        """
        hashed = hashlib.sha256()
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as copied, self._opened(file) as stream:
            while piece := stream.read(_PIECE):
                hashed.update(piece)
                copied.write(piece)
            copied.flush()
            os.fsync(copied.fileno())
        if hashed.hexdigest() != file.digest:
            raise self._changed(file)

    def remove_changed(self, manifest: Manifest) -> int:
        """Remove the objects of a backup that were changed, so that they are copied anew; return how many."""
        removed = 0
        for file in manifest.files.values():
            path = self._object(file.digest)
            if path.exists() and _digest_of(path)[0] != file.digest:
                path.unlink()
                removed += 1
        return removed

    def prune(self, keep: int, key: VerifierKey) -> list[str]:
        """Remove all backups but the newest, and what none of those needs; return the names of those removed.

        Raises:
            InvalidInputError: None is to stay.
            ProofError: One that is to stay cannot be read: nothing is removed.
            OSError: The disk cannot be written.
        """
        if keep < 1:
            raise InvalidInputError("At least one backup is kept.")
        names = self.names()
        gone, kept = names[:-keep], names[-keep:]
        needed = {file.digest for name in kept for file in self.manifest(name, key).files.values()}
        for name in gone:
            (self._folder / _MANIFESTS / f"{name}.json").unlink()
        flush(self._folder / _MANIFESTS)
        for path in (self._folder / _OBJECTS).glob("*/*"):
            if path.name not in needed:
                path.unlink()
        return gone

    @contextmanager
    def _opened(self, file: BackedFile) -> Iterator[BinaryIO]:
        try:
            stream = self._object(file.digest).open("rb")
        except OSError as error:
            msg = f"A file of the backup in {self._folder} cannot be read: {error}. Take another backup."
            raise ProofError(msg) from error
        with stream:
            yield stream

    def _changed(self, file: BackedFile) -> ProofError:
        return ProofError(f"{self._object(file.digest)} was changed after it was backed up. Take another backup.")

    def _object(self, digest: str) -> Path:
        if len(digest) != hashlib.sha256().digest_size * 2 or not set(digest) <= set("0123456789abcdef"):
            raise ProofError(f"{digest!r} is no digest.")
        return self._folder / _OBJECTS / digest[:2] / digest

    def _name(self, aside: Path, digest: str, size: int) -> tuple[str, int, bool]:
        if self.has(digest, size):
            aside.unlink()
            return digest, size, False
        flush(aside)
        path = self._object(digest)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        aside.replace(path)
        return digest, size, True


def _digest_of(path: Path) -> tuple[str, int]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return digest, stream.tell()


def _written(manifest: Manifest) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": manifest.name,
        "origin": manifest.origin,
        "version": manifest.version,
        "at": manifest.at,
        "checkpoint": manifest.checkpoint,
        "keys": manifest.keys,
        "files": {path: [one.digest, one.size, one.mtime_ns] for path, one in manifest.files.items()},
    }


def _read(document: Mapping[str, Any], payload_type: str, name: str) -> Manifest:
    if (payload_type, document["format"], document["name"]) != (TYPE, FORMAT, name):
        raise ProofError("it is of another format, or was given another name.")
    files = {}
    for path, (digest, size, mtime_ns) in document["files"].items():
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ProofError(f"{path!r} is no file of a workspace.")
        files[path] = BackedFile(digest=str(digest), size=int(size), mtime_ns=int(mtime_ns))
    texts = {one: str(document[one]) for one in ("name", "origin", "version", "at", "checkpoint", "keys")}
    return Manifest(**texts, files=files)
