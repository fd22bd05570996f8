"""Keys of their own for every purpose, derived from the one secret key."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from config.settings import Settings

ACCESS_TOKENS = "access tokens"
REFRESH_TOKENS = "refresh tokens"
CSRF_TOKENS = "csrf tokens"


@lru_cache(maxsize=64)
def key(settings: Settings, purpose: str) -> bytes:
    """32 bytes that serve one purpose only, so that what one signs can't be passed off as another's."""
    return hmac.digest(settings.resolve_secret_key().encode(), purpose.encode(), hashlib.sha256)


def sign(settings: Settings, purpose: str, text: bytes) -> bytes:
    """HMAC-SHA256 of `text` with the key of a purpose."""
    return hmac.digest(key(settings, purpose), text, hashlib.sha256)
