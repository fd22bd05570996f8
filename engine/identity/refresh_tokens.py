"""Refresh tokens: opaque, each the parent of exactly one successor.

A token is `<login id>.<secret and tag>`. The tag proves that we made it, so an old token of ours (theft) can
be told from an invented one (noise) without keeping every hash. The next secret is derived from the one before
it, so a client that lost our answer gets the same answer again, even where the secret key was rotated meanwhile:
a successor is derived with the key that its parent was tagged with.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace

from config.settings import Settings
from engine.secrets.keys import REFRESH_TOKENS, key, sign, signer

_SECRET_BYTES = 32
_TAG_BYTES = 16


@dataclass(frozen=True)
class RefreshToken:
    """A genuine token of a login; says nothing about whether it is still the current one."""

    login_id: str
    secret: bytes = field(repr=False)
    key: bytes | None = field(default=None, repr=False, compare=False)  # None: the current one

    @classmethod
    def make(cls, login_id: str) -> RefreshToken:
        """The first token of a login."""
        return cls(login_id, secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, settings: Settings, text: str) -> RefreshToken | None:
        """Read a token; None for anything that we did not make."""
        login_id, _, encoded = text.partition(".")
        try:
            raw = base64.urlsafe_b64decode(encoded.encode("ascii"))
        except (binascii.Error, ValueError):
            return None
        if len(raw) != _SECRET_BYTES + _TAG_BYTES:
            return None
        token = cls(login_id, raw[:_SECRET_BYTES])
        found = signer(settings, REFRESH_TOKENS, token._tagged(), raw[_SECRET_BYTES:])
        return None if found is None else replace(token, key=found)

    def text(self, settings: Settings) -> str:
        """The token as a client holds it."""
        return f"{self.login_id}.{base64.urlsafe_b64encode(self.secret + self._tag(settings)).decode()}"

    def successor(self, settings: Settings) -> RefreshToken:
        """The token that this one is exchanged for; always the same."""
        signing = self.key or key(settings, REFRESH_TOKENS)
        return RefreshToken(self.login_id, hmac.digest(signing, b"next" + self.secret, hashlib.sha256))

    @property
    def digest(self) -> str:
        """What the database keeps."""
        return hashlib.sha256(self.secret).hexdigest()

    def _tagged(self) -> bytes:
        return b"tag" + self.login_id.encode() + self.secret

    def _tag(self, settings: Settings) -> bytes:
        return sign(settings, REFRESH_TOKENS, self._tagged())[:_TAG_BYTES]
