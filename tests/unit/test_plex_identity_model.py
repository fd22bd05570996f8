"""Who is who, over libraries that are rebuilt, shifted, matched anew, renamed and moved at random: nobody takes another's place."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plex.recognition.matching import Traits, recognise

KINDS = ("plex", "imdb", "local")


@dataclass(frozen=True)
class Film:
    """A film as itself: `number` is what it is; the rest is how Plex tells of it."""

    number: int
    key: int
    guid: str | None
    tmdb: str | None
    file: str
    title: str
    section: str = "1"

    def traits(self, deleted: bool = False) -> Traits:
        return Traits(
            id=f"med-{self.number}", rating_key=str(self.key), section_key=self.section, type="movie", guid=self.guid,
            tmdb_id=self.tmdb, file=self.file, title=self.title, year=2000, deleted=deleted,
        )  # fmt: skip


def film(number: int, kind: str) -> Film:
    guid = {"plex": f"plex://movie/{number}", "imdb": f"com.plexapp.agents.imdb://tt{number}?lang=en"}.get(
        kind
    )
    tmdb = None if kind == "local" else str(number)
    return Film(number, number, guid or f"local://{number}", tmdb, f"/m/{number}.mkv", f"film {number}")


@st.composite
def libraries(draw: st.DrawFn) -> tuple[list[Film], list[Film]]:
    """A library and what has become of it: keys mean nothing, and of each film no more than one trait has changed."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8))
    before = [film(number, kind) for number, kind in enumerate(kinds, 1)]
    keys = draw(st.permutations(range(1, len(before) + 4)))
    now = []
    for one, key in zip(before, keys, strict=False):
        change = draw(st.sampled_from(["nothing", "guid", "file", "title", "section", "gone"]))
        if change == "gone":
            continue
        changes: dict[str, dict[str, str | None]] = {
            "guid": {"guid": f"plex://movie/new-{one.number}", "tmdb": None},
            "file": {"file": f"/better/{one.number}.mp4"},
            "title": {"title": f"le film {one.number}"},
            "section": {"section": "2", "file": f"/other/{one.number}.mkv"},
        }
        now.append(replace(one, key=key, **changes.get(change, {})))  # type: ignore[arg-type]
    for number in range(100, 100 + draw(st.integers(0, 3))):
        now.append(replace(film(number, draw(st.sampled_from(KINDS))), key=keys[len(now) - 1] + 50 + number))
    return before, now


@given(libraries(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_everybody_is_who_they_were(made: tuple[list[Film], list[Film]], deleted: bool) -> None:
    before, now = made
    found = recognise([one.traits() for one in now], [one.traits(deleted) for one in before])
    known = {one.number for one in before}
    assert {key: item.id for key, item in found.items()} == {
        str(one.key): f"med-{one.number}" for one in now if one.number in known
    }


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_is_shared_nobody_is_two(data: st.DataObject) -> None:
    """With few values for all traits, so that almost everything is ambiguous."""
    few = st.sampled_from([None, "a", "b"])

    def some(name: str) -> list[Traits]:
        keys = data.draw(st.lists(st.integers(1, 9), unique=True, max_size=5))
        return [
            Traits(
                id=f"{name}{key}", rating_key=str(key), section_key="1",
                type=data.draw(st.sampled_from(["movie", "show", "season", "episode"])),
                guid=data.draw(few), tmdb_id=data.draw(few), file=data.draw(few), title=data.draw(few) or "",
                parent_key=data.draw(st.sampled_from([None, "1", "2"])),
                grandparent_key=data.draw(st.sampled_from([None, "1", "2"])),
                parent_index=1, item_index=data.draw(st.integers(0, 2)), year=data.draw(st.sampled_from([None, 2000])),
                deleted=name == "old" and data.draw(st.booleans()),
            )
            for key in keys
        ]  # fmt: skip

    now, before = some("new"), some("old")
    found = recognise(now, before)
    told = {one.rating_key: one for one in now}
    assert len({item.id for item in found.values()}) == len(found)
    assert found.keys() <= told.keys()
    for key, item in found.items():
        assert item.type == told[key].type
    shuffled = recognise(data.draw(st.permutations(now)), data.draw(st.permutations(before)))
    assert {key: item.id for key, item in shuffled.items()} == {key: item.id for key, item in found.items()}


def test_it_takes_no_longer_than_a_listing() -> None:
    """Steps over the whole set, each of them linear: 5,000 films with other keys in a moment."""
    before = [film(number, KINDS[number % 3]) for number in range(1, 5_001)]
    now = [replace(one, key=one.key % 5_000 + 1) for one in before]
    found = recognise([one.traits() for one in now], [one.traits() for one in before])
    assert all(found[str(one.key)].id == f"med-{one.number}" for one in now)


def test_what_two_share_tells_neither() -> None:
    """Two copies without anything of their own, both under other keys, in other files: nobody knows which is which."""
    before = [film(1, "plex"), replace(film(1, "plex"), number=2, key=2, file="/m/2.mkv")]
    now = [replace(one, key=one.key + 10, file=f"/n/{one.key}-new.mkv") for one in before]
    assert recognise([one.traits() for one in now], [one.traits() for one in before]) == {}
    assert recognise([now[0].traits()], [one.traits() for one in before]) == {}
    assert [item.id for item in recognise([now[0].traits()], [before[1].traits()]).values()] == ["med-2"]


def test_a_guid_that_names_an_entry_names_no_film() -> None:
    for guid in ("local://7", "com.plexapp.agents.none://7?lang=xn", "tv.plex.agents.none://7", "none://7"):
        one, other = (replace(film(number, "local"), guid=guid) for number in (1, 2))
        assert recognise([other.traits()], [one.traits()]) == {}
