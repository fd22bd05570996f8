"""What messages of Plex do: history, watch state, syncs, notices; each once, in whatever order they come."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from door import Door, Person, data_of, opened, refused
from fakes.plex_server import PlexDouble, webhook
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.audit import Actor
from engine.events import CHANNEL_PATTERN
from engine.jobs.runner import run_next
from engine.plex.sync import runs as sync
from engine.plex.sync import work as sync_work
from engine.plex.watching.statistics import statistics
from engine.webhooks import inbox
from engine.webhooks.plex import title_of
from engine.webhooks.work import WEBHOOK, work
from models.base import new_id
from models.media import MediaItem, WatchState
from models.notification import Notification
from models.plex_activity import PlexActivity
from models.plex_library import PlexServer
from models.sync_run import SyncRun
from models.user import User
from models.webhook import Webhook

SERVER = "5466"
HOUR = timedelta(hours=1)


@pytest.fixture
def door(settings: Settings) -> Iterator[Door]:
    with opened(settings) as door:
        with door.runtime.unit_of_work() as db:
            now = db.scalar(select(func.now()))
            db.add(PlexServer(id=SERVER, name="Office", url="http://plex.test", seen_at=now, failures=0))
        yield door


@pytest.fixture
def ann(door: Door) -> Person:
    return linked(door, "7", "ann_p")


def linked(door: Door, plex_id: str, name: str, role: str = "user") -> Person:
    """Somebody whose account at Plex we know."""
    person = door.person(role)
    with door.runtime.unit_of_work() as db:
        db.execute(
            update(User).where(User.id == person.id).values(plex_id=plex_id, plex_username=name, name=name)
        )
    return person


def film(door: Door, key: str = "1", title: str = "Heat", duration: int = 6_000_000) -> str:
    with door.runtime.unit_of_work() as db:
        row = MediaItem(
            id=new_id("med"), server_id=SERVER, section_key="1", rating_key=key, type="movie", title=title,
            sort_title=title, duration=duration, hash=1,
        )  # fmt: skip
        db.add(row)
        return row.id


def said(
    event: str, key: str = "1", account: Any = 7, name: str = "ann_p", offset: int | None = None, **more: Any
) -> Any:
    item = {"ratingKey": key, "type": "movie", "title": "Heat", "year": 1995, "duration": 6_000_000}
    return {
        "event": f"media.{event}",
        "Account": {"id": account, "title": name},
        "Server": {"title": "Office", "uuid": SERVER},
        "Player": {"title": "Chrome", "local": True},
        "Metadata": item if offset is None else {**item, "viewOffset": offset},
        **more,
    }


def receive(door: Door, payload: Any, ago: timedelta = timedelta(0)) -> str:
    """A message that came some time ago and waits."""
    with door.runtime.unit_of_work() as db:
        row_id = inbox.receive(db, source="plex", payload=payload, address=None).id
        db.execute(update(Webhook).where(Webhook.id == row_id).values(created_at=func.now() - ago))
    return row_id


def work_off(door: Door) -> None:
    while run_next(door.runtime, WEBHOOK, work):
        pass


def happened(door: Door, *payloads: Any, ago: timedelta = timedelta(0)) -> Webhook:
    """The messages come and are worked on; the last of them."""
    ids = [receive(door, payload, ago) for payload in payloads]
    work_off(door)
    with door.runtime.unit_of_work() as db:
        row = inbox.get(db, ids[-1])
        assert row.status in {"processed", "ignored"}, row.error
        return row


def look(door: Door, question: Callable[[Session], Any]) -> Any:
    with door.runtime.unit_of_work() as db:
        return question(db)


def activities(door: Door) -> list[PlexActivity]:
    query = select(PlexActivity).order_by(PlexActivity.at, PlexActivity.id)
    return list(look(door, lambda db: list(db.scalars(query))))


def state(door: Door, person: Person) -> WatchState | None:
    query = select(WatchState).where(WatchState.user_id == person.id)
    found: WatchState | None = look(door, lambda db: db.scalars(query).one_or_none())
    return found


class TestHistory:
    def test_who_did_what_with_which_title(self, door: Door, ann: Person) -> None:
        item_id = film(door)

        row = happened(door, said("pause", offset=60_000))

        (one,) = activities(door)
        shown = data_of(ann.get("/plex/activity"))["items"]
        assert datetime.fromisoformat(shown[0].pop("at")) == one.at
        assert shown == [
            {
                "id": one.id, "event": "pause", "userId": ann.id, "accountName": "ann_p", "itemId": item_id,
                "ratingKey": "1", "type": "movie", "title": "Heat (1995)", "player": "Chrome", "local": True,
                "rating": None, "viewOffset": 60_000,
            }
        ]  # fmt: skip
        assert one.webhook_id == row.id
        assert row.outcome == "Noted."

    def test_it_is_told_to_its_person_else_to_admins(self, door: Door, ann: Person) -> None:
        item_id = film(door)
        listener = door.runtime.redis.pubsub(ignore_subscribe_messages=True)
        listener.psubscribe(CHANNEL_PATTERN)
        listener.get_message(timeout=5)
        happened(door, said("play"), said("stop", account=9, name="eve"), said("play"))
        heard = [orjson.loads(entry["data"]) for entry in iter(lambda: listener.get_message(timeout=1), None)]
        listener.close()

        told = [entry for entry in heard if entry["frame"]["event"] == "plex:activity"]
        about = [(entry["user"], entry["datum"]) for entry in told]
        assert about == [(ann.id, "watching"), (None, "watching of strangers")]
        data = told[0]["frame"]["data"]
        assert (data["event"], data["itemId"], data["title"]) == ("play", item_id, "Heat (1995)")
        assert told[1]["frame"]["data"]["accountName"] == "eve"

    def test_recorded_messages(self, door: Door, fixtures: Callable[[str], Path]) -> None:
        names = ("media_play_track", "media_scrobble_episode_new_agent", "media_stop_movie_legacy_guid")
        happened(door, *(json.loads(fixtures(f"plex_webhooks/{name}.json").read_bytes()) for name in names))

        found = {
            one.event: (one.account_id, one.account_name, one.title, one.rating_key)
            for one in activities(door)
        }

        assert found in (
            {
                "play": ("1", "harbourmaster", "The Tide Tables - Neap", "321"),
                "scrobble": ("4242", "žofie", "Lighthouse Keepers - S01E03 - Żuraw", "223"),
                "stop": ("1", "harbourmaster", "Two Anchors (1968)", "104"),
            },
            {
                "play": ("1", "elan", "Stephen Stills - Love The One You're With", "1936545"),
                "scrobble": ("31646104", "播放", "范马刃牙 - S01E01 - The World's Strongest Senior", "40294"),
                "stop": ("1", "testyboi", "Barry Lyndon (1975)", "75580"),
            },
        )

    def test_the_owner_is_known_by_their_name(self, door: Door) -> None:
        owner = linked(door, "4711", "Elan")
        film(door)

        happened(door, said("play", account=1, name="elan"))

        assert activities(door)[0].user_id == owner.id

    def test_a_name_alone_is_not_enough_for_others(self, door: Door, ann: Person) -> None:
        happened(door, said("play", account=8, name="ann_p"))

        assert activities(door)[0].user_id is None

    def test_a_title_of_another_server_is_not_ours(self, door: Door, ann: Person) -> None:
        film(door)

        happened(door, {**said("play"), "Server": {"uuid": "another"}})

        assert activities(door)[0].item_id is None

    @pytest.mark.parametrize(
        "payload",
        [
            {"event": "media.play"},
            {"event": "media.stop", "Account": None, "Metadata": [], "Player": "x", "Server": 3},
            {"event": "media.rate", "rating": {"a": 1}, "Metadata": {"ratingKey": ["1"], "title": 3}},
            {
                "event": "media.pause",
                "Metadata": {"viewOffset": "soon", "duration": -1, "ratingKey": "1; DROP"},
            },
            {"event": "media.scrobble", "Metadata": {"type": "episode", "index": "x", "parentIndex": None}},
            {"event": "media.play", "Metadata": {"viewOffset": 1e300, "year": 1e300, "type": "movie"}},
            {"event": "library.new", "Metadata": {"ratingKey": "../../x"}},
            {"event": "library.new"},
            {"event": "admin.database.backup"},
            {"event": "device.new", "Player": []},
            {"event": "playback.started", "Metadata": {"title": None}},
        ],
    )
    def test_whatever_is_missing(self, door: Door, payload: Any) -> None:
        happened(door, payload)

    @pytest.mark.parametrize(
        ("item", "title"),
        [
            ({"type": "movie", "title": "Heat", "year": 1995}, "Heat (1995)"),
            ({"type": "movie", "title": "Heat"}, "Heat"),
            (
                {
                    "type": "episode",
                    "title": "Earth Skills",
                    "grandparentTitle": "The 100",
                    "parentIndex": 1,
                    "index": 2,
                },
                "The 100 - S01E02 - Earth Skills",
            ),
            ({"type": "episode", "title": "Pilot", "grandparentTitle": "The 100"}, "The 100 - Pilot"),
            ({"type": "track", "title": "Song", "grandparentTitle": "Band"}, "Band - Song"),
            ({}, "something"),
        ],
    )
    def test_titles_in_words(self, item: dict[str, Any], title: str) -> None:
        assert title_of(item) == title


class TestTwice:
    def test_told_by_the_viewer_and_by_the_owner(self, door: Door, ann: Person) -> None:
        film(door)

        happened(door, said("scrobble", user=True, owner=False), said("scrobble", user=False, owner=True))

        assert len(look(door, lambda db: db.scalars(select(Webhook.id)).all())) == 2
        assert len(activities(door)) == 1
        seen = state(door, ann)
        assert seen is not None
        assert seen.view_count == 1

    def test_what_happens_again_later_is_another(self, door: Door, ann: Person) -> None:
        film(door)

        happened(door, said("scrobble", n=1), ago=5 * HOUR)
        happened(door, said("scrobble", n=2))

        assert len(activities(door)) == 2
        seen = state(door, ann)
        assert seen is not None
        assert seen.view_count == 2

    def test_two_people_two_titles_two_ratings(self, door: Door) -> None:
        happened(
            door, said("play"), said("play", account=8), said("play", key="2"), said("stop"),
            said("rate", rating=3), said("rate", rating=9),
        )  # fmt: skip

        assert len(activities(door)) == 6

    def test_a_message_that_is_worked_on_again(self, door: Door, ann: Person) -> None:
        film(door)
        row = happened(door, said("scrobble"))

        for _ in range(3):
            with door.runtime.unit_of_work() as db:
                inbox.replay(db, row.id, Actor())
            work_off(door)

        assert len(activities(door)) == 1
        seen = state(door, ann)
        assert seen is not None
        assert seen.view_count == 1


class TestWatchState:
    def test_place_views_and_rating(self, door: Door, ann: Person) -> None:
        film(door)

        happened(door, said("play", offset=0), ago=3 * HOUR)
        happened(door, said("pause", offset=1_200_000), ago=2 * HOUR)
        paused = state(door, ann)
        happened(door, said("scrobble"), ago=HOUR)
        seen = state(door, ann)
        happened(door, said("rate", rating=8.5))
        rated = state(door, ann)

        assert paused is not None
        assert (paused.view_count, paused.view_offset, paused.last_viewed_at) == (0, 1_200_000, None)
        assert seen is not None
        assert (seen.view_count, seen.view_offset, seen.rating) == (1, None, None)
        assert seen.last_viewed_at is not None
        assert rated is not None
        assert (rated.view_count, rated.rating, rated.last_viewed_at) == (1, 8.5, seen.last_viewed_at)

    def test_the_credits_are_no_place_to_go_on_from(self, door: Door, ann: Person) -> None:
        film(door)
        happened(door, said("scrobble"), ago=HOUR)

        happened(door, said("stop", offset=5_700_000))

        seen = state(door, ann)
        assert seen is not None
        assert seen.view_offset is None

    def test_in_any_order(self, door: Door, ann: Person) -> None:
        """Whatever is worked on first, the newest message has the last word, and each view counts."""
        film(door)
        story = [
            (said("play", offset=0), 9), (said("scrobble"), 8), (said("stop", offset=5_900_000), 7), (said("rate", rating=4), 6),
            (said("play", offset=0, n=2), 5), (said("scrobble", n=2), 4), (said("rate", rating=9), 3),
            (said("play", offset=10, n=3), 2), (said("pause", offset=777_000), 1),
        ]  # fmt: skip
        for shuffled in (random.Random(seed).sample(story, len(story)) for seed in range(6)):
            look(
                door,
                lambda db: [
                    db.execute(each.__table__.delete()) for each in (Webhook, PlexActivity, WatchState)
                ],
            )
            for payload, hours in shuffled:
                happened(door, payload, ago=hours * HOUR)

            seen = state(door, ann)
            assert seen is not None
            assert (seen.view_count, seen.view_offset, seen.rating) == (2, 777_000, 9.0)
            assert len(activities(door)) == 9

    def test_a_view_that_the_server_told_first(self, door: Door, ann: Person) -> None:
        item_id = film(door)
        now = datetime.now(UTC)
        with door.runtime.unit_of_work() as db:
            db.add(
                WatchState(
                    user_id=ann.id,
                    item_id=item_id,
                    view_count=3,
                    last_viewed_at=now - timedelta(seconds=5),
                    updated_at=now,
                )
            )

        happened(door, said("scrobble"))

        seen = state(door, ann)
        assert seen is not None
        assert seen.view_count == 3

    def test_nobody_of_ours_nothing_of_ours(self, door: Door, ann: Person) -> None:
        happened(door, said("scrobble"))
        film(door)
        happened(door, said("scrobble", account=8))

        assert look(door, lambda db: db.scalar(select(func.count()).select_from(WatchState))) == 0


class TestSyncs:
    def test_a_new_title_is_fetched_at_once(self, settings: Settings) -> None:
        with PlexDouble() as plex:
            films = plex.library.add_section("movie", "Films", "/media/films")
            heat = plex.library.add_film(films, "Heat", 1995)
            with opened(settings, plex_url=plex.url, plex_token=plex.token) as door:
                row = happened(door, webhook(plex, "library.new", heat))
                (run,) = look(door, lambda db: db.scalars(select(SyncRun)).all())

                assert run_next(door.runtime, sync_work.SYNC, sync_work.work)

                found = look(door, lambda db: sync.get(db, run.id))
                titles = look(door, lambda db: db.scalars(select(MediaItem.title)).all())
        assert (run.trigger, run.rating_keys, run.full) == ("webhook", [str(heat.id)], False)
        assert row.outcome == f"Fetched by {run.id}."
        assert found.status == "completed"
        assert titles == ["Heat"]

    def test_what_it_says_of_the_title_is_not_believed(self, settings: Settings) -> None:
        """A key that is not there makes no item, whatever the message tells of it."""
        with PlexDouble() as plex:
            plex.library.add_section("movie", "Films", "/media/films")
            with opened(settings, plex_url=plex.url, plex_token=plex.token) as door:
                invented = {"ratingKey": "999", "type": "movie", "title": "Invented", "librarySectionID": 1}
                happened(door, {"event": "library.new", "Metadata": invented})
                assert run_next(door.runtime, sync_work.SYNC, sync_work.work)

                assert look(door, lambda db: db.scalars(select(MediaItem.title)).all()) == []

    def test_many_new_titles_are_one_sync(self, settings: Settings) -> None:
        with opened(settings, plex_url="http://127.0.0.1:9", plex_token="t") as door:
            for key in range(20):
                happened(door, {"event": "library.new", "Metadata": {"ratingKey": str(key), "type": "movie"}})

            (run,) = look(door, lambda db: db.scalars(select(SyncRun)).all())
        assert sorted(run.rating_keys, key=int) == [str(key) for key in range(20)]

    def test_somebody_plays_what_the_catalogue_lacks(self, settings: Settings) -> None:
        with opened(settings, plex_url="http://127.0.0.1:9", plex_token="t") as door:
            row = happened(door, {**said("play", key="55"), "Server": {}})
            (run,) = look(door, lambda db: db.scalars(select(SyncRun)).all())
        assert run.rating_keys == ["55"]
        assert row.status == "processed"

    @pytest.mark.parametrize(
        "payload",
        [
            {"event": "library.new", "Metadata": {"ratingKey": "5", "type": "track"}},
            {"event": "library.new", "Metadata": {"type": "movie"}},
            {"event": "library.new", "Metadata": {"ratingKey": "5", "type": "movie"}},
            {"event": "library.on.deck", "Metadata": {"ratingKey": "5", "type": "movie"}},
            {"event": "media.levitate"},
            {"event": "media.play", "Account": None, "Metadata": []},
            {"event": "media.play", "Metadata": {"ratingKey": {}, "title": " "}},
            {},
        ],
    )
    def test_what_is_ignored(self, door: Door, payload: Any) -> None:
        """The third: no server is configured."""
        assert happened(door, payload).status == "ignored"
        assert look(door, lambda db: db.scalars(select(SyncRun)).all()) == []

    def test_with_plex_switched_off(self, settings: Settings) -> None:
        with opened(settings, plex_enabled=False) as door:
            assert happened(door, said("play")).status == "ignored"
            assert activities(door) == []


class TestNotices:
    @pytest.mark.parametrize(
        ("payload", "message"),
        [
            ({"event": "admin.database.backup", "Server": {"title": "Office"}}, "Office has backed up its database."),
            (
                {"event": "admin.database.corrupted"},
                "Plex says that its database is damaged. Restore it from a backup.",
            ),
            (
                {"event": "device.new", "Player": {"title": "TV"}, "Account": {"title": "bob"}},
                "TV was used by bob for the first time.",
            ),
            (
                {"event": "playback.started", "Account": {"title": "bob"}, "Metadata": {"title": "Heat", "type": "movie"}},
                "bob began to watch Heat.",
            ),
        ],
    )  # fmt: skip
    def test_admins_are_told_once(self, door: Door, payload: Any, message: str) -> None:
        admins = {door.person("admin").id, door.person("super_admin").id}
        door.person("user")
        away = door.person("admin")
        look(
            door, lambda db: db.execute(update(User).where(User.id == away.id).values(disabled_at=func.now()))
        )

        row = happened(door, payload)
        with door.runtime.unit_of_work() as db:
            inbox.replay(db, row.id, Actor())
        work_off(door)

        told = look(door, lambda db: db.scalars(select(Notification)).all())
        assert {one.user_id for one in told} == admins
        assert len(told) == 2
        assert {(one.type, one.message, one.subject_id) for one in told} == {
            (f"plex.{payload['event']}", message, row.id)
        }


class TestWhoSeesWhat:
    def test_ones_own_and_everybodys(self, door: Door, ann: Person) -> None:
        bob, admin = linked(door, "8", "bob"), door.person("admin")
        happened(door, said("play"), said("play", account=8, name="bob"), said("stop", account=9, name="eve"))

        def names(person: Person, query: str = "") -> list[str]:
            return sorted(
                each["accountName"] for each in data_of(person.get(f"/plex/activity{query}"))["items"]
            )

        assert names(ann) == names(ann, f"?user={ann.id}") == ["ann_p"]
        assert names(ann, f"?user={bob.id}") == []
        assert names(admin) == ["ann_p", "bob", "eve"]
        assert names(admin, f"?user={bob.id}") == ["bob"]
        mine, all_of_them = (data_of(who.get("/plex/statistics")) for who in (ann, admin))
        assert (mine["total"]["plays"], all_of_them["total"]["plays"]) == (1, 2)
        assert [each["name"] for each in mine["byUser"]] == ["ann_p"]

    def test_filters_and_pages(self, door: Door, ann: Person) -> None:
        item_id = film(door)
        for hours in (5, 4, 3, 2, 1):
            happened(
                door,
                said("play" if hours % 2 else "stop", key="1" if hours > 2 else "2", n=hours),
                ago=hours * HOUR,
            )
        times = [one.at for one in activities(door)]

        def count(**query: Any) -> int:
            return int(data_of(ann.get("/plex/activity", query_string=query))["pagination"]["totalItems"])

        assert count() == 5
        assert count(event="play") == 3
        assert count(item=item_id) == 3
        assert count(item="med-none") == 0
        assert count(**{"from": times[1].isoformat(), "to": times[3].isoformat()}) == 2
        pages = [data_of(ann.get(f"/plex/activity?limit=2&page={page}"))["items"] for page in (1, 2, 3)]
        assert [len(page) for page in pages] == [2, 2, 1]
        shown = [each["at"] for page in pages for each in page]
        assert shown == sorted(shown, reverse=True)
        refused(ann.get("/plex/activity?event=levitate"), 400, "VALIDATION_ERROR")
        refused(ann.get("/plex/activity?from=yesterday"), 400, "VALIDATION_ERROR")
        refused(ann.get("/plex/statistics?days=0"), 400, "VALIDATION_ERROR")


class TestStatistics:
    def test_plays_views_and_time(self, door: Door, ann: Person) -> None:
        item_id = film(door)
        noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
        evening = [
            ("play", 0), ("pause", 20), ("resume", 30), ("scrobble", 100), ("stop", 110),  # 20 + 70 + 10 minutes
            ("play", 200), ("play", 205),  # whose end never came
        ]  # fmt: skip
        for number, (event, minutes) in enumerate(evening):
            ago = datetime.now(UTC) - (noon + timedelta(minutes=minutes))
            happened(door, said(event, n=number), ago=ago)

        shown = data_of(ann.get("/plex/statistics?days=7"))

        sums = {"plays": 3, "views": 1, "watchSeconds": 6000}
        assert shown["total"] == {**sums, "watchSeconds": pytest.approx(6000, abs=5)}
        assert shown["byTitle"] == [
            {
                "title": "Heat (1995)",
                "itemId": item_id,
                "type": "movie",
                **sums,
                "watchSeconds": shown["total"]["watchSeconds"],
            }
        ]
        assert [each["userId"] for each in shown["byUser"]] == [ann.id]
        assert [each["plays"] for each in shown["byDay"]] == [0, 0, 0, 0, 3, 0, 0]
        assert shown["byDay"][4]["date"] == noon.date().isoformat()
        assert data_of(ann.get("/plex/statistics?days=1"))["total"]["plays"] == 0

    def test_titles_that_share_their_words_are_counted_each_for_itself(self, door: Door, ann: Person) -> None:
        ids = [film(door, "1"), film(door, "2")]
        for key in ("1", "2", "2", "3"):
            happened(door, said("play", key=key, n=key), ago=HOUR)
            happened(door, said("stop", key=key, n=key), ago=HOUR - timedelta(minutes=10))
            look(door, lambda db: db.execute(update(PlexActivity).values(at=PlexActivity.at - HOUR)))

        shown = data_of(ann.get("/plex/statistics?days=2"))

        assert {row["itemId"]: row["plays"] for row in shown["byTitle"]} == {ids[0]: 1, ids[1]: 2, None: 1}
        assert {row["title"] for row in shown["byTitle"]} == {"Heat (1995)"}
        assert shown["total"]["watchSeconds"] == pytest.approx(2400, abs=10)

    def test_what_took_long_is_kept_for_a_while(
        self, door: Door, ann: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def plays() -> int:
            return int(data_of(ann.get("/plex/statistics"))["total"]["plays"])

        happened(door, said("play", key="1"))
        assert plays() == 1
        happened(door, said("play", key="2"))
        assert plays() == 2, "what is quick is always exact"
        monkeypatch.setattr("engine.plex.watching.statistics._WORTH_KEEPING", 0.0)
        monkeypatch.setattr("engine.plex.watching.statistics._KEPT_FACTOR", 1e6)
        assert plays() == 2
        happened(door, said("play", key="3"))
        assert plays() == 2
        monkeypatch.setattr("engine.plex.watching.statistics._LONGEST_KEPT", 0.0)
        assert plays() == 3

    def test_nothing_at_all(self, ann: Person) -> None:
        shown = data_of(ann.get("/plex/statistics"))

        assert shown["total"] == {"plays": 0, "views": 0, "watchSeconds": 0}
        assert (shown["byUser"], shown["byTitle"], len(shown["byDay"])) == ([], [], 30)

    def test_who_is_none_of_ours_counts_for_themselves(self, door: Door, ann: Person) -> None:
        happened(door, said("play"), said("play", account=8, name="bob"), said("play", account=9, name="eve"))

        found = look(door, lambda db: statistics(db, days=1))

        assert sorted((each["name"], each["plays"]) for each in found.by_user) == [
            ("ann_p", 1),
            ("bob", 1),
            ("eve", 1),
        ]
