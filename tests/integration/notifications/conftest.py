"""A post office with a mail server, somebody, and a target of Apprise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from door import Person, opened
from fakes.mail_server import MailServer
from fakes.webhook_target import WebhookTarget
from post import Post

from config.settings import Settings


@pytest.fixture
def post(settings: Settings, mail_server: MailServer) -> Iterator[Post]:
    changes = {"smtp_url": mail_server.url(), "notify_allow_private_networks": True}
    with opened(settings, app_env="production", **changes) as door:
        yield Post(door)


@pytest.fixture
def ann(post: Post) -> Person:
    return post.door.person()


@pytest.fixture
def target() -> Iterator[WebhookTarget]:
    with WebhookTarget() as target:
        yield target
