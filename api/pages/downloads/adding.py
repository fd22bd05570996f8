"""`/downloads`, continued: the form for new ones; links are looked at before, if one likes."""

from __future__ import annotations

from functools import partial
from typing import Any

import marshmallow as ma
from flask import Response, g
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from api.pages.door.blueprint import PageBlueprint, Refusal
from api.pages.door.visit import Visit
from api.pages.downloads.own import HERE, LONGEST_TEXT, downloads_page, show_downloads
from api.pages.downloads.words import added
from api.pages.look.words import gettext as _
from api.wire.fields import Choice, Count, Flag, Lines, Schema, Text
from engine.accounts import profile
from engine.downloads import batches, requested
from engine.downloads.batches import Outcome
from engine.downloads.previews import links
from engine.errors import MediaNestError, ValidationFailed
from engine.formats import FORMATS, QUALITIES
from engine.permissions import Permission
from engine.storage.layout import confine

pages = PageBlueprint("download_adding")

_LARGEST = 2 << 20  # bytes: the links, and twice a name for each
_LONGEST_LOOK = 5  # seconds that a request waits for what workers find
_REASONS = 3  # that are told; the rest is shown where one looks at the links


class AddForm(Schema):
    """Links, and how they are to be downloaded; what was shown of them, and what of that is ticked."""

    urls = Lines(LONGEST_TEXT, required=True)
    quality = Choice(QUALITIES, load_default=None)
    format = Choice(FORMATS, load_default=None)
    download_path = Text(500, strip=True, load_default=None)
    remember = Flag(load_default=False)
    shown = ma.fields.List(Text(16), load_default=list)
    tick = ma.fields.List(Text(16), load_default=list)
    look = Count(0, _LONGEST_LOOK, load_default=None)


@pages.form(
    "/downloads", Permission.MEDIA_REQUEST, again=downloads_page, own_units=True, largest_body=_LARGEST
)
def add_downloads(visit: Visit) -> Response:
    """Download the links, or with `look` only say what they hold."""
    entered = visit.entered(AddForm)
    found = links.links_in(entered["urls"])
    if len(found) > batches.MOST:
        raise ValidationFailed(
            _("These are too many links."), urls=_("At most %(most)d at once.") % {"most": batches.MOST}
        )
    if entered["look"] is not None:
        return _look(visit, entered, found)
    wanted = [url for url in found if _is_wanted(links.name_of(url), entered)]
    with visit.runtime.unit_of_work() as db:
        outcomes = _add(visit, db, entered, wanted)
    refused = [url for url, outcome in zip(wanted, outcomes, strict=True) if outcome.error is not None]
    if not refused:
        return visit.go(HERE, added(outcomes) or _("None of the links is ticked."))
    g.refusal = _refusal(visit, refused, outcomes)
    with visit.runtime.reading() as db:
        known = links.known(db, visit.settings, refused, user_id=visit.identity.user_id)
        return show_downloads(visit, db, {}, links=known)


def _is_wanted(name: str, entered: dict[str, Any]) -> bool:
    """Whether a link is to be downloaded: it is ticked, or came into the field since the links were shown."""
    return name in entered["tick"] or name not in entered["shown"]


def _look(visit: Visit, entered: dict[str, Any], urls: list[str]) -> Response:
    mine = visit.identity.user_id
    links.look(visit.runtime, urls, user_id=mine, patience=entered["look"])
    with visit.runtime.reading() as db:
        known = links.known(db, visit.settings, urls, user_id=mine)
        return show_downloads(visit, db, {}, links=known, entered=entered)


def _add(visit: Visit, db: Session, entered: dict[str, Any], urls: list[str]) -> list[Outcome]:
    """Ask for the links.

    Raises:
        ValidationFailed: quality, format and folder are not possible, whatever the links are.
    """
    choice = {name: entered[name] for name in ("quality", "format", "download_path")}
    requested.choose(choice["quality"], choice["format"])
    confine(choice["download_path"], visit.settings.download_dir)
    if entered["remember"]:
        remembered = {name: value for name, value in choice.items() if value}
        profile.choose(db, visit.identity, download_choice=remembered)
    return batches.create_each(
        db,
        visit.settings,
        [{"url": url, **choice} for url in urls],
        user_id=visit.identity.user_id,
        count=partial(visit.spend, "downloads"),
    )


def _refusal(visit: Visit, refused: list[str], outcomes: list[Outcome]) -> Refusal:
    """What the form shows: the links that were refused stay in it."""
    reasons = list(dict.fromkeys(_reason(each.error) for each in outcomes if each.error is not None))
    entered = MultiDict(visit.form)
    entered["urls"] = "\n".join(refused)
    return Refusal(added(outcomes), {"urls": " ".join(reasons[:_REASONS])}, entered)


def _reason(error: MediaNestError) -> str:
    details = error.details if isinstance(error.details, dict) else {}
    return _(str(next(iter(details.get("url", ())), error.message)))
