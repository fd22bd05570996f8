"""Authentication and permission of a request: tokens from header or cookie, checked against the session's row."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
from flask import Request, Response
from flask_jwt_extended import create_access_token
from sqlalchemy.orm import Session

from api.extensions import ALGORITHM, ISSUER, parts
from api.security import cookies, page_sessions
from api.security.csrf import check_csrf
from config.settings import Settings
from engine.audit import Actor
from engine.errors import Forbidden, TokenExpired, Unauthorized
from engine.identity import api_keys, sessions
from engine.identity.sessions import Device, Identity
from engine.permissions import Permission
from engine.secrets import keys
from models.login import Login

__all__ = ["Identity", "allow", "authenticate", "device", "issue_access_token"]

KEY_HEADER = "X-Api-Key"
ACCESS_COOKIE = "medianest_access"
REFRESH_COOKIE = "medianest_refresh"
_REFRESH_PATH = "/api"
_SESSION_CLAIM = "sid"


@dataclass(frozen=True)
class Credential:
    """An access token or API key as it came; a change needs a CSRF token only by cookie, which browsers add.

    Attributes:
        login_id: the session that a page's cookie names; `token` is empty then.
    """

    token: str
    by_cookie: bool
    is_key: bool = False
    login_id: str | None = None


def credential(request: Request, *, page: bool = False) -> Credential | None:
    """The credential of a request: its bearer token, else its API key, else its cookie; later ones are ignored.

    Args:
        request: as it came.
        page: it asks for a page, whose cookie lives as long as the session.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return Credential(token.strip(), by_cookie=False)
    key = request.headers.get(KEY_HEADER)
    if key is not None:
        return Credential(key.strip(), by_cookie=False, is_key=True)
    if page:
        named = page_sessions.named_by(request, parts().runtime.settings)
        return None if named is None else Credential("", by_cookie=True, login_id=named.login_id)
    cookie = request.cookies.get(ACCESS_COOKIE)
    return None if cookie is None else Credential(cookie, by_cookie=True)


def session_of(token: str, *, expired_too: bool = False) -> str:
    """The login id that an access token of ours names.

    Raises:
        TokenExpired: it was good once.
        Unauthorized: it is not ours.
    """
    try:
        login_id, expires = _signed(token, keys.candidates(parts().runtime.settings, keys.ACCESS_TOKENS))
    except (jwt.PyJWTError, ValueError):
        if token.startswith("mn_"):
            raise Unauthorized("This is an API key, no access token: send it as X-Api-Key.") from None
        raise Unauthorized("The access token is not valid.") from None
    if expires <= time.time() and not expired_too:
        raise TokenExpired("The access token has expired: refresh it.")
    return login_id


@lru_cache(maxsize=4096)
def _signed(token: str, candidates: tuple[bytes, ...]) -> tuple[str, float]:
    """Login id and expiry of a token signed with one of our keys; cached, since checking a signature is slow."""
    claims = _claims(token, candidates)
    login_id, expires = claims.get(_SESSION_CLAIM), claims.get("exp")
    if not isinstance(login_id, str) or not isinstance(expires, int | float) or "\0" in login_id:
        raise ValueError("claims are missing")
    return login_id, expires


def _claims(token: str, candidates: tuple[bytes, ...]) -> dict[str, Any]:
    """The claims of a token, expired or not; older keys are tried where the signature is not of the newest."""
    for candidate in candidates:
        with suppress(jwt.InvalidSignatureError):
            return dict(
                jwt.decode(
                    token,
                    candidate,
                    algorithms=[ALGORITHM],
                    issuer=ISSUER,
                    audience=ISSUER,
                    options={"verify_exp": False},
                )
            )
    raise jwt.InvalidSignatureError


def authenticate(db: Session, request: Request, *, page: bool = False) -> tuple[Identity, Credential]:
    """Who sends this request, by one query; `page`: it asks for a page.

    Raises:
        Unauthorized: nobody we know, or a session that is over.
        TokenExpired: a token that was good once.
    """
    found = credential(request, page=page)
    if found is None:
        raise Unauthorized("Sign in first: there is no access token in this request.")
    if found.is_key:
        return _of_key(db, found), found
    identity = sessions.find(db, found.login_id or session_of(found.token))
    if identity is None:
        raise Unauthorized("This session is over: sign in again.")
    return identity, found


def _of_key(db: Session, found: Credential) -> Identity:
    identity = api_keys.find(db, found.token)
    if identity is None:
        raise Unauthorized("This API key is not valid.")
    return identity


def allow(
    request: Request,
    identity: Identity,
    found: Credential,
    permission: Permission,
    *,
    session_only: bool = False,
) -> None:
    """Let a request pass that may do what it asks for; `session_only`: not with an API key.

    Raises:
        CsrfInvalid: a change that authenticates by cookie, without the CSRF token.
        Forbidden: the user lacks the permission.
    """
    if found.by_cookie:
        check_csrf(request, parts().runtime.settings, identity.session_id)
    if permission not in identity.permissions:
        raise Forbidden(f"This needs the permission {permission.value}.", {"permission": permission.value})
    if session_only and identity.login_id is None:
        raise Forbidden("This can't be done with an API key: sign in.")


def actor(request: Request, identity: Identity | None) -> Actor:
    """Who sends this request, for the audit log."""
    if identity is None:
        return Actor(address=request.remote_addr)
    return Actor(identity.user_id, identity.via, request.remote_addr, proven=identity.proven)


def device(request: Request) -> Device:
    """The device that a request comes from."""
    return Device(request.headers.get("User-Agent"), request.remote_addr)


def issue_access_token(login_id: str, user_id: str) -> str:
    """A new access token of a session. Permissions are not in it: they are looked up at each request."""
    return str(create_access_token(user_id, additional_claims={_SESSION_CLAIM: login_id}))


def set_cookies(response: Response, settings: Settings, access: str, refresh: str, login: Login) -> None:
    """Set the cookies of both tokens, and that of pages.

    The cookie of the access token outlives it, so that we can say that it has expired.
    """
    life = int(settings.remember_me_seconds if login.remember_me else settings.refresh_token_seconds)
    page_sessions.give(response, settings, login)
    cookies.keep(response, settings, ACCESS_COOKIE, access, life)
    cookies.keep(response, settings, REFRESH_COOKIE, refresh, life, _REFRESH_PATH)


def renew_access_cookie(request: Request, response: Response, settings: Settings, identity: Identity) -> None:
    """Set the cookie of an access token anew where a page's session is good and that of the token is not."""
    try:
        if session_of(request.cookies.get(ACCESS_COOKIE, "")) == identity.login_id:
            return
    except Unauthorized:
        pass
    access = issue_access_token(identity.session_id, identity.user_id)
    cookies.keep(response, settings, ACCESS_COOKIE, access, int(settings.refresh_token_seconds))


def clear_cookies(response: Response, settings: Settings) -> None:
    """Delete the cookies of both tokens, and that of pages."""
    page_sessions.take(response, settings)
    cookies.keep(response, settings, ACCESS_COOKIE, "", 0)
    cookies.keep(response, settings, REFRESH_COOKIE, "", 0, _REFRESH_PATH)
