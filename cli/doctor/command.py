"""The doctor's round, and how it is told."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
from collections.abc import Iterator

from cli.client.session.server import server_url
from cli.doctor import machine
from cli.doctor.finding import Finding, examine
from cli.doctor.plex_server import plex_server
from cli.doctor.server import CheckedServer
from cli.doctor.services import Services
from cli.doctor.shared_folder import shared_folder
from cli.terminal import clean
from config.settings import Settings

EXIT_CODES = {"ok": 0, "warn": 1, "fail": 2}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Exit code: 0 all is well, 1 there are warnings, 2 something does not work."
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")
    parser.add_argument(
        "--server",
        type=server_url,
        metavar="URL",
        help="ask the server there, such as the public address behind a proxy (default: this machine's)",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Examine everything; works whether MediaNest runs or not, and changes nothing."""
    logging.disable(logging.CRITICAL)  # what libraries have to say is in the findings
    found: list[Finding] = []
    for finding in _round(settings, args.server):
        found.append(finding)
        if not args.json:
            _tell(finding)
    worst = max((finding.state for finding in found), key=lambda state: EXIT_CODES[state])
    if args.json:
        print(json.dumps({"state": worst, "findings": [dataclasses.asdict(finding) for finding in found]}))
    else:
        counts = {state: sum(finding.state == state for finding in found) for state in EXIT_CODES}
        print(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} not working")
    return EXIT_CODES[worst]


def _round(settings: Settings, address: str | None) -> Iterator[Finding]:
    services, server = Services(settings), CheckedServer(settings, address)
    yield from examine("folders", lambda: machine.folders(settings))
    yield from examine("space", lambda: machine.space(settings))
    yield from examine("yt-dlp", machine.ytdlp)
    yield from examine("javascript", machine.javascript)
    yield from examine("ffmpeg", machine.ffmpeg)
    yield from examine("database", services.database)
    yield from examine("redis", services.redis)
    yield from examine("workers", services.queues)
    yield from examine("beat", services.beat)
    yield from examine("shared folder", lambda: shared_folder(services))
    yield from examine("plex", lambda: plex_server(services))
    yield from examine("http", server.http)
    yield from examine("websocket", server.websocket)
    yield from examine("flower", server.flower)


def _tell(finding: Finding) -> None:
    print(f"{finding.state:<4}  {finding.subject:<17}  {clean(finding.text)}", flush=True)
    if finding.advice:
        print(f"{'':<4}  {'':<17}  -> {finding.advice}", flush=True)
