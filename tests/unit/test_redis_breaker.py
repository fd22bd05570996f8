"""A Redis that failed is left alone: one caller in a while finds out whether it is back, the others do not wait."""

from __future__ import annotations

import redis
from structlog.testing import capture_logs

from engine.stores.redis_breaker import RedisBreaker


class Server:
    """Counts how often it is asked, and fails while it is away."""

    def __init__(self) -> None:
        self.away, self.asked = True, 0

    def __call__(self) -> str:
        self.asked += 1
        if self.away:
            raise redis.ConnectionError
        return "Redis"


def without() -> str:
    return "instead"


def test_it_is_left_alone_after_a_failure() -> None:
    server, breaker = Server(), RedisBreaker(3600, away="a.away", back="a.back")
    assert [breaker.ask(server, without) for _ in range(5)] == ["instead"] * 5
    assert server.asked == 1


def test_what_must_be_tried_is_and_closes_it() -> None:
    server, breaker = Server(), RedisBreaker(3600, away="a.away", back="a.back")
    with capture_logs() as said:
        for _ in range(3):
            breaker.ask(server, without, must=True)
        server.away = False
        assert breaker.ask(server, without) == "instead"
        assert breaker.ask(server, without, must=True) == "Redis"
        assert breaker.ask(server, without) == "Redis"
    assert [(line["event"], line["log_level"]) for line in said] == [
        ("a.away", "warning"),
        ("a.back", "info"),
    ]


def test_after_its_pause_one_call_tries_and_closes_it() -> None:
    server, breaker = Server(), RedisBreaker(0, away="a.away", back="a.back")
    with capture_logs() as said:
        assert breaker.ask(server, without) == breaker.ask(server, without) == "instead"
        assert server.asked == 2
        server.away = False
        assert breaker.ask(server, without) == "Redis"
    assert [line["event"] for line in said] == ["a.away", "a.back"]


def test_a_question_asked_meanwhile_does_not_close_it() -> None:
    """An answer to what was asked before the failure says nothing about now."""
    server, breaker = Server(), RedisBreaker(3600, away="a.away", back="a.back")

    def slow() -> str:
        breaker.ask(server, without)
        return "Redis"

    assert breaker.ask(slow, without) == "Redis"
    assert (breaker.ask(server, without), server.asked) == ("instead", 1)
