"""Sends a mail over SMTP: failures before DATA may be retried; after it the outcome can be unknown."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from ipaddress import ip_address
from typing import Self
from urllib.parse import unquote, urlsplit

SECONDS = 15.0  # for each reply; some servers delay their greeting on purpose
SECONDS_AFTER_TEXT = 60.0  # for the reply to DATA: the server may scan the mail first
_LOOK_SECONDS = 0.5
_LONGEST_REPLY = 200
_WIRE = SMTP.clone(cte_type="7bit")  # works with servers that lack 8BITMIME


class MailFailed(Exception):
    """The mail was certainly not accepted.

    Attributes:
        kind: machine-readable: refused, unreachable, tls, address or not_configured.
        message: what happened, for an admin.
        advice: what to do.
        passing: whether the failure is temporary, so that a retry may succeed.
    """

    def __init__(self, kind: str, message: str, advice: str, *, passing: bool) -> None:
        super().__init__(message)
        self.kind, self.message, self.advice, self.passing = kind, message, advice, passing


class OutcomeUnknown(Exception):
    """The connection failed after DATA began: the server may have accepted the mail or not."""


class Interrupted(Exception):
    """The connection was closed on request before DATA."""


@dataclass(frozen=True)
class MailServer:
    """Address and credentials; `secure` means implicit TLS, otherwise STARTTLS is used if offered."""

    host: str
    port: int
    secure: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `smtp://` or `smtps://user:password@host:port`; user and password are percent-encoded.

        Raises:
            MailFailed: the host is missing or the port invalid.
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
        """Whether the host is the loopback interface."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


def compose(
    *, message_id: str, sender: str, recipient: str, subject: str, plain: str, html: str
) -> EmailMessage:
    """A plain text message with an HTML alternative; values can't inject headers or recipients.

    Raises:
        MailFailed: sender or recipient is not an address.
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
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: prevents automatic replies
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
    """Send a mail; returns once the server has accepted it.

    Args:
        server: to send through.
        message: made by `compose`.
        before_text: called right before DATA; if it raises, nothing is sent.
        interrupted: polled twice a second before DATA, from another thread; True closes the connection.

    Raises:
        MailFailed: the mail was certainly not accepted.
        OutcomeUnknown: it may have been accepted or not.
        Interrupted: `interrupted` returned True.
    """
    with _translated_errors(server):
        connection = _connect(server)
    try:
        with _translated_errors(server), _closed_when(interrupted, connection):
            _secure_and_sign_in(connection, server)
            _send_envelope(connection, message)
        before_text()
        _send_data(connection, message)
        with suppress(OSError, smtplib.SMTPException):
            connection.quit()
    finally:
        connection.close()


def examine(server: MailServer) -> None:
    """Connect and sign in, and send nothing.

    Raises:
        MailFailed: it does not work.
    """
    with _translated_errors(server), closing(_connect(server)) as connection:
        _secure_and_sign_in(connection, server)
        connection.quit()


@contextmanager
def _translated_errors(server: MailServer) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _refused("The mail server does not talk to us", error.smtp_code, error.smtp_error) from error
    except ssl.SSLCertVerificationError as error:
        raise _insecure(f"The certificate of {server.host} is not good: {error.verify_message}.") from error
    except (OSError, smtplib.SMTPException) as error:
        raise _unreachable(server, error) from error


@contextmanager
def _closed_when(interrupted: Callable[[], bool], connection: smtplib.SMTP) -> Iterator[None]:
    over, hung_up = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_SECONDS):
            if interrupted() and connection.sock is not None:
                hung_up.set()
                with suppress(OSError):
                    # The plain socket's shutdown: the TLS one's would reset its state while the reader uses it.
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


def _secure_and_sign_in(connection: smtplib.SMTP, server: MailServer) -> None:
    """STARTTLS if it is offered, then AUTH; never sends the password unencrypted over a network."""
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
    if server.local:  # a mail bridge on this machine has a self-signed certificate
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _sign_in(connection: smtplib.SMTP, server: MailServer) -> None:
    try:
        connection.login(server.user, server.password)
    except smtplib.SMTPNotSupportedError as error:
        raise _misconfigured(f"{server.host} takes no user and password.") from error


def _send_envelope(connection: smtplib.SMTP, message: EmailMessage) -> None:
    """MAIL FROM and RCPT TO."""
    sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
    code, reply = connection.mail(sender)
    if code != 250:
        raise _refused(f"The mail server refused the sender {sender}", code, reply)
    code, reply = connection.rcpt(recipient)
    if code not in (250, 251):
        raise _refused("The mail server refused the recipient", code, reply)


def _send_data(connection: smtplib.SMTP, message: EmailMessage) -> None:
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
    answer = " ".join(words.split())[:_LONGEST_REPLY]
    passing = code < 500
    advice = "It is tried again by itself." if passing else "The server's answer says why."
    return MailFailed("refused", f"{what}: {code} {answer}", advice, passing=passing)


def _unreachable(server: MailServer, error: Exception) -> MailFailed:
    message = f"The mail server {server.host}:{server.port} can't be reached ({type(error).__name__})."
    return MailFailed("unreachable", message, "It is tried again by itself; look at SMTP_URL.", passing=True)


def _insecure(message: str) -> MailFailed:
    advice = "It is tried again by itself; look at SMTP_URL (smtps:// is TLS from the start)."
    return MailFailed("tls", message, advice, passing=True)


def _misconfigured(message: str) -> MailFailed:
    return MailFailed("not_configured", message, "Look at SMTP_URL and MAIL_FROM.", passing=False)


def _ascii_domain(address: str) -> str:
    """The address with its domain in IDNA form."""
    local, at, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}{at}{domain.encode('idna').decode()}"
