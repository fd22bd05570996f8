"""`/youtube`, continued: many downloads asked for at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.download_rows import DownloadSchema, download_row
from api.resources.youtube import DownloadRequest, blueprint
from api.wire.envelope import success
from api.wire.errors import ErrorDetail, InvalidRequest, told_details
from api.wire.fields import Schema, Unread, nullable
from api.wire.requests import checked
from engine.downloads import batches
from engine.downloads.batches import Outcome
from engine.permissions import Permission

__all__ = ["blueprint"]


class DownloadsRequest(Schema):
    """Up to 200 downloads, each as for `POST /youtube/download`; they are judged one by one."""

    items = Unread(
        ma.fields.Nested(DownloadRequest), required=True, validate=validate.Length(1, batches.MOST)
    )


class OutcomeSchema(Schema):
    """What became of one of them."""

    url = nullable(ma.fields.String, about="As it was given; null where it was no text.")
    result = ma.fields.String(required=True, validate=validate.OneOf(["created", "existing", "refused"]))
    download = nullable(
        ma.fields.Nested, DownloadSchema, about="The new one, or the one that is active for the same wish."
    )
    error = nullable(ma.fields.Nested, ErrorDetail, about="Why it was refused.")


class OutcomesSchema(Schema):
    """What became of each, in their order."""

    items = ma.fields.List(ma.fields.Nested(OutcomeSchema), required=True)


@blueprint.operation(
    "POST",
    "/downloads",
    Access(Permission.MEDIA_REQUEST),
    Answers({200: OutcomesSchema}),
    Takes(body=DownloadsRequest),
)
def create_downloads(call: Call, body: dict[str, Any]) -> Response:
    """Ask for many videos at once. One that is refused, for whatever reason, keeps back no other.

    All new ones of a call count as one submission; beyond the limit each is refused with `RATE_LIMIT_EXCEEDED`.
    """
    outcomes = batches.create_each(
        call.db,
        call.settings,
        [_read(item) for item in body["items"]],
        user_id=call.identity.user_id,
        count=partial(call.spend, "downloads"),
    )
    return success({"items": list(map(_outcome_row, body["items"], outcomes))})


def _read(item: Any) -> dict[str, Any] | InvalidRequest:
    """One of many, or what is wrong with it."""
    try:
        return checked(DownloadRequest, item)
    except InvalidRequest as error:
        return error


def _outcome_row(item: Any, outcome: Outcome) -> dict[str, Any]:
    url = item.get("url") if isinstance(item, dict) else None
    error = outcome.error
    return {
        "url": url if isinstance(url, str) else None,
        "result": "refused" if error else "created" if outcome.new else "existing",
        "download": outcome.row and download_row(outcome.row),
        "error": error and {"code": error.code, "message": error.message, "details": told_details(error)},
    }
