"""`/unsubscribe/<token>` and `/decide/<token>`: where links in messages lead; both ask before they change something."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.wire.fields import Choice, Schema, Text
from engine.errors import Forbidden, NotFound
from engine.media_requests import link_decisions
from engine.notifications import choosing, links, preferences

pages = PageBlueprint("message_links")


class LinkDecisionForm(Schema):
    """What is decided, and why."""

    decision = Choice(["approve", "deny"], required=True)
    reason = Text(500, strip=True)


@pages.page("/unsubscribe/<token>", None)
def unsubscribe_page(visit: Visit, token: str) -> Response:
    """Ask whether a channel is to be switched off."""
    try:
        channel = preferences.by_id(visit.db, links.unsubscribed_channel(visit.settings, token))
    except NotFound as error:
        return visit.show("message-links/gone.html", status=404, why=error.message)
    return visit.show("message-links/unsubscribe.html", channel=channel, token=token)


@pages.form("/unsubscribe/<token>", None, again=unsubscribe_page, limit="tier")
def unsubscribe_by_link(visit: Visit, token: str) -> Response:
    """Switch the channel off."""
    channel_id = links.unsubscribed_channel(visit.settings, token)
    choosing.switch_off(visit.db, channel_id, visit.actor.address)
    return visit.go(f"unsubscribe/{token}")


@pages.page("/decide/<token>", None)
def decide_page(visit: Visit, token: str) -> Response:
    """Show a request, and ask."""
    try:
        request = link_decisions.look_up(visit.db, token)
    except (NotFound, Forbidden) as error:
        return visit.show("message-links/gone.html", status=error.status, why=error.message)
    return visit.show("message-links/decide.html", request=request, token=token)


@pages.form("/decide/<token>", None, again=decide_page, limit="tier")
def decide_by_link(visit: Visit, token: str) -> Response:
    """Decide as the recipient of the message."""
    form: dict[str, Any] = visit.entered(LinkDecisionForm)
    request = link_decisions.decide(
        visit.db,
        token,
        approve=form["decision"] == "approve",
        reason=form.get("reason"),
        address=visit.actor.address,
    )
    return visit.show("message-links/decided.html", request=request, approved=form["decision"] == "approve")
