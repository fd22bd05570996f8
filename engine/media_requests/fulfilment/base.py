"""The interface of a way to fulfil requests, and the error of one that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine.runtime import Runtime
from models.media_request import MediaRequest

Choice = dict[str, str]  # `by` and `label`: another way that an admin may choose


@dataclass(frozen=True)
class HandedOn:
    """What became of a request that was handed on.

    Attributes:
        text: a sentence for its history.
        columns: of the request, such as `reference`.
    """

    text: str
    columns: dict[str, Any]


class NotFulfilled(Exception):
    """It can't be handed on.

    Attributes:
        passing: it may work later.
        choices: what an admin may choose instead.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        advice: str,
        *,
        passing: bool = False,
        choices: Sequence[Choice] = (),
    ) -> None:
        super().__init__(message)
        self.kind, self.message, self.advice = kind, message, advice
        self.passing, self.choices = passing, choices

    @property
    def error(self) -> dict[str, Any]:
        """As it is stored with the request."""
        return {
            "kind": self.kind,
            "message": self.message,
            "advice": self.advice,
            "retryable": True,
            "choices": list(self.choices),
        }


class Fulfiller(Protocol):
    """One way; no unit of work is open when it is called, and it may be called twice for one request."""

    def hand_on(
        self, runtime: Runtime, request: MediaRequest, seasons: Sequence[int], actor_id: str | None
    ) -> HandedOn:
        """Hand a request on; a second call finds what the first one made.

        Raises:
            NotFulfilled: it can't be.
        """


BY_HAND: Choice = {"by": "hand", "label": "Add it by hand"}
