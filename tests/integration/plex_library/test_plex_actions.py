"""Questions and actions that go through plexapi keep the promises of every other call to a Plex server."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.clients.plex.actions import accounts, scan
from engine.clients.plex.errors import PlexError, PlexGarbled, PlexGone, PlexUnauthorized, PlexUnreachable
from engine.clients.plex.queries import PlexQuestions
from tests.fakes.plex_server import PlexDouble
from tests.fakes.raw_site import RawSite, endless, head

TOKEN = "s3cr3t-token"
SCAN = "/library/sections/1/refresh?path=%2Fmedia%2Fa+%26+b"
HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@pytest.fixture
def site() -> Iterator[RawSite]:
    with RawSite() as found:
        yield found


@pytest.fixture
def client(site: RawSite) -> Iterator[PlexQuestions]:
    with PlexQuestions(site.url, TOKEN, "our-id", seconds=5.0) as found:
        yield found


def test_a_scan_is_one_request_in_our_name(site: RawSite, client: PlexQuestions) -> None:
    site.answers[SCAN] = [head(Content_Length="0")]

    scan(client, "1", "/media/a & b")

    assert site.asked == [SCAN]
    said = site.said[SCAN].splitlines()
    assert {f"X-Plex-Token: {TOKEN}", "X-Plex-Client-Identifier: our-id", "X-Plex-Product: MediaNest"} <= set(
        said
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html><p>done", b"{}", HEAD + b'<MediaContainer size="0"/>', b"\xff\x00"]
)
def test_what_a_scan_is_answered_does_not_matter(site: RawSite, client: PlexQuestions, body: bytes) -> None:
    site.answers[SCAN] = [head(), body]

    scan(client, "1", "/media/a & b")

    assert site.asked == [SCAN]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("401 Unauthorized", PlexUnauthorized), ("403 Forbidden", PlexUnauthorized), ("404 Not Found", PlexGone),
        ("400 Bad Request", PlexGarbled), ("302 Found", PlexGarbled), ("498 Odd", PlexGarbled),
        ("503 Service Unavailable", PlexUnreachable),
    ],
)  # fmt: skip
def test_a_status_is_an_error_of_our_family(
    site: RawSite, client: PlexQuestions, status: str, kind: type[PlexError]
) -> None:
    for path in (SCAN, "/accounts"):
        site.answers[path] = [head(status, Location=f"{site.url}/elsewhere"), TOKEN.encode()]

    for ask in (lambda: scan(client, "1", "/media/a & b"), lambda: accounts(client)):
        with pytest.raises(kind) as error:
            ask()
        assert error.type is kind
        assert (TOKEN in str(error.value), site.url in str(error.value)) == (False, False)
    assert site.asked == [SCAN, "/accounts"]


def test_the_people_that_a_server_knows() -> None:
    with PlexDouble() as plex, PlexQuestions(plex.url, plex.token, "our-id") as client:
        plex.library.add_account("ann")
        assert list(accounts(client).values()) == ["owner", "ann"]
        assert [seen.path for seen in plex.requests] == ["/accounts"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"<html>", HEAD + b'<MediaContainer size="1"><Account id="1" name="a"',
        HEAD + b'<!DOCTYPE a [<!ENTITY b "c">]><MediaContainer><Account id="1" name="&b;"/></MediaContainer>',
        HEAD + b'<MediaContainer><Account id="1" autoSelectAudio="perhaps"/></MediaContainer>',
    ],
)  # fmt: skip
def test_what_is_no_list_of_people_is_none(site: RawSite, client: PlexQuestions, body: bytes) -> None:
    site.answers["/accounts"] = [head(type="text/xml"), body]

    with pytest.raises(PlexGarbled):
        accounts(client)


def test_one_bad_character_costs_itself(site: RawSite, client: PlexQuestions) -> None:
    body = HEAD + b'<MediaContainer size="1"><Account id="1" name="a\x01caf\xe9"/></MediaContainer>'
    site.answers["/accounts"] = [head(), body]

    assert accounts(client) == {1: "a\ufffdcaf\ufffd"}


def test_a_list_whose_total_is_wrong_comes_to_an_end(site: RawSite, client: PlexQuestions) -> None:
    body = HEAD + b'<MediaContainer totalSize="999999999"><Account id="1" name="a"/></MediaContainer>'
    site.answers["/accounts"] = [head(), body]

    with pytest.raises(PlexGarbled):
        accounts(client)

    assert len(site.asked) < 10


def test_a_flood_is_bounded(site: RawSite, client: PlexQuestions) -> None:
    site.answers["/accounts"] = lambda: itertools.chain([head()], endless())

    with pytest.raises(PlexGarbled):
        accounts(client)


def test_nothing_of_plexapis_own_configuration_counts(site: RawSite, tmp_path: Path) -> None:
    """In a process of its own: plexapi reads file and environment when it is imported."""
    config = tmp_path / "config.ini"
    config.write_text(
        "[auth]\nserver_token = theirs\n[header]\nidentifier = theirs\n[log]\nshow_secrets = true\n"
    )
    others = {"PLEXAPI_AUTH_SERVER_BASEURL": "http://127.0.0.1:9", "PLEXAPI_LOG_LEVEL": "DEBUG"}
    site.answers[SCAN] = [head("498 Odd"), b"no"]
    code = f"""
        import logging
        logging.basicConfig(level=logging.DEBUG)
        from engine.clients.plex.actions import scan
        from engine.clients.plex.queries import PlexQuestions
        scan(PlexQuestions({site.url!r}, {TOKEN!r}, "our-id"), "1", "/media/a & b")
    """

    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PLEXAPI_CONFIG_PATH": str(config), **others},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "PlexGarbled" in found.stderr
    assert TOKEN not in found.stdout + found.stderr.replace(json.dumps(TOKEN), "")
    assert site.asked == [SCAN]
    assert f"X-Plex-Token: {TOKEN}\n" in site.said[SCAN]
    assert "theirs" not in site.said[SCAN]
