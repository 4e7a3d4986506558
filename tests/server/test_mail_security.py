"""Mail is encrypted and signed in at the mail server, or it waits and the operator is told why; nothing goes in clear."""

import base64
import ipaddress
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mail_server import MailServer, Wire

from volition.cli import main
from volition.server.auth import Access
from volition.server.mail.courier import Courier
from volition.server.notices.outbox import Letter, MailKind, MailState, Outbox
from volition.server.settings import ServerSettings
from volition.workspace import Workspace
from volition.workspace.pool import Workspaces
from waiting import until

PASSWORD = "correct horse battery"
SECRET = "what only the mail says"
TROUBLE = "mail trouble"


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """Make a certificate of the mail server that signs itself, and trust it."""
    path = tmp_path / "certificate.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


class MailBox:
    """A mail server with a sign-in, what is on the wire to it, and a courier with one mail to send."""

    def __init__(self, tmp_path, certificate, *, security="starttls", password=PASSWORD, offers_tls=True):
        self.tried = []
        by_starttls = security == "starttls" and offers_tls  # the only encryption that aiosmtpd's sign-in knows of
        options = {"authenticator": self._check, "auth_required": by_starttls, "auth_require_tls": by_starttls}
        if offers_tls:
            options["tls_context"] = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            options["tls_context"].load_cert_chain(certificate)
        self.server = MailServer(is_tls=security == "tls", **options).start()
        self.wire = Wire(self.server.port)
        self.folder = tmp_path / "ws"
        Workspace.create(self.folder, origin="log.example/tls").close()
        settings, secret = self.folder / "volition.toml", self.folder / "mail.secret"
        settings.write_text(
            f'{settings.read_text()}\n[mail]\nhost = "127.0.0.1"\nport = {self.wire.port}\nsecurity = "{security}"\n'
            'from = "privacy@acme.example"\nuser = "privacy"\npassword_file = "mail.secret"\n'
        )
        secret.write_text(password)
        secret.chmod(0o600)

    def _check(self, server, session, envelope, mechanism, detail):  # noqa: ARG002 - aiosmtpd's own
        self.tried.append((detail.login.decode(), detail.password.decode()))
        return AuthResult(success=self.tried[-1] == ("privacy", PASSWORD), handled=False)

    @contextmanager
    def sending(self):
        """Run a courier with one mail; give the outbox and what the courier noted of its trouble."""
        access = Access.open(self.folder)
        outbox, workspaces = Outbox(access.database), Workspaces(self.folder)
        with workspaces.borrow() as workspace:
            settings, size = workspace.mail, workspace.ledger.size
        letter = Letter(
            key="a",
            kind=MailKind.TERMS,
            about="x",
            account="acme",
            person=None,
            user=None,
            address="ada@acme.example",
            subject="Subject",
            body=f"{SECRET}\n",
        )
        outbox.queue([letter], cursor=size, domain="acme.example")
        courier = Courier(
            settings,
            folder=self.folder,
            access=access,
            outbox=outbox,
            workspaces=workspaces,
            server=ServerSettings(site="Centre", url="https://privacy.acme.example"),
            settle_us=0,
        )

        def trouble():
            return (access.database.state(TROUBLE) or b"").decode()

        try:
            yield outbox, trouble
        finally:
            courier.close()
            access.close()
            workspaces.close()

    def close(self):
        self.wire.close()
        self.server.stop()


@pytest.fixture
def mail_box(tmp_path, certificate):
    boxes = []

    def make(**how):
        boxes.append(MailBox(tmp_path, certificate, **how))
        return boxes[-1]

    yield make
    for one in boxes:
        one.close()


def is_in_clear(wire):
    """Say whether anything of a sign-in or a mail was readable on the wire."""
    signed_in = [base64.b64encode(text.encode()) for text in (PASSWORD, f"\0privacy\0{PASSWORD}", "privacy")]
    readable = [b"AUTH", b"MAIL FROM", b"RCPT TO", b"ada@acme", SECRET.encode(), PASSWORD.encode(), *signed_in]
    return [one for one in readable if one in wire.said]


@pytest.mark.slow
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_is_sent_encrypted_and_signed_in(mail_box, security):
    box = mail_box(security=security)
    with box.sending() as (outbox, trouble):
        until(lambda: outbox.counts()[MailState.SENT] == 1)
        assert trouble() == ""
    [(address, mail)] = box.server.taken
    assert address == "ada@acme.example"
    assert SECRET in mail.get_content()
    assert box.tried == [("privacy", PASSWORD)]
    assert is_in_clear(box.wire) == []


def waits(box, capsys, why):
    """Hold that the mail waits, the operator is told why, and nothing was readable on the wire."""
    with box.sending() as (outbox, trouble):
        until(trouble)
        assert outbox.counts()[MailState.WAITING] == 1
    assert box.server.taken == []
    assert is_in_clear(box.wire) == []
    assert main(["mail", "status", "--workspace", str(box.folder)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert why in told, told
    assert PASSWORD not in told
    assert main(["mail", "test", "root@acme.example", "--workspace", str(box.folder)]) != 0
    assert why in " ".join(capsys.readouterr().err.split())
    assert is_in_clear(box.wire) == []


@pytest.mark.slow
def test_with_a_wrong_password_the_mail_waits(mail_box, capsys):
    box = mail_box(password="wrong")
    waits(box, capsys, "refused the sign-in of privacy (535)")
    assert ("privacy", "wrong") in box.tried


@pytest.mark.slow
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_with_a_certificate_that_is_not_trusted_the_mail_waits(mail_box, capsys, monkeypatch, security):
    box = mail_box(security=security)
    monkeypatch.delenv("SSL_CERT_FILE")
    waits(box, capsys, "certificate")
    assert box.tried == []


@pytest.mark.slow
def test_with_a_certificate_of_another_host_the_mail_waits(mail_box, capsys):
    box = mail_box()
    settings = box.folder / "volition.toml"
    settings.write_text(settings.read_text().replace('host = "127.0.0.1"', 'host = "localhost"'))
    waits(box, capsys, "certificate")


@pytest.mark.slow
def test_a_mail_server_without_encryption_gets_nothing_to_read(mail_box, capsys):
    """As it is where somebody on the way strikes STARTTLS out of the server's answer."""
    box = mail_box(offers_tls=False)
    waits(box, capsys, "STARTTLS")
    assert box.tried == []


@pytest.mark.slow
def test_what_waited_is_sent_once_the_password_is_right(mail_box):
    box = mail_box(password="wrong")
    with box.sending() as (outbox, trouble):
        until(trouble)
        (box.folder / "mail.secret").write_text(PASSWORD)
        until(lambda: outbox.counts()[MailState.SENT] == 1)
        assert trouble() == ""
    assert len(box.server.taken) == 1
