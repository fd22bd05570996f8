"""The pages about settings, cookies, integrations and the senders of webhooks."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import pytest
from door import Door
from page_visits import PageVisits, title_of, words_of
from sqlalchemy import select

from api.pages.admin.settings.words import WORDS
from engine.settings.admin import public_name
from engine.webhooks import secrets
from models.setting import StoredSetting
from tests.fakes.plex_server import PlexDouble

COOKIES = ".example.org\tTRUE\t/\tTRUE\t1900000000\tsession\tvery-private\n"


def fields_of(page: str) -> dict[str, str]:
    """The fields of the form of settings as they stand in the page."""
    form = page[page.index('<form class="card settings"') :].partition("</form>")[0]
    found = re.findall(r"<input\b[^>]*>", form)
    fields: dict[str, str] = {}
    for tag in found:
        name, value = re.search(r' name="([^"]*)"', tag), re.search(r' value="([^"]*)"', tag)
        ticks = 'type="checkbox"' in tag
        if name is not None and (not ticks or " checked" in tag):
            fields[name[1]] = "on" if ticks else html.unescape(value[1]) if value else ""
    return fields


def stored(door: Door) -> dict[str, str]:
    with door.runtime.reading() as db:
        return {row.name: row.value for row in db.scalars(select(StoredSetting))}


def test_every_setting_that_can_be_changed_has_words(as_chief: PageVisits) -> None:
    live = {public_name(state["name"]) for state in _settings(as_chief) if state["live"]}

    assert live - set(WORDS) == set()
    for group in ("server", "accounts", "downloads", "limits", "plex"):
        assert as_chief.get(f"admin/settings?group={group}").status_code == 200


def _settings(chief: PageVisits) -> list[dict[str, Any]]:
    data = chief.person.get("/admin/settings").get_json()["data"]["settings"]
    return [{"name": name, **state} for name, state in data.items()]


def test_sending_the_form_as_it_is_changes_nothing(as_chief: PageVisits) -> None:
    for group in ("server", "accounts", "downloads", "limits", "plex"):
        fields = fields_of(as_chief.get(f"admin/settings?group={group}").text)
        assert "Nothing was changed." in as_chief.told("admin/settings", fields), group

    assert stored(as_chief.door) == {}


def test_a_setting_is_changed_in_its_unit_and_goes_back_to_its_default(as_chief: PageVisits) -> None:
    fields = fields_of(as_chief.get("admin/settings?group=downloads").text)
    changed = {**fields, "diskReserveBytes": "1.5", "downloadYoutubeLimit": "2"}
    changed.pop("downloadEmbed")

    told = as_chief.told("admin/settings", changed)

    assert "“Downloads at once from YouTube”" in told
    assert "“Write title, picture and chapters into the file”" in told
    settings = as_chief.door.runtime.settings
    assert (settings.disk_reserve_bytes, settings.download_youtube_limit) == (3 << 29, 2)
    assert settings.download_embed is False
    assert "The default is 2 GiB." in as_chief.see("admin/settings?group=downloads")

    as_chief.told("admin/settings", {**fields, "diskReserveBytes": "", "downloadYoutubeLimit": ""})
    assert set(stored(as_chief.door)) == {"download_embed"}
    assert as_chief.door.runtime.settings.download_embed is True


def test_a_wrong_value_is_said_at_its_field_and_nothing_is_stored(as_chief: PageVisits) -> None:
    before = stored(as_chief.door)
    fields = fields_of(as_chief.get("admin/settings?group=downloads").text)

    answer = as_chief.send("admin/settings", {**fields, "downloadAttempts": "many", "downloadHostLimit": "9"})

    assert answer.status_code == 400
    assert re.search(r'id="downloadAttempts"[^>]*value="many"[^>]*aria-invalid="true"', answer.text)
    assert "null" not in words_of(answer)
    assert stored(as_chief.door) == before


def test_a_secret_is_written_and_never_shown(as_chief: PageVisits) -> None:
    fields = fields_of(as_chief.get("admin/settings?group=accounts").text)
    as_chief.told("admin/settings", {**fields, "smtpUrl": "smtp://me:very-private@mail.example.org"})

    page = as_chief.get("admin/settings?group=accounts").text
    assert "very-private" not in page
    assert as_chief.door.runtime.settings.smtp_url.endswith("mail.example.org")

    as_chief.told("admin/settings", {**fields_of(page), "smtpUrl-remove": "on"})
    assert as_chief.door.runtime.settings.smtp_url == ""


def test_what_the_environment_sets_is_fixed(as_chief: PageVisits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOWNLOAD_ATTEMPTS", "7")

    page = as_chief.get("admin/settings?group=downloads").text
    assert 'name="downloadAttempts"' not in page
    assert "fixed by the environment" in page
    as_chief.told("admin/settings", {**fields_of(page), "downloadAttempts": "9"})
    assert "download_attempts" not in stored(as_chief.door)


def test_cookies_come_as_a_file_or_pasted_and_are_never_shown(as_admin: PageVisits) -> None:
    wrong = as_admin.send("admin/cookies", {"cookies": "hello"})
    assert wrong.status_code == 400
    assert "line 1 is not" in wrong.text

    assert "One cookie is stored." in as_admin.told("admin/cookies", {"cookies": COOKIES})
    file = (io.BytesIO((COOKIES + COOKIES.replace("session", "more")).encode()), "cookies.txt")
    assert "2 cookies are stored." in as_admin.told("admin/cookies", {"file": file, "cookies": ""})
    page = as_admin.get("admin/cookies").text
    assert "example.org" in page
    assert "very-private" not in page

    assert "The cookies are deleted." in as_admin.told("admin/cookies/delete")
    assert title_of(as_admin.get("admin/cookies")) == "Downloads come to sites as nobody"


def test_a_file_is_still_there_after_the_password(as_admin: PageVisits) -> None:
    as_admin.let_the_proof_grow_old()

    asked = as_admin.send("admin/cookies", {"file": (io.BytesIO(COOKIES.encode()), "cookies.txt")})
    assert asked.status_code == 403
    assert "very-private" not in asked.text

    assert "One cookie is stored." in words_of(as_admin.confirm(asked, "admin/cookies"))


def test_users_see_how_integrations_are_and_not_where(door: Door) -> None:
    user = PageVisits(door, "user")

    assert title_of(user.get("admin/integrations")) == "Nothing is connected yet"
    assert (
        "Connect" not in user.get("admin/integrations").text.partition("<main")[2].partition("Nothing is")[2]
    )
    assert user.get("admin/integrations/plex").status_code == 403


def test_plex_is_connected_tested_and_disconnected(own_door: Door) -> None:
    admin = PageVisits(own_door, "admin")
    with PlexDouble() as plex:
        entered: dict[str, Any] = {"url": plex.url, "token": plex.token}
        entered |= {"ours": ["/media/films", ""], "plex": ["/data/films", ""]}
        told = admin.told("admin/integrations/plex", entered)
        assert re.search(r"It is saved\. “\w+” answers, in \d+ ms\.", told)
        page = admin.get("admin/integrations/plex").text
        assert plex.token not in page
        assert 'value="/data/films"' in page
        assert re.search(r"answers, in \d+ ms\.", admin.told("admin/integrations/plex/test"))

    assert "It is saved, but:" in admin.told("admin/integrations/plex", {"url": plex.url, "token": "another"})
    assert "Plex is disconnected." in admin.told("admin/integrations/plex/remove")
    assert title_of(admin.get("admin/integrations/plex")) == "Plex is not connected yet"


def test_an_address_that_is_none_is_said_at_its_field(as_admin: PageVisits) -> None:
    answer = as_admin.send("admin/integrations/overseerr", {"url": "nowhere", "token": "key"})

    assert answer.status_code == 400
    assert re.search(r'id="url"[^>]*value="nowhere"[^>]*aria-invalid="true"', answer.text)


def test_servers_are_found_by_an_account_that_is_linked(as_admin: PageVisits) -> None:
    assert "Servers are found through your own Plex account" in as_admin.see(
        "admin/integrations/plex/servers"
    )


def test_senders_get_an_address_and_a_secret(as_admin: PageVisits) -> None:
    assert "Use small letters" in words_of(as_admin.send("admin/webhooks/senders", {"name": "Attic Box"}))
    assert "attic may send now" in as_admin.told("admin/webhooks/senders", {"name": "attic"})
    with as_admin.door.runtime.reading() as db:
        before = secrets.of(db, as_admin.door.runtime.settings, "attic")
        plex = secrets.of(db, as_admin.door.runtime.settings, "plex")
    page = as_admin.get("admin/webhooks/senders").text
    assert before is not None
    assert before in page
    assert plex is not None
    assert f"/api/v1/webhooks/plex/{plex}" in page

    assert "attic has a new secret." in as_admin.told("admin/webhooks/senders/attic/rotate")
    assert before not in as_admin.get("admin/webhooks/senders").text
    assert "attic may not send any more." in as_admin.told("admin/webhooks/senders/attic/delete")
