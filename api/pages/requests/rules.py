"""`/admin/request-rules`: what is approved, blocked or asked without anybody, and how much people may ask for."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.wire.fields import Choice, Count, Schema, Text
from engine.errors import ValidationFailed
from engine.media_requests import rules
from engine.media_requests.rules import VERDICTS
from engine.permissions import ROLES, Permission

pages = PageBlueprint("request_rules")

HERE = "admin/request-rules"
_MOST = 100
_LISTS = ("genres", "languages", "content_ratings")


class NewRuleForm(Schema):
    """A rule; lists are words with commas between them."""

    then = Choice(VERDICTS, required=True)
    media_type = Choice(["", "movie", "tv", "video"], load_default="")
    genres = Text(500, 0, load_default="")
    languages = Text(200, 0, load_default="")
    content_ratings = Text(200, 0, load_default="")
    role = Choice(["", *ROLES], load_default="")
    min_year = Text(4, 0, load_default="")
    max_year = Text(4, 0, load_default="")
    reason = Text(300, 0, load_default="")


class RuleActionForm(Schema):
    """What is done with a rule, by its place."""

    action = Choice(["up", "remove"], required=True)
    number = Count(0, _MOST, required=True)


class QuotaForm(Schema):
    """How much a role may ask for; empty: as much as they like."""

    role = Choice(ROLES, required=True)
    count = Text(5, 0, load_default="")
    days = Text(3, 0, load_default="")


@pages.page("/admin/request-rules", Permission.REQUESTS_MANAGE)
def request_rules_page(visit: Visit) -> Response:
    """The rules in their order, and the quotas of roles."""
    return visit.show("admin/request-rules.html", "requests", row=rules.get(visit.db), roles=ROLES)


@pages.form("/admin/request-rules", Permission.REQUESTS_MANAGE, again=request_rules_page)
def add_request_rule(visit: Visit) -> Response:
    """Add a rule behind the others."""
    entered = visit.entered(NewRuleForm)
    match: dict[str, Any] = {}
    if entered["media_type"]:
        match["mediaType"] = entered["media_type"]
    if entered["role"]:
        match["role"] = entered["role"]
    for name in _LISTS:
        some = [word.strip() for word in entered[name].split(",") if word.strip()]
        if some:
            match[_camel(name)] = some
    for name in ("min_year", "max_year"):
        if entered[name]:
            match[_camel(name)] = _number(entered[name], _camel(name), 1800, 2500)
    before = rules.get(visit.db).rules
    if len(before) >= _MOST:
        raise ValidationFailed(_("There are as many rules as there may be."))
    rule = {"match": match, "then": entered["then"], "reason": entered["reason"] or None}
    rules.put(visit.db, visit.actor, rules=[*before, rule])
    return visit.go(HERE, _("The rule holds from now on."))


@pages.form("/admin/request-rules/change", Permission.REQUESTS_MANAGE, back=HERE)
def change_request_rule(visit: Visit) -> Response:
    """Put a rule one place up, or remove it."""
    entered = visit.entered(RuleActionForm)
    kept, number = list(rules.get(visit.db).rules), entered["number"]
    if number >= len(kept):
        raise ValidationFailed(_("This rule is gone."))
    rule = kept.pop(number)
    if entered["action"] == "up":
        kept.insert(max(0, number - 1), rule)
    rules.put(visit.db, visit.actor, rules=kept)
    return visit.go(HERE)


@pages.form("/admin/request-rules/quota", Permission.REQUESTS_MANAGE, again=request_rules_page)
def set_request_quota(visit: Visit) -> Response:
    """Set how much a role may ask for."""
    entered = visit.entered(QuotaForm)
    quotas = dict(rules.get(visit.db).quotas)
    quotas.pop(entered["role"], None)
    if entered["count"]:
        quotas[entered["role"]] = {
            "count": _number(entered["count"], "count", 0, 10_000),
            "days": _number(entered["days"] or "7", "days", 1, 366),
        }
    rules.put(visit.db, visit.actor, quotas=quotas)
    return visit.go(HERE, _("It holds from now on."))


def _number(text: str, name: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
        words = _("Must be a number from %(low)s to %(high)s.") % {"low": low, "high": high}
        raise ValidationFailed(_("This is not a number that fits."), **{name: words})
    return int(text)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
