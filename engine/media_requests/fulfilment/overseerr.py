"""By Overseerr or Seerr: a request there, as the user there who has the same Plex account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.clients.overseerr import OverseerrClient
from engine.clients.overseerr_answers import (
    OverseerrAway,
    OverseerrError,
    OverseerrExists,
    OverseerrNothingLeft,
    OverseerrRefused,
    UpstreamRequest,
)
from engine.media_requests.fulfilment.base import BY_HAND, HandedOn, NotFulfilled
from engine.runtime import Runtime
from engine.settings import integration_access
from engine.settings.integration_access import IntegrationAccess
from models.media_request import MediaRequest
from models.user import User

NAME = "overseerr"
_NEXT: Mapping[str, Literal["approve", "retry"]] = {"pending": "approve", "failed": "retry"}
_ADVICE = {
    "unreachable": "Look whether Overseerr runs and can be reached from here; then try again.",
    "refused": "Look at its API key, and at what its own quotas and blocklist say.",
    "garbled": "Look at the address of Overseerr, and at its log.",
}


def configured(db: Session, settings: Settings) -> IntegrationAccess | None:
    """How Overseerr is reached; None where it is not set up.

    Raises:
        ServiceUnavailable: the stored key was written with another `SECRET_KEY`.
    """
    return integration_access.of(
        db, settings, NAME, url=settings.overseerr_url, token=settings.overseerr_api_key
    )


def client_of(access: IntegrationAccess) -> OverseerrClient:
    """A client for it."""
    return OverseerrClient(access.url, access.token, verify=access.verify)


class ByOverseerr:
    """Makes a request there and approves it, or takes up the one that is there."""

    def hand_on(
        self, runtime: Runtime, request: MediaRequest, seasons: Sequence[int], actor_id: str | None
    ) -> HandedOn:
        """Ask for it there.

        Raises:
            NotFulfilled: Overseerr is away, refuses it, or can't find the series at TVDB.
        """
        with runtime.reading() as db:
            access = configured(db, runtime.settings)
            user = None if request.user_id is None else db.get(User, request.user_id)
        if access is None:
            raise NotFulfilled(
                "not_configured",
                "Overseerr is not set up.",
                "Set it up, or have somebody add it by hand.",
                choices=[BY_HAND],
            )
        try:
            with client_of(access) as client:
                made = _ToOverseerr(client, request, seasons).made(None if user is None else user.plex_id)
                if made is not None and made.progress in _NEXT:
                    client.decide(made.id, _NEXT[made.progress])
        except OverseerrError as error:
            away = isinstance(error, OverseerrAway)
            advice = _ADVICE.get(error.kind, "Try again.")
            choices = [] if away else [BY_HAND]
            raise NotFulfilled(error.kind, str(error), advice, passing=away, choices=choices) from None
        if made is None:
            text = "Overseerr has nothing left to ask for: it has it, or looks for it already."
            return HandedOn(text, {"reference": None, "target": access.url, "upstream": "nothing_left"})
        upstream = "approved" if made.progress in _NEXT else made.progress
        return HandedOn(
            f"Sent to Overseerr (request {made.id} there).",
            {"reference": made.id, "target": access.url, "upstream": upstream},
        )


class _ToOverseerr:
    """Brings one request to Overseerr."""

    def __init__(self, client: OverseerrClient, request: MediaRequest, seasons: Sequence[int]) -> None:
        self._client, self._request, self._seasons = client, request, seasons
        self._kind, self._tmdb_id = request.media_type, request.tmdb_id or ""
        self._in_4k = request.quality == "2160p" and client.takes_4k(request.media_type)

    def made(self, plex_id: str | None) -> UpstreamRequest | None:
        """A request there: the one of a dispatch that was interrupted, or of somebody there, or a new one.

        None: nothing is left to ask for, as it is there or is looked for.
        """
        title = self._client.title(self._kind, self._tmdb_id)
        if (known := self._known(title.requests, whole=True)) is not None:
            return known
        if self._kind == "tv" and self._request.tvdb_id is None and title.tvdb_id is None:
            raise NotFulfilled(
                "tvdb_missing",
                "Overseerr does not find this series at TVDB, which it needs to ask Sonarr.",
                "Give its id at TVDB, or add it by hand. A series that TVDB keeps as two has an id for each.",
                choices=[{"by": NAME, "label": "With an id at TVDB"}, BY_HAND],
            )
        try:
            return self._created(plex_id)
        except OverseerrExists:
            known = self._known(self._client.title(self._kind, self._tmdb_id).requests, whole=False)
            if known is None:
                message = "Overseerr says that it is asked for already, but does not show it."
                raise OverseerrRefused(message) from None
            return known
        except OverseerrNothingLeft:
            return self._of_others()

    def _created(self, plex_id: str | None) -> UpstreamRequest:
        return self._client.create(
            self._kind,
            self._tmdb_id,
            seasons=self._seasons,
            is_4k=self._in_4k,
            user_id=None if plex_id is None else self._client.user_of(plex_id),
            tvdb_id=self._request.tvdb_id if self._kind == "tv" else None,
        )

    def _of_others(self) -> UpstreamRequest | None:
        """What asks there for at least a part of it, where nothing was left."""
        title = self._client.title(self._kind, self._tmdb_id)
        if (known := self._known(title.requests, whole=False)) is not None:
            return known
        if title.looked_for_4k if self._in_4k else title.looked_for:
            return None
        raise NotFulfilled(
            "nothing_left",
            "Overseerr made no request, as it finds nothing to ask for, and does not look for it either.",
            "Look at this title in Overseerr: its seasons may be marked as available, or be unknown to it.",
            choices=[BY_HAND],
        )

    def _known(self, requests: Sequence[UpstreamRequest], *, whole: bool) -> UpstreamRequest | None:
        """One that asks for all of it, or else for a part, and was not declined; one that failed comes last."""
        wanted = set(self._seasons)
        fitting = [
            one
            for one in requests
            if one.progress not in {"declined", "deleted"}
            and one.is_4k == self._in_4k
            and (
                self._kind == "movie" or (wanted <= set(one.seasons) if whole else wanted & set(one.seasons))
            )
        ]
        return min(fitting, key=lambda one: one.progress == "failed", default=None)
