"""All kinds of jobs there are."""

from __future__ import annotations

from typing import Any

from engine.arrivals.work import ARRIVE
from engine.downloads.previews.work import PREVIEW
from engine.downloads.removal_work import FILE_REMOVAL
from engine.downloads.work import DOWNLOAD
from engine.jobs.kinds import JobKind
from engine.mails.work import MAIL
from engine.plex.sync.work import SYNC
from engine.plex.watching.work import WATCH_REFRESH
from engine.webhooks.work import WEBHOOK

KINDS: tuple[JobKind[Any], ...] = (
    DOWNLOAD,
    PREVIEW,
    FILE_REMOVAL,
    SYNC,
    ARRIVE,
    WATCH_REFRESH,
    WEBHOOK,
    MAIL,
)
