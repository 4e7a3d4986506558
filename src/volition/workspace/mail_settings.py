"""The table `[mail]` of volition.toml: the mail server (SMTP) by which people are told, and the address it is from.

    [mail]
    host = "smtp.acme.example"
    from = "Acme privacy centre <privacy@acme.example>"
    user = "privacy"
    password_file = "mail.secret"        # relative to the workspace's folder, mode 0600; or password_env
    remind_days = [30, 7]                # before a yes ends; [] for no reminder

A password never stands in the table itself, and neither it nor a mail travels unencrypted beyond this machine. The
password is read when a mail server is first asked, so that a file that is missing keeps no workspace closed.
"""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Final, Self

from volition.consent.terms.toml_file import FaultError, Section, check_words
from volition.errors import InvalidInputError

SECURITY: Final[Mapping[str, int]] = {"starttls": 587, "tls": 465, "none": 25}
"""How a connection is encrypted, and the port that goes with it: RFC 6409, RFC 8314."""

REMIND_DAYS: Final = (30, 7)
"""How many days before the end of a yes whoever said it is reminded, if the settings say nothing else."""

_LONGEST_DAYS: Final = 365
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LARGEST_PORT: Final = 65_535
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"\\()\[\]]+@[^\s@<>,;:\"\\()\[\]]+")


def is_address(text: str) -> bool:
    """Say whether a text is one mail address and nothing besides, as mail can be sent to."""
    return text.isprintable() and _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """A mail server, and how it is asked.

    Attributes:
        host: Its name.
        port: Its port.
        security: "starttls", "tls" or "none", of `SECURITY`.
        user: Who signs in there; none where nobody must.
        password_file: The file that holds the password, relative to the workspace's folder; none for another place.
        password_env: The environment variable that holds it; none for another place.
        sender: The address that mails are from, perhaps with a name before it.
        remind_days: How many days before the end of a yes whoever said it is reminded, the most first; none for never.
    """

    host: str
    port: int
    security: str
    user: str | None
    password_file: str | None
    password_env: str | None
    sender: str
    remind_days: tuple[int, ...] = REMIND_DAYS

    @classmethod
    def from_toml(cls, table: object) -> Self:
        """Read the table, strictly.

        Raises:
            FaultError: A key is missing, unknown, or holds what it cannot.
        """
        section = Section(
            table,
            (),
            required={"host", "from"},
            optional={"port", "security", "user", "password_file", "password_env", "remind_days"},
        )
        for key in ("host", "from", "user", "password_file", "password_env"):
            if key in section.value and not section.text(key).strip():
                raise FaultError((key,), f'"{key}" is empty. Fill it in, or take the line out.')
        host, security = section.text("host"), section.optional_text("security") or "starttls"
        check_words([security], SECURITY, "security", what="way to encrypt")
        if security == "none" and host not in _THIS_MACHINE:
            fault = f'mail to {host} would travel unencrypted. Write "starttls" or "tls"; "none" is for this machine.'
            raise FaultError(("security",), fault)
        port = section.integer("port", SECURITY[security])
        if not 1 <= port <= _LARGEST_PORT:
            raise FaultError(("port",), f'"port" must be from 1 to {_LARGEST_PORT}.')
        if not is_address(parseaddr(section.text("from"))[1]):
            raise FaultError(("from",), '"from" must be a mail address, such as "Acme <privacy@acme.example>".')
        _check_password(section)
        return cls(
            host=host,
            port=port,
            security=security,
            user=section.optional_text("user"),
            password_file=section.optional_text("password_file"),
            password_env=section.optional_text("password_env"),
            sender=section.text("from"),
            remind_days=_remind_days(section),
        )

    @property
    def domain(self) -> str:
        """The domain of the address that mails are from, which their Message-IDs end with."""
        return parseaddr(self.sender)[1].rpartition("@")[2]

    def password(self, folder: Path, environment: Mapping[str, str]) -> str | None:
        """Return the password; none where nobody signs in.

        Args:
            folder: The workspace's.
            environment: The process's variables.

        Raises:
            InvalidInputError: The file or the variable that should hold it does not, or others can read the file.
        """
        if self.password_env is not None:
            if not environment.get(self.password_env):
                raise InvalidInputError(
                    f"The mail server's password should stand in the variable {self.password_env}, which is not set. "
                    "Set it."
                )
            return environment[self.password_env]
        if self.password_file is None:
            return None
        path = folder / self.password_file
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise InvalidInputError(f"Other users can read {path}, the mail password. Run: chmod 600 {path}")
            return path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(f"The mail server's password cannot be read from {path}: {error}.") from error


def _remind_days(section: Section) -> tuple[int, ...]:
    days = section.value.get("remind_days", REMIND_DAYS)
    if not isinstance(days, list | tuple) or not all(type(one) is int and 1 <= one <= _LONGEST_DAYS for one in days):
        fault = f'"remind_days" must be a list of whole numbers from 1 to {_LONGEST_DAYS}, such as [30, 7].'
        raise FaultError(("remind_days",), fault)
    return tuple(sorted(set(days), reverse=True))


def _check_password(section: Section) -> None:
    named = [key for key in ("password_file", "password_env") if key in section.value]
    if len(named) > 1:
        raise FaultError((named[1],), 'the password has two places. Keep "password_file" or "password_env".')
    if bool(named) != ("user" in section.value):
        fault = '"user" and a place of the password go together. Write both, or neither.'
        raise FaultError((named[0] if named else "user",), fault)
