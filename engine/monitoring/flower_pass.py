"""Signed, short-lived passes that let our web processes, and nobody else, into Flower."""

from __future__ import annotations

import time

from config.settings import Settings
from engine.secrets import keys

HEADER = "X-MediaNest-Pass"
PREFIX = "/flower/"  # its path behind our proxy, and its own url_prefix
SECONDS = 60.0  # a pass is good for so long, and clocks of two hosts may differ by so much
_PURPOSE = "flower passes"


def issue(settings: Settings, target: str) -> str:
    """A pass for one GET of `target` (path and query), signed with a key of its own from the secret key."""
    return _sign(settings, int(time.time()), target)


def accepts(settings: Settings, given: str, target: str) -> bool:
    """Whether `given` is a pass for `target` that was issued in the last minute."""
    moment = given.partition(".")[0]
    if not (moment.isdecimal() and moment.isascii() and len(moment) <= 12):
        return False
    if abs(time.time() - int(moment)) > SECONDS:
        return False
    try:
        signature = bytes.fromhex(given.partition(".")[2])
    except ValueError:
        return False
    return keys.signer(settings, _PURPOSE, f"{int(moment)} {target}".encode(), signature) is not None


def _sign(settings: Settings, moment: int, target: str) -> str:
    return f"{moment}.{keys.sign(settings, _PURPOSE, f'{moment} {target}'.encode()).hex()}"
