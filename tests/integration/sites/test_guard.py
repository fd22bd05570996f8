"""Nothing that a URL leads to reaches a private network: a canary on loopback that must never be touched."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from factories import make_user

from config.redis import make_redis
from config.settings import Settings
from engine.clients import egress_guard
from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import FetchSpec
from engine.clients.media import ffmpeg
from engine.clients.media.examination import Examined
from engine.clients.media.packets import Contents
from engine.clients.media.probe import NotMediaError, Probe, probe
from engine.clients.ytdlp import entry as fetching
from engine.clients.ytdlp.options import deno_path
from engine.downloads import downloads
from engine.downloads import work as download_work
from engine.downloads.previews import previews
from engine.downloads.previews import work as preview_work
from engine.job_names import Job
from engine.jobs.runner import run_next
from engine.runtime import Runtime
from models.download import Download, Preview
from tests.fakes import lures, media
from tests.fakes.attempts import Attempts, Order, after_install, connect, fetch, fetch_with_memory
from tests.fakes.video_site import VideoSite

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


class Canary:
    """Listens, answers nothing, and counts who came."""

    def __init__(self, host: str, port: int = 0) -> None:
        self._socket = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        self.host, self.port = host, self._socket.getsockname()[1]
        self._came, self._marked = 0, threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                visitor, _ = self._socket.accept()
                with visitor, suppress(OSError):
                    visitor.settimeout(1)
                    if visitor.recv(6) == b"marker":
                        self._marked.release()
                    else:
                        self._came += 1

    def touched(self) -> int:
        """How many have come so far: those before a visitor of our own, for the line is served in order."""
        with closing(socket.create_connection((self.host, self.port), 10)) as marker:
            marker.sendall(b"marker")
            assert self._marked.acquire(timeout=10)
        came, self._came = self._came, 0
        return came

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def site() -> Iterator[VideoSite]:
    """What stands for the public internet: an address of its own, which the guard is told to let pass."""
    with VideoSite("127.0.0.2") as running:
        yield running


@pytest.fixture(scope="module")
def canary(site: VideoSite) -> Iterator[Canary]:
    """On the site's port, so that a name needs only another address to lead here."""
    with closing(Canary("127.0.0.1", site.port)) as running:
        yield running


@pytest.fixture
def order(attempts: Attempts, site: VideoSite, canary: Canary, tmp_path: Path) -> Any:
    """Fetches a URL in a process of its own; `{site}` and `{canary}` in it are their addresses."""

    def carry_out(url: str, *, allow_private: bool = False, **more: Any) -> Any:
        url = url.replace("{site}", site.url).replace("{canary}", f"127.0.0.1:{canary.port}")
        url = url.replace("{port}", str(site.port))
        spec = FetchSpec(
            url=url, quality="best", format="mp4", work_dir=tmp_path / "work", ffmpeg=FFMPEG,
            socket_timeout=3, allow_private=allow_private,
        )  # fmt: skip
        allowed = frozenset({("127.0.0.2", site.port)})
        return attempts(Order(call=partial(fetch, spec), allowed=allowed, **more))

    canary.touched()
    return carry_out


NAMES = {"inside.example": (("127.0.0.1", 0),)}
SPELLINGS = [
    "http://{canary}/a.mp4",
    "http://2130706433:{port}/a.mp4",
    "http://0x7f000001:{port}/a.mp4",
    "http://0177.0.0.1:{port}/a.mp4",
    "http://127.1:{port}/a.mp4",
    "http://[::ffff:127.0.0.1]:{port}/a.mp4",
    "http://[::ffff:7f00:1]:{port}/a.mp4",
    "http://0.0.0.0:{port}/a.mp4",
    "http://localhost:{port}/a.mp4",
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/a.mp4",
    "http://public.example@{canary}/a.mp4",
    "http://public.example:80@{canary}/a.mp4",
    "http://{canary}#@public.example/a.mp4",
    "http://inside.example:{port}/a.mp4",
]
INDIRECT = [
    "{site}/redirect?to=http://{canary}/a.mp4",
    "{site}/redirect?to=/redirect?to=http://2130706433:{port}/a.mp4",
    *(
        f"{{site}}/away/{kind}/x?to=http://{{canary}}/a.{'m3u8' if kind in {'source', 'hls-variant'} else 'mp4'}"
        for kind in lures.KINDS
        if kind != "thumbnail"
    ),
    "{site}/away/video/x?to={site}/redirect?to=http://{canary}/a.mp4",
    "{site}/away/hls-segment/x?to={site}/redirect?to=http://{canary}/a.ts",
    "{site}/away/hls-key/x?to={site}/redirect?to=http://{canary}/key",
]


def resolved(port: int) -> dict[str, tuple[tuple[str, int], ...]]:
    """A name for the canary."""
    return {name: tuple((address, port) for address, _ in places) for name, places in NAMES.items()}


@pytest.mark.parametrize("url", [*SPELLINGS, *INDIRECT])
def test_the_canary_is_never_touched(order: Any, canary: Canary, url: str) -> None:
    with pytest.raises(FetchError) as failed:
        order(url, names=resolved(canary.port))

    assert canary.touched() == 0
    assert (failed.value.kind, failed.value.retry) == ("blocked_address", "never")
    assert "private network" in failed.value.message
    assert "127.0.0.1" not in failed.value.message + failed.value.advice


@pytest.mark.parametrize(
    "url", [SPELLINGS[0], *(pytest.param(url, marks=pytest.mark.long) for url in SPELLINGS[1:]), *INDIRECT]
)
def test_without_the_guard_each_of_them_reaches_the_canary(order: Any, canary: Canary, url: str) -> None:
    with pytest.raises(FetchError):
        order(url, names=resolved(canary.port), guarded=False)

    assert canary.touched() > 0


@pytest.mark.parametrize(("guarded", "touched"), [(True, False), (False, True)])
def test_a_picture_from_inside_is_left_out(
    order: Any, site: VideoSite, canary: Canary, guarded: bool, touched: bool
) -> None:
    got = order("{site}/away/thumbnail/x?to=http://{canary}/a.jpg", guarded=guarded)

    assert bool(canary.touched()) is touched
    assert probe(got.path).has_video


@pytest.mark.parametrize(("guarded", "touched"), [(True, False), (False, True)])
@pytest.mark.parametrize(
    "path",
    ["/direct/x.mp4?no_length=1", "/away/video/x?no_length=1&to=http://rebinding.example:{port}/x.mp4"],
)
def test_a_name_that_changes_its_mind_leads_nowhere(
    order: Any, site: VideoSite, canary: Canary, path: str, guarded: bool, touched: bool
) -> None:
    names = {"rebinding.example": (("127.0.0.2", site.port), ("127.0.0.1", canary.port))}

    with pytest.raises(FetchError) as failed:
        order(f"http://rebinding.example:{{port}}{path}", names=names, guarded=guarded)

    assert site.asked(path.partition("?")[0])
    assert bool(canary.touched()) is touched
    assert (failed.value.kind == "blocked_address") is guarded


def test_a_public_address_passes(order: Any, site: VideoSite) -> None:
    assert order("{site}/direct/public.mp4").path.read_bytes() == site.body("/direct/public.mp4")


def test_private_networks_pass_where_they_are_allowed_but_the_metadata_service_never(
    order: Any, canary: Canary
) -> None:
    with pytest.raises(FetchError, match="network"):
        order("http://{canary}/a.mp4", allow_private=True)
    assert canary.touched() > 0

    for url in ("http://169.254.169.254/latest/meta-data", "{site}/redirect?to=http://[fd00:ec2::254]/x"):
        with pytest.raises(FetchError, match="blocked_address"):
            order(url, allow_private=True)


def test_previews_are_guarded_too(attempts: Attempts, canary: Canary) -> None:
    look = partial(
        fetching.preview, f"http://127.0.0.1:{canary.port}/a.mp4",
        timeout=3, generic=True, allow_private=False,
    )  # fmt: skip
    with pytest.raises(FetchError, match="blocked_address"):
        attempts(Order(call=look))
    assert canary.touched() == 0


def test_proxies_of_the_environment_are_not_used(order: Any, site: VideoSite, canary: Canary) -> None:
    proxy = f"http://127.0.0.1:{canary.port}"
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

    got = order("{site}/direct/proxied.mp4", environment=dict.fromkeys(names, proxy))

    assert got.path.read_bytes() == site.body("/direct/proxied.mp4")
    assert canary.touched() == 0


def test_a_page_made_to_fill_the_memory_ends_its_attempt_only(
    attempts: Attempts, site: VideoSite, tmp_path: Path
) -> None:
    site.pages["/large"] = "<!DOCTYPE html><html><body>" + " " * 20_000_000
    spec = FetchSpec(
        url=f"{site.url}/large",
        quality="best",
        format="mp4",
        work_dir=tmp_path,
        ffmpeg=FFMPEG,
        socket_timeout=5,
    )
    allowed = frozenset({("127.0.0.2", site.port)})

    error, free_again = attempts(Order(call=partial(fetch_with_memory, 20 << 20, spec), allowed=allowed))

    assert (error.kind, error.retry) == ("unreadable", "again_once")
    assert free_again


@pytest.mark.parametrize("private", [False, True])
def test_a_job_is_guarded_as_the_settings_say(
    settings: Settings, rung: list[Job], canary: Canary, monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    canary.touched()
    known, place = socket.getaddrinfo, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", canary.port))
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **by: [place] if host == "inside.example" else known(host, *more, **by),
    )
    url = f"http://inside.example:{canary.port}/a.mp4"
    settings = replace(
        settings, download_allow_private_networks=private, download_allowed_hosts=("*",), preview_seconds=60.0
    )
    runtime = Runtime(settings, make_redis(settings), rung.append)
    with runtime.unit_of_work() as db:
        user = make_user(db)
        download, _ = downloads.create(db, settings, user_id=user.id, url=url)
        preview = previews.request(db, settings, user_id=user.id, url=url)
        wanted = download.id, preview.id

    assert run_next(runtime, download_work.DOWNLOAD, download_work.work)
    seen_by_download = canary.touched()
    assert run_next(runtime, preview_work.PREVIEW, preview_work.work)
    seen_by_preview = canary.touched()

    with runtime.unit_of_work() as db:
        row, look = db.get(Download, wanted[0]), db.get(Preview, wanted[1])
        assert row is not None
        assert look is not None
        found = [(row.error or {}).get("kind"), (look.error or {}).get("kind")]
    runtime.database.close()
    runtime.redis.close()
    assert found == (["network", "network"] if private else ["blocked_address", "blocked_address"])
    assert (bool(seen_by_download), bool(seen_by_preview)) == (private, private)


def test_there_is_no_other_door_to_yt_dlp() -> None:
    way = re.compile(
        r"engine\.clients\.(ytdlp(?!\.(entry|options) import)|streams)\b|clients import [^\n]*\b(ytdlp|streams)\b"
    )
    root = Path(egress_guard.__file__).parents[2]
    rooms = ("api", "cli", "engine", "schedules", "tasks")
    clients = root / "engine" / "clients"
    files = [file for room in rooms for file in (root / room).rglob("*.py") if clients not in file.parents]

    assert [str(file) for file in files if way.search(file.read_text())] == []


# --- every way that Python has of connecting --------------------------------------------------------------------


GUARDED = {"allow_private": False}


@pytest.mark.parametrize("how", ["connect", "connect_ex", "sendto", "sendmsg", "underneath"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "10.1.2.3", "169.254.169.254"])
def test_no_way_around(attempts: Attempts, how: str, host: str) -> None:
    with pytest.raises(egress_guard.BlockedAddressError):
        attempts(Order(call=partial(after_install, GUARDED, partial(connect, how, (host, 9)))))


def test_no_local_sockets(attempts: Attempts, tmp_path: Path) -> None:
    unix = partial(connect, "connect", str(tmp_path / "socket"), socket.AF_UNIX)
    with pytest.raises(egress_guard.BlockedAddressError):
        attempts(Order(call=partial(after_install, GUARDED, unix)))


PRIVATE = [
    *(
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
    ),
    *("192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.7", "::1", "fc00::1", "fdff::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::c0a8:101"),
]
NEVER = [
    *("0.0.0.0", "0.1.2.3", "169.254.0.1", "169.254.169.254", "169.254.170.2", "100.100.100.200"),
    *(
        "168.63.129.16",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.88.99.1",
        "::",
        "fe80::1",
    ),
    *(
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "::7f00:1",
    ),
    *(
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "3fff::1",
        "5f00::1",
        "100::1",
        "4000::1",
    ),
    *("::ffff:0:7f00:1", "2001:0:7f00:1::1", "::ffff:0.0.0.0"),
]
PUBLIC = [
    *("8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "192.0.1.1", "223.255.255.255"),
    *(
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2001:4860:4860::8888",
    ),
]


def test_what_is_public() -> None:
    assert [address for address in PRIVATE + NEVER if egress_guard.is_public(address)] == []
    assert [address for address in PUBLIC if not egress_guard.is_public(address)] == []


def test_what_is_refused_even_where_private_networks_are_allowed(attempts: Attempts) -> None:
    for address in NEVER:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with pytest.raises(egress_guard.BlockedAddressError):
            step = partial(connect, "sendto", (address, 9), family)
            attempts(Order(call=partial(after_install, {"allow_private": True}, step)))


# --- programs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "starts"),
    [
        ([FFMPEG, "-version"], True),
        ([deno_path(), "--version"], True),
        (["true"], False),
        ([FFMPEG, "-i", "http://127.0.0.1/a.mp4"], False),
        ([FFMPEG, "-i", "concat:http://127.0.0.1/a.mp4"], False),
        ([deno_path(), "run", "--allow-net", "-"], False),
        ([deno_path(), "run", "-A", "-"], False),
    ],
)
def test_only_our_programs_without_any_way_out_are_started(
    attempts: Attempts, command: list[str], starts: bool
) -> None:
    run = partial(subprocess.run, command, capture_output=True, check=True)
    order = Order(call=partial(after_install, {**GUARDED, "programs": (FFMPEG, deno_path())}, run))
    if starts:
        assert attempts(order).returncode == 0
    else:
        with pytest.raises(egress_guard.BlockedProgramError):
            attempts(order)


def test_javascript_has_no_network(canary: Canary) -> None:
    canary.touched()
    script = f"try {{ await fetch('http://127.0.0.1:{canary.port}/') }} catch (e) {{ console.log(e.name) }}"
    flags = ("--ext=js", "--no-code-cache", "--no-prompt", "--no-remote", "--no-lock", "--no-config")

    done = subprocess.run(
        [deno_path(), "run", *flags, "--cached-only", "-"],
        input=script, text=True, capture_output=True, check=False,
    )  # fmt: skip

    assert done.stdout.strip() == "NotCapable", done.stderr
    assert canary.touched() == 0


# --- ffmpeg -----------------------------------------------------------------------------------------------------


def film_with_reference(url: str) -> bytes:
    """A QuickTime film whose samples are said to be at a URL (ISO 14496-12, 8.7.2)."""
    plain = media.sample("mp4").read_bytes()
    old = plain.index(b"dref")
    entry = b"url \x00\x00\x00\x00" + url.encode() + b"\x00"
    data = b"\x00\x00\x00\x00\x00\x00\x00\x01" + (len(entry) + 4).to_bytes(4, "big") + entry
    size = int.from_bytes(plain[old - 4 : old], "big")
    grown = len(data) + 8 - size
    changed = bytearray(plain[: old - 4] + (len(data) + 8).to_bytes(4, "big") + b"dref" + data)
    changed += plain[old - 4 + size :]
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):  # the boxes around it have grown
        at = plain.rindex(box, 0, old) - 4
        changed[at : at + 4] = (int.from_bytes(plain[at : at + 4], "big") + grown).to_bytes(4, "big")
    return bytes(changed)


# Texts in files named .mp4 that lead to a URL.
TEXTS: dict[str, Callable[[str], str]] = {
    "hls": lambda url: f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
    "key": lambda url: (
        f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n'
    ),
    "concat": lambda url: f"ffconcat version 1.0\nfile '{url}'\n",
    "sdp": lambda _: "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "asx": lambda url: f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    "dash": lambda url: lures.away("dash-base", url)[0].decode(),
    "redirect": lambda url: f"RTSPtextRTSP://{url.removeprefix('http://')}\n",
}


def reference(kind: str, url: str) -> bytes:
    """A file named .mp4 that leads to a URL: a film, or one of `TEXTS`."""
    return film_with_reference(url) if kind == "dref" else TEXTS[kind](url).encode()


@pytest.mark.parametrize("kind", [*TEXTS, "dref"])
def test_ffmpeg_does_not_follow_a_file_to_the_network(canary: Canary, tmp_path: Path, kind: str) -> None:
    canary.touched()
    path = tmp_path / "film.mp4"
    path.write_bytes(reference(kind, f"http://127.0.0.1:{canary.port}/a.ts"))
    known = Probe(
        container="mkv", duration=1, width=1, height=1, video_codec="x", audio_codec=None, video_index=0
    )

    with suppress(NotMediaError):
        probe(path)
    with suppress(FetchError):  # as if it had passed the probe
        ffmpeg.produce(
            FFMPEG,
            [Examined(path=path, probe=known, contents=Contents(streams=()))],
            "mp4",
            tmp_path / "out.mp4",
            embedding=None,
            tick=lambda _: None,
        )

    assert canary.touched() == 0


@pytest.mark.parametrize(
    ("kind", "demuxer"),
    [("hls", "hls"), ("key", "hls"), ("concat", "concat"), ("dash", "dash")],
)
def test_without_its_fences_ffmpeg_would_follow(
    canary: Canary, tmp_path: Path, kind: str, demuxer: str
) -> None:
    canary.touched()
    path = tmp_path / "film.mp4"
    path.write_bytes(reference(kind, f"http://127.0.0.1:{canary.port}/a.ts"))
    unfenced = ("-protocol_whitelist", "file,http,tcp,crypto", "-f", demuxer)
    unfenced += ("-safe", "0") if demuxer == "concat" else ()

    subprocess.run([FFMPEG, *unfenced, "-i", path, "-f", "null", "-"], capture_output=True, check=False)

    assert canary.touched() > 0
