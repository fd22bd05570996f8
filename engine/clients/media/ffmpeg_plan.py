"""Chooses which tracks of the inputs go into a container, in which order, copied or encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

from engine.clients.media.examination import EDIT_LIST_CONTAINERS, Examined
from engine.clients.media.packets import StreamPackets
from engine.clients.media.probe import Probe, Track, default_track

AUDIO_ONLY = {"mp3", "m4a", "opus"}
COVER_AS_STREAM = {"mp4", "m4a", "mp3"}  # as a video stream
_COVERS = {"mjpeg", "png"}

# Codecs that a container takes without conversion; mkv takes all. MP4 could hold Opus and FLAC, but many players and
# televisions don't play them there, and audio is converted quickly.
_VIDEO_FITS = {"mp4": {"h264", "hevc", "av1", "vp9", "mpeg4"}, "webm": {"vp8", "vp9", "av1"}}
_AUDIO_FITS = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac"},
    "webm": {"opus", "vorbis"},
    "mp3": {"mp3"},
    "m4a": {"aac", "alac"},
    "opus": {"opus"},
}
_EVEN = "scale=trunc(iw/2)*2:trunc(ih/2)*2"  # 4:2:0 needs even dimensions
_VIDEO_CODERS = {
    "mp4": ("libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-vf", _EVEN),
    "webm": ("libvpx-vp9", "-b:v", "0", "-crf", "31", "-deadline", "good", "-cpu-used", "5", "-row-mt", "1"),
}
_AAC = ("aac", "-b:a", "192k")
_OPUS = ("libopus", "-b:a", "160k", "-af", "aformat=channel_layouts=7.1|5.1|stereo|mono")
_AUDIO_CODERS = {"mp4": _AAC, "m4a": _AAC, "webm": _OPUS, "opus": _OPUS, "mp3": ("libmp3lame", "-q:a", "2")}
# Subtitles: codecs that a container takes as they are, and what other text codecs are converted to. Bitmap subtitles
# can't be converted and are dropped.
_TEXTS = {"subrip", "ass", "ssa", "webvtt", "mov_text", "text"}
_PICTURES = {"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
_SUBTITLE_FITS = {
    "mp4": {"mov_text"},
    "mkv": {"subrip", "ass", "ssa", "webvtt", *_PICTURES},
    "webm": {"webvtt"},
}
_SUBTITLE_CODERS = {"mp4": "mov_text", "mkv": "srt", "webm": "webvtt"}


class ChosenTrack(NamedTuple):
    """A track, and the number of the input that has it."""

    input: int
    track: Track

    @property
    def source(self) -> str:
        """For ffmpeg's `-map`."""
        return f"{self.input}:{self.track.index}"


@dataclass(frozen=True, kw_only=True)
class FfmpegPlan:
    """The tracks of the result, in order.

    `attachments` are the numbers of the inputs whose attachments (fonts) are copied, `attached` how many attachments
    that makes; `picture` is an input's own cover.
    """

    container: str
    video: ChosenTrack | None
    sounds: Sequence[ChosenTrack]
    subtitles: Sequence[ChosenTrack]
    attachments: Sequence[int] = ()
    attached: int = 0
    picture: ChosenTrack | None = None


def sources(chosen: FfmpegPlan, streams: Sequence[Examined]) -> list[StreamPackets]:
    """The packets of the chosen video and audio tracks; `covered` is cut to what an MP4's edit list shows."""
    films = [*([chosen.video] if chosen.video else []), *chosen.sounds]
    return [
        replace(stream, covered=min(stream.covered, _edited_seconds(streams[film.input])))
        for film in films
        for stream in streams[film.input].contents.streams
        if stream.index == film.track.index
    ]


def _edited_seconds(stream: Examined) -> float:
    """Seconds that ffmpeg reads of a file at most: it applies edit lists, which the examination ignores."""
    edited = stream.probe.duration if stream.probe.container in EDIT_LIST_CONTAINERS else None
    return edited or inf


def plan(streams: Sequence[Examined], container: str) -> FfmpegPlan:
    """Choose the video of the first input that has one, and the audio of the last input that has some."""
    there = [
        ChosenTrack(number, track)
        for number, each in enumerate(streams)
        for track in _tracks_with_packets(each)
    ]
    fonts = [each for each in there if each.track.kind == "attachment" and container == "mkv"]
    videos = [each for each in there if each.track.kind == "video" and container not in AUDIO_ONLY]
    covers = [each for each in there if each.track.kind == "picture" and each.track.codec in _COVERS]
    return FfmpegPlan(
        container=container,
        video=_default_track([each for each in videos if each.input == videos[0].input]),
        sounds=_sounds([each for each in there if each.track.kind == "audio"], container),
        subtitles=[
            each for each in there if each.track.kind == "subtitle" and _is_convertible(each.track, container)
        ],
        picture=next(iter(covers), None) if container in COVER_AS_STREAM else None,
        attachments=sorted({each.input for each in fonts}),
        attached=len(fonts),
    )


def _tracks_with_packets(stream: Examined) -> list[Track]:
    """All tracks, except video and audio tracks without packets."""
    filled = {each.index for each in stream.contents.streams if each.packets}
    return [
        each for each in stream.probe.tracks if each.index in filled or each.kind not in {"video", "audio"}
    ]


def _default_track(offered: Sequence[ChosenTrack]) -> ChosenTrack | None:
    """The one that players play by default."""
    track = default_track([each.track for each in offered])
    return next((each for each in offered if each.track is track), None)


def _sounds(offered: Sequence[ChosenTrack], container: str) -> list[ChosenTrack]:
    """The audio tracks of the last input, the default one first, as many players play only the first."""
    last = [each for each in offered if each.input == offered[-1].input]
    first = _default_track(last)
    if first is None:
        return []
    return [first] if container in AUDIO_ONLY else [first, *(each for each in last if each is not first)]


def _is_convertible(track: Track, container: str) -> bool:
    fits = track.codec in _SUBTITLE_FITS.get(container, set())
    return fits or (track.codec in _TEXTS and container in _SUBTITLE_CODERS)


def arguments(chosen: FfmpegPlan, streams: Sequence[Examined]) -> Iterator[str]:
    """ffmpeg's output options for the tracks."""
    if chosen.video:
        yield from ("-map", chosen.video.source)
        yield from _video_coder(chosen.video, streams[chosen.video.input].probe, chosen.container)
    for number, sound in enumerate(chosen.sounds):
        yield from ("-map", sound.source)
        yield from _audio_coder(number, sound, streams[sound.input].probe, chosen.container)
        yield from _title_options(f"a:{number}", sound.track, chosen.container)
    for number, text in enumerate(chosen.subtitles):
        fits = text.track.codec in _SUBTITLE_FITS[chosen.container]
        yield from ("-map", text.source)
        yield from (f"-c:s:{number}", "copy" if fits else _SUBTITLE_CODERS[chosen.container])
        yield from _title_options(f"s:{number}", text.track, chosen.container)
    for source in chosen.attachments:
        yield from ("-map", f"{source}:t", "-c:t", "copy")


def _video_coder(video: ChosenTrack, probe: Probe, container: str) -> Iterator[str]:
    fitting = _VIDEO_FITS.get(container)
    if probe.container == container or fitting is None or video.track.codec in fitting:
        yield from ("-c:v:0", "copy")
        if video.track.codec == "hevc" and container == "mp4":
            yield from ("-tag:v:0", "hvc1")  # Apple's players know HEVC by this name only
    else:
        coder, *settings = _VIDEO_CODERS[container]
        yield from ("-c:v:0", coder, *settings)


def _audio_coder(number: int, sound: ChosenTrack, probe: Probe, container: str) -> Iterator[str]:
    fitting = _AUDIO_FITS.get(container)
    if probe.container == container or fitting is None or sound.track.codec in fitting:
        yield from (f"-c:a:{number}", "copy")
        return
    coder, *settings = _AUDIO_CODERS[container]
    yield from (f"-c:a:{number}", coder)
    yield from (f"{each}:{number}" if each.startswith("-") else each for each in settings)


def _title_options(output: str, track: Track, container: str) -> Iterator[str]:
    """Options for a track's title; in MP4 players read it from two places."""
    if track.title:
        yield from (f"-metadata:s:{output}", f"title={track.title}")
        if container in {"mp4", "m4a"}:
            yield from (f"-metadata:s:{output}", f"handler_name={track.title}")
