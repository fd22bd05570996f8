"""What an integration is: how the environment names it, what can be configured, and the question that tests it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.audit import Actor
from engine.clients.connection_test import Reason
from models.integration import Integration

State = Literal["online", "offline", "degraded", "disabled"]


@dataclass(frozen=True)
class Given:
    """What the environment says; empty where it says nothing. It wins over what is stored."""

    url: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Target:
    """What is tested.

    Attributes:
        expected: an id that the other end should have; None: any.
        client_id: the name of this installation.
    """

    url: str
    token: str = field(repr=False)
    client_id: str
    expected: str | None = None
    verify: bool = True


@dataclass(frozen=True)
class Tested:
    """What a test found; `reason`, `message` and `advice` where it did not go well.

    Attributes:
        server: what the other end said of itself, for clients.
        facts: the same, for whoever keeps it.
    """

    ok: bool
    reason: Reason | None = None
    message: str | None = None
    advice: str | None = None
    server: Mapping[str, Any] | None = None
    facts: Any = None


@dataclass(frozen=True)
class Remembered:
    """What is known of the other end without asking it."""

    name: str | None = None
    version: str | None = None
    last_error: str | None = None
    seen_at: datetime | None = None
    synced_at: datetime | None = None
    machine_id: str | None = None


class Kind(ABC):
    """One integration; `options` are the names of what can be configured beside URL and token."""

    name: str
    title: str
    standard_url: str = ""
    options: frozenset[str] = frozenset({"verifyTls"})

    def environment(self, settings: Settings) -> Given:
        """What the environment sets."""
        return Given()

    def switched_on(self, settings: Settings) -> bool:
        """Whether it may be used at all."""
        return True

    @abstractmethod
    def examine(self, target: Target) -> Tested:
        """Ask the other end whether all is well.

        Raises:
            ConnectionTestFailed: it is not.
        """

    def state(self, db: Session, settings: Settings, row: Integration | None) -> State:
        """How it is, without asking: as the last test found it."""
        checked = ((row is not None and row.options) or {}).get("checked")
        return "degraded" if checked is None else "online" if checked["ok"] else "offline"

    def remembered(self, db: Session, settings: Settings, row: Integration | None) -> Remembered:
        """What is known of the other end."""
        checked = ((row is not None and row.options) or {}).get("checked") or {}
        return Remembered(last_error=checked.get("message"))

    def learned(self, tested: Tested) -> Mapping[str, Any]:
        """Options that a test that went well has brought to light."""
        return {}

    def saved(
        self, db: Session, settings: Settings, tested: Tested, actor: Actor, *, moved: bool
    ) -> str | None:
        """Do what follows from a new configuration, in its unit of work; returns the id of a sync that begins.

        Args:
            db: the unit of work.
            settings: of this moment.
            tested: what the test found.
            actor: who did it.
            moved: another server than before, or the first one.
        """
        return None

    def removed(self, db: Session, settings: Settings) -> None:
        """Do what follows from there being no configuration any more."""
        return
