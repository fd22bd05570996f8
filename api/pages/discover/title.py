"""`/title/<type>/<id>`: a film or series of TMDB, what of it is there, and asking for it."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any, Literal, cast

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.pages.discover import words
from api.pages.discover.finding import HERE, poster_of, there_of
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.wire.fields import Choice, Lines, Schema, Text
from engine.errors import ValidationFailed
from engine.media_requests import asking, listing, rules
from engine.media_requests.asking import Wish
from engine.media_requests.availability import NOTHING
from engine.media_requests.rules import Quota
from engine.permissions import Permission
from engine.titles import titles
from engine.titles.normal import Type
from models.user import User

pages = PageBlueprint("title")

_SIMILAR = 12


class AskForm(Schema):
    """What is asked for."""

    which = Choice(["", "all", "latest", "chosen"], load_default="")
    seasons = ma.fields.List(Text(5), load_default=list, validate=validate.Length(max=asking.MOST_SEASONS))
    quality = Choice(["", *asking.QUALITIES], load_default="")
    comment = Lines(1000, 0, strip=True)


@pages.page("/title/<any(movie, tv):media_type>/<id:tmdb_id>", Permission.MEDIA_READ, own_units=True)
def title_page(visit: Visit, media_type: str, tmdb_id: str) -> Response:
    """A film or series: what it is, what of it is there, and the form to ask for it."""
    language = visit.language
    found = titles.look_up(visit.runtime, cast(Type, media_type), tmdb_id, language=language)
    with visit.runtime.reading() as db:
        beside = titles.similar_of(db, found, language)[:_SIMILAR]
    there = there_of(visit, [found, *beside])
    mine = there[found.key]
    may_ask = visit.visitor.may(Permission.MEDIA_REQUEST)
    return visit.show(
        "title.html",
        HERE,
        title=found,
        released=found.released and datetime.combine(found.released, time(12), UTC),
        there=mine,
        seasons={season.number: season for season in mine.seasons},
        beside=beside,
        all_there=there,
        nothing=NOTHING,
        may_ask=may_ask,
        asked=_asked(visit, mine.request_id) if may_ask else None,
        quota=_quota(visit) if may_ask else None,
        entered=visit.form,
        qualities=[("", _("As it comes")), *((name, name) for name in asking.QUALITIES if name != "best")],
        words=words,
        poster=poster_of(visit),
    )


@pages.form(
    "/title/<any(movie, tv):media_type>/<id:tmdb_id>",
    Permission.MEDIA_REQUEST,
    again=title_page,
    own_units=True,
)
def ask_for_title(visit: Visit, media_type: str, tmdb_id: str) -> Response:
    """Ask for it; who asks for what is asked for already follows it."""
    entered = visit.entered(AskForm)
    wish = Wish(
        media_type=media_type,
        tmdb_id=tmdb_id,
        seasons=_seasons(entered) if media_type == "tv" else "all",
        quality=entered["quality"] or None,
        comment=entered.get("comment") or None,
    )
    asked = asking.ask(visit.runtime, wish, visit.actor, user_id=visit.identity.user_id)
    said = _("You asked for it, and are told what becomes of it.")
    if not asked.created:
        said = _("It was asked for already. You follow it now, and are told what becomes of it.")
    return visit.go(f"requests/{asked.request.id}", said)


def _seasons(entered: dict[str, Any]) -> list[int] | Literal["all", "latest"]:
    if entered["which"] in {"all", "latest"}:
        return cast(Literal["all", "latest"], entered["which"])
    numbers = [one for one in entered["seasons"] if one.isascii() and one.isdecimal()]
    if not numbers:
        raise ValidationFailed(_("Choose at least one season."), seasons=_("Choose at least one season."))
    return sorted({int(one) for one in numbers})


def _asked(visit: Visit, request_id: str | None) -> tuple[str, bool] | None:
    """The request of it, and whether the visitor sees it."""
    if request_id is None:
        return None
    manages = visit.visitor.may(Permission.REQUESTS_MANAGE)
    with visit.runtime.reading() as db:
        mine = listing.visible(db, request_id, visit.identity.user_id)
    return request_id, mine or manages


def _quota(visit: Visit) -> Quota | None:
    with visit.runtime.reading() as db:
        user = db.get_one(User, visit.identity.user_id)
        return rules.quota_of(db, user)
