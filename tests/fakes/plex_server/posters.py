"""Draws invented posters: flat compositions of few colours."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from tests.fakes.plex_server.pictures import packed

Colour = tuple[int, int, int]
# Where something begins and ends on the line at y; all in units of the picture's height, x from its middle.
Shape = Callable[[float], tuple[float, float] | None]
Painted = list[tuple[Shape, Colour]]

# Above, below, ground, and what stands out.
_PALETTES = (
    "2b1740 e2725b 3a1038 ffd9a0",
    "1d1b19 3a3631 0c0b0a e9b44c",
    "f5c33b eeb021 7a3b12 f2efe6",
    "1a0d0a 3c1a14 0d0605 ff6a4d",
    "b9cbe0 eef2f6 5d7389 2c3e50",
    "f2d8c9 e6a98c 8a4a57 fff6e3",
    "0d1b3a 24507a 071026 f4d58d",
    "d9efec 8ec9c4 12486b e4572e",
    "06302b 1c7a6c 041d1a ff9478",
    "e8e4dc cfc8bd 2a2522 d1495b",
    "dbe8c9 c3d6a8 4c6b2f d1543f",
    "1b1140 4b2a8a 120a2b f7b2d9",
)


class Sheet(NamedTuple):
    """What a composition works with; `half` is half the width, `aside` the middle of what it shows."""

    chance: random.Random
    half: float
    aside: float
    ground: Colour
    bright: Colour


@lru_cache(maxsize=256)
def drawn(look: int, palette: int, width: int, height: int) -> bytes:
    """A PNG: one of six compositions in one of twelve palettes."""
    half, compositions = width / height / 2, (_sea, _arches, _rings, _doors, _discs, _hills)
    high, low, ground, bright = map(_colour, _PALETTES[palette % len(_PALETTES)].split())
    aside = half * 0.45 if width > height else 0.0
    shapes = compositions[look % 6](Sheet(random.Random(palette), half, aside, ground, bright))
    rows = bytearray()
    for line in range(height):
        y = (line + 0.5) / height
        row = bytearray(bytes(_mixed(high, low, y)) * width)
        for shape, colour in shapes:
            span = shape(y)
            if span is not None:
                _fill(row, (span[0] + half) * height, (span[1] + half) * height, colour)
        rows += b"\0" + row
    return packed(width, height, 2, bytes(rows))


def _sea(on: Sheet) -> Painted:
    horizon = on.chance.uniform(0.62, 0.72)
    waves = [
        (_block(on.aside, horizon + 0.03 + at * 0.045, 0.007, 0.3 - at * 0.045), on.bright) for at in range(5)
    ]
    return [(_disc(on.aside, horizon, 0.27), on.bright), (_block(0, horizon, 1, on.half), on.ground), *waves]


def _hills(on: Sheet) -> Painted:
    shapes: Painted = [(_disc(on.aside + on.chance.uniform(-0.05, 0.1), 0.3, 0.1), on.bright)]
    for at in range(5):
        top, shade = 0.55 + at * 0.1, _mixed(on.bright, on.ground, 0.35 + at * 0.16)
        middles = [on.aside + on.chance.uniform(-0.7, 0.7) for _ in range(2)]
        shapes += [(_disc(x, top + 0.9, 0.95), shade) for x in middles]
        shapes.append((_block(0, top + 0.1, 1, on.half), shade))
    return shapes


def _rings(on: Sheet) -> Painted:
    y, shades = on.chance.uniform(0.4, 0.48), (on.ground, _mixed(on.ground, on.bright, 0.35))
    rings = [(_disc(on.aside, y, 0.31 - at * 0.029), shades[at % 2]) for at in range(9)]
    return [*rings, (_disc(on.aside, y, 0.055), on.bright)]


def _arches(on: Sheet) -> Painted:
    y, shapes = on.chance.uniform(0.4, 0.46), Painted()
    for at in range(6):
        radius, shade = 0.28 - at * 0.044, _mixed(on.ground, on.bright, at / 5)
        shapes += [(_disc(on.aside, y, radius), shade), (_block(on.aside, y, 1, radius), shade)]
    return shapes


def _discs(on: Sheet) -> Painted:
    shades = (on.bright, on.ground, _mixed(on.bright, on.ground, 0.5))
    places = [(on.aside + (at % 4 - 1.5) * 0.15, 0.22 + at // 4 * 0.14) for at in range(20)]
    return [(_disc(x, y, 0.058), on.chance.choice(shades)) for x, y in places]


def _doors(on: Sheet) -> Painted:
    shades = [_mixed(on.ground, on.bright, 0.05 + 0.1 * (at % 2) + at * 0.03) for at in range(7)]
    frames = [
        (_block(on.aside, 0.1 + at * 0.055, 0.8 - at * 0.11, 0.27 - at * 0.036), shades[at])
        for at in range(7)
    ]
    return [*frames, (_block(on.aside, 0.46, 0.09, 0.03), on.bright)]


def _disc(x: float, y: float, radius: float) -> Shape:
    def shape(at: float) -> tuple[float, float] | None:
        reach = math.sqrt(max(0.0, radius * radius - (at - y) ** 2))
        return (x - reach, x + reach) if reach else None

    return shape


def _block(x: float, top: float, tall: float, reach: float) -> Shape:
    return lambda at: (x - reach, x + reach) if top <= at < top + tall else None


def _fill(row: bytearray, first: float, last: float, colour: Colour) -> None:
    """Paint from one place to another; the pixels at both ends in part."""
    first, last = max(0.0, first), min(len(row) / 3, last)
    start, end = math.ceil(first), math.floor(last)
    if end > start:
        row[3 * start : 3 * end] = bytes(colour) * (end - start)
    for pixel, share in ((start - 1, start - first), (end, last - end)):
        if 0 <= pixel < len(row) // 3 and share > 0:
            under = (row[3 * pixel], row[3 * pixel + 1], row[3 * pixel + 2])
            row[3 * pixel : 3 * pixel + 3] = bytes(_mixed(under, colour, share))


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (
        round(a + (b - a) * min(1.0, max(0.0, share))) for a, b in zip(one, other, strict=True)
    )
    return red, green, blue


def _colour(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text)
    return red, green, blue
