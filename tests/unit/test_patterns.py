"""Every regular expression of ours takes time in proportion to its text, whatever the text."""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api", "cli", "config", "engine", "models", "schedules", "tasks")
WAYS = frozenset({"sub", "search", "match", "fullmatch", "findall", "finditer", "split"})
SIZE = 2400  # characters, at first: enough for a quadratic one to stand out on any machine
QUICK = 0.002  # seconds: a hundred times what a linear pattern needs for so much, a tenth of what a quadratic one does
GROWTH = 4
CANDIDATES = "a0-/ .=:'\"@eE_;&?#\n\\,(<[%"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Those that mention `re`: every test process reads them when it collects."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if re.search(r"\bre\.", text := path.read_text()):
                yield str(path.relative_to(ROOT)), ast.parse(text)


def patterns() -> dict[str, tuple[re.Pattern[Any], str]]:
    """What modules hold compiled, however deep, and what they write down where it is used; with how it is used."""
    found: dict[str, tuple[re.Pattern[Any], str]] = {}
    for name, tree in modules():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        ways = {
            (call.func.value.id, call.func.attr)
            for call in calls
            if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        }
        if ("re", "compile") in ways:
            module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
            for variable, value in vars(module).items():
                for pattern in _held(value):
                    used = {way for of, way in ways if of == variable and way in WAYS} or {"sub"}
                    found |= {f"{name}: {way} {pattern.pattern!r}": (pattern, way) for way in used}
        for node in calls:
            if _of_re(node) and isinstance(node.args[0], ast.Constant):
                literal, way = node.args[0].value, node.func.attr  # type: ignore[attr-defined]
                found[f"{name}: {way} {literal!r}"] = re.compile(literal), way
    return found


def _of_re(node: ast.Call) -> bool:
    function = node.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
        and function.attr in WAYS
    )


def _held(value: Any) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for each in list(value.values()):
            yield from _held(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _held(each)


def beginnings(tree: Any) -> list[str]:
    """Texts that fit the beginning of a pattern, of each length; one for each branch."""
    whole, found = [""], [""]
    for op, argument in tree:
        parts = _fitting(op, argument)
        found += [before + part for before in whole[:3] for part in parts]
        whole = [before + part for before in whole[:3] for part in parts[-4:]] or whole
    return found


def _fitting(op: Any, argument: Any) -> list[str]:
    if op is ops.LITERAL:
        return [chr(argument)]
    if op in (ops.IN, ops.ANY, ops.NOT_LITERAL):
        return [_character(op, argument)]
    if op is ops.SUBPATTERN:
        return beginnings(argument[-1])
    if op is ops.ATOMIC_GROUP:
        return beginnings(argument)
    if op is ops.BRANCH:
        return [part for branch in argument[1] for part in beginnings(branch)]
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
        low, _, repeated = argument
        return ["", *(part * max(1, low) for part in beginnings(repeated))]
    return [""]


def _character(op: Any, argument: Any) -> str:
    if op is ops.ANY:
        return "a"
    if op is ops.NOT_LITERAL:
        return next(char for char in CANDIDATES if ord(char) != argument)
    negated = argument[0][0] is ops.NEGATE
    for char in CANDIDATES + "\x1b\x00Z":
        if any(_in(char, kind, value) for kind, value in argument) is not negated:
            return char
    kind, value = argument[-1]
    return chr(value if kind is ops.LITERAL else value[0])


def _in(char: str, kind: Any, value: Any) -> bool:
    if kind is ops.LITERAL:
        return ord(char) == value
    if kind is ops.RANGE:
        return bool(value[0] <= ord(char) <= value[1])
    if kind is ops.CATEGORY:
        name = str(value).lower()
        fits = (
            char.isdigit()
            if "digit" in name
            else char.isspace()
            if "space" in name
            else char.isalnum() or char == "_"
        )
        return fits is not ("not" in name)
    return False


def lures(pattern: re.Pattern[Any], size: int) -> Iterator[str]:
    """Long texts that begin to fit again and again, and then do not."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    seen = sorted({each for each in beginnings(parser.parse(text, pattern.flags)) if each})
    for begun in seen:
        for ending in ("", f"!{begun}", "\n!"):
            for part in (begun, f"-{begun}", f" {begun}"):
                yield part * (size // len(part)) + ending
            yield begun + begun[-1] * size + ending


def seconds(pattern: re.Pattern[Any], way: str, text: str) -> float:
    """What this thread spent: other processes don't count."""
    given: Any = text if isinstance(pattern.pattern, str) else text.encode("latin-1")
    began = time.thread_time()
    if way in {"match", "fullmatch"}:
        getattr(pattern, way)(given)
    else:
        pattern.sub(given[:0], given)
    return time.thread_time() - began


def grows_too_fast(pattern: re.Pattern[Any], way: str) -> str | None:
    for number, small in enumerate(lures(pattern, SIZE)):
        if (before := seconds(pattern, way, small)) < QUICK:
            continue
        large = next(islice(lures(pattern, GROWTH * SIZE), number, None))
        before = min(before, *(seconds(pattern, way, small) for _ in range(3)))
        after = seconds(pattern, way, large)
        if after < 1:  # short enough for something else to have come in between
            after = min(after, seconds(pattern, way, large))
        if after > 2 * GROWTH * max(before, QUICK / 10):
            return f"{before:.4f} s, {GROWTH} times as much {after:.4f} s: {small[:40]!r}"
    return None


@pytest.mark.parametrize("name", sorted(FOUND := patterns()))
def test_no_text_makes_a_pattern_slow(name: str) -> None:
    assert grows_too_fast(*FOUND[name]) is None


@pytest.mark.parametrize(
    "pattern",
    [r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*", r"[;.]? *please", r"(https?://[^\s?#]+)[?#]\S*", r"[\\/]+[^\\/]*$"],
)
def test_a_slow_one_would_be_found(pattern: str) -> None:
    assert grows_too_fast(re.compile(pattern), "sub") is not None
