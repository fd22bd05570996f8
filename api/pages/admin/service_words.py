"""The words for services: their names, their states, and what to do where one is not well."""

from __future__ import annotations

from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from engine.monitoring.services import Service

_NAMES = {
    "database": marked("Database"),
    "redis": marked("Redis"),
    "workers": marked("Workers"),
    "beat": marked("Timetable"),
    "storage": marked("Disk"),
    "plex": "Plex",
    "overseerr": "Overseerr",
    "tmdb": "TMDB",
    "mail": marked("Mail"),
}
_IN_SENTENCE = {
    "database": marked("the database"),
    "workers": marked("the workers"),
    "beat": marked("the timetable"),
    "storage": marked("the disk"),
    "mail": marked("the mail"),
}
STATES = {  # by state: the kind of status, and its word
    "online": ("done", marked("Online")),
    "degraded": ("degraded", marked("Not quite well")),
    "offline": ("failed", marked("Offline")),
    "disabled": ("absent", marked("Not set up")),
}
_ADVICE = {
    "database": marked("Its tables are of another version: run “medianest migrate”."),
    "redis": marked("Nothing new can start. Start Redis, or correct REDIS_URL."),
    "workers": marked("What is asked for waits. Start the workers: the Procfile has a line for each."),
    "beat": marked("Nothing happens by itself, such as syncs. Start the line “beat” of the Procfile."),
    "storage": marked("Downloads wait until there is room: delete something, or lower the reserve."),
    "plex": marked("What is asked of it waits, and goes on when it is back."),
    "overseerr": marked("What is asked of it waits, and goes on when it is back."),
    "tmdb": marked("Titles come without its pictures and words until it is back."),
    "mail": marked("The last mail could not be sent: look at the mail server in the settings."),
}
PLACES = {
    "storage": "admin/settings?group=downloads",
    "mail": "admin/settings?group=accounts",
    "workers": "admin/queues",
    "plex": "admin/integrations/plex",
    "overseerr": "admin/integrations/overseerr",
    "tmdb": "admin/integrations/tmdb",
}


def name_of(service: str) -> str:
    """The name of a service in the visitor's language."""
    return _(_NAMES[service])


def in_sentence(service: str) -> str:
    """The same as a part of a sentence."""
    return _(_IN_SENTENCE.get(service, _NAMES[service]))


def advice_for(service: Service) -> str:
    """What is wrong and what to do, for a service that is not well."""
    advice = _(_ADVICE[service.name])
    return f"{_(service.error)} {advice}" if service.error else advice


def is_ill(service: Service) -> bool:
    """Whether it is offline or degraded; what is not set up, or was never tested, is neither."""
    untested = service.name in {"overseerr", "tmdb"} and service.seen_at is None
    return service.state == "offline" or (service.state == "degraded" and not untested)
