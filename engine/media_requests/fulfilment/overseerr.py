"""By Overseerr or Seerr: a request there, as the user there who has the same Plex account."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.clients.overseerr import (
    OverseerrAway,
    OverseerrClient,
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
                "not_configured", "Overseerr is not set up any more.", "Set it up again.", choices=[BY_HAND]
            )
        try:
            with client_of(access) as client:
                made = self._made(client, request, seasons, None if user is None else user.plex_id)
                if made.progress == "pending":
                    client.decide(made.id, "approve")
        except OverseerrNothingLeft:
            text = "Overseerr has nothing left to ask for: it has it, or looks for it already."
            return HandedOn(text, {"reference": None, "target": access.url, "upstream": "nothing_left"})
        except OverseerrError as error:
            raise NotFulfilled(
                error.kind,
                str(error),
                _ADVICE.get(error.kind, "Try again."),
                passing=isinstance(error, OverseerrAway),
                choices=[] if isinstance(error, OverseerrAway) else [BY_HAND],
            ) from None
        upstream = "approved" if made.progress == "pending" else made.progress
        return HandedOn(
            f"Sent to Overseerr (request {made.id} there).",
            {"reference": made.id, "target": access.url, "upstream": upstream},
        )

    def _made(
        self, client: OverseerrClient, request: MediaRequest, seasons: Sequence[int], plex_id: str | None
    ) -> UpstreamRequest:
        """A request there: the one of a dispatch that was interrupted, or of somebody there, or a new one."""
        known = _known(client, request, seasons)
        if known is not None:
            return known
        if (
            request.media_type == "tv"
            and request.tvdb_id is None
            and client.tvdb_id(request.tmdb_id or "") is None
        ):
            raise NotFulfilled(
                "tvdb_missing",
                "Overseerr does not find this series at TVDB, which it needs to ask Sonarr.",
                "Give its id at TVDB, or add it by hand. A series that TVDB keeps as two has an id for each.",
                choices=[{"by": NAME, "label": "With an id at TVDB"}, BY_HAND],
            )
        try:
            return client.create(
                request.media_type,
                request.tmdb_id or "",
                seasons=seasons,
                is_4k=request.quality == "2160p",
                user_id=None if plex_id is None else client.user_of(plex_id),
                tvdb_id=request.tvdb_id if request.media_type == "tv" else None,
            )
        except OverseerrExists:
            known = _known(client, request, seasons)
            if known is None:
                raise OverseerrRefused(
                    "Overseerr says that it is asked for already, but does not show it."
                ) from None
            return known


def _known(client: OverseerrClient, request: MediaRequest, seasons: Sequence[int]) -> UpstreamRequest | None:
    """A request there that asks for all of it and was not declined."""
    wants_4k = request.quality == "2160p"
    for one in client.of_title(request.media_type, request.tmdb_id or ""):
        covers = request.media_type == "movie" or set(seasons) <= set(one.seasons)
        if one.progress not in {"declined", "failed"} and one.is_4k == wants_4k and covers:
            return one
    return None
