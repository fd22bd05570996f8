"""Finding and asking in the browser when something goes wrong: TMDB is away, or what was asked for is refused."""

from __future__ import annotations

import re

from page_visits import PageVisits
from sqlalchemy import text
from village import Village


def proof(visits: PageVisits) -> dict[str, str]:
    return {"csrfToken": visits.person.signed_in["csrfToken"]}


def ticked(page: str) -> list[str]:
    """Names and values of what is chosen in the form."""
    return re.findall(r'name="((?:which|seasons)" value="\w+)" checked', page)


def test_shelves_say_that_they_are_old(village: Village) -> None:
    ann = PageVisits(village.door, "user")
    assert 'id="stale"' not in ann.get("discover").text
    with village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE title_lists SET fetched_at = fetched_at - interval '2 days'"))
    village.tmdb.fault = "503"

    page = ann.get("discover").text

    assert "Much talked about this week" in page
    assert 'id="stale"' in page


def test_a_refused_form_stays_open_with_what_was_entered(village: Village) -> None:
    ann, admin = PageVisits(village.door, "user"), PageVisits(village.door, "admin")
    assert ticked(ann.get("title/tv/70523").text) == ['which" value="all']
    quota = {"role": "user", "count": "1", "days": "7"}
    admin.told("admin/request-rules/quota", {**proof(admin), **quota})
    ann.told("title/movie/949", proof(ann))

    chosen = {"which": "chosen", "seasons": ["1", "2"], "comment": "Both, please"}
    refused = ann.send("title/tv/70523", {**proof(ann), **chosen})

    assert refused.status_code == 429
    assert re.search(r'<dialog[^>]* id="ask"[^>]* open>', refused.text)
    assert ticked(refused.text) == ['which" value="chosen', 'seasons" value="1', 'seasons" value="2']
    assert "Both, please" in refused.text
    assert refused.text.index('id="asking"') < refused.text.index('id="about"')
