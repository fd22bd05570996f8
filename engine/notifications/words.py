"""The words of notifications: those of several that became one, and those in the language of the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.notification import Notification

_MOST_NAMES = 5

# By type the title of several; the message lists them.
_SEVERAL = {
    "en": {
        "request.new": "{count} requests wait for a decision",
        "request.approved": "{count} requests were approved",
        "request.denied": "{count} requests were denied",
        "request.available": "{count} requests can be watched",
        "request.failed": "{count} requests could not be fetched",
        "download.completed": "{count} downloads are finished",
        "download.failed": "{count} downloads failed",
    },
    "de": {
        "request.new": "{count} Wünsche warten auf eine Entscheidung",
        "request.approved": "{count} Wünsche sind genehmigt",
        "request.denied": "{count} Wünsche sind abgelehnt",
        "request.available": "{count} Wünsche sind da",
        "request.failed": "{count} Wünsche konnten nicht beschafft werden",
        "download.completed": "{count} Downloads sind fertig",
        "download.failed": "{count} Downloads sind fehlgeschlagen",
    },
}
_OTHERS = {"en": "{count} notifications", "de": "{count} Benachrichtigungen"}
_MORE = {"en": "{names} and {count} more.", "de": "{names} und {count} weitere."}
# By type title and message of one; English ones are stored with the notification.
_GERMAN = {
    "request.new": ("Jemand wünscht sich etwas", "„{title}“ wartet auf eine Entscheidung.{comment}"),
    "request.approved": ("„{title}“ ist genehmigt", "{whose} ist unterwegs."),
    "request.denied": ("„{title}“ ist abgelehnt", "{whose} wurde abgelehnt.{reason}"),
    "request.available": ("„{title}“ ist da", "{whose} ist jetzt in Plex."),
    "request.failed": (
        "„{title}“ konnte nicht beschafft werden",
        "{whose} ist fehlgeschlagen. Wer den Server betreut, kann es noch einmal versuchen.",
    ),
    "download.completed": ("„{title}“ ist heruntergeladen", "Die Datei ist fertig."),
    "download.failed": (
        "„{title}“ konnte nicht heruntergeladen werden",
        "Die Seite des Downloads sagt, warum.",
    ),
}


def told(row: Notification, language: str) -> tuple[str, str]:
    """Title and message of a notification in a language, where its details allow it; else as they were stored."""
    details = row.details or {}
    if language != "de":
        return row.title, row.message
    if names := different_names(details):
        return of_several(row.type, row.count, names, language)
    if row.type not in _GERMAN or not isinstance(details.get("title"), str):
        return row.title, row.message
    comment, reason = details.get("comment"), details.get("reason")
    values = {
        "title": details["title"],
        "whose": "Dein Wunsch" if details.get("own", True) else "Ein Wunsch, dem du folgst,",
        "comment": f" Dazu: {comment}" if comment else "",
        "reason": f" Grund: {reason}" if reason else "",
    }
    title, message = _GERMAN[row.type]
    return title.format_map(values), message.format_map(values)


def of_several(type_: str, count: int, names: Sequence[str], language: str = "en") -> tuple[str, str]:
    """Title and message of a notification that stands for several."""
    title = _SEVERAL[language].get(type_, _OTHERS[language]).format(count=count)
    left, right = ("„", "“") if language == "de" else ("“", "”")
    listed = ", ".join(f"{left}{name}{right}" for name in names[:_MOST_NAMES])
    rest = len(names) - _MOST_NAMES
    return title, _MORE[language].format(names=listed, count=rest) if rest > 0 else f"{listed}."


def different_names(details: Mapping[str, Any]) -> list[str]:
    """The names of all that became one notification; none where they are of the same thing."""
    names = list(dict.fromkeys(member["title"] for member in details.get("members", ())))
    return names if len(names) > 1 else []
