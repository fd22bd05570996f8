"""Requests of the showroom: one in each state, with what was written and what happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.orm import Session

from models.base import new_id
from models.media_request import (
    MediaRequest,
    RequestComment,
    RequestFollower,
    RequestRules,
    RequestSeason,
    RequestStep,
)
from models.user import User
from tests.fakes.tmdb_server import TmdbDouble

_now = func.clock_timestamp

ASKED = (
    ("Nightferry", 2025, "movie"),
    ("Wintergreen Accounts", 2024, "tv"),
    ("Kestrels at Night", 2026, "movie"),
    ("Copperfold", 2023, "tv"),
    ("Lumen & Ash", 2026, "movie"),
    ("Marrowby", 2022, "tv"),
)
_STEPS = {
    "pending": ("asked",),
    "approved": ("asked", "approved"),
    "processing": ("asked", "approved", "processing"),
    "available": ("asked", "approved", "processing", "available"),
    "denied": ("asked", "denied"),
    "failed": ("asked", "approved", "failed"),
}
_TEXTS = {
    "asked": "Asked by Ruth Moreau.",
    "approved": "Approved.",
    "processing": "Sent to Overseerr (request 12 there).",
    "available": "It is in Plex.",
    "denied": "Denied: It takes too much room.",
    "failed": "Overseerr can't be reached.",
}


def fill_titles(tmdb: TmdbDouble) -> None:
    """What TMDB knows: all that is asked for, and a few others."""
    for number, (title, year, kind) in enumerate(ASKED):
        if kind == "movie":
            tmdb.film(title, year, id=7000 + number)
        else:
            tmdb.series(title, year, id=7000 + number, seasons={1: 8, 2: 10, 3: 10}, aired={3: 0})
    for number, title in enumerate(
        ("Salt Meridian", "Half a Sun", "Orchard & Daughters", "Tidewright", "The Quiet Mile")
    ):
        tmdb.film(title, 2020 + number, id=7100 + number)
    tmdb.series(
        "Kestrel Nine", 2023, id=7200, seasons={1: 10, 2: 10, 3: 12}, translations={"de": "Turmfalke Neun"}
    )


def fill_requests(db: Session, people: Mapping[str, User]) -> None:
    """Make them: of the user, followed by the super admin, decided by the admin."""
    user, admin = people["user"], people["admin"]
    for number, ((title, year, kind), status) in enumerate(
        zip(ASKED, ("available", "denied", "failed", "processing", "pending", "pending"), strict=True)
    ):
        seasons = {"processing": ("partial", "processing")}.get(status, ("pending",)) if kind == "tv" else ()
        row = MediaRequest(
            id=new_id("req"),
            media_type=kind,
            status=status,
            tmdb_id=str(7000 + number),
            title=title,
            year=year,
            quality="1080p",
            poster=f"/poster{7000 + number}.jpg",
            comment="For Sunday, when everybody is here?" if number == 4 else None,
            user_id=user.id,
            decided_by=None if status == "pending" else admin.id,
            decided_at=None if status == "pending" else _now(),
            deny_reason="It takes too much room." if status == "denied" else None,
            by="overseerr" if status in {"processing", "available", "failed"} else None,
            error={
                "kind": "unreachable",
                "message": "Overseerr can't be reached.",
                "advice": "Look whether Overseerr runs and can be reached from here; then try again.",
                "retryable": True,
                "choices": [],
            }
            if status == "failed"
            else None,
            updated_at=_now(),
            created_at=_now() - timedelta(hours=30 - number),
            followers=1,
        )
        db.add(row)
        db.flush()
        db.add(RequestFollower(request_id=row.id, user_id=user.id, own=True))
        db.add(RequestFollower(request_id=row.id, user_id=people["super_admin"].id, own=False))
        db.add_all(
            RequestSeason(request_id=row.id, number=place, tmdb_id=str(row.tmdb_id), status=one)
            for place, one in enumerate(seasons, 1)
        )
        for place, step in enumerate(_STEPS[status]):
            who = (
                None
                if step in {"processing", "available", "failed"}
                else (user if step == "asked" else admin).id
            )
            at = _now() - timedelta(hours=29 - place)
            db.add(
                RequestStep(
                    id=new_id("step"),
                    request_id=row.id,
                    step=step,
                    text=_TEXTS[step],
                    user_id=who,
                    created_at=at,
                )
            )
        if status == "processing":
            said = RequestComment(
                id=new_id("cmt"),
                request_id=row.id,
                user_id=admin.id,
                text="Already watching. No spoilers here.",
            )
            db.add(said)
    rules = [
        {"match": {"genres": ["Horror"]}, "then": "block", "reason": "Not in this house."},
        {"match": {"mediaType": "movie", "maxYear": 2000}, "then": "approve", "reason": None},
    ]
    quotas = {"user": {"count": 10, "days": 7}}
    db.add(RequestRules(id=1, rules=rules, quotas=quotas, updated_at=_now()))
