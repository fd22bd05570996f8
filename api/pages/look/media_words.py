"""Words for what a media server writes in codes: resolutions, codecs, channels, languages."""

from __future__ import annotations

from babel.core import get_global

from api.pages.look.words import gettext as _
from api.pages.look.words import locale

_RESOLUTIONS = {"4k": "4K", "8k": "8K", "2k": "2K", "sd": "SD"}
_CODECS = {
    "h264": "H.264",
    "hevc": "HEVC",
    "h265": "HEVC",
    "av1": "AV1",
    "vp9": "VP9",
    "mpeg4": "MPEG-4",
    "mpeg2video": "MPEG-2",
    "vc1": "VC-1",
    "aac": "AAC",
    "ac3": "Dolby Digital",
    "eac3": "Dolby Digital Plus",
    "truehd": "Dolby TrueHD",
    "dca": "DTS",
    "dts": "DTS",
    "flac": "FLAC",
    "mp3": "MP3",
    "opus": "Opus",
    "vorbis": "Vorbis",
    "pcm": "PCM",
}
_CHANNELS = {6: "5.1", 7: "6.1", 8: "7.1"}


def resolution(code: object) -> str:
    """A resolution such as "1080p" or "4K"; empty where it is not known."""
    word = str(code or "").lower()
    return _RESOLUTIONS.get(word, f"{word}p" if word.isdecimal() else word)


def codec(code: object) -> str:
    """A codec by its usual name; empty where it is not known."""
    word = str(code or "").lower()
    return _CODECS.get(word, word.upper())


def channels(count: int | None) -> str:
    """How many channels of sound, such as "stereo" or "5.1"; empty where it is not known."""
    if not count:
        return ""
    return {1: _("mono"), 2: _("stereo")}.get(count) or _CHANNELS.get(count, str(count))


def language(code: str) -> str:
    """A language in the visitor's language.

    Args:
        code: of ISO 639, with two letters or three.
    """
    short = get_global("language_aliases").get(code, code)
    return str(locale().languages.get(short, code))
