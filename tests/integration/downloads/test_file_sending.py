"""Files over a real web server: of any size, to many clients at once, none of whom holds up anybody else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest
import requests
from house import House, Person, opened_house
from published import path_of, published
from sqlalchemy import text
from stack import eventually

from models.download import Download

THREADS = 2
LARGE = 6 << 30
BODY = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def module_house(postgres: str, short_tmp: Path) -> Iterator[House]:
    with opened_house(postgres, short_tmp / "files", WEB_THREADS=str(THREADS), WEB_CONCURRENCY="1") as house:
        yield house


@pytest.fixture(scope="module")
def ann(module_house: House) -> Person:
    return module_house.person()


@pytest.fixture(scope="module")
def large(module_house: House, ann: Person) -> Download:
    """6 GB, nearly all of them a hole that takes no room on the disk."""
    return published(module_house.runtime, owner_id=ann.id, size=LARGE)


@pytest.fixture(scope="module")
def film(module_house: House, ann: Person) -> Download:
    return published(module_house.runtime, BODY, owner_id=ann.id)


def address(house: House, row: Download) -> str:
    return f"{house.stack.url}/api/v1/youtube/downloads/{row.id}/file"


def proof(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


def asked(house: House, person: Person, row: Download) -> socket.socket:
    """A connection that has asked for a file, and reads nothing of it by itself."""
    client = socket.create_connection(("127.0.0.1", house.stack.port), timeout=10)
    head = f"GET /api/v1/youtube/downloads/{row.id}/file HTTP/1.1\r\nHost: x\r\n"
    client.sendall(f"{head}Authorization: Bearer {person.token}\r\n\r\n".encode())
    return client


def begun(client: socket.socket) -> bytes:
    """What has come with the headers."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(4096)
    assert data.startswith(b"HTTP/1.1 200"), data
    return data.partition(b"\r\n\r\n")[2]


def test_a_file_arrives_whole_and_the_connection_goes_on(
    module_house: House, ann: Person, film: Download
) -> None:
    with requests.Session() as session:
        session.headers.update(proof(ann))
        url = address(module_house, film)
        for _ in range(2):
            answer = session.get(url, timeout=20)
            assert answer.content == BODY
            part = session.get(url, headers={"Range": "bytes=1000000-1000099"}, timeout=20)
            assert (part.status_code, part.content) == (206, BODY[1_000_000:1_000_100])
            head = session.head(url, timeout=20)
            assert (head.headers["Content-Length"], head.content) == (str(len(BODY)), b"")
            same = session.get(url, headers={"If-None-Match": answer.headers["ETag"]}, timeout=20)
            assert (same.status_code, same.content) == (304, b"")


def test_a_large_file_is_never_in_memory(module_house: House, ann: Person, large: Download) -> None:
    url, web = address(module_house, large), worker(module_house)
    near = requests.get(url, headers=proof(ann) | {"Range": f"bytes={LARGE - 10}-"}, timeout=20)
    assert (near.status_code, near.content) == (206, bytes(10))
    assert near.headers["Content-Range"] == f"bytes {LARGE - 10}-{LARGE - 1}/{LARGE}"

    before, read, buffer = web.memory_info().rss, 0, bytearray(1 << 20)
    with closing(asked(module_house, ann, large)) as client:
        begun(client)
        while read < 512 << 20:
            read += client.recv_into(buffer)
        grown = web.memory_info().rss - before

    assert grown < 16 << 20


def worker(house: House) -> psutil.Process:
    """The process that serves."""
    (found,) = psutil.Process(house.stack.processes["web"].pid).children()
    return found


def test_clients_that_do_not_read_hold_up_nobody(
    module_house: House, ann: Person, large: Download, film: Download
) -> None:
    with ExitStack() as life:
        stalled = [life.enter_context(closing(asked(module_house, ann, large))) for _ in range(4 * THREADS)]
        for client in stalled:
            begun(client)

        answer = requests.get(address(module_house, film), headers=proof(ann), timeout=5)

        assert answer.content == BODY
        assert requests.get(f"{module_house.stack.url}/health", timeout=5).ok
        assert idle_in_transaction(module_house) == 0


def idle_in_transaction(house: House) -> int:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    )
    with house.runtime.reading() as db:
        return int(db.execute(text(query)).scalar_one())


def test_a_file_that_gets_shorter_is_broken_off(module_house: House, ann: Person) -> None:
    """The client must not take the next answer for the rest of the file."""
    row = published(module_house.runtime, owner_id=ann.id, size=64 << 20)
    with closing(asked(module_house, ann, row)) as client:
        read = len(begun(client))
        os.truncate(path_of(module_house.runtime, row), 1 << 20)

        while data := client.recv(1 << 20):
            read += len(data)

    assert read < 64 << 20


def test_who_leaves_in_the_middle_leaves_nothing_open(
    module_house: House, ann: Person, large: Download
) -> None:
    web = worker(module_house)
    with closing(asked(module_house, ann, large)) as client:
        begun(client)
        assert holds_open(web, large)

    eventually(lambda: not holds_open(web, large))


def holds_open(process: psutil.Process, row: Download) -> bool:
    assert row.file is not None
    return any(each.path.endswith(str(row.file["path"])) for each in process.open_files())
