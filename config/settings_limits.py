"""Settings of how often a client may ask, and how many sockets it may hold."""

from __future__ import annotations

from dataclasses import dataclass

from config.setting import named_by_fields, rate_limit, setting
from config.variables import Rate, boolean, integer


@dataclass(frozen=True, kw_only=True)
@named_by_fields
class LimitSettings:
    """Settings of how often a client may ask, and how many sockets it may hold."""

    socket_address_limit: int = setting(
        integer(0, 5000),
        20,
        "sockets of one address, not signed in, at once in one web process (0: any number)",
        live=True,
    )
    socket_user_limit: int = setting(
        integer(0, 5000), 50, "sockets of one user at once in one web process (0: any number)", live=True
    )
    rate_limit_enabled: bool = setting(boolean, True, "false: no rate limits", live=True, guarded=True)
    rate_limit_anonymous: tuple[Rate, ...] = rate_limit("10/min,100/h", "an address, not signed in")
    rate_limit_user: tuple[Rate, ...] = rate_limit("100/min,1000/h", "a user")
    rate_limit_premium: tuple[Rate, ...] = rate_limit("500/min,10000/h", "a user of the tier premium")
    rate_limit_admin: tuple[Rate, ...] = rate_limit("1000/min", "an admin")
    rate_limit_upload: tuple[Rate, ...] = rate_limit("5/min", "uploads of a user")
    rate_limit_search: tuple[Rate, ...] = rate_limit("30/min", "searches of a user")
    rate_limit_media: tuple[Rate, ...] = rate_limit("100/min", "media endpoints, a user")
    rate_limit_work: tuple[Rate, ...] = rate_limit(
        "20/min", "what a user starts by hand: syncs, replays, tests of integrations, invitations"
    )
    rate_limit_login: tuple[Rate, ...] = rate_limit("5/15min", "sign-ins from an address")
    rate_limit_poll: tuple[Rate, ...] = rate_limit(
        "60/min", "what browsers of an address ask again and again: is the PIN claimed, renew my tokens"
    )
    rate_limit_page: tuple[Rate, ...] = rate_limit(
        "300/min", "pages that a user opens and forms that they send, or an address that is not signed in"
    )
    rate_limit_suggest: tuple[Rate, ...] = rate_limit("300/min", "titles suggested while a user types")
    rate_limit_account: tuple[Rate, ...] = rate_limit(
        "10/15min", "failed sign-ins to an account, from anywhere"
    )
    rate_limit_confirm: tuple[Rate, ...] = rate_limit(
        "5/15min", "wrong passwords given as proof in a session"
    )
    rate_limit_downloads: tuple[Rate, ...] = rate_limit("5/h", "downloads that a user submits or tries again")
    rate_limit_invitation: tuple[Rate, ...] = rate_limit("5/h", "invitations to an e-mail address")
    rate_limit_password_reset: tuple[Rate, ...] = rate_limit("3/h", "password resets for an e-mail address")
    rate_limit_global: tuple[Rate, ...] = rate_limit("off", "everything from an address")
    rate_limit_api: tuple[Rate, ...] = rate_limit("off", "everything below /api from an address")
