"""What we lean on inside yt-dlp's extraction and requests: each of these goes red when a release changes it.

See `docs/decisions/0008-what-we-lean-on-in-yt-dlp.md`, which also says how to move to another release.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from email.message import Message
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import requests
from yt_dlp import YoutubeDL
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.extractor.generic import GenericIE
from yt_dlp.networking import Request, RequestHandler, Response, _requests, _urllib, _websockets
from yt_dlp.networking._helper import make_ssl_context
from yt_dlp.networking.exceptions import HTTPError, NoSupportingHandlers, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, FormatSorter, _utils
from yt_dlp.utils.networking import HTTPHeaderDict

from config.settings import Settings
from engine.clients.fetch_signals import FetchSpec
from engine.clients.ytdlp import extract as ytdlp_extract
from engine.clients.ytdlp import manifests
from engine.clients.ytdlp import notes as ytdlp_notes
from engine.clients.ytdlp import options as ytdlp_options
from engine.clients.ytdlp.classify import classify
from engine.clients.ytdlp.requests import HANDLERS, BoundedRequestsRH
from engine.downloads.sources.urls import accept
from engine.errors import ValidationFailed


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.fixture
def ydl(tmp_path: Path) -> Any:
    spec = FetchSpec(url="https://m.example/a", quality="best", format="mp4", work_dir=tmp_path, ffmpeg="")
    with ytdlp_extract.youtube_dl(spec) as running:
        yield running


# --- extractors -------------------------------------------------------------------------------------------------


def test_the_extractors_that_are_allowed_are_classes_in_a_dictionary() -> None:
    with YoutubeDL({"quiet": True, "allowed_extractors": ["youtube.*"]}) as plain:
        kinds = plain._ies

    assert "Youtube" in kinds
    assert all(isinstance(kind, type) and kind.ie_key() == key for key, kind in kinds.items())
    assert not [key for key in kinds if not key.lower().startswith("youtube")]


def test_one_made_without_extractors_takes_those_that_are_added(ydl: YoutubeDL) -> None:
    with YoutubeDL({"quiet": True}, auto_init=False) as empty:
        assert not empty._ies
        empty.add_info_extractor(GenericIE)
        assert list(empty._ies) == ["Generic"]
        assert empty.get_info_extractor("Generic")._downloader is empty
    assert "Generic" in ydl._ies
    assert "Youtube" in ydl._ies


def test_what_is_warmed_up_is_there() -> None:
    for name in ("suitable", "extract_from_webpage"):
        assert callable(getattr(InfoExtractor, name))
    assert parameters(InfoExtractor.extract_from_webpage) == ["ydl", "url", "webpage"]


def test_no_code_of_others_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "yt_dlp_plugins" / "extractor"
    folder.mkdir(parents=True)
    (folder / "odd.py").write_text(f"open({str(tmp_path / 'loaded')!r}, 'w').close()")
    code = "from engine.clients.ytdlp import extract; extract._extractors(('generic',))"
    root = Path(__file__).resolve().parents[2]

    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=root,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}", "YTDLP_NO_PLUGINS": ""},
    )  # fmt: skip

    assert not (tmp_path / "loaded").exists()


def test_every_option_of_ours_is_one_of_yt_dlps() -> None:
    options = ytdlp_options.options(
        "https://m.example/", ytdlp_options.selector("best", "mp4"), socket_timeout=1
    )
    known = inspect.getsource(importlib.import_module("yt_dlp.YoutubeDL"))
    for module in ("common", "fragment", "http", "hls"):
        known += inspect.getsource(importlib.import_module(f"yt_dlp.downloader.{module}"))
    known += inspect.getsource(importlib.import_module("yt_dlp.extractor.common"))
    known += inspect.getsource(importlib.import_module("yt_dlp.extractor.youtube.jsc._builtin.deno"))

    assert [name for name in options if f"{name}:" not in known and f"'{name}'" not in known] == []


# --- manifests --------------------------------------------------------------------------------------------------

MPD = (
    '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S"><Period>'
    '<AdaptationSet mimeType="audio/mp4" lang="en"><Representation id="a" bandwidth="64000" codecs="mp4a.40.2">'
    '<SegmentTemplate timescale="1" duration="2" media="a$Number$.m4s"/></Representation></AdaptationSet>'
    "</Period></MPD>"
)


def test_a_manifest_of_dash_is_read_period_by_period(ydl: YoutubeDL) -> None:
    extractor = ydl.get_info_extractor("Generic")

    assert parameters(manifests._read_periods) == ["mpd_doc", "mpd_id", "mpd_base_url", "mpd_url"]
    (period,) = manifests._read_periods(extractor, fromstring(MPD), "dash", "", "https://m.example/a.mpd")
    (audio,) = period["formats"]
    assert (audio["format_id"], audio["tbr"], audio["language"]) == ("dash-a", 64.0, "en")
    assert len(audio["fragments"]) == 2
    assert "language_preference" not in audio


def test_periods_are_merged_by_all_but_three_of_their_fields(ydl: YoutubeDL) -> None:
    extractor = ydl.get_info_extractor("Generic")
    periods = [
        {
            "formats": [{"format_id": name, "fragments": [name], "manifest_stream_number": number, "x": 1}],
            "subtitles": {},
        }
        for number, name in enumerate("ab")
    ]

    formats, subtitles = manifests._merge_periods(extractor, periods)

    assert parameters(manifests._merge_periods) == ["periods"]
    assert [each["fragments"] for each in formats] == [["a", "b"]]
    assert formats[0] is periods[0]["formats"][0]
    assert subtitles == {}


def test_a_master_playlist_is_read_from_its_text(ydl: YoutubeDL) -> None:
    extractor = ydl.get_info_extractor("Generic")
    media = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="s",NAME="en",LANGUAGE="en",DEFAULT=YES{}'
    variant = '#EXT-X-STREAM-INF:BANDWIDTH=1000,CODECS="avc1.42c00a,mp4a.40.2",AUDIO="s"\nv.m3u8'

    def read(uri: str) -> list[dict[str, Any]]:
        text = "\n".join(["#EXTM3U", media.format(uri), variant])
        formats, _ = manifests._read_playlist(extractor, text, "https://m.example/m.m3u8")
        return list(formats)

    assert parameters(manifests._read_playlist)[:2] == ["m3u8_doc", "m3u8_url"]
    assert [each["url"] for each in read(',URI="a.m3u8"')] == [
        "https://m.example/a.m3u8",
        "https://m.example/v.m3u8",
    ]
    assert read(',URI="a.m3u8"')[1]["acodec"] == "none"  # the first of the group says where the sound is
    assert read("")[0]["acodec"] != "none"


def test_all_extractors_read_manifests_our_way() -> None:
    names = ("_parse_mpd_periods", "_merge_mpd_periods", "_parse_m3u8_formats_and_subtitles")
    folder = Path(inspect.getfile(InfoExtractor)).parent
    own = [file.name for file in folder.rglob("*.py") for name in names if f"def {name}" in file.read_text()]

    assert own == ["common.py"] * len(names)
    assert InfoExtractor._parse_mpd_periods is manifests._periods
    assert InfoExtractor._merge_mpd_periods is manifests._merged_periods
    assert InfoExtractor._parse_m3u8_formats_and_subtitles is manifests._playlist


def test_the_language_preference_is_what_lang_sorts_by(ydl: YoutubeDL) -> None:
    formats = [
        {
            "format_id": str(number),
            "language_preference": value,
            "url": "x",
            "ext": "m4a",
            "acodec": "mp4a",
            "abr": abr,
        }
        for number, (value, abr) in enumerate([(5, 64), (None, 99), (-5, 256), (-10, 320), (10, 1)])
    ]
    sorter = FormatSorter(ydl, ["lang"])

    best = sorted(formats, key=sorter.calculate_preference, reverse=True)

    assert [each["format_id"] for each in best] == ["4", "0", "1", "2", "3"]


def test_youtubes_own_preference_goes_beyond_ours() -> None:
    source = inspect.getsource(importlib.import_module("yt_dlp.extractor.youtube._video"))

    assert "ORIGINAL_LANG_VALUE = 10" in source
    assert "DEFAULT_LANG_VALUE = 5" in source


# --- requests ---------------------------------------------------------------------------------------------------


def test_all_requests_pass_our_handlers(ydl: YoutubeDL) -> None:
    assert parameters(YoutubeDL.build_request_director) == ["handlers", "preferences"]
    assert {type(handler) for handler in ydl._request_director.handlers.values()} == set(HANDLERS)
    for scheme, kind in (("https", "BoundedRequests"), ("data", "Data"), ("wss", "Websockets")):
        able = []
        for key, handler in ydl._request_director.handlers.items():
            try:
                handler.validate(Request(f"{scheme}://m.example/" if scheme != "data" else "data:,x"))
            except TransportError:
                raise
            except Exception:
                continue
            able.append(key)
        assert able == [kind]


def test_an_answer_over_requests_is_bounded_where_it_is_read() -> None:
    assert issubclass(BoundedRequestsRH, _requests.RequestsRH)
    assert parameters(_requests.RequestsRH._create_instance) == ["cookiejar", "legacy_ssl_support"]
    assert parameters(_requests.RequestsRH._send) == ["request"]
    assert parameters(_requests.RequestsResponseAdapter._real_read) == ["amt"]
    assert "_real_read" in inspect.getsource(_requests.RequestsResponseAdapter.read)
    assert _urllib.UrllibRH._SUPPORTED_URL_SCHEMES[:1] == ("http",)
    assert _websockets.WebsocketsRH._SUPPORTED_URL_SCHEMES == ("wss", "ws")


def test_requests_asks_where_a_redirect_leads_before_it_reads_the_body() -> None:
    source = inspect.getsource(requests.Session.resolve_redirects)

    assert source.index("get_redirect_target") < source.index("resp.content")
    answer = requests.Response()
    vars(answer).update(_content=b"", _content_consumed=True)
    assert answer.content == b""


def test_a_handler_makes_its_tls_context_by_one_method_of_known_facts() -> None:
    assert RequestHandler._make_sslcontext is ytdlp_extract._shared_tls_context
    assert {"verify", "legacy_support", "use_certifi"} <= set(parameters(make_ssl_context))
    handler = BoundedRequestsRH(logger=None)
    for name in ("verify", "legacy_ssl_support", "prefer_system_certs", "_client_cert"):
        assert hasattr(handler, name)
    assert handler._make_sslcontext() is handler._make_sslcontext()
    assert "_make_sslcontext" in inspect.getsource(_requests.RequestsRH)
    handler.close()


def test_headers_of_a_request_can_be_looked_at_and_changed() -> None:
    request = Request("https://m.example/", headers={"Range": "bytes=1-"})

    assert isinstance(request.headers, HTTPHeaderDict)
    assert request.headers.pop("range", None) is not None or "Range" not in request.headers


# --- notes in addresses -----------------------------------------------------------------------------------------


def test_notes_are_written_and_read_our_way_everywhere() -> None:
    importlib.import_module("yt_dlp.extractor.vimeo")  # loaded later than our own
    using = [module for name, module in sys.modules.items() if name.partition(".")[0] == "yt_dlp"]
    known = {"smuggle_url": ytdlp_notes._smuggle_url, "unsmuggle_url": ytdlp_notes._unsmuggle_url}

    for module in using:
        for name, ours in known.items():
            assert vars(module).get(name, ours) is ours, module.__name__
    own = _utils.smuggle_url("https://m.example/a", {"x": 1})
    assert _utils.unsmuggle_url(own) == ("https://m.example/a", {"x": 1})
    assert _utils.unsmuggle_url(_utils.smuggle_url(own, {"y": 2})) == (
        "https://m.example/a",
        {"x": 1, "y": 2},
    )
    assert ytdlp_notes._BEGINS in own
    assert _utils.unsmuggle_url("https://m.example/a#__youtubedl_smuggle=%7B%22x%22%3A1%7D", {}) == (
        "https://m.example/a",
        {},
    )


# --- failures ---------------------------------------------------------------------------------------------------


def test_errors_carry_what_we_read_of_them() -> None:
    answer = HTTPError(Response(BytesIO(), "https://m.example/", Message(), status=302), redirect_loop=True)
    assert (answer.status, answer.redirect_loop) == (302, True)
    assert NoSupportingHandlers([], [ValueError()]).unexpected_errors
    assert ExtractorError("x", cause=answer).cause is answer
    assert DownloadError("x", (ValueError, ValueError(), None)).exc_info[1] is not None


TEXTS = {
    "yt_dlp.YoutubeDL": [
        ("Requested format is not available", "no_format"),
        ("No video formats found!", "no_format"),
        ("No suitable extractor", "unsupported"),
    ],
    "yt_dlp.utils._utils": [("Unsupported URL: ", "unsupported")],
    "yt_dlp.extractor.generic": [("is not a valid URL", "unsupported")],
    "yt_dlp.extractor.common": [("This video is DRM protected", "drm"), ("only available for registered users", "login")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("module", "text", "kind"), [(name, *pair) for name, pairs in TEXTS.items() for pair in pairs]
)
def test_the_texts_that_we_know_are_still_said(module: str, text: str, kind: str) -> None:
    source = inspect.getsource(importlib.import_module(module))

    assert text in source
    assert classify(DownloadError(f"ERROR: {text}")).kind == kind


# --- recorded addresses -----------------------------------------------------------------------------------------


def test_the_normal_form_of_a_recorded_address_means_the_same_to_yt_dlp(
    fixtures: Callable[[str], Path],
) -> None:
    kinds = ytdlp_extract._extractors(("youtube.*",))
    checked = 0
    for case in json.loads(fixtures("youtube/url_cases.json").read_text())["cases"]:
        try:
            normal = accept(case["url"], Settings()).normal
        except ValidationFailed:
            continue
        (kind, *_) = [kind for kind in kinds if kind.suitable(normal)]
        video = case.get("info_dict", {}).get("id")
        if case["extractor"] == "Youtube" and video:
            assert kind.ie_key() == "Youtube", case["url"]
            assert kind._match_id(normal) == video, case["url"]
            checked += 1
    assert checked > 20
