"""How a setting is declared: a field of a frozen dataclass, with what reads its variable and what it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, field
from types import MappingProxyType
from typing import Any, TypeVar

from config import variables

C = TypeVar("C", bound=type)


def setting(
    parse: Callable[[str], Any],
    default: Any,
    help_: str,
    *,
    env: str | None = None,
    secret: bool = False,
    live: bool = False,
    guarded: bool = False,
) -> Any:
    """A setting.

    Args:
        parse: makes the value of a variable's text, or raises ValueError that says what it takes.
        default: where the variable is not set.
        help_: what it is for, as docs/configuration.md says it.
        env: the variable; by default the field's name in capitals (see `named_by_fields`).
        secret: the value is never shown.
        live: an admin may change it while everything runs.
        guarded: it says whom we trust, where links and mails go, or what keeps guessers out and the log whole: a change
            takes a person who has lately proved to be there.
    """
    about = {"parse": parse, "help": help_, "live": live, "guarded": guarded}
    return field(default=default, repr=not secret, metadata=about if env is None else {"env": env, **about})


def rate_limit(default: str, help_: str) -> Any:
    """A rate limit such as `10/min,100/h`."""
    return setting(variables.rates, variables.rates(default), f"rate limit: {help_}", live=True, guarded=True)


def named_by_fields(cls: C) -> C:
    """Give each setting of a class, which is no dataclass yet, the variable that its field is called after."""
    for name, found in vars(cls).items():
        if isinstance(found, Field):
            found.metadata = MappingProxyType({"env": name.upper(), **found.metadata})
    return cls
