"""Settings of accounts: sessions, proofs, mails, and how long the audit log is kept."""

from __future__ import annotations

from dataclasses import dataclass

from config.setting import named_by_fields, setting
from config.variables import integer, mailbox, seconds, url


@dataclass(frozen=True, kw_only=True)
@named_by_fields
class AccountSettings:
    """Settings of accounts: sessions, proofs, mails, and how long the audit log is kept."""

    access_token_seconds: float = setting(seconds(1, 86400), 900.0, "life of an access token")
    refresh_token_seconds: float = setting(seconds(60, 31_536_000), 7 * 86400.0, "life of a session")
    remember_me_seconds: float = setting(
        seconds(60, 31_536_000), 30 * 86400.0, "life of a session with rememberMe"
    )
    session_max_seconds: float = setting(
        seconds(60, 315_360_000),
        90 * 86400.0,
        "life of a session in all, from sign-in, however often it is renewed",
    )
    confirmation_seconds: float = setting(
        seconds(1, 86400),
        600.0,
        "how long the proof of a person counts, at sign-in and by POST /auth/confirm",
    )
    smtp_url: str = setting(
        url("smtp", "smtps"),
        "",
        "mail server, such as smtp://user:password@host:587 (absent: no mail; in development it goes to the log)",
        secret=True,
        live=True,
        guarded=True,
    )
    mail_from: str = setting(
        mailbox, "MediaNest <medianest@localhost>", "sender of our mails", live=True, guarded=True
    )
    reset_seconds: float = setting(seconds(60, 86400), 1800.0, "life of a password reset")
    invitation_seconds: float = setting(seconds(60, 31_536_000), 7 * 86400.0, "life of an invitation")
    audit_days: int = setting(
        integer(30, 36500), 365, "days that the audit log is kept", live=True, guarded=True
    )
