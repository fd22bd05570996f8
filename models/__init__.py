"""Tables, the database session, and migrations."""

from models.api_key import ApiKey
from models.audit import AuditEntry
from models.base import Base
from models.delivery import (
    ActionLink,
    DeliveredNotification,
    Delivery,
    NotificationChannel,
    NotificationPreferences,
)
from models.download import Download, DownloadTurn, FileRemoval, Preview
from models.heartbeat import Heartbeat
from models.integration import Integration
from models.invitation import Invitation
from models.login import Login
from models.mail import Mail
from models.media import MediaItem, WatchState
from models.media_request import (
    Fulfilment,
    MediaRequest,
    RequestAnnouncement,
    RequestComment,
    RequestFollower,
    RequestRules,
    RequestSeason,
    RequestStep,
)
from models.notification import Notification
from models.password_reset import PasswordReset
from models.plex_activity import PlexActivity
from models.plex_arrival import PlexArrival
from models.plex_library import PlexCollection, PlexSection, PlexServer
from models.plex_pin import PlexPin
from models.queue import Queue, SourceHost
from models.row_count import RowCount
from models.schedule_slot import ScheduleSlot
from models.secret import Secret
from models.setting import Fact, StoredSetting
from models.socket_ticket import SocketTicket
from models.sync_run import SyncChange, SyncRun
from models.title import Title, TitleList
from models.user import User
from models.watch_refresh import WatchRefresh
from models.watchlist import Watchlist, WatchlistEntry
from models.webhook import Webhook

__all__ = [
    "ActionLink",
    "ApiKey",
    "AuditEntry",
    "Base",
    "DeliveredNotification",
    "Delivery",
    "Download",
    "DownloadTurn",
    "Fact",
    "FileRemoval",
    "Fulfilment",
    "Heartbeat",
    "Integration",
    "Invitation",
    "Login",
    "Mail",
    "MediaItem",
    "MediaRequest",
    "Notification",
    "NotificationChannel",
    "NotificationPreferences",
    "PasswordReset",
    "PlexActivity",
    "PlexArrival",
    "PlexCollection",
    "PlexPin",
    "PlexSection",
    "PlexServer",
    "Preview",
    "Queue",
    "RequestAnnouncement",
    "RequestComment",
    "RequestFollower",
    "RequestRules",
    "RequestSeason",
    "RequestStep",
    "RowCount",
    "ScheduleSlot",
    "Secret",
    "SocketTicket",
    "SourceHost",
    "StoredSetting",
    "SyncChange",
    "SyncRun",
    "Title",
    "TitleList",
    "User",
    "WatchRefresh",
    "WatchState",
    "Watchlist",
    "WatchlistEntry",
    "Webhook",
]
