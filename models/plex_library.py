"""Plex servers, their libraries and collections, as of the last sync."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class PlexServer(Base):
    """A server; `id` is its machineIdentifier.

    Attributes:
        seen_at: when it last answered. synced_at: when a sync last completed.
        failures: consecutive calls that did not reach it; `open_until`: the circuit breaker is open until then.
    """

    __tablename__ = "plex_servers"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[str | None]
    platform: Mapped[str | None]
    url: Mapped[str]
    plex_pass: Mapped[bool | None]
    seen_at: Mapped[datetime]
    synced_at: Mapped[datetime | None]
    failures: Mapped[int]
    open_until: Mapped[datetime | None]
    last_error: Mapped[str | None]


class PlexSection(Base):
    """A library.

    Attributes:
        key: Plex's id of it. position: its index in Plex's list.
        locations: its folders' paths on the Plex server.
        count: films, shows, artists or photos in it, by Plex.
        items: number of its items in the catalogue, of all types, without deleted ones; None: not counted yet.
        full_at: when a full pass last listed all of it; None: never.
        changed_mark: Plex's `contentChangedAt` at the last complete pass.
        updated_mark: the highest `updatedAt` seen (Unix seconds), from which the next incremental pass begins.
        held_back: number of deletions that a full pass did not carry out, as they were suspiciously many; the next
            full pass that finds the same does.
        gone_at: since when Plex does not list it any more.
    """

    __tablename__ = "plex_sections"

    server_id: Mapped[str] = mapped_column(
        ForeignKey("plex_servers.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    uuid: Mapped[str | None]
    title: Mapped[str]
    type: Mapped[str]
    agent: Mapped[str | None]
    hidden: Mapped[bool]
    position: Mapped[int]
    locations: Mapped[list[Any]] = mapped_column(JSONB)
    count: Mapped[int]
    items: Mapped[int | None]
    scanned_at: Mapped[datetime | None]
    full_at: Mapped[datetime | None]
    changed_mark: Mapped[int | None]
    updated_mark: Mapped[int | None]
    held_back: Mapped[int | None]
    gone_at: Mapped[datetime | None]


class PlexCollection(Base):
    """A collection; its members are not stored, but queried from Plex on request."""

    __tablename__ = "plex_collections"

    server_id: Mapped[str] = mapped_column(
        ForeignKey("plex_servers.id", ondelete="CASCADE"), primary_key=True
    )
    rating_key: Mapped[str] = mapped_column(primary_key=True)
    section_key: Mapped[str]
    title: Mapped[str]
    sort_title: Mapped[str]
    summary: Mapped[str | None]
    thumb: Mapped[str | None]
    subtype: Mapped[str | None]
    smart: Mapped[bool]
    child_count: Mapped[int]
    added_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]
