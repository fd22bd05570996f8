"""The settings that admins see and change: typed, validated like the environment, audited."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import delete, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config import variables
from config.redaction import without_credentials
from config.settings import Settings
from engine import audit
from engine.audit import Actor, Subject
from engine.clients import apprise_targets
from engine.errors import Conflict, ValidationFailed
from engine.identity.confirmation import require_person
from engine.secrets import secret_box
from engine.settings.live import opened, stored_texts
from models.setting import StoredSetting

log = structlog.get_logger(__name__)

Source = Literal["environment", "database", "default"]
JsonValue = bool | int | float | str | list[str] | None

_LONGEST = 4000  # characters of a value
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNDERSCORE = re.compile(r"_([a-z])")


@dataclass(frozen=True)
class SettingState:
    """A setting as an admin sees it; of a secret neither value nor default, only whether it is set."""

    name: str
    variable: str
    description: str
    value: JsonValue
    default: JsonValue
    source: Source
    live: bool
    secret: bool
    configured: bool

    @property
    def read_only(self) -> bool:
        """Whether it takes a restart, or is set by the environment."""
        return not self.live or self.source == "environment"


def listing(db: Session, environment: Settings) -> Sequence[SettingState]:
    """All settings, in the order of the documentation.

    Args:
        db: for reading.
        environment: what the process was started with.
    """
    return list(_states(environment, stored_texts(db)).values())


def change(db: Session, environment: Settings, texts: Mapping[str, str | None], actor: Actor) -> None:
    """Store settings, all of them or none; the entry in the audit log says what they were and are.

    Args:
        db: the unit of work; call `LiveSettings.expire` after its commit.
        environment: what the process was started with.
        texts: by field, as `text_for` makes them; None goes back to the default.
        actor: who does it.

    Raises:
        Conflict: one of them is set by the environment, or can't change without a restart.
        ValidationFailed: an address of `NOTIFY_URLS` is of no service that we send to, or is not complete.
        ConfirmationRequired: one of them is `guarded`, and the proof that a person asks is missing or too old.
    """
    given = Settings.given()
    for spec in fields(Settings):
        if spec.name in texts:
            _refuse_fixed(spec, given)
    _refuse_unusable(texts.get("notify_urls"))
    db.execute(text(f"LOCK TABLE {StoredSetting.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))
    stored = stored_texts(db)
    known, _ = opened(environment, stored)
    changed = [
        name for name, found in texts.items() if found != known.get(name) or (not found and name in stored)
    ]
    if not changed:
        return
    guarded = [public_name(name) for name in changed if Settings.is_guarded(name)]
    if guarded:
        require_person(actor, "settings.changed", Subject("settings", None), names=sorted(guarded))
    for name in changed:
        _store(db, environment, name, texts[name], actor)
    before, after = _states(environment, stored), _states(environment, stored_texts(db))
    noted = {public_name(name): _difference(before[name], after[name]) for name in changed}
    log.info("settings.changed", names=sorted(noted), by=actor.user_id)
    audit.record(db, "settings.changed", actor, Subject("settings", None), changes=noted)


def public_name(name: str) -> str:
    """The name of a field in the API."""
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def text_for(spec: Field[Any], value: object) -> str:
    """The text of a setting, as the environment would have it, for a value in JSON.

    Raises:
        ValueError: it is of another type, or out of bounds; the text says what is accepted.
    """
    accepted = what_it_takes(spec)
    found = _as_text(spec.default, value)
    if found is None or not found or len(found) > _LONGEST or _CONTROL.search(found):
        raise ValueError(accepted)
    try:
        spec.metadata["parse"](found)
    except (ValueError, OverflowError):
        raise ValueError(accepted) from None
    return found


def what_it_takes(spec: Field[Any]) -> str:
    """What a setting accepts, in words."""
    words = "a text"
    try:
        spec.metadata["parse"]("")
        spec.metadata["parse"]("://")
    except ValueError as error:
        words = str(error)
    kind = f"{words}, as a text or a list of texts" if isinstance(spec.default, tuple) else words
    return f"Takes {kind}; null for the default."


def _as_text(default: object, value: object) -> str | None:
    """A value in JSON as a text, where it is of the type of the setting."""
    if isinstance(default, bool):
        return str(value).lower() if isinstance(value, bool) else None
    if isinstance(default, int | float):
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return str(value) if number else None
    if isinstance(default, tuple) and isinstance(value, list):
        every = all(isinstance(each, str) and "," not in each and each.strip() for each in value)
        return ",".join(value) if every else None
    return value.strip() if isinstance(value, str) else None


def _refuse_fixed(spec: Field[Any], given: Mapping[str, str]) -> None:
    variable = spec.metadata["env"]
    if not spec.metadata["live"]:
        raise Conflict(
            f"{public_name(spec.name)} can't change while MediaNest runs: set {variable} in the environment and "
            "restart."
        )
    if variable in given:
        raise Conflict(
            f"{public_name(spec.name)} is set by {variable} in the environment, which wins: change it there."
        )


def _refuse_unusable(addresses: str | None) -> None:
    """Validate the addresses of `NOTIFY_URLS`: else a wrong one fails only when the first message is sent."""
    for address in variables.targets(addresses or ""):
        try:
            apprise_targets.shown(address)
        except ValueError as error:
            raise ValidationFailed(str(error), notifyUrls=str(error)) from None


def _store(db: Session, environment: Settings, name: str, value: str | None, actor: Actor) -> None:
    if value is None:
        db.execute(delete(StoredSetting).where(StoredSetting.name == name))
        return
    kept = secret_box.sealed(environment, value) if Settings.is_secret(name) else value
    row = {"value": kept, "updated_at": func.clock_timestamp(), "updated_by": actor.user_id}
    query = insert(StoredSetting).values(name=name, **row)
    db.execute(query.on_conflict_do_update(index_elements=["name"], set_=row))


def _difference(before: SettingState, after: SettingState) -> dict[str, JsonValue]:
    if before.secret:
        return {"configured": after.configured}
    return {"old": before.value, "new": after.value}


def _states(environment: Settings, stored: Mapping[str, str]) -> dict[str, SettingState]:
    """All settings by field, with what is stored in force."""
    texts, _ = opened(environment, stored)
    current = environment.overlaid(texts)
    standard = _defaults(environment.app_env, environment.data_dir)
    given = Settings.given()
    return {
        spec.name: SettingState(
            name=public_name(spec.name),
            variable=spec.metadata["env"],
            description=spec.metadata["help"],
            value=_shown(spec, current),
            default=_shown(spec, standard),
            source=_source(spec, given, texts),
            live=spec.metadata["live"],
            secret=Settings.is_secret(spec.name),
            configured=getattr(current, spec.name) not in ("", ()),
        )
        for spec in fields(Settings)
    }


def _source(spec: Field[Any], given: Mapping[str, str], texts: Mapping[str, str]) -> Source:
    if spec.metadata["env"] in given:
        return "environment"
    if spec.metadata["live"] and spec.name in texts and _is_accepted(spec, texts[spec.name]):
        return "database"
    return "default"


def _is_accepted(spec: Field[Any], found: str) -> bool:
    try:
        spec.metadata["parse"](found)
    except ValueError:
        return False
    return True


def _shown(spec: Field[Any], settings: Settings) -> JsonValue:
    """A value in JSON: limits as their text, lists as lists, nothing of a secret."""
    value = getattr(settings, spec.name)
    if Settings.is_secret(spec.name):
        return None
    if spec.metadata["parse"] is variables.rates:
        return variables.text_of(value) or "off"
    if isinstance(value, tuple):
        return [without_credentials(str(each)) for each in value]
    return value if isinstance(value, bool | int | float) else without_credentials(str(value))


@cache
def _defaults(app_env: str, data_dir: Path) -> Settings:
    """The settings of an installation that sets nothing but these two."""
    return Settings.load({"APP_ENV": app_env, "DATA_DIR": str(data_dir)})
