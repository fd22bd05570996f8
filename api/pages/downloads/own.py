"""`/downloads`: one's own downloads, and what can be done with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import marshmallow as ma
from flask import Response, request
from marshmallow import validate
from sqlalchemy.orm import Session

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.downloads.words import changed, formats, kind_of, qualities, sentence, summary
from api.pages.look.rendering import link
from api.pages.look.shell import Kind
from api.pages.look.words import gettext as _
from api.wire.fields import Choice, Flag, Lines, PageQuery, Schema, Text
from engine.accounts import users
from engine.arrivals import arrivals
from engine.downloads import batches, budget, downloads
from engine.downloads.changes import ACTIONS, Changed, Changing, visible_owner
from engine.downloads.previews.links import Link
from engine.downloads.shown import listing, waiting
from engine.errors import ValidationFailed
from engine.permissions import Permission
from engine.storage.layout import folders

pages = PageBlueprint("downloads")

HERE = "downloads"
_EMPTY = {"quality": None, "format": None, "download_path": None}
LONGEST_TEXT = 500_000  # characters of all links together


class DownloadsPageQuery(PageQuery):
    """Which downloads, and links that are to be entered into the form."""

    status = Choice(list(listing.VIEWS))
    query = Text(100, strip=True)
    urls = Lines(LONGEST_TEXT)


class ChangeForm(Schema):
    """What is done with a download."""

    action = Choice(ACTIONS, required=True)
    delete_file = Flag(load_default=False)


class ChosenForm(Schema):
    """What is done with several."""

    action = Choice(ACTIONS, required=True)
    ids = ma.fields.List(Text(100), load_default=list, validate=validate.Length(max=batches.MOST))


@pages.page("/downloads", Permission.MEDIA_REQUEST, query=DownloadsPageQuery)
def downloads_page(visit: Visit, query: dict[str, Any] | None = None) -> Response:
    """One's own downloads, and the form for new ones. Links in the query are entered into it, nothing more."""
    return show_downloads(visit, visit.db, query or {})


def show_downloads(
    visit: Visit,
    db: Session,
    query: dict[str, Any],
    *,
    links: Sequence[Link] = (),
    entered: Mapping[str, Any] | None = None,
) -> Response:
    """The page of downloads.

    Args:
        visit: the request.
        db: for reading.
        query: as `DownloadsPageQuery` has it.
        links: what is known of the links in the form.
        entered: what stands in the form; None: nothing but what they have chosen to be remembered.
    """
    mine, root = visit.identity.user_id, visit.settings.download_dir
    choice = users.get(db, mine).download_choice
    return visit.show(
        "downloads.html",
        HERE,
        form=entered or _EMPTY | (choice or {}) | {"urls": query.get("urls", ""), "remember": bool(choice)},
        links=links,
        ticked={link.name for link in links if _is_ticked(link, entered)},
        may_look=request.headers.get("Sec-Fetch-Site", "").lower() != "cross-site",
        qualities=qualities(),
        formats=formats(),
        folders=folders(root),
        free=budget.free_bytes(root) if root.is_dir() else None,
        list=listed(visit, db, query, [mine]),
    )


def _is_ticked(link: Link, entered: Mapping[str, Any] | None) -> bool:
    """As it was when it was shown before; else what is new is ticked."""
    if entered is not None and link.name in entered["shown"]:
        return link.name in entered["tick"]
    return link.refusal is None and link.owned is None


def listed(
    visit: Visit,
    db: Session,
    query: Mapping[str, Any],
    owner_ids: list[str] | None,
    path: str = HERE,
    **more: str,
) -> dict[str, Any]:
    """What the list of downloads in a template needs.

    Args:
        visit: the request.
        db: for reading.
        query: status, query, page and limit.
        owner_ids: whose; None: everybody's.
        path: of the page.
        more: further parameters of its address.
    """
    status, words = query.get("status"), query.get("query")
    page, limit = query.get("page", 1), query.get("limit", 20)
    found = listing.find(db, owner_ids=owner_ids, status=status, query=words, page=page, limit=limit)
    counts = listing.counts(db, owner_ids)

    def at(status: str | None = None, page: int | None = None) -> str:
        given = {**more, "status": status, "query": words, "page": page}
        parameters = urlencode({name: value for name, value in given.items() if value})
        return link(path) + (f"?{parameters}" if parameters else "")

    return {
        "found": found,
        "counts": counts,
        "sentence": summary(counts),
        "status": status,
        "words": words,
        "is_filtered": bool(status or words or more),
        "address": link(path),
        "at": at,
        "why": waiting.reasons(db, visit.settings, found.items),
        "places": listing.places(db, found.items),
        "plex": arrivals.states(db, found.items),
        "kind_of": kind_of,
        "may_put_first": Permission.REQUESTS_MANAGE in visit.identity.permissions,
    }


@pages.page("/downloads/<id:download_id>", Permission.MEDIA_REQUEST)
def download_page(visit: Visit, download_id: str) -> Response:
    """One download: what became of it, step by step, and its file."""
    row = downloads.get(visit.db, download_id, owner_id=visible_owner(visit.identity))
    plex = arrivals.states(visit.db, [row]).get(row.id)
    owner = None if row.user_id == visit.identity.user_id else users.get(visit.db, row.user_id)
    return visit.show(
        "download.html",
        HERE,
        row=row,
        plex=plex,
        owner=owner,
        sentence=sentence(row, plex),
        why=waiting.reasons(visit.db, visit.settings, [row]).get(row.id),
        place=listing.places(visit.db, [row]).get(row.id),
        kind_of=kind_of,
        may_put_first=Permission.REQUESTS_MANAGE in visit.identity.permissions,
    )


@pages.form("/downloads/<id:download_id>", Permission.MEDIA_REQUEST, back=HERE)
def change_download(visit: Visit, download_id: str) -> Response:
    """Cancel, try again, remove or put first one download."""
    downloads.get(visit.db, download_id, owner_id=visible_owner(visit.identity))
    entered = visit.entered(ChangeForm)
    changing(visit).change(download_id, **entered)
    back = visit.back(HERE)
    if entered["action"] == "remove" and back == f"downloads/{download_id}":
        back = HERE
    return visit.go(back, changed(entered["action"], Changed(done=1)))


@pages.form("/downloads/chosen", Permission.MEDIA_REQUEST, back=HERE)
def change_chosen(visit: Visit) -> Response:
    """Do something with all that are ticked; each is judged on its own."""
    entered = visit.entered(ChosenForm)
    if not entered["ids"]:
        raise ValidationFailed(_("Choose at least one first."))
    changes = changing(visit).change_each(list(dict.fromkeys(entered["ids"])), entered["action"])
    kind: Kind = "done" if not changes.refused else "degraded" if changes.done else "failed"
    return visit.go(visit.back(HERE), changed(entered["action"], changes), kind)


def changing(visit: Visit) -> Changing:
    """The visitor, as who changes downloads."""
    spend = partial(visit.spend, "downloads")
    return Changing(db=visit.db, mine=visit.identity, actor=visit.actor, count=spend)
