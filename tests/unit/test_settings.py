"""Settings: defaults that work, and one line for a wrong value."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import Settings, SettingsError


def test_an_empty_environment_is_enough() -> None:
    settings = Settings.load({})
    assert (settings.port, settings.app_env, settings.listen_host) == (4000, "development", "127.0.0.1")
    assert settings.download_dir == settings.data_dir / "downloads"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "http", "PORT takes a whole number from 1 to 65535"),
        ("PORT", "70000", "PORT takes a whole number from 1 to 65535"),
        ("APP_ENV", "live", "APP_ENV takes one of development, production, test"),
        ("DOWNLOAD_EMBED", "maybe", "DOWNLOAD_EMBED takes true or false"),
        ("LEASE_SECONDS", "soon", "LEASE_SECONDS takes seconds from 1 to 3600"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL takes a URL"),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL takes a URL"),
        ("FRONTEND_URL", "example.com", "FRONTEND_URL takes origins"),
        ("DOWNLOAD_ALLOWED_HOSTS", "https://x", "DOWNLOAD_ALLOWED_HOSTS takes host names"),
        ("SECRET_KEY", "short", "SECRET_KEY takes at least 32 characters"),
    ],
)
def test_a_wrong_value_is_one_line(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({name: value})
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"SECRET_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Settings(secret_key="hunter2" * 9))


def test_node_env_counts_where_app_env_is_absent() -> None:
    assert Settings.load({"NODE_ENV": "production"}).app_env == "production"
    assert Settings.load({"NODE_ENV": "production", "APP_ENV": "test"}).app_env == "test"


def test_hosts_lose_their_port() -> None:
    settings = Settings.load({"DOWNLOAD_ALLOWED_HOSTS": "127.0.0.1:8765, Media.Example., [::1]:80"})
    assert settings.download_allowed_hosts == ("127.0.0.1", "media.example", "::1")


def test_a_platforms_database_url_is_understood() -> None:
    settings = Settings.load({"DATABASE_URL": "postgres://u:p@db/x"})
    assert settings.database_url == "postgresql+psycopg://u:p@db/x"


def test_the_secret_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    first = Settings(data_dir=tmp_path / "new").resolve_secret_key()
    assert Settings(data_dir=tmp_path / "new").resolve_secret_key() == first
    assert len(first) >= 48
    (file,) = (tmp_path / "new").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
