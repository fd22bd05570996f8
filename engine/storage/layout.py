"""Where files lie below DOWNLOAD_DIR."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from engine.errors import ValidationFailed
from engine.storage.filenames import is_safe_folder

STAGING = ".medianest"  # below DOWNLOAD_DIR: files on their way to their name, on the same file system


def confine(path: str | None, root: Path) -> str:
    """The folder below `root` that `path` means, with `/`, or `""`.

    Raises:
        ValidationFailed: it leaves `root`, by `..`, from the root of the file system, or through a link.
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
