"""Schemas and fields: strict about what they accept, in camelCase for clients, and rows made from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import marshmallow as ma
from marshmallow import validate

from engine.accounts.names import UNWANTED
from engine.paging import Page

_Field = TypeVar("_Field", bound="ma.fields.Field[Any]")
_UNDERSCORE = re.compile(r"_([a-z])")
_DIGITS = re.compile(r"-?[0-9]{1,18}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Schema(ma.Schema):
    """The base of all schemas: keys in camelCase, unknown ones refused."""

    class Meta:
        """How marshmallow behaves."""

        unknown = ma.RAISE

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Name the field for clients."""
        field_obj.data_key = _UNDERSCORE.sub(lambda match: match[1].upper(), field_obj.data_key or field_name)

    @classmethod
    def row(cls, source: object = None, **computed: Any) -> dict[str, Any]:
        """An object as clients see it, with one key for each field of the schema, in their order.

        Args:
            source: has an attribute for each field: of its name, or of its `attribute`.
            computed: values of fields, by their Python names, for which there is none.
        """
        return {
            key: computed[name] if name in computed else getattr(source, attribute)
            for name, key, attribute in _columns(cls)
        }


@cache
def _columns(schema: type[Schema]) -> tuple[tuple[str, str, str], ...]:
    """Of each field its name, its key for clients, and the attribute of the source that has its value."""
    fields = schema().fields.items()
    return tuple((name, field.data_key or name, field.attribute or name) for name, field in fields)


def required(kind: Callable[..., _Field], *args: Any, about: str = "", **kwargs: Any) -> _Field:
    """A field that every answer has; `about` describes it in the document."""
    more = {"metadata": {"description": about}} if about else {}
    return kind(*args, required=True, **more, **kwargs)


def nullable(kind: Callable[..., _Field], *args: Any, about: str = "", **kwargs: Any) -> _Field:
    """A field that every answer has, with null where there is no value."""
    return required(kind, *args, about=about, allow_none=True, **kwargs)


class Text(ma.fields.String):
    """Text of a limited length without control characters.

    Args:
        longest: characters.
        shortest: characters.
        strip: drop white space around it first.
        kwargs: as for any field.
    """

    documented_pattern = r"^[^\x00-\x1f\x7f]*$"

    def __init__(self, longest: int, shortest: int = 1, *, strip: bool = False, **kwargs: Any) -> None:
        lengths = validate.Length(min=shortest, max=longest)
        metadata = {"pattern": self.documented_pattern, **kwargs.pop("metadata", {})}
        super().__init__(validate=[lengths, *kwargs.pop("validate", ())], metadata=metadata, **kwargs)
        self._strip = strip

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if _CONTROL.search(text):
            raise ma.ValidationError("Must not contain control characters.")
        return text.strip() if self._strip else text


class Name(Text):
    """A name: up to 100 characters, none of which changes the direction of the text around it."""

    documented_pattern = rf"^[^{UNWANTED.pattern[1:-1]}]*$"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(100, strip=True, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if UNWANTED.search(text):
            raise ma.ValidationError("Must not contain characters that change the direction of writing.")
        return text


class Lines(Text):
    """Text of several lines; any character but NUL may be in it."""

    documented_pattern = r"^[^\x00]*$"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = ma.fields.String._deserialize(self, value, attr, data, **kwargs)
        if "\0" in text:
            raise ma.ValidationError("Must not contain NUL.")
        return text.strip() if self._strip else text


class Password(Lines):
    """A password; any character but NUL may be in it."""


class Email(Text):
    """An e-mail address."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"format": "email", **kwargs.pop("metadata", {})}
        super().__init__(254, 3, strip=True, validate=[validate.Email()], metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        domain = text.rpartition("@")[2].lower()
        if domain.startswith("[") or not ("." in domain or domain == "localhost"):
            raise ma.ValidationError("Must be at a domain with a name.")
        return text


class Flag(ma.fields.Boolean):
    """A boolean: `true` or `false`, in JSON and in a query."""

    truthy = {True, "true", "on"}
    falsy = {False, "false"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        in_query = isinstance(value, str) and isinstance(data, QueryDict)
        if value == "on" and not isinstance(data, FormDict):
            raise self.make_error("invalid", input=value)
        if not isinstance(value, bool) and not in_query:
            raise self.make_error("invalid", input=value)
        return bool(super()._deserialize(value, attr, data, **kwargs))


class QueryDict(dict[str, Any]):
    """The parameters of a query, where every value is text."""


class FormDict(QueryDict):
    """The fields of a form: text, or a list of texts. A checkbox that is ticked is `on`, one that is not, absent."""


class Choice(ma.fields.String):
    """One of some words; the message for any other lists them."""

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        super().__init__(validate=validate.OneOf(choices), **kwargs)


class Unread(ma.fields.List[Any]):
    """A list whose items the view checks one by one, so that a bad one does not refuse the others."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        return value


class Count(ma.fields.Integer):
    """A whole number within bounds, written in plain digits."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(low, high), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(data, QueryDict):
            if not _DIGITS.fullmatch(value):
                raise self.make_error("invalid", input=value)
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return value


class PageQuery(Schema):
    """Which page of a list."""

    page = Count(1, 1_000_000_000, load_default=1, metadata={"description": "Page number, from 1."})
    limit = Count(1, 100, load_default=20, metadata={"description": "Items a page."})


class Pagination(Schema):
    """Where a page stands in its list."""

    page = ma.fields.Integer(required=True)
    total_pages = ma.fields.Integer(required=True)
    total_items = ma.fields.Integer(required=True)
    items_per_page = ma.fields.Integer(required=True)
    has_next = ma.fields.Boolean(required=True)
    has_prev = ma.fields.Boolean(required=True)


def page_of(item: type[Schema]) -> type[Schema]:
    """The schema of a page of items."""
    fields: Mapping[str, ma.fields.Field[Any]] = {
        "items": ma.fields.List(ma.fields.Nested(item), required=True),
        "pagination": ma.fields.Nested(Pagination, required=True),
    }
    return type(f"{item.__name__.removesuffix('Schema')}Page", (Schema,), dict(fields))


def page_data(page: Page[Any], items: list[dict[str, Any]]) -> dict[str, Any]:
    """One page as clients get it: `items` are the rows of `page` as they are shown."""
    return {
        "items": items,
        "pagination": {
            "page": page.page,
            "totalPages": page.total_pages,
            "totalItems": page.total,
            "itemsPerPage": page.limit,
            "hasNext": page.has_next,
            "hasPrev": page.has_prev,
        },
    }
