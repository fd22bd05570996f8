"""What a handler of webhooks is, and what it says of a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from config.settings import Settings
from models.webhook import Webhook


@dataclass(frozen=True)
class WebhookOutcome:
    """What came of a message: in words, and whether it was none of our business."""

    words: str
    ignored: bool = False


# Carries a message out within a unit of work. Called twice, or by two workers at once, it has one effect.
Handler = Callable[[Session, Settings, Webhook], WebhookOutcome]
