"""The shape of every answer: envelope, correlation, paths, and requests that do not fit."""

from __future__ import annotations

import json

import pytest
from door import API, Door, Person, data_of, opened, refused
from structlog.testing import capture_logs

from engine.downloads.shown import listing
from engine.formats import QUALITIES


@pytest.mark.parametrize("given", ["abc", "A-b_c.9", "x" * 128])
def test_a_good_correlation_id_is_echoed_and_kept(ann: Person, given: str) -> None:
    body = {"url": "http://127.0.0.1/a.mp4"}

    answer = ann.post("/youtube/download", json=body, headers={"X-Correlation-ID": given})

    assert answer.headers["X-Correlation-ID"] == given
    assert data_of(answer)["correlationId"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "ä", "a/b", "a\tb"])
def test_a_bad_one_is_replaced(door: Door, given: str) -> None:
    answer = door.stranger().get("/health", headers={"X-Correlation-ID": given})

    assert answer.headers["X-Correlation-ID"] not in {"", given}


def test_every_path_answers_without_its_version_too(ann: Person) -> None:
    unversioned = ann.client.get("/api/auth/session", headers={"Authorization": f"Bearer {ann.token}"})

    assert data_of(unversioned) == data_of(ann.get("/auth/session"))


@pytest.mark.parametrize(
    "path", ["/x", "/api", "/api/", "/api/v1", "/api/v2/health", "/nothing", "/api/v1//health"]
)
def test_an_unknown_path_is_not_found(door: Door, path: str) -> None:
    refused(door.stranger().get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "DELETE"])
def test_a_method_that_is_not_there_is_refused(door: Door, method: str) -> None:
    answer = door.stranger().open(f"{API}/auth/login", method=method)

    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("body", ["", "{", "nul", '{"url": "\ud800"}', "[" * 5000, '{"url": NaN}'])
def test_malformed_json_is_a_validation_error(ann: Person, body: str) -> None:
    raw = body.encode("utf-8", "surrogatepass")

    error = refused(
        ann.post("/youtube/download", data=raw, content_type="application/json"), 400, "VALIDATION_ERROR"
    )

    assert error["details"]


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null", "true"])
def test_json_that_is_no_object_is_one_too(ann: Person, body: str) -> None:
    answer = ann.post("/youtube/download", data=body, content_type="application/json")

    assert "body" in refused(answer, 400, "VALIDATION_ERROR")["details"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_another_content_type_is_refused(ann: Person, content_type: str | None) -> None:
    answer = ann.post("/youtube/download", data='{"url": "http://127.0.0.1/a"}', content_type=content_type)

    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", 5),
        ("url", None),
        ("url", "http://127.0.0.1/\0"),
        ("url", "http://127.0.0.1/" + "x" * 3000),
        ("quality", "4k"),
        ("quality", ["best"]),
        ("format", "avi"),
        ("downloadPath", "../up"),
        ("downloadPath", {"a": 1}),
        ("priority", 1),
        ("a\0b", 1),
    ],
)
def test_a_field_at_fault_is_named(ann: Person, field: str, value: object) -> None:
    body = {"url": "http://127.0.0.1/a.mp4", field: value}

    error = refused(ann.post("/youtube/download", json=body), 400, "VALIDATION_ERROR")

    assert list(error["details"]) == [field]


def test_the_message_of_a_choice_lists_what_is_accepted(ann: Person) -> None:
    body = {"url": "http://127.0.0.1/a.mp4", "quality": "4k"}

    error = refused(ann.post("/youtube/download", json=body), 400, "VALIDATION_ERROR")

    assert all(quality in error["message"] for quality in QUALITIES)


def test_a_flood_of_unknown_fields_is_not_echoed(ann: Person) -> None:
    body = {f"{number}{'x' * 200}": 1 for number in range(1000)}

    answer = ann.post("/youtube/download", json=body)

    refused(answer, 400, "VALIDATION_ERROR")
    assert len(answer.data) < 10_000


@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=x", "page=1.5", "page=1_0", "page=%201", "page=", "page=99999999999999999999",
        "limit=0", "limit=101", "limit=-1", "status=done", "status=", "status=%00", "order=asc", "page=1&page=2",
    ],
)  # fmt: skip
def test_a_parameter_at_fault_is_named(ann: Person, query: str) -> None:
    error = refused(ann.get(f"/youtube/downloads?{query}"), 400, "VALIDATION_ERROR")

    assert list(error["details"]) == [query.partition("=")[0]]


def test_a_parameter_where_there_are_none_is_refused(ann: Person) -> None:
    assert "a" in refused(ann.get("/auth/session?a=1"), 400, "VALIDATION_ERROR")["details"]


def test_a_body_of_more_than_a_mebibyte_is_too_large(ann: Person) -> None:
    fits = {"url": "http://127.0.0.1/a", "downloadPath": "x" * (1024 * 1024 - 60)}
    over = {"url": "http://127.0.0.1/a", "downloadPath": "x" * (1024 * 1024)}

    refused(ann.post("/youtube/download", json=fits), 400, "VALIDATION_ERROR")
    refused(ann.post("/youtube/download", json=over), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("bad", ["a%00b", "a.b", "..", "x" * 81, "%C3%A4"])
def test_an_id_that_can_be_nobodys_is_not_found(ann: Person, bad: str) -> None:
    refused(ann.get(f"/youtube/downloads/{bad}"), 404, "NOT_FOUND")


def test_who_asks_comes_before_what_is_asked(door: Door) -> None:
    stranger = door.stranger()

    refused(stranger.get(f"{API}/youtube/downloads?limit=0"), 401, "UNAUTHORIZED")
    refused(stranger.post(f"{API}/youtube/download", data="{"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("app_env", ["production", "development"])
def test_a_mistake_of_ours_tells_nothing(door: Door, monkeypatch: pytest.MonkeyPatch, app_env: str) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("SELECT secret FROM /etc/shadow")

    monkeypatch.setattr(listing, listing.newest.__name__, broken)
    with opened(door.runtime.settings, app_env=app_env) as there, capture_logs() as logs:
        answer = there.person().get("/youtube/downloads")

    error = refused(answer, 500, "INTERNAL_ERROR")
    assert (error["details"] is None) == (app_env == "production")
    assert not any(word in answer.text for word in ("SELECT", "shadow", "Traceback", ".py"))
    assert [line["log_level"] for line in logs] == ["error"]


@pytest.mark.parametrize(("app_env", "shown"), [("production", False), ("development", True)])
def test_details_of_other_errors_are_for_development(door: Door, app_env: str, shown: bool) -> None:
    with opened(door.runtime.settings, app_env=app_env) as there:
        error = refused(there.person("guest").get("/youtube/downloads"), 403, "FORBIDDEN")

    assert bool(error["details"]) == shown


def test_without_a_database_the_answer_says_so(door: Door, ann: Person) -> None:
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    headers = {"Authorization": f"Bearer {ann.token}"}

    with opened(door.runtime.settings, database_url=nowhere) as there, capture_logs() as logs:
        answer = there.stranger().get(f"{API}/youtube/downloads", headers=headers)

    refused(answer, 503, "DATABASE_ERROR")
    assert answer.headers["Retry-After"]
    assert "127.0.0.1" not in answer.text
    assert [line["log_level"] for line in logs] == ["critical"]


def test_the_log_has_the_weight_of_the_refusal(door: Door, ann: Person) -> None:
    with capture_logs() as logs:
        ann.get("/youtube/downloads?limit=0")
        ann.get("/youtube/downloads/dl-none")
        ann.get("/admin/downloads")
        door.stranger().get(f"{API}/auth/session")

    assert [(line["status"], line["log_level"]) for line in logs] == [
        (400, "info"),
        (404, "info"),
        (403, "warning"),
        (401, "warning"),
    ]


def test_times_are_utc_and_text_comes_back_as_given(ann: Person) -> None:
    url = "http://127.0.0.1/%3Cb%3E&lt;'\"ü.mp4"

    answer = ann.post("/youtube/download", json={"url": url})

    row = json.loads(answer.data)["data"]
    assert row["url"] == url
    assert row["createdAt"].endswith("Z")
