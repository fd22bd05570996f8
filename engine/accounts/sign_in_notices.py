"""Tells a user of a sign-in from a device and network that their earlier sign-ins did not come from."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.events import timestamp
from engine.mails import mails
from engine.mails.texts import Template
from engine.notifications.notifications import notify
from models.login import Login
from models.user import User

_LOOKED_BACK = 1000  # sessions
_LONGEST_NAME = 40
# The first that fits: most browsers name those they descend from too.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def tell_of_sign_in(db: Session, settings: Settings, user: User, login: Login) -> None:
    """Tell a user that `login` has just begun, by notification and mail, unless its device and place are known.

    Nothing is told of the very first session of an account. A device is known by its user agent, a place by its
    address; of IPv6 by the network, since devices change the rest of it every day.
    """
    earlier = db.execute(
        select(Login.user_agent, Login.address)
        .where(Login.user_id == user.id, Login.id != login.id)
        .order_by(Login.id.desc())
        .limit(_LOOKED_BACK)
    ).all()
    known = {(row.user_agent, _place(row.address)) for row in earlier}
    if not known or (login.user_agent, _place(login.address)) in known:
        return
    device, address = device_name(login.user_agent), login.address or "an unknown address"
    notify(
        db,
        user.id,
        type="security.sign_in",
        title=f"New sign-in from {device} ({address})",
        message="If it was not you, change your password: that signs out every other device and revokes all "
        "API keys.",
        subject=("session", login.id),
        dedupe_key=f"sign_in:{login.id}",
    )
    if user.mailbox and mails.can_be_sent(settings):
        details = {"name": user.name, "device": device, "address": address, "at": timestamp(login.created_at)}
        mails.queue(db, settings, template=Template.SIGN_IN, recipient=user.mailbox, details=details)


def device_name(user_agent: str | None) -> str:
    """A user agent in words, such as "Firefox on Linux"."""
    if not user_agent:
        return "an unknown device"
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    if browser is None:
        return user_agent.split("/")[0].split(" ")[0][:_LONGEST_NAME] or "an unknown device"
    return browser if system is None else f"{browser} on {system}"


def _place(address: str | None) -> str | None:
    try:
        found = ip_address(address or "")
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)
