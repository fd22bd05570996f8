"""Rate limits as clients meet them: numbers, headers, advice, several processes, proxies, and Redis in trouble."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from door import API, PASSWORD, Door, Person, opened, refused
from sqlalchemy import func
from stack import Stack, eventually, running
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from cli.embedded import EmbeddedRedis
from config.redis import make_redis
from config.settings import Settings
from config.variables import Rate
from engine.identity import api_keys, sessions
from engine.permissions import Permission
from engine.rate_limits.limits import Asker, Name, RateLimiter, RateLimitExceeded
from engine.rate_limits.sliding_windows import Asked, RedisWindows
from models.setting import StoredSetting
from models.user import User

LIMIT, REMAINING, RESET = "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"
MINUTE = 60
ELSEWHERE = "198.51.100.23"


@pytest.fixture
def door(settings: Settings) -> Iterator[Door]:
    """A door with the limits of production."""
    with opened(settings, rate_limit_enabled=True) as door:
        yield door


@pytest.fixture
def keys(redis_url: str) -> Iterator[redis.Redis]:
    """What is in Redis."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def left(answer: TestResponse | requests.Response) -> tuple[int, int]:
    """Limit and what remains of it."""
    return int(answer.headers[LIMIT]), int(answer.headers[REMAINING])


def wait_of(answer: TestResponse) -> int:
    refused(answer, 429, "RATE_LIMIT_EXCEEDED")
    return int(answer.headers["Retry-After"])


def until_refused(ask: Any) -> int:
    """How many requests pass before one is refused."""
    for passed in range(2000):
        answer = ask()
        if answer.status_code == 429:
            return passed
    raise AssertionError("nothing is refused")


def promoted(door: Door, person: Person, **columns: str) -> Person:
    with door.runtime.unit_of_work() as db:
        user = db.get_one(User, person.id)
        for name, value in columns.items():
            setattr(user, name, value)
    return person


# -- numbers ---------------------------------------------------------------------------------------------------------


TIERS = [
    ("guest", "standard", 100),
    ("user", "standard", 100),
    ("user", "premium", 500),
    ("admin", "standard", 1000),
    ("super_admin", "premium", 1000),
]


@pytest.mark.parametrize(("role", "tier", "amount"), TIERS)
def test_who_is_signed_in_is_told_the_limit_of_their_tier(
    door: Door, role: str, tier: str, amount: int
) -> None:
    person = promoted(door, door.person(role), tier=tier)
    assert left(person.get("/auth/session")) == (amount, amount - 1)


@pytest.mark.parametrize(
    ("role", "tier", "amount"),
    [TIERS[0], *(pytest.param(*tier, marks=pytest.mark.long) for tier in TIERS[1:])],
)
def test_who_is_signed_in_has_the_limit_of_their_tier(door: Door, role: str, tier: str, amount: int) -> None:
    person = promoted(door, door.person(role), tier=tier)
    began = time.time()

    assert left(person.get("/auth/session")) == (amount, amount - 1)
    assert until_refused(lambda: person.get("/auth/session")) == amount - 1
    answer = person.get("/auth/session")
    assert left(answer) == (amount, 0)
    assert began + MINUTE <= int(answer.headers[RESET]) <= time.time() + MINUTE + 1


def test_who_is_not_has_that_of_his_address(door: Door) -> None:
    assert until_refused(lambda: door.stranger().get(f"{API}/csrf/token")) == 10
    elsewhere = door.stranger().get(f"{API}/csrf/token", environ_base={"REMOTE_ADDR": ELSEWHERE})
    assert left(elsewhere) == (10, 9)
    assert door.person().get("/auth/session").status_code == 200


def test_the_hour_counts_beside_the_minute(settings: Settings) -> None:
    rates = (Rate(3, 1), Rate(5, 3600))
    with opened(settings, rate_limit_enabled=True, rate_limit_user=rates) as door:
        person = door.person()
        assert left(person.get("/auth/session")) == (3, 2)
        passed = 1

        def hour_is_used_up() -> bool:
            nonlocal passed
            answer = person.get("/auth/session")
            passed += answer.status_code == 200
            return left(answer) == (5, 0) and answer.status_code == 429

        eventually(hour_is_used_up)
        assert passed == 5
        assert wait_of(person.get("/auth/session")) >= 3590


def test_people_do_not_use_up_each_others(door: Door) -> None:
    ann, ben = door.person(), door.person()
    assert until_refused(lambda: ann.get("/auth/session")) == 100
    assert left(ben.get("/auth/session")) == (100, 99)


def test_an_api_key_counts_for_its_owner(door: Door) -> None:
    person = door.person()
    with door.runtime.unit_of_work() as db:
        owner = sessions.find(db, sessions.listing(db, person.id)[0].id)
        assert owner is not None
        _, text = api_keys.create(db, owner, name="k", permissions=[Permission.PROFILE_READ])
    person.get("/auth/session")

    answer = door.stranger().get(f"{API}/auth/session", headers={"X-Api-Key": text})
    assert answer.status_code == 200
    assert left(answer) == (100, 98)


@pytest.mark.parametrize(
    ("name", "amount", "seconds"),
    [
        ("upload", 5, 60),
        ("search", 30, 60),
        ("media", 100, 60),
        ("login", 5, 900),
        ("downloads", 5, 3600),
        ("password_reset", 3, 3600),
        ("account", 10, 900),
    ],
)
def test_each_endpoint_limit(
    settings: Settings, keys: redis.Redis, name: Name, amount: int, seconds: int
) -> None:
    numbers = Settings(rate_limit_enabled=True)
    limiter = RateLimiter(settings)
    asker, other = Asker(ELSEWHERE, "user-1", "user"), Asker("203.0.113.9", "user-2", "user")
    for _ in range(amount):
        limiter.take(numbers, [name], asker, "Ann@Example.com")
    with pytest.raises(RateLimitExceeded) as refusal:
        limiter.take(numbers, [name], asker, " ann@example.COM")
    assert seconds - 2 <= refusal.value.verdict.retry_after <= seconds
    limiter.take(numbers, [name], other, "ben@example.com")

    found = list(keys.scan_iter("medianest:rate:*"))
    assert len(found) == 3  # two subjects, and the advice
    assert not [key for key in found if "example" in key.lower()]
    assert all(0 < keys.pttl(key) <= seconds * 1000 for key in found)


def test_media_endpoints_count_for_themselves_too(door: Door) -> None:
    person = promoted(door, door.person(), tier="premium")
    assert until_refused(lambda: person.get("/youtube/downloads")) == 100
    assert person.get("/auth/session").status_code == 200


def test_sign_ins_from_one_address(door: Door) -> None:
    person = door.person()
    body = {"email": person.email, "password": PASSWORD}

    assert until_refused(lambda: door.stranger().post(f"{API}/auth/login", json=body)) == 5
    answer = door.stranger().post(f"{API}/auth/login", json=body)
    assert left(answer) == (5, 0)
    assert wait_of(answer) > 800
    assert door.stranger().get(f"{API}/csrf/token").status_code == 200


@pytest.mark.parametrize("known", [True, False])
def test_failed_sign_ins_to_one_account_from_anywhere(door: Door, keys: redis.Redis, known: bool) -> None:
    email = door.person().email if known else "nobody@example.com"
    addresses = (f"203.0.113.{number}" for number in range(1, 200))

    def sign_in(password: str) -> TestResponse:
        body = {"email": email, "password": password}
        here = {"REMOTE_ADDR": next(addresses)}
        return door.stranger().post(f"{API}/auth/login", json=body, environ_base=here)

    if known:  # what succeeds does not count
        assert {sign_in(PASSWORD).status_code for _ in range(12)} == {200}
    assert until_refused(lambda: sign_in("wrong password")) == 10
    assert wait_of(sign_in(PASSWORD)) > 800
    assert not [key for key in keys.scan_iter("*") if "example" in key]


def test_who_only_claims_an_address_has_their_sign_ins_to_it_counted(door: Door) -> None:
    """They could guess at its holder's password by setting each guess as their own first: it would go well."""
    holder, claimant = door.person(), door.person()
    own = {"currentPassword": PASSWORD, "newPassword": "my very own password"}
    assert claimant.post("/users/me/password", json=own).status_code == 200
    claim = {"email": holder.email, "currentPassword": own["newPassword"]}
    assert claimant.request("PATCH", "/users/me", json=claim).status_code == 200
    addresses = (f"203.0.113.{number}" for number in range(1, 200))

    def sign_in() -> TestResponse:
        body = {"email": holder.email, "password": own["newPassword"]}
        here = {"REMOTE_ADDR": next(addresses)}
        return door.stranger().post(f"{API}/auth/login", json=body, environ_base=here)

    assert until_refused(sign_in) == 10


def test_guesses_at_the_same_time_are_all_counted(door: Door) -> None:
    email = door.person().email

    def guess(number: int) -> int:
        body = {"email": email, "password": f"guess {number}"}
        here = {"REMOTE_ADDR": f"203.0.113.{number}"}
        return door.stranger().post(f"{API}/auth/login", json=body, environ_base=here).status_code

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(guess, range(1, 31))) == {401: 10, 429: 20}


def test_downloads_count_by_submission(door: Door) -> None:
    person = door.person()

    def submit(path: str) -> TestResponse:
        return person.post("/youtube/download", json={"url": f"http://127.0.0.1/{path}"})

    first = submit("0.mp4")
    assert (first.status_code, left(first)) == (202, (5, 4))
    for _ in range(10):  # the same again, and what is not accepted
        assert submit("0.mp4").status_code == 200
        refused(
            person.post("/youtube/download", json={"url": "http://elsewhere.example"}),
            400,
            "VALIDATION_ERROR",
        )
    assert [submit(f"{number}.mp4").status_code for number in range(1, 5)] == [202] * 4
    assert wait_of(submit("5.mp4")) > 3500
    assert submit("4.mp4").status_code == 200
    assert person.get("/youtube/downloads").get_json()["data"]["pagination"]["totalItems"] == 5


@pytest.mark.parametrize(("limit", "path"), [("global", "/flower/"), ("api", f"{API}/csrf/token")])
def test_the_wide_limits_count_an_address_with_all_its_users(
    settings: Settings, limit: str, path: str
) -> None:
    wide = {f"rate_limit_{limit}": (Rate(3, 900),)}
    with opened(settings, rate_limit_enabled=True, **wide) as door:
        people = [door.person(), door.person(), door.stranger()]
        answers = [people[0].get("/auth/session"), people[1].get("/auth/session"), people[2].get(path)]
        assert [left(answer) for answer in answers] == [(3, 2), (3, 1), (3, 0)]
        wait_of(people[0].get("/auth/session"))
        assert door.stranger().get(f"{API}/openapi.json").status_code == 200


def test_outside_of_the_api_only_the_global_limit_is_wide(settings: Settings) -> None:
    with opened(settings, rate_limit_enabled=True, rate_limit_api=(Rate(3, 900),)) as door:
        assert left(door.stranger().get("/flower/")) == (10, 9)


# -- headers ---------------------------------------------------------------------------------------------------------


def test_every_limited_answer_tells_what_is_left(door: Door) -> None:
    person, stranger = door.person(), door.stranger()
    for answer, status in (
        (person.get("/youtube/downloads"), 200),
        (person.get("/youtube/downloads?limit=0"), 400),
        (person.post("/youtube/download", data="{", content_type="application/json"), 400),
        (person.get("/admin/downloads"), 403),
        (person.get("/youtube/downloads/dl-none"), 404),
        (person.post("/youtube/download", data="x", content_type="text/plain"), 415),
    ):
        assert answer.status_code == status
        assert left(answer)[0] == 100
    assert left(person.get("/auth/session"))[1] == 93

    for answer, status in (
        (stranger.get(f"{API}/auth/session"), 401),
        (stranger.get(f"{API}/auth/session", headers={"Authorization": "Bearer x"}), 401),
        (stranger.get(f"{API}/auth/session", headers={"X-Api-Key": "mn_x"}), 401),
        (stranger.get(f"{API}/nothing"), 404),
        (stranger.get("/nothing"), 404),
        (stranger.delete(f"{API}/auth/login"), 405),
        (stranger.post(f"{API}/auth/login", data=b"x" * 2_000_000), 413),
    ):
        assert answer.status_code == status
    assert left(stranger.get(f"{API}/csrf/token")) == (10, 2)


def test_who_is_refused_sees_no_more_than_that(door: Door) -> None:
    stranger = door.stranger()
    assert until_refused(lambda: stranger.get(f"{API}/auth/session")) == 10
    for path in (f"{API}/auth/session", f"{API}/nothing", f"{API}/csrf/token"):
        answer = stranger.get(path)
        assert wait_of(answer)
        assert left(answer) == (10, 0)
    error = refused(stranger.get(f"{API}/csrf/token"), 429, "RATE_LIMIT_EXCEEDED")
    assert error["message"] == "Too many requests: the limit is 10/min."


def test_health_and_the_documentation_are_never_limited(door: Door) -> None:
    stranger = door.stranger()
    until_refused(lambda: stranger.get(f"{API}/nothing"))
    for path in ("/health", f"{API}/health", "/api/health", f"{API}/openapi.json", f"{API}/docs"):
        for _ in range(12):
            answer = stranger.get(path)
            assert answer.status_code == 200
            assert not [name for name, _ in answer.headers if "RateLimit" in name]


def test_the_document_names_the_headers_and_the_refusal_of_every_limited_operation(door: Door) -> None:
    document = door.stranger().get(f"{API}/openapi.json").get_json()
    assert {LIMIT, REMAINING, RESET} <= set(document["components"]["headers"])
    error = document["components"]["responses"]["Error429"]["headers"]
    assert {LIMIT, REMAINING, RESET, "Retry-After"} <= set(error)
    unlimited = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in {"get", "post", "put", "patch", "delete"}:
                if "429" not in operation["responses"]:
                    unlimited.add(path)
                    continue
                headers = [
                    answer.get("headers", {})
                    for status, answer in operation["responses"].items()
                    if status < "3"
                ]
                assert all({LIMIT, REMAINING, RESET} <= set(names) for names in headers), path
    assert {"/health", f"{API}/health", f"{API}/docs"} <= unlimited
    assert not unlimited & {f"{API}/youtube/downloads", f"{API}/auth/login", f"{API}/auth/session"}


def test_switched_off_nothing_is_limited_nor_told(settings: Settings) -> None:
    with opened(settings, rate_limit_enabled=False, rate_limit_anonymous=(Rate(1, 60),)) as door:
        for _ in range(3):
            answer = door.stranger().get(f"{API}/csrf/token")
            assert answer.status_code == 200
            assert LIMIT not in answer.headers


def test_a_limit_that_is_off_is_none(settings: Settings) -> None:
    with opened(settings, rate_limit_enabled=True, rate_limit_user=()) as door:
        assert LIMIT not in door.person().get("/auth/session").headers


def test_an_admin_changes_a_number_while_everything_runs(door: Door) -> None:
    person = door.person()
    assert left(person.get("/auth/session")) == (100, 99)
    for value, expected in (("3/min", (3, 1)), ("50/min", (50, 47)), ("2/min", None)):
        with door.runtime.unit_of_work() as db:
            db.merge(StoredSetting(name="rate_limit_user", value=value, updated_at=func.now()))
        door.runtime.live.expire()
        answer = person.get("/auth/session")
        if expected is None:
            wait_of(answer)
        else:
            assert left(answer) == expected


# -- advice ----------------------------------------------------------------------------------------------------------


def test_retry_after_doubles_while_a_client_keeps_knocking(door: Door) -> None:
    stranger = door.stranger()
    until_refused(lambda: stranger.get(f"{API}/nothing"))
    advice = [wait_of(stranger.get(f"{API}/nothing")) for _ in range(14)]
    assert 2 * 55 <= advice[0] <= 2 * 60
    assert advice == [min(advice[0] * 2**turn, 86400) for turn in range(14)]
    assert advice[-1] == 86400


def test_the_doubling_is_forgotten_as_soon_as_there_is_room(settings: Settings) -> None:
    with opened(settings, rate_limit_enabled=True, rate_limit_anonymous=(Rate(2, 2),)) as door:
        stranger = door.stranger()
        until_refused(lambda: stranger.get(f"{API}/csrf/token"))
        assert wait_of(stranger.get(f"{API}/csrf/token")) >= 2
        eventually(lambda: stranger.get(f"{API}/csrf/token").status_code == 200, what="the window has room")
        assert until_refused(lambda: stranger.get(f"{API}/csrf/token")) <= 1
        assert wait_of(stranger.get(f"{API}/csrf/token")) <= 4


def test_a_refused_request_costs_nothing_of_any_limit(settings: Settings) -> None:
    rates = {"rate_limit_user": (Rate(10, 60),), "rate_limit_media": (Rate(2, 60),)}
    with opened(settings, rate_limit_enabled=True, **rates) as door:
        person = door.person()
        assert until_refused(lambda: person.get("/youtube/downloads")) == 2
        for _ in range(20):
            wait_of(person.get("/youtube/downloads"))
        assert left(person.get("/auth/session")) == (10, 7)


# -- windows ---------------------------------------------------------------------------------------------------------


def test_the_window_in_redis_slides(settings: Settings) -> None:
    """Whoever knocks without a pause gets his amount in any window, and gets it fully."""
    windows, amount, seconds = RedisWindows(make_redis(settings)), 20, 1
    asked = [Asked("medianest:rate:test", (Rate(amount, seconds), Rate(10**6, 3600)))]
    asked_at: list[float] = []
    answered_at: list[float] = []
    deadline = time.monotonic() + 60

    def knock() -> None:
        while len(answered_at) < 4 * amount and (before := time.monotonic()) < deadline:
            if windows.take(asked).retry_after == 0:
                asked_at.append(before)
                answered_at.append(time.monotonic())

    threads = [threading.Thread(target=knock) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answered_at) >= 4 * amount
    # The moment of each lies between the two, so this holds whatever the order in which threads wrote them down.
    for before, after in zip(sorted(asked_at), sorted(answered_at)[amount:], strict=False):
        assert after - before >= seconds - 0.002  # Redis counts in milliseconds
    assert max(answered_at) - min(asked_at) < 20  # and nobody waited much longer than he had to


def test_long_windows_and_old_entries(settings: Settings, keys: redis.Redis) -> None:
    windows, key = RedisWindows(make_redis(settings)), "medianest:rate:test"
    now = int(time.time() * 1000)
    keys.rpush(key, *(now - 7_200_000 + step * 2000 for step in range(3600)))  # one each 2 s for two hours
    verdict = windows.take([Asked(key, (Rate(10**4, 3600), Rate(40, 60)))])
    assert verdict.rate == Rate(40, 60)
    assert verdict.remaining in {9, 10}
    assert verdict.reset - time.time() <= 3
    assert 1799 <= keys.llen(key) <= 1802  # what no window needs any more is gone


def test_a_clock_that_was_set_back_locks_nobody_out(settings: Settings, keys: redis.Redis) -> None:
    key = "medianest:rate:test"
    keys.rpush(key, *([int(time.time() * 1000) + 86_400_000] * 5))

    assert RedisWindows(make_redis(settings)).take([Asked(key, (Rate(5, 60),))]).remaining == 4


# -- several processes -----------------------------------------------------------------------------------------------


@pytest.fixture
def two_servers(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[tuple[Stack, Stack]]:
    """Two installations' worth of web processes over one database and one Redis."""
    with ExitStack() as life:
        stacks = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            stack = Stack(
                tmp_path / name, database_url, redis_url, RATE_LIMIT_ENABLED="true", RATE_LIMIT_USER="50/min",
                RATE_LIMIT_ADMIN="50/min", LOG_LEVEL="warning",
            )  # fmt: skip
            stack.start_web()
            stacks.append(life.enter_context(running(stack)))
        yield stacks[0], stacks[1]


def test_200_requests_at_once_in_two_processes(two_servers: tuple[Stack, Stack]) -> None:
    one, two = two_servers
    client = one.bootstrap()
    headers = {"Authorization": f"Bearer {client.token}"}
    begin = threading.Barrier(200)

    def ask(number: int) -> tuple[int, int]:
        begin.wait()
        url = (one, two)[number % 2].url
        return number % 2, requests.get(f"{url}/api/v1/auth/session", headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(200) as pool:
        answers = Counter(pool.map(ask, range(200)))
    assert answers[0, 200] + answers[1, 200] == 50
    assert answers[0, 429] + answers[1, 429] == 150
    assert answers[0, 200]
    assert answers[1, 200]

    # A development server has ten times as much of what is not set; what is set counts as it is.
    anonymous = requests.get(f"{one.url}/api/v1/csrf/token", timeout=10)
    limit, remaining = left(anonymous)
    assert limit == 100
    # Over the real server too nobody chooses his address or scheme.
    lying = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "Forwarded": "for=1.2.3.4"}
    assert left(requests.get(f"{two.url}/api/v1/csrf/token", headers=lying, timeout=10)) == (
        100,
        remaining - 1,
    )


# -- behind a proxy --------------------------------------------------------------------------------------------------


def test_behind_a_trusted_proxy_clients_count_each_for_himself(settings: Settings) -> None:
    with opened(settings, rate_limit_enabled=True, trusted_proxies=("127.0.0.1/32", "10.0.0.0/8")) as door:

        def ask(forwarded: str) -> TestResponse:
            return door.stranger().get(f"{API}/csrf/token", headers={"X-Forwarded-For": forwarded})

        assert until_refused(lambda: ask("203.0.113.7")) == 10
        assert left(ask("203.0.113.8, 10.1.1.1")) == (10, 9)
        chosen = (f"9.9.9.{number}" for number in range(200))
        assert (
            ask(f"{next(chosen)}, 203.0.113.7").status_code == 429
        )  # what a client adds itself is not reached

        hosts = (f"2001:db8:1:2::{number:x}" for number in range(1, 200))
        assert until_refused(lambda: ask(next(hosts))) == 10  # one network of IPv6 is one client
        assert left(ask("2001:db8:1:3::1")) == (10, 9)

        person = door.person()
        body = {"email": person.email, "password": PASSWORD}
        sign_in = door.stranger().post(
            f"{API}/auth/login", json=body, headers={"X-Forwarded-For": "203.0.113.9"}
        )
        assert sign_in.status_code == 200
        with door.runtime.unit_of_work() as db:
            assert "203.0.113.9" in {row.address for row in sessions.listing(db, person.id)}


def test_without_trusted_proxies_a_client_can_not_choose_his_address(door: Door) -> None:
    chosen = (f"9.9.9.{number}" for number in range(200))

    def ask() -> TestResponse:
        return door.stranger().get(f"{API}/csrf/token", headers={"X-Forwarded-For": next(chosen)})

    assert until_refused(ask) == 10


# -- Redis in trouble ------------------------------------------------------------------------------------------------


def seconds_of(ask: Any) -> tuple[float, TestResponse]:
    began = time.monotonic()
    answer = ask()
    return time.monotonic() - began, answer


def test_without_redis_the_limits_go_on_in_process(settings: Settings, tmp_path: Path) -> None:
    nobody = f"unix://{tmp_path}/nobody.sock"
    with opened(settings, rate_limit_enabled=True, redis_url=nobody) as door, capture_logs() as logs:
        stranger = door.stranger()
        slowest, passed = 0.0, 0
        while True:
            took, answer = seconds_of(lambda: stranger.get(f"{API}/csrf/token"))
            slowest = max(slowest, took)
            if answer.status_code == 429:
                break
            passed += 1
            assert left(answer) == (10, 10 - passed)
        assert (passed, slowest < 2.0) == (10, True)
        assert 55 <= wait_of(stranger.get(f"{API}/csrf/token")) <= 120
    assert [line["log_level"] for line in logs if line["event"] == "rate_limits.redis_away"] == ["warning"]


def test_a_frozen_redis_stalls_nobody_and_is_used_again_when_it_thaws(
    settings: Settings, short_tmp: Path
) -> None:
    server = EmbeddedRedis(short_tmp / "frozen")
    with (
        server.running() as url,
        opened(settings, rate_limit_enabled=True, redis_url=url) as door,
        capture_logs() as logs,
    ):
        person = door.person()
        assert left(person.get("/auth/session")) == (100, 99)
        assert server._process is not None
        server._process.send_signal(signal.SIGSTOP)
        try:
            times = [seconds_of(lambda: person.get("/auth/session")) for _ in range(99)]
            assert {answer.status_code for _, answer in times} == {200}
            assert left(times[-1][1]) == (100, 1)
            assert max(took for took, _ in times) < 2.0
            assert sum(took >= 0.25 for took, _ in times) <= 10  # one waits now and then, the others do not
        finally:
            server._process.send_signal(signal.SIGCONT)
        # What it had counted before is still there, and nothing of what was counted here.
        eventually(lambda: (person.get("/auth/session"), _events(logs)["rate_limits.redis_back"])[1])
        assert left(person.get("/auth/session"))[1] > 50
    assert _events(logs)["rate_limits.redis_away"] == 1


def _events(logs: list[Any]) -> Counter[str]:
    return Counter(line["event"] for line in logs)


def test_redis_flushed_or_restarted_counts_anew_and_exactly(door: Door, keys: redis.Redis) -> None:
    for forget in (keys.flushall, keys.script_flush):
        forget()
        with capture_logs() as logs:
            person = door.person()
            assert until_refused(lambda person=person: person.get("/auth/session")) == 100
        assert not _events(logs)["rate_limits.redis_away"]
    keys.flushall()
    assert left(person.get("/auth/session")) == (100, 99)


def test_a_redis_that_refuses_to_write_is_no_reason_to_refuse(door: Door, keys: redis.Redis) -> None:
    keys.config_set("maxmemory", 1)
    try:
        person = door.person()
        assert until_refused(lambda: person.get("/auth/session")) == 100
    finally:
        keys.config_set("maxmemory", 0)
