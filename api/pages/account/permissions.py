"""What each permission means, in words for people."""

from __future__ import annotations

from api.pages.look.words import marked
from engine.permissions import Permission

MEANINGS = {
    Permission.MEDIA_READ: marked("See and search the library"),
    Permission.PROFILE_READ: marked("See your name and your devices"),
    Permission.PROFILE_EDIT: marked("Change your name"),
    Permission.MEDIA_REQUEST: marked("Download videos, see and cancel your downloads"),
    Permission.MEDIA_UPLOAD: marked("Upload files"),
    Permission.INTEGRATIONS_VIEW: marked("See whether Plex and the others answer"),
    Permission.MEDIA_DELETE: marked("Delete films, videos and downloads of others"),
    Permission.REQUESTS_MANAGE: marked("Look after everybody's downloads, and the queues"),
    Permission.USERS_MANAGE: marked("Look after people and invitations"),
    Permission.INTEGRATIONS_CONFIGURE: marked("Look after Plex and the others"),
    Permission.WEBHOOKS_MANAGE: marked("Look after webhooks"),
    Permission.OPERATIONS_VIEW: marked("See how the server is doing"),
    Permission.MEDIA_MANAGE_ALL: marked("Manage all media"),
    Permission.SETTINGS_MANAGE: marked("Change settings of the system"),
}
