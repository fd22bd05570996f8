"""Asks for the password or a Plex PIN where a form takes a person, then does what was entered before.

What was entered goes along encrypted, and is good for the same session and form only: it may hold secrets.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
from flask import Response, g, request
from werkzeug.datastructures import ImmutableMultiDict

from api.operations.proving import confirm_by_pin, proving
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.security import browsers
from api.security.csrf import FIELD
from api.wire.fields import Password, Schema, Text
from engine.accounts import plex_sign_in, users
from engine.errors import ConfirmationRequired, Conflict, MediaNestError
from engine.identity import confirmation
from engine.identity.passwords import MAX_LENGTH
from engine.secrets import secret_box

CONFIRMED = 204
_PASSWORD, _PIN, _BEGIN, _ENTERED = "confirmPassword", "confirmPin", "confirmByPlex", "confirmEntered"
_OURS = frozenset({FIELD, _PASSWORD, _PIN, _BEGIN, _ENTERED, "confirmCode"})
_PURPOSE = "entered before a proof"
_WITHIN = timedelta(hours=1)


class ConfirmForm(Schema):
    """A proof that the person is there."""

    confirm_password = Password(MAX_LENGTH)
    confirm_pin = Text(30)
    confirm_code = Text(10)
    confirm_by_plex = Text(1)


def is_brought() -> bool:
    """Whether the form answers what `ask` asks."""
    return any(name in request.form for name in (_PASSWORD, _PIN, _BEGIN))


def is_needed(error: MediaNestError) -> bool:
    """Whether a form failed for want of a proof, or because of a wrong one."""
    return isinstance(error, ConfirmationRequired) or bool(g.get("proving"))


def prove(visit: Visit, **_path: Any) -> Response:
    """Check the proof, and put back what was entered before it was asked for.

    Returns:
        `CONFIRMED`, or the page that asks on.

    Raises:
        Forbidden: the password is wrong; counted as by `POST /auth/confirm`.
        Conflict: what was entered is too old.
    """
    _restore(visit)
    g.proving = True
    proof = visit.entered(ConfirmForm)
    if "confirm_by_plex" in proof:
        return _ask_for_pin(visit)
    if "confirm_pin" in proof:
        if confirm_by_pin(visit, proof["confirm_pin"]) is None:
            return _page(visit, pin=proof["confirm_pin"], code=proof.get("confirm_code", ""), pending=True)
    else:
        with proving(visit, "auth.confirmed", guess=True), visit.runtime.unit_of_work() as db:
            given = proof.get("confirm_password", "")
            confirmation.by_password(db, visit.settings, visit.identity, given, actor=visit.actor)
    g.proving = False
    return Response(status=CONFIRMED)


def ask(error: MediaNestError, visit: Visit, **_path: Any) -> Response:
    """The page that asks for a proof; with the error where one was wrong."""
    return _page(visit, wrong=_(error.message) if g.get("proving") else "", status=error.status)


def _ask_for_pin(visit: Visit) -> Response:
    begun = plex_sign_in.begin(visit.runtime, nonce=visit.browser, client_name=None, strong=False)
    answer = _page(visit, pin=begun.pin.id, code=begun.pin.code)
    browsers.give_nonce(answer, visit.settings, visit.browser)
    return answer


def _page(
    visit: Visit, *, wrong: str = "", pin: str = "", code: str = "", pending: bool = False, status: int = 403
) -> Response:
    with visit.runtime.reading() as db:
        has_password = users.get(db, visit.identity.user_id).password_hash is not None
    return visit.show(
        "confirm.html",
        status=status,
        action=request.full_path.lstrip("/").rstrip("?"),
        entered=_kept(visit),
        back=visit.back(""),
        has_password=has_password,
        wrong=wrong,
        pin=pin,
        code=code,
        pending=pending,
    )


def _kept(visit: Visit) -> str:
    fields = [pair for pair in request.form.items(multi=True) if pair[0] not in _OURS]
    text = orjson.dumps([visit.identity.session_id, request.path, fields]).decode()
    return secret_box.lent(visit.settings, _PURPOSE, text)


def _restore(visit: Visit) -> None:
    if _ENTERED not in request.form:
        return
    text = secret_box.returned(visit.settings, _PURPOSE, request.form[_ENTERED], _WITHIN)
    session, path, fields = orjson.loads(text) if text is not None else ("", "", [])
    if (session, path) != (visit.identity.session_id, request.path):
        raise Conflict(_("The page was open for too long. Nothing was changed: please enter it again."))
    proof = [pair for pair in request.form.items(multi=True) if pair[0] in _OURS - {_ENTERED}]
    request.form = ImmutableMultiDict([(name, value) for name, value in fields] + proof)
