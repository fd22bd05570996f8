"""The answer of every way to sign in: the user with fresh tokens, in the body and as cookies."""

from __future__ import annotations

import marshmallow as ma
from flask import Response, request

from api.operations.call import Call
from api.resources.user_rows import UserSchema, user_row
from api.security import browsers
from api.security.authentication import issue_access_token, set_cookies
from api.security.csrf import csrf_token
from api.security.csrf_counts import counts
from api.wire.envelope import success
from api.wire.fields import Schema, required
from engine.identity.sessions import SignedIn

SET_COOKIE = {"Set-Cookie": "The tokens again, HttpOnly, for browsers."}


class SignedInSchema(Schema):
    """A user and their fresh tokens."""

    user = ma.fields.Nested(UserSchema, required=True)
    token = required(ma.fields.String, about="Access token, for 15 minutes.")
    refresh_token = required(ma.fields.String, about="For POST /auth/refresh, once.")
    remember_token = required(ma.fields.String, about="The refresh token, by its other name.")
    csrf_token = required(ma.fields.String, about="For X-CSRF-Token, with cookies.")


def signed_in_answer(call: Call, started: SignedIn, status: int = 200, *, fresh: bool = False) -> Response:
    """The answer of every way to sign in: the user with their tokens, in the body and as cookies.

    `fresh`: a session begins, rather than goes on.
    """
    user, login = started.user, started.login
    access = issue_access_token(login.id, user.id)
    data = {
        "user": user_row(user),
        "token": access,
        "refreshToken": started.refresh_token,
        "rememberToken": started.refresh_token,
        "csrfToken": csrf_token(call.settings, login.id),
    }
    counts().add("issued")
    answer = success(data, status)
    set_cookies(answer, call.settings, access, started.refresh_token, login)
    if fresh:
        browsers.forget_nonce(request, answer, call.settings)
    return answer
