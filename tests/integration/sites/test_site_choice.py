"""Of several sounds the one is fetched that the site means to be heard; what still runs is called live."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import FetchSpec
from engine.clients.media.probe import probe
from engine.clients.ytdlp.extract import chosen_streams, extract, youtube_dl
from engine.clients.ytdlp.fetch import fetch, preview
from tests.fakes import media
from tests.fakes.raw_site import RawSite, head

DASH, HLS = "application/dash+xml", "application/vnd.apple.mpegurl"
ROLE = "urn:mpeg:dash:role:2011"
PURPOSE = "urn:tva:metadata:cs:AudioPurposeCS:2007"


@pytest.fixture
def chosen(raw_site: RawSite, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """The streams that are chosen of a manifest."""

    def looking(kind: str, manifest: str, quality: str = "best", format: str = "mp4") -> list[dict[str, Any]]:  # noqa: A002
        ext = "mpd" if kind == DASH else "m3u8"
        raw_site.answers[f"/manifest.{ext}"] = [head(type=kind), manifest.encode()]
        return streams(f"{raw_site.url}/manifest.{ext}", quality, format)

    def streams(url: str, quality: str, format: str) -> list[dict[str, Any]]:  # noqa: A002
        spec = FetchSpec(
            url=url, quality=quality, format=format, work_dir=tmp_path, ffmpeg="", socket_timeout=15.0
        )
        with youtube_dl(spec) as ydl:
            return chosen_streams(extract(ydl, url))

    return looking


def mpd(*sounds: str, more: str = 'type="static" mediaPresentationDuration="PT12S"', periods: int = 1) -> str:
    video = (
        '<AdaptationSet mimeType="video/mp4"><Representation id="v" bandwidth="200000" codecs="avc1.42c00a" '
        'width="160" height="90"><SegmentTemplate timescale="1" duration="2" media="v$Number$.m4s"/>'
        "</Representation></AdaptationSet>"
    )
    period = f'<Period duration="PT12S">{video}{"".join(sounds)}</Period>' * periods
    return f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" {more}>{period}</MPD>'


def sound(
    name: str, inside: str = "", *, lang: str | None = None, bandwidth: int = 64000, more: str = ""
) -> str:
    spoken = f' lang="{name.partition("-")[0] if lang is None else lang}"' if lang != "" else ""
    return (
        f'<AdaptationSet mimeType="audio/mp4"{spoken} {more}>{inside}<Representation id="{name}" '
        f'bandwidth="{bandwidth}" codecs="mp4a.40.2"><SegmentTemplate timescale="1" duration="2" '
        f'media="{name}-$Number$.m4s"/></Representation></AdaptationSet>'
    )


def role(*values: str) -> str:
    return "".join(f'<Role schemeIdUri="{ROLE}" value="{value}"/>' for value in values)


def aid(scheme: str, value: str) -> str:
    return f'<Accessibility schemeIdUri="{scheme}" value="{value}"/>'


DASH_CASES: dict[str, tuple[str, list[str]]] = {
    "main-first": ("en", [sound("en", role("main")), sound("de", role("dub"))]),
    "main-last": ("en", [sound("de", role("dub")), sound("en", role("main"))]),
    "main-in-the-middle": ("en", [sound("de", role("dub")), sound("en", role("main")), sound("es", role("dub"))]),
    "main-is-poorer": ("en", [sound("de", role("dub"), bandwidth=256000), sound("en", role("main"))]),
    "dub-against-nothing": ("en", [sound("de", role("dub")), sound("en")]),
    "alternate": ("en", [sound("en"), sound("de", role("alternate"), bandwidth=256000)]),
    "supplementary": ("en", [sound("en"), sound("de", role("supplementary"), bandwidth=256000)]),
    "commentary": ("en-1", [sound("en-1", role("main")), sound("en-2", role("commentary"), bandwidth=256000)]),
    "main-commentary": ("en-1", [sound("en-1"), sound("en-2", role("main", "commentary"), bandwidth=256000)]),
    "description": ("en-1", [sound("en-1"), sound("en-2", role("description"), bandwidth=256000)]),
    "accessibility": ("en-1", [sound("en-1"), sound("en-2", aid(ROLE, "description"), bandwidth=256000)]),
    "purpose": ("en-1", [sound("en-1"), sound("en-2", aid(PURPOSE, "1") + role("main"), bandwidth=256000)]),
    "hard-of-hearing": ("en-1", [sound("en-1"), sound("en-2", aid(PURPOSE, "2"), bandwidth=256000)]),
    "description-alone": ("en", [sound("en", role("description"))]),
    "nothing-is-said": ("en", [sound("en"), sound("de"), sound("es")]),
    "priority": ("de", [sound("en"), sound("de", more='selectionPriority="2"'), sound("es")]),
    "best-of-a-language": ("en-2", [sound("en-1"), sound("en-2", bandwidth=128000), sound("de", bandwidth=256000)]),
    "foreign-role": ("de-2", [sound("de-1"), sound("de-2", '<Role schemeIdUri="urn:x" value="dub"/>', bandwidth=99000)]),
    "same-but-for-the-role": ("x-2", [sound("x-1", role("commentary"), lang="en"), sound("x-2", role("main"), lang="en")]),
    "same-in-all": ("x-1", [sound("x-1", lang="en"), sound("x-2", lang="en")]),
    "undetermined": ("a", [sound("b", role("dub"), lang="und"), sound("a", role("main"), lang="und")]),
    "no-language": ("a", [sound("b", role("dub"), lang=""), sound("a", role("main"), lang="")]),
}  # fmt: skip


@pytest.mark.parametrize("quality", [("best", "mp4"), ("audio", "m4a")])
@pytest.mark.parametrize("case", DASH_CASES)
def test_dash(chosen: Any, case: str, quality: tuple[str, str]) -> None:
    expected, sounds = DASH_CASES[case]

    streams = chosen(DASH, mpd(*sounds), *quality)

    assert streams[-1]["format_id"] == expected
    assert len(streams[-1]["fragments"]) == 6
    assert len(streams) == (2 if quality[0] == "best" else 1)


def test_periods_are_joined_by_what_they_are(chosen: Any) -> None:
    streams = chosen(DASH, mpd(sound("de", role("dub")), sound("en", role("main")), periods=3))

    assert [(each["format_id"], len(each["fragments"])) for each in streams] == [("v", 18), ("en", 18)]


def rendition(
    name: str, default: str, more: str = "", *, auto: str = "YES", uri: str | None = None, group: str = "a"
) -> str:
    place = f',URI="{name}.m3u8"' if uri is None else f',URI="{uri}"' if uri else ""
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{group}",NAME="{name}",LANGUAGE="{name.partition("-")[0]}",'
        f"DEFAULT={default},AUTOSELECT={auto}{more}{place}"
    )


def master(*renditions: str, groups: str = "a") -> str:
    variants = [
        f'#EXT-X-STREAM-INF:BANDWIDTH={200 + number}000,RESOLUTION=160x90,CODECS="avc1.42c00a,mp4a.40.2",AUDIO="{group}"'
        f"\nv-{group}.m3u8"
        for number, group in enumerate(groups)
    ]
    return "\n".join(["#EXTM3U", *renditions, *variants, ""])


DESCRIBES = ',CHARACTERISTICS="public.accessibility.describes-video"'
BOTH = ',CHARACTERISTICS="public.easy-to-read,public.accessibility.describes-video"'
HLS_CASES: dict[str, tuple[str, list[str]]] = {
    "default-first": ("en", [rendition("en", "YES"), rendition("de", "NO"), rendition("es", "NO")]),
    "default-last": ("en", [rendition("de", "NO"), rendition("es", "NO"), rendition("en", "YES")]),
    "default-in-the-middle": ("de", [rendition("en", "NO"), rendition("de", "YES"), rendition("es", "NO")]),
    "description": ("en", [rendition("en", "YES"), rendition("en-ad", "NO", DESCRIBES)]),
    "description-as-default": ("en", [rendition("en-ad", "YES", BOTH), rendition("en", "NO")]),
    "no-default": ("en", [rendition("en", "NO"), rendition("de", "NO")]),
    "no-default-not-by-itself": ("de", [rendition("en", "NO", auto="NO"), rendition("de", "NO")]),
    "description-alone": ("en-ad", [rendition("en-ad", "NO", DESCRIBES)]),
    "qualities-without-a-language": ("y-hi", [
        rendition("x-lo", "YES", group="a").replace('LANGUAGE="x",', ""),
        rendition("y-hi", "YES", group="b").replace('LANGUAGE="y",', ""),
    ]),
    "names-without-a-language": ("x-en", [
        rendition("x-de", "NO").replace('LANGUAGE="x",', ""), rendition("x-en", "YES").replace('LANGUAGE="x",', ""),
    ]),
    "two-groups": ("en-hi", [
        rendition("de-lo", "NO", group="a"), rendition("en-lo", "YES", group="a"),
        rendition("de-hi", "NO", group="b"), rendition("en-hi", "YES", group="b"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("quality", [("best", "mp4"), ("audio", "m4a")])
@pytest.mark.parametrize("case", HLS_CASES)
def test_hls(chosen: Any, raw_site: RawSite, case: str, quality: tuple[str, str]) -> None:
    expected, renditions = HLS_CASES[case]

    streams = chosen(
        HLS,
        master(*renditions, groups="ab" if any('ID="b"' in each for each in renditions) else "a"),
        *quality,
    )

    assert streams[-1]["url"] == f"{raw_site.url}/{expected}.m3u8"


@pytest.mark.parametrize("quality", [("best", "mp4"), ("audio", "m4a")])
@pytest.mark.parametrize("turned", [False, True])
def test_a_chosen_sound_inside_the_pictures_stream_is_taken_from_there(
    chosen: Any, raw_site: RawSite, quality: tuple[str, str], turned: bool
) -> None:
    renditions = [rendition("en", "YES", uri=""), rendition("de", "NO")]

    streams = chosen(HLS, master(*(reversed(renditions) if turned else renditions)), *quality)

    assert [each["url"] for each in streams] == [f"{raw_site.url}/v-a.m3u8"]
    assert streams[0]["acodec"] != "none"


def test_a_commentary_that_looks_like_the_film_is_not_appended_to_it(
    raw_site: RawSite, tmp_path: Path
) -> None:
    manifest = (media.dash() / "manifest.mpd").read_text()
    audio = re.findall(r'<AdaptationSet id="1".*?</AdaptationSet>', manifest, re.DOTALL)[0]
    other = (
        audio.replace('Set id="1"', 'Set id="2"')
        .replace("$RepresentationID$", "2")
        .replace('n id="2"', 'n id="3"')
    )
    other = re.sub(r'(initialization|media)="', r'\1="other/', other).replace(
        "<Rep", f"{role('commentary')}<Rep", 1
    )
    raw_site.answers["/film.mpd"] = [head(type=DASH), manifest.replace(audio, other + audio).encode()]
    for file in media.dash().glob("*.m4s"):
        for path in (f"/{file.name}", f"/other/{file.name}"):
            body = file.read_bytes()
            raw_site.answers[path] = [head(type="video/mp4", Content_Length=str(len(body))), body]
    raw_site.asked.clear()
    spec = FetchSpec(
        url=f"{raw_site.url}/film.mpd", quality="best", format="mkv", work_dir=tmp_path / "work",
        ffmpeg=imageio_ffmpeg.get_ffmpeg_exe(), socket_timeout=15.0,
    )  # fmt: skip

    got = fetch(spec, lambda _: None)

    assert not [path for path in raw_site.asked if path.startswith("/other/")]
    assert probe(got.path).duration == pytest.approx(media.SECONDS, abs=0.2)


# --- live -------------------------------------------------------------------------------------------------------


def channel(more: str) -> bytes:
    """A manifest of twelve seconds that began a minute ago."""
    begun = (datetime.now(UTC) - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    return mpd(TIMELINE, more=more.replace("{begun}", begun)).encode()


TIMELINE = (
    '<AdaptationSet mimeType="audio/mp4"><SegmentTemplate timescale="1" media="a$Time$.m4s"><SegmentTimeline>'
    '<S t="0" d="2" r="5"/></SegmentTimeline></SegmentTemplate><Representation id="a" bandwidth="64000" '
    'codecs="mp4a.40.2"/></AdaptationSet>'
)
GROWING = [
    'type="dynamic" minimumUpdatePeriod="PT2S"',
    'type="dynamic" availabilityStartTime="{begun}"',
    'type="dynamic" mediaPresentationDuration="PT1H" availabilityStartTime="{begun}"',
    'type="dynamic" mediaPresentationDuration="PT1H" minimumUpdatePeriod="PT2S"',
]
ENDED = [
    'type="static" mediaPresentationDuration="PT12S"',
    'type="dynamic" mediaPresentationDuration="PT12S"',
    'type="dynamic" mediaPresentationDuration="PT12S" availabilityStartTime="{begun}" minimumUpdatePeriod="PT2S"',
]


@pytest.mark.parametrize("more", GROWING)
@pytest.mark.parametrize("embedded", [False, True])
def test_a_growing_manifest_is_live(raw_site: RawSite, tmp_path: Path, more: str, embedded: bool) -> None:
    raw_site.answers["/channel.mpd"] = [head(type=DASH), channel(more)]
    page = '<title>Channel</title><video><source src="/channel.mpd" type="application/dash+xml"></video>'
    raw_site.answers["/channel"] = [head(), page.encode()]
    url = f"{raw_site.url}/channel" if embedded else f"{raw_site.url}/channel.mpd"

    with pytest.raises(FetchError, match="live_now"):
        fetch(FetchSpec(url=url, quality="best", format="mp4", work_dir=tmp_path, ffmpeg=""), lambda _: None)
    with pytest.raises(FetchError, match="live_now"):
        preview(url, timeout=15.0)


@pytest.mark.parametrize("more", ENDED)
def test_one_that_has_ended_is_not(raw_site: RawSite, more: str) -> None:
    raw_site.answers["/ended.mpd"] = [head(type=DASH), channel(more)]
    page = '<title>Channel</title><video><source src="/ended.mpd" type="application/dash+xml"></video>'
    raw_site.answers["/ended"] = [head(), page.encode()]

    assert preview(f"{raw_site.url}/ended", timeout=15.0).metadata.title == "Channel"


@pytest.mark.parametrize(
    ("template", "more"),
    [
        ('media="a$Time$.m4s"><SegmentTimeline><S t="0" d="2" r="999999999"/></SegmentTimeline>', "PT12S"),
        ('media="a$Number$.m4s" timescale="1000000" duration="1">', "PT24H"),
    ],
)
def test_a_manifest_of_too_many_segments_is_refused_before_they_are_made(
    raw_site: RawSite, tmp_path: Path, template: str, more: str
) -> None:
    audio = (
        f'<AdaptationSet mimeType="audio/mp4"><SegmentTemplate {template}</SegmentTemplate>'
        '<Representation id="a" bandwidth="64000" codecs="mp4a.40.2"/></AdaptationSet>'
    )
    text = mpd(audio, more=f'type="static" mediaPresentationDuration="{more}"').replace(
        ' duration="PT12S"', ""
    )
    raw_site.answers["/many.mpd"] = [head(type=DASH), text.encode()]
    spec = FetchSpec(
        url=f"{raw_site.url}/many.mpd", quality="best", format="mp4", work_dir=tmp_path, ffmpeg=""
    )

    with pytest.raises(FetchError) as failed:
        fetch(spec, lambda _: None)

    assert (failed.value.kind, failed.value.detail) == ("unreadable", "a manifest of too many segments")
