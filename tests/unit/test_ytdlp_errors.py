"""Every failure has a kind, plain words, advice, and a time to try again; nothing of the server shows through."""

from __future__ import annotations

import email.message
import errno
import io
import json
import pickle
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from yt_dlp.networking import Response
from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, TransportError
from yt_dlp.utils import (
    ContentTooShortError,
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
    UnsupportedError,
    UserNotLive,
)

from engine.clients.fetch_errors import FAILURE_KINDS, FetchError
from engine.clients.media.probe import NotMediaError
from engine.clients.ytdlp.classify import classify, cleaned

EXPECTED = {
    "private": ("private", "never"),
    "removed_by_uploader": ("removed", "never"),
    "geo_blocked": ("geo", "never"),
    "age_restricted": ("age", "never"),
    "bot_check": ("bot_check", "throttled"),
    "rate_limited": ("rate_limited", "throttled"),
    "members_only": ("members", "never"),
    "unavailable": ("removed", "never"),
    "format_unavailable": ("no_format", "again_once"),
    "unsupported_url": ("unsupported", "never"),
    "forbidden_media": ("forbidden", "again_once"),
}


def reported(cause: Exception) -> DownloadError:
    """As yt-dlp raises it: a text, with the cause kept aside."""
    try:
        raise cause
    except type(cause):
        return DownloadError(f"ERROR: {cause}", sys.exc_info())


def answered(status: int, **headers: str) -> HTTPError:
    message = email.message.Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return HTTPError(Response(io.BytesIO(b""), "https://host.example/", message, status=status))


def test_the_recorded_texts_are_recognised(fixtures: Callable[[str], Path]) -> None:
    messages = json.loads(fixtures("youtube/error_messages.json").read_text())["messages"]

    found = {each["kind"]: classify(DownloadError(each["message"], (None, None, None))) for each in messages}

    assert {kind: (error.kind, error.retry) for kind, error in found.items()} == EXPECTED


@pytest.mark.parametrize(
    ("status", "kind", "retry"),
    [
        (401, "login", "never"),
        (403, "forbidden", "again_once"),
        (404, "not_found", "never"),
        (408, "network", "soon"),
        (410, "gone", "never"),
        (416, "truncated", "soon"),
        (429, "rate_limited", "throttled"),
        (500, "upstream", "soon"),
        (502, "upstream", "soon"),
        (503, "upstream", "soon"),
    ],
)
def test_a_status_decides_raised_by_itself_or_inside_an_extractor_or_as_text(
    status: int, kind: str, retry: str
) -> None:
    bare = answered(status)
    wrapped = ExtractorError(f"Unable to download webpage: {bare}", expected=True, cause=bare)

    for error in (bare, reported(wrapped), DownloadError(f"Got error: HTTP Error {status}: try again later")):
        assert (classify(error).kind, classify(error).retry) == (kind, retry)


@pytest.mark.parametrize(
    ("error", "kind", "retry"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/srv/work/x.part"), "disk_full", "shortly"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full", "shortly"),
        (PermissionError(errno.EACCES, "Permission denied", "/srv/work"), "storage", "later"),
        (
            DownloadError("ERROR: unable to write data: [Errno 28] No space left on device"),
            "disk_full",
            "shortly",
        ),
        (TransportError("Connection reset by peer"), "network", "soon"),
        (TransportError("something new"), "network", "soon"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "network", "soon"),
        (TimeoutError(), "network", "soon"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "offline", "shortly"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "network", "soon"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "offline", "shortly"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "offline", "shortly"),
        (IncompleteRead(100, 900), "truncated", "soon"),
        (ContentTooShortError(100, 900), "truncated", "soon"),
        (
            DownloadError("ERROR: \r[download] Got error: Downloaded 1 bytes, expected 9 bytes"),
            "truncated",
            "soon",
        ),
        (UnsupportedError("https://host.example/drm/try-again-later"), "unsupported", "never"),
        (UserNotLive(), "live_not_started", "later"),
        (ExtractorError("Premieres in 3 hours", expected=True), "live_not_started", "later"),
        (
            ExtractorError("This live event will begin in 5 minutes.", expected=True),
            "live_not_started",
            "later",
        ),
        (ExtractorError("This video is DRM protected", expected=True), "drm", "never"),
        (ExtractorError("Unable to extract player version"), "unreadable", "again_once"),
        (ExtractorError("This video is only available for registered users"), "login", "never"),
        (NotMediaError("html"), "not_media", "again_once"),
        (ExtractorError("The site says: No space left on device"), "unreadable", "again_once"),
        (KeyError("formats"), "internal", "again_once"),
    ],
)
def test_kinds_by_type_and_words(error: Exception, kind: str, retry: str) -> None:
    for raised in (error, reported(error)):
        assert (classify(raised).kind, classify(raised).retry) == (kind, retry)


@pytest.mark.parametrize(
    "kind", [kind for kind, verdict in FAILURE_KINDS.items() if verdict.retry != "never"]
)
def test_what_is_given_up_is_not_told_to_go_on_by_itself(kind: str) -> None:
    if (
        FAILURE_KINDS[kind].retry in {"soon", "throttled", "again_once"} or kind == "offline"
    ):  # the others never fail
        advice = FetchError(kind).given_up
        for promise in ("by itself", "by themselves", "goes on", "go on"):
            assert promise not in advice


def test_what_a_site_adds_is_told() -> None:
    geo = classify(reported(GeoRestrictedError("blocked", countries=["DE", "FR"])))
    premiere = classify(ExtractorError("Premieres in 3 hours", expected=True))
    busy = classify(reported(ExtractorError("x", cause=answered(429, Retry_After="120"))))

    assert geo.message.endswith("It is available in Germany, France.")
    assert premiere.message.endswith("It premieres in 3 hours.")
    assert busy.retry_after == 120


def test_an_error_of_ours_stays_itself_and_survives_the_way_between_processes() -> None:
    original = FetchError("too_large", detail="x", retry_after=5)

    assert classify(reported(original)) is original
    copy = pickle.loads(pickle.dumps(original))
    assert vars(copy) == vars(original)
    assert str(copy) == "too_large: The video is larger than allowed."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[0;31mERROR:\x1b[0m [youtube] abc: Broken", "Broken"),
        (
            "ERROR: [generic] x1: Unable: https://me:secret@host.example/x?token=1 gone",
            "Unable: https://host.example/x gone",
        ),
        ("cannot open /srv/medianest/work/dl-1/stream0.part now", "cannot open (a file) now"),
        ("Odd; please report this issue on https://github.com/yt-dlp", "Odd"),
        ("Failed (caused by <HTTPError 500: x>)", "Failed"),
        ("two\nlines", "two lines"),
        ("x" * 900, "x" * 300),
    ],
)
def test_a_detail_has_no_colours_prefixes_paths_or_logins(text: str, expected: str) -> None:
    assert cleaned(text) == expected


@pytest.mark.parametrize("kind", FAILURE_KINDS)
def test_every_kind_is_told_in_whole_sentences(kind: str) -> None:
    verdict = FAILURE_KINDS[kind]

    for sentence in (verdict.message, verdict.advice, verdict.given_up or verdict.advice):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert "yt_dlp" not in sentence
        assert "ffmpeg" not in sentence


@pytest.mark.parametrize("piece", ["account ", "/a", "ERROR: ", "https://a@", "x", "[a", "(caused by "])
def test_a_text_without_an_end_is_cut_before_patterns_read_it(piece: str) -> None:
    text = piece * 10**6
    began = time.process_time()

    error = classify(ExtractorError(text))

    assert time.process_time() - began < 2
    assert len(error.detail) <= 300


def test_a_pause_of_a_thousand_digits_is_a_day() -> None:
    assert classify(answered(429, Retry_After="9" * 60_000)).retry_after == 86400
