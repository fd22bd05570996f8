"""Pages and manifests of a hostile site: they lead elsewhere, or bear names that break naive programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape

from tests.fakes import media


def away(kind: str, to: str) -> tuple[bytes, str]:
    """A body that makes its reader ask for `to`, and the extension that says its type."""
    body, ext = KINDS[kind](to)
    return body.encode(), ext


def _html(head: str = "", body: str = "") -> tuple[str, str]:
    page = f"<!DOCTYPE html><html><head><title>A film</title>{head}</head><body>{body}</body></html>"
    return page, "html"


def _linked_data(to: str) -> tuple[str, str]:
    data = {"@context": "https://schema.org", "@type": "VideoObject", "name": "A film", "contentUrl": to}
    return _html(f'<script type="application/ld+json">{json.dumps(data)}</script>')


def _master(to: str) -> tuple[str, str]:
    return f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=250000,RESOLUTION=256x144\n{to}\n", "m3u8"


def _playlist(before: str = "", segment: str = "/hls/own/144-000.ts") -> tuple[str, str]:
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-TARGETDURATION:1", "#EXT-X-PLAYLIST-TYPE:VOD", before]
    return "\n".join([*lines, "#EXTINF:1.0,", segment, "#EXT-X-ENDLIST", ""]), "m3u8"


def _dash_segments(to: str) -> tuple[str, str]:
    manifest = (media.dash() / "manifest.mpd").read_text()
    return re.sub(r'\b(initialization|media)="', rf'\1="{to}/', manifest), "mpd"


def _dash_base(to: str) -> tuple[str, str]:
    manifest = (media.dash() / "manifest.mpd").read_text()
    return re.sub(r"(<Period\b)", rf"<BaseURL>{to}/</BaseURL>\1", manifest, count=1), "mpd"


KINDS: dict[str, Callable[[str], tuple[str, str]]] = {
    "video": lambda to: _html(body=f'<video src="{escape(to)}"></video>'),
    "source": lambda to: _html(
        body=f'<video><source src="{escape(to)}" type="application/x-mpegURL"></video>'
    ),
    "player": lambda to: _html(f'<meta name="twitter:player" content="{escape(to)}">'),
    "opengraph": lambda to: _html(f'<meta property="og:video" content="{escape(to)}">'),
    "linked-data": _linked_data,
    "refresh": lambda to: _html(f'<meta http-equiv="refresh" content="0; URL={escape(to)}">'),
    "hls-variant": _master,
    "hls-segment": lambda to: _playlist(segment=to),
    "hls-key": lambda to: _playlist(f'#EXT-X-KEY:METHOD=AES-128,URI="{to}"'),
    "hls-map": lambda to: _playlist(f'#EXT-X-MAP:URI="{to}"'),
    "dash-segment": _dash_segments,
    "dash-base": _dash_base,
    "thumbnail": lambda to: _html(
        f'<meta property="og:image" content="{escape(to)}">',
        '<video src="/direct/lure.mp4"></video>',
    ),
}


def titled(number: int, source: str) -> str:
    """A page with one film that bears a name of `TITLES`; in JSON, which can spell anything."""
    data = {"@context": "https://schema.org", "@type": "VideoObject", "contentUrl": source}
    data["name"] = data["description"] = TITLES[number]
    text = json.dumps(data).replace("</", "<\\/")
    return (
        "<!DOCTYPE html><html><head><title>t</title>"
        f'<script type="application/ld+json">{text}</script></head><body></body></html>'
    )


TITLES = (
    *("../../etc/passwd", "..", ".", "...", "/etc/passwd", "/", "\\\\server\\share\\x", "C:\\Windows\\x"),
    *("a/../../b", "....//....//x", "%2e%2e%2fetc", "..%c0%afetc", "a\x00b", "\x00", "film.mp4\x00.exe"),
    *("~", "~root", "-rf", "--help", "-", "$(touch gone)", "`touch gone`", "; touch gone", "| touch gone"),
    *("&& touch gone", "${HOME}", "%(id)s", "%(title)s.%(ext)s", "%s%s%n", "{0.__class__}", "{{7*7}}"),
    *(
        "<script>alert(1)</script>",
        "'; DROP TABLE downloads; --",
        '" onload="x',
        "a\nb",
        "a\r\nSet-Cookie: x",
    ),
    *("\x1b[31mred\x1b[0m", "\x07\x08", "\x7f", "\u202egpj.exe", "\u2066\u2069", "\ufeffmark", "\u200b"),
    *("CON", "nul.txt", "COM1", "LPT\u00b9", "aux.", "a" * 300, "\U0001f600" * 100, "e" + "\u0301" * 400),
    *(
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 " * 20,
        "\ud800",
        "a\udfffb",
        "\ufffe\uffff",
        "\ue000\uf8ff",
    ),
    *("trailing dot.", "trailing space ", " leading", "a:b", "a*b?c", "a|b<c>d", "   ", "\t", "\u3000"),
    *(
        "\uff0f\uff0e\uff0e",
        "\u2215etc\u2215passwd",
        "\u0130\u0131\u017f",
        "\u05e9\u05dc\u05d5\u05dd",
        "=#;\\",
    ),
    *("[ffmetadata]", ";FFMETADATA1\n[CHAPTER]", "concat:x|y", "file:///etc/passwd", "http://127.0.0.1/"),
    *("", ".medianest", ".hidden", "result.mp4", "x.part", "x.ytdl", "x" * 239 + ".mp4", "[x]", "video [id]"),
)
