"""Address and credential of an integration: from the environment, else as an admin configured it."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.secrets import secret_box
from models.integration import Integration


@dataclass(frozen=True)
class IntegrationAccess:
    """How an integration is reached; `verify`: whether certificates are checked."""

    url: str
    token: str = field(repr=False)
    verify: bool = True


def of(
    db: Session, settings: Settings, name: str, *, url: str, token: str, standard_url: str = ""
) -> IntegrationAccess | None:
    """The access to an integration; None where it is not configured.

    Args:
        db: for reading.
        settings: with the key of the stored token.
        name: of the integration.
        url: from the environment, which wins; empty where unset.
        token: likewise.
        standard_url: where neither says another.

    Raises:
        ServiceUnavailable: the stored token was written with another `SECRET_KEY`.
    """
    row = db.get(Integration, name)
    url = url or (row and row.url) or standard_url
    if not token and row is not None and row.token:
        token = secret_box.opened(settings, name, row.token)
    if not url or not token:
        return None
    return IntegrationAccess(
        url, token, verify=((row is not None and row.options) or {}).get("verifyTls", True)
    )
