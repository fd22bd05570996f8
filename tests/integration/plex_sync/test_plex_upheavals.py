"""A library goes through one upheaval after the other: each film keeps its id, its mark, its history and its download."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from sqlalchemy import text
from syncing import Syncing

from engine.runtime import Runtime
from tests.fakes.plex_server.rekeying import exchange, shift
from tests.integration.plex_sync.test_plex_who_is_who import plex, see, viewer

__all__ = ["plex", "viewer"]

STYLES = ("plex", "imdb", "local")
FILMS = 12


class World:
    """Films by what they are, wherever they are and whatever they are called."""

    def __init__(self, plex: Syncing, chance: random.Random) -> None:
        self.plex, self.library, self.chance = plex, plex.library, chance
        self.films = {
            number: self.library.add_film(1, f"Film {number}", 1950 + number, style=STYLES[number % 3])
            for number in range(FILMS)
        }

    def some(self, number: int = 3) -> list[int]:
        return self.chance.sample(sorted(self.films), number)

    def rebuild(self) -> None:
        for number, film in self.films.items():
            self.library.remove(film)
            self.films[number] = self.library.add_again(film)

    def shift(self) -> None:
        shift(self.library, self.chance.choice([-1, 1]) if min(self.library.items) > 1 else 1)

    def exchange(self) -> None:
        one, other = self.some(2)
        exchange(self.library, self.films[one], self.films[other])

    def rename(self) -> None:
        for number in self.some():
            self.library.change(self.films[number], title=f"Title {self.chance.random()}")

    def match_anew(self) -> None:
        for number in self.some():
            self.library.change(self.films[number], guid=f"plex://movie/{self.chance.random()}", guids=[])

    def replace_file(self) -> None:
        for number in self.some():
            self.library.change(
                self.films[number], versions=[{"files": [f"/better/{self.chance.random()}.mkv"]}]
            )

    def move(self) -> None:
        for number in self.some():
            film = self.films[number]
            self.films[number] = self.library.move(film, 3 if film.section.key == 1 else 1)

    def add_anew_before(self) -> None:
        (number,) = self.some(1)
        old = self.films[number]
        self.films[number] = self.library.add_again(old)
        self.plex.sync()
        self.library.remove(old)

    def merge(self) -> None:
        (number,) = self.some(1)
        twin = self.library.add_again(self.films[number])
        self.library.change(twin, versions=[{"files": [f"/twin/{self.chance.random()}.mkv"]}])
        self.plex.sync()
        self.library.merge(twin, self.films[number])


UPHEAVALS: list[Callable[[World], None]] = [
    World.rebuild, World.shift, World.exchange, World.rename, World.match_anew, World.replace_file, World.move,
    World.add_anew_before, World.merge,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_each_film_keeps_what_is_its_own(plex: Syncing, viewer: str, seed: int, runtime: Runtime) -> None:
    world = World(plex, random.Random(seed))
    plex.sync()
    ids = plex.ids()
    own = {number: ids[film.rating_key] for number, film in world.films.items()}
    for number in range(0, FILMS, 2):
        see(plex, viewer, world.films[number])
    marks = {own[number] for number in range(0, FILMS, 2)}
    done = []
    for upheaval in world.chance.sample(UPHEAVALS, len(UPHEAVALS)):
        done.append(upheaval.__name__)
        upheaval(world)
        plex.sync(full=world.chance.random() < 0.3)
        ids = plex.ids()
        assert {number: ids[film.rating_key] for number, film in world.films.items()} == own, done
        with runtime.reading() as db:
            for table in ("watch_states", "plex_activities"):
                rows = set(
                    db.scalars(
                        text(
                            f"SELECT item_id FROM {table} t JOIN media_items m ON m.id = item_id "
                            "WHERE m.deleted_at IS NULL"
                        )
                    )
                )
                assert rows == marks, (table, done)
        plex.in_step()
