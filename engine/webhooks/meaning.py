"""The types of a webhook handler and its outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from config.settings import Settings
from models.webhook import Webhook


@dataclass(frozen=True)
class WebhookOutcome:
    """What was done with a message, as a sentence, and whether it was ignored."""

    words: str
    ignored: bool = False


# Handles a message within a unit of work; idempotent, also if two workers call it at once.
Handler = Callable[[Session, Settings, Webhook], WebhookOutcome]
