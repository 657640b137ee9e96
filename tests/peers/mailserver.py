"""A real SMTP server on loopback: STARTTLS, authentication, and answers to order."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "ledger", "correct horse"


@dataclass
class Mailserver:
    """`answers`: what is said to the next messages (`at` RCPT or DATA); `lose`: how many answers
    are lost after the message was taken."""

    port: int = 0
    received: list[EmailMessage] = field(default_factory=list)
    over_tls: list[bool] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)
    at_rcpt: list[str] = field(default_factory=list)
    at_data: list[str] = field(default_factory=list)
    lose: int = 0

    async def handle_RCPT(  # noqa: N802  named by the library
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if self.at_rcpt:
            return self.at_rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  named by the library
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.at_data:
            return self.at_data.pop(0)
        message = message_from_bytes(cast("bytes", envelope.content), policy=default)
        self.received.append(message)
        self.over_tls.append(session.ssl is not None)
        if self.lose:
            self.lose -= 1
            cast("asyncio.Transport", server.transport).abort()
        return "250 OK"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: object
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.users.append(given.login)
        right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Mailserver]:
    """Listen on loopback; with `tls`, nothing is taken without STARTTLS and a password."""
    mail = Mailserver()
    secured = tls is not None

    def protocol() -> SMTP:
        return SMTP(
            mail,
            hostname="mail.plant.example",
            tls_context=tls,
            require_starttls=secured,
            auth_required=secured,
            authenticator=mail.authenticate if secured else None,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port)
    mail.port = server.sockets[0].getsockname()[1]
    yield mail
    server.close()
    await server.wait_closed()


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context for 127.0.0.1, and a client's that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.plant.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "mail.pem"
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    public = made.public_bytes(serialization.Encoding.PEM)
    pem.write_bytes(secret + public)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=public.decode())
