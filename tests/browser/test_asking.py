"""Asking for a series on a phone, denying it with a reason, asking again, approving: what both see in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

Visit = Callable[..., Page]


def test_a_series_is_found_asked_for_denied_asked_for_again_and_approved(visit: Visit) -> None:
    page = visit("user", "discover", width=360)
    page.get_by_role("searchbox", name="Title, in any language").fill("turmfalke")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name=re.compile("Kestrel Nine")).first.click()
    expect(page.get_by_role("heading", level=1, name="Kestrel Nine")).to_be_visible()

    page.get_by_role("button", name="Ask for it").first.click()
    dialog = page.get_by_role("dialog", name="Ask for Kestrel Nine")
    dialog.get_by_role("radio", name="These:").check()
    dialog.get_by_role("button", name="Ask for it").click()
    expect(page.get_by_text("Choose at least one season.").first).to_be_visible()
    expect(page.get_by_role("radio", name="These:")).to_be_checked()
    page.get_by_role("checkbox", name="Season 2").check()
    dialog.get_by_role("button", name="Ask for it").click()
    expect(page.get_by_text("You asked for it, and are told what becomes of it.")).to_be_visible()
    expect(page.get_by_text("To be decided").first).to_be_visible()

    boss = visit("admin", f"requests/{page.url.rpartition(chr(47))[2]}")
    boss.get_by_label("Reason, if denied").fill("We have something like it.")
    boss.get_by_role("button", name="Deny").click()
    expect(boss.get_by_text("Denied").first).to_be_visible()
    expect(page.get_by_text("We have something like it.").first).to_be_visible()  # without a click of theirs

    boss.get_by_role("button", name="Decide it anew").click()
    boss.get_by_role("button", name="Approve").first.click()
    expect(boss.get_by_text("It was approved.")).to_be_visible()
    expect(page.get_by_text("Approved").first).to_be_visible()

    page.get_by_role("textbox", name="Comment").fill("Thank you!")
    page.get_by_role("button", name="Send").click()
    expect(boss.get_by_text("Thank you!")).to_be_visible()  # by a new copy of the page
    expect(boss.get_by_text("It was approved.")).to_be_visible()
