"""The types of a webhook handler and its outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.runtime import Runtime
from models.webhook import Webhook


@dataclass(frozen=True)
class WebhookOutcome:
    """What was done with a message.

    Attributes:
        words: a sentence.
        then: what is done after the unit of work, such as asking who sent it.
    """

    words: str
    ignored: bool = False
    then: Callable[[Runtime], object] | None = None


# Handles a message within a unit of work; idempotent, also if two workers call it at once.
Handler = Callable[[Session, Settings, Webhook], WebhookOutcome]
