"""The floor of a job: a Celery task that reports its start time; `app` has our settings, `stock` Celery's defaults."""

from __future__ import annotations

import time
from functools import cache

import redis
from celery import Celery

from config.celery import broker_url, make_celery
from config.settings import Settings

QUEUE = "maintenance"
NAME = "bare.noop"

settings = Settings.load()
app = make_celery(settings)
stock = Celery("stock", broker=broker_url(settings.redis_url), set_as_current=False)
stock.conf.update(task_default_queue=QUEUE, task_ignore_result=True)


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.redis_url)


def _noop(token: str) -> None:
    pipe = _client().pipeline()
    pipe.lpush(token, repr(time.time()))
    pipe.expire(token, 60)
    pipe.execute()


for _app in (app, stock):
    _app.task(name=NAME)(_noop)
