"""What this product calls itself: name, version and summary."""

from __future__ import annotations

from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

_NAME = "medianest"


def _facts() -> tuple[str, str]:
    try:
        installed = metadata(_NAME)
        return installed["Version"], installed["Summary"]
    except PackageNotFoundError:  # a platform unpacks the code and installs only what it needs
        source = ConfigParser()
        source.read(Path(__file__).parent.parent / "setup.cfg")
        return source["metadata"]["version"], source["metadata"]["description"]


VERSION, SUMMARY = _facts()
