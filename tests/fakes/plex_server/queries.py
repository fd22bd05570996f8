"""Which items a request means: the query's operators, sorting and the asked-for part, as Plex's documentation has them.

An operator stands at the end of the name, before the first `=`: `updatedAt>>=5` is after 5, `updatedAt>=5` at or after it,
`year!=1999`, `title==Heat` (exactly) and `title=hea` (contains). A comma is OR, `&` is AND, `movie.year` scopes a field.
"""

from __future__ import annotations

import re
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes.plex_server.items import Account, Item, Section, Watch

_NAME = re.compile(
    r"(?:(movie|show|season|episode|artist|album|track|collection)\.)?([A-Za-z]+)(!=|!|>>|<<|>|<|=)?"
)
_SPAN = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "mon": 2_592_000, "y": 31_536_000}
_TAGS = {
    "genre": "Genre",
    "director": "Director",
    "writer": "Writer",
    "actor": "Role",
    "country": "Country",
    "collection": "Collection",
    "label": "Label",
}
_TEXTS = {"title", "titleSort", "studio", "summary", "tagline", "editionTitle", "originalTitle"}
_NUMBERS = {
    "addedAt",
    "updatedAt",
    "lastViewedAt",
    "viewCount",
    "viewOffset",
    "year",
    "duration",
    "index",
    "id",
    "rating",
    "audienceRating",
}


@dataclass(frozen=True)
class Asked:
    """One request: its path, its query in order, its headers in lower case."""

    path: str
    pairs: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]

    @classmethod
    def of(cls, path: str, query: str, headers: Mapping[str, str]) -> Asked:
        pairs = parse_qsl(query, keep_blank_values=True)
        # `title==x` need not be encoded, and is `title=` to be `x`
        named = [(f"{name}=", value[1:]) if value.startswith("=") else (name, value) for name, value in pairs]
        return cls(path, tuple(named), headers)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The last value of a parameter."""
        return next((value for key, value in reversed(self.pairs) if key == name), default)

    def flag(self, name: str) -> bool:
        """Whether a parameter is given and not 0."""
        return self.get(name, "0") not in {"0", "", "false"}

    def either(self, name: str) -> str | None:
        """An `X-Plex-...` value, which may be a header or a parameter."""
        return self.headers.get(name.lower()) or self.get(name)

    @property
    def json(self) -> bool:
        """Whether JSON is wanted; XML is what Plex answers otherwise."""
        return "json" in (self.headers.get("accept") or "")

    @property
    def part(self) -> tuple[int, int] | None:
        """First and count of the part asked for; None: everything."""
        size = self.either("X-Plex-Container-Size")
        start = self.either("X-Plex-Container-Start")
        if size is None and start is None:
            return None
        return int(start or 0), int(size) if size is not None else 1 << 40


def tag_id(tag: str) -> int:
    """The number that stands for a tag in filters."""
    return zlib.crc32(tag.encode()) % 100_000


def number_of(item: Item, name: str, account: Account) -> float:
    """A field that can be compared; what is missing counts as 0, as in Plex's database."""
    seen = item.watched.get(account.id) or Watch()
    match name:
        case "updatedAt":
            return item.updated_at
        case "addedAt":
            return item.added_at
        case "id":
            return item.id
        case "viewCount":
            return seen.count
        case "viewOffset":
            return seen.offset
        case "lastViewedAt":
            return seen.last_at or 0
        case "duration":
            return item.fields.get("duration") or (item.versions[0].duration if item.versions else 0) or 0
    return float(item.fields.get(name) or 0)


def chosen(items: Iterable[Item], asked: Asked, account: Account, now: int) -> list[Item]:
    """Those that pass every filter of the query; parameters that are no filters say nothing."""
    tests = [test for name, value in asked.pairs if (test := _test(name, value, account, now))]
    kept = list(items)
    for test in tests:
        kept = [item for item in kept if test(item)]
    return kept


def filters(asked: Asked) -> bool:
    """Whether the query names a filter at all."""
    owner = Account(1, "", "")
    return any(_test(name, value, owner, 0) for name, value in asked.pairs)


def _test(name: str, value: str, account: Account, now: int) -> Callable[[Item], bool] | None:
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    scope, bare, operator = found.groups()
    made = _field(bare, operator or "", value, account, now)
    if made is None or scope is None:
        return made
    return lambda item: any(made(step) for step in item.line() if step.kind == scope)


def _field(name: str, operator: str, value: str, account: Account, now: int) -> Callable[[Item], bool] | None:
    if name in _NUMBERS:
        return _number(name, operator, value, account, now)
    if name in _TEXTS:
        return _text(name, operator, value)
    if name == "guid":
        return lambda item: (item.guid == value) != operator.startswith("!")
    if name == "unwatched":
        return lambda item: (
            all(leaf.watched.get(account.id, Watch()).count == 0 for leaf in item.leaves()) == (value != "0")
        )
    if name in _TAGS:
        wanted = set(value.split(","))
        here = _TAGS[name]
        return lambda item: (
            any(tag in wanted or str(tag_id(tag)) in wanted for tag in item.tags(here))
            != operator.startswith("!")
        )
    return None


def _number(
    name: str, operator: str, value: str, account: Account, now: int
) -> Callable[[Item], bool] | None:
    try:
        wanted = [_amount(one, now) for one in value.split(",")]
    except ValueError:
        return None
    first = wanted[0]
    compare: dict[str, Callable[[float], bool]] = {
        "": lambda here: here in wanted,
        "=": lambda here: here in wanted,
        "!": lambda here: here not in wanted,
        "!=": lambda here: here not in wanted,
        ">>": lambda here: here > first,
        "<<": lambda here: here < first,
        ">": lambda here: here >= first,
        "<": lambda here: here <= first,
    }
    check = compare[operator]
    return lambda item: check(number_of(item, name, account))


def _amount(text: str, now: int) -> float:
    """A number; `-30d` and `+2h` are seconds before and after now."""
    relative = re.fullmatch(r"([+-])(\d+)(s|mon|m|h|d|w|y)", text)
    if relative:
        sign, count, unit = relative.groups()
        return now + (1 if sign == "+" else -1) * int(count) * _SPAN[unit]
    return float(text)


def _text(name: str, operator: str, value: str) -> Callable[[Item], bool] | None:
    wanted = [one.casefold() for one in value.split(",")]

    def here(item: Item) -> str:
        return str(item.fields.get(name) or "").casefold()

    match operator:
        case "=":
            return lambda item: here(item) in wanted
        case "!=":
            return lambda item: here(item) not in wanted
        case "!":
            return lambda item: not any(one in here(item) for one in wanted)
        case "<":
            return lambda item: here(item).startswith(tuple(wanted))
        case ">":
            return lambda item: here(item).endswith(tuple(wanted))
    return lambda item: any(one in here(item) for one in wanted)


def ordered(items: Iterable[Item], sort: str | None, account: Account) -> list[Item]:
    """By `field`, `field:desc`, several with commas; Plex's own order (title, or place in the show) without one."""
    result = sorted(items, key=_usual)
    for step in reversed((sort or "").split(",")):
        field, _, direction = step.partition(":")
        field = field.rpartition(".")[2]
        if field in {"titleSort", "title"}:
            result.sort(key=lambda item: item.sort_title, reverse=direction == "desc")
        elif field in _NUMBERS or field == "viewUpdatedAt":
            result.sort(key=lambda item: number_of(item, field, account), reverse=direction == "desc")
        elif field:
            result.sort(key=lambda item: str(item.fields.get(field) or ""), reverse=direction == "desc")
    return result


def _usual(item: Item) -> tuple[Any, ...]:
    steps = list(item.line())[::-1]
    return (steps[0].sort_title, steps[0].id, *[step.index for step in steps[1:]], item.id)


def listed(section: Section, kind: str, asked: Asked, account: Account, now: int) -> list[Item]:
    """The items of a kind that the request means, in order; orders of a whole section are remembered until it changes."""
    sort = asked.get("sort")
    since = _since(asked)
    if since is not None:
        result = ordered(_after(section, kind, *since), sort, account)
    elif filters(asked) or (sort and "view" in sort.lower()):
        result = ordered(chosen(section.items.get(kind, {}).values(), asked, account, now), sort, account)
    else:
        result = _remembered(section, kind, sort or "", lambda items: ordered(items, sort, account))
    limit = asked.get("limit")
    return result[: int(limit)] if limit else result


def _remembered(
    section: Section, kind: str, name: str, order: Callable[[Iterable[Item]], list[Item]]
) -> list[Item]:
    known = section.orders.get((kind, name))
    if known is None:
        known = section.orders[kind, name] = order(section.items.get(kind, {}).values())
    return known


def _since(asked: Asked) -> tuple[str, int, bool] | None:
    """Field, bound and whether the bound itself counts, where `updatedAt>>=n` or the like is the only filter: an index answers."""
    named = [
        (found.groups(), value)
        for name, value in asked.pairs
        if (found := _NAME.fullmatch(name)) and _test(name, value, Account(1, "", ""), 0)
    ]
    if len(named) != 1:
        return None
    (scope, field, operator), value = named[0]
    if scope or field not in {"updatedAt", "addedAt"} or operator not in {">>", ">"} or not value.isdigit():
        return None
    return field, int(value), operator == ">"


def _after(section: Section, kind: str, field: str, bound: int, inclusive: bool) -> list[Item]:
    time_of = attrgetter({"updatedAt": "updated_at", "addedAt": "added_at"}[field])
    index = _remembered(section, kind, f"by {field}", lambda items: sorted(items, key=time_of))
    return index[(bisect_left if inclusive else bisect_right)(index, bound, key=time_of) :]
