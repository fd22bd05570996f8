"""The file that `medianest backup` writes: a tar archive of a manifest, the database as SQL, and secrets."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from cli.errors import CommandError

FORMAT = 1
MANIFEST, DATABASE, SECRET_KEY, SETTINGS = "manifest.json", "database.sql.gz", "secret.key", "settings.env"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What an archive says of itself.

    Attributes:
        revision: of the schema.
        made_at: ISO 8601, in UTC.
        files: SHA-256 of each of the others, by name.
    """

    format: int
    version: str
    revision: str
    made_at: str
    host: str
    files: Mapping[str, str]


def write(path: Path, manifest: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Write an archive that only its owner may read; it has its name once it is whole and on the disk.

    Args:
        path: must not exist.
        manifest: all but `files` and `format`.
        files: by their names in the archive.

    Raises:
        CommandError: `path` exists by now.
    """
    hashes = {name: _digest(file.open("rb")) for name, file in files.items()}
    said = Manifest(format=FORMAT, files=hashes, **manifest)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            with tarfile.open(fileobj=output, mode="w") as tar:
                _add(tar, MANIFEST, json.dumps(asdict(said), indent=2).encode())
                for name, file in files.items():
                    tar.add(file, name, filter=_private)
            output.flush()
            os.fsync(output.fileno())
        os.link(fresh, path)  # never over a file that is there
    except FileExistsError:
        raise CommandError(f"{path} exists already: choose another name") from None
    finally:
        fresh.unlink(missing_ok=True)


def read(path: Path, folder: Path) -> Manifest:
    """Unpack an archive into `folder`, and hold every file against its hash.

    Raises:
        CommandError: no archive of ours, of a format we don't know, or damaged.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.name not in {MANIFEST, DATABASE, SECRET_KEY, SETTINGS} or not member.isfile():
                    raise CommandError(f"{path} is no backup of MediaNest: it holds {member.name!r}")
                tar.extract(member, folder, filter="data")
        manifest = Manifest(**json.loads((folder / MANIFEST).read_bytes()))
    except (tarfile.TarError, ValueError, TypeError) as error:
        raise CommandError(f"{path} is no backup of MediaNest, or it is damaged: {error}") from None
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None
    if manifest.format > FORMAT:
        raise CommandError(f"{path} was written by MediaNest {manifest.version}: install that version first")
    for name in (DATABASE, SECRET_KEY):
        if name not in manifest.files:
            raise CommandError(f"{path} is incomplete: it has no {name}")
    for name, digest in manifest.files.items():
        file = folder / name
        if not file.is_file() or _digest(file.open("rb")) != digest:
            raise CommandError(f"{path} is damaged: {name} is not what was written")
    return manifest


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, io.BytesIO(content))


def _private(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
    return member


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    with file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
