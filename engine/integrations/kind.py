"""The interface of an integration: its environment variables, its options, its connection test."""

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
    """The values from the environment, which win over stored ones; empty where unset."""

    url: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Target:
    """What a test connects to.

    Attributes:
        expected: the id that the server must have; None: any.
        client_id: the identifier of this installation.
    """

    url: str
    token: str = field(repr=False)
    client_id: str
    expected: str | None = None
    verify: bool = True


@dataclass(frozen=True)
class Tested:
    """The result of a test; `reason`, `message` and `advice` where it failed.

    Attributes:
        seconds: how long it took.
        server: what the server says of itself, for clients.
        facts: the same, to be stored.
    """

    ok: bool
    reason: Reason | None = None
    message: str | None = None
    advice: str | None = None
    server: Mapping[str, Any] | None = None
    facts: Any = None
    seconds: float = 0.0


@dataclass(frozen=True)
class KnownPeer:
    """What is stored about the server; `tested_at`: when the stored configuration was last tested."""

    name: str | None = None
    version: str | None = None
    last_error: str | None = None
    seen_at: datetime | None = None
    synced_at: datetime | None = None
    machine_id: str | None = None
    tested_at: datetime | None = None


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
        """Test the connection.

        Raises:
            ConnectionTestFailed: it fails; says how.
        """

    def state(self, db: Session, settings: Settings, row: Integration | None) -> State:
        """The state as of the last test."""
        checked = ((row is not None and row.options) or {}).get("checked")
        return "degraded" if checked is None else "online" if checked["ok"] else "offline"

    def remembered(self, db: Session, settings: Settings, row: Integration | None) -> KnownPeer:
        """What is stored about the server."""
        checked = ((row is not None and row.options) or {}).get("checked") or {}
        at = checked.get("at")
        return KnownPeer(
            last_error=checked.get("message"), tested_at=datetime.fromisoformat(at) if at else None
        )

    def learned(self, tested: Tested) -> Mapping[str, Any]:
        """Options that follow from a successful test."""
        return {}

    def saved(
        self, db: Session, settings: Settings, tested: Tested, actor: Actor, *, moved: bool
    ) -> str | None:
        """Apply the consequences of a new configuration, in its unit of work; returns the id of a sync that it starts.

        Args:
            db: the unit of work.
            settings: of this moment.
            tested: what the test found.
            actor: who did it.
            moved: another server than before, or the first one.
        """
        return None

    def removed(self, db: Session, settings: Settings) -> None:
        """Apply the consequences of a removed configuration."""
        return
