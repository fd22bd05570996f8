"""Typed settings: the only reader of the environment."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from config import private_folders, secret_files, variables
from config.settings_accounts import AccountSettings
from config.settings_downloads import DownloadSettings
from config.settings_limits import LimitSettings
from config.settings_media import MediaSettings
from config.settings_notices import NoticeSettings
from config.settings_plex import PlexSettings
from config.settings_server import ServerSettings
from config.variables import Rate

_DEVELOPMENT_FACTOR = 10  # of rate limits that are not set


class SettingsError(ValueError):
    """A variable has a wrong value; the text is one line that names it and says what it takes."""


# Their fields come in the order of docs/configuration.md: those of the last base first.
@dataclass(frozen=True, kw_only=True)
class Settings(
    LimitSettings,
    NoticeSettings,
    MediaSettings,
    PlexSettings,
    DownloadSettings,
    AccountSettings,
    ServerSettings,
):
    """Everything that can be set, with a default that works on a laptop.

    Durations are seconds, sizes are bytes. `Settings.load()` reads an environment; tests build one by hand.
    """

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment (`os.environ` by default).

        Raises:
            SettingsError: a value is not accepted; the text is one line, without the value of a secret.
        """
        env = dict(os.environ if environ is None else environ)
        env.setdefault("APP_ENV", env.get("NODE_ENV", ""))
        values: dict[str, Any] = {}
        for spec in fields(cls):
            name, text = spec.metadata["env"], env.get(spec.metadata["env"], "").strip()
            if not text:
                continue
            try:
                values[spec.name] = spec.metadata["parse"](text)
            except ValueError as error:
                shown = f", not {text!r}" if spec.repr else ""
                raise SettingsError(f"{name} takes {error}{shown}") from None
        if values.get("app_env", "development") != "production":
            for spec in fields(cls):
                if spec.metadata["parse"] is variables.rates and spec.name not in values:
                    limits: tuple[Rate, ...] = getattr(cls, spec.name)
                    values[spec.name] = tuple(rate.times(_DEVELOPMENT_FACTOR) for rate in limits)
        data_dir = values.get("data_dir", Path("data").absolute())
        values.setdefault("data_dir", data_dir)
        if env.get("DATA_DIR"):
            values.setdefault("beat_schedule", data_dir / "celerybeat-schedule")
        values.setdefault("download_dir", data_dir / "downloads")
        values.setdefault("work_dir", data_dir / "work")
        settings = cls(**values)
        if settings.lease_renew_seconds * 2 > settings.lease_seconds:
            raise SettingsError("LEASE_RENEW_SECONDS takes at most half of LEASE_SECONDS")
        if settings.short_lease_renew_seconds * 2 > settings.short_lease_seconds:
            raise SettingsError("SHORT_LEASE_RENEW_SECONDS takes at most half of SHORT_LEASE_SECONDS")
        return settings

    @classmethod
    def given(cls) -> dict[str, str]:
        """The variables of ours that are set, as they stand in the environment."""
        names = [spec.metadata["env"] for spec in fields(cls)]
        found = {name: os.environ[name] for name in names if os.environ.get(name, "").strip()}
        node = os.environ.get("NODE_ENV", "").strip()
        return found if "APP_ENV" in found or not node else {"APP_ENV": node, **found}

    @classmethod
    def of_process(cls) -> Self:
        """Read the environment for a process that needs a database and Redis, or end it with one line."""
        try:
            settings = cls.load()
            for name, url in (("DATABASE_URL", settings.database_url), ("REDIS_URL", settings.redis_url)):
                if not url:
                    raise SettingsError(f"{name} is needed here: only `medianest up` brings its own")
            if settings.key_file.exists():
                settings.secret_keys()  # a file that is no good is told now, and not at the first request
        except SettingsError as error:
            sys.exit(f"medianest: {error}")
        return settings

    @property
    def development(self) -> bool:
        """Whether conveniences that are no good idea in production are on."""
        return self.app_env in {"development", "test"}

    @property
    def listen_host(self) -> str:
        """The address to bind to."""
        return self.host or ("127.0.0.1" if self.development else "0.0.0.0")  # noqa: S104 - a PaaS routes to it

    def check_folders(self) -> None:
        """Make the folders of the downloads where they are missing, and close what is private of DATA_DIR.

        Raises:
            SettingsError: one can't be made, or not be written to.
        """
        for name, folder, mode in (
            ("DOWNLOAD_DIR", self.download_dir, 0o777),
            ("WORK_DIR", self.work_dir, 0o700),
        ):
            try:
                folder.mkdir(mode, parents=True, exist_ok=True)
                probe = folder / f".medianest-{os.getpid()}-{secrets.token_hex(4)}"
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise SettingsError(
                    f"{name} takes a folder that can be written to, not {folder}: {error.strerror}"
                ) from None
        private_folders.close(self.data_dir)

    def overlaid(self, stored: Mapping[str, str]) -> Self:
        """These settings with the texts that an admin stored, by field; the environment wins.

        What is not live, not known or not accepted any more is left out.
        """
        given = self.given()
        values: dict[str, Any] = {}
        for spec in fields(self):
            if spec.metadata["live"] and spec.name in stored and spec.metadata["env"] not in given:
                with suppress(ValueError):
                    values[spec.name] = spec.metadata["parse"](stored[spec.name])
        return replace(self, **values) if values else self

    @classmethod
    def is_secret(cls, name: str) -> bool:
        """Whether the value of a field must not be shown; False for one that is not known."""
        return any(spec.name == name and not spec.repr for spec in fields(cls))

    @classmethod
    def is_guarded(cls, name: str) -> bool:
        """Whether a change of a field takes a person who has lately proved to be there."""
        return any(spec.name == name and spec.metadata["guarded"] for spec in fields(cls))

    @property
    def api_base(self) -> str:
        """Where other machines reach the API, without a slash at the end; a front end may stand elsewhere."""
        return (self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def public_base(self) -> str:
        """Where people reach us, without a slash at the end."""
        first = next(iter(self.frontend_url), f"http://127.0.0.1:{self.port}")
        return (self.public_url or first).rstrip("/")

    @property
    def key_file(self) -> Path:
        """Where the secret keys are while `SECRET_KEY` is not set: the current one first, older ones below."""
        return _key_file(self.data_dir)

    def secret_keys(self) -> tuple[str, ...]:
        """The keys we know, the one to sign with first: the environment's, else those of the key file.

        The file is made once, with mode 0600; a change of it holds at once in all processes.

        Raises:
            SettingsError: the key file holds no keys, or can't be read or made.
        """
        if self.secret_key:
            return (self.secret_key, *self.secret_key_previous)
        return (*self.keys_in_file(), *self.secret_key_previous)

    def keys_in_file(self) -> tuple[str, ...]:
        """The keys of the key file, which is made where it is missing.

        Raises:
            SettingsError: it holds none.
        """
        return _secrets_in(self.key_file)

    def resolve_secret_key(self) -> str:
        """The key to sign with."""
        return self.secret_keys()[0]

    def resolve_setup_token(self) -> str:
        """The bootstrap's proof in production: from the environment, else made once in `DATA_DIR/setup.token`."""
        return self.setup_token or _secrets_in(self.data_dir / "setup.token")[0]


@lru_cache(maxsize=8)
def _key_file(data_dir: Path) -> Path:
    return data_dir / "secret.key"


def _secrets_in(path: Path) -> tuple[str, ...]:
    try:
        return secret_files.made_once(path)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    except OSError as error:
        raise SettingsError(f"{error.filename or path}: {error.strerror}") from None
