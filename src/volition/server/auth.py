"""Who may come in: users and their roles, passwords, sessions, API tokens and guests' links. All in `web.db`.

- A password is kept as an argon2id hash; few are computed at a time, since each takes 64 MiB. A wrong name takes as
  long as a wrong password.
- A session, a token and a link are known here by their SHA-256 alone, so whoever reads the file cannot use them. Each
  ends by itself; a session also ends when nobody used it for a while.
- A token has its own roles and scopes, never more than its owner's at the moment it is used.
- A guest comes in by a link that is signed, for one person and one account, without a user of their own before.

What a person may do with data is decided by the gate alone; here it is only told who asks.

>>> access = Access.open(folder)                                                     # doctest: +SKIP
>>> access.add_user("ada", password="...", roles=[Role.PERSON], account="helio", person="ada")   # doctest: +SKIP
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from volition import canonical
from volition.errors import BackendError, ConflictError, InvalidInputError, RefusedError

_SECOND_US: Final = 1_000_000
SESSION_US: Final = 12 * 3600 * _SECOND_US
"""A session ends this long after it was used last, microseconds."""

LONGEST_SESSION_US: Final = 30 * 24 * 3600 * _SECOND_US
"""And never lasts longer than this."""

LINK_US: Final = 30 * 24 * 3600 * _SECOND_US
TOKEN_DAYS: Final = 90
KEPT_ANSWERS_US: Final = 24 * 3600 * _SECOND_US
"""How long the answer to a write is kept under its idempotency key."""

SHORTEST_PASSWORD: Final = 12
_LONGEST_PASSWORD: Final = 1024
_AT_ONCE: Final = 2  # argon2 hashes: 64 MiB and about a fifth of a second each
_TOKEN_PREFIX: Final = "vol_"  # noqa: S105 - not a secret: by it a leaked token is found
_GUEST: Final = "guest:"
_SEEN_EVERY_US: Final = 60 * _SECOND_US

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, name TEXT NOT NULL, password TEXT, roles TEXT NOT NULL,
                                  account TEXT, person TEXT, subject TEXT UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS sessions (hash BLOB PRIMARY KEY, user TEXT NOT NULL, began_us INTEGER NOT NULL,
                                     seen_us INTEGER NOT NULL, notice TEXT) STRICT;
CREATE TABLE IF NOT EXISTS tokens (hash BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL,
                                   name TEXT NOT NULL, roles TEXT NOT NULL, scopes TEXT NOT NULL,
                                   began_us INTEGER NOT NULL, ends_us INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS answers (user TEXT NOT NULL, key TEXT NOT NULL, asked TEXT NOT NULL, at_us INTEGER NOT NULL,
                                    status INTEGER, type TEXT, body BLOB, PRIMARY KEY (user, key)) STRICT;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
"""


class Role(StrEnum):
    """What somebody comes in as."""

    PERSON = "person"
    ADMINISTRATOR = "administrator"
    ENGINEER = "engineer"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class Scope(StrEnum):
    """What an API token is good for, within its roles."""

    READ = "read"
    MAY = "may"
    DECIDE = "decide"
    COLLECT = "collect"
    TRAIN = "train"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Somebody who came in.

    Attributes:
        user: Id of the user.
        name: Name as shown.
        roles: What they come in as.
        scopes: What their token is good for; everything with a session.
        account: The account that they belong to; none for those who run the service.
        person: The person that they are, by id; none likewise.
    """

    user: str
    name: str
    roles: frozenset[Role]
    scopes: frozenset[Scope] = frozenset(Scope)
    account: str | None = None
    person: str | None = None

    @property
    def is_guest(self) -> bool:
        """Whether they came by a guest's link, without a user of their own before."""
        return self.user.startswith(_GUEST)

    def is_any(self, roles: Iterable[Role]) -> bool:
        """Tell whether they come in as one of these."""
        return not self.roles.isdisjoint(roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token as it is listed; the secret is shown once, when it is made.

    Attributes:
        id: By what it is named.
        user: Whose it is.
        name: What it is for, in the owner's words.
        roles: As what it comes in.
        scopes: What it is good for.
        ends_us: When it ends, microseconds since the Unix epoch, UTC.
    """

    id: str
    user: str
    name: str
    roles: tuple[Role, ...]
    scopes: tuple[Scope, ...]
    ends_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The answer that a write got under its idempotency key; `status` is none while it is being done."""

    asked: str
    status: int | None
    type: str
    body: bytes


class Access:
    """Who may come in, kept in `web.db` of a workspace's folder. It may be used from several threads."""

    def __init__(self, path: Path, *, clock: Callable[[], int] = canonical.now_us) -> None:
        """Open the file, or make it with mode 0600.

        Raises:
            BackendError: It cannot be opened or made.
        """
        self._path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._of_tokens: dict[str, tuple[Who, int]] = {}
        self._stamp: tuple[int, int] = (-1, -1)  # of the file, when `_of_tokens` was last right
        self._hashing = threading.Semaphore(_AT_ONCE)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)
            self._db.execute("INSERT OR IGNORE INTO state VALUES ('link-key', ?)", (secrets.token_bytes(32),))
        except (OSError, sqlite3.Error) as error:
            raise BackendError(f"{path} cannot be opened: {error}. Check that this user may write there.") from error

    @classmethod
    def open(cls, folder: Path, *, clock: Callable[[], int] = canonical.now_us) -> Self:
        """Open the file of a workspace's folder. Raises as the constructor does."""
        return cls(folder / "web.db", clock=clock)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # --- users ---

    def add_user(  # noqa: PLR0913 - what a user has
        self,
        user: str,
        *,
        roles: Sequence[Role],
        name: str | None = None,
        password: str | None = None,
        account: str | None = None,
        person: str | None = None,
        subject: str | None = None,
    ) -> Who:
        """Add a user.

        Args:
            user: Id, by which they sign in.
            roles: What they come in as.
            name: Name as shown; by default the id.
            password: Theirs; none for one who comes in another way.
            account: The account that they belong to; a person and an administrator need one.
            person: The person that they are; a person needs one.
            subject: Who they are to the OpenID provider: "ISSUER SUBJECT".

        Raises:
            InvalidInputError: A role lacks what it needs, or the password is too short.
            ConflictError: There is such a user already.
        """
        chosen = frozenset(Role(role) for role in roles)
        if not user or not user.isprintable() or len(user) > 200:
            raise InvalidInputError("A user's id is up to 200 printable characters.")
        if not chosen:
            raise InvalidInputError(f"{user} comes in as nobody. Name a role: {', '.join(Role)}.")
        if Role.PERSON in chosen and (person is None or account is None):
            raise InvalidInputError("As a person, a user needs to be one: name the account and the person.")
        if Role.ADMINISTRATOR in chosen and account is None:
            raise InvalidInputError("An administrator needs an account to administer. Name it.")
        hashed = None if password is None else self._hash(password)
        row = (user, name or user, hashed, json.dumps(sorted(chosen)), account, person, subject)
        with self._writing() as db:
            if db.execute("SELECT 1 FROM users WHERE id = ? OR subject = ?", (user, subject)).fetchone():
                raise ConflictError(f"There is a user {user!r} already. Choose another id, or change the password.")
            db.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return Who(user=user, name=name or user, roles=chosen, account=account, person=person)

    def remove_user(self, user: str) -> None:
        """Remove a user, and end their sessions and tokens.

        Raises:
            InvalidInputError: There is none.
        """
        with self._writing() as db:
            if not db.execute("DELETE FROM users WHERE id = ?", (user,)).rowcount:
                raise InvalidInputError(f"There is no user {user!r}. `volition user list` lists them.")
            db.execute("DELETE FROM sessions WHERE user = ?", (user,))
            db.execute("DELETE FROM tokens WHERE user = ?", (user,))

    def remove_person(self, person: str) -> None:
        """Remove every user who is a person, and end their sessions and tokens: when the person was erased."""
        for who in self.users():
            if who.person == person:
                self.remove_user(who.user)

    def set_password(self, user: str, password: str) -> None:
        """Change a user's password, and end their sessions.

        Raises:
            InvalidInputError: There is no such user, or the password is too short.
        """
        hashed = self._hash(password)
        with self._writing() as db:
            if not db.execute("UPDATE users SET password = ? WHERE id = ?", (hashed, user)).rowcount:
                raise InvalidInputError(f"There is no user {user!r}. `volition user list` lists them.")
            db.execute("DELETE FROM sessions WHERE user = ?", (user,))

    def users(self) -> list[Who]:
        """Return every user, by id."""
        return [_who(row) for row in self._all("SELECT id, name, roles, account, person FROM users ORDER BY id")]

    def user(self, user: str) -> Who | None:
        """Return a user by id; none if there is none."""
        found = self._all("SELECT id, name, roles, account, person FROM users WHERE id = ?", user)
        return _who(found[0]) if found else None

    def user_of_subject(self, subject: str) -> Who | None:
        """Return whom an OpenID provider knows as "ISSUER SUBJECT"; none if nobody here is."""
        found = self._all("SELECT id, name, roles, account, person FROM users WHERE subject = ?", subject)
        return _who(found[0]) if found else None

    def check_password(self, user: str, password: str) -> Who:
        """Return the user whose password this is.

        Raises:
            RefusedError: There is no such user, or it is another's; which of both is not told.
        """
        from argon2 import PasswordHasher  # noqa: PLC0415 - only who signs in pays for it
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

        found = self._all("SELECT password FROM users WHERE id = ?", user)
        kept = found[0][0] if found and found[0][0] else self._nobodys_hash()
        try:
            with self._hashing:
                right: bool = PasswordHasher().verify(kept, password[:_LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            right = False
        who = self.user(user)
        if not right or who is None or not found or not found[0][0]:
            raise RefusedError("That name and password do not go together. Check both, then try again.")
        return who

    def _hash(self, password: str) -> str:
        from argon2 import PasswordHasher  # noqa: PLC0415 - only who signs in pays for it

        if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
            raise InvalidInputError(f"A password has {SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters.")
        with self._hashing:
            return str(PasswordHasher().hash(password))

    def _nobodys_hash(self) -> str:
        """Return a hash that no password fits, so that a wrong name takes as long as a wrong password."""
        found = self._all("SELECT value FROM state WHERE name = 'nobody'")
        if found:
            return str(found[0][0].decode())
        hashed = self._hash(secrets.token_urlsafe(32))
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO state VALUES ('nobody', ?)", (hashed.encode(),))
        return hashed

    # --- sessions ---

    def begin_session(self, user: str) -> str:
        """Begin a session of a user; return its secret, for the cookie."""
        secret = secrets.token_urlsafe(32)
        now_us = self._clock()
        with self._writing() as db:
            oldest_us = now_us - LONGEST_SESSION_US
            db.execute("DELETE FROM sessions WHERE began_us < ? OR seen_us < ?", (oldest_us, now_us - SESSION_US))
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, NULL)", (_digest(secret), user, now_us, now_us))
        return secret

    def of_session(self, secret: str) -> Who | None:
        """Return whose session this is; none if it ended or never was."""
        found = self._all(
            "SELECT users.id, users.name, users.roles, users.account, users.person, began_us, seen_us FROM sessions "
            "JOIN users ON users.id = sessions.user WHERE hash = ?",
            _digest(secret),
        )
        if not found:
            return None
        began_us, seen_us = found[0][5:]
        now_us = self._clock()
        if now_us - began_us > LONGEST_SESSION_US or now_us - seen_us > SESSION_US:
            self.end_session(secret)
            return None
        if now_us - seen_us > _SEEN_EVERY_US:
            with self._writing() as db:
                db.execute("UPDATE sessions SET seen_us = ? WHERE hash = ?", (now_us, _digest(secret)))
        return _who(found[0][:5])

    def end_session(self, secret: str) -> None:
        """End a session."""
        with self._writing() as db:
            db.execute("DELETE FROM sessions WHERE hash = ?", (_digest(secret),))

    def leave_notice(self, secret: str, notice: Any) -> None:  # noqa: ANN401 - any JSON value
        """Leave something to be told on the session's next page."""
        with self._writing() as db:
            db.execute("UPDATE sessions SET notice = ? WHERE hash = ?", (json.dumps(notice), _digest(secret)))

    def take_notice(self, secret: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return what was left to be told, once; none if nothing was."""
        [notice] = [row[0] for row in self._all("SELECT notice FROM sessions WHERE hash = ?", _digest(secret))] or [
            None
        ]
        if notice is None:
            return None
        with self._writing() as db:
            db.execute("UPDATE sessions SET notice = NULL WHERE hash = ?", (_digest(secret),))
        return json.loads(notice)

    # --- guests, and what travels through other people's hands ---

    def sign(self, what: str, told: Mapping[str, Any], *, lasts_us: int) -> str:
        """Return a text that says something, and that it was said here; `what` keeps one use apart from another."""
        said = canonical.canonical_json({**told, "what": what, "ends": self._clock() + lasts_us})
        return _base64(said) + "." + _base64(hmac.digest(self._link_key(), said, "sha256"))

    def read_signed(self, what: str, text: str) -> dict[str, Any]:
        """Return what a text of `sign` says.

        Raises:
            RefusedError: It was changed, says something else, or has ended.
        """
        said, _, signature = text.partition(".")
        try:
            body = _unbase64(said)
            right = hmac.compare_digest(_unbase64(signature), hmac.digest(self._link_key(), body, "sha256"))
            told: dict[str, Any] = json.loads(body) if right else {}
        except ValueError:
            told = {}
        if told.get("what") != what:
            raise RefusedError("This link is not whole. Open it just as you got it, or ask for a new one.")
        if told["ends"] < self._clock():
            raise RefusedError("This link has ended. Ask whoever sent it for a new one.")
        return told

    def guest_link(self, *, person: str, account: str, lasts_us: int = LINK_US) -> str:
        """Return what stands at the end of a guest's link: who it is for and until when, signed."""
        return self.sign("guest", {"person": person, "account": account}, lasts_us=lasts_us)

    def of_link(self, link: str) -> Who:
        """Return the guest whom a link is for; from the first time on they are a user.

        Raises:
            RefusedError: The link was changed, or has ended.
        """
        told = self.read_signed("guest", link)
        user = f"{_GUEST}{told['account']}:{told['person']}"
        known = self.user(user)
        if known is not None:
            return known
        return self.add_user(user, roles=[Role.PERSON], name="Guest", account=told["account"], person=told["person"])

    def _link_key(self) -> bytes:
        [(key,)] = self._all("SELECT value FROM state WHERE name = 'link-key'")
        return bytes(key)

    # --- API tokens ---

    def issue_token(
        self, user: str, *, name: str, roles: Sequence[Role], scopes: Sequence[Scope], days: int = TOKEN_DAYS
    ) -> tuple[Token, str]:
        """Issue a token for a user; return how it is listed, and its secret, which is told this once.

        Raises:
            InvalidInputError: There is no such user, it asks for more than the user has, or lasts no days.
        """
        owner = self.user(user)
        if owner is None:
            raise InvalidInputError(f"There is no user {user!r}. `volition user list` lists them.")
        if not roles or not scopes or not frozenset(roles) <= owner.roles:
            raise InvalidInputError(
                f"A token of {user} needs a scope, and roles among: {', '.join(sorted(owner.roles))}."
            )
        if not 1 <= days <= 366:
            raise InvalidInputError("A token lasts 1 to 366 days.")
        secret = _TOKEN_PREFIX + secrets.token_urlsafe(32)
        now_us = self._clock()
        token = Token(
            id=secrets.token_hex(6),
            user=user,
            name=name,
            roles=tuple(sorted(set(roles))),
            scopes=tuple(sorted(set(scopes))),
            ends_us=now_us + days * 24 * 3600 * _SECOND_US,
        )
        row = (_digest(secret), token.id, user, name, json.dumps(token.roles), json.dumps(token.scopes), now_us)
        with self._writing() as db:
            db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, token.ends_us))
        return token, secret

    def tokens(self, user: str | None = None) -> list[Token]:
        """Return the tokens of a user, or of all, that have not ended."""
        rows = self._all(
            "SELECT id, user, name, roles, scopes, ends_us FROM tokens WHERE ends_us > ? AND (? IS NULL OR user = ?) "
            "ORDER BY began_us, id",
            self._clock(),
            user,
            user,
        )
        return [_token(row) for row in rows]

    def end_token(self, token: str, *, user: str | None = None) -> None:
        """End a token by its id; with `user`, only one of theirs.

        Raises:
            InvalidInputError: There is none.
        """
        with self._writing() as db:
            ended = db.execute("DELETE FROM tokens WHERE id = ? AND (? IS NULL OR user = ?)", (token, user, user))
            if not ended.rowcount:
                raise InvalidInputError(f"There is no token {token!r}.")

    def of_token(self, secret: str) -> Who | None:
        """Return who comes in by a token; none if it ended or never was.

        What was found is remembered for as long as nobody, of any process, has changed the file.
        """
        with self._lock:
            stamp = (self._all("PRAGMA data_version")[0][0], self._db.total_changes)
            if stamp != self._stamp:
                self._stamp = stamp
                self._of_tokens.clear()
            known = self._of_tokens.get(secret)
        if known is None:
            known = self._find_token(secret)
            if known is None:
                return None
            with self._lock:
                if stamp == self._stamp:
                    self._of_tokens[secret] = known
        who, ends_us = known
        return who if self._clock() < ends_us else None

    def _find_token(self, secret: str) -> tuple[Who, int] | None:
        found = self._all("SELECT id, user, name, roles, scopes, ends_us FROM tokens WHERE hash = ?", _digest(secret))
        if not found:
            return None
        token = _token(found[0])
        owner = self.user(token.user)
        if owner is None:
            return None
        who = Who(
            user=owner.user,
            name=owner.name,
            roles=frozenset(token.roles) & owner.roles,
            scopes=frozenset(token.scopes),
            account=owner.account,
            person=owner.person,
        )
        return who, token.ends_us

    # --- idempotency ---

    def begin_write(self, user: str, key: str, asked: str) -> Kept | None:
        """Begin a write under an idempotency key; return what it was answered before, if it was begun before.

        Args:
            user: Who asks.
            key: The key.
            asked: Digest of the request, so that another one under the same key is noticed.
        """
        with self._writing() as db:
            db.execute("DELETE FROM answers WHERE at_us < ?", (self._clock() - KEPT_ANSWERS_US,))
            found = db.execute(
                "SELECT asked, status, type, body FROM answers WHERE user = ? AND key = ?", (user, key)
            ).fetchone()
            if found is not None:
                return Kept(asked=found[0], status=found[1], type=found[2] or "", body=found[3] or b"")
            row = (user, key, asked, self._clock())
            db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, NULL, NULL, NULL)", row)
        return None

    def end_write(self, user: str, key: str, answer: Kept | None) -> None:
        """Keep the answer of a write; none where it failed and may be tried again."""
        with self._writing() as db:
            if answer is None:
                db.execute("DELETE FROM answers WHERE user = ? AND key = ?", (user, key))
            else:
                row = (answer.status, answer.type, answer.body, user, key)
                db.execute("UPDATE answers SET status = ?, type = ?, body = ? WHERE user = ? AND key = ?", row)

    # --- what others were told ---

    def told(self, url: str) -> int | None:
        """Return up to which ledger entry (not included) a webhook was told; none if it is new."""
        found = self._all("SELECT value FROM state WHERE name = ?", f"told {url}")
        return int(found[0][0]) if found else None

    def set_told(self, url: str, seq: int) -> None:
        """Keep up to which ledger entry (not included) a webhook was told."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (f"told {url}", str(seq).encode()))

    # --- the file ---

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise BackendError(f"{self._path} cannot be written: {error}. Free space, then try again.") from error

    def _all(self, sql: str, *values: Any) -> list[Any]:  # noqa: ANN401 - what SQLite takes
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise BackendError(f"{self._path} cannot be read: {error}. Check the file.") from error


def _who(row: Sequence[Any]) -> Who:
    user, name, roles, account, person = row
    return Who(user=user, name=name, roles=frozenset(map(Role, json.loads(roles))), account=account, person=person)


def _token(row: Sequence[Any]) -> Token:
    identity, user, name, roles, scopes, ends_us = row
    return Token(
        id=identity,
        user=user,
        name=name,
        roles=tuple(map(Role, json.loads(roles))),
        scopes=tuple(map(Scope, json.loads(scopes))),
        ends_us=ends_us,
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
