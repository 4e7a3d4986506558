"""Signed texts that travel through other people's hands (HMAC-SHA256), and guests' links, which are made of them."""

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition import canonical
from volition.consent.parties import Parties
from volition.errors import InvalidInputError, RefusedError
from volition.server.auth.database import WebDatabase
from volition.server.auth.principal import GUEST, Principal, Role
from volition.server.auth.sessions import Sessions
from volition.server.auth.users import Users

LINK_US: Final = 30 * 24 * 3600 * 1_000_000
"""How long a guest's link lasts, microseconds."""

_KEY: Final = "link-key"
_GUEST: Final = "guest"
_ERASED: Final = "CREATE TABLE IF NOT EXISTS revoked (person BLOB PRIMARY KEY) STRICT;"
"""Whose links are revoked for good, since they were erased: a keyed digest of the person's id, which names nobody."""

_LINKS: Final = """
CREATE TABLE IF NOT EXISTS guest_links (id TEXT PRIMARY KEY, account TEXT NOT NULL, person TEXT NOT NULL,
                                        made_us INTEGER NOT NULL, ends_us INTEGER NOT NULL, revoked_us INTEGER,
                                        used_us INTEGER) STRICT;
"""
_COLUMNS: Final = "id, account, person, made_us, ends_us, revoked_us, used_us"
_INSERT: Final = "INSERT INTO guest_links (id, account, person, made_us, ends_us) VALUES (?, ?, ?, ?, ?)"


def check_guest(who: Principal, parties: Parties) -> None:
    """Refuse a guest who was recognised as somebody registered since: whoever has the link is not that person for sure.

    Raises:
        RefusedError: They were merged into a user of an account.
    """
    if who.is_guest and who.person is not None:
        known = parties.person(who.person)
        if known.id != who.person and not known.is_guest:
            raise RefusedError(
                "This link was made for a guest who was recognised as a registered person since, so it opens nothing "
                "any more. Sign in as that person."
            )


@dataclass(frozen=True, slots=True)
class GuestLink:
    """A link by which a guest comes in.

    Attributes:
        id: Names it; it lets nobody in.
        account: The account whose guest they were.
        person: Who they are, by id.
        made_us: When it was made, microseconds since the Unix epoch, UTC.
        ends_us: When it expires.
        revoked_us: When it was revoked; none if it was not.
        used_us: When somebody last came in by it; none if nobody did.
    """

    id: str
    account: str
    person: str
    made_us: int
    ends_us: int
    revoked_us: int | None
    used_us: int | None

    def works(self, at_us: int) -> bool:
        """Return whether somebody can come in by it at an instant."""
        return self.revoked_us is None and at_us < self.ends_us


class Links:
    """Signs with a key of the server's own, and reads what it signed."""

    def __init__(self, database: WebDatabase, *, users: Users, sessions: Sessions) -> None:
        """Keep the key in `database`; a guest becomes one of `users`, and a link's `sessions` end with it."""
        self._database = database
        self._users = users
        self._sessions = sessions
        self._key = database.add_state(_KEY, secrets.token_bytes(32))
        database.create(_ERASED)
        database.create(_LINKS)

    def sign(self, what: str, content: Mapping[str, Any], *, lasts_us: int) -> str:
        """Return a text that holds `content` and proves that it comes from here; `what` keeps its uses apart."""
        said = canonical.canonical_json({**content, "what": what, "ends": self._database.clock() + lasts_us})
        return _base64(said) + "." + _base64(hmac.digest(self._key, said, "sha256"))

    def read(self, what: str, text: str) -> dict[str, Any]:
        """Return the content of a text of `sign`.

        Raises:
            RefusedError: It was changed, was signed for another use, or has expired.
        """
        said, _, signature = text.partition(".")
        try:
            body = _unbase64(said)
            is_right = hmac.compare_digest(_unbase64(signature), hmac.digest(self._key, body, "sha256"))
            content: dict[str, Any] = json.loads(body) if is_right else {}
        except ValueError:
            content = {}
        if content.get("what") != what:
            raise RefusedError(
                "This link is incomplete or was changed. Open it exactly as you got it, or ask for a new one."
            )
        if content["ends"] <= self._database.clock():
            raise RefusedError("This link has expired. Ask the person who sent it for a new one.")
        return content

    # --- guests' links ---

    def make_guest_link(self, *, person: str, account: str, lasts_us: int = LINK_US) -> str:
        """Make a guest's link, and return how its address ends. It is signed, and names nobody."""
        now_us = self._database.clock()
        link = secrets.token_hex(6)
        with self._database.writing() as db:
            db.execute(_INSERT, (link, account, person, now_us, now_us + lasts_us))
        return self.sign(_GUEST, {"id": link}, lasts_us=lasts_us)

    def guest_links(self, account: str | None = None) -> list[GuestLink]:
        """Return the guests' links of an account, or of all, the newest first; those included that work no more."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM guest_links WHERE (? IS NULL OR account = ?) "  # noqa: S608 - a constant
            "AND made_us < ends_us ORDER BY made_us DESC, id",  # the others say that an unlisted one was revoked
            account,
            account,
        )
        return [GuestLink(*row) for row in rows]

    def guest_link(self, link: str) -> GuestLink:
        """Return a guest's link by its id.

        Raises:
            InvalidInputError: There is none.
        """
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM guest_links WHERE id = ?", link)  # noqa: S608 - a constant
        if not rows:
            raise InvalidInputError(f"There is no guest's link {link!r}. `volition user links` lists them.")
        return GuestLink(*rows[0])

    def revoke(self, link: str) -> GuestLink:
        """Revoke a guest's link; the sessions that it began end at once. Raises as `guest_link` does."""
        with self._database.writing() as db:
            found = self.guest_link(link)
            now_us = self._database.clock()
            db.execute("UPDATE guest_links SET revoked_us = ? WHERE id = ? AND revoked_us IS NULL", (now_us, link))
            self._sessions.end_link(link, user=_user(found))
        return self.guest_link(link)

    def revoke_all(self, person: str, *, account: str) -> list[GuestLink]:
        """Revoke every link of a guest of an account, those included that an earlier version made and nobody opened."""
        now_us = self._database.clock()
        with self._database.writing() as db:
            old = self.digest("old", f"{account}:{person}").hex()
            db.execute(f"{_INSERT} ON CONFLICT DO NOTHING", (old, account, person, now_us, now_us))
            self.revoke(old)
            return [self.revoke(one.id) for one in self.guest_links(account) if one.person == person]

    def forget(self, person: str) -> None:
        """Revoke every link of a person who was erased, and forget that there were any."""
        with self._database.writing() as db:
            db.execute("INSERT OR IGNORE INTO revoked VALUES (?)", (self.digest("revoked", person),))
            db.execute("DELETE FROM guest_links WHERE person = ?", (person,))

    def open_guest_link(self, text: str) -> GuestLink:
        """Return the link that an address holds; nothing is changed by looking.

        Raises:
            RefusedError: It was changed, has expired, or was revoked.
        """
        content = self.read(_GUEST, text)
        if "id" in content:
            rows = self._database.rows(
                f"SELECT {_COLUMNS} FROM guest_links WHERE id = ?",  # noqa: S608 - a constant
                content["id"],
            )
            found = GuestLink(*rows[0]) if rows else None
        else:  # an earlier version's, which named its guest and was listed nowhere
            found = self._old(content)
        if found is None or found.revoked_us is not None or self._is_forgotten(found.person):
            raise RefusedError("This link was revoked. Ask the person who sent it for a new one.")
        return found

    def find_guest(self, text: str) -> Principal:
        """Return the guest whom a link is for; from its first use on they are a user. Raises as `open_guest_link`."""
        link = self.open_guest_link(text)
        with self._database.writing() as db:
            now_us = self._database.clock()
            row = (link.id, link.account, link.person, link.made_us, link.ends_us)
            db.execute(f"{_INSERT} ON CONFLICT DO UPDATE SET ends_us = max(ends_us, excluded.ends_us)", row)
            db.execute("UPDATE guest_links SET used_us = ? WHERE id = ?", (now_us, link.id))
            known = self._users.find(_user(link))
            if known is not None:
                return known
            guest = {"account": link.account, "person": link.person}
            return self._users.add(_user(link), roles=[Role.GUEST], name="Guest", **guest)

    def _old(self, content: Mapping[str, Any]) -> GuestLink:
        account, person, ends_us = content["account"], content["person"], content["ends"]
        link = self.digest("old", f"{account}:{person}").hex()
        rows = self._database.rows("SELECT revoked_us FROM guest_links WHERE id = ?", link)
        return GuestLink(link, account, person, ends_us - LINK_US, ends_us, rows[0][0] if rows else None, None)

    def _is_forgotten(self, person: str) -> bool:
        return bool(self._database.rows("SELECT 1 FROM revoked WHERE person = ?", self.digest("revoked", person)))

    def digest(self, what: str, of: str) -> bytes:
        """Return a keyed digest, which names nobody to whoever lacks the key; `what` keeps its uses apart."""
        return hmac.digest(self._key, f"{what}:{of}".encode(), "sha256")


def _user(link: GuestLink) -> str:
    return f"{GUEST}{link.account}:{link.person}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    """Decode the one spelling of some bytes: a link whose last letter was changed is a changed link.

    Raises:
        ValueError: It is no base64, or another spelling of it, in whose last letter bits stand that say nothing.
    """
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _base64(data) != text:
        raise ValueError("not the one spelling")
    return data
