"""The `medianest` command: finds the subcommand, reads the settings, turns errors into one line."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from cli import interrupts
from cli.about import SUMMARY, VERSION
from cli.errors import CommandError
from cli.terminal import forgive_encoding
from config.settings import Settings, SettingsError

# Each module has configure(parser), to add arguments, and run(args, settings), which returns the exit code.
COMMANDS = {
    "up": ("cli.up", "start everything: databases where none are given, web, workers, beat"),
    "migrate": ("cli.maintenance.migrate", "bring the database to the newest schema"),
    "doctor": ("cli.doctor", "say what is wrong, and what to do about it"),
    "backup": ("cli.maintenance.backup", "write database and secrets into one file"),
    "restore": ("cli.maintenance.restore", "bring back what `backup` has written"),
    "rotate-key": ("cli.maintenance.rotate_key", "make a new secret key, without signing anybody out"),
    "flower": ("cli.flower.command", "show workers and tasks to admins, at /flower/ of the web processes"),
    "setup": ("cli.client.setup", "create the first administrator of a running server"),
    "login": ("cli.client.login", "sign in to a running server"),
    "logout": ("cli.client.logout", "sign out"),
    "get": ("cli.client.get", "download a video and watch its progress"),
    "downloads": ("cli.client.downloads", "list your downloads"),
    "cancel": ("cli.client.cancel", "stop a download"),
    "retry": ("cli.client.retry", "let a failed or cancelled download begin anew"),
    "remove": ("cli.client.remove", "take a download that has ended off the list"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns:
        0 for work done, 1 for a failure, 2 for wrong usage or settings; 128 and a signal's number where that ended us.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with interrupts.heard():
            code = _run(arguments)
            _write_all()
    except (SettingsError, CommandError) as error:
        with suppress(OSError):
            print(f"medianest: {error}", file=sys.stderr)
        code = 2 if isinstance(error, SettingsError) else 1
    except interrupts.EndedBySignal as interrupted:
        code = interrupted.exit_code
    except BrokenPipeError:  # who read our output has seen enough
        code = 128 + signal.SIGPIPE
    _forget_unwritten()
    return code


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="medianest", description=SUMMARY)
    parser.add_argument("--version", action="version", version=f"MediaNest {VERSION}")
    choices = parser.add_subparsers(metavar="command", required=True)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        command = choices.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == chosen:
            # Only what was asked for is loaded: `up` stays resident and needs no ORM.
            with interrupts.shielded():  # Python hides what breaks into some parts of an import
                loaded = importlib.import_module(module)
            loaded.configure(command)
            command.set_defaults(run=loaded.run)
    parsed = parser.parse_args(arguments)
    forgive_encoding()
    code: int = parsed.run(parsed, Settings.load())
    return code


def _write_all() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"what there is to say can't be written: {error.strerror}") from None


def _forget_unwritten() -> None:
    """Drop what a closed or full output did not take: the interpreter would complain of it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
