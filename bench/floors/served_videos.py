"""The video site that the benchmarks download from, in one process; its files are created before the first request."""

from __future__ import annotations

import sys
import threading

from tests.fakes import media
from tests.fakes.video_site import VideoSite


def main() -> None:
    """Create a file of `size` bytes for each name, print the URL, serve until killed."""
    size, *names = sys.argv[1:]
    for name in names:
        media.named_mp4(name, int(size))
    with VideoSite() as site:
        print(site.url, flush=True)
        threading.Event().wait()
