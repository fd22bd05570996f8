"""The steps around a view, each alone, and the rows that schemas make."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import marshmallow as ma
import pytest
from flask import Flask, Response

from api.operations.declaration import ANY_QUERY, FILE, NOTHING, PUBLIC, Access, Answers, Operation, Takes
from api.operations.documentation import docstring_of, document
from api.operations.pipeline import arguments
from api.wire.errors import InvalidRequest
from api.wire.fields import Count, Schema, Text, nullable, required
from engine.permissions import Permission


class Body(Schema):
    """What is taken."""

    full_name = Text(20, required=True)


class Query(Schema):
    """Which page."""

    page = Count(1, 9, load_default=1)


class Shown(Schema):
    """What is answered."""

    id = ma.fields.String(required=True)
    seen_at = nullable(ma.fields.DateTime, about="When.", attribute="last_seen")
    own = required(ma.fields.Boolean)


class MoreShown(Shown):
    """And more."""

    id = ma.fields.String(required=True)
    size = ma.fields.Integer(required=True)


OPERATION = Operation("GET", "/things", PUBLIC, FILE, NOTHING, limit=None, own_units=False)


def taken(takes: Takes, path: str = "/", **request: Any) -> list[dict[str, Any]]:
    with Flask("steps").test_request_context(path, **request):
        return arguments(takes)


def view(call: object) -> Response:
    """Do it."""
    return Response()


def documented(operation: Operation) -> dict[str, Any]:
    return document({}, {"operation": operation, "id": "view"}, spec=None)


def test_a_view_gets_body_then_query_as_far_as_declared() -> None:
    json = {"fullName": "Ann"}
    assert taken(Takes(body=Body, query=Query), "/?page=2", method="POST", json=json) == [
        {"full_name": "Ann"},
        {"page": 2},
    ]
    assert taken(Takes(query=Query)) == [{"page": 1}]
    assert taken(NOTHING) == []
    assert taken(ANY_QUERY, "/?page=2") == []


@pytest.mark.parametrize(
    ("takes", "path"),
    [(NOTHING, "/?page=2"), (Takes(query=Query), "/?page=0"), (Takes(query=Query), "/?page=1&page=2")],
)
def test_what_does_not_fit_is_named(takes: Takes, path: str) -> None:
    with pytest.raises(InvalidRequest, match="page"):
        taken(takes, path)


def test_the_document_follows_from_the_declaration() -> None:
    public = documented(OPERATION)
    assert public["security"] == []
    assert list(public["responses"]) == [200, 400, 500, 503]
    assert public["parameters"] == ["CorrelationId"]
    assert 400 not in documented(replace(OPERATION, takes=ANY_QUERY))["responses"]

    reading = documented(replace(OPERATION, access=Access(Permission.MEDIA_READ)))
    assert reading["parameters"] == ["CorrelationId"]
    assert len(reading["security"]) == 3

    access = Access(Permission.MEDIA_READ, session_only=True, confirmed="always")
    guarded = replace(OPERATION, method="PUT", rule="/things/<id:thing_id>", access=access, limit="work")
    shown = documented(replace(guarded, answers=Answers({200: Shown}, errors=(409,)), takes=Takes(body=Body)))
    assert list(shown["responses"]) == [200, 400, 401, 403, 404, 409, 413, 415, 429, 500, 503]
    assert shown["parameters"] == ["CorrelationId", "CsrfToken"]
    assert shown["security"] == [{"bearer": []}, {"cookie": []}]
    assert (shown["x-permission"], shown["x-confirmation"]) == ("media.read", "always")
    assert shown["requestBody"]["required"] is True
    assert docstring_of(guarded, view).startswith("Do it.\n\nTakes a person")
    assert docstring_of(OPERATION, view) == "Do it."


def test_a_row_has_the_keys_of_its_schema_in_their_order() -> None:
    source = SimpleNamespace(id="a", last_seen=None, size=3)
    assert list(Shown.row(source, own=True).items()) == [("id", "a"), ("seenAt", None), ("own", True)]
    assert list(MoreShown.row(source, own=False)) == ["id", "seenAt", "own", "size"]
    with pytest.raises(AttributeError, match="own"):
        Shown.row(source)
