"""Which URLs are accepted, and which of them mean the same video."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings
from engine.downloads.sources.urls import accept
from engine.errors import ValidationFailed

YOUTUBE = Settings()
ANYWHERE = Settings(download_allowed_hosts=("*",))
LOCAL = Settings(download_allowed_hosts=("*",), download_allow_private_networks=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=YE7VzlLtp-4",
        "http://youtube.com/watch?v=YE7VzlLtp-4&list=PL63F0C78739B09958&index=2",
        "https://YouTube.com./watch?feature=share&v=YE7VzlLtp-4#t=1",
        "https://m.youtube.com/watch?v=YE7VzlLtp-4",
        "https://music.youtube.com/watch?v=YE7VzlLtp-4",
        "https://youtu.be/YE7VzlLtp-4?t=3",
        "https://www.youtube.com/shorts/YE7VzlLtp-4",
        "https://www.youtube.com/embed/YE7VzlLtp-4",
        "https://www.youtube.com/live/YE7VzlLtp-4",
        "https://www.youtube-nocookie.com/embed/YE7VzlLtp-4",
        "https://www.youtube.com:443/v/YE7VzlLtp-4",
    ],
)
def test_all_addresses_of_a_youtube_video_are_one(url: str) -> None:
    source = accept(url, YOUTUBE)
    assert source.normal == "https://www.youtube.com/watch?v=YE7VzlLtp-4"
    assert source.budget == "youtube"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://Media.Example/a%20b", "http://media.example:80/a%20b#end"),
        ("https://media.example", "https://media.example/"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
    ],
)
def test_spellings_of_one_address_are_one(one: str, other: str) -> None:
    assert accept(one, ANYWHERE).normal == accept(other, ANYWHERE).normal


def test_different_videos_stay_different() -> None:
    urls = [
        "https://m.example/a?x=1",
        "https://m.example/a?x=2",
        "https://m.example/A?x=1",
        "http://m.example/a?x=1",
    ]
    assert len({accept(url, ANYWHERE).normal for url in urls}) == 4


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://youtube.com/x", "http://"),
        ("file:///etc/passwd", "http://"),
        ("javascript:alert(1)", "http://"),
        ("youtube.com/watch?v=YE7VzlLtp-4", "http://"),
        ("https://", "http://"),
        ("", "http://"),
        ("https://user:secret@youtube.com/", "password"),
        ("https://youtube.com/a b", "spaces"),
        ("https://youtube.com/\x00", "control"),
        ("https://youtube.com\\@evil.example/", "backslashes"),
        ("https://[::1/", "URL"),
        ("https://youtube.com:99999/", "URL"),
        ("https://youtube.com/" + "a" * 2000, "2000"),
        ("https://evil.example/watch?v=YE7VzlLtp-4", "not allowed"),
        ("https://youtube.com.evil.example/", "not allowed"),
        ("https://notyoutube.com/", "not allowed"),
        ("https://127.0.0.1/", "not allowed"),
        ("https://www.youtube.com/playlist?list=PL63F0C78739B09958", "list of videos"),
        ("https://www.youtube.com/@Blender", "list of videos"),
        ("https://www.youtube.com/watch?list=PL63F0C78739B09958", "list of videos"),
        ("https://www.youtube.com/watch?v=&list=PL63F0C78739B09958", "list of videos"),
        ("https://youtu.be/?list=PL63F0C78739B09958", "list of videos"),
        ("https://www.youtube.com/embed/videoseries?list=PL63F0C78739B09958", "list of videos"),
        ("https://www.youtube.com/", "list of videos"),
        ("https://www.youtube.com/channel/UCSMOQeBJ2RAnuFungnQOxLg/videos", "list of videos"),
        ("https://www.youtube.com/results?search_query=x", "list of videos"),
    ],
)
def test_what_is_not_accepted_is_said(url: str, said: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        accept(url, YOUTUBE)
    assert isinstance(caught.value.details, dict)
    assert said in caught.value.details["url"][0]
    assert "secret" not in str(caught.value.details)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]",
        "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "[fe80::1]", "[fc00::1]",
        "100.64.0.1", "nas.local", "foo.localhost", "１２７.0.0.1",
    ],
)  # fmt: skip
def test_private_addresses_need_a_setting(host: str) -> None:
    with pytest.raises(ValidationFailed, match="not accepted"):
        accept(f"http://{host}/x", ANYWHERE)
    assert accept(f"http://{host}/x", LOCAL)


def test_allowed_hosts_ignore_the_port() -> None:
    settings = Settings(download_allowed_hosts=("media.example",))
    assert accept("http://media.example:8080/x", settings).budget == "media.example"


def test_recorded_youtube_addresses(fixtures: Callable[[str], Path]) -> None:
    """Every real address of a video is accepted, every bare list refused or left to the extractor."""
    cases = json.loads(fixtures("youtube/url_cases.json").read_text())["cases"]
    of_youtube = [
        each for each in cases if each["url"].startswith("http") and "youtu" in each["url"].split("/")[2]
    ]
    refused = [each for each in of_youtube if not accepted(each["url"])]
    assert len(refused) < len(of_youtube)
    assert [each["url"] for each in refused if each["extractor"] == "Youtube"] == []


def accepted(url: str) -> bool:
    try:
        accept(url, YOUTUBE)
    except ValidationFailed:
        return False
    return True
