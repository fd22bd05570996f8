"""`/search`: suggestions over all titles."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.wire.envelope import success
from api.wire.fields import Schema, Text, nullable, required
from engine.permissions import Permission
from engine.search import suggestions
from engine.search.suggestions import Suggestion

blueprint = Blueprint("search", "/search", "Search over everything.", limit="search")

_PAGES = {"library": "/item/", "download": "/downloads/"}


class SuggestQuery(Schema):
    """What was typed so far."""

    query = Text(200, 0, required=True)


class SuggestionSchema(Schema):
    """A title."""

    id = ma.fields.String(required=True)
    kind = ma.fields.String(required=True, validate=validate.OneOf(list(_PAGES)))
    type = required(ma.fields.String, about="movie, show, episode; of a download video.")
    title = ma.fields.String(required=True)
    year = nullable(ma.fields.Integer)
    url = required(ma.fields.String, about="Of its page, below the address of this server.")


class SuggestionsSchema(Schema):
    """Up to 8 titles, the best first."""

    items = ma.fields.List(ma.fields.Nested(SuggestionSchema), required=True)


@blueprint.operation(
    "GET",
    "/suggest",
    Access(Permission.MEDIA_READ),
    Answers({200: SuggestionsSchema}),
    Takes(query=SuggestQuery),
    limit="suggest",
)
def suggest_titles(call: Call, query: dict[str, Any]) -> Response:
    """Titles of the library, and of one's own downloads, with words that begin with the words of the query."""
    mine = call.identity.user_id if Permission.MEDIA_REQUEST in call.identity.permissions else None
    found = suggestions.suggest(call.db, call.settings, query["query"], downloads_of=mine)
    return success({"items": list(map(_row, found))})


def _row(found: Suggestion) -> dict[str, Any]:
    return SuggestionSchema.row(found, url=_PAGES[found.kind] + found.id)
