"""Pages of finding, asking and deciding, without scripts."""

from __future__ import annotations

from typing import Any

import pytest
from door import data_of, opened
from page_visits import PageVisits
from village import Village

from config.settings import Settings


@pytest.fixture
def ann(village: Village) -> PageVisits:
    return PageVisits(village.door, "user")


@pytest.fixture
def admin(village: Village) -> PageVisits:
    return PageVisits(village.door, "admin")


def proof(visits: PageVisits) -> dict[str, str]:
    return {"csrfToken": visits.person.signed_in["csrfToken"]}


def requests_of(visits: PageVisits) -> list[dict[str, Any]]:
    return list(data_of(visits.person.get("/media/requests"))["items"])


def test_from_a_word_to_a_request_to_a_decision(village: Village, ann: PageVisits, admin: PageVisits) -> None:
    assert "Much talked about this week" in ann.see("discover")
    found = ann.see("discover?query=heat")
    assert "One find for “heat”" in found
    assert "Not here" in found
    assert "Ask for it" in ann.see("title/movie/949")

    asked = ann.told("title/movie/949", {**proof(ann), "comment": "Please!", "quality": "1080p"})

    assert "Heat waits for a decision" in asked
    (row,) = requests_of(ann)
    assert (row["comment"], row["quality"]) == ("Please!", "1080p")
    waiting = admin.see("requests?view=pending")
    assert "One request to decide" in waiting
    assert "Please!" in waiting
    assert "One request waits for you" in admin.see("")
    told = admin.told("requests/decide", {**proof(admin), "approve": row["id"]})
    assert "1 request was decided." in told
    village.work()
    assert "Somebody who looks after the server adds it by hand." in ann.see(f"requests/{row['id']}")
    assert "Heat" in ann.see("")


def test_seasons_are_chosen(ann: PageVisits) -> None:
    page = "title/tv/70523"
    none = ann.send(page, {**proof(ann), "which": "chosen"})
    assert (none.status_code, "Choose at least one season." in none.text) == (400, True)
    assert requests_of(ann) == []

    ann.told(page, {**proof(ann), "which": "chosen", "seasons": ["1", "0"]})

    (row,) = requests_of(ann)
    assert [season["number"] for season in row["seasons"]] == [0, 1]


def test_many_are_denied_with_one_reason(ann: PageVisits, admin: PageVisits) -> None:
    for page in ("title/movie/949", "title/movie/348"):
        ann.told(page, proof(ann))
    ids = [row["id"] for row in requests_of(ann)]

    admin.told("requests/decide", {**proof(admin), "action": "deny", "ids": ids, "reason": "Too loud."})

    seen = ann.see("requests?view=denied")
    assert seen.count("Too loud.") == 2
    admin.send("requests/decide", {**proof(admin), "action": "approve"})
    assert {row["status"] for row in requests_of(ann)} == {"denied"}


def test_somebody_follows_comments_and_leaves(village: Village, ann: PageVisits) -> None:
    ann.told("title/movie/949", proof(ann))
    (row,) = requests_of(ann)
    path, bob = f"requests/{row['id']}", PageVisits(village.door, "user")
    assert bob.get(path).status_code == 404

    bob.told(f"{path}/follow", proof(bob))
    bob.told(f"{path}/comments", {**proof(bob), "text": "<b>Me too</b>"})

    page = ann.get(path).text
    assert "&lt;b&gt;Me too&lt;/b&gt;" in page
    assert "You follow it no more." in bob.told(path, {**proof(bob), "action": "unfollow"})
    assert bob.get(path).status_code == 404
    assert "It was taken back." in ann.told(path, {**proof(ann), "action": "remove"})
    assert requests_of(ann) == []


def test_rules_and_quotas_are_set_in_the_browser(ann: PageVisits, admin: PageVisits) -> None:
    page = "admin/request-rules"
    rule = {"then": "block", "genres": "Horror, Drama", "maxYear": "1990", "reason": "Not here."}
    assert "The rule holds from now on." in admin.told(page, {**proof(admin), **rule})
    bad = admin.send(page, {**proof(admin), "then": "ask", "minYear": "soon"})
    assert bad.status_code == 400
    admin.told(page, {**proof(admin), "then": "approve", "mediaType": "movie"})
    admin.told(f"{page}/change", {**proof(admin), "action": "up", "number": "1"})
    rules = data_of(admin.person.get("/admin/request-rules"))["rules"]
    assert [one["then"] for one in rules] == ["approve", "block"]
    admin.told(f"{page}/change", {**proof(admin), "action": "remove", "number": "0"})
    admin.told(f"{page}/quota", {**proof(admin), "role": "user", "count": "1", "days": "7"})

    refused = ann.send("title/movie/348", proof(ann))
    assert "Not here." in refused.text
    ann.told("title/movie/949", proof(ann))
    assert "1 of 1 in 7 days" in ann.see("title/tv/70523")
    assert ann.get(page).status_code == 403


def test_pictures_are_our_copies_and_signed(settings: Settings, village: Village) -> None:
    tmdb = village.tmdb
    more = {"tmdb_url": tmdb.url, "tmdb_token": tmdb.token, "tmdb_image_url": tmdb.image_url}
    with opened(settings, **more) as door:
        ann = PageVisits(door, "guest")
        page = ann.get("discover?query=heat").text
        assert "image.tmdb.org" not in page
        address = page.split('<img src="')[1].split('"')[0].replace("&amp;", "&")
        path = address.lstrip("./")
        for _ in range(2):
            picture = ann.get(path)
            assert (picture.status_code, picture.mimetype) == (200, "image/png")
        assert tmdb.pictures == ["/t/p/w342/poster949.jpg"], "asked for once"
        assert ann.get(path[:-4] + "AAAA").status_code == 403
        assert ann.get(path.replace("w342", "w999")).status_code == 404


def test_without_tmdb_the_page_says_what_to_do(settings: Settings) -> None:
    with opened(settings) as door:
        assert "TMDB_TOKEN" in PageVisits(door, "admin").see("discover")
        assert "admin/integrations/tmdb" in PageVisits(door, "admin").get("discover").text
        assert "admin/integrations/tmdb" not in PageVisits(door, "guest").get("discover").text
        title = PageVisits(door, "user").get("title/movie/949")
        assert (title.status_code, "TMDB_TOKEN" in title.text) == (503, True)
        assert "can set it up" in title.text
        assert "Try again in a few seconds" not in title.text
