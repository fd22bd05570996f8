"""All pages of the site."""

from __future__ import annotations

from api.pages import home, install, message_links
from api.pages.account import devices, keys, look, profile
from api.pages.account import plex as account_plex
from api.pages.admin import PAGES as ADMIN_PAGES
from api.pages.discover import finding as discover
from api.pages.discover import pictures as title_pictures
from api.pages.discover import title
from api.pages.downloads import adding as download_adding
from api.pages.downloads import media as download_media
from api.pages.downloads import own as downloads
from api.pages.library import item
from api.pages.library import libraries as library
from api.pages.notifications import history as notifications
from api.pages.notifications import preferences as notification_preferences
from api.pages.requests import list as requests
from api.pages.requests import one as one_request
from api.pages.requests import rules as request_rules
from api.pages.requests import watchlist
from api.pages.sign_in import forgotten as forgotten_password
from api.pages.sign_in import mail_links
from api.pages.sign_in import password as sign_in
from api.pages.sign_in import plex as plex_sign_in
from api.pages.welcome import download as welcome_download
from api.pages.welcome import folders as welcome_folders
from api.pages.welcome import invite as welcome_invite
from api.pages.welcome import keys as welcome_keys
from api.pages.welcome import plex as welcome_plex
from api.pages.welcome import you as welcome_you

PAGES = (
    home.pages,
    sign_in.pages,
    plex_sign_in.pages,
    forgotten_password.pages,
    mail_links.pages,
    install.pages,
    discover.pages,
    title.pages,
    title_pictures.pages,
    library.pages,
    item.pages,
    notifications.pages,
    notification_preferences.pages,
    message_links.pages,
    downloads.pages,
    download_adding.pages,
    download_media.pages,
    requests.pages,
    watchlist.pages,
    one_request.pages,
    request_rules.pages,
    profile.pages,
    account_plex.pages,
    devices.pages,
    keys.pages,
    look.pages,
    *ADMIN_PAGES,
    welcome_you.pages,
    welcome_plex.pages,
    welcome_folders.pages,
    welcome_keys.pages,
    welcome_download.pages,
    welcome_invite.pages,
)
