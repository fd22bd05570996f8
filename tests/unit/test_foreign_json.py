"""JSON that others wrote badly: the text that is wrong pays, nothing else."""

from __future__ import annotations

import json
import time
from typing import Any

import orjson
import pytest

from engine.clients.foreign_json import DEEPEST, NotJson, decoded, repaired, storable

MENDED: list[tuple[bytes | str, Any]] = [
    (b'{"a": "caf\xe9", "b": 1}', {"a": "caf\ufffd", "b": 1}),
    (b'{"a": "caf\xe9"}', {"a": "caf\ufffd"}),
    (b'{"a": "\xed\xa0\xbd", "b": 1}', {"a": "\ufffd\ufffd\ufffd", "b": 1}),
    (b'{"a": "x\xe2\x82"}', {"a": "x\ufffd"}),
    (rb'{"a": "\ud83d film", "b": "\ude00", "c": "\ud83d\ude00"}', {"a": "\ufffd film", "b": "\ufffd", "c": "\U0001f600"}),
    (b'{"a": "two\nlines\tand \x01", "b": 1}', {"a": "two\nlines\tand \x01", "b": 1}),
    (rb'{"a": "x\u0000y", "b\u0000": 1}', {"a": "xy", "b": 1}),
    (b'{"a": "x\0y"}', {"a": "xy"}),
    (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ('\ufeff{"a": 1}', {"a": 1}),
    ('{"a": "ß"}'.encode("utf-16"), {"a": "ß"}),
    *[('{"a": "ß"}'.encode(form), {"a": "ß"}) for form in ("utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")],
    ('{"a": "ß"}'.encode("utf-16-le")[:-1] + b"\0\0\0", {"a": "ß"}),
    (b"7\0\0", 7),
    (b'{"a": 1}\0\0\n', {"a": 1}),
    (b'{"a": NaN, "b": Infinity, "c": -Infinity, "d": 1e999, "e": 1.5}', {"a": None, "b": None, "c": None, "d": None, "e": 1.5}),
    (b'{"a": "\xff", "b": 123456789012345678901234567890, "c": -9223372036854775809}', {"a": "\ufffd", "b": 123456789012345678901234567890.0, "c": -9223372036854775809.0}),
    (b'{"a": ' + b"9" * 100_000 + b', "b": "\xff"}', {"a": None, "b": "\ufffd"}),
    (b'{"a": 1, "a": 2, "b": "\xff"}', {"a": 2, "b": "\ufffd"}),
    ('{"a": "\ud83d"}', {"a": "\ufffd"}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), MENDED, ids=range(len(MENDED)))
def test_what_is_wrong_costs_its_text(body: bytes | str, expected: Any) -> None:
    found = decoded(body)
    assert found == expected
    assert "\\u0000" not in orjson.dumps(found).decode(), "and it can be stored"


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a": ', b"<html>", b'{"a": 1} {"b": 2}', b'{"a": "caf\xe9', "", b"\xff\xfe"]
)
def test_what_is_cut_short_or_something_else_is_refused(body: bytes | str) -> None:
    with pytest.raises(NotJson):
        decoded(body)


@pytest.mark.parametrize("depth", [150, 1_500, 200_000])
@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"x": ', "}")])
def test_what_is_nested_too_deeply_is_cut_where_it_is(depth: int, before: str, after: str) -> None:
    body = '{"deep": ' + before * depth + "1" + after * depth + ', "beside": ["]", "[", "\\""]}'
    for found in (repaired(body), decoded(body)):
        assert found["beside"] == ["]", "[", '"']
    level, found = 1, repaired(body)["deep"]
    while found is not None:
        level, found = level + 1, found[0] if isinstance(found, list) else found["x"]
    assert level == DEEPEST


def test_good_json_is_read_as_ever() -> None:
    document = {
        "a": ["ü", "\U0001f600", 'with " and \\', 1, -2, 2**63, 1.5, True, None, {}],
        "b": {"c": [[]]},
    }
    for body in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        assert decoded(body) == decoded(body.encode()) == repaired(body) == document


@pytest.mark.parametrize("junk", [b'\\"', b'"', b"[", b'"\\', b'{"a":', b"\\ud800", b'["\\u0000",'])
def test_no_text_takes_longer_than_its_length(junk: bytes) -> None:
    """Ten times the text takes about ten times as long, not a hundred times."""

    def seconds(length: int) -> float:
        body = b'["' + junk * (length // len(junk))
        began = time.process_time()
        with pytest.raises(NotJson):
            decoded(body)
        return time.process_time() - began

    assert seconds(400_000) < 40 * max(seconds(40_000), 0.005)


def test_a_text_that_can_be_stored_stays_itself() -> None:
    text = "Größe \U0001f600"
    assert storable(text) is text
    assert storable("a\0\ud83db\udfff") == "a\ufffdb\ufffd"
