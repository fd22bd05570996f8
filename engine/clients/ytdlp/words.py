"""Error texts of yt-dlp and sites: the kind of failure each means, and how they are redacted for the log."""

from __future__ import annotations

import re

_TEXT_LIMIT = 4000  # characters that patterns are applied to: some messages contain whole pages

# The first match decides. YouTube's rate limit also begins with "Video unavailable", so that pattern comes last.
_TEXTS: tuple[tuple[str, str], ...] = (
    ("bot_check", r"not a (?:ro)?bot\b|captcha|anti-bot challenge"),
    ("rate_limited", r"rate.?limit|try again later|too many requests"),
    ("private", r"private video|video is private|this video is private"),
    ("age", r"confirm your age|age.restricted|age.verification|inappropriate for some users"),
    (
        "members",
        r"members.only|channel.s members|requires payment|music premium|available to (?:premium|subscri)",
    ),
    ("geo", r"in your (?:country|region|location)|geo.?restrict|not available from your location"),
    ("drm", r"\bDRM\b"),
    ("live_not_started", r"premieres? in|will begin|not (?:currently|yet) live|has not (?:yet )?started"),
    ("removed", r"removed by the (?:uploader|user)|has been removed|account .* (?:terminated|closed)"),
    ("removed", r"no longer available|does not exist|been deleted"),
    ("login", r"registered users|log ?in required|use --cookies|sign in to"),
    ("no_format", r"requested format is not available|no video formats found|only images are available"),
    ("disk_full", r"no space left|disk quota exceeded|\[Errno 28\]"),
    ("truncated", r"bytes, expected \d+|more expected|not get any data blocks|downloaded file is empty"),
    ("unsupported", r"unsupported url|is not a valid url|no connection adapters|no suitable extractor"),
    ("certificate", r"certificate verify failed|CERTIFICATE_VERIFY_FAILED"),
    (
        "network",
        r"timed? ?out|connection (?:reset|refused|aborted)|failed to resolve|name resolution|unreachable",
    ),
    ("removed", r"video (?:is )?unavailable|this content isn.t available"),
)


def bounded(text: str) -> str:
    """The beginning of a text, as patterns on a longer one would be slow."""
    return text[:_TEXT_LIMIT]


def kind_by_text(text: str) -> str | None:
    """The kind of failure by a bounded text; None if no pattern matches."""
    plain = re.sub(r"https?://\S+", "", text)
    return next((kind for kind, pattern in _TEXTS if re.search(pattern, plain, re.IGNORECASE)), None)


_CLEANERS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]"), ""),
    (re.compile(r"^(?:\s*ERROR:\s*)+"), ""),
    (re.compile(r"^\[[\w:.+-]+\]\s*(?:[\w.-]+:\s+)?"), ""),
    (re.compile(r"(?:[;.] *+)?please report this issue on.*", re.DOTALL), ""),
    (re.compile(r"\(caused by .*", re.DOTALL), ""),
    (re.compile(r"(?:Use|See|Also see|You might want|For more information).*", re.DOTALL), ""),
    (re.compile(r"(https?://)[^\s/@]+@"), r"\1"),
    (re.compile(r"(https?://[^\s?#]++)(?:[?#]\S*+)?"), r"\1"),
    (re.compile(r"(?<![\w:/.])(?:/[^\s/:'\"]+){2,}"), "(a file)"),
    (re.compile(r"\s+"), " "),
)


def cleaned(text: str) -> str:
    """A message in one line of at most 300 characters, without colours, prefixes, paths, queries and credentials."""
    text = bounded(text)
    for pattern, replacement in _CLEANERS:
        text = pattern.sub(replacement, text)
    return text.strip()[:300]
