"""The first run: from nobody to the first download, each wrong answer told, without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from door import Door, opened, opened_once
from fakes.mail_server import MailServer
from page_forms import PlainBrowser
from sqlalchemy import func, select, text

from engine.settings.live import stored_texts
from models.download import Download
from models.user import User

ME = {"name": "Ines", "email": "ines@example.org", "password": "lantern-orchard-kestrel"}


@pytest.fixture(scope="module")
def door(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with opened_once(postgres, tmp_path_factory.mktemp("door")) as door:
        door.runtime.settings.check_folders()
        yield door


@pytest.fixture
def nobody(door: Door) -> PlainBrowser:
    """A browser at a server where nobody is yet."""
    with door.runtime.unit_of_work() as db:
        db.execute(text("TRUNCATE users, invitations, downloads, stored_settings, integrations CASCADE"))
    return PlainBrowser(door)


@pytest.fixture
def me(nobody: PlainBrowser) -> PlainBrowser:
    """The browser of the administrator who was just made."""
    nobody.open("welcome")
    nobody.send("welcome", **ME)
    return nobody


class TestTheAdministrator:
    def test_every_way_leads_there_while_nobody_is_there(self, nobody: PlainBrowser) -> None:
        nobody.open("")

        assert nobody.path == "/welcome"
        assert "Who looks after this MediaNest?" in nobody.text

    def test_is_signed_in_and_led_on(self, me: PlainBrowser) -> None:
        assert (me.page.status_code, me.path) == (200, "/welcome/plex")

        me.open("welcome")

        assert me.path == "/welcome/plex"

    def test_a_weak_password_is_told_and_the_rest_kept(self, nobody: PlainBrowser, door: Door) -> None:
        nobody.open("welcome")

        answer = nobody.send("welcome", **{**ME, "password": "password1"})

        assert answer.status_code == 400
        assert 'value="Ines"' in answer.text
        assert 'id="password-error"' in answer.text
        with door.runtime.reading() as db:
            assert db.scalar(select(func.count()).select_from(User)) == 0

    def test_there_is_one(self, nobody: PlainBrowser, door: Door) -> None:
        late = PlainBrowser(door)
        nobody.open("welcome")
        late.open("welcome")
        nobody.send("welcome", **ME)

        late.send("welcome", **{**ME, "email": "mallory@example.org"})

        assert late.path.startswith("/sign-in")
        with door.runtime.reading() as db:
            assert db.scalars(select(User.email)).all() == ["ines@example.org"]

    def test_not_by_a_name_that_is_not_ours(self, nobody: PlainBrowser, door: Door) -> None:
        elsewhere = {"base_url": "http://nest.evil.example", "headers": {"Accept": "text/html"}}
        nobody.page = nobody.client.get("/welcome", **elsewhere)

        answer = nobody.client.post("/welcome", data={**nobody.hidden("welcome"), **ME}, **elsewhere)

        assert answer.status_code == 403
        assert "an address of the server itself" in answer.text
        with door.runtime.reading() as db:
            assert db.scalar(select(func.count()).select_from(User)) == 0

    def test_in_production_with_the_setup_token(self, nobody: PlainBrowser, door: Door) -> None:
        settings = door.runtime.settings
        with opened(settings, app_env="production", setup_token="t" * 20) as production:
            page = production.stranger().get("/welcome").text

        assert 'name="setupToken"' in page
        nobody.open("welcome")
        assert 'name="setupToken"' not in nobody.page.text


class TestTheSteps:
    def test_what_does_not_answer_is_told_and_not_stored(self, me: PlainBrowser) -> None:
        me.open("welcome/plex")

        answer = me.send("welcome/plex/address", url="http://127.0.0.1:9", token="token")

        assert answer.status_code == 400
        assert 'value="http://127.0.0.1:9"' in answer.text
        assert 'id="url-error"' in answer.text
        me.open("welcome/plex")
        assert "Connect your Plex server" in me.text

    def test_overseerr_too(self, me: PlainBrowser) -> None:
        me.open("welcome/keys")

        answer = me.send("welcome/keys/overseerr", overseerrUrl="http://127.0.0.1:9", overseerrToken="key")

        assert answer.status_code == 400
        assert 'id="overseerrUrl-error"' in answer.text  # nothing listens there
        me.send("welcome/keys/overseerr", overseerrUrl="nonsense", overseerrToken="key")
        assert 'id="overseerrUrl-error"' in me.page.text

    def test_a_mail_server_is_tried_before_it_is_kept(
        self, me: PlainBrowser, door: Door, mail_server: MailServer
    ) -> None:
        me.open("welcome/keys")
        me.send("welcome/keys/mail", smtpUrl="smtp://127.0.0.1:9")
        assert me.page.status_code == 400
        assert 'id="smtpUrl-error"' in me.page.text

        me.open("welcome/keys")
        me.send("welcome/keys/mail", smtpUrl=mail_server.url())

        assert me.page.status_code == 200, me.text
        with door.runtime.reading() as db:
            assert "smtp_url" in stored_texts(db)

    def test_the_folder_of_the_downloads(self, me: PlainBrowser) -> None:
        me.open("welcome/folders")

        assert "Downloads have a place" in me.text
        assert "Can be written" in me.text

    def test_the_first_download_is_shown_on_its_way(self, me: PlainBrowser, door: Door) -> None:
        me.open("welcome/download")
        me.send("welcome/download", url="http://elsewhere.example/video")
        assert me.page.status_code == 400
        assert 'id="url-error"' in me.page.text

        me.open("welcome/download")
        me.send("welcome/download", url="http://127.0.0.1/video.mp4")

        assert "It is on its way" in me.text
        assert "Waiting for its turn" in me.text
        with door.runtime.reading() as db:
            assert db.scalar(select(func.count()).select_from(Download)) == 1

    def test_an_invitation_is_a_link_that_is_shown_once(self, me: PlainBrowser, door: Door) -> None:
        me.open("welcome/invite")
        me.send("welcome/invite", email="ruth@example.org", role="user")

        assert "One person is invited" in me.text
        link = re.findall(r'id="new-link" value="[^"]*?/(invitation[^"]+)"', me.page.text)[0]
        me.open("welcome/invite")
        assert link not in me.page.text
        assert "ruth@example.org" in me.text
        guest = PlainBrowser(door)
        guest.open(link)
        assert "You are invited to MediaNest" in guest.text
