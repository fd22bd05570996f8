"""Mails read well: whatever the inviter is called, and with times that people read."""

from __future__ import annotations

import pytest

from engine.mails.texts import Template, readable, render


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2026-11-29T18:28:05.123Z", "29 November 2026, 18:28 UTC"),
        ("2026-11-03T08:05:00Z", "3 November 2026, 08:05 UTC"),
        ("29 November 2026, 18:28 UTC", "29 November 2026, 18:28 UTC"),
        ("2026-11-29", "2026-11-29"),
        ("Ann", "Ann"),
    ],
)
def test_a_time_is_shown_as_people_write_it(value: str, shown: str) -> None:
    assert readable(value) == shown


def test_every_mail_of_a_moment_shows_it_that_way() -> None:
    details = {"name": "Ann", "at": "2026-11-29T18:28:05.123Z", "what": "It was.", "consequences": "So."}
    details |= {"device": "Firefox on Linux", "address": "192.0.2.1"}
    for template in (Template.PASSWORD_CHANGED, Template.SIGN_IN, Template.ACCOUNT_CHANGED):
        text = render(template, details)
        assert "at 29 November 2026, 18:28 UTC" in text.plain
        assert "18:28:05" not in text.plain + text.html


def test_an_invitation_reads_well_whatever_the_inviter_is_called() -> None:
    text = render(Template.INVITATION, {"inviter": "You", "url": "http://x.example/i", "until": "tomorrow"})
    assert text.subject == "You: your invitation to MediaNest"
    assert "family and friends, by You." in text.plain
