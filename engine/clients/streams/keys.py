"""Keys of encrypted HLS segments: which one is in force, where it is had, and what a segment is without it."""

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


def key_of(keys: Sequence[Mapping[str, str]], base: str, number: int, given: Mapping[str, str]) -> Key | None:
    """The key of a segment among the EXT-X-KEY tags that apply to it; None: it is not encrypted.

    Args:
        keys: attributes of the tags. base: the playlist's address.
        number: the media sequence number, the initialisation vector where the tag names none (RFC 8216, 5.2).
        given: what the extractor knows better: `key`, `iv` (hexadecimal), `uri`.

    Raises:
        FetchError: drm, where none of them is a plain key; unreadable.
    """
    if not keys:
        return None
    plain = [key for key in keys if _is_plain(key)]
    if not plain:
        raise FetchError("drm", detail=", ".join({key.get("METHOD", "?")[:40] for key in keys}))
    told = plain[-1]
    iv = _hexadecimal(given.get("iv") or told.get("IV"), _AES) or number.to_bytes(_AES, "big")
    if given.get("key"):
        value = bytes.fromhex(given["key"].lower().removeprefix("0x"))
        if len(value) not in _LENGTHS:
            raise FetchError("unreadable", detail="a key of a wrong length")
        return Key(iv, value=value)
    uri = given.get("uri") or urljoin(base, told.get("URI", ""))
    if not given.get("uri") and not told.get("URI"):
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
        raise FetchError("unreadable", detail="an initialisation vector that is none")
    return bytes.fromhex(found[1].zfill(2 * length))


class Keys:
    """The keys of one stream, each fetched once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._held: dict[str, bytes] = {}

    def value(self, key: Key) -> bytes:
        """The key itself.

        Raises:
            FetchError: unreadable, it is no key.
            yt_dlp.networking.exceptions.RequestError: it can't be had.
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
    """A segment's content in blocks, its padding (PKCS 7) checked and taken off.

    Raises:
        FetchError: truncated, unreadable; the latter after all blocks but the last.
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
        raise FetchError("unreadable", detail="a segment that its key does not fit")
    return clear[:-padding]
