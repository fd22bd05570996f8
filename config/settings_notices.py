"""Settings of what people are told, and where."""

from __future__ import annotations

from dataclasses import dataclass

from config.setting import named_by_fields, setting
from config.variables import boolean, integer, seconds, targets


@dataclass(frozen=True, kw_only=True)
@named_by_fields
class NoticeSettings:
    """Settings of what people are told, and where."""

    notification_days: int = setting(
        integer(1, 3650), 90, "days that notifications and deliveries are kept, read or not", live=True
    )
    notify_allow_private_networks: bool = setting(
        boolean,
        False,
        "true: users' Apprise addresses may lie in private networks, such as an ntfy at home",
        live=True,
        guarded=True,
    )
    notify_urls: tuple[str, ...] = setting(
        targets,
        (),
        "addresses of Apprise, separated by commas, that are told what admins are told, such as discord://...",
        secret=True,
        live=True,
        guarded=True,
    )
    notify_group_seconds: float = setting(
        seconds(1, 3600), 300.0, "how long notifications of the same thing are gathered into one", live=True
    )
    notify_digest_hour: int = setting(
        integer(0, 23), 8, "hour at which daily digests are sent, on the clock of each person", live=True
    )
