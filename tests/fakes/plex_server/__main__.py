"""Runs a double alone, for benches and for trying things out: the first line is JSON with its url, token and control."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import threading
from pathlib import Path

if __package__ in {None, ""}:  # started as a script: make `tests` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.fakes.plex_server.control import Control, warm
from tests.fakes.plex_server.populating import populate
from tests.fakes.plex_server.server import PlexDouble


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="plex_server", description="a Plex Media Server for trying things out"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=32400)
    parser.add_argument("--control-port", type=int, default=32401)
    parser.add_argument("--films", type=int, default=40)
    parser.add_argument("--shows", type=int, default=5)
    parser.add_argument("--episodes-per-show", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--token", help="the owner's token")
    options = parser.parse_args()
    plex = PlexDouble(options.host, options.port)
    if options.token:
        plex.library.owner.token = options.token
    populate(plex.library, options.films, options.shows, options.episodes_per_show, options.seed)
    size = warm(plex.library)
    gc.collect()
    gc.freeze()  # a million objects that the collector need not look at again
    with plex:
        control = Control(plex, options.host, options.control_port)
        said = {
            "url": plex.url,
            "token": plex.token,
            "control": control.url,
            "items": len(plex.library.items),
            "bytes": size,
        }
        print(json.dumps(said), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            control.close()


if __name__ == "__main__":
    main()
