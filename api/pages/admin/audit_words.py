"""The words for what the audit log notes."""

from __future__ import annotations

from api.pages.look.words import gettext as _
from api.pages.look.words import marked

_ACTIONS = {
    "access.denied": marked("Asked for what is not theirs"),
    "auth.confirmed": marked("Confirmed that it is them"),
    "auth.plex_refused": marked("Was refused with Plex"),
    "auth.refresh_reused": marked("Used a session that may be stolen"),
    "auth.signed_in": marked("Signed in"),
    "auth.sign_in_failed": marked("Failed to sign in"),
    "auth.signed_out": marked("Signed out"),
    "cookies.deleted": marked("Deleted the cookies"),
    "cookies.stored": marked("Stored cookies"),
    "integration.configured": marked("Configured an integration"),
    "integration.removed": marked("Disconnected an integration"),
    "invitation.accepted": marked("Accepted an invitation"),
    "invitation.created": marked("Invited somebody"),
    "invitation.revoked": marked("Took an invitation back"),
    "key.created": marked("Made an API key"),
    "key.revoked": marked("Revoked an API key"),
    "delivery.retried": marked("Sent a message again"),
    "notification_channel.unsubscribed": marked("Switched messages off by a link"),
    "notification_channels.changed": marked("Changed where they are told of things"),
    "password.changed": marked("Changed their password"),
    "password.reset": marked("Chose a new password by a link"),
    "password.reset_requested": marked("Asked for a link for a new password"),
    "queue.paused": marked("Paused a queue"),
    "queue.resumed": marked("Resumed a queue"),
    "session.revoked": marked("Ended a session"),
    "settings.changed": marked("Changed settings"),
    "sync.cancelled": marked("Cancelled a sync"),
    "sync.started": marked("Started a sync"),
    "user.created": marked("Added a user"),
    "user.deleted": marked("Deleted a user"),
    "user.disabled": marked("Disabled a user"),
    "user.enabled": marked("Let a user in again"),
    "user.role_changed": marked("Changed a role"),
    "user.sessions_ended": marked("Signed a user out everywhere"),
    "user.updated": marked("Changed a user"),
    "webhook.replayed": marked("Handled a webhook again"),
    "webhook_sender.created": marked("Added a sender of webhooks"),
    "webhook_sender.deleted": marked("Removed a sender of webhooks"),
    "webhook_sender.rotated": marked("Made a new secret for webhooks"),
}
KINDS = {  # by the beginning of an action
    "user.": marked("Users"),
    "auth.": marked("Signing in and out"),
    "session.": marked("Sessions"),
    "password.": marked("Passwords"),
    "invitation.": marked("Invitations"),
    "key.": marked("API keys"),
    "settings.": marked("Settings"),
    "integration.": marked("Integrations"),
    "cookies.": marked("Cookies"),
    "webhook.": marked("Webhooks"),
    "webhook_sender.": marked("Senders of webhooks"),
    "download.": marked("Downloads of others"),
    "sync.": marked("Syncs"),
    "queue.": marked("Queues"),
    "access.": marked("What was refused"),
}


def told(action: str) -> str:
    """An action in words; one without words as the engine names it."""
    return _(_ACTIONS[action]) if action in _ACTIONS else action
