"""All kinds of jobs there are, and what one floor gives to the work of another."""

from __future__ import annotations

from functools import partial
from typing import Any

from engine.accounts import password_reset
from engine.arrivals.work import ARRIVE
from engine.downloads.previews.work import PREVIEW
from engine.downloads.removal_work import FILE_REMOVAL
from engine.downloads.work import DOWNLOAD
from engine.jobs.kinds import JobKind
from engine.mails import work as mail_work
from engine.mails.texts import Template
from engine.mails.work import MAIL
from engine.media_requests.announcing import ANNOUNCE
from engine.media_requests.fulfilment.work import FULFIL
from engine.notifications.delivery_work import DELIVER
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
    FULFIL,
    ANNOUNCE,
    DELIVER,
)

# The link of a reset is made when its mail is written, so that no row and no backup holds a token.
send_mail = partial(mail_work.work, late={Template.PASSWORD_RESET: password_reset.mail_details})
