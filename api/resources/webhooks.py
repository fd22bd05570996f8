"""`/webhooks`: receives messages of other systems; answered as soon as they are stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import marshmallow as ma
import structlog
from flask import Response, request
from marshmallow import validate
from werkzeug.http import parse_options_header

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import PUBLIC, Answers, Takes
from api.security import rate_limits
from api.wire.envelope import success
from api.wire.errors import UNSUPPORTED, InvalidRequest
from api.wire.fields import Schema
from engine.errors import MediaNestError
from engine.webhooks import inbox, verify
from engine.webhooks.verify import UnverifiedWebhook

log = structlog.get_logger(__name__)

LARGEST = 5 * 1024 * 1024  # bytes of a message, pictures included
_TIMESTAMP, _SIGNATURE = "X-Timestamp", "X-Hub-Signature-256"
_FORM = "multipart/form-data"
_FORMS = (_FORM, "application/x-www-form-urlencoded")  # Plex sends the first; some that pass it on, the other
_MOST_FIELDS = 1000
_LONGEST_HEAD = 10_000  # bytes of what a part says of itself
_LINE_END, _FOLD = re.compile(r"\r\n|\n|\r"), re.compile(r"(?:\r\n|\n|\r)[ \t]++")
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_PLEX_WORDS = "Send the form of Plex, multipart/form-data with a part `payload`, or JSON, application/json."
_ERRORS = (400, 401, 413, 415, 429)
_HEADERS = dict.fromkeys(rate_limits.HEADERS, "Only where the message is not proven.")

# No tier counts what is proven: Plex sends as much as happens. What is not proven counts for its address.
blueprint = Blueprint("webhooks", "/webhooks", "What other systems tell us.", limit=None)


class WrongForm(MediaNestError):
    """A message that is neither JSON nor, where that is taken, a form."""

    code, status = "UNSUPPORTED_MEDIA_TYPE", 415


class ReceivedSchema(Schema):
    """A message that was stored."""

    id = ma.fields.String(required=True)
    status = ma.fields.String(required=True, validate=validate.OneOf(inbox.STATUSES))


_EVENT = {"type": "string", "description": "What the message calls itself; any other field may be beside it."}
_ANY_OBJECT = {"schema": {"type": "object", "properties": {"event": _EVENT}}}
_JSON_BODY = {"required": True, "content": {"application/json": _ANY_OBJECT}}
_PLEX_FORM = {
    "type": "object",
    "required": ["payload"],
    "properties": {
        "payload": {"type": "string", "description": "The message as JSON."},
        "thumb": {"type": "string", "format": "binary", "description": "A picture; it is not kept."},
    },
}
_PLEX_BODY = {
    "required": True,
    "content": {**{form: {"schema": _PLEX_FORM} for form in _FORMS}, "application/json": _ANY_OBJECT},
}


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}, "description": text}


@blueprint.operation(
    "POST",
    "/plex/<string:secret>",
    PUBLIC,
    Answers({200: ReceivedSchema}, errors=_ERRORS, headers=_HEADERS),
    Takes(largest_body=LARGEST, slash_allowed=True),
    own_units=True,
)
@blueprint.doc(requestBody=_PLEX_BODY)  # type: ignore[untyped-decorator]
def receive_from_plex(call: Call, secret: str) -> Response:
    """A message of Plex, or of what passes its messages on; the integration shows the address with its secret."""
    with _proof("plex"), call.runtime.reading() as db:
        verify.plex(db, call.settings, secret)
    payload = inbox.parsed(_of_form() if request.mimetype in _FORMS else _of_json(_PLEX_WORDS))
    with _proof("plex"), call.runtime.reading() as db:
        verify.plex_server(db, call.settings, payload)
    return _stored(call, "plex", payload)


@blueprint.operation(
    "POST",
    "/overseerr",
    PUBLIC,
    Answers({200: ReceivedSchema}, errors=_ERRORS, headers=_HEADERS),
    Takes(largest_body=LARGEST, slash_allowed=True),
    own_units=True,
)
@blueprint.doc(  # type: ignore[untyped-decorator]
    requestBody=_JSON_BODY,
    parameters=[_header("Authorization", "As it is shown with the integration, and nothing before it.")],
)
def receive_from_overseerr(call: Call) -> Response:
    """A message of Overseerr or Seerr."""
    with _proof("overseerr"), call.runtime.reading() as db:
        verify.overseerr(db, call.settings, request.headers.get("Authorization"))
    return _stored(call, "overseerr", inbox.parsed(_of_json()))


@blueprint.operation(
    "POST",
    "/<id:name>",
    PUBLIC,
    Answers({200: ReceivedSchema}, errors=_ERRORS, headers=_HEADERS),
    Takes(largest_body=LARGEST, slash_allowed=True),
    own_units=True,
)
@blueprint.doc(  # type: ignore[untyped-decorator]
    requestBody=_JSON_BODY,
    parameters=[
        _header(_TIMESTAMP, "When it is sent, in Unix seconds; within five minutes."),
        _header(_SIGNATURE, "`sha256=` and the HMAC-SHA-256 of `<timestamp>.<body>` in hexadecimal digits."),
    ],
)
def receive_signed(call: Call, name: str) -> Response:
    """A message of a sender who signs."""
    body = request.get_data()
    with _proof(name), call.runtime.reading() as db:
        verify.signature(
            db,
            call.settings,
            name,
            body,
            timestamp=request.headers.get(_TIMESTAMP),
            signed=request.headers.get(_SIGNATURE),
        )
    return _stored(call, name, inbox.parsed(_of_json()))


@contextmanager
def _proof(source: str) -> Iterator[None]:
    """Log a message whose sender is not proven, and count it for the address.

    Raises:
        RateLimitExceeded: too often.
    """
    try:
        yield
    except UnverifiedWebhook as error:
        log.warning("webhook.unproven", source=source, reason=error.reason, address=request.remote_addr)
        rate_limits.charge(None, "tier")
        raise


def _stored(call: Call, source: str, payload: Mapping[str, Any]) -> Response:
    with call.runtime.unit_of_work() as db:
        received = inbox.receive(db, source=source, payload=payload, address=request.remote_addr)
    return success({"id": received.id, "status": received.status})


def _of_json(words: str = UNSUPPORTED) -> bytes:
    if not (request.mimetype == "application/json" or request.mimetype.endswith("+json")):
        raise WrongForm(words)
    return request.get_data()


def _of_form() -> bytes | str:
    """The part `payload`, which some senders attach as a file; whatever else is in the form is left alone."""
    body = request.get_data()
    if request.mimetype == _FORM:
        found = _of_parts(body, request.mimetype_params.get("boundary", "").encode("latin-1", "replace"))
    else:
        found = _of_fields(body)
    if found is None:
        raise InvalidRequest({"payload": ["Missing data for required field."]})
    return found


def _of_parts(body: bytes, boundary: bytes) -> bytes | str | None:
    """The part `payload` of a form, as it came; nothing is asked of the other parts, nor that the form ends."""
    border = rb"(?:\A|\r\n|\n|\r)--" + re.escape(boundary) + rb"(?:--)?+[ \t]*+(?:\r\n|\n|\r|\Z)"
    for part in re.split(border, body, maxsplit=_MOST_FIELDS)[1:] if boundary else ():
        blank = _BLANK_LINE.search(part, 0, _LONGEST_HEAD)
        if blank is None:
            continue
        head = _LINE_END.split(_FOLD.sub(" ", part[: blank.start()].decode("latin-1")))
        said = {name.strip().lower(): value for name, _, value in (line.partition(":") for line in head)}
        _, options = parse_options_header(said.get("content-disposition"))
        if options.get("name") == "payload":
            _, options = parse_options_header(said.get("content-type"))
            content = part[blank.end() :]
            return (
                content.decode("latin-1") if options.get("charset", "").lower() == "iso-8859-1" else content
            )
    return None


def _of_fields(body: bytes) -> str | None:
    """The field `payload` of a form in one line; bytes that are no UTF-8 cost the text that they are in."""
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), errors="replace", max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    return fields.get("payload", [None])[0]
