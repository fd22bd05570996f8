"""Keys of encrypted HLS segments: chooses, fetches and applies them (AES-128-CBC, RFC 8216, 4.3.2.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO
from urllib.parse import urljoin, urlsplit

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from engine.clients.fetch_errors import FetchError
from engine.clients.streams.plan import Key
from engine.clients.streams.source import Source

BLOCK = 1 << 18
_AES = 16  # bytes of a block, and of a key of AES-128
_LENGTHS = {16, 24, 32}  # of keys that an extractor brings
_HEX = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{1,64})")


def key_of(
    keys: Sequence[Mapping[str, str]], base: str, number: int, override: Mapping[str, str]
) -> Key | None:
    """The key of a segment among the EXT-X-KEY tags that apply to it; None if it is not encrypted.

    Args:
        keys: attributes of the tags. base: the playlist's URL.
        number: the media sequence number, the default initialisation vector (RFC 8216, 5.2).
        override: values from yt-dlp's extractor that take precedence: `key`, `iv` (hexadecimal), `uri`.

    Raises:
        FetchError: drm, if no tag has METHOD AES-128 with an identity key; unreadable.
    """
    if not keys:
        return None
    plain = [key for key in keys if _is_plain(key)]
    if not plain:
        raise FetchError("drm", detail=", ".join({key.get("METHOD", "?")[:40] for key in keys}))
    tag = plain[-1]
    iv = _hexadecimal(override.get("iv") or tag.get("IV"), _AES) or number.to_bytes(_AES, "big")
    if override.get("key"):
        value = bytes.fromhex(override["key"].lower().removeprefix("0x"))
        if len(value) not in _LENGTHS:
            raise FetchError("unreadable", detail="a key of a wrong length")
        return Key(iv, value=value)
    uri = override.get("uri") or urljoin(base, tag.get("URI", ""))
    if not override.get("uri") and not tag.get("URI"):
        raise FetchError("unreadable", detail="a key without an address")
    if urlsplit(uri).scheme not in {"http", "https", "data"}:
        raise FetchError("drm", detail="a key that is no file")
    return Key(iv, uri)


def _is_plain(key: Mapping[str, str]) -> bool:
    return key.get("METHOD") == "AES-128" and key.get("KEYFORMAT", "identity") == "identity"


def _hexadecimal(text: str | None, length: int) -> bytes | None:
    if not text:
        return None
    found = _HEX.fullmatch(text)
    if found is None or len(found[1]) > 2 * length:
        raise FetchError("unreadable", detail="an invalid initialisation vector")
    return bytes.fromhex(found[1].zfill(2 * length))


class Keys:
    """The keys of one stream, each fetched once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._held: dict[str, bytes] = {}

    def value(self, key: Key) -> bytes:
        """The key's bytes.

        Raises:
            FetchError: unreadable, it is not 16 bytes long.
            yt_dlp.networking.exceptions.RequestError: it can't be fetched.
        """
        if key.value is not None:
            return key.value
        if key.uri not in self._held:
            body, _ = self._source.text(key.uri)
            if len(body) != _AES:
                raise FetchError("unreadable", detail=f"a key of {len(body)} bytes")
            self._held[key.uri] = body
        return self._held[key.uri]


def decrypted(body: IO[bytes], length: int, key: bytes, iv: bytes) -> Iterator[bytes]:
    """Decrypt a segment block by block; its PKCS 7 padding is checked and removed.

    Raises:
        FetchError: truncated; unreadable (the padding is wrong), after all blocks but the last were yielded.
    """
    if length % _AES:
        raise FetchError("truncated", detail="an encrypted segment that ends within a block")
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    block = body.read(BLOCK)
    while block:
        clear, block = cipher.update(block), body.read(BLOCK)
        yield clear if block else _unpadded(clear)


def _unpadded(clear: bytes) -> bytes:
    padding = clear[-1]
    if not 1 <= padding <= _AES or not clear.endswith(bytes([padding]) * padding):
        raise FetchError("unreadable", detail="a segment that its key does not decrypt")
    return clear[:-padding]
