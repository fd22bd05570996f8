"""Confirmation within a request: by a password, whose wrong guesses are counted, or by a claimed Plex PIN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from flask import request

from api.operations.call import Call
from api.security import browsers
from engine import audit
from engine.accounts import plex_sign_in, users
from engine.accounts.administration import subject_of
from engine.errors import Forbidden
from engine.identity.confirmation import WrongPassword


@contextmanager
def proving(call: Call, action: str, *, guess: bool) -> Iterator[None]:
    """Count a wrong password in the block and note it in the audit log; it is a 403, since the session goes on.

    Counted for the user and not for their address, so that strangers who guess at sign-in can't lock the user out of
    the profile; and for the session, with a lower limit, so that a stolen one does not use up all of the user's tries.

    Args:
        call: of who asks.
        action: what is to be confirmed, as the audit log calls it.
        guess: whether the request has a password.
    """
    mine = call.identity.user_id
    try:
        with ExitStack() as counted:
            if guess:
                counted.enter_context(call.attempt("confirm", email=call.identity.via))
                counted.enter_context(call.attempt("account", email=mine))
            yield
    except WrongPassword as wrong:
        with call.runtime.reading() as db:
            subject = subject_of(users.get(db, mine))
        refused = Forbidden(wrong.message)
        raise audit.refusal(refused, action, subject, outcome="failure", reason="wrong password") from None


def confirm_by_pin(call: Call, pin_id: str) -> datetime | None:
    """Confirm by a PIN of this browser, as `plex_sign_in.confirm` does; None while it is unclaimed.

    The rest of the request counts as confirmed.
    """
    nonce = browsers.nonce_of(request, call.settings) or ""
    until = plex_sign_in.confirm(call.runtime, pin_id, nonce=nonce, mine=call.identity, actor=call.actor)
    if until is not None:
        call.now_proven()
    return until
