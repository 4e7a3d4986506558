"""A real mail server on this machine, for tests: it takes mails, refuses some, is away, or dies in the middle."""

import email
import email.policy
import socket

from aiosmtpd.controller import Controller


class MailServer:
    """An SMTP server (aiosmtpd) that remembers what it took.

    Attributes:
        port: Its port, the same each time it is started.
        taken: The mails that it took, parsed, in order, each with the address that it was for.
    """

    def __init__(self, *, refused=(), later=()):
        """Refuse some addresses for good, and others for now."""
        self.refused, self.later, self.taken, self.on_data = set(refused), set(later), [], None
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self._controller = None

    def start(self):
        """Listen."""
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        return self

    @property
    def is_up(self):
        """Whether it listens."""
        return self._controller is not None

    def stop(self):
        """Listen no more."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: ARG002, N802 - aiosmtpd's own
        """Answer to whom a mail is."""
        if address in self.refused:
            return f"550 5.1.1 no mailbox {address} here"
        if address in self.later:
            return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: ARG002, N802 - aiosmtpd's own
        """Take a mail."""
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        [address] = envelope.rcpt_tos
        self.taken.append((address, mail))
        if self.on_data is not None:
            self.on_data(len(self.taken))
        return "250 taken"
