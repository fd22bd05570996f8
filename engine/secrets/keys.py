"""Keys derived from the secret keys, one for each purpose: the current one signs, older ones still verify."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from config.settings import Settings

ACCESS_TOKENS = "access tokens"
REFRESH_TOKENS = "refresh tokens"
CSRF_TOKENS = "csrf tokens"
BROWSERS = "browsers"
PAGES = "pages"
FLASHES = "flashes"
UNSUBSCRIBE = "unsubscribe"
PICTURES = "pictures"

_LENGTH = 32


def key(settings: Settings, purpose: str) -> bytes:
    """A 32-byte key for one purpose (domain separation): a signature for one purpose is none for another."""
    return candidates(settings, purpose)[0]


def candidates(settings: Settings, purpose: str) -> tuple[bytes, ...]:
    """All valid keys of a purpose, the current one first."""
    return _derived(settings.secret_keys(), purpose)


def sign(settings: Settings, purpose: str, text: bytes) -> bytes:
    """HMAC-SHA256 of `text` with the current key of a purpose."""
    return hmac.digest(key(settings, purpose), text, hashlib.sha256)


def signer(settings: Settings, purpose: str, text: bytes, signature: bytes) -> bytes | None:
    """The key of a purpose that made a signature of `text`, of which the first 16 bytes are enough; None if none did.

    Compared in constant time.
    """
    length = len(signature)
    if not 16 <= length <= _LENGTH:
        return None
    for candidate in candidates(settings, purpose):
        if hmac.compare_digest(hmac.digest(candidate, text, hashlib.sha256)[:length], signature):
            return candidate
    return None


@lru_cache(maxsize=64)
def _derived(secret_keys: tuple[str, ...], purpose: str) -> tuple[bytes, ...]:
    return tuple(hmac.digest(each.encode(), purpose.encode(), hashlib.sha256) for each in secret_keys)
