"""The OpenAPI document against the API: whatever fits it, or just doesn't, is answered as it says, to everyone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from door import Door, opened, opened_once
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from cli.embedded import EmbeddedRedis
from tests.fakes.tmdb_server import TmdbDouble

ROLES = ("guest", "user", "admin")
# They need what is not there: plex.tv, Flower, a worker.
AWAY = {
    "/api/v1/auth/plex/pin": 503,
    "/api/v1/auth/plex/verify": 503,
    "/flower/": 503,
    "/flower/{page}": 503,
    "/api/v1/youtube/metadata": 502,
}


def nothing_breaks(context: Any, response: Any, case: Any) -> None:
    failed = response.status_code >= 500 and response.status_code != AWAY.get(case.operation.path)
    assert not failed, f"{case.operation.label}: {response.status_code}"


CHECKS = [
    nothing_breaks,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def door(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("walk")
    with (
        EmbeddedRedis(folder / "redis").running() as redis_url,
        opened_once(postgres, folder) as door,
        TmdbDouble() as tmdb,
        opened(
            door.runtime.settings,
            app_env="production",
            redis_url=redis_url,
            rate_limit_enabled=False,
            plex_tv_url="http://127.0.0.1:9",
            tmdb_url=tmdb.url,
            tmdb_token=tmdb.token,
            tmdb_requests_per_second=1000,
            flower_port=0,
            preview_seconds=0.2,
        ) as there,
    ):
        yield there


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("examples", [2, pytest.param(8, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_every_answer_is_the_documented_one(door: Door, mode: GenerationMode, examples: int) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", closing(door))
    operations = [found.ok() for found in schema.get_all_operations()]
    asked = operations if mode is GenerationMode.POSITIVE else list(filter(may_be_wrong, operations))
    failures: list[Exception] = []
    for operation in asked:
        try:
            walk(operation, mode, proofs(door), examples)
        except Exception as error:
            error.add_note(operation.label)
            failures.append(error)
    if failures:
        raise ExceptionGroup("not as documented", failures)
    assert len(asked) > 60


def may_be_wrong(operation: Any) -> bool:
    """Whether it takes more than what may be any text: an identifier of the request, the name of a file, a token."""
    names = {parameter.name for parameter in operation.iter_parameters()}
    return bool(names - {"X-Correlation-ID", "file", "token"} or list(operation.body))


def proofs(door: Door) -> list[dict[str, str]]:
    """Headers of nobody, and of somebody of each role: fresh ones, since an operation may sign people out."""
    return [{}, *({"Authorization": f"Bearer {door.person(role).token}"} for role in ROLES)]


def walk(operation: Any, mode: GenerationMode, callers: list[dict[str, str]], examples: int) -> None:
    """Send some requests, each as every caller."""

    @seed(1)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        for headers in callers:
            case.call_and_validate(headers=headers, checks=CHECKS)

    ask()


def closing(door: Door) -> Any:
    """The application, whose answers are read to the end and closed, as a server does."""

    def serve(environ: Any, start_response: Any) -> list[bytes]:
        answer = door.app(environ, start_response)
        try:
            return [b"".join(answer)]
        finally:
            if hasattr(answer, "close"):
                answer.close()

    return serve
