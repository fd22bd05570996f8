"""Reads a local file's headers with PyAV: container, tracks, duration; opens no other file or URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import av
import av.logging

# Demuxers of plain media files. None of them follows references to other files or URLs, as playlists (hls, dash,
# concat, image2, sdp) do; the protocol whitelist is a second barrier.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,mp3,mpegts,mpeg,flac,wav,aac,ac3,eac3,avi,flv,asf"
MOST_STREAMS = 500  # a film with all its fonts has a hundred
INPUT_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": DEMUXERS,
    "max_streams": str(MOST_STREAMS),
}
MOST_PIXELS = 142_000_000  # 16K; a decoded frame takes 1.5 bytes per pixel
_M4A_BRANDS = {"M4A ", "M4B "}
_TIMESTAMPED = {"mp4", "m4a", "mov", "mkv", "webm", "flv", "asf"}  # packets have timestamps
_COMMENTARY = re.compile(r"\b(?:comment(?:ary|aries)|descripti(?:on|ve)|described)\b", re.IGNORECASE)
_COMMENTARY_FLAGS = av.stream.Disposition.comment | av.stream.Disposition.visual_impaired
_TIMESTAMP_TAG = b"com.apple.streaming.transportStreamTimestamp\0"

av.logging.set_level(None)  # FFmpeg's warnings about damaged files would go to stderr


class NotMediaError(Exception):
    """The file is not an accepted audio or video container, or too damaged to be opened."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """One stream of a file.

    `kind` is video, picture (a cover), audio, subtitle, attachment or data; `default` is the disposition flag;
    `has_commentary` marks audio with commentary or audio description; `start` is the first timestamp in seconds.
    """

    index: int
    kind: str
    codec: str
    title: str | None = None
    default: bool = False
    has_commentary: bool = False
    start: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A file's headers.

    `container` is one of our names (mp4, m4a, mkv, webm, opus, mp3), otherwise the demuxer's. `duration` is in
    seconds. Codecs have ffmpeg's names (h264, vp9, aac, opus). Embedded covers don't count as video. `video_codec` and
    `audio_codec` are those of the default tracks. `start` is the first timestamp in seconds; None if packets have
    none.
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
        """Whether it has a video track; covers don't count."""
        return self.video_codec is not None

    @property
    def has_audio(self) -> bool:
        """Whether it has an audio track."""
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
    chosen = default_track([track for track in tracks if track.kind == "video"])
    sound = default_track([track for track in tracks if track.kind == "audio"])
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


def default_track(tracks: list[Track]) -> Track | None:
    """The track that players play by default: the flagged one, otherwise the first without commentary.

    If all are flagged, as in many MP4 files, the flag is ignored.
    """
    marked = [track for track in tracks if track.default]
    offered = marked if 0 < len(marked) < len(tracks) else tracks
    return next((track for track in offered if not track.has_commentary), offered[0] if offered else None)


def title_of(stream: av.stream.Stream) -> str | None:
    """A track's title; MP4 stores it as `name`."""
    title = str(stream.metadata.get("title") or stream.metadata.get("name") or "")
    return title.replace("\0", "").strip()[:200] or None


def _track(stream: av.stream.Stream) -> Track:
    title = title_of(stream)
    over = bool(stream.disposition & _COMMENTARY_FLAGS) or bool(title and _COMMENTARY.search(title))
    return Track(
        index=stream.index,
        kind="picture" if is_picture(stream) else str(stream.type),
        codec=_codec(stream),
        title=title,
        default=bool(stream.disposition & av.stream.Disposition.default),
        has_commentary=over,
        start=float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0,
    )


def _start(container: av.container.InputContainer, kind: str, head: bytes) -> float | None:
    """The first timestamp in seconds; HLS audio without a container has it in an ID3 tag (RFC 8216, 3.4)."""
    tag_at = head.find(_TIMESTAMP_TAG)
    if tag_at >= 0 and head.startswith(b"ID3"):
        at = tag_at + len(_TIMESTAMP_TAG)
        return (int.from_bytes(head[at : at + 8]) & (1 << 33) - 1) / 90000
    if kind not in _TIMESTAMPED and container.format.name not in {"mpegts", "mpeg"}:
        return None
    return container.start_time / av.time_base if container.start_time is not None else None


def is_picture(stream: av.stream.Stream) -> bool:
    """Whether a video stream is an attached cover."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _context(stream: av.stream.Stream) -> av.CodecContext | None:
    """The codec context; None for an unknown codec."""
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
