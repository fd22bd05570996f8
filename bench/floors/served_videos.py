"""The video site that the benchmarks download from: files made before the first request, one process."""

from __future__ import annotations

import sys
import threading

from tests.fakes import media
from tests.fakes.video_site import VideoSite


def main() -> None:
    """Make a file of `size` bytes for each name, print the address, serve until killed."""
    size, *names = sys.argv[1:]
    for name in names:
        media.named_mp4(name, int(size))
    with VideoSite() as site:
        print(site.url, flush=True)
        threading.Event().wait()
