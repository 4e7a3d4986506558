"""Accounts and people: their names, pseudonyms and keys. The one part of a workspace that can be destroyed.

- The ledger, the lake and every snapshot name a person by a pseudonym: HMAC-SHA256 of the person's id under a key of
  their own. Destroying the key and the row makes that person's entries unlinkable, while the log still verifies.
- Content is sealed under a data key of its account (AES-256-GCM). Destroying the key makes the content unreadable in
  every copy, snapshots and backups included.
- Data keys and person keys lie wrapped (AES Key Wrap) under the master key, a file of its own with mode 0600. Nothing
  works without it: back it up, apart from the rest.
- Sealing draws its nonce from what it seals (HMAC-SHA256 under a second key), so the same content gives the same
  bytes and snapshots can be reproduced; two different contents never share a nonce but by a collision of 96 bits.
- Other processes notice a destruction: keys held in memory are dropped as soon as the file says that any was destroyed.
- What is destroyed leaves no bytes behind in the folder: the file is written anew without it and its log emptied. A
  destruction that was killed in between is finished when the file is next opened. (The memory of a running process,
  the medium below the file system and backups of this folder are beyond what a program can wipe.)

Sources: AES-GCM NIST SP 800-38D; AES Key Wrap RFC 3394; synthetic nonces after RFC 5297 section 3 (the idea of SIV);
canonical caseless matching, Unicode 3.13, D145.
"""

import base64
import hmac
import json
import os
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError, RefusedError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"
_LONGEST_SECRET: Final = 1024
_PSEUDONYM_LENGTH: Final = 32
_PATIENCE_S: Final = 10.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL, wrapped BLOB);
CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY, account TEXT, name TEXT, wrapped BLOB NOT NULL,
                                   pseudonym TEXT NOT NULL UNIQUE, aliases TEXT NOT NULL, emails TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS handles (account TEXT NOT NULL, handle TEXT NOT NULL, person TEXT NOT NULL,
                                    PRIMARY KEY (account, handle, person)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS destroyed (party TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_FIT: Final = "fit"
"""State: something wrapped by the master key, by which a wrong one is known before anything is wrapped under it."""

_STALE: Final = "stale"
"""State: something was destroyed, and its old bytes may still lie in the file or its log."""


class ErasedError(RefusedError):
    """The key was destroyed: what it sealed cannot be read by anyone any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A customer organisation."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user of an account, or a guest.

    Attributes:
        id: Identity within the workspace.
        account: Id of the account; none for a guest of no account.
        name: Name as shown to people; none if unknown.
        aliases: Other names and identifiers under which sources know the person.
        emails: E-mail addresses.
        pseudonym: The name in ledger, lake and snapshots: 32 hexadecimal characters.
    """

    id: str
    account: str | None
    name: str | None
    aliases: tuple[str, ...]
    emails: tuple[str, ...]
    pseudonym: str


@dataclass(frozen=True, slots=True)
class _Keys:
    """An account's keys in memory: one seals, one makes nonces. Both come from the one data key that is kept."""

    cipher: AESGCM
    nonce_key: bytes

    @classmethod
    def of(cls, data_key: bytes) -> Self:
        derived = [hmac.digest(data_key, purpose, "sha256") for purpose in (b"volition/seal/1", b"volition/nonce/1")]
        return cls(AESGCM(derived[0]), derived[1])

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        length = len(associated).to_bytes(8, "big")
        nonce = hmac.digest(self.nonce_key, length + associated + plaintext, "sha256")[:_NONCE_BYTES]
        return _VERSION + nonce + self.cipher.encrypt(nonce, plaintext, associated)

    def open(self, associated: bytes, sealed: bytes) -> bytes:
        if sealed[:1] != _VERSION:
            msg = "The sealed content has an unknown form. It was changed, or written by a newer version."
            raise ProofError(msg)
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self.cipher.decrypt(nonce, text, associated)
        except (InvalidTag, ValueError) as error:
            msg = "The sealed content was changed, moved to another record, or sealed under another key."
            raise ProofError(msg) from error


class Parties:
    """The accounts and people of a workspace, in `parties.db` beside `master.key`. May be used from several threads."""

    def __init__(self, folder: Path) -> None:
        """Open what `create` made.

        Raises:
            BackendError: A file is missing or cannot be read, others can read the master key, or it is another's.
        """
        self._master = read_secret(folder / "master.key")
        self._lock = threading.RLock()
        self._keys: dict[str, _Keys] = {}
        self._people: dict[str, Person] = {}  # by pseudonym
        self._by_id: dict[str, Person] = {}
        self._seen_version = -1
        try:
            self._db = sqlite3.connect(
                f"{(folder / 'parties.db').absolute().as_uri()}?mode=rw",
                uri=True,
                check_same_thread=False,
                isolation_level=None,
                timeout=_PATIENCE_S,
            )
        except sqlite3.Error as error:
            raise _unopened(folder, error) from error
        try:
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute("PRAGMA temp_store = MEMORY")  # writing the file anew must leave no copy elsewhere
            fit = self._db.execute("SELECT value FROM state WHERE name = ?", (_FIT,)).fetchone()
            self._unwrap(fit[0] if fit else b"", "this workspace")
            if self._db.execute("SELECT 1 FROM state WHERE name = ?", (_STALE,)).fetchone():
                with suppress(sqlite3.OperationalError):  # busy or full: it stays marked, and is tried again
                    self._wipe()
        except sqlite3.Error as error:
            self._db.close()
            raise _unopened(folder, error) from error
        except BackendError:
            self._db.close()
            raise

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make the files in `folder` and open them.

        Raises:
            ConflictError: There is a master key already; nothing is changed.
            BackendError: The folder cannot be written.
        """
        try:
            write_secret(folder / "master.key")
            fit = aes_key_wrap(read_secret(folder / "master.key"), os.urandom(_KEY_BYTES))
            with closing(sqlite3.connect(folder / "parties.db")) as db:
                db.execute("PRAGMA journal_mode = WAL")
                db.executescript(_SCHEMA)
                with db:
                    db.execute("INSERT INTO state VALUES (?, ?)", (_FIT, fit))
        except FileExistsError as error:
            msg = f"{folder} has a master key already. Open the workspace instead, or choose a new folder."
            raise ConflictError(msg) from error
        except (OSError, sqlite3.Error) as error:
            msg = f"The accounts and people cannot be kept in {folder}: {error}. Check that the folder can be written."
            raise BackendError(msg) from error
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `create` made. Raises as the constructor does."""
        return cls(folder)

    def close(self) -> None:
        """Close the file and drop the keys held in memory."""
        with self._lock:
            self._keys.clear()
            self._db.close()

    # --- accounts ---

    def add_account(self, account: str, name: str) -> Account:
        """Add an account, with a data key of its own.

        Raises:
            InvalidInputError: The id cannot be one.
            ConflictError: The account is there already, or was erased.
        """
        _check_id(account, "account")
        with self._writing():
            self._refuse_known("accounts", account)
            wrapped = aes_key_wrap(self._master, os.urandom(_KEY_BYTES))
            self._db.execute("INSERT INTO accounts VALUES (?, ?, ?)", (account, name, wrapped))
        return Account(id=account, name=name)

    def account(self, account: str) -> Account:
        """Return an account by its id.

        Raises:
            InvalidInputError: There is none.
        """
        found = self._one("SELECT id, name FROM accounts WHERE id = ?", account)
        if found is None:
            msg = f"There is no account {account!r}. Add it with `volition account add`."
            raise InvalidInputError(msg)
        return Account(id=found[0], name=found[1])

    def has_account(self, account: str) -> bool:
        """Tell whether an account is known."""
        return self._one("SELECT 1 FROM accounts WHERE id = ?", account) is not None

    def accounts(self) -> list[Account]:
        """Return every account, by id."""
        return [Account(id=found[0], name=found[1]) for found in self._all("SELECT id, name FROM accounts ORDER BY id")]

    def erased_accounts(self) -> frozenset[str]:
        """Return the accounts whose key was destroyed."""
        return frozenset(found[0] for found in self._all("SELECT id FROM accounts WHERE wrapped IS NULL"))

    # --- people ---

    def add_person(
        self,
        person: str,
        *,
        account: str | None = None,
        name: str | None = None,
        aliases: Sequence[str] = (),
        emails: Sequence[str] = (),
    ) -> Person:
        """Add a person, with a key and so a pseudonym of their own; without an account, a guest.

        Raises:
            InvalidInputError: The id cannot be one, a name is broken text, or the account is not known.
            ConflictError: The person is there already, or was erased.
        """
        _check_id(person, "person")
        for text in (name, *aliases, *emails):
            _check_text(text or "")
        if account is not None:
            self.account(account)
        key = os.urandom(_KEY_BYTES)
        pseudonym = hmac.digest(key, b"volition/person/" + person.encode(), "sha256").hex()[:_PSEUDONYM_LENGTH]
        added = Person(
            id=person, account=account, name=name, aliases=tuple(aliases), emails=tuple(emails), pseudonym=pseudonym
        )
        with self._writing():
            if self._db.execute("SELECT 1 FROM destroyed WHERE party = ?", (self._mark(person),)).fetchone():
                msg = f"{person!r} was erased, for good. Choose another id."
                raise ConflictError(msg)
            self._refuse_known("people", person)
            self._db.execute(
                "INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    person,
                    account,
                    name,
                    aes_key_wrap(self._master, key),
                    pseudonym,
                    json.dumps(added.aliases),
                    json.dumps(added.emails),
                ),
            )
            handles = {_fold(handle) for handle in (person, name, *aliases, *emails) if handle} - {""}
            self._db.executemany(
                "INSERT INTO handles VALUES (?, ?, ?)", ((account or "", handle, person) for handle in sorted(handles))
            )
        return added

    def person(self, person: str) -> Person:
        """Return a person by their id.

        Raises:
            InvalidInputError: There is none.
            ErasedError: There was, and they were erased.
        """
        self._drop_what_was_destroyed()
        with self._lock:  # so that no destruction comes between what is found and what is remembered
            found = self._by_id.get(person)
            if found is None:
                found = self._person("SELECT * FROM people WHERE id = ?", person)
                if found is not None:
                    self._by_id[person] = found
        if found is None:
            if self._one("SELECT 1 FROM destroyed WHERE party = ?", self._mark(person)):
                msg = f"The person {person!r} was erased. Nothing says any more who that was."
                raise ErasedError(msg)
            msg = f"There is no person {person!r}. Add them with `volition person add`; guests come with their data."
            raise InvalidInputError(msg)
        return found

    def person_by_pseudonym(self, pseudonym: str) -> Person | None:
        """Return whom a pseudonym stands for; none if nobody, or not any more."""
        self._drop_what_was_destroyed()
        found = self._people.get(pseudonym)
        if found is None:
            found = self._person("SELECT * FROM people WHERE pseudonym = ?", pseudonym)
            if found is not None:
                self._people[pseudonym] = found
        return found

    def version(self) -> tuple[int, int]:
        """Return what is another value once anything here was written, by this process or by another."""
        with self._lock:
            return self._one("PRAGMA data_version")[0], self._db.total_changes

    def people(self, account: str | None = None) -> list[Person]:
        """Return the people of an account, or everyone, by id."""
        where, values = ("WHERE account = ?", (account,)) if account is not None else ("", ())
        return [_to_person(found) for found in self._all(f"SELECT * FROM people {where} ORDER BY id", *values)]  # noqa: S608

    def find_person(self, account: str, handle: str) -> Person | None:
        """Return who goes by a name, alias, address or id in an account, whatever the case.

        None if nobody does, or more than one: a record must not be laid at the door of the wrong person.
        """
        named = self._named(account, handle)
        return _to_person(named[0]) if len(named) == 1 else None

    def is_shared(self, account: str, handle: str) -> bool:
        """Tell whether several people of an account go by a handle, so that it says of nobody who it is."""
        return len(self._named(account, handle)) > 1

    def is_erased(self, account: str, handle: str) -> bool:
        """Tell whether somebody of an account who went by a handle was erased."""
        mark = self._mark_of_handle(account, _fold(handle))
        return self._one("SELECT 1 FROM destroyed WHERE party = ?", mark) is not None

    def _named(self, account: str, handle: str) -> list[Any]:
        return self._all(
            "SELECT people.* FROM handles JOIN people ON people.id = handles.person"
            " WHERE handles.account = ? AND handles.handle = ?",
            account,
            _fold(handle),
        )

    def guest(self, account: str, name: str) -> Person:
        """Return the guest of that name in an account's data, making one if there is none yet.

        A guest stays a person of their own when somebody of the same name is added later: nobody's yes is stretched
        over what another may have said.

        Raises:
            ConflictError: Somebody of that name was erased, or several people of the account go by it. A guest would
                hide that each of them may have said no, so there is nobody whose yes would do.
        """
        identity = f"{account}:guest:{sha256(_fold(name).encode()).hexdigest()[:12]}"
        with self._lock:
            others = "SELECT count(*) FROM handles WHERE account = ? AND handle = ? AND person <> ?"
            if self._one(others, account, _fold(name), identity)[0] > 1:
                msg = f"Several people of {account} go by the name {name!r}, so it is unknown whose data this is. "
                msg += "Tell them apart by an identifier or an e-mail address in the source."
                raise ConflictError(msg)
            known = self._person("SELECT * FROM people WHERE id = ?", identity)
            if known is not None:
                return known
            if self.is_erased(account, name):
                msg = f"Somebody of {account} who went by the name {name!r} was erased, for good. No guest takes it."
                raise ConflictError(msg)
            try:
                return self.add_person(identity, account=account, name=name)
            except ConflictError:
                known = self._person("SELECT * FROM people WHERE id = ?", identity)
                if known is None:  # not another process that was quicker: the guest was erased
                    raise
                return known

    # --- sealing ---

    def seal(self, account: str, associated: bytes, plaintext: bytes) -> bytes:
        """Seal one content under an account's key, bound to `associated`. Raises as `seal_many` does."""
        return self.seal_many(account, [(associated, plaintext)])[0]

    def open_sealed(self, account: str, associated: bytes, sealed: bytes) -> bytes:
        """Open what `seal` sealed with the same `associated`. Raises as `open_many` does."""
        return self.open_many(account, [(associated, sealed)])[0]

    def seal_many(self, account: str, contents: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Seal (associated, plaintext) pairs under an account's key. The same pair gives the same bytes.

        Returns:
            For each pair: a version byte, the nonce (12 bytes), and AES-256-GCM ciphertext with tag.

        Raises:
            InvalidInputError: There is no such account.
            ErasedError: Its key was destroyed.
        """
        keys = self._keys_of(account)
        return [keys.seal(associated, plaintext) for associated, plaintext in contents]

    def open_many(self, account: str, contents: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Open (associated, sealed) pairs.

        Raises:
            ProofError: A content was changed, or belongs to another record.
            ErasedError: The account's key was destroyed.
        """
        keys = self._keys_of(account)
        return [keys.open(associated, sealed) for associated, sealed in contents]

    def _keys_of(self, account: str) -> _Keys:
        self._drop_what_was_destroyed()
        with self._lock:
            if account not in self._keys:
                found = self._one("SELECT wrapped FROM accounts WHERE id = ?", account)
                if found is None:
                    msg = f"There is no account {account!r}, so nothing is sealed for it. Check the id."
                    raise InvalidInputError(msg)
                if found[0] is None:
                    msg = f"The account {account} was erased. What its key sealed cannot be read by anyone any more."
                    raise ErasedError(msg)
                self._keys[account] = _Keys.of(self._unwrap(found[0], account))
            return self._keys[account]

    def _unwrap(self, wrapped: bytes, whose: str) -> bytes:
        try:
            return aes_key_unwrap(self._master, wrapped)
        except (InvalidUnwrap, ValueError) as error:
            msg = f"The master key does not open the key of {whose}: one of the two was changed. Restore master.key, "
            msg += "or parties.db, from the backup of this very workspace."
            raise BackendError(msg) from error

    # --- destroying ---

    def destroy_account_key(self, account: str) -> None:
        """Destroy an account's data key. Nothing undoes it; its name stays, so that the ledger can be read.

        Raises:
            InvalidInputError: There is no such account.
            ConflictError: The key is destroyed, but its old bytes are not wiped yet, since another process reads.
        """
        self.account(account)
        with self._destroying():
            self._db.execute("UPDATE accounts SET wrapped = NULL WHERE id = ?", (account,))

    def destroy_person(self, person: str) -> None:
        """Destroy a person's key, names and handles: the pseudonym in the ledger stands for nobody any more.

        Raises:
            InvalidInputError: There is no such person.
            ErasedError: They were erased before.
            ConflictError: All is destroyed, but the old bytes are not wiped yet, since another process reads.
        """
        self.person(person)
        with self._destroying():
            handles = self._db.execute("SELECT account, handle FROM handles WHERE person = ?", (person,)).fetchall()
            marks = [self._mark(person), *(self._mark_of_handle(*handle) for handle in handles)]
            self._db.execute("DELETE FROM people WHERE id = ?", (person,))
            self._db.execute("DELETE FROM handles WHERE person = ?", (person,))
            self._db.executemany("INSERT OR IGNORE INTO destroyed VALUES (?)", ((mark,) for mark in sorted(marks)))

    @contextmanager
    def _destroying(self) -> Iterator[None]:
        with self._lock:
            with self._writing():
                yield
                self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (_STALE, b""))
            self._keys.clear()
            self._people.clear()
            self._by_id.clear()
            try:
                wiped = self._wipe()
            except sqlite3.Error:
                wiped = False
        if not wiped:
            msg = "It is destroyed, but old bytes still lie in parties.db or its log, since another process reads them "
            msg += "or the disk is full. They are wiped when the workspace is next opened: close the others, then open."
            raise ConflictError(msg)

    def _wipe(self) -> bool:
        """Write the file anew and empty its write-ahead log; tell whether that was possible.

        `secure_delete` alone is not enough: when SQLite splits a page, what moved to the new page may stay behind in
        the gap of the old one, where no later deletion finds it.
        """
        self._db.execute("VACUUM")
        if self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            return False
        self._db.execute("DELETE FROM state WHERE name = ?", (_STALE,))
        return True

    def derived_secret(self, use: str) -> bytes:
        """Return 32 secret bytes for one use, that follow from the master key and tell nothing of it."""
        return hmac.digest(self._master, b"volition/derived/" + use.encode(), "sha256")

    def _mark(self, person: str) -> str:
        """Return the mark that keeps an erased id from coming back; without the master key it tells nothing."""
        return hmac.digest(self._master, b"volition/erased/" + person.encode(), "sha256").hex()

    def _mark_of_handle(self, account: str, folded: str) -> str:
        """Return the mark that keeps a handle of somebody erased from making a guest of them anew."""
        named = json.dumps([account, folded]).encode()
        return hmac.digest(self._master, b"volition/erased-handle/" + named, "sha256").hex()

    def _drop_what_was_destroyed(self) -> None:
        """Drop what is held in memory once another process has written: it may have destroyed a key."""
        with self._lock:
            version = self._one("PRAGMA data_version")[0]
            if version != self._seen_version:
                self._keys.clear()
                self._people.clear()
                self._by_id.clear()
                self._seen_version = version

    # --- the file ---

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                msg = f"parties.db could not be written: {error}. Nothing was changed; free space, or try again."
                raise BackendError(msg) from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _refuse_known(self, table: str, identity: str) -> None:
        if self._db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (identity,)).fetchone():  # noqa: S608 - our own names
            msg = f"{identity!r} is there already. Choose another id."
            raise ConflictError(msg)

    def _all(self, sql: str, *values: Any) -> list[Any]:  # noqa: ANN401 - what SQLite takes
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                msg = f"parties.db could not be read: {error}."
                raise BackendError(msg) from error

    def _one(self, sql: str, *values: Any) -> Any:  # noqa: ANN401 - what SQLite gives
        return next(iter(self._all(sql, *values)), None)

    def _person(self, sql: str, *values: Any) -> Person | None:  # noqa: ANN401 - what SQLite takes
        found = self._one(sql, *values)
        return None if found is None else _to_person(found)


def _to_person(found: Sequence[Any]) -> Person:
    identity, account, name, _, pseudonym, aliases, emails = found
    return Person(
        id=identity,
        account=account,
        name=name,
        aliases=tuple(json.loads(aliases)),
        emails=tuple(json.loads(emails)),
        pseudonym=pseudonym,
    )


def _fold(handle: str) -> str:
    """Make one form of a handle: whatever its case, however its accents are composed, however its words are spaced."""
    _check_text(handle)
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", handle).casefold())
    return " ".join(folded.split())


def _unopened(folder: Path, error: sqlite3.Error) -> BackendError:
    return BackendError(f"{folder / 'parties.db'} cannot be opened: {error}. Restore it from your backup.")


def _check_text(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        msg = f"{text!r} holds half of a character, so it cannot be kept as text. Mend it in the source."
        raise InvalidInputError(msg)


def _check_id(identity: str, what: str) -> None:
    _check_text(identity)
    if not identity.strip() or identity != identity.strip() or any(ord(character) < ord(" ") for character in identity):
        msg = f"{identity!r} cannot be the id of a {what}: it is empty, or has control characters or spaces around it."
        raise InvalidInputError(msg)


def write_secret(path: Path) -> None:
    """Make a secret of 32 random bytes in a file that nobody but its owner can read, from its first byte on.

    Raises:
        FileExistsError: There is one already; it is left as it is.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)  # the name must last as well, before anything is wrapped under the key
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_secret(path: Path) -> bytes:
    """Return the 32 bytes that `write_secret` made.

    Raises:
        BackendError: The file cannot be read, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_LONGEST_SECRET)
        secret = base64.b64decode(text.strip(), validate=True)
    except (OSError, ValueError) as error:
        msg = f"The key {path} cannot be read: {error}. Restore it from your backup; nothing opens without it."
        raise BackendError(msg) from error
    if mode & 0o077:
        msg = f"Others can read the key {path}. Run `chmod 600 {path}`, and consider it known to them."
        raise BackendError(msg)
    if len(secret) != _KEY_BYTES:
        msg = f"The key {path} has {len(secret)} bytes instead of {_KEY_BYTES}. Restore it from your backup."
        raise BackendError(msg)
    return secret
