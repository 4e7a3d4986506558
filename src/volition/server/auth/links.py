"""Signed texts that travel through other people's hands (HMAC-SHA256), and guests' links, which are made of them."""

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from volition import canonical
from volition.errors import RefusedError
from volition.server.auth.database import WebDatabase
from volition.server.auth.principal import GUEST, Principal, Role
from volition.server.auth.users import Users

LINK_US: Final = 30 * 24 * 3600 * 1_000_000
"""How long a guest's link lasts, microseconds."""

_KEY: Final = "link-key"
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS revoked (person BLOB PRIMARY KEY) STRICT;"
"""Whose guests' links are revoked: a keyed digest of the person's id, which names nobody."""


class Links:
    """Signs with a key of the server's own, and reads what it signed."""

    def __init__(self, database: WebDatabase, *, users: Users) -> None:
        """Keep the key in `database`; a guest becomes one of `users`."""
        self._database = database
        self._users = users
        self._key = database.add_state(_KEY, secrets.token_bytes(32))
        database.create(_SCHEMA)

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
        if content["ends"] < self._database.clock():
            raise RefusedError("This link has expired. Ask the person who sent it for a new one.")
        return content

    def make_guest_link(self, *, person: str, account: str, lasts_us: int = LINK_US) -> str:
        """Return the end of a guest's link: who it is for and until when, signed."""
        return self.sign("guest", {"person": person, "account": account}, lasts_us=lasts_us)

    def revoke(self, person: str) -> None:
        """Revoke every guest's link for a person, those included that were never opened."""
        with self._database.writing() as db:
            db.execute("INSERT OR IGNORE INTO revoked VALUES (?)", (self._digest(person),))

    def _digest(self, person: str) -> bytes:
        return hmac.digest(self._key, b"revoked:" + person.encode(), "sha256")

    def find_guest(self, link: str) -> Principal:
        """Return the guest whom a link is for; from its first use on they are a user.

        Raises:
            RefusedError: The link was changed, has expired, or was revoked.
        """
        content = self.read("guest", link)
        if self._database.rows("SELECT 1 FROM revoked WHERE person = ?", self._digest(content["person"])):
            raise RefusedError("This link was revoked. Ask the person who sent it for a new one.")
        user = f"{GUEST}{content['account']}:{content['person']}"
        known = self._users.find(user)
        if known is not None:
            return known
        return self._users.add(
            user, roles=[Role.PERSON], name="Guest", account=content["account"], person=content["person"]
        )


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
