"""`/sign-in` and `/sign-out`."""

from __future__ import annotations

from flask import Response, redirect, request

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit, local_path
from api.pages.look.rendering import link
from api.security import page_sessions
from api.security.authentication import clear_cookies, device
from api.security.session_cookies import begin
from api.wire.fields import Email, Flag, Password, Schema
from engine import audit
from engine.accounts import users
from engine.accounts.sign_in import by_password
from engine.audit import Subject
from engine.identity import sessions
from engine.identity.passwords import MAX_LENGTH
from engine.permissions import Permission

pages = PageBlueprint("sign_in")


class SignInForm(Schema):
    """Credentials of a password account."""

    email = Email(required=True)
    password = Password(MAX_LENGTH, required=True)
    remember_me = Flag(load_default=False)


@pages.page("/sign-in", None)
def sign_in_page(visit: Visit) -> Response:
    """Sign in by password or with Plex; the page asked for comes next."""
    if not users.is_bootstrapped(visit.db):
        return visit.go("welcome")
    named = page_sessions.named_by(request, visit.settings)
    if named is not None and request.method == "GET" and sessions.find(visit.db, named.login_id) is not None:
        return visit.go(wanted())
    return visit.show("sign-in/sign-in.html", wanted=wanted(), with_plex=visit.settings.plex_enabled)


@pages.form("/sign-in", None, again=sign_in_page, limit="login", own_units=True)
def sign_in_by_password(visit: Visit) -> Response:
    """Sign in with e-mail address and password."""
    entered = visit.entered(SignInForm)
    with visit.attempt("account", email=entered["email"]) as attempted:
        started = by_password(visit.runtime, device=device(request), **entered)
        # Who only claims the address may be guessing at its holder's password by setting each guess as their own.
        attempted.counts = started.user.email_claimed_at is not None
    return begin(visit.go(wanted()), visit.settings, started)


@pages.form("/sign-out", Permission.PROFILE_READ)
def sign_out(visit: Visit) -> Response:
    """End this session."""
    ended = sessions.revoke(visit.db, visit.identity.session_id, user_id=visit.identity.user_id)
    audit.record(visit.db, "auth.signed_out", visit.actor, Subject("session", ended.id, ended.user_agent))
    answer = redirect(link("sign-in"), 303)
    assert isinstance(answer, Response)
    clear_cookies(answer, visit.settings)
    return answer


def wanted(longest: int | None = None) -> str:
    """The page to be shown after signing in; the first page where address and form name none of ours.

    Args:
        longest: characters; a longer one is none. None: any length.
    """
    path = local_path(request.form.get("next") or request.args.get("next", ""), "")
    return path if longest is None or len(path) <= longest else ""
