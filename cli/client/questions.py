"""What a person is asked, and where a script gives the answers instead."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cli.errors import CommandError
from engine.identity.passwords import MIN_LENGTH


def add_password(parser: argparse.ArgumentParser) -> None:
    """Add `--password-stdin`."""
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input, for scripts"
    )


def ask(question: str, option: str, default: str = "") -> str:
    """Ask for a word that `option` did not give.

    Raises:
        CommandError: nobody is there to answer.
    """
    _insist(f"{option} is missing")
    shown = f"{question} [{default}]: " if default else f"{question}: "
    with _line_ended():
        while not (answer := input(shown).strip() or default):
            pass
    return answer


def ask_password(args: argparse.Namespace, *, twice: bool = False) -> str:
    """Ask for the password unseen, or read it as `--password-stdin` says.

    Raises:
        CommandError: nobody is there to answer, or the two answers differ.
    """
    if args.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise CommandError("standard input holds no password")
        return password
    _insist("--password-stdin is missing")
    password = _hidden("Password: ")
    while twice and len(password) < MIN_LENGTH:  # said before it is typed again
        print(f"It needs at least {MIN_LENGTH} characters.")
        password = _hidden("Password: ")
    if twice and _hidden("Again: ") != password:
        raise CommandError("the two passwords differ")
    return password


def ask_secret(question: str) -> str | None:
    """Ask for something unseen; None where nobody is there to answer."""
    return _hidden(f"{question}: ") if sys.stdin.isatty() else None


def _hidden(prompt: str) -> str:
    with _line_ended():
        return getpass.getpass(prompt)


@contextmanager
def _line_ended() -> Iterator[None]:
    """Let no question stand open on the screen when it is not answered."""
    try:
        yield
    except KeyboardInterrupt:
        print()
        raise
    except EOFError:
        print()
        raise CommandError("no answer was given") from None


def _insist(missing: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError(f"{missing}, and standard input is not a terminal where it could be asked")
