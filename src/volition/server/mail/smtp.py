"""One mail to the mail server, and its answer. Plain text; encrypted on its way, but for a server on this machine.

Sources: SMTP RFC 5321; Message-ID and Date RFC 5322; Auto-Submitted RFC 3834.
"""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final

from volition.canonical import us_to_datetime
from volition.consent.invisible import without_turning
from volition.errors import BackendError
from volition.server.notices.outbox import MailState, QueuedMail
from volition.workspace.mail_settings import MailSettings, is_address

_PATIENCE_S: Final = 30.0
_LONGEST_ANSWER: Final = 300
_PERMANENT: Final = 500  # answers from here on say that a repeat would be refused, too: RFC 5321, 4.2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the mail server said to one mail.

    Attributes:
        state: Sent, refused, or still waiting.
        text: Its answer, without the address that it was about.
    """

    state: MailState
    text: str


class Connection:
    """A connection to the mail server, signed in."""

    def __init__(self, smtp: smtplib.SMTP, sender: str) -> None:
        """Send from `sender`."""
        self._smtp = smtp
        self._sender = sender

    def send(self, mail: QueuedMail) -> Answer:
        """Send one mail.

        Raises:
            BackendError: The connection broke; the mail may have arrived or not.
        """
        if not is_address(mail.address):
            return Answer(state=MailState.REFUSED, text="That is no address that mail can be sent to.")
        try:
            self._smtp.send_message(message_of(mail, self._sender), parseaddr(self._sender)[1], [mail.address])
        except smtplib.SMTPRecipientsRefused as refused:
            code, said = refused.recipients[mail.address]
            return _answer(code, said, mail)
        except (smtplib.SMTPDataError, smtplib.SMTPHeloError) as refused:
            return _answer(refused.smtp_code, refused.smtp_error, mail)
        except smtplib.SMTPSenderRefused as refused:  # a matter of the setup: mending it helps every mail
            return Answer(state=MailState.WAITING, text=_text(refused.smtp_code, refused.smtp_error, mail))
        except smtplib.SMTPNotSupportedError as error:
            return Answer(state=MailState.REFUSED, text=str(error))
        except (smtplib.SMTPException, OSError) as error:
            raise BackendError(f"The connection to the mail server broke: {error}.") from error
        return Answer(state=MailState.SENT, text="")


@contextmanager
def connect(settings: MailSettings, password: str | None) -> Iterator[Connection]:
    """Connect to the mail server, encrypted as the settings say, and sign in.

    Raises:
        BackendError: It is not reached, its certificate is not valid, or it refuses the sign-in.
    """
    where = f"The mail server {settings.host}:{settings.port}"
    context = ssl.create_default_context()
    try:
        if settings.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=_PATIENCE_S, context=context)
        else:
            smtp = smtplib.SMTP(settings.host, settings.port, timeout=_PATIENCE_S)
    except (smtplib.SMTPException, OSError) as error:
        raise BackendError(f"{where} was not reached: {error}. Check [mail] in volition.toml.") from error
    try:
        try:
            if settings.security == "starttls":
                smtp.starttls(context=context)
        except (smtplib.SMTPException, OSError) as error:
            fault = f"{where} could not be reached encrypted: {error}. Nothing was sent. Check [mail] in volition.toml."
            raise BackendError(fault) from error
        try:
            if settings.user is not None and password is not None:
                smtp.login(settings.user, password)
        except (smtplib.SMTPException, OSError) as error:
            said = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else error
            fault = f"{where} refused the sign-in of {settings.user} ({said}). Check user and password under [mail]."
            raise BackendError(fault) from error
        yield Connection(smtp, settings.sender)
    finally:
        try:
            smtp.quit()
        except (smtplib.SMTPException, OSError):
            smtp.close()


def message_of(mail: QueuedMail, sender: str) -> EmailMessage:
    """Return a queued mail as it is sent."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = mail.address
    message["Subject"] = " ".join(without_turning(mail.subject).split())
    message["Date"] = format_datetime(us_to_datetime(mail.queued_us))
    message["Message-ID"] = mail.message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(without_turning(mail.body))
    return message


def _answer(code: int, said: bytes | str, mail: QueuedMail) -> Answer:
    state = MailState.REFUSED if code >= _PERMANENT else MailState.WAITING
    return Answer(state=state, text=_text(code, said, mail))


def _text(code: int, said: bytes | str, mail: QueuedMail) -> str:
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    plain = " ".join(words.split()).replace(mail.address, "the address")
    return f"{code} {plain}"[:_LONGEST_ANSWER]
