"""A stream whose attempts are killed, at every piece and between any two steps, is the same as one that nothing disturbed."""

from __future__ import annotations

import random
import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

import av
import pytest

from tests.fakes.attempts import Attempts
from tests.fakes.piece_site import KINDS, PieceSite, index
from tests.fakes.stream_attempts import STREAM, StreamAttempts
from tests.stack import eventually

PIECES = [kind for kind in KINDS if kind != "plain"]
SLOWLY = {"ranges-fmp4", "dash-ranges"}  # mixtures of the others


@pytest.fixture(scope="module")
def whole(piece_site: PieceSite, attempts: Attempts, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The stream of a kind as it comes undisturbed, fetched once."""
    fetched: dict[str, Path] = {}

    def undisturbed(kind: str) -> Path:
        if kind not in fetched:
            folder = tmp_path_factory.mktemp(kind)
            one = StreamAttempts(attempts, f"{piece_site.url}/pieces/{kind}/whole/{index(kind)}", folder)
            one()
            fetched[kind] = one.stream
        return fetched[kind]

    return undisturbed


@pytest.fixture
def stream(piece_site: PieceSite, attempts: Attempts, tmp_path: Path) -> Any:
    def of(kind: str, name: str = "killed") -> StreamAttempts:
        return StreamAttempts(
            attempts, f"{piece_site.url}/pieces/{kind}/{name}/{index(kind)}", tmp_path / "work"
        )

    return of


def packets(path: Path) -> list[tuple[Any, ...]]:
    """Every packet of a film: its stream, times, size and bytes."""
    with av.open(f"file:{path}") as container:
        return [
            (packet.stream_index, packet.dts, packet.pts, packet.size, blake2b(bytes(packet)).hexdigest())
            for packet in container.demux()
        ]


def same(one: Path, other: Path) -> bool:
    found = packets(one)
    assert len(found) > 90
    return found == packets(other) and one.read_bytes() == other.read_bytes()


def test_every_kind_is_the_same_film(whole: Any) -> None:
    for kind in PIECES:
        assert whole(kind).read_bytes() == whole("ts" if "ts" in kind else "fmp4").read_bytes(), kind


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.long if kind in SLOWLY else ()) for kind in PIECES]
)
def test_killed_at_every_piece_it_goes_on_after_the_last_one_that_is_there(
    piece_site: PieceSite, whole: Any, stream: Any, kind: str
) -> None:
    one, pieces = stream(kind), piece_site.pieces(kind, "killed")

    for number, piece in enumerate(pieces):
        piece_site.hold(piece)
        with one.killed():
            piece_site.wait_held()
            eventually(lambda wanted=number: one.records() == wanted, 10)
        piece_site.let_go()
    before = len(piece_site.requests)
    one()

    assert same(one.stream, whole(kind))
    asked = [(seen.path, seen.range) for seen in piece_site.requests[before:]]
    assert [piece in asked for piece in pieces] == [False] * (len(pieces) - 1) + [True]


@pytest.mark.parametrize("kind", ["ts", "aes-fmp4", "dash-list"])
def test_killed_between_a_piece_and_its_record_that_piece_comes_again(
    piece_site: PieceSite, whole: Any, stream: Any, kind: str
) -> None:
    one, pieces = stream(kind, "unrecorded"), piece_site.pieces(kind, "unrecorded")
    with pytest.raises(RuntimeError, match="died"):
        one(dies_before_record=2)
    before = len(piece_site.requests)

    one()

    assert same(one.stream, whole(kind))
    asked = [(seen.path, seen.range) for seen in piece_site.requests[before:]]
    assert [piece in asked for piece in pieces] == [False] * 2 + [True] * (len(pieces) - 2)


def _torn(one: StreamAttempts) -> None:
    path = one.folder / f"{STREAM}.journal"
    path.write_bytes(path.read_bytes()[:-9])


def _no_line_end(one: StreamAttempts) -> None:
    path = one.folder / f"{STREAM}.journal"
    path.write_bytes(path.read_bytes()[:-1])


def _garbled(one: StreamAttempts) -> None:
    path = one.folder / f"{STREAM}.journal"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"asked": 5}\n']))


def _altered(one: StreamAttempts) -> None:
    part = one.folder / f"{STREAM}.part"
    body = bytearray(part.read_bytes())
    body[-5] ^= 1
    part.write_bytes(body)


def _shorter(one: StreamAttempts) -> None:
    part = one.folder / f"{STREAM}.part"
    part.write_bytes(part.read_bytes()[:-1])


def _longer(one: StreamAttempts) -> None:
    with (one.folder / f"{STREAM}.part").open("ab") as part:
        part.write(bytes(1_000_000))


def _no_journal(one: StreamAttempts) -> None:
    (one.folder / f"{STREAM}.journal").unlink()


def _no_part(one: StreamAttempts) -> None:
    (one.folder / f"{STREAM}.part").unlink()


@pytest.mark.parametrize(
    ("damage", "held"),
    [
        (_torn, 2),
        (_no_line_end, 2),
        (_garbled, 2),
        (_altered, 2),
        (_shorter, 2),
        (_longer, 3),
        (_no_journal, 0),
        (_no_part, 0),
    ],
)
def test_what_does_not_fit_its_record_is_fetched_again(
    piece_site: PieceSite, whole: Any, stream: Any, damage: Any, held: int
) -> None:
    one, pieces = stream("fmp4", damage.__name__), piece_site.pieces("fmp4", damage.__name__)
    piece_site.hold(pieces[3])
    with one.killed():
        piece_site.wait_held()
        eventually(lambda: one.records() == 3, 10)
    piece_site.let_go()
    damage(one)
    before = len(piece_site.requests)

    one()

    assert same(one.stream, whole("fmp4"))
    asked = [(seen.path, seen.range) for seen in piece_site.requests[before:]]
    assert [piece in asked for piece in pieces] == [False] * held + [True] * (len(pieces) - held)


def test_a_playlist_that_was_cut_anew_is_gone_on_with_after_the_last_piece_that_fits(
    piece_site: PieceSite, whole: Any, stream: Any
) -> None:
    one, pieces = stream("ts", "anew"), piece_site.pieces("ts", "anew")
    path = "/pieces/ts/anew/index.m3u8"
    text = piece_site.body(path).decode()
    piece_site.playlists[path] = text.replace("144-001.ts", "144-003.ts").replace(".ts", ".ts?token=one")
    piece_site.hold(pieces[2])
    with one.killed():
        piece_site.wait_held()
        eventually(lambda: one.records() == 2, 10)
    piece_site.let_go()
    piece_site.playlists[path] = text.replace(".ts", ".ts?token=two")
    before = len(piece_site.requests)

    one()

    assert same(one.stream, whole("ts"))
    asked = [(seen.path, seen.range) for seen in piece_site.requests[before:]]
    assert [piece in asked for piece in pieces] == [False, True, True, True]


def test_killed_at_any_byte_a_plain_file_goes_on(
    piece_site: PieceSite, whole: Any, attempts: Attempts, tmp_path: Path
) -> None:
    for number, at in enumerate((0, 1, 5000, 200_001, 599_999)):
        url = f"{piece_site.url}/pieces/plain/killed/film.mp4?gate=plain{number}&after={at}&skip=1"
        one = StreamAttempts(attempts, url, tmp_path / "work")
        part = one.folder / f"{STREAM}.part"
        with one.killed():
            piece_site.gate(f"plain{number}").wait_held(30)
            eventually(lambda part=part, at=at: part.stat().st_size >= at // 2, 10)
        piece_site.release(f"plain{number}")
    one()

    assert same(one.stream, whole("plain"))
    assert [seen.status for seen in piece_site.asked("/pieces/plain/killed/film.mp4")].count(206) >= 3


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_it_is_still_the_same(
    piece_site: PieceSite, whole: Any, attempts: Attempts, tmp_path: Path, kind: str
) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    chance = random.Random(seed)
    print("seed", seed)
    for turn in range(4):
        url = f"{piece_site.url}/pieces/{kind}/random{turn}/{index(kind)}"
        one = StreamAttempts(attempts, url, tmp_path / f"work{turn}")
        for _ in range(6):
            piece_site.hold(chance.choice(piece_site.pieces(kind, f"random{turn}")))
            with one.killed():
                eventually(lambda one=one: piece_site.is_held() or one.stream.exists(), 20)
                time.sleep(chance.random() / 20)
            piece_site.let_go()
        one()
        assert same(one.stream, whole(kind))
