"""A stream in pieces outlives its worker: killed with all its processes, its successor goes on after the last piece."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes.piece_site import PieceSite
from faults.pieces import packets
from stack import Client, Stack, eventually, running

pytestmark = pytest.mark.long


@pytest.fixture
def site() -> Iterator[PieceSite]:
    with PieceSite() as served:
        yield served


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str) -> Iterator[Stack]:
    built = Stack(tmp_path_factory.mktemp("stack"), database_url, redis_url, DOWNLOAD_RETRY_SECONDS="0.2")
    with running(built):
        built.start_web()
        built.start_maintenance()
        built.start_beat()
        built.start_worker("one")
        yield built


def test_a_worker_that_is_killed_costs_no_piece_that_was_there(stack: Stack, site: PieceSite) -> None:
    client: Client = stack.bootstrap()
    whole = client.download(f"{site.url}/pieces/aes-fmp4/whole/index.m3u8")["id"]
    model = client.wait(whole, "completed", seconds=60)
    url, pieces = f"{site.url}/pieces/aes-fmp4/killed/index.m3u8", site.pieces("aes-fmp4", "killed")

    site.hold(pieces[3])
    download_id = client.download(url)["id"]
    site.wait_held()
    (journal,) = eventually(lambda: list((stack.folder / "work" / download_id).glob("*.journal")), 10)
    eventually(lambda: journal.read_bytes().count(b"\n") == 3, 10)
    stack.kill_group("one")
    site.let_go()
    before = len(site.requests)
    stack.start_worker("one")
    row = client.wait(download_id, "completed", seconds=60)

    files = [packets(stack.downloads / found["file"]["path"]) for found in (row, model)]
    assert files[0] == files[1]
    asked = [(seen.path, seen.range) for seen in site.requests[before:]]
    assert [piece in asked for piece in pieces] == [False] * 3 + [True] * 2
