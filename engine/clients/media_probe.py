"""Looks into a finished local file with PyAV: container, streams, duration; opens nothing but that file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import av.logging

# Demuxers of plain media files. None of them follows a reference to another file or URL, as playlists
# (hls, dash, concat, image2, sdp) do; the protocol list closes what a format might still try.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,mp3,mpegts,mpeg,flac,wav,aac,ac3,eac3,avi,flv,asf"
INPUT_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
_M4A_BRANDS = {"M4A ", "M4B "}

av.logging.set_level(None)  # its warnings about other people's files belong on no terminal of ours


class NotMediaError(Exception):
    """The file is not audio or video that we accept, or too damaged to be opened."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a file is.

    `container` is our name where we have one (mp4, m4a, mkv, webm, opus, mp3), else the demuxer's. `duration`
    is in seconds. Codecs have ffmpeg's names (h264, vp9, aac, opus). Embedded pictures do not count as video.
    """

    container: str
    duration: float | None
    width: int | None
    height: int | None
    video_codec: str | None
    audio_codec: str | None
    video_index: int | None
    has_picture: bool = False

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
        head = file.read(64)
    try:
        # "file:" keeps a name with a colon from being read as a protocol
        with av.open(f"file:{path}", options=dict(INPUT_OPTIONS), metadata_errors="replace") as container:
            return _read(container, head)
    except (av.FFmpegError, ValueError, OverflowError) as error:
        raise NotMediaError("no media container that we know, or a damaged one") from error


def _read(container: av.container.InputContainer, head: bytes) -> Probe:
    pictures = [stream for stream in container.streams.video if _is_picture(stream)]
    video = next((stream for stream in container.streams.video if stream not in pictures), None)
    audio = next(iter(container.streams.audio), None)
    if video is None and audio is None:
        raise NotMediaError("no audio and no video in it")
    return Probe(
        container=_container(container, head, has_video=video is not None),
        duration=container.duration / av.time_base if container.duration else None,
        width=video.width or None if video else None,
        height=video.height or None if video else None,
        video_codec=_codec(video) if video else None,
        audio_codec=_codec(audio) if audio else None,
        video_index=video.index if video else None,
        has_picture=bool(pictures),
    )


def _is_picture(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _codec(stream: av.VideoStream | av.AudioStream) -> str:
    """The codec's canonical name; a stream of an unknown codec has no context."""
    context = stream.codec_context
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
