"""The stored cookie file that downloads send to sites, exported from a signed-in browser by an admin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.audit import Actor, Subject
from engine.errors import NotFound, ServiceUnavailable, ValidationFailed
from engine.identity.confirmation import require_person
from engine.runtime import Runtime
from engine.secrets import secret_box

log = structlog.get_logger(__name__)

NAME = "download-cookies"
_SUBJECT = Subject("cookies", NAME)
_NOTED = 50  # most domains in an audit entry


@dataclass(frozen=True)
class CookieFile:
    """What may be shown of the stored file: never a cookie's name or value.

    Attributes:
        domains: of its cookies. expires_at: the earliest expiry of a cookie; None: session cookies only.
    """

    stored_at: datetime
    count: int
    domains: tuple[str, ...]
    expires_at: datetime | None


def store(db: Session, settings: Settings, text: str, actor: Actor) -> CookieFile:
    """Keep a cookie file (Netscape format, as browsers' extensions export it), encrypted.

    Raises:
        ConfirmationRequired: there is no recent confirmation (`engine.identity.confirmation`).
        ValidationFailed: it is not in that format, or has no cookie.
    """
    require_person(actor, "cookies.stored", _SUBJECT)
    if not _cookies(text):
        raise ValidationFailed("The cookies are not accepted.", cookies="Must hold at least one cookie.")
    secret_box.put(db, settings, NAME, text)
    stored = describe(db, settings)
    audit.record(db, "cookies.stored", actor, _SUBJECT, domains=list(stored.domains)[:_NOTED])
    return stored


def describe(db: Session, settings: Settings) -> CookieFile:
    """Count, domains and expiry of the stored cookies.

    Raises:
        NotFound: none are stored.
    """
    stored_at = secret_box.kept_since(db, NAME)
    text = secret_box.take(db, settings, NAME)
    if stored_at is None or text is None:
        raise NotFound("No cookies are stored.")
    cookies = _cookies(text)
    ends = [cookie.expires for cookie in cookies if cookie.expires]
    return CookieFile(
        stored_at,
        len(cookies),
        tuple(sorted({cookie.domain for cookie in cookies})),
        datetime.fromtimestamp(min(ends), UTC) if ends else None,
    )


def forget(db: Session, settings: Settings, actor: Actor) -> CookieFile:
    """Delete the stored file; returns its description.

    Raises:
        ConfirmationRequired: there is no recent confirmation (`engine.identity.confirmation`).
        NotFound: nothing is stored.
    """
    require_person(actor, "cookies.deleted", _SUBJECT)
    was = describe(db, settings)
    secret_box.drop(db, NAME)
    audit.record(db, "cookies.deleted", actor, _SUBJECT)
    return was


def for_attempt(runtime: Runtime) -> str | None:
    """The stored file's decrypted text; None if there is none, or if it can't be decrypted, which is logged."""
    try:
        with runtime.reading() as db:
            return secret_box.take(db, runtime.settings, NAME)
    except ServiceUnavailable:
        log.warning("cookies.unreadable")
        return None


@dataclass(frozen=True)
class _Cookie:
    domain: str
    expires: int


def _cookies(text: str) -> list[_Cookie]:
    """Parse a Netscape cookie file: one cookie per line, seven tab-separated fields.

    Raises:
        ValidationFailed: with the number of the invalid line, without its content.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.removeprefix("#HttpOnly_")
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 7 or not fields[4].isdecimal():
            raise ValidationFailed(
                "The cookies are not accepted.",
                cookies=f"Must be in Netscape format, as a browser's extension exports it; line {number} is not.",
            )
        found.append(_Cookie(fields[0].lstrip("."), int(fields[4])))
    return found
