"""Hands a mail to the mail server: everything before the text may be tried again, nothing after it."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from ipaddress import ip_address
from typing import Self
from urllib.parse import unquote, urlsplit

SECONDS = 15.0  # for each answer; a server may greet slowly on purpose
SECONDS_AFTER_TEXT = 60.0  # it looks through the text before it answers, and we can't ask again
_LOOK_SECONDS = 0.5
_LONGEST_REPLY = 200
_WIRE = SMTP.clone(cte_type="7bit")  # what every server on the way can carry


class MailFailed(Exception):
    """The server surely did not take the mail.

    Attributes:
        kind: a word for programs.
        message: what happened, for an admin.
        advice: what to do.
        passing: whether another attempt may succeed.
    """

    def __init__(self, kind: str, message: str, advice: str, *, passing: bool) -> None:
        super().__init__(message)
        self.kind, self.message, self.advice, self.passing = kind, message, advice, passing


class OutcomeUnknown(Exception):
    """The server got the text, or a part of it, and did not say whether it took it."""


class Interrupted(Exception):
    """We hung up before the server was given the text."""


@dataclass(frozen=True)
class MailServer:
    """Where mails are handed in; `secure` is TLS from the first byte, otherwise STARTTLS where it is offered."""

    host: str
    port: int
    secure: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `smtp://` or `smtps://user:password@host:port`; user and password are percent-encoded.

        Raises:
            MailFailed: it names no host, or a port that is none.
        """
        parts = urlsplit(url)
        try:
            port, host = parts.port, parts.hostname
        except ValueError:
            port = host = None
        if not host:
            raise _misconfigured("SMTP_URL names no mail server.")
        secure, user = parts.scheme == "smtps", unquote(parts.username or "")
        usual = 465 if secure else 587 if user else 25
        return cls(host, port or usual, secure, user, unquote(parts.password or ""))

    @property
    def local(self) -> bool:
        """Whether nothing that is sent there leaves this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


def compose(
    *, message_id: str, sender: str, recipient: str, subject: str, plain: str, html: str
) -> EmailMessage:
    """A proper message of plain text with an HTML alternative; no value can add a header or a recipient.

    Raises:
        MailFailed: sender or recipient is no address.
    """
    name, address = parseaddr(sender)
    message = EmailMessage(policy=_WIRE)
    try:
        message["From"] = Address(name, addr_spec=_ascii_domain(address))
    except (MessageError, ValueError, IndexError):
        raise _misconfigured("MAIL_FROM holds no address.") from None
    try:
        message["To"] = Address(addr_spec=_ascii_domain(recipient))
    except (MessageError, ValueError, IndexError):
        raise MailFailed(
            "address", "Mails can't be sent to this address.", "Use another one.", passing=False
        ) from None
    message["Subject"] = " ".join(subject.split())
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{message_id}@{message['From'].addresses[0].domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes back
    message.set_content(plain)
    message.add_alternative(html, subtype="html")
    return message


def send(
    server: MailServer,
    message: EmailMessage,
    *,
    before_text: Callable[[], None],
    interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Hand a mail over; returns once the server has taken it.

    Args:
        server: to hand it to.
        message: made by `compose`.
        before_text: called right before the server is given the text; what it raises ends the conversation there.
        interrupted: asked twice a second until then, from another thread: True hangs up on the server.

    Raises:
        MailFailed: the server surely did not take it.
        OutcomeUnknown: nobody can tell whether it did.
        Interrupted: as was asked for.
    """
    with _failures_explained(server):
        connection = _connect(server)
    try:
        with _failures_explained(server), _hung_up_when(interrupted, connection):
            _prepare(connection, server)
            _introduce(connection, message)
        before_text()
        _hand_over(connection, message)
        with suppress(OSError, smtplib.SMTPException):
            connection.quit()
    finally:
        connection.close()


@contextmanager
def _failures_explained(server: MailServer) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _refused("The mail server does not talk to us", error.smtp_code, error.smtp_error) from error
    except ssl.SSLCertVerificationError as error:
        raise _insecure(f"The certificate of {server.host} is not good: {error.verify_message}.") from error
    except (OSError, smtplib.SMTPException) as error:
        raise _unreachable(server, error) from error


@contextmanager
def _hung_up_when(interrupted: Callable[[], bool], connection: smtplib.SMTP) -> Iterator[None]:
    over, hung_up = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_SECONDS):
            if interrupted() and connection.sock is not None:
                hung_up.set()
                with suppress(OSError):
                    # Of the socket below TLS, which would lose its state under the reader.
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
                return

    thread = threading.Thread(target=watch, daemon=True, name="smtp-interrupt")
    thread.start()
    try:
        yield
    except (OSError, smtplib.SMTPException) as error:
        if hung_up.is_set():
            raise Interrupted from error
        raise
    finally:
        over.set()
        thread.join()


def _connect(server: MailServer) -> smtplib.SMTP:
    if server.secure:
        return smtplib.SMTP_SSL(server.host, server.port, timeout=SECONDS, context=_context(server))
    return smtplib.SMTP(server.host, server.port, timeout=SECONDS)


def _prepare(connection: smtplib.SMTP, server: MailServer) -> None:
    """Use TLS as far as there is any, and sign in."""
    connection.ehlo_or_helo_if_needed()
    if not server.secure and connection.has_extn("starttls"):
        connection.starttls(context=_context(server))
        connection.ehlo()
    elif not server.secure and server.user and not server.local:
        raise _insecure(f"{server.host} offers no encryption, so it was not told the password.")
    if server.user:
        _sign_in(connection, server)


def _context(server: MailServer) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if server.local:  # a bridge on this machine makes its own certificate, and nobody stands in between
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _sign_in(connection: smtplib.SMTP, server: MailServer) -> None:
    try:
        connection.login(server.user, server.password)
    except smtplib.SMTPNotSupportedError as error:
        raise _misconfigured(f"{server.host} takes no user and password.") from error


def _introduce(connection: smtplib.SMTP, message: EmailMessage) -> None:
    """Say from whom and to whom."""
    sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
    code, reply = connection.mail(sender)
    if code != 250:
        raise _refused(f"The mail server refused the sender {sender}", code, reply)
    code, reply = connection.rcpt(recipient)
    if code not in (250, 251):
        raise _refused("The mail server refused the recipient", code, reply)


def _hand_over(connection: smtplib.SMTP, message: EmailMessage) -> None:
    if connection.sock is not None:
        connection.sock.settimeout(SECONDS_AFTER_TEXT)
    try:
        code, reply = connection.data(message.as_bytes())
    except smtplib.SMTPDataError as error:
        raise _refused("The mail server did not want the text", error.smtp_code, error.smtp_error) from error
    except (OSError, smtplib.SMTPException) as error:
        raise OutcomeUnknown(type(error).__name__) from error
    if code != 250:
        raise _refused("The mail server refused the text", code, reply)


def _refused(what: str, code: int, reply: bytes | str) -> MailFailed:
    words = reply.decode("ascii", "replace") if isinstance(reply, bytes) else reply
    said = " ".join(words.split())[:_LONGEST_REPLY]
    passing = code < 500
    advice = "It is tried again by itself." if passing else "The server's answer says why."
    return MailFailed("refused", f"{what}: {code} {said}", advice, passing=passing)


def _unreachable(server: MailServer, error: Exception) -> MailFailed:
    message = f"The mail server {server.host}:{server.port} can't be reached ({type(error).__name__})."
    return MailFailed("unreachable", message, "It is tried again by itself; look at SMTP_URL.", passing=True)


def _insecure(message: str) -> MailFailed:
    advice = "It is tried again by itself; look at SMTP_URL (smtps:// is TLS from the start)."
    return MailFailed("tls", message, advice, passing=True)


def _misconfigured(message: str) -> MailFailed:
    return MailFailed("not_configured", message, "Look at SMTP_URL and MAIL_FROM.", passing=False)


def _ascii_domain(address: str) -> str:
    """An address as mail servers know it: names of hosts beyond ASCII have a spelling within it."""
    local, at, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}{at}{domain.encode('idna').decode()}"
