"""The pages below `/admin`: for those who look after the installation."""

from api.pages.admin import (
    audit,
    cookies,
    deliveries,
    downloads,
    integrations,
    overview,
    plex_servers,
    queues,
    syncs,
)
from api.pages.admin.people import invitations, one_user, users
from api.pages.admin.settings import groups as settings
from api.pages.admin.webhooks import inbox as webhooks
from api.pages.admin.webhooks import senders

PAGES = (
    overview.pages,
    downloads.pages,
    queues.pages,
    syncs.pages,
    users.pages,
    one_user.pages,
    invitations.pages,
    webhooks.pages,
    deliveries.pages,
    senders.pages,
    integrations.pages,
    plex_servers.pages,
    settings.pages,
    cookies.pages,
    audit.pages,
)
