"""The qualities and formats that a download may ask for."""

from __future__ import annotations

AUDIO = "audio"
# Quality to the most lines of a picture; None: no limit.
CAPS: dict[str, int | None] = {
    "best": None,
    "2160p": 2160,
    "1440p": 1440,
    "1080p": 1080,
    "720p": 720,
    "480p": 480,
    "360p": 360,
    "240p": 240,
    "144p": 144,
}
QUALITIES = (*CAPS, AUDIO)
VIDEO_FORMATS = ("mp4", "mkv", "webm")
AUDIO_FORMATS = ("mp3", "m4a", "opus")
FORMATS = (*VIDEO_FORMATS, *AUDIO_FORMATS)
