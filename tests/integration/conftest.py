"""The doors, people, servers and sites that many files of tests ask for; a file overrides `door` with one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import pytest
from catalogues import connected, synced
from door import Door, Person, opened_once
from factories import make_download, make_user
from house import House, opened_house
from sqlalchemy import text
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.runtime import Runtime
from tests.fakes.file_site import FileSite
from tests.fakes.mail_server import MailServer
from tests.fakes.piece_site import PieceSite
from tests.fakes.plex_server import PlexDouble
from tests.fakes.plextv import FakePlexServer, FakePlexTv
from tests.fakes.raw_site import RawSite
from tests.fakes.video_site import VideoSite

if TYPE_CHECKING:  # both import yt-dlp, which takes a second: only tests that ask for them wait for it
    from tests.fakes.attempts import Attempts
    from tests.fakes.one_stream import Stream

T = TypeVar("T")

# --- the API in this process ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def door(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One for all tests of a file: they share its database, and there is no Redis."""
    with opened_once(postgres, tmp_path_factory.mktemp("door")) as door:
        yield door


@pytest.fixture
def own_door(runtime: Runtime) -> Door:
    """One for a single test, with an empty database and an empty Redis."""
    return Door(runtime)


@pytest.fixture
def synced_door(settings: Settings, plex: PlexDouble) -> Iterator[Door]:
    """One for a single test, whose catalogue is that of the file's `plex`."""
    with connected(settings, plex) as door:
        synced(door.runtime)
        yield door


@pytest.fixture
def empty_users(door: Door) -> None:
    """Remove what tests before this one left of users in the database of `door`."""
    with door.runtime.unit_of_work() as db:
        db.execute(text("TRUNCATE users, audit_entries, mails, invitations CASCADE"))


@pytest.fixture
def ann(door: Door) -> Person:
    return door.person()


@pytest.fixture
def admin(door: Door) -> Person:
    return door.person("admin")


@pytest.fixture
def chief(door: Door) -> Person:
    return door.person("super_admin")


@pytest.fixture
def own_admin(own_door: Door) -> Person:
    return own_door.person("admin")


@pytest.fixture
def guest(synced_door: Door) -> Person:
    return synced_door.person("guest")


# --- rows -------------------------------------------------------------------------------------------------------


@pytest.fixture
def db(runtime: Runtime) -> Iterator[Session]:
    """A session that commits after the test."""
    with runtime.unit_of_work() as session:
        yield session


@pytest.fixture
def row_id(runtime: Runtime) -> str:
    """The id of a queued download."""
    with runtime.unit_of_work() as db:
        return make_download(db, make_user(db)).id


# --- a web process with sockets ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def module_house(postgres: str, short_tmp: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """One for all tests of a file."""
    with opened_house(postgres, short_tmp / request.path.stem) as house:
        yield house


@pytest.fixture
def house(module_house: House) -> Iterator[House]:
    """That of the file; sockets are closed after each test."""
    yield module_house
    while module_house.sockets:
        module_house.sockets.pop().shutdown()


# --- servers of others ------------------------------------------------------------------------------------------

Scope = Literal["function", "module"]


def _running(make: Callable[[], AbstractContextManager[T]], scope: Scope) -> Callable[..., Iterator[T]]:
    """A fixture: a server that runs for a test, or for all tests of a file."""

    @pytest.fixture(scope=scope)
    def started() -> Iterator[T]:
        with make() as running:
            yield running

    return started


plextv = _running(FakePlexTv, "function")
module_plextv = _running(FakePlexTv, "module")
plex_server = _running(FakePlexServer, "function")
module_plex_server = _running(FakePlexServer, "module")
mail_server = _running(MailServer, "function")
video_site = _running(VideoSite, "module")
piece_site = _running(PieceSite, "module")
raw_site = _running(RawSite, "module")
file_site = _running(FileSite, "module")


@pytest.fixture(scope="session")
def attempts() -> Iterator[Attempts]:
    from tests.fakes.attempts import Attempts  # see above

    with Attempts() as running:
        yield running


@pytest.fixture
def stream(piece_site: PieceSite, tmp_path: Path) -> Stream:
    """Fetches a path of the site into the test's folder."""
    from tests.fakes.one_stream import Stream  # see above

    return Stream(piece_site, tmp_path)
