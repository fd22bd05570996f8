"""A setting as a form shows and takes it: as text, with its unit and default in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields

from werkzeug.datastructures import MultiDict

from api.pages.admin.settings.words import WORDS, SettingWords
from api.pages.look import formats
from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from config.settings import Settings
from engine.errors import ValidationFailed
from engine.settings import admin as settings_admin
from engine.settings.admin import JsonValue, SettingState

_SPECS: Mapping[str, Field[object]] = {
    settings_admin.public_name(spec.name): spec for spec in fields(Settings)
}
_UNITS = {"seconds": marked("seconds"), "GiB": "GiB", "KiB/s": "KiB/s", "percent": marked("percent")}
_UNITS |= {"days": marked("days")}
_SIZES = {"GiB": 1 << 30, "KiB/s": 1 << 10}  # bytes
REMOVED = "-remove"  # behind the name of a secret's tick that removes it


@dataclass(frozen=True)
class Entry:
    """A setting that may be changed.

    Attributes:
        state: as the engine has it.
        text: its value as text.
        unit: of it, in words; empty: none.
        hint: what it means in words, and the default.
    """

    state: SettingState
    label: str
    text: str
    unit: str
    hint: str

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return isinstance(self.state.value, bool)


def entry(state: SettingState) -> Entry:
    """A setting for its form."""
    words = WORDS[state.name]
    unit = _(_UNITS[words.unit]) if words.unit in _UNITS else ""
    return Entry(state, _(words.label), typed_text(state), unit, _hint(state, words))


def fixed_text(state: SettingState) -> str:
    """The value of a setting that is not changed here, for people."""
    if state.secret:
        return _("set") if state.configured else _("not set")
    if isinstance(state.value, bool):
        return _("on") if state.value else _("off")
    return text_of(state.value) or _("nothing")


def text_of(value: JsonValue) -> str:
    """A value as it is typed: numbers without needless decimals, lists with commas."""
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def typed_text(state: SettingState) -> str:
    """A value as it stands in its field: sizes in their unit."""
    size, value = _size(state), state.value
    return f"{value / size:.12g}" if size and isinstance(value, int | float) else text_of(value)


def changed_by(states: Mapping[str, SettingState], form: MultiDict[str, str]) -> dict[str, str | None]:
    """What a form changes, by field of `Settings`, as texts that the engine stores; None goes back to the default.

    Args:
        states: the settings of the form, by name.
        form: what was entered; a field that is empty stands for the default, of a secret for no change.

    Raises:
        ValidationFailed: a value is not accepted; says which.
    """
    found: dict[str, str | None] = {}
    wrong: dict[str, str] = {}
    for name, state in states.items():
        try:
            entered = _entered(state, form)
        except ValueError as error:
            wrong[name] = str(error).partition("; null")[0].rstrip(".") + "."
            continue
        if entered is not ...:
            assert entered is None or isinstance(entered, str)
            found[_SPECS[name].name] = entered
    if wrong:
        raise ValidationFailed(_("Nothing is saved yet: look at the fields that are marked."), **wrong)
    return found


def _entered(state: SettingState, form: MultiDict[str, str]) -> object:
    """The text to be stored, None for the default, and `...` for no change."""
    spec, typed = _SPECS[state.name], form.get(state.name, "").strip()
    if state.secret:
        if state.name + REMOVED in form:
            return None
        return settings_admin.text_for(spec, typed) if typed else ...
    if isinstance(state.value, bool):
        on = state.name in form
        return ... if on == state.value else settings_admin.text_for(spec, on)
    if typed == typed_text(state):
        return ...
    if not typed:
        return ... if state.source == "default" else None
    number = _number(typed) if isinstance(state.default, int | float) else typed
    size = _size(state)
    return settings_admin.text_for(
        spec, round(number * size) if size and not isinstance(number, str) else number
    )


def _size(state: SettingState) -> int:
    """How many bytes its unit has; 0 where it is not given in a unit of bytes."""
    words = WORDS.get(state.name)
    return _SIZES.get(words.unit, 0) if words else 0


def _number(text: str) -> int | float | str:
    """A number as it was typed; a text that is none stays one, and is refused as such."""
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _hint(state: SettingState, words: SettingWords) -> str:
    sentences = [_(words.hint)] if words.hint else []
    now, standard = _readable(state.value, words), _readable(state.default, words)
    if words.unit == "seconds" and isinstance(state.value, int | float) and state.value >= 60:
        sentences.append(_("Now {value}.").format(value=now))
    if state.source == "database" and standard:
        sentences.append(_("The default is {value}.").format(value=standard))
    return " ".join(sentence.rstrip(".") + "." for sentence in sentences)


def _readable(value: JsonValue, words: SettingWords) -> str:
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, int | float) and value:
        if words.unit == "seconds":
            return formats.duration(value)
        if words.unit in _SIZES:
            return f"{value / _SIZES[words.unit]:.12g} {words.unit}"
    return text_of(value)
