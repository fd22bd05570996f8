"""Builds the Flask application; nothing connects and nothing reads the environment before a request does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask

from api import extensions
from api.extensions import Parts
from api.operations import openapi
from api.pages import parts
from api.pages.door import errors as error_pages
from api.pages.look import static_files
from api.pages.site import PAGES
from api.resources import (
    admin,
    admin_requests,
    audit,
    auth,
    confirmation,
    cookies,
    csrf,
    deliveries,
    download_files,
    flower,
    health,
    integrations,
    invitations,
    me,
    media,
    media_requests,
    notification_channels,
    notifications,
    password_reset,
    plex_activity,
    plex_auth,
    plex_collections,
    plex_syncs,
    search,
    testing,
    titles,
    users,
    watchlist,
    webhook_inbox,
    webhooks,
)
from api.resources import settings as admin_settings
from api.security import cors, headers, rate_limits
from api.security.addresses import RealAddress
from api.sockets import endpoints as sockets
from api.wire import correlation, errors
from api.wire.unversioned_paths import UnversionedPaths
from config.celery import QUEUES, make_bell, make_celery
from config.redis import make_redis
from config.settings import Settings
from engine.job_names import Job
from engine.monitoring.health import HealthMonitor
from engine.rate_limits.limits import RateLimiter
from engine.runtime import Runtime

BLUEPRINTS = (
    health.root,
    health.blueprint,
    auth.blueprint,
    confirmation.blueprint,
    csrf.blueprint,
    plex_auth.blueprint,
    plex_auth.own_account,
    download_files.blueprint,  # that of api.resources.youtube, with all operations of both
    admin.blueprint,
    users.blueprint,
    audit.blueprint,
    me.blueprint,
    cookies.blueprint,
    admin_settings.blueprint,
    integrations.blueprint,
    password_reset.blueprint,
    invitations.blueprint,
    invitations.accepting,
    notifications.blueprint,
    watchlist.blueprint,
    notification_channels.blueprint,
    notification_channels.unsubscribing,
    deliveries.blueprint,
    static_files.blueprint,
    webhooks.blueprint,
    webhook_inbox.blueprint,
    plex_collections.blueprint,  # that of api.resources.plex, with all operations of both
    media.blueprint,
    titles.blueprint,
    media_requests.blueprint,
    admin_requests.blueprint,
    search.blueprint,
    plex_syncs.blueprint,
    plex_activity.blueprint,
    flower.blueprint,
    openapi.blueprint,
)


class SynchronousFlask(Flask):
    """Flask without `async` views: it need not inspect each function that it calls, twelve times a request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is."""
        return func


def create_app(settings: Settings, runtime: Runtime | None = None) -> Flask:
    """Build the application.

    Args:
        settings: with a `database_url` and a `redis_url`.
        runtime: to be used instead of one made from the settings.
    """
    celery = make_celery(settings)

    def send_noop(token: str) -> None:
        celery.send_task(Job.NOOP.value, [token], queue=Job.NOOP.queue, retry=False, ignore_result=True)

    if runtime is None:
        # Half of the threads' connections stay open when idle, the other half come and go.
        pool_size = max(2, settings.web_threads // 2)
        runtime = Runtime(settings, make_redis(settings), make_bell(celery), pool_size=pool_size)
    app = SynchronousFlask("api", static_folder=None)
    api = extensions.init_app(app, Parts(runtime, HealthMonitor(runtime, QUEUES), send_noop))
    correlation.init_app(app)
    headers.init_app(app, production=settings.app_env == "production")
    cors.init_app(app)
    rate_limits.init_app(app, RateLimiter(settings))
    errors.init_app(app, error_pages.shown)
    openapi.describe(app, api)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    for pages in PAGES:
        app.register_blueprint(pages)
    if settings.app_env == "development":
        api.register_blueprint(testing.blueprint)
        api.register_blueprint(parts.blueprint)
    openapi.publish(app, api)
    sockets.register(app, runtime)
    app.wsgi_app = RealAddress(UnversionedPaths(app.wsgi_app), settings.trusted_proxies)  # type: ignore[method-assign]
    return app
