"""Where files lie below DOWNLOAD_DIR."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from engine.errors import ValidationFailed
from engine.storage.filenames import is_safe_folder

STAGING = ".medianest"  # below DOWNLOAD_DIR: files that are not published yet, on the same file system


_MOST_FOLDERS = 100


def folders(root: Path) -> list[str]:
    """The folders directly below `root` that downloads may go into, by name; none where this host does not have it."""
    try:
        found = [entry.name for entry in root.iterdir() if is_safe_folder(entry.name) and entry.is_dir()]
    except OSError:
        return []
    return sorted(found, key=str.casefold)[:_MOST_FOLDERS]


def confine(path: str | None, root: Path) -> str:
    """The folder as a path relative to `root`, with `/` as separator; `""` for `root` itself.

    Raises:
        ValidationFailed: it is outside `root` (`..`, an absolute path, a symlink), or a name is not valid everywhere.
    """
    if not path:
        return ""
    wrong = ValidationFailed(
        "The download path is not accepted.",
        downloadPath="Must be a folder below the download folder, of names that every file system takes: "
        'no .., nothing hidden, none of \\ : * ? " < > |, no control characters, no dot or space at an end.',
    )
    pure = PurePosixPath(path)
    if pure.is_absolute():
        try:
            pure = pure.relative_to(PurePosixPath(root))
        except ValueError:
            raise wrong from None
    if not all(map(is_safe_folder, pure.parts)):
        raise wrong
    if not (root / pure).resolve().is_relative_to(root.resolve()):
        raise wrong
    return "" if pure == PurePosixPath() else str(pure)
