"""`/admin`: what belongs to everyone, for those who look after it."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.blueprint import Blueprint, Call
from api.resources.youtube import DownloadPage, DownloadsQuery, downloads_page
from engine.accounts.permissions import Permission

blueprint = Blueprint("admin", "/admin", "What belongs to everyone.")


@blueprint.operation(
    "GET",
    "/downloads",
    permission=Permission.REQUESTS_MANAGE,
    query=DownloadsQuery,
    answers={200: DownloadPage},
)
def list_all_downloads(call: Call, query: dict[str, Any]) -> Response:
    """The downloads of all users, newest first."""
    return downloads_page(call, query, owner_id=None)
