"""What an admin does below /admin in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect
from sqlalchemy import select

from models.queue import Queue
from models.webhook import Webhook
from tests.browser.showroom import Showroom

Visit = Callable[..., Page]


def test_the_overview_says_what_is_not_well_and_leads_there(visit: Visit) -> None:
    page = visit("admin", "admin")

    expect(page.get_by_role("heading", level=1)).to_have_text("All is well but Overseerr")
    page.get_by_role("link", name=re.compile("Overseerr: offline")).click()
    expect(page).to_have_url(re.compile("/admin/integrations/overseerr$"))


def test_a_report_is_copied(visit: Visit) -> None:
    page = visit("admin", "admin", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy a report").click()
    page.get_by_role("button", name="Copy", exact=True).click()

    expect(page.get_by_text("Copied.")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "overseerr: offline" in page.evaluate("() => navigator.clipboard.readText()")


def test_a_queue_is_paused_without_leaving_the_page(visit: Visit, room: Showroom) -> None:
    page = visit("admin", "admin/queues")
    page.get_by_role("button", name="Pause Plex").click()

    expect(page.get_by_text("Plex: nothing new begins.")).to_be_visible()
    with room.runtime.reading() as db:
        assert db.get_one(Queue, "plex").paused_at is not None
    page.get_by_role("button", name="Resume Plex").click()
    expect(page.get_by_role("button", name="Pause Plex")).to_be_visible()


def test_an_invitation_is_asked_about_before_it_is_taken_back(visit: Visit) -> None:
    page = visit("admin", "admin/invitations", java_script_enabled=False)
    page.get_by_role("row", name=re.compile("theo@example.org")).get_by_role(
        "button", name="Take back"
    ).click()
    expect(page.get_by_text("The link that theo@example.org has makes no account any more.")).to_be_visible()
    page.get_by_role("button", name="Take it back").locator("visible=true").click()

    expect(page.get_by_text("The invitation of theo@example.org is taken back")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("theo@example.org.*Taken back"))).to_be_visible()


def test_a_setting_that_is_wrong_is_corrected_where_it_stands(visit: Visit, room: Showroom) -> None:
    page = visit("super_admin", "admin/settings?group=downloads")
    attempts = page.get_by_label("Attempts before a download fails")
    attempts.fill("many")
    page.get_by_role("button", name="Save").click()
    expect(attempts).to_have_attribute("aria-invalid", "true")
    expect(attempts).to_be_focused()

    attempts.fill("6")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("Saved: “Attempts before a download fails”.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Downloads: one setting is your own")
    attempts.fill("")
    page.get_by_role("button", name="Save").click()
    expect(attempts).to_have_value("5")


def test_several_webhooks_are_handled_again(visit: Visit, room: Showroom) -> None:
    page = visit("admin", "admin/webhooks?source=plex")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Handle again").click()

    expect(page.get_by_text("2 are handled again.")).to_be_visible()
    with room.runtime.reading() as db:
        states = db.scalars(select(Webhook.status).where(Webhook.source == "plex"))
        assert set(states) == {"received"}
