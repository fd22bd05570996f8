"""The texts of mails: templates as data, rendered as plain text and as simple HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Template(StrEnum):
    """The kinds of mails there are."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name
    INVITATION = "invitation"
    SIGN_IN = "sign_in"
    ACCOUNT_CHANGED = "account_changed"


@dataclass(frozen=True)
class Wording:
    """A mail before its details are filled in; `link` is the label of the button to `{url}`."""

    subject: str
    before: tuple[str, ...]
    link: str | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class MailText:
    """A mail as it is sent."""

    subject: str
    plain: str
    html: str


WORDINGS = {
    Template.PASSWORD_RESET: Wording(
        "Reset your MediaNest password",
        ("Hello {name},", "somebody, hopefully you, asked for a new password for your MediaNest account."),
        "Choose a new password",
        (
            "The link works once, for {minutes} minutes. Choosing a new password signs you out everywhere.",
            "If it was not you, ignore this mail: your password stays as it is.",
        ),
    ),
    Template.PASSWORD_CHANGED: Wording(
        "Your MediaNest password was changed",
        (
            "Hello {name},",
            "the password of your MediaNest account was changed at {at}. {consequences}",
            "If it was not you, tell whoever runs this MediaNest at once.",
        ),
    ),
    Template.INVITATION: Wording(
        "{inviter}: your invitation to MediaNest",
        ("Hello,", "you are invited to MediaNest, a media server for family and friends, by {inviter}."),
        "Accept the invitation",
        (
            "The link makes one account and works until {until}.",
            "If you do not know who that is, ignore this mail.",
        ),
    ),
    Template.SIGN_IN: Wording(
        "New sign-in to MediaNest from {device}",
        (
            "Hello {name},",
            "somebody signed in to your MediaNest account from {device} ({address}) at {at}.",
            "If it was you, all is well. If not, change your password: that signs out every other device and "
            "revokes all API keys.",
        ),
    ),
    Template.ACCOUNT_CHANGED: Wording(
        "Your MediaNest account was changed",
        (
            "Hello {name},",
            "{what} That was at {at}.",
            "If it was not you, change your password and tell whoever runs this MediaNest at once.",
        ),
    ),
}

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

_PAGE = (
    '<!doctype html><html lang="{}"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
    '<body style="font-family:sans-serif;font-size:16px;line-height:1.5;color:#1c2430;max-width:34em;'
    'margin:0 auto;padding:16px">{}</body></html>'
)
_BUTTON = (
    '<p><a href="{}" style="display:inline-block;padding:10px 18px;border-radius:6px;background:#1f5fbf;'
    'color:#ffffff;text-decoration:none">{}</a></p>'
)


def render(template: Template, details: Mapping[str, str]) -> MailText:
    """Write a mail; details of the template, and `url` where it has a link."""
    wording = WORDINGS[template]
    shown = {name: readable(" ".join(value.split())) for name, value in details.items()}
    before = [part.format_map(shown) for part in wording.before]
    after = [part.format_map(shown) for part in wording.after]
    links = [(wording.link, shown["url"])] if wording.link else []
    return written(wording.subject.format_map(shown), before, links, after)


def written(
    subject: str,
    before: Sequence[str],
    links: Sequence[tuple[str, str]],
    after: Sequence[str],
    *,
    language: str = "en",
) -> MailText:
    """A mail of paragraphs, buttons (label and address), and further paragraphs, as plain text and HTML."""
    buttons = "".join(_BUTTON.format(html.escape(url), html.escape(label)) for label, url in links)
    return MailText(
        subject=subject,
        plain="\n\n".join([*before, *(f"{label}:\n{url}" for label, url in links), *after]) + "\n",
        html=_PAGE.format(language, _paragraphs(before) + buttons + _paragraphs(after)),
    )


def readable(value: str) -> str:
    """A time as `29 November 2026, 18:28 UTC` where the value is one (ISO 8601 in UTC); any other as it is."""
    if not _TIME.fullmatch(value):
        return value
    return f"{datetime.fromisoformat(value):%d %B %Y, %H:%M} UTC".lstrip("0")


def _paragraphs(parts: Sequence[str]) -> str:
    return "".join(f"<p>{html.escape(part)}</p>" for part in parts)
