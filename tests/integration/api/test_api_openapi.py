"""The OpenAPI document: every route is in it with its errors, and its page needs nobody else's server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from door import API, Door, refused


@pytest.fixture(scope="module")
def document(door: Door) -> Any:
    return door.stranger().get(f"{API}/openapi.json").get_json()


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


def test_every_route_is_in_it_under_its_absolute_path(door: Door, document: Any) -> None:
    routes = {
        (re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in door.app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in {"HEAD", "OPTIONS"}
        and not rule.rule.startswith("/ws")
        and not is_page(door, rule.endpoint)
    }

    assert {(path, method) for path, method, _ in operations(document)} == routes
    assert document["openapi"].startswith("3.1")


def is_page(door: Door, endpoint: str) -> bool:
    """Pages are for people, and in docs/permissions.md; the document is for programs."""
    return hasattr(door.app.view_functions[endpoint], "page_operation")


def test_every_reference_leads_somewhere(document: Any) -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (value for key, value in node.items() if key == "$ref")
            node = list(node.values())
        if isinstance(node, list):
            for each in node:
                yield from references(each)

    found_references = set(references(document))
    assert found_references
    for reference in found_references:
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, dict), reference


def test_every_operation_says_who_may_use_it_and_what_it_answers(door: Door, document: Any) -> None:
    for path, method, operation in operations(document):
        answers = operation["responses"]
        assert operation["summary"], path
        assert any(status.startswith("2") for status in answers), path
        assert {"500", "503"} <= set(answers)
        shared = document["components"]["responses"]
        shown = [
            shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in answers.values()
        ]
        assert all("X-Correlation-ID" in answer["headers"] for answer in shown), path
        if operation["security"]:  # who needs none: docs/permissions.md, compared by the test of the matrix
            assert {"401", "403"} <= set(answers)
            concrete = re.sub(r"{\w+}", "x", path)
            refused(door.stranger().open(concrete, method=method.upper()), 401, "UNAUTHORIZED")
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= set(answers)


def test_operation_ids_are_unique(document: Any) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(ids) == len(set(ids))


def test_the_page_brings_all_that_it_needs(door: Door) -> None:
    client = door.stranger()
    for base in (API, "/api"):
        page = client.get(f"{base}/docs")
        assert page.mimetype == "text/html"
        assert "://" not in page.text
        assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert assets
        for asset in assets:
            with client.get(f"{base}/{asset}") as answer:
                assert answer.status_code == 200, asset
                assert len(answer.data) > 100


@pytest.mark.parametrize("name", ["index.html", "..%2f..%2fsetup.cfg", "swagger-ui.css.map"])
def test_no_other_file_is_served(door: Door, name: str) -> None:
    refused(door.stranger().get(f"{API}/docs/{name}"), 404, "NOT_FOUND")
