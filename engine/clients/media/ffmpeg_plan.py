"""Chooses which tracks of the inputs go into a container, in which order, copied or encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

from engine.clients.media.examination import EDITED, Examined
from engine.clients.media.packets import Stretch
from engine.clients.media.probe import Probe, Track, preferred

SOUND_ONLY = {"mp3", "m4a", "opus"}
TAKES_PICTURE = {"mp4", "m4a", "mp3"}  # as a stream of its own
_COVERS = {"mjpeg", "png"}

# What a container takes without conversion; mkv takes everything. Opus and FLAC would fit into an MP4, but many
# players and televisions stay silent then, and sound is converted in no time.
_VIDEO_FITS = {"mp4": {"h264", "hevc", "av1", "vp9", "mpeg4"}, "webm": {"vp8", "vp9", "av1"}}
_AUDIO_FITS = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac"},
    "webm": {"opus", "vorbis"},
    "mp3": {"mp3"},
    "m4a": {"aac", "alac"},
    "opus": {"opus"},
}
_EVEN = "scale=trunc(iw/2)*2:trunc(ih/2)*2"  # 4:2:0 has no half pixels
_VIDEO_CODERS = {
    "mp4": ("libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-vf", _EVEN),
    "webm": ("libvpx-vp9", "-b:v", "0", "-crf", "31", "-deadline", "good", "-cpu-used", "5", "-row-mt", "1"),
}
_AAC = ("aac", "-b:a", "192k")
_OPUS = ("libopus", "-b:a", "160k", "-af", "aformat=channel_layouts=7.1|5.1|stereo|mono")
_AUDIO_CODERS = {"mp4": _AAC, "m4a": _AAC, "webm": _OPUS, "opus": _OPUS, "mp3": ("libmp3lame", "-q:a", "2")}
# Subtitles: what a container takes as it is, and what other texts become. Those made of pictures become nothing.
_TEXTS = {"subrip", "ass", "ssa", "webvtt", "mov_text", "text"}
_PICTURES = {"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
_SUBTITLE_FITS = {
    "mp4": {"mov_text"},
    "mkv": {"subrip", "ass", "ssa", "webvtt", *_PICTURES},
    "webm": {"webvtt"},
}
_SUBTITLE_CODERS = {"mp4": "mov_text", "mkv": "srt", "webm": "webvtt"}


class Chosen(NamedTuple):
    """A track of the input with that number."""

    input: int
    track: Track

    @property
    def source(self) -> str:
        """As ffmpeg's `-map` names it."""
        return f"{self.input}:{self.track.index}"


@dataclass(frozen=True, kw_only=True)
class FfmpegPlan:
    """What goes into the result, in its order.

    `attachments` are the inputs whose fonts come along, `attached` how many those are; `picture` is a cover that an
    input has.
    """

    container: str
    video: Chosen | None
    sounds: Sequence[Chosen]
    subtitles: Sequence[Chosen]
    attachments: Sequence[int] = ()
    attached: int = 0
    picture: Chosen | None = None


def sources(chosen: FfmpegPlan, streams: Sequence[Examined]) -> list[Stretch]:
    """What goes into the result of picture and sound; of a film that was trimmed, what its edit list shows."""
    films = [*([chosen.video] if chosen.video else []), *chosen.sounds]
    return [
        replace(stretch, covered=min(stretch.covered, _shown(streams[film.input])))
        for film in films
        for stretch in streams[film.input].contents.stretches
        if stretch.index == film.track.index
    ]


def _shown(stream: Examined) -> float:
    """Seconds that ffmpeg reads of a file at most: it obeys edit lists, which the examination looks behind."""
    told = stream.probe.duration if stream.probe.container in EDITED else None
    return told or inf


def plan(streams: Sequence[Examined], container: str) -> FfmpegPlan:
    """The picture of the first input that has one, the sounds of the last input that has some."""
    there = [Chosen(number, track) for number, each in enumerate(streams) for track in _present(each)]
    fonts = [each for each in there if each.track.kind == "attachment" and container == "mkv"]
    videos = [each for each in there if each.track.kind == "video" and container not in SOUND_ONLY]
    covers = [each for each in there if each.track.kind == "picture" and each.track.codec in _COVERS]
    return FfmpegPlan(
        container=container,
        video=_played([each for each in videos if each.input == videos[0].input]),
        sounds=_sounds([each for each in there if each.track.kind == "audio"], container),
        subtitles=[
            each for each in there if each.track.kind == "subtitle" and _readable(each.track, container)
        ],
        picture=next(iter(covers), None) if container in TAKES_PICTURE else None,
        attachments=sorted({each.input for each in fonts}),
        attached=len(fonts),
    )


def _present(stream: Examined) -> list[Track]:
    """All tracks but those of picture and sound that a header names and no packet belongs to."""
    filled = {each.index for each in stream.contents.stretches if each.packets}
    return [
        each for each in stream.probe.tracks if each.index in filled or each.kind not in {"video", "audio"}
    ]


def _played(offered: Sequence[Chosen]) -> Chosen | None:
    """The one that is played unless somebody chooses."""
    track = preferred([each.track for each in offered])
    return next((each for each in offered if each.track is track), None)


def _sounds(offered: Sequence[Chosen], container: str) -> list[Chosen]:
    """Those of the last input; the one that is played comes first, because many players know only the first."""
    last = [each for each in offered if each.input == offered[-1].input]
    first = _played(last)
    if first is None:
        return []
    return [first] if container in SOUND_ONLY else [first, *(each for each in last if each is not first)]


def _readable(track: Track, container: str) -> bool:
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
        yield from _titled(f"a:{number}", sound.track, chosen.container)
    for number, text in enumerate(chosen.subtitles):
        fits = text.track.codec in _SUBTITLE_FITS[chosen.container]
        yield from ("-map", text.source)
        yield from (f"-c:s:{number}", "copy" if fits else _SUBTITLE_CODERS[chosen.container])
        yield from _titled(f"s:{number}", text.track, chosen.container)
    for source in chosen.attachments:
        yield from ("-map", f"{source}:t", "-c:t", "copy")


def _video_coder(video: Chosen, probe: Probe, container: str) -> Iterator[str]:
    fitting = _VIDEO_FITS.get(container)
    if probe.container == container or fitting is None or video.track.codec in fitting:
        yield from ("-c:v:0", "copy")
        if video.track.codec == "hevc" and container == "mp4":
            yield from ("-tag:v:0", "hvc1")  # Apple's players know HEVC by this name only
    else:
        coder, *settings = _VIDEO_CODERS[container]
        yield from ("-c:v:0", coder, *settings)


def _audio_coder(number: int, sound: Chosen, probe: Probe, container: str) -> Iterator[str]:
    fitting = _AUDIO_FITS.get(container)
    if probe.container == container or fitting is None or sound.track.codec in fitting:
        yield from (f"-c:a:{number}", "copy")
        return
    coder, *settings = _AUDIO_CODERS[container]
    yield from (f"-c:a:{number}", coder)
    yield from (f"{each}:{number}" if each.startswith("-") else each for each in settings)


def _titled(output: str, track: Track, container: str) -> Iterator[str]:
    """Players read a track's title from different places of an MP4; the rest comes along by itself."""
    if track.title:
        yield from (f"-metadata:s:{output}", f"title={track.title}")
        if container in {"mp4", "m4a"}:
            yield from (f"-metadata:s:{output}", f"handler_name={track.title}")
