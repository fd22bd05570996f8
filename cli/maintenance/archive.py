"""The file that `medianest backup` writes: a tar archive of a manifest, the database as SQL, and secrets."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from cli.errors import CommandError
from config import variables

FORMAT = 2  # the first had no proof
MANIFEST, DATABASE, SECRET_KEY, SETTINGS = "manifest.json", "database.sql.gz", "secret.key", "settings.env"
_CHUNK = 1 << 20
# Bytes that each may have; the database as much as there is.
_LARGEST = {MANIFEST: 64 << 10, DATABASE: 1 << 50, SECRET_KEY: 64 << 10, SETTINGS: 4 << 20}


@dataclass(frozen=True)
class BackupManifest:
    """What an archive says of itself.

    Attributes:
        revision: of the schema.
        made_at: ISO 8601, in UTC.
        files: SHA-256 of each of the others, by name.
        proof: that whoever wrote all this knew the secret key: an HMAC of it.
    """

    format: int
    version: str
    revision: str
    made_at: str
    host: str
    files: Mapping[str, str]
    proof: str = ""


def write(path: Path, manifest: Mapping[str, Any], files: Mapping[str, Path], key: str) -> None:
    """Write an archive that only its owner may read; it has its name once it is whole and on the disk.

    Args:
        path: must not exist.
        manifest: all but `files` and `format`.
        files: by their names in the archive.
        key: the secret key.

    Raises:
        CommandError: `path` exists by now.
    """
    hashes = {name: _digest(file.open("rb")) for name, file in files.items()}
    said = BackupManifest(format=FORMAT, files=hashes, **manifest)
    said = replace(said, proof=_proof(said, key))
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


def read(path: Path, folder: Path) -> BackupManifest:
    """Unpack an archive into `folder`, and hold every file against its hash.

    Raises:
        CommandError: no archive of ours, of a format we don't know, or damaged.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                _unpack(path, tar, member, folder)
        manifest = _said((folder / MANIFEST).read_bytes())
    except (tarfile.TarError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise CommandError(f"{path} is no backup of MediaNest, or it is damaged: {error}") from None
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None
    if manifest.format > FORMAT:
        raise CommandError(f"{path} was written by MediaNest {manifest.version}: install that version first")
    for name in (DATABASE, SECRET_KEY):
        if name not in manifest.files:
            raise CommandError(f"{path} is incomplete: it has no {name}")
    for name in {file.name for file in folder.iterdir()} - {MANIFEST}:
        if _digest((folder / name).open("rb")) != manifest.files.get(name):
            raise CommandError(f"{path} is damaged: {name} is not what was written")
    if missing := [name for name in manifest.files if not (folder / name).is_file()]:
        raise CommandError(f"{path} is damaged: {missing[0]} is not in it")
    return manifest


def check_proof(path: Path, folder: Path, manifest: BackupManifest) -> None:
    """Hold a manifest against the key that came with it.

    Raises:
        CommandError: it was changed, or the key is none.
    """
    keys = texts(path, folder)[SECRET_KEY].split()
    try:
        for key in keys:
            variables.secret(key)
    except ValueError:
        keys = []
    if not keys:  # it would lock everybody out, this command included
        raise CommandError(
            f"{path} is damaged: its {SECRET_KEY} holds no key of at least 32 characters a line"
        )
    if manifest.format > 1 and not is_proven(manifest, keys):
        raise CommandError(f"{path} is damaged: its manifest is not what was written")


def texts(path: Path, folder: Path) -> dict[str, str]:
    """The keys and the settings of an unpacked archive.

    Raises:
        CommandError: they are no text.
    """
    try:
        return {
            name: (folder / name).read_text() for name in (SECRET_KEY, SETTINGS) if (folder / name).is_file()
        }
    except ValueError:
        raise CommandError(f"{path} is damaged: its keys or settings are no text") from None


def is_proven(manifest: BackupManifest, keys: Iterable[str]) -> bool:
    """Whether the manifest, and with it each file, was written by somebody who had one of these keys."""
    return any(hmac.compare_digest(_proof(manifest, key), manifest.proof) for key in keys)


def _unpack(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Take one file out, once, under a name of ours; links, devices, holes and large ones are refused."""
    largest = _LARGEST.get(member.name)
    if largest is None or not member.isreg() or member.issparse() or (folder / member.name).exists():
        raise CommandError(f"{path} is no backup of MediaNest: it holds {member.name[:100]!a}")
    if member.size > min(largest, path.stat().st_size):
        raise CommandError(f"{path} is no backup of MediaNest: its {member.name} is too large")
    tar.extract(member, folder, filter="data")


def _said(text: bytes) -> BackupManifest:
    """The manifest in its own words.

    Raises:
        ValueError, TypeError: it is none.
    """
    manifest = BackupManifest(**json.loads(text))
    texts = (manifest.version, manifest.revision, manifest.made_at, manifest.host, manifest.proof)
    if not (
        isinstance(manifest.format, int)
        and isinstance(manifest.files, dict)
        and all(isinstance(each, str) and len(each) < 300 for each in (*texts, *manifest.files.values()))
        and set(manifest.files) <= set(_LARGEST) - {MANIFEST}
    ):
        raise ValueError("its manifest says something else than ours")
    return manifest


def _proof(manifest: BackupManifest, key: str) -> str:
    said = json.dumps(asdict(manifest) | {"proof": ""}, sort_keys=True)
    return hmac.new(b"medianest backup " + key.encode(), said.encode(), hashlib.sha256).hexdigest()


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
