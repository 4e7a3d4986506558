"""A real mail server on this machine, for tests: it takes mails, refuses some, is away, or dies in the middle."""

import contextlib
import email
import email.policy
import select
import socket
import threading

from aiosmtpd.controller import Controller


class MailServer:
    """An SMTP server (aiosmtpd) that remembers what it took.

    Attributes:
        port: Its port, the same each time it is started.
        taken: The mails that it took, parsed, in order, each with the address that it was for.
    """

    def __init__(self, *, refused=(), later=(), is_tls=False, **options):
        """Refuse some addresses for good, and others for now.

        Args:
            refused: The ones.
            later: The others.
            is_tls: Whether it speaks TLS from the first byte (RFC 8314); `tls_context` is then its certificate.
            options: What aiosmtpd takes besides, such as `tls_context` and an `authenticator`.
        """
        self._is_tls, self._options = is_tls, options
        self.refused, self.later, self.taken, self.on_data = set(refused), set(later), [], None
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self._controller = None

    def start(self):
        """Listen."""
        options = dict(self._options)
        if self._is_tls:
            options["ssl_context"] = options.pop("tls_context")
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
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


class Wire:
    """What lies between a client and a server on this machine: it passes everything on, and keeps what the client said.

    Attributes:
        port: Where the client connects.
        said: Every byte that clients sent, as it was on the wire.
    """

    def __init__(self, to_port):
        """Lead to the server at a port of this machine."""
        self._to_port, self.said = to_port, b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._closing, self._passing = threading.Event(), []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self):
        """Listen no more, and let go of every connection."""
        self._closing.set()
        self._accepting.join()
        for one in self._passing:
            one.join()
        self._listening.close()

    def _accept(self):
        while not self._closing.is_set():
            if select.select([self._listening], [], [], 0.05)[0]:
                client, _ = self._listening.accept()
                self._passing.append(threading.Thread(target=self._pass_on, args=(client,)))
                self._passing[-1].start()

    def _pass_on(self, client):
        with client, socket.create_connection(("127.0.0.1", self._to_port)) as server, contextlib.suppress(OSError):
            while not self._closing.is_set():
                for one in select.select([client, server], [], [], 0.05)[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    if one is client:
                        self.said += data
                    (server if one is client else client).sendall(data)
