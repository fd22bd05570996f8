"""`/static`: the pages' stylesheets, scripts and pictures, each named after its content and kept for a year."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Response, request

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import ANY_QUERY, PUBLIC, Answers
from engine.errors import NotFound

_FOLDER = Path(__file__).resolve().parent.parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
_IMPORT = re.compile(rb'((?:from|import) "\./)([\w-]+\.js)(?=")')
_YEAR = 31_536_000  # seconds

# Not limited: one page takes several files.
blueprint = Blueprint("static", "/static", "The files that our pages need.", root=True, limit=None)


@dataclass(frozen=True)
class StaticFile:
    """A file as it is served.

    Attributes:
        name: with a hash of the content before its ending.
        content: bytes.
        compressed: the same by gzip; None where that is not smaller.
        mimetype: of the content.
    """

    name: str
    content: bytes
    compressed: bytes | None
    mimetype: str


def _read(path: Path) -> StaticFile:
    """A file; a script names the files that it imports as they are served."""
    content = path.read_bytes()
    if path.suffix == ".js":
        content = _IMPORT.sub(lambda found: _renamed(path, found), content)
    digest = hashlib.sha256(content).hexdigest()[:12]
    compressed = gzip.compress(content, mtime=0)
    smaller = compressed if len(compressed) < len(content) else None
    return StaticFile(f"{path.stem}.{digest}{path.suffix}", content, smaller, _TYPES[path.suffix])


def _renamed(path: Path, found: re.Match[bytes]) -> bytes:
    return found[1] + _read(path.parent / found[2].decode()).name.encode()


_FILES: Mapping[str, StaticFile] = {
    path.relative_to(_FOLDER).as_posix(): _read(path) for path in _FOLDER.rglob("*.*")
}
_BY_NAME = {file.name: file for file in _FILES.values()}


def address(path: str) -> str:
    """Where a file is served, below the root of the site.

    Args:
        path: of the file below `static/`.
    """
    return f"static/{_FILES[path].name}"


def content(path: str) -> bytes:
    """A file as it is served. `path` as for `address`."""
    return _FILES[path].content


def imported(path: str) -> list[str]:
    """The addresses of all scripts that a script imports, directly or not, relative to the root of the site."""
    found = [name.decode() for _, name in _IMPORT.findall((_FOLDER / path).read_bytes())]
    below = [f"{path.rpartition('/')[0]}/{name}" for name in found]
    addresses = [each for other in below for each in (address(other), *imported(other))]
    return list(dict.fromkeys(addresses))


@blueprint.operation("GET", "/<string:file>", PUBLIC, Answers({200: None}, {404}), ANY_QUERY, own_units=True)
def static_file(call: Call, file: str) -> Response:
    """A file, which never changes under this name."""
    found = _BY_NAME.get(file)
    if found is None:
        raise NotFound("There is nothing here.")
    zipped = found.compressed is not None and request.accept_encodings["gzip"] > 0
    answer = Response(found.compressed if zipped else found.content, mimetype=found.mimetype)
    answer.headers["Vary"] = "Accept-Encoding"
    if zipped:
        answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
    return answer
