"""`/static`: the pages' stylesheets, scripts and pictures, each named after its content and kept for a year."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import ANY_QUERY, PUBLIC, Answers
from engine.errors import NotFound

_FOLDER = Path(__file__).resolve().parent.parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
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
        mimetype: of the content.
    """

    name: str
    content: bytes
    mimetype: str


def _read(path: Path) -> StaticFile:
    """A file; a script names the files that it imports as they are served."""
    content = path.read_bytes()
    if path.suffix == ".js":
        content = _IMPORT.sub(lambda found: _renamed(path, found), content)
    digest = hashlib.sha256(content).hexdigest()[:12]
    return StaticFile(f"{path.stem}.{digest}{path.suffix}", content, _TYPES[path.suffix])


def _renamed(path: Path, found: re.Match[bytes]) -> bytes:
    return found[1] + _read(path.parent / found[2].decode()).name.encode()


_FILES = {path.relative_to(_FOLDER).as_posix(): _read(path) for path in _FOLDER.rglob("*.*")}
_BY_NAME = {file.name: file for file in _FILES.values()}


def address(path: str) -> str:
    """Where a file is served, below the root of the site.

    Args:
        path: of the file below `static/`.
    """
    return f"static/{_FILES[path].name}"


@blueprint.operation("GET", "/<string:file>", PUBLIC, Answers({200: None}, {404}), ANY_QUERY, own_units=True)
def static_file(call: Call, file: str) -> Response:
    """A file, which never changes under this name."""
    found = _BY_NAME.get(file)
    if found is None:
        raise NotFound("There is nothing here.")
    answer = Response(found.content, mimetype=found.mimetype)
    answer.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
    return answer
