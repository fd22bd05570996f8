"""What is said of notifications: what each type tells of, where they go, and what became of messages."""

from __future__ import annotations

from api.pages.look.words import marked

EVENTS = {
    "request.new": marked("Somebody asks for something"),
    "request.approved": marked("A request was approved"),
    "request.denied": marked("A request was denied"),
    "request.available": marked("A request can be watched"),
    "request.failed": marked("A request could not be fetched"),
    "download.completed": marked("A download is finished"),
    "download.failed": marked("A download failed"),
    "download.available": marked("A download can be watched in Plex"),
    "download.not_in_plex": marked("A download is missing in Plex"),
    "security": marked("Sign-ins, passwords and keys"),
    "sync.failed": marked("Plex could not be read"),
    "alert": marked("Something is wrong with the server"),
}
CHANNELS = {
    "email": marked("E-mail"),
    "apprise": marked("Apprise"),
    "installation": marked("Everybody who looks after MediaNest"),
}
STATES = {  # by status of a delivery: the kind of status, and its word
    "queued": ("waiting", marked("Waiting")),
    "sending": ("processing", marked("Being sent")),
    "completed": ("done", marked("Sent")),
    "failed": ("failed", marked("Failed")),
    "cancelled": ("cancelled", marked("Not sent any more")),
}
EXAMPLES = (
    ("Discord", "discord://webhook-id/webhook-token"),
    ("Telegram", "tgram://bot-token/chat-id"),
    ("ntfy", "ntfys://ntfy.example.org/topic"),
    ("Gotify", "gotifys://gotify.example.org/token"),
    ("Pushover", "pover://user-key@token"),
    ("Slack", "slack://token-a/token-b/token-c/channel"),
    ("Matrix", "matrixs://user:password@matrix.example.org/#room"),
    ("json", "jsons://example.org/path"),
)
