"""A mail server that speaks SMTP over a socket, and misbehaves as it is told."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Received:
    """A mail whose text arrived whole."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.raw, policy=default))

    @property
    def plain(self) -> str:
        body = self.message.get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    @property
    def link(self) -> str:
        return next(line for line in self.plain.splitlines() if "://" in line)


@dataclass
class Behaviour:
    """What the server does; `say` answers a verb with these lines, in turn, before it behaves as usual.

    Attributes:
        hang_at, close_at: a verb, or `TEXT` for the end of the text: it answers nothing, or hangs up.
        extensions: that it tells of, STARTTLS and AUTH besides.
        users: by name their passwords; with any it takes mails only of those.
    """

    say: dict[str, list[str]] = field(default_factory=dict)
    hang_at: str | None = None
    close_at: str | None = None
    extensions: tuple[str, ...] = ("8BITMIME",)
    users: dict[str, str] = field(default_factory=dict)


class MailServer:
    """Serves while `with` lasts; `certificate` (a PEM file with its key) makes it offer STARTTLS, or speak TLS."""

    def __init__(self, *, certificate: Path | None = None, tls_at_once: bool = False) -> None:
        self.behaviour = Behaviour()
        self.received: list[Received] = []
        self.reached: list[str] = []  # every verb that came, in order
        self.tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.tls_at_once = tls_at_once
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.mail = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    def __enter__(self) -> MailServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, *, login: str = "", host: str = "127.0.0.1", scheme: str = "smtp") -> str:
        return f"{scheme}://{login + '@' if login else ''}{host}:{self.port}"

    def to(self, recipient: str) -> list[Received]:
        return [mail for mail in self.received if recipient in mail.recipients]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    mail: MailServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed in the middle is what some tests are about."""


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.encrypted, self.user = False, None
        self.sender, self.recipients = "", list[str]()
        if self.server.mail.tls_at_once:
            self._encrypt()
        if not self._answer("CONNECT", "220 mail.test ready"):
            return
        while line := self.rfile.readline():
            text = line.decode().rstrip("\r\n")
            verb = text[:4].upper().strip()
            self.server.mail.reached.append(verb)
            if self._answer(verb, None, text) is False:
                return

    def finish(self) -> None:
        """End the conversation; a socket of TLS is another one than the server closes."""
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()

    def _answer(self, verb: str, usual: str | None, text: str = "") -> bool:
        mail, behaviour = self.server.mail, self.server.mail.behaviour
        if behaviour.hang_at == verb:
            mail.released.wait()
            return False
        if behaviour.close_at == verb:
            return False
        scripted = behaviour.say.get(verb)
        if scripted:
            self._send(scripted.pop(0))
            return True
        if usual is None:
            return bool(getattr(self, f"on_{verb.lower()}", self.on_unknown)(text))
        self._send(usual)
        return True

    def on_unknown(self, text: str) -> bool:
        return self._say("502 unknown")

    def on_ehlo(self, text: str) -> bool:
        mail = self.server.mail
        offered = [*mail.behaviour.extensions]
        if mail.tls is not None and not self.encrypted:
            offered.append("STARTTLS")
        if mail.behaviour.users:
            offered.append("AUTH PLAIN")
        lines = ["mail.test", *offered]
        return self._say(
            "\r\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{x}" for n, x in enumerate(lines))
        )

    def on_star(self, text: str) -> bool:
        self._send("220 go on")
        self._encrypt()
        return True

    def on_auth(self, text: str) -> bool:
        _, user, password = base64.b64decode(text.split()[2]).decode().split("\0")
        if self.server.mail.behaviour.users.get(user) != password:
            return self._say("535 5.7.8 wrong user or password")
        self.user = user
        return self._say("235 welcome")

    def on_mail(self, text: str) -> bool:
        if self.server.mail.behaviour.users and self.user is None:
            return self._say("530 sign in first")
        self.sender, self.recipients = text[text.index("<") + 1 : text.index(">")], []
        return self._say("250 ok")

    def on_rcpt(self, text: str) -> bool:
        self.recipients.append(text[text.index("<") + 1 : text.index(">")])
        return self._say("250 ok")

    def on_data(self, text: str) -> bool:
        self._send("354 go on")
        lines = list[bytes]()
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b".") else line)
        mail = Received(self.sender, tuple(self.recipients), b"".join(lines), self.encrypted, self.user)
        self.server.mail.received.append(mail)
        return self._answer("TEXT", "250 taken")

    def on_quit(self, text: str) -> bool:
        self._say("221 bye")
        return False

    def _say(self, line: str) -> bool:
        self._send(line)
        return True

    def _send(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def _encrypt(self) -> None:
        assert self.server.mail.tls is not None
        self.request = self.connection = self.server.mail.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.encrypted = True


def make_certificate(folder: Path, address: str) -> Path:
    """A certificate of a server at an IP address, that nobody but itself vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = folder / "mail.pem"
    path.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(encoding)
    )
    return path
