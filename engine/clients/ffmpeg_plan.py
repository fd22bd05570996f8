"""Chooses which tracks of the inputs go into a container, in which order, copied or encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.clients.examination import Examined
from engine.clients.media_probe import Probe, Track, preferred
from engine.clients.packets import Stretch

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
class Plan:
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


def sources(chosen: Plan, streams: Sequence[Examined]) -> list[Stretch]:
    """What goes into the result of picture and sound."""
    films = [*([chosen.video] if chosen.video else []), *chosen.sounds]
    return [
        stretch
        for film in films
        for stretch in streams[film.input].contents.stretches
        if stretch.index == film.track.index
    ]


def plan(streams: Sequence[Examined], container: str) -> Plan:
    """The picture of the first input that has one, the sounds of the last input that has some."""
    pictures, sounds = (
        [(number, each.probe) for number, each in enumerate(streams) if getattr(each.probe, has)]
        for has in ("has_video", "has_audio")
    )
    mixed = container not in SOUND_ONLY
    inputs = list(enumerate(each.probe for each in streams))
    fonts = [number for number, probe in inputs if _tracks(probe, "attachment")] if container == "mkv" else []
    return Plan(
        container=container,
        video=_best(*pictures[0], "video") if pictures and mixed else None,
        sounds=_sounds(*sounds[-1], alone=not mixed) if sounds else [],
        subtitles=[
            Chosen(number, track)
            for number, probe in inputs
            for track in _tracks(probe, "subtitle")
            if track.codec in _SUBTITLE_FITS.get(container, set())
            or (track.codec in _TEXTS and container in _SUBTITLE_CODERS)
        ],
        picture=next(
            (
                Chosen(number, track)
                for number, probe in inputs
                for track in _tracks(probe, "picture")
                if track.codec in _COVERS and container in TAKES_PICTURE
            ),
            None,
        ),
        attachments=fonts,
        attached=sum(len(_tracks(probe, "attachment")) for _, probe in inputs) if fonts else 0,
    )


def _tracks(probe: Probe, kind: str) -> list[Track]:
    return [track for track in probe.tracks if track.kind == kind]


def _best(number: int, probe: Probe, kind: str) -> Chosen | None:
    track = preferred(_tracks(probe, kind))
    return Chosen(number, track) if track else None


def _sounds(number: int, probe: Probe, *, alone: bool) -> list[Chosen]:
    """The one that is played unless somebody chooses comes first: many players know only the first."""
    first = _best(number, probe, "audio")
    if first is None:
        return []
    others = [Chosen(number, each) for each in _tracks(probe, "audio") if each != first.track]
    return [first] if alone else [first, *others]


def arguments(chosen: Plan, streams: Sequence[Examined]) -> Iterator[str]:
    """ffmpeg's output options for the tracks."""
    if chosen.video:
        yield from ("-map", chosen.video.source)
        yield from _video_coder(streams[chosen.video.input].probe, chosen.container)
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


def _video_coder(probe: Probe, container: str) -> Iterator[str]:
    fitting = _VIDEO_FITS.get(container)
    if probe.container == container or fitting is None or probe.video_codec in fitting:
        yield from ("-c:v:0", "copy")
        if probe.video_codec == "hevc" and container == "mp4":
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
