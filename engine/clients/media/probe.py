"""Looks into a finished local file with PyAV: container, streams, duration; opens nothing but that file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import av
import av.logging

# Demuxers of plain media files. None of them follows a reference to another file or URL, as playlists
# (hls, dash, concat, image2, sdp) do; the protocol list closes what a format might still try.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,mp3,mpegts,mpeg,flac,wav,aac,ac3,eac3,avi,flv,asf"
MOST_STREAMS = 500  # a film with all its fonts has a hundred
INPUT_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": DEMUXERS,
    "max_streams": str(MOST_STREAMS),
}
MOST_PIXELS = 142_000_000  # 16K; one picture takes as many bytes and a half
_M4A_BRANDS = {"M4A ", "M4B "}
_CLOCKED = {"mp4", "m4a", "mov", "mkv", "webm", "flv", "asf"}  # each packet carries its time
_SPOKEN_OVER = re.compile(r"\b(?:comment(?:ary|aries)|descripti(?:on|ve)|described)\b", re.IGNORECASE)
_OVER = av.stream.Disposition.comment | av.stream.Disposition.visual_impaired
_TIMESTAMP_TAG = b"com.apple.streaming.transportStreamTimestamp\0"

av.logging.set_level(None)  # its warnings about other people's files belong on no terminal of ours


class NotMediaError(Exception):
    """The file is not audio or video that we accept, or too damaged to be opened."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """One stream of a file.

    `kind` is video, picture (a cover), audio, subtitle, attachment or data; `default` is its author's mark;
    `spoken_over` is sound with a commentary or a description for the blind in it; `start` is in seconds on the
    file's clock.
    """

    index: int
    kind: str
    codec: str
    title: str | None = None
    default: bool = False
    spoken_over: bool = False
    start: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a file is.

    `container` is our name where we have one (mp4, m4a, mkv, webm, opus, mp3), else the demuxer's. `duration`
    is in seconds. Codecs have ffmpeg's names (h264, vp9, aac, opus). Embedded pictures do not count as video.
    `video_codec` and `audio_codec` are those of the tracks that are played unless one chooses. `start` is where
    the first packet stands on the file's clock, in seconds; None where packets carry no time.
    """

    container: str
    duration: float | None
    width: int | None
    height: int | None
    video_codec: str | None
    audio_codec: str | None
    video_index: int | None
    has_picture: bool = False
    tracks: tuple[Track, ...] = ()
    start: float | None = None

    @property
    def has_video(self) -> bool:
        """Whether there is a moving picture."""
        return self.video_codec is not None

    @property
    def has_audio(self) -> bool:
        """Whether there is sound."""
        return self.audio_codec is not None


def probe(path: Path) -> Probe:
    """Read the headers of a local file.

    Raises:
        NotMediaError: no known media container, or no stream in it.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(256)
    try:
        # "file:" keeps a name with a colon from being read as a protocol
        with av.open(f"file:{path}", options=dict(INPUT_OPTIONS), metadata_errors="replace") as container:
            return _read(container, head)
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise NotMediaError("no media container that we know, or a damaged one") from error


def _read(container: av.container.InputContainer, head: bytes) -> Probe:
    tracks = tuple(_track(stream) for stream in container.streams)
    chosen = preferred([track for track in tracks if track.kind == "video"])
    sound = preferred([track for track in tracks if track.kind == "audio"])
    if chosen is None and sound is None:
        raise NotMediaError("no audio and no video in it")
    context = _context(container.streams[chosen.index]) if chosen else None
    width, height = (context.width, context.height) if isinstance(context, av.VideoCodecContext) else (0, 0)
    if width * height > MOST_PIXELS:
        raise NotMediaError(f"a picture of {width} x {height} pixels")
    kind = _container(container, head, has_video=chosen is not None)
    return Probe(
        container=kind,
        duration=container.duration / av.time_base if container.duration else None,
        width=width or None,
        height=height or None,
        video_codec=chosen.codec if chosen else None,
        audio_codec=sound.codec if sound else None,
        video_index=chosen.index if chosen else None,
        has_picture=any(track.kind == "picture" for track in tracks),
        tracks=tracks,
        start=_start(container, kind, head),
    )


def preferred(tracks: list[Track]) -> Track | None:
    """The one that is played unless somebody chooses: the marked one, else the first without a voice over it.

    Where all are marked, which MP4 files by many programs do, the mark says nothing.
    """
    marked = [track for track in tracks if track.default]
    offered = marked if 0 < len(marked) < len(tracks) else tracks
    return next((track for track in offered if not track.spoken_over), offered[0] if offered else None)


def title_of(stream: av.stream.Stream) -> str | None:
    """A track's title, which MP4 keeps under another name."""
    title = str(stream.metadata.get("title") or stream.metadata.get("name") or "")
    return title.replace("\0", "").strip()[:200] or None


def _track(stream: av.stream.Stream) -> Track:
    title = title_of(stream)
    over = bool(stream.disposition & _OVER) or bool(title and _SPOKEN_OVER.search(title))
    return Track(
        index=stream.index,
        kind="picture" if is_picture(stream) else str(stream.type),
        codec=_codec(stream),
        title=title,
        default=bool(stream.disposition & av.stream.Disposition.default),
        spoken_over=over,
        start=float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0,
    )


def _start(container: av.container.InputContainer, kind: str, head: bytes) -> float | None:
    """HLS writes the time into an ID3 tag where a file of bare frames has no place for it (RFC 8216, 3.4)."""
    told = head.find(_TIMESTAMP_TAG)
    if told >= 0 and head.startswith(b"ID3"):
        at = told + len(_TIMESTAMP_TAG)
        return (int.from_bytes(head[at : at + 8]) & (1 << 33) - 1) / 90000
    if kind not in _CLOCKED and container.format.name not in {"mpegts", "mpeg"}:
        return None
    return container.start_time / av.time_base if container.start_time is not None else None


def is_picture(stream: av.stream.Stream) -> bool:
    """Whether it is a cover, not a film."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _context(stream: av.stream.Stream) -> av.CodecContext | None:
    """Of an unknown codec there is none."""
    context = getattr(stream, "codec_context", None)
    return context if isinstance(context, av.CodecContext) else None


def _codec(stream: av.stream.Stream) -> str:
    """The codec's canonical name."""
    context = _context(stream)
    return context.codec.canonical_name if context is not None else "unknown"


def _container(container: av.container.InputContainer, head: bytes, *, has_video: bool) -> str:
    names = container.format.name.split(",")
    if "matroska" in names:  # the DocType of the EBML header tells the two apart (RFC 9559, 5.1.1)
        return "webm" if b"webm" in head else "mkv"
    if "mp4" in names:
        brand = container.metadata.get("major_brand", "")
        if brand == "qt  ":
            return "mov"
        return "m4a" if brand in _M4A_BRANDS or not has_video else "mp4"
    if "ogg" in names:
        codecs = {_codec(stream) for stream in container.streams.audio}
        return "opus" if codecs == {"opus"} and not has_video else "ogg"
    return names[0]
