"""Discovery of Plex servers through the Plex account of the acting admin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.accounts import plex_access
from engine.audit import Actor, Subject
from engine.clients.connection_test import Failed
from engine.clients.plex import discovery
from engine.clients.plex.discovery import Offer, Place
from engine.clients.plex.tv import TokenRefused
from engine.errors import Conflict, NotFound, PlexUnreachable, ValidationFailed
from engine.identity.confirmation import require_person
from engine.installation import client_identifier
from engine.integrations import integrations
from engine.integrations.integrations import Saved
from engine.plex.server import connection, user_tokens
from engine.runtime import Runtime
from engine.secrets import secret_box


@dataclass(frozen=True)
class Reached:
    """An address of a server; `failure` says why it does not answer from here; None: it does."""

    place: Place
    failure: Failed | None


@dataclass(frozen=True)
class Found:
    """A server of the account.

    Attributes:
        connected: it is the configured one.
        reached: its addresses, the preferred one first.
    """

    offer: Offer
    connected: bool
    reached: Sequence[Reached]

    @property
    def preferred(self) -> str | None:
        """The best of the addresses that answer: local before remote before relay; None where none does."""
        return next((each.place.uri for each in self.reached if each.failure is None), None)


def listing(runtime: Runtime, user_id: str) -> list[Found]:
    """The servers of a user's Plex account, their own first, each with its addresses as tested from here.

    Raises:
        Conflict: Plex is switched off, or they have no Plex account linked, or it has to be linked again.
        PlexUnreachable: plex.tv gives no usable answer.
    """
    offers = sorted(_offers(runtime, user_id), key=lambda offer: (not offer.owned, offer.name))
    with runtime.reading() as db:
        client_id = client_identifier(db)
        ours = connection.server_id(db, runtime.settings)
    answers = discovery.reachable(offers, client_id)
    return [
        Found(
            offer,
            offer.machine_id == ours,
            [Reached(place, failure) for place, failure in zip(offer.places, failures, strict=True)],
        )
        for offer, failures in zip(offers, answers, strict=True)
    ]


def connect(runtime: Runtime, user_id: str, machine_id: str, uri: str | None, actor: Actor) -> Saved:
    """Connect one of them, at its preferred address or a named one.

    Raises:
        ConfirmationRequired: the proof that a person asks is missing or too old.
        Conflict: as for `listing`, or the environment says which server is ours.
        NotFound: the account has no such server.
        ValidationFailed: it has no such address.
        PlexUnreachable: none of its addresses answers here, or plex.tv is silent.
    """
    require_person(actor, "integration.configured", Subject("integration", connection.NAME, "Plex"))
    offer = next((each for each in _offers(runtime, user_id) if each.machine_id == machine_id), None)
    if offer is None:
        raise NotFound("Your Plex account has no such server.")
    if uri is None:
        with runtime.reading() as db:
            client_id = client_identifier(db)
        (failures,) = discovery.reachable([offer], client_id)
        best = [place.uri for place, failure in zip(offer.places, failures, strict=True) if failure is None]
        if not best:
            raise PlexUnreachable(
                "None of the addresses that plex.tv knows of this server answers here: look whether it runs, or "
                "configure it with an address of your own."
            )
        uri = best[0]
    elif uri not in {place.uri for place in offer.places}:
        raise ValidationFailed("The server has no such address.", uri="Must be one of those listed.")
    changes = {"url": uri, "token": offer.token, "machineIdentifier": machine_id}
    return integrations.configure(runtime, connection.NAME, changes, actor)


def _offers(runtime: Runtime, user_id: str) -> list[Offer]:
    if not runtime.settings.plex_enabled:
        raise Conflict("Plex is switched off here (PLEX_ENABLED=false).")
    with runtime.reading() as db:
        token = secret_box.take(db, runtime.settings, user_tokens.secret_name(user_id))
    if token is None:
        raise Conflict(
            "You have no Plex account linked, through which servers could be found: link it (POST /auth/plex/pin, then "
            "POST /users/me/plex), or configure the server by its address and token."
        )
    with plex_access.conversation(runtime) as tv:
        try:
            return tv.resources(token, discovery.offers_of)
        except TokenRefused:
            raise Conflict(
                "plex.tv does not accept your sign-in any more: unlink your Plex account and link it anew."
            ) from None
