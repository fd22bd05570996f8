"""The URL of Redis as the broker's library wants it."""

from __future__ import annotations

import pytest

from config.celery import broker_url


@pytest.mark.parametrize(
    ("redis_url", "wanted"),
    [
        ("redis://:pw@host:6379/1", "redis://:pw@host:6379/1"),
        ("unix:///run/a%20b/redis.sock?db=2", "redis+socket:///run/a%20b/redis.sock?virtual_host=2"),
        ("rediss://:pw@host:6379/0", "rediss://:pw@host:6379/0?ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_ca_certs=/ca", "rediss://host/0?ssl_ca_certs=/ca&ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=none", "rediss://host/0?ssl_cert_reqs=none"),
    ],
)
def test_the_url_for_the_broker(redis_url: str, wanted: str) -> None:
    assert broker_url(redis_url) == wanted
