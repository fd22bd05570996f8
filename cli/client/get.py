"""`medianest get`: download a video, and watch it happen."""

from __future__ import annotations

import argparse
import sys

from cli.client.download_state import DownloadState
from cli.client.following import Following
from cli.client.progress import display_on
from cli.client.session.account import SavedAccount, add_server
from cli.errors import CommandError
from cli.interrupts import EndedBySignal
from cli.terminal import clean
from config.settings import Settings

GOES_ON = """\
The download goes on. While it does, the same command follows it again.
To cancel it: medianest cancel {id}"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("url", metavar="URL", help="of a video, or of a page with one")
    parser.add_argument("--quality", help="best, 2160p ... 144p, or audio (default: best)")
    parser.add_argument("--format", help="mp4, mkv, webm, mp3, m4a or opus (default: mp4)")
    parser.add_argument("--path", metavar="FOLDER", help="a folder below the server's download folder")
    parser.add_argument(
        "--no-wait", action="store_true", help="print the download's id and leave it to the server"
    )
    add_server(parser)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Ask for the video and follow it; progress goes to standard error, the file's path to standard output.

    Raises:
        CommandError: the wish is not accepted, or the download fails or is cancelled.
    """
    account = SavedAccount.open(args.server)
    wish = {"url": args.url, "quality": args.quality, "format": args.format, "downloadPath": args.path}
    body = {name: value for name, value in wish.items() if value is not None}
    state = DownloadState.of(account.call("POST", "/youtube/download", body=body))
    if args.no_wait:
        print(state.id)
        return 0
    display = display_on(sys.stderr)
    try:
        state = Following(account, state, display).until_end()
    except EndedBySignal as interrupted:
        display.end()
        print(GOES_ON.format(id=state.id), file=sys.stderr)
        return interrupted.exit_code
    except BaseException:
        display.end()
        raise
    display.end()
    print(_path(state, settings))
    return 0


def _path(state: DownloadState, settings: Settings) -> str:
    """The finished file, as this machine sees it where it does, else relative to the server's DOWNLOAD_DIR.

    Raises:
        CommandError: there is none, in the words of the failure.
    """
    if state.path is None:
        if state.status == "cancelled":
            raise CommandError("the download was cancelled")
        again = f" To try again: medianest retry {state.id}" if state.retryable else ""
        raise CommandError(f"{state.error or 'the download failed'}{again}")
    local = settings.download_dir / state.path
    if local.is_file() and local.stat().st_size == state.size:
        return clean(str(local))
    return clean(state.path)
