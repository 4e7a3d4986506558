"""Authentication: users and their roles, passwords, sessions, API tokens, signed links. All of it is in `web.db`.

What it guarantees:

- A password is kept as an argon2id hash; few are computed at a time, since each takes 64 MiB. A wrong name takes as
  long as a wrong password.
- Guessing becomes slow for whoever guesses and for nobody else: no outsider can lock somebody out.
- A second factor, once set up, is asked for after the password; a changed password ends sessions and tokens.
- Of sessions and tokens only SHA-256 digests are stored, so reading the file lets nobody in. Each of them expires; a
  session also expires when it has not been used for a while.
- A token has roles and scopes of its own, never more than its owner has at the moment of use.
- A guest comes in by a signed link, for one person and one account, without a user set up beforehand. With the link
  end the sessions that it began: when it expires, is revoked, or the person is erased.

What may be done with data is decided by the gate alone; this package only says who is asking, and each route says
which roles it is for (authorization).

Each module knows only those before it:

database    `web.db`, opened once and shared
principal   who is asking: user, roles, scopes
passwords   argon2id hashes
sessions    browser sessions, and the notice for a session's next page
attempts    attempts to sign in, counted
second_factors  one-time codes and recovery codes
tokens      API tokens
users       who can sign in
links       signed texts, and guests' links
embeds      tokens for one person inside another page
devices     browsers in which somebody signed in before
access      `Access`: opens the file and hands it to each of them
"""

from volition.server.auth.access import Access
from volition.server.auth.attempts import TooManyAttemptsError
from volition.server.auth.devices import DEVICE_US
from volition.server.auth.embeds import EMBED, EmbedToken
from volition.server.auth.links import LINK_US, GuestLink, check_guest
from volition.server.auth.principal import PEOPLE, STAFF, Principal, Role, Scope
from volition.server.auth.sessions import LONGEST_SESSION_US, SESSION_US, OidcSession
from volition.server.auth.tokens import TOKEN_DAYS, Token

__all__ = [
    "DEVICE_US",
    "EMBED",
    "LINK_US",
    "LONGEST_SESSION_US",
    "PEOPLE",
    "SESSION_US",
    "STAFF",
    "TOKEN_DAYS",
    "Access",
    "EmbedToken",
    "GuestLink",
    "OidcSession",
    "Principal",
    "Role",
    "Scope",
    "Token",
    "TooManyAttemptsError",
    "check_guest",
]
