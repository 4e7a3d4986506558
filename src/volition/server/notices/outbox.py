"""The outbox: mails to be sent, and what became of the others. It is kept in `web.db`, so a killed server loses none.

- A mail is queued once: under its key there is one, however often it is asked for. Its Message-ID is made with it and
  stays, so that a repeat, were there ever one, is known as the same mail wherever it arrives.
- What was sent or refused keeps the mail server's answer and loses its text: a mail may hold a link to sign in.
- What cannot be delivered now is tried again, later and later, and given up after five days (RFC 5321, 4.5.4.1).
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from volition.server.auth.database import WebDatabase

_MINUTE_US: Final = 60 * 1_000_000
_LONGEST_US: Final = 6 * 60 * _MINUTE_US
GIVEN_UP_US: Final = 5 * 24 * 60 * _MINUTE_US
"""For how long a mail is tried, microseconds."""

_CURSOR: Final = "mail cursor"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS mails (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, message_id TEXT NOT NULL UNIQUE,
                                  kind TEXT NOT NULL, about TEXT NOT NULL, account TEXT NOT NULL, person TEXT,
                                  user TEXT, address TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL,
                                  queued_us INTEGER NOT NULL, next_us INTEGER NOT NULL, tries INTEGER NOT NULL,
                                  state TEXT NOT NULL, answer TEXT NOT NULL, ended_us INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS mails_due ON mails (state, next_us);
"""


class MailKind(StrEnum):
    """Why a mail is sent."""

    TERMS = "terms"
    INVITATION = "invitation"
    RECEIVED = "received"
    DONE = "done"
    ENDING = "ending"
    DUE = "due"


class MailState(StrEnum):
    """What became of a mail."""

    WAITING = "waiting"
    SENT = "sent"
    REFUSED = "refused"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail that is to be queued.

    Attributes:
        key: What it is about and for whom: under one key there is one mail.
        kind: Why it is sent.
        about: The terms, the number of the ledger entry, or the day, that it is about.
        account: The account that it concerns.
        person: The person who gets it; none for an administrator who is none.
        user: The user who gets it; none where nobody signs in as that person.
        address: Where it goes.
        subject: Its subject.
        body: Its text.
    """

    key: str
    kind: MailKind
    about: str
    account: str
    person: str | None
    user: str | None
    address: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMail:
    """A mail that waits.

    Attributes:
        id: Its number.
        message_id: Its Message-ID.
        address: Where it goes.
        subject: Its subject.
        body: Its text.
        queued_us: Since when it waits.
        tries: How often it was tried.
    """

    id: int
    message_id: str
    address: str
    subject: str
    body: str
    queued_us: int
    tries: int


def new_message_id(domain: str) -> str:
    """Return a Message-ID that no other mail has (RFC 5322, 3.6.4)."""
    return f"<{secrets.token_hex(16)}@{domain}>"


class Outbox:
    """The mails of one server. It may be used from several threads."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep them in `database`."""
        self._database = database
        database.create(_SCHEMA)
        database.forgetters.append(self._forget)

    def _forget(self, names: Collection[str]) -> None:
        """Drop every mail to somebody who is erased, by the names that they go by; what waits is not sent."""
        with self._database.writing() as db:
            for name in names:
                db.execute("DELETE FROM mails WHERE person = ? OR user = ? OR address = ?", (name, name, name))

    @property
    def cursor(self) -> int | None:
        """Up to which ledger entry (not included) mails were written; none before the first time."""
        found = self._database.state(_CURSOR)
        return None if found is None else int(found)

    def queue(self, letters: Sequence[Letter], *, cursor: int, domain: str) -> int:
        """Queue mails, and note up to which ledger entry (not included) that is all: both, or neither.

        Returns:
            How many were not queued before.
        """
        now_us = self._database.clock()
        with self._database.writing() as db:
            before = db.total_changes
            db.executemany(
                "INSERT OR IGNORE INTO mails (key, message_id, kind, about, account, person, user, address, subject, "
                "body, queued_us, next_us, tries, state, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, '')",
                [
                    (
                        one.key,
                        new_message_id(domain),
                        one.kind.value,
                        one.about,
                        one.account,
                        one.person,
                        one.user,
                        one.address,
                        one.subject,
                        one.body,
                        now_us,
                        now_us,
                        MailState.WAITING.value,
                    )
                    for one in letters
                ],
            )
            queued = db.total_changes - before
            self._database.set_state(_CURSOR, str(cursor).encode())
        return queued

    def keep(self, kind: MailKind, keys: Collection[str]) -> None:
        """Drop the mails of a kind that wait and are not of some keys: what they say is not so any more."""
        with self._database.writing() as db:
            waiting = db.execute("SELECT id, key FROM mails WHERE kind = ? AND state = ?", (kind, MailState.WAITING))
            for number, key in waiting.fetchall():
                if key not in keys:
                    db.execute("DELETE FROM mails WHERE id = ?", (number,))

    def has_waiting(self, kind: MailKind) -> bool:
        """Say whether any mail of a kind waits."""
        sql = "SELECT 1 FROM mails WHERE kind = ? AND state = ? LIMIT 1"
        return bool(self._database.rows(sql, kind.value, MailState.WAITING.value))

    def due(self, *, most: int) -> list[QueuedMail]:
        """Return the mails that are to be tried now, those that wait longest first."""
        rows = self._database.rows(
            "SELECT id, message_id, address, subject, body, queued_us, tries FROM mails "
            "WHERE state = ? AND next_us <= ? ORDER BY next_us, id LIMIT ?",
            MailState.WAITING.value,
            self._database.clock(),
            most,
        )
        names = ("id", "message_id", "address", "subject", "body", "queued_us", "tries")
        return [QueuedMail(**dict(zip(names, row, strict=True))) for row in rows]

    def is_waiting(self, mail: QueuedMail) -> bool:
        """Say whether a mail is still there to be sent: whoever it is for may have been erased meanwhile."""
        found = self._database.rows("SELECT state FROM mails WHERE id = ?", mail.id)
        return bool(found) and found[0][0] == MailState.WAITING.value

    def end(self, mail: QueuedMail, state: MailState, answer: str) -> None:
        """Note that a mail was sent, refused or given up, with the mail server's answer; its text is dropped."""
        with self._database.writing() as db:
            db.execute(
                "UPDATE mails SET state = ?, answer = ?, ended_us = ?, tries = tries + 1, body = '' WHERE id = ?",
                (state.value, answer, self._database.clock(), mail.id),
            )

    def postpone(self, mail: QueuedMail, answer: str) -> None:
        """Note that a mail could not be delivered now; it is tried again later, or given up."""
        now_us = self._database.clock()
        if now_us - mail.queued_us >= GIVEN_UP_US:
            self.end(mail, MailState.GIVEN_UP, answer)
            return
        wait_us = min(_MINUTE_US << min(mail.tries, 16), _LONGEST_US)
        with self._database.writing() as db:
            db.execute(
                "UPDATE mails SET tries = tries + 1, next_us = ?, answer = ? WHERE id = ?",
                (now_us + wait_us, answer, mail.id),
            )

    def counts(self) -> Mapping[MailState, int]:
        """Return how many mails there are in each state."""
        found = dict(self._database.rows("SELECT state, count(*) FROM mails GROUP BY state"))
        return {state: found.get(state.value, 0) for state in MailState}

    def of_terms(self) -> Mapping[tuple[str, str], Mapping[MailState, int]]:
        """Return by (account, terms) to how many people and administrators its notice was mailed, by state."""
        found: dict[tuple[str, str], dict[MailState, int]] = {}
        for account, terms, state, number in self._database.rows(
            "SELECT account, about, state, count(DISTINCT coalesce(person, user)) FROM mails WHERE kind = ? "
            "GROUP BY account, about, state",
            MailKind.TERMS.value,
        ):
            found.setdefault((account, terms), {})[MailState(state)] = number
        return found

    def not_delivered(self, *, most: int) -> list[tuple[str, MailState, str, int]]:
        """Return mails that were refused, given up, or could not be delivered yet, the newest first.

        Returns:
            The kind, the state, the mail server's last answer, and how often it was tried; never to whom.
        """
        return [
            (kind, MailState(state), answer, tries)
            for kind, state, answer, tries in self._database.rows(
                "SELECT kind, state, answer, tries FROM mails WHERE state IN (?, ?) OR (state = ? AND answer <> '') "
                "ORDER BY id DESC LIMIT ?",
                MailState.REFUSED.value,
                MailState.GIVEN_UP.value,
                MailState.WAITING.value,
                most,
            )
        ]
