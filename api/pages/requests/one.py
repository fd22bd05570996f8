"""`/requests/<id>`: one request with its whole history, and what can be done with it."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import validate

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.requests import words
from api.pages.requests.list import HERE
from api.wire.fields import Choice, Lines, Schema, Text
from engine.media_requests import deciding, following, listing, timeline
from engine.permissions import Permission

pages = PageBlueprint("request")


class OwnActionForm(Schema):
    """What somebody does with a request that they see."""

    action = Choice(["unfollow", "remove", "change"], required=True)
    comment = Lines(1000, 0, strip=True)


class CommentForm(Schema):
    """What is written below it."""

    text = Lines(1000, strip=True, required=True)


class DecideForm(Schema):
    """What is decided."""

    action = Choice(["approve", "deny", "retry", "reopen"], required=True)
    reason = Lines(1000, 0, strip=True)
    by = Choice(["", *deciding.WAYS])
    tvdb_id = Text(20, 0, validate=[validate.Regexp(r"[0-9]*\Z")])


@pages.page("/requests/<id:request_id>", Permission.MEDIA_REQUEST)
def request_page(visit: Visit, request_id: str) -> Response:
    """One request: every step, why it is not there yet, and what was written below it."""
    manages = visit.visitor.may(Permission.REQUESTS_MANAGE)
    view = listing.get(visit.db, visit.settings, request_id, visit.identity.user_id, manages=manages)
    return visit.show(
        "request.html",
        HERE,
        view=view,
        request=view.request,
        waiting_for=timeline.waiting_for(visit.db, view),
        steps=timeline.of(visit.db, view.request),
        comments=listing.comments(visit.db, request_id),
        manages=manages,
        words=words,
    )


@pages.form("/requests/<id:request_id>", Permission.MEDIA_REQUEST, back=HERE)
def act_on_request(visit: Visit, request_id: str) -> Response:
    """Follow it no more, change what was written with it, take it back."""
    mine, manages = visit.identity.user_id, visit.visitor.may(Permission.REQUESTS_MANAGE)
    listing.get(visit.db, visit.settings, request_id, mine, manages=manages)
    entered = visit.entered(OwnActionForm)
    action = entered["action"]
    if action == "unfollow":
        following.unfollow(visit.db, request_id, mine)
        return visit.go(HERE, _("You follow it no more."))
    if action == "remove":
        deciding.remove(visit.db, request_id, mine, manages=manages, actor=visit.actor)
        return visit.go(HERE, _("It was taken back."))
    deciding.change_comment(
        visit.db, request_id, mine, entered.get("comment") or None, manages=manages, actor=visit.actor
    )
    return visit.go(f"requests/{request_id}", _("It was changed."))


@pages.form("/requests/<id:request_id>/follow", Permission.MEDIA_REQUEST, back=HERE)
def follow_request(visit: Visit, request_id: str) -> Response:
    """Be told of what becomes of a request that somebody else made."""
    following.follow(visit.db, request_id, visit.identity.user_id)
    return visit.go(visit.back(f"requests/{request_id}"), _("You are told what becomes of it."))


@pages.form("/requests/<id:request_id>/comments", Permission.MEDIA_REQUEST, again=request_page)
def comment_on_request(visit: Visit, request_id: str) -> Response:
    """Write something below it, for all who follow it."""
    mine, manages = visit.identity.user_id, visit.visitor.may(Permission.REQUESTS_MANAGE)
    listing.get(visit.db, visit.settings, request_id, mine, manages=manages)
    deciding.comment(visit.db, request_id, mine, visit.entered(CommentForm)["text"], visit.actor)
    return visit.go(f"requests/{request_id}")


@pages.form("/requests/<id:request_id>/decide", Permission.REQUESTS_MANAGE, again=request_page)
def decide_request(visit: Visit, request_id: str) -> Response:
    """Approve, deny, try again or reopen it."""
    entered: dict[str, Any] = visit.entered(DecideForm)
    how = {"by": entered.get("by") or None, "tvdb_id": entered.get("tvdb_id") or None}
    action = entered["action"]
    if action == "approve":
        deciding.approve(visit.db, request_id, visit.actor, **how)
        said = _("It was approved.")
    elif action == "deny":
        deciding.deny(visit.db, request_id, visit.actor, entered.get("reason") or None)
        said = _("It was denied.")
    elif action == "retry":
        deciding.retry(visit.db, request_id, visit.actor, **how)
        said = _("It is tried again.")
    else:
        deciding.reopen(visit.db, request_id, visit.actor)
        said = _("It can be decided anew.")
    return visit.go(f"requests/{request_id}", said)
