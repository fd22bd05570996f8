"""The words for settings: a label, a unit, and a remark where one helps; others have those of the documentation."""

from __future__ import annotations

from typing import Literal, NamedTuple

from api.pages.look.words import marked

Unit = Literal["", "seconds", "GiB", "KiB/s", "percent", "days", "rate"]


class SettingWords(NamedTuple):
    """What a person reads beside a setting.

    Attributes:
        label: what it is.
        unit: of its value.
        hint: more about it.
    """

    label: str
    unit: Unit = ""
    hint: str = ""


_ANY = marked("0: no limit")
_RATE = marked("Such as 10/min or 5/15min, several separated by commas; “off” for none.")

WORDS = {
    "redisEnabled": SettingWords(marked("Keep answers in Redis for a while")),
    "plexEnabled": SettingWords("Plex"),
    "downloadAllowPrivateNetworks": SettingWords(
        marked("Addresses of the own network may be downloaded from")
    ),
    "frontendUrl": SettingWords(
        marked("Other sites whose pages may call us"), hint=marked("Origins, separated by commas.")
    ),
    "publicUrl": SettingWords(
        marked("Address at which people reach us"), hint=marked("Links in mails lead there.")
    ),
    "smtpUrl": SettingWords(marked("Mail server"), hint=marked("Such as smtp://user:password@host:587.")),
    "mailFrom": SettingWords(marked("Sender of our mails")),
    "auditDays": SettingWords(marked("How long the audit log is kept"), "days"),
    "downloadAllowedHosts": SettingWords(
        marked("Sites that may be downloaded from"),
        hint=marked("With their subdomains, separated by commas; * for any public site."),
    ),
    "downloadHostLimit": SettingWords(marked("Downloads at once from one site")),
    "downloadYoutubeLimit": SettingWords(marked("Downloads at once from YouTube")),
    "downloadAttempts": SettingWords(marked("Attempts before a download fails")),
    "downloadRetrySeconds": SettingWords(
        marked("Pause after the first failed attempt"), "seconds", marked("It doubles each time.")
    ),
    "downloadRetryMaxSeconds": SettingWords(marked("Longest pause between attempts"), "seconds"),
    "downloadThrottleSeconds": SettingWords(marked("Pause after a site had enough of us"), "seconds"),
    "diskReserveBytes": SettingWords(marked("Room that downloads leave free on the disk"), "GiB"),
    "diskReservePercent": SettingWords(
        marked("Share of the disk that they leave free"), "percent", marked("Where that is more.")
    ),
    "downloadEmbed": SettingWords(marked("Write title, picture and chapters into the file")),
    "previewSeconds": SettingWords(marked("Longest look at a link"), "seconds"),
    "previewCacheSeconds": SettingWords(marked("How long what was seen there is reused"), "seconds"),
    "downloadMaxBytes": SettingWords(marked("Largest download"), "GiB", _ANY),
    "downloadMaxSeconds": SettingWords(
        marked("Longest transfer of one attempt"), "seconds", marked("The next attempt goes on. 0: no limit")
    ),
    "downloadMemoryLimit": SettingWords(marked("Main memory of one download"), "GiB"),
    "downloadAttemptSeconds": SettingWords(marked("Longest attempt as a whole"), "seconds", _ANY),
    "downloadTurnSeconds": SettingWords(
        marked("How long somebody waits before a download of somebody else makes room"), "seconds"
    ),
    "downloadSlowSpeed": SettingWords(
        marked("A download slower than this makes room when others wait"), "KiB/s", marked("0: none does")
    ),
    "previewUserLimit": SettingWords(marked("Links of one user that are looked at at once")),
    "plexOwnerIsAdmin": SettingWords(marked("The owner of the Plex server is an admin here")),
    "plexFullSyncHour": SettingWords(
        marked("Hour in which everything is compared with Plex"),
        hint=marked("0 to 23, by this server's clock."),
    ),
    "tmdbListSeconds": SettingWords(marked("How long lists of films and series are reused"), "seconds"),
    "tmdbDetailsSeconds": SettingWords(marked("How long what TMDB tells of a title is reused"), "seconds"),
    "tmdbKeepDays": SettingWords(
        marked("Days that what TMDB told is kept"), hint=marked("TMDB's terms allow 180.")
    ),
    "notificationDays": SettingWords(marked("Days that notifications are kept")),
    "notifyAllowPrivateNetworks": SettingWords(
        marked("Messages may go to addresses in private networks"),
        hint=marked("Such as an ntfy or Gotify at home."),
    ),
    "notifyUrls": SettingWords(
        marked("Rooms that are told what admins are told"),
        hint=marked("Addresses of Apprise, separated by commas, such as discord://…"),
    ),
    "notifyGroupSeconds": SettingWords(marked("How long the same is gathered into one message"), "seconds"),
    "notifyDigestHour": SettingWords(
        marked("Hour of the daily digest"), hint=marked("0 to 23, on the clock of each person.")
    ),
    "socketAddressLimit": SettingWords(
        marked("Live connections of one address that is not signed in"), hint=_ANY
    ),
    "socketUserLimit": SettingWords(marked("Live connections of one user"), hint=_ANY),
    "rateLimitEnabled": SettingWords(marked("Limit how often somebody may ask")),
    "rateLimitAnonymous": SettingWords(marked("An address that is not signed in"), "rate", _RATE),
    "rateLimitUser": SettingWords(marked("A user"), "rate", _RATE),
    "rateLimitPremium": SettingWords(marked("A user of the tier Premium"), "rate", _RATE),
    "rateLimitAdmin": SettingWords(marked("An admin"), "rate", _RATE),
    "rateLimitUpload": SettingWords(marked("Uploads of a user"), "rate", _RATE),
    "rateLimitSearch": SettingWords(marked("Searches of a user"), "rate", _RATE),
    "rateLimitMedia": SettingWords(marked("Pictures and titles, a user"), "rate", _RATE),
    "rateLimitPage": SettingWords(marked("Pages, a user or an address"), "rate", _RATE),
    "rateLimitSuggest": SettingWords(marked("Titles while somebody types, a user"), "rate", _RATE),
    "rateLimitWork": SettingWords(
        marked("What a user starts by hand: syncs, tests, invitations"), "rate", _RATE
    ),
    "rateLimitLogin": SettingWords(marked("Sign-ins from an address"), "rate", _RATE),
    "rateLimitPoll": SettingWords(marked("What browsers ask by themselves, an address"), "rate", _RATE),
    "rateLimitAccount": SettingWords(marked("Failed sign-ins to an account, from anywhere"), "rate", _RATE),
    "rateLimitConfirm": SettingWords(marked("Wrong passwords given to confirm"), "rate", _RATE),
    "rateLimitDownloads": SettingWords(marked("Downloads that a user asks for"), "rate", _RATE),
    "rateLimitInvitation": SettingWords(marked("Invitations to one mail address"), "rate", _RATE),
    "rateLimitPasswordReset": SettingWords(marked("Password resets for one mail address"), "rate", _RATE),
    "rateLimitGlobal": SettingWords(marked("Everything from an address"), "rate", _RATE),
    "rateLimitApi": SettingWords(marked("Everything that programs of an address ask"), "rate", _RATE),
}
