"""`/admin/settings`: what can be set, and what of it can be changed while everything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

import marshmallow as ma
from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.wire.envelope import success
from api.wire.fields import Schema, nullable, required
from config.settings import Settings
from engine.permissions import Permission
from engine.settings import admin as settings_admin
from engine.settings.admin import SettingState

blueprint = Blueprint("settings", "/admin/settings", "What can be set, and changed while everything runs.")


class SettingValue(ma.fields.Field[Any]):
    """The value of one setting: accepted in its own type, handed on as the text that the environment would have.

    Args:
        spec: of the setting.
    """

    def __init__(self, spec: Field[Any]) -> None:
        types = _json_types(spec.default)  # and null, which `allow_none` adds
        guarded = " Takes a person who has confirmed lately." if spec.metadata["guarded"] else ""
        metadata = {
            "type": types,
            "description": f"{spec.metadata['help']}. {settings_admin.what_it_takes(spec)}{guarded}",
            **({"items": {"type": "string"}} if "array" in types else {}),
        }
        super().__init__(allow_none=True, metadata=metadata)
        self._spec = spec

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:
        if not self._spec.metadata["live"]:
            return None  # refused as a whole, whatever the value is
        try:
            return settings_admin.text_for(self._spec, value)
        except ValueError as error:
            raise ma.ValidationError(str(error)) from None


def _json_types(default: object) -> list[str]:
    if isinstance(default, bool):
        return ["boolean"]
    if isinstance(default, tuple):
        return ["string", "array"]
    return (
        ["integer"] if isinstance(default, int) else ["number"] if isinstance(default, float) else ["string"]
    )


SettingsRequest = type(
    "SettingsRequest", (Schema,), {spec.name: SettingValue(spec) for spec in fields(Settings)}
)
SettingsRequest.__doc__ = "What to change; null goes back to the default."


class SettingSchema(Schema):
    """One setting."""

    value = nullable(ma.fields.Raw, about="What is in force; null for a secret.")
    default = nullable(ma.fields.Raw, about="Where nothing sets it.")
    source = ma.fields.String(required=True, metadata={"enum": ["environment", "database", "default"]})
    read_only = required(ma.fields.Boolean, about="The environment has set it, or it takes a restart.")
    live = required(ma.fields.Boolean, about="It may change while everything runs.")
    secret = required(ma.fields.Boolean, about="It is never read back.")
    configured = required(ma.fields.Boolean, about="It has a value.")
    variable = required(ma.fields.String, about="Its name in the environment.")
    description = ma.fields.String(required=True)


class SettingsSchema(Schema):
    """All settings."""

    settings = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Nested(SettingSchema), required=True)


@blueprint.operation("GET", "", Access(Permission.SETTINGS_MANAGE), Answers({200: SettingsSchema}))
def get_settings(call: Call) -> Response:
    """All settings with where they come from; secrets are not read back."""
    return success(settings_data(settings_admin.listing(call.db, call.runtime.live.environment)))


@blueprint.operation(
    "PATCH",
    "",
    Access(
        Permission.SETTINGS_MANAGE,
        session_only=True,
        confirmed="one that is guarded: whom we trust, where links and mails go, what keeps guessers out",
    ),
    Answers({200: SettingsSchema}, errors=(409,)),
    Takes(body=SettingsRequest),
    own_units=True,
)
def change_settings(call: Call, body: dict[str, str | None]) -> Response:
    """Change settings, all of them or none; in force here at once, in all other processes within 5 seconds.

    Not with an API key: whoever says where links lead, and which server mails them, can become anybody.
    """
    live = call.runtime.live
    with call.runtime.unit_of_work() as db:
        settings_admin.change(db, live.environment, body, call.actor)
    live.expire()
    with call.runtime.reading() as db:
        return success(settings_data(settings_admin.listing(db, live.environment)))


def settings_data(found: Sequence[SettingState]) -> dict[str, Any]:
    """The settings as clients see them."""
    return {"settings": {state.name: SettingSchema.row(state) for state in found}}
