"""All kinds of jobs there are."""

from __future__ import annotations

from typing import Any

from engine.download_work import DOWNLOAD
from engine.file_removal import FILE_REMOVAL
from engine.jobs.kinds import JobKind
from engine.mail_work import MAIL
from engine.plex.arrival_work import ARRIVE
from engine.plex.sync_work import SYNC
from engine.preview_work import PREVIEW
from engine.webhooks.work import WEBHOOK

KINDS: tuple[JobKind[Any], ...] = (DOWNLOAD, PREVIEW, FILE_REMOVAL, SYNC, ARRIVE, WEBHOOK, MAIL)
