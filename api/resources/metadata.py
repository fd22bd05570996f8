"""What a URL holds, looked up by a worker while the request waits: the wait, and the row."""

from __future__ import annotations

import time
from typing import Any

import marshmallow as ma

from api.operations.call import Call
from api.wire.fields import Schema, nullable
from engine.downloads.previews import previews
from engine.downloads.previews.places import place_for
from engine.errors import ServiceUnavailable
from engine.job_names import Job
from models.download import Preview

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5  # seconds between two looks at the row


class MetadataSchema(Schema):
    """What a URL holds."""

    url = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    channel = nullable(ma.fields.String)
    duration = nullable(ma.fields.Float, about="Seconds.")
    thumbnail = nullable(ma.fields.String)
    description = nullable(ma.fields.String)
    upload_date = nullable(ma.fields.String, about="YYYY-MM-DD.")
    source_id = ma.fields.String(required=True)
    extractor = ma.fields.String(required=True)
    webpage_url = nullable(ma.fields.String)
    live_status = nullable(ma.fields.String)
    heights = ma.fields.List(ma.fields.Integer(), required=True)
    qualities = ma.fields.List(ma.fields.String(), required=True)


def metadata_row(url: str, result: dict[str, Any]) -> dict[str, Any]:
    """What a worker found, as clients see it."""
    return MetadataSchema.row(
        url=url, heights=result["heights"], qualities=result["qualities"], **result["metadata"]
    )


def looked_up(call: Call, url: str) -> Preview:
    """Have a worker look, and wait for the row to end; it has not ended where that took too long.

    Raises:
        TooManyPreviews: the user has as many requests waiting as they may.
        ServiceUnavailable: all users together have, or no worker can be reached.
    """
    with place_for(call.identity.user_id, call.settings.preview_user_limit):
        deadline = time.monotonic() + call.settings.preview_seconds
        with call.runtime.unit_of_work() as db:
            row = previews.request(db, call.settings, user_id=call.identity.user_id, url=url)
        if row.status == "queued" and not call.runtime.ring(Job.PREVIEW):
            raise ServiceUnavailable(
                "The workers can't be reached at the moment. Try again in a few seconds."
            )
        pause = _FIRST_PAUSE
        while row.ended_at is None and time.monotonic() + pause < deadline:
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            with call.runtime.unit_of_work() as db:
                row = previews.get(db, row.id)
        return row
