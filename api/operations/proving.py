"""What a request brings along to prove that the person asks: a password, whose wrong guesses count, or a Plex PIN."""

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
    """Count and write down a wrong password given as proof. It does not end the session, so it is not a 401.

    Counted for the user and not for his address: strangers who guess at sign-in can't keep him from his profile. And
    for the session, of which fewer are allowed: who has stolen one does not use up the user's own.

    Args:
        call: of who asks.
        action: what the proof is for, as the audit log calls it.
        guess: whether there is a password to be counted.
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
    """Prove a person anew by a PIN of this browser, as `plex_sign_in.confirm` does; None while it is unclaimed.

    What the call does after it counts as asked by a person.
    """
    nonce = browsers.nonce_of(request, call.settings) or ""
    until = plex_sign_in.confirm(call.runtime, pin_id, nonce=nonce, mine=call.identity, actor=call.actor)
    if until is not None:
        call.now_proven()
    return until
