"""The pages below `/admin`: for those who look after the installation."""

from api.pages.admin import (
    audit,
    cookies,
    integrations,
    invitations,
    one_user,
    overview,
    plex_servers,
    queues,
    senders,
    settings,
    syncs,
    users,
    webhooks,
)

PAGES = (
    overview.pages,
    queues.pages,
    syncs.pages,
    users.pages,
    one_user.pages,
    invitations.pages,
    webhooks.pages,
    senders.pages,
    integrations.pages,
    plex_servers.pages,
    settings.pages,
    cookies.pages,
    audit.pages,
)
